#include "fake_root.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "util/cleanup.h"
#include "util/path.h"

char fake_root[] = "/tmp/enroot-test-root-XXXXXX";

int fake_root_make(void **state)
{
        (void)state;
        return mkdtemp(fake_root) ? 0 : -1;
}

int fake_root_remove(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, fake_root, &err);
}

int fake_root_reset(void **state)
{
        return fake_root_remove(state) < 0 ? -1 : mkdir(fake_root, 0700);
}

void fake_root_put(const char *path, const char *text)
{
        auto_close int root_fd = open(fake_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char name[NAME_MAX + 1];
        auto_close int dir = path_open_parent(root_fd, path, true, name);
        auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}
