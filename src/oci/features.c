/* What this program can do, for those who ask before they use it (features.md of the
 * specification).
 */
#include <string.h>

#include "oci/filter_words.h"
#include "util/json_writer.h"

static void write_list(struct json_writer *writer, const char *key, const char *const *words,
                       size_t count)
{
        json_write_array(writer, key);
        for (size_t i = 0; i < count; i++)
                json_write_text(writer, NULL, words[i]);
        json_write_end(writer);
}

static void write_words(struct json_writer *writer, const char *key, const struct spec_word *words,
                        size_t count)
{
        json_write_array(writer, key);
        for (size_t i = 0; i < count; i++)
                json_write_text(writer, NULL, words[i].name);
        json_write_end(writer);
}

static void write_seccomp(struct json_writer *writer)
{
        /* libseccomp 2.5 */
        static const char *const architectures[] = {
                "SCMP_ARCH_AARCH64",     "SCMP_ARCH_ARM",      "SCMP_ARCH_MIPS",
                "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
                "SCMP_ARCH_MIPSEL64",    "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
                "SCMP_ARCH_PPC64",       "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_RISCV64",
                "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",    "SCMP_ARCH_X32",
                "SCMP_ARCH_X86",         "SCMP_ARCH_X86_64",
        };

        json_write_object(writer, "seccomp");
        json_write_bool(writer, "enabled", true);
        write_words(writer, "actions", oci_seccomp_actions, OCI_SECCOMP_ACTIONS);
        write_words(writer, "operators", oci_seccomp_operators, OCI_SECCOMP_OPERATORS);
        write_list(writer, "archs", architectures, ARRAY_SIZE(architectures));
        write_words(writer, "knownFlags", oci_seccomp_flags, OCI_SECCOMP_FLAGS);
        write_words(writer, "supportedFlags", oci_seccomp_flags, OCI_SECCOMP_FLAGS);
        json_write_end(writer);
}

static void write_enabled(struct json_writer *writer, const char *key, bool enabled)
{
        json_write_object(writer, key);
        json_write_bool(writer, "enabled", enabled);
        json_write_end(writer);
}

/* mountExtensions, whose only member so far says whether mounts can be idmapped. */
static void write_extensions(struct json_writer *writer)
{
        json_write_object(writer, "mountExtensions");
        write_enabled(writer, "idmap", true);
        json_write_end(writer);
}

static void write_linux(struct json_writer *writer)
{
        json_write_object(writer, "linux");
        json_write_array(writer, "namespaces");
        for (size_t i = 0; i < OCI_NS_COUNT; i++)
                json_write_text(writer, NULL, oci_namespaces[i].name);
        json_write_end(writer);
        json_write_array(writer, "capabilities");
        for (unsigned int i = 0; oci_capability_name(i); i++)
                json_write_text(writer, NULL, oci_capability_name(i));
        json_write_end(writer);
        json_write_object(writer, "cgroup");
        json_write_bool(writer, "v1", true);
        json_write_bool(writer, "v2", true);
        json_write_bool(writer, "systemd", false);
        json_write_bool(writer, "systemdUser", false);
        json_write_bool(writer, "rdma", false);
        json_write_end(writer);
        write_seccomp(writer);
        write_enabled(writer, "apparmor", true);
        write_enabled(writer, "selinux", true);
        write_enabled(writer, "intelRdt", false);
        write_extensions(writer);
        json_write_end(writer);
}

/* Those of a plan, and those that are dealt with before. In the order of the alphabet. */
static void write_options(struct json_writer *writer)
{
        static const char *const more[] = { "idmap", "ridmap", "tmpcopyup" };
        const char *name;
        size_t i = 0, j = 0;

        json_write_array(writer, "mountOptions");
        while ((name = mount_option_name(i)) != NULL || j < ARRAY_SIZE(more)) {
                if (name && (j == ARRAY_SIZE(more) || strcmp(name, more[j]) < 0))
                        i++;
                else
                        name = more[j++];
                json_write_text(writer, NULL, name);
        }
        json_write_end(writer);
}

int oci_features(struct strbuf *text, struct error *err)
{
        static const char *const hooks[] = {
                "prestart",       "createRuntime", "createContainer",
                "startContainer", "poststart",     "poststop",
        };
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersionMin", OCI_VERSION_MIN);
        json_write_text(&writer, "ociVersionMax", OCI_VERSION_MAX);
        write_list(&writer, "hooks", hooks, ARRAY_SIZE(hooks));
        write_options(&writer);
        write_linux(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}
