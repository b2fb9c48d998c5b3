/* SPDX-License-Identifier: MIT
 *
 * The head, line by line. A line's limit is where its LF must have come at the latest; that place depends on where the
 * line starts and on the limits only, so the verdict does not depend on how the input was cut.
 */
#include "http/head.h"

/* Empty lines tolerated before the request line (RFC 9112 §2.2 asks for at least one). */
#define LEADING_MAX 4

void cnc_http_head_init(struct cnc_http_head *h, struct cnc_http_field *fields)
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

/* RFC 9112 §9.3, and RFC 9110 §7.8: Upgrade in an HTTP/1.0 request is to be ignored. */
static void set_persistence(struct cnc_http_head *h)
{
    const unsigned seen = h->seen;
    if (!(seen & CNC_SEEN_CLOSE) && (h->minor || (seen & CNC_SEEN_KEEP_ALIVE)))
        h->flags |= CNC_HTTP_KEEP_ALIVE;
    if (h->minor && (seen & CNC_SEEN_UPGRADE) && (seen & CNC_SEEN_TO_UPGRADE))
        h->flags |= CNC_HTTP_UPGRADE;
}

/* The empty line: what only the whole head can tell. */
static int end_head(struct cnc_http_head *h, uint32_t len)
{
    /* RFC 9112 §3.2: a request of HTTP/1.1 without Host is answered with 400, whatever its target. */
    if (h->minor && !(h->seen & CNC_SEEN_HOST))
        return 400;
    /* RFC 9112 §6.1, §6.3: both at once is how requests are smuggled. */
    if ((h->seen & CNC_SEEN_CODING) && (h->seen & CNC_SEEN_LENGTH))
        return 400;
    /* RFC 9112 §6.1: a coding that is not understood. */
    if (h->seen & CNC_SEEN_OTHER_CODING)
        return 501;
    set_persistence(h);
    h->phase = CNC_HEAD_DONE;
    h->len = len;
    return CNC_HTTP_HEAD_DONE;
}

/* One complete line, buf[h->pos .. lf). Returns MORE, DONE or a status. */
static int take_line(struct cnc_http_head *h, const struct cnc_http_limits *limits, const char *buf, const char *lf)
{
    const char *line = buf + h->pos;
    const char *end = lf - 1;
    const uint32_t next = (uint32_t)(lf + 1 - buf);
    int status;
    /* RFC 9112 §2.2 lets a recipient take a lone LF for a line end; we do not, since others on the path may differ. */
    if (end < line || *end != '\r')
        return 400;
    if (CNC_LIKELY(h->phase == CNC_HEAD_FIELDS)) {
        if (line == end)
            return end_head(h, next);
        if (h->field_count >= limits->fields_max)
            return 431;
        status = cnc_http_field_line(h, buf, line, end);
    } else if (line == end) {
        status = h->pos < 2 * LEADING_MAX ? 0 : 400;
    } else {
        status = cnc_http_request_line(h, buf, line, end);
        h->phase = CNC_HEAD_FIELDS;
    }
    h->pos = h->scan = next;
    return status;
}

/* Where the LF of the line at pos must have come at the latest: line_max bytes and CR before it, and all within head_max.
 * Whichever of the two ends first, the status is the same. */
static size_t line_window(const struct cnc_http_head *h, const struct cnc_http_limits *limits)
{
    const size_t by_line = (size_t)h->pos + limits->line_max + 2;
    return by_line < limits->head_max ? by_line : limits->head_max;
}

static int fail(struct cnc_http_head *h, int status)
{
    h->phase = CNC_HEAD_BAD;
    h->len = (uint32_t)status;
    return status;
}

int cnc_http_head_parse(struct cnc_http_head *h, const struct cnc_http_limits *limits, const char *buf, size_t len)
{
    if (CNC_UNLIKELY(h->phase >= CNC_HEAD_DONE))
        return h->phase == CNC_HEAD_DONE ? CNC_HTTP_HEAD_DONE : (int)h->len;
    for (;;) {
        const size_t window = line_window(h, limits);
        const size_t seen = len < window ? len : window;
        const char *lf = seen > h->scan ? memchr(buf + h->scan, '\n', seen - h->scan) : NULL;
        if (!lf) {
            if (len >= window)
                return fail(h, h->phase == CNC_HEAD_FIELDS ? 431 : 414);
            h->scan = (uint32_t)seen;
            return CNC_HTTP_HEAD_MORE;
        }
        const int verdict = take_line(h, limits, buf, lf);
        if (verdict != CNC_HTTP_HEAD_MORE)
            return verdict == CNC_HTTP_HEAD_DONE ? verdict : fail(h, verdict);
    }
}
