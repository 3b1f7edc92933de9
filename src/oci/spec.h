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

/* A text, of which an empty one is as none (NULL). */
int spec_label(const struct json_node *object, const char *key, char **ret, struct error *err);

/* The texts of an object: name, value, name, value … in the order of the names. */
int spec_pairs(const struct json_node *object, const char *key, struct strlist *ret,
               struct error *err);

/*
 * An integer between two bounds. Numbers of 2^53 and more are known to the nearest double
 * only; from UINT64_MAX less 1024 on they are UINT64_MAX. Returns 1; 0 when it is missing.
 */
int spec_unsigned(const struct json_node *object, const char *key, uint64_t max, uint64_t *ret,
                  struct error *err);
int spec_signed(const struct json_node *object, const char *key, int64_t min, int64_t max,
                int64_t *ret, struct error *err);

/* Words with the numbers that the kernel has for them. */
struct spec_word {
        const char *name;
        uint64_t value;
};

/* One of the words, which must be there; any of them, whose values are added to *ret. */
int spec_parse_word(const struct json_node *object, const char *key, const struct spec_word *words,
                    size_t count, uint64_t *ret, struct error *err);
int spec_parse_flags(const struct json_node *object, const char *key, const struct spec_word *words,
                     size_t count, uint64_t *ret, struct error *err);

/* "uidMappings", "gidMappings". Appends to *ret. (spec_linux.c) */
int spec_parse_map(const struct json_node *object, const char *key, struct id_map *ret,
                   struct error *err);

int spec_parse_schedule(const struct json_node *process, struct oci_process *ret,
                        struct error *err);
int spec_parse_personality(const struct json_node *linux_, struct oci_spec *ret,
                           struct error *err);
int spec_parse_process(const struct json_node *object, struct oci_process *ret, struct error *err);
int spec_parse_mounts(const struct json_node *root, const char *bundle, struct oci_spec *ret,
                      struct error *err);
int spec_parse_hooks(const struct json_node *root, struct oci_spec *ret, struct error *err);
int spec_parse_linux(const struct json_node *root, struct oci_spec *ret, struct error *err);

/* What nothing here does is appended to *ignored. */
int spec_parse_resources(const struct json_node *resources, struct oci_resources *ret,
                         struct strlist *ignored, struct error *err);
