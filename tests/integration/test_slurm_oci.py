"""slurm oci: Slurm's own --container, which runs bundles through oci.conf."""
import os
import shutil
import subprocess
import unittest

import harness
import slurm_cluster
import test_oci

ID = "%n.%u.%j.%s.%t"
CALL = "enroot oci --root=%s/states-%%u/%%n"  # of each node its own, as /run would be
COMMON = """RunTimeQuery="{call} state {id}"
RunTimeKill="{call} kill -a {id}"
RunTimeDelete="{call} delete --force {id}"
"""
RUN = COMMON + 'RunTimeRun="exec {call} run {id} -b %b"\n'
CREATE = COMMON + """RunTimeCreate="{call} create --bundle %b {id} </dev/null >/dev/null 2>&1"
RunTimeStart="{call} start {id}"
"""

cluster = None


def setUpModule():
    global cluster
    if not shutil.which("slurmctld") or not shutil.which("munged"):
        raise unittest.SkipTest("no Slurm")
    module = slurm_cluster.load_cluster()
    cluster = module.Cluster(harness.world.work + "/slurm-oci")
    os.makedirs(cluster.directory)
    configure(RUN)
    cluster.up(module.parse(["up", cluster.directory, "--bin", harness.world.bin, "--nodes", "3",
                             "--private", "/tmp"]))


def tearDownModule():
    cluster.down()


def configure(text):
    with open(cluster.path("oci.conf"), "w") as file:
        file.write(text.format(call=CALL % harness.world.work, id=ID))


class SlurmOciCase(test_oci.OciCase):
    def setUp(self):
        super().setUp()
        self.node_states = "%s/states-%s" % (harness.world.work, self.user.name)
        os.mkdir(self.node_states)
        os.chown(self.node_states, self.user.uid, self.user.gid)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.node_states], check=True)

    def srun(self, *argv, **options):
        options["env"] = {"SLURM_CONF": cluster.conf, "TMPDIR": None}
        return self.run_command("srun", *argv, **options)

    @staticmethod
    def logs(result):
        return slurm_cluster.logs(result, cluster.directory)

    def made(self, **members):
        """A bundle. Slurm 22.05 takes "rootfs" in it, whatever the configuration says, and puts
        command and environment of the step into a copy of that.
        """
        spec = self.spec("replaced", **members)
        spec["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}, {"type": "pid"}]
        path = self.bundle(spec)
        os.symlink(self.rootfs, path + "/rootfs")
        return path

    def left(self):
        return [name for _, names, _ in os.walk(self.node_states) for name in names
                if "." in name]


class TestRun(SlurmOciCase):
    """RunTimeRun, executed as the task through /bin/sh -c"""

    def test_a_step_on_three_nodes(self):  # a task on each: 22.05 takes no more
        result = self.srun("-N3", "--container=" + self.made(), "/bin/sh", "-c",
                           "echo $SLURM_JOB_NUM_NODES $(id -u) $(head -n 1 /etc/os-release)")
        self.assertEqual(result.code, 0, self.logs(result))
        lines = result.out.splitlines()
        self.assertEqual(len(lines), 3, result)
        for line in lines:
            self.assertRegex(line, "^3 0 NAME=.*Alpine")
        self.assertEqual(self.left(), [])

    def test_the_exit_status_and_a_cancelled_step(self):
        bundle = self.made()
        result = self.srun("-N1", "--container=" + bundle, "/bin/sh", "-c", "exit 7")
        self.assertEqual(result.code, 7, self.logs(result))
        process = self.start("srun", "-N1", "--container=" + bundle, "/bin/sleep", "1000",
                             env={"SLURM_CONF": cluster.conf, "TMPDIR": None})
        self.wait_for_program("sleep")
        self.assertEqual(self.run_command("scancel", "--user", self.user.name, env={
            "SLURM_CONF": cluster.conf}).code, 0)
        process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_a_bundle_that_is_none(self):
        result = self.srun("-N1", "--container=/missing", "true")
        self.assertNotEqual(result.code, 0)


class TestCreate(SlurmOciCase):
    """RunTimeCreate, RunTimeStart, RunTimeQuery until it has stopped, RunTimeDelete"""

    def test_a_step(self):
        configure(CREATE)
        self.addCleanup(configure, RUN)
        # Slurm 22.05 connects no streams to it, and waits for the end of those of "create".
        work = {"destination": "/work", "type": "bind", "source": self.user.work}
        result = self.srun("-N1", "--container=" + self.made(mounts=[work]), "/bin/sh", "-c",
                           "id -u >/work/id")
        self.assertEqual(result.code, 0, self.logs(result))
        with open(self.user.work + "/id") as file:
            self.assertEqual(file.read(), "0\n")
        self.assertEqual(self.left(), [])
