"""slurm transfer network: nodes that have networks and caches of their own, and names."""
import os

import slurm_cluster
from slurm_cluster import SlurmCase

NODE = "/var/tmp/enroot-node"  # another directory on each node
CACHE_CONF = "/etc/enroot/enroot.conf.d/51-slurm-transfer-tests.conf"


def setUpModule():
    slurm_cluster.up("slurm-transfer-network", "--network", "--private", NODE)
    with open(CACHE_CONF, "w") as file:
        file.write("ENROOT_CACHE_PATH %s/cache-$(id -u)\n" % NODE)


def tearDownModule():
    os.unlink(CACHE_CONF)
    slurm_cluster.down()


class TestNetwork(SlurmCase):
    def test_an_image_goes_from_node_to_node(self):
        """Scenario 4 with nodes that share nothing."""
        registry = slurm_cluster.registry()
        before = registry.blobs_sent()
        result = self.srun("-N3", "--ntasks=6", "--container-image=" + self.reference(), "sh",
                           "-c", "grep -c ^ID=alpine /etc/os-release; readlink /proc/self/ns/net")
        words = result.out.split()
        self.assertEqual(words.count("1"), 6, result)
        self.assertEqual(len(set(words)), 4, result)  # three networks
        self.assertEqual(registry.blobs_sent() - before, 2, result)
        self.assertNotIn("importing it here", result.err)
