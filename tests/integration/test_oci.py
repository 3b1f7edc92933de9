"""enroot oci: bundles of the OCI runtime specification, with runc's command line."""
import contextlib
import json
import os
import signal
import socket
import subprocess

import harness
import test_terminal

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"]


class OciCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.rootfs = self.data_path(self.container("alpine"))
        self.states = self.user.run + "/states"
        self.serial = 0

    def tearDown(self):
        for name in self.oci("list", "-q").out.split():
            self.oci("delete", "--force", name)
        subprocess.run(["rm", "-rf", self.states], check=True)
        super().tearDown()

    def spec(self, *args, **members):
        """A configuration as "runc spec --rootless" makes it, less what no test is about."""
        process = {"user": {"uid": 0, "gid": 0}, "args": list(args) or ["sleep", "1000"],
                   "env": [PATH, "TERM=dumb"], "cwd": "/", "noNewPrivileges": True,
                   "capabilities": {kind: CAPABILITIES for kind in (
                       "bounding", "effective", "permitted")}}
        return {
            "ociVersion": "1.0.2", "process": {**process, **members.pop("process", {})},
            "root": {"path": self.rootfs, "readonly": False},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                 "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": [
                    "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            ] + members.pop("mounts", []),
            "linux": {
                "uidMappings": [{"containerID": 0, "hostID": self.user.uid, "size": 1}],
                "gidMappings": [{"containerID": 0, "hostID": self.user.gid, "size": 1}],
                "namespaces": [{"type": kind} for kind in ("user", "mount", "pid", "ipc", "uts")],
                **members.pop("linux", {})},
            **members}

    def bundle(self, spec):
        self.serial += 1
        path = "%s/bundle%d" % (self.user.work, self.serial)
        os.mkdir(path, 0o755)
        with open(path + "/config.json", "w") as file:
            if isinstance(spec, str):
                file.write(spec)
            else:
                json.dump(spec, file)
        subprocess.run(["chown", "-R", self.user.name, path], check=True)
        return path

    def oci(self, *arguments, **options):
        return self.run_command("enroot", "oci", "--root", self.states, *arguments, **options)

    def done(self, *arguments, **options):
        result = self.oci(*arguments, **options)
        self.assertEqual(result.code, 0, result)
        return result.out

    def fails(self, *arguments, says, **options):
        result = self.oci(*arguments, **options)
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.err, "(?i)" + says, result)

    def output(self, *args, **members):
        """What a command in a container of a changed configuration prints."""
        return self.done("run", "-b", self.bundle(self.spec(*args, **members)), "c")

    def refuses(self, spec, says):
        self.fails("create", "-b", self.bundle(spec), "c", says=says)
        self.assertEqual(self.done("list", "-q"), "")
        self.assertEqual(os.listdir(self.states) if os.path.exists(self.states) else [], [])

    def status(self, name):
        return json.loads(self.done("state", name))["status"]

    def create(self, name="c", *args, **members):
        self.done("create", "-b", self.bundle(self.spec(*args, **members)), name,
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for(self, name, status):
        self.wait_until("state " + status, lambda: self.status(name) == status)


class TestLifeCycle(OciCase):
    def test_create_start_state_kill_delete(self):
        """create|start|state|kill|delete; status creating|created|running|stopped"""
        pid_file = self.user.work + "/pid"
        marker = self.user.work + "/marker"
        spec = self.spec("sh", "-c", "touch /work/marker; exec sleep 1000", mounts=[
            {"destination": "/work", "type": "bind", "source": self.user.work}],
            annotations={"org.test": "a \"b\""})
        bundle = self.bundle(spec)
        self.done("create", "-b", bundle, "--pid-file", pid_file, "box",
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        state = json.loads(self.done("state", "box"))
        self.assertEqual({key: state[key] for key in ("ociVersion", "id", "status", "bundle",
                                                      "annotations")},
                         {"ociVersion": "1.0.2", "id": "box", "status": "created",
                          "bundle": bundle, "annotations": {"org.test": "a \"b\""}})
        with open(pid_file) as file:
            self.assertEqual(int(file.read()), state["pid"])
        self.assertFalse(os.path.exists(marker))
        self.done("start", "box")
        self.assertEqual(self.status("box"), "running")
        self.wait_for_program("sleep")
        self.assertTrue(os.path.exists(marker))
        self.fails("start", "box", says="box is running")
        self.fails("delete", "box", says="box is running")
        self.fails("create", "-b", bundle, "box", says="box exists")
        self.done("kill", "box", "KILL")
        self.wait_for("box", "stopped")
        self.assertEqual(json.loads(self.done("state", "box"))["pid"], 0)
        self.fails("kill", "box", says="box is not running")
        self.fails("exec", "box", "true", says="box is not running")
        self.done("delete", "box")
        self.fails("state", "box", says="box does not exist")
        self.fails("delete", "box", says="box does not exist")
        self.done("delete", "--force", "box")

    def test_run_passes_streams_and_status_on_and_leaves_nothing(self):
        bundle = self.bundle(self.spec("sh", "-c", "cat; echo e >&2; exit 7"))
        result = self.oci("run", "-b", bundle, "c", input=b"through")
        self.assertEqual((result.code, result.out, result.err), (7, "through", "e\n"))
        self.assertEqual(os.listdir(self.states), [])
        bundle = self.bundle(self.spec("sh", "-c", "kill -9 $$"))
        self.assertEqual(self.oci("run", "-b", bundle, "c").code, 0)  # the first of a pid namespace
        result = self.oci("run", "c", cwd=self.bundle(self.spec("sh", "-c", "exit 3")))
        self.assertEqual(result.code, 3, "the bundle is the current directory")

    def test_run_keep_and_detach(self):
        self.done("run", "--keep", "-b", self.bundle(self.spec("true")), "kept")
        self.assertEqual(self.status("kept"), "stopped")
        self.done("run", "--detach", "-b", self.bundle(self.spec()), "behind",
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(self.status("behind"), "running")

    def test_signals_reach_the_command_of_run(self):
        bundle = self.bundle(self.spec("sh", "-c", "trap 'exit 9' TERM; echo up; "
                                       "while :; do sleep 0.05; done"))
        process = self.start("enroot", "oci", "--root", self.states, "run", "-b", bundle, "c")
        self.assertEqual(process.stdout.readline(), b"up\n")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 9)

    def test_a_run_that_is_killed_takes_the_container_along(self):
        process = self.start("enroot", "oci", "--root", self.states, "run", "-b",
                             self.bundle(self.spec()), "c")
        self.wait_for_program("sleep")
        process.kill()
        process.communicate(timeout=harness.TIMEOUT)
        self.wait_for("c", "stopped")
        self.done("delete", "c")

    def test_a_creation_that_was_killed_is_cleaned_up_by_the_next_command(self):
        hook = self.user.work + "/hook"
        with open(hook, "w") as file:
            file.write("#!/bin/sh\nkill -9 $PPID\nsleep 0.1\n")
        os.chmod(hook, 0o755)
        bundle = self.bundle(self.spec(hooks={"createRuntime": [{"path": hook}]}))
        self.assertEqual(self.oci("create", "-b", bundle, "c").code, -signal.SIGKILL)
        self.wait_for("c", "stopped")
        self.done("delete", "c")
        # Killed before there was a state: a directory that nobody holds.
        os.mkdir(self.states + "/c", 0o700)
        os.chown(self.states + "/c", self.user.uid, self.user.gid)
        self.assertEqual(self.done("list", "-q"), "")
        self.create("c")
        self.assertEqual(self.status("c"), "created")

    def test_states_of_before_a_reboot_are_stopped(self):
        self.create("c")
        path = self.states + "/c/state.json"
        with open(path) as file:
            state = json.load(file)
        with open(path, "w") as file:
            json.dump({**state, "boot": "another"}, file)
        self.assertEqual(self.status("c"), "stopped")
        with open(path, "w") as file:
            json.dump(state, file)

    def test_delete_of_what_runs_or_waits(self):
        self.create("waiting")
        self.done("delete", "waiting")
        self.create("running")
        self.done("start", "running")
        self.done("delete", "--force", "running")
        self.assertEqual(self.done("list", "-q"), "")

    def test_kill_all_reaches_every_process_without_a_pid_namespace(self):
        spec = self.spec("sh", "-c", "sleep 1001 & sleep 1002 & exec sleep 1003")
        spec["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}]
        self.done("create", "-b", self.bundle(spec), "c", stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        self.done("start", "c")
        self.wait_for_program("sleep", 3)
        self.done("kill", "--all", "c", "SIGKILL")
        self.wait_for("c", "stopped")
        self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_list(self):
        """list [-f json] [-q]"""
        self.create("one")
        self.create("two")
        self.done("start", "two")
        self.assertEqual(self.done("list", "-q").split(), ["one", "two"])
        found = json.loads(self.done("list", "-f", "json"))
        self.assertEqual([(item["id"], item["status"], item["owner"]) for item in found],
                         [("one", "created", self.user.name), ("two", "running", self.user.name)])
        self.assertRegex(self.done("list"), r"ID +PID +STATUS +BUNDLE.*\none +\d+ +created ")
        self.fails("list", "-f", "xml", says="table and json")

    def test_names(self):
        for name in ("", "a/b", "..", ".a", "a b", "x" * 256):
            self.fails("state", name, says="no name of a container")
        self.fails("state", "n1.user.12.0.1", says="does not exist")


class TestCommandLine(OciCase):
    def test_global_options_of_runc_and_the_name_of_the_program(self):
        """--root, --log, --log-format json, --debug, --systemd-cgroup, --version"""
        log = self.user.work + "/log"
        options = ["--debug", "--systemd-cgroup", "--log", log, "--log-format=json", "--rootless",
                   "true", "--root", self.states]
        for program in (["enroot-oci"], ["enroot", "oci"]):
            result = self.run_command(*program, *options, "state", "missing")
            self.assertEqual(result.code, 1)
            with open(log) as file:
                entry = json.loads(file.read())
            os.unlink(log)
            self.assertEqual((entry["level"], entry["msg"]),
                             ("error", "container missing does not exist"))
            self.assertIn("spec: 1.", self.run_command(*program, "--version").out)
            self.assertIn("create", self.run_command(*program, "--help").out)
        self.fails("frobnicate", says="unknown command: frobnicate")
        self.assertEqual(self.run_command("enroot-oci").code, 1)

    def test_features(self):
        features = json.loads(self.done("features"))
        self.assertEqual(features["ociVersionMin"], "1.0.0")
        self.assertIn("createContainer", features["hooks"])
        self.assertIn("user", features["linux"]["namespaces"])
        self.assertTrue(features["linux"]["seccomp"]["enabled"])

    def test_the_usual_root_is_the_runtime_directory(self):
        self.assertEqual(self.enroot("oci", "list", "-q").out, "")
        self.enroot("oci", "run", "-b", self.bundle(self.spec("true")), "c")
        self.assertTrue(os.path.isdir(self.user.run + "/enroot/oci"))
        subprocess.run(["rm", "-rf", self.user.run + "/enroot"], check=True)


class TestConfiguration(OciCase):
    def test_process(self):
        """process: args, env, cwd, user, umask"""
        out = self.output("sh", "-c", "pwd; echo $WORD; id -u; id -g; umask", process={
            "env": [PATH, "WORD=a b"], "cwd": "/made/here",
            "user": {"uid": 0, "gid": 0, "umask": 0o027}})
        self.assertEqual(out, "/made/here\na b\n0\n0\n0027\n")

    def test_another_single_id(self):
        one = [{"containerID": 1234, "hostID": self.user.uid, "size": 1}]
        out = self.output("id", "-u", process={"user": {"uid": 1234, "gid": 1234}},
                          linux={"uidMappings": one, "gidMappings": [
                              {"containerID": 1234, "hostID": self.user.gid, "size": 1}]})
        self.assertEqual(out, "1234\n")

    def test_a_bundle_without_a_user_namespace_gets_one(self):
        spec = self.spec("sh", "-c", "id -u; cat /proc/self/uid_map",
                         process={"user": {"uid": 7, "gid": 8}})
        spec["linux"] = {"namespaces": [{"type": "mount"}, {"type": "pid"}]}
        out = self.done("run", "-b", self.bundle(spec), "c").split()
        self.assertEqual(out, ["7", "7", str(self.user.uid), "1"])

    def test_rights(self):
        """process: rlimits, noNewPrivileges, capabilities, oomScoreAdj"""
        out = self.output("sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj; "
                          "grep -E '^(Cap|NoNew)' /proc/self/status", process={
                              "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
                              "oomScoreAdj": 123,
                              "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"],
                                               "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
                                               "inheritable": ["CAP_KILL"],
                                               "ambient": ["CAP_KILL", "CAP_OF_THE_FUTURE"]}})
        lines = out.splitlines()
        self.assertEqual(lines[:2], ["100", "123"])
        values = dict(line.split(":\t") for line in lines[2:])
        kill, chown = 1 << 5, 1 << 0
        self.assertEqual({key: int(value, 16) for key, value in values.items()},
                         {"CapInh": kill, "CapPrm": kill | chown, "CapEff": kill | chown,
                          "CapBnd": kill | chown, "CapAmb": kill, "NoNewPrivs": 1}
                         if values["CapPrm"] != values["CapInh"] else
                         {"CapInh": kill, "CapPrm": kill, "CapEff": kill, "CapBnd": kill | chown,
                          "CapAmb": kill, "NoNewPrivs": 1})
        out = self.output("grep", "NoNew", "/proc/self/status",
                          process={"noNewPrivileges": False})
        self.assertEqual(out.split(), ["NoNewPrivs:", "0"])

    def test_a_read_only_root(self):
        """root: path, readonly"""
        spec = self.spec("sh", "-c", "touch /x 2>/dev/null || echo refused; touch /dev/x")
        spec["root"]["readonly"] = True
        self.assertEqual(self.done("run", "-b", self.bundle(spec), "c"), "refused\n")
        spec = self.spec("true")
        bundle = self.bundle(spec)
        os.symlink(self.rootfs, bundle + "/rootfs")
        spec["root"]["path"] = "rootfs"
        with open(bundle + "/config.json", "w") as file:
            json.dump(spec, file)
        self.done("run", "-b", bundle, "c")

    def test_names(self):
        """hostname, domainname"""
        out = self.output("sh", "-c", "hostname; cat /proc/sys/kernel/domainname",
                          hostname="inside", domainname="example.test")
        self.assertEqual(out, "inside\nexample.test\n")

    def test_binds(self):
        """mounts: bind, rbind with options"""
        with open(self.user.work + "/file", "w") as file:
            file.write("content\n")
        os.mkdir(self.user.work + "/dir")
        bundle = self.bundle(self.spec(
            "sh", "-c",
            "cat /etc/f; (: >/etc/f) 2>/dev/null || echo ro; grep ' /a/b ' /proc/mounts",
            mounts=[{"destination": "/etc/f", "type": "bind", "source": "../file",
                     "options": ["rbind", "ro", "rprivate"]},
                    {"destination": "/a/b", "type": "none", "source": self.user.work + "/dir",
                     "options": ["bind", "nosuid", "nodev", "noexec", "x-ignored"]}]))
        out = self.done("run", "-b", bundle, "c")
        self.assertRegex(out, r"^content\nro\n\S+ /a/b \S+ \S*nosuid,nodev,noexec")

    def test_file_systems(self):
        """mounts: tmpfs, proc, sysfs, cgroup, mqueue, devpts with options"""
        out = self.output(
            "sh", "-c", "grep -E ' (/t|/sys|/q|/dev/pts|/proc|/cg) ' /proc/mounts; ls /proc",
            mounts=[{"destination": "/t", "type": "tmpfs", "source": "t",
                     "options": ["nosuid", "size=64k", "mode=700"]},
                    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
                     "options": ["nosuid", "noexec", "nodev", "ro"]},
                    {"destination": "/q", "type": "mqueue", "source": "mqueue"},
                    {"destination": "/cg", "type": "cgroup", "source": "cgroup",
                     "options": ["ro", "relatime"]}])
        self.assertRegex(out, "(?m)^t /t tmpfs rw,nosuid,relatime,size=64k,mode=700")
        self.assertRegex(out, "(?m)^sysfs /sys sysfs ro,nosuid,nodev,noexec")
        self.assertRegex(out, "(?m)^mqueue /q mqueue")
        self.assertRegex(out, "(?m)^devpts /dev/pts devpts rw,nosuid,noexec")
        self.assertRegex(out, "(?m)^\\S+ /cg (tmpfs|cgroup2) ro")
        self.assertIn("\n1\n", out)

    def test_the_hosts_proc_and_sys_where_their_namespaces_are_shared(self):
        spec = self.spec("sh", "-c", "ls -d /proc/%d /sys/class" % os.getpid(), mounts=[
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}])
        spec["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}]
        self.done("run", "-b", self.bundle(spec), "c")

    def test_covered_paths(self):
        """maskedPaths, readonlyPaths"""
        out = self.output("sh", "-c", "wc -c </proc/version; ls /proc/irq; "
                          "(echo 1 >/proc/sys/kernel/hostname) 2>/dev/null || echo ro",
                          linux={"maskedPaths": ["/proc/version", "/proc/irq", "/proc/missing"],
                                 "readonlyPaths": ["/proc/sys", "/not/there"]})
        self.assertEqual(out.split(), ["0", "ro"])

    def test_kernel_parameters(self):
        """sysctl where permitted"""
        spec = self.spec("cat", "/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_forward")
        spec["linux"]["namespaces"].append({"type": "network"})
        spec["linux"]["sysctl"] = {"kernel.msgmax": "4321", "net.ipv4.ip_forward": "1"}
        self.assertEqual(self.done("run", "-b", self.bundle(spec), "c"), "4321\n1\n")
        for key in ("kernel.panic", "vm.swappiness", "net..x"):
            spec["linux"]["sysctl"] = {key: "1"}
            self.refuses(spec, "not the container's own")

    def test_devices(self):
        """devices; those that every container has"""
        out = self.output("sh", "-c", "for d in null zero full random urandom tty fuse; do "
                          "[ -c /dev/$d ] || echo no $d; done; "
                          "readlink /dev/ptmx; readlink /dev/fd; "
                          "echo x >/dev/null; head -c 3 /dev/zero | wc -c",
                          linux={"devices": [{"path": "/dev/fuse", "type": "c", "major": 10,
                                              "minor": 229}]})
        self.assertEqual(out.split(), ["pts/ptmx", "/proc/self/fd", "3"])
        spec = self.spec(linux={"devices": [{"path": "/dev/fuse", "type": "c", "major": 1,
                                             "minor": 1}]})
        self.refuses(spec, "not the device c 1:1")

    def test_namespaces_by_path(self):
        """namespaces: new and path"""
        self.create("first")
        self.done("start", "first")
        pid = json.loads(self.done("state", "first"))["pid"]
        kinds = {"user": "user", "ipc": "ipc", "uts": "uts", "pid": "pid"}
        spec = self.spec("sh", "-c", "for n in user ipc uts pid mnt; do "
                         "readlink /proc/self/ns/$n; done; ps")
        spec["linux"]["namespaces"] = [{"type": "mount"}] + [
            {"type": kind, "path": "/proc/%d/ns/%s" % (pid, file)} for kind, file in kinds.items()]
        del spec["linux"]["uidMappings"], spec["linux"]["gidMappings"]
        lines = self.done("run", "-b", self.bundle(spec), "second").splitlines()
        self.assertEqual(lines[:4], [os.readlink("/proc/%d/ns/%s" % (pid, file))
                                     for file in ("user", "ipc", "uts", "pid")])
        self.assertNotEqual(lines[4], os.readlink("/proc/%d/ns/mnt" % pid))
        self.assertTrue(any("sleep 1000" in line for line in lines[5:]), lines)

    def test_seccomp(self):
        """seccomp, compiled with libseccomp"""
        spec = self.spec("sh", "-c", "mkdir /tmp/x; chmod 777 /tmp; uname -s", linux={"seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
            "syscalls": [
                {"names": ["mkdir", "mkdirat", "not_a_call"], "action": "SCMP_ACT_ERRNO",
                 "errnoRet": 28},
                {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "args": [
                    {"index": 2 if os.uname().machine == "aarch64" else 1, "value": 0o777,
                     "op": "SCMP_CMP_EQ"}]}]}})
        for no_new_privileges in (True, False):
            spec["process"]["noNewPrivileges"] = no_new_privileges
            spec["linux"]["seccomp"]["syscalls"][1]["names"] = ["chmod", "fchmodat"]
            result = self.oci("run", "-b", self.bundle(spec), "c")
            self.assertEqual((result.code, result.out), (0, "Linux\n"), result)
            self.assertIn("No space left", result.err)
        for change, says in (({"defaultAction": "SCMP_ACT_X"}, "SCMP_ACT_X.*not supported"),
                             ({"architectures": ["x86"]}, "architectures"),
                             ({"flags": ["X"]}, "flags")):
            spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **change}
            self.refuses(spec, "seccomp: .*" + says)

    def test_hooks(self):
        """hooks: when, where, with the state on standard input"""
        script, log = self.user.work + "/hook", self.user.work + "/log"
        with open(script, "w") as file:
            file.write("#!/bin/sh\necho \"$1 $HOOK $(cat)\" | tr -d '\\n' >>%s; echo >>%s\n" %
                       (log, log))
        os.chmod(script, 0o755)
        kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                 "poststop"]
        hook = {"path": script, "args": ["hook"], "env": [PATH, "HOOK=yes"], "timeout": 60}
        spec = self.spec("true", mounts=[
            {"destination": self.user.work, "type": "bind", "source": self.user.work}],
            hooks={kind: [{**hook, "args": ["hook", kind]}] for kind in kinds})
        self.done("run", "-b", self.bundle(spec), "c")
        with open(log) as file:
            lines = [line.split(" ", 2) for line in file.read().splitlines()]
        self.assertEqual([line[:2] for line in lines], [[kind, "yes"] for kind in kinds])
        states = [json.loads(line[2]) for line in lines]
        self.assertEqual([state["status"] for state in states[:4]],
                         ["creating", "creating", "creating", "created"])
        self.assertEqual(states[5]["status"], "stopped")
        self.assertEqual({state["id"] for state in states}, {"c"})
        self.assertEqual(len({state["pid"] for state in states[:4]}), 1)

    def test_hooks_that_fail(self):
        path = "/bin/sh"
        for kind in ("prestart", "createRuntime", "createContainer"):
            self.refuses(self.spec(hooks={kind: [{"path": path, "args": [
                "sh", "-c", "echo first; echo the reason >&2; exit 5"]}]}),
                "hook /bin/sh: exit status 5: the reason")
        self.refuses(self.spec(hooks={"prestart": [{"path": path, "timeout": 1, "args": [
            "sh", "-c", "exec sleep 1000"]}]}), "hook .*: not done after 1 seconds")
        self.create("c", "true", hooks={"startContainer": [{"path": "/missing"}],
                                        "poststop": [{"path": "/missing"}]})
        self.fails("start", "c", says="hook /missing: exit status 127: no such file")
        self.wait_for("c", "stopped")
        self.assertIn("hook /missing", self.oci("delete", "c").err)

    def test_limits_that_cannot_be_set_are_a_warning(self):
        """resources: cgroup v2 where delegated, else a warning"""
        result = self.oci("run", "-b", self.bundle(self.spec("true", linux={"resources": {
            "memory": {"limit": 1 << 30}, "pids": {"limit": 100}, "devices": [
                {"allow": False, "access": "rwm"}]}})), "c")
        self.assertEqual(result.code, 0)
        self.assertIn("resources: no limits are set", result.err)

    def test_propagation(self):
        """rootfsPropagation"""
        for word, expected in (("rprivate", False), ("shared", True)):
            out = self.output("cat", "/proc/self/mountinfo", linux={"rootfsPropagation": word})
            self.assertEqual("shared:" in out.splitlines()[0], expected, out)

    def test_mistakes_name_the_member(self):
        def changed(path, value):
            spec = self.spec()
            *parents, last = path.split("/")
            place = spec
            for name in parents:
                place = place.setdefault(name, {})
            if value is None:
                place.pop(last, None)
            else:
                place[last] = value
            return spec

        for path, value, says in (
                ("ociVersion", None, "config.json: .*ociVersion.* is missing"),
                ("ociVersion", "2.0.0", "2.0.0 is not supported"),
                ("root", None, "root.*path.* is missing"),
                ("root/path", "/missing", "root: /missing"),
                ("process", None, "process.* is missing"),
                ("process/args", [], "process: .*args.* is missing"),
                ("process/args", ["missing"], "cannot execute missing: .*not found"),
                ("process/args", ["/etc"], "cannot execute /etc"),
                ("process/cwd", "relative", "cwd.* is not an absolute path"),
                ("process/env", ["A"], "env.*A.* is not KEY=VALUE"),
                ("process/user", {"uid": 5}, "user 5 is not in uidMappings"),
                ("process/user", {"uid": -1}, "uid.* is not between"),
                ("process/user", {"uid": 1.5}, "uid.* is not an integer"),
                ("process/terminal", True, "terminal.* needs --console-socket"),
                ("process/rlimits", [{"type": "RLIMIT_X"}], "RLIMIT_X.* is no resource limit"),
                ("hostname", 5, "hostname.* is not a string"),
                ("linux", None, "linux: it is missing"),
                ("linux/namespaces", [], "mount.* namespace is needed"),
                ("linux/namespaces", [{"type": "x"}], "namespaces: .*x.* is not supported"),
                ("linux/namespaces", [{"type": "mount"}, {"type": "mount"}], "mount.* twice"),
                ("linux/namespaces", [{"type": "mount"}, {"type": "ipc", "path": "/missing"}],
                 "ipc namespace /missing"),
                ("linux/rootfsPropagation", "x", "rootfsPropagation"),
                ("linux/uidMappings", [{"containerID": 0, "hostID": 0, "size": 0}], "size"),
                ("mounts", [{"type": "tmpfs"}], "mounts: .*destination.* is missing"),
                ("mounts", [{"destination": "/a", "type": "bind"}], "/a: .*source.* is missing"),
                ("mounts", [{"destination": "/a", "type": "bind", "source": "/missing"}],
                 "/missing at /a: source"),
                ("mounts", [{"destination": "/a", "type": "bind", "source": "/etc",
                             "options": ["no-option"]}], "no-option.* is not known"),
                ("hooks", {"prestart": [{"path": "x"}]}, "hooks: prestart: .*path")):
            with self.subTest(path + " " + str(value)):
                self.refuses(changed(path, value), says)
        self.refuses("{", "config.json: not valid JSON")
        self.refuses("[]", "config.json: not a JSON object")
        self.fails("create", "-b", "/missing", "c", says="bundle /missing")
        self.fails("create", "-b", self.user.work, "c", says="config.json")


class TestExec(OciCase):
    def setUp(self):
        super().setUp()
        self.create("c", process={"env": [PATH, "FROM=config"], "cwd": "/tmp"})
        self.done("start", "c")

    def test_words_and_options(self):
        """exec [-e] [--cwd] ID CMD"""
        out = self.done("exec", "-e", "MORE=x", "--cwd", "/etc", "c", "sh", "-c",
                        "echo $FROM $MORE; pwd; id -u; grep CapEff /proc/self/status; ps")
        self.assertIn("config x\n/etc\n0\n", out)
        self.assertIn("%016x" % (1 << 5 | 1 << 0 | 1 << 10), out)
        self.assertIn("sleep 1000", out)
        result = self.oci("exec", "c", "sh", "-c", "cat; echo e >&2; exit 5", input=b"in")
        self.assertEqual((result.code, result.out, result.err), (5, "in", "e\n"))
        self.assertEqual(self.done("exec", "--cap", "CAP_SYS_CHROOT", "c", "chroot", "/", "pwd"),
                         "/\n")

    def test_a_process_as_json(self):
        """exec -p process.json"""
        path = self.user.work + "/process.json"
        with open(path, "w") as file:
            json.dump({"args": ["sh", "-c", "echo $A; pwd"], "env": [PATH, "A=b"],
                       "cwd": "/usr", "user": {"uid": 0, "gid": 0}}, file)
        self.assertEqual(self.done("exec", "-p", path, "c"), "b\n/usr\n")
        with open(path, "w") as file:
            file.write("{}")
        self.fails("exec", "-p", path, "c", says="--process .*args.* is missing")

    def test_mistakes(self):
        self.fails("exec", "c", says="missing command")
        self.fails("exec", "c", "missing-program", says="cannot execute missing-program")
        self.fails("exec", "--cwd", "/missing", "c", "true", says="working directory /missing")
        self.fails("exec", "--user", "x", "c", "true", says="x.* is no user")
        self.fails("exec", "--user", "77", "c", "true", says="cannot be user 77")
        self.fails("exec", "--cap", "CAP_X", "c", "true", says="CAP_X")
        # None of them keeps the container from ending.
        self.done("kill", "c", "KILL")
        self.wait_for("c", "stopped")

    def test_detached(self):
        pid_file = self.user.work + "/pid"
        self.done("exec", "--detach", "--pid-file", pid_file, "c", "sleep", "2000",
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(pid_file) as file:
            pid = int(file.read())
        self.wait_for_program("sleep")
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            self.assertEqual(file.read(), b"sleep\x002000\x00")
        os.kill(pid, signal.SIGKILL)

    def test_in_a_container_that_waits(self):
        self.create("waiting")
        self.assertEqual(self.done("exec", "waiting", "id", "-u"), "0\n")
        self.assertEqual(self.status("waiting"), "created")


class TestTerminals(OciCase):
    def terminal(self, *arguments):
        return test_terminal.Terminal(self, "enroot", "oci", "--root", self.states, *arguments)

    def test_run_and_exec_relay_a_terminal(self):
        spec = self.spec("sh", "-c", "tty; stty size; [ -c /dev/console ] && echo console; "
                         "read line; echo got $line; exec sh", process={"terminal": True})
        terminal = self.terminal("run", "-b", self.bundle(spec), "c")
        terminal.expect("/dev/pts/0\r\n24 80\r\nconsole")
        terminal.send(b"word\n")
        terminal.expect("got word")
        terminal.resize(30, 100)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.send(b"until stty size | grep 100; do sleep 0.1; done\n")
        terminal.expect("30 100")
        terminal.send(b"sleep 500\n")
        self.wait_for_program("sleep")
        terminal.send(test_terminal.CTRL_C)
        terminal.send(b"echo rc $?\n")
        terminal.expect("rc 130")
        other = self.terminal("exec", "-t", "c", "sh", "-c", "tty; exit 4")
        other.expect("/dev/pts/1")
        self.assertEqual(other.process.wait(harness.TIMEOUT), 4)
        terminal.send(b"exit 6\n")
        self.assertEqual(terminal.process.wait(harness.TIMEOUT), 6)
        for one in (terminal, other):
            os.close(one.leader)

    def test_a_console_socket_gets_the_descriptor(self):
        """create --console-socket S"""
        path = self.user.work + "/s"
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen()
        os.chmod(path, 0o777)
        spec = self.spec("sh", "-c", "echo hello; tty", process={
            "terminal": True, "consoleSize": {"height": 10, "width": 20}})
        self.done("create", "-b", self.bundle(spec), "--console-socket", path, "c")
        connection, _ = listener.accept()
        with connection:
            name, fds, _, _ = socket.recv_fds(connection, 100, 1)
        self.assertEqual(name, b"/dev/ptmx")
        self.done("start", "c")
        shown = b""
        with contextlib.suppress(OSError):
            while True:
                shown += os.read(fds[0], 100)
        os.close(fds[0])
        self.assertEqual(shown, b"hello\r\n/dev/pts/0\r\n")
        self.fails("create", "-b", self.bundle(spec), "--console-socket", "/missing", "d",
                   says="--console-socket /missing")


class TestSlurm(OciCase):
    """How Slurm (oci.conf) calls a runtime."""

    def test_run_through_a_shell(self):
        """RunTimeRun through /bin/sh -c, the bundle being the current directory"""
        spec = self.spec("sh", "-c", "echo task $SLURM_PROCID",
                         process={"env": [PATH, "SLURM_PROCID=3"]})
        bundle = self.bundle(spec)
        result = self.run_command("/bin/sh", "-c", "enroot oci --root=%s run %s.%s.%d.%d.%d" % (
            self.states, "n1", self.user.name, 12, 0, 3), cwd=bundle)
        self.assertEqual((result.code, result.out), (0, "task 3\n"), result)

    def test_create_start_query_kill_delete(self):
        """RunTimeCreate, RunTimeStart, RunTimeQuery until it has stopped, RunTimeKill, -Delete"""
        bundle, name = self.bundle(self.spec("sleep", "1000")), "n1.user.13.0.0"

        def call(words):
            return self.run_command("/bin/sh", "-c", "enroot oci --root=%s %s" % (
                self.states, words), cwd=bundle, stdout=None if "create" in words else -1)

        self.assertNotEqual(call("state " + name).code, 0)
        self.assertEqual(call("create --bundle %s %s </dev/null >/dev/null 2>&1" % (
            bundle, name)).code, 0)
        self.assertEqual(json.loads(call("state " + name).out)["status"], "created")
        self.assertEqual(call("start " + name).code, 0)
        self.assertEqual(json.loads(call("state " + name).out)["status"], "running")
        self.assertEqual(call("kill -a %s SIGKILL" % name).code, 0)
        self.wait_for(name, "stopped")
        self.assertEqual(call("delete --force " + name).code, 0)
        self.assertNotEqual(call("state " + name).code, 0)


    def test_root_who_looks_at_a_users_containers_is_that_user(self):
        """Slurm runs RunTimeQuery and RunTimeDelete as root in the end"""
        found = self.user.work + "/who"
        self.create("c", hooks={"poststop": [{"path": "/bin/sh", "args": [
            "sh", "-c", "id -u >%s" % found]}]})
        root = harness.world.root
        self.assertEqual(json.loads(self.done("state", "c", user=root))["status"], "created")
        self.done("delete", "--force", "c", user=root)
        with open(found) as file:
            self.assertEqual(int(file.read()), self.user.uid)
        self.create("c")
        os.chmod(self.user.run, 0o755)
        os.chmod(self.states, 0o755)
        self.fails("kill", "c", says="belongs to another user", user=harness.world.other)

    def test_options_may_follow_the_name(self):
        """As Slurm's examples have them: run ID -b BUNDLE"""
        self.done("run", "c", "-b", self.bundle(self.spec("true")))
        self.fails("run", "c", "-b", self.bundle(self.spec("true")), "x", says="too many arguments")


# A function of the shell, for podman that is to call the program in the directory $2.
CONTAINERS_CONF = """
bin=$2
containers_conf() {
    cat <<END
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime_supports_nocgroup=["enroot-oci"]
runtime_supports_json=["enroot-oci"]
[engine.runtimes]
enroot-oci=["$bin/enroot-oci"]
END
}
"""
PODMAN = CONTAINERS_CONF + """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
printf '[storage]\\ndriver="vfs"\\ngraphroot="%s/root"\\nrunroot="%s/run"\\n' $1 $1 >$1/storage.conf
containers_conf >$1/containers.conf
export CONTAINERS_STORAGE_CONF=$1/storage.conf CONTAINERS_CONF=$1/containers.conf
podman() { command podman --runtime enroot-oci "$@"; }
tar --owner=0 --group=0 -C $3 -c . | podman import --quiet - test/alpine >/dev/null
options="--cgroups=disabled --net=host"
"""


class TestPodman(OciCase):
    """podman --runtime; conmon calls create, start, exec, kill and delete"""

    def podman(self, script):
        place = harness.world.work + "/podman"
        os.mkdir(place)
        self.addCleanup(subprocess.run, ["rm", "-rf", place], check=True)
        result = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", "sh", "-uc", PODMAN + script, "sh", place,
             harness.world.bin, self.rootfs], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=harness.TIMEOUT)
        return result.stdout.decode()

    def test_run(self):
        out = self.podman("""
podman run --rm $options test/alpine sh -c 'id -u; grep Seccomp: /proc/self/status; exit 5'
echo status $?
podman run --rm $options test/alpine missing; echo status $?
podman run --rm $options --user 1000 --read-only --tmpfs /t -v /etc/passwd:/p:ro --uts private \\
    --hostname box --ulimit nofile=90:90 --ulimit nproc=400:400 test/alpine \\
    sh -c 'id -u; hostname; touch /x /p 2>&1; ulimit -n; grep -c root /p
           grep CapEff /proc/self/status'
podman run --rm $options --uidmap 0:100000:1000 test/alpine cat /proc/self/uid_map
podman run --rm --net=none test/alpine sh -c 'ls /sys/class/net'
""")
        self.assertRegex(out, r"^0\nSeccomp:\t2\nstatus 5\n", out)
        self.assertRegex(out, r"not found\nstatus 127\n", out)
        self.assertRegex(out, r"1000\nbox\n(touch: .*\n){2}90\n\d+\nCapEff:\t0{16}\n", out)
        self.assertRegex(out, r"\n +0 +100000 +1000\nlo\n$", out)

    def test_roots_container_cannot_change_the_program(self):
        """CVE-2019-5736"""
        program = os.path.realpath(harness.world.bin + "/enroot")
        with open(program, "rb") as file:
            before = file.read()
        out = self.podman("""
podman run -d --name box $options test/alpine sh -c '
    ln -sf /proc/self/exe /bin/trap; : >/ready
    while :; do for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in *enroot*) readlink $p/exe >>/seen; echo x >$p/exe;; esac
    done 2>/dev/null; done' >/dev/null
for i in 1 2 3 4 5 6 7 8; do podman exec box /bin/trap --version >/dev/null 2>&1; done
podman exec box cat /seen; podman rm -f -t 0 box
""")
        with open(program, "rb") as file:
            self.assertEqual(file.read(), before, out)
        self.assertNotIn(program, out)

    def test_exec_terminals_kill_and_rm(self):
        out = self.podman("""
podman run -d --name box $options test/alpine sleep 1000 >/dev/null
podman exec box sh -c 'echo in $$; exit 3'; echo status $?
podman exec box missing; echo status $?
mkfifo $1/keys; exec 3<>$1/keys  # an end of the input would make podman detach
script -qec "podman --runtime enroot-oci exec -it box tty" /dev/null <&3
script -qec "podman --runtime enroot-oci run --rm -it $options test/alpine tty" /dev/null <&3
podman kill box; podman wait box
podman rm box; podman ps -aq; echo end
""")
        self.assertRegex(out, r"^in \d+\nstatus 3\n.*not found\nstatus 127\n", out)
        self.assertEqual(out.count("/dev/pts/0\r\n"), 2, out)
        self.assertRegex(out, r"box\n137\n\S+\nend\n$", out)


class TestBundle(OciCase):
    def test_an_image_becomes_a_bundle(self):
        """oci bundle IMAGE DIR"""
        sqsh = harness.world.library.squashed("alpine")
        os.mkdir(self.user.work + "/data", 0o755)
        os.chown(self.user.work + "/data", self.user.uid, self.user.gid)
        path = self.user.work + "/made"
        self.enroot("oci", "bundle", "-m", self.user.work + "/data:/data:none:rbind,ro", "-e",
                    "NAME=value", sqsh, path)
        with open(path + "/config.json") as file:
            spec = json.load(file)
        self.assertEqual(spec["root"]["path"], "rootfs")
        self.assertIn({"destination": "/data", "type": "bind",
                       "source": self.user.work + "/data", "options": ["rbind", "ro"]},
                      spec["mounts"])
        spec["process"]["args"] = ["sh", "-c", "id -u; echo $NAME; touch /f && chown 5 /f; "
                                   "touch /data/x 2>/dev/null || echo ro"]
        with open(path + "/config.json", "w") as file:
            json.dump(spec, file)
        self.assertEqual(self.done("run", "-b", path, "c"), "0\nvalue\nro\n")
        self.refused("oci", "bundle", sqsh, path, says="exists and is not an empty directory")
        self.refused("oci", "bundle", "/missing", self.user.work + "/b", says="/missing")
        self.assertFalse(os.path.exists(self.user.work + "/b"))
