"""registries.conf and certs.d: mirrors, insecure and blocked registries, certificates."""
import os
import shutil
import subprocess

import harness
import images
import servers


class RegistriesCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.plain, self.tls = harness.world.servers.plain, harness.world.servers.tls
        self.name = harness.world.library.pushed("alpine")
        self.config = self.user.home + "/.config/enroot"
        self.make(self.config)

    def make(self, path):
        """Make a directory of the user."""
        os.makedirs(path, exist_ok=True)
        for base, _, _ in os.walk(self.user.home):
            os.chown(base, self.user.uid, self.user.gid)

    def rules(self, text, path=None):
        path = path or self.config + "/registries.conf"
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def enroot_import(self, reference, *options, **more):
        return self.enroot("import", "-o", "x.sqsh", *options, "docker://" + reference, **more)

    def again(self):
        """Forget what was imported, so that the network is needed again."""
        os.unlink(self.user.work + "/x.sqsh")
        shutil.rmtree(self.cache_path())


def registry(prefix, *mirrors, **keys):
    """The text of a [[registry]]; keys and mirrors as they stand in the file."""
    lines = ['[[registry]]', 'prefix = "%s"' % prefix]
    lines += ["%s = %s" % item for item in keys.items()]
    for mirror in mirrors:
        lines += ["[[registry.mirror]]"] + ["%s = %s" % item for item in mirror.items()]
    return "\n".join(lines) + "\n"


def quoted(text):
    return '"%s"' % text


class TestMirrors(RegistriesCase):
    def test_a_mirror_is_asked_before_the_registry(self):
        with servers.Proxy(self.plain.host) as mirror, servers.Proxy(self.plain.host) as origin:
            self.rules(registry(origin.host, {"location": quoted(mirror.host),
                                              "insecure": "true"}, insecure="true"))
            self.enroot_import("%s#%s" % (origin.host, self.name))
        self.assertTrue(mirror.matching("/blobs/"))
        self.assertEqual(origin.requests, [])

    def test_a_mirror_that_lacks_the_image_is_said_and_the_registry_asked(self):
        with servers.Proxy(self.plain.host) as origin, \
                servers.Proxy(self.plain.host, lambda request: {"status": 404}) as mirror:
            self.rules(registry(origin.host, {"location": quoted(mirror.host + "/cache"),
                                              "insecure": "true"}, insecure="true"))
            result = self.enroot_import("%s#%s" % (origin.host, self.name))
        self.assertTrue(mirror.matching("^/v2/cache/library/alpine/manifests/latest"))
        self.assertFalse(mirror.matching("/blobs/"))
        self.assertRegex(result.err, r"\[WARN\] %s: .*404.*; trying %s" % (
            mirror.host, origin.host))

    def test_mirrors_are_tried_in_their_order_whatever_is_wrong_with_them(self):
        with servers.Proxy(self.plain.host) as origin, \
                servers.Proxy(self.plain.host, lambda request: {"status": 401, "headers": {
                    "WWW-Authenticate": 'Basic realm="x"'}}) as private, \
                servers.Proxy(self.plain.host) as good:
            mirrors = [{"location": quoted(host), "insecure": "true"}
                       for host in ("127.0.0.1:9", "nosuchhost.test", private.host, good.host)]
            self.rules(registry(origin.host, *mirrors, insecure="true"))
            result = self.enroot_import("%s#%s" % (origin.host, self.name))
        self.assertEqual(origin.requests, [])
        self.assertTrue(good.matching("/blobs/"))
        places = [result.err.index("] %s: " % host)
                  for host in ("127.0.0.1:9", "nosuchhost.test", private.host)]
        self.assertEqual(places, sorted(places), result)

    def test_a_blob_that_a_mirror_lacks_comes_from_the_registry(self):
        with servers.Proxy(self.plain.host) as origin, \
                servers.Proxy(self.plain.host, lambda request: {"status": 404}
                              if "/blobs/" in request["path"] else None) as mirror:
            self.rules(registry(origin.host, {"location": quoted(mirror.host),
                                              "insecure": "true"}, insecure="true"))
            self.enroot_import("%s#%s" % (origin.host, self.name))
        self.assertFalse(origin.matching("/manifests/"))
        self.assertTrue(origin.matching("/blobs/"))

    def test_each_server_gets_its_own_credentials_only(self):
        path = self.config + "/.credentials"
        self.rules("machine blobs.test login mirror password m\n"
                   "machine 127.0.0.1 login origin password o\n", path)
        os.chmod(path, 0o644)

        def access(user, password):
            def rule(request):
                if request["headers"].get("Authorization") != servers.basic(user, password):
                    return {"status": 401, "headers": {"WWW-Authenticate": 'Basic realm="x"'}}
                return {"status": 404} if user == "mirror" else None
            return rule
        with servers.Proxy(self.plain.host, access("origin", "o")) as origin, \
                servers.Proxy(self.plain.host, access("mirror", "m"), "127.0.0.2:0",
                              "blobs.test") as mirror:
            self.rules(registry(origin.host, {"location": quoted(mirror.host),
                                              "insecure": "true"}, insecure="true"))
            self.enroot_import("%s#%s" % (origin.host, self.name),
                               env={"ENROOT_REGISTRY_USER": "origin",
                                    "ENROOT_REGISTRY_PASSWORD": "o"})
        sent = {name: {request["headers"].get("Authorization") for request in server.requests}
                for name, server in (("origin", origin), ("mirror", mirror))}
        self.assertEqual(sent, {"origin": {None, servers.basic("origin", "o")},
                                "mirror": {None, servers.basic("mirror", "m")}})

    def test_a_mirror_for_digests_is_not_asked_for_a_tag(self):
        layout = harness.world.library.layout("alpine")
        digest = images.read_index(layout)["manifests"][0]["digest"]
        with servers.Proxy(self.plain.host) as origin, servers.Proxy(self.plain.host) as mirror:
            self.rules(registry(origin.host, {
                "location": quoted(mirror.host), "insecure": "true",
                "pull-from-mirror": quoted("digest-only")}, insecure="true"))
            self.enroot_import("%s#%s" % (origin.host, self.name))
            self.assertEqual(mirror.requests, [])
            self.again()
            self.enroot_import("%s#library/alpine@%s" % (origin.host, digest))
            self.assertTrue(mirror.matching("/manifests/" + digest))

    def test_docker_hub_has_a_mirror_under_its_short_name(self):
        hub = harness.world.servers.hub
        before = len(hub.requests("GET"))
        self.rules(registry("docker.io", {"location": quoted(self.tls.host)}))
        self.enroot_import("alpine")
        self.assertEqual(len(hub.requests("GET")), before)


class TestRules(RegistriesCase):
    def test_a_location_takes_the_place_of_a_prefix(self):
        self.rules(registry("company.test/apps", location=quoted("127.0.0.1:5000/library"),
                            insecure="true"))
        self.enroot_import("company.test#apps/alpine")

    def test_a_blocked_registry_is_not_asked(self):
        with servers.Proxy(self.plain.host) as proxy:
            self.rules(registry(proxy.host + "/library", blocked="true"))
            self.refused("import", "docker://%s#%s" % (proxy.host, self.name),
                         env={"ENROOT_ALLOW_HTTP": "yes"},
                         says=r"blocked by the entry .* of .*/registries.conf")
            self.assertEqual(proxy.requests, [])

    def test_an_insecure_registry_may_have_any_certificate(self):
        without = {"SSL_CERT_FILE": None}
        reference = "%s#%s" % (self.tls.host, self.name)
        self.refused("import", "docker://" + reference, env=without, says="certificate")
        self.rules(registry(self.tls.host, insecure="true"))
        self.enroot_import(reference, env=without)

    def test_an_insecure_registry_may_speak_plain_http(self):
        reference = "%s#%s" % (self.plain.host, self.name)
        self.refused("import", "docker://" + reference, says="ENROOT_ALLOW_HTTP")
        self.rules(registry(self.plain.host, insecure="true"))
        result = self.enroot_import(reference)
        self.assertIn("trying http://" + self.plain.host, result.err)

    def test_files_of_other_programs_are_honoured(self):
        """As podman reads them: the user's file, drop-ins, CONTAINERS_REGISTRIES_CONF."""
        reference = "%s#%s" % (self.plain.host, self.name)
        rule, directory = registry(self.plain.host, insecure="true"), "/.config/containers"
        self.make(self.user.home + directory + "/registries.conf.d")
        for place in (self.user.home + directory + "/registries.conf",
                      self.user.home + directory + "/registries.conf.d/one.conf",
                      "/etc/containers/registries.conf.d/enroot-test.conf",
                      "/etc/enroot/registries.conf"):
            with self.subTest(place):
                os.makedirs(os.path.dirname(place), exist_ok=True)
                self.rules(rule, place)
                self.enroot_import(reference)
                self.again()
                os.unlink(place)
        self.rules(rule, self.user.home + "/other.conf")
        self.enroot_import(reference, env={
            "CONTAINERS_REGISTRIES_CONF": self.user.home + "/other.conf"})

    def test_a_named_file_that_is_missing_is_an_error(self):
        self.refused("import", "docker://alpine", says="CONTAINERS_REGISTRIES_CONF.*no such file",
                     env={"CONTAINERS_REGISTRIES_CONF": "/nonexistent"})

    def test_enroots_own_file_wins(self):
        self.make(self.user.home + "/.config/containers")
        self.rules(registry(self.plain.host, blocked="true"),
                   self.user.home + "/.config/containers/registries.conf")
        self.rules(registry(self.plain.host, insecure="true"))
        self.enroot_import("%s#%s" % (self.plain.host, self.name))

    def test_a_mistake_is_named_with_its_line(self):
        self.rules('[[registry]]\nprefix = "x"\ninsecure = "maybe"\n')
        self.refused("import", "docker://alpine",
                     says="registries.conf: line 3: insecure must be true or false")


class TestCertificates(RegistriesCase):
    without = {"SSL_CERT_FILE": None}

    def test_an_authority_of_one_registry(self):
        reference = "%s#%s" % (self.tls.host, self.name)
        for parent in (self.config, self.user.home + "/.config/containers", "/etc/enroot",
                       "/etc/containers", "/etc/docker"):
            with self.subTest(parent):
                directory = "%s/certs.d/%s" % (parent, self.tls.host)
                self.make(directory)
                shutil.copy(harness.world.ca.certificate, directory + "/ca.crt")
                self.enroot_import(reference, env=self.without)
                self.again()
                shutil.rmtree(parent + "/certs.d")
        self.refused("import", "docker://" + reference, env=self.without, says="certificate")

    def test_an_authority_of_another_registry_does_not_count(self):
        directory = self.config + "/certs.d/registry.test:1"
        self.make(directory)
        shutil.copy(harness.world.ca.certificate, directory + "/ca.crt")
        self.refused("import", "docker://%s#%s" % (self.tls.host, self.name), env=self.without,
                     says="certificate")

    def test_a_client_certificate_of_one_registry(self):
        authority = harness.world.ca
        with servers.Proxy(self.plain.host, name="registry.test", ca=authority,
                           ask_clients=True) as proxy:
            reference = "%s#%s" % (proxy.host, self.name)
            directory = "%s/certs.d/%s" % (self.config, proxy.host)
            self.make(directory)
            result = self.refused("import", "docker://" + reference, says=".")
            self.assertRegex(result.err, "certificate required|SSL")
            shutil.copy(authority.server_certificate, directory + "/client.cert")
            self.refused("import", "docker://" + reference, says="key .*client.key")
            shutil.copy(authority.server_key, directory + "/client.key")
            subprocess.run(["chown", "-R", self.user.name, directory], check=True)
            self.enroot_import(reference)
        self.assertTrue(proxy.matching("/blobs/"))


class TestRedirects(RegistriesCase):
    def test_a_redirect_may_leave_https_only_for_a_server_that_is_marked(self):
        def rule(request):
            if "/blobs/" in request["path"]:
                return {"status": 307, "headers": {
                    "Location": "http://%s%s" % (store.host, request["path"])}}
            return None
        with servers.Proxy(self.plain.host, address="127.0.0.2:0", name="blobs.test") as store, \
                servers.Proxy(self.plain.host, rule, name="registry.test",
                              ca=harness.world.ca) as proxy:
            reference = "%s#%s" % (proxy.host, self.name)
            self.refused("import", "docker://" + reference,
                         says="redirected to blobs.test without HTTPS.*registries.conf")
            self.assertEqual(store.requests, [])
            self.rules(registry(store.host, insecure="true"))
            self.enroot_import(reference)
            self.assertTrue(store.matching("/blobs/"))
