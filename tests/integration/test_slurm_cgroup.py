"""slurm cgroup: steps in control groups, as most clusters have them, and their limits."""
import contextlib
import os
import unittest

import slurm_life
from slurm_cluster import SlowRegistry
from slurm_life import LifeCase, called, kill, read

ROOT = "/sys/fs/cgroup"
KINDS = ("freezer", "memory")

cluster = None


def setUpModule():
    global cluster
    if any(not os.access("%s/%s" % (ROOT, kind), os.W_OK) for kind in KINDS):
        raise unittest.SkipTest("no control groups of version 1")
    cluster = slurm_life.up(
        "slurm-cgroup", "--config", "ProctrackType=proctrack/cgroup",
        "--config", "TaskPlugin=task/cgroup",
        "--config", "SelectTypeParameters=CR_CPU_Memory", "--config", "DefMemPerNode=1000",
        "--cgroup", "ConstrainRAMSpace=yes",
        "--cgroup", "ConstrainSwapSpace=no", "--cgroup", "MinRAMSpace=1",
        "--cgroup", "CgroupMountpoint=" + ROOT)
    remove_groups()  # of a run that was killed


def tearDownModule():
    slurm_life.down()
    remove_groups()


def remove_groups():
    for kind in KINDS:
        for name in cluster.addresses:
            for base, _, _ in os.walk("%s/%s/slurm_%s" % (ROOT, kind, name), topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(base)


def groups():
    """Those of jobs, of all nodes."""
    return [base for kind in KINDS for name in cluster.addresses
            for base, _, _ in os.walk("%s/%s/slurm_%s" % (ROOT, kind, name)) if "/job_" in base]


def group_of(pid, kind):
    for line in read(pid, "cgroup").splitlines():
        if line.split(":")[1] == kind:
            return line.split(":")[2]
    return None


class TestGroups(LifeCase):
    def tearDown(self):
        super().tearDown()
        self.wait_until("end of the control groups", lambda: not groups())

    def test_the_memory_of_enroot_step_is_the_step_s(self):
        """It is no process that Slurm waits for or signals, though."""
        process = self.start_sleep("-N1", "-wnode1", "--ntasks=2", tasks=2)
        own = called(self.user.processes(), "enroot-step")
        self.assertEqual(len(own), 2)  # and the image's server
        for pid in own:
            self.assertRegex(group_of(pid, "memory"), "/job_[0-9]+/step_0$")
            self.assertRegex(group_of(pid, "freezer"), "/job_[0-9]+$")
        for pid in self.sleeping():
            self.assertRegex(group_of(pid, "memory"), "/step_0/task_[01]$")
            self.assertRegex(group_of(pid, "freezer"), "/step_0$")
        process.terminate()
        self.ends(process)

    def test_a_save_is_waited_for(self):
        self.srun("-N2", "--ntasks=4", "--container-image=" + self.reference(),
                  "--container-save=%s/%%n.sqsh" % self.user.work, "true")

    def test_a_task_runs_out_of_memory(self):
        process = self.start_step("-N2", "--ntasks=4", "--mem=60", self.image_option(), "sh", "-c",
                                  "test $SLURM_PROCID = 3 || exec sleep 1; exec tail /dev/zero")
        self.ends(process, says="task 3: Out Of Memory")

    def test_an_import_runs_out_of_memory(self):
        """What is said tells what to do."""
        self.env = {"ENROOT_SQUASH_OPTIONS": "-comp xz -b 1M"}  # which takes a lot
        process = self.start_step("-N1", "--ntasks=3", "--mem=24",
                                  "--container-image=" + self.reference(), "true")
        _, err = self.ends(process, says=r"enroot was killed by signal 9 .* memory \(--mem\)")
        self.assertEqual(err.count("failed to import"), 1, err)

    def test_a_step_is_cancelled_during_an_import(self):
        with SlowRegistry() as registry:
            process = self.start_step("-N2", "--ntasks=4", "--job-name=slow", registry.image,
                                      "true")
            self.wait_for_import(registry)
            self.slurm("scancel", "--name=slow")
            self.ends(process, code=143)


class TestKilled(LifeCase):
    def test_slurmstepd_is_killed(self):
        """Its groups stay, Slurm's way, but without a process."""
        process = self.start_sleep("-N1", "-wnode2", "--ntasks=2", tasks=2)
        kill(called(slurm_life.all_processes(), "slurmstepd: ["))
        self.wait_until("end of the tasks", lambda: not self.sleeping())
        self.slurm("scancel", "--user=" + self.user.name)
        process.terminate()
        self.ends(process)
