/*
 * The kernel's configuration file, wherever a distribution puts it. Pods have none.
 */
#pragma once

#include <stdbool.h>

#include "util/strbuf.h"

#define KERNEL_CONFIG_LIMIT (8u << 20) /* bytes of text; a distribution's has 300 KiB */

enum kernel_option {
        KERNEL_OPTION_OFF,
        KERNEL_OPTION_MODULE,
        KERNEL_OPTION_ON,
};

struct kernel_config {
        char path[256]; /* of the file; "" without one */
        struct strbuf text;
};

/*
 * Read the first of /proc/config.gz, /boot/config-RELEASE, /usr/src/linux-RELEASE/.config,
 * /usr/src/linux/.config and /lib/modules/RELEASE/build/.config that can be read,
 * compressed or not. A damaged or empty one counts as none.
 */
void kernel_config_load(const char *root, const char *release, struct kernel_config *ret);
void kernel_config_release(struct kernel_config *config);

/* The value of "CONFIG_NAME". Pure. */
enum kernel_option kernel_config_option(const struct kernel_config *config, const char *name);
