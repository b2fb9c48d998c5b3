/* SPDX-License-Identifier: MIT
 *
 * Reads a body before a thread takes its request, so that a slow body holds no thread. The connection stays in state
 * HEAD meanwhile and is treated as if its head were not complete, except that it has the deadline of a body. The bytes
 * are only counted here. The thread finds them in the input buffer, and parses head and body as if they had just come.
 */
#include "conn/early.h"
#include "base/sys.h"

/* Is the whole body in the input? A chunked body must be parsed to find out. A bad one counts as complete: the thread
 * refuses it. */
static bool early_is_here(const struct cnc_conn *conn, const struct cnc_http_head *head, struct cnc_slice in)
{
    struct cnc_http_body machine;
    struct cnc_slice rest = { in.p + head->len, in.n - head->len }, piece;
    int verdict;
    if (!(head->flags & CNC_HTTP_CHUNKED))
        return (int64_t)rest.n >= head->content_length;
    cnc_http_body_init(&machine, head);
    while ((verdict = cnc_http_body_next(&machine, &conn->drv->limits->http, &rest, &piece)) == CNC_HTTP_BODY_DATA)
        continue;
    return verdict != CNC_HTTP_BODY_MORE;
}

/* Hands the connection to a thread: the body is complete, exceeds the terms, or is late. */
static void early_hand_over(struct cnc_conn *conn)
{
    cnc_home_timer_cancel(conn->drv->home, &conn->in->early->late);
    conn->in->has_head = false;
    conn->flags |= CNC_CONN_READY;
}

/* timeout_ms has passed: a thread gets the connection, and answers the timeout. */
static void on_early_late(struct cnc_timer *timer)
{
    struct cnc_conn *conn = CNC_CONTAINER(timer, struct cnc_early, late)->conn;
    if (conn->state != CNC_CONN_HEAD)
        return; /* the request was answered already */
    cnc_driver_enter(conn->drv, conn);
    early_hand_over(conn);
    cnc_conn_finish(conn);
}

/* Counts memory by which the buffer has grown. False: that would exceed sum_max, and it is not counted. */
static bool early_recount(const struct cnc_input *in)
{
    struct cnc_early *e = in->early;
    size_t now = sizeof *e + (in->is_chunk ? CNC_CHUNK : sizeof *in + in->cap);
    size_t more = now > e->counted ? now - e->counted : 0;
    if (more == 0)
        return true;
    if (atomic_fetch_add(e->terms.sum, more) + more > e->terms.sum_max) {
        (void)atomic_fetch_sub(e->terms.sum, more);
        return false;
    }
    e->counted = now;
    return true;
}

bool cnc_early_count(struct cnc_conn *conn)
{
    if (early_recount(conn->in))
        return true;
    early_hand_over(conn);
    return false;
}

/* False: out of memory, or over sum_max; nothing has changed. */
static bool early_begin(struct cnc_conn *conn, const struct cnc_http_head *head, const struct cnc_early_terms *terms)
{
    struct cnc_home *home = conn->drv->home;
    struct cnc_early *e = cnc_malloc(sizeof *e);
    if (!e)
        return false;
    *e = (struct cnc_early){ .conn = conn, .terms = *terms, .late.fn = on_early_late, .head_at = cnc_home_now(home),
                             .looked = head->len };
    conn->in->early = e;
    if (!early_recount(conn->in)) {
        cnc_early_end(conn->in);
        return false;
    }
    cnc_http_body_init(&conn->exchange.machine, head);
    if (terms->timeout_ms)
        cnc_home_timer(home, &e->late, e->head_at + terms->timeout_ms);
    if (head->flags & CNC_HTTP_EXPECT_CONTINUE) {
        e->is_continued = true;
        conn->drv->protocol->go_on(conn);
    }
    return true;
}

bool cnc_early_read(struct cnc_conn *conn, const struct cnc_http_head *head, struct cnc_slice *in)
{
    const struct cnc_conn_ops *ops = conn->drv->ops;
    struct cnc_early_terms terms;
    if (early_is_here(conn, head, *in) || !ops->early(conn->drv, conn, head, in->p, &terms))
        return false;
    if (ops->handover && (!cnc_input_own(conn, in) || !early_begin(conn, head, &terms)))
        return false;
    if (conn->state == CNC_CONN_IDLE)
        cnc_conn_step(conn, CNC_CONN_ON_BYTES);
    if (conn->in)
        cnc_input_drop_head(conn->in);
    if (ops->handover) {
        conn->in->has_head = true;
        cnc_early_look(conn, *in);
    }
    return true;
}

void cnc_early_look(struct cnc_conn *conn, struct cnc_slice in)
{
    struct cnc_early *e = conn->in->early;
    struct cnc_slice rest = { in.p + e->looked, in.n - e->looked }, piece;
    int verdict;
    const struct cnc_http_limits *limits = &conn->drv->limits->http;
    while ((verdict = cnc_http_body_next(&conn->exchange.machine, limits, &rest, &piece)) == CNC_HTTP_BODY_DATA)
        e->body += (int64_t)piece.n;
    e->looked = in.n - rest.n;
    bool is_over = e->body > e->terms.body_max || e->looked > e->terms.bytes_max;
    if (is_over || verdict == CNC_HTTP_BODY_END) {
        early_hand_over(conn);
    } else if (verdict != CNC_HTTP_BODY_MORE) {
        conn->exchange.status = (uint16_t)verdict;
        cnc_conn_step(conn, CNC_CONN_ON_BAD);
    }
}

bool cnc_early_attach(struct cnc_conn *conn, bool is_continued, uint32_t body_ms)
{
    struct cnc_early *e = conn->in ? cnc_malloc(sizeof *e) : NULL;
    if (!e)
        return false;
    *e = (struct cnc_early){ .conn = conn, .asked_at = conn->deadline + body_ms, .is_continued = is_continued };
    conn->in->early = e;
    return true;
}

void cnc_early_leave(struct cnc_conn *conn)
{
    struct cnc_early *e = conn->in->early;
    e->asked_at = conn->deadline;
    conn->deadline = e->head_at;
}

void cnc_early_end(struct cnc_input *in)
{
    struct cnc_early *e = in->early;
    if (cnc_timer_is_set(&e->late))
        cnc_home_timer_cancel(e->conn->drv->home, &e->late);
    if (e->counted)
        (void)atomic_fetch_sub(e->terms.sum, e->counted);
    cnc_free(e);
    in->early = NULL;
}
