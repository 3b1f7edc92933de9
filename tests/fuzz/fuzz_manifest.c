/* Everything that arrives as JSON, and the files made of an image's configuration. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/image.h"

/* Each volume is one line, and each line is one of ours. */
static void check_fstab(const struct strbuf *text)
{
        for (const char *line = strbuf_text(text); *line; line = strchr(line, '\n') + 1)
                if (strncmp(line, "${ENROOT_ROOTFS}/", 17) != 0 || !strchr(line, '\n'))
                        abort();
}

static void write_files(const struct image_config *config)
{
        auto_strbuf struct strbuf rc = STRBUF_INIT, fstab = STRBUF_INIT, environment = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)image_write_rc(config, "docker://example.org#a:b", &rc, &err);
        (void)image_write_environment(config, &environment, &err);
        if (image_write_fstab(config, &fstab, &err) == 0)
                check_fstab(&fstab);
}

/* What an export makes of a layout's index and of a recorded configuration. */
static void write_oci(const char *text, size_t size)
{
        const struct image_descriptor manifest = { .digest = "sha256:", .size = 1 };
        const struct image_config known = { .architecture = NULL };
        auto_strbuf struct strbuf index = STRBUF_INIT, config = STRBUF_INIT;
        auto_free char *copy = strndup(text, size);
        struct error err = ERROR_INIT;

        (void)image_oci_write_index(text, size, &manifest, "tag", true, &index, &err);
        if (copy)
                (void)image_oci_write_config(copy, &known, "sha256:", 0, &config, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct image_platform platform = { "arm", "v7" };
        auto_image_descriptor struct image_descriptor descriptor = { .media_type = NULL };
        auto_image_manifest struct image_manifest manifest = { .layers = NULL };
        auto_image_config struct image_config config = { .os = NULL };
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_free char *message = NULL, *token = NULL;
        const char *text = (const char *)data;
        struct error err = ERROR_INIT;
        enum image_document type;
        int64_t seconds;

        (void)image_document_type(text, size, NULL, &type, &err);
        (void)image_index_select(text, size, &platform, &descriptor, &err);
        (void)image_manifest_parse(text, size, &manifest, &err);
        (void)image_record_parse(text, size, &record, &err);
        write_oci(text, size);
        message = image_parse_registry_error(text, size);
        token = image_parse_token(text, size, &seconds, &err);
        if (image_config_parse(text, size, &config, &err) == 0) {
                (void)image_config_check_platform(&config, &platform, &err);
                write_files(&config);
        }
        return 0;
}
