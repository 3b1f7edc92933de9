#include "cli/verb.h"

#include <string.h>

#include "util/cleanup.h"

const struct verb *const verbs[] = {
        &verb_create, &verb_import, &verb_info,   &verb_list,
        &verb_remove, &verb_start,  &verb_version,
};

const size_t verb_count = ARRAY_SIZE(verbs);

const struct verb *verb_find(const char *name)
{
        for (size_t i = 0; i < verb_count; i++)
                if (strcmp(verbs[i]->name, name) == 0)
                        return verbs[i];
        return NULL;
}
