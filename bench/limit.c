/*
 * limit: the bare work of an import, with nothing around it. What no program can
 * be faster than on this machine. Every mode prints one line of JSON.
 *
 *      limit layers THREADS BLOB…      SHA-256 and inflate of gzip layers, from memory
 *      limit write MEBIBYTES FILE      write and fsync of a file
 *      limit copy MEBIBYTES            memory copy
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MEBIBYTE (1024UL * 1024)
#define OUT_SIZE (256 * 1024) /* stays in the second-level cache, as a pipeline's buffers do */
#define WRITE_SIZE MEBIBYTE
#define COPY_SIZE (64 * MEBIBYTE) /* more than the caches hold */
#define MOST_THREADS 1024

static double seconds(clockid_t clock)
{
        struct timespec time;

        (void)clock_gettime(clock, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static size_t number(const char *text)
{
        char *end;
        long value = strtol(text, &end, 10);

        if (*text == '\0' || *end != '\0' || value < 1)
                errx(1, "not a number above 0: %s", text);
        return (size_t)value;
}

/* ---- layers ---- */

struct layer {
        const uint8_t *data;
        size_t size;
        double hash, inflate; /* CPU seconds */
        uint64_t inflated;
};

static struct {
        struct layer *items; /* largest first, or the last one would run alone */
        size_t count;
        atomic_size_t next;
} layers;

static struct layer map_layer(const char *path)
{
        struct layer layer = { 0 };
        struct stat status;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &status) < 0)
                err(1, "%s", path);
        layer.size = (size_t)status.st_size;
        layer.data = mmap(NULL, layer.size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (layer.data == MAP_FAILED)
                err(1, "%s", path);
        (void)close(fd);
        return layer;
}

static void hash(struct layer *layer)
{
        double began = seconds(CLOCK_THREAD_CPUTIME_ID);
        unsigned char digest[EVP_MAX_MD_SIZE];

        if (!EVP_Digest(layer->data, layer->size, digest, NULL, EVP_sha256(), NULL))
                errx(1, "SHA-256 failed");
        layer->hash = seconds(CLOCK_THREAD_CPUTIME_ID) - began;
}

/* Inflate all members, some bytes of input at a time: avail_in has 32 bits. */
static void inflate(struct layer *layer)
{
        double began = seconds(CLOCK_THREAD_CPUTIME_ID);
        struct inflate_state *state = calloc(1, sizeof(*state));
        uint8_t *out = malloc(OUT_SIZE);
        size_t done = 0;

        if (!state || !out)
                err(1, "inflate");
        isal_inflate_init(state);
        state->crc_flag = ISAL_GZIP;
        while (done < layer->size || state->block_state != ISAL_BLOCK_FINISH) {
                size_t left = layer->size - done;
                uint32_t offered = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;

                if (state->block_state == ISAL_BLOCK_FINISH) {
                        isal_inflate_reset(state);
                        state->crc_flag = ISAL_GZIP;
                }
                state->next_in = (uint8_t *)layer->data + done; /* not written to */
                state->avail_in = offered;
                state->next_out = out;
                state->avail_out = OUT_SIZE;
                if (isal_inflate(state) != ISAL_DECOMP_OK)
                        errx(1, "a layer is not gzip");
                if (state->avail_in == offered && state->avail_out == OUT_SIZE)
                        errx(1, "a layer ends early");
                done += offered - state->avail_in;
                layer->inflated += OUT_SIZE - state->avail_out;
        }
        free(state);
        free(out);
        layer->inflate = seconds(CLOCK_THREAD_CPUTIME_ID) - began;
}

static void *work(void *unused)
{
        size_t i;

        (void)unused;
        while ((i = atomic_fetch_add(&layers.next, 1)) < layers.count) {
                hash(&layers.items[i]);
                inflate(&layers.items[i]);
        }
        return NULL;
}

static int larger_first(const void *left, const void *right)
{
        const struct layer *a = left, *b = right;

        return (a->size < b->size) - (a->size > b->size);
}

static int mode_layers(size_t threads, char **paths, size_t count)
{
        pthread_t ids[MOST_THREADS];
        double began, hashed = 0, inflated = 0, longest = 0;
        uint64_t in = 0, out = 0;

        if (threads > MOST_THREADS)
                errx(1, "at most %d threads", MOST_THREADS);
        layers.items = calloc(count, sizeof(*layers.items));
        if (!layers.items)
                err(1, "layers");
        layers.count = count;
        for (size_t i = 0; i < count; i++)
                layers.items[i] = map_layer(paths[i]);
        qsort(layers.items, count, sizeof(*layers.items), larger_first);

        began = seconds(CLOCK_MONOTONIC);
        for (size_t i = 0; i < threads; i++)
                if ((errno = pthread_create(&ids[i], NULL, work, NULL)))
                        err(1, "thread");
        for (size_t i = 0; i < threads; i++)
                (void)pthread_join(ids[i], NULL);
        began = seconds(CLOCK_MONOTONIC) - began;

        for (size_t i = 0; i < count; i++) {
                const struct layer *layer = &layers.items[i];

                hashed += layer->hash;
                inflated += layer->inflate;
                if (layer->hash + layer->inflate > longest)
                        longest = layer->hash + layer->inflate;
                in += layer->size;
                out += layer->inflated;
        }
        printf("{\"seconds\": %.6f, \"hash_cpu\": %.6f, \"inflate_cpu\": %.6f, "
               "\"longest_layer\": %.6f, \"bytes_in\": %ju, \"bytes_out\": %ju}\n",
               began, hashed, inflated, longest, (uintmax_t)in, (uintmax_t)out);
        return 0;
}

/* ---- disk and memory ---- */

/* Memory with something in it, so that no page is the one zero page. */
static char *filled(size_t size)
{
        char *memory = malloc(size);

        if (!memory)
                err(1, "memory");
        for (size_t i = 0; i < size; i++)
                memory[i] = (char)(i * 2654435761U >> 13);
        return memory;
}

static int mode_write(size_t mebibytes, const char *path)
{
        char *data = filled(WRITE_SIZE);
        double began = seconds(CLOCK_MONOTONIC);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0)
                err(1, "%s", path);
        for (size_t i = 0; i < mebibytes; i++) {
                if (write(fd, data, WRITE_SIZE) != (ssize_t)WRITE_SIZE)
                        err(1, "%s", path);
                /* Let the disk begin at once, as an import does. */
                if (i % 8 == 7)
                        (void)sync_file_range(fd, (off_t)((i - 7) * WRITE_SIZE),
                                              (off_t)(8 * WRITE_SIZE), SYNC_FILE_RANGE_WRITE);
        }
        if (fsync(fd) < 0 || close(fd) < 0)
                err(1, "%s", path);
        printf("{\"seconds\": %.6f}\n", seconds(CLOCK_MONOTONIC) - began);
        return 0;
}

static int mode_copy(size_t mebibytes)
{
        char *from = filled(COPY_SIZE), *to = filled(COPY_SIZE);
        double began = seconds(CLOCK_MONOTONIC);

        for (size_t done = 0; done < mebibytes * MEBIBYTE; done += COPY_SIZE) {
                memcpy(to, from, COPY_SIZE);
                __asm__ volatile("" : : "r"(to) : "memory"); /* the copy is wanted */
        }
        printf("{\"seconds\": %.6f}\n", seconds(CLOCK_MONOTONIC) - began);
        free(from);
        free(to);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc >= 4 && strcmp(argv[1], "layers") == 0)
                return mode_layers(number(argv[2]), argv + 3, (size_t)argc - 3);
        if (argc == 4 && strcmp(argv[1], "write") == 0)
                return mode_write(number(argv[2]), argv[3]);
        if (argc == 3 && strcmp(argv[1], "copy") == 0)
                return mode_copy(number(argv[2]));
        errx(1, "usage: limit layers|write|copy …");
}
