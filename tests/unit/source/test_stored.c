/* source/: layers in files, their digests, and what their places are called. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "source/stored.h"
#include "tar_writer.h"
#include "util/io.h"
#include "util/path.h"

static char directory[] = "/tmp/enroot-test-XXXXXX";

static int enter(void **state)
{
        (void)state;
        return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, directory, &err);
}

static void make_file(const char *name, const void *data, size_t size)
{
        auto_close int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_int_equal(io_write_full(fd, data, size), 0);
}

static void test_locations(void **state)
{
        static const struct {
                const char *uri, *path, *name;
        } cases[] = {
                { "oci:dir", "dir", NULL },
                { "oci:dir:tag", "dir", "tag" },
                { "oci:dir:a/b:tag", "dir", "a/b:tag" },
                { "oci:missing:a:b", "missing", "a:b" },
                { "oci:with:colon", "with:colon", NULL },
                { "oci:with:colon:tag", "with:colon", "tag" },
                { "oci:-", "-", NULL },
                { "oci:-:busybox:1", "-", "busybox:1" },
        };
        static const char *const refused[] = { "oci:", "oci::tag", "oci:dir:" };
        struct error err = ERROR_INIT;

        (void)state;
        make_file("dir", "", 0);
        make_file("with:colon", "", 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_location struct location location = { .scheme = NULL };

                assert_int_equal(location_parse("oci:", cases[i].uri, &location, &err), 0);
                assert_string_equal(location.path, cases[i].path);
                if (cases[i].name)
                        assert_string_equal(location.name, cases[i].name);
                else
                        assert_null(location.name);
        }
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                auto_location struct location location = { .scheme = NULL };

                assert_int_equal(location_parse("oci:", refused[i], &location, &err), -1);
                assert_int_equal(err.code, EINVAL);
        }
}

static void test_file_names(void **state)
{
        static const struct {
                const char *uri, *name;
        } cases[] = {
                { "docker://alpine", "alpine.sqsh" },
                { "docker://nvidia/cuda:12.4", "nvidia+cuda+12.4.sqsh" },
                { "dockerd://nvidia/cuda:12.4", "nvidia+cuda+12.4.sqsh" },
                { "podman://localhost/mine", "mine.sqsh" },
                { "oci:/x/image", "image.sqsh" },
                { "oci:/x/image/", "image.sqsh" },
                { "oci:/x/image:3.20", "image+3.20.sqsh" },
                { "oci-archive:image.tar.zst", "image.sqsh" },
                { "docker-archive:x/a.tgz", "a.sqsh" },
                { "docker-archive:a.b.tar", "a.b.sqsh" },
                { "docker-archive:a.tar:lib/busybox:1", "a+lib+busybox+1.sqsh" },
                { "docker-archive:-:busybox:1", "busybox+1.sqsh" },
                { "tar:root.tar.xz", "root.sqsh" },
                { "https://host/a/b.sqsh?token=x#y", "b.sqsh" },
                { "https://host/b.squashfs", "b.squashfs" },
                { "docker-archive:-", NULL },
                { "oci:.", NULL },
                { "oci:..", NULL },
                { "https://host", NULL },
                { "https://host/..", NULL },
                { "ftp://host/x", NULL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                auto_free char *name = source_file_name(cases[i].uri, &err);

                if (cases[i].name)
                        assert_string_equal(name, cases[i].name);
                else
                        assert_int_equal(err.code, EINVAL);
        }
}

/* ---- an archive of docker save ---- */

#define PLATFORM "\"architecture\":\"arm\",\"os\":\"linux\""
#define DIFF_IDS ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}"
#define MANIFEST                                                                                   \
        "[{\"Config\":\"config.json\",\"RepoTags\":[\"a:b\"],\"Layers\":[\"1.tar\",\"2.tar\"]}]"

static const struct source_options options = { .temp_path = "/tmp", .platform = { "arm", "v7" } };

/*
 * Make a.tar with two layers "one" and "two"; first is the digest that the first is said to have.
 */
static void make_archive(const char *config_start, const char *first, const char *second_content)
{
        auto_strbuf struct strbuf tar = STRBUF_INIT;
        char config[512], diff_ids[256] = "", digests[2][SHA256_HEX_SIZE];
        struct error err = ERROR_INIT;

        assert_int_equal(sha256_of("one", 3, digests[0], &err), 0);
        assert_int_equal(sha256_of("two", 3, digests[1], &err), 0);
        if (!first || *first)
                (void)snprintf(diff_ids, sizeof(diff_ids), DIFF_IDS, first ? first : digests[0],
                               digests[1]);
        (void)snprintf(config, sizeof(config), "{%s%s}", config_start, diff_ids);
        tar_file(&tar, "config.json", config);
        tar_file(&tar, "1.tar", "one");
        tar_file(&tar, "2.tar", second_content);
        tar_file(&tar, "manifest.json", MANIFEST);
        tar_end(&tar);
        make_file("a.tar", tar.data, tar.length);
}

static struct source *open_archive(struct error *err)
{
        return source_open("docker-archive:a.tar", &options, NULL, err);
}

static void test_layers(void **state)
{
        struct error err = ERROR_INIT;
        auto_source struct source *source = NULL;
        char content[10] = "";

        (void)state;
        make_archive(PLATFORM, NULL, "two");
        source = open_archive(&err);
        assert_non_null(source);
        assert_int_equal(source_record(source)->layer_count, 2);
        assert_string_equal(source_record(source)->provenance, "docker-archive:a.tar:a:b");
        for (int pass = 0; pass < 2; pass++) {
                auto_stream struct stream *stream = source_layer(source, 1, &err);

                assert_non_null(stream);
                assert_int_equal(stream_read_full(stream, content, sizeof(content), &err), 3);
                assert_memory_equal(content, "two", 3);
        }
        assert_null(source_layer(source, 2, &err));
        assert_int_equal(source_verify(source, &err), 0);
}

/* The digest of a layer that nobody reads counts, too. */
static void test_wrong_digest(void **state)
{
        struct error err = ERROR_INIT;
        auto_source struct source *source = NULL;
        auto_stream struct stream *stream = NULL;
        char content[10];

        (void)state;
        make_archive(PLATFORM, NULL, "2");
        source = open_archive(&err);
        assert_non_null(source);
        stream = source_layer(source, 1, &err);
        assert_int_equal(stream_read_full(stream, content, sizeof(content), &err), -1);
        assert_int_equal(err.code, EBADMSG);
        err = (struct error)ERROR_INIT;
        assert_int_equal(source_verify(source, &err), -1);
        assert_int_equal(err.code, EBADMSG);
}

static void test_archives_refused(void **state)
{
        static const struct {
                const char *config, *first;
                int code;
        } cases[] = {
                { PLATFORM, "", EBADMSG }, /* without rootfs */
                { PLATFORM, "../../etc/passwd", EBADMSG },
                { "\"os\":\"windows\"", NULL, ENOEXEC },
                { "\"architecture\":\"s390x\"", NULL, ENOEXEC },
                { "no JSON", NULL, EBADMSG },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;

                make_archive(cases[i].config, cases[i].first, "two");
                assert_null(open_archive(&err));
                assert_int_equal(err.code, cases[i].code);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_locations),        cmocka_unit_test(test_file_names),
                cmocka_unit_test(test_layers),           cmocka_unit_test(test_wrong_digest),
                cmocka_unit_test(test_archives_refused),
        };

        return cmocka_run_group_tests(tests, enter, leave);
}
