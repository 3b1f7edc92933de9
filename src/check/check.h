/*
 * check/: can this machine run containers, and what stands in the way? Every feature is
 * tried for real, in a child that changes nothing; files of the kernel's configuration
 * are read where they exist, but what was tried counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "host/host.h"
#include "util/error.h"
#include "util/strbuf.h"

enum check_status {
        CHECK_OK,
        CHECK_OK_MODULE,   /* works, through a kernel module */
        CHECK_KO_OPTIONAL, /* something fails without it, but not a plain start */
        CHECK_KO,
};

struct check_line {
        const char *group;  /* "Namespaces" */
        const char *name;   /* "user namespace" */
        const char *effect; /* what does not work; NULL when status is OK */
        enum check_status status;
        bool tried; /* false: something above is missing, and that is why this is KO */
        char detail[ERROR_MESSAGE_SIZE]; /* what was found, or why it failed; may be "" */
        char mend[HOST_MEND_SIZE];       /* may be "" */
};

struct check_report {
        struct check_line *lines; /* those of a group follow each other */
        size_t count;
};

#define CHECK_REPORT_INIT                                                                          \
        {                                                                                          \
                .lines = NULL                                                                      \
        }

/* Run all probes as the calling user. Returns 0 whatever they find, or -1 with *err. */
int check_run(const struct config *config, struct check_report *ret, struct error *err);
void check_report_release(struct check_report *report);
#define auto_check_report auto_cleanup(check_report_release)

/* How many lines are CHECK_KO. */
size_t check_report_failed(const struct check_report *report);

/* For people. Appends to *text; 0, or -1 with *err. */
int check_print(const struct check_report *report, bool colour, struct strbuf *text,
                struct error *err);

/* {"version", "ok", "checks": [{"group", "name", "status", "detail", "effect", "mend"}]} */
int check_print_json(const struct check_report *report, struct strbuf *text, struct error *err);

/*
 * The table that a bundle's --verify has always printed. Without a kernel configuration
 * file it says what the kernel itself shows.
 */
int check_print_classic(const struct config *config, bool colour, struct strbuf *text,
                        struct error *err);
