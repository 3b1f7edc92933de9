"""start, create, load, remove: who the user is inside and whose files are on the disk.

Scenarios 9 to 11: what happens to files of the host's root, to whom processes and new
files belong, with one id and with subordinate ids.
"""
import contextlib
import os
import re
import shutil
import subprocess

import harness
import images

FIRST, COUNT = 300000, 65536


def owners_image():
    """A small root whose files have owners of their own."""
    return images.busybox_root().file("of-bin", b"x", uid=2, gid=33) \
        .directory("closed", mode=0o700, uid=7, gid=7).file("closed/inner", b"x", uid=7, gid=8) \
        .symlink("link", "of-bin", uid=3, gid=3).add("pipe", b"6", uid=4, gid=4) \
        .file("set-id", b"x", mode=0o6755, uid=9, gid=9).hardlink("second", "of-bin") \
        .file("etc/login", b"x", uid=0, gid=42)


class IdentityCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.kept = {}
        for path in ("/etc/subuid", "/etc/subgid"):
            with open(path) as file:
                self.kept[path] = file.read()
        self.grant("%s:%d:%d\n" % (self.user.name, FIRST, COUNT))
        self.opt = harness.world.work + "/opt"
        os.mkdir(self.opt, 0o755)
        with open(self.opt + "/of-root", "w") as file:
            file.write("root's\n")

    def tearDown(self):
        for path, text in self.kept.items():
            with open(path, "w") as file:
                file.write(text)
        shutil.rmtree(self.opt)
        super().tearDown()

    def grant(self, uids, gids=None):
        """Change what the files grant."""
        for path, text in (("/etc/subuid", uids), ("/etc/subgid", uids if gids is None else gids)):
            with open(path, "w") as file:
                file.write(text)

    @contextlib.contextmanager
    def program_replaced(self, path, source):
        """Put something else in the place of a program of the machine."""
        subprocess.run(["mount", "--bind", source, path], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", path], check=True)

    def output(self, *arguments, **options):
        return self.enroot("start", *arguments, **options).out

    def owner(self, *path):
        """Whose a file of a container is on the host."""
        st = os.lstat(self.data_path(*path))
        return st.st_uid, st.st_gid

    def image(self, name="owners"):
        """owners_image() as an image file."""
        path = self.user.work + "/%s.sqsh" % name
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        subprocess.run(["mksquashfs", "-", path, "-tar", "-no-progress", "-quiet"],
                       input=owners_image().bytes(), check=True, stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        return path


MODES = {
    "one id": ["--root"],
    "subordinate ids": ["--root", "--subids"],
}


class TestScenarios(IdentityCase):
    def each_mode(self):
        for name, options in MODES.items():
            with self.subTest(name):
                yield options
        with self.subTest("own id in the range"):
            self.grant("%s:%d:1\n%s:100001:65535\n" % (self.user.name, self.user.uid,
                                                       self.user.name),
                       "%s:%d:1\n%s:100001:65535\n" % (self.user.name, self.user.gid,
                                                       self.user.name))
            yield MODES["subordinate ids"]

    def test_9_and_10_root_inside_cannot_delete_a_file_of_the_hosts_root(self):
        target = self.container()
        for options in self.each_mode():
            result = self.run_command(
                "enroot", "start", *options, "--mount", self.opt + ":/opt", target, "sh", "-c",
                "id -u; stat -c %U /opt/of-root; rm -f /opt/of-root; echo x >/opt/of-root; "
                "chown 0 /opt/of-root; chmod 777 /opt/of-root; mv /opt/of-root /opt/other; "
                "cat /opt/of-root")
            self.assertEqual(result.out, "0\nnobody\nroot's\n", result)
            st = os.stat(self.opt + "/of-root")
            self.assertEqual((st.st_uid, st.st_mode & 0o7777), (0, 0o644))

    def test_10_and_11_a_process_inside_is_the_users_on_the_host(self):
        target = self.container()
        for options in self.each_mode():
            process = self.start("enroot", "start", *options, target, "sh", "-c",
                                 "echo ready; read line", stdin=subprocess.PIPE)
            self.assertEqual(process.stdout.readline(), b"ready\n")
            self.assertIn(process.pid, self.user.processes())
            process.communicate(b"\n", timeout=harness.TIMEOUT)
            self.assertEqual(process.returncode, 0)

    def test_11_what_root_makes_inside_is_the_users_outside(self):
        target = self.container()
        os.mkdir(self.user.work + "/project")
        os.chown(self.user.work + "/project", self.user.uid, self.user.gid)
        for options in self.each_mode():
            self.output(*options, "--rw", "--mount", self.user.work + "/project:/mnt", target,
                        "sh", "-c", "echo x >/mnt/made; echo x >/made")
            self.assertEqual(self.owner("alpine/made"), (self.user.uid, self.user.gid))
            st = os.stat(self.user.work + "/project/made")
            self.assertEqual((st.st_uid, st.st_gid), (self.user.uid, self.user.gid))
            os.unlink(self.user.work + "/project/made")

    def test_11_other_ids_are_subordinate(self):
        target = self.container()
        for options in list(self.each_mode())[1:]:
            self.grant("%s:%d:1\n%s:100001:65535\n" % (self.user.name, self.user.uid,
                                                       self.user.name))
            self.output(*options, "--rw", target, "sh", "-ec", "echo x >/made; chown 5:6 /made")
            self.assertEqual(self.owner("alpine/made"), (100005, 100006))


class TestSubordinateIds(IdentityCase):
    """--subids and ENROOT_SUBIDS of start."""

    def each(self):
        self.enroot("create", "--subids", self.image())
        yield "owners"
        yield self.user.work + "/owners.sqsh"

    def test_root_has_the_user_and_all_ids_of_the_range(self):
        for target in self.each():
            for options, env in ((["--subids"], {}), ([], {"ENROOT_SUBIDS": "yes"})):
                out = self.output("--root", *options, target, "sh", "-c",
                                  "id -u; cat /proc/self/uid_map /proc/self/gid_map", env=env)
                lines = [line.split() for line in out.splitlines()]
                self.assertEqual(lines[0], ["0"])
                self.assertEqual(lines[1:], [["0", str(self.user.uid), "1"],
                                             ["1", str(FIRST), str(COUNT)],
                                             ["0", str(self.user.gid), "1"],
                                             ["1", str(FIRST), str(COUNT)]])

    def test_the_user_stays_himself_without_root(self):
        for target in self.each():
            out = self.output("--subids", target, "sh", "-c",
                              "id -u; id -g; id -un; stat -c '%u:%g' /of-bin /bin /proc/1")
            self.assertEqual(out.split(), [str(self.user.uid), str(self.user.gid), self.user.name,
                                           "2:33", "%d:%d" % (self.user.uid, self.user.gid),
                                           "65534:65534"])
            status = self.output("--subids", target, "cat", "/proc/self/status")
            self.assertRegex(status, r"CapEff:\t0+\n")
            self.assertRegex(status, r"Seccomp:\t0\n")

    def test_root_has_all_capabilities_no_filter_and_may_set_groups(self):
        for target in self.each():
            out = self.output("--root", "--subids", target, "sh", "-c",
                              "cat /proc/self/status /proc/self/setgroups")
            self.assertRegex(out, r"CapEff:\t0*1?[3f]f+\n")
            self.assertRegex(out, r"Seccomp:\t0\n")
            self.assertRegex(out, r"NoNewPrivs:\t1\n")
            self.assertTrue(out.endswith("allow\n"), out)

    def test_owners_can_be_changed_and_users_become_others(self):
        for target in self.each():
            out = self.output("--root", "--subids", "--rw", target, "sh", "-ec",
                              "echo x >/new; chown 12:13 /new; stat -c %u:%g /new; "
                              "su -s /bin/sh bin -c 'id -u; id -G; touch /etc/x 2>&1 | grep "
                              "-o Permission'; mkdir /tmp/b; chown bin /tmp/b; "
                              "su -s /bin/sh bin -c 'echo y >/tmp/b/y'; stat -c %u /tmp/b/y")
            self.assertEqual(out.split(), ["12:13", "1", "1", "Permission", "1"])
        self.assertEqual(self.owner("owners/new"), (FIRST + 11, FIRST + 12))

    def test_a_process_of_another_user_has_a_subordinate_id_on_the_host(self):
        target = self.container()
        process = self.start("enroot", "start", "--root", "--subids", "--pid", target, "su", "-s",
                             "/bin/sh", "bin", "-c", "echo ready; read line",
                             stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                found.append(os.stat("/proc/" + name).st_uid)
        self.assertIn(FIRST, found)
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0)

    def test_the_same_owners_with_and_without_root(self):
        """0 and the user change places; every other id is the same on the disk."""
        for target in self.each():
            paths = "/of-bin /closed /link /pipe /set-id /etc/login"
            shown = [self.output(*options, target, "stat", "-c", "%u:%g", *paths.split())
                     for options in (["--subids"], ["--subids", "--root"])]
            self.assertEqual(shown[1].split(), ["2:33", "7:7", "3:3", "4:4", "9:9", "0:42"])
            self.assertEqual(shown[0], shown[1].replace("0:42", "%d:42" % self.user.uid))

    def test_ranges_are_found_by_name_and_number_and_joined(self):
        target = self.container()
        self.grant("other:1:5\n%s:400000:10\n%d:500000:5\n%s:400000:10\n"
                   % (self.user.name, self.user.uid, self.user.name))
        out = self.output("--root", "--subids", target, "cat", "/proc/self/uid_map")
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["0", str(self.user.uid), "1"], ["1", "400000", "10"],
                          ["11", "500000", "5"]])

    def test_missing_ranges_are_one_error_with_the_line_to_add(self):
        target = self.container()
        line = '"%s:%d:65536"' % (self.user.name, FIRST + COUNT)
        other = "other:%d:%d\n" % (FIRST, COUNT)
        for uids, gids, files in ((other, other, "/etc/subuid and /etc/subgid"),
                                  (other, other + self.user.name + ":5000:5\n", "/etc/subuid"),
                                  (other + self.user.name + ":5000:5\n", "", "/etc/subgid")):
            self.grant(uids, gids)
            for arguments in (("start", "--subids", target, "true"),
                              ("create", "--subids", "-n", "new", self.image())):
                self.refused(*arguments, says=re.escape(files) + ".*" + re.escape(line))
        for path in ("/etc/subuid", "/etc/subgid"):
            os.unlink(path)
        self.refused("start", "--subids", target, "true", says="/etc/subuid and /etc/subgid")

    def test_a_missing_newuidmap_is_named_with_its_package(self):
        target = self.container()
        for program in ("newuidmap", "newgidmap"):
            with self.program_replaced(shutil.which(program), "/dev/null"):
                self.refused("start", "--subids", target, "true", says=program + ".*uidmap")
        with self.program_replaced(shutil.which("newuidmap"), "/dev/null"):
            self.grant("")
            self.refused("start", "--subids", target, "true",
                         says="no subordinate ids.*newuidmap is missing, too.*uidmap")

    def test_what_keeps_newuidmap_from_its_rights_is_said(self):
        target = self.container()
        copy = harness.world.work + "/newuidmap"
        shutil.copy(shutil.which("newuidmap"), copy)
        os.chmod(copy, 0o755)
        with self.program_replaced(shutil.which("newuidmap"), copy):
            self.refused("start", "--subids", target, "true", says="chmod u\\+s .*newuidmap")
            # File capabilities do instead of the bit.
            subprocess.run(["setcap", "cap_setuid=ep", copy], check=True)
            self.assertEqual(self.output("--subids", "--root", target, "id", "-u"), "0\n")
        os.unlink(copy)
        result = self.run_command("setpriv", "--no-new-privs", "enroot", "start", "--subids",
                                  target, "true")
        self.assertEqual(result.code, 1)
        self.assertIn("no_new_privs", result.err)

    def test_a_refusal_of_newuidmap_is_passed_on(self):
        target = self.container()
        # The file is read by the name; newuidmap finds that the number is another's.
        with self.program_replaced(shutil.which("newgidmap"), shutil.which("false")):
            self.refused("start", "--subids", target, "true", says="newgidmap")

    def test_a_dry_run_shows_the_maps_or_what_is_missing(self):
        target = self.container()
        out = self.enroot("start", "--dry-run", "--subids", "--root", target, "true").out
        self.assertIn("subordinate ids:\n  users 0+1 inside, %d on the host\n"
                      "  users 1+%d inside, %d on the host\n" % (self.user.uid, COUNT, FIRST), out)
        self.grant("")
        self.refused("start", "--dry-run", "--subids", target, "true", says="subordinate ids")

    def test_exec_finds_the_same_ids(self):
        process = self.start("enroot", "start", "--subids", "--root", "--rw", "--pid",
                             self.container(), "sh", "-c", "echo ready; read line",
                             stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        out = self.enroot("exec", "alpine", "sh", "-ec",
                          "echo x >/new; chown 12:13 /new; stat -c %u:%g /new; id -u").out
        self.assertEqual(out, "12:13\n0\n")
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(self.owner("alpine/new"), (FIRST + 11, FIRST + 12))

    def test_export_has_the_owners_again(self):
        self.enroot("create", "--subids", self.image())
        self.enroot("export", "--subids", "-o", "out.sqsh", "owners")
        listed = subprocess.run(["unsquashfs", "-lln", self.user.work + "/out.sqsh"], check=True,
                                stdout=subprocess.PIPE).stdout.decode()
        for line in (r"^-\S+ 2/33 .*/of-bin$", r"^-\S+ 7/8 .*/closed/inner$",
                     r"^l\S+ 3/3 .*/link", r"^-rwsr-sr-x 9/9 .*/set-id$"):
            self.assertRegex(listed, "(?m)" + line)


class TestTrees(IdentityCase):
    """create, load and remove with the image's owners."""

    EXPECTED = {"of-bin": (2, 33), "closed": (7, 7), "closed/inner": (7, 8), "link": (3, 3),
                "pipe": (4, 4), "set-id": (9, 9), "second": (2, 33), "bin/busybox": (0, 0),
                "etc/login": (0, 42), ".": (0, 0)}

    def assert_owners_kept(self, name):
        def outside(number, own):
            return own if number == 0 else FIRST + number - 1
        for path, (uid, gid) in self.EXPECTED.items():
            self.assertEqual(self.owner(name, path), (outside(uid, self.user.uid),
                                                      outside(gid, self.user.gid)), path)
        mode = os.stat(self.data_path(name, "set-id")).st_mode
        self.assertEqual(mode & 0o7777, 0o6755)

    def test_create_keeps_them_on_request_only(self):
        image = self.image()
        self.enroot("create", "--subids", image)
        self.assert_owners_kept("owners")
        self.enroot("create", "-n", "configured", image, env={"ENROOT_SUBIDS": "yes"})
        self.assert_owners_kept("configured")
        self.enroot("create", "-n", "plain", image)
        self.assertEqual(self.owner("plain/of-bin"), (self.user.uid, self.user.gid))

    def test_load_keeps_them_on_request(self):
        world = harness.world
        path = world.library.path + "/owners"
        if not os.path.exists(path):
            images.layout(path, [owners_image()], {"Cmd": ["/bin/sh"]})
        images.push(path, world.servers.plain.host, "tests/owners")
        self.enroot("load", "--subids", "-n", "loaded", "docker://%s#tests/owners"
                    % world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.assert_owners_kept("loaded")

    def test_ids_beyond_the_range_become_roots_with_a_warning(self):
        self.grant("%s:%d:20\n" % (self.user.name, FIRST))
        result = self.enroot("create", "--subids", self.image())
        self.assertEqual(len(re.findall("not mapped", result.err)), 1, result)
        self.assertEqual(self.owner("owners/of-bin"), (self.user.uid, self.user.gid))
        self.assertEqual(self.owner("owners/set-id"), (FIRST + 8, FIRST + 8))

    def test_remove_and_replace_handle_them_with_and_without_the_setting(self):
        image = self.image()
        for options in ([], ["--subids"]):
            self.enroot("create", "--subids", "--force", image)
            self.enroot("create", "--force", *options, image)
            self.enroot("create", "--subids", "--force", image)
            self.assertEqual(os.listdir(self.data_path()), ["owners"])
            self.enroot("remove", "-f", "owners",
                        env={"ENROOT_SUBIDS": "yes"} if options else {})
            self.assertEqual(os.listdir(self.data_path()), [])

    def test_remove_without_the_range_says_what_is_missing(self):
        self.enroot("create", "--subids", self.image())
        self.grant("")
        self.refused("remove", "-f", "owners", says="subordinate ids.*/etc/subuid")
        self.grant("%s:%d:%d\n" % (self.user.name, FIRST, COUNT))
        self.enroot("remove", "-f", "owners")

    def test_a_failed_create_leaves_nothing(self):
        image = self.image()
        os.truncate(image, os.stat(image).st_size - 4096)
        result = self.run_command("enroot", "create", "--subids", image)
        self.assertEqual(result.code, 1, result)
        self.assertEqual(os.listdir(self.data_path())
                         if os.path.exists(self.data_path()) else [], [])


class TestSuperuser(IdentityCase):
    """ENROOT_ALLOW_SUPERUSER: a real root has no user namespace, and all ids."""

    def setUp(self):
        super().setUp()
        self.user = harness.world.root

    def test_root_starts_without_a_user_namespace(self):
        self.enroot("create", self.image())
        host = os.readlink("/proc/self/ns/user")
        for target in ("owners", self.user.work + "/owners.sqsh"):
            plain = self.output(target, "readlink", "/proc/self/ns/user")
            self.assertNotEqual(plain.strip(), host)
            out = self.output("--rw", target, "sh", "-ec",
                              "readlink /proc/self/ns/user; id -u; grep -e Seccomp: -e CapEff "
                              "/proc/self/status; echo x >/new; chown 12:13 /new; "
                              "stat -c %u:%g /new; su -s /bin/sh bin -c 'id -u'",
                              env={"ENROOT_ALLOW_SUPERUSER": "yes"}).split()
            self.assertEqual(out[:2], [host, "0"])
            self.assertEqual(out[out.index("Seccomp:") + 1], "0")
            self.assertNotEqual(int(out[out.index("CapEff:") + 1], 16), 0)
            self.assertEqual(out[-2:], ["12:13", "1"])
        self.assertEqual(self.owner("owners/new"), (12, 13))

    def test_trees_and_images_have_the_owners_of_the_image(self):
        env = {"ENROOT_ALLOW_SUPERUSER": "yes"}
        image = self.image()
        self.enroot("create", image, env=env)
        self.assertEqual(self.owner("owners/closed/inner"), (7, 8))
        for target in ("owners", image):
            out = self.output(target, "stat", "-c", "%u:%g", "/of-bin", "/closed/inner", env=env)
            self.assertEqual(out, "2:33\n7:8\n")
        self.enroot("remove", "-f", "owners", env=env)

    def test_namespaces_on_request_work_as_well(self):
        self.enroot("create", self.image())
        out = self.output("--pid", "--net", "--ipc", "--uts", "owners", "sh", "-c",
                          "echo $$; ls /sys/class/net", env={"ENROOT_ALLOW_SUPERUSER": "yes"})
        self.assertEqual(out, "1\nlo\n")

    def test_it_means_nothing_for_ordinary_users(self):
        self.user = harness.world.user
        out = self.output(self.container(), "readlink", "/proc/self/ns/user",
                          env={"ENROOT_ALLOW_SUPERUSER": "yes"})
        self.assertNotEqual(out.strip(), os.readlink("/proc/self/ns/user"))


class TestLoginShell(IdentityCase):
    """ENROOT_LOGIN_SHELL=no: no session of the user is set up."""

    def test_there_is_no_session_environment_and_no_home(self):
        target = self.container()
        env = {"ENROOT_LOGIN_SHELL": "no"}
        self.assertEqual(self.output(target, "sh", "-c", "pwd", env=env), "/\n")
        names = {line.split("=")[0] for line in self.output(target, "env", env=env).splitlines()}
        self.assertEqual(names & {"HOME", "USER", "LOGNAME", "SHELL", "MAIL"}, set())
        names = {line.split("=")[0] for line in self.output(target, "env").splitlines()}
        self.assertLessEqual({"HOME", "USER", "LOGNAME", "SHELL"}, names)

    def test_the_shell_is_no_login_shell(self):
        with open(self.user.work + "/rc", "w") as file:
            file.write("echo $0 ${PROFILE_READ:-not}; cat /proc/$$/cmdline | tr '\\0' ' '\n")
        target = self.container()
        for value, start in (("no", "sh "), ("yes", "-sh ")):
            out = self.output("--rc", self.user.work + "/rc", target,
                              env={"ENROOT_LOGIN_SHELL": value})
            self.assertIn("\n" + start, out)


class TestWithoutShell(IdentityCase):
    """Images without any shell: the recorded entrypoint and command are executed."""

    def each(self, config):
        tar = images.Tar().directory("srv").directory("etc").directory("tmp")
        with open("/bin/busybox", "rb") as file:
            tar.file("tool", file.read(), mode=0o755)
        for applet in ("echo", "pwd", "env", "id"):
            tar.symlink("apps/" + applet, "/tool")
        path = self.user.tmp + "/bare"
        images.layout(path, [tar], config)
        images.push(path, harness.world.servers.plain.host, "tests/bare")
        shutil.rmtree(path)
        self.enroot("import", "-o", "bare.sqsh", "docker://%s#tests/bare"
                    % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.enroot("create", "--force", "bare.sqsh")
        yield "bare"
        yield "./bare.sqsh"
        os.unlink(self.user.work + "/bare.sqsh")

    def test_the_entrypoint_runs_with_the_command_or_what_is_given(self):
        for target in self.each({"Entrypoint": ["/apps/echo", "first word"], "Cmd": ["$HOME", "b"],
                                 "Env": ["PATH=/apps"], "WorkingDir": "/srv"}):
            result = self.enroot("start", target)
            self.assertEqual((result.out, result.err), ("first word $HOME b\n", ""))
            self.assertEqual(self.output(target, "given", "a  b"), "first word given a  b\n")

    def test_a_command_is_looked_up_in_the_images_path_and_runs_in_its_directory(self):
        for target in self.each({"Cmd": ["pwd"], "Env": ["PATH=/apps"], "WorkingDir": "/srv"}):
            self.assertEqual(self.output(target), "/srv\n")
            self.assertEqual(self.output(target, "echo", "x"), "x\n")
            self.assertEqual(self.output(target, "/apps/id", "-u"), "%d\n" % self.user.uid)
            self.assertEqual(self.output("--pid", target), "/srv\n")
            self.assertIn("directory: /srv\n",
                          self.enroot("start", "--dry-run", target).out)

    def test_nothing_to_run_is_one_error_that_says_what_to_do(self):
        for target in self.each({"Env": ["PATH=/apps"]}):
            self.refused("start", target, says="no shell.*command")
            self.assertEqual(self.output(target, "echo", "x"), "x\n")
            with open(self.user.work + "/rc", "w") as file:
                file.write("echo never\n")
            self.refused("start", "--rc", self.user.work + "/rc", target, says="no shell.*--rc")


class TestPackages(IdentityCase):
    """apt-get installs a package with a system user of its own in both identity modes."""

    def install(self, name, *options):
        self.enroot("create", *[option for option in options if option == "--subids"], "-n", name,
                    harness.world.library.squashed("debian"))
        self.enroot("start", "--root", "--rw", *options, name, "sh", "-ec",
                    "export DEBIAN_FRONTEND=noninteractive; apt-get -q -y "
                    "--no-install-recommends install /srv/debs/*.deb >/tmp/log 2>&1 "
                    "|| { cat /tmp/log; exit 1; }")
        self.assertEqual(self.output("--root", *options, name, "dpkg-query", "-W", "-f",
                                     "${db:Status-Status}", "openssh-server"), "installed")
        passwd = self.output(*options, name, "getent", "passwd", "sshd")
        self.assertRegex(passwd, "^sshd:x:[0-9]+:65534:")

    def test_with_one_id_and_the_filter(self):
        self.install("one")
        self.assertEqual(self.owner("one/usr/bin/ssh-agent"), (self.user.uid, self.user.gid))

    def test_with_subordinate_ids_and_without_the_filter(self):
        self.install("many", "--subids")
        agent = self.output("--subids", "--root", "many", "stat", "-c", "%U:%G %a",
                            "/usr/bin/ssh-agent")
        self.assertEqual(agent, "root:_ssh 2755\n")
        self.assertGreater(self.owner("many/usr/bin/ssh-agent")[1], FIRST)
        # _apt is a real user here, to which APT drops its privileges.
        self.assertIn("_apt:", self.output("--subids", "--root", "many", "cat", "/etc/passwd"))
        self.assertFalse(os.path.exists(self.data_path("many/etc/apt/apt.conf.d/enroot")))
        # sshd separates privileges: the unprivileged child has its own user and root directory.
        out = self.output("--subids", "--root", "--rw", "--pid", "--net", "many", "bash", "-ec",
                          r"""
            mkdir -p /run/sshd /root/.ssh; useradd -m -p '*' guest
            ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id
            install -d -m 700 -o guest -g guest /home/guest/.ssh
            install -m 600 -o guest -g guest /root/.ssh/id.pub /home/guest/.ssh/authorized_keys
            /usr/sbin/sshd -p 2222 -o UsePAM=no -o PidFile=none
            for i in {1..1000}; do
                (: </dev/tcp/127.0.0.1/2222) 2>/dev/null && break; sleep 0.1
            done
            exec 3<>/dev/tcp/127.0.0.1/2222; read -r banner <&3; echo "${banner%%-Open*}"
            printf 'SSH-2.0-test\r\n' >&3; head -c 16 <&3 >/dev/null
            users() {
                for status in /proc/[0-9]*/status; do  # of processes that may end meanwhile
                    awk '/^Name:/ { name = $2 } /^Uid:/ && name == "sshd" { print name, $2 }' \
                        $status 2>/dev/null || :
                done | sort | uniq
            }
            for i in {1..1000}; do
                found=$(users)
                [[ $found != *"sshd $(id -u sshd)"* ]] || break; sleep 0.1
            done
            echo "$found"
            id -u sshd
            exec 3>&-
            ssh -q -p 2222 -i /root/.ssh/id -o StrictHostKeyChecking=no guest@127.0.0.1 'id -un'
            """)
        lines = out.split("\n")
        self.assertEqual(lines[0], "SSH-2.0", out)
        self.assertIn("sshd 0", lines, out)
        self.assertIn("sshd " + lines[-3], lines, out)
        self.assertEqual(lines[-2], "guest", out)
