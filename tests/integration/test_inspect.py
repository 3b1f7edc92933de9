"""digest and inspect: of references, image files and containers."""
import json
import os
import subprocess

import harness
import images

ALLOW = {"ENROOT_ALLOW_HTTP": "yes"}


class InspectCase(harness.Case):
    def setUp(self):
        super().setUp()
        library, self.host = harness.world.library, harness.world.servers.plain.host
        self.reference = "docker://%s#%s" % (self.host, library.pushed("application"))
        self.index = images.read_index(library.layout("application"))
        self.digest = self.index["manifests"][0]["digest"]
        with open(images.blob_path(library.layout("application"), self.digest)) as file:
            self.manifest = json.load(file)

    def image(self):
        path = self.user.work + "/app.sqsh"
        subprocess.run(["cp", harness.world.library.squashed("application"), path], check=True)
        return path

    def each(self):
        """The three kinds of words for one image."""
        self.image()
        self.enroot("create", "-n", "app", "app.sqsh")
        self.enroot("create", "-n", "light", "--lazy", "app.sqsh")
        return {"reference": self.reference, "image": "app.sqsh", "container": "app",
                "lazy": "light"}


class TestDigest(InspectCase):
    def test_it_is_the_manifests_for_a_reference_an_image_and_a_container(self):
        for kind, word in self.each().items():
            with self.subTest(kind):
                self.assertEqual(self.enroot("digest", word, env=ALLOW).out, self.digest + "\n")

    def test_it_is_the_one_that_skopeo_sees(self):
        said = subprocess.run(
            ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}",
             "docker://" + self.reference.split("//")[1].replace("#", "/")], check=True,
            stdout=subprocess.PIPE).stdout.decode()
        self.assertEqual(self.enroot("digest", self.reference, env=ALLOW).out, said)

    def test_it_pins_the_reference(self):
        digest = self.enroot("digest", self.reference, env=ALLOW).out.strip()
        self.enroot("import", "-o", "x.sqsh", "%s@%s" % (self.reference, digest), env=ALLOW)

    def test_of_an_index_it_is_that_of_the_platform(self):
        path = harness.world.library.path + "/two-platforms"
        layout = images.Layout(path)
        manifests = {}
        for arch in ("amd64", "arm64"):
            tar = images.Tar().file("arch", arch.encode())
            manifests[arch] = layout.manifest([layout.layer(tar)], architecture=arch)
        index = layout.blob(json.dumps({
            "schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [
                {**manifests[arch], "platform": {"architecture": arch, "os": "linux"}}
                for arch in manifests]}).encode(), images.OCI_INDEX)
        layout.finish(index)
        images.push(path, self.host, "tests/two-platforms")
        for arch in manifests:
            said = self.enroot("digest", "-a", arch, "docker://%s#tests/two-platforms" % self.host,
                               env=ALLOW).out
            self.assertEqual(said, manifests[arch]["digest"] + "\n")

    def test_what_has_no_record_has_no_digest(self):
        path = self.user.work + "/plain.sqsh"
        subprocess.run(["mksquashfs", "-", path, "-tar", "-quiet", "-no-progress"], check=True,
                       input=images.Tar().file("x").bytes(), stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        self.refused("digest", "plain.sqsh", says="no digest")
        self.refused("digest", "nosuch", says="no such container")
        self.refused("digest", "./nosuch.sqsh", says="nosuch.sqsh")


class TestInspect(InspectCase):
    def test_json_has_configuration_layers_sizes_provenance_and_architecture(self):
        for kind, word in self.each().items():
            with self.subTest(kind):
                said = json.loads(self.enroot("inspect", "--json", word, env=ALLOW).out)
                self.assertEqual(said["kind"], "container" if kind == "lazy" else kind)
                self.assertEqual(said["digest"], self.digest)
                self.assertEqual(said["architecture"], images.ARCHITECTURE)
                self.assertEqual(said["layers"], [
                    {key: layer[key] for key in ("mediaType", "digest", "size")}
                    for layer in self.manifest["layers"]])
                self.assertEqual(said["layersSize"],
                                 sum(layer["size"] for layer in self.manifest["layers"]))
                self.assertEqual(said["config"]["config"]["WorkingDir"], "/app/work dir")
                self.assertIn("tests/application", said["provenance"])
                self.assertEqual(said.get("lazy"), {"container": False, "lazy": True}.get(kind))
                if kind == "image":
                    self.assertEqual(said["size"], os.stat(self.user.work + "/app.sqsh").st_size)
                if kind == "lazy":
                    self.assertEqual(said["image"], self.user.work + "/app.sqsh")

    def test_people_read_the_same(self):
        for kind, word in self.each().items():
            with self.subTest(kind):
                said = self.enroot("inspect", word, env=ALLOW).out
                for text in (self.digest, "linux/" + images.ARCHITECTURE, "'first word' 'it'\\''s'",
                             "/app/work dir", "MODE=image value", "/more/data", "maintainer="):
                    self.assertIn(text, said)
                self.assertIn("lines=one?touch /tmp/label?\n", said)

    def test_no_layer_is_fetched(self):
        registry = harness.world.servers.plain
        before = len(registry.requests(r"GET /v2/\S+/blobs/"))
        self.enroot("inspect", self.reference, env=ALLOW)
        self.enroot("digest", self.reference, env=ALLOW)
        self.assertLessEqual(len(registry.requests(r"GET /v2/\S+/blobs/")) - before, 1)

    def test_another_architecture_is_refused(self):
        other = "arm64" if images.ARCHITECTURE != "arm64" else "amd64"
        self.refused("inspect", "-a", other, self.reference, env=ALLOW, says=other)
        self.image()
        self.refused("inspect", "-a", other, "app.sqsh", says="--arch")

    def test_images_of_other_tools_say_that_nothing_is_recorded(self):
        path = self.user.work + "/plain.sqsh"
        subprocess.run(["mksquashfs", "-", path, "-tar", "-quiet", "-no-progress"], check=True,
                       input=images.Tar().file("x").bytes(), stdout=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        self.assertIn("not recorded", self.enroot("inspect", "plain.sqsh").out)
        self.assertIsNone(json.loads(self.enroot("inspect", "--json", "plain.sqsh").out)["digest"])

    def test_a_damaged_record_is_an_error(self):
        self.image()
        self.enroot("create", "-n", "app", "app.sqsh")
        with open(self.data_path("app/etc/enroot-image.json"), "w") as file:
            file.write('{"version": 1, "layers": 7}')
        self.refused("inspect", "app", says="enroot-image.json")
