/*
 * What an image without a shell runs: its entrypoint and command as the import recorded
 * them, in its working directory, as /etc/rc would. The record may have been changed by
 * whoever changes the image: it is data, and names nothing outside of it.
 */
#include <errno.h>
#include <string.h>

#include "image/image.h"
#include "runtime/container.h"

#define RC_LIMIT (1u << 20) /* bytes of /etc/rc that are looked at */

/* The configuration of the image: 1, 0 when the container has no record of one, or -1 with *err. */
static int read_config(const struct container *container, struct image_config *config,
                       struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_image_record struct image_record record = { .config = NULL };

        if (container->view.read(&container->view, "/" IMAGE_RECORD_PATH, IMAGE_RECORD_LIMIT, &text,
                                 err) < 0)
                return err->code == ENOENT ? 0 : -1;
        if (image_record_parse(strbuf_text(&text), text.length, &record, err) < 0)
                return -1;
        if (!record.config)
                return 0;
        return image_config_parse(record.config, strlen(record.config), config, err) < 0 ? -1 : 1;
}

/* Append words to the list that the arguments are taken from. 0, or -1 without memory. */
static int append_words(struct strlist *list, char *const *words, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (strlist_append(list, words[i]) < 0)
                        return -1;
        return 0;
}

/* Returns 0, or -1 without memory. */
static int set_directory(struct login *login, const char *directory)
{
        if (!directory || !*directory)
                return 0;
        if (asprintf(&login->work_dir, "%s%s", *directory == '/' ? "" : "/", directory) >= 0)
                return 0;
        login->work_dir = NULL; /* undefined after a failed asprintf */
        return -1;
}

static int set_words(struct login *login, const struct image_config *config, char *const *command)
{
        const struct strlist *entrypoint = &config->entrypoint, *cmd = &config->cmd;
        struct strlist *words = &login->recorded;
        size_t count = 0;

        while (command[count])
                count++;
        if (append_words(words, entrypoint->items, entrypoint->count) < 0 ||
            append_words(words, count > 0 ? command : cmd->items, count > 0 ? count : cmd->count) <
                    0)
                return -1;
        if (words->count == 0)
                return 0;
        login->argv = calloc(words->count + 1, sizeof(*login->argv));
        if (!login->argv)
                return -1;
        memcpy(login->argv, words->items, words->count * sizeof(*words->items));
        return set_directory(login, config->working_dir);
}

int login_set_recorded(struct login *login, const struct container *container, char *const *command,
                       struct error *err)
{
        auto_image_config struct image_config config = { .env = STRLIST_INIT };
        int found = read_config(container, &config, err);

        if (found < 0)
                return error_prefix(err, "/" IMAGE_RECORD_PATH " of the image");
        if (found > 0 && set_words(login, &config, command) < 0)
                return error_no_memory(err);
        return login->argv ? 1 : 0;
}

/*
 * What the classic tool writes into /etc/rc: a line that begins with cd "DIRECTORY".
 * malloc'd; NULL when there is none, and without memory.
 */
static char *directory_of_rc(const char *text)
{
        static const char start[] = "cd \"";
        const char *line = strncmp(text, start, strlen(start)) == 0 ? text : NULL;
        size_t length;

        if (!line) {
                line = strstr(text, "\ncd \"");
                line = line ? line + 1 : NULL;
        }
        if (!line)
                return NULL;
        line += strlen(start);
        length = strcspn(line, "\"\n");
        return line[length] == '"' ? strndup(line, length) : NULL;
}

int login_set_recorded_directory(struct login *login, const struct container *container,
                                 struct error *err)
{
        auto_image_config struct image_config config = { .env = STRLIST_INIT };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_free char *directory = NULL;
        struct error ignored = ERROR_INIT;
        int found = read_config(container, &config, err);

        if (found < 0)
                return error_prefix(err, "/" IMAGE_RECORD_PATH " of the image");
        if (found == 0 && container->view.read(&container->view, "/etc/rc", RC_LIMIT, &text,
                                               &ignored) == 0)
                directory = directory_of_rc(strbuf_text(&text));
        if (set_directory(login, found > 0 ? config.working_dir : directory) < 0)
                return error_no_memory(err);
        return 0;
}
