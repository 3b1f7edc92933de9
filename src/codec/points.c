/* See points.h. */
#include "codec/points.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define MAGIC 0x32307374706e65ULL /* "enpts02" */

/* An entry in the file. */
struct record {
        uint64_t out, in, window_at;
        uint32_t window_size, crc, length;
        uint16_t stored;
        uint8_t bits, rest;
};

/*
 * Input of a call while a point is looked for: the shorter, the sooner one is found. It takes
 * some 600 calls whatever their length, since a call ends in a header as often as blocks are
 * longer than headers; that is 2 to 3 % of the time, and 7 % with a spacing of 2 MiB.
 */
#define SLICE_SIZE 256

void points_table_release(struct points_table *table)
{
        free(TAKE_PTR(table->entries));
        table->count = 0;
}

/* ---- reading ---- */

size_t points_footer_check(const struct points_footer *footer, uint64_t in_size)
{
        if (footer->magic != MAGIC || footer->in_size != in_size || footer->count < 2 ||
            footer->count > POINTS_MAX)
                return 0;
        return footer->count * sizeof(struct record);
}

static bool record_is_good(const struct record *record, const struct point_entry *before,
                           const struct points_footer *footer, uint64_t windows)
{
        if (!before)
                return record->out == 0 && record->in == 0 && record->window_at == 0 &&
                       record->window_size == 0;
        return record->out > before->out && record->out - before->out <= POINTS_CHUNK_MAX &&
               record->out < footer->out_size && record->in > before->point.in &&
               record->in < footer->in_size && record->bits < 8 &&
               (record->stored == 0 || record->bits == 0) && record->window_size > 0 &&
               record->window_size <= DECODER_WINDOW_SIZE && record->window_at <= windows &&
               record->window_size <= windows - record->window_at;
}

static struct point_entry entry_of(const struct record *record)
{
        return (struct point_entry){
                .point = { .in = record->in,
                           .crc = record->crc,
                           .length = record->length,
                           .stored = record->stored,
                           .bits = record->bits,
                           .rest = record->rest },
                .out = record->out,
                .window_at = record->window_at,
                .window_size = record->window_size,
        };
}

static void find_chunk_max(struct points_table *table)
{
        for (uint32_t i = 0; i < table->count; i++) {
                uint64_t size = table->entries[i + 1].out - table->entries[i].out;

                if (size > table->chunk_max)
                        table->chunk_max = size;
        }
}

int points_table_parse(const struct points_footer *footer, const void *data, uint64_t windows,
                       struct points_table *ret, struct error *err)
{
        auto_cleanup(points_table_release) struct points_table table = { .count = footer->count };
        const struct point_entry *before = NULL;
        struct record record;

        if (gzip_format.points->checksum(data, footer->count * sizeof(record)) != footer->checksum)
                return error_set(err, EBADMSG, "points: damaged");
        table.entries = calloc((size_t)footer->count + 1, sizeof(*table.entries));
        if (!table.entries)
                return error_no_memory(err);
        for (uint32_t i = 0; i < footer->count; i++) {
                memcpy(&record, (const char *)data + i * sizeof(record), sizeof(record));
                if (!record_is_good(&record, before, footer, windows))
                        return error_set(err, EBADMSG, "points: damaged");
                table.entries[i] = entry_of(&record);
                before = &table.entries[i];
        }
        if (footer->out_size - before->out > POINTS_CHUNK_MAX)
                return error_set(err, EBADMSG, "points: damaged");
        table.entries[footer->count] =
                (struct point_entry){ .out = footer->out_size, .point.in = footer->in_size };
        find_chunk_max(&table);
        *ret = TAKE(table, (struct points_table){ .count = 0 });
        return 0;
}

/* ---- noting ---- */

struct points_noter {
        int fd;
        atomic_bool *complete;
        bool failed; /* there will be no file */
        struct record *records;
        uint32_t count, capacity;
        uint64_t written;
        uint8_t packed[DECODER_WINDOW_SIZE];
};

static bool add(struct points_noter *noter, const struct record *record)
{
        if (noter->count == noter->capacity) {
                uint32_t capacity = noter->capacity ? 2 * noter->capacity : 64;
                struct record *records =
                        capacity > POINTS_MAX
                                ? NULL
                                : reallocarray(noter->records, capacity, sizeof(*records));

                if (!records)
                        return false;
                noter->records = records;
                noter->capacity = capacity;
        }
        noter->records[noter->count++] = *record;
        return true;
}

struct points_noter *points_noter_new(int fd, atomic_bool *complete, struct error *err)
{
        struct points_noter *noter = calloc(1, sizeof(*noter));

        if (!noter || !add(noter, &(struct record){ .out = 0 })) {
                free(noter);
                error_no_memory(err);
                return NULL;
        }
        noter->fd = fd;
        noter->complete = complete;
        return noter;
}

void points_noter_free(struct points_noter *noter)
{
        if (!noter)
                return;
        free(noter->records);
        free(noter);
}

int points_noter_file(const struct points_noter *noter, struct error *err)
{
        int fd = fcntl(noter->fd, F_DUPFD_CLOEXEC, 0);

        return fd < 0 ? error_errno(err, "points") : fd;
}

static bool is_due(const struct points_noter *noter, uint64_t out)
{
        return !noter->failed && out - noter->records[noter->count - 1].out >= POINTS_SPACING;
}

size_t points_noter_input(const struct points_noter *noter, uint64_t out, size_t left)
{
        return left > SLICE_SIZE && is_due(noter, out) ? SLICE_SIZE : left;
}

/* Losing the points loses no data, so a full disk is no error. */
static bool put(struct points_noter *noter, const void *data, size_t size)
{
        if (io_write_full(noter->fd, data, size) < 0)
                return false;
        noter->written += size;
        return true;
}

/* A window as it lies in the file: packed, or as it is where that would not be smaller. */
static uint32_t pack(struct points_noter *noter, const uint8_t *window)
{
        uint32_t size = gzip_format.points->pack(window, noter->packed, DECODER_WINDOW_SIZE - 1);

        if (size > 0)
                return size;
        memcpy(noter->packed, window, DECODER_WINDOW_SIZE);
        return DECODER_WINDOW_SIZE;
}

void points_noter_look(struct points_noter *noter, const void *decoder, uint64_t given,
                       uint64_t out, const uint8_t *last, size_t size)
{
        const struct decoder_points *points = gzip_format.points;
        struct decoder_point point;
        struct record record;

        if (!is_due(noter, out) || size < DECODER_WINDOW_SIZE)
                return;
        if (out - noter->records[noter->count - 1].out > POINTS_CHUNK_MAX) {
                noter->failed = true;
                return;
        }
        if (!points->at(decoder, given, &point))
                return;
        record = (struct record){
                .out = out,
                .in = point.in,
                .window_at = noter->written,
                .window_size = pack(noter, last + size - DECODER_WINDOW_SIZE),
                .crc = point.crc,
                .length = point.length,
                .stored = point.stored,
                .bits = point.bits,
                .rest = point.rest,
        };
        if (!put(noter, noter->packed, record.window_size) || !add(noter, &record))
                noter->failed = true;
}

bool points_noter_goes_on(const struct points_noter *noter, uint64_t out)
{
        return !noter->failed && out - noter->records[noter->count - 1].out < POINTS_CHUNK_MAX;
}

int points_noter_table(const struct points_noter *noter, uint64_t from, uint64_t to,
                       struct points_table *ret, struct error *err)
{
        uint32_t first = noter->count - 1;
        struct points_table table = { .entries = NULL };

        while (noter->records[first].out > from)
                first--;
        table.count = noter->count - first;
        table.entries = calloc((size_t)table.count + 1, sizeof(*table.entries));
        if (!table.entries)
                return error_no_memory(err);
        for (uint32_t i = 0; i < table.count; i++)
                table.entries[i] = entry_of(&noter->records[first + i]);
        table.entries[table.count] = (struct point_entry){ .out = to };
        find_chunk_max(&table);
        *ret = table;
        return 0;
}

void points_noter_finish(struct points_noter *noter, uint64_t in_size, uint64_t out_size)
{
        size_t size = noter->count * sizeof(*noter->records);
        struct points_footer footer = {
                .magic = MAGIC,
                .in_size = in_size,
                .out_size = out_size,
                .count = noter->count,
                .checksum = gzip_format.points->checksum(noter->records, size),
        };

        if (noter->failed || noter->count < 2 ||
            out_size - noter->records[noter->count - 1].out > POINTS_CHUNK_MAX)
                return;
        noter->failed = true; /* nothing more is noted */
        if (put(noter, noter->records, size) && put(noter, &footer, sizeof(footer)))
                atomic_store(noter->complete, true);
}
