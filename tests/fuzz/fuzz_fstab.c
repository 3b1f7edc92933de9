/* fstab text and --mount words: a plan that is accepted prints as the same plan. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "mount/mount.h"

static void check(const struct mount_plan *plan)
{
        for (size_t i = 0; i < plan->count; i++) {
                auto_mount_plan struct mount_plan again = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf once = STRBUF_INIT, twice = STRBUF_INIT;
                struct error err = ERROR_INIT;

                if (plan->entries[i].target[0] != '/' || strstr(plan->entries[i].target, "/../"))
                        abort();
                if (mount_entry_print(&plan->entries[i], &once) < 0 ||
                    mount_plan_add_fstab(&again, once.data, once.length, "printed", NULL, &err) <
                            0 ||
                    again.count != 1 || mount_entry_print(&again.entries[0], &twice) < 0 ||
                    strcmp(once.data, twice.data) != 0)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        auto_strlist struct strlist env = STRLIST_INIT;
        auto_free char *word = strndup((const char *)data, size);
        struct error err = ERROR_INIT;

        (void)strlist_append(&env, "A=x y\nz");
        (void)mount_plan_add_fstab(&plan, (const char *)data, size, "fuzz", &env, &err);
        if (word)
                (void)mount_plan_add_word(&plan, word, &err);
        check(&plan);
        return 0;
}
