/*
 * run: an image from the registry is started without anybody having to name, keep or
 * delete a file. The image lies in the cache under the digest of its manifest, so every
 * reference to it, and every run, shares it; a small file tells which digest a
 * reference last stood for, so that a second run asks nobody.
 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "commands/cache.h"
#include "commands/image_build.h"
#include "commands/image_output.h"
#include "commands/pipeline.h"
#include "store/store.h"
#include "util/path.h"

int command_run_policy(const char *word, enum run_pull *ret, struct error *err)
{
        static const char *const names[] = {
                [RUN_PULL_MISSING] = "missing",
                [RUN_PULL_ALWAYS] = "always",
                [RUN_PULL_NEVER] = "never",
        };

        *ret = RUN_PULL_MISSING;
        for (size_t i = 0; word && i <= ARRAY_SIZE(names); i++) {
                if (i == ARRAY_SIZE(names))
                        return error_set(err, EINVAL, "--pull %s: missing, always or never", word);
                if (strcmp(word, names[i]) != 0)
                        continue;
                *ret = (enum run_pull)i;
                break;
        }
        return 0;
}

/* The URI that a word stands for: Docker's short form is a reference, too. malloc'd. */
static char *uri_of(const char *word)
{
        char *uri = NULL;

        if (source_is_uri(word))
                return strdup(word);
        return asprintf(&uri, "docker://%s", word) < 0 ? NULL : uri;
}

/*
 * What the image is remembered by: its canonical URI and the platform. *ret_lasting tells
 * whether that still means the same later, as far as anybody promises; a file may be
 * another one by now. malloc'd, or NULL with *err.
 */
static char *reference_of(const struct run_arguments *arguments, const char *uri,
                          bool *ret_lasting, struct error *err)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        struct image_platform platform;
        auto_free char *canonical = NULL;
        char *reference = NULL;

        *ret_lasting = strncmp(uri, "docker://", strlen("docker://")) == 0;
        if (image_platform_parse(arguments->arch, &platform, err) < 0 ||
            (*ret_lasting && image_reference_parse(uri, &ref, err) < 0))
                return NULL;
        canonical = *ret_lasting ? image_reference_uri(&ref) : strdup(uri);
        if (!canonical || asprintf(&reference, "%s %s/%s", canonical, platform.architecture,
                                   platform.variant) < 0) {
                error_no_memory(err);
                return NULL;
        }
        return reference;
}

/*
 * Whether what the cache has may be used unseen: 1, 0 when the image must be resolved
 * again, because nobody promises that its reference still means the same or a policy
 * wants to see signatures, -1 with *err when a policy rejects it.
 */
static int may_use_cache(const struct command_context *context,
                         const struct run_arguments *arguments, const char *uri, bool lasting,
                         struct error *err)
{
        auto_remote_image struct remote_image image = REMOTE_IMAGE_INIT;
        auto_image_reference struct image_reference ref = { .user = NULL };
        int allowed;

        if (arguments->pull == RUN_PULL_ALWAYS)
                return 0;
        if (!lasting)
                return arguments->pull == RUN_PULL_NEVER;
        if (remote_image_prepare(&image, context, arguments->arch, err) < 0 ||
            image_reference_parse(uri, &ref, err) < 0)
                return -1;
        allowed = registry_check_image(&image.options.registry, &ref, err);
        if (allowed < 0)
                return error_prefix(err, "%s", uri);
        if (allowed == 0 && arguments->pull == RUN_PULL_NEVER)
                return error_set(err, EACCES,
                                 "%s: a policy asks for signatures, which --pull never cannot look "
                                 "for",
                                 uri);
        return allowed;
}

/* The path of an image of the cache, which is there. malloc'd, or NULL with *err. */
static char *path_of(const struct store *store, const char *digest, struct error *err)
{
        char name[STORE_IMAGE_NAME_SIZE];
        char *path;

        if (store_image_name(digest, name, err) < 0)
                return NULL;
        path = path_join(store_path(store), name);
        if (!path)
                error_no_memory(err);
        return path;
}

/* Docker Hub is not asked for "x.sqsh", which somebody has mistyped. */
static bool is_image_file(const char *word)
{
        const char *ending = strrchr(word, '.');

        return !source_is_uri(word) &&
               (strchr("./", word[0]) || (ending && strcmp(ending, ".sqsh") == 0) ||
                access(word, F_OK) == 0);
}

int command_run_find(const struct command_context *context, const struct run_arguments *arguments,
                     bool imported, char **ret_path, struct error *err)
{
        auto_free char *uri = uri_of(arguments->image), *reference = NULL;
        auto_store struct store *store = NULL;
        auto_close int fd = -1;
        char digest[IMAGE_DIGEST_SIZE];
        bool lasting;
        int found = 1;

        /* An image file needs nothing of all this. */
        if (is_image_file(arguments->image)) {
                *ret_path = strdup(arguments->image);
                return *ret_path ? 1 : error_no_memory(err);
        }
        if (!uri)
                return error_no_memory(err);
        reference = reference_of(arguments, uri, &lasting, err);
        if (!reference)
                return -1;
        if (!imported)
                found = may_use_cache(context, arguments, uri, lasting, err);
        if (found <= 0)
                return found;
        store = store_open(context->config->cache_path, err);
        if (!store)
                return -1;
        found = store_find_image(store, reference, digest, &fd, err);
        if (found == 0 && (imported || arguments->pull == RUN_PULL_NEVER))
                return error_set(err, ENOENT, "%s is not in the cache (%s)", arguments->image,
                                 imported ? "something removed it at once: run it again"
                                          : "--pull missing fetches it");
        if (found <= 0)
                return found;
        *ret_path = path_of(store, digest, err);
        return *ret_path ? 1 : -1;
}

/* Whether the cache has the image: 1 or 0, or -1 with *err. */
static int is_made(struct store *store, const char *digest, struct error *err)
{
        auto_close int fd = store_get_image(store, digest, err);

        return fd >= 0 ? 1 : err->code == ENOENT ? 0 : -1;
}

char *command_run_path(const struct command_context *context, const char *digest,
                       struct error *err)
{
        auto_store struct store *store = store_open(context->config->cache_path, err);
        int made = store ? is_made(store, digest, err) : -1;

        if (made == 0)
                error_set(err, ENOENT, "something removed %s from the cache: run it again", digest);
        return made > 0 ? path_of(store, digest, err) : NULL;
}

/* Make the image in the cache, unless it is there, or somebody else makes it meanwhile. */
static int make(const struct command_context *context, struct remote_image *image,
                struct store *store, struct error *err)
{
        const char *digest = source_record(image->source)->digest;
        auto_image_output struct image_output output = IMAGE_OUTPUT_INIT;
        auto_lease struct lease lease = LEASE_INIT;
        char name[STORE_IMAGE_NAME_SIZE];
        int made = is_made(store, digest, err);

        if (made != 0)
                return made < 0 ? -1 : 0;
        if (store_image_name(digest, name, err) < 0)
                return -1;
        if (lease_take(&lease, store_dir_fd(store), name, context->report, err) < 0)
                return error_prefix(err, "ENROOT_CACHE_PATH: %s", store_path(store));
        made = is_made(store, digest, err);
        if (made != 0)
                return made < 0 ? -1 : 0;
        if (image_output_open(&output, path_of(store, digest, err), true, err) < 0 ||
            image_build(context, image, &output, err) < 0)
                return -1;
        return image_output_publish(&output, err);
}

int command_run_import(const struct command_context *context, const struct run_arguments *arguments,
                       struct error *err)
{
        auto_free char *uri = uri_of(arguments->image), *reference = NULL;
        auto_remote_image struct remote_image image = REMOTE_IMAGE_INIT;
        auto_store struct store *store = NULL;
        char digest[IMAGE_DIGEST_SIZE];
        bool lasting;

        if (!uri)
                return error_no_memory(err);
        reference = reference_of(arguments, uri, &lasting, err);
        store = reference ? store_open(context->config->cache_path, err) : NULL;
        if (!store || remote_image_open(&image, context, uri, arguments->arch, err) < 0)
                return -1;
        memcpy(digest, source_record(image.source)->digest, sizeof(digest));
        if (*digest == '\0')
                return error_set(err, EINVAL,
                                 "%s has no digest to keep it by: import it to a file, and start "
                                 "that",
                                 arguments->image);
        if (arguments->resolved)
                arguments->resolved(arguments->resolved_context, digest);
        if (make(context, &image, store, err) < 0 ||
            store_set_image(store, reference, digest, err) < 0)
                return -1;
        cache_keep_limits(context);
        return 0;
}
