/* Header blocks: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar's manual, "Basic Tar
 * Format". */
#include "source/tar_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct tar_header {
        char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
        char type, target[100];
        char magic[6], version[2], user[32], group[32], major[8], minor[8];
        char prefix[155], padding[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK_SIZE, "a header is one block");

/* Positions stay below this, so that no sum overflows and all fit off_t. */
#define POSITION_LIMIT (UINT64_C(1) << 60)

void tar_walk_release(struct tar_walk *walk)
{
        strbuf_release(&walk->name);
        strbuf_release(&walk->target);
}

/* An octal number between blanks, or, with the first bit set, a big-endian one (GNU). */
static int parse_number(const char *field, size_t size, uint64_t *ret)
{
        const unsigned char *bytes = (const unsigned char *)field;
        uint64_t number = 0;
        size_t i = 0;

        if (bytes[0] & 0x80) {
                number = bytes[0] & 0x7f;
                for (i = 1; i < size; i++) {
                        if (number >> 52)
                                return -1;
                        number = number << 8 | bytes[i];
                }
                *ret = number;
                return 0;
        }
        while (i < size && field[i] == ' ')
                i++;
        for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
                number = number << 3 | (uint64_t)(field[i] - '0');
        if (i < size && field[i] != ' ' && field[i] != '\0')
                return -1;
        *ret = number;
        return 0;
}

/* The sum of all bytes with the checksum's own taken for blanks; some old tars added signed ones.
 */
static bool checksum_fits(const struct tar_header *header)
{
        const unsigned char *bytes = (const unsigned char *)header;
        const size_t start = offsetof(struct tar_header, checksum);
        uint64_t expected, sum = 0;
        int64_t signed_sum = 0;

        if (parse_number(header->checksum, sizeof(header->checksum), &expected) < 0)
                return false;
        for (size_t i = 0; i < TAR_BLOCK_SIZE; i++) {
                bool own = i >= start && i < start + sizeof(header->checksum);

                sum += own ? ' ' : bytes[i];
                signed_sum += own ? ' ' : (signed char)bytes[i];
        }
        return sum == expected || signed_sum == (int64_t)expected;
}

static bool is_zero(const void *block)
{
        const char *bytes = block;

        return bytes[0] == '\0' && memcmp(bytes, bytes + 1, TAR_BLOCK_SIZE - 1) == 0;
}

static int want(struct tar_walk *walk, uint64_t position, size_t size, struct error *err)
{
        if (position >= POSITION_LIMIT)
                return error_set(err, EBADMSG, "a tar archive of impossible size");
        walk->position = position;
        walk->wanted = size;
        return 0;
}

static uint64_t padded(uint64_t size)
{
        return (size + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE * TAR_BLOCK_SIZE;
}

/* ---- records in front of a header ---- */

static int set_text(struct strbuf *text, bool *has, const char *value, size_t length,
                    struct error *err)
{
        strbuf_reset(text);
        if (memchr(value, '\0', length))
                return error_set(err, EBADMSG, "a name with a NUL in a tar archive");
        *has = true;
        return strbuf_append_mem(text, value, length) < 0 ? error_no_memory(err) : 0;
}

static int parse_pax_size(struct tar_walk *walk, const char *value, size_t length,
                          struct error *err)
{
        uint64_t number = 0;

        for (size_t i = 0; i < length; i++) {
                if (value[i] < '0' || value[i] > '9' || number >= POSITION_LIMIT)
                        return error_set(err, EBADMSG, "a tar archive with a damaged size");
                number = number * 10 + (uint64_t)(value[i] - '0');
        }
        walk->size = number;
        walk->has_size = true;
        return 0;
}

static int parse_pax_pair(struct tar_walk *walk, const char *key, size_t key_length,
                          const char *value, size_t length, struct error *err)
{
        if (key_length == 4 && memcmp(key, "path", 4) == 0)
                return set_text(&walk->name, &walk->has_name, value, length, err);
        if (key_length == 8 && memcmp(key, "linkpath", 8) == 0)
                return set_text(&walk->target, &walk->has_target, value, length, err);
        if (key_length == 4 && memcmp(key, "size", 4) == 0)
                return parse_pax_size(walk, value, length, err);
        if (key_length > 11 && memcmp(key, "GNU.sparse.", 11) == 0)
                walk->has_map = true;
        return 0;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts all of it. */
static int parse_pax(struct tar_walk *walk, const char *text, size_t size, struct error *err)
{
        while (size > 0 && text[0] != '\0') {
                const char *start = text, *end, *equals;
                size_t length = 0;

                while ((size_t)(text - start) < size && *text >= '0' && *text <= '9' &&
                       length <= TAR_WALK_RECORD_LIMIT)
                        length = length * 10 + (size_t)(*text++ - '0');
                if (length > size || length <= (size_t)(text - start) || *text != ' ' ||
                    start[length - 1] != '\n')
                        return error_set(err, EBADMSG, "a tar archive with a damaged pax record");
                text++;
                end = start + length;
                equals = memchr(text, '=', (size_t)(end - text));
                if (!equals)
                        return error_set(err, EBADMSG, "a tar archive with a damaged pax record");
                if (parse_pax_pair(walk, text, (size_t)(equals - text), equals + 1,
                                   (size_t)(end - 1 - (equals + 1)), err) < 0)
                        return -1;
                text = end;
                size -= length;
        }
        return 0;
}

static int take_record(struct tar_walk *walk, const char *piece, struct error *err)
{
        enum tar_record record = walk->record;
        size_t size = (size_t)walk->record_size;
        size_t length = strnlen(piece, size);
        int rc = 0;

        walk->record = TAR_RECORD_NONE;
        if (want(walk, walk->position + padded(size), TAR_BLOCK_SIZE, err) < 0)
                return -1;
        if (record == TAR_RECORD_PAX)
                rc = parse_pax(walk, piece, size, err);
        else if (record == TAR_RECORD_NAME)
                rc = set_text(&walk->name, &walk->has_name, piece, length, err);
        else if (record == TAR_RECORD_TARGET)
                rc = set_text(&walk->target, &walk->has_target, piece, length, err);
        return rc < 0 ? -1 : 2;
}

/* ---- headers ---- */

static enum tar_record record_of(char type)
{
        switch (type) {
        case 'x':
        case 'X': /* Solaris */
                return TAR_RECORD_PAX;
        case 'L':
                return TAR_RECORD_NAME;
        case 'K':
                return TAR_RECORD_TARGET;
        case 'g': /* for all members: comments, in practice */
                return TAR_RECORD_IGNORED;
        default:
                return TAR_RECORD_NONE;
        }
}

static enum tar_member_type type_of(const struct tar_walk *walk, const struct tar_header *header)
{
        if (walk->has_map)
                return TAR_MEMBER_OTHER;
        switch (header->type) {
        case '0':
        case '\0':
        case '7': /* contiguous: a file */
                return TAR_MEMBER_FILE;
        case '1':
                return TAR_MEMBER_HARD_LINK;
        case '2':
                return TAR_MEMBER_SYMLINK;
        default:
                return TAR_MEMBER_OTHER;
        }
}

/* The names of a header, as far as no record came before it. */
static int take_names(struct tar_walk *walk, const struct tar_header *header, struct error *err)
{
        if (!walk->has_name) {
                strbuf_reset(&walk->name);
                /* GNU uses the bytes of the prefix for other things. */
                if (memcmp(header->magic, "ustar", sizeof(header->magic)) == 0 &&
                    header->prefix[0]) {
                        strbuf_append_mem(&walk->name, header->prefix,
                                          strnlen(header->prefix, sizeof(header->prefix)));
                        strbuf_append_char(&walk->name, '/');
                }
                strbuf_append_mem(&walk->name, header->name,
                                  strnlen(header->name, sizeof(header->name)));
        }
        if (!walk->has_target) {
                strbuf_reset(&walk->target);
                strbuf_append_mem(&walk->target, header->target,
                                  strnlen(header->target, sizeof(header->target)));
        }
        walk->has_name = walk->has_target = false;
        return walk->name.failed || walk->target.failed ? error_no_memory(err) : 0;
}

static int begin_record(struct tar_walk *walk, enum tar_record record, uint64_t size,
                        struct error *err)
{
        uint64_t content = walk->position + TAR_BLOCK_SIZE;

        if (record == TAR_RECORD_IGNORED || size == 0)
                return want(walk, content + padded(size), TAR_BLOCK_SIZE, err) < 0 ? -1 : 2;
        if (size > TAR_WALK_RECORD_LIMIT)
                return error_set(err, EFBIG, "a tar header of %" PRIu64 " bytes", size);
        walk->record = record;
        walk->record_size = size;
        return want(walk, content, (size_t)size, err) < 0 ? -1 : 2;
}

static int take_header(struct tar_walk *walk, const struct tar_header *header,
                       struct tar_member *ret, struct error *err)
{
        enum tar_record record = record_of(header->type);
        uint64_t size;

        if (is_zero(header))
                return 0;
        if (!checksum_fits(header))
                return error_set(err, EBADMSG,
                                 walk->position == 0 ? "this is not a tar archive"
                                                     : "the tar archive is damaged");
        if (parse_number(header->size, sizeof(header->size), &size) < 0)
                return error_set(err, EBADMSG, "a tar archive with a damaged size");
        if (record != TAR_RECORD_NONE)
                return begin_record(walk, record, size, err);

        if (walk->has_size)
                size = walk->size;
        if (take_names(walk, header, err) < 0)
                return -1;
        *ret = (struct tar_member){
                .type = type_of(walk, header),
                .name = strbuf_text(&walk->name),
                .target = strbuf_text(&walk->target),
                .offset = walk->position + TAR_BLOCK_SIZE,
        };
        /* A link that tells the size of its file has no content of its own. */
        if (ret->type == TAR_MEMBER_HARD_LINK || ret->type == TAR_MEMBER_SYMLINK)
                size = 0;
        ret->size = size;
        walk->has_size = walk->has_map = false;
        if (size >= POSITION_LIMIT)
                return error_set(err, EBADMSG, "a tar archive of impossible size");
        return want(walk, ret->offset + padded(size), TAR_BLOCK_SIZE, err) < 0 ? -1 : 1;
}

int tar_walk_step(struct tar_walk *walk, const void *piece, struct tar_member *ret,
                  struct error *err)
{
        if (walk->record != TAR_RECORD_NONE)
                return take_record(walk, piece, err);
        return take_header(walk, piece, ret, err);
}
