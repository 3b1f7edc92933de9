#include <string.h>

#include "gpu/gpu.h"

bool gpu_nvidia_wanted(const struct gpu_request *request)
{
        const char *devices = gpu_setting(request, "NVIDIA_VISIBLE_DEVICES");

        return devices && strcmp(devices, "void") != 0;
}
