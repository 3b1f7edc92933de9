/* Image references: whatever is accepted is safe in a URL and a file name, and parses again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/image.h"

static void check(const struct image_reference *ref)
{
        auto_image_reference struct image_reference again = { .user = NULL };
        auto_free char *file = image_reference_file_name(ref);
        auto_free char *uri = image_reference_uri(ref);
        struct error err = ERROR_INIT;

        if (!file || strchr(file, '/') || file[0] == '.' || strstr(ref->repository, "..") ||
            strpbrk(ref->registry, "/@?#% \n"))
                abort();
        if (!uri || image_reference_parse(uri, &again, &err) < 0 ||
            strcmp(again.repository, ref->repository) != 0 ||
            strcmp(again.registry, ref->registry) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        auto_strbuf struct strbuf uri = STRBUF_INIT;
        struct error err = ERROR_INIT;

        strbuf_append(&uri, "docker://");
        strbuf_append_mem(&uri, data, size);
        if (image_reference_parse(strbuf_text(&uri), &ref, &err) == 0)
                check(&ref);
        return 0;
}
