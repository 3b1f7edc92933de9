/* config.json → struct oci_spec, words of the command line, and seccomp filters. */
#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "oci/oci.h"

/* A configuration with other members, and other ones of its process and of linux. */
#define SPEC(more, process, linux_)                                                                \
        "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\",\"readonly\":true}," more         \
        "\"process\":{" process "\"args\":[\"sh\"],\"cwd\":\"/\"},"                                \
        "\"linux\":{" linux_ "\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"user\"},"           \
        "{\"type\":\"uts\"},{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"}]}}"

static void parse(const char *text, struct oci_spec *spec)
{
        struct error err = ERROR_INIT;

        if (oci_spec_parse(text, strlen(text), "/bundle", spec, &err) < 0)
                fail_msg("%s: %s", text, err.message);
}

static void test_members(void **state)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };

        (void)state;
        parse(SPEC("\"hostname\":\"h\",\"annotations\":{\"b\":\"2\",\"a\":\"1\"},", "", ""), &spec);
        assert_string_equal(spec.version, "1.0.2");
        assert_string_equal(spec.rootfs, "/bundle/rootfs");
        assert_true(spec.read_only);
        assert_string_equal(spec.hostname, "h");
        assert_int_equal(spec.annotations.count, 4);
        assert_string_equal(spec.annotations.items[0], "a");
        assert_int_equal(spec.new_namespaces, CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWUTS);
        assert_string_equal(spec.namespaces[OCI_NS_PID], "/proc/1/ns/pid");
}

static void test_process(void **state)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        const struct oci_process *process = &spec.process;

        (void)state;
        parse(SPEC("",
                   "\"user\":{\"uid\":1,\"gid\":2,\"umask\":18,\"additionalGids\":[3,4294967294]},"
                   "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":5,"
                   "\"hard\":18446744073709551615}],\"oomScoreAdj\":-7,"
                   "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_BPF\",\"CAP_NEW\"]},",
                   ""),
              &spec);
        assert_int_equal(process->uid, 1);
        assert_int_equal(process->gid, 2);
        assert_int_equal(process->umask, 022);
        assert_int_equal(process->group_count, 2);
        assert_int_equal(process->groups[1], 4294967294u);
        assert_int_equal(process->rlimit_count, 1);
        assert_int_equal(process->rlimits[0].limit.rlim_cur, 5);
        assert_true(process->rlimits[0].limit.rlim_max == RLIM_INFINITY);
        assert_int_equal(process->oom_score, -7);
        assert_int_equal(process->capabilities.bounding, UINT64_C(1) | UINT64_C(1) << 39);
        assert_int_equal(process->capabilities.effective, 0);
}

static void test_mounts(void **state)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        const struct mount_entry *entries;

        (void)state;
        parse(SPEC("\"mounts\":[{\"destination\":\"/a b\",\"type\":\"bind\",\"source\":\"in side\","
                   "\"options\":[\"ro\",\"rprivate\"]},"
                   "{\"destination\":\"t\",\"type\":\"tmpfs\",\"options\":[\"size=1k\",\"nodev\"]},"
                   "{\"destination\":\"/x/../c\",\"source\":\"/$HOME\",\"options\":[\"rbind\"]}],",
                   "", ""),
              &spec);
        entries = spec.mounts.entries;
        assert_int_equal(spec.mounts.count, 3);
        assert_string_equal(entries[0].source, "/bundle/in side");
        assert_string_equal(entries[0].target, "/a b");
        assert_true(entries[0].bind && !entries[0].recursive && entries[0].attr_set & MS_RDONLY);
        assert_string_equal(entries[1].type, "tmpfs");
        assert_string_equal(entries[1].target, "/t");
        assert_string_equal(entries[1].data, "size=1k");
        assert_string_equal(entries[2].source, "/$HOME");
        assert_string_equal(entries[2].target, "/c");
        assert_true(entries[2].recursive);
}

static void test_newer_members(void **state)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        const struct mount_entry *entries;

        (void)state;
        parse(SPEC("\"mounts\":[{\"destination\":\"/t\",\"type\":\"tmpfs\","
                   "\"options\":[\"size=1k\",\"rro\"]},"
                   "{\"destination\":\"/m\",\"type\":\"bind\",\"source\":\"/s\","
                   "\"options\":[\"ridmap\"],"
                   "\"uidMappings\":[{\"containerID\":1,\"hostID\":2,\"size\":3}],"
                   "\"gidMappings\":[{\"containerID\":4,\"hostID\":5,\"size\":6}]}],",
                   "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4},"
                   "\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":-3,"
                   "\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\"]},\"apparmorProfile\":\"p\","
                   "\"selinuxLabel\":\"\",\"execCPUAffinity\":{\"final\":\"0-2,5\"},",
                   "\"mountLabel\":\"a:b\",\"personality\":{\"domain\":\"LINUX32\"},"),
              &spec);
        entries = spec.mounts.entries;
        assert_string_equal(entries[0].data, "size=1k,context=\"a:b\"");
        assert_int_equal(entries[0].below_set, MS_RDONLY);
        assert_null(entries[1].data);
        assert_int_equal(spec.mount_map_count, 1);
        assert_int_equal(spec.mount_maps[0].entry, 1);
        assert_true(spec.mount_maps[0].recursive);
        assert_int_equal(spec.mount_maps[0].gids.ranges[0].outside, 5);
        assert_int_equal(spec.process.io_priority, 2 << 13 | 4);
        assert_int_equal(spec.process.scheduler.policy, 3);
        assert_int_equal(spec.process.scheduler.nice, -3);
        assert_int_equal(spec.process.scheduler.flags, 1);
        assert_string_equal(spec.process.apparmor_profile, "p");
        assert_null(spec.process.selinux_label);
        assert_false(spec.process.initial_cpus.given);
        assert_int_equal(CPU_COUNT(&spec.process.final_cpus.set), 4);
        assert_true(CPU_ISSET(5, &spec.process.final_cpus.set));
        assert_int_equal(spec.personality, 8);
}

static void check_settings(const struct strlist *settings, const char *const *expected,
                           size_t count)
{
        for (size_t i = 0; i < count && i < settings->count; i++)
                assert_string_equal(settings->items[i], expected[i]);
        assert_int_equal(settings->count, count);
}

static void test_resources(void **state)
{
        static const char *const unified[] = {
                "memory.max=2000", "pids.max=max",   "memory.swap.max=1000",
                "cpu.weight=1",    "cpu.max=50 100", "cpuset.cpus=0-1",
                "io.weight=10000", "hugetlb.2MB.max=4096",
        };
        static const char *const legacy[] = {
                "memory.limit_in_bytes=2000",
                "pids.max=max",
                "memory.memsw.limit_in_bytes=3000",
                "cpu.shares=2",
                "cpu.cfs_period_us=100",
                "cpu.cfs_quota_us=50",
                "cpuset.cpus=0-1",
                "blkio.weight=1000",
                "hugetlb.2MB.limit_in_bytes=4096",
        };
        auto_oci_spec struct oci_spec spec = { .document = NULL };

        (void)state;
        parse(SPEC("", "",
                   "\"resources\":{\"memory\":{\"limit\":2000,\"swap\":3000,"
                   "\"reservation\":0},\"cpu\":{\"shares\":2,\"quota\":50,\"period\":100,"
                   "\"cpus\":\"0-1\"},\"pids\":{\"limit\":-1},\"rdma\":{\"a\":{}},"
                   "\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4096}],"
                   "\"blockIO\":{\"weight\":1000}},"),
              &spec);
        check_settings(&spec.resources.unified, unified, ARRAY_SIZE(unified));
        check_settings(&spec.resources.legacy, legacy, ARRAY_SIZE(legacy));
        assert_int_equal(spec.ignored.count, 1);
        assert_string_equal(spec.ignored.items[0], "rdma");
}

static void test_mistakes(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                { "", "not valid JSON" },
                { "{}", "\"ociVersion\" is missing" },
                { "{\"ociVersion\":\"1.0.0\"}", "\"path\" is missing" },
                { SPEC("\"a\":1,\"a\":2,", "", ""), "duplicate key" },
                { SPEC("", "\"env\":[1],", ""), "process: an item of \"env\" is not a string" },
                { SPEC("", "\"oomScoreAdj\":1001,", ""), "not between -1000 and 1000" },
                { SPEC("", "\"user\":{\"uid\":4294967295},", ""), "\"uid\" is not between" },
                { SPEC("", "\"user\":{\"uid\":\"0\"},", ""), "\"uid\" is not an integer" },
                { SPEC("", "\"rlimits\":[{\"type\":\"RLIMIT_CPU\"},{\"type\":\"RLIMIT_CPU\"}],",
                       ""),
                  "RLIMIT_CPU is there twice" },
                { SPEC("", "", "\"devices\":[{\"path\":\"/d\",\"type\":\"cc\"}],"),
                  "devices: /d: \"type\"" },
                { SPEC("", "", "\"sysctl\":{\"kernel.panic\":\"1\"},"), "not the container's own" },
                { SPEC("", "", "\"sysctl\":{\"net.a\":\"1\"},"), "without a namespace for it" },
                { SPEC("", "", "\"uidMappings\":[{\"size\":1}],"), "need each other" },
                { SPEC("", "", "\"resources\":{\"unified\":{\"../x\":\"1\"}},"), "../x" },
                { SPEC("\"mounts\":[{\"destination\":\"/\",\"type\":\"a b\"}],", "", ""),
                  "mounts" },
                { SPEC("\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/\","
                       "\"options\":[\"ro,x-move\"]}],",
                       "", ""),
                  "option \"ro,x-move\"" },
                { SPEC("\"hooks\":{\"poststop\":[{\"path\":\"/x\",\"timeout\":-1}]},", "", ""),
                  "hooks: poststop: \"timeout\"" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_oci_spec struct oci_spec spec = { .document = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(oci_spec_parse(cases[i].text, strlen(cases[i].text), "/bundle",
                                                &spec, &err),
                                 -1);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("%s: %s", cases[i].text, err.message);
        }
}

static void test_words(void **state)
{
        (void)state;
        assert_true(oci_id_valid("n1.user.12.0.3"));
        assert_false(oci_id_valid("") || oci_id_valid(".a") || oci_id_valid("a/b"));
        assert_int_equal(oci_signal_number("15"), SIGTERM);
        assert_int_equal(oci_signal_number("KILL"), SIGKILL);
        assert_int_equal(oci_signal_number("SIGUSR1"), SIGUSR1);
        assert_int_equal(oci_signal_number(""), -1);
        assert_int_equal(oci_signal_number("0"), -1);
        assert_int_equal(oci_signal_number("SIGX"), -1);
        assert_int_equal(oci_capability_number("CAP_CHECKPOINT_RESTORE"), 40);
        assert_string_equal(oci_capability_name(21), "CAP_SYS_ADMIN");
        assert_null(oci_capability_name(41));
}

static void test_filter(void **state)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        auto_oci_filter struct oci_filter filter = OCI_FILTER_INIT;
        const struct sock_filter *instructions;
        struct error err = ERROR_INIT;
        bool found = false;

        (void)state;
        parse(SPEC("", "",
                   "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":"
                   "[\"mkdirat\",\"no_such_call\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":77,"
                   "\"args\":[{\"index\":1,\"op\":\"SCMP_CMP_EQ\",\"value\":1},"
                   "{\"index\":1,\"op\":\"SCMP_CMP_EQ\",\"value\":2}]}]},"),
              &spec);
        assert_int_equal(oci_filter_compile(spec.seccomp, &filter, &err), 0);
        instructions = filter.instructions;
        for (unsigned short i = 0; i < filter.count; i++)
                found |= instructions[i].code == (BPF_RET | BPF_K) &&
                         instructions[i].k == (0x00050000 | 77);
        assert_true(found);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_members),   cmocka_unit_test(test_process),
                cmocka_unit_test(test_mounts),    cmocka_unit_test(test_resources),
                cmocka_unit_test(test_newer_members),
                cmocka_unit_test(test_mistakes),  cmocka_unit_test(test_words),
                cmocka_unit_test(test_filter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
