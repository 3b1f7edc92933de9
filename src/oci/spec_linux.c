/* linux of config.json. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "oci/spec.h"

const struct oci_namespace_kind oci_namespaces[OCI_NS_COUNT] = {
        [OCI_NS_USER] = { "user", "user", CLONE_NEWUSER },
        [OCI_NS_PID] = { "pid", "pid", CLONE_NEWPID },
        [OCI_NS_CGROUP] = { "cgroup", "cgroup", CLONE_NEWCGROUP },
        [OCI_NS_MOUNT] = { "mount", "mnt", CLONE_NEWNS },
        [OCI_NS_IPC] = { "ipc", "ipc", CLONE_NEWIPC },
        [OCI_NS_UTS] = { "uts", "uts", CLONE_NEWUTS },
        [OCI_NS_NETWORK] = { "network", "net", CLONE_NEWNET },
        [OCI_NS_TIME] = { "time", "time", CLONE_NEWTIME },
};

/* ---- namespaces and ids ---- */

static int parse_namespace(const struct json_node *object, struct oci_spec *ret, struct error *err)
{
        const char *type = NULL, *path = NULL;

        if (json_node_text(object, "type", &type, err) < 0 ||
            json_node_text(object, "path", &path, err) < 0)
                return -1;
        for (size_t i = 0; type && i < OCI_NS_COUNT; i++) {
                if (strcmp(oci_namespaces[i].name, type) != 0)
                        continue;
                if (ret->new_namespaces & oci_namespaces[i].flag || ret->namespaces[i])
                        return error_set(err, EINVAL, "\"%s\" is there twice", type);
                if (!path || !*path) {
                        ret->new_namespaces |= oci_namespaces[i].flag;
                        return 0;
                }
                if (*path != '/')
                        return error_set(err, EINVAL, "\"%s\": %.100s is not an absolute path",
                                         type, path);
                ret->namespaces[i] = strdup(path);
                return ret->namespaces[i] ? 0 : error_no_memory(err);
        }
        return error_set(err, EINVAL, "\"%.50s\" is not supported", type ? type : "");
}

static int parse_namespaces(const struct json_node *linux_, struct oci_spec *ret,
                            struct error *err)
{
        const struct json_node *array;

        if (spec_array(linux_, "namespaces", &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++)
                if (parse_namespace(json_node_at(array, i), ret, err) < 0)
                        return error_prefix(err, "namespaces");
        if (!(ret->new_namespaces & CLONE_NEWNS))
                return error_set(err, EINVAL, "namespaces: a new \"mount\" namespace is needed");
        return 0;
}

int spec_parse_map(const struct json_node *linux_, const char *key, struct id_map *ret,
                     struct error *err)
{
        const struct json_node *array;

        if (spec_array(linux_, key, &array, err) < 0)
                return -1;
        for (size_t i = 0; i < json_node_count(array); i++) {
                const struct json_node *object = json_node_at(array, i);
                uint64_t inside = 0, outside = 0, count = 0;

                if (i == ARRAY_SIZE(ret->ranges))
                        return error_set(err, E2BIG, "\"%s\" has more than %zu items", key,
                                         ARRAY_SIZE(ret->ranges));
                if (spec_unsigned(object, "containerID", UINT32_MAX, &inside, err) < 0 ||
                    spec_unsigned(object, "hostID", UINT32_MAX, &outside, err) < 0 ||
                    spec_unsigned(object, "size", UINT32_MAX, &count, err) < 0)
                        return error_prefix(err, "%s", key);
                if (count == 0)
                        return error_set(err, EINVAL, "%s: \"size\" is missing", key);
                ret->ranges[ret->count++] =
                        (struct id_range){ (uint32_t)inside, (uint32_t)outside, (uint32_t)count };
        }
        return 0;
}

static int parse_propagation(const struct json_node *linux_, struct oci_spec *ret,
                             struct error *err)
{
        static const struct spec_word words[] = {
                { "private", MS_PRIVATE },       { "rprivate", MS_PRIVATE | MS_REC },
                { "slave", MS_SLAVE },           { "rslave", MS_SLAVE | MS_REC },
                { "shared", MS_SHARED },         { "rshared", MS_SHARED | MS_REC },
                { "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
        };
        const char *word = NULL;
        uint64_t flags = 0;

        if (json_node_text(linux_, "rootfsPropagation", &word, err) < 0)
                return -1;
        if (word && *word &&
            spec_parse_word(linux_, "rootfsPropagation", words, ARRAY_SIZE(words), &flags, err) < 0)
                return -1;
        ret->propagation = (unsigned long)flags;
        return 0;
}

/* time_namespaces(7): lines of the clock, seconds and nanoseconds. */
static int parse_time_offsets(const struct json_node *linux_, struct oci_spec *ret,
                              struct error *err)
{
        static const char *const clocks[] = { "monotonic", "boottime" };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const struct json_node *offsets, *offset;

        if (spec_object(linux_, "timeOffsets", &offsets, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
                int64_t seconds = 0;
                uint64_t nanoseconds = 0;

                if (spec_object(offsets, clocks[i], &offset, err) < 0 ||
                    spec_signed(offset, "secs", INT64_MIN, INT64_MAX, &seconds, err) < 0 ||
                    spec_unsigned(offset, "nanosecs", 999999999, &nanoseconds, err) < 0)
                        return error_prefix(err, "timeOffsets");
                if (offset)
                        (void)strbuf_printf(&text, "%s %" PRId64 " %" PRIu64 "\n", clocks[i],
                                            seconds, nanoseconds);
        }
        if (text.failed)
                return error_no_memory(err);
        if (text.length == 0)
                return 0;
        if (!(ret->new_namespaces & CLONE_NEWTIME))
                return error_set(err, EINVAL, "\"timeOffsets\" need a new \"time\" namespace");
        ret->time_offsets = strbuf_take(&text);
        return 0;
}

/* ---- kernel parameters ---- */

/* The namespace whose own value a parameter has; 0 for one of the whole machine. */
static int sysctl_namespace(const char *key)
{
        static const char *const of_ipc[] = { "kernel.msgmax",          "kernel.msgmnb",
                                              "kernel.msgmni",          "kernel.sem",
                                              "kernel.shmall",          "kernel.shmmax",
                                              "kernel.shmmni",          "kernel.shm_rmid_forced" };

        for (size_t i = 0; i < ARRAY_SIZE(of_ipc); i++)
                if (strcmp(key, of_ipc[i]) == 0)
                        return CLONE_NEWIPC;
        if (strncmp(key, "fs.mqueue.", 10) == 0)
                return CLONE_NEWIPC;
        if (strncmp(key, "net.", 4) == 0)
                return CLONE_NEWNET;
        if (strcmp(key, "kernel.hostname") == 0 || strcmp(key, "kernel.domainname") == 0)
                return CLONE_NEWUTS;
        return 0;
}

static bool has_own(const struct oci_spec *spec, int flag)
{
        for (size_t i = 0; i < OCI_NS_COUNT; i++)
                if (oci_namespaces[i].flag == flag && spec->namespaces[i])
                        return true;
        return spec->new_namespaces & flag;
}

static int parse_sysctl(const struct json_node *linux_, struct oci_spec *ret, struct error *err)
{
        auto_strlist struct strlist pairs = STRLIST_INIT;

        if (spec_pairs(linux_, "sysctl", &pairs, err) < 0)
                return -1;
        for (size_t i = 0; i + 1 < pairs.count; i += 2) {
                const char *key = pairs.items[i];
                int flag = sysctl_namespace(key);
                char *setting;

                if (!flag || !has_own(ret, flag) || strstr(key, "..") || strchr(key, '='))
                        return error_set(err, EINVAL,
                                         "sysctl: \"%.100s\" is not the container's own%s", key,
                                         flag ? " without a namespace for it" : "");
                if (asprintf(&setting, "%s=%s", key, pairs.items[i + 1]) < 0 ||
                    strlist_append_owned(&ret->sysctl, setting) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

/* ---- devices ---- */

static int parse_device(const struct json_node *object, struct oci_device *ret, struct error *err)
{
        const char *type = NULL;
        uint64_t major = 0, minor = 0, mode = 0666, uid = 0, gid = 0;

        if (spec_text(object, "path", &ret->path, err) < 0 ||
            json_node_text(object, "type", &type, err) < 0 ||
            spec_unsigned(object, "major", UINT32_MAX, &major, err) < 0 ||
            spec_unsigned(object, "minor", UINT32_MAX, &minor, err) < 0 ||
            spec_unsigned(object, "fileMode", 0177777, &mode, err) < 0 ||
            spec_unsigned(object, "uid", UINT32_MAX, &uid, err) < 0 ||
            spec_unsigned(object, "gid", UINT32_MAX, &gid, err) < 0)
                return -1;
        if (!ret->path || *ret->path != '/')
                return error_set(err, EINVAL, "\"path\" is not an absolute path");
        if (!type || strlen(type) != 1 || !strchr("cubp", *type))
                return error_set(err, EINVAL, "%s: \"type\" is none of c, u, b and p", ret->path);
        ret->type = *type;
        ret->major = (unsigned int)major;
        ret->minor = (unsigned int)minor;
        ret->mode = (mode_t)mode & 07777;
        ret->uid = (uid_t)uid;
        ret->gid = (gid_t)gid;
        return 0;
}

static int parse_devices(const struct json_node *linux_, struct oci_spec *ret, struct error *err)
{
        const struct json_node *array;

        if (spec_array(linux_, "devices", &array, err) < 0)
                return -1;
        ret->devices = calloc(json_node_count(array) + 1, sizeof(*ret->devices));
        if (!ret->devices)
                return error_no_memory(err);
        for (size_t i = 0; i < json_node_count(array); i++)
                if (parse_device(json_node_at(array, i), &ret->devices[ret->device_count++],
                                 err) < 0)
                        return error_prefix(err, "devices");
        return 0;
}

/* ---- linux ---- */

int spec_parse_linux(const struct json_node *root, struct oci_spec *ret, struct error *err)
{
        static const char *const beyond[] = { "intelRdt" };
        const struct json_node *object, *resources;

        if (spec_object(root, "linux", &object, err) < 0)
                return -1;
        if (!object)
                return error_set(err, EINVAL, "it is missing");
        for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
                if (json_node_has(object, beyond[i]) &&
                    strlist_append(&ret->ignored, beyond[i]) < 0)
                        return error_no_memory(err);
        if (parse_namespaces(object, ret, err) < 0 ||
            spec_parse_map(object, "uidMappings", &ret->uids, err) < 0 ||
            spec_parse_map(object, "gidMappings", &ret->gids, err) < 0 ||
            spec_strings(object, "maskedPaths", &ret->masked, err) < 0 ||
            spec_strings(object, "readonlyPaths", &ret->unwritable, err) < 0 ||
            parse_propagation(object, ret, err) < 0 || parse_time_offsets(object, ret, err) < 0 ||
            spec_parse_personality(object, ret, err) < 0 ||
            spec_label(object, "mountLabel", &ret->mount_label, err) < 0 ||
            parse_sysctl(object, ret, err) < 0 ||
            parse_devices(object, ret, err) < 0 ||
            spec_text(object, "cgroupsPath", &ret->cgroup, err) < 0 ||
            spec_object(object, "seccomp", &ret->seccomp, err) < 0 ||
            spec_object(object, "resources", &resources, err) < 0)
                return -1;
        if ((ret->hostname || ret->domainname) && !has_own(ret, CLONE_NEWUTS))
                return error_set(err, EINVAL, "\"hostname\" needs a \"uts\" namespace");
        if ((ret->uids.count == 0) != (ret->gids.count == 0))
                return error_set(err, EINVAL, "uidMappings and gidMappings need each other");
        return spec_parse_resources(resources, &ret->resources, &ret->ignored, err) < 0
                       ? error_prefix(err, "resources")
                       : 0;
}
