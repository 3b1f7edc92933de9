/*
 * A hook of the OCI runtime specification (config.md, "POSIX-platform Hooks"), as CDI
 * files name them: it reads the container's state on standard input, and finds the
 * rootfs in the config.json of the bundle that the state names. It runs in the
 * container's namespaces, before the rootfs is the root directory.
 */
#include "hooks/oci_hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "env/env.h"
#include "hooks/process.h"
#include "util/io.h"
#include "util/json_writer.h"
#include "util/path.h"

#define OCI_VERSION "1.0.2"

/* The rootfs, where hooks of NVIDIA's and others' look for it. */
static int write_bundle(const char *directory, const char *rootfs, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_free char *path = path_join(directory, "config.json");
        struct json_writer writer = { .text = &text };
        auto_close int fd = -1;

        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersion", OCI_VERSION);
        json_write_object(&writer, "root");
        json_write_text(&writer, "path", rootfs);
        json_write_end(&writer);
        json_write_end(&writer);
        if (!path || text.failed)
                return error_no_memory(err);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || io_write_full(fd, text.data, text.length) < 0)
                return error_errno(err, "%s", path);
        return 0;
}

/* The state as a file to read from its start. A descriptor, or -1 with *err. */
static int write_state(const char *directory, const char *pid, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };
        auto_close int fd = memfd_create("state", MFD_CLOEXEC);

        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersion", OCI_VERSION);
        json_write_text(&writer, "id", pid);
        json_write_text(&writer, "status", "creating");
        json_write_number(&writer, "pid", strtol(pid, NULL, 10));
        json_write_text(&writer, "bundle", directory);
        json_write_end(&writer);
        if (text.failed)
                return error_no_memory(err);
        if (fd < 0 || io_write_full(fd, text.data, text.length) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return error_errno(err, "cannot keep the state in memory");
        return TAKE_FD(fd);
}

/* A descriptor that can be read after some seconds, -1 for never; -2 with *err. */
static int start_timer(int64_t seconds, struct error *err)
{
        const struct itimerspec time = { .it_value = { .tv_sec = seconds } };
        auto_close int fd = seconds > 0 ? timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) : -1;

        if (seconds > 0 && (fd < 0 || timerfd_settime(fd, 0, &time, NULL) < 0)) {
                error_errno(err, "timer");
                return -2;
        }
        return TAKE_FD(fd);
}

static int run(const struct gpu_program *program, int state, struct error *err)
{
        char *const just_path[] = { program->path, NULL }, *const no_environment[] = { NULL };
        char *const *argv = program->args.count > 0 ? program->args.items : just_path;
        auto_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        auto_close int timer = start_timer(program->timeout, err);
        auto_process struct process process = { .input = state, .path = program->path };
        int status, result;

        if (timer == -2)
                return -1;
        if (null < 0)
                return error_errno(err, "/dev/null");
        if (process_start(&process, argv,
                          program->environment.count > 0 ? program->environment.items
                                                         : no_environment,
                          &null, 1, err) < 0)
                return -1;
        result = process_wait(&process, timer, &status, err);
        if (result < 0)
                return -1;
        if (result > 0)
                return error_set(err, ETIMEDOUT, "%s has not ended after %lld seconds",
                                 program->path, (long long)program->timeout);
        return status == 0 ? 0 : process_failed(program->path, status, err);
}

int oci_hook_run(const struct exchange *exchange, const struct gpu_program *program,
                 struct error *err)
{
        const char *rootfs = env_get(&exchange->variables, "ENROOT_ROOTFS");
        const char *pid = env_get(&exchange->variables, "ENROOT_PID");
        auto_free char *directory = strdup(exchange->environ_path);
        auto_close int state = -1;

        if (!directory)
                return error_no_memory(err);
        *strrchr(directory, '/') = '\0';
        if (write_bundle(directory, rootfs, err) < 0)
                return -1;
        state = write_state(directory, pid, err);
        if (state < 0 || run(program, state, err) < 0)
                return error_prefix(err, "CDI hook %s", program->path);
        return 0;
}
