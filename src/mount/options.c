#include "mount/options.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

enum kind {
        SET,   /* a flag of mount(2) */
        CLEAR, /* its opposite */
        SET_BELOW, /* the same of the mount and all below it */
        CLEAR_BELOW,
        BIND,
        BIND_RECURSIVE,
        REMOUNT,
        MOVE,
        DETACH,
        PROPAGATE,
        PROPAGATE_RECURSIVE,
        CREATE,
        NOFAIL,
        SILENT,
        LOUD,
        IGNORED, /* of fstab(5), without a meaning here */
};

static const struct option {
        const char *name;
        enum kind kind;
        unsigned long value;
} options[] = {
        { "async", CLEAR, MS_SYNCHRONOUS },
        { "atime", CLEAR, MS_NOATIME },
        { "auto", IGNORED, 0 },
        { "bind", BIND, 0 },
        { "defaults", IGNORED, 0 },
        { "dev", CLEAR, MS_NODEV },
        { "diratime", CLEAR, MS_NODIRATIME },
        { "dirsync", SET, MS_DIRSYNC },
        { "exec", CLEAR, MS_NOEXEC },
        { "group", IGNORED, 0 },
        { "iversion", SET, MS_I_VERSION },
        { "lazytime", SET, MS_LAZYTIME },
        { "loop", IGNORED, 0 }, /* image files need no device here */
        { "loud", LOUD, 0 },
        { "mand", SET, MS_MANDLOCK },
        { "noatime", SET, MS_NOATIME },
        { "noauto", IGNORED, 0 },
        { "nodev", SET, MS_NODEV },
        { "nodiratime", SET, MS_NODIRATIME },
        { "noexec", SET, MS_NOEXEC },
        { "nofail", NOFAIL, 0 },
        { "nogroup", IGNORED, 0 },
        { "noiversion", CLEAR, MS_I_VERSION },
        { "nolazytime", CLEAR, MS_LAZYTIME },
        { "nomand", CLEAR, MS_MANDLOCK },
        { "noowner", IGNORED, 0 },
        { "norelatime", CLEAR, MS_RELATIME },
        { "nostrictatime", CLEAR, MS_STRICTATIME },
        { "nosuid", SET, MS_NOSUID },
        { "nosymfollow", SET, MOUNT_NOSYMFOLLOW },
        { "nouser", IGNORED, 0 },
        { "nousers", IGNORED, 0 },
        { "owner", IGNORED, 0 },
        { "private", PROPAGATE, MS_PRIVATE },
        { "ratime", CLEAR_BELOW, MS_NOATIME },
        { "rbind", BIND_RECURSIVE, 0 },
        { "rdev", CLEAR_BELOW, MS_NODEV },
        { "rdiratime", CLEAR_BELOW, MS_NODIRATIME },
        { "relatime", SET, MS_RELATIME },
        { "remount", REMOUNT, 0 },
        { "rexec", CLEAR_BELOW, MS_NOEXEC },
        { "rnoatime", SET_BELOW, MS_NOATIME },
        { "rnodev", SET_BELOW, MS_NODEV },
        { "rnodiratime", SET_BELOW, MS_NODIRATIME },
        { "rnoexec", SET_BELOW, MS_NOEXEC },
        { "rnorelatime", CLEAR_BELOW, MS_RELATIME },
        { "rnostrictatime", CLEAR_BELOW, MS_STRICTATIME },
        { "rnosuid", SET_BELOW, MS_NOSUID },
        { "rnosymfollow", SET_BELOW, MOUNT_NOSYMFOLLOW },
        { "ro", SET, MS_RDONLY },
        { "rprivate", PROPAGATE_RECURSIVE, MS_PRIVATE },
        { "rrelatime", SET_BELOW, MS_RELATIME },
        { "rro", SET_BELOW, MS_RDONLY },
        { "rrw", CLEAR_BELOW, MS_RDONLY },
        { "rshared", PROPAGATE_RECURSIVE, MS_SHARED },
        { "rslave", PROPAGATE_RECURSIVE, MS_SLAVE },
        { "rstrictatime", SET_BELOW, MS_STRICTATIME },
        { "rsuid", CLEAR_BELOW, MS_NOSUID },
        { "rsymfollow", CLEAR_BELOW, MOUNT_NOSYMFOLLOW },
        { "runbindable", PROPAGATE_RECURSIVE, MS_UNBINDABLE },
        { "rw", CLEAR, MS_RDONLY },
        { "shared", PROPAGATE, MS_SHARED },
        { "silent", SILENT, 0 },
        { "slave", PROPAGATE, MS_SLAVE },
        { "strictatime", SET, MS_STRICTATIME },
        { "suid", CLEAR, MS_NOSUID },
        { "symfollow", CLEAR, MOUNT_NOSYMFOLLOW },
        { "sync", SET, MS_SYNCHRONOUS },
        { "unbindable", PROPAGATE, MS_UNBINDABLE },
        { "user", IGNORED, 0 },
        { "users", IGNORED, 0 },
        { "x-create=auto", CREATE, MOUNT_CREATE_AUTO },
        { "x-create=dir", CREATE, MOUNT_CREATE_DIR },
        { "x-create=file", CREATE, MOUNT_CREATE_FILE },
        { "x-detach", DETACH, 0 },
        { "x-move", MOVE, 0 },
};

static const struct option *find_option(const char *word, size_t length)
{
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (strlen(options[i].name) == length && memcmp(options[i].name, word, length) == 0)
                        return &options[i];
        return NULL;
}

static bool is_of_kernel(const struct option *option)
{
        return option->kind <= REMOUNT || option->kind == PROPAGATE ||
               option->kind == PROPAGATE_RECURSIVE || option->kind == SILENT ||
               option->kind == LOUD || strcmp(option->name, "defaults") == 0;
}

const char *mount_option_name(size_t index)
{
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (is_of_kernel(&options[i]) && index-- == 0)
                        return options[i].name;
        return NULL;
}

bool options_recognise(const char *word)
{
        return word[0] != '/' && (strchr(word, ',') || find_option(word, strlen(word)));
}

static void apply_option(const struct option *option, struct mount_entry *entry)
{
        switch (option->kind) {
        case SET:
                entry->attr_set |= option->value;
                entry->attr_clear &= ~option->value;
                break;
        case CLEAR:
                entry->attr_clear |= option->value;
                entry->attr_set &= ~option->value;
                break;
        case SET_BELOW:
                entry->below_set |= option->value;
                entry->below_clear &= ~option->value;
                break;
        case CLEAR_BELOW:
                entry->below_clear |= option->value;
                entry->below_set &= ~option->value;
                break;
        case BIND:
        case BIND_RECURSIVE:
                entry->bind = true;
                entry->recursive = option->kind == BIND_RECURSIVE;
                break;
        case REMOUNT:
                entry->remount = true;
                break;
        case MOVE:
                entry->move = true;
                break;
        case DETACH:
                entry->detach = true;
                break;
        case PROPAGATE:
        case PROPAGATE_RECURSIVE:
                entry->propagation = option->value;
                entry->propagation_recursive = option->kind == PROPAGATE_RECURSIVE;
                break;
        case CREATE:
                entry->create = (enum mount_create)option->value;
                break;
        case NOFAIL:
                entry->nofail = true;
                break;
        case SILENT:
        case LOUD:
                entry->silent = option->kind == SILENT;
                break;
        case IGNORED:
                break;
        }
}

/* fstab(5): words that start with "x-" are notes between programs, not for the kernel. */
static bool is_note(const char *word, size_t length)
{
        return (length > 2 && strncasecmp(word, "x-", 2) == 0) ||
               (length == 7 && memcmp(word, "_netdev", 7) == 0) ||
               (length >= 8 && memcmp(word, "comment=", 8) == 0);
}

int options_parse(const char *text, struct mount_entry *entry, struct error *err)
{
        auto_strbuf struct strbuf data = STRBUF_INIT;

        while (*text) {
                size_t length = strcspn(text, ",");
                const struct option *option = find_option(text, length);

                if (option) {
                        apply_option(option, entry);
                } else if (length >= 8 && memcmp(text, "x-create", 8) == 0) {
                        return error_set(err, EINVAL,
                                         "\"%.*s\": x-create must be dir, file or auto",
                                         (int)(length < 100 ? length : 100), text);
                } else if (length > 0 && !is_note(text, length)) {
                        strbuf_append(&data, data.length > 0 ? "," : "");
                        strbuf_append_mem(&data, text, length);
                }
                text += length;
                text += *text == ',';
        }
        if (data.length > 0 || data.failed) {
                entry->data = strbuf_take(&data);
                if (!entry->data)
                        return error_no_memory(err);
        }
        return 0;
}

static bool is_part_of(const struct option *option, const struct mount_entry *entry)
{
        switch (option->kind) {
        case SET:
                return entry->attr_set & option->value;
        case CLEAR:
                return entry->attr_clear & option->value;
        case SET_BELOW:
                return entry->below_set & option->value;
        case CLEAR_BELOW:
                return entry->below_clear & option->value;
        case BIND:
                return entry->bind && !entry->recursive;
        case BIND_RECURSIVE:
                return entry->bind && entry->recursive;
        case REMOUNT:
                return entry->remount;
        case MOVE:
                return entry->move;
        case DETACH:
                return entry->detach;
        case PROPAGATE:
                return entry->propagation == option->value && !entry->propagation_recursive;
        case PROPAGATE_RECURSIVE:
                return entry->propagation == option->value && entry->propagation_recursive;
        case CREATE:
                return entry->create == (enum mount_create)option->value;
        case NOFAIL:
                return entry->nofail;
        case SILENT:
                return entry->silent;
        case LOUD:
        case IGNORED:
                break;
        }
        return false;
}

void options_print(const struct mount_entry *entry, struct strbuf *text)
{
        const char *separator = "";

        for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                if (!is_part_of(&options[i], entry))
                        continue;
                strbuf_printf(text, "%s%s", separator, options[i].name);
                separator = ",";
        }
        if (entry->data) {
                strbuf_append(text, separator);
                strbuf_append_fstab(text, entry->data);
        } else if (!separator[0]) {
                strbuf_append(text, "defaults");
        }
}
