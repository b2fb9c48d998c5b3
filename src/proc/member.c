/* SPDX-License-Identifier: MIT
 *
 * One process that the master has forked: its start, its messages, its end.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"
#include "proc/child.h"
#include "proc/master_internal.h"

#define LEND_BUFFER 262144
#define BUSY_STATUS (-CONCUR_E_BUSY) /* exit status of a child in which code of the program has not returned in time */

void cnc_member_init(struct cnc_member *mem, struct cnc_generation *gen, unsigned group, unsigned number)
{
    *mem = (struct cnc_member){ .gen = gen, .group = &gen->plan.groups[group], .index = gen->first[group] + number,
                                .number = number, .pidfd = -1, .link = -1, .lend = -1, .owed_at = INT64_MAX };
    cnc_slot_init(&mem->slot);
}

void cnc_member_text(const struct cnc_member *mem, char *out, size_t n)
{
    const struct cnc_group *group = mem->group;
    if (group->most > 1 || group->has_successors)
        (void)snprintf(out, n, "%s %u (pid %ld)", group->name, mem->number, (long)mem->pid);
    else
        (void)snprintf(out, n, "%s (pid %ld)", group->name, (long)mem->pid);
}

static void member_close_all(struct cnc_member *mem)
{
    cnc_sys_close(&mem->pidfd);
    cnc_sys_close(&mem->link);
    cnc_sys_close(&mem->lend);
}

/* ---- start ---- */

/* In the child: closes the master's descriptors. If a child kept a copy of a link, others would not see when the master
 * ends. */
static void forget_family(struct cnc_master *m)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++) {
        struct cnc_generation *gen = &m->generations[g];
        for (unsigned i = 0; i < gen->count; i++)
            member_close_all(&gen->members[i]);
        if (gen->state == CNC_GENERATION_NONE)
            continue;
        cnc_sys_close(&gen->shared[0]);
        cnc_sys_close(&gen->shared[1]);
    }
}

/* Which end of the shared link mem gets; -1: neither. */
static int shared_end(const struct cnc_member *mem)
{
    const struct cnc_plan *plan = &mem->gen->plan;
    if (mem->group->link == CNC_LINK_SHARED)
        return 0;
    for (unsigned g = 0; g < plan->group_count; g++)
        if (plan->groups[g].link == CNC_LINK_SHARED && &plan->groups[plan->groups[g].links_to] == mem->group)
            return 1;
    return -1;
}

/* The row of the process at the other end of its group's link, as in cnc_child.peer_slot. */
static unsigned peer_slot(const struct cnc_member *mem)
{
    const struct cnc_generation *gen = mem->gen;
    if (mem->group->link != CNC_LINK_NONE)
        return gen->first[mem->group->links_to];
    for (unsigned g = 0; g < gen->plan.group_count; g++)
        if (gen->plan.groups[g].link != CNC_LINK_NONE && &gen->plan.groups[gen->plan.groups[g].links_to] == mem->group)
            return gen->first[g];
    return CNC_BOARD_SLOTS;
}

/* In the child: runs it, and ends the process. */
static _Noreturn void be_child(struct cnc_master *m, struct cnc_member *mem, int link, int lend)
{
    const struct cnc_master_config *cfg = m->cfg;
    struct cnc_generation *gen = mem->gen;
    int end = shared_end(mem);
    struct cnc_child self = { .role = mem->group->role, .group = (unsigned)(mem->group - gen->plan.groups),
                              .number = mem->number, .generation = gen->number, .page = gen->page, .slot = mem->index,
                              .peer_slot = peer_slot(mem), .link = link, .peer = lend, .setup = gen->plan.setup };
    if (end >= 0) { /* taken out before forget_family() closes the rest */
        self.peer = gen->shared[end];
        gen->shared[end] = -1;
    }
    forget_family(m);
    cnc_sys_end_process(cfg->ops->child(cfg->arg, &self));
}

static int open_links(struct cnc_member *mem, int link[2], int lend[2])
{
    if (cnc_sys_socketpair(link) < 0)
        return CONCUR_E_SYS;
    if (mem->group->link == CNC_LINK_EACH)
        return cnc_passing_pair(lend, LEND_BUFFER);
    return CONCUR_OK;
}

/* A process could not be forked; the thread's last error has the reason. */
static void cannot_fork(struct cnc_master *m, int rc)
{
    char why[512];
    (void)snprintf(why, sizeof why, "%s", cnc_error_text());
    cnc_master_refuse(m, rc, "%s", why);
    cnc_master_say_rarely(m, &m->no_fork, CONCUR_LOG_WARN, "%s", why);
}

/* The process has no pidfd, so it could not be watched: kills it. */
static void end_at_once(pid_t pid)
{
    int status;
    (void)cnc_sys_kill(-1, pid, SIGKILL);
    while (cnc_sys_waitpid(pid, &status) == 0)
        (void)cnc_sys_poll(NULL, 0, 1);
}

static bool fork_member(struct cnc_master *m, struct cnc_member *mem)
{
    const struct cnc_master_config *cfg = m->cfg;
    int link[2] = { -1, -1 }, lend[2] = { -1, -1 };
    int rc = cfg->ops->before_fork(cfg->arg);
    if (rc < 0) {
        cannot_fork(m, rc);
        return false;
    }
    cnc_board_use(cfg->board, mem->gen->page, mem->index);
    pid_t pid = open_links(mem, link, lend) == CONCUR_OK ? cnc_child_fork(true) : -1;
    if (pid == 0) {
        cnc_sys_close(&link[0]);
        cnc_sys_close(&lend[0]);
        be_child(m, mem, link[1], lend[1]);
    }
    cnc_sys_close(&link[1]);
    cnc_sys_close(&lend[1]);
    int pidfd = pid > 0 ? cnc_sys_pidfd(pid) : -1;
    if (pid < 0 || (pidfd < 0 && errno != ENOSYS)) {
        int err = errno;
        char why[128];
        if (pid > 0)
            end_at_once(pid);
        cnc_sys_close(&link[0]);
        cnc_sys_close(&lend[0]);
        cannot_fork(m, cnc_error_set(CONCUR_E_SYS, "cannot start a process: %s",
                                     err == EMFILE ? cnc_files_why(why, sizeof why, err, CNC_FILES_PROCESS)
                                                   : cnc_sys_why_no_process(why, sizeof why, err)));
        return false;
    }
    mem->stopped_at = mem->silent_at = 0;
    mem->said_why = mem->asks_to_be_replaced = mem->leaves = mem->starved = mem->knows_of_stop = mem->said_unwoken = false;
    mem->pid = pid;
    mem->pidfd = pidfd;
    mem->link = link[0];
    mem->lend = lend[0];
    return true;
}

static void lose_link(struct cnc_member *mem, int64_t now)
{
    cnc_sys_close(&mem->link);
    mem->silent_at = now; /* the process is ending, or has closed its end by mistake */
}

int cnc_member_tell(struct cnc_member *mem, const struct cnc_note *note, int fd, int64_t now)
{
    int rc = mem->link < 0 ? CONCUR_E_GONE : cnc_note_send(mem->link, note, fd, false);
    if (rc != CONCUR_OK && rc != CONCUR_AGAIN && mem->link >= 0)
        lose_link(mem, now);
    return rc;
}

/* ---- what its slot asks for ---- */

static void send_stop(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    struct cnc_note note = { .what = CNC_NOTE_STOP, .value = cnc_generation_time_left(m, mem->gen, now),
                             .slot = mem->gen->state != CNC_GENERATION_LIVE };
    (void)cnc_member_tell(mem, &note, -1, now); /* if its link is full, its deadline ends it */
    cnc_board_poke(m->cfg->board, mem->gen->page, mem->index);
}

static void tell_of_slowness(struct cnc_master *m, struct cnc_member *mem)
{
    char who[64];
    long long ms = (long long)mem->gen->plan.start_ms;
    cnc_member_text(mem, who, sizeof who);
    cnc_master_refuse(m, CONCUR_E_SYS, "%s was not ready within %lld ms", who, ms);
    if (m->was_up) /* else it is reported as the error of the start */
        cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_ERROR, "%s was not ready within %lld ms, and is killed", who, ms);
    mem->said_why = true;
}

void cnc_member_step(struct cnc_master *m, struct cnc_member *mem, enum cnc_slot_event ev, int64_t now)
{
    struct cnc_slot *slot = &mem->slot;
    mem->gen->times.drain_ms = cnc_generation_time_left(m, mem->gen, now) + 1500;
    cnc_slot_step(slot, ev, &mem->gen->times, now);
    unsigned todo = slot->todo;
    slot->todo = 0;
    if (todo & CNC_SLOT_DO_KILL && ev == CNC_SLOT_ON_DEADLINE && !slot->was_ready)
        tell_of_slowness(m, mem);
    if (todo & CNC_SLOT_DO_STOP)
        send_stop(m, mem, now);
    if (todo & CNC_SLOT_DO_TERM) {
        (void)cnc_sys_kill(mem->pidfd, mem->pid, SIGTERM);
        if (m->stopping)
            m->result = CONCUR_E_BUSY; /* it has not stopped within its time */
    }
    if (todo & CNC_SLOT_DO_KILL) {
        (void)cnc_sys_kill(mem->pidfd, mem->pid, SIGKILL);
        if (m->stopping && slot->was_ready)
            m->result = CONCUR_E_BUSY;
    }
    if (todo & CNC_SLOT_DO_TELL) {
        char who[64];
        cnc_member_text(mem, who, sizeof who);
        cnc_master_say(m, CNC_NOTE_EVENT, 0, "given up: %s ended %u times before it was ready", who, slot->early);
    }
    if (todo & CNC_SLOT_DO_FORK)
        cnc_member_step(m, mem, fork_member(m, mem) ? CNC_SLOT_ON_FORKED : CNC_SLOT_ON_FORK_FAILED, now);
}

/* ---- its messages ---- */

/* The members of a new generation usually fail for one reason, which is reported once: in the log or, if nothing has
 * served yet, as the error of the start. */
static void tell_why(struct cnc_master *m, const struct cnc_member *mem, const char *text)
{
    struct cnc_generation *gen = mem->gen;
    char *told = gen->told, who[64];
    if (gen->state == CNC_GENERATION_LIVE && mem->starved) {
        cnc_member_text(mem, who, sizeof who);
        cnc_master_say_rarely(m, &m->no_start, CONCUR_LOG_ERROR, "%s cannot start: %s", who, text);
        return;
    }
    if (gen->state != CNC_GENERATION_LIVE && (!m->was_up || strncmp(told, text, sizeof gen->told - 1) == 0))
        return;
    (void)snprintf(told, sizeof gen->told, "%.255s", text);
    cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_ERROR, "%s", text);
}

static void tell_of_lost_wake(struct cnc_master *m, struct cnc_member *mem)
{
    char who[64];
    if (mem->said_unwoken)
        return;
    mem->said_unwoken = true;
    cnc_member_text(mem, who, sizeof who);
    cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_WARN, "%s: the descriptor that wakes the master was closed; messages wake it now", who);
}

static void on_member_note(struct cnc_master *m, struct cnc_member *mem, const struct cnc_note *note, int64_t now)
{
    switch (note->what) {
    case CNC_NOTE_READY:
        if (mem->slot.state != CNC_SLOT_STARTING)
            return;
        cnc_member_step(m, mem, CNC_SLOT_ON_READY, now);
        cnc_generation_on_ready(m, mem, now);
        return;
    case CNC_NOTE_FAILED:
        mem->starved = note->slot == 1;
        tell_why(m, mem, note->text);
        cnc_master_refuse(m, note->value < 0 && note->value > INT32_MIN ? (int)note->value : CONCUR_E_SYS, "%s",
                          note->text);
        mem->said_why = true;
        return;
    case CNC_NOTE_LEAVING:
        mem->leaves = true;
        return;
    case CNC_NOTE_RECYCLE:
        mem->asks_to_be_replaced = true;
        mem->replace_at = now;
        return;
    case CNC_NOTE_UNLINKED:
        cnc_generation_on_unlinked(mem, note, now);
        return;
    case CNC_NOTE_SILENT:
        cnc_generation_on_silent(mem, note, now);
        return;
    case CNC_NOTE_WAKE:
        tell_of_lost_wake(m, mem);
        return;
    default: /* not a message that children send */
        return;
    }
}

void cnc_member_hear(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    struct cnc_note note;
    int rc = CONCUR_OK;
    /* At most 16 messages, so that other processes get their turn. */
    for (int i = 0; i < 16 && mem->link >= 0 && (rc = cnc_note_receive(mem->link, &note, NULL, false)) == CONCUR_OK; i++)
        on_member_note(m, mem, &note, now);
    if (rc != CONCUR_E_GONE)
        return;
    lose_link(mem, now);
}

bool cnc_member_is_silent(const struct cnc_member *mem)
{
    return mem->pid && mem->pidfd < 0 && mem->link < 0;
}

/* ---- its end ---- */

/* Reports how a process has ended. known: status is its exit status; else another waitpid() in the host's process took
 * it. */
static void report(struct cnc_master *m, const struct cnc_member *mem, int status, bool known)
{
    bool asked = mem->slot.state == CNC_SLOT_DRAIN || mem->slot.state == CNC_SLOT_TERM;
    char who[64], how[48] = "its exit status is unknown";
    if (status == 0 && (asked || mem->leaves))
        return;
    if (mem->slot.state == CNC_SLOT_KILL && !mem->slot.wanted)
        return; /* the master has killed it */
    cnc_member_text(mem, who, sizeof who);
    if (known)
        cnc_child_end_text(status, how, sizeof how);
    /* A signal is not counted as a failure of the stop: the crash may have happened before it. */
    if (asked && m->stopping && m->result == CONCUR_OK && WIFEXITED(status))
        m->result = WEXITSTATUS(status) == BUSY_STATUS ? CONCUR_E_BUSY : CONCUR_E_SYS;
    if (!mem->slot.was_ready && !mem->said_why)
        cnc_master_refuse(m, CONCUR_E_SYS, "%s ended before it was ready: %s", who, how);
    if (!mem->said_why || (mem->gen->state == CNC_GENERATION_LIVE && !mem->starved))
        cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_WARN, "%s ended: %s", who, how);
    cnc_master_say(m, CNC_NOTE_EVENT, 0, "%s ended: %s", who, how);
}

void cnc_member_reap(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    int status = 0;
    cnc_member_hear(m, mem, now); /* messages that it sent before it ended */
    pid_t got = cnc_sys_waitpid(mem->pid, &status);
    if (got == 0)
        return;
    bool early = !mem->slot.was_ready, served = cnc_slot_serves(&mem->slot);
    report(m, mem, status, got > 0);
    cnc_board_fold(m->cfg->board, mem->gen->page, mem->index);
    member_close_all(mem);
    mem->slot.leaves = mem->leaves && status == 0;
    mem->slot.starved = mem->starved || (got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CNC_CHILD_SICK);
    cnc_member_step(m, mem, CNC_SLOT_ON_EXIT, now);
    cnc_generation_on_gone(m, mem, early, now);
    if (served && mem->group->accepts)
        cnc_generation_pass_on(m, mem, now);
    mem->pid = 0;
}
