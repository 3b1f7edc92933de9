#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
        va_list args;

        err->code = code;
        va_start(args, fmt);
        (void)vsnprintf(err->message, sizeof(err->message), fmt, args);
        va_end(args);
        return -1;
}

int error_errno(struct error *err, const char *fmt, ...)
{
        int code = errno;
        va_list args;

        err->code = code;
        va_start(args, fmt);
        (void)vsnprintf(err->message, sizeof(err->message), fmt, args);
        va_end(args);
        return error_append(err, ": %s", strerror(code));
}

int error_prefix(struct error *err, const char *fmt, ...)
{
        char context[ERROR_MESSAGE_SIZE];
        size_t length;
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(context, sizeof(context) - 2, fmt, args);
        va_end(args);
        strcat(context, ": ");

        length = strlen(context);
        memmove(err->message + length, err->message, sizeof(err->message) - length);
        memcpy(err->message, context, length);
        err->message[sizeof(err->message) - 1] = '\0';
        return -1;
}

int error_append(struct error *err, const char *fmt, ...)
{
        size_t length = strlen(err->message);
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(err->message + length, sizeof(err->message) - length, fmt, args);
        va_end(args);
        return -1;
}

int error_no_memory(struct error *err)
{
        return error_set(err, ENOMEM, "out of memory");
}
