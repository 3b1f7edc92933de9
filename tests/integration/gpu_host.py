"""A host with NVIDIA GPUs, as far as its files go: driver, nodes, procfs and sysfs.

What ENROOT_GPU_TEST_ROOT points to. The libraries are real ones of ELF with nothing in
them; nvidia-smi is a program that opens libcuda.so.1 as CUDA programs do; the nodes are
/dev/null under other names.
"""
import os
import platform
import shutil
import stat
import subprocess

VERSION = "999.88.77"
TRIPLET = platform.machine() + "-linux-gnu"
GPUS = (  # PCI address, UUID, minor: of the minor numbers, none is its index
    ("0000:17:00.0", "GPU-aaaaaaaa-1111-2222-3333-444444444444", 1),
    ("0000:65:00.0", "GPU-bbbbbbbb-1111-2222-3333-444444444444", 0),
    ("0000:b3:00.0", "GPU-cccccccc-1111-2222-3333-444444444444", 2),
)
LIBRARIES = {  # the name up to ".so": the end of its SONAME, or None for the driver's version
    "libcuda": "1", "libcudadebugger": "1", "libnvidia-ml": "1", "libnvidia-cfg": "1",
    "libnvidia-ptxjitcompiler": "1", "libnvidia-opencl": "1", "libnvidia-nvvm": "4",
    "libnvidia-new-thing": "1", "libnvidia-encode": "1", "libnvcuvid": "1",
    "libnvidia-opticalflow": "1", "libnvidia-glcore": None, "libGLX_nvidia": "0",
    "libnvidia-allocator": "1", "libnvidia-ngx": "1", "libnvidia-gtk3": None,
}
OTHER_LIBRARIES = ("libGL", "libOpenCL")  # of the host, and never injected

SMI = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <fcntl.h>

int main(void)
{
        void *cuda = dlopen("libcuda.so.1", RTLD_NOW);
        int (*version)(void) = cuda ? (int (*)(void))dlsym(cuda, "driver_version") : NULL;

        if (!version) {
                printf("no libcuda: %s\n", dlerror());
                return 1;
        }
        printf("driver %d, nvidiactl %s\n", version(),
               open("/dev/nvidiactl", O_RDWR) < 0 ? "missing" : "open");
        return 0;
}
"""


def compile_library(path, soname, source="int driver_version(void) { return %s; }\n" %
                    VERSION.split(".", maxsplit=1)[0]):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["gcc", "-shared", "-nostdlib", "-fPIC", "-x", "c", "-", "-o", path,
                    "-Wl,-soname," + soname], input=source.encode(), check=True)


def write(path, text=""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def node(path):
    """One that can be opened: /dev/null by another name."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.chmod(path, 0o666)


def make_driver(root):
    """What a driver installs, as on Debian."""
    libraries = "%s/usr/lib/%s/" % (root, TRIPLET)
    for name, end in LIBRARIES.items():
        file = "%s.so.%s" % (name, VERSION)
        compile_library(libraries + file, "%s.so.%s" % (name, end) if end else file)
    for name in OTHER_LIBRARIES:
        compile_library("%s%s.so.1.7.0" % (libraries, name), name + ".so.1")
    write(root + "/etc/ld.so.conf", "/usr/lib/%s\n" % TRIPLET)
    subprocess.run(["ldconfig", "-r", root], check=True)
    os.makedirs(root + "/usr/bin", exist_ok=True)
    subprocess.run(["gcc", "-x", "c", "-", "-o", root + "/usr/bin/nvidia-smi", "-ldl"],
                   input=SMI.encode(), check=True)
    write("%s/lib/firmware/nvidia/%s/gsp_ga10x.bin" % (root, VERSION), "firmware\n")
    write(root + "/etc/glvnd/egl_vendor.d/10_nvidia.json", "{}\n")
    write(root + "/usr/share/vulkan/icd.d/nvidia_icd.json", "{}\n")


def make_proc(root):
    base = root + "/proc/driver/nvidia/"
    write(base + "version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Thu\n" % VERSION)
    write(base + "params", "ResmanDebugLevel: 4294967295\nModifyDeviceFiles: 1\n")
    write(base + "registry", "Binary: \"\"\n")
    for address, uuid, minor in GPUS:
        write("%sgpus/%s/information" % (base, address),
              "Model: \t\t NVIDIA Fake\nIRQ:   \t\t 42\nGPU UUID: \t %s\nBus Type: \t PCIe\n"
              "Bus Location: \t %s\nDevice Minor: \t %d\nGPU Excluded:\t No\n" % (
                  uuid, address, minor))


def make_nodes(root):
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"):
        node(root + "/dev/" + name)
    for index, (address, _, minor) in enumerate(GPUS):
        node("%s/dev/nvidia%d" % (root, minor))
        for name in ("card%d" % index, "renderD%d" % (128 + index)):
            node("%s/dev/dri/%s" % (root, name))
            os.makedirs("%s/sys/bus/pci/devices/%s/drm/%s" % (root, address, name))
        write("%s/sys/bus/pci/devices/%s/vendor" % (root, address), "0x10de\n")
        write("%s/sys/bus/pci/devices/%s/class" % (root, address), "0x030200\n")


def make(root):
    """A whole host. Its driver's files lie where those of a Debian host do."""
    shutil.rmtree(root, ignore_errors=True)
    make_driver(root)
    make_proc(root)
    make_nodes(root)
    subprocess.run(["chmod", "-R", "a+rX", root], check=True)
