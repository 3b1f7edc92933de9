"""The main job as the README shows it, with Docker Hub's names answered on loopback:
TLS with a private authority, tokens from another host, port 443."""
import os
import re

import harness

JOB = """
enroot import docker://alpine:latest
enroot create alpine+latest.sqsh
enroot start alpine+latest cat /etc/os-release
enroot start --root --rw alpine+latest sh -c 'id; touch /x'
enroot start alpine+latest.sqsh id
enroot list; enroot remove -f alpine+latest; enroot version; enroot help
"""


class TestHub(harness.Case):
    def setUp(self):
        super().setUp()
        self.hub = harness.world.servers.hub
        harness.world.library.pushed("alpine")

    def test_the_whole_job_runs_verbatim(self):
        outputs = []
        for line in JOB.strip().splitlines():
            result = self.run_command("sh", "-ec", line)
            self.assertEqual(result.code, 0, result)
            outputs.append(result.out)
        imported, created, release, changed, direct, rest = outputs
        self.assertTrue(os.path.isfile(self.user.work + "/alpine+latest.sqsh"))
        self.assertEqual(imported + created, "")
        self.assertIn("ID=alpine", release)
        self.assertIn("uid=0(root) gid=0(root)", changed)
        self.assertIn("uid=%d(%s)" % (self.user.uid, self.user.name), direct)
        self.assertEqual(rest.splitlines()[0], "alpine+latest")
        self.assertRegex(rest, r"(?m)^\S*\d+\.\d+\.\d+$")
        for word in ("usage", "import", "create", "start", "list", "remove", "version"):
            self.assertIn(word, rest.lower())
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
