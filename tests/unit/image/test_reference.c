/* image/: the grammar of references and default file names. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/image.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HUB "registry-1.docker.io"

static void test_accepted(void **state)
{
        static const struct {
                const char *uri, *user, *registry, *repository, *tag, *digest, *file, *canonical;
        } cases[] = {
                { "docker://ubuntu", NULL, HUB, "library/ubuntu", "latest", NULL, "ubuntu.sqsh",
                  "docker://" HUB "#library/ubuntu:latest" },
                { "docker://alpine:latest", NULL, HUB, "library/alpine", "latest", NULL,
                  "alpine+latest.sqsh", "docker://" HUB "#library/alpine:latest" },
                { "docker://nvidia/cuda:12.4.0-base-ubuntu20.04", NULL, HUB, "nvidia/cuda",
                  "12.4.0-base-ubuntu20.04", NULL, "nvidia+cuda+12.4.0-base-ubuntu20.04.sqsh",
                  "docker://" HUB "#nvidia/cuda:12.4.0-base-ubuntu20.04" },
                { "docker://library/alpine:3", NULL, HUB, "library/alpine", "3", NULL,
                  "alpine+3.sqsh", NULL },
                { "docker://docker.io/alpine", NULL, HUB, "library/alpine", "latest", NULL,
                  "alpine.sqsh", NULL },
                { "docker://docker.io/library/alpine", NULL, HUB, "library/alpine", "latest", NULL,
                  "alpine.sqsh", NULL },
                { "docker://index.docker.io#alpine:1", NULL, HUB, "library/alpine", "1", NULL,
                  "alpine+1.sqsh", NULL },
                { "docker://nvcr.io#nvidia/pytorch:25.06-py3", NULL, "nvcr.io", "nvidia/pytorch",
                  "25.06-py3", NULL, "nvidia+pytorch+25.06-py3.sqsh",
                  "docker://nvcr.io#nvidia/pytorch:25.06-py3" },
                { "docker://nvcr.io/nvidia/pytorch:25.06-py3", NULL, "nvcr.io", "nvidia/pytorch",
                  "25.06-py3", NULL, NULL, NULL },
                { "docker://localhost/a/b", NULL, "localhost", "a/b", "latest", NULL, "a+b.sqsh",
                  NULL },
                { "docker://localhost:5000/app:v1", NULL, "localhost:5000", "app", "v1", NULL,
                  "app+v1.sqsh", "docker://localhost:5000#app:v1" },
                { "docker://registry#library/app", NULL, "registry", "library/app", "latest", NULL,
                  "library+app.sqsh", NULL },
                { "docker://[::1]:5000/app", NULL, "[::1]:5000", "app", "latest", NULL, NULL,
                  NULL },
                { "docker://[2001:db8::1]#app", NULL, "[2001:db8::1]", "app", "latest", NULL, NULL,
                  NULL },
                { "docker://me@alpine:latest", "me", HUB, "library/alpine", "latest", NULL, NULL,
                  NULL },
                { "docker://$oauthtoken@nvcr.io#nvidia/cuda", "$oauthtoken", "nvcr.io",
                  "nvidia/cuda", "latest", NULL, NULL, NULL },
                { "docker://me@example.org@quay.io/a/b", "me@example.org", "quay.io", "a/b",
                  "latest", NULL, NULL, NULL },
                { "docker://ten/me@example.org@iad.ocir.io#a/b:1", "ten/me@example.org",
                  "iad.ocir.io", "a/b", "1", NULL, NULL, NULL },
                { "docker://alpine@sha256:" HEX, NULL, HUB, "library/alpine", "latest",
                  "sha256:" HEX, "alpine.sqsh", "docker://" HUB "#library/alpine@sha256:" HEX },
                { "docker://alpine:3@sha256:" HEX, NULL, HUB, "library/alpine", "3", "sha256:" HEX,
                  "alpine+3.sqsh", "docker://" HUB "#library/alpine@sha256:" HEX },
                { "docker://me@h.io:1#a/b:3@sha256:" HEX, "me", "h.io:1", "a/b", "3", "sha256:" HEX,
                  NULL, NULL },
                { "docker://me@h.io/a/b@sha256:" HEX, "me", "h.io", "a/b", "latest", "sha256:" HEX,
                  NULL, NULL },
                { "docker://my-org/a__b.c_d---e", NULL, HUB, "my-org/a__b.c_d---e", "latest", NULL,
                  NULL, NULL },
                { "docker://a:_x.Y-z", NULL, HUB, "library/a", "_x.Y-z", NULL, NULL, NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_reference struct image_reference ref = { .user = NULL };
                auto_free char *file = NULL, *canonical = NULL;
                struct error err = ERROR_INIT;

                if (image_reference_parse(cases[i].uri, &ref, &err) < 0)
                        fail_msg("%s: %s", cases[i].uri, err.message);
                if (cases[i].user)
                        assert_string_equal(ref.user, cases[i].user);
                else
                        assert_null(ref.user);
                assert_string_equal(ref.registry, cases[i].registry);
                assert_string_equal(ref.repository, cases[i].repository);
                assert_string_equal(ref.tag, cases[i].tag);
                if (cases[i].digest)
                        assert_string_equal(ref.digest, cases[i].digest);
                else
                        assert_null(ref.digest);
                file = image_reference_file_name(&ref);
                assert_non_null(file);
                if (cases[i].file)
                        assert_string_equal(file, cases[i].file);
                canonical = image_reference_uri(&ref);
                assert_non_null(canonical);
                if (cases[i].canonical)
                        assert_string_equal(canonical, cases[i].canonical);
        }
}

/* The canonical URI is a reference to the same image. */
static void test_canonical_is_stable(void **state)
{
        auto_image_reference struct image_reference first = { .user = NULL };
        auto_image_reference struct image_reference second = { .user = NULL };
        auto_free char *uri = NULL, *again = NULL;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(image_reference_parse("docker://h.io:80/a/b:c", &first, &err), 0);
        uri = image_reference_uri(&first);
        assert_int_equal(image_reference_parse(uri, &second, &err), 0);
        again = image_reference_uri(&second);
        assert_string_equal(uri, again);
}

static void test_refused(void **state)
{
        static const struct {
                const char *uri, *named; /* what the message must name */
        } cases[] = {
                { "", "docker://" },
                { "alpine", "docker://" },
                { "docker:alpine", "docker://" },
                { "docker://", "name of the image" },
                { "docker://:latest", "name of the image" },
                { "docker://@alpine", "user" },
                { "docker://#alpine", "registry" },
                { "docker:///alpine", "image '/alpine'" },
                { "docker://Alpine", "lower-case" },
                { "docker://alpine:", "tag" },
                { "docker://alpine:.x", "tag" },
                { "docker://alpine:a b", "tag" },
                { "docker://alpine:a/../b", "port" },
                { "docker://al pine", "image" },
                { "docker://a/../b", "image" },
                { "docker://../../etc", "registry" },
                { "docker://h.io/..", "image" },
                { "docker://h.io/./a", "image" },
                { "docker://h.io//a", "image" },
                { "docker://h.io/a/", "image" },
                { "docker://a..b", "image" },
                { "docker://a___b", "image" },
                { "docker://a._b", "image" },
                { "docker://-a", "image" },
                { "docker://a-", "image" },
                { "docker://a%2fb", "image" },
                { "docker://a?b", "image" },
                { "docker://h.io:0/a", "port" },
                { "docker://h.io:65536/a", "port" },
                { "docker://h.io:/a", "port" },
                { "docker://h.io:8o/a", "port" },
                { "docker://-h.io/a", "registry" },
                { "docker://h..io/a", "registry" },
                { "docker://h.io./a", "registry" },
                { "docker://[::1/a", "image" },
                { "docker://[zz]#a", "registry" },
                { "docker://h\nx#a", "registry" },
                { "docker://a\tb@h.io/x", "user" },
                { "docker://a/b@alpine", "@sha256:" },
                { "docker://alpine@sha256:abc", "digest" },
                { "docker://alpine@sha256:../../../etc/passwd", "digest" },
                { "docker://alpine@sha256:" HEX "0", "digest" },
                { "docker://alpine@sha256:/"
                  "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                  "digest" },
                { "docker://"
                  "alpine@sha256:ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                  "digest" },
                { "docker://alpine@sha512:" HEX HEX, "digest" },
                { "docker://alpine@md5:0123456789abcdef0123456789abcdef", "digest" },
                { "docker://h.io#alpine@latest", "digest" },
                { "docker://h.io#a#b", "image" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_reference ref = { .user = NULL };
                struct error err = ERROR_INIT;

                if (image_reference_parse(cases[i].uri, &ref, &err) == 0)
                        fail_msg("%s: accepted", cases[i].uri);
                assert_int_equal(err.code, EINVAL);
                if (!strstr(err.message, cases[i].named))
                        fail_msg("%s: %s", cases[i].uri, err.message);
                assert_null(ref.registry);
        }
}

static void test_lengths(void **state)
{
        struct image_reference ref = { .user = NULL };
        struct error err = ERROR_INIT;
        char uri[5000];

        (void)state;
        strcpy(uri, "docker://a:");
        memset(uri + 11, 't', IMAGE_TAG_LIMIT + 1);
        uri[11 + IMAGE_TAG_LIMIT] = '\0';
        assert_int_equal(image_reference_parse(uri, &ref, &err), 0);
        image_reference_release(&ref);
        strcat(uri, "t");
        assert_int_equal(image_reference_parse(uri, &ref, &err), -1);

        memset(uri + 9, 'a', sizeof(uri) - 10);
        uri[sizeof(uri) - 1] = '\0';
        assert_int_equal(image_reference_parse(uri, &ref, &err), -1);
        strcpy(uri + 4000, "#a");
        assert_int_equal(image_reference_parse(uri, &ref, &err), -1);
        strcpy(uri + 4000, "@a");
        assert_int_equal(image_reference_parse(uri, &ref, &err), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_canonical_is_stable),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_lengths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
