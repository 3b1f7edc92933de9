/* The time that only goes forward, for time-outs. */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds */
int64_t clock_ms(void);
