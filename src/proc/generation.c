/* SPDX-License-Identifier: MIT
 *
 * A generation: the processes that were forked from one state of the configuration. It is warm while they start, and
 * live when all are ready. It retires when another generation serves or the server stops. A new generation accepts
 * before the old one stops accepting, so that at each moment one of them accepts.
 */
#include "proc/master_internal.h"

#include "base/error.h"
#include "base/sys.h"
#include "net/passing.h"

#define EARLY_MAX 5
#define SILENT_MS 20 /* without pidfds: between two checks whether a process that closed its link has ended */
#define EARLY_WINDOW_MS 30000
#define OWED_MS 20    /* until a message for which there was no room is sent again */
#define RELINK_MS 200 /* until a link for which the front had no descriptor is sent again */
#define REPLACE_AGAIN_MS 1000 /* until a successor that could not start is tried again */
#define SHARED_BUFFER 262144 /* bytes that may be under way on a link that a group shares */

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

/* ---- the table ---- */

static void start(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    gen->state = CNC_GENERATION_WARM;
    gen->warm_until = now + gen->plan.start_ms;
    (void)m;
    for (unsigned g = 0; g < gen->plan.group_count; g++)
        for (unsigned i = 0; i < gen->plan.groups[g].count && gen->plan.groups[g].when == CNC_GROUP_START; i++)
            cnc_slot_want(&gen->members[gen->first[g] + i].slot, now);
}

static void owe(struct cnc_member *mem, unsigned what, int64_t now);

static void leave(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    (void)m;
    (void)now;
    gen->state = CNC_GENERATION_RETIRE; /* cnc_generation_look() asks its members to stop */
}

/* Lets the new processes accept, and only then stops the old ones. */
static void go_live(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    gen->state = CNC_GENERATION_LIVE;
    m->cfg->ops->serves(m->cfg->arg, gen->plan.setup, gen->number);
    gen->spawn_at = now + CNC_SPAWN_EVERY_MS;
    for (unsigned i = 0; i < gen->count; i++)
        if (cnc_slot_serves(&gen->members[i].slot))
            owe(&gen->members[i], CNC_OWES_GO, now);
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        if (&m->generations[g] != gen && m->generations[g].state == CNC_GENERATION_LIVE)
            cnc_generation_step(m, &m->generations[g], CNC_GENERATION_ON_LEAVE, now);
    if (!m->was_up)
        cnc_master_say(m, CNC_NOTE_READY, 0, "ready");
    else
        cnc_master_say(m, CNC_NOTE_EVENT, 0, "generation %u serves", gen->number);
    m->was_up = true;
}

static void generation_refuse(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    (void)now;
    gen->state = CNC_GENERATION_REFUSED;
    if (m->was_up)
        cnc_master_say(m, CNC_NOTE_EVENT, 0, "generation %u could not start and was dropped; the one before goes on",
                       gen->number);
}

/* Not a failure: a newer generation will serve, or the server stops. */
static void generation_drop(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
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

static step_fn *const generation_table[CNC_GENERATION_STATES][CNC_GENERATION_EVENTS] = {
    [CNC_GENERATION_NONE] = {
        [CNC_GENERATION_ON_START] = start,
    },
    [CNC_GENERATION_WARM] = {
        [CNC_GENERATION_ON_UP] = go_live,
        [CNC_GENERATION_ON_DOWN] = generation_refuse,
        [CNC_GENERATION_ON_LEAVE] = generation_drop,
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
    step_fn *fn = generation_table[gen->state][ev];
    CNC_ASSERT(fn != NULL);
    if (fn)
        fn(m, gen, now);
}

/* ---- start and end ---- */

/* Slots of a group: one for each member, and one for a successor. */
static unsigned slots_of(const struct cnc_group *group)
{
    return group->most + (group->has_successors ? 1 : 0);
}

static int open_shared(struct cnc_generation *gen)
{
    bool any = false;
    for (unsigned g = 0; g < gen->plan.group_count; g++)
        any = any || gen->plan.groups[g].link == CNC_LINK_SHARED;
    return any ? cnc_passing_pair(gen->shared, SHARED_BUFFER) : CONCUR_OK;
}

static int make_members(struct cnc_generation *gen)
{
    for (unsigned g = 0; g < gen->plan.group_count; g++)
        gen->first[g + 1] = gen->first[g] + slots_of(&gen->plan.groups[g]);
    gen->count = gen->first[gen->plan.group_count];
    CNC_ASSERT(gen->count <= CNC_BOARD_SLOTS);
    gen->members = cnc_calloc(gen->count, sizeof *gen->members);
    if (!gen->members)
        return CONCUR_E_NOMEM;
    for (unsigned g = 0; g < gen->plan.group_count; g++)
        for (unsigned i = gen->first[g]; i < gen->first[g + 1]; i++)
            cnc_member_init(&gen->members[i], gen, g, i - gen->first[g]);
    return open_shared(gen);
}

int cnc_generation_start(struct cnc_master *m, const struct cnc_plan *plan, int64_t now)
{
    unsigned page = 0;
    while (page < CNC_BOARD_GENERATIONS && m->generations[page].state != CNC_GENERATION_NONE)
        page++;
    if (page == CNC_BOARD_GENERATIONS)
        return CONCUR_E_BUSY;
    struct cnc_generation *gen = &m->generations[page];
    *gen = (struct cnc_generation){ .page = page, .plan = *plan, .shared = { -1, -1 } };
    gen->times = (struct cnc_slot_times){ .start_ms = plan->start_ms, .early_max = EARLY_MAX,
                                          .early_window_ms = plan->start_ms + EARLY_WINDOW_MS };
    int rc = make_members(gen);
    if (rc == CONCUR_OK && !cnc_master_make_room(m))
        rc = CONCUR_E_NOMEM; /* allocated now, since the master could not wait for a process without it */
    if (rc < 0) {
        cnc_sys_close(&gen->shared[0]);
        cnc_sys_close(&gen->shared[1]);
        cnc_free(gen->members);
        *gen = (struct cnc_generation){ .state = CNC_GENERATION_NONE };
        return rc == CONCUR_E_NOMEM ? cnc_error_set(rc, "no memory for another generation of processes") : rc;
    }
    gen->number = m->next_number++;
    cnc_generation_step(m, gen, CNC_GENERATION_ON_START, now);
    return CONCUR_OK;
}

void cnc_generation_free(struct cnc_master *m, struct cnc_generation *gen)
{
    m->cfg->ops->dropped(m->cfg->arg, gen->plan.setup);
    cnc_sys_close(&gen->shared[0]);
    cnc_sys_close(&gen->shared[1]);
    cnc_free(gen->members);
    *gen = (struct cnc_generation){ .state = CNC_GENERATION_NONE };
}

/* ---- front and workers ---- */

struct cnc_member *cnc_generation_peer(struct cnc_member *mem)
{
    const struct cnc_group *group = mem->group;
    return group->link == CNC_LINK_NONE ? NULL : &mem->gen->members[mem->gen->first[group->links_to]];
}

/* The front of a worker; NULL: there is none that is ready. */
static struct cnc_member *front_of(struct cnc_member *mem)
{
    struct cnc_member *front = mem->group->link == CNC_LINK_EACH ? cnc_generation_peer(mem) : NULL;
    return front && front->slot.was_ready && cnc_slot_is_alive(&front->slot) ? front : NULL;
}

/* Sends a message to mem, or, in tell_front(), about mem to its front. False: there was no room, so it must be sent
 * again. */
static bool generation_tell(struct cnc_member *mem, enum cnc_note_what what, int64_t now)
{
    struct cnc_note note = { .what = (uint32_t)what };
    return cnc_member_tell(mem, &note, -1, now) != CONCUR_AGAIN;
}

static bool tell_front(struct cnc_member *mem, enum cnc_note_what what, int64_t now)
{
    struct cnc_member *front = front_of(mem);
    struct cnc_note note = { .what = (uint32_t)what, .slot = mem->number, .value = what == CNC_NOTE_DEAD ? mem->dead : mem->pid };
    int fd = what == CNC_NOTE_LINK ? mem->lend : -1;
    return !front || cnc_member_tell(front, &note, fd, now) != CONCUR_AGAIN;
}

static void pay_front(struct cnc_member *mem, int64_t now)
{
    static const struct {
        unsigned bit;
        enum cnc_note_what what;
    } order[] = { { CNC_OWES_DEAD, CNC_NOTE_DEAD }, { CNC_OWES_LINK, CNC_NOTE_LINK }, { CNC_OWES_RETIRE, CNC_NOTE_RETIRE } };
    for (unsigned i = 0; i < CNC_COUNT(order); i++) {
        if (!(mem->owed & order[i].bit))
            continue;
        if (now < mem->gen->full_until)
            return;
        if (!tell_front(mem, order[i].what, now)) {
            mem->gen->full_until = now + OWED_MS;
            return;
        }
        mem->owed &= ~order[i].bit;
    }
}

/* Sends the messages that are owed. Those for which there is no room are sent later: when many workers become ready at
 * the same time, a link cannot take a message about each. */
static void pay(struct cnc_member *mem, int64_t now)
{
    if (mem->owed & CNC_OWES_GO && generation_tell(mem, CNC_NOTE_GO, now))
        mem->owed &= ~(unsigned)CNC_OWES_GO;
    if (mem->owed & CNC_OWES_LOOK && generation_tell(mem, CNC_NOTE_LOOK, now))
        mem->owed &= ~(unsigned)CNC_OWES_LOOK;
    pay_front(mem, now);
    mem->owed_at = mem->owed ? now + OWED_MS : INT64_MAX;
}

static void owe(struct cnc_member *mem, unsigned what, int64_t now)
{
    mem->owed |= what;
    pay(mem, now);
}

/* mem is ready. If it is a successor, the process that it replaces is asked to stop. */
static void relieve(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    struct cnc_member *old = mem->replaces;
    mem->replaces = NULL;
    if (old && old->slot.state == CNC_SLOT_REPLACING) {
        owe(old, CNC_OWES_RETIRE, now);
        cnc_member_step(m, old, CNC_SLOT_ON_REPLACED, now);
    }
}

void cnc_generation_on_ready(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    struct cnc_generation *gen = mem->gen;
    for (unsigned i = 0; i < gen->count; i++)
        if (&gen->members[i] == mem || (front_of(&gen->members[i]) == mem && cnc_slot_serves(&gen->members[i].slot)))
            owe(&gen->members[i], gen->members[i].lend >= 0 ? CNC_OWES_LINK : 0, now);
    if (gen->state == CNC_GENERATION_LIVE)
        owe(mem, CNC_OWES_GO, now);
    relieve(m, mem, now);
}

/* The worker that a front's message is about; NULL: it has ended, and another one may have its slot by now. */
static struct cnc_member *worker_of(struct cnc_member *front, const struct cnc_note *note)
{
    struct cnc_generation *gen = front->gen;
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        if (mem->number == note->slot && mem->pid && mem->pid == note->value && front_of(mem) == front)
            return mem;
    }
    return NULL;
}

void cnc_generation_on_unlinked(struct cnc_member *front, const struct cnc_note *note, int64_t now)
{
    struct cnc_member *mem = worker_of(front, note);
    if (!mem)
        return;
    mem->owed |= CNC_OWES_LINK;
    mem->owed_at = now + RELINK_MS;
}

void cnc_generation_on_silent(struct cnc_member *front, const struct cnc_note *note, int64_t now)
{
    struct cnc_member *mem = worker_of(front, note);
    if (mem && !mem->silent_at)
        mem->silent_at = now;
}

void cnc_generation_on_gone(struct cnc_master *m, struct cnc_member *mem, bool early, int64_t now)
{
    struct cnc_generation *gen = mem->gen;
    if (!(mem->owed & CNC_OWES_DEAD)) /* else the front still knows the one before, and not this one */
        mem->dead = mem->pid;
    mem->owed = 0;
    owe(mem, CNC_OWES_DEAD, now);
    if (early && gen->state == CNC_GENERATION_WARM)
        cnc_generation_step(m, gen, CNC_GENERATION_ON_DOWN, now);
    if (mem->replaces && early) { /* a successor that could not start: the old one stays, and another try follows */
        struct cnc_member *old = mem->replaces;
        mem->replaces = NULL;
        if (old->slot.state == CNC_SLOT_REPLACING) {
            cnc_member_step(m, old, CNC_SLOT_ON_UNREPLACED, now);
            old->asks_to_be_replaced = true;
            old->replace_at = now + REPLACE_AGAIN_MS;
            cnc_member_step(m, mem, CNC_SLOT_ON_DRAIN, now);
        }
    }
}

/* A process that accepts, preferably one that waits for a connection. but: not this one. */
static struct cnc_member *find_taker(struct cnc_master *m, struct cnc_generation *gen, const struct cnc_member *but)
{
    struct cnc_member *any = NULL;
    for (unsigned n = 1; n <= gen->count; n++) {
        struct cnc_member *mem = &gen->members[(m->looked + n) % gen->count];
        if (mem == but || !mem->group->accepts || !cnc_slot_serves(&mem->slot))
            continue;
        if (cnc_board_is_idle(m->cfg->board, gen->page, mem->index))
            return mem;
        any = any ? any : mem;
    }
    return any;
}

/* The kernel wakes only one process for a connection. If that does not take it, another one must be told to look. */
void cnc_generation_pass_on(struct cnc_master *m, const struct cnc_member *mem, int64_t now)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS && !m->stopping; g++) {
        struct cnc_generation *gen = &m->generations[g];
        struct cnc_member *taker = gen->state == CNC_GENERATION_LIVE ? find_taker(m, gen, mem) : NULL;
        if (!taker)
            continue;
        m->looked = taker->index;
        owe(taker, CNC_OWES_LOOK, now);
    }
}

/* ---- the regular look ---- */

static void drain(struct cnc_master *m, struct cnc_member *mem, int64_t now)
{
    if (mem->slot.wanted || cnc_slot_serves(&mem->slot))
        cnc_member_step(m, mem, CNC_SLOT_ON_DRAIN, now);
}

/* Tells a worker that a stop has begun, while its front still drains. If its link has no room, it is told at the next
 * look. */
static void generation_tell_of_stop(struct cnc_member *mem, int64_t now)
{
    if (!mem->knows_of_stop && cnc_slot_serves(&mem->slot))
        mem->knows_of_stop = generation_tell(mem, CNC_NOTE_STOPPING, now);
}

/* Asks all members to stop. Workers are asked when their front has ended, since requests in its queue still need
 * them. */
static void drain_members(struct cnc_master *m, struct cnc_generation *gen, int64_t now)
{
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        bool waits = mem->group->link == CNC_LINK_EACH && cnc_slot_is_alive(&cnc_generation_peer(mem)->slot);
        if (waits)
            generation_tell_of_stop(mem, now);
        else
            drain(m, mem, now);
    }
}

/* If the process at the other end of a shared link is gone for good, closes the master's copy of that end, so that the
 * group's members see the end of the link. */
static void close_shared(struct cnc_generation *gen)
{
    for (unsigned g = 0; g < gen->plan.group_count && gen->shared[1] >= 0; g++) {
        const struct cnc_group *group = &gen->plan.groups[g];
        const struct cnc_slot *peer = &gen->members[gen->first[group->links_to]].slot;
        bool is_gone = !cnc_slot_is_alive(peer) && (!peer->wanted || peer->state == CNC_SLOT_GAVE_UP);
        if (group->link == CNC_LINK_SHARED && is_gone)
            cnc_sys_close(&gen->shared[1]);
    }
}

static bool is_empty(const struct cnc_generation *gen)
{
    for (unsigned i = 0; i < gen->count; i++)
        if (gen->members[i].slot.wanted || cnc_slot_is_alive(&gen->members[i].slot))
            return false;
    return true;
}

/* Is a process missing that could not be forked in time? One that was forked has a deadline of its own. */
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
        drain_members(m, gen, now); /* first, so that no process is forked that would be stopped at once */
    for (unsigned i = 0; i < gen->count; i++) {
        struct cnc_member *mem = &gen->members[i];
        if (cnc_member_is_silent(mem))
            cnc_member_reap(m, mem, now);
        if (mem->slot.deadline <= now)
            cnc_member_step(m, mem, CNC_SLOT_ON_DEADLINE, now);
        if (mem->owed_at <= now)
            pay(mem, now);
    }
    close_shared(gen);
    switch (gen->state) {
    case CNC_GENERATION_WARM:
        if (!is_up(gen) && !has_failed(gen, now)) {
            next = gen->warm_until > now ? gen->warm_until : next;
            break;
        }
        cnc_generation_step(m, gen, is_up(gen) ? CNC_GENERATION_ON_UP : CNC_GENERATION_ON_DOWN, now);
        return now; /* look again at once: the state has changed */
    case CNC_GENERATION_LIVE:
        next = cnc_watch(m, gen, now);
        break;
    case CNC_GENERATION_RETIRE:
    case CNC_GENERATION_REFUSED:
        drain_members(m, gen, now);
        if (is_empty(gen))
            cnc_generation_step(m, gen, CNC_GENERATION_ON_EMPTY, now);
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < gen->count; i++) {
        next = gen->members[i].slot.deadline < next ? gen->members[i].slot.deadline : next;
        next = gen->members[i].owed_at < next ? gen->members[i].owed_at : next;
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
