/* SPDX-License-Identifier: MIT */
#include "serve/strain.h"

#include "base/sys.h"

#define FIRST_LOOK_MS 100
#define LONG_MS 1000 /* a wait that is logged */
#define EVERY_MS 1000

static bool strain_is_due(int64_t *told_at, int64_t now)
{
    if (now - *told_at < EVERY_MS)
        return false;
    *told_at = now;
    return true;
}

static void strain_tell(struct cnc_strain *s, const struct cnc_pool_strain *seen, int64_t now)
{
    struct cnc_log *log = &s->server->log;
    char why[128];
    if (seen->thread_error && strain_is_due(&s->failed_told_at, now))
        cnc_log(log, CONCUR_LOG_WARN, "a thread cannot be started: %s; %u of %u run (%s), and %u requests wait for one",
                cnc_sys_why_no_process(why, sizeof why, seen->thread_error), seen->threads, seen->threads_max, s->option, seen->waiting);
    if (!seen->refused && seen->waited_ms < LONG_MS)
        return;
    if (seen->threads == seen->threads_max && strain_is_due(&s->taken_told_at, now))
        cnc_log(log, CONCUR_LOG_WARN, "all %u threads are taken (%s): %u requests wait for one%s", seen->threads, s->option,
                seen->waiting, seen->refused ? ", and some were refused" : "");
}

static void strain_look(struct cnc_strain *s)
{
    struct cnc_pool_strain seen;
    int64_t next = cnc_pool_look(s->pool, &seen);
    strain_tell(s, &seen, cnc_clock_now(s->server->clock));
    if (next != INT64_MAX)
        cnc_home_timer(s->home, &s->timer, next);
}

static void on_strain_timer(struct cnc_timer *t)
{
    strain_look(CNC_CONTAINER(t, struct cnc_strain, timer));
}

static void on_strain_strained(struct cnc_task *task)
{
    struct cnc_strain *s = CNC_CONTAINER(task, struct cnc_strain, task);
    if (!s->home)
        return;
    cnc_home_timer(s->home, &s->timer, cnc_home_now(s->home) + FIRST_LOOK_MS);
}

void cnc_strain_on(void *strain)
{
    struct cnc_strain *s = strain;
    cnc_home_post(s->home, &s->task); /* a home that is closed has no pool any more */
}

void cnc_strain_init(struct cnc_strain *s, concur_server *server, const char *option)
{
    *s = (struct cnc_strain){ .server = server, .option = option, .timer.fn = on_strain_timer, .task.run = on_strain_strained,
                              .taken_told_at = INT64_MIN / 2, .failed_told_at = INT64_MIN / 2 };
}

void cnc_strain_open(struct cnc_strain *s, struct cnc_home *home, struct cnc_pool *pool)
{
    s->home = home;
    s->pool = pool;
}

void cnc_strain_close(struct cnc_strain *s)
{
    if (s->home)
        cnc_home_timer_cancel(s->home, &s->timer);
    s->home = NULL;
}
