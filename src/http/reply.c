/* SPDX-License-Identifier: MIT
 *
 * Reply heads and chunk framing. Constant text is copied with constant sizes, which the compiler makes a few moves.
 */
#include "http/http.h"
#include "http/status.h"

#define DIGITS_MAX 20
_Static_assert(CNC_STATUS_LINE_MAX + sizeof("Date: \r\n") + CNC_HTTP_DATE_LEN + sizeof("Content-Type: \r\n") +
                       sizeof("Content-Length: \r\n") + DIGITS_MAX + sizeof("Transfer-Encoding: chunked\r\n") +
                       sizeof("Connection: keep-alive\r\n") + sizeof("\r\n") <= CNC_HTTP_REPLY_CONSTANT,
               "a head has no room");

#define PUT(out, literal) (memcpy((out), (literal), sizeof(literal) - 1), (out) + sizeof(literal) - 1)

static inline char *http_reply_put(char *out, const char *p, size_t n)
{
    memcpy(out, p, n);
    return out + n;
}

/* RFC 9110 §6.4.1, §15.3.6 */
bool cnc_http_has_content(int status)
{
    return status >= 200 && status != 204 && status != 205 && status != 304;
}

/* RFC 9110 §8.6: Content-Length of a 304 must be the length that a 200 to the same GET would have. We do not know that, so we
 * send none. RFC 9112 §6.3 does not say that a 205 ends with its head, so a 205 has Content-Length 0. */
static void frame_without_content(struct cnc_http_reply *r)
{
    r->framing = CNC_HTTP_FRAME_NONE;
    r->length = r->status == 205 ? 0 : -1;
}

CNC_HOT void cnc_http_reply_frame(struct cnc_http_reply *r)
{
    if (CNC_UNLIKELY(r->status != 200 && !cnc_http_has_content(r->status))) {
        frame_without_content(r);
    } else if (r->method == CNC_HTTP_HEAD) {
        r->framing = CNC_HTTP_FRAME_NONE;
    } else if (r->length >= 0) {
        r->framing = CNC_HTTP_FRAME_LENGTH;
    } else if (r->minor) {
        r->framing = CNC_HTTP_FRAME_CHUNKED;
    } else {
        /* RFC 9112 §6.1: HTTP/1.0 does not know chunked, so the connection's end is the body's (§6.3) */
        r->framing = CNC_HTTP_FRAME_CLOSE;
        r->keep_alive = false;
    }
}

/* RFC 9112 §4: a server sends its own version, and a space before the reason even if there is none. */
static char *put_status(char *out, int status)
{
    const struct cnc_status_line *line = cnc_http_status_line(status);
    if (CNC_LIKELY(line != NULL)) {
        memcpy(out, line->text, CNC_STATUS_LINE_MAX);
        return out + line->len;
    }
    out = PUT(out, "HTTP/1.1 ");
    out += cnc_decimal(out, (uint64_t)status);
    return PUT(out, " \r\n");
}

/* RFC 9110 §8.6: in a reply to HEAD the length is that of the body that GET would have got. */
static char *put_framing(char *out, const struct cnc_http_reply *r)
{
    if (r->framing == CNC_HTTP_FRAME_CHUNKED)
        return PUT(out, "Transfer-Encoding: chunked\r\n");
    if (r->length < 0)
        return out;
    out = PUT(out, "Content-Length: ");
    out += cnc_decimal(out, (uint64_t)r->length);
    return PUT(out, "\r\n");
}

static char *put_pairs(char *out, const struct cnc_http_pairs *pairs)
{
    for (const struct cnc_http_pair *pair = pairs->p, *end = pair + pairs->n; pair < end; pair++) {
        out = http_reply_put(out, pair->name.p, pair->name.n);
        out = PUT(out, ": ");
        out = http_reply_put(out, pair->value.p, pair->value.n);
        out = PUT(out, "\r\n");
    }
    return out;
}

CNC_HOT size_t cnc_http_reply_head(char *out, const struct cnc_http_reply *r)
{
    char *p = put_status(out, r->status);
    if (CNC_LIKELY(r->date.n == CNC_HTTP_DATE_LEN)) {
        p = PUT(p, "Date: ");
        p = http_reply_put(p, r->date.p, CNC_HTTP_DATE_LEN);
        p = PUT(p, "\r\n");
    }
    if (r->type.n) {
        p = PUT(p, "Content-Type: ");
        p = http_reply_put(p, r->type.p, r->type.n);
        p = PUT(p, "\r\n");
    }
    p = put_framing(p, r);
    if (!r->keep_alive) /* RFC 9112 §9.6 */
        p = PUT(p, "Connection: close\r\n");
    else if (r->minor == 0) /* RFC 9112 §9.3: HTTP/1.0 persists only by agreement */
        p = PUT(p, "Connection: keep-alive\r\n");
    if (r->fields.n)
        p = put_pairs(p, &r->fields);
    p = PUT(p, "\r\n");
    return (size_t)(p - out);
}

size_t cnc_http_interim_head(char *out, const struct cnc_http_reply *r)
{
    char *p = put_pairs(put_status(out, r->status), &r->fields);
    p = PUT(p, "\r\n");
    return (size_t)(p - out);
}

size_t cnc_http_chunk_head(char *out, uint64_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t digits = 1;
    while (digits < 16 && n >> (4 * digits))
        digits++;
    for (size_t i = digits; i-- > 0; n >>= 4)
        out[i] = hex[n & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}
