/* SPDX-License-Identifier: MIT */
#include "request/upgrade.h"

#include "request/around.h"
#include "request/reply_internal.h"

/* RFC 9110 §7.8: the list has protocols, each with or without a version after a slash. A whole member must be equal to
 * protocol. */
static bool names_protocol(struct cnc_slice list, struct cnc_slice protocol)
{
    const char *p = list.p, *end = list.p + list.n;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *last = comma ? comma : end, *next = comma ? comma + 1 : end;
        while (p < last && (*p == ' ' || *p == '\t'))
            p++;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (cnc_equal_lower(p, (size_t)(last - p), protocol.p, protocol.n))
            return true;
        p = next;
    }
    return false;
}

static bool is_asked_for(const concur_request *r, struct cnc_slice protocol)
{
    if (!(r->flags & CNC_REQ_UPGRADE))
        return false;
    for (unsigned i = 0; i < r->field_count; i++) {
        const struct cnc_http_field *f = &r->fields[i];
        struct cnc_slice value = { r->head + f->value, f->value_len };
        if (f->id == CNC_HTTP_NAME_UPGRADE && names_protocol(value, protocol))
            return true;
    }
    return false;
}

/* The fields of both answers, 101 and 426. HTTP/1.0 has no upgrade, so such a client gets no Connection: upgrade; its reply may
 * already say Connection: close. */
static int put_upgrade_fields(concur_request *r, struct cnc_slice protocol)
{
    int rc = cnc_reply_put_field(r, CNC_SLICE("Upgrade"), protocol);
    return rc < 0 || r->minor == 0 ? rc : cnc_reply_put_field(r, CNC_SLICE("Connection"), CNC_SLICE("upgrade"));
}

/* RFC 9110 §15.5.22 */
static int require_upgrade(concur_request *r, struct cnc_slice protocol)
{
    char body[CNC_HTTP_PAGE_MAX];
    struct cnc_piece piece = { .p = body, .n = cnc_http_page(body, 426) };
    int rc = put_upgrade_fields(r, protocol);
    if (rc == CONCUR_OK)
        rc = cnc_reply_head(r, 426, CNC_SLICE(CNC_HTTP_TEXT_TYPE), (int64_t)piece.n, &piece, true);
    return rc < 0 ? rc : CONCUR_E_STATE;
}

static int switch_protocols(concur_request *r, struct cnc_slice protocol, struct cnc_stream *to)
{
    int rc = r->flags & CNC_REQ_AFTER_DUE ? cnc_around_reply(r, 101) : CONCUR_OK;
    struct cnc_http_pairs before = r->reply_fields;
    if (rc == CONCUR_OK)
        rc = put_upgrade_fields(r, protocol);
    struct cnc_http_reply reply = { .status = 101, .length = -1, .fields = r->reply_fields,
                                    .date = cnc_desk_date(r->home), .method = r->method, .minor = r->minor };
    if (rc == CONCUR_OK)
        rc = r->stream.down->upgrade(&r->stream, &reply, to);
    if (rc < 0) {
        r->reply_fields.n = before.n; /* there may be another reply */
        r->reply_fields.size = before.size;
        return rc;
    }
    r->output = CNC_OUTPUT_END;
    r->status = 101;
    return CONCUR_OK;
}

int cnc_request_upgrade(concur_request *r, const char *protocol, struct cnc_stream *to)
{
    struct cnc_slice name = cnc_reply_slice(protocol);
    int rc = cnc_reply_may_begin(r, 200, (struct cnc_slice){ NULL, 0 });
    if (rc < 0)
        return rc;
    if (!is_asked_for(r, name))
        return require_upgrade(r, name);
    if ((r->flags & CNC_REQ_HAS_BODY) && !(r->flags & CNC_REQ_BODY_DONE))
        return cnc_reply_misuse(r, CONCUR_E_STATE, "an upgrade before the request's body was read");
    if (!r->stream.down->upgrade) {
        cnc_reply_page(r, 501);
        return CONCUR_E_UNSUPPORTED;
    }
    return switch_protocols(r, name, to);
}
