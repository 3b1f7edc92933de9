"""slurm scenarios: 4 and 15, on three nodes: a CUDA image by its name, and bundles by oci.conf.

One cluster for both: the nodes have GPUs as far as files go (gpu_host.py), and the oci.conf of
docs/slurm.md as it stands there.
"""
import os
import re
import shutil
import subprocess

import gpu_host
import harness
import images
import slurm_cluster
import test_gpu

DOCUMENT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../docs/slurm.md")
CUDA = "nvidia/cuda", "12.4.0-base-ubuntu20.04"
STATES = "/run/enroot-oci"  # of the document


def oci_conf():
    """As the document has it."""
    with open(DOCUMENT) as document:
        block = re.search(r"```\n# /etc/slurm/oci\.conf.*?\n(.*?)```", document.read(), re.S)
    return block.group(1)


def setUpModule():
    host = harness.world.work + "/scenarios-gpu"
    slurm_cluster.need()
    gpu_host.make(host)
    # The container sees the kernel's /proc, so the nodes have to have the driver's part of it.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/proc/driver"], check=True)
    shutil.copytree(host + "/proc/driver/nvidia", "/proc/driver/nvidia")
    directory = harness.world.work + "/slurm-scenarios"
    os.mkdir(directory)
    with open(directory + "/oci.conf", "w") as conf:
        conf.write(oci_conf())
    slurm_cluster.up("slurm-scenarios", "--private", STATES)
    with open(slurm_cluster.SITE_CONF, "w"):
        pass  # Docker Hub speaks HTTPS, and the nodes need no setting for it


def tearDownModule():
    slurm_cluster.down()
    subprocess.run(["umount", "-l", "/proc/driver"], check=True)


class ScenarioCase(slurm_cluster.SlurmCase):
    def setUp(self):
        super().setUp()
        self.gpu = {"ENROOT_GPU_TEST_ROOT": harness.world.work + "/scenarios-gpu",
                    "ENROOT_RESTRICT_DEV": "yes"}

    @staticmethod
    def push_cuda():
        """An image like NVIDIA's on Docker Hub: Debian's layout, bash, and variables.

        Returns its name, and the registry that is the Hub here.
        """
        path = harness.world.work + "/cuda"
        if not os.path.exists(path):
            root = path + "-root"
            test_gpu.make_root(root, "debian")
            libraries = root + test_gpu.LIBRARY_DIRS["debian"]
            shutil.copy("/bin/bash", root + "/usr/bin")
            shutil.copy("/lib/%s/libtinfo.so.6" % gpu_host.TRIPLET, libraries)
            tar = subprocess.run(["tar", "-C", root, "--owner=0", "--group=0", "-c", "."],
                                 stdout=subprocess.PIPE, check=True).stdout
            images.layout(path, [tar], {"Cmd": ["/bin/bash"], "Env": [
                "PATH=/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES=all",
                "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]})
        images.push(path, harness.world.servers.plain.host, *CUDA)
        return "docker://%s:%s" % CUDA, harness.world.servers.hub


class TestScenario4(ScenarioCase):
    """srun -N1 --container-image=docker://nvidia/cuda:12.4.0-base-ubuntu20.04 bash"""

    def test_scenario_4_a_step_runs_inside_on_every_node(self):
        """Scenario 4: from Docker Hub by name, commands on bash's input, GPUs of the nodes."""
        image, hub = self.push_cuda()
        for nodes, blobs in ((1, 2), (3, 0)):
            before = hub.blobs_sent()
            result = self.srun("-N%d" % nodes, "--container-image=" + image, "bash",
                               input=b"nvidia-smi\necho node $SLURM_NODEID in $(cat "
                               b"/etc/debian_version)\n", env=self.gpu)
            lines = sorted(result.out.splitlines())
            self.assertEqual(lines, ["driver 999, nvidiactl open"] * nodes + [
                "node %d in 12.0" % node for node in range(nodes)], result)
            # Configuration and layer leave the registry for all jobs once.
            self.assertEqual(hub.blobs_sent() - before, blobs)

    def test_scenario_4_three_nodes_at_once(self):
        """Scenario 4 with a cold cache: the job's step runs inside, on every node asked for."""
        image, hub = self.push_cuda()
        before = hub.blobs_sent()
        result = self.srun("-N3", "--ntasks=6", "--container-image=" + image, "bash", "-c",
                           "nvidia-smi", env=self.gpu)
        self.assertEqual(result.out, "driver 999, nvidiactl open\n" * 6)
        self.assertEqual(hub.blobs_sent() - before, 2)

    def test_without_gpus(self):
        """The image asks for all GPUs, and the job has the last word."""
        image, _ = self.push_cuda()
        result = self.srun("-N3", "--container-image=" + image, "bash", "-c",
                           "ls /dev /usr/bin | grep -c nvidia; true",
                           env={**self.gpu, "NVIDIA_VISIBLE_DEVICES": "void"})
        self.assertEqual(result.out, "0\n" * 3)


class TestScenario15(ScenarioCase):
    """The guide's srun --container=BUNDLE, through oci.conf."""

    def bundle(self):
        """As the document makes one."""
        self.enroot("oci", "bundle", "-m", "%s:/scratch" % self.user.work, self.image(), "bundle")
        return self.user.work + "/bundle"

    def test_scenario_15_a_bundle_on_three_nodes(self):
        """Scenario 15: works with the OCI command line, by the documented configuration."""
        result = self.srun("-N3", "--container=" + self.bundle(), "/bin/sh", "-c",
                           "grep -c ^ID=alpine /etc/os-release; echo $SLURM_NNODES > "
                           "/scratch/$(cat /proc/sys/kernel/random/uuid).node")
        self.assertEqual(result.out, "1\n" * 3)
        written = [name for name in os.listdir(self.user.work) if name.endswith(".node")]
        self.assertEqual(len(written), 3)

    def test_scenario_15_the_check_names_sysctls_that_are_missing(self):
        """Scenario 15: what the guide has administrators set, on each node."""
        result = self.srun("-N3", "enroot", "check")
        for parameter in ("user.max_user_namespaces", "user.max_mnt_namespaces"):
            self.assertEqual(len(re.findall(r"(?m)^%s +: OK" % re.escape(parameter),
                                            result.out)), 3, result)
        # A limit of 0 below a namespace of the user's own, as a hardened node has it.
        result = self.slurm("srun", "-N3", "unshare", "--user", "--map-root-user", "sh", "-c",
                            "echo 0 >/proc/sys/user/max_user_namespaces; enroot check")
        self.assertNotEqual(result.code, 0, result)
        self.assertEqual(result.out.count("sysctl user.max_user_namespaces=65536"),
                         result.out.count("it is 0") + 3, result)
