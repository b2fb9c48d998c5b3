/* SPDX-License-Identifier: MIT */
#include "measure/proctree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATH_ROOM = 512, TEXT_ROOM = 4096, CHILDREN_MAX = 4096, TREE_MAX = 65536 };

/* Reads the beginning of a file, and adds a NUL. False: it cannot be read. */
static bool read_text(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = -1;
    if (fd < 0)
        return false;
    while (len + 1 < room && (n = read(fd, out + len, room - 1 - len)) > 0)
        len += (size_t)n;
    out[len] = '\0';
    close(fd);
    return n >= 0;
}

/* Calls on_number() for each name in a directory that is a number. */
static void each_number(const char *path, void (*on_number)(pid_t number, void *arg), void *arg)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        if (number > 0 && !*end)
            on_number((pid_t)number, arg);
    }
    closedir(dir);
}

/* Fields of /proc/PID/stat behind the process name, which may contain any byte. */
struct stat_fields {
    char state;
    int parent;
    unsigned long buried_faults, user, system, buried_user, buried_system;
    unsigned threads;
};

static bool read_stat(const char *proc, pid_t pid, struct stat_fields *out)
{
    char path[PATH_ROOM], text[TEXT_ROOM];
    snprintf(path, sizeof path, "%s/%d/stat", proc, (int)pid);
    if (!read_text(path, text, sizeof text))
        return false;
    const char *rest = strrchr(text, ')');
    return rest && sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %lu %*u %*u %lu %lu %lu %lu %*d %*d %u",
                          &out->state, &out->parent, &out->buried_faults, &out->user, &out->system, &out->buried_user,
                          &out->buried_system, &out->threads) == 8;
}

/* Children. The kernel lists them for each thread. If it was built without that, the parent of every process is
 * read. */

struct gather {
    const char *proc;
    pid_t parent;
    pid_t *out;
    size_t count, room;
    bool has_lists;
};

static void add_pid(struct gather *g, pid_t pid)
{
    if (g->count < g->room)
        g->out[g->count++] = pid;
}

static void add_children_of_thread(pid_t thread, void *arg)
{
    struct gather *g = arg;
    char path[PATH_ROOM], *end, *text = malloc(CHILDREN_MAX * 8);
    snprintf(path, sizeof path, "%s/%d/task/%d/children", g->proc, (int)g->parent, (int)thread);
    if (text && read_text(path, text, CHILDREN_MAX * 8)) {
        g->has_lists = true;
        for (const char *p = text; strtol(p, &end, 10) > 0; p = end)
            add_pid(g, (pid_t)strtol(p, &end, 10));
    }
    free(text);
}

static void add_if_child(pid_t pid, void *arg)
{
    struct gather *g = arg;
    struct stat_fields s;
    if (read_stat(g->proc, pid, &s) && s.parent == g->parent)
        add_pid(g, pid);
}

size_t proctree_children(const char *proc, pid_t pid, pid_t *out, size_t room)
{
    struct gather g = { .proc = proc, .parent = pid, .out = out, .room = room };
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%d/task", proc, (int)pid);
    each_number(path, add_children_of_thread, &g);
    if (!g.has_lists)
        each_number(proc, add_if_child, &g);
    return g.count;
}

/* One process. */

/* The number behind a name at the start of a line; 0: there is none. */
static uint64_t field(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, name, len) == 0 && p[len] == ':')
            return strtoull(p + len + 1, NULL, 10);
        if (!*p)
            break;
    }
    return 0;
}

struct thread_sum {
    const char *proc;
    struct process *process;
};

static bool read_of_thread(const struct thread_sum *s, pid_t thread, const char *name, char text[TEXT_ROOM])
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%d/task/%d/%s", s->proc, (int)s->process->pid, (int)thread, name);
    return read_text(path, text, TEXT_ROOM);
}

static void add_switches(pid_t thread, void *arg)
{
    const struct thread_sum *s = arg;
    char text[TEXT_ROOM];
    unsigned long long waited;
    if (read_of_thread(s, thread, "status", text)) {
        s->process->voluntary += field(text, "voluntary_ctxt_switches");
        s->process->involuntary += field(text, "nonvoluntary_ctxt_switches");
    }
    if (read_of_thread(s, thread, "schedstat", text) && sscanf(text, "%*u %llu", &waited) == 1)
        s->process->waited += (double)waited / 1e9;
}

static void read_switches(const char *proc, struct process *p)
{
    char path[PATH_ROOM];
    struct thread_sum s = { proc, p };
    snprintf(path, sizeof path, "%s/%d/task", proc, (int)p->pid);
    each_number(path, add_switches, &s);
}

static void read_memory(const char *proc, struct process *p)
{
    char path[PATH_ROOM], text[TEXT_ROOM];
    snprintf(path, sizeof path, "%s/%d/smaps_rollup", proc, (int)p->pid);
    if (!read_text(path, text, sizeof text))
        return;
    p->pss = field(text, "Pss");
    p->pss_anonymous = field(text, "Pss_Anon");
}

/* /proc has the processor time only in ticks. The clock of the process has nanoseconds. */
static double exact_cpu(const char *proc, pid_t pid, double otherwise)
{
    clockid_t clock;
    struct timespec t;
    if (strcmp(proc, "/proc") != 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return otherwise;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_process(const char *proc, pid_t pid, unsigned what, struct process *p)
{
    struct stat_fields s;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    if (!read_stat(proc, pid, &s) || s.state == 'Z' || s.state == 'X')
        return false;
    *p = (struct process){ .pid = pid, .parent = (pid_t)s.parent, .threads = s.threads, .is_leaf = true };
    p->user = (double)(s.user + s.buried_user) * tick;
    p->system = (double)(s.system + s.buried_system) * tick;
    p->buried_faults = s.buried_faults;
    p->buried = (double)(s.buried_user + s.buried_system) * tick;
    p->cpu = exact_cpu(proc, pid, p->user + p->system - p->buried);
    if (what & PROCTREE_SWITCHES)
        read_switches(proc, p);
    if (what & PROCTREE_MEMORY)
        read_memory(proc, p);
    return true;
}

/* The tree. */

static int add_process(struct proctree *t, const char *proc, pid_t pid, unsigned what)
{
    if (t->count % 64 == 0) {
        struct process *grown = realloc(t->items, (t->count + 64) * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        t->items = grown;
    }
    if (t->count < TREE_MAX && !proctree_has(t, pid))
        t->count += read_process(proc, pid, what, &t->items[t->count]);
    return 0;
}

static int add_children(struct proctree *t, const char *proc, size_t at, unsigned what, pid_t *room)
{
    size_t n = proctree_children(proc, t->items[at].pid, room, CHILDREN_MAX), before = t->count;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_process(t, proc, room[i], what);
    t->items[at].is_leaf = t->count == before;
    return rc;
}

int proctree_read(struct proctree *out, const char *proc, pid_t root, unsigned what)
{
    pid_t *room = malloc(CHILDREN_MAX * sizeof *room);
    *out = (struct proctree){ 0 };
    int rc = room ? add_process(out, proc, root, what) : -ENOMEM;
    for (size_t at = 0; rc == 0 && at < out->count; at++)
        rc = add_children(out, proc, at, what, room);
    free(room);
    return rc;
}

void proctree_free(struct proctree *t)
{
    free(t->items);
    *t = (struct proctree){ 0 };
}

bool proctree_has(const struct proctree *t, pid_t pid)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i].pid == pid)
            return true;
    return false;
}

struct process proctree_sum(const struct proctree *t)
{
    struct process sum = { 0 };
    for (size_t i = 0; i < t->count; i++) {
        const struct process *p = &t->items[i];
        sum.threads += p->threads;
        sum.cpu += p->cpu;
        sum.user += p->user;
        sum.system += p->system;
        sum.buried += p->buried;
        sum.buried_faults += p->buried_faults;
        sum.waited += p->waited;
        sum.voluntary += p->voluntary;
        sum.involuntary += p->involuntary;
        sum.pss += p->pss;
        sum.pss_anonymous += p->pss_anonymous;
    }
    return sum;
}

size_t proctree_leaves(const struct proctree *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += t->items[i].is_leaf;
    return n;
}

bool proctree_machine(const char *proc, double *busy, double *all)
{
    char path[PATH_ROOM], text[TEXT_ROOM];
    unsigned long long f[8];
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK), sum = 0;
    snprintf(path, sizeof path, "%s/stat", proc);
    if (!read_text(path, text, sizeof text) || sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &f[0], &f[1],
                                                      &f[2], &f[3], &f[4], &f[5], &f[6], &f[7]) != 8)
        return false;
    for (int i = 0; i < 8; i++)
        sum += (double)f[i];
    *busy = (sum - (double)(f[3] + f[4])) * tick; /* neither idle nor waiting for a disk */
    *all = sum * tick;
    return true;
}
