/*
 * squashfs/ FUSE server: mounted for real in a user namespace of its own, which
 * needs /dev/fuse and permission to make one; the test is skipped without.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "sample_image.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

#define END_TIMEOUT_MS 120000

static char scratch[] = "/tmp/enroot-test-fuse-XXXXXX";
static char image_path[64], target[64];
static struct stat fuse_before;
static bool fuse_changed;

static int set_up(void **state)
{
        (void)state;
        if (!mkdtemp(scratch))
                return -1;
        (void)snprintf(image_path, sizeof(image_path), "%s/image", scratch);
        (void)snprintf(target, sizeof(target), "%s/target", scratch);
        /* Some machines keep the device to root, who stands for the distribution here. */
        if (geteuid() == 0 && stat("/dev/fuse", &fuse_before) == 0 &&
            (fuse_before.st_mode & 0666) != 0666)
                fuse_changed = chmod("/dev/fuse", 0666) == 0;
        return chmod(scratch, 0755) < 0 || mkdir(target, 0755) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        if (fuse_changed && chmod("/dev/fuse", fuse_before.st_mode & 07777) < 0)
                return -1;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

/* ---- a container: a process in namespaces of its own, with the image mounted ---- */

struct container {
        pid_t pid;    /* of the process that runs the body */
        int alive_fd; /* hangs up when the server has ended */
};

static int enter_namespaces(void)
{
        uid_t uid = geteuid();
        gid_t gid = getegid();
        struct error err = ERROR_INIT;
        char map[32];

        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return -1;
        (void)io_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", &err);
        (void)snprintf(map, sizeof(map), "0 %u 1", uid);
        if (io_write_file(AT_FDCWD, "/proc/self/uid_map", map, &err) < 0)
                return -1;
        (void)snprintf(map, sizeof(map), "0 %u 1", gid);
        return io_write_file(AT_FDCWD, "/proc/self/gid_map", map, &err);
}

/* The server must not hold the mount namespace that it serves, or neither would ever end. */
static void serve(int fuse_fd, int ready_fd)
{
        auto_squashfs_image struct squashfs_image *image = NULL;
        auto_close int fd = open(image_path, O_RDONLY | O_CLOEXEC);
        struct squashfs_serve_options options = { .uid = 0, .gid = 0, .threads = 3 };
        struct error err = ERROR_INIT;

        if (unshare(CLONE_NEWNS) < 0)
                _exit(2);
        image = squashfs_open(fd, image_path, &err);
        if (!image)
                _exit(3);
        (void)close(ready_fd);
        _exit(squashfs_serve(image, fuse_fd, &options, &err) < 0 ? 4 : 0);
}

/* Returns the process id of the server, or -1. */
static pid_t mount_image(void)
{
        auto_close int fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        struct error err = ERROR_INIT;
        char data[256], byte;
        int ready[2];
        pid_t pid;

        if (fuse_fd < 0 || pipe2(ready, O_CLOEXEC) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                (void)close(ready[0]);
                serve(fuse_fd, ready[1]);
        }
        (void)close(ready[1]);
        (void)!read(ready[0], &byte, 1);
        (void)close(ready[0]);
        if (squashfs_fuse_mount_data(fuse_fd, 0, 0, data, sizeof(data), &err) < 0 ||
            mount("enroot", target, "fuse.enroot", MS_NOSUID | MS_NODEV | MS_RDONLY, data) < 0)
                return -1;
        return pid;
}

#define EXIT_SKIP 77

/*
 * Run body in a container. alive is the write end of the container's pipe, which the
 * server keeps open as long as it lives.
 */
static struct container start(void (*body)(pid_t server))
{
        struct container container;
        int alive[2];

        assert_int_equal(pipe(alive), 0);
        container.pid = fork();
        assert_true(container.pid >= 0);
        if (container.pid == 0) {
                pid_t server;

                (void)close(alive[0]);
                if (enter_namespaces() < 0)
                        _exit(EXIT_SKIP);
                server = mount_image();
                if (server < 0)
                        _exit(EXIT_SKIP);
                (void)fcntl(alive[1], F_SETFD, FD_CLOEXEC);
                body(server);
                _exit(0);
        }
        (void)close(alive[1]);
        container.alive_fd = alive[0];
        return container;
}

static void expect_server_end(struct container *container)
{
        struct pollfd poll_fd = { .fd = container->alive_fd };

        if (poll(&poll_fd, 1, END_TIMEOUT_MS) != 1)
                fail_msg("the server still runs");
        (void)close(container->alive_fd);
}

static void expect_success(struct container *container)
{
        int status;

        assert_int_equal(waitpid(container->pid, &status, 0), container->pid);
        expect_server_end(container);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
                print_message("skipped: no user namespace or no /dev/fuse\n");
                skip();
        }
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* For bodies, which run in another process than cmocka's runner. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        (void)fprintf(stderr, "line %d: %s\n", __LINE__, #condition);              \
                        _exit(1);                                                                  \
                }                                                                                  \
        } while (0)

/* ---- bodies ---- */

static void body_content(pid_t server)
{
        auto_close int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)server;
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* no jump back into the runner */
        sample_check_directory(fd, SAMPLE_EXACT);
}

/* Every place in a directory can be returned to, also after others were visited. */
static void check_positions(void)
{
        auto_closedir DIR *dir = NULL;
        char path[128], names[100][32];
        long places[100];

        (void)snprintf(path, sizeof(path), "%s/many", target);
        dir = opendir(path);
        CHECK(dir);
        for (int i = 0; i < 100; i++) {
                const struct dirent *entry;

                places[i] = telldir(dir);
                entry = readdir(dir);
                CHECK(entry);
                (void)snprintf(names[i], sizeof(names[i]), "%.31s", entry->d_name);
        }
        for (int i = 99; i >= 0; i -= 7) {
                seekdir(dir, places[i]);
                CHECK(strcmp(readdir(dir)->d_name, names[i]) == 0);
        }
        /* Nonsense is refused or ends the listing, and the server lives on. */
        seekdir(dir, 0x123456789abcdef);
        (void)readdir(dir);
}

static void body_calls(pid_t server)
{
        char path[128], value[64];
        struct statvfs vfs;
        struct stat st;

        (void)server;
        (void)snprintf(path, sizeof(path), "%s/missing", target);
        CHECK(stat(path, &st) < 0 && errno == ENOENT);
        CHECK(stat(path, &st) < 0 && errno == ENOENT);
        CHECK(open(path, O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS);
        (void)snprintf(path, sizeof(path), "%s/bin/tool", target);
        CHECK(open(path, O_WRONLY) < 0 && errno == EROFS);
        CHECK(stat(path, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
        CHECK(getxattr(path, "user.note", NULL, 0) == 8);
        CHECK(getxattr(path, "user.note", value, 7) < 0 && errno == ERANGE);
        CHECK(getxattr(path, "user.none", value, sizeof(value)) < 0 && errno == ENODATA);
        CHECK(listxattr(path, value, sizeof(value)) == sizeof("user.note"));
        CHECK(strcmp(value, "user.note") == 0);
        (void)snprintf(path, sizeof(path), "%s/bin/one", target);
        CHECK(listxattr(path, value, sizeof(value)) == 0);
        CHECK(statvfs(target, &vfs) == 0 && vfs.f_files > 1500 && vfs.f_bfree == 0);
        CHECK(vfs.f_flag & ST_RDONLY);
        check_positions();
}

static void body_unmount(pid_t server)
{
        int status;

        CHECK(umount(target) == 0);
        CHECK(waitpid(server, &status, 0) == server);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void body_wait(pid_t server)
{
        struct stat st;

        (void)server;
        CHECK(stat(target, &st) == 0);
        (void)kill(getpid(), SIGSTOP);
        for (;;)
                (void)pause();
}

/* Resident memory of a process in KiB. */
static long resident(pid_t pid)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        const char *line;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        CHECK(io_read_file(AT_FDCWD, path, 1 << 16, &text, &err) == 0);
        line = strstr(strbuf_text(&text), "VmRSS:");
        CHECK(line);
        return strtol(line + strlen("VmRSS:"), NULL, 10);
}

/* What the kernel has cached does not reach the server, so make it forget. */
static void read_again(const char *name)
{
        static char buffer[1 << 16];
        char path[128];
        auto_close int fd = -1;

        (void)snprintf(path, sizeof(path), "%s/%s", target, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
        while (read(fd, buffer, sizeof(buffer)) > 0)
                ;
}

static void body_memory(pid_t server)
{
        long early = 0;

        for (int round = 0; round < 40; round++) {
                read_again("bin/large");
                read_again("bin/longer");
                read_again("sparse");
                if (round == 9)
                        early = resident(server);
        }
        CHECK(resident(server) < early + 512);
}

/* ---- tests ---- */

static void test_content(void **state)
{
        static const char *const words[] = { "-comp zstd -b 4K", "-b 1M", "-noD",
                                             "-noD -noF -b 8K" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                struct container container;

                assert_true(sample_build(image_path, words[i]));
                container = start(body_content);
                expect_success(&container);
        }
}

static void run_body(void (*body)(pid_t server))
{
        struct container container;

        assert_true(sample_build(image_path, "-comp zstd"));
        container = start(body);
        expect_success(&container);
}

static void test_calls(void **state)
{
        (void)state;
        run_body(body_calls);
}

static void test_unmount(void **state)
{
        (void)state;
        run_body(body_unmount);
}

static void test_memory(void **state)
{
        (void)state;
#ifdef __SANITIZE_ADDRESS__
        print_message("skipped: AddressSanitizer keeps what is freed\n");
        skip();
#endif
        run_body(body_memory);
}

static void test_killed(void **state)
{
        struct container container;
        int status;

        (void)state;
        assert_true(sample_build(image_path, "-comp zstd"));
        container = start(body_wait);
        assert_int_equal(waitpid(container.pid, &status, WUNTRACED), container.pid);
        if (WIFSTOPPED(status)) {
                assert_int_equal(kill(container.pid, SIGKILL), 0);
                assert_int_equal(waitpid(container.pid, &status, 0), container.pid);
                assert_true(WIFSIGNALED(status));
        } else if (WEXITSTATUS(status) == EXIT_SKIP) {
                print_message("skipped: no user namespace or no /dev/fuse\n");
                skip();
        }
        expect_server_end(&container);
}

static void test_mount_data(void **state)
{
        struct error err = ERROR_INIT;
        char data[256];

        (void)state;
        assert_int_equal(squashfs_fuse_mount_data(7, 12, 34, data, sizeof(data), &err), 0);
        assert_string_equal(data, "fd=7,rootmode=40000,user_id=12,group_id=34,allow_other,"
                                  "default_permissions,max_read=1048576");
        assert_int_equal(squashfs_fuse_mount_data(7, 12, 34, data, 20, &err), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_mount_data), cmocka_unit_test(test_content),
                cmocka_unit_test(test_calls),      cmocka_unit_test(test_unmount),
                cmocka_unit_test(test_killed),     cmocka_unit_test(test_memory),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
