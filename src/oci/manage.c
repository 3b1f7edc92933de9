/* pause, resume, update, ps: what is done through a container's cgroups. */
#include <errno.h>

#include "oci/cgroup.h"
#include "oci/container.h"

/* Open a container that has processes. Returns 0, or -1 with *err. */
static int open_alive(const char *root, const char *id, struct oci_state *state, struct error *err)
{
        auto_close int root_fd = oci_state_open(root, id, state, err);

        if (root_fd < 0)
                return -1;
        if (state->status == OCI_STOPPED || state->pid == 0)
                return error_set(err, ESRCH, "container %s is not running", id);
        return 0;
}

int oci_pause(const char *root, const char *id, bool paused, struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;

        if (open_alive(root, id, &state, err) < 0)
                return -1;
        if (paused ? state.status != OCI_RUNNING && state.status != OCI_CREATED
                   : state.status != OCI_PAUSED)
                return error_set(err, EINVAL, "container %s is %s: it cannot be %s", id,
                                 oci_status_names[state.status], paused ? "paused" : "resumed");
        return cgroups_freeze(&state.cgroups, paused, err) < 0
                       ? error_prefix(err, "container %s", id)
                       : 0;
}

int oci_update(const char *root, const char *id, const char *text, size_t length,
               struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;
        auto_oci_resources struct oci_resources resources = { .unified = STRLIST_INIT };

        if (oci_resources_parse(text, length, &resources, err) < 0)
                return error_prefix(err, "resources");
        if (open_alive(root, id, &state, err) < 0)
                return -1;
        if (state.cgroups.count == 0)
                return error_set(err, EOPNOTSUPP,
                                 "container %s: it has no cgroup whose limits could be changed: "
                                 "this user may make none (an administrator has to delegate one)",
                                 id);
        return cgroups_set(&state.cgroups, &resources, NULL, err) < 0
                       ? error_prefix(err, "container %s", id)
                       : 0;
}

int oci_processes(const char *root, const char *id, pid_t **ret, size_t *ret_count,
                  struct error *err)
{
        auto_oci_state struct oci_state state = OCI_STATE_INIT;

        if (open_alive(root, id, &state, err) < 0)
                return -1;
        if (state.cgroups.count > 0)
                return cgroups_processes(&state.cgroups, ret, ret_count, err);
        return state_find_processes(&state, ret, ret_count, err);
}
