/* commands/: where an export goes, from the words of the command line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "commands/export_output.h"

static void test_outputs(void **state)
{
        static const struct {
                const char *output, *format;
                enum export_format expected;
                const char *path, *tag;
        } cases[] = {
                { NULL, NULL, EXPORT_SQUASHFS, "name.sqsh", NULL },
                { NULL, "squashfs", EXPORT_SQUASHFS, "name.sqsh", NULL },
                { NULL, "oci", EXPORT_OCI, "name.oci", "latest" },
                { NULL, "oci-archive", EXPORT_OCI_ARCHIVE, "name.oci.tar", "latest" },
                { "a:b", NULL, EXPORT_SQUASHFS, "a:b", NULL },
                { "a:b", "oci", EXPORT_OCI, "a:b", "latest" },
                { "oci:dir", NULL, EXPORT_OCI, "dir", "latest" },
                { "oci:dir:v1.0_x-y", NULL, EXPORT_OCI, "dir", "v1.0_x-y" },
                { "oci:a:b/c", NULL, EXPORT_OCI, "a:b/c", "latest" },
                { "oci:/a/b:c:d", "oci", EXPORT_OCI, "/a/b:c", "d" },
                { "oci-archive:f.tar:t", NULL, EXPORT_OCI_ARCHIVE, "f.tar", "t" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_export_output struct export_output parsed = { .path = NULL };
                struct error err = ERROR_INIT;

                if (export_output_parse(&parsed, cases[i].output, cases[i].format, "name", &err) <
                    0)
                        fail_msg("case %zu: %s", i, err.message);
                assert_int_equal(parsed.format, cases[i].expected);
                assert_string_equal(parsed.path, cases[i].path);
                if (cases[i].tag)
                        assert_string_equal(parsed.tag, cases[i].tag);
        }
}

static void test_mistakes(void **state)
{
        static const struct {
                const char *output, *format;
        } cases[] = {
                { NULL, "docker" },   { "oci:x", "squashfs" }, { "oci-archive:x", "oci" },
                { "oci:", NULL },     { "oci::tag", NULL },    { "oci:x:", NULL },
                { "oci:x:-a", NULL }, { "oci:x:a b", NULL },   { "oci:x:a@b", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_export_output struct export_output parsed = { .path = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(export_output_parse(&parsed, cases[i].output, cases[i].format,
                                                     "name", &err),
                                 -1);
                assert_int_equal(err.code, EINVAL);
        }
}

static void test_compressions(void **state)
{
        enum layout_compression compression = LAYOUT_PLAIN;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(export_compression_parse(NULL, &compression, &err), 0);
        assert_int_equal(compression, LAYOUT_GZIP);
        assert_int_equal(export_compression_parse("zstd", &compression, &err), 0);
        assert_int_equal(compression, LAYOUT_ZSTD);
        assert_int_equal(export_compression_parse("", &compression, &err), -1);
        assert_int_equal(export_compression_parse("xz", &compression, &err), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_outputs),
                cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_compressions),
        };

        return cmocka_run_group_tests_name("export output", tests, NULL, NULL);
}
