/* store/: the cache, with writers that lie, race and die. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "store/store.h"
#include "util/io.h"
#include "util/path.h"

#define BLOB_SIZE 700000u

static char scratch[] = "/tmp/enroot-test-store-XXXXXX";
static char cache[sizeof(scratch) + 16];
static unsigned char content[BLOB_SIZE];
static char digest[IMAGE_DIGEST_SIZE] = "sha256:";
static struct store *store;

static int set_up(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch))
                return -1;
        (void)snprintf(cache, sizeof(cache), "%s/a/cache", scratch);
        store = store_open(cache, &err);
        return store ? 0 : -1;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        store_close(store);
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

/* The path of a file of the cache: the blob's name between the two texts. */
static const char *path_of(const char *before, const char *after)
{
        static char path[256];

        (void)snprintf(path, sizeof(path), "%s/%ssha256-%s%s", cache, before, digest + 7, after);
        return path;
}

static unsigned int count_files(void)
{
        auto_closedir DIR *dir = opendir(cache);
        unsigned int count = 0;

        while (readdir(dir))
                count++;
        return count - 2;
}

static void write_all(struct store_writer *writer)
{
        struct error err = ERROR_INIT;

        for (size_t done = 0; done < BLOB_SIZE; done += 7000)
                assert_int_equal(store_write(writer, content + done, 7000, &err), 0);
}

static struct store_writer *begin(void)
{
        struct store_writer *writer = NULL;
        struct error err = ERROR_INIT;

        assert_int_equal(store_begin(store, digest, BLOB_SIZE, &writer, &err), 1);
        return writer;
}

static void add_blob(void)
{
        struct store_writer *writer = begin();
        struct error err = ERROR_INIT;

        write_all(writer);
        assert_int_equal(store_commit(writer, &err), 0);
        store_writer_free(writer);
}

static void assert_content(int fd)
{
        static unsigned char data[BLOB_SIZE + 1];

        assert_true(fd >= 0);
        assert_int_equal(pread(fd, data, sizeof(data), 0), BLOB_SIZE);
        assert_memory_equal(data, content, BLOB_SIZE);
}

static void assert_stored(void)
{
        struct error err = ERROR_INIT;
        auto_close int fd = store_get(store, digest, BLOB_SIZE, &err);

        assert_content(fd);
        assert_int_equal(count_files(), 1);
}

static void assert_missing(void)
{
        struct error err = ERROR_INIT;

        assert_int_equal(store_get(store, digest, BLOB_SIZE, &err), -1);
        assert_int_equal(err.code, ENOENT);
}

static void test_write(void **state)
{
        struct error err = ERROR_INIT;
        struct store_writer *writer, *second = NULL;
        struct stat st;

        (void)state;
        assert_int_equal(stat(cache, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_missing();

        writer = begin();
        assert_int_equal(store_begin(store, digest, BLOB_SIZE, &second, &err), 0);
        write_all(writer);
        assert_int_equal(store_writer_size(writer), BLOB_SIZE);
        assert_true(store_writer_readable(writer) <= BLOB_SIZE);
        assert_missing();
        assert_int_equal(store_commit(writer, &err), 0);
        assert_int_equal(store_writer_readable(writer), BLOB_SIZE);
        assert_content(store_writer_fd(writer));
        store_writer_free(writer);
        assert_stored();
        assert_int_equal(stat(path_of("", ""), &st), 0);
        assert_int_equal(st.st_mode & 0137, 0);
        assert_int_equal(store_begin(store, digest, BLOB_SIZE, &second, &err), 2);
        assert_int_equal(count_files(), 1);
        store_writer_free(NULL);
}

static void test_wrong_content(void **state)
{
        struct store_writer *writer = begin();
        struct error err = ERROR_INIT;

        (void)state;
        content[5]++;
        write_all(writer);
        content[5]--;
        assert_int_equal(store_commit(writer, &err), -1);
        assert_int_equal(err.code, EBADMSG);
        store_writer_free(writer);
        assert_missing();
        assert_int_equal(count_files(), 0);
}

static void test_wrong_size(void **state)
{
        struct store_writer *writer = begin();
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(store_write(writer, content, 1000, &err), 0);
        assert_int_equal(store_commit(writer, &err), -1);
        assert_int_equal(err.code, EMSGSIZE);
        assert_int_equal(store_write(writer, content, BLOB_SIZE - 999, &err), -1);
        assert_int_equal(err.code, EMSGSIZE);
        store_writer_free(writer);
        assert_missing();
        assert_int_equal(count_files(), 0);
}

static void test_bad_digest(void **state)
{
        static const char *const bad[] = {
                "",
                "sha256:",
                "sha256:../../../../../../../../../../../../../../../../../../../../../../../etc",
                "sha512:0000000000000000000000000000000000000000000000000000000000000000",
                "sha256:000000000000000000000000000000000000000000000000000000000000000G",
        };
        struct store_writer *writer = NULL;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct error err = ERROR_INIT;

                assert_int_equal(store_get(store, bad[i], 1, &err), -1);
                assert_int_equal(err.code, EINVAL);
                assert_int_equal(store_begin(store, bad[i], 1, &writer, &err), -1);
                assert_int_equal(err.code, EINVAL);
        }
}

/* Whatever stands under a blob's name without being that blob is replaced. */
static void test_impostors(void **state)
{
        (void)state;
        for (int kind = 0; kind < 3; kind++) {
                if (kind == 0) {
                        auto_close int fd = open(path_of("", ""), O_WRONLY | O_CREAT, 0600);

                        assert_int_equal(io_write_full(fd, content, 10), 0);
                } else if (kind == 1) {
                        assert_int_equal(symlink("/etc/passwd", path_of("", "")), 0);
                } else {
                        assert_int_equal(mkfifo(path_of("", ""), 0600), 0);
                }
                assert_missing();
                add_blob();
                assert_stored();
                assert_int_equal(unlink(path_of("", "")), 0);
        }
}

/* A manifest that promises more than any disk has is found out before the download. */
static void test_no_room(void **state)
{
        struct store_writer *writer = NULL;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(store_begin(store, digest, UINT64_C(1) << 60, &writer, &err), -1);
        assert_true(err.code == ENOSPC || err.code == EFBIG);
        assert_non_null(strstr(err.message, cache));
        assert_int_equal(count_files(), 0);
}

static void test_failing_write(void **state)
{
        struct store_writer *writer = begin();
        struct rlimit limit, small;
        struct error err = ERROR_INIT;
        int rc;

        (void)state;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        small = limit;
        small.rlim_cur = 4096;
        (void)signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        rc = store_write(writer, content, BLOB_SIZE, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, EFBIG);
        assert_non_null(strstr(err.message, cache));
        store_writer_free(writer);
        assert_int_equal(count_files(), 0);
}

/* ---- other processes ---- */

/* Run body in a child that ends with its result. */
static pid_t fork_child(int (*body)(int), int fd)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(body(fd));
        return pid;
}

static int write_half_and_hang(int fd)
{
        struct error err = ERROR_INIT;
        struct store_writer *writer = NULL;

        if (store_begin(store, digest, BLOB_SIZE, &writer, &err) != 1 ||
            store_write(writer, content, BLOB_SIZE / 2, &err) < 0 || write(fd, "x", 1) != 1)
                return 1;
        for (;;)
                (void)pause();
}

static void test_killed_writer(void **state)
{
        struct store_writer *writer = NULL;
        struct error err = ERROR_INIT;
        int fds[2], status;
        pid_t pid;
        char byte;

        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork_child(write_half_and_hang, fds[1]);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        assert_int_equal(store_begin(store, digest, BLOB_SIZE, &writer, &err), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        add_blob();
        assert_stored();
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void make_file(const char *path)
{
        assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
}

/* What a killed process leaves where there is no O_TMPFILE, for this blob and for another one. */
static void test_sweep(void **state)
{
        auto_close int fd = -1;
        char own, dead, live;

        (void)state;
        make_file(path_of(".", ".0a1b2c"));
        make_file(path_of(".", ".lock"));
        own = digest[7];
        dead = own == '0' ? '1' : '0';
        live = own == '2' ? '3' : '2';
        digest[7] = dead;
        make_file(path_of(".", ".3d4e5f"));
        digest[7] = live;
        make_file(path_of(".", ".6a7b8c"));
        fd = open(path_of(".", ".lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        digest[7] = own;

        add_blob();
        assert_int_equal(count_files(), 3);
        digest[7] = live;
        assert_int_equal(unlink(path_of(".", ".6a7b8c")), 0);
        assert_int_equal(unlink(path_of(".", ".lock")), 0);
        digest[7] = own;
        assert_stored();
}

/* Fetch as an import does; a byte on the pipe for each blob that was really written. */
static int race(int fd)
{
        struct error err = ERROR_INIT;

        for (;;) {
                struct store_writer *writer = NULL;

                switch (store_begin(store, digest, BLOB_SIZE, &writer, &err)) {
                case 0:
                        (void)usleep(1000);
                        continue;
                case 1:
                        (void)usleep(20000);
                        if (store_write(writer, content, BLOB_SIZE, &err) < 0 ||
                            store_commit(writer, &err) < 0 || write(fd, "x", 1) != 1)
                                return 1;
                        store_writer_free(writer);
                        return 0;
                case 2:
                        return 0;
                default:
                        return 1;
                }
        }
}

static void test_race(void **state)
{
        char bytes[16];
        pid_t pids[8];
        int fds[2];

        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
                pids[i] = fork_child(race, fds[1]);
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
                int status = -1;

                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(read(fds[0], bytes, sizeof(bytes)), 1);
        assert_stored();
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void test_images_by_reference(void **state)
{
        static const char reference[] = "docker://registry.test#a:latest amd64";
        char found[IMAGE_DIGEST_SIZE], name[STORE_IMAGE_NAME_SIZE];
        struct error err = ERROR_INIT;
        int fd = -1;

        (void)state;
        assert_int_equal(store_find_image(store, reference, found, &fd, &err), 0);
        assert_int_equal(store_set_image(store, reference, digest, &err), 0);
        /* The image itself is still missing. */
        assert_int_equal(store_find_image(store, reference, found, &fd, &err), 0);

        assert_int_equal(store_image_name(digest, name, &err), 0);
        fd = openat(store_dir_fd(store), name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(store_find_image(store, reference, found, &fd, &err), 1);
        (void)close(fd);
        assert_string_equal(found, digest);
        assert_int_equal(store_find_image(store, "docker://other", found, &fd, &err), 0);
        assert_int_equal(store_image_name("sha256:../x", name, &err), -1);
}

/* The number of the one file that says what a reference stands for. */
static ino_t inode_of_reference(void)
{
        char pattern[sizeof(cache) + 16];
        struct stat st;
        glob_t found;

        (void)snprintf(pattern, sizeof(pattern), "%s/reference-*", cache);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        assert_int_equal(found.gl_pathc, 1);
        assert_int_equal(stat(found.gl_pathv[0], &st), 0);
        globfree(&found);
        return st.st_ino;
}

/* What a reference stands for is written when it changes, and not at every start. */
static void test_a_reference_that_stays(void **state)
{
        static const char reference[] = "docker://registry.test#a:latest amd64";
        char other[IMAGE_DIGEST_SIZE];
        struct error err = ERROR_INIT;
        ino_t first;

        (void)state;
        memcpy(other, digest, sizeof(other));
        other[sizeof(other) - 2] = other[sizeof(other) - 2] == '0' ? '1' : '0';
        assert_int_equal(store_set_image(store, reference, digest, &err), 0);
        first = inode_of_reference();
        assert_int_equal(store_set_image(store, reference, digest, &err), 0);
        assert_int_equal(inode_of_reference(), first);
        assert_int_equal(store_set_image(store, reference, other, &err), 0);
        assert_int_not_equal(inode_of_reference(), first);
}

/* A fetch sweeps what killed ones left of blobs, and nothing that belongs to an image. */
static void test_lease_beside_a_fetch(void **state)
{
        char name[STORE_IMAGE_NAME_SIZE];
        struct lease lease = LEASE_INIT;
        struct store_collected collected;
        const struct store_limits limits = { .bytes = 1 };
        struct store_writer *writer = NULL;
        struct error err = ERROR_INIT;
        auto_free char *file = NULL;

        (void)state;
        assert_int_equal(store_image_name(digest, name, &err), 0);
        assert_true(asprintf(&file, ".%s.lease", name) > 0);
        assert_int_equal(lease_take(&lease, store_dir_fd(store), name, NULL, &err), 0);
        assert_int_equal(store_begin(store, digest, BLOB_SIZE, &writer, &err), 1);
        store_writer_free(writer);
        assert_int_equal(store_collect(store, &limits, &collected, &err), 0);
        assert_int_equal(faccessat(store_dir_fd(store), file, F_OK, 0), 0);
        lease_release(&lease);
}

/* A lease is one process's at a time, and that of a dead one is anybody's. */
static void test_lease(void **state)
{
        struct lease lease = LEASE_INIT;
        struct error err = ERROR_INIT;
        int ready[2], status;
        pid_t child;
        char byte;

        (void)state;
        assert_int_equal(pipe(ready), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                if (lease_take(&lease, store_dir_fd(store), "out", NULL, &err) < 0 ||
                    write(ready[1], "", 1) != 1)
                        _exit(1);
                (void)usleep(300000);
                lease_release(&lease);
                if (lease_take(&lease, store_dir_fd(store), "other", NULL, &err) < 0)
                        _exit(1);
                _exit(0); /* without releasing that one */
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(lease_take(&lease, store_dir_fd(store), "out", NULL, &err), 0);
        lease_release(&lease);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(faccessat(store_dir_fd(store), ".other.lease", F_OK, 0), 0);
        assert_int_equal(lease_take(&lease, store_dir_fd(store), "other", NULL, &err), 0);
        lease_release(&lease);
        assert_int_equal(faccessat(store_dir_fd(store), ".other.lease", F_OK, 0), -1);
        (void)close(ready[0]);
        (void)close(ready[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_write, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_wrong_content, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_wrong_size, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_digest, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_impostors, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_failing_write, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_killed_writer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_images_by_reference, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_reference_that_stays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_lease, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_lease_beside_a_fetch, set_up, tear_down),
        };
        struct error err = ERROR_INIT;

        for (size_t i = 0; i < sizeof(content); i++)
                content[i] = (unsigned char)(i * 2654435761u >> 13);
        if (sha256_of(content, sizeof(content), digest + strlen(digest), &err) < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
