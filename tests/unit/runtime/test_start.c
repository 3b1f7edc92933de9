/*
 * runtime/start.c: whole starts of a rootfs that holds nothing but a static program,
 * which reports where it finds itself. Skipped where there are no user namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/runtime.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"

#define EXIT_OF_PROBE 42
#define FAILED_START  99

static const char *probe_path;
static char scratch[] = "/tmp/enroot-test-start-XXXXXX";
static char root_path[sizeof(scratch) + sizeof("/root")];

/* What a start of a test differs in. */
struct trial {
        struct config config;
        struct strlist mounts, env;
        const char *rc;
        char *command[4];
        struct strbuf output; /* of the command, or the error of a failed start */
        int status;
};

static void trial_release(struct trial *trial)
{
        strlist_release(&trial->mounts);
        strlist_release(&trial->env);
        strlist_release(&trial->config.environment);
        strbuf_release(&trial->output);
}

static struct trial trial_init(void)
{
        static char command[] = "/probe", argument[] = "one arg";
        struct trial trial = {
                .config = {
                        .sysconf_path = "/nonexistent", .config_path = "/nonexistent",
                        .runtime_path = "/nonexistent", .login_shell = true,
                },
                .command = { command, argument },
        };

        assert_int_equal(strlist_append(&trial.config.environment, "HOSTVAR=host value"), 0);
        assert_int_equal(strlist_append(&trial.config.environment, "TERM=vt100"), 0);
        return trial;
}

static void run(struct trial *trial)
{
        struct error err = ERROR_INIT;
        int pipes[2], status;
        pid_t child;

        assert_int_equal(pipe(pipes), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                struct runtime_start start = {
                        .rootfs = root_path,
                        .rc = trial->rc,
                        .mounts = &trial->mounts,
                        .env = &trial->env,
                        .command = trial->command,
                };

                /* Must not reach the command: it would be a way out (CVE-2024-21626). */
                (void)open("/", O_RDONLY | O_DIRECTORY);
                (void)dup2(pipes[1], STDOUT_FILENO);
                (void)close(pipes[0]);
                (void)close(pipes[1]);
                (void)runtime_start(&start, &trial->config, NULL, &status, &err);
                (void)printf("%s\n", err.message);
                (void)fflush(stdout);
                _exit(FAILED_START);
        }
        (void)close(pipes[1]);
        assert_int_equal(io_read_fd(pipes[0], "output", 1 << 20, &trial->output, &err), 0);
        (void)close(pipes[0]);
        assert_int_equal(waitpid(child, &trial->status, 0), child);
        assert_true(WIFEXITED(trial->status));
        trial->status = WEXITSTATUS(trial->status);
}

static void run_probe(struct trial *trial)
{
        run(trial);
        if (trial->status != EXIT_OF_PROBE)
                fail_msg("%s", strbuf_text(&trial->output));
}

/* A start that fails, with the text in its message. */
static void run_failing(struct trial *trial, const char *text)
{
        run(trial);
        assert_int_equal(trial->status, FAILED_START);
        if (!strstr(strbuf_text(&trial->output), text))
                fail_msg("no \"%s\" in: %s", text, strbuf_text(&trial->output));
}

/* Whether the output has the line. */
static bool said(const struct trial *trial, const char *line)
{
        size_t length = strlen(line);

        for (const char *at = strbuf_text(&trial->output); *at;) {
                size_t end = strcspn(at, "\n");

                if (end == length && memcmp(at, line, length) == 0)
                        return true;
                at += end + (at[end] == '\n');
        }
        (void)fprintf(stderr, "missing \"%s\" in:\n%s", line, strbuf_text(&trial->output));
        return false;
}

static int copy_probe(void)
{
        auto_strbuf struct strbuf content = STRBUF_INIT;
        struct error err = ERROR_INIT;
        auto_close int fd = open("root/probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

        if (fd < 0 || io_read_file(AT_FDCWD, probe_path, 16u << 20, &content, &err) < 0)
                return -1;
        return io_write_full(fd, content.data, content.length);
}

static int set_up(void **state)
{
        static const char *const dirs[] = { "root", "root/etc", "host", "host dir" };

        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch) || chdir(scratch) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
                if (mkdir(dirs[i], 0755) < 0)
                        return -1;
        (void)snprintf(root_path, sizeof(root_path), "%s/root", scratch);
        return copy_probe();
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return chdir("/") < 0 ? -1 : path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *path, const char *text)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void test_default_start(void **state)
{
        auto_cleanup(trial_release) struct trial trial = trial_init();
        char line[128];

        (void)state;
        write_file("root/etc/environment", "FROM_IMAGE=${HOSTVAR}!\nENROOT_EVIL=1\n");
        assert_int_equal(strlist_append(&trial.env, "GIVEN=x=y"), 0);
        assert_int_equal(strlist_append(&trial.env, "HOSTVAR"), 0);
        run_probe(&trial);
        (void)snprintf(line, sizeof(line), "uid=%u gid=%u", getuid(), getgid());
        assert_true(said(&trial, line));
        assert_true(said(&trial, "argv0=/probe"));
        assert_true(said(&trial, "arg=one arg"));
        assert_true(said(&trial, "env FROM_IMAGE=host value!"));
        assert_true(said(&trial, "env GIVEN=x=y"));
        assert_true(said(&trial, "env HOSTVAR=host value"));
        assert_true(said(&trial, "env TERM=vt100"));
        assert_true(said(&trial, "write=Read-only file system"));
        assert_true(said(&trial, "tmp=ok"));
        assert_true(said(&trial, "devnull=yes"));
        assert_true(said(&trial, "NoNewPrivs:\t1"));
        assert_true(said(&trial, "Seccomp:\t2"));
        assert_true(said(&trial, "chown=0 lchown=0 fchown=0 fchownat=0"));
        assert_true(said(&trial, "setuid=0 setgid=0 setreuid=0 setregid=0 setresuid=0 setresgid=0 "
                                 "setgroups=0"));
        assert_true(said(&trial, "setfsuid(5)=0 setfsuid(-1)=1 setfsuid(-1L)=1"));
        assert_true(said(&trial, "setfsgid(5)=0 setfsgid(-1)=1"));
        assert_true(said(&trial, "x86=ok"));
        assert_true(said(&trial, "x32=ok"));
        assert_null(strstr(trial.output.data, "open fd"));
        assert_null(strstr(trial.output.data, "ENROOT_"));
        if (getuid() != 0) {
                assert_true(said(&trial, "CapEff:\t0000000000000000"));
                assert_true(said(&trial, "CapBnd:\t0000000000000000"));
        }
        assert_int_equal(access("root/tmp/written", F_OK), -1);
        assert_int_equal(access("root/.lock", F_OK), 0);
}

static void test_root_and_writable(void **state)
{
        auto_cleanup(trial_release) struct trial trial = trial_init();

        (void)state;
        trial.config.remap_root = true;
        trial.config.rootfs_writable = true;
        run_probe(&trial);
        assert_true(said(&trial, "uid=0 gid=0"));
        assert_true(said(&trial, "write=ok"));
        assert_non_null(strstr(trial.output.data, "CapEff:\t000001ff"));
        assert_int_equal(access("root/written", F_OK), 0);
}

static void test_restricted_devices(void **state)
{
        auto_cleanup(trial_release) struct trial trial = trial_init();

        (void)state;
        trial.config.restrict_dev = true;
        run_probe(&trial);
        assert_true(said(&trial, "devnull=yes"));
}

static void test_mounts(void **state)
{
        auto_cleanup(trial_release) struct trial trial = trial_init();
        char word[256];

        (void)state;
        write_file("host/file", "");
        (void)snprintf(word, sizeof(word), "%s/host:/bound", scratch);
        assert_int_equal(strlist_append(&trial.mounts, word), 0);
        run_probe(&trial);
        assert_true(said(&trial, "bound=yes"));
}

/* Bad words on the command line are errors that name them. */
static void test_bad_words(void **state)
{
        (void)state;
        {
                auto_cleanup(trial_release) struct trial trial = trial_init();

                assert_int_equal(strlist_append(&trial.mounts, "/no/such/dir:/x"), 0);
                run_failing(&trial, "/no/such/dir");
        }
        {
                auto_cleanup(trial_release) struct trial trial = trial_init();

                assert_int_equal(strlist_append(&trial.env, "1BAD=x"), 0);
                run_failing(&trial, "1BAD");
        }
        {
                auto_cleanup(trial_release) struct trial trial = trial_init();

                trial.rc = "no-such-rc";
                run_failing(&trial, "no-such-rc");
        }
}

/* --rc reaches the shell as a descriptor, and nothing else does. */
static void test_rc(void **state)
{
        auto_cleanup(trial_release) struct trial trial = trial_init();

        (void)state;
        write_file("script", "anything");
        assert_int_equal(mkdir("root/bin", 0755), 0);
        assert_int_equal(link("root/probe", "root/bin/sh"), 0);
        trial.rc = "script";
        run_probe(&trial);
        assert_true(said(&trial, "argv0=-sh"));
        assert_true(said(&trial, "arg=/proc/self/fd/3"));
        assert_true(said(&trial, "arg=/probe"));
        assert_true(said(&trial, "open fd=3"));
        assert_null(strstr(trial.output.data, "open fd=4"));
}

static void test_exec_errors(void **state)
{
        static char missing[] = "no-such-program", script[] = "/script";

        (void)state;
        {
                auto_cleanup(trial_release) struct trial trial = trial_init();

                trial.command[0] = missing;
                run_failing(&trial, missing);
        }
        {
                auto_cleanup(trial_release) struct trial trial = trial_init();

                write_file("root/script", "#!/no/such/interpreter\n");
                assert_int_equal(chmod("root/script", 0755), 0);
                trial.command[0] = script;
                run_failing(&trial, "interpreter");
        }
}

/* An image that points every file that a start touches at the host's. */
static void test_hostile_rootfs(void **state)
{
        static const char *const links[] = {
                "etc/passwd", "etc/group",    "etc/localtime", "etc/resolv.conf",
                "etc/hosts",  "etc/hostname", "proc",          "sys",
                "dev",        "var",          "home"
        };
        auto_cleanup(trial_release) struct trial trial = trial_init();
        char target[256];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
                auto_free char *path = path_join("root", links[i]);

                (void)snprintf(target, sizeof(target), "%s/host/%zu", scratch, i);
                assert_int_equal(symlink(target, path), 0);
        }
        run_probe(&trial);
        /* The host's directory is still empty: everything was made below the rootfs. */
        assert_int_equal(rmdir("host"), 0);
}

/* A failed start names the setting; here, an /etc/environment that would never end. */
static void test_endless_environment(void **state)
{
        auto_cleanup(trial_release) struct trial trial = trial_init();

        (void)state;
        assert_int_equal(mkfifo("root/etc/environment", 0644), 0);
        run_failing(&trial, "/etc/environment");
}

static bool has_user_namespaces(void)
{
        pid_t child = fork();
        int status;

        if (child == 0)
                _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0);
        return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

#define START_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                START_TEST(test_default_start),       START_TEST(test_root_and_writable),
                START_TEST(test_restricted_devices),  START_TEST(test_mounts),
                START_TEST(test_bad_words),           START_TEST(test_rc),
                START_TEST(test_exec_errors),         START_TEST(test_hostile_rootfs),
                START_TEST(test_endless_environment),
        };

        if (argc != 2)
                return EXIT_FAILURE;
        probe_path = realpath(argv[1], NULL);
        if (!probe_path)
                return EXIT_FAILURE;
        if (!has_user_namespaces())
                return 77; /* meson: skipped */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
