/* image/: manifests, image configurations and the answers of registries. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/image.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

#define OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"

#define CONFIG           "\"config\":{\"digest\":\"" D1 "\",\"size\":7}"
#define LAYER            "{\"digest\":\"" D2 "\",\"size\":9,\"mediaType\":\"x\"}"
#define MANIFEST(layers) "{\"schemaVersion\":2," CONFIG ",\"layers\":[" layers "]}"

static void test_type(void **state)
{
        static const struct {
                const char *text, *media_type;
                int expected; /* document type, or a negative errno value */
        } cases[] = {
                { MANIFEST(LAYER), NULL, IMAGE_DOCUMENT_MANIFEST },
                { MANIFEST(""), OCI_MANIFEST, IMAGE_DOCUMENT_MANIFEST },
                { MANIFEST(""), DOCKER_MANIFEST "; charset=utf-8", IMAGE_DOCUMENT_MANIFEST },
                { MANIFEST(""), "text/plain", IMAGE_DOCUMENT_MANIFEST },
                { MANIFEST(""), OCI_INDEX, -EBADMSG },
                { MANIFEST(""), DOCKER_LIST, -EBADMSG },
                { "{\"schemaVersion\":2,\"manifests\":[]}", NULL, IMAGE_DOCUMENT_INDEX },
                { "{\"schemaVersion\":2,\"manifests\":[]}", OCI_INDEX, IMAGE_DOCUMENT_INDEX },
                { "{\"schemaVersion\":2,\"manifests\":[]}", OCI_MANIFEST, -EBADMSG },
                { "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"manifests\":[]}", NULL,
                  -EBADMSG },
                { "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", NULL, -EBADMSG },
                { "{\"schemaVersion\":2,\"manifests\":[]," CONFIG "}", NULL, -EBADMSG },
                { "{\"schemaVersion\":2,\"manifests\":[],\"fsLayers\":[]}", NULL, -EBADMSG },
                { "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, -EPROTONOSUPPORT },
                { MANIFEST(""), "application/vnd.docker.distribution.manifest.v1+prettyjws",
                  -EPROTONOSUPPORT },
                { "{\"schemaVersion\":3,\"layers\":[]}", NULL, -EPROTONOSUPPORT },
                { "{\"schemaVersion\":2}", NULL, -EBADMSG },
                { "{\"schemaVersion\":\"2\",\"layers\":[]}", NULL, -EBADMSG },
                { "{\"layers\":[]}", NULL, -EBADMSG },
                { "{}", NULL, -EBADMSG },
                { "[]", NULL, -EBADMSG },
                { "", NULL, -EBADMSG },
                { "<html>", NULL, -EBADMSG },
                { MANIFEST("") "x", NULL, -EBADMSG },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                enum image_document type;
                int result = image_document_type(cases[i].text, strlen(cases[i].text),
                                                 cases[i].media_type, &type, &err);

                if (result < 0)
                        result = -err.code;
                else
                        result = (int)type;
                if (result != cases[i].expected)
                        fail_msg("%s: %d %s", cases[i].text, result, err.message);
        }
}

static void test_manifest(void **state)
{
        static const char text[] =
                "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":{"
                "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" D1
                "\",\"size\":7},\"layers\":[{\"mediaType\":\"a/b\",\"digest\":\"" D2
                "\",\"size\":9,\"urls\":[\"http://elsewhere/\"]},{\"digest\":\"" D1
                "\",\"size\":0}],\"annotations\":{\"x\":\"y\"}}";
        auto_image_manifest struct image_manifest manifest = { .layers = NULL };
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(image_manifest_parse(text, strlen(text), &manifest, &err), 0);
        assert_string_equal(manifest.config.digest, D1);
        assert_int_equal(manifest.config.size, 7);
        assert_int_equal(manifest.layer_count, 2);
        assert_string_equal(manifest.layers[0].digest, D2);
        assert_string_equal(manifest.layers[0].media_type, "a/b");
        assert_int_equal(manifest.layers[0].size, 9);
        assert_string_equal(manifest.layers[1].digest, D1);
        assert_null(manifest.layers[1].media_type);
        assert_int_equal(manifest.layers[1].size, 0);
}

static void test_manifest_refused(void **state)
{
        static const char *const cases[] = {
                "{\"schemaVersion\":2,\"manifests\":[]}",
                "{\"schemaVersion\":2,\"layers\":[]}",
                "{\"schemaVersion\":2," CONFIG "}",
                "{\"schemaVersion\":2," CONFIG ",\"layers\":{}}",
                "{\"schemaVersion\":2,\"config\":[],\"layers\":[]}",
                "{\"schemaVersion\":2," CONFIG "," CONFIG ",\"layers\":[]}",
                "{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"" D1
                "\",\"size\":8388609}}",
                "{\"schemaVersion\":2,\"layers\":[],\"config\":{\"digest\":\"" D1
                "\",\"size\":1,\"mediaType\":\"application/vnd.cncf.helm.config.v1+json\"}}",
                MANIFEST("1"),
                MANIFEST("null"),
                MANIFEST("{}"),
                MANIFEST("{\"digest\":\"" D1 "\"}"),
                MANIFEST("{\"digest\":\"" D1 "\",\"size\":-1}"),
                MANIFEST("{\"digest\":\"" D1 "\",\"size\":1.5}"),
                MANIFEST("{\"digest\":\"" D1 "\",\"size\":\"1\"}"),
                MANIFEST("{\"digest\":\"" D1 "\",\"size\":9223372036854775807}"),
                MANIFEST("{\"digest\":\"" D1 "\",\"size\":18446744073709551616}"),
                MANIFEST("{\"digest\":\"sha256:..\",\"size\":1}"),
                MANIFEST("{\"digest\":\"sha512:" D1 "\",\"size\":1}"),
                MANIFEST("{\"digest\":\"" D1 "/../x\",\"size\":1}"),
                MANIFEST("{\"digest\":\"" D1 "\\u0000\",\"size\":1}"),
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_manifest manifest = { .layers = NULL };
                struct error err = ERROR_INIT;

                if (image_manifest_parse(cases[i], strlen(cases[i]), &manifest, &err) == 0)
                        fail_msg("%s: accepted", cases[i]);
                assert_true(err.message[0] != '\0');
                assert_null(manifest.layers);
        }
}

static int parse_many_layers(size_t count)
{
        auto_image_manifest struct image_manifest manifest = { .layers = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        strbuf_append(&text, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER);
        for (size_t i = 1; i < count; i++)
                strbuf_append(&text, "," LAYER);
        strbuf_append(&text, "]}");
        return image_manifest_parse(text.data, text.length, &manifest, &err);
}

static void test_limits(void **state)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        enum image_document type;

        (void)state;
        assert_int_equal(parse_many_layers(IMAGE_LAYER_LIMIT), 0);
        assert_int_equal(parse_many_layers(IMAGE_LAYER_LIMIT + 1), -1);

        for (size_t i = 0; i < 100000; i++)
                strbuf_append(&text, "{\"a\":");
        assert_int_equal(image_document_type(text.data, text.length, NULL, &type, &err), -1);
        assert_non_null(strstr(err.message, "nested"));

        strbuf_reset(&text);
        strbuf_append(&text, "{\"a\":[0");
        for (size_t i = 0; i < 1000000; i++)
                strbuf_append(&text, ",0");
        strbuf_append(&text, "]}");
        assert_int_equal(image_document_type(text.data, text.length, NULL, &type, &err), -1);
        assert_non_null(strstr(err.message, "more than"));
}

static void test_config(void **state)
{
        static const char text[] =
                "{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\",\"config\":{"
                "\"User\":\"nobody\",\"Env\":[\"PATH=/bin\",\"A=b=c\"],"
                "\"Entrypoint\":[\"/e\",\"x y\"],\"Cmd\":[\"c\"],\"WorkingDir\":\"/w\","
                "\"Volumes\":{\"/z\":{},\"/a\":null},\"Labels\":{\"l2\":\"v\",\"l1\":null}}}";
        auto_image_config struct image_config config = { .os = NULL };
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(image_config_parse(text, strlen(text), &config, &err), 0);
        assert_string_equal(config.architecture, "arm64");
        assert_string_equal(config.variant, "v8");
        assert_string_equal(config.os, "linux");
        assert_string_equal(config.user, "nobody");
        assert_string_equal(config.working_dir, "/w");
        assert_int_equal(config.env.count, 2);
        assert_string_equal(config.env.items[1], "A=b=c");
        assert_int_equal(config.entrypoint.count, 2);
        assert_string_equal(config.entrypoint.items[1], "x y");
        assert_int_equal(config.cmd.count, 1);
        assert_int_equal(config.volumes.count, 2);
        assert_string_equal(config.volumes.items[0], "/a");
        assert_int_equal(config.label_count, 2);
        assert_string_equal(config.labels[0].key, "l1");
        assert_string_equal(config.labels[0].value, "");
        assert_string_equal(config.labels[1].value, "v");
}

/* What other tools leave out or write as null says nothing. */
static void test_config_tolerant(void **state)
{
        static const char *const cases[] = {
                "{}",
                "{\"config\":null}",
                "{\"config\":{}}",
                "{\"config\":{\"Env\":null,\"Entrypoint\":null,\"Cmd\":null,\"WorkingDir\":null}}",
                "{\"config\":{\"User\":null,\"Volumes\":null,\"Labels\":null}}",
                "{\"config\":{\"WorkingDir\":\"\",\"User\":\"\"},\"rootfs\":null,\"history\":[{}]}",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_config struct image_config config = { .os = NULL };
                struct error err = ERROR_INIT;

                if (image_config_parse(cases[i], strlen(cases[i]), &config, &err) < 0)
                        fail_msg("%s: %s", cases[i], err.message);
                assert_null(config.working_dir);
                assert_null(config.user);
                assert_int_equal(config.cmd.count + config.env.count + config.label_count, 0);
        }
}

static void test_config_refused(void **state)
{
        static const char *const cases[] = {
                "",
                "null",
                "[]",
                "{\"config\":[]}",
                "{\"config\":{\"Cmd\":\"/bin/sh\"}}",
                "{\"config\":{\"Env\":[1]}}",
                "{\"config\":{\"Env\":[\"a\",null]}}",
                "{\"config\":{\"Labels\":{\"a\":1}}}",
                "{\"config\":{\"Labels\":[]}}",
                "{\"config\":{\"Volumes\":[]}}",
                "{\"architecture\":1}",
                "{\"config\":{\"Cmd\":[\"a\\u0000b\"]}}",
                "{\"config\":{},\"config\":{}}",
                "{\"config\":{\"Cmd\":[\"\xff\"]}}",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_config config = { .os = NULL };
                struct error err = ERROR_INIT;

                if (image_config_parse(cases[i], strlen(cases[i]), &config, &err) == 0)
                        fail_msg("%s: accepted", cases[i]);
                assert_int_equal(err.code, EBADMSG);
                assert_null(config.architecture);
        }
}

static void test_token(void **state)
{
        static const struct {
                const char *text, *token;
                int64_t seconds;
        } cases[] = {
                { "{\"token\":\"abc\"}", "abc", 60 },
                { "{\"access_token\":\"abc\",\"expires_in\":300}", "abc", 300 },
                { "{\"token\":\"t\",\"access_token\":\"abc\",\"expires_in\":-1}", "t", 60 },
                { "{\"token\":null,\"access_token\":\"abc\",\"expires_in\":\"1\"}", "abc", 60 },
                { "{\"token\":\"\"}", NULL, 0 },
                { "{\"token\":\"a\\r\\nHost: x\"}", NULL, 0 },
                { "{\"token\":\"a b\"}", NULL, 0 },
                { "{\"token\":1}", NULL, 0 },
                { "{}", NULL, 0 },
                { "", NULL, 0 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                int64_t seconds = 0;
                auto_free char *token =
                        image_parse_token(cases[i].text, strlen(cases[i].text), &seconds, &err);

                if (!cases[i].token) {
                        assert_null(token);
                        assert_int_equal(err.code, EBADMSG);
                        continue;
                }
                assert_string_equal(token, cases[i].token);
                assert_int_equal(seconds, cases[i].seconds);
        }
}

static void test_registry_error(void **state)
{
        static const struct {
                const char *text, *message;
        } cases[] = {
                { "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[31m way\"}]}",
                  "DENIED: no [31m way" },
                { "{\"errors\":[{\"code\":\"DENIED\"}]}", "DENIED" },
                { "{\"errors\":[{\"message\":\"x\"},{\"code\":\"y\"}]}", "x" },
                { "{\"errors\":[]}", NULL },
                { "{\"errors\":[1]}", NULL },
                { "{\"errors\":\"x\"}", NULL },
                { "<html>", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *message =
                        image_parse_registry_error(cases[i].text, strlen(cases[i].text));

                if (cases[i].message)
                        assert_string_equal(message, cases[i].message);
                else
                        assert_null(message);
        }
}

static void test_digest(void **state)
{
        (void)state;
        assert_true(image_digest_valid(D1));
        assert_false(image_digest_valid(D1 "1"));
        assert_false(image_digest_valid(""));
        assert_false(image_digest_valid("sha256:"));
        assert_false(image_digest_valid(
                "sha256:A111111111111111111111111111111111111111111111111111111111111111"));
        assert_false(image_digest_valid(
                "sha256:/../111111111111111111111111111111111111111111111111111111111111"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_type),
                cmocka_unit_test(test_manifest),
                cmocka_unit_test(test_manifest_refused),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_config),
                cmocka_unit_test(test_config_tolerant),
                cmocka_unit_test(test_config_refused),
                cmocka_unit_test(test_token),
                cmocka_unit_test(test_registry_error),
                cmocka_unit_test(test_digest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
