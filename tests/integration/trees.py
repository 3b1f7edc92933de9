"""Directory trees as values that can be compared path by path."""
import collections
import contextlib
import errno
import hashlib
import os
import stat
import subprocess

# Written by import (enroot-import(1)); no other tool makes these.
ADDED = {b"etc/rc", b"etc/rc.local", b"etc/fstab", b"etc/environment", b"etc/enroot-image.json"}

Node = collections.namedtuple(
    "Node", "kind mode uid gid size mtime content target xattrs names")


def scan(root):
    """Map each path below root (bytes, "" for the root itself) to its Node.

    Device nodes are left out, as import does. names is the set of all names of a
    file with several; times of directories and links are not part of a layer's
    meaning for all tools, and read as None.
    """
    found, inodes = {}, collections.defaultdict(set)
    prefix = os.fsencode(root)
    for base, directories, files, base_fd in os.fwalk(prefix):
        base = os.path.relpath(base, prefix) + b"/" if base != prefix else b""
        for name in directories + files:
            status = os.lstat(name, dir_fd=base_fd)
            if not stat.S_ISBLK(status.st_mode) and not stat.S_ISCHR(status.st_mode):
                identity = status.st_dev, status.st_ino
                inodes[identity].add(base + name)
                # Not the whole path, which may be longer than a system call takes.
                short = b"/proc/self/fd/%d/%s" % (base_fd, name)
                found[base + name] = identity, node(short, status)
    nodes = {path: it._replace(names=frozenset(inodes[identity]))
             if it.kind == "-" and len(inodes[identity]) > 1 else it
             for path, (identity, it) in found.items()}
    nodes[b""] = node(prefix, os.lstat(prefix))
    return nodes


def node(path, status):
    regular = stat.S_ISREG(status.st_mode)
    link = stat.S_ISLNK(status.st_mode)
    return Node(
        kind=stat.filemode(status.st_mode)[0],
        mode=None if link else stat.S_IMODE(status.st_mode),
        uid=status.st_uid, gid=status.st_gid,
        size=status.st_size if regular else None,
        mtime=int(status.st_mtime) if regular else None,
        content=content_digest(path) if regular else None,
        target=os.readlink(path) if link else None,
        xattrs=attributes(path),
        names=None)


def attributes(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:  # a squashfs image without any attribute
            raise
        names = []
    return tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names
                        if not name.startswith(("trusted.", "security.selinux"))))


def content_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def differences(left, right, ignored=ADDED, limit=40):
    """Lines that say where two scans differ; empty when they agree."""
    lines = []
    for path in sorted(left.keys() | right.keys()):
        if path in ignored:
            continue
        one, two = left.get(path), right.get(path)
        name = path.decode("utf-8", "backslashreplace")[-200:] or "/"
        if one is None or two is None:
            lines.append("%s: only on the %s" % (name, "right" if one is None else "left"))
            continue
        for field, a, b in zip(Node._fields, one, two):
            if field == "names" and a and b:
                a, b = a - ignored, b - ignored
            if a != b:
                lines.append("%s: %s %r, %r" % (name, field, a, b))
    return lines[:limit] + (["… and %d more" % (len(lines) - limit)] if len(lines) > limit else [])


@contextlib.contextmanager
def mounted(image, work):
    """The tree of a squashfs image: mounted by the kernel, or extracted where that fails."""
    point = work + "/mounted"
    os.mkdir(point)
    mount = subprocess.run(["mount", "-t", "squashfs", "-o", "loop,ro", image, point],
                           stderr=subprocess.DEVNULL)
    try:
        if mount.returncode == 0:
            yield point
        else:
            subprocess.run(["unsquashfs", "-quiet", "-no-progress", "-d", point, "-f", image],
                           check=True, stdout=subprocess.DEVNULL)
            yield point
    finally:
        if mount.returncode == 0:
            subprocess.run(["umount", point], check=True)
        subprocess.run(["rm", "-rf", "--one-file-system", point], check=True)


@contextlib.contextmanager
def unpacked_by_umoci(layout, work):
    bundle = work + "/umoci"
    try:
        subprocess.run(["umoci", "unpack", "--image", layout + ":latest", bundle], check=True,
                       stderr=subprocess.DEVNULL)
        yield bundle + "/rootfs"
    finally:
        subprocess.run(["rm", "-rf", bundle], check=True)


# podman wants a cgroup2 hierarchy, and its state on a file system that overlayfs can use.
PODMAN = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup
store="--root $1/podman/root --runroot $1/podman/run --storage-driver overlay"
podman $store pull --quiet --tls-verify=false "$2" >/dev/null
point=$(podman $store image mount "$2")
echo "$point"
cat  # until the caller has seen enough
podman $store image unmount "$2" >/dev/null
"""


@contextlib.contextmanager
def mounted_by_podman(reference, work):
    """The tree that podman makes of an image of a plain registry.

    The mount lives in a mount namespace of its own; the caller sees it through
    that namespace's root directory.
    """
    os.mkdir(work + "/podman")
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-euc", PODMAN, "sh", work,
         reference], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        point = process.stdout.readline().decode().strip()
        if not point:
            raise RuntimeError("podman cannot mount " + reference)
        yield "/proc/%d/root%s" % (process.pid, point)
    finally:
        process.stdin.close()
        process.wait()
        subprocess.run(["rm", "-rf", work + "/podman"], check=True)
