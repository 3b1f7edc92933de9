"""The main job as the README shows it, with Docker Hub's names answered on loopback:
TLS with a private authority, tokens from another host, port 443."""
import os
import re
import subprocess

import harness
from test_hooks import library_path

README = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../README.md")


class TestHub(harness.Case):
    def setUp(self):
        super().setUp()
        self.hub = harness.world.servers.hub
        harness.world.library.pushed("alpine")

    def test_the_whole_job_runs_verbatim(self):
        subprocess.run(["skopeo", "copy", "--quiet",
                        "oci:" + harness.world.library.layout("application") + ":latest",
                        "docker-archive:" + self.user.work + "/image.tar"], check=True)
        os.chmod(self.user.work + "/image.tar", 0o644)
        with open(README) as file:
            job = file.read().split("```\n")[1].splitlines()
        says = {"cat": "ID=alpine", "--root": r"uid=0\(root\) gid=0\(root\)",
                "id": r"uid=%d\(%s\)" % (self.user.uid, self.user.name), "ps": "sleep",
                "list": r"(?m)^alpine\+latest$"}
        for line in job:
            running = self.start("enroot", "start", "alpine+latest", "sleep", "1000") \
                if " exec " in line else None
            if running:
                self.wait_for_program("sleep")
            result = self.run_command("sh", "-ec", line,
                                      env={"ENROOT_LIBRARY_PATH": library_path()})
            if running:
                running.kill()
                running.communicate()
            self.assertEqual(result.code, 0, result)
            expected = [text for word, text in says.items() if word in line.split("#")[0].split()]
            self.assertRegex(result.out, expected[0] if expected else r"\A\Z", result)
        self.assertEqual(sorted(os.listdir(self.user.work)),
                         ["alpine+latest.run", "alpine+latest.sqsh", "image.sqsh", "image.tar"])
        self.assertEqual(harness.files_below(self.data_path()), [])

    def test_a_change_with_rw_stays_in_the_container(self):
        self.enroot("import", "docker://alpine:latest")
        self.enroot("create", "alpine+latest.sqsh")
        self.enroot("start", "--root", "--rw", "alpine+latest", "touch", "/x")
        status = os.stat(self.data_path("alpine+latest/x"))
        self.assertEqual((status.st_uid, status.st_gid), (self.user.uid, self.user.gid))

    def test_every_way_to_write_a_hub_reference_is_understood(self):
        for reference, name in (
                ("alpine", "alpine.sqsh"),
                ("alpine:latest", "alpine+latest.sqsh"),
                ("docker.io#alpine:latest", "alpine+latest.sqsh"),
                ("docker.io/alpine", "alpine.sqsh"),
                ("index.docker.io/library/alpine:latest", None),
                ("registry-1.docker.io#library/alpine:latest", None)):
            with self.subTest(reference):
                self.enroot("import", "docker://" + reference)
                found = harness.files_below(self.user.work)
                self.assertEqual(len(found), 1)
                if name:
                    self.assertEqual(found, [name])
                os.unlink(self.user.work + "/" + found[0])

    def test_the_name_of_an_image_in_a_namespace_joins_its_parts_with_plus(self):
        harness.world.library.pushed("application")
        self.enroot("import", "docker://tests/application:latest")
        self.assertEqual(harness.files_below(self.user.work), ["tests+application+latest.sqsh"])

    def test_an_anonymous_pull_asks_for_a_token_without_credentials(self):
        tokens = harness.world.servers.hub_tokens
        before = len(tokens.requests)
        self.enroot("import", "docker://alpine")
        asked = tokens.requests[before:]
        self.assertEqual({request["authorization"] for request in asked}, {None})
        self.assertEqual(asked[0]["query"]["scope"], ["repository:library/alpine:pull"])
        self.assertEqual(asked[0]["query"]["service"], ["registry.test"])

    def test_an_unknown_image_is_named(self):
        self.refused("import", "docker://nosuchimage", says="nosuchimage")
        self.assert_nothing_left()

    def test_an_unknown_tag_is_named(self):
        self.refused("import", "docker://alpine:nosuchtag", says="nosuchtag")
        self.assert_nothing_left()

    def test_messages_go_to_stderr_with_their_level(self):
        result = self.enroot("import", "docker://alpine")
        self.assertEqual(result.out, "")
        for line in filter(None, result.err.splitlines()):
            self.assertTrue(re.match(r"\[(INFO|WARN)\] ", line), result)
        self.assertNotIn("\x1b", result.err)

    def test_wrong_authority_is_refused(self):
        self.refused("import", "docker://alpine", env={"SSL_CERT_FILE": None},
                     says="certificate|SSL")
        self.assert_nothing_left()
