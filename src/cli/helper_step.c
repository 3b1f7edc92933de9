/*
 * enroot-step: what the Slurm plugin has done by this program. Not for people: its options
 * go with the plugin of the same version.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/helper.h"
#include "cli/verb.h"
#include "commands/commands.h"

static struct {
        struct step_arguments step;
        const char *rule, *tasks, *node, *nodes, *clean;
        bool named;
        struct strlist mounts, env;
} values;

static const struct option options[] = {
        { 0, "image", "IMAGE", "What is started", OPTION_TEXT, &values.step.image },
        { 0, "name", "NAME", "The container's name", OPTION_TEXT, &values.step.name },
        { 0, "job", "JOB", "The job's number", OPTION_TEXT, &values.step.job },
        { 0, "rule", "RULE", "auto, create, exec or no_exec", OPTION_TEXT, &values.rule },
        { 0, "temporary", NULL, "Remove the container at the end", OPTION_FLAG,
          &values.step.temporary },
        { 0, "extract", NULL, "Make a container of the image", OPTION_FLAG, &values.step.extract },
        { 0, "load", NULL, "Make it without an image in between", OPTION_FLAG, &values.step.load },
        { 0, "importer", "PATH", "The site's program that gets images", OPTION_TEXT,
          &values.step.importer },
        { 0, "entrypoint", NULL, "Run the image's /etc/rc", OPTION_FLAG, &values.step.entrypoint },
        { 0, "entrypoint-log", NULL, "Tell what that prints", OPTION_FLAG,
          &values.step.entrypoint_log },
        { 0, "announce", NULL, "Tell that an import begins", OPTION_FLAG, &values.step.announce },
        { 0, "save", "PATH", "Export the container at the end", OPTION_TEXT, &values.step.save },
        { 0, "directory", "DIR", "Working directory inside", OPTION_TEXT, &values.step.directory },
        { 0, "tasks", "N", "Tasks on this node", OPTION_TEXT, &values.tasks },
        { 0, "step", "JOB.STEP", "Which step it is", OPTION_TEXT, &values.step.step },
        { 0, "node", "I", "Which of the step's nodes this is", OPTION_TEXT, &values.node },
        { 0, "nodes", "N", "How many nodes the step has", OPTION_TEXT, &values.nodes },
        { 0, "ports", "A-B", "Pass images on to the other nodes at one of these", OPTION_TEXT,
          &values.step.ports },
        { 0, "mount", "FSTAB", "As of \"enroot start\"", OPTION_LIST, &values.mounts },
        { 0, "env", "NAME", "A variable that the image does not override", OPTION_LIST,
          &values.env },
        { 0, "clean", "JOB", "Only remove what steps of a job have left", OPTION_TEXT,
          &values.clean },
        { 0, "named", NULL, "Names are those of a job, and go with it", OPTION_FLAG,
          &values.named },
        HELP_OPTION,
        END_OPTION,
};

static int parse_rule(const char *word, enum step_name_rule *ret, struct error *err)
{
        static const char *const names[] = {
                [STEP_NAME_AUTO] = "auto",
                [STEP_NAME_CREATE] = "create",
                [STEP_NAME_EXEC] = "exec",
                [STEP_NAME_NO_EXEC] = "no_exec",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (word && strcmp(word, names[i]) != 0)
                        continue;
                *ret = (enum step_name_rule)i;
                return 0;
        }
        return error_set(err, EINVAL, "--rule %s: auto, create, exec or no_exec", word);
}

static unsigned int parse_number(const char *word, unsigned int missing)
{
        return word ? (unsigned int)strtoul(word, NULL, 10) : missing;
}

static int clean(char **environment, struct report *report, struct error *err)
{
        auto_config struct config config = { 0 };
        const struct command_context context = { .config = &config, .report = report };

        if (config_load(&config, environment, err) < 0)
                return -1;
        return command_step_clean(&context, values.clean, values.named, err);
}

/* The control socket is the standard input, where no child may find it. */
static int take_control(struct error *err)
{
        auto_close int control = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (control < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0)
                return error_errno(err, "standard input");
        return TAKE_FD(control);
}

static int run(char **words, char **environment, struct report *report, struct error *err)
{
        int control, result;

        (void)words;
        if (values.clean)
                return clean(environment, report, err);
        if (!values.step.name || parse_rule(values.rule, &values.step.rule, err) < 0)
                return values.step.name ? -1 : error_set(err, EINVAL, "--name is missing");
        values.step.job_scope = values.named;
        values.step.tasks = parse_number(values.tasks, 1);
        values.step.node = parse_number(values.node, 0);
        values.step.node_count = parse_number(values.nodes, 1);
        values.step.mounts = &values.mounts;
        values.step.env = &values.env;
        control = take_control(err);
        if (control < 0)
                return -1;
        result = command_step(&values.step, control, environment, err);
        strlist_release(&values.mounts);
        strlist_release(&values.env);
        return result;
}

const struct helper helper_step = {
        .name = "enroot-step",
        .words = "",
        .summary = "Hold the container of a Slurm step, for the plugin spank_enroot.so.",
        .options = options,
        .enters = true,
        .run = run,
};
