#include "util/dynlib.h"

#include <dlfcn.h>
#include <errno.h>

int dynlib_load(const char *soname, const char *package, const struct dynlib_symbol *symbols,
                size_t count, struct error *err)
{
        void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

        if (!library)
                return error_set(err, ENOENT, "cannot load %s (%s); install the package %s", soname,
                                 dlerror(), package);
        for (size_t i = 0; i < count; i++) {
                *symbols[i].slot = dlsym(library, symbols[i].name);
                if (!*symbols[i].slot)
                        return error_set(err, ENOSYS, "%s has no %s; install a newer %s", soname,
                                         symbols[i].name, package);
        }
        return 0;
}
