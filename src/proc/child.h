/* SPDX-License-Identifier: MIT
 *
 * Forks a process, and sets its signals.
 */
#ifndef CNC_CHILD_H
#define CNC_CHILD_H

#include <sys/types.h>

#include "base/base.h"

/* Is this thread the process' only one? A thread that was joined may be listed for a moment longer: looks for 50 ms. */
bool cnc_child_is_alone(void);
/* Forks with every signal blocked, so that none is taken by a process that is not ready for it, and with stdio flushed, so
 * that nothing is printed twice. In the child: returns 0; signals that a program may catch have their default again, but for
 * those by which a fault is reported; SIGPIPE, SIGXFSZ, SIGINT and SIGHUP are ignored (the terminal's signals are for the master);
 * the mask is empty. with_parent: the child dies with the calling thread. In the parent: the child's id, or -1 and errno. */
pid_t cnc_child_fork(bool with_parent);

/* Exit status of a process that could serve nobody: it is replaced, and does not count as a crash of the program's code.
 * Other statuses are the negative of CONCUR_E_*, and 23 for a leak. */
#define CNC_CHILD_SICK 40

_Noreturn void cnc_child_sick(void);

#define CNC_CHILD_STRAY 41

/* For a child that the program forked in a callback and in which the callback has returned. Ends it with status 41: its descriptors
 * belong to the parent, and if it returned to the program, everything that follows would run twice. */
_Noreturn void cnc_child_stray(void);

/* The master is gone, and so is this process. */
_Noreturn void cnc_child_orphaned(void);

/* A signal's handler in a child, in place of the default. */
void cnc_child_catch(int sig, void (*handler)(int));

/* "exit status 3" or "signal 11"; n >= 40. */
void cnc_child_end_text(int status, char *out, size_t n);

#endif
