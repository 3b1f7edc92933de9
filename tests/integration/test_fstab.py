"""The fstab grammar of the reference, a test for each row of its table, in real mounts."""
import os
import stat
import subprocess

import harness
from test_environment import SettingsCase


class FstabCase(SettingsCase):
    def setUp(self):
        super().setUp()
        self.host = self.user.work + "/host"
        self.write(self.host + "/file", "from the host\n")
        self.target = self.container()

    def targets(self):
        yield self.target
        yield harness.world.library.squashed("alpine")

    def fstab(self, text):
        return self.user_file("mounts.d/50-test.fstab", text)

    def mount_lines(self, *arguments, **options):
        """Mount point to fields of mountinfo(5), the last mount on a point counting."""
        shown = self.output(*arguments, "cat", "/proc/self/mountinfo", **options)
        return {line.split()[4]: line.split() for line in shown.splitlines()}

    def flags(self, point, *arguments, **options):
        return set(self.mount_lines(*arguments, **options)[point][5].split(","))

    def propagation(self, point, *arguments):
        fields = self.mount_lines(*arguments)[point]
        return {field.split(":")[0] for field in fields[6:fields.index("-")]}

    def host_mount(self, name, options, kind="tmpfs"):
        """A mount that is there before the user starts anything."""
        place = self.user.work + "/" + name
        os.makedirs(place, exist_ok=True)
        subprocess.run(["mount", "-t", kind, "-o", options, kind, place], check=True)
        return place


class TestGrammar(FstabCase):
    def test_fields_may_be_left_out(self):
        """`/proc /proc rbind`, `tmpfs /tmp`: every form that the reference completes."""
        lines = {
            "/proc /proc rbind": ("/proc", "test -r /proc/self/stat"),
            "/proc rbind": ("/proc", "test -r /proc/self/stat"),
            "tmpfs /tmp": ("/tmp", "touch /tmp/x"),
            "tmpfs /tmp none": ("/tmp", "touch /tmp/x"),
            self.host: (self.host, "cat %s/file" % self.host),
            self.host + " /new/dir": ("/new/dir", "cat /new/dir/file"),
            self.host + "/file /new/file": ("/new/file", "cat /new/file"),
            self.host + " /mnt bind,ro": ("/mnt", "! touch /mnt/x 2>/dev/null"),
            "none /dev/pts devpts": ("/dev/pts", "test -e /dev/pts/ptmx"),
        }
        for line, (point, script) in lines.items():
            self.fstab(line + "\n")
            for target in self.targets():
                self.output(target, "sh", "-ec", script)
                self.assertIn(point, self.mount_lines(target), line)

    def test_x_create_makes_the_target_beneath_the_root_for_the_user(self):
        """x-create=dir|file|auto"""
        self.fstab("".join("%s %s none bind,x-create=%s\n" % line for line in (
            (self.host, "/made/dir", "dir"), (self.host + "/file", "/made/file", "file"),
            (self.host, "/made/auto-dir", "auto"),
            (self.host + "/file", "/made/auto-file", "auto")))
            + "tmpfs /made/tmpfs tmpfs x-create=auto\n")
        for target in self.targets():
            self.output(target, "sh", "-ec", "test -f /made/dir/file; test -f /made/file; "
                        "test -f /made/auto-dir/file; test -f /made/auto-file; test -d /made/tmpfs")
        for name, kind in (("dir", stat.S_ISDIR), ("file", stat.S_ISREG),
                           ("auto-dir", stat.S_ISDIR), ("auto-file", stat.S_ISREG), ("tmpfs", stat.S_ISDIR)):
            status = os.lstat(self.data_path("alpine/made", name))
            self.assertTrue(kind(status.st_mode), name)
            self.assertEqual(status.st_uid, self.user.uid)
        self.fstab("%s /absent none bind\n" % self.host)
        self.refused("start", self.target, "true", says="/absent.*x-create")

    def test_x_move_and_x_detach(self):
        self.fstab("tmpfs /first tmpfs x-create=dir\n"
                   "${ENROOT_ROOTFS}/first /second none x-create=dir,x-move\n"
                   "tmpfs /gone tmpfs x-create=dir\nnone /gone none x-detach\n"
                   "none /never none x-detach,nofail,silent\n")
        for target in self.targets():
            points = self.mount_lines(target)
            self.assertIn("/second", points)
            self.assertFalse({"/first", "/gone"} & set(points))

    def test_nofail_and_silent(self):
        self.fstab("/nosuch/a /mnt none bind,nofail\n/nosuch/b /mnt none bind,nofail,silent\n")
        for target in self.targets():
            result = self.enroot("start", target, "true")
            self.assertIn("/nosuch/a", result.err)
            self.assertNotIn("/nosuch/b", result.err)
        self.fstab("/nosuch/c /mnt none bind,silent\n")
        self.refused("start", self.target, "true", says="50-test.fstab:1.*/nosuch/c at /mnt")

    def test_propagation_words(self):
        """private slave shared unbindable and their recursive forms"""
        expected = {"private": set(), "slave": {"master"}, "shared": {"shared"},
                    "unbindable": {"unbindable"}}
        # A source whose mounts propagate to whoever is its slave.
        shared = self.host_mount("propagating", "mode=755")
        subprocess.run(["mount", "--make-shared", shared], check=True)
        for word, found in expected.items():
            for prefix in ("", "r"):
                # Inside a user namespace all mounts are slaves of those outside.
                allowed = (found, found | {"master"}) if word == "shared" else (found,)
                self.assertIn(self.propagation(
                    "/mnt", "-m", "%s:/mnt:none:rbind,%s%s" % (shared, prefix, word), self.target),
                    allowed, prefix + word)
        self.refused("start", "-m", self.host + ":/mnt:none:bind,rprivat", self.target, "true",
                     says="rprivat")

    def test_flags(self):
        """bind rbind remount ro rw nosuid nodev noexec relatime and their opposites"""
        cases = {
            "bind,ro": {"ro"}, "rbind,nosuid,nodev,noexec": {"nosuid", "nodev", "noexec"},
            # Access times of the host's mounts are locked, and none of these an error.
            "bind,noatime": {"rw"}, "bind,nodiratime": {"rw"}, "bind,strictatime": {"rw"},
            "bind,relatime,ro": {"relatime", "ro"}, "bind,ro,rw": {"rw"},
            "bind,nosuid,suid,nodev,dev,noexec,exec,async,defaults": {"rw"},
            "ro": {"ro"},
        }
        for options, expected in cases.items():
            found = self.flags("/mnt", "-m", "%s:/mnt:none:%s" % (self.host, options), self.target)
            self.assertLessEqual(expected, found, options)
            if "exec" in options.split(","):
                self.assertFalse(found & {"nosuid", "nodev", "noexec"}, options)
        # Nobody but the mount's maker may relax it, and the maker is this start.
        found = self.flags("/mnt", "-m", self.host + ":/mnt:none:bind,ro,nosuid",
                           "-m", "none:/mnt:none:remount,bind,rw,noexec", self.target)
        self.assertLessEqual({"rw", "nosuid", "noexec"}, found)
        self.assertLessEqual({"noatime", "nodiratime"}, self.flags(
            "/mnt", "-m", "tmpfs:/mnt:tmpfs:noatime",
            "-m", "none:/mnt:none:remount,bind,nodiratime", self.target))
        line = self.mount_lines("-m", "tmpfs:/mnt:tmpfs:size=1m,mode=700,nosuid,noatime",
                                "-m", "none:/mnt:none:remount,size=2m,nosuid,noatime",
                                self.target)["/mnt"]
        self.assertIn("size=2048k", line[-1])

    def test_fs_passno_orders_mounts(self):
        """fs_passno: rising, -1 before the hooks; where it is equal, as they stand."""
        self.fstab("%s /tree/b/c none x-create=dir,bind 0 3\ntmpfs /tree/b tmpfs x-create=dir 0 2\n"
                   "tmpfs /tree tmpfs x-create=dir 0 1\ntmpfs /etc/early tmpfs x-create=dir 0 -1\n"
                   "%s /etc/early/dir none x-create=dir,bind\n" % (self.host, self.host))
        for target in self.targets():
            self.output(target, "cat", "/tree/b/c/file", "/etc/early/dir/file")

    def test_variables_are_substituted(self):
        """${VAR} of the host, and of the start: ENROOT_ROOTFS"""
        self.write(self.user.work + "/a b/file", "with a blank\n")
        self.fstab("${PLACE} /mnt/${NAME} none x-create=dir,bind,${NONE}\n"
                   "${ENROOT_ROOTFS}/etc /other none x-create=dir,bind,ro\n")
        for target in self.targets():
            self.assertEqual(self.output(
                target, "sh", "-c", "cat /mnt/x/file; test -f /other/passwd",
                env={"PLACE": self.user.work + "/a b", "NAME": "x"}), "with a blank\n")
        self.fstab("${NONE} /mnt none bind\n")
        self.refused("start", self.target, "true", says="50-test.fstab:1.*source is empty")

    def test_targets_are_relative_to_the_root(self):
        self.fstab("%s mnt none bind\n%s new/../../up none x-create=dir,bind\n"
                   % (self.host, self.host))
        for target in self.targets():
            self.output(target, "cat", "/mnt/file", "/up/file")

    def test_a_relative_source_is_one_of_the_working_directory(self):
        """In --mount, and, as in the classic tool, in files."""
        self.fstab("host /mnt none bind\n./host/file /one none x-create=file,bind\n")
        for target in self.targets():
            self.output(target, "cat", "/mnt/file", "/one")
            self.output("-m", "../%s/host:/opt" % os.path.basename(self.user.work), target, "cat",
                        "/opt/file")

    def test_the_colon_form(self):
        """SRC:DST:TYPE:OPTS, shortest SRC[:DST]; blanks as they are, colons as \\:"""
        for name in ("a b", "c:d", "e\\f", "g#h", "i$j", "ü"):
            self.write(self.user.work + "/" + name + "/file", name)
        for name, source in (("a b", "a b"), ("a b", "a\\040b"), ("c:d", "c\\:d"),
                             ("c:d", "c\\072d"), ("e\\f", "e\\f"), ("g#h", "g#h"), ("i$j", "i$j"),
                             ("ü", "ü")):
            for target in self.targets():
                for tail in ("/mnt", "/mnt/" + source + ":none:x-create=dir,bind"):
                    point = "/mnt/" + name if "bind" in tail else "/mnt"
                    self.assertEqual(self.output("-m", source + ":" + tail, target, "cat",
                                                 point + "/file"), name)
        self.refused("start", "-m", "c:d:/mnt:none:bind", self.target, "true", says=".")
        self.output("-m", self.host, self.target, "test", "-f", self.host + "/file")
        self.output("-m", "tmpfs:/x:tmpfs:x-create=dir,size=1g", self.target, "test", "-d", "/x")


class TestChecks(FstabCase):
    def test_every_source_is_looked_for_before_anything_is_mounted(self):
        self.fstab("tmpfs /made/by/first tmpfs x-create=dir 0 -1\n")
        for target in self.targets():
            self.refused("start", "-m", "tmpfs:/made/by/second:tmpfs:x-create=dir",
                         "-m", "/nosuch/source:/mnt", target, "true",
                         says="--mount|/nosuch/source:/mnt: mount /nosuch/source at /mnt: source")
        self.assertFalse(os.path.exists(self.data_path("alpine/made")))

    def test_a_hook_may_make_the_source_of_a_later_mount(self):
        place = self.user.work + "/made/by/hook"
        self.user_file("hooks.d/50-make.sh", "#!/bin/sh\nmkdir -p %s\n" % place, mode=0o755)
        for target in self.targets():
            self.output("-m", place + ":/mnt", target, "true")
            subprocess.run(["rm", "-r", self.user.work + "/made"], check=True)
            # What the hook does not make is missed before the first of its mounts.
            self.refused("start", "-m", "tmpfs:/opt/new:tmpfs:x-create=dir", "-m", "/nosuch:/mnt",
                         target, "true", says="mount /nosuch at /mnt: source")
            self.assertFalse(os.path.exists(self.data_path("alpine/opt/new")))
            # The earlier ones are missed before the hook runs.
            subprocess.run(["rm", "-r", self.user.work + "/made"], check=True)
            self.fstab("/nosuch /mnt none bind 0 -1\n")
            self.refused("start", target, "true", says="source")
            self.assertFalse(os.path.exists(self.user.work + "/made"))
            self.fstab("")

    def test_an_error_names_origin_source_and_target(self):
        path = self.fstab("\n%s /etc none bind\n" % (self.host + "/file"))
        result = self.refused("start", self.target, "true", says="directory")
        for part in (path + ":2", self.host + "/file", "/etc"):
            self.assertIn(part, result.err)

    def test_targets_behind_links_stay_inside(self):
        """Whatever links the image holds: absolute, climbing, dangling, circular."""
        outside = self.user.work + "/outside"
        os.mkdir(outside)
        os.chown(outside, self.user.uid, self.user.gid)
        root = self.data_path("alpine")
        for name, text in (("absolute", outside), ("climbing", "../" * 20 + outside[1:]),
                           ("dangling", outside + "/made"), ("circle", "circle"),
                           ("etc/chain", "../absolute")):
            os.symlink(text, root + "/" + name)
        for point in ("/absolute", "/climbing/x", "/dangling", "/dangling/y", "/etc/chain/z"):
            for kind, source in (("dir", self.host), ("file", self.host + "/file")):
                self.run_command("enroot", "start", "-m", "%s:%s:none:bind,x-create=%s" % (
                    source, point, kind), self.target, "true")
        self.refused("start", "-m", self.host + ":/circle:none:bind,x-create=dir", self.target,
                     "true", says="too many levels|/circle")
        self.assertEqual(os.listdir(outside), [])


class TestLockedFlags(FstabCase):
    """Flags that a more privileged mount namespace has set stay (mount_namespaces(7))."""

    LOCKED = {"ro", "nosuid", "nodev", "noexec"}

    def setUp(self):
        super().setUp()
        self.locked = self.host_mount("locked", "mode=755")
        self.write(self.locked + "/file", "locked\n")
        subprocess.run(["mount", "-o", "remount,ro,nosuid,nodev,noexec", self.locked], check=True)

    def test_flags_of_a_source_are_kept(self):
        """As of NFS homes and nosuid scratch file systems: bind with any option succeeds."""
        for options in ("bind", "rbind", "bind,rw", "rbind,rw,suid,dev,exec", "bind,relatime",
                        "bind,noatime", "rbind,rw,nosuid,nodev,rslave", "bind,strictatime,exec"):
            for target in self.targets():
                found = self.flags("/mnt", "-m", "locked:/mnt:none:" + options, target)
                self.assertLessEqual(self.LOCKED, found, options)
        self.assertEqual(self.output("-m", "locked:/mnt", self.target, "cat", "/mnt/file"),
                         "locked\n")

    def test_a_remount_keeps_them_too(self):
        for options in ("remount,bind,rw", "remount,bind,nosuid", "remount,bind,exec,suid"):
            found = self.flags("/mnt", "-m", "locked:/mnt:none:bind", "-m",
                               "none:/mnt:none:" + options, self.target)
            self.assertLessEqual(self.LOCKED, found, options)

    def test_a_recursive_bind_takes_locked_mounts_along(self):
        inner = self.host_mount("outer", "mode=755") + "/inner"
        os.mkdir(inner)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,noexec", "tmpfs", inner], check=True)
        for options in ("rbind", "rbind,rw,exec", "rbind,ro,nosuid,rprivate"):
            for target in self.targets():
                lines = self.mount_lines("-m", "outer:/mnt:none:" + options, target)
                self.assertLessEqual({"ro", "noexec"}, set(lines["/mnt/inner"][5].split(",")))
        # What lies below cannot be uncovered: the error says how to go on.
        self.refused("start", "-m", "outer:/mnt:none:bind", self.target, "true", says="use rbind")
        self.refused("start", "-m", "outer:/mnt:none:rbind", "-m", "none:/mnt/inner:none:x-detach",
                     self.target, "true", says="detach")

    def test_a_container_on_such_a_file_system_starts(self):
        """ENROOT_DATA_PATH on a nosuid, nodev, noatime file system."""
        place = self.host_mount("data", "nosuid,nodev,noatime")
        os.chown(place, self.user.uid, self.user.gid)
        env = {"ENROOT_DATA_PATH": place}
        self.enroot("create", "-n", "here", harness.world.library.squashed("alpine"), env=env)
        for options in ((), ("--rw",)):
            lines = self.mount_lines(*options, "here", env=env)
            self.assertLessEqual({"nosuid", "nodev", "noatime", "rw" if options else "ro"},
                                 set(lines["/"][5].split(",")))

    def test_an_image_on_such_a_file_system_starts_and_is_mounted(self):
        subprocess.run(["mount", "-o", "remount,rw", self.locked], check=True)
        image = self.locked + "/image.sqsh"
        subprocess.run(["cp", harness.world.library.squashed("alpine"), image], check=True)
        subprocess.run(["mount", "-o", "remount,ro", self.locked], check=True)
        self.output("-m", image + ":/data:squashfs", image, "/data/bin/busybox", "true")
