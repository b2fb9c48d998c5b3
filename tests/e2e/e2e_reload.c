/* SPDX-License-Identifier: MIT
 *
 * Reloads: a new generation serves before the old one goes, so no request is lost; the file may change the engine; what it
 * must not say changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "e2e/crowd.h"

static struct demo demo;
static char path[] = "/tmp/concur-reload-XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void set_up(void)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void tear_down(void)
{
    unlink(path);
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
}

/* One request on a connection of its own: its answer may not be lost, whatever else goes on. */
static void get(const char *target, struct reply *r)
{
    char request[128];
    struct client c;
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", target);
    client_open(&c, demo.port);
    ck_assert(client_text(&c, request));
    client_read(&c, r, false, WAIT_MS);
    ck_assert_msg(r->kind == REPLY_OK, "%s: %s", target, reply_kind_name(r));
    client_close(&c);
}

static void ask_reload(int status)
{
    struct reply r;
    get("POST /test/reload", &r);
    ck_assert_int_eq(r.status, status);
    reply_free(&r);
}

/* Asks who serves until what it says has the text, or the other one. Every answer on the way is a good one. */
static void wait_for_either(const char *text, const char *other)
{
    for (int64_t deadline = now_ms() + slow(WAIT_MS);;) {
        struct reply r;
        get("GET /whoami", &r);
        ck_assert_msg(r.status == 200, "%d", r.status);
        const bool is = strstr(r.body, text) || strstr(r.body, other);
        ck_assert_msg(is || now_ms() < deadline, "no %s in %s", text, r.body);
        reply_free(&r);
        if (is)
            return;
    }
}

static void wait_for(const char *text)
{
    wait_for_either(text, text);
}

START_TEST(no_request_is_lost)
{
    const char *engine = engine_name(_i);
    struct client held;
    struct reply r;
    write_file("drain_idle = 100ms\n");
    demo_start(&demo, engine, "--unsafe", "--set", "master=on", "--config", path, NULL);
    client_open(&held, demo.port); /* in flight at the old generation, which finishes it */
    ck_assert(client_text(&held, "GET /sleep/600 HTTP/1.1\r\nHost: e2e\r\n\r\n"));
    for (int i = 1; i <= 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "\"generation\":%d", i + 1);
        ask_reload(202);
        wait_for(text);
    }
    client_read(&held, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
    reply_free(&r);
    client_close(&held);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* One who never pauses is told with the next reply, and finds the new generation. */
START_TEST(a_busy_connection_moves_on)
{
    struct client c;
    struct reply r;
    bool last = false;
    demo_start(&demo, engine_name(_i), "--unsafe", "--set", "master=on", "--set", "stop_timeout=60s", "--set",
               "drain_idle=1m", NULL); /* on a busy machine it pauses */
    client_open(&c, demo.port);
    ck_assert(client_text(&c, "POST /test/reload HTTP/1.1\r\nHost: e2e\r\nContent-Length: 0\r\n\r\n"));
    client_read(&c, &r, false, WAIT_MS);
    ck_assert_int_eq(r.status, 202);
    reply_free(&r);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); !last;) {
        ck_assert(client_text(&c, "GET /whoami HTTP/1.1\r\nHost: e2e\r\n\r\n"));
        client_read(&c, &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s %d", reply_kind_name(&r), r.status);
        ck_assert_msg(now_ms() < deadline, "%s: not told", demo.engine);
        ck_assert_ptr_nonnull(strstr(r.body, "\"generation\":1"));
        last = r.says_close;
        reply_free(&r);
    }
    ck_assert_int_eq(client_fate(&c, WAIT_MS), CLIENT_EOF);
    client_close(&c);
    wait_for("\"generation\":2");
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- under load ---- */

/* What those say who serve. */
struct heard {
    long generation;
    char engine[32];
};

static void on_end(struct crowd *l, struct user *u, const struct reply *r)
{
    struct heard *h = l->arg;
    ck_assert_msg(r->kind == REPLY_OK && r->status == 200, "%s %d, request %d of a connection that is %s, generation %ld",
                  reply_kind_name(r), r->status, u->asked, u->keeps ? "kept" : "fresh", h->generation);
    if (!strstr(r->body, "\"generation\":") || json_number(r->body, "generation") < h->generation)
        return;
    h->generation = json_number(r->body, "generation");
    ck_assert_int_eq(sscanf(r->body, "{\"engine\":\"%31[^\"]", h->engine), 1);
}

/* On prefork there are more workers than users, so that it lets go of nobody for others' sake. */
static void name_engine(const char *engine)
{
    char text[128];
    snprintf(text, sizeof text, "engine = %s\nmaster = on\nworkers = %s\n", engine, workers_for(engine, 20));
    write_file(text);
}

/* There and back, twice, and once to the same. */
START_TEST(five_reloads_under_load)
{
    const char *const engine = engine_name(_i);
    const char *const names[] = { "process-event", engine, "prefork", engine, engine };
    struct heard heard = { 0 };
    struct crowd load = { .kept = 8, .fresh = 8, .seed = 3, .on_end = on_end, .arg = &heard };
    long answered = 0;
    name_engine(engine);
    demo_start_from(&demo, engine, path, "--unsafe", NULL);
    load.port = demo.port;
    crowd_start(&load);
    for (const int64_t deadline = now_ms() + slow(WAIT_MS); !heard.engine[0] && now_ms() < deadline;)
        crowd_run(&load, 100);
    ck_assert_str_eq(heard.engine, engine);
    for (size_t i = 0; i < COUNT(names); i++) {
        const long next = heard.generation + 1;
        name_engine(names[i]);
        ask_reload(202);
        for (const int64_t deadline = now_ms() + slow(WAIT_MS); heard.generation < next; crowd_run(&load, 5))
            ck_assert_msg(now_ms() < deadline, "%s: no generation %ld", engine, next);
        ck_assert_int_eq(heard.generation, next);
        ck_assert_str_eq(heard.engine, names[i]);
        crowd_run(&load, 200);
    }
    crowd_stop(&load);
    for (int i = 0; i < load.count; i++)
        answered += load.users[i].answered;
    printf("%s: %zu reloads, %ld answered, none lost\n", engine, COUNT(names), answered);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(a_mistake_changes_nothing)
{
    const char *engine = engine_name(_i);
    write_file("keepalive_timeout = 5s\n");
    demo_start(&demo, engine, "--unsafe", "--set", "master=on", "--config", path, NULL);
    wait_for("\"generation\":1");
    write_file("keepalive_timeout = soon\n");
    ask_reload(202);
    for (int i = 0; i < 20; i++)
        wait_for("\"generation\":1");
    write_file("keepalive_timeout = 6s\n");
    ask_reload(202);
    wait_for_either("\"generation\":2", "\"generation\":3"); /* on a busy machine it may read the file only now */
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(without_a_master)
{
    const char *engine = engine_name(_i);
    if (has_workers(engine))
        return;
    demo_start(&demo, engine, "--unsafe", NULL);
    ask_reload(409);
    expect_alive(demo.port, WAIT_MS);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "reload", 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, no_request_is_lost, 0, engine_count());
    tcase_add_loop_test(t, a_busy_connection_moves_on, 0, engine_count());
    tcase_add_loop_test(t, five_reloads_under_load, 0, engine_count());
    tcase_add_loop_test(t, a_mistake_changes_nothing, 0, engine_count());
    tcase_add_loop_test(t, without_a_master, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("reload", add, argc, argv);
}
