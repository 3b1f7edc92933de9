/* How the program ends when what it stood for was ended by a signal. */
#pragma once

/*
 * Die from a signal, so that a calling shell sees it. Returns 128 + sig, the exit status
 * that shells give it, when the signal does not kill.
 */
int ending_of_signal(int sig);

/* The exit status that passes a child's wait(2) status on; the same for a signal. */
int ending_of_child(int wait_status);
