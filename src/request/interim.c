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

static size_t put_text_at(char *out, size_t at, const char *text)
{
    size_t n = strlen(text);
    if (out)
        memcpy(out + at, text, n);
    return at + n;
}

/* Returns the length. out NULL: writes nothing. */
static size_t write_interim(char *out, int status, const char *name, const char *const *values, size_t n)
{
    char digits[8];
    digits[cnc_decimal(digits, (uint64_t)status)] = '\0';
    size_t at = put_text_at(out, 0, "HTTP/1.1 ");
    at = put_text_at(out, at, digits);
    at = put_text_at(out, at, " ");
    at = put_text_at(out, at, cnc_http_reason(status));
    for (size_t i = 0; i < n; i++) {
        at = put_text_at(out, put_text_at(out, at, "\r\n"), name);
        at = put_text_at(out, put_text_at(out, at, ": "), values[i]);
    }
    return put_text_at(out, at, "\r\n\r\n");
}

static int send_interim(concur_request *r, const char *text, size_t n)
{
    struct cnc_piece piece = { .p = text, .n = n };
    if (r->stream.down->is_over(&r->stream, n))
        return CONCUR_E_FULL;
    int rc = r->stream.down->interim(&r->stream, &piece);
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
    size_t size = write_interim(NULL, status, name, values, n);
    char *text = cnc_arena_text(&r->arena, size);
    if (!text)
        return CONCUR_E_NOMEM;
    return send_interim(r, text, write_interim(text, status, name, values, n));
}
