#include "registry/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Read one line, without its newline. */
static int read_line(int fd, char line[PROMPT_PASSWORD_LIMIT], struct error *err)
{
        size_t length = 0;

        while (length < PROMPT_PASSWORD_LIMIT) {
                ssize_t n = read(fd, line + length, 1);

                if (n < 0 && errno == EINTR) {
                        if (cancel_check(err) < 0)
                                return -1;
                        continue;
                }
                if (n < 0)
                        return error_errno(err, "terminal");
                if (n == 0 || line[length] == '\n') {
                        line[length] = '\0';
                        return 0;
                }
                length++;
        }
        return error_set(err, E2BIG, "a password of more than %d bytes", PROMPT_PASSWORD_LIMIT - 1);
}

int prompt_password(const char *user, const char *registry, char **ret, struct error *err)
{
        auto_close int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
        char line[PROMPT_PASSWORD_LIMIT];
        struct termios shown, hidden;
        int rc;

        if (fd < 0 || tcgetattr(fd, &shown) < 0)
                return error_set(err, ENXIO, "no terminal to ask for a password");
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        hidden.c_lflag |= ECHONL;
        if (tcsetattr(fd, TCSAFLUSH, &hidden) < 0)
                return error_errno(err, "terminal");

        (void)dprintf(fd, "Password of %s at %s: ", user, registry);
        rc = read_line(fd, line, err);
        (void)tcsetattr(fd, TCSAFLUSH, &shown);
        if (rc < 0)
                (void)dprintf(fd, "\n");
        if (rc == 0) {
                *ret = strdup(line);
                if (!*ret)
                        rc = error_no_memory(err);
        }
        explicit_bzero(line, sizeof(line));
        return rc;
}
