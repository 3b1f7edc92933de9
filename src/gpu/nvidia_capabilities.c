#include <errno.h>
#include <string.h>

#include "gpu/nvidia.h"

static const struct {
        const char *word;
        unsigned int capabilities;
} words[] = {
        { "all", NVIDIA_COMPUTE | NVIDIA_COMPAT32 | NVIDIA_DISPLAY | NVIDIA_GRAPHICS |
                         NVIDIA_UTILITY | NVIDIA_VIDEO | NVIDIA_NGX },
        { "compute", NVIDIA_COMPUTE },
        { "compat32", NVIDIA_COMPAT32 },
        { "display", NVIDIA_DISPLAY },
        { "graphics", NVIDIA_GRAPHICS },
        { "ngx", NVIDIA_NGX },
        { "utility", NVIDIA_UTILITY },
        { "video", NVIDIA_VIDEO },
};

int nvidia_capabilities_parse(const char *text, unsigned int *ret, struct error *err)
{
        *ret = text ? 0 : NVIDIA_UTILITY;
        while (text && *text) {
                size_t length = strcspn(text, ", "), i = 0;

                while (i < ARRAY_SIZE(words) && (strlen(words[i].word) != length ||
                                                 memcmp(words[i].word, text, length) != 0))
                        i++;
                if (length > 0 && i == ARRAY_SIZE(words))
                        return error_set(err, EINVAL,
                                         "unknown driver capability: %.*s (known are all, compute, "
                                         "compat32, display, graphics, ngx, utility, video)",
                                         length < 100 ? (int)length : 100, text);
                if (length > 0)
                        *ret |= words[i].capabilities;
                text += length;
                text += *text != '\0';
        }
        return 0;
}

/* Names that start so; the first one that fits counts. */
static const struct {
        const char *prefix;
        unsigned int capabilities;
} libraries[] = {
        /* The image's own toolkits, and what must match its C library. */
        { "libnvidia-gtk", 0 },
        { "libnvidia-wayland-client", 0 },

        { "libnvidia-ml", NVIDIA_UTILITY },
        { "libnvidia-cfg", NVIDIA_UTILITY },
        { "libnvidia-nscq", NVIDIA_UTILITY },
        { "libnvidia-sandboxutils", NVIDIA_UTILITY },

        { "libvdpau_nvidia", NVIDIA_VIDEO },
        { "libnvidia-encode", NVIDIA_VIDEO },
        { "libnvidia-opticalflow", NVIDIA_VIDEO },
        { "libnvcuvid", NVIDIA_VIDEO },

        { "libnvidia-eglcore", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-glcore", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-tls", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-glsi", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-fbc", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-ifr", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-rtcore", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvoptix", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libGLX_nvidia", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libEGL_nvidia", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libGLESv2_nvidia", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libGLESv1_CM_nvidia", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-glvkspirv", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-cbl", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-present", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-vulkan-producer", NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        /* The shader compiler is of use to both (since 535). */
        { "libnvidia-gpucomp",
          NVIDIA_COMPUTE | NVIDIA_VIDEO | NVIDIA_GRAPHICS | NVIDIA_DISPLAY },
        { "libnvidia-allocator",
          NVIDIA_COMPUTE | NVIDIA_VIDEO | NVIDIA_GRAPHICS | NVIDIA_DISPLAY },

        { "libnvidia-ngx", NVIDIA_NGX },

        /* Future drivers will have libraries that are not known here. */
        { "libnvidia-", NVIDIA_COMPUTE | NVIDIA_VIDEO },
        { "libcuda", NVIDIA_COMPUTE | NVIDIA_VIDEO },
};

unsigned int nvidia_library_capabilities(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
                if (strncmp(name, libraries[i].prefix, strlen(libraries[i].prefix)) == 0)
                        return libraries[i].capabilities;
        return 0;
}
