/* source/: where the members of archives lie, and what their names and links lead to. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "source/archive.h"
#include "source/tar_walk.h"
#include "tar_writer.h"
#include "util/io.h"

/* Walk an archive in memory; "TYPE NAME[>TARGET]@OFFSET+SIZE " for each member. Returns as a step.
 */
static int walk_text(const struct strbuf *tar, struct strbuf *text, struct error *err)
{
        static const char types[] = { 'f', 'h', 's', 'o' };
        auto_tar_walk struct tar_walk walk = TAR_WALK_INIT;

        for (;;) {
                struct tar_member member;
                int state;

                if (walk.position + walk.wanted > tar->length)
                        return walk.position == tar->length ? 0 : -EIO;
                state = tar_walk_step(&walk, tar->data + walk.position, &member, err);
                if (state <= 0)
                        return state < 0 ? -err->code : 0;
                if (state == 1)
                        strbuf_printf(text, "%c %s%s%s@%d+%d ", types[member.type], member.name,
                                      member.target[0] ? ">" : "", member.target,
                                      (int)member.offset, (int)member.size);
        }
}

static void check_walk(const struct strbuf *tar, const char *expected)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(walk_text(tar, &text, &err), 0);
        assert_string_equal(strbuf_text(&text), expected);
}

static void test_walk(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT;

        (void)state;
        tar_file(&tar, "a", "content");
        tar_add(&tar, &(struct tar_header){ .name = "d/", .type = '5' });
        tar_add(&tar, &(struct tar_header){ .name = "s", .type = '2', .link = "../a" });
        /* Some writers repeat the file's size in the header of its second name. */
        tar_add(&tar, &(struct tar_header){ .name = "h", .type = '1', .link = "a", .size = 7 });
        tar_file(&tar, "empty", "");
        tar_add(&tar,
                &(struct tar_header){ .name = "name", .extra = "prefix/of", .extra_size = 9 });
        tar_end(&tar);
        tar_file(&tar, "after the end", "");
        check_walk(&tar, "f a@512+7 o d/@1536+0 s s>../a@2048+0 h h>a@2560+0 f empty@3072+0 "
                         "f prefix/of/name@3584+0 ");
}

static void test_walk_records(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, body = STRBUF_INIT, sparse = STRBUF_INIT;
        char name[300];

        (void)state;
        memset(name, 'n', sizeof(name));
        name[299] = '\0';
        pax_record(&body, "path", name, 299);
        pax_record(&body, "mtime", "1.5", 3);
        pax_record(&body, "size", "5", 1);
        tar_pax(&tar, 'x', &body);
        tar_add(&tar, &(struct tar_header){ .name = "short", .size = 0 });
        tar_content(&tar, "12345", 5);
        tar_pax(&tar, 'g', &body);
        tar_file(&tar, "b", "");
        tar_add(&tar, &(struct tar_header){ .name = "././@LongLink", .type = 'K', .size = 5 });
        tar_content(&tar, "a/b\0", 5);
        tar_add(&tar, &(struct tar_header){ .name = "././@LongLink", .type = 'L', .size = 6 });
        tar_content(&tar, "c/d/e\0", 6);
        tar_add(&tar, &(struct tar_header){ .name = "c", .type = '2', .format = "ustar  " });
        pax_record(&sparse, "GNU.sparse.major", "1", 1);
        tar_pax(&tar, 'x', &sparse);
        tar_file(&tar, "sparse", "");
        memset(name, 'n', 299);

        auto_strbuf struct strbuf expected = STRBUF_INIT;

        strbuf_printf(&expected, "f %s@1536+5 f b@3584+0 s c/d/e>a/b@6144+0 o sparse@7680+0 ",
                      name);
        check_walk(&tar, expected.data);
}

static void test_walk_refused(void **state)
{
        static const struct {
                const char *pax;
                int expected;
        } records[] = {
                { "99 path=a\n", -EBADMSG },
                { "path=a\n", -EBADMSG },
                { "5 a=b", -EBADMSG },
                { "9 path=a\n", 0 },
                { "2 \n", -EBADMSG },
                { "6 abc\n", -EBADMSG },
                { "9 size=x\n", -EBADMSG },
                { "0 path=a\n", -EBADMSG },
                { "30 size=99999999999999999999999\n", -EBADMSG },
                { "30 size=09999999999999999999\n\n", -EBADMSG },
                { "99999999999999999999999 a=b\n", -EBADMSG },
        };
        struct error err = ERROR_INIT;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
                auto_strbuf struct strbuf tar = STRBUF_INIT, text = STRBUF_INIT;
                auto_strbuf struct strbuf body = STRBUF_INIT;

                strbuf_append(&body, records[i].pax);
                tar_pax(&tar, 'x', &body);
                tar_file(&tar, "a", "");
                assert_int_equal(walk_text(&tar, &text, &err), records[i].expected);
        }

        auto_strbuf struct strbuf nul = STRBUF_INIT, big = STRBUF_INIT, text = STRBUF_INIT;
        auto_strbuf struct strbuf body = STRBUF_INIT, bad = STRBUF_INIT;

        pax_record(&body, "path", "a\0b", 3);
        tar_pax(&nul, 'x', &body);
        assert_int_equal(walk_text(&nul, &text, &err), -EBADMSG);
        tar_add(&big, &(struct tar_header){ .name = "x", .type = 'L', .size = 1u << 20 });
        assert_int_equal(walk_text(&big, &text, &err), -EFBIG);
        tar_file(&bad, "a", "b");
        bad.data[0] = 'b';
        assert_int_equal(walk_text(&bad, &text, &err), -EBADMSG);
        assert_non_null(strstr(err.message, "not a tar archive"));
}

/* ---- archives ---- */

static int file_with(const struct strbuf *content)
{
        int fd = memfd_create("archive", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, content->data, content->length), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static void check_read(const struct archive *archive, const char *name, const char *expected)
{
        auto_strbuf struct strbuf content = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(archive_read(archive, name, 100, &content, &err), 0);
        assert_string_equal(strbuf_text(&content), expected);
}

static void check_missing(const struct archive *archive, const char *name, int code)
{
        auto_extent struct extent extent = EXTENT_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(archive_find(archive, name, &extent, &err), -1);
        assert_int_equal(err.code, code);
        assert_false(archive_has(archive, name));
}

static void test_members(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT;
        auto_archive struct archive *archive = NULL;
        auto_close int fd = -1;
        struct error err = ERROR_INIT;

        (void)state;
        tar_file(&tar, "./a", "first");
        tar_file(&tar, "a", "second");
        tar_file(&tar, "../../etc/passwd", "inside");
        tar_add(&tar, &(struct tar_header){ .name = "d/link", .type = '2', .link = "../a" });
        tar_add(&tar, &(struct tar_header){ .name = "d/up", .type = '2', .link = "../../../a" });
        tar_add(&tar, &(struct tar_header){ .name = "abs", .type = '2', .link = "/a" });
        tar_add(&tar, &(struct tar_header){ .name = "d/hard", .type = '1', .link = "a" });
        tar_add(&tar, &(struct tar_header){ .name = "host", .type = '2', .link = "/etc/hostname" });
        tar_add(&tar, &(struct tar_header){ .name = "one", .type = '2', .link = "two" });
        tar_add(&tar, &(struct tar_header){ .name = "two", .type = '2', .link = "one" });
        tar_add(&tar, &(struct tar_header){ .name = "d", .type = '5' });
        fd = file_with(&tar);
        archive = archive_open_tar(fd, "/nowhere", NULL, &err);
        assert_non_null(archive);
        check_read(archive, "a", "second");
        check_read(archive, "./x/../a", "second");
        check_read(archive, "d/link", "second");
        check_read(archive, "d/up", "second");
        check_read(archive, "abs", "second");
        check_read(archive, "d/hard", "second");
        check_read(archive, "etc/passwd", "inside");
        check_missing(archive, "host", ENOENT);
        check_missing(archive, "one", ELOOP);
        check_missing(archive, "d", EINVAL);
        check_missing(archive, "none", ENOENT);
        check_missing(archive, "", ENOENT);
}

static void test_damaged(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, text = STRBUF_INIT, empty = STRBUF_INIT;
        auto_strbuf struct strbuf half = STRBUF_INIT;
        const struct {
                const struct strbuf *content;
                int code;
        } cases[] = { { &text, EBADMSG }, { &empty, EIO }, { &half, EIO } };

        (void)state;
        tar_file(&tar, "a", "content");
        for (int i = 0; i < 1000; i++)
                strbuf_append(&text, "no archive ");
        strbuf_append(&empty, "");
        tar_add(&half, &(struct tar_header){ .name = "a", .size = 5000 });
        tar_content(&half, "content", 7);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_close int fd = file_with(cases[i].content);
                struct error err = ERROR_INIT;

                assert_null(archive_open_tar(fd, "/tmp", NULL, &err));
                assert_int_equal(err.code, cases[i].code);
        }
}

static void test_directory(void **state)
{
        char path[] = "/tmp/enroot-test-XXXXXX";
        auto_archive struct archive *archive = NULL;
        struct error err = ERROR_INIT;
        int fd;

        (void)state;
        assert_non_null(mkdtemp(path));
        fd = open(path, O_RDONLY | O_DIRECTORY);
        assert_int_equal(symlinkat("/etc/hostname", fd, "host"), 0);
        assert_int_equal(symlinkat("file", fd, "link"), 0);
        assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
        auto_close int file = openat(fd, "file", O_WRONLY | O_CREAT, 0600);
        assert_int_equal(io_write_full(file, "text", 4), 0);
        archive = archive_open_directory(path, &err);
        assert_non_null(archive);
        check_read(archive, "file", "text");
        check_read(archive, "link", "text");
        check_read(archive, "../../file", "text");
        check_missing(archive, "host", ENOENT);
        check_missing(archive, "fifo", EINVAL);
        check_missing(archive, "none", ENOENT);
        for (const char *const *name =
                     (const char *const[]){ "host", "link", "fifo", "file", NULL };
             *name; name++)
                assert_int_equal(unlinkat(fd, *name, 0), 0);
        (void)close(fd);
        assert_int_equal(rmdir(path), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_walk),         cmocka_unit_test(test_walk_records),
                cmocka_unit_test(test_walk_refused), cmocka_unit_test(test_members),
                cmocka_unit_test(test_damaged),      cmocka_unit_test(test_directory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
