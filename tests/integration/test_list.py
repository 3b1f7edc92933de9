"""list, remove and info: what there is, what runs, and what is in use."""
import datetime
import json
import os
import re
import subprocess

import harness
import test_exec

DIGEST = r"sha256:[0-9a-f]{64}"


class ListCase(test_exec.Running):
    def image(self):
        path = self.user.work + "/alpine.sqsh"
        subprocess.run(["cp", harness.world.library.squashed("alpine"), path], check=True)
        return path

    def fancy(self, option="--fancy", **options):
        """The table as a list of rows, each a list of cells; the first cell may be empty."""
        lines = self.enroot("list", option, **options).out.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "PID", "COMM", "STATE", "STARTED", "TIME",
                                            "MNTNS", "USERNS", "COMMAND"])
        return [re.split(r"  +", line) for line in lines[1:]]

    def json(self, **options):
        return json.loads(self.enroot("list", "--json", **options).out)


class TestFancy(ListCase):
    """compat: list, -f/--fancy (NAME PID COMM STATE STARTED TIME MNTNS USERNS COMMAND)"""

    def test_a_container_without_processes_is_its_name(self):
        self.container(name="one")
        self.container(name="two")
        for option in ("-f", "--fancy"):
            self.assertEqual(self.fancy(option), [["one"], ["two"]])

    def test_a_container_that_runs_has_a_row(self):
        self.container(name="idle")
        process = self.begin(self.container(name="busy"))
        rows = self.fancy()
        self.assertEqual([row[0] for row in rows], ["busy", "idle"])
        name, pid, comm, state, started, elapsed, mount, user, command = rows[0]
        self.assertEqual((name, pid, comm), ("busy", str(process.pid), "sh"))
        self.assertRegex(state, r"^[SR][sl+]*$")
        self.assertRegex(started, r"^\d\d:\d\d$|^[A-Z][a-z]{2}\d\d$")
        self.assertRegex(elapsed, r"^00:0\d$|^00:[0-5]\d$")
        for kind, shown in (("mnt", mount), ("user", user)):
            self.assertEqual("%s:[%s]" % (kind, shown),
                             os.readlink("/proc/%d/ns/%s" % (process.pid, kind)))
        self.assertEqual(command, "sh -c " + self.WAIT)

    def test_it_shows_what_ps_shows(self):
        process = self.begin(self.container())
        self.wait_until("sleep", lambda: "State:\tS" in open(
            "/proc/%d/status" % process.pid).read())
        row = self.fancy()[0]
        shown = subprocess.run(["ps", "-p", str(process.pid), "--no-headers", "-o",
                                "stat:1,mntns:1,userns:1"], stdout=subprocess.PIPE,
                               check=True).stdout.decode().split()
        self.assertEqual([row[3], row[6], row[7]], shown)

    def test_each_start_has_one_row_whatever_it_has_started(self):
        name = self.container()
        first = self.begin(name, script="sleep 1000 & sleep 1000 & echo ready; read line; kill "
                                        "$(jobs -p)")
        second = self.begin(name)
        added = self.start("enroot", "exec", str(first.pid), "sh", "-c", "echo ready; read x",
                           stdin=subprocess.PIPE)
        self.running.append(added)
        self.assertEqual(added.stdout.readline(), b"ready\n")
        rows = self.fancy()
        self.assertEqual([row[:2] for row in rows],
                         [["alpine", str(first.pid)], ["", str(second.pid)]])

    def test_image_files_that_run_are_shown(self):
        image = self.image()
        process = self.begin(image)
        self.assertEqual([row[:3] for row in self.fancy()], [[image, str(process.pid), "sh"]])

    def test_a_container_with_process_ids_of_its_own_is_shown(self):
        self.container()
        first, _ = self.begin_with_own_processes()
        self.assertEqual([row[:3] for row in self.fancy()], [["alpine", str(first), "sh"]])

    def test_a_container_of_another_data_path_is_unknown(self):
        process = self.begin(self.container())
        rows = self.fancy(env={"ENROOT_DATA_PATH": self.user.work + "/data"})
        self.assertEqual([row[:2] for row in rows], [["<unknown>", str(process.pid)]])

    def test_a_data_path_behind_a_link_is_the_same(self):
        name = self.container()
        os.symlink(self.data_path(), self.user.work + "/link")
        process = self.begin(name, env={"ENROOT_DATA_PATH": self.user.work + "/link"})
        self.assertEqual(self.fancy()[0][:2], [name, str(process.pid)])

    def test_others_do_not_see_it(self):
        self.begin(self.container())
        self.assertEqual(self.fancy(user=harness.world.other), [])
        # Root does, but it is in nothing that he has.
        self.assertEqual([row[0] for row in self.fancy(user=harness.world.root)], ["<unknown>"])

    def test_processes_outside_are_not_shown(self):
        outside = self.start("sleep", "1000")
        self.running.append(outside)
        other = self.start("unshare", "--user", "--map-current-user", "--mount", "sh", "-c",
                           "echo ready; exec sleep 1000")
        self.running.append(other)
        self.assertEqual(other.stdout.readline(), b"ready\n")
        try:
            self.assertEqual(self.fancy(), [])
        finally:
            outside.kill()
            other.kill()

    def test_a_name_of_a_program_cannot_reach_the_terminal(self):
        self.begin(self.container(), script=self.WAIT + " # \x1b[31m\x9b2J\nsecond line")
        out = self.enroot("list", "--fancy").out
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\x9b", out)


class TestJson(ListCase):
    def test_a_container_is_described(self):
        name = self.container()
        found, = self.json()
        self.assertEqual(found["name"], name)
        self.assertEqual(found["path"], self.data_path(name))
        self.assertRegex(found["provenance"], r"^docker://.*alpine")
        self.assertRegex(found["digest"], "^%s$" % DIGEST)
        self.assertEqual((found["state"], found["processes"]), ("stopped", []))
        used = subprocess.run(["du", "-s", "-B1", self.data_path(name)], stdout=subprocess.PIPE,
                              check=True).stdout.split()[0]
        self.assertAlmostEqual(found["size"], int(used), delta=16384)

    def test_without_a_record_the_provenance_is_that_of_the_command_script(self):
        name = self.container()
        os.unlink(self.data_path(name, "etc/enroot-image.json"))
        found, = self.json()
        self.assertRegex(found["provenance"], r"^docker://.*alpine")
        self.assertIsNone(found["digest"])

    def test_a_damaged_record_does_not_cost_the_list(self):
        name = self.container()
        record = self.data_path(name, "etc/enroot-image.json")
        os.unlink(record)
        for content in (b"{", b"[]", b'{"version": 99}'):
            with open(record, "wb") as file:
                file.write(content)
            self.assertEqual(self.json()[0]["name"], name)
        os.unlink(record)
        os.symlink("/etc/shadow", record)
        self.assertEqual(self.json()[0]["name"], name)

    def test_processes_have_their_namespaces(self):
        name = self.container()
        first, second = self.begin(name), self.begin(name)
        found, = self.json()
        self.assertEqual(found["state"], "running")
        self.assertEqual([process["pid"] for process in found["processes"]],
                         [first.pid, second.pid])
        process = found["processes"][0]
        self.assertEqual(process["comm"], "sh")
        self.assertEqual(process["command"], ["sh", "-c", self.WAIT])
        for member, kind in (("mount_namespace", "mnt"), ("user_namespace", "user")):
            self.assertEqual("%s:[%d]" % (kind, process[member]),
                             os.readlink("/proc/%d/ns/%s" % (first.pid, kind)))
        age = datetime.datetime.now().timestamp() - process["started"]
        self.assertTrue(-5 <= age < 600, age)
        self.assertTrue(0 <= process["elapsed"] < 600, process)

    def test_image_files_and_the_unknown_are_in_it(self):
        image = self.image()
        started = self.begin(image)
        unknown = self.begin(self.container())
        found = self.json(env={"ENROOT_DATA_PATH": self.user.work + "/data"})
        self.assertEqual([(item["name"], item["path"], [p["pid"] for p in item["processes"]])
                          for item in found],
                         [(None, image, [started.pid]), (None, None, [unknown.pid])])
        self.assertEqual(found[0]["size"], os.path.getsize(image))
        self.assertRegex(found[0]["digest"], "^%s$" % DIGEST)

    def test_nothing_is_an_empty_array(self):
        self.assertEqual(self.json(), [])


class TestLazy(ListCase):
    """A container that refers to its image (create --lazy)."""

    def test_it_is_known_by_its_name(self):
        image = self.image()
        self.enroot("create", "--lazy", "--name", "light", image)
        process = self.begin("light")
        self.assertEqual([row[:2] for row in self.fancy()], [["light", str(process.pid)]])
        self.assertEqual(self.enroot("exec", "light", "readlink", "/proc/self/ns/mnt").out,
                         os.readlink("/proc/%d/ns/mnt" % process.pid) + "\n")
        found, = self.json()
        self.assertEqual((found["name"], found["path"], found["image"], found["state"]),
                         ("light", self.data_path("light"), image, "running"))
        self.assertRegex(found["digest"], "^%s$" % DIGEST)
        self.assertLess(found["size"], os.path.getsize(image))
        self.refused("remove", "light", input=b"y\n", says="in use by process %d" % process.pid)
        os.unlink(image)
        self.assertEqual([(item["name"], item["digest"]) for item in self.json()],
                         [("light", None)])


class TestRemove(ListCase):
    """compat: remove NAME…, -f; read-only trees; never crosses a file system"""

    def test_nothing_is_removed_when_one_name_is_wrong(self):
        self.container(name="one")
        self.refused("remove", "--force", "one", "two", says="no such container: two")
        self.assertEqual(self.enroot("list").out, "one\n")

    def test_a_container_in_use_is_refused_with_its_processes(self):
        name = self.container()
        self.container(name="idle")
        first, second = self.begin(name), self.begin(name)
        self.refused("remove", "idle", name, input=b"y\ny\n",
                     says="container alpine is in use by process %d %d; .*--force" % (
                         first.pid, second.pid))
        self.assertEqual(self.enroot("list").out, "alpine\nidle\n")
        self.enroot("remove", "--force", name)
        self.assertEqual(self.enroot("list").out, "idle\n")

    def test_after_its_end_it_is_removed(self):
        name = self.container()
        self.end(self.begin(name))
        self.enroot("remove", name, input=b"y\n")
        self.assertEqual(self.enroot("list").out, "")

    def test_a_read_only_tree_is_removed(self):
        name = self.container()
        subprocess.run(["chmod", "-R", "a-w", self.data_path(name)], check=True)
        self.enroot("remove", "--force", name)
        self.assertEqual(os.listdir(self.data_path()), [])

    def test_an_unfinished_create_is_no_container(self):
        self.container()
        os.mkdir(self.data_path(".enroot-create.other.123456"))
        self.refused("remove", "--force", ".enroot-create.other.123456", says="name")
        self.enroot("remove", "--force", "alpine")
        self.assertEqual(os.listdir(self.data_path()), [".enroot-create.other.123456"])
        self.assertEqual(self.enroot("list").out, "")


class TestInfo(ListCase):
    """Scenario 6: the site's file of the compat reference, and where each value came from."""

    SITE_FILE = """\
ENROOT_RUNTIME_PATH /raid/local/containers/enroot/runtime/${SLURM_JOB_ID:-}
ENROOT_DATA_PATH /raid/local/containers/enroot/data/$(id -u)
ENROOT_SQUASH_OPTIONS -noI -noD -noF -noX -no-duplicates
ENROOT_MOUNT_HOME no
ENROOT_CONFIG_PATH ${HOME}/.config/enroot
ENROOT_RESTRICT_DEV yes
ENROOT_ROOTFS_WRITABLE no
ENROOT_ZSTD_OPTIONS -1
ENROOT_TRANSFER_RETRIES 5
ENROOT_CONNECT_TIMEOUT 60
ENROOT_TRANSFER_TIMEOUT 1200
ENROOT_MAX_CONNECTIONS 10
"""

    def setUp(self):
        super().setUp()
        self.system = self.user.work + "/system"
        os.mkdir(self.system)
        with open(self.system + "/enroot.conf", "w") as file:
            file.write(self.SITE_FILE)
        self.env = {"ENROOT_SYSCONF_PATH": self.system, "SLURM_JOB_ID": "4711",
                    "ENROOT_TRANSFER_RETRIES": "7"}

    EXPECTED = {
        "ENROOT_RUNTIME_PATH": "/raid/local/containers/enroot/runtime/4711",
        "ENROOT_SQUASH_OPTIONS": "-noI -noD -noF -noX -no-duplicates",
        "ENROOT_RESTRICT_DEV": "yes", "ENROOT_CONNECT_TIMEOUT": "60",
        "ENROOT_TRANSFER_TIMEOUT": "1200", "ENROOT_MAX_CONNECTIONS": "10",
    }

    def test_the_text_names_the_file_of_each_value(self):
        out = self.enroot("info").out
        file = self.system + "/enroot.conf"
        for name, value in self.EXPECTED.items():
            self.assertIn("  %s=%s  (%s)\n" % (name, value, file), out)
        self.assertIn("  ENROOT_DATA_PATH=/raid/local/containers/enroot/data/%d  (%s)\n" % (
            self.user.uid, file), out)
        self.assertIn("  ENROOT_TRANSFER_RETRIES=7  (environment)\n", out)
        self.assertRegex(out, r"(?m)^  ENROOT_GZIP_PROGRAM=[^\n(]*$")

    def test_json(self):
        document = json.loads(self.enroot("info", "--json").out)
        self.assertRegex(document["version"], r"^\d+\.\d+")
        found = {item["name"]: item for item in document["settings"]}
        for name, value in self.EXPECTED.items():
            self.assertEqual(found[name], {"name": name, "value": value, "origin": "file",
                                           "file": self.system + "/enroot.conf"})
        self.assertEqual(found["ENROOT_TRANSFER_RETRIES"]["origin"], "environment")
        self.assertEqual(found["ENROOT_GZIP_PROGRAM"]["origin"], "default")
