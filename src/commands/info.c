#include "commands/commands.h"

#include <string.h>

#include "commands/print.h"
#include "util/json_writer.h"

/* ENROOT_REGISTRY_PASSWORD: what info prints ends up in bug reports. */
static bool is_secret(const char *name)
{
        static const char suffix[] = "_PASSWORD";
        size_t length = strlen(name);

        return length >= strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

static void print_text(const struct config *config, FILE *out)
{
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
}

static int print_json(const struct config *config, FILE *out, struct error *err)
{
        static const char *const origins[] = {
                [CONFIG_DEFAULT] = "default",
                [CONFIG_FILE] = "file",
                [CONFIG_ENVIRONMENT] = "environment",
        };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "version", ENROOT_VERSION);
        json_write_array(&writer, "settings");
        for (size_t i = 0; i < config->setting_count; i++) {
                const struct config_setting *setting = &config->settings[i];

                json_write_object(&writer, NULL);
                json_write_text(&writer, "name", setting->name);
                json_write_text(&writer, "value", is_secret(setting->name) ? NULL : setting->value);
                json_write_text(&writer, "origin", origins[setting->origin]);
                if (setting->origin == CONFIG_FILE)
                        json_write_text(&writer, "file", setting->file);
                json_write_end(&writer);
        }
        json_write_end(&writer);
        json_write_end(&writer);
        return print_result(&text, out, err);
}

int command_info(const struct command_context *context, bool json, FILE *out, struct error *err)
{
        if (json)
                return print_json(context->config, out, err);
        print_text(context->config, out);
        return 0;
}
