/*
 * policy/: which images may be used at all, as containers-policy.json(5) lays it down,
 * and whether a signature in cosign's format satisfies it. Fetching signatures is the
 * registry's business.
 *
 * Understood are insecureAcceptAnything, reject and sigstoreSigned with public keys.
 * What else the format knows (signedBy with GPG keys, fulcio, rekor, pki) is refused:
 * a policy that is not understood as a whole must not let anything through.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "image/image.h"
#include "util/error.h"
#include "util/strlist.h"

#define POLICY_FILE_LIMIT (1u << 20) /* bytes, of a policy and of a key */

enum policy_kind {
        POLICY_ACCEPT,
        POLICY_REJECT,
        POLICY_SIGNED,
};

/* Which name a signature must be for (signedIdentity). */
enum policy_identity {
        POLICY_REPO_DIGEST_OR_EXACT, /* the default */
        POLICY_EXACT,
        POLICY_REPOSITORY,
        POLICY_EXACT_REFERENCE,  /* .name */
        POLICY_EXACT_REPOSITORY, /* .name */
        POLICY_REMAP,            /* .name instead of .prefix */
};

struct policy_requirement {
        enum policy_kind kind;
        struct strlist keys; /* PEM; one of them must have signed */
        enum policy_identity identity;
        char *name, *prefix;
};

/* All requirements that stand under one scope; every one must be met. */
struct policy_rule {
        struct policy_requirement *requirements;
        size_t count;
        char *scope; /* for messages: "docker example.com/app", "default" */
        char *file;
};

#define POLICY_RULE_INIT                                                                           \
        {                                                                                          \
                .requirements = NULL                                                               \
        }

void policy_rule_release(struct policy_rule *rule);
#define auto_policy_rule auto_cleanup(policy_rule_release)

/* One policy file. */
struct policy;

void policy_free(struct policy *policy);

/*
 * Parse a policy and check all of it; keys are read by policy_find. NULL with *err
 * (EBADMSG) naming what is wrong; the caller puts the file in front.
 */
struct policy *policy_parse(const char *text, size_t length, const char *file, struct error *err);

/* The same from a file. *ret is NULL when there is none. Returns 0, or -1 with *err. */
int policy_load(const char *path, struct policy **ret, struct error *err);

/*
 * The rule for an image: that of the most specific scope of a transport ("docker",
 * "oci" …), else the transport's "", else the default.
 *
 * ref    the image for "docker"; NULL for other transports, whose scope is path
 * path   absolute; its directories are scopes, too. NULL: none
 *
 * Keys of the rule are read. Returns 0, or -1 with *err.
 */
int policy_find(const struct policy *policy, const char *transport,
                const struct image_reference *ref, const char *path, struct policy_rule *ret,
                struct error *err);

/* ---- signatures ---- */

#define POLICY_SIGNATURE_LIMIT 64u          /* of one image */
#define POLICY_PAYLOAD_LIMIT   (256u << 10) /* bytes of what is signed */

/* One of the signatures of an image: a layer of the manifest under the tag sha256-HEX.sig. */
struct policy_signature {
        struct image_descriptor payload;
        char *signature; /* base64 */
};

struct policy_signatures {
        struct policy_signature *items;
        size_t count;
};

void policy_signatures_release(struct policy_signatures *signatures);
#define auto_policy_signatures auto_cleanup(policy_signatures_release)

/* Read the manifest; layers that are no signatures are passed over. 0, or -1 with *err. */
int policy_signatures_parse(const char *text, size_t length, struct policy_signatures *ret,
                            struct error *err);

/*
 * Whether a signature meets a requirement of kind POLICY_SIGNED: one of its keys has signed
 * the payload, and the payload is about this manifest and this image.
 *
 * Returns 0, or -1 with *err saying what does not hold.
 */
int policy_check_signature(const struct policy_requirement *requirement, const char *signature,
                           const char *payload, size_t length, const char *manifest_digest,
                           const struct image_reference *ref, struct error *err);
