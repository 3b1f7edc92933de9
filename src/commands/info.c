#include "commands/commands.h"

#include <string.h>

/* ENROOT_REGISTRY_PASSWORD: what info prints ends up in bug reports. */
static bool is_secret(const char *name)
{
        static const char suffix[] = "_PASSWORD";
        size_t length = strlen(name);

        return length >= strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

int command_info(const struct command_context *context, FILE *out, struct error *err)
{
        const struct config *config = context->config;

        (void)err;
        fprintf(out, "Enroot version: %s\n", ENROOT_VERSION);
        fprintf(out, "Config file: %s/enroot.conf\n", config->sysconf_path);
        fprintf(out, "\nEnvironment variables:\n");
        for (size_t i = 0; i < config->setting_count; i++) {
                const struct config_setting *setting = &config->settings[i];

                fprintf(out, "  %s=%s", setting->name,
                        is_secret(setting->name) ? "(not shown)" : setting->value);
                switch (setting->origin) {
                case CONFIG_DEFAULT:
                        break;
                case CONFIG_FILE:
                        fprintf(out, "  (%s)", setting->file);
                        break;
                case CONFIG_ENVIRONMENT:
                        fprintf(out, "  (environment)");
                        break;
                }
                fputc('\n', out);
        }
        return 0;
}
