/* The tar archives that image layouts come in, and the documents of docker-archives. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/image.h"
#include "source/tar_walk.h"

/* Pieces are copied, so that a sanitizer sees a byte read behind one. */
static void walk_archive(const uint8_t *data, size_t size)
{
        auto_tar_walk struct tar_walk walk = TAR_WALK_INIT;
        uint64_t before = 0;
        int state = 2;

        while (state > 0 && walk.position + walk.wanted <= size) {
                auto_free char *piece = malloc(walk.wanted);
                struct tar_member member;
                struct error err;

                if (!piece)
                        return;
                if (walk.position < before || walk.wanted > TAR_WALK_RECORD_LIMIT)
                        abort();
                before = walk.position;
                memcpy(piece, data + walk.position, walk.wanted);
                state = tar_walk_step(&walk, piece, &member, &err);
                if (state == 1 && (strlen(member.name) > size || member.offset > walk.position))
                        abort();
                if (state > 0 && walk.position <= before)
                        abort();
        }
}

static void read_documents(const char *text, size_t size)
{
        static const struct image_platform platform = { "arm", "v7" };
        auto_image_descriptor struct image_descriptor descriptor = { .media_type = NULL };
        auto_image_saved struct image_saved named = { .name = NULL }, only = { .name = NULL };
        auto_free char *name = NULL, *tag = NULL;
        char id[IMAGE_V1_ID_SIZE];
        struct error err;

        (void)image_saved_select(text, size, NULL, &only, &err);
        (void)image_saved_select(text, size, "a:b", &named, &err);
        if (image_repositories_select(text, size, NULL, &name, id, &err) == 0 &&
            !image_v1_id_valid(id))
                abort();
        if (image_v1_parent(text, size, id, &err) == 0 && id[0] && !image_v1_id_valid(id))
                abort();
        (void)image_layout_select(text, size, "a:b", &platform, &descriptor, &tag, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        walk_archive(data, size);
        read_documents((const char *)data, size);
        return 0;
}
