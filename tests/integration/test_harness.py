"""The harness itself, proved with other tools: what these tests rely on is true."""
import os
import subprocess

import harness
import servers
import trees


def skopeo(reference, *options):
    return subprocess.run(["skopeo", "inspect", "--raw", *options, "docker://" + reference],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "SSL_CERT_FILE": harness.world.ca.certificate})


class TestHarness(harness.Case):
    def test_every_registry_answers_skopeo_and_checks_credentials(self):
        library, standing = harness.world.library, harness.world.servers
        name = library.pushed("alpine")
        login = ("--creds", ":".join(servers.LOGIN))
        for registry, options, code in (
                (standing.plain, ("--tls-verify=false",), 0), (standing.tls, (), 0),
                (standing.basic, login, 0), (standing.basic, (), 1),
                (standing.token, login, 0), (standing.token, (), 1),
                (standing.token, ("--creds", "alice:wrong"), 1), (standing.hub, (), 0)):
            result = skopeo("%s/%s" % (registry.host, name), *options)
            self.assertEqual(result.returncode, code, (registry.name, options, result.stderr))

    def test_a_changed_tree_is_told_apart(self):
        base = self.user.work + "/tree"
        os.mkdir(base)
        for name in ("a", "b"):
            with open(base + "/" + name, "w") as file:
                file.write("text")
        before = trees.scan(base)
        self.assertEqual(trees.differences(before, trees.scan(base)), [])
        for change, field in (
                (lambda: os.chmod(base + "/a", 0o600), "mode"),
                (lambda: os.chown(base + "/a", 7, 0), "uid"),
                (lambda: os.setxattr(base + "/a", "user.x", b"1"), "xattrs"),
                (lambda: os.utime(base + "/a", (5, 5)), "mtime"),
                (lambda: os.link(base + "/a", base + "/c"), "names"),
                (lambda: os.unlink(base + "/b"), "only on")):
            change()
            after = trees.scan(base)
            self.assertIn(field, "\n".join(trees.differences(before, after)))
            before = after

    def test_a_proxy_notes_requests_and_passes_images_on(self):
        world = harness.world
        name = world.library.pushed("alpine")
        with servers.Proxy(world.servers.plain.host) as proxy:
            result = skopeo("%s/%s" % (proxy.host, name), "--tls-verify=false")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertTrue(proxy.matching("/manifests/latest"))
