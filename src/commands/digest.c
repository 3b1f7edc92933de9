/*
 * digest: what pins an image: the digest of its manifest, or where a source has none, of
 * its configuration.
 */
#include "commands/commands.h"

#include <errno.h>

#include "commands/subject.h"

int command_digest(const struct command_context *context, const char *word, const char *arch,
                   FILE *out, struct error *err)
{
        auto_subject struct subject subject = SUBJECT_INIT;

        if (subject_open(&subject, context, word, arch, err) < 0)
                return -1;
        if (!subject.record || subject.record->digest[0] == '\0')
                return error_set(err, ENODATA, "%s: no digest is recorded in it", word);
        fprintf(out, "%s\n", subject.record->digest);
        return 0;
}
