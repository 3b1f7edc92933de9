/*
 * cli/: the verb table, option tables, messages and progress. The only place that
 * prints and that decides the exit status.
 */
#pragma once

/* Run the command line. Returns the exit status of the program. */
int cli_main(int argc, char **argv, char **environment);

/* The same for the program at the front of a bundle. */
int cli_bundle_main(int argc, char **argv, char **environment);
