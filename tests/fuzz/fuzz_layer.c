/*
 * Tar archives, merged: two layers cut out of the input, the first as many blocks
 * long as its first byte says. Whatever comes of it is a tree whose names cannot
 * lead out of it and whose files all have content. The checksums of what looks like
 * headers are put right first, which chance would hardly do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "layer/layer.h"
#include "util/cleanup.h"

#define BLOCK_SIZE  512
#define CHECKSUM_AT 148
#define MAGIC_AT    257

static void read_content(struct layer *layer, struct tree_inode *file, struct error *err)
{
        uint64_t end = 0, offset;
        const void *data;
        ssize_t n;

        while ((n = layer_read(layer, &data, &offset, err)) > 0) {
                if (offset < end || offset + (uint64_t)n > file->meta.size)
                        abort();
                end = offset + (uint64_t)n;
        }
        file->data = file;
}

static int add_layer(struct tree *tree, const uint8_t *data, size_t size, struct error *err)
{
        auto_layer struct layer *layer = layer_open(stream_from_memory(data, size, err), err);
        struct entry entry = { .path = NULL };
        int result = -1;

        while (layer && (result = layer_next(layer, &entry, err)) > 0) {
                struct tree_inode *file;

                result = tree_add(tree, &entry, &file, err);
                entry_release(&entry);
                if (result < 0)
                        return -1;
                if (file)
                        read_content(layer, file, err);
        }
        return result;
}

static int merge(struct tree *tree, const uint8_t *data, size_t size, struct error *err)
{
        if (tree_begin_layer(tree, err) < 0 || add_layer(tree, data, size, err) < 0)
                return -1;
        if (!tree_needs_rescan(tree))
                return 0;
        if (tree_begin_rescan(tree, err) < 0 || add_layer(tree, data, size, err) < 0)
                return -1;
        if (tree_needs_rescan(tree))
                abort();
        return 0;
}

static void check_node(const struct tree_node *node)
{
        if (!node->inode || node->inode->links == 0 || node->inode->meta.type == ENTRY_HARDLINK ||
            (node->inode->meta.type == ENTRY_FILE && !node->inode->data) ||
            (node->inode->meta.type != ENTRY_DIRECTORY && node->child_count > 0))
                abort();
        for (size_t i = 0; i < node->child_count; i++) {
                const struct tree_node *child = node->children[i];

                if (child->parent != node || *child->name == '\0' || strchr(child->name, '/') ||
                    strcmp(child->name, ".") == 0 || strcmp(child->name, "..") == 0 ||
                    (i > 0 && strcmp(node->children[i - 1]->name, child->name) >= 0))
                        abort();
                check_node(child);
        }
}

static void correct_checksums(uint8_t *data, size_t size)
{
        for (; size >= BLOCK_SIZE; data += BLOCK_SIZE, size -= BLOCK_SIZE) {
                unsigned int sum = 0;

                if (memcmp(data + MAGIC_AT, "ustar", 5) != 0)
                        continue;
                memset(data + CHECKSUM_AT, ' ', 8);
                for (size_t i = 0; i < BLOCK_SIZE; i++)
                        sum += data[i];
                (void)snprintf((char *)data + CHECKSUM_AT, 7, "%06o", sum);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
        struct error err = ERROR_INIT;
        auto_tree struct tree *tree = tree_new(&err);
        auto_free uint8_t *data = size > 1 ? malloc(size - 1) : NULL;
        size_t first;

        if (!tree || !data)
                return 0;
        memcpy(data, input + 1, --size);
        correct_checksums(data, size);
        first = (size_t)input[0] * BLOCK_SIZE;
        if (first > size)
                first = size;
        if (merge(tree, data, first, &err) == 0 &&
            merge(tree, data + first, size - first, &err) == 0 && tree_finish(tree, 0, &err) == 0)
                check_node(tree_root(tree));
        return 0;
}
