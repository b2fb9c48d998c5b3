/* SPDX-License-Identifier: MIT
 *
 * A process between the tool and the program that it starts. Whatever becomes of the tool, a SIGKILL at any moment
 * included, the guard ends every process that came of the program: all of them are its children in the end, since it is
 * the reaper of orphans below it, and it sees the tool's end of a socket close.
 */
#ifndef TOOLS_GUARD_H
#define TOOLS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct guard {
    pid_t pid;     /* of the guard; 0: not started */
    pid_t program; /* its child */
    int fd;
    bool has_ended; /* the program, by itself */
    int status;     /* then: as of waitpid */
};

/* Starts argv (looked up in PATH) with `settings` (NAME=VALUE, up to NULL) added to the environment; its output goes to
 * log_fd. Call it while the process has one thread. 0 or a negative errno, and then a sentence in `error`. */
int guard_start(struct guard *g, char *const argv[], char *const settings[], int log_fd, char *error, size_t error_len);
/* Whether the program has ended by itself; does not wait. */
bool guard_has_ended(struct guard *g);
/* SIGTERM to the program, and after patience_ms SIGKILL to all that is left of it. Returns when nothing is left. */
void guard_stop(struct guard *g, unsigned patience_ms);

#endif
