/*
 * What a container uses, as runc's "events" prints it: numbers out of the files of its
 * cgroups, of which each version has others.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "oci/cgroup.h"
#include "oci/container.h"
#include "util/json_writer.h"

#define UNLIMITED INT64_MAX

struct source {
        const struct strlist *cgroups;
        struct strbuf text; /* of the file that was read last */
};

static void source_release(struct source *source)
{
        strbuf_release(&source->text);
}

static int64_t to_number(const char *text)
{
        uint64_t value = strncmp(text, "max", 3) == 0 ? (uint64_t)UNLIMITED
                                                      : strtoull(text, NULL, 10);

        return value > (uint64_t)UNLIMITED ? UNLIMITED : (int64_t)value;
}

/* The number that a file consists of; 0 without the file. */
static int64_t number(struct source *source, const char *controller, const char *file)
{
        if (cgroups_read(source->cgroups, controller, file, &source->text) < 0)
                return 0;
        return to_number(strbuf_text(&source->text));
}

/* The number behind a word of a file with a line for each. */
static int64_t field(struct source *source, const char *controller, const char *file,
                     const char *word)
{
        size_t length = strlen(word);

        if (cgroups_read(source->cgroups, controller, file, &source->text) < 0)
                return 0;
        for (const char *line = strbuf_text(&source->text); line && *line;
             line = strchr(line, '\n'), line += line != NULL)
                if (strncmp(line, word, length) == 0 && line[length] == ' ')
                        return to_number(line + length + 1);
        return 0;
}

static void write_throttling(struct json_writer *writer, struct source *source)
{
        json_write_object(writer, "throttling");
        json_write_number(writer, "periods", field(source, "cpu", "cpu.stat", "nr_periods"));
        json_write_number(writer, "throttledPeriods",
                          field(source, "cpu", "cpu.stat", "nr_throttled"));
        json_write_end(writer);
}

/* Nanoseconds, of which version 2 counts thousands, and version 1 in part clock ticks. */
static void write_cpu(struct json_writer *writer, struct source *source, bool unified)
{
        int64_t tick = 1000000000 / sysconf(_SC_CLK_TCK);

        json_write_object(writer, "cpu");
        json_write_object(writer, "usage");
        if (unified) {
                json_write_number(writer, "total",
                                  field(source, "cpu", "cpu.stat", "usage_usec") * 1000);
                json_write_number(writer, "kernel",
                                  field(source, "cpu", "cpu.stat", "system_usec") * 1000);
                json_write_number(writer, "user",
                                  field(source, "cpu", "cpu.stat", "user_usec") * 1000);
        } else {
                json_write_number(writer, "total", number(source, "cpuacct", "cpuacct.usage"));
                json_write_number(writer, "kernel",
                                  field(source, "cpuacct", "cpuacct.stat", "system") * tick);
                json_write_number(writer, "user",
                                  field(source, "cpuacct", "cpuacct.stat", "user") * tick);
        }
        json_write_end(writer);
        write_throttling(writer, source);
        json_write_end(writer);
}

static void write_memory(struct json_writer *writer, struct source *source, bool unified)
{
        json_write_object(writer, "memory");
        json_write_number(writer, "cache",
                          field(source, "memory", "memory.stat", unified ? "file" : "cache"));
        json_write_object(writer, "usage");
        json_write_number(writer, "limit",
                          number(source, "memory",
                                 unified ? "memory.max" : "memory.limit_in_bytes"));
        json_write_number(writer, "usage",
                          number(source, "memory",
                                 unified ? "memory.current" : "memory.usage_in_bytes"));
        json_write_number(writer, "max",
                          number(source, "memory",
                                 unified ? "memory.peak" : "memory.max_usage_in_bytes"));
        json_write_number(writer, "failcnt",
                          unified ? field(source, "memory", "memory.events", "max")
                                  : number(source, "memory", "memory.failcnt"));
        json_write_end(writer);
        json_write_end(writer);
}

static void write_pids(struct json_writer *writer, struct source *source)
{
        int64_t limit = number(source, "pids", "pids.max");

        json_write_object(writer, "pids");
        json_write_number(writer, "current", number(source, "pids", "pids.current"));
        /* As runc has it: what is missing has no limit. */
        if (limit != UNLIMITED)
                json_write_number(writer, "limit", limit);
        json_write_end(writer);
}

/* How often the kernel has killed for memory. */
static int64_t count_kills(struct source *source, bool unified)
{
        return field(source, "memory", unified ? "memory.events" : "memory.oom_control",
                     "oom_kill");
}

int oci_statistics(const char *root, const char *id, struct oci_statistics *ret,
                   struct strbuf *text, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        auto_close int root_fd = oci_state_open(root, id, &state, err);
        auto_cleanup(source_release) struct source source = { .cgroups = &state.cgroups };
        struct json_writer writer = { .text = text, .compact = true };
        bool unified;

        if (root_fd < 0)
                return -1;
        ret->running = state.status != OCI_STOPPED;
        if (!ret->running)
                return 0;
        if (state.cgroups.count == 0)
                return error_set(err, EOPNOTSUPP,
                                 "container %s: it has no cgroup that would count: this user may "
                                 "make none (an administrator has to delegate one)",
                                 id);
        unified = !*state.cgroups.items[0];
        json_write_object(&writer, NULL);
        json_write_text(&writer, "type", "stats");
        json_write_text(&writer, "id", id);
        json_write_object(&writer, "data");
        write_cpu(&writer, &source, unified);
        write_memory(&writer, &source, unified);
        write_pids(&writer, &source);
        json_write_end(&writer);
        json_write_end(&writer);
        ret->memory_kills = count_kills(&source, unified);
        return text->failed ? error_no_memory(err) : 0;
}
