"""slurm mpi: programs of several nodes, each of which has a network and files of its own."""
import os
import re

import slurm_cluster
from slurm_cluster import SlurmCase


def setUpModule():
    slurm_cluster.up("slurm-mpi", "--network", "--private", "/dev/shm",
                     # Only the backfill scheduler starts heterogeneous jobs.
                     "--config", "SchedulerParameters=bf_interval=1")


def tearDownModule():
    slurm_cluster.down()


class TestNodes(SlurmCase):
    def test_nodes_have_networks_and_files_of_their_own(self):
        """A step of three nodes, with an image of a registry that all of them reach."""
        before = slurm_cluster.registry().blobs_sent()
        result = self.srun("-N3", "--ntasks-per-node=2",
                           "--container-image=" + self.reference(), "sh", "-c",
                           "echo $SLURM_NODEID $SLURM_PROCID $(hostname) $(readlink "
                           "/proc/self/ns/net) $(ip -4 -o address show dev eth0)")
        tasks = sorted(line.split() for line in result.out.splitlines())
        self.assertEqual([task[:3] for task in tasks], [
            [str(i // 2), str(i), "node%d" % (i // 2 + 1)] for i in range(6)], result)
        self.assertEqual(len({task[3] for task in tasks}), 3, result)
        self.assertEqual({task[7] for task in tasks},
                         {"198.51.100.%d/24" % i for i in (1, 2, 3)}, result)
        self.assertEqual(slurm_cluster.registry().blobs_sent() - before, 2)


class TestJobs(SlurmCase):
    """Jobs of several parts, and of several steps."""

    def both(self):
        """Options of two images, and a command that says which it is in."""
        return ("--container-image=" + self.image(), "--container-image=" + self.image("pytorch"),
                ("sh", "-c", "echo $SLURM_PROCID ${PYTORCH_VERSION:-none}"))

    def test_a_heterogeneous_job_with_an_image_for_each_part(self):
        first, second, show = self.both()
        script = ("srun --het-group=0 {0} {2}; srun --het-group=1 {1} {2}; "
                  "srun --het-group=0,1 {1} {2}").format(first, second, "sh -c '%s'" % show[-1])
        result = self.slurm("salloc", "-N1", "-n1", ":", "-N2", "-n2", "sh", "-c", script)
        self.assertEqual(result.code, 0, self.logs(result))
        lines = result.out.splitlines()
        self.assertEqual([lines[0]] + sorted(lines[1:3]) + sorted(lines[3:]), [
            "0 none", "0 2.1.0", "1 2.1.0", "0 2.1.0", "1 2.1.0", "2 2.1.0"])

    def test_parts_of_one_srun_have_one_image(self):
        """Slurm gives all of them the same options: other ones are refused, not mixed up."""
        first, second, show = self.both()
        result = self.slurm("srun", "-n1", first, *show, ":", "-n1", second, *show)
        self.assertNotEqual(result.code, 0)
        self.assertIn("--container-image differs between the parts of one srun", result.err)
        self.assertIn("--het-group=N", result.err)
        result = self.srun("-n1", first, *show, ":", "-n1", first, *show)
        self.assertEqual(sorted(result.out.splitlines()), ["0 none", "1 none"])

    def test_an_allocation_of_several_nodes(self):
        first, second, show = self.both()
        result = self.slurm("salloc", "-N3", "sh", "-c", "srun %s sh -c '%s'; srun -N1 -n1 %s "
                            "sh -c '%s'" % (first, show[-1], second, show[-1]))
        self.assertEqual(sorted(result.out.splitlines()),
                         ["0 2.1.0", "0 none", "1 none", "2 none"], self.logs(result))

    def batch(self, text, *options):
        """What a script has printed that runs in a container with Slurm's commands."""
        mounts = ",".join([
            "/usr", "/usr/lib:/lib", "/usr/lib64:/lib64", "/etc/passwd", "/etc/group", "/etc/hosts",
            slurm_cluster.cluster.directory, os.path.dirname(slurm_cluster.plugin()),
            self.user.work])
        with open(self.user.work + "/script", "w") as script:
            script.write("#!/bin/sh\n" + text)
        result = self.slurm("sbatch", "--wait", "--output=%s/out" % self.user.work, *options,
                            "--container-image=" + self.image(), "--container-mounts=" + mounts,
                            "script")
        with open(self.user.work + "/out") as file:
            out = file.read()
        self.assertEqual(result.code, 0, self.logs(result) + out)
        return out

    def test_srun_in_a_script_inside(self):
        """Its steps are in the script's image, on other nodes too, or in one of their own."""
        show = "sh -c 'echo $SLURM_NODEID $SLURM_PROCID ${PYTORCH_VERSION:-none}; " \
            "grep -c ^ID=alpine /etc/os-release'"
        out = self.batch("grep -c ^ID=alpine /etc/os-release\n"
                         "srun -N2 -n2 %s\nsrun -N1 -n1 --container-image=%s %s\n" % (
                             show, self.image("pytorch"), show), "-N2")
        lines = [line for line in out.splitlines() if "pyxis" not in line]
        self.assertEqual(sorted(lines), sorted(
            ["1"] + ["0 0 none", "1", "1 1 none", "1"] + ["0 0 2.1.0", "1"]), out)

    def test_an_array_whose_tasks_have_several_nodes(self):
        self.batch("srun -N2 -n2 sh -c 'echo $SLURM_ARRAY_TASK_ID >>%s/"
                   "$SLURM_ARRAY_TASK_ID.$SLURM_PROCID'\n" % self.user.work,
                   "-N2", "--array=1-2")
        for task in "12":
            for rank in "01":
                with open("%s/%s.%s" % (self.user.work, task, rank)) as file:
                    self.assertEqual(file.read(), task + "\n")


class TestMpi(SlurmCase):
    """Debian's MPI libraries inside containers, joined by what Slurm has for them outside."""

    def ring(self, manager, library, nodes, *arguments, **env):
        result = self.srun("--mpi=" + manager, "-N%d" % nodes, "--ntasks-per-node=2",
                           "--container-image=" + self.image("mpi"), library + "-ring",
                           *arguments, env=env)
        lines = sorted(result.out.splitlines())
        self.assertEqual([re.sub(r"node\d", "node", line) for line in lines], [
            "hello %d of %d on node: 2 here, sum 3" % (i, 2 * nodes) for i in range(2 * nodes)
        ] + ["ring %d" % (2 * nodes)], self.logs(result))
        self.assertEqual(len(set(re.findall(r"node\d", result.out))), nodes, result)

    def test_open_mpi_over_pmix(self):
        """Two ranks on each of three nodes, which share memory on a node."""
        # PMIx 4.2.2 would read its server's values in shared memory, and of 25 runs one or two
        # crash, outside of containers as well.
        self.ring("pmix", "openmpi", 3, PMIX_MCA_gds="hash")

    def test_mpich_over_pmi2(self):
        # UCX tells machines apart by the kernel's boot id, which these nodes share: it would
        # use memory and loopback interfaces between them. MPI_Finalize of MPICH 4.0.2 with UCX
        # 1.13 over TCP often waits forever, with the same program outside of containers as well.
        self.ring("pmi2", "mpich", 3, "quit", UCX_TLS="tcp,self", UCX_NET_DEVICES="eth0")

    def test_mpich_shares_memory_on_a_node(self):
        self.ring("pmi2", "mpich", 1, UCX_TLS="sm,self")

    def test_the_variables_of_each_task(self):
        """What the libraries begin with: ranks differ, and sockets are there."""
        for manager, script in (
                ("pmi2", "test -e /proc/self/fd/$PMI_FD && echo $PMI_RANK"),
                ("pmix", "test -n \"$(ls $PMIX_SERVER_TMPDIR)\" && echo $PMIX_RANK")):
            result = self.srun("--mpi=" + manager, "-N2", "--ntasks=4",
                               "--container-image=" + self.image(), "sh", "-c", script)
            self.assertEqual(sorted(result.out.split()), ["0", "1", "2", "3"], result)


class TestPyTorch(SlurmCase):
    """The variables of torch.distributed, as the classic hook 50-slurm-pytorch.sh sets them."""

    SETTING = {"ENROOT_SLURM_PYTORCH": "y"}

    def variables(self, *options, image="pytorch", **env):
        result = self.srun("-N2", "--ntasks-per-node=2", "--container-image=" + self.image(image),
                           *options, "sh", "-c", "echo $RANK,$LOCAL_RANK,$WORLD_SIZE,$MASTER_ADDR,"
                           "$MASTER_PORT,$OMP_NUM_THREADS,$SLURM_NODEID,$SLURM_JOB_ID", env=env)
        return sorted(line.split(",") for line in result.out.splitlines())

    def test_each_task_has_its_rank(self):
        found = self.variables(**self.SETTING)
        job = int(found[0][-1])
        self.assertEqual(found, [
            [str(rank), str(rank % 2), "4", "node1", str(job % 4536 + 61000), "1", str(rank // 2),
             str(job)] for rank in range(4)])

    def test_the_master_can_be_reached_under_its_name(self):
        """From another node, and over the job's network."""
        script = ("if [ $RANK = 0 ]; then echo token | nc -w 120 -l -p $MASTER_PORT; else "
                  "for i in $(seq 1000); do nc $MASTER_ADDR $MASTER_PORT </dev/null 2>/dev/null "
                  "&& exit; sleep 0.1; done; fi")
        result = self.srun("-N2", "--container-image=" + self.image("pytorch"), "sh", "-c", script,
                           env=self.SETTING)
        self.assertEqual(result.out, "token\n")

    def test_variables_that_the_user_names_win(self):
        found = self.variables("--container-env=MASTER_ADDR,MASTER_PORT", MASTER_ADDR="mine",
                               MASTER_PORT="1", **self.SETTING)
        self.assertEqual({tuple(line[3:5]) for line in found}, {("mine", "1")})

    def test_ranks_without_the_setting_and_nothing_for_other_images(self):
        """As with Pyxis, which sets the ranks of the tasks itself."""
        found = self.variables()
        self.assertEqual([line[:6] for line in found], [
            [str(rank), str(rank % 2), "", "", "", ""] for rank in range(4)])
        found = self.variables(image="alpine", **self.SETTING)
        self.assertEqual({tuple(line[:6]) for line in found}, {("",) * 6})
