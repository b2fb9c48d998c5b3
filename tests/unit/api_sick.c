/* SPDX-License-Identifier: MIT
 *
 * A program closes a number that is not its own, on the engines of one process: each descriptor of the server in turn. The server
 * serves on, or it says that it cannot and ends with CONCUR_E_SYS; it never waits for ever, never goes round and round, and a stop
 * ends.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "live_routes.h"

enum { FILES_MAX = 256, SPIN_MS = 300, SOCKETS = 13 };

static int engines[8];
static bool was_open[FILES_MAX]; /* before the server came */
static int to_close = -1;
static int sockets[SOCKETS], next_socket;

/* A number that is closed while others use it is a race, and is what is tried here: ThreadSanitizer runs and does not judge. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "report_bugs=0";
}

static int close_it(concur_request *r, void *arg)
{
    (void)arg;
    close(to_close);
    return concur_reply_text(r, 200, "hello");
}

static void *post_soon(void *arg)
{
    concur_ticket *t = arg;
    (void)concur_ticket_post(t, hello, NULL);
    concur_ticket_release(t);
    return NULL;
}

/* Needs whoever serves to be woken by another thread. */
static int ticket(concur_request *r, void *arg)
{
    pthread_t thread;
    concur_ticket *t = concur_request_defer(r);
    (void)arg;
    if (!t || pthread_create(&thread, NULL, post_soon, t) != 0)
        return 500;
    pthread_detach(thread);
    return CONCUR_OK;
}

static struct live start(int engine)
{
    struct live l = live_new(engine);
    live_set(&l, "threads_max", "2");
    live_set(&l, "drain_idle", "0");
    live_set(&l, "header_timeout", "200ms");
    live_set(&l, "keepalive_timeout", "200ms");
    live_route(&l, "GET /hello", 0, hello, NULL);
    live_route(&l, "GET /later", 0, later, NULL);
    live_route(&l, "GET /ticket", 0, ticket, NULL);
    live_route(&l, "GET /close", 0, close_it, NULL);
    live_start(&l);
    return l;
}

/* Clients' sockets are made before a number is closed, and are high ones: what the server has lost is taken by the server's next
 * connection, and never by a client, whose socket the server would close for its own. */
static void make_sockets(void)
{
    for (int i = 0; i < SOCKETS; i++) {
        int low = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockets[i] = fcntl(low, F_DUPFD_CLOEXEC, FILES_MAX);
        close(low);
        ck_assert_int_ge(sockets[i], FILES_MAX);
    }
    next_socket = 0;
}

static void close_sockets(void)
{
    while (next_socket < SOCKETS)
        close(sockets[next_socket++]);
}

static int dial(const struct live *l)
{
    ck_assert_int_lt(next_socket, SOCKETS);
    int fd = sockets[next_socket++];
    if (connect(fd, (const struct sockaddr *)&l->at, sizeof l->at) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Requests of each kind, of which any may fail. They are given up after a while, as users do. */
static void ask_for(const struct live *l, const char *const paths[], int n_paths)
{
    for (int i = 0; i < n_paths; i++) {
        struct live_peer p = { .fd = dial(l) };
        char text[64];
        int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", paths[i]);
        struct pollfd wait = { .fd = p.fd, .events = POLLIN };
        if (p.fd >= 0 && live_send_n(&p, text, (size_t)n))
            (void)poll(&wait, 1, 500);
        live_close(&p);
    }
}

static void ask_around(const struct live *l)
{
    static const char *const paths[] = { "/hello", "/later", "/ticket", "/hello" };
    ask_for(l, paths, 4);
}

static long cpu_ms(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* The nth descriptor that the server has opened; -1: it has fewer. */
static int nth_file(int n)
{
    for (int fd = 3; fd < FILES_MAX; fd++)
        if (!was_open[fd] && fcntl(fd, F_GETFD) >= 0 && n-- == 0)
            return fd;
    return -1;
}

/* False: there is no nth. */
static bool close_nth(int engine, int n)
{
    for (int fd = 0; fd < FILES_MAX; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    make_sockets();
    struct live l = start(engine);
    ask_around(&l); /* whatever comes to life with the first requests is there */
    to_close = nth_file(n);
    char what[64] = "", path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", to_close);
    (void)!readlink(path, what, sizeof what - 1);
    bool there = to_close >= 0;
    if (there) {
        static const char *const closing[] = { "/close" };
        ask_for(&l, closing, 1);
        ask_around(&l);
        long before = cpu_ms();
        (void)poll(NULL, 0, SPIN_MS); /* what is observed is that nothing happens for a while */
        long spent = cpu_ms() - before;
        ck_assert_msg(LIVE_SANITIZED || spent < SPIN_MS / 4, "%s without %d (%s): %ld ms in %d", l.name, n, what, spent, SPIN_MS);
        ask_around(&l);
    }
    ck_assert_int_eq(concur_server_stop(l.server, 100), CONCUR_OK);
    int rc = concur_server_wait(l.server);
    printf("%s without descriptor %d (%s): %s %s\n", l.name, n, what, concur_strerror(rc), concur_server_error(l.server));
    ck_assert_msg(rc == CONCUR_OK || (there && rc == CONCUR_E_SYS), "%s without %d (%s): %s", l.name, n, what,
                  concur_strerror(rc));
    ck_assert(rc == CONCUR_OK || *concur_server_error(l.server));
    concur_server_free(l.server);
    close_sockets();
    ck_assert_uint_eq(live_other_threads(), 0);
    return there;
}

START_TEST(whichever_descriptor_is_closed)
{
    int n = 0;
    while (close_nth(engines[_i], n))
        n++;
    ck_assert_int_ge(n, 8); /* the stop's two, a listening socket and its copy, and those of a loop */
}
END_TEST

/* The descriptor with which the server's loop waits; -1: none. */
static int loop_of_server(void)
{
    char what[64], path[64];
    for (int n = 0, fd; (fd = nth_file(n)) >= 0; n++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, what, sizeof what - 1);
        what[len < 0 ? 0 : len] = '\0';
        if (strcmp(what, "anon_inode:[eventpoll]") == 0)
            return fd;
    }
    return -1;
}

/* The host frees a server that has ended by itself with an error, and has not waited for it. Catches a free that keeps such a
 * server as if a handler were still running. */
START_TEST(free_takes_one_that_has_ended_by_itself)
{
    unsigned held = live_descriptors();
    for (int fd = 0; fd < FILES_MAX; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    make_sockets();
    struct live l = start(engines[_i]);
    struct pollfd end = { .fd = concur_server_fd(l.server), .events = POLLIN };
    to_close = loop_of_server();
    ck_assert_int_ge(to_close, 0);
    ask_for(&l, (const char *const[]){ "/close" }, 1);
    ask_around(&l);
    ck_assert_int_eq(poll(&end, 1, LIVE_PATIENCE_S * 1000), 1);
    concur_server_free(l.server);
    close_sockets();
    ck_assert_uint_eq(live_other_threads(), 0);
    ck_assert_uint_eq(live_descriptors(), held);
}
END_TEST

/* ---- the loop of a thread ---- */

static int alone[2]; /* a pipe */
static concur_ticket *ticket_alone;
static struct live_latch is_alone = LIVE_LATCH;

static bool is_eventfd(int fd)
{
    char what[64], path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, what, sizeof what - 1);
    what[n < 0 ? 0 : n] = '\0';
    return strcmp(what, "anon_inode:[eventfd]") == 0;
}

static int when_readable(concur_request *r, int rc, void *arg)
{
    (void)arg;
    return rc < 0 ? rc : concur_reply_text(r, 200, "readable");
}

/* Waits for a descriptor, for which a thread gets a loop of its own, and closes the descriptor that wakes this. */
static int wait_alone(concur_request *r, void *arg)
{
    bool was[FILES_MAX];
    (void)arg;
    for (int fd = 3; fd < FILES_MAX; fd++)
        was[fd] = is_eventfd(fd);
    int rc = concur_request_await(r, alone[0], CONCUR_READ, 0, when_readable, NULL);
    for (int fd = 3; fd < FILES_MAX; fd++)
        if (!was[fd] && is_eventfd(fd))
            close(fd);
    ticket_alone = concur_request_defer(r);
    live_latch_add(&is_alone);
    return rc;
}

static int post_alone(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_OK;
}

/* A connection may get the number of that descriptor. Catches a wake-up that is written to a client's connection. */
START_TEST(no_client_gets_the_wake_up_of_a_thread)
{
    ck_assert_int_eq(pipe2(alone, O_CLOEXEC), 0);
    make_sockets();
    struct live l = live_new(engines[_i]);
    live_set(&l, "drain_idle", "0");
    live_route(&l, "GET /hello", 0, hello, NULL);
    live_route(&l, "GET /alone", CONCUR_ROUTE_BLOCKING, wait_alone, NULL);
    live_start(&l);
    struct live_peer waiter = { .fd = dial(&l) };
    ck_assert(live_send(&waiter, "GET /alone HTTP/1.1\r\nHost: t\r\n\r\n"));
    ck_assert(live_latch_wait(&is_alone, 1));
    int peers[8];
    for (int i = 0; i < 8; i++)
        peers[i] = dial(&l);
    static const char *const paths[] = { "/hello" };
    ask_for(&l, paths, 1); /* those before it were accepted */
    (void)concur_ticket_post(ticket_alone, post_alone, NULL);
    concur_ticket_release(ticket_alone);
    for (int i = 0; i < 8; i++) {
        char c;
        ck_assert_msg(recv(peers[i], &c, 1, MSG_DONTWAIT) <= 0, "%s: client %d got %02x", l.name, i, c);
        close(peers[i]);
    }
    (void)concur_server_stop(l.server, 100);
    int rc = concur_server_wait(l.server);
    ck_assert_msg(rc == CONCUR_OK || rc == CONCUR_E_SYS, "%s: %s", l.name, concur_strerror(rc));
    concur_server_free(l.server);
    live_close(&waiter);
    close_sockets();
    close(alone[0]);
    close(alone[1]);
}
END_TEST

int main(void)
{
    int n = (int)live_engines(engines);
    if (n == 0)
        return EXIT_FAILURE;
    Suite *suite = suite_create("api_sick");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, live_count_own_threads, NULL);
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, whichever_descriptor_is_closed, 0, n);
    tcase_add_loop_test(all, no_client_gets_the_wake_up_of_a_thread, 0, n);
    tcase_add_loop_test(all, free_takes_one_that_has_ended_by_itself, 0, n);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
