/* SPDX-License-Identifier: MIT
 *
 * Replies, read as strictly as RFC 9112 allows: the tests are about what the server sends.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "e2e/client.h"
#include "e2e/fill.h"
#include "e2e/harness.h"

/* Sets the kind by how the connection stands, or MALFORMED with a problem. false, for `return`. */
static bool broken(struct reply *r, const struct client *c, enum fill why, bool begun)
{
    if (why == FILL_TIMEOUT)
        r->kind = REPLY_TIMEOUT;
    else if (c->reset)
        r->kind = REPLY_RESET;
    else
        r->kind = begun ? REPLY_TRUNCATED : REPLY_NONE;
    return false;
}

static bool bad(struct reply *r, const char *problem)
{
    r->kind = REPLY_MALFORMED;
    r->problem = problem;
    return false;
}

static void take(struct client *c, size_t n)
{
    c->at += n;
    c->n -= n;
}

/* Waits for a line; its length without CRLF in *n, its start at c->in + c->at. */
static bool want_line(struct client *c, struct reply *r, size_t from, size_t *n, int64_t deadline)
{
    enum { LINE_MAX_BYTES = 1 << 20 };
    size_t looked = from;
    for (;;) {
        const char *lf = c->n > looked ? memchr(c->in + c->at + looked, '\n', c->n - looked) : NULL;
        if (lf) {
            *n = (size_t)(lf - (c->in + c->at)) - from;
            if (*n == 0 || lf[-1] != '\r')
                return bad(r, "a line ends with a bare LF");
            --*n;
            return memchr(c->in + c->at + from, '\r', *n) ? bad(r, "a bare CR") : true;
        }
        looked = c->n;
        if (looked > LINE_MAX_BYTES)
            return bad(r, "an endless line");
        enum fill got = client_fill(c, deadline);
        if (got != FILL_MORE)
            return broken(r, c, got, c->n > 0);
    }
}

static bool is_token_byte(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
           (ch != 0 && strchr("!#$%&'*+-.^_`|~", ch));
}

/* RFC 9112 §4: HTTP-version SP 3DIGIT SP [reason] */
static bool check_status_line(struct reply *r, const char *p, size_t n)
{
    if (n < 13 || memcmp(p, "HTTP/1.1 ", 9) != 0 || p[12] != ' ')
        return bad(r, "the status line");
    r->status = 0;
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9')
            return bad(r, "the status code");
        r->status = r->status * 10 + (p[i] - '0');
    }
    return true;
}

static bool check_field_line(struct reply *r, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && is_token_byte(p[i]))
        i++;
    if (i == 0 || i == n || p[i] != ':')
        return bad(r, "a field line");
    for (; i < n; i++)
        if ((unsigned char)p[i] < 0x20 && p[i] != '\t')
            return bad(r, "a control character in a field");
    return true;
}

/* The head up to its empty line, copied to r->head. */
static bool read_head(struct client *c, struct reply *r, int64_t deadline)
{
    size_t at = 0;
    for (;;) {
        size_t n;
        if (!want_line(c, r, at, &n, deadline))
            return false;
        const char *line = c->in + c->at + at;
        if (at > 0 && n == 0)
            break;
        if (!(at == 0 ? check_status_line(r, line, n) : check_field_line(r, line, n)))
            return false;
        at += n + 2;
    }
    free(r->head);
    r->head = malloc(at + 1); /* what was read has no NUL behind it, so no string function may look at it */
    ck_assert_ptr_nonnull(r->head);
    memcpy(r->head, c->in + c->at, at);
    r->head[at] = '\0';
    r->head_len = at;
    take(c, at + 2);
    return true;
}

const char *reply_field(const struct reply *r, const char *name, size_t *n)
{
    const size_t len = strlen(name);
    for (const char *p = r->head ? strchr(r->head, '\n') : NULL; p && p[1]; p = strchr(p + 1, '\n')) {
        if (strncasecmp(p + 1, name, len) != 0 || p[1 + len] != ':')
            continue;
        const char *value = p + 2 + len;
        while (*value == ' ' || *value == '\t')
            value++;
        *n = strcspn(value, "\r");
        return value;
    }
    return NULL;
}

bool reply_field_is(const struct reply *r, const char *name, const char *value)
{
    size_t n;
    const char *got = reply_field(r, name, &n);
    return got && n == strlen(value) && strncasecmp(got, value, n) == 0;
}

static int count_field(const struct reply *r, const char *name)
{
    int count = 0;
    const size_t len = strlen(name);
    for (const char *p = strchr(r->head, '\n'); p && p[1]; p = strchr(p + 1, '\n'))
        count += strncasecmp(p + 1, name, len) == 0 && p[1 + len] == ':';
    return count;
}

/* What must hold for every final reply's fields (RFC 9110 §6.6.1, §8.3, §8.6, §15.3.6; RFC 9112 §6). */
static bool check_fields(struct reply *r, uint64_t *length)
{
    size_t n;
    const char *value = reply_field(r, "Content-Length", &n);
    r->is_chunked = reply_field_is(r, "Transfer-Encoding", "chunked");
    r->says_close = reply_field_is(r, "Connection", "close");
    r->says_keep_alive = reply_field_is(r, "Connection", "keep-alive");
    r->has_length = value != NULL;
    if (count_field(r, "Date") != 1)
        return bad(r, "not one Date");
    if (count_field(r, "Content-Length") > 1 || count_field(r, "Transfer-Encoding") > 1 ||
        count_field(r, "Connection") > 1)
        return bad(r, "a field of framing twice");
    if (count_field(r, "Content-Type") > 1)
        return bad(r, "two Content-Types");
    if (reply_field(r, "Transfer-Encoding", &(size_t){ 0 }) && (!r->is_chunked || value))
        return bad(r, "Transfer-Encoding");
    *length = 0;
    for (size_t i = 0; value && i < n; i++) {
        if (value[i] < '0' || value[i] > '9' || n > 18)
            return bad(r, "Content-Length");
        *length = *length * 10 + (uint64_t)(value[i] - '0');
    }
    if (value && (n == 0 || r->status == 204 || r->status < 200))
        return bad(r, "Content-Length where none may be");
    if (r->status == 205 && (!value || *length))
        return bad(r, "205 whose end nobody can tell");
    return true;
}

/* Bodies. */

struct body {
    char *p;
    size_t n, size;
};

static void add(struct body *b, const char *p, size_t n)
{
    if (b->size - b->n < n + 1 || !b->p) {
        b->size = b->size * 2 + n + 1;
        b->p = realloc(b->p, b->size);
        ck_assert_ptr_nonnull(b->p);
    }
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

static bool read_length(struct client *c, struct reply *r, struct body *b, uint64_t left, int64_t deadline)
{
    while (left > 0) {
        if (c->n == 0) {
            enum fill got = client_fill(c, deadline);
            if (got != FILL_MORE)
                return broken(r, c, got, true);
        }
        size_t some = c->n < left ? c->n : (size_t)left;
        add(b, c->in + c->at, some);
        take(c, some);
        left -= some;
    }
    return true;
}

/* RFC 9112 §7.1, without extensions and trailers: the demo sends none. */
static bool read_chunks(struct client *c, struct reply *r, struct body *b, int64_t deadline)
{
    uint64_t size;
    do {
        size_t n;
        if (!want_line(c, r, 0, &n, deadline)) {
            r->kind = r->kind == REPLY_NONE ? REPLY_TRUNCATED : r->kind;
            return false;
        }
        char digits[20] = "", *end;
        if (n == 0 || n > 16)
            return bad(r, "a chunk size");
        memcpy(digits, c->in + c->at, n);
        size = strtoull(digits, &end, 16);
        if (*end != 0 || strspn(digits, "0123456789abcdefABCDEF") != n)
            return bad(r, "a chunk size");
        take(c, n + 2);
        if (!read_length(c, r, b, size, deadline))
            return false;
        struct body crlf = { 0 };
        bool ok = read_length(c, r, &crlf, 2, deadline);
        if (ok && memcmp(crlf.p, "\r\n", 2) != 0)
            ok = bad(r, "what follows a chunk");
        free(crlf.p);
        if (!ok)
            return false;
    } while (size > 0);
    return true;
}

static bool read_to_end(struct client *c, struct reply *r, struct body *b, int64_t deadline)
{
    r->ends_by_close = true;
    enum fill got;
    do {
        add(b, c->in + c->at, c->n);
        take(c, c->n);
    } while ((got = client_fill(c, deadline)) == FILL_MORE);
    return got == FILL_END && c->eof ? true : broken(r, c, got, true);
}

static bool read_body(struct client *c, struct reply *r, struct body *b, bool is_head, uint64_t length,
                      int64_t deadline)
{
    if (is_head || r->status == 204 || r->status == 304)
        return true;
    if (r->is_chunked)
        return read_chunks(c, r, b, deadline);
    if (r->has_length)
        return read_length(c, r, b, length, deadline);
    return read_to_end(c, r, b, deadline);
}

void client_read(struct client *c, struct reply *r, bool is_head, unsigned ms)
{
    const int64_t deadline = now_ms() + slow(ms);
    uint64_t length = 0;
    struct body body = { 0 };
    *r = (struct reply){ .kind = REPLY_OK };
    add(&body, "", 0);
    bool ok = read_head(c, r, deadline);
    while (ok && r->status == 100) {
        r->continues++;
        ok = read_head(c, r, deadline);
    }
    if (ok && (r->status < 200 || r->status > 599))
        ok = bad(r, "the status");
    if (ok && check_fields(r, &length))
        read_body(c, r, &body, is_head, length, deadline);
    r->body = body.p;
    r->body_len = body.n;
}

void reply_free(struct reply *r)
{
    free(r->head);
    free(r->body);
    r->head = r->body = NULL;
}

const char *reply_kind_name(const struct reply *r)
{
    static const char *const names[] = { "a reply",   "closed without a reply", "reset",
                                         "truncated", "no reply in time",       NULL };
    return r->kind == REPLY_MALFORMED ? r->problem : names[r->kind];
}
