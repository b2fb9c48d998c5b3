/* SPDX-License-Identifier: MIT
 *
 * A running program as the kernel sees it: its processes, threads, processor time, context switches, memory, listening
 * sockets. `proc` is where /proc is, so that a test can have its own. What ends while it is read is left out.
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
    double buried;                    /* of its children that it has waited for, in ticks of the kernel */
    uint64_t buried_faults;           /* page faults of those: grows with each child that ends */
    double user, system;              /* all of that in two, in ticks */
    uint64_t voluntary, involuntary;  /* context switches of the threads there are; with PROCTREE_SWITCHES */
    double waited;                    /* seconds in which those were ready but had no processor; likewise */
    uint64_t pss, pss_anonymous;      /* KiB; with PROCTREE_MEMORY */
};

struct proctree {
    struct process *items; /* owned; parents before their children */
    size_t count;
};

/* Pids of the children of a process; at most `room` are written. */
size_t proctree_children(const char *proc, pid_t pid, pid_t *out, size_t room);
/* `root` and all below it, without zombies. `what`: PROCTREE_ bits that cost more. 0 or -ENOMEM; *out is made anew. */
int proctree_read(struct proctree *out, const char *proc, pid_t root, unsigned what);
void proctree_free(struct proctree *t);
bool proctree_has(const struct proctree *t, pid_t pid);
/* Adds up; pid, parent and is_leaf mean nothing. */
struct process proctree_sum(const struct proctree *t);
size_t proctree_leaves(const struct proctree *t);
/* Addresses on which the tree accepts TCP connections, as one connects to them; at most `room`. */
size_t proctree_listening(const struct proctree *t, const char *proc, struct sockaddr_storage *out, size_t room);

/* Processor time of the whole machine since it started, in seconds: used, and of all there could be. */
bool proctree_machine(const char *proc, double *busy, double *all);

#endif
