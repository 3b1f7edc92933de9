"""start: who runs, what can be written, which processes there are, how it ends."""
import os
import pty
import signal
import subprocess

import harness
import images
import trees


class StartCase(harness.Case):
    """With the image as a container and as a file: both must behave the same."""

    def each(self, image="alpine"):
        yield self.container(image)
        yield harness.world.library.squashed(image)

    def output(self, *arguments, **options):
        return self.enroot("start", *arguments, **options).out


class TestIdentity(StartCase):
    def test_a_command_runs_as_the_calling_user(self):
        for target in self.each():
            self.assertEqual(self.output(target, "sh", "-c", "id -u; id -g; id -un; id -gn"),
                             "%d\n%d\n%s\n%s\n" % (self.user.uid, self.user.gid, self.user.name,
                                                   self.user.name))

    def test_root_is_on_request(self):
        for target in self.each():
            for option in ("-r", "--root"):
                self.assertEqual(self.output(option, target, "sh", "-c", "id -u; id -un"),
                                 "0\nroot\n")
            self.assertEqual(self.output(target, "id", "-u", env={"ENROOT_REMAP_ROOT": "yes"}),
                             "0\n")

    def test_supplementary_groups_are_kept(self):
        target = self.container()
        groups = [self.user.gid, 12345]
        process = subprocess.run(
            [harness.world.bin + "/enroot", "start", target, "grep", "Groups", "/proc/self/status"],
            env=self.user.environment(), cwd=self.user.work, stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL, user=self.user.uid, group=self.user.gid, extra_groups=groups)
        self.assertEqual(len(process.stdout.split()), 3)

    def test_the_user_root_and_nobody_have_names_and_nobody_loses_his(self):
        for target in self.each():
            passwd = self.output(target, "cat", "/etc/passwd").splitlines()
            group = self.output(target, "cat", "/etc/group").splitlines()
            for name, number in ((self.user.name, self.user.uid), ("root", 0), ("bin", 1)):
                found = [line for line in passwd if line.split(":")[0] == name]
                self.assertEqual(found[0].split(":")[2], str(number), passwd)
            self.assertTrue([line for line in passwd if line.startswith("nobody:")])
            self.assertTrue([line for line in group
                             if line.startswith("%s:x:%d:" % (self.user.name, self.user.gid))])
            self.assertIn("bin:x:1:root,bin", group)

    def test_no_new_privileges_and_no_capabilities(self):
        for target in self.each():
            status = dict(line.split(":\t", 1) for line in self.output(
                target, "cat", "/proc/self/status").splitlines() if ":\t" in line)
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["Seccomp"], "2")
            for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[field], 16), 0, field)

    def test_root_has_the_capabilities_of_the_namespace_only(self):
        target = self.container()
        status = self.output("--root", target, "cat", "/proc/self/status")
        self.assertRegex(status, r"CapEff:\t0*[1-9a-f]")
        self.assertRegex(status, r"NoNewPrivs:\t1")
        result = self.run_command("enroot", "start", "--root", target, "mknod", "/tmp/x", "b", "8",
                                  "0")
        self.assertNotEqual(result.code, 0)

    def test_changes_of_owner_are_answered_with_success(self):
        target = self.container()
        self.output("--root", "--rw", target, "sh", "-ec",
                    "touch /f; chown 33:33 /f; chown -h 1:1 /bin/sh; chgrp 5 /f; "
                    "su bin -s /bin/sh -c true")
        self.assertEqual(os.stat(self.data_path("alpine/f")).st_uid, self.user.uid)

    def test_set_uid_programs_of_the_image_give_nothing(self):
        target = self.container()
        os.chmod(self.data_path("alpine/bin/busybox"), 0o4755)
        self.assertEqual(self.output(target, "id", "-u"), "%d\n" % self.user.uid)
        options = self.output(target, "cat", "/proc/self/mountinfo").splitlines()
        root = [line.split() for line in options if line.split()[4] == "/"][-1]
        self.assertIn("nosuid", root[5])
        self.assertIn("nodev", root[5])


class TestWriting(StartCase):
    def test_the_root_is_read_only(self):
        for target in self.each():
            result = self.run_command("enroot", "start", target, "touch", "/x")
            self.assertNotEqual(result.code, 0)
            self.assertIn("Read-only file system", result.err)

    def test_a_container_keeps_changes_made_with_rw(self):
        target = self.container()
        for option in ("-w", "--rw"):
            self.output(option, target, "sh", "-c", "echo %s >>/kept" % option)
        self.assertEqual(self.output(target, "cat", "/kept"), "-w\n--rw\n")
        self.output(target, "touch", "/configured", env={"ENROOT_ROOTFS_WRITABLE": "yes"})
        self.assertTrue(os.path.exists(self.data_path("alpine/configured")))

    def test_an_image_forgets_changes_made_with_rw(self):
        image = harness.world.library.squashed("alpine")
        before = trees.content_digest(image)
        self.assertEqual(self.output("--rw", image, "sh", "-ec",
                                     "echo new >/x; rm /etc/shells; mkdir /d; mv /etc/profile /d/; "
                                     "echo more >>/etc/passwd; cat /x"), "new\n")
        result = self.run_command("enroot", "start", "--rw", image, "ls", "/x")
        self.assertNotEqual(result.code, 0)
        self.output("--rw", image, "ls", "/etc/shells", "/etc/profile")
        self.assertEqual(trees.content_digest(image), before)

    def test_a_start_leaves_a_read_only_container_as_it_was(self):
        target = self.container()
        before = trees.scan(self.data_path("alpine"))
        self.output(target, "true")
        first = trees.scan(self.data_path("alpine"))
        self.output(target, "true")
        again = trees.scan(self.data_path("alpine"))
        self.assertEqual(trees.differences(first, again, ignored=set()), [])
        changed = {line.split(":")[0] for line in trees.differences(before, first, ignored=set())}
        # Mount points have to exist, and accounts may be written into the tree.
        self.assertLessEqual(changed & {"etc/os-release", "bin/busybox", "etc/profile"}, set())

    def test_tmp_is_writable_and_private(self):
        for target in self.each():
            self.assertEqual(self.output(target, "sh", "-ec", "echo x >/tmp/f; cat /tmp/f"), "x\n")
            self.assertEqual(self.output(target, "ls", "/tmp"), "")


class TestProcesses(StartCase):
    def test_the_exit_status_is_the_commands(self):
        for target in self.each():
            for code in (0, 1, 7, 255):
                result = self.run_command("enroot", "start", target, "sh", "-c", "exit %d" % code)
                self.assertEqual(result.code, code, result)

    def test_a_signal_that_ends_the_command_is_seen(self):
        for target in self.each():
            result = self.run_command("enroot", "start", target, "sh", "-c", "kill -TERM $$")
            self.assertIn(result.code, (-signal.SIGTERM, 128 + signal.SIGTERM))

    def test_input_and_output_pass_through(self):
        data = os.urandom(3 << 20)
        for target in self.each():
            process = self.start("enroot", "start", target, "cat", stdin=subprocess.PIPE)
            out, _ = process.communicate(data, timeout=harness.TIMEOUT)
            self.assertEqual(out, data)

    def test_a_terminal_is_a_terminal(self):
        for target in self.each():
            leader, follower = pty.openpty()
            process = self.start("enroot", "start", target, "sh", "-c", "tty; echo $TERM",
                                 stdin=follower, stdout=follower, stderr=follower,
                                 start_new_session=True, env={"TERM": "vt100"})
            os.close(follower)
            shown = b""
            while True:
                try:
                    block = os.read(leader, 4096)
                except OSError:
                    break
                if not block:
                    break
                shown += block
            os.close(leader)
            self.assertEqual(process.wait(timeout=harness.TIMEOUT), 0, shown)
            self.assertNotIn(b"not a tty", shown)

    def running(self, target, *command):
        """Start a command that prints a line and then waits."""
        process = self.start("enroot", "start", target, *command, stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n", command)
        return process

    def test_a_container_is_one_process(self):
        process = self.running(self.container(), "sh", "-c", "echo ready; read line")
        self.assertEqual(self.user.processes(), [process.pid])
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0)

    def test_a_start_makes_no_other_process_and_runs_no_other_program(self):
        process = self.start("strace", "-f", "-qq", "-e",
                             "trace=execve,clone,clone3,fork,vfork", "enroot", "start",
                             self.container(), "/bin/true")
        _, trace = process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0, trace)
        calls = [line for line in harness.text(trace).splitlines() if " = 0" in line
                 or "clone" in line or "fork" in line]
        self.assertTrue(all("execve(" in line for line in calls), calls)
        # enroot itself, the shell for /etc/rc, and the command.
        self.assertLessEqual(len(calls), 3, calls)

    def test_an_image_file_is_served_by_one_more(self):
        process = self.running(harness.world.library.squashed("alpine"), "sh", "-c",
                               "echo ready; read line")
        self.assertLessEqual(len(self.user.processes()), 2)
        self.assertIn(process.pid, self.user.processes())
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_nothing_is_left_after_a_container_is_killed(self):
        for target in self.each():
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                process = self.running(target, "sh", "-c", "echo ready; exec sleep 1000")
                process.send_signal(number)
                process.communicate(timeout=harness.TIMEOUT)
                self.assertEqual(self.wait_for_no_process(self.user), [], number)

    def test_the_image_stays_while_a_process_in_the_background_uses_it(self):
        image = harness.world.library.squashed("alpine")
        process = self.start("enroot", "start", image, "sh", "-c",
                             "(sleep 1; cat /etc/os-release >&2) >/dev/null & echo done",
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual((out, err.decode()), (b"done\n", images.OS_RELEASE.decode()))
        self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_ctrl_c_on_the_terminal_ends_everything(self):
        for target in self.each():
            process = self.start("enroot", "start", target, "sh", "-c", "echo ready; sleep 1000",
                                 start_new_session=True)
            self.assertEqual(process.stdout.readline(), b"ready\n")
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_open_files_do_not_leak_in(self):
        with open(self.user.work + "/secret", "w") as file:
            file.write("x")
        for target in self.each():
            secret = os.open(self.user.work + "/secret", os.O_RDONLY)
            other = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
            try:
                process = self.start("enroot", "start", target, "ls", "-l", "/proc/self/fd",
                                     pass_fds=[secret, other])
                out, _ = process.communicate(timeout=harness.TIMEOUT)
            finally:
                os.close(secret)
                os.close(other)
            shown = dict(line.split()[-3::2] for line in out.decode().splitlines() if "->" in line)
            # The directory that ls reads, and the script that the shell reads.
            others = [target for number, target in shown.items() if int(number) > 2
                      and not target.startswith("/proc/") and target != "/etc/rc"]
            self.assertEqual(others, [])

    def test_starts_of_one_container_run_at_the_same_time(self):
        # The first starts of a container make what it lacks: a home, mount points.
        targets = [self.container("alpine", "fresh%d" % index) for index in range(4)]
        for target in targets + [harness.world.library.squashed("alpine")]:
            running = [self.start("enroot", "start", target, "sh", "-c", "echo %d" % index)
                       for index in range(25)]
            ended = [process.communicate(timeout=harness.TIMEOUT) for process in running]
            for index, (out, err) in enumerate(ended):
                self.assertEqual(out, b"%d\n" % index, err)

    def test_root_can_start_too(self):
        image = harness.world.library.squashed("alpine")
        root = harness.world.root
        self.enroot("create", "-n", "roots", image, user=root)
        for target in ("roots", image):
            for env in ({}, {"ENROOT_ALLOW_SUPERUSER": "yes"}):
                self.assertEqual(self.output(target, "id", "-u", user=root, env=env), "0\n")
        self.enroot("remove", "-f", "roots", user=root)

    def test_a_user_without_an_account_can_start_or_is_told(self):
        user = harness.world.other
        number, user.uid = user.uid, 54321
        try:
            user.reset()
            result = self.run_command("enroot", "start", harness.world.library.squashed("alpine"),
                                      "id", "-u", user=user)
        finally:
            user.uid = number
        if result.code == 0:
            self.assertEqual(result.out, "54321\n")
        else:
            self.assertIn("54321", result.err)

    def test_two_users_start_one_image(self):
        image = harness.world.library.squashed("alpine")
        for user in (harness.world.user, harness.world.other):
            self.assertEqual(self.output(image, "id", "-un", user=user), user.name + "\n")


class TestTargets(StartCase):
    def test_an_unknown_container_is_named(self):
        self.refused("start", "nosuch", "true", says="nosuch")

    def test_a_path_that_is_no_image_is_refused(self):
        for name in ("/nosuch/file.sqsh", "a/b", "/etc/passwd", "/", ".", ".."):
            self.refused("start", name, "true", says=".")

    def test_a_command_that_is_missing_is_named(self):
        for target in self.each():
            result = self.run_command("enroot", "start", target, "nosuchcommand")
            self.assertNotEqual(result.code, 0)
            self.assertIn("nosuchcommand", result.err)

    def test_options_end_at_the_target(self):
        target = self.container()
        self.assertEqual(self.output(target, "echo", "--rw", "-r", "--"), "--rw -r --\n")
        self.assertEqual(self.output("--", target, "id", "-u"), "%d\n" % self.user.uid)

    def test_an_image_in_the_working_directory_needs_no_path(self):
        subprocess.run(["cp", harness.world.library.squashed("alpine"),
                        self.user.work + "/here.sqsh"], check=True)
        for name in ("here.sqsh", "./here.sqsh"):
            self.assertEqual(self.output(name, "echo", "ok"), "ok\n")

    def test_an_image_without_a_shell_runs_its_program(self):
        tar = images.Tar()
        with open("/bin/busybox", "rb") as file:
            tar.file("busybox", file.read(), mode=0o755)
        layout = harness.world.library.path + "/bare"
        images.push(images.layout(layout, [tar], {"Entrypoint": ["/busybox", "echo", "bare"]}),
                    harness.world.servers.plain.host, "tests/bare")
        self.enroot("import", "-o", "bare.sqsh", "docker://%s#tests/bare"
                    % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.enroot("create", "bare.sqsh")
        for target in ("bare", "./bare.sqsh"):
            result = self.run_command("enroot", "start", target)
            # Either the entry point runs, or one error says what the image lacks.
            if result.code == 0:
                self.assertEqual(result.out, "bare\n")
            else:
                self.assertIn("/bin/sh", result.err)
