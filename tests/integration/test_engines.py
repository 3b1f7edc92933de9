"""Import from container engines of this machine: dockerd:// and podman:// over their
sockets (Podman serves the Docker API, too) and through their command lines.
"""
import contextlib
import os
import shutil
import socket
import subprocess
import time

import harness
import images
import trees
from test_sources import NAME, SourceCase

LATEST = NAME.rpartition(":")[0] + ":latest"

# podman wants a cgroup2 hierarchy, and its state on a file system that overlayfs can use.
PODMAN = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
printf '[storage]\\ndriver="overlay"\\ngraphroot="%s/root"\\nrunroot="%s/run"\\n' \\
    $1 $1 >$1/storage.conf
export CONTAINERS_STORAGE_CONF=$1/storage.conf
for image in saved latest; do podman load --quiet --input $1/$image.tar >/dev/null; done
"""

SERVICE = PODMAN + "exec podman system service --time 0 unix://$1/api.sock"

DOCKERD = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec dockerd --data-root $1/data --exec-root $1/exec --pidfile $1/pid -H unix://$1/api.sock \
    --iptables=false --ip6tables=false --bridge=none --storage-driver vfs --group 0
"""


class EngineCase(SourceCase):
    def setUp(self):
        super().setUp()
        layout = self.layout()
        self.skopeo(layout, "docker-archive:%s:%s" % (self.path("saved.tar"), NAME))
        other = images.layout(self.path("other"), [images.Tar().file("latest", b"latest")])
        self.skopeo(other, "docker-archive:%s:%s" % (self.path("latest.tar"), LATEST))
        self.tree_of_umoci = self.expected(layout)
        self.socket = self.path("api.sock")

    def serve(self, script):
        """Start an engine in namespaces of its own; it listens on self.socket."""
        # podman and dockerd leave helpers and mounts behind, which end with the namespaces.
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", "sh", "-euc", script, "sh", self.place],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, process)
        deadline = time.monotonic() + harness.TIMEOUT
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                self.fail("no engine: " + harness.text(process.stderr.read())[-2000:])
            time.sleep(0.05)
        os.chmod(self.socket, 0o666)

    def answers(self):
        """Whether somebody listens; the name of the socket is there before."""
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(self.socket)
            return True
        return False

    @staticmethod
    def stop(process):
        process.kill()
        process.communicate()

    def program(self, name, script):
        """A program of that name in front of all others; returns the PATH."""
        os.makedirs(self.path("bin"), exist_ok=True)
        path = self.path("bin/") + name
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        return "%s:%s" % (self.path("bin"), self.user.environment()["PATH"])

    def nowhere(self):
        """An environment whose PATH has enroot and no engine."""
        return {"PATH": harness.world.bin}


class TestSockets(EngineCase):
    def assert_latest(self, scheme, env):
        """A name without a tag is that of one image, and not of all tags."""
        image = self.imported("%s://%s" % (scheme, NAME.rpartition(":")[0]), env=env)
        self.assertIn(b"latest", self.tree(image))

    def test_podman_serves_podman_and_docker_images(self):
        self.serve(SERVICE)
        for scheme, variable in (("podman", "CONTAINER_HOST"), ("dockerd", "DOCKER_HOST")):
            env = {variable: "unix://" + self.socket}
            record = self.assert_tree("%s://%s" % (scheme, NAME), self.tree_of_umoci, env=env)
            self.assertEqual(record["provenance"], "%s://%s" % (scheme, NAME))
            self.assertRegex(record["digest"], "^sha256:[0-9a-f]{64}$")
            self.assertEqual(len(record["layers"]), 5)
            self.assert_latest(scheme, env)
            self.refuses(scheme + "://missing:1", "has no image missing:1.*images.*pull", env=env)
            self.refused("import", "--arch", "s390x", "%s://%s" % (scheme, NAME), says="s390x",
                         env=env)
        self.enroot("import", "dockerd://" + NAME, env=env)
        self.assertTrue(os.path.exists(self.user.work + "/tests+several+1.0.sqsh"))
        # A proxy that the environment names is for the network.
        self.imported("dockerd://" + NAME, env={**env, "http_proxy": "http://127.0.0.1:1"})

    def test_docker_itself(self):
        if not shutil.which("dockerd"):
            self.skipTest("dockerd is not installed")
        self.serve(DOCKERD)
        for name in ("saved.tar", "latest.tar"):
            subprocess.run(["curl", "--silent", "--fail", "--unix-socket", self.socket,
                            "--data-binary", "@" + self.path(name), "-H",
                            "Content-Type: application/x-tar", "http://localhost/images/load"],
                           check=True, stdout=subprocess.DEVNULL)
        env = {"DOCKER_HOST": "unix://" + self.socket}
        self.assert_latest("dockerd", env)
        self.assert_tree("dockerd://" + NAME, self.tree_of_umoci, env=env)
        self.refuses("dockerd://missing", "Docker has no image missing", env=env)

    def test_a_socket_is_found_below_the_runtime_directory(self):
        self.serve(SERVICE)
        os.mkdir(self.user.run + "/podman")
        for place in ("/podman/podman.sock", "/docker.sock"):
            os.symlink(self.socket, self.user.run + place)
        self.imported("podman://" + NAME, env=self.nowhere())
        self.imported("dockerd://" + NAME, env=self.nowhere())
        shutil.rmtree(self.user.run + "/podman")
        os.unlink(self.user.run + "/docker.sock")

    def test_no_room_for_the_image_is_said_before_it_is_fetched(self):
        self.serve(SERVICE)
        small = self.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "tmpfs", small],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        self.refuses("podman://" + NAME, "ENROOT_TEMP_PATH: %s: no room: .* are needed" % small,
                     env={"CONTAINER_HOST": "unix://" + self.socket, "ENROOT_TEMP_PATH": small})


class TestUnusableSockets(EngineCase):
    def listen(self, mode=0o666):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.socket)
        listener.listen()
        os.chmod(self.socket, mode)
        return listener

    def test_an_engine_that_does_not_run(self):
        self.listen().close()
        self.refuses("dockerd://a", "DOCKER_HOST: .*api.sock: .*refused: Docker is not running; "
                     "start it", env={"DOCKER_HOST": "unix://" + self.socket})
        self.refuses("podman://a", "CONTAINER_HOST: .*/missing: .*Podman is not running; start it",
                     env={"CONTAINER_HOST": "unix:///missing"})

    def test_a_socket_without_permission(self):
        self.listen(0o600)
        self.refuses("dockerd://a", "api.sock: permission denied; be a member of the group docker",
                     env={"DOCKER_HOST": "unix://" + self.socket})
        os.symlink(self.socket, self.user.run + "/docker.sock")
        self.refuses("dockerd://a", "docker.sock: permission denied; be a member",
                     env=self.nowhere())
        os.unlink(self.user.run + "/docker.sock")

    def test_neither_socket_nor_program(self):
        self.refuses("dockerd://a", "neither a socket of Docker nor the program docker; start it",
                     env=self.nowhere())
        self.refuses("podman://a", "neither a socket of Podman nor the program podman; start it",
                     env=self.nowhere())

    def test_a_service_that_breaks_off_or_talks_nonsense(self):
        listener = self.listen()
        env = {"DOCKER_HOST": "unix://" + self.socket}
        description = b'{"Id":"sha256:%s"}' % (b"0" * 64)
        for archive in (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
                        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabcd",
                        b"HTTP/1.1 500 Oops\r\nContent-Length: 18\r\n\r\n{\"message\":\"full\"}"):
            process = self.start("enroot", "import", "-o", "x.sqsh", "dockerd://a", env=env)
            for answer in (None, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
                    len(description), description), archive):
                connection, _ = listener.accept()
                if answer:
                    connection.recv(65536)
                    connection.sendall(answer)
                connection.close()
            _, error = process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual(process.returncode, 1, error)
            self.assertRegex(harness.text(error), "not a tar archive|transfer closed|500 .full")
        self.assertEqual(os.listdir(self.user.work), [])


class TestPrograms(EngineCase):
    def test_podman_save(self):
        script = PODMAN + 'PATH=$2:$PATH HOME=$1 enroot import -o "$3" podman://%s' % NAME
        output = self.user.work + "/x.sqsh"
        subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                        "--propagation", "private", "sh", "-euc", script, "sh", self.place,
                        harness.world.bin, output], check=True, stderr=subprocess.DEVNULL)
        self.assertEqual(trees.differences(self.tree(output), self.tree_of_umoci), [])

    def test_a_host_that_only_the_program_understands_is_left_to_it(self):
        path = self.program("docker", '[ "$*" = "save %s" ] && [ "$DOCKER_HOST" = ssh://elsewhere ]'
                                      " && exec cat %s" % (NAME, self.path("saved.tar")))
        self.assert_tree("dockerd://" + NAME, self.tree_of_umoci,
                         env={"PATH": path, "DOCKER_HOST": "ssh://elsewhere"})

    def test_a_program_that_fails_is_quoted(self):
        path = self.program("podman", "echo 'Error: a: image not known' >&2; exit 125\n")
        self.refuses("podman://a", "podman failed with status 125: Error: a: image not known",
                     env={"PATH": path})
        path = self.program("podman", "head -c 5000 %s; exit 1\n" % self.path("saved.tar"))
        self.refuses("podman://a", "podman failed with status 1", env={"PATH": path})

    def test_a_name_is_never_an_option_or_a_path(self):
        path = self.program("docker", "touch %s/ran\n" % self.user.work)
        for name in ("-o/tmp/x", "a/../../info", "a?b", "a b", "", "A"):
            self.refused("import", "-o", "x.sqsh", "dockerd://" + name, says="image|reference",
                         env={"PATH": path})
        self.assertEqual(os.listdir(self.user.work), [])
