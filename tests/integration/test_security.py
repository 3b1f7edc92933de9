"""Images that mean harm: nothing of the host is read, written or run on their behalf."""
import os
import shutil
import stat
import subprocess

import harness
import images
import trees

# What a start writes to, mounts over, or reads in a root file system.
TOUCHED = ("etc/passwd", "etc/group", "etc/hosts", "etc/hostname", "etc/resolv.conf",
           "etc/machine-id", "etc/localtime", "etc/environment", "etc/fstab", "etc/rc",
           "etc/rc.local", "etc/login.defs", "etc/locale.conf", "etc/default/useradd",
           "etc/apt/apt.conf.d/enroot", "etc/timezone", ".lock")
DIRECTORIES = ("etc", "dev", "proc", "sys", "tmp", "run", "var", "home", "root", "etc/skel",
               "etc/apt/apt.conf.d", "mnt")


class HostileCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.victim = self.user.home + "/victim"
        os.mkdir(self.victim)
        self.secret = self.victim + "/secret"
        with open(self.secret, "w") as file:
            file.write("SECRET=leaked\n/etc /leaked none bind\n")
        subprocess.run(["chown", "-R", self.user.name, self.victim], check=True)
        self.before = trees.scan(self.victim)

    def assert_host_untouched(self, context):
        self.assertEqual(trees.differences(self.before, trees.scan(self.victim), ignored=set()), [],
                         context)

    def hostile(self, name, target):
        """An image with the busybox root in which one name is a link to the host."""
        tar = images.Tar()
        with open("/bin/busybox", "rb") as file:
            tar.file("bin/busybox", file.read(), mode=0o755)
        for applet in ("sh", "cat", "env", "id", "ls", "grep", "touch"):
            tar.symlink("bin/" + applet, "/bin/busybox")
        for directory in ("etc", "proc", "sys", "dev", "tmp", "var"):
            if directory != name:
                tar.directory(directory)
        tar.symlink(name, target)
        path = self.user.work + "/hostile.sqsh"
        subprocess.run(["mksquashfs", "-", path, "-tar", "-no-progress", "-quiet", "-noappend"],
                       input=tar.bytes(), check=True, stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        return path

    def start_all_ways(self, path):
        """Start as container and as file, with and without --rw; any end but a crash is fine."""
        self.enroot("create", "--force", "-n", "hostile", path)
        for target in ("hostile", path):
            for options in ((), ("--rw",), ("--root", "--rw")):
                result = self.run_command(
                    "enroot", "start", *options, target, "sh", "-c",
                    "env; cat /etc/passwd /etc/environment 2>/dev/null; touch /etc/x /tmp/x; :",
                    env={"ENROOT_MOUNT_HOME": "no"})
                self.assertGreaterEqual(result.code, 0, result)
                self.assertNotIn("leaked", result.out, result)
                self.assertNotIn("leaked", result.err, result)


class TestLinksToTheHost(HostileCase):
    def test_files_of_a_start_that_are_links_lead_nowhere(self):
        for name in TOUCHED:
            with self.subTest(name):
                self.start_all_ways(self.hostile(name, self.secret))
                self.assert_host_untouched(name)

    def test_links_that_climb_lead_nowhere(self):
        for name in ("etc/passwd", "etc/environment", "etc/rc"):
            with self.subTest(name):
                self.start_all_ways(self.hostile(name, "../" * 30 + self.secret.lstrip("/")))
                self.assert_host_untouched(name)

    def test_directories_of_a_start_that_are_links_lead_nowhere(self):
        for name in DIRECTORIES:
            with self.subTest(name):
                self.start_all_ways(self.hostile(name, self.victim))
                self.assert_host_untouched(name)

    def test_links_to_files_that_are_not_there_make_none(self):
        for name in ("etc/passwd", "etc/hosts", "etc/resolv.conf", "etc/localtime"):
            with self.subTest(name):
                self.start_all_ways(self.hostile(name, self.victim + "/made"))
                self.assert_host_untouched(name)

    def test_links_of_an_imported_image_lead_nowhere(self):
        for name in ("etc", "etc/rc", "etc/rc.local", "etc/fstab", "etc/environment", "srv"):
            with self.subTest(name):
                layout = "%s/%s-%s" % (harness.world.library.path, self._testMethodName,
                                       name.replace("/", "-"))
                target = self.victim if name in ("etc", "srv") else self.secret
                images.push(images.layout(layout, [images.Tar().symlink(name, target)],
                                          {"WorkingDir": "/srv/work", "Env": ["A=1"]}),
                            harness.world.servers.plain.host, "tests/hostile")
                output = "%s/%s.sqsh" % (self.user.work, name.replace("/", "-"))
                self.enroot("import", "-o", output, "docker://%s#tests/hostile"
                            % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
                self.enroot("create", "-f", "-n", "hostile", output)
                self.assert_host_untouched(name)
                rc = self.data_path("hostile/etc/rc")
                self.assertTrue(os.path.isfile(rc) and not os.path.islink(rc))


class TestSettingsOfImages(HostileCase):
    def started(self, config):
        layout = "%s/%s" % (harness.world.library.path, self._testMethodName)
        images.push(images.layout(layout, [images.busybox_root()], config),
                    harness.world.servers.plain.host, "tests/settings")
        self.enroot("import", "-o", "x.sqsh", "docker://%s#tests/settings"
                    % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        return self.run_command("enroot", "start", "./x.sqsh", "sh", "-c",
                                "ls /; env; cat /etc/fstab")

    def test_newlines_start_no_lines_of_their_own(self):
        result = self.started({
            "Env": ["A=1\nINJECTED=1", "B=2"], "Labels": {"k\ntouch /tmp/label": "v\ntouch /tmp/x"},
            "Volumes": {"/v\n/etc /injected none bind": {}},
            "WorkingDir": "/work\ntouch /tmp/x", "Cmd": ["sh", "-c", "echo\nx"]})
        self.assertNotRegex(result.out, "(?m)^INJECTED=")
        self.assertNotRegex(result.out, "(?m)^/etc /injected")
        rc = subprocess.run(["unsquashfs", "-cat", self.user.work + "/x.sqsh", "etc/rc"],
                            stdout=subprocess.PIPE, check=True).stdout.decode()
        # A working directory may hold a newline, inside quotes.
        comments = [line for line in rc.splitlines() if "label" in line or "touch /tmp/x" in line]
        self.assertFalse([line for line in comments if line.startswith("touch /tmp/label")])

    def test_volumes_cannot_mount_the_host(self):
        for volume in ("/../../../../" + self.victim, "/x none /etc", "/x\t/y", "${HOME}",
                       "/$(touch /tmp/x)"):
            with self.subTest(volume):
                result = self.started({"Volumes": {volume: {}}})
                self.assertGreaterEqual(result.code, 0)
                self.assert_host_untouched(volume)
                os.unlink(self.user.work + "/x.sqsh")
                subprocess.run(["rm", "-rf", "%s/%s" % (harness.world.library.path,
                                                        self._testMethodName)], check=True)

    def test_the_images_fstab_takes_only_what_the_user_could_mount(self):
        path = self.hostile("link", "x")
        self.enroot("create", "-n", "hostile", path)
        with open(self.data_path("hostile/etc/fstab"), "w") as file:
            file.write("/dev/loop0 /mnt ext4 x-create=dir,rw\n")
        self.refused("start", "hostile", "true", says="fstab|mount|mnt")

    def test_variables_of_the_loader_do_not_reach_enroot_itself(self):
        self.container("alpine")
        with open(self.data_path("alpine/etc/environment"), "a") as file:
            file.write("LD_PRELOAD=%s\nLD_LIBRARY_PATH=/lib\nPATH=/evil\n" % self.secret)
        result = self.enroot("start", "alpine", "/bin/echo", "ok")
        self.assertEqual(result.out, "ok\n")
        self.assertNotIn("ld.so", result.err)


class TestTheHostsSide(HostileCase):
    def test_directories_for_temporary_files_are_private(self):
        self.container()
        self.import_from(harness.world.servers.plain, "alpine")
        for path in (self.data_path(), self.cache_path()):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, path)

    def test_another_user_cannot_reach_a_container(self):
        self.container()
        result = self.run_command("ls", self.data_path("alpine"), user=harness.world.other)
        self.assertNotEqual(result.code, 0)

    def test_a_process_inside_cannot_leave_through_its_directories(self):
        self.container()
        result = self.run_command(
            "enroot", "start", "--root", "--rw", "alpine", "sh", "-c",
            "cd /; for i in 1 2 3 4 5 6 7 8 9; do cd ..; done; ls; ls /proc/1/root/ "
            "/proc/self/cwd/..; chroot .. ls; cat %s" % self.secret)
        self.assertNotIn("leaked", result.out)

    def test_a_container_does_not_see_memory_of_the_runtime(self):
        self.container()
        result = self.run_command("enroot", "start", "alpine", "sh", "-c",
                                  "tr '\\0' '\\n' </proc/self/environ",
                                  env={"TOKEN_OF_THE_HOST": "leaked"})
        self.assertNotIn("leaked", result.out)

    def test_a_program_in_a_home_directory_is_out_of_reach(self):
        """CVE-2019-5736: what "exec" executes is the program's own file"""
        program = self.user.home + "/bin/enroot"
        hooks = self.user.home + "/.config/enroot/hooks.d"
        os.mkdir(os.path.dirname(program))
        shutil.copy(os.path.realpath(harness.world.bin + "/enroot"), program)
        os.makedirs(hooks)
        with open(hooks + "/50-path.sh", "w") as file:
            file.write("echo \"PATH=$PATH\" >&2\n")
        os.chmod(file.name, 0o755)
        subprocess.run(["chown", "-R", self.user.name, self.user.home], check=True)
        self.container()
        # Under this name it waits for what it is to mount.
        os.symlink("/proc/self/exe", self.data_path("alpine/bin/enroot-mount"))
        box = self.start(program, "start", "-m", "/lib:/lib", "-m",
                         "/lib64:/lib64:none:x-create=dir,rbind,ro", "alpine",
                         "sh", "-c", "echo ready; read end", stdin=subprocess.PIPE)
        self.assertEqual(box.stdout.readline(), b"ready\n")
        trap = self.start(program, "exec", str(box.pid), "/bin/enroot-mount", "--root", "/", "-",
                          stdin=subprocess.PIPE)
        executed = b""
        while not executed.startswith(b"/bin/enroot-mount") and trap.poll() is None:
            with open("/proc/%d/cmdline" % trap.pid, "rb") as file:
                executed = file.read()
        shown = os.readlink("/proc/%d/exe" % trap.pid) if trap.poll() is None else None
        self.assertEqual(trap.communicate(b"\n")[1], b"")
        err = box.communicate(b"\n")[1].decode()
        self.assertEqual(shown, "/memfd:%s (deleted)" % program)
        # Hooks still find what stands beside the program.
        self.assertRegex(err, "PATH=.*:%s\n" % os.path.dirname(program))
