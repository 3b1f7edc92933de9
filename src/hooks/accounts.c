/*
 * Account files as data. Users are looked up by number alone and never listed: a
 * site's directory may hold tens of thousands, or be out of reach.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "env/env.h"
#include "hooks/builtin.h"
#include "util/io.h"
#include "util/name_service.h"

/* Of the host's own passwd and group files, which site tools fill with every user. */
#define HOST_FILE_LIMIT (64u << 20)

#define PASSWD_FIELDS 7
#define GROUP_FIELDS  4

void account_release(struct account *account)
{
        free(TAKE_PTR(account->name));
        free(TAKE_PTR(account->gecos));
        free(TAKE_PTR(account->home));
        free(TAKE_PTR(account->shell));
}

struct field {
        const char *text;
        size_t length;
};

/* Split a line of passwd(5) or group(5). Returns the number of fields, at most max. */
static size_t split(const char *line, const char *end, struct field *fields, size_t max)
{
        size_t count = 0;

        while (count < max) {
                const char *colon = memchr(line, ':', (size_t)(end - line));

                /* The last field takes the rest, as the C library has it. */
                if (!colon || count + 1 == max)
                        colon = end;
                fields[count++] = (struct field){ line, (size_t)(colon - line) };
                if (colon == end)
                        break;
                line = colon + 1;
        }
        return count;
}

static bool parse_id(const struct field *field, unsigned int *ret)
{
        unsigned long long value = 0;

        if (field->length == 0 || field->length > 10)
                return false;
        for (size_t i = 0; i < field->length; i++) {
                if (!isdigit((unsigned char)field->text[i]))
                        return false;
                value = value * 10 + (unsigned int)(field->text[i] - '0');
        }
        if (value > UINT32_MAX)
                return false;
        *ret = (unsigned int)value;
        return true;
}

/* The first line whose third field is id, split; false when there is none. */
static bool find_line(const char *text, unsigned int id, struct field *fields, size_t count)
{
        while (*text) {
                const char *end = strchrnul(text, '\n');
                unsigned int found;

                if (split(text, end, fields, count) == count && fields[0].length > 0 &&
                    parse_id(&fields[2], &found) && found == id)
                        return true;
                text = *end ? end + 1 : end;
        }
        return false;
}

/* Own copies of everything. 0, or -1 without memory. */
static int fill(struct account *ret, const struct field *name, const struct field *gecos,
                const struct field *home, const struct field *shell)
{
        auto_account struct account account = { .uid = ret->uid, .gid = ret->gid };

        account.name = strndup(name->text, name->length);
        account.gecos = strndup(gecos->text, gecos->length);
        account.home = strndup(home->text, home->length);
        account.shell = strndup(shell->text, shell->length);
        if (!account.name || !account.gecos || !account.home || !account.shell)
                return -1;
        *ret = account;
        account = (struct account){ .name = NULL };
        return 0;
}

int account_find(const char *passwd, uid_t uid, struct account *ret)
{
        struct field fields[PASSWD_FIELDS];
        unsigned int gid;

        if (!find_line(passwd, uid, fields, PASSWD_FIELDS) || !parse_id(&fields[3], &gid))
                return 0;
        ret->uid = uid;
        ret->gid = gid;
        return fill(ret, &fields[0], &fields[4], &fields[5], &fields[6]) < 0 ? -1 : 1;
}

static struct field whole(const char *text)
{
        return (struct field){ text, strlen(text) };
}

/* A variable that may stand in a line of passwd(5), or the fallback. */
static struct field from_environment(const struct hook_context *context, const char *name,
                                     const char *fallback)
{
        const char *value = env_get(&context->config->environment, name);

        if (!value || !*value || strpbrk(value, ":\n"))
                value = fallback;
        return whole(value);
}

int hook_host_account(const struct hook_context *context, struct account *ret, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        struct field name, gecos, home, shell;
        const struct passwd *found = NULL;
        int result = 0;

        /* Ten times faster than the name service, whose modules must be loaded first. */
        if (io_read_file(-1, "/etc/passwd", HOST_FILE_LIMIT, &text, &ignored) == 0)
                result = account_find(strbuf_text(&text), context->uid_outside, ret);
        if (result == 1)
                return 0;
        if (result < 0)
                return error_no_memory(err);

        ret->uid = context->uid_outside;
        ret->gid = context->gid_outside;
        found = name_service_user(context->uid_outside);
        if (found) {
                name = whole(found->pw_name);
                gecos = whole(found->pw_gecos ? found->pw_gecos : "");
                home = whole(found->pw_dir);
                shell = whole(found->pw_shell);
        } else {
                name = from_environment(context, "USER", "user");
                gecos = whole("");
                home = from_environment(context, "HOME", "/");
                shell = from_environment(context, "SHELL", "/bin/sh");
        }
        return fill(ret, &name, &gecos, &home, &shell) < 0 ? error_no_memory(err) : 0;
}

char *hook_host_group(const struct hook_context *context, const char *user)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        struct field fields[GROUP_FIELDS];
        const struct group *found;

        if (io_read_file(-1, "/etc/group", HOST_FILE_LIMIT, &text, &ignored) == 0 &&
            find_line(strbuf_text(&text), context->gid_outside, fields, GROUP_FIELDS))
                return strndup(fields[0].text, fields[0].length);
        found = name_service_group(context->gid_outside);
        return strdup(found ? found->gr_name : user);
}

char *login_setting(const char *text, const char *key)
{
        const char *value = NULL;
        size_t key_length = strlen(key), length = 0;

        while (*text) {
                const char *end = strchrnul(text, '\n'), *at = text;

                at += strspn(at, " \t");
                if (strncmp(at, key, key_length) == 0 && strchr(" \t=", at[key_length]) &&
                    at[key_length]) {
                        at += key_length;
                        at += strspn(at, " \t=\"");
                        if (at < end && strcspn(at, " \t\"\n") > 0) {
                                value = at;
                                length = strcspn(at, " \t\"\n");
                        }
                }
                text = *end ? end + 1 : end;
        }
        return value ? strndup(value, length) : NULL;
}
