/* list --json: see enroot-list(1) for the members. */
#include "commands/list.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/place.h"
#include "commands/print.h"
#include "commands/record.h"
#include "util/json_writer.h"
#include "util/path.h"
#include "util/root_file.h"

/* Largest command script that is looked through for its provenance, in bytes. */
#define RC_LIMIT (16u << 20)

#define PROVENANCE_COMMENT "# enroot-provenance: "

/* ---- size ---- */

/*
 * Bytes on the disk below a directory; other file systems do not count, and neither does
 * what may not be read. A file of several names counts a part for each.
 */
static uint64_t tree_bytes(int parent_fd, const char *name)
{
        int dir_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        auto_closedir DIR *dir = dir_fd >= 0 ? fdopendir(dir_fd) : NULL;
        const struct dirent *entry;
        struct stat own, st;
        uint64_t bytes = 0;

        if (!dir) {
                if (dir_fd >= 0)
                        (void)close(dir_fd);
                return 0;
        }
        if (fstat(dir_fd, &own) < 0)
                return 0;
        while ((entry = readdir(dir)) != NULL) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    st.st_dev != own.st_dev)
                        continue;
                bytes += (uint64_t)st.st_blocks * 512 /
                         (S_ISDIR(st.st_mode) || st.st_nlink == 0 ? 1 : st.st_nlink);
                if (S_ISDIR(st.st_mode))
                        bytes += tree_bytes(dir_fd, entry->d_name);
        }
        return bytes;
}

/* ---- provenance ---- */

/* What images of before the record, and of the classic tool, have in /etc/rc. malloc'd. */
static char *provenance_of_rc(int root_fd)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        size_t mark = strlen(PROVENANCE_COMMENT);
        const char *line;

        if (root_file_read(root_fd, "/etc/rc", RC_LIMIT, &text, &ignored) < 0)
                return NULL;
        /* Comments stand at its top. */
        for (line = strbuf_text(&text); *line == '#'; line += strcspn(line, "\n") + 1) {
                if (strncmp(line, PROVENANCE_COMMENT, mark) == 0)
                        return strndup(line + mark, strcspn(line + mark, "\n"));
                if (!strchr(line, '\n'))
                        break;
        }
        return NULL;
}

static void write_record(struct json_writer *writer, const struct image_record *record)
{
        json_write_text(writer, "provenance", record->provenance);
        json_write_text(writer, "digest", record->digest[0] ? record->digest : NULL);
}

/* ---- processes ---- */

static void write_process(struct json_writer *writer, const struct runtime_process *process)
{
        json_write_object(writer, NULL);
        json_write_number(writer, "pid", process->pid);
        json_write_text(writer, "comm", process->comm);
        json_write_text(writer, "state", process->state);
        json_write_number(writer, "started", process->started);
        json_write_number(writer, "elapsed", (int64_t)process->elapsed);
        json_write_number(writer, "mount_namespace", (int64_t)process->mount_namespace);
        json_write_number(writer, "user_namespace", (int64_t)process->user_namespace);
        json_write_array(writer, "command");
        for (size_t i = 0; i < process->command.count; i++)
                json_write_text(writer, NULL, process->command.items[i]);
        json_write_end(writer);
        json_write_end(writer);
}

/* Whether two processes are of the same thing that was started. */
static bool is_same(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static void write_processes(struct json_writer *writer, const struct runtime_processes *processes,
                            const char *container, const char *image)
{
        size_t count = 0;

        for (size_t i = 0; i < processes->count; i++)
                count += is_same(processes->items[i].container, container) &&
                         is_same(processes->items[i].image, image);
        json_write_text(writer, "state", count > 0 ? "running" : "stopped");
        json_write_array(writer, "processes");
        for (size_t i = 0; i < processes->count; i++)
                if (is_same(processes->items[i].container, container) &&
                    is_same(processes->items[i].image, image))
                        write_process(writer, &processes->items[i]);
        json_write_end(writer);
}

/* ---- one of the list ---- */

static int write_container(struct json_writer *writer, const struct config *config,
                           const char *name, const struct runtime_processes *processes,
                           struct error *err)
{
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_place struct place place = PLACE_INIT;
        auto_free char *path = path_join(config->data_path, name);
        struct error ignored = ERROR_INIT;

        if (!path)
                return error_no_memory(err);
        json_write_object(writer, NULL);
        json_write_text(writer, "name", name);
        json_write_text(writer, "path", path);
        /* One that was removed meanwhile, or that is damaged, must not cost the others. */
        if (place_find(&place, config, name, &ignored) == 0) {
                if (place_read_record(&place, &record, &ignored) <= 0 && !place.lazy)
                        record.provenance = provenance_of_rc(place.fd);
                if (place.lazy)
                        json_write_text(writer, "image", place.image);
                json_write_number(writer, "size", (int64_t)tree_bytes(place.fd, "."));
        }
        write_record(writer, &record);
        write_processes(writer, processes, name, NULL);
        json_write_end(writer);
        return 0;
}

static void write_image(struct json_writer *writer, const char *image,
                        const struct runtime_processes *processes)
{
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_close int fd = image ? open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
        struct error ignored = ERROR_INIT;
        struct stat st;

        json_write_object(writer, NULL);
        json_write_text(writer, "name", NULL);
        json_write_text(writer, "path", image);
        /* It may have been deleted, or replaced, since it was started. */
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
                json_write_number(writer, "size", st.st_size);
                (void)record_read_image(fd, image, &record, &ignored);
        }
        write_record(writer, &record);
        write_processes(writer, processes, NULL, image);
        json_write_end(writer);
}

int list_json(const struct config *config, const struct strlist *names,
              const struct runtime_processes *processes, FILE *out, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        json_write_array(&writer, NULL);
        for (size_t i = 0; i < names->count; i++)
                if (write_container(&writer, config, names->items[i], processes, err) < 0)
                        return -1;
        for (size_t i = 0; i < processes->count; i++) {
                const struct runtime_process *process = &processes->items[i];

                /* Sorted: starts of one image follow each other. */
                if (!process->container &&
                    (i == 0 || processes->items[i - 1].container ||
                     !is_same(processes->items[i - 1].image, process->image)))
                        write_image(&writer, process->image, processes);
        }
        json_write_end(&writer);
        return print_result(&text, out, err);
}
