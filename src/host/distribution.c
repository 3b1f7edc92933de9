#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "util/io.h"

/* Copy the value of KEY=VALUE, less one pair of quotes. os-release(5): shell-like. */
static void copy_value(const char *value, const char *end, char *ret, size_t size)
{
        size_t length;

        if (end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value) {
                value++;
                end--;
        }
        length = (size_t)(end - value);
        if (length >= size)
                length = size - 1;
        memcpy(ret, value, length);
        ret[length] = '\0';
}

/* Whether a blank-separated list has the word. */
static bool has_word(const char *list, const char *word)
{
        size_t length = strlen(word);

        while (*list) {
                size_t item = strcspn(list, " ");

                if (item == length && memcmp(list, word, length) == 0)
                        return true;
                list += item + strspn(list + item, " ");
        }
        return false;
}

static enum host_family find_family(const char *id, const char *like)
{
        static const struct {
                const char *word;
                enum host_family family;
        } families[] = {
                { "ubuntu", HOST_UBUNTU }, { "debian", HOST_DEBIAN }, { "rhel", HOST_REDHAT },
                { "centos", HOST_REDHAT }, { "fedora", HOST_REDHAT }, { "ol", HOST_REDHAT },
                { "suse", HOST_SUSE },     { "opensuse", HOST_SUSE }, { "sles", HOST_SUSE },
                { "alpine", HOST_ALPINE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(families); i++)
                if (strcmp(id, families[i].word) == 0)
                        return families[i].family;
        for (size_t i = 0; i < ARRAY_SIZE(families); i++)
                if (has_word(like, families[i].word))
                        return families[i].family;
        return HOST_UNKNOWN;
}

void host_distribution_parse(const char *text, size_t length, struct host_distribution *ret)
{
        const char *end = text + length;
        char id[32] = "", like[96] = "";
        struct {
                const char *key;
                char *value;
                size_t size;
        } fields[] = {
                { "ID=", id, sizeof(id) },
                { "ID_LIKE=", like, sizeof(like) },
                { "PRETTY_NAME=", ret->name, sizeof(ret->name) },
                { "VERSION_ID=", ret->version, sizeof(ret->version) },
        };

        *ret = (struct host_distribution){ .family = HOST_UNKNOWN };
        while (text < end) {
                const char *stop = memchr(text, '\n', (size_t)(end - text));

                stop = stop ? stop : end;
                for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
                        size_t key = strlen(fields[i].key);

                        if ((size_t)(stop - text) >= key && memcmp(text, fields[i].key, key) == 0)
                                copy_value(text + key, stop, fields[i].value, fields[i].size);
                }
                text = stop < end ? stop + 1 : end;
        }
        ret->family = find_family(id, like);
}

void host_distribution_load(const char *root, struct host_distribution *ret)
{
        static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release" };

        *ret = (struct host_distribution){ .family = HOST_UNKNOWN };
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error ignored = ERROR_INIT;
                char path[512];

                (void)snprintf(path, sizeof(path), "%s%s", root, paths[i]);
                if (io_read_file(AT_FDCWD, path, HOST_RELEASE_LIMIT, &text, &ignored) < 0)
                        continue;
                host_distribution_parse(strbuf_text(&text), text.length, ret);
                return;
        }
}

bool host_is_redhat_7(const struct host_distribution *distribution)
{
        return distribution->family == HOST_REDHAT &&
               (strcmp(distribution->version, "7") == 0 ||
                strncmp(distribution->version, "7.", 2) == 0);
}

/* ---- mends ---- */

void host_mend_sysctl(const struct host_distribution *distribution, const char *name,
                      const char *value, char mend[HOST_MEND_SIZE])
{
        /* All families read /etc/sysctl.d at boot; what cannot be told is left general. */
        const char *file = distribution->family == HOST_UNKNOWN ? "the machine's sysctl.conf"
                                                                : "/etc/sysctl.d/90-enroot.conf";

        (void)snprintf(mend, HOST_MEND_SIZE,
                       "as root, set \"sysctl %s=%s\", and write \"%s = %s\" into %s to keep it",
                       name, value, name, value, file);
}

void host_mend_boot(const struct host_distribution *distribution, const char *parameters,
                    char mend[HOST_MEND_SIZE])
{
        switch (distribution->family) {
        case HOST_DEBIAN:
        case HOST_UBUNTU:
                (void)snprintf(mend, HOST_MEND_SIZE,
                               "as root, add \"%s\" to GRUB_CMDLINE_LINUX in /etc/default/grub, "
                               "run \"update-grub\" and boot",
                               parameters);
                break;
        case HOST_REDHAT:
                (void)snprintf(mend, HOST_MEND_SIZE,
                               "as root, run \"grubby --update-kernel=ALL --args='%s'\" and boot",
                               parameters);
                break;
        case HOST_SUSE:
                (void)snprintf(mend, HOST_MEND_SIZE,
                               "as root, add \"%s\" to GRUB_CMDLINE_LINUX_DEFAULT in "
                               "/etc/default/grub, run \"grub2-mkconfig -o /boot/grub2/grub.cfg\" "
                               "and boot",
                               parameters);
                break;
        case HOST_ALPINE:
                (void)snprintf(mend, HOST_MEND_SIZE,
                               "as root, add \"%s\" to default_kernel_opts in "
                               "/etc/update-extlinux.conf, run \"update-extlinux\" and boot",
                               parameters);
                break;
        case HOST_UNKNOWN:
                (void)snprintf(mend, HOST_MEND_SIZE, "boot the kernel with \"%s\"", parameters);
                break;
        }
}

void host_mend_module(const struct host_distribution *distribution, const char *module,
                      char mend[HOST_MEND_SIZE])
{
        const char *file = "/etc/modules-load.d/enroot.conf";

        if (distribution->family == HOST_ALPINE)
                file = "/etc/modules";
        (void)snprintf(mend, HOST_MEND_SIZE,
                       "as root, run \"modprobe %s\", and write \"%s\" into %s to keep it", module,
                       module, file);
}

void host_mend_package(const struct host_distribution *distribution, enum host_package package,
                       char mend[HOST_MEND_SIZE])
{
        static const struct {
                const char *command;
                const char *packages[2]; /* by enum host_package */
        } installs[] = {
                [HOST_DEBIAN] = { "apt-get install", { "uidmap", "fuse3" } },
                [HOST_UBUNTU] = { "apt-get install", { "uidmap", "fuse3" } },
                [HOST_REDHAT] = { "yum install", { "shadow-utils", "fuse3" } },
                [HOST_SUSE] = { "zypper install", { "shadow", "fuse3" } },
                [HOST_ALPINE] = { "apk add", { "shadow-subids", "fuse3" } },
        };
        static const char *const what[] = { "newuidmap and newgidmap (shadow)", "fuse3" };

        if (distribution->family == HOST_UNKNOWN)
                (void)snprintf(mend, HOST_MEND_SIZE, "as root, install the package with %s",
                               what[package]);
        else
                (void)snprintf(mend, HOST_MEND_SIZE, "as root, run \"%s %s\"",
                               installs[distribution->family].command,
                               installs[distribution->family].packages[package]);
}
