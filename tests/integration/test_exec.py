"""exec: another command in a container that runs (compat: the row "exec" of Commands)."""
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time

import harness
import images


class Running(harness.Case):
    """Containers that wait until they are told to end."""

    WAIT = "echo ready; read line; exit 9"

    def setUp(self):
        super().setUp()
        self.running = []

    def tearDown(self):
        for process in self.running:
            self.end(process)
        super().tearDown()

    def begin(self, target, *options, script=WAIT, **more):
        """Start a container that says "ready" and waits. Its Popen; its pid is the container's."""
        process = self.start("enroot", "start", *options, target, "sh", "-c", script,
                             stdin=subprocess.PIPE, **more)
        self.running.append(process)
        self.assertEqual(process.stdout.readline(), b"ready\n", target)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            with contextlib.suppress(OSError, AttributeError):
                process.stdin.write(b"\n")
                process.stdin.flush()
            try:
                process.wait(timeout=harness.TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError, AttributeError):
                stream.close()

    def begin_with_own_processes(self, name="alpine", script=WAIT):
        """A container with a namespace of process ids. Its first process inside, and the Popen."""
        process = self.begin(name, "--pid", script=script)
        inside = [pid for pid in self.user.processes() if pid != process.pid]
        self.assertEqual(len(inside), 1, inside)
        return inside[0], process


class ExecCase(Running):
    def targets(self):
        """What each test runs in: a container, an image file, and a container as its root."""
        container = self.container()
        yield container, self.begin(container)
        image = self.user.work + "/alpine.sqsh"
        subprocess.run(["cp", harness.world.library.squashed("alpine"), image], check=True)
        yield image, self.begin(image)
        self.container(name="rooted")
        yield "rooted", self.begin("rooted", "--root")

    def exec(self, process, *command, **options):
        pid = process if isinstance(process, int) else process.pid
        return self.run_command("enroot", "exec", str(pid), *command, **options)

    def output(self, process, *command, **options):
        result = self.exec(process, *command, **options)
        self.assertEqual(result.code, 0, result)
        return result.out


class TestNamespaces(ExecCase):
    def test_the_command_is_in_the_namespaces_of_the_process(self):
        for target, process in self.targets():
            for kind in ("user", "mnt", "cgroup", "net", "ipc", "uts", "pid"):
                self.assertEqual(
                    self.output(process, "readlink", "/proc/self/ns/" + kind).strip(),
                    os.readlink("/proc/%d/ns/%s" % (process.pid, kind)), (target, kind))

    def test_it_sees_the_files_of_the_container(self):
        for target, process in self.targets():
            self.assertIn("Alpine", self.output(process, "cat", "/etc/os-release"), target)
            self.assertEqual(self.output(process, "sh", "-c", "echo x >/tmp/made; echo $?"), "0\n")
            self.assertTrue(os.path.exists("/proc/%d/root/tmp/made" % process.pid), target)

    def test_it_is_the_user_of_the_container(self):
        for target, process in self.targets():
            expected = 0 if target == "rooted" else self.user.uid
            self.assertEqual(self.output(process, "id", "-u"), "%d\n" % expected, target)

    def test_it_has_the_rights_that_a_start_gives(self):
        keys = "^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):"
        for target, process in self.targets():
            inside = self.output(process, "grep", "-E", keys, "/proc/self/status")
            with open("/proc/%d/status" % process.pid) as status:
                started = "".join(line for line in status if re.match(keys, line))
            self.assertEqual(inside, started, target)
            # The answer filter: a change of owner that one mapped id makes impossible "works".
            self.output(process, "chown", "1234:1234", "/tmp")

    def test_nothing_else_of_the_caller_is_open(self):
        directory = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, directory)
        for target, process in self.targets():
            shown = self.output(process, "sh", "-c", "ls /proc/self/fd; readlink /proc/self/cwd",
                                pass_fds=[directory]).split()
            # The directory that ls itself reads is the fourth.
            self.assertEqual(shown[:-1], ["0", "1", "2", "3"], target)

    def test_it_is_no_other_process_without_a_namespace_of_process_ids(self):
        process = self.begin(self.container())
        command = self.start("enroot", "exec", str(process.pid), "sh", "-c", "echo ready; read x",
                             stdin=subprocess.PIPE)
        self.running.append(command)
        self.assertEqual(command.stdout.readline(), b"ready\n")
        self.assertEqual(sorted(self.user.processes()), sorted([process.pid, command.pid]))

    def test_it_keeps_the_groups_of_the_caller(self):
        process = self.begin(self.container())
        found = subprocess.run(
            [harness.world.bin + "/enroot", "exec", str(process.pid), "grep", "Groups",
             "/proc/self/status"], env=self.user.environment(), cwd=self.user.work,
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, user=self.user.uid,
            group=self.user.gid, extra_groups=[self.user.gid, 12345])
        self.assertEqual(len(found.stdout.split()), 3)


class TestSurroundings(ExecCase):
    def test_the_environment_is_that_of_the_process(self):
        process = self.begin(self.container(), "--env", "INSIDE=from start")
        shown = self.output(process, "env", env={"INSIDE": "of the caller", "OUTSIDE": "x"})
        self.assertIn("INSIDE=from start\n", shown)
        self.assertNotIn("OUTSIDE", shown)
        self.assertNotIn("ENROOT_", shown)

    def test_variables_can_be_set_and_passed_on(self):
        process = self.begin(self.container(), "--env", "INSIDE=old")
        for option in (("-e", "INSIDE=a=b"), ("--env", "INSIDE=a=b"), ("--env=INSIDE=a=b",)):
            result = self.enroot("exec", *option, "-e", "HOSTVAR", "-e", "ENROOT_EVIL=1",
                                 str(process.pid), "env", env={"HOSTVAR": "of the host"})
            self.assertIn("INSIDE=a=b\n", result.out)
            self.assertIn("HOSTVAR=of the host\n", result.out)
            self.assertNotIn("ENROOT_EVIL", result.out)
        self.refused("exec", "-e", "1BAD=x", str(process.pid), "true", says="1BAD")

    def test_the_working_directory_is_that_of_the_process(self):
        process = self.begin(self.container(), script="cd /usr/bin; " + self.WAIT)
        self.assertEqual(self.output(process, "pwd"), "/usr/bin\n")

    def test_a_deleted_working_directory_is_the_root(self):
        script = "mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; " + self.WAIT
        result = self.exec(self.begin(self.container(), script=script), "pwd")
        self.assertEqual((result.code, result.out), (0, "/\n"), result)
        self.assertIn("working directory", result.err)

    def test_the_root_directory_is_that_of_the_process(self):
        script = "cp /bin/busybox /tmp/sh; exec chroot /tmp /sh -c '%s'" % self.WAIT
        process = self.begin(self.container(), "--root", script=script)
        self.assertEqual(self.output(process, "/sh", "-c", "echo /*"), "/sh\n")

    def test_the_umask_is_that_of_the_process(self):
        process = self.begin(self.container(), script="umask 027; " + self.WAIT)
        self.assertEqual(self.output(process, "sh", "-c", "umask", umask=0o077), "0027\n")

    def test_the_command_is_looked_up_in_the_path_of_the_container(self):
        script = "mkdir /tmp/bin; ln -s /bin/busybox /tmp/bin/here; export PATH=/tmp/bin:$PATH; " \
                 "exec sh -c '%s'" % self.WAIT
        process = self.begin(self.container(), script=script)
        self.assertIn("applet not found", self.exec(process, "here").err)

    def test_an_image_without_a_shell(self):
        tar = images.Tar().directory("bin").directory("dev").directory("proc").directory("tmp")
        tar.directory("sys").directory("etc").directory("var")
        with open("/bin/busybox", "rb") as file:
            tar.file("bin/cat", file.read(), mode=0o755)
        path = self.user.work + "/bare.sqsh"
        subprocess.run(["mksquashfs", "-", path, "-tar", "-no-progress", "-quiet"],
                       input=tar.bytes(), check=True, stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        process = self.start("enroot", "start", path, "/bin/cat", "-", stdin=subprocess.PIPE)
        self.running.append(process)
        process.stdin.write(b"ready\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertIn("Name:\tcat", self.output(process, "/bin/cat", "/proc/self/status"))
        process.stdin.close()
        process.wait(timeout=harness.TIMEOUT)


class TestStatus(ExecCase):
    def test_the_exit_status_is_passed_on(self):
        for target, process in self.targets():
            for status in (0, 1, 42, 255):
                result = self.exec(process, "sh", "-c", "exit %d" % status)
                self.assertEqual(result.code, status, (target, result))

    def test_a_signal_is_passed_on(self):
        process = self.begin(self.container())
        for number in (signal.SIGTERM, signal.SIGKILL):
            result = self.exec(process, "sh", "-c", "kill -%d $$" % number)
            self.assertEqual(result.code, -number, result)
            shown = self.run_command("sh", "-c", 'enroot exec "$1" sh -c "kill -$2 \\$\\$"; echo $?',
                                     "sh", str(process.pid), str(int(number)))
            self.assertEqual(shown.out, "%d\n" % (128 + number), shown)

    def test_127_for_a_command_that_is_not_there_and_126_for_none(self):
        process = self.begin(self.container(), script="echo '#!/no/such' >/tmp/script; "
                                                      "chmod +x /tmp/script; " + self.WAIT)
        for command, status in (("no-such", 127), ("/no/such", 127), ("/etc/passwd", 126),
                                ("/tmp", 126), ("/tmp/script", 126)):
            result = self.exec(process, command)
            self.assertEqual(result.code, status, result)
            self.assertRegex(result.err, r"^\[ERROR\] cannot execute %s: [^\n]*\n$" % command)


class TestTargets(ExecCase):
    def test_a_name_is_enough(self):
        for target, process in self.targets():
            self.assertEqual(self.enroot("exec", target, "readlink", "/proc/self/ns/mnt").out,
                             os.readlink("/proc/%d/ns/mnt" % process.pid) + "\n", target)

    def test_an_image_can_be_named_as_a_path_of_any_form(self):
        image = self.user.work + "/alpine.sqsh"
        subprocess.run(["cp", harness.world.library.squashed("alpine"), image], check=True)
        os.symlink(image, self.user.work + "/link")
        self.begin(image)
        for name in ("alpine.sqsh", "./alpine.sqsh", "link"):
            self.enroot("exec", name, "true")

    def test_of_several_starts_the_newest_is_meant_and_said(self):
        name = self.container()
        first, second = self.begin(name), self.begin(name)
        result = self.enroot("exec", name, "readlink", "/proc/self/ns/mnt")
        self.assertEqual(result.out, os.readlink("/proc/%d/ns/mnt" % second.pid) + "\n")
        self.assertRegex(result.err, r"newest, process %d \(the others are %d\)" % (
            second.pid, first.pid))
        self.end(second)
        self.assertEqual(self.enroot("exec", name, "true").err, "")

    def test_a_name_means_the_start_and_not_what_exec_added(self):
        name = self.container()
        process = self.begin(name, "--env", "WHO=first")
        command = self.start("enroot", "exec", "-e", "WHO=second", name, "sh", "-c",
                             "echo ready; read x", stdin=subprocess.PIPE)
        self.running.append(command)
        self.assertEqual(command.stdout.readline(), b"ready\n")
        result = self.enroot("exec", name, "sh", "-c", "echo $WHO")
        self.assertEqual((result.out, result.err), ("first\n", ""))
        # What exec added keeps the container, and is found when the first process is gone.
        self.end(process)
        self.assertEqual(self.enroot("exec", name, "sh", "-c", "echo $WHO").out, "second\n")

    def test_a_container_of_another_data_path_has_only_its_number(self):
        name = self.container()
        process = self.begin(name)
        elsewhere = {"ENROOT_DATA_PATH": self.user.work + "/data"}
        self.refused("exec", name, "true", says="running", env=elsewhere)
        self.enroot("exec", str(process.pid), "true", env=elsewhere)

    def test_what_is_no_container_is_refused(self):
        name = self.container()
        self.refused("exec", name, "true", says="container alpine is not running")
        self.refused("exec", "no-such", "true", says="no-such")
        outside = self.start("sleep", "60")
        self.running.append(outside)
        self.refused("exec", str(outside.pid), "true", says="is not in a container")
        outside.kill()
        self.refused("exec", str(os.getpid()), "true", says="not yours|not in a container")
        self.refused("exec", "4194305", "true", says="no process 4194305")
        self.refused("exec", "99999999999999999999", "true", says="running")
        self.refused("exec", "0", "true", says="running|no process")

    def test_a_process_that_has_ended_is_refused(self):
        process = self.begin(self.container())
        self.end(process)
        self.refused("exec", str(process.pid), "true", says="no process|has ended")
        self.refused("exec", "alpine", "true", says="not running")

    def test_a_zombie_is_refused(self):
        process = self.begin(self.container())
        process.stdin.write(b"\n")
        process.stdin.flush()
        self.wait_until("zombie", lambda: "State:\tZ" in open(
            "/proc/%d/status" % process.pid).read())
        self.refused("exec", str(process.pid), "true", says="has ended|not yours")

    def test_the_container_of_another_user_is_refused(self):
        process = self.begin(self.container())
        for user in (harness.world.other, harness.world.root):
            self.refused("exec", str(process.pid), "true", says="not yours|of user", user=user)
        self.refused("exec", "alpine", "true", says="running", user=harness.world.other)

    def test_a_kernel_thread_is_refused(self):
        # In the tests' own namespace of process ids there is none: the host's /proc has them.
        self.refused("exec", "2", "true", says="no process|not yours|not in a container")

    def test_usage(self):
        for words in ((), ("1",), ("--no-such", "1", "true")):
            result = self.run_command("enroot", "exec", *words)
            self.assertEqual(result.code, 1, result)
            self.assertIn("Usage: enroot exec", result.err)
        self.assertIn("--env", self.enroot("exec", "--help").out)


class TestSecurity(ExecCase):
    """What a process of the container sees of the one that joins it."""

    def test_the_joining_process_cannot_be_looked_into(self):
        """CVE-2016-9962: root of the container, and the program that is still the host's."""
        process = self.begin(self.container(), "--root",
                             script="mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; " + self.WAIT)
        # It has entered the namespaces when it warns of the working directory; a standard
        # error that takes no more bytes holds it there.
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"." * 4096)
        os.set_blocking(writer, True)
        joining = self.start("enroot", "exec", str(process.pid), "true", stderr=writer)
        os.close(writer)
        self.running.append(joining)
        namespace = os.readlink("/proc/%d/ns/mnt" % process.pid)
        self.wait_until("process inside", lambda: os.readlink(
            "/proc/%d/ns/mnt" % joining.pid) == namespace)

        script = "for x in root cwd exe fd/0 ns/mnt; do readlink /proc/$1/$x; done; " \
                 "cat /proc/$1/environ; ls /proc/$1/root; ls /proc/$1/fd; true"
        looked = self.output(process, "sh", "-c", script, "sh", str(joining.pid))
        self.assertEqual(looked, "")
        # The same script does see the container's own processes.
        own = self.output(process, "sh", "-c", script, "sh", str(process.pid))
        self.assertIn(namespace, own)
        with os.fdopen(reader, "rb") as warnings:
            self.assertIn(b"working directory", warnings.read())
        self.assertEqual(joining.wait(timeout=harness.TIMEOUT), 0)

    def test_a_working_directory_of_the_host_is_not_kept(self):
        """CVE-2024-21626: a directory of the host that the process was given as its own."""
        process = self.begin(self.container(), cwd=self.user.home)
        self.assertNotIn("(unreachable)", self.output(process, "readlink", "/proc/self/cwd"))


class TestOwnProcesses(ExecCase):
    """A container with process ids of its own."""

    def setUp(self):
        super().setUp()
        self.container()

    def test_the_command_is_in_the_namespace(self):
        first, _ = self.begin_with_own_processes()
        self.assertEqual(self.output(first, "readlink", "/proc/self/ns/pid").strip(),
                         os.readlink("/proc/%d/ns/pid" % first))
        self.assertEqual(self.enroot("exec", "alpine", "cat", "/proc/1/comm").out, "sh\n")

    def test_exit_status_and_signals(self):
        first, _ = self.begin_with_own_processes()
        self.assertEqual(self.exec(first, "sh", "-c", "exit 42").code, 42)
        self.assertEqual(self.exec(first, "no-such").code, 127)
        self.assertEqual(self.exec(first, "sh", "-c", "kill -9 $$").code, -9)

    def test_signals_reach_the_command(self):
        first, _ = self.begin_with_own_processes()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            name = number.name[3:]
            command = self.start("enroot", "exec", str(first), "sh", "-c",
                                 "trap 'echo got %s; exit 3' %s; echo ready; "
                                 "while :; do sleep 0.1; done" % (name, name))
            self.running.append(command)
            self.assertEqual(command.stdout.readline(), b"ready\n")
            command.send_signal(number)
            self.assertEqual(command.wait(timeout=harness.TIMEOUT), 3)
            self.assertEqual(command.stdout.read(), b"got %s\n" % name.encode())

    def test_it_dies_with_the_caller(self):
        first, _ = self.begin_with_own_processes()
        before = self.user.processes()
        command = self.start("enroot", "exec", str(first), "sh", "-c", "echo ready; read x",
                             stdin=subprocess.PIPE)
        self.running.append(command)
        self.assertEqual(command.stdout.readline(), b"ready\n")
        child, = set(self.user.processes()) - {*before, command.pid}
        command.kill()
        command.wait(timeout=harness.TIMEOUT)
        self.wait_until("end of the command", lambda: child not in self.user.processes())


class TestSubordinateIds(ExecCase):
    """A container in which other ids are real."""

    def test_rights_are_those_of_the_start(self):
        self.container()
        for options in (("--subids",), ("--subids", "--root")):
            process = self.begin("alpine", *options, "--rw")
            inside = self.output(process, "grep", "-E", "^(Uid|Gid|Cap|NoNew|Seccomp:)",
                                 "/proc/self/status")
            process.stdin.write(b"\n")
            started = self.enroot("start", *options, "alpine", "grep", "-E",
                                  "^(Uid|Gid|Cap|NoNew|Seccomp:)", "/proc/self/status").out
            self.assertEqual(inside, started)
            self.end(process)

    def test_root_on_request(self):
        process = self.begin(self.container(), "--subids")
        self.assertEqual(self.output(process, "id", "-u"), "%d\n" % self.user.uid)
        for option in ("-r", "--root"):
            shown = self.enroot("exec", option, "alpine", "sh", "-c",
                                "id -u; touch /tmp/x; chown 7 /tmp/x; stat -c %u /tmp/x").out
            self.assertEqual(shown, "0\n7\n")
        self.end(process)
        self.begin("alpine")
        self.refused("exec", "--root", "alpine", "true", says="it has no root: .*--root")

    def test_a_process_of_another_id_of_the_container(self):
        process = self.begin(self.container(), "--subids", "--root",
                             script="exec su -s /bin/sh bin -c '%s'" % self.WAIT)
        self.assertNotEqual(os.stat("/proc/%d" % process.pid).st_uid, self.user.uid)
        self.assertEqual(self.output(process, "id", "-u"), "0\n")
        self.assertEqual(self.enroot("exec", "alpine", "id", "-u").out, "0\n")


class TestTerminal(ExecCase):
    def interact(self, target, steps, shell="sh"):
        """Type lines into "exec -i"-like shells on a terminal; each waits for what it shows."""
        pid, leader = pty.fork()
        if pid == 0:
            os.setgid(self.user.gid)
            os.setuid(self.user.uid)
            os.chdir(self.user.work)
            environment = {**self.user.environment(), "PS1": "$ ", "TERM": "dumb"}
            os.execvpe("enroot", ["enroot", "exec", "-e", "PS1=$ ", str(target), shell, "-i"],
                       environment)
        shown = b""
        try:
            for typed, expected in steps:
                os.write(leader, typed)
                shown = b""
                deadline = time.monotonic() + harness.TIMEOUT
                while not re.search(expected, shown):
                    self.assertLess(time.monotonic(), deadline, (typed, expected, shown))
                    if select.select([leader], [], [], 0.5)[0]:
                        shown += os.read(leader, 4096)
            deadline = time.monotonic() + harness.TIMEOUT
            while True:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    return os.waitstatus_to_exitcode(status)
                if select.select([leader], [], [], 0.02)[0]:
                    with contextlib.suppress(OSError):
                        shown += os.read(leader, 4096)
                self.assertLess(time.monotonic(), deadline, shown)
        finally:
            os.close(leader)
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    STEPS = (
        (b"", rb"\$ "),
        (b"tty\n", rb"/dev/pts/\d+\r\n"),
        (b"echo a$((1+1))b\n", rb"a2b\r\n\$ "),
        # The editor of lines has the terminal in raw mode: a key counts once the command runs.
        (b"sh -c 'echo runn''ing; exec sleep 1000'\n", rb"running\r\n"),
        (b"\x03", rb"\$ "),
        (b"sh -c 'echo runn''ing; exec sleep 1000'\n", rb"running\r\n"),
        (b"\x1a", rb"Stopped"),
        (b"kill -9 %1; echo go''ne\n", rb"gone\r\n"),
        # Twice: busybox may still take the job for a stopped one, and ask.
        (b"exit 5\nexit 5\n", rb"exit 5"),
    )

    def test_an_interactive_shell_with_job_control(self):
        process = self.begin(self.container())
        self.assertEqual(self.interact(process.pid, self.STEPS), 5)

    def test_an_interactive_shell_with_process_ids_of_its_own(self):
        self.container()
        first, _ = self.begin_with_own_processes()
        self.assertEqual(self.interact(first, self.STEPS), 5)
