/*
 * 10-shadow: the user of the host, root, nobody and his group are known inside, and
 * he has a home directory, made from the image's skeleton.
 *
 * Settings of login.defs and useradd are taken as data; the image's words are never
 * evaluated. No account of the image is removed but those of the same names and, where
 * only one id is mapped, _apt, to which APT would drop its privileges in vain.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hooks/builtin.h"
#include "util/io.h"
#include "util/path.h"

#define PASSWD "/etc/passwd"
#define GROUP  "/etc/group"

/* What an unmapped id looks like: proc_sys_kernel(5), overflowuid. */
#define OVERFLOW_ID "65534"

struct shadow {
        struct hook_context *context;
        struct hook_plan *plan;
        struct strbuf login_defs, useradd;
        struct account user;
};

static void shadow_release(struct shadow *shadow)
{
        strbuf_release(&shadow->login_defs);
        strbuf_release(&shadow->useradd);
        account_release(&shadow->user);
}

/* A setting of useradd or login.defs, or the default. malloc'd; NULL without memory. */
static char *setting(const struct shadow *shadow, const char *key, const char *fallback)
{
        char *value = login_setting(strbuf_text(&shadow->useradd), key);

        if (!value)
                value = login_setting(strbuf_text(&shadow->login_defs), key);
        return value ? value : strdup(fallback);
}

static bool is_yes(const char *value)
{
        return value && strcasecmp(value, "yes") == 0;
}

/* A file of settings; a missing or odd one counts as empty. */
static void read_settings(struct shadow *shadow, const char *path, struct strbuf *text)
{
        struct error ignored = ERROR_INIT;

        const struct root_view *view = shadow->context->view;

        if (view->read(view, path, ACCOUNT_FILE_LIMIT, text, &ignored) < 0)
                strbuf_reset(text);
}

/* ---- passwd and group ---- */

/* Whether a line of an account file is about that name. */
static bool line_names(const char *line, size_t length, const char *entry)
{
        size_t name = strcspn(entry, ":");

        return length > name && memcmp(line, entry, name) == 0 && line[name] == ':';
}

int shadow_merge(const char *old, const struct strlist *lines, bool keep_apt, struct strbuf *merged)
{
        for (size_t i = 0; i < lines->count; i++) {
                strbuf_append(merged, lines->items[i]);
                strbuf_append_char(merged, '\n');
        }
        while (*old) {
                const char *end = strchrnul(old, '\n');
                size_t length = (size_t)(end - old);
                bool replaced = length == 0 || (!keep_apt && line_names(old, length, "_apt:"));

                for (size_t i = 0; i < lines->count && !replaced; i++)
                        replaced = line_names(old, length, lines->items[i]);
                if (!replaced) {
                        strbuf_append_mem(merged, old, length);
                        strbuf_append_char(merged, '\n');
                }
                old = *end ? end + 1 : end;
        }
        return merged->failed ? -1 : 0;
}

/* Add a line that takes the place of an earlier one for the same name. 0, or -1 without memory. */
__attribute__((format(printf, 2, 3))) static int add_line(struct strlist *lines, const char *fmt,
                                                          ...)
{
        char *line = NULL;
        va_list args;
        int length;

        va_start(args, fmt);
        length = vasprintf(&line, fmt, args);
        va_end(args);
        if (length < 0)
                return -1;
        for (size_t i = 0; i < lines->count; i++)
                if (line_names(lines->items[i], strlen(lines->items[i]), line)) {
                        strlist_remove(lines, i);
                        break;
                }
        return strlist_append_owned(lines, line);
}

static int update(struct shadow *shadow, const char *path, const struct strlist *lines,
                  struct error *err)
{
        auto_strbuf struct strbuf buffer = STRBUF_INIT, merged = STRBUF_INIT;
        const char *old;

        if (change_read(shadow->context->view, path, &buffer, &old, err) < 0)
                return -1;
        if (shadow_merge(strbuf_text(&buffer), lines, shadow->context->all_ids, &merged) < 0 ||
            change_list_add_file(&shadow->plan->changes, path, old, buffer.length, merged.data,
                                 merged.length) < 0)
                return error_no_memory(err);
        return 0;
}

/* The number that unmapped ids are shown as, as text without a newline. */
static int overflow_id(const char *path, struct strbuf *ret, struct error *err)
{
        struct error ignored = ERROR_INIT;

        if (io_read_file(-1, path, 16, ret, &ignored) < 0 || !isdigit((unsigned char)*ret->data)) {
                strbuf_reset(ret);
                strbuf_append(ret, OVERFLOW_ID);
        }
        if (ret->failed)
                return error_no_memory(err);
        ret->data[strcspn(ret->data, "\n")] = '\0';
        ret->length = strlen(ret->data);
        return 0;
}

/* The user's shell where the image has it, else what its useradd would give. */
static char *choose_shell(const struct shadow *shadow)
{
        if (root_view_is_executable(shadow->context->view, shadow->user.shell))
                return strdup(shadow->user.shell);
        return setting(shadow, "SHELL", "/bin/sh");
}

static int plan_accounts(struct shadow *shadow, struct error *err)
{
        const struct account *user = &shadow->user;
        auto_strlist struct strlist passwd = STRLIST_INIT, group = STRLIST_INIT;
        auto_strbuf struct strbuf nobody = STRBUF_INIT, nogroup = STRBUF_INIT;
        auto_free char *shell = choose_shell(shadow);
        auto_free char *group_name = hook_host_group(shadow->context, user->name);

        if (!shell || !group_name)
                return error_no_memory(err);
        if (overflow_id("/proc/sys/kernel/overflowuid", &nobody, err) < 0 ||
            overflow_id("/proc/sys/kernel/overflowgid", &nogroup, err) < 0)
                return -1;

        if (add_line(&passwd, "root:x:0:0:root:/root:%s", shell) < 0 ||
            add_line(&passwd, "nobody:x:%s:%s:nobody:/:/sbin/nologin", nobody.data, nogroup.data) <
                    0 ||
            add_line(&passwd, "%s:x:%u:%u:%s:%s:%s", user->name, user->uid, user->gid, user->gecos,
                     user->home, shell) < 0 ||
            add_line(&group, "root:x:0:") < 0 ||
            add_line(&group, "nogroup:x:%s:", nogroup.data) < 0 ||
            add_line(&group, "%s:x:%u:", group_name, shadow->context->gid_outside) < 0)
                return error_no_memory(err);

        if (update(shadow, GROUP, &group, err) < 0)
                return -1;
        return update(shadow, PASSWD, &passwd, err);
}

/* ---- home and mailbox ---- */

/* An octal number as login.defs has it, or the fallback. */
static mode_t parse_umask(const char *text, mode_t fallback)
{
        char *end;
        unsigned long value = strtoul(text, &end, 8);

        return end == text || *end || value > 0777 ? fallback : (mode_t)value;
}

static int plan_home(struct shadow *shadow, struct error *err)
{
        struct change change = { .kind = CHANGE_HOME, .path = shadow->user.home };
        auto_free char *create = setting(shadow, "CREATE_HOME", "yes");
        auto_free char *skel = setting(shadow, "SKEL", "/etc/skel");
        auto_free char *mask = setting(shadow, "UMASK", "077");

        if (!create || !skel || !mask)
                return error_no_memory(err);
        if (*change.path != '/' || !is_yes(create) ||
            root_view_exists(shadow->context->view, change.path))
                return 0;
        change.text = skel;
        change.length = strlen(skel);
        change.mode = 0777 & ~parse_umask(mask, 077);
        return change_list_add(&shadow->plan->changes, &change) < 0 ? error_no_memory(err) : 0;
}

static int plan_mailbox(struct shadow *shadow, struct error *err)
{
        auto_free char *create = setting(shadow, "CREATE_MAIL_SPOOL", "no");
        auto_free char *dir = setting(shadow, "MAIL_DIR", "/var/mail");
        auto_free char *path = NULL;
        struct change change = { .kind = CHANGE_EMPTY, .mode = 0660 };

        if (!create || !dir)
                return error_no_memory(err);
        if (!is_yes(create))
                return 0;
        path = path_join(dir, shadow->user.name);
        if (!path)
                return error_no_memory(err);
        if (root_view_exists(shadow->context->view, path))
                return 0;
        change.path = path;
        return change_list_add(&shadow->plan->changes, &change) < 0 ? error_no_memory(err) : 0;
}

int hook_shadow(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_cleanup(shadow_release) struct shadow shadow = { .context = context, .plan = plan };

        if (hook_host_account(context, &shadow.user, err) < 0)
                return -1;
        read_settings(&shadow, "/etc/login.defs", &shadow.login_defs);
        read_settings(&shadow, "/etc/default/useradd", &shadow.useradd);
        if (plan_accounts(&shadow, err) < 0)
                return change_tolerate(context->report, err);
        if (plan_home(&shadow, err) < 0)
                return -1;
        return plan_mailbox(&shadow, err);
}
