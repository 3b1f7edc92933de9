"""Images for the tests: tar layers with whatever a layer may hold, OCI layouts made
of them, and the library of images that several tests share.

The common currency is an OCI layout directory: umoci reads it, and push() gives it
to a registry byte for byte.
"""
import gzip
import hashlib
import http.client
import io
import json
import os
import platform
import re
import subprocess
import tarfile

MTIME = 1600000000  # of everything that does not say otherwise

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."
OCI_MANIFEST, OCI_INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"
OCI_CONFIG, OCI_LAYER = OCI + "config.v1+json", OCI + "layer.v1.tar"
DOCKER_MANIFEST, DOCKER_LIST = DOCKER + "v2+json", DOCKER + "list.v2+json"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Tar:
    """Writes the tar archive of one layer."""

    def __init__(self, format=tarfile.PAX_FORMAT):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=format,
                                errors="surrogateescape")

    def add(self, path, kind=tarfile.REGTYPE, data=b"", mode=None, uid=0, gid=0, mtime=MTIME,
            target="", xattrs=None, device=(0, 0)):
        """Add any entry; path and target may be bytes. Returns self."""
        info = tarfile.TarInfo(os.fsdecode(path))
        info.type, info.size, info.linkname = kind, len(data), os.fsdecode(target)
        info.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
        info.uid, info.gid, info.mtime = uid, gid, mtime
        info.devmajor, info.devminor = device
        info.pax_headers = {"SCHILY.xattr." + name: os.fsdecode(value)
                            for name, value in (xattrs or {}).items()}
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def file(self, path, data=b"", **more):
        return self.add(path, data=data, **more)

    def directory(self, path, **more):
        return self.add(path, tarfile.DIRTYPE, **more)

    def symlink(self, path, target, **more):
        return self.add(path, tarfile.SYMTYPE, target=target, mode=0o777, **more)

    def hardlink(self, path, target, **more):
        return self.add(path, tarfile.LNKTYPE, target=target, **more)

    def whiteout(self, path):
        base, _, name = path.rpartition("/")
        return self.file(base + ("/" if base else "") + ".wh." + name, mode=0)

    def opaque(self, path):
        return self.file(path + "/.wh..wh..opq", mode=0)

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()


def compressed(data, program):
    """Compress with gzip, zstd, xz or bzip2; None leaves data alone."""
    if program is None:
        return data
    if program == "gzip":
        return gzip.compress(data, 6, mtime=0)
    return subprocess.run([program, "-q", "-c"] if program != "bzip2" else [program, "-c"],
                          input=data, stdout=subprocess.PIPE, check=True).stdout


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI image layout that is being written.

    Holds one image, or several that an index refers to.
    """

    def __init__(self, path):
        self.path = path
        os.makedirs(path + "/blobs/sha256")
        with open(path + "/oci-layout", "w") as file:
            json.dump({"imageLayoutVersion": "1.0.0"}, file)

    def blob(self, data, media_type):
        """Store a blob and return its descriptor."""
        name = digest(data)
        with open(blob_path(self.path, name), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": name, "size": len(data)}

    def layer(self, tar, program="gzip", media_type=None):
        """Store a layer; returns its descriptor and the digest of the plain tar."""
        data = tar.bytes() if isinstance(tar, Tar) else tar
        suffix = {"gzip": "+gzip", "zstd": "+zstd"}.get(program, "")
        return self.blob(compressed(data, program), media_type or OCI_LAYER + suffix), digest(data)

    def manifest(self, layers, config=None, architecture=ARCHITECTURE, variant=None):
        """Store configuration and manifest for layers as layer() returned them."""
        document = {"architecture": architecture, "os": "linux", "config": config or {},
                    "rootfs": {"type": "layers", "diff_ids": [plain for _, plain in layers]}}
        if variant:
            document["variant"] = variant
        return self.blob(json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": self.blob(json.dumps(document).encode(), OCI_CONFIG),
            "layers": [descriptor for descriptor, _ in layers]}).encode(), OCI_MANIFEST)

    def finish(self, descriptor, tag="latest"):
        """Name what the layout is about."""
        named = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
        with open(self.path + "/index.json", "w") as file:
            json.dump({"schemaVersion": 2, "manifests": [named]}, file)
        return self.path


def layout(path, tars, config=None, program="gzip"):
    """Write a layout of one image whose layers are tars, bottom first."""
    image = Layout(path)
    return image.finish(image.manifest([image.layer(tar, program) for tar in tars], config))


def blob_path(path, name):
    return "%s/blobs/%s" % (path, name.replace(":", "/"))


def read_index(path):
    with open(path + "/index.json") as file:
        return json.load(file)


def push(path, address, repository, tag="latest"):
    """Give a layout's image to a registry as it is; returns its digest."""
    connection = http.client.HTTPConnection(address)

    def request(method, url, body=None, headers=None):
        connection.request(method, url, body=body, headers=headers or {})
        response = connection.getresponse()
        answer = response.read()
        return response, answer

    def upload(descriptor):
        url = "/v2/%s/blobs/" % repository
        if request("HEAD", url + descriptor["digest"])[0].status == 200:
            return
        response, _ = request("POST", url + "uploads/")
        location = response.getheader("Location").split(address, 1)[1]
        separator = "&" if "?" in location else "?"
        with open(blob_path(path, descriptor["digest"]), "rb") as file:
            response, answer = request(
                "PUT", "%s%sdigest=%s" % (location, separator, descriptor["digest"]), file,
                {"Content-Type": "application/octet-stream",
                 "Content-Length": str(os.fstat(file.fileno()).st_size)})
        assert response.status == 201, answer

    def give(descriptor, name):
        with open(blob_path(path, descriptor["digest"]), "rb") as file:
            data = file.read()
        document = json.loads(data)
        for child in document.get("manifests", []):
            give(child, child["digest"])
        for child in [document["config"]] + document["layers"] if "layers" in document else []:
            upload(child)
        response, answer = request("PUT", "/v2/%s/manifests/%s" % (repository, name), data,
                                   {"Content-Type": descriptor["mediaType"]})
        assert response.status == 201, answer

    top = read_index(path)["manifests"][0]
    give(top, tag)
    connection.close()
    return top["digest"]


# ---- the library ----

OS_RELEASE = b'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.0\nPRETTY_NAME="Busybox for tests"\n'


def busybox_root():
    """A small root file system around the distribution's static busybox."""
    tar = Tar()
    for path in ("bin", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "run", "sbin", "srv",
                 "sys", "usr", "usr/bin", "usr/lib", "usr/sbin", "var", "var/log", "var/cache"):
        tar.directory(path)
    tar.directory("root", mode=0o700).directory("tmp", mode=0o1777)
    tar.directory("var/tmp", mode=0o1777)
    tar.symlink("var/run", "/run").symlink("var/lock", "/run/lock")
    with open("/bin/busybox", "rb") as file:
        tar.file("bin/busybox", file.read(), mode=0o755)
    applets = subprocess.run(["busybox", "--list-full"], stdout=subprocess.PIPE, check=True).stdout
    for applet in sorted(set(applets.decode().split()) - {"bin/busybox"}):
        if applet.startswith(("bin/", "sbin/", "usr/bin/", "usr/sbin/")):
            tar.symlink(applet, "/bin/busybox")
    tar.file("etc/os-release", OS_RELEASE)
    tar.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nbin:x:1:1:bin:/bin:/sbin/nologin\n"
                           b"nobody:x:65534:65534:nobody:/:/sbin/nologin\n")
    tar.file("etc/group", b"root:x:0:root\nbin:x:1:root,bin\nnobody:x:65534:\n")
    tar.file("etc/profile", b"export PROFILE_READ=yes\n")
    tar.file("etc/shells", b"/bin/sh\n")
    return tar


class Library:
    """Images that several tests use, each made when first asked for."""

    def __init__(self, world):
        self.world = world
        self.path = world.work + "/library"
        os.mkdir(self.path)
        self.pushed_images, self.squashed_images = {}, {}

    def layout(self, name):
        path = "%s/%s" % (self.path, name)
        if not os.path.exists(path + "/index.json"):
            getattr(self, "make_" + name)(path)
        return path

    def pushed(self, name):
        """The image's repository and tag in every registry."""
        if name not in self.pushed_images:
            repository = {"alpine": "library/alpine"}.get(name, "tests/" + name)
            push(self.layout(name), self.world.servers.plain.host, repository)
            self.pushed_images[name] = repository + ":latest"
        return self.pushed_images[name]

    def squashed(self, name):
        """The image as enroot imports it with default options."""
        if name not in self.squashed_images:
            output = "%s/%s.sqsh" % (self.path, name)
            user = self.world.user
            reference = "docker://%s#%s" % (self.world.servers.plain.host, self.pushed(name))
            home = user.environment()
            made = user.work + "/library.sqsh"
            result = subprocess.run(
                ["enroot", "import", "-o", made, reference], cwd=user.work,
                env={**home, "ENROOT_ALLOW_HTTP": "yes"}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, user=user.uid, group=user.gid,
                extra_groups=[user.gid])
            assert result.returncode == 0, result.stdout.decode(errors="replace")
            subprocess.run(["cp", made, output], check=True)
            subprocess.run(["rm", "-rf", made, user.home + "/.cache/enroot"], check=True)
            os.chmod(output, 0o644)
            self.squashed_images[name] = output
        return self.squashed_images[name]

    def make_alpine(self, path):
        """A busybox that calls itself Alpine."""
        layout(path, [busybox_root()], {"Cmd": ["/bin/sh"], "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]})

    def make_application(self, path):
        """An image with every setting that import turns into a file."""
        tool = b'#!/bin/sh\nprintf "%s|" "$0" "$@"; echo; echo "cwd=$PWD"; echo "MODE=$MODE"\n'
        layout(path, [busybox_root(), Tar().directory("app").file("app/tool", tool, mode=0o755)], {
            "Env": ["PATH=/usr/bin:/bin", "MODE=image value", "HOST_VALUE=<${FROM_HOST}>",
                    "QUOTED='a b'", "TRICK=$(touch /tmp/trick)"],
            "Entrypoint": ["/app/tool", "first word", "it's"], "Cmd": ["default", "$HOME"],
            "WorkingDir": "/app/work dir", "Volumes": {"/data": {}, "/more/data": {}},
            "Labels": {"maintainer": "someone", "lines": "one\ntouch /tmp/label\n"}})

    def make_pytorch(self, path):
        """What NVIDIA's images of PyTorch say of themselves."""
        layout(path, [busybox_root()], {"Env": ["PATH=/usr/bin:/bin", "PYTORCH_VERSION=2.1.0"]})

    def make_window(self, path):
        """A client of an X server, with the libraries that it needs."""
        shown = subprocess.run(["ldd", "/usr/bin/xdpyinfo"], stdout=subprocess.PIPE,
                               check=True).stdout.decode()
        tar = busybox_root().directory("lib64")
        for name in ["/usr/bin/xdpyinfo"] + re.findall(r"(/\S+) \(", shown):
            with open(name, "rb") as file:
                tar.file(name.lstrip("/"), file.read(), mode=0o755)
        layout(path, [tar], {"Env": ["PATH=/usr/bin:/bin"]})

    def make_mpi(self, path):
        """Hello and ring, of Open MPI and of MPICH, with all that Debian has for them to load."""
        source = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../slurm/ring.c")
        place = "/usr/lib/%s/" % subprocess.run(
            ["gcc", "-print-multiarch"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        tar = busybox_root().directory("lib64")
        files = []
        for kind in ("openmpi", "mpich"):
            program = "%s/%s-ring" % (self.path, kind)
            subprocess.run(["mpicc." + kind, "-o", program, source], check=True)
            with open(program, "rb") as file:
                tar.file("usr/bin/%s-ring" % kind, file.read(), mode=0o755)
            files.append(program)
        for base in ("openmpi/lib/openmpi3", "pmix2/lib/pmix", "ucx"):  # modules, by dlopen(3)
            files += sorted(entry.path for entry in os.scandir(place + base)
                            if entry.name.endswith(".so"))
        shown = subprocess.run(["ldd", *files], stdout=subprocess.PIPE, check=True).stdout.decode()
        for name in sorted(set(files[2:] + re.findall(r"(/\S+) \(", shown))):
            with open(name, "rb") as file:
                tar.file(name.lstrip("/"), file.read(), mode=0o755)
        for base in ("/etc/openmpi", "/usr/share/openmpi", "/usr/share/pmix"):  # settings, messages
            for directory, _, names in os.walk(base):
                for name in names:
                    with open(os.path.join(directory, name), "rb") as file:
                        tar.file(os.path.join(directory, name).lstrip("/"), file.read())
        layout(path, [tar], {"Env": ["PATH=/usr/bin:/bin"]}, None)

    def make_debian(self, path):
        """A Debian (or Ubuntu) root of three layers; the upper ones delete and change much."""
        tar = self.path + "/debian.tar"
        with open("/etc/os-release") as file:
            release = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
        # /tmp of the machine may be too small, or forbid programs and devices.
        self.world.on_host_network(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--include=adduser,perl",
             # For tests that install a package with a user of its own, without a network.
             "--customize-hook=mkdir -p \"$1\"/srv/debs/partial; "
             "chroot \"$1\" apt-get -q -y --no-install-recommends "
             "--download-only -o Dir::Cache::archives=/srv/debs install openssh-server >/dev/null",
             "--customize-hook=rm -rf \"$1\"/srv/debs/partial \"$1\"/srv/debs/lock",
             release["VERSION_CODENAME"].strip('"'), tar],
            env={**os.environ, "TMPDIR": self.world.work})
        image = Layout(path)
        with open(tar, "rb") as file:
            base = image.layer(subprocess.run(["gzip", "-1", "-n"], stdin=file, check=True,
                                              stdout=subprocess.PIPE).stdout, None,
                               OCI_LAYER + "+gzip")[0]
        with open(tar, "rb") as file:
            plain = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest() \
                if hasattr(hashlib, "file_digest") else digest(file.read())
        os.unlink(tar)
        image.finish(image.manifest([(base, plain)], {"Cmd": ["/bin/bash"]}))
        self.change(path, "set -e; cd $1; rm -rf usr/share/doc usr/share/zoneinfo/Europe; "
                          "mkdir usr/share/doc; echo new >usr/share/doc/README; "
                          "find etc -type f -name '*.conf' -exec sh -c 'echo >>$1' sh {} \\; ; "
                          "rm -f etc/issue; mkdir etc/issue; echo file >etc/issue/inside; "
                          "ln usr/bin/perl usr/bin/perl-link; chmod 4711 usr/bin/perl; "
                          "setfattr -n user.note -v text usr/bin/perl",
                          "set -e; cd $1; rm -rf etc/issue; echo again >etc/issue; "
                          "cp -a usr/share/perl5 opt/perl5; chown -R 33:33 opt/perl5; "
                          "rm -rf usr/lib/*/perl-base/unicore usr/share/locale; "
                          "mkdir -m 750 usr/share/locale; ln -s /etc/passwd usr/share/locale/link")

    def change(self, path, *scripts):
        """Add a layer with what each of the scripts changes below its $1."""
        bundle = path + ".bundle"
        subprocess.run(["umoci", "unpack", "--image", path + ":latest", bundle], check=True,
                       stderr=subprocess.DEVNULL)
        for script in scripts:
            subprocess.run(["sh", "-c", script, "sh", bundle + "/rootfs"], check=True)
            subprocess.run(["umoci", "repack", "--refresh-bundle", "--image", path + ":latest",
                            bundle], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", bundle], check=True)
