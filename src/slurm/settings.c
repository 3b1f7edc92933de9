#include "slurm/settings.h"

#include <slurm/spank.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

int settings_parse_bool(const char *word)
{
        static const char *const yes[] = { "1", "true", "yes", "y" };
        static const char *const no[] = { "0", "false", "no", "n" };

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcmp(word, yes[i]) == 0)
                        return 1;
                if (strcmp(word, no[i]) == 0)
                        return 0;
        }
        return -1;
}

static int parse_flag(const char *name, const char *value, bool *ret)
{
        int flag = settings_parse_bool(value);

        if (flag < 0) {
                slurm_error("pyxis: %s: invalid value: %s", name, value);
                return -1;
        }
        *ret = flag > 0;
        return 0;
}

static int parse_scope(const char *value, bool *ret)
{
        *ret = strcmp(value, "job") == 0;
        if (*ret || strcmp(value, "global") == 0)
                return 0;
        slurm_error("pyxis: container_scope: invalid value: %s", value);
        return -1;
}

static int parse_ports(const char *value, char ret[SETTINGS_PORTS_SIZE])
{
        unsigned int first = 0, last = 0;

        if (sscanf(value, "%5u-%5u", &first, &last) == 2 && first > 0 && first <= last &&
            last <= UINT16_MAX) {
                (void)snprintf(ret, SETTINGS_PORTS_SIZE, "%u-%u", first, last);
                return 0;
        }
        slurm_error("pyxis: transfer_ports: not a range of ports (61000-61999): %s", value);
        return -1;
}

static int parse_path(const char *name, const char *value, char ret[PATH_MAX])
{
        if (*value == '/' && snprintf(ret, PATH_MAX, "%s", value) < PATH_MAX)
                return 0;
        slurm_error("pyxis: %s: not an absolute path: %s", name, value);
        return -1;
}

static int parse_one(struct settings *settings, const char *word)
{
        const struct {
                const char *name;
                bool *flag;
        } flags[] = {
                { "execute_entrypoint", &settings->execute_entrypoint },
                { "sbatch_support", &settings->sbatch_support },
                { "transfer", &settings->transfer },
                { "use_enroot_load", &settings->use_enroot_load },
                { "use_squashfuse", &settings->use_squashfuse },
        };
        const char *equals = strchr(word, '=');
        size_t length = equals ? (size_t)(equals - word) : 0;

        if (equals && strncmp(word, "runtime_path=", length + 1) == 0)
                return parse_path("runtime_path", equals + 1, settings->runtime_path);
        if (equals && strncmp(word, "enroot=", length + 1) == 0)
                return parse_path("enroot", equals + 1, settings->enroot);
        if (equals && strncmp(word, "transfer_ports=", length + 1) == 0)
                return parse_ports(equals + 1, settings->transfer_ports);
        if (equals && strncmp(word, "importer=", length + 1) == 0)
                return parse_path("importer", equals + 1, settings->importer);
        if (equals && strncmp(word, "container_scope=", length + 1) == 0)
                return parse_scope(equals + 1, &settings->job_scope);
        for (size_t i = 0; equals && i < ARRAY_SIZE(flags); i++)
                if (strlen(flags[i].name) == length && strncmp(word, flags[i].name, length) == 0)
                        return parse_flag(flags[i].name, equals + 1, flags[i].flag);
        slurm_error("pyxis: unknown configuration option: %s", word);
        return -1;
}

int settings_parse(struct settings *ret, int argc, char **argv)
{
        *ret = (struct settings){
                .runtime_path = "/run/pyxis",
                .sbatch_support = true,
                /* Beyond the ports that Linux gives to outgoing connections. */
                .transfer_ports = "61000-65535",
                .transfer = true,
                /* Unlike Pyxis: to start from the image is the fast way. */
                .use_squashfuse = true,
        };
        for (int i = 0; i < argc; i++)
                if (parse_one(ret, argv[i]) < 0)
                        return -1;
        return 0;
}
