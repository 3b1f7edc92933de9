#include "slurm/submission.h"

#include <errno.h>
#include <limits.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "image/image.h"
#include "mount/mount.h"
#include "util/cleanup.h"

#define DOCKER_SCHEME "docker://"

/* A site's program, which may know images that we do not. */
static bool has_importer;

void submission_begin(const struct settings *settings)
{
        has_importer = *settings->importer != '\0';
}

static bool is_node(void)
{
        return spank_context() == S_CTX_REMOTE;
}

/* ---- files ---- */

/* Whether a file system is one that nodes have in common with this machine. */
static bool is_shared(const struct statfs *st)
{
        /* f_type, statfs(2); not all of them are in the kernel's headers. */
        static const unsigned int types[] = {
                0x0bd00bd0, /* Lustre */
                0x00c36400, /* CephFS */
                0x01021997, /* 9P */
                0x19830326, /* BeeGFS */
                0x20030528, /* OrangeFS */
                0x47504653, /* GPFS */
                0x5346414f, /* AFS */
                0x65735546, /* FUSE */
                0x00006969, /* NFS */
                0xaad7aaea, /* PanFS */
                0xfe534d42, /* SMB */
                0xff534d42, /* CIFS */
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if ((unsigned int)st->f_type == types[i])
                        return true;
        return false;
}

/*
 * A file that is missing here is missing on the nodes, too, if it would be on a file system
 * that they share; but /tmp/x.sqsh can be on each of them (sbcast), and not here.
 */
static bool is_missing_everywhere(const char *path)
{
        char directory[PATH_MAX];
        struct statfs st;

        if (access(path, F_OK) == 0 || errno != ENOENT ||
            snprintf(directory, sizeof(directory), "%s", path) >= PATH_MAX)
                return false;
        for (;;) {
                char *slash = strrchr(directory, '/');

                slash[slash == directory ? 1 : 0] = '\0';
                if (statfs(directory, &st) == 0)
                        return is_shared(&st);
                if (errno != ENOENT)
                        return false;
        }
}

/* Only absolute paths: the step may have another directory (--chdir). */
static int check_file(const char *option, const char *path)
{
        if (*path != '/' || !is_missing_everywhere(path))
                return 0;
        slurm_error("pyxis: --container-%s: %s: No such file or directory", option, path);
        return -1;
}

/* ---- images ---- */

static bool begins(const char *value, const char *start)
{
        return strncmp(value, start, strlen(start)) == 0;
}

/* Whether an image comes from a registry. What the other sources are, the nodes know. */
static bool is_reference(const char *value)
{
        static const char *const others[] = { "/", ".", "oci:", "oci-archive:", "docker-archive:",
                                              "tar:" };

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (begins(value, others[i]))
                        return false;
        return begins(value, DOCKER_SCHEME) || !strstr(value, "://");
}

static int check_reference(const char *value)
{
        auto_image_reference struct image_reference reference = { .user = NULL };
        auto_free char *uri = NULL;
        struct error err = ERROR_INIT;

        if (asprintf(&uri, "%s%s", begins(value, DOCKER_SCHEME) ? "" : DOCKER_SCHEME, value) < 0) {
                uri = NULL; /* undefined after a failure */
                return 0;   /* the nodes will tell */
        }
        if (image_reference_parse(uri, &reference, &err) == 0)
                return 0;
        slurm_error("pyxis: --container-image: %s", err.message);
        return -1;
}

int submission_check_image(const char *value)
{
        if (is_node() || has_importer)
                return 0;
        return is_reference(value) ? check_reference(value) : check_file("image", value);
}

/* ---- mounts ---- */

int submission_check_mount(const char *word)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        struct error err = ERROR_INIT;
        const char *reason;

        if (is_node())
                return 0;
        if (mount_plan_add_word(&plan, word, &err) == 0) {
                const struct mount_entry *entry = &plan.entries[0];

                return entry->bind && !entry->nofail && *word == '/'
                               ? check_file("mounts", entry->source)
                               : 0;
        }
        /* The word in front is not as the user has written it. */
        reason = strstr(err.message, word);
        reason = reason ? reason + strlen(word) : err.message;
        slurm_error("pyxis: --container-mounts: %s", reason + strspn(reason, ": "));
        return -1;
}
