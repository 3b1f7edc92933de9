"""slurm mpi: programs of several nodes, each of which has a network and files of its own."""
import slurm_cluster
from slurm_cluster import SlurmCase


def setUpModule():
    slurm_cluster.up("slurm-mpi", "--network", "--private", "/dev/shm")


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
