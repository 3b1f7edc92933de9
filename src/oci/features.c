/* What this program can do, for those who ask before they use it (features.md of the
 * specification).
 */
#include "oci/oci.h"
#include "util/json_writer.h"

static void write_list(struct json_writer *writer, const char *key, const char *const *words,
                       size_t count)
{
        json_write_array(writer, key);
        for (size_t i = 0; i < count; i++)
                json_write_text(writer, NULL, words[i]);
        json_write_end(writer);
}

static void write_seccomp(struct json_writer *writer)
{
        static const char *const actions[] = {
                "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
                "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
        };
        static const char *const operators[] = {
                "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",       "SCMP_CMP_LE",
                "SCMP_CMP_LT", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ",
        };

        json_write_object(writer, "seccomp");
        json_write_bool(writer, "enabled", true);
        write_list(writer, "actions", actions, ARRAY_SIZE(actions));
        write_list(writer, "operators", operators, ARRAY_SIZE(operators));
        json_write_end(writer);
}

static void write_absent(struct json_writer *writer, const char *key)
{
        json_write_object(writer, key);
        json_write_bool(writer, "enabled", false);
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
        json_write_bool(writer, "v1", false);
        json_write_bool(writer, "v2", true);
        json_write_bool(writer, "systemd", false);
        json_write_bool(writer, "systemdUser", false);
        json_write_end(writer);
        write_seccomp(writer);
        write_absent(writer, "apparmor");
        write_absent(writer, "selinux");
        json_write_end(writer);
}

int oci_features(struct strbuf *text, struct error *err)
{
        static const char *const hooks[] = {
                "prestart",       "createRuntime", "createContainer",
                "startContainer", "poststart",     "poststop",
        };
        struct json_writer writer = { .text = text };
        static const char *const options[] = {
                "async",       "atime",    "bind",        "defaults",   "dev",     "diratime",
                "dirsync",     "exec",     "iversion",    "lazytime",   "loud",    "mand",
                "noatime",     "nodev",    "nodiratime",  "noexec",     "noiversion",
                "nolazytime",  "nomand",   "norelatime",  "nostrictatime", "nosuid",
                "private",     "rbind",    "relatime",    "remount",    "ro",      "rprivate",
                "rshared",     "rslave",   "runbindable", "rw",         "shared",  "silent",
                "slave",       "strictatime", "suid",     "sync",       "tmpcopyup", "unbindable",
        };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "ociVersionMin", OCI_VERSION_MIN);
        json_write_text(&writer, "ociVersionMax", OCI_VERSION_MAX);
        write_list(&writer, "hooks", hooks, ARRAY_SIZE(hooks));
        write_list(&writer, "mountOptions", options, ARRAY_SIZE(options));
        write_linux(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}
