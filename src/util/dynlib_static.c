/*
 * For static programs, in the place of dynlib.c: nothing is loaded, and what can be found
 * is linked with the program. That is libyaml; an import is no matter of such programs.
 */
#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/dynlib.h"

/* Only the addresses count here: yaml_json.c knows what they are. */
extern void yaml_parser_initialize(void), yaml_parser_set_input_string(void),
        yaml_parser_load(void), yaml_parser_delete(void), yaml_document_get_root_node(void),
        yaml_document_get_node(void), yaml_document_delete(void);

static const struct linked {
        const char *name;
        void (*function)(void);
} linked[] = {
        { "yaml_parser_initialize", yaml_parser_initialize },
        { "yaml_parser_set_input_string", yaml_parser_set_input_string },
        { "yaml_parser_load", yaml_parser_load },
        { "yaml_parser_delete", yaml_parser_delete },
        { "yaml_document_get_root_node", yaml_document_get_root_node },
        { "yaml_document_get_node", yaml_document_get_node },
        { "yaml_document_delete", yaml_document_delete },
};

static const struct linked *find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(linked); i++)
                if (strcmp(linked[i].name, name) == 0)
                        return &linked[i];
        return NULL;
}

int dynlib_load(const char *soname, const char *package, const struct dynlib_symbol *symbols,
                size_t count, struct error *err)
{
        (void)package;
        for (size_t i = 0; i < count; i++) {
                const struct linked *found = find(symbols[i].name);

                if (!found)
                        return error_set(err, ENOSYS, "%s is not part of this program", soname);
                *symbols[i].slot = (void *)found->function;
        }
        return 0;
}

int dynlib_need(struct dynlib *library, struct error *err)
{
        return dynlib_load(library->soname, library->package, library->symbols, library->count,
                           err);
}
