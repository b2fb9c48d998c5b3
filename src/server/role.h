/* SPDX-License-Identifier: MIT
 *
 * A role is the code that serves in a process, such as a worker or a front. An engine says which roles there are, and
 * how many processes each has. engines/ fills these structs; tree/ starts the processes.
 */
#ifndef CNC_SERVER_ROLE_H
#define CNC_SERVER_ROLE_H

#include "proc/master.h"
#include "server/place.h"
#include "server/server.h"

/* All functions are called in the process that serves. stats may be called on any of its threads while run is
 * running. */
struct cnc_role {
    const char *name;
    /* Allocates what the role needs, and sets server->engine. The listening sockets are open, and no thread runs yet.
     * CONCUR_OK, or an error, with the thread's last error set and nothing left allocated. */
    int (*open)(concur_server *);
    /* Serves on the calling thread until a stop (server->stop_at) is complete. may_give_up: returns CONCUR_E_BUSY a
     * second after the deadline if code of the program still runs. */
    int (*run)(concur_server *, bool may_give_up);
    void (*stats)(concur_server *, struct cnc_engine_stats *);
    /* After run returned CONCUR_OK, or after open alone. NULLs server->engine. */
    void (*close)(concur_server *);
    /* A message of the master for this role, which owns fd from then on. NULL: there are no such messages. */
    void (*told)(concur_server *, const struct cnc_note *, int fd);
};

/* cnc_group.role. */
enum cnc_role_id { CNC_ROLE_WORKER = 0, CNC_ROLE_FRONT = 1, CNC_ROLE_REFUSER = 2, CNC_ROLE_HEADS = 3, CNC_ROLES };

/* "worker", "front", "helper", "heads"; "?" for any other number. */
const char *cnc_role_name(int role);

struct cnc_engine_ops {
    int id; /* CONCUR_ENGINE_* */
    const char *name;
    bool blocking_sockets; /* accepted sockets block, and a read waits for park_after (SO_RCVTIMEO) */
    bool sets_own_wait;    /* the first read waits in another way, and the role sets the wait for the later ones */
    bool lends;            /* connections are lent to workers, so there is a ledger */
    bool divides_connections; /* each worker accepts, and may have connections_max divided by workers */
    /* Adds the engine's groups of processes to the plan. NULL: one worker, with or without a master. */
    void (*plan)(const struct cnc_config *cfg, struct cnc_plan *plan);
    struct cnc_role worker;
    struct cnc_role front; /* of a process before the workers: CNC_ROLE_FRONT or CNC_ROLE_HEADS, if the plan has one */
};

/* Adds a group, for which there must be room. Returns its index in the plan. */
static inline unsigned cnc_plan_add(struct cnc_plan *plan, struct cnc_group group)
{
    group.name = cnc_role_name(group.role);
    plan->groups[plan->group_count] = group;
    return plan->group_count++;
}

#endif
