/* The AMD GPUs of a machine. */
#pragma once

#include "gpu/injection.h"

struct amd_gpu {
        char *address;        /* "0000:c1:00.0", or the name of a partition */
        struct strlist nodes; /* "card1", "renderD128": below /dev/dri */
        int render_minor;     /* -1: none */
        uint64_t unique_id;   /* 0: not known */
        size_t position;
        bool chosen;
};

/* In the order of their indexes. */
struct amd_gpus {
        struct amd_gpu *items;
        size_t count;
};

#define AMD_GPUS_INIT { .items = NULL }

/* Find them. Returns 0 (also for none), or -1 with *err without memory. */
int amd_gpus_find(const struct gpu_roots *roots, struct amd_gpus *ret, struct error *err);
void amd_gpus_release(struct amd_gpus *gpus);
#define auto_amd_gpus auto_cleanup(amd_gpus_release)

/* Mark what a list in the form of AMD_VISIBLE_DEVICES stands for. 0, or -1 with *err. Pure. */
int amd_gpus_choose(struct amd_gpus *gpus, const char *list, struct error *err);
