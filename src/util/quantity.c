#include "util/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* Digits, and what follows them. Returns 0, or -1. */
static int parse_digits(const char *text, uint64_t *ret, const char **ret_rest)
{
        unsigned long long number;
        char *end;

        if (!isdigit((unsigned char)*text))
                return -1;
        errno = 0;
        number = strtoull(text, &end, 10);
        if (errno != 0)
                return -1;
        *ret = number;
        *ret_rest = end;
        return 0;
}

int quantity_parse(const char *text, const char *suffixes, uint64_t *ret)
{
        static const char known[] = "KMGT"; /* each ten bits more than the one before */
        unsigned int shift = 0;
        const char *rest;
        uint64_t number;

        if (parse_digits(text, &number, &rest) < 0)
                return -1;
        if (*rest) {
                char suffix = (char)toupper((unsigned char)*rest);

                if (!strchr(suffixes, suffix) || rest[1] != '\0')
                        return -1;
                shift = 10 * (unsigned int)(strchr(known, suffix) - known + 1);
        }
        if (number > UINT64_MAX >> shift)
                return -1;
        *ret = number << shift;
        return 0;
}

int quantity_parse_time(const char *text, int64_t *ret)
{
        static const struct {
                char suffix;
                int64_t seconds;
        } units[] = {
                { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 },
        };
        const char *rest;
        uint64_t number;

        if (parse_digits(text, &number, &rest) < 0 || *rest == '\0' || rest[1] != '\0')
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                if (*rest != units[i].suffix)
                        continue;
                if (number > (uint64_t)(INT64_MAX / units[i].seconds))
                        return -1;
                *ret = (int64_t)number * units[i].seconds;
                return 0;
        }
        return -1;
}

void quantity_format_size(uint64_t bytes, char text[QUANTITY_SIZE])
{
        static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
        double value = (double)bytes;
        size_t unit = 0;

        while (value >= 1000 && unit + 1 < ARRAY_SIZE(units)) {
                value /= 1000;
                unit++;
        }
        (void)snprintf(text, QUANTITY_SIZE, unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}
