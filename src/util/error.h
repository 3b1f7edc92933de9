/*
 * Why an operation failed. Of fixed size, so that it can be filled when memory
 * has run out and written whole through a pipe by a forked child.
 *
 * A function that can fail takes a struct error from its caller, fills it, and
 * returns -1 (or NULL). Each layer puts its own context in front, so that the
 * final message reads from the outside in:
 *
 *      import docker://alpine: layer sha256:12ab…: unexpected end of data
 */
#pragma once

#define ERROR_MESSAGE_SIZE 1024

struct error {
        int code; /* errno value; 0 means no error */
        char message[ERROR_MESSAGE_SIZE]; /* outermost context first, no newline */
};

#define ERROR_INIT { .code = 0, .message = "" }

/* Fill *err. Always returns -1, so that callers can write "return error_set(…);". */
int error_set(struct error *err, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* The same with the code from errno, whose text is appended: "context: No such file". */
int error_errno(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "context: " in front of the message. Truncates at the end. Always returns -1. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Append text to the message, for a hint that says what to do next. Always returns -1. */
int error_append(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* For failed allocations. Always returns -1. */
int error_no_memory(struct error *err);
