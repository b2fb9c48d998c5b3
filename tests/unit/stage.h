/* SPDX-License-Identifier: MIT
 *
 * A stage for the master: it runs in a process of its own, its children do as they are told and no more, and the test looks
 * on through memory that all of them share. Nothing sleeps: a test waits for what it wants to see, and gives up after a
 * minute.
 */
#ifndef STAGE_H
#define STAGE_H

#include <check.h>
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"
#include "proc/child.h"
#include "proc/master.h"

enum { GENERATIONS = 16, SLOTS = 16, EVENTS = 256 };

enum act {
    SERVE,       /* ready, serve, and end when asked */
    FAIL,        /* says why it cannot serve */
    LACK_ROOM,   /* likewise: the system has no room for it */
    END_EARLY,   /* without a word */
    HANG,        /* never becomes ready */
    ABORT,       /* as soon as it serves */
    END_BADLY,   /* likewise, by an exit status */
    SICKEN,      /* likewise, by the one that says so */
    IGNORE_STOP, /* and everything else but SIGKILL */
    HEED_TERM,   /* ignores the note, ends at the signal */
    STAY,        /* serves, and ends when asked and released */
    TIRED,       /* serves, and would like to be replaced */
    ASK_LATE,    /* serves, and tells of a reload that the board has been asked for, after the master has looked there */
    FLOOD,       /* serves, and says too much */
    PASS_ON,     /* serves, and does not take a connection as soon as all serve */
    LEAVE_LINK   /* serves, but hears and says nothing any more */
};

struct stage {
    /* set by the test */
    atomic_int act[GENERATIONS];  /* of the workers of a generation */
    atomic_int act_of[SLOTS];     /* of a worker, first in line; -1: as its generation */
    atomic_int times[SLOTS];      /* ... so often; 0: always */
    atomic_int helper_act;
    atomic_bool busy;             /* workers say so */
    atomic_bool released[GENERATIONS];
    atomic_llong stop_at;
    atomic_bool reload;
    atomic_int reload_result, veto;
    atomic_bool disarm;
    atomic_llong since;           /* for busy_since */
    /* seen */
    atomic_uint forks, forks_of[GENERATIONS], ready[GENERATIONS], serving[GENERATIONS], stopped[GENERATIONS];
    atomic_uint helpers, helpers_serving, early_stops, reloads, terms, looks;
    atomic_uint looked[GENERATIONS][SLOTS]; /* workers that were told to look for a connection */
    atomic_int pid[GENERATIONS][SLOTS];
    atomic_int setup_of[GENERATIONS]; /* the set-up that the children of a generation were born with */
    atomic_uint strange_setups;       /* children of one generation with different ones */
    atomic_int in_force;              /* the set-up of the generation that serves */
    atomic_uint made, dropped;        /* set-ups; the first is 1 */
    atomic_bool stopping;
    const char *_Atomic lose;         /* what the master's process is to close; static text */
    char text[EVENTS][256]; /* what the master said, "R", "E" or "L" in front */
    atomic_uint texts;
    /* the end */
    int result, descriptors, children;
    char error[512];
};

enum { WORKER = 5, HELPER = 9 }; /* roles: no more than numbers to the master. Workers are the first group */

static struct stage *stage;
static struct cnc_plan plan;            /* of every generation */
static int wake, wake_copy, host[2];    /* host: the test's end, the master's end */
static pid_t master;
static void (*arm)(void);               /* in the master's process, before it runs */

static inline int64_t stage_now(void)
{
    return cnc_clock_now(&cnc_clock_system);
}

/* True as soon as what is, or false after a minute. */
#define UNTIL(what)                                                                                                    \
    do {                                                                                                               \
        int64_t late = stage_now() + 60000;                                                                            \
        while (!(what)) {                                                                                              \
            ck_assert_msg(stage_now() < late, "in vain: %s", #what);                                                   \
            (void)poll(NULL, 0, 1);                                                                                    \
        }                                                                                                              \
    } while (0)

/* How many of the things it said have this part. */
static inline unsigned stage_said(const char *part)
{
    unsigned count = 0;
    for (unsigned i = 0, n = atomic_load(&stage->texts); i < n && i < EVENTS; i++)
        count += strstr(stage->text[i], part) != NULL;
    return count;
}

static inline bool serves(unsigned g, unsigned n)
{
    return atomic_load(&stage->serving[g]) == n;
}

static inline void stage_disarm(void)
{
#ifdef CNC_FAULTS
    for (int kind = 0; kind < CNC_FAULT_KINDS; kind++)
        cnc_fault_arm((enum cnc_fault_kind)kind, 0, false);
#endif
}

/* ---- a child ---- */

static struct cnc_board *stage_board;

static inline _Noreturn void stage_hang(void)
{
    for (;;)
        (void)pause();
}

static inline void on_term(int sig)
{
    (void)sig;
    _exit(0);
}

static inline void count_term(int sig)
{
    (void)sig;
    atomic_fetch_add(&stage->terms, 1);
}

/* When another generation or another worker was to take over: it must have been ready by then. */
static inline void note_stop(const struct cnc_child *child)
{
    unsigned g = child->generation, later = 0;
    for (unsigned i = g + 1; i < GENERATIONS; i++)
        later += atomic_load(&stage->ready[i]);
    if (!atomic_load(&stage->stopping) && later < plan.groups[0].count && atomic_load(&stage->ready[g]) <= plan.groups[0].count)
        atomic_fetch_add(&stage->early_stops, 1);
}

static inline int stage_obey(const struct cnc_child *child, int act)
{
    struct cnc_note note;
    unsigned g = child->generation;
    for (;;) {
        int rc = cnc_note_receive(child->link, &note, NULL, true);
        if (rc == CONCUR_E_GONE)
            cnc_child_orphaned();
        if (rc == CONCUR_OK && note.what == CNC_NOTE_STOP && act != HEED_TERM)
            break;
        if (rc == CONCUR_OK && note.what == CNC_NOTE_LOOK)
            atomic_fetch_add(&stage->looked[g][child->number], 1);
        if (rc != CONCUR_OK || note.what != CNC_NOTE_GO)
            continue;
        atomic_fetch_add(child->role == HELPER ? &stage->helpers_serving : &stage->serving[g], 1);
        cnc_board_set_idle(stage_board, child->page, child->slot, !atomic_load(&stage->busy));
        if (act == ABORT) {
            (void)signal(SIGABRT, SIG_DFL); /* Check has its own */
            abort();
        }
        if (act == END_BADLY)
            return 3;
        if (act == SICKEN)
            return CNC_CHILD_SICK;
        if (act == ASK_LATE) {
            while (!atomic_load(&stage->reloads))
                (void)poll(NULL, 0, 1);
            ck_assert(cnc_sys_eventfd_raise(wake));
        }
        if (act == PASS_ON) {
            while (!serves(g, plan.groups[0].count))
                (void)poll(NULL, 0, 1);
            cnc_board_ask_look(stage_board, child->page, child->slot);
            ck_assert(cnc_sys_eventfd_raise(wake));
        }
        if (act == TIRED)
            (void)cnc_note_tell(child->link, CNC_NOTE_RECYCLE, 0);
        for (unsigned i = 0; act == FLOOD; i++)
            if (cnc_note_tell(child->link, i % 2 ? CNC_NOTE_READY : CNC_NOTE_DEAD, i) == CONCUR_E_GONE)
                cnc_child_orphaned();
    }
    note_stop(child);
    while (act == STAY && !atomic_load(&stage->released[g]))
        (void)poll(NULL, 0, 1);
    atomic_fetch_add(&stage->stopped[g], 1);
    return 0;
}

static inline int act_of(const struct cnc_child *child)
{
    unsigned slot = child->number;
    if (child->role == HELPER)
        return atomic_load(&stage->helper_act);
    int act = atomic_load(&stage->act_of[slot]);
    if (act >= 0 && atomic_fetch_sub(&stage->times[slot], 1) == 1)
        atomic_store(&stage->act_of[slot], -1);
    return act >= 0 ? act : atomic_load(&stage->act[child->generation]);
}

static inline void stage_note_setup(const struct cnc_child *child)
{
    int mine = (int)(uintptr_t)child->setup, before = 0;
    if (!atomic_compare_exchange_strong(&stage->setup_of[child->generation], &before, mine) && before != mine)
        atomic_fetch_add(&stage->strange_setups, 1);
}

static inline int stage_child(void *arg, const struct cnc_child *child)
{
    struct cnc_note note = { .what = CNC_NOTE_FAILED, .value = CONCUR_E_UPSTREAM, .text = "no database" };
    int act = act_of(child);
    unsigned slot = child->number;
    (void)arg;
    stage_disarm();
    stage_note_setup(child);
    if (child->role == WORKER) {
        atomic_store(&stage->pid[child->generation][slot], (int)getpid());
        atomic_fetch_add(&stage->forks_of[child->generation], 1);
        atomic_fetch_add(&stage->forks, 1);
    } else {
        atomic_fetch_add(&stage->helpers, 1);
    }
    if (act == FAIL || act == LACK_ROOM) {
        note.slot = act == LACK_ROOM;
        (void)cnc_note_send(child->link, &note, -1, true);
        return -CONCUR_E_UPSTREAM;
    }
    if (act == END_EARLY)
        return 7;
    if (act == HANG || act == IGNORE_STOP)
        cnc_child_catch(SIGTERM, count_term);
    if (act == HEED_TERM)
        cnc_child_catch(SIGTERM, on_term);
    if (act == HANG)
        stage_hang();
    atomic_fetch_add(&stage->ready[child->generation], 1);
    if (cnc_note_tell(child->link, CNC_NOTE_READY, 0) < 0)
        cnc_child_orphaned();
    if (act == IGNORE_STOP)
        stage_hang();
    if (act == LEAVE_LINK) {
        close(child->link);
        stage_hang();
    }
    return stage_obey(child, act);
}

/* ---- the master's process ---- */

static inline int stage_before_fork(void *arg)
{
    (void)arg;
    int veto = atomic_load(&stage->veto);
    return veto < 0 ? cnc_error_set(veto, "not today") : veto;
}

/* The program closes descriptors by mistake: all that are of this kind. */
static inline void stage_lose(const char *what)
{
    char path[64], is[64];
    for (int fd = 3; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, is, sizeof is - 1);
        is[n < 0 ? 0 : n] = '\0';
        if (fd != wake_copy && strcmp(is, what) == 0)
            close(fd);
    }
}

static inline int64_t stage_stop_at(void *arg)
{
    (void)arg;
    atomic_fetch_add(&stage->looks, 1);
    const char *lost = atomic_exchange(&stage->lose, NULL);
    if (lost)
        stage_lose(lost);
    if (atomic_exchange(&stage->disarm, false))
        stage_disarm();
    return atomic_load(&stage->stop_at);
}

static inline bool stage_reload_asked(void *arg)
{
    (void)arg;
    return atomic_exchange(&stage->reload, false);
}

static inline void stage_tell(void *arg, enum cnc_note_what what, int64_t value, const char *text)
{
    unsigned i = atomic_load(&stage->texts);
    (void)arg, (void)value;
    if (i < EVENTS)
        (void)snprintf(stage->text[i], sizeof stage->text[i], "%c %s",
                       what == CNC_NOTE_READY ? 'R' : what == CNC_NOTE_EVENT ? 'E' : 'L', text);
    atomic_store(&stage->texts, i + 1);
}

static inline void stage_stopping(void *arg)
{
    (void)arg;
}

/* A set-up is a number here. */
static inline void *stage_make_setup(void)
{
    return (void *)(uintptr_t)(atomic_fetch_add(&stage->made, 1) + 1);
}

static inline int stage_reload(void *arg, struct cnc_plan *out)
{
    int rc = atomic_load(&stage->reload_result);
    (void)arg;
    *out = plan;
    atomic_fetch_add(&stage->reloads, 1);
    if (rc < 0)
        return cnc_error_set(rc, "%s", "line 7 is wrong");
    out->setup = stage_make_setup();
    return CONCUR_OK;
}

static inline void stage_serves(void *arg, void *setup, unsigned generation)
{
    (void)arg;
    (void)generation;
    atomic_store(&stage->in_force, (int)(uintptr_t)setup);
}

static inline void stage_dropped(void *arg, void *setup)
{
    (void)arg;
    (void)setup;
    atomic_fetch_add(&stage->dropped, 1);
}

static const struct cnc_master_ops stage_ops = {
    .child = stage_child,
    .before_fork = stage_before_fork,
    .stop_at = stage_stop_at,
    .reload_asked = stage_reload_asked,
    .tell = stage_tell,
    .stopping = stage_stopping,
    .reload = stage_reload,
    .serves = stage_serves,
    .dropped = stage_dropped,
};

static inline int stage_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

/* Children of this process, which has one thread: also those that were not waited for. */
static inline int stage_children(void)
{
    char path[64], text[1024] = "";
    int n = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    if (f && fgets(text, sizeof text, f))
        for (char *p = text; *p; p++)
            n += *p == ' ';
    if (f)
        fclose(f);
    return n;
}

static inline void stage_master(void)
{
    struct cnc_master_config cfg = { .ops = &stage_ops, .clock = &cnc_clock_system, .board = stage_board, .plan = plan,
                                     .wake_fd = wake, .wake_copy = wake_copy, .host = host[1] };
    int before = stage_descriptors();
    cfg.plan.setup = stage_make_setup();
    if (arm)
        arm();
    stage->result = cnc_master_run(&cfg);
    stage_disarm();
    snprintf(stage->error, sizeof stage->error, "%s", cnc_error_text());
    stage->descriptors = stage_descriptors() - before;
    stage->children = stage_children();
}

/* ---- the test ---- */

static inline void stage_open(void)
{
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(stage, MAP_FAILED);
    for (int i = 0; i < SLOTS; i++)
        atomic_store(&stage->act_of[i], -1);
    atomic_store(&stage->stop_at, INT64_MAX);
    plan = (struct cnc_plan){
        .groups = { { .name = "worker", .role = WORKER, .count = 3, .most = 3, .is_required = true, .has_successors = true },
                    { .name = "helper", .role = HELPER, .count = 1, .most = 1, .when = CNC_GROUP_GIVEN_UP } },
        .group_count = 2, .start_ms = 20000, .drain_ms = 20000
    };
    stage_board = cnc_board_create();
    wake = cnc_sys_eventfd();
    wake_copy = cnc_sys_copy(wake);
    host[0] = host[1] = -1;
    arm = NULL;
    ck_assert(stage_board && wake >= 0);
}

static inline void stage_close(void)
{
    munmap(stage, sizeof *stage);
    cnc_board_destroy(&stage_board);
    cnc_sys_close(&wake);
    cnc_sys_close(&wake_copy);
    cnc_sys_close(&host[0]);
    cnc_sys_close(&host[1]);
}

static inline void stage_begin(void)
{
    fflush(NULL);
    master = fork();
    ck_assert_int_ge(master, 0);
    if (master == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        cnc_sys_close(&host[0]);
        stage_master();
        cnc_sys_end_process(0);
    }
    cnc_sys_close(&host[1]);
}

static inline bool stage_has_ended(void)
{
    siginfo_t info = { 0 };
    return waitid(P_PID, (id_t)master, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == master;
}

static inline void stage_raise(void)
{
    cnc_sys_eventfd_raise(wake);
}

static inline void stage_ask_reload(void)
{
    atomic_store(&stage->reload, true);
    stage_raise();
}

/* The master's end: what it returned. It has left nothing behind. */
static inline int stage_end(void)
{
    int status = -1;
    UNTIL(waitpid(master, &status, WNOHANG) != 0);
    for (unsigned i = 0, n = atomic_load(&stage->texts); i < n && i < EVENTS; i++)
        puts(stage->text[i]);
    ck_assert_msg(status == 0, "the master's process: %x", (unsigned)status);
    ck_assert_int_eq(stage->descriptors, 0);
    ck_assert_int_eq(stage->children, 0);
    ck_assert_uint_eq(stage->dropped, stage->made);
    ck_assert_uint_eq(stage->strange_setups, 0);
    return stage->result;
}

static inline int stage_stop(int64_t ms)
{
    atomic_store(&stage->stopping, true);
    atomic_store(&stage->stop_at, stage_now() + ms);
    stage_raise();
    return stage_end();
}

static inline void stage_kill(unsigned generation, unsigned slot, int sig)
{
    ck_assert_int_eq(kill(atomic_load(&stage->pid[generation][slot]), sig), 0);
}

#endif
