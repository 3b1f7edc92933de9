"""What the tests of the life of steps share: nodes that can die, and a look at what is left."""
import contextlib
import os
import re
import signal
import subprocess

import harness
import slurm_cluster
from slurm_cluster import SlurmCase

DATA_CONF = "/etc/enroot/enroot.conf.d/51-slurm-life.conf"

mounts_at_rest = None  # of each node, when it has had no job


def runtime_path():
    return harness.world.work + "/slurm-run"


def data_path():
    return harness.world.work + "/slurm-data"


def up(name, *options):
    """Start a cluster whose nodes have data and runtime paths of their own, for setUpModule."""
    global mounts_at_rest
    cluster = slurm_cluster.up(name, "--disk", runtime_path(), "--disk", data_path(),
                               "--config", "SchedulerParameters=batch_sched_delay=0", *options)
    for node in cluster.addresses:
        os.chmod(cluster.disk(node, data_path()), 0o1777)
    with open(DATA_CONF, "w") as file:
        file.write("ENROOT_DATA_PATH %s/$(id -u)\n" % data_path())
    mounts_at_rest = {node: mounts_of(node) for node in cluster.addresses}
    return cluster


def down():
    os.unlink(DATA_CONF)
    slurm_cluster.down()


# ---- nodes ----

def slurmd(name):
    return slurm_cluster.cluster.daemons["slurmd-" + name]


def mounts_of(name):
    with open("/proc/%d/mountinfo" % slurmd(name).pid) as file:
        return sorted(line.split()[4] for line in file)


def read(pid, file):
    """A file of a process in /proc, as text; "" where there is none any more."""
    with contextlib.suppress(OSError), open("/proc/%d/%s" % (pid, file), errors="replace") as text:
        return text.read()
    return ""


def all_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent_of(pid):
    found = re.search(r"^PPid:\t(\d+)", read(pid, "status"), re.M)
    return int(found.group(1)) if found else 0


def mount_namespace(pid):
    with contextlib.suppress(OSError):
        return os.readlink("/proc/%d/ns/mnt" % pid)
    return None


def processes_of(name):
    """Everything that runs on a node: what sees its files, and what comes from that."""
    own = mount_namespace(slurmd(name).pid)
    found = {pid for pid in all_processes() if mount_namespace(pid) == own}
    while True:
        more = {pid for pid in all_processes() if parent_of(pid) in found} - found
        if not more:
            return found
        found |= more


def called(pids, start):
    """Those of the processes whose command line begins with something."""
    return [pid for pid in pids if read(pid, "cmdline").startswith(start)]


def kill(pids, number=signal.SIGKILL):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end_slurmd(name, number=signal.SIGTERM):
    slurmd(name).send_signal(number)
    slurmd(name).wait(timeout=harness.TIMEOUT)


def kill_node(name):
    """As if its power had gone: nothing on it runs any more.

    First everything stops, so that nothing can start something else before it is killed.
    """
    stopped = set()
    while more := processes_of(name) - stopped:
        kill(more, signal.SIGSTOP)
        stopped |= more
    kill(stopped)
    slurmd(name).wait(timeout=harness.TIMEOUT)


class LifeCase(SlurmCase):
    """Afterwards there is nothing of a job on any node, and each node is ready for the next."""

    def tearDown(self):
        for job in self.jobs():  # of a test that failed
            self.slurm("scancel", job)
        super().tearDown()
        with contextlib.suppress(AssertionError):  # told below, with what it is
            self.wait_until("clean nodes", lambda: all(
                mounts_of(name) == mounts_at_rest[name] and not self.containers(name) and
                not self.runtime_files(name) for name in slurm_cluster.cluster.addresses))
        for name in slurm_cluster.cluster.addresses:
            self.assertEqual(mounts_of(name), mounts_at_rest[name], name)
            self.assertEqual(self.containers(name), [], self.logs(name))
            self.assertEqual(self.runtime_files(name), [], self.logs(name))
        self.assertEqual(self.reasons(), "", "drained")

    @staticmethod
    def containers(name):
        """Of the test's user, hidden ones included."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir("%s/%d" % (slurm_cluster.cluster.disk(name, data_path()),
                                                harness.world.user.uid)))
        return []

    @staticmethod
    def runtime_files(name):
        """But for the note of when slurmd started."""
        found = harness.files_below(slurm_cluster.cluster.disk(name, runtime_path()))
        return [path for path in found if path != "slurmd"]

    @staticmethod
    def reasons():
        """Why nodes are down or drained."""
        return subprocess.run(["sinfo", "-h", "-R"], check=True,
                              env=slurm_cluster.cluster.environment(),
                              stdout=subprocess.PIPE, text=True).stdout

    def control(self, *argv):
        """scontrol as the administrator."""
        return subprocess.run(["scontrol", *argv], check=True,
                              env=slurm_cluster.cluster.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True).stdout

    def image_option(self):
        return "--container-image=" + self.image()

    def start_sleep(self, *argv, tasks=1):
        """A step that sleeps in containers; returns when all its tasks do."""
        process = self.start_step(*argv, self.image_option(), "sleep", "1000")
        self.wait_until("tasks", lambda: len(self.sleeping()) >= tasks)
        return process

    def sleeping(self):
        return self.programs("sleep")

    def wake(self):
        """End the sleep of tasks that go on after it, which take as long as they are needed."""
        kill(self.sleeping(), signal.SIGTERM)

    def ends(self, process, says=None, code=None):
        """Wait for a step's srun; returns what it said."""
        out, err = process.communicate(timeout=harness.TIMEOUT)
        out, err = harness.text(out), harness.text(err)
        if says:
            self.assertRegex(err, says)
        if code is not None:
            self.assertEqual(process.returncode, code, err)
        return out, err

    def wait_for_import(self, registry):
        self.wait_until("import", lambda: registry.matching("/blobs/"))

    def jobs(self):
        """The numbers of all jobs that there are."""
        result = self.slurm("squeue", "-h", "-o", "%A")
        self.assertEqual(result.code, 0, result)
        return result.out.split()

    def batch(self, text, *options, **more):
        """Submit a script; returns the job's number."""
        with open(self.user.work + "/script", "w") as script:
            script.write("#!/bin/sh\n" + text)
        result = self.slurm("sbatch", "--parsable", "--output=out", "--open-mode=append",
                            *options, "script", **more)
        self.assertEqual(result.code, 0, result)
        return result.out.strip()

    def output(self):
        with contextlib.suppress(FileNotFoundError), open(self.user.work + "/out") as file:
            return file.read()
        return ""
