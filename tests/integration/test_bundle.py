"""bundle: one file that runs an image, here and on machines that have nothing for it."""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time

import harness
from test_hooks import library_path

SYSTEM = "/etc/enroot"


class BundleCase(harness.Case):
    def setUp(self):
        super().setUp()
        if not os.path.exists(self.runtime()):
            self.skipTest("this build has no runtime of bundles")
        self.env["ENROOT_LIBRARY_PATH"] = library_path()

    @staticmethod
    def runtime():
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine,
                                                               os.uname().machine)
        return "%s/bundle-runtime-%s" % (library_path(), machine)

    def bundle(self, *options, name="image.run", **more):
        """A bundle in the user's directory; returns how to call it."""
        self.enroot("bundle", "--force", "--output", name, *options,
                    harness.world.library.squashed("alpine"), **more)
        return "./" + name

    def run_bundle(self, *argv, **options):
        result = self.run_command(*argv, **options)
        self.assertEqual(result.code, 0, result)
        return result

    def output(self, *argv, **options):
        return self.run_bundle(*argv, **options).out

    def fails(self, *argv, says, **options):
        result = self.run_command(*argv, **options)
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.err, r"\[ERROR\] .*" + says)
        return result

    def info(self, bundle):
        """The lines of --info."""
        return dict(line.split(": ", 1) for line in self.output(bundle, "--info").splitlines())

    def forbid_fuse(self):
        os.chmod("/dev/fuse", 0o600)
        self.addCleanup(os.chmod, "/dev/fuse", 0o666)

    def configure(self, path, text, where=SYSTEM, mode=0o644):
        """A file of the site's or the user's configuration, until the end of the test."""
        path = os.path.join(where, path)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
            self.addCleanup(shutil.rmtree, os.path.dirname(path))
        with open(path, "w") as file:
            file.write(text)
        self.addCleanup(os.unlink, path)
        os.chmod(path, mode)

    @property
    def user_configuration(self):
        return os.path.join(self.user.home, ".config/enroot")

    def in_work(self, *parts):
        return os.path.join(self.user.work, *parts)


class TestMaking(BundleCase):
    def test_the_default_name_is_the_image_s_with_run(self):
        shutil.copy(harness.world.library.squashed("alpine"), self.in_work("some.sqsh"))
        self.enroot("bundle", "some.sqsh")
        self.assertEqual(os.stat(self.in_work("some.run")).st_mode & 0o777, 0o755)
        self.assertEqual(self.info("./some.run")["Target directory"], "some")
        self.assertEqual(self.output("./some.run", "echo", "hello"), "hello\n")

    def test_an_existing_file_is_an_error_unless_forced(self):
        """-f, --force, ENROOT_FORCE_OVERRIDE; -o, --output"""
        image = harness.world.library.squashed("alpine")
        with open(self.in_work("image.run"), "w"):
            pass
        os.chmod(self.in_work("image.run"), 0o777)
        for option in ("-o", "--output"):
            self.refused("bundle", option, "image.run", image, says="already exists: image.run")
        self.enroot("bundle", "-f", "-o", "image.run", image)
        self.enroot("bundle", "--force", "--output=image.run", image)
        self.enroot("bundle", "-o", "image.run", image, env={"ENROOT_FORCE_OVERRIDE": "y"})
        self.assertEqual(os.listdir(self.user.work), ["image.run"])

    def test_the_description(self):
        """-d, --desc"""
        self.assertEqual(self.info(self.bundle())["Description"], "none")
        for option in ("-d", "--desc"):
            bundle = self.bundle(option, "what it is for")
            self.assertEqual(self.info(bundle)["Description"], "what it is for")
            self.assertIn("\n\nwhat it is for\n\n", self.output(bundle, "--help"))

    def test_the_target_directory(self):
        """-t, --target, with variables of whoever runs the bundle"""
        for option in ("-t", "--target"):
            bundle = self.bundle(option, "${HOME}/some where/target")
            self.assertEqual(self.info(bundle)["Target directory"], "${HOME}/some where/target")
        self.run_bundle(bundle, "--extract")
        self.assertTrue(os.path.exists(self.user.home + "/some where/target/bin/busybox"))

    def test_the_checksum(self):
        """-c, --checksum, ENROOT_BUNDLE_CHECKSUM: SHA-256 of the file, itself left out"""
        self.assertNotIn("Checksum", self.info(self.bundle()))
        for options, env in ((["-c"], {}), (["--checksum"], {}),
                             ([], {"ENROOT_BUNDLE_CHECKSUM": "yes"})):
            bundle = self.bundle(*options, env=env)
            checksum = self.info(bundle)["Checksum"]
            with open(self.in_work(bundle), "rb") as file:
                data = file.read()
            self.assertEqual(data.count(checksum.encode()), 1)
            data = data.replace(checksum.encode(), b"\0" * 64)
            self.assertEqual(hashlib.sha256(data).hexdigest(), checksum)

    def test_the_same_input_gives_the_same_bytes(self):
        names = ("one.run", "other.run")
        for name in names:
            self.bundle("--all", "--checksum", "--target", "x", name=name)
        files = [open(self.in_work(name), "rb") for name in names]
        contents = [file.read() for file in files]
        for file in files:
            file.close()
        self.assertEqual(*contents)

    def test_the_image_is_in_it_as_it_is(self):
        bundle = self.bundle()
        with open(harness.world.library.squashed("alpine"), "rb") as file:
            image = file.read()
        with open(self.in_work(bundle), "rb") as file:
            data = file.read()
        self.assertTrue(data.endswith(image))
        self.assertEqual((len(data) - len(image)) % 65536, 0)
        info = self.info(bundle)
        self.assertIn("%d bytes" % len(image), info["Image"])
        self.assertEqual(info["Bundle size"], "%d bytes" % len(data))
        self.assertGreater(int(info["Uncompressed size"].split()[0]), 500)

    def test_what_cannot_be_bundled(self):
        with open(self.in_work("text"), "w") as file:
            file.write("no image" * 1000)
        self.refused("bundle", "text", says="text: is not a squashfs image")
        self.refused("bundle", "none.sqsh", says="none.sqsh: No such file")
        self.refused("bundle", self.user.home, says="is not an image file")
        self.refused("bundle", says="missing argument")
        self.refused("bundle", "a", "b", says="too many arguments")
        self.refused("bundle", "-o", "sub/x.run", harness.world.library.squashed("alpine"),
                     says="sub: No such file")
        self.assertEqual(os.listdir(self.user.work), ["text"])

    def test_another_architecture_needs_a_runtime_of_that(self):
        harness.world.library.squashed("alpine")
        tree = self.in_work("tree")
        os.makedirs(tree + "/etc")
        with open(tree + "/etc/enroot-image.json", "w") as file:
            file.write('{"version": 1, "provenance": "docker://x#y:z", "digest": "sha256:%s", "layers": [],'
                       ' "config": {"architecture": "s390x", "os": "linux"}}' % ("0" * 64))
        subprocess.run(["mksquashfs", tree, self.in_work("other.sqsh"), "-quiet", "-no-progress"],
                       check=True, stdout=subprocess.DEVNULL)
        self.refused("bundle", "other.sqsh",
                     says="other.sqsh: no runtime for linux/s390x: .*ENROOT_LIBRARY_PATH")
        self.refused("bundle", harness.world.library.squashed("alpine"),
                     env={"ENROOT_LIBRARY_PATH": "/none"}, says="/none/bundle-runtime-")

    def test_a_full_disk(self):
        place = self.in_work("small")
        os.mkdir(place)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,uid=%d" % self.user.uid, "tmpfs",
                        place], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=True)
        self.refused("bundle", "-o", "small/x.run", harness.world.library.squashed("alpine"),
                     says="to small/x.run: .*No space left")
        self.assertEqual(os.listdir(place), [])


class TestRunning(BundleCase):
    def test_it_starts_the_image(self):
        """As the user, read-only, with its exit status and words as they are."""
        bundle = self.bundle()
        self.assertEqual(self.output(bundle, "sh", "-c", "id -u; id -un"),
                         "%d\n%s\n" % (self.user.uid, self.user.name))
        self.assertEqual(self.output(bundle, "--", "echo", "-k", "a  b"), "-k a  b\n")
        self.assertNotEqual(self.run_command(bundle, "touch", "/file").code, 0)
        self.assertEqual(self.run_command(bundle, "sh", "-c", "exit 42").code, 42)
        self.assertEqual(self.run_command(bundle, "sh", "-c", "kill -TERM $$").code,
                         -signal.SIGTERM)
        self.assertEqual(self.output(bundle, input=b"echo from /etc/rc\n"), "from /etc/rc\n")

    def test_the_root_is_the_bundle_s_file(self):
        """Mounted in place: no copy, no directory, and "list" knows it."""
        bundle = self.bundle()
        process = self.start(bundle, "sleep", "1000")
        self.wait_for_program("sleep")
        self.assertIn(self.in_work("image.run"), self.enroot("list", "--json").out)
        self.assertEqual(harness.files_below(self.user.tmp), [])
        process.kill()
        process.communicate()

    def test_options_of_start(self):
        """-e, --env; --rc; -m, --mount; -r, --root; -w, --rw; -c, --conf"""
        bundle = self.bundle()
        for name, text in (("rc", 'echo "rc: $*"\n'), ("data", "data\n"),
                           ("conf", "#ENROOT_REMAP_ROOT=y\nenviron() { echo FROM_CONF=1; }\n")):
            with open(self.in_work(name), "w") as file:
                file.write(text)
        for option in ("-e", "--env"):
            self.assertEqual(self.output(bundle, option, "A=b c", option, "HOST", "sh", "-c",
                                         'echo "$A $HOST"', env={"HOST": "x"}), "b c x\n")
        self.assertEqual(self.output(bundle, "--rc", "rc", "1", "2"), "rc: 1 2\n")
        for option in ("-m", "--mount"):
            mount = self.in_work("data") + ":/file:none:x-create=file,bind"
            self.assertEqual(self.output(bundle, option, mount, "cat", "/file"), "data\n")
        for option in ("-r", "--root"):
            self.assertEqual(self.output(bundle, option, "id", "-u"), "0\n")
        for option in ("-w", "--rw"):
            self.assertEqual(self.output(bundle, option, "sh", "-c", "echo x >/f; cat /f"), "x\n")
        for option in ("-c", "--conf"):
            self.assertEqual(self.output(bundle, option, "conf", "sh", "-c",
                                         "echo $FROM_CONF; id -u"), "1\n0\n")

    def test_other_options_of_start(self):
        bundle = self.bundle()
        self.assertEqual(self.output(bundle, "--pid", "sh", "-c", "echo $$"), "1\n")
        self.assertEqual(self.output(bundle, "--net", "sh", "-c", "ls /sys/class/net"), "lo\n")
        os.mkdir(self.in_work("changes"))
        os.chown(self.in_work("changes"), self.user.uid, self.user.gid)
        for command in ("echo x >/f", "cat /f"):
            out = self.output(bundle, "--rw", "--overlay", "changes", "sh", "-c", command)
        self.assertEqual(out, "x\n")

    def test_the_plan(self):
        """--dry-run, also of what the bundle brings along"""
        self.configure("mounts.d/90-x.fstab", "tmpfs /from-bundle tmpfs x-create=dir\n")
        bundle = self.bundle()
        plan = self.output(bundle, "--dry-run", "ls")
        self.assertIn("rootfs: %s (image, read-only)" % self.in_work("image.run"), plan)
        self.assertIn("/from-bundle", plan)

    def test_information_about_it(self):
        """-i, --info"""
        bundle = self.bundle("-d", "text")
        for option in ("-i", "--info"):
            out = self.output(bundle, option)
            self.assertEqual(re.findall("(?m)^([^:]*): ", out),
                             ["Compression", "Description", "Runtime version", "Target directory",
                              "Uncompressed size", "Image", "Bundle size"])
            self.assertRegex(out, r"Uncompressed size: \d+ KB\n")
            self.assertIn("Image: alpine.sqsh (linux/", out)

    def test_verification_of_the_machine(self):
        """-v, --verify: the table of "enroot check --verify\""""
        bundle = self.bundle()
        expected = self.enroot("check", "--verify").out
        for option in ("-v", "--verify"):
            self.assertEqual(self.output(bundle, option), expected)

    def test_help_and_words_that_it_does_not_know(self):
        """-h, --help"""
        bundle = self.bundle()
        for option in ("-h", "--help"):
            out = self.output(bundle, option)
            self.assertTrue(out.startswith("Usage: image.run [options] [--] [COMMAND] [ARG...]\n"))
            for name in ("info", "keep", "quiet", "verify", "extract", "conf", "env", "rc", "mount",
                         "root", "rw"):
                self.assertIn(" --%s " % name, out)
        self.fails(bundle, "--nothing", says="unknown option: --nothing")
        self.fails(bundle, "--env", says="option --env needs a value")

    def test_every_compressor_is_built_in(self):
        tree = self.in_work("tree")
        subprocess.run(["unsquashfs", "-q", "-n", "-d", tree,
                        harness.world.library.squashed("alpine")], check=True,
                       stdout=subprocess.DEVNULL)
        for compressor in ("gzip", "lzo", "lz4", "xz", "zstd"):
            image = self.in_work(compressor + ".sqsh")
            subprocess.run(["mksquashfs", tree, image, "-comp", compressor, "-quiet",
                            "-no-progress"], check=True, stdout=subprocess.DEVNULL)
            self.enroot("bundle", compressor + ".sqsh")
            self.assertEqual(self.output("./%s.run" % compressor, "echo", "hello"), "hello\n")
            self.assertEqual(self.info("./%s.run" % compressor)["Compression"], compressor)
            os.unlink(image)


class TestExtraction(BundleCase):
    def test_keep(self):
        """-k, --keep: starts in the target directory, which stays with its changes"""
        bundle = self.bundle()
        for option in ("-k", "--keep"):
            out = self.output(bundle, option, "--rw", "sh", "-c", "echo kept >/message; id -u")
            self.assertEqual(out, "%d\n" % self.user.uid)
            with open(self.in_work("image/message")) as file:
                self.assertEqual(file.read(), "kept\n")
            self.fails(bundle, option, "true", says="File already exists: " + self.in_work("image"))
            shutil.rmtree(self.in_work("image"))

    def test_extract(self):
        """-x, --extract: the tree that create would make, the configuration in /.enroot"""
        bundle = self.bundle()
        self.enroot("create", "--name", "same", harness.world.library.squashed("alpine"))
        for option in ("-x", "--extract"):
            self.run_bundle(bundle, option, "false")
            difference = subprocess.run(
                ["diff", "-r", "--no-dereference", self.in_work("image"), self.data_path("same")],
                stdout=subprocess.PIPE).stdout.decode()
            self.assertEqual(difference, "Only in %s: .enroot\n" % self.in_work("image"))
            self.assertIn("etc/system/mounts.d/10-system.fstab",
                          harness.files_below(self.in_work("image/.enroot")))
            shutil.rmtree(self.in_work("image"))

    def test_another_target_directory(self):
        """-t, --target of the bundle itself"""
        bundle = self.bundle()
        for option in ("-t", "--target"):
            self.run_bundle(bundle, "-x", option, "deep/er/" + option)
            self.assertTrue(os.path.exists(self.in_work("deep/er", option, "bin/busybox")))

    def test_what_is_kept_is_a_container(self):
        bundle = self.bundle("--target", "${HOME}/.local/share/enroot/hello")
        self.run_bundle(bundle, "--keep", "--rw", "tee", "/message", input=b"Hello World\n")
        self.assertEqual(self.enroot("start", "hello", "cat", "/message").out, "Hello World\n")
        self.enroot("export", "hello")
        listing = subprocess.run(["unsquashfs", "-l", self.in_work("hello.sqsh")], check=True,
                                 stdout=subprocess.PIPE).stdout.decode()
        self.assertIn("/message", listing)
        self.assertNotIn("/.enroot", listing)

    def test_without_fuse_it_is_extracted_for_the_time(self):
        """-q, --quiet says nothing about it"""
        self.forbid_fuse()
        bundle = self.bundle()
        result = self.run_command(bundle, "sh", "-c", "id -u; exit 9")
        self.assertEqual((result.code, result.out), (9, "%d\n" % self.user.uid))
        self.assertRegex(result.err, r"\[INFO\] .*/dev/fuse: Permission denied.*extracting")
        self.assertEqual(os.listdir(self.user.tmp), [])
        for option in ("-q", "--quiet"):
            result = self.run_bundle(bundle, option, "--root", "--rw", "sh", "-c", "echo x >/f; id -u")
            self.assertEqual((result.out, result.err), ("0\n", ""))
        self.assertEqual(os.listdir(self.user.tmp), [])
        self.fails(bundle, "--overlay", "tmpfs", "true", says="--overlay tmpfs: /dev/fuse")

    def test_without_overlayfs_it_is_extracted_for_the_time(self):
        bundle = self.bundle()
        result = self.run_bundle(bundle, "--rw", "rm", "/etc/shells",
                                 env={"ENROOT_NATIVE_OVERLAYFS": "no"})
        self.assertIn("ENROOT_NATIVE_OVERLAYFS=no", result.err)
        self.assertEqual(os.listdir(self.user.tmp), [])

    def test_where_it_is_not_known_mounting_is_tried(self):
        """As on kernels before 5.11: /proc/filesystems does not say enough."""
        self.bind("/dev/null", "/proc/filesystems")
        bundle = self.bundle()
        result = self.run_bundle(bundle, "grep", " / ", "/proc/mounts")
        self.assertRegex(result.out, "^enroot:.*image.run / overlay")
        self.assertEqual(result.err, "")
        self.bind("/dev/null", "/dev/fuse")
        result = self.run_bundle(bundle, "grep", " / ", "/proc/mounts")
        self.assertNotIn("overlay", result.out)
        self.assertIn("extracting it", result.err)
        self.assertEqual(os.listdir(self.user.tmp), [])

    def bind(self, source, target):
        subprocess.run(["mount", "--bind", source, target], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", target], check=True)

    def test_a_signal_ends_it_and_nothing_is_left(self):
        self.forbid_fuse()
        process = self.start(self.bundle(), "sleep", "1000")
        self.wait_for_program("sleep")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertEqual(os.listdir(self.user.tmp), [])

    def test_a_signal_ends_the_extraction_and_nothing_is_left(self):
        tree = self.in_work("tree")
        os.mkdir(tree)
        for number in range(5000):
            with open("%s/%d" % (tree, number), "w") as file:
                file.write("content %d" % number)
        subprocess.run(["mksquashfs", tree, self.in_work("many.sqsh"), "-quiet", "-no-progress"],
                       check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)
        self.enroot("bundle", "-o", "image.run", "many.sqsh")
        os.unlink(self.in_work("many.sqsh"))
        process = self.start("./image.run", "--extract")
        deadline = time.monotonic() + harness.TIMEOUT
        while not [name for name in os.listdir(self.user.work) if name.startswith(".image.")] and \
                process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=harness.TIMEOUT)
        self.wait_for_no_process(self.user)
        self.assertIn(process.returncode, (-signal.SIGTERM, 0))
        left = set(os.listdir(self.user.work)) - {"image.run"}
        self.assertEqual(left, set() if process.returncode else {"image"})

    def test_no_space(self):
        """ENROOT_TEMP_PATH; what is needed is known before"""
        place = self.in_work("small")
        os.mkdir(place)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k,uid=%d" % self.user.uid, "tmpfs",
                        place], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=True)
        bundle = self.bundle()
        self.fails(bundle, "--keep", "--target", "small/x", "true", says="small/x.*--target")
        self.forbid_fuse()
        self.fails(bundle, "true", env={"ENROOT_TEMP_PATH": place}, says="set ENROOT_TEMP_PATH")
        self.assertEqual(os.listdir(place), [])


class TestDevices(BundleCase):
    def test_a_device_of_a_description_in_yaml(self):
        """--device: libyaml, which is loaded elsewhere, is built in"""
        self.configure("cdi/vendor.yaml", "cdiVersion: 0.6.0\nkind: vendor.com/class\ndevices:\n"
                       "  - name: one\n    containerEdits:\n      env: [FROM_CDI=yes]\n", "/etc")
        self.assertEqual(self.output(self.bundle(), "--device", "vendor.com/class=one", "sh", "-c",
                                     "echo $FROM_CDI"), "yes\n")


class TestDamage(BundleCase):
    def change(self, bundle, place):
        with open(self.in_work(bundle), "r+b") as file:
            file.seek(place, os.SEEK_SET if place >= 0 else os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))

    def test_a_checksum_finds_every_change(self):
        """Also before --info and --extract. In the runtime, its configuration, the image."""
        size = os.path.getsize(self.in_work(self.bundle("--checksum")))
        for place in (os.path.getsize(self.runtime()) - 1, size // 2, -1):
            bundle = self.bundle("--checksum")
            self.change(bundle, place)
            for words in (["true"], ["--info"], ["--extract"], ["--keep", "true"]):
                self.fails(bundle, *words, says="Checksum validation failed")
        self.assertEqual(os.listdir(self.user.work), ["image.run"])

    def test_a_part_of_it(self):
        bundle = self.bundle()
        size = os.path.getsize(self.in_work(bundle))
        runtime = os.path.getsize(self.runtime())
        for length, says in ((size - 1, "it has %d of %d bytes" % (size - 1, size)),
                             (runtime + 1000, "bytes; a download or copy stopped half-way"),
                             (runtime + 50, "it ends early"),
                             (runtime, "the runtime of bundles alone")):
            os.truncate(self.in_work(bundle), length)
            self.fails(bundle, "true", says=says)
            self.fails(bundle, "--info", says=says)

    def test_the_runtime_alone(self):
        self.fails(self.runtime(), "true", says="the runtime of bundles alone")


class TestConfiguration(BundleCase):
    HOOK = "#!/bin/sh\necho HOOKED=${ENROOT_ROOTFS:+yes} >>\"$ENROOT_ENVIRON\"\n"

    def test_the_system_s_files_are_included(self):
        """mounts.d, environ.d and hooks.d of the machine that made the bundle count, not those
        of the machine that it runs on."""
        self.configure("environ.d/90-x.env", "FROM_SITE=${HOME}\n")
        self.configure("mounts.d/90-x.fstab", "tmpfs /mnt tmpfs size=1m\n")
        self.configure("hooks.d/50-x.sh", self.HOOK, mode=0o755)
        bundle = self.bundle()
        self.doCleanups()
        self.configure("environ.d/90-y.env", "NOT_INCLUDED=1\n")
        self.configure("environ.d/90-z.env", "NOT_INCLUDED=1\n", self.user_configuration)
        out = self.output(bundle, "sh", "-c", "env; cat /proc/mounts")
        self.assertIn("\nFROM_SITE=%s\n" % self.user.home, "\n" + out)
        self.assertRegex(out, "(?m)^tmpfs /mnt tmpfs .*size=1024k")
        self.assertIn("HOOKED=yes\n", out)
        self.assertNotIn("NOT_INCLUDED", out)

    def test_hooks_find_the_programs_and_the_library(self):
        self.configure("hooks.d/50-x.sh", "#!/bin/bash\nset -eu\n"
                       'source "$ENROOT_LIBRARY_PATH/common.sh"\ncommon::checkcmd enroot-mount\n'
                       'source "${BASH_SOURCE%/*}/part/more"\n'
                       'echo "tmpfs /mnt tmpfs size=2m" | enroot-mount --root "$ENROOT_ROOTFS" -\n',
                       mode=0o755)
        self.configure("hooks.d/part/more", 'echo MORE=1 >>"$ENROOT_ENVIRON"\n')
        self.forbid_fuse()
        bundle = self.bundle()
        self.doCleanups()
        for words in ([], ["--root"]):
            out = self.output(bundle, *words, "sh", "-c", "env; cat /proc/mounts")
            self.assertRegex(out, "(?m)^tmpfs /mnt tmpfs .*size=2048k")
            self.assertIn("MORE=1\n", out)

    def test_a_hook_that_fails_is_named(self):
        self.configure("hooks.d/50-x.sh", "#!/bin/sh\nexit 3\n", mode=0o755)
        self.fails(self.bundle(), "true", says="50-x.sh exited with return code 3")

    def test_all_of_the_user_s_too(self):
        """-a, --all, ENROOT_BUNDLE_ALL: the user's files, and the settings but for the paths"""
        user = self.user_configuration
        self.configure("environ.d/90-x.env", "FROM_USER=1\n", user)
        self.configure("hooks.d/90-x.sh", self.HOOK, user, mode=0o755)
        self.configure("mounts.d/90-x.fstab", "tmpfs /mnt tmpfs\n", user)
        settings = {"ENROOT_REMAP_ROOT": "yes", "ENROOT_CACHE_PATH": "/none"}
        for options, env in ((["-a"], {}), (["--all"], {}), ([], {"ENROOT_BUNDLE_ALL": "y"})):
            bundle = self.bundle(*options, env={**settings, **env})
            shutil.move(user, user + ".away")
            out = self.output(bundle, "sh", "-c", "env; cat /proc/mounts; id -u")
            self.assertIn("FROM_USER=1\n", out)
            self.assertIn("HOOKED=yes\n", out)
            self.assertIn("tmpfs /mnt tmpfs", out)
            self.assertTrue(out.endswith("\n0\n"))
            self.assertEqual(self.output(bundle, "id", "-u", env={"ENROOT_REMAP_ROOT": "no"}),
                             "%d\n" % self.user.uid)
            shutil.move(user + ".away", user)
        out = self.output(self.bundle(env=settings), "sh", "-c", "env; id -u")
        self.assertNotIn("FROM_USER", out)
        self.assertTrue(out.endswith("\n%d\n" % self.user.uid))

    def test_what_cannot_be_read_is_named(self):
        self.configure("hooks.d/50-x.sh", self.HOOK, mode=0o700)
        self.refused("bundle", harness.world.library.squashed("alpine"),
                     says="/etc/enroot/hooks.d/50-x.sh: Permission denied")

    def test_the_runtime_directory(self):
        """XDG_RUNTIME_DIR where that can be used, a directory of the user's alone elsewhere"""
        bundle = self.bundle()
        for place in (None, "/none"):
            self.assertEqual(self.output(bundle, "echo", "x", env={"XDG_RUNTIME_DIR": place}), "x\n")
        directory = "%s/enroot-%d" % (self.user.tmp, self.user.uid)
        self.assertEqual(os.stat(directory).st_mode & 0o777, 0o700)
        self.assertEqual(os.listdir(directory), [])
        os.rmdir(directory)
        os.symlink("/tmp", directory)
        self.addCleanup(os.unlink, directory)
        self.fails(bundle, "true", env={"XDG_RUNTIME_DIR": None},
                   says="is not a directory of this user alone")
        os.unlink(directory)
        os.mkdir(directory)
        os.chown(directory, harness.world.other.uid, -1)
        self.fails(bundle, "true", env={"XDG_RUNTIME_DIR": None},
                   says="is not a directory of this user alone")
        os.rmdir(directory)
        os.symlink("/tmp", directory)


class TestElsewhere(BundleCase):
    """Roots without enroot and without anything that it is linked with."""

    def root(self, *programs):
        """A root that has nothing but a busybox, by these names, and what kernels give."""
        root = self.in_work("root")
        for name in ("bin", "dev", "etc", "home", "proc", "run", "sys", "tmp"):
            os.makedirs(root + "/" + name, exist_ok=True)
        for name in ("home", "run"):
            os.chown(root + "/" + name, self.user.uid, self.user.gid)
        os.chmod(root + "/tmp", 0o1777)
        if programs:
            shutil.copy("/bin/busybox", root + "/bin/busybox")
        for name in programs:
            os.symlink("busybox", root + "/bin/" + name)
        for name in ("dev", "proc", "sys"):
            subprocess.run(["mount", "--rbind", "/" + name, root + "/" + name], check=True)
            self.addCleanup(subprocess.run, ["umount", "-l", root + "/" + name], check=True)
        shutil.copy(self.in_work(self.bundle("--checksum")), root + "/image.run")
        return root

    def inside(self, root, *argv):
        return self.run_command("python3", "-c", harness.PIVOT, root, str(self.user.uid), "pivot",
                                *argv, user=harness.world.root)

    def check(self, root, *before):
        """Mounted, extracted and kept; --before-- is a program of the root that calls it."""
        result = self.inside(root, *before, "/image.run", "sh", "-c", "id -u; cat /etc/os-release")
        self.assertEqual(result.code, 0, result)
        self.assertTrue(result.out.startswith("%d\n" % self.user.uid))
        self.assertIn("ID=alpine", result.out)
        result = self.inside(root, *before, "/image.run", "--root", "--rw", "sh", "-c",
                             "echo x >/file; id -u; id -un; exit 3")
        self.assertEqual((result.code, result.out), (3, "0\nroot\n"), result)
        result = self.inside(root, *before, "/image.run", "--keep", "--target", "/home/kept",
                             "echo", "kept")
        self.assertEqual((result.code, result.out), (0, "kept\n"), result)
        for words in (["--info"], ["--verify"], ["--help"]):
            self.assertEqual(self.inside(root, *before, "/image.run", *words).code, 0)
        self.forbid_fuse()
        result = self.inside(root, *before, "/image.run", "echo", "extracted")
        self.assertEqual((result.code, result.out), (0, "extracted\n"), result)
        self.assertEqual(harness.files_below(root + "/tmp") + harness.files_below(root + "/run"),
                         [])

    def test_nothing_is_loaded(self):
        """A static program must not: what it finds is made for another C library."""
        with open(self.runtime(), "rb") as file:
            self.assertNotIn(b"; install the package %s", file.read())
        with open(harness.world.bin + "/enroot", "rb") as file:
            self.assertIn(b"; install the package %s", file.read())

    def test_a_root_with_nothing_at_all(self):
        self.check(self.root())

    def test_a_bare_busybox(self):
        root = self.root("sh")
        self.check(root, "/bin/sh", "-c", 'exec "$0" "$@"')

    def test_musl(self):
        """Alpine's C library, no other, and no bash; users of a directory are asked for with
        getent, which knows where they are."""
        root = self.root("sh")
        os.makedirs(root + "/lib")
        loader = os.path.realpath("/lib/ld-musl-%s.so.1" % os.uname().machine)
        shutil.copy(loader, root + "/lib/" + os.path.basename("/lib/ld-musl-%s.so.1" %
                                                              os.uname().machine))
        for name, text in (("os-release", "ID=alpine\nVERSION_ID=3.19.0\n"),
                           ("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "")):
            with open(root + "/etc/" + name, "w") as file:
                file.write(text)
        self.assertEqual(self.inside(root, "/image.run", "id", "-un").out, "user\n")
        with open(root + "/bin/getent", "w") as file:
            file.write('#!/bin/sh\n[ $1 = passwd ] && echo "remote:x:$2:$2::/home/x:/bin/sh"\n')
        os.chmod(root + "/bin/getent", 0o755)
        self.assertEqual(self.inside(root, "/image.run", "id", "-un").out, "remote\n")
        self.check(root, "/bin/sh", "-c", 'exec "$0" "$@"')

    def test_an_old_glibc(self):
        """Debian 11, whose glibc 2.31 is older than the one of any build"""
        root = self.in_work("root")
        try:
            harness.world.on_host_network(
                ["mmdebstrap", "--quiet", "--variant=extract", "--include=base-files,bash,libc6,"
                 "libcrypt1,libtinfo6", "bullseye", root],
                env={**os.environ, "TMPDIR": harness.world.work}, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            self.skipTest("no mirror has Debian 11")
        os.chmod(root, 0o755)
        self.root()
        version = self.inside(root, "/bin/bash", "-c", "echo $BASH_VERSION")
        self.assertTrue(version.out.startswith("5.1"), version)
        self.check(root, "/bin/bash", "-c", 'exec "$0" "$@"')
