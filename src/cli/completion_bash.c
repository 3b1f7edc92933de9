#include <string.h>

#include "cli/completion.h"

/*
 * Works without the bash-completion package. Names of containers never go through
 * "compgen -W", which expands them as the shell would.
 */
static const char head[] =
        "# Completion of enroot for bash, made by \"enroot completion bash\".\n"
        "\n"
        "_enroot_files()\n"
        "{\n"
        "        compopt -o filenames 2>/dev/null\n"
        "        mapfile -t COMPREPLY < <(compgen -f -- \"$1\")\n"
        "}\n"
        "\n"
        "_enroot_images()\n"
        "{\n"
        "        compopt -o filenames 2>/dev/null\n"
        "        mapfile -t COMPREPLY < <(compgen -f -X '!*.sqsh' -- \"$1\"; compgen -d -- "
        "\"$1\")\n"
        "}\n"
        "\n"
        "_enroot_containers()\n"
        "{\n"
        "        local name\n"
        "\n"
        "        while IFS= read -r name; do\n"
        "                [[ $name == \"$1\"* ]] && COMPREPLY+=(\"$name\")\n"
        "        done < <(enroot list 2>/dev/null)\n"
        "}\n"
        "\n"
        "_enroot()\n"
        "{\n"
        "        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
        "        local verb=${COMP_WORDS[1]} first=2 taken=0 i\n"
        "        # Of the verb: options, those with a value, those with a file for it; its first "
        "word:\n"
        "        # kinds, choices; whether further words are of that kind, or any.\n"
        "        local options valued files kinds choices repeats more\n"
        "\n"
        "        COMPREPLY=()\n";

static const char tail[] =
        "        # \"--option=value\" comes as three words.\n"
        "        [[ $current == \"=\" ]] && current=\n"
        "        [[ $previous == \"=\" ]] && previous=${COMP_WORDS[COMP_CWORD-2]}\n"
        "        if [[ \" $valued \" == *\" $previous \"* ]]; then\n"
        "                [[ \" $files \" == *\" $previous \"* ]] && _enroot_files \"$current\"\n"
        "                return\n"
        "        fi\n"
        "        for ((i = first; i < COMP_CWORD; i++)); do\n"
        "                if [[ \" $valued \" == *\" ${COMP_WORDS[i]} \"* ]]; then\n"
        "                        [[ ${COMP_WORDS[i+1]} == \"=\" ]] && ((i++))\n"
        "                        ((i++))\n"
        "                elif [[ ${COMP_WORDS[i]} != -* ]]; then\n"
        "                        ((taken++))\n"
        "                fi\n"
        "        done\n"
        "        if ((taken == 0)) && [[ $current == -* ]]; then\n"
        "                mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n"
        "        elif ((taken > 0)) && [[ ! $repeats ]]; then\n"
        "                [[ $more ]] && _enroot_files \"$current\"\n"
        "        else\n"
        "                [[ $choices ]] &&\n"
        "                        mapfile -t COMPREPLY < <(compgen -W \"$choices\" -- "
        "\"$current\")\n"
        "                [[ $kinds == *image* ]] && _enroot_images \"$current\"\n"
        "                [[ $kinds == *file* ]] && _enroot_files \"$current\"\n"
        "                [[ $kinds == *container* ]] && _enroot_containers \"$current\"\n"
        "        fi\n"
        "}\n"
        "\n"
        "complete -F _enroot enroot\n";

static void print_word(const struct verb *verb, const char *word, bool group, FILE *out)
{
        (void)verb;
        (void)group;
        fprintf(out, " %s", word);
}

/* The second words of a group, and how both become the verb. */
static void print_group(const struct verb *verb, const char *word, bool group, FILE *out)
{
        size_t length = strlen(word);

        (void)verb;
        if (!group)
                return;
        fprintf(out, "        if [[ $verb == %s ]]; then\n", word);
        fprintf(out, "                if ((COMP_CWORD == 2)); then\n");
        fprintf(out, "                        mapfile -t COMPREPLY < <(compgen -W \"");
        for (size_t i = 0; i < verb_count; i++)
                if (strncmp(verbs[i]->name, word, length) == 0 && verbs[i]->name[length] == ' ')
                        fprintf(out, " %s", verbs[i]->name + length + 1);
        fprintf(out, "\" -- \"$current\")\n                        return\n                fi\n");
        fprintf(out, "                verb=\"$verb ${COMP_WORDS[2]}\" first=3\n        fi\n");
}

enum option_set {
        ALL,
        VALUED,      /* those with a value */
        FILE_VALUED, /* those whose value is a file */
};

struct option_list {
        enum option_set set;
        FILE *out;
};

static void print_option(const struct option *option, void *context)
{
        const struct option_list *list = context;
        struct completion_word word;

        completion_of_option(option, &word);
        if ((list->set == VALUED && !option->argument) || (list->set == FILE_VALUED && !word.file))
                return;
        if (option->letter)
                fprintf(list->out, " -%c", option->letter);
        fprintf(list->out, " --%s", option->name);
}

static void print_options(const char *variable, const struct option *options, enum option_set set,
                          FILE *out)
{
        struct option_list list = { .set = set, .out = out };

        fprintf(out, "                %s=\"", variable);
        option_table_each(options, print_option, &list);
        fprintf(out, "\"\n");
}

static void print_verb(const struct verb *verb, FILE *out)
{
        struct completion_word word;

        completion_of_verb(verb, &word);
        fprintf(out, "        \"%s\")\n", verb->name);
        print_options("options", verb->options, ALL, out);
        print_options("valued", verb->options, VALUED, out);
        print_options("files", verb->options, FILE_VALUED, out);
        fprintf(out,
                "                kinds=\"%s%s%s\" choices=\"%s\" repeats=\"%s\" more=\"%s\" ;;\n",
                word.container ? " container" : "", word.image ? " image" : "",
                word.file ? " file" : "", word.choices, word.repeats ? "y" : "",
                verb->most < 0 ? "y" : "");
}

void completion_print_bash(FILE *out)
{
        fputs(head, out);
        fprintf(out, "        if ((COMP_CWORD == 1)); then\n"
                     "                mapfile -t COMPREPLY < <(compgen -W \"help");
        completion_each_word(print_word, out);
        fprintf(out, "\" -- \"$current\")\n                return\n        fi\n");
        completion_each_word(print_group, out);
        fprintf(out, "        case $verb in\n");
        for (size_t i = 0; i < verb_count; i++)
                print_verb(verbs[i], out);
        fprintf(out, "        *)      return ;;\n        esac\n");
        fputs(tail, out);
}
