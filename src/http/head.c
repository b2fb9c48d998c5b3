/* SPDX-License-Identifier: MIT
 *
 * The head, line by line. A line's limit is the place by which its LF must have come. It depends only on where the line starts
 * and on the limits, so the verdict does not depend on how the input was cut.
 */
#include "http/head.h"

#include "http/scan.h"

/* Empty lines tolerated before the request line (RFC 9112 §2.2 asks for at least one). */
#define LEADING_MAX 4

CNC_HOT void cnc_http_head_init(struct cnc_http_head *h, struct cnc_http_field *fields)
{
    const struct cnc_http_span none = { 0, 0 };
    h->pos = h->scan = h->len = 0;
    h->phase = CNC_HEAD_REQUEST_LINE;
    h->seen = h->method = h->form = h->minor = h->flags = 0;
    h->field_count = 0;
    h->method_text = h->target = h->path = h->query = h->host = none;
    h->content_length = -1;
    h->fields = fields;
}

bool cnc_http_head_is_idle(const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (buf[i] != (i % 2 ? '\n' : '\r'))
            return false;
    return true;
}

/* Checks that need the whole head; returns 0 or a status. */
static __attribute__((noinline)) int judge_head(struct cnc_http_head *h)
{
    const unsigned seen = h->seen;
    /* RFC 9112 §3.2: a request of HTTP/1.1 without Host is answered with 400, whatever its target. */
    if (h->minor && !(seen & CNC_SEEN_HOST))
        return 400;
    /* RFC 9112 §6.1, §6.3: a head with both may be an attempt at request smuggling. */
    if ((seen & CNC_SEEN_CODING) && (seen & CNC_SEEN_LENGTH))
        return 400;
    /* RFC 9112 §6.1: a coding that is not understood. */
    if (seen & CNC_SEEN_OTHER_CODING)
        return 501;
    /* RFC 9112 §9.3 */
    if (!(seen & CNC_SEEN_CLOSE) && (h->minor || (seen & CNC_SEEN_KEEP_ALIVE)))
        h->flags |= CNC_HTTP_KEEP_ALIVE;
    /* RFC 9110 §7.8: Upgrade in an HTTP/1.0 request is to be ignored. */
    if (h->minor && (seen & CNC_SEEN_UPGRADE) && (seen & CNC_SEEN_TO_UPGRADE))
        h->flags |= CNC_HTTP_UPGRADE;
    return 0;
}

/* An empty line at pos. Returns MORE, DONE or a status. */
static inline int take_empty_line(struct cnc_http_head *h, size_t pos)
{
    if (CNC_UNLIKELY(h->phase != CNC_HEAD_FIELDS))
        return pos < 2 * LEADING_MAX ? CNC_HTTP_HEAD_MORE : 400;
    if (CNC_LIKELY(h->minor && (h->seen | CNC_SEEN_KEEP_ALIVE) == (CNC_SEEN_HOST | CNC_SEEN_KEEP_ALIVE))) {
        h->flags |= CNC_HTTP_KEEP_ALIVE; /* the usual head, for which judge_head() would do the same */
    } else {
        const int status = judge_head(h);
        if (status)
            return status;
    }
    h->phase = CNC_HEAD_DONE;
    h->len = (uint32_t)pos + 2;
    return CNC_HTTP_HEAD_DONE;
}

/* Any other line, its LF at lf. Returns 0 or a status. */
static inline int take_line(struct cnc_http_head *h, const struct cnc_http_limits *limits, const char *buf,
                            const char *line, const char *lf)
{
    /* RFC 9112 §2.2 lets a recipient take a lone LF as a line end. We refuse it, since a proxy on the path may read it
     * otherwise. */
    if (CNC_LIKELY(h->phase == CNC_HEAD_FIELDS)) {
        if (lf[-1] != '\r') /* if the line is only an LF, lf[-1] is the LF of the line before */
            return 400;
        return h->field_count < limits->fields_max ? cnc_http_field_line(h, buf, line, lf - 1) : 431;
    }
    if (lf == line || lf[-1] != '\r')
        return 400;
    h->phase = CNC_HEAD_FIELDS;
    return cnc_http_request_line(h, buf, line, lf - 1);
}

static int head_fail(struct cnc_http_head *h, int status)
{
    h->phase = CNC_HEAD_BAD;
    h->len = (uint32_t)status;
    return status;
}

CNC_HOT int cnc_http_head_parse(struct cnc_http_head *h, const struct cnc_http_limits *limits, const char *buf,
                                size_t len)
{
    if (CNC_UNLIKELY(h->phase >= CNC_HEAD_DONE))
        return h->phase == CNC_HEAD_DONE ? CNC_HTTP_HEAD_DONE : (int)h->len;
    size_t pos = h->pos;
    size_t scan = h->scan;
    size_t window;
    for (;;) {
        /* The line's LF must come before this: after line_max bytes and CR at the latest, and within head_max. The status is
         * the same for both limits. */
        const size_t by_line = pos + limits->line_max + 2;
        window = by_line < limits->head_max ? by_line : limits->head_max;
        const size_t seen = len < window ? len : window;
        int verdict;
        if (pos + 2 <= seen && memcmp(buf + pos, "\r\n", 2) == 0) {
            verdict = take_empty_line(h, pos);
            pos += 2;
        } else {
            const char *lf = cnc_scan_lf(buf, buf + scan, buf + seen);
            if (CNC_UNLIKELY(!lf))
                break;
            verdict = take_line(h, limits, buf, buf + pos, lf);
            pos = (size_t)(lf + 1 - buf);
        }
        if (verdict != CNC_HTTP_HEAD_MORE)
            return verdict == CNC_HTTP_HEAD_DONE ? verdict : head_fail(h, verdict);
        scan = pos;
    }
    /* Refuse at once what no request line begins with, since its LF may never come: a TLS handshake, for example. */
    if (h->phase == CNC_HEAD_REQUEST_LINE && len > pos && buf[pos] != '\r' && !cnc_char_is(buf[pos], CNC_CHAR_TOKEN))
        return head_fail(h, 400);
    if (len >= window)
        return head_fail(h, h->phase == CNC_HEAD_FIELDS ? 431 : 414);
    h->pos = (uint32_t)pos;
    h->scan = (uint32_t)len;
    return CNC_HTTP_HEAD_MORE;
}
