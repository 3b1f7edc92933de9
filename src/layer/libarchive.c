#include "layer/libarchive.h"

#include <pthread.h>

#include "util/cleanup.h"
#include "util/dynlib.h"

static struct archive_functions functions;
static struct error failure;

static void load(void)
{
#define ARCHIVE_SYMBOL(member, symbol) { #symbol, (void **)&functions.member },
        const struct dynlib_symbol symbols[] = { ARCHIVE_FUNCTIONS(ARCHIVE_SYMBOL) };
#undef ARCHIVE_SYMBOL

        (void)dynlib_load("libarchive.so.13", "libarchive13", symbols, ARRAY_SIZE(symbols),
                          &failure);
}

const struct archive_functions *archive_functions(struct error *err)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        (void)pthread_once(&once, load);
        if (failure.code) {
                *err = failure;
                return NULL;
        }
        return &functions;
}
