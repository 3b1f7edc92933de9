"""Rows of the compatibility reference (enroot 4.1.2) that no other file has as its subject:
the option table, names, defaults, the files of an image, the frame of a start.

fstab, hooks, start configurations, exec and list have files of their own (test_fstab.py,
test_hooks.py, test_conf.py, test_exec.py, test_list.py).
"""
import json
import os
import pty
import re
import socket
import stat
import subprocess

import harness
import images
from test_environment import SettingsCase
from test_hooks import library_path


class TestCommands(SettingsCase):
    # The column "Options" of the table.
    OPTIONS = {
        "import": "-a,--arch -o,--output",
        "create": "-n,--name -f,--force",
        "start": "-c,--conf -e,--env --rc -r,--root -w,--rw -m,--mount --pid --net --ipc --uts",
        "exec": "-e,--env",
        "export": "-o,--output -f,--force",
        "load": "-a,--arch -n,--name -f,--force",
        "bundle": "-c,--checksum -d,--desc -o,--output -t,--target -f,--force",
        "batch": "",
        "digest": "-a,--arch",
        "list": "-f,--fancy",
        "remove": "-f,--force",
        "info": "",
        "version": "",
    }

    def test_options_of_each_command(self):
        """Commands: the column of options; usage on standard output, exit status 0."""
        for command, options in self.OPTIONS.items():
            with self.subTest(command):
                result = self.enroot(command, "-h")
                self.assertEqual(result.err, "")
                for names in options.split():
                    self.assertRegex(result.out, r"(?m)^ +%s\b" % names.replace(",", ", "))

    def test_unknown_options_and_commands(self):
        """Commands: usage on standard error, exit status 1."""
        for words in [["nosuch"], []] + [[command, "--nosuch"] for command in self.OPTIONS]:
            with self.subTest(words):
                result = self.run_command("enroot", *words)
                self.assertEqual((result.code, result.out), (1, ""), result)
                self.assertIn("Usage: enroot", result.err)

    def test_groups_of_commands(self):
        result = self.enroot("cache", "--help")
        self.assertRegex(result.out, r"(?m)^   cache gc +\S")
        self.assertIn("unknown command: cache", self.run_command("enroot", "cache").err)

    def test_colours(self):
        """Commands: messages are coloured on a terminal only."""
        leader, follower = pty.openpty()
        process = self.start("enroot", "start", "nosuch", stderr=follower)
        process.communicate(timeout=harness.TIMEOUT)
        os.close(follower)
        self.assertIn(b"\x1b[1;31m[ERROR]\x1b[0m", os.read(leader, 4096))
        os.close(leader)
        self.assertNotIn("\x1b", self.refused("start", "nosuch", says="nosuch").err)


class TestScenarios(SettingsCase):
    """Scenarios 1 and 2, and the name of the third's image, with Docker Hub's names."""

    def hub(self, repository, tag):
        self.assertTrue(harness.world.servers.hub)
        images.push(harness.world.library.layout("alpine"), harness.world.servers.plain.host,
                    repository, tag)

    def test_scenario_1(self):
        """import docker://ubuntu, create ubuntu.sqsh, start ubuntu: a shell."""
        self.hub("library/ubuntu", "latest")
        self.enroot("import", "docker://ubuntu")
        self.enroot("create", "ubuntu.sqsh")
        result = self.enroot("start", "ubuntu", input=b"cat /etc/os-release; id -u; exit 0\n")
        self.assertIn("PRETTY_NAME", result.out)
        self.assertEqual(result.out.split()[-1], str(self.user.uid))

    def test_scenario_2(self):
        """What the log of an import tells, with layers to fetch and with layers in the cache."""
        self.hub("library/alpine", "latest")
        told = (r"Querying registry-1\.docker\.io for permission", r"Authentication succeeded",
                r"Found image manifest", r"Creating squashfs filesystem",
                r"Downloading \d+ missing layer",
                r"Created .*alpine\+latest\.sqsh: [\d.]+ MB \([\d.]+ MB of content, \d+ files, "
                r"\d+ directories, \d+ symbolic links, \d+ hard links, \d+ duplicates\)")
        log = self.enroot("import", "docker://alpine:latest").err
        self.assertRegex(log, "(?s)" + ".*".join(r"\[INFO\] " + line for line in told))
        os.unlink(self.user.work + "/alpine+latest.sqsh")
        self.assertIn("Found all layers in cache",
                      self.enroot("import", "docker://alpine:latest").err)
        log = self.enroot("create", "alpine+latest.sqsh").err
        self.assertIn("[INFO] Extracting squashfs filesystem", log)
        for target in ("alpine+latest", "alpine+latest.sqsh"):
            self.assertIn("ID=alpine", self.output(target, "cat", "/etc/os-release"))

    def test_default_names(self):
        """Commands, import and create: "/" becomes "+", then "+TAG" when one was given."""
        self.hub("nvidia/cuda", "12.4.0-base-ubuntu20.04")
        self.enroot("import", "docker://nvidia/cuda:12.4.0-base-ubuntu20.04")
        self.assertEqual(os.listdir(self.user.work),
                         ["nvidia+cuda+12.4.0-base-ubuntu20.04.sqsh"])
        self.enroot("create", "nvidia+cuda+12.4.0-base-ubuntu20.04.sqsh")
        self.assertEqual(self.enroot("list").out, "nvidia+cuda+12.4.0-base-ubuntu20.04\n")


class TestConfiguration(SettingsCase):
    DEFAULTS = {
        "ZSTD_OPTIONS": "-1", "MAX_CONNECTIONS": "10", "CONNECT_TIMEOUT": "30",
        "TRANSFER_TIMEOUT": "0", "TRANSFER_RETRIES": "0", "LOGIN_SHELL": "yes",
        "ALLOW_SUPERUSER": "no", "ALLOW_HTTP": "no", "ROOTFS_WRITABLE": "no",
        "NATIVE_OVERLAYFS": "yes", "REMAP_ROOT": "no", "UNSHARE_PID": "no", "UNSHARE_NET": "no",
        "UNSHARE_IPC": "no", "UNSHARE_UTS": "no", "BUNDLE_ALL": "no", "BUNDLE_CHECKSUM": "no",
        "FORCE_OVERRIDE": "no", "MOUNT_HOME": "no", "RESTRICT_DEV": "no",
    }

    def settings(self):
        found = json.loads(self.enroot("info", "--json").out)["settings"]
        return {item["name"][len("ENROOT_"):]: item["value"] for item in found}

    def test_defaults(self):
        """Configuration: every variable with its default."""
        found = self.settings()
        self.assertEqual({name: found.get(name) for name in self.DEFAULTS}, self.DEFAULTS)
        for name, value in (("RUNTIME_PATH", self.user.run + "/enroot"),
                            ("CONFIG_PATH", self.user.home + "/.config/enroot"),
                            ("CACHE_PATH", self.user.home + "/.cache/enroot"),
                            ("DATA_PATH", self.user.home + "/.local/share/enroot"),
                            ("TEMP_PATH", self.user.tmp),
                            ("MAX_PROCESSORS", str(len(os.sched_getaffinity(0))))):
            self.assertEqual(found[name], value)
        for name in ("LIBRARY_PATH", "SYSCONF_PATH"):
            self.assertTrue(found[name].endswith("/enroot"), found[name])
        for name in ("GZIP_PROGRAM", "SQUASH_OPTIONS"):
            self.assertTrue(found[name])
        self.env.update(XDG_RUNTIME_DIR=None, TMPDIR=None)
        found = self.settings()
        self.assertEqual((found["RUNTIME_PATH"], found["TEMP_PATH"]), ("/run/enroot", "/tmp"))

    def test_keys(self):
        """Configuration: keys of other programs that a file may set, and none besides."""
        self.system_file("enroot.conf", "NVIDIA_VISIBLE_DEVICES none\nMELLANOX_MOUNT_DRIVER=0\n"
                         "SSL_CERT_DIR /certs\nno_proxy here.test\nall_proxy http://all.test\n"
                         "https_proxy http://tls.test\nhttp_proxy http://plain.test\n"
                         "ENROOT_ANYTHING x\nOTHER_KEY x\nFTP_PROXY x\n")
        self.user_file("hooks.d/50-show.sh", "#!/bin/sh\nenv >&2\n", 0o755)
        self.container()
        lines = self.enroot("start", "alpine", "true").err.splitlines()
        for line in ("NVIDIA_VISIBLE_DEVICES=none", "MELLANOX_MOUNT_DRIVER=0",
                     "SSL_CERT_DIR=/certs", "no_proxy=here.test", "all_proxy=http://all.test",
                     "https_proxy=http://tls.test", "http_proxy=http://plain.test",
                     "ENROOT_ANYTHING=x"):
            self.assertIn(line, lines)
        self.assertEqual([line for line in lines if line.startswith(("OTHER", "FTP"))], [])

    def test_certificates_and_proxies_of_the_file_count_for_imports(self):
        """Configuration: SSL_CERT_FILE and http_proxy in enroot.conf."""
        name = harness.world.library.pushed("alpine")
        self.system_file("enroot.conf", "SSL_CERT_FILE %s\n" % harness.world.ca.certificate)
        reference = "docker://%s#%s" % (harness.world.servers.tls.host, name)
        self.enroot("import", "-o", "x.sqsh", reference, env={"SSL_CERT_FILE": None})
        self.system_file("enroot.conf", "http_proxy http://127.0.0.1:9\n")
        self.refused("import", "-o", "y.sqsh", "docker://registry.test:5000#" + name,
                     env={"ENROOT_ALLOW_HTTP": "yes"}, says="127.0.0.1")

    def test_directories_are_private(self):
        """Configuration: data, cache and runtime directories are created 0700."""
        self.import_from(harness.world.servers.plain, "alpine")
        self.enroot("create", "image.sqsh")
        self.enroot("start", "image", "true")
        self.enroot("start", "image.sqsh", "true")
        for path in (self.data_path(), self.cache_path(), self.user.run + "/enroot"):
            with self.subTest(path):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700)

    def test_paths_can_be_set(self):
        """Configuration: DATA, CACHE, RUNTIME, CONFIG, SYSCONF and TEMP_PATH, and nothing is
        written elsewhere."""
        names = ("DATA", "CACHE", "RUNTIME", "CONFIG", "SYSCONF", "TEMP")
        self.env.update({"ENROOT_%s_PATH" % name: self.user.work + "/" + name for name in names})
        for name in ("CONFIG", "SYSCONF"):
            self.write("%s/%s/environ.d/50.env" % (self.user.work, name), name + "=read\n")
        os.mkdir(self.user.work + "/TEMP", 0o777)
        self.import_from(harness.world.servers.plain, "alpine")
        self.enroot("create", "image.sqsh")
        for target in ("image", "image.sqsh"):
            self.assertEqual(self.output(target, "sh", "-c", "echo $CONFIG $SYSCONF"),
                             "read read\n")
        self.assertEqual(os.listdir(self.user.work + "/DATA"), ["image"])
        self.assertTrue(os.listdir(self.user.work + "/CACHE"))
        self.assertTrue(os.path.isdir(self.user.work + "/RUNTIME"))
        self.assertEqual(os.listdir(self.user.home) + os.listdir(self.user.run), [])

    def test_connect_timeout(self):
        """Configuration: CONNECT_TIMEOUT; a server whose queue is full does not answer."""
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            port = server.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            self.refused("import", "-o", "x.sqsh", "docker://127.0.0.1:%d#alpine" % port,
                         env={"ENROOT_ALLOW_HTTP": "yes", "ENROOT_CONNECT_TIMEOUT": "1"},
                         says="time")
            for client in waiting:
                client.close()

    def test_no_password_leaves_the_file_that_it_is_in(self):
        """Configuration, credentials: the first entry for the host; the port does not count."""
        self.user_file(".credentials", "# netrc\nmachine other.test login a password b\n"
                       "machine registry.test login %s password %s\n"
                       "machine registry.test login nobody password wrong\n" %
                       harness.servers.LOGIN, 0o600)
        reference = "docker://%s#%s" % (harness.world.servers.basic.host,
                                        harness.world.library.pushed("alpine"))
        log = self.enroot("import", "-o", "x.sqsh", reference).err
        self.assertIn("Authenticating with user: " + harness.servers.LOGIN[0], log)
        self.assertNotIn(harness.servers.LOGIN[1], log)


class TestContents(SettingsCase):
    """Image and container contents."""

    def test_rc(self):
        """/etc/rc, rc.local: directory (made when missing), rc.local, entrypoint, command."""
        target = self.container("application")
        os.rmdir(self.data_path("application/app/work dir"))
        with open(self.data_path("application/etc/rc.local"), "w") as file:
            file.write("echo local in $PWD; export MODE=local\n")
        lines = self.output("--rw", target).splitlines()
        self.assertEqual(lines[:4], ["local in /app/work dir",
                                     "/app/tool|first word|it's|default|$HOME|",
                                     "cwd=/app/work dir", "MODE=local"])
        self.assertEqual(self.output(target, "given").splitlines()[1],
                         "/app/tool|first word|it's|given|")
        with open(self.data_path("application/etc/rc")) as file:
            text = file.read()
        self.assertRegex(text, r"\A# enroot-provenance: docker://")
        self.assertIn("# maintainer someone\n", text)

    def test_fstab_and_environment(self):
        """/etc/fstab has a line for each volume, /etc/environment one for each variable."""
        self.container("application")
        with open(self.data_path("application/etc/fstab")) as file:
            lines = [line.split() for line in file if line.strip()]
        self.assertEqual(lines, [[
            "${ENROOT_ROOTFS}" + path, path, "none", "x-create=dir,bind,rw,nosuid,nodev"]
            for path in ("/data", "/more/data")])
        with open(self.data_path("application/etc/environment")) as file:
            self.assertIn("HOST_VALUE=<${FROM_HOST}>\n", file.read())

    def test_without_rc(self):
        """No /etc/rc: a line runs through sh -c, a program is executed, nothing is a shell."""
        target = self.container()
        os.unlink(self.data_path("alpine/etc/rc"))
        self.assertEqual(self.output(target, "echo one; echo two"), "one\ntwo\n")
        self.assertEqual(self.output(target, "echo", "a  b"), "a  b\n")
        self.assertEqual(self.enroot("start", target, input=b"echo $0\n").out.strip("\n-"), "sh")


class TestStart(SettingsCase):
    """A start, in order."""

    def test_step_3_the_frame(self):
        """A rootfs that is nosuid and nodev and gets no mounts of later from the host."""
        self.container()
        for options, access in (((), "ro"), (("--rw",), "rw")):
            shown = self.output(*options, "alpine", "cat", "/proc/self/mountinfo")
            root = [line.split() for line in shown.splitlines() if line.split()[4] == "/"][-1]
            self.assertLessEqual({access, "nosuid", "nodev"}, set(root[5].split(",")))
            self.assertFalse([word for word in root[6:8] if word.startswith("shared:")], root)
        self.user_file("hooks.d/50.sh", "#!/bin/sh\nawk '$5 == path' path=\"$ENROOT_RUNTIME_PATH\" "
                       "/proc/self/mountinfo >&2\n", 0o755)
        self.assertRegex(self.enroot("start", "alpine", "true").err, r" - tmpfs ")
        self.assertEqual(harness.files_below(self.user.run), [])

    def test_steps_4_to_7_last_definition_wins(self):
        """Environment and mounts: image, system, user, hooks, --conf, command line."""
        self.container()
        files = {}
        for word in ("image", "system", "user", "early", "hook", "conf", "line"):
            files[word] = self.write(self.user.work + "/words/" + word, word + "\n")
        with open(self.data_path("alpine/etc/environment"), "a") as file:
            file.write("WORD=image\n")
        with open(self.data_path("alpine/etc/fstab"), "a") as file:
            file.write("%s /srv/word none x-create=file,bind\n" % files["image"])

        def check(expected, *options, mount=None):
            lines = self.output(*options, "alpine", "sh", "-c", "echo $WORD; cat /srv/word")
            self.assertEqual(lines.split(), [expected, mount or expected])

        check("image", "--rw")
        for word, place in (("system", self.system_file), ("user", self.user_file)):
            place("environ.d/50.env", "WORD=%s\n" % word)
            place("mounts.d/50.fstab", "%s /srv/word none bind\n" % files[word])
            check(word)
        # A pass of -1 comes before the hooks; what the other lines mount, after them.
        self.user_file("mounts.d/60.fstab", "%s /srv/word none bind 0 -1\n" % files["early"])
        check("user")
        self.user_file("hooks.d/50.sh", "#!/bin/sh\necho WORD=hook >>\"$ENROOT_ENVIRON\"\n"
                       "echo '%s /srv/word none bind' >>\"$ENROOT_MOUNTS\"\n" % files["hook"],
                       0o755)
        check("hook", mount="user")
        for name in ("system", "user"):
            os.unlink((self.user.work + "/sysconf" if name == "system" else
                       self.user.home + "/.config/enroot") + "/mounts.d/50.fstab")
        with open(self.data_path("alpine/etc/fstab"), "w"):
            pass
        check("hook")
        conf = self.write(self.user.work + "/conf", "environ() { echo WORD=conf; }\n"
                          "mounts() { echo '%s /srv/word none bind'; }\n" % files["conf"])
        self.env["ENROOT_LIBRARY_PATH"] = library_path()
        line = ("--env", "WORD=line", "--mount", files["line"] + ":/srv/word")
        # What a hook appends to the environment comes after everything else.
        check("hook", *line, "--conf", conf, mount="line")
        os.unlink(self.user.home + "/.config/enroot/hooks.d/50.sh")
        check("conf", "--conf", conf)
        check("line", *line, "--conf", conf)

    def test_step_8_the_mark_of_a_start(self):
        """/.lock marks a started rootfs; starts at the same time do not wait for each other."""
        self.container()
        self.assertFalse(os.path.exists(self.data_path("alpine/.lock")))
        first = self.start("enroot", "start", "alpine", "sh", "-c", "echo up; read x",
                           stdin=subprocess.PIPE)
        first.stdout.readline()
        self.assertTrue(os.path.exists(self.data_path("alpine/.lock")))
        self.assertEqual(self.output("alpine", "echo", "beside"), "beside\n")
        first.communicate(b"\n", timeout=harness.TIMEOUT)

    def test_step_9_privileges(self):
        """No new privileges; capabilities none, or as root those of the namespace; a cgroup
        namespace of its own."""
        self.container()
        outside = os.readlink("/proc/self/ns/cgroup")
        for options, pattern in (((), "0000000000000000"), (("--root",), "000001ff.*")):
            shown = self.output(*options, "alpine", "sh", "-c",
                                "cat /proc/self/status; readlink /proc/self/ns/cgroup")
            for name in ("CapEff", "CapBnd"):
                self.assertRegex(shown, r"(?m)^%s:\t%s$" % (name, pattern))
            self.assertIn("NoNewPrivs:\t1\n", shown)
            self.assertNotEqual(shown.splitlines()[-1], outside)

    def test_step_10_the_login(self):
        """HOME, SHELL, USER, LOGNAME, PATH of login.defs, TZ, locale.conf, UMASK, ULIMIT; the
        directory is the home; a login shell."""
        self.container()
        for name, text in (("login.defs", "ENV_PATH PATH=/user:/bin\nENV_SUPATH /super:/bin\n"
                            "ENV_TZ TZ=Mars/Phobos\nUMASK 027\nULIMIT 2048\n"),
                           ("locale.conf", "LANG=xx_YY.UTF-8\n")):
            with open(self.data_path("alpine/etc/" + name), "w") as file:
                file.write(text)
        # The image's own PATH would win over that of login.defs.
        os.unlink(self.data_path("alpine/etc/environment"))
        script = "env; pwd; umask; ulimit -f; echo $0"
        for options, path, user, home in (((), "/user:/bin", self.user.name, self.user.home),
                                          (("--root",), "/super:/bin", "root", "/root")):
            rc = self.write(self.user.work + "/rc", script + "\n")
            shown = self.output(*options, "--rc", rc, "alpine")
            found = dict(re.findall(r"(?m)^(\w+)=(.*)$", shown))
            self.assertEqual({name: found.get(name) for name in (
                "PATH", "TZ", "LANG", "USER", "HOME", "LOGNAME", "SHELL")},
                {"PATH": path, "TZ": "Mars/Phobos", "LANG": "xx_YY.UTF-8", "USER": user,
                 "HOME": home, "LOGNAME": self.user.name, "SHELL": "/bin/sh"})
            self.assertEqual(shown.splitlines()[-4:-1], [home, "0027", "2048"])
