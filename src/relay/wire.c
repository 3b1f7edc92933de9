#include "relay/wire.h"

#include <errno.h>
#include <string.h>

static const char magic[8] = { 'e', 'n', 'r', 'o', 'o', 't', '\n', '1' };

#define DIGEST_PREFIX "sha256:"

static unsigned char *put(unsigned char *at, const void *data, size_t size)
{
        memcpy(at, data, size);
        return at + size;
}

static unsigned char *put_number(unsigned char *at, uint64_t number, size_t size)
{
        for (size_t i = 0; i < size; i++)
                at[i] = (unsigned char)(number >> 8 * (size - 1 - i));
        return at + size;
}

static uint64_t get_number(const unsigned char *at, size_t size)
{
        uint64_t number = 0;

        for (size_t i = 0; i < size; i++)
                number = number << 8 | at[i];
        return number;
}

/* ---- the handshake ---- */

void wire_print_hello(const struct wire_ends *ends, unsigned char ret[WIRE_HELLO_SIZE])
{
        unsigned char *at = put(ret, magic, sizeof(magic));

        at = put_number(at, ends->client, 4);
        at = put_number(at, ends->server, 4);
        (void)put(at, ends->client_nonce, sizeof(ends->client_nonce));
}

int wire_parse_hello(const unsigned char data[WIRE_HELLO_SIZE], struct wire_ends *ret,
                     struct error *err)
{
        if (memcmp(data, magic, sizeof(magic)) != 0)
                return error_set(err, EPROTO, "not a node of a step");
        ret->client = (uint32_t)get_number(data + 8, 4);
        ret->server = (uint32_t)get_number(data + 12, 4);
        memcpy(ret->client_nonce, data + 16, sizeof(ret->client_nonce));
        return 0;
}

/* A MAC over both ends, for one purpose. */
static void make_mac(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                     const char *purpose, const struct wire_ends *ends,
                     unsigned char ret[SHA256_SIZE])
{
        unsigned char text[128] = { 0 }, *at = text;

        at = put(at, purpose, strlen(purpose) + 1);
        at = put_number(at, ends->client, 4);
        at = put_number(at, ends->server, 4);
        at = put_number(at, ends->port, 2);
        at = put(at, ends->client_nonce, sizeof(ends->client_nonce));
        at = put(at, ends->server_nonce, sizeof(ends->server_nonce));
        sha256_hmac(sha, key, text, (size_t)(at - text), ret);
}

void wire_print_answer(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                       const struct wire_ends *ends, unsigned char ret[WIRE_ANSWER_SIZE])
{
        unsigned char *at = put(ret, magic, sizeof(magic));

        at = put(at, ends->server_nonce, sizeof(ends->server_nonce));
        make_mac(sha, key, "server", ends, at);
}

int wire_parse_answer(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                      const unsigned char data[WIRE_ANSWER_SIZE], struct wire_ends *ends,
                      struct error *err)
{
        unsigned char expected[SHA256_SIZE];

        if (memcmp(data, magic, sizeof(magic)) != 0)
                return error_set(err, EPROTO, "not a node of a step");
        memcpy(ends->server_nonce, data + sizeof(magic), sizeof(ends->server_nonce));
        make_mac(sha, key, "server", ends, expected);
        if (!sha256_equal(expected, data + sizeof(magic) + sizeof(ends->server_nonce)))
                return error_set(err, EACCES, "not a node of this step");
        return 0;
}

void wire_proof(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                const struct wire_ends *ends, unsigned char ret[WIRE_PROOF_SIZE])
{
        make_mac(sha, key, "client", ends, ret);
}

void wire_session(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                  const struct wire_ends *ends, unsigned char ret[WIRE_KEY_SIZE])
{
        make_mac(sha, key, "session", ends, ret);
}

/* ---- frames ---- */

static void put_head(enum wire_kind kind, uint64_t number, unsigned char ret[WIRE_HEAD_SIZE])
{
        (void)put_number(put_number(ret, kind, 4), number, 8);
}

void wire_print_data(uint32_t length, unsigned char ret[WIRE_HEAD_SIZE])
{
        put_head(WIRE_DATA, length, ret);
}

/* data is the frame without its MAC. */
static void make_frame_mac(struct sha256 *sha, const struct wire_direction *direction,
                           const unsigned char *data, unsigned char ret[SHA256_SIZE])
{
        unsigned char text[1 + 8 + WIRE_HEAD_SIZE + SHA256_SIZE], *at = text;

        *at++ = (unsigned char)direction->sender;
        at = put_number(at, direction->frames, 8);
        (void)put(at, data, WIRE_HEAD_SIZE + SHA256_SIZE);
        sha256_hmac(sha, direction->key, text, sizeof(text), ret);
}

/* "sha256:HEX", or "" for zeros. */
static void put_digest(const char *digest, unsigned char ret[SHA256_SIZE])
{
        if (!*digest || sha256_parse(digest + strlen(DIGEST_PREFIX), ret) < 0)
                memset(ret, 0, SHA256_SIZE);
}

static void get_digest(const unsigned char raw[SHA256_SIZE], char ret[IMAGE_DIGEST_SIZE])
{
        static const unsigned char zeros[SHA256_SIZE];

        *ret = '\0';
        if (memcmp(raw, zeros, SHA256_SIZE) == 0)
                return;
        memcpy(ret, DIGEST_PREFIX, strlen(DIGEST_PREFIX));
        sha256_print(raw, ret + strlen(DIGEST_PREFIX));
}

void wire_print_frame(struct sha256 *sha, struct wire_direction *direction,
                      const struct wire_frame *frame, unsigned char ret[WIRE_FRAME_SIZE])
{
        put_head(frame->kind, frame->number, ret);
        put_digest(frame->digest, ret + WIRE_HEAD_SIZE);
        make_frame_mac(sha, direction, ret, ret + WIRE_HEAD_SIZE + SHA256_SIZE);
        direction->frames++;
}

int wire_parse_head(const unsigned char data[WIRE_HEAD_SIZE], struct wire_frame *ret,
                    struct error *err)
{
        uint64_t kind = get_number(data, 4);

        *ret = (struct wire_frame){ .number = get_number(data + 4, 8) };
        if (kind < WIRE_BEAT || kind > WIRE_DONE)
                return error_set(err, EPROTO, "unknown frame");
        ret->kind = (enum wire_kind)kind;
        if (ret->kind != WIRE_DATA)
                return WIRE_FRAME_SIZE;
        if (ret->number == 0 || ret->number > WIRE_DATA_LIMIT)
                return error_set(err, EPROTO, "a piece of an impossible size");
        return WIRE_HEAD_SIZE;
}

int wire_parse_frame(struct sha256 *sha, struct wire_direction *direction,
                     const unsigned char data[WIRE_FRAME_SIZE], struct wire_frame *ret,
                     struct error *err)
{
        unsigned char expected[SHA256_SIZE];

        if (wire_parse_head(data, ret, err) < 0)
                return -1;
        make_frame_mac(sha, direction, data, expected);
        if (!sha256_equal(expected, data + WIRE_HEAD_SIZE + SHA256_SIZE))
                return error_set(err, EACCES, "a frame of somebody else");
        direction->frames++;
        get_digest(data + WIRE_HEAD_SIZE, ret->digest);
        if (ret->kind == WIRE_OFFER && (ret->number == 0 || ret->number > IMAGE_BLOB_LIMIT))
                return error_set(err, EPROTO, "an image of an impossible size");
        if ((ret->kind == WIRE_OFFER || ret->kind == WIRE_RESOLVED || ret->kind == WIRE_END) &&
            !*ret->digest)
                return error_set(err, EPROTO, "a digest is missing");
        return 0;
}
