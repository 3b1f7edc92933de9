"""Large layers: several ranges at once, and downloads that go on where a run ended."""
import contextlib
import glob
import hashlib
import os
import re
import signal
import time

import harness
import images
import servers

ALLOW = {"ENROOT_ALLOW_HTTP": "yes"}
LARGE = 40 << 20  # above the size from which blobs come in ranges
CHUNK = 4 << 20
RATE = 40 << 20  # bytes a second of one connection


class RangeCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.upstream = harness.world.servers.plain.host
        self.image, self.digest = self.push("ranges", LARGE)

    def push(self, name, size):
        """An image of one layer; its repository, and the digest of the layer."""
        path = "%s/%s" % (harness.world.library.path, name)
        if not os.path.exists(path):
            layout = images.Layout(path)
            layer = layout.layer(images.Tar().file("random", os.urandom(size)), None)
            layout.finish(layout.manifest([layer]))
        images.push(path, self.upstream, "tests/" + name)
        [layer] = [blob for blob in glob.glob(path + "/blobs/sha256/*")
                   if os.path.getsize(blob) >= size]
        return "tests/" + name, "sha256:" + os.path.basename(layer)

    def start_import(self, proxy, output="x.sqsh", image=None, **env):
        return self.start("enroot", "import", "-o", output,
                          "docker://%s#%s" % (proxy.host, image or self.image),
                          env={**ALLOW, **env})

    def finish(self, process):
        _, err = process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0, harness.text(err))
        return harness.text(err)

    def through(self, rule=None, **env):
        """Import through a proxy that applies a rule to the large layer."""
        with servers.Proxy(self.upstream, lambda request: rule(request)
                           if rule and self.digest in request["path"] else None) as proxy:
            log = self.finish(self.start_import(proxy, **env))
        self.assert_cached(self.digest)
        return proxy, log

    def assert_cached(self, digest):
        with open(self.cache_path(digest.replace(":", "-")), "rb") as file:
            self.assertEqual("sha256:" + hashlib.sha256(file.read()).hexdigest(), digest)
        self.assertEqual(glob.glob(self.cache_path(".*")), [])

    def ranges(self, proxy):
        """The ranges that were asked for, in order of their beginning."""
        found = []
        for request in proxy.matching(self.digest):
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", request["headers"].get("Range", "bytes=0-"))
            found.append((int(match[1]), int(match[2]) + 1 if match[2] else None))
        return sorted(found, key=lambda item: item[0])


class TestRanges(RangeCase):
    def test_a_large_layer_comes_in_several_ranges_at_once(self):
        proxy, _ = self.through(lambda request: {"rate": RATE}, ENROOT_MAX_CONNECTIONS="4")
        asked = self.ranges(proxy)
        self.assertGreater(len(asked), 3)
        self.assertEqual([start for start, _ in asked],
                         [index * CHUNK for index in range(len(asked))])
        self.assertGreater(proxy.peak, 1)
        self.assertLessEqual(proxy.peak, 4)

    def test_one_connection_means_one_request_at_a_time(self):
        proxy, _ = self.through(ENROOT_MAX_CONNECTIONS="1")
        self.assertEqual(proxy.peak, 1)
        self.assertEqual(len(self.ranges(proxy)), 1)

    def test_a_server_that_ignores_ranges_is_asked_once(self):
        proxy, _ = self.through(lambda request: {"ranges": False})
        self.assertEqual(len(self.ranges(proxy)), 1)

    def test_a_server_that_refuses_ranges_is_asked_for_the_whole(self):
        self.through(lambda request: {"status": 416} if "Range" in request["headers"] else None)

    def test_a_server_that_ignores_later_ranges_works(self):
        self.through(lambda request: {"ranges": request["count"] == 0, "rate": RATE})

    def test_ranges_of_another_entity_are_not_mixed_in(self):
        """Each range has an ETag of its own: the whole is put together from the first's."""
        self.through(lambda request: {"add": {"ETag": '"%d"' % request["count"]}, "rate": RATE})

    def test_ranges_that_fail_are_fetched_by_the_first_request(self):
        for action in ({"status": 403}, {"status": 206, "body": b"x" * 100,
                                         "headers": {"Content-Range": "bytes 5-104/1000"}},
                       {"status": 206, "body": b"x" * 100}):
            with self.subTest(action):
                self.through(lambda request: {**action} if request["count"] in (1, 2)
                             else {"rate": RATE}, ENROOT_CACHE_PATH=self.cache_path())
                os.unlink(self.user.work + "/x.sqsh")
                os.unlink(self.cache_path(self.digest.replace(":", "-")))

    def test_ranges_that_are_cut_are_resumed(self):
        proxy, log = self.through(lambda request: {"cut": 3 << 20, "rate": RATE}
                                  if request["count"] in (0, 2) else {"rate": RATE})
        self.assertIn("trying again", log)
        self.assertIn(3 << 20, [start % CHUNK for start, _ in self.ranges(proxy)])

    def test_a_damaged_range_is_found_by_the_digest(self):
        with servers.Proxy(self.upstream, lambda request: {
                "change": lambda body: b"\0" * len(body)} if request["count"] == 2
                and self.digest in request["path"] else None) as proxy:
            self.refused("import", "docker://%s#%s" % (proxy.host, self.image), env=ALLOW,
                         says="the content is sha256")
        self.assertEqual(glob.glob(self.cache_path(".*")), [])

    def test_ranges_go_to_where_the_first_request_was_sent(self):
        def rule(request):
            return {"status": 307, "headers": {"Location": "http://%s%s" % (
                store.host, request["path"])}} if self.digest in request["path"] else None
        with servers.Proxy(self.upstream, lambda request: {"rate": RATE},
                           "127.0.0.2:0", "blobs.test") as store, \
                servers.Proxy(self.upstream, rule) as proxy:
            self.finish(self.start_import(proxy))
        self.assertEqual(len(proxy.matching(self.digest)), 1)
        self.assertGreater(len(store.matching(self.digest)), 3)

    def test_expired_addresses_of_ranges_are_renewed(self):
        """A store whose signed addresses are good for one request."""
        used = set()

        def registry(request):
            if self.digest not in request["path"]:
                return None
            return {"status": 307, "headers": {"Location": "http://%s%s?once=%d" % (
                store.host, request["path"], request["count"])}}

        def once(request):
            if request["path"] in used:
                return {"status": 403}
            used.add(request["path"])
            return None
        with servers.Proxy(self.upstream, once, "127.0.0.2:0", "blobs.test") as store, \
                servers.Proxy(self.upstream, registry) as proxy:
            self.finish(self.start_import(proxy))
        self.assert_cached(self.digest)

    def test_a_token_that_expires_between_ranges_is_renewed(self):
        """Every token is good for two requests of the layer."""
        issued, used = [], {}

        def rule(request):
            if request["path"].startswith("/token"):
                issued.append("t%d" % len(issued))
                return {"status": 200, "body": b'{"token":"%s"}' % issued[-1].encode()}
            token = request["headers"].get("Authorization", "").removeprefix("Bearer ")
            used[token] = used.get(token, 0) + (self.digest in request["path"])
            if token not in issued or used[token] > 2:
                return {"status": 401, "headers": {
                    "WWW-Authenticate": 'Bearer realm="http://%s/token"' % proxy.host}}
            return {"rate": RATE}
        with servers.Proxy(self.upstream) as proxy:
            proxy.rule = rule
            self.finish(self.start_import(proxy))
        self.assert_cached(self.digest)
        self.assertGreater(len(issued), 2)

    def test_a_rate_limit_of_ranges_is_waited_for(self):
        self.through(lambda request: {"status": 429, "headers": {"Retry-After": "1"}}
                     if request["count"] in (1, 2, 3) else {"rate": RATE})


class TestResumption(RangeCase):
    def interrupted(self, how, image=None, digest=None):
        """Begin an import, and end it in the middle of the layer; what is left of it."""
        digest = digest or self.digest
        with servers.Proxy(self.upstream, lambda request: {"rate": 4 << 20}
                           if digest in request["path"] else None) as proxy:
            process = self.start_import(proxy, image=image, ENROOT_MAX_CONNECTIONS="1")
            part = self.cache_path(".%s.partial" % digest.replace(":", "-"))
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(FileNotFoundError):
                    if os.path.getsize(part) > 1 << 20:
                        break
                time.sleep(0.02)
            process.send_signal(how)
            process.communicate(timeout=harness.TIMEOUT)
        self.assertNotEqual(process.returncode, 0)
        self.assertFalse(os.path.exists(self.cache_path(digest.replace(":", "-"))))
        return part

    def test_the_next_import_goes_on_where_one_ended(self):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how):
                had = os.path.getsize(self.interrupted(how))
                self.assertGreater(had, 1 << 20)
                proxy, log = self.through()
                self.assertEqual(self.ranges(proxy)[0][0], had)
                self.assertIn("Resuming " + self.digest[:19], log)
                self.assert_image_valid(self.user.work + "/x.sqsh")
                os.unlink(self.user.work + "/x.sqsh")
                os.unlink(self.cache_path(self.digest.replace(":", "-")))

    def test_a_part_takes_no_room_beyond_its_length(self):
        part = os.stat(self.interrupted(signal.SIGINT))
        self.assertLess(part.st_blocks * 512, part.st_size + (1 << 20))

    def test_a_part_is_not_taken_for_the_layer(self):
        self.interrupted(signal.SIGKILL)
        with servers.Proxy(self.upstream, lambda request: {"status": 404}
                           if self.digest in request["path"] else None) as proxy:
            self.refused("import", "docker://%s#%s" % (proxy.host, self.image), env=ALLOW,
                         says="404")

    def test_a_damaged_part_is_found_and_removed(self):
        part = self.interrupted(signal.SIGKILL)
        with open(part, "r+b") as file:
            file.write(b"\0" * 4096)
        reference = "docker://%s#%s" % (self.upstream, self.image)
        self.refused("import", reference, env=ALLOW,
                     says="the content is sha256.*of an earlier run and are removed: try again")
        self.assertFalse(os.path.exists(part))
        self.enroot("import", reference, env=ALLOW)

    def test_a_part_that_is_something_else_is_replaced(self):
        part = self.interrupted(signal.SIGKILL)
        for make in (lambda: os.symlink("/etc/passwd", part), lambda: os.mkfifo(part),
                     lambda: open(part, "wb").close()):  # root's
            with self.subTest(make):
                os.unlink(part)
                make()
                self.through()
                os.unlink(self.user.work + "/x.sqsh")
                os.unlink(self.cache_path(self.digest.replace(":", "-")))
                open(part, "wb").close()

    def test_old_parts_are_removed(self):
        part = self.interrupted(signal.SIGKILL)
        other, _ = self.push("other-ranges", 2 << 20)
        self.enroot("import", "-o", "a.sqsh", "docker://%s#%s" % (self.upstream, other), env=ALLOW)
        self.assertTrue(os.path.exists(part))
        os.utime(part, (time.time() - 8 * 24 * 3600,) * 2)
        name, _ = self.push("third-ranges", 2 << 20)
        self.enroot("import", "-o", "b.sqsh", "docker://%s#%s" % (self.upstream, name), env=ALLOW)
        self.assertFalse(os.path.exists(part))


class TestWarmCache(RangeCase):
    def test_a_second_import_moves_no_layer_bytes(self):
        """Counted in the registry's own access log."""
        server = harness.world.servers.plain
        reference = "docker://%s#%s" % (self.upstream, self.image)
        self.enroot("import", "-o", "a.sqsh", reference, env=ALLOW)
        before = server.blobs_sent()
        self.enroot("import", "-o", "b.sqsh", reference, env=ALLOW)
        self.assertEqual(server.blobs_sent(), before)
        with open(self.user.work + "/a.sqsh", "rb") as a, \
                open(self.user.work + "/b.sqsh", "rb") as b:
            self.assertEqual(a.read(), b.read())
