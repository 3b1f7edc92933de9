/* The expressions of NVIDIA_REQUIRE_* variables. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

#define REQUIREMENT_LIMIT (64u << 10) /* longest expression, in bytes */
#define REQUIREMENT_CONDITION_SIZE 128u

/* What is known of a driver and a GPU; NULL: not known. */
struct requirement_facts {
        const char *cuda, *driver, *architecture, *brand;

        /* The driver gives at least this version of CUDA, when cuda is not known. */
        const char *cuda_at_least;
        bool no_gpu; /* conditions on one hold */
};

enum requirement_result {
        REQUIREMENT_MET,
        REQUIREMENT_UNKNOWN, /* it depends on what is not known */
        REQUIREMENT_UNMET,
};

/*
 * Evaluate an expression: blanks mean "or", commas between conditions "and"; a condition is
 * one of cuda, driver, arch, brand, then = != < <= > >=, then a value. Versions are compared
 * number by number.
 *
 * condition  gets the first condition that does not hold, or is not known
 *
 * Returns 0, or -1 with *err (EINVAL) for a malformed expression.
 */
int requirement_evaluate(const char *text, const struct requirement_facts *facts,
                         enum requirement_result *ret, char condition[REQUIREMENT_CONDITION_SIZE],
                         struct error *err);

/* Below 0, 0 or above: versions as lists of numbers, missing ones being 0. */
int requirement_compare_versions(const char *a, const char *b);
