/* A container's command that says, line by line, where it finds itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void print_status(void)
{
        static const char *const keys[] = { "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:" };
        FILE *file = fopen("/proc/self/status", "re");
        char line[256];

        while (file && fgets(line, sizeof(line), file))
                for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
                        if (strncmp(line, keys[i], strlen(keys[i])) == 0)
                                (void)fputs(line, stdout);
        if (file)
                (void)fclose(file);
}

/* System calls that the filter answers, and one that it must not. */
static void print_seccomp(void)
{
        int fd = open("/tmp", O_RDONLY | O_CLOEXEC);

        (void)printf("chown=%d lchown=%d fchown=%d fchownat=%d\n", chown("/tmp", 12345, 12345),
                     lchown("/tmp", 12345, 12345), fchown(fd, 12345, 12345),
                     fchownat(fd, "", 12345, 12345, AT_EMPTY_PATH));
        (void)printf("setuid=%ld setgid=%ld setreuid=%ld setregid=%ld setresuid=%ld "
                     "setresgid=%ld setgroups=%ld\n",
                     syscall(SYS_setuid, 12345), syscall(SYS_setgid, 12345),
                     syscall(SYS_setreuid, 12345, 12345), syscall(SYS_setregid, 12345, 12345),
                     syscall(SYS_setresuid, 12345, 12345, 12345),
                     syscall(SYS_setresgid, 12345, 12345, 12345), syscall(SYS_setgroups, 0, NULL));
        (void)printf("setfsuid(5)=%ld setfsuid(-1)=%d setfsuid(-1L)=%d\n", syscall(SYS_setfsuid, 5),
                     syscall(SYS_setfsuid, UINT32_MAX) == getuid(),
                     syscall(SYS_setfsuid, -1L) == getuid());
        (void)printf("setfsgid(5)=%ld setfsgid(-1)=%d\n", syscall(SYS_setfsgid, 5),
                     syscall(SYS_setfsgid, UINT32_MAX) == getgid());
        (void)close(fd);
}

/* The same through the two other ABIs of x86-64; a kernel may have been built without one. */
static void print_seccomp_of_x86(void)
{
#ifdef __x86_64__
        const long setuid32 = 213, x32_setuid = 0x40000000 | SYS_setuid;
        pid_t child;
        int status = 0;

        (void)fflush(stdout);
        child = fork();
        if (child == 0) {
                long result;

                __asm__ volatile("int $0x80"
                                 : "=a"(result)
                                 : "a"(setuid32), "b"(12345L)
                                 : "memory");
                _exit(result == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        (void)waitpid(child, &status, 0);
        (void)printf("x86=%s\n", WIFEXITED(status) && WEXITSTATUS(status) ? "failed" : "ok");
        (void)printf("x32=%s\n", syscall(x32_setuid, 12345) == 0 ? "ok" : "failed");
#else
        (void)puts("x86=ok\nx32=ok");
#endif
}

int main(int argc, char **argv)
{
        char cwd[4096];

        (void)printf("argv0=%s\n", argv[0]);
        for (int i = 1; i < argc; i++)
                (void)printf("arg=%s\n", argv[i]);
        (void)printf("uid=%u gid=%u\n", getuid(), getgid());
        (void)printf("cwd=%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
        for (char **variable = environ; *variable; variable++)
                (void)printf("env %s\n", *variable);
        for (int fd = 3; fd < 100; fd++)
                if (fcntl(fd, F_GETFD) >= 0)
                        (void)printf("open fd=%d\n", fd);
        (void)printf("write=%s\n", mkdir("/written", 0755) == 0 ? "ok" : strerror(errno));
        (void)printf("tmp=%s\n", mkdir("/tmp/written", 0755) == 0 ? "ok" : strerror(errno));
        (void)printf("bound=%s\n", access("/bound/file", F_OK) == 0 ? "yes" : "no");
        (void)printf("devnull=%s\n", access("/dev/null", W_OK) == 0 ? "yes" : "no");
        (void)printf("host=%s\n", access("/host-marker", F_OK) == 0 ? "visible" : "hidden");
        print_status();
        print_seccomp();
        print_seccomp_of_x86();
        return 42;
}
