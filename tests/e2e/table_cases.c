/* SPDX-License-Identifier: MIT
 *
 * Every row of the table on every engine, whole and in pieces of a byte, with a further request right behind it. The
 * engines must answer alike to the last byte but the date's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"
#include "e2e/table.h"

#define NEXT "GET /hello/next HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"

enum { PIECES = 2000 };
enum { SLICES = 12 }; /* of the table: each a test, with one demo of every engine for all its rows */

struct bytes {
    char *p;
    size_t n;
};

static struct demo demos[ENGINES_MAX + 1];
static const char *reference;
static void (*at_end)(const struct demo *d);

/* The reference, if there is one, is the first. */
static int demo_count(void)
{
    return engine_count() + (reference != NULL);
}

/* The engine of the i-th demo; its program is the one that demo_start() starts next. */
static const char *choose(int i)
{
    static char usual[4096];
    if (!reference)
        return engine_name(i);
    if (!*usual)
        snprintf(usual, sizeof usual, "%s", demo_program());
    setenv("CONCUR_DEMO", i == 0 ? reference : usual, 1);
    return engine_name(i == 0 ? 0 : i - 1);
}

#define START_ALL(...)                                                                                                 \
    for (int e = 0; e < demo_count(); e++)                                                                             \
    demo_start(&demos[e], choose(e), TABLE_OPTIONS, ##__VA_ARGS__, NULL)

static void stop_all(void)
{
    for (int e = 0; e < demo_count(); e++)
        demo_stop(&demos[e], WAIT_MS);
}

static struct bytes build(const struct row *row, bool has_next)
{
    const size_t unit = row->unit ? strlen(row->unit) : 0, tail = row->tail ? strlen(row->tail) : 0;
    const size_t next = has_next ? sizeof NEXT - 1 : 0;
    struct bytes b = { malloc(row->n + unit * row->times + tail + next), 0 };
    ck_assert_ptr_nonnull(b.p);
    memcpy(b.p, row->bytes, row->n);
    b.n = row->n;
    for (unsigned i = 0; i < row->times; i++, b.n += unit)
        memcpy(b.p + b.n, row->unit, unit);
    if (tail > 0)
        memcpy(b.p + b.n, row->tail, tail);
    b.n += tail;
    memcpy(b.p + b.n, NEXT, next);
    b.n += next;
    return b;
}

/* Head without its Date line, and body. */
static void append_reply(struct bytes *to, const struct reply *r)
{
    const char *date = strstr(r->head, "\r\nDate:");
    ck_assert_ptr_nonnull(date);
    const char *rest = strstr(date + 2, "\r\n");
    char *p = realloc(to->p, to->n + r->head_len + r->body_len);
    ck_assert_ptr_nonnull(p);
    to->p = p;
    const size_t before = (size_t)(date - r->head), after = r->head_len - (size_t)(rest - r->head);
    memcpy(p + to->n, r->head, before);
    memcpy(p + to->n + before, rest, after);
    memcpy(p + to->n + before + after, r->body, r->body_len);
    to->n += before + after + r->body_len;
}

static void check_reply(const struct row *row, const struct reply *r, const char *where)
{
    ck_assert_msg(r->kind == REPLY_OK, "%s: %s: %s%s", where, row->name, reply_kind_name(r), demo_end());
    ck_assert_msg(r->status == row->status || (row->other && r->status == row->other), "%s: %s: %d, expected %d", where,
                  row->name, r->status, row->status);
    ck_assert_msg(r->continues == row->continues, "%s: %s: %d times 100 Continue", where, row->name, r->continues);
    if (row->body)
        ck_assert_msg(strcmp(r->body, row->body) == 0, "%s: %s: body \"%s\"", where, row->name, r->body);
    if (row->head)
        ck_assert_msg(strstr(r->head, row->head) != NULL, "%s: %s: no %s in\n%s", where, row->name, row->head, r->head);
    size_t n;
    ck_assert_msg(!row->lacks || !reply_field(r, row->lacks, &n), "%s: %s: %s in\n%s", where, row->name, row->lacks,
                  r->head);
    ck_assert_msg(!row->has_allow || reply_field(r, "Allow", &n), "%s: %s: no Allow", where, row->name);
    ck_assert_msg(r->ends_by_close || row->fate == EITHER || r->says_close == (row->fate == CLOSE),
                  "%s: %s: the fate it tells:\n%s", where, row->name, r->head);
}

/* A client that has asked for the end must not send more (RFC 9112 section 9.6). What it sends all the same is read if it is there
 * before the server closes, so the request behind it is sent only if all is sent at once: what comes byte by byte can
 * come after the close, and the reset that answers it can overtake the reply. */
static bool ends_with_row(const struct row *row, bool in_pieces)
{
    return in_pieces && row->fate == CLOSE && row->status < 400;
}

/* What follows is answered, or nothing is and the end is clean. */
static void check_fate(const struct row *row, struct client *c, const struct reply *first, struct bytes *seen,
                       const char *where)
{
    const bool closes = row->fate == CLOSE || (row->fate == EITHER && (first->says_close || first->ends_by_close));
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    if (closes) {
        ck_assert_msg(r.kind == REPLY_NONE, "%s: %s: after it: %s %s", where, row->name, reply_kind_name(&r),
                      r.head ? r.head : "");
    } else {
        ck_assert_msg(r.kind == REPLY_OK, "%s: %s: the request behind it: %s", where, row->name, reply_kind_name(&r));
        ck_assert_msg(strcmp(r.body, "hello next") == 0, "%s: %s: the request behind it: %d %s", where, row->name,
                      r.status, r.body);
        append_reply(seen, &r);
    }
    reply_free(&r);
}

static struct bytes run_row(const struct row *row, const struct demo *d, bool in_pieces)
{
    char where[64];
    snprintf(where, sizeof where, "%s, %s", d->engine, in_pieces ? "byte by byte" : "whole");
    struct bytes request = build(row, !ends_with_row(row, in_pieces)), seen = { NULL, 0 };
    struct client c;
    struct reply r;
    client_open(&c, d->port);
    /* The server may close before it has taken all: what it answered counts. */
    const size_t piece = reference ? 1 + request.n / PIECES : 1; /* long ones byte by byte are e2e_table's alone */
    (void)(in_pieces ? client_send_pieces(&c, request.p, request.n, piece) : client_send(&c, request.p, request.n));
    client_read(&c, &r, strncmp(row->bytes, "HEAD", 4) == 0, WAIT_MS);
    check_reply(row, &r, where);
    append_reply(&seen, &r);
    check_fate(row, &c, &r, &seen, where);
    client_close(&c);
    reply_free(&r);
    free(request.p);
    expect_alive(d->port, WAIT_MS);
    return seen;
}

static void compare(const char *name, const struct bytes *a, const struct bytes *b, const char *how)
{
    ck_assert_msg(a->n == b->n && memcmp(a->p, b->p, a->n) == 0, "%s: %s:\n%.*s\n---\n%.*s", name, how, (int)a->n, a->p,
                  (int)b->n, b->p);
}

static void run_everywhere(const struct row *row)
{
    struct bytes first = { NULL, 0 };
    for (int e = 0; e < demo_count(); e++) {
        struct bytes whole = run_row(row, &demos[e], false);
        if (row->n + row->times < 400) {
            struct bytes pieces = run_row(row, &demos[e], true);
            compare(row->name, &whole, &pieces, "whole and in pieces differ");
            free(pieces.p);
        }
        if (e == 0) {
            first = whole;
            continue;
        }
        compare(row->name, &first, &whole, "engines differ");
        free(whole.p);
    }
    free(first.p);
}

START_TEST(rows)
{
    const size_t from = table_row_count * (size_t)_i / SLICES, to = table_row_count * (size_t)(_i + 1) / SLICES;
    START_ALL();
    for (size_t r = from; r < to; r++)
        run_everywhere(&table_rows[r]);
    for (int e = reference != NULL; at_end && e < demo_count(); e++)
        at_end(&demos[e]);
    stop_all();
}
END_TEST

/* Every byte at each place of the grammar: engines agree on what it is. */

static void send_with(struct client *c, unsigned port, const char *format, unsigned char byte)
{
    char request[256];
    size_t n = strlen(format);
    memcpy(request, format, n);
    *(unsigned char *)memchr(request, '~', n) = byte;
    client_open(c, port);
    ck_assert(client_send(c, request, n));
}

static int read_status(struct client *c, const char *format, unsigned char byte, const char *engine)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK, "%s: byte %u in %s: %s", engine, byte, format, reply_kind_name(&r));
    int status = r.status;
    reply_free(&r);
    client_close(c);
    return status;
}

/* Statuses that a byte may cause. 500 and its like are not among them. */
static bool is_fair(int status)
{
    return status == 200 || status == 400 || status == 404 || status == 501 || status == 505;
}

/* A few bytes on all engines at the same time: some of them leave the server waiting for more until a deadline. */
static void try_bytes(const char *place, int from, int count)
{
    static struct client clients[ENGINES_MAX + 1][8];
    for (int e = 0; e < demo_count(); e++)
        for (int i = 0; i < count; i++)
            send_with(&clients[e][i], demos[e].port, place, (unsigned char)(from + i));
    for (int i = 0; i < count; i++) {
        int first = 0;
        for (int e = 0; e < demo_count(); e++) {
            const int b = from + i;
            int status = read_status(&clients[e][i], place, (unsigned char)b, demos[e].engine);
            ck_assert_msg(is_fair(status) || status == 408 || status == 413, "%s: byte %d in %s: %d", demos[e].engine, b,
                          place, status);
            first = e == 0 ? status : first;
            ck_assert_msg(status == first, "byte %d in %s: %d on %s, %d on %s", b, place, first, demos[0].engine, status,
                          demos[e].engine);
        }
    }
}

START_TEST(each_byte)
{
    /* The last lines give a request that a CR or LF in its place has cut off something to end with. */
    static const char *const places[] = {
        "~GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n\r\n\r\n\r\n\r\n",
        "G~T / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
        "GET~/ HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
        "GET /~ HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
        "GET /hello/x~ HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.~\r\nHost: e2e\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r~Host: e2e\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: e2e\r\nX~Y: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: e2e\r\nX~ a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: e2e\r\nX: a~b\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: e~e\r\nConnection: close\r\n\r\n",
        "POST /submit HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0~\r\n\r\n\r\n",
    };
    char head[40], body[40]; /* under load not even what was sent whole is read at once */
    snprintf(head, sizeof head, "header_timeout=%ums", slow(400));
    snprintf(body, sizeof body, "body_timeout=%ums", slow(400));
    START_ALL("--set", head, "--set", body);
    for (int b = 0; b < 256; b += 8)
        try_bytes(places[_i], b, 8);
    for (int e = 0; e < demo_count(); e++)
        expect_alive(demos[e].port, WAIT_MS);
    stop_all();
}
END_TEST

/* Expect: 100-continue (RFC 9110 §10.1.1): sent when the handler wants the body, and not before. */

static void expect_continue(unsigned port, const char *target, const char *answer)
{
    char head[256];
    struct client c;
    struct reply r;
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: e2e\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
             target);
    client_open(&c, port);
    ck_assert(client_text(&c, head));
    ck_assert_msg(client_wait_bytes(&c, 25, WAIT_MS), "%s: no 100 Continue", target);
    ck_assert_msg(c.n == 25 && memcmp(c.in + c.at, "HTTP/1.1 100 Continue\r\n\r\n", 25) == 0, "%s: %.*s", target,
                  (int)c.n, c.in + c.at);
    ck_assert(client_text(&c, "abcde" NEXT));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200 && r.continues == 1, "%s: %s", target, reply_kind_name(&r));
    ck_assert_str_eq(r.body, answer);
    reply_free(&r);
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && strcmp(r.body, "hello next") == 0, "%s: %s", target, reply_kind_name(&r));
    reply_free(&r);
    client_close(&c);
}

START_TEST(continue_when_wanted)
{
    struct demo d;
    demo_start(&d, engine_name(_i), TABLE_OPTIONS, NULL);
    expect_continue(d.port, "/submit", "5 bytes");
    expect_continue(d.port, "/test/body", "5 in memory 6348c52d762364a8\n");
    expect_continue(d.port, "/test/pause", "5 bytes\n");
    demo_stop(&d, WAIT_MS);
}
END_TEST

void table_add(Suite *s, const char *reference_program, void (*look)(const struct demo *))
{
    TCase *t = e2e_case(s, "table", 60);
    reference = reference_program;
    at_end = look;
    tcase_add_loop_test(t, rows, 0, SLICES);
    tcase_add_loop_test(t, each_byte, 0, 12);
    tcase_add_loop_test(t, continue_when_wanted, 0, engine_count());
}
