/* SPDX-License-Identifier: MIT
 *
 * The slot's state table. If a process ends before it is ready, the delay before the next start doubles each time.
 * After too many such ends the slot is given up, which ends a crash loop. If a process ends that has served for a
 * while, the next one starts at once; if it has served only for a short time, the delay doubles too. If memory or
 * descriptors are lacking, the delay may become longer, but the slot is never given up, since the lack may pass.
 */
#include "proc/slot.h"

#define DELAY_FIRST_MS 50
#define DELAY_MAX_MS 1000
#define STARVED_MAX_MS 4000 /* the longest delay if memory or descriptors are lacking */
#define SERVED_MS 5000  /* if a process has served for so long, the next one starts at once */
#define STEADY_MS 10000 /* if a process has served for so long, the delay starts again at DELAY_FIRST_MS */
#define TERM_MS 1000    /* from SIGTERM to SIGKILL */

struct step {
    const struct cnc_slot_times *times;
    int64_t now;
};

static void go(struct cnc_slot *slot, enum cnc_slot_state to, int64_t deadline)
{
    slot->state = (uint8_t)to;
    slot->deadline = deadline;
}

static void to_empty(struct cnc_slot *slot, const struct step *s)
{
    (void)s;
    go(slot, CNC_SLOT_EMPTY, INT64_MAX);
}

static void back_off(struct cnc_slot *slot, int64_t delay, int64_t now)
{
    go(slot, CNC_SLOT_BACKOFF, now + delay);
}

static int64_t at_most(int64_t delay, int64_t most)
{
    return delay < most ? delay : most;
}

/* The delay is twice as long as the last time. */
static void back_off_longer(struct cnc_slot *slot, bool starved, int64_t now)
{
    int64_t most = starved ? STARVED_MAX_MS : DELAY_MAX_MS;
    int64_t delay = slot->delay ? at_most(slot->delay, most) : DELAY_FIRST_MS;
    slot->delay = at_most(delay * 2, most);
    back_off(slot, delay, now);
}

static void do_fork(struct cnc_slot *slot, const struct step *s)
{
    slot->todo |= CNC_SLOT_DO_FORK;
    slot->deadline = INT64_MAX;
    (void)s;
}

static void fork_if_wanted(struct cnc_slot *slot, const struct step *s)
{
    if (slot->wanted)
        do_fork(slot, s);
    else
        to_empty(slot, s);
}

static void to_starting(struct cnc_slot *slot, const struct step *s)
{
    slot->was_ready = false;
    go(slot, CNC_SLOT_STARTING, s->now + s->times->start_ms);
}

static void fork_failed(struct cnc_slot *slot, const struct step *s)
{
    back_off_longer(slot, true, s->now);
}

static void to_ready(struct cnc_slot *slot, const struct step *s)
{
    slot->was_ready = true;
    slot->early = 0;
    slot->ready_at = s->now;
    go(slot, CNC_SLOT_READY, INT64_MAX);
}

static void ended_early(struct cnc_slot *slot, const struct step *s)
{
    if (slot->starved) {
        back_off_longer(slot, true, s->now);
        return;
    }
    if (s->now - slot->early_at > s->times->early_window_ms)
        slot->early = 0;
    slot->early_at = s->now;
    if (++slot->early < s->times->early_max) {
        back_off_longer(slot, false, s->now);
        return;
    }
    slot->todo |= CNC_SLOT_DO_TELL;
    go(slot, CNC_SLOT_GAVE_UP, INT64_MAX);
}

/* The process ended after it was ready. */
static void ended(struct cnc_slot *slot, const struct step *s)
{
    int64_t served = s->now - slot->ready_at;
    if (served >= STEADY_MS || slot->leaves)
        slot->delay = 0;
    if (!slot->wanted)
        to_empty(slot, s);
    else if (served >= SERVED_MS || slot->leaves)
        back_off(slot, 0, s->now);
    else
        back_off_longer(slot, slot->starved, s->now);
}

static void killed(struct cnc_slot *slot, const struct step *s)
{
    if (!slot->wanted)
        to_empty(slot, s);
    else if (slot->was_ready)
        ended(slot, s);
    else
        ended_early(slot, s);
}

static void to_kill(struct cnc_slot *slot, const struct step *s)
{
    (void)s;
    slot->todo |= CNC_SLOT_DO_KILL;
    go(slot, CNC_SLOT_KILL, INT64_MAX);
}

static void unwanted(struct cnc_slot *slot, const struct step *s)
{
    slot->wanted = false;
    to_kill(slot, s);
}

static void to_drain(struct cnc_slot *slot, const struct step *s)
{
    slot->wanted = false;
    slot->todo |= CNC_SLOT_DO_STOP;
    go(slot, CNC_SLOT_DRAIN, s->now + s->times->drain_ms);
}

/* Another request to stop: if the stop's deadline is earlier now, the process is told. */
static void drain_sooner(struct cnc_slot *slot, const struct step *s)
{
    if (s->now + s->times->drain_ms < slot->deadline)
        to_drain(slot, s);
}

static void to_replacing(struct cnc_slot *slot, const struct step *s)
{
    (void)s;
    slot->wanted = false; /* the successor's slot is wanted instead */
    slot->state = CNC_SLOT_REPLACING;
}

static void slot_keep(struct cnc_slot *slot, const struct step *s)
{
    (void)s;
    slot->wanted = true;
    slot->state = CNC_SLOT_READY;
}

static void to_term(struct cnc_slot *slot, const struct step *s)
{
    slot->todo |= CNC_SLOT_DO_TERM;
    go(slot, CNC_SLOT_TERM, s->now + TERM_MS);
}

static void no_more(struct cnc_slot *slot, const struct step *s)
{
    slot->wanted = false;
    slot->early = 0;
    slot->delay = 0;
    to_empty(slot, s);
}

static void slot_nothing(struct cnc_slot *slot, const struct step *s)
{
    (void)slot;
    (void)s;
}

typedef void step_fn(struct cnc_slot *, const struct step *);

static step_fn *const slot_table[CNC_SLOT_STATES][CNC_SLOT_EVENTS] = {
    [CNC_SLOT_EMPTY] = {
        [CNC_SLOT_ON_FORKED] = to_starting,
        [CNC_SLOT_ON_FORK_FAILED] = fork_failed,
        [CNC_SLOT_ON_DRAIN] = no_more,
        [CNC_SLOT_ON_DEADLINE] = fork_if_wanted,
    },
    [CNC_SLOT_STARTING] = {
        [CNC_SLOT_ON_READY] = to_ready,
        [CNC_SLOT_ON_EXIT] = ended_early,
        [CNC_SLOT_ON_DRAIN] = unwanted,
        [CNC_SLOT_ON_DEADLINE] = to_kill,
    },
    [CNC_SLOT_READY] = {
        [CNC_SLOT_ON_EXIT] = ended,
        [CNC_SLOT_ON_DRAIN] = to_drain,
        [CNC_SLOT_ON_REPLACE] = to_replacing,
        [CNC_SLOT_ON_STUCK] = to_kill,
    },
    [CNC_SLOT_REPLACING] = {
        [CNC_SLOT_ON_EXIT] = ended,
        [CNC_SLOT_ON_DRAIN] = to_drain,
        [CNC_SLOT_ON_REPLACED] = to_drain,
        [CNC_SLOT_ON_UNREPLACED] = slot_keep,
        [CNC_SLOT_ON_STUCK] = to_kill,
    },
    [CNC_SLOT_DRAIN] = {
        [CNC_SLOT_ON_READY] = slot_nothing,
        [CNC_SLOT_ON_EXIT] = to_empty,
        [CNC_SLOT_ON_DRAIN] = drain_sooner,
        [CNC_SLOT_ON_STUCK] = to_kill,
        [CNC_SLOT_ON_DEADLINE] = to_term,
    },
    [CNC_SLOT_TERM] = {
        [CNC_SLOT_ON_EXIT] = to_empty,
        [CNC_SLOT_ON_DRAIN] = slot_nothing,
        [CNC_SLOT_ON_STUCK] = to_kill,
        [CNC_SLOT_ON_DEADLINE] = to_kill,
    },
    [CNC_SLOT_KILL] = {
        [CNC_SLOT_ON_READY] = slot_nothing, /* sent before it was killed */
        [CNC_SLOT_ON_EXIT] = killed,
        [CNC_SLOT_ON_DRAIN] = unwanted,
        [CNC_SLOT_ON_STUCK] = slot_nothing,
    },
    [CNC_SLOT_BACKOFF] = {
        [CNC_SLOT_ON_FORKED] = to_starting,
        [CNC_SLOT_ON_FORK_FAILED] = fork_failed,
        [CNC_SLOT_ON_DRAIN] = no_more,
        [CNC_SLOT_ON_DEADLINE] = fork_if_wanted,
    },
    [CNC_SLOT_GAVE_UP] = {
        [CNC_SLOT_ON_DRAIN] = no_more,
    },
};

void cnc_slot_init(struct cnc_slot *slot)
{
    *slot = (struct cnc_slot){ .state = CNC_SLOT_EMPTY, .deadline = INT64_MAX };
}

void cnc_slot_step(struct cnc_slot *slot, enum cnc_slot_event ev, const struct cnc_slot_times *times, int64_t now)
{
    step_fn *fn = slot_table[slot->state][ev];
    const struct step s = { times, now };
    if (CNC_LIKELY(fn != NULL)) {
        fn(slot, &s);
        return;
    }
    CNC_ASSERT(false && "illegal slot event");
    slot->illegal++;
}

void cnc_slot_want(struct cnc_slot *slot, int64_t now)
{
    slot->wanted = true;
    if (slot->state == CNC_SLOT_EMPTY)
        slot->deadline = now;
}

const char *cnc_slot_state_name(int state)
{
    static const char *const names[CNC_SLOT_STATES] = {
        [CNC_SLOT_EMPTY] = "empty",         [CNC_SLOT_STARTING] = "starting", [CNC_SLOT_READY] = "ready",
        [CNC_SLOT_REPLACING] = "replacing", [CNC_SLOT_DRAIN] = "drain",       [CNC_SLOT_TERM] = "term",
        [CNC_SLOT_KILL] = "kill",           [CNC_SLOT_BACKOFF] = "backoff",   [CNC_SLOT_GAVE_UP] = "gave up",
    };
    return state >= 0 && state < CNC_SLOT_STATES ? names[state] : "?";
}
