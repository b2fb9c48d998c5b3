/* SPDX-License-Identifier: MIT
 *
 * Forks a process, and sets its signals.
 */
#ifndef CNC_CHILD_H
#define CNC_CHILD_H

#include <sys/types.h>

#include "base/base.h"

/* Is this the only thread of the process? The kernel may list a joined thread for a moment longer, so it waits up to 50
 * ms. */
bool cnc_child_is_alone(void);
/* Forks. All signals are blocked meanwhile, so that the child gets none before it is ready for them. stdio is flushed
 * first, so that nothing is printed twice. Returns 0 in the child, where the signal mask is empty and signals have
 * their default handler, with two exceptions: those of faults keep theirs; SIGPIPE, SIGXFSZ, SIGINT and SIGHUP are
 * ignored, since the master gets the terminal's signals. with_parent: the child dies with the calling thread. In the
 * parent: the child's id, or -1 and errno. */
pid_t cnc_child_fork(bool with_parent);

/* Exit status of a process that cannot serve any more: it is replaced, and that is not counted as a crash of the
 * program's code. Other statuses: the negative of CONCUR_E_*; 23 for a leak. */
#define CNC_CHILD_SICK 40

_Noreturn void cnc_child_sick(void);

#define CNC_CHILD_STRAY 41

/* For a child that the program forked in a callback, and in which the callback has returned. Ends it with status 41: else
 * it would go on serving beside its parent, with the same descriptors. */
_Noreturn void cnc_child_stray(void);

/* The master has ended: ends this process. */
_Noreturn void cnc_child_orphaned(void);

/* Sets a signal's handler in a child. */
void cnc_child_catch(int sig, void (*handler)(int));

/* "exit status 3" or "signal 11"; n >= 40. */
void cnc_child_end_text(int status, char *out, size_t n);

#endif
