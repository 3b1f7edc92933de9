/* squashfs/options.c: the option words of mksquashfs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sqfs/super.h>

#include "squashfs/squashfs.h"

struct capture {
        struct report report;
        unsigned int count;
        char text[512];
};

static void note(struct report *report, enum report_level level, const char *text)
{
        struct capture *capture = (struct capture *)report;

        assert_int_equal(level, REPORT_WARN);
        capture->count++;
        strncat(capture->text, text, sizeof(capture->text) - strlen(capture->text) - 1);
}

static struct squashfs_options parse(const char *words, struct capture *capture)
{
        struct squashfs_options options;
        struct error err = ERROR_INIT;

        *capture = (struct capture){ .report = { .message = note } };
        if (squashfs_options_parse(words, &options, &capture->report, &err) < 0)
                fail_msg("%s: %s", words, err.message);
        return options;
}

static void test_defaults(void **state)
{
        struct capture capture;
        struct squashfs_options options = parse("  ", &capture);

        (void)state;
        assert_int_equal(options.compressor, SQFS_COMP_ZSTD);
        assert_int_equal(options.block_size, 128 << 10);
        assert_false(options.plain_data || options.plain_fragments || options.plain_inodes ||
                     options.plain_xattrs || options.plain_ids || options.no_duplicates ||
                     options.all_root || options.has_mkfs_time || options.has_all_time);
        assert_int_equal(options.processors, 0);
        assert_int_equal(options.memory, 0);
        assert_int_equal(capture.count, 0);
}

static void test_site_files(void **state)
{
        struct capture capture;
        struct squashfs_options options = parse("-comp lzo -noD -exit-on-error", &capture);

        (void)state;
        assert_int_equal(options.compressor, SQFS_COMP_LZO);
        assert_true(options.plain_data);
        assert_false(options.plain_fragments);
        assert_int_equal(capture.count, 0);

        options = parse("-noI -noD -noF -noX -no-duplicates", &capture);
        assert_int_equal(options.compressor, SQFS_COMP_ZSTD);
        assert_true(options.plain_data && options.plain_fragments && options.plain_inodes &&
                    options.plain_xattrs && options.no_duplicates);
        assert_false(options.plain_ids);
        assert_int_equal(capture.count, 0);
}

static void test_values(void **state)
{
        struct capture capture;
        struct squashfs_options options =
                parse("-Xcompression-level 19 -b 1M\t-processors 7 -mem 2G -mkfs-time 0 "
                      "-all-time 4294967295 -comp zstd -noIdTableCompression -root-owned\n",
                      &capture);

        (void)state;
        assert_int_equal(options.level, 19);
        assert_int_equal(options.block_size, 1 << 20);
        assert_int_equal(options.processors, 7);
        assert_true(options.memory == (uint64_t)2 << 30);
        assert_true(options.has_mkfs_time && options.mkfs_time == 0);
        assert_true(options.has_all_time && options.all_time == UINT32_MAX);
        assert_true(options.plain_ids && options.all_root);

        assert_int_equal(parse("-b 4096", &capture).block_size, 4096);
        assert_int_equal(parse("-b 64k", &capture).block_size, 64 << 10);
        assert_true(parse("-mem 64M", &capture).memory == 64 << 20);
        assert_int_equal(parse("-comp gzip -Xcompression-level 9", &capture).level, 9);
        assert_int_equal(capture.count, 0);
}

static void test_long_names(void **state)
{
        struct capture capture;
        struct squashfs_options options =
                parse("-noInodeCompression -noDataCompression -noFragmentCompression "
                      "-noXattrCompression",
                      &capture);

        (void)state;
        assert_true(options.plain_data && options.plain_fragments && options.plain_inodes &&
                    options.plain_xattrs);
}

static void test_ignored(void **state)
{
        struct capture capture;
        struct squashfs_options options =
                parse("-p -noD -root-mode 755 -no-sparse -b 8K -e -noI -junk", &capture);

        (void)state;
        assert_int_equal(capture.count, 1);
        assert_non_null(strstr(capture.text, "-p -root-mode -no-sparse -e"));
        assert_int_equal(options.block_size, 8192);
        assert_false(options.plain_data || options.plain_inodes);

        (void)parse("-noappend -quiet -progress -no-progress -xattrs", &capture);
        assert_int_equal(capture.count, 0);
}

static void test_errors(void **state)
{
        static const struct {
                const char *words, *named;
        } cases[] = {
                { "-noZ", "-noZ" },
                { "noD", "noD" },
                { "-comp", "-comp" },
                { "-comp rar", "rar" },
                { "-comp lzma", "lzma" },
                { "-b 3K", "3K" },
                { "-b 2M", "2M" },
                { "-b 2048", "2048" },
                { "-b 128KB", "128KB" },
                { "-b -4096", "-4096" },
                { "-b 4096 -b", "-b" },
                { "-b 18446744073709551616", "18446744073709551616" },
                { "-mem 36028797018963968K", "36028797018963968K" },
                { "-mem 0", "0" },
                { "-mem M", "M" },
                { "-processors 0", "0" },
                { "-processors four", "four" },
                { "-mkfs-time 4294967296", "4294967296" },
                { "-all-time -1", "-1" },
                { "-all-time 2020-01-01", "2020-01-01" },
                { "-Xcompression-level 23", "23" },
                { "-Xcompression-level 0", "0" },
                { "-comp gzip -Xcompression-level 10", "10" },
                { "-Xcompression-level 4 -comp lz4", "lz4" },
                { "-comp xz -Xcompression-level 4", "xz" },
                { "-root-mode", "-root-mode" },
        };
        struct squashfs_options options;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct error err = ERROR_INIT;

                if (squashfs_options_parse(cases[i].words, &options, NULL, &err) == 0)
                        fail_msg("accepted: %s", cases[i].words);
                assert_int_equal(err.code, EINVAL);
                if (!strstr(err.message, cases[i].named))
                        fail_msg("\"%s\" is not named in: %s", cases[i].named, err.message);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults), cmocka_unit_test(test_site_files),
                cmocka_unit_test(test_values),   cmocka_unit_test(test_long_names),
                cmocka_unit_test(test_ignored),  cmocka_unit_test(test_errors),
        };

        return cmocka_run_group_tests_name("squashfs options", tests, NULL, NULL);
}
