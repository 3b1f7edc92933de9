/* Lines of subuid(5): no id is mapped twice, on either side. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/id_map.h"
#include "util/cleanup.h"

#define OWN 1000

static void check(const struct id_map *map)
{
        if (map->count > ARRAY_SIZE(map->ranges))
                abort();
        for (size_t i = 0; i < map->count; i++) {
                const struct id_range *a = &map->ranges[i];

                if (a->count == 0)
                        abort();
                for (size_t j = 0; j < i; j++) {
                        const struct id_range *b = &map->ranges[j];

                        if ((a->inside <= b->inside + (b->count - 1) &&
                             b->inside <= a->inside + (a->count - 1)) ||
                            (a->outside <= b->outside + (b->count - 1) &&
                             b->outside <= a->outside + (a->count - 1)))
                                abort();
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_free char *text = strndup((const char *)data, size);
        struct id_map map;

        if (!text)
                return 0;
        id_map_read(&map, text, "u", OWN, OWN);
        check(&map);
        id_map_keep_own(&map, OWN);
        check(&map);
        (void)subid_first_free(text);
        return 0;
}
