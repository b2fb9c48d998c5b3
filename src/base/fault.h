/* SPDX-License-Identifier: MIT
 *
 * Fault injection. In builds with CNC_FAULTS a test can make one kind of call fail at its nth use, and at all later
 * ones if it likes. In other builds CNC_FAULT is the constant false and costs nothing.
 */
#ifndef CNC_FAULT_H
#define CNC_FAULT_H

#include <stdbool.h>

enum cnc_fault_kind {
    CNC_FAULT_ALLOC = 0,
    CNC_FAULT_READ = 1,
    CNC_FAULT_WRITE = 2,
    CNC_FAULT_OPEN = 3, /* calls that open a descriptor: socket, accept, open, eventfd, bind, listen */
    CNC_FAULT_WAIT = 4,
    CNC_FAULT_THREAD = 5,
    CNC_FAULT_PROCESS = 6, /* fork */
    CNC_FAULT_KINDS = 7
};

#ifdef CNC_FAULTS
/* Calls of this kind fail at the nth use from now (1: the next); 0: none fails. Any thread. */
void cnc_fault_arm(enum cnc_fault_kind kind, unsigned nth, bool and_after);
/* Processes that are forked from now on share one count with this one: the nth use of all of them together fails. Must
 * be called before there are threads. False: out of memory. */
bool cnc_fault_share(void);
/* Uses of kind since the last cnc_fault_arm(). */
unsigned cnc_fault_count(enum cnc_fault_kind kind);
/* True when this use must fail; errno is then set to err. */
bool cnc_fault_hit(enum cnc_fault_kind kind, int err);
#define CNC_FAULT(kind, err) cnc_fault_hit((kind), (err))
/* Sets a function that is called before each write to a body's file, on the thread that writes; NULL: none. Must be
 * called before there are threads. */
void cnc_fault_hear_spool(void (*fn)(void));
/* Calls that function, and waits as many ms as CONCUR_TEST_SLOW_DISK in the environment says, to imitate a slow
 * disk. */
void cnc_fault_on_spool(void);
#define CNC_FAULT_ON_SPOOL() cnc_fault_on_spool()
#else
#define CNC_FAULT_ON_SPOOL() ((void)0)
#define CNC_FAULT(kind, err) ((void)(kind), (void)(err), false)
#endif

#endif
