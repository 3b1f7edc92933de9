/*
 * The head:
 *
 *       0  magic, 16 bytes
 *      16  image offset, 8 bytes, in the file
 *      24  image size, 8 bytes
 *      32  content size, 8 bytes
 *      40  flags, 4 bytes: FLAG_CHECKSUM
 *      44  size of the records, 4 bytes
 *      48  where the head stands in the file, 8 bytes
 *      56  checksum, 64 hex digits: SHA-256 of the file; zeros without FLAG_CHECKSUM
 *
 * A record: kind (1 byte), flags (1), zeros (2), size of the name (4), size of the value
 * (4), name, value. The texts come first, in the order of the table below; a record of
 * an unknown kind, or a text twice, is an error.
 */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/bundle.h"
#include "util/path.h"

static const char magic[16] = "enroot bundle 1\n";

#define HEAD_ALIGNMENT  UINT64_C(16)
#define IMAGE_ALIGNMENT UINT64_C(65536)

#define FLAG_CHECKSUM   1u
#define FLAG_EXECUTABLE 1u

#define RECORD_SIZE 12u

/* No file is so large, and sums of two of these are still file offsets. */
#define OFFSET_LIMIT (INT64_MAX / 4)

enum record_kind {
        RECORD_TEXT = 't',
        RECORD_SETTING = 's',
        RECORD_DIRECTORY = 'd',
        RECORD_FILE = 'f',
};

static const struct text {
        const char *name;
        size_t offset; /* of a char * in struct bundle */
} texts[] = {
        { "description", offsetof(struct bundle, description) },
        { "target", offsetof(struct bundle, target) },
        { "version", offsetof(struct bundle, version) },
        { "image", offsetof(struct bundle, image) },
        { "architecture", offsetof(struct bundle, architecture) },
        { "compression", offsetof(struct bundle, compression) },
};

static char **text_of(const struct bundle *bundle, const struct text *text)
{
        return (char **)((char *)bundle + text->offset);
}

void bundle_release(struct bundle *bundle)
{
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(TAKE_PTR(*text_of(bundle, &texts[i])));
        strlist_release(&bundle->settings);
        for (size_t i = 0; i < bundle->file_count; i++) {
                free(bundle->files[i].path);
                free(bundle->files[i].data);
        }
        free(TAKE_PTR(bundle->files));
        bundle->file_count = bundle->file_capacity = 0;
}

static int damaged(struct error *err, const char *what)
{
        return error_set(err, EBADMSG, "damaged bundle: %s", what);
}

/* ---- places ---- */

int bundle_runtime_size(const void *header, size_t size, uint64_t *ret, struct error *err)
{
        const unsigned char *ident = header;
        uint64_t start, length;
        Elf64_Ehdr elf;

        _Static_assert(sizeof(elf) <= BUNDLE_ELF_SIZE, "ELF header");
        if (size < sizeof(elf) || memcmp(ident, ELFMAG, SELFMAG) != 0 ||
            ident[EI_CLASS] != ELFCLASS64)
                return error_set(err, EBADMSG, "is not a 64-bit ELF program");
        memcpy(&elf, header, sizeof(elf));
        start = ident[EI_DATA] == ELFDATA2LSB ? le64toh(elf.e_shoff) : be64toh(elf.e_shoff);
        length = ident[EI_DATA] == ELFDATA2LSB
                         ? (uint64_t)le16toh(elf.e_shentsize) * le16toh(elf.e_shnum)
                         : (uint64_t)be16toh(elf.e_shentsize) * be16toh(elf.e_shnum);
        if (start < sizeof(elf) || start > OFFSET_LIMIT)
                return error_set(err, EBADMSG, "has no section headers");
        *ret = start + length;
        return 0;
}

static uint64_t align(uint64_t offset, uint64_t alignment)
{
        return (offset + alignment - 1) / alignment * alignment;
}

uint64_t bundle_head_offset(uint64_t runtime_size)
{
        return align(runtime_size, HEAD_ALIGNMENT);
}

/* ---- writing ---- */

static void put_u32(unsigned char *to, uint32_t value)
{
        value = htole32(value);
        memcpy(to, &value, sizeof(value));
}

static void put_u64(unsigned char *to, uint64_t value)
{
        value = htole64(value);
        memcpy(to, &value, sizeof(value));
}

static void put_record(struct strbuf *text, enum record_kind kind, unsigned int flags,
                       const char *name, size_t name_size, const void *value, size_t value_size)
{
        unsigned char head[RECORD_SIZE] = { (unsigned char)kind, (unsigned char)flags };

        put_u32(head + 4, (uint32_t)name_size);
        put_u32(head + 8, (uint32_t)value_size);
        (void)strbuf_append_mem(text, head, sizeof(head));
        (void)strbuf_append_mem(text, name, name_size);
        (void)strbuf_append_mem(text, value, value_size);
}

static void put_records(const struct bundle *bundle, struct strbuf *text)
{
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                const char *value = *text_of(bundle, &texts[i]);

                put_record(text, RECORD_TEXT, 0, texts[i].name, strlen(texts[i].name), value,
                           strlen(value));
        }
        for (size_t i = 0; i < bundle->settings.count; i++) {
                const char *name = bundle->settings.items[i];
                const char *equals = strchrnul(name, '=');
                const char *value = *equals ? equals + 1 : equals;

                put_record(text, RECORD_SETTING, 0, name, (size_t)(equals - name), value,
                           strlen(value));
        }
        for (size_t i = 0; i < bundle->file_count; i++) {
                const struct bundle_file *file = &bundle->files[i];

                put_record(text, file->directory ? RECORD_DIRECTORY : RECORD_FILE,
                           file->executable ? FLAG_EXECUTABLE : 0, file->path, strlen(file->path),
                           file->data, file->size);
        }
}

int bundle_encode(struct bundle *bundle, uint64_t runtime_size, struct strbuf *text,
                  struct error *err)
{
        uint64_t place = bundle_head_offset(runtime_size);
        unsigned char head[BUNDLE_HEAD_SIZE] = { 0 };
        auto_strbuf struct strbuf records = STRBUF_INIT;

        put_records(bundle, &records);
        if (!records.failed && records.length > BUNDLE_RECORDS_LIMIT)
                return error_set(err, EFBIG, "its configuration has more than %u bytes",
                                 BUNDLE_RECORDS_LIMIT);
        bundle->image_offset = align(place + sizeof(head) + records.length, IMAGE_ALIGNMENT);
        memcpy(head, magic, sizeof(magic));
        put_u64(head + 16, bundle->image_offset);
        put_u64(head + 24, bundle->image_size);
        put_u64(head + 32, bundle->content_size);
        put_u32(head + 40, bundle->has_checksum ? FLAG_CHECKSUM : 0);
        put_u32(head + 44, (uint32_t)records.length);
        put_u64(head + 48, place);
        (void)strbuf_append_mem(text, head, sizeof(head));
        (void)strbuf_append_mem(text, strbuf_text(&records), records.length);
        return records.failed || text->failed ? error_no_memory(err) : 0;
}

/* ---- reading ---- */

static uint32_t get_u32(const unsigned char *from)
{
        uint32_t value;

        memcpy(&value, from, sizeof(value));
        return le32toh(value);
}

static uint64_t get_u64(const unsigned char *from)
{
        uint64_t value;

        memcpy(&value, from, sizeof(value));
        return le64toh(value);
}

int bundle_decode_head(const void *data, size_t size, struct bundle *ret, uint32_t *ret_records,
                       struct error *err)
{
        const unsigned char *head = data;
        uint64_t place;
        uint32_t records;

        if (size < BUNDLE_HEAD_SIZE || memcmp(head, magic, sizeof(magic)) != 0)
                return damaged(err, "it has no head");
        ret->image_offset = get_u64(head + 16);
        ret->image_size = get_u64(head + 24);
        ret->content_size = get_u64(head + 32);
        ret->has_checksum = get_u32(head + 40) & FLAG_CHECKSUM;
        records = get_u32(head + 44);
        place = get_u64(head + 48);
        if (ret->has_checksum)
                memcpy(ret->checksum, head + BUNDLE_CHECKSUM_OFFSET, BUNDLE_CHECKSUM_SIZE);
        if (records > BUNDLE_RECORDS_LIMIT)
                return damaged(err, "its records are too large");
        if (place > OFFSET_LIMIT || ret->image_size > OFFSET_LIMIT)
                return damaged(err, "its image is outside");
        if (ret->image_offset != align(place + BUNDLE_HEAD_SIZE + records, IMAGE_ALIGNMENT))
                return damaged(err, "its image is not where it belongs");
        *ret_records = records;
        return 0;
}

struct record {
        enum record_kind kind;
        unsigned int flags;
        char *name;
        const unsigned char *value;
        size_t size;
};

static int add_text(struct bundle *bundle, const struct record *record, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                char **value = text_of(bundle, &texts[i]);

                if (strcmp(record->name, texts[i].name) != 0)
                        continue;
                if (*value || memchr(record->value, '\0', record->size))
                        break;
                *value = strndup((const char *)record->value, record->size);
                return *value ? 0 : error_no_memory(err);
        }
        return damaged(err, "a text that it cannot have");
}

static int add_setting(struct bundle *bundle, const struct record *record, struct error *err)
{
        auto_strbuf struct strbuf setting = STRBUF_INIT;

        if (strncmp(record->name, "ENROOT_", 7) != 0 || strchr(record->name, '=') ||
            memchr(record->value, '\0', record->size))
                return damaged(err, "a setting that it cannot have");
        (void)strbuf_append(&setting, record->name);
        (void)strbuf_append_char(&setting, '=');
        if (strbuf_append_mem(&setting, record->value, record->size) < 0 ||
            strlist_append(&bundle->settings, strbuf_text(&setting)) < 0)
                return error_no_memory(err);
        return 0;
}

static int add_file(struct bundle *bundle, const struct record *record, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        bool directory = record->kind == RECORD_DIRECTORY;

        if (strlen(record->name) > BUNDLE_PATH_LIMIT || path_normalize(record->name, &path) < 0 ||
            strcmp(strbuf_text(&path), record->name) != 0 || (directory && record->size > 0))
                return damaged(err, "a file that it cannot have");
        if (bundle_add_file(bundle, record->name, record->flags & FLAG_EXECUTABLE,
                            directory ? NULL : record->value, record->size) < 0)
                return error_no_memory(err);
        return 0;
}

static int add_record(struct bundle *bundle, const struct record *record, struct error *err)
{
        switch (record->kind) {
        case RECORD_TEXT:
                return add_text(bundle, record, err);
        case RECORD_SETTING:
                return add_setting(bundle, record, err);
        case RECORD_DIRECTORY:
        case RECORD_FILE:
                return add_file(bundle, record, err);
        }
        return damaged(err, "a record of a kind that is not known; it is of a newer version");
}

static int decode_records(const unsigned char *data, size_t size, struct bundle *ret,
                          struct error *err)
{
        while (size > 0) {
                auto_free char *name = NULL;
                struct record record;
                uint32_t name_size;

                if (size < RECORD_SIZE)
                        return damaged(err, "its records end early");
                record = (struct record){ .kind = data[0], .flags = data[1] };
                name_size = get_u32(data + 4);
                record.size = get_u32(data + 8);
                data += RECORD_SIZE;
                size -= RECORD_SIZE;
                if (name_size > size || record.size > size - name_size)
                        return damaged(err, "a record is larger than all");
                record.name = name = strndup((const char *)data, name_size);
                if (!name)
                        return error_no_memory(err);
                if (name_size == 0 || strlen(name) != name_size)
                        return damaged(err, "a record without a name");
                record.value = data + name_size;
                if (add_record(ret, &record, err) < 0)
                        return -1;
                data += name_size + record.size;
                size -= name_size + record.size;
        }
        return 0;
}

int bundle_decode(const void *data, size_t size, struct bundle *ret, struct error *err)
{
        uint32_t records;

        if (bundle_decode_head(data, size, ret, &records, err) < 0)
                return -1;
        if (records != size - BUNDLE_HEAD_SIZE)
                return damaged(err, "its records are incomplete");
        if (decode_records((const unsigned char *)data + BUNDLE_HEAD_SIZE, records, ret, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                if (!*text_of(ret, &texts[i]))
                        return damaged(err, "a text is missing");
        return 0;
}

/* ---- files ---- */

int bundle_add_file(struct bundle *bundle, const char *path, bool executable, const void *data,
                    size_t size)
{
        size_t capacity = bundle->file_capacity ? bundle->file_capacity * 2 : 16;
        struct bundle_file file = { .directory = !data, .executable = executable, .size = size };

        if (bundle->file_count == bundle->file_capacity) {
                struct bundle_file *larger =
                        reallocarray(bundle->files, capacity, sizeof(*larger));

                if (!larger)
                        return -1;
                bundle->files = larger;
                bundle->file_capacity = capacity;
        }
        file.path = strdup(path);
        file.data = data ? malloc(size + 1) : NULL;
        if (!file.path || (data && !file.data)) {
                free(file.path);
                free(file.data);
                return -1;
        }
        if (data)
                memcpy(file.data, data, size);
        bundle->files[bundle->file_count++] = file;
        return 0;
}

/* ---- for people ---- */

int bundle_print(const struct bundle *bundle, struct strbuf *text, struct error *err)
{
        if (bundle->has_checksum)
                strbuf_printf(text, "Checksum: %s\n", bundle->checksum);
        strbuf_printf(text, "Compression: %s\n", bundle->compression);
        strbuf_printf(text, "Description: %s\n",
                      *bundle->description ? bundle->description : "none");
        strbuf_printf(text, "Runtime version: %s\n", bundle->version);
        strbuf_printf(text, "Target directory: %s\n", bundle->target);
        strbuf_printf(text, "Uncompressed size: %" PRIu64 " KB\n",
                      (bundle->content_size + 1023) / 1024);
        strbuf_printf(text, "Image: %s (linux/%s, %" PRIu64 " bytes)\n", bundle->image,
                      bundle->architecture, bundle->image_size);
        strbuf_printf(text, "Bundle size: %" PRIu64 " bytes\n",
                      bundle->image_offset + bundle->image_size);
        return text->failed ? error_no_memory(err) : 0;
}
