"""start: the namespaces that it is asked for, and what comes with them."""
import contextlib
import os
import re
import signal
import subprocess
import time

import harness

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


def namespaces(text):
    """{"pid": "[4026531836]", …} of the output of ls -l /proc/self/ns."""
    return dict(re.findall(r"(\w+):(\[\d+\])", text))


def status_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class NamespaceCase(harness.Case):
    def each(self):
        yield self.container()
        yield harness.world.library.squashed("alpine")

    def output(self, *arguments, **options):
        return self.enroot("start", *arguments, **options).out

    def running(self, *arguments, **options):
        """Start a command that prints a line and then waits."""
        process = self.start("enroot", "start", *arguments, stdin=subprocess.PIPE, **options)
        self.assertEqual(process.stdout.readline(), b"ready\n", arguments)
        return process


class TestKinds(NamespaceCase):
    def test_each_kind_is_new_on_request_and_by_its_setting_only(self):
        host = {kind: os.readlink("/proc/self/ns/" + kind)[len(kind) + 1:] for kind in KINDS}
        for target in self.each():
            plain = namespaces(self.output(target, "ls", "-l", "/proc/self/ns"))
            self.assertEqual({kind for kind in KINDS if plain[kind] != host[kind]},
                             {"cgroup", "mnt", "user"})
            for kind in ("pid", "net", "ipc", "uts"):
                for options, env in ((["--" + kind], {}),
                                     ([], {"ENROOT_UNSHARE_" + kind.upper(): "yes"})):
                    inside = namespaces(self.output(*options, target, "ls", "-l", "/proc/self/ns",
                                                    env=env))
                    self.assertEqual({name for name in KINDS if inside[name] != host[name]},
                                     {"cgroup", "mnt", "user", kind})

    def test_a_dry_run_names_them(self):
        result = self.enroot("start", "--dry-run", "--pid", "--net", "--ipc", "--uts",
                             self.container(), "true")
        line = [line for line in result.out.splitlines() if line.startswith("namespaces:")][0]
        self.assertEqual(set(line.split()[1:]), {"user", "pid", "mount", "net", "ipc", "uts",
                                                 "cgroup"})

    def test_a_network_of_ones_own_has_lo_up_and_a_fresh_sys(self):
        for target in self.each():
            links = self.output("--net", target, "ip", "-o", "link").splitlines()
            self.assertEqual(len(links), 1, links)
            self.assertRegex(links[0], r"lo: <LOOPBACK,UP")
            self.assertEqual(self.output("--net", target, "ls", "/sys/class/net"), "lo\n")
            self.assertEqual(self.output("--net", target, "sh", "-ec",
                                         "echo hello | nc -l -p 4000 127.0.0.1 & until "
                                         "nc 127.0.0.1 4000 </dev/null; do sleep 0.1; done; "
                                         "wait"), "hello\n")
            mounts = self.output("--net", target, "grep", " /sys ", "/proc/self/mounts")
            self.assertEqual(len(mounts.splitlines()), 1, mounts)
            self.assertRegex(mounts, r"sysfs /sys sysfs ro,nosuid,nodev,noexec")

    def test_ipc_of_ones_own_brings_a_restricted_dev_and_queues_of_its_own(self):
        host_file = "/dev/shm/enroot-test-%d" % os.getpid()
        with open(host_file, "w"):
            pass
        self.addCleanup(os.unlink, host_file)
        for target in self.each():
            self.assertIn(os.path.basename(host_file), self.output(target, "ls", "/dev/shm"))
            listed = self.output("--ipc", target, "ls", "/dev").split()
            self.assertLessEqual(set(listed), {
                "console", "fd", "full", "hugepages", "log", "mqueue", "null", "ptmx", "pts",
                "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"})
            self.assertEqual(self.output("--ipc", target, "sh", "-ec",
                                         "ls /dev/shm; echo x >/dev/shm/own; cat /dev/shm/own; "
                                         "ls /dev/mqueue"), "x\n")
            mounts = self.output("--ipc", target, "cat", "/proc/self/mounts")
            self.assertRegex(mounts, r"(?m)^tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec")
            self.assertRegex(mounts, r"(?m)^mqueue /dev/mqueue mqueue rw,nosuid,nodev,noexec")
        self.assertFalse(os.path.exists("/dev/shm/own"))

    def test_a_host_name_of_ones_own_can_be_set(self):
        name = os.uname().nodename
        for target in self.each():
            self.assertEqual(self.output("--root", "--uts", target, "sh", "-ec",
                                         "hostname inside; hostname"), "inside\n")
            result = self.run_command("enroot", "start", "--root", target, "hostname", "inside")
            self.assertNotEqual(result.code, 0)
        self.assertEqual(os.uname().nodename, name)

    def test_a_forbidden_kind_is_one_error_with_the_setting(self):
        """The limits of a user namespace around the start: the machine's stay as they are."""
        target = self.container()
        for kind, options in (("user", []), ("mnt", []), ("cgroup", []), ("pid", ["--pid"]),
                              ("net", ["--net"]), ("ipc", ["--ipc"]), ("uts", ["--uts"])):
            script = 'echo 0 >/proc/sys/user/max_%s_namespaces; exec "$@"' % kind
            result = self.run_command("unshare", "--user", "--map-root-user", "sh", "-c", script,
                                      "sh", "enroot", "start", *options, target, "true")
            self.assertEqual(result.code, 1, result)
            errors = [line for line in result.err.splitlines() if "[ERROR]" in line]
            self.assertEqual(len(errors), 1, result)
            self.assertIn("user.max_%s_namespaces" % kind, errors[0])


class TestProcessIds(NamespaceCase):
    """--pid: a fresh /proc, signals, stops and the end passed on, nothing left."""

    def test_the_command_is_the_first_process_and_sees_its_own_only(self):
        for target in self.each():
            self.assertEqual(self.output("--pid", target, "sh", "-c", "echo $$"), "1\n")
            shown = self.output("--pid", target, "ps", "-o", "pid,comm").splitlines()[1:]
            self.assertLessEqual(len(shown), 2, shown)
            mounts = self.output("--pid", target, "grep", " /proc ", "/proc/self/mounts")
            self.assertEqual(len(mounts.splitlines()), 1, mounts)
            self.assertRegex(mounts, r"proc /proc proc rw,nosuid,nodev,noexec")

    def test_the_exit_status_is_the_commands(self):
        for target in self.each():
            for code in (0, 1, 7, 255):
                result = self.run_command("enroot", "start", "--pid", target, "sh", "-c",
                                          "exit %d" % code)
                self.assertEqual(result.code, code, result)

    def test_an_error_of_the_start_is_said_once(self):
        self.refused("start", "--pid", "--mount", "/nosuch:/mnt", self.container(), "true",
                     says="/nosuch")

    def test_a_signal_that_nobody_handles_ends_the_command(self):
        # The kernel would keep these from the first process of a namespace.
        for target in self.each():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
                           signal.SIGUSR1):
                process = self.running("--pid", target, "sh", "-c", "echo ready; exec sleep 1000")
                self.wait_for_program("sleep")
                process.send_signal(number)
                process.communicate(timeout=harness.TIMEOUT)
                self.assertEqual(process.returncode, -number)
                self.assertEqual(self.wait_for_no_process(self.user), [], number)

    def test_a_shell_says_128_more(self):
        result = self.run_command(
            "sh", "-c", "enroot start --pid %s sh -c 'kill -KILL $$; exit 3'; echo $?; "
            "mkfifo up; enroot start --pid %s sh -c 'echo; exec sleep 1000' >up & read line <up; "
            "kill $!; wait $!; echo $?"
            % (self.container(), self.container(name="other")))
        # A first process cannot kill itself: the shell goes on and exits with 3.
        self.assertEqual(result.out.split(), ["3", "143"], result)

    def test_a_signal_that_is_handled_reaches_the_command(self):
        for target in self.each():
            process = self.running("--pid", target, "sh", "-c",
                                   "trap 'echo term; exit 5' TERM; trap 'echo usr1' USR1; "
                                   "echo ready; while :; do sleep 0.1; done")
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(process.stdout.readline(), b"usr1\n")
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual((out, process.returncode), (b"term\n", 5))

    def test_a_signal_that_is_ignored_stays_so(self):
        process = self.running("--pid", self.container(), "sh", "-c",
                               "trap '' TERM; echo ready; read line; exit 4")
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 4)

    def test_nothing_is_left_after_the_process_outside_is_killed(self):
        for target in self.each():
            process = self.running("--pid", target, "sh", "-c",
                                   "sleep 1000 & sleep 1000 & echo ready; wait")
            self.assertGreaterEqual(len(self.user.processes()), 4)
            process.kill()
            process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_what_is_in_the_background_ends_with_the_command(self):
        for target in self.each():
            self.output("--pid", target, "sh", "-c", "sleep 1000 >/dev/null 2>&1 & setsid sleep "
                        "1000 >/dev/null 2>&1 &")
            self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_it_stops_and_continues_with_the_command(self):
        process = self.running("--pid", self.container(), "sh", "-c", "echo ready; read line")
        inside = [pid for pid in self.user.processes() if pid != process.pid]
        process.send_signal(signal.SIGTSTP)
        for pid in [process.pid] + inside:
            self.wait_for_state(pid, "T")
        process.send_signal(signal.SIGCONT)
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0)

    def wait_for_state(self, pid, state):
        self.wait_until("state " + state, lambda: status_of(pid)["State"][0] == state)

    def test_there_is_one_process_more_without_descriptors(self):
        with open(self.user.work + "/secret", "w"):
            pass
        for target in self.each():
            secret = os.open(self.user.work + "/secret", os.O_RDONLY)
            process = self.running("--pid", target, "sh", "-c", "echo ready; read line",
                                   pass_fds=[secret])
            os.close(secret)
            served = target.startswith("/")
            self.assertEqual(len(self.user.processes()), 2 + served)
            for pid in self.user.processes():
                opened = {number: os.readlink("/proc/%d/fd/%s" % (pid, number))
                          for number in os.listdir("/proc/%d/fd" % pid)}
                self.assertNotIn(self.user.work + "/secret", opened.values())
                if pid == process.pid:
                    # Besides the standard ones a pipe, whose end tells the child.
                    self.assertLessEqual(len(opened), 4, opened)
            process.communicate(b"\n", timeout=harness.TIMEOUT)
            self.assertEqual(process.returncode, 0)

    def test_the_process_outside_cannot_be_looked_into(self):
        process = self.running("--pid", self.container(), "sh", "-c", "echo ready; read line")
        result = self.run_command("ls", "/proc/%d/root/" % process.pid)
        self.assertNotEqual(result.code, 0)
        process.communicate(b"\n", timeout=harness.TIMEOUT)

    def test_no_zombie_is_left_by_the_command(self):
        process = self.running("--pid", self.container(), "sh", "-c",
                               "for i in 1 2 3; do (true &); done; echo ready; read line")
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0)
        zombies = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                status = status_of(int(name))
                # Orphans are this process's here, which is the first of the tests' namespace.
                if status["State"].startswith("Z") and int(status["PPid"]) != os.getpid() and \
                        status["Uid"].split()[0] == str(self.user.uid):
                    zombies.append(status["Name"])
        self.assertEqual(zombies, [])

    def test_ENROOT_PID_is_the_number_on_the_host(self):
        os.makedirs(self.user.home + "/.config/enroot/mounts.d")
        with open(self.user.home + "/.config/enroot/mounts.d/x.fstab", "w") as file:
            file.write("tmpfs /opt/pid-${ENROOT_PID} tmpfs x-create=dir\n")
        process = self.running("--pid", "--rw", self.container(), "sh", "-c",
                               "echo ready; ls -d /opt/pid-*; read line")
        shown = process.stdout.readline().decode().strip()
        inside = [pid for pid in self.user.processes() if pid != process.pid]
        self.assertIn(shown, ["/opt/pid-%d" % pid for pid in inside])
        process.communicate(b"\n", timeout=harness.TIMEOUT)


class TestManyStarts(NamespaceCase):
    def test_two_hundred_concurrent_starts_of_one_container_succeed(self):
        target = self.container()
        running = [self.start("enroot", "start", target, "sh", "-c", "echo %d" % index)
                   for index in range(200)]
        for index, process in enumerate(running):
            out, err = process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual((process.returncode, out), (0, b"%d\n" % index), err)
