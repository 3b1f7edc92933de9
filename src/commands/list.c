/* list: the containers by name, or with what runs in them as a table. */
#include "commands/list.h"

#include <string.h>
#include <time.h>

#include "commands/container.h"

/* The columns of the classic tool. */
static const char *const titles[] = { "NAME", "PID",   "COMM",   "STATE",  "STARTED",
                                      "TIME", "MNTNS", "USERNS", "COMMAND" };
#define COLUMNS ARRAY_SIZE(titles)

/* Cells that are missing at the end of a row are empty. */
struct table {
        struct strlist *rows; /* each a list of cells */
        size_t count;
};

static void table_release(struct table *table)
{
        for (size_t i = 0; i < table->count; i++)
                strlist_release(&table->rows[i]);
        free(table->rows);
}

/* A new row without cells, or NULL without memory. */
static struct strlist *add_row(struct table *table)
{
        struct strlist *grown = reallocarray(table->rows, table->count + 1, sizeof(*table->rows));

        if (!grown)
                return NULL;
        table->rows = grown;
        grown[table->count] = (struct strlist)STRLIST_INIT;
        return &grown[table->count++];
}

/* ---- cells ---- */

/* Programs name themselves: nothing of it may reach the terminal as a command to it. */
static void append_printable(struct strbuf *cell, const char *text)
{
        for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
                bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; /* U+0080 to U+009F */

                (void)strbuf_append_char(cell, *at < 0x20 || *at == 0x7f || c1 ? '?' : (char)*at);
                at += c1;
        }
}

/* Takes what is in cell and leaves it empty. 0, or -1 without memory. */
static int add_cell(struct strlist *row, struct strbuf *cell)
{
        char *text;

        if (!cell->data)
                return strlist_append(row, "");
        text = strbuf_take(cell);
        return text ? strlist_append_owned(row, text) : -1;
}

static int add_text(struct strlist *row, const char *text)
{
        auto_strbuf struct strbuf cell = STRBUF_INIT;

        append_printable(&cell, text);
        return add_cell(row, &cell);
}

static int add_number(struct strlist *row, uint64_t number)
{
        auto_strbuf struct strbuf cell = STRBUF_INIT;

        (void)strbuf_printf(&cell, "%llu", (unsigned long long)number);
        return add_cell(row, &cell);
}

/* As "stime" of ps(1): the time of today, the day of this year, or the year. */
static int add_started(struct strlist *row, time_t started)
{
        time_t now = time(NULL);
        struct tm today, then;
        char text[32] = "";

        if (!localtime_r(&now, &today) || !localtime_r(&started, &then))
                return -1;
        if (then.tm_year != today.tm_year)
                (void)strftime(text, sizeof(text), "%Y", &then);
        else if (then.tm_yday != today.tm_yday)
                (void)strftime(text, sizeof(text), "%b%d", &then);
        else
                (void)strftime(text, sizeof(text), "%H:%M", &then);
        return strlist_append(row, text);
}

/* As "etime" of ps(1): [[DD-]hh:]mm:ss. */
static int add_elapsed(struct strlist *row, uint64_t elapsed)
{
        auto_strbuf struct strbuf cell = STRBUF_INIT;
        unsigned int seconds = elapsed % 60, minutes = elapsed / 60 % 60;
        unsigned int hours = elapsed / 3600 % 24;
        uint64_t days = elapsed / 86400;

        if (days > 0)
                (void)strbuf_printf(&cell, "%llu-", (unsigned long long)days);
        if (days > 0 || hours > 0)
                (void)strbuf_printf(&cell, "%02u:", hours);
        (void)strbuf_printf(&cell, "%02u:%02u", minutes, seconds);
        return add_cell(row, &cell);
}

static int add_command(struct strlist *row, const struct runtime_process *process)
{
        auto_strbuf struct strbuf cell = STRBUF_INIT;

        for (size_t i = 0; i < process->command.count; i++) {
                if (i > 0)
                        (void)strbuf_append_char(&cell, ' ');
                append_printable(&cell, process->command.items[i]);
        }
        if (process->command.count == 0) {
                (void)strbuf_append_char(&cell, '[');
                append_printable(&cell, process->comm);
                (void)strbuf_append_char(&cell, ']');
        }
        return add_cell(row, &cell);
}

static int add_process(struct table *table, const char *name, const struct runtime_process *process)
{
        struct strlist *row = add_row(table);

        if (!row || add_text(row, name) < 0 || add_number(row, (uint64_t)process->pid) < 0 ||
            add_text(row, process->comm) < 0 || add_text(row, process->state) < 0 ||
            add_started(row, process->started) < 0 || add_elapsed(row, process->elapsed) < 0 ||
            add_number(row, process->mount_namespace) < 0 ||
            add_number(row, process->user_namespace) < 0)
                return -1;
        return add_command(row, process);
}

/* ---- the table ---- */

/* Characters of UTF-8 text: every byte that does not continue one. */
static size_t width_of(const char *text)
{
        size_t width = 0;

        for (; *text; text++)
                width += ((unsigned char)*text & 0xc0) != 0x80;
        return width;
}

static void print_table(const struct table *table, FILE *out)
{
        size_t widths[COLUMNS] = { 0 };

        for (size_t i = 0; i < table->count; i++)
                for (size_t column = 0; column < table->rows[i].count; column++) {
                        size_t width = width_of(table->rows[i].items[column]);

                        if (width > widths[column])
                                widths[column] = width;
                }
        for (size_t i = 0; i < table->count; i++) {
                const struct strlist *row = &table->rows[i];

                for (size_t column = 0; column < row->count; column++) {
                        const char *cell = row->items[column];
                        size_t pad =
                                column + 1 < row->count ? widths[column] + 2 - width_of(cell) : 0;

                        fprintf(out, "%s%*s", cell, (int)pad, "");
                }
                fputc('\n', out);
        }
}

static int add_titles(struct table *table)
{
        struct strlist *row = add_row(table);

        for (size_t i = 0; row && i < COLUMNS; i++)
                if (strlist_append(row, titles[i]) < 0)
                        return -1;
        return row ? 0 : -1;
}

/* A container's processes, its name before the first; its name alone when it has none. */
static int add_container(struct table *table, const char *name,
                         const struct runtime_processes *processes)
{
        size_t count;
        const struct runtime_process *found = runtime_processes_of(processes, name, &count);

        for (size_t i = 0; i < count; i++)
                if (add_process(table, i == 0 ? name : "", &found[i]) < 0)
                        return -1;
        if (!found) {
                struct strlist *row = add_row(table);

                return row ? add_text(row, name) : -1;
        }
        return 0;
}

/* What runs without being a container of this data path: image files, and the unknown. */
static int add_others(struct table *table, const struct runtime_processes *processes)
{
        const char *last = NULL;

        for (size_t i = 0; i < processes->count; i++) {
                const struct runtime_process *process = &processes->items[i];
                const char *name = process->image ? process->image : "<unknown>";

                if (process->container)
                        continue;
                if (add_process(table, last && strcmp(last, name) == 0 ? "" : name, process) < 0)
                        return -1;
                last = name;
        }
        return 0;
}

static int list_fancy(const struct strlist *names, const struct runtime_processes *processes,
                      FILE *out, struct error *err)
{
        auto_cleanup(table_release) struct table table = { .rows = NULL };

        if (add_titles(&table) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < names->count; i++)
                if (add_container(&table, names->items[i], processes) < 0)
                        return error_no_memory(err);
        if (add_others(&table, processes) < 0)
                return error_no_memory(err);
        print_table(&table, out);
        return 0;
}

int command_list(const struct command_context *context, enum list_format format, FILE *out,
                 struct error *err)
{
        const char *data_path = context->config->data_path;
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_runtime_processes struct runtime_processes processes = { .items = NULL };

        if (container_names(data_path, &names, err) < 0)
                return -1;
        if (format != LIST_NAMES && runtime_processes_read(data_path, &processes, err) < 0)
                return -1;
        switch (format) {
        case LIST_NAMES:
                for (size_t i = 0; i < names.count; i++)
                        fprintf(out, "%s\n", names.items[i]);
                return 0;
        case LIST_FANCY:
                return list_fancy(&names, &processes, out, err);
        case LIST_JSON:
                return list_json(context->config, &names, &processes, out, err);
        }
        return 0;
}
