/*
 * The hook programs that CDI files of NVIDIA's toolkit name, as additions to the plan: no
 * program runs, so none can be led astray by the image. How they are called:
 * https://github.com/NVIDIA/nvidia-container-toolkit/tree/main/cmd/nvidia-cdi-hook
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/cdi_edits.h"

/* A hook program on its way into the plan. */
struct call {
        const struct gpu_request *request;
        const struct cdi_hook *hook;
        const struct cdi_spec *spec;
        const struct mount_plan *mounts;
        size_t first; /* index of its options in hook->args */
        struct gpu_injection *injection;
};

/* ---- arguments ---- */

static const char *argument(const struct cdi_hook *hook, size_t index)
{
        return json_node_string(json_node_at(hook->args, index));
}

/*
 * The next value of an option, "--NAME VALUE" or "--NAME=VALUE", at or behind *index, which
 * moves on; NULL when there is none left.
 */
static const char *next_value(const struct call *call, const char *name, size_t *index)
{
        for (size_t i = *index; i < json_node_count(call->hook->args); i++) {
                const char *word = argument(call->hook, i);
                size_t length = strlen(name);

                if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, length) != 0)
                        continue;
                word += 2 + length;
                *index = i + 1;
                if (*word == '=')
                        return word + 1;
                if (*word == '\0' && i + 1 < json_node_count(call->hook->args)) {
                        *index = i + 2;
                        return argument(call->hook, i + 1);
                }
        }
        return NULL;
}

/* ---- what each does ---- */

/* What is mounted where a link leads to, or NULL. */
static const char *source_of_link(const struct call *call, const char *link, const char *target)
{
        size_t directory = (size_t)(strrchr(link, '/') + 1 - link);

        for (size_t i = 0; i < call->mounts->count; i++) {
                const struct mount_entry *entry = &call->mounts->entries[i];

                if (strcmp(entry->target, target) == 0 ||
                    (strncmp(entry->target, link, directory) == 0 &&
                     strcmp(entry->target + directory, target) == 0))
                        return entry->source;
        }
        return NULL;
}

static int create_symlinks(const struct call *call, struct error *err)
{
        const char *value;

        for (size_t i = call->first; (value = next_value(call, "link", &i)) != NULL;) {
                const char *colons = strstr(value, "::");
                auto_free char *target = colons ? strndup(value, (size_t)(colons - value)) : NULL;
                const char *link = colons ? colons + 2 : NULL;

                if (!link || colons == value || *link != '/')
                        return error_set(err, EINVAL, "--link %s is not TARGET::LINK", value);
                if (!target)
                        return error_no_memory(err);
                if (gpu_injection_alias(call->request, call->injection, link, target,
                                        source_of_link(call, link, target), err) < 0)
                        return -1;
        }
        return 0;
}

/* Whether a path is a file in one of the hook's folders. */
static bool is_in_folder(const struct call *call, const char *path)
{
        const char *folder;

        for (size_t i = call->first; (folder = next_value(call, "folder", &i)) != NULL;) {
                size_t length = strlen(folder);

                while (length > 1 && folder[length - 1] == '/')
                        length--;
                if (strncmp(path, folder, length) == 0 && path[length] == '/' &&
                    !strchr(path + length + 1, '/'))
                        return true;
        }
        return false;
}

/* Of what the folders hold, only what is mounted there is new to the image's own cache. */
static int update_ldcache(const struct call *call, struct error *err)
{
        for (size_t i = 0; i < call->mounts->count; i++) {
                const struct mount_entry *entry = &call->mounts->entries[i];

                if (entry->bind && is_in_folder(call, entry->target) &&
                    gpu_injection_library(call->injection, entry->source, entry->target, err) < 0)
                        return -1;
        }
        return 0;
}

static int enable_cuda_compat(const struct call *call, struct error *err)
{
        size_t index = call->first;
        const char *version = next_value(call, "host-driver-version", &index);

        return version ? gpu_injection_compat(call->request, version, call->injection, err) : 0;
}

static int disable_device_node_modification(const struct call *call, struct error *err)
{
        return gpu_injection_params(call->request, call->injection, err);
}

/* The GPUs that programs of graphics see: those whose nodes are mounted. */
static int update_application_profile(const struct call *call, struct error *err)
{
        static const char prefix[] = "/dev/nvidia";
        uint64_t mask = 0;

        for (size_t i = 0; i < call->mounts->count; i++) {
                const char *target = call->mounts->entries[i].target;
                const char *digits = target + strlen(prefix);
                char *end;
                unsigned long minor;

                if (strncmp(target, prefix, strlen(prefix)) != 0 || *digits < '0' || *digits > '9')
                        continue;
                minor = strtoul(digits, &end, 10);
                if (*end == '\0' && minor < 64)
                        mask |= UINT64_C(1) << minor;
        }
        return mask ? gpu_injection_profile(call->injection, mask, err) : 0;
}

/* chmod: directories that are made for nodes are open to all as it is. noop: as it says. */
static int do_nothing(const struct call *call, struct error *err)
{
        (void)call;
        (void)err;
        return 0;
}

/* In the order in which they are done: forward compatibility comes before the linker's cache. */
static const struct {
        const char *name;
        int (*add)(const struct call *call, struct error *err);
} emulations[] = {
        { "enable-cuda-compat", enable_cuda_compat },
        { "create-symlinks", create_symlinks },
        { "update-ldcache", update_ldcache },
        { "disable-device-node-modification", disable_device_node_modification },
        { "update-application-profile", update_application_profile },
        { "chmod", do_nothing },
        { "noop", do_nothing },
};

/* ---- all hooks ---- */

/* Which of NVIDIA's hooks a program is, NULL for none; *ret_first is where its options begin. */
static const char *nvidia_hook(const struct cdi_hook *hook, size_t *ret_first)
{
        const char *program = argument(hook, 0), *slash;
        size_t name = 1;

        if (!program)
                return NULL;
        slash = strrchr(program, '/');
        program = slash ? slash + 1 : program;
        if (strcmp(program, "nvidia-ctk") == 0) {
                if (!argument(hook, 1) || strcmp(argument(hook, 1), "hook") != 0)
                        return NULL;
                name = 2;
        } else if (strcmp(program, "nvidia-cdi-hook") != 0) {
                return NULL;
        }
        *ret_first = name + 1;
        return argument(hook, name);
}

static bool is_emulated(const char *name)
{
        for (size_t i = 0; name && i < ARRAY_SIZE(emulations); i++)
                if (strcmp(emulations[i].name, name) == 0)
                        return true;
        return false;
}

/* Do all hooks of one name. */
static int add_all(const struct call *template, size_t emulation, const struct cdi_piece *pieces,
                   size_t count, struct error *err)
{
        struct call call = *template;

        for (size_t i = 0; i < count; i++)
                for (size_t j = 0; j < pieces[i].edits->hook_count; j++) {
                        const char *name;

                        call.hook = &pieces[i].edits->hooks[j];
                        call.spec = pieces[i].spec;
                        name = nvidia_hook(call.hook, &call.first);
                        if (name && strcmp(name, emulations[emulation].name) == 0 &&
                            emulations[emulation].add(&call, err) < 0)
                                return error_prefix(err, "%s: hook %s", call.spec->path, name);
                }
        return 0;
}

/* The stages that this process goes through; the others come after it is another program. */
static bool is_reached(const char *stage)
{
        static const char *const stages[] = { "prestart", "createRuntime", "createContainer" };

        for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
                if (strcmp(stages[i], stage) == 0)
                        return true;
        return false;
}

static int copy_array(struct strlist *to, const struct json_node *array)
{
        for (size_t i = 0; i < json_node_count(array); i++)
                if (strlist_append(to, json_node_string(json_node_at(array, i))) < 0)
                        return -1;
        return 0;
}

static int add_program(const struct cdi_hook *hook, struct gpu_injection *injection,
                       struct error *err)
{
        struct gpu_program *programs =
                reallocarray(injection->programs, injection->program_count + 1, sizeof(*programs));
        struct gpu_program *program;

        if (!programs)
                return error_no_memory(err);
        injection->programs = programs;
        program = &programs[injection->program_count++];
        *program = (struct gpu_program){ .path = strdup(hook->path), .timeout = hook->timeout };
        if (!program->path || copy_array(&program->args, hook->args) < 0 ||
            copy_array(&program->environment, hook->env) < 0)
                return error_no_memory(err);
        return 0;
}

/* Programs of others run only where they are allowed to; with the user's rights. */
static int add_others(const struct gpu_request *request, const struct cdi_piece *piece,
                      struct gpu_injection *injection, struct error *err)
{
        for (size_t i = 0; i < piece->edits->hook_count; i++) {
                const struct cdi_hook *hook = &piece->edits->hooks[i];
                bool reached = is_reached(hook->stage);
                size_t first;
                int result;

                if (is_emulated(nvidia_hook(hook, &first)))
                        continue;
                if (request->run_hooks && reached)
                        result = add_program(hook, injection, err);
                else
                        result = gpu_injection_warn(injection, err,
                                                    "%s: the %s hook %s is not run%s",
                                                    piece->spec->path, hook->stage, hook->path,
                                                    reached ? " (ENROOT_CDI_HOOKS is off)" : "");
                if (result < 0)
                        return -1;
        }
        return 0;
}

int cdi_hooks_add(const struct gpu_request *request, const struct cdi_piece *pieces, size_t count,
                  const struct mount_plan *mounts, struct gpu_injection *injection,
                  struct error *err)
{
        const struct call template = {
                .request = request,
                .mounts = mounts,
                .injection = injection,
        };

        for (size_t i = 0; i < ARRAY_SIZE(emulations); i++)
                if (add_all(&template, i, pieces, count, err) < 0)
                        return -1;
        for (size_t i = 0; i < count; i++)
                if (add_others(request, &pieces[i], injection, err) < 0)
                        return -1;
        return 0;
}
