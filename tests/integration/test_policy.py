"""policy.json: what may be imported at all, and signatures as cosign stores them."""
import base64
import json
import os
import subprocess

import harness
import images
import servers

ALLOW = {"ENROOT_ALLOW_HTTP": "yes"}
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]


class Key:
    """A key pair made by openssl."""

    def __init__(self, path, *kind):
        self.private, self.public = path + ".key", path + ".pub"
        subprocess.run(["openssl", "genpkey", *kind, "-out", self.private], check=True,
                       stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "pkey", "-in", self.private, "-pubout", "-out", self.public],
                       check=True)
        os.chmod(self.public, 0o644)

    def sign(self, data, path):
        with open(path, "wb") as file:
            file.write(data)
        command = ["openssl", "dgst", "-sha256", "-sign", self.private, path]
        if b"ED25519" in subprocess.run(["openssl", "pkey", "-in", self.private, "-noout", "-text"],
                                        stdout=subprocess.PIPE, check=True).stdout:
            command = ["openssl", "pkeyutl", "-sign", "-inkey", self.private, "-rawin", "-in", path]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


class PolicyCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.host = harness.world.servers.plain.host
        self.base = "%s/%s" % (harness.world.library.path, self._testMethodName)
        os.makedirs(self.base)
        os.makedirs(self.user.home + "/.config/enroot")
        self.addCleanup(self.remove_policies)

    @staticmethod
    def remove_policies():
        if os.path.exists("/etc/enroot/policy.json"):
            os.unlink("/etc/enroot/policy.json")

    def key(self, name="key", *kind):
        return Key("%s/%s" % (self.base, name),
                   *(kind or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")))

    def push(self, name="app"):
        """An image of its own; returns repository and digest of the manifest."""
        path = "%s/%s" % (self.base, name)
        repository = "policy/%s-%s" % (self._testMethodName.replace("_", "-")[:60].lower(), name)
        images.layout(path, [images.Tar().file("random", os.urandom(1000))])
        return repository, images.push(path, self.host, repository)

    def sign(self, repository, digest, *keys, name=None, signed_digest=None, change=None):
        """Store signatures of a manifest in the registry."""
        path = "%s/sig-%d" % (self.base, len(os.listdir(self.base)))
        layout, layers = images.Layout(path), []
        for key in keys:
            payload = json.dumps({
                "critical": {"identity": {
                    "docker-reference": name or "%s/%s:latest" % (self.host, repository)},
                    "image": {"docker-manifest-digest": signed_digest or digest},
                    "type": "cosign container image signature"}, "optional": None}).encode()
            signature = base64.b64encode(key.sign(payload, path + "/payload")).decode()
            layers.append({**layout.blob(change(payload) if change else payload, SIMPLE_SIGNING),
                           "annotations": {"dev.cosignproject.cosign/signature": signature}})
        config = json.dumps({"architecture": "", "os": "", "config": {}, "rootfs": {
            "type": "layers", "diff_ids": [layer["digest"] for layer in layers]}}).encode()
        layout.finish(layout.blob(json.dumps({
            "schemaVersion": 2, "mediaType": images.OCI_MANIFEST,
            "config": layout.blob(config, images.OCI_CONFIG), "layers": layers}).encode(),
            images.OCI_MANIFEST))
        images.push(path, self.host, repository, digest.replace(":", "-") + ".sig")

    def policy(self, docker=None, default=ACCEPT, path=None):
        path = path or self.user.home + "/.config/enroot/policy.json"
        document = {"default": default}
        if docker is not None:
            document["transports"] = {"docker": docker}
        with open(path, "w") as file:
            json.dump(document, file)
        os.chmod(path, 0o644)
        return path

    def signed_by(self, *keys, **identity):
        return [{"type": "sigstoreSigned", "keyPath": key.public,
                 **({"signedIdentity": identity} if identity else {})} for key in keys]

    def accepted(self, repository, tag=":latest"):
        result = self.enroot("import", "-o", "x.sqsh",
                             "docker://%s#%s%s" % (self.host, repository, tag), env=ALLOW)
        os.unlink(self.user.work + "/x.sqsh")
        return result

    def rejected(self, repository, says, tag=":latest"):
        """Refused, and before any layer was asked for."""
        server = harness.world.servers.plain
        pattern = r'"GET /v2/%s/blobs/' % repository
        before, cached = len(server.requests(pattern)), harness.files_below(self.cache_path())
        self.refused("import", "docker://%s#%s%s" % (self.host, repository, tag), env=ALLOW,
                     says=says)
        # Payloads of signatures are the only blobs that may have been read.
        self.assertEqual(harness.files_below(self.cache_path()), cached)
        return len(server.requests(pattern)) - before


class TestRules(PolicyCase):
    def test_a_rejected_image_is_not_asked_for(self):
        with servers.Proxy(self.host) as proxy:
            self.policy({proxy.host: REJECT})
            self.refused("import", "docker://%s#library/alpine" % proxy.host, env=ALLOW,
                         says='rejected by the policy .*/policy.json .*docker "127.0.0.1')
            self.assertEqual(proxy.requests, [])

    def test_the_most_specific_scope_counts(self):
        repository, _ = self.push()
        self.policy({self.host: REJECT, self.host + "/" + repository: ACCEPT}, REJECT)
        self.accepted(repository)
        self.policy({self.host: ACCEPT, "%s/%s:latest" % (self.host, repository): REJECT}, REJECT)
        self.rejected(repository, "rejected by the policy")

    def test_a_user_cannot_weaken_the_policy_of_the_system(self):
        repository, _ = self.push()
        self.policy({self.host: REJECT}, path="/etc/enroot/policy.json")
        self.policy({self.host: ACCEPT})
        self.rejected(repository, "rejected by the policy /etc/enroot/policy.json")
        other = self.user.home + "/elsewhere"
        os.mkdir(other)
        self.policy({self.host: ACCEPT}, path=other + "/policy.json")
        self.refused("import", "docker://%s#%s" % (self.host, repository),
                     env={**ALLOW, "ENROOT_SYSCONF_PATH": other},
                     says="rejected by the policy /etc/enroot/policy.json")

    def test_a_user_may_forbid_more(self):
        repository, _ = self.push()
        self.policy({self.host: ACCEPT}, path="/etc/enroot/policy.json")
        self.policy({self.host: REJECT})
        self.rejected(repository, "rejected by the policy .*/.config/enroot/policy.json")

    def test_a_policy_that_is_not_understood_lets_nothing_through(self):
        repository, _ = self.push()
        self.policy({"other.test": [{"type": "signedBy", "keyType": "GPGKeys"}]})
        self.rejected(repository, 'policy.json: docker "other.test": .*signedBy.* not supported')

    def test_a_policy_that_cannot_be_read_lets_nothing_through(self):
        repository, _ = self.push()
        os.chmod(self.policy(), 0)
        self.rejected(repository, "policy.json: permission denied")


class TestTransports(PolicyCase):
    """Images that come from elsewhere than a registry."""

    def refused_import(self, uri, says):
        self.refused("import", "-o", "x.sqsh", uri, says=says)

    def test_rules_of_files(self):
        path = harness.world.library.layout("alpine")
        self.policy(default=REJECT)
        for uri in ("oci:%s:latest" % path, "dockerd://alpine", "podman://alpine",
                    "tar:/nonexistent", "https://registry.test/x.sqsh"):
            with self.subTest(uri):
                self.refused_import(uri, r"rejected by the policy .*\(default\)")
        self.policy(default=self.signed_by(self.key()))
        self.refused_import("oci:%s:latest" % path, "asks for a signature, which only images of a")
        with open(self.user.home + "/.config/enroot/policy.json", "w") as file:
            json.dump({"default": REJECT, "transports": {
                "oci": {os.path.dirname(path): ACCEPT}}}, file)
        self.enroot("import", "-o", "x.sqsh", "oci:%s:latest" % path)


class TestSignatures(PolicyCase):
    def test_a_signed_image_is_accepted(self):
        for name, kind in (("ecdsa", ()), ("rsa", ("-algorithm", "RSA")),
                           ("ed25519", ("-algorithm", "ED25519"))):
            with self.subTest(name):
                key = self.key(name, *kind)
                repository, digest = self.push(name)
                self.sign(repository, digest, key)
                self.policy({self.host: self.signed_by(key)})
                self.assertIn("Signature accepted", self.accepted(repository).err)

    def test_an_image_without_a_signature_is_refused_before_any_layer(self):
        repository, _ = self.push()
        self.policy({self.host: self.signed_by(self.key())})
        self.assertEqual(self.rejected(repository, "asks for a signature: the image has none"), 0)

    def test_a_signature_by_another_key_is_refused(self):
        repository, digest = self.push()
        self.sign(repository, digest, self.key("other"))
        self.policy({self.host: self.signed_by(self.key())})
        self.rejected(repository, "not signed by this key")

    def test_one_good_signature_among_others_is_enough(self):
        repository, digest = self.push()
        key = self.key()
        self.sign(repository, digest, self.key("other"), key)
        self.policy({self.host: self.signed_by(key)})
        self.accepted(repository)

    def test_all_requirements_must_be_met(self):
        repository, digest = self.push()
        one, two = self.key("one"), self.key("two")
        self.policy({self.host: self.signed_by(one, two)})
        self.sign(repository, digest, one)
        self.rejected(repository, "not signed by this key")
        self.sign(repository, digest, one, two)
        self.accepted(repository)

    def test_a_signature_of_another_manifest_is_refused(self):
        repository, digest = self.push()
        key = self.key()
        self.sign(repository, digest, key, signed_digest="sha256:" + "0" * 64)
        self.policy({self.host: self.signed_by(key)})
        self.rejected(repository, "a signature is for the manifest sha256:0000")

    def test_a_changed_payload_is_refused(self):
        repository, digest = self.push()
        key = self.key()
        self.sign(repository, digest, key, change=lambda payload: payload + b" ")
        self.policy({self.host: self.signed_by(key)})
        self.rejected(repository, "not signed by this key")

    def test_a_signature_for_another_name_is_refused(self):
        repository, digest = self.push()
        key = self.key()
        self.policy({self.host: self.signed_by(key)})
        self.sign(repository, digest, key, name="other.test/app:latest")
        self.rejected(repository, "a signature is for the name other.test/app:latest")

    def test_cosigns_names_without_a_tag_need_matchRepository(self):
        repository, digest = self.push()
        key = self.key()
        self.sign(repository, digest, key, name="%s/%s" % (self.host, repository))
        self.policy({self.host: self.signed_by(key)})
        self.rejected(repository, "without a tag.*matchRepository")
        self.policy({self.host: self.signed_by(key, type="matchRepository")})
        self.accepted(repository)

    def test_rules_count_for_images_that_run_has_in_the_cache(self):
        word = "docker://%s#%s" % (self.host, harness.world.library.pushed("alpine"))
        self.env.update(ALLOW)
        self.enroot("run", word, "true")
        self.policy({self.host: self.signed_by(self.key())})
        self.refused("run", word, "true", says="asks for a signature: the image has none")
        self.refused("run", "--pull", "never", word, "true", says="--pull never cannot look for")
        self.policy({self.host: REJECT})
        self.refused("run", word, "true", says="rejected by the policy")
        self.policy({self.host: ACCEPT}, default=REJECT)
        self.enroot("run", word, "true")

    def test_a_pinned_image_needs_its_signature_too(self):
        repository, digest = self.push()
        key = self.key()
        self.policy({self.host: self.signed_by(key)})
        self.rejected(repository, "the image has none", "@" + digest)
        self.sign(repository, digest, key)
        self.accepted(repository, "@" + digest)

    def test_a_signature_of_an_index_covers_its_images(self):
        path, key = self.base + "/index", self.key()
        layout, repository = images.Layout(path), "policy/index"
        manifest = {**layout.manifest([layout.layer(images.Tar().file("a", b"b"))]),
                    "platform": {"os": "linux", "architecture": images.ARCHITECTURE}}
        layout.finish(layout.blob(json.dumps({
            "schemaVersion": 2, "mediaType": images.OCI_INDEX,
            "manifests": [manifest]}).encode(), images.OCI_INDEX))
        index = images.push(path, self.host, repository)
        self.policy({self.host: self.signed_by(key)})
        self.rejected(repository, "the image has none")
        self.sign(repository, index, key)
        self.accepted(repository)

    def test_a_mirror_cannot_take_a_signature_away_or_make_one_up(self):
        repository, digest = self.push()
        key = self.key()
        self.sign(repository, digest, key)
        self.policy({self.host: self.signed_by(key)})
        with servers.Proxy(self.host, lambda request: {"status": 404}
                           if request["path"].endswith(".sig") else None) as mirror:
            with open(self.user.home + "/.config/enroot/registries.conf", "w") as file:
                file.write('[[registry]]\nprefix = "%s"\ninsecure = true\n[[registry.mirror]]\n'
                           'location = "%s"\ninsecure = true\n' % (self.host, mirror.host))
            self.accepted(repository)
        self.assertTrue(mirror.matching("/blobs/"))
