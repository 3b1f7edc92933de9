/*
 * mount/apply.c: plans carried out in a user and mount namespace of a child process,
 * below a directory full of hostile links; with the mount calls of new kernels, and without.
 * Skipped where there are no user namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <seccomp.h>

#include "mount/mount.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

#define SKIPPED 77

static char scratch[] = "/tmp/enroot-test-apply-XXXXXX";

/* scratch/host: files of the host, scratch/root: the rootfs, scratch/outside: must stay empty. */
static int set_up(void **state)
{
        static const char *const dirs[] = { "host",     "root",     "outside",
                                            "host/dir", "root/etc", "root/sub" };

        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
                if (mkdir(dirs[i], 0755) < 0)
                        return -1;
        for (size_t i = 0; i < 2; i++) {
                auto_close int fd = open(i ? "host/dir/inner" : "host/file",
                                         O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

                if (fd < 0 || io_write_full(fd, "host", 4) < 0)
                        return -1;
        }
        return 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

static int enter_namespaces(void)
{
        struct error err = ERROR_INIT;
        uid_t uid = getuid();
        gid_t gid = getgid();
        char map[64];

        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return -1;
        (void)snprintf(map, sizeof(map), "0 %u 1", gid);
        if (io_write_file(-1, "/proc/self/setgroups", "deny", &err) < 0 ||
            io_write_file(-1, "/proc/self/gid_map", map, &err) < 0)
                return -1;
        (void)snprintf(map, sizeof(map), "0 %u 1", uid);
        return io_write_file(-1, "/proc/self/uid_map", map, &err);
}

/* What the child says: 0 is success, otherwise the line that failed. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        (void)fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition,    \
                                      errno);                                                      \
                        return 1;                                                                  \
                }                                                                                  \
        } while (0)

/* Answer as Linux before 5.2 does. */
static int become_old_kernel(void)
{
        static const int calls[] = {
                SCMP_SYS(open_tree),
                SCMP_SYS(move_mount),
                SCMP_SYS(mount_setattr),
                SCMP_SYS(openat2),
        };
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int result = filter ? 0 : -1;

        for (size_t i = 0; i < ARRAY_SIZE(calls) && result == 0; i++)
                result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), calls[i], 0);
        if (result == 0)
                result = seccomp_load(filter);
        seccomp_release(filter);
        return result;
}

static int run_child(int (*body)(const struct mount_root *root), bool old_kernel)
{
        char path[sizeof(scratch) + sizeof("/root")];
        struct mount_root root = { .path = path };

        (void)snprintf(path, sizeof(path), "%s/root", scratch);
        if (enter_namespaces() < 0 || chdir(scratch) < 0)
                return SKIPPED;
        if (old_kernel && become_old_kernel() < 0)
                return SKIPPED;
        root.fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return body(&root);
}

static void run_with(int (*body)(const struct mount_root *root), bool old_kernel)
{
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0)
                _exit(run_child(body, old_kernel));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == SKIPPED)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_in_namespaces(int (*body)(const struct mount_root *root))
{
        run_with(body, false);
}

/* One line with %s as the scratch directory, applied. */
static int apply(const struct mount_root *root, struct error *err, const char *line)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;

        if (mount_plan_add_line(&plan, err, "%s", line) < 0)
                return -1;
        return mount_plan_apply(&plan, root, 0, 0, NULL, err);
}

static int apply_fmt(const struct mount_root *root, struct error *err, const char *fmt)
{
        auto_strbuf struct strbuf line = STRBUF_INIT;
        const char *mark = strstr(fmt, "@");

        for (; mark; fmt = mark + 1, mark = strstr(fmt, "@")) {
                strbuf_append_mem(&line, fmt, (size_t)(mark - fmt));
                strbuf_append(&line, scratch);
        }
        strbuf_append(&line, fmt);
        return apply(root, err, strbuf_text(&line));
}

static bool is_empty_dir(const char *path)
{
        return rmdir(path) == 0 && mkdir(path, 0755) == 0;
}

static int bind_flags(const struct mount_root *root)
{
        struct error err = ERROR_INIT;
        struct statvfs st;

        CHECK(apply_fmt(root, &err,
                        "@/host/file /new/dir/file none "
                        "x-create=file,bind,ro,nosuid,nodev,noexec,private") == 0);
        CHECK(statvfs("root/new/dir/file", &st) == 0);
        CHECK((st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC)) ==
              (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC));
        CHECK(open("root/new/dir/file", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
        CHECK(statvfs("host/file", &st) == 0 && !(st.f_flag & ST_RDONLY));

        CHECK(apply_fmt(root, &err, "@/host/dir /bound none x-create=auto,rbind") == 0);
        CHECK(access("root/bound/inner", F_OK) == 0);
        CHECK(apply(root, &err, "none /bound none remount,bind,ro") == 0);
        CHECK(open("root/bound/inner", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
        CHECK(apply(root, &err, "none /bound none remount,bind,rw") == 0);
        CHECK(close(open("root/bound/inner", O_WRONLY | O_CLOEXEC)) == 0);
        CHECK(apply(root, &err, "none /bound none x-detach") == 0);
        CHECK(access("root/bound/inner", F_OK) < 0);
        return 0;
}

static void test_bind_flags(void **state)
{
        (void)state;
        run_in_namespaces(bind_flags);
}

static void test_bind_flags_by_remount(void **state)
{
        (void)state;
        run_with(bind_flags, true);
}

/* A file in memory, at a new name, over a file, and at the end of a link that leads out. */
static int content(const struct mount_root *root)
{
        static const struct {
                const char *target, *file;
        } cases[] = {
                { "/made/here", "made/here" },
                { "/present", "present" },
                { "/link", "outside/file" },
        };
        struct error err = ERROR_INIT;

        CHECK(close(open("root/present", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) == 0);
        CHECK(symlink("../../outside/file", "root/link") == 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf text = STRBUF_INIT;
                const struct mount_entry entry = {
                        .target = (char *)cases[i].target,
                        .bind = true,
                        .attr_set = MS_RDONLY,
                        .create = MOUNT_CREATE_FILE,
                        .content = (char *)"in\0memory",
                        .content_length = 9,
                };

                CHECK(mount_plan_append(&plan, &entry) == 0);
                CHECK(mount_plan_apply(&plan, root, 0, 0, NULL, &err) == 0);
                CHECK(io_read_file(root->fd, cases[i].file, 100, &text, &err) == 0);
                CHECK(text.length == 9 && memcmp(text.data, "in\0memory", 9) == 0);
                CHECK(openat(root->fd, cases[i].file, O_WRONLY | O_CLOEXEC) < 0);
                CHECK(errno == EROFS);
        }
        CHECK(is_empty_dir("outside"));
        CHECK(access("root/content", F_OK) < 0); /* and nothing is left over the root */
        return 0;
}

static void test_content(void **state)
{
        (void)state;
        run_in_namespaces(content);
}

static void test_content_on_old_kernels(void **state)
{
        (void)state;
        run_with(content, true);
}

/* A mount with flags that a namespace with more rights has set, as of NFS or a nosuid /home. */
static int locked_flags(const struct mount_root *outer)
{
        static const char *const options[] = {
                "bind",
                "bind,rw",
                "rbind,rw,suid,dev,exec",
                "bind,noatime",
                "bind,relatime",
                "bind,rslave",
                "bind,strictatime,rw",
                "rbind,nodiratime",
                "bind,private,nosuid",
        };
        const unsigned long all = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC;
        struct mount_root inner = *outer;
        const struct mount_root *root = &inner;
        struct error err = ERROR_INIT;
        struct statvfs st;

        CHECK(mount("tmpfs", "host/dir", "tmpfs", 0, NULL) == 0);
        CHECK(mkdir("host/dir/below", 0755) == 0);
        CHECK(mount("tmpfs", "host/dir/below", "tmpfs", MS_RDONLY, NULL) == 0);
        CHECK(mount(NULL, "host/dir", NULL,
                    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                    NULL) == 0);
        CHECK(enter_namespaces() == 0);
        inner.fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC); /* in this namespace */
        for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                char line[256];
                int result;

                (void)snprintf(line, sizeof(line), "@/host/dir /sub none %s", options[i]);
                result = apply_fmt(root, &err, line);
                /* What is mounted below cannot be left out. */
                if (strncmp(options[i], "bind", 4) == 0) {
                        CHECK(result < 0 && strstr(err.message, "use rbind"));
                        (void)snprintf(line, sizeof(line), "@/host/dir /sub none r%s", options[i]);
                        result = apply_fmt(root, &err, line);
                }
                if (result < 0)
                        (void)fprintf(stderr, "%s: %s\n", options[i], err.message);
                CHECK(result == 0);
                CHECK(statvfs("root/sub", &st) == 0 && (st.f_flag & all) == all);
                CHECK(statvfs("root/sub/below", &st) == 0 && st.f_flag & ST_RDONLY);
                CHECK(apply(root, &err, "none /sub none remount,bind,rw,exec") == 0);
                CHECK(statvfs("root/sub", &st) == 0 && (st.f_flag & all) == all);
                CHECK(apply(root, &err, "none /sub none x-detach") == 0);
        }
        return 0;
}

static void test_locked_flags(void **state)
{
        (void)state;
        run_with(locked_flags, false);
}

static void test_locked_flags_by_remount(void **state)
{
        (void)state;
        run_with(locked_flags, true);
}

static int file_systems(const struct mount_root *root)
{
        struct error err = ERROR_INIT;
        struct stat st;

        CHECK(apply(root, &err, "tmpfs /scratch tmpfs x-create=dir,mode=1777,size=1m,nodev") == 0);
        CHECK(stat("root/scratch", &st) == 0 && (st.st_mode & 07777) == 01777);
        CHECK(mkdir("root/scratch/a", 0755) == 0);
        CHECK(apply_fmt(root, &err, "@/root/scratch /moved none x-create=dir,x-move") == 0);
        CHECK(access("root/moved/a", F_OK) == 0 && access("root/scratch/a", F_OK) < 0);

        CHECK(apply(root, &err, "none /x no-such-type x-create=dir") < 0 && err.code == ENODEV);
        CHECK(strstr(err.message, "/x"));
        return 0;
}

static void test_file_systems(void **state)
{
        (void)state;
        run_in_namespaces(file_systems);
}

/* Targets that are links to the host (CVE-2021-30465 and its like) end inside the root. */
static int hostile_targets(const struct mount_root *root)
{
        struct error err = ERROR_INIT;
        char outside[sizeof(scratch) + sizeof("root/outside/made")];

        (void)snprintf(outside, sizeof(outside), "%s/outside", scratch);
        CHECK(symlinkat(outside, root->fd, "link") == 0);
        CHECK(symlinkat("../../../../../../outside", root->fd, "sub/up") == 0);
        (void)snprintf(outside, sizeof(outside), "%s/outside/made", scratch);
        CHECK(symlinkat(outside, root->fd, "etc/resolv.conf") == 0);

        CHECK(apply_fmt(root, &err, "@/host/dir /link none x-create=dir,bind") == 0);
        CHECK(apply_fmt(root, &err, "@/host/dir /sub/up none x-create=dir,bind") == 0);
        CHECK(apply_fmt(root, &err, "@/host/file /etc/resolv.conf none x-create=file,bind") == 0);
        CHECK(apply_fmt(root, &err, "@/host/dir ../../outside none x-create=dir,bind") == 0);
        CHECK(is_empty_dir("outside"));

        CHECK(symlinkat("loop", root->fd, "loop") == 0);
        CHECK(apply_fmt(root, &err, "@/host/dir /loop none x-create=dir,bind") < 0);
        CHECK(err.code == ELOOP);
        CHECK(chroot("root") == 0 && access(outside, F_OK) == 0); /* made, but in the root */
        return 0;
}

static void test_hostile_targets(void **state)
{
        (void)state;
        run_in_namespaces(hostile_targets);
}

/* A volume of the image that is a link to the host's files shows the image's own (or nothing). */
static int hostile_source(const struct mount_root *root)
{
        struct error err = ERROR_INIT;
        char link[sizeof(scratch) + sizeof("/host/dir")];

        (void)snprintf(link, sizeof(link), "%s/host/dir", scratch);
        CHECK(symlinkat(link, root->fd, "volume") == 0);
        CHECK(apply_fmt(root, &err, "@/root/volume /volume none x-create=dir,bind,rw,nosuid") == 0);
        CHECK(path_open_in_root(root->fd, "/volume/inner", O_PATH, 0) < 0 && errno == ENOENT);
        CHECK(apply_fmt(root, &err, "@/root/data /data none x-create=dir,bind") == 0);
        CHECK(apply_fmt(root, &err, "@/root/absent /sub none bind") < 0 && err.code == ENOENT);
        return 0;
}

static void test_hostile_targets_on_old_kernels(void **state)
{
        (void)state;
        run_with(hostile_targets, true);
}

static void test_hostile_source(void **state)
{
        (void)state;
        run_in_namespaces(hostile_source);
}

static int failures(const struct mount_root *root)
{
        struct error err = ERROR_INIT;

        CHECK(apply_fmt(root, &err, "@/absent /made none x-create=file,bind") < 0);
        CHECK(err.code == ENOENT && strstr(err.message, "absent"));
        CHECK(access("root/made", F_OK) < 0); /* nothing is left behind */
        CHECK(apply_fmt(root, &err, "@/absent /made none x-create=file,bind,nofail,silent") == 0);
        CHECK(apply_fmt(root, &err, "@/host/file /no/such none bind") < 0);
        CHECK(strstr(err.message, "x-create"));
        CHECK(apply_fmt(root, &err, "@/host/dir / none bind") < 0 && err.code == EINVAL);
        CHECK(apply(root, &err, "none /sub none x-detach") < 0 && err.code == EINVAL);
        CHECK(apply(root, &err, "none /sub none remount,bind,ro") < 0);
        CHECK(apply_fmt(root, &err, "@/host/file /sub none bind") < 0 && err.code == ENOTDIR);
        return 0;
}

static void test_failures(void **state)
{
        (void)state;
        run_in_namespaces(failures);
}

static int passes(const struct mount_root *root)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        struct error err = ERROR_INIT;

        CHECK(mount_plan_add_line(&plan, &err, "tmpfs /last tmpfs x-create=dir 0 2") == 0);
        CHECK(mount_plan_add_line(&plan, &err, "tmpfs /late tmpfs x-create=dir 0 0") == 0);
        CHECK(mount_plan_add_line(&plan, &err, "tmpfs /early tmpfs x-create=dir 0 -1") == 0);
        CHECK(mount_plan_apply(&plan, root, -1, -1, NULL, &err) == 0);
        CHECK(access("root/early", F_OK) == 0 && access("root/late", F_OK) < 0);
        CHECK(mount_plan_apply(&plan, root, 0, 0, NULL, &err) == 0);
        CHECK(access("root/late", F_OK) == 0 && access("root/last", F_OK) < 0);
        return 0;
}

static void test_passes(void **state)
{
        (void)state;
        run_in_namespaces(passes);
}

/* Image files: who mounts them is the root's business, what is no image file the kernel's. */
static unsigned int images;

static int count_image(const void *context, const struct mount_entry *entry, const char *source,
                       int target_fd, struct error *err)
{
        struct stat st;

        if (!context || !entry->image || stat(source, &st) < 0 || fstat(target_fd, &st) < 0 ||
            !S_ISDIR(st.st_mode))
                return error_set(err, EINVAL, "wrong call");
        images++;
        return 0;
}

static int image_files(const struct mount_root *root)
{
        struct mount_root with_images = *root;
        struct error err = ERROR_INIT;

        CHECK(apply_fmt(root, &err, "@/host/file /data squashfs") < 0 && err.code == EOPNOTSUPP);
        CHECK(access("root/data", F_OK) < 0);
        with_images.mount_image = count_image;
        with_images.image_context = &images;
        CHECK(apply_fmt(&with_images, &err, "@/host/file /data squashfs ro,nosuid") == 0);
        CHECK(images == 1 && access("root/data", F_OK) == 0);
        CHECK(apply_fmt(&with_images, &err, "@/root/own /data squashfs") < 0);
        CHECK(apply_fmt(&with_images, &err, "@/host/file /data squashfs,x") < 0);
        CHECK(apply_fmt(&with_images, &err, "@/host/file /data squashfs errors=panic") < 0);
        CHECK(apply_fmt(&with_images, &err, "@/host/dir /data squashfs") < 0);
        CHECK(images == 1);
        return 0;
}

static void test_image_files(void **state)
{
        (void)state;
        run_in_namespaces(image_files);
}

static void test_check(void **state)
{
        static const struct {
                const char *line;
                int code;
        } cases[] = {
                { "@/host/dir /a none bind", 0 },
                { "@/absent /a none bind", ENOENT },
                { "@/absent /a none rbind,ro", ENOENT },
                { "@/absent /a none x-move", ENOENT },
                { "@/absent /a squashfs", ENOENT },
                { "@/host/file/below /a none bind", ENOTDIR },
                { "@/absent /a none bind,nofail", 0 },
                { "@/root/absent /a none bind,x-create=dir", 0 },
                { "@/absent /a ext4", 0 },
                { "@/absent /a none remount,bind", 0 },
                { "tmpfs /a tmpfs", 0 },
        };
        char root_path[sizeof(scratch) + sizeof("/root")];

        (void)state;
        (void)snprintf(root_path, sizeof(root_path), "%s/root", scratch);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                struct error err = ERROR_INIT;
                char line[256];

                (void)snprintf(line, sizeof(line), "%s%s", cases[i].line[0] == '@' ? scratch : "",
                               cases[i].line + (cases[i].line[0] == '@'));
                assert_int_equal(mount_plan_add_line(&plan, &err, "%s", line), 0);
                assert_int_equal(mount_plan_check(&plan, root_path, 1, 9, &err), 0);
                assert_int_equal(mount_plan_check(&plan, root_path, 0, 0, &err),
                                 cases[i].code ? -1 : 0);
                assert_int_equal(err.code, cases[i].code);
                if (cases[i].code)
                        assert_non_null(strstr(err.message, " at /a: source"));
        }
}

/* By pass, and where it is the same, as they came; a plan that is taken comes behind. */
static void test_sort_and_take(void **state)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT, more = MOUNT_PLAN_INIT;
        static const struct {
                const char *target;
                int pass;
        } entries[] = { { "/c", 2 }, { "/a", -1 }, { "/d", 2 }, { "/b", 0 } };
        auto_strbuf struct strbuf order = STRBUF_INIT;

        (void)state;
        assert_int_equal(mount_plan_sort(&plan), 0);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                const struct mount_entry entry = {
                        .target = (char *)entries[i].target,
                        .pass = entries[i].pass,
                        .bind = true,
                };

                assert_int_equal(mount_plan_append(i < 3 ? &plan : &more, &entry), 0);
        }
        assert_int_equal(mount_plan_take(&plan, &more), 0);
        assert_int_equal(mount_plan_take(&plan, &more), 0);
        assert_int_equal(more.count, 0);
        assert_int_equal(mount_plan_sort(&plan), 0);
        for (size_t i = 0; i < plan.count; i++)
                strbuf_append(&order, plan.entries[i].target);
        assert_string_equal(order.data, "/a/b/c/d");
}

static void test_append_copies(void **state)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        char target[] = "/a";
        struct mount_entry entry = { .target = target, .bind = true };

        (void)state;
        for (int i = 0; i < 100; i++)
                assert_int_equal(mount_plan_append(&plan, &entry), 0);
        target[1] = 'b';
        assert_int_equal(plan.count, 100);
        assert_string_equal(plan.entries[99].target, "/a");
        assert_null(plan.entries[99].source);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append_copies),
                cmocka_unit_test(test_sort_and_take),
                cmocka_unit_test_setup_teardown(test_bind_flags, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bind_flags_by_remount, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_locked_flags, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_locked_flags_by_remount, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hostile_targets_on_old_kernels, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_content, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_content_on_old_kernels, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_image_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_file_systems, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hostile_targets, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hostile_source, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_passes, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
