/* SPDX-License-Identifier: MIT
 *
 * concur_server_run() in a process of its own, on every engine: signals of the kernel's making, those that the program has set, a
 * stderr that takes nothing, descriptors that are closed. The process is the program's, and what it has set holds.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "live_routes.h"

enum { ENGINES = 6, PATIENCE_MS = 20000 };

/* ---- the program ---- */

static int told[2]; /* a byte for each thing that the program has to tell */

static void tell(char c)
{
    (void)!write(told[1], &c, 1);
}

static int raise_it(concur_request *r, void *arg)
{
    const char *sig = concur_request_get(r, CONCUR_IN_PARAM, "sig");
    (void)arg;
    raise(sig ? atoi(sig) : SIGABRT);
    return concur_reply_text(r, 200, "hello");
}

/* A line of the log each time. */
static int wrong(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return 999;
}

static int mask(concur_request *r, void *arg)
{
    sigset_t set;
    char text[32] = "";
    (void)arg;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    for (int sig = 1, n = 0; sig < 32; sig++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%d", sigismember(&set, sig));
    return concur_reply_text(r, 200, text);
}

struct program {
    struct live l;
    pid_t pid;
    int listener;
};

/* Set up, and what the child does before it runs. */
static struct program make(int engine)
{
    struct program p = { .l = { .server = concur_server_new(engine, NULL), .name = concur_engine_name(engine) } };
    socklen_t len = sizeof p.l.at;
    char address[32];
    p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p.l.at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    ck_assert_int_eq(bind(p.listener, (struct sockaddr *)&p.l.at, len), 0);
    ck_assert_int_eq(listen(p.listener, 64), 0);
    ck_assert_int_eq(getsockname(p.listener, (struct sockaddr *)&p.l.at, &len), 0);
    snprintf(address, sizeof address, "fd:%d", p.listener);
    ck_assert_int_eq(concur_server_listen(p.l.server, address), CONCUR_OK);
    live_set(&p.l, "environment", "off");
    live_set(&p.l, "workers", "2");
    live_set(&p.l, "body_memory", "1k");
    live_set(&p.l, "stop_timeout", "2s");
    live_route(&p.l, "GET /hello", 0, hello, NULL);
    live_route(&p.l, "GET /block", CONCUR_ROUTE_BLOCKING, hello, NULL);
    live_route(&p.l, "POST /echo", 0, echo, NULL);
    live_route(&p.l, "POST /block-echo", CONCUR_ROUTE_BLOCKING, echo, NULL);
    live_route(&p.l, "GET /raise/{sig}", 0, raise_it, NULL);
    live_route(&p.l, "GET /block-raise/{sig}", CONCUR_ROUTE_BLOCKING, raise_it, NULL);
    live_route(&p.l, "GET /wrong", 0, wrong, NULL);
    live_route(&p.l, "GET /mask", 0, mask, NULL);
    live_route(&p.l, "GET /block-mask", CONCUR_ROUTE_BLOCKING, mask, NULL);
    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    return p;
}

/* before: in the child. It must not assert: the test's own process does. */
static void run(struct program *p, void (*before)(void))
{
    fflush(NULL);
    p->pid = fork();
    ck_assert_int_ge(p->pid, 0);
    if (p->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        signal(SIGHUP, SIG_DFL); /* under nohup it is ignored, and that is inherited */
        if (before)
            before();
        _exit(-concur_server_run(p->l.server));
    }
    close(told[1]);
    close(p->listener);
    concur_server_free(p->l.server);
}

/* The status, as waitpid() has it; -1: it does not end. */
static int wait_for_end(struct program *p)
{
    int status = -1;
    for (int ms = 0; ms < PATIENCE_MS && waitpid(p->pid, &status, WNOHANG) == 0; ms += 5)
        (void)poll(NULL, 0, 5);
    kill(-p->pid, SIGKILL);
    return status;
}

static void stop(struct program *p, int sig)
{
    ck_assert_int_eq(kill(p->pid, sig), 0);
    int status = wait_for_end(p);
    ck_assert_msg(status == 0, "%s: status 0x%x", p->l.name, (unsigned)status);
    close(told[0]);
}

/* ---- faults ---- */

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };

static void on_fault(int sig)
{
    tell((char)sig);
    _exit(42);
}

static void report_faults(void)
{
    struct sigaction sa = { .sa_handler = on_fault };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigaction(faults[i], &sa, NULL);
}

/* The program's reporter of crashes is called on whichever thread the fault is. */
START_TEST(a_fault_is_reported)
{
    static const char *const ways[] = { "raise", "block-raise" };
    int engine = _i % ENGINES + 1;
    for (int w = 0; w < 2; w++) {
        int sig = faults[(size_t)(_i + w) % (sizeof faults / sizeof faults[0])];
        char path[64], came = 0;
        struct program p = make(engine);
        live_set(&p.l, "pool_threads", engine == CONCUR_ENGINE_EVENT_POOL ? "2" : "0");
        run(&p, report_faults);
        must_answer(&p.l, "/hello");
        snprintf(path, sizeof path, "/%s/%d", ways[w], sig);
        (void)live_get(&p.l, path, NULL, 0);
        struct pollfd wait = { .fd = told[0], .events = POLLIN };
        ck_assert_msg(poll(&wait, 1, PATIENCE_MS) == 1, "%s %s: nothing was reported", p.l.name, path);
        ck_assert_int_eq(read(told[0], &came, 1), 1);
        ck_assert_int_eq(came, sig);
        kill(-p.pid, SIGKILL);
        ck_assert_int_eq(waitpid(p.pid, NULL, 0), p.pid);
        close(told[0]);
    }
}
END_TEST

/* ---- writes ---- */

static void limit_files(void)
{
    struct rlimit small = { .rlim_cur = 64 << 10, .rlim_max = RLIM_INFINITY };
    signal(SIGXFSZ, SIG_DFL);
    setrlimit(RLIMIT_FSIZE, &small);
}

/* A body that is larger than a file may be costs its request, on a loop, a thread or a pool. */
START_TEST(a_body_beyond_the_limit_of_files)
{
    static const char *const paths[] = { "/echo", "/block-echo" };
    enum { LARGE = 200 << 10 };
    struct program p = make(_i % ENGINES + 1);
    live_set(&p.l, "pool_threads", _i < ENGINES ? "0" : "2");
    run(&p, limit_files);
    for (int i = 0; i < 4; i++) {
        static char request[LARGE + 512];
        struct live_answer a;
        int n = snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n", paths[i % 2], LARGE);
        memset(request + n, 'x', LARGE);
        struct live_peer peer = live_connect(&p.l);
        (void)live_send_n(&peer, request, (size_t)n + LARGE);
        ck_assert_msg(live_receive(&peer, &a, false), "%s: no answer", p.l.name);
        ck_assert_int_eq(a.status, 503);
        live_close(&peer);
    }
    must_answer(&p.l, "/hello");
    must_answer(&p.l, "/block");
    stop(&p, SIGTERM);
}
END_TEST

/* A pipe without a reader, a full one, a full socket, a full disk, none at all. */
static int stderr_way;

static void spoil_stderr(void)
{
    int fds[2] = { -1, -1 }, fd = -1;
    char c = 'x';
    signal(SIGPIPE, SIG_DFL);
    if (stderr_way == 3)
        fd = open("/dev/full", O_WRONLY);
    else if (stderr_way == 2)
        (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    else
        (void)!pipe(fds);
    if (stderr_way == 0)
        close(fds[0]);
    fd = fd < 0 ? fds[1] : fd;
    if (stderr_way == 1 || stderr_way == 2) {
        int flags = fcntl(fd, F_GETFL);
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        while (write(fd, &c, 1) == 1)
            ;
        fcntl(fd, F_SETFL, flags);
    }
    if (stderr_way == 4)
        close(STDERR_FILENO);
    else
        dup2(fd, STDERR_FILENO);
}

START_TEST(a_stderr_that_takes_nothing)
{
    enum { WAYS = 5 };
    for (stderr_way = 0; stderr_way < WAYS; stderr_way++) {
        struct program p = make(_i + 1);
        run(&p, spoil_stderr);
        for (int i = 0; i < 6; i++)
            ck_assert_int_eq(live_get(&p.l, "/wrong", NULL, 0), 500);
        must_answer(&p.l, "/hello");
        stop(&p, SIGTERM);
    }
}
END_TEST

/* One worker is killed: the master has something to say about it. */
START_TEST(a_master_with_such_a_stderr)
{
    if (_i + 1 != CONCUR_ENGINE_PREFORK && _i + 1 != CONCUR_ENGINE_PROCESS_THREAD && _i + 1 != CONCUR_ENGINE_PROCESS_EVENT)
        return;
    for (stderr_way = 0; stderr_way < 4; stderr_way++) {
        struct program p = make(_i + 1);
        run(&p, spoil_stderr);
        must_answer(&p.l, "/hello");
        (void)live_get(&p.l, "/raise/9", NULL, 0);
        for (int i = 0; i < 4; i++)
            must_answer(&p.l, "/hello");
        stop(&p, SIGTERM);
    }
}
END_TEST

/* ---- descriptors 0 to 2 ---- */

/* Which of them are open in the process that answers: a digit each. */
static int low_descriptors(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d%d%d", fcntl(0, F_GETFD) >= 0, fcntl(1, F_GETFD) >= 0, fcntl(2, F_GETFD) >= 0);
}

static unsigned to_close; /* bits */

static void close_low(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (to_close & 1u << fd)
            close(fd);
}

static bool are_closed(long pid)
{
    char path[64];
    for (int fd = 0; fd < 3; fd++) {
        snprintf(path, sizeof path, "/proc/%ld/fd/%d", pid, fd);
        if ((to_close & 1u << fd) && access(path, F_OK) == 0)
            return false;
    }
    return true;
}

/* What is not open stays so, through loops, threads, bodies in files and workers, and what the server has is above. */
START_TEST(low_descriptors_that_are_closed_stay_closed)
{
    if (LIVE_SANITIZED)
        return; /* a sanitizer of threads knows nothing of numbers that fcntl() gives, and takes their reuse for a race */
    static char body[100 << 10];
    static const unsigned sets[] = { 1, 2, 4, 6, 7 };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        char want[8], got[32] = "", request[256];
        to_close = sets[i];
        struct program p = make(_i + 1);
        live_route(&p.l, "GET /low", 0, low_descriptors, NULL);
        live_route(&p.l, "GET /block-low", CONCUR_ROUTE_BLOCKING, low_descriptors, NULL);
        live_route(&p.l, "GET /later", 0, later, NULL);
        live_route(&p.l, "GET /offload", 0, offload, NULL);
        run(&p, close_low);
        snprintf(want, sizeof want, "%d%d%d", !(to_close & 1), !(to_close & 2), !(to_close & 4));
        for (int round = 0; round < 3; round++) {
            struct live_peer peer = live_connect(&p.l); /* stays open meanwhile */
            struct live_answer a;
            int n = snprintf(request, sizeof request, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n", sizeof body);
            ck_assert(live_send_n(&peer, request, (size_t)n) && live_send_n(&peer, body, sizeof body));
            ck_assert(live_receive(&peer, &a, false));
            ck_assert_int_eq(a.status, 200);
            must_answer(&p.l, "/later");
            must_answer(&p.l, "/offload");
            ck_assert_int_eq(live_get(&p.l, "/low", got, sizeof got), 200);
            ck_assert_str_eq(got, want);
            ck_assert_int_eq(live_get(&p.l, "/block-low", got, sizeof got), 200);
            ck_assert_str_eq(got, want);
            ck_assert_msg(are_closed(p.pid), "%s: without %x", p.l.name, to_close);
            (void)live_get(&p.l, "/wrong", NULL, 0); /* a line of the log, which must not go to anybody's connection */
            live_close(&peer);
        }
        stop(&p, SIGTERM);
    }
}
END_TEST

/* ---- stops ---- */

static void block_all(void)
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* A program's parent has blocked them; run owns the process meanwhile. */
START_TEST(blocked_signals_stop_it_all_the_same)
{
    struct program p = make(_i % ENGINES + 1);
    run(&p, block_all);
    must_answer(&p.l, "/hello");
    stop(&p, _i < ENGINES ? SIGTERM : SIGINT);
}
END_TEST

static void block_and_ask(void)
{
    block_all();
    raise(SIGTERM);
}

/* One that came before is not lost. */
START_TEST(a_pending_signal_stops_it)
{
    struct program p = make(_i + 1);
    run(&p, block_and_ask);
    int status = wait_for_end(&p);
    ck_assert_msg(status == 0, "%s: status 0x%x", p.l.name, (unsigned)status);
    close(told[0]);
}
END_TEST

static void ignore_children(void)
{
    signal(SIGCHLD, SIG_IGN);
}

START_TEST(an_ignored_end_of_children_is_no_error)
{
    struct program p = make(_i + 1);
    run(&p, ignore_children);
    must_answer(&p.l, "/hello");
    stop(&p, SIGTERM);
}
END_TEST

/* A process that a handler has forked, to do something else for long. */
static int fork_one_that_stays(concur_request *r, void *arg)
{
    sigset_t none;
    (void)arg;
    sigemptyset(&none);
    pid_t pid = fork();
    if (pid == 0) /* a thread of the library has all blocked, and so has its copy */
        pthread_sigmask(SIG_SETMASK, &none, NULL);
    while (pid == 0)
        pause();
    kill(pid, SIGTERM);
    for (int ms = 0, status = 0; ms < PATIENCE_MS; ms++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? concur_reply_text(r, 200, "hello") : 500;
        (void)poll(NULL, 0, 1);
    }
    kill(pid, SIGKILL);
    return 504;
}

static void no_handlers(void) /* the test tool has one for SIGTERM */
{
    signal(SIGTERM, SIG_DFL);
}

START_TEST(a_signal_ends_a_child_of_a_handler)
{
    if (LIVE_SANITIZED)
        return; /* a sanitizer of threads holds signals back in a process that was forked from one with threads */
    struct program p = make(_i + 1);
    live_route(&p.l, "GET /fork", 0, fork_one_that_stays, NULL);
    run(&p, no_handlers);
    must_answer(&p.l, "/fork");
    must_answer(&p.l, "/hello");
    stop(&p, SIGTERM);
}
END_TEST

/* ---- SIGHUP ---- */

static bool has_master(int engine)
{
    return engine == CONCUR_ENGINE_PREFORK || engine == CONCUR_ENGINE_PROCESS_THREAD || engine == CONCUR_ENGINE_PROCESS_EVENT;
}

static int which_generation(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d", concur_server_generation(concur_request_server(r)));
}

static int generation_of(const struct program *p)
{
    char got[16] = "";
    (void)live_get(&p->l, "/generation", got, sizeof got);
    return atoi(got);
}

static void ignore_hup(void)
{
    signal(SIGHUP, SIG_IGN);
}

static void block_hup(void)
{
    signal(SIGHUP, SIG_DFL);
    block_all();
}

static void on_hup(int sig)
{
    (void)sig;
    tell('h');
}

static void handle_hup(void)
{
    struct sigaction sa = { .sa_handler = on_hup, .sa_flags = SA_RESTART };
    sigaction(SIGHUP, &sa, NULL);
}

/* Whatever the program has for it but a handler of its own: the default, which would end it, ignored, blocked. */
START_TEST(a_hangup_reloads_where_there_is_a_master)
{
    static void (*const befores[])(void) = { NULL, ignore_hup, block_hup };
    int engine = _i % ENGINES + 1, generation = 1;
    struct program p = make(engine);
    live_set(&p.l, "master", "on");
    live_route(&p.l, "GET /generation", 0, which_generation, NULL);
    run(&p, befores[_i / ENGINES]);
    must_answer(&p.l, "/hello");
    for (int times = 0; times < 2; times++) {
        ck_assert_int_eq(kill(p.pid, SIGHUP), 0);
        for (int ms = 0; ms < PATIENCE_MS && generation < times + 2; ms += 10) {
            generation = generation_of(&p);
            (void)poll(NULL, 0, 10);
        }
        ck_assert_int_eq(generation, times + 2);
    }
    stop(&p, SIGTERM);
}
END_TEST

/* A handler of the program's, the option, or no master: then it is the program's. */
START_TEST(a_hangup_is_the_programs)
{
    int engine = _i % ENGINES + 1, way = _i / ENGINES;
    char came = 0;
    struct program p = make(engine);
    struct pollfd wait = { .events = POLLIN };
    live_route(&p.l, "GET /generation", 0, which_generation, NULL);
    if (way == 1)
        live_set(&p.l, "sighup", "ignore");
    run(&p, way == 0 || way == 2 ? handle_hup : NULL);
    must_answer(&p.l, "/hello");
    ck_assert_int_eq(kill(p.pid, SIGHUP), 0);
    if (way == 1 || (way == 3 && !has_master(engine))) {
        int status = wait_for_end(&p);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP, "%s: status 0x%x", p.l.name, (unsigned)status);
        close(told[0]);
        return;
    }
    if (way != 3) {
        wait.fd = told[0];
        ck_assert_int_eq(poll(&wait, 1, PATIENCE_MS), 1);
        ck_assert_int_eq(read(told[0], &came, 1), 1);
        ck_assert_int_eq(generation_of(&p), 1);
    }
    stop(&p, SIGTERM);
}
END_TEST

/* ---- what libevent says ---- */

static int err_pipe[2];

static void keep_stderr(void)
{
    dup2(err_pipe[1], STDERR_FILENO);
}

/* Closes every epoll that this process has. */
static int close_epolls(concur_request *r, void *arg)
{
    (void)arg;
    int rc = concur_reply_text(r, 200, "hello");
    for (int fd = 3; fd < 256; fd++) {
        char path[64], what[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, what, sizeof what - 1) > 0 && strstr(what, "eventpoll"))
            close(fd);
    }
    return rc;
}

/* The process that serves alone ends with an error; one of several is replaced. Whatever is said is a line of the log. */
START_TEST(libevents_warnings_are_lines_of_the_log)
{
    if (LIVE_SANITIZED)
        return; /* to close what another thread uses is a race, on purpose here */
    static char out[65536];
    int engine = _i + 1;
    ck_assert_int_eq(pipe2(err_pipe, O_CLOEXEC), 0);
    struct program p = make(engine);
    live_route(&p.l, "GET /close", 0, close_epolls, NULL);
    run(&p, keep_stderr);
    close(err_pipe[1]);
    must_answer(&p.l, "/hello");
    (void)live_get(&p.l, "/close", NULL, 0);
    if (has_master(engine)) {
        for (int i = 0, good = 0; good < 4; i++) { /* what it had taken is lost with it */
            good += live_get(&p.l, "/hello", NULL, 0) == 200;
            ck_assert_int_lt(i, 20);
        }
        ck_assert_int_eq(kill(p.pid, SIGTERM), 0);
    }
    int status = wait_for_end(&p); /* one that was asleep may notice when it is to stop */
    bool good = has_master(engine) && status == 0;
    ck_assert_msg(good || (WIFEXITED(status) && WEXITSTATUS(status) == -CONCUR_E_SYS), "%s: status 0x%x", p.l.name,
                  (unsigned)status);
    close(told[0]);
    size_t n = 0;
    for (ssize_t got; (got = read(err_pipe[0], out + n, sizeof out - 1 - n)) > 0;)
        n += (size_t)got;
    out[n] = '\0';
    ck_assert_ptr_nonnull(strstr(out, "can serve nobody any more"));
    if (has_master(engine))
        ck_assert_msg(strstr(out, ") ended: sick") != NULL, "%s", out);
    for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(strncmp(line, "concur: ", 8) == 0, "%s", line);
    close(err_pipe[0]);
}
END_TEST

START_TEST(a_wrong_folder_for_bodies_is_refused)
{
    static const char *const wrong_ones[] = { "/nowhere/at/all", "/proc/self/exe" };
    for (int i = 0; i < 2; i++) {
        struct live l = live_new(_i + 1);
        live_set(&l, "body_dir", wrong_ones[i]);
        live_route(&l, "GET /hello", 0, hello, NULL);
        ck_assert_int_eq(concur_server_check(l.server), CONCUR_E_OPTION);
        ck_assert_int_eq(concur_server_start(l.server), CONCUR_E_OPTION);
        ck_assert_msg(strstr(concur_server_error(l.server), wrong_ones[i]), "%s", concur_server_error(l.server));
        concur_server_free(l.server);
    }
}
END_TEST

/* Threads of the library leave the program's signals to the program's, but for those by which a fault is told. */
START_TEST(what_handlers_find_blocked)
{
    static const char *const paths[] = { "/mask", "/block-mask" };
    struct program p = make(_i + 1);
    run(&p, NULL);
    for (int i = 0; i < 2; i++) {
        char got[64];
        ck_assert_int_eq(live_get(&p.l, paths[i], got, sizeof got), 200);
        for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++)
            ck_assert_msg(got[faults[f] - 1] == '0', "%s: %d is blocked: %s", p.l.name, faults[f], got);
    }
    stop(&p, SIGTERM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_run");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_loop_test(all, a_fault_is_reported, 0, ENGINES);
    tcase_add_loop_test(all, a_body_beyond_the_limit_of_files, 0, 2 * ENGINES);
    tcase_add_loop_test(all, a_stderr_that_takes_nothing, 0, ENGINES);
    tcase_add_loop_test(all, a_master_with_such_a_stderr, 0, ENGINES);
    tcase_add_loop_test(all, low_descriptors_that_are_closed_stay_closed, 0, ENGINES);
    tcase_add_loop_test(all, blocked_signals_stop_it_all_the_same, 0, 2 * ENGINES);
    tcase_add_loop_test(all, a_pending_signal_stops_it, 0, ENGINES);
    tcase_add_loop_test(all, an_ignored_end_of_children_is_no_error, 0, ENGINES);
    tcase_add_loop_test(all, a_signal_ends_a_child_of_a_handler, 0, ENGINES);
    tcase_add_loop_test(all, a_hangup_reloads_where_there_is_a_master, 0, 3 * ENGINES);
    tcase_add_loop_test(all, a_hangup_is_the_programs, 0, 4 * ENGINES);
    tcase_add_loop_test(all, libevents_warnings_are_lines_of_the_log, 0, ENGINES);
    tcase_add_loop_test(all, a_wrong_folder_for_bodies_is_refused, 0, ENGINES);
    tcase_add_loop_test(all, what_handlers_find_blocked, 0, ENGINES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
