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


class TestProc(GpuCase):
    def test_nvml_makes_no_nodes(self):
        """disable-device-node-modification: ModifyDeviceFiles is 0 in a copy of params."""
        for target in self.targets():
            self.assertEqual(self.output(target, "grep", "Modify", "/proc/driver/nvidia/params"),
                             "ModifyDeviceFiles: 0\n")
        with open("/proc/driver/nvidia/params", encoding="ascii") as file:
            self.assertIn("ModifyDeviceFiles: 1\n", file.read())

    def test_only_the_gpus_that_were_asked_for(self):
        for target in self.targets():
            for devices, addresses in (("1", ["0000:65:00.0"]),
                                       ("2,0000:17:00.0", ["0000:17:00.0", "0000:b3:00.0"]),
                                       (gpu_host.GPUS[0][1], ["0000:17:00.0"])):
                result = self.enroot("start", target, "ls", "/proc/driver/nvidia/gpus",
                                     env={"NVIDIA_VISIBLE_DEVICES": devices})
                self.assertEqual((result.out.split(), result.err), (addresses, ""))


class TestLinker(GpuCase):
    def test_the_container_s_own_ldconfig_sees_the_libraries(self):
        """What scripts inside ask: ldconfig -p."""
        if not os.path.exists("/sbin/ldconfig"):
            self.skipTest("no ldconfig to put into the image")
        for target in self.targets():
            out = self.output("-m", "/sbin/ldconfig:/ldconfig:none:x-create=file,bind", target,
                              "/ldconfig", "-p")
            self.assertIn("=> %s/libcuda.so.1\n" % LIBRARY_DIRS["debian"], out)
            self.assertIn("libc.so.6", out)

    def test_the_image_is_not_changed(self):
        """The cache is a file in memory over the image's."""
        next(iter(self.targets()))
        with open(self.data_path("debian/etc/ld.so.cache"), "rb") as file:
            before = file.read()
        self.output("debian", "nvidia-smi")
        with open(self.data_path("debian/etc/ld.so.cache"), "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertEqual(self.output("debian", "sh", "-c", "ls /proc/driver/nvidia; true", env={
            "NVIDIA_VISIBLE_DEVICES": "void"}).count("params"), 1)

    def test_an_older_driver_inside(self):
        """A container that was started with another driver, and one with files in the way."""
        next(iter(self.targets()))
        directory = self.data_path("debian" + LIBRARY_DIRS["debian"])
        for name, text in (("libcuda.so.470.1", ""), ("libnvidia-ml.so.1", "of the image")):
            gpu_host.write("%s/%s" % (directory, name), text)
        os.symlink("libcuda.so.470.1", directory + "/libcuda.so.1")
        subprocess.run(["chown", "-Rh", self.user.name, directory], check=True)
        self.assertEqual(self.output("debian", "nvidia-smi"), "driver 999, nvidiactl open\n")
        self.assertEqual(os.readlink(directory + "/libcuda.so.1"), "libcuda.so." + gpu_host.VERSION)
        with open(directory + "/libnvidia-ml.so.1", encoding="ascii") as file:
            self.assertEqual(file.read(), "of the image")


class TestHostile(GpuCase):
    def test_links_at_every_target_lead_nowhere_else(self):
        """CVE-2024-0132, CVE-2025-23267: what is injected stays below the rootfs."""
        outside = self.user.work + "/outside"
        for absolute in (outside, "../../../../../../../.." + outside):
            for what in ("files", "directories"):
                os.makedirs(outside, exist_ok=True)
                os.chmod(outside, 0o777)
                self.enroot("create", "--force", "--name", "hostile", self.image("debian"))
                root = self.data_path("hostile")
                if what == "files":
                    targets = ["usr/bin/nvidia-smi", "etc/ld.so.cache"]
                    targets += ["usr/lib/%s/%s.so.%s" % (gpu_host.TRIPLET, name, gpu_host.VERSION)
                                for name in gpu_host.LIBRARIES]
                    targets += ["usr/lib/%s/%s.so.1" % (gpu_host.TRIPLET, name)
                                for name in ("libcuda", "libnvidia-ml")]
                else:
                    targets = ["usr/lib/firmware", "run", "etc/nvidia", "usr/lib64/nvidia"]
                for target in targets:
                    path = "%s/%s" % (root, target)
                    subprocess.run(["rm", "-rf", path], check=True)
                    os.symlink("%s/%s" % (absolute, os.path.basename(target)), path)
                self.run_command("enroot", "start", "hostile", "nvidia-smi")
                self.assertEqual(harness.files_below(outside), [])
                self.assertEqual(os.listdir(outside), [])
                self.assertEqual(os.readlink("%s/%s" % (root, targets[0])), "%s/%s" % (
                    absolute, os.path.basename(targets[0])))


class TestDiagnosis(GpuCase):
    def test_one_line_says_why_a_gpu_is_not_usable(self):
        target = next(iter(self.targets()))
        host = self.host_copy()
        for env, says in (
                ({"NVIDIA_VISIBLE_DEVICES": "7"}, "unknown device: 7"),
                ({"NVIDIA_DRIVER_CAPABILITIES": "gpu"}, "unknown driver capability: gpu"),
                ({"NVIDIA_REQUIRE_CUDA": "driver>=1000"},
                 "requirement error: unsatisfied condition: driver>=1000, please update your "
                 "driver.*NVIDIA_DISABLE_REQUIRE"),
                ({"NVIDIA_REQUIRE_CUDA": "frob"}, "NVIDIA_REQUIRE_CUDA: invalid expression")):
            self.refused("start", target, "true", env=env, says=says)
        self.output(target, "true", env={"NVIDIA_REQUIRE_CUDA": "driver>=1000",
                                         "NVIDIA_DISABLE_REQUIRE": "1"})
        for path, says in (("/dev/nvidiactl", "/dev/nvidiactl is missing"),
                           ("/usr/lib/%s/libcuda.so.%s" % (gpu_host.TRIPLET, gpu_host.VERSION),
                            "libcuda.so"),
                           ("/proc/driver/nvidia", "the NVIDIA driver is not loaded")):
            os.rename(host + path, host + "/away")
            self.refused("start", target, "true", says=says)
            os.rename(host + "/away", host + path)
        result = self.enroot("start", target, "true", env={"NVIDIA_DRIVER_CAPABILITIES": None,
                                                           "CUDA_VERSION": None})
        self.assertEqual(result.err, "")
        result = self.enroot("start", "-e", "CUDA_VERSION=12.4", target, "true",
                             env={"NVIDIA_DRIVER_CAPABILITIES": None})
        self.assertIn("NVIDIA_DRIVER_CAPABILITIES does not have compute", result.err)

    def test_a_node_that_is_not_permitted(self):
        target = next(iter(self.targets()))
        host = self.host_copy()
        os.chmod(host + "/dev/nvidia1", 0o600)
        self.refused("start", target, "true", env={"NVIDIA_VISIBLE_DEVICES": gpu_host.GPUS[0][1]},
                     says="/dev/nvidia1 cannot be opened: Permission denied")
        self.assertEqual(self.output(target, "sh", "-c", "ls -d /dev/nvidia[0-9]",
                                     env={"NVIDIA_VISIBLE_DEVICES": "0"}), "/dev/nvidia0\n")
        for number in (0, 2):
            os.chmod("%s/dev/nvidia%d" % (host, number), 0o600)
        result = self.enroot("start", target, "true")
        self.assertIn("no GPU can be used: /dev/nvidia2: Permission denied", result.err)

    def test_a_site_s_own_hook_replaces_it(self):
        hooks = self.user.home + "/.config/enroot/hooks.d"
        gpu_host.write(hooks + "/98-nvidia.sh",
                       "#!/bin/sh\necho REPLACED=yes >>$ENROOT_ENVIRON\n")
        os.chmod(hooks + "/98-nvidia.sh", 0o755)
        for target in self.targets():
            out = self.output(target, "sh", "-c", "echo $REPLACED; ls /dev")
            self.assertTrue(out.startswith("yes\n"), out)
            self.assertNotIn("nvidiactl", out)
