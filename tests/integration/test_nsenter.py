"""enroot-nsenter: the classic tool's helper, a name of the one program."""
import os
import subprocess

import harness
import test_exec


class NsenterCase(test_exec.Running):
    def nsenter(self, *arguments, **options):
        return self.run_command("enroot-nsenter", *arguments, **options)

    def output(self, *arguments, **options):
        result = self.nsenter(*arguments, **options)
        self.assertEqual(result.code, 0, result)
        return result.out


class TestNew(NsenterCase):
    """Without --target: [--user] [--mount] [--pid] [--net] [--ipc] [--uts] [--remap-root]"""

    KINDS = {"user": "--user", "mnt": "--mount", "net": "--net", "ipc": "--ipc", "uts": "--uts",
             "pid": "--pid"}

    def test_each_option_makes_its_namespace_and_no_other(self):
        for kind, option in self.KINDS.items():
            shown = self.output("--user", option, "sh", "-c",
                                "for n in %s; do readlink /proc/self/ns/$n; done" %
                                " ".join(self.KINDS)).split()
            for name, link in zip(self.KINDS, shown):
                same = link == os.readlink("/proc/self/ns/" + name)
                self.assertEqual(same, name not in ("user", kind), (option, link))

    def test_the_user_keeps_his_id_and_has_all_capabilities(self):
        """As hooks have: mounting works for the command although it is not root."""
        shown = self.output("--user", "--mount", "sh", "-c",
                            "id -u; echo tmpfs /mnt tmpfs | enroot-mount -; "
                            "grep -c ' /mnt ' /proc/mounts")
        self.assertEqual(shown.split(), [str(self.user.uid), "1"])

    def test_remap_root(self):
        self.assertEqual(self.output("--user", "--remap-root", "id", "-u"), "0\n")

    def test_changes_of_owners_are_answered_with_success(self):
        with open(self.user.work + "/file", "w"):
            pass
        os.chown(self.user.work + "/file", self.user.uid, self.user.gid)
        self.output("--user", "chown", "1234", self.user.work + "/file")

    def test_the_loopback_interface_is_up(self):
        self.assertIn("LOOPBACK,UP", self.output("--user", "--net", "ip", "link", "show", "lo"))

    def test_the_first_process_of_a_namespace(self):
        self.assertEqual(self.output("--user", "--pid", "sh", "-c", "echo $$"), "1\n")
        self.assertEqual(self.nsenter("--user", "--pid", "sh", "-c", "exit 42").code, 42)
        self.assertEqual(self.nsenter("--user", "--pid", "--", "sh", "-c", "exit 0").code, 0)

    def test_environment_and_directory(self):
        """[--envfile FILE] [--envfd FD] [--workdir DIR]"""
        with open(self.user.work + "/env", "w") as file:
            file.write("ONLY=this\nENROOT_EVIL=1\nno line\nPATH=/usr/bin:/bin\n")
        self.assertEqual(self.output("--envfile", "env", "env"), "ONLY=this\nPATH=/usr/bin:/bin\n")
        shown = self.run_command("sh", "-c", "exec enroot-nsenter --envfd 5 env 5<env")
        self.assertEqual(shown.out, "ONLY=this\nPATH=/usr/bin:/bin\n", shown)
        self.assertIn("GIVEN=yes\n", self.output("env", env={"GIVEN": "yes"}))
        self.assertEqual(self.output("--workdir", "/usr", "pwd"), "/usr\n")

    def test_mistakes(self):
        for arguments, says in ((["--target", "x", "true"], "--target x"),
                                (["--target", "0", "true"], "--target 0"),
                                (["--envfd", "1", "true"], "--envfd 1"),
                                (["--envfile", "/no/such", "true"], "/no/such"),
                                (["--workdir", "/no/such", "true"], "/no/such"),
                                (["/no/such/program"], "/no/such/program"),
                                (["--bogus", "true"], "unknown option: --bogus"),
                                (["--user"], "missing argument"),
                                (["--target", "4194305", "true"], "no process 4194305")):
            result = self.nsenter(*arguments)
            self.assertEqual(result.code, 1, result)
            self.assertRegex(result.err, r"\[ERROR\] .*" + says)
        self.assertIn("Usage: enroot-nsenter", self.nsenter().out)


class TestTarget(NsenterCase):
    def test_the_classic_exec(self):
        """How the classic "enroot exec" calls it."""
        name = self.container()
        for options in ((), ("--root",), ("--pid",)):
            process = self.begin(name, *options, "--env", "WHO=inside",
                                 script="cd /usr; " + self.WAIT)
            pid = process.pid
            if options == ("--pid",):
                pid, = [other for other in self.user.processes() if other != pid]
            result = self.run_command("bash", "-c", """
                exec {fd}< <(tr '\\0' '\\n' < "/proc/$1/environ"; echo EXTRA=1)
                exec enroot-nsenter --target "$1" --user --pid --mount --net --ipc --uts \\
                    --envfd "$fd" --workdir "/proc/$1/cwd" \\
                    sh -c 'echo $WHO $EXTRA $PWD; readlink /proc/self/ns/mnt; exit 3'
            """, "bash", str(pid))
            self.assertEqual(result.code, 3, result)
            self.assertEqual(result.out.split(), ["inside", "1", "/usr",
                                                  os.readlink("/proc/%d/ns/mnt" % pid)])
            self.end(process)

    def test_some_of_the_namespaces(self):
        process = self.begin(self.container())
        shown = self.output("--target", str(process.pid), "--user", "sh", "-c",
                            "readlink /proc/self/ns/user /proc/self/ns/mnt").split()
        self.assertEqual(shown, [os.readlink("/proc/%d/ns/user" % process.pid),
                                 os.readlink("/proc/self/ns/mnt")])

    def test_a_directory_of_the_host_is_no_working_directory(self):
        """CVE-2024-21626"""
        self.container()
        process = self.begin("alpine", "--pid")
        pid, = [other for other in self.user.processes() if other != process.pid]
        result = self.nsenter("--target", str(pid), "--user", "--pid", "--mount", "--workdir",
                              self.user.work, "ls")
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.err, "is not in the new namespaces")

    def test_another_users_process_is_refused(self):
        process = self.begin(self.container())
        for user in (harness.world.other, harness.world.root):
            result = self.nsenter("--target", str(process.pid), "--user", "--mount", "true",
                                  user=user)
            self.assertEqual(result.code, 1, result)
            self.assertRegex(result.err, "not yours|of user")

    def test_by_any_path(self):
        program = harness.world.bin + "/enroot-nsenter"
        shown = subprocess.run([program, "--user", "id", "-u"], env=self.user.environment(),
                               stdout=subprocess.PIPE, check=True, **harness.become(self.user))
        self.assertEqual(shown.stdout, b"%d\n" % self.user.uid)
