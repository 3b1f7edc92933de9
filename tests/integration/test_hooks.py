"""hooks: programs in hooks.d of site and user, what they see, and what becomes of it."""
import os
import signal
import stat
import subprocess
import time

import harness

SYSTEM = "/etc/enroot/hooks.d"


class HookCase(harness.Case):
    """Hooks of the site and of the user, and containers and images to start with them."""

    def setUp(self):
        super().setUp()
        self.env["ENROOT_LIBRARY_PATH"] = library_path()
        os.makedirs(SYSTEM, exist_ok=True)
        self.addCleanup(subprocess.run, ["rm", "-rf", SYSTEM], check=True)

    def hook(self, name, text, where=SYSTEM, mode=0o755, interpreter="#!/bin/bash\nset -eu\n"):
        os.makedirs(where, exist_ok=True)
        path = os.path.join(where, name)
        with open(path, "w") as file:
            file.write(interpreter + text)
        os.chmod(path, mode)
        return path

    @property
    def user_hooks(self):
        return os.path.join(self.user.home, ".config/enroot/hooks.d")

    def targets(self):
        """A container and an image file: hooks must work the same on both."""
        yield self.container()
        yield harness.world.library.squashed("alpine")

    def output(self, *arguments, **options):
        return self.enroot("start", *arguments, **options).out


def library_path():
    """Where the build under test has its common.sh."""
    found = subprocess.run(["find", os.path.dirname(harness.world.bin), "-name", "common.sh"],
                           stdout=subprocess.PIPE, check=True).stdout.decode().split()
    return os.path.dirname(found[0])


class TestPrograms(HookCase):
    def test_the_row_of_variables(self):
        """Hooks get the host's environment, ENROOT_PID, ENROOT_ROOTFS, ENROOT_ENVIRON,
        ENROOT_MOUNTS, ENROOT_LIBRARY_PATH and the settings in force."""
        self.hook("50-show.sh", 'env > "$SEEN"\nls -d "$ENROOT_ROOTFS/bin" >> "$SEEN"\n')
        seen = self.user.work + "/seen"
        for target in self.targets():
            for option, expected in (("--rw", None), ("--root", "yes")):
                process = self.start("enroot", "start", option, target, "true",
                                     env={"SEEN": seen, "FROM_HOST": "a b", "BASH_ENV": "/none"})
                process.communicate(timeout=harness.TIMEOUT)
                self.assertEqual(process.returncode, 0)
                with open(seen) as file:
                    lines = file.read().splitlines()
                found = dict(line.split("=", 1) for line in lines if "=" in line)
                self.assertEqual(found["ENROOT_PID"], str(process.pid))
                self.assertEqual(found["FROM_HOST"], "a b")
                self.assertEqual(found["HOME"], self.user.home)
                self.assertEqual(found["ENROOT_LIBRARY_PATH"], library_path())
                self.assertEqual(found.get("ENROOT_REMAP_ROOT"), expected)
                self.assertEqual(found.get("ENROOT_ROOTFS_WRITABLE"), None if expected else "yes")
                self.assertEqual(lines[-1], found["ENROOT_ROOTFS"] + "/bin")
                for name in ("ENROOT_ENVIRON", "ENROOT_MOUNTS", "ENROOT_VERSION"):
                    self.assertIn(name, found)
                self.assertNotIn("BASH_ENV", found)

    def test_appended_environment_reaches_later_hooks_and_the_command(self):
        self.hook("40-first.sh", 'grep -q ^PATH= "$ENROOT_ENVIRON"\n'
                                 'echo "FIRST=\'a b\'" >> "$ENROOT_ENVIRON"\n'
                                 'echo "  LITERAL=${UNSET-}\\${HOME}" >> "$ENROOT_ENVIRON"\n'
                                 'echo "ENROOT_X=1" >> "$ENROOT_ENVIRON"\n'
                                 'echo "not a definition" >> "$ENROOT_ENVIRON"\n')
        self.hook("60-second.sh", 'grep -qx "FIRST=a b" "$ENROOT_ENVIRON"\n'
                                  'sed -i "s/^FIRST=.*/FIRST=changed/" "$ENROOT_ENVIRON"\n')
        for target in self.targets():
            self.assertEqual(self.output(target, "sh", "-c", "echo $FIRST $LITERAL ${ENROOT_X-no}"),
                             "changed ${HOME} no\n")

    def test_appended_mounts_are_made_after_the_hooks(self):
        os.mkdir(self.user.work + "/a directory")
        self.hook("50-mount.sh",
                  'mkdir -p "$ENROOT_ROOTFS/mnt/before"\n'
                  'echo "${PWD// /\\\\040}/a\\040directory /mnt/x none x-create=dir,bind,ro"'
                  ' >> "$ENROOT_MOUNTS"\n'
                  'echo "tmpfs /mnt/y tmpfs x-create=dir" >> "$ENROOT_MOUNTS"\n')
        for target in self.targets():
            shown = self.output(target, "sh", "-c", "ls /mnt; cut -d' ' -f5,6 /proc/self/mountinfo")
            self.assertIn("before\nx\ny\n", shown)
            self.assertRegex(shown, r"/mnt/x ro,")
            self.assertRegex(shown, r"/mnt/y rw,")

    def test_all_capabilities_of_the_namespace_and_the_old_root(self):
        self.hook("50-caps.sh", 'grep CapEff /proc/self/status > "$SEEN"\n'
                                'mount -t tmpfs tmpfs "$ENROOT_ROOTFS/mnt"\n'
                                'echo kept > "$ENROOT_ROOTFS/mnt/file"\n'
                                'test -d "%s"\n' % self.user.work)
        seen = self.user.work + "/seen"
        for target in self.targets():
            for options in ([], ["--root"], ["--rw"]):
                shown = self.output(*options, target, "sh", "-c",
                                    "cat /mnt/file; grep CapEff /proc/self/status",
                                    env={"SEEN": seen})
                with open(seen) as file:
                    self.assertRegex(file.read(), r"CapEff:\t0*[1-9a-f][0-9a-f]*f\n")
                self.assertTrue(shown.startswith("kept\n"))
                if "--root" not in options:
                    self.assertRegex(shown, r"CapEff:\t0+\n")

    def test_system_then_user_in_the_order_of_names(self):
        for name, where in (("20-b.sh", SYSTEM), ("00-a.sh", SYSTEM), ("05-c.sh", self.user_hooks),
                            ("00-z.sh", self.user_hooks)):
            self.hook(name, 'echo "${0##*/}" >> "$SEEN"\n', where)
        seen = self.user.work + "/seen"
        self.output(self.container(), "true", env={"SEEN": seen})
        with open(seen) as file:
            self.assertEqual(file.read().split(), ["00-a.sh", "20-b.sh", "00-z.sh", "05-c.sh"])

    def test_only_executable_files_with_the_suffix_run(self):
        marker = self.user.work + "/ran"
        for name, mode in (("50-a.sh", 0o644), ("50-b", 0o755), (".50-c.sh", 0o755)):
            self.hook(name, "touch %s\n" % marker, mode=mode)
        os.mkdir(SYSTEM + "/50-d.sh")
        self.output(self.container(), "true")
        self.assertFalse(os.path.exists(marker))

    def test_a_program_of_any_kind(self):
        os.makedirs(SYSTEM, exist_ok=True)
        self.hook("50-python.sh", "import os\nopen(os.environ['ENROOT_ENVIRON'], 'a')"
                                  ".write('PYTHON=yes')\n", interpreter="#!/usr/bin/env python3\n")
        # Without "#!" bash reads it, as when bash itself had run it.
        self.hook("60-bare.sh", '[[ -n $BASH_VERSION ]] && echo "BARE=yes" >> "$ENROOT_ENVIRON"\n',
                  interpreter="")
        self.assertEqual(self.output(self.container(), "sh", "-c", "echo $PYTHON $BARE"),
                         "yes yes\n")

    def test_missing_hook_directories(self):
        subprocess.run(["rm", "-rf", SYSTEM], check=True)
        self.assertEqual(self.output(self.container(), "echo", "x"), "x\n")

    def test_output_does_not_mix_with_that_of_the_command(self):
        self.hook("50-talk.sh", "echo to stdout\necho to stderr >&2\n")
        result = self.enroot("start", self.container(), "echo", "x")
        self.assertEqual(result.out, "x\n")
        self.assertIn("to stderr\n", result.err)

    def test_the_working_directory_is_the_callers(self):
        os.mkdir(self.user.work + "/data")
        self.hook("50-here.sh", 'pwd > "$SEEN"\n')
        seen = self.user.work + "/seen"
        for target in self.targets():
            self.output("-m", "data:/mnt/data", target, "ls", "/mnt/data", env={"SEEN": seen})
            with open(seen) as file:
                self.assertEqual(file.read(), self.user.work + "\n")

    def test_the_container_is_known_by_its_number_on_the_host(self):
        """Also inside a namespace of process ids, where it calls itself 1."""
        self.hook("50-pid.sh", 'cat "/proc/$ENROOT_PID/comm" > "$SEEN"\n'
                               'test "$ENROOT_PID" != 1\n')
        seen = self.user.work + "/seen"
        for target in self.targets():
            self.assertEqual(self.output("--pid", target, "sh", "-c", "echo $$",
                                         env={"SEEN": seen}), "1\n")
            with open(seen) as file:
                self.assertEqual(file.read(), "enroot\n")

    def test_nothing_is_left_behind_for_the_container_to_see(self):
        self.hook("50-nothing.sh", "true\n")
        for target in self.targets():
            shown = self.output("--rw", target, "sh", "-c",
                                "ls -l /proc/self/fd; cat /proc/self/mountinfo; ps")
            self.assertNotIn(self.user.run, shown)


class TestFailures(HookCase):
    def test_a_failing_hook_stops_the_start_and_is_named(self):
        path = self.hook("50-fails.sh", "exit 7\n")
        for target in self.targets():
            result = self.refused("start", target, "echo", "started",
                                  says=path + " exited with return code 7")
            self.assertEqual(result.out, "")

    def test_a_hook_that_is_killed_is_named(self):
        path = self.hook("50-killed.sh", "kill -KILL $$\n")
        self.refused("start", self.container(), "true",
                     says=path + " exited with return code 137")

    def test_an_interpreter_that_is_missing(self):
        path = self.hook("50-odd.sh", "", interpreter="#!/no/such/program\n")
        self.refused("start", self.container(), "true",
                     says="hook %s: .*interpreter.* missing" % path)

    def test_garbage_mounts_are_refused_with_hook_and_line(self):
        target = self.container()
        for text, says in (("/x /y none no-such-option", "2: .*no-such-option"),
                           ("a b c d e f g h", "2: more than 6 fields"),
                           ("/no/such/dir /mnt none bind", "2: mount /no/such/dir at /mnt"),
                           ("/etc /mnt none bind,x-create=x", "2: .*x-create must be")):
            path = self.hook("50-garbage.sh", "printf '# ours\\n%%s\\n' '%s'"
                             " >> \"$ENROOT_MOUNTS\"\n" % text)
            self.refused("start", target, "true", says="mounts of %s:%s" % (path, says))

    def test_binary_garbage_and_floods_are_refused(self):
        target = self.container()
        for name, text in (("mounts", 'printf "a\\0b\\n" >> "$ENROOT_MOUNTS"'),
                           ("mounts", 'head -c 2000000 /dev/zero >> "$ENROOT_MOUNTS"'),
                           ("environ", 'head -c 2000000 /dev/zero >> "$ENROOT_ENVIRON"')):
            path = self.hook("50-flood.sh", text + "\n")
            self.refused("start", target, "true", says=path)

    def test_a_mount_cannot_leave_the_rootfs(self):
        """A hook's line has the same rules as any other: targets stay below the rootfs."""
        target = self.container()
        os.symlink("/etc", self.data_path("alpine/link"))
        self.hook("50-out.sh", 'echo "tmpfs /link/../../../mnt tmpfs" >> "$ENROOT_MOUNTS"\n')
        self.assertEqual(self.output(target, "sh", "-c", "grep -c ' /mnt ' /proc/self/mountinfo"),
                         "1\n")

    def hang(self, text, number, group):
        """Send a signal while a hook hangs; nothing may be left of it."""
        self.hook("50-hangs.sh", text)
        for target in self.targets():
            ready = self.user.work + "/ready"
            process = self.start("enroot", "start", target, "echo", "started",
                                 env={"READY": ready}, start_new_session=True)
            deadline = time.monotonic() + 60
            while not os.path.exists(ready) and time.monotonic() < deadline:
                time.sleep(0.02)
            os.remove(ready)
            if group:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            out, _ = process.communicate(timeout=harness.TIMEOUT)
            self.assertEqual((process.returncode, out), (-number, b""))
            self.assertEqual(self.wait_for_no_process(self.user), [])
            self.enroot("remove", "-f", target) if "/" not in target else None

    def test_ctrl_c_ends_a_hook_that_hangs(self):
        self.hang('touch "$READY"\nsleep 1000\n', signal.SIGINT, group=True)

    def test_ctrl_c_ends_a_hook_that_ignores_it(self):
        self.hang('trap "" INT\nsleep 1000 & \ntouch "$READY"\nwait\nsleep 1000\n', signal.SIGINT,
                  group=True)

    def test_a_signal_to_enroot_alone_ends_the_hook(self):
        self.hang('touch "$READY"\nsleep 1000\n', signal.SIGTERM, group=False)

    def test_nothing_of_the_image_runs_outside_or_reaches_programs_outside(self):
        """CVE-2025-23266: variables of the image, LD_PRELOAD first, are not the hooks'."""
        target = self.container()
        with open(self.data_path("alpine/etc/environment"), "a") as file:
            file.write("LD_PRELOAD=/evil.so\nLD_LIBRARY_PATH=/evil\nPATH=/evil\nBASH_ENV=/evil\n"
                       "IMAGE=yes\n")
        os.makedirs(self.data_path("alpine/evil"))
        seen = self.user.work + "/seen"
        self.hook("50-show.sh", 'env > "$SEEN"\n')
        self.output("--env", "LD_DEBUG=all", target, "/bin/true", env={"SEEN": seen})
        with open(seen) as file:
            text = file.read()
        for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "IMAGE", "LD_DEBUG", "/evil"):
            self.assertNotIn(name, text)


class TestBuiltins(HookCase):
    """A file with the name of a built-in hook replaces it, in its place."""

    def test_a_file_with_a_built_in_name_replaces_it(self):
        for where in (SYSTEM, self.user_hooks):
            self.hook("10-shadow.sh", 'echo "replaced:x:1:1::/:/bin/sh"'
                                      ' > "$ENROOT_ROOTFS/etc/passwd"\n', where)
            for target in self.targets():
                self.assertEqual(self.output(target, "cat", "/etc/passwd"),
                                 "replaced:x:1:1::/:/bin/sh\n")
            self.enroot("remove", "-f", "alpine")
            os.remove(where + "/10-shadow.sh")

    def test_one_that_is_not_executable_switches_it_off(self):
        self.hook("10-shadow.sh", "", mode=0o644)
        for target in self.targets():
            self.assertNotIn(self.user.name, self.output(target, "cat", "/etc/passwd"))

    def test_every_row_of_the_standard_hooks_can_be_replaced_and_runs_in_order(self):
        """10-aptfix, 10-cgroups, 10-devices, 10-home, 10-localtime, 10-shadow, 50-mig-config,
        50-sharp, 50-slurm-pmi, 50-slurm-pytorch; and 98-nvidia, 99-mellanox of a site."""
        names = ["10-aptfix", "10-cgroups", "10-devices", "10-home", "10-localtime", "10-shadow",
                 "30-other", "50-mig-config", "50-sharp", "50-slurm-pmi", "50-slurm-pytorch",
                 "98-nvidia", "99-mellanox"]
        for name in names:
            self.hook(name + ".sh", 'echo "${0##*/}" >> "$SEEN"\n')
        seen = self.user.work + "/seen"
        self.output(self.container(), "true", env={"SEEN": seen, "ENROOT_RESTRICT_DEV": "yes"})
        with open(seen) as file:
            self.assertEqual(file.read().split(), [name + ".sh" for name in names])

    def test_programs_see_what_built_in_hooks_before_them_want_mounted(self):
        self.hook("11-late.sh", 'cat "$ENROOT_MOUNTS" > "$SEEN"\n'
                                'sed -i "/sys.fs.cgroup/d" "$ENROOT_MOUNTS"\n')
        self.hook("09-early.sh", 'test ! -s "$ENROOT_MOUNTS"\n')
        seen = self.user.work + "/seen"
        shown = self.output(self.container(), "cat", "/proc/self/mountinfo",
                            env={"SEEN": seen, "ENROOT_MOUNT_HOME": "yes"})
        with open(seen) as file:
            text = file.read()
        self.assertIn(" /sys/fs/cgroup none ", text)
        self.assertIn("%s %s none " % (self.user.home, self.user.home), text)
        self.assertIn(" %s " % self.user.home, shown)

    def test_dry_run_names_the_hooks_and_runs_none(self):
        marker = self.user.work + "/ran"
        path = self.hook("50-x.sh", "touch %s\n" % marker)
        self.hook("10-home.sh", "", mode=0o644)
        shown = self.output("--dry-run", self.container(), "true")
        self.assertIn(path, shown)
        self.assertIn("10-shadow.sh", shown)
        self.assertNotIn("10-home", shown)
        self.assertFalse(os.path.exists(marker))


class TestOptional(HookCase):
    """The hooks that settings switch on."""

    def variables(self, *arguments, env, image_environment=""):
        target = self.container()
        with open(self.data_path("alpine/etc/environment"), "a") as file:
            file.write(image_environment)
        shown = self.output(target, "env", env=env)
        self.enroot("remove", "-f", target)
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def test_slurm_pmi(self):
        directory = self.user.work + "/pmix dir"
        os.mkdir(directory)
        job = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_MPI_TYPE": "pmix_v4",
               "PMIX_RANK": "3", "PMIX_PTL_MODULE": "tcp", "PMIX_SECURITY_MODE": "munge",
               "PMIX_GDS_MODULE": "hash", "PMIX_MCA_gds": "ds21", "PMI_FD": "5",
               "PMIX_SERVER_TMPDIR": directory}
        found = self.variables(env={**job, "ENROOT_SLURM_PMI": "yes"})
        for name in ("SLURM_JOB_ID", "PMIX_RANK", "PMI_FD"):
            self.assertEqual(found[name], job[name])
        self.assertEqual([found["PMIX_MCA_" + name] for name in ("ptl", "psec", "gds")],
                         ["tcp", "munge", "ds21"])
        self.assertNotIn("SLURM_JOB_ID", self.variables(env=job))
        shown = self.output(self.container(), "ls", "-d", directory,
                            env={**job, "ENROOT_SLURM_PMI": "yes"})
        self.assertEqual(shown, directory + "\n")
        self.enroot("remove", "-f", "alpine")
        for changes, absent in (({"SLURM_STEP_ID": None}, "SLURM_JOB_ID"),
                                ({"SLURM_MPI_TYPE": "pmi2"}, "PMIX_RANK")):
            self.assertNotIn(absent, self.variables(env={**job, "ENROOT_SLURM_PMI": "y",
                                                         **changes}))

    def test_slurm_pytorch(self):
        job = {"ENROOT_SLURM_PYTORCH": "yes", "SLURM_STEP_NODELIST": "rack[1-2]node[007-9,20],x",
               "SLURM_JOB_ID": "12345", "SLURM_NTASKS": "8", "SLURM_PROCID": "5",
               "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "4"}
        torch = "PYTORCH_VERSION=2\n"
        found = self.variables(env=job, image_environment=torch + "RANK=kept\n")
        self.assertEqual(
            {name: found.get(name) for name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK",
                                                "LOCAL_RANK", "OMP_NUM_THREADS")},
            {"MASTER_ADDR": "rack1node007", "MASTER_PORT": str(12345 % 4536 + 61000),
             "WORLD_SIZE": "8", "RANK": "kept", "LOCAL_RANK": "1", "OMP_NUM_THREADS": "1"})
        self.assertNotIn("MASTER_ADDR", self.variables(env=job))
        found = self.variables(env={**job, "SLURM_STEP_NUM_TASKS": "4"}, image_environment=torch)
        self.assertNotIn("OMP_NUM_THREADS", found)

    def test_sharp(self):
        job = {"ENROOT_SHARP": "yes", "SLURM_NETWORK": "sharp", "SLURM_STEP_NUM_NODES": "4"}
        image = "MELLANOX_VISIBLE_DEVICES=all\nNCCL_COLLNET_ENABLE=0\n"
        found = self.variables(env=job, image_environment=image)
        self.assertEqual(found["SHARP_COLL_LOCK_ON_COMM_INIT"], "1")
        self.assertEqual(found["SHARP_COLL_NUM_COLL_GROUP_RESOURCE_ALLOC_THRESHOLD"], "0")
        self.assertEqual(found["NCCL_COLLNET_ENABLE"], "0")
        self.assertEqual(found["NCCL_SHARP_GROUP_SIZE_THRESH"], "4")
        for env, text in (({**job, "SLURM_NETWORK": None}, image), (job, ""),
                          ({**job, "MELLANOX_VISIBLE_DEVICES": "none"}, image)):
            self.assertNotIn("SHARP_COLL_LOCK_ON_COMM_INIT",
                             self.variables(env=env, image_environment=text))

    def test_mig_config(self):
        """nvidia-smi is asked; a stand-in for it here, for machines without a GPU."""
        self.hook("98-nvidia.sh", "", mode=0o644)  # switched off: it would look for the GPU
        tools = self.user.work + "/tools"
        self.hook("nvidia-smi", 'echo "$@" > "$SEEN"\necho Disabled\necho "${MIG-Enabled}"\n',
                  tools)
        path = tools + ":" + self.user.environment()["PATH"]
        seen = self.user.work + "/seen"
        env = {"ENROOT_MIG_CONFIG": "yes", "PATH": path, "SEEN": seen}
        found = self.variables(env=env, image_environment="NVIDIA_VISIBLE_DEVICES=0,1\n")
        self.assertEqual(found["NVIDIA_MIG_CONFIG_DEVICES"], "all")
        with open(seen) as file:
            self.assertEqual(file.read(),
                             "--query-gpu=mig.mode.current --format=csv,noheader -i 0,1\n")
        for changes, devices in (({"MIG": "Disabled"}, "all"), ({}, "none"), ({}, "MIG-1234"),
                                 ({}, "0:1"), ({"NVIDIA_VISIBLE_DEVICES": "void"}, "all"),
                                 ({"ENROOT_MIG_CONFIG": "no"}, "all")):
            found = self.variables(env={**env, **changes},
                                   image_environment="NVIDIA_VISIBLE_DEVICES=%s\n" % devices)
            self.assertNotIn("NVIDIA_MIG_CONFIG_DEVICES", found)
        self.refused("start", self.container(), "true", says="50-mig-config.*nvidia-smi",
                     env={"ENROOT_MIG_CONFIG": "yes", "NVIDIA_VISIBLE_DEVICES": "all"})

    def test_a_file_of_that_name_replaces_them(self):
        self.hook("50-slurm-pmi.sh", 'echo "OURS=yes" >> "$ENROOT_ENVIRON"\n')
        found = self.variables(env={"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0",
                                    "ENROOT_SLURM_PMI": "yes"})
        self.assertEqual((found["OURS"], found.get("SLURM_JOB_ID")), ("yes", None))


class TestHelpers(HookCase):
    def test_enroot_mount_in_a_hook(self):
        """enroot-mount [--root DIR] [--pass N] FILE|-"""
        self.hook("50-mounts.sh",
                  'enroot-mount --root "$ENROOT_ROOTFS" - <<< "tmpfs /mnt/a tmpfs x-create=dir"\n'
                  'printf "%s\\n" "tmpfs /mnt/b tmpfs x-create=dir 0 -1"'
                  ' "tmpfs /mnt/c tmpfs x-create=dir" > "$PWD/fstab"\n'
                  'enroot-mount --pass -1 --root "$ENROOT_ROOTFS" "$PWD/fstab"\n'
                  'enroot-mount --root="$ENROOT_ROOTFS" - <<< "/none /mnt/d none bind,nofail"\n')
        for target in self.targets():
            for option in ("--rw", "--root"):
                shown = self.output(option, target, "cut", "-d ", "-f5", "/proc/self/mountinfo")
                self.assertIn("/mnt/a\n", shown)
                self.assertIn("/mnt/b\n", shown)
                self.assertNotIn("/mnt/c\n", shown)

    def test_enroot_mount_is_found_whatever_the_path(self):
        self.hook("50-mounts.sh",
                  'enroot-mount --root "$ENROOT_ROOTFS" - <<< "tmpfs /mnt/a tmpfs x-create=dir"\n')
        program = harness.world.bin + "/enroot"
        result = self.run_command(program, "start", self.container(), "cat", "/proc/self/mountinfo",
                                  env={"PATH": "/usr/bin:/bin"})
        self.assertEqual(result.code, 0, result)
        self.assertIn(" /mnt/a ", result.out)

    def test_enroot_mount_refuses_with_a_reason(self):
        for arguments, text, says in ((["--root", "/no/such", "-"], "", "--root /no/such"),
                                      (["--pass", "x", "-"], "", "--pass x: not a number"),
                                      (["/no/such"], "", "/no/such: No such file"),
                                      (["-"], "/x /y none bogus\n", "-:1: .*bogus"),
                                      (["--bogus", "-"], "", "unknown option: --bogus")):
            result = self.run_command("enroot-mount", *arguments, input=text.encode())
            self.assertEqual(result.code, 1, result)
            self.assertRegex(result.err, r"\[ERROR\] .*" + says)
        self.assertIn("Usage: enroot-mount", self.run_command("enroot-mount").out)

    def test_enroot_switchroot(self):
        """enroot-switchroot [--norc] [--login] [--rcfile FILE] [--envfile FILE]
        [--workdir DIR] ROOTFS [COMMAND] [ARG...]"""
        root = self.data_path(self.container())
        with open(self.user.work + "/env", "w") as file:
            file.write("ONLY=this\n# no\nPATH=/usr/bin:/bin\n")
        with open(self.user.work + "/rc", "w") as file:
            file.write('echo "rc: $*"\n')

        def switch(*arguments):
            return self.run_command(
                "unshare", "-rm", "sh", "-c",
                'mount --bind "$1" "$1" && mount -t proc proc "$1/proc" 2>/dev/null;'
                ' mount --rbind /proc "$1/proc"; root=$1; shift; exec enroot-switchroot "$@"',
                "sh", root, *[root if word == "ROOT" else word for word in arguments])

        result = switch("--envfile", "env", "--norc", "ROOT", "env")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(sorted(result.out.split()), ["ONLY=this", "PATH=/usr/bin:/bin"])
        result = switch("--envfile", "env", "--norc", "--login", "ROOT", "sh", "-c",
                        "echo $HOME $USER $LOGNAME; pwd")
        self.assertEqual(result.out.split()[0], "/root", result)
        result = switch("--rcfile", "rc", "ROOT", "a", "b")
        self.assertEqual((result.code, result.out), (0, "rc: a b\n"), result)
        result = switch("--workdir", "/etc", "--norc", "ROOT", "pwd")
        self.assertEqual((result.code, result.out), (0, "/etc\n"), result)
        result = self.run_command("unshare", "-rm", "enroot-switchroot", root, "true")
        self.assertEqual(result.code, 1)
        self.assertIn("mount point", result.err)


class TestLibrary(HookCase):
    """common.sh: every function that hooks of sites call."""

    def common(self, script, code=0, **options):
        result = self.run_command(
            "bash", "-c", 'set -euo pipefail; source "$ENROOT_LIBRARY_PATH/common.sh"\n'
            'source "$ENROOT_LIBRARY_PATH/common.sh"\n' + script, **options)
        self.assertEqual(result.code, code, result)
        return result

    def test_log_and_err(self):
        result = self.common('common::log INFO a; common::log WARN "b c" NL; common::log\n'
                             'printf "x\\ny" | common::log ERROR -; common::err "the end"', code=1)
        self.assertEqual(result.err.splitlines(), ["[INFO] a", "[WARN] b c", "[ERROR] x",
                                                   "[ERROR] y", "[ERROR] the end"])
        self.assertEqual(self.common("common::fmt red text").out, "text")

    def test_checkcmd(self):
        self.common("common::checkcmd ls cat common::log")
        self.assertEqual(self.common("common::checkcmd ls no-such", code=1).err,
                         "[ERROR] Command not found: no-such\n")

    def test_realpath_chdir_and_mountpoint(self):
        os.symlink("/usr/bin", self.user.work + "/link")
        self.assertEqual(self.common("common::realpath link").out, "/usr/bin")
        self.assertIn("No such file", self.common("common::realpath no/such/file", code=1).err)
        self.assertEqual(self.common("common::chdir link; pwd -P").out, "/usr/bin\n")
        self.assertIn("Could not change directory: x", self.common("common::chdir x", code=1).err)
        self.assertEqual(self.common("common::mountpoint /proc/self/status").out, "/proc")
        self.assertEqual(self.common("common::mountpoint /proc").out, "/proc")

    def test_envsubst_and_envfmt(self):
        with open(self.user.work + "/file", "w") as file:
            file.write("a ${ONE}${ONE} $ONE ${NONE}b ${bad-x}\n${ONE}")
        self.assertEqual(self.common("common::envsubst file", env={"ONE": "${NONE} 1*"}).out,
                         "a ${NONE} 1*${NONE} 1* $ONE b ${bad-x}\n${NONE} 1*\n")
        self.assertEqual(self.common("common::envsubst none").out, "")
        with open(self.user.work + "/file", "w") as file:
            file.write("  A=1\n#B=2\n\nC='x y' \nENROOT_D=1\nno\nE=\"q\"\n")
        self.assertEqual(self.common("common::envfmt file; cat file").out, "A=1\nC=x y\nE=q\n")

    def test_runparts(self):
        for name, mode in (("1.sh", 0o755), ("2.sh", 0o644), ("3.sh", 0o755), ("4.x", 0o755)):
            self.hook(name, 'echo "ran ${0##*/}"\n', self.user.work + "/parts", mode)
        self.assertEqual(self.common("common::runparts list .sh parts").out,
                         "parts/1.sh\nparts/2.sh\nparts/3.sh\n")
        self.assertEqual(self.common("common::runparts exec .sh parts").out,
                         "ran 1.sh\nran 3.sh\n")
        self.assertEqual(self.common("common::runparts exec .sh none").out, "")
        self.hook("1.sh", "exit 3\n", self.user.work + "/parts")
        self.assertIn("parts/1.sh exited with return code 3",
                      self.common("common::runparts exec .sh parts", code=1).err)

    def test_getpwent_and_getgrent(self):
        for prefix in ("", "unshare -r "):
            result = self.run_command("sh", "-c", prefix + "bash -c 'set -eu; source "
                                      '"$ENROOT_LIBRARY_PATH/common.sh"; common::getpwent; '
                                      "common::getgrent'")
            lines = result.out.splitlines()
            self.assertEqual(lines[0].split(":")[2:4], [str(self.user.uid), str(self.user.gid)])
            self.assertEqual(lines[1].split(":")[2], str(self.user.gid))

    def test_mktmpdir_rmall_and_fixperms(self):
        made = self.common("common::mktmpdir name", env={"ENROOT_TEMP_PATH": self.user.work}).out
        self.assertRegex(made, self.user.work + r"/name\.\w{10}\n")
        made = made.strip()
        self.assertEqual(stat.S_IMODE(os.stat(made).st_mode), 0o700)
        self.common('mkdir -p "$1/a/b"; touch "$1/a/b/f"; chmod 0 "$1/a/b/f"; chmod 500 "$1/a/b"; '
                    .replace("$1", made) + "common::fixperms " + made)
        self.assertEqual(stat.S_IMODE(os.stat(made + "/a/b").st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(made + "/a/b/f").st_mode), 0o400)
        self.common("chmod 0 %s/a/b; common::rmall %s" % (made, made))
        self.assertFalse(os.path.exists(made))

    def test_debarch_read_and_readstrarray(self):
        self.assertEqual(self.common("common::debarch x86_64; common::debarch aarch64").out,
                         "amd64arm64")
        self.assertIn("Unsupported", self.common("common::debarch vax", code=1).err)
        self.assertEqual(self.common("common::read -r a b <<< 'x y'; common::read -r c < /dev/null;"
                                     'echo "$a$b$c"').out, "xy\n")
        self.assertEqual(self.common("x=(); common::readstrarray x $'a b\\nc'; "
                                     'echo "${#x[@]} ${x[0]}"; common::readstrarray x ""').out,
                         "2 a b\n")

    def test_the_scripts_are_clean(self):
        library = library_path()
        examples = os.path.join(library.rsplit("/lib", 1)[0], "share/enroot/examples")
        for path in (library + "/common.sh", examples + "/window.conf"):
            result = subprocess.run(["shellcheck", "-s", "bash", path], stdout=subprocess.PIPE)
            self.assertEqual(result.returncode, 0, result.stdout.decode())
