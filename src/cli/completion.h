/*
 * Completion scripts for shells, made from the table of verbs and their options, so that
 * they know what this program knows. Names of containers come from "enroot list" when
 * somebody presses the key.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "cli/verb.h"

/* What a word of the command line may be, from how the help names it ("NAME|IMAGE"). */
struct completion_word {
        bool container, image, file; /* image: a file *.sqsh */
        char choices[64];            /* words in lower case stand for themselves: "bash zsh fish" */
        bool repeats;                /* "NAME...": all further words are like it */
};

/* The first word after a verb's options, and the argument of an option (NULL: none). */
void completion_of_verb(const struct verb *verb, struct completion_word *ret);
void completion_of_option(const struct option *option, struct completion_word *ret);

/*
 * The first words of all verbs, each once: call visit with the first verb that has it, and
 * whether a second word follows ("cache list").
 */
void completion_each_word(void (*visit)(const struct verb *verb, const char *word, bool group,
                                        FILE *out),
                          FILE *out);

/* Print text between single quotes of the shell, with a backslash before each of special. */
void completion_quote(const char *text, const char *special, const char *quote, FILE *out);

void completion_print_bash(FILE *out);
void completion_print_zsh(FILE *out);
void completion_print_fish(FILE *out);
