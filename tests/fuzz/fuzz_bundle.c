/* What stands between the program and the image of a bundle: what is read is written again. */
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_bundle struct bundle bundle = BUNDLE_INIT, again = BUNDLE_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        uint64_t runtime_size;

        (void)bundle_runtime_size(data, size, &runtime_size, &err);
        if (bundle_decode(data, size, &bundle, &err) < 0)
                return 0;
        if (bundle_encode(&bundle, 0, &text, &err) < 0 ||
            bundle_decode(text.data, text.length, &again, &err) < 0 ||
            again.file_count != bundle.file_count ||
            again.settings.count != bundle.settings.count ||
            strcmp(again.description, bundle.description) != 0)
                abort();
        return 0;
}
