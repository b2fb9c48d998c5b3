/* SPDX-License-Identifier: MIT
 *
 * method SP request-target SP HTTP-version (RFC 9112 §3), exactly one SP between the parts. First the bytes are checked,
 * then the version, then the form of the target, so that an HTTP/2 preface gets 505.
 */
#include "http/head.h"
#include "http/scan.h"

/* Bytes of the shortest line: one of method, one of target, two SP, the version. */
#define SHORTEST 12
#define VERSION_LEN 8

static struct cnc_http_span span_of(const char *buf, const char *p, const char *end)
{
    return (struct cnc_http_span){ (uint32_t)(p - buf), (uint32_t)(end - p) };
}

/* RFC 9112 §2.3: "HTTP/" DIGIT "." DIGIT; case matters. A higher minor is served as 1.1 (RFC 9110 §2.5),
 * another major is not served (RFC 9110 §15.6.6). */
static int take_version(struct cnc_http_head *h, const char *p, size_t n)
{
    if (CNC_LIKELY(n == VERSION_LEN && memcmp(p, "HTTP/1.1", VERSION_LEN) == 0)) {
        h->minor = 1;
        return 0;
    }
    if (n != VERSION_LEN || memcmp(p, "HTTP/", 5) != 0 || !cnc_is_digit(p[5]) || p[6] != '.' || !cnc_is_digit(p[7]))
        return 400;
    if (p[5] != '1')
        return 505;
    h->minor = p[7] != '0';
    return 0;
}

/* Skips "http://" or "https://", in upper or lower case (RFC 3986 §3.1). NULL: another scheme, or nothing follows. We have no
 * resources of other schemes. */
static const char *skip_scheme(const char *p, const char *end)
{
    if (end - p > 8 && cnc_equal_lower(p, 8, "https://", 8))
        return p + 8;
    if (end - p > 7 && cnc_equal_lower(p, 7, "http://", 7))
        return p + 7;
    return NULL;
}

/* RFC 9112 §3.2.2. "@" is no character of a host, so user information is refused (RFC 9110 §4.2.4). */
static int take_absolute(struct cnc_http_head *h, const char *buf, const char *p, const char *end)
{
    const char *host = skip_scheme(p, end);
    if (!host)
        return 400;
    const char *path = host;
    while (path < end && *path != '/' && *path != '?')
        path++;
    if (!cnc_http_is_authority(host, path, false))
        return 400;
    const char *query = path;
    while (query < end && *query != '?')
        query++;
    h->form = CNC_HTTP_ABSOLUTE;
    h->host = span_of(buf, host, path);
    h->path = span_of(buf, path, query);
    if (query < end)
        h->query = span_of(buf, query + 1, end);
    return 0;
}

/* Every form but origin-form. Only CONNECT has authority-form, and it has no other (RFC 9112 §3.2.3). It is refused here,
 * since after it the connection would no longer carry HTTP. */
static __attribute__((noinline)) int take_other_form(struct cnc_http_head *h, const char *buf, const char *p,
                                                     const char *end)
{
    if (h->method == CNC_HTTP_CONNECT)
        return cnc_http_is_authority(p, end, true) ? 501 : 400;
    /* RFC 9112 §3.2.4 */
    if (end - p == 1 && *p == '*') {
        h->form = CNC_HTTP_ASTERISK;
        h->path = h->target;
        return h->method == CNC_HTTP_OPTIONS ? 0 : 400;
    }
    return take_absolute(h, buf, p, end);
}

/* Returns the byte after the method and its SP, or NULL. */
static const char *take_method(struct cnc_http_head *h, const char *buf, const char *line)
{
    const char *p = line;
    if (CNC_LIKELY(memcmp(p, "GET ", 4) == 0)) {
        h->method = CNC_HTTP_GET;
        p += 3;
    } else {
        p = cnc_char_skip(p, CNC_CHAR_TOKEN);
        if (p == line || *p != ' ')
            return NULL;
        h->method = (uint8_t)cnc_http_method_parse(line, (size_t)(p - line));
    }
    h->method_text = span_of(buf, line, p);
    return p + 1;
}

CNC_HOT int cnc_http_request_line(struct cnc_http_head *h, const char *buf, const char *line, const char *end)
{
    if (end - line < SHORTEST)
        return 400;
    const char *target = take_method(h, buf, line);
    if (!target)
        return 400;
    const bool origin = *target == '/'; /* RFC 9112 §3.2.1 */
    const char *path_end = cnc_scan_target(target, end, '?');
    const char *query = *path_end == '?' ? path_end + 1 : NULL;
    const char *target_end = query ? cnc_scan_target(query, end, '#') : path_end;
    if (target_end == target || *target_end != ' ')
        return 400;
    h->target = span_of(buf, target, target_end);
    const int status = take_version(h, target_end + 1, (size_t)(end - target_end - 1));
    if (status)
        return status;
    if (CNC_UNLIKELY(!origin || h->method == CNC_HTTP_CONNECT))
        return take_other_form(h, buf, target, target_end);
    h->path = span_of(buf, target, path_end);
    if (query)
        h->query = span_of(buf, query, target_end);
    return 0;
}
