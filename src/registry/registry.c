#include "registry/registry.h"

#include <errno.h>
#include <stdio.h>

#include "registry/session.h"
#include "registry/transfer.h"

struct registry *registry_open(const struct image_reference *ref,
                               const struct registry_options *options, struct report *report,
                               struct error *err)
{
        auto_registry struct registry *registry = calloc(1, sizeof(*registry));
        unsigned int connections = options->max_connections;

        if (!registry) {
                error_no_memory(err);
                return NULL;
        }
        if (connections == 0 || connections > REGISTRY_CONNECTION_LIMIT)
                connections = REGISTRY_CONNECTION_LIMIT;
        registry->ref = ref;
        registry->options = options;
        registry->report = report;
        registry->http_options = (struct http_options){
                .connect_timeout = options->connect_timeout,
                .transfer_timeout = options->transfer_timeout,
                /* Daemons think for as long as it takes before they answer. */
                .stall_timeout = options->unix_socket ? 0 : REGISTRY_STALL_TIMEOUT,
                .max_connections = connections,
                .environment = options->environment,
                .unix_socket = options->unix_socket,
        };
        if (trust_load(&registry->trust, ref, options, err) < 0 ||
            site_load(&registry->site, options, err) < 0 || endpoints_init(registry, err) < 0)
                return NULL;
        registry->current = registry->endpoints;
        registry->http = http_client_new(&registry->http_options, err);
        return registry->http ? TAKE_PTR(registry) : NULL;
}

void registry_close(struct registry *registry)
{
        if (registry->http)
                http_client_free(registry->http);
        endpoints_release(registry);
        site_release(&registry->site);
        trust_release(&registry->trust);
        free(registry);
}

void registry_stop(struct registry *registry)
{
        registry->stop = true;
        http_wake(registry->http);
}

#define BLOB_PATH_SIZE (sizeof("blobs/") + IMAGE_DIGEST_SIZE)

/* path is filled for the transfer, which borrows it. */
static int prepare(const struct registry *registry, struct transfer *transfer,
                   char path[BLOB_PATH_SIZE], struct registry_blob *blob, struct error *err)
{
        if (!image_digest_valid(blob->descriptor->digest))
                return error_set(err, EINVAL, "a blob without a valid digest");
        (void)snprintf(path, BLOB_PATH_SIZE, "blobs/%s", blob->descriptor->digest);
        *transfer = (struct transfer){
                .path = path,
                .endpoint = registry->current,
                .size = blob->descriptor->size,
                .sink = blob,
        };
        return 0;
}

static void end_all(struct registry_blob *blobs, size_t count, const struct error *failure)
{
        struct error ignored = ERROR_INIT;

        for (size_t i = 0; i < count; i++)
                (void)blobs[i].end(&blobs[i], failure, &ignored);
}

int registry_fetch(struct registry *registry, struct registry_blob *blobs, size_t count,
                   struct error *err)
{
        auto_free struct transfer *transfers = calloc(count + 1, sizeof(*transfers));
        auto_free char(*paths)[BLOB_PATH_SIZE] = calloc(count + 1, sizeof(*paths));
        int rc = transfers && paths ? 0 : error_no_memory(err);

        for (size_t i = 0; rc == 0 && i < count; i++)
                rc = prepare(registry, &transfers[i], paths[i], &blobs[i], err);
        if (rc < 0) {
                end_all(blobs, count, err);
                return -1;
        }
        rc = transfer_run(registry, transfers, count, err);
        for (size_t i = 0; i < count; i++)
                transfer_release(registry, &transfers[i]);
        if (rc < 0)
                error_prefix(err, "%s/%s", registry->ref->registry, registry->ref->repository);
        return rc;
}
