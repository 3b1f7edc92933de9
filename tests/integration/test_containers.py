"""create, list and remove."""
import os
import pty
import signal
import subprocess
import time

import harness
import images


class ContainerCase(harness.Case):
    def image(self, name="alpine", target="image.sqsh"):
        path = self.user.work + "/" + target
        subprocess.run(["cp", harness.world.library.squashed(name), path], check=True)
        return path

    def images_of(self, tar):
        """A squashfs image of a tar, by another tool."""
        path = self.user.work + "/crafted.sqsh"
        subprocess.run(["mksquashfs", "-", path, "-tar", "-no-progress", "-quiet"],
                       input=tar.bytes(), check=True, stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        return path


class TestCreate(ContainerCase):
    def test_the_name_is_the_file_name_less_its_ending(self):
        self.enroot("create", self.image(target="some+name.sqsh"))
        self.enroot("create", self.image(target="other.img"))
        self.assertEqual(self.enroot("list").out, "other.img\nsome+name\n")

    def test_a_name_can_be_given(self):
        for option in (("-n", "a"), ("--name", "b"), ("--name=c",)):
            self.enroot("create", *option, self.image())
        self.assertEqual(self.enroot("list").out, "a\nb\nc\n")

    def test_names_that_are_paths_are_refused(self):
        image = self.image()
        for name in ("a/b", "/a", "..", ".", "../x", ""):
            with self.subTest(name):
                self.refused("create", "--name=" + name, image, says="name|argument")
        self.assertEqual(os.listdir(self.user.home + "/.local/share/enroot")
                         if os.path.exists(self.data_path()) else [], [])

    def test_an_existing_container_is_kept_unless_forced(self):
        image = self.image()
        self.enroot("create", image)
        marker = self.data_path("image/marker")
        with open(marker, "w"):
            pass
        self.refused("create", image, says="exists")
        self.assertTrue(os.path.exists(marker))
        self.enroot("create", "--force", image)
        self.assertFalse(os.path.exists(marker))

    def test_ENROOT_FORCE_OVERRIDE_forces(self):
        image = self.image()
        self.enroot("create", image)
        self.enroot("create", image, env={"ENROOT_FORCE_OVERRIDE": "yes"})

    def test_a_missing_image_is_named(self):
        self.refused("create", "nosuch.sqsh", says="nosuch.sqsh")

    def test_the_data_directory_is_private(self):
        self.enroot("create", self.image())
        self.assertEqual(os.stat(self.data_path()).st_mode & 0o7777, 0o700)

    def test_directories_and_files_without_permissions_can_be_used_and_removed(self):
        tar = images.Tar().directory("etc").directory("closed", mode=0) \
            .directory("closed/inner", mode=0o500).file("closed/inner/file", b"x", mode=0)
        self.enroot("create", self.images_of(tar))
        with self.subTest("readable by its owner"):
            result = self.run_command("cat", self.data_path("crafted/closed/inner/file"))
            self.assertEqual(result.out, "x")
        self.enroot("remove", "-f", "crafted")
        self.assertEqual(os.listdir(self.data_path()), [])

    def test_paths_of_four_thousand_bytes_are_extracted(self):
        deep = "/".join(["d" * 200] * 19) + "/" + "f" * 150
        self.enroot("create", self.images_of(images.Tar().directory("etc").file(deep, b"deep")))
        found = subprocess.run(["find", ".", "-type", "f", "-name", "fff*", "-size", "4c"],
                               cwd=self.data_path("crafted"), stdout=subprocess.PIPE, check=True)
        self.assertEqual(found.stdout.decode().strip(), "./" + deep)
        self.enroot("remove", "-f", "crafted")
        self.assertEqual(os.listdir(self.data_path()), [])

    def test_set_id_bits_do_not_reach_the_host(self):
        tar = images.Tar().directory("etc").file("tool", b"x", mode=0o4755)
        self.enroot("create", self.images_of(tar))
        status = os.stat(self.data_path("crafted/tool"))
        self.assertEqual(status.st_uid, self.user.uid)
        # Others cannot reach the file: the data directory is private.
        result = self.run_command("cat", self.data_path("crafted/tool"), user=harness.world.other)
        self.assertNotEqual(result.code, 0)

    def test_kill_in_the_middle_leaves_no_container(self):
        image = harness.world.library.squashed("debian")
        for delay in (0.02, 0.05, 0.1, 0.2, 0.4):
            for number in (signal.SIGKILL, signal.SIGINT):
                process = self.start("enroot", "create", "-n", "half", image)
                time.sleep(delay)
                process.send_signal(number)
                process.communicate(timeout=harness.TIMEOUT)
                if self.enroot("list").out:  # it has its name, so it is whole
                    self.enroot("start", "half", "perl", "-e", "1")
                    self.enroot("remove", "-f", "half")
                else:
                    self.assertNotEqual(process.returncode, 0)
                if number == signal.SIGINT:
                    self.assertEqual([name for name in os.listdir(self.data_path())
                                      if not name.startswith(".")]
                                     if os.path.exists(self.data_path()) else [], [])
        self.enroot("create", "-n", "half", image)
        self.assertEqual(os.listdir(self.data_path()), ["half"])

    def test_parallel_creations_of_one_name_make_one_container(self):
        image = harness.world.library.squashed("debian")
        running = [self.start("enroot", "create", "-n", "same", image) for _ in range(4)]
        codes = []
        for process in running:
            process.communicate(timeout=harness.TIMEOUT)
            codes.append(process.returncode)
        self.assertEqual(sorted(codes), [0, 1, 1, 1])
        self.assertEqual(os.listdir(self.data_path()), ["same"])
        self.enroot("start", "same", "perl", "-e", "1")


class TestList(ContainerCase):
    def test_nothing_is_listed_before_there_is_anything(self):
        self.assertEqual(self.enroot("list").out, "")

    def test_names_come_sorted_one_a_line(self):
        for name in ("b", "a", "c d"):
            self.enroot("create", "-n", name, self.image())
        self.assertEqual(self.enroot("list").out, "a\nb\nc d\n")

    def test_ENROOT_DATA_PATH_says_where_containers_are(self):
        other = self.user.home + "/elsewhere"
        self.enroot("create", "-n", "a", self.image(), env={"ENROOT_DATA_PATH": other})
        self.assertEqual(self.enroot("list").out, "")
        self.assertEqual(self.enroot("list", env={"ENROOT_DATA_PATH": other}).out, "a\n")


class TestRemove(ContainerCase):
    def test_several_containers_are_removed(self):
        for name in ("a", "b", "c"):
            self.enroot("create", "-n", name, self.image())
        self.enroot("remove", "-f", "a", "c")
        self.assertEqual(self.enroot("list").out, "b\n")

    def test_it_asks_first_unless_forced(self):
        self.enroot("create", "-n", "a", self.image())
        self.run_command("enroot", "remove", "a", input=b"n\n")
        self.assertEqual(self.enroot("list").out, "a\n")
        self.enroot("remove", "a", input=b"y\n")
        self.assertEqual(self.enroot("list").out, "")

    def test_it_asks_on_a_terminal(self):
        self.enroot("create", "-n", "a", self.image())
        leader, follower = pty.openpty()
        process = self.start("enroot", "remove", "a", stdin=follower, stderr=follower,
                             stdout=follower)
        os.close(follower)
        asked = os.read(leader, 1000)
        os.write(leader, b"y\n")
        process.wait(timeout=harness.TIMEOUT)
        os.close(leader)
        self.assertIn(b"a", asked)
        self.assertEqual(self.enroot("list").out, "")

    def test_an_unknown_container_is_named(self):
        self.refused("remove", "-f", "nosuch", says="nosuch")

    def test_names_that_are_paths_are_refused(self):
        os.makedirs(self.user.work + "/victim")
        for name in ("../../../../" + self.user.work + "/victim", self.user.work + "/victim", "..",
                     "."):
            self.refused("remove", "-f", "--", name, says="name|argument|no such")
        self.assertTrue(os.path.isdir(self.user.work + "/victim"))

    def test_other_file_systems_are_not_entered(self):
        self.enroot("create", "-n", "a", self.image())
        point = self.data_path("a/mnt")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", point], check=True)
        with open(point + "/precious", "w"):
            pass
        result = self.run_command("enroot", "remove", "-f", "a")
        self.assertTrue(os.path.exists(point + "/precious"))
        self.assertEqual(result.code, 1)
        self.assertIn("[ERROR]", result.err)
        subprocess.run(["umount", point], check=True)

    def test_links_are_not_followed(self):
        precious = self.user.work + "/precious"
        os.mkdir(precious)
        with open(precious + "/file", "w"):
            pass
        subprocess.run(["chown", "-R", self.user.name, precious], check=True)
        self.enroot("create", "-n", "a", self.image())
        os.symlink(precious, self.data_path("a/link"))
        self.enroot("remove", "-f", "a")
        self.assertTrue(os.path.exists(precious + "/file"))
