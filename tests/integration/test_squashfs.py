"""The image files: the same bytes for the same image, mksquashfs' options, images of
other tools, and images that are damaged."""
import os
import random
import re
import shutil
import subprocess
import tempfile

import harness
import images
import trees

COMPRESSORS = ("gzip", "xz", "lz4", "zstd", "lzo")


def super_block(path):
    return subprocess.run(["unsquashfs", "-s", path], stdout=subprocess.PIPE,
                          check=True).stdout.decode()


class TestWriting(harness.Case):
    def imported(self, name="x.sqsh", image="debian", **env):
        path = self.import_from(harness.world.servers.plain, image, name, env=env)
        with open(path, "rb") as file:
            return file.read()

    def test_the_same_image_gives_the_same_bytes(self):
        first = self.imported("cold.sqsh")
        self.assertEqual(self.imported("warm.sqsh"), first)
        for processors in ("1", "2", "8"):
            self.assertEqual(self.imported(processors + ".sqsh",
                                           ENROOT_MAX_PROCESSORS=processors), first, processors)
        subprocess.run(["rm", "-rf", self.cache_path()], check=True)
        self.assertEqual(self.imported("again.sqsh", ENROOT_MAX_PROCESSORS="4",
                                       ENROOT_MAX_CONNECTIONS="1"), first)

    def test_layers_that_are_read_before_their_turn_give_the_same_bytes(self):
        # With three processors and more; the lower layers are longer than what waits in memory.
        words = [random.Random(7).randbytes(40).hex().encode() for _ in range(3000)]
        tars = []
        for layer in range(4):
            chosen = random.Random(layer)
            tars.append(images.Tar())
            for number in range(5):
                data = b"\n".join(chosen.choice(words) for _ in range(50000))
                tars[-1].file("file%d-%d" % (layer % 2, number), data)
        path = self.user.tmp + "/layered"
        images.layout(path, tars)
        images.push(path, harness.world.servers.plain.host, "tests/layered")
        shutil.rmtree(path)
        results = set()
        for processors in ("1", "3", "8"):
            subprocess.run(["rm", "-rf", self.cache_path()], check=True)
            self.enroot("import", "-o", "x.sqsh", "docker://%s#tests/layered"
                        % harness.world.servers.plain.host,
                        env={"ENROOT_ALLOW_HTTP": "yes", "ENROOT_MAX_PROCESSORS": processors})
            with open(self.user.work + "/x.sqsh", "rb") as file:
                results.add(file.read())
            os.unlink(self.user.work + "/x.sqsh")
        self.assertEqual(len(results), 1)

    def test_the_same_bytes_come_at_another_time_of_another_user(self):
        first = self.imported("one.sqsh")
        self.user = harness.world.other
        self.assertEqual(self.imported("two.sqsh"), first)

    def test_the_default_is_zstd(self):
        self.imported()
        self.assertIn("Compression zstd", super_block(self.user.work + "/x.sqsh"))

    def test_options_of_mksquashfs_are_honoured(self):
        with trees.mounted(harness.world.library.squashed("alpine"), harness.world.work) as root:
            wanted = trees.scan(root)
        sizes = {}
        for options, pattern in (
                ("-comp lzo -noD -exit-on-error", "Compression lzo(?s:.*)Data is uncompressed"),
                ("-noI -noD -noF -noX -no-duplicates",
                 "(?s)Inodes are uncompressed.*Data is uncompressed.*"
                 "Fragments are uncompressed.*Duplicates are not removed"),
                ("-comp gzip", "Compression gzip"),
                ("-comp xz -b 1M", "(?s)Compression xz.*Block size 1048576"),
                ("-comp lz4", "Compression lz4"),
                ("-comp zstd -Xcompression-level 19 -b 256K",
                 "(?s)Compression zstd.*Block size 262144"),
                ("-mkfs-time 12345 -processors 1", "Creation or last append time .*1970")):
            with self.subTest(options):
                self.imported(image="alpine", ENROOT_SQUASH_OPTIONS=options)
                path = self.user.work + "/x.sqsh"
                self.assertRegex(super_block(path), pattern)
                with trees.mounted(path, harness.world.work) as root:
                    self.assertEqual(trees.differences(wanted, trees.scan(root)), [])
                sizes[options] = os.path.getsize(path)
                os.unlink(path)
        self.assertLess(sizes["-comp xz -b 1M"], sizes["-comp lz4"])
        self.assertLess(sizes["-comp lz4"], sizes["-comp lzo -noD -exit-on-error"])

    def test_all_root_gives_every_file_to_root(self):
        self.imported(ENROOT_SQUASH_OPTIONS="-all-root")
        with trees.mounted(self.user.work + "/x.sqsh", harness.world.work) as root:
            self.assertEqual({(node.uid, node.gid) for node in trees.scan(root).values()}, {(0, 0)})

    def test_an_option_that_means_nothing_here_is_named_in_a_warning(self):
        result = self.enroot(
            "import", "-o", "x.sqsh", "docker://%s#%s" % (
                harness.world.servers.plain.host, harness.world.library.pushed("alpine")),
            env={"ENROOT_ALLOW_HTTP": "yes",
                 "ENROOT_SQUASH_OPTIONS": "-comp gzip -keep-as-directory"})
        self.assertRegex(result.err, r"\[WARN\].*keep-as-directory")

    def test_a_wrong_option_value_is_refused(self):
        for options in ("-comp nosuch", "-b 12345", "-b", "-processors many",
                        "-Xcompression-level 99"):
            with self.subTest(options):
                self.refused("import", "-o", "x.sqsh", "docker://%s#%s" % (
                    harness.world.servers.plain.host, harness.world.library.pushed("alpine")),
                    env={"ENROOT_ALLOW_HTTP": "yes", "ENROOT_SQUASH_OPTIONS": options},
                    says=re.escape(options.split()[-1]))
        self.assert_nothing_left()

    def test_equal_files_are_stored_once(self):
        layout = tempfile.mkdtemp(dir=harness.world.work)
        content = os.urandom(3 << 20)
        tar = images.Tar()
        for index in range(5):
            tar.file("copy%d" % index, content)
        images.push(images.layout(layout + "/layout", [tar]), harness.world.servers.plain.host,
                    "tests/copies")
        self.enroot("import", "-o", "x.sqsh", "docker://%s#tests/copies"
                    % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.assertLess(os.path.getsize(self.user.work + "/x.sqsh"), 4 << 20)
        subprocess.run(["rm", "-r", layout], check=True)

    def test_SOURCE_DATE_EPOCH_is_the_time_of_the_image(self):
        self.imported("one.sqsh", SOURCE_DATE_EPOCH="1000000000")
        self.assertIn("2001", super_block(self.user.work + "/one.sqsh").split("time")[1])


class TestOtherTools(harness.Case):
    """Images of the classic tool, which mksquashfs makes."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(dir=harness.world.work)
        os.chmod(cls.directory, 0o755)
        with trees.unpacked_by_umoci(harness.world.library.layout("alpine"), cls.directory) as root:
            with open(root + "/large", "wb") as file:
                file.write(bytes(range(256)) * 4096 + os.urandom(300000))
            os.setxattr(root + "/large", "user.note", b"text")
            with open(root + "/holes", "wb") as file:
                file.truncate(5 << 20)
            os.link(root + "/large", root + "/linked")
            os.mkfifo(root + "/pipe")
            for compressor in COMPRESSORS:
                subprocess.run(["mksquashfs", root, cls.path(compressor), "-comp", compressor,
                                "-no-progress", "-quiet"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["mksquashfs", root, cls.path("plain"), "-noI", "-noD", "-noF", "-noX",
                            "-no-duplicates", "-no-progress", "-quiet"], check=True,
                           stdout=subprocess.DEVNULL)
            subprocess.run(["mksquashfs", root, cls.path("export"), "-comp", "gzip", "-no-exports",
                            "-no-fragments", "-b", "4K", "-no-progress", "-quiet"], check=True,
                           stdout=subprocess.DEVNULL)
            cls.digest = trees.content_digest(root + "/large")

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["rm", "-r", cls.directory], check=True)

    @classmethod
    def path(cls, name):
        return "%s/%s.sqsh" % (cls.directory, name)

    def test_images_of_every_compressor_become_containers(self):
        for name in COMPRESSORS + ("plain", "export"):
            with self.subTest(name):
                self.enroot("create", self.path(name))
                root = self.data_path(name)
                self.assertEqual(trees.content_digest(root + "/large"), self.digest)
                self.assertEqual(os.stat(root + "/large").st_nlink, 2)
                self.assertEqual(os.getxattr(root + "/large", "user.note"), b"text")
                self.assertEqual(os.path.getsize(root + "/holes"), 5 << 20)
                self.assertEqual(os.stat(root + "/holes").st_blocks, 0)
                result = self.enroot("start", name, "cat", "/etc/os-release")
                self.assertEqual(result.out, images.OS_RELEASE.decode())
                self.enroot("remove", "-f", name)

    def test_images_of_every_compressor_start_directly(self):
        for name in COMPRESSORS + ("plain", "export"):
            with self.subTest(name):
                result = self.enroot("start", self.path(name), "sha256sum", "/large", "/linked")
                self.assertEqual(result.out.split()[::2], [self.digest, self.digest])

    def test_an_image_without_rc_runs_commands(self):
        for command, output in ((("echo", "a b"), "a b\n"),
                                (("echo one; echo two",), "one\ntwo\n")):
            self.assertEqual(self.enroot("start", self.path("gzip"), *command).out, output)


class TestDamage(harness.Case):
    def damaged(self, content):
        path = self.user.work + "/damaged.sqsh"
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o644)
        return path

    def whole(self):
        with open(harness.world.library.squashed("alpine"), "rb") as file:
            return file.read()

    def test_half_an_image_is_refused(self):
        whole = self.whole()
        for length in (len(whole) // 2, len(whole) - 5000, 200, 96):
            with self.subTest(length):
                path = self.damaged(whole[:length])
                for command in (("create", "-n", "x", path), ("start", path, "true")):
                    result = self.refused(*command, says="damaged.sqsh")
                    self.assertRegex(result.err, "(?i)short|truncat|damaged|incomplete|corrupt")
        self.assertEqual(self.enroot("list").out, "")

    def test_what_is_no_image_is_refused(self):
        for content in (b"", b"hsqs", b"#!/bin/sh\n", b"hsqs" + b"\xff" * 200, os.urandom(100000)):
            path = self.damaged(content)
            self.refused("create", "-n", "x", path, says="damaged.sqsh")
            self.refused("start", path, "true", says="damaged.sqsh")
        self.assertEqual(self.enroot("list").out, "")

    def test_flipped_bytes_end_in_an_error_at_worst(self):
        whole = self.whole()
        generator = random.Random(1)
        for _ in range(40):
            content = bytearray(whole)
            for _ in range(generator.randrange(1, 6)):
                # The tables, which lead the reader, lie at both ends.
                place = generator.randrange(96) if generator.random() < 0.3 else \
                    len(whole) - 1 - generator.randrange(min(len(whole), 4000))
                content[place] = generator.randrange(256)
            path = self.damaged(bytes(content))
            result = self.run_command("enroot", "create", "-f", "-n", "x", path)
            self.assertIn(result.code, (0, 1), result)
            result = self.run_command("enroot", "start", path, "true")
            self.assertGreaterEqual(result.code, 0, result)

    def test_names_of_an_image_cannot_lead_out(self):
        # The bytes of a name are changed in an uncompressed directory table.
        root = self.user.work + "/root"
        os.makedirs(root + "/etc")
        for name in ("XXescape", "YYdouble"):
            with open(root + "/" + name, "w") as file:
                file.write("x")
        path = self.user.work + "/image.sqsh"
        subprocess.run(["mksquashfs", root, path, "-noI", "-noD", "-noF", "-no-progress", "-quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        with open(path, "rb") as file:
            image = file.read()
        self.assertEqual(image.count(b"XXescape"), 1)
        for name in (b"../escap", b"a/b/c/de", b"..\0\0\0\0\0\0", b"YYdouble"):
            with self.subTest(name):
                changed = self.damaged(image.replace(b"XXescape", name))
                self.refused("create", "-n", "x", changed, says="damaged.sqsh")
                self.assertFalse(os.path.exists(self.data_path("escap")))
                self.assertEqual(self.enroot("list").out, "")
