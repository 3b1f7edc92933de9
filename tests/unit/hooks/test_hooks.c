/* hooks/: account files, cgroups, skeletons; what hostile images can do with them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hooks/builtin.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"
#include "util/root_file.h"

static char scratch[] = "/tmp/enroot-test-hooks-XXXXXX";
static char root_path[PATH_MAX];
static struct config configuration;
static struct mount_plan plan;
static struct strlist environment;
static unsigned int warnings;
static char last_warning[ERROR_MESSAGE_SIZE];

static void count_warning(struct report *report, enum report_level level, const char *text)
{
        (void)report;
        (void)level;
        warnings++;
        (void)snprintf(last_warning, sizeof(last_warning), "%s", text);
}

static struct report report = { .message = count_warning };
static struct hook_context context;
static struct hooks *hooks;
static struct mount_root root;
static struct root_view view;

/* scratch/root is the rootfs, scratch/host what must not be touched. */
static int set_up(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0 || mkdir("root", 0755) < 0 ||
            mkdir("root/etc", 0755) < 0 || mkdir("host", 0755) < 0)
                return -1;
        (void)snprintf(root_path, sizeof(root_path), "%s/root", scratch);
        configuration = (struct config){
                .sysconf_path = "/nonexistent",
                .config_path = "/nonexistent",
        };
        root = (struct mount_root){
                .fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC),
                .path = root_path,
        };
        view = root_view_directory(root.fd);
        context = (struct hook_context){
                .config = &configuration,
                .view = &view,
                /* A number that no account has: the user is made up from the environment. */
                .uid = 3999999901u,
                .uid_outside = 3999999901u,
                .gid = 3999999902u,
                .gid_outside = 3999999902u,
                .environment = &environment,
                .report = &report,
        };
        warnings = 0;
        hooks = hooks_find(&configuration, NULL, &err);
        if (!hooks || strlist_append(&configuration.environment, "USER=tester") < 0 ||
            strlist_append(&configuration.environment, "HOME=/home/tester") < 0 ||
            strlist_append(&configuration.environment, "SHELL=/bin/zsh") < 0)
                return -1;
        return root.fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        hooks_close(hooks);
        (void)close(root.fd);
        strlist_release(&configuration.environment);
        strlist_release(&environment);
        mount_plan_release(&plan);
        plan = (struct mount_plan)MOUNT_PLAN_INIT;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *path, const char *text)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void assert_content(const char *path, const char *expected)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(io_read_file(AT_FDCWD, path, 1 << 20, &text, &err), 0);
        assert_string_equal(strbuf_text(&text), expected);
}

/* Plan one hook and carry its plan out; later mounts go to the plan of the test. */
static int run_hook(int (*hook)(struct hook_context *, struct hook_plan *, struct error *),
                    struct error *err)
{
        struct hook_plan hook_plan = { .name = "test" };
        int result = hook(&context, &hook_plan, err);

        if (result == 0)
                result = hook_plan_apply(&hook_plan, &root, &report, err);
        if (result == 0)
                result = mount_plan_take(&plan, &hook_plan.later);
        mount_plan_release(&hook_plan.now);
        change_list_release(&hook_plan.changes);
        mount_plan_release(&hook_plan.later);
        return result;
}

/* ---- parsers ---- */

static void test_account_find(void **state)
{
        static const char text[] = "root:x:0:0:root:/root:/bin/bash\n"
                                   "# comment\n"
                                   "short:x:5:5\n"
                                   "bad:x:07x:5:::\n"
                                   "huge:x:4294967296:5:::\n"
                                   ":x:8:8:::\n"
                                   "a:x:7:8:G,1:/home/a:/bin/sh:rest\n"
                                   "again:x:7:9::/home/b:/bin/zsh\n"
                                   "last:x:9:9::/l:";
        static const struct {
                uid_t uid;
                const char *name, *home, *shell;
        } cases[] = {
                { 0, "root", "/root", "/bin/bash" },
                { 7, "a", "/home/a", "/bin/sh:rest" },
                { 9, "last", "/l", "" },
                { 5, NULL, NULL, NULL },
                { 8, NULL, NULL, NULL },
                { 4242, NULL, NULL, NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_account struct account account = { .name = NULL };

                assert_int_equal(account_find(text, cases[i].uid, &account), cases[i].name ? 1 : 0);
                if (!cases[i].name)
                        continue;
                assert_string_equal(account.name, cases[i].name);
                assert_string_equal(account.home, cases[i].home);
                assert_string_equal(account.shell, cases[i].shell);
        }
}

static void test_login_setting(void **state)
{
        static const char text[] = "# UMASK 000\n"
                                   "UMASK\t\t022\n"
                                   "UMASKX 033\n"
                                   "  ENV_PATH PATH=/a:/b trailing\n"
                                   "LANG=\"de_DE.UTF-8\"\n"
                                   "EMPTY\n"
                                   "EMPTY=\n"
                                   "EVIL $(touch /tmp/x)\n"
                                   "UMASK 077";
        static const struct {
                const char *key, *expected;
        } cases[] = {
                { "UMASK", "077" }, { "ENV_PATH", "PATH=/a:/b" }, { "LANG", "de_DE.UTF-8" },
                { "EMPTY", NULL },  { "EVIL", "$(touch" },        { "MISSING", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *value = login_setting(text, cases[i].key);

                if (cases[i].expected)
                        assert_string_equal(value, cases[i].expected);
                else
                        assert_null(value);
        }
}

static void test_shadow_merge(void **state)
{
        auto_strlist struct strlist lines = STRLIST_INIT;
        auto_strbuf struct strbuf merged = STRBUF_INIT, again = STRBUF_INIT;
        static const char expected[] = "root:x:0:0:::\nuser:x:7:7:::\n"
                                       "ubuntu:x:7:7:::\nuserx:x:8:8:::\n";

        (void)state;
        assert_int_equal(strlist_append(&lines, "root:x:0:0:::"), 0);
        assert_int_equal(strlist_append(&lines, "user:x:7:7:::"), 0);
        assert_int_equal(shadow_merge("root:!:0:0:old::\n_apt:x:42:1:::\nubuntu:x:7:7:::\n\n"
                                      "user:x:1:1:::\nuserx:x:8:8:::",
                                      &lines, false, &merged),
                         0);
        assert_string_equal(merged.data, expected);
        /* What was written once is found in place by the next start. */
        assert_int_equal(shadow_merge(merged.data, &lines, false, &again), 0);
        assert_string_equal(again.data, expected);
        /* Where his id is real, _apt stays. */
        strbuf_reset(&again);
        assert_int_equal(shadow_merge("_apt:x:42:1:::\n", &lines, true, &again), 0);
        assert_string_equal(again.data, "root:x:0:0:::\nuser:x:7:7:::\n_apt:x:42:1:::\n");
}

static void test_cgroups(void **state)
{
        static const char mountinfo[] =
                "22 1 0:21 / /proc rw - proc proc rw\n"
                "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755\n"
                "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 master:2 - cgroup cgroup "
                "rw,cpu,cpuacct\n"
                "33 31 0:30 /slurm /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,memory\n"
                "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                "broken line\n";
        static const char cgroup[] = "4:cpu,cpuacct:/user\n3:memory:/slurm/job_1\n2:none:/x\n"
                                     "garbage\n0::/user.slice\n";
        static const struct {
                const char *source, *target;
        } expected[] = {
                { "/sys/fs/cgroup/cpu,cpuacct/user/..", "/sys/fs/cgroup/cpu,cpuacct" },
                { "/sys/fs/cgroup/a b/job_1/..", "/sys/fs/cgroup/a b" },
                { "/sys/fs/cgroup/unified/user.slice/..", "/sys/fs/cgroup/unified" },
        };

        (void)state;
        assert_int_equal(cgroups_plan(cgroup, mountinfo, 1, &plan), 0);
        assert_int_equal(plan.count, ARRAY_SIZE(expected) + 1);
        for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
                assert_string_equal(plan.entries[i].source, expected[i].source);
                assert_string_equal(plan.entries[i].target, expected[i].target);
                assert_true(plan.entries[i].attr_set & MS_RDONLY);
        }
        assert_true(plan.entries[ARRAY_SIZE(expected)].remount);
}

/* ---- files of the rootfs ---- */

static void test_shadow_writes_once(void **state)
{
        struct error err = ERROR_INIT;
        struct stat first, second;

        (void)state;
        write_file("root/etc/passwd", "root:x:0:0::/root:/bin/ash\nbin:x:2:2:::\n");
        assert_int_equal(run_hook(hook_shadow, &err), 0);
        assert_content("root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                          "nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
                                          "tester:x:3999999901:3999999902::/home/tester:/bin/sh\n"
                                          "bin:x:2:2:::\n");
        assert_content("root/etc/group", "root:x:0:\nnogroup:x:65534:\ntester:x:3999999902:\n");
        assert_int_equal(stat("root/home/tester", &first), 0);
        assert_int_equal(first.st_mode & 0777, 0700);

        assert_int_equal(stat("root/etc/passwd", &first), 0);
        assert_int_equal(run_hook(hook_shadow, &err), 0);
        assert_int_equal(stat("root/etc/passwd", &second), 0);
        assert_int_equal(first.st_ino, second.st_ino);
}

/* CVE-2024-9676, CVE-2026-41579: account files that are links to the host's. */
static void test_shadow_links_stay_inside(void **state)
{
        struct error err = ERROR_INIT;
        char target[PATH_MAX];

        (void)state;
        write_file("host/passwd", "host\n");
        (void)snprintf(target, sizeof(target), "%s/host/passwd", scratch);
        assert_int_equal(symlink(target, "root/etc/passwd"), 0);
        assert_int_equal(symlink("../../../../../../../../etc/hostgroup", "root/etc/group"), 0);
        assert_int_equal(symlink("/../../home-elsewhere", "root/home"), 0);
        assert_int_equal(run_hook(hook_shadow, &err), 0);
        assert_content("host/passwd", "host\n");
        assert_int_equal(access("root/etc/hostgroup", F_OK), 0);
        assert_int_equal(access("root/home-elsewhere/tester", F_OK), 0);
}

static void test_shadow_odd_files(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        /* Opening a FIFO without care would wait for a writer for ever. */
        assert_int_equal(mkfifo("root/etc/passwd", 0644), 0);
        assert_int_equal(run_hook(hook_shadow, &err), -1);
        assert_int_equal(err.code, EINVAL);

        assert_int_equal(unlink("root/etc/passwd"), 0);
        assert_int_equal(mkfifo("root/etc/login.defs", 0644), 0);
        assert_int_equal(run_hook(hook_shadow, &err), 0);
}

static void test_shadow_settings(void **state)
{
        struct error err = ERROR_INIT;
        struct stat st;

        (void)state;
        assert_int_equal(mkdir("root/etc/default", 0755), 0);
        assert_int_equal(mkdir("root/skel2", 0755), 0);
        write_file("root/skel2/.profile", "hello");
        write_file("root/etc/default/useradd",
                   "SKEL=/skel2\nSHELL=/bin/own\nCREATE_MAIL_SPOOL=yes\nHOME=$(touch /tmp/evil)\n");
        write_file("root/etc/login.defs", "UMASK 027\nMAIL_DIR /var/spool/mail\n");
        assert_int_equal(run_hook(hook_shadow, &err), 0);
        assert_content("root/home/tester/.profile", "hello");
        assert_int_equal(stat("root/home/tester", &st), 0);
        assert_int_equal(st.st_mode & 0777, 0750);
        assert_int_equal(access("root/var/spool/mail/tester", F_OK), 0);
}

static void test_skeleton(void **state)
{
        struct error err = ERROR_INIT;
        auto_close int target = -1;
        struct stat st;

        (void)state;
        assert_int_equal(mkdir("root/skel", 0755), 0);
        assert_int_equal(mkdir("root/skel/dir", 0755), 0);
        assert_int_equal(mkdir("copy", 0755), 0);
        write_file("root/skel/dir/file", "inside");
        write_file("root/etc/hostname", "of the image");
        assert_int_equal(chmod("root/skel/dir/file", 04711), 0);
        assert_int_equal(symlink("/etc/hostname", "root/skel/link"), 0);
        assert_int_equal(symlink("/nowhere", "root/skel/dangling"), 0);
        assert_int_equal(mkfifo("root/skel/fifo", 0644), 0);
        target = open("copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(skel_copy(root.fd, "/skel", target, &err), 0);
        assert_content("copy/dir/file", "inside");
        assert_content("copy/link", "of the image");
        assert_int_equal(access("copy/fifo", F_OK), -1);
        assert_int_equal(stat("copy/dir/file", &st), 0);
        assert_int_equal(st.st_mode & 07777, 0711);
        assert_int_equal(skel_copy(root.fd, "/no-such", target, &err), 0);
}

/* A directory that holds a link to itself never ends, but for the limit. */
static void test_skeleton_loop(void **state)
{
        struct error err = ERROR_INIT;
        auto_close int target = -1;

        (void)state;
        assert_int_equal(mkdir("root/skel", 0755), 0);
        assert_int_equal(mkdir("copy", 0755), 0);
        assert_int_equal(symlink(".", "root/skel/again"), 0);
        target = open("copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(skel_copy(root.fd, "/skel", target, &err), -1);
        assert_int_equal(err.code, ELOOP);
}

static void test_localtime(void **state)
{
        struct error err = ERROR_INIT;
        char host[PATH_MAX], inside[PATH_MAX];
        ssize_t length = readlink("/etc/localtime", host, sizeof(host));

        (void)state;
        if (length < 0)
                skip();
        assert_int_equal(symlink("/etc/elsewhere", "root/etc/localtime"), 0);
        assert_int_equal(run_hook(hook_localtime, &err), 0);
        assert_int_equal(readlink("root/etc/localtime", inside, sizeof(inside)), length);
        assert_memory_equal(host, inside, (size_t)length);
        assert_int_equal(access("root/etc/elsewhere", F_OK), -1);
        assert_int_equal(close(path_open_in_root(root.fd, "/etc/localtime", O_RDONLY, 0)),
                         0);
}

static void test_home(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(run_hook(hook_home, &err), 0);
        assert_int_equal(plan.count, 0);
        configuration.mount_home = true;
        assert_int_equal(run_hook(hook_home, &err), 0);
        assert_int_equal(plan.count, 1);
        assert_string_equal(plan.entries[0].target, "/home/tester");
        configuration.remap_root = true;
        assert_int_equal(run_hook(hook_home, &err), 0);
        assert_string_equal(plan.entries[1].target, "/root");
        assert_true(strlist_contains(&environment, "HOME=/root"));

        free(configuration.environment.items[1]);
        configuration.environment.items[1] = strdup("HOME=//");
        assert_int_equal(run_hook(hook_home, &err), 0);
        assert_int_equal(plan.count, 2);
        assert_int_equal(warnings, 1);
}

/* ---- many first starts at once ---- */

#define STARTS 16
#define ROUNDS 20

static int apply_plan(void *unused, struct hook_plan *hook_plan, struct error *err)
{
        (void)unused;
        return hook_plan_apply(hook_plan, &root, &report, err);
}

/* One start: all hooks, as soon as the gate is closed; then everything has to be complete. */
static int start_once(int gate)
{
        static const char *const complete[] = {
                "root/etc/passwd",           "root/etc/group",     "root/home/tester/first",
                "root/home/tester/dir/last", "root/etc/localtime", "root/etc/apt/apt.conf.d/enroot",
        };
        struct error err = ERROR_INIT;
        struct stat st;
        bool host_has_link = lstat("/etc/localtime", &st) == 0 && S_ISLNK(st.st_mode);
        char byte;

        if (read(gate, &byte, 1) != 0)
                return 1;
        if (hooks_for_each(hooks, &context, apply_plan, NULL, &err) < 0) {
                print_error("%s\n", err.message);
                return 1;
        }
        for (size_t i = 0; i < ARRAY_SIZE(complete); i++)
                if (lstat(complete[i], &st) < 0 &&
                    (strcmp(complete[i], "root/etc/localtime") != 0 || host_has_link)) {
                        print_error("%s: %s\n", complete[i], strerror(errno));
                        return 1;
                }
        return warnings > 0;
}

static void start_many(void)
{
        pid_t children[STARTS];
        int gate[2];

        assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
        for (size_t i = 0; i < STARTS; i++) {
                children[i] = fork();
                assert_true(children[i] >= 0);
                if (children[i] == 0) {
                        (void)close(gate[1]);
                        _exit(start_once(gate[0]));
                }
        }
        (void)close(gate[1]);
        (void)close(gate[0]);
        for (size_t i = 0; i < STARTS; i++) {
                int status;

                assert_int_equal(waitpid(children[i], &status, 0), children[i]);
                assert_int_equal(status, 0);
        }
}

static void assert_names(const char *path, unsigned int expected)
{
        auto_closedir DIR *dir = opendir(path);
        unsigned int count = 0;

        assert_non_null(dir);
        while (readdir(dir))
                count++;
        assert_int_equal(count, expected + 2); /* "." and ".." */
}

static void test_concurrent_first_starts(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        configuration.remap_root = true;
        for (int round = 0; round < ROUNDS; round++) {
                assert_int_equal(path_remove_tree(AT_FDCWD, "root/home", &err), 0);
                assert_int_equal(path_remove_tree(AT_FDCWD, "root/etc", &err), 0);
                assert_int_equal(path_remove_tree(AT_FDCWD, "root/usr", &err), 0);
                assert_int_equal(mkdir("root/etc", 0755), 0);
                assert_int_equal(mkdir("root/etc/skel", 0755), 0);
                assert_int_equal(mkdir("root/etc/skel/dir", 0755), 0);
                write_file("root/etc/debian_version", "12\n");
                write_file("root/etc/skel/first", "1");
                write_file("root/etc/skel/dir/last", "2");
                start_many();
                /* Whoever came second has left nothing of his own. */
                assert_names("root/home", 1);
                assert_names("root/home/tester", 2);
        }
}

static void test_aptfix(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        configuration.remap_root = true;
        assert_int_equal(run_hook(hook_aptfix, &err), 0);
        assert_int_equal(access("root/etc/apt", F_OK), -1);
        write_file("root/etc/debian_version", "12\n");
        assert_int_equal(run_hook(hook_aptfix, &err), 0);
        assert_content("root/etc/apt/apt.conf.d/enroot", "APT::Sandbox::User \"root\";\n");
}

static void test_tolerate_read_only(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        error_set(&err, EROFS, "/etc/passwd: read-only");
        assert_int_equal(change_tolerate(&report, &err), 0);
        assert_int_equal(warnings, 1);
        assert_non_null(strstr(last_warning, "/etc/passwd"));
        error_set(&err, ENOSPC, "full");
        assert_int_equal(change_tolerate(&report, &err), -1);
}

/*
 * Somebody else changes a file between a hook's look at it and its change: the change is
 * not made, so that a mount which he has on it by now stays.
 */
static void test_changes_of_others_are_seen(void **state)
{
        auto_change_list struct change_list list = CHANGE_LIST_INIT;
        struct error err = ERROR_INIT;
        struct stat before, after;

        (void)state;
        write_file("root/etc/file", "old");
        assert_int_equal(change_list_add_file(&list, "/etc/file", "old", 3, "old", 3), 0);
        assert_int_equal(list.count, 0);
        assert_int_equal(change_list_add_file(&list, "/etc/file", "old", 3, "new", 3), 0);
        assert_int_equal(change_list_apply(&list, root.fd, &report, &err), 0);
        assert_content("root/etc/file", "new");

        /* He has made the same change: nothing to do, the file stays the one it is. */
        assert_int_equal(stat("root/etc/file", &before), 0);
        assert_int_equal(change_list_apply(&list, root.fd, &report, &err), 0);
        assert_int_equal(stat("root/etc/file", &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);

        write_file("root/etc/file", "his");
        assert_int_equal(change_list_apply(&list, root.fd, &report, &err), -1);
        assert_int_equal(err.code, EAGAIN);
        assert_content("root/etc/file", "his");
        assert_int_equal(unlink("root/etc/file"), 0);
        assert_int_equal(change_list_apply(&list, root.fd, &report, &err), -1);
        assert_int_equal(err.code, EAGAIN);
}

/* A visit that fails with EAGAIN gets a new plan, a few times. */
static int fail_again(void *visits, struct hook_plan *hook_plan, struct error *err)
{
        (void)hook_plan;
        return ++*(int *)visits == 3 ? error_set(err, ENOSPC, "full")
                                     : error_set(err, EAGAIN, "changed");
}

static void test_hooks_are_planned_again(void **state)
{
        struct error err = ERROR_INIT;
        int visits = 0;

        (void)state;
        assert_int_equal(hooks_for_each(hooks, &context, fail_again, &visits, &err), -1);
        assert_int_equal(visits, 3);
        assert_int_equal(err.code, ENOSPC);
        assert_non_null(strstr(err.message, "10-aptfix"));
        visits = 3;
        assert_int_equal(hooks_for_each(hooks, &context, fail_again, &visits, &err), -1);
        assert_int_equal(err.code, EAGAIN);
        assert_true(visits < 100);
}

/* What is planned can be looked at before it is done. */
static void test_changed_root(void **state)
{
        auto_change_list struct change_list list = CHANGE_LIST_INIT;
        struct changed_root changed = { .base = view, .changes = &list };
        struct root_view later = changed_root_view(&changed);
        auto_strbuf struct strbuf text = STRBUF_INIT, printed = STRBUF_INIT;
        struct error err = ERROR_INIT;
        const struct change link = {
                .kind = CHANGE_LINK, .path = (char *)"/a", .text = (char *)"b", .length = 1,
        };

        (void)state;
        write_file("root/etc/file", "old");
        assert_int_equal(change_list_add_file(&list, "/etc/file", "old", 3, "newer", 5), 0);
        assert_int_equal(change_list_add(&list, &link), 0);
        assert_int_equal(later.read(&later, "/etc/file", 4, &text, &err), -1);
        assert_int_equal(err.code, EFBIG);
        assert_int_equal(later.read(&later, "/etc/file", 5, &text, &err), 0);
        assert_string_equal(text.data, "newer");
        assert_content("root/etc/file", "old");
        assert_int_equal(change_list_print(&list, "  ", &printed), 0);
        assert_string_equal(printed.data, "  write /etc/file (5 bytes)\n  link /a to b\n");
}

static void test_root_file(void **state)
{
        struct error err = ERROR_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct stat st;

        (void)state;
        write_file("root/etc/real", "old");
        assert_int_equal(chmod("root/etc/real", 0600), 0);
        assert_int_equal(symlink("/etc/real", "root/etc/one"), 0);
        assert_int_equal(symlink("one", "root/etc/two"), 0);
        assert_int_equal(root_file_replace(root.fd, "/etc/two", "new", 3, 0644, &err), 0);
        assert_content("root/etc/real", "new");
        assert_int_equal(lstat("root/etc/two", &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(stat("root/etc/real", &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);

        assert_int_equal(root_file_read(root.fd, "/etc/two", 2, &text, &err), -1);
        assert_int_equal(err.code, EFBIG);
        assert_int_equal(root_file_read(root.fd, "/etc", 100, &text, &err), -1);
        assert_int_equal(root_file_read(root.fd, "/none", 100, &text, &err), -1);
        assert_int_equal(err.code, ENOENT);

        assert_int_equal(symlink("loop", "root/etc/loop"), 0);
        assert_int_equal(root_file_replace(root.fd, "/etc/loop", "x", 1, 0644, &err), -1);
        assert_int_equal(err.code, ELOOP);
        assert_int_equal(symlink("../a/b/c", "root/etc/dangling"), 0);
        assert_int_equal(root_file_replace(root.fd, "etc/dangling", "x", 1, 0644, &err), 0);
        assert_content("root/a/b/c", "x");
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_account_find),
                cmocka_unit_test(test_login_setting),
                cmocka_unit_test(test_shadow_merge),
                WITH_ROOT(test_cgroups),
                WITH_ROOT(test_shadow_writes_once),
                WITH_ROOT(test_shadow_links_stay_inside),
                WITH_ROOT(test_shadow_odd_files),
                WITH_ROOT(test_shadow_settings),
                WITH_ROOT(test_skeleton),
                WITH_ROOT(test_skeleton_loop),
                WITH_ROOT(test_localtime),
                WITH_ROOT(test_home),
                WITH_ROOT(test_concurrent_first_starts),
                WITH_ROOT(test_aptfix),
                WITH_ROOT(test_tolerate_read_only),
                WITH_ROOT(test_changes_of_others_are_seen),
                WITH_ROOT(test_hooks_are_planned_again),
                WITH_ROOT(test_changed_root),
                WITH_ROOT(test_root_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
