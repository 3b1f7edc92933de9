/* image/: documents of an exported OCI image, read back by the functions that an import uses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/image.h"
#include "util/cleanup.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER  "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static const char original[] =
        "{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\",\"author\":\"me\","
        "\"created\":\"2001-01-01T00:00:00Z\",\"container_config\":{\"Cmd\":[\"secret\"]},"
        "\"config\":{\"Env\":[\"A=b\"],\"Cmd\":[\"sh\"],\"Labels\":{\"k\":\"v\"},\"X-Other\":1},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" OTHER "\"]},\"history\":[{},{}]}";

static void test_config_is_kept(void **state)
{
        auto_image_config struct image_config known = { .os = NULL }, read = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        if (image_oci_write_config(original, &known, DIGEST, 1234567890, &text, &err) < 0 ||
            image_config_parse(strbuf_text(&text), text.length, &read, &err) < 0)
                fail_msg("%s", err.message);
        assert_string_equal(read.architecture, "arm64");
        assert_string_equal(read.variant, "v8");
        assert_string_equal(read.env.items[0], "A=b");
        assert_int_equal(read.label_count, 1);
        assert_int_equal(read.diff_ids.count, 1);
        assert_string_equal(read.diff_ids.items[0], DIGEST);
        assert_non_null(strstr(text.data, "\"created\": \"2009-02-13T23:31:30Z\""));
        assert_non_null(strstr(text.data, "X-Other"));
        assert_null(strstr(text.data, "secret"));
        assert_null(strstr(text.data, OTHER));
}

static void test_config_is_made(void **state)
{
        auto_image_config struct image_config known = { .architecture = strdup("amd64") };
        auto_image_config struct image_config read = { .os = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(strlist_append(&known.env, "KEY=va\"lue"), 0);
        assert_int_equal(strlist_append(&known.entrypoint, "/bin/sh"), 0);
        assert_int_equal(image_oci_write_config(NULL, &known, DIGEST, -5, &text, &err), 0);
        assert_int_equal(image_config_parse(strbuf_text(&text), text.length, &read, &err), 0);
        assert_string_equal(read.architecture, "amd64");
        assert_string_equal(read.os, "linux");
        assert_string_equal(read.env.items[0], "KEY=va\"lue");
        assert_string_equal(read.entrypoint.items[0], "/bin/sh");
        assert_int_equal(read.cmd.count, 0);
        assert_non_null(strstr(text.data, "1970-01-01T00:00:00Z"));
}

static void test_bad_configs(void **state)
{
        static const char *const bad[] = {
                "", "[]", "{\"config\":[]}", "{\"os\":7}", "{\"os.features\":{}}", "{",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                auto_image_config struct image_config known = { .os = NULL };
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(image_oci_write_config(bad[i], &known, DIGEST, 0, &text, &err),
                                 -1);
                assert_int_equal(err.code, EBADMSG);
        }
}

static struct image_descriptor descriptor(const char *digest, const char *type)
{
        struct image_descriptor made = { .media_type = (char *)type, .size = 42 };

        strcpy(made.digest, digest);
        return made;
}

static void test_manifest(void **state)
{
        const struct image_descriptor config = descriptor(DIGEST, IMAGE_OCI_CONFIG);
        const struct image_descriptor layer = descriptor(OTHER, IMAGE_OCI_LAYER "+gzip");
        auto_image_manifest struct image_manifest read = { .layers = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        enum image_document type;

        (void)state;
        assert_int_equal(image_oci_write_manifest(&config, &layer, &text, &err), 0);
        assert_int_equal(image_document_type(strbuf_text(&text), text.length, IMAGE_OCI_MANIFEST,
                                             &type, &err),
                         0);
        assert_int_equal(type, IMAGE_DOCUMENT_MANIFEST);
        assert_int_equal(image_manifest_parse(strbuf_text(&text), text.length, &read, &err), 0);
        assert_string_equal(read.config.digest, DIGEST);
        assert_int_equal(read.layer_count, 1);
        assert_string_equal(read.layers[0].digest, OTHER);
        assert_int_equal(read.layers[0].size, 42);
}

static int write_index(const char *old, const char *digest, const char *tag, bool replace,
                       struct strbuf *text, struct error *err)
{
        const struct image_descriptor manifest = descriptor(digest, IMAGE_OCI_MANIFEST);

        return image_oci_write_index(old, old ? strlen(old) : 0, &manifest, tag, replace, text,
                                     err);
}

static void test_index(void **state)
{
        auto_strbuf struct strbuf one = STRBUF_INIT, two = STRBUF_INIT, three = STRBUF_INIT;
        auto_strbuf struct strbuf none = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(write_index(NULL, DIGEST, "one", false, &one, &err), 0);
        assert_int_equal(write_index(strbuf_text(&one), OTHER, "two", false, &two, &err), 0);
        assert_non_null(strstr(two.data, DIGEST));
        assert_non_null(strstr(two.data, OTHER));
        assert_int_equal(write_index(two.data, OTHER, "one", false, &none, &err), -1);
        assert_int_equal(err.code, EEXIST);
        assert_int_equal(write_index(two.data, OTHER, "one", true, &three, &err), 0);
        assert_null(strstr(three.data, DIGEST));
}

static void test_bad_indexes(void **state)
{
        static const char *const bad[] = {
                "",
                "[]",
                "{\"manifests\":{}}",
                "{\"manifests\":[{\"annotations\":[]}]}",
                "{\"manifests\":[{\"annotations\":"
                "{\"org.opencontainers.image.ref.name\":1}}]}",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;

                assert_int_equal(write_index(bad[i], DIGEST, "x", true, &text, &err), -1);
                assert_int_equal(err.code, EBADMSG);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_config_is_kept), cmocka_unit_test(test_config_is_made),
                cmocka_unit_test(test_bad_configs),    cmocka_unit_test(test_manifest),
                cmocka_unit_test(test_index),          cmocka_unit_test(test_bad_indexes),
        };

        return cmocka_run_group_tests_name("image oci", tests, NULL, NULL);
}
