/*
 * The right to make a file, for one process at a time, on this machine and on all
 * others that see the directory.
 *
 * Network file systems have flock, or only among the processes of one machine (Lustre's
 * localflock), or not at all, and do not tell which. What they all have is O_EXCL: the
 * lease is a file ".NAME.lease" that its holder touches every few seconds. One that is
 * not touched any more belongs to a dead process, or to a machine that is gone, and is
 * taken over; a holder on the same machine is looked for by its pid as well, which
 * finds out at once. A lease only saves work: that no half file is ever seen is due to
 * its being renamed when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/store.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/temp_file.h"
#include "util/thread.h"

#define BEAT_SECONDS  2
#define STALE_SECONDS 30 /* many beats: a busy server may hold one back */
#define POLL_NSEC     200000000

#define HOLDER_LIMIT 4096u /* bytes */

static int64_t now(void)
{
        struct timespec time;

        (void)clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec;
}

/* ---- who holds it ---- */

/* When a process started, in clock ticks since boot; 0 when there is none of that id. */
static uint64_t start_time(long pid)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char path[64];
        const char *at;

        (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
        if (io_read_file(AT_FDCWD, path, HOLDER_LIMIT, &text, &ignored) < 0)
                return 0;
        /* proc(5): field 22; the command in field 2 may hold blanks and parentheses. */
        at = strrchr(strbuf_text(&text), ')');
        for (int field = 2; at && field < 22; field++)
                at = strchr(at + 1, ' ');
        return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* What tells process ids of different machines and pid namespaces apart. */
static int read_place(struct strbuf *text)
{
        struct error ignored = ERROR_INIT;
        struct stat st;

        if (io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, text, &ignored) < 0 ||
            stat("/proc/self/ns/pid", &st) < 0 || !text->data)
                return -1;
        text->data[strcspn(text->data, "\n")] = '\0';
        text->length = strlen(text->data);
        return strbuf_printf(text, ".%ju", (uintmax_t)st.st_ino);
}

/* "HOST PLACE PID START" */
static int print_holder(struct strbuf *text)
{
        auto_strbuf struct strbuf place = STRBUF_INIT;
        char host[256] = "";

        (void)gethostname(host, sizeof(host) - 1);
        host[strcspn(host, " \n")] = '\0';
        if (read_place(&place) < 0)
                return -1;
        return strbuf_printf(text, "%s %s %ld %" PRIu64 "\n", *host ? host : "-",
                             strbuf_text(&place), (long)getpid(), start_time(getpid()));
}

struct holder {
        char host[256], place[128];
        long pid;
        uint64_t start;
};

/* Whether the file says who holds it, as it does but for the moment of its creation. */
static bool parse_holder(const char *text, struct holder *ret)
{
        return sscanf(text, "%255s %127s %ld %" SCNu64, ret->host, ret->place, &ret->pid,
                      &ret->start) == 4;
}

/* Whether the holder was of this machine and is no more. */
static bool is_gone(const struct holder *holder)
{
        auto_strbuf struct strbuf place = STRBUF_INIT;

        return read_place(&place) == 0 && strcmp(strbuf_text(&place), holder->place) == 0 &&
               start_time(holder->pid) != holder->start;
}

/* ---- taking ---- */

/* What a waiting process has seen of the file. */
struct watch {
        ino_t inode;
        struct timespec touched;
        int64_t since; /* when it was first seen so */
        bool told;     /* the user knows that we wait */
};

/* Make the file: 1, 0 when it is there, -1 with *err. */
static int create(struct lease *lease, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        lease->fd = openat(lease->dir_fd, lease->name,
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (lease->fd < 0 && errno == EEXIST)
                return 0;
        if (lease->fd < 0)
                return error_errno(err, "%s", lease->name);
        /* Without it the lease is as good, but for others finding out about our end at once. */
        if (print_holder(&text) == 0)
                (void)io_write_full(lease->fd, text.data, text.length);
        return 1;
}

/* Whether the file of the other one, open as fd, is without a living holder. */
static bool is_stale(const struct lease *lease, int fd, struct watch *watch, struct report *report)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        struct holder holder;
        bool known;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return false;
        known = io_read_fd(fd, lease->name, HOLDER_LIMIT, &text, &ignored) == 0 &&
                parse_holder(strbuf_text(&text), &holder);
        if (known && is_gone(&holder))
                return true;
        if (st.st_ino != watch->inode || st.st_mtim.tv_sec != watch->touched.tv_sec ||
            st.st_mtim.tv_nsec != watch->touched.tv_nsec) {
                watch->inode = st.st_ino;
                watch->touched = st.st_mtim;
                watch->since = now();
        }
        if (!watch->told && known)
                report_info(report, "Waiting for process %ld on %s, which makes the same file",
                            holder.pid, holder.host);
        watch->told |= known;
        return now() - watch->since > STALE_SECONDS;
}

/* Whether the name in the lease's directory is that of the open file. */
static bool is_file(const struct lease *lease, const char *name, int fd)
{
        struct stat held, named;

        return fstat(fd, &held) == 0 &&
               fstatat(lease->dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/*
 * Remove a stale file, open as fd, and no other: its holder may have released it and
 * ended, and somebody else taken the lease, since it was opened. While it is open no
 * other file gets its inode number; renaming it makes sure that the right one goes.
 */
static void remove_stale(const struct lease *lease, int fd)
{
        auto_free char *aside = temp_file_random_name(lease->name);

        if (!aside || !is_file(lease, lease->name, fd) ||
            renameat(lease->dir_fd, lease->name, lease->dir_fd, aside) < 0)
                return;
        if (!is_file(lease, aside, fd))
                (void)linkat(lease->dir_fd, aside, lease->dir_fd, lease->name, 0);
        (void)unlinkat(lease->dir_fd, aside, 0);
}

/* Look at the lease of somebody else: remove it when he is gone, else give him time. */
static void wait_for_other(const struct lease *lease, struct watch *watch, struct report *report)
{
        const struct timespec pause = { .tv_nsec = POLL_NSEC };
        /* Opening makes a network file system look at its server again. */
        auto_close int fd = openat(lease->dir_fd, lease->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return;
        if (is_stale(lease, fd, watch, report))
                remove_stale(lease, fd);
        else
                (void)nanosleep(&pause, NULL);
}

static void *keep_alive(void *context)
{
        struct lease *lease = context;

        (void)pthread_mutex_lock(&lease->lock);
        while (!lease->ended) {
                struct timespec until;

                (void)clock_gettime(CLOCK_REALTIME, &until);
                until.tv_sec += BEAT_SECONDS;
                if (pthread_cond_timedwait(&lease->end, &lease->lock, &until) == ETIMEDOUT)
                        (void)futimens(lease->fd, NULL);
        }
        (void)pthread_mutex_unlock(&lease->lock);
        return NULL;
}

static int start_beating(struct lease *lease, struct error *err)
{
        int code;

        (void)pthread_mutex_init(&lease->lock, NULL);
        (void)pthread_cond_init(&lease->end, NULL);
        code = thread_start(&lease->thread, keep_alive, lease);
        if (code != 0)
                return error_set(err, code, "cannot start a thread: %s", strerror(code));
        lease->beating = true;
        return 0;
}

int lease_take(struct lease *lease, int dir_fd, const char *name, struct report *report,
               struct error *err)
{
        struct watch watch = { .since = now() };

        *lease = (struct lease){ .dir_fd = dir_fd, .fd = -1 };
        if (asprintf(&lease->name, ".%.200s.lease", name) < 0) {
                lease->name = NULL;
                return error_no_memory(err);
        }
        for (;;) {
                int taken = create(lease, err);

                if (taken < 0)
                        return -1;
                if (taken > 0)
                        return start_beating(lease, err);
                wait_for_other(lease, &watch, report);
                if (cancel_check(err) < 0)
                        return -1;
        }
}

void lease_release(struct lease *lease)
{
        if (lease->beating) {
                (void)pthread_mutex_lock(&lease->lock);
                lease->ended = true;
                (void)pthread_cond_signal(&lease->end);
                (void)pthread_mutex_unlock(&lease->lock);
                (void)pthread_join(lease->thread, NULL);
                (void)pthread_cond_destroy(&lease->end);
                (void)pthread_mutex_destroy(&lease->lock);
        }
        if (lease->fd >= 0) {
                /* After a long stop, of the machine perhaps, it may be another's. */
                if (is_file(lease, lease->name, lease->fd))
                        (void)unlinkat(lease->dir_fd, lease->name, 0);
                (void)close(lease->fd);
        }
        free(lease->name);
        *lease = (struct lease)LEASE_INIT;
}
