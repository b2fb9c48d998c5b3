/* SPDX-License-Identifier: MIT
 *
 * Shared by master.c (the wait), generation.c (which processes there should be) and member.c (one of them).
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
    unsigned index;  /* among all of the generation, and so its row on the board */
    unsigned number; /* within its group */
    pid_t pid;
    int pidfd;  /* readable when it has ended; -1: no process, or the system has no such thing */
    int link;   /* our end of the link to it */
    int lend;   /* with CNC_LINK_EACH: our copy of the other end of its link, for the process that it links to */
    int64_t stopped_at; /* when it was seen to be stopped; 0: it is not */
    int64_t silent_at;  /* when its end of a link was closed although it should serve; 0: it is open */
    unsigned owed;   /* CNC_OWES_*: messages for which there was no room yet */
    int64_t owed_at; /* when that is tried again; INT64_MAX: nothing is owed */
    pid_t dead;      /* with CNC_OWES_DEAD: who has died */
    struct cnc_member *twin; /* of a successor: the member that it replaces; NULL: none */
    bool said_why; /* the reason of its end is known already */
    bool leaves;   /* it has said that it will end as it should: its end is no failure */
    bool knows_of_stop; /* it was told that a stop has begun; its front still serves */
    bool starved;  /* it has said that it cannot start for lack of memory or descriptors */
    bool tired;    /* has asked for a successor, and has none yet */
    int64_t tired_at; /* when the next try is due */
};

enum {
    CNC_OWES_GO = 1,     /* to the member itself; the others to its front, about it, in this order */
    CNC_OWES_DEAD = 2,   /* of the process before the one that is there */
    CNC_OWES_LINK = 4,
    CNC_OWES_RETIRE = 8,
    CNC_OWES_LOOK = 16 /* to the member itself */
};

enum cnc_generation_state {
    CNC_GENERATION_NONE,    /* no processes */
    CNC_GENERATION_WARM,    /* they start; nobody accepts */
    CNC_GENERATION_LIVE,    /* they serve */
    CNC_GENERATION_RETIRE,  /* they finish what they have */
    CNC_GENERATION_REFUSED, /* one of them could not start: all go */
    CNC_GENERATION_STATES
};

enum cnc_generation_event {
    CNC_GENERATION_ON_START,
    CNC_GENERATION_ON_UP,    /* all that are wanted are ready */
    CNC_GENERATION_ON_DOWN,  /* one ended before it was ready */
    CNC_GENERATION_ON_LEAVE, /* another one serves, or the server stops */
    CNC_GENERATION_ON_EMPTY, /* the last process has gone */
    CNC_GENERATION_EVENTS
};

struct cnc_generation {
    enum cnc_generation_state state;
    unsigned number;            /* from 1 */
    unsigned page;              /* of the board; its place in the master's table as well */
    struct cnc_plan plan;
    struct cnc_slot_times times;
    struct cnc_member *members; /* owned */
    unsigned count;
    unsigned first[CNC_GROUPS_MAX + 1]; /* members of group g: first[g] up to first[g + 1] */
    int shared[2];              /* the link of a group with CNC_LINK_SHARED: its end, and the other one; -1: there is none */
    struct cnc_spawn spawn[CNC_GROUPS_MAX];
    int64_t spawn_at;           /* when varying groups are looked at next */
    int64_t full_until;         /* a front takes no messages until then */
    int64_t warm_until;         /* by then each process must have been forked */
    char told[256];             /* why a member could not start, as last reported */
    bool given_up;              /* a required group was given up; the group for this case serves */
};

/* A log line that would repeat as long as its cause lasts. */
struct cnc_repeated {
    int64_t last; /* when it came, written or not */
    int64_t at;   /* not written before then */
    int64_t gap;  /* between the last two that were written */
    unsigned kept; /* not written since */
};

/* Whom the master waits for. */
struct cnc_waits {
    struct pollfd *fds;          /* owned */
    struct cnc_member **members; /* owned; NULL: not about one member */
    unsigned count, cap;
};

struct cnc_master {
    const struct cnc_master_config *cfg;
    struct cnc_generation generations[CNC_BOARD_GENERATIONS];
    struct cnc_waits waits; /* INV: there is room for all members of all generations */
    unsigned next_number;
    int64_t stop_at;   /* as last seen */
    bool stopping;
    bool was_up;       /* some generation has served */
    bool host_gone;
    bool reload_due;   /* asked for, and not begun yet */
    struct cnc_repeated no_fork, no_start; /* repeated lines: it cannot make a process, or a process cannot start */
    unsigned looked;   /* row of the member that last had to look for a connection */
    int result;
    int refusal;       /* why the first generation does not start, if known; else CONCUR_OK */
};

/* master.c */
/* Room to wait for all members that there are; it does not become less. False: out of memory. */
bool cnc_master_make_room(struct cnc_master *m);

/* member.c */
void cnc_member_init(struct cnc_member *mem, struct cnc_generation *gen, unsigned group, unsigned number);
/* Tells the slot, and does what it asks for. */
void cnc_member_step(struct cnc_master *m, struct cnc_member *mem, enum cnc_slot_event ev, int64_t now);
/* CONCUR_OK; CONCUR_AGAIN: no room; CONCUR_E_GONE: the link is broken and was closed. A process that should serve is then
 * replaced. */
int cnc_member_tell(struct cnc_member *mem, const struct cnc_note *note, int fd, int64_t now);
/* There may be messages, or the end. */
void cnc_member_hear(struct cnc_master *m, struct cnc_member *mem, int64_t now);
void cnc_member_reap(struct cnc_master *m, struct cnc_member *mem, int64_t now);
/* It has closed its link, and no other event reports its end: check whether it has ended. */
bool cnc_member_is_silent(const struct cnc_member *mem);
/* "worker 3 (pid 123)", or "front (pid 123)" where there is but one; n >= 48. */
void cnc_member_text(const struct cnc_member *mem, char *out, size_t n);

/* generation.c */
/* A generation of a plan in a free place, which has the plan's set-up from then on. CONCUR_OK, CONCUR_E_BUSY: four live
 * already, CONCUR_E_NOMEM. */
int cnc_generation_start(struct cnc_master *m, const struct cnc_plan *plan, int64_t now);
/* Takes the next steps of a generation, as its members allow. Returns when to call this again. */
int64_t cnc_generation_look(struct cnc_master *m, struct cnc_generation *gen, int64_t now);
void cnc_generation_step(struct cnc_master *m, struct cnc_generation *gen, enum cnc_generation_event ev, int64_t now);
/* A member has become ready, or has ended. */
void cnc_generation_on_ready(struct cnc_master *m, struct cnc_member *mem, int64_t now);
/* The front reports that it did not get the link to a worker, or that the worker has closed its end. */
void cnc_generation_on_unlinked(struct cnc_member *front, const struct cnc_note *note, int64_t now);
void cnc_generation_on_silent(struct cnc_member *front, const struct cnc_note *note, int64_t now);
void cnc_generation_on_gone(struct cnc_master *m, struct cnc_member *mem, bool early, int64_t now);
/* mem may have been woken for a connection that it does not take: another serving process must look. */
void cnc_generation_pass_on(struct cnc_master *m, const struct cnc_member *mem, int64_t now);
/* The deadline of a stop, in milliseconds from now. */
int64_t cnc_generation_time_left(const struct cnc_master *m, const struct cnc_generation *gen, int64_t now);
/* The one process of the group that mem's group links to; NULL: it links to none. */
struct cnc_member *cnc_generation_peer(struct cnc_member *mem);
void cnc_generation_free(struct cnc_master *m, struct cnc_generation *gen);
const char *cnc_generation_state_name(int state);

/* watch.c */
/* For a generation that serves: keeps varying groups at their size, starts successors, kills processes that hang, and starts the
 * group for the case that a required one was given up. Returns when to call this again. */
int64_t cnc_watch(struct cnc_master *m, struct cnc_generation *gen, int64_t now);
/* Some child may have been stopped, or have gone on. */
void cnc_watch_stops(struct cnc_master *m, int64_t now);

/* master.c */
/* Why no generation has served yet: the last cause counts. Without effect once one has. */
void cnc_master_refuse(struct cnc_master *m, int rc, const char *fmt, ...) CNC_PRINTF(3, 4);
void cnc_master_say(struct cnc_master *m, enum cnc_note_what what, int64_t value, const char *fmt, ...) CNC_PRINTF(4, 5);
/* A log line that may repeat: at most one a second, and each gap is twice as long as the one before, up to half a minute.
 * It says how many were left out before it. */
void cnc_master_say_rarely(struct cnc_master *m, struct cnc_repeated *r, int level, const char *fmt, ...) CNC_PRINTF(4, 5);

#endif
