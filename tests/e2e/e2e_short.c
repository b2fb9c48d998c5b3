/* SPDX-License-Identifier: MIT
 *
 * What the system has too little of costs a request or a connection, with a line in the log, and never a process that is not sick
 * itself. The limits are the system's own, set on the running processes.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "e2e/crowd.h"

#define GET "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"
#define HOST "Host: e2e\r\n\r\n"

static struct demo demo;

static uint64_t seed(void)
{
    const char *given = getenv("CONCUR_TEST_SEED");
    uint64_t n = given ? strtoull(given, NULL, 0) : (uint64_t)now_ms() * 2654435761u;
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)n);
    return n;
}

/* ---- descriptors ---- */

/* Those that need more than the connection: timers, tickets, descriptors, work elsewhere, bodies in pieces and in files. */
static const char *const requests[] = {
    "GET /sleep/5 HTTP/1.1\r\n" HOST,
    "GET /test/ticket/5 HTTP/1.1\r\n" HOST,
    "GET /offload/5 HTTP/1.1\r\n" HOST,
    "GET /block/5 HTTP/1.1\r\n" HOST,
    "GET /test/await/5 HTTP/1.1\r\n" HOST,
    "GET /test/posts/3 HTTP/1.1\r\n" HOST,
    "POST /submit HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: e2e\r\n\r\n3\r\nabc\r\n",
    "POST /test/submit-away HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: e2e\r\n\r\n3\r\nabc\r\n",
    GET,
};
#define REQUESTS ((int)COUNT(requests))

/* What came of one of them: 200, 503, or, where the worker itself could not get the connection, the same from the front. */
static void expect_answer(struct client *c, const char *request, int left, const char *what)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    const bool opens = strstr(request, "/await/") != NULL; /* a descriptor of its own, without which it says 500 */
    const bool fine = r.kind == REPLY_OK && (r.status == 200 || r.status == 503 || (opens && r.status == 500));
    ck_assert_msg(fine, "%s with %d descriptors left (%s): %.24s: %s %d", demo.engine, left, what, request,
                  reply_kind_name(&r), r.status);
    reply_free(&r);
}

/* Each has a connection that was served before. Then there are so many descriptors left, and all ask. */
static void ask_with_so_many_left(const char *engine, const char *pool, int left)
{
    static struct client clients[REQUESTS];
    static pid_t before[64], after[64];
    demo_start(&demo, engine, "--pool", pool, "--workers", workers_for(engine, REQUESTS), NULL);
    for (int i = 0; i < REQUESTS; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], GET));
        expect_answer(&clients[i], GET, left, "before");
    }
    const int processes = demo_pids(&demo, before, 64);
    for (int i = 0; i < processes; i++)
        process_leave_files(before[i], (unsigned)left);
    for (int i = 0; i < REQUESTS; i++)
        ck_assert(client_text(&clients[i], requests[i]));
    for (int i = 0; i < REQUESTS; i++) {
        if (requests[i][0] == 'P') /* the second half of a body; who was refused does not take it any more */
            (void)client_text(&clients[i], "0\r\n\r\n");
        expect_answer(&clients[i], requests[i], left, pool);
        client_close(&clients[i]);
    }
    demo_limit_files(&demo, 1024);
    expect_alive(demo.port, WAIT_MS);
    expect_balanced(demo.port, WAIT_MS);
    ck_assert_int_eq(demo_pids(&demo, after, 64), processes);
    for (int i = 0; i < processes; i++)
        ck_assert_msg(before[i] == after[i], "%s with %d descriptors left: process %d of %d has ended", engine, left, i,
                      processes);
    demo_stop(&demo, WAIT_MS);
}

/* A loop of its own takes five, and some are to stay for the program. */
START_TEST(a_request_without_descriptors)
{
    enum { MOST = 14 };
    uint64_t state = seed() + (unsigned)_i;
    for (int left = is_quick() ? 2 : 0; left < MOST; left += is_quick() ? 4 : 1)
        ask_with_so_many_left(variant_engine(_i), variant_pool(_i), left);
    ask_with_so_many_left(variant_engine(_i), variant_pool(_i), (int)(random_next(&state) % MOST));
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "short", 120);
    tcase_add_loop_test(t, a_request_without_descriptors, 0, variant_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("short", add, argc, argv);
}
