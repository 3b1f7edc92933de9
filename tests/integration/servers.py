"""Registries to import from: Debian's docker-registry behind every kind of access
control, a token server, and a proxy that misbehaves on request."""
import base64
import contextlib
import http.client
import http.server
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

LOGIN = ("alice", "wonder:land$1")  # with characters that a careless client mangles
IDENTITY_TOKEN = "identity+token/1&x"
REGISTRY_LEEWAY = 60  # seconds that docker-registry accepts a token beyond its end


class Authority:
    """A certificate authority, and one server certificate for all test hosts."""

    def __init__(self, directory, names):
        os.mkdir(directory)
        self.certificate = directory + "/ca.pem"
        self.server_certificate = directory + "/server.pem"
        self.server_key = directory + "/server.key"
        authority_key, request = directory + "/ca.key", directory + "/server.csr"
        kinds = ["%s:%s" % ("IP" if name[0].isdigit() else "DNS", name) for name in names]
        extensions = directory + "/extensions"
        with open(extensions, "w") as file:
            file.write("subjectAltName=%s\n" % ",".join(kinds))
        for command in (
                ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=enroot test CA",
                 "-days", "2", "-keyout", authority_key, "-out", self.certificate],
                ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=enroot test server",
                 "-keyout", self.server_key, "-out", request],
                ["x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", authority_key,
                 "-CAcreateserial", "-days", "2", "-extfile", extensions,
                 "-out", self.server_certificate]):
            subprocess.run(["openssl"] + command, check=True, stderr=subprocess.DEVNULL)
        os.chmod(directory, 0o755)

    def context(self, ask_clients=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_certificate, self.server_key)
        if ask_clients:  # for a certificate of this authority
            context.load_verify_locations(self.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Registry:
    """One docker-registry process. All of them show the same stored images."""

    def __init__(self, directory, name, host, address, ca=None, auth=None):
        self.host, self.tls, self.name, self.address = host, ca is not None, name, address
        self.log = "%s/%s.log" % (directory, name)
        configuration = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": directory + "/storage"}},
            "http": {"addr": address},
        }
        if ca:
            configuration["http"]["tls"] = {"certificate": ca.server_certificate,
                                            "key": ca.server_key}
        if auth:
            configuration["auth"] = auth
        path = "%s/%s.yml" % (directory, name)
        with open(path, "w") as file:
            json.dump(configuration, file)  # JSON is YAML
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", path], stdout=log,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        wait_for_port(address)

    def requests(self, pattern):
        """Lines of the access log that match, for counting."""
        self.wait_for_quiet()
        with open(self.log, errors="replace") as log:
            return [line for line in log if re.search(pattern, line)]

    def wait_for_quiet(self, seconds=20):
        """Until it has no connection, or the time is over.

        It writes the line about a request when the client has had the answer already, and closes
        the connection after that.
        """
        host, _, port = self.address.rpartition(":")
        own = "%08X:%04X" % (*struct.unpack("=I", socket.inet_aton(host)), int(port))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with open("/proc/net/tcp") as table:
                states = [line.split()[3] for line in table if line.split()[1] == own]
            if not {"01", "08"} & set(states):  # ESTABLISHED, CLOSE_WAIT
                return
            time.sleep(0.01)

    def blobs_sent(self):
        return len(self.requests(r'"GET /v2/\S+/blobs/\S+ HTTP/[0-9.]+" 20'))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class ThreadedServer:
    """An HTTP(S) server in this process."""

    def __init__(self, address, handler, ca=None, ask_clients=False):
        host, _, port = address.rpartition(":")
        self.server = http.server.ThreadingHTTPServer((host, int(port)), handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients hang up in half of the tests
        if ca:
            self.server.socket = ca.context(ask_clients).wrap_socket(self.server.socket,
                                                                     server_side=True)
        self.address = "%s:%d" % self.server.server_address[:2]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class TokenServer(ThreadedServer):
    """Gives out the tokens of the Docker registry token specification.

    anonymous  whether those without credentials get a token
    lifetime   seconds for which docker-registry accepts it; unknown to the client,
               whom the answer promises five minutes
    """

    def __init__(self, address, ca, anonymous):
        self.ca, self.anonymous, self.lifetime, self.requests = ca, anonymous, 300, []
        outer = self

        class TokenHandler(Handler):
            def do_GET(self):
                outer.respond(self)

            def do_POST(self):
                outer.respond_to_form(self)

        super().__init__(address, TokenHandler, ca)

    def respond(self, handler):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        authorization = handler.headers.get("Authorization")
        self.requests.append({"query": query, "authorization": authorization})
        if authorization is None and not self.anonymous or \
                authorization is not None and authorization != basic(*LOGIN):
            handler.answer(401, body=b'{"details":"incorrect username or password"}')
            return
        handler.answer(200, {"Content-Type": "application/json"}, json.dumps(
            {"token": self.token(query), "expires_in": 300}).encode())

    def respond_to_form(self, handler):
        """OAuth2, as docs/spec/auth/oauth.md of the registry has it."""
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        form = urllib.parse.parse_qs(body)
        self.requests.append({"form": form, "authorization": handler.headers.get("Authorization")})
        if form.get("grant_type") != ["refresh_token"] or \
                form.get("refresh_token") != [IDENTITY_TOKEN]:
            handler.answer(401, body=b'{"details":"invalid refresh token"}')
            return
        handler.answer(200, {"Content-Type": "application/json"}, json.dumps(
            {"access_token": self.token(form), "expires_in": 300}).encode())

    def token(self, query):
        now = int(time.time())
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return self.sign({
            "iss": "enroot tests", "sub": "", "aud": query["service"][0], "jti": str(now),
            "iat": now, "nbf": now - 120, "exp": now - REGISTRY_LEEWAY + self.lifetime,
            "access": access})

    def sign(self, claims):
        with open(self.ca.server_certificate) as file:
            chain = "".join(file.read().split("-----")[2].split())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [chain]}
        signed = ".".join(unpadded(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.ca.server_key],
            input=signed.encode(), stdout=subprocess.PIPE, check=True).stdout
        return signed + "." + unpadded(signature)


class Proxy(ThreadedServer):
    """Stands before a plain registry, notes each request, and misbehaves.

    rule(request) looks at a request before it is forwarded and returns None, or
    what to do instead, as a dict:

        status, headers, body   answer this at once
        change                  function that gets the body and returns another
        cut                     hang up after so many bytes of the body
        rate                    send so many bytes a second; a function is asked for each part
        ranges                  False: ignore a Range header
        add                     headers on top of those of the upstream

    request is a dict of method, path, headers and count, the number of earlier
    requests for that path. peak is the most that were answered at once.
    """

    def __init__(self, upstream, rule=None, address="127.0.0.1:0", name="127.0.0.1", ca=None,
                 ask_clients=False):
        self.upstream, self.rule, self.requests = upstream, rule or (lambda request: None), []
        self.lock, self.tls = threading.Lock(), ca is not None
        self.active = self.peak = 0
        outer = self

        class ProxyHandler(Handler):
            counted = 0

            def do_GET(self):
                outer.count(self, 1)
                try:
                    outer.forward(self)
                finally:
                    outer.count(self, 0)

            do_HEAD = do_GET

        super().__init__(address, ProxyHandler, ca, ask_clients)
        self.host = "%s:%s" % (name, self.address.rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def matching(self, pattern):
        with self.lock:
            return [request for request in self.requests if re.search(pattern, request["path"])]

    def count(self, handler, answers):
        """Note whether a handler answers."""
        with self.lock:
            self.active += answers - handler.counted
            handler.counted = answers
            self.peak = max(self.peak, self.active)

    def note(self, handler):
        with self.lock:
            count = sum(request["path"] == handler.path for request in self.requests)
            request = {"method": handler.command, "path": handler.path, "count": count,
                       "headers": dict(handler.headers)}
            self.requests.append(request)
        return request

    def forward(self, handler):
        request = self.note(handler)
        action = self.rule(request) or {}
        if "status" in action:
            handler.answer(action["status"], action.get("headers", {}), action.get("body", b""))
            return
        headers = dict(handler.headers)
        if not action.get("ranges", True):
            headers = {key: value for key, value in headers.items() if key.lower() != "range"}
        upstream = http.client.HTTPConnection(self.upstream)
        upstream.request(handler.command, handler.path, headers=headers)
        response = upstream.getresponse()
        body = response.read()
        upstream.close()
        if "change" in action:
            body = action["change"](body)
        handler.send_response(response.status)
        for key, value in response.getheaders():
            if key.lower() not in ("content-length", "connection") and \
                    key not in action.get("add", {}):
                handler.send_header(key, value)
        for key, value in action.get("add", {}).items():
            handler.send_header(key, value)
        length = response.getheader("Content-Length") if handler.command == "HEAD" else len(body)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        if handler.command != "HEAD":
            self.send(handler, body, action)

    def send(self, handler, body, action):
        cut = action.get("cut")
        if cut is not None:
            body = body[:cut]
        offset = 0
        while offset < len(body):
            rate = action["rate"]() if callable(action.get("rate")) else action.get("rate")
            step = max(1, rate // 20) if rate else len(body)
            if offset + step >= len(body):
                self.count(handler, 0)  # with the last byte, the client may ask for something else
            handler.wfile.write(body[offset:offset + step])
            offset += step
            if rate:
                time.sleep(step / rate)
        if cut is not None:
            handler.close_connection = True
            handler.wfile.flush()
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)


class Servers:
    """The standing servers, each started when a test first asks for it."""

    def __init__(self, directory, ca):
        self.directory, self.ca, self.running = directory, ca, {}
        with open(directory + "/htpasswd", "w") as file:
            subprocess.run(["htpasswd", "-Bbn", *LOGIN], stdout=file, check=True)

    def get(self, name, make):
        if name not in self.running:
            self.running[name] = make()
        return self.running[name]

    def registry(self, name, host, address=None, tls=True, auth=None):
        return self.get(name, lambda: Registry(
            self.directory, name, host, address or "127.0.0.1:" + host.rpartition(":")[2],
            self.ca if tls else None, auth))

    @property
    def plain(self):
        """Without TLS, for everyone."""
        return self.registry("plain", "127.0.0.1:5000", tls=False)

    @property
    def tls(self):
        """With TLS, for everyone."""
        return self.registry("tls", "registry.test:5443")

    @property
    def basic(self):
        """With TLS, for LOGIN by HTTP Basic authentication."""
        return self.registry("basic", "registry.test:5444", auth={"htpasswd": {
            "realm": "basic-realm", "path": self.directory + "/htpasswd"}})

    @property
    def private_tokens(self):
        return self.get("private_tokens", lambda: TokenServer("127.0.0.1:5446", self.ca, False))

    @property
    def token(self):
        """With TLS, for LOGIN by token."""
        assert self.private_tokens
        return self.registry("token", "registry.test:5445",
                             auth=self.token_auth("https://auth.test:5446/token"))

    @property
    def short_token(self):
        """As token, without TLS, so that a proxy can stand before it."""
        assert self.private_tokens
        return self.registry("short-token", "127.0.0.1:5447", tls=False,
                             auth=self.token_auth("https://auth.test:5446/token"))

    @property
    def hub_tokens(self):
        return self.get("hub_tokens", lambda: TokenServer("127.0.0.11:443", self.ca, True))

    @property
    def hub(self):
        """Docker Hub's name, over TLS, tokens for everyone from another host."""
        assert self.hub_tokens
        return self.registry("hub", "registry-1.docker.io", "127.0.0.10:443",
                             auth=self.token_auth("https://auth.docker.io/token"))

    def token_auth(self, realm):
        return {"token": {"realm": realm, "service": "registry.test", "issuer": "enroot tests",
                          "rootcertbundle": self.ca.certificate}}


def basic(user, password):
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def wait_for_port(address, seconds=120):
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
