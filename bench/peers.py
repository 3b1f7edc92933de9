"""How the peers are called that need more than a command line."""
import contextlib
import json
import os
import subprocess

from bench import Missing, together

# podman and crun ask for it; a mount namespace keeps it away from the others.
CGROUP2 = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec "$@"
"""


def time_with_cgroup2(bench, count, argv, user=None):
    """As Bench.time, but in a mount namespace of its own, whose making is not timed."""
    switch = ["setpriv", "--reuid", str(user.uid), "--regid", str(user.gid),
              "--clear-groups"] if user else []
    return bench.time(argv, count=count, within=[
        "unshare", "--mount", "--propagation", "private", "sh", "-euc", CGROUP2, "sh", *switch])


def podman(bench, *words):
    """podman as root, which is its fastest way, with a store in the scratch directory."""
    return ["podman", "--root", bench.scratch + "/podman/root",
            "--runroot", bench.scratch + "/podman/run", "--storage-driver", "overlay", *words]


def podman_pull(bench, name):
    reference = bench.push(name)[len("docker://"):].replace("#", "/")
    return time_with_cgroup2(bench, 1, podman(bench, "pull", "--quiet", "--tls-verify=false",
                                              reference))


def podman_run(bench, name, command, count):
    """Starts of an image that was pulled before."""
    reference = bench.push(name)[len("docker://"):].replace("#", "/")
    return time_with_cgroup2(bench, count, podman(
        bench, "run", "--rm", "--cgroups=disabled", "--net=host", "--ulimit", "nofile=1024:1024",
        "--ulimit", "nproc=1024:1024", reference, *command))


def skopeo_umoci(bench, name):
    reference = bench.push(name).replace("#", "/")
    layout = bench.scratch + "/layout:latest"
    return together(
        bench.time(["skopeo", "copy", "--quiet", "--src-tls-verify=false", reference,
                    "oci:" + layout]),
        bench.time(["umoci", "unpack", "--image", layout, bench.scratch + "/bundle"]))


def crun_run(bench, rootfs, count):
    """Starts of /bin/true in a bundle, by the user."""
    bench.need("crun")
    bundle = bench.user.work + "/bundle"
    if not os.path.exists(bundle):
        os.mkdir(bundle)
        os.chown(bundle, bench.user.uid, bench.user.gid)
        subprocess.run(["crun", "spec", "--rootless"], cwd=bundle, check=True)
        path = bundle + "/config.json"
        with open(path) as file:
            spec = json.load(file)
        spec["process"].update(args=["/bin/true"], terminal=False)
        spec["root"] = {"path": rootfs, "readonly": True}
        spec["mounts"] = [mount for mount in spec["mounts"] if mount["type"] != "cgroup"]
        spec["linux"].pop("resources", None)
        with open(path, "w") as file:
            json.dump(spec, file)
    return time_with_cgroup2(bench, count, [
        "crun", "--root", bench.user.run + "/crun", "--cgroup-manager=disabled", "run",
        "--bundle", bundle, "bench"], bench.user)


@contextlib.contextmanager
def mounted(bench, how, image):
    """An image mounted by the kernel, squashfuse or squashfuse_ll; yields the directory."""
    point = bench.scratch + "/mounted"
    os.makedirs(point, exist_ok=True)
    if how == "kernel":
        bench.output(["mount", "-t", "squashfs", "-o", "loop,ro", image, point])
    else:
        bench.output([how, "-o", "ro", image, point])
    try:
        if not os.path.ismount(point):
            raise Missing("%s mounts nothing" % how)
        yield point
    finally:
        subprocess.run(["umount", point], check=False)


@contextlib.contextmanager
def mounted_below_overlay(bench, image):
    """An image mounted by the kernel, below a layer for changes as a start has it."""
    point = bench.scratch + "/overlay"
    with mounted(bench, "kernel", image) as lower:
        os.makedirs(point, exist_ok=True)
        bench.output(["mount", "-t", "tmpfs", "tmpfs", point])
        try:
            for name in ("upper", "work", "root"):
                os.mkdir("%s/%s" % (point, name))
            bench.output(["mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s" % (
                lower, point + "/upper", point + "/work"), "overlay", point + "/root"])
            yield point + "/root"
        finally:
            subprocess.run(["umount", point + "/root", point], check=False)
