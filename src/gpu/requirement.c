#include "gpu/requirement.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

enum comparison {
        EQUAL,
        NOT_EQUAL,
        LESS,
        LESS_EQUAL,
        GREATER,
        GREATER_EQUAL,
};

enum subject {
        CUDA,
        DRIVER,
        ARCHITECTURE,
        BRAND,
};

struct condition {
        enum subject subject;
        enum comparison comparison;
        char value[64];
};

/* ---- reading ---- */

/* The longest one first. */
static const struct {
        const char *text;
        enum comparison comparison;
} comparisons[] = {
        { "!=", NOT_EQUAL }, { "<=", LESS_EQUAL }, { ">=", GREATER_EQUAL },
        { "=", EQUAL },      { "<", LESS },        { ">", GREATER },
};

static const char *const subjects[] = {
        [CUDA] = "cuda",
        [DRIVER] = "driver",
        [ARCHITECTURE] = "arch",
        [BRAND] = "brand",
};

static bool parse_subject(const char **text, enum subject *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
                size_t length = strlen(subjects[i]);

                if (strncmp(*text, subjects[i], length) != 0)
                        continue;
                *ret = (enum subject)i;
                *text += length;
                return true;
        }
        return false;
}

static bool parse_comparison(const char **text, enum comparison *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(comparisons); i++) {
                size_t length = strlen(comparisons[i].text);

                if (strncmp(*text, comparisons[i].text, length) != 0)
                        continue;
                *ret = comparisons[i].comparison;
                *text += length;
                return true;
        }
        return false;
}

/* Numbers with dots between them. */
static bool is_version(const char *text)
{
        for (;;) {
                if (!isdigit((unsigned char)*text))
                        return false;
                text += strspn(text, "0123456789");
                if (!*text)
                        return true;
                if (*text++ != '.')
                        return false;
        }
}

/* One condition of the given length. */
static bool parse_condition(const char *text, size_t length, struct condition *ret)
{
        const char *at = text;
        size_t rest;

        if (!parse_subject(&at, &ret->subject) || !parse_comparison(&at, &ret->comparison))
                return false;
        rest = length - (size_t)(at - text);
        if ((size_t)(at - text) >= length || rest >= sizeof(ret->value))
                return false;
        memcpy(ret->value, at, rest);
        ret->value[rest] = '\0';
        if (ret->subject == BRAND)
                return ret->comparison == EQUAL || ret->comparison == NOT_EQUAL;
        return is_version(ret->value);
}

/* ---- evaluating ---- */

/* Number by number, without their leading zeros, so that no length overflows. */
int requirement_compare_versions(const char *a, const char *b)
{
        while (*a || *b) {
                size_t first, second;
                int order;

                a += strspn(a, "0");
                b += strspn(b, "0");
                first = strspn(a, "0123456789");
                second = strspn(b, "0123456789");
                if (first != second)
                        return first < second ? -1 : 1;
                order = strncmp(a, b, first);
                if (order != 0)
                        return order;
                a += first;
                b += second;
                a += *a != '\0';
                b += *b != '\0';
        }
        return 0;
}

static bool compare(int order, enum comparison comparison)
{
        switch (comparison) {
        case EQUAL:
                return order == 0;
        case NOT_EQUAL:
                return order != 0;
        case LESS:
                return order < 0;
        case LESS_EQUAL:
                return order <= 0;
        case GREATER:
                return order > 0;
        case GREATER_EQUAL:
                break;
        }
        return order >= 0;
}

static enum requirement_result to_result(bool holds)
{
        return holds ? REQUIREMENT_MET : REQUIREMENT_UNMET;
}

/* What a lower bound of the version decides. */
static enum requirement_result evaluate_bound(const struct condition *condition, const char *bound)
{
        int order = bound ? requirement_compare_versions(bound, condition->value) : -1;

        switch (condition->comparison) {
        case GREATER:
        case NOT_EQUAL:
                return order > 0 ? REQUIREMENT_MET : REQUIREMENT_UNKNOWN;
        case GREATER_EQUAL:
                return order >= 0 ? REQUIREMENT_MET : REQUIREMENT_UNKNOWN;
        case EQUAL:
        case LESS_EQUAL:
                return order > 0 ? REQUIREMENT_UNMET : REQUIREMENT_UNKNOWN;
        case LESS:
                return order >= 0 ? REQUIREMENT_UNMET : REQUIREMENT_UNKNOWN;
        }
        return REQUIREMENT_UNKNOWN;
}

static enum requirement_result evaluate_condition(const struct condition *condition,
                                                  const struct requirement_facts *facts)
{
        const char *const known[] = {
                [CUDA] = facts->cuda,
                [DRIVER] = facts->driver,
                [ARCHITECTURE] = facts->architecture,
                [BRAND] = facts->brand,
        };
        const char *fact = known[condition->subject];

        if (facts->no_gpu && (condition->subject == ARCHITECTURE || condition->subject == BRAND))
                return REQUIREMENT_MET;
        if (!fact && condition->subject == CUDA)
                return evaluate_bound(condition, facts->cuda_at_least);
        if (!fact)
                return REQUIREMENT_UNKNOWN;
        if (condition->subject == BRAND)
                return to_result(compare(strcasecmp(fact, condition->value),
                                         condition->comparison));
        return to_result(compare(requirement_compare_versions(fact, condition->value),
                                 condition->comparison));
}

/* One alternative: all of its conditions. */
static int evaluate_alternative(const char *text, size_t length,
                                const struct requirement_facts *facts,
                                enum requirement_result *ret, char *why, struct error *err)
{
        *ret = REQUIREMENT_MET;
        for (const char *at = text, *end = text + length; at <= end;) {
                const char *comma = memchr(at, ',', (size_t)(end - at));
                size_t size = (size_t)((comma ? comma : end) - at);
                enum requirement_result result;
                struct condition condition;

                if (!parse_condition(at, size, &condition))
                        return error_set(err, EINVAL, "invalid expression \"%.*s\"",
                                         size < 100 ? (int)size : 100, at);
                result = evaluate_condition(&condition, facts);
                if (result > *ret) {
                        *ret = result;
                        (void)snprintf(why, REQUIREMENT_CONDITION_SIZE, "%.*s", (int)size, at);
                }
                at += size + 1;
        }
        return 0;
}

int requirement_evaluate(const char *text, const struct requirement_facts *facts,
                         enum requirement_result *ret, char condition[REQUIREMENT_CONDITION_SIZE],
                         struct error *err)
{
        bool any = false, unknown = false;

        condition[0] = '\0';
        if (strlen(text) > REQUIREMENT_LIMIT)
                return error_set(err, EINVAL, "expression of more than %u bytes",
                                 REQUIREMENT_LIMIT);
        *ret = REQUIREMENT_MET;
        for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
                size_t length = strcspn(text, " \t\n");
                char why[REQUIREMENT_CONDITION_SIZE] = "";
                enum requirement_result result;

                if (evaluate_alternative(text, length, facts, &result, why, err) < 0)
                        return -1;
                if (result == REQUIREMENT_MET) {
                        condition[0] = '\0';
                        return 0;
                }
                unknown |= result == REQUIREMENT_UNKNOWN;
                if (!any)
                        memcpy(condition, why, sizeof(why));
                any = true;
                text += length;
        }
        if (any)
                *ret = unknown ? REQUIREMENT_UNKNOWN : REQUIREMENT_UNMET;
        return 0;
}
