/*
 * The user namespace of a start: whose ids it maps.
 *
 * Three kinds of identity. One id: the user's own and nothing else, which needs nobody's
 * permission. Subordinate ids: newuidmap and newgidmap map them, too (id_map.h). The
 * host's: a real root who is allowed to be one has no user namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env/env.h"
#include "host/host.h"
#include "runtime/container.h"
#include "runtime/id_map.h"
#include "runtime/newidmap.h"
#include "util/io.h"
#include "util/name_service.h"

#define SUBUID "/etc/subuid"
#define SUBGID "/etc/subgid"

/* Largest of these files, in bytes: some 30,000 users. */
#define SUBID_FILE_LIMIT (1u << 20)

/* ---- whose ids ---- */

void identity_init(struct container *container)
{
        const struct config *config = container->config;
        struct identity *identity = &container->identity;

        identity->uid_outside = geteuid();
        identity->gid_outside = getegid();
        container->user_namespace = !config->allow_superuser || identity->uid_outside != 0;
        container->subids = container->user_namespace && config->subids;
        identity->uid_count = container->user_namespace ? 0 : UINT32_MAX;
        identity->gid_count = identity->uid_count;
        /* Without a map there is nobody to become. */
        if (config->remap_root && container->user_namespace) {
                identity->uid = 0;
                identity->gid = 0;
        } else {
                identity->uid = identity->uid_outside;
                identity->gid = identity->gid_outside;
        }
}

/* ---- one id ---- */

static int enter_with_one_id(uid_t uid, gid_t gid, struct error *err)
{
        char uid_map[64], gid_map[64];

        (void)snprintf(uid_map, sizeof(uid_map), "%u %u 1", uid, geteuid());
        (void)snprintf(gid_map, sizeof(gid_map), "%u %u 1", gid, getegid());
        if (unshare(CLONE_NEWUSER) < 0) {
                error_errno(err, "cannot create a user namespace");
                return host_explain(HOST_USER_NAMESPACE, err);
        }
        /* user_namespaces(7): setgroups must be denied before an unprivileged gid map. */
        if (io_write_file(-1, "/proc/self/setgroups", "deny", err) < 0 ||
            io_write_file(-1, "/proc/self/gid_map", gid_map, err) < 0 ||
            io_write_file(-1, "/proc/self/uid_map", uid_map, err) < 0) {
                error_prefix(err, "cannot map the user into a namespace");
                return host_explain(HOST_USER_NAMESPACE, err);
        }
        return 0;
}

/* ---- subordinate ids ---- */

/* A file that grants ids; a missing one grants none. */
static int read_subids(const char *path, struct strbuf *text, struct error *err)
{
        if (io_read_file(-1, path, SUBID_FILE_LIMIT, text, err) < 0 && err->code != ENOENT)
                return -1;
        return 0;
}

/* Say which line to add, with ids that are nobody's yet; and what else will be missing then. */
static int explain_no_subids(const char *name, const char *uids, const char *gids, bool has_uids,
                             bool has_gids, const char *path, struct error *err)
{
        uint32_t first = subid_first_free(uids), first_group = subid_first_free(gids);
        auto_free char *program = newidmap_find("newuidmap", path);
        char mend[HOST_MEND_SIZE];

        if (first_group > first)
                first = first_group;
        error_set(err, ENOENT,
                  "%s has no subordinate ids in %s: as root, add the line \"%s:%u:%u\" to %s", name,
                  has_gids   ? SUBUID
                  : has_uids ? SUBGID
                             : SUBUID " and " SUBGID,
                  name, first, SUBID_DEFAULT_COUNT, has_gids || has_uids ? "it" : "both");
        if (program)
                return -1;
        newidmap_mend(mend);
        return error_append(err, "; newuidmap is missing, too: %s", mend);
}

int runtime_read_subids(struct id_map *uids, struct id_map *gids, const char *path,
                        struct error *err)
{
        auto_strbuf struct strbuf uid_text = STRBUF_INIT, gid_text = STRBUF_INIT;
        uid_t uid = geteuid();
        const struct passwd *account = name_service_user(uid);
        const char *name = account ? account->pw_name : NULL;
        char number[16];

        if (read_subids(SUBUID, &uid_text, err) < 0 || read_subids(SUBGID, &gid_text, err) < 0)
                return -1;
        id_map_read(uids, strbuf_text(&uid_text), name, uid, uid);
        id_map_read(gids, strbuf_text(&gid_text), name, uid, getegid());
        if (uids->end > 1 && gids->end > 1)
                return 0;
        (void)snprintf(number, sizeof(number), "%u", uid);
        return explain_no_subids(name ? name : number, strbuf_text(&uid_text),
                                 strbuf_text(&gid_text), uids->end > 1, gids->end > 1, path, err);
}

static int enter_with_maps(const struct id_map *uids, const struct id_map *gids, const char *path,
                           struct error *err)
{
        auto_newidmap struct newidmap tools = NEWIDMAP_INIT;

        if (newidmap_start(&tools, uids, gids, path, err) < 0)
                return -1;
        if (unshare(CLONE_NEWUSER) < 0) {
                error_errno(err, "cannot create a user namespace");
                return host_explain(HOST_USER_NAMESPACE, err);
        }
        return newidmap_finish(&tools, err);
}

/* Whether a map is one of nothing but that id. */
static bool is_one_id(const struct id_map *map, uint32_t own)
{
        return map->count == 1 && map->ranges[0].count == 1 && map->ranges[0].outside == own;
}

int runtime_enter_user(const struct id_map *uids, const struct id_map *gids, const char *path,
                       struct error *err)
{
        if (is_one_id(uids, geteuid()) && is_one_id(gids, getegid()))
                return enter_with_one_id(uids->ranges[0].inside, gids->ranges[0].inside, err);
        return enter_with_maps(uids, gids, path, err);
}

static const char *search_path(const struct config *config)
{
        return env_get(&config->environment, "PATH");
}

int identity_read_subids(const struct container *container, struct id_map *uids,
                         struct id_map *gids, struct error *err)
{
        const struct identity *identity = &container->identity;

        if (runtime_read_subids(uids, gids, search_path(container->config), err) < 0)
                return error_prefix(err, "--subids");
        if (identity->uid != 0) {
                id_map_keep_own(uids, identity->uid);
                id_map_keep_own(gids, identity->gid);
        }
        return 0;
}

static int enter_with_subids(struct container *container, struct error *err)
{
        struct id_map uids, gids;

        if (identity_read_subids(container, &uids, &gids, err) < 0)
                return -1;
        container->identity.uid_count = uids.end;
        container->identity.gid_count = gids.end;
        return enter_with_maps(&uids, &gids, search_path(container->config), err);
}

int namespace_enter_user(struct container *container, struct error *err)
{
        if (container->subids)
                return enter_with_subids(container, err);
        return enter_with_one_id(container->identity.uid, container->identity.gid, err);
}

/* ---- for trees whose files keep their owners ---- */

bool runtime_keeps_owners(const struct config *config)
{
        return config->subids || (config->allow_superuser && geteuid() == 0);
}

int runtime_enter_subids(const struct config *config, struct error *err)
{
        const char *path = search_path(config);
        struct id_map uids, gids;

        if (runtime_read_subids(&uids, &gids, path, err) < 0)
                return -1;
        return enter_with_maps(&uids, &gids, path, err);
}

/* The child's part of runtime_run_with_subids. */
static int run_step(const struct config *config, runtime_step step, void *context,
                    struct error *err)
{
        if (runtime_enter_subids(config, err) < 0)
                return -1;
        return step(context, err);
}

int runtime_run_with_subids(const struct config *config, runtime_step step, void *context,
                            struct error *err)
{
        auto_close int read_fd = -1;
        int pipes[2];
        pid_t child;

        if (pipe2(pipes, O_CLOEXEC) < 0)
                return error_errno(err, "cannot make a pipe");
        read_fd = pipes[0];
        child = fork();
        if (child == 0) {
                struct error failure = ERROR_INIT;
                bool failed = run_step(config, step, context, &failure) < 0;

                /* An error that says nothing is a success; what is lost is one that says nothing.
                 */
                if (!failed)
                        failure = (struct error)ERROR_INIT;
                (void)io_write_full(pipes[1], &failure, sizeof(failure));
                _exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        (void)close(pipes[1]);
        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (io_read_full(read_fd, err, sizeof(*err)) != sizeof(*err))
                error_set(err, ECHILD, "the process with subordinate ids ended early");
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return err->code ? -1 : 0;
}
