/* SPDX-License-Identifier: MIT
 *
 * The table of http_table.h, cut in every way and placed against unreadable pages; the limits to the byte; every
 * byte at every kind of place.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "http_table.h"
#include "http_trace.h"

#define ROOM 4096

static const struct cnc_http_limits table_limits = {
    .line_max = 200, .head_max = 600, .fields_max = 8, .chunk_ext_max = 32, .trailer_max = 64
};

/* ROOM readable bytes with an unreadable page on either side. */
static char *room(void)
{
    static char *page;
    if (!page) {
        page = mmap(NULL, 3 * ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(page != MAP_FAILED);
        ck_assert_int_eq(mprotect(page + ROOM, ROOM, PROT_READ | PROT_WRITE), 0);
        page += ROOM;
    }
    return page;
}

/* Feeds what is not consumed of bytes[0..have), flush against the page after or before it. */
static void feed(struct trace *t, const char *bytes, size_t have, bool front)
{
    const size_t n = have - t->start;
    if (n > ROOM) /* an assertion of Check is written down each time it holds, which is slow here */
        ck_abort_msg("%zu bytes", n);
    char *p = front ? room() : room() + ROOM - n;
    memmove(p, bytes + t->start, n);
    trace_feed(t, p, n);
}

static void run(struct trace *t, const struct cnc_http_limits *limits, const char *bytes, size_t n, size_t step,
                size_t cut, bool front)
{
    trace_init(t, limits);
    if (cut)
        feed(t, bytes, cut, front);
    for (size_t have = cut + step; have < n; have += step)
        feed(t, bytes, have, front);
    feed(t, bytes, n, front);
    trace_finish(t, !t->in_body && t->start == n);
}

static void expect_same(const struct trace *a, const struct trace *b, const char *name, size_t cut)
{
    if (a->detail.n != b->detail.n || (a->detail.n && memcmp(a->detail.p, b->detail.p, a->detail.n) != 0))
        ck_abort_msg("%s: other events when cut at %zu:%.*s\nwhole:%.*s", name, cut, (int)b->detail.n, b->detail.p,
                     (int)a->detail.n, a->detail.p);
}

/* Whole, byte by byte, and in two pieces at every place: the same events. Leaves the trace of the whole in t. */
static void run_all(struct trace *t, const struct cnc_http_limits *limits, const char *name, const char *bytes,
                    size_t n)
{
    struct trace other;
    run(t, limits, bytes, n, n + 1, 0, false);
    for (int front = 0; front < 2; front++) {
        run(&other, limits, bytes, n, 1, 0, front);
        expect_same(t, &other, name, 0);
        trace_deinit(&other);
        for (size_t cut = 1; cut < n; cut++) {
            run(&other, limits, bytes, n, n, cut, front);
            expect_same(t, &other, name, cut);
            trace_deinit(&other);
        }
    }
}

static bool summary_is(const struct trace *t, const char *expect)
{
    return t->summary.n == strlen(expect) && memcmp(t->summary.p, expect, t->summary.n) == 0;
}

START_TEST(the_table_holds_however_it_is_cut)
{
    int wrong = 0;
    for (size_t i = 0; i < CNC_COUNT(http_table); i++) {
        const struct http_case *c = &http_table[i];
        struct trace t;
        run_all(&t, &table_limits, c->name, c->bytes, c->n);
        if (!summary_is(&t, c->expect)) {
            fprintf(stderr, "RFC %s, %s: expected <%s>, got <%.*s>\n", c->section, c->name, c->expect, (int)t.summary.n,
                    t.summary.p);
            wrong++;
        }
        trace_deinit(&t);
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_uint_ge(CNC_COUNT(http_table), 150);
}
END_TEST

/* A verdict comes with the byte that decides it: what comes whole and what comes byte by byte agree after each. */
START_TEST(every_prefix_says_the_same_however_it_came)
{
    for (size_t i = 0; i < CNC_COUNT(http_table); i++) {
        const struct http_case *c = &http_table[i];
        struct trace t;
        trace_init(&t, &table_limits);
        for (size_t have = 1; have <= c->n; have++) {
            struct trace whole;
            feed(&t, c->bytes, have, false);
            trace_init(&whole, &table_limits);
            feed(&whole, c->bytes, have, false);
            expect_same(&whole, &t, c->name, have);
            ck_assert_msg(whole.over == t.over && whole.start == t.start, "%s at %zu", c->name, have);
            trace_deinit(&whole);
        }
        trace_deinit(&t);
    }
}
END_TEST

START_TEST(random_cuts_give_the_same_events)
{
    srand(1);
    for (size_t i = 0; i < CNC_COUNT(http_table); i++) {
        const struct http_case *c = &http_table[i];
        struct trace whole;
        run(&whole, &table_limits, c->bytes, c->n, c->n + 1, 0, false);
        for (int round = 0; round < 20; round++) {
            struct trace t;
            trace_init(&t, &table_limits);
            for (size_t have = 0; have < c->n;) {
                have += 1 + (size_t)rand() % 40;
                feed(&t, c->bytes, have < c->n ? have : c->n, round & 1);
            }
            feed(&t, c->bytes, c->n, false);
            trace_finish(&t, false);
            expect_same(&whole, &t, c->name, 0);
            trace_deinit(&t);
        }
        trace_deinit(&whole);
    }
}
END_TEST

/* head_max and line_max from nothing to more than enough: only the limit decides, and at one place. */
START_TEST(limits_hold_to_the_byte)
{
    static const char head[] = "GET /abc HTTP/1.1\r\nHost: a\r\nLonger: than the first\r\n\r\n";
    const size_t n = sizeof head - 1;
    for (uint32_t max = 0; max < n + 4; max++) {
        struct cnc_http_limits limits = table_limits;
        struct trace t;
        limits.head_max = max;
        run_all(&t, &limits, "head_max", head, n);
        ck_assert(summary_is(&t, max >= n ? "GET o /abc @a 1.1 K ." : max < 19 ? "!414" : "!431"));
        trace_deinit(&t);
        limits.head_max = 600;
        limits.line_max = max;
        run_all(&t, &limits, "line_max", head, n);
        ck_assert(summary_is(&t, max >= 22 ? "GET o /abc @a 1.1 K ." : max < 17 ? "!414" : "!431"));
        trace_deinit(&t);
        /* both: whichever is met first */
        limits.head_max = (uint32_t)n + 2 - max % 8;
        run_all(&t, &limits, "both", head, n);
        trace_deinit(&t);
    }
}
END_TEST

START_TEST(a_line_past_the_limit_is_not_looked_at)
{
    struct cnc_http_limits limits = table_limits;
    struct trace t;
    static const char bad[] = "GET / HTTP/1.1\r\nHost: a\r\nB\1d: c\r\n\r\n";
    limits.head_max = 25 + 7; /* one byte short of the bad line's end */
    run_all(&t, &limits, "bad line past head_max", bad, sizeof bad - 1);
    ck_assert(summary_is(&t, "!431"));
    trace_deinit(&t);
    limits.head_max++;
    run_all(&t, &limits, "bad line within head_max", bad, sizeof bad - 1);
    ck_assert(summary_is(&t, "!400"));
    trace_deinit(&t);
}
END_TEST

#define ALPHA "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define TCHAR "!#$%&'*+-.^_`|~" DIGITS ALPHA
#define ASCII "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" DIGITS ALPHA

/* One byte between before and after is each of 0..255; good are those that draw no 4xx or 5xx. */
static const struct sweep {
    const char *place, *before, *after;
    const char *good;
    bool obs_text; /* bytes from 0x80 are good too */
} sweeps[] = {
    { "method", "G", "T / HTTP/1.1\r\nHost: a\r\n\r\n", TCHAR, false },
    { "between method and target", "GET", "/ HTTP/1.1\r\nHost: a\r\n\r\n", " ", false },
    { "path", "GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n", "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~" DIGITS ALPHA, false },
    { "query far back", "GET /0123456789abcdef0123?b", "c HTTP/1.1\r\nHost: a\r\n\r\n",
      "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~" DIGITS ALPHA, false },
    { "start of the target", "GET ", " HTTP/1.1\r\nHost: a\r\n\r\n", "/", false },
    { "between target and version", "GET /", "HTTP/1.1\r\nHost: a\r\n\r\n", " ", false },
    { "name of the protocol", "GET / H", "TP/1.1\r\nHost: a\r\n\r\n", "T", false },
    { "major", "GET / HTTP/", ".1\r\nHost: a\r\n\r\n", "1", false },
    { "dot", "GET / HTTP/1", "1\r\nHost: a\r\n\r\n", ".", false },
    { "minor", "GET / HTTP/1.", "\r\nHost: a\r\n\r\n", DIGITS, false },
    { "CR of the request line", "GET / HTTP/1.1", "\nHost: a\r\n\r\n", "\r", false },
    { "LF of the request line", "GET / HTTP/1.1\r", "Host: a\r\n\r\n", "\n", false },
    { "start of a name", "GET / HTTP/1.1\r\nHost: a\r\n", "B: c\r\n\r\n", TCHAR, false },
    { "name", "GET / HTTP/1.1\r\nHost: a\r\nB", "B: c\r\n\r\n", TCHAR ":", false },
    { "colon", "GET / HTTP/1.1\r\nHost: a\r\nB", " c\r\n\r\n", ":", false },
    { "value", "GET / HTTP/1.1\r\nHost: a\r\nB: c", "d\r\n\r\n", " \t" ASCII, true },
    { "value in the first sixteen", "GET / HTTP/1.1\r\nHost: a\r\nB: 012", "3456789abcdef0123\r\n\r\n", " \t" ASCII,
      true },
    { "value in the rest", "GET / HTTP/1.1\r\nHost: a\r\nB: 0123456789abcdef0", "1\r\n\r\n", " \t" ASCII, true },
    { "white space before a value", "GET / HTTP/1.1\r\nHost: a\r\nB:", "c\r\n\r\n", " \t" ASCII, true },
    { "white space after a value", "GET / HTTP/1.1\r\nHost: a\r\nB:c", "\r\n\r\n", " \t" ASCII, true },
    { "CR of a field", "GET / HTTP/1.1\r\nHost: a", "\n\r\n", "\r", false },
    { "CR of the empty line", "GET / HTTP/1.1\r\nHost: a\r\n", "\n", "\r", false },
    { "LF of the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r", "\r\n\r\n", "\n", false },
    { "host", "GET / HTTP/1.1\r\nHost: a", "b\r\n\r\n", "!$&'()*+,;=-._~" DIGITS ALPHA, false },
    { "port", "GET / HTTP/1.1\r\nHost: a:", "0\r\n\r\n", DIGITS, false },
    { "inside brackets", "GET / HTTP/1.1\r\nHost: [::", "]\r\n\r\n", DIGITS "abcdefABCDEF", false },
    { "Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1", "1\r\n\r\n", DIGITS, false },
    { "chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n", DIGITS "abcdefABCDEF",
      false },
    { "after the chunk size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0", "\n\r\n", "\r",
      false },
    { "name of an extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a", "b\r\n\r\n",
      TCHAR "=;", false },
    { "value of an extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a=b", "c\r\n\r\n",
      TCHAR ";", false },
    { "quoted value", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a=\"b", "c\"\r\n\r\n",
      " \t!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" DIGITS ALPHA, true },
    { "quoted pair", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a=\"\\", "\"\r\n\r\n",
      " \t" ASCII, true },
    { "CR after chunk data", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na", "\n0\r\n\r\n",
      "\r", false },
    { "LF after chunk data", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r", "0\r\n\r\n",
      "\n", false },
    { "name of a trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA", "B: c\r\n\r\n",
      TCHAR ":", false },
    { "value of a trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b", "c\r\n\r\n",
      " \t" ASCII, true },
    { "CR of a trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:", "\n\r\n", "\r",
      false },
    { "LF of the last line", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r", "\r", "\n",
      false },
};

START_TEST(every_byte_at_every_place)
{
    const struct sweep *s = &sweeps[_i];
    char bytes[512];
    const size_t at = strlen(s->before);
    const size_t n = at + 1 + strlen(s->after);
    memcpy(bytes, s->before, at);
    memcpy(bytes + at + 1, s->after, n - at - 1);
    for (int byte = 0; byte < 256; byte++) {
        struct trace t;
        bytes[at] = (char)byte;
        run_all(&t, &table_limits, s->place, bytes, n);
        const bool good = (byte >= 0x80 && s->obs_text) || (byte && strchr(s->good, byte));
        const bool bad = memmem(t.detail.p, t.detail.n, "\nBAD ", 5) != NULL;
        ck_assert_msg(good != bad, "%s: byte %d should be %s: %.*s", s->place, byte, good ? "good" : "bad",
                      (int)t.summary.n, t.summary.p);
        trace_deinit(&t);
    }
}
END_TEST

START_TEST(idle_is_nothing_or_line_ends)
{
    ck_assert(cnc_http_head_is_idle("", 0));
    ck_assert(cnc_http_head_is_idle("\r\n", 2));
    ck_assert(cnc_http_head_is_idle("\r\n\r\n", 4));
    ck_assert(cnc_http_head_is_idle("\r\n\r", 3));
    ck_assert(!cnc_http_head_is_idle("\n", 1));
    ck_assert(!cnc_http_head_is_idle("\r\r", 2));
    ck_assert(!cnc_http_head_is_idle("G", 1));
    ck_assert(!cnc_http_head_is_idle("\r\nG", 3));
}
END_TEST

/* Names are known in any case of letters, and nothing else of the same length is taken for them. */
START_TEST(known_names)
{
    static const struct {
        const char *name;
        int id;
    } names[] = { { "Connection", CNC_HTTP_NAME_CONNECTION },
                  { "Expect", CNC_HTTP_NAME_EXPECT },
                  { "Upgrade", CNC_HTTP_NAME_UPGRADE },
                  { "Content-Type", CNC_HTTP_NAME_CONTENT_TYPE },
                  { "Cookie", CNC_HTTP_NAME_COOKIE },
                  { "Accept", CNC_HTTP_NAME_ACCEPT },
                  { "User-Agent", CNC_HTTP_NAME_USER_AGENT },
                  { "Accept-Encoding", CNC_HTTP_NAME_ACCEPT_ENCODING },
                  { "Content-Length", CNC_HTTP_NAME_CONTENT_LENGTH },
                  { "Transfer-Encoding", CNC_HTTP_NAME_TRANSFER_ENCODING } };
    for (size_t i = 0; i < CNC_COUNT(names); i++) {
        const size_t len = strlen(names[i].name);
        for (size_t change = 0; change <= 2 * len; change++) {
            char bytes[128];
            struct cnc_http_head h;
            struct cnc_http_field fields[8];
            const char *value = names[i].id == CNC_HTTP_NAME_CONTENT_LENGTH ? "1" : "chunked";
            int n = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: a\r\n%s: %s\r\n\r\n", names[i].name, value);
            char *c = bytes + 25 + change % len;
            const bool letter = *c != '-';
            if (change < len)
                *c = (char)(letter ? *c ^ 0x20 : '_');
            else if (change < 2 * len)
                *c = (char)(letter ? 'q' : '_');
            cnc_http_head_init(&h, fields);
            ck_assert_int_eq(cnc_http_head_parse(&h, &table_limits, bytes, (size_t)n), CNC_HTTP_HEAD_DONE);
            const bool known = change == 2 * len || (change < len && letter);
            ck_assert_int_eq(fields[1].id, known ? names[i].id : CNC_HTTP_NAME_OTHER);
            ck_assert_int_eq(fields[0].id, CNC_HTTP_NAME_HOST);
        }
    }
}
END_TEST

START_TEST(the_head_may_move_and_delimiters_may_be_overwritten)
{
    static const char bytes[] = "\r\nPOST /a?b HTTP/1.1\r\nHost: c\r\nX: \t y z \t\r\n\r\n";
    char copy[sizeof bytes];
    struct cnc_http_head h;
    struct cnc_http_field fields[8];
    cnc_http_head_init(&h, fields);
    ck_assert_int_eq(cnc_http_head_parse(&h, &table_limits, bytes, sizeof bytes - 1), CNC_HTTP_HEAD_DONE);
    ck_assert_uint_eq(h.len, sizeof bytes - 1);
    ck_assert_int_eq(h.method, CNC_HTTP_POST);
    ck_assert_int_eq(h.content_length, -1);
    memcpy(copy, bytes, sizeof bytes);
    for (int i = 0; i < h.field_count; i++) {
        copy[fields[i].name + fields[i].name_len] = '\0';
        copy[fields[i].value + fields[i].value_len] = '\0';
    }
    ck_assert_str_eq(copy + fields[1].name, "X");
    ck_assert_str_eq(copy + fields[1].value, "y z");
    ck_assert_str_eq(copy + fields[0].value, "c");
    ck_assert_int_eq(memcmp(copy + h.path.at, "/a", 2), 0);
    ck_assert_int_eq(memcmp(copy + h.query.at, "b", 1), 0);
    ck_assert_uint_eq(h.path.len, 2);
    ck_assert_uint_eq(h.target.len, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_head");
    TCase *c = tcase_create("head");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_table_holds_however_it_is_cut);
    tcase_add_test(c, every_prefix_says_the_same_however_it_came);
    tcase_add_test(c, random_cuts_give_the_same_events);
    tcase_add_test(c, limits_hold_to_the_byte);
    tcase_add_test(c, a_line_past_the_limit_is_not_looked_at);
    tcase_add_loop_test(c, every_byte_at_every_place, 0, (int)CNC_COUNT(sweeps));
    tcase_add_test(c, idle_is_nothing_or_line_ends);
    tcase_add_test(c, known_names);
    tcase_add_test(c, the_head_may_move_and_delimiters_may_be_overwritten);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
