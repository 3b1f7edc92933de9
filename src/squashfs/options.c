/* The option words of mksquashfs; see squashfs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sqfs/compressor.h>
#include <sqfs/super.h>

#include "squashfs/compressor.h"
#include "squashfs/squashfs.h"
#include "util/quantity.h"
#include "util/strbuf.h"
#include "util/strlist.h"

#define PROCESSORS_LIMIT 1024
#define MEMORY_LIMIT     ((uint64_t)1 << 50)

struct parse_state {
        struct squashfs_options *options;
        struct strbuf *ignored; /* words for the warning */
        const char *word, *argument;
        struct error *err;
};

/* A word that has an effect here, or one that asks for what happens anyway. */
struct option_word {
        const char *name;
        size_t flag;                             /* offset of a bool to set; 0: none */
        int (*parse)(struct parse_state *state); /* of the argument; NULL: takes none */
};

static int bad_argument(const struct parse_state *state, const char *expected)
{
        return error_set(state->err, EINVAL, "%s %s: %s", state->word, state->argument, expected);
}

static int parse_compressor(struct parse_state *state)
{
        int id = compressor_id(state->argument);

        if (id == SQFS_COMP_LZMA)
                return bad_argument(state, "the kernel cannot mount it (take xz)");
        if (id < 0)
                return bad_argument(state, "unknown compressor (gzip, lzo, lz4, xz or zstd)");
        state->options->compressor = id;
        return 0;
}

static int parse_level(struct parse_state *state)
{
        uint64_t level;

        if (quantity_parse(state->argument, "", &level) < 0 || level == 0 || level > INT32_MAX)
                return bad_argument(state, "not a compression level");
        state->options->level = (int)level;
        return 0;
}

static int parse_block_size(struct parse_state *state)
{
        uint64_t size;

        if (quantity_parse(state->argument, "KM", &size) < 0 || size < SQFS_MIN_BLOCK_SIZE ||
            size > SQFS_MAX_BLOCK_SIZE || (size & (size - 1)) != 0)
                return bad_argument(state, "not a power of two from 4K to 1M");
        state->options->block_size = (uint32_t)size;
        return 0;
}

static int parse_processors(struct parse_state *state)
{
        uint64_t count;

        if (quantity_parse(state->argument, "", &count) < 0 || count == 0 ||
            count > PROCESSORS_LIMIT)
                return bad_argument(state, "not a number of processors");
        state->options->processors = (unsigned int)count;
        return 0;
}

static int parse_memory(struct parse_state *state)
{
        uint64_t size;

        if (quantity_parse(state->argument, "KMG", &size) < 0 || size == 0 || size > MEMORY_LIMIT)
                return bad_argument(state, "not an amount of memory (as in 512M)");
        state->options->memory = size;
        return 0;
}

static int parse_time(struct parse_state *state, bool *ret_has, int64_t *ret)
{
        uint64_t seconds;

        if (quantity_parse(state->argument, "", &seconds) < 0 || seconds > UINT32_MAX)
                return bad_argument(state, "not a time (seconds since 1970, at most 4294967295)");
        *ret_has = true;
        *ret = (int64_t)seconds;
        return 0;
}

static int parse_mkfs_time(struct parse_state *state)
{
        return parse_time(state, &state->options->has_mkfs_time, &state->options->mkfs_time);
}

static int parse_all_time(struct parse_state *state)
{
        return parse_time(state, &state->options->has_all_time, &state->options->all_time);
}

#define FLAG(member) .flag = offsetof(struct squashfs_options, member)

/* The words of mksquashfs 4.5.1, and the new ones of 4.6: these are understood … */
static const struct option_word words_known[] = {
        { "-comp", .parse = parse_compressor },
        { "-Xcompression-level", .parse = parse_level },
        { "-b", .parse = parse_block_size },
        { "-processors", .parse = parse_processors },
        { "-mem", .parse = parse_memory },
        { "-mkfs-time", .parse = parse_mkfs_time },
        { "-fstime", .parse = parse_mkfs_time },
        { "-all-time", .parse = parse_all_time },

        { "-noI", FLAG(plain_inodes) },
        { "-noInodeCompression", FLAG(plain_inodes) },
        { "-noD", FLAG(plain_data) },
        { "-noDataCompression", FLAG(plain_data) },
        { "-noF", FLAG(plain_fragments) },
        { "-noFragmentCompression", FLAG(plain_fragments) },
        { "-noX", FLAG(plain_xattrs) },
        { "-noXattrCompression", FLAG(plain_xattrs) },
        { "-noId", FLAG(plain_ids) },
        { "-noIdTableCompression", FLAG(plain_ids) },
        { "-no-duplicates", FLAG(no_duplicates) },
        { "-all-root", FLAG(all_root) },
        { "-root-owned", FLAG(all_root) },

        { "-exit-on-error" },
        { "-no-progress" },
        { "-progress" },
        { "-quiet" },
        { "-noappend" },
        { "-no-recovery" },
        { "-reproducible" },
        { "-exports" },
        { "-xattrs" },
        { "-no-tailends" },
};

/* … these, alone or with an argument, are worth a warning … */
/* clang-format off */
static const char *const ignored_alone[] = {
        "-Xhc", "-always-use-fragments", "-tailends", "-no-fragments", "-no-sparse", "-no-xattrs",
        "-no-exports", "-no-hardlinks", "-not-reproducible", "-nopad", "-keep-as-directory", "-tar",
        "-tarstyle", "-no-strip", "-cpiostyle", "-cpiostyle0", "-pseudo-override", "-wildcards",
        "-regex", "-one-file-system", "-one-file-system-x", "-info", "-percentage", "-mem-default",
};
static const char *const ignored_with_argument[] = {
        "-Xwindow-size", "-Xstrategy", "-Xalgorithm", "-Xbcj", "-Xdict-size", "-action",
        "-action-file", "-log-action", "-log-action-file", "-true-action", "-true-action-file",
        "-false-action", "-false-action-file", "-xattrs-exclude", "-xattrs-include", "-xattrs-add",
        "-root-time", "-root-mode", "-root-uid", "-root-gid", "-force-uid", "-force-gid",
        "-force-file-mode", "-force-dir-mode", "-default-mode", "-default-uid", "-default-gid",
        "-p", "-pf", "-pd", "-pseudo-dir", "-sort", "-ef", "-max-depth", "-root-becomes",
        "-recover", "-recovery-path", "-info-file", "-throttle", "-limit", "-mem-percent",
        "-offset", "-o",
};
/* clang-format on */

/* … and so is this one, which takes everything that follows it. */
static const char ignored_with_rest[] = "-e";

static const struct option_word *find_word(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(words_known); i++)
                if (strcmp(words_known[i].name, name) == 0)
                        return &words_known[i];
        return NULL;
}

static bool contains(const char *const *names, size_t count, const char *name)
{
        for (size_t i = 0; i < count; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static int split(const char *text, struct strlist *words)
{
        static const char blanks[] = " \t\r\n";

        for (text += strspn(text, blanks); *text; text += strspn(text, blanks)) {
                size_t length = strcspn(text, blanks);

                if (strlist_append_mem(words, text, length) < 0)
                        return -1;
                text += length;
        }
        return 0;
}

static void ignore_word(struct strbuf *ignored, const char *word)
{
        strbuf_append(ignored, ignored->length > 0 ? " " : "");
        strbuf_append(ignored, word);
}

/* How many arguments the word at an index takes, or -1 with *err. */
static int count_arguments(const struct strlist *words, size_t index, struct error *err)
{
        const char *word = words->items[index];
        const struct option_word *known = find_word(word);
        bool argument =
                known ? known->parse != NULL
                      : contains(ignored_with_argument, ARRAY_SIZE(ignored_with_argument), word);

        if (argument && index + 1 == words->count)
                return error_set(err, EINVAL, "%s needs an argument", word);
        if (!known && !argument && strcmp(word, ignored_with_rest) != 0 &&
            !contains(ignored_alone, ARRAY_SIZE(ignored_alone), word))
                return error_set(err, EINVAL, "%s: not an option of mksquashfs", word);
        return argument;
}

static int apply_words(struct parse_state *state, const struct strlist *words)
{
        for (size_t i = 0; i < words->count; i++) {
                const struct option_word *known = find_word(words->items[i]);
                int arguments = count_arguments(words, i, state->err);

                if (arguments < 0)
                        return -1;
                state->word = words->items[i];
                state->argument = words->items[i + (size_t)arguments];
                if (!known)
                        ignore_word(state->ignored, state->word);
                else if (known->flag)
                        *(bool *)((char *)state->options + known->flag) = true;
                else if (known->parse && known->parse(state) < 0)
                        return -1;
                if (strcmp(state->word, ignored_with_rest) == 0)
                        break;
                i += (size_t)arguments;
        }
        return 0;
}

/* The level's range is the compressor's, which may be named after it. */
static int check_level(const struct squashfs_options *options, struct error *err)
{
        static const struct {
                int compressor, highest;
        } ranges[] = {
                { SQFS_COMP_GZIP, SQFS_GZIP_MAX_LEVEL },
                { SQFS_COMP_LZO, SQFS_LZO_MAX_LEVEL },
                { SQFS_COMP_ZSTD, SQFS_ZSTD_MAX_LEVEL },
        };

        if (options->level == 0)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
                if (ranges[i].compressor != options->compressor)
                        continue;
                if (options->level <= ranges[i].highest)
                        return 0;
                return error_set(err, EINVAL, "-Xcompression-level %d: %s takes 1 to %d",
                                 options->level, compressor_name(options->compressor),
                                 ranges[i].highest);
        }
        return error_set(err, EINVAL, "-Xcompression-level %d: %s has no levels", options->level,
                         compressor_name(options->compressor));
}

int squashfs_options_parse(const char *words, struct squashfs_options *ret, struct report *report,
                           struct error *err)
{
        auto_strlist struct strlist list = STRLIST_INIT;
        auto_strbuf struct strbuf ignored = STRBUF_INIT;
        struct squashfs_options options = {
                .compressor = SQFS_COMP_ZSTD,
                .block_size = SQFS_DEFAULT_BLOCK_SIZE,
        };
        struct parse_state state = { .options = &options, .ignored = &ignored, .err = err };

        if (split(words, &list) < 0)
                return error_no_memory(err);
        if (apply_words(&state, &list) < 0 || check_level(&options, err) < 0)
                return -1;
        if (ignored.failed)
                return error_no_memory(err);
        if (ignored.length > 0)
                report_warn(report, "options of mksquashfs without effect here: %s", ignored.data);
        *ret = options;
        return 0;
}
