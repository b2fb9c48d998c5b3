/* SPDX-License-Identifier: MIT
 *
 * uri-host [":" port] (RFC 9110 §4.2, RFC 3986 §3.2.2, §3.2.3), without user information.
 */
#include "http/chars.h"
#include "http/head.h"

/* dec-octet "." dec-octet "." dec-octet "." dec-octet (RFC 3986 §3.2.2) */
static bool is_ipv4(const char *p, const char *end)
{
    for (int octet = 0; octet < 4; octet++) {
        const char *digits = p;
        int value = 0;
        while (p < end && p - digits < 3 && cnc_is_digit(*p))
            value = value * 10 + (*p++ - '0');
        if (p == digits || value > 255 || (*digits == '0' && p - digits > 1))
            return false;
        if (octet < 3 && (p == end || *p++ != '.'))
            return false;
    }
    return p == end;
}

/* Groups of up to four hexadecimal digits: eight, or fewer around one "::"; an IPv4 address may be the last two. */
static bool is_ipv6(const char *p, const char *end)
{
    int groups = 0;
    bool gap = end - p >= 2 && p[0] == ':' && p[1] == ':';
    if (gap)
        p += 2;
    while (p < end) {
        const char *group = p;
        while (p < end && cnc_hex(*p) >= 0)
            p++;
        if (p < end && *p == '.')
            return (gap ? groups <= 5 : groups == 6) && is_ipv4(group, end);
        if (p == group || p - group > 4 || ++groups > 8)
            return false;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap)
                return false;
            gap = true;
            p++;
        }
    }
    return gap ? groups <= 7 : groups == 8;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ) */
static bool is_ip_future(const char *p, const char *end)
{
    const char *digits = ++p;
    while (p < end && cnc_hex(*p) >= 0)
        p++;
    if (p == digits || p == end || *p++ != '.' || p == end)
        return false;
    while (p < end && (cnc_char_is(*p, CNC_CHAR_HOST) || *p == ':'))
        p++;
    return p == end;
}

/* "[" IPv6address or IPvFuture "]"; returns the byte after it, or NULL. */
static const char *skip_literal(const char *p, const char *end)
{
    const char *close = memchr(p, ']', (size_t)(end - p));
    if (!close)
        return NULL;
    p++;
    if (p < close && cnc_lower(*p) == 'v')
        return is_ip_future(p, close) ? close + 1 : NULL;
    return is_ipv6(p, close) ? close + 1 : NULL;
}

/* Skips the rest of a reg-name from its first escape on; returns the byte after it, or NULL. */
static const char *skip_escapes(const char *p, const char *end)
{
    while (p < end && *p == '%') {
        /* an encoded NUL would become a NUL in the text of whoever decodes the host */
        if (end - p < 3 || cnc_hex(p[1]) < 0 || cnc_hex(p[2]) < 0 || (p[1] == '0' && p[2] == '0'))
            return NULL;
        p = cnc_char_skip(p + 3, CNC_CHAR_HOST);
    }
    return p;
}

/* Digits with a value of at most 65535; leading zeros are allowed. */
static __attribute__((noinline)) bool is_port(const char *p, const char *end)
{
    uint64_t value;
    return cnc_parse_decimal(p, (size_t)(end - p), UINT16_MAX, &value);
}

/* [ ":" port ], all of [p, end). The port may be empty (RFC 3986 §3.2.3). */
static inline bool is_port_part(const char *p, const char *end, bool need_port)
{
    if (p == end)
        return !need_port;
    if (*p++ != ':')
        return false;
    const char *port_end = cnc_char_skip(p, CNC_CHAR_DIGIT);
    if (port_end != end || (p == end && need_port))
        return false;
    return end - p < 5 || is_port(p, end);
}

/* A host that does not end at p: an address in brackets, or a name with an escape at p. */
static __attribute__((noinline)) bool is_odd_authority(const char *host, const char *p, const char *end, bool need_port)
{
    p = p == host && *p == '[' ? skip_literal(p, end) : skip_escapes(p, end);
    return p && p != host && is_port_part(p, end, need_port);
}

CNC_HOT bool cnc_http_is_authority(const char *p, const char *end, bool need_port)
{
    const char *host_end = cnc_char_skip(p, CNC_CHAR_HOST); /* reg-name, which covers IPv4 addresses too */
    if (CNC_UNLIKELY(host_end < end && *host_end != ':'))
        return is_odd_authority(p, host_end, end, need_port);
    /* RFC 9110 §4.2.1: an empty host is invalid */
    return host_end != p && is_port_part(host_end, end, need_port);
}
