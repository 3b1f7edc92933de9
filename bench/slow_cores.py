"""What a first import gains from more cores than the machine has: every thread of the program
gets an equal part of one, so that two cores are eight, each a quarter as fast.

It takes version 1 of cgroups, where every thread may have a group of its own.
"""
import os
import subprocess
import time

import harness
from bench import Missing, Row

CONTROLLER = "/sys/fs/cgroup/cpu"
PERIOD = 20000  # microseconds


class Parts:
    """Groups that are held to a part of a core each."""

    def __init__(self, part):
        self.path, self.part = "%s/enroot-bench-%d" % (CONTROLLER, os.getpid()), part
        self.made, self.free, self.used = [], [], {}

    def __enter__(self):
        os.mkdir(self.path)
        return self

    def __exit__(self, *_):
        time.sleep(0.2)  # the last thread may still be leaving
        for group in [*self.made, self.path]:
            os.rmdir(group)

    def take(self):
        if self.free:
            return self.free.pop()
        group = "%s/%d" % (self.path, len(self.made))
        os.mkdir(group)
        self.made.append(group)
        for name, value in (("period", PERIOD), ("quota", int(PERIOD * self.part))):
            with open("%s/cpu.cfs_%s_us" % (group, name), "w") as file:
                file.write(str(value))
        return group

    def follow(self, pid):
        """Give groups to threads that are new, and take them from those that ended."""
        try:
            threads = set(os.listdir("/proc/%d/task" % pid))
        except FileNotFoundError:
            return
        for thread in threads - self.used.keys():
            group = self.take()
            try:
                with open(group + "/tasks", "w") as file:
                    file.write(thread)
                self.used[thread] = group
            except ProcessLookupError:
                self.free.append(group)
        for thread in self.used.keys() - threads:
            self.free.append(self.used.pop(thread))


def run(bench, argv, number):
    """Run a command of the user on so many slow cores: seconds, as they were on whole ones."""
    there = len(os.sched_getaffinity(0))
    environment = {**bench.environment(bench.user), "ENROOT_MAX_PROCESSORS": str(number)}
    with Parts(there / number) as parts:
        began = time.monotonic()
        process = subprocess.Popen(argv, env=environment, cwd=bench.user.work,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **harness.become(bench.user))
        while process.poll() is None:
            parts.follow(process.pid)
            time.sleep(0.004)
        seconds = time.monotonic() - began
    if process.returncode != 0:
        raise Missing("%s failed on slow cores" % argv[0])
    return seconds * there / number


def first_imports(bench, name):
    """Imports of cached blobs that were never read; on as many cores as there are, and more."""
    if not os.path.exists(CONTROLLER + "/cpu.cfs_quota_us"):
        raise Missing("no cpu controller of cgroups in version 1")
    there = len(os.sched_getaffinity(0))
    numbers = [there * factor for factor in (1, 2, 4)]
    title = "First import on more cores, each so much slower (%s image, blobs cached)" % name
    output = bench.user.work + "/image.sqsh"

    def fresh():
        subprocess.run(["rm", "-f", output], check=True)
        subprocess.run(["find", bench.user.home, "-name", "*.points", "-delete"], check=True)
        os.sync()

    def measure(number):
        seconds = run(bench, ["enroot", "import", "-o", output, bench.push(name)], number)
        return {"seconds": [seconds]}

    bench.table("cores", title, [
        Row("enroot import, %d cores" % number, lambda number=number: measure(number), fresh)
        for number in numbers], None, 1)
    rows = bench.results["tables"][title]["rows"]
    bench.add_curve("cores", "First import on more cores", ("cores", "seconds"), {
        "enroot import": [[number, rows["enroot import, %d cores" % number]["median"]]
                          for number in numbers if "enroot import, %d cores" % number in rows]})
