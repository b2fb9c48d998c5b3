/* SPDX-License-Identifier: MIT
 *
 * The master forks the processes of a server and watches them. It has one thread, which waits in one place with one
 * timeout. It knows no event loop, connection or request. Whatever a faulty worker writes or sends can affect only that
 * worker.
 */
#ifndef CNC_MASTER_H
#define CNC_MASTER_H

#include <sys/types.h>

#include "base/clock.h"
#include "proc/board.h"
#include "proc/note.h"
#include "proc/slot.h"
#include "proc/spawn.h"

#define CNC_GROUPS_MAX 6
#define CNC_NO_GROUP CNC_GROUPS_MAX

enum cnc_group_when {
    CNC_GROUP_START,   /* its processes run from the start */
    CNC_GROUP_GIVEN_UP /* they are started when a required group was given up, and replace all others */
};

enum cnc_group_link {
    CNC_LINK_NONE,
    CNC_LINK_EACH,  /* each member has its own link to the process of links_to; at a stop that process ends first */
    CNC_LINK_SHARED /* there is one link: all members share one end, the process of links_to has the other */
};

/* Processes that do the same work. */
struct cnc_group {
    const char *name;    /* in messages, such as "worker"; static */
    int role;            /* passed to its processes; the master does not use it */
    unsigned count;      /* processes at the start; if their number does not vary, always */
    unsigned most;       /* processes at any time, successors not counted */
    unsigned spare_min, spare_max; /* the number varies so that this many are idle; 0: the number is fixed */
    bool has_successors; /* a process that asks for a successor is stopped when that is ready */
    bool is_required;    /* if all of its processes were given up, nothing can be served */
    bool accepts;        /* its processes accept connections */
    bool once;           /* not used */
    enum cnc_group_when when;
    enum cnc_group_link link;
    unsigned links_to;   /* index of a group with one process, and perhaps a successor; not used with CNC_LINK_NONE */
};

/* The processes of a generation. */
struct cnc_plan {
    struct cnc_group groups[CNC_GROUPS_MAX];
    unsigned group_count;
    int64_t start_ms; /* time from fork to READY, for each process */
    int64_t drain_ms; /* time from the request to stop to the end, for a generation or a worker that is replaced */
    int64_t stuck_ms; /* a worker whose handler runs for longer is killed; 0: never */
    void *setup;      /* passed to its processes; the master does not use it */
};

/* What a child is told about itself. */
struct cnc_child {
    int role;
    unsigned group;           /* index in the plan */
    unsigned number;          /* within its group, from 0 */
    unsigned generation;
    unsigned page, slot;      /* its row on the board */
    unsigned peer_slot;       /* of the process that its group links to, or of the first one of the group that links to
                               * its own; CNC_BOARD_SLOTS: none */
    int link;                 /* to the master */
    int peer;                 /* its end of the link between these groups; -1: none, or a message brings it */
    void *setup;              /* its generation's */
};

struct cnc_master_ops {
    /* Called in the child: runs all of it, and returns its exit status. */
    int (*child)(void *arg, const struct cnc_child *child);
    /* Called before each fork. Negative, with the reason in the thread's last error: it must not be done now. */
    int (*before_fork)(void *arg);
    /* The deadline of a stop, monotonic ms; INT64_MAX: none was asked for. */
    int64_t (*stop_at)(void *arg);
    /* Was a reload asked for since the last call? */
    bool (*reload_asked)(void *arg);
    /* Reports to the host: CNC_NOTE_READY (the first generation serves), _EVENT, or _LOG (value: level). */
    void (*tell)(void *arg, enum cnc_note_what what, int64_t value, const char *text);
    /* A stop has begun: closes the master's copies of the listening sockets. */
    void (*stopping)(void *arg);
    /* Reads the configuration again and fills the plan of the next generation. CONCUR_OK, or an error and nothing has
     * changed. NULL: a reload is not possible. */
    int (*reload)(void *arg, struct cnc_plan *out);
    /* A generation serves: its set-up is in force now. */
    void (*serves)(void *arg, void *setup, unsigned generation);
    /* The last process of a generation has ended, or none was started: frees its set-up. */
    void (*dropped)(void *arg, void *setup);
};

struct cnc_master_config {
    const struct cnc_master_ops *ops;
    void *arg;
    const struct cnc_clock *clock;
    struct cnc_board *board; /* borrowed */
    struct cnc_plan plan;
    int wake_fd; /* an eventfd that wakes the master: for a stop or a reload, for requests on the board, and by SIGCHLD;
                  * borrowed */
    int wake_copy; /* a copy of it, which takes its place if the program closes it by mistake; borrowed */
    int host;    /* link to the host's process, whose end ends the server; -1: the master is the host. Borrowed */
};

struct cnc_master;

/* Runs the master until a stop is complete. CONCUR_OK; CONCUR_E_BUSY: code of the program still ran after the stop's
 * deadline, and its process was killed; CONCUR_E_SYS: a process failed while it stopped; CONCUR_E_NOMEM. If the first
 * generation did not start: the code of a child or of ops->before_fork, or CONCUR_E_SYS; concur_last_error() has the
 * reason. Never returns in a child. */
int cnc_master_run(const struct cnc_master_config *cfg);

#endif
