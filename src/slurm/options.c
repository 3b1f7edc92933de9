#include "slurm/options.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slurm/settings.h"
#include "slurm/submission.h"
#include "util/strbuf.h"

#define NONE                                                                                       \
        {                                                                                          \
                .mount_home = CHOICE_NONE, .remap_root = CHOICE_NONE, .entrypoint = CHOICE_NONE,   \
                .entrypoint_log = CHOICE_NONE, .writable = CHOICE_NONE                             \
        }

static struct options options = NONE;
static bool complete; /* those of a whole command, or of a part of it before a ":" */

/* Longest value of a variable. spank_getenv copies. */
#define VALUE_SIZE (64u << 10)

static char problem[512];

/* slurmstepd speaks to its log only while it takes the options: a task says it once more. */
static __attribute__((format(printf, 1, 2))) void complain(const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(problem, sizeof(problem), fmt, args);
        va_end(args);
        slurm_error("pyxis: %s", problem);
}

const char *options_problem(void)
{
        return problem;
}

static int no_memory(void)
{
        complain("could not allocate memory");
        return -1;
}

static bool is_missing(const char *option, const char *value)
{
        if (value && *value)
                return false;
        complain("--container-%s: argument required", option);
        return true;
}

/*
 * Whether the option was one of the sbatch or salloc that this srun is called in: Slurm passes
 * it on in a variable, and gives it before those of the command line, which count.
 */
static bool is_inherited(const char *option)
{
        char name[128] = "SLURM_SPANK__SLURM_SPANK_OPTION_pyxis_container_";
        size_t length = strlen(name);

        (void)snprintf(name + length, sizeof(name) - length, "%s", option);
        for (char *p = name + length; *p; p++)
                if (*p == '-')
                        *p = '_';
        return getenv(name) != NULL;
}

/* Slurm can give the same value twice; two different ones are a mistake. */
static int set_text(const char *option, char **target, const char *value)
{
        if (is_missing(option, value))
                return -1;
        if (*target && strcmp(*target, value) == 0)
                return 0;
        if (*target && complete) {
                complain("--container-%s differs between the parts of one srun, which Slurm gives "
                         "the same: start them one by one, with --het-group=N",
                         option);
                return -1;
        }
        if (*target && !is_inherited(option)) {
                complain("--container-%s specified multiple times", option);
                return -1;
        }
        free(*target);
        *target = strdup(value);
        return *target ? 0 : no_memory();
}

static int set_choice(const char *option, enum choice *target, int value)
{
        enum choice choice = value ? CHOICE_YES : CHOICE_NO;

        if (*target != CHOICE_NONE && *target != choice) {
                complain("both --container-%s and its opposite were specified", option);
                return -1;
        }
        *target = choice;
        return 0;
}

/* ---- mounts ---- */

/* A field of a --mount word, where an escape would be one of fstab(5). */
static void append_field(struct strbuf *word, const char *field)
{
        for (; *field; field++) {
                if (*field == '\\')
                        strbuf_append(word, "\\134");
                else
                        strbuf_append_char(word, *field);
        }
        strbuf_append_char(word, ':');
}

/* The type and the options that a kind of source has, or NULL. */
static const char *kind_of(const char *source)
{
        if (*source == '/' || *source == '.')
                return "none:x-create=auto,rbind";
        if (strcmp(source, "tmpfs") == 0)
                return "tmpfs:x-create=dir";
        if (strcmp(source, "umount") == 0)
                return "none:x-detach";
        complain("--container-mounts: the source must be a path, \"tmpfs\" or "
                    "\"umount\": %s",
                    source);
        return NULL;
}

/* SRC[:DST[:FLAG+FLAG…]] */
static int add_mount(char *entry)
{
        auto_strbuf struct strbuf word = STRBUF_INIT;
        char *flags = entry, *source = strsep(&flags, ":");
        char *target = flags ? strsep(&flags, ":") : source;
        const char *kind;

        if (!*source || !*target) {
                complain("--container-mounts: invalid format: %s:%s", source, target);
                return -1;
        }
        kind = kind_of(source);
        if (!kind)
                return -1;
        if (*target != '/' && *target != '.') {
                complain("--container-mounts: the target must be a path: %s", target);
                return -1;
        }
        append_field(&word, source);
        append_field(&word, target);
        strbuf_append(&word, kind);
        if (flags && *flags) {
                strbuf_append_char(&word, ',');
                for (const char *p = flags; *p; p++)
                        strbuf_append_char(&word, *p == '+' ? ',' : *p);
        }
        if (word.failed)
                return no_memory();
        if (submission_check_mount(word.data) < 0)
                return -1;
        if (strlist_contains(&options.mounts, word.data))
                return 0;
        return strlist_append(&options.mounts, word.data) < 0 ? no_memory() : 0;
}

/* Call add for each part of a list that commas separate. */
static int for_each_part(const char *option, const char *value, int (*add)(char *part))
{
        auto_free char *copy = NULL;
        char *rest, *part;

        if (is_missing(option, value))
                return -1;
        copy = rest = strdup(value);
        if (!copy)
                return no_memory();
        while ((part = strsep(&rest, ",")) != NULL) {
                if (!*part) {
                        complain("--container-%s: invalid format: %s", option, value);
                        return -1;
                }
                if (add(part) < 0)
                        return -1;
        }
        return 0;
}

/* ---- the functions that Slurm calls ---- */

static int take_image(int val, const char *value, int remote)
{
        (void)val, (void)remote;
        if (value && *value && submission_check_image(value) < 0)
                return -1;
        return set_text("image", &options.image, value);
}

static int take_mounts(int val, const char *value, int remote)
{
        (void)val, (void)remote;
        return for_each_part("mounts", value, add_mount);
}

static int take_directory(int val, const char *value, int remote)
{
        (void)val, (void)remote;
        return set_text("workdir", &options.directory, value);
}

static int take_name(int val, const char *value, int remote)
{
        static const char *const rules[] = { "auto", "create", "exec", "no_exec" };
        auto_free char *name = value ? strdup(value) : NULL;
        char *rule = name;

        (void)val, (void)remote;
        if (is_missing("name", value))
                return -1;
        if (!name)
                return no_memory();
        (void)strsep(&rule, ":");
        if (!*name || strchr(name, '/')) {
                complain("--container-name: not a name: %s", value);
                return -1;
        }
        if (strspn(name, "0123456789.") == strlen(name) && strchr(name, '.')) {
                complain("--container-name: %s is what a container without a name is "
                            "called",
                            name);
                return -1;
        }
        if (!rule || !*rule)
                rule = (char *)rules[0];
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                if (strcmp(rule, rules[i]) == 0)
                        return set_text("name", &options.name, name) < 0
                                       ? -1
                                       : set_text("name", &options.rule, rule);
        complain("--container-name: flag must be \"auto\", \"create\", \"exec\" or "
                    "\"no_exec\"");
        return -1;
}

static int take_save(int val, const char *value, int remote)
{
        (void)val, (void)remote;
        if (value && *value && value[strlen(value) - 1] == '/') {
                complain("--container-save: target is a directory");
                return -1;
        }
        return set_text("save", &options.save, value);
}

static int take_mount_home(int val, const char *value, int remote)
{
        (void)value, (void)remote;
        return set_choice("mount-home", &options.mount_home, val);
}

static int take_remap_root(int val, const char *value, int remote)
{
        (void)value, (void)remote;
        return set_choice("remap-root", &options.remap_root, val);
}

static int take_entrypoint(int val, const char *value, int remote)
{
        (void)value, (void)remote;
        return set_choice("entrypoint", &options.entrypoint, val);
}

static int take_entrypoint_log(int val, const char *value, int remote)
{
        (void)value, (void)remote;
        return set_choice("entrypoint-log", &options.entrypoint_log, val);
}

static int take_writable(int val, const char *value, int remote)
{
        (void)value, (void)remote;
        return set_choice("writable", &options.writable, val);
}

static int add_env(char *name)
{
        if (strlist_contains(&options.env, name))
                return 0;
        return strlist_append(&options.env, name) < 0 ? no_memory() : 0;
}

static int take_env(int val, const char *value, int remote)
{
        (void)val, (void)remote;
        return for_each_part("env", value, add_env);
}

static int add_namespace(char *name)
{
        const struct {
                const char *name;
                bool *flag;
        } known[] = {
                { "net", &options.unshare_net },
                { "ipc", &options.unshare_ipc },
                { "uts", &options.unshare_uts },
        };

        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (strcmp(name, known[i].name) != 0)
                        continue;
                *known[i].flag = true;
                return 0;
        }
        complain("--container-unshare: unknown namespace '%s'", name);
        return -1;
}

static int take_unshare(int val, const char *value, int remote)
{
        (void)val, (void)remote;
        return for_each_part("unshare", value, add_namespace);
}

/* ---- the table ---- */

#define WORD(text) (char *)(text) /* the structure's members are not const */

static struct spank_option table[] = {
        { WORD("container-image"), WORD("[USER@][REGISTRY#]IMAGE[:TAG]|PATH"),
          WORD("[pyxis] the image that the step runs in: of a registry, or the path of an image "
               "file on the nodes"),
          1, 0, take_image },
        { WORD("container-mounts"), WORD("SRC:DST[:FLAGS][,SRC:DST...]"),
          WORD("[pyxis] what of the node is mounted in the container; flags are separated by "
               "\"+\": \"ro+rprivate\""),
          1, 0, take_mounts },
        { WORD("container-workdir"), WORD("PATH"),
          WORD("[pyxis] working directory inside the container"), 1, 0, take_directory },
        { WORD("container-name"), WORD("NAME[:RULE]"),
          WORD("[pyxis] keep the container under this name and use it again where it exists; "
               "RULE is auto, create, exec or no_exec"),
          1, 0, take_name },
        { WORD("container-save"), WORD("PATH"),
          WORD("[pyxis] save the container as an image file on the node"), 1, 0, take_save },
        { WORD("container-mount-home"), NULL,
          WORD("[pyxis] have the home directory in the container"), 0, 1, take_mount_home },
        { WORD("no-container-mount-home"), NULL,
          WORD("[pyxis] do not have the home directory in the container"), 0, 0,
          take_mount_home },
        { WORD("container-remap-root"), NULL,
          WORD("[pyxis] be root inside the container, without any right more"), 0, 1,
          take_remap_root },
        { WORD("no-container-remap-root"), NULL,
          WORD("[pyxis] be oneself inside the container"), 0, 0, take_remap_root },
        { WORD("container-entrypoint"), NULL, WORD("[pyxis] run the image's entrypoint"), 0, 1,
          take_entrypoint },
        { WORD("no-container-entrypoint"), NULL,
          WORD("[pyxis] do not run the image's entrypoint"), 0, 0, take_entrypoint },
        { WORD("container-entrypoint-log"), NULL,
          WORD("[pyxis] show what the entrypoint prints"), 0, 1, take_entrypoint_log },
        { WORD("container-writable"), NULL,
          WORD("[pyxis] make the container's file system writable"), 0, 1, take_writable },
        { WORD("container-readonly"), NULL,
          WORD("[pyxis] make the container's file system read-only"), 0, 0, take_writable },
        { WORD("container-env"), WORD("NAME[,NAME...]"),
          WORD("[pyxis] variables that keep the job's value where the image has another"), 1, 0,
          take_env },
        { WORD("container-unshare"), WORD("NS[,NS...]"),
          WORD("[pyxis] namespaces of the container's own: net, ipc, uts"), 1, 0,
          take_unshare },
        SPANK_OPTIONS_TABLE_END,
};

int options_register(spank_t spank)
{
        for (struct spank_option *option = table; option->name; option++) {
                spank_err_t result = spank_option_register(spank, option);

                if (result == ESPANK_SUCCESS)
                        continue;
                complain("couldn't register option %s: %s", option->name,
                            spank_strerror(result));
                return -1;
        }
        return 0;
}

/* ---- variables ---- */

/*
 * In slurmstepd the job's variables are not the process's. buffer has VALUE_SIZE bytes. *ret
 * is NULL where there is none. Returns 0, or -1 for a value that is too long to be had.
 */
static int get_variable(spank_t spank, const char *name, char *buffer, const char **ret)
{
        spank_err_t result;

        *ret = NULL;
        if (spank_context() != S_CTX_REMOTE) {
                *ret = getenv(name);
                return 0;
        }
        result = spank_getenv(spank, name, buffer, VALUE_SIZE);
        if (result == ESPANK_SUCCESS)
                *ret = buffer;
        if (result != ESPANK_NOSPACE)
                return 0;
        complain("%s: longer than %u bytes", name, VALUE_SIZE);
        return -1;
}

static int complete_values(spank_t spank, char *buffer)
{
        const struct {
                const char *name;
                bool given;
                spank_opt_cb_f take;
        } variables[] = {
                { "PYXIS_CONTAINER_IMAGE", options.image, take_image },
                { "PYXIS_CONTAINER_MOUNTS", options.mounts.count > 0, take_mounts },
                { "PYXIS_CONTAINER_WORKDIR", options.directory, take_directory },
                { "PYXIS_CONTAINER_NAME", options.name, take_name },
                { "PYXIS_CONTAINER_SAVE", options.save, take_save },
                { "PYXIS_CONTAINER_ENV", options.env.count > 0, take_env },
                { "PYXIS_CONTAINER_UNSHARE",
                  options.unshare_net || options.unshare_ipc || options.unshare_uts,
                  take_unshare },
        };

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                const char *value;

                if (variables[i].given)
                        continue;
                if (get_variable(spank, variables[i].name, buffer, &value) < 0)
                        return -1;
                /* Scripts unset a variable like this, too. */
                if (value && *value && variables[i].take(0, value, 0) < 0)
                        return -1;
        }
        return 0;
}

static void complete_choices(spank_t spank, char *buffer)
{
        const struct {
                const char *name;
                enum choice *choice;
                bool opposite;
        } variables[] = {
                { "PYXIS_CONTAINER_MOUNT_HOME", &options.mount_home, false },
                { "PYXIS_CONTAINER_REMAP_ROOT", &options.remap_root, false },
                { "PYXIS_CONTAINER_ENTRYPOINT", &options.entrypoint, false },
                { "PYXIS_CONTAINER_ENTRYPOINT_LOG", &options.entrypoint_log, false },
                { "PYXIS_CONTAINER_WRITABLE", &options.writable, false },
                { "PYXIS_CONTAINER_READONLY", &options.writable, true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                const char *value;
                int flag = get_variable(spank, variables[i].name, buffer, &value) == 0 && value
                                   ? settings_parse_bool(value)
                                   : -1;

                if (flag >= 0 && *variables[i].choice == CHOICE_NONE)
                        *variables[i].choice = (flag > 0) != variables[i].opposite ? CHOICE_YES
                                                                                   : CHOICE_NO;
        }
}

bool options_enabled(void)
{
        return options.image || options.name;
}

/* Said by srun, sbatch and salloc only: not once more by every node. */
static void tell_of_ignored(void)
{
        const struct {
                bool given;
                const char *name;
        } list[] = {
                { options.mounts.count > 0, "--container-mounts" },
                { options.directory, "--container-workdir" },
                { options.save, "--container-save" },
                { options.mount_home != CHOICE_NONE, "--[no-]container-mount-home" },
                { options.remap_root != CHOICE_NONE, "--[no-]container-remap-root" },
                { options.entrypoint != CHOICE_NONE, "--[no-]container-entrypoint" },
                { options.entrypoint_log != CHOICE_NONE, "--container-entrypoint-log" },
                { options.writable == CHOICE_NO, "--container-readonly" },
                { options.writable == CHOICE_YES, "--container-writable" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(list); i++)
                if (list[i].given)
                        slurm_error("pyxis: ignoring %s because neither --container-image nor "
                                    "--container-name is set",
                                    list[i].name);
}

int options_complete(spank_t spank)
{
        auto_free char *buffer = malloc(VALUE_SIZE);

        if (!buffer)
                return no_memory();
        if (complete_values(spank, buffer) < 0)
                return -1;
        complete_choices(spank, buffer);
        complete = true;
        if (!options_enabled() && spank_context() != S_CTX_REMOTE)
                tell_of_ignored();
        return 0;
}

const struct options *options_get(void)
{
        return &options;
}

void options_release(void)
{
        char **texts[] = { &options.image, &options.directory, &options.save, &options.name,
                           &options.rule };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(*texts[i]);
        strlist_release(&options.mounts);
        strlist_release(&options.env);
        options = (struct options)NONE;
        complete = false;
}
