/* SPDX-License-Identifier: MIT
 *
 * A process of the server can do nothing any more: a worker has lost a descriptor, may open none, has no memory, or is stopped;
 * the process before the workers as well. Whoever else serves goes on answering, and within five seconds either the process does
 * its work again or another one has taken its place, and a line of the log says so.
 *
 * CONCUR_TEST_SEED: which of a worker's descriptors are tried. CONCUR_TEST_EVERY: one in so many (3); 1: all of them.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/client.h"
#include "e2e/crowd.h"
#include "e2e/inside.h"
#include "e2e/starved.h"
#include "engines/engine.h"
#include "proc/board.h"

enum { REPLACED_MS = 5000, PATIENCE_MS = 2000, FILES = 64 };

static struct inside in;

/* ---- asking ---- */

/* 0: nothing came in time. */
static int ask_once(const char *target, unsigned ms, long *pid)
{
    struct client c;
    struct reply r;
    char request[128];
    client_open(&c, in.port);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n", target);
    (void)client_text(&c, request);
    client_read(&c, &r, false, ms);
    const int status = r.kind == REPLY_OK ? r.status : 0;
    *pid = status == 200 && r.body ? json_number(r.body, "pid") : -1;
    reply_free(&r);
    client_close(&c);
    return status;
}

static void start(const char *engine)
{
    inside_start(&in, engine, "master", "on", "workers", is_one_connection_a_worker(engine) ? "3" : "2", "threads_max", "4",
                 "drain_idle", "0", NULL);
    if (!has_workers(engine))
        return;
    long pid;
    for (int i = 0; i < 20; i++) /* whatever comes to life with the first requests is there */
        ck_assert_int_eq(ask_once("/whoami", WAIT_MS, &pid), 200);
}

/* ---- who is there ---- */

struct family {
    pid_t pids[16];
    int n;
};

/* Those of the role that serve. */
static struct family family_of(int role)
{
    struct inside_process all[64];
    struct family f = { .n = 0 };
    inside_hear(&in);
    const int n = inside_look(&in, all, 64);
    for (int i = 0; i < n && f.n < 16; i++)
        if (all[i].role == role && all[i].state == CNC_BOARD_SERVING)
            f.pids[f.n++] = all[i].pid;
    return f;
}

static bool has(const struct family *f, pid_t pid)
{
    for (int i = 0; i < f->n; i++)
        if (f->pids[i] == pid)
            return true;
    return false;
}

static struct family family_ready(int role, int least)
{
    struct family f;
    for (const int64_t until = now_ms() + slow(WAIT_MS); (f = family_of(role)).n < least; nap_ms(2))
        ck_assert_msg(now_ms() < until, "%s: %d of %d serve", in.engine, f.n, least);
    return f;
}

static struct family workers(void)
{
    return family_ready(CNC_ROLE_WORKER, is_one_connection_a_worker(in.engine) ? 3 : has_workers(in.engine) ? 2 : 1);
}

/* ---- sickness ---- */

/* The worker makes itself sick: the route is asked until it is this one that gets it. */
static void infect(pid_t pid, const char *how)
{
    char target[64];
    long who;
    snprintf(target, sizeof target, "/sick/%s?pid=%ld", how, (long)pid);
    for (const int64_t until = now_ms() + slow(WAIT_MS); ask_once(target, 500, &who) == 409;)
        ck_assert_msg(now_ms() < until, "%s: worker %ld is never asked", in.engine, (long)pid);
}

/* From when it is sick until it is replaced or well: who else is there answers. */
static void expect_recovery(int role, const struct family *before, pid_t pid, const char *how)
{
    const bool others = role == CNC_ROLE_WORKER && before->n > 1;
    const int64_t begun = now_ms();
    static struct client slow_ones[40];
    unsigned failed = 0, asked = 0, answered_by_it = 0;
    size_t waiting = 0;
    bool is_replaced = false;
    while (!is_replaced && answered_by_it < 20 && now_ms() - begun < slow(REPLACED_MS)) {
        long who;
        if (role == CNC_ROLE_HEADS && waiting < COUNT(slow_ones) && now_ms() - begun >= 100 * (int64_t)waiting) {
            client_open(&slow_ones[waiting], in.port); /* work for it */
            (void)client_text(&slow_ones[waiting++], "GET / HTTP/1.1\r\nHost: e2e\r\n");
        }
        const int status = ask_once("/whoami", slow(PATIENCE_MS), &who);
        asked++;
        failed += status != 200;
        answered_by_it += status == 200 && who == pid;
        ck_assert_msg(!others || status == 200 || failed <= 1, "%s, %s: %u of %u requests failed, the last one with %d\n%s",
                      in.engine, how, failed, asked, status, in.log ? in.log : "");
        const struct family now = family_of(role);
        is_replaced = now.n >= before->n && !has(&now, pid);
    }
    while (waiting > 0)
        client_close(&slow_ones[--waiting]);
    long who;
    printf("%s: %s: %s after %lld ms; %u of %u requests failed\n", in.engine, how,
           is_replaced ? "replaced" : answered_by_it >= 20 ? "well" : "sick", (long long)(now_ms() - begun), failed, asked);
    ck_assert_msg(is_replaced || answered_by_it >= 20, "%s: %s: sick and there\n%s", in.engine, how, in.log ? in.log : "");
    ck_assert_int_eq(ask_once("/whoami", WAIT_MS, &who), 200);
    ck_assert_msg(!is_replaced || (in.log && *in.log), "%s: %s: replaced without a line", in.engine, how);
}

/* ---- a worker ---- */

START_TEST(it_may_open_nothing_or_has_no_memory)
{
    static const char *const kinds[] = { "files", "memory" };
    const char *engine = engine_name(_i / 2), *how = kinds[_i % 2];
    if (is_sanitized() && _i % 2)
        return; /* a sanitizer ends the process */
    start(engine);
    const struct family before = workers();
    infect(before.pids[0], how);
    expect_recovery(CNC_ROLE_WORKER, &before, before.pids[0], how);
    inside_stop(&in);
}
END_TEST

START_TEST(it_is_stopped)
{
    start(engine_name(_i));
    const struct family before = workers();
    ck_assert_int_eq(kill(before.pids[0], SIGSTOP), 0);
    expect_recovery(CNC_ROLE_WORKER, &before, before.pids[0], "stopped");
    ck_assert(inside_said(&in, "it was stopped", 1000));
    inside_stop(&in);
}
END_TEST

/* The kernel tells one process of a connection. If that one has no descriptor for it, another one takes it: each client is answered
 * while the worker is still there, which could take nothing for two seconds before it is replaced. */
START_TEST(what_it_cannot_take_another_one_takes)
{
    const char *engine = engine_name(_i);
    if (!has_workers(engine) || strcmp(engine, "process-thread") == 0)
        return; /* one process accepts */
    for (int which = 0, n = 1; which < n; which++) {
        start(engine);
        const struct family before = workers();
        long who;
        n = before.n;
        process_leave_files(before.pids[which], 0);
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(ask_once("/whoami", slow(WAIT_MS), &who), 200);
            const struct family now = family_of(CNC_ROLE_WORKER);
            ck_assert_msg(is_sanitized() || has(&now, before.pids[which]), "%s: answered only when worker %d had gone\n%s", engine, which,
                          in.log ? in.log : "");
        }
        inside_stop(&in);
    }
}
END_TEST

/* Descriptors of pid that are not the host's output, lowest first; how many. */
static int files_of(pid_t pid, int *out)
{
    char path[64];
    int n = 0;
    for (int fd = 3; fd < 256 && n < FILES; fd++) {
        snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, fd);
        if (access(path, F_OK) == 0)
            out[n++] = fd;
    }
    return n;
}

static void name_file(pid_t pid, int fd, char *out, size_t size)
{
    char path[64], to[64] = "";
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)pid, fd);
    (void)!readlink(path, to, sizeof to - 1);
    snprintf(out, size, "without %d (%s)", fd, to);
}

/* A handler closes a number that is not its own, each in turn. */
START_TEST(it_has_closed_a_descriptor)
{
    const char *engine = engine_name(_i);
    const unsigned every = number_from("CONCUR_TEST_EVERY", is_quick() ? 9 : 3);
    unsigned turn = number_from("CONCUR_TEST_SEED", (unsigned)now_ms());
    int files[FILES], n = 1;
    for (int i = 0; i < n; i++, turn++) {
        char what[128], how[16];
        if (turn % every && i > 0)
            continue;
        start(engine);
        const struct family before = workers();
        const pid_t pid = before.pids[0];
        n = files_of(pid, files);
        if (i < n) {
            name_file(pid, files[i], what, sizeof what);
            snprintf(how, sizeof how, "%d", files[i]);
            infect(pid, how);
            expect_recovery(CNC_ROLE_WORKER, &before, pid, what);
        }
        inside_stop(&in);
    }
}
END_TEST

/* ---- the process before the workers ---- */

static int role_before(const char *engine)
{
    return strcmp(engine, "process-thread") == 0 ? CNC_ROLE_FRONT : CNC_ROLE_HEADS;
}

START_TEST(the_one_before_them)
{
    const char *engine = engine_name(_i / 2);
    const bool is_stopped = _i % 2;
    if (!is_one_connection_a_worker(engine) && strcmp(engine, "process-thread") != 0)
        return;
    start(engine);
    const int role = role_before(engine);
    const struct family before = family_ready(role, 1);
    if (is_stopped)
        ck_assert_int_eq(kill(before.pids[0], SIGSTOP), 0);
    else
        process_limit_files(before.pids[0], 3);
    expect_recovery(role, &before, before.pids[0], is_stopped ? "front stopped" : "front without descriptors");
    inside_stop(&in);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "sick", 240);
    tcase_add_loop_test(t, it_may_open_nothing_or_has_no_memory, 0, 2 * engine_count());
    tcase_add_loop_test(t, it_is_stopped, 0, engine_count());
    tcase_add_loop_test(t, what_it_cannot_take_another_one_takes, 0, engine_count());
    tcase_add_loop_test(t, it_has_closed_a_descriptor, 0, engine_count());
    tcase_add_loop_test(t, the_one_before_them, 0, 2 * engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("sick", add, argc, argv);
}
