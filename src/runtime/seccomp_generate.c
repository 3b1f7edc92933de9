/*
 * Build-time program: prints the filter of seccomp.c as a C array.
 *
 * libseccomp needs 0.3 ms to make the filter, about as long as fork and exec; and
 * the filter never changes. Arguments are the architectures that the built program
 * and the programs in its containers may use, in libseccomp's names.
 *
 * A process has one id mapped (or a few), so nothing can be given to other users.
 * Package managers, ssh servers and archivers do it anyway and stop when it fails.
 * They are told that it worked.
 */
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The 32 variants are those of architectures that once had ids of 16 bits. */
static const char *const always[] = {
        "chown",       "lchown",      "fchown",      "fchownat",  "setuid",     "setgid",
        "setreuid",    "setregid",    "setresuid",   "setresgid", "setgroups",  "chown32",
        "lchown32",    "fchown32",    "setuid32",    "setgid32",  "setreuid32", "setregid32",
        "setresuid32", "setresgid32", "setgroups32",
};

/*
 * setfsuid(2): an argument of -1 only asks for the current value, and its answer
 * must stay true. Compared as 64 bits, so that a sign-extended -1 is left alone too.
 */
static const char *const unless_asked[] = { "setfsuid", "setfsgid", "setfsuid32", "setfsgid32" };

static void require(int result, const char *what)
{
        if (result == 0)
                return;
        (void)fprintf(stderr, "%s: %s\n", what, strerror(-result));
        exit(EXIT_FAILURE);
}

static void add_architectures(scmp_filter_ctx filter, char **names, int count)
{
        uint32_t native = seccomp_arch_native();
        int is_native = 0;

        for (int i = 0; i < count; i++) {
                uint32_t arch = seccomp_arch_resolve_name(names[i]);
                int result = arch ? seccomp_arch_add(filter, arch) : -EINVAL;

                is_native |= arch == native;
                if (result != -EEXIST)
                        require(result, names[i]);
        }
        if (!is_native)
                require(seccomp_arch_remove(filter, native), "native architecture");
}

static void add_rules(scmp_filter_ctx filter)
{
        for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
                require(seccomp_rule_add(filter, SCMP_ACT_ERRNO(0),
                                         seccomp_syscall_resolve_name(always[i]), 0),
                        always[i]);
        for (size_t i = 0; i < sizeof(unless_asked) / sizeof(*unless_asked); i++)
                require(seccomp_rule_add(filter, SCMP_ACT_ERRNO(0),
                                         seccomp_syscall_resolve_name(unless_asked[i]), 1,
                                         SCMP_A0(SCMP_CMP_LT, UINT32_MAX)),
                        unless_asked[i]);
}

/* The program as initialisers of struct sock_filter. */
static void print_program(scmp_filter_ctx filter)
{
        FILE *file = tmpfile();
        struct sock_filter instruction;

        if (!file) {
                perror("temporary file");
                exit(EXIT_FAILURE);
        }
        require(seccomp_export_bpf(filter, fileno(file)), "export");
        rewind(file);
        (void)puts("/* Made by seccomp_generate.c. */");
        while (fread(&instruction, sizeof(instruction), 1, file) == 1)
                (void)printf("{ 0x%02x, %u, %u, 0x%08x },\n", instruction.code, instruction.jt,
                             instruction.jf, instruction.k);
        (void)fclose(file);
}

int main(int argc, char **argv)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

        if (!filter)
                require(-ENOMEM, "seccomp_init");
        /* A program of yet another architecture (an emulator's) is left alone. */
        require(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW), "bad arch");
        /* A tree instead of a list halves the 0.1 ms that the kernel needs to install it. */
        require(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
        add_architectures(filter, argv + 1, argc - 1);
        add_rules(filter);
        print_program(filter);
        seccomp_release(filter);
        return EXIT_SUCCESS;
}
