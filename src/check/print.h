/* What both tables are made of. */
#pragma once

#include <stdbool.h>

#include "check/check.h"
#include "util/strbuf.h"

/* A heading, with an empty line before (unless it is the first) and after. */
void print_heading(struct strbuf *text, bool colour, const char *heading);

/* "NAME   : STATUS" without a newline; words stand for those of the status when not NULL. */
void print_status(struct strbuf *text, bool colour, const char *name, enum check_status status,
                  const char *words);
