/* SPDX-License-Identifier: MIT
 *
 * Interim replies: heads with a status 1xx that are sent before the reply (RFC 9110 §15.2).
 */
#include "request/reply_internal.h"

static int check_values(concur_request *r, const char *name, const char *const *values, size_t n)
{
    struct cnc_slice token = cnc_reply_slice(name);
    if (n && (!name || !cnc_http_is_token(token.p, token.n) || cnc_http_is_reserved(token.p, token.n)))
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "a field's name is no token, or the library alone may send it");
    for (size_t i = 0; i < n; i++)
        if (!values || !values[i] || !cnc_http_is_value(values[i], strlen(values[i])))
            return cnc_reply_misuse(r, CONCUR_E_INVAL, "a field's value has bytes that may not be sent");
    return CONCUR_OK;
}

/* A field for each value, in the arena; the texts are the caller's. NULL: out of memory. */
static struct cnc_http_pair *make_fields(concur_request *r, const char *name, const char *const *values, size_t n)
{
    struct cnc_http_pair *fields = n < UINT32_MAX / sizeof *fields ? cnc_arena_alloc(&r->arena, n * sizeof *fields) : NULL;
    for (size_t i = 0; fields && i < n; i++)
        fields[i] = (struct cnc_http_pair){ cnc_reply_slice(name), cnc_reply_slice(values[i]) };
    return fields;
}

static int send_interim(concur_request *r, const struct cnc_http_reply *reply)
{
    if (r->stream.down->is_over(&r->stream, cnc_http_reply_size(reply)))
        return CONCUR_E_FULL;
    int rc = r->stream.down->interim(&r->stream, reply);
    if (rc >= 0 || rc == CONCUR_E_NOMEM)
        return rc < 0 ? rc : CONCUR_OK;
    cnc_reply_abort(r, rc);
    return CONCUR_E_GONE;
}

int concur_reply_interim(concur_request *r, int status, const char *name, const char *const *values, size_t n)
{
    int rc = cnc_reply_may_begin(r, 200, (struct cnc_slice){ NULL, 0 });
    if (rc < 0)
        return rc;
    if (status < 102 || status > 199)
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "an interim reply's status must be 102 to 199");
    rc = check_values(r, name, values, n);
    if (rc < 0 || r->minor == 0) /* RFC 9110 §15.2: HTTP/1.0 does not know them */
        return rc;
    struct cnc_http_pair *fields = make_fields(r, name, values, n);
    size_t size = 0;
    if (!fields)
        return CONCUR_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        size += cnc_http_pair_size(&fields[i]);
    if (size > UINT32_MAX / 2)
        return CONCUR_E_NOMEM;
    struct cnc_http_reply reply = { .status = status, .fields = { fields, (uint32_t)n, (uint32_t)size } };
    return send_interim(r, &reply);
}
