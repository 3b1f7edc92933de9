/*
 * Nodes of a step as processes of this machine, each with a cache of its own: what the tree
 * does when all goes well, and when nodes die or lie.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/relay.h"
#include "step/step.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/io.h"

#define NODES      7
#define IMAGE_SIZE (24u << 20)
#define PATIENCE   60000 /* milliseconds, on a busy machine */
#define DIGEST     "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER      "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct node {
        char cache[64];
        int control;
        pid_t pid;
};

struct step {
        char directory[32];
        struct node nodes[NODES];
        unsigned int number; /* every step has ports of its own */
};

static unsigned int steps;

static void make_step(struct step *step)
{
        *step = (struct step){ .number = ++steps };
        (void)snprintf(step->directory, sizeof(step->directory), "/tmp/enroot-relay-XXXXXX");
        assert_non_null(mkdtemp(step->directory));
        for (size_t i = 0; i < NODES; i++) {
                (void)snprintf(step->nodes[i].cache, sizeof(step->nodes[i].cache), "%s/%zu",
                               step->directory, i);
                step->nodes[i].control = -1;
        }
}

static _Noreturn void run_node(const struct step *step, uint32_t index, enum relay_role role,
                               int control, unsigned char secret)
{
        char name[32];
        const struct relay_place place = {
                .step = name,
                .nodes = "localhost,localhost,localhost,localhost,localhost,localhost,localhost",
                .node = index,
                .node_count = NODES,
                .first_port = 61000,
                .last_port = 65535,
                .patience = 10000,
                .secret = { secret },
        };
        struct report report = { .message = NULL };
        struct error err = ERROR_INIT;
        auto_store struct store *store = store_open(step->nodes[index].cache, &err);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)snprintf(name, sizeof(name), "%d.%u", (int)getppid(), step->number);
        _exit(store && relay_run(&place, role, store, control, &report, &err) == 0 ? 0 : 1);
}

static void start_node(struct step *step, uint32_t index, enum relay_role role,
                       unsigned char secret)
{
        int sockets[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        step->nodes[index].control = sockets[0];
        step->nodes[index].pid = fork();
        assert_true(step->nodes[index].pid >= 0);
        if (step->nodes[index].pid == 0) {
                for (size_t i = 0; i < NODES; i++)
                        if (step->nodes[i].control >= 0)
                                (void)close(step->nodes[i].control);
                run_node(step, index, role, sockets[1], secret);
        }
        (void)close(sockets[1]);
}

static void start_nodes(struct step *step)
{
        for (uint32_t i = 0; i < NODES; i++)
                start_node(step, i, i == 0 ? RELAY_FIRST : RELAY_RECEIVE, 1);
}

static void say(struct step *step, uint32_t index, enum step_kind kind, const char *text)
{
        struct step_message message = { .kind = kind };
        struct error err = ERROR_INIT;

        (void)snprintf(message.text, sizeof(message.text), "%s", text);
        assert_int_equal(step_send(step->nodes[index].control, &message, &err), 0);
}

/* What a node says next, lines for the user apart. */
static void expect(struct step *step, uint32_t index, enum step_kind kind, const char *text)
{
        struct pollfd ready = { .fd = step->nodes[index].control, .events = POLLIN };
        struct step_message message = STEP_MESSAGE_INIT;
        struct error err = ERROR_INIT;

        do {
                if (poll(&ready, 1, PATIENCE) <= 0)
                        fail_msg("node %u says nothing", index);
                if (step_receive(step->nodes[index].control, &message, &err) != 1)
                        fail_msg("node %u has gone", index);
        } while (message.kind == STEP_INFO);
        if (message.kind != kind || strcmp(message.text, text) != 0)
                fail_msg("node %u: %d %s", index, (int)message.kind, message.text);
}

static void kill_node(struct step *step, uint32_t index)
{
        assert_int_equal(kill(step->nodes[index].pid, SIGKILL), 0);
        assert_int_equal(waitpid(step->nodes[index].pid, NULL, 0), step->nodes[index].pid);
        step->nodes[index].pid = 0;
}

/* All that are left end by themselves. */
static void end_step(struct step *step)
{
        auto_free char *command = NULL;

        for (uint32_t i = 0; i < NODES; i++)
                if (step->nodes[i].pid > 0)
                        say(step, i, STEP_END, "");
        for (uint32_t i = 0; i < NODES; i++) {
                int status = 0;

                if (step->nodes[i].pid > 0) {
                        assert_int_equal(waitpid(step->nodes[i].pid, &status, 0),
                                         step->nodes[i].pid);
                        assert_int_equal(status, 0);
                }
                if (step->nodes[i].control >= 0)
                        (void)close(step->nodes[i].control);
        }
        assert_true(asprintf(&command, "rm -rf %s", step->directory) > 0);
        assert_int_equal(system(command), 0);
}

/* ---- images ---- */

static void make_image(const struct step *step, uint32_t index, const char *digest)
{
        auto_free unsigned char *data = malloc(IMAGE_SIZE);
        char name[STORE_IMAGE_NAME_SIZE];
        struct error err = ERROR_INIT;
        auto_store struct store *store = store_open(step->nodes[index].cache, &err);
        auto_close int fd = -1;

        assert_non_null(data);
        assert_non_null(store);
        for (size_t i = 0; i < IMAGE_SIZE; i++)
                data[i] = (unsigned char)(i * 2654435761u >> 16);
        assert_int_equal(store_image_name(digest, name, &err), 0);
        fd = openat(store_dir_fd(store), name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, data, IMAGE_SIZE), 0);
}

static void compare_images(const struct step *step, uint32_t one, uint32_t other)
{
        auto_free char *command = NULL;

        assert_true(asprintf(&command, "cmp -s %s/*.sqsh %s/*.sqsh && [ $(ls -A %s | wc -l) = 1 ]",
                             step->nodes[one].cache, step->nodes[other].cache,
                             step->nodes[other].cache) > 0);
        if (system(command) != 0)
                fail_msg("the image of node %u is another one", other);
}

/* ---- tests ---- */

static void test_a_tree(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        start_nodes(&step);
        make_image(&step, 0, DIGEST);
        say(&step, 0, STEP_RESOLVED, DIGEST);
        say(&step, 0, STEP_IMAGE, DIGEST);
        for (uint32_t i = 1; i < NODES; i++) {
                expect(&step, i, STEP_IMAGE, DIGEST);
                compare_images(&step, 0, i);
        }
        end_step(&step);
}

/* The first node ends its step before others have begun theirs: it waits for its children. */
static void test_nodes_that_come_late(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        make_image(&step, 0, DIGEST);
        start_node(&step, 0, RELAY_FIRST, 1);
        say(&step, 0, STEP_IMAGE, DIGEST);
        say(&step, 0, STEP_END, "");
        for (uint32_t i = 1; i < NODES; i++)
                start_node(&step, i, RELAY_RECEIVE, 1);
        for (uint32_t i = 1; i < NODES; i++)
                expect(&step, i, STEP_IMAGE, DIGEST);
        assert_int_equal(waitpid(step.nodes[0].pid, NULL, 0), step.nodes[0].pid);
        step.nodes[0].pid = 0;
        end_step(&step);
}

/* What is in a cache is not asked for; it is passed on as it is. */
static void test_a_node_that_has_the_image(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        make_image(&step, 0, DIGEST);
        make_image(&step, 1, DIGEST);
        start_nodes(&step);
        say(&step, 0, STEP_IMAGE, DIGEST);
        for (uint32_t i = 1; i < NODES; i++)
                expect(&step, i, STEP_IMAGE, DIGEST);
        compare_images(&step, 1, 3);
        end_step(&step);
}

static void test_a_failure_is_everybodys(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        start_nodes(&step);
        say(&step, 0, STEP_FAILED, "");
        for (uint32_t i = 1; i < NODES; i++)
                expect(&step, i, STEP_FAILED, "");
        end_step(&step);
}

/* Node 0 dies when all know the digest: node 1 imports that, all others get it from there. */
static void test_the_first_node_dies(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        start_nodes(&step);
        say(&step, 0, STEP_RESOLVED, DIGEST);
        (void)poll(NULL, 0, 4000); /* until the last one knows; it would do without */
        kill_node(&step, 0);
        expect(&step, 1, STEP_IMPORT, DIGEST);
        make_image(&step, 1, DIGEST);
        say(&step, 1, STEP_IMAGE, DIGEST);
        for (uint32_t i = 2; i < NODES; i++) {
                expect(&step, i, STEP_IMAGE, DIGEST);
                compare_images(&step, 1, i);
        }
        end_step(&step);
}

/* A node in the middle of the tree dies while it passes on: its children go on elsewhere. */
static void test_a_parent_dies_in_the_middle(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        make_image(&step, 0, DIGEST);
        start_nodes(&step);
        (void)poll(NULL, 0, 500);
        say(&step, 0, STEP_IMAGE, DIGEST);
        (void)poll(NULL, 0, 10);
        kill_node(&step, 2);
        for (uint32_t i = 1; i < NODES; i++) {
                if (i == 2)
                        continue;
                expect(&step, i, STEP_IMAGE, DIGEST);
                compare_images(&step, 0, i);
        }
        end_step(&step);
}

/* A node with another secret is not believed, and gets nothing: it is told to import. */
static void test_another_secret(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        make_image(&step, 0, DIGEST);
        start_node(&step, 0, RELAY_FIRST, 1);
        start_node(&step, 1, RELAY_RECEIVE, 2);
        say(&step, 0, STEP_IMAGE, DIGEST);
        expect(&step, 1, STEP_IMPORT, "");
        end_step(&step);
}

/* A node whose container exists says so; the next one imports for the others. */
static void test_a_node_that_needs_nothing(void **state)
{
        struct step step;

        (void)state;
        make_step(&step);
        start_node(&step, 0, RELAY_ABSENT, 1);
        for (uint32_t i = 1; i < NODES; i++)
                start_node(&step, i, i == 2 ? RELAY_ABSENT : RELAY_RECEIVE, 1);
        expect(&step, 1, STEP_IMPORT, "");
        make_image(&step, 1, OTHER);
        say(&step, 1, STEP_IMAGE, OTHER);
        for (uint32_t i = 3; i < NODES; i++)
                expect(&step, i, STEP_IMAGE, OTHER);
        end_step(&step);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_tree),
                cmocka_unit_test(test_nodes_that_come_late),
                cmocka_unit_test(test_a_node_that_has_the_image),
                cmocka_unit_test(test_a_failure_is_everybodys),
                cmocka_unit_test(test_the_first_node_dies),
                cmocka_unit_test(test_a_parent_dies_in_the_middle),
                cmocka_unit_test(test_another_secret),
                cmocka_unit_test(test_a_node_that_needs_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
