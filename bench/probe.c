/*
 * probe: what bench/run measures with, inside of containers and outside. A static
 * program, because an image may hold no C library. Every mode prints one line of JSON.
 *
 *      probe walk DIR ROUNDS             status of everything below DIR
 *      probe read DIR PROCESSES ROUNDS   content of every file below DIR
 *      probe start COUNT ABREAST COMMAND [ARG…]
 *                                        run a command COUNT times, ABREAST at a time
 *
 * A tree is walked within one mount: the mounts that a container has in its image are left out.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE (128 * 1024) /* as cat(1) reads */
#define MOST_PROCESSES 4096

extern char **environ;

static double now(void)
{
        struct timespec time;

        (void)clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long number(const char *text)
{
        char *end;
        long value = strtol(text, &end, 10);

        if (*text == '\0' || *end != '\0' || value < 1)
                errx(1, "not a number above 0: %s", text);
        return value;
}

/* ---- trees ---- */

/* The paths of regular files, where somebody wants them. */
struct paths {
        char **items;
        size_t count, room;
};

struct walk {
        uint64_t mount;
        size_t entries;
        struct paths *files; /* may be NULL */
};

static void add_path(struct paths *paths, const char *directory, const char *name)
{
        if (paths->count == paths->room) {
                paths->room = paths->room ? paths->room * 2 : 1024;
                paths->items = realloc(paths->items, paths->room * sizeof(*paths->items));
                if (!paths->items)
                        err(1, "paths");
        }
        if (asprintf(&paths->items[paths->count++], "%s/%s", directory, name) < 0)
                err(1, "paths");
}

static void walk_directory(struct walk *walk, int fd, const char *path);

static void visit(struct walk *walk, int directory, const char *path, const char *name)
{
        struct statx status;
        char *below;
        int fd;

        if (statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID,
                  &status) < 0)
                err(1, "%s/%s", path, name);
        walk->entries++;
        if (S_ISREG(status.stx_mode) && walk->files && status.stx_mnt_id == walk->mount)
                add_path(walk->files, path, name);
        if (!S_ISDIR(status.stx_mode) || status.stx_mnt_id != walk->mount)
                return;
        fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == EACCES)
                return; /* what the user of a container may not see */
        if (fd < 0 || asprintf(&below, "%s/%s", path, name) < 0)
                err(1, "%s/%s", path, name);
        walk_directory(walk, fd, below);
        free(below);
}

/* Takes fd over. */
static void walk_directory(struct walk *walk, int fd, const char *path)
{
        DIR *directory = fdopendir(fd);
        struct dirent *entry;

        if (!directory)
                err(1, "%s", path);
        while ((errno = 0, entry = readdir(directory)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        visit(walk, dirfd(directory), path, entry->d_name);
        if (errno)
                err(1, "%s", path);
        (void)closedir(directory);
}

/* Everything below a directory; the number of entries. */
static size_t walk_tree(const char *path, struct paths *files)
{
        struct walk walk = { .files = files };
        struct statx status;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
                err(1, "%s", path);
        walk.mount = status.stx_mnt_id;
        walk_directory(&walk, fd, path);
        return walk.entries;
}

static int mode_walk(const char *path, long rounds)
{
        size_t entries = 0;

        printf("{\"seconds\": [");
        for (long round = 0; round < rounds; round++) {
                double began = now();

                entries = walk_tree(path, NULL);
                printf("%s%.6f", round ? ", " : "", now() - began);
        }
        printf("], \"entries\": %zu}\n", entries);
        return 0;
}

/* What the readers tell, in memory that all of them share. */
struct tally {
        uint64_t bytes, files, denied;
};

static void read_file(const char *path, char *buffer, struct tally *tally)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size;

        if (fd < 0 && errno == EACCES) {
                tally->denied++;
                return;
        }
        if (fd < 0)
                err(1, "%s", path);
        while ((size = read(fd, buffer, READ_SIZE)) > 0)
                tally->bytes += (uint64_t)size;
        if (size < 0)
                err(1, "%s", path);
        tally->files++;
        (void)close(fd);
}

/* One of several readers: every file whose number is its own. */
static pid_t start_reader(const struct paths *files, long self, long readers, struct tally *tally)
{
        pid_t pid = fork();
        char *buffer;

        if (pid < 0)
                err(1, "fork");
        if (pid > 0)
                return pid;
        buffer = malloc(READ_SIZE);
        if (!buffer)
                err(1, "buffer");
        for (size_t i = (size_t)self; i < files->count; i += (size_t)readers)
                read_file(files->items[i], buffer, tally);
        _exit(0);
}

static int mode_read(const char *path, long readers, long rounds)
{
        struct paths files = { 0 };
        struct tally *tallies, sum = { 0 };

        if (readers > MOST_PROCESSES)
                errx(1, "at most %d processes", MOST_PROCESSES);
        tallies = mmap(NULL, (size_t)readers * sizeof(*tallies), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (tallies == MAP_FAILED)
                err(1, "mmap");
        (void)walk_tree(path, &files);

        printf("{\"seconds\": [");
        (void)fflush(stdout); /* or every reader prints it again */
        for (long round = 0; round < rounds; round++) {
                double began = now();

                memset(tallies, 0, (size_t)readers * sizeof(*tallies));
                for (long i = 0; i < readers; i++)
                        (void)start_reader(&files, i, readers, &tallies[i]);
                for (long i = 0; i < readers; i++) {
                        int status;

                        if (wait(&status) < 0 || status != 0)
                                errx(1, "a reader failed");
                }
                printf("%s%.6f", round ? ", " : "", now() - began);
        }
        for (long i = 0; i < readers; i++) {
                sum.bytes += tallies[i].bytes;
                sum.files += tallies[i].files;
                sum.denied += tallies[i].denied;
        }
        printf("], \"bytes\": %ju, \"files\": %ju, \"denied\": %ju}\n", (uintmax_t)sum.bytes,
               (uintmax_t)sum.files, (uintmax_t)sum.denied);
        return 0;
}

/* ---- starts ---- */

struct start {
        pid_t pid;
        double began;
};

/* What all of them took: CPU seconds, and the most memory that one process had. */
struct usage {
        double cpu;
        long memory_kib;
};

static void begin(struct start *start, char **argv)
{
        static posix_spawn_file_actions_t quiet;
        static bool ready;

        if (!ready) {
                ready = true;
                if (posix_spawn_file_actions_init(&quiet) ||
                    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0) ||
                    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0))
                        errx(1, "posix_spawn_file_actions");
        }
        start->began = now();
        errno = posix_spawnp(&start->pid, argv[0], &quiet, NULL, argv, environ);
        if (errno)
                err(1, "%s", argv[0]);
}

/* Wait for any of the starts; its slot is free then. */
static struct start *end(struct start *starts, long abreast, char **argv, struct usage *usage)
{
        struct rusage used;
        int status;
        pid_t pid = wait4(-1, &status, 0, &used);

        if (pid < 0)
                err(1, "wait");
        usage->cpu += (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                      (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
        if (used.ru_maxrss > usage->memory_kib)
                usage->memory_kib = used.ru_maxrss;
        if (status != 0)
                errx(1, "%s: wait status %d", argv[0], status);
        for (long i = 0; i < abreast; i++)
                if (starts[i].pid == pid)
                        return &starts[i];
        errx(1, "a child that nobody started");
}

static int mode_start(long count, long abreast, char **argv)
{
        struct start *starts = calloc((size_t)abreast, sizeof(*starts));
        struct usage usage = { 0 };
        double began = now();
        long begun = 0;

        if (!starts)
                err(1, "starts");
        while (begun < abreast && begun < count)
                begin(&starts[begun++], argv);
        printf("{\"each\": [");
        for (long ended = 0; ended < count; ended++) {
                struct start *start = end(starts, abreast, argv, &usage);

                printf("%s%.6f", ended ? ", " : "", now() - start->began);
                if (begun++ < count)
                        begin(start, argv);
        }
        printf("], \"seconds\": %.6f, \"cpu\": %.6f, \"memory_kib\": %ld}\n", now() - began,
               usage.cpu, usage.memory_kib);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc == 4 && strcmp(argv[1], "walk") == 0)
                return mode_walk(argv[2], number(argv[3]));
        if (argc == 5 && strcmp(argv[1], "read") == 0)
                return mode_read(argv[2], number(argv[3]), number(argv[4]));
        if (argc >= 5 && strcmp(argv[1], "start") == 0)
                return mode_start(number(argv[2]), number(argv[3]), argv + 4);
        errx(1, "usage: probe walk|read|start …");
}
