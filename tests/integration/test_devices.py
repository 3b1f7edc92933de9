"""CDI, AMD and InfiniBand devices with fake devices and fake sysfs, as an ordinary user."""
import json
import os
import shutil
import subprocess

import gpu_host
import harness
import trees
from test_dry_run import section
from test_environment import SettingsCase
from test_gpu import make_root
from test_hooks import library_path

SPEC = {
    "cdiVersion": "0.6.0",
    "kind": "acme.com/gpu",
    "containerEdits": {"env": ["ACME=yes"]},
    "devices": [
        {"name": "0", "containerEdits": {"deviceNodes": [
            {"path": "/dev/acme0", "hostPath": "/dev/null"}]}},
        {"name": "1", "containerEdits": {"env": ["ACME=one"], "deviceNodes": [
            {"path": "/dev/acme1", "hostPath": "/dev/zero"}]}},
    ],
}

# An OCI runtime that keeps the configuration that an engine gives it.
KEEPER = """#!/bin/sh
while [ $# -gt 0 ]; do
        [ "$1" = --bundle ] && cp "$2/config.json" "${0%/*}/config.json"
        shift
done
exit 1
"""

# What reads the state of a container, and lists the rootfs of the bundle that it names.
OCI_HOOK = r"""#!/bin/sh
exec > "$OUT"
state=$(cat)
echo "$0 $1"
echo $state
bundle=$(echo "$state" | sed -n 's/.*"bundle": "\(.*\)".*/\1/p')
ls "$(sed -n 's/.*"path": "\(.*\)".*/\1/p' "$bundle/config.json")"
"""


class DevicesCase(SettingsCase):
    """A root of its own for everything that is looked for on the host."""

    def setUp(self):
        super().setUp()
        self.root = harness.world.work + "/devices-root"
        if os.path.exists(self.root):
            shutil.rmtree(self.root)
        os.mkdir(self.root)
        self.env["ENROOT_GPU_TEST_ROOT"] = self.root

    def file(self, path, text=""):
        """A file below the fake root."""
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def spec(self, name, content, directory="/etc/cdi"):
        text = content if isinstance(content, str) else json.dumps(content)
        return self.file("%s/%s" % (directory, name), text)


class TestCdi(DevicesCase):
    def test_devices_of_the_command_line(self):
        """--device vendor/class=name, repeatable; the file's edits and the devices'."""
        self.spec("acme.json", SPEC)
        for target in (self.container(), harness.world.library.squashed("alpine")):
            out = self.output(
                "--device", "acme.com/gpu=0", "--device=acme.com/gpu=1", target, "sh", "-c",
                "echo $ACME; test -c /dev/acme0 && head -c 3 /dev/acme1 | wc -c")
            self.assertEqual(out.split(), ["one", "3"])
            plan = self.output("--dry-run", "--device", "acme.com/gpu=0", target)
            mounts = [line for line in section(plan, "hooks")
                      if line.startswith("mount /dev/null /dev/acme0 ")]
            self.assertTrue(mounts[0].endswith("/etc/cdi/acme.json"), mounts)

    def test_nothing_is_done_when_nothing_is_asked_for(self):
        self.spec("broken.json", "{")
        result = self.enroot("start", self.container(), "ls", "/dev/")
        self.assertNotIn("acme0", result.out)
        self.assertEqual(result.err, "")

    def test_settings_name_devices_too(self):
        """ENROOT_DEVICES in environment, enroot.conf, a start configuration; batch --device."""
        self.spec("acme.json", SPEC)
        target = self.container()
        for value in ("acme.com/gpu=0", "acme.com/gpu=0,acme.com/gpu=1"):
            found = self.environment(target, env={"ENROOT_DEVICES": value})
            self.assertEqual(found["ACME"], "one" if value.endswith("1") else "yes")
        self.env["ENROOT_LIBRARY_PATH"] = library_path()
        conf = self.write(self.user.work + "/conf",
                          "#ENROOT_ROOTFS=%s\n#ENROOT_DEVICES=acme.com/gpu=0\n" % target)
        self.assertIn("ACME=yes", self.enroot("batch", conf, "env").out)
        out = self.enroot("batch", "--device", "acme.com/gpu=1", conf, "env").out
        self.assertIn("ACME=one", out)
        self.system_file("enroot.conf.d/devices.conf", "ENROOT_DEVICES acme.com/gpu=1\n")
        self.assertEqual(self.environment(target)["ACME"], "one")

    def test_qualified_names_in_nvidia_visible_devices(self):
        """They are CDI devices, and the native injection (no driver is here) does not happen."""
        self.spec("acme.json", SPEC)
        target = self.container()
        self.refused("start", target, "true", env={"NVIDIA_VISIBLE_DEVICES": "all"}, says="driver")
        found = self.environment(target, env={
            "NVIDIA_VISIBLE_DEVICES": "acme.com/gpu=0,acme.com/gpu=1"})
        self.assertEqual((found["ACME"], found["NVIDIA_VISIBLE_DEVICES"]), ("one", "void"))
        self.refused("start", target, "true", env={"NVIDIA_VISIBLE_DEVICES": "0,acme.com/gpu=1"},
                     says="NVIDIA_VISIBLE_DEVICES: 0 is not the name of a CDI device")

    def test_devices_of_nvidia_replace_the_native_injection(self):
        """Those of others do not: an image may ask for all GPUs all the same."""
        for kind, native in (("nvidia.com/gpu", False), ("acme.com/widget", True)):
            self.spec("acme.json", {**SPEC, "kind": kind})
            options = ["start", "--device", kind + "=0", "--env", "NVIDIA_VISIBLE_DEVICES=all",
                       self.container(name=kind.split("/")[1]), "sh", "-c",
                       "echo $NVIDIA_VISIBLE_DEVICES"]
            if native:
                self.refused(*options, says="driver")
            else:
                self.assertEqual(self.enroot(*options).out, "void\n")

    def test_an_image_cannot_name_devices_by_settings_or_annotations(self):
        """CDI annotation smuggling: of an image's words, only NVIDIA_VISIBLE_DEVICES counts."""
        self.spec("acme.json", {**SPEC, "annotations": {"cdi.k8s.io/acme": "acme.com/gpu=1"}})
        target = self.container()
        self.write(self.data_path(target, "etc/environment"),
                   "ENROOT_DEVICES=acme.com/gpu=0\ncdi.k8s.io/acme=acme.com/gpu=0\n")
        self.assertNotIn("ACME", self.environment(target))
        self.assertEqual(self.environment("--device=acme.com/gpu=0", target)["ACME"], "yes")

    def test_yaml_and_the_order_of_directories(self):
        """/var/run/cdi counts more than /etc/cdi; *.yaml as *.json; names may be numbers."""
        self.spec("acme.json", SPEC)
        self.spec("acme.yaml", "cdiVersion: 0.5.0\nkind: acme.com/gpu\ndevices:\n- name: 0\n"
                  "  containerEdits:\n    env: [FROM=yaml]\n", "/var/run/cdi")
        found = self.environment("--device", "acme.com/gpu=0", self.container())
        self.assertEqual(found["FROM"], "yaml")
        self.assertNotIn("ACME", found)

    def test_unresolvable_devices_are_named_and_nothing_is_injected(self):
        """Unknown devices, conflicts, broken files, stale files, names that are none."""
        target = self.container()
        before = trees.scan(self.data_path(target))
        acme = self.spec("acme.json", SPEC)
        self.refused("start", "--device=acme.com/gpu=0", "--device=acme.com/gpu=8",
                     "--device=b.com/c=d", target, "true",
                     says="unresolvable CDI devices acme.com/gpu=8, b.com/c=d ")
        broken = self.spec("broken.yaml", "a: [")
        self.refused("start", "--device=acme.com/gpu=8", target, "true",
                     says="acme.com/gpu=8; %s: not valid YAML" % broken)
        self.enroot("start", "--device=acme.com/gpu=0", target, "true")
        again = self.spec("again.json", SPEC)
        self.refused("start", "--device=acme.com/gpu=0", target, "true",
                     says=r"\(both %s and %s describe it" % (acme, again))
        self.spec("again.json", {"cdiVersion": "0.6.0", "kind": "acme.com/old", "devices": [
            {"name": "0", "containerEdits": {"mounts": [
                {"hostPath": "/usr/lib/libold.so.1", "containerPath": "/usr/lib/libold.so.1"}]}}]})
        self.refused("start", "--device=acme.com/gpu=0", "--device=acme.com/old=0", target, "true",
                     says="again.json names /usr/lib/libold.so.1, .*stale")
        self.refused("start", "--device=/dev/null", target, "true",
                     says="--device: /dev/null is not the name of a CDI device")
        # One start went well; what it made for its node is all that there is.
        after = {path: value for path, value in trees.scan(self.data_path(target)).items()
                 if path not in before}
        self.assertEqual([path for path in after if b"libold" in path], [])

    def test_hooks_of_nvidia_are_done_natively_and_others_are_not_run(self):
        library = self.root + "/libacme.so.1.2"
        gpu_host.compile_library(library, "libacme.so.1")
        marker = self.user.work + "/ran"
        program = self.write(self.user.work + "/hook", "#!/bin/sh\ntouch %s\n" % marker, 0o755)
        hooks = [{"hookName": "createContainer", "path": "/nowhere/nvidia-cdi-hook",
                  "args": ["nvidia-cdi-hook", *arguments]} for arguments in (
                      ["update-ldcache", "--folder", "/opt/acme"],
                      ["create-symlinks", "--link", "libacme.so.1::/opt/acme/libacme.so"])]
        hooks.append({"hookName": "prestart", "path": program})
        mounts = [{"hostPath": library, "containerPath": "/opt/acme/libacme.so.1.2",
                   "options": ["ro", "nosuid", "nodev", "bind"]}]
        self.spec("acme.json", {
            "cdiVersion": "0.6.0", "kind": "acme.com/gpu", "devices": [
                {"name": "0", "containerEdits": {"mounts": mounts, "hooks": hooks}}]})
        result = self.enroot("start", "--device=acme.com/gpu=0", self.container(), "sh", "-c",
                             "cd /opt/acme; readlink libacme.so; readlink libacme.so.1;"
                             "test -s /opt/acme/libacme.so && echo read")
        self.assertEqual(result.out.split(), ["libacme.so.1", "libacme.so.1.2", "read"])
        self.assertIn("the prestart hook %s is not run" % program, result.err)
        self.assertFalse(os.path.exists(marker))

    def test_other_hooks_run_where_the_administrator_says_so(self):
        """ENROOT_CDI_HOOKS: as an OCI runtime runs them, with a state, a bundle and a rootfs."""
        program = self.write(self.user.work + "/hook", OCI_HOOK, 0o755)
        out = self.user.work + "/out"
        hook = {"hookName": "createRuntime", "path": program, "args": ["acme-hook", "one"],
                "env": ["OUT=" + out], "timeout": 20}
        spec = {"cdiVersion": "0.6.0", "kind": "acme.com/gpu", "devices": [
            {"name": "0", "containerEdits": {"hooks": [hook]}}]}
        self.spec("acme.json", spec)
        self.system_file("enroot.conf.d/hooks.conf", "ENROOT_CDI_HOOKS yes\n")
        target = self.container()
        plan = section(self.output("--dry-run", "--device=acme.com/gpu=0", target), "hooks")
        self.assertIn("run %s (not run)" % program, plan)
        self.assertFalse(os.path.exists(out))
        for place in (target, harness.world.library.squashed("alpine")):
            self.enroot("start", "--device=acme.com/gpu=0", place, "true")
            with open(out, encoding="utf-8") as file:
                words, state, names = file.read().split("\n", 2)
            self.assertEqual(words, program + " one")
            state = json.loads(state)
            self.assertEqual((state["status"], state["ociVersion"]), ("creating", "1.0.2"))
            self.assertGreater(state["pid"], 1)
            self.assertLessEqual({"bin", "etc"}, set(names.split()))
            os.unlink(out)
        hook.update(path="/bin/sh", args=["sh", "-c", "exit 3"])
        self.spec("acme.json", spec)
        self.refused("start", "--device=acme.com/gpu=0", target, "true",
                     says="CDI hook /bin/sh.*return code 3")
        hook.update(args=["sh", "-c", "exec sleep 60"], timeout=1)
        self.spec("acme.json", spec)
        self.refused("start", "--device=acme.com/gpu=0", target, "true",
                     says="/bin/sh has not ended after 1 seconds")

    def test_links_of_an_image_lead_nowhere_else(self):
        """Hostile images: a link at every target, and the host stays as it is."""
        outside = self.user.work + "/outside"
        target = self.container()
        tree = self.data_path(target)
        for name in ("file", "directory", "library", "link"):
            os.makedirs("%s/%s" % (outside, name))
            os.symlink("%s/%s" % (outside, name), "%s/at-%s" % (tree, name))
            os.symlink("../" * 20 + outside.lstrip("/") + "/" + name, "%s/up-%s" % (tree, name))
        os.symlink(outside + "/made", tree + "/dangling")
        self.write(outside + "/precious", "host\n")
        os.symlink(outside + "/precious", tree + "/over")
        mounts = [{"hostPath": "/etc/passwd", "containerPath": path, "options": ["ro"]}
                  for path in ("/at-file/a", "/up-file/a", "/dangling", "/over")]
        mounts.append({"hostPath": "/etc", "containerPath": "/up-directory/b/c"})
        links = [option for path in ("/at-link/x", "/up-link/x", "/over")
                 for option in ("--link", "passwd::" + path)]
        self.spec("acme.json", {
            "cdiVersion": "0.6.0", "kind": "acme.com/gpu", "devices": [
                {"name": "0", "containerEdits": {
                    "mounts": mounts,
                    "deviceNodes": [{"path": "/at-directory/node", "hostPath": "/dev/null"}],
                    "hooks": [{"hookName": "createContainer", "path": "/x", "args": [
                        "nvidia-cdi-hook", "create-symlinks", *links]}]}}]})
        before = trees.scan(outside)
        self.enroot("start", "--device=acme.com/gpu=0", target, "true")
        self.assertEqual(trees.scan(outside), before)


class TestAmd(DevicesCase):
    GPUS = (("0000:03:00.0", "0", "128", 43981), ("0000:c1:00.0", "1", "129", 52719))

    def setUp(self):
        super().setUp()
        gpu_host.node(self.root + "/dev/kfd")
        for address, card, render, unique_id in self.GPUS:
            for name in ("card" + card, "renderD" + render):
                gpu_host.node(self.root + "/dev/dri/" + name)
                os.makedirs("%s/sys/module/amdgpu/drivers/pci:amdgpu/%s/drm/%s" % (
                    self.root, address, name))
            self.file("/sys/class/kfd/kfd/topology/nodes/%s/properties" % card,
                      "drm_render_minor %s\nunique_id %d\n" % (render, unique_id))

    def nodes(self, value, **options):
        out = self.output(self.container(name="alpine-" + value.replace(",", "-")), "sh", "-c",
                          "cd /dev && ls -d kfd dri/* null 2>/dev/null; true",
                          env={"AMD_VISIBLE_DEVICES": value}, **options)
        return out.split()

    def test_visible_devices(self):
        """AMD_VISIBLE_DEVICES: all, indexes, ranges, unique ids; the others are not in /dev."""
        first, second = ["dri/card0", "dri/renderD128"], ["dri/card1", "dri/renderD129"]
        self.assertEqual(self.nodes("all"), sorted(first + second) + ["kfd", "null"])
        self.assertEqual(self.nodes("1"), second + ["kfd", "null"])
        self.assertEqual(self.nodes("0-1"), sorted(first + second) + ["kfd", "null"])
        self.assertEqual(self.nodes("0xABCD"), first + ["kfd", "null"])
        for value in ("none", "void"):
            self.assertNotIn("kfd", self.nodes(value))

    def test_the_images_variable_counts_and_the_hosts_first(self):
        target = self.container()
        options = ["--env", "AMD_VISIBLE_DEVICES=1", target, "ls", "/dev/dri/"]
        self.assertEqual(self.output(*options).split(), ["card1", "renderD129"])
        out = self.output(*options, env={"AMD_VISIBLE_DEVICES": "0"})
        self.assertEqual(out.split(), ["card0", "renderD128"])

    def test_unknown_devices(self):
        target = self.container()
        for value in ("2", "0,GPU-1", "0x1"):
            self.refused("start", target, "true", env={"AMD_VISIBLE_DEVICES": value},
                         says=r"98-amd.*unknown device: .* \(there are 2 AMD GPUs, 0 to 1\)")


class TestInfiniband(DevicesCase):
    """MELLANOX_VISIBLE_DEVICES; the container's /sys is the fake one."""

    def setUp(self):
        super().setUp()
        self.system_file("mounts.d/90-fake.fstab",
                         "%s/sys /sys none rbind,x-create=dir 0 -1\n" % self.root)
        for index, address in enumerate(("0000:12:00.0", "0000:12:00.1")):
            base = "/sys/devices/pci/" + address
            for group, name in (("infiniband", "mlx5_%d"), ("infiniband_verbs", "uverbs%d"),
                                ("infiniband_mad", "umad%d")):
                name %= index
                self.file("%s/%s/%s/ibdev" % (base, group, name), "mlx5_%d\n" % index)
                self.file("/sys/class/%s/abi_version" % group, "6\n")
                os.symlink("../../devices/pci/%s/%s/%s" % (address, group, name),
                           "%s/sys/class/%s/%s" % (self.root, group, name))
                if group != "infiniband":
                    gpu_host.node("%s/dev/infiniband/%s" % (self.root, name))
            drivers = self.root + "/sys/bus/pci/drivers/mlx5_core"
            os.makedirs(drivers, exist_ok=True)
            os.symlink("../../../../devices/pci/" + address, drivers + "/" + address)
        gpu_host.node(self.root + "/dev/infiniband/rdma_cm")

    SHOW = "cd /sys/class; for class in infiniband*; do echo $(ls $class); done;" \
        "ls /dev/infiniband; cat infiniband/*/ibdev"

    def test_visible_devices(self):
        """Only the chosen device in sysfs and in /dev; umad and issm are for a real root.

        Who asks for all has the host's /dev.
        """
        out = self.output(self.container(), "sh", "-c", self.SHOW,
                          env={"MELLANOX_VISIBLE_DEVICES": "1"})
        self.assertEqual(out.splitlines(), [
            "abi_version mlx5_1", "abi_version", "abi_version uverbs1", "rdma_cm", "uverbs1",
            "mlx5_1"])
        out = self.output(self.container(name="two"), "sh", "-c", self.SHOW,
                          env={"MELLANOX_VISIBLE_DEVICES": "all"})
        self.assertEqual(out.splitlines(), [
            "abi_version mlx5_0 mlx5_1", "abi_version", "abi_version uverbs0 uverbs1", "rdma_cm",
            "umad0", "umad1", "uverbs0", "uverbs1", "mlx5_0", "mlx5_1"])

    def test_unknown_devices(self):
        target = self.container()
        for value in ("2", "mlx5_0"):
            self.refused("start", target, "true", env={"MELLANOX_VISIBLE_DEVICES": value},
                         says=r"99-mellanox.*unknown device: %s \(there are 2 devices" % value)

    def test_a_hook_of_the_site_replaces_it(self):
        """hooks.d/99-mellanox.sh runs in its place, and nothing is injected natively."""
        self.system_file("hooks.d/99-mellanox.sh",
                         "#!/bin/sh\necho SITE=$MELLANOX_VISIBLE_DEVICES >> \"$ENROOT_ENVIRON\"\n",
                         0o755)
        out = self.output(self.container(), "sh", "-c", "echo $SITE; ls /sys/class/infiniband",
                          env={"MELLANOX_VISIBLE_DEVICES": "7"})
        self.assertEqual(out.split(), ["7", "abi_version", "mlx5_0", "mlx5_1"])


class TestDevicesVerbs(DevicesCase):
    def host(self):
        gpu_host.make(self.root)
        self.spec("acme.json", SPEC)

    def test_list(self):
        """devices list: native ones and CDI's, how to ask for them, what is in the way."""
        self.host()
        os.chmod(self.root + "/dev/nvidia2", 0o600)
        broken = self.spec("broken.json", "{")
        result = self.enroot("devices", "list")
        lines = result.out.splitlines()
        self.assertEqual([line.split("  ")[0] for line in lines],
                         ["NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_VISIBLE_DEVICES=1",
                          "NVIDIA_VISIBLE_DEVICES=" + gpu_host.GPUS[2][1],
                          "--device acme.com/gpu=0", "--device acme.com/gpu=1"])
        self.assertIn("not usable: ", lines[2])
        self.assertIn(broken + ": not valid JSON", result.err)
        found = json.loads(self.enroot("devices", "list", "--json").out)
        self.assertEqual([device["kind"] for device in found["devices"]],
                         ["nvidia"] * 3 + ["cdi"] * 2)
        self.assertEqual([device["problem"] is None for device in found["devices"]],
                         [True, True, False, True, True])
        self.assertEqual(len(found["failures"]), 1)

    def test_doctor(self):
        """devices doctor: the chain and its mends; status 0, 2 for warnings, 1 for problems."""
        self.assertEqual(self.enroot("devices", "doctor").code, 0)
        self.host()
        out = self.enroot("devices", "doctor").out
        self.assertIn("OK   the NVIDIA driver " + gpu_host.VERSION, out)
        self.assertIn("CDI 0.6.0, 2 devices of acme.com/gpu", out)
        os.chmod(self.root + "/dev/nvidia2", 0o600)
        result = self.run_command("enroot", "devices", "doctor")
        self.assertEqual(result.code, 2, result)
        self.assertRegex(result.out, r"(?m)^WARN .*/dev/nvidia2: you may not open it$\n     -> ")
        os.unlink(self.root + "/dev/nvidiactl")
        self.spec("broken.json", "{")
        result = self.run_command("enroot", "devices", "doctor")
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.out, r"(?m)^KO .*/dev/nvidiactl: No such file")
        self.assertRegex(result.out, r"(?m)^KO   a CDI file cannot be used: .*/broken.json")
        shutil.rmtree(self.root + "/proc/driver")
        result = self.run_command("enroot", "devices", "doctor")
        self.assertIn("modprobe nvidia", result.out)

    def test_a_cdi_file_of_the_native_discovery(self):
        """devices cdi: a start from it has driver and GPU; podman takes it, too."""
        gpu_host.make(self.root)
        make_root(self.user.work + "/root", "debian")
        image = self.user.work + "/debian.sqsh"
        subprocess.run(["mksquashfs", self.user.work + "/root", image, "-quiet", "-no-progress",
                        "-all-root"], check=True, stdout=subprocess.DEVNULL)
        os.chmod(image, 0o644)
        text = self.enroot("devices", "cdi").out
        self.spec("nvidia.json", text)
        out = self.output("--device=nvidia.com/gpu=" + gpu_host.GPUS[1][1], image, "sh", "-c",
                          "nvidia-smi; echo $NVIDIA_VISIBLE_DEVICES; cd /dev; ls nvidia[0-9]*")
        self.assertEqual(out.splitlines(), ["driver 999, nvidiactl open", "void",
                                            "nvidia%d" % gpu_host.GPUS[1][2]])
        config = self.podman_configuration(text, "nvidia.com/gpu=0")
        self.assertIn("/dev/nvidia%d" % gpu_host.GPUS[0][2],
                      [node["path"] for node in config["linux"]["devices"]])
        self.assertIn("NVIDIA_VISIBLE_DEVICES=void", config["process"]["env"])
        self.assertTrue([mount for mount in config["mounts"]
                         if mount["destination"].endswith("/libcuda.so.1")])

    def podman_configuration(self, text, device):
        """What podman would start with a device, by a runtime that keeps it and fails."""
        place = harness.world.work + "/podman-devices"
        os.makedirs(place + "/rootfs/bin", exist_ok=True)
        os.makedirs("/etc/cdi", exist_ok=True)
        self.addCleanup(shutil.rmtree, "/etc/cdi")
        with open("/etc/cdi/nvidia.json", "w", encoding="utf-8") as file:
            file.write(text)
        with open(place + "/crun", "w", encoding="ascii") as file:
            file.write(KEEPER)
        os.chmod(place + "/crun", 0o755)
        result = subprocess.run(
            ["podman", "--runtime", place + "/crun", "--root", place + "/store", "--runroot",
             place + "/run", "--cgroup-manager=cgroupfs", "run", "--rm", "--network=none",
             "--ulimit=nofile=1024:1024", "--device", device, "--rootfs", place + "/rootfs",
             "true"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertTrue(os.path.exists(place + "/config.json"), harness.text(result.stdout))
        with open(place + "/config.json", encoding="utf-8") as file:
            return json.load(file)
