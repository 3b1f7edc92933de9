#include <string.h>
#include <sys/auxv.h>

#include "env/env.h"
#include "gpu/gpu.h"

void gpu_roots_release(struct gpu_roots *roots)
{
        free(roots->driver);
        free(roots->dev);
        free(roots->proc);
        free(roots->sys);
        free(roots->run);
        *roots = (struct gpu_roots){ .driver = NULL };
}

/* A root without slashes at its end. NULL without memory. */
static char *make_root(const char *dir)
{
        size_t length = strlen(dir);

        while (length > 0 && dir[length - 1] == '/')
                length--;
        return strndup(dir, length);
}

int gpu_roots_init(struct gpu_roots *roots, const struct strlist *environment)
{
        const char *test = getauxval(AT_SECURE) ? NULL : env_get(environment, GPU_TEST_ROOT);
        const char *driver = env_get(environment, GPU_DRIVER_ROOT);

        if (!test || *test != '/')
                test = "";
        roots->driver = make_root(driver && *driver == '/' ? driver : test);
        roots->dev = make_root(test);
        roots->proc = make_root(test);
        roots->sys = make_root(test);
        roots->run = make_root(test);
        if (roots->driver && roots->dev && roots->proc && roots->sys && roots->run)
                return 0;
        gpu_roots_release(roots);
        return -1;
}
