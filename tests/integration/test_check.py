"""check: what it finds, and what it says, on machines with this or that missing."""
import contextlib
import json
import os
import platform
import re
import shutil
import subprocess

import harness

LINE = re.compile(r"^(\S.*?) *: (OK \(module\)|OK|KO \(optional\)|KO)(?: \((.*)\)|: (.*))?$")

# Runs a command under a filter that answers EPERM to unshare(2), as container runtimes do.
FILTER = """
import ctypes, os, struct, sys
number = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
code = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000))
filter = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(filter)))
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program))):
    sys.exit("no filter")
os.execvp(sys.argv[1], sys.argv[1:])
"""


class CheckCase(harness.Case):
    def check(self, *options, code=0, **more):
        """The lines of the report by their names, each (status, text, effect, mend)."""
        result = self.run_command("enroot", "check", *options, **more)
        self.assertEqual(result.code, code, result)
        return self.parse(result.out)

    def parse(self, text):
        lines, last = {}, None
        for line in text.splitlines():
            found = LINE.match(line)
            if found:
                last = found.group(1)
                self.assertNotIn(last, lines)
                lines[last] = {"status": found.group(2), "detail": found.group(3) or found.group(4)}
            elif line.startswith("    "):
                key, value = line.strip().split(":", 1)
                lines[last][key] = value.strip()
        return lines

    def assert_failed(self, line, status, says, mend=None):
        self.assertEqual(line["status"], status, line)
        self.assertRegex(line["detail"], says)
        self.assertTrue(line["effect"])
        if mend:
            self.assertRegex(line["mend"], mend)

    def mount(self, path, options):
        """A tmpfs of the user's own at a path; the end of the test takes it away."""
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,uid=%d,%s" % (
            self.user.uid, options), "tmpfs", path], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=True)


class TestReport(CheckCase):
    def test_a_machine_that_works_has_all_that_is_required(self):
        lines = self.check()
        self.assertEqual([name for name, line in lines.items() if line["status"] == "KO"], [])
        for name in ("user namespace", "one id mapped", "mount namespace", "pid namespace",
                     "network namespace", "ipc namespace", "uts namespace", "cgroup namespace",
                     "tmpfs", "overlayfs", "FUSE", "seccomp filter", "new mount API", "openat2",
                     "joining by pidfd", "container", "image file", "cgroups", "data", "cache", "temp", "runtime",
                     "user.max_user_namespaces", "user.max_mnt_namespaces"):
            self.assertRegex(lines[name]["status"], "^OK", name)
        self.assertIn(platform.release(), lines["version"]["detail"])

    def test_nothing_changes(self):
        self.check()
        self.assertEqual(harness.files_below(self.user.home), [])
        self.assertEqual(os.listdir(self.user.home) + os.listdir(self.user.run), [])

    def test_json_is_the_same_report(self):
        document = json.loads(self.enroot("check", "--json").out)
        self.assertTrue(document["ok"])
        lines = self.check()
        self.assertEqual([(check["name"], check["status"]) for check in document["checks"]],
                         [(name, line["status"]) for name, line in lines.items()])
        for check in document["checks"]:
            self.assertEqual(set(check), {"group", "name", "status", "detail", "effect", "mend"})
            self.assertEqual(check["effect"], lines[check["name"]].get("effect"))

    def test_words_and_options_that_it_does_not_have(self):
        self.refused("check", "word", says="too many arguments")
        self.refused("check", "--fast", says="unknown option")


class TestMissing(CheckCase):
    def test_a_limit_of_no_user_namespaces(self):
        """Scenario 8: user.max_user_namespaces; the limit holds below a namespace of ours."""
        script = "echo 0 >/proc/sys/user/max_user_namespaces; exec enroot check"
        result = self.run_command("unshare", "--user", "--map-root-user", "sh", "-c", script)
        self.assertEqual(result.code, 1, result)
        lines = self.parse(result.out)
        mend = "sysctl user.max_user_namespaces=65536"
        self.assert_failed(lines["user.max_user_namespaces"], "KO", "it is 0", mend)
        self.assert_failed(lines["user namespace"], "KO", "allows no user namespaces", mend)
        self.assert_failed(lines["mount namespace"], "KO", "not tried without: one id mapped")
        self.assertIn("lacks what containers need: user.max_user_namespaces, user namespace",
                      result.err)

    def test_a_seccomp_filter_of_a_pod(self):
        result = self.run_command("python3", "-c", FILTER, "enroot", "check")
        self.assertEqual(result.code, 1, result)
        lines = self.parse(result.out)
        self.assert_failed(lines["user namespace"], "KO", "seccomp filter forbids it", "Unconfined")
        self.assertIn("runs under one", lines["outer seccomp filter"]["detail"])

    def test_json_of_a_failure(self):
        result = self.run_command("python3", "-c", FILTER, "enroot", "check", "--json")
        self.assertEqual(result.code, 1, result)
        document = json.loads(result.out)
        self.assertFalse(document["ok"])
        failed = [check for check in document["checks"] if check["name"] == "user namespace"]
        self.assertEqual(failed[0]["status"], "KO")
        self.assertEqual(failed[0]["effect"], "no container starts")
        self.assertRegex(failed[0]["mend"], "Unconfined")

    def test_start_explains_it_in_the_same_words(self):
        name = self.container()
        script = "echo 0 >/proc/sys/user/max_user_namespaces; exec enroot %s"
        unshare = ["unshare", "--user", "--map-root-user", "sh", "-c"]
        start = self.run_command(*unshare, script % ("start " + name))
        check = self.parse(self.run_command(*unshare, script % "check").out)["user namespace"]
        self.assertIn(check["detail"].split("; ")[1] + ": " + check["mend"], start.err)

    def test_a_limit_of_no_network_namespaces_is_no_failure(self):
        script = "echo 0 >/proc/sys/user/max_net_namespaces; exec enroot check"
        result = self.run_command("unshare", "--user", "--map-root-user", "sh", "-c", script)
        self.assertEqual(result.code, 0, result)
        self.assert_failed(self.parse(result.out)["network namespace"], "KO (optional)",
                           "No space left", "user.max_net_namespaces")

    def test_a_full_data_path(self):
        self.mount(self.data_path(), "size=1m")
        lines = self.check(code=1)
        self.assert_failed(lines["data: free space"], "KO", "GiB free", "ENROOT_DATA_PATH")

    def test_little_space_is_no_failure(self):
        self.mount(self.cache_path(), "size=100m")
        self.assert_failed(self.check()["cache: free space"], "KO (optional)", "0.10 GiB free",
                           "ENROOT_CACHE_PATH")

    def test_a_data_path_without_inodes(self):
        self.mount(self.data_path(), "nr_inodes=1")
        self.assert_failed(self.check(code=1)["data: free space"], "KO", "no inode")

    def test_a_data_path_mounted_noexec(self):
        self.mount(self.data_path(), "size=3g,noexec")
        self.assert_failed(self.check(code=1)["data: programs run"], "KO", "noexec",
                           "ENROOT_DATA_PATH")

    def test_paths_of_somebody_else(self):
        lines = self.check(code=1, env={"ENROOT_DATA_PATH": "/root/x/y",
                                        "ENROOT_RUNTIME_PATH": "/proc/x"})
        self.assert_failed(lines["data"], "KO", "Permission denied", "ENROOT_DATA_PATH")
        self.assert_failed(lines["runtime"], "KO (optional)", "/proc", "ENROOT_RUNTIME_PATH")

    def test_fuse_kept_to_root(self):
        os.chmod("/dev/fuse", 0o600)
        self.addCleanup(os.chmod, "/dev/fuse", 0o666)
        lines = self.check()
        self.assert_failed(lines["FUSE"], "KO (optional)", "/dev/fuse: Permission denied", "fuse3")
        self.assert_failed(lines["image file"], "KO (optional)", "not tried without: FUSE")


class TestSubordinateIds(CheckCase):
    """The row that newuidmap and the ranges of /etc/subuid and /etc/subgid decide."""

    def setUp(self):
        super().setUp()
        self.grant("%s:300000:1000\n" % self.user.name)

    def grant(self, text):
        for path in ("/etc/subuid", "/etc/subgid"):
            with open(path) as file:
                self.addCleanup(self.write, path, file.read())
            self.write(path, text)

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)

    def test_a_range(self):
        line = self.check()["subordinate ids"]
        self.assertEqual(line, {"status": "OK", "detail": "1001 user ids, 1001 group ids"})

    def test_no_range(self):
        self.grant("nobody:300000:1000\n")
        self.assert_failed(self.check()["subordinate ids"], "KO (optional)",
                           "has no subordinate ids in /etc/subuid", "add the line")

    def test_no_newuidmap(self):
        path = shutil.which("newuidmap")
        subprocess.run(["mount", "--bind", "/dev/null", path], check=True)
        self.addCleanup(subprocess.run, ["umount", path], check=True)
        self.assert_failed(self.check()["subordinate ids"], "KO (optional)", "newuidmap is missing",
                           "uidmap")

    def test_no_new_privileges(self):
        result = self.run_command("setpriv", "--no-new-privs", "enroot", "check")
        self.assertEqual(result.code, 0, result)
        lines = self.parse(result.out)
        self.assert_failed(lines["subordinate ids"], "KO (optional)", "no_new_privs")
        self.assert_failed(lines["set-user-ID programs"], "KO (optional)", "no_new_privs",
                           "allowPrivilegeEscalation")


class TestPod(CheckCase):
    """Scenario 7: a small root with /proc and little else, and an ordinary user."""

    def setUp(self):
        super().setUp()
        self.root = self.user.work + "/pod"
        for name in ("proc", "home", "run", "tmp", "dev", "etc", "boot"):
            os.makedirs(self.root + "/" + name)
        for name in ("home", "run", "tmp"):
            os.chown(self.root + "/" + name, self.user.uid, self.user.gid)
        program = harness.world.bin + "/enroot"
        shutil.copy(program, self.root + "/enroot")
        known = subprocess.run(["ldconfig", "-p"], stdout=subprocess.PIPE, check=True).stdout
        # Two that are loaded on first use, for image files.
        on_need = re.findall(r"=> (/\S+/(?:libfuse3|libsquashfs)\.so\.\d+)\n", known.decode())
        listed = subprocess.run(["ldd", program, *on_need], stdout=subprocess.PIPE, check=True)
        for path in on_need + re.findall(r"(/\S+) \(", listed.stdout.decode()):
            os.makedirs(self.root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, self.root + path)
        self.bind("/proc", self.root + "/proc")
        for device in ("/dev/fuse", "/dev/null"):
            self.bind(device, self.root + device)
        if os.path.exists("/proc/config.gz"):
            self.bind("/dev/null", self.root + "/proc/config.gz")

    def bind(self, source, target):
        if not os.path.exists(target):
            open(target, "w").close()
        subprocess.run(["mount", "--rbind", source, target], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", target], check=False)

    def inside(self, *options, way="pivot"):
        return self.run_command("python3", "-c", harness.PIVOT, self.root, str(self.user.uid), way,
                                "/enroot", "check", *options, user=harness.world.root)

    def put_configuration(self, change=lambda text: text):
        text = "CONFIG_NAMESPACES=y\nCONFIG_USER_NS=y\nCONFIG_SECCOMP_FILTER=y\n" \
               "CONFIG_OVERLAY_FS=m\n# CONFIG_X86_VSYSCALL_EMULATION is not set\n"
        with open("%s/boot/config-%s" % (self.root, platform.release()), "w") as file:
            file.write(change(text))

    def test_without_a_configuration_file_everything_is_tried(self):
        result = self.inside()
        self.assertEqual(result.code, 0, result)
        lines = self.parse(result.out)
        self.assertIn("none found", lines["configuration file"]["detail"])
        self.assertNotIn("CONFIG_USER_NS", lines)
        for name in ("user namespace", "mount namespace", "overlayfs", "FUSE", "seccomp filter",
                     "container", "image file"):
            self.assertRegex(lines[name]["status"], "^OK", result)
        self.assertIn("unknown distribution", lines["version"]["detail"])

    def test_with_the_configuration_file_of_the_host(self):
        self.put_configuration()
        lines = self.parse(self.inside().out)
        self.assertIn("/boot/config-", lines["configuration file"]["detail"])
        self.assertEqual(lines["CONFIG_USER_NS"]["status"], "OK")
        self.assertEqual(lines["CONFIG_OVERLAY_FS"]["status"], "OK (module)")
        self.assert_failed(lines["CONFIG_FUSE_FS"], "KO (optional)", "not set")

    def test_the_distribution_decides_about_the_mend(self):
        for release, path, says in (("ID=alpine\n", "etc/os-release", "Alpine|apk add fuse3"),
                                    ("ID=rocky\nID_LIKE=rhel\n", "etc/os-release", "yum"),
                                    ("ID=sles\nID_LIKE=suse\n", "etc/os-release", "zypper")):
            with open("%s/%s" % (self.root, path), "w") as file:
                file.write(release)
            os.chmod("/dev/fuse", 0o600)
            with contextlib.ExitStack() as stack:
                stack.callback(os.chmod, "/dev/fuse", 0o666)
                lines = self.parse(self.inside().out)
            self.assert_failed(lines["FUSE"], "KO (optional)", "kept to root", says)

    def test_in_a_chroot_the_reason_is_told(self):
        result = self.inside(way="chroot")
        self.assertEqual(result.code, 1, result)
        lines = self.parse(result.out)
        self.assert_failed(lines["user namespace"], "KO", "this is a chroot", "pivot_root")
        self.assert_failed(lines["overlayfs"], "KO (optional)", "not tried without: tmpfs")
        self.assertRegex(lines["seccomp filter"]["status"], "^OK")
        self.assertRegex(result.err, r"containers need: user namespace\n")

    def test_classic_table_without_a_configuration_file(self):
        for way in ("pivot", "chroot"):
            result = self.inside("--verify", way=way)
            self.assertEqual((result.code, result.err), (0, ""), result)
            lines = self.parse(result.out)
            for name in ("CONFIG_NAMESPACES", "CONFIG_USER_NS", "CONFIG_SECCOMP_FILTER"):
                self.assertEqual(lines[name]["status"], "OK", name)
            self.assertRegex(lines["CONFIG_OVERLAY_FS"]["status"], "^OK")

    def test_classic_table_with_a_configuration_file(self):
        self.put_configuration(lambda text: text.replace("CONFIG_USER_NS=y", ""))
        out = self.inside("--verify").out
        self.assertRegex(out, r"(?m)^CONFIG_NAMESPACES {28}: OK$")
        self.assertRegex(out, r"(?m)^CONFIG_USER_NS {31}: KO$")
        self.assertRegex(out, r"(?m)^CONFIG_OVERLAY_FS {28}: OK \(module\)$")
        self.assertRegex(out, r"(?m)^CONFIG_X86_VSYSCALL_EMULATION {16}: "
                              r"KO \(required if glibc <= 2\.13\)$")


class TestVerify(CheckCase):
    def test_the_classic_table(self):
        """Bundle verification: sections and rows of --verify."""
        out = self.enroot("check", "--verify").out
        with open("/proc/version") as version:
            self.assertIn("Kernel version:\n\n%s\nKernel configuration:\n\n" % version.read(), out)
        self.assertEqual(re.findall(r"(?m)^(\S.*):$", out),
                         ["Kernel version", "Kernel configuration", "Kernel command line",
                          "Kernel parameters", "Extra packages"])
        rows = re.findall(r"(?m)^(\S+) +: (OK|OK \(module\)|KO|KO \(optional\)|"
                          r"KO \(required if glibc <= 2\.13\)|"
                          r"KO \(required w/o apparmor profile\))$", out)
        names = [name for name, _ in rows]
        self.assertEqual(names[:7], [
            "CONFIG_NAMESPACES", "CONFIG_USER_NS", "CONFIG_SECCOMP_FILTER", "CONFIG_OVERLAY_FS",
            "CONFIG_X86_VSYSCALL_EMULATION", "CONFIG_VSYSCALL_EMULATE", "CONFIG_VSYSCALL_NATIVE"])
        self.assertIn("vsyscall=native", names)
        self.assertIn("user.max_mnt_namespaces", names)
        self.assertEqual(names[-1], "nvidia-container-cli")
        self.assertEqual(dict(rows)["user.max_user_namespaces"], "OK")

    def test_no_colours_in_a_pipe(self):
        self.assertNotIn("\033", self.enroot("check", "--verify").out + self.enroot("check").out)
