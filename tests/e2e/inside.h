/* SPDX-License-Identifier: MIT
 *
 * A server of this process, on any engine, whose inside can be looked at: the board of its processes, its log lines. With its
 * routes a client can make a worker sick.
 *
 *   GET /            Hello, World!
 *   GET /whoami      {"pid":N}
 *   GET /block/{ms}  "blocked\n", after a sleep in the handler; a blocking route
 *   GET /sick/{how}  link: its end of the link to the front is closed; epoll: every epoll descriptor is;
 *                    files: it may open no descriptor; threads: it can start no thread; memory: it gets none; a number:
 *                    that descriptor is closed;  {"pid":N}; with ?pid=N 409 by all others
 */
#ifndef E2E_INSIDE_H
#define E2E_INSIDE_H

#include <sys/types.h>

#include <concur/concur.h>

#include "e2e/harness.h"

enum { INSIDE_PROCESSES_MAX = 700 };

struct inside_process {
    pid_t pid;
    int role;           /* enum cnc_role_id */
    unsigned state;     /* enum cnc_board_state */
    unsigned number;    /* of its group */
    unsigned free, lendable, threads, threads_idle, queued;
};

struct inside {
    concur_server *server;
    const char *engine;
    unsigned port;
    struct demo demo; /* for what is asked of /proc */
    char *log;        /* lines so far, NUL-terminated */
    size_t log_len;
};

/* Options are pairs of name and value, NULL at the end. Returns when it accepts. */
void inside_start(struct inside *in, const char *engine, ...) __attribute__((sentinel));
void inside_stop(struct inside *in);
/* Takes what its processes have said. */
void inside_hear(struct inside *in);
/* Waits until a line of the log has the text; at most ms, scaled. */
bool inside_said(struct inside *in, const char *text, unsigned ms);
int inside_look(const struct inside *in, struct inside_process *out, int max);
/* A number of concur_server_status(). */
long inside_status(struct inside *in, const char *name);
/* Of its workers; by number. Fails unless there is one. */
struct inside_process inside_worker(const struct inside *in, unsigned number);
pid_t inside_front(const struct inside *in);
/* A process that may open nothing, or start no thread, may again. */
void inside_heal(pid_t pid);

#endif
