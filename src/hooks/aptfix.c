/*
 * 10-aptfix: APT drops privileges to the user _apt for downloads, which cannot work
 * where only one id is mapped.
 */
#include <string.h>

#include "hooks/builtin.h"

#define APT_FILE "/etc/apt/apt.conf.d/enroot"
#define APT_TEXT "APT::Sandbox::User \"root\";\n"

int hook_aptfix(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_strbuf struct strbuf buffer = STRBUF_INIT;
        const char *old;

        if (!context->config->remap_root || context->all_ids ||
            !root_view_exists(context->view, "/etc/debian_version"))
                return 0;
        if (change_read(context->view, APT_FILE, &buffer, &old, err) < 0)
                return change_tolerate(context->report, err);
        if (change_list_add_file(&plan->changes, APT_FILE, old, buffer.length, APT_TEXT,
                                 strlen(APT_TEXT)) < 0)
                return error_no_memory(err);
        return 0;
}
