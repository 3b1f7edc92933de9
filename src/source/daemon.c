/*
 * dockerd:// and podman:// — an image that a container engine on this machine has. It
 * is asked for the archive of "docker save" over the socket of its API (Docker Engine
 * API, "Export an image"; Podman serves the same), or, where there is no socket,
 * through its command line. The archive goes to a nameless file first: its table of
 * contents comes last, and so do the layers that are wanted first.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "env/env.h"
#include "source/program.h"
#include "source/spool.h"
#include "source/stored.h"
#include "util/json.h"

/* The largest description of an image that is looked at, in bytes. */
#define DESCRIPTION_LIMIT (8u << 20)

/* A socket's path: a variable's value in front, or nothing. */
struct socket_place {
        const char *variable, *path;
};

struct engine {
        const char *scheme, *name, *program;
        const char *host_variable;     /* "unix:///PATH", or what only the program understands */
        struct socket_place places[3]; /* looked at when the variable is not set */
        const char *start;             /* how to start it */
        const char *permission;        /* how to get at a socket of another user */
};

static const struct engine docker = {
        .scheme = "dockerd://",
        .name = "Docker",
        .program = "docker",
        .host_variable = "DOCKER_HOST",
        .places = { { NULL, "/var/run/docker.sock" }, { "XDG_RUNTIME_DIR", "/docker.sock" } },
        .start = "start it (systemctl start docker), or set DOCKER_HOST",
        .permission = "be a member of the group docker, or set DOCKER_HOST to a socket of your own",
};

static const struct engine podman = {
        .scheme = "podman://",
        .name = "Podman",
        .program = "podman",
        .host_variable = "CONTAINER_HOST",
        .places = { { "XDG_RUNTIME_DIR", "/podman/podman.sock" },
                    { NULL, "/run/podman/podman.sock" } },
        .start = "start it (systemctl --user start podman.socket), or set CONTAINER_HOST",
        .permission = "set CONTAINER_HOST to a socket of your own",
};

struct request {
        const struct engine *engine;
        const char *image;
        const struct source_options *options;
        struct report *report;
};

/* ---- finding the socket ---- */

/* 0 when somebody answers at the socket, or -1 with errno. */
static int try_socket(const char *path)
{
        auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(address.sun_path)) {
                errno = ENAMETOOLONG;
                return -1;
        }
        strcpy(address.sun_path, path);
        return fd < 0 ? -1 : connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

/* What to do about a socket that cannot be used. Always returns -1. */
static int explain_socket(const struct engine *engine, const char *path, int code,
                          struct error *err)
{
        error_set(err, code, "%s: %s", path, strerror(code));
        if (code == EACCES || code == EPERM)
                return error_append(err, "; %s", engine->permission);
        if (code == ECONNREFUSED || code == ENOENT)
                return error_append(err, ": %s is not running; %s", engine->name, engine->start);
        return -1;
}

/* The socket that the user named. Returns as find_socket. */
static int use_host_variable(const struct engine *engine, const char *host, char **ret,
                             struct error *err)
{
        if (strncmp(host, "unix://", strlen("unix://")) != 0)
                return 0;
        host += strlen("unix://");
        if (try_socket(host) < 0) {
                explain_socket(engine, host, errno, err);
                return error_prefix(err, "%s", engine->host_variable);
        }
        *ret = strdup(host);
        return *ret ? 1 : error_no_memory(err);
}

/*
 * Returns 1 and the path of a socket; 0 when there is none to use, with *err saying
 * why not if one was there; -1 with *err.
 */
static int find_socket(const struct request *request, char **ret, struct error *err)
{
        const struct engine *engine = request->engine;
        const struct strlist *environment = request->options->registry.environment;
        const char *host = env_get(environment, engine->host_variable);

        if (host && host[0])
                return use_host_variable(engine, host, ret, err);
        for (size_t i = 0; i < ARRAY_SIZE(engine->places) && engine->places[i].path; i++) {
                const struct socket_place *place = &engine->places[i];
                const char *base = place->variable ? env_get(environment, place->variable) : "";
                auto_strbuf struct strbuf path = STRBUF_INIT;

                if (!base || (place->variable && !base[0]))
                        continue;
                if (strbuf_printf(&path, "%s%s", base, place->path) < 0)
                        return error_no_memory(err);
                if (try_socket(path.data) == 0) {
                        *ret = strbuf_take(&path);
                        return 1;
                }
                if (errno != ENOENT)
                        explain_socket(engine, path.data, errno, err);
        }
        return 0;
}

/* ---- asking over the socket ---- */

struct answer {
        const struct request *request;
        struct strbuf text; /* of the description */
        int fd;             /* of the archive */
};

static int ignore_size(struct registry_download *download, uint64_t size, struct error *err)
{
        (void)download;
        (void)size;
        (void)err;
        return 0;
}

static int take_description(struct registry_download *download, const void *data, size_t size,
                            struct error *err)
{
        struct answer *answer = download->context;

        if (size > DESCRIPTION_LIMIT - answer->text.length)
                return error_set(err, EFBIG, "a description of more than %u bytes",
                                 DESCRIPTION_LIMIT);
        return strbuf_append_mem(&answer->text, data, size) < 0 ? error_no_memory(err) : 0;
}

static int take_archive(struct registry_download *download, const void *data, size_t size,
                        struct error *err)
{
        struct answer *answer = download->context;
        struct report *report = answer->request->report;

        if (report)
                report->progress.bytes_done += size;
        return spool_write(answer->fd, answer->request->options->temp_path, data, size, err);
}

/* GET /images/IMAGE/WHAT */
static int ask(const char *socket_path, const char *image, const char *what,
               int (*take)(struct registry_download *download, const void *data, size_t size,
                           struct error *err),
               struct answer *answer, struct error *err)
{
        const struct request *request = answer->request;
        struct registry_options options = request->options->registry;
        auto_strbuf struct strbuf url = STRBUF_INIT;
        struct registry_download download = { .context = answer,
                                              .size = ignore_size,
                                              .data = take };

        options.unix_socket = socket_path;
        options.config_path = NULL;
        options.allow_http = true;
        if (strbuf_printf(&url, "http://localhost/images/%s/%s", image, what) < 0)
                return error_no_memory(err);
        download.url = url.data;
        if (registry_download(&download, &options, request->report, err) < 0)
                return error_prefix(err, "%s at %s", request->engine->name, socket_path);
        return 0;
}

/*
 * What is looked at of a description. The id is asked for afterwards: a name without a
 * tag stands for one image in the first request, and for all of its tags in an export.
 */
struct description {
        uint64_t size; /* bytes; 0 when it is not told */
        char id[IMAGE_DIGEST_SIZE];
};

static int parse_description(const struct strbuf *text, struct description *ret, struct error *err)
{
        auto_json_node struct json_node *root =
                json_node_parse(strbuf_text(text), text->length, err);
        int64_t size = 0;
        const char *id;

        if (!root || json_node_text(root, "Id", &id, err) < 0)
                return -1;
        if (!id || !image_digest_valid(id))
                return error_set(err, EBADMSG, "\"%.80s\" is not the id of an image", id ? id : "");
        memcpy(ret->id, id, sizeof(ret->id));
        if (json_node_integer(root, "Size", &size) && size > 0)
                ret->size = (uint64_t)size;
        return 0;
}

/* Ask what the engine has of that name. */
static int describe(const struct request *request, const char *socket_path, struct description *ret,
                    struct error *err)
{
        const struct engine *engine = request->engine;
        struct answer answer = { .request = request, .fd = -1 };
        int rc = ask(socket_path, request->image, "json", take_description, &answer, err);

        if (rc < 0 && err->code == ENOENT)
                error_set(err, ENOENT,
                          "%s has no image %s (\"%s images\" lists what there is, \"%s pull\" "
                          "fetches more)",
                          engine->name, request->image, engine->program, engine->program);
        if (rc == 0 && parse_description(&answer.text, ret, err) < 0)
                rc = error_prefix(err, "%s at %s", engine->name, socket_path);
        strbuf_release(&answer.text);
        return rc;
}

/* Returns a descriptor of the archive, or -1 with *err. */
static int save_over_socket(const struct request *request, const char *socket_path,
                            struct error *err)
{
        struct description description = { .size = 0 };
        struct answer answer = { .request = request, .fd = -1 };

        report_info(request->report, "Fetching the image from %s at %s", request->engine->name,
                    socket_path);
        if (describe(request, socket_path, &description, err) < 0)
                return -1;
        answer.fd = spool_open(request->options->temp_path, description.size, err);
        if (answer.fd < 0)
                return -1;
        if (request->report)
                request->report->progress.bytes_total += description.size;
        if (ask(socket_path, description.id, "get", take_archive, &answer, err) < 0) {
                (void)close(answer.fd);
                return -1;
        }
        return answer.fd;
}

/* ---- asking the program ---- */

/* Whether a name may be an id, or the beginning of one, as "docker images" shows it. */
static bool is_id(const char *image)
{
        return strlen(image) >= 12 && image[strspn(image, "0123456789abcdef")] == '\0';
}

/* The name of one image: "docker save NAME" would save all tags of it. malloc'd, or NULL. */
static char *name_with_tag(const char *image)
{
        const char *last = strrchr(image, '/');
        bool whole = strpbrk(last ? last : image, ":@") || is_id(image);
        char *name = NULL;

        return asprintf(&name, "%s%s", image, whole ? "" : ":latest") < 0 ? NULL : name;
}

/* The same through the command line. why_no_socket is empty when there was none. */
static int save_by_program(const struct request *request, const struct error *why_no_socket,
                           struct error *err)
{
        const struct engine *engine = request->engine;
        auto_free char *name = name_with_tag(request->image);
        const char *const argv[] = { engine->program, "save", name, NULL };
        const char *temp_path = request->options->temp_path;
        auto_program struct program program = PROGRAM_INIT;
        auto_stream struct stream *output = NULL;
        auto_close int fd = -1;

        if (!name)
                return error_no_memory(err);
        fd = spool_open(temp_path, 0, err);
        if (fd < 0)
                return -1;
        output = program_start(&program, argv, request->options->registry.environment, err);
        if (!output && err->code == ENOENT) {
                if (why_no_socket->code)
                        *err = *why_no_socket;
                else
                        error_set(err, ENOENT,
                                  "there is neither a socket of %s nor the program %s; %s",
                                  engine->name, engine->program, engine->start);
                return -1;
        }
        if (!output)
                return -1;
        report_info(request->report, "Fetching the image with \"%s save\"", engine->program);
        if (spool_copy(fd, temp_path, output, request->report, err) < 0 ||
            program_finish(&program, err) < 0)
                return -1;
        return TAKE_FD(fd);
}

static int save(const struct request *request, struct error *err)
{
        struct error why_no_socket = ERROR_INIT;
        auto_free char *socket_path = NULL;
        int found = find_socket(request, &socket_path, &why_no_socket);

        if (found > 0)
                return save_over_socket(request, socket_path, err);
        if (found == 0)
                return save_by_program(request, &why_no_socket, err);
        *err = why_no_socket;
        return -1;
}

/* ---- the source ---- */

/* A name as of a registry's image, which is safe in a URL and as a word of a command. */
static int check_name(const struct engine *engine, const char *image, struct error *err)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        auto_strbuf struct strbuf uri = STRBUF_INIT;

        if (strbuf_printf(&uri, "docker://%s", image) < 0)
                return error_no_memory(err);
        if (image_reference_parse(uri.data, &ref, err) < 0)
                return -1;
        if (ref.user || strchr(image, '#'))
                return error_set(err, EINVAL,
                                 "an image of %s has neither a user nor a \"#\" in its name",
                                 engine->name);
        return 0;
}

static int open_image(struct stored_source *source, const struct request *request,
                      struct error *err)
{
        struct location location = { .scheme = NULL };
        auto_close int fd = -1;

        if (check_name(request->engine, request->image, err) < 0)
                return -1;
        fd = save(request, err);
        if (fd < 0)
                return -1;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return error_errno(err, "lseek");
        source->archive = archive_open_tar(fd, request->options->temp_path, request->report, err);
        if (!source->archive ||
            stored_open_docker_archive(source, &location, &request->options->platform, err) < 0)
                return error_prefix(err, "what %s sent", request->engine->name);
        return 0;
}

static struct source *open_engine(const struct engine *engine, const char *uri,
                                  const struct source_options *options, struct report *report,
                                  struct error *err)
{
        const struct request request = {
                .engine = engine,
                .image = uri + strlen(engine->scheme),
                .options = options,
                .report = report,
        };
        auto_stored struct stored_source *source = stored_new(report, err);

        if (!source)
                return NULL;
        source->base.record.provenance = strdup(uri);
        if (!source->base.record.provenance) {
                error_no_memory(err);
                return NULL;
        }
        if (open_image(source, &request, err) < 0) {
                error_prefix(err, "%s", uri);
                return NULL;
        }
        return &TAKE_PTR(source)->base;
}

struct source *source_open_dockerd(const char *uri, const struct source_options *options,
                                   struct report *report, struct error *err)
{
        return open_engine(&docker, uri, options, report, err);
}

struct source *source_open_podman(const char *uri, const struct source_options *options,
                                  struct report *report, struct error *err)
{
        return open_engine(&podman, uri, options, report, err);
}
