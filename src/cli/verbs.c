#include "cli/verb.h"

#include <string.h>

#include "util/cleanup.h"

const struct verb *const verbs[] = {
        &verb_batch,
        &verb_bundle,
        &verb_cache_gc,
        &verb_cache_list,
        &verb_cache_remove,
        &verb_cache_verify,
        &verb_check,
        &verb_completion,
        &verb_create,
        &verb_devices_cdi,
        &verb_devices_doctor,
        &verb_devices_list,
        &verb_digest,
        &verb_exec,
        &verb_export,
        &verb_import,
        &verb_info,
        &verb_inspect,
        &verb_list,
        &verb_load,
        &verb_oci_bundle,
        &verb_oci_create,
        &verb_oci_delete,
        &verb_oci_events,
        &verb_oci_exec,
        &verb_oci_features,
        &verb_oci_kill,
        &verb_oci_list,
        &verb_oci_pause,
        &verb_oci_ps,
        &verb_oci_resume,
        &verb_oci_run,
        &verb_oci_start,
        &verb_oci_state,
        &verb_oci_update,
        &verb_remove,
        &verb_run,
        &verb_start,
        &verb_version,
};

const size_t verb_count = ARRAY_SIZE(verbs);

/* How many words the command line and the name share, if that is all of the name; else 0. */
static int match(const char *name, int argc, char *const *argv)
{
        for (int i = 0; i < argc; i++) {
                size_t length = strcspn(name, " ");

                if (strncmp(name, argv[i], length) != 0 || argv[i][length] != '\0')
                        return 0;
                if (name[length] == '\0')
                        return i + 1;
                name += length + 1;
        }
        return 0;
}

const struct verb *verb_find(int argc, char *const *argv, int *ret_count)
{
        for (size_t i = 0; i < verb_count; i++) {
                *ret_count = match(verbs[i]->name, argc, argv);
                if (*ret_count > 0)
                        return verbs[i];
        }
        return NULL;
}
