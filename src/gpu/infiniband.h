/* The InfiniBand adapters of a machine. */
#pragma once

#include "gpu/injection.h"

/* One "uverbs" device and what belongs to it; everything but verbs may be missing. */
struct ib_device {
        char *address;               /* of the PCI function */
        char *verbs;                 /* "uverbs0" */
        char *interface;             /* "mlx5_0"; NULL: none */
        struct strlist management;   /* "umad0", "issm0" */
        bool chosen;
};

/* In the order of their indexes. */
struct ib_devices {
        struct ib_device *items;
        size_t count;
};

#define IB_DEVICES_INIT { .items = NULL }

/* Find them. Returns 0 (also for none), or -1 with *err without memory. */
int ib_devices_find(const struct gpu_roots *roots, struct ib_devices *ret, struct error *err);
void ib_devices_release(struct ib_devices *devices);
#define auto_ib_devices auto_cleanup(ib_devices_release)

/* Mark what a list in the form of MELLANOX_VISIBLE_DEVICES stands for. 0, or -1 with *err. Pure. */
int ib_devices_choose(struct ib_devices *devices, const char *list, struct error *err);
