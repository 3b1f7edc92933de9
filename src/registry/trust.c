#include "registry/trust.h"

#include <errno.h>
#include <string.h>

#include "registry/document.h"
#include "registry/session.h"

#define SIGNATURE_ACCEPT                                                                           \
        "application/vnd.oci.image.manifest.v1+json, "                                             \
        "application/vnd.docker.distribution.manifest.v2+json"

/* ---- rules ---- */

void trust_release(struct trust *trust)
{
        for (size_t i = 0; i < trust->count; i++)
                policy_rule_release(&trust->rules[i]);
        trust->count = 0;
}

static int add_rule(struct trust *trust, const char *directory, const char *transport,
                    const struct image_reference *ref, const char *path, struct error *err)
{
        auto_strbuf struct strbuf file = STRBUF_INIT;
        struct policy *policy = NULL;
        int rc;

        if (strbuf_printf(&file, "%s/policy.json", directory) < 0)
                return error_no_memory(err);
        if (policy_load(file.data, &policy, err) < 0)
                return -1;
        if (!policy)
                return 0;
        rc = policy_find(policy, transport, ref, path, &trust->rules[trust->count], err);
        policy_free(policy);
        if (rc == 0)
                trust->count++;
        return rc;
}

static int load_rules(struct trust *trust, const struct registry_options *options,
                      const char *transport, const struct image_reference *ref, const char *path,
                      struct error *err)
{
        const char *const directories[TRUST_POLICIES] = {
                ENROOT_SYSCONFDIR,
                options->sysconf_path && strcmp(options->sysconf_path, ENROOT_SYSCONFDIR) != 0
                        ? options->sysconf_path
                        : NULL,
                options->config_path,
        };

        trust->count = 0;
        if (!options->config_path)
                return 0;
        for (size_t i = 0; i < TRUST_POLICIES; i++)
                if (directories[i] &&
                    add_rule(trust, directories[i], transport, ref, path, err) < 0)
                        return -1;
        return 0;
}

/* The first rule with a requirement of that kind, or NULL. */
static const struct policy_rule *find_kind(const struct trust *trust, enum policy_kind kind)
{
        for (size_t i = 0; i < trust->count; i++)
                for (size_t j = 0; j < trust->rules[i].count; j++)
                        if (trust->rules[i].requirements[j].kind == kind)
                                return &trust->rules[i];
        return NULL;
}

static int check_rejected(const struct trust *trust, struct error *err)
{
        const struct policy_rule *rule = find_kind(trust, POLICY_REJECT);

        if (!rule)
                return 0;
        return error_set(err, EACCES, "rejected by the policy %s (%s)", rule->file, rule->scope);
}

int trust_load(struct trust *trust, const struct image_reference *ref,
               const struct registry_options *options, struct error *err)
{
        if (load_rules(trust, options, "docker", ref, NULL, err) < 0)
                return -1;
        if (check_rejected(trust, err) < 0)
                return error_prefix(err, "%s/%s", ref->registry, ref->repository);
        return 0;
}

int registry_check_image(const struct registry_options *options, const struct image_reference *ref,
                         struct error *err)
{
        auto_cleanup(trust_release) struct trust trust = { .count = 0 };

        if (trust_load(&trust, ref, options, err) < 0)
                return -1;
        return find_kind(&trust, POLICY_SIGNED) == NULL;
}

int registry_check_transport(const struct registry_options *options, const char *transport,
                             const char *path, struct error *err)
{
        auto_cleanup(trust_release) struct trust trust = { .count = 0 };
        const struct policy_rule *rule;

        if (load_rules(&trust, options, transport, NULL, path, err) < 0 ||
            check_rejected(&trust, err) < 0)
                return -1;
        rule = find_kind(&trust, POLICY_SIGNED);
        if (!rule)
                return 0;
        return error_set(err, EACCES,
                         "the policy %s (%s) asks for a signature, which only images of a registry "
                         "have",
                         rule->file, rule->scope);
}

/* ---- signatures ---- */

/* Signatures of one manifest, with what they sign. */
struct evidence {
        const char *digest; /* of the manifest */
        struct policy_signatures signatures;
        struct strbuf payloads[POLICY_SIGNATURE_LIMIT];
};

static void evidence_release(struct evidence *evidence)
{
        for (size_t i = 0; i < POLICY_SIGNATURE_LIMIT; i++)
                strbuf_release(&evidence->payloads[i]);
        policy_signatures_release(&evidence->signatures);
}

static int fetch_payload(struct registry *registry, const struct image_descriptor *descriptor,
                         struct strbuf *ret, struct error *err)
{
        auto_document struct document document = DOCUMENT_INIT;
        auto_strbuf struct strbuf path = STRBUF_INIT;
        struct document_request request = { .limit = POLICY_PAYLOAD_LIMIT };
        char actual[IMAGE_DIGEST_SIZE] = "sha256:";

        if (strbuf_printf(&path, "blobs/%s", descriptor->digest) < 0)
                return error_no_memory(err);
        request.path = path.data;
        if (document_get(registry, &request, &document, err) < 0 ||
            sha256_of(strbuf_text(&document.text), document.text.length, actual + strlen(actual),
                      err) < 0)
                return error_prefix(err, "signature");
        if (strcmp(actual, descriptor->digest) != 0)
                return error_set(err, EBADMSG, "signature %s: its content is %s",
                                 descriptor->digest, actual);
        *ret = TAKE(document.text, (struct strbuf)STRBUF_INIT);
        return 0;
}

/* Fetch the signatures of evidence->digest; there may be none. */
static int fetch_signatures(struct registry *registry, struct evidence *evidence, struct error *err)
{
        auto_document struct document document = DOCUMENT_INIT;
        auto_strbuf struct strbuf path = STRBUF_INIT;
        struct document_request request = { .accept = SIGNATURE_ACCEPT,
                                            .limit = IMAGE_MANIFEST_LIMIT };

        if (strbuf_printf(&path, "manifests/sha256-%s.sig", evidence->digest + strlen("sha256:")) <
            0)
                return error_no_memory(err);
        request.path = path.data;
        if (document_get(registry, &request, &document, err) < 0) {
                if (err->code != ENOENT)
                        return error_prefix(err, "signatures");
                *err = (struct error)ERROR_INIT;
                return 0;
        }
        if (policy_signatures_parse(strbuf_text(&document.text), document.text.length,
                                    &evidence->signatures, err) < 0)
                return error_prefix(err, "signatures of %s", evidence->digest);
        for (size_t i = 0; i < evidence->signatures.count; i++)
                if (fetch_payload(registry, &evidence->signatures.items[i].payload,
                                  &evidence->payloads[i], err) < 0)
                        return -1;
        return 0;
}

/* Whether a signature meets the requirement; otherwise *err says why the last one does not. */
static bool is_met(const struct registry *registry, const struct policy_requirement *requirement,
                   const struct evidence *evidence, struct error *err)
{
        for (size_t i = 0; i < evidence->signatures.count; i++) {
                const struct strbuf *payload = &evidence->payloads[i];

                if (policy_check_signature(requirement, evidence->signatures.items[i].signature,
                                           strbuf_text(payload), payload->length, evidence->digest,
                                           registry->ref, err) == 0)
                        return true;
        }
        return false;
}

/* Every requirement must be met, by a signature of either manifest. */
static int check_rule(const struct registry *registry, const struct policy_rule *rule,
                      const struct evidence evidence[2], struct error *err)
{
        for (size_t i = 0; i < rule->count; i++) {
                const struct policy_requirement *requirement = &rule->requirements[i];
                struct error why = ERROR_INIT;

                if (requirement->kind == POLICY_ACCEPT ||
                    is_met(registry, requirement, &evidence[0], &why) ||
                    is_met(registry, requirement, &evidence[1], &why))
                        continue;
                return error_set(err, EKEYREJECTED, "the policy %s (%s) asks for a signature: %s",
                                 rule->file, rule->scope,
                                 why.code ? why.message : "the image has none");
        }
        return 0;
}

int trust_check(struct registry *registry, const char *named, const char *manifest,
                struct error *err)
{
        struct evidence evidence[2] = { { .digest = named }, { .digest = manifest } };
        const struct trust *trust = &registry->trust;
        int rc;

        if (!find_kind(trust, POLICY_SIGNED))
                return 0;
        rc = fetch_signatures(registry, &evidence[0], err);
        if (rc == 0 && strcmp(named, manifest) != 0)
                rc = fetch_signatures(registry, &evidence[1], err);
        for (size_t i = 0; rc == 0 && i < trust->count; i++)
                rc = check_rule(registry, &trust->rules[i], evidence, err);
        evidence_release(&evidence[0]);
        evidence_release(&evidence[1]);
        if (rc == 0)
                report_info(registry->report, "Signature accepted");
        return rc;
}
