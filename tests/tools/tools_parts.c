/* SPDX-License-Identifier: MIT
 *
 * The small parts of the load client: wakes, the choice of a request, URLs, the verdict.
 */
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "load/plan.h"
#include "load/verdict.h"
#include "load/wakes.h"

enum { WAKES = 200 };

/* Against an array that is searched each time. */
START_TEST(wakes_come_in_order)
{
    struct wake all[WAKES] = { 0 };
    struct wakes ws;
    uint64_t state = 5;
    ck_assert_int_eq(wakes_init(&ws, WAKES), 0);
    for (int64_t now = 0; now < 20000; now++) {
        struct wake *due, *w = &all[(state >> 33) % WAKES];
        state = state * 6364136223846793005u + 1442695040888963407u;
        wakes_set(&ws, w, now + (int64_t)((state >> 40) % 500));
        for (int64_t last = INT64_MIN; (due = wakes_due(&ws, now)); last = due->at) {
            ck_assert_int_ge(due->at, last);
            ck_assert_uint_eq(due->pos, 0);
        }
        int64_t next = INT64_MAX;
        for (int i = 0; i < WAKES; i++)
            next = all[i].pos && all[i].at < next ? all[i].at : next;
        ck_assert_int_eq(wakes_next(&ws), next);
        ck_assert_int_gt(next, now);
    }
    wakes_deinit(&ws);
}
END_TEST

START_TEST(requests_are_picked_by_weight)
{
    struct workload_request requests[] = {
        { .method = "GET", .target = "/a", .headers = "", .weight = 1, .status = 200 },
        { .method = "HEAD", .target = "/b", .headers = "Host: other\r\n", .weight = 3, .status = 204 },
        { .method = "POST", .target = "/c", .headers = "A: b\r\n", .body = "xyz", .body_len = 3, .weight = 6, .status = 200 },
    };
    struct workload_group g = { .kind = WORKLOAD_CLOSE, .connections = 4, .rate = 8, .requests = requests, .request_count = 3 };
    struct workload w = { .timeout_ms = 7 };
    struct plan p;
    unsigned picked[3] = { 0 };
    ck_assert_int_eq(plan_init(&p, &w, &g, "h:1"), 0);
    for (uint32_t i = 0; i < 1000; i++)
        picked[plan_pick(&p, i) - p.requests]++;
    ck_assert_uint_eq(picked[0], 100);
    ck_assert_uint_eq(picked[1], 300);
    ck_assert_uint_eq(picked[2], 600);
    ck_assert_double_eq(p.interval_ns, 0.5e9);
    ck_assert_mem_eq(p.requests[0].bytes, "GET /a HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n", p.requests[0].len);
    ck_assert_mem_eq(p.requests[1].bytes, "HEAD /b HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n", p.requests[1].len);
    ck_assert(p.requests[1].is_head && !p.requests[0].is_head);
    ck_assert_mem_eq(p.requests[2].bytes,
                     "POST /c HTTP/1.1\r\nHost: h:1\r\nA: b\r\nConnection: close\r\nContent-Length: 3\r\n\r\nxyz",
                     p.requests[2].len);
    plan_deinit(&p);
}
END_TEST

static const struct {
    const char *url, *host, *path;
    unsigned port; /* 0: wrong */
} urls[] = {
    { "http://127.0.0.1:8080", "127.0.0.1:8080", "/", 8080 },
    { "http://127.0.0.1/", "127.0.0.1", "/", 80 },
    { "http://127.0.0.1:1/a?b=c:d", "127.0.0.1:1", "/a?b=c:d", 1 },
    { "http://[::1]:99/x", "[::1]:99", "/x", 99 },
    { "http://[::1]", "[::1]", "/", 80 },
    { "", "", "", 0 },
    { "127.0.0.1:80", "", "", 0 },
    { "https://127.0.0.1", "", "", 0 },
    { "http://", "", "", 0 },
    { "http://:80", "", "", 0 },
    { "http://127.0.0.1:", "", "", 0 },
    { "http://127.0.0.1:8o", "", "", 0 },
    { "http://127.0.0.1:123456", "", "", 0 },
    { "http://[::1", "", "", 0 },
    { "http://[::1]x", "", "", 0 },
    { "http://127.0.0.1?x", "", "", 0 },
    { "http://127.0.0.1/#x", "", "", 0 },
    { "http://127.0.0.1/a b", "", "", 0 },
    { "http://no.such.host.invalid/", "", "", 0 },
};

START_TEST(urls_are_taken_apart)
{
    struct load_target t;
    char error[512] = "";
    int rc = load_target_parse(urls[_i].url, &t, error, sizeof error);
    ck_assert_msg((rc == 0) == (urls[_i].port > 0), "%s: %d %s", urls[_i].url, rc, error);
    if (rc < 0) {
        ck_assert_str_ne(error, "");
        return;
    }
    in_port_t port = t.address.ss_family == AF_INET ? ((struct sockaddr_in *)&t.address)->sin_port
                                                    : ((struct sockaddr_in6 *)&t.address)->sin6_port;
    ck_assert_uint_eq(ntohs(port), urls[_i].port);
    ck_assert_str_eq(t.host, urls[_i].host);
    ck_assert_str_eq(t.path, urls[_i].path);
}
END_TEST

static struct load_result *measured(double busiest, double starved, int64_t late_us, int64_t latency_us)
{
    struct load_result *r = calloc(1, sizeof *r);
    r->busiest = busiest;
    r->starved = starved;
    histogram_add(&r->lateness, late_us * 1000);
    histogram_add(&r->total.latency, latency_us * 1000);
    verdict_on(r);
    return r;
}

static void check_verdict(struct load_result *r, const char *words)
{
    ck_assert_int_eq(r->saturated, *words != 0);
    ck_assert_msg(strstr(r->why, words) != NULL, "%s", r->why);
    ck_assert_int_eq(!*r->why, !*words);
    free(r);
}

START_TEST(the_client_knows_when_it_was_the_bottleneck)
{
    check_verdict(measured(0.5, 0.1, 0, 1000), "");
    check_verdict(measured(0.97, 0.0, 0, 1000), "busy for 97 %");
    check_verdict(measured(0.6, 0.38, 0, 1000), "without a processor for 38 %");
    check_verdict(measured(0.1, 0.0, 900, 1000), "");
    check_verdict(measured(0.1, 0.0, 5000, 6000), "ms late");
    check_verdict(measured(0.1, 0.0, 5000, 900000), "");
}
END_TEST

int main(void)
{
    enum { URLS = sizeof urls / sizeof *urls };
    Suite *s = suite_create("parts");
    TCase *t = tcase_create("parts");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, wakes_come_in_order);
    tcase_add_test(t, requests_are_picked_by_weight);
    tcase_add_loop_test(t, urls_are_taken_apart, 0, URLS);
    tcase_add_test(t, the_client_knows_when_it_was_the_bottleneck);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
