/* SPDX-License-Identifier: MIT
 *
 * A gate is an epoll descriptor on which a worker of prefork waits for its next connection, as the other workers do on
 * theirs. For each connection the kernel wakes one of the processes that wait.
 */
#ifndef CNC_GATE_H
#define CNC_GATE_H

#include "base/base.h"

struct cnc_gate {
    int epoll;
    unsigned listeners;
};

/* listeners and others are borrowed. CONCUR_OK or CONCUR_E_SYS. */
int cnc_gate_open(struct cnc_gate *gate, const int *listeners, unsigned listener_count, const int *others,
                  unsigned other_count);
/* Makes cnc_gate_wait() report connections that wait already at the first `count` listeners. False: the gate is broken,
 * since its descriptor was closed by mistake. */
bool cnc_gate_look(struct cnc_gate *gate, const int *listeners, unsigned count);
/* Stops watching fd. Must be called before fd is closed. */
void cnc_gate_leave(struct cnc_gate *gate, int fd);
void cnc_gate_close(struct cnc_gate *gate);
#define CNC_GATE_BROKEN (-2)
/* Waits, and returns the index of a descriptor that is ready: first the listeners, then the others. -1: none within
 * timeout_ms (-1: no limit), or a signal came. CNC_GATE_BROKEN: the gate's descriptor was closed by mistake. */
int cnc_gate_wait(const struct cnc_gate *gate, int timeout_ms);

#endif
