/* A directory that stands in for the machine's root in tests: /proc, /sys, /etc of choice. */
#pragma once

/* Where it is: "/tmp/…". */
extern char fake_root[];

/* Set up and tear down of a group, and set up of a test that wants it empty. */
int fake_root_make(void **state);
int fake_root_remove(void **state);
int fake_root_reset(void **state);

/* Write a file, with the directories above it. */
void fake_root_put(const char *path, const char *text);
