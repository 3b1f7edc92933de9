/*
 * Programs that tell a secret: the shell that expands a password, credential
 * helpers. What they print goes through a pipe into memory and nowhere else.
 */
#pragma once

#include "util/error.h"
#include "util/strbuf.h"
#include "util/strlist.h"

struct program {
        const char *const *argv; /* NULL-terminated; the first is looked up in PATH */
        const struct strlist *environment;
        const char *input;   /* its standard input; NULL: that of this process */
        long timeout;        /* seconds; 0: none, for what may ask its user something */
        size_t output_limit; /* bytes */
};

/*
 * Run to the end and append what it wrote to its standard output.
 *
 * Returns its exit status; or -1 with *err: ENOENT when there is no such program,
 * ETIMEDOUT, EFBIG, EINTR (util/cancel.h). A signal that ends it counts as status 128.
 */
int program_run(const struct program *program, struct strbuf *output, struct error *err);
