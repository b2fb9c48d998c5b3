/* SPDX-License-Identifier: MIT
 *
 * Where a worker of prefork waits for its next connection: at the listening sockets, together with other processes. For each
 * connection the kernel wakes one of those that wait.
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
/* Reports again the connections that wait at the first `count` of its listeners. False: the gate is broken; its descriptor
 * was closed. */
bool cnc_gate_look(struct cnc_gate *gate, const int *listeners, unsigned count);
/* No longer waits at fd. To be called before fd is closed. */
void cnc_gate_leave(struct cnc_gate *gate, int fd);
void cnc_gate_close(struct cnc_gate *gate);
#define CNC_GATE_BROKEN (-2)
/* Which is ready: 0.. a listener, then the others; -1: none within timeout_ms (-1: no limit), or a signal came;
 * CNC_GATE_BROKEN: its descriptor was closed. */
int cnc_gate_wait(const struct cnc_gate *gate, int timeout_ms);

#endif
