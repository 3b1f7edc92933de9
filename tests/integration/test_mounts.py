"""start: mounts, devices, and what the built-in hooks bring."""
import os
import shutil
import signal
import subprocess

import harness
from test_environment import SettingsCase as Settings


class TestMount(Settings):
    def setUp(self):
        super().setUp()
        self.target = self.container()
        self.host = self.user.work + "/shared"
        self.write(self.host + "/file", "from the host\n")

    def test_a_directory_of_the_host_is_mounted(self):
        for word in (self.host + ":/mnt", self.host + ":/new/place", "./shared:/mnt",
                     "shared:/mnt"):
            point = word.split(":")[1]
            for option in (("-m", word), ("--mount", word), ("--mount=" + word,)):
                self.assertEqual(self.output(*option, self.target, "cat", point + "/file"),
                                 "from the host\n")

    def test_a_source_alone_is_mounted_at_its_own_path(self):
        self.assertEqual(self.output("-m", self.host, self.target, "cat", self.host + "/file"),
                         "from the host\n")

    def test_a_file_is_mounted_over_a_file_and_over_nothing(self):
        for point in ("/etc/profile", "/etc/new", "/opt/deep/new"):
            self.assertEqual(self.output("-m", self.host + "/file:" + point, self.target, "cat",
                                         point), "from the host\n")

    def test_a_mounted_directory_is_writable_unless_read_only(self):
        self.output("-m", self.host + ":/mnt", self.target, "touch", "/mnt/one")
        self.assertTrue(os.path.exists(self.host + "/one"))
        for options in ("bind,ro", "rbind,ro", "x-create=dir,bind,ro"):
            result = self.run_command("enroot", "start", "-m", self.host + ":/mnt:none:" + options,
                                      self.target, "touch", "/mnt/two")
            self.assertIn("Read-only file system", result.err, options)

    def test_a_tmpfs_is_mounted_with_its_options(self):
        shown = self.output("-m", "tmpfs:/scratch:tmpfs:x-create=dir,size=1m", self.target, "sh",
                            "-c", "grep ' /scratch ' /proc/self/mounts; touch /scratch/x")
        self.assertIn("size=1024k", shown)

    def test_several_mounts_come_in_order(self):
        self.write(self.user.work + "/inner/file", "inner\n")
        self.assertEqual(self.output(
            "-m", "tmpfs:/mnt:tmpfs:x-create=dir", "-m", "inner:/mnt/a/b", self.target, "cat",
            "/mnt/a/b/file"), "inner\n")

    def test_mounts_work_on_an_image_file(self):
        image = harness.world.library.squashed("alpine")
        for word in (self.host + ":/mnt", self.host + ":/not/there"):
            self.assertEqual(self.output("-m", word, image, "cat", word.split(":")[1] + "/file"),
                             "from the host\n")

    def test_a_missing_source_is_named_unless_nofail(self):
        self.refused("start", "-m", "/nosuch:/mnt", self.target, "true", says="/nosuch")
        self.assertEqual(self.output("-m", "/nosuch:/mnt:none:bind,nofail,silent", self.target,
                                     "echo", "ok"), "ok\n")

    def test_a_malformed_mount_is_refused(self):
        for word in (":", ":/mnt", self.host + ":/mnt:none:bind,nosuchoption=1:0:0:0"):
            self.refused("start", "-m", word, self.target, "true", says=".")

    def test_targets_stay_inside_the_root(self):
        os.mkdir(self.user.work + "/outside")
        os.chown(self.user.work + "/outside", self.user.uid, self.user.gid)
        os.symlink(self.user.work + "/outside", self.data_path("alpine/link"))
        for point in ("/link/made", "/link/../../made",
                      "/../../../../%s/outside/made" % self.user.work):
            self.run_command("enroot", "start", "-m", self.host + ":" + point, self.target, "true")
        self.assertEqual(os.listdir(self.user.work + "/outside"), [])

    def test_fstab_files_of_image_system_and_user_are_read_in_order(self):
        with open(self.data_path("alpine/etc/fstab"), "w") as file:
            file.write("%s /one none x-create=dir,bind\n" % self.host)
        self.system_file("mounts.d/50-site.fstab", "%s /one/../two none x-create=dir,bind,ro\n"
                         "# comment\n\ntmpfs /three tmpfs x-create=dir,rw\n" % self.host)
        self.user_file("mounts.d/50-mine.fstab", "${SHARED} /three/four none x-create=dir,bind\n")
        self.user_file("mounts.d/60-mine.txt", "nonsense\n")
        self.assertEqual(self.output(self.target, "sh", "-c",
                                     "cat /one/file /two/file /three/four/file",
                                     env={"SHARED": self.host}), "from the host\n" * 3)

    def test_a_malformed_fstab_line_is_named(self):
        path = self.user_file("mounts.d/50-mine.fstab", "/proc /proc none bind 0 0 0 0 0\n")
        result = self.refused("start", self.target, "true", says="50-mine.fstab|fstab")
        self.assertIn(os.path.basename(path), result.err)

    def test_spaces_in_paths_are_escaped_as_in_any_fstab(self):
        self.write(self.user.work + "/with space/file", "spaced\n")
        self.user_file("mounts.d/50-mine.fstab", "%s /a\\040b none x-create=dir,bind\n"
                       % (self.user.work + "/with\\040space"))
        self.assertEqual(self.output(self.target, "cat", "/a b/file"), "spaced\n")

    def test_a_mount_on_an_account_file_survives_other_first_starts(self):
        """A rename over the file in another mount namespace would take the mount away."""
        for name in ("passwd", "group"):
            self.write(self.user.work + "/" + name, "mine:x:%d:\n" % self.user.uid)
        for round in range(3):
            target = self.container(name="fresh%d" % round)
            processes = [self.start(
                "enroot", "start", "-m", "passwd:/etc/passwd", "-m", "group:/etc/group", target,
                "sh", "-c", "sleep 0.5; cat /etc/passwd /etc/group") for _ in range(12)]
            for process in processes:
                out, err = process.communicate(timeout=harness.TIMEOUT)
                self.assertEqual(process.returncode, 0, err)
                self.assertEqual(harness.text(out), 2 * ("mine:x:%d:\n" % self.user.uid))


class TestSurroundings(Settings):
    def targets(self):
        yield self.container()
        yield harness.world.library.squashed("alpine")

    def test_proc_sys_and_dev_are_there(self):
        for target in self.targets():
            self.output(target, "sh", "-ec",
                        "test -r /proc/self/stat; test -d /sys/class; echo x >/dev/null; "
                        "head -c 1 /dev/urandom >/dev/null; test -d /dev/shm; test -d /dev/pts")
            result = self.run_command("enroot", "start", target, "touch", "/sys/x")
            self.assertNotEqual(result.code, 0)

    def test_names_of_the_host_are_known(self):
        for target in self.targets():
            for name in ("hosts", "resolv.conf", "hostname"):
                if os.path.exists("/etc/" + name):
                    with open("/etc/" + name) as file:
                        self.assertEqual(self.output(target, "cat", "/etc/" + name), file.read())

    def test_local_time_is_the_hosts(self):
        for target in self.targets():
            with open("/etc/localtime", "rb") as file:
                content = file.read()
            process = self.start("enroot", "start", target, "cat", "/etc/localtime")
            self.assertEqual(process.communicate(timeout=harness.TIMEOUT)[0], content)

    def test_control_groups_are_read_only(self):
        for target in self.targets():
            lines = self.output(target, "cat", "/proc/self/mountinfo").splitlines()
            # The last mount on a directory is the one that can be seen.
            visible = {line.split()[4]: line.split()[5].split(",") for line in lines}
            for point, options in visible.items():
                if point.startswith("/sys/fs/cgroup"):
                    self.assertIn("ro", options, point)

    def test_devices_are_restricted_on_request(self):
        for target in self.targets():
            self.assertIn("loop0" if os.path.exists("/dev/loop0") else "null",
                          self.output(target, "ls", "/dev").split())
            shown = self.output(target, "ls", "/dev", env={"ENROOT_RESTRICT_DEV": "yes"}).split()
            self.assertLessEqual({"null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx",
                                  "shm", "fd", "stdin", "stdout", "stderr"}, set(shown))
            self.assertLessEqual(set(shown) - {"mqueue", "console", "hugepages", "log"},
                                 {"null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx",
                                  "shm", "fd", "stdin", "stdout", "stderr"})
            self.output(target, "sh", "-ec", "echo x >/dev/null; test -L /dev/stdout; "
                        "head -c 1 /dev/zero >/dev/null", env={"ENROOT_RESTRICT_DEV": "yes"})

    def test_home_is_mounted_on_request(self):
        self.write(self.user.home + "/mine", "my file\n")
        for target in self.targets():
            result = self.run_command("enroot", "start", target, "cat", self.user.home + "/mine")
            self.assertNotEqual(result.code, 0)
            home = {"ENROOT_MOUNT_HOME": "yes"}
            self.assertEqual(self.output(target, "sh", "-c", "cat ~/mine; echo $HOME; pwd >&2",
                                         env=home), "my file\n%s\n" % self.user.home)
            self.output(target, "sh", "-c", "echo new >~/new", env=home)
            self.assertTrue(os.path.exists(self.user.home + "/new"))
            self.assertEqual(self.output("--root", target, "sh", "-c", "cat ~/mine; echo $HOME",
                                         env=home), "my file\n/root\n")
            os.unlink(self.user.home + "/new")

    def test_apt_runs_as_root_where_there_is_one_id(self):
        self.container("debian")
        shown = self.output("--root", "debian", "apt-config", "dump", "APT::Sandbox::User")
        self.assertIn('"root"', shown)

    def test_mounts_of_the_container_do_not_reach_the_host(self):
        with open("/proc/self/mountinfo") as file:
            before = file.read()
        for target in self.targets():
            self.output("-m", "tmpfs:/mnt:tmpfs:x-create=dir", target, "true")
        with open("/proc/self/mountinfo") as file:
            self.assertEqual(file.read(), before)

    def test_the_old_root_cannot_be_seen(self):
        for target in self.targets():
            shown = self.output(target, "cat", "/proc/self/mounts")
            points = {line.split()[1] for line in shown.splitlines()} - {self.user.home}
            self.assertEqual([point for point in points if point.startswith(self.user.home)], [])


class TestDataImages(Settings):
    """Image files as mounts: --mount, mounts.d, in containers and in image starts."""

    def setUp(self):
        super().setUp()
        self.data = self.image("data.sqsh", "from the image\n")

    def image(self, name, text):
        tree = self.user.tmp + "/tree"
        self.write(tree + "/dir/file", text)
        path = self.user.work + "/" + name
        subprocess.run(["mksquashfs", tree, path, "-quiet", "-no-progress", "-noappend"],
                       check=True, stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        shutil.rmtree(tree)
        return path

    def targets(self):
        yield self.container()
        yield harness.world.library.squashed("alpine")

    def test_an_image_is_mounted_by_path_and_relative_to_the_working_directory(self):
        """IMAGE.sqsh:/data:squashfs of the reference, with and without options."""
        for target in self.targets():
            for word in (self.data + ":/data:squashfs", "data.sqsh:/data:squashfs",
                         "./data.sqsh:/new/place:squashfs:ro",
                         "data.sqsh:/mnt:squashfs:loop,nofail"):
                point = word.split(":")[1]
                self.assertEqual(self.output("-m", word, target, "cat", point + "/dir/file"),
                                 "from the image\n")

    def test_an_image_is_a_line_of_fstab(self):
        self.user_file("mounts.d/50-data.fstab", "%s /data squashfs\n${MORE} /more squashfs "
                       "nosuid,noexec 0 -1\n" % self.data)
        more = self.image("more.sqsh", "more\n")
        for target in self.targets():
            self.assertEqual(self.output(target, "cat", "/data/dir/file", "/more/dir/file",
                                         env={"MORE": more}), "from the image\nmore\n")

    def test_an_image_in_the_containers_own_fstab(self):
        target = self.container()
        shutil.copy(self.data, self.data_path("alpine/own.sqsh"))
        with open(self.data_path("alpine/etc/fstab"), "a") as file:
            file.write("${ENROOT_ROOTFS}/own.sqsh /data squashfs x-create=dir\n")
        self.assertEqual(self.output(target, "cat", "/data/dir/file"), "from the image\n")

    def test_several_images_and_one_twice(self):
        words = []
        for number in range(4):
            name = "image%d.sqsh" % (number // 2)
            if number % 2 == 0:
                self.image(name, "%d\n" % number)
            words += ["-m", "%s:/data/%d:squashfs" % (name, number)]
        for target in self.targets():
            # Mounts on a mount: the first one is the directory of the others.
            self.assertEqual(self.output("-m", "tmpfs:/data:tmpfs:x-create=dir", *words, target,
                                         "sh", "-c", "cat /data/*/dir/file"), "0\n0\n2\n2\n")

    def test_data_are_read_only_and_the_users(self):
        for target in self.targets():
            for options in ("", ":rw", ":rw,suid,dev"):
                shown = self.output("--rw", "-m", "data.sqsh:/data:squashfs" + options, target,
                                    "sh", "-c", "grep ' /data ' /proc/self/mounts; stat -c %u "
                                    "/data/dir/file; touch /data/x 2>&1 || :")
                line, owner, refusal = shown.splitlines()
                self.assertLessEqual({"ro", "nosuid", "nodev"}, set(line.split()[3].split(",")))
                self.assertEqual(int(owner), self.user.uid)
                self.assertIn("Read-only file system", refusal)

    def test_servers_end_with_the_container(self):
        """One process an image, as long as the container lives; the harness counts the rest."""
        self.image("more.sqsh", "more\n")
        words = ["-m", "data.sqsh:/data:squashfs", "-m", "more.sqsh:/more:squashfs:shared"]
        for target, count in zip(self.targets(), (2, 3)):
            for end in ("normal", "kill"):
                process = self.start("enroot", "start", *words, target, "sh", "-c",
                                     "echo ready; read line; cat /data/dir/file",
                                     stdin=subprocess.PIPE)
                self.assertEqual(process.stdout.readline(), b"ready\n")
                servers = [pid for pid in self.user.processes() if self.name(pid) == "enroot-fuse"]
                self.assertEqual(len(servers), count)
                # What a batch system sends first must not take the files away.
                for pid in servers:
                    os.kill(pid, signal.SIGTERM)
                if end == "kill":
                    process.kill()
                    process.communicate(timeout=harness.TIMEOUT)
                else:
                    out, _ = process.communicate(b"\n", timeout=harness.TIMEOUT)
                    self.assertEqual(out, b"from the image\n")
                self.assertEqual(self.wait_for_no_process(self.user), [])

    @staticmethod
    def name(pid):
        with open("/proc/%d/comm" % pid) as file:
            return file.read().strip()

    def test_hooks_mount_images(self):
        """Through ENROOT_MOUNTS and through enroot-mount."""
        self.user_file("hooks.d/50-data.sh", "#!/bin/sh -e\n"
                       "echo '%s /one squashfs' >>\"$ENROOT_MOUNTS\"\n"
                       "echo '%s /two squashfs' | enroot-mount --root \"$ENROOT_ROOTFS\" -\n"
                       % (self.data, self.data), mode=0o755)
        for target in self.targets():
            self.assertEqual(self.output(target, "cat", "/one/dir/file", "/two/dir/file"),
                             "from the image\n" * 2)
            self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_a_detached_image_is_gone(self):
        for target in self.targets():
            self.output("-m", "data.sqsh:/data:squashfs", "-m", "none:/data:none:x-detach", target,
                        "sh", "-c", "test ! -e /data/dir")

    def test_what_is_no_image_is_named(self):
        self.write(self.user.work + "/text", "nothing of the kind\n")
        with open(self.data, "rb") as file:
            half = file.read()[:96]
        with open(self.user.work + "/half", "wb") as file:
            file.write(half)
        for target in self.targets():
            self.refused("start", "-m", "text:/data:squashfs", target, "true",
                         says="text.*squashfs")
            self.refused("start", "-m", "half:/data:squashfs", target, "true", says="half")
            self.refused("start", "-m", "absent.sqsh:/data:squashfs", target, "true",
                         says="absent.sqsh.*no such file")
            self.refused("start", "-m", ".:/data:squashfs", target, "true", says="/data")
            self.refused("start", "-m", "data.sqsh:/data:squashfs:frob=1", target, "true",
                         says="frob")
            self.output("-m", "text:/data:squashfs:nofail,silent", "-m",
                        "absent:/data:squashfs:nofail,silent", target, "true")
            self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_the_mounts_show_the_image(self):
        for target in self.targets():
            shown = self.output("-m", "data.sqsh:/data:squashfs", target, "cat",
                                "/proc/self/mounts")
            self.assertIn(self.data + " /data fuse ", shown)

    def test_with_process_ids_of_its_own(self):
        for target in self.targets():
            self.assertEqual(self.output("--pid", "-m", "data.sqsh:/data:squashfs", target, "cat",
                                         "/data/dir/file"), "from the image\n")

    def test_a_dry_run_starts_no_server(self):
        for target in self.targets():
            plan = self.output("--dry-run", "-m", "data.sqsh:/data:squashfs", target)
            self.assertIn(self.data + " /data squashfs x-create=dir 0 0  "
                          "# data.sqsh:/data:squashfs", plan)
