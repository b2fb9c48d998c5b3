/* SPDX-License-Identifier: MIT
 *
 * The request's machine under a program that does anything (request_model.h), in three worlds: on a loop whose clock
 * the test moves, on a thread that blocks, and on pool threads behind a loop. What the client gets must be well
 * formed in any case: at most one reply to a request, in order, whole or visibly cut short.
 */
#include "request_model.h"

#include <fcntl.h>

#include "base/error.h"
#include "request/request.h"

#define WIRE_MAX (1 << 20)
#define KEEPALIVE_MS 100 /* as in world_open() */

enum place { ON_LOOP, ON_THREAD, ON_POOL };

static struct run *current; /* of the request that is sent next */
static int64_t hand_ms = 1000;

static int64_t hand_now(void *arg)
{
    (void)arg;
    return hand_ms;
}

static int64_t hand_wall(void *arg)
{
    (void)arg;
    return 1700000000 + hand_ms / 1000;
}

static const struct cnc_clock hand_clock = { hand_now, hand_wall, NULL };

struct world {
    enum place place;
    concur_server *server;
    struct cnc_home *home;
    struct cnc_desk_kind desks; /* of the pool's threads */
    struct cnc_driver drv;
    struct run run;
    pthread_t poker;
    struct live_random poker_random;
    unsigned ended;
    /* the client */
    int fd;
    bool head, old, pipelined, broken, stopped;
    bool abrupt; /* a body whose end cannot be told: a reply before it closes the connection */
    bool tardy;  /* the pipelined request came when the connection may have been idle for too long */
    char request[8192];
    size_t request_len, first_len, sent; /* first: without the pipelined one */
    int64_t first_at;                    /* when all of that was sent */
    char wire[WIRE_MAX + 1];
    size_t wire_len;
};

static int plain(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "after");
}

static void leave_now(struct run *run)
{
    struct world *w = CNC_CONTAINER(run, struct world, run);
    if (!atomic_exchange(&run->left, true))
        (void)shutdown(w->fd, (run->number & 1) ? SHUT_RDWR : SHUT_WR);
}

/* A thread of the program's that holds tickets. */
static void *poke_on(void *arg)
{
    struct world *w = arg;
    for (;;) {
        pthread_mutex_lock(&w->run.mu);
        while (w->run.held == 0 && !w->run.quit)
            pthread_cond_wait(&w->run.changed, &w->run.mu);
        bool quit = w->run.quit;
        pthread_mutex_unlock(&w->run.mu);
        if (quit)
            return NULL;
        poke(&w->run, &w->poker_random);
    }
}

static void routes(concur_server *s)
{
    static const struct {
        const char *pattern;
        unsigned flags;
    } all[] = {
        { "/whole", 0 }, { "/stream", CONCUR_ROUTE_STREAM }, { "/block", CONCUR_ROUTE_BLOCKING },
        { "/block-stream", CONCUR_ROUTE_BLOCKING | CONCUR_ROUTE_STREAM }, { "/{x}", 0 }, { "/*x", CONCUR_ROUTE_STREAM },
    };
    for (size_t i = 0; i < CNC_COUNT(all); i++)
        ck_assert_int_eq(concur_server_route(s, all[i].pattern, all[i].flags, on_request, &current), CONCUR_OK);
    ck_assert_int_eq(concur_server_route(s, "GET /after/it", 0, plain, NULL), CONCUR_OK);
}

/* Memory that a request gets is not empty. */
static void soil_block(struct cnc_home *home)
{
    void *block = cnc_desk_block_get(home);
    ck_assert_ptr_nonnull(block);
    memset(block, 0xbe, CNC_DESK_BLOCK);
    cnc_desk_block_put(home, block);
}

static void world_open(struct world *w, enum place place, uint64_t seed)
{
    static const char *const options[][2] = {
        { "environment", "off" },         { "output_high", "8k" },      { "output_low", "2k" },
        { "body_memory", "1500" },        { "body_max", "5000" },       { "request_memory", "64k" },
        { "keepalive_timeout", "100ms" }, { "linger_timeout", "20ms" },
    };
    *w = (struct world){ .place = place, .fd = -1, .poker_random = live_random_of(seed, (uint64_t)-1) };
    w->server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    for (size_t i = 0; i < CNC_COUNT(options); i++)
        ck_assert_int_eq(concur_server_set(w->server, NULL, options[i][0], options[i][1]), CONCUR_OK);
    if (place != ON_LOOP) { /* time is the machine's: nothing may take long */
        ck_assert_int_eq(concur_server_set(w->server, NULL, "request_timeout", "25ms"), CONCUR_OK);
        const char *patience = place == ON_THREAD ? "15ms" : "5s"; /* on a thread nobody reads meanwhile */
        ck_assert_int_eq(concur_server_set(w->server, NULL, "write_timeout", patience), CONCUR_OK);
        ck_assert_int_eq(concur_server_set(w->server, NULL, "body_timeout", "15ms"), CONCUR_OK);
    }
    routes(w->server);
    struct cnc_setup *setup;
    ck_assert_int_eq(cnc_setup_create(&setup, cnc_options_copy(w->server->options, CNC_LAYERS_SAID), &w->server->routes),
                     CONCUR_OK);
    cnc_server_adopt(w->server, setup);
    if (place == ON_LOOP)
        w->server->clock = &hand_clock;
    if (place == ON_POOL) {
        struct cnc_pool_config cfg = { .clock = w->server->clock,
                                       .threads_max = 2,
                                       .queue_max = 8,
                                       .library_max = 1,
                                       .library_queue_max = 8,
                                       .stack_size = 1 << 20,
                                       .idle_ms = 50 };
        w->desks.fields_max = 1;
        cnc_desk_for_threads(&cfg, &w->desks);
        ck_assert_int_eq(cnc_pool_create(&w->server->pool, &cfg), CONCUR_OK);
    }
    unsigned fields = w->server->setup->limits.http.fields_max;
    ck_assert_int_eq(cnc_desk_create(&w->home, w->server->clock, fields, place == ON_THREAD), CONCUR_OK);
    soil_block(w->home);
    cnc_driver_init(&w->drv, w->home, &w->server->setup->limits, &cnc_request_conn_ops, w->server, &w->server->draining);
    ck_assert_int_eq(cnc_driver_need_loop(&w->drv), CONCUR_OK);
    pthread_mutex_init(&w->run.mu, NULL);
    pthread_cond_init(&w->run.changed, NULL);
    w->run.ready_fd = eventfd(1, EFD_CLOEXEC);
    w->run.quiet_fd = eventfd(0, EFD_CLOEXEC);
    if (place != ON_LOOP)
        ck_assert_int_eq(pthread_create(&w->poker, NULL, poke_on, w), 0);
}

static void world_close(struct world *w)
{
    if (w->place != ON_LOOP) {
        pthread_mutex_lock(&w->run.mu);
        w->run.quit = true;
        pthread_cond_broadcast(&w->run.changed);
        pthread_mutex_unlock(&w->run.mu);
        pthread_join(w->poker, NULL);
    }
    if (w->server->pool) {
        ck_assert_int_eq(cnc_pool_stop(w->server->pool, 20000), CONCUR_OK);
        cnc_pool_destroy(&w->server->pool);
    }
    MUST(&w->run, w->drv.illegal == 0);
    cnc_driver_deinit(&w->drv);
    cnc_home_close(&w->home);
    concur_server_free(w->server);
    close(w->run.ready_fd);
    close(w->run.quiet_fd);
    pthread_mutex_destroy(&w->run.mu);
    pthread_cond_destroy(&w->run.changed);
}

/* ---- the client ---- */

static void put(struct world *w, const char *fmt, ...) CNC_PRINTF(2, 3);

static void put(struct world *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->request + w->request_len, sizeof w->request - w->request_len, fmt, args);
    va_end(args);
    w->request_len += (size_t)n;
}

static void put_body(struct world *w, size_t n, bool chunked)
{
    struct live_random *random = &w->run.random;
    for (size_t at = 0; at < n || (chunked && at == 0);) {
        size_t piece = chunked ? live_below(random, 900) + 1 : n;
        if (piece > n - at)
            piece = n - at;
        if (chunked && piece)
            put(w, "%zx\r\n", piece);
        for (size_t i = 0; i < piece; i++)
            w->request[w->request_len++] = pattern(at + i);
        at += piece;
        if (chunked && piece)
            put(w, "\r\n");
        if (!piece)
            break;
    }
    if (chunked && (w->broken = live_below(random, 6) == 0))
        put(w, "xyz\r\n");
    else if (chunked)
        put(w, "0\r\n\r\n");
}

static void write_request(struct world *w)
{
    static const char *const paths[] = { "/whole", "/stream", "/block", "/block-stream", "/other", "/a/b" };
    struct live_random *random = &w->run.random;
    bool posts = live_below(random, 2);
    w->head = !posts && live_below(random, 8) == 0;
    w->old = live_below(random, 10) == 0;
    w->broken = w->stopped = w->abrupt = w->tardy = false;
    w->request_len = w->sent = w->wire_len = 0;
    put(w, "%s %s HTTP/1.%d\r\nHost: t\r\n", posts ? "POST" : w->head ? "HEAD" : "GET",
        paths[live_below(random, CNC_COUNT(paths))], w->old ? 0 : 1);
    if (posts) {
        size_t n = live_below(random, 4) ? live_below(random, 2500) : live_below(random, 5200);
        bool chunked = !w->old && live_below(random, 2);
        w->abrupt = live_below(random, 6) == 0;
        if (w->abrupt)
            put(w, "Expect: 100-continue\r\n");
        w->abrupt = w->abrupt || chunked;
        if (chunked)
            put(w, "Transfer-Encoding: chunked\r\n\r\n");
        else
            put(w, "Content-Length: %zu\r\n\r\n", n);
        put_body(w, n, chunked);
    } else {
        put(w, "\r\n");
    }
    w->first_len = w->request_len;
    w->pipelined = !w->old && !w->broken && live_below(random, 2);
    if (w->pipelined)
        put(w, "GET /after/it HTTP/1.1\r\nHost: t\r\n\r\n");
}

static void send_some(struct world *w, size_t n)
{
    if (n > w->request_len - w->sent)
        n = w->request_len - w->sent;
    ssize_t put_n =
        n && !atomic_load(&w->run.left) ? send(w->fd, w->request + w->sent, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    size_t before = w->sent;
    w->sent += put_n > 0 ? (size_t)put_n : 0;
    if (before < w->first_len && w->sent >= w->first_len)
        w->first_at = hand_ms;
    if (before <= w->first_len && w->sent > w->first_len)
        w->tardy = hand_ms - w->first_at >= KEEPALIVE_MS;
}

static void receive_some(struct world *w, size_t n)
{
    ssize_t got =
        recv(w->fd, w->wire + w->wire_len, n < WIRE_MAX - w->wire_len ? n : WIRE_MAX - w->wire_len, MSG_DONTWAIT);
    w->wire_len += got > 0 ? (size_t)got : 0;
}

/* The first reply: is it what the program said? */
static void check_reply(struct world *w, const struct live_answer *a)
{
    struct run *run = &w->run;
    bool cut = run->end_rc != 0 || run->handlers == 0;
    bool bodiless = w->head || a->status == 204 || a->status == 304;
    MUST(run, a->status >= 200 && a->status <= 599);
    if (run->begun == 0 || run->handlers == 0)
        return; /* a page of the library's */
    if (w->place == ON_POOL && a->status >= 400 && run->end_rc)
        return; /* the same: the client broke its body while the program's reply was on its way from the pool */
    MUST(run, a->n <= run->accepted + run->lost);
    for (size_t i = 0; i < a->n; i++)
        MUST(run, a->body[i] == pattern(i));
    if (bodiless || (w->old && !live_field(a, "Content-Length")))
        return;
    MUST(run, a->complete || cut || atomic_load(&run->left));
    if (a->complete && !run->wild)
        MUST(run, !cut && run->whole && a->n == run->accepted);
}

static void check_wire(struct world *w)
{
    struct run *run = &w->run;
    struct live_answer a;
    struct live_peer p = { .fd = -1, .buf = malloc(w->wire_len + 2), .len = w->wire_len, .cap = w->wire_len + 4 };
    memcpy(p.buf, w->wire, w->wire_len);
    p.buf[p.len] = '\0';
    bool got = live_receive(&p, &a, w->head);
    bool loose = atomic_load(&run->left) || w->stopped || w->tardy;
    if (got && a.status == 100)
        got = live_receive(&p, &a, w->head);
    if (!got) { /* nothing at all, unless the client did not wait for it */
        MUST(run, atomic_load(&run->left) || p.len == p.at);
        MUST(run, atomic_load(&run->left) || run->handlers == 0 || run->end_rc != 0);
    } else {
        check_reply(w, &a);
        const char *connection = live_field(&a, "Connection");
        bool keeps = !connection || strncmp(connection, "close", 5) != 0;
        if (!a.complete || !keeps) {
            MUST(run, !a.complete || p.at == p.len);
        } else if (w->pipelined && !w->abrupt && run->end_rc == 0 && !loose && w->place == ON_LOOP &&
                   w->sent == w->request_len) {
            MUST(run, live_receive(&p, &a, false));
            MUST(run, a.status == 200 && a.complete && strcmp(a.body, "after") == 0);
            MUST(run, p.at == p.len);
        } else if (p.at < p.len && a.complete && live_receive(&p, &a, false)) {
            MUST(run, (w->pipelined && a.status == 200) || a.status == 408 || a.status == 400);
            MUST(run, p.at == p.len);
        }
    }
    free(p.buf);
}

/* ---- one run ---- */

static struct cnc_conn *begin(struct world *w, uint64_t seed, uint64_t i)
{
    struct run *run = &w->run;
    int pair[2], small = 4096;
    pthread_mutex_lock(&run->mu);
    run->random = live_random_of(seed, i);
    run->number = i;
    run->r = NULL;
    run->inside = run->ending = run->page = run->whole = run->wild = run->may_hang = false;
    run->body_asked = run->body_over = run->drain_due = false;
    run->handlers = run->begun = run->token_count = 0;
    run->accepted = run->lost = run->body_got = 0;
    run->sticky = run->end_rc = 0;
    run->leave = leave_now;
    atomic_store(&run->ended, false);
    atomic_store(&run->left, false);
    MUST(run, run->held == 0);
    pthread_mutex_unlock(&run->mu);
    current = run;
    /* Sometimes a stop has begun already; its deadline is far away. */
    atomic_store(&w->server->stop_at, live_below(&run->random, 4) ? INT64_MAX : INT64_MAX / 2);
    write_request(w);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    if (w->place != ON_THREAD)
        (void)fcntl(pair[1], F_SETFL, O_NONBLOCK);
    if (live_below(&run->random, 3) == 0)
        (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    w->fd = pair[0];
    struct cnc_conn *conn = cnc_conn_create(pair[1], &cnc_transport_plain, NULL);
    ck_assert_ptr_nonnull(conn);
    return conn;
}

static void turn(struct world *w, int64_t wait_ms)
{
    cnc_home_turn(w->home, w->place == ON_LOOP ? 0 : wait_ms);
    hand_ms += w->place == ON_LOOP ? live_below(&w->run.random, 12) : 0;
}

static bool is_ended(struct world *w)
{
    return atomic_load(&w->run.ended) && cnc_desk_of(w->home)->live == 0;
}

/* Everything the request could wait for comes: does it end? */
static void let_it_end(struct world *w, unsigned rounds)
{
    for (unsigned i = 0; i < rounds && !is_ended(w); i++) {
        send_some(w, w->request_len);
        receive_some(w, WIRE_MAX);
        if (w->place == ON_LOOP)
            poke(&w->run, &w->run.random);
        turn(w, 2);
    }
}

static void finish(struct world *w)
{
    struct run *run = &w->run;
    w->ended += atomic_load(&run->ended);
    MUST(run, run->handlers == 0 || atomic_load(&run->ended));
    size_t before = 0;
    for (unsigned quiet = w->place == ON_LOOP ? 0 : 26; quiet < 30 && w->drv.count;
         quiet++) { /* the last bytes, and the pipelined request */
        if (w->place == ON_LOOP)
            send_some(w, w->request_len);
        receive_some(w, WIRE_MAX);
        if (w->wire_len != before)
            quiet = w->place == ON_LOOP ? 0 : 26;
        before = w->wire_len;
        turn(w, 1);
    }
    receive_some(w, WIRE_MAX);
    (void)shutdown(w->fd, SHUT_RDWR);
    for (unsigned i = 0; i < 10000 && (w->drv.count || cnc_desk_of(w->home)->live); i++)
        turn(w, 2);
    MUST(run, w->drv.count == 0 && cnc_desk_of(w->home)->live == 0);
    close(w->fd);
    for (unsigned i = 0; i < run->token_count; i++)
        MUST(run, run->tokens[i].kind != FREE || atomic_load(&run->tokens[i].fired) == 1);
    check_wire(w);
}

static void run_on_loop(struct world *w, uint64_t seed, uint64_t i)
{
    struct run *run = &w->run;
    struct cnc_conn *conn = begin(w, seed, i);
    bool eager = live_below(&run->random, 2);
    cnc_driver_take(&w->drv, conn);
    for (unsigned steps = 4 + live_below(&run->random, 40); steps > 0; steps--) {
        unsigned dice = live_below(&run->random, 100);
        if (dice < 35)
            send_some(w, eager ? w->request_len : 1 + live_below(&run->random, 400));
        else if (dice < 50)
            receive_some(w, 1 + live_below(&run->random, 5000));
        else if (dice < 75)
            poke(run, &run->random);
        else if (dice < 76)
            leave_now(run);
        else if (dice < 77 && (w->stopped = true))
            cnc_request_give_up_all(w->home, CONCUR_E_STOPPING);
        else if (dice < 78)
            hand_ms += 200;
        else if (dice < 79) {
            atomic_store(&w->server->stop_at, INT64_MAX / 2);
            cnc_request_tell_stop_all(w->home, 0);
        }
        turn(w, 0);
    }
    let_it_end(w, 200);
    MUST(run, run->handlers == 0 || is_ended(w) || run->may_hang || atomic_load(&run->left));
    if (!is_ended(w)) {
        w->stopped = true;
        cnc_request_give_up_all(w->home, CONCUR_E_STOPPING);
        let_it_end(w, 50);
    }
    finish(w);
}

static bool is_wanted(void *arg)
{
    return !arg;
}

/* What waits for something that never comes, such as a descriptor without a limit, ends with the server's stop. */
static void stop_what_hangs(struct world *w)
{
    w->stopped = true;
    cnc_request_give_up_all(w->home, CONCUR_E_STOPPING);
    if (w->server->pool)
        cnc_pool_broadcast(w->server->pool, cnc_request_give_up_all, CONCUR_E_STOPPING);
}

static void run_on_thread(struct world *w, uint64_t seed, uint64_t i)
{
    struct run *run = &w->run;
    struct timeval wait = { .tv_usec = 1000 };
    struct cnc_conn *conn = begin(w, seed, i);
    (void)setsockopt(cnc_io_fd(&conn->io), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    send_some(w, live_below(&run->random, 8) ? w->request_len : live_below(&run->random, (unsigned)w->request_len));
    if (live_below(&run->random, 10) == 0)
        leave_now(run);
    if (cnc_block_serve(&w->drv, conn, is_wanted, NULL))
        cnc_driver_take(&w->drv, conn); /* parked; here the thread is its own poller */
    for (unsigned k = 0; k < 5000 && (cnc_desk_of(w->home)->live || k < 2); k++) {
        if (k == 1000)
            stop_what_hangs(w);
        receive_some(w, WIRE_MAX);
        turn(w, 2);
    }
    finish(w);
}

static bool is_busy(struct cnc_pool *pool)
{
    struct cnc_pool_stats stats;
    cnc_pool_stats(pool, &stats);
    return stats.queued || stats.idle < stats.threads;
}

static void run_on_pool(struct world *w, uint64_t seed, uint64_t i)
{
    struct run *run = &w->run;
    struct cnc_conn *conn = begin(w, seed, i);
    send_some(w, live_below(&run->random, 8) ? w->request_len : live_below(&run->random, (unsigned)w->request_len));
    bool leaves = live_below(&run->random, 10) == 0; /* drawn before the request's thread draws */
    cnc_driver_take(&w->drv, conn);
    if (leaves)
        leave_now(run);
    for (unsigned k = 0; k < 5000 && (cnc_desk_of(w->home)->live || is_busy(w->server->pool)); k++) {
        if (k == 1000)
            stop_what_hangs(w);
        receive_some(w, WIRE_MAX);
        turn(w, 2);
    }
    finish(w);
}

static uint64_t seed_of_all;

static void run_many(enum place place, uint64_t from, uint64_t n, void (*fn)(struct world *, uint64_t, uint64_t))
{
    struct world *w = malloc(sizeof *w);
    const char *only = getenv("CONCUR_TEST_RUN"); /* one run again */
    world_open(w, place, seed_of_all);
    for (uint64_t i = from; i < from + n; i++)
        if (!only || strtoull(only, NULL, 10) == i)
            fn(w, seed_of_all, i);
    if (!only)
        ck_assert_uint_ge(w->ended, n / 2); /* the others were refused before a handler */
    world_close(w);
    free(w);
}

#define LOOP_RUNS (LIVE_SANITIZED ? 400 : 5000)
#define REAL_RUNS (LIVE_SANITIZED ? 100 : 400)

START_TEST(on_a_loop)
{
    run_many(ON_LOOP, (uint64_t)_i * LOOP_RUNS, LOOP_RUNS, run_on_loop);
}
END_TEST

START_TEST(on_a_thread)
{
    run_many(ON_THREAD, 1000000 + (uint64_t)_i * REAL_RUNS, REAL_RUNS, run_on_thread);
}
END_TEST

START_TEST(on_a_pool)
{
    run_many(ON_POOL, 2000000 + (uint64_t)_i * REAL_RUNS, REAL_RUNS, run_on_pool);
}
END_TEST

int main(void)
{
    seed_of_all = live_seed();
    Suite *s = suite_create("core_request");
    TCase *t = tcase_create("model");
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, on_a_loop, 0, 4);
    tcase_add_loop_test(t, on_a_thread, 0, 1);
    tcase_add_loop_test(t, on_a_pool, 0, 1);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
