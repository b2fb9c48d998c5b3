/* SPDX-License-Identifier: MIT
 *
 * What the library answers by itself looks alike, whoever answers: a request, a connection without one, or a full queue.
 */
#include "live.h"

#include <poll.h>
#include <sys/mman.h>

static int engines[8];
static int engine_count;
static atomic_bool *is_over; /* shared: workers have no descriptors of the test */

static int hold(concur_request *r, void *arg)
{
    (void)arg;
    while (!atomic_load(is_over))
        (void)poll(NULL, 0, 1);
    return concur_reply_text(r, 200, "held");
}

static void expect_page(const struct live *l, struct live_peer *p, int status)
{
    struct live_answer a;
    char body[80];
    ck_assert_msg(live_receive(p, &a, false), "%s: no answer, %d is wanted", l->name, status);
    ck_assert_msg(a.status == status, "%s: %d, not %d", l->name, a.status, status);
    const char *type = live_field(&a, "Content-Type");
    ck_assert_msg(type && strncmp(type, "text/plain; charset=utf-8\r\n", 27) == 0, "%s: %d has the head\n%s", l->name,
                  status, a.head);
    snprintf(body, sizeof body, "%d ", status);
    ck_assert_msg(strncmp(a.body, body, strlen(body)) == 0 && a.n && a.body[a.n - 1] == '\n', "%s: %.*s", l->name,
                  (int)a.n, a.body);
}

static void expect_answer(const struct live *l, const char *request, int status)
{
    struct live_peer p = live_connect(l);
    ck_assert(live_send(&p, request));
    expect_page(l, &p, status);
    live_close(&p);
}

START_TEST(pages_are_alike)
{
    struct live l = live_new(engines[_i]);
    live_route(&l, "GET /x", 0, hold, NULL);
    live_set(&l, "line_max", "200");
    live_start(&l);
    char large[512];
    snprintf(large, sizeof large, "GET /%0300d HTTP/1.1\r\nHost: t\r\n\r\n", 0);
    expect_answer(&l, "GET /none HTTP/1.1\r\nHost: t\r\n\r\n", 404);
    expect_answer(&l, "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", 405);
    expect_answer(&l, "GET / HTTP/1.1\r\n\r\n", 400);
    expect_answer(&l, large, 414);
    live_end(&l, 1000);
}
END_TEST

/* One thread, held, and no place to wait: the next is told so. */
START_TEST(a_full_queue)
{
    int engine = engines[_i];
    bool pool = engine == CONCUR_ENGINE_EVENT_POOL;
    if (!pool && engine != CONCUR_ENGINE_THREAD && engine != CONCUR_ENGINE_PROCESS_THREAD)
        return; /* nothing queues there */
    is_over = mmap(NULL, sizeof *is_over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(is_over, MAP_FAILED);
    struct live l = live_new(engine);
    live_route(&l, "GET /hold", CONCUR_ROUTE_BLOCKING, hold, NULL);
    live_set(&l, "workers", "1");
    live_set(&l, pool ? "pool_threads" : "threads_max", "1");
    live_set(&l, pool ? "pool_queue_max" : "queue_max", "0");
    live_start(&l);
    struct live_peer peers[3] = { live_connect(&l), live_connect(&l), live_connect(&l) };
    struct pollfd waits[3];
    for (int i = 0; i < 3; i++) {
        ck_assert(live_send(&peers[i], "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n"));
        waits[i] = (struct pollfd){ .fd = peers[i].fd, .events = POLLIN };
    }
    ck_assert_int_gt(poll(waits, 3, LIVE_PATIENCE_S * 1000), 0); /* one is held, so it is another one */
    int answered = 0;
    while (answered < 2 && !(waits[answered].revents & POLLIN))
        answered++;
    expect_page(&l, &peers[answered], 503);
    atomic_store(is_over, true);
    for (int i = 0; i < 3; i++)
        live_close(&peers[i]);
    live_end(&l, 1000);
    munmap(is_over, sizeof *is_over);
}
END_TEST

int main(void)
{
    for (int e = 1; concur_engine_name(e); e++) {
        concur_server *s = concur_server_new(e, NULL);
        (void)concur_server_listen(s, "127.0.0.1:0");
        if (concur_server_check(s) == CONCUR_OK)
            engines[engine_count++] = e;
        concur_server_free(s);
    }
    if (engine_count == 0)
        return EXIT_FAILURE;
    Suite *suite = suite_create("api_pages");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, pages_are_alike, 0, engine_count);
    tcase_add_loop_test(all, a_full_queue, 0, engine_count);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
