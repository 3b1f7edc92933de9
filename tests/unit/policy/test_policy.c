/* policy/policy.h: which rule counts, and which signatures meet it. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "util/base64.h"
#include "util/cleanup.h"

static void cleanup_policy(struct policy **policy)
{
        policy_free(*policy);
}
#define auto_policy auto_cleanup(cleanup_policy)

static struct policy *parse(const char *text, struct error *err)
{
        return policy_parse(text, strlen(text), "test.json", err);
}

/* ---- rules ---- */

#define ACCEPT "[{\"type\":\"insecureAcceptAnything\"}]"
#define REJECT "[{\"type\":\"reject\"}]"
#define SIGNED "[{\"type\":\"sigstoreSigned\",\"keyData\":\"a2V5\"}]"

static void test_scopes(void **state)
{
        static const char text[] = "{\"default\":" REJECT ",\"transports\":{"
                                   "\"docker\":{"
                                   " \"example.com/team/app:1\":" ACCEPT ","
                                   " \"example.com/team/app\":" SIGNED ","
                                   " \"example.com/team\":" ACCEPT ","
                                   " \"example.com\":" SIGNED ","
                                   " \"example.com:5000\":" ACCEPT ","
                                   " \"*.example.com\":" ACCEPT ","
                                   " \"docker.io/library\":" SIGNED ","
                                   " \"\":" REJECT "},"
                                   "\"oci\":{\"/images/good\":" ACCEPT ",\"/images\":" SIGNED "}}}";
        static const struct {
                const char *uri, *scope;
                enum policy_kind kind;
        } cases[] = {
                { "docker://example.com/team/app:1", "docker \"example.com/team/app:1\"",
                  POLICY_ACCEPT },
                { "docker://example.com/team/app:2", "docker \"example.com/team/app\"",
                  POLICY_SIGNED },
                { "docker://example.com/team/app/sub", "docker \"example.com/team/app\"",
                  POLICY_SIGNED },
                { "docker://example.com/team/application", "docker \"example.com/team\"",
                  POLICY_ACCEPT },
                { "docker://example.com/other", "docker \"example.com\"", POLICY_SIGNED },
                { "docker://example.com:5000/other", "docker \"example.com:5000\"", POLICY_ACCEPT },
                { "docker://a.b.example.com/x", "docker \"*.example.com\"", POLICY_ACCEPT },
                { "docker://notexample.com/x", "docker \"\"", POLICY_REJECT },
                { "docker://alpine", "docker \"docker.io/library\"", POLICY_SIGNED },
                { "docker://someone/alpine", "docker \"\"", POLICY_REJECT },
        };
        struct error err = ERROR_INIT;
        auto_policy struct policy *policy = parse(text, &err);

        (void)state;
        assert_non_null(policy);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_image_reference struct image_reference ref = { .user = NULL };
                auto_policy_rule struct policy_rule rule = POLICY_RULE_INIT;

                assert_int_equal(image_reference_parse(cases[i].uri, &ref, &err), 0);
                assert_int_equal(policy_find(policy, "docker", &ref, NULL, &rule, &err), 0);
                assert_string_equal(rule.scope, cases[i].scope);
                assert_int_equal(rule.count, 1);
                assert_int_equal(rule.requirements[0].kind, cases[i].kind);
                assert_string_equal(rule.file, "test.json");
        }
        {
                static const struct {
                        const char *transport, *path, *scope;
                } paths[] = {
                        { "oci", "/images/good/x", "oci \"/images/good\"" },
                        { "oci", "/images/goods", "oci \"/images\"" },
                        { "oci", "/other", "default" },
                        { "oci", NULL, "default" },
                        { "docker-daemon", NULL, "default" },
                };

                for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                        auto_policy_rule struct policy_rule rule = POLICY_RULE_INIT;

                        assert_int_equal(policy_find(policy, paths[i].transport, NULL,
                                                     paths[i].path, &rule, &err),
                                         0);
                        assert_string_equal(rule.scope, paths[i].scope);
                }
        }
}

/* What is not understood lets nothing through. */
static void test_bad_policies(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                { "", "JSON" },
                { "{}", "default" },
                { "{\"default\":[]}", "empty list" },
                { "{\"default\":{}}", "not an array" },
                { "{\"default\":" ACCEPT ",\"transport\":{}}", "\"transport\" is not supported" },
                { "{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"a.io\":[]}}}",
                  "docker \"a.io\": an empty list" },
                { "{\"default\":" ACCEPT ",\"transports\":{\"docker\":{\"a.io\":null}}}",
                  "empty list" },
                { "{\"default\":[{\"type\":\"accept\"}]}", "\"accept\" are not supported" },
                { "{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\"}]}", "signedBy" },
                { "{\"default\":[{}]}", "without a type" },
                { "{\"default\":[3]}", "without a type" },
                { "{\"default\":[{\"type\":\"reject\",\"keyPath\":\"x\"}]}", "keyPath" },
                { "{\"default\":[{\"type\":\"sigstoreSigned\"}]}", "without a key" },
                { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"#\"}]}", "base64" },
                { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"a2V5\","
                  "\"rekorPublicKeyPath\":\"x\"}]}",
                  "rekorPublicKeyPath" },
                { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"a2V5\","
                  "\"signedIdentity\":{\"type\":\"anything\"}}]}",
                  "unknown type" },
                { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"a2V5\","
                  "\"signedIdentity\":{\"type\":\"exactReference\"}}]}",
                  "dockerReference" },
                { "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPaths\":[1]}]}", "keyPaths" },
                { "{\"default\":" ACCEPT ",\"default\":" REJECT "}", "duplicate" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;

                assert_null(parse(cases[i].text, &err));
                assert_non_null(strstr(err.message, cases[i].says));
        }
}

static void test_missing_key(void **state)
{
        struct error err = ERROR_INIT;
        auto_policy struct policy *policy = parse(
                "{\"default\":[{\"type\":\"sigstoreSigned\",\"keyPath\":\"/nonexistent\"}]}", &err);
        auto_policy_rule struct policy_rule rule = POLICY_RULE_INIT;

        (void)state;
        assert_non_null(policy);
        assert_int_equal(policy_find(policy, "oci", NULL, NULL, &rule, &err), -1);
        assert_non_null(strstr(err.message, "test.json: key: /nonexistent"));
}

/* ---- signatures ---- */

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER  "sha256:ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *public_pem(EVP_PKEY *key)
{
        BIO *bio = BIO_new(BIO_s_mem());
        char *data, *copy;
        long size;

        assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
        size = BIO_get_mem_data(bio, &data);
        copy = strndup(data, (size_t)size);
        BIO_free(bio);
        return copy;
}

static char *sign(EVP_PKEY *key, const char *digest, const char *text)
{
        auto_strbuf struct strbuf encoded = STRBUF_INIT;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        unsigned char raw[1024];
        size_t size = sizeof(raw);

        assert_int_equal(EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, key, NULL), 1);
        assert_int_equal(
                EVP_DigestSign(context, raw, &size, (const unsigned char *)text, strlen(text)), 1);
        EVP_MD_CTX_free(context);
        assert_int_equal(base64_encode(raw, size, &encoded), 0);
        return strbuf_take(&encoded);
}

static void payload_of(char *payload, size_t size, const char *name, const char *digest)
{
        (void)snprintf(payload, size,
                       "{\"critical\":{\"identity\":{\"docker-reference\":\"%s\"},"
                       "\"image\":{\"docker-manifest-digest\":\"%s\"},"
                       "\"type\":\"cosign container image signature\"},\"optional\":null}",
                       name, digest);
}

static int check(const struct policy_requirement *requirement, const char *signature,
                 const char *payload, const char *uri, struct error *err)
{
        auto_image_reference struct image_reference ref = { .user = NULL };

        *err = (struct error)ERROR_INIT;
        assert_int_equal(image_reference_parse(uri, &ref, err), 0);
        return policy_check_signature(requirement, signature, payload, strlen(payload), DIGEST,
                                      &ref, err);
}

static void test_kinds_of_keys(void **state)
{
        const struct {
                EVP_PKEY *key;
                const char *digest;
                int expected;
        } cases[] = {
                { EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), "SHA256", 0 },
                { EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), "SHA256", 0 },
                { EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), "SHA256", 0 },
                { EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL, 0 },
                { EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), "SHA256", EINVAL },
                { EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), NULL, EINVAL },
                { EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), "SHA512", EKEYREJECTED },
        };
        char payload[512];

        (void)state;
        payload_of(payload, sizeof(payload), "example.com/app", DIGEST);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_requirement requirement = { .kind = POLICY_SIGNED,
                                                          .identity = POLICY_REPOSITORY };
                auto_free char *signature = sign(cases[i].key, cases[i].digest, payload);
                struct error err;

                strlist_append_owned(&requirement.keys, public_pem(cases[i].key));
                assert_int_equal(
                        check(&requirement, signature, payload, "docker://example.com/app", &err),
                        cases[i].expected ? -1 : 0);
                assert_int_equal(err.code, cases[i].expected);
                strlist_release(&requirement.keys);
                EVP_PKEY_free(cases[i].key);
        }
}

static void test_identities(void **state)
{
        static const struct {
                enum policy_identity identity;
                const char *name, *prefix; /* of the requirement */
                const char *uri, *signed_name;
                bool accepted;
        } cases[] = {
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x:1", "a.io/x:1", true },
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x:1", "a.io/x:2", false },
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x:1", "a.io/x", false },
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x", "a.io/x", false },
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x", "a.io/x:latest",
                  true },
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x@" DIGEST, "a.io/x:7",
                  true },
                { POLICY_REPO_DIGEST_OR_EXACT, NULL, NULL, "docker://a.io/x@" DIGEST, "a.io/y:7",
                  false },
                { POLICY_EXACT, NULL, NULL, "docker://a.io/x:1", "a.io/x:1", true },
                { POLICY_EXACT, NULL, NULL, "docker://a.io/x@" DIGEST, "a.io/x:1", false },
                { POLICY_REPOSITORY, NULL, NULL, "docker://a.io/x:1", "a.io/x", true },
                { POLICY_REPOSITORY, NULL, NULL, "docker://a.io/x:1", "b.io/x", false },
                { POLICY_REPOSITORY, NULL, NULL, "docker://alpine",
                  "index.docker.io/library/alpine", true },
                { POLICY_REPOSITORY, NULL, NULL, "docker://alpine", "alpine", true },
                { POLICY_REPOSITORY, NULL, NULL, "docker://a.io/x", "a.io#x", false },
                { POLICY_REPOSITORY, NULL, NULL, "docker://a.io/x", "u@a.io/x", false },
                { POLICY_EXACT_REFERENCE, "a.io/y:3", NULL, "docker://b.io/x:1", "a.io/y:3", true },
                { POLICY_EXACT_REFERENCE, "a.io/y:3", NULL, "docker://a.io/x:1", "a.io/x:1",
                  false },
                { POLICY_EXACT_REPOSITORY, "a.io/y", NULL, "docker://b.io/x:1", "a.io/y:9", true },
                { POLICY_REMAP, "vendor.io", "mirror.io/v", "docker://mirror.io/v/x:1",
                  "vendor.io/x:1", true },
                { POLICY_REMAP, "vendor.io", "mirror.io/v", "docker://mirror.io/v/x:1",
                  "mirror.io/v/x:1", false },
                { POLICY_REMAP, "vendor.io", "mirror.io/v", "docker://other.io/x:1", "other.io/x:1",
                  true },
        };
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct policy_requirement requirement = { .kind = POLICY_SIGNED,
                                                          .identity = cases[i].identity,
                                                          .name = (char *)cases[i].name,
                                                          .prefix = (char *)cases[i].prefix };
                auto_free char *signature = NULL;
                char payload[512];
                struct error err;

                payload_of(payload, sizeof(payload), cases[i].signed_name, DIGEST);
                signature = sign(key, "SHA256", payload);
                strlist_append_owned(&requirement.keys, public_pem(key));
                assert_int_equal(check(&requirement, signature, payload, cases[i].uri, &err),
                                 cases[i].accepted ? 0 : -1);
                strlist_release(&requirement.keys);
        }
        EVP_PKEY_free(key);
}

static void test_wrong_signatures(void **state)
{
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        struct policy_requirement requirement = { .kind = POLICY_SIGNED,
                                                  .identity = POLICY_REPOSITORY };
        auto_free char *good = NULL, *foreign = NULL, *for_other = NULL, *odd = NULL;
        char payload[512], other_digest[512];
        const char *no_payload = "{\"critical\":{}}";
        struct error err;

        (void)state;
        payload_of(payload, sizeof(payload), "a.io/x", DIGEST);
        payload_of(other_digest, sizeof(other_digest), "a.io/x", OTHER);
        good = sign(key, "SHA256", payload);
        foreign = sign(other, "SHA256", payload);
        for_other = sign(key, "SHA256", other_digest);
        odd = sign(key, "SHA256", no_payload);
        strlist_append(&requirement.keys, "not a key");
        assert_int_equal(check(&requirement, good, payload, "docker://a.io/x", &err), -1);
        strlist_append_owned(&requirement.keys, public_pem(key));
        assert_int_equal(check(&requirement, good, payload, "docker://a.io/x", &err), 0);
        assert_int_equal(check(&requirement, foreign, payload, "docker://a.io/x", &err), -1);
        assert_int_equal(err.code, EKEYREJECTED);
        assert_int_equal(check(&requirement, good, other_digest, "docker://a.io/x", &err), -1);
        assert_int_equal(check(&requirement, for_other, other_digest, "docker://a.io/x", &err), -1);
        assert_non_null(strstr(err.message, "for the manifest " OTHER));
        assert_int_equal(check(&requirement, "%%%", payload, "docker://a.io/x", &err), -1);
        assert_int_equal(check(&requirement, "", payload, "docker://a.io/x", &err), -1);
        assert_int_equal(check(&requirement, odd, no_payload, "docker://a.io/x", &err), -1);
        assert_int_equal(err.code, EBADMSG);
        strlist_release(&requirement.keys);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
}

static void test_signature_manifests(void **state)
{
#define LAYER(type, digest, size, annotation)                                                      \
        "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size                     \
        ",\"annotations\":{\"dev.cosignproject.cosign/signature\":" annotation "}}"
#define SIMPLE "application/vnd.dev.cosign.simplesigning.v1+json"
        static const struct {
                const char *text;
                int count; /* -1: an error */
        } cases[] = {
                { "{\"layers\":[" LAYER(SIMPLE, DIGEST, "3", "\"c2ln\"") "]}", 1 },
                { "{\"layers\":[" LAYER(SIMPLE, DIGEST, "3", "null") "]}", 0 },
                { "{\"layers\":[" LAYER("text/plain", DIGEST, "3", "\"c2ln\"") "]}", 0 },
                { "{\"layers\":[" LAYER(SIMPLE, "sha256:../x", "3", "\"c2ln\"") "]}", -1 },
                { "{\"layers\":[" LAYER(SIMPLE, DIGEST, "-3", "\"c2ln\"") "]}", -1 },
                { "{\"layers\":[" LAYER(SIMPLE, DIGEST, "9000000", "\"c2ln\"") "]}", -1 },
                { "{\"layers\":[" LAYER(SIMPLE, DIGEST, "3", "5") "]}", -1 },
                { "{\"layers\":{}}", -1 },
                { "{}", 0 },
                { "[]", -1 },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_policy_signatures struct policy_signatures signatures = { .items = NULL };
                struct error err = ERROR_INIT;
                int rc = policy_signatures_parse(cases[i].text, strlen(cases[i].text), &signatures,
                                                 &err);

                assert_int_equal(rc, cases[i].count < 0 ? -1 : 0);
                assert_int_equal(signatures.count, cases[i].count < 0 ? 0 : cases[i].count);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scopes),
                cmocka_unit_test(test_bad_policies),
                cmocka_unit_test(test_missing_key),
                cmocka_unit_test(test_kinds_of_keys),
                cmocka_unit_test(test_identities),
                cmocka_unit_test(test_wrong_signatures),
                cmocka_unit_test(test_signature_manifests),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
