/*
 * tree/: the rules of merging, one case a line.
 *
 * A layer is written as words: "path=text" a file with that content,
 * "path/:700" a directory (0711 if no mode is given), "path>target" a symbolic
 * link, "path@target" a hard link, "path|" a fifo. The merged tree is printed in
 * the same words, in order; directories without an entry have 0755, and "*2"
 * follows a name that has two links.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tree/tree.h"
#include "util/cleanup.h"
#include "util/strbuf.h"
#include "util/strlist.h"

#define LAYERS_MAX 6

/* What the last merge asked for. */
static struct strlist contents;
static unsigned int rescans;

static void parse_word(const char *word, struct entry *entry, const char **ret_content)
{
        size_t length = strcspn(word, "/=>@|");
        const char *mark = word + length;

        /* The last slash ends a directory's name; others are part of the path. */
        while (*mark == '/' && mark[1] != '\0' && mark[1] != ':')
                mark += 1 + strcspn(mark + 1, "/=>@|");
        entry->path = strndup(word, (size_t)(mark - word));
        *ret_content = NULL;
        switch (*mark) {
        case '/':
                entry->meta.type = ENTRY_DIRECTORY;
                entry->meta.mode = mark[1] == ':' ? strtoul(mark + 2, NULL, 8) : 0711;
                break;
        case '=':
                entry->meta.type = ENTRY_FILE;
                *ret_content = mark + 1;
                entry->meta.size = strlen(mark + 1);
                break;
        case '>':
                entry->meta.type = ENTRY_SYMLINK;
                entry->meta.target = strdup(mark + 1);
                break;
        case '@':
                entry->meta.type = ENTRY_HARDLINK;
                entry->meta.target = strdup(mark + 1);
                break;
        case '|':
                entry->meta.type = ENTRY_FIFO;
                break;
        default:
                fail_msg("bad word: %s", word);
        }
}

/* Give one layer to the tree and store the content of what it asks for. */
static int add_words(struct tree *tree, const char *layer, struct error *err)
{
        auto_free char *copy = strdup(layer);
        char *rest = copy;

        for (char *word; (word = strtok_r(rest, " ", &rest));) {
                struct entry entry = { .path = NULL };
                struct tree_inode *file = NULL;
                const char *content;
                int result;

                parse_word(word, &entry, &content);
                result = tree_add(tree, &entry, &file, err);
                entry_release(&entry);
                if (result < 0)
                        return -1;
                if (file) {
                        assert_non_null(content);
                        assert_null(file->data);
                        assert_int_equal(strlist_append(&contents, content), 0);
                        file->data = contents.items[contents.count - 1];
                }
        }
        return 0;
}

static int merge(struct tree *tree, const char *const *layers, struct error *err)
{
        for (; *layers; layers++) {
                if (tree_begin_layer(tree, err) < 0 || add_words(tree, *layers, err) < 0)
                        return -1;
                if (!tree_needs_rescan(tree))
                        continue;
                rescans++;
                if (tree_begin_rescan(tree, err) < 0 || add_words(tree, *layers, err) < 0)
                        return -1;
                assert_false(tree_needs_rescan(tree));
        }
        return tree_finish(tree, 12345, err);
}

static void print_node(const struct tree_node *node, const char *path, struct strbuf *text)
{
        const struct entry_meta *meta = &node->inode->meta;

        strbuf_printf(text, "%s%s", text->length > 0 ? " " : "", path);
        switch (meta->type) {
        case ENTRY_DIRECTORY:
                strbuf_append_char(text, '/');
                if (meta->mode != 0711)
                        strbuf_printf(text, ":%o", meta->mode);
                break;
        case ENTRY_FILE:
                assert_non_null(node->inode->data);
                strbuf_printf(text, "=%s", (const char *)node->inode->data);
                break;
        case ENTRY_SYMLINK:
                strbuf_printf(text, ">%s", meta->target);
                break;
        default:
                assert_int_equal(meta->type, ENTRY_FIFO);
                strbuf_append_char(text, '|');
        }
        if (node->inode->links > 1)
                strbuf_printf(text, "*%u", node->inode->links);
}

static void print_children(const struct tree_node *node, const char *path, struct strbuf *text)
{
        for (size_t i = 0; i < node->child_count; i++) {
                const struct tree_node *child = node->children[i];
                auto_strbuf struct strbuf child_path = STRBUF_INIT;

                assert_ptr_equal(child->parent, node);
                if (i > 0)
                        assert_true(strcmp(node->children[i - 1]->name, child->name) < 0);
                strbuf_printf(&child_path, "%s%s%s", path, *path ? "/" : "", child->name);
                print_node(child, child_path.data, text);
                print_children(child, child_path.data, text);
        }
}

struct merge_case {
        const char *layers[LAYERS_MAX]; /* top first */
        const char *expected;           /* NULL: an error … */
        int code;                       /* … with this code … */
        const char *message;            /* … that contains this */
        unsigned int rescans;
};

static void check_case(const struct merge_case *merge_case)
{
        auto_tree struct tree *tree = NULL;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error err = ERROR_INIT;
        int result;

        strlist_release(&contents);
        rescans = 0;
        tree = tree_new(&err);
        assert_non_null(tree);
        result = merge(tree, merge_case->layers, &err);
        if (!merge_case->expected) {
                assert_int_equal(result, -1);
                assert_int_equal(err.code, merge_case->code);
                if (!strstr(err.message, merge_case->message))
                        fail_msg("expected %s, got: %s", merge_case->message, err.message);
                return;
        }
        if (result < 0)
                fail_msg("expected %s, got: %s", merge_case->expected, err.message);
        print_children(tree_root(tree), "", &text);
        assert_string_equal(strbuf_text(&text), merge_case->expected);
        assert_int_equal(rescans, merge_case->rescans);
}

static void check_cases(const struct merge_case *cases, size_t count)
{
        for (size_t i = 0; i < count; i++)
                check_case(&cases[i]);
}

static void test_layers(void **state)
{
        static const struct merge_case cases[] = {
                { { "" }, "" },
                { { "b=1 a=2" }, "a=2 b=1" },
                { { "a=top", "a=bottom b=bottom" }, "a=top b=bottom" },
                { { "d/e/f=1" }, "d/:755 d/e/:755 d/e/f=1" },
                { { "s>/etc p|", "s=1 p=2" }, "p| s>/etc" },
                /* whiteouts */
                { { ".wh.a=", "a=1 b=2" }, "b=2" },
                { { ".wh.a=", "a/x=1 a/y/z=2 b=3" }, "b=3" },
                { { "d/.wh.a=", "d/a=1 d/b=2" }, "d/:755 d/b=2" },
                { { ".wh.a= a=1", "a=2" }, "a=1" },
                { { "a=1 .wh.a=", "a=2" }, "a=1" },
                { { ".wh.a=", "a=2", "a=3" }, "" },
                { { "c=1", ".wh.a=", "a=2" }, "c=1" },
                { { "a=1", ".wh.a=", "a=2" }, "a=1" },
                { { ".wh.d= d/x=1", "d/:700 d/y=2" }, "d/:755 d/x=1" },
                { { "d/x=1 .wh.d=", "d/:700 d/y=2" }, "d/:755 d/x=1" },
                { { "d/x=1", ".wh.d=", "d/:700 d/y=2" }, "d/:755 d/x=1" },
                { { ".wh.nothing=", "a=1" }, "a=1" },
                /* … which make no directory, whatever stands there or not */
                { { "a/b/.wh.c=" }, "" },
                { { "a/b/.wh..wh..opq=" }, "" },
                { { "a/b/.wh.c=", "a/x=1" }, "a/:755 a/x=1" },
                { { "d/.wh.x=", "d/:700 d/x=1" }, "d/:700" },
                { { "d/.wh.x=", "d/x=1" }, "d/:755" },
                { { "d/.wh.x=", "d=1" }, "d=1" },
                { { "d/.wh.x=", "d=1", "d/x=2" }, "d=1" },
                { { "d/.wh..wh..opq=", "d=1" }, "d=1" },
                { { "d/.wh..wh..opq=", "d/x=1 d=2", "d/:700 d/y=3" }, "d=2" },
                { { "d/.wh..wh..opq=", "d=1 d/x=2", "d/:700 d/y=3" }, "d/:755" },
                { { "d/.wh..wh..opq=", "d/x=1", "d/:700 d/y=3" }, "d/:700" },
                { { "d=1 d/.wh.x=" }, "d=1" },
                { { "d/.wh.x= d=1" }, "d=1" },
                { { "d=1 d/.wh.x=", "d/x=2 d/y=3" }, "d=1" },
                { { "d/.wh.x= d=1", "d/x=2 d/y=3" }, "d=1" },
                { { "d=1 d/e/.wh.x=", "d/e/x=2" }, "d=1" },
                { { "d=1 d/.wh..wh..opq=", "d/x=2" }, "d=1" },
                { { "d/.wh..wh..opq= d=1", "d/x=2" }, "d=1" },
                { { "d=1 d/.wh.x= d/y=2", "d/x=3 d/z=4" }, "d/:755 d/y=2" },
                { { "d/.wh.x= d/y=2 d=1 d/z=3", "d/x=3 d/y=4" }, "d/:755 d/z=3" },
                { { "d=1", "d/.wh.x=", "d/y=2" }, "d=1" },
                { { "d/y=1", "d=2 d/.wh.x=", "d/x=3" }, "d/:755 d/y=1" },
                { { "d>e d/.wh.x=", "d/x=1 e/x=2" }, "d>e e/:755 e/x=2" },
                /* opaque directories */
                { { "d/ d/.wh..wh..opq= d/x=1", "d/:700 d/y=2 d/x=3 e=4" }, "d/ d/x=1 e=4" },
                { { "d/x=1 d/.wh..wh..opq=", "d/:700 d/y=2", "d/z=1" }, "d/:700 d/x=1" },
                { { ".wh..wh..opq= x=1", "a=1 b/c=2" }, "x=1" },
                { { "d/e=0", "d/.wh..wh..opq= d/x=1", "d/y=2" }, "d/:755 d/e=0 d/x=1" },
                { { "d/.wh..wh..opq=", "d/.wh..wh..opq=", "d/y=2" }, "d/:755" },
                /* names of aufs */
                { { ".wh..wh.aufs= .wh..wh.orph/ .wh..wh.plnk/1.2=x a=1" }, "a=1" },
                { { ".wh..wh.plnk/1.2=x a@.wh..wh.plnk/1.2 b@.wh..wh.plnk/1.2" },
                  "a=x*2 b=x*2",
                  .rescans = 1 },
                { { ".wh.d/x=1 .wh.e/", "d/y=2 e/z=3" }, "d/:755 d/y=2" },
                { { "x@.wh..wh.aufs .wh.y@.wh..wh.aufs .wh..wh.aufs=m", "y=1" },
                  "x=m",
                  .rescans = 1 },
        };

        (void)state;
        check_cases(cases, ARRAY_SIZE(cases));
}

static void test_kinds_change(void **state)
{
        static const struct merge_case cases[] = {
                /* across layers */
                { { "d=1", "d/:700 d/x=2" }, "d=1" },
                { { "d/x=1", "d=2" }, "d/:755 d/x=1" },
                { { "d/:700", "d=2", "d/y=3" }, "d/:700" },
                { { "d/x=1", "d=2", "d/:700 d/y=3" }, "d/:755 d/x=1" },
                { { "d/x=1", "d>e", "d/:700 d/y=3" }, "d/:755 d/x=1" },
                { { "d/x=1", "d/:700 d/y=2", "d/:500 d/z=3" }, "d/:700 d/x=1 d/y=2 d/z=3" },
                { { "d/:700", "d/:500", "d/:400" }, "d/:700" },
                /* a link on the way is not followed */
                { { "s/x=1", "s>etc etc/x=2" }, "etc/:755 etc/x=2 s/:755 s/x=1" },
                { { "s>etc s/x=1" }, "s/:755 s/x=1" },
                { { "s>etc s/.wh.x=", "etc/x=1" }, "etc/:755 etc/x=1 s>etc" },
                /* inside one layer */
                { { "a=1 a=2" }, "a=2" },
                { { "a=1 a>b a|" }, "a|" },
                { { "d/:700 d/x=1 d/:500" }, "d/:500 d/x=1" },
                { { "d/x=1 d=2" }, "d=2" },
                { { "d=1 d/x=2" }, "d/:755 d/x=2" },
                { { "d=1 d/:700", "d/:500 d/y=1" }, "d/:700" },
                { { "d/x=1 d/e/y=2 d=3 d/z=4", "d/w=5" }, "d/:755 d/z=4" },
                { { "d/e/x=1 d/e=2 d/e/y=3 d=4 d/e/z=5" }, "d/:755 d/e/:755 d/e/z=5" },
                { { "d/e/f/x=1 d=2 d/e/g=3" }, "d/:755 d/e/:755 d/e/g=3" },
                { { "d/.wh.x= d=1 d/y=2", "d/x=3" }, "d/:755 d/y=2" },
                /* both */
                { { "d/x=0", "d/:700 d/y=1 d=2", "d/z=3" }, "d/:755 d/x=0" },
                { { "d/x=0", "d/:700 d/y=1 d=2 d/:500 d/w=4", "d/z=3" }, "d/:500 d/w=4 d/x=0" },
                { { "d/e/x=0", "d/e/:700 d/e/y=1 d=2 d/e/w=4", "d/e/z=3 d/q=5" },
                  "d/:755 d/e/:755 d/e/w=4 d/e/x=0" },
                { { "d/e/x=0", "d/e/:700 d=2", "d/e/:500" }, "d/:755 d/e/:755 d/e/x=0" },
        };

        (void)state;
        check_cases(cases, ARRAY_SIZE(cases));
}

static void test_hard_links(void **state)
{
        static const struct merge_case cases[] = {
                { { "a=1 b@a c@b" }, "a=1*3 b=1*3 c=1*3" },
                { { "s>x b@s" }, "b>x*2 s>x*2" },
                { { "a=1 b@a a=2" }, "a=2 b=1" },
                { { "a=1 b@a b=2" }, "a=1 b=2" },
                { { "a=1 b@a b@a a@b" }, "a=1*2 b=1*2" },
                { { "a=1 a@a" }, "a=1" },
                { { "b@a a=1" }, "a=1*2 b=1*2" },
                { { "c@b b@a a=1" }, "a=1*3 b=1*3 c=1*3" },
                { { "d/x=1 d@d/x" }, "d=1" },
                /* the target's own name is hidden by an upper layer */
                { { ".wh.a=", "a=1 b@a" }, "b=1", .rescans = 1 },
                { { "a=0", "a=1 b@a c@a" }, "a=0 b=1*2 c=1*2", .rescans = 1 },
                { { ".wh.a= .wh.b=", "a=1 b@a c@b" }, "c=1", .rescans = 1 },
                { { "a=0 b=0", "a=1 b@a a=2 c@b d@a" }, "a=0 b=0 c=1 d=2", .rescans = 1 },
                { { "a=0", "b@a a=1" }, "a=0 b=1", .rescans = 1 },
                { { "a/x=0", "a=1 b@a" }, "a/:755 a/x=0 b=1", .rescans = 1 },
                { { ".wh.d=", "d/x=1 d=2 d/y=3 b@d/y c@d/y" }, "b=3*2 c=3*2", .rescans = 1 },
                { { "a=0 b=0", "a=1 b@a" }, "a=0 b=0" },
                { { ".wh.s=", "s>x b@s" }, "b>x", .rescans = 1 },
                /* the target is in a lower layer */
                { { "b@a", "a=1" }, "a=1*2 b=1*2" },
                { { "b@a a=0", "a=1" }, "a=0*2 b=0*2" },
                { { "a=0", "b@a", "a=1" }, "a=0 b=1" },
                { { ".wh.a=", "b@a", "a=1" }, "b=1" },
                { { ".wh.a=", "b@a", "a@c c=2", "a=3" }, "b=2*2 c=2*2" },
                { { ".wh.a= .wh.c=", "b@a", "c=2 a@c", "a=3" }, "b=2", .rescans = 1 },
                { { "c@b", "b@a", "a=1" }, "a=1*3 b=1*3 c=1*3" },
                { { ".wh.a= .wh.b=", "c@b", "b@a", "a=1" }, "c=1" },
                { { "a=0", "b@a", "c@a", "a=1" }, "a=0 b=1*2 c=1*2" },
                { { "d=0", "b@d/x", "d/y=2", "d/x=1" }, "b=1 d=0" },
                { { "a/y=0", "b@a", "a=1" }, "a/:755 a/y=0 b=1" },
                { { "b@d/x", "d/:700 d/x=1" }, "b=1*2 d/:700 d/x=1*2" },
                { { ".wh.d=", "b@d", "d/x/y=2 d=1" }, "b=1" },
                { { "b@a", "b=5 a=1" }, "a=1*2 b=1*2" },
                { { "a=0", "b@a b=2", "a=1" }, "a=0 b=2" },
                { { "b@d", "d/.wh.x=", "d=1" }, "b=1*2 d=1*2" },
                { { "b@d d/.wh.x=", "d=1" }, "b=1*2 d=1*2" },
                { { "d=0", "b@d d/.wh.x=", "d=1" }, "b=1 d=0" },
                { { "d=0", "b@d d=1 d/.wh.x=", "d=2" }, "b=1 d=0", .rescans = 1 },
                /* a name that one layer hides is looked for again on behalf of another */
                { { "d=0", "e@d/x", ".wh.d= d/x=1", "d/x=2" }, "d=0 e=1" },
                { { "b@d/x b=0", ".wh.d=", "c@d/x", "d/x=1" }, "b=0 c=1" },
                { { "b@d/x b=0", "d/.wh..wh..opq=", "c@d/x", "d/x=1" }, "b=0 c=1 d/:755" },
                { { "a@d", "c@d d/.wh..wh..opq=", "d=1" }, "a=1*3 c=1*3 d=1*3" },
                { { "a@d", "d/.wh..wh..opq=", "c@d/x", "d=1" }, NULL, ENOENT, "target d/x" },
                { { "a@d c=0", "d/.wh..wh..opq=", "c@d/x", "d=1" }, "a=1*2 c=0 d=1*2" },
                { { "a@d/x a=0", "d/.wh..wh..opq=", "c@d/y", "d/x=1 d/y=2" }, "a=0 c=2 d/:755" },
                { { "b@d/x b=0", "d/y=1", "c@d", "d=2" }, "b=0 c=2 d/:755 d/y=1" },
                { { "b@d/x b=0", "d/y=1", "d/z=3", "c@d", "d=2" }, "b=0 c=2 d/:755 d/y=1 d/z=3" },
        };

        (void)state;
        check_cases(cases, ARRAY_SIZE(cases));
}

static void test_bad_layers(void **state)
{
        static const struct merge_case cases[] = {
                { { ".wh.=" }, NULL, EBADMSG, ".wh.: a whiteout" },
                { { "d/.wh..=" }, NULL, EBADMSG, "d/.wh.." },
                { { ".wh...=" }, NULL, EBADMSG, ".wh..." },
                { { "a>" }, NULL, EBADMSG, "symbolic link to nothing" },
                { { "=x" }, NULL, EBADMSG, "root" },
                { { "a/../b=1" }, NULL, EINVAL, "a/../b" },
                { { "a/./b=1" }, NULL, EINVAL, "a/./b" },
                { { "//b=1" }, NULL, EINVAL, "normalised" },
                { { "b@../a" }, NULL, EINVAL, "hard link b: \"../a\"" },
                { { "b@a" }, NULL, ENOENT, "hard link b: no layer has its target a" },
                { { "b@a .wh.a=", "a=1" }, NULL, ENOENT, "target a" },
                { { "b@d/a d/.wh..wh..opq=", "d/a=1" }, NULL, ENOENT, "target d/a" },
                { { "d/.wh..wh..opq=", "d/.wh..wh..opq= b@d/a", "d/a=1" },
                  NULL,
                  ENOENT,
                  "target d/a" },
                { { "b@d/a", ".wh.d=", "d/a=1" }, NULL, ENOENT, "target d/a" },
                { { "b@d/a", "d=2", "d/a=1" }, NULL, ENOENT, "target d/a" },
                { { "a=0", "b@a", ".wh.a=", "a=1" }, NULL, ENOENT, "hard link b: no layer" },
                { { ".wh.a=", "b@a", ".wh.a=", "a=1" }, NULL, ENOENT, "hard link b: no layer" },
                { { "x/b@a" }, NULL, ENOENT, "hard link x/b: no layer has its target a" },
                { { "a@a" }, NULL, EBADMSG, "leads back to itself" },
                { { "a@b b@a" }, NULL, EBADMSG, "leads back to itself" },
                { { "a@b c@d b@c d@a" }, NULL, EBADMSG, "leads back to itself" },
                { { "d/ b@d" }, NULL, EBADMSG, "hard link b: its target d is a directory" },
                { { "d/x=1 b@d" }, NULL, EBADMSG, "is a directory" },
                { { "d/", "d/x=1 b@d", "d=1" }, NULL, EBADMSG, "is a directory" },
                { { "b@d", "d/x=1" }, NULL, EBADMSG, "is a directory" },
                { { "b@d/e", "d/e/x=1", "d/e=1" }, NULL, EBADMSG, "is a directory" },
        };
        auto_free char *name = calloc(1, NAME_MAX + 3), *path = calloc(1, PATH_MAX + 3);
        struct merge_case long_name = { { name }, NULL, ENAMETOOLONG, "255" };
        struct merge_case long_path = { { path }, NULL, ENAMETOOLONG, "4095" };

        (void)state;
        check_cases(cases, ARRAY_SIZE(cases));

        memset(name, 'n', NAME_MAX + 1);
        strcat(name, "|");
        check_case(&long_name);
        for (size_t i = 0; i < PATH_MAX; i += 2)
                memcpy(path + i, "a/", 2);
        path[PATH_MAX - 1] = 'b';
        path[PATH_MAX] = '|';
        check_case(&long_path);
}

/* Links that are bad but not visible in the end do not matter. */
static void test_hidden_bad_links(void **state)
{
        static const struct merge_case cases[] = {
                { { "b=1", "b@missing" }, "b=1" },
                { { "b@missing b=1" }, "b=1" },
                { { "d/b@missing d=1" }, "d=1" },
                { { ".wh.b=", "b@b" }, "" },
        };

        (void)state;
        check_cases(cases, ARRAY_SIZE(cases));
}

/* Every visible content is asked for once, hidden ones never. */
static void test_only_needed_content(void **state)
{
        static const struct merge_case hidden = {
                { "a=1 d/.wh..wh..opq=", "a=2 b@a d/x=3", "a=4 b=5 c=6 d/y=7" },
                "a=1 b=2 c=6 d/:755",
                .rescans = 1,
        };
        static const struct merge_case answered = {
                { "b@d b=1", "d/x=2", "d=3" },
                "b=1 d/:755 d/x=2",
        };

        (void)state;
        check_case(&hidden);
        assert_int_equal(contents.count, 3);
        check_case(&answered);
        assert_int_equal(contents.count, 2);
}

static void test_metadata(void **state)
{
        auto_tree struct tree *tree = NULL;
        struct error err = ERROR_INIT;
        struct entry entry = {
                .path = strdup(""),
                .meta = { .type = ENTRY_DIRECTORY, .mode = 0750, .uid = 7, .mtime = -5 }
        };
        struct tree_inode *file;
        const struct entry_meta *meta;

        (void)state;
        tree = tree_new(&err);
        assert_non_null(tree);
        assert_int_equal(xattr_list_set(&entry.meta.xattrs, "user.a", "b", 1), 0);
        assert_int_equal(tree_begin_layer(tree, &err), 0);
        assert_int_equal(tree_add(tree, &entry, &file, &err), 0);
        assert_null(entry.meta.xattrs.items); /* moved */
        entry_release(&entry);
        assert_int_equal(add_words(tree, "usr/lib/x| usr/lib2>lib", &err), 0);
        assert_int_equal(tree_finish(tree, 12345, &err), 0);

        meta = &tree_root(tree)->inode->meta;
        assert_int_equal(meta->mode, 0750);
        assert_int_equal(meta->uid, 7);
        assert_int_equal(meta->mtime, -5);
        assert_int_equal(meta->xattrs.count, 1);
        assert_string_equal(tree_root(tree)->name, "");

        assert_ptr_equal(tree_lookup(tree, ""), tree_root(tree));
        meta = &tree_lookup(tree, "usr/lib")->inode->meta;
        assert_int_equal(meta->mode, 0755);
        assert_int_equal(meta->mtime, 12345);
        assert_int_equal(tree_lookup(tree, "usr/lib/x")->inode->meta.type, ENTRY_FIFO);
        assert_null(tree_lookup(tree, "usr/li"));
        assert_null(tree_lookup(tree, "usr/lib/x/y"));
        assert_null(tree_lookup(tree, "usr/lib2/x"));
        assert_int_equal(tree_inode_count(tree), 5);
}

/* A second pass that does not show what the first one did. */
static void test_changed_layer(void **state)
{
        static const char *const second_passes[] = { "", "x|", "a/", "a@b" };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(second_passes); i++) {
                auto_tree struct tree *tree = NULL;
                struct error err = ERROR_INIT;
                int result;

                tree = tree_new(&err);
                assert_non_null(tree);
                assert_int_equal(tree_begin_layer(tree, &err), 0);
                assert_int_equal(add_words(tree, ".wh.a=", &err), 0);
                assert_int_equal(tree_begin_layer(tree, &err), 0);
                assert_int_equal(add_words(tree, "z| a=1 b@a", &err), 0);
                assert_true(tree_needs_rescan(tree));
                assert_int_equal(tree_begin_rescan(tree, &err), 0);
                result = add_words(tree, "z|", &err);
                if (result == 0)
                        result = add_words(tree, second_passes[i], &err);
                if (result == 0 && tree_needs_rescan(tree))
                        result = tree_finish(tree, 0, &err);
                /* "x|" comes at the right place: any file will do there. */
                assert_int_equal(result, i == 1 ? 0 : -1);
                if (result < 0)
                        assert_int_equal(err.code, EIO);
        }
}

/* As deep as a path can be, and as many names in one directory as a hash has to stand. */
static void test_extremes(void **state)
{
        auto_tree struct tree *tree = NULL;
        struct error err = ERROR_INIT;
        auto_free char *path = calloc(1, PATH_MAX + 1);
        char word[32];

        (void)state;
        tree = tree_new(&err);
        assert_non_null(tree);
        for (size_t i = 0; i < PATH_MAX - 2; i += 2)
                memcpy(path + i, "a/", 2);
        path[PATH_MAX - 2] = 'b';
        assert_int_equal(tree_begin_layer(tree, &err), 0);
        strcat(path, "|");
        assert_int_equal(add_words(tree, path, &err), 0);
        path[strlen(path) - 1] = '\0';
        for (int i = 0; i < 50000; i++) {
                (void)snprintf(word, sizeof(word), "many/.wh.%d=", i);
                assert_int_equal(add_words(tree, word, &err), 0);
        }
        assert_int_equal(tree_begin_layer(tree, &err), 0);
        for (int i = 60000; i-- > 0;) {
                (void)snprintf(word, sizeof(word), "many/%d|", i);
                assert_int_equal(add_words(tree, word, &err), 0);
        }
        assert_int_equal(tree_finish(tree, 0, &err), 0);
        assert_non_null(tree_lookup(tree, path));
        assert_int_equal(tree_lookup(tree, "many")->child_count, 10000);
        assert_null(tree_lookup(tree, "many/49999"));
        assert_non_null(tree_lookup(tree, "many/50000"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layers),           cmocka_unit_test(test_kinds_change),
                cmocka_unit_test(test_hard_links),       cmocka_unit_test(test_bad_layers),
                cmocka_unit_test(test_hidden_bad_links), cmocka_unit_test(test_only_needed_content),
                cmocka_unit_test(test_metadata),         cmocka_unit_test(test_changed_layer),
                cmocka_unit_test(test_extremes),
        };

        int result = cmocka_run_group_tests(tests, NULL, NULL);

        strlist_release(&contents);
        return result;
}
