/*
 * Docker Hub has one name in references, another for its server, and old ones
 * that people and programs wrote into files.
 */
#pragma once

#include <stdbool.h>

#define HUB_NAME "docker.io"            /* what files say */
#define HUB_HOST "registry-1.docker.io" /* where its registry is */

/* Whether a host is one of them. */
bool hub_is(const char *host);
