"""slurm transfer: nodes whose caches are their own get an image from the first of them."""
import contextlib
import os
import pty
import re
import select
import signal
import socket
import threading

import harness
import servers
import slurm_cluster
from slurm_cluster import SlowRegistry, SlurmCase

NODE = "/var/tmp/enroot-node"  # another directory on each node
CACHE_CONF = "/etc/enroot/enroot.conf.d/51-slurm-transfer-tests.conf"
IDENTIFY = ("grep", "-c", "^ID=alpine", "/etc/os-release")


def set_cache(directory):
    with open(CACHE_CONF, "w") as file:
        file.write("ENROOT_CACHE_PATH %s/cache-$(id -u)\nENROOT_DATA_PATH %s/data-$(id -u)\n" % (
            directory, NODE))


def setUpModule():
    slurm_cluster.up("slurm-transfer", "--private", NODE)
    os.chmod(NODE, 0o1777)  # below the nodes' own, for what the tests do beside them
    set_cache(NODE)


def tearDownModule():
    os.unlink(CACHE_CONF)
    slurm_cluster.down()


def connections():
    """How many there are to ports of nodes."""
    with open("/proc/net/tcp") as four, open("/proc/net/tcp6") as six:
        lines = [line.split() for line in four.readlines()[1:] + six.readlines()[1:]]
    return sum(line[3] == "01" and int(line[1].rpartition(":")[2], 16) >= 61000 for line in lines)


class TransferCase(SlurmCase):
    def setUp(self):
        super().setUp()
        self.clear()

    def clear(self):
        """Nodes without any image or container."""
        self.on_nodes("sh", "-c", "rm -rf %s/*" % NODE)

    def cache(self):
        return "%s/cache-%d" % (NODE, self.user.uid)

    def on_nodes(self, *argv, nodes=3):
        """The same command on each node, without a container."""
        result = self.slurm("srun", "-N%d" % nodes, *argv)
        self.assertEqual(result.code, 0, self.logs(result))
        return result.out.splitlines()

    def images(self):
        """The digests of the image files in the nodes' caches."""
        return [line.split()[0] for line in self.on_nodes(
            "sh", "-c", "sha256sum %s/*.sqsh" % self.cache())]

    def holders(self):
        """The processes of enroot-step, by the number of their node."""
        found = {}
        for pid in self.user.processes():
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid) as file:
                words = file.read().split("\0")
                if words[0] == "enroot-step" and "--node" in words:
                    found.setdefault(int(words[words.index("--node") + 1]), []).append(pid)
        return {node: min(pids) for node, pids in found.items()}


class TestTransfer(TransferCase):
    def test_each_blob_leaves_the_registry_once(self):
        """Scenario 4, and one import per job, not per node."""
        registry, sent = slurm_cluster.registry(), []
        for told in (1, 1):
            before = registry.blobs_sent()
            result = self.srun("-N3", "--ntasks=6", "--container-image=" + self.reference(),
                               *IDENTIFY)
            self.assertEqual(result.out, "1\n" * 6, result)
            self.assertEqual(result.err.count("pyxis:"), told, result)
            sent.append(registry.blobs_sent() - before)
        self.assertEqual(sent, [2, 0])  # configuration and layer, and then nothing
        images = self.images()
        self.assertEqual(len(images), 3)
        self.assertEqual(len(set(images)), 1)

    def test_extracted_containers_and_names(self):
        """What is made of the image on each node is made of the transferred one."""
        for settings in (["use_squashfuse=0"], ["use_enroot_load=1"]):
            self.clear()
            self.set_plugin(*settings)
            before = slurm_cluster.registry().blobs_sent()
            result = self.srun("-N3", "--container-image=" + self.reference(), *IDENTIFY)
            self.assertEqual(result.out, "1\n" * 3, result)
            self.assertEqual(slurm_cluster.registry().blobs_sent() - before, 2, result)

    def test_a_node_that_has_the_image_pulls_nothing(self):
        """And nothing is asked twice: the first node resolves the tag for all."""
        image = harness.world.library.pushed("alpine")
        with servers.Proxy(slurm_cluster.registry().host) as registry:
            reference = "--container-image=%s#%s" % (registry.host, image)
            self.srun("-N1", "-wnode3", reference, *IDENTIFY)
            alone = len(registry.matching("/manifests/"))
            inode = self.on_nodes("sh", "-c", "ls -i %s/*.sqsh || true" % self.cache())
            self.srun("-N3", reference, *IDENTIFY)
            self.assertEqual(len(registry.matching("/manifests/")), 2 * alone)
            self.assertIn(inode[0], self.on_nodes("sh", "-c", "ls -i %s/*.sqsh" % self.cache()))

    def test_a_tag_that_moves(self):
        """Every node has the digest that the first one resolved, whatever the tag is later."""
        with servers.Proxy(slurm_cluster.registry().host) as registry:
            image = harness.world.library.pushed("alpine")
            self.srun("-N3", "--container-image=%s#%s" % (registry.host, image), *IDENTIFY)
            clients = {request["headers"].get("User-Agent") for request in registry.requests}
            tags = [request for request in registry.requests
                    if re.search("/manifests/(?!sha256:)", request["path"])]
        self.assertEqual(len(clients), 1)
        self.assertLessEqual(len([t for t in tags if t["method"] == "GET"]), 1, tags)

    def test_switched_off(self):
        self.set_plugin("transfer=0")
        before = slurm_cluster.registry().blobs_sent()
        self.srun("-N3", "--container-image=" + self.reference(), *IDENTIFY)
        self.assertEqual(slurm_cluster.registry().blobs_sent() - before, 6)

    def test_named_containers_that_some_nodes_have(self):
        name = "--container-name=some"
        reference = "--container-image=" + self.reference()
        self.srun("-N1", "-wnode1", reference, name, "true")
        result = self.srun("-N3", "--overlap", reference, name, *IDENTIFY)
        self.assertEqual(result.out, "1\n" * 3, result)


class TestSecret(TransferCase):
    def test_tasks_do_not_get_the_secret(self):
        for more in ([], ["--export=NONE"]):
            result = self.srun("-N2", *more, "--container-image=" + self.reference(), "sh", "-c",
                               "env; tr '\\0' '\\n' < /proc/self/environ")
            self.assertIn("SLURM_PROCID", result.out)
            self.assertNotIn("SLURM_ENROOT", result.out)

    def test_impostors_are_refused(self):
        """Who listens at the step's ports without its secret is not believed, and gets nothing."""
        self.set_plugin("transfer_ports=61000-61015")
        heard = []
        with contextlib.ExitStack() as stack:
            for port in range(61000, 61016, 2):
                stack.enter_context(impostor(port, heard))
            before = slurm_cluster.registry().blobs_sent()
            result = self.srun("-N3", "--container-image=" + self.reference(), *IDENTIFY)
        self.assertEqual(result.out, "1\n" * 3, result)
        self.assertEqual(slurm_cluster.registry().blobs_sent() - before, 2, result)
        self.assertTrue(all(len(data) <= 48 for data in heard), heard)  # a HELLO and no more

    def test_strangers_get_nothing(self):
        """A client without the secret is sent no image, and disturbs nobody."""
        self.set_plugin("transfer_ports=61100-61107")
        answers = []

        def call_all():
            answers.extend(call_as_stranger(port, node)
                           for port in range(61100, 61108) for node in range(3))
            return any(len(answer) == 72 for answer in answers)  # an ANSWER

        with SlowRegistry() as registry:
            process = self.start_step("-N3", registry.image, *IDENTIFY)
            self.wait_until("answer", call_all)
            registry.rate = 500_000
            while process.poll() is None:
                call_all()
            out, err = process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual((process.returncode, out), (0, b"1\n" * 3), err)
        self.assertTrue(all(len(answer) in (0, 72) for answer in answers),
                        {len(answer) for answer in answers})


@contextlib.contextmanager
def impostor(port, heard):
    """A listener that answers as one would who knows the format, but not the secret."""
    server = socket.create_server(("127.0.0.1", port), backlog=64)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(60)
                    with contextlib.suppress(OSError):
                        heard.append(connection.recv(4096))
                        connection.sendall(b"enroot\n1" + os.urandom(64))
                        heard.append(connection.recv(4096))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def call_as_stranger(port, node):
    """What a node sends to somebody with a good HELLO and a wrong PROOF."""
    hello = b"enroot\n1" + (2).to_bytes(4, "big") + node.to_bytes(4, "big") + os.urandom(32)
    answer = b""
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(hello)
            answer = connection.recv(4096)
            connection.sendall(os.urandom(32))
            while True:
                more = connection.recv(4096)
                answer += more
                if not more:
                    break
    return answer


class TestFailures(TransferCase):
    def test_one_error_a_job(self):
        """A bad image is told once, not once a node."""
        for image in (self.reference() + "-none", self.reference().replace("alpine:", "none:")):
            result = self.slurm("srun", "-N3", "--ntasks=6", "--container-image=" + image, "true")
            self.assertNotEqual(result.code, 0)
            self.assertEqual(len(re.findall(r"failed to import docker image", result.err)), 1,
                             result)
            self.assertEqual(len(re.findall(r"\[ERROR\]", result.err)), 1, result)

    def test_the_first_node_is_killed_with_a_shared_cache(self):
        """The lease of the dead is taken over, and what the others share is made once more."""
        shared = self.user.work + "/shared"
        os.mkdir(shared)
        os.chmod(shared, 0o1777)
        set_cache(shared)
        self.addCleanup(set_cache, NODE)
        with SlowRegistry() as registry:
            process = self.start_slow_step(registry)
            self.wait_until("two children", lambda: connections() == 2)
            holder = self.holders()[0]
            with open("/proc/%d/task/%d/children" % (holder, holder)) as file:
                for pid in [holder] + [int(word) for word in file.read().split()]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            registry.rate = None
            out, err = process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(out, b"1\n" * 2, err)
        files = os.listdir("%s/cache-%d" % (shared, self.user.uid))
        self.assertEqual(len([name for name in files if name.endswith(".sqsh")]), 1, files)

    def test_no_way_between_the_nodes(self):
        """Each imports by itself then, and says so."""
        self.set_plugin("transfer_ports=61200-61200")
        with impostor(61200, []):
            before = slurm_cluster.registry().blobs_sent()
            result = self.srun("-N2", "--container-image=" + self.reference(), *IDENTIFY)
        self.assertEqual(result.out, "1\n" * 2, result)
        self.assertEqual(result.err.count("importing it here"), 1, result)
        self.assertEqual(slurm_cluster.registry().blobs_sent() - before, 4, result)

    def test_progress_on_a_terminal(self):
        """Who waits is told, every ten seconds, by one node."""
        ours, theirs = pty.openpty()
        text = b""
        with SlowRegistry() as registry:
            process = self.start("srun", "-N3", registry.image, "true", stderr=theirs,
                                 env={"SLURM_CONF": slurm_cluster.cluster.conf, "TMPDIR": None})
            os.close(theirs)
            with contextlib.suppress(OSError):  # EIO: the end of a terminal
                while select.select([ours], [], [], harness.TIMEOUT)[0] and \
                        (data := os.read(ours, 4096)):
                    text += data
                    if b"fetched" in text:
                        registry.rate = None
            process.communicate(timeout=harness.TIMEOUT)
        os.close(ours)
        self.assertEqual(process.returncode, 0, text)
        self.assertRegex(text.decode(), r"importing docker image: \S+: fetched \d+\.\d of 1\.\d MB")
        self.assertLessEqual(text.count(b"importing docker image"), 3, text)

    def start_slow_step(self, registry):
        process = self.start_step("-N3", registry.image, *IDENTIFY)
        self.wait_until("import", lambda: registry.matching("/blobs/"))
        return process

    def test_the_first_node_is_killed_while_it_imports(self):
        """Another node takes over, with the same image, and a third gets it from there."""
        with SlowRegistry() as registry:
            process = self.start_slow_step(registry)
            self.wait_until("two children", lambda: connections() == 2)
            os.kill(self.holders()[0], signal.SIGKILL)
            registry.rate = None
            out, err = process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)  # the killed node's task
        self.assertEqual(out, b"1\n" * 2, err)
        self.assertEqual(err.count(b"importing it here"), 1, err)
        self.assertEqual(len({request["path"] for request in registry.matching("/blobs/")}), 2)

    def test_the_import_of_the_first_node_is_killed(self):
        """No task hangs, and the reason is told once."""
        with SlowRegistry() as registry:
            process = self.start_slow_step(registry)
            holder = self.holders()[0]
            with open("/proc/%d/task/%d/children" % (holder, holder)) as file:
                os.kill(max(map(int, file.read().split())), signal.SIGKILL)
            err = process.communicate(timeout=harness.TIMEOUT)[1]
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(err.count(b"failed to import docker image"), 1, err)

    def test_cancelling(self):
        with SlowRegistry() as registry:
            process = self.start_slow_step(registry)
            self.slurm("scancel", "--user=" + self.user.name)
            process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 143)
