"""oci validation: what the validation programs of opencontainers/runtime-tools look at.

Each program has its row in PROGRAMS: the test here, or elsewhere, that looks at the same, or
why there is none. Where it tells something, crun does the same bundle beside.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import harness
import test_oci

ELSEWHERE = "oci cgroups: "
DEVICES = "rules for devices need BPF programs that only root may load"
PROGRAMS = {
    "config_updates_without_affect": "config updates without affect",
    "create": "create",
    "default": "process",  # the usual configuration, which every test begins with
    "delete": "delete",
    "delete_only_create_resources": "delete leaves what others made",
    "delete_resources": "delete leaves what others made",
    "hooks": "oci: hooks",
    "hooks_stdin": "oci: hooks",
    "hostname": "hostname",
    "kill": "kill",
    "kill_no_effect": "kill",
    "killsig": "killsig",
    "linux_cgroups_blkio": None,  # the disks of a test machine may have no weights
    "linux_cgroups_cpus": ELSEWHERE + "limits",
    "linux_cgroups_devices": DEVICES,
    "linux_cgroups_hugetlb": None,  # few machines have huge pages to limit; unit test
    "linux_cgroups_memory": ELSEWHERE + "limits",
    "linux_cgroups_network": "classes of packets are of cgroup version 1, and ignored",
    "linux_cgroups_pids": ELSEWHERE + "limits",
    "linux_cgroups_relative_blkio": None,
    "linux_cgroups_relative_cpus": ELSEWHERE + "limits",  # without a path it is a relative one
    "linux_cgroups_relative_devices": DEVICES,
    "linux_cgroups_relative_hugetlb": None,
    "linux_cgroups_relative_memory": ELSEWHERE + "limits",
    "linux_cgroups_relative_network": "as linux_cgroups_network",
    "linux_cgroups_relative_pids": ELSEWHERE + "limits",
    "linux_devices": "oci: devices",
    "linux_masked_paths": "covered paths",
    "linux_mount_label": "oci features: labels without their modules",
    "linux_ns_itype": "namespaces",
    "linux_ns_nopath": "namespaces",
    "linux_ns_path": "oci: namespaces by path",
    "linux_ns_path_type": "namespaces of another type",
    "linux_process_apparmor_profile": "oci features: labels without their modules",
    "linux_readonly_paths": "covered paths",
    "linux_rootfs_propagation": "rootfs propagation",
    "linux_seccomp": "seccomp",
    "linux_sysctl": "sysctl",
    "linux_uid_mappings": "uid mappings",
    "misc_props": "misc props",
    "mounts": "mounts",
    "pidfile": "pidfile",
    "poststart": "poststart poststop",
    "poststart_fail": "poststart poststop",
    "poststop": "poststart poststop",
    "poststop_fail": "poststart poststop",
    "prestart": "prestart",
    "prestart_fail": "prestart",
    "process": "process",
    "process_capabilities": "oci: rights",
    "process_capabilities_fail": "process capabilities fail",
    "process_oom_score_adj": "oci: rights",
    "process_rlimits": "oci: rights",
    "process_rlimits_fail": "process rlimits fail",
    "process_user": "process user",
    "root_readonly_true": "oci: a read only root",
    "start": "start",
    "state": "state",
}


class ValidationCase(test_oci.OciCase):
    def setUp(self):
        super().setUp()
        # crun knows no machine with a mix of cgroup versions.
        if not shutil.which("crun") or subprocess.run(
                ["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]).returncode != 0:
            self.peer = None
            return
        self.peer = "crun"
        self.addCleanup(subprocess.run, ["umount", "/sys/fs/cgroup"], check=True)

    def spec(self, *args, **members):
        spec = super().spec(*args, **members)
        spec["mounts"][2]["options"].remove("gid=5")  # with one id, of which crun makes no less
        return spec

    def same(self, *args, **members):
        """What a bundle prints, which is the same with crun."""
        bundle = self.bundle(self.spec(*args, **members))
        out = self.done("run", "-b", bundle, "c")
        result = self.crun("run", "-b", bundle, "v")
        if result is not None:
            self.assertEqual((result.code, result.out), (0, out), result)
        return out

    def crun(self, *arguments, **options):
        if not self.peer:
            return None
        os.makedirs(self.user.work + "/crun", exist_ok=True)
        os.chown(self.user.work + "/crun", self.user.uid, self.user.gid)
        return self.run_command("crun", "--cgroup-manager=disabled", "--root",
                                self.user.work + "/crun", *arguments, **options)

    def both_refuse(self, spec, says):
        self.refuses(spec, says)
        result = self.crun("run", "-b", self.bundle(spec), "v")
        if result is not None:
            self.assertNotEqual(result.code, 0, result)

    def hook(self, name, status=0):
        script = "echo %s >>%s/hooks; exit %d" % (name, self.user.work, status)
        return {"path": "/bin/sh", "args": ["sh", "-c", script]}

    def hooks_called(self):
        with open(self.user.work + "/hooks") as file:
            return file.read().split()


class TestTable(unittest.TestCase):
    def test_every_program_has_a_test(self):
        """Names of tests are those of methods; of other files, they have the file's before."""
        own = {name[5:].replace("_", " ") for case in (TestLifeCycle, TestConfiguration)
               for name in dir(case) if name.startswith("test_")}
        for program, place in PROGRAMS.items():
            if place and ":" not in place and not re.search("version|need|as linux", place):
                self.assertIn(place, own, program)
        self.assertEqual(len(PROGRAMS), 58)


class TestLifeCycle(ValidationCase):
    def test_create(self):
        """create: needs an id, makes one container, and not another of the same id"""
        bundle = self.bundle(self.spec())
        self.assertEqual(self.oci("create", "-b", bundle).code, 1)
        self.fails("create", "-b", bundle, "", says="no name of a container")
        self.create("c")
        self.assertEqual(json.loads(self.done("state", "c"))["id"], "c")
        self.fails("create", "-b", bundle, "c", says="c exists")
        self.assertEqual(self.status("c"), "created")

    def test_start(self):
        """start: needs an id and a container that is created; runs the program once, not before"""
        spec = self.spec("sh", "-c", "echo called >>/work/called", mounts=[
            {"destination": "/work", "type": "bind", "source": self.user.work}])
        called = self.user.work + "/called"
        self.assertEqual(self.oci("start").code, 1)
        self.done("create", "-b", self.bundle(spec), "c", stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        self.assertFalse(os.path.exists(called))
        self.done("start", "c")
        self.wait_for("c", "stopped")
        self.fails("start", "c", says="c is stopped")
        with open(called) as file:
            self.assertEqual(file.read(), "called\n")
        self.done("delete", "c")
        spec = self.spec()
        del spec["process"]
        self.refuses(spec, "process.* is missing")

    def test_state(self):
        """state: an error without an id and of one that there is not"""
        self.assertEqual(self.oci("state").code, 1)
        self.fails("state", "", says="no name of a container")
        self.fails("state", "missing", says="does not exist")
        self.create("c")
        state = json.loads(self.done("state", "c"))
        self.assertEqual(set(state), {"ociVersion", "id", "status", "pid", "bundle", "rootfs",
                                      "created", "owner"})
        spec = self.spec(process={"terminal": False})
        result = self.crun("run", "--detach", "-b", self.bundle(spec), "v",
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if result is not None:
            theirs = json.loads(self.crun("state", "v").out)
            self.crun("delete", "--force", "v")
            self.assertEqual(set(state) ^ set(theirs) - {"systemd-scope"}, set())
            self.assertEqual({name: type(value) for name, value in theirs.items() if name in state},
                             {name: type(value) for name, value in state.items()})

    def test_kill(self):
        """kill: an error, and no effect, unless the container is created or running"""
        self.assertEqual(self.oci("kill").code, 1)
        self.fails("kill", "missing", says="does not exist")
        self.create("c")
        self.done("kill", "c", "KILL")
        self.wait_for("c", "stopped")
        before = self.done("state", "c")
        self.fails("kill", "c", "KILL", says="not running")
        self.assertEqual(self.done("state", "c"), before)
        self.fails("kill", "c", "NO", says="NO is no signal")

    def test_killsig(self):
        """kill: each signal arrives, by name and number"""
        self.create("c", "sh", "-c", "for s in TERM USR1 USR2 HUP; do "
                    "trap \"echo $s >>/work/got\" $s; done; echo up >>/work/got; "
                    "while :; do sleep 0.02; done",
                    mounts=[{"destination": "/work", "type": "bind", "source": self.user.work}])
        self.done("start", "c")
        sent = ["up"]
        for word in ("TERM", "SIGUSR1", str(int(signal.SIGUSR2)), "hup"):
            self.wait_for_lines(sent)
            self.done("kill", "c", word)
            sent.append(word.upper().replace("SIG", "").replace(str(int(signal.SIGUSR2)), "USR2"))
        self.wait_for_lines(sent)

    def wait_for_lines(self, expected):
        deadline, found = time.monotonic() + 20, None
        while found != expected:
            self.assertLess(time.monotonic(), deadline, (found, expected))
            time.sleep(0.01)
            if os.path.exists(self.user.work + "/got"):
                with open(self.user.work + "/got") as file:
                    found = file.read().split()

    def test_delete(self):
        """delete: an error of what there is not, and of what runs"""
        self.assertEqual(self.oci("delete").code, 1)
        self.fails("delete", "missing", says="does not exist")
        self.create("c")
        self.done("start", "c")
        self.fails("delete", "c", says="c is running")
        self.done("kill", "c", "KILL")
        self.wait_for("c", "stopped")
        self.done("delete", "c")
        self.fails("state", "c", says="does not exist")

    def test_delete_leaves_what_others_made(self):
        """delete: what the creation made goes, and nothing else"""
        self.create("c", "sh", "-c", "touch /made-inside")
        self.done("start", "c")
        self.wait_for("c", "stopped")
        bundle = json.loads(self.done("state", "c"))["bundle"]
        self.done("delete", "c")
        self.assertEqual(os.listdir(self.states), [])
        self.assertTrue(os.path.exists(bundle + "/config.json"))
        self.assertTrue(os.path.exists(self.rootfs + "/made-inside"))

    def test_pidfile(self):
        """create --pid-file"""
        path = self.user.work + "/pid"
        self.done("create", "-b", self.bundle(self.spec()), "--pid-file", path, "c",
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(path) as file:
            self.assertEqual(file.read(), str(json.loads(self.done("state", "c"))["pid"]))
        self.fails("create", "-b", self.bundle(self.spec()), "--pid-file", "/missing/pid", "d",
                   says="--pid-file /missing/pid")
        self.fails("state", "d", says="does not exist")

    def test_config_updates_without_affect(self):
        """Changes of config.json after "create" have no effect"""
        spec = self.spec("sh", "-c", "echo before >/work/said", mounts=[
            {"destination": "/work", "type": "bind", "source": self.user.work}])
        bundle = self.bundle(spec)
        self.done("create", "-b", bundle, "c", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        spec["process"]["args"][2] = "echo after >/work/said"
        spec["hooks"] = {"poststart": [self.hook("poststart")]}
        with open(bundle + "/config.json", "w") as file:
            json.dump(spec, file)
        self.done("start", "c")
        self.wait_for("c", "stopped")
        with open(self.user.work + "/said") as file:
            self.assertEqual(file.read(), "before\n")
        self.assertFalse(os.path.exists(self.user.work + "/hooks"))

    def test_prestart(self):
        """hooks: prestart before the program; if it fails, there is none, and no container"""
        self.output("true", hooks={"prestart": [self.hook("one"), self.hook("two")]})
        self.assertEqual(self.hooks_called(), ["one", "two"])
        self.both_refuse(self.spec("touch", "/called", hooks={
            "prestart": [self.hook("three", 1), self.hook("four")]}), "hook /bin/sh: exit status 1")
        self.assertNotIn("four", self.hooks_called())
        self.assertFalse(os.path.exists(self.rootfs + "/called"))

    def test_poststart_poststop(self):
        """hooks: poststart, poststop; one that fails is a warning, and the others run"""
        hooks = {kind: [self.hook(kind, 1), self.hook(kind)] for kind in ("poststart", "poststop")}
        result = self.oci("run", "-b", self.bundle(self.spec("true", hooks=hooks)), "c")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.err.count("hook /bin/sh: exit status 1"), 2, result)
        self.assertEqual(self.hooks_called(), ["poststart"] * 2 + ["poststop"] * 2)


class TestConfiguration(ValidationCase):
    def test_process(self):
        """process: args, env, cwd; the links and devices that every container has"""
        out = self.same("sh", "-c", "pwd; echo $testa $testb; "
                        "for f in fd stdin stdout stderr ptmx; do readlink /dev/$f; done; "
                        "stat -c '%n %F %t:%T %a' /dev/null /dev/zero "
                        "/dev/full /dev/random /dev/urandom /dev/tty", process={
                            "cwd": "/test", "env": [test_oci.PATH, "testa=valuea", "testb=123"]})
        self.assertTrue(out.startswith("/test\nvaluea 123\n/proc/self/fd\n"), out)

    def test_process_user(self):
        """process: user with uid, gid and additionalGids, umask"""
        self.assertEqual(self.same("sh", "-c", "id -u; id -g; umask", process={
            "user": {"uid": 0, "gid": 0, "umask": 0o22}}), "0\n0\n0022\n")
        spec = self.spec("id")
        spec["process"]["user"] = {"uid": 10, "gid": 11, "additionalGids": [5, 6]}
        for name in ("uidMappings", "gidMappings"):
            del spec["linux"][name]
        spec["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
        shutil.copytree(self.rootfs, harness.world.work + "/rootfs", symlinks=True)
        self.addCleanup(shutil.rmtree, harness.world.work + "/rootfs")
        spec["root"]["path"] = harness.world.work + "/rootfs"
        for program in (["enroot", "oci"], ["crun", "--cgroup-manager=disabled"]):
            if program[0] in ("enroot", self.peer):
                result = self.run_command(*program, "run", "-b", self.bundle(spec), "c",
                                          user=harness.world.root)
                self.assertRegex(result.out, r"uid=10.* gid=11.* groups=\S*5\S*,6", result)

    def test_process_capabilities_fail(self):
        """Unknown capabilities are not granted, and said to be missing"""
        spec = self.spec("true")
        spec["process"]["capabilities"]["bounding"] = ["CAP_TEST"]
        result = self.oci("run", "-b", self.bundle(spec), "c")
        self.assertEqual(result.code, 0, result)
        self.assertIn("CAP_TEST is not supported and ignored", result.err)

    def test_process_rlimits_fail(self):
        self.both_refuse(self.spec(process={"rlimits": [
            {"type": "RLIMIT_TEST", "soft": 1024, "hard": 1024}]}), "RLIMIT_TEST")

    def test_hostname(self):
        for name in ("hostname-specific", None):
            members = {"hostname": name} if name else {}
            self.assertEqual(self.same("hostname", **members).strip(), name or os.uname().nodename)

    def test_mounts(self):
        """mounts: in the order of the list, of kinds and options"""
        os.makedirs(self.user.work + "/a/b")
        out = self.same("sh", "-c", "grep -E ' /(tmp/test|bound|over)' /proc/mounts | "
                        "sed 's/,\\(uid\\|gid\\|inode64\\|seclabel\\)[^, ]*//g' | cut -d' ' -f2-4;"
                        " ls /bound", mounts=[
                            {"destination": "/tmp/test", "type": "tmpfs", "source": "tmpfs",
                             "options": ["nosuid", "nodev", "noexec", "size=64k", "mode=700"]},
                            {"destination": "/bound", "type": "bind",
                             "source": self.user.work + "/a", "options": ["rbind", "ro"]},
                            {"destination": "/over", "type": "tmpfs", "source": "tmpfs"},
                            {"destination": "/over/below", "type": "bind", "options": ["bind"],
                             "source": self.user.work + "/a"}])
        self.assertEqual(re.findall(r"(?m)^/\S+", out),
                         ["/tmp/test", "/bound", "/over", "/over/below"])
        self.assertTrue(out.endswith("\nb\n"))

    def test_covered_paths(self):
        """maskedPaths: directories, files, deep ones, what is not there; readonlyPaths the same"""
        os.makedirs(self.rootfs + "/dir/deep/deeper")
        for name in ("/dir/file", "/dir/deep/file", "/file"):
            with open(self.rootfs + name, "w") as file:
                file.write("content")
        subprocess.run(["chown", "-R", self.user.name, self.rootfs + "/dir", self.rootfs + "/file"],
                       check=True)
        os.symlink("file", self.rootfs + "/link")
        script = ("rm -f /dir/new; printf content >/file; ls /dir/deep; cat /dir/file /link; "
                  "for f in /dir/file /dir/deep/new /file /dir/new; do "
                  "(echo x >$f) 2>/dev/null && echo wrote $f; done; true")
        out = self.same("sh", "-c", script, linux={
            "maskedPaths": ["/dir/deep", "/dir/file", "/no/such", "/proc/kcore"]})
        self.assertNotIn("deeper", out)
        out = self.same("sh", "-c", "exec 2>/dev/null; " + script, linux={
            "readonlyPaths": ["/dir", "/file", "/no/such"]})
        self.assertEqual(out.count("wrote"), 0, out)
        for spec in ({"maskedPaths": 1}, {"readonlyPaths": {}}):
            self.refuses(self.spec(linux=spec), "is not an array")

    def test_namespaces(self):
        """namespaces: a new one of each type that is listed, the caller's of the others"""
        kinds = {"pid": "pid", "ipc": "ipc", "uts": "uts", "network": "net", "cgroup": "cgroup"}
        names = " ".join(["mnt", "user", *kinds.values()])
        script = "for n in %s; do readlink /proc/self/ns/$n; done" % names

        def found(chosen):
            spec = self.spec("sh", "-c", script)
            spec["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}] + [
                {"type": kind} for kind in chosen]
            return dict(line.split(":") for line in
                        self.done("run", "-b", self.bundle(spec), "c").split())

        here = {name: os.readlink("/proc/self/ns/" + name).split(":")[1] for name in names.split()}
        everything = found(kinds)
        self.assertEqual([name for name in here if everything[name] == here[name]], [])
        for kind, name in kinds.items():
            without = found(set(kinds) - {kind})
            self.assertEqual([other for other in here if without[other] == here[other]], [name])

    def test_namespaces_of_another_type(self):
        for kind, wrong in (("ipc", "uts"), ("network", "ipc"), ("uts", "net"), ("pid", "mnt")):
            spec = self.spec()
            spec["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"},
                                           {"type": kind, "path": "/proc/self/ns/" + wrong}]
            self.both_refuse(spec, "%s namespace .*invalid argument" % kind)

    def test_rootfs_propagation(self):
        """rootfsPropagation: private, slave, shared, unbindable"""
        for word, mark in (("private", " - "), ("rslave", ""), ("shared", " shared:"),
                           ("unbindable", " unbindable")):
            line = self.output("head", "-n1", "/proc/self/mountinfo",
                               linux={"rootfsPropagation": word})
            self.assertIn(mark, line)
            self.assertEqual("shared:" in line, word == "shared", line)

    def test_seccomp(self):
        """seccomp: a call that is refused"""
        out = self.same("sh", "-c", "pwd; mkdir /tmp/no 2>/dev/null || echo refused", linux={
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}})
        self.assertEqual(out, "/\nrefused\n")

    def test_sysctl(self):
        """sysctl of the container's own namespaces"""
        spec = self.spec("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmni")
        spec["linux"]["namespaces"].append({"type": "network"})
        spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmni": "77"}
        self.assertEqual(self.done("run", "-b", self.bundle(spec), "c"), "1\n77\n")

    def test_uid_mappings(self):
        """uidMappings and gidMappings"""
        out = self.same("cat", "/proc/self/uid_map", "/proc/self/gid_map")
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["0", str(number), "1"] for number in (self.user.uid, self.user.gid)])

    def test_misc_props(self):
        """Unknown members and annotations with nothing in them are no error; a version that is
        none is one"""
        self.same("true", unknown="unknown", annotations={"org.test": ""})
        self.both_refuse({**self.spec(), "ociVersion": "invalid"}, "ociVersion.*invalid")
