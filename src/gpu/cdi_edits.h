/* From matches to an injection: private to the CDI files. */
#pragma once

#include "gpu/cdi.h"
#include "gpu/injection.h"

/* The edits of a file or of one of its devices. */
struct cdi_piece {
        const struct cdi_edits *edits;
        const struct cdi_spec *spec;
};

/*
 * Add everything that the devices bring. Returns 0, or -1 with *err and an injection that
 * is good for nothing.
 */
int cdi_edits_inject(const struct gpu_request *request, const struct cdi_match *matches,
                     size_t count, struct gpu_injection *injection, struct error *err);

/*
 * Do what NVIDIA's hook programs do, add others if they may run, and say which do not.
 *
 * mounts  what the pieces mount, nodes included
 */
int cdi_hooks_add(const struct gpu_request *request, const struct cdi_piece *pieces, size_t count,
                  const struct mount_plan *mounts, struct gpu_injection *injection,
                  struct error *err);
