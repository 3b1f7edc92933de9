/* Amounts as people write and read them: bytes and lengths of time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * A decimal number with an optional binary suffix in either case, out of the given
 * ones ("KMGT", "" for none): "128K". Returns 0, or -1 when it is none or does not fit.
 */
int quantity_parse(const char *text, const char *suffixes, uint64_t *ret);

/* A length of time, "90s", "15m", "12h", "30d" or "2w", in seconds. 0, or -1 when it is none. */
int quantity_parse_time(const char *text, int64_t *ret);

/* "1.2 GB", in powers of ten as disks and networks are sold. Room for all of them: 16 bytes. */
#define QUANTITY_SIZE 16
void quantity_format_size(uint64_t bytes, char text[QUANTITY_SIZE]);
