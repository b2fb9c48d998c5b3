/* SPDX-License-Identifier: MIT
 *
 * Tickets, with which other threads post functions to a request's home.
 */
#include "base/sys.h"
#include "request/async_internal.h"

struct concur_ticket {
    struct concur_ticket *next;
    struct cnc_task release;
    concur_request *r;
    struct cnc_home *home; /* referenced: a post must be safe even after the server's stop */
    long owner;            /* id of the process that made the ticket */
    atomic_int cancelled;  /* 0, or why the request was given up */
};

struct post {
    struct cnc_task task;
    concur_request *r;
    concur_handler_fn fn;
    void *arg;
};

concur_ticket *concur_request_defer(concur_request *r)
{
    if (cnc_async_may_begin(r) < 0)
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

static void on_tickets_post(struct cnc_task *task)
{
    struct post post = *CNC_CONTAINER(task, struct post, task);
    cnc_free(CNC_CONTAINER(task, struct post, task));
    cnc_request_enter(post.r);
    cnc_request_leave(post.r, post.fn(post.r, post.arg));
}

/* Is this a process that the program has forked? There the request is only a copy, and the home shares its descriptors with the
 * process that runs it, so a ticket does nothing. */
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
    *post = (struct post){ .task.run = on_tickets_post, .r = t->r, .fn = fn, .arg = arg };
    int rc = cnc_home_post(t->home, &post->task);
    if (rc < 0)
        cnc_free(post);
    return rc;
}

int concur_ticket_cancelled(const concur_ticket *t)
{
    return atomic_load(&t->cancelled);
}

static void on_tickets_release(struct cnc_task *task)
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
    t->release.run = on_tickets_release;
    if (cnc_home_post(home, &t->release) < 0) { /* the home is closed, and the request is gone */
        cnc_home_unref(home);
        cnc_free(t);
    }
}
