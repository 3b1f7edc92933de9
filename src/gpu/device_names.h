/* The lists of devices in variables such as AMD_VISIBLE_DEVICES. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most devices of a kind that a machine is taken to have, also the end of a range. */
#define DEVICE_LIMIT 4096u

/* Whether the value of a variable asks for anything: not unset, "void" or "none". */
bool device_list_wanted(const char *list);

/* Whether it asks for everything. */
bool device_list_is_all(const char *list);

struct device_item {
        const char *text; /* where it stands in the list, length bytes, for messages */
        size_t length;
        bool is_id;  /* "0x…": id counts */
        uint64_t id;
        unsigned int first, last; /* otherwise: indexes */
};

/*
 * Take the next item, separated by commas or blanks, of a list that *list points into:
 * "3", "2-5", "0x12ab". Returns 1; 0 at the end; -1 when it is none of these (text and
 * length are set).
 */
int device_list_next(const char **list, struct device_item *ret);
