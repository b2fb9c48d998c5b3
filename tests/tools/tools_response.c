/* SPDX-License-Identifier: MIT
 *
 * The response reader: a table of bytes, fed whole, byte by byte and cut at every place, must give the same verdict.
 */
#include "load/response.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define OK "HTTP/1.1 200 OK\r\n"

static const struct row {
    const char *bytes;
    enum response_state state; /* at the end; UNTIL_CLOSE: DONE after the peer has closed */
    int status;
    unsigned body_len;
    unsigned rest; /* bytes that belong to what comes next */
    bool closes, found, retry;
    bool is_head;
} rows[] = {
    /* Framing. */
    { .bytes = OK "Content-Length: 5\r\n\r\nhello", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .found = true },
    { .bytes = OK "content-length:5\r\n\r\nhelloHTTP", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .rest = 4, .found = true },
    { .bytes = OK "Content-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 200 },
    { .bytes = OK "Content-Length: 6\r\n\r\nhelloX", .state = RESPONSE_DONE, .status = 200, .body_len = 6, .found = true },
    { .bytes = OK "Content-Length: 6\r\n\r\nhehell", .state = RESPONSE_DONE, .status = 200, .body_len = 6 },
    { .bytes = OK "Content-Length: 7\r\n\r\nhehello", .state = RESPONSE_DONE, .status = 200, .body_len = 7, .found = true },
    { .bytes = OK "Content-Length: 9\r\n\r\nhellhello", .state = RESPONSE_DONE, .status = 200, .body_len = 9, .found = true },
    { .bytes = OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .found = true },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .found = true },
    { .bytes = OK "Transfer-Encoding: Chunked\r\n\r\n00A;x=y\r\nhello12345\r\n0\r\nTrailer: 1\r\n\r\nH", .state = RESPONSE_DONE, .status = 200, .body_len = 10, .rest = 1, .found = true },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .state = RESPONSE_DONE, .status = 200 },
    { .bytes = OK "X: y\r\n\r\nhello", .state = RESPONSE_UNTIL_CLOSE, .status = 200, .body_len = 5, .closes = true, .found = true },
    { .bytes = "HTTP/1.1 204 No Content\r\n\r\nHTTP", .state = RESPONSE_DONE, .status = 204, .rest = 4 },
    { .bytes = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", .state = RESPONSE_DONE, .status = 304 },
    { .bytes = OK "Content-Length: 5\r\n\r\n", .state = RESPONSE_DONE, .status = 200, .is_head = true },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\nHTTP", .state = RESPONSE_DONE, .status = 200, .rest = 4, .is_head = true },
    { .bytes = "HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" OK "Content-Length: 5\r\n\r\nhello", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .found = true },
    { .bytes = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 \r\n\r\n" OK "Content-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 200 },
    { .bytes = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc", .state = RESPONSE_DONE, .status = 101, .rest = 3, .closes = true },
    /* The status line. */
    { .bytes = "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 404 },
    { .bytes = "HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 599 },
    { .bytes = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .closes = true, .found = true },
    { .bytes = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", .state = RESPONSE_DONE, .status = 200, .body_len = 5, .found = true },
    /* Fields. */
    { .bytes = OK "Connection: close\r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 200, .closes = true },
    { .bytes = OK "Connection: Upgrade , CLOSE\r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 200, .closes = true },
    { .bytes = OK "Connection: closed\r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 200 },
    { .bytes = "HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 503, .retry = true },
    { .bytes = "HTTP/1.1 503 x\r\nX-Retry-After: 1\r\nContent-Length: 0\r\n\r\n", .state = RESPONSE_DONE, .status = 503 },
    /* Not HTTP. */
    { .bytes = "hello", .state = RESPONSE_STATUS },
    { .bytes = "hello\r\n", .state = RESPONSE_GARBLED },
    { .bytes = "HTTP/2 200\r\n", .state = RESPONSE_GARBLED },
    { .bytes = "HTTP/1.1 20\r\n", .state = RESPONSE_GARBLED },
    { .bytes = "HTTP/1.1 2000\r\n", .state = RESPONSE_GARBLED },
    { .bytes = "HTTP/1.1 600 x\r\n", .state = RESPONSE_GARBLED },
    { .bytes = "HTTP/1.1 200 OK\n", .state = RESPONSE_GARBLED },
    { .bytes = "\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "no colon\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK ": empty\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length : 5\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length: 5x\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length: -5\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length:\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length: 9999999999999999999\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length: 5\r\nContent-Length: 6\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: gzip\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", .state = RESPONSE_GARBLED },
    { .bytes = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\nx\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n1x\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n1111111111111111\r\n", .state = RESPONSE_GARBLED },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", .state = RESPONSE_GARBLED },
    /* Not complete. */
    { .bytes = OK "Content-Length: 5\r\n\r\nhell", .state = RESPONSE_BODY, .status = 200, .body_len = 4 },
    { .bytes = OK "Content-Length: 5\r\n", .state = RESPONSE_FIELDS, .status = 200 },
    { .bytes = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", .state = RESPONSE_TRAILERS, .status = 200, .body_len = 5, .found = true },
};

static struct expected hello;

/* Feeds the n bytes in pieces whose ends are cut[0] < cut[1]; each piece is a block of its own, so that a byte beyond it
 * is found. Returns how many were taken. */
static size_t feed(struct response *r, const char *bytes, size_t n, const size_t cut[2])
{
    size_t at = 0;
    for (int piece = 0; piece < 3; piece++) {
        size_t end = piece < 2 ? cut[piece] : n, len = end - at;
        char *copy = malloc(len + 1);
        memcpy(copy, bytes + at, len);
        copy = realloc(copy, len ? len : 1);
        size_t used = response_feed(r, copy, len);
        free(copy);
        at += used;
        if (used < len)
            break;
    }
    return at;
}

static void check_row(const struct row *row, const struct response *r, size_t used)
{
    size_t n = strlen(row->bytes);
    ck_assert_msg(r->state == row->state, "state %d, not %d: %s", (int)r->state, (int)row->state, row->bytes);
    if (row->state == RESPONSE_GARBLED)
        return;
    ck_assert_msg(used == n - row->rest, "%zu bytes taken: %s", used, row->bytes);
    ck_assert_msg(r->status == row->status && r->body_len == row->body_len && r->found == row->found, "%s", row->bytes);
    if (row->state == RESPONSE_DONE || row->state == RESPONSE_UNTIL_CLOSE)
        ck_assert_msg(r->closes == row->closes && r->has_retry_after == row->retry, "%s", row->bytes);
}

START_TEST(the_verdict_does_not_depend_on_the_cuts)
{
    const struct row *row = &rows[_i];
    size_t n = strlen(row->bytes);
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            struct response r;
            response_begin(&r, row->is_head, &hello);
            size_t used = feed(&r, row->bytes, n, (const size_t[2]){ a, b });
            check_row(row, &r, used);
            ck_assert_int_eq(response_eof(&r), row->state == RESPONSE_UNTIL_CLOSE);
        }
    }
}
END_TEST

START_TEST(byte_by_byte)
{
    const struct row *row = &rows[_i];
    struct response r;
    size_t used = 0;
    response_begin(&r, row->is_head, &hello);
    for (const char *p = row->bytes; *p && r.state < RESPONSE_DONE; p++)
        used += response_feed(&r, p, 1);
    check_row(row, &r, used);
}
END_TEST

/* Long lines are cut inside the reader; that must not depend on where they arrive, either. */
START_TEST(long_lines_are_read_alike_in_one_piece_and_in_many)
{
    for (size_t len = RESPONSE_LINE_MAX - 40; len < RESPONSE_LINE_MAX + 40; len++) {
        char bytes[1024] = OK "X: ";
        size_t n = strlen(bytes);
        memset(bytes + n, 'a', len);
        strcpy(bytes + n + len, "\r\nContent-Length: 5\r\n\r\nhello");
        for (size_t step = 1; step < 400; step += 13) {
            struct response r;
            response_begin(&r, false, &hello);
            size_t whole = strlen(bytes);
            for (size_t at = 0; at < whole; at += step)
                response_feed(&r, bytes + at, whole - at < step ? whole - at : step);
            ck_assert_int_eq(r.state, RESPONSE_DONE);
            ck_assert(r.found);
        }
    }
}
END_TEST

START_TEST(a_head_without_end_is_garbled)
{
    struct response r;
    response_begin(&r, false, &hello);
    response_feed(&r, OK "X: ", strlen(OK "X: "));
    for (int i = 0; i < 70000 && r.state == RESPONSE_FIELDS; i++)
        response_feed(&r, "a", 1);
    ck_assert_int_eq(r.state, RESPONSE_GARBLED);
}
END_TEST

/* Against strstr, with texts that begin like themselves. */
START_TEST(the_text_is_found_where_it_stands)
{
    static const char *const texts[] = { "a", "aa", "aab", "abab", "abaabab", "bbbbbbbb" };
    uint64_t state = 7;
    for (int round = 0; round < 3000; round++) {
        char body[41] = "", head[64];
        struct expected e;
        struct response r;
        const char *text = texts[round % 6];
        for (int i = 0; i < 40; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            body[i] = (char)('a' + (state >> 40) % 2);
        }
        expected_init(&e, text);
        response_begin(&r, false, &e);
        strcpy(head, OK "Content-Length: 40\r\n\r\n");
        response_feed(&r, head, strlen(head));
        for (size_t at = 0, step = 1 + (size_t)round % 7; at < 40; at += step)
            response_feed(&r, body + at, 40 - at < step ? 40 - at : step);
        ck_assert_int_eq(r.state, RESPONSE_DONE);
        ck_assert_msg(r.found == (strstr(body, text) != NULL), "%s in %s", text, body);
    }
}
END_TEST

START_TEST(without_a_text_every_body_is_right)
{
    struct expected e;
    struct response r;
    expected_init(&e, NULL);
    response_begin(&r, false, &e);
    response_feed(&r, OK "Content-Length: 1\r\n\r\nx", strlen(OK "Content-Length: 1\r\n\r\nx"));
    ck_assert_int_eq(r.state, RESPONSE_DONE);
    ck_assert(r.found);
}
END_TEST

int main(void)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    expected_init(&hello, "hello");
    Suite *s = suite_create("response");
    TCase *t = tcase_create("response");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, the_verdict_does_not_depend_on_the_cuts, 0, ROWS);
    tcase_add_loop_test(t, byte_by_byte, 0, ROWS);
    tcase_add_test(t, long_lines_are_read_alike_in_one_piece_and_in_many);
    tcase_add_test(t, a_head_without_end_is_garbled);
    tcase_add_test(t, the_text_is_found_where_it_stands);
    tcase_add_test(t, without_a_text_every_body_is_right);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
