"""Layers become one tree: crafted images, compared path by path with what umoci and
podman make of them where these follow the image specification, and with the rule
of ARCHITECTURE.md where they differ from each other."""
import gzip
import os
import subprocess
import tempfile

import harness
import images
import trees

TAR = images.Tar


class LayerCase(harness.Case):
    """Each check pushes an image, imports it, and looks at the image's tree."""

    def setUp(self):
        super().setUp()
        self.work = tempfile.mkdtemp(dir=harness.world.work)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.work])

    def image_of(self, layout):
        """Import a layout; returns the path of the squashfs image."""
        address = harness.world.servers.plain.host
        images.push(layout, address, "tests/layers")
        output = self.user.work + "/%d.sqsh" % len(os.listdir(self.user.work))
        self.enroot("import", "-o", output, "docker://%s#tests/layers" % address,
                    env={"ENROOT_ALLOW_HTTP": "yes"})
        return output

    def tree_of(self, layout):
        with trees.mounted(self.image_of(layout), self.work) as root:
            return trees.scan(root)

    def merged(self, *tars):
        return self.tree_of(images.layout(tempfile.mkdtemp(dir=self.work) + "/layout", tars))

    def assert_like_peers(self, *tars, umoci=True, podman=True):
        """Compare with both peers; returns our tree."""
        layout = images.layout(tempfile.mkdtemp(dir=self.work) + "/layout", tars)
        ours = self.tree_of(layout)
        if umoci:
            with trees.unpacked_by_umoci(layout, self.work) as root:
                self.assertEqual(trees.differences(ours, trees.scan(root)), [], "with umoci")
        if podman:
            reference = harness.world.servers.plain.host + "/tests/layers:latest"
            with trees.mounted_by_podman(reference, harness.world.work) as root:
                theirs = trees.scan(root)
            # podman gives every root directory mode 0555, whatever the layers say of it.
            theirs[b""] = theirs[b""]._replace(mode=ours[b""].mode)
            self.assertEqual(trees.differences(ours, theirs), [], "with podman")
        return ours

    def assert_paths(self, tree, *paths):
        """The tree holds these paths and those of their parents, and no others."""
        wanted = set(trees.ADDED) | {b""}
        for path in map(os.fsencode, (*paths, b"etc/rc")):
            while path:
                wanted.add(path)
                path = path.rpartition(b"/")[0]
        self.assertEqual(sorted(tree.keys() - wanted), [], "unexpected")
        self.assertEqual(sorted(wanted - tree.keys() - trees.ADDED), [], "missing")


def base():
    """A lower layer with one of everything; /etc is there, as in every real image."""
    return (TAR().directory(".").directory("etc").directory("d").file("d/one", b"1")
            .file("d/two", b"2").directory("d/sub").file("d/sub/deep", b"deep")
            .file("file", b"content").symlink("link", "d").symlink("dangling", "nowhere")
            .directory("empty"))


class TestWhiteouts(LayerCase):
    def test_a_whiteout_hides_files_directories_and_links(self):
        tree = self.assert_like_peers(base(), TAR().whiteout("d/one").whiteout("d/sub")
                                      .whiteout("link").whiteout("dangling").whiteout("empty"))
        self.assert_paths(tree, "d/two", "file", "etc")

    def test_a_whiteout_of_nothing_is_ignored(self):
        tree = self.assert_like_peers(base(), TAR().whiteout("nothing").whiteout("d/nothing"))
        self.assertIn(b"d/one", tree)
        self.assertFalse([path for path in tree if b".wh." in path])

    def test_what_is_hidden_can_come_back_in_a_higher_layer(self):
        tree = self.assert_like_peers(base(), TAR().whiteout("d"),
                                      TAR().directory("d", mode=0o700).file("d/new", b"new"))
        self.assertEqual([path for path in sorted(tree) if path.startswith(b"d/")], [b"d/new"])

    def test_an_opaque_directory_hides_what_lies_below(self):
        tree = self.assert_like_peers(
            base(), TAR().directory("d", mode=0o711).opaque("d").file("d/new", b"new"))
        self.assertEqual([path for path in sorted(tree) if path.startswith(b"d/")], [b"d/new"])
        self.assertEqual(tree[b"d"].mode, 0o711)

    def test_an_opaque_directory_keeps_its_own_entries_in_any_order(self):
        # The specification lets the marker come anywhere; podman wants it first.
        tree = self.merged(base(), TAR().directory("d").file("d/before", b"1").opaque("d")
                           .file("d/after", b"2"))
        self.assertEqual([path for path in sorted(tree) if path.startswith(b"d/")],
                         [b"d/after", b"d/before"])

    def test_an_opaque_root_starts_afresh(self):
        tree = self.merged(base(), TAR().file(".wh..wh..opq").file("only", b""))
        self.assert_paths(tree, "only")

    def test_an_entry_wins_over_a_whiteout_of_its_own_layer(self):
        # Whiteouts speak of lower layers only; podman refuses such a layer.
        for tar in (TAR().whiteout("file").file("file", b"new"),
                    TAR().file("file", b"new").whiteout("file")):
            tree = self.merged(base(), tar)
            self.assertEqual(tree[b"file"].size, 3)

    def test_a_whiteout_below_a_file_of_its_own_layer_changes_nothing(self):
        # umoci writes such a layer when a file takes the place of a directory.
        for hide in (lambda tar: tar.whiteout("d/one"), lambda tar: tar.opaque("d")):
            for tar in (hide(TAR().file("d", b"now a file")), hide(TAR()).file("d", b"now a file")):
                tree = self.assert_like_peers(base(), tar, podman=False)
                self.assertEqual((tree[b"d"].kind, tree[b"d"].size), ("-", 10))

    def test_a_whiteout_alone_makes_no_directory(self):
        # The rule is umoci's; what podman makes of such a layer is not compared.
        tree = self.assert_like_peers(base(), TAR().whiteout("new/sub/name").opaque("other")
                                      .whiteout("file/name"), podman=False)
        self.assertEqual([path for path in tree if path.startswith((b"new", b"other"))], [])
        self.assertEqual((tree[b"file"].kind, tree[b"file"].size), ("-", 7))

    def test_a_file_becomes_a_directory_and_the_reverse(self):
        tree = self.assert_like_peers(
            base(), TAR().directory("file").file("file/inside", b"i").file("d", b"a file now"))
        self.assertEqual((tree[b"file"].kind, tree[b"d"].kind), ("d", "-"))
        self.assertNotIn(b"d/one", tree)

    def test_links_and_directories_replace_each_other(self):
        tree = self.assert_like_peers(
            base(), TAR().directory("link").file("link/inside", b"i").symlink("d", "link"))
        self.assertEqual((tree[b"link"].kind, tree[b"d"].kind), ("d", "l"))
        self.assertNotIn(b"d/one", tree)

    def test_a_directory_replaced_twice_shows_nothing_of_the_first(self):
        tree = self.assert_like_peers(base(), TAR().file("d", b""),
                                      TAR().directory("d").file("d/third", b"3"))
        self.assertEqual([path for path in sorted(tree) if path.startswith(b"d/")], [b"d/third"])

    def test_settings_of_a_directory_come_from_the_highest_layer_that_has_it(self):
        tree = self.assert_like_peers(base(), TAR().directory("d", mode=0o1770, uid=5, gid=6)
                                      .file("d/new", b""))
        self.assertEqual((tree[b"d"].mode, tree[b"d"].uid, tree[b"d"].gid), (0o1770, 5, 6))
        self.assertIn(b"d/one", tree)


class TestLinks(LayerCase):
    def test_hard_links_within_a_layer_share_one_file(self):
        tree = self.assert_like_peers(base(), TAR().file("a", b"shared").hardlink("b", "a")
                                      .directory("x").hardlink("x/c", "b"))
        self.assertEqual(tree[b"a"].names, {b"a", b"b", b"x/c"})

    def test_a_hard_link_into_a_lower_layer_shares_its_file(self):
        # podman extracts each layer for itself and refuses this one.
        tree = self.assert_like_peers(base(), TAR().hardlink("again", "d/one"), podman=False)
        self.assertEqual(tree[b"again"].names, {b"again", b"d/one"})

    def test_a_hard_link_survives_its_target(self):
        tree = self.merged(TAR().directory("etc").file("a", b"kept").hardlink("b", "a"),
                           TAR().whiteout("a"))
        self.assertEqual((tree[b"b"].size, tree[b"b"].names), (4, None))
        self.assertNotIn(b"a", tree)

    def test_a_replaced_target_leaves_its_other_names_alone(self):
        tree = self.assert_like_peers(
            TAR().directory("etc").file("a", b"old").hardlink("b", "a"), TAR().file("a", b"newer"))
        self.assertEqual((tree[b"a"].size, tree[b"b"].size), (5, 3))

    def test_a_hard_link_to_a_hard_link_over_three_layers(self):
        tree = self.assert_like_peers(
            TAR().directory("etc").file("a", b"x"), TAR().hardlink("b", "a"),
            TAR().hardlink("c", "b").whiteout("a"), podman=False)
        self.assertEqual(tree[b"b"].names, {b"b", b"c"})

    def test_a_hard_link_to_a_symbolic_link_links_the_link(self):
        tree = self.merged(TAR().directory("etc").symlink("s", "/etc/passwd").hardlink("h", "s"))
        self.assertEqual((tree[b"h"].kind, tree[b"h"].target), ("l", b"/etc/passwd"))

    def test_a_hard_link_to_nothing_is_refused_with_both_names(self):
        layout = images.layout(self.work + "/layout", [TAR().hardlink("name", "no/target")])
        address = harness.world.servers.plain.host
        images.push(layout, address, "tests/layers")
        result = self.refused("import", "-o", "x.sqsh", "docker://%s#tests/layers" % address,
                              env={"ENROOT_ALLOW_HTTP": "yes"}, says="no/target")
        self.assertIn("name", result.err)
        self.assert_nothing_left()

    def test_an_entry_below_a_link_of_a_lower_layer_makes_a_directory(self):
        # A link is never followed. overlayfs, and so podman, does the same; umoci
        # resolves the link inside the root.
        tree = self.assert_like_peers(
            base(), TAR().file("link/new", b"n"), umoci=False)
        self.assertEqual(tree[b"link"].kind, "d")
        self.assertNotIn(b"d/new", tree)

    def test_an_entry_below_a_link_of_its_own_layer_makes_a_directory(self):
        tree = self.merged(TAR().directory("etc").symlink("evil", "/etc").file("evil/passwd", b"x"))
        self.assertEqual((tree[b"evil"].kind, tree[b"evil/passwd"].size), ("d", 1))
        self.assertNotIn(b"etc/passwd", tree)

    def test_whiteouts_and_hard_links_do_not_go_through_links(self):
        tree = self.merged(base(), TAR().whiteout("link/one"))
        self.assertIn(b"d/one", tree)

    def test_texts_of_links_are_kept_as_they_are(self):
        texts = ["../../../../etc/passwd", "/absolute", "a//b/./c", "x" * 4000, b"\xff\xfe"]
        tar = TAR().directory("etc")
        for index, target in enumerate(texts):
            tar.symlink("s%d" % index, target)
        tree = self.assert_like_peers(tar, umoci=False, podman=False)
        for index, target in enumerate(texts):
            self.assertEqual(tree[b"s%d" % index].target, os.fsencode(target))


class TestNames(LayerCase):
    def test_names_that_climb_out_stay_inside_the_root(self):
        tree = self.merged(
            TAR().directory("etc").file("../../escape1", b"x").file("/absolute", b"x")
            .file("a/../../escape2", b"x").file("./x/./y//z", b"x").directory("../..")
            .hardlink("linked", "../../escape1"))
        self.assert_paths(tree, "escape1", "absolute", "escape2", "x/y/z", "linked", *(
            ["a"] if b"a" in tree else []))
        self.assertEqual(tree[b"linked"].names, {b"escape1", b"linked"})

    def test_long_names_and_paths_are_kept(self):
        deep = "/".join(["d" * 200] * 19) + "/" + "f" * 150
        self.assertGreater(len(deep), 3900)
        for format in (images.tarfile.PAX_FORMAT, images.tarfile.GNU_FORMAT):
            tar = TAR(format).directory("etc").file("n" * 255, b"1").file(
                "p/" * 60 + "q" * 200, b"2").file(deep, b"3").symlink("s" * 255, "t" * 3000)
            tree = self.assert_like_peers(tar, podman=False)
            self.assertEqual(tree[deep.encode()].size, 1)

    def test_names_are_bytes(self):
        names = [b"caf\xe9", b"\xff\xfe\xfd", "grüße ☃".encode(), b"new\nline", b"back\\slash",
                 b"tab\there", b" spaces ", b"-dash", b"'quote\"", b"*"]
        for format in (images.tarfile.PAX_FORMAT, images.tarfile.GNU_FORMAT):
            tar = TAR(format).directory("etc")
            for name in names:
                tar.file(name, name)
            tree = self.assert_like_peers(tar, podman=False)
            for name in names:
                self.assertEqual(tree[name].size, len(name))

    def test_a_name_too_long_for_any_file_system_is_refused(self):
        layout = images.layout(self.work + "/layout", [TAR().file("n" * 256, b"")])
        address = harness.world.servers.plain.host
        images.push(layout, address, "tests/layers")
        self.refused("import", "-o", "x.sqsh", "docker://%s#tests/layers" % address,
                     env={"ENROOT_ALLOW_HTTP": "yes"}, says="name|long")
        self.assert_nothing_left()

    def test_parents_without_an_entry_are_made_with_mode_0755(self):
        tree = self.assert_like_peers(TAR().directory("etc").file("a/b/c/file", b""))
        self.assertEqual((tree[b"a/b"].mode, tree[b"a/b"].uid), (0o755, 0))

    def test_the_last_of_equal_names_in_a_layer_counts(self):
        # podman does not let a file replace a link of its own layer.
        tree = self.assert_like_peers(TAR().directory("etc").file("f", b"1").file("f", b"22")
                                      .symlink("g", "x").file("g", b"333"), podman=False)
        self.assertEqual((tree[b"f"].size, tree[b"g"].size), (2, 3))

    def test_a_directory_of_many_files_is_complete(self):
        tar = TAR().directory("etc").directory("many")
        for index in range(20000):
            tar.file("many/%05d" % (index * 7919 % 20000), b"")
        tree = self.merged(tar)
        self.assertEqual(sum(path.startswith(b"many/") for path in tree), 20000)

    def test_a_very_deep_tree_is_complete(self):
        tree = self.merged(TAR().directory("etc").file("d/" * 300 + "file", b"x"))
        self.assertEqual(tree[b"d/" * 300 + b"file"].size, 1)


class TestSettings(LayerCase):
    def test_modes_owners_and_times_are_kept(self):
        tar = TAR().directory("etc")
        for index, mode in enumerate((0o4755, 0o2755, 0o6711, 0o1777, 0o000, 0o444, 0o777)):
            tar.file("f%d" % index, b"x", mode=mode, uid=index, gid=1000 * index, mtime=index)
            tar.directory("d%d" % index, mode=mode | 0o700)
        tar.file("large", b"", uid=0xFFFFFFF0, gid=2000000000, mtime=0xFFFFFFF0)
        tree = self.assert_like_peers(tar)
        self.assertEqual((tree[b"f0"].mode, tree[b"large"].uid), (0o4755, 0xFFFFFFF0))

    def test_times_beyond_what_squashfs_holds_are_brought_to_its_ends(self):
        tree = self.merged(TAR().directory("etc").file("early", b"", mtime=-5)
                           .file("late", b"", mtime=1 << 33).file("fraction", b"", mtime=5.75))
        self.assertEqual([tree[name].mtime for name in (b"early", b"late", b"fraction")],
                         [0, 0xFFFFFFFF, 5])

    def test_extended_attributes_are_kept(self):
        capability = b"\x01\x00\x00\x02\x00\x20\x00\x00" + b"\x00" * 12  # cap_net_raw+ep
        many = {"user.n%03d" % index: b"v" * index for index in range(1, 60)}
        tree = self.assert_like_peers(
            TAR().directory("etc").file("ping", b"p", xattrs={"security.capability": capability})
            .file("noted", b"n", xattrs={"user.note": b"text"})
            .directory("d", xattrs={"user.on.directory": b"1"}).file("many", b"", xattrs=many))
        self.assertEqual(tree[b"ping"].xattrs, (("security.capability", capability),))
        self.assertEqual(len(tree[b"many"].xattrs), 59)

    def test_device_nodes_are_left_out_and_pipes_are_not(self):
        tree = self.assert_like_peers(
            TAR().directory("etc").directory("dev")
            .add("dev/null", images.tarfile.CHRTYPE, device=(1, 3), mode=0o666)
            .add("disk", images.tarfile.BLKTYPE, device=(8, 0))
            .add("pipe", images.tarfile.FIFOTYPE, mode=0o600))
        self.assert_paths(tree, "dev", "pipe", "etc")

    def test_sparse_files_keep_their_holes(self):
        source = self.work + "/sparse"
        os.mkdir(source)
        with open(source + "/holes", "wb") as file:
            file.seek(50 << 20)
            file.write(b"middle" * 1000)
            file.truncate(100 << 20)
        with open(source + "/empty", "wb") as file:
            file.truncate(10 << 20)
        for options in (["--format=gnu"], ["--format=pax"],
                        ["--format=pax", "--sparse-version=0.1"]):
            tar = subprocess.run(["tar", "-C", source, "--sparse", *options, "--sort=name",
                                  "--mtime=@0", "--owner=0", "--group=0", "-c", "holes", "empty"],
                                 stdout=subprocess.PIPE, check=True).stdout
            layout = images.layout(tempfile.mkdtemp(dir=self.work) + "/layout", [tar])
            output = self.image_of(layout)
            self.assertLess(os.path.getsize(output), 1 << 20)
            with trees.mounted(output, self.work) as root:
                for name in ("holes", "empty"):
                    self.assertEqual(trees.content_digest(root + "/" + name),
                                     trees.content_digest(source + "/" + name), options)


class TestFormats(LayerCase):
    def layout_of(self, layers):
        image = images.Layout(tempfile.mkdtemp(dir=self.work) + "/layout")
        return image.finish(image.manifest([image.layer(*layer) for layer in layers]))

    def test_every_compression_is_read(self):
        first = None
        for program in ("gzip", "zstd", "xz", "bzip2", None):
            with self.subTest(program):
                tree = self.tree_of(self.layout_of([(base(), program)]))
                first = first or tree
                self.assertEqual(trees.differences(tree, first), [])
                self.assertIn(b"d/sub/deep", tree)

    def test_the_content_counts_and_not_the_media_type(self):
        gzip_type, zstd_type = images.OCI_LAYER + "+gzip", images.OCI_LAYER + "+zstd"
        for program, media_type in (("zstd", gzip_type), ("gzip", zstd_type), (None, gzip_type),
                                    ("xz", gzip_type), ("gzip", images.OCI_LAYER)):
            with self.subTest((program, media_type)):
                tree = self.tree_of(self.layout_of([(base(), program, media_type)]))
                self.assertIn(b"d/sub/deep", tree)

    def test_layers_of_one_image_may_differ_in_compression(self):
        tree = self.tree_of(self.layout_of([
            (base(), "zstd"), (TAR().whiteout("d/one"), "gzip"), (TAR().file("x", b""), "xz"),
            (TAR().file("y", b""), None)]))
        self.assert_paths(tree, "d/two", "d/sub/deep", "file", "link", "dangling", "empty", "x",
                          "y", "etc")

    def test_streams_of_several_members_are_read_to_their_end(self):
        tar = base().file("large", os.urandom(300000)).bytes()
        pieces = [tar[index:index + 70000] for index in range(0, len(tar), 70000)]
        for program in ("gzip", "zstd", "xz", "bzip2"):
            with self.subTest(program):
                blob = b"".join(images.compressed(piece, program) for piece in pieces)
                image = images.Layout(tempfile.mkdtemp(dir=self.work) + "/layout")
                layer = image.blob(blob, images.OCI_LAYER + "+gzip"), images.digest(tar)
                tree = self.tree_of(image.finish(image.manifest([layer])))
                self.assertEqual(tree[b"large"].size, 300000)

    def test_gzip_headers_with_extra_fields_are_read(self):
        tar = base().bytes()
        body = gzip.compress(tar, mtime=0)[10:]
        header = b"\x1f\x8b\x08\x1c" + b"\0" * 4 + b"\0\x03" + b"\x04\0abcd" + b"name\0" + b"note\0"
        image = images.Layout(self.work + "/layout")
        layer = image.blob(header + body, images.OCI_LAYER + "+gzip"), images.digest(tar)
        self.assertIn(b"d/one", self.tree_of(image.finish(image.manifest([layer]))))

    def test_skippable_zstd_frames_are_skipped(self):
        tar = base().bytes()
        skipped = b"\x50\x2a\x4d\x18\x08\0\0\0somedata"
        image = images.Layout(self.work + "/layout")
        blob = skipped + images.compressed(tar, "zstd") + skipped
        layer = image.blob(blob, images.OCI_LAYER + "+zstd"), images.digest(tar)
        self.assertIn(b"d/one", self.tree_of(image.finish(image.manifest([layer]))))

    def test_archives_of_every_tar_dialect_are_read(self):
        source = self.work + "/source"
        os.makedirs(source + "/etc")
        for name in ("plain", "etc/inside"):
            with open(source + "/" + name, "w") as file:
                file.write(name)
        for dialect in ("v7", "oldgnu", "gnu", "ustar", "pax"):
            with self.subTest(dialect):
                tar = subprocess.run(["tar", "-C", source, "--format=" + dialect, "-c", "."],
                                     stdout=subprocess.PIPE, check=True).stdout
                tree = self.tree_of(images.layout(
                    tempfile.mkdtemp(dir=self.work) + "/layout", [tar]))
                self.assert_paths(tree, "plain", "etc/inside")

    def test_empty_layers_are_nothing(self):
        empty = b"\0" * 1024
        tree = self.assert_like_peers(empty, base(), empty, TAR().whiteout("file"), empty)
        self.assertNotIn(b"file", tree)

    def test_an_image_without_layers_holds_what_import_writes(self):
        self.assert_paths(self.merged())

    def test_a_layer_that_comes_twice_counts_twice(self):
        change = TAR().file("file", b"changed").whiteout("d").bytes()
        tree = self.assert_like_peers(base(), change, base(), change)
        self.assertEqual(tree[b"file"].size, 7)
        self.assertNotIn(b"d/one", tree)

    def test_many_layers_are_merged(self):
        tars = [TAR().directory("etc").file("file000", b"0")]
        for index in range(1, 127):
            tars.append(TAR().file("file%03d" % index, b"%d" % index)
                        .whiteout("file%03d" % (index - 1)).file("same", b"%d" % index))
        tree = self.assert_like_peers(*tars, podman=False)
        self.assert_paths(tree, "file126", "same", "etc")


class TestSize(LayerCase):
    def test_memory_stays_bounded_whatever_the_image_holds(self):
        tar = self.work + "/large.tar"
        info = images.tarfile.TarInfo("zeros")
        info.size = 800 << 20
        with images.tarfile.open(tar, "w") as archive, open("/dev/zero", "rb") as zeros:
            archive.addfile(info, zeros)
            with open("/dev/urandom", "rb") as random:
                info = images.tarfile.TarInfo("random")
                info.size = 200 << 20
                archive.addfile(info, random)
        image = images.Layout(self.work + "/layout")
        blob = subprocess.run(["zstd", "-1", "-q", "-c", tar], stdout=subprocess.PIPE,
                              check=True).stdout
        layer = image.blob(blob, images.OCI_LAYER + "+zstd"), "sha256:" + "0" * 64
        image.finish(image.manifest([layer]))
        os.unlink(tar)
        images.push(self.work + "/layout", harness.world.servers.plain.host, "tests/large")
        self.assertLess(self.most_memory(
            "enroot", "import", "-o", "x.sqsh", "docker://%s#tests/large"
            % harness.world.servers.plain.host, env={"ENROOT_ALLOW_HTTP": "yes"}), 256)
