"""Import from files: OCI layouts and archives, archives of docker save old and new, root
file systems as tar, image files of web servers; as skopeo, umoci, buildah and podman make them.
"""
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile

import harness
import images
import servers
import trees
from images import Tar

NAME = "example.org/tests/several:1.0"
CONFIG = {"Env": ["GREETING=hello"], "Cmd": ["/bin/true"], "WorkingDir": "/d"}


def layers():
    """Layers that change each other, one that is empty, and one that is there twice."""
    lower = (Tar().directory("etc").directory("d").file("d/one", b"1").file("d/two", b"2")
             .directory("d/sub").file("d/sub/deep", b"deep").directory("o").file("o/hidden", b"h")
             .symlink("link", "d/one").hardlink("d/same", "d/two"))
    change = (Tar().directory("d").whiteout("d/one").file("d/two", b"new").directory("o")
              .opaque("o").file("o/shown", b"s", mode=0o4755, uid=7))
    again = Tar().directory("e").file("e/file", b"e" * 100000).bytes()
    return [lower.bytes(), again, change.bytes(), Tar().bytes(), again]


def docker_archive(path, entries, manifest=None):
    """Write a tar of (name, content) or (name, symlink target as str), manifest.json last."""
    with tarfile.open(path, "w") as tar:
        for name, content in entries + (
                [("manifest.json", json.dumps(manifest).encode())] if manifest else []):
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                content = b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def config_of(tars, **more):
    return json.dumps({"architecture": images.ARCHITECTURE, "os": "linux", "config": CONFIG,
                       "rootfs": {"type": "layers", "diff_ids": [images.digest(t) for t in tars]},
                       **more}).encode()


class SourceCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.place = tempfile.mkdtemp(dir=harness.world.work)
        os.chmod(self.place, 0o755)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.place], check=True)

    def path(self, name):
        return self.place + "/" + name

    def imported(self, uri, *options, **more):
        output = self.user.work + "/%d.sqsh" % len(os.listdir(self.user.work))
        self.enroot("import", "-o", output, *options, uri, **more)
        return output

    def tree(self, image):
        with trees.mounted(image, self.place) as root:
            return trees.scan(root)

    def record(self, image):
        return json.loads(subprocess.run(["unsquashfs", "-cat", image, "etc/enroot-image.json"],
                                         stdout=subprocess.PIPE, check=True).stdout)

    def layout(self, name="layout"):
        return images.layout(self.path(name), layers(), CONFIG)

    def expected(self, layout):
        with trees.unpacked_by_umoci(layout, self.place) as root:
            return trees.scan(root)

    def assert_tree(self, uri, expected, **more):
        image = self.imported(uri, **more)
        self.assertEqual(trees.differences(self.tree(image), expected), [], uri)
        return self.record(image)

    def refuses(self, uri, says, **more):
        result = self.refused("import", "-o", "refused.sqsh", uri, says=says, **more)
        self.assertFalse(os.path.exists(self.user.work + "/refused.sqsh"), result)
        return result

    def skopeo(self, layout, target):
        subprocess.run(["skopeo", "copy", "--quiet", "oci:%s:latest" % layout, target], check=True)


class TestLayouts(SourceCase):
    def test_a_layout_gives_the_tree_of_umoci(self):
        layout = self.layout()
        record = self.assert_tree("oci:%s:latest" % layout, self.expected(layout))
        self.assertEqual(record["digest"], images.read_index(layout)["manifests"][0]["digest"])
        self.assertEqual(record["provenance"], "oci:%s:latest" % layout)
        self.assertEqual(len(record["layers"]), 5)
        self.assertEqual(record["config"]["config"], CONFIG)

    def test_an_archive_gives_the_same_image_as_its_layout(self):
        layout = self.layout()
        self.skopeo(layout, "oci-archive:%s:tag" % self.path("a.tar"))
        record = self.assert_tree("oci-archive:" + self.path("a.tar"), self.expected(layout))
        self.assertEqual(record["digest"], images.read_index(layout)["manifests"][0]["digest"])
        self.assertTrue(record["provenance"].endswith(":tag"), record)

    def test_default_names_are_those_of_the_files(self):
        subprocess.run(["cp", "-r", self.layout(), self.user.work + "/image"], check=True)
        self.enroot("import", "oci:image")
        self.enroot("import", "oci:image:latest")
        self.assertTrue(os.path.exists(self.user.work + "/image.sqsh"))
        self.assertTrue(os.path.exists(self.user.work + "/image+latest.sqsh"))

    def test_layers_of_every_compression_and_umoci_images(self):
        tars = layers()
        expected = self.expected(self.layout())
        image = images.Layout(self.path("mixed"))
        programs = ("zstd", "xz", "bzip2", None, "gzip")
        image.finish(image.manifest([image.layer(tar, program)
                                     for tar, program in zip(tars, programs)], CONFIG))
        self.assert_tree("oci:" + image.path, expected)
        umoci = self.path("umoci")
        for arguments in (["init", "--layout", umoci], ["new", "--image", umoci + ":made"]):
            subprocess.run(["umoci", *arguments], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["chmod", "-R", "a+rX", umoci], check=True)
        self.assertEqual(self.record(self.imported("oci:" + umoci))["layers"], [])

    def test_an_index_inside_an_index_and_the_platform_of_arch(self):
        image = images.Layout(self.path("several"))
        entries = [{**image.manifest([image.layer(Tar().file(arch))], architecture=arch),
                    "platform": {"os": "linux", "architecture": arch}}
                   for arch in ("arm64", "amd64")]

        def index(manifests):
            return image.blob(json.dumps({"schemaVersion": 2, "mediaType": images.OCI_INDEX,
                                          "manifests": manifests}).encode(), images.OCI_INDEX)

        image.finish(index([index(entries)]))
        for arch in ("arm64", "amd64"):
            tree = self.tree(self.imported("oci:" + image.path, "--arch", arch))
            self.assertIn(arch.encode(), tree)
        self.refused("import", "--arch", "s390x", "-o", "x.sqsh", "oci:" + image.path,
                     says="s390x.*arm64.*amd64")

    def test_an_image_is_chosen_by_its_name(self):
        image = images.Layout(self.path("several"))
        entries = [{**image.manifest([image.layer(Tar().file(tag))]),
                    "annotations": {"org.opencontainers.image.ref.name": tag}}
                   for tag in ("one", "two")]
        with open(image.path + "/index.json", "w") as file:
            json.dump({"schemaVersion": 2, "manifests": entries}, file)
        self.assertIn(b"two", self.tree(self.imported("oci:%s:two" % image.path)))
        self.refuses("oci:" + image.path, "several images.*one, two")
        self.refuses("oci:%s:three" % image.path, "three.*one, two")

    def test_an_image_without_layers_and_one_without_rootfs(self):
        image = images.Layout(self.path("none"))
        image.finish(image.manifest([]))
        self.assertEqual(self.tree(self.imported("oci:" + image.path)).keys() - trees.ADDED,
                         {b"", b"etc"})
        bare = images.Layout(self.path("bare"))
        layer, _ = bare.layer(Tar().file("file"))
        bare.finish(bare.blob(json.dumps({
            "schemaVersion": 2, "config": bare.blob(b"{}", images.OCI_CONFIG),
            "layers": [layer]}).encode(), images.OCI_MANIFEST))
        self.assertIn(b"file", self.tree(self.imported("oci:" + bare.path)))


    def test_load_and_ensure_take_the_same_sources(self):
        layout = self.layout()
        self.skopeo(layout, "docker-archive:%s:%s" % (self.path("saved.tar"), NAME))
        with open(self.path("saved.tar"), "rb") as file:
            self.enroot("load", "--name", "piped", "docker-archive:-", stdin=file)
        self.enroot("load", "oci:" + layout)
        for name in ("piped", "layout"):
            with open(self.data_path(name, "d/two")) as file:
                self.assertEqual(file.read(), "new")
        self.enroot("import", "--ensure", "-o", "x.sqsh", "oci:" + layout)
        before = os.stat(self.user.work + "/x.sqsh")
        again = self.enroot("import", "--ensure", "-o", "x.sqsh", "oci:" + layout)
        self.assertIn("up to date", again.err)
        self.assertEqual(os.stat(self.user.work + "/x.sqsh").st_ino, before.st_ino)
        self.refused("import", "--ensure", "https://registry.test/x.sqsh", says="digest")


class TestDamagedLayouts(SourceCase):
    def blobs(self, layout):
        """Digests of the manifest, the configuration and the top layer."""
        manifest = images.read_index(layout)["manifests"][0]["digest"]
        with open(images.blob_path(layout, manifest)) as file:
            document = json.load(file)
        return manifest, document["config"]["digest"], document["layers"][-1]["digest"]

    def test_every_blob_must_have_its_digest_and_size(self):
        for number in range(3):
            with self.subTest(number):
                layout = self.layout("same-size-%d" % number)
                name = self.blobs(layout)[number]
                with open(images.blob_path(layout, name), "r+b") as file:
                    data = file.read()
                    file.seek(-5, os.SEEK_END)
                    file.write(bytes(byte ^ 1 for byte in data[-5:]))
                self.refuses("oci:" + layout, "content is|damaged|checksum|crc")
                with open(images.blob_path(layout, name), "ab") as file:
                    file.write(b"more")
                self.refuses("oci:" + layout, "content is|bytes instead of")
                os.unlink(images.blob_path(layout, name))
                self.refuses("oci:" + layout, "no such file")

    def test_names_and_links_lead_to_nothing_outside(self):
        layout = self.layout()
        layer = images.blob_path(layout, self.blobs(layout)[2])
        os.rename(layer, self.path("elsewhere"))
        os.symlink(self.path("elsewhere"), layer)
        self.refuses("oci:" + layout, "no such file")
        document = images.read_index(layout)
        document["manifests"][0]["digest"] = "sha256:" + "../" * 21 + "x"
        with open(layout + "/index.json", "w") as file:
            json.dump(document, file)
        self.refuses("oci:" + layout, "digest .* is not sha256")

    def test_what_is_no_layout_is_said(self):
        os.mkdir(self.path("empty"))
        self.refuses("oci:" + self.path("empty"), "not an OCI image layout")
        self.refuses("oci:" + self.path("missing"), "no such file")
        docker_archive(self.path("file.tar"), [("a", b"b")])
        self.refuses("oci:" + self.path("file.tar"), "oci-archive:FILE")
        self.refuses("oci-archive:" + self.path("file.tar"), "not an OCI image layout")


class TestDockerArchives(SourceCase):
    def saved(self, name="saved.tar"):
        """The layered image as skopeo saves it, and the tree that it has."""
        layout = self.layout()
        self.skopeo(layout, "docker-archive:%s:%s" % (self.path(name), NAME))
        return self.path(name), self.expected(layout)

    def test_an_archive_of_skopeo_with_its_record(self):
        path, expected = self.saved()
        record = self.assert_tree("docker-archive:" + path, expected)
        with tarfile.open(path) as tar:
            config = json.load(tar.extractfile("manifest.json"))[0]["Config"]
        self.assertEqual(record["digest"], "sha256:" + config[:64])
        self.assertEqual(record["provenance"], "docker-archive:%s:%s" % (path, NAME))
        self.assertEqual([layer["digest"] for layer in record["layers"]],
                         [images.digest(tar) for tar in layers()])
        self.assert_tree("docker-archive:%s:%s" % (path, NAME), expected)
        self.refuses("docker-archive:%s:other" % path, "no image called other.*several:1.0")

    def test_standard_input_and_compressed_archives(self):
        path, expected = self.saved()
        with open(path, "rb") as file:
            self.assert_tree("docker-archive:-", expected, stdin=file)
        with open(path, "rb") as file:
            data = file.read()
        self.assert_tree("docker-archive:-:" + NAME, expected, input=data)
        self.assert_tree("docker-archive:-", expected, input=images.compressed(data, "zstd"))
        with open(self.path("saved.tar.gz"), "wb") as file:
            file.write(images.compressed(data, "gzip"))
        self.assert_tree("docker-archive:" + self.path("saved.tar.gz"), expected)
        self.refused("import", "docker-archive:-", says="--output", input=data)

    def test_several_images_in_one_archive(self):
        one, two = Tar().file("one").bytes(), Tar().file("two").bytes()
        path = docker_archive(self.path("two.tar"), [
            ("1.json", config_of([one])), ("2.json", config_of([two])),
            ("1.tar", one), ("2.tar", two)], [
            {"Config": "1.json", "RepoTags": ["one:1", "uno:latest"], "Layers": ["1.tar"]},
            {"Config": "2.json", "RepoTags": ["localhost/two:2"], "Layers": ["2.tar"]}])
        self.assertIn(b"one", self.tree(self.imported("docker-archive:%s:uno" % path)))
        self.assertIn(b"two", self.tree(self.imported("docker-archive:%s:localhost/two:2" % path)))
        self.refuses("docker-archive:" + path, "several images.*one:1.*localhost/two:2")

    def test_the_layout_of_docker_before_1_10(self):
        tars = layers()
        expected = self.expected(self.layout())
        ids = ["%064x" % number for number in range(1, 6)]
        entries = []
        for number, (identity, tar) in enumerate(zip(ids, tars)):
            document = {"id": identity, "os": "linux", "config": CONFIG,
                        "container_config": {"Cmd": ["ignored"]}}
            if number:
                document["parent"] = ids[number - 1]
            entries += [(identity + "/VERSION", b"1.0"),
                        (identity + "/json", json.dumps(document).encode()),
                        (identity + "/layer.tar", tar)]
        # What is there twice may be a link to the other one.
        entries[-1] = (ids[4] + "/layer.tar", "../%s/layer.tar" % ids[1])
        names = json.dumps({"tests/several": {"1.0": ids[4]}}).encode()
        path = docker_archive(self.path("old.tar"), entries + [("repositories", names)])
        record = self.assert_tree("docker-archive:" + path, expected)
        self.assertEqual(record["provenance"], "docker-archive:%s:tests/several:1.0" % path)
        self.assertEqual([layer["digest"] for layer in record["layers"]],
                         [images.digest(tar) for tar in tars])
        path = docker_archive(self.path("nameless.tar"), entries)
        self.assert_tree("docker-archive:%s:%s" % (path, ids[4]), expected)
        self.refuses("docker-archive:" + path, "not an archive of .docker save")
        entries[1] = (entries[1][0], json.dumps({"parent": ids[4]}).encode())
        path = docker_archive(self.path("loop.tar"), entries + [("repositories", names)])
        self.refuses("docker-archive:" + path, "more than 1024 layers")

    def test_a_wrong_digest_or_a_config_without_rootfs_is_refused(self):
        tar = Tar().file("file").bytes()
        good = config_of([tar])
        manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["l.tar"]}]
        hexadecimal = images.digest(good)[7:]
        cases = (
            ([("c.json", good), ("l.tar", tar + b"\0" * 512)], manifest, "content is sha256"),
            ([("c.json", b"{}"), ("l.tar", tar)], manifest, "1 layers.*lists 0"),
            ([("c.json", config_of([tar, tar])), ("l.tar", tar)], manifest, "1 layers.*lists 2"),
            ([("c.json", good)], manifest, "l.tar is not in the archive"),
            ([("l.tar", tar)], manifest, "c.json is not in the archive"),
            ([("c.json", good), ("l.tar", "/etc/passwd")], manifest, "etc/passwd is not in"),
            ([("c.json", good), ("l.tar", tar)], [{**manifest[0], "Layers": ["../../etc/passwd"]}],
             "etc/passwd is not in the archive"),
            ([(hexadecimal + ".json", good + b" "), ("l.tar", tar)],
             [{**manifest[0], "Config": hexadecimal + ".json"}], "content is sha256"),
            ([("a", b"")], None, "not an archive of .docker save"),
            ([("index.json", b"{}")], None, "oci-archive:FILE"),
        )
        for number, (entries, document, says) in enumerate(cases):
            with self.subTest(says):
                path = docker_archive(self.path("%d.tar" % number), entries, document)
                self.refuses("docker-archive:" + path, says)

    def test_an_archive_cut_anywhere_is_refused(self):
        path, _ = self.saved()
        with open(path, "rb") as file:
            data = file.read()
        for length in (0, 100, 512, 600, len(data) // 2, len(data) - 11000):
            with self.subTest(length), open(self.path("cut.tar"), "wb") as file:
                file.write(data[:length])
                file.flush()
                self.refuses("docker-archive:" + self.path("cut.tar"),
                             "too early|empty|not a tar|not in the archive|not an archive")
        self.refuses("docker-archive:-", "too early", input=data[:len(data) // 2])
        self.refuses("docker-archive:-", "too early",
                     input=images.compressed(data, "gzip")[:-2000])

    def test_no_room_for_standard_input_names_the_variable(self):
        small = self.path("small")
        os.mkdir(small)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=1777", "tmpfs", small],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        path, expected = self.saved()
        with open(path, "rb") as file:
            data = file.read()
        self.refuses("docker-archive:-", "ENROOT_TEMP_PATH: %s: no space left.*set" % small,
                     input=data, env={"ENROOT_TEMP_PATH": small})
        self.assert_tree("docker-archive:" + path, expected, env={"ENROOT_TEMP_PATH": small})

    def test_buildah_and_podman_archives_give_the_same_tree(self):
        layout = self.layout()
        expected = self.expected(layout)
        script = """
            mount -t cgroup2 cgroup2 /sys/fs/cgroup
            cd $1  # the image is called after the path, which must be fit for that
            store="--root $1/root --runroot $1/run --storage-driver overlay"
            buildah $store pull --quiet oci:layout:latest >$1/id
            read -r id <$1/id
            buildah $store tag $id example.org/tests/several:1.0
            buildah $store push --quiet $id oci:$1/b-layout:latest
            buildah $store push --quiet $id oci-archive:$1/b-oci.tar:latest
            buildah $store push --quiet $id docker-archive:$1/b-docker.tar:several:1.0
            podman $store save --quiet --format oci-archive -o $1/p-oci.tar $id
            podman $store save --quiet --format docker-archive -o $1/p-docker.tar $id
        """
        subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", script,
                        "sh", self.place], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["chmod", "-R", "a+rX", self.place], check=True)
        for uri in ("oci:%s/b-layout", "oci-archive:%s/b-oci.tar", "docker-archive:%s/b-docker.tar",
                    "oci-archive:%s/p-oci.tar", "docker-archive:%s/p-docker.tar"):
            with self.subTest(uri):
                self.assert_tree(uri % self.place, expected)


class TestRootFileSystems(SourceCase):
    def test_a_tar_of_every_compression_becomes_an_image_that_runs(self):
        tar = images.busybox_root().bytes()
        first = None
        for program in (None, "gzip", "zstd", "xz", "bzip2"):
            data = images.compressed(tar, program)
            with open(self.path("root.tar"), "wb") as file:
                file.write(data)
            image = self.imported("tar:" + self.path("root.tar"))
            record = self.record(image)
            self.assertEqual(record["digest"], images.digest(data))
            self.assertEqual(record["layers"][0]["digest"], images.digest(data))
            first = first or self.tree(image)
            self.assertEqual(trees.differences(self.tree(image), first), [], program)
        self.assertEqual(self.enroot("start", image, "/bin/echo", "runs").out, "runs\n")

    def test_the_tree_of_gnu_tar_from_standard_input(self):
        with trees.unpacked_by_umoci(self.layout(), self.place) as root:
            expected = trees.scan(root)
            data = subprocess.run(["tar", "-C", root, "-c", "."], check=True,
                                  stdout=subprocess.PIPE).stdout
        record = self.assert_tree("tar:-", expected, input=data)
        self.assertEqual(record["provenance"], "tar:-")
        self.assertEqual(record["digest"], images.digest(data))

    def test_what_is_no_tar_is_refused(self):
        with open(self.path("text"), "w") as file:
            file.write("no archive\n" * 1000)
        self.refuses("tar:" + self.path("text"), "not a tar archive")
        self.refuses("tar:" + self.path("missing"), "no such file")
        self.refuses("tar:" + self.place, "is a directory")


class FileServer(servers.ThreadedServer):
    """A web server of one file. cuts are lengths after which responses break off."""

    def __init__(self, content, ca=None, cuts=(), etags=(), sized=True):
        self.cuts, self.etags, self.ranges = list(cuts), list(etags), []
        outer = self

        class FileHandler(servers.Handler):
            def do_GET(self):
                outer.give(self, content, sized)

        super().__init__("127.0.0.1:0", FileHandler, ca)
        self.url = "%s://registry.test:%s/images/file.sqsh" % (
            "https" if ca else "http", self.address.rpartition(":")[2])

    def give(self, handler, content, sized):
        asked = handler.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked[len("bytes="):-1]) if asked else 0
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", "bytes %d-%d/%d" % (
                start, len(content) - 1, len(content)))
        if sized:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("ETag", self.etags.pop(0) if self.etags else '"same"')
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(content[start:self.cuts.pop(0) if self.cuts else None])
        handler.close_connection = True


class TestImageFiles(SourceCase):
    def setUp(self):
        super().setUp()
        with open(harness.world.library.squashed("alpine"), "rb") as file:
            self.content = file.read()

    def serve(self, *arguments, **options):
        server = FileServer(*arguments, **options)
        self.addCleanup(server.stop)
        return server

    def test_a_download_is_the_file_and_starts(self):
        server = self.serve(self.content, ca=harness.world.ca)
        self.enroot("import", server.url)
        with open(self.user.work + "/file.sqsh", "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).digest(),
                             hashlib.sha256(self.content).digest())
        self.assertEqual(self.enroot("start", "file.sqsh", "/bin/echo", "runs").out, "runs\n")
        self.refused("import", server.url, says="already exists")

    def test_a_broken_download_goes_on_where_it_broke(self):
        half = len(self.content) // 2
        server = self.serve(self.content, ca=harness.world.ca, cuts=[1000, half])
        self.enroot("import", server.url)
        self.assertEqual(server.ranges, [None, "bytes=1000-", "bytes=%d-" % half])
        with open(self.user.work + "/file.sqsh", "rb") as file:
            self.assertEqual(file.read(), self.content)

    def test_a_file_that_changes_meanwhile_is_refused(self):
        server = self.serve(self.content, ca=harness.world.ca, cuts=[1000],
                            etags=['"one"', '"two"'])
        self.refuses(server.url, "changed on the server")

    def test_what_is_no_whole_image_is_refused(self):
        cut = self.serve(self.content[:-5000], ca=harness.world.ca, sized=False)
        self.refuses(cut.url, "shorter|damaged|ends")
        self.refuses(self.serve(b"<html>" * 100, ca=harness.world.ca).url, "squashfs")

    def test_plain_http_must_be_allowed(self):
        server = self.serve(self.content)
        self.refuses(server.url, "ENROOT_ALLOW_HTTP")
        self.enroot("import", server.url, env={"ENROOT_ALLOW_HTTP": "yes"})
        self.refuses("https://user:secret@registry.test/x.sqsh", "user name")
