/* The record of an import: written, read back, and refused when it is not one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/image.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int parse(const char *text, struct image_record *ret, struct error *err)
{
        return image_record_parse(text, strlen(text), ret, err);
}

static void test_round_trip(void **state)
{
        auto_image_record struct image_record back = { .provenance = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        char media_type[] = "application/vnd.oci.image.layer.v1.tar+zstd";
        char provenance[] = "docker://registry.test#a \"b\"\n:1",
             config[] = "{ \"os\": \"linux\" }";
        struct image_descriptor layers[] = {
                { .digest = DIGEST, .media_type = media_type, .size = 7 },
                { .digest = DIGEST, .size = UINT64_C(1) << 40 },
        };
        const struct image_record record = {
                .provenance = provenance,
                .digest = DIGEST,
                .layers = layers,
                .layer_count = 2,
                .config = config,
        };

        (void)state;
        assert_int_equal(image_record_write(&record, &text, &err), 0);
        assert_int_equal(image_record_parse(text.data, text.length, &back, &err), 0);
        assert_string_equal(back.provenance, provenance);
        assert_string_equal(back.digest, DIGEST);
        assert_int_equal(back.layer_count, 2);
        assert_string_equal(back.layers[0].media_type, media_type);
        assert_null(back.layers[1].media_type);
        assert_int_equal(back.layers[1].size, UINT64_C(1) << 40);
        assert_string_equal(back.config, "{\"os\":\"linux\"}");
}

static void test_nothing_known(void **state)
{
        auto_image_record struct image_record back = { .provenance = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const struct image_record record = { .provenance = NULL };
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(image_record_write(&record, &text, &err), 0);
        assert_int_equal(image_record_parse(text.data, text.length, &back, &err), 0);
        assert_null(back.provenance);
        assert_string_equal(back.digest, "");
        assert_int_equal(back.layer_count, 0);
        assert_null(back.config);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text;
                int code;
        } cases[] = {
                { "", EBADMSG },
                { "{}", EPROTONOSUPPORT },
                { "{\"version\":2,\"layers\":[]}", EPROTONOSUPPORT },
                { "{\"version\":1}", EBADMSG },
                { "{\"version\":1,\"layers\":[],\"digest\":\"sha256:../../etc\"}", EBADMSG },
                { "{\"version\":1,\"layers\":[{\"digest\":\"" DIGEST "\"}]}", EBADMSG },
                { "{\"version\":1,\"layers\":[],\"config\":\"text\"}", EBADMSG },
                { "{\"version\":1,\"layers\":[],\"provenance\":1}", EBADMSG },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_record record = { .provenance = NULL };
                struct error err = ERROR_INIT;

                assert_int_equal(parse(cases[i].text, &record, &err), -1);
                assert_int_equal(err.code, cases[i].code);
                assert_null(record.provenance);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_nothing_known),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
