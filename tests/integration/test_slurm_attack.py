"""slurm attack: users who mean harm, and broken nodes: no root is deceived, no node drained."""
import os
import shutil
import signal
import stat

import harness
import slurm_cluster
import slurm_life
from slurm_life import LifeCase, called, parent_of

cluster = None


def setUpModule():
    global cluster
    cluster = slurm_life.up("slurm-attack")


def tearDownModule():
    slurm_life.down()


class TestDrain(LifeCase):
    """Whatever fails: the node stays, and the job's output file says why."""

    def fails(self, says, *options, between=lambda: None, **more):
        """A batch job in a container; the nodes change after it was checked by sbatch."""
        cluster.set_plugin(slurm_cluster.runtime_path())
        job = self.batch("echo never\n", "--hold", "-N1", self.image_option(), *options, **more)
        between()
        self.slurm("scontrol", "release", job)
        self.wait_until("end", lambda: not self.jobs())
        self.assertRegex(self.output(), says)
        self.assertNotIn("never", self.output())
        os.unlink(self.user.work + "/out")
        self.wait_for_idle()
        self.assertEqual(self.reasons(), "")

    def with_settings(self, *settings):
        return lambda: cluster.set_plugin(*settings)

    def tearDown(self):
        cluster.set_plugin(slurm_cluster.runtime_path())
        super().tearDown()

    def test_a_node_whose_configuration_is_wrong(self):
        self.fails("pyxis: .*cannot be used on this node", between=self.with_settings("word=1"))
        self.fails("pyxis: couldn't make /proc/none",
                   between=self.with_settings("runtime_path=/proc/none"))
        before, cluster.bin = cluster.bin, "/no/such/directory"
        self.addCleanup(setattr, cluster, "bin", before)
        self.fails("pyxis: .*is it in slurmd's PATH",
                   between=self.with_settings(slurm_cluster.runtime_path()))

    def test_jobs_without_containers_run_there(self):
        job = self.batch("echo ran\n", "--hold", "-N1")
        cluster.set_plugin("word=1")
        self.slurm("scontrol", "release", job)
        self.wait_until("output", lambda: "ran" in self.output())

    def test_slurmd_comes_up(self):
        cluster.set_plugin("runtime_path=/proc/none", "word=1")
        slurm_life.end_slurmd("node1")
        cluster.restart_node("node1")
        cluster.set_plugin(slurm_cluster.runtime_path())
        self.wait_for_idle()
        self.srun("-N1", "-wnode1", self.image_option(), "true")

    def test_options_that_no_srun_has_checked(self):
        """A client of one's own sends what it likes to slurmstepd."""
        name = "_SLURM_SPANK_OPTION_pyxis_container_"
        for option, value, says in (
                ("unshare", "pid", "unknown namespace 'pid'"),
                ("name", "../../etc", "not a name"),
                ("name", "7.0", "what a container without a name is called"),
                ("mounts", "::::", "invalid format")):
            self.fails(says, env={name + option: value})

    def test_a_data_path_that_cannot_be_cleaned(self):
        self.set_plugin("container_scope=job")
        place = "%s/%d" % (data_of("node1"), self.user.uid)
        self.srun("-N1", "-wnode1", self.image_option(), "--container-name=mine",
                  "--container-mounts=" + slurm_life.data_path(), "chmod", "0",
                  "%s/%d" % (slurm_life.data_path(), self.user.uid))
        self.wait_for_idle()
        self.assertEqual(stat.S_IMODE(os.stat(place).st_mode), 0)
        os.chmod(place, 0o700)
        for name in self.containers("node1"):
            self.enroot("remove", "--force", name, env={"ENROOT_DATA_PATH": place})
        shutil.rmtree(cluster.disk("node1", slurm_life.runtime_path()) + "/%d/jobs" % self.user.uid)

    def test_who_stops_enroot_step_holds_nothing_up(self):
        process = self.start_sleep("-N1", "-wnode1")
        found = called(self.user.processes(), "enroot-step")
        slurm_life.kill([pid for pid in found if parent_of(pid) not in found], signal.SIGSTOP)
        slurm_life.kill(self.sleeping(), signal.SIGTERM)
        self.ends(process, says="enroot says nothing any more")


def data_of(node):
    return cluster.disk(node, slurm_life.data_path())


class TestRoot(LifeCase):
    def test_no_variable_reaches_root(self):
        """The linker writes files for LD_DEBUG_OUTPUT, of whoever it runs for."""
        marks = self.user.work + "/marks"
        os.mkdir(marks)
        os.chmod(marks, 0o1777)
        self.set_plugin("container_scope=job")
        names = ("LD_DEBUG_OUTPUT", "SPANK_LD_DEBUG_OUTPUT", "SLURM_SPANK_LD_DEBUG_OUTPUT")
        environment = {name: marks + "/" + name for name in names}
        environment.update({name.replace("_OUTPUT", ""): "files" for name in names})
        environment.update({"BASH_ENV": marks + "/none", "HOME": marks,
                            "SLURM_CONF": cluster.conf})
        self.srun("-N1", self.image_option(), "--container-name=mine", "true", env=environment)
        self.wait_for_idle()
        self.wait_for_no_process(self.user)
        found = os.listdir(marks)
        self.assertTrue(found)  # srun's and enroot-step's
        self.assertEqual({os.stat(marks + "/" + name).st_uid for name in found}, {self.user.uid})

    def test_links_in_the_runtime_directory(self):
        """Marks of jobs are the user's own affair, also when the epilog removes them."""
        victim = harness.world.work + "/victim"
        os.mkdir(victim)
        self.addCleanup(os.rmdir, victim)
        self.srun("-N1", "-wnode1", self.image_option(), "true")
        marks = "%s/%d/jobs" % (cluster.disk("node1", slurm_life.runtime_path()), self.user.uid)
        self.wait_for_idle()
        os.rmdir(marks)
        os.symlink(victim, marks)
        os.lchown(marks, self.user.uid, self.user.gid)
        number = int(self.slurm("srun", "-N1", "-wnode2", "sh", "-c", "echo $SLURM_JOB_ID").out)
        kept = ["%s/%d" % (victim, number + i) for i in range(1, 4)]
        for path in kept:
            with open(path, "w"):
                pass
        self.slurm("srun", "-N1", "-wnode1", self.image_option(), "true")
        self.wait_for_idle()
        for path in kept:
            os.unlink(path)  # fails where it is gone
        os.unlink(marks)

    def test_a_runtime_path_that_others_can_write(self):
        """Root would give away what somebody puts in the place of the new directory."""
        place = self.user.work + "/run"
        os.mkdir(place)
        os.chmod(place, 0o1777)
        self.set_plugin()
        cluster.set_plugin("runtime_path=" + place)
        result = self.slurm("srun", "-N1", self.image_option(), "true")
        self.assertIn("others than root can write there", result.err)
        os.rmdir(place + "/link") if os.path.isdir(place + "/link") else None
        os.rmdir(place)
        os.symlink(slurm_life.data_path(), place)
        result = self.slurm("srun", "-N1", self.image_option(), "true")
        self.assertNotEqual(result.code, 0)
        os.unlink(place)

    def test_descriptors_of_tasks(self):
        result = self.srun("-N1", "--ntasks=2", self.image_option(), "sh", "-c",
                           "for i in /proc/self/fd/*; do readlink $i; done; true")
        plain = self.srun("-N1", "--ntasks=2", "sh", "-c",
                          "for i in /proc/self/fd/*; do readlink $i; done; true")
        self.assertEqual(len(result.out.splitlines()), len(plain.out.splitlines()), result)
        self.assertNotIn("enroot", result.out)

    def test_values_of_any_length(self):
        for name, value, says in (
                ("PYXIS_CONTAINER_MOUNTS", "/tmp:/mnt," * 12_000 + "/tmp:/mnt", "longer than"),
                ("PYXIS_CONTAINER_WORKDIR", "/" + "x" * 60_000, ""),
                ("PYXIS_CONTAINER_ENV", ",".join("N%d" % i for i in range(8_000)), None)):
            result = self.slurm("srun", "-N1", self.image_option(), "true", env={name: value})
            if says is None:
                self.assertEqual(result.code, 0, result)
            else:
                self.assertNotEqual(result.code, 0, result)
                self.assertIn("pyxis: " , result.err)
                self.assertIn(says, result.err)
