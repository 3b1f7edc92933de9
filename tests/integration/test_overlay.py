"""start of image files: where changes go, and what happens without overlayfs."""
import os
import signal
import subprocess

import harness
from test_environment import SettingsCase


class OverlayCase(SettingsCase):
    def setUp(self):
        super().setUp()
        self.image = harness.world.library.squashed("alpine")
        self.layer = self.user.work + "/layer"

    def start_kept(self, *arguments, **options):
        return self.output("--overlay", "layer", "--rw", self.image, *arguments, **options)


class TestMemory(OverlayCase):
    def test_changes_are_lost_at_the_end(self):
        for option in ((), ("--overlay", "tmpfs"), ("--overlay=tmpfs:50%",)):
            self.output("--rw", *option, self.image, "sh", "-ec",
                        "test ! -e /new; echo x >/new; rm -r /usr/sbin; test ! -e /usr/sbin")
        self.output(self.image, "test", "-d", "/usr/sbin")

    def test_the_size_is_the_layers(self):
        script = "dd if=/dev/zero of=/big bs=1M count=8"
        result = self.run_command("enroot", "start", "--rw", "--overlay", "tmpfs:4m", self.image,
                                  "sh", "-c", script)
        self.assertIn("No space left on device", result.err)
        self.output("--rw", "--overlay", "tmpfs:16m", self.image, "sh", "-c", script)

    def test_the_size_can_be_configured_and_the_option_counts(self):
        script = "dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null && echo fits || echo full"
        for variable, options, expected in (
                ("tmpfs:4m", (), "full\n"), ("tmpfs:16m", (), "fits\n"),
                ("tmpfs:4m", ("--overlay", "tmpfs"), "fits\n")):
            self.assertEqual(self.output("--rw", *options, self.image, "sh", "-c", script,
                                         env={"ENROOT_OVERLAY": variable}), expected)

    def test_a_wrong_size_is_named(self):
        for size in ("", "x", "4x", "-1", "4mm", "1,uid=0", "99999999999999999"):
            self.refused("start", "--overlay", "tmpfs:" + size, self.image, "true",
                         says="--overlay.*tmpfs:4g")
        self.refused("start", self.image, "true", env={"ENROOT_OVERLAY": "tmpfs:lots"},
                     says="ENROOT_OVERLAY.*lots")

    def test_a_container_has_no_overlay(self):
        target = self.container()
        self.refused("start", "--overlay", "tmpfs", target, "true", says="only an image")
        self.output(target, "true", env={"ENROOT_OVERLAY": "tmpfs:1m"})


class TestDirectory(OverlayCase):
    def test_a_dry_run_says_where_changes_would_go(self):
        for word, expected in (("tmpfs", "changes: in memory, at most half of it\n"),
                               ("tmpfs:4g", "changes: in memory, 4g\n"),
                               ("layer", "changes: in %s\n" % self.layer)):
            self.assertIn(expected, self.output("--dry-run", "--overlay", word, self.image))
        self.assertFalse(os.path.exists(self.layer))

    def test_changes_are_there_at_the_next_start(self):
        self.start_kept("sh", "-ec", "echo one >/kept; rm -r /usr/sbin; mkdir /var/dir; "
                        "ln -s kept /link; chmod 700 /usr; echo >>/etc/profile")
        self.assertEqual(sorted(os.listdir(self.layer)), ["upper", "work"])
        self.assertEqual(self.start_kept("sh", "-ec", "cat /link; test ! -e /usr/sbin; "
                                         "test -d /var/dir; stat -c %a /usr"), "one\n700\n")
        self.start_kept("sh", "-ec", "rm /link; mkdir /usr/sbin; touch /usr/sbin/own")
        self.assertEqual(self.start_kept("sh", "-c", "ls -A /usr/sbin; ls /link 2>/dev/null || :"),
                         "own\n")
        # The image stays as it was, and so does a start without the layer.
        self.output(self.image, "sh", "-ec", "test -d /usr/sbin; test ! -e /kept")
        self.assertEqual(os.stat(self.layer + "/upper/kept").st_uid, self.user.uid)

    def test_the_directory_can_be_configured(self):
        for _ in range(2):
            shown = self.output("--rw", self.image, "sh", "-c", "echo x >>/kept; cat /kept",
                                env={"ENROOT_OVERLAY": self.layer})
        self.assertEqual(shown, "x\nx\n")

    def test_a_layer_is_used_read_only_without_rw(self):
        self.start_kept("touch", "/kept")
        result = self.run_command("enroot", "start", "--overlay", self.layer, self.image, "sh",
                                  "-c", "test -e /kept && touch /x")
        self.assertIn("Read-only file system", result.err)

    def test_odd_names_and_what_else_is_in_the_directory(self):
        """Names that overlay options could not hold; a container that refers to an image."""
        place = self.user.work + "/a,b:c\\d 'e/deep"
        os.makedirs(place)
        for path in (os.path.dirname(place), place):
            os.chown(path, self.user.uid, self.user.gid)
        self.write(place + "/image", self.image)
        for _ in range(2):
            self.output("--overlay", place, "--rw", self.image, "sh", "-c", "echo x >>/kept")
        with open(place + "/upper/kept") as file:
            self.assertEqual(file.read(), "x\nx\n")
        self.assertEqual(sorted(os.listdir(place)), ["image", "upper", "work"])

    def test_one_container_at_a_time_has_it(self):
        process = self.start("enroot", "start", "--overlay", "layer", self.image, "sh", "-c",
                             "echo ready; read line", stdin=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.refused("start", "--overlay", "layer", self.image, "true", says="another container")
        process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.start_kept("true")

    def test_killed_containers_leave_it_free(self):
        process = self.start("enroot", "start", "--rw", "--overlay", "layer", self.image, "sh",
                             "-c", "echo x >/kept; echo ready; sleep 1000")
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.wait_for_program("sleep")  # the shell says so before it starts the program
        for pid in self.programs("sleep"):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate(timeout=harness.TIMEOUT)
        self.wait_for_no_process(self.user)
        self.assertEqual(self.start_kept("cat", "/kept"), "x\n")

    def test_starts_one_after_the_other_do_not_collide(self):
        for number in range(5):
            self.start_kept("sh", "-c", "echo %d >>/kept" % number)
        self.assertEqual(self.start_kept("cat", "/kept"), "0\n1\n2\n3\n4\n")

    def test_it_is_removed_by_the_user_alone(self):
        self.start_kept("sh", "-c", "mkdir -p /a/b; rm -r /usr/sbin")
        result = self.run_command("rm", "-r", "-f", "layer")
        self.assertEqual(result.code, 0, result)

    def test_a_place_that_cannot_be_used_is_named(self):
        self.write(self.user.work + "/file", "")
        self.refused("start", "--overlay", "file", self.image, "true", says="/file")
        self.refused("start", "--overlay", "/etc/no", self.image, "true", says="/etc/no")
        self.refused("start", "--overlay", "layer", self.image, "true", says="native_overlayfs",
                     env={"ENROOT_NATIVE_OVERLAYFS": "no"})

    def test_file_systems_that_hold_no_layer_are_named(self):
        """overlay, and FUSE in the shape of an image; NFS is told by the same table."""
        place = self.user.work + "/mounted"
        os.mkdir(place)
        for name in ("lower", "upper", "work"):
            os.mkdir(self.user.work + "/" + name)
        subprocess.run(["mount", "-t", "overlay", "overlay", place, "-o",
                        "lowerdir=lower,upperdir=upper,workdir=work"], cwd=self.user.work,
                       check=True)
        os.chmod(place, 0o777)
        self.refused("start", "--overlay", place, self.image, "true", says="overlay.*local disk")
        subprocess.run(["umount", place], check=True)
        subprocess.run(["squashfuse", "-o", "allow_other", self.image, place], check=True)
        self.refused("start", "--overlay", place, self.image, "true", says="FUSE.*local disk")
        subprocess.run(["umount", place], check=True)


class TestWithoutOverlayfs(OverlayCase):
    """ENROOT_NATIVE_OVERLAYFS=no, which is also what a kernel without it comes to."""

    def setUp(self):
        super().setUp()
        self.env = {"ENROOT_NATIVE_OVERLAYFS": "no"}

    def test_a_warning_says_what_is_lost(self):
        result = self.enroot("start", self.image, "true")
        self.assertEqual(len([line for line in result.err.splitlines() if "[WARN]" in line]), 1)
        self.assertRegex(result.err, "ENROOT_NATIVE_OVERLAYFS.*cannot be changed.*enroot create")

    def test_the_image_starts_as_ever(self):
        here = self.output(self.image, "sh", "-c", "id -un; pwd; cat /etc/os-release; ls /; "
                           "ls -l /bin/sh; cat /etc/passwd /etc/group | sort")
        usual = self.output(self.image, "sh", "-c", "id -un; pwd; cat /etc/os-release; ls /; "
                            "ls -l /bin/sh; cat /etc/passwd /etc/group | sort",
                            env={"ENROOT_NATIVE_OVERLAYFS": "yes"})
        # overlayfs shows the mark of the start, too.
        self.assertEqual(here, usual)
        self.assertEqual(self.output("--root", self.image, "id", "-u"), "0\n")

    def test_the_usual_places_can_be_written_and_the_others_not(self):
        self.output("--rw", self.image, "sh", "-ec", "for dir in / /etc /home /opt /root /srv /tmp "
                    "/var /var/log ~; do touch $dir/new; done; echo >>/etc/profile; rm /etc/shells")
        for command in ("touch /bin/new", "rm /bin/sh", "touch /usr/sbin/new"):
            result = self.run_command("enroot", "start", "--rw", self.image, "sh", "-c", command)
            self.assertIn("Read-only file system", result.err)
        result = self.run_command("enroot", "start", self.image, "touch", "/etc/new")
        self.assertIn("Read-only file system", result.err)

    def test_mounts_and_home_work(self):
        self.write(self.user.work + "/shared/file", "from the host\n")
        for point in ("/mnt", "/new/place", "/bin/new", "/etc/new/place"):
            source = self.user.work + "/shared"
            if point.startswith("/bin"):
                self.refused("start", "-m", source + ":" + point, self.image, "true",
                             says="read-only file system")
                continue
            self.assertEqual(self.output("-m", source + ":" + point, self.image, "cat",
                                         point + "/file"), "from the host\n")
        self.write(self.user.home + "/mine", "mine\n")
        self.assertEqual(self.output(self.image, "sh", "-c", "cat ~/mine",
                                     env={"ENROOT_MOUNT_HOME": "yes"}), "mine\n")

    def test_the_size_of_the_memory_counts(self):
        result = self.run_command("enroot", "start", "--rw", "--overlay", "tmpfs:4m", self.image,
                                  "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=8")
        self.assertIn("No space left on device", result.err)
