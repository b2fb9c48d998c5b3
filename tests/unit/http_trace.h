/* SPDX-License-Identifier: MIT
 *
 * Runs the machine over a connection's bytes as they come in and writes down what it says, so that two ways of cutting
 * the same bytes can be compared. Serves the unit tests and the fuzz target; a broken promise of the machine ends the
 * process.
 */
#ifndef HTTP_TRACE_H
#define HTTP_TRACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/http.h"

#define TRACE_FIELDS 64
#define TRACE_ENSURE(x)                                                                                                \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct trace_text {
    char *p;
    size_t n, max;
};

struct trace {
    const struct cnc_http_limits *limits;
    struct trace_text summary; /* for people; as http_table.h has it */
    struct trace_text detail;  /* everything, for comparison */
    struct cnc_http_head head;
    struct cnc_http_body body;
    struct cnc_http_field fields[TRACE_FIELDS + 1]; /* the last one is a guard */
    size_t start;                                   /* of what is not consumed */
    bool in_body, has_data, over;
};

static inline void trace_add(struct trace_text *t, const void *p, size_t n)
{
    if (t->n + n > t->max) {
        t->max = (t->n + n) * 2 + 256;
        t->p = realloc(t->p, t->max);
        TRACE_ENSURE(t->p);
    }
    if (n)
        memcpy(t->p + t->n, p, n);
    t->n += n;
}

static inline void trace_add_text(struct trace_text *t, const char *s)
{
    trace_add(t, s, strlen(s));
}

static inline void trace_add_number(struct trace_text *t, const char *before, long long v)
{
    char text[64];
    snprintf(text, sizeof text, "%s%lld", before, v);
    trace_add_text(t, text);
}

static inline void trace_add_span(struct trace_text *t, const char *head, uint32_t head_len, uint32_t at, uint32_t n)
{
    TRACE_ENSURE(at <= head_len && n <= head_len - at);
    trace_add_number(t, " ", at);
    trace_add_number(t, "+", n);
    trace_add(t, head + at, n);
}

static inline void trace_init(struct trace *t, const struct cnc_http_limits *limits)
{
    memset(t, 0, sizeof *t);
    t->limits = limits;
    TRACE_ENSURE(limits->fields_max <= TRACE_FIELDS);
    memset(&t->fields[limits->fields_max], 0x5a, sizeof t->fields[0]);
    cnc_http_head_init(&t->head, t->fields);
}

static inline void trace_deinit(struct trace *t)
{
    free(t->summary.p);
    free(t->detail.p);
}

static inline void trace_summarise(struct trace_text *s, const struct cnc_http_head *h, const char *p)
{
    if (s->n)
        trace_add_text(s, " ");
    trace_add(s, p + h->method_text.at, h->method_text.len);
    trace_add_text(s, h->form == CNC_HTTP_ORIGIN ? " o " : h->form == CNC_HTTP_ABSOLUTE ? " a " : " * ");
    trace_add(s, p + h->path.at, h->path.len);
    if (h->query.len)
        trace_add_text(s, "?");
    trace_add(s, p + h->query.at, h->query.len);
    trace_add_text(s, " @");
    trace_add(s, p + h->host.at, h->host.len);
    trace_add_text(s, h->minor ? " 1.1 " : " 1.0 ");
    static const char letters[] = "KCEU";
    for (int i = 0; i < 4; i++)
        if (h->flags & (1 << i))
            trace_add(s, &letters[i], 1);
    if (h->flags == 0)
        trace_add_text(s, "-");
}

static inline void trace_detail(struct trace_text *d, const struct cnc_http_head *h, const char *p)
{
    trace_add_number(d, "\nHEAD ", h->len);
    trace_add_number(d, " method ", h->method);
    trace_add_number(d, " form ", h->form);
    trace_add_number(d, " minor ", h->minor);
    trace_add_number(d, " flags ", h->flags);
    trace_add_number(d, " length ", (long long)h->content_length);
    const struct cnc_http_span *spans[] = { &h->method_text, &h->target, &h->path, &h->query, &h->host };
    for (size_t i = 0; i < CNC_COUNT(spans); i++)
        trace_add_span(d, p, h->len, spans[i]->at, spans[i]->len);
    for (size_t i = 0; i < h->field_count; i++) {
        const struct cnc_http_field *f = &h->fields[i];
        TRACE_ENSURE(f->id < CNC_HTTP_NAME_COUNT && f->reserved == 0);
        trace_add_number(d, "\nfield ", f->id);
        trace_add_span(d, p, h->len, f->name, f->name_len);
        trace_add_span(d, p, h->len, f->value, f->value_len);
        TRACE_ENSURE(cnc_http_is_token(p + f->name, f->name_len) && cnc_http_is_value(p + f->value, f->value_len));
        TRACE_ENSURE(p[f->name + f->name_len] == ':' && f->value + f->value_len < h->len);
    }
}

static inline void trace_bad(struct trace *t, int status)
{
    TRACE_ENSURE(status == 400 || status == 414 || status == 431 || status == 501 || status == 505);
    if (t->has_data)
        trace_add_text(&t->summary, "]");
    trace_add_number(&t->summary, t->summary.n ? " !" : "!", status);
    trace_add_number(&t->detail, "\nBAD ", status);
    t->over = true;
}

/* Returns false when more input is needed. */
static inline bool trace_head(struct trace *t, const char *p, size_t n)
{
    const int rc = cnc_http_head_parse(&t->head, t->limits, p, n);
    TRACE_ENSURE(memcmp(&t->fields[t->limits->fields_max], "\x5a\x5a\x5a\x5a\x5a\x5a\x5a\x5a", 8) == 0);
    if (rc == CNC_HTTP_HEAD_MORE) {
        TRACE_ENSURE(n < t->limits->head_max);
        return false;
    }
    TRACE_ENSURE(cnc_http_head_parse(&t->head, t->limits, p, n) == rc); /* a verdict stays */
    if (rc != CNC_HTTP_HEAD_DONE) {
        trace_bad(t, rc);
        return true;
    }
    TRACE_ENSURE(t->head.len <= n && t->head.len <= t->limits->head_max &&
                 t->head.field_count <= t->limits->fields_max);
    trace_summarise(&t->summary, &t->head, p);
    trace_detail(&t->detail, &t->head, p);
    t->start += t->head.len;
    t->in_body = true;
    cnc_http_body_init(&t->body, &t->head);
    return true;
}

static inline void trace_end(struct trace *t)
{
    trace_add_text(&t->summary, t->has_data ? "] ." : " .");
    trace_add_text(&t->detail, "\nEND");
    TRACE_ENSURE(cnc_http_body_is_done(&t->body) && cnc_http_body_left(&t->body) == 0);
    t->in_body = t->has_data = false;
    if (!(t->head.flags & CNC_HTTP_KEEP_ALIVE)) {
        trace_add_text(&t->summary, "x");
        t->over = true;
    }
    cnc_http_head_init(&t->head, t->fields);
}

static inline bool trace_body(struct trace *t, const char *p, size_t n)
{
    struct cnc_slice in = { p, n };
    struct cnc_slice data = { NULL, 0 };
    const int64_t left = cnc_http_body_left(&t->body);
    TRACE_ENSURE(left == -1 || (left >= 0 && !(t->head.flags & CNC_HTTP_CHUNKED)));
    const int rc = cnc_http_body_next(&t->body, t->limits, &in, &data);
    TRACE_ENSURE(in.p >= p && in.p <= p + n && in.n == (size_t)(p + n - in.p));
    t->start += (size_t)(in.p - p);
    if (rc == CNC_HTTP_BODY_MORE) {
        TRACE_ENSURE(in.n == 0);
        return false;
    }
    if (rc == CNC_HTTP_BODY_END) {
        trace_end(t);
    } else if (rc == CNC_HTTP_BODY_DATA) {
        TRACE_ENSURE(data.n > 0 && data.p >= p && data.p + data.n == in.p);
        TRACE_ENSURE(left < 0 || cnc_http_body_left(&t->body) == left - (int64_t)data.n);
        if (!t->has_data) {
            trace_add_text(&t->summary, " [");
            trace_add_text(&t->detail, "\nDATA ");
        }
        t->has_data = true;
        trace_add(&t->summary, data.p, data.n);
        trace_add(&t->detail, data.p, data.n);
    } else {
        TRACE_ENSURE(cnc_http_body_next(&t->body, t->limits, &in, &data) == rc && !cnc_http_body_is_done(&t->body));
        trace_bad(t, rc);
    }
    return true;
}

/* Lets the machine go on over p[0..n), which must be what begins at t->start of the connection; p may be elsewhere each
 * time. */
static inline void trace_feed(struct trace *t, const char *p, size_t n)
{
    const size_t base = t->start;
    bool more = true;
    while (more && !t->over) {
        const size_t used = t->start - base;
        more = t->in_body ? trace_body(t, p + used, n - used) : trace_head(t, p + used, n - used);
    }
}

/* After the last feed. */
static inline void trace_finish(struct trace *t, bool idle)
{
    if (t->has_data && !t->over)
        trace_add_text(&t->summary, "]");
    if (!t->over && !(idle && t->summary.n))
        trace_add_text(&t->summary, t->summary.n ? " ~" : "~");
    trace_add_text(&t->detail, t->over ? "\nOVER" : "\nOPEN");
}

#endif
