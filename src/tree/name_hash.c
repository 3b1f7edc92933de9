#include "tree/name_hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

struct name_hash_key name_hash_new_key(void)
{
        struct name_hash_key key;

        /* Up to 256 bytes come whole or not at all (getrandom(2)). Without the
         * call, names that collide only make the merge slow. */
        if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
                key = (struct name_hash_key){ { (uint64_t)time(NULL), (uintptr_t)&key } };
        return key;
}

struct siphash {
        uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, unsigned int bits)
{
        return value << bits | value >> (64 - bits);
}

static void siphash_round(struct siphash *state)
{
        state->v0 += state->v1;
        state->v2 += state->v3;
        state->v1 = rotate_left(state->v1, 13) ^ state->v0;
        state->v3 = rotate_left(state->v3, 16) ^ state->v2;
        state->v0 = rotate_left(state->v0, 32);
        state->v2 += state->v1;
        state->v0 += state->v3;
        state->v1 = rotate_left(state->v1, 17) ^ state->v2;
        state->v3 = rotate_left(state->v3, 21) ^ state->v0;
        state->v2 = rotate_left(state->v2, 32);
}

static void siphash_word(struct siphash *state, uint64_t word)
{
        state->v3 ^= word;
        siphash_round(state);
        state->v0 ^= word;
}

uint64_t name_hash(const struct name_hash_key *key, uint64_t number, const char *name,
                   size_t length)
{
        /* The constants are the ASCII text of the paper: "somepseudorandomlygeneratedbytes". */
        struct siphash state = {
                .v0 = key->words[0] ^ 0x736f6d6570736575,
                .v1 = key->words[1] ^ 0x646f72616e646f6d,
                .v2 = key->words[0] ^ 0x6c7967656e657261,
                .v3 = key->words[1] ^ 0x7465646279746573,
        };
        uint64_t word = 0;
        size_t done;

        siphash_word(&state, number);
        for (done = 0; done + 8 <= length; done += 8) {
                memcpy(&word, name + done, 8);
                siphash_word(&state, word);
        }
        word = 0;
        memcpy(&word, name + done, length - done);
        siphash_word(&state, word | (uint64_t)length << 56);

        state.v2 ^= 0xff;
        for (int i = 0; i < 3; i++)
                siphash_round(&state);
        return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}
