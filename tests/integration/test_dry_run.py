"""start --dry-run: the plan, without privilege and without changing anything."""
import os
import subprocess

import harness
import trees
from test_environment import SettingsCase


def section(plan, name):
    """The indented lines below a heading."""
    lines = plan.splitlines()
    start = lines.index(name + ":") + 1
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith(" ")), len(lines))
    return [line.strip() for line in lines[start:end]]


class TestDryRun(SettingsCase):
    def targets(self):
        yield self.container()
        yield harness.world.library.squashed("alpine")

    def plan(self, *arguments, **options):
        return self.enroot("start", "--dry-run", *arguments, **options).out

    def snapshot(self):
        return [trees.scan(path) for path in (self.user.home, self.user.work, self.user.run)]

    def test_the_plan_has_rootfs_ids_namespaces_and_command(self):
        for target in self.targets():
            plan = self.plan(target, "echo", "hello world")
            self.assertIn("rootfs: ", plan)
            self.assertIn(os.path.basename(target), plan.splitlines()[0])
            self.assertIn("read-only", plan.splitlines()[0])
            self.assertIn("namespaces: user mount", plan)
            self.assertIn("user: %d inside, %d on the host" % (self.user.uid, self.user.uid), plan)
            self.assertEqual(section(plan, "arguments")[1:], ["/etc/rc", "echo", "hello world"])
            self.assertIn("directory: " + self.user.home, plan)
            plan = self.plan("--root", "--rw", target)
            self.assertIn("user: 0 inside, %d on the host" % self.user.uid, plan)
            self.assertIn("writable", plan.splitlines()[0])

    def test_mounts_are_in_order_and_have_an_origin(self):
        path = self.user_file("mounts.d/50-mine.fstab", "tmpfs /second tmpfs x-create=dir 0 2\n"
                              "tmpfs /first tmpfs x-create=dir 0 1\n"
                              "tmpfs /early tmpfs x-create=dir 0 -1\n")
        for target in self.targets():
            plan = self.plan("-m", "tmpfs:/last:tmpfs", target)
            before = section(plan, "mounts before the hooks")
            self.assertTrue(before[0].startswith("/proc /proc none "), before)
            self.assertIn("  # %s:3" % path, before[-1])
            after = section(plan, "mounts after the hooks")
            self.assertEqual([line.split()[1] for line in after][-3:],
                             ["/last", "/first", "/second"])
            self.assertIn("  # tmpfs:/last:tmpfs", after[-3])
            self.assertTrue([line for line in after if "10-cgroups" in line], after)

    def test_hooks_say_what_they_would_change(self):
        for target in self.targets():
            hooks = section(self.plan(target), "hooks")
            self.assertEqual([line for line in hooks if line.startswith("10-")],
                             ["10-aptfix.sh", "10-cgroups.sh", "10-devices.sh", "10-home.sh",
                              "10-localtime.sh", "10-shadow.sh"])
            self.assertTrue([line for line in hooks if line.startswith("write /etc/passwd (")])
            self.assertIn("make directory %s from /etc/skel" % self.user.home, hooks)
            hooks = section(self.plan(target, env={"ENROOT_RESTRICT_DEV": "yes",
                                                   "ENROOT_MOUNT_HOME": "yes"}), "hooks")
            self.assertIn("link /dev/fd to /proc/self/fd", hooks)
            self.assertTrue([line for line in hooks if line.startswith("mount tmpfs /dev tmpfs ")])
            self.assertTrue([line for line in hooks if line.startswith(
                "later mount %s %s " % (self.user.home, self.user.home))])

    def test_the_environment_is_that_of_the_start(self):
        for target in self.targets():
            plan = section(self.plan("-e", "MINE=yes", target, "env"), "environment")
            real = self.output("-e", "MINE=yes", target, "env").splitlines()
            self.assertLessEqual(set(plan), set(real))
            for name in ("MINE", "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM"):
                self.assertTrue([line for line in plan if line.startswith(name + "=")], name)

    def test_nothing_is_changed(self):
        for target in self.targets():
            before = self.snapshot()
            self.plan("-m", "tmpfs:/made/here:tmpfs:x-create=dir", target, "true")
            self.assertEqual(self.snapshot(), before)
        self.assertEqual(os.listdir(self.user.run), [])

    def test_no_privilege_is_needed(self):
        """Where user namespaces are forbidden, a start fails and its plan is the same."""
        inside = self.user.work + "/chroot"
        os.mkdir(inside)
        for target in self.targets():
            allowed = self.plan(target)
            # user_namespaces(7): none are made by a process whose root is not its namespace's.
            script = "mount --rbind / %s && cd %s && exec chroot . setpriv --reuid=%d --regid=%d " \
                "--clear-groups enroot start $0 %s" % (inside, inside, self.user.uid, self.user.gid,
                                                      target)
            for option, status in (("--rw", 1), ("--dry-run", 0)):
                result = subprocess.run(["unshare", "--mount", "sh", "-c", script, option],
                                        env=self.user.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self.assertEqual(result.returncode, status, result.stderr)
            self.assertEqual(harness.text(result.stdout), allowed)

    def test_what_would_stop_the_start_is_an_error(self):
        for target in self.targets():
            result = self.refused("start", "--dry-run", "-m", "/nosuch:/mnt", target,
                                  says="/nosuch")
            self.assertIn("mounts after the hooks:", result.out)
            self.refused("start", "--dry-run", "-m", "/a:/b:none:frob", target, says="frob")
        self.refused("start", "--dry-run", "nosuch", says="nosuch")

    def test_links_of_an_image_are_followed_inside_it(self):
        """/etc/environment and /etc/passwd through links of the image, never the host's."""
        root = self.user.work + "/tree"
        for directory in ("bin", "etc", "data"):
            os.makedirs(root + "/" + directory)
        subprocess.run(["cp", "/bin/busybox", root + "/bin/sh"], check=True)
        os.symlink("../../../../data/environment", root + "/etc/environment")
        os.symlink("/data/passwd", root + "/etc/passwd")
        os.symlink("/data", root + "/data/again")
        self.write(root + "/data/environment", "FROM=image\n")
        self.write(root + "/data/passwd", "root:x:0:0::/home-of-root:/bin/sh\n")
        subprocess.run(["mksquashfs", root, self.user.work + "/image.sqsh", "-quiet",
                        "-no-progress"], check=True, stdout=subprocess.DEVNULL)
        os.chmod(self.user.work + "/image.sqsh", 0o644)
        plan = self.plan("./image.sqsh")
        self.assertIn("FROM=image", section(plan, "environment"))
        self.assertIn("program: /bin/sh", plan)
