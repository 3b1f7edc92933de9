#include "registry/retry.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

unsigned int retry_allowed(enum retry_class class, unsigned int configured)
{
        switch (class) {
        case RETRY_NEVER:
                return 0;
        case RETRY_CONFIGURED:
                return configured;
        case RETRY_ALWAYS:
                return configured > RETRY_MINIMUM ? configured : RETRY_MINIMUM;
        }
        return 0;
}

enum retry_class retry_class_of_status(long status)
{
        switch (status) {
        case 408: /* request timeout */
        case 429: /* too many requests */
        case 500:
        case 502:
        case 503:
        case 504:
                return RETRY_ALWAYS;
        default:
                return RETRY_NEVER;
        }
}

unsigned int retry_delay(unsigned int n, uint32_t random)
{
        unsigned int delay = RETRY_FIRST_DELAY_MS;

        while (n-- > 0 && delay < RETRY_DELAY_LIMIT_MS)
                delay *= 2;
        if (delay > RETRY_DELAY_LIMIT_MS)
                delay = RETRY_DELAY_LIMIT_MS;
        return delay / 2 + random % (delay / 2 + 1);
}

static bool parse_seconds(const char *value, int64_t *ret)
{
        int64_t seconds = 0;

        if (!isdigit((unsigned char)*value))
                return false;
        for (; isdigit((unsigned char)*value); value++) {
                if (seconds < INT32_MAX)
                        seconds = seconds * 10 + (*value - '0');
        }
        *ret = seconds;
        return value[strspn(value, " \t")] == '\0';
}

int64_t retry_after(const char *value, time_t now)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct tm tm = { 0 };
        char month[4];
        const char *found;
        int64_t seconds;

        value += strspn(value, " \t");
        if (parse_seconds(value, &seconds))
                return seconds;

        /* "Sun, 06 Nov 1994 08:49:37 GMT"; strptime would go by the locale. */
        if (sscanf(value, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &tm.tm_mday, month,
                   &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
                return -1;
        found = strstr(months, month);
        if (!found || strlen(month) != 3 || (found - months) % 3 != 0)
                return -1;
        tm.tm_mon = (int)(found - months) / 3;
        tm.tm_year -= 1900;
        seconds = (int64_t)(timegm(&tm) - now);
        return seconds > 0 ? seconds : 0;
}
