"""slurm options: the tables of Pyxis 0.24: options, variables and words of plugstack.conf."""
import os

import harness
import slurm_cluster
from slurm_cluster import SlurmCase

OPTIONS = (
    "--container-image=[USER@][REGISTRY#]IMAGE[:TAG]|PATH",
    "--container-mounts=SRC:DST[:FLAGS][,SRC:DST...]", "--container-workdir=PATH",
    "--container-name=NAME", "--container-save=PATH", "--container-mount-home",
    "--no-container-mount-home", "--container-remap-root", "--no-container-remap-root",
    "--container-entrypoint", "--no-container-entrypoint", "--container-entrypoint-log",
    "--container-writable", "--container-readonly", "--container-env=NAME[,NAME...]",
    "--container-unshare=NS[,NS...]")


def setUpModule():
    slurm_cluster.up("slurm-options")


def tearDownModule():
    slurm_cluster.down()


class TestTables(SlurmCase):
    def test_help_has_every_option(self):
        for command in ("srun", "sbatch", "salloc"):
            words = self.slurm(command, "--help").out.split()
            for option in OPTIONS:
                self.assertTrue(any(word.startswith(option) for word in words),
                                "%s --help lacks %s" % (command, option))

    def show(self, script, *options, **variables):
        """What a script prints in a container that variables describe."""
        env = {"PYXIS_CONTAINER_" + name: value for name, value in variables.items()}
        return self.srun("-N1", *options, "sh", "-c", script, env=env)

    def test_variables(self):
        """PYXIS_CONTAINER_*, each after the command line; an empty one is none."""
        image = self.image()
        os.mkdir(self.user.work + "/in")
        os.mkdir(self.user.work + "/rc")
        with open(self.user.work + "/rc/rc.local", "w") as file:
            file.write("echo from the entrypoint; exec \"$@\"\n")
        with open(self.user.home + "/mark", "w"):
            pass
        home = "test -e %s/mark && echo y || echo n" % self.user.home
        write = "touch /new 2>/dev/null && echo y || echo n"
        namespaces = "for i in net ipc uts; do readlink /proc/self/ns/$i; done"
        outside = self.srun("-N1", "sh", "-c", namespaces).out
        mount = self.user.work + "/in:/there:ro+nosuid"
        for variables, script, expected in (
                ({"WORKDIR": "/srv"}, "pwd", "/srv\n"),
                ({"MOUNTS": mount}, "grep -c ' /there .*ro,.*nosuid' /proc/mounts", "1\n"),
                ({"MOUNT_HOME": "1"}, home, "y\n"), ({"MOUNT_HOME": "no"}, home, "n\n"),
                ({"REMAP_ROOT": "true"}, "id -u", "0\n"),
                ({"REMAP_ROOT": "maybe"}, "id -u", "%d\n" % self.user.uid),
                ({"WRITABLE": "yes"}, write, "y\n"), ({"READONLY": "y"}, write, "n\n"),
                ({"READONLY": "n"}, write, "y\n"),
                ({"ENV": "LANG"}, "echo $LANG", "xx\n"), ({"ENV": ""}, "echo $LANG", "\n")):
            with self.subTest(variables):
                result = self.srun("-N1", "sh", "-c", script, env={
                    "PYXIS_CONTAINER_IMAGE": image, "LANG": "xx",
                    **{"PYXIS_CONTAINER_" + name: value for name, value in variables.items()}})
                self.assertEqual(result.out, expected)
        inside = self.show(namespaces, IMAGE=image, UNSHARE="net,ipc,uts").out
        self.assertEqual(set(inside.split()) & set(outside.split()), set())
        result = self.show("true", IMAGE=image, ENTRYPOINT="1", ENTRYPOINT_LOG="1",
                           MOUNTS="./rc/rc.local:/etc/rc.local")
        self.assertIn("pyxis: from the entrypoint", result.err)
        self.show("touch /mine", IMAGE=image, NAME="kept:create", WRITABLE="1",
                  SAVE="saved.sqsh")
        self.assert_image_valid(self.user.work + "/saved.sqsh")
        self.assertEqual(self.show("ls /mine", NAME="kept").out, "/mine\n")
        result = self.show("ls /mine; pwd", "--container-name=kept", "--container-workdir=/mnt",
                           NAME="never", WORKDIR="/srv", IMAGE="")
        self.assertEqual(result.out, "/mine\n/mnt\n")

    def test_kinds_of_mounts(self):
        """--container-mounts: a path alone, relative ones, a file, tmpfs, umount."""
        os.mkdir(self.user.work + "/in")
        with open(self.user.work + "/in/file", "w") as file:
            file.write("content\n")
        result = self.srun(
            "-N1", "--container-image=" + self.image(), "--container-mounts=" + ",".join([
                self.user.work + "/in", "./in:/a", "./in/../in/file:/b",
                "tmpfs:/c:size=1M", "tmpfs:/d", "umount:/d", self.user.work + "/in",
                self.user.work + "/in:/e:ro+rprivate"]),
            "sh", "-c", "cat %s/in/file /a/file /b; grep -c ' /c tmpfs .*size=1024k' "
            "/proc/mounts; grep -c ' /d ' /proc/mounts; touch /e/x; true" % self.user.work)
        self.assertEqual(result.out, "content\n" * 3 + "1\n0\n")
        self.assertIn("Read-only", result.err)

    def test_mounts_of_a_running_container(self):
        process = self.start_step("-N1", "-wnode1", "--container-image=" + self.image(),
                                  "--container-name=runs", "sleep", "1000")
        try:
            self.wait_for_program("sleep")
            result = self.srun("-N1", "-wnode1", "--container-name=runs",
                               "--container-mounts=/usr:/mnt", "ls", "/mnt")
        finally:
            process.terminate()
            process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(result.out, "")
        self.assertIn("pyxis: ignoring --container-mounts when attaching to a running container",
                      result.err)

    def test_words_of_the_configuration(self):
        """execute_entrypoint and sbatch_support; the others are tested with what they do."""
        image = "--container-image=" + self.image()
        os.mkdir(self.user.work + "/rc")
        with open(self.user.work + "/rc/rc.local", "w") as file:
            file.write("export ENTRY=set; exec \"$@\"\n")
        run = ("-N1", image, "--container-mounts=./rc/rc.local:/etc/rc.local")
        show = ("sh", "-c", "echo $ENTRY")
        self.assertEqual(self.srun(*run, *show).out, "\n")
        self.set_plugin("execute_entrypoint=1")
        self.assertEqual(self.srun(*run, *show).out, "set\n")
        self.assertEqual(self.srun(*run, "--no-container-entrypoint", *show).out, "\n")
        self.set_plugin("sbatch_support=0")
        for command in (("sbatch", image, "--wrap=true"), ("salloc", image, "true")):
            result = self.slurm(*command)
            self.assertIn("unrecognized option", result.err)
        self.srun("-N1", image, "true")

    def test_an_srun_in_an_allocation_replaces_its_options(self):
        """What salloc was given holds for its steps, but for those that say otherwise."""
        show = "sh -c 'echo ${PYTORCH_VERSION:-none} $(pwd)'"
        result = self.slurm(
            "salloc", "-N1", "--container-image=" + self.image(), "--container-workdir=/srv",
            "sh", "-c", "srun {0}; srun --container-image={1} --container-workdir=/mnt {0}".format(
                show, self.image("pytorch")))
        self.assertEqual(result.out, "none /srv\n2.1.0 /mnt\n", self.logs(result))

    def test_options_without_a_container_are_told(self):
        result = self.slurm("srun", "-N1", "--container-workdir=/", "--container-remap-root",
                            "true")
        self.assertEqual(result.code, 0, result)
        for option in ("--container-workdir", "--[no-]container-remap-root"):
            self.assertIn("ignoring %s because neither --container-image nor --container-name is "
                          "set" % option, result.err)
