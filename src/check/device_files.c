#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "check/devices.h"

bool nvidia_version_parse(const char *text, char *ret, size_t size)
{
        /* Both "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03 …" and the open
         * modules' "… Open Kernel Module for x86_64  560.35.03 …". */
        const char *end = strchrnul(text, '\n');

        for (const char *word = text; word < end; word++) {
                size_t length = 0, dots = 0;

                if (!isdigit((unsigned char)*word) || (word > text && word[-1] != ' '))
                        continue;
                for (; isdigit((unsigned char)word[length]) || word[length] == '.'; length++)
                        dots += word[length] == '.';
                if (dots == 0 || length >= size)
                        continue;
                memcpy(ret, word, length);
                ret[length] = '\0';
                return true;
        }
        return false;
}

const char *ld_cache_find(const char *cache, size_t length, const char *library)
{
        size_t name = strlen(library) + 1; /* with the NUL */
        const char *end = cache + length, *at = cache;

        while ((at = memmem(at, (size_t)(end - at), library, name))) {
                const char *path = at + name;

                if (path < end && *path == '/' && memchr(path, '\0', (size_t)(end - path)))
                        return path;
                at++;
        }
        return NULL;
}
