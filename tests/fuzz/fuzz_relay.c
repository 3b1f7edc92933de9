/* What another node, or a stranger, sends to a node of a step; and Slurm's lists of hosts. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "relay/hostlist.h"
#include "relay/wire.h"
#include "util/cleanup.h"

/* With the right MAC, so that what is behind it is reached. */
static void read_frame(struct sha256 *sha, const unsigned char *data)
{
        struct wire_direction in = { .sender = 's' }, out = { .sender = 's' };
        unsigned char again[WIRE_FRAME_SIZE];
        struct wire_frame frame;
        struct error err;

        (void)wire_parse_frame(sha, &in, data, &frame, &err);
        if (wire_parse_head(data, &frame, &err) != WIRE_FRAME_SIZE)
                return;
        wire_print_frame(sha, &out, &frame, again);
        if (wire_parse_frame(sha, &in, again, &frame, &err) == 0 && frame.kind == WIRE_OFFER &&
            (frame.number == 0 || frame.number > IMAGE_BLOB_LIMIT))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const unsigned char key[WIRE_KEY_SIZE];
        struct error err = ERROR_INIT;
        auto_sha256 struct sha256 *sha = sha256_new(&err);
        auto_free char *text = strndup((const char *)data, size);
        unsigned char bytes[WIRE_FRAME_SIZE] = { 0 };
        struct wire_ends ends = { .port = 1 };
        char name[HOSTLIST_NAME_SIZE];

        if (!sha || !text)
                return 0;
        memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
        (void)wire_parse_hello(bytes, &ends, &err);
        (void)wire_parse_answer(sha, key, bytes, &ends, &err);
        read_frame(sha, bytes);
        for (uint32_t i = 0; i < 1000; i += 333)
                if (hostlist_name(text, i, name, &err) == 0 &&
                    (strlen(name) >= HOSTLIST_NAME_SIZE || strpbrk(name, "[],/ ")))
                        abort();
        return 0;
}
