/*
 * Mounts whose files have other owners in the container than on the disk ("idmapped" ones,
 * mount_setattr(2)). The kernel lets only him make one who may mount that file system
 * anew: root of the machine, or of the user namespace that it was mounted in. So it is done
 * before the container's namespaces are entered, and what they get is a mount that is
 * attached nowhere yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "oci/container.h"
#include "util/cleanup.h"

/* Stay in a new user namespace until the other end is closed. */
static _Noreturn void hold(int fd)
{
        char byte = unshare(CLONE_NEWUSER) < 0;

        _exit(write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 0 ? 0 : 1);
}

static int open_namespace(const struct id_map *uids, const struct id_map *gids, pid_t pid, int fd,
                          struct error *err)
{
        char path[32], failed = 1;

        if (read(fd, &failed, 1) != 1 || failed)
                return error_set(err, EPERM, "cannot create a user namespace for the map");
        if (write_id_maps(uids, gids, pid, err) < 0)
                return -1;
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? error_errno(err, "%s", path) : fd;
}

/* A user namespace that is only its maps. A descriptor, or -1 with *err. */
static int make_namespace(const struct id_map *uids, const struct id_map *gids, struct error *err)
{
        int sockets[2], result;
        pid_t child;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "sockets");
        child = fork();
        if (child == 0) {
                (void)close(sockets[0]);
                hold(sockets[1]);
        }
        (void)close(sockets[1]);
        result = child < 0 ? error_errno(err, "cannot start a process")
                           : open_namespace(uids, gids, child, sockets[0], err);
        (void)close(sockets[0]);
        while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return result;
}

static int prepare(const struct oci_spec *spec, const struct oci_mount_map *map,
                   struct error *err)
{
        struct mount_entry *entry = &spec->mounts.entries[map->entry];
        bool own = map->uids.count == 0 && map->gids.count == 0;
        const struct id_map *uids = own ? &spec->uids : &map->uids;
        const struct id_map *gids = own ? &spec->gids : &map->gids;
        auto_close int namespace = -1;

        if (uids->count == 0 || gids->count == 0)
                return error_set(err, EINVAL, "\"idmap\" needs uidMappings and gidMappings");
        namespace = make_namespace(uids, gids, err);
        if (namespace < 0)
                return err->code == EPERM ? error_append(err, " (" MOUNT_OWNERS_HINT ")") : -1;
        return mount_entry_map_owners(entry, namespace, map->recursive, err);
}

int idmap_prepare(struct oci_spec *spec, struct error *err)
{
        for (size_t i = 0; i < spec->mount_map_count; i++) {
                const struct oci_mount_map *map = &spec->mount_maps[i];

                if (prepare(spec, map, err) < 0)
                        return error_prefix(err, "mounts: %s: idmap",
                                            spec->mounts.entries[map->entry].target);
        }
        return 0;
}
