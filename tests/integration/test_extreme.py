"""Import of images of extreme shapes, made on the fly, within bounds of memory.

ENROOT_TEST_FILES is the number of files where there are very many, at least the 100,000 that
are the default; 1,000,000 is what it is about, and takes some minutes.
"""
import json
import os
import subprocess

import images
import trees
from test_sources import SourceCase, docker_archive

FILES = int(os.environ.get("ENROOT_TEST_FILES", "100000"))
SPARSE_SIZE = 20 << 30
END = b"\0" * 1024


def header(name, size=0, kind=b"0", target=b""):
    """A ustar header; tarfile is too slow for a million of them."""
    block = bytearray(512)
    for offset, field in ((0, name), (100, b"0000755" if kind == b"5" else b"0000644"),
                          (108, b"0000000\0000000000"), (124, b"%011o" % size),
                          (136, b"%011o" % images.MTIME), (148, b" " * 8), (156, kind),
                          (157, target), (257, b"ustar\00000")):
        block[offset:offset + len(field)] = field
    block[148:155] = b"%06o\0" % sum(block)
    return bytes(block)


def many(count, name=b"%04d", content=True):
    """Files of their own content in directories of a thousand."""
    parts = []
    for number in range(count):
        directory, file = divmod(number, 1000)
        if file == 0:
            parts.append(header(b"many/%04d/" % directory, kind=b"5"))
        data = b"file %d\n" % number if content else b""
        parts.append(header(b"many/%04d/" % directory + name % file, len(data)))
        parts.append(data.ljust(512, b"\0") if data else b"")
    return b"".join(parts) + END


class TestExtreme(SourceCase):
    def imported_within(self, megabytes, uri, **options):
        """Import and check the most memory that it took; returns the image."""
        output = self.user.work + "/%d.sqsh" % len(os.listdir(self.user.work))
        self.assertLess(self.most_memory("enroot", "import", "-o", output, uri, **options),
                        megabytes)
        return output

    def layout_of(self, *tars):
        return "oci:" + images.layout(self.path("extreme"), tars, program=None)

    def paths(self, image):
        listed = subprocess.run(["unsquashfs", "-l", "-d", "", image], stdout=subprocess.PIPE,
                                check=True).stdout
        return [line for line in listed.split(b"\n") if line.startswith(b"/many/")]

    def test_very_many_small_files(self):
        image = self.imported_within(100 + FILES // 2000, self.layout_of(many(FILES)))
        self.assertEqual(len(self.paths(image)), FILES + FILES // 1000)

    def test_a_hundred_thousand_whiteouts(self):
        uri = self.layout_of(many(FILES), many(100000, b".wh.%04d", content=False))
        paths = self.paths(self.imported_within(100 + FILES // 2000, uri))
        self.assertEqual(len(paths), FILES - 100000 + FILES // 1000)

    def test_127_layers(self):
        tars = [images.Tar().directory("etc").file("own-%d" % number, b"%d" % number)
                .file("same", b"%d" % number).whiteout("own-%d" % (number - 2)).bytes()
                for number in range(127)]
        layout = images.layout(self.path("extreme"), tars)
        image = self.imported_within(100, "oci:" + layout)
        self.assertEqual(trees.differences(self.tree(image), self.expected(layout)), [])
        self.skopeo(layout, "docker-archive:" + self.path("saved.tar"))
        with open(self.path("saved.tar"), "rb") as file:
            again = self.imported_within(100, "docker-archive:-", stdin=file)
        self.assertEqual(trees.differences(self.tree(image), self.tree(again)), [])

    def test_a_sparse_file_of_20_gigabytes(self):
        with open(self.path("sparse"), "wb") as file:
            for offset, data in ((10 << 30, b"middle"), (SPARSE_SIZE - 3, b"end")):
                file.seek(offset)
                file.write(data)
        tar = subprocess.run(["tar", "-C", self.place, "--sparse", "--format=posix", "-c",
                              "sparse"], stdout=subprocess.PIPE, check=True).stdout
        image = self.imported_within(100, self.layout_of(tar))
        self.assertLess(os.path.getsize(image), 2 << 20)
        with trees.mounted(image, self.place) as root, open(root + "/sparse", "rb") as file:
            self.assertEqual(os.fstat(file.fileno()).st_size, SPARSE_SIZE)
            for offset, data in ((0, b"\0" * 5), ((10 << 30) - 1, b"\0middle\0"),
                                 (SPARSE_SIZE - 4, b"\0end")):
                file.seek(offset)
                self.assertEqual(file.read(len(data)), data)

    def test_a_path_of_4000_bytes(self):
        path = ("c" * 199 + "/") * 19 + "f" * 199
        self.assertEqual(len(path), 3999)
        layout = images.layout(self.path("extreme"), [
            images.Tar().file(path, b"deep").hardlink("link", path),
            images.Tar().file(path.rpartition("/")[0] + "/other", b"beside")])
        tree = self.tree(self.imported_within(100, "oci:" + layout))
        deep = tree[path.encode()]
        self.assertEqual((deep.size, deep.names), (4, {path.encode(), b"link"}))
        self.assertIn(path.rpartition("/")[0].encode() + b"/other", tree)

    def test_empty_layers(self):
        tars = [END] * 500 + [images.Tar().file("file").bytes()] + [b""] * 500
        tree = self.tree(self.imported_within(100, self.layout_of(*tars)))
        self.assertIn(b"file", tree)

    def test_a_config_without_rootfs(self):
        tar = images.Tar().file("file").bytes()
        layout = images.Layout(self.path("bare"))
        layer, _ = layout.layer(tar)
        layout.finish(layout.blob(json.dumps({
            "schemaVersion": 2, "config": layout.blob(b'{"os":"linux"}', images.OCI_CONFIG),
            "layers": [layer]}).encode(), images.OCI_MANIFEST))
        self.assertIn(b"file", self.tree(self.imported("oci:" + layout.path)))
        # There, it has the digests of the layers.
        path = docker_archive(self.path("bare.tar"), [("c.json", b"{}"), ("l.tar", tar)],
                              [{"Config": "c.json", "Layers": ["l.tar"]}])
        self.refuses("docker-archive:" + path, "1 layers.*lists 0")

    def test_very_many_names_of_one_file(self):
        tar = b"".join([header(b"file", 1), b"x".ljust(512, b"\0"), header(b"many/", kind=b"5")] + [
            header(b"many/%06d" % number, kind=b"1", target=b"file") for number in range(FILES)])
        image = self.imported_within(100 + FILES // 2000, self.layout_of(tar + END))
        self.assertEqual(len(self.paths(image)), FILES)
