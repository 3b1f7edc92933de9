#include "registry/endpoint.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "registry/hub.h"
#include "registry/session.h"
#include "registry/url.h"

static int add_base(struct registry *registry, struct endpoint *template, const char *scheme,
                    struct error *err)
{
        struct endpoint *endpoints =
                reallocarray(registry->endpoints, registry->endpoint_count + 1, sizeof(*endpoints));
        auto_strbuf struct strbuf base = STRBUF_INIT;
        struct endpoint *endpoint;

        if (!endpoints)
                return error_no_memory(err);
        registry->endpoints = endpoints;
        endpoint = &endpoints[registry->endpoint_count++];
        *endpoint = *template;
        strbuf_printf(&base, "%s://%s/v2/%s/", scheme, template->host, template->repository);
        endpoint->host = strdup(template->host);
        endpoint->repository = strdup(template->repository);
        endpoint->base = strbuf_take(&base);
        return endpoint->host && endpoint->repository && endpoint->base ? 0 : error_no_memory(err);
}

/* name is HOST/REPOSITORY as files write it, and is changed. */
static int add(struct registry *registry, char *name, bool insecure, struct error *err)
{
        char *slash = strchr(name, '/');
        struct endpoint endpoint = { .insecure = insecure };

        if (!slash)
                return error_set(err, EINVAL, "registries.conf leaves nothing of the name %s",
                                 registry->ref->repository);
        *slash = '\0';
        endpoint.host = hub_is(name) ? (char *)HUB_HOST : name;
        endpoint.repository = slash + 1;
        endpoint.is_mirror = strcasecmp(endpoint.host, registry->ref->registry) != 0;
        if (!insecure)
                return add_base(registry, &endpoint,
                                registry->options->allow_http ? "http" : "https", err);
        if (add_base(registry, &endpoint, "https", err) < 0)
                return -1;
        endpoint.plain_retry = true;
        return add_base(registry, &endpoint, "http", err);
}

static int add_location(struct registry *registry, const struct registries_entry *entry,
                        const char *location, const char *name, bool insecure, struct error *err)
{
        auto_free char *rewritten = registries_rewrite(entry, location, name);

        return rewritten ? add(registry, rewritten, insecure, err) : error_no_memory(err);
}

static bool is_usable(const struct registries_mirror *mirror, const struct image_reference *ref)
{
        switch (mirror->use) {
        case REGISTRIES_USE_ALWAYS:
                return true;
        case REGISTRIES_USE_DIGEST:
                return ref->digest != NULL;
        case REGISTRIES_USE_TAG:
                return ref->digest == NULL;
        }
        return false;
}

int endpoints_init(struct registry *registry, struct error *err)
{
        const struct image_reference *ref = registry->ref;
        const struct registries_entry *entry;
        auto_strbuf struct strbuf name = STRBUF_INIT;

        if (image_reference_name(ref, &name) < 0)
                return error_no_memory(err);
        entry = registries_find(&registry->site.registries, name.data);
        if (!entry)
                return add(registry, name.data, false, err);
        if (entry->blocked)
                return error_set(err, EACCES, "%s: blocked by the entry \"%s\" of %s", name.data,
                                 entry->prefix, entry->file);
        for (size_t i = 0; i < entry->mirror_count; i++) {
                const struct registries_mirror *mirror = &entry->mirrors[i];

                if (is_usable(mirror, ref) && add_location(registry, entry, mirror->location,
                                                           name.data, mirror->insecure, err) < 0)
                        return -1;
        }
        return add_location(registry, entry, entry->location, name.data, entry->insecure, err);
}

void endpoints_release(struct registry *registry)
{
        for (size_t i = 0; i < registry->endpoint_count; i++) {
                struct endpoint *endpoint = &registry->endpoints[i];

                auth_release(&endpoint->auth);
                free(endpoint->host);
                free(endpoint->repository);
                free(endpoint->base);
        }
        free(registry->endpoints);
}

const struct http_trust *endpoint_trust(struct registry *registry, const struct endpoint *endpoint,
                                        const char *url, struct error *err)
{
        auto_strbuf struct strbuf host = STRBUF_INIT;

        if (url_authority(url, &host) < 0) {
                error_no_memory(err);
                return NULL;
        }
        return site_trust(&registry->site, url,
                          endpoint->insecure && strcasecmp(host.data, endpoint->host) == 0, err);
}
