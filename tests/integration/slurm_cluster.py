"""What the tests of Slurm share: a cluster (tests/slurm/cluster) and a case that uses it."""
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import unittest

import harness
import servers

NODES = 3
CLUSTER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../slurm/cluster")
SITE_CONF = "/etc/enroot/enroot.conf.d/50-slurm-tests.conf"

cluster = None  # the one that is up


def load_cluster():
    loader = importlib.machinery.SourceFileLoader("cluster", CLUSTER)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("cluster", loader))
    loader.exec_module(module)
    return module


def plugin():
    """The installed plugin, or None where it was not built."""
    found = subprocess.run(["find", harness.world.work + "/install", "-name", "spank_enroot.so"],
                           stdout=subprocess.PIPE, check=True).stdout.decode().split()
    return found[0] if found else None


def runtime_path():
    return "runtime_path=%s/slurm-run" % harness.world.work


def need():
    """Skip the module's tests where there is no Slurm."""
    if not shutil.which("slurmctld") or not shutil.which("munged") or not plugin():
        raise unittest.SkipTest("no Slurm, or no plugin built for it")


def up(name, *options):
    """Start a cluster with the plugin, for setUpModule; options as tests/slurm/cluster has them.

    Skips the module's tests where there is no Slurm.
    """
    global cluster
    need()
    os.makedirs(os.path.dirname(SITE_CONF), exist_ok=True)
    with open(SITE_CONF, "w") as file:  # users cannot decide this for the nodes
        file.write("ENROOT_ALLOW_HTTP yes\n")
    module = load_cluster()
    cluster = module.Cluster("%s/%s" % (harness.world.work, name))
    cluster.up(module.parse([
        "up", cluster.directory, "--plugin", plugin(), "--bin", harness.world.bin,
        "--nodes", str(NODES), "--setting", runtime_path(),
        "--private", "/tmp",  # Slurm's PMIx puts files there that would be the same
        *options]))
    return cluster


def down():
    os.unlink(SITE_CONF)
    cluster.down()


def registry():
    """One that the nodes reach, of the images that all have."""
    running = harness.world.servers
    if cluster.address == "127.0.0.1":
        return running.plain
    address = cluster.address + ":5000"
    return running.registry("bridge", address, address, tls=False)


class SlowRegistry(servers.Proxy):
    """Stands before registry(). rate is that of its blobs, in bytes a second, from now on.

    None is as fast as it goes; without being told so, an import does not end within a test.
    """

    def __init__(self, rate=2000):
        self.rate = rate
        super().__init__(registry().host, lambda request: {"rate": lambda: self.rate}
                         if "/blobs/" in request["path"] else None)

    @property
    def image(self):
        """The option for an image of it."""
        return "--container-image=%s#%s" % (self.host, harness.world.library.pushed("alpine"))


def logs(result, directory):
    """What a failure is told with."""
    text = str(result)
    for name in sorted(os.listdir(directory)):
        if name.startswith("slurmd-") and name.endswith(".log"):
            with open(os.path.join(directory, name)) as log:
                text += "\n--- %s\n%s" % (name, "".join(log.readlines()[-30:]))
    return text


class SlurmCase(harness.Case):
    def tearDown(self):
        self.wait_for_idle()  # the epilog runs as the user, too
        super().tearDown()

    def set_plugin(self, *settings):
        """Another configuration of the plugin until the end of the test."""
        cluster.set_plugin(runtime_path(), *settings)
        self.addCleanup(cluster.set_plugin, runtime_path())

    def slurm(self, *argv, **options):
        # slurmstepd would make the user's TMPDIR in the container.
        options["env"] = {"SLURM_CONF": cluster.conf, "TMPDIR": None, **options.pop("env", {})}
        return self.run_command(*argv, **options)

    def start_step(self, *argv):
        return self.start("srun", *argv, env={"SLURM_CONF": cluster.conf, "TMPDIR": None})

    def srun(self, *argv, **options):
        """Run a step in a container, expecting success."""
        result = self.slurm("srun", *argv, **options)
        self.assertEqual(result.code, 0, self.logs(result))
        return result

    @staticmethod
    def logs(result):
        return logs(result, cluster.directory)

    def wait_for_idle(self):
        """Until no job is left; a node that was drained never becomes idle."""
        self.wait_until("idle nodes", lambda: set(cluster.states()) == {"idle"})

    @staticmethod
    def image(name="alpine"):
        return harness.world.library.squashed(name)

    @staticmethod
    def reference(name="alpine"):
        return "%s#%s" % (registry().host, harness.world.library.pushed(name))
