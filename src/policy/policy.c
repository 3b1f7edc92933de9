#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util/base64.h"
#include "util/io.h"
#include "util/json.h"
#include "util/strbuf.h"

/* Everything in it has been checked by policy_parse. */
struct policy {
        struct json_node *root;
        char *file;
};

static void requirement_release(struct policy_requirement *requirement)
{
        strlist_release(&requirement->keys);
        free(requirement->name);
        free(requirement->prefix);
}

void policy_rule_release(struct policy_rule *rule)
{
        for (size_t i = 0; i < rule->count; i++)
                requirement_release(&rule->requirements[i]);
        free(rule->requirements);
        free(rule->scope);
        free(rule->file);
        *rule = (struct policy_rule)POLICY_RULE_INIT;
}

void policy_free(struct policy *policy)
{
        if (!policy)
                return;
        if (policy->root)
                json_node_free(policy->root);
        free(policy->file);
        free(policy);
}

static void cleanup_policy(struct policy **policy)
{
        policy_free(*policy);
}

/* ---- requirements ---- */

/* A key that is misspelt would be a rule that does not hold: only known ones may be there. */
static int check_keys(const struct json_node *object, const char *const *known, struct error *err)
{
        auto_strlist struct strlist keys = STRLIST_INIT;

        if (json_node_keys(object, &keys, err) < 0)
                return -1;
        for (size_t i = 0; i < keys.count; i++) {
                const char *const *name = known;

                while (*name && strcmp(*name, keys.items[i]) != 0)
                        name++;
                if (!*name)
                        return error_set(err, EBADMSG, "\"%.100s\" is not supported",
                                         keys.items[i]);
        }
        return 0;
}

static int copy_text(const struct json_node *object, const char *key, char **ret, struct error *err)
{
        const char *text = NULL;

        if (json_node_text(object, key, &text, err) < 0)
                return -1;
        if (!text || !*text)
                return error_set(err, EBADMSG, "signedIdentity: \"%s\" is missing", key);
        *ret = strdup(text);
        return *ret ? 0 : error_no_memory(err);
}

static int parse_identity(const struct json_node *object, struct policy_requirement *requirement,
                          struct error *err)
{
        static const struct {
                const char *type;
                enum policy_identity identity;
                const char *name, *prefix; /* keys that it has */
        } types[] = {
                { "matchRepoDigestOrExact", POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL },
                { "matchExact", POLICY_EXACT, NULL, NULL },
                { "matchRepository", POLICY_REPOSITORY, NULL, NULL },
                { "exactReference", POLICY_EXACT_REFERENCE, "dockerReference", NULL },
                { "exactRepository", POLICY_EXACT_REPOSITORY, "dockerRepository", NULL },
                { "remapIdentity", POLICY_REMAP, "signedPrefix", "prefix" },
        };
        const char *type = NULL;

        if (json_node_text(object, "type", &type, err) < 0)
                return -1;
        for (size_t i = 0; type && i < ARRAY_SIZE(types); i++) {
                const char *const known[] = { "type", types[i].name ? types[i].name : "type",
                                              types[i].prefix ? types[i].prefix : "type", NULL };

                if (strcmp(type, types[i].type) != 0)
                        continue;
                requirement->identity = types[i].identity;
                if (check_keys(object, known, err) < 0 ||
                    (types[i].name &&
                     copy_text(object, types[i].name, &requirement->name, err) < 0) ||
                    (types[i].prefix &&
                     copy_text(object, types[i].prefix, &requirement->prefix, err) < 0))
                        return -1;
                return 0;
        }
        return error_set(err, EBADMSG, "signedIdentity of an unknown type");
}

static int add_key_data(const char *base64, struct strlist *keys, struct error *err)
{
        auto_strbuf struct strbuf pem = STRBUF_INIT;

        if (base64_decode(base64, &pem) < 0)
                return error_set(err, EBADMSG, "keyData is not base64");
        return strlist_append(keys, strbuf_text(&pem)) < 0 ? error_no_memory(err) : 0;
}

static int add_key_file(const char *path, struct strlist *keys, struct error *err)
{
        auto_strbuf struct strbuf pem = STRBUF_INIT;

        if (io_read_file(AT_FDCWD, path, POLICY_FILE_LIMIT, &pem, err) < 0)
                return error_prefix(err, "key");
        return strlist_append(keys, strbuf_text(&pem)) < 0 ? error_no_memory(err) : 0;
}

/* One key under singular, or several in an array under plural. *ret counts them. */
static int take_keys(const struct json_node *object, const char *singular, const char *plural,
                     int (*add)(const char *text, struct strlist *keys, struct error *err),
                     struct strlist *keys, size_t *ret, struct error *err)
{
        const struct json_node *array = NULL;
        const char *one = NULL;

        if (json_node_text(object, singular, &one, err) < 0 ||
            json_node_member(object, plural, JSON_NODE_ARRAY, &array, err) < 0 ||
            (one && add && add(one, keys, err) < 0))
                return -1;
        *ret += one != NULL;
        for (size_t i = 0; i < json_node_count(array); i++) {
                const char *text = json_node_string(json_node_at(array, i));

                if (!text)
                        return error_set(err, EBADMSG, "\"%s\" holds something else than text",
                                         plural);
                if (add && add(text, keys, err) < 0)
                        return -1;
                ++*ret;
        }
        return 0;
}

/* read_keys: whether key files are opened, which only a rule that counts needs. */
static int parse_signed(const struct json_node *object, bool read_keys,
                        struct policy_requirement *requirement, struct error *err)
{
        static const char *const known[] = { "type",     "keyPath",        "keyPaths", "keyData",
                                             "keyDatas", "signedIdentity", NULL };
        const struct json_node *identity = NULL;
        size_t count = 0;

        requirement->kind = POLICY_SIGNED;
        if (check_keys(object, known, err) < 0 ||
            take_keys(object, "keyPath", "keyPaths", read_keys ? add_key_file : NULL,
                      &requirement->keys, &count, err) < 0 ||
            take_keys(object, "keyData", "keyDatas", add_key_data, &requirement->keys, &count,
                      err) < 0 ||
            json_node_member(object, "signedIdentity", JSON_NODE_OBJECT, &identity, err) < 0)
                return -1;
        if (count == 0)
                return error_set(err, EBADMSG, "sigstoreSigned without a key");
        return identity ? parse_identity(identity, requirement, err) : 0;
}

static int parse_requirement(const struct json_node *object, bool read_keys,
                             struct policy_requirement *ret, struct error *err)
{
        static const char *const only_type[] = { "type", NULL };
        const char *type = NULL;

        if (json_node_text(object, "type", &type, err) < 0)
                return -1;
        if (!type)
                return error_set(err, EBADMSG, "a requirement without a type");
        if (strcmp(type, "sigstoreSigned") == 0)
                return parse_signed(object, read_keys, ret, err);
        if (strcmp(type, "insecureAcceptAnything") == 0)
                ret->kind = POLICY_ACCEPT;
        else if (strcmp(type, "reject") == 0)
                ret->kind = POLICY_REJECT;
        else
                return error_set(err, EBADMSG,
                                 "requirements of type \"%.100s\" are not supported (use "
                                 "sigstoreSigned, insecureAcceptAnything or reject)",
                                 type);
        return check_keys(object, only_type, err);
}

static int parse_rule(const struct json_node *array, bool read_keys, struct policy_rule *ret,
                      struct error *err)
{
        size_t count = json_node_count(array);

        if (count == 0)
                return error_set(err, EBADMSG, "an empty list of requirements");
        ret->requirements = calloc(count, sizeof(*ret->requirements));
        if (!ret->requirements)
                return error_no_memory(err);
        ret->count = count;
        for (size_t i = 0; i < count; i++)
                if (parse_requirement(json_node_at(array, i), read_keys, &ret->requirements[i],
                                      err) < 0)
                        return -1;
        return 0;
}

/* ---- the document ---- */

static int check_rule(const struct json_node *object, const char *key, struct error *err)
{
        auto_policy_rule struct policy_rule rule = POLICY_RULE_INIT;
        const struct json_node *array = NULL;

        if (json_node_member(object, key, JSON_NODE_ARRAY, &array, err) < 0)
                return -1;
        return parse_rule(array, false, &rule, err);
}

static int check_transport(const struct json_node *transports, const char *name, struct error *err)
{
        auto_strlist struct strlist scopes = STRLIST_INIT;
        const struct json_node *transport = NULL;

        if (json_node_member(transports, name, JSON_NODE_OBJECT, &transport, err) < 0 ||
            json_node_keys(transport, &scopes, err) < 0)
                return -1;
        for (size_t i = 0; i < scopes.count; i++)
                if (check_rule(transport, scopes.items[i], err) < 0)
                        return error_prefix(err, "%.50s \"%.200s\"", name, scopes.items[i]);
        return 0;
}

static int check_document(const struct json_node *root, struct error *err)
{
        static const char *const known[] = { "default", "transports", NULL };
        auto_strlist struct strlist names = STRLIST_INIT;
        const struct json_node *transports = NULL;

        if (check_keys(root, known, err) < 0)
                return -1;
        if (check_rule(root, "default", err) < 0)
                return error_prefix(err, "default");
        if (json_node_member(root, "transports", JSON_NODE_OBJECT, &transports, err) < 0 ||
            json_node_keys(transports, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++)
                if (check_transport(transports, names.items[i], err) < 0)
                        return -1;
        return 0;
}

struct policy *policy_parse(const char *text, size_t length, const char *file, struct error *err)
{
        auto_cleanup(cleanup_policy) struct policy *policy = calloc(1, sizeof(*policy));

        if (policy)
                policy->file = strdup(file);
        if (!policy || !policy->file) {
                error_no_memory(err);
                return NULL;
        }
        policy->root = json_node_parse(text, length, err);
        if (!policy->root || check_document(policy->root, err) < 0)
                return NULL;
        return TAKE_PTR(policy);
}

int policy_load(const char *path, struct policy **ret, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        *ret = NULL;
        if (io_read_file(AT_FDCWD, path, POLICY_FILE_LIMIT, &text, err) < 0)
                return err->code == ENOENT || err->code == ENOTDIR ? 0 : -1;
        *ret = policy_parse(strbuf_text(&text), text.length, path, err);
        return *ret ? 0 : error_prefix(err, "policy %s", path);
}

/* ---- looking up ---- */

/* A lookup under way: the scopes of a transport, and what was found. */
struct search {
        const struct json_node *transport; /* NULL: the policy has none of that name */
        const struct json_node *found;     /* an array of requirements */
        struct strbuf scope;
};

static int try_scope(struct search *search, const char *scope, struct error *err)
{
        if (search->found)
                return 0;
        if (json_node_member(search->transport, scope, JSON_NODE_ARRAY, &search->found, err) < 0)
                return -1;
        if (!search->found)
                return 0;
        strbuf_reset(&search->scope);
        return strbuf_append(&search->scope, scope) < 0 ? error_no_memory(err) : 0;
}

/* The text, and what is left when its last components are taken off, down to the first. */
static int try_parents(struct search *search, char *text, struct error *err)
{
        for (;;) {
                char *slash = strrchr(text, '/');

                if (try_scope(search, text, err) < 0)
                        return -1;
                if (!slash || slash == text)
                        return 0;
                *slash = '\0';
        }
}

/* As containers-policy.json(5) orders the scopes of docker: image, repository, parents, domains. */
static int search_docker(struct search *search, const struct image_reference *ref,
                         struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT, full = STRBUF_INIT;

        if (image_reference_name(ref, &name) < 0 ||
            strbuf_printf(&full, "%s%s%s", name.data, ref->digest ? "@" : ":",
                          ref->digest ? ref->digest : ref->tag) < 0)
                return error_no_memory(err);
        if (try_scope(search, full.data, err) < 0 || try_parents(search, name.data, err) < 0)
                return -1;
        /* What is left of the name is its host. */
        for (char *dot = strchr(name.data, '.'); dot; dot = strchr(dot + 1, '.')) {
                auto_strbuf struct strbuf domain = STRBUF_INIT;

                if (strbuf_printf(&domain, "*%s", dot) < 0)
                        return error_no_memory(err);
                if (try_scope(search, domain.data, err) < 0)
                        return -1;
        }
        return 0;
}

static int search_path(struct search *search, const char *path, struct error *err)
{
        auto_free char *copy = strdup(path);

        return copy ? try_parents(search, copy, err) : error_no_memory(err);
}

int policy_find(const struct policy *policy, const char *transport,
                const struct image_reference *ref, const char *path, struct policy_rule *ret,
                struct error *err)
{
        auto_policy_rule struct policy_rule rule = POLICY_RULE_INIT;
        auto_strbuf struct strbuf scope = STRBUF_INIT;
        struct search search = { .found = NULL };
        const struct json_node *transports = NULL;
        int rc = 0;

        if (json_node_member(policy->root, "transports", JSON_NODE_OBJECT, &transports, err) < 0 ||
            json_node_member(transports, transport, JSON_NODE_OBJECT, &search.transport, err) < 0)
                return -1;
        if (ref)
                rc = search_docker(&search, ref, err);
        else if (path)
                rc = search_path(&search, path, err);
        if (rc == 0)
                rc = try_scope(&search, "", err);
        strbuf_printf(&scope, "%s \"%s\"", transport, strbuf_text(&search.scope));
        strbuf_release(&search.scope);
        if (rc == 0 && !search.found) {
                strbuf_reset(&scope);
                strbuf_append(&scope, "default");
                rc = json_node_member(policy->root, "default", JSON_NODE_ARRAY, &search.found, err);
        }
        if (rc < 0 || parse_rule(search.found, true, &rule, err) < 0)
                return error_prefix(err, "policy %s", policy->file);
        rule.scope = strbuf_take(&scope);
        rule.file = strdup(policy->file);
        if (!rule.scope || !rule.file)
                return error_no_memory(err);
        *ret = TAKE(rule, (struct policy_rule)POLICY_RULE_INIT);
        return 0;
}
