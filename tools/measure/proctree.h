/* SPDX-License-Identifier: MIT
 *
 * What the kernel knows of a running program: processes, threads, processor time, context switches, memory, listening
 * sockets. `proc` is the path of /proc, so that a test can have its own. A process that ends while it is read is left
 * out.
 */
#ifndef TOOLS_PROCTREE_H
#define TOOLS_PROCTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum { PROCTREE_SWITCHES = 1, PROCTREE_MEMORY = 2 };

struct process {
    pid_t pid, parent;
    unsigned threads;
    bool is_leaf;                     /* has no child here */
    double cpu;                       /* seconds of all its threads, ended ones too */
    double buried;                    /* the same of children that it has waited for, in ticks of the kernel */
    uint64_t buried_faults;           /* page faults of these: grows with each child that ends */
    double user, system;              /* the sum of both times, divided into user and system, in ticks */
    uint64_t voluntary, involuntary;  /* context switches of the present threads; with PROCTREE_SWITCHES */
    double waited;                    /* seconds in which these had no processor though ready; with PROCTREE_SWITCHES */
    uint64_t pss, pss_anonymous;      /* KiB; with PROCTREE_MEMORY */
};

struct proctree {
    struct process *items; /* owned; parents before their children */
    size_t count;
};

/* Finds the pids of the children of a process. Writes at most `room`. */
size_t proctree_children(const char *proc, pid_t pid, pid_t *out, size_t room);
/* Reads `root` and all processes below it, without zombies. `what`: PROCTREE_* bits, which cost more. 0 or -ENOMEM;
 * what *out had before is freed. */
int proctree_read(struct proctree *out, const char *proc, pid_t root, unsigned what);
void proctree_free(struct proctree *t);
bool proctree_has(const struct proctree *t, pid_t pid);
/* The sum of all processes; its pid, parent and is_leaf are not used. */
struct process proctree_sum(const struct proctree *t);
size_t proctree_leaves(const struct proctree *t);
/* Finds the addresses on which the tree accepts TCP connections, in a form for connect(). Writes at most `room`. */
size_t proctree_listening(const struct proctree *t, const char *proc, struct sockaddr_storage *out, size_t room);

/* Processor time of the whole machine since it started, in seconds: used; and used and idle together. */
bool proctree_machine(const char *proc, double *busy, double *all);

#endif
