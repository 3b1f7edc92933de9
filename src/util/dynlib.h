/*
 * Libraries loaded on first use.
 *
 * libcurl, libarchive and libcrypto bring some thirty libraries along, and
 * linking them costs every start of the program 5.5 ms (measured: fork+exec of
 * an empty program 0.4 ms, with -lcurl 3.5, -larchive 1.9, -lcrypto 0.9). The
 * compression libraries, libsquashfs and libfuse3 together cost another 0.5 ms.
 * Only some commands need them, so their owner files load them through here.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
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

/*
 * A library with its table of functions, which is filled once, whichever thread wants it
 * first. The functions stand in a list, FUNCTIONS(X) with X(member, symbol) for each:
 *
 *      static struct {
 *              FUNCTIONS(DYNLIB_MEMBER)
 *      } table;
 *      #define SYMBOL(member, symbol) { #symbol, (void **)&table.member },
 *      static const struct dynlib_symbol symbols[] = { FUNCTIONS(SYMBOL) };
 *      static struct dynlib library = DYNLIB_INIT(soname, package, symbols);
 *
 * soname is SONAME_NAME, which the build finds out for -lNAME.
 */
struct dynlib {
        const char *soname, *package;
        const struct dynlib_symbol *symbols;
        size_t count;
        atomic_bool loaded;
};

#define DYNLIB_INIT(soname_, package_, symbols_)                                                   \
        {                                                                                          \
                .soname = (soname_), .package = (package_), .symbols = (symbols_),                 \
                .count = sizeof(symbols_) / sizeof((symbols_)[0]),                                 \
        }

#define DYNLIB_MEMBER(member, symbol) __typeof__(symbol) *member;

/* Make sure that the table is filled. As dynlib_load. */
int dynlib_need(struct dynlib *library, struct error *err);
