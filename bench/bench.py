"""What the sections of a run have in common: commands that are timed, tables and curves
that results go into, and the places where images and their copies are.

A table has rows that answer one question; its rows are measured in turn, round after round,
so that whatever the machine does besides hits all of them.
"""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import harness
import images

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
UNREPEATED = 60  # seconds after which a row is not measured again
OURS = "enroot"  # rows whose names begin with it must not fail
ZSTD = "-comp zstd -Xcompression-level 1"


class Missing(Exception):
    """A peer that cannot be measured here, and why."""


class Row:
    """One way to do what a table is about."""

    def __init__(self, name, run, prepare=None):
        self.name, self.run, self.prepare = name, run, prepare


class Bench:
    def __init__(self, world, options):
        self.world, self.user = world, world.user
        self.cache, self.quick, self.path = options.cache, options.quick, options.json
        self.host = world.servers.plain.host
        self.scratch = world.work + "/scratch"  # emptied by clear()
        self.images = world.work + "/images"
        self.tools = world.work + "/tools"  # which the user can reach, unlike a build directory
        for directory in (self.scratch, self.images, self.tools):
            os.mkdir(directory)
        self.probe, self.limit_program = (
            shutil.copy("%s/bench/%s" % (options.build, name), self.tools)
            for name in ("probe", "limit"))
        self.pushed, self.squashed_images = {}, {}
        self.results = {"machine": machine(options.quick), "tables": {}, "curves": {}, "facts": {},
                        "skipped": {}, "failed": {}}

    # ---- images ----

    def layout(self, name):
        return self.world.library.layout("alpine") if name == "small" else (
            "%s/%s" % (self.cache, name))

    def push(self, name):
        """The reference of an image, which the registry has from now on."""
        if name not in self.pushed:
            images.push(self.layout(name), self.host, "bench/" + name)
            self.pushed[name] = "docker://%s#bench/%s" % (self.host, name)
        return self.pushed[name]

    def blobs(self, name):
        """The files of an image's layers."""
        return [images.blob_path(self.layout(name), layer["digest"])
                for layer in manifest(self.layout(name))["layers"]]

    def squashed(self, name, options=None):
        """An image file that enroot imported; kept over clear()."""
        key = (name, options)
        if key not in self.squashed_images:
            path = "%s/%s%d.sqsh" % (self.images, name, len(self.squashed_images))
            made = self.user.work + "/made.sqsh"
            self.check(["enroot", "import", "-o", made, self.push(name)], options=options)
            shutil.move(made, path)
            shutil.rmtree(self.user.home + "/.cache", ignore_errors=True)
            os.chmod(path, 0o644)
            self.squashed_images[key] = path
        return self.squashed_images[key]

    def clear(self):
        """Nothing of earlier runs is left, and nothing of theirs is yet to be written."""
        self.user.reset()
        harness.unmount_below(self.scratch)
        shutil.rmtree(self.scratch)
        os.mkdir(self.scratch)
        os.chmod(self.scratch, 0o777)
        os.sync()

    @staticmethod
    def drop_caches():
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3\n")

    # ---- commands ----

    def environment(self, user, options=None):
        if user is None:
            return None
        extra = {"ENROOT_SQUASH_OPTIONS": options} if options else {}
        return {**user.environment(), "ENROOT_ALLOW_HTTP": "yes", **extra}

    def need(self, program):
        if not shutil.which(program, path=self.world.bin + ":" + os.environ["PATH"]):
            raise Missing("%s is not installed" % program)

    def output(self, argv, user=None, options=None):
        """What a command prints; Missing with its last words where it fails."""
        self.need(argv[0])
        ran = subprocess.run(argv, env=self.environment(user, options), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             cwd=user.work if user else None, **harness.become(user))
        if ran.returncode != 0:
            words = harness.text(ran.stderr).strip().splitlines() or ["no message"]
            raise Missing("%s: %s" % (argv[0], " | ".join(words[-3:])))
        return harness.text(ran.stdout)

    def check(self, argv, options=None):
        """Run a command of the user that prepares something."""
        self.output(argv, self.user, options)

    def time(self, argv, user=None, count=1, abreast=1, options=None, within=()):
        """Run a command under the probe: seconds (a list), CPU seconds of one, peak memory.

        What is within is begun before, and not timed.
        """
        self.need(argv[0])
        told = json.loads(self.output(
            [*within, self.probe, "start", str(count), str(abreast), *argv], user, options))
        return {"seconds": told["each"], "cpu": told["cpu"] / count,
                "memory_mib": told["memory_kib"] / 1024, "all": told["seconds"]}

    def time_user(self, argv, **more):
        return self.time(argv, self.user, **more)

    def limit(self, *words):
        """One figure of the bare work."""
        told = json.loads(self.output([self.limit_program, *map(str, words)]))
        return {**told, "seconds": [told["seconds"]]}

    # ---- results ----

    def attempt(self, name, action):
        """The result of an action, or None; a peer's failure is noted, and ours is a failure."""
        try:
            return action()
        except Missing as why:
            kind = "failed" if name.startswith(OURS) else "skipped"
            self.results[kind][name] = str(why)
            print("%s: %s: %s" % (kind, name, why), file=sys.stderr)
            return None

    def table(self, section, title, rows, ours, rounds, unit="s"):
        """Measure rows in turn. A ratio in the report is against the row named by ours."""
        print("%s: %s" % (section, title), file=sys.stderr)
        found = {}
        for _ in range(rounds):
            for row in rows:
                measured = found.get(row.name)
                if row.name in found and (
                        measured is None or sum(measured["seconds"]) > UNREPEATED):
                    continue
                sample = self.attempt(row.name, lambda: self.take(row))
                found[row.name] = merged(measured, sample) if measured and sample else sample
        self.add_table(section, title, {name: it for name, it in found.items() if it}, ours, unit)

    @staticmethod
    def take(row):
        reap()
        if row.prepare:
            row.prepare()
        return row.run()

    def add_table(self, section, title, rows, ours, unit="s"):
        for row in rows.values():
            row["median"] = statistics.median(row["seconds"])
        self.results["tables"][title] = {"section": section, "unit": unit, "ours": ours,
                                         "rows": rows}

        self.save()

    def save(self):
        """What is there so far survives an interruption."""
        with open(self.path, "w") as file:
            json.dump(self.results, file, indent=1)
            file.write("\n")

    def add_curve(self, section, title, labels, series, log=True):
        """Lines over a common axis: {name: [[x, y], …]}."""
        self.results["curves"][title] = {"section": section, "x": labels[0], "y": labels[1],
                                         "log": log, "series": series}

    @contextlib.contextmanager
    def running(self, argv):
        """A container that runs until the end; waits for its "ready"."""
        process = subprocess.Popen(
            argv + ["sh", "-c", "echo ready; read end"], env=self.environment(self.user),
            cwd=self.user.work, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            **harness.become(self.user))
        try:
            if process.stdout.readline() != b"ready\n":
                raise Missing("%s: does not start" % " ".join(argv))
            yield process
        finally:
            process.communicate(b"\n")


def reap():
    """Servers that have ended, whose parents went before: /proc would fill up with them."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def merged(left, right):
    """Two samples of a row: all seconds, and of the rest the mean or the peak."""
    out = {**left, **right, "seconds": left["seconds"] + right["seconds"]}
    for key, join in (("cpu", lambda a, b: (a + b) / 2), ("memory_mib", max)):
        if key in left:
            out[key] = join(left[key], right[key])
    return out


def together(*samples):
    """Steps that follow one another, as one sample."""
    return {"seconds": [sum(sample["seconds"][0] for sample in samples)],
            "cpu": sum(sample["cpu"] for sample in samples),
            "memory_mib": max(sample["memory_mib"] for sample in samples)}


def manifest(layout):
    digest = images.read_index(layout)["manifests"][0]["digest"]
    with open(images.blob_path(layout, digest)) as file:
        return json.load(file)


def machine(quick):
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cores": len(os.sched_getaffinity(0)), "processor": (models or ["unknown"])[0],
            "memory_gib": round(memory / 2 ** 30), "kernel": os.uname().release,
            "date": time.strftime("%Y-%m-%d"), "quick": quick}


def mount_disk(point, cache):
    """Mount a file system of this run's own, which ends with its mount namespace.

    Where ext4 has no journal, a new file costs a look at every one deleted in the last minutes
    (kernel, fs/ext4/ialloc.c, recently_deleted): 200 microseconds after a large container was
    removed, and whoever is measured next pays. With the journal that mkfs makes it does not.
    """
    disk = cache + "/disk"
    with open(disk, "wb") as file:
        free = os.statvfs(cache)
        os.truncate(file.fileno(), free.f_bavail * free.f_frsize * 8 // 10)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk],
                       check=True)
        subprocess.run(["mount", "-o", "loop", disk, point], check=True)
        device = subprocess.run(["findmnt", "-n", "-o", "SOURCE", point], check=True,
                                stdout=subprocess.PIPE).stdout.decode().strip()
        # Not through the page cache a second time. Where that cannot be, all are slower alike.
        subprocess.run(["losetup", "--direct-io=on", device], check=False)
    finally:
        os.unlink(disk)
    os.chmod(point, 0o755)


def build(directory):
    """A release build that measures, made where there is none."""
    if not os.path.exists(directory + "/build.ninja"):
        subprocess.run(["meson", "setup", "--buildtype=release", "-Dbench=true", directory],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", directory], check=True, stdout=subprocess.DEVNULL)
