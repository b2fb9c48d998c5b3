/* SPDX-License-Identifier: MIT
 *
 * Shared by master.c (the main loop), generation.c (which processes there should be), member.c (one process) and
 * watch.c.
 */
#ifndef CNC_MASTER_INTERNAL_H
#define CNC_MASTER_INTERNAL_H

#include <poll.h>

#include "proc/master.h"

struct cnc_generation;

/* A slot and the process in it. */
struct cnc_member {
    struct cnc_slot slot;
    struct cnc_generation *gen;
    const struct cnc_group *group;
    unsigned index;  /* in the generation; also its row on the board */
    unsigned number; /* within its group */
    pid_t pid;
    int pidfd;  /* readable when the process has ended; -1: no process, or a kernel without pidfds */
    int link;   /* the master's end of the link to it */
    int lend;   /* with CNC_LINK_EACH: an end of its link to the process of links_to, to which it is sent */
    int64_t stopped_at; /* when it was seen to be stopped (SIGSTOP); 0: it is not */
    int64_t silent_at;  /* when it closed a link although it should serve; 0: it has not */
    unsigned owed;   /* CNC_OWES_*: messages for which there was no room yet */
    int64_t owed_at; /* when they are sent again; INT64_MAX: none is owed */
    pid_t dead;      /* with CNC_OWES_DEAD: the process that has ended */
    struct cnc_member *replaces; /* of a successor: the member that it replaces; NULL: none */
    bool said_why; /* the reason of its end was reported already */
    bool leaves;   /* it has announced its end, which is no failure then */
    bool knows_of_stop; /* it was told that a stop has begun; its front still serves */
    bool starved;  /* it has reported that it cannot start for want of memory or descriptors */
    bool said_unwoken; /* a line of the log says that it has lost the eventfd that wakes the master */
    bool asks_to_be_replaced;    /* it has asked for a successor, and has none yet */
    int64_t replace_at; /* when the next successor may be started */
};

/* Messages to the member itself (GO, LOOK), or about it to its front, which are sent in this order. */
enum {
    CNC_OWES_GO = 1,
    CNC_OWES_DEAD = 2,   /* about the process that was in the slot before */
    CNC_OWES_LINK = 4,
    CNC_OWES_RETIRE = 8,
    CNC_OWES_LOOK = 16
};

enum cnc_generation_state {
    CNC_GENERATION_NONE,    /* no processes */
    CNC_GENERATION_WARM,    /* its processes start; they accept nothing yet */
    CNC_GENERATION_LIVE,    /* its processes serve */
    CNC_GENERATION_RETIRE,  /* its processes finish what they have, and end */
    CNC_GENERATION_REFUSED, /* one of them could not start, or a newer generation replaces it: all are stopped */
    CNC_GENERATION_STATES
};

enum cnc_generation_event {
    CNC_GENERATION_ON_START,
    CNC_GENERATION_ON_UP,    /* all processes are ready */
    CNC_GENERATION_ON_DOWN,  /* one ended before it was ready */
    CNC_GENERATION_ON_LEAVE, /* another generation serves, or the server stops */
    CNC_GENERATION_ON_EMPTY, /* the last process has ended */
    CNC_GENERATION_EVENTS
};

struct cnc_generation {
    enum cnc_generation_state state;
    unsigned number;            /* from 1 */
    unsigned page;              /* of the board; also its index in the master's table */
    struct cnc_plan plan;
    struct cnc_slot_times times;
    struct cnc_member *members; /* owned */
    unsigned count;
    unsigned first[CNC_GROUPS_MAX + 1]; /* members of group g: first[g] up to first[g + 1] */
    int shared[2];              /* the link of a group with CNC_LINK_SHARED: its end, and the other one; -1: none */
    struct cnc_spawn spawn[CNC_GROUPS_MAX];
    int64_t spawn_at;           /* when the sizes of varying groups are checked next */
    int64_t full_until;         /* the front's link was full: nothing is sent to it until then */
    int64_t warm_until;         /* by then each process must have been forked */
    char told[256];             /* why a member could not start, as last reported */
    bool given_up;              /* a required group was given up; the CNC_GROUP_GIVEN_UP group serves */
};

/* A log line that would repeat as long as its cause lasts. */
struct cnc_repeated {
    int64_t last; /* when the cause occurred last, whether the line was written or not */
    int64_t at;   /* the line is not written before then */
    int64_t gap;  /* between the last line that was written and at */
    unsigned kept; /* lines left out since then */
};

/* What the master waits for. */
struct cnc_waits {
    struct pollfd *fds;          /* owned */
    struct cnc_member **members; /* owned; whose descriptor it is, NULL: of no member */
    unsigned count, cap;
};

struct cnc_master {
    const struct cnc_master_config *cfg;
    struct cnc_generation generations[CNC_BOARD_GENERATIONS];
    struct cnc_waits waits; /* INV: there is room for all members of all generations */
    unsigned next_number;
    int64_t stop_at;   /* deadline of the stop, as last read */
    bool stopping;
    bool was_up;       /* a generation has served */
    bool host_gone;
    bool reload_due;   /* a reload was asked for and is not begun yet */
    bool said_limit;   /* the limit of descriptors is lower than what it watches, and that was said */
    struct cnc_repeated no_fork, no_start; /* log lines: a process cannot be forked, cannot start */
    unsigned looked;   /* row of the member that was told last to look for a connection */
    int result;
    int refusal;       /* why the first generation does not start; CONCUR_OK: not known */
};

/* master.c */
/* Allocates what the master needs to wait for all members of all generations. False: out of memory. */
bool cnc_master_make_room(struct cnc_master *m);

/* member.c */
void cnc_member_init(struct cnc_member *mem, struct cnc_generation *gen, unsigned group, unsigned number);
/* Gives the slot an event, and does what the slot asks for. */
void cnc_member_step(struct cnc_master *m, struct cnc_member *mem, enum cnc_slot_event ev, int64_t now);
/* CONCUR_OK; CONCUR_AGAIN: no room; CONCUR_E_GONE: the link is broken and was closed. A process that should serve is
 * then replaced. */
int cnc_member_tell(struct cnc_member *mem, const struct cnc_note *note, int fd, int64_t now);
/* Reads the member's messages, if there are any, or the end of its link. */
void cnc_member_hear(struct cnc_master *m, struct cnc_member *mem, int64_t now);
void cnc_member_reap(struct cnc_master *m, struct cnc_member *mem, int64_t now);
/* Has it closed its link, without a pidfd that would report its end? Then the caller must check whether it has
 * ended. */
bool cnc_member_is_silent(const struct cnc_member *mem);
/* "worker 3 (pid 123)", or "front (pid 123)" if the group has only one; n >= 48. */
void cnc_member_text(const struct cnc_member *mem, char *out, size_t n);

/* generation.c */
/* Begins a generation, which owns the plan's set-up from then on. CONCUR_OK; CONCUR_E_BUSY: there are four already;
 * CONCUR_E_NOMEM. */
int cnc_generation_start(struct cnc_master *m, const struct cnc_plan *plan, int64_t now);
/* Does for a generation what is due. Returns when to call this again. */
int64_t cnc_generation_look(struct cnc_master *m, struct cnc_generation *gen, int64_t now);
void cnc_generation_step(struct cnc_master *m, struct cnc_generation *gen, enum cnc_generation_event ev, int64_t now);
/* A member has become ready. */
void cnc_generation_on_ready(struct cnc_master *m, struct cnc_member *mem, int64_t now);
/* The front reports that it did not get the link to a worker (unlinked), or that the worker has closed its end
 * (silent). */
void cnc_generation_on_unlinked(struct cnc_member *front, const struct cnc_note *note, int64_t now);
void cnc_generation_on_silent(struct cnc_member *front, const struct cnc_note *note, int64_t now);
/* A member has ended; early: before it was ready. */
void cnc_generation_on_gone(struct cnc_master *m, struct cnc_member *mem, bool early, int64_t now);
/* mem may have been woken for a connection that it does not take: tells another process to look for it. */
void cnc_generation_pass_on(struct cnc_master *m, const struct cnc_member *mem, int64_t now);
/* How long a process of the generation that is asked to stop now may take, ms. */
int64_t cnc_generation_time_left(const struct cnc_master *m, const struct cnc_generation *gen, int64_t now);
/* The one process of the group that mem's group links to; NULL: it links to none. */
struct cnc_member *cnc_generation_peer(struct cnc_member *mem);
void cnc_generation_free(struct cnc_master *m, struct cnc_generation *gen);
const char *cnc_generation_state_name(int state);

/* watch.c */
/* For a generation that serves: keeps varying groups at their size, starts successors, kills processes that hang, and
 * starts the CNC_GROUP_GIVEN_UP group if a required group was given up. Returns when to call this again. */
int64_t cnc_watch(struct cnc_master *m, struct cnc_generation *gen, int64_t now);
/* A child may have been stopped (SIGSTOP) or continued: notes which. */
void cnc_watch_stops(struct cnc_master *m, int64_t now);

/* master.c */
/* Notes why the first generation does not start; the last call counts. Does nothing once a generation has served. */
void cnc_master_refuse(struct cnc_master *m, int rc, const char *fmt, ...) CNC_PRINTF(3, 4);
void cnc_master_say(struct cnc_master *m, enum cnc_note_what what, int64_t value, const char *fmt, ...) CNC_PRINTF(4, 5);
/* A log line that may repeat. It is written at once, then after a second, and each later gap is twice as long, up to
 * half a minute. It says how many lines were left out before it. */
void cnc_master_say_rarely(struct cnc_master *m, struct cnc_repeated *r, int level, const char *fmt, ...) CNC_PRINTF(4, 5);

#endif
