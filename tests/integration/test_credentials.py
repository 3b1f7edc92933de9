"""Credentials: where they are looked for, in which order, and whom they are sent to."""
import base64
import email.utils
import json
import os
import pty
import time

import harness
import images
import servers

ALLOW = {"ENROOT_ALLOW_HTTP": "yes"}
HELPER = """#!/bin/sh
read -r server
echo "$1 $server" >>"$HOME/asked"
[ "$server" = "%s" ] || { echo "credentials not found in native keychain"; exit 1; }
printf '{"ServerURL":"%%s","Username":"%s","Secret":"%s"}\\n' "$server"
"""


def auth(user, password):
    return {"auth": base64.b64encode(("%s:%s" % (user, password)).encode()).decode()}


class CredentialCase(harness.Case):
    """Imports from a registry that is for servers.LOGIN only."""

    def setUp(self):
        super().setUp()
        self.server = harness.world.servers.basic
        self.name = harness.world.library.pushed("alpine")

    def write(self, path, text, mode=0o600):
        """Write a file of the user; path is below his home unless it is absolute."""
        path = os.path.join(self.user.home, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        os.chmod(path, mode)
        for base, _, _ in os.walk(self.user.home):
            os.chown(base, self.user.uid, self.user.gid)
        os.chown(os.path.dirname(path), self.user.uid, self.user.gid)
        os.chown(path, self.user.uid, self.user.gid)
        return path

    def helper(self, name, server, user, secret):
        self.write("bin/docker-credential-" + name, HELPER % (server, user, secret), 0o755)
        self.env["PATH"] = self.user.home + "/bin:" + self.user.environment()["PATH"]

    def reference(self, server=None, user=""):
        return "docker://%s%s#%s" % (user, (server or self.server).host, self.name)

    def succeeds(self, says, server=None, **env):
        """Import; the log names where the credentials came from, and no secret."""
        result = self.enroot("import", "-o", "x.sqsh", self.reference(server), env=env)
        self.assertRegex(result.err, r"\[INFO\] Using credentials from " + says)
        self.assertNotIn(servers.LOGIN[1], result.err)
        os.unlink(self.user.work + "/x.sqsh")
        return result


class TestFiles(CredentialCase):
    def test_dockers_file(self):
        self.write(".docker/config.json", {"auths": {self.server.host: auth(*servers.LOGIN)}})
        self.succeeds("file: .*/.docker/config.json")

    def test_dockers_file_elsewhere(self):
        self.write("elsewhere/config.json", {"auths": {self.server.host: auth(*servers.LOGIN)}})
        self.succeeds("file: .*/elsewhere/config.json", DOCKER_CONFIG=self.user.home + "/elsewhere")

    def test_podmans_file_as_skopeo_writes_it(self):
        path = self.user.home + "/.config/containers/auth.json"
        self.write(".config/containers/auth.json", "{}")
        result = self.run_command(
            "skopeo", "login", "--authfile", path, "--username", servers.LOGIN[0],
            "--password-stdin", self.server.host, input=servers.LOGIN[1].encode())
        self.assertEqual(result.code, 0, result)
        self.succeeds("file: " + path)

    def test_podmans_files_in_their_order(self):
        good, bad = auth(*servers.LOGIN), auth("alice", "wrong")
        self.write(".docker/config.json", {"auths": {self.server.host: bad}})
        self.write(".config/containers/auth.json", {"auths": {self.server.host: good}})
        self.succeeds("file: .*/.config/containers/auth.json")
        os.unlink(self.user.home + "/.config/containers/auth.json")
        path = self.write("session/containers/auth.json", {"auths": {self.server.host: good}})
        self.succeeds("file: " + path, XDG_RUNTIME_DIR=self.user.home + "/session")
        path = self.write("one.json", {"auths": {self.server.host: good}})
        self.succeeds("file: " + path, REGISTRY_AUTH_FILE=path)

    def test_an_entry_for_the_repository_comes_before_one_for_the_registry(self):
        self.write(".config/containers/auth.json", {"auths": {
            self.server.host: auth("alice", "wrong"),
            self.server.host + "/library": auth(*servers.LOGIN)}})
        self.succeeds("file: .*/auth.json")

    def test_the_credentials_file_comes_first(self):
        self.write(".docker/config.json", {"auths": {self.server.host: auth("alice", "wrong")}})
        self.write(".config/enroot/.credentials",
                   "machine registry.test login %s password %s\n" % servers.LOGIN)
        self.succeeds("file: .*/enroot/.credentials")

    def test_the_user_of_a_reference_must_be_that_of_the_entry(self):
        self.write(".docker/config.json", {"auths": {self.server.host: auth(*servers.LOGIN)}})
        self.enroot("import", "-o", "x.sqsh", self.reference(user="alice@"))
        self.refused("import", "-o", "y.sqsh", self.reference(user="bob@"),
                     says="no password for the user bob")

    def test_the_entry_of_docker_hub_is_found_under_its_old_name(self):
        hub = harness.world.servers.hub
        self.write(".docker/config.json",
                   {"auths": {"https://index.docker.io/v1/": auth(*servers.LOGIN)}})
        before = len(harness.world.servers.hub_tokens.requests)
        result = self.enroot("import", "-o", "x.sqsh", "docker://alpine")
        self.assertIn("Using credentials from file", result.err, hub)
        asked = harness.world.servers.hub_tokens.requests[before:]
        self.assertEqual({request["authorization"] for request in asked},
                         {servers.basic(*servers.LOGIN)})

    def test_a_broken_file_is_warned_about_and_left_out(self):
        self.write(".config/containers/auth.json", "{broken")
        self.write(".docker/config.json", {"auths": {self.server.host: auth(*servers.LOGIN)}})
        result = self.succeeds("file: .*/.docker/config.json")
        self.assertRegex(result.err, r"\[WARN\] Credentials left out: .*/auth.json: not valid JSON")

    def test_an_unreadable_file_does_not_hinder_a_public_image(self):
        self.write(".docker/config.json", "{}", 0)
        self.enroot("import", "docker://%s#%s" % (harness.world.servers.hub.host, self.name))


class TestHelpers(CredentialCase):
    def test_a_helper_of_one_registry(self):
        self.helper("one", self.server.host, "alice", servers.LOGIN[1])
        self.write(".docker/config.json", {
            "auths": {self.server.host: auth("alice", "wrong")},
            "credHelpers": {self.server.host: "one"}, "credsStore": "missing"})
        self.succeeds("docker-credential-one, named in file: .*/config.json")
        with open(self.user.home + "/asked") as file:
            self.assertEqual(file.read(), "get %s\n" % self.server.host)

    def test_the_store_of_all_registries(self):
        self.helper("all", self.server.host, "alice", servers.LOGIN[1])
        self.write(".docker/config.json", {"auths": {self.server.host: {}}, "credsStore": "all"})
        self.succeeds("docker-credential-all, named in file: .*/config.json")

    def test_a_helper_that_knows_nobody(self):
        self.helper("all", "other.test", "alice", servers.LOGIN[1])
        self.write(".docker/config.json", {"credsStore": "all"})
        self.refused("import", self.reference(), says="no credentials were given")

    def test_a_helper_that_is_missing_is_named(self):
        self.write(".docker/config.json", {"credsStore": "nowhere"})
        result = self.refused("import", self.reference(), says="no credentials were given")
        self.assertIn("docker-credential-nowhere: No such file", result.err)

    def test_an_identity_token_is_exchanged_and_stays_out_of_the_address(self):
        server, tokens = harness.world.servers.token, harness.world.servers.private_tokens
        self.write(".docker/config.json", {"auths": {
            server.host: {"auth": "YWxpY2U6", "identitytoken": servers.IDENTITY_TOKEN}}})
        before = len(tokens.requests)
        self.succeeds("file", server)
        asked = tokens.requests[before]
        self.assertEqual(asked["form"]["refresh_token"], [servers.IDENTITY_TOKEN])
        self.assertEqual(asked["form"]["scope"], ["repository:library/alpine:pull"])
        self.assertIsNone(asked["authorization"])

    def test_an_identity_token_of_a_helper(self):
        server = harness.world.servers.token
        self.helper("all", server.host, "<token>", servers.IDENTITY_TOKEN)
        self.write(".docker/config.json", {"credsStore": "all"})
        self.succeeds("docker-credential-all", server)

    def test_an_identity_token_follows_no_redirect(self):
        self.write(".docker/config.json", {"auths": {
            "127.0.0.1": {"identitytoken": servers.IDENTITY_TOKEN}}})
        tokens = harness.world.servers.private_tokens
        before = len(tokens.requests)
        with servers.Proxy(harness.world.servers.plain.host) as proxy:
            proxy.rule = lambda request: {
                "status": 401, "headers": {"WWW-Authenticate":
                                           'Bearer realm="http://%s/token",service="x"'
                                           % proxy.host}}
            self.write(".docker/config.json", {"auths": {
                proxy.host: {"identitytoken": servers.IDENTITY_TOKEN}}})

            def do_post(handler):
                handler.rfile.read(int(handler.headers["Content-Length"]))
                handler.answer(307, {"Location": "https://auth.test:5446/token"})
            proxy.server.RequestHandlerClass.do_POST = do_post
            self.refused("import", self.reference(proxy), env=ALLOW,
                         says="redirected to auth.test, which does not get the token")
        self.assertEqual(len(tokens.requests), before)


class TestEnvironment(CredentialCase):
    login = {"ENROOT_REGISTRY_USER": servers.LOGIN[0], "ENROOT_REGISTRY_PASSWORD": servers.LOGIN[1]}

    def test_the_environment_comes_before_all_files(self):
        self.write(".config/enroot/.credentials", "machine registry.test login a password b\n")
        self.succeeds("the environment: ENROOT_REGISTRY_PASSWORD", **self.login)
        self.enroot("import", "-o", "x.sqsh", self.reference(user="alice@"),
                    env={"ENROOT_REGISTRY_PASSWORD": servers.LOGIN[1]})

    def test_the_environment_may_name_its_registry(self):
        self.succeeds("the environment", ENROOT_REGISTRY_HOST=self.server.host, **self.login)
        self.refused("import", self.reference(), says="no credentials were given",
                     env={"ENROOT_REGISTRY_HOST": "other.test", **self.login})

    def test_info_does_not_show_a_password(self):
        result = self.enroot("info", env=self.login)
        self.assertNotIn(servers.LOGIN[1], result.out)
        self.assertRegex(result.out, r"ENROOT_REGISTRY_PASSWORD=\(not shown\)")


class TestPrompt(CredentialCase):
    def test_a_user_without_an_entry_is_asked_at_the_terminal(self):
        master, slave = pty.openpty()
        process = self.start("setsid", "-c", "enroot", "import", "-o", "x.sqsh",
                             self.reference(user="alice@"), stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        shown = b""
        while b"Password of alice" not in shown:
            shown += os.read(master, 4096)
        os.write(master, servers.LOGIN[1].encode() + b"\n")
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        self.assertEqual(process.wait(harness.TIMEOUT), 0, shown)
        os.close(master)
        self.assertNotIn(servers.LOGIN[1].encode(), shown)


class TestSecrecy(CredentialCase):
    def test_no_secret_of_any_source_is_an_argument_of_a_program(self):
        self.helper("all", self.server.host, "alice", servers.LOGIN[1])
        self.write(".docker/config.json", {"credsStore": "all"})
        process = self.start("strace", "-f", "-qq", "-e", "trace=execve", "-s", "4096", "enroot",
                             "import", "-o", "x.sqsh", self.reference())
        _, trace = process.communicate(timeout=harness.TIMEOUT)
        self.assertIn(b"docker-credential-all", trace)
        self.assertNotIn(servers.LOGIN[1], harness.text(trace))


class TestLimits(CredentialCase):
    """Rate limits, and what changes while a pull is under way."""

    def through(self, rule, **env):
        with servers.Proxy(harness.world.servers.plain.host, rule) as proxy:
            result = self.enroot("import", "-o", "x.sqsh", self.reference(proxy),
                                 env={**ALLOW, **env})
        return proxy, result

    def test_a_rate_limit_of_the_manifest_is_waited_for(self):
        for after in (lambda: "1", lambda: email.utils.formatdate(time.time() + 2, usegmt=True)):
            with self.subTest(after()):
                _, result = self.through(lambda request: {
                    "status": 429, "headers": {"Retry-After": after()}}
                    if "/manifests/" in request["path"] and request["count"] == 0 else None)
                self.assertRegex(result.err, "429.*too many requests.*trying again in")
                os.unlink(self.user.work + "/x.sqsh")

    def test_a_rate_limit_of_hours_is_told_and_not_waited_for(self):
        with servers.Proxy(harness.world.servers.plain.host, lambda request: {
                "status": 429, "headers": {"Retry-After": "21600"}}) as proxy:
            self.refused("import", self.reference(proxy), env=ALLOW,
                         says="429.*asks to wait 21600 seconds")

    def test_a_rate_limit_of_the_token_server_is_waited_for(self):
        upstream = harness.world.servers.plain.host
        with servers.Proxy(upstream) as proxy:
            def rule(request):
                if request["path"].startswith("/token"):
                    return {"status": 429, "headers": {"Retry-After": "1"}} \
                        if request["count"] == 0 else {"status": 200, "body": b'{"token":"t"}'}
                if request["headers"].get("Authorization") != "Bearer t":
                    return {"status": 401, "headers": {
                        "WWW-Authenticate": 'Bearer realm="http://%s/token"' % proxy.host}}
                return None
            proxy.rule = rule
            result = self.enroot("import", "-o", "x.sqsh", self.reference(proxy), env=ALLOW)
        self.assertIn("trying again", result.err)

    def test_a_realm_that_changes_in_the_middle_gets_its_own_credentials(self):
        """The token of the new realm is asked for, and no password of the old one sent there."""
        self.write(".config/enroot/.credentials",
                   "machine 127.0.0.1 login alice password registry\n"
                   "machine blobs.test login alice password other\n")
        upstream, seen = harness.world.servers.plain.host, []
        layout = images.layout("%s/%s" % (harness.world.library.path, self._testMethodName), [
            images.Tar().file("a", os.urandom(1000)), images.Tar().file("b", os.urandom(1000))])
        images.push(layout, upstream, "tests/realms")

        def tokens(name):
            def rule(request):
                seen.append((name, request["headers"].get("Authorization")))
                return {"status": 200, "body": b'{"token":"%s"}' % name.encode()}
            return rule
        with servers.Proxy(upstream, tokens("first")) as first, \
                servers.Proxy(upstream, tokens("second"), "127.0.0.2:0", "blobs.test") as second:
            def rule(request):
                name, realm = ("second", second) if "/blobs/" in request["path"] \
                    else ("first", first)
                if request["headers"].get("Authorization") == "Bearer " + name:
                    return None
                return {"status": 401, "headers": {
                    "WWW-Authenticate": 'Bearer realm="http://%s/t"' % realm.host}}
            with servers.Proxy(upstream, rule) as proxy:
                self.enroot("import", "-o", "x.sqsh", "docker://%s#tests/realms" % proxy.host,
                            env=ALLOW)
        self.assertEqual(set(seen), {("first", servers.basic("alice", "registry")),
                                     ("second", servers.basic("alice", "other"))})
