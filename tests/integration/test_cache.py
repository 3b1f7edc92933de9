"""The cache (list, gc, verify, remove, limits, the site's cache) and import --ensure."""
import json
import os
import re
import signal
import subprocess
import time

import harness
import servers
import images


class CacheCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.env["ENROOT_ALLOW_HTTP"] = "yes"

    def reference(self, image="alpine"):
        server = harness.world.servers.plain
        return "docker://%s#%s" % (server.host, harness.world.library.pushed(image))

    def items(self):
        return json.loads(self.enroot("cache", "list", "--json").out)

    def sent(self):
        return harness.world.servers.plain.blobs_sent()

    def biggest(self):
        return max(self.items(), key=lambda item: item["bytes"])

    def blob_file(self, digest):
        return self.cache_path(digest.replace(":", "-"))

    def damage(self, digest):
        """Change a byte in the middle of a blob and leave its size as it is."""
        with open(self.blob_file(digest), "r+b") as file:
            file.seek(os.path.getsize(file.name) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x55]))

    def age(self, seconds):
        for name in os.listdir(self.cache_path()):
            os.utime(self.cache_path(name), (time.time() - seconds,) * 2)


class TestCache(CacheCase):
    def test_list_of_an_empty_cache(self):
        self.assertEqual(self.items(), [])
        self.assertRegex(self.enroot("cache", "list").out, r"\ADIGEST +KIND +SIZE +USED")

    def test_list_names_what_an_import_left(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        items = self.items()
        self.assertEqual({item["kind"] for item in items}, {"blob"})
        self.assertEqual(sorted(self.blob_file(item["digest"]) for item in items),
                         sorted(self.cache_path(name) for name in os.listdir(self.cache_path())))
        table = self.enroot("cache", "list").out
        for item in items:
            self.assertIn(item["digest"][:19], table)
            self.assertLess(abs(item["used"] - time.time()), 600)

    def test_a_second_import_moves_no_layer_bytes(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        before = self.sent()
        self.enroot("import", "-o", "b.sqsh", self.reference())
        self.assertEqual(self.sent(), before)

    def test_gc_by_age_and_by_size(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        self.refused("cache", "gc", says="no limit.*--max-size")
        self.refused("cache", "gc", "--max-size", "much", says="--max-size much: not a size")
        self.refused("cache", "gc", "--max-age", "30", says="not a length of time")
        self.enroot("cache", "gc", "--max-age", "1h", "--max-size", "1G")
        count = len(self.items())
        self.assertGreater(count, 0)
        self.age(7200)
        self.enroot("import", "-o", "b.sqsh", self.reference("application"))
        result = self.enroot("cache", "gc", "--max-age", "1h")
        self.assertRegex(result.err, r"Removed \d+ items")
        kept = self.items()
        self.assertTrue(kept)
        self.assertTrue(all(time.time() - item["used"] < 3600 for item in kept))
        self.enroot("cache", "gc", env={"ENROOT_CACHE_MAX_SIZE": "1"})
        self.assertEqual(self.items(), [])

    def test_a_use_counts(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        self.age(7200)
        self.enroot("import", "-o", "b.sqsh", self.reference())
        self.enroot("cache", "gc", "--max-age", "1h")
        before = self.sent()
        self.enroot("import", "-o", "c.sqsh", self.reference())
        self.assertEqual(self.sent(), before)

    def test_limits_of_the_configuration_are_kept_after_an_import(self):
        self.enroot("import", "-o", "a.sqsh", self.reference(),
                    env={"ENROOT_CACHE_MAX_SIZE": "1K"})
        self.assertLessEqual(sum(item["bytes"] for item in self.items()), 8192)

    def test_gc_beside_a_running_import(self):
        """It takes what others have left, and nothing that the import has or still needs."""
        name = harness.world.library.pushed("application")
        self.enroot("import", "-o", "other.sqsh", self.reference("window"))
        with servers.Proxy(harness.world.servers.plain.host, lambda request: {"rate": 400000}
                           if "/blobs/" in request["path"] else None) as proxy:
            process = self.start("enroot", "import", "-o", "b.sqsh",
                                 "docker://%s#%s" % (proxy.host, name))
            while process.poll() is None:
                self.enroot("cache", "gc", "--max-size", "1")
                time.sleep(0.05)
        self.assertEqual(process.returncode, 0, harness.text(process.stderr.read()))
        blobs = [request["path"] for request in proxy.matching("/blobs/")]
        self.assertEqual(len(blobs), len(set(blobs)), "fetched twice")
        self.assert_image_valid(self.user.work + "/b.sqsh")

    def test_verify_finds_and_removes_what_is_damaged(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        self.assertIn("items are sound", self.enroot("cache", "verify").err)
        victim = self.biggest()["digest"]
        self.damage(victim)
        result = self.refused("cache", "verify", says="1 items of the cache were damaged")
        self.assertIn(victim, result.err)
        self.assertNotIn(victim, [item["digest"] for item in self.items()])
        self.enroot("cache", "verify")
        self.enroot("import", "-o", "b.sqsh", self.reference())
        with open(self.user.work + "/a.sqsh", "rb") as a, open(self.user.work + "/b.sqsh", "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_an_import_fetches_a_damaged_layer_again(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        self.damage(self.biggest()["digest"])
        result = self.enroot("import", "-o", "b.sqsh", self.reference())
        self.assertIn("was damaged in the cache", result.err)
        with open(self.user.work + "/a.sqsh", "rb") as a, open(self.user.work + "/b.sqsh", "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_a_damaged_configuration_is_not_believed(self):
        self.enroot("import", "-o", "a.sqsh", self.reference("application"))
        for item in self.items():
            with open(self.blob_file(item["digest"]), "rb") as file:
                if file.read(1) == b"{":
                    break
        with open(self.blob_file(item["digest"]), "r+b") as file:
            text = file.read()
            file.seek(0)
            file.write(text.replace(b"someone", b"nobody!"))
        self.enroot("import", "-o", "b.sqsh", self.reference("application"))
        rc = subprocess.run(["unsquashfs", "-cat", self.user.work + "/b.sqsh", "etc/rc"],
                            stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertIn("# maintainer someone", rc)

    def test_remove_by_digest_and_all(self):
        self.enroot("import", "-o", "a.sqsh", self.reference())
        first = self.items()[0]["digest"]
        self.refused("cache", "remove", says="either digests or --all")
        self.refused("cache", "remove", "--all", first, says="either digests or --all")
        self.refused("cache", "remove", first, "0123456789", says="nothing in the cache begins so")
        self.assertIn(first, [item["digest"] for item in self.items()])
        self.refused("cache", "remove", "sha256:12", says="at least 6 digits")
        self.enroot("cache", "remove", first[7:20])
        self.assertNotIn(first, [item["digest"] for item in self.items()])
        self.enroot("cache", "remove", "--all")
        self.assertEqual(self.items(), [])

    def test_a_cache_of_the_site_is_looked_up_first(self):
        site = harness.world.work + "/site-cache"
        self.enroot("import", "-o", "a.sqsh", self.reference())
        subprocess.run(["rm", "-rf", site], check=True)
        subprocess.run(["cp", "-a", self.cache_path(), site], check=True)
        subprocess.run(["chown", "-R", "root:root", site], check=True)
        subprocess.run(["chmod", "-R", "a+rX", site], check=True)
        self.enroot("cache", "remove", "--all")
        before = self.sent()
        env = {"ENROOT_SITE_CACHE_PATH": site}
        self.enroot("import", "-o", "b.sqsh", self.reference(), env=env)
        self.assertEqual(self.sent(), before)
        self.assertEqual(self.items(), [])
        result = self.enroot("import", "-o", "c.sqsh", self.reference(),
                             env={"ENROOT_SITE_CACHE_PATH": site + "-missing"})
        self.assertIn("going on without it", result.err)

    def test_no_room_is_found_out_before_the_download(self):
        cache = harness.world.work + "/small-cache"
        os.mkdir(cache)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=777", "tmpfs", cache],
                       check=True)
        before = self.sent()
        self.refused("import", "-o", "a.sqsh", self.reference("debian"),
                     env={"ENROOT_CACHE_PATH": cache + "/c"},
                     says="%s/c: no room: .* are needed, .* are free; .*ENROOT_CACHE_PATH" % cache)
        self.assertLessEqual(self.sent() - before, 1)  # the configuration


class TestEnsure(CacheCase):
    def ensure(self, reference, *options, **more):
        return self.enroot("import", "--ensure", "-o", "a.sqsh", *options, reference, **more)

    def inode(self):
        return os.stat(self.user.work + "/a.sqsh").st_ino

    def push(self, name, text):
        """An image of one file under a tag that moves."""
        path = "%s/%s" % (harness.world.library.path, self._testMethodName)
        subprocess.run(["rm", "-rf", path], check=True)
        tar = images.Tar()
        tar.file("text", text.encode())
        images.layout(path, [tar])
        images.push(path, harness.world.servers.plain.host, "tests/" + name)
        return "docker://%s#tests/%s" % (harness.world.servers.plain.host, name)

    def test_makes_keeps_and_replaces(self):
        reference = self.push("moving", "one")
        self.ensure(reference)
        inode = self.inode()
        before = self.sent()
        self.assertIn("up to date", self.ensure(reference).err)
        self.assertEqual(self.inode(), inode)
        self.assertEqual(self.sent(), before)
        self.push("moving", "two")
        self.ensure(reference)
        self.assertEqual(subprocess.run(["unsquashfs", "-cat", self.user.work + "/a.sqsh", "text"],
                                        stdout=subprocess.PIPE, check=True).stdout, b"two")

    def test_a_pinned_image_needs_no_registry(self):
        image = self.enroot("import", "-o", "x.sqsh", self.reference())
        self.assertTrue(image)
        record = json.loads(subprocess.run(
            ["unsquashfs", "-cat", self.user.work + "/x.sqsh", "etc/enroot-image.json"],
            stdout=subprocess.PIPE, check=True).stdout)
        pinned = re.sub(r":latest\Z", "", self.reference()) + "@" + record["digest"]
        self.ensure(pinned)
        self.ensure(pinned, env={"http_proxy": "http://127.0.0.1:9", "no_proxy": ""})
        self.refused("import", "--ensure", "-o", "a.sqsh", "-a", "arm64", pinned, says="arm64|arch")

    def test_what_is_something_else_is_not_replaced(self):
        path = self.user.work + "/a.sqsh"
        with open(path, "w") as file:
            file.write("mine\n")
        self.refused("import", "--ensure", "-o", "a.sqsh", self.reference(),
                     says="exists and is no image file")
        os.unlink(path)
        self.ensure(self.reference())
        self.refused("import", "--ensure", "-o", "a.sqsh", self.reference("application"),
                     says="exists and was made from docker://")

    def test_a_damaged_image_is_made_anew(self):
        self.ensure(self.reference())
        os.truncate(self.user.work + "/a.sqsh", 5000)
        self.assertIn("making it anew", self.ensure(self.reference()).err)
        self.assert_image_valid(self.user.work + "/a.sqsh")

    def test_many_at_once_make_one(self):
        processes = [self.start("enroot", "import", "--ensure", "-o", "a.sqsh",
                                self.reference("debian")) for _ in range(6)]
        errors = []
        for process in processes:
            errors.append(harness.text(process.communicate(timeout=harness.TIMEOUT)[1]))
            self.assertEqual(process.returncode, 0, errors[-1])
        self.assertEqual(sum("Created a.sqsh" in text for text in errors), 1, errors)
        self.assertEqual(harness.files_below(self.user.work), ["a.sqsh"])

    def test_a_killed_import_is_taken_over(self):
        process = self.start("enroot", "import", "--ensure", "-o", "a.sqsh",
                             self.reference("debian"))
        lease = self.user.work + "/.a.sqsh.lease"
        # Once it says whose it is, the end of its holder is noticed at once.
        while process.poll() is None and not (os.path.exists(lease) and os.path.getsize(lease)):
            time.sleep(0.005)
        process.kill()
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.ensure(self.reference("debian"))
        self.assertEqual(harness.files_below(self.user.work), ["a.sqsh"])
        self.assert_image_valid(self.user.work + "/a.sqsh")
