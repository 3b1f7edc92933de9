"""export to OCI layouts and archives, and what podman, skopeo and umoci make of them."""
import json
import os
import signal
import subprocess
import time

import harness
import images
import trees
from test_export import ExportCase


class OciCase(ExportCase):
    def work(self, *parts):
        return os.path.join(self.user.work, *parts)

    def skopeo(self, *words):
        result = subprocess.run(["skopeo", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout.decode()

    def inspected(self, reference):
        return json.loads(self.skopeo("inspect", reference))

    def unpacked(self, layout):
        """The tree that umoci unpacks from a layout."""
        with trees.unpacked_by_umoci(layout, harness.world.work) as root:
            return trees.scan(root)

    def layer_of(self, layout):
        """The layer's descriptor and the configuration document."""
        index = images.read_index(layout)
        with open(images.blob_path(layout, index["manifests"][0]["digest"])) as file:
            manifest = json.load(file)
        with open(images.blob_path(layout, manifest["config"]["digest"])) as file:
            return manifest["layers"][0], json.load(file)

    def without_sockets(self, tree):
        return {path: node for path, node in tree.items() if node.kind != "s"}


class TestOci(OciCase):
    def test_umoci_unpacks_what_the_container_holds(self):
        self.container("debian")
        self.as_user("echo text >one; ln one two; ln -s one link; ln link link2; mkfifo fifo; "
                     "setfattr -n user.note -v text one; chmod 4755 one; echo >$1; "
                     "truncate -s 5M hole; truncate -s 30M sparse; printf end >>sparse; "
                     "i=0; while [ $i -lt 15 ]; do mkdir $2; cd $2; i=$((i+1)); done; echo x >f",
                     "n" * 255, "d" * 150, directory=self.data_path("debian"))
        self.export("-o", "oci:layout", "debian")
        expected = self.expected("debian")
        self.assertEqual(trees.differences(expected, self.unpacked(self.work("layout")),
                                           ignored=set()), [])
        self.assertEqual(sorted(os.listdir(self.user.work)), ["layout"])

    def test_every_compression_and_container_gives_the_same_image(self):
        self.container("application", "app")
        expected = self.expected("app")
        for word in ("gzip", "zstd", "none"):
            with self.subTest(word):
                self.export("--compress", word, "-o", "oci:" + word, "app")
                layer, _ = self.layer_of(self.work(word))
                self.assertTrue(layer["mediaType"].endswith(
                    {"gzip": "tar+gzip", "zstd": "tar+zstd", "none": "tar"}[word]))
                self.skopeo("copy", "oci:%s:latest" % self.work(word),
                            "oci:%s:latest" % self.work(word + "-copy"))
                self.enroot("import", "-o", word + ".sqsh", "oci:" + word)
                self.assertEqual(trees.differences(expected, self.image_tree(word + ".sqsh")), [])

    def test_configuration_and_platform_are_the_imported_images(self):
        self.container("application", "app")
        self.export("-o", "oci:layout:v1", "app")
        said = self.inspected("oci:%s:v1" % self.work("layout"))
        self.assertEqual(said["Architecture"], images.ARCHITECTURE)
        self.assertEqual(said["Labels"]["maintainer"], "someone")
        self.assertEqual(len(said["Layers"]), 1)
        _, config = self.layer_of(self.work("layout"))
        self.assertEqual(config["config"]["Entrypoint"], ["/app/tool", "first word", "it's"])
        self.assertEqual(config["config"]["WorkingDir"], "/app/work dir")
        self.assertEqual(len(config["rootfs"]["diff_ids"]), 1)
        self.assertEqual(len(config["history"]), 1)

    def test_a_container_without_a_record_runs_its_rc(self):
        self.container("application", "app")
        os.unlink(self.data_path("app/etc/enroot-image.json"))
        self.export("-o", "oci:layout", "app")
        _, config = self.layer_of(self.work("layout"))
        self.assertEqual(config["config"]["Entrypoint"], ["/bin/sh", "/etc/rc"])
        self.assertIn("MODE=image value", config["config"]["Env"])
        self.assertEqual(config["architecture"], images.ARCHITECTURE)

    def test_archives_are_what_skopeo_reads(self):
        self.container("alpine")
        for arguments in (("-o", "oci-archive:a.tar"), ("--format", "oci-archive", "-o", "b.tar"),
                          ("--format=oci-archive",)):
            self.export(*arguments, "alpine")
        digests = {self.inspected("oci-archive:" + self.work(name))["Digest"]
                   for name in ("a.tar", "b.tar", "alpine.oci.tar")}
        self.assertEqual(len(digests), 1)
        self.assertEqual({trees.content_digest(self.work(name)) for name in os.listdir(
            self.user.work)}, {trees.content_digest(self.work("a.tar"))})
        self.enroot("import", "-o", "a.sqsh", "oci-archive:a.tar")
        self.assertEqual(trees.differences(self.expected("alpine"), self.image_tree("a.sqsh")), [])

    def test_the_same_container_gives_the_same_bytes(self):
        self.container("debian")
        for word in ("gzip", "zstd"):
            for processors in ("1", "4"):
                self.export("--compress", word, "-o", "oci-archive:%s%s" % (word, processors),
                            "debian", env={"ENROOT_MAX_PROCESSORS": processors})
            self.assertEqual(trees.content_digest(self.work(word + "1")),
                             trees.content_digest(self.work(word + "4")))

    def test_SOURCE_DATE_EPOCH_sets_every_time(self):
        self.container("alpine")
        self.export("-o", "oci:layout", "alpine", env={"SOURCE_DATE_EPOCH": "1234567890"})
        _, config = self.layer_of(self.work("layout"))
        self.assertEqual(config["created"], "2009-02-13T23:31:30Z")
        tree = self.unpacked(self.work("layout"))
        self.assertEqual({node.mtime for node in tree.values() if node.kind == "-"}, {1234567890})

    def test_sockets_are_left_out_with_a_warning(self):
        self.container("alpine")
        subprocess.run(["python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('s')"],
                       cwd=self.data_path("alpine"), check=True)
        os.chown(self.data_path("alpine/s"), self.user.uid, self.user.gid)
        result = self.export("-o", "oci:layout", "alpine")
        self.assertIn("/s: a layer holds no sockets", result.err)
        self.assertEqual(trees.differences(self.without_sockets(self.expected("alpine")),
                                           self.unpacked(self.work("layout")), ignored=set()), [])

    def test_a_lazy_container_is_exported_merged(self):
        subprocess.run(["cp", harness.world.library.squashed("debian"), self.work("d.sqsh")],
                       check=True)
        self.enroot("create", "--lazy", "-n", "lazy", "d.sqsh")
        self.enroot("start", "--root", "--rw", "lazy", "sh", "-c",
                    "rm -r /usr/share/perl5; echo x >/etc/new; truncate -s 3M /hole")
        self.export("-o", "oci:layout", "lazy")
        self.export("-o", "merged.sqsh", "lazy")
        self.assertEqual(trees.differences(self.image_tree("merged.sqsh"),
                                           self.unpacked(self.work("layout")), ignored=set()), [])


# podman wants a cgroup2 hierarchy and a store that overlayfs can use.
RUN = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
store="--root $1/root --runroot $1/run --storage-driver overlay --cgroup-manager cgroupfs"
image=$2; shift 2
id=$(podman $store pull --quiet "$image")
exec podman $store run --rm --network none --cgroups disabled --security-opt seccomp=unconfined \
        "$id" "$@"
"""


class TestPodman(OciCase):
    def podman_run(self, image, *command):
        root = harness.world.work + "/podman-run"
        try:
            result = subprocess.run(
                ["unshare", "--mount", "--propagation", "private", "sh", "-euc", RUN, "sh", root,
                 image, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL, timeout=harness.TIMEOUT)
        finally:
            subprocess.run(["rm", "-rf", root], check=True)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout.decode()

    def test_import_export_oci_podman_run_gives_the_same_tree(self):
        listing = ("cd /; find . -xdev -path ./dev -prune -o -path ./proc -prune -o -path ./sys "
                   "-prune -o -path ./run -prune -o -type f -print | grep -v '^./etc/\\(hosts\\|"
                   "hostname\\|resolv.conf\\|mtab\\)$' | LC_ALL=C sort | xargs -d '\\n' md5sum")
        self.container("debian")
        ours = self.enroot("start", "--root", "debian", "sh", "-c", listing.replace(
            " -o -path ./run", " -o -path ./tmp -prune -o -path ./var/lock -prune -o -path ./run"))
        self.export("-o", "oci:layout", "debian")
        theirs = self.podman_run("oci:" + self.work("layout"), "sh", "-c", listing)
        ours, theirs = (set(line for line in out.splitlines() if not line.endswith("/.lock") and
                            not line.endswith("/etc/machine-id") and "/containerenv" not in line and
                            "/etc/passwd" not in line and "/etc/group" not in line)
                        for out in (ours.out, theirs))
        self.assertEqual(sorted(ours ^ theirs), [])
        self.assertGreater(len(ours), 3000)

    def test_podman_runs_the_entry_point_of_an_archive(self):
        self.container("application", "app")
        self.export("-o", "oci-archive:app.tar", "app")
        out = self.podman_run("oci-archive:" + self.work("app.tar"), "word")
        self.assertIn("|first word|it's|word|", out)
        self.assertIn("MODE=image value", out)


class TestOutputs(OciCase):
    def test_a_layout_takes_several_images_each_under_its_tag(self):
        self.container("alpine", "one")
        self.container("application", "two")
        self.export("-o", "oci:layout:one", "one")
        self.export("-o", "oci:layout:two", "two")
        digests = {tag: self.inspected("oci:%s:%s" % (self.work("layout"), tag))["Digest"]
                   for tag in ("one", "two")}
        self.assertNotEqual(digests["one"], digests["two"])
        self.refused("export", "-o", "oci:layout:one", "two", says="tag one")
        self.export("-f", "-o", "oci:layout:one", "two")
        self.assertEqual(self.inspected("oci:%s:one" % self.work("layout"))["Digest"],
                         digests["two"])
        self.assertEqual(len(images.read_index(self.work("layout"))["manifests"]), 2)

    def test_a_layout_of_skopeo_is_added_to(self):
        self.container("alpine")
        self.skopeo("copy", "oci:%s:latest" % harness.world.library.layout("application"),
                    "oci:%s:theirs" % self.work("layout"))
        subprocess.run(["chown", "-R", self.user.name, self.work("layout")], check=True)
        self.export("-o", "oci:layout/:ours", "alpine")
        for tag in ("theirs", "ours"):
            self.inspected("oci:%s:%s" % (self.work("layout"), tag))

    def test_other_directories_and_files_are_left_alone(self):
        self.container("alpine")
        os.mkdir(self.work("full"))
        with open(self.work("full/file"), "w"):
            pass
        with open(self.work("file"), "w") as file:
            file.write("precious")
        subprocess.run(["chown", "-R", self.user.name, self.user.work], check=True)
        self.refused("export", "-o", "oci:full", "alpine", says="full: .*no OCI image layout")
        self.refused("export", "-o", "oci:file", "alpine", says="file: .*not a directory")
        self.refused("export", "-o", "oci-archive:file", "alpine", says="exists already")
        with open(self.work("file")) as file:
            self.assertEqual(file.read(), "precious")
        self.assertEqual(os.listdir(self.work("full")), ["file"])
        self.export("-f", "-o", "oci-archive:file", "alpine")
        self.inspected("oci-archive:" + self.work("file"))

    def test_the_format_names_the_default_output(self):
        self.container("alpine")
        for word in ("squashfs", "oci", "oci-archive"):
            self.export("--format", word, "alpine")
        self.assertEqual(sorted(os.listdir(self.user.work)),
                         ["alpine.oci", "alpine.oci.tar", "alpine.sqsh"])

    def test_mistakes_on_the_command_line(self):
        self.container("alpine")
        for arguments, says in (
                (("--format", "tar"), "squashfs, oci or oci-archive"),
                (("--format", "oci", "-o", "oci-archive:x"), "not that of"),
                (("--compress", "lz4", "-o", "oci:x"), "gzip, zstd or none"),
                (("--compress", "gzip"), "ENROOT_SQUASH_OPTIONS"),
                (("-o", "oci:x:-tag"), "no tag"), (("-o", "oci:x:a,b"), "tag"),
                (("-o", "oci:"), "empty"), (("-o", "oci:nosuch/x"), "nosuch")):
            self.refused("export", *arguments, "alpine", says=says)
        self.assert_nothing_left()


class TestFailures(OciCase):
    def test_a_full_disk_is_named_and_leaves_nothing(self):
        self.container("debian")
        path = self.work("small")
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700,uid=%d,gid=%d" % (
            self.user.uid, self.user.gid), "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path])
        for output in ("oci:small/x", "oci-archive:small/x"):
            result = self.refused("export", "-o", output, "debian", says="no space left")
            self.assertIn("small/x", result.err)
            self.assertEqual(os.listdir(path), [])

    def test_signals_leave_nothing(self):
        self.container("debian")
        for output in ("oci:x", "oci-archive:x"):
            for delay in (0.05, 0.3):
                for number in (signal.SIGKILL, signal.SIGINT):
                    process = self.start("enroot", "export", "-o", output, "debian")
                    time.sleep(delay)
                    process.send_signal(number)
                    process.communicate(timeout=harness.TIMEOUT)
                    if os.path.exists(self.work("x")):  # with its name, it is whole
                        self.inspected(output.replace(":x", ":" + self.work("x")))
                        subprocess.run(["rm", "-r", self.work("x")], check=True)
                    else:
                        self.assertNotEqual(process.returncode, 0)
                    self.assertEqual(os.listdir(self.user.work), [])
