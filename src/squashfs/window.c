/*
 * Image content in the address space, for system calls to take from: what is written out
 * of the page cache needs no copy of its own.
 */
#include <sys/mman.h>

#include "squashfs/image.h"

/* Large enough that mapping is rare, small enough to be no memory to speak of. */
#define WINDOW_SIZE (4u << 20)

/* Linux 5.14; the C library's headers may be older. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Put the window where it begins with the page of a position of the file. */
static bool move(struct squashfs_window *window, int fd, uint64_t position, uint64_t end)
{
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), start = position - position % page;
        size_t length = end - start < WINDOW_SIZE ? end - start : WINDOW_SIZE;
        void *memory;

        squashfs_window_release(window);
        memory = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, (off_t)start);
        if (memory == MAP_FAILED)
                return false;
        (void)madvise(memory, length, MADV_SEQUENTIAL);
        window->memory = memory;
        window->length = length;
        window->start = start;
        return true;
}

static bool covers(const struct squashfs_window *window, uint64_t position, size_t size)
{
        return window->memory && position >= window->start && size <= window->length &&
               position - window->start <= window->length - size;
}

const void *squashfs_window_at(const struct squashfs_image *image, struct squashfs_window *window,
                               uint64_t position, size_t size)
{
        uint64_t end = image->base + image->super.bytes_used;
        uint8_t *content;
        size_t before;

        if (position > image->super.bytes_used || size > image->super.bytes_used - position)
                return NULL;
        position += image->base;
        if (!covers(window, position, size) &&
            (!move(window, image->fd, position, end) || !covers(window, position, size)))
                return NULL;
        content = window->memory + (position - window->start);
        /* All pages in one call: a fault for every sixteen of them costs more than the copy
         * that is saved. Where it fails, faults do it, or the system call reports EFAULT. */
        before = (uintptr_t)content % (size_t)sysconf(_SC_PAGESIZE);
        (void)madvise(content - before, before + size, MADV_POPULATE_READ);
        return content;
}

void squashfs_window_release(struct squashfs_window *window)
{
        if (window->memory)
                (void)munmap(window->memory, window->length);
        window->memory = NULL;
}
