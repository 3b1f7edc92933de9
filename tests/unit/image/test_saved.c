/* image/: the tables of contents of docker-archives and OCI layouts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/image.h"

#define ONE                                                                                        \
        "{\"Config\":\"1.json\",\"RepoTags\":[\"a:1\",\"docker.io/library/"                        \
        "b:1\"],\"Layers\":[\"x\",\"y\"]}"
#define TWO     "{\"Config\":\"2.json\",\"RepoTags\":[\"localhost/c:latest\"],\"Layers\":[]}"
#define TAGLESS "{\"Config\":\"3.json\",\"RepoTags\":null,\"Layers\":[\"z\"]}"

static void test_saved(void **state)
{
        static const struct {
                const char *text, *name, *config, *found;
                int code;
        } cases[] = {
                { "[" ONE "]", NULL, "1.json", "a:1", 0 },
                { "[" ONE "]", "a:1", "1.json", "a:1", 0 },
                { "[" ONE "]", "docker.io/library/a:1", "1.json", "a:1", 0 },
                { "[" ONE "]", "b:1", "1.json", "docker.io/library/b:1", 0 },
                { "[" ONE "," TWO "]", "localhost/c", "2.json", "localhost/c:latest", 0 },
                { "[" TAGLESS "]", NULL, "3.json", NULL, 0 },
                { "[" ONE "," TWO "]", NULL, NULL, NULL, ENOENT },
                { "[" ONE "]", "a", NULL, NULL, ENOENT },
                { "[" TAGLESS "]", "a", NULL, NULL, ENOENT },
                { "[]", NULL, NULL, NULL, ENOENT },
                { ONE, NULL, NULL, NULL, EBADMSG },
                { "[{}]", NULL, NULL, NULL, EBADMSG },
                { "[1]", NULL, NULL, NULL, EBADMSG },
                { "[{\"Config\":\"\",\"Layers\":[]}]", NULL, NULL, NULL, EBADMSG },
                { "[{\"Config\":\"c\",\"Layers\":[1]}]", NULL, NULL, NULL, EBADMSG },
                { "[{\"Config\":\"c\",\"Layers\":[\"\"]}]", NULL, NULL, NULL, EBADMSG },
                { "[{\"Config\":\"c\",\"RepoTags\":1}]", NULL, NULL, NULL, EBADMSG },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_saved struct image_saved saved = { .name = NULL };
                struct error err = ERROR_INIT;
                int rc = image_saved_select(cases[i].text, strlen(cases[i].text), cases[i].name,
                                            &saved, &err);

                assert_int_equal(err.code, cases[i].code);
                assert_int_equal(rc, cases[i].code ? -1 : 0);
                if (rc < 0)
                        continue;
                assert_string_equal(saved.config, cases[i].config);
                if (cases[i].found)
                        assert_string_equal(saved.name, cases[i].found);
                else
                        assert_null(saved.name);
        }
}

static void test_too_many_layers(void **state)
{
        auto_image_saved struct image_saved saved = { .name = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        strbuf_append(&text, "[{\"Config\":\"c\",\"Layers\":[\"l\"");
        for (unsigned int i = 0; i < IMAGE_LAYER_LIMIT; i++)
                strbuf_append(&text, ",\"l\"");
        strbuf_append(&text, "]}]");
        assert_int_equal(image_saved_select(text.data, text.length, NULL, &saved, &err), -1);
        assert_int_equal(err.code, EMSGSIZE);
}

#define ID1 "1111111111111111111111111111111111111111111111111111111111111111"
#define ID2 "2222222222222222222222222222222222222222222222222222222222222222"

static void test_repositories(void **state)
{
        static const struct {
                const char *text, *name, *id;
                int code;
        } cases[] = {
                { "{\"a\":{\"1\":\"" ID1 "\"}}", NULL, ID1, 0 },
                { "{\"a\":{\"1\":\"" ID1 "\",\"2\":\"" ID1 "\"}}", NULL, ID1, 0 },
                { "{\"a\":{\"1\":\"" ID1 "\",\"2\":\"" ID2 "\"}}", "a:2", ID2, 0 },
                { "{\"a\":{\"1\":\"" ID1 "\",\"2\":\"" ID2 "\"}}", NULL, NULL, ENOENT },
                { "{\"a\":{\"1\":\"" ID1 "\"}}", "a:2", NULL, ENOENT },
                { "{\"a\":{\"1\":\"../../etc\"}}", NULL, NULL, EBADMSG },
                { "{\"a\":{\"1\":null}}", NULL, NULL, EBADMSG },
                { "{\"a\":1}", NULL, NULL, EBADMSG },
                { "{}", NULL, NULL, ENOENT },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_free char *name = NULL;
                char id[IMAGE_V1_ID_SIZE];
                struct error err = ERROR_INIT;
                int rc = image_repositories_select(cases[i].text, strlen(cases[i].text),
                                                   cases[i].name, &name, id, &err);

                assert_int_equal(rc, cases[i].code ? -1 : 0);
                assert_int_equal(err.code, cases[i].code);
                if (rc == 0)
                        assert_string_equal(id, cases[i].id);
        }
}

static void test_v1_parent(void **state)
{
        static const struct {
                const char *text, *id;
        } cases[] = {
                { "{\"id\":\"" ID1 "\",\"parent\":\"" ID2 "\"}", ID2 },
                { "{\"id\":\"" ID1 "\"}", "" },
                { "{\"parent\":\"\"}", "" },
                { "{\"parent\":\"../x\"}", NULL },
                { "{\"parent\":1}", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char id[IMAGE_V1_ID_SIZE];
                struct error err = ERROR_INIT;
                int rc = image_v1_parent(cases[i].text, strlen(cases[i].text), id, &err);

                assert_int_equal(rc, cases[i].id ? 0 : -1);
                if (rc == 0)
                        assert_string_equal(id, cases[i].id);
        }
}

#define D1                  "sha256:" ID1
#define D2                  "sha256:" ID2
#define ENTRY(digest, more) "{\"digest\":\"" digest "\",\"size\":1" more "}"
#define NAMED(name)         ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}"
#define FOR(arch)           ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"}"
#define CONTAINERD(name)                                                                           \
        ",\"annotations\":{\"io.containerd.image.name\":\"" name                                   \
        "\",\"org.opencontainers.image.ref.name\":\"1\"}"
#define LAYOUT(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static void test_layout(void **state)
{
        static const struct image_platform platform = { "arm64", "" };
        static const struct {
                const char *text, *name, *digest, *found;
                int code;
        } cases[] = {
                { LAYOUT(ENTRY(D1, "")), NULL, D1, NULL, 0 },
                { LAYOUT(ENTRY(D1, NAMED("1"))), NULL, D1, "1", 0 },
                { LAYOUT(ENTRY(D1, NAMED("1")) "," ENTRY(D2, NAMED("2"))), "2", D2, "2", 0 },
                { LAYOUT(ENTRY(D1, NAMED("1")) "," ENTRY(D2, NAMED("2"))), NULL, NULL, NULL,
                  ENOENT },
                { LAYOUT(ENTRY(D1, NAMED("1"))), "3", NULL, NULL, ENOENT },
                { LAYOUT(ENTRY(D1, NAMED("docker.io/library/a:1"))), "a:1", D1,
                  "docker.io/library/a:1", 0 },
                { LAYOUT(ENTRY(D1, CONTAINERD("docker.io/library/a:1"))), "a:1", D1, "1", 0 },
                { LAYOUT(ENTRY(D1, NAMED("1") FOR("amd64")) "," ENTRY(D2, NAMED("1") FOR("arm64"))),
                  NULL, D2, "1", 0 },
                { LAYOUT(ENTRY(D1, NAMED("1") FOR("amd64"))), "1", NULL, NULL, ENOENT },
                { LAYOUT(ENTRY("sha256:../../x", NAMED("1"))), "1", NULL, NULL, EBADMSG },
                { LAYOUT(""), NULL, NULL, NULL, ENOENT },
                { "{}", NULL, NULL, NULL, ENOENT },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_descriptor struct image_descriptor descriptor = { .media_type = NULL };
                auto_free char *name = NULL;
                struct error err = ERROR_INIT;
                int rc = image_layout_select(cases[i].text, strlen(cases[i].text), cases[i].name,
                                             &platform, &descriptor, &name, &err);

                assert_int_equal(err.code, cases[i].code);
                assert_int_equal(rc, cases[i].code ? -1 : 0);
                if (rc < 0)
                        continue;
                assert_string_equal(descriptor.digest, cases[i].digest);
                assert_true(cases[i].found ? name && strcmp(name, cases[i].found) == 0 : !name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_saved),        cmocka_unit_test(test_too_many_layers),
                cmocka_unit_test(test_repositories), cmocka_unit_test(test_v1_parent),
                cmocka_unit_test(test_layout),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
