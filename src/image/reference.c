/*
 * References to images. Registry, repository, tag and digest become parts of URLs,
 * file names and shell comments, so nothing outside the grammar of the distribution
 * specification (https://github.com/opencontainers/distribution-spec, "Pulling
 * manifests") gets through.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "image/image.h"

#define DOCKER_HUB      "registry-1.docker.io"
#define SCHEME          "docker://"
#define OFFICIAL_PREFIX "library/"

/* A piece of the URI, which is not changed while it is being parsed. */
struct span {
        const char *start;
        size_t length;
};

/* A reference in pieces. Pieces that are missing have a NULL start. */
struct pieces {
        struct span user, registry, repository, tag, digest;
};

static struct span span_between(const char *start, const char *end)
{
        return (struct span){ start, (size_t)(end - start) };
}

static const char *span_end(struct span span)
{
        return span.start + span.length;
}

static const char *span_find(struct span span, char c)
{
        return memchr(span.start, c, span.length);
}

static const char *span_find_last(struct span span, char c)
{
        return memrchr(span.start, c, span.length);
}

static bool span_is(struct span span, const char *text)
{
        return span.length == strlen(text) && memcmp(span.start, text, span.length) == 0;
}

/* The number of bytes at the start that are of the class or in extra. */
static size_t span_match(struct span span, int (*class)(int), const char *extra)
{
        size_t n = 0;

        while (n < span.length && isascii(span.start[n]) &&
               (class(span.start[n]) || strchr(extra, span.start[n])))
                n++;
        return n;
}

static int invalid(struct error *err, const char *what, struct span span, const char *rule)
{
        int shown = span.length > IMAGE_NAME_LIMIT ? (int)IMAGE_NAME_LIMIT : (int)span.length;

        return error_set(err, EINVAL, "%s '%.*s': %s", what, shown, span.start, rule);
}

bool image_digest_valid(const char *text)
{
        return strncmp(text, "sha256:", 7) == 0 &&
               strspn(text + 7, "0123456789abcdef") == SHA256_HEX_SIZE - 1 &&
               strlen(text) == IMAGE_DIGEST_SIZE - 1;
}

/*
 * Whether what follows a '@' means to be a digest and not an image after a user's
 * name: "sha256:" always does, another algorithm when 32 hex digits follow.
 */
static bool looks_like_digest(struct span span)
{
        const char *colon = span_find(span, ':');

        if (!colon)
                return false;
        if (span_is(span_between(span.start, colon), "sha256"))
                return true;
        return span_match(span_between(colon + 1, span_end(span)), isxdigit, "") >= 32;
}

/* IMAGE[:TAG]: the tag follows the last colon behind the last slash. */
static void split_tag(struct span name, struct pieces *pieces)
{
        const char *slash = span_find_last(name, '/');
        const char *colon = span_find_last(name, ':');

        if (colon && (!slash || colon > slash)) {
                pieces->tag = span_between(colon + 1, span_end(name));
                name = span_between(name.start, colon);
        }
        pieces->repository = name;
}

/* [USER@]REGISTRY#IMAGE[:TAG][@DIGEST]. A user's name may hold '@' and '/', but no '#'. */
static void split_at_hash(struct span left, struct span right, struct pieces *pieces)
{
        const char *at = span_find_last(left, '@');

        if (at) {
                pieces->user = span_between(left.start, at);
                left = span_between(at + 1, span_end(left));
        }
        pieces->registry = left;

        at = span_find(right, '@');
        if (at) {
                pieces->digest = span_between(at + 1, span_end(right));
                right = span_between(right.start, at);
        }
        split_tag(right, pieces);
}

/*
 * [USER@][REGISTRY/]IMAGE[:TAG][@DIGEST]. As for Docker, the first component is a
 * registry when it has a '.' or a ':' or is localhost.
 */
static void split_docker_form(struct span text, struct pieces *pieces)
{
        const char *at = span_find_last(text, '@'), *slash;

        if (at && looks_like_digest(span_between(at + 1, span_end(text)))) {
                pieces->digest = span_between(at + 1, span_end(text));
                text = span_between(text.start, at);
                at = span_find_last(text, '@');
        }
        if (at) {
                pieces->user = span_between(text.start, at);
                text = span_between(at + 1, span_end(text));
        }

        slash = span_find(text, '/');
        if (slash) {
                struct span first = span_between(text.start, slash);

                if (span_find(first, '.') || span_find(first, ':') || span_is(first, "localhost")) {
                        pieces->registry = first;
                        text = span_between(slash + 1, span_end(text));
                }
        }
        split_tag(text, pieces);
}

/*
 * The characters that the classic tool takes in a user's name: "$oauthtoken",
 * addresses, and "tenancy/user@example.org" before a '#'.
 */
static int check_user(struct span user, bool slash_allowed, struct error *err)
{
        if (user.length == 0 || user.length > IMAGE_NAME_LIMIT)
                return invalid(err, "user", user, "must have 1 to 255 characters before '@'");
        if (!slash_allowed && span_find(user, '/'))
                return invalid(err, "user", user,
                               "holds a '/'; a digest is written IMAGE@sha256:HEX, and a user's "
                               "name with a '/' needs USER@REGISTRY#IMAGE");
        if (span_match(user, isalnum, "_.!~*'()%;:&=+$,-/<>?@") != user.length)
                return invalid(err, "user", user, "holds a character that is not allowed there");
        return 0;
}

static bool host_valid(struct span host)
{
        /* An IPv6 address in brackets */
        if (host.length > 2 && host.start[0] == '[' && span_end(host)[-1] == ']') {
                struct span inner = span_between(host.start + 1, span_end(host) - 1);

                return span_find(inner, ':') && span_match(inner, isxdigit, ":.") == inner.length;
        }

        while (host.length > 0) {
                size_t length = span_match(host, isalnum, "-_");

                if (length == 0 || length > 63 || !isalnum((unsigned char)host.start[0]) ||
                    !isalnum((unsigned char)host.start[length - 1]))
                        return false;
                if (length == host.length)
                        return true;
                if (host.start[length] != '.')
                        return false;
                host = span_between(host.start + length + 1, span_end(host));
        }
        return false;
}

static bool port_valid(struct span port)
{
        unsigned int number = 0;

        if (port.length == 0 || port.length > 5 || span_match(port, isdigit, "") != port.length)
                return false;
        for (size_t i = 0; i < port.length; i++)
                number = number * 10 + (unsigned int)(port.start[i] - '0');
        return number >= 1 && number <= 65535;
}

static int check_registry(struct span registry, struct error *err)
{
        struct span host = registry;
        const char *colon = span_find_last(registry, ':');
        const char *bracket = span_find_last(registry, ']');

        if (registry.length == 0 || registry.length > IMAGE_NAME_LIMIT)
                return invalid(err, "registry", registry, "must have 1 to 255 characters");
        if (colon && (!bracket || colon > bracket)) {
                if (!port_valid(span_between(colon + 1, span_end(registry))))
                        return invalid(err, "registry", registry, "the port must be 1 to 65535");
                host = span_between(registry.start, colon);
        }
        if (!host_valid(host))
                return invalid(err, "registry", registry, "must be HOST or HOST:PORT");
        return 0;
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*, so neither "." nor ".." */
static bool component_valid(struct span component)
{
        const char *p = component.start, *end = span_end(component);

        for (;;) {
                const char *word = p;

                p += span_match(span_between(p, end), islower, "0123456789");
                if (p == word)
                        return false;
                if (p == end)
                        return true;
                if (*p == '.')
                        p++;
                else if (*p == '_')
                        p += p + 1 < end && p[1] == '_' ? 2 : 1;
                else if (*p == '-')
                        while (p < end && *p == '-')
                                p++;
                else
                        return false;
        }
}

static int check_repository(struct span repository, struct error *err)
{
        struct span rest = repository;

        if (repository.length == 0)
                return error_set(err, EINVAL, "the name of the image is missing");
        for (;;) {
                const char *slash = span_find(rest, '/');
                struct span component = slash ? span_between(rest.start, slash) : rest;

                if (!component_valid(component))
                        return invalid(err, "image", repository,
                                       "each part must be lower-case letters and digits, with "
                                       "single '.', '_', '__' or '-' between them");
                if (!slash)
                        return 0;
                rest = span_between(slash + 1, span_end(rest));
        }
}

static int check_tag(struct span tag, struct error *err)
{
        if (tag.length == 0 || tag.length > IMAGE_TAG_LIMIT)
                return invalid(err, "tag", tag, "must have 1 to 128 characters");
        if (span_match(tag, isalnum, "_.-") != tag.length || tag.start[0] == '.' ||
            tag.start[0] == '-')
                return invalid(err, "tag", tag,
                               "must be letters, digits, '_', '.' and '-', not starting with "
                               "'.' or '-'");
        return 0;
}

static int check_digest(struct span digest, struct error *err)
{
        char text[IMAGE_DIGEST_SIZE];

        if (digest.length == sizeof(text) - 1) {
                memcpy(text, digest.start, digest.length);
                text[digest.length] = '\0';
                if (image_digest_valid(text))
                        return 0;
        }
        return invalid(err, "digest", digest, "must be sha256: and 64 lower-case hex digits");
}

static int check_pieces(const struct pieces *pieces, bool has_hash, struct error *err)
{
        if (pieces->user.start && check_user(pieces->user, has_hash, err) < 0)
                return -1;
        if (pieces->registry.start && check_registry(pieces->registry, err) < 0)
                return -1;
        if (check_repository(pieces->repository, err) < 0)
                return -1;
        if (pieces->tag.start && check_tag(pieces->tag, err) < 0)
                return -1;
        return pieces->digest.start ? check_digest(pieces->digest, err) : 0;
}

static bool is_docker_hub(struct span registry)
{
        return !registry.start || span_is(registry, "docker.io") ||
               span_is(registry, "index.docker.io") || span_is(registry, DOCKER_HUB);
}

static char *copy(struct span span, bool *failed)
{
        char *text = span.start ? strndup(span.start, span.length) : NULL;

        if (span.start && !text)
                *failed = true;
        return text;
}

static int fill_reference(const struct pieces *pieces, struct image_reference *ref,
                          struct error *err)
{
        bool hub = is_docker_hub(pieces->registry), failed = false;
        bool official = hub && !span_find(pieces->repository, '/');
        auto_strbuf struct strbuf repository = STRBUF_INIT;

        strbuf_append(&repository, official ? OFFICIAL_PREFIX : "");
        strbuf_append_mem(&repository, pieces->repository.start, pieces->repository.length);
        if (repository.length > IMAGE_NAME_LIMIT)
                return invalid(err, "image", pieces->repository, "is too long");

        ref->user = copy(pieces->user, &failed);
        ref->registry = hub ? strdup(DOCKER_HUB) : copy(pieces->registry, &failed);
        ref->repository = strbuf_take(&repository);
        ref->tag_given = pieces->tag.start != NULL;
        ref->tag = ref->tag_given ? copy(pieces->tag, &failed) : strdup("latest");
        ref->digest = copy(pieces->digest, &failed);
        if (failed || !ref->registry || !ref->repository || !ref->tag)
                return error_no_memory(err);
        return 0;
}

int image_reference_parse(const char *uri, struct image_reference *ret, struct error *err)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        struct pieces pieces = { .user = { NULL, 0 } };
        struct span text = { uri, strlen(uri) };
        const char *hash;

        if (strncmp(uri, SCHEME, strlen(SCHEME)) != 0)
                return error_set(err, EINVAL, "image reference %.256s: must start with " SCHEME,
                                 uri);
        text = span_between(uri + strlen(SCHEME), span_end(text));

        hash = span_find(text, '#');
        if (hash)
                split_at_hash(span_between(text.start, hash),
                              span_between(hash + 1, span_end(text)), &pieces);
        else
                split_docker_form(text, &pieces);

        if (check_pieces(&pieces, hash != NULL, err) < 0 || fill_reference(&pieces, &ref, err) < 0)
                return error_prefix(err, "image reference %.256s", uri);
        *ret = TAKE(ref, (struct image_reference){ .user = NULL });
        return 0;
}

void image_reference_release(struct image_reference *ref)
{
        free(ref->user);
        free(ref->registry);
        free(ref->repository);
        free(ref->tag);
        free(ref->digest);
        *ref = (struct image_reference){ .user = NULL };
}

char *image_reference_file_name(const struct image_reference *ref)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;
        const char *repository = ref->repository;

        if (strcmp(ref->registry, DOCKER_HUB) == 0 &&
            strncmp(repository, OFFICIAL_PREFIX, strlen(OFFICIAL_PREFIX)) == 0)
                repository += strlen(OFFICIAL_PREFIX);
        for (const char *p = repository; *p; p++)
                strbuf_append_char(&name, *p == '/' ? '+' : *p);
        if (ref->tag_given)
                strbuf_printf(&name, "+%s", ref->tag);
        strbuf_append(&name, ".sqsh");
        return strbuf_take(&name);
}

int image_reference_name(const struct image_reference *ref, struct strbuf *name)
{
        return strbuf_printf(name, "%s/%s",
                             strcmp(ref->registry, DOCKER_HUB) == 0 ? "docker.io" : ref->registry,
                             ref->repository);
}

char *image_reference_uri(const struct image_reference *ref)
{
        auto_strbuf struct strbuf uri = STRBUF_INIT;

        strbuf_printf(&uri, SCHEME "%s#%s", ref->registry, ref->repository);
        if (ref->digest)
                strbuf_printf(&uri, "@%s", ref->digest);
        else
                strbuf_printf(&uri, ":%s", ref->tag);
        return strbuf_take(&uri);
}

static char *canonical_name(const char *name)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        auto_strbuf struct strbuf uri = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        strbuf_printf(&uri, "docker://%s", name);
        if (uri.failed || image_reference_parse(uri.data, &ref, &ignored) < 0)
                return NULL;
        return image_reference_uri(&ref);
}

bool image_names_equal(const char *one, const char *other)
{
        auto_free char *first = canonical_name(one), *second = canonical_name(other);

        return first && second && strcmp(first, second) == 0;
}
