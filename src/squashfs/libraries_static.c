/* For static programs, in the place of libraries.c: everything is there from the start. */
#include "squashfs/libraries.h"

#define LINKED(member, symbol) .member = symbol,

struct libfuse libfuse = { LIBFUSE_FUNCTIONS(LINKED) };

int libfuse_need(struct error *err)
{
        (void)err;
        return 0;
}

struct libsquashfs libsquashfs = { LIBSQUASHFS_FUNCTIONS(LINKED) };

int libsquashfs_need(struct error *err)
{
        (void)err;
        return 0;
}

struct libzstd libzstd = { LIBZSTD_FUNCTIONS(LINKED) };

int libzstd_need(struct error *err)
{
        (void)err;
        return 0;
}

#ifdef HAVE_LZO
struct liblzo liblzo = { LIBLZO_FUNCTIONS(LINKED) };

int liblzo_need(struct error *err)
{
        (void)err;
        return 0;
}
#endif
