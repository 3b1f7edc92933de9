/*
 * The files that an import writes into the image: /etc/rc, /etc/rc.local,
 * /etc/fstab, /etc/environment.
 *
 * Every value is of the image and untrusted. It ends up on the line that it belongs
 * to and nowhere else: comments and environment values lose their control
 * characters to blanks, words of rc are single-quoted, paths of fstab are escaped.
 */
#include "image/image.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util/path.h"

static void append_one_line(struct strbuf *text, const char *value)
{
        for (const char *p = value; *p; p++)
                strbuf_append_char(text, iscntrl((unsigned char)*p) ? ' ' : *p);
}

/* A word for the shell that is taken as it is: 'it'\''s'. */
static void append_shell_word(struct strbuf *text, const char *word)
{
        strbuf_append_char(text, '\'');
        for (const char *p = word; *p; p++) {
                if (*p == '\'')
                        strbuf_append(text, "'\\''");
                else
                        strbuf_append_char(text, *p);
        }
        strbuf_append_char(text, '\'');
}

static void append_shell_words(struct strbuf *text, const struct strlist *words)
{
        for (size_t i = 0; i < words->count; i++) {
                strbuf_append_char(text, ' ');
                append_shell_word(text, words->items[i]);
        }
}

static void append_head(struct strbuf *text, const struct image_config *config,
                        const char *provenance)
{
        if (provenance) {
                strbuf_append(text, "# enroot-provenance: ");
                append_one_line(text, provenance);
                strbuf_append_char(text, '\n');
        }
        for (size_t i = 0; i < config->label_count; i++) {
                strbuf_append(text, "# ");
                append_one_line(text, config->labels[i].key);
                strbuf_append_char(text, ' ');
                append_one_line(text, config->labels[i].value);
                strbuf_append_char(text, '\n');
        }
}

/*
 * A directory that is missing and cannot be made is told by cd, not by mkdir. The
 * test in front saves a process at every start where it is there, as it nearly
 * always is.
 */
static void append_working_dir(struct strbuf *text, const char *dir)
{
        auto_strbuf struct strbuf word = STRBUF_INIT;

        strbuf_printf(&word, "%s%s", dir && dir[0] == '/' ? "" : "/", dir ? dir : "");
        strbuf_append(text, "\n[ -d ");
        append_shell_word(text, strbuf_text(&word));
        strbuf_append(text, " ] || mkdir -p ");
        append_shell_word(text, strbuf_text(&word));
        strbuf_append(text, " 2> /dev/null\ncd ");
        append_shell_word(text, strbuf_text(&word));
        strbuf_append(text, " && unset OLDPWD || exit 1\n");
        if (word.failed)
                text->failed = true;
}

int image_write_rc(const struct image_config *config, const char *provenance, struct strbuf *text,
                   struct error *err)
{
        append_head(text, config, provenance);
        append_working_dir(text, config->working_dir);
        strbuf_append(text, "\nif [ -s /etc/rc.local ]; then\n"
                            "    . /etc/rc.local\n"
                            "fi\n\n"
                            "if [ $# -gt 0 ]; then\n    exec");
        append_shell_words(text, &config->entrypoint);
        strbuf_append(text, " \"$@\"\nelse\n    exec");
        append_shell_words(text, &config->entrypoint);
        append_shell_words(text, &config->cmd);
        if (config->entrypoint.count == 0 && config->cmd.count == 0)
                strbuf_append(text, " /bin/sh");
        strbuf_append(text, "\nfi\n");
        return text->failed ? error_no_memory(err) : 0;
}

int image_write_rc_local(struct strbuf *text, struct error *err)
{
        strbuf_append(
                text,
                "# /etc/rc reads this file in the container's shell before it runs the\n"
                "# command. Put here what must happen first; exec \"$@\" skips the entrypoint.\n");
        return text->failed ? error_no_memory(err) : 0;
}

/* The volumes as paths below the root, sorted. The root itself is there anyway: left out. */
static int normalize_volumes(const struct image_config *config, struct strlist *paths,
                             struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        for (size_t i = 0; i < config->volumes.count; i++) {
                if (path_normalize(config->volumes.items[i], &path) < 0)
                        return error_set(err, EINVAL, "volume %.100s: name too long",
                                         config->volumes.items[i]);
                if (path.length > 0 && strlist_append(paths, path.data) < 0)
                        return error_no_memory(err);
        }
        strlist_sort(paths);
        return 0;
}

int image_write_fstab(const struct image_config *config, struct strbuf *text, struct error *err)
{
        auto_strlist struct strlist paths = STRLIST_INIT;

        if (normalize_volumes(config, &paths, err) < 0)
                return -1;
        for (size_t i = 0; i < paths.count; i++) {
                /* "/a/" is "/a" once more. */
                if (i > 0 && strcmp(paths.items[i], paths.items[i - 1]) == 0)
                        continue;
                strbuf_append(text, "${ENROOT_ROOTFS}/");
                strbuf_append_fstab(text, paths.items[i]);
                strbuf_append(text, " /");
                strbuf_append_fstab(text, paths.items[i]);
                strbuf_append(text, " none x-create=dir,bind,rw,nosuid,nodev\n");
        }
        return text->failed ? error_no_memory(err) : 0;
}

int image_write_environment(const struct image_config *config, struct strbuf *text,
                            struct error *err)
{
        for (size_t i = 0; i < config->env.count; i++) {
                append_one_line(text, config->env.items[i]);
                strbuf_append_char(text, '\n');
        }
        return text->failed ? error_no_memory(err) : 0;
}
