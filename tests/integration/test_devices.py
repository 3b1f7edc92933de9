"""CDI, AMD and InfiniBand devices with fake devices and fake sysfs, as an ordinary user."""
import json
import os
import shutil
import subprocess

import harness
from test_dry_run import section
from test_environment import SettingsCase

SPEC = {
    "cdiVersion": "0.6.0",
    "kind": "acme.com/gpu",
    "containerEdits": {"env": ["ACME=yes"]},
    "devices": [
        {"name": "0", "containerEdits": {"deviceNodes": [
            {"path": "/dev/acme0", "hostPath": "/dev/null"}]}},
        {"name": "1", "containerEdits": {"deviceNodes": [
            {"path": "/dev/acme1", "hostPath": "/dev/zero"}]}},
    ],
}


class DevicesCase(SettingsCase):
    """A root of its own for everything that is looked for on the host."""

    def setUp(self):
        super().setUp()
        self.root = self.user.work + "/fake"
        os.mkdir(self.root)
        os.chmod(self.root, 0o755)
        self.env["ENROOT_GPU_TEST_ROOT"] = self.root

    def file(self, path, text=""):
        """A file below the fake root."""
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.write(path, text)
        return path

    def node(self, path):
        """What looks like a device: the test's user cannot make any, and may open this one."""
        self.file(path)
        subprocess.run(["mount", "--bind", "/dev/null", self.root + path], check=True)

    def spec(self, name, content, directory="/etc/cdi"):
        text = content if isinstance(content, str) else json.dumps(content)
        return self.file("%s/%s" % (directory, name), text)


class TestCdi(DevicesCase):
    def test_a_device_of_the_command_line(self):
        """--device vendor/class=name, repeatable; the file's edits and the device's."""
        self.spec("acme.json", SPEC)
        for target in (self.container(), harness.world.library.squashed("alpine")):
            out = self.output("--device", "acme.com/gpu=0", "--device=acme.com/gpu=1", target, "sh",
                              "-c", "echo $ACME; test -c /dev/acme0 && head -c 3 /dev/acme1 | wc -c")
            self.assertEqual(out.split(), ["yes", "3"])
