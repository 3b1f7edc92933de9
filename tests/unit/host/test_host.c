/* host/: os-release, kernel parameters and the advice that follows from them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fake_root.h"
#include "host/host.h"
#include "util/cleanup.h"

static void test_distributions(void **state)
{
        static const struct {
                const char *text;
                enum host_family family;
                const char *name, *version;
        } cases[] = {
                { "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
                  HOST_DEBIAN, "Debian GNU/Linux 12 (bookworm)", "12" },
                { "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"", HOST_UBUNTU, "", "24.04" },
                { "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", HOST_UBUNTU, "", "" },
                { "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9.3'\n", HOST_REDHAT,
                  "", "9.3" },
                { "ID=\"centos\"\nVERSION_ID=\"7\"\n", HOST_REDHAT, "", "7" },
                { "ID=\"sles\"\nID_LIKE=\"suse\"\n", HOST_SUSE, "", "" },
                { "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\n", HOST_SUSE, "", "" },
                { "ID=alpine\nVERSION_ID=3.20.1\n", HOST_ALPINE, "", "3.20.1" },
                { "ID=nixos\n", HOST_UNKNOWN, "", "" },
                { "# ID=debian\n ID=debian\nID\n=\n\n", HOST_UNKNOWN, "", "" },
                { "ID=\"\nPRETTY_NAME=''\nVERSION_ID=\"", HOST_UNKNOWN, "", "\"" },
                { "", HOST_UNKNOWN, "", "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct host_distribution found;

                host_distribution_parse(cases[i].text, strlen(cases[i].text), &found);
                assert_int_equal(found.family, cases[i].family);
                assert_string_equal(found.name, cases[i].name);
                assert_string_equal(found.version, cases[i].version);
        }
}

static void test_distribution_file(void **state)
{
        struct host_distribution found;

        (void)state;
        host_distribution_load(fake_root, &found);
        assert_int_equal(found.family, HOST_UNKNOWN);
        fake_root_put("/usr/lib/os-release", "ID=alpine\n");
        host_distribution_load(fake_root, &found);
        assert_int_equal(found.family, HOST_ALPINE);
        fake_root_put("/etc/os-release", "ID=centos\nVERSION_ID=\"7.9\"\n");
        host_distribution_load(fake_root, &found);
        assert_true(host_is_redhat_7(&found));
        fake_root_put("/etc/os-release", "ID=centos\nVERSION_ID=\"70\"\n");
        host_distribution_load(fake_root, &found);
        assert_false(host_is_redhat_7(&found));
}

static void test_sysctl(void **state)
{
        long value = 5;

        (void)state;
        assert_false(host_sysctl(fake_root, "user.max_user_namespaces", &value));
        fake_root_put("/proc/sys/user/max_user_namespaces", "");
        assert_false(host_sysctl(fake_root, "user.max_user_namespaces", &value));
        fake_root_put("/proc/sys/user/max_user_namespaces", "word\n");
        assert_false(host_sysctl(fake_root, "user.max_user_namespaces", &value));
        assert_int_equal(value, 5);
        fake_root_put("/proc/sys/user/max_user_namespaces", "-1\n");
        assert_true(host_sysctl(fake_root, "user.max_user_namespaces", &value));
        assert_int_equal(value, -1);
}

static void test_chroot(void **state)
{
        (void)state;
        assert_false(host_in_chroot(fake_root));
        fake_root_put("/proc/self/mountinfo", "22 1 0:20 / / rw - ext4 /dev/sda rw\n"
                                              "23 22 0:21 / /proc rw - proc proc rw\n");
        assert_false(host_in_chroot(fake_root));
        fake_root_put("/proc/self/mountinfo", "23 22 0:21 / /proc rw - proc proc rw\n");
        assert_true(host_in_chroot(fake_root));
        fake_root_put("/proc/self/mountinfo", "23\n\n1 2");
        assert_true(host_in_chroot(fake_root));
}

/* Each setting of scenario 8 that forbids user namespaces is named with its mend. */
static void test_user_namespace_advice(void **state)
{
        static const struct {
                const char *path, *text;
                int code;
                const char *cause, *mend;
        } cases[] = {
                { "/proc/sys/user/max_user_namespaces", "0\n", ENOSPC, "allows no user namespaces",
                  "user.max_user_namespaces=65536" },
                { "/proc/sys/kernel/unprivileged_userns_clone", "0\n", EPERM, "to root",
                  "kernel.unprivileged_userns_clone=1" },
                { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", EACCES,
                  "AppArmor", "kernel.apparmor_restrict_unprivileged_userns=0" },
                { "/proc/sys/user/max_user_namespaces", "10\n", ENOSPC, "too many", "raise" },
                { "/x", "", EUSERS, "nested", "" },
                { "/x", "", EINVAL, "CONFIG_USER_NS", "kernel" },
                { "/etc/os-release", "ID=ol\nVERSION_ID=7.6\n", EINVAL, "at boot", "grubby" },
                { "/proc/self/mountinfo", "2 1 0:1 / /proc rw\n", EPERM, "chroot", "pivot_root" },
                { "/proc/self/status", "Name:\tx\nSeccomp:\t2\n", EPERM, "seccomp filter",
                  "unconfined" },
                { "/proc/self/status", "Name:\tx\nSeccomp:\t0\n", EPERM, "security policy",
                  "audit" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct host_advice advice;

                assert_int_equal(fake_root_reset(state), 0);
                fake_root_put(cases[i].path, cases[i].text);
                host_advise(fake_root, HOST_USER_NAMESPACE, cases[i].code, &advice);
                assert_non_null(strstr(advice.cause, cases[i].cause));
                assert_non_null(strstr(advice.mend, cases[i].mend));
        }
}

static void test_other_advice(void **state)
{
        static const struct {
                enum host_feature feature;
                int code;
                const char *cause, *mend;
        } cases[] = {
                { HOST_MOUNT_NAMESPACE, ENOSPC, "limit", "user.max_mnt_namespaces" },
                { HOST_PID_NAMESPACE, ENOSPC, "limit", "user.max_pid_namespaces" },
                { HOST_NET_NAMESPACE, EPERM, "security policy", "" },
                { HOST_UTS_NAMESPACE, EINVAL, "built without", "" },
                { HOST_IPC_NAMESPACE, ENOMEM, "", "" },
                { HOST_CGROUP_NAMESPACE, ENOSPC, "limit", "user.max_cgroup_namespaces" },
                { HOST_FUSE_DEVICE, EACCES, "kept to root", "fuse3" },
                { HOST_FUSE_DEVICE, EPERM, "device cgroup", "10:229" },
                { HOST_FUSE_DEVICE, ENOENT, "no such device", "modprobe fuse" },
                { HOST_FUSE_DEVICE, EMFILE, "", "" },
                { HOST_OVERLAY, ENODEV, "no overlayfs", "modprobe overlay" },
                { HOST_OVERLAY, EPERM, "5.11", "enroot create" },
                { HOST_SECCOMP, EINVAL, "CONFIG_SECCOMP_FILTER", "kernel" },
                { HOST_SECCOMP, EACCES, "", "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct host_advice advice;

                host_advise(fake_root, cases[i].feature, cases[i].code, &advice);
                assert_non_null(strstr(advice.cause, cases[i].cause));
                assert_non_null(strstr(advice.mend, cases[i].mend));
                assert_int_equal(*advice.cause == '\0', *cases[i].cause == '\0');
        }
}

/* The mend names the distribution's own files, commands and packages. */
static void test_mends(void **state)
{
        static const struct {
                const char *version;
                enum host_family family;
                const char *sysctl, *boot, *module, *package;
        } cases[] = {
                { "12", HOST_DEBIAN, "/etc/sysctl.d", "update-grub", "modules-load.d",
                  "apt-get install uidmap" },
                { "24.04", HOST_UBUNTU, "/etc/sysctl.d", "update-grub", "modules-load.d",
                  "uidmap" },
                { "9", HOST_REDHAT, "/etc/sysctl.d", "grubby", "modules-load.d", "shadow-utils" },
                { "15", HOST_SUSE, "/etc/sysctl.d", "grub2-mkconfig", "modules-load.d", "zypper" },
                { "3", HOST_ALPINE, "/etc/sysctl.d", "update-extlinux", "/etc/modules", "apk add" },
                { "", HOST_UNKNOWN, "sysctl.conf", "boot", "modprobe", "install the package" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct host_distribution distribution = { .family = cases[i].family };
                char mend[HOST_MEND_SIZE];

                host_mend_sysctl(&distribution, "a.b", "7", mend);
                assert_non_null(strstr(mend, "sysctl a.b=7"));
                assert_non_null(strstr(mend, cases[i].sysctl));
                host_mend_boot(&distribution, "x=1", mend);
                assert_non_null(strstr(mend, "x=1"));
                assert_non_null(strstr(mend, cases[i].boot));
                host_mend_module(&distribution, "fuse", mend);
                assert_non_null(strstr(mend, "modprobe fuse"));
                assert_non_null(strstr(mend, cases[i].module));
                host_mend_package(&distribution, HOST_PACKAGE_UIDMAP, mend);
                assert_non_null(strstr(mend, cases[i].package));
        }
}

static void test_explain(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        error_set(&err, EACCES, "/dev/fuse: Permission denied");
        assert_int_equal(host_explain(HOST_FUSE_DEVICE, &err), -1);
        assert_non_null(strstr(err.message, "denied; the device is kept to root: as root, "));
        error_set(&err, EMFILE, "x");
        host_explain(HOST_FUSE_DEVICE, &err);
        assert_string_equal(err.message, "x");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_distributions),
                cmocka_unit_test_setup(test_distribution_file, fake_root_reset),
                cmocka_unit_test_setup(test_sysctl, fake_root_reset),
                cmocka_unit_test_setup(test_chroot, fake_root_reset),
                cmocka_unit_test(test_user_namespace_advice),
                cmocka_unit_test_setup(test_other_advice, fake_root_reset),
                cmocka_unit_test(test_mends),
                cmocka_unit_test(test_explain),
        };

        return cmocka_run_group_tests(tests, fake_root_make, fake_root_remove);
}
