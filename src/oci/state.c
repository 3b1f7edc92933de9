#include "oci/state.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "oci/cgroup.h"
#include "oci/spec.h"
#include "util/io.h"
#include "util/json_writer.h"
#include "util/path.h"
#include "util/temp_file.h"

#define STATE_LIMIT (4u << 20) /* bytes of state.json: annotations are in it */
#define STATE_FILE  "state.json"
#define LOCK_FILE   "lock"
#define BOOT_ID     "/proc/sys/kernel/random/boot_id"

const char *const oci_status_names[] = {
        [OCI_CREATING] = "creating",
        [OCI_CREATED] = "created",
        [OCI_RUNNING] = "running",
        [OCI_PAUSED] = "paused",
        [OCI_STOPPED] = "stopped",
};

void oci_state_release(struct oci_state *state)
{
        char *texts[] = { state->id,      state->bundle, state->rootfs,
                          state->version, state->owner,  state->created };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(texts[i]);
        strlist_release(&state->annotations);
        strlist_release(&state->cgroups);
        if (state->dir_fd >= 0)
                (void)close(state->dir_fd);
        if (state->lock_fd >= 0)
                (void)close(state->lock_fd);
        *state = (struct oci_state)OCI_STATE_INIT;
}

static int invalid_id(const char *id, struct error *err)
{
        return error_set(err, EINVAL, "\"%.100s\" is no name of a container", id);
}

/* ---- locks: a byte of the file each ---- */

static int lock_command(int fd, int command, enum state_lock which, short type)
{
        struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = which, .l_len = 1 };

        if (fcntl(fd, command, &lock) < 0)
                return -1;
        return lock.l_type != F_UNLCK;
}

int state_lock(int fd, enum state_lock which)
{
        return lock_command(fd, F_OFD_SETLK, which, F_WRLCK) < 0 ? -1 : 0;
}

static bool is_locked(int fd, enum state_lock which)
{
        return lock_command(fd, F_OFD_GETLK, which, F_WRLCK) > 0;
}

int state_open_lock(int dir_fd)
{
        return openat(dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* ---- processes ---- */

/* The 22nd field of proc_pid_stat(5), after a name that may hold anything; 0 without it. */
static uint64_t start_of(const char *stat_text)
{
        const char *field = strrchr(stat_text, ')');

        /* The third field, the state, comes next. */
        for (int i = 2; field && i < 22; i++) {
                field = strchr(field, ' ');
                field = field ? field + 1 : NULL;
                if (field && i == 2 && (*field == 'Z' || *field == 'X'))
                        return 0;
        }
        return field ? strtoull(field, NULL, 10) : 0;
}

uint64_t state_process_start(pid_t pid)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        if (io_read_file(-1, path, 4096, &text, &ignored) < 0)
                return 0;
        return start_of(strbuf_text(&text));
}

enum oci_status oci_state_status(struct oci_state *state)
{
        if (state->pid <= 0 || state_process_start(state->pid) != state->start)
                state->status = OCI_STOPPED;
        else if (is_locked(state->lock_fd, STATE_LOCK_CREATOR))
                state->status = OCI_CREATING;
        else
                state->status = cgroups_frozen(&state->cgroups)                   ? OCI_PAUSED
                                : is_locked(state->lock_fd, STATE_LOCK_WAITING) ? OCI_CREATED
                                                                                  : OCI_RUNNING;
        return state->status;
}

int state_signal(const struct oci_state *state, int sig, struct error *err)
{
        auto_close int pidfd = (int)syscall(SYS_pidfd_open, state->pid, 0);

        if (pidfd < 0 && errno == ENOSYS)
                return kill(state->pid, sig) < 0 ? error_errno(err, "process %d", state->pid) : 0;
        /* Looked at after it is held: the number means one process from here on. */
        if (pidfd < 0 || state_process_start(state->pid) != state->start)
                return error_set(err, ESRCH, "process %d has ended", state->pid);
        if (syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0)
                return error_errno(err, "process %d", state->pid);
        return 0;
}

/* ---- state.json ---- */

static int boot_id(struct strbuf *text, struct error *err)
{
        if (io_read_file(-1, BOOT_ID, 128, text, err) < 0)
                return -1;
        strbuf_truncate(text, strcspn(strbuf_text(text), "\n"));
        return 0;
}

/* A list of names and values in turn. */
static void write_pairs(struct json_writer *writer, const char *key, const struct strlist *pairs)
{
        json_write_object(writer, key);
        for (size_t i = 0; i + 1 < pairs->count; i += 2)
                json_write_text(writer, pairs->items[i], pairs->items[i + 1]);
        json_write_end(writer);
}

int oci_state_print(const struct oci_state *state, bool all, struct strbuf *text,
                    struct error *err)
{
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersion", state->version);
        json_write_text(&writer, "id", state->id);
        json_write_text(&writer, "status", oci_status_names[state->status]);
        json_write_number(&writer, "pid", state->status == OCI_STOPPED ? 0 : state->pid);
        json_write_text(&writer, "bundle", state->bundle);
        if (all) {
                json_write_text(&writer, "rootfs", state->rootfs);
                json_write_text(&writer, "created", state->created);
                json_write_text(&writer, "owner", state->owner);
        }
        if (state->annotations.count > 0)
                write_pairs(&writer, "annotations", &state->annotations);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}

int state_write(const struct oci_state *state, struct error *err)
{
        auto_discard struct temp_file temp = TEMP_FILE_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT, boot = STRBUF_INIT;
        struct json_writer writer = { .text = &text };
        char start[24];

        if (boot_id(&boot, err) < 0)
                return -1;
        (void)snprintf(start, sizeof(start), "%" PRIu64, state->start);
        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersion", state->version);
        json_write_text(&writer, "bundle", state->bundle);
        json_write_text(&writer, "rootfs", state->rootfs);
        json_write_text(&writer, "created", state->created);
        json_write_text(&writer, "owner", state->owner);
        json_write_text(&writer, "boot", strbuf_text(&boot));
        json_write_number(&writer, "pid", state->pid);
        json_write_text(&writer, "start", start);
        write_pairs(&writer, "annotations", &state->annotations);
        write_pairs(&writer, "cgroups", &state->cgroups);
        json_write_bool(&writer, "ownKeyring", state->own_keyring);
        json_write_end(&writer);
        if (text.failed)
                return error_no_memory(err);
        if (temp_file_create(&temp, state->dir_fd, STATE_FILE, 0600, err) < 0)
                return -1;
        if (io_write_full(temp.fd, text.data, text.length) < 0)
                return error_errno(err, STATE_FILE);
        return temp_file_publish(&temp, STATE_FILE, true, err);
}

static int parse(const char *text, size_t length, struct oci_state *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_strbuf struct strbuf boot = STRBUF_INIT;
        const char *boot_then = NULL, *start = NULL;
        int64_t pid;

        if (!root || boot_id(&boot, err) < 0 ||
            spec_text(root, "ociVersion", &ret->version, err) < 0 ||
            spec_text(root, "bundle", &ret->bundle, err) < 0 ||
            spec_text(root, "rootfs", &ret->rootfs, err) < 0 ||
            spec_text(root, "created", &ret->created, err) < 0 ||
            spec_text(root, "owner", &ret->owner, err) < 0 ||
            json_node_text(root, "boot", &boot_then, err) < 0 ||
            json_node_text(root, "start", &start, err) < 0 ||
            spec_pairs(root, "annotations", &ret->annotations, err) < 0 ||
            spec_pairs(root, "cgroups", &ret->cgroups, err) < 0 ||
            spec_bool(root, "ownKeyring", &ret->own_keyring, err) < 0)
                return -1;
        /* A process id of before a reboot is nobody's. */
        if (boot_then && start && strcmp(boot_then, strbuf_text(&boot)) == 0 &&
            json_node_integer(root, "pid", &pid) && pid > 0 && pid <= INT32_MAX) {
                ret->pid = (pid_t)pid;
                ret->start = strtoull(start, NULL, 10);
        }
        return 0;
}

static int not_found(const char *id, struct error *err)
{
        return error_set(err, ENOENT, "container %s does not exist", id);
}

/* An open directory of a container: what is in it. ENOENT: its creation never came so far. */
static int load(struct oci_state *state, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        state->lock_fd = state_open_lock(state->dir_fd);
        if (state->lock_fd < 0)
                return error_errno(err, "container %s", state->id);
        if (io_read_file(state->dir_fd, STATE_FILE, STATE_LIMIT, &text, err) < 0) {
                /* On its way: a process will be known in a moment. */
                if (err->code == ENOENT && is_locked(state->lock_fd, STATE_LOCK_CREATOR)) {
                        state->status = OCI_CREATING;
                        return 0;
                }
                return -1;
        }
        if (parse(strbuf_text(&text), text.length, state, err) < 0)
                return error_prefix(err, "container %s: " STATE_FILE, state->id);
        (void)oci_state_status(state);
        return 0;
}

int oci_state_open(const char *root, const char *id, struct oci_state *ret, struct error *err)
{
        auto_close int root_fd = -1;

        if (!oci_id_valid(id))
                return invalid_id(id, err);
        root_fd = oci_root_find(root, err);
        if (root_fd < 0)
                return err->code == ENOENT ? not_found(id, err) : -1;
        return oci_state_load(root_fd, id, ret, err) < 0 ? -1 : TAKE_FD(root_fd);
}

int oci_state_load(int root_fd, const char *id, struct oci_state *ret, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;

        if (!oci_id_valid(id))
                return invalid_id(id, err);
        state.id = strdup(id);
        if (!state.id)
                return error_no_memory(err);
        state.dir_fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (state.dir_fd < 0)
                return errno == ENOENT ? not_found(id, err) : error_errno(err, "container %s", id);
        if (load(&state, err) < 0)
                return err->code == ENOENT ? not_found(id, err) : -1;
        *ret = TAKE(state, ((struct oci_state)OCI_STATE_INIT));
        return 0;
}

int oci_state_ids(int root_fd, struct strlist *ids, struct error *err)
{
        auto_close int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_closedir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (!dir)
                return error_errno(err, "the directory of containers");
        (void)TAKE_FD(fd); /* the stream's now */
        while ((entry = readdir(dir)) != NULL)
                if (oci_id_valid(entry->d_name) && strlist_append(ids, entry->d_name) < 0)
                        return error_no_memory(err);
        strlist_sort(ids);
        return 0;
}

/* ---- making and removing ---- */

static int become_owner(const struct stat *st, const char *root, struct error *err)
{
        if (st->st_uid == geteuid())
                return 0;
        if (geteuid() != 0)
                return error_set(err, EPERM, "%s belongs to another user", root);
        if (setgroups(0, NULL) < 0 || setresgid(st->st_gid, st->st_gid, st->st_gid) < 0 ||
            setresuid(st->st_uid, st->st_uid, st->st_uid) < 0)
                return error_errno(err, "%s: cannot become its owner", root);
        return 0;
}

int oci_root_find(const char *root, struct error *err)
{
        auto_close int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, "%s", root);
        return become_owner(&st, root, err) < 0 ? -1 : TAKE_FD(fd);
}

int oci_root_open(const char *root, struct error *err)
{
        if (path_make_private_dirs(root, 0700, err) < 0)
                return -1;
        return oci_root_find(root, err);
}

static int set_facts(struct oci_state *state, const char *id, struct error *err)
{
        const struct passwd *account = getpwuid(geteuid());
        time_t now = time(NULL);
        struct tm utc;
        char created[32];

        if (!gmtime_r(&now, &utc) ||
            strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
                return error_set(err, EOVERFLOW, "the time of day");
        state->id = strdup(id);
        state->created = strdup(created);
        state->owner = strdup(account ? account->pw_name : "");
        return state->id && state->created && state->owner ? 0 : error_no_memory(err);
}

/* What a creation that was killed has left of a container; EEXIST for any other. */
static int remove_unfinished(int root_fd, const char *id, struct error *err)
{
        auto_oci_state struct oci_state old = OCI_STATE_INIT;

        if (oci_state_load(root_fd, id, &old, err) < 0) {
                if (err->code != ENOENT)
                        return -1;
                return path_remove_tree(root_fd, id, err);
        }
        return error_set(err, EEXIST, "container %s exists (%s)", id, oci_status_names[old.status]);
}

static int make_directory(int root_fd, const char *id, struct oci_state *state, struct error *err)
{
        if (mkdirat(root_fd, id, 0700) < 0) {
                if (errno != EEXIST)
                        return error_errno(err, "container %s", id);
                if (remove_unfinished(root_fd, id, err) < 0)
                        return -1;
                if (mkdirat(root_fd, id, 0700) < 0)
                        return error_errno(err, "container %s", id);
        }
        state->dir_fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (state->dir_fd < 0)
                return error_errno(err, "container %s", id);
        state->lock_fd = state_open_lock(state->dir_fd);
        if (state->lock_fd < 0 || state_lock(state->lock_fd, STATE_LOCK_CREATOR) < 0)
                return error_errno(err, "container %s: lock", id);
        return 0;
}

int state_create(int root_fd, const char *id, struct oci_state *ret, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        int result;

        if (!oci_id_valid(id))
                return invalid_id(id, err);
        if (set_facts(&state, id, err) < 0)
                return -1;
        /* Between the directory and its lock it looks unfinished: nobody else may look then. */
        if (flock(root_fd, LOCK_EX) < 0)
                return error_errno(err, "the directory of containers: lock");
        result = make_directory(root_fd, id, &state, err);
        (void)flock(root_fd, LOCK_UN);
        if (result < 0)
                return -1;
        *ret = TAKE(state, ((struct oci_state)OCI_STATE_INIT));
        return 0;
}

int state_remove(int root_fd, const char *id, struct error *err)
{
        int result;

        if (flock(root_fd, LOCK_EX) < 0)
                return error_errno(err, "the directory of containers: lock");
        result = path_remove_tree(root_fd, id, err);
        (void)flock(root_fd, LOCK_UN);
        return result;
}
