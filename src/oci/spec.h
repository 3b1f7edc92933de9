/* The parts of the parser of config.json. Pure; private to oci/. */
#pragma once

#include "oci/oci.h"

/* Members of an object (NULL has none), with errors that name them. Each 0, or -1 with *err. */
int spec_object(const struct json_node *object, const char *key, const struct json_node **ret,
                struct error *err);
int spec_array(const struct json_node *object, const char *key, const struct json_node **ret,
               struct error *err);
int spec_text(const struct json_node *object, const char *key, char **ret, struct error *err);
int spec_bool(const struct json_node *object, const char *key, bool *ret, struct error *err);
int spec_strings(const struct json_node *object, const char *key, struct strlist *ret,
                 struct error *err);

/*
 * An integer between two bounds. Numbers of 2^53 and more are known to the nearest double
 * only; from UINT64_MAX less 1024 on they are UINT64_MAX. Returns 1; 0 when it is missing.
 */
int spec_unsigned(const struct json_node *object, const char *key, uint64_t max, uint64_t *ret,
                  struct error *err);
int spec_signed(const struct json_node *object, const char *key, int64_t min, int64_t max,
                int64_t *ret, struct error *err);

int spec_parse_process(const struct json_node *object, struct oci_process *ret, struct error *err);
int spec_parse_mounts(const struct json_node *root, const char *bundle, struct oci_spec *ret,
                      struct error *err);
int spec_parse_hooks(const struct json_node *root, struct oci_spec *ret, struct error *err);
int spec_parse_linux(const struct json_node *root, struct oci_spec *ret, struct error *err);
int spec_parse_resources(const struct json_node *resources, struct oci_spec *ret,
                         struct error *err);
