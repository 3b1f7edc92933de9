"""oci cgroups: limits, pause, ps, update and events, where cgroups are delegated and where not."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time
import unittest

import harness
import test_oci

ROOT = "/sys/fs/cgroup"
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "freezer")


def read(*parts):
    with open(os.path.join(*parts)) as file:
        return file.read().strip()


def write(text, *parts):
    with open(os.path.join(*parts), "w") as file:
        file.write(text)


class Delegated(test_oci.OciCase):
    """Cgroups that belong to the user, as an administrator or systemd gives them to him."""

    def setUp(self):
        super().setUp()
        # All runs of the tests on a machine share the control groups.
        self.name = os.path.basename(harness.world.work)
        self.places = self.delegate()
        for place in self.places:
            os.makedirs(place, exist_ok=True)
            self.addCleanup(self.remove, place)
            subprocess.run(["chown", "-R", self.user.name, place], check=True)

    @staticmethod
    def remove(place):
        for path, _, _ in os.walk(place, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)

    @contextlib.contextmanager
    def inside(self):
        """Whatever is started meanwhile is in the delegated cgroups."""
        before = [self.home_of(place) for place in self.places]
        try:
            for place in self.places:
                write("0", place, "cgroup.procs")
            yield
        finally:
            for place in before:
                write("0", place, "cgroup.procs")

    def oci(self, *arguments, **options):
        with self.inside():
            return super().oci(*arguments, **options)

    def cgroups(self):
        """Those of container c: {controller: directory}"""
        return json.loads(read(self.states, "c", "state.json"))["cgroups"]

    def check_pause(self):
        """pause, resume; state paused; exec --ignore-paused; delete --force of what is paused"""
        self.create("c", "sh", "-c", "while :; do sleep 0.02; done")
        self.done("start", "c")
        self.done("pause", "c")
        self.assertEqual(self.status("c"), "paused")
        self.fails("pause", "c", says="c is paused: it cannot be paused")
        self.fails("exec", "c", "true", says="c is paused: resume it")
        self.assertRegex(self.done("list"), "c +[0-9]+ +paused ")
        self.done("resume", "c")
        self.assertEqual(self.status("c"), "running")
        self.fails("resume", "c", says="c is running: it cannot be resumed")
        self.done("pause", "c")
        self.done("delete", "--force", "c")
        self.create("c", "sleep", "1000")
        self.done("start", "c")
        self.done("pause", "c")
        with self.inside():
            process = self.start("enroot", "oci", "--root", self.states, "exec", "--ignore-paused",
                                 "c", "true")
        time.sleep(0.1)
        self.assertIsNone(process.poll())
        self.done("resume", "c")
        self.assertEqual(process.wait(harness.TIMEOUT), 0)
        process.communicate()
        self.done("pause", "c")
        self.done("kill", "c", "KILL")
        self.wait_for("c", "stopped")
        self.done("delete", "c")
        for place in self.places:
            self.assertEqual([name for name in os.listdir(place) if "enroot-c" in name], [])


class TestVersion1(Delegated):
    def delegate(self):
        if not os.path.isdir(ROOT + "/pids"):
            raise unittest.SkipTest("no cgroup version 1")
        places = ["%s/%s/%s" % (ROOT, controller, self.name) for controller in CONTROLLERS]
        for place in places:
            os.mkdir(place)
            if "/cpuset/" in place:
                for file in ("cpuset.cpus", "cpuset.mems"):
                    write(read(place, "..", file), place, file)
        return places

    @staticmethod
    def home_of(place):
        controller = place.split("/")[4]
        own = re.search(r"(?m)^\d+:%s:(.*)$" % controller, read("/proc/self/cgroup")).group(1)
        return "%s/%s/%s" % (ROOT, controller, own)

    def test_limits(self):
        """resources: memory, pids, cpu; update --memory …, --resources FILE"""
        self.create("c", linux={"resources": {
            "memory": {"limit": 64 << 20, "reservation": 32 << 20}, "pids": {"limit": 20},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"}}})
        self.done("start", "c")
        found = self.cgroups()
        pid = json.loads(self.done("state", "c"))["pid"]
        self.assertEqual(set(found), set(CONTROLLERS))
        for controller, directory in found.items():
            self.assertIn("/%s/enroot-c" % self.name, directory)
            self.assertIn(str(pid), read(directory, "cgroup.procs").split(), controller)

        def values(*files):
            return [read(found[file.split(".")[0]], file) for file in files]

        self.assertEqual(values("memory.limit_in_bytes", "memory.soft_limit_in_bytes", "pids.max",
                                "cpu.shares", "cpu.cfs_quota_us", "cpuset.cpus"),
                         [str(64 << 20), str(32 << 20), "20", "512", "50000", "0"])
        self.done("update", "--memory", str(96 << 20), "--pids-limit", "-1", "--cpu-share", "100",
                  "c")
        self.assertEqual(values("memory.limit_in_bytes", "pids.max", "cpu.shares"),
                         [str(96 << 20), "max", "100"])
        with open(self.user.work + "/resources", "w") as file:
            json.dump({"pids": {"limit": 30}, "cpu": {"quota": -1}}, file)
        self.done("update", "-r", self.user.work + "/resources", "c")
        self.assertEqual(values("pids.max", "cpu.cfs_quota_us"), ["30", "-1"])
        self.done("update", "--resources", "-", "c", input=b'{"pids":{"limit":31}}')
        self.assertEqual(values("pids.max"), ["31"])
        self.fails("update", "--cpuset-cpus", "4000", "c", says="resources: cpuset.cpus=4000")
        self.fails("update", "--memory", "lots", "c", says="limit of memory: .*lots.* not a number")
        self.fails("update", "--l3-cache-schema", "x", "c", says="RDT is not supported")

    def test_a_limit_holds(self):
        out = self.oci("run", "-b", self.bundle(self.spec(
            "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all",
            linux={"resources": {"pids": {"limit": 5}}})), "c")
        self.assertNotIn("all", out.out)
        self.assertRegex(out.err, "(?i)fork")

    def test_pause(self):
        self.check_pause()

    def test_events(self):
        """events --stats: what runc prints, read by whoever reads runc"""
        self.create("c", linux={"resources": {"pids": {"limit": 7}}})
        self.done("start", "c")
        found = json.loads(self.done("events", "--stats", "c"))
        self.assertEqual((found["type"], found["id"]), ("stats", "c"))
        data = found["data"]
        self.assertEqual(data["pids"], {"current": 1, "limit": 7})
        self.assertGreater(data["memory"]["usage"]["usage"], 0)
        self.assertGreater(data["cpu"]["usage"]["total"], 0)
        process = self.start("enroot", "oci", "--root", self.states, "events", "--interval", "20ms",
                             "c")
        for _ in range(3):
            self.assertEqual(json.loads(process.stdout.readline())["type"], "stats")
        self.done("kill", "c", "KILL")
        process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(process.returncode, 0)
        self.fails("events", "--stats", "c", says="c is not running")
        self.fails("events", "--interval", "soon", "c", says="--interval soon: not a time")

    def test_exec_in_a_cgroup_below(self):
        """exec --cgroup [CONTROLLER:]PATH"""
        self.create("c")
        self.done("start", "c")
        below = self.cgroups()["pids"] + "/below"
        os.mkdir(below)
        os.chown(below, self.user.uid, self.user.gid)
        os.chown(below + "/cgroup.procs", self.user.uid, self.user.gid)
        self.assertIn("enroot-c/below\n", self.done("exec", "--cgroup", "pids:below", "c", "grep",
                                                    "pids", "/proc/self/cgroup"))
        self.fails("exec", "--cgroup", "pids:missing", "c", "true", says="--cgroup pids:missing")
        self.fails("exec", "--cgroup", "net:x", "c", "true", says="has no such cgroup")

    def test_without_one(self):
        """--cgroup-manager disabled"""
        self.done("--cgroup-manager", "disabled", "create", "-b", self.bundle(self.spec()), "c",
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(self.cgroups(), {})


class TestVersion2(Delegated):
    def delegate(self):
        if subprocess.run(["mount", "-t", "cgroup2", "cgroup2", ROOT]).returncode != 0:
            raise unittest.SkipTest("no cgroup version 2")
        self.addCleanup(subprocess.run, ["umount", ROOT], check=True)
        return ["%s/%s" % (ROOT, self.name)]  # cgroups on the way might be closed to the user

    @staticmethod
    def home_of(place):
        return ROOT + re.search(r"(?m)^0::(.*)$", read("/proc/self/cgroup")).group(1)

    def test_limits(self):
        """cgroup v2 where delegated; resources: unified"""
        self.create("c", linux={"resources": {"unified": {"cgroup.max.depth": "5"}}})
        directory = self.cgroups()[""]
        self.assertEqual(read(directory, "cgroup.max.depth"), "5")
        pid = json.loads(self.done("state", "c"))["pid"]
        self.assertEqual(read(directory, "cgroup.procs").split(), [str(pid)])
        result = self.oci("run", "-b", self.bundle(self.spec("true", linux={"resources": {
            "unified": {"no.such": "1"}}})), "d")
        self.assertEqual(result.code, 0)
        self.assertIn("resources: no.such=1 is not applied", result.err)

    def test_pause(self):
        self.check_pause()

    def test_a_path_of_its_own(self):
        """cgroupsPath"""
        path = self.places[0][len(ROOT):] + "/deep/below"
        self.create("c", linux={"cgroupsPath": path})
        self.assertEqual(self.cgroups(), {"": ROOT + path})
        self.done("delete", "--force", "c")
        self.assertFalse(os.path.exists(ROOT + path))

    def test_delete_ends_what_has_left_the_mount_namespace(self):
        spec = self.spec("sh", "-c", "unshare -m sleep 1000 & exec sleep 1001", process={
            "capabilities": {kind: ["CAP_SYS_ADMIN"] for kind in (
                "bounding", "effective", "permitted")}})
        spec["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}]
        self.done("create", "-b", self.bundle(spec), "c", stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        self.done("start", "c")
        self.wait_for_program("sleep", 2)
        self.done("delete", "--force", "c")
        self.assertEqual(self.wait_for_no_process(self.user), [])


class TestNotDelegated(test_oci.OciCase):
    def test_what_needs_a_cgroup_says_so(self):
        """pause, update, events: impossible without a cgroup of the user's"""
        self.create("c")
        self.done("start", "c")
        for words in (("pause",), ("update", "--memory", "1000000"), ("events", "--stats")):
            self.fails(*words, "c", says="it has no cgroup .*administrator")
        self.fails("update", "--memory", "1", "missing", says="missing does not exist")

    def test_ps(self):
        """ps [-f json] ID [ps options], as crun's and runc's"""
        self.create("c", "sh", "-c", "sleep 1000 & exec sleep 1001")
        self.done("start", "c")
        self.wait_for_program("sleep", 2)
        pid = json.loads(self.done("state", "c"))["pid"]
        self.assertEqual(len(json.loads(self.done("ps", "-f", "json", "c"))), 2)
        self.assertIn(pid, json.loads(self.done("ps", "--format", "json", "c")))
        lines = self.done("ps", "c").splitlines()
        self.assertRegex(lines[0], "PID +PPID")
        self.assertEqual(len(lines), 3, lines)
        lines = self.done("ps", "c", "-e", "-o", "pid,args").splitlines()
        self.assertRegex(lines[0], "PID COMMAND")
        self.assertIn("sleep 1001", "".join(lines))
        self.fails("ps", "c", "-e", "-o", "args", says="no column PID")
        self.fails("ps", "missing", says="does not exist")
        os.kill(pid, signal.SIGKILL)
        self.wait_for("c", "stopped")
        self.fails("ps", "c", says="not running")
