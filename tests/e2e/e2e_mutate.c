/* SPDX-License-Identifier: MIT
 *
 * Good requests with a few bytes changed, a hundred connections at a time. Whatever comes: the server lives, answers in
 * well-formed replies, and never with a 5xx but 501 and 505.
 *
 * CONCUR_TEST_SEED and CONCUR_TEST_MUTATIONS say otherwise than below; the seed is printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { BATCH = 100, ROOM = 1024 };

static const char *const good[] = {
    "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
    "GET /hello/a%20b?x=y HTTP/1.1\r\nHost: e2e:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    "GET http://e2e/hello/./x/../y HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
    "POST /submit HTTP/1.1\r\nHost: e2e\r\nContent-Length: 11\r\nConnection: close\r\n\r\nhello world",
    "POST /echo HTTP/1.1\r\nHost: e2e\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    "5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
    "PUT /test/body HTTP/1.1\r\nHost: e2e\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    "POST /test/query?a=1&b=%41+c HTTP/1.1\r\nHost: e2e\r\nCookie: a=b; c=d\r\nConnection: close\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=b&c=%20",
    "GET /test/params/a/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /whoami HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n",
};

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static size_t below(uint64_t *seed, size_t n)
{
    return (size_t)(random_next(seed) % n);
}

/* A byte that means something somewhere, or any. */
static char some_byte(uint64_t *seed)
{
    static const char meaningful[] = "\r\n\0 \t:;,/%?#.0123456789abcdefABCDEF-+=\"*\x7f\x80\xff";
    return below(seed, 3) ? meaningful[below(seed, sizeof meaningful - 1)] : (char)below(seed, 256);
}

static void insert(char *p, size_t *n, size_t at, const char *what, size_t len)
{
    if (*n + len > ROOM)
        return;
    memmove(p + at + len, p + at, *n - at);
    memmove(p + at, what, len);
    *n += len;
}

static void mutate(uint64_t *seed, char *p, size_t *n)
{
    char piece[16];
    const size_t at = below(seed, *n), rest = *n - at;
    const size_t len = 1 + below(seed, rest < sizeof piece ? rest : sizeof piece);
    switch (below(seed, 6)) {
    case 0: /* another byte */
        p[at] = some_byte(seed);
        break;
    case 1: /* a flipped bit */
        p[at] = (char)(p[at] ^ (1 << below(seed, 8)));
        break;
    case 2: /* one more byte */
        piece[0] = some_byte(seed);
        insert(p, n, at, piece, 1);
        break;
    case 3: /* a few less, but never none */
        if (len < *n) {
            memmove(p + at, p + at + len, rest - len);
            *n -= len;
        }
        break;
    case 4: /* a piece twice */
        memcpy(piece, p + at, len);
        insert(p, n, at, piece, len);
        break;
    default: /* a piece somewhere else */
        memcpy(piece, p + at, len);
        insert(p, n, below(seed, *n), piece, len);
        break;
    }
}

/* All replies of a connection until its end. */
static void check_answers(struct client *c, const char *engine, const char *sent, size_t n)
{
    struct reply r = { .kind = REPLY_OK };
    while (r.kind == REPLY_OK) {
        client_read(c, &r, false, WAIT_MS);
        bool fair = r.kind == REPLY_NONE;
        if (r.kind == REPLY_OK)
            fair = r.status < 500 || r.status == 501 || r.status == 505;
        /* The echo of a body that turns out bad had begun already: it is cut off, visibly. */
        if (memmem(sent, n, "/echo", 5) && (r.kind == REPLY_RESET || r.kind == REPLY_TRUNCATED))
            fair = true;
        if (!fair)
            fwrite(sent, 1, n, stderr);
        ck_assert_msg(fair, "%s: %s, status %d, for what stands above", engine, reply_kind_name(&r), r.status);
        reply_free(&r);
    }
}

START_TEST(mutations)
{
    static char requests[BATCH][ROOM];
    size_t lengths[BATCH];
    static struct client clients[BATCH];
    uint64_t seed = number_from("CONCUR_TEST_SEED", 20260101);
    const uint64_t count = number_from("CONCUR_TEST_MUTATIONS", 2000);
    struct demo d;
    printf("%s: seed %llu\n", engine_name(_i), (unsigned long long)seed);
    demo_start(&d, engine_name(_i), "--workers", workers_for(engine_name(_i), is_sanitized() ? 16 : 32), "--set",
               "header_timeout=200ms", "--set", "body_timeout=200ms", "--set",
               "keepalive_timeout=200ms", "--set", "linger_timeout=500ms", NULL);
    for (uint64_t done = 0; done < count; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            const char *from = good[below(&seed, COUNT(good))];
            lengths[i] = strlen(from);
            memcpy(requests[i], from, lengths[i]);
            for (size_t m = 1 + below(&seed, 3); m > 0; m--)
                mutate(&seed, requests[i], &lengths[i]);
            client_open(&clients[i], d.port);
            client_send(&clients[i], requests[i], lengths[i]);
        }
        for (int i = 0; i < BATCH; i++) {
            check_answers(&clients[i], d.engine, requests[i], lengths[i]);
            client_close(&clients[i]);
        }
        ck_assert(demo_is_alive(&d));
        expect_alive(d.port, WAIT_MS);
    }
    expect_balanced(d.port, WAIT_MS);
    demo_stop(&d, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    tcase_add_loop_test(e2e_case(s, "mutate", 120), mutations, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("mutate", add, argc, argv);
}
