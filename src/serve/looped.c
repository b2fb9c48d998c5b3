/* SPDX-License-Identifier: MIT */
#include "serve/looped.h"

#include "base/sys.h"
#include "request/request.h"
#include "serve/serving.h"

struct looped {
    struct cnc_serving serving;
    struct cnc_conn_ops conn_ops;
};

static void closed(struct cnc_driver *drv)
{
    struct looped *e = ((concur_server *)drv->owner)->engine;
    cnc_serving_closed(drv);
    cnc_acceptor_nudge(&e->serving.acceptor);
}

void cnc_looped_close(concur_server *server)
{
    struct looped *e = server->engine;
    cnc_serving_close(&e->serving);
    cnc_free(e);
    server->engine = NULL;
}

int cnc_looped_open(concur_server *server)
{
    return cnc_looped_open_with(server, cnc_request_conn_ops.request);
}

int cnc_looped_open_with(concur_server *server,
                         int (*request)(struct cnc_conn *, const struct cnc_http_head *, const char *))
{
    struct looped *e = cnc_calloc(1, sizeof *e);
    if (!e)
        return CONCUR_E_NOMEM;
    server->engine = e;
    e->conn_ops = cnc_request_conn_ops;
    e->conn_ops.request = request;
    e->conn_ops.closed = closed;
    int rc = cnc_serving_open(&e->serving, server, &e->conn_ops, 0);
    if (rc < 0)
        cnc_looped_close(server);
    else
        e->serving.stats = cnc_looped_stats;
    return rc;
}

int cnc_looped_run(concur_server *server, bool may_give_up)
{
    struct looped *e = server->engine;
    return cnc_serving_run(&e->serving, may_give_up);
}

void cnc_looped_stats(concur_server *server, struct cnc_engine_stats *out)
{
    struct looped *e = server->engine;
    struct cnc_pool_stats pool = { 0 };
    if (server->pool)
        cnc_pool_stats(server->pool, &pool);
    *out = (struct cnc_engine_stats){ .threads = 1 + pool.threads, .threads_idle = pool.idle, .queued = pool.queued,
                                      .requests = cnc_desk_served(e->serving.home),
                                      .accepted = atomic_load(&e->serving.acceptor.accepted),
                                      .stalls = atomic_load(&e->serving.stalls) };
}
