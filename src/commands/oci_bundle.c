/*
 * oci bundle: an image file becomes an OCI bundle, a directory with rootfs/ and
 * config.json. The container that it describes is as open as one of "enroot start": user
 * and mount namespaces of its own, the devices, processes and network of the host, which
 * programs of several nodes (MPI) need of each other.
 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/container.h"
#include "commands/record.h"
#include "env/env.h"
#include "mount/mount.h"
#include "oci/oci.h"
#include "squashfs/squashfs.h"
#include "unpack/unpack.h"
#include "util/io.h"
#include "util/json_writer.h"
#include "util/path.h"
#include "util/temp_dir.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- config.json ---- */

static void write_mount(struct json_writer *writer, const char *source, const char *target,
                        const char *type, const char *options)
{
        json_write_object(writer, NULL);
        json_write_text(writer, "destination", target);
        json_write_text(writer, "type", type);
        json_write_text(writer, "source", source);
        json_write_array(writer, "options");
        while (*options) {
                size_t length = strcspn(options, ",");
                auto_free char *option = strndup(options, length);

                if (!option)
                        writer->text->failed = true;
                else
                        json_write_text(writer, NULL, option);
                options += length;
                options += *options == ',';
        }
        json_write_end(writer);
        json_write_end(writer);
}

/* The words of config.json for what a plan has as flags. */
static const struct {
        uint64_t flag;
        const char *set, *clear;
} flag_words[] = {
        { MS_RDONLY, ",ro", ",rw" },           { MS_NOSUID, ",nosuid", ",suid" },
        { MS_NODEV, ",nodev", ",dev" },        { MS_NOEXEC, ",noexec", ",exec" },
        { MS_NOATIME, ",noatime", ",atime" },
};

/* An entry of --mount; what only this program's fstab has cannot stand in a bundle. */
static int write_entry(struct json_writer *writer, const struct mount_entry *entry,
                       struct error *err)
{
        auto_strbuf struct strbuf options = STRBUF_INIT;

        if (entry->remount || entry->move || entry->detach || entry->image ||
            (!entry->bind && !entry->type))
                return error_set(err, EINVAL, "%s: a bundle takes binds and new file systems only",
                                 entry->origin);
        if (entry->bind)
                (void)strbuf_append(&options, entry->recursive ? "rbind" : "bind");
        else
                (void)strbuf_append(&options, "defaults");
        for (size_t i = 0; i < ARRAY_SIZE(flag_words); i++) {
                if (entry->attr_set & flag_words[i].flag)
                        (void)strbuf_append(&options, flag_words[i].set);
                if (entry->attr_clear & flag_words[i].flag)
                        (void)strbuf_append(&options, flag_words[i].clear);
        }
        if (entry->data)
                (void)strbuf_printf(&options, ",%s", entry->data);
        write_mount(writer, entry->source, entry->target, entry->bind ? "bind" : entry->type,
                    strbuf_text(&options));
        return options.failed ? error_no_memory(err) : 0;
}

static int write_mounts(struct json_writer *writer, const struct strlist *words, struct error *err)
{
        static const char *const of_host[] = { "/proc", "/sys", "/dev" };
        static const char *const files[] = { "/etc/hosts", "/etc/resolv.conf" };
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;

        json_write_array(writer, "mounts");
        for (size_t i = 0; i < ARRAY_SIZE(of_host); i++)
                write_mount(writer, of_host[i], of_host[i], "bind", "rbind,nosuid,rslave");
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                if (access(files[i], F_OK) == 0)
                        write_mount(writer, files[i], files[i], "bind", "rbind,ro,nosuid,nodev");
        write_mount(writer, "tmpfs", "/run", "tmpfs", "nosuid,nodev,mode=755");
        for (size_t i = 0; i < words->count; i++)
                if (mount_plan_add_word(&plan, words->items[i], err) < 0)
                        return -1;
        for (size_t i = 0; i < plan.count; i++)
                if (write_entry(writer, &plan.entries[i], err) < 0)
                        return -1;
        json_write_end(writer);
        return 0;
}

static void write_list(struct json_writer *writer, const char *key, const struct strlist *list)
{
        json_write_array(writer, key);
        for (size_t i = 0; i < list->count; i++)
                json_write_text(writer, NULL, list->items[i]);
        json_write_end(writer);
}

/* Root inside has all capabilities of his namespace. */
static void write_capabilities(struct json_writer *writer)
{
        static const char *const sets[] = { "bounding", "effective", "permitted" };

        json_write_object(writer, "capabilities");
        for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
                json_write_array(writer, sets[set]);
                for (unsigned int i = 0; oci_capability_name(i); i++)
                        json_write_text(writer, NULL, oci_capability_name(i));
                json_write_end(writer);
        }
        json_write_end(writer);
}

static int write_process(struct json_writer *writer, const struct image_config *image,
                         const struct oci_bundle_arguments *arguments, const struct config *config,
                         struct error *err)
{
        auto_strlist struct strlist args = STRLIST_INIT, env = STRLIST_INIT;
        const struct strlist *const words[] = { &image->entrypoint, &image->cmd };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                for (size_t j = 0; j < words[i]->count; j++)
                        if (strlist_append(&args, words[i]->items[j]) < 0)
                                return error_no_memory(err);
        if (args.count == 0 && strlist_append(&args, "/bin/sh") < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < image->env.count; i++)
                if (strchr(image->env.items[i], '=') &&
                    strlist_append(&env, image->env.items[i]) < 0)
                        return error_no_memory(err);
        if (!env_get(&env, "PATH") && strlist_append(&env, DEFAULT_PATH) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < arguments->env->count; i++)
                if (env_add_word(&env, arguments->env->items[i], &config->environment, err) < 0)
                        return -1;
        json_write_object(writer, "process");
        json_write_bool(writer, "terminal", false);
        json_write_object(writer, "user");
        json_write_number(writer, "uid", 0);
        json_write_number(writer, "gid", 0);
        json_write_end(writer);
        write_list(writer, "args", &args);
        write_list(writer, "env", &env);
        json_write_text(writer, "cwd",
                        image->working_dir && *image->working_dir == '/' ? image->working_dir
                                                                         : "/");
        write_capabilities(writer);
        json_write_bool(writer, "noNewPrivileges", true);
        json_write_end(writer);
        return 0;
}

static void write_map(struct json_writer *writer, const char *key, unsigned int outside)
{
        json_write_array(writer, key);
        json_write_object(writer, NULL);
        json_write_number(writer, "containerID", 0);
        json_write_number(writer, "hostID", outside);
        json_write_number(writer, "size", 1);
        json_write_end(writer);
        json_write_end(writer);
}

/*
 * One id is mapped, so nothing can be given to anybody else. Package managers and archivers
 * that try are told that it worked, as in a container of "start" (runtime/seccomp.c).
 */
static void write_seccomp(struct json_writer *writer)
{
        static const char *const calls[] = {
                "chown",    "lchown",    "fchown",    "fchownat",  "setuid", "setgid",
                "setreuid", "setregid",  "setresuid", "setresgid", "setgroups",
        };

        json_write_object(writer, "seccomp");
        json_write_text(writer, "defaultAction", "SCMP_ACT_ALLOW");
        json_write_array(writer, "syscalls");
        json_write_object(writer, NULL);
        json_write_array(writer, "names");
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                json_write_text(writer, NULL, calls[i]);
        json_write_end(writer);
        json_write_text(writer, "action", "SCMP_ACT_ERRNO");
        json_write_number(writer, "errnoRet", 0);
        json_write_end(writer);
        json_write_end(writer);
        json_write_end(writer);
}

static void write_linux(struct json_writer *writer)
{
        static const char *const namespaces[] = { "user", "mount" };

        json_write_object(writer, "linux");
        write_map(writer, "uidMappings", geteuid());
        write_map(writer, "gidMappings", getegid());
        json_write_array(writer, "namespaces");
        for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
                json_write_object(writer, NULL);
                json_write_text(writer, "type", namespaces[i]);
                json_write_end(writer);
        }
        json_write_end(writer);
        write_seccomp(writer);
        json_write_end(writer);
}

static int write_config(const struct image_record *record, const struct image_config *image,
                        const struct oci_bundle_arguments *arguments, const struct config *config,
                        struct strbuf *text, struct error *err)
{
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersion", "1.0.2");
        if (write_process(&writer, image, arguments, config, err) < 0)
                return -1;
        json_write_object(&writer, "root");
        json_write_text(&writer, "path", "rootfs");
        json_write_bool(&writer, "readonly", false);
        json_write_end(&writer);
        if (write_mounts(&writer, arguments->mounts, err) < 0)
                return -1;
        json_write_object(&writer, "annotations");
        if (record->provenance)
                json_write_text(&writer, "enroot.provenance", record->provenance);
        for (size_t i = 0; i < image->label_count; i++)
                json_write_text(&writer, image->labels[i].key, image->labels[i].value);
        json_write_end(&writer);
        write_linux(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

/* ---- the directory ---- */

static int extract(const struct command_context *context, const char *path, int bundle_fd,
                   struct image_record *record, struct error *err)
{
        const struct unpack_options options = container_unpack_options(context);
        auto_close int image_fd = -1, rootfs_fd = -1;
        auto_squashfs_image struct squashfs_image *image = NULL;

        image_fd = container_open_image(path, &image, err);
        if (image_fd < 0 || record_read_image(image_fd, path, record, err) < 0)
                return -1;
        if (mkdirat(bundle_fd, "rootfs", 0755) < 0)
                return error_errno(err, "rootfs");
        rootfs_fd = openat(bundle_fd, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (rootfs_fd < 0)
                return error_errno(err, "rootfs");
        report_info(context->report, "Extracting squashfs filesystem...");
        return unpack_image(image, rootfs_fd, &options, err);
}

static int fill(const struct command_context *context,
                const struct oci_bundle_arguments *arguments, int bundle_fd, struct error *err)
{
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_image_config struct image_config image = { .architecture = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_close int fd = -1;

        if (extract(context, arguments->image, bundle_fd, &record, err) < 0)
                return -1;
        if (record.config &&
            image_config_parse(record.config, strlen(record.config), &image, err) < 0)
                return error_prefix(err, "%s", arguments->image);
        if (write_config(&record, &image, arguments, context->config, &text, err) < 0)
                return -1;
        fd = openat(bundle_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 || io_write_full(fd, text.data, text.length) < 0)
                return error_errno(err, "config.json");
        return 0;
}

int command_oci_bundle(const struct command_context *context,
                       const struct oci_bundle_arguments *arguments, struct error *err)
{
        auto_free char *path = path_absolute(arguments->directory, err);
        auto_temp_dir struct temp_dir dir = TEMP_DIR_INIT;
        auto_close int parent_fd = -1;
        char *name;

        if (!path)
                return -1;
        while (strlen(path) > 1 && path[strlen(path) - 1] == '/')
                path[strlen(path) - 1] = '\0';
        name = strrchr(path, '/') + 1;
        if (!*name)
                return error_set(err, EINVAL, "%s cannot be a bundle", arguments->directory);
        /* An empty directory may be there, as mktemp(1) makes it. */
        if (rmdir(path) < 0 && errno != ENOENT)
                return error_set(err, EEXIST, "%s exists and is not an empty directory",
                                 arguments->directory);
        name[-1] = '\0';
        parent_fd = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0)
                return error_errno(err, "%s", path);
        if (temp_dir_create(&dir, parent_fd, name, 0755, err) < 0 ||
            fill(context, arguments, dir.fd, err) < 0 ||
            temp_dir_publish(&dir, name, false, err) < 0)
                return error_prefix(err, "%s", arguments->directory);
        return 0;
}
