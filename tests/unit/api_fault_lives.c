/* SPDX-License-Identifier: MIT
 *
 * A server with a master, through start, load, reload, load and stop, in all of which the nth call of a kind fails, counted
 * over all of its processes. Requests may fail, the start may, a worker may die; but nobody waits for ever, a reload leaves a
 * server behind, once the system is well again so is the server, and the end leaves nothing: no process, no descriptor.
 *
 * Every CONCUR_TEST_EVERY-th n is tried (13), the first by CONCUR_TEST_SEED, as far as the time for one engine and kind goes:
 * CONCUR_TEST_BUDGET_MS (500). Without CONCUR_TEST_EVERY the seed chooses one in twenty pairs of an engine and a kind, and
 * sanitizers, under which a life takes long, see none. CONCUR_TEST_ONLY=event,read is one engine and one kind.
 */
#include "base/fault.h"
#include "live.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifdef CNC_FAULTS

static const int engines[] = { CONCUR_ENGINE_PREFORK,       CONCUR_ENGINE_THREAD,        CONCUR_ENGINE_EVENT,
                               CONCUR_ENGINE_PROCESS_THREAD, CONCUR_ENGINE_PROCESS_EVENT, CONCUR_ENGINE_EVENT_POOL };
enum { ENGINES = sizeof engines / sizeof *engines };
static const struct {
    enum cnc_fault_kind kind;
    const char *name;
} kinds[] = { { CNC_FAULT_ALLOC, "alloc" }, { CNC_FAULT_READ, "read" },     { CNC_FAULT_WRITE, "write" },
              { CNC_FAULT_OPEN, "open" },   { CNC_FAULT_WAIT, "wait" },     { CNC_FAULT_THREAD, "thread" },
              { CNC_FAULT_PROCESS, "process" } };
enum { KINDS = sizeof kinds / sizeof *kinds };

struct counts {
    atomic_uint begun, ended;
};

static struct counts *counts; /* shared by all processes */
static char path[] = "/tmp/concur-lives-XXXXXX";
static char events[16384];
static uint64_t seed;

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 0) : otherwise;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the program ---- */

static int on_end(concur_request *r, int rc, void *arg)
{
    (void)r, (void)rc, (void)arg;
    atomic_fetch_add(&counts->ended, 1);
    return 0;
}

static int watched(concur_request *r)
{
    int rc = concur_request_on_end(r, on_end, NULL);
    if (rc == CONCUR_OK)
        atomic_fetch_add(&counts->begun, 1);
    return rc;
}

static int plain(concur_request *r, void *arg)
{
    (void)arg;
    int rc = watched(r);
    return rc < 0 ? rc : concur_reply_text(r, 200, "hello");
}

static int on_time(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "later");
}

static int later(concur_request *r, void *arg)
{
    (void)arg;
    int rc = watched(r);
    return rc < 0 ? rc : concur_request_after(r, 1, on_time, NULL);
}

static int on_event(concur_server *s, int what, const char *detail, void *arg)
{
    size_t n = strlen(events);
    (void)s, (void)what, (void)arg;
    snprintf(events + n, sizeof events - n, "%s\n", detail);
    return CONCUR_OK;
}

static void no_log(int level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

static void write_file(const char *engine, const char *more)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "engine = %s\nmaster = on\nworkers = 2\nthreads_max = 3\npool_threads = 1\nenvironment = off\n%s", engine, more);
    ck_assert_int_eq(fclose(f), 0);
}

static concur_server *make(void)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_DEFAULT, path);
    if (!s)
        return NULL;
    (void)concur_server_set(s, NULL, "drain_idle", "0");
    (void)concur_server_set(s, NULL, "start_timeout", "3s");
    (void)concur_server_listen(s, "127.0.0.1:0");
    (void)concur_server_log(s, no_log, NULL);
    (void)concur_server_hook(s, CONCUR_HOOK_EVENT, on_event, NULL);
    (void)concur_server_route(s, "GET /hello", 0, plain, NULL);
    (void)concur_server_route(s, "GET /later", 0, later, NULL);
    (void)concur_server_route(s, "GET /block", CONCUR_ROUTE_BLOCKING, plain, NULL);
    return s;
}

/* ---- a life ---- */

static void dispatch(const struct live *l, int ms)
{
    struct pollfd p = { .fd = concur_server_fd(l->server), .events = POLLIN };
    (void)poll(&p, 1, ms);
    (void)concur_server_dispatch(l->server);
}

/* Waits for the client, and does meanwhile what a program with a loop of its own has to: a worker that has died is replaced by
 * nobody else. */
static bool comes_back(const struct live *l, int fd)
{
    for (int64_t until = now_ms() + LIVE_PATIENCE_S * 1000; now_ms() < until;) {
        struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = concur_server_fd(l->server), .events = POLLIN } };
        (void)poll(p, 2, 1000);
        if (p[0].revents)
            return true;
        (void)concur_server_dispatch(l->server);
    }
    return false;
}

/* Whatever comes back: an answer or the end of the connection. */
static void load(const struct live *l, const char *where)
{
    static const char *const targets[] = { "/hello", "/later", "/block", "/none" };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct live_peer p = { .fd = live_try_connect(l) };
        struct live_answer a;
        char text[128];
        if (p.fd < 0)
            continue; /* the server has ended */
        int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", targets[i]);
        if (live_send_n(&p, text, (size_t)n)) {
            ck_assert_msg(comes_back(l, p.fd), "%s: %s: no answer and no end\n%s", where, targets[i], events);
            errno = 0;
            (void)live_receive(&p, &a, false);
            ck_assert_msg(errno != EAGAIN && errno != EWOULDBLOCK, "%s: %s: an answer without an end", where, targets[i]);
        }
        live_close(&p);
        dispatch(l, 0);
    }
}

static bool answers(const struct live *l)
{
    struct live_peer p = { .fd = live_try_connect(l) };
    struct live_answer a;
    static const char text[] = "GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    if (p.fd < 0)
        return false;
    bool good = live_send_n(&p, text, sizeof text - 1) && comes_back(l, p.fd) && live_receive(&p, &a, false) && a.status == 200;
    live_close(&p);
    return good;
}

/* The system is well again: so is the server, as soon as what had to back off has. */
static void expect_well(const struct live *l, const char *where)
{
    for (int64_t until = now_ms() + LIVE_PATIENCE_S * 1000; !answers(l); dispatch(l, 20))
        ck_assert_msg(now_ms() < until, "%s: never well again\n%s", where, events);
}

static void reload(struct live *l, const char *engine)
{
    static const char *const ends[] = { "serves", "refused", "goes on" };
    write_file(engine, "keepalive_requests = 7\n");
    events[0] = 0;
    if (concur_server_reload(l->server) < 0)
        return;
    for (int64_t until = now_ms() + 5000; now_ms() < until; dispatch(l, 10))
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            if (strstr(events, ends[i]))
                return;
}

/* Descendants: this process takes them over when their parents end. */
static void expect_no_children(const char *where)
{
    int64_t until = now_ms() + LIVE_PATIENCE_S * 1000;
    for (;;) {
        siginfo_t info = { 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 && errno == ECHILD)
            return;
        ck_assert_msg(now_ms() < until, "%s: a process is left", where);
        if (!info.si_pid)
            (void)poll(NULL, 0, 2);
    }
}

static void stop(struct live *l, const char *where)
{
    int64_t began = now_ms();
    ck_assert_msg(concur_server_stop(l->server, 300) == CONCUR_OK, "%s: %s", where, concur_last_error());
    int rc = concur_server_wait(l->server);
    ck_assert_msg(rc == CONCUR_OK || rc == CONCUR_E_SYS || rc == CONCUR_E_BUSY, "%s: %s", where, concur_strerror(rc));
    ck_assert_msg(now_ms() - began < 20000, "%s: a stop of 300 ms took %lld", where, (long long)(now_ms() - began));
}

/* What the fault hits: until it is through the whole life, or the load and the reload only. */
enum { TO_THE_END, UNTIL_THE_STOP };

static unsigned one_life(int engine, int k, unsigned nth, bool and_after, int how)
{
    struct live l = { .name = concur_engine_name(engine) };
    const char *other = concur_engine_name(engine == CONCUR_ENGINE_PREFORK ? CONCUR_ENGINE_EVENT : CONCUR_ENGINE_PREFORK);
    char where[128];
    snprintf(where, sizeof where, "%s, %s %u%s", l.name, kinds[k].name, nth, and_after ? " and after" : "");
    unsigned fds = live_descriptors();
    atomic_store(&counts->begun, 0);
    atomic_store(&counts->ended, 0);
    events[0] = 0;
    write_file(l.name, "");
    cnc_fault_arm(kinds[k].kind, nth, and_after);
    l.server = make();
    int rc = l.server ? concur_server_start(l.server) : CONCUR_E_NOMEM;
    unsigned count = 0;
    if (rc == CONCUR_OK) {
        live_find(&l);
        if (!and_after)
            load(&l, where);
        reload(&l, other);
        if (!and_after)
            load(&l, where);
        if (how == UNTIL_THE_STOP) {
            count = cnc_fault_count(kinds[k].kind);
            cnc_fault_arm(kinds[k].kind, 0, false);
            expect_well(&l, where);
        }
        stop(&l, where);
    } else {
        ck_assert_msg(nth != 0, "%s: %d: %s", where, rc, concur_server_error(l.server));
    }
    count = count ? count : cnc_fault_count(kinds[k].kind);
    cnc_fault_arm(kinds[k].kind, 0, false);
    concur_server_free(l.server);
    expect_no_children(where);
    ck_assert_msg(live_descriptors() == fds, "%s: %u descriptors, %u before", where, live_descriptors(), fds);
    if (rc == CONCUR_OK && !strstr(events, "ended")) /* one that died took its requests along */
        ck_assert_msg(atomic_load(&counts->begun) == atomic_load(&counts->ended), "%s: %u begun, %u ended", where,
                      atomic_load(&counts->begun), atomic_load(&counts->ended));
    return count;
}

static bool is_asked_for(int engine, int k)
{
    const char *only = getenv("CONCUR_TEST_ONLY");
    char text[64];
    snprintf(text, sizeof text, "%s,%s", concur_engine_name(engine), kinds[k].name);
    if (only)
        return strcmp(only, text) == 0;
    struct live_random random = live_random_of(seed, (uint64_t)(engine * KINDS + k) << 8);
    return getenv("CONCUR_TEST_EVERY") || (!LIVE_SANITIZED && live_below(&random, 20) == 0);
}

static void each(int engine, int k, bool and_after)
{
    if (!is_asked_for(engine, k))
        return;
    unsigned every = (unsigned)number_from("CONCUR_TEST_EVERY", 13);
    int64_t budget = number_from("CONCUR_TEST_BUDGET_MS", 500), began = now_ms();
    unsigned count = one_life(engine, k, 0, false, UNTIL_THE_STOP), tried = 0;
    ck_assert_uint_gt(count, 0);
    struct live_random random = live_random_of(seed, (uint64_t)k);
    unsigned first = 1 + live_below(&random, every < count ? every : count), step = every;
    int64_t life = now_ms() - began + 1, room = budget / life + 1;
    if (every > 1 && count / step > room) /* not enough time for all: spread over the life */
        step = (unsigned)(count / room) + 1;
    for (unsigned nth = first; nth <= count; nth += step, tried++)
        (void)one_life(engine, k, nth, and_after, nth % 2 ? TO_THE_END : UNTIL_THE_STOP);
    printf("%s, %s%s: %u of %u\n", concur_engine_name(engine), kinds[k].name, and_after ? " and after" : "", tried, count);
}

START_TEST(the_nth_fails)
{
    each(engines[_i / KINDS], _i % KINDS, false);
}
END_TEST

/* But waits, and reads, of which those between processes fail for want of room: no system does so each time, for ever. */
START_TEST(all_fail_from_the_nth_on)
{
    if (kinds[_i % KINDS].kind != CNC_FAULT_WAIT && kinds[_i % KINDS].kind != CNC_FAULT_READ)
        each(engines[_i / KINDS], _i % KINDS, true);
}
END_TEST

static void set_up(void)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(counts, MAP_FAILED);
    ck_assert(cnc_fault_share());
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

static void tear_down(void)
{
    unlink(path);
}

int main(void)
{
    seed = live_seed();
    Suite *s = suite_create("api_fault_lives");
    TCase *t = tcase_create("lives");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_set_timeout(t, 3600);
    tcase_add_loop_test(t, the_nth_fails, 0, ENGINES * KINDS);
    tcase_add_loop_test(t, all_fail_from_the_nth_on, 0, ENGINES * KINDS);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
#else
int main(void)
{
    return EXIT_SUCCESS; /* faults cannot be injected into this build */
}
#endif
