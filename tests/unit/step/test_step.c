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

static void test_names_of_containers(void **state)
{
        const struct {
                const char *name, *job; /* NULL: of no job */
                bool is_named;
        } table[] = {
                { "pyxis_12.0", "12", false },
                { "pyxis_4294967295.4294967291", "4294967295", false },
                { "pyxis_12_name", "12", true },
                { "pyxis_12_3.4", "12", true },
                { "pyxis_12__", "12", true },
                { "pyxis_12_", NULL, false },
                { "pyxis_12.", NULL, false },
                { "pyxis_12.0x", NULL, false },
                { "pyxis_12.0.1", NULL, false },
                { "pyxis_12", NULL, false },
                { "pyxis_", NULL, false },
                { "pyxis_.0", NULL, false },
                { "pyxis_012.0", NULL, false },
                { "pyxis_0.0", NULL, false },
                { "pyxis_-1.0", NULL, false },
                { "pyxis_12345678901.0", NULL, false },
                { "pyxis_name", NULL, false },
                { "pyxis-12.0", NULL, false },
                { "12.0", NULL, false },
                { "pyx", NULL, false },
                { "", NULL, false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct step_name name;

                assert_int_equal(step_name_parse(table[i].name, &name), table[i].job != NULL);
                if (!table[i].job)
                        continue;
                assert_string_equal(name.job, table[i].job);
                assert_int_equal(name.is_named, table[i].is_named);
        }
}

static void test_marks(void **state)
{
        static const char *const wrong[] = { "",       "\n",        "key",         "key 1",
                                             "key \n",  " 1\n",      "key 1\nmore", "key -1\n",
                                             "key  1\n", "key 1 \n", "key 12345678901\n" };
        char text[STEP_KEY_SIZE + 8];
        struct step_mark mark;

        (void)state;
        assert_true(step_mark_parse("5e1f.17 3\n", &mark));
        assert_string_equal(mark.key, "5e1f.17");
        assert_int_equal(mark.restarts, 3);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_false(step_mark_parse(wrong[i], &mark));
        (void)snprintf(text, sizeof(text), "%0*d 1\n", STEP_KEY_SIZE - 1, 0);
        assert_true(step_mark_parse(text, &mark));
        (void)snprintf(text, sizeof(text), "%0*d 1\n", STEP_KEY_SIZE, 0);
        assert_false(step_mark_parse(text, &mark));
}

static void test_lists_of_jobs(void **state)
{
        (void)state;
        assert_true(step_job_is_listed("12\n", "12"));
        assert_true(step_job_is_listed("1\n12\n123\n", "12"));
        assert_true(step_job_is_listed("  1  \n 12", "12"));
        assert_false(step_job_is_listed("1\n123\n212\n12_1\n", "12"));
        assert_false(step_job_is_listed("", "12"));
        assert_false(step_job_is_listed("\n", "12"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_what_is_no_message),
                cmocka_unit_test(test_nobody_there),
                cmocka_unit_test(test_environments),
                cmocka_unit_test(test_names_of_containers),
                cmocka_unit_test(test_marks),
                cmocka_unit_test(test_lists_of_jobs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
