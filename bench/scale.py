"""How cost grows: with layers, files, bytes and cores, and with the operations that an
image's file server has answered."""
import hashlib
import json
import os
import random
import shutil
import subprocess
import tarfile
import zlib

import images
import slow_cores
from bench import Missing, Row
from sections import enroot_import, rounds, sizes

NOISE = random.Random(1).randbytes(2 ** 20)
PIECE = 2 ** 16
MANY_CORES = (1, 2, 4, 8, 16, 32, 64, 128)


# ---- images that differ in one thing ----

class Content:
    """A file of any size that deflates to about a quarter, and is nowhere the same."""

    def __init__(self, size, seed):
        self.left, self.seed, self.piece, self.number = size, seed, b"", 0

    def read(self, size):
        size = min(size, self.left)
        out = b""
        while len(out) < size:
            if not self.piece:
                start = (self.number * 40503 + self.seed * 997) % (len(NOISE) - PIECE // 4)
                self.piece = (b"%016d" % (self.number + self.seed * 10 ** 9)
                              + NOISE[start:start + PIECE // 4 - 16]) + bytes(PIECE * 3 // 4)
                self.number += 1
            take = size - len(out)
            out, self.piece = out + self.piece[:take], self.piece[take:]
        self.left -= size
        return out


class GzipBlob:
    """Deflates what is written and hashes both sides of it."""

    def __init__(self, path):
        self.file, self.path = open(path, "wb"), path
        self.deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
        self.plain, self.packed, self.size = hashlib.sha256(), hashlib.sha256(), 0

    def write(self, data):
        self.plain.update(data)
        self.put(self.deflate.compress(data))
        return len(data)

    def put(self, packed):
        self.packed.update(packed)
        self.size += len(packed)
        self.file.write(packed)

    def close(self):
        self.put(self.deflate.flush())
        self.file.close()


def synthetic(bench, name, layers, files, size):
    """An image of layers with so many files of a size each, made once; its name."""
    path = bench.layout(name)
    if os.path.exists(path):
        return name
    partial = path + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    layout, descriptors = images.Layout(partial), []
    for number in range(layers):
        blob = GzipBlob(partial + "/blob")
        with tarfile.open(fileobj=blob, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for index in range(files):
                info = tarfile.TarInfo("layer%d/%d/%d" % (number, index // 500, index))
                info.size, info.mtime, info.mode = size, images.MTIME, 0o644
                tar.addfile(info, Content(size, number * files + index))
        blob.close()
        packed = "sha256:" + blob.packed.hexdigest()
        os.rename(partial + "/blob", images.blob_path(partial, packed))
        descriptors.append(({"mediaType": images.OCI_LAYER + "+gzip", "digest": packed,
                             "size": blob.size}, "sha256:" + blob.plain.hexdigest()))
    layout.finish(layout.manifest(descriptors))
    os.rename(partial, path)
    return name


def growth(bench):
    """Cost of an import against layers, files and bytes, each with the rest unchanged."""
    quick = bench.quick
    layers = (1, 8, 64) if quick else (1, 4, 16, 64, 120)
    files = (100, 1000, 10000) if quick else (1000, 10000, 100000, 300000)
    mebibytes = (10, 100) if quick else (100, 1000, 10000)
    against(bench, "layers", [(number, synthetic(
        bench, "layers-%d" % number, number, 1920 // number, 20000)) for number in layers])
    against(bench, "files", [(number, synthetic(
        bench, "files-%d" % number, 1, number, 1000)) for number in files])
    against(bench, "MiB of content", [(number, synthetic(
        bench, "mebibytes-%d" % number, 4, number // 10 * 10, 2 ** 18)) for number in mebibytes])


def against(bench, what, points):
    """A table and the curves of time and memory; nothing is cached before each import."""
    bench.table("scale", "Import against " + what, [
        Row("enroot import, %d %s" % (number, what),
            lambda name=name: enroot_import(bench, name), bench.clear)
        for number, name in points], None, 1 if bench.quick else 3)
    rows = bench.results["tables"]["Import against " + what]["rows"]
    lines = {"seconds": [], "memory, MiB": []}
    for number, _ in points:
        row = rows.get("enroot import, %d %s" % (number, what))
        if row:
            lines["seconds"].append([number, row["median"]])
            lines["memory, MiB"].append([number, row["memory_mib"]])
    for unit, line in lines.items():
        bench.add_curve("scale", "Import against %s: %s" % (what, unit), (what, unit),
                        {"enroot import": line})


# ---- cores ----

def cores(bench):
    """One core and two, by taskset; more by the serial part that these two show."""
    name = sizes(bench)[-1]
    image = bench.squashed(name)
    bench.clear()
    enroot_import(bench, name)  # the blobs are cached from now on
    bench.check(["enroot", "create", "-n", "c", image])
    home, output = bench.user.home, bench.user.work + "/image.sqsh"
    there = sorted(os.sched_getaffinity(0))
    measured = [number for number in (1, 2, 4, 8, 16, 32, 64, 128) if number <= len(there)]

    def fresh():
        subprocess.run(["rm", "-rf", output, home + "/.local/share/enroot/new"], check=True)
        os.sync()

    works = {
        "enroot import, blobs cached": ["import", "-o", output, bench.push(name)],
        "enroot create": ["create", "-n", "new", image],
        "enroot export": ["export", "-o", output, "c"],
    }
    rows = []
    for work, words in works.items():
        for number in measured:
            argv = ["taskset", "-c", ",".join(map(str, there[:number])), "enroot", *words]
            rows.append(Row("%s, %d core%s" % (work, number, "s" if number > 1 else ""),
                            lambda argv=argv: bench.time_user(argv), fresh))
    bench.table("cores", "Work on some cores, %s image" % name, rows, None, rounds(bench, name))
    if len(measured) > 1:
        model(bench, works, measured, name)
    bench.attempt("first import on slow cores", lambda: slow_cores.first_imports(bench, name))


def model(bench, works, measured, name):
    """Amdahl's law through the first and the last measured number of cores.

    A layer is no longer one stream where its points are in the cache, as in these imports.
    """
    rows = bench.results["tables"]["Work on some cores, %s image" % name]["rows"]
    series, last = {}, measured[-1]
    for work in works:
        found = [rows.get("%s, %d core%s" % (work, number, "s" if number > 1 else ""))
                 for number in (1, last)]
        if not all(found):
            continue
        one, more = (row["median"] for row in found)
        # T(n) = T(1) (s + (1 - s) / n), solved for s.
        serial = min(max((more / one - 1 / last) / (1 - 1 / last), 0), 1)
        bench.results["facts"].setdefault("serial fraction", {})[work] = serial
        series[work] = [[number, 1 / (serial + (1 - serial) / number)] for number in MANY_CORES]
    bench.add_curve("cores", "Speed-up on more cores (1 and %d measured, others modelled)" % last,
                    ("cores", "times as fast as on one core"), series)


# ---- the file server of an image ----

def server_memory(bench):
    """Resident MiB of the processes named enroot: the server of the one image that runs."""
    total = 0
    for pid in bench.user.processes():
        with open("/proc/%d/status" % pid) as file:
            status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
        if status["Name"].startswith("enroot") and "VmRSS" in status:
            total += int(status["VmRSS"].split()[0])
    return total / 1024


def operations(bench):
    """Memory of the server after many operations: it must not grow."""
    name = sizes(bench)[-1]
    image, wanted = bench.squashed(name), 50000 if bench.quick else 1200000
    bench.clear()
    line, done = [], 0
    with bench.running(["enroot", "start", "--root", "--mount",
                        bench.probe + ":/probe:none:x-create=file,bind,ro", image]) as process:
        while done < wanted:
            told = json.loads(bench.output(
                ["enroot", "exec", str(process.pid), "/probe", "walk", "/", "1"], bench.user))
            done += told["entries"]
            line.append([done, server_memory(bench)])
            # Else the kernel answers from what it remembers.
            bench.drop_caches()
    if not line or not line[-1][1]:
        raise Missing("the server was not found")
    bench.add_curve("operations", "Memory of an image's file server",
                    ("operations", "MiB"), {"enroot start, image file": line}, log=False)
