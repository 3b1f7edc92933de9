#include "tree/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 64 /* a power of two, as all later sizes */

int view_init(struct view *view, struct error *err)
{
        *view = (struct view){ .nodes = POOL_INIT(struct node), .names = TEXT_POOL_INIT };
        view->key = name_hash_new_key();
        view->slots = calloc(SLOTS_FIRST, sizeof(*view->slots));
        view->slot_count = view->slots ? SLOTS_FIRST : 0;
        view->root = pool_add(&view->nodes);
        if (!view->slots || !view->root ||
            !(view->root->base.name = text_pool_copy(&view->names, "", 0))) {
                view_release(view);
                return error_no_memory(err);
        }
        view->root->directory = view->root->settled = true;
        return 0;
}

void view_release(struct view *view)
{
        free(view->slots);
        view->slots = NULL;
        view->slot_count = 0;
        pool_release(&view->nodes);
        text_pool_release(&view->names);
        view->root = NULL;
}

/* ---- children by name ---- */

/* A component of a path. */
struct component {
        const char *name;
        size_t length;
};

/* Cut the first component off the path. False when there is none. */
static bool next_component(const char **path, struct component *ret)
{
        if (**path == '\0')
                return false;
        ret->name = *path;
        ret->length = strcspn(*path, "/");
        *path += ret->length;
        if (**path == '/')
                (*path)++;
        return true;
}

static uint32_t hash_of(const struct view *view, const struct node *parent,
                        const struct component *component)
{
        return (uint32_t)name_hash(&view->key, (uintptr_t)parent, component->name,
                                   component->length);
}

/* The slot that holds the child, or the free one where it belongs. */
static uint32_t *find_slot(const struct view *view, const struct node *parent,
                           const struct component *component, uint32_t hash)
{
        size_t mask = view->slot_count - 1;

        for (size_t i = hash & mask;; i = (i + 1) & mask) {
                uint32_t *slot = &view->slots[i];
                const struct node *node;

                if (*slot == 0)
                        return slot;
                node = pool_at(&view->nodes, *slot - 1);
                if (node->hash == hash && node->base.parent == &parent->base &&
                    memcmp(node->base.name, component->name, component->length) == 0 &&
                    node->base.name[component->length] == '\0')
                        return slot;
        }
}

static struct node *find_child(const struct view *view, const struct node *parent,
                               const struct component *component)
{
        uint32_t slot = *find_slot(view, parent, component, hash_of(view, parent, component));

        return slot ? pool_at(&view->nodes, slot - 1) : NULL;
}

/* Double the table when it is three quarters full. */
static int make_room(struct view *view, struct error *err)
{
        size_t count = 2 * view->slot_count, mask = count - 1;
        uint32_t *slots;

        if (view->nodes.count < view->slot_count / 4 * 3)
                return 0;
        slots = calloc(count, sizeof(*slots));
        if (!slots)
                return error_no_memory(err);
        for (size_t i = 0; i < view->slot_count; i++) {
                const struct node *node;
                size_t place;

                if (view->slots[i] == 0)
                        continue;
                node = pool_at(&view->nodes, view->slots[i] - 1);
                place = node->hash & mask;
                while (slots[place] != 0)
                        place = (place + 1) & mask;
                slots[place] = view->slots[i];
        }
        free(view->slots);
        view->slots = slots;
        view->slot_count = count;
        return 0;
}

/* Add a child; one of the same name is not found any more. */
static struct node *add_child(struct view *view, struct node *parent,
                              const struct component *component, struct error *err)
{
        uint32_t hash = hash_of(view, parent, component);
        struct node *node;
        char *name;

        if (view->nodes.count >= VIEW_NODES_MAX) {
                error_set(err, EFBIG, "more than %d names", VIEW_NODES_MAX);
                return NULL;
        }
        if (make_room(view, err) < 0)
                return NULL;
        name = text_pool_copy(&view->names, component->name, component->length);
        node = name ? pool_add(&view->nodes) : NULL;
        if (!node) {
                error_no_memory(err);
                return NULL;
        }
        node->base.name = name;
        node->base.parent = &parent->base;
        node->hash = hash;
        *find_slot(view, parent, component, hash) = (uint32_t)view->nodes.count;
        return node;
}

static const struct node *parent_of(const struct node *node)
{
        return (const struct node *)node->base.parent;
}

/* ---- one layer's marks ---- */

static bool is_own(uint32_t moment, const struct layer_clock *clock)
{
        return moment >= clock->start;
}

static bool is_above(uint32_t moment, const struct layer_clock *clock)
{
        return moment != 0 && moment < clock->start;
}

/* A directory of an upper layer cannot be taken away by the current one. */
static void settle(struct node *node, const struct layer_clock *clock)
{
        if (node->directory && is_above(node->used, clock))
                node->settled = true;
}

/* Forget what the current layer has put here. */
static void forget_own(struct node *node, const struct layer_clock *clock)
{
        node->used = 0;
        if (is_own(node->defined, clock)) {
                node->defined = 0;
                node->base.inode = NULL;
        }
        node->directory = node->settled;
}

/* The current layer's latest replacement on the way: all of its own before that is void below. */
static uint32_t later_replacement(uint32_t replaced, const struct node *node,
                                  const struct layer_clock *clock)
{
        return is_own(node->closed, clock) && node->closed > replaced ? node->closed : replaced;
}

/* The child, made if create says so. 1 and *ret, 0 when there is none, or -1 with *err. */
static int enter_child(struct view *view, struct node *parent, const struct component *component,
                       bool create, struct node **ret, struct error *err)
{
        *ret = find_child(view, parent, component);
        if (!*ret && create) {
                *ret = add_child(view, parent, component, err);
                if (!*ret)
                        return -1;
        }
        return *ret != NULL;
}

int view_reach(struct view *view, const char *path, const struct layer_clock *clock, bool create,
               struct node **ret, struct error *err)
{
        struct node *node = view->root;
        struct component component;
        uint32_t replaced = 0;

        while (next_component(&path, &component)) {
                struct node *child;
                int found;

                if (is_above(node->closed, clock))
                        return 0;
                view_put_directory(node, clock);
                if (is_above(node->opaque, clock))
                        return 0;
                replaced = later_replacement(replaced, node, clock);

                found = enter_child(view, node, &component, create, &child, err);
                if (found <= 0)
                        return found;
                settle(child, clock);
                if (is_own(child->used, clock) && child->used < replaced)
                        forget_own(child, clock);
                node = child;
        }
        if (is_above(node->closed, clock))
                return 0;
        *ret = node;
        return 1;
}

int view_reach_mark(struct view *view, const char *path, const struct layer_clock *clock,
                    bool create, struct node **ret, struct error *err)
{
        struct node *node = view->root;
        struct component component;

        while (next_component(&path, &component)) {
                int found;

                if (is_above(node->closed, clock) || is_above(node->opaque, clock))
                        return 0;
                found = enter_child(view, node, &component, create, &node, err);
                if (found <= 0)
                        return found;
        }
        if (is_above(node->closed, clock))
                return 0;
        *ret = node;
        return 1;
}

void view_put_file(struct node *node, const struct layer_clock *clock, struct tree_inode *inode)
{
        forget_own(node, clock);
        node->closed = clock->now;
        if (!node->settled) {
                node->used = node->defined = clock->now;
                node->base.inode = inode;
        }
}

void view_put_directory(struct node *node, const struct layer_clock *clock)
{
        if (!node->directory) {
                node->directory = true;
                node->defined = 0;
                node->base.inode = NULL;
        }
        node->used = clock->now;
}

void view_put_whiteout(struct node *node, const struct layer_clock *clock)
{
        if (node->closed == 0)
                node->closed = clock->start;
}

bool view_put_opaque(struct node *node, const struct layer_clock *clock)
{
        if (node->opaque == 0)
                node->opaque = clock->start;
        return is_own(node->opaque, clock);
}

bool view_is_own(const struct node *node, const struct layer_clock *clock)
{
        if (!is_own(node->used, clock))
                return false;
        for (const struct node *above = parent_of(node); above; above = parent_of(above))
                if (is_own(above->closed, clock) && node->used < above->closed)
                        return false;
        return true;
}

/* ---- questions ---- */

struct node *view_find_own(const struct view *view, const char *path,
                           const struct layer_clock *clock)
{
        struct node *node = view->root;
        struct component component;
        uint32_t replaced = 0;

        while (next_component(&path, &component)) {
                if (!node->directory || is_above(node->closed, clock) ||
                    is_above(node->opaque, clock))
                        return NULL;
                replaced = later_replacement(replaced, node, clock);
                node = find_child(view, node, &component);
                if (!node || !is_own(node->used, clock) || node->used < replaced)
                        return NULL;
        }
        return node;
}

bool view_hides_lower(const struct view *view, const char *path, const struct layer_clock *clock)
{
        const struct node *node = view->root;
        struct component component;

        while (next_component(&path, &component)) {
                if (is_own(node->opaque, clock))
                        return true;
                node = find_child(view, node, &component);
                if (!node)
                        return false;
                if (is_own(node->closed, clock))
                        return true;
        }
        return false;
}

bool view_is_hidden(const struct node *node)
{
        if (node->closed != 0)
                return true;
        for (const struct node *above = parent_of(node); above; above = parent_of(above))
                if (above->closed != 0 || above->opaque != 0)
                        return true;
        return false;
}

struct node *view_renew(struct view *view, const char *path, struct error *err)
{
        struct node *node = view->root;
        struct component component;

        while (next_component(&path, &component)) {
                struct node *child = find_child(view, node, &component);

                if (!child || child->closed != 0)
                        child = add_child(view, node, &component, err);
                if (!child)
                        return NULL;
                child->opaque = 0;
                node = child;
        }
        node->used = 0;
        node->directory = node->settled = false;
        return node;
}
