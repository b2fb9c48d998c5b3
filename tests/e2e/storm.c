/* SPDX-License-Identifier: MIT */
#include "e2e/storm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "e2e/crowd.h"
#include "e2e/inside.h"
#include "engines/engine.h"
#include "proc/board.h"

enum { WORKERS = 3, THREADS = 3, SLICE_MS = 40, PROCESSES = 16, WRONG_LOOKS = 12 };

/* What a user's connection is to the last death: a front takes along all that it knew of, sooner or later. */
enum { UNTOUCHED = 0, UNDER_WAY = 1, NEXT = 2, DOOMED = 3 };

struct storm {
    struct inside in;
    struct crowd load;
    uint64_t seed;
    long good, lost, deaths, stops, shortages, splits;
    pid_t held;        /* is stopped; 0: nobody is */
    pid_t starved;     /* has no descriptors or threads; 0: nobody has none */
    int64_t heal_at;
    int wrong_looks;   /* one after the other, at which somebody waited and a thread was free */
};

int storm_seconds(int otherwise)
{
    const char *text = getenv("CONCUR_TEST_STORM_SECONDS");
    return text ? atoi(text) : otherwise;
}

static unsigned below(struct storm *s, unsigned n)
{
    return (unsigned)(random_next(&s->seed) % n);
}

/* ---- users ---- */

/* Only a death may cost anything, and only what was under way, or the next request of a connection that went with it. */
static void on_end(struct crowd *l, struct user *u, const struct reply *r)
{
    struct storm *s = l->arg;
    const bool good = r->kind == REPLY_OK && r->status == 200;
    const bool lost = r->kind == REPLY_NONE || r->kind == REPLY_RESET || (r->kind == REPLY_OK && r->status == 502);
    ck_assert_msg(good || (lost && u->mark != UNTOUCHED), "%s %d on request %d of a connection, %s a death", reply_kind_name(r), r->status,
                  u->asked, u->mark ? "at" : "without");
    s->good += good;
    s->lost += !good;
    if (u->mark != DOOMED)
        u->mark = u->mark == UNDER_WAY ? NEXT : UNTOUCHED;
}

/* A request with the beginning of the next in the same packet. */
static void split(struct storm *s)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n";
    const size_t n = sizeof get - 1, cut = 1 + below(s, (unsigned)n - 1);
    char both[2 * sizeof get];
    struct client c;
    memcpy(both, get, n);
    memcpy(both + n, get, n);
    client_open(&c, s->in.port);
    if (client_send(&c, both, n + cut)) {
        crowd_run(&s->load, below(s, 20));
        (void)client_send(&c, both + n + cut, n - cut);
    }
    crowd_run(&s->load, below(s, 20));
    client_close(&c); /* whatever has come of it */
    s->splits++;
}

/* ---- what goes wrong ---- */

static struct inside_process look_for(struct storm *s, int role, unsigned which)
{
    struct inside_process all[PROCESSES], found = { 0 };
    const int n = inside_look(&s->in, all, PROCESSES);
    for (int i = 0; i < n; i++)
        if (all[i].role == role && all[i].pid > 0 && all[i].state == CNC_BOARD_SERVING && (found.pid == 0 || which-- > 0))
            found = all[i];
    return found;
}

static struct inside_process some_worker(struct storm *s)
{
    return look_for(s, CNC_ROLE_WORKER, below(s, WORKERS));
}

static void die(struct storm *s, pid_t pid, int how, unsigned mark)
{
    if (pid <= 0 || kill(pid, how) < 0)
        return;
    for (int i = 0; i < s->load.count; i++)
        if (mark > s->load.users[i].mark)
            s->load.users[i].mark = mark;
    s->deaths++;
}

static void set_limit(pid_t pid, enum __rlimit_resource what, rlim_t n)
{
    struct rlimit l;
    if (prlimit(pid, what, NULL, &l) < 0)
        return; /* it has died meanwhile */
    l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
    (void)prlimit(pid, what, &l, NULL);
}

static void heal(struct storm *s)
{
    if (s->held)
        (void)kill(s->held, SIGCONT);
    if (s->starved)
        inside_heal(s->starved);
    s->held = s->starved = 0;
}

static void hold(struct storm *s, pid_t pid)
{
    if (pid <= 0 || kill(pid, SIGSTOP) < 0)
        return;
    s->held = pid;
    s->stops++;
}

static void starve(struct storm *s, pid_t pid)
{
    if (pid <= 0)
        return;
    set_limit(pid, RLIMIT_NOFILE, 3);
    s->starved = pid;
    s->shortages++;
}

/* One thing at a time is sick, for less than it takes until somebody looks after it. */
static void disturb(struct storm *s)
{
    if (s->held || s->starved) {
        if (now_ms() >= s->heal_at)
            heal(s);
        return;
    }
    s->heal_at = now_ms() + 50 + below(s, 600);
    const unsigned what = below(s, 10);
    if (getenv("CONCUR_TEST_VERBOSE"))
        printf("%lld: %u\n", (long long)now_ms(), what), fflush(stdout);
    switch (what) {
    case 0:
        die(s, some_worker(s).pid, SIGKILL, UNDER_WAY);
        break;
    case 1:
        die(s, inside_front(&s->in), SIGKILL, DOOMED);
        break;
    case 2:
        die(s, some_worker(s).pid, SIGTERM, UNTOUCHED);
        break;
    case 3:
    case 4:
        hold(s, some_worker(s).pid);
        break;
    case 5:
        hold(s, inside_front(&s->in));
        break;
    case 6:
        starve(s, some_worker(s).pid);
        break;
    default:
        split(s);
        break;
    }
}

/* ---- what must hold ---- */

/* Nobody waits while a thread is free: a moment's look may be wrong, a second of looks is not. */
static void look(struct storm *s)
{
    struct inside_process all[PROCESSES];
    const int n = inside_look(&s->in, all, PROCESSES);
    unsigned waiting = 0, free = 0;
    for (int i = 0; i < n; i++) {
        waiting += all[i].role == CNC_ROLE_FRONT ? all[i].queued : 0;
        free += all[i].role == CNC_ROLE_WORKER ? all[i].lendable : 0;
    }
    s->wrong_looks = waiting && free && !s->held && !s->starved ? s->wrong_looks + 1 : 0;
    ck_assert_msg(s->wrong_looks < WRONG_LOOKS * (int)slow(1), "%u wait, and %u threads are free", waiting, free);
}

/* In the end every worker has all of its threads free, and the front knows. */
static void expect_agreement(struct storm *s)
{
    struct inside_process all[PROCESSES];
    int workers = 0, agree = 0;
    unsigned waiting = 1;
    for (const int64_t deadline = now_ms() + slow(10000); agree != WORKERS || workers != WORKERS || waiting; nap_ms(10)) {
        const int n = inside_look(&s->in, all, PROCESSES);
        workers = agree = 0;
        waiting = 0;
        for (int i = 0; i < n; i++) {
            waiting += all[i].role == CNC_ROLE_FRONT ? all[i].queued : 0;
            workers += all[i].role == CNC_ROLE_WORKER && all[i].pid > 0;
            agree += all[i].role == CNC_ROLE_WORKER && all[i].free == THREADS && all[i].lendable == THREADS;
        }
        ck_assert_msg(now_ms() < deadline, "%d workers, of %d of which the front knows that all threads are free; %u wait",
                      workers, agree, waiting);
        inside_hear(&s->in);
    }
}

void storm_run(const char *lend, int seconds)
{
    static struct storm s;
    static const char *const targets[] = { "/", "/", "/", "/block/1", "/block/20", "/whoami" };
    const char *text = getenv("CONCUR_TEST_SEED");
    struct timeval t;
    gettimeofday(&t, NULL);
    const uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)t.tv_usec + 1;
    s = (struct storm){ .seed = seed };
    printf("lend=%s CONCUR_TEST_SEED=%llu\n", lend, (unsigned long long)seed);
    inside_start(&s.in, "process-thread", "workers", "3", "threads_max", "3", "lend", lend, "queue_timeout", "30s", NULL);
    s.load = (struct crowd){ .port = s.in.port, .kept = 10, .fresh = 6, .targets = targets, .target_count = COUNT(targets),
                             .seed = seed, .on_end = on_end, .arg = &s };
    crowd_start(&s.load);
    for (const int64_t until = now_ms() + (int64_t)seconds * 1000; now_ms() < until;) {
        disturb(&s);
        crowd_run(&s.load, SLICE_MS);
        look(&s);
        inside_hear(&s.in);
    }
    heal(&s);
    crowd_run(&s.load, 500);
    crowd_stop(&s.load);
    expect_agreement(&s);
    printf("%s: %ld answered, %ld lost with %ld deaths; %ld stops, %ld shortages, %ld cut\n", lend, s.good, s.lost, s.deaths,
           s.stops, s.shortages, s.splits);
    ck_assert_int_gt(s.good, 0);
    inside_stop(&s.in);
}
