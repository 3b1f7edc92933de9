/*
 * Which file describes a device: the one of the last directory that has it. Two files of
 * one directory that describe the same device make it unusable, unless a later directory
 * describes it, too. A file that cannot be read matters only to who asks for a device
 * that is not found then.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "gpu/cdi.h"
#include "util/dropin.h"
#include "util/io.h"
#include "util/path.h"

void cdi_registry_release(struct cdi_registry *registry)
{
        for (size_t i = 0; i < registry->count; i++)
                cdi_spec_release(&registry->specs[i]);
        free(registry->specs);
        strlist_release(&registry->failures);
        *registry = (struct cdi_registry)CDI_REGISTRY_INIT;
}

/* ---- reading ---- */

int cdi_registry_add(struct cdi_registry *registry, struct cdi_spec *spec)
{
        if (registry->count == registry->capacity) {
                size_t capacity = registry->capacity ? registry->capacity * 2 : 4;
                struct cdi_spec *specs = reallocarray(registry->specs, capacity, sizeof(*specs));

                if (!specs)
                        return -1;
                registry->specs = specs;
                registry->capacity = capacity;
        }
        registry->specs[registry->count++] = TAKE(*spec, (struct cdi_spec){ .path = NULL });
        return 0;
}

static int parse_file(struct cdi_spec *spec, const char *path, enum cdi_format format,
                      struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (io_read_file(AT_FDCWD, path, CDI_FILE_LIMIT, &text, err) < 0)
                return -1;
        if (cdi_spec_parse(strbuf_text(&text), text.length, format, spec, err) < 0)
                return error_prefix(err, "%s", path);
        return 0;
}

static int read_file(struct cdi_registry *registry, unsigned int priority, const char *path,
                     enum cdi_format format, struct error *err)
{
        auto_cdi_spec struct cdi_spec spec = { .path = NULL };
        struct error failure = ERROR_INIT;

        if (parse_file(&spec, path, format, &failure) < 0)
                return strlist_append(&registry->failures, failure.message) < 0
                               ? error_no_memory(err)
                               : 0;
        spec.priority = priority;
        spec.path = strdup(path);
        if (!spec.path || cdi_registry_add(registry, &spec) < 0)
                return error_no_memory(err);
        return 0;
}

static int read_files(struct cdi_registry *registry, unsigned int priority, const char *directory,
                      const char *suffix, enum cdi_format format, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        struct error failure = ERROR_INIT;

        if (dropin_list(directory, suffix, &names, &failure) < 0 &&
            strlist_append(&registry->failures, failure.message) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < names.count; i++) {
                auto_free char *path = path_join(directory, names.items[i]);

                if (!path)
                        return error_no_memory(err);
                if (read_file(registry, priority, path, format, err) < 0)
                        return -1;
        }
        return 0;
}

int cdi_registry_read(struct cdi_registry *registry, const char *directory, unsigned int priority,
                      struct error *err)
{
        if (read_files(registry, priority, directory, ".json", CDI_JSON, err) < 0)
                return -1;
        return read_files(registry, priority, directory, ".yaml", CDI_YAML, err);
}

/* ---- finding ---- */

static int compare_name(const void *name, const void *device)
{
        return strcmp(name, ((const struct cdi_device *)device)->name);
}

static const struct cdi_device *find_device(const struct cdi_spec *spec, const char *kind,
                                            size_t kind_length, const char *name)
{
        if (strlen(spec->kind) != kind_length || memcmp(spec->kind, kind, kind_length) != 0)
                return NULL;
        return bsearch(name, spec->devices, spec->device_count, sizeof(*spec->devices),
                       compare_name);
}

bool cdi_registry_find(const struct cdi_registry *registry, const char *name, struct cdi_match *ret)
{
        struct cdi_match match = { .spec = NULL };
        const char *device_name;
        size_t kind_length;

        if (!cdi_name_split(name, &kind_length, &device_name))
                return false;
        for (size_t i = 0; i < registry->count; i++) {
                const struct cdi_spec *spec = &registry->specs[i];
                const struct cdi_device *device = find_device(spec, name, kind_length, device_name);

                if (!device || (match.spec && spec->priority < match.spec->priority))
                        continue;
                if (match.spec && spec->priority == match.spec->priority)
                        match.conflict = spec;
                else
                        match = (struct cdi_match){ .spec = spec, .device = device };
        }
        *ret = match;
        return match.spec != NULL;
}

/* Say what is wrong with the names that are, and with files that might have described them. */
static int unresolvable(const struct cdi_registry *registry, const struct strlist *names,
                        struct error *err)
{
        const char *separator = "unresolvable CDI devices ";
        struct cdi_match match;

        error_set(err, ENODEV, "%s", "");
        for (size_t i = 0; i < names->count; i++) {
                if (cdi_registry_find(registry, names->items[i], &match) && !match.conflict)
                        continue;
                error_append(err, "%s%s", separator, names->items[i]);
                if (match.conflict)
                        error_append(err, " (both %s and %s describe it: remove one)",
                                     match.spec->path, match.conflict->path);
                separator = ", ";
        }
        for (size_t i = 0; i < registry->failures.count; i++)
                error_append(err, "; %s", registry->failures.items[i]);
        return error_append(err, " (\"enroot devices list\" shows what there is)");
}

int cdi_registry_resolve(const struct cdi_registry *registry, const struct strlist *names,
                         struct cdi_match **ret, struct error *err)
{
        auto_free struct cdi_match *matches = calloc(names->count + 1, sizeof(*matches));

        if (!matches)
                return error_no_memory(err);
        for (size_t i = 0; i < names->count; i++)
                if (!cdi_registry_find(registry, names->items[i], &matches[i]) ||
                    matches[i].conflict)
                        return unresolvable(registry, names, err);
        *ret = TAKE_PTR(matches);
        return 0;
}
