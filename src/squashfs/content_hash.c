/* See content_hash.h. */
#include "squashfs/content_hash.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

#define PRIME (((uint64_t)1 << 61) - 1)

/* Words of 7 bytes, so that every one is below the prime. */
#define WORD_BYTES 7
#define WORD_MASK  (((uint64_t)1 << (8 * WORD_BYTES)) - 1)
#define CHUNK      (WORD_BYTES * CONTENT_HASH_LANES)

typedef unsigned __int128 uint128;

/* Below 2^62 and congruent to x, for x below 2^127: 2^61 is 1 modulo the prime. */
static inline uint64_t fold(uint128 x)
{
        uint64_t low = (uint64_t)x & PRIME, middle = (uint64_t)(x >> 61) & PRIME;

        low += middle + (uint64_t)(x >> 122);
        return (low & PRIME) + (low >> 61);
}

static inline uint64_t reduce(uint64_t x)
{
        return x >= PRIME ? x - PRIME : x;
}

static inline uint64_t multiply(uint64_t a, uint64_t b)
{
        return fold((uint128)a * b);
}

static inline uint64_t load_word(const unsigned char *data)
{
        uint64_t word;

        memcpy(&word, data, sizeof(word));
        return le64toh(word) & WORD_MASK;
}

/* 0 is no good point; the little bias towards 1 does not matter. */
static uint64_t make_point(uint64_t random)
{
        random &= PRIME;
        return random == 0 || random == PRIME ? 1 : random;
}

int content_hash_key_init(struct content_hash_key *key, struct error *err)
{
        uint64_t random[2 * CONTENT_HASH_POINTS];

        /* Up to 256 bytes come whole or not at all (getrandom(2)). */
        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
                return error_errno(err, "getrandom");

        for (int i = 0; i < CONTENT_HASH_POINTS; i++) {
                uint64_t point = make_point(random[2 * i]), power = point;

                for (int lane = CONTENT_HASH_LANES - 1; lane >= 0; lane--) {
                        key->powers[i][lane] = power;
                        power = reduce(multiply(power, point));
                }
                key->sequence_points[i] = make_point(random[2 * i + 1]);
        }
        return 0;
}

/* Unrolled by hand, as -O2 leaves loops alone: 6.0 instead of 4.1 GB/s. */
static inline void add_chunk(const struct content_hash_key *key, struct content_hash *hash,
                             const uint64_t words[CONTENT_HASH_LANES])
{
#pragma GCC unroll CONTENT_HASH_POINTS
        for (int i = 0; i < CONTENT_HASH_POINTS; i++) {
                const uint64_t *powers = key->powers[i];
                uint128 sum = (uint128)(hash->value[i] + words[0]) * powers[0];

#pragma GCC unroll CONTENT_HASH_LANES
                for (int lane = 1; lane < CONTENT_HASH_LANES; lane++)
                        sum += (uint128)words[lane] * powers[lane];
                hash->value[i] = fold(sum);
        }
}

struct content_hash content_hash_of(const struct content_hash_key *key, const void *data,
                                    size_t size)
{
        struct content_hash hash = { .value = { 0 } };
        const unsigned char *at = data;
        uint64_t words[CONTENT_HASH_LANES];

        /* load_word reads a byte more than it uses. */
        for (; size > CHUNK; size -= CHUNK, at += CHUNK) {
#pragma GCC unroll CONTENT_HASH_LANES
                for (int lane = 0; lane < CONTENT_HASH_LANES; lane++)
                        words[lane] = load_word(at + lane * WORD_BYTES);
                add_chunk(key, &hash, words);
        }
        if (size > 0) {
                unsigned char rest[CHUNK + 1] = { 0 };

                memcpy(rest, at, size);
                for (int lane = 0; lane < CONTENT_HASH_LANES; lane++)
                        words[lane] = load_word(rest + lane * WORD_BYTES);
                add_chunk(key, &hash, words);
        }
        for (int i = 0; i < CONTENT_HASH_POINTS; i++)
                hash.value[i] = reduce(hash.value[i]);
        return hash;
}

void content_hash_extend(const struct content_hash_key *key, struct content_hash *sequence,
                         uint64_t position, const struct content_hash *block)
{
        const uint64_t words[] = { position, block->value[0], block->value[1] };

        for (int i = 0; i < CONTENT_HASH_POINTS; i++) {
                uint64_t value = sequence->value[i];

                for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++)
                        value = multiply(value + words[word], key->sequence_points[i]);
                sequence->value[i] = reduce(value);
        }
}

bool content_is_zero(const void *data, size_t size)
{
        const unsigned char *bytes = data;

        /* Every byte equals the one before. */
        return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}
