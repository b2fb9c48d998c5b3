/* SPDX-License-Identifier: MIT
 *
 * What the master does for a generation that serves: it keeps groups with a varying number of processes at their size,
 * starts successors, and kills processes that hang.
 */
#include "proc/master_internal.h"

#include "base/error.h"
#include "base/sys.h"

#define STUCK_LOOK_MS 250
#define STOPPED_MS 2000 /* a process may be stopped (SIGSTOP) for so long before it is killed */
#define SILENT_MS 1000  /* a process that has closed a link may take so long to end before it is killed */

/* ---- successors ---- */

static struct cnc_member *free_place(struct cnc_generation *gen, const struct cnc_group *group)
{
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        if (mem->group == group && mem->slot.state == CNC_SLOT_EMPTY && !mem->slot.wanted)
            return mem;
    }
    return NULL;
}

/* Starts successors for the members that have asked, if there are free slots. Returns when the next try is due. */
static int64_t start_successors(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i], *successor;
        if (!mem->asks_to_be_replaced || mem->slot.state != CNC_SLOT_READY)
            continue;
        if (mem->replace_at > now) {
            next = mem->replace_at < next ? mem->replace_at : next;
        } else if ((successor = free_place(gen, mem->group)) != NULL) {
            mem->asks_to_be_replaced = false;
            successor->replaces = mem;
            cnc_member_step(m, mem, CNC_SLOT_ON_REPLACE, now);
            cnc_slot_want(&successor->slot, now);
            next = now;
        }
    }
    return next;
}

/* ---- varying groups ---- */

/* Processes of a group that are idle, or that start and will be idle. */
static unsigned count_idle(struct cnc_master *m, const struct cnc_generation *gen, unsigned g)
{
    unsigned n = 0;
    for (unsigned i = gen->first[g]; i < gen->first[g + 1]; i++) {
        const struct cnc_slot *slot = &gen->members[i].slot;
        n += slot->wanted && (!cnc_slot_serves(slot) || cnc_board_is_idle(m->cfg->board, gen->page, i));
    }
    return n;
}

static unsigned count_wanted(const struct cnc_generation *gen, unsigned g)
{
    unsigned n = 0;
    for (unsigned i = gen->first[g]; i < gen->first[g + 1]; i++)
        n += gen->members[i].slot.wanted;
    return n;
}

static void end_one_idle(struct cnc_master *m, struct cnc_generation *gen, unsigned g, int64_t now)
{
    for (unsigned i = gen->first[g + 1]; i-- > gen->first[g];)
        if (gen->members[i].slot.state == CNC_SLOT_READY && cnc_board_is_idle(m->cfg->board, gen->page, i)) {
            cnc_member_step(m, &gen->members[i], CNC_SLOT_ON_DRAIN, now);
            return;
        }
}

static void keep_size(struct cnc_master *m, struct cnc_generation *gen, unsigned g, int64_t now)
{
    const struct cnc_group *group = &gen->plan.groups[g];
    struct cnc_spawn_limits limits = { group->spare_min, group->spare_max, group->most };
    int n = cnc_spawn_plan(&gen->spawn[g], &limits, count_idle(m, gen, g), count_wanted(gen, g));
    if (n < 0)
        end_one_idle(m, gen, g, now);
    for (unsigned i = gen->first[g]; i < gen->first[g + 1] && n > 0; i++)
        if (gen->members[i].slot.state == CNC_SLOT_EMPTY && !gen->members[i].slot.wanted) {
            cnc_slot_want(&gen->members[i].slot, now);
            n--;
        }
}

/* Returns when to call it again; INT64_MAX: no group varies. */
static int64_t keep_sizes(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    bool due = now >= gen->spawn_at, any = false;
    if (due)
        gen->spawn_at = now + CNC_SPAWN_EVERY_MS;
    for (unsigned g = 0; g < gen->plan.group_count && !gen->given_up; g++) {
        if (!gen->plan.groups[g].spare_max)
            continue;
        any = true;
        if (due)
            keep_size(m, gen, g, now);
    }
    return any ? gen->spawn_at : INT64_MAX;
}

/* ---- groups that were given up ---- */

static bool is_given_up(const struct cnc_generation *gen, unsigned g)
{
    if (!gen->plan.groups[g].is_required)
        return false;
    for (unsigned i = gen->first[g]; i < gen->first[g + 1]; i++)
        if (gen->members[i].slot.wanted && gen->members[i].slot.state != CNC_SLOT_GAVE_UP)
            return false;
    return true;
}

/* Group g was given up: starts the groups for this case, and stops all others. */
static void give_up(struct cnc_master *m, struct cnc_generation *gen, unsigned g, int64_t now)
{
    const char *name = gen->plan.groups[g].name;
    gen->given_up = true;
    cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_ERROR, "no %s can be started: answering 503 until a reload", name);
    cnc_master_say(m, CNC_NOTE_EVENT, 0, "given up: answering 503");
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        if (mem->group->when == CNC_GROUP_GIVEN_UP && mem->number < mem->group->count)
            cnc_slot_want(&mem->slot, now);
        else if (mem->group->when == CNC_GROUP_START && (mem->slot.wanted || cnc_slot_serves(&mem->slot)))
            cnc_member_step(m, mem, CNC_SLOT_ON_DRAIN, now);
    }
}

static void look_for_given_up(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    for (unsigned g = 0; g < gen->plan.group_count && !gen->given_up; g++)
        if (is_given_up(gen, g))
            give_up(m, gen, g, now);
}

/* ---- handlers that run too long ---- */

/* Kills processes whose handler has run for longer than stuck_timeout. */
static void look_for_stuck(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        int64_t since = atomic_load(&cnc_board_row(m->cfg->board, gen->page, i)->busy_since);
        if (!cnc_slot_serves(&mem->slot) || since <= 0 || since > now || now - since < gen->plan.stuck_ms)
            continue;
        char who[64];
        cnc_member_text(mem, who, sizeof who);
        cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_WARN, "%s is killed: its handler has held it for %lld ms", who,
                       (long long)(now - since));
        cnc_member_step(m, mem, CNC_SLOT_ON_STUCK, now);
    }
}

/* ---- processes that cannot serve ---- */

void cnc_watch_stops(struct cnc_master *m, int64_t now)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        for (unsigned i = 0; i < m->generations[g].count; i++) {
            struct cnc_member *mem = &m->generations[g].members[i];
            int what = mem->pid ? cnc_sys_child_stop(mem->pidfd, mem->pid) : 0;
            if (what)
                mem->stopped_at = what == 1 ? now : 0;
        }
}

/* Why the process must be killed; NULL: it need not, or not yet; then *next is set to the time of the next check, if
 * that is earlier. */
static const char *find_sickness(struct cnc_member *mem, int64_t now, int64_t *next)
{
    int64_t stopped_until = mem->stopped_at + STOPPED_MS, silent_until = mem->silent_at + SILENT_MS;
    if (mem->stopped_at && now >= stopped_until && cnc_sys_process_state(mem->pid) == 'T')
        return "it was stopped";
    if (mem->stopped_at && now >= stopped_until)
        mem->stopped_at = 0; /* it was continued, or a debugger has stopped it */
    if (mem->silent_at && now >= silent_until)
        return mem->link < 0 ? "it has closed its link to the master" : "it has closed its link to the front";
    if (mem->stopped_at && stopped_until < *next)
        *next = stopped_until;
    if (mem->silent_at && silent_until < *next)
        *next = silent_until;
    return NULL;
}

/* Kills processes that cannot serve any more, so that others replace them. */
static int64_t look_for_sick(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        const char *why = cnc_slot_serves(&mem->slot) ? find_sickness(mem, now, &next) : NULL;
        char who[64];
        if (!why)
            continue;
        cnc_member_text(mem, who, sizeof who);
        cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_WARN, "%s is killed: %s", who, why);
        cnc_member_step(m, mem, CNC_SLOT_ON_STUCK, now);
    }
    return next;
}

int64_t cnc_watch(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    look_for_given_up(m, gen, now);
    int64_t sizes = keep_sizes(m, gen, now), next = start_successors(m, gen, now);
    int64_t sick = look_for_sick(m, gen, now);
    next = sizes < next ? sizes : next;
    next = sick < next ? sick : next;
    if (gen->plan.stuck_ms) {
        look_for_stuck(m, gen, now);
        next = next < now + STUCK_LOOK_MS ? next : now + STUCK_LOOK_MS;
    }
    return next;
}
