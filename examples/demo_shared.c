/* SPDX-License-Identifier: MIT
 *
 * Routes for what handlers share between threads and processes: counters, memory with a lock, values of threads, topics.
 *
 *   GET /counter              adds one to a counter, and replies with it     "N\n"
 *   GET /test/counts          the counters of demo.h as JSON; not counted itself
 *   GET /test/lock/{n}        n times: lock, read, write one more, unlock    "VALUE DIED\n", DIED: holders that died
 *   GET /test/local           the thread's value of a concur_local, as JSON: {"made":N,"freed":N,"value":K,"pid":P,"tid":T}.
 *                             made, freed: values of all threads of all processes; K: number of this thread's value
 *   GET /test/local/blocking  the same in a blocking route
 *   GET /test/local/offload   the same in offloaded work
 *   GET /test/lock-crash      with --unsafe: takes the lock, raises the value by one, and aborts
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

struct demo_counts demo_counts;

/* In memory that all processes share, under its lock. */
struct tally {
    int64_t value, died;
};

/* Made before the server runs, so every process has them. */
static concur_counter *hits;
static concur_shared *tally;
static concur_local *local;

/* Counters. */

static int counter(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%" PRId64 "\n", concur_counter_add(hits, 1));
}

#define DEMO_COUNTS_NAME(name, help) { #name, help, &demo_counts.name },
static const struct {
    const char *name, *help;
    concur_counter **counter;
} counters[] = { DEMO_COUNTS(DEMO_COUNTS_NAME) };

static int counts(concur_request *r, void *arg)
{
    (void)arg;
    char json[1024];
    size_t n = 0;
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        n += (size_t)snprintf(json + n, sizeof json - n, "%c\"%s\":%" PRId64, i ? ',' : '{', counters[i].name,
                              concur_counter_get(*counters[i].counter));
    return concur_reply_printf(r, 200, "application/json", "%s}\n", json);
}

/* Memory and its lock. If a process died while it had the lock, a real program would repair its data; here it is
 * counted. */

static struct tally *lock_tally(void)
{
    int died;
    struct tally *t = concur_shared_lock(tally, &died);
    if (t)
        t->died += died;
    return t;
}

static int lock(concur_request *r, void *arg)
{
    (void)arg;
    uint64_t n;
    struct tally seen = { 0 };
    if (!demo_number(r, "n", 1000000, &n))
        return CONCUR_OK;
    for (uint64_t i = 0; i <= n; i++) {
        struct tally *t = lock_tally();
        if (!t)
            return CONCUR_E_STATE;
        if (i < n)
            t->value++; /* not atomic by itself */
        seen = *t;
        concur_shared_unlock(tally);
    }
    return concur_reply_printf(r, 200, NULL, "%" PRId64 " %" PRId64 "\n", seen.value, seen.died);
}

static int lock_crash(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    struct tally *t = lock_tally();
    if (t)
        t->value++;
    abort();
}

/* One for each thread. */

struct own {
    int64_t number;
    pid_t pid, tid;
};

static void *make_own(void *arg)
{
    (void)arg;
    struct own *own = malloc(sizeof *own);
    if (own)
        *own = (struct own){ concur_counter_add(demo_counts.locals_made, 1), getpid(), gettid() };
    return own;
}

static void free_own(void *arg)
{
    struct own *own = arg;
    if (own->pid != getpid() || own->tid != gettid())
        DEMO_COUNT(misuse);
    DEMO_COUNT(locals_freed);
    free(own);
}

/* The calling thread's value; number 0: it could not be made. */
static struct own look(void)
{
    struct own *own = concur_local_get(local);
    if (!own)
        return (struct own){ 0 };
    if (own->pid != getpid() || own->tid != gettid() || concur_local_get(local) != own)
        DEMO_COUNT(misuse);
    return *own;
}

static int tell(concur_request *r, const struct own *own)
{
    if (own->number == 0)
        return concur_reply_printf(r, 500, NULL, "%s\n", concur_last_error());
    return concur_reply_printf(r, 200, "application/json",
                               "{\"made\":%" PRId64 ",\"freed\":%" PRId64 ",\"value\":%" PRId64
                               ",\"pid\":%ld,\"tid\":%ld}\n",
                               concur_counter_get(demo_counts.locals_made),
                               concur_counter_get(demo_counts.locals_freed), own->number, (long)own->pid,
                               (long)own->tid);
}

static int local_here(concur_request *r, void *arg)
{
    (void)arg;
    struct own own = look();
    return tell(r, &own);
}

static int local_work(void *arg)
{
    *(struct own *)arg = look();
    return CONCUR_OK;
}

static int local_done(concur_request *r, int rc, void *arg)
{
    DEMO_COUNT(offloads_run);
    return rc < 0 ? rc : tell(r, arg);
}

static int local_offload(concur_request *r, void *arg)
{
    (void)arg;
    struct own *own = concur_request_alloc(r, sizeof *own);
    int rc = own ? demo_track(r) : CONCUR_E_NOMEM;
    return rc < 0 ? rc : demo_offload(r, local_work, local_done, own);
}

/* Topics: one request waits, another one publishes. */

static concur_topic *news;

struct reader {
    int64_t seen;
    bool ever; /* does not end: writes a line for each publication */
};

static int wait_for_news(concur_request *r, struct reader *reader);

static int on_news(concur_request *r, void *arg)
{
    struct reader *reader = arg;
    char text[32];
    DEMO_COUNT(timers_run);
    if (concur_request_gone(r) < 0)
        return CONCUR_OK;
    reader->seen = concur_topic_count(news);
    int n = snprintf(text, sizeof text, "news %lld\n", (long long)reader->seen);
    if (!reader->ever)
        return concur_reply_text(r, 200, text);
    int rc = concur_reply_write(r, text, (size_t)n);
    return rc < 0 ? rc : wait_for_news(r, reader);
}

static int wait_for_news(concur_request *r, struct reader *reader)
{
    int rc = concur_request_on_publish(r, news, reader->seen, on_news, reader);
    if (rc == CONCUR_OK)
        DEMO_COUNT(timers);
    return rc;
}

/* Replies at once if ?seen is not the present number. */
static int read_news(concur_request *r, void *arg)
{
    struct reader *reader = concur_request_alloc(r, sizeof *reader);
    int rc = reader ? demo_track(r) : CONCUR_E_NOMEM;
    if (rc < 0)
        return rc;
    *reader = (struct reader){ .seen = demo_query_number(r, "seen", concur_topic_count(news)), .ever = arg != NULL };
    if (reader->ever && ((rc = concur_reply_begin(r, 200, "text/plain")) < 0 || (rc = concur_reply_write(r, "reading\n", 8)) < 0))
        return rc;
    return wait_for_news(r, reader);
}

/* Begins as many waits as are allowed, every second one for news that has already come, and cancels them all. */
enum { READS_MAX = 16 };

static int never(concur_request *r, void *arg)
{
    (void)r;
    *(bool *)arg = true;
    return CONCUR_OK;
}

static int tell_cancelled(concur_request *r, void *arg)
{
    const bool *was_called = arg;
    return concur_reply_text(r, 200, *was_called ? "called\n" : "cancelled\n");
}

static int cancel_news(concur_request *r, void *arg)
{
    bool *was_called = concur_request_alloc(r, sizeof *was_called), ok = was_called != NULL;
    (void)arg;
    if (ok)
        *was_called = false;
    for (int i = 0; ok && i < READS_MAX; i++)
        ok = concur_request_on_publish(r, news, concur_topic_count(news) - i % 2, never, was_called) == CONCUR_OK;
    ok = ok && concur_request_on_publish(r, news, 0, never, was_called) == CONCUR_E_LIMIT;
    ok = ok && concur_request_cancel_publish(r, news, on_news, was_called) == CONCUR_E_STATE;
    for (int i = 0; ok && i < READS_MAX; i++)
        ok = concur_request_cancel_publish(r, news, never, was_called) == CONCUR_OK;
    ok = ok && concur_request_cancel_publish(r, news, never, was_called) == CONCUR_E_STATE;
    return ok ? concur_request_after(r, 20, tell_cancelled, was_called) : 500;
}

static int publish(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%lld\n", (long long)concur_topic_publish(news));
}

static const struct demo_route routes[] = {
    { "GET /counter", 0, counter },
    { "GET /test/counts", 0, counts },
    { "GET /test/lock/{n}", 0, lock },
    { "GET /test/local", 0, local_here },
    { "GET /test/news", 0, read_news },
    { "GET /test/news-away", CONCUR_ROUTE_BLOCKING, read_news },
    { "GET /test/news-cancel", 0, cancel_news },
    { "POST /test/publish", 0, publish },
    { "GET /test/local/blocking", CONCUR_ROUTE_BLOCKING, local_here },
    { "GET /test/local/offload", 0, local_offload },
};

void demo_shared_add(concur_server *server, bool is_unsafe)
{
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        *counters[i].counter = concur_server_counter(server, counters[i].name, counters[i].help);
    hits = concur_server_counter(server, "hits", "Requests for /counter");
    tally = concur_server_shared(server, "tally", sizeof(struct tally));
    news = concur_server_topic(server, "news");
    concur_server_route(server, "GET /test/news-ever", 0, read_news, &news);
    local = concur_server_local(server, make_own, free_own, NULL);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        concur_server_route(server, routes[i].pattern, routes[i].flags, routes[i].handler, NULL);
    if (is_unsafe)
        concur_server_route(server, "GET /test/lock-crash", 0, lock_crash, NULL);
}
