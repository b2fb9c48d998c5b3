/* SPDX-License-Identifier: MIT
 *
 * The reply: its head and fields, replies that are whole, and error pages. reply_pieces.c has bodies in pieces. The carrier
 * decides about framing and persistence.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/sys.h"
#include "request/around.h"
#include "request/reply_internal.h"

static const char default_text[] = CNC_HTTP_TEXT_TYPE;
const char cnc_reply_impossible_piece[] = "a piece of an impossible length, or NULL instead of bytes";
static const struct cnc_slice default_type = { default_text, sizeof default_text - 1 };

/* ---- towards the carrier ---- */

/* rc: what a call of the carrier returned. After an error the reply cannot go on: aborts it, and returns the remembered
 * error. */
static int carrier_failed(concur_request *r, int rc)
{
    if (rc >= 0)
        return rc;
    int reason = r->gone ? r->gone : rc;
    if (!r->reply_rc) /* a write never returns CONCUR_E_STOPPING; concur_request_gone() does */
        r->reply_rc = reason == CONCUR_E_STOPPING ? CONCUR_E_GONE : reason;
    cnc_reply_abort(r, rc); /* this may be the first to see it: a thread that waits for room runs no tasks meanwhile */
    return r->reply_rc;
}

/* After CONCUR_E_NOMEM the carrier has sent nothing, so an error page can still be tried. */
static int head_failed(concur_request *r, int rc)
{
    if (rc != CONCUR_E_NOMEM)
        return carrier_failed(r, rc);
    r->reply_rc = r->reply_rc ? r->reply_rc : rc;
    return r->reply_rc;
}

/* The Content-Type to send. A field that the program added wins over `said`, the argument of its call. A reply without content
 * leaves `said` out: a cache would take it for the type of what it has stored (RFC 9110 §15.4.5). */
CNC_HOT static struct cnc_slice type_of(const concur_request *r, struct cnc_slice said, bool has_content)
{
    if (CNC_UNLIKELY(r->type.p != NULL))
        return r->type;
    return CNC_LIKELY(has_content) ? said : (struct cnc_slice){ NULL, 0 };
}

CNC_HOT int cnc_reply_head(concur_request *r, int status, struct cnc_slice type, int64_t length,
                             struct cnc_piece *piece, bool last)
{
    if (CNC_UNLIKELY(r->flags & CNC_REQ_AFTER_DUE)) {
        int rc = cnc_around_reply(r, status);
        if (rc < 0) {
            cnc_piece_drop(piece);
            return rc;
        }
    }
    bool has_content = CNC_LIKELY(status == 200) || cnc_http_has_content(status);
    struct cnc_http_reply reply = {
        .status = status,
        .length = length,
        .type = type_of(r, type, has_content),
        .fields = r->reply_fields,
        .date = cnc_desk_date(r->home),
        .method = r->method,
        .minor = r->minor,
        .keep_alive = (r->flags & CNC_REQ_KEEP_ALIVE) != 0,
    };
    size_t body = piece->n;
    r->output = last ? CNC_OUTPUT_END : CNC_OUTPUT_BODY;
    int rc = r->stream.down->reply(&r->stream, &reply, piece, last);
    if (CNC_LIKELY(rc >= 0)) {
        if (CNC_UNLIKELY(!has_content))
            r->flags |= CNC_REQ_NO_BODY_OUT;
        r->status = status;
        r->sent = r->flags & CNC_REQ_NO_BODY_OUT ? 0 : (int64_t)body;
        return rc;
    }
    r->output = rc == CONCUR_E_NOMEM ? CNC_OUTPUT_NONE : CNC_OUTPUT_BODY;
    return head_failed(r, rc);
}

int cnc_reply_data(concur_request *r, struct cnc_piece *piece, bool last)
{
    if (!r->stream.carrier) {
        cnc_piece_drop(piece);
        return carrier_failed(r, r->gone ? r->gone : CONCUR_E_GONE);
    }
    size_t body = piece->n;
    if (last)
        r->output = CNC_OUTPUT_END;
    int rc = r->stream.down->data(&r->stream, piece, last);
    if (CNC_UNLIKELY(rc < 0))
        r->output = CNC_OUTPUT_BODY;
    else if (!(r->flags & CNC_REQ_NO_BODY_OUT))
        r->sent += (int64_t)body;
    return carrier_failed(r, rc);
}

void cnc_reply_abort(concur_request *r, int reason)
{
    r->flags &= ~(uint32_t)(CNC_REQ_PULLING | CNC_REQ_PUSHING | CNC_REQ_DRAIN_ASKED);
    r->drain = NULL;
    if (r->output >= CNC_OUTPUT_END)
        return;
    r->output = CNC_OUTPUT_ABORT;
    cnc_request_give_up(r, reason, false);
    if (r->stream.carrier)
        r->stream.down->abort(&r->stream);
}

int cnc_reply_misuse(concur_request *r, int code, const char *why)
{
    r->why = why;
    return code;
}

int cnc_reply_may_begin(concur_request *r, int status, struct cnc_slice type)
{
    if (CNC_UNLIKELY(!CNC_REQUEST_IS_MINE(r)))
        return CONCUR_E_HOME;
    if (cnc_server_is_stray(r->server))
        return CONCUR_E_FORKED;
    if (CNC_UNLIKELY(r->gone) && !(r->flags & CNC_REQ_PAGE))
        return CONCUR_E_GONE;
    if (CNC_UNLIKELY(r->output != CNC_OUTPUT_NONE || (r->flags & (CNC_REQ_ENDING | CNC_REQ_AFTER_RUNS))))
        return CONCUR_E_STATE;
    if (CNC_UNLIKELY(status < 200 || status > 599))
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "a reply's status must be 200 to 599");
    if (type.p != default_text && CNC_UNLIKELY(!cnc_http_is_value(type.p, type.n)))
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "a Content-Type has bytes that may not be sent");
    if (CNC_UNLIKELY(r->reply_rc))
        return r->reply_rc;
    return r->stream.carrier ? CONCUR_OK : CONCUR_E_GONE;
}

static int reply_whole(concur_request *r, int status, struct cnc_slice type, struct cnc_piece *piece)
{
    int rc = cnc_reply_may_begin(r, status, type);
    if (CNC_UNLIKELY(rc < 0)) {
        cnc_piece_drop(piece);
        return rc;
    }
    return cnc_reply_head(r, status, type, (int64_t)piece->n, piece, true);
}

/* ---- pages for a status ---- */

static void add_allow(concur_request *r)
{
    char allow[512];
    struct cnc_slice path = r->path.p[0] == '*' ? (struct cnc_slice){ "", 0 } : r->path;
    size_t n = cnc_router_allow(&r->server->setup->router, path, allow, sizeof allow);
    if (n)
        (void)cnc_reply_put_field(r, CNC_SLICE("Allow"), (struct cnc_slice){ allow, n });
}

/* Sets the fields of a page. Drops the fields that the handler added, which were meant for its own reply, and the remembered
 * error. */
static void page_fields(concur_request *r, int status)
{
    r->reply_fields.n = r->reply_fields.size = 0;
    r->type.p = NULL;
    r->reply_rc = CONCUR_OK;
    if (status == 405 || (status == 204 && r->method == CNC_HTTP_OPTIONS))
        add_allow(r); /* RFC 9110 §15.5.6 */
    if (status == 503) {
        char seconds[20];
        size_t len = cnc_decimal(seconds, r->server->setup->limits.retry_after_s);
        (void)cnc_reply_put_field(r, CNC_SLICE("Retry-After"), (struct cnc_slice){ seconds, len });
    }
}

static void plain_page(concur_request *r, int status)
{
    char body[CNC_HTTP_PAGE_MAX];
    size_t n = cnc_http_page(body, status);
    struct cnc_piece piece = { .p = body, .n = status == 204 ? 0 : n };
    int rc = cnc_reply_head(r, status, default_type, (int64_t)piece.n, &piece, true);
    if (rc < 0)
        cnc_reply_abort(r, rc);
}

void cnc_reply_page(concur_request *r, int status)
{
    if (!r->stream.carrier || r->output != CNC_OUTPUT_NONE) {
        cnc_reply_abort(r, CONCUR_E_GONE);
        return;
    }
    r->flags |= CNC_REQ_PAGE;
    page_fields(r, status);
    bool made = status >= 400 && CNC_UNLIKELY(r->server->pages.count > 0) && cnc_around_page(r, status);
    if (!made) {
        if (r->server->pages.count)
            page_fields(r, status);
        plain_page(r, status);
    }
    r->flags &= ~(uint32_t)CNC_REQ_PAGE;
}

/* ---- fields ---- */

/* Makes room for one field more. */
static int grow_fields(concur_request *r)
{
    struct cnc_http_pairs *fields = &r->reply_fields;
    if (fields->n < r->reply_fields_cap)
        return CONCUR_OK;
    uint32_t cap = fields->n ? fields->n * 2 : 8;
    struct cnc_http_pair *grown = cnc_arena_alloc(&r->arena, cap * sizeof *grown);
    if (!grown)
        return CONCUR_E_NOMEM;
    if (fields->n)
        memcpy(grown, fields->p, fields->n * sizeof *grown);
    fields->p = grown;
    r->reply_fields_cap = cap;
    return CONCUR_OK;
}

int cnc_reply_put_field(concur_request *r, struct cnc_slice name, struct cnc_slice value)
{
    struct cnc_http_pair pair = { name, value };
    size_t size = cnc_http_pair_size(&pair);
    if (size > UINT32_MAX / 2 - r->reply_fields.size || grow_fields(r) < 0)
        return CONCUR_E_NOMEM;
    pair.name.p = cnc_arena_copy(&r->arena, name.p, name.n);
    pair.value.p = cnc_arena_copy(&r->arena, value.p, value.n);
    if (!pair.name.p || !pair.value.p)
        return CONCUR_E_NOMEM;
    r->reply_fields.p[r->reply_fields.n++] = pair;
    r->reply_fields.size += (uint32_t)size;
    return CONCUR_OK;
}

static int set_type(concur_request *r, struct cnc_slice type)
{
    r->type = (struct cnc_slice){ cnc_arena_copy(&r->arena, type.p, type.n), type.n };
    return r->type.p ? CONCUR_OK : CONCUR_E_NOMEM;
}

int cnc_reply_may_change(concur_request *r)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (r->gone && !(r->flags & CNC_REQ_PAGE))
        return CONCUR_E_GONE;
    if (r->output != CNC_OUTPUT_NONE || (r->flags & CNC_REQ_ENDING))
        return CONCUR_E_STATE;
    return r->reply_rc;
}

int cnc_reply_check_field(concur_request *r, const char *name, const char *value)
{
    struct cnc_slice n = cnc_reply_slice(name), v = cnc_reply_slice(value);
    int rc = cnc_reply_may_change(r);
    if (rc < 0)
        return rc;
    if (!name || !cnc_http_is_token(n.p, n.n))
        r->reply_rc = cnc_reply_misuse(r, CONCUR_E_INVAL, "a field's name is not a token");
    else if (!value || !cnc_http_is_value(v.p, v.n))
        r->reply_rc = cnc_reply_misuse(r, CONCUR_E_INVAL, "a field's value has bytes that may not be sent");
    else if (cnc_http_is_reserved(n.p, n.n))
        r->reply_rc = cnc_reply_misuse(r, CONCUR_E_INVAL, "a field that only the library may send");
    return r->reply_rc;
}

int concur_reply_header(concur_request *r, const char *name, const char *value)
{
    struct cnc_slice n = cnc_reply_slice(name), v = cnc_reply_slice(value);
    int rc = cnc_reply_check_field(r, name, value);
    if (rc < 0)
        return rc;
    rc = cnc_equal_lower(n.p, n.n, "content-type", 12) ? set_type(r, v) : cnc_reply_put_field(r, n, v);
    r->reply_rc = rc;
    return rc;
}

/* ---- whole ---- */

CNC_HOT int concur_reply_text(concur_request *r, int status, const char *text)
{
    struct cnc_piece piece = { .p = text, .n = text ? strlen(text) : 0 };
    return reply_whole(r, status, default_type, &piece);
}

int concur_reply_bytes(concur_request *r, int status, const char *type, const void *bytes, size_t n,
                       concur_free_fn free_fn, void *arg)
{
    struct cnc_piece piece = { .p = bytes, .n = n, .free = free_fn, .arg = arg };
    if (CNC_UNLIKELY((!bytes && n) || n > CNC_PIECE_MAX)) {
        cnc_piece_drop(&piece);
        return cnc_reply_misuse(r, CONCUR_E_INVAL, cnc_reply_impossible_piece);
    }
    return reply_whole(r, status, cnc_reply_slice(type), &piece);
}

/* Formats again, into memory of the right size. *n: in: the length at the first time; out: the length of the text, which may be
 * shorter if an argument has changed since. NULL: out of memory, or the format fails now. */
static char *format_large(size_t *n, const char *format, va_list args)
{
    char *large = cnc_malloc(*n + 1);
    int got = large ? vsnprintf(large, *n + 1, format, args) : -1;
    if (got < 0) {
        cnc_free(large);
        return NULL;
    }
    *n = (size_t)got < *n ? (size_t)got : *n;
    return large;
}

int concur_reply_printf(concur_request *r, int status, const char *type, const char *format, ...)
{
    char small[1024];
    va_list args;
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0)
        return CONCUR_E_INVAL;
    struct cnc_piece piece = { .p = small, .n = (size_t)n };
    if ((size_t)n >= sizeof small) {
        va_start(args, format);
        char *large = format_large(&piece.n, format, args);
        va_end(args);
        if (!large) {
            r->reply_rc = r->reply_rc ? r->reply_rc : CONCUR_E_NOMEM;
            return CONCUR_E_NOMEM;
        }
        piece = (struct cnc_piece){ .p = large, .n = piece.n, .free = cnc_free, .arg = large };
    }
    return reply_whole(r, status, type ? cnc_reply_slice(type) : default_type, &piece);
}
