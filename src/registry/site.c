#include "registry/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "env/env.h"
#include "registry/hub.h"
#include "registry/registry.h"
#include "registry/url.h"
#include "util/dropin.h"
#include "util/io.h"

#define CERTIFICATE_LIMIT (1u << 20)  /* bytes of a file */
#define BUNDLE_LIMIT      (16u << 20) /* bytes of the system's certificate authorities */

/* ---- registries.conf ---- */

static int add_text(void *context, const char *path, const char *text, size_t length,
                    struct error *err)
{
        struct site *site = context;

        if (registries_parse(&site->registries, text, length, path, err) < 0)
                return error_prefix(err, "%s", path);
        return 0;
}

/* Returns 1 when there is such a file, 0 when there is none, or -1 with *err. */
static int add_file(struct site *site, const char *directory, const char *name, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;

        if (strbuf_printf(&path, "%s%s%s", directory, *name ? "/" : "", name) < 0)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path.data, REGISTRIES_FILE_LIMIT, &text, err) < 0)
                return err->code == ENOENT || err->code == ENOTDIR ? 0 : -1;
        return add_text(site, path.data, strbuf_text(&text), text.length, err) < 0 ? -1 : 1;
}

static int add_drop_ins(struct site *site, const char *directory, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        if (strbuf_printf(&path, "%s/registries.conf.d", directory) < 0)
                return error_no_memory(err);
        return dropin_for_each(path.data, ".conf", REGISTRIES_FILE_LIMIT, add_text, site, err);
}

static const char *variable(const struct site *site, const char *name)
{
        const struct strlist *environment = site->options->environment;
        const char *value = environment ? env_get(environment, name) : NULL;

        return value && *value ? value : NULL;
}

/* ~/.config/containers. malloc'd *ret, NULL when there is no home. 0, or -1 with *err. */
static int user_containers(const struct site *site, char **ret, struct error *err)
{
        const char *config = variable(site, "XDG_CONFIG_HOME");
        auto_strbuf struct strbuf path = STRBUF_INIT;

        *ret = NULL;
        if (!config)
                return 0;
        strbuf_printf(&path, "%s/containers", config);
        *ret = strbuf_take(&path);
        return *ret ? 0 : error_no_memory(err);
}

#define SYSTEM_CONTAINERS "/etc/containers"

static int add_containers_files(struct site *site, struct error *err)
{
        const char *only = variable(site, "CONTAINERS_REGISTRIES_CONF");
        auto_free char *user = NULL;
        int rc = 0;

        if (only) {
                rc = add_file(site, only, "", err);
                return rc == 0 ? error_prefix(err, "CONTAINERS_REGISTRIES_CONF") : rc < 0 ? -1 : 0;
        }
        if (user_containers(site, &user, err) < 0)
                return -1;
        if (user)
                rc = add_file(site, user, "registries.conf", err);
        if (rc == 0)
                rc = add_file(site, SYSTEM_CONTAINERS, "registries.conf", err);
        if (rc < 0 || add_drop_ins(site, SYSTEM_CONTAINERS, err) < 0)
                return -1;
        return user ? add_drop_ins(site, user, err) : 0;
}

int site_load(struct site *site, const struct registry_options *options, struct error *err)
{
        const char *const own[] = { options->sysconf_path, options->config_path };

        site->options = options;
        if (!options->config_path)
                return 0;
        if (add_containers_files(site, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
                if (own[i] && (add_file(site, own[i], "registries.conf", err) < 0 ||
                               add_drop_ins(site, own[i], err) < 0))
                        return -1;
        return 0;
}

static void host_free(struct site_host *host)
{
        if (host->ca_fd >= 0)
                (void)close(host->ca_fd);
        free(host->name);
        free(host->certificate);
        free(host->key);
        free(host);
}

void site_release(struct site *site)
{
        while (site->hosts) {
                struct site_host *host = site->hosts;

                site->hosts = host->next;
                host_free(host);
        }
        registries_release(&site->registries);
}

/* ---- certs.d ---- */

struct certificates {
        struct site_host *host;
        struct strbuf authorities; /* PEM */
};

static int take_authority(void *context, const char *path, const char *text, size_t length,
                          struct error *err)
{
        struct certificates *certificates = context;

        (void)path;
        strbuf_append_mem(&certificates->authorities, text, length);
        return strbuf_append_char(&certificates->authorities, '\n') < 0 ? error_no_memory(err) : 0;
}

/* NAME.cert is a client certificate, NAME.key beside it its key. The first one counts. */
static int take_client(void *context, const char *path, const char *text, size_t length,
                       struct error *err)
{
        struct certificates *certificates = context;
        struct site_host *host = certificates->host;

        (void)text;
        (void)length;
        if (host->certificate)
                return 0;
        host->certificate = strdup(path);
        host->key = strdup(path);
        if (!host->certificate || !host->key)
                return error_no_memory(err);
        (void)snprintf(host->key + strlen(path) - strlen(".cert"), strlen(".cert"), ".key");
        if (access(host->key, R_OK) < 0)
                return error_errno(err, "key %s of the client certificate %s", host->key, path);
        return 0;
}

/* Read DIRECTORY/HOST. Returns 1, 0 when there is no such directory, or -1 with *err. */
static int read_directory(const char *directory, const char *name,
                          struct certificates *certificates, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        if (strbuf_printf(&path, "%s/%s", directory, name) < 0)
                return error_no_memory(err);
        if (access(path.data, F_OK) < 0)
                return 0;
        if (dropin_for_each(path.data, ".crt", CERTIFICATE_LIMIT, take_authority, certificates,
                            err) < 0 ||
            dropin_for_each(path.data, ".cert", CERTIFICATE_LIMIT, take_client, certificates, err) <
                    0)
                return -1;
        return 1;
}

/* The first directory that there is for the host counts. Returns 0, or -1 with *err. */
static int read_certificates(const struct site *site, struct certificates *certificates,
                             struct error *err)
{
        const struct registry_options *options = site->options;
        const char *host = certificates->host->name;
        const char *name = hub_is(host) ? HUB_NAME : host;
        auto_free char *user = NULL;
        int rc = 0;

        /* The name may come from a redirect. */
        if (!options->config_path || name[0] == '.')
                return 0;
        if (user_containers(site, &user, err) < 0)
                return -1;

        const char *const parents[] = { options->config_path, user, options->sysconf_path,
                                        SYSTEM_CONTAINERS, "/etc/docker" };

        for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(parents); i++) {
                auto_strbuf struct strbuf directory = STRBUF_INIT;

                if (!parents[i])
                        continue;
                if (strbuf_printf(&directory, "%s/certs.d", parents[i]) < 0)
                        return error_no_memory(err);
                rc = read_directory(directory.data, name, certificates, err);
        }
        return rc < 0 ? -1 : 0;
}

/* Append the authorities that count everywhere: those of a registry of its own come on top. */
static int append_bundle(const struct site *site, struct strbuf *authorities, struct error *err)
{
        const char *const places[] = {
                variable(site, "SSL_CERT_FILE"),
                variable(site, "CURL_CA_BUNDLE"),
                "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Alpine */
                "/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat */
                "/etc/ssl/ca-bundle.pem",             /* SUSE */
                "/etc/ssl/cert.pem",
        };

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                struct error failure = ERROR_INIT;

                if (!places[i])
                        continue;
                if (io_read_file(AT_FDCWD, places[i], BUNDLE_LIMIT, authorities, &failure) == 0)
                        return 0;
                if (failure.code == ENOMEM) {
                        *err = failure;
                        return -1;
                }
        }
        return 0;
}

/* libcurl takes one file of authorities: put them together in memory. */
static int make_bundle(const struct site *site, struct certificates *certificates,
                       struct error *err)
{
        struct site_host *host = certificates->host;
        const struct strbuf *authorities = &certificates->authorities;

        if (append_bundle(site, &certificates->authorities, err) < 0)
                return -1;
        host->ca_fd = memfd_create("certificates", MFD_CLOEXEC);
        if (host->ca_fd < 0 ||
            io_write_full(host->ca_fd, authorities->data, authorities->length) < 0)
                return error_errno(err, "certificates of %s", host->name);
        (void)snprintf(host->ca_path, sizeof(host->ca_path), "/proc/self/fd/%d", host->ca_fd);
        host->trust.ca_file = host->ca_path;
        return 0;
}

static int fill_host(const struct site *site, struct site_host *host, struct error *err)
{
        struct certificates certificates = { .host = host };
        int rc = read_certificates(site, &certificates, err);

        if (rc == 0 && certificates.authorities.length > 0)
                rc = make_bundle(site, &certificates, err);
        strbuf_release(&certificates.authorities);
        host->trust.certificate = host->certificate;
        host->trust.key = host->key;
        host->trust.any_certificate = host->insecure;
        host->trust.allow_http = host->insecure || site->options->allow_http;
        return rc;
}

const struct http_trust *site_trust(struct site *site, const char *url, bool insecure,
                                    struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;
        struct site_host *host;

        if (url_authority(url, &name) < 0) {
                error_no_memory(err);
                return NULL;
        }
        insecure = insecure || registries_host_insecure(&site->registries, strbuf_text(&name));
        for (host = site->hosts; host; host = host->next)
                if (strcasecmp(host->name, strbuf_text(&name)) == 0 && host->insecure == insecure)
                        return &host->trust;

        host = calloc(1, sizeof(*host));
        if (!host) {
                error_no_memory(err);
                return NULL;
        }
        *host = (struct site_host){ .next = site->hosts, .insecure = insecure, .ca_fd = -1 };
        host->name = strbuf_take(&name);
        if (!host->name)
                error_no_memory(err);
        if (!host->name || fill_host(site, host, err) < 0) {
                host_free(host);
                return NULL;
        }
        site->hosts = host;
        return &host->trust;
}
