/* image/: architectures and the choice out of an index. */
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
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"

#define ENTRY(digest, rest) "{\"digest\":\"" digest "\",\"size\":10" rest "}"
#define PLATFORM(arch, rest)                                                                       \
        ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"" rest "}"
#define VARIANT(text)  ",\"variant\":\"" text "\""
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static void test_words(void **state)
{
        static const struct {
                const char *word, *architecture, *variant;
        } cases[] = {
                { "x86_64", "amd64", "" },     { "amd64", "amd64", "" },
                { "amd64/v3", "amd64", "v3" }, { "aarch64", "arm64", "" },
                { "arm64/v8", "arm64", "v8" }, { "linux/arm64", "arm64", "" },
                { "armhf", "arm", "v7" },      { "arm/v6", "arm", "v6" },
                { "armv6l", "arm", "v6" },     { "i386", "386", "" },
                { "ppc64el", "ppc64le", "" },  { "s390x", "s390x", "" },
                { "riscv64", "riscv64", "" },
        };
        static const char *const refused[] = {
                "",
                "x87",
                "amd64/",
                "/v7",
                "amd64/v1234567890",
                "arm64/\n",
                "linux/",
                "a-very-long-name-of-an-architecture",
                "../amd64",
        };
        struct image_platform platform;
        struct error err = ERROR_INIT;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(image_platform_parse(cases[i].word, &platform, &err), 0);
                assert_string_equal(platform.architecture, cases[i].architecture);
                assert_string_equal(platform.variant, cases[i].variant);
        }
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                assert_int_equal(image_platform_parse(refused[i], &platform, &err), -1);
        assert_int_equal(image_platform_parse("x87", &platform, &err), -1);
        assert_int_equal(err.code, EINVAL);
        assert_non_null(strstr(err.message, "x87"));
        assert_non_null(strstr(err.message, "arm64"));
        assert_int_equal(image_platform_parse(NULL, &platform, &err), 0);
}

static void test_selection(void **state)
{
        static const char mixed[] = INDEX(ENTRY(D1, PLATFORM("amd64", "")) "," ENTRY(
                D2, PLATFORM("arm64", VARIANT("v8"))) "," ENTRY(D3, PLATFORM("unknown", "")));
        static const char arms[] = INDEX(ENTRY(D1, PLATFORM("arm", VARIANT("v5"))) "," ENTRY(
                D2, PLATFORM("arm", VARIANT("v6"))) "," ENTRY(D3, PLATFORM("arm", VARIANT("v7"))));
        static const char levels[] = INDEX(
                ENTRY(D3, PLATFORM("amd64", VARIANT("v3"))) "," ENTRY(D2, PLATFORM("amd64", "")));
        static const struct {
                const char *index, *word, *digest; /* NULL: ENOENT */
        } cases[] = {
                { mixed, "amd64", D1 },
                { mixed, "arm64", D2 },
                { mixed, "arm64/v8", D2 },
                { mixed, "s390x", NULL },
                { arms, "arm", D3 },
                { arms, "arm/v6", D2 },
                { arms, "arm/v5", D1 },
                { arms, "arm/v4", NULL },
                { arms, "arm/v8", D3 },
                { arms, "arm64", NULL },
                { levels, "amd64", D2 },
                { levels, "amd64/v2", D2 },
                { levels, "amd64/v3", D3 },
                { levels, "amd64/v4", D3 },
                /* Of equals the first, as other tools do */
                { INDEX(ENTRY(D2, PLATFORM("amd64", "")) "," ENTRY(D1, PLATFORM("amd64", ""))),
                  "amd64", D2 },
                /* The kernel's name instead of Go's */
                { INDEX(ENTRY(D2, PLATFORM("aarch64", ""))), "arm64", D2 },
                { INDEX(ENTRY(D1, ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"windows\"}")),
                  "amd64", NULL },
                /* Without a platform: only when alone */
                { INDEX(ENTRY(D1, "")), "amd64", D1 },
                { INDEX(ENTRY(D1, ",\"platform\":null")), "amd64", D1 },
                { INDEX(ENTRY(D1, "") "," ENTRY(D2, "")), "amd64", NULL },
                { INDEX(ENTRY(D1, "") "," ENTRY(D2, PLATFORM("arm64", ""))), "amd64", NULL },
                { INDEX(ENTRY(D1, "") "," ENTRY(D2, PLATFORM("amd64", ""))), "amd64", D2 },
                { INDEX(""), "amd64", NULL },
                { "{\"schemaVersion\":2}", "amd64", NULL },
                { "{\"manifests\":null}", "amd64", NULL },
                /* Attestations by annotation, whatever platform they claim */
                { INDEX(ENTRY(D1, PLATFORM("amd64",
                                           "") ",\"annotations\":{"
                                               "\"vnd.docker.reference.type\":\"attestation-"
                                               "manifest\"}") "," ENTRY(D2, PLATFORM("amd64", ""))),
                  "amd64", D2 },
                { INDEX(ENTRY(D1, PLATFORM("riscv64", VARIANT("rva23")))), "riscv64", NULL },
                { INDEX(ENTRY(D1, PLATFORM("riscv64", VARIANT("rva23")))), "riscv64/rva23", D1 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_descriptor struct image_descriptor found = { .media_type = NULL };
                struct image_platform platform;
                struct error err = ERROR_INIT;
                int result;

                assert_int_equal(image_platform_parse(cases[i].word, &platform, &err), 0);
                result = image_index_select(cases[i].index, strlen(cases[i].index), &platform,
                                            &found, &err);
                if (result != (cases[i].digest ? 0 : -1))
                        fail_msg("%s for %s: %s", cases[i].index, cases[i].word, err.message);
                if (cases[i].digest)
                        assert_string_equal(found.digest, cases[i].digest);
                else
                        assert_int_equal(err.code, ENOENT);
        }
}

static void test_missing_platform_lists_others(void **state)
{
        static const char text[] = INDEX(
                ENTRY(D1, PLATFORM("amd64", "")) "," ENTRY(D2, PLATFORM("arm64", VARIANT("v8"))));
        struct image_platform platform = { "s390x", "" };
        struct image_descriptor found;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(image_index_select(text, strlen(text), &platform, &found, &err), -1);
        assert_non_null(strstr(err.message, "linux/s390x"));
        assert_non_null(strstr(err.message, "linux/amd64, linux/arm64/v8"));
}

static void test_malformed(void **state)
{
        static const char *const cases[] = {
                INDEX("1"),
                INDEX("null"),
                INDEX("[]"),
                "{\"manifests\":{}}",
                INDEX("{\"platform\":[]}"),
                INDEX(ENTRY(D1, ",\"platform\":{\"architecture\":5}")),
                INDEX("{\"size\":1" PLATFORM("amd64", "") "}"),
                INDEX("{\"size\":1,\"digest\":\"sha256:../..\"" PLATFORM("amd64", "") "}"),
                INDEX("{\"size\":-1,\"digest\":\"" D1 "\"" PLATFORM("amd64", "") "}"),
                INDEX("{\"size\":4194305,\"digest\":\"" D1 "\"" PLATFORM("amd64", "") "}"),
        };
        struct image_platform platform = { "amd64", "" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_descriptor found;
                struct error err = ERROR_INIT;

                if (image_index_select(cases[i], strlen(cases[i]), &platform, &found, &err) == 0)
                        fail_msg("%s: accepted", cases[i]);
                assert_true(err.message[0] != '\0');
        }
}

static void test_config_platform(void **state)
{
        static const struct {
                const char *config, *word;
                bool fits;
        } cases[] = {
                { "{}", "amd64", true },
                { "{\"architecture\":\"amd64\",\"os\":\"linux\"}", "amd64", true },
                { "{\"architecture\":\"x86_64\"}", "amd64", true },
                { "{\"architecture\":\"arm64\",\"variant\":\"v8\"}", "aarch64", true },
                { "{\"architecture\":\"arm64\"}", "amd64", false },
                { "{\"architecture\":\"amd64\",\"os\":\"windows\"}", "amd64", false },
                { "{\"architecture\":\"arm\",\"variant\":\"v7\"}", "arm/v6", false },
                { "{\"architecture\":\"arm\",\"variant\":\"v6\"}", "arm/v7", true },
                { "{\"architecture\":\"amd64\",\"variant\":\"v3\"}", "amd64", true },
                { "{\"architecture\":\"amd64\\n\"}", "amd64", false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_config struct image_config config = { .os = NULL };
                struct image_platform platform;
                struct error err = ERROR_INIT;

                assert_int_equal(image_platform_parse(cases[i].word, &platform, &err), 0);
                assert_int_equal(
                        image_config_parse(cases[i].config, strlen(cases[i].config), &config, &err),
                        0);
                assert_int_equal(image_config_check_platform(&config, &platform, &err),
                                 cases[i].fits ? 0 : -1);
                if (!cases[i].fits)
                        assert_int_equal(err.code, ENOEXEC);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_selection),
                cmocka_unit_test(test_missing_platform_lists_others),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_config_platform),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
