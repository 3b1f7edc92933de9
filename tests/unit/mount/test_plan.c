/* mount/: fstab lines and --mount words become a plan. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "mount/mount.h"
#include "util/io.h"
#include "util/path.h"

static int add(struct mount_plan *plan, const char *text, const struct strlist *env,
               struct error *err)
{
        return mount_plan_add_fstab(plan, text, strlen(text), "file", env, err);
}

/* How the plan prints says most of what is in it. */
static void test_lines(void **state)
{
        static const struct {
                const char *line, *printed;
        } cases[] = {
                /* What the classic tool guesses */
                { "tmpfs /tmp", "tmpfs /tmp tmpfs defaults 0 0" },
                { "tmpfs /tmp none", "tmpfs /tmp tmpfs defaults 0 0" },
                { "/proc", "/proc /proc none rbind,x-create=auto 0 0" },
                { "/proc rbind", "/proc /proc none rbind 0 0" },
                { "/proc bind,ro", "/proc /proc none bind,ro 0 0" },
                { "/a /b", "/a /b none rbind,x-create=auto 0 0" },
                { "/a /b none", "/a /b none rbind,x-create=auto 0 0" },
                { "/a /b bind", "/a /b none bind 0 0" },
                { "/a none bind", "/a /a none bind 0 0" },
                { "/proc /proc rbind", "/proc /proc none rbind 0 0" },
                { "none /dev/pts devpts", "none /dev/pts devpts defaults 0 0" },
                /* The files that come with it */
                { "/proc /proc none x-create=dir,rbind,rw,nosuid,nodev,noexec,rslave 0 -1",
                  "/proc /proc none nodev,noexec,nosuid,rbind,rslave,rw,x-create=dir 0 -1" },
                { "tmpfs /tmp tmpfs x-create=dir,rw,nosuid,nodev,mode=755,slave 0 -1",
                  "tmpfs /tmp tmpfs nodev,nosuid,rw,slave,x-create=dir,mode=755 0 -1" },
                { "/etc/machine-id /etc/machine-id none "
                  "x-create=file,bind,ro,nosuid,nodev,noexec,private,nofail,silent 0 -1",
                  "/etc/machine-id /etc/machine-id none "
                  "bind,nodev,noexec,nofail,nosuid,private,ro,silent,x-create=file 0 -1" },
                { "none /proc none x-create=dir,x-detach,nofail,silent 0 -1",
                  "none /proc none nofail,silent,x-create=dir,x-detach 0 -1" },
                { "none / none slave", "none / none slave 0 0" },
                { "/a /b none x-move", "/a /b none x-move 0 0" },
                { "/a /b none x-create=dir", "none /b none x-create=dir 0 0" },
                { "/a /b none remount,bind,ro", "none /b none bind,remount,ro 0 0" },
                { "none /b none remount,size=1g", "none /b none remount,size=1g 0 0" },
                { "none /b tmpfs remount,size=1g", "none /b none remount,size=1g 0 0" },
                { "overlay /x overlay lowerdir=/a:/b,xino=off",
                  "overlay /x overlay lowerdir=/a:/b,xino=off 0 0" },
                { "data.sqsh /data squashfs loop,ro",
                  "data.sqsh /data squashfs ro,x-create=dir 0 0" },
                /* Attributes alone ask for a bind mount with them */
                { "/a /b ro", "/a /b none rbind,ro,x-create=auto 0 0" },
                { "/a /b none ro,nosuid", "/a /b none nosuid,rbind,ro,x-create=auto 0 0" },
                { "/a /b none ro,x-create=dir", "/a /b none rbind,ro,x-create=dir 0 0" },
                { "/a /b none defaults", "none /b none defaults 0 0" },
                /* Numbers */
                { "/a /b none bind 5", "/a /b none bind 0 5" },
                { "/a /b none bind 2 0", "/a /b none bind 0 2" },
                { "/a /b none bind 2 -1", "/a /b none bind 0 -1" },
                { "/a /b bind 0 -1", "/a /b none bind 0 -1" },
                { "tmpfs /tmp 0 1", "tmpfs /tmp tmpfs defaults 0 1" },
                { "/a 1", "/a /1 none rbind,x-create=auto 0 0" },
                /* The last word counts */
                { "/a /b bind,ro,rw", "/a /b none bind,rw 0 0" },
                { "/a /b rbind,bind", "/a /b none bind 0 0" },
                { "/a /b bind,private,rslave", "/a /b none bind,rslave 0 0" },
                { "/a /b bind,silent,loud", "/a /b none bind 0 0" },
                /* Notes of other programs */
                { "/a /b bind,x-systemd.automount,_netdev,comment=x,auto,user",
                  "/a /b none bind 0 0" },
                { "tmpfs /b tmpfs X-mount.mkdir,size=1", "tmpfs /b tmpfs size=1 0 0" },
                { "/a /b bind,,ro,", "/a /b none bind,ro 0 0" },
                /* Targets stay below the root; names with blanks */
                { "/a ../../etc//./x/ bind", "/a /etc/x none bind 0 0" },
                { "/a mnt bind", "/a /mnt none bind 0 0" },
                { "/a\\040b\\011 /c\\134d\\043 bind", "/a\\040b\\011 /c\\134d\\043 none bind 0 0" },
                { "/a\\x\\08\\000 /b bind", "/a\\134x\\13408\\134000 /b none bind 0 0" },
                { "\t/a \t /b\tbind # note bind", "/a /b none bind 0 0" },
                { "/a /b,c bind", "/a /b,c none bind 0 0" },
                { "\xff /b bind", "\xff /b none bind 0 0" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT, again = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf text = STRBUF_INIT, twice = STRBUF_INIT;
                struct error err = ERROR_INIT;

                if (add(&plan, cases[i].line, NULL, &err) < 0)
                        fail_msg("%s: %s", cases[i].line, err.message);
                assert_int_equal(plan.count, 1);
                assert_int_equal(mount_entry_print(&plan.entries[0], &text), 0);
                assert_string_equal(text.data, cases[i].printed);

                /* What is printed is the same entry again. */
                assert_int_equal(add(&again, text.data, NULL, &err), 0);
                assert_int_equal(mount_entry_print(&again.entries[0], &twice), 0);
                assert_string_equal(twice.data, text.data);
        }
}

static void test_entry(void **state)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        const struct mount_entry *entry;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(add(&plan,
                             "# comment\n\n  # more\n"
                             "/a /b none rbind,ro,suid,rprivate,x-create=file,nofail 0 -1\n"
                             "none /c none slave\n"
                             "tmpfs /d tmpfs size=1g\n",
                             NULL, &err),
                         0);
        assert_int_equal(plan.count, 3);

        entry = &plan.entries[0];
        assert_string_equal(entry->source, "/a");
        assert_null(entry->type);
        assert_null(entry->data);
        assert_true(entry->bind && entry->recursive && entry->nofail && !entry->silent);
        assert_int_equal(entry->attr_set, MS_RDONLY);
        assert_int_equal(entry->attr_clear, MS_NOSUID);
        assert_int_equal(entry->propagation, MS_PRIVATE);
        assert_true(entry->propagation_recursive);
        assert_int_equal(entry->create, MOUNT_CREATE_FILE);
        assert_int_equal(entry->pass, -1);
        assert_string_equal(entry->origin, "file:4");

        entry = &plan.entries[1];
        assert_null(entry->source);
        assert_null(entry->type);
        assert_false(entry->bind);
        assert_int_equal(entry->propagation, MS_SLAVE);

        entry = &plan.entries[2];
        assert_string_equal(entry->type, "tmpfs");
        assert_string_equal(entry->data, "size=1g");
}

static void test_refused(void **state)
{
        static const struct {
                const char *line, *named;
        } cases[] = {
                { "tmpfs", "target" },
                { "none", "target" },
                { "none slave", "target" },
                { "/a /b none bind,rprivat", "rprivat" },
                { "/a /b ext4 bind,foo=1", "foo=1" },
                { "/a /b none remount,bind,foo", "foo" },
                { "/a /b none frob=1", "frob" },
                { "/a /b none x-create=link,bind", "x-create" },
                { "tmpfs /b tmpfs x-create", "x-create" },
                { "/a /b none bind,x-move", "contradict" },
                { "/a /b none x-detach,remount", "contradict" },
                { "none /b none bind", "source is none" },
                { "none /b", "source is none" },
                { "none /b none ro", "source is none" },
                { "/a /b /c", "/c" },
                { "/a /b none bind x", "\"x\"" },
                { "/a /b none bind 0 0 0", "more than" },
                { "${UNSET} /b none bind", "source is empty" },
                { "/a ${UNSET} none bind", "target is empty" },
        };
        auto_strlist struct strlist env = STRLIST_INIT;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                struct error err = ERROR_INIT;

                if (add(&plan, cases[i].line, &env, &err) == 0)
                        fail_msg("%s: accepted", cases[i].line);
                assert_int_equal(err.code, EINVAL);
                if (strncmp(err.message, "file:1: ", 8) != 0 ||
                    !strstr(err.message, cases[i].named))
                        fail_msg("%s: %s", cases[i].line, err.message);
                assert_int_equal(plan.count, 0);
        }
}

static void test_variables(void **state)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        auto_strlist struct strlist env = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(strlist_append(&env, "ROOT=/with blank\n/etc /etc none bind"), 0);
        assert_int_equal(strlist_append(&env, "EXTRA=ro,nosuid"), 0);
        assert_int_equal(add(&plan,
                             "${ROOT}/x /x none bind,${EXTRA}\n"
                             "/y /y none bind,${UNSET}\n"
                             "/z /z ${UNSET} ${UNSET}\n"
                             "/\\044{ROOT} /w bind",
                             &env, &err),
                         0);
        assert_int_equal(plan.count, 4);
        assert_string_equal(plan.entries[0].source, "/with blank\n/etc /etc none bind/x");
        assert_int_equal(plan.entries[0].attr_set, MS_RDONLY | MS_NOSUID);
        assert_true(plan.entries[1].bind);
        assert_int_equal(plan.entries[2].create, MOUNT_CREATE_AUTO);
        assert_string_equal(plan.entries[3].source, "/${ROOT}");
}

static void test_limits(void **state)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(mount_plan_add_fstab(&plan, "/a\0/b", 5, "file", NULL, &err), -1);
        assert_non_null(strstr(err.message, "NUL"));

        strbuf_append(&text, "/a /");
        for (size_t i = 0; i < NAME_MAX + 1; i++)
                strbuf_append_char(&text, 'x');
        assert_int_equal(add(&plan, text.data, NULL, &err), -1);

        strbuf_reset(&text);
        for (size_t i = 0; i <= MOUNT_PLAN_LIMIT; i++)
                strbuf_append(&text, "/a\n");
        assert_int_equal(add(&plan, text.data, NULL, &err), -1);
        assert_int_equal(err.code, E2BIG);
}

static void test_words(void **state)
{
        static const struct {
                const char *word, *printed;
        } cases[] = {
                { "/a", "/a /a none rbind,x-create=auto 0 0" },
                { "/a:/b", "/a /b none rbind,x-create=auto 0 0" },
                { "/a:b", "/a /b none rbind,x-create=auto 0 0" },
                { "/a:/b:ro", "/a /b none rbind,ro,x-create=auto 0 0" },
                { "/a:/b:none:bind", "/a /b none bind 0 0" },
                { "/a:/b::bind", "/a /b none bind 0 0" },
                { "/a:/b:bind,ro", "/a /b none bind,ro 0 0" },
                { "/a:/b:none:bind:0:-1", "/a /b none bind 0 -1" },
                { "tmpfs:/x:tmpfs:x-create=dir,size=1g",
                  "tmpfs /x tmpfs x-create=dir,size=1g 0 0" },
                { "tmpfs:/x:size=1g", "tmpfs /x tmpfs size=1g 0 0" },
                { "tmpfs:/x", "tmpfs /x tmpfs defaults 0 0" },
                { "/a\\:b:/c\\:d", "/a:b /c:d none rbind,x-create=auto 0 0" },
                { "/with blank:/b", "/with\\040blank /b none rbind,x-create=auto 0 0" },
                { "/a\\040b:/c", "/a\\040b /c none rbind,x-create=auto 0 0" },
                { "/${X}:/c", "/\\044{X} /c none rbind,x-create=auto 0 0" },
                { "overlay:/x:overlay:lowerdir=/a\\:/b", "overlay /x overlay lowerdir=/a:/b 0 0" },
                { "server\\:/e:/x:nfs:ro", "server:/e /x nfs ro 0 0" },
        };
        static const struct {
                const char *word, *named;
        } refused[] = {
                { "", "the source is missing" },
                { ":", "the source is empty" },
                { ":/mnt", "the source is empty" },
                { "::/mnt", "the source is empty" },
                { ":/mnt:none:bind", "the source is empty" },
                { "tmpfs", "the target is missing" },
                { "/a:/b:/c", "/c" },
                { "/a:/b:none:bind:1:2:3", "more than" },
                { "/a:/b:none:unknown", "unknown" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct error err = ERROR_INIT;

                if (mount_plan_add_word(&plan, cases[i].word, &err) < 0)
                        fail_msg("%s: %s", cases[i].word, err.message);
                assert_int_equal(mount_entry_print(&plan.entries[0], &text), 0);
                assert_string_equal(text.data, cases[i].printed);
                assert_string_equal(plan.entries[0].origin, cases[i].word);
        }
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf prefix = STRBUF_INIT;
                struct error err = ERROR_INIT;

                strbuf_printf(&prefix, "--mount %s: ", refused[i].word);
                assert_int_equal(mount_plan_add_word(&plan, refused[i].word, &err), -1);
                assert_int_equal(err.code, EINVAL);
                if (strncmp(err.message, prefix.data, prefix.length) != 0 ||
                    !strstr(err.message, refused[i].named))
                        fail_msg("%s: %s", refused[i].word, err.message);
                assert_int_equal(plan.count, 0);
        }
}

static void test_relative_words(void **state)
{
        static const struct {
                const char *word, *source, *target; /* behind the current directory */
        } cases[] = {
                { "dir:/b", "/dir", NULL },
                { ".:mnt", "/.", NULL },
                { "dir", "/dir", "/dir" },
                { "./data.sqsh:/data:squashfs", "/./data.sqsh", NULL },
                { "dir:/b:x-move", "/dir", NULL },
        };
        auto_free char *cwd = getcwd(NULL, 0);

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                struct error err = ERROR_INIT;
                char path[PATH_MAX];

                assert_int_equal(mount_plan_add_word(&plan, cases[i].word, &err), 0);
                (void)snprintf(path, sizeof(path), "%s%s", cwd, cases[i].source);
                assert_string_equal(plan.entries[0].source, path);
                if (cases[i].target)
                        assert_string_equal(plan.entries[0].target, path);
        }
}

static void test_built_in_lines(void **state)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        auto_strbuf struct strbuf path = STRBUF_INIT;
        struct error err = ERROR_INIT;

        (void)state;
        assert_int_equal(strbuf_append_fstab(&path, "/home/a b/$x"), 0);
        assert_int_equal(mount_plan_add_line(&plan, &err, "%s %s none bind,pass=%d", path.data,
                                             path.data, 1),
                         -1);
        assert_int_equal(
                mount_plan_add_line(&plan, &err, "%s %s none bind 0 %d", path.data, path.data, 3),
                0);
        assert_string_equal(plan.entries[0].target, "/home/a b/$x");
        assert_int_equal(plan.entries[0].pass, 3);
}

static void test_dir(void **state)
{
        char dir[] = "/tmp/enroot-test-mount-XXXXXX";
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        auto_free char *first = NULL, *second = NULL, *other = NULL;
        struct error err = ERROR_INIT;
        FILE *file;

        (void)state;
        assert_non_null(mkdtemp(dir));
        first = path_join(dir, "10-a.fstab");
        second = path_join(dir, "20-b.fstab");
        other = path_join(dir, "30-c.conf");
        for (size_t i = 0; i < 3; i++) {
                file = fopen(i == 0 ? second : i == 1 ? first : other, "w");
                assert_non_null(file);
                assert_true(fprintf(file, "/%zu\n", i) > 0);
                assert_int_equal(fclose(file), 0);
        }
        assert_int_equal(mount_plan_add_dir(&plan, dir, NULL, &err), 0);
        assert_int_equal(plan.count, 2);
        assert_string_equal(plan.entries[0].source, "/1");
        assert_string_equal(plan.entries[1].source, "/0");
        assert_non_null(strstr(plan.entries[0].origin, "/10-a.fstab:1"));
        assert_int_equal(path_remove_tree(AT_FDCWD, dir, &err), 0);
        assert_int_equal(mount_plan_add_dir(&plan, dir, NULL, &err), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_entry),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_variables),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_relative_words),
                cmocka_unit_test(test_built_in_lines),
                cmocka_unit_test(test_dir),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
