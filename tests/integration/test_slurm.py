"""slurm: the plugin on a cluster of three nodes, with jobs of ordinary users."""
import contextlib
import os
import re
import signal

import harness
import slurm_cluster
from slurm_cluster import SlowRegistry, SlurmCase


def setUpModule():
    slurm_cluster.up("slurm")


def tearDownModule():
    slurm_cluster.down()


class TestSrun(SlurmCase):
    def test_an_image_file(self):
        result = self.srun("-N1", "--container-image=" + self.image(), "cat", "/etc/os-release")
        self.assertIn("alpine", result.out)

    def test_an_image_of_a_registry(self):
        result = self.srun("-N1", "--container-image=" + self.reference(), "cat",
                           "/etc/os-release")
        self.assertIn("alpine", result.out)
        self.assertIn("pyxis: importing docker image: " + self.reference(), result.err)
        self.assertIn("pyxis: imported docker image: " + self.reference(), result.err)

    def test_tasks_of_a_node_share_a_container_and_nodes_do_not(self):
        result = self.srun("-N3", "--ntasks=12", "--container-image=" + self.image(), "sh", "-c",
                           "echo $SLURM_NODEID $SLURM_PROCID $(readlink /proc/self/ns/mnt) "
                           "$(id -u)")
        lines = sorted(line.split() for line in result.out.splitlines())
        self.assertEqual(len(lines), 12, result)
        self.assertEqual({line[1] for line in lines}, {str(i) for i in range(12)})
        self.assertEqual({line[3] for line in lines}, {str(self.user.uid)})
        self.assertEqual(len({(line[0], line[2]) for line in lines}), 3, result)

    def test_the_command_need_not_exist_on_the_host(self):
        path = self.import_from(harness.world.servers.plain, "application")
        result = self.srun("-N1", "--container-image=" + path, "/app/tool", "x")
        self.assertIn("cwd=/app/work dir", result.out)
        self.assertIn("/app/tool|x|\n", result.out)

    def test_environment(self):
        path = self.import_from(harness.world.servers.plain, "application")
        env = {"MODE": "of the job", "MINE": "1", "LANG": "xx", "LD_PRELOAD": ""}
        command = ("-N1", "--container-image=" + path, "sh", "-c",
                   "echo \"$MODE,$MINE,$LANG,$PATH\"")
        self.assertEqual(self.srun(*command, env=env).out, "image value,1,,/usr/bin:/bin\n")
        result = self.srun("--container-env=MODE,LANG", *command, env=env)
        self.assertEqual(result.out, "of the job,1,xx,/usr/bin:/bin\n")

    def test_mounts_and_directory(self):
        os.mkdir(self.user.work + "/in")
        with open(self.user.work + "/in/file", "w") as file:
            file.write("content\n")
        os.chown(self.user.work + "/in", self.user.uid, self.user.gid)
        result = self.srun(
            "-N1", "--container-image=" + self.image(), "--container-workdir=/there",
            "--container-mounts=%s/in:/there,./in/file:/one:ro+rprivate,tmpfs:/mnt" %
            self.user.work,
            "sh", "-c", "pwd; cat file /one; echo x > /one; echo y > new; grep -c ' /mnt ' "
            "/proc/mounts; true")
        self.assertIn("/there\ncontent\ncontent\n", result.out)
        self.assertIn("Read-only", result.err)
        self.assertIn("1\n", result.out)
        self.assertTrue(os.path.exists(self.user.work + "/in/new"))

    def test_options_of_the_start(self):
        image = "--container-image=" + self.image()
        self.assertEqual(self.srun("-N1", image, "--container-remap-root", "id", "-u").out, "0\n")
        self.assertEqual(self.srun("-N1", image, "id", "-u", env={
            "PYXIS_CONTAINER_REMAP_ROOT": "1"}).out, "0\n")
        self.assertEqual(self.srun("-N1", image, "--no-container-remap-root", "id", "-u", env={
            "PYXIS_CONTAINER_REMAP_ROOT": "1"}).out, "%d\n" % self.user.uid)
        with open(self.user.home + "/mark", "w"):
            pass
        test = ("sh", "-c", "test -e %s/mark && echo there || echo none" % self.user.home)
        self.assertEqual(self.srun("-N1", image, "--container-mount-home", *test).out, "there\n")
        self.assertEqual(self.srun("-N1", image, "--no-container-mount-home", *test).out, "none\n")
        write = ("sh", "-c", "echo x > /new && echo written || echo not")
        self.assertEqual(self.srun("-N1", image, "--container-writable", *write).out, "written\n")
        self.assertEqual(self.srun("-N1", image, "--container-readonly", *write).out, "not\n")

    def test_namespaces(self):
        image = "--container-image=" + self.image()
        show = ("sh", "-c", "for i in net ipc uts; do readlink /proc/self/ns/$i; done")
        plain = self.srun("-N1", *show).out.split()
        self.assertEqual(self.srun("-N1", image, *show).out.split(), plain)
        own = self.srun("-N1", image, "--container-unshare=net,ipc,uts", *show).out.split()
        self.assertEqual(set(plain) & set(own), set())

    def test_entrypoint(self):
        path = self.import_from(harness.world.servers.plain, "application")
        image = "--container-image=" + path
        result = self.srun("-N1", image, "sh", "-c", "echo plain")
        self.assertEqual(result.out, "plain\n")
        os.mkdir(self.user.work + "/rc")
        with open(self.user.work + "/rc/rc.local", "w") as file:
            file.write("echo from the entrypoint; export ENTRY=set; cd /tmp; exec \"$@\"\n")
        result = self.srun("-N1", image, "--container-entrypoint", "--container-entrypoint-log",
                           "--container-mounts=./rc/rc.local:/etc/rc.local", "sh", "-c",
                           "echo $ENTRY; pwd")
        self.assertEqual(result.out, "set\n/tmp\n")
        self.assertIn("pyxis: from the entrypoint", result.err)

    def test_rights_are_those_of_a_start(self):
        result = self.srun("-N1", "--container-image=" + self.image(), "cat", "/proc/self/status")
        status = dict(line.split(":\t", 1) for line in result.out.splitlines() if ":\t" in line)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertEqual(int(status["CapEff"], 16) | int(status["CapBnd"], 16), 0)

    def test_exit_status_and_output(self):
        image = "--container-image=" + self.image()
        result = self.slurm("srun", "-N1", image, "sh", "-c", "exit 7")
        self.assertEqual(result.code, 7, result)
        result = self.slurm("srun", "-N1", image, "/no/such/program")
        self.assertIn("No such file", result.err)
        self.assertNotEqual(result.code, 0)


class TestFailures(SlurmCase):
    def fails(self, *argv, says, **options):
        result = self.slurm("srun", *argv, **options)
        self.assertNotEqual(result.code, 0, self.logs(result))
        self.assertRegex(result.err, says, self.logs(result))
        return result

    def test_a_failing_import_is_told_once(self):
        result = self.fails("-N1", "--ntasks=4", "--container-image=%s-none" % self.reference(),
                            "true", says="pyxis: failed to import docker image: ")
        self.assertEqual(len(re.findall(r"\[ERROR\]", result.err)), 1, result)
        self.wait_for_idle()

    def test_bad_input(self):
        image = "--container-image=" + self.image()
        for arguments, says in (
                (["--container-image=/no/such/image.sqsh"], "/no/such/image.sqsh"),
                (["--container-image="], "argument required"),
                ([image, "--container-mounts=/no/such:/mnt"], "/no/such"),
                ([image, "--container-mounts=x:/mnt"], "source must be a path"),
                ([image, "--container-unshare=pid"], "unknown namespace 'pid'"),
                ([image, "--container-name=n:sometimes"], "flag must be"),
                ([image, "--container-workdir=/no/such/directory"], "/no/such/directory"),
                ([image, "--container-save=here/"], "target is a directory"),
                (["--container-name=never-made"], "does not exist, and --container-image is not")):
            self.fails("-N1", "--ntasks=2", *arguments, "true", says=says)
        self.wait_for_idle()

    def test_cancelling_during_an_import(self):
        with SlowRegistry() as registry:
            process = self.start_step("-N2", "--ntasks=4", "--job-name=slow", registry.image,
                                      "true")
            self.wait_until("import", lambda: registry.matching("/blobs/"))
            self.slurm("scancel", "--name=slow")
            err = process.communicate(timeout=harness.TIMEOUT)[1]
        self.assertEqual(process.returncode, 143, err)  # SIGTERM, long before KillWait
        self.wait_for_idle()
        self.assert_nothing_left()

    def test_cancelling_running_tasks(self):
        process = self.start_step("-N3", "--ntasks=6", "--job-name=sleeps",
                                  "--container-image=" + self.image(), "sleep", "1000")
        self.wait_for_program("sleep", 6)
        self.slurm("scancel", "--name=sleeps")
        process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 143)


class TestNames(SlurmCase):
    def name(self, text):
        return "--container-name=" + text

    def test_a_named_container_is_kept_and_used_again(self):
        image = "--container-image=" + self.image()
        self.srun("-N1", "-wnode1", image, self.name("kept"), "--container-writable", "sh", "-c",
                  "echo mine > /mark")
        self.assertEqual(self.enroot("list").out, "pyxis_kept\n")
        result = self.srun("-N1", "-wnode1", image, self.name("kept"), "cat", "/mark")
        self.assertEqual(result.out, "mine\n")
        self.assertNotIn("pyxis", result.err)
        self.assertEqual(self.srun("-N1", self.name("kept"), "cat", "/mark").out, "mine\n")
        result = self.slurm("srun", "-N1", image, self.name("kept:create"), "true")
        self.assertIn("container already exists", result.err)
        result = self.slurm("srun", "-N1", self.name("kept:exec"), "true")
        self.assertIn("container is not running", result.err)

    def test_a_running_container_is_joined(self):
        image = "--container-image=" + self.image()
        process = self.start_step("-N1", "-wnode1", image, self.name("runs"), "sleep", "1000")
        try:
            self.wait_for_program("sleep")
            show = ("sh", "-c", "pidof sleep >/dev/null; readlink /proc/self/ns/mnt; "
                    "echo $SLURM_JOB_ID")
            first = self.srun("-N1", "-wnode1", self.name("runs"), *show).out.split()
            second = self.srun("-N1", "-wnode1", self.name("runs:exec"), *show).out.split()
            apart = self.srun("-N1", "-wnode1", self.name("runs:no_exec"), *show).out.split()
        finally:
            process.terminate()
            process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(first[0], second[0])
        self.assertNotEqual(first[0], apart[0])
        self.assertEqual(int(second[1]), int(first[1]) + 1)

    def test_unnamed_containers_are_removed_and_saved_ones_are_images(self):
        result = self.srun("-N1", "--ntasks=2", "--container-image=" + self.reference(),
                           "--container-writable", "--container-save=saved.sqsh", "sh", "-c",
                           "echo $SLURM_PROCID >> /mark")
        self.assertIn("pyxis: exported container pyxis_", result.err)
        self.assert_image_valid(self.user.work + "/saved.sqsh")
        self.assertEqual(self.enroot("list").out, "")
        result = self.srun("-N1", "--container-image=./saved.sqsh", "sort", "/mark")
        self.assertEqual(result.out, "0\n1\n")

    def test_containers_of_a_job(self):
        """container_scope=job: another job does not see them, and the epilog removes them."""
        self.set_plugin("container_scope=job")
        image = "--container-image=" + self.image()
        result = self.slurm("salloc", "-N1", "sh", "-c",
                            "srun %s --container-name=mine --container-writable touch /mark && "
                            "enroot list && srun --container-name=mine ls /mark" % image)
        self.assertRegex(result.out, r"^pyxis_[0-9]+_mine\n/mark\n", self.logs(result))
        result = self.slurm("srun", "-N1", "--container-name=mine", "true")
        self.assertIn("does not exist", result.err)
        self.wait_for_idle()
        self.assertEqual(self.enroot("list").out, "")

    def test_extraction_and_load(self):
        for settings in (["use_squashfuse=0"], ["use_enroot_load=1"]):
            self.set_plugin(*settings)
            result = self.srun("-N1", "--ntasks=4", "--container-image=" + self.reference(),
                               "sh", "-c", "grep -c ' / overlay ' /proc/self/mounts; "
                               "grep -c ^ID=alpine /etc/os-release")
            self.assertEqual(sorted(result.out.split()), ["0"] * 4 + ["1"] * 4)
            self.assertEqual(self.enroot("list").out, "")


class TestBatch(SlurmCase):
    def sbatch(self, text, *options):
        with open(self.user.work + "/script", "w") as script:
            script.write("#!/bin/sh\n" + text)
        result = self.slurm("sbatch", "--wait", "--output=out", "--error=err", *options, "script")
        with open(self.user.work + "/out") as file:
            return result, file.read()

    def test_the_script_runs_inside(self):
        result, out = self.sbatch("#SBATCH --container-image=%s\ncat /etc/os-release\n" %
                                  self.image())
        self.assertEqual(result.code, 0, self.logs(result))
        self.assertIn("alpine", out)

    def test_steps_of_a_script_are_inside(self):
        result, out = self.sbatch(
            "grep -c alpine /etc/os-release\n"
            "srun --ntasks=3 --container-image=%s --container-name=all grep -c ^ID=alpine "
            "/etc/os-release\nsrun --ntasks=1 -N1 --container-name=all grep -c ^ID=alpine "
            "/etc/os-release\nexit 3\n" % self.image(), "-N1", "--ntasks=3")
        self.assertEqual(result.code, 3, self.logs(result))
        self.assertEqual(out, "0\n1\n1\n1\n1\n")

    def test_an_allocation(self):
        result = self.slurm("salloc", "-N1", "srun", "--container-image=" + self.image(), "cat",
                            "/etc/os-release")
        self.assertIn("alpine", result.out, self.logs(result))

    def test_an_array(self):
        result, _ = self.sbatch("#SBATCH --container-image=%s\n"
                                "echo $SLURM_ARRAY_TASK_ID > %s/$SLURM_ARRAY_TASK_ID.txt\n" % (
                                    self.image(), self.user.work), "--array=1-3",
                                "--container-mounts=%s" % self.user.work)
        self.assertEqual(result.code, 0, self.logs(result))
        for i in "123":
            with open("%s/%s.txt" % (self.user.work, i)) as file:
                self.assertEqual(file.read(), i + "\n")


class TestSharing(SlurmCase):
    """Scenario 4: an image reaches every node of a job, and leaves the registry once."""

    def test_one_import_for_three_nodes(self):
        """With a shared cache path, each blob leaves the registry once."""
        plain, sent = harness.world.servers.plain, []
        for _ in range(2):
            before = plain.blobs_sent()
            result = self.srun("-N3", "--ntasks=6", "--container-image=" + self.reference(),
                               "grep", "-c", "^ID=alpine", "/etc/os-release")
            self.assertEqual(result.out, "1\n" * 6)
            sent.append(plain.blobs_sent() - before)
        self.assertEqual(sent, [2, 0])  # configuration and layer, and then nothing


class TestSafety(SlurmCase):
    def test_the_environment_of_the_user_reaches_no_root(self):
        """Slurm: a hostile environment in prolog, epilog, slurmd and slurmstepd."""
        marks = self.user.work + "/marks"
        os.mkdir(marks, 0o777)
        os.chmod(marks, 0o777)
        os.mkdir(self.user.work + "/bin")
        with open(self.user.work + "/bin/enroot", "w") as script:
            script.write("#!/bin/sh\nid -u > %s/enroot-$(id -u)\n" % marks)
        os.chmod(self.user.work + "/bin/enroot", 0o755)
        self.set_plugin("container_scope=job")
        self.srun("-N1", "--container-image=" + self.image(), "--container-name=x", "true", env={
            "PATH": "%s/bin:%s" % (self.user.work, os.environ["PATH"]),
            "ENROOT_LIBRARY_PATH": marks, "ENROOT_SYSCONF_PATH": marks,
            "ENROOT_DATA_PATH": marks, "ENROOT_CACHE_PATH": marks, "ENROOT_TEMP_PATH": marks,
            "ENROOT_RUNTIME_PATH": marks, "XDG_RUNTIME_DIR": marks})
        self.wait_for_idle()
        self.assertEqual(os.listdir(marks), [])
        self.assertEqual(self.enroot("list").out, "")

    def test_nothing_is_left_when_slurmstepd_is_killed(self):
        process = self.start_step("-N1", "--container-image=" + self.image(), "sleep", "1000")
        self.wait_for_program("sleep")
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/cmdline" % name) as file:
                    if file.read().startswith("slurmstepd:"):
                        os.kill(int(name), signal.SIGKILL)
        self.slurm("scancel", "--user=" + self.user.name)
        process.terminate()
        for pid in self.user.processes():  # the task is Slurm's, and not known to it any more
            with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as file:
                if file.read() == "sleep\n":
                    os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=harness.TIMEOUT)
