/* The small JSON answers of registries and token servers. */
#include "image/image.h"

#include <errno.h>
#include <string.h>

#include "util/json.h"

/* Token life time where a server names none (distribution, docs/spec/auth/token.md). */
#define DEFAULT_TOKEN_SECONDS 60

/* Longest registry message that is shown, in bytes. */
#define MESSAGE_LIMIT 300

/* A token goes into a header line, where a newline would start another header. */
static bool token_valid(const char *token)
{
        for (const char *p = token; *p; p++)
                if (*p <= ' ' || *p >= 0x7f)
                        return false;
        return token[0] != '\0';
}

char *image_parse_token(const char *text, size_t length, int64_t *ret_expires_in, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        const char *token = NULL;
        int64_t seconds;
        char *copy;

        if (!root || json_node_text(root, "token", &token, err) < 0 ||
            (!token && json_node_text(root, "access_token", &token, err) < 0)) {
                error_prefix(err, "answer of the token server");
                return NULL;
        }
        if (!token || !token_valid(token)) {
                error_set(err, EBADMSG, "answer of the token server: %s",
                          token ? "malformed token" : "no token in it");
                return NULL;
        }

        copy = strdup(token);
        if (!copy) {
                error_no_memory(err);
                return NULL;
        }
        *ret_expires_in = json_node_integer(root, "expires_in", &seconds) && seconds > 0
                                  ? seconds
                                  : DEFAULT_TOKEN_SECONDS;
        return copy;
}

/* Append untrusted text that goes to a terminal: no control characters, of bounded length. */
static void append_clean(struct strbuf *to, const char *text)
{
        for (size_t i = 0; text[i] && i < MESSAGE_LIMIT; i++)
                strbuf_append_char(to, text[i] < ' ' && text[i] >= 0 ? ' ' : text[i]);
}

char *image_parse_registry_error(const char *text, size_t length)
{
        struct error ignored = ERROR_INIT;
        auto_json_node struct json_node *root = json_node_parse(text, length, &ignored);
        auto_strbuf struct strbuf result = STRBUF_INIT;
        const struct json_node *errors = NULL, *first;
        const char *code = NULL, *message = NULL;

        if (!root || json_node_member(root, "errors", JSON_NODE_ARRAY, &errors, &ignored) < 0)
                return NULL;
        first = errors ? json_node_at(errors, 0) : root;
        if (json_node_text(first, "code", &code, &ignored) < 0 ||
            json_node_text(first, "message", &message, &ignored) < 0 || (!code && !message))
                return NULL;
        append_clean(&result, code ? code : "");
        if (code && message)
                strbuf_append(&result, ": ");
        append_clean(&result, message ? message : "");
        return strbuf_take(&result);
}
