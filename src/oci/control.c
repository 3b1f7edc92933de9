/* start, kill, delete: what is done to a container that is there. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "oci/cgroup.h"
#include "oci/container.h"
#include "util/io.h"
#include "util/path.h"
#include "util/temp_file.h"

#define KILL_ROUNDS 1000 /* of 10 ms, in which a process that was killed must be gone */

int write_pid_file(const char *path, pid_t pid, struct error *err)
{
        const char *slash = path ? strrchr(path, '/') : NULL;
        auto_discard struct temp_file temp = TEMP_FILE_INIT;
        auto_free char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
        auto_close int dir_fd = -1;
        const char *name;
        char number[16];

        if (!path)
                return 0;
        if (!dir)
                return error_no_memory(err);
        name = slash ? slash + 1 : path;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return error_errno(err, "--pid-file %s", path);
        (void)snprintf(number, sizeof(number), "%d", pid);
        if (temp_file_create(&temp, dir_fd, name, 0644, err) < 0)
                return error_prefix(err, "--pid-file %s", path);
        if (io_write_full(temp.fd, number, strlen(number)) < 0)
                return error_errno(err, "--pid-file %s", path);
        return temp_file_publish(&temp, name, true, err) < 0
                       ? error_prefix(err, "--pid-file %s", path)
                       : 0;
}

int state_read_spec(const struct oci_state *state, struct oci_spec *ret, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (io_read_file(state->dir_fd, STATE_CONFIG, OCI_CONFIG_LIMIT, &text, err) < 0)
                return -1;
        return oci_spec_parse(strbuf_text(&text), text.length, state->bundle, ret, err);
}

/* ---- start ---- */

/* Let it go on; what it says is why it could not, and its end of the socket closes on exec. */
static int let_go(const struct oci_state *state, struct error *err)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct message message;
        ssize_t size;

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
                       state->dir_fd, STATE_SOCKET);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            send(fd, "s", 1, MSG_NOSIGNAL) != 1)
                return error_errno(err, "container %s: cannot reach its process", state->id);
        do
                size = recv(fd, &message, sizeof(message), 0);
        while (size < 0 && errno == EINTR);
        if (size == sizeof(message)) {
                *err = message.error;
                return -1;
        }
        return 0;
}

int oci_start(const char *root, const char *id, struct report *report, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        auto_close int root_fd = oci_state_open(root, id, &state, err);

        if (root_fd < 0)
                return -1;
        if (state.status != OCI_CREATED)
                return error_set(err, EINVAL, "container %s is %s: only one that is created can be "
                                              "started",
                                 id, oci_status_names[state.status]);
        if (state_read_spec(&state, &spec, err) < 0 || let_go(&state, err) < 0)
                return -1;
        (void)oci_state_status(&state);
        hooks_run_late(&spec.hooks[OCI_POSTSTART], &state, report);
        return 0;
}

/* ---- kill ---- */

/* Whether a process is in a mount namespace, and who it was then. */
static bool is_in(pid_t pid, const struct stat *namespace)
{
        char path[32];
        struct stat st;

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
        return stat(path, &st) == 0 && st.st_ino == namespace->st_ino &&
               st.st_dev == namespace->st_dev;
}

/* Call visit for the processes of a container; how often it was true, or -1 with *err. */
static int each_process(const struct oci_state *state, bool (*visit)(pid_t pid, void *context),
                        void *context, struct error *err)
{
        auto_closedir DIR *proc = opendir("/proc");
        const struct dirent *entry;
        struct stat namespace;
        char path[32];
        int count = 0;

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", state->pid);
        if (!proc || stat(path, &namespace) < 0)
                return error_errno(err, "container %s", state->id);
        /* Its first process still is the one: so is the namespace. */
        if (state_process_start(state->pid) != state->start)
                return 0;
        while ((entry = readdir(proc)) != NULL) {
                pid_t pid = atoi(entry->d_name); /* 0 for what is no process */

                if (pid > 0 && is_in(pid, &namespace) && visit(pid, context))
                        count++;
        }
        return count;
}

struct signalling {
        pid_t first; /* left out */
        int sig;
};

static bool send_signal(pid_t pid, void *context)
{
        const struct signalling *signalling = context;

        return pid != signalling->first && kill(pid, signalling->sig) == 0;
}

/* Signal all processes of the container but its first. Returns how many, or -1 with *err. */
static int kill_others(const struct oci_state *state, int sig, struct error *err)
{
        struct signalling signalling = { .first = state->pid, .sig = sig };

        return each_process(state, send_signal, &signalling, err);
}

struct found {
        pid_t **pids;
        size_t *count;
        bool failed;
};

static bool note(pid_t pid, void *context)
{
        struct found *found = context;
        pid_t *more = reallocarray(*found->pids, *found->count + 1, sizeof(*more));

        found->failed |= !more;
        if (!more)
                return false;
        *found->pids = more;
        more[(*found->count)++] = pid;
        return true;
}

int state_find_processes(const struct oci_state *state, pid_t **ret, size_t *ret_count,
                         struct error *err)
{
        struct found found = { .pids = ret, .count = ret_count };

        if (each_process(state, note, &found, err) < 0)
                return -1;
        return found.failed ? error_no_memory(err) : 0;
}

int oci_kill(const char *root, const char *id, int sig, bool all, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        auto_close int root_fd = oci_state_open(root, id, &state, err);

        if (root_fd < 0)
                return -1;
        if (state.status == OCI_STOPPED || state.pid == 0)
                return error_set(err, ESRCH, "container %s is not running", id);
        if (all && kill_others(&state, sig, err) < 0)
                return -1;
        if (state_signal(&state, sig, err) < 0)
                return -1;
        /* Frozen by cgroup version 1, it would not even die. */
        return sig == SIGKILL && state.status == OCI_PAUSED
                       ? cgroups_freeze(&state.cgroups, false, err)
                       : 0;
}

/* ---- delete ---- */

static void pause_round(void)
{
        const struct timespec pause = { .tv_nsec = 10000000 };

        (void)nanosleep(&pause, NULL);
}

/* End everything; its first process goes last, because it shows where the others are. */
static int end_processes(struct oci_state *state, struct error *err)
{
        struct error ignored = ERROR_INIT;
        int status, rounds = 0;

        if (state->status == OCI_PAUSED)
                (void)cgroups_freeze(&state->cgroups, false, &ignored);
        while (rounds < KILL_ROUNDS && kill_others(state, SIGKILL, &ignored) > 0 && rounds++ < 10)
                pause_round();
        if (state_signal(state, SIGKILL, err) < 0 && err->code != ESRCH)
                return -1;
        for (rounds = 0; rounds < KILL_ROUNDS; rounds++) {
                /* A child of ours, under "run". */
                (void)waitpid(state->pid, &status, WNOHANG);
                if (oci_state_status(state) == OCI_STOPPED)
                        return 0;
                pause_round();
        }
        return error_set(err, EBUSY, "container %s: process %d does not end", state->id,
                         state->pid);
}

/* What a killed creation has left of something that is no container, if anything. */
static int remove_remains(const char *root, const char *id, struct error *err)
{
        auto_close int root_fd = oci_root_find(root, err);

        if (root_fd >= 0)
                return state_remove(root_fd, id, err);
        if (err->code != ENOENT)
                return -1;
        *err = (struct error)ERROR_INIT;
        return 0;
}

int oci_delete(const char *root, const char *id, bool force, struct report *report,
               struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        auto_close int root_fd = -1;
        struct error ignored = ERROR_INIT;

        root_fd = oci_state_open(root, id, &state, err);
        if (root_fd < 0) {
                if (err->code != ENOENT || !force)
                        return -1;
                *err = (struct error)ERROR_INIT;
                return remove_remains(root, id, err);
        }
        if (!force && (state.status == OCI_RUNNING || state.status == OCI_PAUSED ||
                       state.status == OCI_CREATING))
                return error_set(err, EBUSY, "container %s is %s: kill it first, or use --force",
                                 id, oci_status_names[state.status]);
        if (state.status != OCI_STOPPED && state.pid > 0 && end_processes(&state, err) < 0)
                return -1;
        state.status = OCI_STOPPED;
        cgroups_remove(&state.cgroups);
        if (state_read_spec(&state, &spec, &ignored) == 0)
                hooks_run_late(&spec.hooks[OCI_POSTSTOP], &state, report);
        return state_remove(root_fd, id, err);
}
