/*
 * From fields to entries. What may be left out is what the classic enroot-mount
 * guesses:
 *
 *      tmpfs /dst         → tmpfs /dst tmpfs
 *      /src               → /src  /src none  rbind,x-create=auto
 *      /src bind          → /src  /src none  bind
 *      /src /dst          → /src  /dst none  rbind,x-create=auto
 *      /src /dst bind,ro  → /src  /dst none  bind,ro
 *      none /dst devpts   → none  /dst devpts
 *
 * Ours in addition, where the classic one fails: attributes alone ask for a bind
 * mount with them (/src /dst ro → rbind,ro,x-create=auto), and dump frequency and
 * pass may follow a line with fields left out.
 */
#include "mount/fields.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "mount/options.h"
#include "util/path.h"

#define MAX_FIELDS 6 /* fstab(5) */

/* The fields of one line; NULL for one that was left out. Borrowed from a strlist. */
struct line {
        const char *source, *target, *type, *options;
        int pass;
};

void mount_entry_release(struct mount_entry *entry)
{
        free(entry->source);
        free(entry->target);
        free(entry->type);
        free(entry->data);
        free(entry->content);
        free(entry->origin);
        if (entry->has_tree)
                (void)close(entry->tree_fd);
        *entry = (struct mount_entry){ .source = NULL };
}

void mount_plan_release(struct mount_plan *plan)
{
        for (size_t i = 0; i < plan->count; i++)
                mount_entry_release(&plan->entries[i]);
        free(plan->entries);
        *plan = (struct mount_plan)MOUNT_PLAN_INIT;
}

int mount_plan_append(struct mount_plan *plan, const struct mount_entry *entry)
{
        struct mount_entry copy = *entry;
        char **strings[] = { &copy.source, &copy.target, &copy.type, &copy.data, &copy.origin };
        bool failed = false;

        if (plan->count == plan->capacity) {
                size_t capacity = plan->capacity ? plan->capacity * 2 : 16;
                struct mount_entry *entries =
                        reallocarray(plan->entries, capacity, sizeof(*entries));

                if (!entries)
                        return -1;
                plan->entries = entries;
                plan->capacity = capacity;
        }
        for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
                if (!*strings[i])
                        continue;
                *strings[i] = strdup(*strings[i]);
                failed |= !*strings[i];
        }
        if (copy.content) {
                copy.content = malloc(copy.content_length + 1);
                failed |= !copy.content;
                if (copy.content)
                        memcpy(copy.content, entry->content, copy.content_length);
        }
        if (failed) {
                mount_entry_release(&copy);
                return -1;
        }
        plan->entries[plan->count++] = copy;
        return 0;
}

int mount_plan_take(struct mount_plan *to, struct mount_plan *from)
{
        struct mount_entry *entries;

        if (from->count == 0)
                return 0;
        entries = reallocarray(to->entries, to->count + from->count, sizeof(*entries));
        if (!entries)
                return -1;
        memcpy(entries + to->count, from->entries, from->count * sizeof(*entries));
        to->entries = entries;
        to->count += from->count;
        to->capacity = to->count;
        free(from->entries);
        *from = (struct mount_plan)MOUNT_PLAN_INIT;
        return 0;
}

static int compare_passes(const void *a, const void *b)
{
        const struct mount_entry *first = *(const struct mount_entry *const *)a;
        const struct mount_entry *second = *(const struct mount_entry *const *)b;

        if (first->pass != second->pass)
                return first->pass < second->pass ? -1 : 1;
        return first < second ? -1 : 1; /* both of one array: where they stand */
}

int mount_plan_sort(struct mount_plan *plan)
{
        auto_free const struct mount_entry **order = calloc(plan->count + 1, sizeof(*order));
        struct mount_entry *entries = calloc(plan->count + 1, sizeof(*entries));

        if (!order || !entries) {
                free(entries);
                return -1;
        }
        for (size_t i = 0; i < plan->count; i++)
                order[i] = &plan->entries[i];
        qsort(order, plan->count, sizeof(*order), compare_passes);
        for (size_t i = 0; i < plan->count; i++)
                entries[i] = *order[i];
        free(plan->entries);
        plan->entries = entries;
        plan->capacity = plan->count + 1;
        return 0;
}

void field_unescape(char *field)
{
        char *to = field;

        for (const char *from = field; *from; to++) {
                if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
                    from[2] <= '7' && from[3] >= '0' && from[3] <= '7' &&
                    memcmp(from + 1, "000", 3) != 0) {
                        *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                        from += 4;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
}

static bool parse_number(const char *text, int *ret)
{
        char *end;
        long value;

        if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
                return false;
        errno = 0;
        value = strtol(text, &end, 10);
        if (errno || end == text || *end || value < INT_MIN || value > INT_MAX)
                return false;
        *ret = (int)value;
        return true;
}

static bool is_none(const char *field)
{
        return !field || strcmp(field, "none") == 0;
}

/*
 * Take the numbers off the end. The first is the dump frequency, which counts as
 * the pass when there is no other, as in the classic tool.
 */
static void take_numbers(struct strlist *fields, struct line *line)
{
        int last, frequency;

        line->pass = 0;
        if (fields->count <= 2 || !parse_number(fields->items[fields->count - 1], &last))
                return;
        strlist_remove(fields, fields->count - 1);
        line->pass = last;
        if (fields->count <= 2 || !parse_number(fields->items[fields->count - 1], &frequency))
                return;
        strlist_remove(fields, fields->count - 1);
        if (last == 0)
                line->pass = frequency;
}

/* A variable that is not set may leave a field empty; type and options are then left out. */
static int drop_empty(struct strlist *fields, struct error *err)
{
        for (size_t i = fields->count; i-- > 0;) {
                if (fields->items[i][0])
                        continue;
                if (i < 2)
                        return error_set(err, EINVAL, "the %s is empty",
                                         i == 0 ? "source" : "target");
                strlist_remove(fields, i);
        }
        return 0;
}

static int split_line(struct strlist *fields, struct line *line, struct error *err)
{
        if (fields->count == 0)
                return error_set(err, EINVAL, "the source is missing");
        if (fields->count > MAX_FIELDS)
                return error_set(err, EINVAL, "more than %d fields", MAX_FIELDS);
        if (drop_empty(fields, err) < 0)
                return -1;
        take_numbers(fields, line);
        if (fields->count > 4)
                return error_set(err, EINVAL, "\"%.100s\" is not a number", fields->items[4]);

        /* Past the end of the list there is at least its final NULL. */
        line->source = fields->items[0];
        line->target = fields->items[1];
        line->type = line->target ? fields->items[2] : NULL;
        line->options = line->type ? fields->items[3] : NULL;
        return 0;
}

static int fill_in(struct line *line, struct error *err)
{
        if (line->target && !line->type && options_recognise(line->target)) {
                line->options = line->target;
                line->target = NULL;
        }
        /* No type has a '=' in its name. */
        if (line->type && !line->options &&
            (options_recognise(line->type) || strchr(line->type, '='))) {
                line->options = line->type;
                line->type = NULL;
                if (is_none(line->target))
                        line->target = NULL;
        }
        if (is_none(line->type))
                line->type = NULL;

        if (strcmp(line->source, "tmpfs") == 0) {
                if (!line->type)
                        line->type = "tmpfs";
        } else {
                if (!line->target && !is_none(line->source))
                        line->target = line->source;
                if (!line->type && !line->options)
                        line->options = "rbind,x-create=auto";
        }
        if (!line->target)
                return error_set(err, EINVAL, "the target is missing");
        return 0;
}

static int check_type(const char *type, struct error *err)
{
        if (type[strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
                return error_set(err, EINVAL,
                                 "\"%.100s\" is neither a type of file system nor an option", type);
        return 0;
}

static bool is_bind(const struct mount_entry *entry)
{
        return entry->bind && !entry->remount;
}

/* Whether the entry mounts a file system of the line's type. */
static bool mounts_type(const struct line *line, const struct mount_entry *entry)
{
        return line->type && !entry->bind && !entry->remount && !entry->move && !entry->detach;
}

/* Find out what the options ask for, and refuse what contradicts itself. */
static int settle_operation(const struct line *line, struct mount_entry *entry, struct error *err)
{
        bool operation = entry->bind || entry->remount || entry->move || entry->detach;

        if (entry->move + entry->detach + (entry->bind || entry->remount) > 1)
                return error_set(err, EINVAL,
                                 "bind, remount, x-move and x-detach contradict each other");
        if (entry->data && !mounts_type(line, entry) && (entry->bind || !entry->remount))
                return error_set(err, EINVAL, "mount option \"%.200s\" is not known", entry->data);

        if (!operation && !line->type && (entry->attr_set || entry->attr_clear)) {
                entry->bind = entry->recursive = true;
                if (entry->create == MOUNT_CREATE_NONE)
                        entry->create = MOUNT_CREATE_AUTO;
        }
        if ((is_bind(entry) || entry->move) && is_none(line->source))
                return error_set(err, EINVAL,
                                 "nothing to mount: the source is none, and there is "
                                 "no type of file system");
        return 0;
}

/* Data images are mounted where nothing is: their directory is made without being asked for. */
static void settle_image(const struct line *line, struct mount_entry *entry)
{
        entry->image = mounts_type(line, entry) && strcmp(line->type, "squashfs") == 0;
        if (entry->image && entry->create == MOUNT_CREATE_NONE)
                entry->create = MOUNT_CREATE_DIR;
}

static int copy_source(const struct line *line, bool from_cwd, struct mount_entry *entry,
                       struct error *err)
{
        bool is_path = is_bind(entry) || entry->move || entry->image;

        if (!is_path && !mounts_type(line, entry))
                return 0;
        /* "none" and "tmpfs" are no paths where a type is given; "./none" is. */
        is_path = is_path || strncmp(line->source, "./", 2) == 0 ||
                  strncmp(line->source, "../", 3) == 0;
        if (from_cwd && is_path) {
                entry->source = path_absolute(line->source, err);
                return entry->source ? 0 : -1;
        }
        entry->source = strdup(line->source);
        return entry->source ? 0 : error_no_memory(err);
}

static int copy_target(const struct line *line, struct mount_entry *entry, struct error *err)
{
        /* A target that was left out is the source's place, which is absolute by now. */
        bool same = line->target == line->source && entry->source;
        auto_strbuf struct strbuf path = STRBUF_INIT;

        if (path_normalize(same ? entry->source : line->target, &path) < 0)
                return error_set(err, EINVAL, "target %.100s: name too long", line->target);
        if (asprintf(&entry->target, "/%s", strbuf_text(&path)) < 0) {
                entry->target = NULL;
                return error_no_memory(err);
        }
        return 0;
}

int plan_add_fields(struct mount_plan *plan, struct strlist *fields, bool from_cwd,
                    const char *origin, struct error *err)
{
        auto_cleanup(mount_entry_release) struct mount_entry entry = { .source = NULL };
        struct line line = { .source = NULL };

        if (split_line(fields, &line, err) < 0 || fill_in(&line, err) < 0 ||
            (line.type && check_type(line.type, err) < 0))
                return -1;
        if (line.options && options_parse(line.options, &entry, err) < 0)
                return -1;
        settle_image(&line, &entry);
        if (settle_operation(&line, &entry, err) < 0 ||
            copy_source(&line, from_cwd, &entry, err) < 0 || copy_target(&line, &entry, err) < 0)
                return -1;

        entry.pass = line.pass;
        entry.origin = strdup(origin);
        if (mounts_type(&line, &entry))
                entry.type = strdup(line.type);
        if (!entry.origin || (mounts_type(&line, &entry) && !entry.type))
                return error_no_memory(err);
        if (plan->count >= MOUNT_PLAN_LIMIT)
                return error_set(err, E2BIG, "more than %u mounts", MOUNT_PLAN_LIMIT);
        return mount_plan_append(plan, &entry) < 0 ? error_no_memory(err) : 0;
}
