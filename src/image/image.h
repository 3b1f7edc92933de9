/*
 * image/: what a container image is called and what its documents say. Pure: no
 * files, no network.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/report.h"
#include "util/sha256.h"
#include "util/strbuf.h"
#include "util/strlist.h"

/* "sha256:" and 64 lower-case hex digits, with the NUL. */
#define IMAGE_DIGEST_SIZE (7 + SHA256_HEX_SIZE)

/* Limits on documents that a registry sends, in bytes and items. */
#define IMAGE_MANIFEST_LIMIT (4u << 20) /* as in containerd and the distribution specification */
#define IMAGE_CONFIG_LIMIT   (8u << 20)
#define IMAGE_LAYER_LIMIT    1024u
#define IMAGE_BLOB_LIMIT     (UINT64_C(1) << 44) /* 16 TiB: all layers together fit 64 bits */
#define IMAGE_NAME_LIMIT     255u /* bytes of a repository, a host or a user name */
#define IMAGE_TAG_LIMIT      128u /* as in the distribution specification */

/* Whether text is a well-formed sha256 digest. File names and URLs are built from digests. */
bool image_digest_valid(const char *text);

/* ---- references ---- */

/*
 * docker://[USER@][REGISTRY#]IMAGE[:TAG][@DIGEST], or the Docker form with
 * REGISTRY/IMAGE. Defaults are filled in; see enroot-import(1).
 */
struct image_reference {
        char *user;       /* NULL when none was given */
        char *registry;   /* host[:port]; "registry-1.docker.io" for Docker Hub */
        char *repository; /* "library/alpine" */
        char *tag;        /* never NULL; "latest" when none was given */
        bool tag_given;
        char *digest;     /* NULL unless pinned; then the tag does not count */
};

/* Parse a docker:// URI. Returns 0, or -1 with *err (EINVAL) naming what is wrong in it. */
int image_reference_parse(const char *uri, struct image_reference *ret, struct error *err);
void image_reference_release(struct image_reference *ref);
#define auto_image_reference auto_cleanup(image_reference_release)

/* "alpine+latest.sqsh": '/' becomes '+'; the tag only when one was given. malloc'd, or NULL. */
char *image_reference_file_name(const struct image_reference *ref);

/* Whether two names mean the same image: "alpine" and "docker.io/library/alpine:latest" do. */
bool image_names_equal(const char *one, const char *other);

/* Append HOST/REPOSITORY as people and files write it: "docker.io/library/alpine". 0, or -1. */
int image_reference_name(const struct image_reference *ref, struct strbuf *name);

/* The canonical URI for provenance: docker://REGISTRY#REPOSITORY:TAG or …@DIGEST. malloc'd. */
char *image_reference_uri(const struct image_reference *ref);

/* ---- platforms ---- */

struct image_platform {
        char architecture[16]; /* as in Go: amd64, arm64, arm, ppc64le, s390x, riscv64, 386 … */
        char variant[8];       /* "v7", "v8"; "" when it does not matter */
};

/*
 * From an --arch word (Debian's, the kernel's or Go's name, "/variant" allowed),
 * or from this machine when word is NULL. Returns 0, or -1 with *err (EINVAL).
 */
int image_platform_parse(const char *word, struct image_platform *ret, struct error *err);

/* ---- manifests ---- */

struct image_descriptor {
        char digest[IMAGE_DIGEST_SIZE];
        char *media_type; /* may be NULL */
        uint64_t size;    /* bytes */
};

struct image_manifest {
        struct image_descriptor config;
        struct image_descriptor *layers; /* bottom first, as in the document */
        size_t layer_count;
};

enum image_document {
        IMAGE_DOCUMENT_MANIFEST, /* OCI or Docker v2 schema 2 */
        IMAGE_DOCUMENT_INDEX,    /* OCI index or Docker manifest list */
};

/*
 * What a document is, from its content; the media_type of the response (NULL when
 * unknown) must agree with it (CVE-2021-41190: a document that is both is
 * refused). Schema 1 is refused with an explanation (EPROTONOSUPPORT).
 */
int image_document_type(const char *text, size_t length, const char *media_type,
                        enum image_document *ret, struct error *err);

/*
 * Choose the manifest for a platform out of an index. Attestations ("unknown"
 * platform) are never chosen; among variants an exact match comes first, then
 * the highest one not above what was asked for. ENOENT with the list of the
 * platforms that there are.
 */
int image_index_select(const char *text, size_t length, const struct image_platform *platform,
                       struct image_descriptor *ret, struct error *err);

/*
 * The same for the index.json of an OCI image layout, whose entries have names.
 *
 * name      "latest", or a whole reference; NULL: the only name that there is
 * ret_name  of the entry, malloc'd; NULL when it has none
 *
 * Also an ENOENT, with the names that there are: no such name, or no name given
 * where there are several.
 */
int image_layout_select(const char *text, size_t length, const char *name,
                        const struct image_platform *platform, struct image_descriptor *ret,
                        char **ret_name, struct error *err);
int image_manifest_parse(const char *text, size_t length, struct image_manifest *ret,
                         struct error *err);
void image_descriptor_release(struct image_descriptor *descriptor);
void image_manifest_release(struct image_manifest *manifest);
#define auto_image_descriptor auto_cleanup(image_descriptor_release)
#define auto_image_manifest   auto_cleanup(image_manifest_release)

/* ---- archives of "docker save" ---- */

/* An image of an archive. Paths are members of the archive, as the document has them: untrusted. */
struct image_saved {
        char *name;            /* the one asked for, else its first; NULL when it has none */
        char *config;          /* path of the configuration */
        struct strlist layers; /* paths, bottom first */
};

/*
 * Choose an image out of manifest.json, an archive's table of contents.
 *
 * name  compared as references ("alpine" is "docker.io/library/alpine:latest");
 *       NULL: the only image that there is
 *
 * ENOENT with the names that there are when none fits, or when there are several
 * and no name was given.
 */
int image_saved_select(const char *text, size_t length, const char *name, struct image_saved *ret,
                       struct error *err);
void image_saved_release(struct image_saved *saved);
#define auto_image_saved auto_cleanup(image_saved_release)

/* Docker before 1.10 named a layer by 64 random hex digits; with the NUL. */
#define IMAGE_V1_ID_SIZE SHA256_HEX_SIZE
bool image_v1_id_valid(const char *text);

/* The same for the file "repositories" of such archives: the top layer of an image. */
int image_repositories_select(const char *text, size_t length, const char *name, char **ret_name,
                              char ret_id[IMAGE_V1_ID_SIZE], struct error *err);

/* The layer below, from a layer's file "json"; "" for the lowest. 0, or -1 with *err. */
int image_v1_parent(const char *text, size_t length, char ret_id[IMAGE_V1_ID_SIZE],
                    struct error *err);

/* ---- configuration ---- */

struct image_label {
        char *key, *value;
};

struct image_config {
        char *architecture, *variant, *os; /* may be NULL */
        struct strlist env;                /* "KEY=VALUE" */
        struct strlist entrypoint, cmd;
        struct strlist volumes; /* sorted */
        struct strlist diff_ids; /* digests of the uncompressed layers, bottom first; not checked */
        char *working_dir;      /* NULL when none */
        char *user;             /* NULL when none */
        struct image_label *labels; /* sorted by key */
        size_t label_count;
};

int image_config_parse(const char *text, size_t length, struct image_config *ret,
                       struct error *err);
void image_config_release(struct image_config *config);
#define auto_image_config auto_cleanup(image_config_release)

/* 0 when the image is for the platform, or says nothing; -1 with *err (ENOEXEC) naming both. */
int image_config_check_platform(const struct image_config *config,
                                const struct image_platform *platform, struct error *err);

/*
 * The files that an import writes into the image. Values come from the image and
 * are untrusted: control characters of labels and environment values become blanks,
 * so that they cannot start a line of their own (the format of /etc/environment has
 * no escape for a newline); words of rc are quoted for the shell; volumes lose their
 * ".." and are escaped. Each appends to *text; 0, or -1 with *err.
 */
int image_write_rc(const struct image_config *config, const char *provenance,
                   struct strbuf *text, struct error *err);        /* /etc/rc */
int image_write_rc_local(struct strbuf *text, struct error *err);  /* /etc/rc.local */
int image_write_fstab(const struct image_config *config, struct strbuf *text,
                      struct error *err);                          /* /etc/fstab */
int image_write_environment(const struct image_config *config, struct strbuf *text,
                            struct error *err);                    /* /etc/environment */

/* ---- what an import records in the image ---- */

/* Below the rootfs; kept by create, export and bundle. */
#define IMAGE_RECORD_PATH  "etc/enroot-image.json"
#define IMAGE_RECORD_LIMIT (IMAGE_CONFIG_LIMIT + (1u << 20)) /* bytes */

/*
 * Where an image file or a container came from: what "start" needs when the image
 * has no shell, and "inspect", "list", "export" and "import --ensure" tell from.
 */
struct image_record {
        char *provenance;               /* canonical URI */
        char digest[IMAGE_DIGEST_SIZE]; /* of the manifest; of the configuration where a
                                           source has no manifest; "" when unknown */
        struct image_descriptor *layers; /* bottom first, as the source stored them */
        size_t layer_count;
        char *config; /* the image's configuration, a JSON object; NULL when it has none */
};

void image_record_release(struct image_record *record);
#define auto_image_record auto_cleanup(image_record_release)

/* Append the record as a JSON document. config must have been parsed before. 0, or -1 with *err. */
int image_record_write(const struct image_record *record, struct strbuf *text, struct error *err);

/* The opposite; the document may have been changed by whoever changes the image. */
int image_record_parse(const char *text, size_t length, struct image_record *ret,
                       struct error *err);

/* ---- OCI documents that an export writes ---- */

#define IMAGE_OCI_LAYOUT   "{\"imageLayoutVersion\":\"1.0.0\"}"
#define IMAGE_OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define IMAGE_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_OCI_LAYER    "application/vnd.oci.image.layer.v1.tar" /* + "+gzip", "+zstd" */

/*
 * The configuration of an image of one layer.
 *
 * original  the configuration that the container was imported with, whose settings are
 *           kept; NULL for one that is known from
 * known     its environment, entry point, command; the architecture is for both
 * created   seconds since the epoch
 *
 * Here and below, what is written is appended to *text; 0, or -1 with *err.
 */
int image_oci_write_config(const char *original, const struct image_config *known,
                           const char *diff_id, int64_t created, struct strbuf *text,
                           struct error *err);
int image_oci_write_manifest(const struct image_descriptor *config,
                             const struct image_descriptor *layer, struct strbuf *text,
                             struct error *err);

/*
 * The index of a layout with an image more.
 *
 * old       the index that there is, or NULL
 * manifest  NULL only checks that the tag is free
 * replace   whether what has the tag already goes; else it is an error (EEXIST)
 */
int image_oci_write_index(const char *old, size_t old_length,
                          const struct image_descriptor *manifest, const char *tag, bool replace,
                          struct strbuf *text, struct error *err);

/* ---- small JSON documents of the registry protocol ---- */

/*
 * The token of a token server's answer: "token", else "access_token". malloc'd.
 * ret_expires_in is in seconds (60 when absent, as the specification says).
 */
char *image_parse_token(const char *text, size_t length, int64_t *ret_expires_in,
                        struct error *err);

/*
 * The first error of a registry's {"errors":[…]}, or the one of a container engine's
 * {"message":…}, as "CODE: message". malloc'd; NULL if none.
 */
char *image_parse_registry_error(const char *text, size_t length);
