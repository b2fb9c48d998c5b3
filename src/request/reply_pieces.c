/* SPDX-License-Identifier: MIT
 *
 * A body that comes in pieces: pushed by the program, or pulled from it. Also checks that a pulled body has the length that was
 * announced.
 */
#include "base/sys.h"
#include "request/reply_internal.h"

/* ---- pushed ---- */

static void on_reply_pieces_drain_task(struct cnc_task *task)
{
    concur_request *r = CNC_CONTAINER(task, concur_request, drain_task);
    concur_handler_fn fn = r->drain;
    r->flags &= ~(uint32_t)(CNC_REQ_DRAIN_ASKED | CNC_REQ_DRAIN_DUE);
    cnc_request_enter(r);
    cnc_request_release(r);
    int rc = CONCUR_OK;
    if (fn && !r->gone) {
        r->drain = NULL;
        rc = fn(r, r->drain_arg);
    }
    cnc_request_leave(r, rc);
}

static void drain_later(concur_request *r)
{
    if (r->flags & CNC_REQ_DRAIN_DUE)
        return;
    r->flags |= CNC_REQ_DRAIN_ASKED | CNC_REQ_DRAIN_DUE;
    cnc_request_hold(r);
    r->drain_task.run = on_reply_pieces_drain_task;
    cnc_home_defer(r->home, &r->drain_task);
}

/* Is the reply complete with its head? A reply without a body is, and the connection goes on with the next request, even if the
 * program still writes. But with 204, 205 and 304 a request body that the program is reading must be read first. */
static bool ends_with_head(const concur_request *r, int status)
{
    if (r->method == CNC_HTTP_HEAD)
        return true;
    return !cnc_http_has_content(status) && !cnc_body_is_pending(r);
}

int concur_reply_begin(concur_request *r, int status, const char *type)
{
    struct cnc_slice t = cnc_reply_slice(type);
    struct cnc_piece none = { 0 };
    int rc = cnc_reply_may_begin(r, status, t);
    if (rc < 0)
        return rc;
    rc = cnc_reply_head(r, status, t, -1, &none, ends_with_head(r, status));
    if (rc < 0)
        return rc;
    r->flags |= CNC_REQ_PUSHING;
    if (r->method == CNC_HTTP_HEAD) /* the client gets no body, so a program that produces one should stop */
        cnc_request_give_up(r, CONCUR_E_GONE, false);
    return CONCUR_OK;
}

void cnc_reply_body_read(concur_request *r)
{
    struct cnc_piece none = { 0 };
    if (!(r->flags & CNC_REQ_NO_BODY_OUT) || r->gone || cnc_body_is_pending(r))
        return;
    if (cnc_reply_data(r, &none, true) >= 0 && r->drain) /* the carrier has let go and will not report room any more */
        drain_later(r);
}

static int may_push(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (cnc_server_is_stray(r->server))
        return CONCUR_E_FORKED;
    if (r->reply_rc && r->output == CNC_OUTPUT_ABORT)
        return r->reply_rc;
    if (r->gone && !(r->flags & CNC_REQ_PAGE))
        return CONCUR_E_GONE;
    if (r->flags & CNC_REQ_PUSHING)
        return CONCUR_OK;
    return r->output == CNC_OUTPUT_NONE ? cnc_reply_misuse(r, CONCUR_E_STATE, "concur_reply_begin() was not called")
                                        : CONCUR_E_STATE;
}

/* The program writes on after CONCUR_AGAIN. A client that does not read must not fill the memory, so the reply is aborted. */
static int write_too_much(concur_request *r)
{
    cnc_log(&r->server->log, CONCUR_LOG_ERROR,
            "request %016llx: route \"%s\" writes on after CONCUR_AGAIN: its reply is over output_max, %lld "
            "bytes, and is aborted",
            (unsigned long long)r->id, cnc_request_route_name(r), (long long)r->server->setup->cfg.output_max);
    r->reply_rc = CONCUR_E_LIMIT;
    cnc_reply_abort(r, CONCUR_E_LIMIT);
    return CONCUR_E_LIMIT;
}

int concur_reply_write(concur_request *r, const void *bytes, size_t n)
{
    int rc = may_push(r);
    if (rc < 0)
        return rc;
    if (n == 0)
        return CONCUR_OK;
    if (!bytes || n > CNC_PIECE_MAX) { /* abort: a body that lacks a piece must not look complete to the client */
        r->reply_rc = cnc_reply_misuse(r, CONCUR_E_INVAL, cnc_reply_impossible_piece);
        cnc_request_failed(r, "has its reply aborted");
        cnc_reply_abort(r, CONCUR_E_INVAL);
        return CONCUR_E_INVAL;
    }
    if (r->flags & CNC_REQ_NO_BODY_OUT)
        return CONCUR_OK;
    if (r->stream.carrier && r->stream.down->is_over(&r->stream, n))
        return write_too_much(r);
    struct cnc_piece piece = { .p = bytes, .n = n };
    return cnc_reply_data(r, &piece, false);
}

int concur_reply_end(concur_request *r)
{
    int rc = may_push(r);
    if (rc < 0)
        return rc;
    struct cnc_piece none = { 0 };
    r->flags &= ~(uint32_t)CNC_REQ_PUSHING;
    r->drain = NULL;
    return r->output == CNC_OUTPUT_END ? CONCUR_OK : cnc_reply_data(r, &none, true);
}

void cnc_reply_drained(concur_request *r)
{
    if (r->flags & CNC_REQ_PULLING) {
        cnc_reply_pump(r);
        return;
    }
    r->flags &= ~(uint32_t)CNC_REQ_DRAIN_ASKED;
    if (r->drain && r->output == CNC_OUTPUT_BODY)
        drain_later(r);
}

int concur_reply_on_drain(concur_request *r, concur_handler_fn drain, void *arg)
{
    int rc = may_push(r);
    if (rc < 0)
        return rc;
    r->drain = drain;
    r->drain_arg = arg;
    if (!drain || (r->flags & CNC_REQ_DRAIN_ASKED))
        return CONCUR_OK;
    r->flags |= CNC_REQ_DRAIN_ASKED;
    if (r->output == CNC_OUTPUT_END) /* a reply without a body: the carrier has let go, so it cannot report room */
        drain_later(r);
    else
        r->stream.down->want_drain(&r->stream, false);
    return CONCUR_OK;
}

/* ---- pulled ---- */

enum { PULL_ENDED = 3 };

/* rc and n: what the pull function returned, and how many bytes it wrote; room: how many it could write. Returns CONCUR_OK:
 * there is a piece; CONCUR_AGAIN: there is none now, or the request was given up; PULL_ENDED: the body is complete; < 0: the
 * reply must be aborted. */
static int judge_pull(concur_request *r, int rc, size_t n, size_t room)
{
    if (rc > 0 && rc != CONCUR_AGAIN)
        cnc_request_nonsense(r, rc);
    if (rc > 0 || r->gone)
        return CONCUR_AGAIN;
    if (rc < 0)
        return rc;
    bool fits = n <= room && (r->reply_left < 0 || (n ? (uint64_t)n <= (uint64_t)r->reply_left : r->reply_left == 0));
    if (!fits)
        return cnc_reply_misuse(r, CONCUR_E_LIMIT, "concur_reply_pull() got another length than was announced");
    return n ? CONCUR_OK : PULL_ENDED;
}

static int pull_once(concur_request *r)
{
    if (!r->stream.carrier)
        return r->gone ? r->gone : CONCUR_E_GONE;
    size_t room;
    char *buf = r->stream.down->room(&r->stream, &room);
    if (!buf)
        return CONCUR_E_NOMEM;
    if (r->reply_left >= 0 && (uint64_t)r->reply_left < room)
        room = (size_t)r->reply_left + 1; /* one more than is left, so that a body that is too long is noticed */
    struct cnc_piece piece = { .p = buf, .n = room };
    r->flags &= ~(uint32_t)CNC_REQ_PULL_AGAIN;
    int rc = r->pull(r, buf, &piece.n, r->pull_arg);
    rc = judge_pull(r, rc, piece.n, room);
    if (rc != CONCUR_OK)
        return rc;
    if (r->reply_left >= 0)
        r->reply_left -= (int64_t)piece.n;
    rc = cnc_reply_data(r, &piece, false);
    return rc < 0 ? rc : CONCUR_OK;
}

static int pump(concur_request *r)
{
    struct cnc_piece none = { 0 };
    while ((r->flags & CNC_REQ_PULLING) && !r->gone) {
        if (r->stream.carrier && r->stream.down->is_full(&r->stream)) {
            r->stream.down->want_drain(&r->stream, true);
            return CONCUR_OK;
        }
        int rc = pull_once(r);
        if (rc == CONCUR_AGAIN) {
            if (!(r->flags & CNC_REQ_PULL_AGAIN))
                r->flags |= CNC_REQ_PULL_HELD;
            else
                cnc_reply_pump(r);
            return CONCUR_OK;
        }
        if (rc == PULL_ENDED) {
            r->flags &= ~(uint32_t)CNC_REQ_PULLING;
            (void)cnc_reply_data(r, &none, true);
            return CONCUR_OK;
        }
        if (rc < 0)
            return rc;
    }
    return CONCUR_OK;
}

static void on_reply_pieces_pump(struct cnc_task *task)
{
    concur_request *r = CNC_CONTAINER(task, concur_request, pump_task);
    r->flags &= ~(uint32_t)CNC_REQ_PUMP_DUE;
    cnc_request_enter(r);
    cnc_request_release(r);
    cnc_request_leave(r, pump(r));
}

void cnc_reply_pump(concur_request *r)
{
    if (r->flags & CNC_REQ_PUMP_DUE)
        return;
    r->flags |= CNC_REQ_PUMP_DUE;
    r->pump_task.run = on_reply_pieces_pump;
    cnc_request_hold(r);
    cnc_home_defer(r->home, &r->pump_task);
}

int concur_reply_pull(concur_request *r, int status, const char *type, int64_t len, concur_pull_fn pull, void *arg)
{
    struct cnc_slice t = cnc_reply_slice(type);
    struct cnc_piece none = { 0 };
    int rc = cnc_reply_may_begin(r, status, t);
    if (rc < 0)
        return rc;
    if (!pull || len < -1)
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "concur_reply_pull() without a function, or with a bad length");
    bool bodiless = (r->flags & CNC_REQ_NO_BODY_OUT) || !cnc_http_has_content(status);
    rc = cnc_reply_head(r, status, t, len, &none, bodiless);
    if (rc < 0 || bodiless)
        return rc < 0 ? rc : CONCUR_OK;
    r->reply_left = len;
    r->pull = pull;
    r->pull_arg = arg;
    r->flags |= CNC_REQ_PULLING;
    cnc_reply_pump(r);
    return CONCUR_OK;
}

bool cnc_reply_is_pending(const concur_request *r)
{
    if (r->output != CNC_OUTPUT_BODY)
        return false;
    return (r->flags & CNC_REQ_PULLING) || r->drain != NULL;
}
