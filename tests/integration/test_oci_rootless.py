"""oci rootless: podman --runtime as an ordinary user."""
import os
import subprocess

import harness
import test_oci

PODMAN = test_oci.CONTAINERS_CONF + """
export HOME=$1/home XDG_RUNTIME_DIR=$1/run DBUS_SESSION_BUS_ADDRESS=unix:path=/missing
mkdir -p $HOME/.config/containers $1/run; cd $HOME/.config/containers
cat >storage.conf <<END
[storage]
driver="vfs"
graphroot="$1/root"
runroot="$1/run/containers"
[storage.options]
ignore_chown_errors="true"
END
containers_conf >containers.conf
podman() { command podman --runtime enroot-oci "$@"; }
podman system migrate >/dev/null 2>&1
tar -C $3 -c . | podman import --quiet - test/alpine >/dev/null
options="--cgroups=disabled --net=host"
"""


class TestPodman(test_oci.OciCase):
    def podman(self, script):
        place = self.user.work + "/podman"
        os.mkdir(place)
        os.chown(place, self.user.uid, self.user.gid)
        become = ["setpriv", "--reuid", str(self.user.uid), "--regid", str(self.user.gid),
                  "--clear-groups", "sh", "-uc", PODMAN + script, "sh", place, harness.world.bin,
                  self.rootfs]
        result = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", "sh", "-c",
             'mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "$@"', "sh", *become],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=harness.TIMEOUT)
        return result.stdout.decode()

    def test_run_exec_and_rm(self):
        """Its end of a container costs podman 20 seconds here, with crun as well: one is enough"""
        out = self.podman("""
podman run --rm $options test/alpine sh -c 'id -u; grep Seccomp: /proc/self/status; exit 5'
echo status $?
podman run --rm $options test/alpine missing; echo status $?
podman run -d --name box $options test/alpine sleep 1000 >/dev/null
podman exec box sh -c 'echo in; exit 3'; echo status $?
podman rm --force --time 0 box; podman ps -aq; echo end
""")
        self.assertRegex(out, r"(?m)^0\nSeccomp:\t2\nstatus 5$", out)
        self.assertRegex(out, r"not found[^\n]*\nstatus 127\n", out)
        self.assertRegex(out, r"\nin\nstatus 3\n\S+\nend\n$", out)
