/*
 * tree/: thousands of small random stacks of layers, merged by the tree top first
 * and by a naive model bottom first, as a program does that extracts one layer
 * over the other.
 *
 * Names are a, b and c, three levels deep, so every path is a place in one small
 * array and everything collides with everything. A seed that fails is printed;
 * give it as the argument to run it alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tree/tree.h"

#define ROUNDS      20000
#define PLACES      40 /* the root, 3 names, 9 below, 27 below */
#define LAYERS_MAX  5
#define ENTRIES_MAX 10

/* What links to nothing, to directories and in circles stand for. */
#define ID_MISSING (-1)
#define ID_BAD     (-2)
#define ID_PENDING (-100) /* and below: number n of a layer's pending links is -100 - n */

struct place {
        bool exists, directory;
        int id; /* number of the entry that defined it; 0: a directory without an entry */
};

enum random_kind { RANDOM_FILE, RANDOM_DIRECTORY, RANDOM_LINK, RANDOM_WHITEOUT, RANDOM_OPAQUE };

struct random_entry {
        enum random_kind kind;
        int place, target, id;
};

struct random_layer {
        struct random_entry entries[ENTRIES_MAX];
        size_t count;
};

static uint64_t random_state;

static unsigned int random_below(unsigned int limit)
{
        /* splitmix64 (Steele, Lea, Flood 2014) */
        uint64_t value = random_state += 0x9e3779b97f4a7c15;

        value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
        value = (value ^ value >> 27) * 0x94d049bb133111eb;
        return (unsigned int)((value ^ value >> 31) % limit);
}

/* Places are numbered like a heap with three children. */
static int parent_of(int place)
{
        return (place - 1) / 3;
}

static bool is_below(int place, int directory)
{
        while (place > directory)
                place = parent_of(place);
        return place == directory;
}

static void path_of(int place, char *path)
{
        char reversed[8], *end = reversed;

        for (; place > 0; place = parent_of(place)) {
                if (end > reversed)
                        *end++ = '/';
                *end++ = (char)('a' + (place - 1) % 3);
        }
        while (end > reversed)
                *path++ = *--end;
        *path = '\0';
}

/* A place at most three levels deep, its names among the first few. */
static int random_place(unsigned int names)
{
        int place = 0;

        if (random_below(8) == 0)
                return 0;
        for (unsigned int depth = 1 + random_below(3); depth > 0; depth--)
                place = 3 * place + 1 + (int)random_below(names);
        return place;
}

static void make_layer(struct random_layer *layer, unsigned int names, int *next_id)
{
        static const enum random_kind kinds[] = {
                RANDOM_FILE, RANDOM_FILE, RANDOM_FILE, RANDOM_DIRECTORY, RANDOM_DIRECTORY,
                RANDOM_LINK, RANDOM_LINK, RANDOM_LINK, RANDOM_WHITEOUT,  RANDOM_OPAQUE,
        };

        layer->count = random_below(ENTRIES_MAX + 1);
        for (size_t i = 0; i < layer->count; i++) {
                struct random_entry *entry = &layer->entries[i];

                entry->kind = kinds[random_below(sizeof(kinds) / sizeof(kinds[0]))];
                entry->place = random_place(names);
                if (entry->place == 0 && entry->kind != RANDOM_OPAQUE)
                        entry->kind = RANDOM_DIRECTORY;
                entry->target = random_place(names);
                entry->id = (*next_id)++;
        }
}

/* ---- the model ---- */

struct model_layer {
        struct place own[PLACES];
        bool hides[PLACES];  /* lower layers, here and below */
        bool opaque[PLACES]; /* below */
        int pending[ENTRIES_MAX];
        int pending_count;
};

static bool model_hides(const struct model_layer *layer, int place)
{
        for (; place > 0; place = parent_of(place))
                if (layer->hides[place] || layer->opaque[parent_of(place)])
                        return true;
        return false;
}

static void model_put_file(struct model_layer *layer, int place, int id)
{
        for (int i = 0; i < PLACES; i++)
                if (is_below(i, place))
                        layer->own[i] = (struct place){ .exists = false };
        layer->own[place] = (struct place){ .exists = true, .id = id };
        layer->hides[place] = true;
}

static void model_make_directory(struct model_layer *layer, int place)
{
        if (!layer->own[place].exists || !layer->own[place].directory)
                layer->own[place] = (struct place){ .exists = true, .directory = true };
}

static int model_link(struct model_layer *layer, int target)
{
        if (layer->own[target].exists)
                return layer->own[target].directory ? ID_BAD : layer->own[target].id;
        layer->pending[layer->pending_count] = target;
        return ID_PENDING - layer->pending_count++;
}

static void model_add(struct model_layer *layer, const struct random_entry *entry)
{
        int place = entry->place;
        bool mark = entry->kind == RANDOM_WHITEOUT || entry->kind == RANDOM_OPAQUE;

        for (int above = place; above > 0 && !mark;) {
                above = parent_of(above);
                model_make_directory(layer, above);
        }
        switch (entry->kind) {
        case RANDOM_FILE:
                model_put_file(layer, place, entry->id);
                break;
        case RANDOM_LINK:
                model_put_file(layer, place, model_link(layer, entry->target));
                break;
        case RANDOM_DIRECTORY:
                model_make_directory(layer, place);
                layer->own[place].id = entry->id;
                break;
        case RANDOM_WHITEOUT:
                layer->hides[place] = true;
                break;
        case RANDOM_OPAQUE:
                layer->opaque[place] = true;
                break;
        }
}

/* What a pending link is in the end; steps ends circles. */
static int model_resolve(const struct model_layer *layer, const struct place *lower, int id,
                         int steps)
{
        int target;

        if (id > ID_PENDING)
                return id;
        if (steps == 0)
                return ID_BAD;
        target = layer->pending[ID_PENDING - id];
        if (layer->own[target].exists)
                return layer->own[target].directory
                               ? ID_BAD
                               : model_resolve(layer, lower, layer->own[target].id, steps - 1);
        if (model_hides(layer, target) || !lower[target].exists)
                return ID_MISSING;
        return lower[target].directory ? ID_BAD : lower[target].id;
}

static void model_apply(struct place *state, const struct random_layer *layer)
{
        struct model_layer model = { .pending_count = 0 };
        struct place next[PLACES];

        for (size_t i = 0; i < layer->count; i++)
                model_add(&model, &layer->entries[i]);

        for (int i = 0; i < PLACES; i++) {
                struct place own = model.own[i];
                bool lower = state[i].exists && !model_hides(&model, i);

                if (!own.exists) {
                        next[i] = lower ? state[i] : (struct place){ .exists = false };
                        continue;
                }
                if (own.directory && own.id == 0 && lower && state[i].directory)
                        own.id = state[i].id;
                if (!own.directory)
                        own.id = model_resolve(&model, state, own.id, ENTRIES_MAX);
                next[i] = own;
        }
        memcpy(state, next, sizeof(next));
}

/* ---- the tree ---- */

static int add_layer(struct tree *tree, const struct random_layer *layer, struct error *err)
{
        for (size_t i = 0; i < layer->count; i++) {
                const struct random_entry *random = &layer->entries[i];
                struct entry entry = { .meta.mtime = random->id };
                struct tree_inode *file = NULL;
                char path[32], target[32];
                const char *slash;
                int result;

                path_of(random->place, path);
                path_of(random->target, target);
                slash = strrchr(path, '/');
                slash = slash ? slash + 1 : path;
                if (random->kind == RANDOM_WHITEOUT)
                        assert_true(asprintf(&entry.path, "%.*s.wh.%s", (int)(slash - path), path,
                                             slash) > 0);
                else if (random->kind == RANDOM_OPAQUE)
                        assert_true(asprintf(&entry.path, "%s%s.wh..wh..opq", path,
                                             *path ? "/" : "") > 0);
                else
                        entry.path = strdup(path);
                entry.meta.type = random->kind == RANDOM_DIRECTORY ? ENTRY_DIRECTORY
                                  : random->kind == RANDOM_LINK    ? ENTRY_HARDLINK
                                                                   : ENTRY_FILE;
                if (random->kind == RANDOM_LINK)
                        entry.meta.target = strdup(target);
                result = tree_add(tree, &entry, &file, err);
                entry_release(&entry);
                if (result < 0)
                        return -1;
                if (file) {
                        assert_null(file->data);
                        assert_int_equal(file->meta.mtime, random->id);
                        file->data = (void *)(intptr_t)random->id;
                }
        }
        return 0;
}

static int merge(struct tree *tree, const struct random_layer *layers, size_t count,
                 struct error *err)
{
        for (size_t i = count; i-- > 0;) {
                if (tree_begin_layer(tree, err) < 0 || add_layer(tree, &layers[i], err) < 0)
                        return -1;
                if (tree_needs_rescan(tree) &&
                    (tree_begin_rescan(tree, err) < 0 || add_layer(tree, &layers[i], err) < 0))
                        return -1;
                if (tree_needs_rescan(tree))
                        return error_set(err, EINVAL, "a second pass was not enough");
        }
        return tree_finish(tree, 0, err);
}

/* ---- comparing ---- */

static void print_layers(const struct random_layer *layers, size_t count)
{
        static const char *const kinds[] = { "file", "directory", "link", "whiteout", "opaque" };

        for (size_t i = count; i-- > 0;) {
                print_message("layer %zu:\n", i);
                for (size_t j = 0; j < layers[i].count; j++) {
                        const struct random_entry *entry = &layers[i].entries[j];
                        char path[32], target[32];

                        path_of(entry->place, path);
                        path_of(entry->target, target);
                        print_message("  %d: %s \"%s\"%s%s\n", entry->id, kinds[entry->kind], path,
                                      entry->kind == RANDOM_LINK ? " to " : "",
                                      entry->kind == RANDOM_LINK ? target : "");
                }
        }
}

static unsigned int count_names(const struct place *model, int id)
{
        unsigned int names = 0;

        for (int i = 0; i < PLACES; i++)
                names += model[i].exists && !model[i].directory && model[i].id == id;
        return names;
}

/* NULL when the tree is what the model says, else what is wrong. */
static const char *compare(struct tree *tree, const struct place *model)
{
        for (int i = 0; i < PLACES; i++) {
                const struct tree_node *node;
                char path[32];

                path_of(i, path);
                node = tree_lookup(tree, path);
                if (!node != !model[i].exists)
                        return node ? "a name too many" : "a name is missing";
                if (!node)
                        continue;
                if ((node->inode->meta.type == ENTRY_DIRECTORY) != model[i].directory)
                        return "the wrong kind";
                if (node->inode->meta.mtime != model[i].id)
                        return "the wrong metadata";
                if (model[i].directory)
                        continue;
                if ((intptr_t)node->inode->data != model[i].id)
                        return "the wrong content, or none";
                if (node->inode->links != count_names(model, model[i].id))
                        return "the wrong number of links";
        }
        return NULL;
}

static bool model_has(const struct place *model, int id)
{
        return count_names(model, id) > 0;
}

static const char *check_round(const struct random_layer *layers, size_t count)
{
        struct place model[PLACES] = { [0] = { .exists = true, .directory = true } };
        auto_tree struct tree *tree = NULL;
        struct error err = ERROR_INIT;

        for (size_t i = 0; i < count; i++)
                model_apply(model, &layers[i]);
        model[0].exists = model[0].directory = true;

        tree = tree_new(&err);
        assert_non_null(tree);
        if (merge(tree, layers, count, &err) == 0)
                return model_has(model, ID_MISSING) || model_has(model, ID_BAD)
                               ? "a bad link was accepted"
                               : compare(tree, model);
        if ((err.code == ENOENT && model_has(model, ID_MISSING)) ||
            (err.code == EBADMSG && model_has(model, ID_BAD)))
                return NULL;
        print_message("%s\n", err.message);
        return "an error that the model does not have";
}

static uint64_t first_seed = 1, last_seed = ROUNDS;

static void test_random_stacks(void **state)
{
        (void)state;
        for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
                struct random_layer layers[LAYERS_MAX];
                unsigned int names;
                int next_id = 1;
                const char *problem;
                size_t count;

                random_state = seed;
                count = 1 + random_below(LAYERS_MAX);
                names = 1 + random_below(3);
                for (size_t i = 0; i < count; i++)
                        make_layer(&layers[i], names, &next_id);
                problem = check_round(layers, count);
                if (problem) {
                        print_layers(layers, count);
                        fail_msg("seed %" PRIu64 ": %s", seed, problem);
                }
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_stacks),
        };

        if (argc > 1)
                first_seed = strtoull(argv[1], NULL, 10);
        if (argc > 1)
                last_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : first_seed;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
