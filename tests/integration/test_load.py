"""load: from a registry straight to a container directory."""
import os
import signal
import subprocess
import time

import harness
import images
import servers
import trees

ALLOW = {"ENROOT_ALLOW_HTTP": "yes"}


def awkward_layers():
    """Two layers with what a directory finds hardest to take over from an image."""
    lower = images.Tar().directory("etc").directory("closed", mode=0) \
        .directory("closed/inner", mode=0o500).file("closed/inner/file", b"x", mode=0) \
        .file("lower/target", b"linked", xattrs={"user.note": b"kept"}) \
        .symlink("link", "lower/target").hardlink("second-link", "link") \
        .file("hidden/one", b"hidden content").hardlink("visible/one", "hidden/one") \
        .file("empty").file("large", os.urandom(700000), mode=0o4755) \
        .add("fifo", images.tarfile.FIFOTYPE).file("replaced/file", b"old").file("gone", b"old")
    upper = images.Tar().directory("sticky", mode=0o1777).hardlink("upper/link", "lower/target") \
        .whiteout("gone").whiteout("hidden").file("replaced", b"a file now") \
        .file("etc/" + "n" * 255, b"").directory("/".join(["deep" * 50] * 15))
    return [lower, upper]


class LoadCase(harness.Case):
    def reference(self, image="alpine", host=None):
        return "docker://%s#%s" % (host or harness.world.servers.plain.host,
                                   harness.world.library.pushed(image))

    def load(self, *arguments, **options):
        return self.enroot("load", *arguments, env={**ALLOW, **options.pop("env", {})}, **options)

    def assert_nothing_created(self):
        self.assertEqual(self.enroot("list").out, "")
        self.assertEqual([name for name in os.listdir(self.data_path())]
                         if os.path.exists(self.data_path()) else [], [])


class TestLoad(LoadCase):
    def assert_same_as_import_and_create(self, reference, **env):
        self.load("--name", "loaded", reference, env=env)
        self.enroot("import", "-o", "image.sqsh", reference, env={**ALLOW, **env})
        self.enroot("create", "--name", "created", "image.sqsh", env=env)
        loaded, created = (trees.scan(self.data_path(name)) for name in ("loaded", "created"))
        self.assertEqual(trees.differences(loaded, created, ignored=set()), [])
        self.assertEqual(sorted(os.listdir(self.data_path())), ["created", "loaded"])
        return loaded

    def test_the_tree_is_that_of_import_and_create(self):
        for processors in ("1", "6"):
            with self.subTest(processors=processors):
                tree = self.assert_same_as_import_and_create(
                    self.reference("debian"), ENROOT_MAX_PROCESSORS=processors)
                self.assertGreater(len(tree), 5000)
                self.enroot("remove", "-f", "loaded", "created")
                os.unlink(self.user.work + "/image.sqsh")

    def test_links_modes_attributes_and_whiteouts_are_those_of_import_and_create(self):
        path = harness.world.library.path + "/awkward"
        images.layout(path, awkward_layers(), {"WorkingDir": "/made/here"})
        images.push(path, harness.world.servers.plain.host, "tests/awkward")
        tree = self.assert_same_as_import_and_create(
            "docker://%s#tests/awkward" % harness.world.servers.plain.host)
        self.assertEqual(tree[b"lower/target"].names, {b"lower/target", b"upper/link"})
        self.assertEqual(tree[b"closed/inner/file"].mode, 0o400)
        self.assertIn(b"visible/one", tree)
        self.assertIn(b"made/here", tree)
        self.assertNotIn(b"gone", tree)

    def test_sparse_files_stay_sparse(self):
        path, data = harness.world.library.path + "/sparse", self.user.work + "/data"
        os.mkdir(data)
        with open(data + "/file", "wb") as file:
            file.truncate(300 << 20)
            file.seek(100 << 20)
            file.write(b"in the middle")
        tar = subprocess.run(["tar", "-S", "-C", data, "-c", "file"], stdout=subprocess.PIPE,
                             check=True).stdout
        images.layout(path, [tar])
        images.push(path, harness.world.servers.plain.host, "tests/sparse")
        self.load("-n", "sparse", "docker://%s#tests/sparse" % harness.world.servers.plain.host)
        status = os.stat(self.data_path("sparse/file"))
        self.assertEqual(status.st_size, 300 << 20)
        self.assertLess(status.st_blocks * 512, 10 << 20)
        self.assertEqual(trees.content_digest(self.data_path("sparse/file")),
                         trees.content_digest(data + "/file"))

    def test_the_container_starts(self):
        self.load("-n", "app", self.reference("application"))
        result = self.enroot("start", "app", "word")
        self.assertIn("|first word|it's|word|", result.out)
        self.assertIn("cwd=/app/work dir", result.out)

    def test_the_default_name_is_that_of_an_import(self):
        for reference, name in ((self.reference("alpine"), "library+alpine+latest"),
                                (self.reference("alpine")[:-len(":latest")], "library+alpine")):
            self.load(reference)
            self.enroot("remove", "-f", name)

    def test_an_existing_container_is_kept_unless_forced(self):
        self.container("alpine", "same")
        marker = self.data_path("same/marker")
        with open(marker, "w"):
            pass
        self.refused("load", "-n", "same", self.reference(), env=ALLOW, says="already exists")
        self.assertTrue(os.path.exists(marker))
        self.load("-f", "-n", "same", self.reference())
        self.assertFalse(os.path.exists(marker))
        self.assertEqual(os.listdir(self.data_path()), ["same"])

    def test_names_that_are_paths_are_refused(self):
        for name in ("a/b", "..", ".hidden"):
            self.refused("load", "--name=" + name, self.reference(), env=ALLOW, says="name")

    def test_another_architecture_is_refused(self):
        other = "arm64" if images.ARCHITECTURE != "arm64" else "amd64"
        self.refused("load", "-a", other, self.reference(), env=ALLOW, says=other)
        self.assert_nothing_created()

    def test_help_and_mistakes_on_the_command_line(self):
        self.assertIn("--name", self.enroot("load", "--help").out)
        self.refused("load", says="missing argument")
        self.refused("load", "-n", "x", "ftp://image", says="docker://")
        self.assert_nothing_created()


class TestFailures(LoadCase):
    def test_a_corrupted_layer_leaves_nothing(self):
        def damage(body):
            return body[:len(body) // 2] + b"damage" + body[len(body) // 2 + 6:]
        with servers.Proxy(harness.world.servers.plain.host, lambda request:
                           {"change": damage} if "/blobs/" in request["path"] else None) as proxy:
            self.refused("load", "-n", "x", self.reference(host=proxy.host), env=ALLOW,
                         says="digest|corrupt|content|checksum")
        self.assert_nothing_created()

    def test_a_blob_that_was_damaged_in_the_cache_is_fetched_again(self):
        self.load("-n", "first", self.reference())
        blobs = [self.cache_path(name) for name in harness.files_below(self.cache_path())]
        layer = max(blobs, key=os.path.getsize)
        with open(layer, "r+b") as file:
            file.seek(os.path.getsize(layer) // 2)
            file.write(b"damage")
        self.load("-n", "second", self.reference())
        first, second = (trees.scan(self.data_path(name)) for name in ("first", "second"))
        self.assertEqual(trees.differences(first, second, ignored=set()), [])
        self.assertEqual(sorted(os.listdir(self.data_path())), ["first", "second"])

    def test_a_full_disk_is_named_and_leaves_nothing(self):
        path = self.user.home + "/.local"
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=700,uid=%d,gid=%d" % (
            self.user.uid, self.user.gid), "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path])
        for processors in ("1", "4"):
            result = self.refused("load", "-n", "x", self.reference("application"),
                                  env={**ALLOW, "ENROOT_MAX_PROCESSORS": processors},
                                  says="no space left")
            self.assertIn(self.data_path(), result.err)
            self.assert_nothing_created()

    def test_signals_leave_no_container_and_kill_what_the_next_load_removes(self):
        reference = self.reference("debian")
        self.load("-n", "first", reference)  # the layers are in the cache from here on
        self.enroot("remove", "-f", "first")
        for delay in (0.02, 0.1, 0.3):
            for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
                process = self.start("enroot", "load", "-n", "half", reference, env=ALLOW)
                time.sleep(delay)
                process.send_signal(number)
                process.communicate(timeout=harness.TIMEOUT)
                if self.enroot("list").out:  # it has its name, so it is whole
                    self.enroot("start", "half", "perl", "-e", "1")
                    self.enroot("remove", "-f", "half")
                else:
                    self.assertNotEqual(process.returncode, 0)
                if number != signal.SIGKILL and delay == 0.3:
                    self.load("-n", "whole", reference)
                    self.assertEqual(os.listdir(self.data_path()), ["whole"])
                    self.enroot("remove", "-f", "whole")

    def test_loads_of_one_name_at_the_same_time_make_one_container(self):
        running = [self.start("enroot", "load", "-n", "same", self.reference(), env=ALLOW)
                   for _ in range(3)]
        codes = []
        for process in running:
            process.communicate(timeout=harness.TIMEOUT)
            codes.append(process.returncode)
        self.assertEqual(sorted(codes), [0, 1, 1])
        self.assertEqual(os.listdir(self.data_path()), ["same"])
