/* SPDX-License-Identifier: MIT
 *
 * The request's body: whole in memory, whole in a file (spool.c), or piece by piece to the program.
 */
#include "base/sys.h"
#include "request/request.h"
#include "request/spool.h"

static const struct cnc_route_config *limits(const concur_request *r)
{
    return &r->match.route->cfg;
}

int cnc_body_start(concur_request *r)
{
    r->flags |= CNC_REQ_BODY_WANTED;
    r->stream.down->want_body(&r->stream, false);
    return CONCUR_AGAIN;
}

static int body_grow(concur_request *r, size_t need)
{
    size_t cap = r->body_cap ? r->body_cap : 512;
    if (!r->body && r->content_length > 0)
        cap = (size_t)r->content_length + 1;
    while (cap < need)
        cap *= 2;
    char *p = cnc_realloc(r->body, cap);
    if (!p) {
        cnc_request_failed(r, "has no memory for its body: 503");
        return 503;
    }
    r->body = p;
    r->body_cap = cap;
    return CONCUR_OK;
}

static int keep_piece(concur_request *r, const char *p, size_t n)
{
    size_t total = r->body_len + n;
    bool large = (int64_t)total > limits(r)->body_memory || r->content_length > limits(r)->body_memory;
    if (large || (r->flags & CNC_REQ_SPOOLED))
        return cnc_spool_piece(r, p, n);
    int rc = total + 1 > r->body_cap ? body_grow(r, total + 1) : CONCUR_OK;
    if (rc != CONCUR_OK)
        return rc;
    memcpy(r->body + r->body_len, p, n);
    r->body_len = total;
    return CONCUR_OK;
}

/* Gives the piece to the program's function. If that returns an error, no more of the body is wanted. */
static int body_give_piece(concur_request *r, const char *p, size_t n)
{
    r->flags |= CNC_REQ_BODY_PAUSED; /* before the call, which may already resume */
    int rc = r->on_data(r, p, n, r->on_body_arg);
    if (rc == CONCUR_AGAIN)
        return rc;
    r->flags &= ~(uint32_t)CNC_REQ_BODY_PAUSED;
    r->body_len += n;
    if (rc > 0)
        cnc_request_nonsense(r, rc);
    if (rc >= 0)
        return CONCUR_OK;
    r->flags |= CNC_REQ_BODY_DONE;
    int ended = cnc_body_end(r, rc);
    return ended == CONCUR_OK ? rc : ended;
}

int cnc_body_piece(concur_request *r, const char *p, size_t n)
{
    if (r->gone || r->output >= CNC_OUTPUT_END || (r->flags & CNC_REQ_BODY_DONE))
        return CONCUR_OK; /* dropped: nobody wants it any more */
    if ((int64_t)(r->body_len + n) > limits(r)->body_max) {
        r->flags |= CNC_REQ_BODY_DONE;
        int rc = cnc_body_end(r, CONCUR_E_LIMIT);
        return rc == CONCUR_OK ? CONCUR_E_LIMIT : rc;
    }
    return r->on_data ? body_give_piece(r, p, n) : keep_piece(r, p, n);
}

int cnc_body_end(concur_request *r, int rc)
{
    if (!r->on_data || (r->flags & CNC_REQ_BODY_ENDED))
        return CONCUR_OK;
    r->flags |= CNC_REQ_BODY_ENDED;
    return r->on_body_end ? r->on_body_end(r, rc, r->on_body_arg) : CONCUR_OK;
}

void cnc_body_give_up(concur_request *r)
{
    r->flags |= CNC_REQ_BODY_DONE;
    (void)cnc_body_end(r, r->gone);
}

void cnc_body_deinit(concur_request *r)
{
    cnc_spool_drop(r);
    cnc_free(r->body);
    cnc_sys_close(&r->body_fd);
}

const void *concur_request_body(concur_request *r, size_t *len)
{
    size_t unused;
    size_t *n = len ? len : &unused;
    *n = 0;
    if (!CNC_REQUEST_IS_MINE(r) || (r->match.route && (r->match.route->flags & CONCUR_ROUTE_STREAM)))
        return NULL;
    *n = r->body_len;
    if (r->flags & CNC_REQ_SPOOLED)
        return NULL;
    if (!r->body_len)
        return "";
    r->body[r->body_len] = '\0';
    return r->body;
}

int concur_request_body_fd(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r) || !(r->flags & CNC_REQ_SPOOLED) || r->spool)
        return -1; /* the file is still being written: this is a callback before the body is complete */
    if (!(r->flags & CNC_REQ_REWOUND)) {
        r->flags |= CNC_REQ_REWOUND;
        (void)lseek(r->body_fd, 0, SEEK_SET);
    }
    return r->body_fd;
}

int concur_request_on_body(concur_request *r, concur_data_fn data, concur_done_fn end, void *arg)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (!data)
        return CONCUR_E_INVAL;
    if (r->gone)
        return CONCUR_E_GONE;
    if (!r->match.route || !(r->match.route->flags & CONCUR_ROUTE_STREAM) || r->on_data || !r->stream.carrier)
        return CONCUR_E_STATE;
    if (r->flags & CNC_REQ_BODY_DONE)
        return CONCUR_E_STATE; /* it was read whole for a route that declined, so no piece will come any more */
    r->on_data = data;
    r->on_body_end = end;
    r->on_body_arg = arg;
    r->flags |= CNC_REQ_BODY_WANTED;
    r->stream.down->want_body(&r->stream, true);
    return CONCUR_OK;
}

int concur_request_resume(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->gone)
        return CONCUR_E_GONE;
    if ((r->flags & CNC_REQ_BODY_PAUSED) && r->stream.carrier) {
        r->flags &= ~(uint32_t)CNC_REQ_BODY_PAUSED;
        r->stream.down->resume_body(&r->stream);
    }
    r->flags |= CNC_REQ_PULL_AGAIN;
    if ((r->flags & CNC_REQ_PULLING) && (r->flags & CNC_REQ_PULL_HELD)) { /* without PULLING the reply was aborted meanwhile */
        r->flags &= ~(uint32_t)CNC_REQ_PULL_HELD;
        cnc_reply_pump(r);
    }
    return CONCUR_OK;
}
