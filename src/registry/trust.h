/*
 * The policies that an image must satisfy, and the fetching of its signatures.
 *
 * Each of these files that exists has a say, and all must agree, so that a user's own
 * policy can forbid more than the site's but not less:
 *
 *      SYSCONFDIR/policy.json           as built in, wherever the variable points
 *      ENROOT_SYSCONF_PATH/policy.json
 *      ENROOT_CONFIG_PATH/policy.json
 */
#pragma once

#include "policy/policy.h"

#define TRUST_POLICIES 3

struct registry;
struct registry_options;

struct trust {
        struct policy_rule rules[TRUST_POLICIES];
        size_t count;
};

/* Find the rules for an image. EACCES when one rejects it. */
int trust_load(struct trust *trust, const struct image_reference *ref,
               const struct registry_options *options, struct error *err);
void trust_release(struct trust *trust);

/*
 * Check the image against the rules: a signature may be for what its reference stands
 * for (named, which may be an index) or for the chosen manifest, whose digest an index
 * vouches for. Returns 0, or -1 with *err saying which rule is not met, and why.
 */
int trust_check(struct registry *registry, const char *named, const char *manifest,
                struct error *err);
