"""What fixed work costs, in figures that repeat: instructions and system calls.

Seconds say little on a busy machine. These figures are the same in every run, and a step that
is taken twice or a file that is read again shows at once. limits.json has what was measured
when somebody last looked, and by how much each kind may be above it: libraries differ, and
some choose their code by what the processor has. Less is always right.
"""
import glob
import json
import os
import platform
import random
import re
import subprocess
import unittest

import harness
import images

HERE = os.path.dirname(os.path.realpath(__file__))
MOUNT_API = (5, 12)  # before it, a start mounts in another way, with other calls

CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
             "--vgdb=no", "--log-file=log.%p"]
STRACE = ["strace", "--follow-forks", "--summary-only", "--output=log"]


class TestRegression(harness.Case):
    @classmethod
    def setUpClass(cls):
        with open(HERE + "/limits.json") as file:
            cls.limits = json.load(file)
        cls.program = harness.world.bin + "/enroot"
        with open(cls.program, "rb") as file:
            if b"__asan_init" in file.read():
                raise unittest.SkipTest("a build with sanitizers does other work")

    def count(self, tool, pattern, arguments):
        """Run enroot under a tool that writes logs; the sum of the figures in them."""
        result = self.run_command(*tool, "--", self.program, *arguments)
        self.assertEqual(result.code, 0, result)
        counts = []
        for log in glob.glob(self.user.work + "/log*"):
            with open(log) as file:
                counts += re.findall(pattern, file.read(), re.M)
            os.unlink(log)
        self.assertNotEqual(counts, [], result)
        return sum(map(int, counts))

    def assert_within(self, kind, work, count):
        noted, allowed = self.limits[kind][work], self.limits["percent above"][kind]
        self.assertLessEqual(
            count, noted * (100 + allowed) // 100,
            "%s takes %d %s. Noted are %d, and %d %% more are allowed. Where the work is worth "
            "it, note the new figure in tests/regression/limits.json, and why in the commit" % (
                work, count, kind, noted, allowed))

    def instructions(self, work, *arguments):
        """Of all threads and forks, each up to an exec."""
        count = self.count(CALLGRIND, r"Collected *: (\d+)$", arguments)
        self.assert_within("instructions", work, count)

    def system_calls(self, work, *arguments):
        """Of all threads and processes, what runs in the container included."""
        count = self.count(STRACE, r"^100\.00 +[\d.]+ +\d+ +(\d+) .*total$", arguments)
        self.assert_within("system calls", work, count)

    def need_mount_api(self):
        if tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < MOUNT_API:
            self.skipTest("kernels before %d.%d are mounted on in another way" % MOUNT_API)

    def fixed_image(self):
        """An image whose content no distribution decides."""
        noise = random.Random(7)
        lower, upper = images.Tar(), images.Tar()
        for number in range(64):
            lower.directory("d%d" % number)
            for size in (0, 100, 5000, 70000):
                lower.file("d%d/%d" % (number, size), noise.randbytes(size))
        for number in range(0, 64, 2):
            upper.opaque("d%d" % number)
            upper.file("d%d/again" % number, noise.randbytes(1000))
        return images.layout(self.user.work + "/fixed", [lower, upper])

    def test_instructions_of_list(self):
        for name in ("one", "two"):
            self.container(name=name)
        self.instructions("list", "list")

    def test_instructions_of_planning_a_start(self):
        self.instructions("start --dry-run", "start", "--dry-run", self.container(), "/bin/true")

    def test_instructions_of_an_import_and_of_a_create(self):
        self.fixed_image()
        self.instructions("import", "import", "-o", "fixed.sqsh", "oci:fixed")
        self.instructions("create", "create", "fixed.sqsh")

    def test_system_calls_of_list(self):
        for name in ("one", "two"):
            self.container(name=name)
        self.system_calls("list", "list")

    def test_system_calls_of_starting_a_container(self):
        self.need_mount_api()
        name = self.container()
        self.system_calls("first start of a container", "start", name, "/bin/true")
        self.system_calls("start of a container", "start", name, "/bin/true")

    def test_system_calls_of_starting_an_image(self):
        self.need_mount_api()
        self.system_calls("start of an image", "start",
                          harness.world.library.squashed("alpine"), "/bin/true")

    def test_system_calls_of_a_create_and_a_load(self):
        self.fixed_image()
        result = self.run_command("enroot", "import", "-o", "fixed.sqsh", "oci:fixed")
        self.assertEqual(result.code, 0, result)
        # One thread: how often several wait for each other does not repeat.
        self.env["ENROOT_MAX_PROCESSORS"] = "1"
        self.system_calls("create", "create", "fixed.sqsh")
        self.system_calls("load", "load", "-n", "loaded", "oci:fixed")

    def test_system_calls_of_exec(self):
        name = self.container()
        process = self.start("enroot", "start", name, "sh", "-c", "echo ready; read end",
                             stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        # By number: looking for a name costs more, the more processes there are.
        self.system_calls("exec", "exec", str(process.pid), "/bin/true")
        process.communicate(b"\n")
        self.assertEqual(process.returncode, 0)
