/*
 * srun. It makes the secret with which the nodes of its steps know each other (relay/): a
 * variable of the job's environment, which slurmstepd takes out again before there are tasks.
 * There is no other way from here to there that other users cannot see: arguments are in /proc
 * for all, and a plugin's options are what the user has typed. "SLURM_" passes --export=NONE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "slurm/contexts.h"
#include "slurm/options.h"
#include "slurm/settings.h"
#include "slurm/submission.h"
#include "step/step.h"
#include "util/sha256.h"

static bool transfer;

int local_init(spank_t spank, int argc, char **argv)
{
        struct settings settings;

        if (settings_parse(&settings, argc, argv) < 0)
                return -1;
        transfer = settings.transfer;
        submission_begin(&settings);
        return options_register(spank);
}

/* Without one, each node imports by itself. */
static void make_secret(void)
{
        unsigned char random[STEP_SECRET_BYTES];
        char hex[SHA256_HEX_SIZE], text[STEP_SECRET_SIZE];

        if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
                return;
        sha256_print(random, hex);
        (void)snprintf(text, sizeof(text), "%s%s", hex,
                       isatty(STDERR_FILENO) ? STEP_TERMINAL : "");
        (void)setenv(STEP_SECRET_VARIABLE, text, 1);
}

int local_post_opt(spank_t spank)
{
        if (options_complete(spank) < 0)
                return -1;
        if (transfer && options_enabled())
                make_secret();
        return 0;
}
