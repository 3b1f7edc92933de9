#include "gpu/ld_cache.h"

#include <ctype.h>
#include <string.h>

#define OLD_MAGIC   "ld.so-1.7.0"
#define NEW_MAGIC   "glibc-ld.so.cache1.1"
#define EXTENSION   0xeaa42174u /* marks the extensions of glibc 2.33 */
#define TAG_HWCAPS  1u          /* the extension with offsets of strings in it */
#define EXTENSIONS_LIMIT 64u
#define ARCHITECTURE     0xff00u

/* struct file_entry_new: flags, key, value, osversion, hwcap */
#define ENTRY_SIZE 24u

/* struct cache_file_new: magic, then these words, the last three unused */
#define HEADER_SIZE    48u
#define AT_COUNT       20u
#define AT_STRINGS     24u
#define AT_EXTENSIONS  32u
#define OLD_HEADER     16u /* magic, padding, count */
#define OLD_ENTRY_SIZE 12u

#if defined(__x86_64__)
const unsigned int ld_cache_native_flags = 0x0303, ld_cache_compat_flags = 0x0003;
#elif defined(__aarch64__)
const unsigned int ld_cache_native_flags = 0x0a03, ld_cache_compat_flags = 0x0903;
#elif defined(__powerpc64__)
const unsigned int ld_cache_native_flags = 0x0503, ld_cache_compat_flags = 0x0003;
#else
const unsigned int ld_cache_native_flags = 0x0003, ld_cache_compat_flags = 0x0003;
#endif

static uint32_t word_at(const char *text, size_t offset)
{
        uint32_t word;

        memcpy(&word, text + offset, sizeof(word));
        return word;
}

static void set_word(char *text, size_t offset, uint32_t word)
{
        memcpy(text + offset, &word, sizeof(word));
}

/* ---- reading ---- */

bool ld_cache_parse(const char *text, size_t length, struct ld_cache *ret)
{
        if (length >= OLD_HEADER && memcmp(text, OLD_MAGIC, strlen(OLD_MAGIC)) == 0) {
                uint64_t skip = OLD_HEADER +
                                (uint64_t)word_at(text, OLD_HEADER - 4) * OLD_ENTRY_SIZE;

                skip = (skip + 7) & ~(uint64_t)7;
                if (skip > length)
                        return false;
                text += skip;
                length -= (size_t)skip;
        }
        if (length < HEADER_SIZE || length > LD_CACHE_LIMIT ||
            memcmp(text, NEW_MAGIC, strlen(NEW_MAGIC)) != 0)
                return false;
        *ret = (struct ld_cache){
                .start = text,
                .length = length,
                .count = word_at(text, AT_COUNT),
        };
        return ret->count <= (length - HEADER_SIZE) / ENTRY_SIZE;
}

static size_t entry_offset(uint32_t index)
{
        return HEADER_SIZE + (size_t)index * ENTRY_SIZE;
}

/* A string behind the entries, or NULL. */
static const char *string_at(const struct ld_cache *cache, uint32_t offset)
{
        if (offset < entry_offset(cache->count) || offset >= cache->length ||
            !memchr(cache->start + offset, '\0', cache->length - offset))
                return NULL;
        return cache->start + offset;
}

bool ld_cache_entry_at(const struct ld_cache *cache, uint32_t index, struct ld_cache_entry *ret)
{
        size_t at = entry_offset(index);

        *ret = (struct ld_cache_entry){
                .flags = word_at(cache->start, at),
                .name = string_at(cache, word_at(cache->start, at + 4)),
                .path = string_at(cache, word_at(cache->start, at + 8)),
        };
        return ret->name && ret->path;
}

const char *gpu_ld_cache_find(const char *text, size_t length, const char *library)
{
        struct ld_cache cache;
        struct ld_cache_entry entry;

        if (!ld_cache_parse(text, length, &cache))
                return NULL;
        for (uint32_t i = 0; i < cache.count; i++)
                if (ld_cache_entry_at(&cache, i, &entry) && *entry.path == '/' &&
                    (entry.flags & ARCHITECTURE) == (ld_cache_native_flags & ARCHITECTURE) &&
                    strcmp(entry.name, library) == 0)
                        return entry.path;
        return NULL;
}

/* ---- adding ---- */

/* The number at *text, as large as it may be, without its digits. */
static unsigned long take_number(const char **text)
{
        unsigned long number = 0;

        for (; isdigit((unsigned char)**text); (*text)++)
                number = number * 10 + (unsigned long)(**text - '0');
        return number;
}

/* The order of entries, which the linker searches by halves: glibc, elf/dl-cache.c. */
static int compare_names(const char *a, const char *b)
{
        while (*a) {
                bool a_digit = isdigit((unsigned char)*a), b_digit = isdigit((unsigned char)*b);

                if (a_digit != b_digit)
                        return a_digit ? 1 : -1;
                if (a_digit) {
                        unsigned long first = take_number(&a), second = take_number(&b);

                        if (first != second)
                                return first < second ? -1 : 1;
                } else if (*a != *b) {
                        return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
                } else {
                        a++;
                        b++;
                }
        }
        return *b ? -1 : 0;
}

static bool is_same_library(const struct ld_cache_entry *entry, const struct gpu_library *library)
{
        return ((entry->flags ^ library->flags) & ARCHITECTURE) == 0 &&
               strcmp(entry->name, library->soname) == 0;
}

/* Libraries with a name, the last name first, the first one of each architecture. */
static size_t sort_libraries(const struct gpu_library *libraries, size_t count,
                             const struct gpu_library **ret)
{
        size_t sorted = 0;

        for (size_t i = 0; i < count; i++) {
                const struct gpu_library *library = &libraries[i];
                size_t at = 0;
                bool known = false;

                if (!library->soname)
                        continue;
                while (at < sorted && compare_names(ret[at]->soname, library->soname) >= 0) {
                        known |= strcmp(ret[at]->soname, library->soname) == 0 &&
                                 ret[at]->flags == library->flags;
                        at++;
                }
                if (known)
                        continue;
                memmove(ret + at + 1, ret + at, (sorted - at) * sizeof(*ret));
                ret[at] = library;
                sorted++;
        }
        return sorted;
}

/* What is written: entries of the old cache, moved, and new ones, whose strings come last. */
struct builder {
        const struct ld_cache *cache;
        const struct gpu_library **libraries;
        size_t library_count;
        struct strbuf entries, strings;
        uint32_t count;
        uint32_t strings_start; /* of the new strings, from the end of the entries */
};

static void builder_release(struct builder *builder)
{
        free(builder->libraries);
        strbuf_release(&builder->entries);
        strbuf_release(&builder->strings);
}

/* Offsets are counted from the end of the entries until their number is known. */
static void append_entry(struct builder *builder, uint32_t flags, uint32_t name, uint32_t path,
                         const char *rest)
{
        const uint32_t words[] = { flags, name, path };

        strbuf_append_mem(&builder->entries, words, sizeof(words));
        strbuf_append_mem(&builder->entries, rest, ENTRY_SIZE - sizeof(words));
        builder->count++;
}

static void append_library(struct builder *builder, const struct gpu_library *library)
{
        static const char no_rest[ENTRY_SIZE];
        const char *slash = strrchr(library->path, '/');
        uint32_t path = builder->strings_start + (uint32_t)builder->strings.length;
        uint32_t directory = (uint32_t)(slash + 1 - library->path);

        strbuf_append_mem(&builder->strings, library->path, directory);
        strbuf_append_mem(&builder->strings, library->soname, strlen(library->soname) + 1);
        append_entry(builder, library->flags, path + directory, path, no_rest);
}

/* Merge both into one descending order. False for a malformed entry. */
static bool merge_entries(struct builder *builder)
{
        const struct ld_cache *cache = builder->cache;
        const uint32_t end = (uint32_t)entry_offset(cache->count);
        struct ld_cache_entry entry;
        size_t next = 0;

        for (uint32_t i = 0; i < cache->count; i++) {
                const char *raw = cache->start + entry_offset(i);
                bool replaced = false;

                if (!ld_cache_entry_at(cache, i, &entry))
                        return false;
                while (next < builder->library_count &&
                       compare_names(builder->libraries[next]->soname, entry.name) >= 0)
                        append_library(builder, builder->libraries[next++]);
                for (size_t j = 0; j < builder->library_count && !replaced; j++)
                        replaced = is_same_library(&entry, builder->libraries[j]);
                if (!replaced)
                        append_entry(builder, entry.flags, word_at(raw, 4) - end,
                                     word_at(raw, 8) - end, raw + 12);
        }
        while (next < builder->library_count)
                append_library(builder, builder->libraries[next++]);
        return true;
}

/* The extensions have moved with the strings; so have the strings that they refer to. */
static bool move_extensions(char *text, size_t length, uint32_t delta)
{
        uint32_t offset = word_at(text, AT_EXTENSIONS), count;

        if (offset == 0)
                return true;
        offset += delta;
        set_word(text, AT_EXTENSIONS, offset);
        if (offset > length || length - offset < 8 || word_at(text, offset) != EXTENSION)
                return false;
        count = word_at(text, offset + 4);
        if (count > EXTENSIONS_LIMIT || (length - offset - 8) / 16 < count)
                return false;
        for (uint32_t i = 0; i < count; i++) {
                size_t section = offset + 8 + (size_t)i * 16;
                uint32_t at = word_at(text, section + 8) + delta;
                uint32_t size = word_at(text, section + 12);

                set_word(text, section + 8, at);
                if (word_at(text, section) != TAG_HWCAPS)
                        continue;
                if (at > length || size > length - at)
                        return false;
                for (uint32_t j = 0; j + 4 <= size; j += 4)
                        set_word(text, at + j, word_at(text, at + j) + delta);
        }
        return true;
}

static int write_cache(struct builder *builder, struct strbuf *ret)
{
        const struct ld_cache *cache = builder->cache;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        size_t old_end = entry_offset(cache->count), end = entry_offset(builder->count);

        strbuf_append_mem(&text, cache->start, HEADER_SIZE);
        strbuf_append_mem(&text, strbuf_text(&builder->entries), builder->entries.length);
        strbuf_append_mem(&text, cache->start + old_end, cache->length - old_end);
        if (!text.failed && !move_extensions(text.data, text.length, (uint32_t)(end - old_end)))
                return 0;
        strbuf_append_mem(&text, strbuf_text(&builder->strings), builder->strings.length);
        if (text.failed)
                return -1;
        for (uint32_t i = 0; i < builder->count; i++)
                for (size_t at = entry_offset(i) + 4; at <= entry_offset(i) + 8; at += 4)
                        set_word(text.data, at, word_at(text.data, at) + (uint32_t)end);
        set_word(text.data, AT_COUNT, builder->count);
        set_word(text.data, AT_STRINGS,
                 word_at(text.data, AT_STRINGS) + (uint32_t)builder->strings.length);
        strbuf_release(ret);
        *ret = TAKE(text, (struct strbuf)STRBUF_INIT);
        return 1;
}

int ld_cache_add(const struct ld_cache *cache, const struct gpu_library *libraries, size_t count,
                 struct strbuf *ret)
{
        auto_cleanup(builder_release) struct builder builder = {
                .cache = cache,
                .libraries = calloc(count + 1, sizeof(struct gpu_library *)),
                .strings_start = (uint32_t)(cache->length - entry_offset(cache->count)),
        };

        if (!builder.libraries)
                return -1;
        builder.library_count = sort_libraries(libraries, count, builder.libraries);
        if (!merge_entries(&builder))
                return 0;
        if (builder.entries.failed || builder.strings.failed)
                return -1;
        return write_cache(&builder, ret);
}
