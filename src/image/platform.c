#include "image/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* Debian's and the kernel's names for what Go calls GOARCH; Go's own name is a row, too. */
static const struct alias {
        const char *name, *architecture, *variant;
} aliases[] = {
        { "386", "386", "" },           { "amd64", "amd64", "" },
        { "aarch64", "arm64", "" },     { "arm", "arm", "v7" },
        { "arm64", "arm64", "" },       { "armel", "arm", "v6" },
        { "armhf", "arm", "v7" },       { "armv5l", "arm", "v5" },
        { "armv5tel", "arm", "v5" },    { "armv6l", "arm", "v6" },
        { "armv7l", "arm", "v7" },      { "armv8l", "arm", "v7" },
        { "i386", "386", "" },          { "i486", "386", "" },
        { "i586", "386", "" },          { "i686", "386", "" },
        { "loong64", "loong64", "" },   { "loongarch64", "loong64", "" },
        { "mips64el", "mips64le", "" }, { "mips64le", "mips64le", "" },
        { "ppc64el", "ppc64le", "" },   { "ppc64le", "ppc64le", "" },
        { "riscv64", "riscv64", "" },   { "s390x", "s390x", "" },
        { "x86-64", "amd64", "" },      { "x86_64", "amd64", "" },
};

static const struct alias *find_alias(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
                if (strcmp(aliases[i].name, name) == 0)
                        return &aliases[i];
        return NULL;
}

/* Platform names are printed and compared only, but they come from the network. */
static bool copy_name(char *to, size_t size, const char *name)
{
        size_t length = strlen(name);

        if (length >= size ||
            strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
                    length)
                return false;
        memcpy(to, name, length + 1);
        return true;
}

bool platform_normalize(const char *architecture, const char *variant, struct image_platform *ret)
{
        const struct alias *alias = find_alias(architecture);

        /* The plain names say nothing about the variant; only 32-bit ARM has a common one. */
        if (alias && !variant[0])
                variant = alias->variant;
        return copy_name(ret->architecture, sizeof(ret->architecture),
                         alias ? alias->architecture : architecture) &&
               copy_name(ret->variant, sizeof(ret->variant), variant);
}

int platform_level(const struct image_platform *platform)
{
        static const struct {
                const char *architecture;
                int level;
        } baselines[] = { { "amd64", 100 }, { "arm", 700 }, { "arm64", 800 } };
        unsigned int major, minor = 0;
        int end = 0;

        if (!platform->variant[0]) {
                for (size_t i = 0; i < ARRAY_SIZE(baselines); i++)
                        if (strcmp(baselines[i].architecture, platform->architecture) == 0)
                                return baselines[i].level;
                return 0;
        }
        if (sscanf(platform->variant, "v%2u%n.%2u%n", &major, &end, &minor, &end) < 1 ||
            platform->variant[end])
                return -1;
        return (int)(major * 100 + minor);
}

const char *platform_text(const struct image_platform *platform, char text[PLATFORM_TEXT_SIZE])
{
        (void)snprintf(text, PLATFORM_TEXT_SIZE, "linux/%s%s%s", platform->architecture,
                       platform->variant[0] ? "/" : "", platform->variant);
        return text;
}

static int unknown_architecture(const char *word, struct error *err)
{
        const char *previous = "";

        error_set(err, EINVAL, "architecture %.64s is not known; there are", word);
        for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
                if (strcmp(aliases[i].name, aliases[i].architecture) != 0)
                        continue;
                error_append(err, "%s %s", previous, aliases[i].name);
                previous = ",";
        }
        return -1;
}

int image_platform_parse(const char *word, struct image_platform *ret, struct error *err)
{
        struct image_platform platform;
        char architecture[sizeof(platform.architecture)];
        struct utsname machine;
        const char *slash, *name = word;

        if (!name) {
                if (uname(&machine) < 0)
                        return error_errno(err, "uname");
                name = machine.machine;
        }
        if (strncmp(name, "linux/", 6) == 0)
                name += 6;
        slash = strchrnul(name, '/');
        if ((size_t)(slash - name) >= sizeof(architecture))
                return unknown_architecture(name, err);
        memcpy(architecture, name, (size_t)(slash - name));
        architecture[slash - name] = '\0';

        if (!find_alias(architecture))
                return unknown_architecture(name, err);
        if (!platform_normalize(architecture, *slash ? slash + 1 : "", &platform) ||
            (*slash && !slash[1]))
                return error_set(err, EINVAL, "variant of architecture %.64s is not well-formed",
                                 name);
        *ret = platform;
        return 0;
}
