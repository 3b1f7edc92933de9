#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "step/step.h"

static void make_pair(int sockets[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
}

static void test_messages(void **state)
{
        struct step_message sent = { .kind = STEP_ENTER, .namespaces = 5, .single_id = true };
        auto_step_message struct step_message received = STEP_MESSAGE_INIT;
        struct error err = ERROR_INIT;
        int sockets[2];

        (void)state;
        make_pair(sockets);
        memset(sent.text, 'x', sizeof(sent.text) - 1);
        for (size_t i = 0; i < STEP_DESCRIPTORS; i++)
                sent.fds[sent.fd_count++] = STDIN_FILENO;
        assert_int_equal(step_send(sockets[0], &sent, &err), 0);
        assert_int_equal(step_receive(sockets[1], &received, &err), 1);
        assert_int_equal(received.kind, STEP_ENTER);
        assert_string_equal(received.text, sent.text);
        assert_int_equal(received.fd_count, STEP_DESCRIPTORS);
        assert_int_equal(received.namespaces, 5);
        assert_true(received.single_id);
        (void)close(sockets[0]);
        step_message_release(&received);
        assert_int_equal(step_receive(sockets[1], &received, &err), 0);
        (void)close(sockets[1]);
}

static void test_what_is_no_message(void **state)
{
        auto_step_message struct step_message received = STEP_MESSAGE_INIT;
        char large[STEP_TEXT_SIZE + 64] = "";
        struct error err = ERROR_INIT;
        int sockets[2];

        (void)state;
        make_pair(sockets);
        assert_int_equal(send(sockets[0], "abc", 3, 0), 3);
        assert_int_equal(step_receive(sockets[1], &received, &err), -1);
        assert_int_equal(err.code, EBADMSG);
        assert_int_equal(send(sockets[0], large, sizeof(large), 0), sizeof(large));
        assert_int_equal(step_receive(sockets[1], &received, &err), -1);
        assert_int_equal(err.code, EBADMSG);
        (void)close(sockets[0]);
        (void)close(sockets[1]);
}

/* Nobody listens: an error, and no signal. */
static void test_nobody_there(void **state)
{
        const struct step_message message = { .kind = STEP_INFO, .text = "line" };
        struct error err = ERROR_INIT;
        int sockets[2];

        (void)state;
        make_pair(sockets);
        (void)close(sockets[1]);
        assert_int_equal(step_send(sockets[0], &message, &err), -1);
        assert_int_equal(err.code, EPIPE);
        (void)close(sockets[0]);
}

static void test_environments(void **state)
{
        char *const environment[] = { (char *)"A=1", (char *)"none", (char *)"B=x\ny=z", NULL };
        struct error err = ERROR_INIT;
        int fd = step_write_environment(environment, &err);

        (void)state;
        assert_true(fd >= 0);
        /* Twice, as two tasks do with one description of the file. */
        for (int i = 0; i < 2; i++) {
                auto_strlist struct strlist list = STRLIST_INIT;

                assert_int_equal(step_read_environment(fd, &list, &err), 0);
                assert_int_equal(list.count, 2);
                assert_string_equal(list.items[0], "A=1");
                assert_string_equal(list.items[1], "B=x\ny=z");
        }
        assert_int_equal(ftruncate(fd, 9 << 20), 0);
        {
                auto_strlist struct strlist list = STRLIST_INIT;

                assert_int_equal(step_read_environment(fd, &list, &err), -1);
                assert_int_equal(err.code, EFBIG);
        }
        (void)close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_what_is_no_message),
                cmocka_unit_test(test_nobody_there),
                cmocka_unit_test(test_environments),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
