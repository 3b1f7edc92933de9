"""Containers that refer to their image instead of holding a copy: create --lazy."""
import contextlib
import os
import signal
import subprocess

import harness
import images
import trees
from test_export import ExportCase


class LazyCase(ExportCase):
    def image(self, name="alpine", target="image.sqsh"):
        path = self.user.work + "/" + target
        subprocess.run(["cp", harness.world.library.squashed(name), path], check=True)
        return path

    def lazy(self, image="alpine", name="lazy"):
        self.enroot("create", "--lazy", "-n", name, self.image(image))
        return name

    def inside(self, script, name="lazy", options=("--root", "--rw")):
        return self.enroot("start", *options, name, "sh", "-euc", script)


class TestLazy(LazyCase):
    def test_it_starts_and_keeps_its_changes(self):
        self.lazy()
        self.inside("echo kept >/etc/kept; rm /etc/profile; mkdir /new; echo x >/new/file")
        result = self.inside("cat /etc/kept /new/file; ls /etc/profile || :", options=())
        self.assertEqual(result.out, "kept\nx\n")
        self.inside("rm -r /new")
        self.assertNotIn("new", self.inside("ls /", options=()).out.split())

    def test_nothing_of_the_image_is_copied(self):
        before = self.disk_usage()
        self.lazy("debian")
        self.assertLess(self.disk_usage() - before, 1 << 20)
        self.assertEqual(self.enroot("start", "lazy", "perl", "-e", "print 6*7").out, "42")

    def disk_usage(self):
        out = subprocess.run(["du", "-sB1", self.user.home], check=True, stdout=subprocess.PIPE)
        return int(out.stdout.split()[0])

    def test_without_rw_its_root_is_read_only(self):
        self.lazy()
        result = self.run_command("enroot", "start", "lazy", "touch", "/file")
        self.assertNotEqual(result.code, 0)
        self.assertIn("Read-only", result.err)

    def test_the_root_directory_is_the_images(self):
        tar = images.busybox_root().directory(".", mode=0o711)
        path = harness.world.library.path + "/root-mode"
        images.layout(path, [tar])
        images.push(path, harness.world.servers.plain.host, "tests/root-mode")
        self.enroot("import", "-o", "r.sqsh", "docker://%s#tests/root-mode"
                    % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.enroot("create", "--lazy", "r.sqsh")
        self.assertEqual(self.enroot("start", "r", "stat", "-c", "%a", "/").out, "711\n")

    def test_list_shows_it_and_remove_removes_it(self):
        self.lazy()
        self.container("alpine", "copied")
        self.inside("mkdir /closed; echo x >/closed/file; chmod 0 /closed; rm /etc/passwd")
        self.assertEqual(self.enroot("list").out, "copied\nlazy\n")
        self.run_command("enroot", "remove", "lazy", input=b"n\n")
        self.assertEqual(self.enroot("list").out, "copied\nlazy\n")
        self.enroot("remove", "-f", "lazy")
        self.assertEqual(os.listdir(self.data_path()), ["copied"])
        self.assertTrue(os.path.exists(self.user.work + "/image.sqsh"))

    def test_exec_enters_it_by_name(self):
        self.lazy()
        running = self.start("enroot", "start", "--root", "--rw", "lazy", "sh", "-c",
                             "echo here >/tmp/file; echo up; read end", stdin=subprocess.PIPE)
        self.assertEqual(running.stdout.readline(), b"up\n")
        result = self.enroot("exec", "lazy", "cat", "/tmp/file")
        running.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertEqual(result.out, "here\n")

    def test_one_start_at_a_time_has_it(self):
        self.lazy()
        running = self.start("enroot", "start", "lazy", "sh", "-c", "echo up; read end",
                             stdin=subprocess.PIPE)
        self.assertEqual(running.stdout.readline(), b"up\n")
        self.refused("start", "lazy", "true", says="another container uses it")
        running.communicate(b"\n", timeout=harness.TIMEOUT)
        self.enroot("start", "lazy", "true")

    def test_export_merges_changes_and_image(self):
        self.lazy("debian")
        change = ("echo new >/etc/new; rm /etc/issue /usr/bin/perl; rm -r /usr/share/perl5; "
                  "mkdir /usr/share/perl5; echo x >/usr/share/perl5/only; chmod 700 /opt; "
                  "rm -r /etc/apt; echo file >/etc/apt; echo more >>/etc/debian_version; "
                  "ln /usr/bin/bash /opt/bash-link; mkdir -p /var/new/deep")
        self.inside(change)
        self.container("debian", "copied")
        self.inside(change, "copied")
        for name in ("lazy", "copied"):
            self.export("-o", name + ".sqsh", name)
        lazy, copied = (self.image_tree(name + ".sqsh") for name in ("lazy", "copied"))
        # In an overlay a new link is one to a copy, and modes that create adds are not needed.
        loose = {b"opt/bash-link", b"usr/bin/bash", b"usr/bin/perl-link"}
        for tree in (lazy, copied):
            for path, node in tree.items():
                mode = node.mode
                if node.kind in "-d":
                    mode |= 0o700 if node.kind == "d" else 0o400
                tree[path] = node._replace(mode=mode, mtime=None, xattrs=tuple(
                    pair for pair in node.xattrs if pair[0].startswith("user.")),
                    uid=0, gid=0, names=None if path in loose else node.names)
        self.assertEqual(trees.differences(lazy, copied, ignored=set()), [])

    def test_hard_links_of_the_image_survive_the_removal_of_one_name(self):
        self.lazy("debian")  # usr/bin/perl and usr/bin/perl-link
        self.inside("rm /usr/bin/perl")
        self.export("lazy")
        tree = self.image_tree("lazy.sqsh")
        self.assertNotIn(b"usr/bin/perl", tree)
        self.enroot("start", "lazy.sqsh", "perl-link", "-e", "1")

    def test_force_replaces_lazy_and_extracted_containers_by_each_other(self):
        image = self.image()
        for before, after in (((), ("--lazy",)), (("--lazy",), ()), (("--lazy",), ("--lazy",))):
            with self.subTest(before=before, after=after):
                self.enroot("create", *before, "-n", "same", image)
                self.inside("touch /marker", "same")
                self.refused("create", *after, "-n", "same", image, says="already exists")
                self.enroot("create", "-f", *after, "-n", "same", image)
                self.assertNotIn("marker", self.inside("ls /", "same").out)
                self.enroot("remove", "-f", "same")
                self.assertEqual(os.listdir(self.data_path()), [])


class TestImages(LazyCase):
    def test_an_image_that_is_gone_is_named(self):
        self.lazy()
        os.rename(self.user.work + "/image.sqsh", self.user.work + "/away")
        for command in (("start", "lazy", "true"), ("export", "lazy")):
            result = self.refused(*command, says="image.sqsh: no such file")
            self.assertIn("--lazy", result.err)
        self.assertEqual(self.enroot("list").out, "lazy\n")
        os.rename(self.user.work + "/away", self.user.work + "/image.sqsh")
        self.enroot("start", "lazy", "true")

    def test_an_image_that_was_changed_is_noticed(self):
        self.lazy()
        subprocess.run(["cp", harness.world.library.squashed("application"),
                        self.user.work + "/image.sqsh"], check=True)
        for command in (("start", "lazy", "true"), ("export", "lazy")):
            self.refused(*command, says="image.sqsh is not the one")
        self.image()
        self.enroot("start", "lazy", "true")

    def test_a_file_that_is_no_image_is_refused(self):
        with open(self.user.work + "/x.sqsh", "w") as file:
            file.write("text" * 100)
        self.refused("create", "--lazy", "x.sqsh", says="squashfs")
        self.assertEqual(self.enroot("list").out, "")

    def test_what_an_image_holds_cannot_make_a_container_lazy(self):
        tar = images.busybox_root().symlink("image", self.user.work + "/image.sqsh") \
            .file("identity", b"x").directory("upper").directory("work")
        path = harness.world.library.path + "/pretends"
        images.layout(path, [tar])
        images.push(path, harness.world.servers.plain.host, "tests/pretends")
        self.enroot("import", "-o", "p.sqsh", "docker://%s#tests/pretends"
                    % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.enroot("create", "p.sqsh")
        self.assertEqual(self.enroot("start", "p", "cat", "/identity").out, "x")


class TestCrashes(LazyCase):
    def test_what_a_killed_create_left_is_removed_and_nothing_else(self):
        self.lazy()
        for name in (".enroot-lazy.dead.000000", ".enroot-create.dead.000000"):
            os.mkdir(self.data_path(name))
            os.chown(self.data_path(name), self.user.uid, self.user.gid)
        os.symlink("nowhere", self.data_path(".enroot-create.dead.000001"))
        self.enroot("create", "--lazy", "-n", "other", self.user.work + "/image.sqsh")
        self.assertEqual(sorted(name for name in os.listdir(self.data_path())
                                if name[0] != "."), ["lazy", "other"])
        self.assertEqual(len(os.listdir(self.data_path())), 4)
        self.enroot("start", "lazy", "true")

    def test_a_killed_container_can_be_started_again(self):
        self.lazy()
        running = self.start("enroot", "start", "--root", "--rw", "lazy", "sh", "-c",
                             "echo x >/file; echo up; sleep 60")
        self.assertEqual(running.stdout.readline(), b"up\n")
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=harness.TIMEOUT)
        for pid in self.user.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait_for_no_process(self.user)
        self.assertEqual(self.enroot("start", "lazy", "cat", "/file").out, "x\n")
