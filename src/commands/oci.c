/*
 * What "oci state", "oci list" and "oci features" print. The other commands of "oci" are
 * functions of oci/ as they are.
 */
#include <errno.h>

#include "commands/commands.h"
#include "commands/print.h"
#include "oci/oci.h"
#include "util/json_writer.h"

int command_oci_features(FILE *out, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        return oci_features(&text, err) < 0 ? -1 : print_result(&text, out, err);
}

int command_oci_state(const char *root, const char *id, FILE *out, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        auto_close int root_fd = oci_state_open(root, id, &state, err);
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (root_fd < 0 || oci_state_print(&state, true, &text, err) < 0)
                return -1;
        return print_result(&text, out, err);
}

static int add_row(const struct oci_state *state, struct strbuf *text, struct error *err)
{
        int pid = state->status == OCI_STOPPED ? 0 : state->pid;

        if (strbuf_printf(text, "%-24s %-8d %-9s %-32s %-21s %s\n", state->id, pid,
                          oci_status_names[state->status], state->bundle ? state->bundle : "",
                          state->created ? state->created : "",
                          state->owner ? state->owner : "") < 0)
                return error_no_memory(err);
        return 0;
}

static int add_item(const struct oci_state *state, struct json_writer *writer, struct error *err)
{
        auto_strbuf struct strbuf item = STRBUF_INIT;

        if (oci_state_print(state, true, &item, err) < 0)
                return -1;
        strbuf_truncate(&item, item.length - 1); /* its newline */
        json_write_raw(writer, NULL, strbuf_text(&item));
        return 0;
}

int command_oci_list(const char *root, enum list_format format, FILE *out, struct error *err)
{
        auto_close int root_fd = oci_root_find(root, err);
        auto_strlist struct strlist ids = STRLIST_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        if (root_fd < 0 && err->code != ENOENT)
                return -1;
        if (root_fd >= 0 && oci_state_ids(root_fd, &ids, err) < 0)
                return -1;
        *err = (struct error)ERROR_INIT;
        if (format == LIST_JSON)
                json_write_array(&writer, NULL);
        else if (format == LIST_FANCY)
                (void)strbuf_printf(&text, "%-24s %-8s %-9s %-32s %-21s %s\n", "ID", "PID",
                                    "STATUS", "BUNDLE", "CREATED", "OWNER");
        for (size_t i = 0; i < ids.count; i++) {
                auto_oci_state struct oci_state state = OCI_STATE_INIT;
                int result = 0;

                if (oci_state_load(root_fd, ids.items[i], &state, err) < 0) {
                        /* Deleted meanwhile, or what a killed creation left. */
                        if (err->code != ENOENT)
                                return -1;
                        continue;
                }
                if (format == LIST_JSON)
                        result = add_item(&state, &writer, err);
                else if (format == LIST_FANCY)
                        result = add_row(&state, &text, err);
                else
                        (void)strbuf_printf(&text, "%s\n", state.id);
                if (result < 0)
                        return -1;
        }
        if (format == LIST_JSON)
                json_write_end(&writer);
        return print_result(&text, out, err);
}
