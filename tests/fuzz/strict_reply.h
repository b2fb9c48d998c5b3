/* SPDX-License-Identifier: MIT
 *
 * A client that takes nothing but what RFC 9112 and RFC 9110 say, and what the library promises of its replies. It shares
 * nothing with the library.
 */
#ifndef CNC_STRICT_REPLY_H
#define CNC_STRICT_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum strict_verdict {
    STRICT_BAD,  /* no valid reply begins like this */
    STRICT_CUT,  /* its end is missing */
    STRICT_WHOLE
};

struct strict_field {
    const char *name, *value;
    size_t name_len, value_len;
};

enum { STRICT_FIELDS = 64 };

struct strict_reply {
    const char *why; /* BAD: what is wrong */
    int status;
    struct strict_field fields[STRICT_FIELDS];
    unsigned field_count;
    bool has_length, is_chunked, closes, keeps;
    size_t length;
    size_t head_len, len; /* bytes of the head, and of all of it */
    char *body;           /* owned */
    size_t body_len;
};

struct strict_input {
    const char *p;
    size_t n;
    bool is_head; /* the answer to HEAD */
    int minor;    /* of the request */
    bool is_end;  /* the connection has ended behind these bytes */
};

static inline enum strict_verdict strict_bad(struct strict_reply *r, const char *why)
{
    r->why = why;
    return STRICT_BAD;
}

/* Length of a line at p that ends in CR LF, both of which stand nowhere else; -1: it does not end here; -2: bad. */
static inline long strict_line(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\r')
            return i + 1 == n ? -1 : p[i + 1] == '\n' ? (long)i : -2;
        if (p[i] == '\n' || p[i] == '\0')
            return -2;
    }
    return -1;
}

/* RFC 9110 §5.6.2 */
static inline bool strict_is_token(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_letter = (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9');
        if (!p[i] || (!is_letter && !strchr("!#$%&'*+-.^_`|~", p[i])))
            return false;
    }
    return n > 0;
}

/* RFC 9110 §5.5: visible bytes, also above ASCII, with blanks between. */
static inline bool strict_is_value(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_blank = p[i] == ' ' || p[i] == '\t';
        if (((unsigned char)p[i] < 0x21 && !is_blank) || p[i] == 0x7f || (is_blank && (i == 0 || i == n - 1)))
            return false;
    }
    return true;
}

static inline bool strict_is_name(const struct strict_field *f, const char *name)
{
    return f->name_len == strlen(name) && strncasecmp(f->name, name, f->name_len) == 0;
}

static inline bool strict_value_is(const struct strict_field *f, const char *value)
{
    return f->value_len == strlen(value) && memcmp(f->value, value, f->value_len) == 0;
}

/* RFC 9112 §4: the version, a blank, three digits, a blank, and a reason or none. */
static inline bool strict_status(struct strict_reply *r, const char *p, size_t n)
{
    if (n < 13 || memcmp(p, "HTTP/1.1 ", 9) != 0 || p[12] != ' ')
        return false;
    for (int i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        r->status = r->status * 10 + (p[i] - '0');
    }
    return r->status >= 200 && r->status <= 599 && strict_is_value(p + 13, n - 13);
}

static inline bool strict_number(const struct strict_field *f, size_t *out)
{
    *out = 0;
    for (size_t i = 0; i < f->value_len; i++) {
        if (f->value[i] < '0' || f->value[i] > '9' || i > 17)
            return false;
        *out = *out * 10 + (size_t)(f->value[i] - '0');
    }
    return f->value_len > 0;
}

/* RFC 9112 §5: no blank before the colon; one behind it. */
static inline enum strict_verdict strict_field(struct strict_reply *r, const char *p, size_t n)
{
    const char *colon = memchr(p, ':', n);
    if (!colon || colon + 1 == p + n || colon[1] != ' ')
        return strict_bad(r, "a field line without a colon and a blank");
    struct strict_field f = { p, colon + 2, (size_t)(colon - p), (size_t)(p + n - colon - 2) };
    if (!strict_is_token(f.name, f.name_len) || !strict_is_value(f.value, f.value_len))
        return strict_bad(r, "a field's name or value");
    if (r->field_count == STRICT_FIELDS)
        return strict_bad(r, "more fields than anybody has asked for");
    for (unsigned i = 0; i < r->field_count; i++) {
        static const char *const once[] = { "Date", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection" };
        for (size_t k = 0; k < sizeof once / sizeof *once; k++)
            if (strict_is_name(&f, once[k]) && strict_is_name(&r->fields[i], once[k]))
                return strict_bad(r, "a field twice that stands once");
    }
    r->fields[r->field_count++] = f;
    if (strict_is_name(&f, "Content-Length")) {
        r->has_length = true;
        if (!strict_number(&f, &r->length))
            return strict_bad(r, "Content-Length is no number");
    } else if (strict_is_name(&f, "Transfer-Encoding")) {
        r->is_chunked = true;
        if (!strict_value_is(&f, "chunked"))
            return strict_bad(r, "another coding than chunked");
    } else if (strict_is_name(&f, "Connection")) {
        r->closes = strict_value_is(&f, "close");
        r->keeps = strict_value_is(&f, "keep-alive");
        if (!r->closes && !r->keeps)
            return strict_bad(r, "another Connection than close or keep-alive");
    } else if (strict_is_name(&f, "Date") && f.value_len != 29) {
        return strict_bad(r, "a Date of another length");
    }
    return STRICT_WHOLE;
}

static inline bool strict_is_bodiless(const struct strict_reply *r, bool is_head)
{
    return is_head || r->status == 204 || r->status == 304;
}

/* RFC 9112 §6: exactly one way to tell the length where there is a body, none where there cannot be one. */
static inline enum strict_verdict strict_framing(struct strict_reply *r, const struct strict_input *in)
{
    if (r->has_length && r->is_chunked)
        return strict_bad(r, "both Content-Length and Transfer-Encoding");
    if (r->is_chunked && in->minor == 0)
        return strict_bad(r, "chunked for HTTP/1.0");
    if (r->is_chunked && (in->is_head || r->status == 205))
        return strict_bad(r, "chunked without a body");
    if ((r->status == 204 || r->status == 304) && (r->has_length || r->is_chunked))
        return strict_bad(r, "a length where there is no body");
    if (r->status == 205 && (!r->has_length || r->length))
        return strict_bad(r, "a 205 of another length than 0");
    if (in->minor == 0 && !r->closes && !r->keeps)
        return strict_bad(r, "HTTP/1.0 is not told whether the connection stays");
    if (in->minor && r->keeps)
        return strict_bad(r, "keep-alive on HTTP/1.1");
    if (!strict_is_bodiless(r, in->is_head) && !r->has_length && !r->is_chunked && (in->minor || !r->closes))
        return strict_bad(r, "nothing tells the body's length");
    return STRICT_WHOLE;
}

static inline void strict_add(struct strict_reply *r, const char *p, size_t n)
{
    memcpy(r->body + r->body_len, p, n);
    r->body_len += n;
}

/* RFC 9112 §7.1, without extensions, trailers, or zeros in front. */
static inline enum strict_verdict strict_chunks(struct strict_reply *r, const char *p, size_t n)
{
    for (size_t at = 0;;) {
        long line = strict_line(p + at, n - at);
        size_t size = 0;
        if (line == -1)
            return STRICT_CUT;
        if (line < 1 || line > 15 || (p[at] == '0' && line > 1))
            return strict_bad(r, "a chunk's size");
        for (long i = 0; i < line; i++) {
            const char *digits = "0123456789abcdef", *digit = strchr(digits, p[at + (size_t)i]);
            if (!digit)
                return strict_bad(r, "a chunk's size is no number");
            size = size * 16 + (size_t)(digit - digits);
        }
        at += (size_t)line + 2;
        size_t there = n - at < size ? n - at : size;
        strict_add(r, p + at, there);
        at += there;
        if (n - at < 2)
            return (n - at == 1 && p[at] != '\r') ? strict_bad(r, "no CR behind a chunk") : STRICT_CUT;
        if (memcmp(p + at, "\r\n", 2) != 0)
            return strict_bad(r, "no line end behind a chunk");
        at += 2;
        if (size == 0) {
            r->len = r->head_len + at;
            return STRICT_WHOLE;
        }
    }
}

static inline enum strict_verdict strict_body(struct strict_reply *r, const struct strict_input *in)
{
    const char *p = in->p + r->head_len;
    size_t n = in->n - r->head_len;
    r->len = r->head_len;
    r->body = malloc(n + 1);
    if (!r->body)
        abort();
    if (strict_is_bodiless(r, in->is_head))
        return STRICT_WHOLE;
    if (r->is_chunked)
        return strict_chunks(r, p, n);
    size_t there = r->has_length && r->length < n ? r->length : n;
    strict_add(r, p, there);
    r->len += there;
    if (r->has_length)
        return there == r->length ? STRICT_WHOLE : STRICT_CUT;
    return in->is_end ? STRICT_WHOLE : STRICT_CUT;
}

/* out->body is the caller's to free. */
static inline enum strict_verdict strict_reply_parse(struct strict_reply *r, const struct strict_input *in)
{
    memset(r, 0, sizeof *r);
    for (size_t at = 0;;) {
        long line = strict_line(in->p + at, in->n - at);
        if (line == -1)
            return STRICT_CUT;
        if (line < 0)
            return strict_bad(r, "a line's end, or a NUL");
        if (at && line == 0) {
            r->head_len = at + 2;
            break;
        }
        if (at == 0 && !strict_status(r, in->p, (size_t)line))
            return strict_bad(r, "the status line");
        if (at && strict_field(r, in->p + at, (size_t)line) == STRICT_BAD)
            return STRICT_BAD;
        at += (size_t)line + 2;
    }
    enum strict_verdict v = strict_framing(r, in);
    return v == STRICT_WHOLE ? strict_body(r, in) : v;
}

#endif
