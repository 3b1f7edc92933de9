"""start: environment, command script, login, configuration."""
import os
import re
import shutil
import subprocess

import harness

SITE = """\
ENROOT_RUNTIME_PATH /raid/local/containers/enroot/runtime/${SLURM_JOB_ID:-}
ENROOT_DATA_PATH /raid/local/containers/enroot/data/$(id -u)
ENROOT_SQUASH_OPTIONS -noI -noD -noF -noX -no-duplicates
ENROOT_MOUNT_HOME no
ENROOT_CONFIG_PATH ${HOME}/.config/enroot
ENROOT_RESTRICT_DEV yes
ENROOT_ROOTFS_WRITABLE no
ENROOT_ZSTD_OPTIONS -1
ENROOT_TRANSFER_RETRIES 5
ENROOT_CONNECT_TIMEOUT 60
ENROOT_TRANSFER_TIMEOUT 1200
ENROOT_MAX_CONNECTIONS 10
"""


class SettingsCase(harness.Case):
    def write(self, path, text, mode=0o644):
        """Write a file for the user, with the directories above it."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        subprocess.run(["chown", "-R", self.user.name, self.user.home, self.user.work], check=True)
        return path

    def user_file(self, name, text, mode=0o644):
        return self.write(self.user.home + "/.config/enroot/" + name, text, mode)

    def system_file(self, name, text, mode=0o644):
        if "ENROOT_SYSCONF_PATH" not in self.env:
            self.env["ENROOT_SYSCONF_PATH"] = self.user.work + "/sysconf"
            if os.path.exists("/etc/enroot"):
                shutil.copytree("/etc/enroot", self.user.work + "/sysconf")
        return self.write(self.user.work + "/sysconf/" + name, text, mode)

    def environment(self, *arguments, **options):
        """The environment inside a container as a dict."""
        lines = self.enroot("start", *arguments, "env", **options).out.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def output(self, *arguments, **options):
        return self.enroot("start", *arguments, **options).out


class TestEnvironment(SettingsCase):
    def test_the_images_environment_is_set(self):
        target = self.container("application")
        rc = self.write(self.user.work + "/rc", 'exec "$@"\n')
        found = self.environment("--rc", rc, target, env={"FROM_HOST": "host"})
        self.assertEqual(found["MODE"], "image value")
        self.assertEqual(found["HOST_VALUE"], "<host>")
        self.assertEqual(found["QUOTED"], "a b")
        self.assertEqual(found["TRICK"], "$(touch /tmp/trick)")

    def test_values_of_the_command_line_are_set(self):
        target = self.container()
        found = self.environment("-e", "A=1", "--env", "B=two words=x", "--env=C=",
                                 "-e", "FROM_HOST", target, env={"FROM_HOST": "host"})
        self.assertEqual((found["A"], found["B"], found["C"], found["FROM_HOST"]),
                         ("1", "two words=x", "", "host"))

    def test_the_hosts_environment_does_not_come_in_by_itself(self):
        target = self.container()
        found = self.environment(target, env={"HOST_ONLY": "x", "LD_PRELOAD": "", "BASH_ENV": "/x"})
        self.assertNotIn("HOST_ONLY", found)
        self.assertNotIn("BASH_ENV", found)
        self.assertFalse([key for key in found if key.startswith("ENROOT_")])

    def test_the_last_definition_wins(self):
        target = self.container("application")
        rc = self.write(self.user.work + "/rc", 'exec "$@"\n')
        start = ("--rc", rc)
        self.assertEqual(self.environment(*start, target)["MODE"], "image value")
        self.system_file("environ.d/50-site.env", "MODE=system\nSITE=1\n")
        self.assertEqual(self.environment(*start, target)["MODE"], "system")
        self.system_file("environ.d/60-later.env", "MODE=later\n")
        self.assertEqual(self.environment(*start, target)["MODE"], "later")
        self.user_file("environ.d/10-mine.env", "MODE=mine\n")
        self.assertEqual(self.environment(*start, target)["MODE"], "mine")
        found = self.environment(*start, "--env", "MODE=line", target)
        self.assertEqual((found["MODE"], found["SITE"]), ("line", "1"))

    def test_environment_files_are_data(self):
        target = self.container()
        self.user_file("environ.d/10.env", "# comment\n\nPLAIN=a\nDOUBLE=\"b c\"\nSINGLE='d e'\n"
                       "HOST=${FROM_HOST}\nUNSET=<${NO_SUCH}>\nENROOT_X=no\nnot a line\n"
                       "COMMAND=$(touch " + self.user.work + "/run)\n=novalue\n1BAD=x\n")
        self.user_file("environ.d/20.txt", "IGNORED=1\n")
        found = self.environment(target, env={"FROM_HOST": "host"})
        self.assertEqual((found["PLAIN"], found["DOUBLE"], found["SINGLE"], found["HOST"],
                          found["UNSET"]), ("a", "b c", "d e", "host", "<>"))
        for name in ("ENROOT_X", "IGNORED", "1BAD", ""):
            self.assertNotIn(name, found)
        self.assertFalse(os.path.exists(self.user.work + "/run"))

    def test_a_malformed_name_is_refused(self):
        target = self.container()
        for word in ("1A=x", "A-B=x", "=x", "A B=x"):
            self.refused("start", "--env", word, target, "true", says="argument|variable|env")

    def test_a_login_sets_the_usual_variables(self):
        target = self.container()
        for options, user, home in (((), self.user.name, self.user.home),
                                    (("--root",), "root", "/root")):
            found = self.environment(*options, target)
            self.assertEqual((found["USER"], found["HOME"]), (user, home))
            self.assertIn("LOGNAME", found)
            self.assertTrue(found["SHELL"].startswith("/"))
            self.assertIn("/bin", found["PATH"].split(":"))
            self.assertEqual(found["PROFILE_READ"], "yes")

    def test_without_a_login_no_profile_is_read(self):
        found = self.environment(self.container(), env={"ENROOT_LOGIN_SHELL": "no"})
        self.assertNotIn("PROFILE_READ", found)


class TestCommandScript(SettingsCase):
    def test_entry_point_and_command_come_from_the_image(self):
        target = self.container("application")
        self.assertEqual(self.output(target).splitlines()[:2],
                         ["/app/tool|first word|it's|default|$HOME|", "cwd=/app/work dir"])

    def test_arguments_replace_the_command(self):
        target = self.container("application")
        self.assertEqual(self.output(target, "x y", "*", "").splitlines()[0],
                         "/app/tool|first word|it's|x y|*||")

    def test_rc_local_can_replace_the_entry_point(self):
        target = self.container("application")
        with open(self.data_path("application/etc/rc.local"), "w") as file:
            file.write('exec "$@"\n')
        self.assertEqual(self.output(target, "echo", "direct"), "direct\n")

    def test_a_script_of_the_command_line_replaces_the_images(self):
        target = self.container("application")
        rc = self.write(self.user.work + "/my.rc", 'echo "script:$*"\n')
        for option in (("--rc", rc), ("--rc=my.rc",)):
            self.assertEqual(self.output(*option, target, "a", "b"), "script:a b\n")
        self.refused("start", "--rc", "nosuch.rc", target, says="nosuch.rc")

    def test_volumes_are_writable_in_a_read_only_container(self):
        target = self.container("application")
        rc = self.write(self.user.work + "/rc", 'exec "$@"\n')
        self.output("--rc", rc, target, "sh", "-c", "echo kept >/data/file; echo x >/more/data/y")
        with open(self.data_path("application/data/file")) as file:
            self.assertEqual(file.read(), "kept\n")

    def test_a_volume_of_an_image_file_is_writable_in_memory(self):
        rc = self.write(self.user.work + "/rc", 'exec "$@"\n')
        image = harness.world.library.squashed("application")
        self.assertEqual(self.output("--rc", rc, image, "sh", "-ec",
                                     "echo kept >/data/file; cat /data/file"), "kept\n")

    def test_the_default_command_is_a_shell(self):
        target = self.container()
        result = self.enroot("start", target, input=b"echo from the shell\n")
        self.assertEqual(result.out, "from the shell\n")


class TestConfiguration(SettingsCase):
    def test_the_site_file_loads_unchanged(self):
        self.system_file("enroot.conf", SITE)
        result = self.run_command("enroot", "create", "-n", "x",
                                  harness.world.library.squashed("alpine"))
        # There is no /raid here: the error shows how the line was expanded.
        if not os.path.exists("/raid"):
            self.assertEqual(result.code, 1, result)
            self.assertIn("/raid", result.err)
        self.system_file("enroot.conf", SITE.replace("/raid", self.user.home + "/raid"))
        self.enroot("create", "-n", "x", harness.world.library.squashed("alpine"))
        self.assertTrue(os.path.isdir("%s/raid/local/containers/enroot/data/%d/x" % (
            self.user.home, self.user.uid)))
        devices = self.output("x", "ls", "/dev").split()
        self.assertNotIn("kmsg", devices)
        for job in (None, "4711"):
            self.assertEqual(self.output("x", "echo", "ok", env={"SLURM_JOB_ID": job}), "ok\n")

    def test_drop_ins_and_environment_override_in_order(self):
        target = self.container()
        names = []

        def place():
            """Which of the configured directories list looks into."""
            return [name for name in names if self.enroot("list").out.strip() == name]

        for name in ("file", "drop-in", "later", "environment"):
            os.makedirs("%s/%s/%s" % (self.user.work, name, name))
            names.append(name)
        line = "ENROOT_DATA_PATH %s/%%s\n" % self.user.work
        self.system_file("enroot.conf", line % "file")
        self.assertEqual(place(), ["file"])
        self.system_file("enroot.conf.d/10-site.conf", line % "drop-in")
        self.assertEqual(place(), ["drop-in"])
        self.system_file("enroot.conf.d/20-site.conf", (line % "later").replace(" ", "=", 1))
        self.system_file("enroot.conf.d/30-site.txt", line % "file")
        self.assertEqual(place(), ["later"])
        self.env["ENROOT_DATA_PATH"] = self.user.work + "/environment"
        self.assertEqual(place(), ["environment"])
        self.assertEqual(target, "alpine")

    def test_values_are_expanded_as_a_shell_would(self):
        for value, expected in (
                ("${HOME}/a", self.user.home + "/a"), ("$HOME/b", self.user.home + "/b"),
                ("${NO_SUCH:-%s}/c" % self.user.home, self.user.home + "/c"),
                ("%s/$(id -u)" % self.user.home, "%s/%d" % (self.user.home, self.user.uid)),
                ("%s/$(id -un)" % self.user.home, self.user.home + "/" + self.user.name),
                ("%s/x${NO_SUCH:-}y" % self.user.home, self.user.home + "/xy"),
                ("%s/$(printf two; echo three)" % self.user.home, self.user.home + "/twothree"),
                ('"%s/q"' % self.user.home, self.user.home + "/q")):
            with self.subTest(value):
                self.system_file("enroot.conf", "# comment\n\n  ENROOT_DATA_PATH  %s  \n" % value)
                self.enroot("create", "-f", "-n", "x", harness.world.library.squashed("alpine"))
                self.assertTrue(os.path.isdir(expected + "/x"), os.listdir(self.user.home))

    def test_a_malformed_line_is_named_with_file_and_line(self):
        for line in ("=no setting", "ENROOT_DATA_PATH ${unclosed", 'ENROOT_DATA_PATH "unclosed',
                     "ENROOT_DATA_PATH $(unclosed"):
            with self.subTest(line):
                self.system_file("enroot.conf", "ENROOT_LOGIN_SHELL yes\n\n" + line + "\n")
                result = self.refused("list", says=r"/sysconf/enroot\.conf:3: ")
                self.assertEqual(result.out, "")

    def test_a_wrong_value_is_named_with_its_origin(self):
        self.system_file("enroot.conf", "ENROOT_MAX_PROCESSORS many\n")
        self.refused("list", says=r"ENROOT_MAX_PROCESSORS=many.*/sysconf/enroot\.conf")
        self.env = {"ENROOT_MAX_CONNECTIONS": "-1"}
        self.refused("list", says="ENROOT_MAX_CONNECTIONS=-1.*environment")

    def test_other_programs_settings_are_left_alone(self):
        self.system_file("enroot.conf", "PATH /evil\nLD_PRELOAD=/evil.so\nHOME /evil\n")
        self.container()
        self.assertEqual(self.enroot("list").out, "alpine\n")

    def test_every_spelling_of_no_is_no(self):
        for value in ("n", "no", "N", "NO", "nO", "No", "f", "false", "F", "FALSE", ""):
            with self.subTest(value):
                self.env["ENROOT_ROOTFS_WRITABLE"] = value
                result = self.run_command("enroot", "start", self.existing(), "touch", "/x")
                self.assertNotEqual(result.code, 0)
        self.env["ENROOT_ROOTFS_WRITABLE"] = "yes"
        self.output(self.existing(), "touch", "/x")

    def existing(self):
        if not os.path.exists(self.data_path("alpine")):
            self.container()
        return "alpine"

    def test_directories_follow_the_xdg_variables(self):
        self.env["XDG_DATA_HOME"] = self.user.home + "/xdg-data"
        self.env["XDG_CACHE_HOME"] = self.user.home + "/xdg-cache"
        self.import_from(harness.world.servers.plain, "alpine")
        self.enroot("create", "image.sqsh")
        self.assertTrue(os.path.isdir(self.user.home + "/xdg-data/enroot/image"))
        self.assertTrue(harness.files_below(self.user.home + "/xdg-cache/enroot"))

    def test_version_is_a_number(self):
        self.assertRegex(self.enroot("version").out, re.compile(r"^\d+\.\d+\.\d+\n$"))
