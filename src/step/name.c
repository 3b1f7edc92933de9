#include <string.h>

#include "step/step.h"

#define DIGITS "0123456789"

/* The length of the number that a text begins with; 0 when it is none of a job. */
static size_t job_length(const char *text)
{
        size_t length = strspn(text, DIGITS);

        return *text == '0' || length >= STEP_JOB_SIZE ? 0 : length;
}

bool step_name_parse(const char *name, struct step_name *ret)
{
        const char *job = name + strlen(STEP_NAME_PREFIX), *rest;
        size_t length;

        if (strncmp(name, STEP_NAME_PREFIX, strlen(STEP_NAME_PREFIX)) != 0)
                return false;
        length = job_length(job);
        rest = job + length;
        if (length == 0 || !rest[0] || !rest[1])
                return false;
        ret->is_named = *rest == '_';
        if (!ret->is_named && (*rest != '.' || strspn(rest + 1, DIGITS) != strlen(rest + 1)))
                return false;
        memcpy(ret->job, job, length);
        ret->job[length] = '\0';
        return true;
}

bool step_mark_parse(const char *text, struct step_mark *ret)
{
        size_t length = strcspn(text, " ");
        const char *number = text + length + 1;
        char *end;

        if (length == 0 || length >= sizeof(ret->key) || text[length] != ' ' ||
            strspn(number, DIGITS) == 0 || strspn(number, DIGITS) >= STEP_JOB_SIZE)
                return false;
        ret->restarts = strtoul(number, &end, 10);
        if (strcmp(end, "\n") != 0)
                return false;
        memcpy(ret->key, text, length);
        ret->key[length] = '\0';
        return true;
}

bool step_job_is_listed(const char *list, const char *job)
{
        size_t length = strlen(job);

        while (*list) {
                list += strspn(list, " \n");
                if (strncmp(list, job, length) == 0 && strchr(" \n", list[length]))
                        return true;
                list += strcspn(list, " \n");
        }
        return false;
}
