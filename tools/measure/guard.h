/* SPDX-License-Identifier: MIT
 *
 * The guard is a process between the tool and the program that it starts. When the tool ends, even by SIGKILL, the
 * guard sees the end of a socket, and ends every process of the program. Orphans of the program become its children,
 * since it is their reaper (PR_SET_CHILD_SUBREAPER).
 */
#ifndef TOOLS_GUARD_H
#define TOOLS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct guard {
    pid_t pid;     /* of the guard; 0: it was not started */
    pid_t program; /* the program, its child */
    int fd;
    bool has_ended; /* the program has ended by itself */
    int status;     /* then its status, as of waitpid */
};

/* Starts argv (looked up in PATH) with `settings` (NAME=VALUE, up to a NULL) added to the environment. Its output goes
 * to log_fd. The calling process must have only one thread. 0, or a negative errno and a sentence in `error`. */
int guard_start(struct guard *g, char *const argv[], char *const settings[], int log_fd, char *error, size_t error_len);
/* Has the program ended by itself? Does not wait. */
bool guard_has_ended(struct guard *g);
/* Sends SIGTERM to the program, and after patience_ms SIGKILL to all its processes that are left. Returns when none is
 * left. */
void guard_stop(struct guard *g, unsigned patience_ms);

#endif
