#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>

uint8_t *make_text(size_t size)
{
        uint8_t *text = malloc(size);
        uint32_t random = 7;

        assert_non_null(text);
        for (size_t i = 0; i < size; i++) {
                if (i % 5 == 0)
                        random = random * 1103515245 + 12345;
                text[i] = (uint8_t)("etaoin shrdlu\n\0x"[(random >> (16 + i % 5)) & 15]);
        }
        return text;
}

uint8_t *make_member(const uint8_t *data, size_t size, int level, size_t *ret_size)
{
        size_t room = size + size / 8 + 4096;
        uint8_t *member = malloc(room);
        z_stream stream = { .next_in = (uint8_t *)data, .avail_in = (uInt)size };

        assert_non_null(member);
        assert_int_equal(
                deflateInit2(&stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
                Z_OK);
        stream.next_out = member;
        stream.avail_out = (uInt)room;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        *ret_size = stream.total_out;
        (void)deflateEnd(&stream);
        return member;
}
