/* SPDX-License-Identifier: MIT */
#include "net/gate.h"

#include "base/error.h"
#include "base/sys.h"

static int gate_add(const struct cnc_gate *gate, int fd, uint32_t events, unsigned index)
{
    struct epoll_event ev = { .events = events, .data.u32 = index };
    return cnc_sys_epoll_ctl(gate->epoll, EPOLL_CTL_ADD, fd, &ev);
}

int cnc_gate_open(struct cnc_gate *gate, const int *listeners, unsigned listener_count, const int *others,
                  unsigned other_count)
{
    char why[128];
    int rc = 0;
    gate->listeners = listener_count;
    gate->epoll = cnc_sys_epoll();
    for (unsigned i = 0; gate->epoll >= 0 && i < listener_count && rc == 0; i++)
        rc = gate_add(gate, listeners[i], EPOLLIN | EPOLLEXCLUSIVE, i);
    for (unsigned i = 0; gate->epoll >= 0 && i < other_count && rc == 0; i++)
        rc = gate_add(gate, others[i], EPOLLIN, listener_count + i);
    if (gate->epoll >= 0 && rc == 0)
        return CONCUR_OK;
    rc = cnc_error_set(CONCUR_E_SYS, "cannot wait for connections: %s", cnc_files_why(why, sizeof why, errno, CNC_FILES_PROCESS));
    cnc_gate_close(gate);
    return rc;
}

bool cnc_gate_look(struct cnc_gate *gate, const int *listeners, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        cnc_gate_leave(gate, listeners[i]);
        if (gate_add(gate, listeners[i], EPOLLIN | EPOLLEXCLUSIVE, i) < 0)
            return false;
    }
    return true;
}

void cnc_gate_leave(struct cnc_gate *gate, int fd)
{
    (void)cnc_sys_epoll_ctl(gate->epoll, EPOLL_CTL_DEL, fd, NULL); /* fails only if the gate does not watch fd */
}

void cnc_gate_close(struct cnc_gate *gate)
{
    cnc_sys_close(&gate->epoll);
}

int cnc_gate_wait(const struct cnc_gate *gate, int timeout_ms)
{
    struct epoll_event ev;
    int n = cnc_sys_epoll_wait(gate->epoll, &ev, 1, timeout_ms);
    return n == 1 ? (int)ev.data.u32 : n == 0 || errno == EINTR ? -1 : CNC_GATE_BROKEN;
}
