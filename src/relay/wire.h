/*
 * What two nodes say to each other, as bytes. Pure: no I/O.
 *
 *      client  HELLO   magic, who it is and whom it wants, a nonce
 *      server  ANSWER  magic, a nonce, a MAC that only a holder of the step's key can make
 *      client  PROOF   a MAC likewise
 *      then frames in both directions, until one closes
 *
 * Keys and MACs are HMAC-SHA256. The handshake's MACs cover both nonces, both nodes and the
 * port, so that nothing can be replayed, and nobody who listens at another port can pass it
 * on. Frames are authenticated with a key of the connection and a number; the image's bytes
 * (WIRE_DATA) are not: the digest in WIRE_END is, and counts for all of them. Nothing is
 * encrypted. Numbers are big-endian.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "util/error.h"
#include "util/sha256.h"

#define WIRE_KEY_SIZE    SHA256_SIZE
#define WIRE_HELLO_SIZE  48
#define WIRE_ANSWER_SIZE 72
#define WIRE_PROOF_SIZE  SHA256_SIZE

/* Both ends of a connection. */
struct wire_ends {
        uint32_t client, server; /* indices of nodes */
        uint16_t port;           /* that the server listens at */
        unsigned char client_nonce[SHA256_SIZE], server_nonce[SHA256_SIZE];
};

void wire_print_hello(const struct wire_ends *ends, unsigned char ret[WIRE_HELLO_SIZE]);

/* Fills client, server and client_nonce. Returns 0, or -1 with *err for what is none. */
int wire_parse_hello(const unsigned char data[WIRE_HELLO_SIZE], struct wire_ends *ret,
                     struct error *err);

/* With the server's nonce in *ends. */
void wire_print_answer(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                       const struct wire_ends *ends, unsigned char ret[WIRE_ANSWER_SIZE]);

/* Fills server_nonce. Returns 0; -1 with *err: EACCES when the server has another key. */
int wire_parse_answer(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                      const unsigned char data[WIRE_ANSWER_SIZE], struct wire_ends *ends,
                      struct error *err);

/* What the client proves its key with, and the key for the frames of the connection. */
void wire_proof(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                const struct wire_ends *ends, unsigned char ret[WIRE_PROOF_SIZE]);
void wire_session(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE],
                  const struct wire_ends *ends, unsigned char ret[WIRE_KEY_SIZE]);

/* ---- frames ---- */

enum wire_kind {
        /* of the server */
        WIRE_BEAT = 1, /* still there */
        WIRE_RESOLVED, /* digest: which image it will be */
        WIRE_OFFER,    /* digest, number: the image's size; it is there, or on its way */
        WIRE_DATA,     /* number: how many bytes of the image follow */
        WIRE_END,      /* digest: of all the bytes of the image */
        WIRE_FAILED,   /* there will be no image, and the user has been told why */
        WIRE_ABSENT,   /* this node needs no image and has none */
        /* of the client */
        WIRE_WANT, /* number: the first byte that is wanted of what was offered */
        WIRE_DONE, /* nothing more is needed */
};

#define WIRE_HEAD_SIZE  12 /* of every frame, and all of WIRE_DATA's but the bytes */
#define WIRE_FRAME_SIZE (WIRE_HEAD_SIZE + SHA256_SIZE + SHA256_SIZE) /* of all others */
#define WIRE_DATA_LIMIT (1u << 20)

struct wire_frame {
        enum wire_kind kind;
        uint64_t number;
        char digest[IMAGE_DIGEST_SIZE]; /* "" is sent as zeros */
};

/* One direction of a connection: where the frames' numbers come from. */
struct wire_direction {
        unsigned char key[WIRE_KEY_SIZE];
        uint64_t frames; /* so far */
        char sender;     /* 'c' or 's' */
};

/* The first bytes of WIRE_DATA. */
void wire_print_data(uint32_t length, unsigned char ret[WIRE_HEAD_SIZE]);

void wire_print_frame(struct sha256 *sha, struct wire_direction *direction,
                      const struct wire_frame *frame, unsigned char ret[WIRE_FRAME_SIZE]);

/* Read the head. Returns how many bytes the frame has, less those of an image; -1 with *err. */
int wire_parse_head(const unsigned char data[WIRE_HEAD_SIZE], struct wire_frame *ret,
                    struct error *err);

/* Read a whole one that is not WIRE_DATA. Returns 0; -1 with *err: EACCES for another's. */
int wire_parse_frame(struct sha256 *sha, struct wire_direction *direction,
                     const unsigned char data[WIRE_FRAME_SIZE], struct wire_frame *ret,
                     struct error *err);
