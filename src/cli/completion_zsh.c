#include <string.h>

#include "cli/completion.h"

/* Inside '…': a quote ends the string, adds one, and goes on. */
#define QUOTE "'\\''"

/* What _arguments takes for ends of its fields. */
#define FIELD "\\:[]"

static const char head[] =
        "#compdef enroot\n"
        "# Completion of enroot for zsh, made by \"enroot completion zsh\".\n"
        "\n"
        "_enroot_containers() {\n"
        "        local expl\n"
        "        local -a names\n"
        "        names=(${(f)\"$(enroot list 2>/dev/null)\"})\n"
        "        _wanted containers expl container compadd -a names\n"
        "}\n"
        "\n"
        "_enroot_images() {\n"
        "        _files -g '*.sqsh(-.)'\n"
        "}\n"
        "\n"
        "_enroot_targets() {\n"
        "        _alternative 'containers:container:_enroot_containers' \\\n"
        "                'images:image file:_enroot_images'\n"
        "}\n"
        "\n"
        "_enroot() {\n"
        "        local curcontext=$curcontext state line\n"
        "        local -a commands\n"
        "\n"
        "        _arguments -C '1:command:->command' '*::argument:->rest' && return\n"
        "        if [[ $state == command ]]; then\n"
        "                commands=(\n";

static const char middle[] = "                )\n"
                             "                _describe command commands\n"
                             "                return\n"
                             "        fi\n"
                             "        case $words[1] in\n";

static const char tail[] =
        "        esac\n"
        "}\n"
        "\n"
        "# Loaded as a function of fpath it is called; sourced, it is announced.\n"
        "if [[ $funcstack[1] == _enroot ]]; then\n"
        "        _enroot \"$@\"\n"
        "else\n"
        "        compdef _enroot enroot\n"
        "fi\n";

static void print_description(const char *word, const char *summary, FILE *out)
{
        fprintf(out, "                '%s:", word);
        completion_quote(summary, FIELD, QUOTE, out);
        fprintf(out, "'\n");
}

static void print_word(const struct verb *verb, const char *word, bool group, FILE *out)
{
        print_description(word, group ? "" : verb->summary, out);
}

static void print_option(const struct option *option, void *context)
{
        struct completion_word word;
        FILE *out = context;

        completion_of_option(option, &word);
        fprintf(out, " \\\n                        ");
        if (option->type == OPTION_LIST)
                fprintf(out, "'*'");
        else if (option->letter)
                fprintf(out, "'(-%c --%s)'", option->letter, option->name);
        if (option->letter)
                fprintf(out, "{-%c,--%s%s}'[", option->letter, option->name,
                        option->argument ? "=" : "");
        else
                fprintf(out, "'--%s%s[", option->name, option->argument ? "=" : "");
        completion_quote(option->help, FIELD, QUOTE, out);
        fputc(']', out);
        if (option->argument) {
                fputc(':', out);
                completion_quote(option->argument, FIELD, QUOTE, out);
                fprintf(out, ":%s", word.file ? "_files" : "");
        }
        fputc('\'', out);
}

/* _arguments with the verb's options and its first word; what follows are files. */
static void print_arguments(const struct verb *verb, FILE *out)
{
        struct completion_word word;
        const char *action = "";

        completion_of_verb(verb, &word);
        if (word.container)
                action = word.image ? "_enroot_targets" : "_enroot_containers";
        else if (word.image)
                action = "_enroot_images";
        else if (word.file)
                action = "_files";
        fprintf(out, "                _arguments -S");
        option_table_each(verb->options, print_option, out);
        if (*word.choices)
                fprintf(out, " \\\n                        '1:word:(%s)'", word.choices);
        else if (*action)
                fprintf(out, " \\\n                        '%s:word:%s'", word.repeats ? "*" : "1",
                        action);
        if (verb->most < 0 && !word.repeats)
                fprintf(out, " \\\n                        '*:word:_files'");
        fprintf(out, "\n");
}

static void print_group_verbs(const char *word, FILE *out)
{
        size_t length = strlen(word);

        fprintf(out, "                if ((CURRENT == 2)); then\n"
                     "                commands=(\n");
        for (size_t i = 0; i < verb_count; i++)
                if (strncmp(verbs[i]->name, word, length) == 0 && verbs[i]->name[length] == ' ')
                        print_description(verbs[i]->name + length + 1, verbs[i]->summary, out);
        fprintf(out, "                )\n"
                     "                _describe command commands\n"
                     "                return\n"
                     "                fi\n"
                     "                shift words\n"
                     "                ((CURRENT--))\n"
                     "                case $words[1] in\n");
        for (size_t i = 0; i < verb_count; i++) {
                if (strncmp(verbs[i]->name, word, length) != 0 || verbs[i]->name[length] != ' ')
                        continue;
                fprintf(out, "                %s)\n", verbs[i]->name + length + 1);
                print_arguments(verbs[i], out);
                fprintf(out, "                ;;\n");
        }
        fprintf(out, "                esac\n");
}

static void print_verb(const struct verb *verb, const char *word, bool group, FILE *out)
{
        fprintf(out, "        %s)\n", word);
        if (group)
                print_group_verbs(word, out);
        else
                print_arguments(verb, out);
        fprintf(out, "                ;;\n");
}

void completion_print_zsh(FILE *out)
{
        fputs(head, out);
        completion_each_word(print_word, out);
        print_description("help", "Show the help.", out);
        fputs(middle, out);
        completion_each_word(print_verb, out);
        fputs(tail, out);
}
