#include "registry/netrc.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "util/strbuf.h"

struct netrc_scan {
        const char *at;
        unsigned int line;
};

static void skip_space(struct netrc_scan *scan)
{
        for (; *scan->at && strchr(" \t\r\n", *scan->at); scan->at++)
                scan->line += *scan->at == '\n';
}

static void skip_line(struct netrc_scan *scan)
{
        scan->at += strcspn(scan->at, "\n");
}

/* A macro definition ends at an empty line. It means nothing here. */
static void skip_macro(struct netrc_scan *scan)
{
        while (*scan->at && strncmp(scan->at, "\n\n", 2) != 0) {
                scan->line += *scan->at == '\n';
                scan->at++;
        }
}

/* Append the next word to *word: as it is, or "quoted with \" inside". Empty at the end. */
static int next_word(struct netrc_scan *scan, struct strbuf *word, struct error *err)
{
        skip_space(scan);
        if (*scan->at != '"') {
                size_t length = strcspn(scan->at, " \t\r\n");

                strbuf_append_mem(word, scan->at, length);
                scan->at += length;
                return word->failed ? error_no_memory(err) : 0;
        }
        for (scan->at++; *scan->at != '"'; scan->at++) {
                if (*scan->at == '\\')
                        scan->at++;
                if (*scan->at == '\0' || *scan->at == '\n')
                        return error_set(err, EINVAL, "line %u: a quote is not closed", scan->line);
                strbuf_append_char(word, *scan->at);
        }
        scan->at++;
        return word->failed ? error_no_memory(err) : 0;
}

static int take_value(struct netrc_scan *scan, char **slot, struct error *err)
{
        auto_strbuf struct strbuf word = STRBUF_INIT;

        if (next_word(scan, &word, err) < 0)
                return -1;
        free(*slot);
        *slot = strbuf_take(&word);
        return *slot ? 0 : error_no_memory(err);
}

static int take_password(struct netrc_scan *scan, struct netrc_entry *entry, struct error *err)
{
        size_t length;

        skip_space(scan);
        entry->expand = *scan->at == '$';
        if (!entry->expand)
                return take_value(scan, &entry->password, err);

        length = strcspn(scan->at, "\r\n");
        free(entry->password);
        entry->password = strndup(scan->at, length);
        scan->at += length;
        return entry->password ? 0 : error_no_memory(err);
}

static struct netrc_entry *add_entry(struct netrc *netrc, struct error *err)
{
        struct netrc_entry *entries;

        if (netrc->count == NETRC_ENTRY_LIMIT) {
                error_set(err, E2BIG, "more than %u machines", NETRC_ENTRY_LIMIT);
                return NULL;
        }
        entries = reallocarray(netrc->entries, netrc->count + 1, sizeof(*entries));
        if (!entries) {
                error_no_memory(err);
                return NULL;
        }
        netrc->entries = entries;
        entries[netrc->count] = (struct netrc_entry){ .machine = NULL };
        return &entries[netrc->count++];
}

static int parse_keyword(struct netrc_scan *scan, const char *keyword, struct netrc *netrc,
                         struct error *err)
{
        struct netrc_entry *entry = netrc->count > 0 ? &netrc->entries[netrc->count - 1] : NULL;

        if (strcmp(keyword, "machine") == 0) {
                entry = add_entry(netrc, err);
                return entry ? take_value(scan, &entry->machine, err) : -1;
        }
        if (strcmp(keyword, "default") == 0)
                return add_entry(netrc, err) ? 0 : -1;
        if (strcmp(keyword, "macdef") == 0) {
                skip_macro(scan);
                return 0;
        }
        if (entry && strcmp(keyword, "login") == 0)
                return take_value(scan, &entry->login, err);
        if (entry && strcmp(keyword, "password") == 0)
                return take_password(scan, entry, err);
        if (entry && strcmp(keyword, "account") == 0) {
                auto_free char *account = NULL;

                return take_value(scan, &account, err);
        }
        if (!netrc->odd_line)
                netrc->odd_line = scan->line;
        return 0;
}

int netrc_parse(const char *text, struct netrc *ret, struct error *err)
{
        auto_cleanup(netrc_release) struct netrc netrc = { .entries = NULL };
        struct netrc_scan scan = { .at = text, .line = 1 };

        for (;;) {
                auto_strbuf struct strbuf keyword = STRBUF_INIT;

                skip_space(&scan);
                if (*scan.at == '\0')
                        break;
                if (*scan.at == '#') {
                        skip_line(&scan);
                        continue;
                }
                if (next_word(&scan, &keyword, err) < 0 ||
                    parse_keyword(&scan, strbuf_text(&keyword), &netrc, err) < 0)
                        return -1;
        }
        *ret = netrc;
        netrc = (struct netrc){ .entries = NULL };
        return 0;
}

void netrc_release(struct netrc *netrc)
{
        for (size_t i = 0; i < netrc->count; i++) {
                free(netrc->entries[i].machine);
                free(netrc->entries[i].login);
                free(netrc->entries[i].password);
        }
        free(netrc->entries);
        *netrc = (struct netrc){ .entries = NULL };
}

const struct netrc_entry *netrc_find(const struct netrc *netrc, const char *machine,
                                     const char *login)
{
        for (size_t i = 0; i < netrc->count; i++) {
                const struct netrc_entry *entry = &netrc->entries[i];

                if (!entry->machine != !machine)
                        continue;
                if (machine && strcasecmp(entry->machine, machine) != 0)
                        continue;
                if (login && (!entry->login || strcmp(entry->login, login) != 0))
                        continue;
                return entry;
        }
        return NULL;
}
