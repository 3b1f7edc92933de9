"""The place that integration tests run in, and what they have in common.

The runner enters namespaces of its own (mount, network, process ids) as root
before this module sets anything up. Users, host names, ports, mounts and
processes therefore exist for the tests only, and end with them: the machine's
/etc, its network and its processes are never touched.
"""
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import time
import unittest

import images
import servers

TIMEOUT = 300  # seconds for one command or change; far above what any takes on a busy machine
PATIENCE = 120  # seconds for what comes about by itself
HOSTS = """127.0.0.1 localhost registry.test auth.test
127.0.0.2 blobs.test
127.0.0.10 registry-1.docker.io
127.0.0.11 auth.docker.io
"""

# python3 -c PIVOT ROOT UID pivot|chroot PROGRAM ARG…: a program in another root, entered as
# container runtimes do, or with chroot(2), which is not enough for user namespaces.
PIVOT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)
root, user, pivot = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3] == "pivot"
if pivot:
    call("unshare", 0x20000)
    call("mount", b"none", b"/", None, 0x44000, None)
    call("mount", root, root, None, 0x5000, None)
    os.chdir(root)
    call("pivot_root", b".", b".")
    call("umount2", b".", 2)
else:
    os.chroot(root)
os.chdir("/")
os.setgroups([])
os.setgid(user)
os.setuid(user)
os.execve(sys.argv[4], sys.argv[4:], {"HOME": "/home", "XDG_RUNTIME_DIR": "/run"})
"""

# Prints the most memory of a command, in KiB. What a process had before exec counts as well, so
# it must not be started by one that holds an image.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=2)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""

world = None  # the one World, set by the runner


class Result:
    """What a command did."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def __str__(self):
        return "%s\nexit status %d\n--- stdout\n%s--- stderr\n%s" % (
            " ".join(map(str, self.argv)), self.code, self.out[-4000:], self.err[-4000:])


class User:
    """An account with directories that every test finds empty."""

    def __init__(self, name, base):
        if name != "root":
            subprocess.run(["useradd", "--no-create-home", "--home-dir", base + "/" + name,
                            "--shell", "/bin/sh", name], check=True)
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid
        self.home, self.work, self.tmp, self.run = (
            "%s/%s%s" % (base, name, suffix) for suffix in ("", "-work", "-tmp", "-run"))
        self.reset()

    def reset(self):
        for path in (self.home, self.work, self.tmp, self.run):
            if os.path.exists(path):
                unmount_below(path)
                subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)
            os.mkdir(path, 0o700)
            os.chown(path, self.uid, self.gid)
        # Servers and root's own checks read below it; the classic umask of a home.
        os.chmod(self.home, 0o755)
        os.chmod(self.work, 0o755)

    def environment(self):
        return {
            "HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": "/bin/sh",
            "PATH": world.bin + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "TMPDIR": self.tmp, "XDG_RUNTIME_DIR": self.run, "TERM": "dumb",
            "SSL_CERT_FILE": world.ca.certificate,
            # For a build with sanitizers: leaks cannot be looked for in exec and in what
            # stands in for a container (detect_leaks=0), which nobody may look into.
            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")},
        }

    def processes(self):
        """Process ids of this user that are alive."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/status" % name) as status:
                    text = status.read()
                if re.search(r"^Uid:\t%d\t" % self.uid, text, re.M) and "State:\tZ" not in text:
                    found.append(int(name))
        return found


class World:
    """Everything that outlives a single test."""

    def __init__(self, work, build, host_net):
        self.work, self.host_net = work, host_net
        self.enter()
        self.bin = self.install(build)
        self.user = User("enroot-one", work)
        self.other = User("enroot-two", work)
        self.root = User("root", work)
        os.mkdir(work + "/servers")
        self.ca = servers.Authority(work + "/servers/ca", sorted(set(
            name for line in HOSTS.splitlines() for name in line.split())))
        self.servers = servers.Servers(work + "/servers", self.ca)
        self.library = images.Library(self)

    def enter(self):
        """Give the namespaces their own /etc, /dev/fuse and loopback interface."""
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        private = self.work + "/private"
        os.mkdir(private)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", private], check=True)
        subprocess.run(["cp", "-a", "/etc", private + "/etc"], check=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(private + "/etc/hosts")
        with open(private + "/etc/hosts", "w") as hosts:
            hosts.write(HOSTS)
        subprocess.run(["mount", "--bind", private + "/etc", "/etc"], check=True)
        # Many machines give /dev/fuse to root alone until udev has seen it.
        os.mknod(private + "/fuse", 0o666 | stat.S_IFCHR, os.makedev(10, 229))
        os.chmod(private + "/fuse", 0o666)
        subprocess.run(["mount", "--bind", private + "/fuse", "/dev/fuse"], check=True)

    def install(self, build):
        """Install a build where every user can read it, its configuration into /etc.

        Returns the directory of the program.
        """
        place = self.work + "/install"
        subprocess.run(["meson", "install", "-C", build, "--quiet", "--no-rebuild",
                        "--destdir", place], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree("/etc/enroot", ignore_errors=True)
        if os.path.exists(place + "/etc/enroot"):  # else the built-in defaults count
            shutil.copytree(place + "/etc/enroot", "/etc/enroot")
        program = subprocess.run(["find", place, "-path", "*/bin/enroot"], check=True,
                                 stdout=subprocess.PIPE).stdout.decode().strip()
        return os.path.dirname(program)

    def on_host_network(self, argv, **options):
        """Run a command that needs the machine's own network (package downloads)."""
        return subprocess.run(["nsenter", "--net=/proc/self/fd/%d" % self.host_net, "--"] + argv,
                              pass_fds=[self.host_net], check=True, stdin=subprocess.DEVNULL,
                              **options)


def unmount_below(path):
    """Detach every mount at or below a directory."""
    with open("/proc/self/mountinfo") as info:
        points = [line.split()[4] for line in info]
    for point in reversed(points):
        if point == path or point.startswith(path + "/"):
            subprocess.run(["umount", "-l", point], check=True)


def become(user):
    """What subprocess needs to run something as a user, or as root for None."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": [user.gid]}


class Case(unittest.TestCase):
    """A test that runs enroot as an ordinary user in empty directories.

    Afterwards no process and no temporary file of the user may be left, whatever
    the test did: that is part of every test.
    """

    longMessage = True

    def setUp(self):
        self.user = world.user
        for user in (world.user, world.other, world.root):
            user.reset()
        self.env = {}

    def tearDown(self):
        left = self.wait_for_no_process(world.user) + self.wait_for_no_process(world.other)
        commands = []
        for pid in left:
            with contextlib.suppress(OSError):
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    commands.append(file.read().replace(b"\0", b" ").decode())
                os.kill(pid, signal.SIGKILL)
        self.assertEqual(commands, [], "processes left behind")
        for user in (world.user, world.other):
            for path in (user.tmp, user.run):
                self.assertEqual(files_below(path), [], "left behind in " + path)

    @staticmethod
    def wait_for_no_process(user):
        deadline = time.monotonic() + PATIENCE
        while user.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        return user.processes()

    def programs(self, name):
        """The test's user's processes that have become a program: no shell before it any more."""
        found = []
        for pid in self.user.processes():
            with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as file:
                if file.read() == name + "\n":
                    found.append(pid)
        return found

    def wait_for_program(self, name, count=1):
        """Until so many processes of the test's user have become a program."""
        self.wait_until("%d of %s" % (count, name), lambda: len(self.programs(name)) >= count)

    def wait_until(self, what, check):
        """Until something holds, which is looked at again and again."""
        deadline = time.monotonic() + PATIENCE
        while not check():
            self.assertLess(time.monotonic(), deadline, "no " + what)
            time.sleep(0.02)

    # ---- running ----

    def start(self, *argv, user=None, env=None, cwd=None, **options):
        """Start a command as the test's user and return its Popen."""
        user = user or self.user
        environment = user.environment()
        environment.update(self.env)
        environment.update(env or {})
        environment = {key: value for key, value in environment.items() if value is not None}
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "umask": 0o022, **options}
        return subprocess.Popen(argv, env=environment, cwd=cwd or user.work, **become(user),
                                **options)

    def run_command(self, *argv, input=None, timeout=TIMEOUT, **options):
        """Run a command as the test's user to its end."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*argv, **options)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail("no end after %d seconds: %s" % (
                timeout, Result(argv, -1, text(out), text(err))))
        return Result(argv, process.returncode, text(out), text(err))

    def enroot(self, *arguments, **options):
        """Run enroot, expecting success."""
        result = self.run_command("enroot", *arguments, **options)
        self.assertEqual(result.code, 0, result)
        return result

    def most_memory(self, *argv, **options):
        """Run a command, expecting success; returns the most memory that it took, in MiB."""
        result = self.run_command("python3", "-c", MEASURE, *argv, **options)
        self.assertEqual(result.code, 0, result)
        return int(result.out) / 1024

    def refused(self, *arguments, says, **options):
        """Run enroot, expecting exit status 1 and one clear error that matches."""
        result = self.run_command("enroot", *arguments, **options)
        self.assertEqual(result.code, 1, result)
        errors = [line for line in result.err.splitlines() if "[ERROR]" in line]
        self.assertEqual(len(errors), 1, result)
        self.assertRegex(errors[0], "(?i)" + says, result)
        return result

    # ---- the usual images and containers ----

    def import_from(self, server, image, output="image.sqsh", *options, **more):
        """Import an image of the library through a server, by its tag "latest"."""
        reference = "docker://%s#%s" % (server.host, world.library.pushed(image))
        env = {**more.pop("env", {})}
        if not server.tls:
            env["ENROOT_ALLOW_HTTP"] = "yes"
        self.enroot("import", "-o", output, *options, reference, env=env, **more)
        return os.path.join(self.user.work, output)

    def container(self, image="alpine", name=None):
        """A container of an image of the library, without a registry in between."""
        name = name or image
        sqsh = world.library.squashed(image)
        self.enroot("create", "--name", name, sqsh)
        return name

    # ---- checks ----

    def data_path(self, *parts):
        return os.path.join(self.user.home, ".local/share/enroot", *parts)

    def cache_path(self, *parts):
        return os.path.join(self.user.home, ".cache/enroot", *parts)

    def assert_nothing_left(self):
        """No image, no temporary file, no lock; parts of large blobs may wait for the next run."""
        self.assertEqual(files_below(self.user.work), [])
        expected = r"sha256-[0-9a-f]{64}|\.sha256-[0-9a-f]{64}\.partial"
        self.assertEqual([name for name in files_below(self.cache_path())
                          if not re.fullmatch(expected, name)], [])

    def assert_image_valid(self, path):
        result = subprocess.run(["unsquashfs", "-l", path], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
        self.assertEqual(result.returncode, 0, text(result.stdout)[-2000:])


def text(data):
    return data.decode("utf-8", "surrogateescape") if data is not None else ""


def files_below(path):
    """Every file below a directory that is not itself a directory, sorted."""
    return sorted(os.path.relpath(os.path.join(base, name), path)
                  for base, _, names in os.walk(path) for name in names)


def enter(script, arguments, keep=False):
    """Run a script again, as root of new namespaces, with a fresh directory.

    It gets "--inside --work DIRECTORY --host-net DESCRIPTOR" before the arguments.
    Returns its exit status after everything it started has ended.
    """
    # Not as tempfile names it: podman makes image names of paths, without "_" at an end.
    work = "/var/tmp/enroot-tests-" + secrets.token_hex(4)
    os.mkdir(work)
    os.chmod(work, 0o755)
    host_net = os.open("/proc/self/ns/net", os.O_RDONLY)
    # --kill-child: with the namespace of process ids, every process in it ends.
    process = subprocess.Popen(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
         "--propagation", "private", sys.executable, os.path.realpath(script), "--inside",
         "--work", work, "--host-net", str(host_net), *arguments],
        pass_fds=[host_net], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        if keep:
            print("kept " + work)
        else:
            shutil.rmtree(work, ignore_errors=True)
