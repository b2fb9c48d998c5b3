/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>

static int address_refuse(char *err, size_t size, const char *text, const char *fmt, ...) CNC_PRINTF(4, 5);

static int address_refuse(char *err, size_t size, const char *text, const char *fmt, ...)
{
    char why[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    (void)snprintf(err, size, "\"%.100s%s\": %s", text, strlen(text) > 100 ? "..." : "", why);
    return CONCUR_E_INVAL;
}

static struct cnc_slice rest_after(struct cnc_slice s, size_t n)
{
    return (struct cnc_slice){ s.p + n, s.n - n };
}

static bool has_prefix(struct cnc_slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

/* Removes the first word from *s and returns it. Words are separated by spaces or tabs. */
static struct cnc_slice next_word(struct cnc_slice *s)
{
    while (s->n && (*s->p == ' ' || *s->p == '\t'))
        *s = rest_after(*s, 1);
    struct cnc_slice word = { s->p, 0 };
    while (word.n < s->n && s->p[word.n] != ' ' && s->p[word.n] != '\t')
        word.n++;
    *s = rest_after(*s, word.n);
    return word;
}

static bool parse_port(struct cnc_slice s, in_port_t *out)
{
    uint64_t port;
    if (s.n > 5 || !cnc_parse_decimal(s.p, s.n, 65535, &port))
        return false;
    *out = htons((uint16_t)port);
    return true;
}

static bool parse_ipv4(struct cnc_address *a, struct cnc_slice host, in_port_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&a->addr;
    char copy[INET_ADDRSTRLEN];
    if (cnc_slice_equal(host, CNC_SLICE("localhost")))
        host = CNC_SLICE("127.0.0.1");
    if (host.n >= sizeof copy)
        return false;
    memcpy(copy, host.p, host.n);
    copy[host.n] = '\0';
    if (inet_pton(AF_INET, copy, &in->sin_addr) != 1)
        return false;
    in->sin_family = AF_INET;
    in->sin_port = port;
    a->kind = CNC_ADDRESS_IPV4;
    a->addr_len = sizeof *in;
    return true;
}

static bool parse_ipv6(struct cnc_address *a, struct cnc_slice host, in_port_t port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->addr;
    char copy[INET6_ADDRSTRLEN];
    if (host.n >= sizeof copy)
        return false;
    memcpy(copy, host.p, host.n);
    copy[host.n] = '\0';
    if (inet_pton(AF_INET6, copy, &in6->sin6_addr) != 1)
        return false;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = port;
    a->kind = CNC_ADDRESS_IPV6;
    a->addr_len = sizeof *in6;
    return true;
}

/* An IPv6 address in brackets. Errors are explained here, since bind() would only say "invalid argument". */
static int parse_brackets(struct cnc_address *a, struct cnc_slice host, in_port_t port, const char *text, char *err,
                          size_t size)
{
    const char *zone = memchr(host.p, '%', host.n);
    if (zone)
        return address_refuse(err, size, text, "zones such as %.*s are not supported", (int)(host.p + host.n - zone), zone);
    if (!parse_ipv6(a, host, port))
        return address_refuse(err, size, text, "no IPv6 address in the brackets");
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addr;
    if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
        return address_refuse(err, size, text, "a link-local address needs a zone, and zones are not supported");
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        char v4[CNC_ADDRESS_TEXT_MAX];
        cnc_address_text((const struct sockaddr *)&a->addr, a->addr_len, v4, sizeof v4);
        return address_refuse(err, size, text, "that is an IPv4 address; write %s", v4);
    }
    return CONCUR_OK;
}

/* HOST:PORT, separated by the last colon; an IPv6 address is in brackets (RFC 3986 §3.2.2). */
static int parse_ip(struct cnc_address *a, struct cnc_slice s, const char *text, char *err, size_t size)
{
    size_t colon = s.n;
    while (colon && s.p[colon - 1] != ':' && s.p[colon - 1] != ']')
        colon--;
    if (colon == 0 || s.p[colon - 1] != ':')
        return address_refuse(err, size, text, "no port; write ADDRESS:PORT, [IPV6]:PORT, *:PORT, unix:/PATH or fd:NUMBER");
    struct cnc_slice host = { s.p, colon - 1 };
    in_port_t port;
    if (!parse_port(rest_after(s, colon), &port))
        return address_refuse(err, size, text, "the port must be a number from 0 to 65535");
    if (cnc_slice_equal(host, CNC_SLICE("*"))) {
        a->any = true;
        return parse_ipv6(a, CNC_SLICE("::"), port) ? CONCUR_OK : CONCUR_E_INVAL;
    }
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return parse_brackets(a, (struct cnc_slice){ host.p + 1, host.n - 2 }, port, text, err, size);
    if (parse_ipv4(a, host, port))
        return CONCUR_OK;
    if (memchr(host.p, ':', host.n))
        return address_refuse(err, size, text, "an IPv6 address needs brackets: [::1]:80");
    if (host.n == 0)
        return address_refuse(err, size, text, "no host; write *:PORT for every address of this machine");
    return address_refuse(err, size, text, "host names are not looked up; write an IPv4 address, [IPV6], * or localhost");
}

static bool has_control(struct cnc_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static int parse_unix(struct cnc_address *a, struct cnc_slice path, const char *text, char *err, size_t size)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;
    if (path.n == 0 || path.p[0] != '/')
        return address_refuse(err, size, text, "the path must begin with /");
    if (path.n >= sizeof un->sun_path)
        return address_refuse(err, size, text, "the path is longer than %zu bytes", sizeof un->sun_path - 1);
    if (has_control(path)) /* it would break log lines */
        return address_refuse(err, size, text, "the path has a control character");
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    a->kind = CNC_ADDRESS_UNIX;
    a->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    return CONCUR_OK;
}

static int parse_fd(struct cnc_address *a, struct cnc_slice number, const char *text, char *err, size_t size)
{
    uint64_t fd;
    if (!cnc_parse_decimal(number.p, number.n, INT_MAX, &fd))
        return address_refuse(err, size, text, "fd: needs the number of an open descriptor");
    a->kind = CNC_ADDRESS_FD;
    a->fd = (int)fd;
    return CONCUR_OK;
}

static bool parse_mode(struct cnc_slice s, int *out)
{
    int mode = 0;
    if (s.n == 0 || s.n > 4)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '7')
            return false;
        mode = mode * 8 + (s.p[i] - '0');
    }
    *out = mode;
    return mode <= 0777;
}

static int parse_word(struct cnc_address *a, struct cnc_slice word, const char *text, char *err, size_t size)
{
    if (has_prefix(word, "tls=")) { /* refused, and not served without TLS instead */
        (void)address_refuse(err, size, text, "this version has no TLS: put a proxy in front that has it");
        return CONCUR_E_UNSUPPORTED;
    }
    if (has_prefix(word, "mode=")) {
        if (a->kind != CNC_ADDRESS_UNIX)
            return address_refuse(err, size, text, "mode= is for unix: only");
        if (!parse_mode(rest_after(word, 5), &a->unix_mode))
            return address_refuse(err, size, text, "mode= takes an octal number from 0 to 0777, such as 0660");
        return CONCUR_OK;
    }
    return address_refuse(err, size, text, "only mode=OCTAL may follow an address, and only one of unix:");
}

int cnc_address_parse(struct cnc_address *out, const char *text, char *err, size_t err_size)
{
    struct cnc_slice rest = { text, strlen(text) };
    struct cnc_slice word = next_word(&rest);
    int rc;
    memset(out, 0, sizeof *out);
    out->fd = -1;
    out->unix_mode = -1;
    if (has_prefix(word, "unix:"))
        rc = parse_unix(out, rest_after(word, 5), text, err, err_size);
    else if (has_prefix(word, "fd:"))
        rc = parse_fd(out, rest_after(word, 3), text, err, err_size);
    else
        rc = parse_ip(out, word, text, err, err_size);
    while (rc == CONCUR_OK && (word = next_word(&rest)).n)
        rc = parse_word(out, word, text, err, err_size);
    return rc;
}

/* Copies n bytes of text and a NUL if they fit. Returns n, or 0. */
static size_t address_put(char *out, size_t size, const char *text, size_t n)
{
    if (n >= size) {
        if (size)
            out[0] = '\0';
        return 0;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return n;
}

static size_t write_ipv4(char *out, const unsigned char b[4])
{
    size_t n = 0;
    for (int i = 0; i < 4; i++) {
        if (i)
            out[n++] = '.';
        n += cnc_decimal(out + n, b[i]);
    }
    return n;
}

static size_t write_port(char *out, in_port_t port)
{
    out[0] = ':';
    return 1 + cnc_decimal(out + 1, ntohs(port));
}

/* A socket for both families shows an IPv4 peer as [::ffff:192.0.2.1] (RFC 4291 §2.5.5.2); it is written as IPv4. */
static size_t write_ipv6(char *out, size_t size, const struct sockaddr_in6 *in6)
{
    size_t n = 0;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        n = write_ipv4(out, in6->sin6_addr.s6_addr + 12);
    } else {
        out[n++] = '[';
        if (!inet_ntop(AF_INET6, &in6->sin6_addr, out + n, (socklen_t)(size - n)))
            return 0;
        n += strlen(out + n);
        out[n++] = ']';
    }
    return n + write_port(out + n, in6->sin6_port);
}

static size_t write_unix(char *out, const struct sockaddr_un *un, socklen_t len)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t n = len > head ? (size_t)len - head : 0;
    memcpy(out, "unix:", 5);
    if (n > sizeof un->sun_path)
        n = sizeof un->sun_path;
    n = strnlen(un->sun_path, n);
    memcpy(out + 5, un->sun_path, n);
    return 5 + n;
}

size_t cnc_address_text(const struct sockaddr *sa, socklen_t len, char *out, size_t size)
{
    char text[CNC_ADDRESS_TEXT_MAX];
    size_t n = 0;
    if (len < (socklen_t)sizeof sa->sa_family)
        return address_put(out, size, "", 0);
    if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        unsigned char b[4];
        memcpy(b, &in->sin_addr, 4);
        n = write_ipv4(text, b);
        n += write_port(text + n, in->sin_port);
    } else if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof(struct sockaddr_in6)) {
        n = write_ipv6(text, sizeof text, (const struct sockaddr_in6 *)(const void *)sa);
    } else if (sa->sa_family == AF_UNIX) {
        n = write_unix(text, (const struct sockaddr_un *)(const void *)sa, len);
    }
    return address_put(out, size, text, n);
}
