#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config/expand.h"
#include "config/file.h"
#include "env/env.h"
#include "util/dropin.h"
#include "util/io.h"
#include "util/name_service.h"
#include "util/path.h"

enum kind {
        TEXT,
        PATH, /* made absolute */
        BOOL,
        NUMBER,  /* unsigned int */
        SECONDS, /* long */
};

#define MEMBER(name) offsetof(struct config, name)

/*
 * The known variables. A default is a value as in a file; limit is the greatest value
 * of a number.
 */
static const struct variable {
        const char *name;
        enum kind kind;
        size_t member;
        const char *fallback;
        unsigned int limit;
} variables[] = {
        { "ENROOT_ALLOW_HTTP", BOOL, MEMBER(allow_http), "no" },
        { "ENROOT_ALLOW_SUPERUSER", BOOL, MEMBER(allow_superuser), "no" },
        { "ENROOT_BUNDLE_ALL", BOOL, MEMBER(bundle_all), "no" },
        { "ENROOT_BUNDLE_CHECKSUM", BOOL, MEMBER(bundle_checksum), "no" },
        { "ENROOT_CACHE_MAX_AGE", TEXT, MEMBER(cache_max_age), "" },
        { "ENROOT_CACHE_MAX_SIZE", TEXT, MEMBER(cache_max_size), "" },
        { "ENROOT_CACHE_PATH", PATH, MEMBER(cache_path), "${XDG_CACHE_HOME}/enroot" },
        { "ENROOT_CDI_HOOKS", BOOL, MEMBER(cdi_hooks), "no" },
        { "ENROOT_CONFIG_PATH", PATH, MEMBER(config_path), "${XDG_CONFIG_HOME}/enroot" },
        { "ENROOT_CONNECT_TIMEOUT", SECONDS, MEMBER(connect_timeout), "30", CONFIG_SECONDS_LIMIT },
        { "ENROOT_DATA_PATH", PATH, MEMBER(data_path), "${XDG_DATA_HOME}/enroot" },
        { "ENROOT_DEVICES", TEXT, MEMBER(devices), "" },
        { "ENROOT_FORCE_OVERRIDE", BOOL, MEMBER(force_override), "no" },
        { "ENROOT_GZIP_PROGRAM", TEXT, MEMBER(gzip_program), "gzip" },
        { "ENROOT_LIBRARY_PATH", PATH, MEMBER(library_path), ENROOT_LIBDIR },
        { "ENROOT_LOGIN_SHELL", BOOL, MEMBER(login_shell), "yes" },
        { "ENROOT_MAX_CONNECTIONS", NUMBER, MEMBER(max_connections), "10",
          CONFIG_CONNECTIONS_LIMIT },
        { "ENROOT_MAX_PROCESSORS", NUMBER, MEMBER(max_processors), "$(nproc)",
          CONFIG_PROCESSORS_LIMIT },
        { "ENROOT_MIG_CONFIG", BOOL, MEMBER(mig_config), "no" },
        { "ENROOT_MOUNT_HOME", BOOL, MEMBER(mount_home), "no" },
        { "ENROOT_NATIVE_OVERLAYFS", BOOL, MEMBER(native_overlayfs), "yes" },
        { "ENROOT_OVERLAY", TEXT, MEMBER(overlay), "tmpfs" },
        { "ENROOT_REMAP_ROOT", BOOL, MEMBER(remap_root), "no" },
        { "ENROOT_RESTRICT_DEV", BOOL, MEMBER(restrict_dev), "no" },
        { "ENROOT_ROOTFS_WRITABLE", BOOL, MEMBER(rootfs_writable), "no" },
        { "ENROOT_RUNTIME_PATH", PATH, MEMBER(runtime_path), "${XDG_RUNTIME_DIR}/enroot" },
        { "ENROOT_SHARP", BOOL, MEMBER(sharp), "no" },
        { "ENROOT_SITE_CACHE_PATH", TEXT, MEMBER(site_cache_path), "" },
        { "ENROOT_SLURM_PMI", BOOL, MEMBER(slurm_pmi), "no" },
        { "ENROOT_SLURM_PYTORCH", BOOL, MEMBER(slurm_pytorch), "no" },
        { "ENROOT_SQUASH_OPTIONS", TEXT, MEMBER(squash_options),
          "-comp zstd -Xcompression-level 1 -noD" },
        { "ENROOT_SUBIDS", BOOL, MEMBER(subids), "no" },
        { "ENROOT_SYSCONF_PATH", PATH, MEMBER(sysconf_path), ENROOT_SYSCONFDIR },
        { "ENROOT_TEMP_PATH", PATH, MEMBER(temp_path), "${TMPDIR:-/tmp}" },
        { "ENROOT_TRANSFER_RETRIES", NUMBER, MEMBER(transfer_retries), "0", CONFIG_RETRIES_LIMIT },
        { "ENROOT_TRANSFER_TIMEOUT", SECONDS, MEMBER(transfer_timeout), "0", CONFIG_SECONDS_LIMIT },
        { "ENROOT_UNSHARE_IPC", BOOL, MEMBER(unshare_ipc), "no" },
        { "ENROOT_UNSHARE_NET", BOOL, MEMBER(unshare_net), "no" },
        { "ENROOT_UNSHARE_PID", BOOL, MEMBER(unshare_pid), "no" },
        { "ENROOT_UNSHARE_UTS", BOOL, MEMBER(unshare_uts), "no" },
        { "ENROOT_ZSTD_OPTIONS", TEXT, MEMBER(zstd_options), "-1" },
};

bool config_is_false(const char *value)
{
        static const char *const words[] = { "",   "n", "N", "no",    "nO",    "No",
                                             "NO", "f", "F", "false", "False", "FALSE" };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(value, words[i]) == 0)
                        return true;
        return false;
}

/* ---- settings ---- */

static void setting_release(struct config_setting *setting)
{
        free(setting->name);
        free(setting->value);
        free(setting->file);
        *setting = (struct config_setting){ .name = NULL };
}

static struct config_setting *find_setting(const struct config *config, const char *name)
{
        for (size_t i = 0; i < config->setting_count; i++)
                if (strcmp(config->settings[i].name, name) == 0)
                        return &config->settings[i];
        return NULL;
}

/* Define a setting or give it another value. file may be NULL. */
static int put_setting(struct config *config, const char *name, const char *value,
                       enum config_origin origin, const char *file, struct error *err)
{
        auto_cleanup(setting_release) struct config_setting fresh = {
                .name = strdup(name),
                .value = strdup(value),
                .origin = origin,
                .file = file ? strdup(file) : NULL,
        };
        struct config_setting *old = find_setting(config, name);

        if (!fresh.name || !fresh.value || (file && !fresh.file))
                return error_no_memory(err);
        if (!old) {
                struct config_setting *settings = reallocarray(
                        config->settings, config->setting_count + 1, sizeof(*settings));

                if (!settings)
                        return error_no_memory(err);
                config->settings = settings;
                old = &settings[config->setting_count++];
                *old = (struct config_setting){ .name = NULL };
        }
        setting_release(old);
        *old = TAKE(fresh, (struct config_setting){ .name = NULL });
        return 0;
}

static int compare_settings(const void *a, const void *b)
{
        return strcmp(((const struct config_setting *)a)->name,
                      ((const struct config_setting *)b)->name);
}

/* ---- files ---- */

struct loader {
        struct config *config;
        const struct strlist *process; /* the environment as it was given */
        const char *file;
};

static bool has_value(const struct strlist *environment, const char *name)
{
        const char *value = env_get(environment, name);

        return value && value[0];
}

static int set_from_file(void *context, const char *key, const char *value, struct error *err)
{
        struct loader *loader = context;
        struct config *config = loader->config;
        auto_free char *expanded = NULL;

        if (has_value(loader->process, key))
                return 0;
        expanded = config_expand(value, &config->environment, err);
        if (!expanded)
                return -1;
        if (env_set(&config->environment, key, expanded) < 0)
                return error_no_memory(err);
        if (strncmp(key, "ENROOT_", 7) != 0)
                return 0;
        return put_setting(config, key, expanded, CONFIG_FILE, loader->file, err);
}

static int load_text(void *context, const char *path, const char *text, size_t length,
                     struct error *err)
{
        struct loader *loader = context;

        loader->file = path;
        return file_parse(text, length, path, set_from_file, loader, err);
}

/* A missing file is no error. */
static int load_file(struct loader *loader, const char *path, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (io_read_file(AT_FDCWD, path, CONFIG_FILE_LIMIT, &text, err) < 0)
                return err->code == ENOENT ? 0 : -1;
        return load_text(loader, path, strbuf_text(&text), text.length, err);
}

static int load_files(struct loader *loader, struct error *err)
{
        const char *given = env_get(loader->process, "ENROOT_SYSCONF_PATH");
        const char *dir = given && given[0] ? given : ENROOT_SYSCONFDIR;
        auto_free char *main_file = path_join(dir, "enroot.conf");
        auto_free char *drop_in_dir = path_join(dir, "enroot.conf.d");

        if (!main_file || !drop_in_dir)
                return error_no_memory(err);
        if (load_file(loader, main_file, err) < 0)
                return -1;
        return dropin_for_each(drop_in_dir, ".conf", CONFIG_FILE_LIMIT, load_text, loader, err);
}

/* ---- the environment ---- */

static int copy_environment(struct strlist *to, char *const *environment, struct error *err)
{
        for (; *environment; environment++)
                if (strlist_append(to, *environment) < 0)
                        return error_no_memory(err);
        return 0;
}

/* NSS may ask a server, so the account is looked up only when HOME does not say. */
static int set_home(struct strlist *environment, struct error *err)
{
        const struct passwd *entry;

        if (has_value(environment, "HOME"))
                return 0;
        entry = name_service_user(getuid());
        if (env_set(environment, "HOME", entry && entry->pw_dir ? entry->pw_dir : "/") < 0)
                return error_no_memory(err);
        return 0;
}

/* XDG Base Directory Specification, but for the runtime directory, which has no default there. */
static int set_xdg_directories(struct strlist *environment, struct error *err)
{
        static const struct {
                const char *name, *fallback;
        } directories[] = {
                { "XDG_CACHE_HOME", "${HOME}/.cache" },
                { "XDG_CONFIG_HOME", "${HOME}/.config" },
                { "XDG_DATA_HOME", "${HOME}/.local/share" },
                { "XDG_RUNTIME_DIR", "/run" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
                auto_free char *value = NULL;

                if (has_value(environment, directories[i].name))
                        continue;
                value = env_substitute(directories[i].fallback, strlen(directories[i].fallback),
                                       environment);
                if (!value || env_set(environment, directories[i].name, value) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* Settings of the environment win, known ones or not. */
static int take_environment(struct config *config, const struct strlist *process, struct error *err)
{
        for (size_t i = 0; i < process->count; i++) {
                const char *item = process->items[i], *equals = strchr(item, '=');
                auto_free char *name = equals ? strndup(item, (size_t)(equals - item)) : NULL;

                if (equals && !name)
                        return error_no_memory(err);
                if (name && strncmp(name, "ENROOT_", 7) == 0 && equals[1] &&
                    put_setting(config, name, equals + 1, CONFIG_ENVIRONMENT, NULL, err) < 0)
                        return -1;
        }
        return 0;
}

static int take_defaults(struct config *config, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                const struct config_setting *setting = find_setting(config, variables[i].name);
                auto_free char *value = NULL;

                if (setting && setting->value[0])
                        continue;
                value = config_expand(variables[i].fallback, &config->environment, err);
                if (!value ||
                    put_setting(config, variables[i].name, value, CONFIG_DEFAULT, NULL, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- values ---- */

static int parse_number(const char *text, unsigned int limit, unsigned int *ret)
{
        char *end;
        unsigned long long value;

        if (text[0] < '0' || text[0] > '9')
                return -1;
        value = strtoull(text, &end, 10); /* ULLONG_MAX when there are too many digits */
        if (*end)
                return -1;
        *ret = value > limit ? limit : (unsigned int)value;
        return 0;
}

static int number_of(const struct variable *variable, const struct config_setting *setting,
                     unsigned int *ret, struct error *err)
{
        if (parse_number(setting->value, variable->limit, ret) < 0)
                return error_set(err, EINVAL,
                                 "%s=%.100s (from %s): must be a whole number, 0 or greater",
                                 setting->name, setting->value,
                                 setting->file ? setting->file : "the environment");
        return 0;
}

static int make_absolute(struct config_setting *setting, struct error *err)
{
        char *path = path_absolute(setting->value, err);

        if (!path)
                return error_prefix(err, "%s=%.200s", setting->name, setting->value);
        free(setting->value);
        setting->value = path;
        return 0;
}

static int fill_member(struct config *config, const struct variable *variable, struct error *err)
{
        struct config_setting *setting = find_setting(config, variable->name);
        void *member = (char *)config + variable->member;
        unsigned int number = 0;

        switch (variable->kind) {
        case PATH:
                if (make_absolute(setting, err) < 0)
                        return -1;
                *(const char **)member = setting->value;
                break;
        case TEXT:
                *(const char **)member = setting->value;
                break;
        case BOOL:
                *(bool *)member = !config_is_false(setting->value);
                break;
        case NUMBER:
                if (number_of(variable, setting, &number, err) < 0)
                        return -1;
                *(unsigned int *)member = number;
                break;
        case SECONDS:
                if (number_of(variable, setting, &number, err) < 0)
                        return -1;
                *(long *)member = (long)number;
                break;
        }
        return 0;
}

static int fill_members(struct config *config, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
                if (fill_member(config, &variables[i], err) < 0)
                        return -1;
        if (config->max_processors == 0)
                config->max_processors = available_processors();
        if (config->max_connections == 0)
                config->max_connections = CONFIG_CONNECTIONS_LIMIT;
        return 0;
}

/* https://reproducible-builds.org/specs/source-date-epoch/: seconds, decimal, not negative */
static int fill_source_date_epoch(struct config *config, struct error *err)
{
        const char *value = env_get(&config->environment, "SOURCE_DATE_EPOCH");
        char *end;

        if (!value || !value[0])
                return 0;
        errno = 0;
        config->source_date_epoch = strtoll(value, &end, 10);
        if (errno || *end || value[0] < '0' || value[0] > '9')
                return error_set(err, EINVAL,
                                 "SOURCE_DATE_EPOCH=%.100s: must be seconds since 1970", value);
        config->has_source_date_epoch = true;
        return 0;
}

static int export_settings(struct config *config, struct error *err)
{
        for (size_t i = 0; i < config->setting_count; i++) {
                const struct config_setting *setting = &config->settings[i];
                int result = config_is_false(setting->value)
                                     ? env_unset(&config->environment, setting->name)
                                     : env_set(&config->environment, setting->name, setting->value);

                if (result < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* Make everything else follow from the settings that there are now. */
static int settle(struct config *config, struct error *err)
{
        if (take_defaults(config, err) < 0 || fill_members(config, err) < 0 ||
            fill_source_date_epoch(config, err) < 0 || export_settings(config, err) < 0)
                return -1;
        qsort(config->settings, config->setting_count, sizeof(*config->settings), compare_settings);
        return 0;
}

static int load(struct config *config, const struct strlist *process, struct error *err)
{
        struct loader loader = { .config = config, .process = process };

        if (set_home(&config->environment, err) < 0 ||
            set_xdg_directories(&config->environment, err) < 0 || load_files(&loader, err) < 0 ||
            take_environment(config, process, err) < 0)
                return -1;
        return settle(config, err);
}

int config_load(struct config *config, char *const *environment, struct error *err)
{
        auto_strlist struct strlist process = STRLIST_INIT;

        *config = (struct config){ .settings = NULL };
        if (copy_environment(&process, environment, err) < 0 ||
            copy_environment(&config->environment, environment, err) < 0 ||
            load(config, &process, err) < 0) {
                config_release(config);
                return error_prefix(err, "configuration");
        }
        return 0;
}

/* ---- start configurations ---- */

/* What follows "#" in a line "#ENROOT_…", blanks between them allowed; NULL for other lines. */
static const char *find_directive(const char *line, const char *end)
{
        if (line == end || *line++ != '#')
                return NULL;
        while (line < end && (*line == ' ' || *line == '\t'))
                line++;
        return end - line > 7 && memcmp(line, "ENROOT_", 7) == 0 ? line : NULL;
}

int config_add_directives(struct config *config, const char *path, const char *text, size_t length,
                          struct error *err)
{
        const struct strlist nothing = STRLIST_INIT; /* no variable outranks a directive */
        struct loader loader = { .config = config, .process = &nothing, .file = path };
        auto_strbuf struct strbuf lines = STRBUF_INIT;
        const char *end = text + length;

        /* Other lines become empty ones, so that messages have the file's line numbers. */
        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                const char *line_end = newline ? newline : end;
                const char *directive = find_directive(text, line_end);

                if (directive)
                        strbuf_append_mem(&lines, directive, (size_t)(line_end - directive));
                strbuf_append_char(&lines, '\n');
                text = newline ? newline + 1 : end;
        }
        if (lines.failed)
                return error_no_memory(err);
        if (file_parse(strbuf_text(&lines), lines.length, path, set_from_file, &loader, err) < 0)
                return -1;
        return settle(config, err);
}

int config_copy_environment(const struct config *config, struct strlist *ret, struct error *err)
{
        if (config->environment.items && copy_environment(ret, config->environment.items, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                const struct variable *variable = &variables[i];
                bool set = env_get(ret, variable->name);
                int result = 0;

                if (variable->kind != BOOL)
                        continue;
                if (*(const bool *)((const char *)config + variable->member) != set)
                        result = set ? env_unset(ret, variable->name)
                                     : env_set(ret, variable->name, "yes");
                if (result < 0)
                        return error_no_memory(err);
        }
        return 0;
}

void config_release(struct config *config)
{
        for (size_t i = 0; i < config->setting_count; i++)
                setting_release(&config->settings[i]);
        free(config->settings);
        strlist_release(&config->environment);
        *config = (struct config){ .settings = NULL };
}
