/*
 * config/: enroot.conf, its drop-ins and the environment as one const struct.
 *
 * Later wins: built-in defaults < SYSCONF/enroot.conf < SYSCONF/enroot.conf.d/ *.conf
 * (by name) < environment < directives. An empty value, wherever it stands, counts as none.
 *
 * A line of a file is KEY VALUE or KEY=VALUE; '#' starts a comment. Keys other than
 * ENROOT_*, NVIDIA_*, MELLANOX_*, SSL_CERT_DIR, SSL_CERT_FILE and the *_proxy
 * variables are ignored; a line that does not start with a variable's name is an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/strlist.h"

#define CONFIG_FILE_LIMIT  (1u << 20) /* largest configuration file, in bytes */
#define CONFIG_VALUE_LIMIT (64u << 10) /* longest value after expansion, in bytes */

/* Upper bounds of the numbers; greater ones are taken as these. */
#define CONFIG_PROCESSORS_LIMIT  4096u
#define CONFIG_CONNECTIONS_LIMIT 1024u
#define CONFIG_RETRIES_LIMIT     1000u
#define CONFIG_SECONDS_LIMIT     2147483u /* INT_MAX milliseconds, which libcurl counts in */

enum config_origin {
        CONFIG_DEFAULT,
        CONFIG_FILE,
        CONFIG_ENVIRONMENT,
};

/* One variable with where its value came from, for "enroot info". */
struct config_setting {
        char *name, *value;
        enum config_origin origin;
        char *file; /* of CONFIG_FILE */
};

struct config {
        /* directories and files; absolute */
        const char *library_path, *sysconf_path, *runtime_path, *config_path;
        const char *cache_path, *data_path, *temp_path;
        const char *site_cache_path; /* "": none */

        const char *cache_max_size, *cache_max_age; /* "50G", "30d"; "": no limit */

        const char *devices; /* CDI devices of every start, besides its options' */

        const char *gzip_program, *zstd_options, *squash_options, *overlay;
        unsigned int max_processors, max_connections; /* never 0, which means no limit in files */
        unsigned int transfer_retries;
        long connect_timeout, transfer_timeout; /* seconds; 0: no limit */

        bool login_shell, allow_superuser, allow_http, rootfs_writable, native_overlayfs;
        bool remap_root, subids, unshare_pid, unshare_net, unshare_ipc, unshare_uts;
        bool bundle_all, bundle_checksum, force_override, mount_home, restrict_dev;
        bool mig_config, sharp, slurm_pmi, slurm_pytorch; /* hooks that are off by default */
        bool cdi_hooks; /* run the programs that CDI files name */

        bool has_source_date_epoch;
        int64_t source_date_epoch; /* seconds */

        /*
         * Every known ENROOT_* variable, and others that a file or the environment
         * defines, sorted by name. Owns the strings above.
         */
        struct config_setting *settings;
        size_t setting_count;

        /*
         * The process environment with the effective settings in it: for hooks, ${VAR},
         * proxies. ENROOT_* variables with a false value are not in it: hooks test
         * them with -n. HOME and the XDG directories always are.
         */
        struct strlist environment;
};

/*
 * Load the configuration.
 *
 * environment  NULL-terminated "KEY=VALUE" list, normally environ
 *
 * Returns 0, or -1 with *err naming file, line and variable. Makes no directory.
 */
int config_load(struct config *config, char *const *environment, struct error *err);
void config_release(struct config *config);

/*
 * Take the directives of a start configuration's text, lines "#ENROOT_KEY=value" anywhere
 * in it: they outrank the environment, and the options of the command line outrank them.
 * Returns 0, or -1 with *err naming path and line; config is fit for nothing else then.
 */
int config_add_directives(struct config *config, const char *path, const char *text, size_t length,
                          struct error *err);

/*
 * Append the environment that programs are given, with the members as they are by now:
 * options of the command line set some after the configuration was loaded.
 */
int config_copy_environment(const struct config *config, struct strlist *ret, struct error *err);
#define auto_config auto_cleanup(config_release)

/*
 * Expand a value as "eval echo VALUE" does in a shell, less word splitting of what is
 * put in and file name patterns: quotes, backslashes, comments, ~/, $VAR, ${VAR},
 * ${VAR:-word}, ${VAR-word}, ${VAR:+word}, ${VAR+word}, $(command), `command`; other
 * characters stand for themselves. Undefined variables are empty; UID, EUID and
 * HOSTNAME are known without being defined. The commands that site files use (id -u,
 * id -un, id -g, nproc, hostname, uname -m) are answered without a process; any other
 * one runs through /bin/sh, and so do other forms of ${…} and $((…)).
 * malloc'd, or NULL with *err.
 */
char *config_expand(const char *value, const struct strlist *environment, struct error *err);

/* No, in any of the spellings that the classic tool takes, or empty. */
bool config_is_false(const char *value);
