/*
 * When a failed request is sent again. Pure.
 *
 * ENROOT_TRANSFER_RETRIES says how often anything transient is tried again. Its
 * default of 0 would let one busy moment of a registry end an import of an hour,
 * so what a server asks for (429, 503) or what breaks in the middle is tried a few
 * times even so. A server that cannot be reached at all is not: the first answer
 * is as good as the fifth.
 */
#pragma once

#include <stdint.h>
#include <time.h>

enum retry_class {
        RETRY_NEVER,      /* the same request would fail in the same way */
        RETRY_CONFIGURED, /* only as often as the user asked for */
        RETRY_ALWAYS,     /* at least RETRY_MINIMUM times */
};

#define RETRY_MINIMUM        4u
#define RETRY_FIRST_DELAY_MS 200u
#define RETRY_DELAY_LIMIT_MS 10000u

/* A server that asks for a longer pause (rate limits of hours) is not waited for, in seconds. */
#define RETRY_AFTER_LIMIT 120

/* How many times a request may be repeated. */
unsigned int retry_allowed(enum retry_class class, unsigned int configured);

/* What an HTTP status of 400 and above means for a repetition. */
enum retry_class retry_class_of_status(long status);

/*
 * The pause before repetition number n (0 for the first), in milliseconds: doubled
 * each time, half of it fixed and half chosen by random, so that many clients
 * that failed at the same moment do not come back at the same moment.
 */
unsigned int retry_delay(unsigned int n, uint32_t random);

/*
 * The seconds of a Retry-After header: a number, or a date (RFC 9110, IMF-fixdate)
 * seen from now. -1 when it is neither.
 */
int64_t retry_after(const char *value, time_t now);
