/* SPDX-License-Identifier: MIT */
#include "load/response.h"

#include <string.h>

enum { HEAD_LINE_MAX = 65536 };

/* The expected text. */

void expected_init(struct expected *e, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    *e = (struct expected){ .text = len ? text : NULL, .len = (uint8_t)len };
    for (uint8_t i = 1, k = 0; i < e->len; i++) {
        while (k && text[i] != text[k])
            k = e->back[k - 1];
        k = (uint8_t)(k + (text[i] == text[k]));
        e->back[i] = k;
    }
}

static void look(struct response *r, const char *p, size_t n)
{
    const struct expected *e = r->expected;
    const char *end = p + n;
    r->body_len += n;
    if (r->found)
        return;
    for (; p < end; p++) {
        if (r->matched == 0 && !(p = memchr(p, e->text[0], (size_t)(end - p))))
            return;
        while (r->matched && *p != e->text[r->matched])
            r->matched = e->back[r->matched - 1];
        r->matched = (uint8_t)(r->matched + (*p == e->text[r->matched]));
        if (r->matched == e->len) {
            r->found = true;
            return;
        }
    }
}

/* Lines. */

struct text {
    const char *p;
    size_t len;
};

/* Takes bytes up to the end of a line; *out is the line without CRLF, cut to RESPONSE_LINE_MAX. False: the line is not
 * complete, or not valid. */
static bool take_line(struct response *r, const char **p, const char *end, struct text *out)
{
    const char *lf = memchr(*p, '\n', (size_t)(end - *p));
    size_t n = (size_t)((lf ? lf : end) - *p);
    size_t room = RESPONSE_LINE_MAX - r->line_len, kept = n < room ? n : room;
    char last = n ? (*p)[n - 1] : r->last;
    if (lf && r->line_seen == 0) {
        *out = (struct text){ *p, kept };
    } else {
        memcpy(r->line + r->line_len, *p, kept);
        r->line_len += (uint32_t)kept;
        *out = (struct text){ r->line, r->line_len };
    }
    r->line_seen += (uint32_t)n;
    r->last = last;
    size_t whole = r->line_seen;
    if (whole > HEAD_LINE_MAX || (lf && (whole == 0 || last != '\r'))) {
        r->state = RESPONSE_GARBLED;
        return false;
    }
    *p = lf ? lf + 1 : end;
    if (!lf)
        return false;
    out->len -= out->len == whole; /* its CR */
    r->line_len = r->line_seen = 0;
    return true;
}

static bool same(const char *p, size_t len, const char *word)
{
    if (strlen(word) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] | 0x20) : p[i];
        if (c != word[i])
            return false;
    }
    return true;
}

static struct text trim(struct text t)
{
    while (t.len && (*t.p == ' ' || *t.p == '\t'))
        t.p++, t.len--;
    while (t.len && (t.p[t.len - 1] == ' ' || t.p[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* Does a list such as "keep-alive, close" have the word? */
static bool has_word(struct text list, const char *word)
{
    while (list.len) {
        const char *comma = memchr(list.p, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.p) : list.len;
        struct text one = trim((struct text){ list.p, len });
        if (same(one.p, one.len, word))
            return true;
        len += comma != NULL;
        list = (struct text){ list.p + len, list.len - len };
    }
    return false;
}

static bool parse_status(struct response *r, struct text t)
{
    if (t.len < 12 || memcmp(t.p, "HTTP/1.", 7) != 0 || (t.p[7] != '1' && t.p[7] != '0') || t.p[8] != ' ')
        return false;
    for (int i = 9; i < 12; i++)
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
    r->status = (t.p[9] - '0') * 100 + (t.p[10] - '0') * 10 + (t.p[11] - '0');
    r->is_old = r->closes = t.p[7] == '0';
    return r->status >= 100 && r->status < 600 && (t.len == 12 || t.p[12] == ' ');
}

static bool parse_length(struct response *r, struct text v)
{
    uint64_t n = 0;
    if (v.len == 0 || v.len > 18)
        return false;
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    if (r->has_length && r->left != n)
        return false;
    r->has_length = true;
    r->left = n;
    return true;
}

static bool parse_field(struct response *r, struct text t)
{
    const char *colon = memchr(t.p, ':', t.len);
    size_t len = colon ? (size_t)(colon - t.p) : 0;
    if (len == 0 || memchr(t.p, ' ', len) || memchr(t.p, '\t', len))
        return !colon && t.len == RESPONSE_LINE_MAX; /* such a long name is none that is looked for */
    struct text value = trim((struct text){ colon + 1, t.len - len - 1 });
    if (len == 14 && same(t.p, len, "content-length"))
        return parse_length(r, value);
    if (len == 17 && same(t.p, len, "transfer-encoding")) {
        bool first = !r->is_chunked;
        r->is_chunked = true;
        return first && same(value.p, value.len, "chunked");
    }
    if (len == 10 && same(t.p, len, "connection")) {
        r->closes = has_word(value, "close") || (r->closes && !has_word(value, "keep-alive"));
        return true;
    }
    if (len == 11 && same(t.p, len, "retry-after"))
        r->has_retry_after = true;
    return true;
}

static unsigned hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* RFC 9112, section 6.3. */
static enum response_state after_head(struct response *r)
{
    if (r->is_chunked && (r->has_length || r->is_old))
        return RESPONSE_GARBLED;
    if (r->status < 200 && r->status != 101) {
        bool is_head = r->is_head;
        response_begin(r, is_head, r->expected);
        return RESPONSE_STATUS;
    }
    if (r->status == 101)
        r->closes = true;
    if (r->is_head || r->status == 101 || r->status == 204 || r->status == 304)
        return RESPONSE_DONE;
    if (r->is_chunked)
        return RESPONSE_CHUNK_SIZE;
    if (r->has_length)
        return r->left ? RESPONSE_BODY : RESPONSE_DONE;
    r->closes = true;
    return RESPONSE_UNTIL_CLOSE;
}

static enum response_state after_chunk_size(struct response *r, struct text t)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < t.len && i < 16 && hex_of(t.p[i]) < 16; i++)
        n = n << 4 | hex_of(t.p[i]);
    if (i == 0 || i == 16 || (i < t.len && t.p[i] != ';' && t.p[i] != ' ' && t.p[i] != '\t'))
        return RESPONSE_GARBLED;
    r->left = n;
    return n ? RESPONSE_CHUNK : RESPONSE_TRAILERS;
}

static void on_line(struct response *r, struct text t)
{
    switch (r->state) {
    case RESPONSE_STATUS: r->state = parse_status(r, t) ? RESPONSE_FIELDS : RESPONSE_GARBLED; break;
    case RESPONSE_FIELDS:
        if (t.len == 0)
            r->state = after_head(r);
        else if (!parse_field(r, t))
            r->state = RESPONSE_GARBLED;
        break;
    case RESPONSE_CHUNK_SIZE: r->state = after_chunk_size(r, t); break;
    case RESPONSE_CHUNK_END: r->state = t.len == 0 ? RESPONSE_CHUNK_SIZE : RESPONSE_GARBLED; break;
    case RESPONSE_TRAILERS: r->state = t.len == 0 ? RESPONSE_DONE : RESPONSE_TRAILERS; break;
    default: break;
    }
}

static size_t take_body(struct response *r, const char *p, size_t n)
{
    size_t take = r->state != RESPONSE_UNTIL_CLOSE && r->left < n ? (size_t)r->left : n;
    look(r, p, take);
    if (r->state == RESPONSE_UNTIL_CLOSE)
        return take;
    r->left -= take;
    if (r->left == 0)
        r->state = r->state == RESPONSE_BODY ? RESPONSE_DONE : RESPONSE_CHUNK_END;
    return take;
}

static bool in_body(const struct response *r)
{
    return r->state == RESPONSE_BODY || r->state == RESPONSE_CHUNK || r->state == RESPONSE_UNTIL_CLOSE;
}

void response_begin(struct response *r, bool is_head, const struct expected *e)
{
    memset(r, 0, offsetof(struct response, line));
    r->is_head = is_head;
    r->expected = e;
    r->found = !e->text;
}

size_t response_feed(struct response *r, const char *bytes, size_t n)
{
    const char *p = bytes, *end = bytes + n;
    struct text line;
    while (p < end && r->state < RESPONSE_DONE) {
        if (in_body(r))
            p += take_body(r, p, (size_t)(end - p));
        else if (take_line(r, &p, end, &line))
            on_line(r, line);
    }
    return (size_t)(p - bytes);
}

bool response_eof(struct response *r)
{
    if (r->state != RESPONSE_UNTIL_CLOSE)
        return false;
    r->state = RESPONSE_DONE;
    return true;
}
