/*
 * The FUSE server: an image as a file system, on libfuse's low-level interface.
 * The mount itself is its caller's business. What it answers is in fuse_requests.c.
 */
#include "squashfs/fuse_requests.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/stat.h>
#include <time.h>

/*
 * At most as many as processors, but some in any case, for they wait for disks and networks,
 * too. On two processors one to four threads measure the same; the upper bound is for the
 * memory of large machines.
 */
#define THREADS_MIN 4
#define THREADS_MAX 16

/* How long the mount may take to follow the start of the server. */
#define MOUNT_WAIT_MS 10000

/* A library has nowhere to print to; what fails is told through return values. */
static void ignore_log(enum fuse_log_level level, const char *format, va_list args)
{
        (void)level;
        (void)format;
        (void)args;
}

/*
 * The threads that answer requests, in the order of arrival by whichever is free. Whoever
 * takes a request while nobody else waits for one has another thread started, so that a
 * container with little to do has few: each wake-up goes to the one that slept the longest,
 * whose caches are cold.
 */
struct crew {
        struct fuse_session *session;
        atomic_uint idle;
        atomic_bool full;
        pthread_mutex_t lock; /* for what follows */
        unsigned int count, limit;
        pthread_t threads[THREADS_MAX];
};

static void *work(void *argument);

/* Fewer threads than wanted still serve. */
static void crew_grow(struct crew *crew)
{
        if (atomic_load_explicit(&crew->full, memory_order_relaxed))
                return;
        pthread_mutex_lock(&crew->lock);
        if (crew->count < crew->limit &&
            pthread_create(&crew->threads[crew->count], NULL, work, crew) == 0)
                crew->count++;
        else
                atomic_store_explicit(&crew->full, true, memory_order_relaxed);
        pthread_mutex_unlock(&crew->lock);
}

/* Returns false when the file system is gone. */
static bool receive(struct fuse_session *session, struct fuse_buf *buffer)
{
        int status;

        do {
                if (libfuse.session_exited(session))
                        return false;
                status = libfuse.session_receive_buf(session, buffer);
        } while (status == -EINTR || status == -EAGAIN);
        return status > 0; /* 0: unmounted, or the last namespace is gone */
}

static void serve_requests(struct crew *crew, struct fuse_buf *buffer)
{
        for (;;) {
                bool received;

                atomic_fetch_add(&crew->idle, 1);
                received = receive(crew->session, buffer);
                if (atomic_fetch_sub(&crew->idle, 1) == 1 && received)
                        crew_grow(crew);
                if (!received)
                        return;
                libfuse.session_process_buf(crew->session, buffer);
        }
}

static void *work(void *argument)
{
        struct fuse_buf buffer = { .mem = NULL };

        serve_requests(argument, &buffer);
        free(buffer.mem);
        return NULL;
}

static unsigned int default_threads(void)
{
        cpu_set_t set;
        int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

        if (count < THREADS_MIN)
                return THREADS_MIN;
        return count < THREADS_MAX ? (unsigned int)count : THREADS_MAX;
}

static void run_threads(struct fuse_session *session, unsigned int wanted)
{
        struct crew crew = { .session = session, .lock = PTHREAD_MUTEX_INITIALIZER };
        struct fuse_buf buffer = { .mem = NULL };

        if (wanted == 0)
                wanted = default_threads();
        crew.limit = (wanted < THREADS_MAX ? wanted : THREADS_MAX) - 1; /* and this one */
        /* The first request is the kernel's greeting, before whose answer there is no other. */
        if (receive(session, &buffer)) {
                libfuse.session_process_buf(session, &buffer);
                serve_requests(&crew, &buffer);
        }
        free(buffer.mem);
        /* A thread that still works may start another one, behind it. */
        for (unsigned int i = 0;; i++) {
                bool last;

                pthread_mutex_lock(&crew.lock);
                last = i == crew.count;
                pthread_mutex_unlock(&crew.lock);
                if (last)
                        break;
                pthread_join(crew.threads[i], NULL);
        }
        pthread_mutex_destroy(&crew.lock);
}

/*
 * A read that is too short for any request tells without taking one: EPERM before
 * the mount, EINVAL after it (fuse_dev_do_read in fs/fuse/dev.c).
 */
static int wait_for_mount(int fuse_fd, struct error *err)
{
        const struct timespec pause = { .tv_nsec = 100 * 1000 };
        char byte;

        for (int i = 0; i < MOUNT_WAIT_MS * 10; i++) {
                if (read(fuse_fd, &byte, sizeof(byte)) >= 0 || errno != EPERM)
                        return 0;
                (void)nanosleep(&pause, NULL);
        }
        return error_set(err, ETIMEDOUT, "the image was not mounted in %d seconds",
                         MOUNT_WAIT_MS / 1000);
}

/* A session on a descriptor of its own, as the session closes what it has. */
static struct fuse_session *session_new(struct fuse_server *server, int fuse_fd, struct error *err)
{
        char *argv[] = { (char *)"enroot", NULL };
        struct fuse_args args = FUSE_ARGS_INIT(1, argv);
        auto_close int fd = fcntl(fuse_fd, F_DUPFD_CLOEXEC, 3);
        struct fuse_session *session;
        char path[32];

        if (fd < 0) {
                error_errno(err, "duplicate the descriptor of /dev/fuse");
                return NULL;
        }
        libfuse.set_log_func(ignore_log);
        session = libfuse.session_new(&args, &fuse_requests, sizeof(fuse_requests), server);
        if (!session) {
                error_set(err, ENOMEM, "libfuse cannot make a session");
                return NULL;
        }
        /* libfuse takes a descriptor in the guise of a mount point and mounts nothing then. */
        (void)snprintf(path, sizeof(path), "/dev/fd/%d", fd);
        if (libfuse.session_mount(session, path) != 0) {
                libfuse.session_destroy(session);
                error_set(err, ENOTSUP,
                          "libfuse does not take an open /dev/fuse; install 3.3 or later");
                return NULL;
        }
        (void)TAKE_FD(fd);
        return session;
}

int squashfs_serve_prepare(struct error *err)
{
        return libfuse_need(err);
}

int squashfs_serve(struct squashfs_image *image, int fuse_fd,
                   const struct squashfs_serve_options *options, struct error *err)
{
        struct fuse_server server = { .image = image, .options = options };
        struct fuse_session *session = NULL;
        int status;

        if (squashfs_serve_prepare(err) == 0)
                session = session_new(&server, fuse_fd, err);
        if (!session)
                return error_prefix(err, "%s", image->name);
        status = wait_for_mount(fuse_fd, err);
        if (status == 0)
                run_threads(session, options->threads);
        else
                error_prefix(err, "%s", image->name);
        libfuse.session_destroy(session);
        return status;
}

int squashfs_fuse_mount_data(int fuse_fd, uint32_t uid, uint32_t gid, char *data, size_t size,
                             struct error *err)
{
        int length = snprintf(data, size,
                              "fd=%d,rootmode=%o,user_id=%" PRIu32 ",group_id=%" PRIu32
                              ",allow_other,default_permissions,max_read=%d",
                              fuse_fd, S_IFDIR, uid, gid, FUSE_READ_MAX);

        if (length < 0 || (size_t)length >= size)
                return error_set(err, ENAMETOOLONG, "no room for %d bytes of mount options",
                                 length);
        return 0;
}
