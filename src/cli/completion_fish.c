#include <string.h>

#include "cli/completion.h"

static const char head[] = "# Completion of enroot for fish, made by \"enroot completion fish\".\n"
                           "\n"
                           "function __enroot_containers\n"
                           "        enroot list 2>/dev/null\n"
                           "end\n"
                           "\n"
                           "function __enroot_images\n"
                           "        set -l token (commandline -ct)\n"
                           "        set -l found $token*.sqsh $token*/\n"
                           "        test (count $found) -gt 0\n"
                           "        and printf '%s\\n' $found\n"
                           "end\n"
                           "\n"
                           "# Whether the words of the command line so far begin with those given, "
                           "or are just those.\n"
                           "function __enroot_begins\n"
                           "        set -l words (commandline -opc)[2..-1]\n"
                           "        set -l count (count $argv)\n"
                           "        test (count $words) -ge $count\n"
                           "        and test \"$words[1..$count]\" = \"$argv\"\n"
                           "end\n"
                           "\n"
                           "function __enroot_is\n"
                           "        set -l words (commandline -opc)[2..-1]\n"
                           "        test \"$words\" = \"$argv\"\n"
                           "end\n"
                           "\n"
                           "complete -c enroot -f\n";

static void print_quoted(const char *text, FILE *out)
{
        fputc('\'', out);
        completion_quote(text, "\\", "\\'", out);
        fputc('\'', out);
}

static void print_word(const struct verb *verb, const char *word, bool group, FILE *out)
{
        fprintf(out, "complete -c enroot -n '__enroot_is' -a %s", word);
        if (!group) {
                fprintf(out, " -d ");
                print_quoted(verb->summary, out);
        }
        fputc('\n', out);
}

static void print_second_word(const struct verb *verb, FILE *out)
{
        const char *blank = strchr(verb->name, ' ');

        if (!blank)
                return;
        fprintf(out, "complete -c enroot -n '__enroot_is %.*s' -a %s -d ",
                (int)(blank - verb->name), verb->name, blank + 1);
        print_quoted(verb->summary, out);
        fputc('\n', out);
}

struct option_context {
        const struct verb *verb;
        FILE *out;
};

static void print_option(const struct option *option, void *context)
{
        const struct verb *verb = ((const struct option_context *)context)->verb;
        FILE *out = ((const struct option_context *)context)->out;
        struct completion_word word;

        completion_of_option(option, &word);
        fprintf(out, "complete -c enroot -n '__enroot_begins %s'", verb->name);
        if (option->letter)
                fprintf(out, " -s %c", option->letter);
        fprintf(out, " -l %s", option->name);
        if (option->argument)
                fprintf(out, word.file ? " -rF" : " -x");
        fprintf(out, " -d ");
        print_quoted(option->help, out);
        fputc('\n', out);
}

static void print_arguments(const struct verb *verb, FILE *out)
{
        struct completion_word word;

        completion_of_verb(verb, &word);
        if (*word.choices)
                fprintf(out, "complete -c enroot -n '__enroot_begins %s' -a '%s'\n", verb->name,
                        word.choices);
        if (word.container)
                fprintf(out,
                        "complete -c enroot -n '__enroot_begins %s' -a '(__enroot_containers)'\n",
                        verb->name);
        if (word.image)
                fprintf(out,
                        "complete -c enroot -n '__enroot_begins %s' -a "
                        "'(__enroot_images)'\n",
                        verb->name);
        if (word.file || (verb->most < 0 && !word.repeats))
                fprintf(out, "complete -c enroot -n '__enroot_begins %s' -F\n", verb->name);
}

void completion_print_fish(FILE *out)
{
        fputs(head, out);
        completion_each_word(print_word, out);
        fprintf(out, "complete -c enroot -n '__enroot_is' -a help\n");
        for (size_t i = 0; i < verb_count; i++) {
                struct option_context context = { .verb = verbs[i], .out = out };

                print_second_word(verbs[i], out);
                option_table_each(verbs[i]->options, print_option, &context);
                print_arguments(verbs[i], out);
        }
}
