#include "util/dynlib.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

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

int dynlib_need(struct dynlib *library, struct error *err)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        int status = 0;

        if (atomic_load(&library->loaded))
                return 0;
        pthread_mutex_lock(&lock);
        if (!atomic_load(&library->loaded)) {
                status = dynlib_load(library->soname, library->package, library->symbols,
                                     library->count, err);
                atomic_store(&library->loaded, status == 0);
        }
        pthread_mutex_unlock(&lock);
        return status;
}
