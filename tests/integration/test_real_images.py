"""Images as tools make them: a Debian root of three layers by mmdebstrap and umoci, in
OCI and Docker manifests, and an image that buildah built."""
import os
import subprocess

import harness
import images
import trees


class TestRealImages(harness.Case):
    def tree(self, image):
        with trees.mounted(image, harness.world.work) as root:
            return trees.scan(root)

    def copied(self, repository, *options):
        """The Debian image as skopeo copies it with options; returns its reference."""
        reference = "%s/%s:latest" % (harness.world.servers.plain.host, repository)
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", *options,
                        "oci:%s:latest" % harness.world.library.layout("debian"),
                        "docker://" + reference], check=True)
        return reference

    def imported(self, reference):
        output = self.user.work + "/copied.sqsh"
        self.enroot("import", "-o", output, "docker://" + reference.replace("/", "#", 1),
                    env={"ENROOT_ALLOW_HTTP": "yes"})
        return output

    def test_the_debian_tree_is_the_one_of_umoci_and_podman(self):
        world = harness.world
        ours = self.tree(world.library.squashed("debian"))
        self.assertGreater(len(ours), 5000)
        with trees.unpacked_by_umoci(world.library.layout("debian"), world.work) as root:
            self.assertEqual(trees.differences(ours, trees.scan(root)), [], "with umoci")
        reference = "%s/%s" % (world.servers.plain.host, world.library.pushed("debian"))
        with trees.mounted_by_podman(reference, world.work) as root:
            theirs = trees.scan(root)
        # podman gives every root directory mode 0555, whatever the layers say of it.
        theirs[b""] = theirs[b""]._replace(mode=ours[b""].mode)
        self.assertEqual(trees.differences(ours, theirs), [], "with podman")

    def test_a_docker_manifest_gives_the_same_tree(self):
        reference = self.copied("tests/debian-docker", "--format", "v2s2")
        inspected = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false",
                                    "docker://" + reference], stdout=subprocess.PIPE, check=True)
        self.assertIn(images.DOCKER_MANIFEST, inspected.stdout.decode())
        self.assertEqual(trees.differences(self.tree(harness.world.library.squashed("debian")),
                                           self.tree(self.imported(reference))), [])

    def test_zstd_layers_give_the_same_tree(self):
        reference = self.copied("tests/debian-zstd", "--dest-compress", "--dest-compress-format",
                                "zstd")
        self.assertEqual(trees.differences(self.tree(harness.world.library.squashed("debian")),
                                           self.tree(self.imported(reference))), [])

    def test_an_image_of_buildah_runs(self):
        reference = harness.world.servers.plain.host + "/tests/buildah:latest"
        root = harness.world.work + "/buildah"
        script = """
            store="--root $1/root --runroot $1/run --storage-driver vfs"
            image=$(buildah $store from scratch)
            buildah $store copy -q "$image" /bin/busybox /bin/busybox >/dev/null
            buildah $store copy -q "$image" /bin/busybox /bin/sh >/dev/null
            buildah $store config --entrypoint '["/bin/busybox","echo"]' --cmd 'from buildah' \\
                    --workingdir /srv --label maker=buildah "$image"
            buildah $store commit -q --format docker "$image" built >/dev/null
            buildah $store push -q --tls-verify=false built "docker://$2"
        """
        subprocess.run(["unshare", "--mount", "sh", "-euc", script, "sh", root, reference],
                       check=True)
        subprocess.run(["rm", "-rf", root], check=True)
        image = self.imported(reference)
        self.enroot("create", "-n", "built", image)
        result = self.enroot("start", "built")
        self.assertEqual(result.out, "from buildah\n")

    def test_programs_of_the_debian_image_run(self):
        self.container("debian")
        result = self.enroot("start", "debian", "perl", "-e", "print 6*7")
        self.assertEqual(result.out, "42")
        result = self.enroot("start", harness.world.library.squashed("debian"), "bash", "-c",
                             "ls /usr/bin | wc -l")
        self.assertGreater(int(result.out), 100)

    def test_dpkg_and_apt_install_a_package_that_sets_owners(self):
        package = self.user.work + "/package"
        os.makedirs(package + "/DEBIAN")
        os.makedirs(package + "/opt/tool")
        with open(package + "/DEBIAN/control", "w") as file:
            file.write("Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.test>\n"
                       "Description: x\n")
        with open(package + "/DEBIAN/postinst", "w") as file:
            file.write("#!/bin/sh\nset -e\nadduser --system --group --no-create-home tooluser\n"
                       "chown tooluser:tooluser /opt/tool/data\nchgrp 42 /opt/tool\n")
        os.chmod(package + "/DEBIAN/postinst", 0o755)
        with open(package + "/opt/tool/data", "w") as file:
            file.write("installed\n")
        os.chown(package + "/opt/tool/data", 33, 33)
        subprocess.run(["dpkg-deb", "--build", package, self.user.work + "/tool.deb"], check=True,
                       stdout=subprocess.DEVNULL)
        for name, command in (("dpkg", ("dpkg", "-i")),
                              ("apt-get", ("apt-get", "-y", "install"))):
            self.container("debian", name)
            self.enroot("start", "--root", "--rw", "--mount", self.user.work + ":/mnt", name,
                        *command, "/mnt/tool.deb")
            result = self.enroot("start", name, "cat", "/opt/tool/data")
            self.assertEqual(result.out, "installed\n")


class TestExtraction(harness.Case):
    def test_a_container_holds_what_the_image_holds(self):
        self.container("debian")
        with trees.mounted(harness.world.library.squashed("debian"), harness.world.work) as root:
            image = trees.scan(root)
        container = trees.scan(self.data_path("debian"))
        # Owners become the user's; what he needs to use and remove the tree is added.
        for path, node in image.items():
            mode = node.mode
            if node.kind == "d":
                mode |= 0o700
            elif node.kind == "-":
                mode |= 0o400
            image[path] = node._replace(uid=self.user.uid, gid=self.user.gid, mode=mode,
                                        xattrs=tuple(pair for pair in node.xattrs
                                                     if pair[0].startswith("user.")))
        self.assertEqual(trees.differences(image, container, ignored=set()), [])
