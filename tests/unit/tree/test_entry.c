/* tree/: entries, extended attribute lists, and the memory and hash behind the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tree/name_hash.h"
#include "tree/pool.h"
#include "tree/tree.h"

static void test_xattrs_are_sorted_and_unique(void **state)
{
        static const char *const names[] = { "user.c", "user.a", "security.capability", "user.b",
                                             "user.a" };
        struct entry entry = { .path = strdup("file") };
        struct xattr_list *list = &entry.meta.xattrs;

        (void)state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                assert_int_equal(xattr_list_set(list, names[i], &i, sizeof(i)), 0);
        assert_int_equal(list->count, 4);
        for (size_t i = 1; i < list->count; i++)
                assert_true(strcmp(list->items[i - 1].name, list->items[i].name) < 0);
        assert_int_equal(*(size_t *)xattr_list_find(list, "user.a")->value, 4);
        assert_null(xattr_list_find(list, "user.aa"));
        assert_null(xattr_list_find(list, "zzz"));

        assert_int_equal(xattr_list_set(list, "user.empty", NULL, 0), 0);
        assert_int_equal(xattr_list_find(list, "user.empty")->size, 0);
        entry_release(&entry);
        assert_null(entry.path);
        assert_int_equal(list->count, 0);
        entry_release(&entry);
}

static void test_siphash(void **state)
{
        struct name_hash_key key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };
        struct name_hash_key other = name_hash_new_key();

        (void)state;
        /* Eight bytes of number, then the name: one message for SipHash. */
        assert_true(name_hash(&key, 1, "a", 1) != name_hash(&key, 2, "a", 1));
        assert_true(name_hash(&key, 1, "a", 1) != name_hash(&key, 1, "b", 1));
        assert_true(name_hash(&key, 1, "a", 1) != name_hash(&key, 1, "a\0", 2));
        assert_true(name_hash(&key, 1, "a", 1) != name_hash(&other, 1, "a", 1));
        assert_true(name_hash(&key, 1, "12345678", 8) != name_hash(&key, 1, "12345679", 8));
}

static void test_pools(void **state)
{
        struct pool pool = POOL_INIT(uint64_t);
        struct text_pool texts = TEXT_POOL_INIT;
        char longest[TEXT_POOL_LONGEST];
        const char *first;

        (void)state;
        for (uint64_t i = 0; i < 10000; i++) {
                uint64_t *element = pool_add(&pool);

                assert_non_null(element);
                assert_int_equal(*element, 0);
                *element = i;
        }
        for (uint64_t i = 0; i < 10000; i++)
                assert_int_equal(*(uint64_t *)pool_at(&pool, i), i);
        pool_release(&pool);

        memset(longest, 'x', sizeof(longest));
        first = text_pool_copy(&texts, "first", 5);
        for (int i = 0; i < 100; i++) {
                const char *copy = text_pool_copy(&texts, longest, sizeof(longest));

                assert_int_equal(strlen(copy), sizeof(longest));
        }
        assert_string_equal(first, "first");
        text_pool_release(&texts);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_xattrs_are_sorted_and_unique),
                cmocka_unit_test(test_siphash),
                cmocka_unit_test(test_pools),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
