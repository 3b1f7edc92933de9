/* Lists of hosts, the plan of the tree, and the wire format; what a socket brings is hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/hostlist.h"
#include "relay/link.h"
#include "relay/plan.h"
#include "relay/relay.h"
#include "relay/wire.h"
#include "util/cleanup.h"

static const unsigned char key[WIRE_KEY_SIZE] = { 1, 2, 3 };
static const unsigned char other_key[WIRE_KEY_SIZE] = { 1, 2, 4 };

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct sha256 *new_sha(void)
{
        struct error err = ERROR_INIT;
        struct sha256 *sha = sha256_new(&err);

        assert_non_null(sha);
        return sha;
}

/* ---- lists of hosts ---- */

static void test_hostlists(void **state)
{
        static const struct {
                const char *list;
                uint32_t index;
                const char *name; /* NULL: an error of that code */
                int code;
        } table[] = {
                { "node1", 0, "node1", 0 },
                { "node[1-3]", 0, "node1", 0 },
                { "node[1-3]", 2, "node3", 0 },
                { "node[1-3]", 3, NULL, ENOENT },
                { "node[1-3,07,9]", 3, "node07", 0 },
                { "n[008-010]", 2, "n010", 0 },
                { "n[008-010]", 1, "n009", 0 },
                { "a,b-[1-2].example,c", 2, "b-2.example", 0 },
                { "a,b-[1-2].example,c", 3, "c", 0 },
                { "r[0-1]n[1-3]", 4, "r1n2", 0 },
                { "r[0-1]n[1-3]x", 2, "r0n3x", 0 },
                { "[1-2]", 1, "2", 0 },
                { "n[0-1048575]", 1048575, "n1048575", 0 },
                { "", 0, NULL, EINVAL },
                { ",a", 0, NULL, EINVAL },
                { "a,", 1, NULL, EINVAL },
                { "a b", 0, NULL, EINVAL },
                { "../x", 0, NULL, EINVAL },
                { "n[", 0, NULL, EINVAL },
                { "n[]", 0, NULL, EINVAL },
                { "n[1", 0, NULL, EINVAL },
                { "n[1-]", 0, NULL, EINVAL },
                { "n[3-1]", 0, NULL, EINVAL },
                { "n[1,]", 0, NULL, EINVAL },
                { "n[1;2]", 0, NULL, EINVAL },
                { "n[-1]", 0, NULL, EINVAL },
                { "n[000x133]", 0, NULL, EINVAL },
                { "n[9999999999]", 0, NULL, EINVAL },
                { "n[0-999999999]", 0, NULL, EINVAL },
                { "n[0-1048575]m[0-1]", 0, NULL, EINVAL },
                { "n[1][1][1][1][1][1][1][1][1]", 0, NULL, EINVAL },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                char name[HOSTLIST_NAME_SIZE] = "";
                struct error err = ERROR_INIT;
                int result = hostlist_name(table[i].list, table[i].index, name, &err);

                if (result != (table[i].name ? 0 : -1) || err.code != table[i].code ||
                    strcmp(name, table[i].name ? table[i].name : "") != 0)
                        fail_msg("%s %u: %s (%s)", table[i].list, table[i].index, name,
                                 err.message);
        }
}

static void test_a_host_name_that_is_too_long(void **state)
{
        char list[HOSTLIST_NAME_SIZE + 8] = "", name[HOSTLIST_NAME_SIZE];
        struct error err = ERROR_INIT;

        (void)state;
        memset(list, 'n', HOSTLIST_NAME_SIZE - 1);
        assert_int_equal(hostlist_name(list, 0, name, &err), 0);
        memcpy(list + HOSTLIST_NAME_SIZE - 2, "[10]", 5);
        assert_int_equal(hostlist_name(list, 0, name, &err), -1);
        assert_int_equal(err.code, EINVAL);
}

/* ---- the plan ---- */

/* Everyone asks lower nodes only, its parent first and node 0 among them. */
static void test_candidates(void **state)
{
        uint32_t list[PLAN_CANDIDATES], children = 0;

        (void)state;
        assert_int_equal(plan_candidates(0, list), 0);
        for (uint32_t node = 1; node < 70000; node++) {
                size_t count = plan_candidates(node, list);
                bool has_first = false;

                assert_in_range(count, 1, PLAN_CANDIDATES);
                for (size_t i = 0; i < count; i++) {
                        assert_true(list[i] < node);
                        has_first |= list[i] == 0;
                        for (size_t j = 0; j < i; j++)
                                assert_int_not_equal(list[i], list[j]);
                }
                assert_true(has_first);
        }
        for (uint32_t node = 0; node < 4096; node++)
                children += plan_children(node, 4096);
        assert_int_equal(children, 4095);
        assert_int_equal(plan_candidates(4095, list), 12 + 1); /* 12 deep; node 2 is not above */
        assert_int_equal(plan_children(UINT32_MAX, UINT32_MAX), 0);
}

static void test_ports(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        unsigned char one[WIRE_KEY_SIZE], two[WIRE_KEY_SIZE];

        (void)state;
        plan_key(sha, key, "12.0", one);
        plan_key(sha, key, "12.1", two);
        assert_memory_not_equal(one, two, sizeof(one));
        for (uint32_t node = 0; node < 100; node++) {
                bool seen[PLAN_PORTS] = { false };

                for (uint32_t i = 0; i < PLAN_PORTS; i++) {
                        uint16_t port = plan_port(sha, one, node, i, 65528, 65535);

                        assert_in_range(port, 65528, 65535);
                        seen[port - 65528] = true;
                }
                for (size_t i = 0; i < PLAN_PORTS; i++)
                        assert_true(seen[i]);
                assert_int_equal(plan_port(sha, one, node, 3, 7, 7), 7);
        }
}

static void test_what_the_plugin_gives(void **state)
{
        static const char *const wrong_ports[] = { "", "1", "1-", "-2", "2-1", "0-5", "1-65536",
                                                   "1-2x", " 1-2", "1-2-3", "+1-2", "1--2" };
        uint16_t first, last;

        (void)state;
        assert_int_equal(relay_parse_ports("61000-65535", &first, &last), 0);
        assert_int_equal(first, 61000);
        assert_int_equal(last, 65535);
        for (size_t i = 0; i < ARRAY_SIZE(wrong_ports); i++)
                if (relay_parse_ports(wrong_ports[i], &first, &last) == 0)
                        fail_msg("%s", wrong_ports[i]);
}

/* ---- the wire ---- */

/* RFC 4231's keys have other sizes; this is case 1's text with a key of 32 bytes. */
static void test_hmac(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        unsigned char raw[SHA256_SIZE], long_key[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];

        (void)state;
        memset(long_key, 0x0b, sizeof(long_key));
        sha256_hmac(sha, long_key, "Hi There", 8, raw);
        sha256_print(raw, hex);
        assert_string_equal(hex,
                            "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7");
        assert_true(sha256_equal(raw, raw));
        assert_false(sha256_equal(raw, long_key));
}

static struct wire_ends make_ends(void)
{
        struct wire_ends ends = { .client = 5, .server = 2, .port = 61000 };

        memset(ends.client_nonce, 'c', sizeof(ends.client_nonce));
        memset(ends.server_nonce, 's', sizeof(ends.server_nonce));
        return ends;
}

static void test_handshake(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        const struct wire_ends server = make_ends();
        struct wire_ends heard = { .port = 0 }, client = make_ends();
        unsigned char hello[WIRE_HELLO_SIZE], answer[WIRE_ANSWER_SIZE];
        unsigned char one[WIRE_PROOF_SIZE], two[WIRE_PROOF_SIZE];
        struct error err = ERROR_INIT;

        (void)state;
        wire_print_hello(&client, hello);
        assert_int_equal(wire_parse_hello(hello, &heard, &err), 0);
        assert_int_equal(heard.client, 5);
        assert_int_equal(heard.server, 2);
        assert_memory_equal(heard.client_nonce, client.client_nonce, SHA256_SIZE);
        memset(client.server_nonce, 0, sizeof(client.server_nonce));
        wire_print_answer(sha, key, &server, answer);
        assert_int_equal(wire_parse_answer(sha, key, answer, &client, &err), 0);
        assert_memory_equal(client.server_nonce, server.server_nonce, SHA256_SIZE);
        wire_proof(sha, key, &client, one);
        wire_proof(sha, key, &server, two);
        assert_memory_equal(one, two, sizeof(one));
        wire_session(sha, key, &client, two);
        assert_memory_not_equal(one, two, sizeof(one));
        /* An ANSWER cannot be sent back as a PROOF. */
        assert_memory_not_equal(one, answer + 40, sizeof(one));
}

/* Of another key, node, port or nonce, with any bit changed: refused. */
static void test_impostors(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        struct wire_ends ends = make_ends();
        unsigned char hello[WIRE_HELLO_SIZE], answer[WIRE_ANSWER_SIZE];
        struct error err = ERROR_INIT;

        (void)state;
        wire_print_answer(sha, other_key, &ends, answer);
        assert_int_equal(wire_parse_answer(sha, key, answer, &ends, &err), -1);
        assert_int_equal(err.code, EACCES);
        wire_print_answer(sha, key, &ends, answer);
        for (int i = 0; i < 4; i++) {
                struct wire_ends changed = make_ends();

                changed.client += i == 0;
                changed.server += i == 1;
                changed.port += i == 2;
                changed.client_nonce[0] ^= i == 3;
                assert_int_equal(wire_parse_answer(sha, key, answer, &changed, &err), -1);
        }
        for (size_t i = 0; i < sizeof(answer); i++) {
                answer[i] ^= 0x10;
                assert_int_equal(wire_parse_answer(sha, key, answer, &ends, &err), -1);
                answer[i] ^= 0x10;
        }
        memset(hello, 0, sizeof(hello));
        assert_int_equal(wire_parse_hello(hello, &ends, &err), -1);
        assert_int_equal(err.code, EPROTO);
}

static void test_frames(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        struct wire_direction out = { .sender = 's' }, in = { .sender = 's' };
        struct wire_direction wrong = { .sender = 'c' };
        const struct wire_frame frame = { .kind = WIRE_OFFER, .number = 1u << 30,
                                          .digest = DIGEST };
        unsigned char data[WIRE_FRAME_SIZE];
        struct wire_frame read;
        struct error err = ERROR_INIT;

        (void)state;
        wire_print_frame(sha, &out, &frame, data);
        assert_int_equal(wire_parse_head(data, &read, &err), WIRE_FRAME_SIZE);
        assert_int_equal(wire_parse_frame(sha, &wrong, data, &read, &err), -1);
        for (size_t i = 0; i < sizeof(data); i++) {
                data[i] ^= 1;
                assert_int_equal(wire_parse_frame(sha, &in, data, &read, &err), -1);
                data[i] ^= 1;
        }
        assert_int_equal(wire_parse_frame(sha, &in, data, &read, &err), 0);
        assert_int_equal(read.kind, WIRE_OFFER);
        assert_int_equal(read.number, 1u << 30);
        assert_string_equal(read.digest, DIGEST);
        /* The same once more is not the next one. */
        assert_int_equal(wire_parse_frame(sha, &in, data, &read, &err), -1);
        assert_int_equal(err.code, EACCES);
}

/* Even from somebody with the key. */
static void test_frames_that_cannot_be(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        const struct wire_frame frames[] = {
                { .kind = WIRE_OFFER, .number = 0, .digest = DIGEST },
                { .kind = WIRE_OFFER, .number = UINT64_MAX, .digest = DIGEST },
                { .kind = WIRE_OFFER, .number = 1 },
                { .kind = WIRE_RESOLVED },
                { .kind = WIRE_END },
                { .kind = 0 },
                { .kind = WIRE_DONE + 1 },
        };
        unsigned char data[WIRE_FRAME_SIZE];
        struct wire_frame read;
        struct error err = ERROR_INIT;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
                struct wire_direction out = { .sender = 's' }, in = { .sender = 's' };

                wire_print_frame(sha, &out, &frames[i], data);
                assert_int_equal(wire_parse_frame(sha, &in, data, &read, &err), -1);
                assert_int_equal(err.code, EPROTO);
        }
        wire_print_data(WIRE_DATA_LIMIT, data);
        assert_int_equal(wire_parse_head(data, &read, &err), WIRE_HEAD_SIZE);
        assert_int_equal(read.number, WIRE_DATA_LIMIT);
        wire_print_data(WIRE_DATA_LIMIT + 1, data);
        assert_int_equal(wire_parse_head(data, &read, &err), -1);
        wire_print_data(0, data);
        assert_int_equal(wire_parse_head(data, &read, &err), -1);
}

/* A frame that comes byte by byte, and an end in its middle. */
static void test_links(void **state)
{
        auto_sha256 struct sha256 *sha = new_sha();
        struct link one = LINK_INIT, two = LINK_INIT;
        const struct wire_frame frame = { .kind = WIRE_RESOLVED, .digest = DIGEST };
        struct wire_frame read;
        struct error err = ERROR_INIT;
        int sockets[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        one.ends = two.ends = make_ends();
        link_begin_session(&one, sha, key, true);
        link_begin_session(&two, sha, key, false);
        one.fd = sockets[0];
        two.fd = sockets[1];
        assert_int_equal(link_send(&one, sha, &frame, &err), 0);
        for (size_t i = 0; i < WIRE_FRAME_SIZE; i++) {
                assert_int_equal(link_receive(&two, sha, &read, &err), 0);
                assert_int_equal(write(one.fd, one.out + i, 1), 1);
        }
        assert_int_equal(link_receive(&two, sha, &read, &err), 1);
        assert_string_equal(read.digest, DIGEST);
        assert_int_equal(write(one.fd, one.out, 20), 20);
        link_close(&one);
        assert_int_equal(link_receive(&two, sha, &read, &err), -1);
        assert_int_equal(err.code, ECONNRESET);
        link_close(&two);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostlists),
                cmocka_unit_test(test_a_host_name_that_is_too_long),
                cmocka_unit_test(test_candidates),
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_what_the_plugin_gives),
                cmocka_unit_test(test_hmac),
                cmocka_unit_test(test_handshake),
                cmocka_unit_test(test_impostors),
                cmocka_unit_test(test_frames),
                cmocka_unit_test(test_frames_that_cannot_be),
                cmocka_unit_test(test_links),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
