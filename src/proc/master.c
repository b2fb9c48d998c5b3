/* SPDX-License-Identifier: MIT
 *
 * The master's main loop: waits for all processes at once, handles what has happened, and computes the next timeout.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "proc/master_internal.h"

#define WAIT_MAX_MS 60000
#define LINE_EVERY_MS 1000
#define LINE_EVERY_MAX_MS 30000
#define LINE_CALM_MS 10000 /* a line after such a pause is written at once; longer than any delay between two starts */

void cnc_master_say(struct cnc_master *m, enum cnc_note_what what, int64_t value, const char *fmt, ...)
{
    char text[CNC_NOTE_TEXT_MAX + 1];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m->cfg->ops->tell(m->cfg->arg, what, value, text);
}

void cnc_master_say_rarely(struct cnc_master *m, struct cnc_repeated *r, int level, const char *fmt, ...)
{
    char text[CNC_NOTE_TEXT_MAX + 1];
    va_list args;
    int64_t now = cnc_clock_now(m->cfg->clock);
    if (now - r->last > LINE_CALM_MS)
        r->gap = 0; /* written at once */
    r->last = now;
    if (r->gap && now < r->at) {
        r->kept++;
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (r->kept)
        cnc_master_say(m, CNC_NOTE_LOG, level, "%s (and %u more like it)", text, r->kept);
    else
        cnc_master_say(m, CNC_NOTE_LOG, level, "%s", text);
    r->gap = !r->gap ? LINE_EVERY_MS : r->gap * 2 < LINE_EVERY_MAX_MS ? r->gap * 2 : LINE_EVERY_MAX_MS;
    r->at = now + r->gap;
    r->kept = 0;
}

void cnc_master_refuse(struct cnc_master *m, int rc, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (m->was_up)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m->refusal = cnc_error_set(rc, "%s", text);
}

static void for_each_generation(struct cnc_master *m, enum cnc_generation_event ev, int64_t now)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++) {
        enum cnc_generation_state state = m->generations[g].state;
        if (state == CNC_GENERATION_WARM || state == CNC_GENERATION_LIVE)
            cnc_generation_step(m, &m->generations[g], ev, now);
    }
}

/* ---- what others ask for ---- */

/* The stop's deadline is earlier now: tells the processes that are stopping already. */
static void hurry(struct cnc_master *m, int64_t now)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        for (unsigned i = 0; i < m->generations[g].count; i++)
            if (m->generations[g].members[i].slot.state == CNC_SLOT_DRAIN)
                cnc_member_step(m, &m->generations[g].members[i], CNC_SLOT_ON_DRAIN, now);
}

static void look_at_stop(struct cnc_master *m, int64_t now)
{
    int64_t at = m->host_gone ? now : m->cfg->ops->stop_at(m->cfg->arg);
    if (at >= m->stop_at)
        return;
    m->stop_at = at;
    if (!m->stopping) {
        m->stopping = true;
        m->cfg->ops->stopping(m->cfg->arg);
        for_each_generation(m, CNC_GENERATION_ON_LEAVE, now);
    }
    hurry(m, now);
}

static void master_reload(struct cnc_master *m, int64_t now)
{
    struct cnc_plan plan;
    m->reload_due = false;
    int rc = m->cfg->ops->reload ? m->cfg->ops->reload(m->cfg->arg, &plan) : CONCUR_E_STATE;
    if (rc == CONCUR_OK) /* drops a generation that has not served yet: this one is newer */
        for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
            if (m->generations[g].state == CNC_GENERATION_WARM)
                cnc_generation_step(m, &m->generations[g], CNC_GENERATION_ON_LEAVE, now);
    if (rc == CONCUR_OK && (rc = cnc_generation_start(m, &plan, now)) < 0)
        m->cfg->ops->dropped(m->cfg->arg, plan.setup);
    if (rc == CONCUR_E_BUSY)
        m->reload_due = true; /* tried again when an old generation has ended */
    else if (rc < 0)
        cnc_master_say(m, CNC_NOTE_EVENT, 0, "reload refused: %s", cnc_error_text());
}

static bool master_has_room(const struct cnc_master *m)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        if (m->generations[g].state == CNC_GENERATION_NONE)
            return true;
    return false;
}

static void look_at_reload(struct cnc_master *m, int64_t now)
{
    if (m->cfg->ops->reload_asked(m->cfg->arg))
        m->reload_due = true;
    if (m->reload_due && !m->stopping && m->was_up && master_has_room(m))
        master_reload(m, now);
}

/* Passes on the requests for a look from the board. A faulty process may have set any bit; a look in vain does no
 * harm. */
static void look_at_untaken(struct cnc_master *m, int64_t now)
{
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++) {
        const struct cnc_generation *gen = &m->generations[g];
        int slot = 0;
        for (unsigned n = 0; n < gen->count && (slot = cnc_board_take_look(m->cfg->board, gen->page)) >= 0; n++)
            if ((unsigned)slot < gen->count)
                cnc_generation_pass_on(m, &gen->members[slot], now);
    }
}

static void hear_host(struct cnc_master *m)
{
    struct cnc_note note;
    int rc;
    while ((rc = cnc_note_receive(m->cfg->host, &note, NULL, false)) == CONCUR_OK) {
        if (note.what == CNC_NOTE_LOG) /* a line for the program's log function, which is called in this process */
            m->cfg->ops->tell(m->cfg->arg, CNC_NOTE_LOG, note.value, note.text);
    }
    m->host_gone = rc == CONCUR_E_GONE;
}

/* ---- the wait ---- */

static void add_wait(struct cnc_waits *w, int fd, struct cnc_member *mem)
{
    if (fd < 0)
        return;
    CNC_ASSERT(w->count < w->cap);
    w->members[w->count] = mem;
    w->fds[w->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

bool cnc_master_make_room(struct cnc_master *m)
{
    struct cnc_waits *w = &m->waits;
    unsigned n = 2;
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        n += 2 * m->generations[g].count;
    if (w->cap >= n)
        return true;
    struct pollfd *fds = cnc_realloc(w->fds, n * sizeof *fds);
    if (fds)
        w->fds = fds;
    struct cnc_member **members = cnc_realloc(w->members, n * sizeof(struct cnc_member *));
    if (members)
        w->members = members;
    if (fds && members)
        w->cap = n;
    return fds && members;
}

static void master_collect(struct cnc_master *m)
{
    struct cnc_waits *w = &m->waits;
    w->count = 0;
    add_wait(w, m->cfg->wake_fd, NULL);
    if (!m->host_gone)
        add_wait(w, m->cfg->host, NULL);
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++)
        for (unsigned i = 0; i < m->generations[g].count; i++) {
            struct cnc_member *mem = &m->generations[g].members[i];
            add_wait(w, mem->link, mem);
            add_wait(w, mem->pidfd, mem);
        }
}

/* The program has closed this descriptor of the master by mistake, in a hook say; else it would end each wait at once. Without its
 * pidfd a process is watched by its link, as on a kernel that has none. */
static void master_lost(struct cnc_master *m, struct cnc_member *mem, int fd)
{
    const char *what = mem ? "that watches a process" : "that wakes it";
    if (mem)
        mem->pidfd = -1;
    else if (!cnc_sys_copy_to(m->cfg->wake_copy, fd))
        return;
    cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_WARN, "a descriptor of the master was closed by mistake, one %s", what);
}

static void handle(struct cnc_master *m, int64_t now)
{
    const struct cnc_waits *w = &m->waits;
    for (unsigned i = 0; i < w->count; i++) {
        struct cnc_member *mem = w->members[i];
        int fd = w->fds[i].fd;
        if (!w->fds[i].revents)
            continue;
        if ((w->fds[i].revents & POLLNVAL) && fd == (mem ? mem->pidfd : m->cfg->wake_fd)) {
            master_lost(m, mem, fd);
            continue;
        }
        if (!mem && fd == m->cfg->wake_fd) {
            cnc_sys_eventfd_clear(fd);
            cnc_watch_stops(m, now);
        } else if (!mem) {
            hear_host(m);
        } else if (fd == mem->pidfd) {
            cnc_member_reap(m, mem, now);
        } else if (fd == mem->link) {
            cnc_member_hear(m, mem, now);
        }
    }
}

/* Does everything that is due. Returns the latest time of the next look; -1: no process is left. */
static int64_t master_look(struct cnc_master *m, int64_t now)
{
    int64_t next = INT64_MAX;
    bool any = false;
    look_at_stop(m, now);
    look_at_reload(m, now);
    look_at_untaken(m, now);
    for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++) {
        struct cnc_generation *gen = &m->generations[g];
        if (gen->state == CNC_GENERATION_NONE)
            continue;
        int64_t at = cnc_generation_look(m, gen, now);
        next = at < next ? at : next;
        any = any || gen->state != CNC_GENERATION_NONE;
    }
    if (!any)
        return -1;
    /* If a reload waited for the place of a generation that has just ended, look again at once. */
    return m->reload_due && !m->stopping && m->was_up && master_has_room(m) ? now : next;
}

/* Waits until something is ready, or for ms. poll() takes no more descriptors than the limit, which may be lowered meanwhile. */
static bool master_wait(struct cnc_master *m, int64_t ms)
{
    struct cnc_waits *w = &m->waits;
    unsigned limit = cnc_files_limit();
    if (limit < w->count && !m->said_limit)
        cnc_master_say(m, CNC_NOTE_LOG, CONCUR_LOG_WARN, "the limit of descriptors (RLIMIT_NOFILE) is %u, and the master watches %u: it "
                       "looks at them every 20 ms", limit, w->count);
    m->said_limit = limit < w->count;
    return cnc_sys_poll(w->fds, w->count, (int)(ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS)) > 0;
}

int cnc_master_run(const struct cnc_master_config *cfg)
{
    struct cnc_master m = { .cfg = cfg, .next_number = 1, .stop_at = INT64_MAX, .result = CONCUR_OK };
    int64_t next, now = cnc_clock_now(cfg->clock);
    int rc = cnc_generation_start(&m, &cfg->plan, now);
    if (rc < 0)
        cfg->ops->dropped(cfg->arg, cfg->plan.setup);
    while (rc == CONCUR_OK && (next = master_look(&m, now)) >= 0) {
        master_collect(&m);
        if (master_wait(&m, next > now ? next - now : 0))
            handle(&m, cnc_clock_now(cfg->clock));
        now = cnc_clock_now(cfg->clock);
    }
    cnc_free(m.waits.fds);
    cnc_free(m.waits.members);
    if (rc == CONCUR_OK && !m.was_up && !m.stopping)
        rc = m.refusal < 0 ? m.refusal : CONCUR_E_SYS;
    return rc < 0 ? rc : m.result;
}
