"""Import against servers, networks and disks that fail."""
import json
import os
import signal
import subprocess
import time

import harness
import images
import servers

ALLOW = {"ENROOT_ALLOW_HTTP": "yes"}


def blobs(action):
    """A proxy rule that treats every blob the same."""
    return lambda request: action if "/blobs/" in request["path"] else None


def first_blobs(times, action):
    """A proxy rule for the first requests of each blob."""
    return lambda request: action if "/blobs/" in request["path"] and request["count"] < times \
        else None


class FailureCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.upstream = harness.world.servers.plain.host
        self.name = harness.world.library.pushed("application")

    def reference(self, proxy):
        return "docker://%s#%s" % (proxy.host, self.name)

    def refused_through(self, rule, says, **env):
        with servers.Proxy(self.upstream, rule) as proxy:
            result = self.refused("import", "-o", "x.sqsh", self.reference(proxy),
                                  env={**ALLOW, **env}, says=says)
        self.assert_nothing_left()
        return result

    def succeeds_through(self, rule, **env):
        with servers.Proxy(self.upstream, rule) as proxy:
            self.enroot("import", "-o", "x.sqsh", self.reference(proxy), env={**ALLOW, **env})
        self.assert_image_valid(self.user.work + "/x.sqsh")
        return proxy

    def half_of_a_slow_import(self):
        """Start an import that does not end by itself, and return it in the middle of a blob."""
        path = "%s/%s" % (harness.world.library.path, self._testMethodName)
        images.layout(path, [images.Tar().file("random", os.urandom(2000000))])
        images.push(path, self.upstream, "tests/slow")
        proxy = servers.Proxy(self.upstream, blobs({"rate": 2000}))
        self.addCleanup(proxy.stop)
        process = self.start("enroot", "import", "-o", "x.sqsh",
                             "docker://%s#tests/slow" % proxy.host, env=ALLOW)
        self.wait_until("import", lambda: proxy.matching("/blobs/"))
        time.sleep(0.5)  # into the blob, but it would do before
        self.assertIsNone(process.poll())
        return process


class TestBadBlobs(FailureCase):
    def test_a_corrupted_blob_is_refused(self):
        def damage(body):
            middle = len(body) // 2
            return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]
        self.refused_through(blobs({"change": damage}), "digest|corrupt|content|checksum")
        self.assertEqual(harness.files_below(self.cache_path()), [])

    def test_a_blob_that_is_longer_than_promised_is_refused(self):
        self.refused_through(blobs({"change": lambda body: body + b"more"}), "size|long|bytes")

    def test_a_blob_that_is_shorter_than_promised_is_refused(self):
        self.refused_through(blobs({"change": lambda body: body[:-1]}), "size|short|bytes|end")

    def test_other_content_of_the_same_size_is_refused(self):
        self.refused_through(blobs({"change": lambda body: b"x" * len(body)}),
                             "digest|content|corrupt")

    def test_a_blob_that_is_missing_is_named(self):
        self.refused_through(blobs({"status": 404}), "sha256:[0-9a-f]{12}|404")

    def test_a_manifest_that_does_not_match_its_digest_is_refused(self):
        with servers.Proxy(self.upstream, lambda request: {"change": lambda body: body + b" "}
                           if "/manifests/" in request["path"] else None) as proxy:
            digest = images.read_index(harness.world.library.layout("application"))
            digest = digest["manifests"][0]["digest"]
            self.refused("import", "docker://%s#%s@%s" % (
                proxy.host, self.name.partition(":")[0], digest), env=ALLOW,
                says="manifest sha256:[0-9a-f]+: its content is sha256:")
        self.assert_nothing_left()


class TestBadManifests(FailureCase):
    def refused_manifest(self, document, says, media_type=images.OCI_MANIFEST):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.refused_through(
            lambda request: {"status": 200, "headers": {"Content-Type": media_type}, "body": body}
            if "/manifests/" in request["path"] else None, says)

    def manifest(self):
        layout = harness.world.library.layout("application")
        digest = images.read_index(layout)["manifests"][0]["digest"]
        with open(images.blob_path(layout, digest)) as file:
            return json.load(file)

    def test_schema_1_is_refused_with_an_explanation(self):
        self.refused_manifest(
            {"schemaVersion": 1, "name": "tests/old", "tag": "latest", "architecture": "amd64",
             "fsLayers": [{"blobSum": "sha256:" + "0" * 64}], "history": []},
            "schema", "application/vnd.docker.distribution.manifest.v1+prettyjws")

    def test_a_document_that_is_manifest_and_index_at_once_is_refused(self):
        both = {**self.manifest(), "manifests": [
            {"mediaType": images.OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1}]}
        for media_type in (images.OCI_MANIFEST, images.OCI_INDEX):
            self.refused_manifest(both, "manifest", media_type)

    def test_digests_that_are_not_digests_are_refused(self):
        for digest in ("sha256:../../../../etc/passwd", "sha256:" + "g" * 64, "", "md5:" + "0" * 32,
                       "sha256:" + "A" * 64, "sha256:" + "0" * 63):
            with self.subTest(digest):
                document = self.manifest()
                document["layers"][0]["digest"] = digest
                self.refused_manifest(document, "digest")

    def test_urls_of_layers_are_not_asked(self):
        """CVE-2020-15157: a manifest that names servers of its own for its layers."""
        document = self.manifest()
        with servers.Proxy(self.upstream) as elsewhere:
            for layer in document["layers"]:
                layer["urls"] = ["http://%s/v2/%s/blobs/%s" % (
                    elsewhere.host, self.name.partition(":")[0], layer["digest"])]
                layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
            with servers.Proxy(self.upstream, lambda request: {
                    "status": 200, "headers": {"Content-Type": images.OCI_MANIFEST},
                    "body": json.dumps(document).encode()}
                    if "/manifests/" in request["path"] else None) as proxy:
                self.enroot("import", "-o", "x.sqsh", self.reference(proxy), env=ALLOW)
            self.assertTrue(proxy.matching("/blobs/"))
            self.assertEqual(elsewhere.requests, [])

    def test_sizes_that_are_not_sizes_are_refused(self):
        for size in (-1, 1 << 70, "5", None):
            with self.subTest(size):
                document = self.manifest()
                document["layers"][0]["size"] = size
                self.refused_manifest(document, ".")

    def test_documents_that_are_not_manifests_are_refused(self):
        for body in (b"", b"{", b"[]", b"null", b"{}", b"<html>", b"\xff\xfe",
                     b'{"schemaVersion":2}', b"[" * 100000):
            with self.subTest(body[:20]):
                self.refused_manifest(body, "manifest|json|document")

    def test_an_endless_manifest_is_cut_off(self):
        self.refused_manifest(b'{"x":"' + b"a" * (32 << 20) + b'"}', "document of more than")

    def test_an_html_page_instead_of_a_registry_is_explained(self):
        self.refused_through(lambda request: {"status": 200, "body": b"<html>Welcome",
                                              "headers": {"Content-Type": "text/html"}}, ".")


class TestBadNetwork(FailureCase):
    def test_a_cut_connection_is_resumed_where_it_stopped(self):
        proxy = self.succeeds_through(first_blobs(1, {"cut": 5000}), ENROOT_TRANSFER_RETRIES="3")
        resumed = [request["headers"].get("Range") for request in proxy.matching("/blobs/")
                   if request["count"] == 1]
        self.assertIn("bytes=5000-", resumed)

    def test_a_server_without_ranges_is_asked_for_the_whole_again(self):
        def rule(request):
            if "/blobs/" not in request["path"]:
                return None
            return {"cut": 5000} if request["count"] == 0 else {"ranges": False}
        self.succeeds_through(rule, ENROOT_TRANSFER_RETRIES="3")

    def test_a_connection_that_is_always_cut_is_given_up(self):
        self.refused_through(blobs({"cut": 100}), ".", ENROOT_TRANSFER_RETRIES="1")

    def test_too_many_requests_are_repeated_when_the_server_says(self):
        began = time.monotonic()
        self.succeeds_through(first_blobs(1, {"status": 429, "headers": {"Retry-After": "2"}}),
                              ENROOT_TRANSFER_RETRIES="2")
        self.assertGreaterEqual(time.monotonic() - began, 2)

    def test_a_failing_server_is_asked_again(self):
        for status in (500, 502, 503):
            self.succeeds_through(first_blobs(1, {"status": status}), ENROOT_TRANSFER_RETRIES="2",
                                  ENROOT_CACHE_PATH="%s/cache%d" % (self.user.home, status))
            os.unlink(self.user.work + "/x.sqsh")

    def test_a_failing_manifest_request_is_asked_again(self):
        self.succeeds_through(lambda request: {"status": 503}
                              if "/manifests/" in request["path"] and request["count"] == 0
                              else None, ENROOT_TRANSFER_RETRIES="2")

    def test_a_server_that_keeps_failing_is_given_up(self):
        self.refused_through(blobs({"status": 500}), "500|server", ENROOT_TRANSFER_RETRIES="1")

    def test_a_refusal_is_not_repeated(self):
        with servers.Proxy(self.upstream, blobs({"status": 403})) as proxy:
            self.refused("import", self.reference(proxy), says="403|denied|forbidden|refused",
                         env={**ALLOW, "ENROOT_TRANSFER_RETRIES": "5"})
            self.assertLessEqual(max(request["count"] for request in proxy.requests), 1)
        self.assert_nothing_left()

    def test_a_stalled_transfer_times_out(self):
        self.refused_through(blobs({"rate": 2000}), "time", ENROOT_TRANSFER_TIMEOUT="2",
                             ENROOT_TRANSFER_RETRIES="0")

    def test_a_closed_port_is_named(self):
        self.refused("import", "docker://127.0.0.1:9#tests/x", env=ALLOW, says="127.0.0.1")
        self.assert_nothing_left()

    def test_a_host_without_an_address_is_named(self):
        self.refused("import", "docker://nosuchhost.test#tests/x", says="nosuchhost.test")
        self.assert_nothing_left()


class TestInterruption(FailureCase):
    def test_ctrl_c_leaves_nothing(self):
        process = self.half_of_a_slow_import()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)
        self.assert_nothing_left()

    def test_sigterm_leaves_nothing(self):
        process = self.half_of_a_slow_import()
        process.terminate()
        process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)
        self.assert_nothing_left()

    def test_kill_leaves_no_image_and_the_next_import_clears_up(self):
        process = self.half_of_a_slow_import()
        process.kill()
        process.communicate()
        self.assertFalse(os.path.exists(self.user.work + "/x.sqsh"))
        self.enroot("import", "-o", "x.sqsh", "docker://%s#tests/slow" % self.upstream, env=ALLOW)
        self.assertEqual(harness.files_below(self.user.work), ["x.sqsh"])
        os.unlink(self.user.work + "/x.sqsh")
        self.assert_nothing_left()

    def test_another_import_goes_on_when_the_one_it_waits_for_is_killed(self):
        first = self.half_of_a_slow_import()
        second = self.start("enroot", "import", "-o", "y.sqsh",
                            "docker://%s#tests/slow" % self.upstream, env=ALLOW)
        time.sleep(0.5)
        first.kill()
        first.communicate()
        _, err = second.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(second.returncode, 0, err)
        self.assert_image_valid(self.user.work + "/y.sqsh")


class TestDisks(FailureCase):
    def small_disk(self, path, size="300k"):
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=700,uid=%d,gid=%d" % (
            size, self.user.uid, self.user.gid), "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path])

    def import_here(self, output="x.sqsh"):
        return ("import", "-o", output, "docker://%s#%s" % (self.upstream, self.name))

    def test_a_full_disk_under_the_output_is_named(self):
        self.small_disk(self.user.work + "/small")
        result = self.refused(*self.import_here("small/x.sqsh"), env=ALLOW, says="no space left")
        self.assertIn("small", result.err)
        self.assert_nothing_left()

    def test_a_full_disk_under_the_cache_names_path_and_variable(self):
        path = self.user.home + "/.cache"
        self.small_disk(path)
        result = self.refused(*self.import_here(), env=ALLOW, says="no room|no space left")
        self.assertIn("ENROOT_CACHE_PATH", result.err)
        self.assert_nothing_left()

    def test_a_full_disk_under_the_containers_leaves_no_container(self):
        self.small_disk(self.user.home + "/.local")
        subprocess.run(["cp", harness.world.library.squashed("application"),
                        self.user.work + "/x.sqsh"], check=True)
        self.refused("create", "x.sqsh", says="no space left")
        self.assertEqual(self.enroot("list").out, "")
        self.assertEqual(harness.files_below(self.data_path()), [])

    def test_an_unwritable_output_directory_is_named(self):
        os.mkdir(self.user.work + "/locked", 0o755)  # root's
        result = self.refused(*self.import_here("locked/x.sqsh"), env=ALLOW,
                              says="permission denied")
        self.assertIn("locked", result.err)

    def test_a_missing_output_directory_is_named(self):
        self.refused(*self.import_here("missing/x.sqsh"), env=ALLOW, says="missing")

    def test_an_unwritable_cache_is_named(self):
        os.mkdir(self.user.home + "/.cache", 0o755)  # root's
        result = self.refused(*self.import_here(), env=ALLOW, says="permission denied")
        self.assertRegex(result.err, "ENROOT_CACHE_PATH|/.cache")
        self.assert_nothing_left()

    def test_an_output_is_refused_before_anything_is_fetched(self):
        server = harness.world.servers.plain
        before = server.blobs_sent()
        os.mkdir(self.user.work + "/locked", 0o755)
        self.refused(*self.import_here("locked/x.sqsh"), env=ALLOW, says="permission denied")
        self.assertEqual(server.blobs_sent(), before)


class TestBadLayers(FailureCase):
    """Blobs whose digests match, with content that is no layer."""

    def refused_layer(self, blob, says):
        path = "%s/%s" % (harness.world.library.path, self._testMethodName)
        image = images.Layout(path)
        layer = image.blob(blob, images.OCI_LAYER + "+gzip"), images.digest(blob)
        image.finish(image.manifest([layer]))
        images.push(path, self.upstream, "tests/bad")
        subprocess.run(["rm", "-r", path], check=True)
        self.refused("import", "-o", "x.sqsh", "docker://%s#tests/bad" % self.upstream, env=ALLOW,
                     says=says)
        self.assert_nothing_left()

    def test_a_layer_that_ends_in_the_middle_is_refused(self):
        tar = images.Tar().file("file", os.urandom(100000)).bytes()
        for program in ("gzip", "zstd", "xz", "bzip2"):
            with self.subTest(program):
                whole = images.compressed(tar, program)
                self.refused_layer(whole[:len(whole) // 2], "layer|truncat|end")
        with self.subTest("tar"):
            self.refused_layer(images.compressed(tar[:60000], "gzip"), "layer|truncat|end")

    def test_a_layer_with_a_wrong_checksum_is_refused(self):
        whole = bytearray(images.compressed(images.Tar().file("f", os.urandom(50000)).bytes(),
                                            "gzip"))
        whole[-8] ^= 1
        self.refused_layer(bytes(whole), "layer|crc|checksum|corrupt|damaged")

    def test_a_layer_that_is_no_archive_is_refused(self):
        for blob in (b"#!/bin/sh\ntouch /tmp/run\n", os.urandom(5000),
                     images.compressed(os.urandom(5000), "gzip")):
            self.refused_layer(blob, "layer|archive|tar")

    def test_garbage_in_a_header_is_refused(self):
        tar = bytearray(images.Tar().file("a", b"x").file("b", b"y").bytes())
        tar[148 + 1024:156 + 1024] = b"999999\0 "
        self.refused_layer(images.compressed(bytes(tar), "gzip"), "layer|archive|tar|checksum")
