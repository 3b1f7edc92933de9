#include "squashfs/libraries.h"

struct libfuse libfuse;

#define LIBFUSE_SYMBOL(member, symbol) { #symbol, (void **)&libfuse.member },
static const struct dynlib_symbol fuse_symbols[] = { LIBFUSE_FUNCTIONS(LIBFUSE_SYMBOL) };

int libfuse_need(struct error *err)
{
        static struct dynlib library = DYNLIB_INIT(SONAME_FUSE3, "libfuse3-3", fuse_symbols);

        return dynlib_need(&library, err);
}

struct libsquashfs libsquashfs;

#define LIBSQUASHFS_SYMBOL(member, symbol) { #symbol, (void **)&libsquashfs.member },
static const struct dynlib_symbol squashfs_symbols[] = {
        LIBSQUASHFS_FUNCTIONS(LIBSQUASHFS_SYMBOL)
};

int libsquashfs_need(struct error *err)
{
        static struct dynlib library =
                DYNLIB_INIT(SONAME_SQUASHFS, "libsquashfs1", squashfs_symbols);

        return dynlib_need(&library, err);
}

struct libzstd libzstd;

#define LIBZSTD_SYMBOL(member, symbol) { #symbol, (void **)&libzstd.member },
static const struct dynlib_symbol zstd_symbols[] = { LIBZSTD_FUNCTIONS(LIBZSTD_SYMBOL) };

int libzstd_need(struct error *err)
{
        static struct dynlib library = DYNLIB_INIT(SONAME_ZSTD, "libzstd1", zstd_symbols);

        return dynlib_need(&library, err);
}

#ifdef HAVE_LZO
struct liblzo liblzo;

#define LIBLZO_SYMBOL(member, symbol) { #symbol, (void **)&liblzo.member },
static const struct dynlib_symbol lzo_symbols[] = { LIBLZO_FUNCTIONS(LIBLZO_SYMBOL) };

int liblzo_need(struct error *err)
{
        static struct dynlib library = DYNLIB_INIT(SONAME_LZO2, "liblzo2-2", lzo_symbols);

        return dynlib_need(&library, err);
}
#endif
