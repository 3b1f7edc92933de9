"""start on a terminal: job control, window size, the keys that send signals, the end."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import harness

CTRL_C, CTRL_Z, CTRL_D, CTRL_BACKSLASH = b"\x03", b"\x1a", b"\x04", b"\x1c"


class Terminal:
    """A command as the leader of a session on a terminal of its own."""

    def __init__(self, case, *argv, **options):
        self.case = case
        self.leader, follower = pty.openpty()
        os.fchown(follower, case.user.uid, case.user.gid)
        self.resize(24, 80)
        env = {"TERM": "dumb", "PS1": "outer> ", **options.pop("env", {})}
        self.process = case.start(
            *argv, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env=env, **options)
        os.close(follower)
        self.shown = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data):
        os.write(self.leader, data if isinstance(data, bytes) else data.encode())

    def expect(self, pattern, seconds=harness.TIMEOUT):
        """Wait until what is shown matches; returns the match. What follows is kept."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern.encode(), self.shown)
            if match:
                self.shown = self.shown[match.end():]
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.leader], [], [], left)[0]:
                self.case.fail("no %r in %r" % (pattern, self.shown))
            try:
                data = os.read(self.leader, 4096)
            except OSError:
                data = b""
            if not data:
                self.case.fail("the end instead of %r in %r" % (pattern, self.shown))
            self.shown += data

    def wait_for_foreground(self, name, seconds=harness.TIMEOUT):
        """Until the leader of the group that gets what the keys send is a program."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                with open("/proc/%d/comm" % os.tcgetpgrp(self.leader)) as file:
                    if file.read() == name + "\n":
                        return
            time.sleep(0.02)
        self.case.fail("%s is not in the foreground" % name)

    def wait(self, seconds=harness.TIMEOUT):
        """The exit status; what is still shown is read away."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.leader], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.leader, 4096)
                except OSError:
                    time.sleep(0.02)
        if self.process.poll() is None:
            self.case.fail("no end after %r" % self.shown)
        code = self.process.returncode
        os.close(self.leader)
        return code


class TestTerminal(harness.Case):
    def each(self):
        target = self.container()
        for options in ([], ["--pid"], ["--ipc", "--pid", "--net"]):
            for place in (target, harness.world.library.squashed("alpine")):
                yield [*options, place]

    def test_a_shell_has_job_control(self):
        for arguments in self.each():
            terminal = Terminal(self, "enroot", "start", *arguments, "sh", "-i",
                                env={"PS1": None})
            terminal.expect(r"[#$] ")
            terminal.send("echo $((6*7))\n")
            terminal.expect("\r\n42\r\n")
            terminal.send("sleep 1000 & jobs\n")
            terminal.expect("Running +sleep 1000")
            terminal.send("fg\n")
            terminal.wait_for_foreground("sleep")
            terminal.send(CTRL_Z)
            terminal.expect("Stopped +sleep 1000")
            terminal.send("fg\n")
            terminal.wait_for_foreground("sleep")
            terminal.send(CTRL_C)
            terminal.expect(r"[#$] ")
            terminal.send("echo status=$?\n")
            terminal.expect("status=130\r\n")
            # Twice: busybox may still take the job for a stopped one, and ask.
            terminal.send("exit 7\nexit 7\n")
            self.assertEqual(terminal.wait(), 7, arguments)

    def test_the_size_of_the_window_is_the_terminals(self):
        for arguments in self.each():
            terminal = Terminal(self, "enroot", "start", *arguments, "sh", "-c",
                                "trap 'echo resized $(stty size)' WINCH; stty size; "
                                "while :; do sleep 0.05; done")
            terminal.expect("24 80\r\n")
            terminal.resize(40, 132)
            terminal.expect("resized 40 132\r\n")
            terminal.send(CTRL_C)
            self.assertIn(terminal.wait(), (-signal.SIGINT, 128 + signal.SIGINT))

    def test_keys_end_and_stop_a_plain_program(self):
        """From an interactive shell outside, as a user does it."""
        for arguments in self.each():
            terminal = Terminal(self, "bash", "--norc", "--noprofile", "-i")
            terminal.expect("outer> ")
            for key, status in ((CTRL_C, 130), (CTRL_BACKSLASH, 131)):
                terminal.send("enroot start %s sh -c 'echo rea''dy; exec sleep 1000'\n"
                              % " ".join(arguments))
                terminal.expect("ready\r\n")
                terminal.wait_for_foreground("sleep")
                terminal.send(key)
                terminal.expect("outer> ")
                terminal.send("echo status=$?\n")
                terminal.expect("status=%d\r\n" % status)
                terminal.expect("outer> ")
            terminal.send("enroot start %s sh -c 'echo rea''dy; exec sleep 1000'\n"
                          % " ".join(arguments))
            terminal.expect("ready\r\n")
            terminal.wait_for_foreground("sleep")
            terminal.send(CTRL_Z)
            terminal.expect("(?s)Stopped.*outer> ")
            terminal.send("fg\n")
            terminal.wait_for_foreground("sleep")
            terminal.send(CTRL_C)
            terminal.expect("outer> ")
            terminal.send("exit\n")
            terminal.wait()
            self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_a_script_gets_the_terminal_back(self):
        """A shell inside takes the terminal; whoever runs next outside must have it again."""
        for arguments in self.each():
            terminal = Terminal(self, "bash", "--norc", "-c",
                                'enroot start "$@" sh -i; echo "inner=$?"; read -r line; '
                                'echo "got $line"', "bash", *arguments, env={"PS1": None})
            terminal.expect(r"[#$] ")
            terminal.send("exit 3\n")
            terminal.expect("inner=3\r\n")
            terminal.send("text\n")
            terminal.expect("got text\r\n")
            self.assertEqual(terminal.wait(), 0)

    def test_input_ends_with_its_key(self):
        for arguments in self.each():
            terminal = Terminal(self, "enroot", "start", *arguments, "cat")
            terminal.send("one\n")
            terminal.expect("one\r\none\r\n")
            terminal.send(CTRL_D)
            self.assertEqual(terminal.wait(), 0)

    def test_nothing_is_left_when_the_terminal_goes_away(self):
        for arguments in self.each():
            terminal = Terminal(self, "enroot", "start", *arguments, "sh", "-c",
                                "sleep 1000 & echo ready; wait")
            terminal.expect("ready\r\n")
            os.close(terminal.leader)
            terminal.process.wait(timeout=harness.TIMEOUT)
            self.assertEqual(terminal.process.returncode, -signal.SIGHUP)
            for pid in self.user.processes():
                # Without a namespace, what is in the background may live on: as outside.
                if "--pid" not in arguments:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            self.assertEqual(self.wait_for_no_process(self.user), [])
