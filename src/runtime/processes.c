/*
 * What runs in containers, read from /proc as an ordinary user.
 *
 * How a process is recognised. It is in another mount namespace than this one, and
 *   - its root is the directory of a container in ENROOT_DATA_PATH: the same device and
 *     inode, whatever path the start used, and whoever started it (the classic tool, too);
 *   - or its root mount has a source that names what was started (image.c), which is how
 *     a start from an image file shows, and any other whose root is no plain directory.
 *     A source that is a directory of ENROOT_DATA_PATH is that container;
 *   - or its root has the marker /.lock, which every start leaves, and the classic tool
 *     looks for: a container of another data path.
 * Processes of other users cannot be looked into, and so are never in the list.
 *
 * /proc/PID is opened once, and everything is read below that descriptor: numbers are
 * given to other processes again, the descriptor is not.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/container.h"
#include "runtime/proc_text.h"
#include "util/io.h"
#include "util/path.h"

/* Limits on files of /proc, in bytes. execve(2) takes no more than 6 MiB of arguments. */
#define STAT_LIMIT      4096u
#define CMDLINE_LIMIT   (8u << 20)
#define MOUNTINFO_LIMIT (16u << 20)

/* The directory of a container. */
struct place {
        char *name;
        dev_t device;
        ino_t inode;
};

struct scan {
        const char *data_path;
        char *real_data_path; /* without links; NULL when there is none */
        uint64_t own_namespace;
        struct stat own_root;
        struct place *places; /* read when there is something to compare with */
        size_t place_count;
        bool has_places;
        struct timespec now, since_boot;
        struct runtime_processes *found;
};

static void process_release(struct runtime_process *process)
{
        free(process->container);
        free(process->image);
        free(process->comm);
        free(process->state);
        strlist_release(&process->command);
}

void runtime_processes_release(struct runtime_processes *processes)
{
        for (size_t i = 0; i < processes->count; i++)
                process_release(&processes->items[i]);
        free(processes->items);
        *processes = (struct runtime_processes){ .items = NULL };
}

static void scan_release(struct scan *scan)
{
        for (size_t i = 0; i < scan->place_count; i++)
                free(scan->places[i].name);
        free(scan->places);
        free(scan->real_data_path);
}

/* ---- containers ---- */

static int add_place(struct scan *scan, const char *name, const struct stat *st)
{
        struct place *grown =
                reallocarray(scan->places, scan->place_count + 1, sizeof(*scan->places));

        if (!grown)
                return -1;
        scan->places = grown;
        grown[scan->place_count] = (struct place){
                .name = strdup(name),
                .device = st->st_dev,
                .inode = st->st_ino,
        };
        return grown[scan->place_count].name ? (scan->place_count++, 0) : -1;
}

static int read_places(struct scan *scan, struct error *err)
{
        auto_closedir DIR *dir = opendir(scan->data_path);
        const struct dirent *entry;

        scan->has_places = true;
        while (dir && (entry = readdir(dir)) != NULL) {
                struct stat st;

                if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 ||
                    !S_ISDIR(st.st_mode))
                        continue;
                if (add_place(scan, entry->d_name, &st) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* ---- one process ---- */

/* The inode number in "mnt:[4026531840]", or 0. */
static uint64_t namespace_of(int dir_fd, const char *file)
{
        char text[64];
        ssize_t length = readlinkat(dir_fd, file, text, sizeof(text) - 1);
        const char *number;

        if (length <= 0)
                return 0;
        text[length] = '\0';
        number = strchr(text, '[');
        return number ? strtoull(number + 1, NULL, 10) : 0;
}

/* The source of the root mount behind its mark, or NULL. malloc'd. */
static char *started_path(int process_fd)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        auto_free char *source = NULL;
        size_t mark = strlen(ROOT_MOUNT_SOURCE);

        if (io_read_file(process_fd, "mountinfo", MOUNTINFO_LIMIT, &text, &ignored) < 0)
                return NULL;
        source = proc_root_source(strbuf_text(&text));
        if (!source || strncmp(source, ROOT_MOUNT_SOURCE "/", mark + 1) != 0)
                return NULL;
        return strdup(source + mark);
}

/* The name if the path is that of a container in the data path, or NULL. */
static const char *name_of_path(const struct scan *scan, const char *path)
{
        const char *dirs[] = { scan->data_path, scan->real_data_path };

        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                size_t length = dirs[i] ? strlen(dirs[i]) : 0;

                if (length == 0 || strncmp(path, dirs[i], length) != 0 || path[length] != '/')
                        continue;
                for (size_t at = 0; at < scan->place_count; at++)
                        if (strcmp(scan->places[at].name, path + length + 1) == 0)
                                return scan->places[at].name;
        }
        return NULL;
}

/* Fill container or image. Returns 1, 0 for a process in no container, or -1 with *err. */
static int recognise(struct scan *scan, int process_fd, struct runtime_process *process,
                     struct error *err)
{
        auto_free char *path = NULL;
        const char *name = NULL;
        struct stat root;

        if (fstatat(process_fd, "root", &root, 0) < 0 ||
            (root.st_dev == scan->own_root.st_dev && root.st_ino == scan->own_root.st_ino))
                return 0;
        if (!scan->has_places && read_places(scan, err) < 0)
                return -1;
        for (size_t i = 0; i < scan->place_count && !name; i++)
                if (scan->places[i].device == root.st_dev && scan->places[i].inode == root.st_ino)
                        name = scan->places[i].name;
        if (!name) {
                path = started_path(process_fd);
                name = path ? name_of_path(scan, path) : NULL;
        }
        if (name) {
                process->container = strdup(name);
                return process->container ? 1 : error_no_memory(err);
        }
        if (path) {
                process->image = TAKE_PTR(path);
                return 1;
        }
        return faccessat(process_fd, "root/.lock", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* As ps(1) has it, less "L", which it reads another file for. malloc'd, or NULL. */
static char *state_text(const struct proc_stat *stat, pid_t pid)
{
        char *text;

        if (asprintf(&text, "%c%s%s%s%s", stat->state,
                     stat->nice < 0   ? "<"
                     : stat->nice > 0 ? "N"
                                      : "",
                     stat->session == pid ? "s" : "", stat->threads > 1 ? "l" : "",
                     stat->foreground == stat->group ? "+" : "") < 0)
                return NULL;
        return text;
}

static int read_command(int process_fd, struct strlist *command, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        /* One that ends meanwhile has no command any more, as one that never had. */
        if (io_read_file(process_fd, "cmdline", CMDLINE_LIMIT, &text, &ignored) < 0)
                return 0;
        for (size_t at = 0; at < text.length;) {
                size_t length = strnlen(text.data + at, text.length - at);

                if (strlist_append_mem(command, text.data + at, length) < 0)
                        return error_no_memory(err);
                at += length + 1;
        }
        return 0;
}

static int fill(const struct scan *scan, int process_fd, const struct proc_stat *stat,
                struct runtime_process *process, struct error *err)
{
        uint64_t started = stat->start / (uint64_t)sysconf(_SC_CLK_TCK);
        uint64_t now = (uint64_t)scan->since_boot.tv_sec;

        process->start = stat->start;
        process->elapsed = now > started ? now - started : 0;
        process->started = scan->now.tv_sec - (time_t)process->elapsed;
        process->user_namespace = namespace_of(process_fd, "ns/user");
        process->comm = strdup(stat->comm);
        process->state = state_text(stat, process->pid);
        if (!process->comm || !process->state)
                return error_no_memory(err);
        return read_command(process_fd, &process->command, err);
}

/* ---- the list ---- */

/* Keep the process if its namespace is new, or if it is the oldest one there so far. */
static int keep_oldest(struct scan *scan, struct runtime_process *process, struct error *err)
{
        struct runtime_processes *found = scan->found;

        for (size_t i = 0; i < found->count; i++) {
                struct runtime_process *other = &found->items[i];

                if (other->mount_namespace != process->mount_namespace)
                        continue;
                if (other->start < process->start ||
                    (other->start == process->start && other->pid < process->pid))
                        return 0;
                process_release(other);
                *other = TAKE(*process, (struct runtime_process){ .pid = 0 });
                return 0;
        }
        if (found->count == found->capacity) {
                size_t capacity = found->capacity ? 2 * found->capacity : 16;
                struct runtime_process *grown =
                        reallocarray(found->items, capacity, sizeof(*found->items));

                if (!grown)
                        return error_no_memory(err);
                found->items = grown;
                found->capacity = capacity;
        }
        found->items[found->count++] = TAKE(*process, (struct runtime_process){ .pid = 0 });
        return 0;
}

/* Whether the process may be looked into, and is somewhere else. One system call. */
static bool is_elsewhere(const struct scan *scan, int proc_fd, const char *name)
{
        char path[sizeof("2147483647/ns/mnt")];
        uint64_t number;

        if ((size_t)snprintf(path, sizeof(path), "%s/ns/mnt", name) >= sizeof(path))
                return false;
        number = namespace_of(proc_fd, path);
        return number != 0 && number != scan->own_namespace;
}

static int look_at(struct scan *scan, int proc_fd, const char *name, struct error *err)
{
        auto_cleanup(process_release) struct runtime_process process = { .pid = atoi(name) };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_close int fd = -1;
        struct error ignored = ERROR_INIT;
        struct proc_stat stat;
        int found;

        if (!is_elsewhere(scan, proc_fd, name))
                return 0;
        fd = openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        process.mount_namespace = namespace_of(fd, "ns/mnt");
        if (process.mount_namespace == 0 || process.mount_namespace == scan->own_namespace)
                return 0;
        found = recognise(scan, fd, &process, err);
        if (found <= 0)
                return found;
        if (io_read_file(fd, "stat", STAT_LIMIT, &text, &ignored) < 0 ||
            !proc_stat_parse(strbuf_text(&text), &stat))
                return 0;
        if (fill(scan, fd, &stat, &process, err) < 0)
                return -1;
        return keep_oldest(scan, &process, err);
}

static int compare_names(const char *a, const char *b)
{
        if (!a || !b)
                return (a == NULL) - (b == NULL);
        return strcmp(a, b);
}

static int by_container_and_age(const void *a, const void *b)
{
        const struct runtime_process *left = a, *right = b;
        int order = compare_names(left->container, right->container);

        if (order == 0)
                order = compare_names(left->image, right->image);
        if (order == 0)
                order = (left->start > right->start) - (left->start < right->start);
        return order ? order : (left->pid > right->pid) - (left->pid < right->pid);
}

int runtime_processes_read(const char *data_path, struct runtime_processes *ret, struct error *err)
{
        auto_closedir DIR *dir = opendir("/proc");
        auto_close int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        auto_cleanup(scan_release) struct scan scan = { .data_path = data_path, .found = ret };
        const struct dirent *entry;

        *ret = (struct runtime_processes){ .items = NULL };
        if (!dir || self < 0 || stat("/", &scan.own_root) < 0)
                return error_errno(err, "/proc");
        scan.real_data_path = realpath(data_path, NULL);
        scan.own_namespace = namespace_of(self, "ns/mnt");
        (void)clock_gettime(CLOCK_REALTIME, &scan.now);
        (void)clock_gettime(CLOCK_BOOTTIME, &scan.since_boot);
        while ((entry = readdir(dir)) != NULL) {
                if (!isdigit((unsigned char)entry->d_name[0]))
                        continue;
                if (look_at(&scan, dirfd(dir), entry->d_name, err) < 0) {
                        runtime_processes_release(ret);
                        return -1;
                }
        }
        if (ret->count > 0)
                qsort(ret->items, ret->count, sizeof(*ret->items), by_container_and_age);
        return 0;
}

const struct runtime_process *runtime_processes_of(const struct runtime_processes *processes,
                                                   const char *container, size_t *ret_count)
{
        const struct runtime_process *first = NULL;

        *ret_count = 0;
        for (size_t i = 0; i < processes->count; i++) {
                const struct runtime_process *process = &processes->items[i];

                if (!process->container || strcmp(process->container, container) != 0)
                        continue;
                if (!first)
                        first = process;
                ++*ret_count;
        }
        return first;
}
