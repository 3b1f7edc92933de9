/* A rootfs that has nothing, for injections that no container gets. */
#pragma once

#include "util/root_view.h"

/* Nothing but what makes the host's distribution: libraries go where the host has them. */
struct root_view empty_view_like_host(void);
