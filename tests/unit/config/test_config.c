/* config/: files, environment and defaults become one struct. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/expand.h"
#include "env/env.h"
#include "util/io.h"
#include "util/path.h"

static char scratch[] = "/tmp/enroot-test-config-XXXXXX";
static char sysconf_item[64];

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch))
                return -1;
        (void)snprintf(sysconf_item, sizeof(sysconf_item), "ENROOT_SYSCONF_PATH=%s", scratch);
        return 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

static void write_file(const char *name, const char *text, size_t length)
{
        auto_free char *path = path_join(scratch, name);
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, length), 0);
}

static void write_conf(const char *text)
{
        write_file("enroot.conf", text, strlen(text));
}

#define ENVIRONMENT(...) ((char *const *)(const char *const[]){ sysconf_item, ##__VA_ARGS__, NULL })

static void load(struct config *config, char *const *environment)
{
        struct error err = ERROR_INIT;

        if (config_load(config, environment, &err) < 0)
                fail_msg("%s", err.message);
}

static const struct config_setting *setting(const struct config *config, const char *name)
{
        for (size_t i = 0; i < config->setting_count; i++)
                if (strcmp(config->settings[i].name, name) == 0)
                        return &config->settings[i];
        fail_msg("%s is not there", name);
        return NULL;
}

static void test_defaults(void **state)
{
        auto_config struct config config = { .settings = NULL };

        (void)state;
        load(&config, ENVIRONMENT("HOME=/home/me"));
        assert_string_equal(config.library_path, ENROOT_LIBDIR);
        assert_string_equal(config.sysconf_path, scratch);
        assert_string_equal(config.runtime_path, "/run/enroot");
        assert_string_equal(config.config_path, "/home/me/.config/enroot");
        assert_string_equal(config.cache_path, "/home/me/.cache/enroot");
        assert_string_equal(config.data_path, "/home/me/.local/share/enroot");
        assert_string_equal(config.temp_path, "/tmp");
        assert_string_equal(config.gzip_program, "gzip");
        assert_string_equal(config.zstd_options, "-1");
        assert_string_equal(config.squash_options, "-comp zstd -Xcompression-level 1 -noD");
        assert_int_equal(config.max_processors, available_processors());
        assert_int_equal(config.max_connections, 10);
        assert_int_equal(config.connect_timeout, 30);
        assert_int_equal(config.transfer_timeout, 0);
        assert_int_equal(config.transfer_retries, 0);
        assert_true(config.login_shell && config.native_overlayfs);
        assert_false(config.allow_superuser || config.allow_http || config.rootfs_writable ||
                     config.remap_root || config.unshare_pid || config.unshare_net ||
                     config.unshare_ipc || config.unshare_uts || config.bundle_all ||
                     config.bundle_checksum || config.force_override || config.mount_home ||
                     config.restrict_dev || config.has_source_date_epoch);
        for (size_t i = 1; i < config.setting_count; i++)
                assert_true(strcmp(config.settings[i - 1].name, config.settings[i].name) < 0);
        assert_int_equal(setting(&config, "ENROOT_DATA_PATH")->origin, CONFIG_DEFAULT);
        assert_int_equal(setting(&config, "ENROOT_SYSCONF_PATH")->origin, CONFIG_ENVIRONMENT);
}

static void test_xdg(void **state)
{
        auto_config struct config config = { .settings = NULL };

        (void)state;
        load(&config, ENVIRONMENT("HOME=/h", "XDG_DATA_HOME=/data", "XDG_RUNTIME_DIR=/run/user/7",
                                  "XDG_CACHE_HOME=", "TMPDIR=/var/tmp"));
        assert_string_equal(config.data_path, "/data/enroot");
        assert_string_equal(config.runtime_path, "/run/user/7/enroot");
        assert_string_equal(config.cache_path, "/h/.cache/enroot");
        assert_string_equal(config.temp_path, "/var/tmp");
        assert_string_equal(env_get(&config.environment, "XDG_CONFIG_HOME"), "/h/.config");
}

static void test_home_from_passwd(void **state)
{
        const struct passwd *entry = getpwuid(getuid());
        auto_config struct config config = { .settings = NULL };
        auto_free char *expected = NULL;

        (void)state;
        load(&config, ENVIRONMENT());
        assert_true(asprintf(&expected, "%s/.config/enroot", entry ? entry->pw_dir : "") > 0);
        assert_string_equal(config.config_path, expected);
}

/* A site's file, as it is */
static void test_site_file(void **state)
{
        auto_config struct config config = { .settings = NULL };
        auto_free char *data = NULL;

        (void)state;
        write_conf("ENROOT_RUNTIME_PATH /raid/local/containers/enroot/runtime/${SLURM_JOB_ID:-}\n"
                   "ENROOT_DATA_PATH /raid/local/containers/enroot/data/$(id -u)\n"
                   "ENROOT_SQUASH_OPTIONS -noI -noD -noF -noX -no-duplicates\n"
                   "ENROOT_MOUNT_HOME no\n"
                   "ENROOT_CONFIG_PATH ${HOME}/.config/enroot\n"
                   "ENROOT_RESTRICT_DEV yes\n"
                   "ENROOT_ROOTFS_WRITABLE no\n"
                   "ENROOT_ZSTD_OPTIONS -1\n"
                   "ENROOT_TRANSFER_RETRIES 5\n"
                   "ENROOT_CONNECT_TIMEOUT 60\n"
                   "ENROOT_TRANSFER_TIMEOUT 1200\n"
                   "ENROOT_MAX_CONNECTIONS 10\n");
        load(&config, ENVIRONMENT("HOME=/home/me", "SLURM_JOB_ID=42"));
        assert_string_equal(config.runtime_path, "/raid/local/containers/enroot/runtime/42");
        assert_true(asprintf(&data, "/raid/local/containers/enroot/data/%u",
                             (unsigned int)geteuid()) > 0);
        assert_string_equal(config.data_path, data);
        assert_string_equal(config.squash_options, "-noI -noD -noF -noX -no-duplicates");
        assert_false(config.mount_home);
        assert_string_equal(config.config_path, "/home/me/.config/enroot");
        assert_true(config.restrict_dev);
        assert_false(config.rootfs_writable);
        assert_string_equal(config.zstd_options, "-1");
        assert_int_equal(config.transfer_retries, 5);
        assert_int_equal(config.connect_timeout, 60);
        assert_int_equal(config.transfer_timeout, 1200);
        assert_int_equal(config.max_connections, 10);
        assert_null(env_get(&config.environment, "ENROOT_MOUNT_HOME"));
        assert_string_equal(env_get(&config.environment, "ENROOT_RESTRICT_DEV"), "yes");
}

static void test_grammar(void **state)
{
        auto_config struct config config = { .settings = NULL };

        (void)state;
        write_conf("\n"
                   "# comment\n"
                   "#ENROOT_MOUNT_HOME yes\n"
                   "\t ENROOT_TEMP_PATH\t /a\n"
                   "ENROOT_DATA_PATH=/b \n"
                   "ENROOT_CACHE_PATH = \"/c d\"\r\n"
                   "ENROOT_SQUASH_OPTIONS -comp lz4 # fast\n"
                   "ENROOT_SITE x=y\n"
                   "http_proxy=http://p:1\n"
                   "no_proxy\n"
                   "NVIDIA_VISIBLE_DEVICES all\n"
                   "MELLANOX_MOUNT_DRIVER 1\n"
                   "SSL_CERT_FILE '/etc/ssl/c.pem'\n"
                   "PATH=/evil\n"
                   "LD_PRELOAD /evil\n"
                   "ENROOT_lower x\n"
                   "export FOO=bar\n"
                   "ENROOT_RUNTIME_PATH ${ENROOT_DATA_PATH}/run");
        load(&config, ENVIRONMENT("HOME=/h", "SSL_CERT_FILE=/mine"));
        assert_string_equal(config.temp_path, "/a");
        assert_string_equal(config.data_path, "/b");
        assert_string_equal(config.cache_path, "/c d");
        assert_string_equal(config.squash_options, "-comp lz4");
        assert_string_equal(config.runtime_path, "/b/run");
        assert_string_equal(setting(&config, "ENROOT_SITE")->value, "x=y");
        assert_string_equal(env_get(&config.environment, "ENROOT_SITE"), "x=y");
        assert_string_equal(env_get(&config.environment, "http_proxy"), "http://p:1");
        assert_string_equal(env_get(&config.environment, "NVIDIA_VISIBLE_DEVICES"), "all");
        assert_string_equal(env_get(&config.environment, "MELLANOX_MOUNT_DRIVER"), "1");
        assert_string_equal(env_get(&config.environment, "SSL_CERT_FILE"), "/mine");
        assert_null(env_get(&config.environment, "PATH"));
        assert_null(env_get(&config.environment, "LD_PRELOAD"));
        assert_null(env_get(&config.environment, "ENROOT_lower"));
}

static void test_precedence(void **state)
{
        auto_config struct config config = { .settings = NULL };
        auto_free char *dir = path_join(scratch, "enroot.conf.d");

        (void)state;
        assert_int_equal(mkdir(dir, 0700), 0);
        write_conf("ENROOT_DATA_PATH /main\nENROOT_CACHE_PATH /main\nENROOT_TEMP_PATH /main\n"
                   "ENROOT_ZSTD_OPTIONS $(exit 1; kill -9 $$)\n");
        write_file("enroot.conf.d/10-a.conf", "ENROOT_DATA_PATH /ten\nENROOT_MOUNT_HOME yes\n", 44);
        write_file("enroot.conf.d/20-b.conf", "ENROOT_MOUNT_HOME no\nENROOT_CACHE_PATH\n", 39);
        write_file("enroot.conf.d/.30.conf", "ENROOT_DATA_PATH /hidden\n", 25);
        write_file("enroot.conf.d/README", "no settings here!\n", 18);
        load(&config, ENVIRONMENT("HOME=/h", "ENROOT_TEMP_PATH=/env",
                                  "ENROOT_DATA_PATH=", "ENROOT_ALLOW_HTTP=y",
                                  "ENROOT_ZSTD_OPTIONS=-3", "ENROOT_OTHER=1"));
        assert_string_equal(config.data_path, "/ten");
        assert_string_equal(config.temp_path, "/env");
        assert_string_equal(config.cache_path, "/h/.cache/enroot");
        assert_string_equal(config.zstd_options, "-3");
        assert_false(config.mount_home);
        assert_true(config.allow_http);

        assert_int_equal(setting(&config, "ENROOT_DATA_PATH")->origin, CONFIG_FILE);
        assert_non_null(strstr(setting(&config, "ENROOT_DATA_PATH")->file, "/10-a.conf"));
        assert_int_equal(setting(&config, "ENROOT_TEMP_PATH")->origin, CONFIG_ENVIRONMENT);
        assert_null(setting(&config, "ENROOT_TEMP_PATH")->file);
        assert_int_equal(setting(&config, "ENROOT_CACHE_PATH")->origin, CONFIG_DEFAULT);
        assert_string_equal(setting(&config, "ENROOT_OTHER")->value, "1");
        assert_string_equal(env_get(&config.environment, "ENROOT_DATA_PATH"), "/ten");
}

static void test_false_words(void **state)
{
        static const char *const no[] = { "",   "n", "N", "no",    "nO",    "No",
                                          "NO", "f", "F", "false", "False", "FALSE" };
        static const char *const yes[] = { "y", "yes", "true", "1", "0", "off", "nope", " " };
        auto_config struct config config = { .settings = NULL };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(no); i++)
                assert_true(config_is_false(no[i]));
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
                assert_false(config_is_false(yes[i]));

        load(&config, ENVIRONMENT("HOME=/h", "ENROOT_LOGIN_SHELL=False", "ENROOT_REMAP_ROOT=y",
                                  "ENROOT_HOOK_FLAG=no"));
        assert_false(config.login_shell);
        assert_true(config.remap_root);
        assert_null(env_get(&config.environment, "ENROOT_LOGIN_SHELL"));
        assert_null(env_get(&config.environment, "ENROOT_HOOK_FLAG"));
        assert_null(env_get(&config.environment, "ENROOT_MOUNT_HOME"));
        assert_string_equal(env_get(&config.environment, "ENROOT_REMAP_ROOT"), "y");
}

static void test_numbers(void **state)
{
        auto_config struct config config = { .settings = NULL };

        (void)state;
        load(&config, ENVIRONMENT("HOME=/h", "ENROOT_MAX_PROCESSORS=0", "ENROOT_MAX_CONNECTIONS=0",
                                  "ENROOT_CONNECT_TIMEOUT=99999999999999999999999",
                                  "ENROOT_TRANSFER_TIMEOUT=0", "SOURCE_DATE_EPOCH=1700000000"));
        assert_int_equal(config.max_processors, available_processors());
        assert_int_equal(config.max_connections, CONFIG_CONNECTIONS_LIMIT);
        assert_int_equal(config.connect_timeout, CONFIG_SECONDS_LIMIT);
        assert_int_equal(config.transfer_timeout, 0);
        assert_true(config.has_source_date_epoch);
        assert_int_equal(config.source_date_epoch, 1700000000);
}

static void test_relative_paths(void **state)
{
        auto_config struct config config = { .settings = NULL };
        auto_free char *cwd = getcwd(NULL, 0), *expected = NULL;

        (void)state;
        load(&config, ENVIRONMENT("HOME=/h", "ENROOT_DATA_PATH=data"));
        expected = path_join(cwd, "data");
        assert_string_equal(config.data_path, expected);
        assert_string_equal(env_get(&config.environment, "ENROOT_DATA_PATH"), expected);
}

static void expect_failure(char *const *environment, const char *first, const char *second)
{
        struct config config;
        struct error err = ERROR_INIT;

        assert_int_equal(config_load(&config, environment, &err), -1);
        if (!strstr(err.message, first) || !strstr(err.message, second))
                fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.message, first, second);
        assert_null(config.settings);
}

static void test_errors(void **state)
{
        static const struct {
                const char *text, *where, *what;
        } cases[] = {
                { "# x\n\n=value\n", "enroot.conf:3: ", "KEY VALUE" },
                { "ENROOT_DATA_PATH /a\n[section]\n", "enroot.conf:2: ", "[section]" },
                { "ENROOT-DATA /a\n", "enroot.conf:1: ", "ENROOT-DATA" },
                { "ENROOT_DATA_PATH \"/a\n", "enroot.conf:1: ", "ENROOT_DATA_PATH" },
                { "ENROOT_DATA_PATH ${HOME\n", "enroot.conf:1: ", "${" },
                { "ENROOT_MAX_CONNECTIONS ten\n", "enroot.conf", "ENROOT_MAX_CONNECTIONS=ten" },
                { "ENROOT_TRANSFER_TIMEOUT -1\n", "enroot.conf", "ENROOT_TRANSFER_TIMEOUT=-1" },
                { "ENROOT_CONNECT_TIMEOUT 30s\n", "enroot.conf", "ENROOT_CONNECT_TIMEOUT=30s" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                write_conf(cases[i].text);
                expect_failure(ENVIRONMENT("HOME=/h"), cases[i].where, cases[i].what);
        }
        write_file("enroot.conf", "ENROOT_X a\0b\n", 13);
        expect_failure(ENVIRONMENT("HOME=/h"), "enroot.conf:1", "NUL");
        write_conf("");
        expect_failure(ENVIRONMENT("HOME=/h", "ENROOT_TRANSFER_RETRIES=1x"), "environment",
                       "ENROOT_TRANSFER_RETRIES=1x");
        expect_failure(ENVIRONMENT("HOME=/h", "SOURCE_DATE_EPOCH=-1"), "SOURCE_DATE_EPOCH", "-1");
        expect_failure(ENVIRONMENT("HOME=/h", "SOURCE_DATE_EPOCH=99999999999999999999"),
                       "SOURCE_DATE_EPOCH", "9999");
}

static void test_unreadable(void **state)
{
        auto_free char *path = path_join(scratch, "enroot.conf");

        (void)state;
        assert_int_equal(mkdir(path, 0700), 0);
        expect_failure(ENVIRONMENT("HOME=/h"), "enroot.conf", "directory");
}

/* ---- start configurations ---- */

static void test_directives(void **state)
{
        static const char text[] = "#! /usr/bin/env -S enroot batch\n"
                                   "#ENROOT_ROOTFS=${HOME}/x.sqsh\n"
                                   "# \t ENROOT_REMAP_ROOT y\n"
                                   " #ENROOT_MOUNT_HOME=y\n" /* not at the start of the line */
                                   "##ENROOT_RESTRICT_DEV=y\n"
                                   "#NVIDIA_VISIBLE_DEVICES=all\n"
                                   "#enroot ENROOT_SUBIDS=y\n"
                                   "mounts() { :; }\n"
                                   "#ENROOT_MAX_PROCESSORS=3\n"
                                   "#ENROOT_LOGIN_SHELL=no";
        auto_config struct config config;
        struct error err = ERROR_INIT;

        (void)state;
        load(&config, ENVIRONMENT("HOME=/h", "ENROOT_MAX_PROCESSORS=7", "ENROOT_REMAP_ROOT=no"));
        assert_false(config.remap_root);
        assert_int_equal(config_add_directives(&config, "c.sh", text, sizeof(text) - 1, &err), 0);
        assert_true(config.remap_root);
        assert_false(config.mount_home || config.restrict_dev || config.subids);
        assert_false(config.login_shell);
        assert_int_equal(config.max_processors, 3);
        assert_string_equal(env_get(&config.environment, "ENROOT_ROOTFS"), "/h/x.sqsh");
        assert_string_equal(env_get(&config.environment, "ENROOT_REMAP_ROOT"), "y");
        assert_null(env_get(&config.environment, "ENROOT_LOGIN_SHELL"));
        assert_null(env_get(&config.environment, "NVIDIA_VISIBLE_DEVICES"));
}

static void test_bad_directives(void **state)
{
        static const char *const texts[] = { "\n#ENROOT_ \n\n#ENROOT_DATA_PATH=$(\n",
                                             "#\n\n\n#ENROOT_TEMP_PATH=\"x\n" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                auto_config struct config config;
                struct error err = ERROR_INIT;

                load(&config, ENVIRONMENT("HOME=/h"));
                assert_int_equal(
                        config_add_directives(&config, "c.sh", texts[i], strlen(texts[i]), &err),
                        -1);
                assert_non_null(strstr(err.message, "c.sh:4: "));
        }
}

/* Programs are told what the options have changed in the members. */
static void test_copied_environment(void **state)
{
        auto_config struct config config;
        auto_strlist struct strlist copy = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        load(&config, ENVIRONMENT("HOME=/h", "ENROOT_MOUNT_HOME=on"));
        config.remap_root = true;
        config.login_shell = false;
        assert_int_equal(config_copy_environment(&config, &copy, &err), 0);
        assert_string_equal(env_get(&copy, "ENROOT_REMAP_ROOT"), "yes");
        assert_string_equal(env_get(&copy, "ENROOT_MOUNT_HOME"), "on");
        assert_null(env_get(&copy, "ENROOT_LOGIN_SHELL"));
        assert_null(env_get(&copy, "ENROOT_RESTRICT_DEV"));
        assert_string_equal(env_get(&copy, "HOME"), "/h");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_defaults),         TEST(test_xdg),
                TEST(test_home_from_passwd), TEST(test_site_file),
                TEST(test_grammar),          TEST(test_precedence),
                TEST(test_false_words),      TEST(test_numbers),
                TEST(test_relative_paths),   TEST(test_errors),
                TEST(test_unreadable),       TEST(test_directives),
                TEST(test_bad_directives),   TEST(test_copied_environment),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
