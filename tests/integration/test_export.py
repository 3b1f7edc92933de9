"""export: from a container back to an image."""
import os
import signal
import socket
import stat
import subprocess
import time

import harness
import test_identity
import trees

NOT_EXPORTED = (b"dev/", b".lock", b".enroot")


class ExportCase(harness.Case):
    def export(self, *arguments, **options):
        return self.enroot("export", *arguments, **options)

    def as_user(self, script, *words, directory=None):
        """Change a container's directory as the user, with the shell."""
        result = self.run_command("sh", "-euc", script, "sh", *words, cwd=directory)
        self.assertEqual(result.code, 0, result)

    def image_tree(self, image):
        with trees.mounted(self.user.work + "/" + image, harness.world.work) as root:
            return trees.scan(root)

    def expected(self, name):
        """The tree that an image of a container has to have: everything belongs to root."""
        return {path: node._replace(uid=0, gid=0)
                for path, node in trees.scan(self.data_path(name)).items()
                if not path.startswith(NOT_EXPORTED)}

    def assert_exported(self, name, image):
        self.assertEqual(trees.differences(self.expected(name), self.image_tree(image),
                                           ignored=set()), [])


class TestExport(ExportCase):
    def test_the_image_holds_what_the_container_holds(self):
        self.container("debian")
        self.export("debian")
        self.assert_image_valid(self.user.work + "/debian.sqsh")
        self.assert_exported("debian", "debian.sqsh")
        self.assertEqual(os.listdir(self.user.work), ["debian.sqsh"])

    def test_it_is_the_tree_that_mksquashfs_makes_as_the_classic_tool_calls_it(self):
        self.container("debian")
        root = self.data_path("debian")
        self.as_user("mkdir -m 0 mnt/point; : >mnt/file; chmod 0 mnt/file; echo text >mnt/kept; "
                     "chmod 0 mnt/kept; mkdir .enroot; : >.lock", directory=root)
        left_out = [path for path in ("mnt/point", "mnt/file", ".enroot", ".lock")] + \
            ["dev/" + name for name in os.listdir(root + "/dev")]
        subprocess.run(["mksquashfs", root, self.user.work + "/theirs.sqsh", "-all-root", "-quiet",
                        "-no-progress", "-comp", "lz4", "-e", *left_out], check=True,
                       stdout=subprocess.DEVNULL)
        self.export("-o", "ours.sqsh", "debian")
        self.assertEqual(trees.differences(self.image_tree("theirs.sqsh"),
                                           self.image_tree("ours.sqsh"), ignored=set()), [])

    def test_devices_mount_points_and_the_marks_of_a_start_are_left_out(self):
        self.container("alpine")
        self.as_user("echo x >dev/file; mkdir .enroot; : >.enroot/file; mkdir sub; : >sub/.lock; "
                     "mkdir -m 0 point; : >empty; chmod 0 empty; echo x >full; chmod 0 full",
                     directory=self.data_path("alpine"))
        self.enroot("start", "--rw", "alpine", "touch", "/made-inside")
        self.assertTrue(os.path.exists(self.data_path("alpine/.lock")))
        self.export("alpine")
        tree = self.image_tree("alpine.sqsh")
        self.assertEqual([path for path in (b"dev/file", b".lock", b".enroot", b"point", b"empty")
                          if path in tree], [])
        self.assertEqual([path for path in (b"dev", b"sub/.lock", b"full", b"made-inside")
                          if path not in tree], [])

    def test_links_sparse_files_attributes_and_special_files_are_kept(self):
        self.container("alpine")
        root = self.data_path("alpine")
        self.as_user("echo text >one; ln one two; mkdir a; ln one a/three; ln -s ../one a/link; "
                     "mkfifo fifo; chmod 4711 one; touch -d 2001-02-03 one; "
                     "setfattr -n user.note -v text one; setfattr -n user.dir -v x a; "
                     "truncate -s 200M sparse; echo middle | dd of=sparse bs=1M seek=100 "
                     "conv=notrunc status=none; : >.wh.one; mkdir .wh..wh..opq", directory=root)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(root + "/socket")
        os.chown(root + "/socket", self.user.uid, self.user.gid)
        os.setxattr(root + "/bin/busybox", "security.capability",
                    bytes.fromhex("0100000200200000000000000000000000000000"))
        self.export("alpine")
        self.assert_exported("alpine", "alpine.sqsh")
        tree = self.image_tree("alpine.sqsh")
        self.assertEqual(tree[b"one"].names, {b"one", b"two", b"a/three"})
        self.assertEqual(tree[b"socket"].kind, "s")
        self.assertIn("security.capability", dict(tree[b"bin/busybox"].xattrs))
        self.assertLess(os.stat(self.user.work + "/alpine.sqsh").st_size, 20 << 20)

    def test_what_its_owner_cannot_read_is_exported_and_stays_as_it_was(self):
        self.container("alpine")
        self.as_user("mkdir closed closed/inner seen; echo text >closed/inner/file; echo s >seen/f;"
                     "chmod 200 closed/inner/file; chmod 300 closed/inner; chmod 100 closed; "
                     "chmod 400 seen", directory=self.data_path("alpine"))
        before = trees.scan(self.data_path("alpine"))
        self.export("alpine")
        self.assertEqual(trees.differences(before, trees.scan(self.data_path("alpine")),
                                           ignored=set()), [])
        self.assert_exported("alpine", "alpine.sqsh")

    def test_names_of_any_bytes_and_of_any_length_are_kept(self):
        self.container("alpine")
        base = os.fsencode(self.data_path("alpine"))
        for name in (b"\xff\xfe", b"new\nline", b"n" * 255, "\u00e4".encode()):
            with open(base + b"/" + name, "wb"):
                pass
            os.chown(base + b"/" + name, self.user.uid, self.user.gid)
        self.as_user("i=0; while [ $i -lt 18 ]; do mkdir $1; cd $1; i=$((i+1)); done; echo x >f",
                     "d" * 200, directory=self.data_path("alpine"))
        self.export("alpine")
        self.assert_exported("alpine", "alpine.sqsh")

    def test_other_file_systems_are_not_entered(self):
        self.container("alpine")
        point = self.data_path("alpine/mnt")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", point], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", point])
        with open(point + "/elsewhere", "w"):
            pass
        self.export("alpine")
        tree = self.image_tree("alpine.sqsh")
        self.assertIn(b"mnt", tree)
        self.assertNotIn(b"mnt/elsewhere", tree)

    def test_the_same_container_gives_the_same_bytes(self):
        self.container("debian")
        for number, processors in enumerate(("1", "2", "5")):
            self.export("-o", "%d.sqsh" % number, "debian",
                        env={"ENROOT_MAX_PROCESSORS": processors,
                             "ENROOT_SQUASH_OPTIONS": "-comp zstd"})
        digests = {trees.content_digest("%s/%d.sqsh" % (self.user.work, i)) for i in range(3)}
        self.assertEqual(len(digests), 1)

    def test_an_exported_image_is_created_started_and_exported_again(self):
        self.container("application", "app")
        self.as_user("echo changed >etc/changed", directory=self.data_path("app"))
        self.export("app")
        self.enroot("create", "-n", "again", "app.sqsh")
        result = self.enroot("start", "again")
        self.assertIn("MODE=image value", result.out)
        self.assertIn("cwd=/app/work dir", result.out)
        self.enroot("remove", "-f", "again")
        self.enroot("create", "-n", "again", "app.sqsh")
        self.export("again")
        self.assertEqual(trees.differences(self.image_tree("app.sqsh"),
                                           self.image_tree("again.sqsh"), ignored=set()), [])


class TestOptions(ExportCase):
    def test_the_output_can_be_named(self):
        self.container("alpine")
        os.mkdir(self.user.work + "/sub")
        os.chown(self.user.work + "/sub", self.user.uid, self.user.gid)
        for output in ("a.sqsh", "sub/b", self.user.work + "/c.img"):
            self.export("--output", output, "alpine")
            self.assertTrue(os.path.exists(os.path.join(self.user.work, output)))

    def test_an_existing_file_is_kept_unless_forced(self):
        self.container("alpine")
        path = self.user.work + "/alpine.sqsh"
        for force in (("-f",), ("--force",), None):
            with open(path, "w") as file:
                file.write("precious")
            self.refused("export", "alpine", says="already exists")
            with open(path) as file:
                self.assertEqual(file.read(), "precious")
            env = {"ENROOT_FORCE_OVERRIDE": "yes"} if force is None else {}
            self.export(*(force or ()), "alpine", env=env)
            self.assert_image_valid(path)

    def test_ENROOT_SQUASH_OPTIONS_and_SOURCE_DATE_EPOCH_count(self):
        self.container("alpine")
        self.export("alpine", env={"ENROOT_SQUASH_OPTIONS": "-comp gzip -b 64K",
                                   "SOURCE_DATE_EPOCH": "1234567890"})
        said = subprocess.run(["unsquashfs", "-s", self.user.work + "/alpine.sqsh"], check=True,
                              stdout=subprocess.PIPE, env={"TZ": "UTC", "PATH": os.environ["PATH"]})
        self.assertRegex(said.stdout.decode(), r"(?s)Fri Feb 13 23:31:30 2009.*gzip.*65536")

    def test_unknown_containers_and_names_that_are_paths_are_refused(self):
        self.refused("export", "nosuch", says="no such container: nosuch")
        self.container("alpine")
        for name in ("..", "a/b", "/etc"):
            self.refused("export", "--", name, says="name")
        self.refused("export", "-o", "nosuch/x.sqsh", "alpine", says="nosuch")
        self.assert_nothing_left()

    def test_help_and_mistakes_on_the_command_line(self):
        self.assertIn("--force", self.enroot("export", "-h").out)
        self.refused("export", says="missing argument")
        self.refused("export", "--unknown", "x", says="unknown option")


class TestFailures(ExportCase):
    def test_a_full_disk_is_named_and_leaves_nothing(self):
        self.container("debian")
        path = self.user.work + "/small"
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700,uid=%d,gid=%d" % (
            self.user.uid, self.user.gid), "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path])
        result = self.refused("export", "-o", "small/x.sqsh", "debian", says="no space left")
        self.assertIn("small/x.sqsh", result.err)
        self.assert_nothing_left()

    def test_signals_leave_nothing_and_the_permissions_as_they_were(self):
        self.container("debian")
        self.as_user("mkdir closed; chmod 100 closed", directory=self.data_path("debian"))
        for delay in (0.02, 0.08, 0.2):
            for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
                process = self.start("enroot", "export", "debian",
                                     env={"ENROOT_SQUASH_OPTIONS": "-comp zstd"})
                time.sleep(delay)
                process.send_signal(number)
                process.communicate(timeout=harness.TIMEOUT)
                if os.path.exists(self.user.work + "/debian.sqsh"):  # with its name, it is whole
                    self.assert_image_valid(self.user.work + "/debian.sqsh")
                    os.unlink(self.user.work + "/debian.sqsh")
                else:
                    self.assertNotEqual(process.returncode, 0)
                self.assert_nothing_left()
                if number != signal.SIGKILL:
                    mode = os.stat(self.data_path("debian/closed")).st_mode
                    self.assertEqual(stat.S_IMODE(mode), 0o100)
                os.chmod(self.data_path("debian/closed"), 0o100)


class TestOwners(test_identity.IdentityCase):
    def test_owners_are_kept_on_request(self):
        image = self.image()
        self.enroot("create", "--subids", image)
        self.enroot("export", "--subids", "-o", "kept.sqsh", "owners")
        self.enroot("export", "--subids", "-o", "oci-archive:kept.tar", "owners")
        self.enroot("import", "-o", "oci.sqsh", "oci-archive:kept.tar")
        trees_of = {}
        for name in (image, "kept.sqsh", "oci.sqsh"):
            with trees.mounted(os.path.join(self.user.work, name), harness.world.work) as root:
                trees_of[name] = trees.scan(root)
        usable = {path: node._replace(mode=node.mode | 0o400 if node.kind == "-" else node.mode)
                  for path, node in trees_of[image].items()}
        for name in ("kept.sqsh", "oci.sqsh"):
            self.assertEqual(trees.differences(usable, trees_of[name]), [], name)
        self.assertEqual(trees_of["kept.sqsh"][b"of-bin"].gid, 33)

    def test_without_it_everything_is_roots(self):
        self.enroot("create", self.image())
        self.enroot("export", "-o", "plain.sqsh", "owners")
        with trees.mounted(self.user.work + "/plain.sqsh", harness.world.work) as root:
            owners = {(node.uid, node.gid) for node in trees.scan(root).values()}
        self.assertEqual(owners, {(0, 0)})
