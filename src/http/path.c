/* SPDX-License-Identifier: MIT
 *
 * Percent-decoding, once, and dot segments (RFC 3986 §2.1, §5.2.4).
 */
#include "http/http.h"

/* The byte that "%XX" at p stands for, or -1 when the escape is broken or stands for NUL. */
static int unescape(const char *p, const char *end)
{
    if (end - p < 3)
        return -1;
    const int high = cnc_hex(p[1]);
    const int low = cnc_hex(p[2]);
    const int value = high * 16 + low;
    return high < 0 || low < 0 || value == 0 ? -1 : value;
}

/* The segment out[start..at) is complete: removes it if it is ".", and with the one before it if it is "..". Returns the new
 * length, or -1 if ".." would leave the root. out[0] and out[start - 1] are "/". Dots are compared after decoding, since "%2e"
 * and "." are the same (RFC 3986 §6.2.2.2). */
static long end_segment(const char *out, long start, long at)
{
    const long n = at - start;
    if (n == 0 || n > 2 || out[start] != '.')
        return at;
    if (n == 1)
        return start;
    if (out[start + 1] != '.')
        return at;
    if (start == 1)
        return -1;
    for (start--; out[start - 1] != '/';)
        start--;
    return start;
}

/* Decodes one segment to out[at..]; returns the new length or -1. *p is left at its "/" or at end. */
static long decode_segment(char *out, long at, const char **p, const char *end)
{
    for (; *p < end && **p != '/'; (*p)++) {
        char c = **p;
        if (c == '%') {
            const int value = unescape(*p, end);
            /* an encoded "/" is data (RFC 3986 §2.2), which a decoded path cannot express */
            if (value < 0 || value == '/')
                return -1;
            c = (char)value;
            *p += 2;
        } else if (c == '\0') {
            return -1;
        }
        out[at++] = c;
    }
    return at;
}

CNC_HOT long cnc_http_path_decode(char *out, const char *p, size_t n)
{
    const char *end = p + n;
    long at = 0;
    if (n == 1 && *p == '*') { /* asterisk-form (RFC 9112 §3.2.4) */
        out[at++] = '*';
        p++;
    } else if (n > 0 && *p != '/') {
        return -1;
    }
    if (p < end) {
        out[at++] = '/';
        p++;
    }
    while (p < end) {
        const long start = at;
        const long whole = decode_segment(out, at, &p, end);
        if (whole < 0 || (at = end_segment(out, start, whole)) < 0)
            return -1;
        if (p < end) {
            if (at == whole) /* if the segment was removed, out ends with a "/" already */
                out[at++] = '/';
            p++;
        }
    }
    out[at] = '\0';
    return at;
}

CNC_HOT long cnc_http_path_of(char *out, const struct cnc_http_head *head, const char *bytes)
{
    if (CNC_LIKELY(head->path.len && head->form != CNC_HTTP_ASTERISK))
        return cnc_http_path_decode(out, bytes + head->path.at, head->path.len);
    memcpy(out, head->form == CNC_HTTP_ASTERISK ? "*" : "/", 2);
    return 1;
}

long cnc_http_form_decode(char *out, const char *p, size_t n)
{
    const char *end = p + n;
    long at = 0;
    for (; p < end; p++) {
        int c = *p;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            c = unescape(p, end);
            if (c < 0)
                return -1;
            p += 2;
        } else if (c == '\0') {
            return -1;
        }
        out[at++] = (char)c;
    }
    out[at] = '\0';
    return at;
}
