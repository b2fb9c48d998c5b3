/* SPDX-License-Identifier: MIT
 *
 * A process and its descendants: their processor time, in nanoseconds where /proc/PID/stat rounds each process down to
 * ticks of a clock, and their memory.
 */
#ifndef TREE_H
#define TREE_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TREE_MAX = 32768 };

struct tree_process {
    int pid;
    int parent;
    long own;    /* ticks: user and system time of the process and its threads, ended ones included */
    long reaped; /* ticks: the same of the children that it has waited for, and of theirs */
    long threads;
    bool is_member;
};

struct tree_sum {
    long processes;
    long threads;
    long reaped;
    double cpu_us;
};

static inline bool tree_read(int pid, struct tree_process *p)
{
    char line[1024], *at;
    long user, system, child_user, child_system;
    FILE *f;
    size_t n;

    snprintf(line, sizeof(line), "/proc/%d/stat", pid);
    f = fopen(line, "r");
    if (f == NULL) {
        return false;
    }
    n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = '\0';
    at = strrchr(line, ')'); /* the name in front of it may hold anything */
    if (at == NULL || sscanf(at + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld %ld %ld %*d %*d %ld",
                             &p->parent, &user, &system, &child_user, &child_system, &p->threads) != 6) {
        return false;
    }
    p->pid = pid;
    p->own = user + system;
    p->reaped = child_user + child_system;
    p->is_member = false;
    return true;
}

/* Marks the members; a child may stand before its parent, so this goes on while anything changes. */
static inline void tree_mark(struct tree_process *all, int n, int root)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (int i = 0; i < n; i++) {
            bool joins = all[i].pid == root;

            for (int k = 0; k < n && !joins && !all[i].is_member; k++) {
                joins = all[k].is_member && all[k].pid == all[i].parent;
            }
            if (joins && !all[i].is_member) {
                all[i].is_member = changed = true;
            }
        }
    }
}

/* The members of the tree of `root` in `all`; returns their number. */
static inline int tree_list(int root, struct tree_process *all)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    int n = 0, members = 0;

    while (dir != NULL && n < TREE_MAX && (entry = readdir(dir)) != NULL) {
        int pid = atoi(entry->d_name);

        n += pid > 0 && tree_read(pid, &all[n]);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    tree_mark(all, n, root);
    for (int i = 0; i < n; i++) {
        if (all[i].is_member) {
            all[members++] = all[i];
        }
    }
    return members;
}

/* The process's own time. One that has ended and is not reaped yet may have no clock any more, but still its ticks. */
static inline double tree_own_us(const struct tree_process *p)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(p->pid, &clock) == 0 && clock_gettime(clock, &t) == 0) {
        return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
    }
    return (double) p->own * 1e6 / (double) sysconf(_SC_CLK_TCK);
}

static inline struct tree_sum tree_add(const struct tree_process *all, int n)
{
    struct tree_sum sum = {.processes = n};

    for (int i = 0; i < n; i++) {
        sum.threads += all[i].threads;
        sum.reaped += all[i].reaped;
        sum.cpu_us += tree_own_us(&all[i]);
    }
    sum.cpu_us += (double) sum.reaped * 1e6 / (double) sysconf(_SC_CLK_TCK);
    return sum;
}

/* The sum of one kind of memory of all members, in bytes: "Rss:" or "Pss:" of /proc/PID/smaps_rollup. */
static inline long tree_memory(const struct tree_process *all, int n, const char *kind)
{
    long kib = 0;

    for (int i = 0; i < n; i++) {
        char line[256];
        FILE *f;

        snprintf(line, sizeof(line), "/proc/%d/smaps_rollup", all[i].pid);
        f = fopen(line, "r");
        while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
            if (strncmp(line, kind, strlen(kind)) == 0) {
                kib += atol(line + strlen(kind));
            }
        }
        if (f != NULL) {
            fclose(f);
        }
    }
    return kib * 1024;
}

#endif
