/* SPDX-License-Identifier: MIT
 *
 * Programs that have servers of several processes in them, and a life of their own: children, threads, signals, descriptors,
 * a second server. Each test is a process.
 */
#include "live.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "server/place.h"

/* How long a stop may take. A process ends slowly under a sanitizer, and many may end at once. */
#define STOP_MS (LIVE_SANITIZED ? 20000u : 2000u)

static const int trees[] = { CONCUR_ENGINE_PREFORK, CONCUR_ENGINE_PROCESS_THREAD, CONCUR_ENGINE_PROCESS_EVENT };
enum { TREES = sizeof trees / sizeof *trees, PATIENCE_MS = LIVE_PATIENCE_S * 1000 };

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

static int pid_of(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%ld", (long)getpid());
}

static int stop_all(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_server_stop(concur_request_server(r), 2000);
    return rc < 0 ? rc : concur_reply_text(r, 200, "stopping");
}

/* The system has no room for a message, for as long as it takes to ask. */
static int stop_all_unheard(concur_request *r, void *arg)
{
    (void)arg;
#ifdef CNC_FAULTS
    cnc_fault_arm(CNC_FAULT_WRITE, 1, true);
#endif
    int rc = concur_server_stop(concur_request_server(r), 2000);
#ifdef CNC_FAULTS
    cnc_fault_arm(CNC_FAULT_WRITE, 0, false);
#endif
    return rc < 0 ? rc : concur_reply_text(r, 200, "stopping");
}

/* The handler has closed the descriptor that wakes the master. */
static int stop_all_unwoken(concur_request *r, void *arg)
{
    (void)arg;
    close(concur_request_server(r)->place.wake);
    int rc = concur_server_stop(concur_request_server(r), 2000);
    return rc < 0 ? rc : concur_reply_text(r, 200, "stopping");
}

static int crash(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    kill(getpid(), SIGKILL);
    return CONCUR_OK;
}

static int stay_for_ever(concur_request *r, void *arg)
{
    (void)r;
    atomic_store((atomic_int *)arg, 1);
    for (;;)
        pause();
    return CONCUR_OK;
}

/* The descriptors that a process has, one a line, as "number target". */
static int descriptors(concur_request *r, void *arg)
{
    (void)arg;
    char text[4096], path[64], target[200];
    size_t n = 0;
    for (int fd = 0; fd < 256 && n < sizeof text - 300; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len > 0)
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s\n", (int)len, target);
    }
    text[n] = '\0';
    return concur_reply_text(r, 200, text);
}

static struct live make(int engine)
{
    struct live l = live_new(engine);
    live_set(&l, "workers", "2");
    live_route(&l, "GET /", 0, hello, NULL);
    live_route(&l, "GET /pid", 0, pid_of, NULL);
    live_route(&l, "GET /stop", 0, stop_all, NULL);
    live_route(&l, "GET /stop-unheard", 0, stop_all_unheard, NULL);
    live_route(&l, "GET /stop-unwoken", 0, stop_all_unwoken, NULL);
    live_route(&l, "GET /crash", 0, crash, NULL);
    live_route(&l, "GET /descriptors", 0, descriptors, NULL);
    return l;
}

static void expect_get(const struct live *l, const char *target, const char *body)
{
    char request[128], got[4096];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", target);
    ck_assert_int_eq(live_ask(l, request, got, sizeof got), 200);
    if (body)
        ck_assert_str_eq(got, body);
}

/* Waits for cond, dispatching meanwhile. */
#define UNTIL(l, cond)                                                                                                 \
    for (int waited = 0; !(cond); waited += 10) {                                                                      \
        struct pollfd p_ = { .fd = concur_server_fd((l)->server), .events = POLLIN };                                  \
        ck_assert_msg(waited < PATIENCE_MS, "%s: waited in vain for " #cond, (l)->name);                               \
        (void)poll(&p_, 1, 10);                                                                                        \
        (void)concur_server_dispatch((l)->server);                                                                     \
    }

/* ---- events ---- */

static char events[8192];

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)arg;
    size_t n = strlen(events);
    snprintf(events + n, sizeof events - n, "%s\n", detail);
    return CONCUR_OK;
}

START_TEST(events_and_log_lines_come_to_the_host)
{
    struct live l = make(trees[_i]);
    struct live_peer p;
    events[0] = '\0';
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, on_event, NULL), CONCUR_OK);
    live_start(&l);
    UNTIL(&l, strstr(events, "ready"));
    p = live_connect(&l);
    ck_assert(live_send(&p, "GET /crash HTTP/1.1\r\nHost: t\r\n\r\n"));
    UNTIL(&l, strstr(events, "signal 9"));
    live_close(&p);
    expect_get(&l, "/", "hello");
    live_end(&l, STOP_MS);
}
END_TEST

START_TEST(a_handler_stops_the_whole_server)
{
    struct live l = make(trees[_i]);
    live_start(&l);
    expect_get(&l, "/stop", "stopping");
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
}
END_TEST

/* What a handler asks of the master arrives, also if the system has no room for a message, or the program has closed the descriptor
 * that wakes the master. */
START_TEST(a_stop_is_heard)
{
    struct live l = make(trees[_i / 2]);
    live_start(&l);
    expect_get(&l, _i % 2 ? "/stop-unwoken" : "/stop-unheard", "stopping");
    /* Well before the minute after which a master looks by itself. */
    for (int waited = 0; concur_server_dispatch(l.server) != CONCUR_E_GONE; waited += 10) {
        struct pollfd p = { .fd = concur_server_fd(l.server), .events = POLLIN };
        ck_assert_msg(waited < PATIENCE_MS / 2, "%s: the stop is not heard", l.name);
        (void)poll(&p, 1, 10);
    }
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
}
END_TEST

/* ---- children of the host's own ---- */

START_TEST(its_children_are_its_own)
{
    struct live l = make(trees[_i]);
    pid_t before = fork();
    if (before == 0)
        _exit(41);
    live_start(&l);
    pid_t during = fork();
    if (during == 0)
        _exit(42);
    int status = 0;
    expect_get(&l, "/", "hello");
    ck_assert_int_eq(waitpid(before, &status, 0), before);
    ck_assert_int_eq(WEXITSTATUS(status), 41);
    ck_assert_int_eq(waitpid(during, &status, 0), during);
    ck_assert_int_eq(WEXITSTATUS(status), 42);
    live_end(&l, STOP_MS);
}
END_TEST

/* A host that waits for any child takes the master's exit status, too. The master has said its result elsewhere as well. */
START_TEST(a_host_that_waits_for_anybody)
{
    struct live l = make(trees[_i]);
    live_start(&l);
    ck_assert_int_eq(concur_server_stop(l.server, STOP_MS), CONCUR_OK);
    int status = 1;
    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
    concur_server_free(l.server);
    ck_assert_int_eq(waitpid(-1, &status, 0), -1); /* nobody is left */
}
END_TEST

START_TEST(nobody_is_left_behind)
{
    unsigned fds = live_descriptors();
    for (int i = 0; i < 10; i++) {
        struct live l = make(trees[_i]);
        live_start(&l);
        expect_get(&l, "/", "hello");
        live_end(&l, STOP_MS);
    }
    ck_assert_uint_eq(live_descriptors(), fds);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
}
END_TEST

/* ---- threads ---- */

static struct live_latch let_go = LIVE_LATCH;

static void *stay(void *arg)
{
    (void)live_latch_wait(&let_go, 1);
    return arg;
}

START_TEST(threads_refuse_unless_vouched_for)
{
    pthread_t thread;
    struct live l = make(trees[_i]);
    ck_assert_int_eq(pthread_create(&thread, NULL, stay, NULL), 0);
    ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_THREADS);
    ck_assert_ptr_nonnull(strstr(concur_server_error(l.server), "fork_with_threads"));
    concur_server_free(l.server);
    if (!LIVE_SANITIZED) { /* a sanitizer of threads does not take part */
        l = make(trees[_i]);
        live_set(&l, "fork_with_threads", "on");
        live_start(&l);
        expect_get(&l, "/", "hello");
        live_end(&l, STOP_MS);
    }
    live_latch_add(&let_go);
    pthread_join(thread, NULL);
    l = make(trees[_i]); /* it was joined: there is one thread again */
    live_start(&l);
    expect_get(&l, "/", "hello");
    live_end(&l, STOP_MS);
}
END_TEST

static void *read_a_line(void *arg)
{
    char line[16];
    live_latch_add(&let_go);
    return fgets(line, sizeof line, arg) ? NULL : arg;
}

/* Whoever reads from a stream has its lock meanwhile. What other streams hold must not come twice, from a child too. */
START_TEST(a_thread_that_reads_stdin_holds_nobody_up)
{
    pthread_t thread;
    int in[2], out[2];
    char got[64] = "";
    if (LIVE_SANITIZED)
        return; /* threads before a fork: as above */
    ck_assert_int_eq(pipe(in) | pipe(out), 0);
    FILE *input = fdopen(in[0], "r");
    ck_assert_int_eq(pthread_create(&thread, NULL, read_a_line, input), 0);
    ck_assert(live_latch_wait(&let_go, 1));
    (void)poll(NULL, 0, 20); /* it is in the call: nothing tells of that */
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(out[1], STDOUT_FILENO);
    printf("once");
    struct live l = make(trees[_i]);
    live_set(&l, "fork_with_threads", "on");
    live_start(&l);
    expect_get(&l, "/", "hello");
    live_end(&l, STOP_MS);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(out[1]);
    ck_assert_int_eq(read(out[0], got, sizeof got - 1), 4);
    ck_assert_int_eq(read(out[0], got + 4, sizeof got - 5), 0);
    ck_assert_str_eq(got, "once");
    ck_assert_int_eq(write(in[1], "x\n", 2), 2);
    pthread_join(thread, NULL);
}
END_TEST

/* ---- stops ---- */

static long master_of(const struct live *l)
{
    char json[8192] = "";
    size_t n = sizeof json;
    ck_assert_int_eq(concur_server_status(l->server, json, &n), CONCUR_OK);
    const char *pid = strstr(json, "\"pid\":");
    ck_assert_ptr_nonnull(pid);
    return strtol(pid + 6, NULL, 10);
}

/* A master that does not listen for a while, with more asked of it than a link holds: what was promised comes. */
START_TEST(a_stop_is_not_lost)
{
    struct live l = make(trees[_i]);
    live_start(&l);
    long master = master_of(&l);
    ck_assert_int_eq(kill((pid_t)master, SIGSTOP), 0);
    for (int i = 0; i < 5000; i++)
        ck_assert_int_eq(concur_server_reload(l.server), CONCUR_OK);
    ck_assert_int_eq(concur_server_stop(l.server, 500), CONCUR_OK);
    ck_assert_int_eq(kill((pid_t)master, SIGCONT), 0);
    int rc = concur_server_wait(l.server);
    ck_assert(rc == CONCUR_OK || rc == CONCUR_E_BUSY); /* its deadline may be over */
    concur_server_free(l.server);
}
END_TEST

static void *stop_it(void *arg)
{
    concur_server *s = arg;
    while (concur_server_stop(s, STOP_MS) == CONCUR_E_STATE)
        continue;
    live_latch_add(&let_go);
    return NULL;
}

/* From the first moment on at which it can be asked for. */
START_TEST(a_stop_during_the_start_is_not_lost)
{
    if (LIVE_SANITIZED)
        return; /* threads before a fork */
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        struct live l = make(trees[_i]);
        live_set(&l, "fork_with_threads", "on");
        ck_assert_int_eq(pthread_create(&thread, NULL, stop_it, l.server), 0);
        int rc = concur_server_start(l.server);
        if (rc == CONCUR_OK)
            rc = concur_server_wait(l.server);
        ck_assert_msg(rc == CONCUR_OK, "%s: %d %s", l.name, rc, concur_server_error(l.server));
        pthread_join(thread, NULL);
        concur_server_free(l.server);
    }
}
END_TEST

static atomic_bool over;

static void *ask_for_ever(void *arg)
{
    concur_server *s = arg;
    char json[8192];
    while (!atomic_load(&over)) {
        size_t n = sizeof json;
        (void)concur_server_status(s, json, &n);
        (void)concur_server_reload(s);
        (void)concur_server_engine(s);
        if (concur_server_stop(s, STOP_MS) != CONCUR_OK)
            return s;
    }
    return NULL;
}

/* Threads ask while it ends and after that, until it is freed. Nothing of that may reach descriptors that have other owners by then. */
START_TEST(stops_from_threads_while_it_ends)
{
    enum { THREADS = 3, PAIRS = 20 };
    for (int round = 0; round < 5; round++) {
        pthread_t threads[THREADS];
        int pairs[PAIRS][2];
        void *failed;
        struct live l = make(_i + 1);
        live_start(&l);
        expect_get(&l, "/", "hello");
        atomic_store(&over, false);
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_for_ever, l.server), 0);
        ck_assert_int_eq(concur_server_wait(l.server), CONCUR_OK);
        for (int i = 0; i < PAIRS; i++) /* they take the numbers that it had */
            ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pairs[i]), 0);
        (void)poll(NULL, 0, 5);
        atomic_store(&over, true);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], &failed);
            ck_assert_ptr_null(failed);
        }
        for (int i = 0; i < 2 * PAIRS; i++) {
            char byte;
            ck_assert_int_eq(recv(pairs[i / 2][i % 2], &byte, 1, 0), -1);
            ck_assert_int_eq(errno, EAGAIN);
        }
        for (int i = 0; i < 2 * PAIRS; i++)
            close(pairs[i / 2][i % 2]);
        concur_server_free(l.server);
    }
}
END_TEST

/* ---- signals ---- */

/* Nobody gets the exit status of a child then. */
START_TEST(an_ignored_end_of_children_is_no_error)
{
    struct live l = make(trees[_i]);
    signal(SIGCHLD, SIG_IGN);
    live_start(&l);
    expect_get(&l, "/", "hello");
    live_end(&l, STOP_MS);
}
END_TEST

/* What the master ends with comes all the same. */
START_TEST(an_ignored_end_of_children_hides_no_error)
{
    struct live l = make(trees[_i]);
    atomic_int *there = mmap(NULL, sizeof *there, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGCHLD, SIG_IGN);
    live_route(&l, "GET /stay", CONCUR_ROUTE_BLOCKING, stay_for_ever, there);
    live_start(&l);
    struct live_peer p = live_connect(&l);
    ck_assert(live_send(&p, "GET /stay HTTP/1.1\r\nHost: t\r\n\r\n"));
    for (int ms = 0; ms < PATIENCE_MS && !atomic_load(there); ms++)
        (void)poll(NULL, 0, 1);
    ck_assert_int_eq(concur_server_stop(l.server, 50), CONCUR_OK);
    ck_assert_int_eq(concur_server_wait(l.server), CONCUR_E_BUSY);
    concur_server_free(l.server);
    live_close(&p);
}
END_TEST

static void on_signal(int sig)
{
    (void)sig;
}

START_TEST(its_signal_handlers_are_untouched)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE };
    struct live l = make(trees[_i]);
    struct sigaction mine = { .sa_handler = on_signal }, now;
    sigset_t mask, mask_now;
    sigemptyset(&mine.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        ck_assert_int_eq(sigaction(signals[i], &mine, NULL), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    live_start(&l);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        ck_assert_int_eq(sigaction(signals[i], NULL, &now), 0);
        ck_assert(now.sa_handler == on_signal);
    }
    pthread_sigmask(SIG_BLOCK, NULL, &mask_now);
    for (int sig = 1; sig < 32; sig++)
        ck_assert_int_eq(sigismember(&mask, sig), sigismember(&mask_now, sig));
    for (int i = 0; i < 100; i++) {
        raise(SIGUSR1);
        if (i % 10 == 0)
            expect_get(&l, "/", "hello");
    }
    live_end(&l, STOP_MS);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(its_descriptors_stay_at_home)
{
    char path[] = "/tmp/concur-hosts-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    struct live l = make(trees[_i]);
    live_start(&l);
    char got[4096];
    ck_assert_int_eq(live_ask(&l, "GET /descriptors HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", got, sizeof got), 200);
    ck_assert_msg(strstr(got, path) == NULL, "%s", got);
    live_end(&l, STOP_MS);
    close(fd);
    unlink(path);
}
END_TEST

/* ---- two servers ---- */

START_TEST(two_servers_of_different_engines)
{
    struct live first = make(trees[_i]), second = make(trees[(_i + 1) % TREES]);
    char a[64], b[64];
    live_start(&first);
    live_start(&second);
    ck_assert_int_eq(live_ask(&first, "GET /pid HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", a, sizeof a), 200);
    ck_assert_int_eq(live_ask(&second, "GET /pid HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", b, sizeof b), 200);
    ck_assert_str_ne(a, b);
    live_end(&first, STOP_MS);
    expect_get(&second, "/", "hello");
    live_end(&second, STOP_MS);
}
END_TEST

/* ---- hosts that end ---- */

/* One that has ended does not, whoever has still to wait for it. */
static bool lives(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    const char *state = n > 0 ? strrchr(text, ')') : NULL;
    return state && state[2] != 'Z' && state[2] != 'X';
}

/* The host is killed: its master and the workers go with it, and the port is free. */
START_TEST(orphans_die_with_the_host)
{
    int pipe_fds[2];
    struct { struct sockaddr_in at; pid_t worker; } told = { 0 };
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t host = fork();
    if (host == 0) {
        struct live l = make(trees[_i]);
        char body[64];
        live_start(&l);
        (void)live_ask(&l, "GET /pid HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", body, sizeof body);
        told.at = l.at;
        told.worker = (pid_t)strtol(body, NULL, 10);
        (void)!write(pipe_fds[1], &told, sizeof told);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(pipe_fds[0], &told, sizeof told), (ssize_t)sizeof told);
    kill(host, SIGKILL);
    ck_assert_int_eq(waitpid(host, NULL, 0), host);
    struct live gone = { .at = told.at };
    for (int waited = 0;; waited += 5) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        bool is_free = bind(fd, (const struct sockaddr *)&gone.at, sizeof gone.at) == 0;
        close(fd);
        if (is_free && !lives(told.worker))
            break;
        ck_assert_msg(waited < PATIENCE_MS, "the port is not free, or the worker lives");
        (void)poll(NULL, 0, 5);
    }
}
END_TEST

/* ---- workers that cannot start ---- */

static concur_counter *starts;

/* The first few of them can, those that come after cannot. */
static int start_hook(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)detail;
    if (concur_counter_add(starts, 1) <= *(const int *)arg)
        return CONCUR_OK;
    kill(getpid(), SIGKILL);
    return CONCUR_OK;
}

static int refuse_hook(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)detail, (void)arg;
    return CONCUR_E_UPSTREAM;
}

START_TEST(a_first_start_that_fails_is_told)
{
    struct live l = make(trees[_i]);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_WORKER_START, refuse_hook, NULL), CONCUR_OK);
    ck_assert_int_lt(concur_server_start(l.server), 0);
    ck_assert_ptr_nonnull(strstr(concur_server_error(l.server), "hook"));
    concur_server_free(l.server);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
}
END_TEST

/* Workers that were fine die, and none can be started any more: a bounded number of tries, an event, and 503 to everybody. */
START_TEST(workers_that_cannot_be_had_are_given_up)
{
    static int can = 2;
    struct live l = make(trees[_i]);
    events[0] = '\0';
    starts = concur_server_counter(l.server, "starts", "workers that began to start");
    ck_assert_ptr_nonnull(starts);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_WORKER_START, start_hook, &can), CONCUR_OK);
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, on_event, NULL), CONCUR_OK);
    live_start(&l);
    for (int i = 0; i < 50 && !strstr(events, "given up: answering 503"); i++) {
        struct live_peer p = live_connect(&l);
        (void)live_send(&p, "GET /crash HTTP/1.1\r\nHost: t\r\n\r\n");
        struct pollfd wait = { .fd = p.fd, .events = POLLIN };
        (void)poll(&wait, 1, 2000);
        live_close(&p);
        (void)concur_server_dispatch(l.server);
    }
    UNTIL(&l, strstr(events, "given up: answering 503"));
    ck_assert_int_le(concur_counter_get(starts), 2 + 2 * 5 + 2);
    char got[256];
    ck_assert_int_eq(live_ask(&l, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", got, sizeof got), 503);
    live_end(&l, STOP_MS);
}
END_TEST

/* ---- numbers that the library writes to ---- */

enum { LOST_WAKE, LOST_TOPIC, LOST_LOG, LOSSES, CONNECTIONS = 40 };

static concur_topic *lost_topic;

static int lose(concur_request *r, void *arg)
{
    const concur_server *s = concur_request_server(r);
    const int numbers[LOSSES] = { s->place.wake, s->topics.fd, s->log.up };
    close(numbers[*(int *)arg]);
    return concur_reply_text(r, 200, "lost");
}

/* Has the library write to each of these. */
static int use(concur_request *r, void *arg)
{
    concur_server *s = concur_request_server(r);
    (void)arg;
    (void)concur_topic_publish(lost_topic);
    cnc_log(&s->log, CONCUR_LOG_DEBUG, "a line");
    cnc_place_pass_on(s);
    return concur_reply_text(r, 200, "used");
}

static void no_line(int level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

/* A handler closes a number by mistake, and the next connections may get it. Catches a process that goes on and writes to a
 * client's connection what is meant for other processes. */
START_TEST(no_client_gets_what_is_for_other_processes)
{
    int which = _i % LOSSES, clean = 0;
    struct live_peer peers[CONNECTIONS];
    struct live l = make(trees[_i / LOSSES]);
    live_set(&l, "workers", "1");
    ck_assert_int_eq(concur_server_log(l.server, no_line, NULL), CONCUR_OK);
    ck_assert_ptr_nonnull(lost_topic = concur_server_topic(l.server, "lost"));
    live_route(&l, "GET /lose", 0, lose, &which);
    live_route(&l, "GET /use", 0, use, NULL);
    live_start(&l);
    expect_get(&l, "/lose", "lost");
    for (int i = 0; i < CONNECTIONS; i++) {
        char got[16];
        peers[i] = live_connect(&l);
        (void)live_send(&peers[i], "GET /use HTTP/1.1\r\nHost: t\r\n\r\n");
        ssize_t n = recv(peers[i].fd, got, sizeof got, MSG_WAITALL);
        ck_assert_msg(n <= 0 || memcmp(got, "HTTP/1.1 200", 12) == 0, "%s: %zd bytes: %02x %02x", l.name, n, got[0], got[1]);
        clean += n > 0;
    }
    ck_assert_int_gt(clean, 0);
    for (int i = 0; i < CONNECTIONS; i++)
        live_close(&peers[i]);
    live_end(&l, STOP_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_hosts");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, events_and_log_lines_come_to_the_host, 0, TREES);
    tcase_add_loop_test(all, a_handler_stops_the_whole_server, 0, TREES);
    tcase_add_loop_test(all, a_stop_is_heard, 0, 2 * TREES);
    tcase_add_loop_test(all, its_children_are_its_own, 0, TREES);
    tcase_add_loop_test(all, a_host_that_waits_for_anybody, 0, TREES);
    tcase_add_loop_test(all, nobody_is_left_behind, 0, TREES);
    tcase_add_loop_test(all, threads_refuse_unless_vouched_for, 0, TREES);
    tcase_add_loop_test(all, a_thread_that_reads_stdin_holds_nobody_up, 0, TREES);
    tcase_add_loop_test(all, an_ignored_end_of_children_is_no_error, 0, TREES);
    tcase_add_loop_test(all, an_ignored_end_of_children_hides_no_error, 0, TREES);
    tcase_add_loop_test(all, a_stop_is_not_lost, 0, TREES);
    tcase_add_loop_test(all, a_stop_during_the_start_is_not_lost, 0, TREES);
    tcase_add_loop_test(all, stops_from_threads_while_it_ends, 0, 6);
    tcase_add_loop_test(all, its_signal_handlers_are_untouched, 0, TREES);
    tcase_add_loop_test(all, its_descriptors_stay_at_home, 0, TREES);
    tcase_add_loop_test(all, two_servers_of_different_engines, 0, TREES);
    tcase_add_loop_test(all, orphans_die_with_the_host, 0, TREES);
    tcase_add_loop_test(all, a_first_start_that_fails_is_told, 0, TREES);
    tcase_add_loop_test(all, workers_that_cannot_be_had_are_given_up, 0, TREES);
    tcase_add_loop_test(all, no_client_gets_what_is_for_other_processes, 0, TREES * LOSSES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
