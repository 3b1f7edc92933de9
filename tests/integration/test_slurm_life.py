"""slurm life: how steps in containers end, and what is left: nothing, on no node."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import slurm_life
from slurm_cluster import SlowRegistry
from slurm_life import LifeCase, called, end_slurmd, kill, kill_node, parent_of, read

cluster = None


def setUpModule():
    global cluster
    cluster = slurm_life.up("slurm-life")


def tearDownModule():
    slurm_life.down()


class TestEnds(LifeCase):
    def test_interrupting_srun_twice_ends_the_step(self):
        """Ctrl-C twice, while tasks run and while they wait for an import."""
        process = self.start_sleep("-N2", "--ntasks=4", tasks=4)
        with SlowRegistry() as registry:
            waiting = self.start_step("-N1", "--ntasks=2", registry.image, "true")
            self.wait_for_import(registry)
            for step in (process, waiting):
                self.interrupt_twice(step)
                self.ends(step)
                self.assertNotEqual(step.returncode, 0)

    @staticmethod
    def interrupt_twice(step):
        """The second time within a second of the first, after srun has said that it has heard."""
        step.send_signal(signal.SIGINT)
        for line in step.stderr:
            if b"one more within 1 sec" in line:
                step.send_signal(signal.SIGINT)

    def test_a_signal_reaches_the_tasks(self):
        """scancel --signal"""
        process = self.start_step(
            "-N1", "--ntasks=2", "--job-name=signals", self.image_option(), "sh", "-c",
            "trap 'echo heard; exit 3' USR1; echo waits >&2; while :; do sleep 0.1; done")
        self.wait_until("tasks", lambda: len(self.sleeping()) >= 2)
        self.slurm("scancel", "--signal=USR1", "--name=signals")
        out, _ = self.ends(process, code=3)
        self.assertEqual(out, "heard\nheard\n")

    def test_a_suspended_job_goes_on(self):
        process = self.start_step(
            "-N1", "--job-name=stops", self.image_option(), "sh", "-c",
            "sleep 1000; echo done")
        self.wait_until("tasks", self.sleeping)
        job, = self.jobs()
        self.control("suspend", job)
        self.wait_until("stop", lambda: all("State:\tT" in read(pid, "status")
                                          for pid in self.sleeping()))
        self.control("resume", job)
        self.wake()
        self.assertEqual(self.ends(process, code=0)[0], "done\n")

    def test_a_bad_exit_ends_the_others(self):
        """srun --kill-on-bad-exit"""
        process = self.start_step(
            "-N2", "--ntasks=4", "--kill-on-bad-exit", self.image_option(), "sh", "-c",
            "test $SLURM_PROCID = 2 && exit 5; sleep 1000")
        self.ends(process, says="exit code 5")
        self.assertNotEqual(process.returncode, 0)

    def test_the_time_limit(self):
        """TERM first, and KILL for who does not hear it; during an import, too."""
        with SlowRegistry() as registry:
            waiting = self.start_step("-N1", "--ntasks=2", "--time=1", registry.image, "true")
            self.wait_for_import(registry)
            deaf = self.start_step(
                "-N2", "--ntasks=4", "--time=1", self.image_option(), "sh", "-c",
                "trap 'echo heard' TERM; while :; do sleep 1; done")
            self.wait_until("tasks", lambda: len(self.sleeping()) >= 4)
            for job in self.jobs():
                self.control("update", "JobId=" + job, "EndTime=now")
            self.ends(waiting, says="DUE TO TIME LIMIT")
            out, _ = self.ends(deaf, says="DUE TO TIME LIMIT")
            self.assertIn("heard", out)
            self.assertNotIn(0, (waiting.returncode, deaf.returncode))


class TestSetUp(LifeCase):
    """What is killed while tasks wait for their container."""

    def waiting_tasks(self):
        return [pid for pid in self.user.processes() if read(pid, "comm") == "enroot-task\n"]

    def holders(self):
        """enroot-step, but not its children, which do the work."""
        found = called(self.user.processes(), "enroot-step")
        return [pid for pid in found if parent_of(pid) not in found]

    def test_the_first_task_is_killed(self):
        """The others go on: another one stands for it."""
        with SlowRegistry() as registry:
            process = self.start_step("-N1", "--ntasks=3", registry.image, "true")
            self.wait_until("tasks", lambda: len(self.waiting_tasks()) >= 3)
            self.wait_for_import(registry)
            kill([min(self.waiting_tasks())])
            registry.rate = None
            self.ends(process, says="task 0: Killed")

    def test_the_holder_is_killed(self):
        """The tasks say so, once, and end."""
        with SlowRegistry() as registry:
            process = self.start_step("-N1", "--ntasks=3", registry.image, "true")
            self.wait_for_import(registry)
            self.wait_until("tasks", lambda: len(self.waiting_tasks()) >= 3)
            kill(self.holders())
            _, err = self.ends(process, says="pyxis: enroot has ended")
            self.assertEqual(err.count("enroot has ended"), 1, err)
        self.wait_for_idle()
        self.wait_for_no_process(self.user)
        self.assert_nothing_left()


class TestNodes(LifeCase):
    def bring_back(self, *names):
        """Start dead nodes once more; their next job, of the same user, is a plain one."""
        for name in names:
            cluster.restart_node(name)
            self.control("update", "NodeName=" + name, "State=RESUME")
        self.wait_for_idle()
        self.srun("-N3", self.image_option(), "true")

    def test_a_node_dies_while_tasks_run(self):
        """Its srun ends, the other nodes are free at once, and its next job finds nothing."""
        process = self.start_sleep("-N3", "--ntasks=6", tasks=6)
        kill_node("node2")
        self.control("update", "NodeName=node2", "State=DOWN", "Reason=test")
        self.ends(process)
        self.assertNotEqual(process.returncode, 0)
        self.bring_back("node2")

    def test_a_node_dies_during_an_import(self):
        with SlowRegistry() as registry:
            process = self.start_step("-N3", "--ntasks=6", registry.image, "true")
            self.wait_for_import(registry)
            kill_node("node1")
            self.control("update", "NodeName=node1", "State=DOWN", "Reason=test")
            self.ends(process)
            self.assertNotEqual(process.returncode, 0)
        self.bring_back("node1")

    def test_what_a_dead_node_has_left_is_removed_by_its_next_job(self):
        """Containers, with and without names, of jobs that are gone."""
        self.set_plugin("container_scope=job", "use_squashfuse=0")
        process = self.start_step("-N2", "-wnode2,node3", "--ntasks=4", self.image_option(),
                                  "--container-name=gone", "sleep", "1000")
        unnamed = self.start_step("-N2", "-wnode2,node3", "--ntasks=4", self.image_option(),
                                  "sleep", "1000")
        self.wait_until("tasks", lambda: len(self.sleeping()) >= 8)
        dead = ("node2", "node3")
        for name in dead:
            kill_node(name)
            self.control("update", "NodeName=" + name, "State=DOWN", "Reason=test")
        for step in (process, unnamed):
            self.ends(step)
        for name in dead:
            self.assertEqual(len(self.containers(name)), 2)
            self.assertNotEqual(self.runtime_files(name), [])
        self.bring_back(*dead)

    def test_containers_of_a_job_outlive_slurmd(self):
        """A job that goes on keeps its containers, though other jobs look for leftovers."""
        self.set_plugin("container_scope=job")
        job = self.slurm("salloc", "-N1", "-wnode2", "--no-shell")
        job = re.search(r"allocation (\d+)", job.err).group(1)
        self.srun("--jobid=" + job, self.image_option(), "--container-name=mine",
                  "--container-writable", "touch", "/mark")
        end_slurmd("node2")
        cluster.restart_node("node2")
        self.srun("-N1", "-wnode2", self.image_option(), "true")
        self.wait_for_no_process(self.user)
        result = self.srun("--jobid=" + job, "--container-name=mine", "ls", "/mark")
        self.assertEqual(result.out, "/mark\n")
        self.slurm("scancel", job)

    def test_slurmd_is_started_again(self):
        """Steps go on, and end well."""
        process = self.start_step("-N3", "--ntasks=3", self.image_option(), "sh", "-c",
                                  "sleep 1000; echo $SLURM_PROCID")
        self.wait_until("tasks", lambda: len(self.sleeping()) >= 3)
        end_slurmd("node2")
        cluster.restart_node("node2")
        self.wake()
        out, _ = self.ends(process, code=0)
        self.assertEqual(sorted(out.split()), ["0", "1", "2"])

    def test_slurmctld_is_started_again(self):
        process = self.start_step("-N3", "--ntasks=3", self.image_option(), "sh", "-c",
                                  "sleep 1000; echo $SLURM_PROCID")
        self.wait_until("tasks", lambda: len(self.sleeping()) >= 3)
        cluster.daemons["slurmctld"].terminate()
        cluster.daemons["slurmctld"].wait(timeout=60)
        cluster.start_controller()
        self.wake()
        out, _ = self.ends(process, code=0)
        self.assertEqual(sorted(out.split()), ["0", "1", "2"])

    def test_slurmstepd_is_killed(self):
        """Its tasks, which Slurm does not know any more, end with it."""
        process = self.start_sleep("-N1", "-wnode2", "--ntasks=2", tasks=2)
        kill(called(slurm_life.all_processes(), "slurmstepd: ["))
        self.wait_until("end of the tasks", lambda: not self.sleeping())
        self.slurm("scancel", "--user=" + self.user.name)
        process.terminate()
        self.ends(process)


class TestRequeue(LifeCase):
    def begins_now(self, job):
        """Slurm lets a requeued job wait two minutes from the end of its epilogs."""
        with contextlib.suppress(subprocess.CalledProcessError):
            if "JobState=PENDING" in self.control("show", "job", job):
                self.control("update", "JobId=" + job, "StartTime=now")
        return True

    def test_a_requeued_job_begins_anew(self):
        """The second run finds no container of the first one."""
        self.set_plugin("container_scope=job")
        job = self.batch(
            "srun -N1 --container-image=%s --container-name=mine --container-writable sh -c "
            "'ls /mark; touch /mark; echo made; test $SLURM_RESTART_COUNT || sleep 1000'\n" %
            self.image(), "-N1", "-wnode2", "--requeue")
        self.wait_until("first run", lambda: "made" in self.output())
        self.control("requeue", job)
        time.sleep(2.5)  # within the same second slurmd takes it for the job that was killed
        self.wait_until("second run", lambda: self.begins_now(job) and
                      self.output().count("made") == 2)
        self.wait_for_idle()
        self.assertEqual(self.output().count("/mark: No such file"), 2, self.output())


class TestUpgrade(LifeCase):
    def test_plugin_and_program_are_replaced_under_running_steps(self):
        """New files take the names of the old ones; running steps end well, and save."""
        place = self.user.work + "/site"
        os.mkdir(place)
        for source in (cluster.plugin, cluster.bin + "/enroot"):
            shutil.copy2(source, place)
        old = cluster.plugin, cluster.bin
        cluster.plugin, cluster.bin = place + "/spank_enroot.so", place
        self.addCleanup(lambda: setattr(cluster, "plugin", old[0]))
        self.addCleanup(lambda: setattr(cluster, "bin", old[1]))
        self.set_plugin()
        process = self.start_step(
            "-N2", "--ntasks=4", "--container-save=%s/saved-%%n.sqsh" % self.user.work,
            self.image_option(), "sh", "-c", "sleep 1000; echo $SLURM_PROCID")
        self.wait_until("tasks", lambda: len(self.sleeping()) >= 4)
        for name in ("spank_enroot.so", "enroot"):
            os.rename(place + "/" + name, place + "/old-" + name)
            shutil.copy2(place + "/old-" + name, place + "/new")
            os.rename(place + "/new", place + "/" + name)
        os.unlink(place + "/old-spank_enroot.so")
        with open(place + "/enroot", "w") as script:
            script.write("#!/bin/bash\necho new >> %s/used\nexec -a enroot-step %s/old-enroot "
                         "\"$@\"\n" % (self.user.work, place))
        result = self.srun("-N1", self.image_option(), "echo", "works")
        self.assertEqual(result.out, "works\n")
        self.assertTrue(os.path.exists(self.user.work + "/used"))
        self.wake()
        out, _ = self.ends(process, code=0)
        self.assertEqual(sorted(out.split()), ["0", "1", "2", "3"])
