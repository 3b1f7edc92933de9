/* The part of content.c that sources have to do with. */
#pragma once

#include "source/source_private.h"

/* Every blob is verified: keep the points that were noted. */
void content_publish_points(struct source *source);

/* Release what was noted. */
void content_release(struct source *source);
