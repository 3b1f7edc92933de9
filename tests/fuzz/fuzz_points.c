/* The table of points: what parses must lie within the file, in order. */
#include <stdlib.h>
#include <string.h>

#include "codec/points.h"
#include "fuzz.h"
#include "util/cleanup.h"

#define WINDOWS 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_cleanup(points_table_release) struct points_table table = { .count = 0 };
        struct error err = ERROR_INIT;
        struct points_footer footer;
        size_t table_size;

        if (size < sizeof(footer) || gzip_format.points->load(&err) < 0)
                return 0;
        size -= sizeof(footer);
        memcpy(&footer, data + size, sizeof(footer));
        table_size = points_footer_check(&footer, footer.in_size);
        if (table_size == 0 || table_size > size)
                return 0;
        /* Nothing would get past the checksum. */
        footer.checksum = gzip_format.points->checksum(data, table_size);
        if (points_table_parse(&footer, data, WINDOWS, &table, &err) < 0)
                return 0;
        for (uint32_t i = 0; i < table.count; i++) {
                const struct point_entry *entry = &table.entries[i];

                if (entry[1].out <= entry->out || entry[1].out - entry->out > table.chunk_max ||
                    entry->window_size > DECODER_WINDOW_SIZE ||
                    entry->window_at + entry->window_size > WINDOWS)
                        abort();
        }
        return 0;
}
