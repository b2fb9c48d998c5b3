/* SPDX-License-Identifier: MIT
 *
 * What a request may wait for: timers, descriptors, work elsewhere, and tickets in other threads' hands. Each holds a
 * reference to the request until its callback has run.
 */
#include "base/error.h"
#include "base/sys.h"
#include "proc/child.h"
#include "request/request.h"

#define WAITS_MAX 16

static int may_begin(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->flags & CNC_REQ_ENDING)
        return CONCUR_E_STATE;
    return r->gone ? CONCUR_E_GONE : CONCUR_OK;
}

static void link_op(concur_request *r, struct cnc_op *op, void (*cut)(struct cnc_op *))
{
    op->cut = cut;
    cnc_link_init(&op->link);
    cnc_link_append(&r->ops, &op->link);
    cnc_request_hold(r);
}

/* The request was given up: callbacks that were still to come come now. A callback may not begin anything new. */
void cnc_async_cut(concur_request *r)
{
    struct cnc_link todo;
    cnc_link_init(&todo);
    cnc_link_move_all(&todo, &r->ops);
    while (!cnc_link_alone(&todo)) {
        struct cnc_link *l = cnc_link_take_first(&todo);
        cnc_link_append(&r->ops, l);
        struct cnc_op *op = CNC_CONTAINER(l, struct cnc_op, link);
        op->cut(op);
    }
}

/* ---- timers ---- */

struct after {
    struct cnc_op op;
    struct cnc_timer timer;
    concur_request *r;
    concur_handler_fn fn;
    void *arg;
};

/* Entered. */
static int run_after(struct after *a)
{
    concur_request *r = a->r;
    concur_handler_fn fn = a->fn;
    void *arg = a->arg;
    cnc_link_remove(&a->op.link);
    cnc_free(a);
    cnc_request_release(r);
    return fn(r, arg);
}

static void on_async_after(struct cnc_timer *t)
{
    struct after *a = CNC_CONTAINER(t, struct after, timer);
    concur_request *r = a->r;
    cnc_request_enter(r);
    cnc_request_leave(r, run_after(a));
}

static void cut_after(struct cnc_op *op)
{
    struct after *a = CNC_CONTAINER(op, struct after, op);
    cnc_home_timer_cancel(a->r->home, &a->timer);
    (void)run_after(a);
}

int concur_request_after(concur_request *r, unsigned ms, concur_handler_fn timer, void *arg)
{
    int rc = may_begin(r);
    if (rc < 0)
        return rc;
    if (!timer)
        return CONCUR_E_INVAL;
    struct after *a = cnc_calloc(1, sizeof *a);
    if (!a)
        return CONCUR_E_NOMEM;
    *a = (struct after){ .r = r, .fn = timer, .arg = arg, .timer.fn = on_async_after };
    cnc_home_timer(r->home, &a->timer, cnc_clock_now(r->home->clock) + ms);
    link_op(r, &a->op, cut_after);
    return CONCUR_OK;
}

/* ---- descriptors ---- */

struct wait {
    struct cnc_op op;
    struct cnc_io io;
    struct cnc_timer timer;
    concur_request *r;
    concur_done_fn done;
    void *arg;
    unsigned asked;
};

/* Entered. */
static int end_wait(struct wait *w, int rc)
{
    concur_request *r = w->r;
    concur_done_fn done = w->done;
    void *arg = w->arg;
    (void)cnc_io_watch(r->home->loop, &w->io, 0);
    cnc_home_timer_cancel(r->home, &w->timer);
    cnc_link_remove(&w->op.link);
    cnc_free(w);
    r->waits--;
    cnc_request_release(r);
    return done(r, rc, arg);
}

static void on_async_ready(struct cnc_io *io, unsigned ready)
{
    struct wait *w = CNC_CONTAINER(io, struct wait, io);
    concur_request *r = w->r;
    int rc = 0;
    if (ready & CNC_IO_READ)
        rc |= CONCUR_READ;
    if (ready & CNC_IO_WRITE)
        rc |= CONCUR_WRITE;
    (void)cnc_loop_now(r->home->loop); /* as in conn/driver.c */
    cnc_request_enter(r);
    cnc_request_leave(r, end_wait(w, rc));
}

static void on_async_wait_timeout(struct cnc_timer *t)
{
    struct wait *w = CNC_CONTAINER(t, struct wait, timer);
    concur_request *r = w->r;
    cnc_request_enter(r);
    cnc_request_leave(r, end_wait(w, CONCUR_E_TIMEOUT));
}

static void cut_wait(struct cnc_op *op)
{
    struct wait *w = CNC_CONTAINER(op, struct wait, op);
    (void)end_wait(w, w->r->gone);
}

static bool is_awaited(const concur_request *r, int fd)
{
    for (struct cnc_link *l = r->ops.next; l != &r->ops; l = l->next) {
        struct cnc_op *op = CNC_CONTAINER(l, struct cnc_op, link);
        if (op->cut == cut_wait && cnc_io_fd(&CNC_CONTAINER(op, struct wait, op)->io) == fd)
            return true;
    }
    return false;
}

int concur_request_await(concur_request *r, int fd, int events, unsigned ms, concur_done_fn done, void *arg)
{
    int rc = may_begin(r);
    if (rc < 0)
        return rc;
    if (fd < 0 || !done || events < 1 || events > (CONCUR_READ | CONCUR_WRITE))
        return CONCUR_E_INVAL;
    if (r->waits == WAITS_MAX)
        return CONCUR_E_LIMIT;
    if (is_awaited(r, fd))
        return CONCUR_E_STATE;
    if (cnc_home_need_loop(r->home) < 0) {
        cnc_server_runs_short(r->server, "a request cannot wait for a descriptor");
        return CONCUR_E_FULL;
    }
    struct wait *w = cnc_calloc(1, sizeof *w);
    if (!w)
        return CONCUR_E_NOMEM;
    *w = (struct wait){ .r = r, .done = done, .arg = arg, .timer.fn = on_async_wait_timeout };
    unsigned mask = (events & CONCUR_READ ? CNC_IO_READ : 0u) | (events & CONCUR_WRITE ? CNC_IO_WRITE : 0u);
    cnc_io_init(r->home->loop, &w->io, fd, on_async_ready);
    rc = cnc_io_ask(r->home->loop, &w->io);
    if (rc == CONCUR_OK)
        rc = cnc_io_watch(r->home->loop, &w->io, mask);
    if (rc < 0) {
        cnc_free(w);
        return rc;
    }
    if (ms)
        cnc_home_timer(r->home, &w->timer, cnc_clock_now(r->home->clock) + ms);
    r->waits++;
    link_op(r, &w->op, cut_wait);
    return CONCUR_OK;
}

/* ---- work elsewhere ---- */

struct offload {
    struct cnc_op op;
    struct cnc_job job;
    struct cnc_task task; /* brings it home; or runs it in place */
    concur_request *r;
    struct cnc_home *home; /* r's; referenced while the work is away */
    concur_work_fn work;
    concur_done_fn done;
    void *arg;
    int rc;
};

/* Entered. */
static int end_offload(struct offload *o, int rc)
{
    struct offload copy = *o;
    cnc_link_remove(&o->op.link);
    cnc_free(o);
    cnc_request_release(copy.r);
    return copy.done ? copy.done(copy.r, rc, copy.arg) : CONCUR_OK;
}

static void on_async_back_home(struct cnc_task *task)
{
    struct offload *o = CNC_CONTAINER(task, struct offload, task);
    concur_request *r = o->r;
    cnc_request_enter(r);
    cnc_request_leave(r, end_offload(o, o->rc));
}

/* On a pool thread. The post cannot fail: the request, and so its home, waits for it. */
static void work_away(struct cnc_job *job, struct cnc_home *here)
{
    struct offload *o = CNC_CONTAINER(job, struct offload, job);
    struct cnc_home *home = o->home;
    (void)here;
    o->rc = o->work(o->arg);
    if (cnc_server_is_stray(o->r->server))
        cnc_child_stray();
    cnc_home_post(home, &o->task);
    cnc_home_unref(home);
}

static void work_in_place(struct cnc_task *task)
{
    struct offload *o = CNC_CONTAINER(task, struct offload, task);
    bool late = o->r->gone || cnc_server_is_late(o->r->server);
    o->rc = late ? CONCUR_E_CANCELLED : o->work(o->arg);
    on_async_back_home(task);
}

/* End of the turn. A thread woken for each would push the loop aside each time. */
static void send_all(struct cnc_home *home)
{
    concur_server *server = home->away_to;
    for (struct cnc_link *l = home->away.next; l != &home->away; l = l->next)
        CNC_CONTAINER(l, struct offload, job.link)->home = home; /* from here on the pool has it */
    cnc_pool_submit_all_reserved(server->pool, &home->away);
    while (!cnc_link_alone(&home->away)) {
        struct offload *o = CNC_CONTAINER(cnc_link_take_first(&home->away), struct offload, job.link);
        o->home = NULL;
        cnc_home_unref(home);
        on_async_back_home(&o->task);
    }
}

/* The callback that asked has returned: now the work may begin. */
static void async_send_away(struct cnc_task *task)
{
    struct offload *o = CNC_CONTAINER(task, struct offload, task);
    struct cnc_home *home = o->r->home;
    o->rc = CONCUR_E_CANCELLED;
    o->task.run = on_async_back_home;
    if (o->r->gone) {
        (void)cnc_pool_submit_reserved(o->r->server->pool, NULL);
        on_async_back_home(task);
        return;
    }
    cnc_home_ref(home);
    home->send_away = send_all;
    home->away_to = o->r->server;
    cnc_link_append(&home->away, &o->job.link);
}

static void cut_offload(struct cnc_op *op)
{
    struct offload *o = CNC_CONTAINER(op, struct offload, op);
    concur_server *server = o->r->server;
    struct cnc_home *home = o->r->home;
    bool waits = !o->home && !cnc_link_alone(&o->job.link); /* for the end of the turn */
    if (waits) {
        cnc_link_remove(&o->job.link);
        (void)cnc_pool_submit_reserved(server->pool, NULL);
    }
    if (waits || (o->home && cnc_pool_cancel(server->pool, &o->job))) {
        cnc_home_unref(home);
        (void)end_offload(o, CONCUR_E_CANCELLED);
    }
}

int concur_request_offload(concur_request *r, concur_work_fn work, concur_done_fn done, void *arg)
{
    struct cnc_pool *pool = r->server->pool;
    int rc = may_begin(r);
    if (rc < 0)
        return rc;
    if (!work)
        return CONCUR_E_INVAL;
    struct offload *o = cnc_calloc(1, sizeof *o);
    if (!o)
        return CONCUR_E_NOMEM;
    rc = pool ? cnc_pool_reserve(pool) : CONCUR_OK;
    if (rc < 0) {
        cnc_free(o);
        return rc;
    }
    *o = (struct offload){ .r = r, .work = work, .done = done, .arg = arg, .job.run = work_away };
    cnc_link_init(&o->job.link);
    o->task.run = pool ? async_send_away : work_in_place;
    link_op(r, &o->op, cut_offload);
    cnc_home_defer(r->home, &o->task);
    return CONCUR_OK;
}

/* ---- tickets ---- */

struct concur_ticket {
    struct concur_ticket *next;
    struct cnc_task release;
    concur_request *r;
    struct cnc_home *home; /* referenced: posting must be safe even after the server's stop */
    long owner;            /* the process that made it */
    atomic_int cancelled;
};

struct post {
    struct cnc_task task;
    concur_request *r;
    concur_handler_fn fn;
    void *arg;
};

concur_ticket *concur_request_defer(concur_request *r)
{
    if (may_begin(r) < 0)
        return NULL;
    concur_ticket *t = cnc_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->r = r;
    t->home = r->home;
    t->owner = atomic_load(&r->server->owner);
    atomic_init(&t->cancelled, 0);
    cnc_home_ref(r->home);
    t->next = r->tickets;
    r->tickets = t;
    cnc_request_hold(r);
    return t;
}

void cnc_async_warn_tickets(concur_request *r)
{
    for (concur_ticket *t = r->tickets; t; t = t->next)
        atomic_store(&t->cancelled, r->gone);
}

static void on_async_post(struct cnc_task *task)
{
    struct post post = *CNC_CONTAINER(task, struct post, task);
    cnc_free(CNC_CONTAINER(task, struct post, task));
    cnc_request_enter(post.r);
    cnc_request_leave(post.r, post.fn(post.r, post.arg));
}

/* In a process that the program has forked, the request is not there, and its home's descriptors are another's. */
static bool is_copy(const concur_ticket *t)
{
    return t->owner && t->owner != (long)getpid();
}

int concur_ticket_post(concur_ticket *t, concur_handler_fn fn, void *arg)
{
    if (!fn)
        return CONCUR_E_INVAL;
    if (is_copy(t))
        return CONCUR_E_FORKED;
    struct post *post = cnc_malloc(sizeof *post);
    if (!post)
        return CONCUR_E_NOMEM;
    *post = (struct post){ .task.run = on_async_post, .r = t->r, .fn = fn, .arg = arg };
    int rc = cnc_home_post(t->home, &post->task);
    if (rc < 0)
        cnc_free(post);
    return rc;
}

int concur_ticket_cancelled(const concur_ticket *t)
{
    return atomic_load(&t->cancelled);
}

static void on_async_release(struct cnc_task *task)
{
    concur_ticket *t = CNC_CONTAINER(task, concur_ticket, release);
    concur_request *r = t->r;
    concur_ticket **p = &r->tickets;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    cnc_home_unref(t->home);
    cnc_free(t);
    cnc_request_enter(r);
    cnc_request_release(r);
    cnc_request_leave(r, CONCUR_OK);
}

void concur_ticket_release(concur_ticket *t)
{
    if (is_copy(t))
        return;
    struct cnc_home *home = t->home;
    t->release.run = on_async_release;
    if (cnc_home_post(home, &t->release) < 0) { /* the home is closed, and the request with it */
        cnc_home_unref(home);
        cnc_free(t);
    }
}
