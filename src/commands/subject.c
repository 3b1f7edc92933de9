#include "commands/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "commands/record.h"

void subject_release(struct subject *subject)
{
        image_record_release(&subject->own);
        remote_image_release(&subject->remote);
        place_release(&subject->place);
        free(TAKE_PTR(subject->path));
}

static int open_remote(struct subject *subject, const struct command_context *context,
                       const char *uri, const char *arch, struct error *err)
{
        if (remote_image_open(&subject->remote, context, uri, arch, err) < 0)
                return -1;
        subject->kind = SUBJECT_REMOTE;
        subject->record = source_record(subject->remote.source);
        return 0;
}

static int open_image(struct subject *subject, const char *file, struct error *err)
{
        auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);
        struct stat st;
        int found;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, "image file %s", file);
        subject->kind = SUBJECT_IMAGE;
        subject->size = (uint64_t)st.st_size;
        subject->path = realpath(file, NULL);
        if (!subject->path)
                return error_errno(err, "image file %s", file);
        found = record_read_image(fd, file, &subject->own, err);
        if (found > 0)
                subject->record = &subject->own;
        return found < 0 ? -1 : 0;
}

static int open_container(struct subject *subject, const struct command_context *context,
                          const char *name, struct error *err)
{
        struct place *place = &subject->place;
        int found;

        if (place_find(place, context->config, name, err) < 0)
                return -1;
        subject->kind = SUBJECT_CONTAINER;
        subject->path = strdup(place->path);
        if (!subject->path)
                return error_no_memory(err);
        found = place_read_record(place, &subject->own, err);
        if (found > 0)
                subject->record = &subject->own;
        return found < 0 ? -1 : 0;
}

int subject_open(struct subject *ret, const struct command_context *context, const char *word,
                 const char *arch, struct error *err)
{
        int image;

        if (source_is_uri(word))
                return open_remote(ret, context, word, arch, err);
        if (arch)
                return error_set(err, EINVAL, "--arch %s: %s is no URI, and has one architecture",
                                 arch, word);
        image = place_is_image(word, err);
        if (image < 0)
                return -1;
        return image ? open_image(ret, word, err) : open_container(ret, context, word, err);
}
