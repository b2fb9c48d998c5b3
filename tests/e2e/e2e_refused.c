/* SPDX-License-Identifier: MIT
 *
 * Reloads that are refused change nothing, whatever they asked for and however late they fail: the engine that served, with
 * the settings that it had, serves on, also when each of its processes is killed afterwards.
 *
 * Each engine is tried with another one that the reload asks for; CONCUR_TEST_SEED chooses it, and is printed. With
 * CONCUR_TEST_PAIRS=all it is each other one in turn.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/crowd.h"

enum { OLD_REQUESTS = 3, NEW_REQUESTS = 5 }; /* keepalive_requests, by which one set-up is told from the other */
enum refusal { BAD_FILE, BAD_LISTEN, HOOK_SAYS_NO, NEVER_READY, REFUSALS };

static struct demo demo;
static char config[] = "/tmp/concur-refused-XXXXXX", wish[] = "/tmp/concur-wish-XXXXXX";
static const char *const refusal_names[REFUSALS] = { "a mistake", "another address", "a hook", "a worker that hangs" };

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void set_up(void)
{
    int a = mkstemp(config), b = mkstemp(wish);
    ck_assert(a >= 0 && b >= 0);
    close(a);
    close(b);
    setenv("CONCUR_DEMO_START", wish, 1);
}

static void tear_down(void)
{
    unlink(config);
    unlink(wish);
    memcpy(config + sizeof config - 7, "XXXXXX", 6);
    memcpy(wish + sizeof wish - 7, "XXXXXX", 6);
}

/* threads_max is 2, so that two idle clients who hold a thread each would be noticed. */
static void write_config(const char *engine, int requests, const char *listen, const char *more)
{
    char text[512];
    snprintf(text, sizeof text,
             "engine = %s\nmaster = on\nworkers = %d\nthreads_max = 2\nkeepalive_requests = %d\nlisten = \"%s\"\n"
             "drain_idle = 100ms\nstop_timeout = 20s\n%s",
             engine, is_one_connection_a_worker(engine) ? 24 : 2, requests, listen, more);
    write_file(config, text);
}

/* Replies until the server says that it closes the connection, and who gave them. */
static int count_requests(char engine[32])
{
    struct client c;
    int n = 0;
    client_open(&c, demo.port);
    for (bool last = false; !last; n++) {
        struct reply r;
        ck_assert(client_text(&c, "GET /whoami HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        ck_assert_int_eq(sscanf(r.body, "{\"engine\":\"%31[^\"]", engine), 1);
        last = r.says_close;
        reply_free(&r);
        ck_assert_int_le(n, NEW_REQUESTS);
    }
    client_close(&c);
    return n;
}

static void expect_serving(const char *engine, int requests, const char *when)
{
    char who[32];
    const int n = count_requests(who);
    ck_assert_msg(strcmp(who, engine) == 0 && n == requests, "%s: %s serves with %d requests a connection, not %s with %d",
                  when, who, n, engine, requests);
}

static void ask_reload(void)
{
    struct reply r;
    ask(demo.port, "POST /test/reload HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 202, &r);
    reply_free(&r);
}

static void on_end(struct crowd *l, struct user *u, const struct reply *r)
{
    (void)u;
    ck_assert_msg(r->kind == REPLY_OK && r->status == 200, "%s %d", reply_kind_name(r), r->status);
    ck_assert_msg(!strstr(r->body, "\"generation\":") || strstr(r->body, l->arg), "%s", r->body);
}

static void refuse(enum refusal how, const char *engine)
{
    write_file(wish, how == HOOK_SAYS_NO ? "refuse 2" : how == NEVER_READY ? "hang 2" : "");
    write_config(engine, NEW_REQUESTS, how == BAD_LISTEN ? "127.0.0.2:0" : "127.0.0.1:0",
                 how == BAD_FILE      ? "keepalive_timeout = soon\n"
                 : how == NEVER_READY ? "start_timeout = 700ms\n"
                                      : "");
    ask_reload();
}

static const char *event_of(enum refusal how)
{
    return how == BAD_FILE || how == BAD_LISTEN ? "reload refused" : "the one before goes on";
}

/* All but the master, whatever they are. */
static void kill_all(void)
{
    pid_t pids[64];
    for (int i = demo_pids(&demo, pids, 64) - 1; i > 0; i--)
        ck_assert(kill(pids[i], SIGKILL) == 0 || errno == ESRCH);
}

static void try_pair(const char *engine, const char *other, enum refusal how)
{
    char mine[64];
    struct client idle[2];
    struct crowd load = { .kept = 6, .fresh = 6, .seed = 5, .on_end = on_end, .arg = mine };
    snprintf(mine, sizeof mine, "{\"engine\":\"%s\"", engine);
    write_file(wish, "");
    write_config(engine, OLD_REQUESTS, "127.0.0.1:0", "");
    demo_start_file(&demo, engine, config, "--unsafe", "--events", NULL);
    load.port = demo.port;
    for (int i = 0; i < 2; i++) {
        client_open(&idle[i], demo.port);
        ck_assert(client_text(&idle[i], "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        ck_assert(client_wait_bytes(&idle[i], 1, WAIT_MS));
    }
    crowd_start(&load);
    crowd_run(&load, 50);
    refuse(how, other);
    crowd_run(&load, 200);
    demo_await_event(&demo, event_of(how), WAIT_MS);
    crowd_run(&load, 50);
    crowd_stop(&load);
    expect_serving(engine, OLD_REQUESTS, refusal_names[how]);
    kill_all();
    expect_alive(demo.port, WAIT_MS);
    for (int i = 0; i < 4; i++)
        expect_serving(engine, OLD_REQUESTS, "after the deaths");
    for (int i = 0; i < 2; i++)
        client_close(&idle[i]);
    write_file(wish, "");
    write_config(other, NEW_REQUESTS, "127.0.0.1:0", ""); /* and one that is good is taken */
    ask_reload();
    demo_await_event(&demo, "serves", WAIT_MS);
    char who[32]; /* for a moment both generations accept */
    for (const int64_t until = now_ms() + slow(WAIT_MS); count_requests(who) != NEW_REQUESTS || strcmp(who, other) != 0;)
        ck_assert_int_lt(now_ms(), until);
    demo_stop(&demo, WAIT_MS);
}

static uint64_t take_seed(void)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 0) : (uint64_t)now_ms();
    printf("CONCUR_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/* The other engines, from one that the seed chooses; how many. e2e_main_apart() leaves each process one engine of its own. */
static int others_of(const char *engine, const char *out[ENGINES_MAX])
{
    static const char *const all[] = { "prefork", "thread", "event", "process-thread", "process-event", "event-pool" };
    const uint64_t seed = take_seed();
    int n = 0;
    for (size_t i = 0; i < COUNT(all); i++) {
        const char *other = all[(i + seed) % COUNT(all)];
        if (strcmp(other, engine) != 0)
            out[n++] = other;
    }
    const char *pairs = getenv("CONCUR_TEST_PAIRS");
    return pairs && strcmp(pairs, "all") == 0 ? n : 1;
}

START_TEST(a_refused_reload_changes_nothing)
{
    const char *others[ENGINES_MAX];
    const char *engine = engine_name(0);
    const int n = others_of(engine, others);
    for (int i = 0; i < n; i++) {
        printf("%s, to %s: %s\n", engine, others[i], refusal_names[_i]);
        try_pair(engine, others[i], (enum refusal)_i);
    }
}
END_TEST

/* A process of the old generation that dies while the new one warms is born as what it was. */
START_TEST(a_death_while_the_new_one_warms)
{
    const char *others[ENGINES_MAX];
    const char *engine = engine_name(0);
    (void)others_of(engine, others);
    write_file(wish, "");
    write_config(engine, OLD_REQUESTS, "127.0.0.1:0", "");
    demo_start_file(&demo, engine, config, "--unsafe", "--events", NULL);
    write_file(wish, "hang 2");
    write_config(others[0], NEW_REQUESTS, "127.0.0.1:0", "start_timeout = 60s\n");
    pid_t pids[64];
    const int before = demo_pids(&demo, pids, 64);
    const int hanging = has_workers(others[0]) ? 2 : 1; /* of two, one is a worker: a front would soon be ready */
    ask_reload();
    for (const int64_t until = now_ms() + slow(WAIT_MS); demo_pids(&demo, pids, 64) < before + hanging; nap_ms(2))
        ck_assert_int_lt(now_ms(), until);
    kill_all(); /* those of the new one too: then it is refused */
    demo_await_event(&demo, "the one before goes on", WAIT_MS);
    for (int i = 0; i < 4; i++)
        expect_serving(engine, OLD_REQUESTS, "after the deaths");
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "refused", 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, a_refused_reload_changes_nothing, 0, REFUSALS);
    tcase_add_test(t, a_death_while_the_new_one_warms);
}

int main(int argc, char **argv)
{
    return e2e_main_apart("refused", add, argc, argv);
}
