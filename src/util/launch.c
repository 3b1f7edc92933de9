#include "util/launch.h"

#include <signal.h>
#include <spawn.h>

static void set_signals(posix_spawnattr_t *attributes)
{
        sigset_t defaults, unblocked;

        (void)sigemptyset(&unblocked);
        (void)sigemptyset(&defaults);
        (void)sigaddset(&defaults, SIGPIPE);
        (void)posix_spawnattr_setsigdefault(attributes, &defaults);
        (void)posix_spawnattr_setsigmask(attributes, &unblocked);
        (void)posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int add_descriptors(posix_spawn_file_actions_t *actions, const struct launch *launch)
{
        const int from[] = { launch->input, launch->output, launch->errors };
        int code = 0;

        for (int fd = 0; code == 0 && fd < 3; fd++)
                if (from[fd] >= 0)
                        code = posix_spawn_file_actions_adddup2(actions, from[fd], fd);
        return code;
}

int launch_program(const struct launch *launch, pid_t *ret)
{
        const struct strlist *environment = launch->environment;
        char *const none[] = { NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int code = posix_spawn_file_actions_init(&actions);

        if (code)
                return code;
        code = posix_spawnattr_init(&attributes);
        if (code) {
                (void)posix_spawn_file_actions_destroy(&actions);
                return code;
        }
        set_signals(&attributes);
        code = add_descriptors(&actions, launch);
        if (code == 0)
                code = posix_spawnp(ret, launch->argv[0], &actions, &attributes,
                                    (char *const *)launch->argv,
                                    environment && environment->items ? environment->items : none);
        (void)posix_spawnattr_destroy(&attributes);
        (void)posix_spawn_file_actions_destroy(&actions);
        return code;
}
