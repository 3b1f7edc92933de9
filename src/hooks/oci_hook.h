/* Programs that expect an OCI runtime around them. Private to hooks/. */
#pragma once

#include "gpu/gpu.h"
#include "hooks/exchange.h"

/* Run one, with the files it looks for beside those of the exchange. 0, or -1 with *err. */
int oci_hook_run(const struct exchange *exchange, const struct gpu_program *program,
                 struct error *err);
