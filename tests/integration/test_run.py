"""run: an image of a registry started at once, kept in the cache by its digest."""
import os
import signal
import subprocess
import time

import harness
import servers
from test_cache import CacheCase


class TestRun(CacheCase):
    def run_image(self, *words, **more):
        return self.enroot("run", *words, **more)

    def images(self):
        return [item for item in self.items() if item["kind"] == "image"]

    def test_imports_and_starts(self):
        result = self.run_image(self.reference(), "sh", "-c", "cat /etc/os-release; id -u")
        self.assertIn("alpine", result.out)
        self.assertIn(str(self.user.uid), result.out)
        self.assertIn("Created", result.err)
        self.assertEqual(harness.files_below(self.user.work), [])
        self.assertEqual(len(self.images()), 1)
        self.assertIn("#" + harness.world.library.pushed("alpine"), self.images()[0]["provenance"])

    def test_the_second_run_asks_nobody(self):
        """Scenario 13: the second start of an image that is already there is immediate."""
        self.run_image(self.reference(), "true")
        before = harness.world.servers.plain.requests("")
        result = self.run_image(self.reference(), "true")
        self.assertEqual(harness.world.servers.plain.requests(""), before)
        self.assertEqual(result.err, "")
        self.run_image("--pull", "never", self.reference(), "true")
        self.run_image("--pull", "always", self.reference(), "true")
        self.assertNotEqual(harness.world.servers.plain.requests(""), before)
        self.assertEqual(len(self.images()), 1)

    def test_references_to_one_digest_share_an_image(self):
        digest = self.images_of(self.reference())[0]["digest"]
        pinned = self.reference().rsplit(":", 1)[0] + "@" + digest
        result = self.run_image(pinned, "true")
        self.assertNotIn("Created", result.err)
        self.assertEqual(len(self.images()), 1)

    def images_of(self, reference):
        self.run_image(reference, "true")
        return self.images()

    def test_the_short_form_of_docker(self):
        server = harness.world.servers.plain
        name = harness.world.library.pushed("alpine")
        self.run_image("%s/%s" % (server.host, name), "true")
        self.assertEqual(len(self.images()), 1)

    def test_an_image_file_is_started_as_it_is(self):
        path = harness.world.library.squashed("alpine")
        os.symlink(path, self.user.work + "/here.sqsh")
        for word in (path, "./here.sqsh", "here.sqsh"):
            self.assertIn("alpine", self.run_image(word, "cat", "/etc/os-release").out)
        self.assertEqual(self.items(), [])
        self.refused("run", "./missing.sqsh", says="image file ./missing.sqsh: No such file")

    def test_what_cannot_be_run_is_explained(self):
        self.refused("run", "--pull", "sometimes", self.reference(),
                     says="--pull sometimes: missing, always or never")
        self.refused("run", "--pull", "never", self.reference(), says="is not in the cache")
        self.refused("run", self.reference() + "-none", says="not found|unknown|no such")
        self.assertEqual(self.items(), [])

    def test_options_of_start_and_the_exit_status(self):
        result = self.run_image("--root", "--env", "A=b", "-m", "/usr:/mnt", self.reference(), "sh",
                                "-c", "id -u; echo $A; ls /mnt")
        self.assertEqual(result.out.split()[:2], ["0", "b"])
        self.assertIn("bin", result.out)
        self.assertEqual(self.run_command("enroot", "run", self.reference(), "sh", "-c",
                                          "exit 7").code, 7)

    def test_many_at_once_import_once(self):
        blobs = self.sent()
        processes = [self.start("enroot", "run", self.reference("application"), "true")
                     for _ in range(6)]
        errors = [harness.text(process.communicate(timeout=harness.TIMEOUT)[1])
                  for process in processes]
        self.assertEqual([process.returncode for process in processes], [0] * 6, errors)
        self.assertEqual(sum("Created" in text for text in errors), 1, errors)
        self.assertEqual(len(self.images()), 1)
        self.assertGreater(self.sent(), blobs)

    def test_a_cancelled_import_leaves_blobs_only(self):
        with servers.Proxy(harness.world.servers.plain.host, lambda request: {"rate": 300000}
                           if "/blobs/" in request["path"] else None) as proxy:
            process = self.start("enroot", "run", "docker://%s#%s" % (
                proxy.host, harness.world.library.pushed("application")), "true")
            while process.poll() is None and not proxy.matching("/blobs/"):
                time.sleep(0.01)
            process.terminate()
            process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertEqual(self.wait_for_no_process(self.user), [])
        self.assert_nothing_left()

    def test_gc_removes_an_image_while_it_runs(self):
        process = self.start("enroot", "run", self.reference(), "sh", "-c",
                             "echo up; read x; cat /etc/os-release", stdin=subprocess.PIPE)
        process.stdout.readline()
        self.enroot("cache", "remove", "--all")
        out, err = process.communicate(b"\n", timeout=harness.TIMEOUT)
        self.assertIn(b"alpine", out, err)
        self.assertEqual(self.items(), [])
