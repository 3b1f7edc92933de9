/* squashfs/content_hash.c and hash_index.c: what deduplication rests on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "squashfs/content_hash.h"
#include "squashfs/hash_index.h"

#define PRIME (((uint64_t)1 << 61) - 1)

static struct content_hash_key make_key(void)
{
        struct content_hash_key key;
        struct error err = ERROR_INIT;

        assert_int_equal(content_hash_key_init(&key, &err), 0);
        return key;
}

/* The definition, word by word. */
static uint64_t polynomial(uint64_t point, const unsigned char *data, size_t size)
{
        const size_t chunk = 7 * CONTENT_HASH_LANES, padded = (size + chunk - 1) / chunk * chunk;
        uint64_t value = 0;

        for (size_t at = 0; at < padded; at += 7) {
                uint64_t word = 0;

                for (size_t i = 0; i < 7 && at + i < size; i++)
                        word |= (uint64_t)data[at + i] << (8 * i);
                value = (uint64_t)((unsigned __int128)(value + word) % PRIME * point % PRIME);
        }
        return value;
}

static void test_definition(void **state)
{
        static const size_t sizes[] = { 1, 6, 7, 8, 55, 56, 57, 111, 112, 113, 1000, 131072 };
        struct content_hash_key key = make_key();
        unsigned char *data = malloc(131072);

        (void)state;
        assert_non_null(data);
        for (int fill = 0; fill < 2; fill++) {
                for (size_t i = 0; i < 131072; i++)
                        data[i] = fill ? 0xff : (unsigned char)(i * i + 3);
                for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                        struct content_hash hash = content_hash_of(&key, data, sizes[i]);

                        for (int p = 0; p < CONTENT_HASH_POINTS; p++)
                                assert_true(hash.value[p] ==
                                            polynomial(key.powers[p][CONTENT_HASH_LANES - 1], data,
                                                       sizes[i]));
                }
        }
        free(data);
}

static void test_differences(void **state)
{
        struct content_hash_key key = make_key(), other_key = make_key();
        unsigned char data[300] = { 0 };
        struct content_hash zero = content_hash_of(&key, data, sizeof(data));

        (void)state;
        for (size_t i = 0; i < sizeof(data); i++) {
                struct content_hash hash;

                data[i] = 1;
                hash = content_hash_of(&key, data, sizeof(data));
                assert_false(content_hash_equal(&hash, &zero));
                assert_true(hash.value[0] < PRIME && hash.value[1] < PRIME);
                struct content_hash again = content_hash_of(&key, data, sizeof(data));
                assert_true(content_hash_equal(&hash, &again));
                again = content_hash_of(&other_key, data, sizeof(data));
                assert_false(content_hash_equal(&hash, &again));
                data[i] = 0;
        }
}

static void test_sequence(void **state)
{
        struct content_hash_key key = make_key();
        struct content_hash a = { { 1, 2 } }, b = { { 2, 1 } };
        struct content_hash first = { { 0 } }, second = { { 0 } }, third = { { 0 } };

        (void)state;
        content_hash_extend(&key, &first, 0, &a);
        content_hash_extend(&key, &first, 1, &b);
        content_hash_extend(&key, &second, 0, &b);
        content_hash_extend(&key, &second, 1, &a);
        content_hash_extend(&key, &third, 0, &a);
        content_hash_extend(&key, &third, 2, &b);
        assert_false(content_hash_equal(&first, &second));
        assert_false(content_hash_equal(&first, &third));
}

static void test_zero(void **state)
{
        unsigned char data[100] = { 0 };

        (void)state;
        assert_true(content_is_zero(data, 0));
        assert_true(content_is_zero(data, 1));
        assert_true(content_is_zero(data, sizeof(data)));
        for (size_t i = 0; i < sizeof(data); i++) {
                data[i] = 1;
                assert_false(content_is_zero(data, sizeof(data)));
                data[i] = 0;
        }
}

static void test_index(void **state)
{
        struct hash_index index = HASH_INDEX_INIT;
        size_t cursor = 0;
        uint32_t item;

        (void)state;
        assert_false(hash_index_next(&index, 5, &cursor, &item));
        /* Ten items for each hash, and hashes that differ in high bits only. */
        for (uint32_t i = 0; i < 2000; i++)
                assert_int_equal(hash_index_add(&index, (uint64_t)(i % 200) << 40, i), 0);
        for (uint32_t hash = 0; hash < 200; hash++) {
                uint32_t found = 0;

                cursor = 0;
                while (hash_index_next(&index, (uint64_t)hash << 40, &cursor, &item)) {
                        assert_int_equal(item % 200, hash);
                        found++;
                }
                assert_int_equal(found, 10);
        }
        cursor = 0;
        assert_false(hash_index_next(&index, 7, &cursor, &item));
        hash_index_release(&index);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_definition), cmocka_unit_test(test_differences),
                cmocka_unit_test(test_sequence),   cmocka_unit_test(test_zero),
                cmocka_unit_test(test_index),
        };

        return cmocka_run_group_tests_name("squashfs content hash", tests, NULL, NULL);
}
