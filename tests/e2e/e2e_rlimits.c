/* SPDX-License-Identifier: MIT
 *
 * Limits of file sizes, of processes and of memory, that the program was started with or that come later: a start serves, or is refused
 * by a sentence that says for want of what. Later every request is answered, by 503 where there is no room for it, or its connection
 * ends; no process ends but one that can serve nobody; nobody spins; and when the limit is lifted all is as before.
 *
 * CONCUR_TEST_EVERY=1: all steps. CONCUR_TEST_SEED: further limits of file sizes, and sizes of bodies.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/starved.h"

enum { SPOOLED = 65536, CALM_MS = 400, CROWD = 12, PROCESSES_MAX = 64 };

static struct run r;

/* ---- asking ---- */

/* Whatever comes but silence: the status; 0: the connection ended. */
static int ask_for(const char *what, unsigned port, const char *request, const char *body, size_t n)
{
    struct client c;
    struct reply reply;
    client_open(&c, port);
    (void)(client_text(&c, request) && (n == 0 || client_send(&c, body, n)));
    client_read(&c, &reply, false, WAIT_MS);
    const int status = reply.kind == REPLY_OK ? reply.status : 0;
    ck_assert_msg(reply.kind == REPLY_OK || reply.kind == REPLY_NONE || reply.kind == REPLY_RESET ||
                      reply.kind == REPLY_TRUNCATED, "%s, %s: %.40s: %s: %s", r.demo.engine, what, request,
                  reply_kind_name(&reply), r.text);
    ck_assert_msg(status != 503 || reply_field(&reply, "Retry-After", &n), "%s, %s: %s", r.demo.engine, what, reply.head);
    reply_free(&reply);
    client_close(&c);
    return status;
}

static int get(const char *what, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", target);
    return ask_for(what, r.demo.port, request, NULL, 0);
}

static int post(const char *what, const char *target, size_t n)
{
    static char body[4 << 20];
    char request[160];
    ck_assert_uint_le(n, sizeof body);
    snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", target, n);
    return ask_for(what, r.demo.port, request, body, n);
}

static void expect_all_well(void)
{
    for (int i = 0; i < 10; i++)
        expect_alive(r.demo.port, WAIT_MS);
    ck_assert_int_eq(post("afterwards", "/test/body", SPOOLED + 100000), 200);
}

/* A process that serves alone, or under a master; where there is the choice. */
static const char *master_of(unsigned turn)
{
    return turn % 2 ? "master=off" : "master=on";
}

/* ---- sizes of files ---- */

/* A log of which all but the last bytes up to the limit are there already, so that one of the next lines is torn. */
static int nearly_full(rlim_t limit)
{
    char name[] = "/tmp/concur-e2e-XXXXXX";
    const int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    unlink(name);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    const off_t at = limit > 50 ? (off_t)limit - 50 : 0;
    ck_assert_int_eq(ftruncate(fd, at), 0);
    ck_assert_int_eq(lseek(fd, at, SEEK_SET), at);
    return fd;
}

static void send_bodies(const char *what, rlim_t limit, uint64_t *seed)
{
    static const char *const targets[] = { "/test/body", "/test/body-away" };
    for (int i = 0; i < 16; i++) {
        const size_t over = (limit > SPOOLED ? (size_t)limit : SPOOLED) + 1 + (size_t)(random_next(seed) % 100000);
        ck_assert_int_eq(post(what, targets[i % 2], (size_t)(random_next(seed) % SPOOLED)), 200);
        ck_assert_int_eq(post(what, targets[i % 2], over), 503);
        if (limit > SPOOLED)
            ck_assert_int_eq(post(what, targets[i % 2], SPOOLED + 1 + (size_t)(random_next(seed) % (limit - SPOOLED))), 200);
        ck_assert_int_eq(get(what, "/"), 200);
    }
}

static void one_size(const char *engine, rlim_t limit, bool later, uint64_t *seed)
{
    pid_t before[PROCESSES_MAX], after[PROCESSES_MAX];
    char what[64];
    snprintf(what, sizeof what, "files of %lld bytes, %s", (long long)limit, later ? "later" : "from the start");
    const int log = nearly_full(limit);
    const struct run_before b = { .what = later ? -1 : RLIMIT_FSIZE, .limit = limit, .uid = -1, .err = log };
    run_spawn(&r, engine, &b, "--pool", "4", "--set", master_of(later), NULL);
    ck_assert_msg(run_await_port(&r), "%s, %s: %d", engine, what, run_end(&r));
    if (later)
        demo_limit(&r.demo, RLIMIT_FSIZE, limit);
    const off_t there = lseek(log, 0, SEEK_END);
    const int count = demo_pids(&r.demo, before, PROCESSES_MAX);
    send_bodies(what, limit, seed);
    demo_expect_calm(&r.demo, CALM_MS, what);
    ck_assert_int_le(lseek(log, 0, SEEK_END), there > (off_t)limit ? there : (off_t)limit);
    demo_lift(&r.demo, RLIMIT_FSIZE);
    expect_all_well();
    ck_assert_int_eq(demo_pids(&r.demo, after, PROCESSES_MAX), count);
    ck_assert_int_eq(memcmp(before, after, sizeof *before * (size_t)count), 0);
    run_stop(&r);
    close(log);
}

/* ThreadSanitizer writes a file of its own before the program begins. */
static bool can_begin(rlim_t limit)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return limit >= 1 << 20;
#endif
#endif
    (void)limit;
    return true;
}

START_TEST(sizes_of_files)
{
    static const rlim_t some[] = { 0, 4096, 1 << 20 }, every[] = { 0, 1, 100, 4096, SPOOLED - 1, SPOOLED, SPOOLED + 1, 1 << 20 };
    const char *engine = engine_name(_i);
    const size_t n = is_every() ? COUNT(every) : COUNT(some), more = is_every() ? 8 : 1;
    uint64_t seed = number_from("CONCUR_TEST_SEED", (unsigned)now_ms());
    printf("%s: seed %llu\n", engine, (unsigned long long)seed);
    for (size_t i = 0; i < n + more; i++) {
        const rlim_t limit = i >= n ? random_next(&seed) % (1 << 20) : is_every() ? every[i] : some[i];
        if (is_every() || i % 2)
            one_size(engine, limit, true, &seed);
        if (can_begin(limit) && (is_every() || i % 2 == 0))
            one_size(engine, limit, false, &seed);
    }
}
END_TEST

/* ---- processes and threads ---- */

/* Whose processes are counted, and how many of them are there already. */
static int user(void)
{
    return geteuid() == 0 ? 60000 + (int)(getpid() % 4000) : -1;
}

static long threads_of_user(void)
{
    char line[256];
    long n = 0;
    if (geteuid() == 0)
        return 0;
    FILE *f = popen("ps -L -o lwp= -U $(id -u) | wc -l", "r");
    if (f && fgets(line, sizeof line, f))
        n = strtol(line, NULL, 10);
    if (f)
        pclose(f);
    return n;
}

/* The program's sentence for a start that is refused. */
static void expect_refusal(const char *what, const char *error, const char *or_error)
{
    const int status = run_end(&r);
    ck_assert_msg(status == 1, "%s, %s: exit status %d: %s", r.demo.engine, what, status, r.text);
    ck_assert_msg(strstr(r.text, error) || (or_error && strstr(r.text, or_error)), "%s, %s: %s", r.demo.engine, what, r.text);
    run_check_ends(&r, false);
}

/* At once: more than there are threads and processes. If a worker is missing and the others have no threads, requests wait for
 * queue_timeout. */
static void crowd(const char *what, const char *target)
{
    struct client c[CROWD];
    struct reply reply;
    char request[128];
    size_t n;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", target);
    for (int i = 0; i < CROWD; i++) {
        client_open(&c[i], r.demo.port);
        (void)client_text(&c[i], request);
    }
    for (int i = 0; i < CROWD; i++) {
        client_read(&c[i], &reply, false, WAIT_MS);
        ck_assert_msg(reply.kind == REPLY_OK && (reply.status == 200 || reply.status == 503), "%s, %s: %s: %s, %d: %s", r.demo.engine,
                      what, target, reply_kind_name(&reply), reply.status, r.text);
        ck_assert_msg(reply.status == 200 || reply_field(&reply, "Retry-After", &n), "%s, %s: %s", r.demo.engine, what, reply.head);
        reply_free(&reply);
        client_close(&c[i]);
    }
}

static void await_processes(int n)
{
    pid_t pids[PROCESSES_MAX];
    for (const int64_t until = now_ms() + slow(WAIT_MS); demo_pids(&r.demo, pids, PROCESSES_MAX) != n; nap_ms(5))
        ck_assert_msg(now_ms() < until, "%s: %d processes: %s", r.demo.engine, demo_pids(&r.demo, pids, PROCESSES_MAX), r.text);
}

/* The last one of the tree is a worker; whatever its name, others of its kind go on. */
static void kill_one(const char *what)
{
    pid_t pids[PROCESSES_MAX];
    const int n = demo_pids(&r.demo, pids, PROCESSES_MAX);
    const bool others = has_workers(r.demo.engine);
    if (n < 2)
        return;
    ck_assert_int_eq(kill(pids[n - 1], SIGKILL), 0);
    await_processes(n - 1);
    ck_assert_msg(run_said(&r, "cannot start a process: Resource temporarily unavailable", WAIT_MS), "%s: %s", r.demo.engine, r.text);
    if (others)
        crowd(what, "/");
    demo_expect_calm(&r.demo, CALM_MS, what);
    demo_lift(&r.demo, RLIMIT_NPROC);
    await_processes(n);
    run_check_ends(&r, true);
}

static void some_processes(const char *engine, unsigned more)
{
    char what[64], start[32];
    const struct run_before b = { .what = RLIMIT_NPROC, .limit = (rlim_t)threads_of_user() + more, .uid = user(), .err = -1 };
    snprintf(what, sizeof what, "%u processes", more);
    snprintf(start, sizeof start, "start_timeout=%ums", slow(1000)); /* so long a process is tried again */
    run_spawn(&r, engine, &b, "--pool", "4", "--set", master_of(more), "--set", start, "--set", "queue_timeout=3s", NULL);
    if (!run_await_port(&r)) {
        expect_refusal(what, "Resource temporarily unavailable: the limit of processes and threads (RLIMIT_NPROC) is ", NULL);
        printf("%s: %s: refused\n", engine, what);
        return;
    }
    printf("%s: %s: serves\n", engine, what);
    crowd(what, "/");
    crowd(what, "/block/1");
    crowd(what, "/offload/1");
    demo_expect_calm(&r.demo, CALM_MS, what);
    demo_limit(&r.demo, RLIMIT_NPROC, 1);
    kill_one(what);
    demo_lift(&r.demo, RLIMIT_NPROC);
    expect_all_well();
    ck_assert_int_eq(get(what, "/block/1"), 200);
    run_stop(&r);
}

START_TEST(processes_and_threads)
{
    static const unsigned some[] = { 1, 3, 6 };
    const char *engine = engine_name(_i);
    for (unsigned i = 1; i <= 12; i++)
        if (is_every() || i == some[0] || i == some[1] || i == some[2])
            some_processes(engine, i);
}
END_TEST

/* ---- memory ---- */

static long size_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmSize:", 7) == 0)
            kib = strtol(line + 7, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

/* Whatever may come: an answer or an end. */
static void ask_a_lot(const char *what)
{
    for (int i = 0; i < 6; i++) {
        (void)get(what, "/");
        (void)get(what, "/block/1");
        (void)get(what, "/bytes/200000");
        (void)get(what, "/offload/1");
        (void)post(what, "/test/body", 50000);
        (void)post(what, "/test/body-away", 100000);
    }
}

static void await_well(const char *what)
{
    const int64_t until = now_ms() + slow(WAIT_MS);
    while (get(what, "/") != 200 || get(what, "/block/1") != 200)
        ck_assert_msg(now_ms() < until, "%s, %s: does not get well: %s", r.demo.engine, what, r.text);
}

/* One that serves alone may end where nothing at all can be begun, and says so. */
static bool has_ended_well(const char *what)
{
    if (demo_pids(&r.demo, (pid_t[1]){ 0 }, 1) > 0)
        return false;
    const int status = run_end(&r);
    ck_assert_msg(status == 1 && strstr(r.text, "this process can serve nobody any more"), "%s, %s: exit status %d: %s",
                  r.demo.engine, what, status, r.text);
    return true;
}

/* who: the master, or the first one that was born, and so on. -1: all. */
static void less_memory_later(const char *engine, int who, long more_kib)
{
    char what[64];
    pid_t pids[PROCESSES_MAX];
    const struct run_before b = { .what = -1, .uid = -1, .err = -1 };
    snprintf(what, sizeof what, "process %d with %ld KiB more", who, more_kib);
    run_spawn(&r, engine, &b, "--pool", "4", "--set", who < 0 ? "master=off" : "master=on", NULL);
    ck_assert_uint_ne(run_await_port(&r), 0);
    const int n = demo_pids(&r.demo, pids, PROCESSES_MAX);
    for (int i = 0; i < n; i++)
        if (who < 0 || i == who)
            process_limit(pids[i], RLIMIT_AS, (rlim_t)(size_kib(pids[i]) + more_kib) * 1024);
    ask_a_lot(what);
    demo_expect_calm(&r.demo, CALM_MS, what);
    if (!has_ended_well(what)) {
        demo_lift(&r.demo, RLIMIT_AS);
        await_well(what);
        expect_all_well();
        run_stop(&r);
    }
    run_check_ends(&r, false);
}

static void start_with_memory(const char *engine, long kib)
{
    char what[64];
    const struct run_before b = { .what = RLIMIT_AS, .limit = (rlim_t)kib * 1024, .uid = -1, .err = -1 };
    snprintf(what, sizeof what, "%ld KiB", kib);
    run_spawn(&r, engine, &b, "--pool", "4", "--set", "master=on", "--set", "start_timeout=1s", NULL);
    if (!run_await_port(&r)) {
        printf("%s: %s: refused\n", engine, what);
        expect_refusal(what, "emory", "cannot start a thread");
        return;
    }
    printf("%s: %s: serves\n", engine, what);
    ask_a_lot(what);
    demo_expect_calm(&r.demo, CALM_MS, what);
    demo_lift(&r.demo, RLIMIT_AS);
    await_well(what);
    expect_all_well();
    run_stop(&r);
    run_check_ends(&r, false);
}

static long idle_kib(const char *engine, int *count)
{
    pid_t pids[PROCESSES_MAX];
    long most = 0;
    const struct run_before b = { .what = -1, .uid = -1, .err = -1 };
    run_spawn(&r, engine, &b, "--pool", "4", "--set", "master=on", NULL);
    ck_assert_uint_ne(run_await_port(&r), 0);
    *count = demo_pids(&r.demo, pids, PROCESSES_MAX);
    for (int i = 0; i < *count; i++)
        most = size_kib(pids[i]) > most ? size_kib(pids[i]) : most;
    run_stop(&r);
    return most;
}

START_TEST(memory)
{
    static const long steps[] = { 0, 300, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536, -64, -256 };
    const char *engine = engine_name(_i);
    int count;
    if (is_sanitized())
        return; /* it has taken all addresses */
    const long idle = idle_kib(engine, &count);
    const size_t n = is_every() ? COUNT(steps) : 2;
    for (size_t i = 0; i < n; i++)
        start_with_memory(engine, idle + steps[i]);
    for (int who = -1; who < count; who++)
        for (size_t i = 0; i < n; i++)
            if (steps[i] >= 0 && (is_every() || (who + 1) % 2 == (int)i % 2))
                less_memory_later(engine, who, steps[i]);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "rlimits", is_every() ? 600 : 120);
    tcase_add_loop_test(t, sizes_of_files, 0, engine_count());
    tcase_add_loop_test(t, processes_and_threads, 0, engine_count());
    tcase_add_loop_test(t, memory, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("rlimits", add, argc, argv);
}
