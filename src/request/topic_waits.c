/* SPDX-License-Identifier: MIT
 *
 * Waits of requests until a topic is published. A wait watches the server's eventfd for topics (server/topics.h), and then
 * compares the topic's number with the one that the program has seen.
 */
#include "base/sys.h"
#include "request/async_internal.h"
#include "server/topics.h"

#define TOPIC_WAITS_MAX 16

struct topic_wait {
    struct cnc_op op;
    struct cnc_io io;
    struct cnc_task task; /* runs fn if the topic was published before the wait began */
    concur_request *r;
    const concur_topic *topic;
    int64_t seen;         /* the topic's number that the program knows; another number ends the wait */
    concur_handler_fn fn; /* NULL: cancelled while the task was queued */
    void *arg;
    bool due; /* the task is queued */
};

/* Entered. */
static void drop_topic_wait(struct topic_wait *w)
{
    concur_request *r = w->r;
    if (r->home->loop) /* a broken loop may have been closed */
        (void)cnc_io_watch(r->home->loop, &w->io, 0);
    cnc_link_remove(&w->op.link);
    cnc_free(w);
    r->topic_waits--;
    cnc_request_release(r);
}

/* Entered. */
static int end_topic_wait(struct topic_wait *w)
{
    concur_request *r = w->r;
    concur_handler_fn fn = w->fn;
    void *arg = w->arg;
    drop_topic_wait(w);
    return fn ? fn(r, arg) : CONCUR_OK;
}

static void on_topic_waits_task(struct cnc_task *task)
{
    struct topic_wait *w = CNC_CONTAINER(task, struct topic_wait, task);
    concur_request *r = w->r;
    cnc_request_enter(r);
    cnc_request_leave(r, end_topic_wait(w));
}

/* Some topic of the server was published, perhaps another one. */
static void on_topic_waits_ready(struct cnc_io *io, unsigned ready)
{
    struct topic_wait *w = CNC_CONTAINER(io, struct topic_wait, io);
    (void)ready;
    if (!w->due && cnc_topic_count(w->topic) != w->seen)
        on_topic_waits_task(&w->task);
}

/* If the task is queued, it runs anyway and ends the wait. */
static void cut_topic_wait(struct cnc_op *op)
{
    struct topic_wait *w = CNC_CONTAINER(op, struct topic_wait, op);
    if (!w->due)
        (void)end_topic_wait(w);
}

static void topic_wait_later(struct topic_wait *w)
{
    w->due = true;
    w->task.run = on_topic_waits_task;
    cnc_home_defer(w->r->home, &w->task);
}

static int begin_topic_wait(struct topic_wait *w)
{
    concur_request *r = w->r;
    cnc_io_init(r->home->loop, &w->io, r->server->topics.fd, on_topic_waits_ready);
    int rc = cnc_io_watch(r->home->loop, &w->io, CNC_IO_READ | CNC_IO_EDGE);
    if (rc < 0)
        return rc;
    r->topic_waits++;
    cnc_async_link(r, &w->op, cut_topic_wait);
    if (cnc_topic_count(w->topic) != w->seen) /* asked after the watch has begun, so that no publishing is missed */
        topic_wait_later(w);
    return CONCUR_OK;
}

int concur_request_on_publish(concur_request *r, concur_topic *topic, int64_t seen, concur_handler_fn published, void *arg)
{
    int rc = cnc_async_may_begin(r);
    if (rc < 0)
        return rc;
    if (!topic || !published || topic->server != r->server)
        return CONCUR_E_INVAL;
    if (r->topic_waits == TOPIC_WAITS_MAX)
        return CONCUR_E_LIMIT;
    if (cnc_home_need_loop(r->home) < 0) {
        cnc_server_runs_short(r->server, "a request cannot wait for a topic");
        return CONCUR_E_FULL;
    }
    struct topic_wait *w = cnc_calloc(1, sizeof *w);
    if (!w)
        return CONCUR_E_NOMEM;
    *w = (struct topic_wait){ .r = r, .topic = topic, .seen = seen, .fn = published, .arg = arg };
    rc = begin_topic_wait(w);
    if (rc < 0)
        cnc_free(w);
    return rc;
}

/* NULL: there is no such wait. */
static struct topic_wait *topic_wait_of(const concur_request *r, const concur_topic *topic, concur_handler_fn fn, const void *arg)
{
    for (struct cnc_link *l = r->ops.next; l != &r->ops; l = l->next) {
        struct topic_wait *w = CNC_CONTAINER(CNC_CONTAINER(l, struct cnc_op, link), struct topic_wait, op);
        if (w->op.cut == cut_topic_wait && w->topic == topic && w->fn == fn && w->arg == arg)
            return w;
    }
    return NULL;
}

int concur_request_cancel_publish(concur_request *r, concur_topic *topic, concur_handler_fn published, void *arg)
{
    int rc = cnc_async_may_begin(r);
    struct topic_wait *w = rc == CONCUR_OK && published ? topic_wait_of(r, topic, published, arg) : NULL;
    if (!w)
        return rc < 0 ? rc : CONCUR_E_STATE;
    if (w->due)
        w->fn = NULL; /* its task ends it */
    else
        drop_topic_wait(w);
    return CONCUR_OK;
}
