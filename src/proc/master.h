/* SPDX-License-Identifier: MIT
 *
 * The master: it forks the processes of a server and watches them. It has one thread and waits in one place, with one deadline.
 * It knows no loop, connection or request. What a worker writes or sends can affect that worker only.
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
    CNC_GROUP_START,   /* its processes are there from the start */
    CNC_GROUP_GIVEN_UP /* they start when a required group was given up, and replace all others */
};

enum cnc_group_link {
    CNC_LINK_NONE,
    CNC_LINK_EACH,  /* each member has its own link to the process of links_to, which drains and ends first */
    CNC_LINK_SHARED /* all members have one end of one link, that process has the other */
};

/* Processes that do the same. */
struct cnc_group {
    const char *name;    /* in messages, such as "worker"; static */
    int role;            /* handed to its processes; means nothing here */
    unsigned count;      /* at the start; of a group that does not vary: always */
    unsigned most;       /* at any time, without successors */
    unsigned spare_min, spare_max; /* a group that varies keeps this many idle; 0: the number is fixed */
    bool has_successors; /* a process that asks for a successor drains when that is ready */
    bool is_required;    /* without any of them nothing can be served */
    bool accepts;        /* its processes wait at the listening sockets */
    bool once;           /* one that ends with status 0 has done its work, and is not started again */
    enum cnc_group_when when;
    enum cnc_group_link link;
    unsigned links_to;   /* a group that is as good as one process; with CNC_LINK_NONE not looked at */
};

/* The processes of a generation. */
struct cnc_plan {
    struct cnc_group groups[CNC_GROUPS_MAX];
    unsigned group_count;
    int64_t start_ms; /* for each, from fork to READY */
    int64_t drain_ms; /* for a generation or a worker that is replaced, to finish what it has */
    int64_t stuck_ms; /* a worker whose handler runs for longer is killed; 0: never */
    void *setup;      /* what its processes are made from; means nothing here */
};

/* What a child is told about itself. */
struct cnc_child {
    int role;
    unsigned group;           /* of the plan */
    unsigned number;          /* within its group, from 0 */
    unsigned generation;
    unsigned page, slot;      /* of the board */
    unsigned peer_slot;       /* of the process that its group links to, or of the first of the group that links to its own;
                               * CNC_BOARD_SLOTS: there is none */
    int link;                 /* to the master */
    int peer;                 /* its end of the link between its group and the other one; -1: none, or a note brings it */
    void *setup;              /* its generation's */
};

struct cnc_master_ops {
    /* In the child: everything of it. Returns its exit status. */
    int (*child)(void *arg, const struct cnc_child *child);
    /* Before each fork; negative, with a sentence in the thread's last error: not now. */
    int (*before_fork)(void *arg);
    /* Deadline of a stop, monotonic ms; INT64_MAX: none was asked for. */
    int64_t (*stop_at)(void *arg);
    /* Was a reload asked for since the last look? */
    bool (*reload_asked)(void *arg);
    /* The first generation serves, or something else that the host should know: one of CNC_NOTE_READY, _EVENT, _LOG (value:
     * level). */
    void (*tell)(void *arg, enum cnc_note_what what, int64_t value, const char *text);
    /* A stop has begun: close the master's copies of the listening sockets. */
    void (*stopping)(void *arg);
    /* Reads the configuration anew and fills the plan of the next generation. CONCUR_OK, or an error and nothing has changed.
     * NULL: there is none. */
    int (*reload)(void *arg, struct cnc_plan *out);
    /* A generation serves: its set-up is the one in force. */
    void (*serves)(void *arg, void *setup, unsigned generation);
    /* The last process of a generation has ended, or it was never begun: nothing needs its set-up any more. */
    void (*dropped)(void *arg, void *setup);
};

struct cnc_master_config {
    const struct cnc_master_ops *ops;
    void *arg;
    const struct cnc_clock *clock;
    struct cnc_board *board; /* borrowed */
    struct cnc_plan plan;
    int wake_fd; /* an eventfd: raised when stop_at or a wish for a reload has changed, when a process asks for something on the
                  * board, and by SIGCHLD; borrowed */
    int host;    /* link to the host's process, whose end ends the server at once; -1: the master is the host. Borrowed */
};

struct cnc_master;

/* Serves until a stop is complete. CONCUR_OK; CONCUR_E_BUSY: code of the program still ran after the stop's deadline, and its
 * process was killed; CONCUR_E_SYS: a process ended badly while it stopped; CONCUR_E_NOMEM. If the first generation did not start:
 * the code of a child or of ops->before_fork, or CONCUR_E_SYS; concur_last_error() says why. Never returns in a child. */
int cnc_master_run(const struct cnc_master_config *cfg);

#endif
