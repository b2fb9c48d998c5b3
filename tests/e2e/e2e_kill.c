/* SPDX-License-Identifier: MIT
 *
 * Processes are killed while users ask without a pause: what the dead one had under way is all that is lost, and the others
 * are as many again at once.
 *
 * CONCUR_TEST_KILL_SECONDS, CONCUR_TEST_SEED: how long workers are killed, and which. The seed is printed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "e2e/crowd.h"

enum { PIDS_MAX = 64, EVERY_MS = 500, STRENGTH_MS = 2000 /* a delay of up to a second for those that die again and again */ };

static struct demo demo;

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 0) : otherwise;
}

static bool has_front(const char *engine)
{
    return strcmp(engine, "process-thread") == 0;
}

/* ---- who is there ---- */

struct family {
    pid_t pids[PIDS_MAX]; /* the master, the front or the process for heads, the workers */
    int count, first;     /* of the workers */
};

static bool is_of(const struct family *f, long pid)
{
    for (int i = 0; i < f->count; i++)
        if (f->pids[i] == pid)
            return true;
    return false;
}

/* Children come in the order in which they were forked: the front, or the process for heads of prefork, is the first, unless it
 * was killed. */
static void look_around(struct family *f)
{
    f->count = demo_pids(&demo, f->pids, PIDS_MAX);
    f->first = 1 + (has_front(demo.engine) || is_one_connection_a_worker(demo.engine));
}

static void start(const char *engine)
{
    demo_start(&demo, engine, "--unsafe", "--set", "master=on", NULL);
    expect_alive(demo.port, WAIT_MS);
}

/* ---- workers, under load ---- */

struct killing {
    struct family before; /* the last death */
    pid_t victim;
    bool is_newcomer_heard;
    long good, told, cut; /* replies with 200, with 502, none */
    long lost_now;        /* since the last death */
};

enum { UNTOUCHED = 0, UNDER_WAY = 1, NEXT = 2 }; /* what a user's request is to the last death */

/* prefork lets go of a connection that is silent while others wait; but here nobody is, if he can help it. */
static bool was_let_go(const struct crowd *l, const struct user *u, const struct reply *r)
{
    return is_one_connection_a_worker(demo.engine) && u->keeps && u->asked > 1 && r->kind == REPLY_NONE && l->stalled_at &&
           now_ms() - l->stalled_at < slow(STRENGTH_MS);
}

/* A request fails only if it was under way when the worker died, or if it met the end of a connection that was there. With a
 * front whoever has got no byte is told, and a connection whose reply is out goes on. */
static void on_loss(struct killing *k, const struct user *u, const struct reply *r)
{
    const bool told = r->kind == REPLY_OK && r->status == 502, cut = r->kind == REPLY_NONE || r->kind == REPLY_RESET;
    const bool from_front = has_front(demo.engine);
    ck_assert_msg(u->mark != UNTOUCHED && (told || cut), "%s: %s %d, %s the death%s", demo.engine, reply_kind_name(r),
                  r->status, u->mark ? "at" : "long after", demo_end());
    ck_assert_msg(told == from_front && (!told || u->mark == UNDER_WAY), "%s: %s %d, request %d of a connection that is %s, %s",
                  demo.engine, reply_kind_name(r), r->status, u->asked, u->keeps ? "kept" : "fresh",
                  u->mark == UNDER_WAY ? "at the death" : "the next one");
    ck_assert_msg(from_front || !u->pid || u->pid == k->victim, "%s: %ld was not killed, but %ld", demo.engine, u->pid,
                  (long)k->victim);
    k->told += told;
    k->cut += cut;
    k->lost_now++;
}

static void on_end(struct crowd *l, struct user *u, const struct reply *r)
{
    struct killing *k = l->arg;
    if (was_let_go(l, u, r))
        return;
    if (r->kind != REPLY_OK || r->status != 200) {
        on_loss(k, u, r);
        return;
    }
    k->good++;
    if (strstr(r->body, "\"pid\":"))
        k->is_newcomer_heard |= k->victim && !is_of(&k->before, json_number(r->body, "pid"));
    u->mark = u->mark == UNDER_WAY ? NEXT : UNTOUCHED;
}

static void kill_one(struct crowd *l, struct killing *k, int full, uint64_t *seed)
{
    look_around(&k->before);
    ck_assert_int_eq(k->before.count, full);
    const int first = k->before.first;
    k->victim = k->before.pids[first + (int)(random_next(seed) % (uint64_t)(full - first))];
    k->is_newcomer_heard = false;
    k->lost_now = 0;
    demo_kill_process(k->victim, WAIT_MS);
    for (int i = 0; i < l->count; i++)
        l->users[i].mark = UNDER_WAY;
}

/* Full strength: as many processes as before, and one that was not there then has answered. Returns how long it took. */
static int64_t regain_strength(struct crowd *l, const struct killing *k)
{
    const int64_t begun = now_ms();
    struct family now = { 0 };
    while (!k->is_newcomer_heard || now.count != k->before.count || is_of(&now, k->victim)) {
        ck_assert_msg(now_ms() - begun < slow(STRENGTH_MS), "%s: %d of %d processes, the new one is %s", demo.engine,
                      now.count, k->before.count, k->is_newcomer_heard ? "heard" : "silent");
        crowd_run(l, 5);
        look_around(&now);
    }
    return now_ms() - begun;
}

START_TEST(workers_under_load)
{
    struct killing k = { 0 };
    struct family all;
    const long seconds = number_from("CONCUR_TEST_KILL_SECONDS", 3), first_seed = number_from("CONCUR_TEST_SEED", 1);
    uint64_t seed = (uint64_t)first_seed + (uint64_t)_i;
    int64_t longest = 0;
    int kills = 0;
    start(engine_name(_i));
    look_around(&all);
    struct crowd load = { .port = demo.port, .kept = 8, .fresh = 8, .seed = seed, .on_end = on_end, .arg = &k };
    printf("%s: seed %ld\n", demo.engine, first_seed);
    ck_assert_int_gt(all.count, all.first);
    crowd_start(&load);
    crowd_run(&load, EVERY_MS);
    for (const int64_t until = now_ms() + seconds * 1000; now_ms() < until; kills++) {
        const int64_t begun = now_ms();
        kill_one(&load, &k, all.count, &seed);
        const int64_t took = regain_strength(&load, &k);
        longest = took > longest ? took : longest;
        const int64_t rest = begun + EVERY_MS - now_ms();
        crowd_run(&load, rest > 0 ? (unsigned)rest : 0);
        if (is_one_connection_a_worker(demo.engine))
            ck_assert_int_le(k.lost_now, 1);
        ck_assert_int_le(k.lost_now, load.count + load.kept);
    }
    crowd_stop(&load);
    printf("%s: %d killed; %ld answered, %ld told 502, %ld cut off; strong again after at most %lld ms\n", demo.engine,
           kills, k.good, k.told, k.cut, (long long)longest);
    ck_assert_int_gt(kills, 0);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- who waits to be accepted ---- */

enum { WAITING = 40 };

static bool is_stopped(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    return p && p[1] == ' ' && p[2] == 'T';
}

static void hold(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    for (int64_t deadline = now_ms() + slow(WAIT_MS); !is_stopped(pid); nap_ms(1))
        ck_assert_int_lt(now_ms(), deadline);
}

/* Those who accept are held at all, or one of them alone: then the kernel has woken it for connections that it never takes. */
static void kill_a_held_one(bool hold_all)
{
    struct family f;
    struct client clients[WAITING];
    look_around(&f);
    const int first = has_front(demo.engine) ? 1 : f.first, last = has_front(demo.engine) ? 1 : f.count - 1;
    for (int i = first; i <= (hold_all ? last : first); i++)
        hold(f.pids[i]);
    for (int i = 0; i < WAITING; i++) {
        client_open(&clients[i], demo.port);
        ck_assert(client_text(&clients[i], "GET / HTTP/1.1\r\nHost: e2e\r\nConnection: close\r\n\r\n"));
    }
    ck_assert_int_eq(kill(f.pids[first], SIGKILL), 0);
    for (int i = first + 1; hold_all && i <= last; i++)
        ck_assert_int_eq(kill(f.pids[i], SIGCONT), 0);
    for (int i = 0; i < WAITING; i++) {
        struct reply r;
        client_read(&clients[i], &r, false, WAIT_MS);
        ck_assert_msg(r.kind == REPLY_OK && r.status == 200, "%s: %d: %s %d", demo.engine, i, reply_kind_name(&r),
                      r.status);
        reply_free(&r);
        client_close(&clients[i]);
    }
}

START_TEST(nobody_waiting_is_lost)
{
    for (int round = 0; round < 3; round++) {
        start(engine_name(_i)); /* afresh: after a kill the front is not the first one any more */
        kill_a_held_one(round % 2 == 0);
        demo_stop(&demo, WAIT_MS);
    }
}
END_TEST

/* ---- what is left of a request ---- */

static void send_get(struct client *c, const char *target)
{
    char request[128];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: e2e\r\n\r\n", target);
    ck_assert(client_text(c, request));
}

static void expect_status(struct client *c, int status)
{
    struct reply r;
    client_read(c, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_OK && r.status == status, "%s: %s %d instead of %d", demo.engine, reply_kind_name(&r),
                  r.status, status);
    reply_free(&r);
}

static void wait_requests(long long n)
{
    for (int64_t deadline = now_ms() + slow(WAIT_MS); counter(demo.port, "requests") < n; nap_ms(5))
        ck_assert_int_lt(now_ms(), deadline);
}

/* With a front: 502 before the first byte, a cut that cannot be taken for the end after it, and nothing at all for whoever
 * asks for nothing at the moment. */
START_TEST(each_gets_what_the_front_knows)
{
    struct client silent, begun, idle;
    struct family f;
    struct reply r;
    if (!has_front(engine_name(_i)))
        return;
    demo_start(&demo, engine_name(_i), "--workers", "1", NULL);
    look_around(&f);
    client_open(&idle, demo.port);
    send_get(&idle, "/hello/idle");
    expect_status(&idle, 200);
    client_open(&silent, demo.port);
    send_get(&silent, "/sleep/60000");
    client_open_small(&begun, demo.port, 16384);
    send_get(&begun, "/bytes/50000000");
    ck_assert(client_wait_bytes(&begun, 1000, WAIT_MS));
    wait_requests(2);
    ck_assert_int_eq(kill(f.pids[f.first], SIGKILL), 0);
    expect_status(&silent, 502);
    client_read(&begun, &r, false, WAIT_MS);
    ck_assert_msg(r.kind == REPLY_RESET, "%s", reply_kind_name(&r));
    reply_free(&r);
    send_get(&idle, "/hello/again");
    expect_status(&idle, 200);
    client_close(&silent);
    client_close(&begun);
    client_close(&idle);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

START_TEST(a_crash_costs_its_request)
{
    struct client c;
    struct reply r;
    start(engine_name(_i));
    for (int i = 0; i < 3; i++) {
        client_open(&c, demo.port);
        send_get(&c, "/crash");
        client_read(&c, &r, false, WAIT_MS);
        const bool told = r.kind == REPLY_OK && r.status == 502, cut = r.kind == REPLY_NONE || r.kind == REPLY_RESET;
        ck_assert_msg(has_front(demo.engine) ? told : cut, "%s %d", reply_kind_name(&r), r.status);
        reply_free(&r);
        client_close(&c);
        expect_alive(demo.port, WAIT_MS);
    }
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- the front ---- */

/* Its death may cost what was under way, but nobody is told anything wrong. */
static void on_end_at_front(struct crowd *l, struct user *u, const struct reply *r)
{
    long *lost = l->arg;
    const bool good = r->kind == REPLY_OK && r->status == 200, cut = r->kind == REPLY_NONE || r->kind == REPLY_RESET;
    ck_assert_msg(good || (cut && u->mark != UNTOUCHED), "%s %d", reply_kind_name(r), r->status);
    *lost += cut;
    u->mark = u->mark == UNDER_WAY ? NEXT : UNTOUCHED;
}

/* Who is there now and was not before; NULL: nobody. */
static const pid_t *newcomer(const struct family *now, const struct family *before)
{
    for (int i = 0; i < now->count; i++)
        if (!is_of(before, now->pids[i]))
            return &now->pids[i];
    return NULL;
}

static void find_front_again(struct family *f, unsigned ms)
{
    struct family now = { 0 };
    const pid_t *front = NULL;
    for (int64_t deadline = now_ms() + slow(ms); !front; nap_ms(1)) {
        ck_assert_msg(now_ms() < deadline, "no front");
        now.count = demo_pids(&demo, now.pids, PIDS_MAX);
        front = newcomer(&now, f);
    }
    f->pids[1] = *front;
}

START_TEST(the_front_under_load)
{
    enum { LENT = 4 };
    struct client lent[LENT];
    struct family f;
    long lost = 0;
    int64_t longest = 0;
    if (!has_front(engine_name(_i)))
        return;
    start(engine_name(_i));
    look_around(&f);
    struct crowd load = { .port = demo.port, .kept = 6, .fresh = 6, .seed = 5, .on_end = on_end_at_front, .arg = &lost };
    crowd_start(&load);
    for (int round = 1; round <= 3; round++) {
        crowd_run(&load, 100);
        for (int i = 0; i < LENT; i++) {
            client_open(&lent[i], demo.port);
            send_get(&lent[i], "/block/300");
        }
        crowd_run(&load, 150);
        const int64_t begun = now_ms();
        demo_kill_process(f.pids[1], WAIT_MS);
        for (int i = 0; i < load.count; i++)
            load.users[i].mark = UNDER_WAY;
        expect_alive(demo.port, STRENGTH_MS);
        const int64_t took = now_ms() - begun;
        ck_assert_int_lt(took, slow(STRENGTH_MS));
        longest = took > longest ? took : longest;
        find_front_again(&f, STRENGTH_MS);
        for (int i = f.first; i < f.count; i++)
            ck_assert_msg(process_lives(f.pids[i]), "a worker has gone with the front");
        for (int i = 0; i < LENT; i++) { /* at the workers, who need no front to answer */
            expect_status(&lent[i], 200);
            client_close(&lent[i]);
        }
    }
    crowd_stop(&load);
    printf("%s: 3 fronts killed; %ld cut off; back after at most %lld ms\n", demo.engine, lost, (long long)longest);
    demo_stop(&demo, WAIT_MS);
}
END_TEST

/* ---- the master ---- */

static bool is_port_free(unsigned port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const bool is_free = bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0;
    close(fd);
    return is_free;
}

static void on_any_end(struct crowd *l, struct user *u, const struct reply *r)
{
    (void)l, (void)u, (void)r;
}

/* The demo has a group of its own, and its orphans become ours: none is overlooked. */
START_TEST(the_master_under_load)
{
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    start(engine_name(_i));
    const pid_t group = demo.pid;
    struct crowd load = { .port = demo.port, .kept = 8, .fresh = 8, .seed = 6, .on_end = on_any_end };
    crowd_start(&load);
    crowd_run(&load, 200);
    ck_assert_int_gt(demo_pids(&demo, (pid_t[PIDS_MAX]){ 0 }, PIDS_MAX), 1);
    demo_signal(&demo, SIGKILL);
    const int64_t begun = now_ms();
    ck_assert_int_eq(demo_wait(&demo, WAIT_MS), 128 + SIGKILL);
    bool is_all_gone = false, is_free = false;
    while (!is_all_gone || !is_free) {
        ck_assert_msg(now_ms() - begun < slow(1000), "%s: %s, the port is %s", demo.engine,
                      is_all_gone ? "all gone" : "some are left", is_free ? "free" : "taken");
        while (waitpid(-group, NULL, WNOHANG) > 0)
            continue;
        is_all_gone = kill(-group, 0) < 0 && errno == ESRCH;
        is_free = is_port_free(demo.port);
        nap_ms(2);
    }
    printf("%s: all gone after %lld ms\n", demo.engine, (long long)(now_ms() - begun));
    crowd_drop(&load);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "kill", 60 + (unsigned)number_from("CONCUR_TEST_KILL_SECONDS", 3));
    tcase_add_loop_test(t, workers_under_load, 0, engine_count());
    tcase_add_loop_test(t, nobody_waiting_is_lost, 0, engine_count());
    tcase_add_loop_test(t, each_gets_what_the_front_knows, 0, engine_count());
    tcase_add_loop_test(t, a_crash_costs_its_request, 0, engine_count());
    tcase_add_loop_test(t, the_front_under_load, 0, engine_count());
    tcase_add_loop_test(t, the_master_under_load, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("kill", add, argc, argv);
}
