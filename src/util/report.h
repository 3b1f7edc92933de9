/*
 * How the library folders, which never print, tell the command line what is
 * going on. The caller owns the struct; every member may be NULL, and so may the
 * pointer to it.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum report_level {
        REPORT_INFO,
        REPORT_WARN,
};

struct report {
        /* One line without a newline. Called from any thread. */
        void (*message)(struct report *report, enum report_level level, const char *text);

        /* Counters that the pipeline adds to and a progress display reads, both without a lock. */
        struct {
                _Atomic uint64_t bytes_total, bytes_done;   /* what must be fetched or read */
                _Atomic uint64_t blobs_total, blobs_done;   /* blobs to fetch */
                _Atomic uint64_t layers_total, layers_done; /* layers merged */
                _Atomic uint64_t bytes_written;             /* content given to the sink */
                _Atomic uint64_t entries;                   /* files, directories, links … */
        } progress;
};

void report_info(struct report *report, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_warn(struct report *report, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
