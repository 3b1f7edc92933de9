/*
 * registry/: the client side of the OCI distribution specification 1.1 (and the
 * Docker registry HTTP API v2). The only user of libcurl (http.c), which is loaded
 * on first use. Knows nothing about where blobs are kept.
 */
#pragma once

#include "image/image.h"
#include "util/report.h"

struct registry_options {
        bool allow_http;              /* plain HTTP instead of HTTPS (ENROOT_ALLOW_HTTP) */
        long connect_timeout;         /* seconds */
        long transfer_timeout;        /* seconds for one request, 0: no limit */
        unsigned int retries;         /* of a failed request; see retry.h for what 0 means */
        unsigned int max_connections; /* transfers at once */
        const char *credentials_file; /* netrc syntax; need not exist */

        /*
         * Directories with registries.conf, certs.d and policy.json; files need not exist.
         * config_path NULL: no such files are read, those of other programs included.
         */
        const char *sysconf_path, *config_path;
        const struct strlist *environment; /* proxies, credentials, XDG directories; "KEY=VALUE" */
        const char *unix_socket; /* for registry_download: path of a socket; NULL: TCP */
};

struct registry; /* a session with one repository of one registry */

/*
 * Whether the policies let images of another transport through ("oci", "docker-archive" …):
 * path is absolute, or NULL for transports without files. Nothing vouches for such an
 * image, so a rule that asks for signatures refuses it. Returns 0, or -1 with *err (EACCES).
 */
int registry_check_transport(const struct registry_options *options, const char *transport,
                             const char *path, struct error *err);

/*
 * Whether the policies let an image of a registry through without anybody looking at it:
 * 1; 0 when they ask for signatures, which registry_resolve checks; -1 with *err (EACCES
 * when one rejects it).
 */
int registry_check_image(const struct registry_options *options, const struct image_reference *ref,
                         struct error *err);

/*
 * Prepare a session; nothing is sent yet. EACCES when a policy rejects the image. options, what it
 * refers to, and report must outlive it. NULL with *err on failure.
 */
struct registry *registry_open(const struct image_reference *ref,
                               const struct registry_options *options, struct report *report,
                               struct error *err);
void registry_close(struct registry *registry);

static inline void cleanup_registry(struct registry **registry)
{
        if (*registry)
                registry_close(*registry);
}
#define auto_registry __attribute__((cleanup(cleanup_registry)))

/*
 * Find the manifest for the platform: permission, authentication, index,
 * manifest, each verified against its digest (the reference's, or the index's).
 *
 * ret_digest  digest of the chosen manifest
 *
 * Errors: ENOENT (no such image, no such platform), EACCES (credentials refused or
 * missing; says which were used and how to give others), EKEYREJECTED (the policy asks
 * for signatures that the image lacks), EBADMSG (digest),
 * EPROTONOSUPPORT (schema 1), ETIMEDOUT, ECONNREFUSED …
 */
int registry_resolve(struct registry *registry, const struct image_platform *platform,
                     struct image_manifest *ret, char ret_digest[IMAGE_DIGEST_SIZE],
                     struct error *err);

/* One blob to be fetched by registry_fetch. The callbacks run in the calling thread. */
struct registry_blob {
        const struct image_descriptor *descriptor;
        void *context;

        /*
         * Called before every request: the first one, one that a redirect or a
         * challenge made necessary, one that repeats a failed try. *ret_offset is
         * where to go on (bytes that the sink already has). Returns 0; 1 to put the
         * blob off (asked again in 100 ms, while other blobs go on); 2 when it is no
         * longer needed, and has ended with that; -1 with *err.
         */
        int (*begin)(struct registry_blob *blob, uint64_t *ret_offset, struct error *err);
        int (*data)(struct registry_blob *blob, const void *data, size_t size, struct error *err);

        /*
         * Called once, when all bytes of the descriptor's size have come, or with
         * failure != NULL. A failure of its own ends the others with it.
         */
        int (*end)(struct registry_blob *blob, const struct error *failure, struct error *err);
};

/*
 * Fetch blobs, several at once over shared connections, in the order given as far
 * as starting them goes. Handles redirects (credentials never go to another host),
 * token renewal in the middle of a pull, retries with backoff and Retry-After, and
 * resumes a broken transfer where it stopped when the server allows it.
 *
 * Digest and size are the sink's business. Returns 0 once all blobs ended well;
 * -1 with the first *err, after all others have been ended with it. Stops with
 * EINTR when util/cancel.h asks to.
 */
int registry_fetch(struct registry *registry, struct registry_blob *blobs, size_t count,
                   struct error *err);

/*
 * Make a running registry_fetch, and every later one, end with EINTR soon. May be
 * called from any thread.
 */
void registry_stop(struct registry *registry);

/* ---- a file that is in no registry ---- */

struct registry_download {
        const char *url; /* http:// or https:// */
        void *context;

        /* Called once before data: the bytes to come, UINT64_MAX when the server does not tell. */
        int (*size)(struct registry_download *download, uint64_t size, struct error *err);
        int (*data)(struct registry_download *download, const void *data, size_t size,
                    struct error *err);
};

/*
 * Fetch it, with the retries, resumption and redirects of registry_fetch, but without
 * credentials. A file that changes on the server meanwhile is an error (ESTALE). With
 * options->unix_socket, a service there is asked, and a broken answer not asked for again.
 * Returns 0 when all has come; -1 with *err: EINVAL for what is no URL, EPROTO without
 * HTTPS unless that is allowed, ENOENT …
 */
int registry_download(struct registry_download *download, const struct registry_options *options,
                      struct report *report, struct error *err);
