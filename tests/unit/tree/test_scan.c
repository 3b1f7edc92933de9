/* tree/: plain layers, whose names are only names, and directories as layers. */
#include <errno.h>
#include <fcntl.h>
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

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tree/tree.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/owner_access.h"
#include "util/path.h"
#include "util/strbuf.h"

static char scratch[] = "/tmp/enroot-test-scan-XXXXXX";
static int root_fd = -1;

static int set_up(void **state)
{
        (void)state;
        strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
        if (!mkdtemp(scratch))
                return -1;
        root_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return root_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct error err = ERROR_INIT;

        (void)state;
        (void)close(root_fd);
        return path_remove_tree(AT_FDCWD, scratch, &err);
}

/* ---- trees as text: "name" a file, "name/" a directory, "name>" anything else ---- */

static int print(void *context, const char *path, struct tree_node *node, struct error *err)
{
        enum entry_type type = node->inode->meta.type;
        const char *mark = type == ENTRY_DIRECTORY ? "/" : type == ENTRY_FILE ? "" : ">";

        (void)err;
        (void)strbuf_printf(context, "%s%s", path, mark);
        if (type != ENTRY_DIRECTORY && node->inode->links > 1)
                (void)strbuf_printf(context, "*%u", node->inode->links);
        return strbuf_append_char(context, ' ');
}

static void expect_tree(struct tree *tree, const char *expected)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(tree_walk(tree, print, &text, &err), 0);
        assert_string_equal(strbuf_text(&text), expected);
}

static void add(struct tree *tree, const char *path, enum entry_type type, const char *target)
{
        auto_cleanup(entry_release) struct entry entry = {
                .path = strdup(path),
                .meta = { .type = type, .mode = 0755, .target = target ? strdup(target) : NULL },
        };
        struct tree_inode *file = NULL;
        struct error err = ERROR_INIT;

        if (tree_add(tree, &entry, &file, &err) < 0)
                fail_msg("%s: %s", path, err.message);
}

static void lower_layer(struct tree *tree)
{
        add(tree, "", ENTRY_DIRECTORY, NULL);
        add(tree, "a", ENTRY_DIRECTORY, NULL);
        add(tree, "a/one", ENTRY_FILE, NULL);
        add(tree, "a/two", ENTRY_HARDLINK, "a/one");
        add(tree, "b", ENTRY_DIRECTORY, NULL);
        add(tree, "b/file", ENTRY_FILE, NULL);
        add(tree, "c", ENTRY_FILE, NULL);
}

static void test_plain_layers(void **state)
{
        struct error err = ERROR_INIT;
        auto_tree struct tree *tree = tree_new(&err);

        (void)state;
        assert_non_null(tree);
        assert_int_equal(tree_begin_plain_layer(tree, &err), 0);
        add(tree, "", ENTRY_DIRECTORY, NULL);
        add(tree, "a", ENTRY_DIRECTORY, NULL);
        add(tree, "a/one", ENTRY_WHITEOUT, NULL);
        add(tree, "b", ENTRY_DIRECTORY, NULL);
        add(tree, "b", ENTRY_OPAQUE, NULL);
        add(tree, "b/new", ENTRY_FILE, NULL);
        add(tree, ".wh.c", ENTRY_FILE, NULL);
        add(tree, ".wh..wh..opq", ENTRY_DIRECTORY, NULL);
        assert_int_equal(tree_begin_plain_layer(tree, &err), 0);
        lower_layer(tree);
        assert_true(tree_needs_rescan(tree));
        assert_int_equal(tree_begin_rescan(tree, &err), 0);
        lower_layer(tree);
        assert_int_equal(tree_finish(tree, 0, &err), 0);
        expect_tree(tree, "/ .wh..wh..opq/ .wh.c a/ a/two b/ b/new c ");
}

static void test_bad_marks(void **state)
{
        static const enum entry_type types[] = { ENTRY_WHITEOUT, ENTRY_FILE, ENTRY_SYMLINK };
        struct error err = ERROR_INIT;
        auto_tree struct tree *tree = tree_new(&err);

        (void)state;
        assert_non_null(tree);
        assert_int_equal(tree_begin_plain_layer(tree, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                auto_cleanup(entry_release) struct entry entry = {
                        .path = strdup(""),
                        .meta = { .type = types[i], .target = strdup("x") },
                };
                struct tree_inode *file = NULL;

                assert_int_equal(tree_add(tree, &entry, &file, &err), -1);
                assert_int_equal(err.code, EBADMSG);
        }
}

/* ---- directories ---- */

static void make_file(const char *path, const char *text)
{
        auto_close int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);

        assert_true(fd >= 0);
        assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static bool leave_out(const char *path, const struct entry_meta *meta)
{
        (void)meta;
        return strcmp(path, "out") == 0;
}

static struct tree *scan(bool overlay)
{
        struct owner_access access = OWNER_ACCESS_INIT(root_fd);
        const struct scan_options options = {
                .overlay = overlay,
                .leave_out = leave_out,
                .access = &access,
        };
        struct error err = ERROR_INIT;
        auto_tree struct tree *tree = tree_new(&err);

        assert_non_null(tree);
        if (tree_scan(tree, root_fd, &options, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(tree_begin_plain_layer(tree, &err), 0);
        lower_layer(tree);
        if (tree_needs_rescan(tree)) {
                assert_int_equal(tree_begin_rescan(tree, &err), 0);
                lower_layer(tree);
        }
        assert_int_equal(tree_finish(tree, 0, &err), 0);
        owner_access_release(&access);
        return TAKE_PTR(tree);
}

static void test_scan(void **state)
{
        auto_tree struct tree *tree = NULL;

        (void)state;
        assert_int_equal(mkdirat(root_fd, "d", 0711), 0);
        assert_int_equal(mkdirat(root_fd, "out", 0711), 0);
        make_file("out/file", "x");
        make_file("d/file", "text");
        assert_int_equal(linkat(root_fd, "d/file", root_fd, "second", 0), 0);
        assert_int_equal(symlinkat("d", root_fd, "link"), 0);
        assert_int_equal(mknodat(root_fd, "fifo", S_IFIFO | 0600, 0), 0);
        make_file(".wh.c", "");
        tree = scan(false);
        expect_tree(tree, "/ .wh.c a/ a/one*2 a/two*2 b/ b/file c d/ d/file*2 fifo> link> "
                          "second*2 ");
        assert_int_equal(tree_lookup(tree, "d")->inode->meta.mode, 0711);
        assert_int_equal(tree_lookup(tree, "d/file")->inode->meta.size, 4);
        assert_int_equal(tree_lookup(tree, "d/file")->inode->meta.uid, 0);
        assert_string_equal(tree_lookup(tree, "link")->inode->meta.target, "d");
}

/* Whiteouts need no privilege (Linux 5.8), and marks are attributes of the user. */
static void test_overlay(void **state)
{
        auto_tree struct tree *tree = NULL;

        (void)state;
        assert_int_equal(mkdirat(root_fd, "a", 0755), 0);
        assert_int_equal(mkdirat(root_fd, "b", 0755), 0);
        make_file("b/new", "x");
        make_file("c", "");
        if (mknodat(root_fd, "a/one", S_IFCHR, makedev(0, 0)) < 0 ||
            fsetxattr(root_fd, "user.probe", "", 0, 0) < 0)
                skip();
        {
                auto_close int b = openat(root_fd, "b", O_RDONLY | O_DIRECTORY);
                auto_close int c = openat(root_fd, "c", O_RDONLY);

                assert_int_equal(fsetxattr(b, "user.overlay.opaque", "y", 1, 0), 0);
                assert_int_equal(fsetxattr(b, "user.note", "kept", 4, 0), 0);
                assert_int_equal(fsetxattr(c, "user.overlay.whiteout", "", 0, 0), 0);
        }
        tree = scan(true);
        expect_tree(tree, "/ a/ a/two b/ b/new ");
        assert_int_equal(tree_lookup(tree, "b")->inode->meta.xattrs.count, 1);
        tree_free(TAKE_PTR(tree));
        /* In an ordinary directory they are somebody else's. */
        tree = scan(false);
        expect_tree(tree, "/ a/ a/one*2 a/two*2 b/ b/file b/new c ");
}

/* Run as root this shows nothing, and the integration tests do as a user. */
static void test_unreadable(void **state)
{
        auto_tree struct tree *tree = NULL;
        struct stat st;

        (void)state;
        assert_int_equal(mkdirat(root_fd, "closed", 0700), 0);
        assert_int_equal(mkdirat(root_fd, "closed/inner", 0700), 0);
        make_file("closed/inner/file", "x");
        assert_int_equal(fchmodat(root_fd, "closed/inner", 0300, 0), 0);
        assert_int_equal(fchmodat(root_fd, "closed", 0, 0), 0);
        tree = scan(false);
        assert_non_null(tree_lookup(tree, "closed/inner/file"));
        assert_int_equal(tree_lookup(tree, "closed/inner")->inode->meta.mode, 0300);
        assert_int_equal(fstatat(root_fd, "closed", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain_layers),
                cmocka_unit_test(test_bad_marks),
                cmocka_unit_test_setup_teardown(test_scan, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_overlay, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("tree scan", tests, NULL, NULL);
}
