"""gpu: NVIDIA GPUs in containers, on a host that has them as far as its files go."""
import os
import shutil
import subprocess

import gpu_host
import harness
from test_dry_run import section

ALL = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
SHAPES = ("debian", "rhel", "alpine")
LIBRARY_DIRS = {"debian": "/usr/lib/" + gpu_host.TRIPLET, "rhel": "/usr/lib64",
                "alpine": "/usr/lib64"}
LOADER = "/lib64/ld-linux-x86-64.so.2" if os.path.exists("/lib64/ld-linux-x86-64.so.2") \
    else "/lib/ld-linux-aarch64.so.1"


def make_root(root, shape):
    """A small root as the distribution shapes it; those with glibc can run nvidia-smi."""
    for directory in ("usr/bin", "usr/lib", "etc", "proc", "sys", "dev", "tmp", "var", "run"):
        os.makedirs("%s/%s" % (root, directory))
    os.symlink("/run", root + "/var/run")
    os.symlink("usr/bin", root + "/bin")
    os.symlink("usr/lib", root + "/lib")
    shutil.copy("/bin/busybox", root + "/usr/bin/busybox")
    for applet in ("sh", "cat", "ls", "env", "stat", "true", "wc", "touch", "readlink", "grep"):
        os.symlink("busybox", root + "/usr/bin/" + applet)
    if shape == "alpine":
        return
    libraries = root + LIBRARY_DIRS[shape]
    os.makedirs(libraries, exist_ok=True)
    os.makedirs(root + "/usr/lib64", exist_ok=True)
    os.symlink("usr/lib64", root + "/lib64")
    shutil.copy("/lib/%s/libc.so.6" % gpu_host.TRIPLET, libraries)
    os.makedirs(root + os.path.dirname(LOADER), exist_ok=True)
    shutil.copy(LOADER, root + LOADER)
    if shape == "debian":
        gpu_host.write(root + "/etc/debian_version", "12.0\n")
    gpu_host.write(root + "/etc/ld.so.conf", LIBRARY_DIRS[shape] + "\n")
    subprocess.run(["ldconfig", "-r", root], check=True)


class GpuCase(harness.Case):
    """A host with GPUs that the user's environment asks for, and images of three shapes."""

    def setUp(self):
        super().setUp()
        self.base = harness.world.work + "/gpu"
        self.host = self.base + "/host"
        if not os.path.exists(self.host):
            gpu_host.make(self.host)
        self.env.update(ALL, ENROOT_GPU_TEST_ROOT=self.host, ENROOT_RESTRICT_DEV="yes",
                        PATH="%s:/usr/bin:/bin:/usr/sbin:/sbin" % harness.world.bin)

        # The kernel's own /proc has no such directory here, and the container sees that one.
        # Only for the test: no process id namespace may mount a /proc that is covered in part.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/proc/driver"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/proc/driver"], check=True)
        shutil.copytree(self.host + "/proc/driver/nvidia", "/proc/driver/nvidia")

    def image(self, shape):
        path = "%s/%s.sqsh" % (self.base, shape)
        if not os.path.exists(path):
            make_root("%s/%s" % (self.base, shape), shape)
            subprocess.run(["mksquashfs", "%s/%s" % (self.base, shape), path, "-quiet",
                            "-no-progress", "-all-root"], check=True, stdout=subprocess.DEVNULL)
            os.chmod(path, 0o644)
        return path

    def targets(self, shape="debian"):
        """A container and an image file: both must have the same GPUs."""
        self.enroot("create", "--force", "--name", shape, self.image(shape))
        yield shape
        yield self.image(shape)

    def output(self, *arguments, **options):
        return self.enroot("start", *arguments, **options).out

    def host_copy(self):
        """A host that this test may change."""
        self.host = self.user.work + "/host"
        subprocess.run(["cp", "-a", self.base + "/host", self.host], check=True)
        self.env["ENROOT_GPU_TEST_ROOT"] = self.host
        return self.host


class TestInside(GpuCase):
    def test_scenario_3_nvidia_smi_runs_and_opens_libcuda(self):
        """Scenario 3: the host's driver and GPU are visible inside, nothing else is needed."""
        for shape in ("debian", "rhel"):
            for target in self.targets(shape):
                self.assertEqual(self.output(target, "nvidia-smi"),
                                 "driver 999, nvidiactl open\n")

    def test_every_kind_of_file_is_there(self):
        for shape in SHAPES:
            directory = LIBRARY_DIRS[shape]
            for target in self.targets(shape):
                result = self.enroot("start", target, "ls", directory, "/dev", "/usr/bin")
                self.assertEqual(result.err, "")
                names = result.out.split()
                for name in ("libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1",
                             "libcuda.so." + gpu_host.VERSION, "libnvidia-new-thing.so.1",
                             "nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia2",
                             "nvidia-smi"):
                    self.assertIn(name, names)
                for name in ("libGL.so.1", "libOpenCL.so.1", "libnvidia-encode.so.1",
                             "libnvidia-gtk3.so." + gpu_host.VERSION, "nvidia-modeset"):
                    self.assertNotIn(name, names)
                self.assertEqual(self.output(target, "cat", "/lib/firmware/nvidia/%s/gsp_ga10x.bin"
                                             % gpu_host.VERSION), "firmware\n")

    def test_nothing_is_asked_for(self):
        for value in (None, "", "void"):
            for target in self.targets():
                self.assertNotIn("nvidia", self.output(target, "ls", "/dev", "/usr/bin", env={
                    "NVIDIA_VISIBLE_DEVICES": value}))

    def test_the_container_asks_and_the_host_has_the_last_word(self):
        for target in self.targets():
            for host, inside, expected in ((None, "0", ["nvidia1"]), ("1", "0", ["nvidia0"]),
                                           ("void", "all", [])):
                out = self.output("-e", "NVIDIA_VISIBLE_DEVICES=" + inside, target, "ls", "/dev",
                                  env={"NVIDIA_VISIBLE_DEVICES": host})
                self.assertEqual([name for name in out.split()
                                  if name.startswith("nvidia") and name[6:].isdigit()], expected)


class TestCgroups(GpuCase):
    def test_scenario_5_device_cgroups_are_never_written(self):
        """Scenario 5: where the classic hook stops with "failed to add device rules: write
        …/devices.allow: operation not permitted"."""
        cgroup = self.user.work + "/cgroup"
        gpu_host.write(cgroup + "/devices.allow")
        gpu_host.write(cgroup + "/devices.deny")
        script = ("set -e; mount -t tmpfs tmpfs /sys/fs/cgroup; mkdir /sys/fs/cgroup/devices; "
                  "mount --bind %s /sys/fs/cgroup/devices; "
                  "mount -o remount,ro,bind /sys/fs/cgroup/devices; "
                  "exec setpriv --reuid=%d --regid=%d --clear-groups strace -f -o %s "
                  "-e trace=openat,open,creat,openat2,write,bpf "
                  "enroot start debian nvidia-smi" % (
                      cgroup, self.user.uid, self.user.gid, self.user.work + "/trace"))
        next(iter(self.targets()))
        if not shutil.which("strace"):
            script = script.replace(script[script.index("strace"):script.index("enroot start")], "")
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL,
            env={**self.user.environment(), **self.env}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.assertEqual(result.stdout, b"driver 999, nvidiactl open\n", result.stderr)
        if os.path.exists(self.user.work + "/trace"):
            with open(self.user.work + "/trace", errors="replace") as trace:
                for line in trace:
                    self.assertFalse("cgroup" in line and ("O_WRONLY" in line or "O_RDWR" in line),
                                     line)
                    self.assertNotIn("bpf(", line)
        self.assertEqual(os.path.getsize(cgroup + "/devices.allow"), 0)


class TestDryRun(GpuCase):
    def test_the_plan_shows_everything(self):
        for target in self.targets():
            hooks = section(self.output("--dry-run", target, "true"), "hooks")
            lines = "\n".join(hooks[hooks.index("98-nvidia.sh"):])
            for words in ("/dev/nvidiactl /dev/nvidiactl none ", "memory:",
                          "/etc/ld.so.cache none", "link /usr/lib/%s/libcuda.so.1 to libcuda.so.%s"
                          % (gpu_host.TRIPLET, gpu_host.VERSION), "/usr/bin/nvidia-smi none"):
                self.assertIn(words, lines)
