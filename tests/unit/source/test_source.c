/*
 * source/: an image of a registry on loopback, from its name to the bytes of its
 * layers, and what readers see when the registry fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "http_server.h"
#include "source/source.h"
#include "util/path.h"

#define LAYER_COUNT 5
#define LAYER_LIMIT (2u << 20)

/* Sizes of the layers; the last one is the second one over again, the third is empty. */
static const size_t layer_sizes[LAYER_COUNT] = { 100, LAYER_LIMIT, 0, 300000, LAYER_LIMIT };

static struct {
        unsigned char content[LAYER_COUNT][LAYER_LIMIT];
        char digests[LAYER_COUNT][IMAGE_DIGEST_SIZE];
        char config[256], config_digest[IMAGE_DIGEST_SIZE];
        char manifest[4096], manifest_digest[IMAGE_DIGEST_SIZE];
        char index[2048], index_digest[IMAGE_DIGEST_SIZE];
} image;

static void digest_of(const void *data, size_t size, char digest[IMAGE_DIGEST_SIZE])
{
        struct error err = ERROR_INIT;

        strcpy(digest, "sha256:");
        assert_int_equal(sha256_of(data, size, digest + 7, &err), 0);
}

static int make_image(void **state)
{
        char layers[2048] = "";

        (void)state;
        for (size_t i = 0; i < LAYER_COUNT; i++) {
                size_t seed = i == 4 ? 1 : i;

                for (size_t j = 0; j < layer_sizes[i]; j++)
                        image.content[i][j] = (unsigned char)((j + seed) * 2654435761u >> 11);
                digest_of(image.content[i], layer_sizes[i], image.digests[i]);
                (void)snprintf(layers + strlen(layers), sizeof(layers) - strlen(layers),
                               "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                               "\"digest\":\"%s\",\"size\":%zu}",
                               i ? "," : "", image.digests[i], layer_sizes[i]);
        }
        (void)snprintf(
                image.config, sizeof(image.config),
                "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=b\"]}}");
        digest_of(image.config, strlen(image.config), image.config_digest);
        (void)snprintf(image.manifest, sizeof(image.manifest),
                       "{\"schemaVersion\":2,"
                       "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{"
                       "\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                       "\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
                       image.config_digest, strlen(image.config), layers);
        digest_of(image.manifest, strlen(image.manifest), image.manifest_digest);
        (void)snprintf(image.index, sizeof(image.index),
                       "{\"schemaVersion\":2,"
                       "\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{"
                       "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                       "\"digest\":\"%s\",\"size\":%zu,\"platform\":{\"architecture\":\"amd64\","
                       "\"os\":\"linux\"}}]}",
                       image.manifest_digest, strlen(image.manifest));
        digest_of(image.index, strlen(image.index), image.index_digest);
        return 0;
}

/* ---- the registry ---- */

enum flaw {
        FLAW_NONE,
        FLAW_INDEX_DIGEST,     /* the header says another digest */
        FLAW_MANIFEST_CONTENT, /* not what the index says */
        FLAW_CONFIG_CONTENT,
        FLAW_LAYER_CONTENT,
        FLAW_LAYER_GONE,
        FLAW_LAYER_HANGS,
        FLAW_LAYER_WAITS, /* for a second, and then goes on */
        FLAW_PLAIN_TYPE, /* documents without a type of their own */
};

struct fake_registry {
        struct http_server *server;
        enum flaw flaw;
        unsigned int served[LAYER_COUNT];
        unsigned int order[LAYER_COUNT], order_count; /* in which layers were asked for */
};

static void reply_document(struct fake_registry *registry, struct server_reply *reply,
                           const char *text, const char *type)
{
        reply->body = text;
        reply->size = strlen(text);
        (void)snprintf(reply->headers, sizeof(reply->headers), "Content-Type: %s\r\n",
                       registry->flaw == FLAW_PLAIN_TYPE ? "text/plain; charset=utf-8" : type);
}

static void reply_layer(struct fake_registry *registry, size_t i, struct server_reply *reply,
                        const struct server_request *request)
{
        registry->served[i]++;
        if (registry->order_count < LAYER_COUNT)
                registry->order[registry->order_count++] = (unsigned int)i;
        server_reply_range(reply, request, image.content[i], layer_sizes[i]);
        if (i != 1)
                return;
        if (registry->flaw == FLAW_LAYER_CONTENT)
                reply->body = image.content[3];
        else if (registry->flaw == FLAW_LAYER_GONE)
                reply->status = 404;
        else if (registry->flaw == FLAW_LAYER_HANGS)
                reply->stall_ms = 60000;
        else if (registry->flaw == FLAW_LAYER_WAITS)
                reply->stall_ms = 1000;
}

static void handle(void *context, const struct server_request *request, struct server_reply *reply)
{
        struct fake_registry *registry = context;
        const char *path = request->path + strlen("/v2/test/app/");

        if (strcmp(path, "manifests/latest") == 0 ||
            strcmp(path + strlen("manifests/"), image.index_digest) == 0) {
                reply_document(registry, reply, image.index,
                               "application/vnd.oci.image.index.v1+json");
                (void)snprintf(reply->headers + strlen(reply->headers), 200,
                               "Docker-Content-Digest: %s\r\n",
                               registry->flaw == FLAW_INDEX_DIGEST ? image.manifest_digest
                                                                   : image.index_digest);
                return;
        }
        if (strcmp(path + strlen("manifests/"), image.manifest_digest) == 0) {
                reply_document(registry, reply,
                               registry->flaw == FLAW_MANIFEST_CONTENT ? image.index
                                                                       : image.manifest,
                               "application/vnd.oci.image.manifest.v1+json");
                return;
        }
        if (strcmp(path + strlen("blobs/"), image.config_digest) == 0) {
                reply_document(registry, reply, image.config, "application/octet-stream");
                if (registry->flaw == FLAW_CONFIG_CONTENT)
                        reply->body = image.manifest;
                return;
        }
        for (size_t i = 0; i < LAYER_COUNT; i++) {
                if (strcmp(path + strlen("blobs/"), image.digests[i]) == 0) {
                        reply_layer(registry, i, reply, request);
                        return;
                }
        }
        reply->status = 404;
}

/* ---- an import ---- */

static char scratch[] = "/tmp/enroot-test-source-XXXXXX";

struct import {
        struct fake_registry registry;
        struct source_options options;
        struct report report;
        char uri[128];
};

static void import_init(struct import *import, enum flaw flaw)
{
        *import = (struct import){ .registry.flaw = flaw };
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        assert_non_null(mkdtemp(scratch));
        import->registry.server = http_server_start(handle, &import->registry);
        (void)snprintf(import->uri, sizeof(import->uri), "docker://127.0.0.1:%u/test/app",
                       http_server_port(import->registry.server));
        import->options = (struct source_options){
                .registry = { .allow_http = true,
                              .connect_timeout = 5,
                              .max_connections = 1,
                              .credentials_file = "/nonexistent" },
                .cache_path = scratch,
                .platform = { .architecture = "amd64" },
        };
}

static void import_release(struct import *import)
{
        struct error err = ERROR_INIT;

        http_server_stop(import->registry.server);
        assert_int_equal(path_remove_tree(AT_FDCWD, scratch, &err), 0);
}

static struct source *open_source(struct import *import)
{
        struct error err = ERROR_INIT;
        struct source *source = source_open(import->uri, &import->options, &import->report, &err);

        if (!source)
                fail_msg("%s", err.message);
        return source;
}

/* Read a layer in odd pieces. Returns 0, or -1 with *err. */
static int read_layer(struct source *source, size_t index, struct error *err)
{
        static unsigned char data[LAYER_LIMIT + 1];
        auto_stream struct stream *stream = source_layer(source, index, err);
        size_t length = 0;

        assert_non_null(stream);
        for (;;) {
                size_t room = sizeof(data) - length;
                ssize_t n = stream->read(stream, data + length, room < 77777 ? room : 77777, err);

                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                length += (size_t)n;
        }
        assert_int_equal(length, layer_sizes[index]);
        assert_memory_equal(data, image.content[index], length);
        return 0;
}

static void assert_image(struct source *source)
{
        struct error err = ERROR_INIT;

        assert_int_equal(source_record(source)->layer_count, LAYER_COUNT);
        assert_string_equal(source_record(source)->digest, image.manifest_digest);
        assert_string_equal(source_config(source)->env.items[0], "A=b");
        for (size_t i = LAYER_COUNT; i-- > 0;)
                assert_int_equal(read_layer(source, i, &err), 0);
        assert_int_equal(source_verify(source, &err), 0);
        for (size_t i = 0; i < LAYER_COUNT; i++)
                assert_int_equal(read_layer(source, i, &err), 0);
        assert_null(source_layer(source, LAYER_COUNT, &err));
}

static void test_import(void **state)
{
        static const enum flaw flaws[] = { FLAW_NONE, FLAW_PLAIN_TYPE };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(flaws); i++) {
                struct import import;
                struct source *source;
                unsigned int requests;

                import_init(&import, flaws[i]);
                source = open_source(&import);
                assert_image(source);
                assert_non_null(strstr(source_record(source)->provenance, "#test/app:latest"));
                source_close(source);
                /* The top layer first, which is the second one, too; nothing for an empty one. */
                assert_int_equal(import.registry.order[0], 3);
                assert_int_equal(import.registry.order[1], 1);
                assert_int_equal(import.registry.order[2], 0);
                assert_int_equal(import.registry.order_count, 3);
                assert_int_equal(import.report.progress.bytes_done,
                                 import.report.progress.bytes_total);
                assert_int_equal(import.report.progress.blobs_done, 4);

                requests = http_server_requests(import.registry.server);
                source = open_source(&import);
                assert_image(source);
                source_close(source);
                assert_int_equal(http_server_requests(import.registry.server), requests + 2);
                import_release(&import);
        }
}

static void test_pinned(void **state)
{
        struct import import;
        struct source *source;
        struct error err = ERROR_INIT;

        (void)state;
        import_init(&import, FLAW_NONE);
        strcat(import.uri, "@");
        strcat(import.uri, image.index_digest);
        source = open_source(&import);
        assert_image(source);
        source_close(source);

        /* A registry that answers with something else under that digest. */
        import.registry.flaw = FLAW_MANIFEST_CONTENT;
        strcpy(strchr(import.uri, '@') + 1, image.manifest_digest);
        assert_null(source_open(import.uri, &import.options, &import.report, &err));
        assert_int_equal(err.code, EBADMSG);
        import_release(&import);
}

static void test_bad_documents(void **state)
{
        static const struct {
                enum flaw flaw;
                const char *words;
        } cases[] = {
                { FLAW_INDEX_DIGEST, "its content is sha256:" },
                { FLAW_MANIFEST_CONTENT, "its content is sha256:" },
                { FLAW_CONFIG_CONTENT, "the content is sha256:" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct import import;
                struct error err = ERROR_INIT;

                import_init(&import, cases[i].flaw);
                assert_null(source_open(import.uri, &import.options, &import.report, &err));
                assert_int_equal(err.code, EBADMSG);
                assert_non_null(strstr(err.message, cases[i].words));
                import_release(&import);
        }
}

static void test_bad_layers(void **state)
{
        static const struct {
                enum flaw flaw;
                int code;
        } cases[] = { { FLAW_LAYER_CONTENT, EBADMSG }, { FLAW_LAYER_GONE, ENOENT } };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct import import;
                struct source *source;
                struct error err = ERROR_INIT;

                import_init(&import, cases[i].flaw);
                source = open_source(&import);
                assert_int_equal(source_verify(source, &err), -1);
                assert_int_equal(err.code, cases[i].code);
                assert_non_null(strstr(err.message, image.digests[1]));
                /* A reader that waits, or comes late, hears of it. */
                err = (struct error)ERROR_INIT;
                assert_int_equal(read_layer(source, 0, &err), -1);
                assert_int_equal(err.code, cases[i].code);
                source_close(source);
                import_release(&import);
        }
}

static void *wait_for_layer(void *source)
{
        struct error err = ERROR_INIT;

        (void)read_layer(source, 0, &err);
        return (void *)(intptr_t)err.code;
}

/* Closing needs no end of the transfers; a reader of a cancelled fetch would not wait either. */
static void test_close_early(void **state)
{
        struct import import;
        struct source *source;
        struct stream *stream;
        struct error err = ERROR_INIT;
        struct timespec before, after;

        (void)state;
        import_init(&import, FLAW_LAYER_HANGS);
        source = open_source(&import);
        stream = source_layer(source, 0, &err);
        assert_non_null(stream);
        (void)usleep(200000);
        stream_close(stream);
        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        source_close(source);
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
        assert_true(after.tv_sec - before.tv_sec < 30);
        import_release(&import);
}

static void test_waiting_reader(void **state)
{
        struct import import;
        struct source *source;
        pthread_t thread;
        void *code;

        (void)state;
        import_init(&import, FLAW_LAYER_GONE);
        source = open_source(&import);
        assert_int_equal(pthread_create(&thread, NULL, wait_for_layer, source), 0);
        assert_int_equal(pthread_join(thread, &code), 0);
        assert_int_equal((intptr_t)code, ENOENT);
        source_close(source);
        import_release(&import);
}

/* Import what the pipe brings, in a process of its own. Returns an exit status. */
static int import_in_child(int fd)
{
        static struct import import;
        struct error err = ERROR_INIT;
        struct source *source;

        if (read(fd, &import, sizeof(import)) != sizeof(import))
                return 1;
        import.options.cache_path = scratch;
        if (read(fd, scratch, sizeof(scratch)) != sizeof(scratch))
                return 1;
        source = source_open(import.uri, &import.options, NULL, &err);
        return source && source_verify(source, &err) == 0 ? 0 : 1;
}

/* Two processes, one download. The fork comes before there are threads. */
static void test_two_processes(void **state)
{
        struct import import;
        struct source *source;
        int fds[2], status = -1;
        pid_t pid;

        (void)state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(import_in_child(fds[0]));

        import_init(&import, FLAW_LAYER_WAITS);
        assert_int_equal(write(fds[1], &import, sizeof(import)), sizeof(import));
        assert_int_equal(write(fds[1], scratch, sizeof(scratch)), sizeof(scratch));
        source = open_source(&import);
        assert_image(source);
        source_close(source);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(import.registry.served[0], 1);
        assert_int_equal(import.registry.served[1], 1);
        assert_int_equal(import.registry.served[3], 1);
        import_release(&import);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void test_names(void **state)
{
        struct import import;
        struct error err = ERROR_INIT;

        (void)state;
        import_init(&import, FLAW_NONE);
        assert_null(source_open("ftp://somewhere", &import.options, NULL, &err));
        assert_int_equal(err.code, EINVAL);
        assert_non_null(strstr(err.message, "docker://"));
        import.options.cache_path = "/proc/cache";
        assert_null(source_open(import.uri, &import.options, NULL, &err));
        assert_non_null(strstr(err.message, "ENROOT_CACHE_PATH"));
        import_release(&import);
}

static void test_wrong_platform(void **state)
{
        struct import import;
        struct error err = ERROR_INIT;

        (void)state;
        import_init(&import, FLAW_NONE);
        strcpy(import.options.platform.architecture, "arm64");
        assert_null(source_open(import.uri, &import.options, NULL, &err));
        assert_int_equal(err.code, ENOENT);

        /* A manifest without an index is held against its configuration. */
        strcat(import.uri, "@");
        strcat(import.uri, image.manifest_digest);
        assert_null(source_open(import.uri, &import.options, NULL, &err));
        assert_int_equal(err.code, ENOEXEC);
        import_release(&import);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_import),         cmocka_unit_test(test_pinned),
                cmocka_unit_test(test_bad_documents),  cmocka_unit_test(test_bad_layers),
                cmocka_unit_test(test_close_early),    cmocka_unit_test(test_waiting_reader),
                cmocka_unit_test(test_two_processes),  cmocka_unit_test(test_names),
                cmocka_unit_test(test_wrong_platform),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, make_image, NULL);
}
