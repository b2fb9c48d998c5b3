/* SPDX-License-Identifier: MIT
 *
 * A handler forks a child that lives on, with every connection that was open then. The clients see the end of theirs all the
 * same, when the server ends them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/harness.h"

enum { END_MS = 2000 };

static struct demo demo;

static void start(int variant, const char *setting)
{
    demo_start(&demo, variant_engine(variant), "--pool", variant_pool(variant), "--unsafe", "--workers",
               workers_for(variant_engine(variant), 3), "--set", setting, NULL);
}

static pid_t pid_of(const char *text)
{
    const long pid = strtol(text, NULL, 10);
    ck_assert_msg(pid > 1 && process_lives((pid_t)pid), "%s: child %ld", demo.engine, pid);
    return (pid_t)pid;
}

static pid_t ask_for_child(struct client *c, const char *more)
{
    char request[256];
    struct reply r;
    snprintf(request, sizeof request, "GET /test/fork HTTP/1.1\r\nHost: e2e\r\n%s\r\n", more);
    ck_assert(client_text(c, request));
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: %s %d", demo.engine, reply_kind_name(&r), r.status);
    const pid_t pid = pid_of(r.body);
    reply_free(&r);
    return pid;
}

/* The child must be there still: with it the connection would have ended anyway. */
static void expect_either(struct client *c, pid_t child, enum client_fate wanted, enum client_fate other)
{
    const enum client_fate fate = client_fate(c, END_MS);
    const bool lives = process_lives(child);
    kill(child, SIGKILL);
    ck_assert_msg((fate == wanted || fate == other) && lives, "%s: fate %d, child %s", demo.engine, fate, lives ? "lives" : "has ended");
    client_close(c);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}

static void expect_end(struct client *c, pid_t child, enum client_fate wanted)
{
    expect_either(c, child, wanted, wanted);
}

START_TEST(after_the_reply)
{
    struct client c;
    start(_i, "backlog=128");
    client_open(&c, demo.port);
    expect_end(&c, ask_for_child(&c, "Connection: close\r\n"), CLIENT_EOF);
}
END_TEST

START_TEST(of_one_that_was_idle)
{
    struct client c;
    start(_i, "keepalive_timeout=300ms");
    client_open(&c, demo.port);
    expect_end(&c, ask_for_child(&c, ""), CLIENT_EOF);
}
END_TEST

/* The client says that it is through, and sees the end. */
static void end_of_one_that_is_through(int i, const char *set)
{
    struct client c;
    start(i, set);
    client_open(&c, demo.port);
    const pid_t child = ask_for_child(&c, "");
    client_finish(&c);
    expect_end(&c, child, CLIENT_EOF);
}

START_TEST(of_one_that_said_it_was_through)
{
    end_of_one_that_is_through(_i, "backlog=128");
}
END_TEST

/* No thread has it any more when its client says so: on process-thread not even the process that forked. */
START_TEST(of_one_that_was_parked)
{
    end_of_one_that_is_through(_i, "park_after=0ms");
}
END_TEST

/* On process-thread, where the front and a worker have it: one has died, and the other one ends it. */
static void expect_end_without(int variant, bool without_worker)
{
    struct client c;
    pid_t pids[8];
    if (strcmp(variant_engine(variant), "process-thread") != 0)
        return;
    start(variant, "park_after=1s");
    client_open(&c, demo.port);
    const pid_t child = ask_for_child(&c, "");
    nap_ms(slow(50)); /* the worker notes that it is through; else the connection is reset, and the test is easier to pass */
    const int n = demo_pids(&demo, pids, (int)COUNT(pids)); /* the master, the front, workers */
    for (int i = 1; i < n; i++)
        ck_assert((i > 1) != without_worker || kill(pids[i], SIGKILL) == 0);
    if (without_worker)
        client_finish(&c);
    expect_either(&c, child, CLIENT_EOF, CLIENT_RESET);
}

START_TEST(of_one_whose_worker_has_died)
{
    expect_end_without(_i, true);
}
END_TEST

START_TEST(of_one_whose_front_has_died)
{
    expect_end_without(_i, false);
}
END_TEST

/* Its length was not told: a plain end would look like the whole. */
START_TEST(of_a_reply_that_is_cut_short)
{
    struct client c;
    char got[1024];
    size_t n = 0;
    start(_i, "backlog=128");
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "GET /test/fork?cut=1 HTTP/1.0\r\n\r\n"));
    for (const char *body = NULL; !body || !strchr(body + 4, '\n'); body = strstr(got, "\r\n\r\n")) {
        ck_assert(n + 1 < sizeof got && client_take(&c, got + n, 1, WAIT_MS));
        got[++n] = '\0';
    }
    expect_end(&c, pid_of(strstr(got, "\r\n\r\n") + 4), CLIENT_RESET);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "forked", 60);
    const int n = variant_count();
    tcase_add_loop_test(t, after_the_reply, 0, n);
    tcase_add_loop_test(t, of_one_that_was_idle, 0, n);
    tcase_add_loop_test(t, of_one_that_said_it_was_through, 0, n);
    tcase_add_loop_test(t, of_one_that_was_parked, 0, n);
    tcase_add_loop_test(t, of_one_whose_worker_has_died, 0, n);
    tcase_add_loop_test(t, of_one_whose_front_has_died, 0, n);
    tcase_add_loop_test(t, of_a_reply_that_is_cut_short, 0, n);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("forked", add, argc, argv);
}
