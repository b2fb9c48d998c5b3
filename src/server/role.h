/* SPDX-License-Identifier: MIT
 *
 * A role is what serves in one process. An engine consists of roles and of the number of processes with each. engines/ fills
 * these structs; tree/ starts the processes.
 */
#ifndef CNC_SERVER_ROLE_H
#define CNC_SERVER_ROLE_H

#include "proc/master.h"
#include "server/place.h"
#include "server/server.h"

/* All run in the process that serves. Any of its threads may call stats while run is running. */
struct cnc_role {
    const char *name;
    /* Allocates; the server's listening sockets are open, and no thread runs yet. server->engine becomes the role's own.
     * CONCUR_OK, or an error noted in the server; undoes itself then. */
    int (*open)(concur_server *);
    /* Serves on the calling thread until a stop (server->stop_at) is complete. may_give_up: returns CONCUR_E_BUSY a second
     * after the deadline if code of the program still runs. */
    int (*run)(concur_server *, bool may_give_up);
    void (*stats)(concur_server *, struct cnc_engine_stats *);
    /* After run returned CONCUR_OK, or after open alone. NULLs server->engine. */
    void (*close)(concur_server *);
    /* A note of the master for this role only; fd belongs to the role from then on. NULL: there are no such notes. */
    void (*told)(concur_server *, const struct cnc_note *, int fd);
};

/* The roles of processes, as the groups of a plan name them. */
enum cnc_role_id { CNC_ROLE_WORKER = 0, CNC_ROLE_FRONT = 1, CNC_ROLE_REFUSER = 2, CNC_ROLE_HEADS = 3, CNC_ROLES };

/* "worker", "front", "helper", "heads"; "?" for any other number. */
const char *cnc_role_name(int role);

struct cnc_engine_ops {
    int id; /* CONCUR_ENGINE_* */
    const char *name;
    bool blocking_sockets; /* accepted ones may block, and wait for park_after when read */
    bool sets_own_wait;    /* ... but their first read waits in another way, and the role sets what the later ones wait */
    bool lends;            /* connections are lent to workers: there is a ledger of them */
    bool divides_connections; /* each worker accepts for itself, and has its share of connections_max */
    /* Adds the engine's groups of processes, as cfg says. NULL: one worker, with or without a master. */
    void (*plan)(const struct cnc_config *cfg, struct cnc_plan *plan);
    struct cnc_role worker;
    struct cnc_role front; /* of a process before the workers: CNC_ROLE_FRONT or CNC_ROLE_HEADS, if the plan has one */
};

/* Adds a group; the caller makes sure that there is room for all. Returns its number in the plan. */
static inline unsigned cnc_plan_add(struct cnc_plan *plan, struct cnc_group group)
{
    group.name = cnc_role_name(group.role);
    plan->groups[plan->group_count] = group;
    return plan->group_count++;
}

#endif
