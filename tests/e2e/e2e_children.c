/* SPDX-License-Identifier: MIT
 *
 * Requests without a connection: the server children in the demo's place, on every engine, with and without a pool. Its handlers
 * begin requests whose carrier collects the reply (tests/children).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { BODY = 3000, OFFSETS_SANITIZED = 200 };

static struct demo demo;
static char bytes[BODY + 1];
static uint64_t state;

static void set_up(void)
{
    const char *seed = getenv("CONCUR_TEST_SEED");
    state = seed ? strtoull(seed, NULL, 10) : (uint64_t)now_ms();
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)state);
    for (size_t i = 0; i < BODY; i++)
        bytes[i] = (char)('a' + random_next(&state) % 26);
}

static void start(int i)
{
    demo_start(&demo, variant_engine(i), "--pool_threads", variant_pool(i), NULL);
}

static void stop(void)
{
    expect_balanced(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

static void get_on(struct client *c, struct reply *r, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
    client_read(c, r, false, WAIT_MS);
    ck_assert_msg(r->kind == REPLY_OK && r->status == 200, "%s %s: %s: %s %d%s", demo.engine, variant_pool(0), target,
                  reply_kind_name(r), r->status, demo_end());
}

static void expect_answer(const char *method, const char *target, const char *more, const char *body, const char *answer)
{
    char request[BODY + 512];
    struct reply r;
    snprintf(request, sizeof request,
             "%s /parent?target=%s%s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", method, target,
             more, strlen(body), body);
    ask(demo.port, request, 200, &r);
    ck_assert_msg(strncmp(r.body, answer, strlen(answer)) == 0, "%s: %s %s: \"%s\", expected \"%s\"", demo.engine, method, target,
                  r.body, answer);
    reply_free(&r);
}

#define PIECES_4 "piece of the body; piece of the body; piece of the body; piece of the body; "
#define PIECES_16 PIECES_4 PIECES_4 PIECES_4 PIECES_4

START_TEST(what_a_child_answers_is_collected)
{
    start(_i);
    expect_answer("GET", "/c/memory", "", "",
                  "whole 203\ntext/plain; charset=utf-8\nX-One: 1\r\nX-Two: collected\r\n\nsixteen bytes...\n--\nagain 0 ");
    expect_answer("GET", "/c/stream", "", "", "whole 200\ntext/x-pieces\nX-One: 1\r\n\n" PIECES_16 "\n--\n");
    expect_answer("GET", "/c/blocking", "", "", "whole 200\ntext/x-pieces\nX-One: 1\r\n\n" PIECES_16 "\n--\n");
    expect_answer("GET", "/c/pull", "", "", "whole 200\ntext/x-pulled\n\n" PIECES_16 "\n--\n");
    expect_answer("GET", "/c/timer", "", "",
                  "whole 200\ntext/plain; charset=utf-8\n\nlater\n--\nagain 0 drains 0 pieces 0 interims 1 resumes 0\n");
    expect_answer("GET", "/c/expires", "", "", "whole 504\ntext/plain; charset=utf-8\n\n504 Gateway Timeout\n\n--\n");
    expect_answer("GET", "/c/aborts", "", "", "aborted 200\ntext/plain\n\nnot all\n--\n");
    expect_answer("GET", "/c/fails", "", "", "whole 502\ntext/plain; charset=utf-8\n\n502 Bad Gateway\n\n--\n");
    expect_answer("GET", "/c/nothing", "", "", "whole 404\ntext/plain; charset=utf-8\n\n404 Not Found\n\n--\n");
    expect_answer("PUT", "/c/memory", "", "",
                  "whole 405\ntext/plain; charset=utf-8\nAllow: GET, HEAD, OPTIONS\r\n\n405 Method Not Allowed\n\n--\n");
    expect_answer("OPTIONS", "/c/memory", "", "", "whole 204\n\nAllow: GET, HEAD, OPTIONS\r\n\n\n--\n");
    expect_answer("GET", "/%25zz", "", "", "refused 400\n\n\n\n--\n");
    stop();
}
END_TEST

/* The carrier says CONCUR_AGAIN after each piece: the child goes on when it is told to, also where it runs on a thread. */
START_TEST(a_full_carrier_is_waited_for)
{
    static const char *const answers[] = { "/c/stream", "/c/blocking", "/c/pull" };
    char answer[1024];
    struct reply r;
    struct client c;
    start(_i);
    client_open(&c, demo.port);
    for (size_t i = 0; i < COUNT(answers); i++) {
        unsigned again = 0, drains = 0;
        snprintf(answer, sizeof answer, "/parent?target=%s&high=1", answers[i]);
        get_on(&c, &r, answer);
        ck_assert_ptr_nonnull(strstr(r.body, "\n" PIECES_16 "\n--\n"));
        ck_assert_int_eq(sscanf(strstr(r.body, "\n--\n"), "\n--\nagain %u drains %u", &again, &drains), 2);
        ck_assert_msg(again >= 1 && drains >= 1, "%s: %s: %s", demo.engine, answers[i], r.body);
        reply_free(&r);
    }
    client_close(&c);
    stop();
}
END_TEST

START_TEST(a_child_gets_a_body)
{
    static const char *const targets[] = { "/c/whole", "/c/reads", "/c/reads/blocking" };
    char answer[BODY + 128], more[64];
    start(_i);
    for (size_t i = 0; i < 4 * COUNT(targets); i++) {
        const bool is_whole = i % COUNT(targets) == 0;
        snprintf(answer, sizeof answer, "whole 200\n%s\n\n%s\n--\n", is_whole ? "text/x-whole" : "text/x-read", bytes);
        snprintf(more, sizeof more, "&seed=%llu", (unsigned long long)random_next(&state) | 1);
        expect_answer("POST", targets[i % COUNT(targets)], more, bytes, answer);
    }
    expect_answer("POST", "/c/whole", "", "", "whole 200\ntext/x-whole\n\n\n--\n");
    stop();
}
END_TEST

/* How many bytes of its reply a carrier collects. */
static size_t size_of(struct client *c, const char *target)
{
    char request[128];
    struct reply r;
    size_t lines[3] = { 0 };
    snprintf(request, sizeof request, "/parent?target=%s", target);
    get_on(c, &r, request);
    const char *at = strchr(r.body, '\n') + 1, *end = strstr(r.body, "\n--\n");
    lines[0] = strcspn(at, "\n");
    size_t n = (size_t)(end - at) - 2; /* less the two ends of lines between the three texts */
    ck_assert_uint_gt(n, lines[0]);
    reply_free(&r);
    return n;
}

static void leave_at(struct client *c, const char *target, size_t at, bool is_last)
{
    char request[128];
    struct reply r;
    snprintf(request, sizeof request, "/parent?target=%s&leave=%zu", target, at);
    get_on(c, &r, request);
    const bool left = strncmp(r.body, "left ", 5) == 0, whole = strncmp(r.body, "whole ", 6) == 0;
    const bool may_be_whole = at == 0 || is_last; /* it is told later, and the reply was complete before */
    ck_assert_msg(left || (may_be_whole && whole), "%s: %s, %zu: %s", demo.engine, target, at, r.body);
    reply_free(&r);
}

START_TEST(a_carrier_leaves_at_every_byte)
{
    static const char *const targets[] = { "/c/memory", "/c/stream", "/c/blocking", "/c/pull", "/c/timer" };
    struct client c;
    start(_i);
    client_open(&c, demo.port);
    for (size_t i = 0; i < COUNT(targets); i++) {
        const size_t n = size_of(&c, targets[i]);
        for (size_t k = 0; takes_all_offsets() && k <= n; k++)
            leave_at(&c, targets[i], k, k == n);
        for (size_t k = 0; !takes_all_offsets() && k < OFFSETS_SANITIZED / COUNT(targets); k++) {
            const size_t at = random_next(&state) % (n + 1);
            leave_at(&c, targets[i], at, at == n);
        }
    }
    client_close(&c);
    stop();
}
END_TEST

START_TEST(a_parent_ends_first)
{
    static const char *const targets[] = { "/c/memory", "/c/stream", "/c/blocking", "/c/timer", "/c/expires", "/c/aborts" };
    char request[128];
    struct client c;
    struct reply r;
    start(_i);
    for (size_t i = 0; i < COUNT(targets); i++) {
        client_open(&c, demo.port);
        snprintf(request, sizeof request, "/alone?target=%s&high=1", targets[i]);
        for (int k = 0; k < 3; k++) {
            get_on(&c, &r, request);
            ck_assert_str_eq(r.body, "gone first");
            reply_free(&r);
        }
        client_close(&c);
    }
    stop();
}
END_TEST

/* The parent's client leaves, then the parent, and with it the child, which would wait for a minute. */
START_TEST(a_client_leaves)
{
    static const char request[] = "GET /parent?target=/c/waits HTTP/1.1\r\nHost: e2e\r\n\r\n";
    struct client c;
    start(_i);
    for (int i = 0; i < 4; i++) {
        const long long before = counter(demo.port, "timers");
        client_open(&c, demo.port);
        ck_assert(client_text(&c, request));
        for (const int64_t until = now_ms() + slow(WAIT_MS); counter(demo.port, "timers") == before; nap_ms(5))
            ck_assert_msg(now_ms() < until, "%s: the child did not begin", demo.engine);
        client_abort(&c);
        expect_balanced(demo.port, WAIT_MS);
    }
    ck_assert_int_ge(counter(demo.port, "cancelled"), 8);
    stop();
}
END_TEST

static void begin_and_stop(struct client *c, struct reply *r, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET /parent?target=%s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    client_open(c, demo.port);
    ck_assert(client_text(c, request));
    for (const int64_t until = now_ms() + slow(WAIT_MS); counter(demo.port, "timers") == 0; nap_ms(5))
        ck_assert_msg(now_ms() < until, "%s: the child did not begin", demo.engine);
    demo_signal(&demo, SIGTERM);
    client_read(c, r, false, WAIT_MS);
    client_close(c);
}

/* A child hears that a stop has begun, and its parent waits for it. */
START_TEST(a_stop_is_told_to_a_child)
{
    struct client c;
    struct reply r;
    start(_i);
    begin_and_stop(&c, &r, "/c/stops");
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: %s %d", demo.engine, reply_kind_name(&r), r.status);
    ck_assert_ptr_nonnull(strstr(r.body, "\nstopped\n--\n"));
    reply_free(&r);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

/* A stop that has run out of time gives both up. A process that then searches for leaks would be ended before it is through. */
START_TEST(a_stop_ends_both)
{
    struct client c;
    struct reply r;
    if (is_sanitized())
        return;
    demo_start(&demo, variant_engine(_i), "--pool_threads", variant_pool(_i), "--stop_timeout", "100ms", NULL);
    begin_and_stop(&c, &r, "/c/waits");
    ck_assert_msg(r.kind == REPLY_OK && r.status == 503, "%s: %s %d", demo.engine, reply_kind_name(&r), r.status);
    reply_free(&r);
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 0);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "children", 60);
    tcase_add_checked_fixture(t, set_up, NULL);
    const int n = variant_count();
    tcase_add_loop_test(t, what_a_child_answers_is_collected, 0, n);
    tcase_add_loop_test(t, a_full_carrier_is_waited_for, 0, n);
    tcase_add_loop_test(t, a_child_gets_a_body, 0, n);
    tcase_add_loop_test(t, a_carrier_leaves_at_every_byte, 0, n);
    tcase_add_loop_test(t, a_parent_ends_first, 0, n);
    tcase_add_loop_test(t, a_client_leaves, 0, n);
    tcase_add_loop_test(t, a_stop_is_told_to_a_child, 0, n);
    tcase_add_loop_test(t, a_stop_ends_both, 0, n);
}

int main(int argc, char **argv)
{
    setenv("CONCUR_DEMO", CHILDREN, 1);
    return e2e_main_apart("children", add, argc, argv);
}
