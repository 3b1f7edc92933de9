"""conf: start configurations, given to start or run by batch."""
import os
import signal
import time

import harness
from test_hooks import HookCase


class ConfCase(HookCase):
    def conf(self, text, name="conf.sh"):
        path = os.path.join(self.user.work, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path


class TestFunctions(ConfCase):
    def test_environ_comes_after_the_files_and_before_the_options(self):
        self.conf('environ() {\n  grep -q ^PATH= "$ENROOT_ENVIRON"\n'
                  '  echo "FROM_CONF=$FROM_HOST x"\n  echo "MODE=\'conf\'"\n'
                  '  echo "OPTION=conf"\n  echo "ENROOT_X=1"\n  echo "LITERAL=\\${HOME}"\n}\n')
        for target in self.targets():
            for option in ("-c", "--conf"):
                shown = self.output(option, "conf.sh", "-e", "OPTION=word", target, "sh", "-c",
                                    'echo "$FROM_CONF|$MODE|$OPTION|${ENROOT_X-}|$LITERAL"',
                                    env={"FROM_HOST": "a  b"})
                self.assertEqual(shown, "a  b x|conf|word||${HOME}\n")

    def test_the_whole_environment_of_the_host(self):
        self.conf("environ() {\n  env\n}\n")
        shown = self.output("-c", "conf.sh", self.container(), "sh", "-c", "echo $WORDS $HOME",
                            env={"WORDS": "of host", "LINES2": "a\nb c\n=d"})
        self.assertEqual(shown, "of host %s\n" % self.user.home)

    def test_mounts_come_after_the_hooks_and_before_the_options(self):
        os.mkdir(self.user.work + "/data")
        with open(self.user.work + "/data/file", "w") as file:
            file.write("data\n")
        self.conf('mounts() {\n  echo "${PWD}/data /mnt none bind,ro"\n'
                  '  echo "tmpfs /tmp/x tmpfs x-create=dir"\n}\n'
                  'hooks() {\n  echo "tmpfs /mnt tmpfs" >> "$ENROOT_MOUNTS"\n}\n')
        for target in self.targets():
            shown = self.output("-c", "conf.sh", "-m", "data:/tmp/x/y:none:bind,x-create=dir",
                                target, "cat", "/mnt/file", "/tmp/x/y/file")
            self.assertEqual(shown, "data\ndata\n")

    def test_hooks_has_the_files_the_capabilities_and_the_functions_of_common_sh(self):
        self.conf('hooks() {\n  common::log INFO "from hooks"\n'
                  '  enroot-mount --root "$ENROOT_ROOTFS" - <<< "tmpfs /mnt tmpfs"\n'
                  '  echo made > "$ENROOT_ROOTFS/mnt/file"\n  echo hidden\n'
                  '  echo "ADDED=$ENROOT_PID" >> "$ENROOT_ENVIRON"\n}\n')
        for target in self.targets():
            process = self.start("enroot", "start", "-c", "conf.sh", target, "sh", "-c",
                                 "cat /mnt/file; echo $ADDED")
            out, err = map(harness.text, process.communicate(timeout=harness.TIMEOUT))
            self.assertEqual(out, "made\n%d\n" % process.pid, err)
            self.assertEqual(err, "[INFO] from hooks\n")

    def test_hooks_runs_after_the_hook_programs(self):
        self.hook("99-last.sh", 'echo "ORDER=program" >> "$ENROOT_ENVIRON"\n')
        self.conf('hooks() {\n  grep -qx ORDER=program "$ENROOT_ENVIRON"\n'
                  '  echo "ORDER=conf" >> "$ENROOT_ENVIRON"\n}\n')
        self.assertEqual(self.output("-c", "conf.sh", self.container(), "sh", "-c", "echo $ORDER"),
                         "conf\n")

    def test_rc_replaces_the_script_of_the_image(self):
        self.conf('rc() {\n  echo "rc: $*"\n  if [ "$1" = exec ]; then\n    shift\n'
                  '    exec "$@"\n  fi\n}\n')
        for target in self.targets():
            self.assertEqual(self.output("-c", "conf.sh", target, "exec", "echo", "a b"),
                             "rc: exec echo a b\na b\n")
        with open(self.user.work + "/other", "w") as file:
            file.write("echo other\n")
        self.assertEqual(self.output("-c", "conf.sh", "--rc", "other", target, "x"), "other\n")

    def test_the_functions_share_one_shell(self):
        self.conf('COUNT=1\nARGUMENTS="$*"\nNAME="${0##*/}"\n'
                  'environ() {\n  COUNT=$((COUNT + 1))\n  echo "ARGUMENTS=$ARGUMENTS"\n}\n'
                  'hooks() {\n  echo "COUNT=$((COUNT + 1)) $NAME" >> "$ENROOT_ENVIRON"\n}\n')
        self.assertEqual(self.output("-c", "conf.sh", self.container(), "sh", "-c",
                                     'echo "$ARGUMENTS"; echo "$COUNT"', "x  y"),
                         'sh -c echo "$ARGUMENTS"; echo "$COUNT" x  y\n3 conf.sh\n')

    def test_a_configuration_without_functions(self):
        self.conf("")
        for target in self.targets():
            self.assertEqual(self.output("--conf=conf.sh", target, "echo", "x"), "x\n")

    def test_root_and_read_only_and_all_together(self):
        self.conf('#ENROOT_REMAP_ROOT=y\nenviron() { echo "A=1"; }\n'
                  'mounts() { echo "tmpfs /mnt tmpfs"; }\n'
                  'hooks() { echo "B=2" >> "$ENROOT_ENVIRON"; }\n'
                  'rc() { id -u; echo "$A$B"; touch /x 2> /dev/null || echo read-only; }\n')
        for target in self.targets():
            self.assertEqual(self.output("-c", "conf.sh", target), "0\n12\nread-only\n")
            self.assertEqual(self.output("-c", "conf.sh", "--rw", target), "0\n12\n")

    def test_dry_run_does_not_run_it(self):
        path = self.conf("touch ran\nenviron() { touch ran; }\n")
        shown = self.output("--dry-run", "-c", "conf.sh", self.container(), "true")
        self.assertIn(path, shown)
        self.assertFalse(os.path.exists(self.user.work + "/ran"))


class TestDirectives(ConfCase):
    def test_directives_outrank_the_environment_and_options_outrank_them(self):
        self.conf("#ENROOT_REMAP_ROOT=y\n#  ENROOT_ROOTFS_WRITABLE no\n")
        target = self.container()
        result = self.run_command("enroot", "start", "-c", "conf.sh", target, "sh", "-c",
                                  "id -u; touch /x", env={"ENROOT_ROOTFS_WRITABLE": "yes"})
        self.assertEqual(result.out, "0\n")
        self.assertIn("Read-only", result.err)
        self.output("-c", "conf.sh", "--rw", target, "touch", "/x")

    def test_every_row_of_batch_settings(self):
        """ENROOT_ROOTFS, ENROOT_LOGIN_SHELL, ENROOT_ROOTFS_WRITABLE, ENROOT_REMAP_ROOT,
        ENROOT_ALLOW_SUPERUSER; their values are expanded as those of enroot.conf."""
        self.container(name="there")
        self.conf("#ENROOT_ROOTFS=${PREFIX}re\n#ENROOT_LOGIN_SHELL=no\n"
                  "#ENROOT_ROOTFS_WRITABLE=yes\n#ENROOT_REMAP_ROOT=$(echo yes)\n#ENROOT_ALLOW_SUPERUSER=no\n")
        shown = self.enroot("batch", "conf.sh", "sh", "-c", "id -u; touch /x; echo ${USER-none} $0",
                            env={"PREFIX": "the"}).out
        self.assertEqual(shown, "0\nnone sh\n")

    def test_a_bad_directive_is_named_with_its_line(self):
        path = self.conf("# text\n\n#ENROOT_MAX_PROCESSORS=many\n#ENROOT_DATA_PATH=$(\n")
        self.refused("start", "-c", path, "x", says="%s:4: ENROOT_DATA_PATH" % path)
        path = self.conf("#ENROOT_MAX_PROCESSORS=many\n")
        self.refused("start", "-c", path, "x", says="ENROOT_MAX_PROCESSORS=many .from " + path)


class TestBatch(ConfCase):
    def test_batch_starts_what_the_configuration_names(self):
        for target in self.targets():
            self.conf("#ENROOT_ROOTFS=%s\nenviron() { echo A=1; }\n" % target)
            result = self.run_command("enroot", "batch", "conf.sh", "sh", "-c", "echo $A; exit 3")
            self.assertEqual((result.code, result.out), (3, "1\n"), result)
            self.assertEqual(self.enroot("batch", "--", "conf.sh", "echo", "-x").out, "-x\n")

    def test_a_configuration_is_a_program(self):
        """#! /usr/bin/env -S enroot batch, and #!/…/enroot batch"""
        self.container()
        for first in ("/usr/bin/env -S enroot batch", harness.world.bin + "/enroot batch"):
            path = self.conf("#! %s\n#ENROOT_ROOTFS=alpine\nrc() { echo \"$@\"; }\n" % first)
            result = self.run_command(path, "a", "b c")
            self.assertEqual((result.code, result.out), (0, "a b c\n"), result)

    def test_batch_refuses_what_it_cannot_do(self):
        path = self.conf("environ() { :; }\n")
        self.refused("batch", path, says=path + " names no container: .*#ENROOT_ROOTFS=NAME")
        self.conf("#ENROOT_ROOTFS=no-such\n")
        self.refused("batch", path, says="no such container or image file: no-such")
        self.refused("batch", "/no/such", says="start configuration /no/such: No such file")
        self.refused("batch", "/etc", says="start configuration /etc: not a regular file")
        result = self.run_command("enroot", "batch")
        self.assertEqual(result.code, 1)
        self.assertIn("Usage: enroot batch", result.err)
        self.assertIn("--root", self.run_command("enroot", "batch", "--root", path).err)


class TestFailures(ConfCase):
    def test_errors_name_file_and_function(self):
        target = self.container()
        for function in ("environ", "mounts", "hooks"):
            path = self.conf("%s() {\n  return 4\n}\n" % function)
            self.refused("start", "-c", path, target, "true",
                         says=r"%s: %s\(\) exited with return code 4" % (path, function))
            self.conf("%s() {\n  echo $NOT_DEFINED\n}\n" % function)
            result = self.refused("start", "-c", path, target, "true",
                                  says=r"%s: %s\(\) exited with return code 1" % (path, function))
            self.assertIn("NOT_DEFINED", result.err)

    def test_a_script_that_fails_or_cannot_be_read_by_bash(self):
        target = self.container()
        path = self.conf("touch ran\nif then\n")
        result = self.refused("start", "-c", path, target, "true", says=path + " exited with")
        self.assertIn("syntax error", result.err)
        self.assertFalse(os.path.exists(self.user.work + "/ran"))
        self.conf("false\n")
        self.refused("start", "-c", path, target, "true", says=path + " exited with return code 1")
        os.chmod(path, 0)
        self.refused("start", "-c", path, target, "true", says=path + ": Permission denied")

    def test_exit_in_a_function_is_explained(self):
        path = self.conf("hooks() {\n  exit 0\n}\n")
        self.refused("start", "-c", path, self.container(), "true",
                     says=r"%s: hooks\(\) has ended the script with \"exit\"" % path)

    def test_garbage_is_refused_with_function_and_line(self):
        target = self.container()
        path = self.conf('mounts() {\n  echo "/etc /mnt none bind"\n  echo "/x /y none bogus"\n}\n')
        self.refused("start", "-c", path, target, "true",
                     says=r"mounts of %s: mounts\(\):2: .*bogus" % path)
        self.conf('environ() {\n  head -c 2000000 /dev/zero\n}\n')
        self.refused("start", "-c", path, target, "true",
                     says=r"%s: environ\(\): .*larger" % path)

    def test_missing_bash_and_missing_common_sh_are_named(self):
        path = self.conf("")
        tools = self.user.work + "/tools"
        os.mkdir(tools)
        self.run_command(harness.world.bin + "/enroot", "version")
        result = self.run_command(harness.world.bin + "/enroot", "start", "-c", path,
                                  self.container(), "true", env={"PATH": tools})
        self.assertEqual(result.code, 1)
        self.assertRegex(result.err, r"\[ERROR\] .*bash")
        result = self.run_command("enroot", "start", "-c", path, "alpine", "true",
                                  env={"ENROOT_LIBRARY_PATH": "/none"})
        self.assertRegex(result.err, "/none/common.sh")
        self.assertEqual(result.code, 1)

    def test_ctrl_c_ends_a_function_that_hangs(self):
        self.conf('hooks() {\n  trap "" INT\n  touch ready\n  sleep 1000\n}\n')
        process = self.start("enroot", "start", "-c", "conf.sh", self.container(), "echo",
                             "started", start_new_session=True)
        deadline = time.monotonic() + 60
        while not os.path.exists(self.user.work + "/ready") and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=harness.TIMEOUT)
        self.assertEqual((process.returncode, out), (-signal.SIGINT, b""))
        self.assertEqual(self.wait_for_no_process(self.user), [])

    def test_nothing_is_left_running(self):
        self.conf("environ() { echo A=1; }\n")
        for target in self.targets():
            shown = self.output("-c", "conf.sh", target, "sh", "-c",
                                'read children < /proc/$$/task/$$/children; echo "[$children]"')
            self.assertEqual(shown, "[]\n")
