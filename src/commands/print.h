/* What a verb prints as its result. Private to commands/. */
#pragma once

#include <stdio.h>

#include "util/error.h"
#include "util/strbuf.h"

/* Print a text that may have failed for want of memory. Returns 0, or -1 with *err. */
int print_result(const struct strbuf *text, FILE *out, struct error *err);
