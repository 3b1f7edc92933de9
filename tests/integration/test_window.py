"""window: programs with a window, by the start configuration that is installed for them."""
import os
import socket
import subprocess

import harness
from test_conf import ConfCase
from test_hooks import library_path


def example():
    return os.path.join(library_path().rsplit("/lib", 1)[0], "share/enroot/examples/window.conf")


class TestWindow(ConfCase):
    """Scenario 14: X11 or Wayland socket, DISPLAY, Xauthority."""

    def start_server(self, cookies):
        """Start an X server that asks for a cookie, on its socket only; returns its display."""
        os.makedirs("/tmp/.X11-unix", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp/.X11-unix"],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/tmp/.X11-unix"], check=True)
        display = ":1973"
        for command in ("touch", cookies), ("xauth", "-f", cookies, "add", display, ".", "0f" * 16):
            self.assertEqual(self.run_command(*command).code, 0)
        read_end, write_end = os.pipe()
        server = self.start("Xvfb", display, "-displayfd", str(write_end), "-auth", cookies,
                            "-screen", "0", "640x480x8", "-nolisten", "tcp", "-nolisten", "local",
                            stdout=subprocess.DEVNULL, pass_fds=[write_end])
        os.close(write_end)
        self.addCleanup(server.communicate)
        self.addCleanup(server.terminate)
        with os.fdopen(read_end) as answer:
            if not answer.readline():
                self.fail(harness.text(server.communicate()[1]))
        return server, display

    def test_a_program_reaches_the_x_server_with_the_users_cookie(self):
        cookies = self.user.work + "/a cookie"
        server, display = self.start_server(cookies)
        env = {"DISPLAY": display, "XAUTHORITY": cookies}
        for target in (self.container("window"), harness.world.library.squashed("window")):
            for options in ([], ["--root"]):
                shown = self.output("-c", example(), *options, target, "xdpyinfo", env=env)
                self.assertIn("dimensions:    640x480 pixels", shown)
        # Without the configuration, and without the cookie, it does not.
        for arguments, changes in (([], {}), (["-c", example()], {"XAUTHORITY": "/none"})):
            result = self.run_command("enroot", "start", *arguments, "-e", "DISPLAY", "window",
                                      "xdpyinfo", env={**env, **changes})
            self.assertEqual(result.code, 1, result)
        server.terminate()
        server.wait()

    def test_the_socket_of_a_wayland_compositor(self):
        """Absolute, or a name in XDG_RUNTIME_DIR."""
        path = self.user.run + "/wayland 0"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o777)
            for value in ("wayland 0", path):
                shown = self.output("-c", example(), self.container(name="w"), "sh", "-c",
                                    'test -S "$WAYLAND_DISPLAY" && test -w "$WAYLAND_DISPLAY" &&'
                                    ' echo "${DISPLAY-none}"',
                                    env={"WAYLAND_DISPLAY": value, "DISPLAY": None})
                self.assertEqual(shown, "none\n")
                self.enroot("remove", "-f", "w")
        os.unlink(path)

    def test_a_machine_without_a_display(self):
        self.assertEqual(self.output("-c", example(), self.container(), "echo", "x",
                                     env={"DISPLAY": None, "WAYLAND_DISPLAY": None}), "x\n")
