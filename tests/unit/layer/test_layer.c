/* layer/: what archives can hold, made by hand and by GNU tar. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_text.h"
#include "layer/layer.h"
#include "tar_writer.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

/* The first entry of an archive, to look at what is not printed. */
static struct entry first_entry(const struct strbuf *tar)
{
        struct error err = ERROR_INIT;
        auto_layer struct layer *layer = NULL;
        struct entry entry = { .path = NULL };

        layer = layer_open(stream_from_memory(tar->data, tar->length, &err), &err);
        assert_non_null(layer);
        if (layer_next(layer, &entry, &err) != 1)
                fail_msg("%s", err.message);
        return entry;
}

/* An archive of one file with the given pax records, ended by a NULL key. */
struct record {
        const char *key, *value;
        size_t size; /* 0: the length of value */
};

static void pax_file(struct strbuf *tar, const char *name, const struct record *records)
{
        auto_strbuf struct strbuf body = STRBUF_INIT;

        for (; records->key; records++)
                pax_record(&body, records->key, records->value,
                           records->size ? records->size : strlen(records->value));
        tar_pax(tar, 'x', &body);
        tar_file(tar, name, "content");
}

/* ---- tests ---- */

static void test_types(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT;
        struct entry entry;

        (void)state;
        tar_add(&tar, &(struct tar_header){ .name = "./", .type = '5', .mode = 01755 });
        tar_file(&tar, "file", "content");
        tar_file(&tar, "empty", "");
        tar_add(&tar, &(struct tar_header){ .name = "dir/", .type = '5' });
        tar_add(&tar, &(struct tar_header){ .name = "dir/fifo", .type = '6' });
        tar_add(&tar, &(struct tar_header){ .name = "null", .type = '3' });
        tar_add(&tar, &(struct tar_header){ .name = "sda", .type = '4' });
        tar_add(&tar, &(struct tar_header){ .name = "sym", .type = '2', .link = "../a//b/" });
        tar_add(&tar, &(struct tar_header){ .name = "hard", .type = '1', .link = "./file" });
        tar_add(&tar, &(struct tar_header){ .name = "contiguous", .type = '7' });
        tar_add(&tar, &(struct tar_header){ .name = "old/", .format = "" });
        tar_add(&tar, &(struct tar_header){ .name = ".wh.gone" });
        tar_end(&tar);
        check_archive(&tar, "/\nfile = content\nempty = \ndir/\ndir/fifo |\nsym > ../a//b/\n"
                            "hard @ file\ncontiguous = \nold/\n.wh.gone = \n");
        entry = first_entry(&tar);
        assert_int_equal(entry.meta.mode, 01755);
        assert_int_equal(entry.meta.uid, 1000);
        assert_int_equal(entry.meta.gid, 100);
        assert_int_equal(entry.meta.mtime, 1234567890);
        entry_release(&entry);
}

static void test_names_stay_inside(void **state)
{
        static const struct {
                const char *name, *expected;
        } cases[] = {
                { "/etc/passwd", "etc/passwd" },
                { "../../etc/passwd", "etc/passwd" },
                { "a/../../b", "b" },
                { "a//./b", "a/b" },
                { "./a/b/../c", "a/c" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf tar = STRBUF_INIT, expected = STRBUF_INIT;

                tar_file(&tar, cases[i].name, "x");
                tar_add(&tar,
                        &(struct tar_header){ .name = "hard", .type = '1', .link = cases[i].name });
                strbuf_printf(&expected, "%s = x\nhard @ %s\n", cases[i].expected,
                              cases[i].expected);
                check_archive(&tar, expected.data);
        }
}

/* Names are bytes, wherever they stand and whatever locale the program runs in. */
static void test_names_are_bytes(void **state)
{
        static const char *const names[] = {
                "gr\303\274n",              /* UTF-8 */
                "gru\314\210n",             /* the same, decomposed */
                "gr\374n",                  /* Latin-1 */
                "\355\240\275\355\270\200", /* surrogates in UTF-8 (CESU-8) */
                "\300\257\377\376",         /* no UTF-8 at all */
                "line\nbreak\ttab\001",
                "\360\237\230\200", /* beyond the BMP */
        };
        static const char *const locales[] = { "C", "C.UTF-8" };

        (void)state;
        for (size_t l = 0; l < ARRAY_SIZE(locales); l++) {
                (void)setlocale(LC_ALL, locales[l]);
                for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                        auto_strbuf struct strbuf tar = STRBUF_INIT, expected = STRBUF_INIT;
                        const char *name = names[i];

                        tar_file(&tar, name, "");
                        pax_file(&tar, "x", (struct record[]){ { "path", name }, { NULL } });
                        pax_file(&tar, "x",
                                 (struct record[]){
                                         { "hdrcharset", "BINARY" }, { "path", name }, { NULL } });
                        pax_file(&tar, "x",
                                 (struct record[]){ { "path", name },
                                                    { "hdrcharset", "BINARY" },
                                                    { "uname", name },
                                                    { NULL } });
                        tar_add(&tar,
                                &(struct tar_header){ .name = "s", .type = '2', .link = name });
                        strbuf_printf(&expected, "%s = \n", name);
                        for (int n = 0; n < 3; n++)
                                strbuf_printf(&expected, "%s = content\n", name);
                        strbuf_printf(&expected, "s > %s\n", name);
                        check_archive(&tar, expected.data);
                }
        }
        (void)setlocale(LC_ALL, "C");
}

/* The same for links in pax records, and a directory marked by its slash alone. */
static void test_pax_links(void **state)
{
        static const char latin1[] = "d/gr\374n";
        auto_strbuf struct strbuf tar = STRBUF_INIT, body = STRBUF_INIT;

        (void)state;
        pax_record(&body, "linkpath", latin1, strlen(latin1));
        tar_pax(&tar, 'x', &body);
        tar_add(&tar, &(struct tar_header){ .name = "sym", .type = '2', .link = "x" });
        tar_pax(&tar, 'x', &body);
        tar_add(&tar, &(struct tar_header){ .name = "hard", .type = '1', .link = "x" });
        strbuf_reset(&body);
        pax_record(&body, "path", "d/gr\374n/", 7);
        tar_pax(&tar, 'x', &body);
        tar_add(&tar, &(struct tar_header){ .name = "x" });
        check_archive(&tar, "sym > d/gr\374n\nhard @ d/gr\374n\nd/gr\374n/\n");
}

static void test_long_names(void **state)
{
        auto_strbuf struct strbuf path = STRBUF_INIT, tar = STRBUF_INIT, expected = STRBUF_INIT;
        auto_strbuf struct strbuf too_long = STRBUF_INIT, prefix = STRBUF_INIT;
        struct tar_header gnu = { .name = "././@LongLink", .type = 'L', .format = "ustar  " };

        (void)state;
        /* 4,000 bytes in names of 99; as pax record and as GNU long name and link. */
        while (path.length < 4000)
                strbuf_printf(&path, "%s%098d", path.length > 0 ? "/" : "", 7);
        pax_file(&tar, "x", (struct record[]){ { "path", path.data }, { NULL } });
        gnu.size = path.length + 1;
        tar_add(&tar, &gnu);
        tar_content(&tar, path.data, path.length + 1);
        tar_file(&tar, "cut", "gnu");
        gnu.type = 'K';
        tar_add(&tar, &gnu);
        tar_content(&tar, path.data, path.length + 1);
        tar_add(&tar, &(struct tar_header){ .name = "sym", .type = '2', .link = "cut" });
        strbuf_printf(&expected, "%s = content\n%s = gnu\nsym > %s\n", path.data, path.data,
                      path.data);
        /* ustar: 155 bytes of prefix and 100 of name */
        strbuf_printf(&prefix, "%0155d", 1);
        strbuf_reset(&path);
        strbuf_printf(&path, "%0100d", 2);
        tar_add(&tar,
                &(struct tar_header){ .name = path.data, .extra = prefix.data, .extra_size = 155 });
        strbuf_printf(&expected, "%s/%s = \n", prefix.data, path.data);
        check_archive(&tar, expected.data);

        /* 256 bytes in one name */
        strbuf_printf(&too_long, "d/%0256d", 3);
        strbuf_reset(&tar);
        pax_file(&tar, "x", (struct record[]){ { "path", too_long.data }, { NULL } });
        check_error(&tar, ENAMETOOLONG, "more than 255 bytes: d/000");

        /* A name that would take long to normalise. */
        strbuf_reset(&too_long);
        while (too_long.length < 100000)
                strbuf_append(&too_long, "a/../");
        strbuf_reset(&tar);
        pax_file(&tar, "x", (struct record[]){ { "path", too_long.data }, { NULL } });
        check_error(&tar, ENAMETOOLONG, "more than 65536 bytes");
}

static void test_extended_attributes(void **state)
{
        static const char capability[] = "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        auto_strbuf struct strbuf tar = STRBUF_INIT, many = STRBUF_INIT, large = STRBUF_INIT;
        struct entry entry;
        const struct xattr *xattr;

        (void)state;
        pax_file(&tar, "file",
                 (struct record[]){
                         { "SCHILY.xattr.user.b", "line\nfeed" },
                         { "SCHILY.xattr.security.capability", capability, sizeof(capability) - 1 },
                         { "SCHILY.xattr.trusted.t", "first" },
                         { "SCHILY.xattr.trusted.t", "second" },
                         { "LIBARCHIVE.xattr.user.a%3db", "aGVsbG8" },
                         { "SCHILY.xattr.system.posix_acl_access", "no" },
                         { "SCHILY.xattr.user.overlay.opaque", "y" },
                         { "SCHILY.xattr.trusted.overlay.opaque", "y" },
                         { "SCHILY.xattr.security.selinux", "label" },
                         { "RHT.security.selinux", "label" },
                         { "SCHILY.acl.access", "user::rwx,user:b\303\266b:r--" },
                         { "SCHILY.acl.default", "nonsense" },
                         { "SCHILY.xattr.com.apple.quarantine", "no" },
                         { NULL } });
        entry = first_entry(&tar);
        assert_int_equal(entry.meta.xattrs.count, 4);
        xattr = xattr_list_find(&entry.meta.xattrs, "security.capability");
        assert_int_equal(xattr->size, sizeof(capability) - 1);
        assert_memory_equal(xattr->value, capability, xattr->size);
        assert_memory_equal(xattr_list_find(&entry.meta.xattrs, "user.b")->value, "line\nfeed", 9);
        assert_memory_equal(xattr_list_find(&entry.meta.xattrs, "trusted.t")->value, "second", 6);
        assert_memory_equal(xattr_list_find(&entry.meta.xattrs, "user.a=b")->value, "hello", 5);
        entry_release(&entry);

        strbuf_reset(&tar);
        for (int i = 0; i < 600; i++) {
                char name[32];

                (void)snprintf(name, sizeof(name), "SCHILY.xattr.user.%d", i);
                pax_record(&many, name, "x", 1);
        }
        tar_pax(&tar, 'x', &many);
        tar_file(&tar, "file", "");
        check_error(&tar, E2BIG, "file: more than 512 extended attributes");

        strbuf_reset(&tar);
        while (large.length <= 65536)
                strbuf_append(&large, "0123456789abcdef");
        pax_file(&tar, "file",
                 (struct record[]){ { "SCHILY.xattr.user.large", large.data }, { NULL } });
        check_error(&tar, E2BIG, "file: the extended attribute user.large");
}

static void test_numbers(void **state)
{
        static const struct {
                const char *key, *value;
                int64_t mtime;
                uint32_t uid;
                uint64_t size;
        } cases[] = {
                { "mtime", "0", 0, 1000, 7 },
                { "mtime", "-1", -1, 1000, 7 },
                { "mtime", "1234567890.987654321", 1234567890, 1000, 7 },
                { "mtime", "99999999999", 99999999999, 1000, 7 },
                { "mtime", "-99999999999", -99999999999, 1000, 7 },
                { "uid", "4294967294", 1234567890, 4294967294, 7 },
                { "size", "7", 1234567890, 1000, 7 },
        };
        static const char *const bad_owners[] = { "4294967295", "4294967296", "-1",
                                                  "99999999999999999999" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_strbuf struct strbuf tar = STRBUF_INIT;
                struct entry entry;

                pax_file(&tar, "x",
                         (struct record[]){ { cases[i].key, cases[i].value }, { NULL } });
                entry = first_entry(&tar);
                assert_true(entry.meta.mtime == cases[i].mtime);
                assert_int_equal(entry.meta.uid, cases[i].uid);
                assert_int_equal(entry.meta.size, cases[i].size);
                entry_release(&entry);
        }
        for (size_t i = 0; i < ARRAY_SIZE(bad_owners); i++) {
                auto_strbuf struct strbuf tar = STRBUF_INIT;

                pax_file(&tar, "x", (struct record[]){ { "gid", bad_owners[i] }, { NULL } });
                check_error(&tar, EBADMSG, "x: its owner");
        }
}

/* The content belongs to the name that comes first; a link that has some, too, is a link. */
static void test_hard_links_with_content(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT, body = STRBUF_INIT;

        (void)state;
        tar_file(&tar, "a", "content");
        tar_add(&tar, &(struct tar_header){ .name = "b", .type = '1', .link = "a", .size = 7 });
        tar_file(&tar, "c", "more");
        check_archive(&tar, "a = content\nb @ a\nc = more\n");

        strbuf_reset(&tar);
        pax_record(&body, "comment", "pax", 3);
        tar_pax(&tar, 'x', &body);
        tar_add(&tar, &(struct tar_header){ .name = "b", .type = '1', .link = "a", .size = 7 });
        tar_content(&tar, "content", 7);
        tar_file(&tar, "c", "more");
        check_archive(&tar, "b @ a\nc = more\n");
}

/* "data" at 1000 of 3000 bytes, in all of GNU tar's forms. */
static void test_sparse(void **state)
{
        static const char expected[] = "s = ~1000~data~1996~\nnext = x\n";
        /* Old format: atime, ctime, offset, long names, pad, 4 × (offset, size), extended, size */
        char gnu[155] = { 0 };
        auto_strbuf struct strbuf old = STRBUF_INIT, v00 = STRBUF_INIT, v01 = STRBUF_INIT,
                                  v10 = STRBUF_INIT, body = STRBUF_INIT;
        char map[TAR_BLOCK] = "1\n1000\n4\n";

        (void)state;
        memcpy(gnu + 41,
               "00000001750\0"
               "00000000004\0",
               24); /* at 386 */
        memcpy(gnu + 41 + 24,
               "00000005670\0"
               "00000000000\0",
               24);
        memcpy(gnu + 138, "00000005670\0", 12); /* at 483 */
        tar_add(&old, &(struct tar_header){ .name = "s",
                                            .type = 'S',
                                            .size = 4,
                                            .format = "ustar  ",
                                            .extra = gnu,
                                            .extra_size = sizeof(gnu) });
        tar_content(&old, "data", 4);
        tar_file(&old, "next", "x");
        check_archive(&old, expected);

        pax_record(&body, "GNU.sparse.size", "3000", 4);
        pax_record(&body, "GNU.sparse.numblocks", "1", 1);
        pax_record(&body, "GNU.sparse.offset", "1000", 4);
        pax_record(&body, "GNU.sparse.numbytes", "4", 1);
        tar_pax(&v00, 'x', &body);
        tar_file(&v00, "s", "data");
        tar_file(&v00, "next", "x");
        check_archive(&v00, expected);

        strbuf_reset(&body);
        pax_record(&body, "GNU.sparse.size", "3000", 4);
        pax_record(&body, "GNU.sparse.numblocks", "1", 1);
        pax_record(&body, "GNU.sparse.map", "1000,4", 6);
        pax_record(&body, "GNU.sparse.name", "s", 1);
        tar_pax(&v01, 'x', &body);
        tar_file(&v01, "GNUSparseFile.1/s", "data");
        tar_file(&v01, "next", "x");
        check_archive(&v01, expected);

        strbuf_reset(&body);
        pax_record(&body, "GNU.sparse.major", "1", 1);
        pax_record(&body, "GNU.sparse.minor", "0", 1);
        pax_record(&body, "GNU.sparse.name", "s", 1);
        pax_record(&body, "GNU.sparse.realsize", "3000", 4);
        tar_pax(&v10, 'x', &body);
        tar_add(&v10, &(struct tar_header){ .name = "GNUSparseFile.1/s", .size = TAR_BLOCK + 4 });
        tar_content(&v10, map, sizeof(map));
        tar_content(&v10, "data", 4);
        tar_file(&v10, "next", "x");
        check_archive(&v10, expected);

        /* A map that leads out of the file, and one that goes back. */
        memcpy(v10.data + 3 * TAR_BLOCK, "1\n2999\n4\n", 9);
        check_error(&v10, EBADMSG, "sparse");
        memcpy(v10.data + 3 * TAR_BLOCK, "2\n1000\n2\n1001\n2\n", 16);
        check_error(&v10, EBADMSG, "sparse");
}

static void test_empty(void **state)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT;

        (void)state;
        check_archive(&tar, "");
        tar_end(&tar);
        check_archive(&tar, "");
        for (int i = 0; i < 18; i++)
                tar_end(&tar);
        check_archive(&tar, "");
}

/* ---- GNU tar ---- */

static int run_shell(const char *script)
{
        int status = system(script);

        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Run a script in an empty directory and read what it leaves as "t". */
static void check_gnu_tar(const char *script, const char *expected)
{
        char directory[] = "/tmp/enroot-test-layer-XXXXXX";
        auto_strbuf struct strbuf command = STRBUF_INIT, path = STRBUF_INIT, tar = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_non_null(mkdtemp(directory));
        strbuf_printf(&command, "cd %s && umask 022 && %s", directory, script);
        strbuf_printf(&path, "%s/t", directory);
        assert_int_equal(run_shell(command.data), 0);
        assert_int_equal(io_read_file(AT_FDCWD, path.data, 1 << 24, &tar, &err), 0);
        check_archive(&tar, expected);
        assert_int_equal(path_remove_tree(AT_FDCWD, directory, &err), 0);
}

static void test_gnu_tar(void **state)
{
        static const char *const formats[] = { "gnu", "pax", "posix --sparse-version=0.0",
                                               "posix --sparse-version=0.1",
                                               "posix --sparse-version=1.0" };

        (void)state;
        if (run_shell("tar --version 2>/dev/null | grep -q GNU") != 0)
                skip();
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                auto_strbuf struct strbuf script = STRBUF_INIT;

                strbuf_printf(&script,
                              "mkdir d && echo data > d/f && ln d/f d/g && ln -s ../x d/s && "
                              "truncate -s 1M d/y d/z && echo end >> d/y && mkfifo d/p && "
                              "touch \"d/$(printf 'gr\\374n %%0200d' 5)\" && "
                              "tar -c -S --format=%s --sort=name -f t d",
                              formats[i]);
                check_gnu_tar(script.data,
                              "d/\nd/f = data\n\nd/g @ d/f\n"
                              "d/gr\374n 000000000000000000000000000000000000000000000000000000000"
                              "0000000000000000000000000000000000000000000000000000000000000000000"
                              "00000000000000000000000000000000000000000000000000000000000000000000"
                              "00000005 = \n"
                              "d/p |\nd/s > ../x\nd/y = ~1048576~end\n\nd/z = ~1048576~\n");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_names_stay_inside),
                cmocka_unit_test(test_names_are_bytes),
                cmocka_unit_test(test_pax_links),
                cmocka_unit_test(test_long_names),
                cmocka_unit_test(test_extended_attributes),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_hard_links_with_content),
                cmocka_unit_test(test_sparse),
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_gnu_tar),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
