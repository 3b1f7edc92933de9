/*
 * Libraries loaded on first use.
 *
 * libcurl, libarchive and libcrypto bring some thirty libraries along, and
 * linking them costs every start of the program 5.5 ms (measured: fork+exec of
 * an empty program 0.4 ms, with -lcurl 3.5, -larchive 1.9, -lcrypto 0.9). Only
 * an import needs them, so their one owner file loads them through here.
 */
#pragma once

#include <stddef.h>

#include "util/error.h"

/* One function pointer of a table: where it goes and how the symbol is called. */
struct dynlib_symbol {
        const char *name;
        void **slot;
};

/*
 * Load the library and fill all slots. Slots are filled once per process; call
 * it under pthread_once where threads may race.
 *
 * soname   for instance "libcurl.so.4"
 * package  what to install when it is missing, named in the error
 *
 * Returns 0, or -1 with *err (ENOENT: no such library, ENOSYS: symbol missing).
 */
int dynlib_load(const char *soname, const char *package, const struct dynlib_symbol *symbols,
                size_t count, struct error *err);
