/*
 * The edits of all devices that are asked for, as one injection.
 *
 * For each device in turn: what its file says for all devices, once, then what it says for
 * this one. A later variable, node or mount replaces an earlier one of the same name or
 * place, and mounts are ordered by depth, so that none hides another. A node's owner, mode
 * and permissions are the host's: without privilege it can only be bound.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/cdi_edits.h"
#include "util/strbuf.h"

/* ---- the pieces, in order ---- */

static bool has_spec(const struct cdi_piece *pieces, size_t count, const struct cdi_spec *spec)
{
        for (size_t i = 0; i < count; i++)
                if (pieces[i].edits == &spec->edits)
                        return true;
        return false;
}

/* Returns how many there are; pieces has room for two of each match. */
static size_t order_pieces(const struct cdi_match *matches, size_t match_count,
                           struct cdi_piece *pieces)
{
        size_t count = 0;

        for (size_t i = 0; i < match_count; i++) {
                const struct cdi_spec *spec = matches[i].spec;

                if (!has_spec(pieces, count, spec))
                        pieces[count++] = (struct cdi_piece){ &spec->edits, spec };
                pieces[count++] = (struct cdi_piece){ &matches[i].device->edits, spec };
        }
        return count;
}

/* ---- nodes and mounts ---- */

/* What is named in a file is on the machine when the file was made for it as it is now. */
static int check_source(const char *source, const struct cdi_spec *spec, struct error *err)
{
        struct stat st;

        if (stat(source, &st) == 0)
                return 0;
        error_errno(err, "%s", source);
        if (err->code != ENOENT)
                return error_prefix(err, "%s (%s)", spec->path, spec->kind);
        return error_set(err, ENOENT,
                         "%s names %s, which is not on this machine: the file is stale (made for "
                         "another driver version or other devices), or the driver is not loaded; "
                         "have it generated again, for NVIDIA with \"nvidia-ctk cdi generate\"",
                         spec->path, source);
}

/* Take the entry for the same target away that an earlier piece has added. */
static void drop_target(struct mount_plan *plan, const char *target)
{
        for (size_t i = 0; i < plan->count; i++) {
                if (strcmp(plan->entries[i].target, target) != 0)
                        continue;
                mount_entry_release(&plan->entries[i]);
                memmove(&plan->entries[i], &plan->entries[i + 1],
                        (plan->count - i - 1) * sizeof(*plan->entries));
                plan->count--;
                return;
        }
}

/* Move the one entry of an addition into the plan. */
static int put_entry(struct mount_plan *plan, struct mount_plan *addition,
                     const struct cdi_spec *spec, struct error *err)
{
        struct mount_entry *entry = &addition->entries[0];
        char *origin = strdup(spec->path);

        if (!origin)
                return error_no_memory(err);
        free(entry->origin);
        entry->origin = origin;
        drop_target(plan, entry->target);
        return mount_plan_take(plan, addition) < 0 ? error_no_memory(err) : 0;
}

static int add_node(struct mount_plan *plan, const struct cdi_node *node,
                    const struct cdi_spec *spec, struct gpu_injection *injection, struct error *err)
{
        auto_mount_plan struct mount_plan addition = MOUNT_PLAN_INIT;
        auto_strbuf struct strbuf line = STRBUF_INIT;

        if (check_source(node->source, spec, err) < 0)
                return -1;
        if (access(node->source, R_OK | W_OK) < 0 && errno == EACCES &&
            gpu_injection_warn(injection, err,
                               "%s: you may not open it (\"enroot devices doctor\" says why)",
                               node->source) < 0)
                return -1;
        strbuf_append_fstab(&line, node->source);
        strbuf_append_char(&line, ' ');
        strbuf_append_fstab(&line, node->path);
        strbuf_append(&line, " none bind,x-create=file,nosuid,noexec,private");
        if (line.failed)
                return error_no_memory(err);
        if (mount_plan_add_line(&addition, err, "%s", line.data) < 0)
                return error_prefix(err, "%s", spec->path);
        return put_entry(plan, &addition, spec, err);
}

/* A directory may hold mounts of its own, without which a user may not bind it. */
static void append_options(struct strbuf *line, const struct cdi_mount *mount)
{
        strbuf_append(line, mount->type ? " x-create=dir" : " rbind,x-create=auto");
        for (size_t i = 0; i < json_node_count(mount->options); i++) {
                const char *option = json_node_string(json_node_at(mount->options, i));

                if (*option == '\0' || strcmp(option, "bind") == 0 || strcmp(option, "rbind") == 0)
                        continue;
                strbuf_append_char(line, ',');
                strbuf_append_fstab(line, option);
        }
}

static int add_mount(struct mount_plan *plan, const struct cdi_mount *mount,
                     const struct cdi_spec *spec, struct error *err)
{
        auto_mount_plan struct mount_plan addition = MOUNT_PLAN_INIT;
        auto_strbuf struct strbuf line = STRBUF_INIT;

        if (!mount->type && check_source(mount->source, spec, err) < 0)
                return -1;
        strbuf_append_fstab(&line, mount->source);
        strbuf_append_char(&line, ' ');
        strbuf_append_fstab(&line, mount->target);
        strbuf_append_char(&line, ' ');
        strbuf_append_fstab(&line, mount->type ? mount->type : "none");
        append_options(&line, mount);
        if (line.failed)
                return error_no_memory(err);
        if (mount_plan_add_line(&addition, err, "%s", line.data) < 0)
                return error_prefix(err, "%s", spec->path);
        return put_entry(plan, &addition, spec, err);
}

static int path_depth(const char *path)
{
        int depth = 0;

        for (; *path; path++)
                depth += *path == '/';
        return depth;
}

/* Order by depth; mounts of the same one stay as they were. */
static int sort_by_depth(struct mount_plan *plan, struct error *err)
{
        for (size_t i = 0; i < plan->count; i++)
                plan->entries[i].pass = path_depth(plan->entries[i].target);
        if (mount_plan_sort(plan) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < plan->count; i++)
                plan->entries[i].pass = 0;
        return 0;
}

static int add_mounts(const struct cdi_piece *pieces, size_t count, struct mount_plan *ret,
                      struct gpu_injection *injection, struct error *err)
{
        auto_mount_plan struct mount_plan mounts = MOUNT_PLAN_INIT;

        for (size_t i = 0; i < count; i++) {
                const struct cdi_edits *edits = pieces[i].edits;

                for (size_t j = 0; j < edits->node_count; j++)
                        if (add_node(ret, &edits->nodes[j], pieces[i].spec, injection, err) < 0)
                                return -1;
                for (size_t j = 0; j < edits->mount_count; j++)
                        if (add_mount(&mounts, &edits->mounts[j], pieces[i].spec, err) < 0)
                                return -1;
        }
        if (sort_by_depth(&mounts, err) < 0)
                return -1;
        return mount_plan_take(ret, &mounts) < 0 ? error_no_memory(err) : 0;
}

/* ---- the rest ---- */

static int add_environment(const struct cdi_edits *edits, struct gpu_injection *injection,
                           struct error *err)
{
        for (size_t i = 0; i < json_node_count(edits->env); i++) {
                const char *word = json_node_string(json_node_at(edits->env, i));
                const char *equals = strchr(word, '=');
                auto_free char *name = strndup(word, (size_t)(equals - word));

                if (!name)
                        return error_no_memory(err);
                if (gpu_injection_setenv(injection, name, equals + 1, err) < 0)
                        return -1;
        }
        return 0;
}

/* What no user can do. His groups stay as they are: setgroups(2) is closed to him, too. */
static int warn_of_the_rest(const struct cdi_piece *piece, struct gpu_injection *injection,
                            struct error *err)
{
        if (piece->edits->net_devices &&
            gpu_injection_warn(injection, err,
                               "%s: its network devices cannot be moved into the container",
                               piece->spec->path) < 0)
                return -1;
        if (piece->edits->rdt &&
            gpu_injection_warn(injection, err, "%s: its share of the cache (intelRdt) is not set",
                               piece->spec->path) < 0)
                return -1;
        return 0;
}

int cdi_edits_inject(const struct gpu_request *request, const struct cdi_match *matches,
                     size_t count, struct gpu_injection *injection, struct error *err)
{
        auto_free struct cdi_piece *pieces = calloc(2 * count + 1, sizeof(*pieces));
        auto_mount_plan struct mount_plan mounts = MOUNT_PLAN_INIT;
        size_t piece_count;

        if (!pieces)
                return error_no_memory(err);
        piece_count = order_pieces(matches, count, pieces);
        for (size_t i = 0; i < piece_count; i++)
                if (add_environment(pieces[i].edits, injection, err) < 0 ||
                    warn_of_the_rest(&pieces[i], injection, err) < 0)
                        return -1;
        if (add_mounts(pieces, piece_count, &mounts, injection, err) < 0 ||
            cdi_hooks_add(request, pieces, piece_count, &mounts, injection, err) < 0 ||
            gpu_injection_finish(request, injection, err) < 0)
                return -1;
        /* NVIDIA's hooks mount, too, and their files lie in what the pieces mount. */
        if (mount_plan_take(&mounts, &injection->mounts) < 0)
                return error_no_memory(err);
        injection->mounts = TAKE(mounts, (struct mount_plan)MOUNT_PLAN_INIT);
        return 0;
}
