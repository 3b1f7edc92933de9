#include "registry/registries.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "registry/toml.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

static void entry_release(struct registries_entry *entry)
{
        for (size_t i = 0; i < entry->mirror_count; i++)
                free(entry->mirrors[i].location);
        free(entry->mirrors);
        free(entry->prefix);
        free(entry->location);
        free(entry->file);
        *entry = (struct registries_entry){ .prefix = NULL };
}

void registries_release(struct registries *registries)
{
        for (size_t i = 0; i < registries->count; i++)
                entry_release(&registries->entries[i]);
        free(registries->entries);
        *registries = (struct registries){ .entries = NULL };
}

/* ---- parsing ---- */

/* A file that is being read: the tables that are open, and what was collected so far. */
struct parser {
        struct registries registries;
        enum { IN_ROOT, IN_OTHER, IN_REGISTRY, IN_MIRROR } table;
        bool by_digest_only; /* mirror-by-digest-only of the open registry */
};

/* host[:port][/path]: addresses are made of it. */
static bool is_location(const char *text)
{
        size_t length = strlen(text);

        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr(".-_:/[]", *p))
                        return false;
        return length > 0 && isalnum((unsigned char)text[length - 1]) && text[0] != '/' &&
               !strstr(text, "//") && !strstr(text, "..");
}

/* A prefix may stand for all names below a domain, and may not name a tag. */
static bool is_prefix(const char *text)
{
        const char *path = strchr(text, '/');

        if (strncmp(text, "*.", 2) == 0)
                return is_location(text + 2) && !path;
        return is_location(text) && !(path && strchr(path, ':'));
}

static int set_location(char **slot, const struct toml_item *item, bool (*valid)(const char *text),
                        struct error *err)
{
        if (item->kind != TOML_STRING || (*item->text && !valid(item->text)))
                return error_set(err, EINVAL, "line %u: %s must be \"HOST[:PORT][/PATH]\"",
                                 item->line, item->name);
        if (!*item->text)
                return 0;
        free(*slot);
        *slot = strdup(item->text);
        return *slot ? 0 : error_no_memory(err);
}

static int set_flag(bool *slot, const struct toml_item *item, struct error *err)
{
        if (item->kind != TOML_BOOL)
                return error_set(err, EINVAL, "line %u: %s must be true or false", item->line,
                                 item->name);
        *slot = item->flag;
        return 0;
}

static int set_use(enum registries_use *slot, const struct toml_item *item, struct error *err)
{
        static const struct {
                const char *word;
                enum registries_use use;
        } words[] = {
                { "all", REGISTRIES_USE_ALWAYS },
                { "digest-only", REGISTRIES_USE_DIGEST },
                { "tag-only", REGISTRIES_USE_TAG },
        };

        for (size_t i = 0; item->kind == TOML_STRING && i < ARRAY_SIZE(words); i++) {
                if (strcmp(item->text, words[i].word) == 0) {
                        *slot = words[i].use;
                        return 0;
                }
        }
        return error_set(err, EINVAL,
                         "line %u: %s must be \"all\", \"digest-only\" or \"tag-only\"", item->line,
                         item->name);
}

static int set_registry_key(struct parser *parser, const struct toml_item *item, struct error *err)
{
        struct registries_entry *entry = &parser->registries.entries[parser->registries.count - 1];

        if (strcmp(item->name, "prefix") == 0)
                return set_location(&entry->prefix, item, is_prefix, err);
        if (strcmp(item->name, "location") == 0)
                return set_location(&entry->location, item, is_location, err);
        if (strcmp(item->name, "insecure") == 0)
                return set_flag(&entry->insecure, item, err);
        if (strcmp(item->name, "blocked") == 0)
                return set_flag(&entry->blocked, item, err);
        if (strcmp(item->name, "mirror-by-digest-only") == 0)
                return set_flag(&parser->by_digest_only, item, err);
        if (strcmp(item->name, "mirror") == 0)
                return error_set(err, EINVAL,
                                 "line %u: mirrors must be written as "
                                 "[[registry.mirror]]",
                                 item->line);
        return 0;
}

static int set_mirror_key(struct parser *parser, const struct toml_item *item, struct error *err)
{
        struct registries_entry *entry = &parser->registries.entries[parser->registries.count - 1];
        struct registries_mirror *mirror = &entry->mirrors[entry->mirror_count - 1];

        if (strcmp(item->name, "location") == 0)
                return set_location(&mirror->location, item, is_location, err);
        if (strcmp(item->name, "insecure") == 0)
                return set_flag(&mirror->insecure, item, err);
        if (strcmp(item->name, "pull-from-mirror") == 0)
                return set_use(&mirror->use, item, err);
        return 0;
}

/* What can be said of an entry only when all its keys are known. */
static int close_registry(struct parser *parser, struct error *err)
{
        struct registries *registries = &parser->registries;
        struct registries_entry *entry =
                registries->count > 0 ? &registries->entries[registries->count - 1] : NULL;

        if (!entry)
                return 0;
        if (!entry->prefix && !entry->location)
                return error_set(err, EINVAL, "a [[registry]] with neither prefix nor location");
        if (!entry->prefix) {
                if (!is_prefix(entry->location))
                        return error_set(err, EINVAL, "location \"%.200s\" cannot be a prefix",
                                         entry->location);
                entry->prefix = TAKE_PTR(entry->location);
        }
        for (size_t i = 0; i < entry->mirror_count; i++) {
                if (!entry->mirrors[i].location)
                        return error_set(err, EINVAL,
                                         "registry \"%.200s\": a mirror without a "
                                         "location",
                                         entry->prefix);
                if (parser->by_digest_only)
                        entry->mirrors[i].use = REGISTRIES_USE_DIGEST;
        }
        parser->by_digest_only = false;
        return 0;
}

static int open_registry(struct parser *parser, const char *file, struct error *err)
{
        struct registries *registries = &parser->registries;
        struct registries_entry *entries;

        if (registries->count == REGISTRIES_ENTRY_LIMIT)
                return error_set(err, E2BIG, "more than %u registries", REGISTRIES_ENTRY_LIMIT);
        entries = reallocarray(registries->entries, registries->count + 1, sizeof(*entries));
        if (!entries)
                return error_no_memory(err);
        registries->entries = entries;
        entries[registries->count] = (struct registries_entry){ .file = strdup(file) };
        return entries[registries->count++].file ? 0 : error_no_memory(err);
}

static int open_mirror(struct parser *parser, const struct toml_item *item, struct error *err)
{
        struct registries *registries = &parser->registries;
        struct registries_entry *entry;
        struct registries_mirror *mirrors;

        if (registries->count == 0)
                return error_set(err, EINVAL, "line %u: a mirror before any [[registry]]",
                                 item->line);
        entry = &registries->entries[registries->count - 1];
        if (entry->mirror_count == REGISTRIES_MIRROR_LIMIT)
                return error_set(err, E2BIG, "line %u: more than %u mirrors", item->line,
                                 REGISTRIES_MIRROR_LIMIT);
        mirrors = reallocarray(entry->mirrors, entry->mirror_count + 1, sizeof(*mirrors));
        if (!mirrors)
                return error_no_memory(err);
        entry->mirrors = mirrors;
        mirrors[entry->mirror_count++] = (struct registries_mirror){ .location = NULL };
        return 0;
}

static int open_table(struct parser *parser, const struct toml_item *item, const char *file,
                      struct error *err)
{
        bool is_array = item->kind == TOML_ARRAY_TABLE;

        if (strcmp(item->name, "registry") == 0 && is_array) {
                parser->table = IN_REGISTRY;
                return close_registry(parser, err) < 0 ? -1 : open_registry(parser, file, err);
        }
        if (strcmp(item->name, "registry.mirror") == 0 && is_array) {
                parser->table = IN_MIRROR;
                return open_mirror(parser, item, err);
        }
        if (strncmp(item->name, "registries.", 11) == 0)
                return error_set(err, EINVAL,
                                 "line %u: version 1 of the format; write [[registry]] tables",
                                 item->line);
        if (strncmp(item->name, "registry", 8) == 0)
                return error_set(err, EINVAL,
                                 "line %u: [[registry]] and [[registry.mirror]] are "
                                 "written with two brackets",
                                 item->line);
        parser->table = IN_OTHER;
        return 0;
}

static int take_item(struct parser *parser, const struct toml_item *item, const char *file,
                     struct error *err)
{
        if (item->kind == TOML_TABLE || item->kind == TOML_ARRAY_TABLE)
                return open_table(parser, item, file, err);
        switch (parser->table) {
        case IN_REGISTRY:
                return set_registry_key(parser, item, err);
        case IN_MIRROR:
                return set_mirror_key(parser, item, err);
        case IN_OTHER:
                return 0;
        case IN_ROOT:
                if (strcmp(item->name, "registry") == 0)
                        return error_set(err, EINVAL,
                                         "line %u: registries must be written as "
                                         "[[registry]]",
                                         item->line);
                return 0;
        }
        return 0;
}

/* Move an entry over; it replaces one of the same prefix. */
static int merge(struct registries *registries, struct registries_entry *entry, struct error *err)
{
        struct registries_entry *entries;

        for (size_t i = 0; i < registries->count; i++) {
                if (strcasecmp(registries->entries[i].prefix, entry->prefix) == 0) {
                        entry_release(&registries->entries[i]);
                        registries->entries[i] =
                                TAKE(*entry, (struct registries_entry){ .prefix = NULL });
                        return 0;
                }
        }
        entries = reallocarray(registries->entries, registries->count + 1, sizeof(*entries));
        if (!entries)
                return error_no_memory(err);
        registries->entries = entries;
        entries[registries->count++] = TAKE(*entry, (struct registries_entry){ .prefix = NULL });
        return 0;
}

static void parser_release(struct parser *parser)
{
        registries_release(&parser->registries);
}

int registries_parse(struct registries *registries, const char *text, size_t length,
                     const char *file, struct error *err)
{
        auto_cleanup(parser_release) struct parser parser = { .table = IN_ROOT };
        struct toml toml = { .at = text, .line = 1 };

        if (strlen(text) != length)
                return error_set(err, EINVAL, "a NUL byte in it");
        for (;;) {
                auto_toml_item struct toml_item item = TOML_ITEM_INIT;
                int more = toml_next(&toml, &item, err);

                if (more < 0 || (more > 0 && take_item(&parser, &item, file, err) < 0))
                        return -1;
                if (more == 0)
                        break;
        }
        if (close_registry(&parser, err) < 0)
                return -1;
        for (size_t i = 0; i < parser.registries.count; i++)
                if (merge(registries, &parser.registries.entries[i], err) < 0)
                        return -1;
        return 0;
}

/* ---- looking up ---- */

/* How much of name a prefix covers; 0 when it does not match. */
static size_t match(const char *prefix, const char *name)
{
        size_t length = strlen(prefix), host_length = strcspn(name, "/");

        if (prefix[0] == '*') {
                const char *domain = prefix + 1;

                length--;
                return host_length > length &&
                                       strncasecmp(name + host_length - length, domain, length) == 0
                               ? host_length
                               : 0;
        }
        return strncasecmp(name, prefix, length) == 0 &&
                               (name[length] == '\0' || name[length] == '/')
                       ? length
                       : 0;
}

const struct registries_entry *registries_find(const struct registries *registries,
                                               const char *name)
{
        const struct registries_entry *best = NULL;

        for (size_t i = 0; i < registries->count; i++) {
                const struct registries_entry *entry = &registries->entries[i];

                if (match(entry->prefix, name) > 0 &&
                    (!best || strlen(entry->prefix) > strlen(best->prefix)))
                        best = entry;
        }
        return best;
}

char *registries_rewrite(const struct registries_entry *entry, const char *location,
                         const char *name)
{
        auto_strbuf struct strbuf result = STRBUF_INIT;

        strbuf_append(&result, location ? location : "");
        strbuf_append(&result, location ? name + match(entry->prefix, name) : name);
        return strbuf_take(&result);
}

bool registries_host_insecure(const struct registries *registries, const char *host)
{
        const struct registries_entry *entry = registries_find(registries, host);

        return entry && entry->insecure;
}
