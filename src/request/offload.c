/* SPDX-License-Identifier: MIT
 *
 * Work of a request on a thread of the pool, or in place where there is no pool.
 */
#include "base/sys.h"
#include "proc/child.h"
#include "request/async_internal.h"

struct offload {
    struct cnc_op op;
    struct cnc_job job;
    struct cnc_task task; /* first sends the work to the pool or runs it in place, later brings the result home */
    concur_request *r;
    struct cnc_home *home; /* r's, once the pool has the job; NULL before. It is referenced until the work is back */
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

static void on_offload_back_home(struct cnc_task *task)
{
    struct offload *o = CNC_CONTAINER(task, struct offload, task);
    concur_request *r = o->r;
    cnc_request_enter(r);
    cnc_request_leave(r, end_offload(o, o->rc));
}

/* On a pool thread. The post cannot fail: the request waits for the work, so its home is open. */
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
    on_offload_back_home(task);
}

/* At the end of the home's turn: submits all jobs at once. If each offload woke a thread, that thread could take the CPU from
 * the loop each time. Jobs that the pool refuses end with CONCUR_E_CANCELLED. */
static void send_all(struct cnc_home *home)
{
    concur_server *server = home->away_to;
    for (struct cnc_link *l = home->away.next; l != &home->away; l = l->next)
        CNC_CONTAINER(l, struct offload, job.link)->home = home; /* before the pool has the job, whose thread reads it */
    cnc_pool_submit_all_reserved(server->pool, &home->away);
    while (!cnc_link_alone(&home->away)) {
        struct offload *o = CNC_CONTAINER(cnc_link_take_first(&home->away), struct offload, job.link);
        o->home = NULL;
        cnc_home_unref(home);
        on_offload_back_home(&o->task);
    }
}

/* Runs after the callback that asked for the work has returned: only now may the work begin. */
static void offload_send_away(struct cnc_task *task)
{
    struct offload *o = CNC_CONTAINER(task, struct offload, task);
    struct cnc_home *home = o->r->home;
    o->rc = CONCUR_E_CANCELLED;
    o->task.run = on_offload_back_home;
    if (o->r->gone) {
        (void)cnc_pool_submit_reserved(o->r->server->pool, NULL);
        on_offload_back_home(task);
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
    bool waits = !o->home && !cnc_link_alone(&o->job.link); /* in home->away, for the end of the turn */
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
    int rc = cnc_async_may_begin(r);
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
    o->task.run = pool ? offload_send_away : work_in_place;
    cnc_async_link(r, &o->op, cut_offload);
    cnc_home_defer(r->home, &o->task);
    return CONCUR_OK;
}
