/* SPDX-License-Identifier: MIT
 *
 * field-name ":" OWS field-value OWS (RFC 9112 §5), and the fields that decide about the message itself.
 */
#include "http/head.h"
#include "http/scan.h"

/* p has only token characters, as CNC_TOKEN_IS() needs. */
static uint8_t recognise(const char *p, size_t n)
{
    switch (n) {
    case 4:
        return CNC_TOKEN_IS(p, "host") ? CNC_HTTP_NAME_HOST : CNC_HTTP_NAME_OTHER;
    case 6:
        if (CNC_TOKEN_IS(p, "accept"))
            return CNC_HTTP_NAME_ACCEPT;
        if (CNC_TOKEN_IS(p, "cookie"))
            return CNC_HTTP_NAME_COOKIE;
        return CNC_TOKEN_IS(p, "expect") ? CNC_HTTP_NAME_EXPECT : CNC_HTTP_NAME_OTHER;
    case 7:
        return CNC_TOKEN_IS(p, "upgrade") ? CNC_HTTP_NAME_UPGRADE : CNC_HTTP_NAME_OTHER;
    case 10:
        if (CNC_TOKEN_IS(p, "connection"))
            return CNC_HTTP_NAME_CONNECTION;
        return CNC_TOKEN_IS(p, "user-agent") ? CNC_HTTP_NAME_USER_AGENT : CNC_HTTP_NAME_OTHER;
    case 12:
        return CNC_TOKEN_IS(p, "content-type") ? CNC_HTTP_NAME_CONTENT_TYPE : CNC_HTTP_NAME_OTHER;
    case 14:
        return CNC_TOKEN_IS(p, "content-length") ? CNC_HTTP_NAME_CONTENT_LENGTH : CNC_HTTP_NAME_OTHER;
    case 15:
        return CNC_TOKEN_IS(p, "accept-encoding") ? CNC_HTTP_NAME_ACCEPT_ENCODING : CNC_HTTP_NAME_OTHER;
    case 17:
        return CNC_TOKEN_IS(p, "transfer-encoding") ? CNC_HTTP_NAME_TRANSFER_ENCODING : CNC_HTTP_NAME_OTHER;
    default:
        return CNC_HTTP_NAME_OTHER;
    }
}

/* RFC 9112 §3.2: at most one Host, and a valid one; RFC 9110 §4.2.1: not empty. The host of an absolute-form target, if there
 * is one, is kept (RFC 9112 §3.2.2). */
static int take_host(struct cnc_http_head *h, const char *p, const char *end, uint32_t at)
{
    if ((h->seen & CNC_SEEN_HOST) || !cnc_http_is_authority(p, end, false))
        return 400;
    h->seen |= CNC_SEEN_HOST;
    if (h->host.len == 0)
        h->host = (struct cnc_http_span){ at, (uint32_t)(end - p) };
    return 0;
}

/* RFC 9110 §8.6: digits only. Lists and repetitions are refused even where all values agree; RFC 9112 §6.3 leaves us
 * that choice. */
static __attribute__((noinline)) int take_length(struct cnc_http_head *h, const char *p, const char *end)
{
    uint64_t value;
    if ((h->seen & CNC_SEEN_LENGTH) || !cnc_parse_decimal(p, (size_t)(end - p), INT64_MAX, &value))
        return 400;
    h->seen |= CNC_SEEN_LENGTH;
    h->content_length = (int64_t)value;
    if (value > 0)
        h->flags |= CNC_HTTP_HAS_BODY;
    return 0;
}

/* Is "chunked" the last of a list of codings, which may have parameters? p: where the rest of the list begins. */
static bool ends_in_chunked(const char *p, const char *end)
{
    const char *comma = end;
    while (comma > p && comma[-1] != ',')
        comma--;
    while (comma < end && cnc_char_is(*comma, CNC_CHAR_BLANK))
        comma++;
    return comma > p && end - comma == 7 && CNC_TOKEN_IS(comma, "chunked");
}

/* RFC 9112 §6.1, §7: a list of codings. We accept only chunked, once, without parameters. If it is not the last one, nobody
 * can tell where the body ends (§6.3: 400). Other codings before it are noted and answered with 501 at the head's end, so that
 * a malformed head gets 400. */
static __attribute__((noinline)) int take_coding(struct cnc_http_head *h, const char *p, const char *end)
{
    /* RFC 9112 §6.1: from HTTP/1.0 the framing is to be treated as faulty */
    if (!h->minor || (h->seen & CNC_SEEN_CODING))
        return 400;
    h->seen |= CNC_SEEN_CODING;
    bool chunked = false;
    for (;;) {
        const char *name = p;
        p = cnc_char_skip(p, CNC_CHAR_TOKEN);
        if (p == name || chunked) /* an empty element; or something after chunked (§6.3) */
            return 400;
        chunked = p - name == 7 && CNC_TOKEN_IS(name, "chunked");
        if (!chunked)
            h->seen |= CNC_SEEN_OTHER_CODING;
        while (p < end && cnc_char_is(*p, CNC_CHAR_BLANK))
            p++;
        if (p == end)
            break;
        if (*p == ';' && !chunked) /* parameters of a coding that is unknown: only the last one still matters */
            return ends_in_chunked(p, end) ? 0 : 400;
        if (*p++ != ',') /* RFC 9112 §7.1: parameters of chunked are an error */
            return 400;
        while (cnc_char_is(*p, CNC_CHAR_BLANK))
            p++;
    }
    if (!chunked)
        return 400;
    h->flags |= CNC_HTTP_CHUNKED | CNC_HTTP_HAS_BODY;
    return 0;
}

static unsigned connection_option(const char *p, size_t n)
{
    if (n == 10 && CNC_TOKEN_IS(p, "keep-alive"))
        return CNC_SEEN_KEEP_ALIVE;
    if (n == 5 && CNC_TOKEN_IS(p, "close"))
        return CNC_SEEN_CLOSE;
    if (n == 7 && CNC_TOKEN_IS(p, "upgrade"))
        return CNC_SEEN_TO_UPGRADE;
    return 0;
}

/* RFC 9110 §7.6.1: a list of tokens in any case of letters; empty elements are skipped (§5.6.1.2). */
static __attribute__((noinline)) int take_connection(struct cnc_http_head *h, const char *p, const char *end)
{
    while (p < end) {
        const char *name = p;
        p = cnc_char_skip(p, CNC_CHAR_TOKEN);
        h->seen = (uint8_t)(h->seen | connection_option(name, (size_t)(p - name)));
        while (p < end && cnc_char_is(*p, CNC_CHAR_BLANK))
            p++;
        if (p < end && *p++ != ',')
            return 400;
        while (p < end && cnc_char_is(*p, CNC_CHAR_BLANK))
            p++;
    }
    return 0;
}

/* [p, end) is the value; *end is blank or CR, so a run of token characters ends there at the latest. */
static __attribute__((noinline)) int take_special(struct cnc_http_head *h, uint8_t id, const char *p, const char *end)
{
    switch (id) {
    case CNC_HTTP_NAME_CONNECTION:
        return take_connection(h, p, end);
    case CNC_HTTP_NAME_CONTENT_LENGTH:
        return take_length(h, p, end);
    case CNC_HTTP_NAME_TRANSFER_ENCODING:
        return take_coding(h, p, end);
    case CNC_HTTP_NAME_EXPECT:
        /* RFC 9110 §10.1.1: ignored from HTTP/1.0; other expectations may be ignored */
        if (h->minor && cnc_equal_lower(p, (size_t)(end - p), "100-continue", 12))
            h->flags |= CNC_HTTP_EXPECT_CONTINUE;
        return 0;
    default:
        if (p < end)
            h->seen |= CNC_SEEN_UPGRADE;
        return 0;
    }
}

CNC_HOT int cnc_http_field_line(struct cnc_http_head *h, const char *buf, const char *line, const char *end)
{
    const char *p = cnc_char_skip(line, CNC_CHAR_TOKEN);
    const size_t name_len = (size_t)(p - line);
    /* RFC 9112 §5.1: no white space before the colon; §5.2: no line folding: such a line begins with a blank, so its name is
     * empty */
    if (name_len == 0 || *p != ':')
        return 400;
    if (name_len > UINT16_MAX)
        return 431;
    p++;
    while (cnc_char_is(*p, CNC_CHAR_BLANK))
        p++;
    while (end > p && cnc_char_is(end[-1], CNC_CHAR_BLANK))
        end--;
    if (!cnc_scan_is_value(line, p, end)) /* RFC 9110 §5.5 */
        return 400;
    struct cnc_http_field *f = &h->fields[h->field_count++];
    f->name = (uint32_t)(line - buf);
    f->value = (uint32_t)(p - buf);
    f->value_len = (uint32_t)(end - p);
    f->name_len = (uint16_t)name_len;
    f->reserved = 0;
    const uint8_t id = recognise(line, name_len);
    f->id = id;
    if (id == CNC_HTTP_NAME_HOST)
        return take_host(h, p, end, f->value);
    if (id == CNC_HTTP_NAME_OTHER || id > CNC_HTTP_NAME_UPGRADE)
        return 0;
    return take_special(h, id, p, end);
}
