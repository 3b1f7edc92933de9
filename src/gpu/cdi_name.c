/* Grammar of CDI names, as in the chapter "Qualified names" of the specification. */
#include <string.h>

#include "gpu/cdi.h"

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(char c)
{
        return is_letter(c) || (c >= '0' && c <= '9');
}

/* Letters, digits and the marks, with a letter or digit at either end. */
static bool is_word(const char *text, size_t length, const char *marks)
{
        if (length == 0 || length > CDI_NAME_LIMIT || !is_alphanumeric(text[0]) ||
            !is_alphanumeric(text[length - 1]))
                return false;
        for (size_t i = 0; i < length; i++)
                if (!is_alphanumeric(text[i]) && (text[i] == '\0' || !strchr(marks, text[i])))
                        return false;
        return true;
}

bool cdi_kind_valid(const char *text, size_t length)
{
        const char *slash = memchr(text, '/', length);
        size_t vendor = slash ? (size_t)(slash - text) : 0;

        return slash && is_word(text, vendor, "_-.") && is_letter(text[0]) &&
               is_word(slash + 1, length - vendor - 1, "_-.") && is_letter(slash[1]);
}

bool cdi_device_valid(const char *text)
{
        return is_word(text, strlen(text), "_-.:");
}

bool cdi_name_split(const char *name, size_t *ret_kind_length, const char **ret_device)
{
        const char *equals = strchr(name, '=');

        if (!equals || !cdi_kind_valid(name, (size_t)(equals - name)) ||
            !cdi_device_valid(equals + 1))
                return false;
        *ret_kind_length = (size_t)(equals - name);
        *ret_device = equals + 1;
        return true;
}
