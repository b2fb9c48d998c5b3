/* SPDX-License-Identifier: MIT
 *
 * A generation: the processes that were forked from one state of the configuration. It is warm while they start, live when
 * all are ready, and retires when another one serves or the server stops. The next one accepts before the last one stops
 * accepting, so that there is never none.
 */
#include "proc/master_internal.h"

#include "base/error.h"
#include "base/sys.h"

#define EARLY_MAX 5
#define SILENT_MS 20 /* between two looks at a process that closed its link, where there are no pidfds */
#define EARLY_WINDOW_MS 30000
#define RELINK_MS 200 /* until the front may have room for a descriptor */
#define TIRED_AGAIN_MS 1000 /* after a successor that could not start */

int64_t cnc_generation_time_left(const struct cnc_master *m, const struct cnc_generation *gen, int64_t now)
{
    int64_t left = gen->plan.drain_ms;
    if (gen->state == CNC_GENERATION_REFUSED)
        left = 0;
    if (m->stop_at != INT64_MAX && m->stop_at - now < left)
        left = m->stop_at - now;
    if (m->stopping && m->stop_at != INT64_MAX)
        left = m->stop_at - now;
    return left > 0 ? left : 0;
}

static void want(struct cnc_master *m, struct cnc_generation *gen, unsigned index, int64_t now)
{
    (void)m;
    cnc_slot_want(&gen->members[index].slot, now);
}

/* ---- the table ---- */

static void start(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    gen->state = CNC_GENERATION_WARM;
    gen->warm_until = now + gen->plan.start_ms;
    if (gen->plan.has_front)
        want(m, gen, CNC_FRONT, now);
    for (unsigned i = 0; i < gen->plan.workers; i++)
        want(m, gen, CNC_WORKERS + i, now);
}

static void go(struct cnc_member *mem)
{
    (void)cnc_note_tell(mem->link, CNC_NOTE_GO, 0);
}

static void leave(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    (void)m;
    (void)now;
    gen->state = CNC_GENERATION_RETIRE; /* the look that follows lets its members drain */
}

/* The new accept first, THEN the old stop. */
static void go_live(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    gen->state = CNC_GENERATION_LIVE;
    m->cfg->ops->serves(m->cfg->arg, gen->plan.setup);
    gen->spawn_at = now + CNC_SPAWN_EVERY_MS;
    for (unsigned i = 0; i < gen->count; i++)
        if (cnc_slot_serves(&gen->members[i].slot))
            go(&gen->members[i]);
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        if (&m->generations[g] != gen && m->generations[g].state == CNC_GENERATION_LIVE)
            cnc_generation_step(m, &m->generations[g], CNC_GENERATION_ON_LEAVE, now);
    if (!m->was_up)
        cnc_master_say(m, CNC_NOTE_READY, 0, "ready");
    else
        cnc_master_say(m, CNC_NOTE_EVENT, 0, "generation %u serves", gen->number);
    m->was_up = true;
}

static void refuse(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    (void)now;
    gen->state = CNC_GENERATION_REFUSED;
    if (m->was_up)
        cnc_master_say(m, CNC_NOTE_EVENT, 0, "generation %u could not start and was dropped; the one before goes on",
                       gen->number);
}

/* A newer one is to serve, or none: that is no failure. */
static void drop(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    (void)m;
    (void)now;
    gen->state = CNC_GENERATION_REFUSED;
}

static void gone(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    (void)now;
    cnc_generation_free(m, gen);
}

typedef void step_fn(struct cnc_master *, struct cnc_generation *, int64_t now);

static step_fn *const table[CNC_GENERATION_STATES][CNC_GENERATION_EVENTS] = {
    [CNC_GENERATION_NONE] = {
        [CNC_GENERATION_ON_START] = start,
    },
    [CNC_GENERATION_WARM] = {
        [CNC_GENERATION_ON_UP] = go_live,
        [CNC_GENERATION_ON_DOWN] = refuse,
        [CNC_GENERATION_ON_LEAVE] = drop,
    },
    [CNC_GENERATION_LIVE] = {
        [CNC_GENERATION_ON_LEAVE] = leave,
    },
    [CNC_GENERATION_RETIRE] = {
        [CNC_GENERATION_ON_EMPTY] = gone,
    },
    [CNC_GENERATION_REFUSED] = {
        [CNC_GENERATION_ON_EMPTY] = gone,
    },
};

void cnc_generation_step(struct cnc_master *m, struct cnc_generation *gen, enum cnc_generation_event ev, int64_t now)
{
    step_fn *fn = table[gen->state][ev];
    CNC_ASSERT(fn != NULL);
    if (fn)
        fn(m, gen, now);
}

/* ---- birth and death ---- */

int cnc_generation_start(struct cnc_master *m, const struct cnc_plan *plan, int64_t now)
{
    struct cnc_generation *gen = NULL;
    unsigned page = 0;
    while (page < CNC_BOARD_GENERATIONS && m->generations[page].state != CNC_GENERATION_NONE)
        page++;
    if (page < CNC_BOARD_GENERATIONS)
        gen = &m->generations[page];
    if (!gen)
        return CONCUR_E_BUSY;
    unsigned spare = plan->spare_max ? 0 : 1; /* for the successor of one that is replaced */
    unsigned count = CNC_WORKERS + plan->workers_max + spare;
    struct cnc_member *members = cnc_calloc(count, sizeof *members);
    if (!members)
        return CONCUR_E_NOMEM;
    *gen = (struct cnc_generation){ .number = m->next_number++, .page = page, .plan = *plan, .members = members,
                                     .count = count };
    gen->times = (struct cnc_slot_times){ .start_ms = plan->start_ms, .early_max = EARLY_MAX,
                                          .early_window_ms = plan->start_ms + EARLY_WINDOW_MS };
    for (unsigned i = 0; i < count; i++)
        cnc_member_init(&members[i], gen, i, i == CNC_FRONT ? CNC_MEMBER_FRONT : i == CNC_HELPER ? CNC_MEMBER_HELPER
                                                                                               : CNC_MEMBER_WORKER);
    cnc_generation_step(m, gen, CNC_GENERATION_ON_START, now);
    return CONCUR_OK;
}

void cnc_generation_free(struct cnc_master *m, struct cnc_generation *gen)
{
    m->cfg->ops->dropped(m->cfg->arg, gen->plan.setup);
    cnc_free(gen->members);
    *gen = (struct cnc_generation){ .state = CNC_GENERATION_NONE };
}

/* ---- front and workers ---- */

static struct cnc_member *front_of(struct cnc_generation *gen)
{
    struct cnc_member *front = &gen->members[CNC_FRONT];
    return gen->plan.has_front && front->slot.was_ready && cnc_slot_is_alive(&front->slot) ? front : NULL;
}

/* A front that takes no messages any more is no front. */
static void tell_front(struct cnc_master *m, struct cnc_member *mem, enum cnc_note_what what, int fd, int64_t now)
{
    struct cnc_member *front = front_of(mem->gen);
    struct cnc_note note = { .what = (uint32_t)what, .slot = mem->index, .value = mem->pid };
    if (front && cnc_note_send(front->link, &note, fd, false) == CONCUR_AGAIN)
        cnc_member_step(m, front, CNC_SLOT_ON_STUCK, now);
}

static void link_worker(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    mem->link_at = INT64_MAX;
    if (mem->lend >= 0)
        tell_front(m, mem, CNC_NOTE_LINK, mem->lend, now);
}

/* mem replaces another one, which may go now. */
static void relieve(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    struct cnc_member *old = &mem->gen->members[mem->twin];
    if (mem->twin && old->slot.state == CNC_SLOT_REPLACING) {
        tell_front(m, old, CNC_NOTE_RETIRE, -1, now);
        cnc_member_step(m, old, CNC_SLOT_ON_REPLACED, now);
    }
    mem->twin = 0;
}

void cnc_generation_on_ready(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    struct cnc_generation *gen = mem->gen;
    if (mem->kind == CNC_MEMBER_FRONT)
        for (unsigned i = CNC_WORKERS; i < gen->count; i++)
            if (cnc_slot_serves(&gen->members[i].slot))
                link_worker(m, &gen->members[i], now);
    if (mem->kind == CNC_MEMBER_WORKER)
        link_worker(m, mem, now);
    if (gen->state == CNC_GENERATION_LIVE)
        go(mem);
    relieve(m, mem, now);
}

/* Another process may be in the slot by now, and has a link of its own. */
void cnc_generation_on_unlinked(const struct cnc_member *front, const struct cnc_note *note, int64_t now)
{
    struct cnc_generation *gen = front->gen;
    struct cnc_member *mem = note->slot < gen->count ? &gen->members[note->slot] : NULL;
    if (front->kind == CNC_MEMBER_FRONT && mem && mem->kind == CNC_MEMBER_WORKER && mem->pid && mem->pid == note->value)
        mem->link_at = now + RELINK_MS;
}

void cnc_generation_on_gone(struct cnc_master *m, struct cnc_member *mem, bool early, int64_t now)
{
    struct cnc_generation *gen = mem->gen;
    if (mem->kind == CNC_MEMBER_WORKER)
        tell_front(m, mem, CNC_NOTE_DEAD, -1, now);
    if (early && gen->state == CNC_GENERATION_WARM)
        cnc_generation_step(m, gen, CNC_GENERATION_ON_DOWN, now);
    if (mem->twin && early) { /* the old one stays, and there will be another try */
        struct cnc_member *old = &gen->members[mem->twin];
        mem->twin = 0;
        if (old->slot.state == CNC_SLOT_REPLACING) {
            cnc_member_step(m, old, CNC_SLOT_ON_UNREPLACED, now);
            old->tired = true;
            old->tired_at = now + TIRED_AGAIN_MS;
            cnc_member_step(m, mem, CNC_SLOT_ON_DRAIN, now);
        }
    }
}

static struct cnc_member *free_place(struct cnc_generation *gen)
{
    for (unsigned i = CNC_WORKERS; i < gen->count; i++)
        if (gen->members[i].slot.state == CNC_SLOT_EMPTY && !gen->members[i].slot.wanted)
            return &gen->members[i];
    return NULL;
}

/* Who would like a successor gets one as soon as there is a place for it. Returns when the next try is due. */
static int64_t look_for_tired(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = CNC_WORKERS; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i], *heir;
        if (!mem->tired || mem->slot.state != CNC_SLOT_READY)
            continue;
        if (mem->tired_at > now) {
            next = mem->tired_at < next ? mem->tired_at : next;
        } else if ((heir = free_place(gen)) != NULL) {
            mem->tired = false;
            heir->twin = mem->index;
            cnc_member_step(m, mem, CNC_SLOT_ON_REPLACE, now);
            cnc_slot_want(&heir->slot, now);
            next = now;
        }
    }
    return next;
}

/* ---- looks ---- */

static void drain(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    if (mem->slot.wanted || cnc_slot_serves(&mem->slot))
        cnc_member_step(m, mem, CNC_SLOT_ON_DRAIN, now);
}

/* The front first: what it has queued still needs the workers. */
static void drain_members(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    drain(m, &gen->members[CNC_FRONT], now);
    drain(m, &gen->members[CNC_HELPER], now);
    if (cnc_slot_is_alive(&gen->members[CNC_FRONT].slot))
        return;
    for (unsigned i = CNC_WORKERS; i < gen->count; i++)
        drain(m, &gen->members[i], now);
}

static unsigned count_members(const struct cnc_generation *gen, bool (*is)(const struct cnc_slot *))
{
    unsigned n = 0;
    for (unsigned i = 0; i < gen->count; i++)
        n += is(&gen->members[i].slot);
    return n;
}

static bool is_wanted(const struct cnc_slot *slot)
{
    return slot->wanted;
}

static bool is_alive_or_wanted(const struct cnc_slot *slot)
{
    return slot->wanted || cnc_slot_is_alive(slot);
}

/* Idle ones, and those that start and will be. */
static unsigned count_idle(struct cnc_master *m, const struct cnc_generation *gen)
{
    unsigned n = 0;
    for (unsigned i = CNC_WORKERS; i < gen->count; i++) {
        const struct cnc_slot *slot = &gen->members[i].slot;
        n += slot->wanted && (!cnc_slot_serves(slot) || cnc_board_is_idle(m->cfg->board, gen->page, i));
    }
    return n;
}

static void end_one_idle(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    for (unsigned i = gen->count - 1; i >= CNC_WORKERS; i--)
        if (gen->members[i].slot.state == CNC_SLOT_READY && cnc_board_is_idle(m->cfg->board, gen->page, i)) {
            drain(m, &gen->members[i], now);
            return;
        }
}

static void keep_pool(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    const struct cnc_plan *plan = &gen->plan;
    struct cnc_spawn_limits limits = { plan->spare_min, plan->spare_max, plan->workers_max };
    gen->spawn_at = now + CNC_SPAWN_EVERY_MS;
    int n = cnc_spawn_plan(&gen->spawn, &limits, count_idle(m, gen), count_members(gen, is_wanted));
    if (n < 0)
        end_one_idle(m, gen, now);
    for (unsigned i = CNC_WORKERS; i < gen->count && n > 0; i++)
        if (gen->members[i].slot.state == CNC_SLOT_EMPTY && !gen->members[i].slot.wanted) {
            want(m, gen, i, now);
            n--;
        }
}

/* A front or all workers cannot be had: a helper says so to everybody, in their place. */
static void look_for_hope(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    unsigned alive = 0;
    for (unsigned i = CNC_WORKERS; i < gen->count; i++)
        alive += gen->members[i].slot.wanted && gen->members[i].slot.state != CNC_SLOT_GAVE_UP;
    bool no_front = gen->plan.has_front && gen->members[CNC_FRONT].slot.state == CNC_SLOT_GAVE_UP;
    if (gen->given_up || (alive && !no_front))
        return;
    gen->given_up = true;
    cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_ERROR, "no worker can be started any more: answering 503 until a reload");
    cnc_master_say(m, CNC_NOTE_EVENT, 0, "given up: answering 503");
    drain(m, &gen->members[CNC_FRONT], now);
    for (unsigned i = CNC_WORKERS; i < gen->count && no_front; i++)
        drain(m, &gen->members[i], now);
    want(m, gen, CNC_HELPER, now);
}

/* One whose handler has held it for too long is killed, where that is asked for. */
static void look_for_stuck(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    for (unsigned i = CNC_WORKERS; i < gen->count; i++) {
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

/* Each process has its own time to become ready, but one that cannot even be forked has none. */
static bool has_failed(const struct cnc_generation *gen, int64_t now)
{
    for (unsigned i = 0; i < gen->count; i++)
        if (now >= gen->warm_until && gen->members[i].slot.wanted && !cnc_slot_is_alive(&gen->members[i].slot))
            return true;
    return false;
}

static bool is_up(const struct cnc_generation *gen)
{
    for (unsigned i = 0; i < gen->count; i++)
        if (gen->members[i].slot.wanted && !cnc_slot_serves(&gen->members[i].slot))
            return false;
    return true;
}

int64_t cnc_generation_look(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    int64_t next = INT64_MAX;
    if (gen->state == CNC_GENERATION_RETIRE || gen->state == CNC_GENERATION_REFUSED)
        drain_members(m, gen, now); /* before anything that is due is forked */
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        if (cnc_member_is_silent(mem))
            cnc_member_reap(m, mem, now);
        if (mem->slot.deadline <= now)
            cnc_member_step(m, mem, CNC_SLOT_ON_DEADLINE, now);
        if (mem->link_at <= now)
            link_worker(m, mem, now);
    }
    switch (gen->state) {
    case CNC_GENERATION_WARM:
        if (!is_up(gen) && !has_failed(gen, now)) {
            next = gen->warm_until > now ? gen->warm_until : next;
            break;
        }
        cnc_generation_step(m, gen, is_up(gen) ? CNC_GENERATION_ON_UP : CNC_GENERATION_ON_DOWN, now);
        return now; /* it is another one now, and wants other things */
    case CNC_GENERATION_LIVE:
        look_for_hope(m, gen, now);
        if (gen->plan.spare_max && now >= gen->spawn_at && !gen->given_up)
            keep_pool(m, gen, now);
        next = look_for_tired(m, gen, now);
        if (gen->plan.spare_max && gen->spawn_at < next)
            next = gen->spawn_at;
        if (gen->plan.stuck_ms) {
            look_for_stuck(m, gen, now);
            next = next < now + 250 ? next : now + 250;
        }
        break;
    case CNC_GENERATION_RETIRE:
    case CNC_GENERATION_REFUSED:
        drain_members(m, gen, now);
        if (count_members(gen, is_alive_or_wanted) == 0)
            cnc_generation_step(m, gen, CNC_GENERATION_ON_EMPTY, now);
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < gen->count; i++) {
        next = gen->members[i].slot.deadline < next ? gen->members[i].slot.deadline : next;
        next = gen->members[i].link_at < next ? gen->members[i].link_at : next;
        if (cnc_member_is_silent(&gen->members[i]) && now + SILENT_MS < next)
            next = now + SILENT_MS;
    }
    return next;
}

const char *cnc_generation_state_name(int state)
{
    static const char *const names[CNC_GENERATION_STATES] = {
        [CNC_GENERATION_NONE] = "none",     [CNC_GENERATION_WARM] = "warm",       [CNC_GENERATION_LIVE] = "live",
        [CNC_GENERATION_RETIRE] = "retire", [CNC_GENERATION_REFUSED] = "refused",
    };
    return state >= 0 && state < CNC_GENERATION_STATES ? names[state] : "?";
}
