/* check/: the runner of probes, what they read, and how it is printed. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/probe.h"
#include "fake_root.h"
#include "util/cleanup.h"

static struct probe_context context = { .root = fake_root };

/* ---- the runner ---- */

static int works(const struct probe_context *c, const struct probe *probe,
                 struct probe_answer *answer, struct error *err)
{
        (void)c;
        (void)err;
        answer->module = probe->subject != NULL;
        return probe_found(answer, "%d", 42);
}

static int is_absent(const struct probe_context *c, const struct probe *probe,
                     struct probe_answer *answer, struct error *err)
{
        (void)c;
        (void)probe;
        (void)answer;
        (void)err;
        return PROBE_ABSENT;
}

static int fails(const struct probe_context *c, const struct probe *probe,
                 struct probe_answer *answer, struct error *err)
{
        (void)c;
        answer->harmless = probe->subject != NULL;
        strcpy(answer->mend, "mend it");
        return error_set(err, ENOENT, "why");
}

static int hangs(const struct probe_context *c, const struct probe *probe,
                 struct probe_answer *answer, struct error *err)
{
        (void)c;
        (void)probe;
        (void)answer;
        (void)err;
        (void)pause();
        return 0;
}

static int crashes(const struct probe_context *c, const struct probe *probe,
                   struct probe_answer *answer, struct error *err)
{
        (void)c;
        (void)probe;
        (void)answer;
        (void)err;
        return raise(SIGKILL);
}

static int exits(const struct probe_context *c, const struct probe *probe,
                 struct probe_answer *answer, struct error *err)
{
        (void)c;
        (void)probe;
        (void)answer;
        (void)err;
        _exit(0);
}

static void test_runner(void **state)
{
        static const struct {
                struct probe probe;
                int result;
                enum check_status status;
                const char *detail, *mend;
        } cases[] = {
                { { "g", "works", works, NULL, true, "e", NULL }, 0, CHECK_OK, "42", "" },
                { { "g", "module", works, "m", true, "e", NULL }, 0, CHECK_OK_MODULE, "42", "" },
                { { "g", "absent", is_absent, NULL, true, "e", NULL },
                  PROBE_ABSENT,
                  CHECK_OK,
                  "",
                  "" },
                { { "g", "fails", fails, NULL, true, "e", NULL }, 0, CHECK_KO, "why", "mend it" },
                { { "g", "optional", fails, NULL, false, "e", NULL },
                  0,
                  CHECK_KO_OPTIONAL,
                  "why",
                  "mend it" },
                { { "g", "harmless", fails, "h", true, "e", NULL },
                  0,
                  CHECK_KO_OPTIONAL,
                  "why",
                  "mend it" },
                { { "g", "hangs", hangs, NULL, true, "e", NULL },
                  0,
                  CHECK_KO,
                  "no answer in 0 seconds",
                  "" },
                { { "g", "crashes", crashes, NULL, true, "e", NULL },
                  0,
                  CHECK_KO,
                  "the probe was killed by signal 9 (Killed)",
                  "" },
                { { "g", "exits", exits, NULL, true, "e", NULL },
                  0,
                  CHECK_KO,
                  "the probe ended without an answer",
                  "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int limit_ms = cases[i].probe.run == hangs ? 50 : PROBE_LIMIT_MS;
                struct error err = ERROR_INIT;
                struct check_line line;

                assert_int_equal(probe_run(&cases[i].probe, &context, limit_ms, &line, &err),
                                 cases[i].result);
                assert_int_equal(line.status, cases[i].status);
                assert_string_equal(line.detail, cases[i].detail);
                assert_string_equal(line.mend, cases[i].mend);
                assert_int_equal(line.effect != NULL, cases[i].status >= CHECK_KO_OPTIONAL);
        }
}

/* Every probe that others need comes before them, and names are no one's twice. */
static void test_table(void **state)
{
        (void)state;
        for (size_t i = 0; i < probe_count; i++) {
                bool found = probe_table[i].needs == NULL;

                for (size_t j = 0; j < i; j++) {
                        assert_string_not_equal(probe_table[i].name, probe_table[j].name);
                        found |= probe_table[i].needs &&
                                 strcmp(probe_table[i].needs, probe_table[j].name) == 0;
                }
                assert_true(found);
        }
}

/* ---- files ---- */

static void test_kernel_configuration(void **state)
{
        static const char text[] =
                "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_BB=m\nCONFIG_C=\"y\"\n"
                "xCONFIG_D=y\nCONFIG_E=m";
        static const char *const paths[] = {
                "/lib/modules/6.1-x/build/.config",
                "/usr/src/linux/.config",
                "/usr/src/linux-6.1-x/.config",
                "/boot/config-6.1-x",
                "/proc/config.gz",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                auto_probe_context struct probe_context one = { .root = fake_root };

                fake_root_put(paths[i], text);
                kernel_config_load(fake_root, "6.1-x", &one.kernel);
                assert_string_equal(one.kernel.path + strlen(fake_root), paths[i]);
                assert_int_equal(kernel_config_option(&one.kernel, "CONFIG_A"), KERNEL_OPTION_OFF);
                assert_int_equal(kernel_config_option(&one.kernel, "CONFIG_B"), KERNEL_OPTION_ON);
                assert_int_equal(kernel_config_option(&one.kernel, "CONFIG_BB"),
                                 KERNEL_OPTION_MODULE);
                assert_int_equal(kernel_config_option(&one.kernel, "CONFIG_C"), KERNEL_OPTION_OFF);
                assert_int_equal(kernel_config_option(&one.kernel, "CONFIG_D"), KERNEL_OPTION_OFF);
                assert_int_equal(kernel_config_option(&one.kernel, "CONFIG_E"),
                                 KERNEL_OPTION_MODULE);
        }
}

static void test_kernel_configuration_missing_or_damaged(void **state)
{
        struct kernel_config config = { .path = "" };

        (void)state;
        kernel_config_load(fake_root, "6.1-x", &config);
        assert_string_equal(config.path, "");
        assert_int_equal(kernel_config_option(&config, "CONFIG_A"), KERNEL_OPTION_OFF);

        fake_root_put("/proc/config.gz", "\x1f\x8b\x08 this is no gzip");
        kernel_config_load(fake_root, "6.1-x", &config);
        assert_string_equal(config.path, "");
        fake_root_put("/proc/config.gz", "");
        kernel_config_load(fake_root, "6.1-x", &config);
        assert_string_equal(config.path, "");
        fake_root_put("/boot/config-6.1-x", "CONFIG_A=y\n");
        kernel_config_load(fake_root, "6.1-x", &config);
        assert_int_equal(kernel_config_option(&config, "CONFIG_A"), KERNEL_OPTION_ON);
        kernel_config_release(&config);
}

/* ---- probes that read files, on a root of the test's own ---- */

/* Run a row of the table; *ret has an empty detail when there is no line. */
static int run_row(const char *name, struct check_line *ret)
{
        struct error err = ERROR_INIT;

        for (size_t i = 0; i < probe_count; i++)
                if (strcmp(probe_table[i].name, name) == 0)
                        return probe_run(&probe_table[i], &context, PROBE_LIMIT_MS, ret, &err);
        fail_msg("no row %s", name);
        return -1;
}

/* Rows of scenario 8 that are read from files: parameters, security modules, devices, cgroups. */
static void test_rows(void **state)
{
        static const struct {
                const char *path, *text, *row;
                enum check_status status;
                const char *detail, *mend;
        } cases[] = {
                { "/proc/sys/user/max_user_namespaces", "0\n", "user.max_user_namespaces", CHECK_KO,
                  "it is 0", "user.max_user_namespaces=65536" },
                { "/proc/sys/user/max_user_namespaces", "7\n", "user.max_user_namespaces", CHECK_OK,
                  "7", "" },
                { "/proc/sys/user/max_mnt_namespaces", "0\n", "user.max_mnt_namespaces", CHECK_KO,
                  "it is 0", "user.max_mnt_namespaces=65536" },
                { "/proc/sys/user/max_net_namespaces", "0\n", "user.max_net_namespaces",
                  CHECK_KO_OPTIONAL, "it is 0", "user.max_net_namespaces=65536" },
                { "/proc/sys/kernel/unprivileged_userns_clone", "1\n",
                  "kernel.unprivileged_userns_clone", CHECK_OK, "1", "" },
                { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n",
                  "kernel.apparmor_restrict_unprivileged_userns", CHECK_OK, "0", "" },
                { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n",
                  "kernel.apparmor_restrict_unprivileged_userns", CHECK_KO_OPTIONAL,
                  "it is 1, and this program has no AppArmor profile",
                  "kernel.apparmor_restrict_unprivileged_userns=0" },
                { "/proc/self/attr/current", "enroot (unconfined)\n",
                  "kernel.apparmor_restrict_unprivileged_userns", CHECK_OK,
                  "1, but this program has the profile enroot (unconfined)", "" },
                { "/proc/self/attr/apparmor/current", "unconfined\n",
                  "kernel.apparmor_restrict_unprivileged_userns", CHECK_KO_OPTIONAL,
                  "it is 1, and this program has no AppArmor profile", "" },
                { "/proc/sys/kernel/unprivileged_bpf_disabled", "2\n",
                  "kernel.unprivileged_bpf_disabled", CHECK_OK,
                  "2; containers load no BPF programs", "" },
                { "/sys/module/apparmor/parameters/enabled", "Y\n", "AppArmor", CHECK_OK,
                  "profile unconfined", "" },
                { "/sys/fs/selinux/enforce", "1", "SELinux", CHECK_OK,
                  "enforcing, context unconfined", "" },
                { "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "lockdown",
                  CHECK_OK, "integrity; containers need nothing that it forbids", "" },
                { "/proc/self/status", "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\n",
                  "outer seccomp filter", CHECK_OK, "this process runs under one, as in a pod",
                  "" },
                { "/x", "", "set-user-ID programs", CHECK_KO_OPTIONAL,
                  "no_new_privs is set for this process", "allowPrivilegeEscalation" },
                { "/proc/self/cgroup", "8:devices:/kubepods/x\n0::/a\n", "device controller",
                  CHECK_OK, "/kubepods/x: devices may be forbidden; the rules are never changed",
                  "" },
                { "/x", "", "NVIDIA driver", CHECK_KO_OPTIONAL,
                  "no NVIDIA driver, and no NVIDIA GPU found", "" },
                { "/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n", "NVIDIA driver",
                  CHECK_KO_OPTIONAL, "no NVIDIA driver, and no NVIDIA GPU found", "" },
                { "/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n", "NVIDIA driver",
                  CHECK_KO_OPTIONAL, "no NVIDIA driver, but an NVIDIA GPU", "modprobe nvidia" },
                { "/proc/driver/nvidia/version", "NVRM version: Module  535.1  x\n",
                  "NVIDIA driver", CHECK_OK, "535.1", "" },
                { "/proc/modules", "nvidia_uvm 1 0 - Live 0x0\nnvidia 2 3 - Live 0x0\n",
                  "NVIDIA driver", CHECK_OK_MODULE, "535.1", "" },
                { "/etc/ld.so.cache", "x", "libcuda.so.1", CHECK_KO_OPTIONAL,
                  "libcuda.so.1 is not in ld.so.cache", "ldconfig" },
                { "/sys/class/infiniband/mlx5_0/x", "", "InfiniBand", CHECK_KO_OPTIONAL,
                  "mlx5_0, but no /dev/infiniband", "" },
                { "/dev/infiniband/uverbs0", "", "InfiniBand", CHECK_OK, "mlx5_0", "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct check_line line;

                fake_root_put(cases[i].path, cases[i].text);
                assert_int_equal(run_row(cases[i].row, &line), 0);
                assert_string_equal(line.detail, cases[i].detail);
                assert_int_equal(line.status, cases[i].status);
                assert_non_null(strstr(line.mend, cases[i].mend));
        }
}

/* RHEL 7 alone has boot parameters to look for. */
static void test_command_line(void **state)
{
        struct check_line line;

        (void)state;
        fake_root_put("/proc/cmdline", "quiet user_namespace.enable=1\n");
        assert_int_equal(run_row("namespace.unpriv_enable=1", &line), PROBE_ABSENT);
        context.distribution = (struct host_distribution){ HOST_REDHAT, "CentOS 7", "7.9" };
        assert_int_equal(run_row("user_namespace.enable=1", &line), 0);
        assert_int_equal(line.status, CHECK_OK);
        assert_int_equal(run_row("namespace.unpriv_enable=1", &line), 0);
        assert_int_equal(line.status, CHECK_KO_OPTIONAL);
        assert_non_null(strstr(line.mend, "grubby"));
        context.distribution = (struct host_distribution){ .family = HOST_UNKNOWN };
}

/* What an empty machine does not have makes no lines. */
static void test_absent_rows(void **state)
{
        static const char *const rows[] = {
                "CONFIG_USER_NS",
                "user.max_user_namespaces",
                "kernel.unprivileged_userns_clone",
                "kernel.apparmor_restrict_unprivileged_userns",
                "kernel.yama.ptrace_scope",
                "AppArmor",
                "SELinux",
                "lockdown",
                "NVIDIA devices",
                "libcuda.so.1",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct check_line line;

                assert_int_equal(run_row(rows[i], &line), PROBE_ABSENT);
        }
}

/* ---- printing ---- */

static void test_print(void **state)
{
        struct check_line lines[] = {
                { "First", "a", NULL, CHECK_OK, true, "found", "" },
                { "First", "b", NULL, CHECK_OK_MODULE, true, "", "" },
                { "Second", "c", "x fails", CHECK_KO_OPTIONAL, true, "why", "" },
                { "Second", "d", "y fails", CHECK_KO, true, "because", "do this" },
        };
        const struct check_report report = { .lines = lines, .count = ARRAY_SIZE(lines) };
        auto_strbuf struct strbuf text = STRBUF_INIT, json = STRBUF_INIT, colours = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(check_report_failed(&report), 1);
        assert_int_equal(check_print(&report, false, &text, &err), 0);
        assert_string_equal(text.data,
                            "First\n\n"
                            "a                                            : OK (found)\n"
                            "b                                            : OK (module)\n"
                            "\nSecond\n\n"
                            "c                                            : KO (optional): why\n"
                            "    effect: x fails\n"
                            "d                                            : KO: because\n"
                            "    effect: y fails\n"
                            "    mend:   do this\n");
        assert_int_equal(check_print(&report, true, &colours, &err), 0);
        assert_non_null(strstr(colours.data, ": \033[31mKO\033[0m: because"));
        assert_int_equal(check_print_json(&report, &json, &err), 0);
        assert_non_null(strstr(json.data, "\"status\": \"KO (optional)\""));
        assert_non_null(strstr(json.data, "\"ok\": false"));
        assert_non_null(strstr(json.data, "\"mend\": \"do this\""));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_runner),
                cmocka_unit_test(test_table),
                cmocka_unit_test_setup(test_kernel_configuration, fake_root_reset),
                cmocka_unit_test_setup(test_kernel_configuration_missing_or_damaged,
                                       fake_root_reset),
                cmocka_unit_test_setup(test_rows, fake_root_reset),
                cmocka_unit_test_setup(test_command_line, fake_root_reset),
                cmocka_unit_test_setup(test_absent_rows, fake_root_reset),
                cmocka_unit_test(test_print),
        };

        return cmocka_run_group_tests(tests, fake_root_make, fake_root_remove);
}
