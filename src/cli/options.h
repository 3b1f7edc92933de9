/*
 * Option tables: one table parses a verb's options and prints its help.
 *
 * An option with an argument takes it as "--name VALUE", "--name=VALUE", "-x VALUE";
 * "--" ends the options, and so does the first word that is not one.
 */
#pragma once

#include <stdio.h>

#include "util/error.h"
#include "util/strlist.h"

enum option_type {
        OPTION_FLAG, /* target: bool, set to true */
        OPTION_TEXT, /* target: const char *, the last one counts */
        OPTION_LIST, /* target: struct strlist, appended to */
        OPTION_HELP,
        OPTION_TABLE, /* target: const struct option *, a table of more options */
};

struct option {
        char letter;          /* 0: none */
        const char *name;     /* without "--" */
        const char *argument; /* how help names the argument; NULL for flags */
        const char *help;     /* one line */
        enum option_type type;
        void *target;
};

/*
 * Parse the words from argv[0] on, with a table ended by an option without a name.
 *
 * ret_rest  index of the first word that is no option
 *
 * Returns 0; 1 when help was asked for; -1 with *err (EINVAL) naming the word.
 */
int option_table_parse(const struct option *options, int argc, char **argv, int *ret_rest,
                       struct error *err);

/* The "Options:" part of a verb's help; nothing for an empty table. */
void option_table_print(const struct option *options, FILE *out);

/* Call visit for every option, those of tables within the table in their place. */
void option_table_each(const struct option *options,
                       void (*visit)(const struct option *option, void *context), void *context);
