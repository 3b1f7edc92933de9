/*
 * What steps leave on a node when they cannot end: unnamed containers, and named ones of a
 * job's scope, when the node or all of Slurm on it has died before the epilog.
 *
 * Each job that runs here has a mark, a file "jobs/JOB" in the user's runtime directory.
 * It has the key of this boot and of this start of slurmd: while it is valid, the job's
 * epilog is still to come. What has no valid mark is suspected, and removed if squeue does
 * not know the job (any more): a node alone cannot tell, for jobs survive a new slurmd, and
 * a data path that nodes share has containers of other nodes. When squeue fails, everything
 * stays for the next time.
 *
 * All of this is done by the user: what he puts here deceives nobody but himself.
 */
#include "commands/step_reap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands/container.h"
#include "commands/place.h"
#include "env/env.h"
#include "runtime/runtime.h"
#include "step/step.h"
#include "util/io.h"
#include "util/launch.h"
#include "util/path.h"

#define MARKS       "jobs"
#define MARK_LIMIT  4096u      /* bytes */
#define QUEUE_LIMIT (4u << 20) /* bytes of a user's list of jobs */
#define QUEUE_TRIES 3000       /* of 10 ms for squeue, whose own patience is shorter */

/* ---- marks ---- */

static int read_line(const char *path, char *line, size_t size)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        if (io_read_file(AT_FDCWD, path, MARK_LIMIT, &text, &ignored) < 0)
                return -1;
        (void)snprintf(line, size, "%.*s", (int)strcspn(strbuf_text(&text), " \n"),
                       strbuf_text(&text));
        return 0;
}

/* Of this boot and this start of slurmd, which the plugin has noted (slurm/slurmd.c). */
static void read_key(char key[STEP_KEY_SIZE])
{
        const char *runtime = getenv("PYXIS_RUNTIME_PATH");
        char boot[64] = "", start[48] = "", path[PATH_MAX];

        (void)read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
        if (runtime && snprintf(path, sizeof(path), "%s/" STEP_START_FILE, runtime) < PATH_MAX)
                (void)read_line(path, start, sizeof(start));
        (void)snprintf(key, STEP_KEY_SIZE, "%s.%s", boot, start);
}

/* The directory of the marks: a descriptor, or -1 with *err. */
static int open_marks(bool create, struct error *err)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        char path[PATH_MAX];
        int fd;

        if (!runtime || snprintf(path, sizeof(path), "%s/" MARKS, runtime) >= PATH_MAX)
                return error_set(err, ENOENT, "XDG_RUNTIME_DIR is not set");
        if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
                return error_errno(err, "%s", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? error_errno(err, "%s", path) : fd;
}

/* Read a mark: returns false where there is none. */
static bool read_mark(int marks_fd, const char *job, struct step_mark *ret)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        /* A FIFO would be waited for. */
        auto_close int fd = openat(marks_fd, job, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        return fd >= 0 && io_read_fd(fd, job, MARK_LIMIT, &text, &ignored) == 0 &&
               step_mark_parse(strbuf_text(&text), ret);
}

static int write_mark(int fd, const struct step_mark *mark, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (strbuf_printf(&text, "%s %lu\n", mark->key, mark->restarts) < 0)
                return error_no_memory(err);
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
            io_write_full(fd, text.data, text.length) < 0)
                return error_errno(err, "mark of the job");
        return 0;
}

static bool is_valid(int marks_fd, const char *job, const char *key)
{
        struct step_mark mark;

        return read_mark(marks_fd, job, &mark) && strcmp(mark.key, key) == 0;
}

/* How often the job was requeued, as far as its environment tells. */
static unsigned long count_restarts(void)
{
        const char *count = getenv("SLURM_RESTART_COUNT");

        return count ? strtoul(count, NULL, 10) : 0;
}

/* ---- containers ---- */

int step_remove_container(const struct config *config, const char *name, struct error *err)
{
        auto_close int data_fd = container_open_data_path(config->data_path, err);

        if (data_fd < 0)
                return -1;
        /* None is left of one that could not be made. */
        if (place_remove(config, data_fd, name, err) < 0 && err->code != ENOENT)
                return -1;
        return 0;
}

static int remove_of_job(const struct config *config, const char *job, bool named,
                         struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        struct step_name name;
        int result = 0;

        if (container_names(config->data_path, &names, err) < 0)
                return -1;
        /* The others go even where one cannot. */
        for (size_t i = 0; i < names.count; i++)
                if (step_name_parse(names.items[i], &name) && strcmp(name.job, job) == 0 &&
                    (named || !name.is_named) &&
                    step_remove_container(config, names.items[i], err) < 0)
                        result = -1;
        return result;
}

int command_step_clean(const struct command_context *context, const char *job, bool named,
                       struct error *err)
{
        struct error ignored = ERROR_INIT;
        auto_close int marks_fd = open_marks(false, &ignored);

        if (!*job || strspn(job, "0123456789") != strlen(job))
                return error_set(err, EINVAL, "%s is not the number of a job", job);
        if (remove_of_job(context->config, job, named, err) < 0)
                return -1;
        if (marks_fd >= 0 && unlinkat(marks_fd, job, 0) < 0 && errno != ENOENT)
                return error_errno(err, MARKS "/%s", job);
        return 0;
}

/*
 * Mark the job, after what an earlier run of it has left is removed, if it was requeued. Of
 * several steps that begin at once, one removes and the others wait.
 */
static int claim(const struct step_arguments *arguments, const char *key, char *const *environment,
                 struct error *err)
{
        struct step_mark mark = { .restarts = count_restarts() }, old;
        auto_config struct config config = { 0 };
        auto_close int marks_fd = open_marks(true, err), fd = -1;

        if (marks_fd < 0)
                return -1;
        fd = openat(marks_fd, arguments->job,
                    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0 || flock(fd, LOCK_EX) < 0)
                return error_errno(err, MARKS "/%s", arguments->job);
        if (!read_mark(marks_fd, arguments->job, &old))
                old.restarts = 0;
        /* With --export=NONE a step does not know that its job was requeued. */
        if (mark.restarts > old.restarts &&
            (config_load(&config, environment, err) < 0 ||
             remove_of_job(&config, arguments->job, arguments->job_scope, err) < 0))
                return -1;
        if (mark.restarts < old.restarts)
                mark.restarts = old.restarts;
        (void)snprintf(mark.key, sizeof(mark.key), "%s", key);
        return write_mark(fd, &mark, err);
}

/* ---- jobs that are gone ---- */

static int wait_for(pid_t child)
{
        const struct timespec pause = { .tv_nsec = 10000000 };
        int status = -1;

        for (int i = 0; i < QUEUE_TRIES; i++) {
                if (waitpid(child, &status, WNOHANG) != 0)
                        return status;
                (void)nanosleep(&pause, NULL);
        }
        (void)kill(child, SIGKILL);
        (void)waitpid(child, &status, 0);
        return status;
}

/* The user's jobs that have not ended, wherever they are. Returns 0, or -1 when unknown. */
static int list_jobs(struct strbuf *ret, struct error *err)
{
        auto_close int output = memfd_create("squeue", MFD_CLOEXEC);
        auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        auto_strlist struct strlist environment = STRLIST_INIT;
        static const char *const kept[] = { "PATH", "SLURM_CONF" };
        char user[32];
        /* The user's SQUEUE_ variables would leave out jobs. */
        const char *const argv[] = { "squeue", "--noheader", "--array", "--format=%A", user, NULL };
        const struct launch launch = { argv, &environment, null, output, null };
        pid_t child;

        (void)snprintf(user, sizeof(user), "--user=%u", getuid());
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                const char *value = getenv(kept[i]);

                if (value && env_set(&environment, kept[i], value) < 0)
                        return error_no_memory(err);
        }
        if (output < 0 || null < 0 || launch_program(&launch, &child) != 0 ||
            wait_for(child) != 0 || lseek(output, 0, SEEK_SET) < 0)
                return error_set(err, EIO, "squeue cannot be asked");
        return io_read_fd(output, "squeue", QUEUE_LIMIT, ret, err);
}

/* Containers of jobs without a valid mark. */
static int find_suspects(const struct config *config, const struct step_arguments *arguments,
                         int marks_fd, const char *key, struct strlist *ret, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        struct step_name name;

        if (container_names(config->data_path, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++)
                if (step_name_parse(names.items[i], &name) &&
                    strcmp(name.job, arguments->job) != 0 &&
                    (arguments->job_scope || !name.is_named) &&
                    !is_valid(marks_fd, name.job, key) && strlist_append(ret, names.items[i]) < 0)
                        return error_no_memory(err);
        return 0;
}

static int find_old_marks(int marks_fd, const char *key, struct strlist *ret, struct error *err)
{
        auto_closedir DIR *dir = NULL;
        auto_close int fd = openat(marks_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const struct dirent *entry;

        if (fd < 0 || !(dir = fdopendir(fd)))
                return error_errno(err, MARKS);
        (void)TAKE_FD(fd);
        while ((entry = readdir(dir)) != NULL)
                if (entry->d_name[0] != '.' && !is_valid(marks_fd, entry->d_name, key) &&
                    strlist_append(ret, entry->d_name) < 0)
                        return error_no_memory(err);
        return 0;
}

/* A job that lives need not be asked for again; one that is gone has no mark. */
static void renew_mark(int marks_fd, const char *job, const char *key, const char *jobs)
{
        auto_close int fd = -1;
        struct error ignored = ERROR_INIT;
        struct step_mark mark;

        if (!step_job_is_listed(jobs, job)) {
                (void)unlinkat(marks_fd, job, 0);
                return;
        }
        fd = openat(marks_fd, job, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX) < 0 || !read_mark(marks_fd, job, &mark))
                return;
        (void)snprintf(mark.key, sizeof(mark.key), "%s", key);
        (void)write_mark(fd, &mark, &ignored);
}

static int reap(const struct config *config, const struct step_arguments *arguments,
                const char *key, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT, marks = STRLIST_INIT;
        auto_runtime_processes struct runtime_processes processes = { .items = NULL };
        auto_strbuf struct strbuf jobs = STRBUF_INIT;
        auto_close int marks_fd = open_marks(false, err);
        struct step_name name;
        size_t running;

        if (marks_fd < 0 || find_suspects(config, arguments, marks_fd, key, &names, err) < 0 ||
            find_old_marks(marks_fd, key, &marks, err) < 0)
                return -1;
        if (names.count + marks.count == 0)
                return 0;
        if (list_jobs(&jobs, err) < 0 ||
            runtime_processes_read(config->data_path, &processes, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++)
                if (step_name_parse(names.items[i], &name) &&
                    !step_job_is_listed(strbuf_text(&jobs), name.job) &&
                    !runtime_processes_of(&processes, names.items[i], &running))
                        (void)step_remove_container(config, names.items[i], err);
        for (size_t i = 0; i < marks.count; i++)
                renew_mark(marks_fd, marks.items[i], key, strbuf_text(&jobs));
        return 0;
}

static _Noreturn void become_reaper(const struct step_arguments *arguments, const char *key,
                                    char *const *environment)
{
        auto_config struct config config = { 0 };
        struct error ignored = ERROR_INIT;
        sigset_t none;

        /* Whoever waits at the holder's sockets must see its end. */
        (void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (config_load(&config, environment, &ignored) == 0)
                (void)reap(&config, arguments, key, &ignored);
        _exit(EXIT_SUCCESS);
}

int step_reap_begin(const struct step_arguments *arguments, char *const *environment,
                    pid_t *ret_reaper, struct error *err)
{
        struct error ignored = ERROR_INIT;
        auto_close int marks_fd = -1;
        char key[STEP_KEY_SIZE];
        struct step_mark mark;

        *ret_reaper = 0;
        if (!arguments->job)
                return 0;
        marks_fd = open_marks(false, &ignored);
        read_key(key);
        if (marks_fd >= 0 && read_mark(marks_fd, arguments->job, &mark) &&
            strcmp(mark.key, key) == 0 && count_restarts() <= mark.restarts)
                return 0;
        if (claim(arguments, key, environment, err) < 0)
                return error_prefix(err, "what an earlier run may have left");
        *ret_reaper = fork();
        if (*ret_reaper == 0)
                become_reaper(arguments, key, environment);
        return 0;
}
