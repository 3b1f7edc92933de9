/*
 * The part of TOML 1.0 that registries.conf is written in. Pure.
 *
 * Read one item after another: table headers, and keys with their values. Strings on
 * one line, booleans and arrays of strings come with their content; numbers, dates,
 * inline tables and mixed arrays are recognised and come as TOML_OTHER. Strings of
 * several lines are refused. What Debian has for C is either without a maintainer
 * or for C++.
 */
#pragma once

#include <stdbool.h>

#include "util/error.h"
#include "util/strlist.h"

#define TOML_DEPTH_LIMIT 16u /* of nested arrays and inline tables */

enum toml_kind {
        TOML_TABLE,       /* [name] */
        TOML_ARRAY_TABLE, /* [[name]] */
        TOML_STRING,
        TOML_BOOL,
        TOML_STRINGS,
        TOML_OTHER,
};

struct toml_item {
        enum toml_kind kind;
        char *name; /* of the table, or the key; the parts of a dotted one joined by '.' */
        char *text;
        bool flag;
        struct strlist list;
        unsigned int line;
};

#define TOML_ITEM_INIT                                                                             \
        {                                                                                          \
                .name = NULL                                                                       \
        }

void toml_item_release(struct toml_item *item);
#define auto_toml_item auto_cleanup(toml_item_release)

struct toml {
        const char *at;    /* NUL-terminated text, from its beginning */
        unsigned int line; /* 1 */
};

/* Returns 1 with the next item, 0 at the end, or -1 with *err naming the line. */
int toml_next(struct toml *toml, struct toml_item *ret, struct error *err);
