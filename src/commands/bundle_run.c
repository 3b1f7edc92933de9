/*
 * What a bundle does when it runs: it finds out how its image can be reached, puts its
 * configuration where only the container's start sees it, and starts.
 *
 * Nothing of a bundle that mounts itself is ever on the disk. One that is extracted
 * without --keep stays behind its command, to remove the files again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <linux/magic.h>

#include "bundle/bundle.h"
#include "commands/container.h"
#include "commands/start.h"
#include "env/env.h"
#include "squashfs/squashfs.h"
#include "unpack/unpack.h"
#include "util/io.h"
#include "util/path.h"
#include "util/temp_dir.h"
#include "util/temp_file.h"

/* Of the runtime directory: what the bundle brings along. */
#define FILES_DIRECTORY "bundle"

/* Of an extracted tree: the same, for whoever wants to see it. Exports leave it out. */
#define KEPT_DIRECTORY ".enroot"

#define FILESYSTEMS_LIMIT (64u << 10) /* bytes of /proc/filesystems */

/* ---- environment ---- */

/* Make a directory that nobody else can change or replace, or see that it is one. */
static int make_private(const char *path, struct error *err)
{
        struct stat st;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return error_errno(err, "cannot create the directory %s", path);
        if (lstat(path, &st) < 0)
                return error_errno(err, "%s", path);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
                return error_set(err, EPERM,
                                 "%s is not a directory of this user alone; remove it, or set "
                                 "ENROOT_RUNTIME_PATH",
                                 path);
        return 0;
}

/*
 * Where the runtime directory is. A machine that enroot was never installed on has none for
 * it, and a batch job often not even the one of XDG_RUNTIME_DIR. malloc'd; NULL with *err.
 */
static char *choose_runtime_path(const struct strlist *environment, struct error *err)
{
        const char *given = env_get(environment, "ENROOT_RUNTIME_PATH");
        const char *session = env_get(environment, "XDG_RUNTIME_DIR");
        const char *temp = env_get(environment, "TMPDIR");
        auto_free char *path = NULL;

        if (given && *given)
                path = strdup(given);
        else if (session && *session && access(session, W_OK | X_OK) == 0)
                path = path_join(session, "enroot");
        else if (asprintf(&path, "%s/enroot-%u", temp && *temp ? temp : "/tmp", geteuid()) < 0)
                path = NULL;
        else if (make_private(path, err) < 0)
                return NULL;
        if (!path)
                error_no_memory(err);
        return TAKE_PTR(path);
}

static int set_joined(struct strlist *environment, const char *name, const char *directory,
                      const char *below, struct error *err)
{
        auto_free char *path = path_join(directory, below);

        if (!path || env_set(environment, name, path) < 0)
                return error_no_memory(err);
        return 0;
}

/* Hooks call programs by their names. */
static int prepend_path(struct strlist *environment, const char *directory, struct error *err)
{
        const char *old = env_get(environment, "PATH");
        auto_free char *path = NULL;

        if (asprintf(&path, "%s/bin:%s", directory,
                     old && *old ? old : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") < 0) {
                path = NULL;
                return error_no_memory(err);
        }
        return env_set(environment, "PATH", path) < 0 ? error_no_memory(err) : 0;
}

static int add_settings(const struct bundle *bundle, struct strlist *environment,
                        struct error *err)
{
        for (size_t i = 0; i < bundle->settings.count; i++) {
                const char *setting = bundle->settings.items[i], *equals = strchr(setting, '=');
                auto_free char *name = strndup(setting, (size_t)(equals - setting));
                const char *own = name ? env_get(environment, name) : NULL;

                if (!name || ((!own || !*own) && env_set(environment, name, equals + 1) < 0))
                        return error_no_memory(err);
        }
        return 0;
}

int command_bundle_environment(const struct bundle *bundle, char *const *environment,
                               struct strlist *ret, struct error *err)
{
        auto_free char *runtime_path = NULL, *directory = NULL;

        for (; *environment; environment++)
                if (strlist_append(ret, *environment) < 0)
                        return error_no_memory(err);
        runtime_path = choose_runtime_path(ret, err);
        if (!runtime_path)
                return -1;
        directory = path_join(runtime_path, FILES_DIRECTORY);
        if (!directory || env_set(ret, "ENROOT_RUNTIME_PATH", runtime_path) < 0)
                return error_no_memory(err);
        if (set_joined(ret, "ENROOT_SYSCONF_PATH", directory, BUNDLE_SYSTEM, err) < 0 ||
            set_joined(ret, "ENROOT_CONFIG_PATH", directory, BUNDLE_USER, err) < 0 ||
            set_joined(ret, "ENROOT_LIBRARY_PATH", directory, "lib", err) < 0 ||
            prepend_path(ret, directory, err) < 0)
                return -1;
        return add_settings(bundle, ret, err);
}

/* ---- the files that it brings along ---- */

static int lay_down_at(const struct bundle *bundle, int dir_fd, const char *name,
                       struct error *err)
{
        auto_close int fd = -1;

        if (mkdirat(dir_fd, name, 0755) < 0)
                return error_errno(err, "cannot create the directory %s", name);
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, "%s", name);
        return bundle_lay_down(bundle, fd, err);
}

/* The bundle is these programs, too, by their names. */
static int link_programs(const char *path, int dir_fd, struct error *err)
{
        static const char *const names[] = {
                FILES_DIRECTORY "/bin/enroot-mount",
                FILES_DIRECTORY "/bin/enroot-nsenter",
                FILES_DIRECTORY "/bin/enroot-switchroot",
        };

        if (mkdirat(dir_fd, FILES_DIRECTORY "/bin", 0755) < 0)
                return error_errno(err, FILES_DIRECTORY "/bin");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (symlinkat(path, dir_fd, names[i]) < 0)
                        return error_errno(err, "%s", names[i]);
        return 0;
}

/* For runtime_start. */
static int lay_down(void *context, const char *directory, struct error *err)
{
        const struct bundle_run_arguments *arguments = context;
        auto_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, "%s", directory);
        if (lay_down_at(arguments->bundle, fd, FILES_DIRECTORY, err) < 0 ||
            link_programs(arguments->path, fd, err) < 0)
                return error_prefix(err, "%s", directory);
        return 0;
}

/* ---- how the image is reached ---- */

static struct runtime_start prepare_start(const struct bundle_run_arguments *arguments,
                                          const struct bundle_place *place)
{
        return (struct runtime_start){
                .rootfs = place->rootfs ? place->rootfs : arguments->path,
                .image = !place->rootfs,
                .image_offset = place->rootfs ? 0 : arguments->bundle->image_offset,
                .stay = place->temporary,
                .lay_down = lay_down,
                .lay_down_context = (void *)arguments,
        };
}

/* Whether overlayfs over FUSE is certain to work for users: it came with Linux 5.11. */
static bool is_known_to_mount(void)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        unsigned int major, minor;
        struct utsname name;

        return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
               (major > 5 || (major == 5 && minor >= 11)) &&
               io_read_file(AT_FDCWD, "/proc/filesystems", FILESYSTEMS_LIMIT, &text, &ignored) ==
                       0 &&
               strstr(strbuf_text(&text), "\toverlay\n") && strstr(strbuf_text(&text), "\tfuse\n");
}

/* Go the way of a start in a child, as far as the root. */
static int try_mount(const struct command_context *context,
                     const struct bundle_run_arguments *arguments, struct error *err)
{
        const struct bundle_place mounted = BUNDLE_PLACE_INIT;
        struct runtime_start start = prepare_start(arguments, &mounted);
        int status = 0;
        pid_t child = fork();

        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0) {
                struct statfs st;

                start.lay_down = NULL;
                _exit(runtime_try(&start, context->config, err) < 0 || statfs(".", &st) < 0 ||
                      st.f_type != OVERLAYFS_SUPER_MAGIC);
        }
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, "cannot wait for a process");
        return status == 0 ? 0
                           : error_set(err, ENOTSUP, "FUSE and overlayfs are not for users here");
}

/* Whether the bundle can mount itself: 0, or -1 with why not. */
static int check_mount(const struct command_context *context,
                       const struct bundle_run_arguments *arguments, struct error *err)
{
        auto_close int fuse_fd = -1;

        if (!context->config->native_overlayfs)
                return error_set(err, ENOTSUP, "ENROOT_NATIVE_OVERLAYFS=no");
        fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (fuse_fd < 0)
                return error_errno(err, "/dev/fuse");
        return is_known_to_mount() ? 0 : try_mount(context, arguments, err);
}

void command_bundle_place_release(struct bundle_place *place)
{
        free(TAKE_PTR(place->directory));
        free(TAKE_PTR(place->rootfs));
}

/* The directory of --keep, with the variables of this machine in its name. */
static int place_target(const struct config *config, const char *target, struct bundle_place *ret,
                        struct error *err)
{
        auto_free char *expanded = config_expand(target, &config->environment, err);
        size_t length = expanded ? strlen(expanded) : 0;

        if (!expanded)
                return error_prefix(err, "target directory %s", target);
        while (length > 1 && expanded[length - 1] == '/')
                expanded[--length] = '\0';
        ret->directory = path_absolute(expanded, err);
        if (!ret->directory)
                return -1;
        if (access(ret->directory, F_OK) == 0)
                return error_set(err, EEXIST, "File already exists: %s", ret->directory);
        ret->rootfs = strdup(ret->directory);
        return ret->rootfs ? 0 : error_no_memory(err);
}

static int place_temporary(const struct config *config, struct bundle_place *ret,
                           struct error *err)
{
        auto_free char *name = temp_file_random_name("enroot-bundle");
        auto_free char *directory = name ? path_join(config->temp_path, name) : NULL;

        ret->temporary = true;
        ret->directory = directory ? path_absolute(directory, err) : NULL;
        ret->rootfs = ret->directory ? path_join(ret->directory, "rootfs") : NULL;
        return ret->rootfs ? 0 : error_no_memory(err);
}

int command_bundle_place(const struct command_context *context,
                         const struct bundle_run_arguments *arguments, struct bundle_place *ret,
                         struct error *err)
{
        const char *target = arguments->target ? arguments->target : arguments->bundle->target;
        struct error reason = ERROR_INIT;

        if (arguments->start.dry_run)
                return 0;
        if (arguments->keep)
                return place_target(context->config, target, ret, err);
        if (check_mount(context, arguments, &reason) == 0)
                return 0;
        if (arguments->start.overlay)
                return error_set(err, reason.code, "--overlay %s: %s", arguments->start.overlay,
                                 reason.message);
        if (place_temporary(context->config, ret, err) < 0)
                return -1;
        if (!arguments->quiet)
                report_info(context->report, "The bundle cannot mount itself (%s), extracting it",
                            reason.message);
        return 0;
}

/* ---- extraction ---- */

static int extract(const struct command_context *context,
                   const struct bundle_run_arguments *arguments, int dir_fd,
                   const struct bundle_place *place, struct error *err)
{
        const struct bundle *bundle = arguments->bundle;
        const struct unpack_options options = container_unpack_options(context);
        auto_squashfs_image struct squashfs_image *image =
                squashfs_open_at(arguments->fd, bundle->image_offset, arguments->path, err);

        if (!image || io_check_space(dir_fd, place->directory, bundle->content_size,
                                     arguments->keep ? "choose another place with --target"
                                                     : "set ENROOT_TEMP_PATH to another place",
                                     err) < 0)
                return -1;
        return unpack_image(image, dir_fd, &options, err);
}

/* A temporary tree has a directory around it that only the user can enter. */
static int fill(const struct command_context *context,
                const struct bundle_run_arguments *arguments, const struct temp_dir *dir,
                const struct bundle_place *place, struct error *err)
{
        auto_close int rootfs = -1;

        if (!place->temporary) {
                if (extract(context, arguments, dir->fd, place, err) < 0)
                        return -1;
                return lay_down_at(arguments->bundle, dir->fd, KEPT_DIRECTORY, err);
        }
        if (mkdirat(dir->fd, "rootfs", 0700) < 0)
                return error_errno(err, "cannot create the directory");
        rootfs = openat(dir->fd, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (rootfs < 0)
                return error_errno(err, "rootfs");
        return extract(context, arguments, rootfs, place, err);
}

int command_bundle_extract(const struct command_context *context,
                           const struct bundle_run_arguments *arguments,
                           const struct bundle_place *place, struct error *err)
{
        const char *name = strrchr(place->directory, '/') + 1;
        auto_free char *parent = strndup(place->directory, (size_t)(name - place->directory));
        auto_close int parent_fd = -1;
        auto_temp_dir struct temp_dir dir = TEMP_DIR_INIT;

        if (!parent)
                return error_no_memory(err);
        if (command_enter_subids(context, err) < 0 ||
            path_make_private_dirs(parent, 0755, err) < 0)
                return -1;
        parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent_fd < 0)
                return error_errno(err, "%s", parent);
        if (temp_dir_create(&dir, parent_fd, name, 0700, err) < 0 ||
            fill(context, arguments, &dir, place, err) < 0 ||
            temp_dir_publish(&dir, name, false, err) < 0)
                return error_prefix(err, "extract to %s", place->directory);
        return 0;
}

/* ---- the start ---- */

/* What would be done, with the bundle's files where they are for a moment. */
static int print_plan(const struct command_context *context,
                      const struct bundle_run_arguments *arguments, struct runtime_start *start,
                      struct error *err)
{
        auto_close int temp_fd = open(context->config->temp_path,
                                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_temp_dir struct temp_dir dir = TEMP_DIR_INIT;
        auto_free char *system = NULL, *user = NULL;
        struct config config = *context->config;
        const struct command_context here = { .config = &config, .report = context->report };

        if (temp_fd < 0)
                return error_errno(err, "ENROOT_TEMP_PATH %s", config.temp_path);
        if (temp_dir_create(&dir, temp_fd, "enroot-bundle", 0700, err) < 0 ||
            bundle_lay_down(arguments->bundle, dir.fd, err) < 0)
                return error_prefix(err, "ENROOT_TEMP_PATH %s", config.temp_path);
        if (asprintf(&system, "%s/%s/" BUNDLE_SYSTEM, config.temp_path, dir.name) < 0)
                system = NULL;
        if (asprintf(&user, "%s/%s/" BUNDLE_USER, config.temp_path, dir.name) < 0)
                user = NULL;
        if (!system || !user)
                return error_no_memory(err);
        config.sysconf_path = system;
        config.config_path = user;
        return start_rootfs(&here, &arguments->start, start, NULL, err);
}

int command_bundle_start(const struct command_context *context,
                         const struct bundle_run_arguments *arguments,
                         const struct bundle_place *place, int *ret_status, struct error *err)
{
        struct runtime_start start = prepare_start(arguments, place);
        struct error ignored = ERROR_INIT;
        pid_t self = getpid();
        int result;

        if (arguments->start.dry_run)
                return print_plan(context, arguments, &start, err);
        result = start_rootfs(context, &arguments->start, &start, ret_status, err);
        /* Not in a child that failed: its parent goes the same way. */
        if (place->temporary && getpid() == self)
                (void)container_remove_tree(context->config, AT_FDCWD, place->directory, &ignored);
        return result;
}
