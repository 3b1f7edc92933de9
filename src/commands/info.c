#include "commands/commands.h"

int command_info(const struct command_context *context, FILE *out, struct error *err)
{
        const struct config *config = context->config;

        (void)err;
        fprintf(out, "Enroot version: %s\n", ENROOT_VERSION);
        fprintf(out, "Config file: %s/enroot.conf\n", config->sysconf_path);
        fprintf(out, "\nEnvironment variables:\n");
        for (size_t i = 0; i < config->setting_count; i++) {
                const struct config_setting *setting = &config->settings[i];

                fprintf(out, "  %s=%s", setting->name, setting->value);
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
