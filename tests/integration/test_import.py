"""Import: access control, references, platforms, the cache."""
import contextlib
import json
import os
import pty
import re
import subprocess
import time

import harness
import images
import servers


class ImportCase(harness.Case):
    """With a file of credentials for every host of the tests."""

    def credentials(self, text):
        path = os.path.join(self.user.home, ".config/enroot")
        os.makedirs(path, exist_ok=True)
        with open(path + "/.credentials", "w") as file:
            file.write(text)
        os.chmod(path + "/.credentials", 0o644)
        subprocess.run(["chown", "-R", self.user.name, self.user.home + "/.config"], check=True)

    def login(self, *hosts):
        self.credentials("".join("machine %s login %s password %s\n" % ((host,) + servers.LOGIN)
                                 for host in hosts))

    def push(self, name, layout):
        repository = "tests/" + name
        return repository, images.push(layout, harness.world.servers.plain.host, repository)

    def layout_path(self):
        return "%s/%s" % (harness.world.library.path, self._testMethodName)


class TestAccess(ImportCase):
    def test_plain_http_must_be_allowed(self):
        server = harness.world.servers.plain
        reference = "docker://%s#%s" % (server.host, harness.world.library.pushed("alpine"))
        self.refused("import", reference, says="ENROOT_ALLOW_HTTP|ssl|tls|https")
        self.assert_nothing_left()
        self.enroot("import", reference, env={"ENROOT_ALLOW_HTTP": "yes"})

    def test_a_private_authority_is_trusted_through_SSL_CERT_FILE(self):
        self.assert_image_valid(self.import_from(harness.world.servers.tls, "alpine"))

    def test_https_is_tried_first_where_http_is_allowed(self):
        self.import_from(harness.world.servers.tls, "alpine", env={"ENROOT_ALLOW_HTTP": "no"})

    def test_basic_credentials_come_from_the_credentials_file(self):
        self.login("registry.test")
        self.import_from(harness.world.servers.basic, "alpine")

    def test_token_credentials_come_from_the_credentials_file(self):
        self.login("registry.test", "auth.test")
        self.import_from(harness.world.servers.token, "alpine")

    def test_a_password_for_the_token_server_counts_beside_one_for_the_registry(self):
        # As NVIDIA's registry has it in the classic tool's manual: "both are required".
        self.credentials("machine registry.test login %s password other\n"
                         "machine auth.test login %s password %s\n"
                         % (servers.LOGIN[0], servers.LOGIN[0], servers.LOGIN[1]))
        self.import_from(harness.world.servers.token, "alpine")

    def test_a_password_for_the_token_server_alone_is_not_used(self):
        # Any registry may name any token server, and would get a token of the user's.
        self.login("auth.test")
        server = harness.world.servers.token
        self.refused("import", "docker://%s@%s#%s" % (
            servers.LOGIN[0], server.host, harness.world.library.pushed("alpine")),
            says="no password for the user")

    def test_credentials_may_be_filed_under_the_name_of_the_registry_alone(self):
        self.login("registry.test")
        self.import_from(harness.world.servers.token, "alpine")

    def test_missing_credentials_are_explained(self):
        for server in (harness.world.servers.basic, harness.world.servers.token):
            reference = "docker://%s#%s" % (server.host, harness.world.library.pushed("alpine"))
            self.refused("import", reference, says="credential|unauthori|denied|login")
        self.assert_nothing_left()

    def test_a_wrong_password_is_refused_and_not_shown(self):
        for server in (harness.world.servers.basic, harness.world.servers.token):
            self.credentials("".join("machine %s login alice password hunter2\n" % host
                                     for host in ("registry.test", "auth.test")))
            reference = "docker://%s#%s" % (server.host, harness.world.library.pushed("alpine"))
            result = self.refused("import", reference, says="credential|unauthori|denied|refused")
            self.assertNotIn("hunter2", result.err)
        self.assert_nothing_left()

    def test_the_user_of_a_reference_chooses_among_logins(self):
        self.credentials("machine registry.test login bob password wrong\n"
                         "machine registry.test login %s password %s\n" % servers.LOGIN)
        server = harness.world.servers.basic
        name = harness.world.library.pushed("alpine")
        self.refused("import", "docker://%s#%s" % (server.host, name), says="bob|credential")
        self.enroot("import", "docker://alice@%s#%s" % (server.host, name))

    def test_a_password_that_starts_with_a_dollar_is_expanded_by_a_shell(self):
        with open(self.user.home + "/secret", "w") as file:
            file.write(servers.LOGIN[1])
        os.chmod(self.user.home + "/secret", 0o644)
        self.credentials("machine registry.test login alice password $(cat ~/secret)\n")
        self.import_from(harness.world.servers.basic, "alpine")

    def test_no_password_is_visible_in_the_process_list(self):
        self.login("registry.test", "auth.test")
        process = self.start("strace", "-f", "-qq", "-e", "trace=execve", "-s", "4096", "enroot",
                             "import", "-o", "x.sqsh", "docker://%s#%s" % (
                                 harness.world.servers.basic.host,
                                 harness.world.library.pushed("alpine")))
        _, trace = process.communicate(timeout=harness.TIMEOUT)
        self.assertNotIn(servers.LOGIN[1], harness.text(trace))

    def test_an_expired_token_is_renewed_in_the_middle_of_a_pull(self):
        self.login("auth.test", "127.0.0.1")
        standing = harness.world.servers
        upstream, tokens = standing.short_token, standing.private_tokens
        layout = self.layout_path()
        repository, _ = self.push("expiry", images.layout(layout, [
            images.Tar().file("file%d" % index, os.urandom(400000)) for index in range(5)]))
        lifetime, tokens.lifetime = tokens.lifetime, 1
        before = len(tokens.requests)
        try:
            with servers.Proxy(upstream.host, lambda request: {"rate": 400000}
                               if "/blobs/" in request["path"] else None) as proxy:
                self.enroot("import", "-o", "x.sqsh", "docker://%s#%s" % (proxy.host, repository),
                            env={"ENROOT_ALLOW_HTTP": "yes", "ENROOT_MAX_CONNECTIONS": "1"})
        finally:
            tokens.lifetime = lifetime
        self.assertGreater(len(tokens.requests) - before, 1)
        self.assert_image_valid(self.user.work + "/x.sqsh")

    def test_a_redirect_to_another_host_carries_no_credentials(self):
        self.login("127.0.0.1")
        upstream = harness.world.servers.plain.host
        name = harness.world.library.pushed("alpine")
        with servers.Proxy(upstream, address="127.0.0.2:0", name="blobs.test") as other:
            def rule(request):
                if request["headers"].get("Authorization") != servers.basic(*servers.LOGIN):
                    return {"status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}}
                if "/blobs/" in request["path"]:
                    return {"status": 307, "headers": {
                        "Location": "http://%s%s" % (other.host, request["path"])}}
                return None
            with servers.Proxy(upstream, rule) as proxy:
                self.enroot("import", "docker://%s#%s" % (proxy.host, name),
                            env={"ENROOT_ALLOW_HTTP": "yes"})
            self.assertTrue(other.matching("/blobs/"))
            self.assertEqual([request for request in other.requests
                              if "authorization" in map(str.lower, request["headers"])], [])

    def test_a_redirect_loop_ends(self):
        def rule(request):
            if "/blobs/" in request["path"]:
                return {"status": 307, "headers": {"Location": request["path"]}}
            return None
        with servers.Proxy(harness.world.servers.plain.host, rule) as proxy:
            self.refused("import", "docker://%s#%s" % (
                proxy.host, harness.world.library.pushed("alpine")),
                env={"ENROOT_ALLOW_HTTP": "yes"}, says="redirect")
        self.assert_nothing_left()

    def test_requests_go_over_http_2_where_the_server_has_it(self):
        server = harness.world.servers.tls
        self.import_from(server, "alpine")
        self.assertTrue(server.requests(r'"GET /v2/\S+/blobs/\S+ HTTP/2'))

    def test_a_proxy_of_the_environment_is_used(self):
        with servers.Proxy(harness.world.servers.plain.host) as proxy:
            self.enroot("import", "docker://behind.the.proxy.test:80#%s"
                        % harness.world.library.pushed("alpine"),
                        env={"ENROOT_ALLOW_HTTP": "yes", "http_proxy": "http://" + proxy.host})
            self.assertTrue(proxy.matching("/blobs/"))


class TestReference(ImportCase):
    def test_malformed_references_are_refused_without_a_request(self):
        for reference in ("docker://", "docker://UPPER/case", "docker://a b", "docker://alpine:",
                          "docker://alpine@sha256:123", "docker://alpine:tag:tag",
                          "docker://../../etc", "http://alpine", "alpine", "docker:/alpine"):
            with self.subTest(reference):
                self.refused("import", reference, says=".")
        self.assert_nothing_left()

    def test_a_digest_pins_the_image(self):
        server, layout = harness.world.servers.plain, self.layout_path()
        image = images.Layout(layout)
        first = image.manifest([image.layer(images.Tar().file("which", b"first"))])
        second = image.manifest([image.layer(images.Tar().file("which", b"second"))])
        for descriptor in (first, second):
            image.finish(descriptor)
            self.push("pinned", layout)
        for suffix, content in ((":latest", "second"), ("@" + first["digest"], "first"),
                                (":latest@" + first["digest"], "first")):
            with self.subTest(suffix):
                self.enroot("import", "-o", "x.sqsh", "docker://%s#tests/pinned%s"
                            % (server.host, suffix), env={"ENROOT_ALLOW_HTTP": "yes"})
                shown = subprocess.run(["unsquashfs", "-cat", self.user.work + "/x.sqsh", "which"],
                                       stdout=subprocess.PIPE, check=True).stdout.decode()
                self.assertEqual(shown, content)
                os.unlink(self.user.work + "/x.sqsh")

    def test_an_unknown_digest_is_named(self):
        server = harness.world.servers.plain
        harness.world.library.pushed("alpine")
        digest = "sha256:" + "0" * 63 + "1"
        self.refused("import", "docker://%s#library/alpine@%s" % (server.host, digest),
                     env={"ENROOT_ALLOW_HTTP": "yes"}, says="000001")
        self.assert_nothing_left()

    def test_both_forms_of_a_reference_name_the_same_image(self):
        server = harness.world.servers.plain
        name = harness.world.library.pushed("alpine")
        for form in ("docker://%s#%s", "docker://%s/%s"):
            self.enroot("import", "-o", "x.sqsh", form % (server.host, name),
                        env={"ENROOT_ALLOW_HTTP": "yes"})
            os.unlink(self.user.work + "/x.sqsh")


class TestPlatform(ImportCase):
    def index(self, *platforms):
        """Push an index whose images say in /platform what they are for."""
        image = images.Layout(self.layout_path())
        manifests = []
        for architecture, variant in platforms:
            layer = image.layer(images.Tar().file("platform", (architecture + variant).encode()))
            descriptor = image.manifest([layer], architecture=architecture, variant=variant or None)
            platform = {"architecture": architecture, "os": "linux"}
            if variant:
                platform["variant"] = variant
            manifests.append({**descriptor, "platform": platform})
        document = images.json.dumps({"schemaVersion": 2, "mediaType": images.OCI_INDEX,
                                      "manifests": manifests}).encode()
        image.finish(image.blob(document, images.OCI_INDEX))
        return self.push(self._testMethodName, self.layout_path())[0]

    def chosen(self, repository, *options):
        server = harness.world.servers.plain
        self.enroot("import", *options, "-o", "x.sqsh", "docker://%s#%s" % (
            server.host, repository), env={"ENROOT_ALLOW_HTTP": "yes"})
        shown = subprocess.run(["unsquashfs", "-cat", self.user.work + "/x.sqsh", "platform"],
                               stdout=subprocess.PIPE, check=True).stdout.decode()
        os.unlink(self.user.work + "/x.sqsh")
        return shown

    def test_an_index_gives_the_image_for_the_asked_platform(self):
        repository = self.index(("unknown", ""), ("ppc64le", ""), ("amd64", ""), ("arm64", "v8"),
                                ("arm", "v6"), ("arm", "v7"))
        for option, found in ((None, images.ARCHITECTURE), ("amd64", "amd64"),
                              ("x86_64", "amd64"), ("arm64", "arm64v8"), ("aarch64", "arm64v8"),
                              ("ppc64le", "ppc64le"), ("arm/v6", "armv6"), ("arm/v7", "armv7"),
                              ("armhf", "armv7")):
            with self.subTest(option):
                options = () if option is None else ("--arch", option)
                shown = self.chosen(repository, *options)
                self.assertTrue(shown.startswith(found), shown)

    def test_an_index_without_the_platform_lists_what_it_has(self):
        repository = self.index(("s390x", ""), ("ppc64le", ""))
        result = self.refused("import", "docker://%s#%s" % (
            harness.world.servers.plain.host, repository), env={"ENROOT_ALLOW_HTTP": "yes"},
            says="platform|architecture")
        self.assertIn("s390x", result.err)
        self.assert_nothing_left()

    def test_a_single_image_of_another_architecture_is_refused(self):
        image = images.Layout(self.layout_path())
        image.finish(image.manifest([image.layer(images.Tar().file("a"))], architecture="s390x"))
        repository, _ = self.push("foreign", self.layout_path())
        reference = "docker://%s#%s" % (harness.world.servers.plain.host, repository)
        result = self.refused("import", reference, env={"ENROOT_ALLOW_HTTP": "yes"},
                              says="is for linux/s390x")
        self.assertIn(images.ARCHITECTURE, result.err)
        self.assert_nothing_left()
        self.enroot("import", "-a", "s390x", reference, env={"ENROOT_ALLOW_HTTP": "yes"})


class TestCache(ImportCase):
    def test_a_second_import_fetches_no_blob(self):
        server = harness.world.servers.plain
        self.import_from(server, "application", "one.sqsh")
        before = server.blobs_sent()
        self.import_from(server, "application", "two.sqsh")
        self.assertEqual(server.blobs_sent(), before)
        for name in ("one", "two"):
            self.assert_image_valid("%s/%s.sqsh" % (self.user.work, name))

    def test_blobs_are_kept_as_they_came_under_their_digests(self):
        self.import_from(harness.world.servers.plain, "application")
        names = harness.files_below(self.cache_path())
        self.assertGreaterEqual(len(names), 2)
        for name in names:
            with open(self.cache_path(name), "rb") as file:
                self.assertEqual("sha256-" + images.digest(file.read())[7:], name)

    def test_images_that_share_layers_fetch_them_once(self):
        server = harness.world.servers.plain
        self.import_from(server, "alpine", "one.sqsh")
        before = server.blobs_sent()
        self.import_from(server, "application", "two.sqsh")
        self.assertEqual(server.blobs_sent() - before, 2)  # configuration and upper layer

    def test_parallel_imports_fetch_each_blob_once(self):
        layout = self.layout_path()
        repository, _ = self.push("parallel", images.layout(layout, [
            images.Tar().file("file%d" % index, os.urandom(500000)) for index in range(3)]))
        with servers.Proxy(harness.world.servers.plain.host, lambda request: {"rate": 1000000}
                           if "/blobs/" in request["path"] else None) as proxy:
            running = [self.start("enroot", "import", "-o", "%d.sqsh" % index,
                                  "docker://%s#%s" % (proxy.host, repository),
                                  env={"ENROOT_ALLOW_HTTP": "yes"}) for index in range(4)]
            for process in running:
                _, err = process.communicate(timeout=harness.TIMEOUT)
                self.assertEqual(process.returncode, 0, err)
            fetched = [request["path"] for request in proxy.matching("/blobs/")]
        self.assertEqual(len(fetched), len(set(fetched)), fetched)
        contents = {open("%s/%d.sqsh" % (self.user.work, index), "rb").read()
                    for index in range(4)}
        self.assertEqual(len(contents), 1)

    def test_directories_of_a_user_are_private(self):
        self.import_from(harness.world.servers.plain, "alpine")
        self.assertEqual(os.stat(self.cache_path()).st_mode & 0o7777, 0o700)

    def test_a_cached_blob_of_wrong_size_is_fetched_again(self):
        server = harness.world.servers.plain
        self.import_from(server, "alpine", "one.sqsh")
        largest = max((self.cache_path(name) for name in harness.files_below(self.cache_path())),
                      key=os.path.getsize)
        os.truncate(largest, 1000)
        self.import_from(server, "alpine", "two.sqsh")
        self.assertGreater(os.path.getsize(largest), 1000)


class TestOutput(ImportCase):
    def test_an_existing_output_is_an_error_and_stays_as_it_was(self):
        with open(self.user.work + "/image.sqsh", "w") as file:
            file.write("precious")
        reference = "docker://%s#%s" % (harness.world.servers.plain.host,
                                        harness.world.library.pushed("alpine"))
        self.refused("import", "-o", "image.sqsh", reference, says="exists",
                     env={"ENROOT_ALLOW_HTTP": "yes"})
        with open(self.user.work + "/image.sqsh") as file:
            self.assertEqual(file.read(), "precious")

    def test_the_output_appears_only_when_complete(self):
        layout = self.layout_path()
        repository, _ = self.push("appears", images.layout(layout, [
            images.Tar().file("file", os.urandom(1000000))]))
        with servers.Proxy(harness.world.servers.plain.host, lambda request: {"rate": 1000000}
                           if "/blobs/" in request["path"] else None) as proxy:
            process = self.start("enroot", "import", "-o", "x.sqsh",
                                 "docker://%s#%s" % (proxy.host, repository),
                                 env={"ENROOT_ALLOW_HTTP": "yes"})
            seen = set()
            while process.poll() is None:
                if os.path.exists(self.user.work + "/x.sqsh"):
                    seen.add(os.path.getsize(self.user.work + "/x.sqsh"))
                time.sleep(0.01)
            process.communicate()
        self.assertEqual(process.returncode, 0)
        self.assertLessEqual(seen, {os.path.getsize(self.user.work + "/x.sqsh")})

    def test_progress_is_shown_on_a_terminal_and_the_line_is_clear_afterwards(self):
        layout = self.layout_path()
        repository, _ = self.push("progress", images.layout(layout, [
            images.Tar().file("file", os.urandom(1500000))]))
        leader, follower = pty.openpty()
        with servers.Proxy(harness.world.servers.plain.host, lambda request: {"rate": 1000000}
                           if "/blobs/" in request["path"] else None) as proxy:
            process = self.start("enroot", "import", "-o", "x.sqsh",
                                 "docker://%s#%s" % (proxy.host, repository), stdout=follower,
                                 stderr=follower, stdin=follower,
                                 env={"ENROOT_ALLOW_HTTP": "yes", "TERM": "xterm"})
            os.close(follower)
            shown = b""
            with contextlib.suppress(OSError):
                while block := os.read(leader, 4096):
                    shown += block
            os.close(leader)
            self.assertEqual(process.wait(timeout=harness.TIMEOUT), 0, shown)
        self.assertRegex(shown.decode(), r"\d+(\.\d+)? ?[kKM]i?B")
        self.assertIn(b"\r", shown.replace(b"\r\n", b"\n"))
        # The display may have been drawn once more after the last message.
        self.assertRegex(shown.rpartition(b"\n")[2], rb"\A(.*\r\x1b\[K)?\Z", shown)

    def test_long_and_short_options_are_the_same(self):
        reference = "docker://%s#%s" % (harness.world.servers.plain.host,
                                        harness.world.library.pushed("alpine"))
        for index, options in enumerate((["-o", "0"], ["--output", "1"], ["--output=2"])):
            self.enroot("import", *options, reference, env={"ENROOT_ALLOW_HTTP": "yes"})
            self.assert_image_valid("%s/%d" % (self.user.work, index))
        self.enroot("import", "-o", "3", "--", reference, env={"ENROOT_ALLOW_HTTP": "yes"})

    def test_wrong_usage_prints_the_usage(self):
        for arguments in (["import"], ["import", "--nosuchoption", "docker://alpine"],
                          ["import", "docker://a", "docker://b"], ["nosuchcommand"], ["start"],
                          ["create"], ["remove"]):
            with self.subTest(arguments):
                result = self.run_command("enroot", *arguments)
                self.assertEqual(result.code, 1, result)
                self.assertRegex(result.err, "(?i)usage", result)

    def test_each_command_explains_itself(self):
        for command in ("import", "create", "start", "list", "remove", "version"):
            with self.subTest(command):
                result = self.enroot(command, "--help")
                self.assertRegex(result.out + result.err, "(?i)usage")
                self.assertEqual(self.enroot(command, "-h").out, result.out)

    def test_import_writes_the_image_settings_as_files(self):
        path = self.import_from(harness.world.servers.plain, "application")

        def read(name):
            return subprocess.run(["unsquashfs", "-cat", path, name], stdout=subprocess.PIPE,
                                  check=True).stdout.decode()
        rc = read("etc/rc").splitlines()
        self.assertEqual(rc[0], "# enroot-provenance: docker://%s#%s" % (
            harness.world.servers.plain.host, harness.world.library.pushed("application")))
        self.assertIn("# maintainer someone", rc)
        self.assertFalse([line for line in rc if line.strip().startswith("touch")])
        environment = read("etc/environment").splitlines()
        self.assertIn("MODE=image value", environment)
        self.assertIn("HOST_VALUE=<${FROM_HOST}>", environment)
        volumes = [line.split()[:2] for line in read("etc/fstab").splitlines()]
        self.assertEqual(volumes, [["${ENROOT_ROOTFS}/data", "/data"],
                                   ["${ENROOT_ROOTFS}/more/data", "/more/data"]])
        self.assertTrue(all(line == "" or re.match(r"\s*#", line)
                            for line in read("etc/rc.local").splitlines()))
        listing = subprocess.run(["unsquashfs", "-l", "-d", "", path], stdout=subprocess.PIPE,
                                 check=True).stdout.decode()
        self.assertIn("/app/work dir", listing)
        record = json.loads(read("etc/enroot-image.json"))
        self.assertEqual("# enroot-provenance: " + record["provenance"], rc[0])
        self.assertRegex(record["digest"], r"\Asha256:[0-9a-f]{64}\Z")
        self.assertTrue(record["layers"])
        self.assertEqual(record["config"]["config"]["WorkingDir"], "/app/work dir")
