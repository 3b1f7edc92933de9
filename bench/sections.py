"""What a run measures: a function for each section, which adds its tables and curves."""
import json
import os
import shutil
import subprocess
import sys

import images
import peers
from bench import ZSTD, Row, manifest, reap

PLAIN = "-noI -noD -noF -noX -no-duplicates"
NUMBERS = "import numpy, scipy.linalg, scipy.sparse, scipy.optimize, scipy.stats"


def facts(bench, name):
    """Note how large an image is, and return its words for a title."""
    layers = manifest(bench.layout(name))["layers"]
    known = {"layers": len(layers), "mib": sum(layer["size"] for layer in layers) / 2 ** 20}
    bench.results["facts"].setdefault(name, {}).update(known)
    return "%s image (%d layer%s, %.0f MiB compressed)" % (
        name, known["layers"], "s" if known["layers"] > 1 else "", known["mib"])


def sizes(bench):
    """Images that go into every table about images as a whole; the largest is last."""
    return ["small", "python"] if bench.quick else ["small", "python", "large"]


def rounds(bench, name):
    return 1 if bench.quick else 3 if name == "large" else 5


# ---- import ----

def enroot_import(bench, name, options=None):
    output = bench.user.work + "/image.sqsh"
    if os.path.exists(output):
        os.unlink(output)
    sample = bench.time_user(["enroot", "import", "-o", output, bench.push(name)],
                             options=options)
    return {**sample, "image_mib": os.path.getsize(output) / 2 ** 20}


def derive(bench, base):
    """An image with one small layer on top of another image's; its name."""
    name = base + "-derived"
    path = "%s/%s" % (bench.images, name)
    if name not in bench.pushed:
        shutil.copytree(bench.layout(base), path, copy_function=os.link
                        if os.stat(bench.cache).st_dev == os.stat(bench.images).st_dev
                        else shutil.copy)
        extend(path)
        bench.pushed[name] = "docker://%s#bench/%s" % (bench.host, name)
        images.push(path, bench.host, "bench/" + name)
    return name


def extend(path):
    """Put a layer on top of the image of a layout."""
    layout = images.Layout.__new__(images.Layout)
    layout.path = path
    old = manifest(path)
    with open(images.blob_path(path, old["config"]["digest"])) as file:
        plain = json.load(file)["rootfs"]["diff_ids"]
    top = layout.layer(images.Tar().file("derived", b"text\n"))
    os.unlink(path + "/index.json")  # it may be a link to the cache's
    layout.finish(layout.manifest(list(zip(old["layers"], plain)) + [top]))


def limit_rows(bench, name, write=None):
    """The bare work of an import on all cores, and that of the disk."""
    cores = bench.results["machine"]["cores"]

    def layers():
        told = bench.limit("layers", cores, *bench.blobs(name))
        bench.results["facts"][name].update(
            {key: told[key] for key in ("hash_cpu", "inflate_cpu", "longest_layer", "bytes_out")})
        return {**told, "cpu": told["hash_cpu"] + told["inflate_cpu"]}

    found = [Row("limit: SHA-256 + inflate, %d threads" % cores, layers)]
    if write:
        mebibytes = os.path.getsize(write) // 2 ** 20 + 1
        found.append(Row("limit: write of the image to the disk",
                         lambda: bench.limit("write", mebibytes, bench.scratch + "/written"),
                         bench.clear))
    return found


def pull_rows(bench, name):
    """The peers on the way from the registry to a directory."""
    return [Row("podman pull", lambda: peers.podman_pull(bench, name), bench.clear),
            Row("skopeo copy + umoci unpack", lambda: peers.skopeo_umoci(bench, name),
                bench.clear)]


def imports(bench):
    for name in sizes(bench):
        title = facts(bench, name)
        image = bench.squashed(name)
        base = derive(bench, name)
        rows = [
            Row("enroot import", lambda: enroot_import(bench, name), bench.clear),
            Row("enroot import, blobs cached", lambda: enroot_import(bench, name)),
            Row("enroot import, one layer new, others cached",
                lambda: enroot_import(bench, base)),
            Row("enroot import, data compressed (zstd 1)",
                lambda: enroot_import(bench, name, ZSTD), bench.clear),
            Row("enroot import, nothing compressed",
                lambda: enroot_import(bench, name, PLAIN), bench.clear),
        ] + pull_rows(bench, name) + limit_rows(bench, name, image)
        bench.table("import", "Import of the " + title, rows, "enroot import",
                    rounds(bench, name))


# ---- create, load, export ----

def remove_container(bench, name):
    if os.path.exists("%s/.local/share/enroot/%s" % (bench.user.home, name)):
        bench.check(["enroot", "remove", "-f", name])
    os.sync()


def creates(bench):
    for name in sizes(bench):
        title = facts(bench, name)
        image = bench.squashed(name)
        tree = bench.user.work + "/tree"

        def unsquash(image=image, tree=tree):
            subprocess.run(["rm", "-rf", tree], check=True)
            # Attributes that only root may set would be an error.
            return bench.time_user(["unsquashfs", "-processors", "2", "-quiet", "-no-progress",
                                    "-user-xattrs", "-d", tree, image])

        bench.clear()
        bench.table("create", "Create from the " + title, [
            Row("enroot create", lambda: bench.time_user(["enroot", "create", "-n", "c", image]),
                lambda: remove_container(bench, "c")),
            Row("unsquashfs -processors 2", unsquash, os.sync),
            Row("limit: write of the content to the disk",
                lambda: bench.limit("write", os.path.getsize(image) // 2 ** 20 + 1,
                                    bench.scratch + "/written"), os.sync),
        ], "enroot create", rounds(bench, name))
        load(bench, name, title)


def load(bench, name, title):
    """A container from the registry. What the peers need for it shows the table of imports."""
    table = "Load of the " + title
    known = bench.results["tables"].get("Import of the " + title, {"rows": {}})["rows"]
    pulls = pull_rows(bench, name)
    bench.table("create", table, [Row("enroot load", lambda: bench.time_user(
        ["enroot", "load", "-n", "c", bench.push(name)]), bench.clear)]
        + [row for row in pulls if row.name not in known], "enroot load", rounds(bench, name))
    bench.results["tables"][table]["rows"].update(
        {row.name: known[row.name] for row in pulls if row.name in known})


def exports(bench):
    for name in sizes(bench):
        title = facts(bench, name)
        bench.clear()
        bench.check(["enroot", "create", "-n", "c", bench.squashed(name)])
        tree = bench.user.home + "/.local/share/enroot/c"
        output = bench.user.work + "/exported.sqsh"

        def ours(options, output=output):
            sample = bench.time_user(["enroot", "export", "-o", output, "c"], options=options)
            return {**sample, "image_mib": os.path.getsize(output) / 2 ** 20}

        def peer(options, output=output, tree=tree):
            sample = bench.time_user(["mksquashfs", tree, output, "-quiet", "-no-progress",
                                      "-all-root", *options.split()])
            return {**sample, "image_mib": os.path.getsize(output) / 2 ** 20}

        def fresh(output=output):
            subprocess.run(["rm", "-f", output], check=True)
            os.sync()

        for words, options in (("data not compressed", ZSTD + " -noD"),
                               ("data compressed (zstd 1)", ZSTD)):
            bench.table("export", "Export of the %s, %s" % (title, words), [
                Row("enroot export", lambda: ours(options), fresh),
                Row("mksquashfs, the same options", lambda: peer(options), fresh),
            ], "enroot export", rounds(bench, name))


# ---- start ----

def rootfs(bench):
    """The small image as a directory for peers, outside of what clear() empties."""
    path = bench.world.work + "/rootfs"
    if not os.path.exists(path):
        bench.output(["unsquashfs", "-quiet", "-no-progress", "-d", path,
                      bench.squashed("small")])
    return path


def starts(bench):
    """Start of /bin/true: what a start adds to fork and exec."""
    root, small = rootfs(bench), bench.squashed("small")
    count = 20 if bench.quick else 50
    bench.clear()
    for name in sizes(bench):
        bench.check(["enroot", "create", "-n", name, bench.squashed(name)])
    # "run" wants its image in the cache; a registry is asked once.
    bench.check(["enroot", "run", bench.push("small"), "/bin/true"])
    bench.attempt("podman pull", lambda: peers.podman_pull(bench, "small"))

    def command(name, *argv):
        return Row(name, lambda: bench.time_user(list(argv), count=count))

    rows = [
        command("bare fork and exec", root + "/bin/busybox", "true"),
        command("unshare -Urm", "unshare", "-Urm", root + "/bin/busybox", "true"),
        command("ch-run, directory", "ch-run", root, "--", "/bin/true"),
        command("ch-run, image file", "ch-run", small, "--", "/bin/true"),
        command("bwrap, directory", "bwrap", "--ro-bind", root, "/", "--proc", "/proc",
                "--dev", "/dev", "/bin/true"),
        Row("crun run, directory", lambda: peers.crun_run(bench, root, count)),
        Row("podman run", lambda: peers.podman_run(bench, "small", ["/bin/true"],
                                                   max(count // 10, 3))),
        command("enroot run", "enroot", "run", bench.push("small"), "/bin/true"),
    ]
    for name in sizes(bench):
        rows += [
            command("enroot start, %s container" % name, "enroot", "start", name, "/bin/true"),
            command("enroot start, %s image file" % name, "enroot", "start",
                    bench.squashed(name), "/bin/true")]
    bench.table("start", "Start of /bin/true", rows, "bare fork and exec",
                2 if bench.quick else 4, unit="ms")
    execs(bench, root, count)
    concurrent_starts(bench, root, small)


def execs(bench, root, count):
    """Another command in a container that runs."""
    with bench.running(["enroot", "start", "small"]) as process:
        bench.table("start", "A command in a running container", [
            Row("bare fork and exec", lambda: bench.time_user(
                [root + "/bin/busybox", "true"], count=count)),
            Row("enroot exec", lambda: bench.time_user(
                ["enroot", "exec", "small", "/bin/true"], count=count)),
            Row("enroot exec, by process", lambda: bench.time_user(
                ["enroot", "exec", str(process.pid), "/bin/true"], count=count)),
            Row("nsenter", lambda: bench.time_user(
                ["nsenter", "-t", str(process.pid), "-U", "-m", "--preserve-credentials",
                 "/bin/true"], count=count)),
        ], "bare fork and exec", 2 if bench.quick else 4, unit="ms")


def concurrent_starts(bench, root, small):
    """How many starts a second, when so many run at the same time."""
    abreast = (1, 8, 64, 256) if bench.quick else (1, 2, 4, 8, 16, 32, 64, 128, 256)
    ways = {
        "bare fork and exec": [root + "/bin/busybox", "true"],
        "unshare -Urm": ["unshare", "-Urm", root + "/bin/busybox", "true"],
        "bwrap, directory": ["bwrap", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
                             "/bin/true"],
        "ch-run, directory": ["ch-run", root, "--", "/bin/true"],
        "enroot start, container": ["enroot", "start", "small", "/bin/true"],
        "enroot start, image file": ["enroot", "start", small, "/bin/true"],
        "enroot exec": ["enroot", "exec", "small", "/bin/true"],
    }
    series = {}
    with bench.running(["enroot", "start", "small"]):
        for number in abreast:
            count = max(number, 32) if bench.quick else max(2 * number, 128)
            for name, argv in ways.items():
                sample = bench.attempt("%s, %d at once" % (name, number),
                                       lambda: bench.time_user(argv, count=count, abreast=number))
                if sample:
                    series.setdefault(name, []).append([number, count / sample["all"]])
    bench.add_curve("start", "Concurrent starts of /bin/true",
                    ("starts at the same time", "starts a second"), series)


# ---- inside of an image ----

def within_enroot(bench, source, *words):
    """The probe's words about the root of a container; as its root, who may read all."""
    return json.loads(bench.output(
        ["enroot", "start", "--root", "--mount", bench.probe + ":/probe:none:x-create=file,bind,ro",
         source, "/probe", *words], bench.user))


def ways_inside(bench, image, container):
    """Name → function of (mode, arguments after the directory): what the probe tells."""
    def by_mount(how):
        def tell(mode, *words):
            with (peers.mounted_below_overlay(bench, image) if how == "overlay" else
                  peers.mounted(bench, how, image)) as point:
                bench.drop_caches()
                return json.loads(bench.output([bench.probe, mode, point, *words]))
        return tell

    def by_enroot(source):
        def tell(mode, *words):
            bench.drop_caches()
            return within_enroot(bench, source, mode, "/", *words)
        return tell

    def by_ch_run(mode, *words):
        bench.drop_caches()
        return json.loads(bench.output(
            ["ch-run", "--bind", bench.tools + ":/mnt", image, "--", "/mnt/probe", mode, "/",
             *words], bench.user))

    return {
        "kernel squashfs, loop mount": by_mount("kernel"),
        "kernel squashfs below overlayfs": by_mount("overlay"),
        "squashfuse_ll": by_mount("squashfuse_ll"),
        "squashfuse": by_mount("squashfuse"),
        "ch-run, image file": by_ch_run,
        "enroot start, image file": by_enroot(image),
        "enroot start, container": by_enroot(container),
    }


def inside(bench):
    """Metadata walk, reads and readers in parallel, each cold and warm."""
    name = sizes(bench)[-1]
    title = facts(bench, name)
    for words, options in (("", None), (", data compressed (zstd 1)", ZSTD)):
        if options and bench.quick:
            break
        image = bench.squashed(name, options)
        bench.clear()
        bench.check(["enroot", "create", "-n", "c", image])
        ways = ways_inside(bench, image, "c")
        probe_tree(bench, "Metadata walk", title + words, ways, "walk")
        # They would take many minutes, and the walk has shown already what they are like.
        for slow in ("squashfuse", "ch-run, image file"):
            del ways[slow]
        probe_tree(bench, "Read of every file", title + words, ways, "read", 1)
        for readers in (8, 64) if options is None else ():
            probe_tree(bench, "Read by %d processes" % readers, title + words, ways, "read",
                       readers)


def probe_tree(bench, what, title, ways, mode, *words):
    """A cold pass and two warm ones through every way: two tables."""
    print("inside: %s, %s" % (what, title), file=sys.stderr)
    cold, warm = {}, {}
    for name, tell in ways.items():
        reap()
        told = bench.attempt(name, lambda tell=tell: tell(mode, *map(str, words), "3"))
        if not told:
            continue
        extra = {key: told[key] for key in ("entries", "files", "bytes", "denied") if key in told}
        cold[name] = {**extra, "seconds": told["seconds"][:1]}
        warm[name] = {**extra, "seconds": told["seconds"][1:]}
    for state, rows in (("cold", cold), ("warm", warm)):
        bench.add_table("inside", "%s, %s: %s" % (what, state, title), rows,
                        "kernel squashfs, loop mount")


def python(bench):
    """Start-up of Python with numpy and scipy imported: the whole command."""
    image = bench.squashed("python")
    bench.clear()
    bench.check(["enroot", "create", "-n", "python", image])
    tree = bench.user.home + "/.local/share/enroot/python"
    argv = ["/usr/bin/python3", "-c", NUMBERS]
    bench.attempt("podman pull", lambda: peers.podman_pull(bench, "python"))

    def in_mount(how):
        def run(cold):
            with peers.mounted(bench, how, image) as point:
                if cold:
                    bench.drop_caches()
                else:
                    bench.time(["chroot", point, *argv])
                return bench.time(["chroot", point, *argv])
        return run

    def command(*words, user=bench.user):
        def run(cold):
            if cold:
                bench.drop_caches()
            return bench.time([*words, *argv], user)
        return run

    def in_podman(cold):
        if cold:
            bench.drop_caches()
        return peers.podman_run(bench, "python", argv, 1)

    ways = {
        "enroot start, image file": command("enroot", "start", image),
        "enroot start, container": command("enroot", "start", "python"),
        "chroot, directory": command("chroot", tree, user=None),
        "chroot, kernel squashfs (mounted before)": in_mount("kernel"),
        "chroot, squashfuse_ll (mounted before)": in_mount("squashfuse_ll"),
        "chroot, squashfuse (mounted before)": in_mount("squashfuse"),
        "bwrap, directory": command("bwrap", "--ro-bind", tree, "/", "--proc", "/proc",
                                    "--dev", "/dev"),
        "ch-run, image file": command("ch-run", image, "--"),
        "podman run": in_podman,
    }
    for state in ("cold", "warm"):
        bench.table("python", "Python with numpy and scipy imported, " + state,
                    [Row(name, lambda run=run: run(state == "cold"))
                     for name, run in ways.items()],
                    "chroot, kernel squashfs (mounted before)", 2 if bench.quick else 4)
