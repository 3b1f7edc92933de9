"""oci features: what config.json may ask for beyond the first version of the specification."""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading

import harness
import test_oci

ROOT_RIGHTS = ["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_DAC_OVERRIDE"]


class TestProcess(test_oci.OciCase):
    def test_scheduling(self):
        """process: scheduler, ioPriority; linux: personality"""
        out = self.output("sh", "-c", "ionice; cut -d' ' -f19,41 /proc/self/stat; uname -m",
                          process={"scheduler": {"policy": "SCHED_BATCH", "nice": 5},
                                   "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}},
                          linux={"personality": {"domain": "LINUX32"}})
        machine = {"x86_64": "i686", "aarch64": "armv8l"}.get(os.uname().machine)
        self.assertEqual(out.split(), ["idle", "5", "3", machine])
        for process, says in (({"scheduler": {"policy": "SCHED_X"}}, "scheduler: .*SCHED_X"),
                              ({"scheduler": {"policy": "SCHED_OTHER", "flags": ["X"]}}, "flags"),
                              ({"ioPriority": {"class": "X"}}, "ioPriority: .*class"),
                              ({"execCPUAffinity": {"initial": "a"}}, "no list of CPUs")):
            self.refuses(self.spec(process=process), says)
        self.refuses(self.spec(linux={"personality": {"domain": "MARS"}}), "personality: .*MARS")
        self.create("c", "true", process={"scheduler": {"policy": "SCHED_FIFO", "priority": 50}})
        self.fails("start", "c", says="scheduler: .*RLIMIT_RTPRIO")

    def test_cpus_of_exec(self):
        """process: execCPUAffinity"""
        self.create("c", process={"execCPUAffinity": {"initial": "0-1", "final": "0"}})
        self.done("start", "c")
        self.assertEqual(self.done("exec", "c", "grep", "Cpus_allowed_list",
                                   "/proc/self/status").split()[1], "0")

    def test_labels_without_their_modules(self):
        """apparmorProfile, selinuxLabel, mountLabel: an error where the machine has no such LSM"""
        if os.path.exists("/sys/fs/selinux/enforce") or os.path.exists("/sys/module/apparmor"):
            self.skipTest("a security module is there")
        self.refuses(self.spec(process={"apparmorProfile": "p"}), "AppArmor is not enabled")
        self.refuses(self.spec(process={"selinuxLabel": "a:b:c:d"}), "SELinux is not enabled")
        self.refuses(self.spec(linux={"mountLabel": "a:b:c:d"}), "SELinux is not enabled")
        self.create("c", process={"apparmorProfile": "", "selinuxLabel": ""})
        self.done("start", "c")
        self.fails("exec", "--apparmor", "p", "c", "true", says="AppArmor is not enabled")
        self.fails("exec", "--process-label", "l", "c", "true", says="SELinux is not enabled")

    def test_session_keyring(self):
        """--no-new-keyring; else the keys of the caller are not there"""
        bundle = self.bundle(self.spec("grep", "keyring", "/proc/keys"))
        self.assertIn("_ses.c", self.done("run", "-b", bundle, "c"))
        self.assertNotIn("_ses.d", self.oci("run", "--no-new-keyring", "-b", bundle, "d").out)
        self.create("c")
        self.done("start", "c")
        self.assertIn("_ses.c", self.done("exec", "c", "grep", "keyring", "/proc/keys"))


class TestDescriptors(test_oci.OciCase):
    def test_preserved_ones(self):
        """--preserve-fds N, LISTEN_FDS"""
        path = self.user.work + "/file"
        with open(path, "w+") as file:
            file.write("content")
            file.flush()
            bundle = self.bundle(self.spec(
                "sh", "-c", "echo $LISTEN_FDS:$LISTEN_PID; ls /proc/self/fd"))

            def run(*options, env=None):
                return self.run_command(
                    "sh", "-c", 'exec 3<file 4<file; exec "$@"', "sh", "enroot", "oci", "--root",
                    self.states, "run", *options, "-b", bundle, "c", env=env)

            self.assertEqual(run().out.split(), [":", "0", "1", "2", "3"])  # 3: ls' own
            self.assertEqual(run("--preserve-fds", "2").out.split(),
                             [":", "0", "1", "2", "3", "4", "5"])
            self.assertEqual(run("--preserve-fds", "1", env={"LISTEN_FDS": "1"}).out.split(),
                             ["1:1", "0", "1", "2", "3", "4", "5"])
            result = run("--preserve-fds", "9")
            self.assertEqual(result.code, 1)
            self.assertRegex(result.err, "descriptor [5-9] is not open")

    def test_no_way_out_by_a_descriptor(self):
        """CVE-2024-21626: a working directory that is a descriptor of the host's, leaked"""
        os.mkdir(self.user.work + "/leak")
        for number in range(3, 12):
            bundle = self.bundle(self.spec("sh", "-c", "pwd; ls ..", process={
                "cwd": "/proc/self/fd/%d" % number}))
            result = self.run_command(
                "sh", "-c", 'exec 9<leak; exec "$@"', "sh", "enroot", "oci", "--root", self.states,
                "run", "-b", bundle, "c")
            self.assertEqual((result.code, result.out), (1, ""), result)
        # Asked for by name, it is open, and still no place to be in.
        bundle = self.bundle(self.spec("sh", "-c", "pwd", process={"cwd": "/proc/self/fd/3"}))
        result = self.run_command(
            "sh", "-c", 'exec 3</; exec "$@"', "sh", "enroot", "oci", "--root", self.states, "run",
            "--preserve-fds", "1", "-b", bundle, "c")
        self.assertEqual((result.code, result.out), (1, ""), result)
        self.assertIn("outside of the container", result.err)
        self.create("c")
        self.done("start", "c")
        for number in range(3, 12):
            result = self.run_command(
                "sh", "-c", 'exec 9<leak; exec "$@"', "sh", "enroot", "oci", "--root", self.states,
                "exec", "--cwd", "/proc/self/fd/%d" % number, "c", "pwd")
            self.assertEqual((result.code, result.out), (1, ""), result)

    def test_the_command_sees_no_descriptor_of_the_program(self):
        self.assertEqual(self.output("ls", "/proc/self/fd").split(), ["0", "1", "2", "3"])
        self.create("c")
        self.done("start", "c")
        self.assertEqual(self.done("exec", "c", "ls", "/proc/self/fd").split(),
                         ["0", "1", "2", "3"])


class TestProgram(test_oci.OciCase):
    def test_a_container_cannot_change_a_program_of_the_users(self):
        """CVE-2019-5736, where the program is installed in a home directory"""
        program = self.user.home + "/enroot-oci"
        shutil.copy(os.path.realpath(harness.world.bin + "/enroot"), program)
        os.chown(program, self.user.uid, self.user.gid)
        with open(program, "rb") as file:
            before = file.read()
        os.symlink("/proc/self/exe", self.rootfs + "/bin/trap")

        def call(*words, **options):
            return self.run_command(program, "--root", self.states, *words, **options)

        spec = self.spec("sh", "-c", "while :; do for p in /proc/[0-9]*; do "
                         "case $(readlink $p/exe) in *enroot*) readlink $p/exe >>/tmp/seen; "
                         "echo x >$p/exe;; esac; done; done 2>/dev/null")
        self.assertEqual(call("create", "-b", self.bundle(spec), "c", stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).code, 0)
        self.assertEqual(call("start", "c").code, 0)
        for _ in range(5):
            call("exec", "c", "/bin/trap", "--version")
        call("run", "-b", self.bundle(self.spec("/bin/trap", "--version")), "d")
        seen = call("exec", "c", "cat", "/tmp/seen").out
        call("delete", "--force", "c")
        with open(program, "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertNotIn(program, seen)


class TestNamespaces(test_oci.OciCase):
    def test_time(self):
        """namespaces: time; timeOffsets"""
        spec = self.spec("cut", "-d.", "-f1", "/proc/uptime",
                         linux={"timeOffsets": {"boottime": {"secs": 1000000, "nanosecs": 5},
                                                "monotonic": {"secs": 2000000}}})
        self.refuses(spec, "timeOffsets.* need a new .*time.* namespace")
        spec["linux"]["namespaces"].append({"type": "time"})
        self.assertGreater(int(self.done("run", "-b", self.bundle(spec), "c")), 1000000)
        spec["process"]["args"] = ["sleep", "1000"]
        self.done("create", "-b", self.bundle(spec), "c", stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        self.done("start", "c")
        self.assertGreater(int(self.done("exec", "c", "cut", "-d.", "-f1", "/proc/uptime")),
                           1000000)
        pid = json.loads(self.done("state", "c"))["pid"]
        other = self.spec("cut", "-d.", "-f1", "/proc/uptime")
        other["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}] + [
            {"type": kind, "path": "/proc/%d/ns/%s" % (pid, kind)} for kind in ("user", "time")]
        del other["linux"]["uidMappings"], other["linux"]["gidMappings"]
        self.assertGreater(int(self.done("run", "-b", self.bundle(other), "d")), 1000000)


class TestMounts(test_oci.OciCase):
    def test_attributes_of_all_mounts_below(self):
        """mounts: rro, rnosuid, rnodev, rnoexec …"""
        for name in ("/outer/inner", "/outer/file"):
            os.makedirs(self.user.work + name)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.user.work + "/outer/inner"],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", self.user.work + "/outer/inner"], check=True)
        shown = "grep /m /proc/mounts"
        mount = {"destination": "/m", "type": "bind", "source": self.user.work + "/outer"}
        out = self.output("sh", "-c", shown, mounts=[{**mount, "options": ["rbind", "ro"]}])
        self.assertEqual([line.split()[3].split(",")[0] for line in out.splitlines()], ["ro", "rw"])
        out = self.output("sh", "-c", shown, mounts=[
            {**mount, "options": ["rbind", "rro", "rnosuid", "rnodev", "rnoexec"]}])
        for line in out.splitlines():
            self.assertRegex(line, " ro,nosuid,nodev,noexec")
        out = self.output("sh", "-c", shown, mounts=[
            {"destination": "/m", "type": "tmpfs", "source": "t", "options": ["rro"]}])
        self.assertRegex(out, "^t /m tmpfs ro")

    def test_other_owners(self):
        """mounts: idmap, uidMappings; by root, who may mount the file system"""
        path = harness.world.work + "/owners"
        os.mkdir(path)
        self.addCleanup(subprocess.run, ["rm", "-rf", path], check=True)
        with open(path + "/file", "w"):
            os.chown(path + "/file", 1000, 2000)
        spec = self.spec("sh", "-c", "stat -c %u:%g /m/file; touch /m/new; stat -c %u:%g /m/new",
                         mounts=[{"destination": "/m", "type": "bind", "source": path,
                                  "options": ["rbind", "ridmap"],
                                  "uidMappings": [{"containerID": 1000, "hostID": 5, "size": 1},
                                                  {"containerID": 0, "hostID": 0, "size": 1}],
                                  "gidMappings": [{"containerID": 2000, "hostID": 6, "size": 1},
                                                  {"containerID": 0, "hostID": 0, "size": 1}]}])
        mine = self.bundle(spec)
        self.fails("run", "-b", mine, "c", says="/m: idmap: .*only root of the user namespace")
        for name in ("uidMappings", "gidMappings"):
            del spec["linux"][name]
        spec["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
        for sets in spec["process"]["capabilities"].values():
            sets.extend(ROOT_RIGHTS)
        result = self.run_command("enroot", "oci", "run", "-b", self.bundle(spec), "c",
                                  user=harness.world.root)
        if "cannot have other owners" in result.err:
            self.skipTest("a file system without idmapped mounts")
        self.assertEqual((result.code, result.out), (0, "5:6\n0:0\n"), result)
        # In a user namespace, with the map of the container; the way to the root must be open.
        spec["root"]["path"] = path + "/root"
        subprocess.run(["cp", "-a", self.rootfs, path + "/root"], check=True)
        identity = [{"containerID": 0, "hostID": 100000, "size": 3000}]
        spec["linux"].update({"uidMappings": identity, "gidMappings": identity})
        spec["linux"]["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            del spec["mounts"][-1][name]
        result = self.run_command("enroot", "oci", "run", "-b", self.bundle(spec), "c",
                                  user=harness.world.root)
        self.assertEqual((result.code, result.out), (0, "1000:2000\n0:0\n"), result)
        self.refuses(self.spec(mounts=[{"destination": "/m", "type": "tmpfs", "source": "t",
                                        "options": ["idmap"]}]), "idmap.* is for binds")

    def test_targets_that_are_links(self):
        """A root whose directories lead out of it: mounts, devices, masks stay inside"""
        out = harness.world.work + "/outside"
        os.mkdir(out)
        os.chmod(out, 0o777)
        self.addCleanup(subprocess.run, ["rm", "-rf", out], check=True)
        for name in ("/leak", "/masked", "/work"):
            os.symlink("/../../../../../.." + out, self.rootfs + name)
        self.output("true", process={"cwd": "/work/made"}, mounts=[
            {"destination": "/leak/target", "type": "tmpfs", "source": "t"},
            {"destination": "/leak/file", "type": "bind", "source": "/etc/passwd"}],
            linux={"maskedPaths": ["/masked/file"], "readonlyPaths": ["/leak"],
                   "devices": [{"path": "/leak/pipe", "type": "p"}]})
        self.assertEqual(os.listdir(out), [])
        subprocess.run(["rm", "-rf", self.rootfs + out], check=True)

    def test_masks_of_paths_that_a_volume_has_replaced(self):
        """CVE-2021-30465, CVE-2019-19921, CVE-2023-28642: /proc must be the kernel's"""
        os.makedirs(self.user.work + "/fake/sys")
        os.symlink("/proc", self.rootfs + "/link")
        out = self.output("sh", "-c", "wc -c </link/version; cat /proc/sys/x 2>&1 || :",
                          linux={"maskedPaths": ["/link/version"], "readonlyPaths": ["/link/sys"]})
        self.assertEqual(out.split()[0], "0")


class Agent(threading.Thread):
    """Answers for mkdir(2) with ENOSPC, as an agent of SCMP_ACT_NOTIFY."""

    NOTIFICATION, RESPONSE = 80, 24  # struct seccomp_notif, seccomp_notif_resp
    RECEIVE, SEND = 0xc0502100, 0xc0182101

    def __init__(self, path, count):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen()
        self.count, self.states = count, []

    def run(self):
        import fcntl
        with self.listener:
            for _ in range(self.count):
                connection, _ = self.listener.accept()
                with connection:
                    text, fds, _, _ = socket.recv_fds(connection, 65536, 1)
                self.states.append(json.loads(text))
                asked = bytearray(self.NOTIFICATION)
                fcntl.ioctl(fds[0], self.RECEIVE, asked)
                number, = struct.unpack_from("Q", asked)
                fcntl.ioctl(fds[0], self.SEND, struct.pack("QqiI", number, 0, -28, 0))
                os.close(fds[0])


class TestNotify(test_oci.OciCase):
    def test_an_agent_answers(self):
        """seccomp: SCMP_ACT_NOTIFY with listenerPath and listenerMetadata"""
        path = self.user.work + "/agent"
        agent = Agent(path, 3)
        agent.start()
        spec = self.spec("sh", "-c", "mkdir /tmp/x; exec sleep 1000", linux={"seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "for me",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}})
        for no_new_privileges in (False, True):
            spec["process"]["noNewPrivileges"] = no_new_privileges
            spec["process"]["args"][2] = "mkdir /tmp/x"
            result = self.oci("run", "-b", self.bundle(spec), "c")
            self.assertIn("No space left", result.err, result)
        spec["process"]["args"] = ["sleep", "1000"]
        plain = dict(spec["linux"]["seccomp"])
        spec["linux"]["seccomp"]["syscalls"] = plain["syscalls"]
        waiting = socket.socket(socket.AF_UNIX)  # of the first process, which makes no directory
        waiting.bind(self.user.work + "/other")
        os.chmod(self.user.work + "/other", 0o777)
        waiting.listen()
        spec["linux"]["seccomp"]["listenerPath"] = self.user.work + "/other"
        self.done("create", "-b", self.bundle(spec), "c", stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        self.done("start", "c")
        waiting.close()
        os.unlink(self.user.work + "/other")
        os.symlink(path, self.user.work + "/other")
        result = self.oci("exec", "c", "mkdir", "/tmp/x")
        self.assertIn("No space left", result.err, result)
        agent.join(harness.TIMEOUT)
        for state in agent.states:
            self.assertEqual((state["fds"], state["metadata"], state["state"]["id"]),
                             (["seccompFd"], "for me", "c"))
            self.assertGreater(state["pid"], 1)
        self.assertEqual(agent.states[0]["pid"], agent.states[0]["state"]["pid"])

    def test_mistakes(self):
        def refused(seccomp, says):
            self.refuses(self.spec(linux={"seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW", **seccomp}}), says)

        rule = [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]
        refused({"syscalls": rule}, "NOTIFY needs .*listenerPath")
        refused({"syscalls": rule, "listenerPath": "/missing"}, "listenerPath /missing")
        refused({"syscalls": [{"names": ["sendmsg"], "action": "SCMP_ACT_NOTIFY"}],
                 "listenerPath": "/x"}, "sendmsg")
        refused({"defaultAction": "SCMP_ACT_NOTIFY"}, "cannot be the default")


class TestDocument(test_oci.OciCase):
    def test_it_lists_what_is_there(self):
        """features: every namespace, mount option and action that it names works"""
        features = json.loads(self.done("features"))
        self.assertIn("time", features["linux"]["namespaces"])
        self.assertEqual(features["linux"]["cgroup"]["v1"], True)
        self.assertTrue(features["linux"]["mountExtensions"]["idmap"]["enabled"])
        self.assertIn("SCMP_ACT_NOTIFY", features["linux"]["seccomp"]["actions"])
        options = features["mountOptions"]
        self.assertEqual(options, sorted(set(options)))
        self.assertLessEqual({"ro", "rro", "rbind", "idmap", "tmpcopyup", "rnosuid"}, set(options))
        self.assertFalse({"x-move", "nofail", "user"} & set(options))
        architectures = [name for name in features["linux"]["seccomp"]["archs"] if "X86" in name]
        self.done("run", "-b", self.bundle(self.spec("true", linux={"seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": architectures,
            "flags": features["linux"]["seccomp"]["supportedFlags"]}})), "c")

    def test_it_has_what_crun_and_runc_have(self):
        """runc's members of features; where that one has the command"""
        ours = json.loads(self.done("features"))
        result = self.run_command("runc", "features")
        if result.code != 0:
            self.skipTest("no runc")
        theirs = json.loads(result.out)
        self.assertLessEqual(set(theirs["linux"]["namespaces"]), set(ours["linux"]["namespaces"]))
        self.assertEqual(set(theirs["hooks"]), set(ours["hooks"]))
        # The flag of the last two means nothing to mount(2); file systems take the words.
        self.assertEqual(set(theirs["mountOptions"]) - set(ours["mountOptions"]), {"acl", "noacl"})
        self.assertEqual(set(theirs["linux"]["seccomp"]["actions"]) -
                         set(ours["linux"]["seccomp"]["actions"]), set())
        for member in set(theirs) - {"annotations"}:
            self.assertIn(member, ours)
        self.assertRegex(ours["ociVersionMax"], re.compile(r"^1\."))
