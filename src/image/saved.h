/* What the choice of an image by its name has in common; private to image/. */
#pragma once

#include "util/error.h"
#include "util/strlist.h"

/*
 * ENOENT: there is none called name, or, with a name of NULL, there is not one
 * alone. Tells the names that there are. Always returns -1.
 */
int image_choice_error(const char *name, const struct strlist *names, struct error *err);
