/* The parts of "list". Private to commands/. */
#pragma once

#include "commands/commands.h"
#include "runtime/runtime.h"

/* Print everything that is known of the containers and of what runs, as a JSON array. */
int list_json(const struct config *config, const struct strlist *names,
              const struct runtime_processes *processes, FILE *out, struct error *err);
