/* SPDX-License-Identifier: MIT
 *
 * What the files of concur-demo share.
 *
 *   demo.c         the command line, start and stop
 *   demo_routes.c  the routes that people and load tools use
 *   demo_test.c    the routes under /test/, which exercise every call for the end-to-end tests
 *   demo_async.c   those of them that answer later
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <concur/concur.h>

/* What was begun and what has ended, as /test/counts shows it: when the server is idle, each pair is equal. Handlers
 * share it, and on some engines they run on several threads. */
struct demo_counts {
    atomic_llong requests, ended;        /* requests with an on_end; on_end runs */
    atomic_llong cancelled;              /* on_cancel runs */
    atomic_llong tickets, released;
    atomic_llong posts, posts_run;       /* posts that said OK; posted functions that ran */
    atomic_llong offloads, offloads_run; /* offloads that said OK; done functions that ran */
    atomic_llong timers, timers_run;     /* timers and waits for descriptors */
    atomic_llong buffers, freed;         /* bytes handed over with a free function; its runs */
    atomic_llong bodies, bodies_run;     /* bodies asked for; their end functions that ran */
    atomic_llong gone_seen;              /* handlers that learned it in the middle of their work */
    atomic_llong misuse;                 /* calls that should have failed with CONCUR_E_STATE and did not */
};
extern struct demo_counts demo_counts;

#define DEMO_COUNT(what) ((void)atomic_fetch_add_explicit(&demo_counts.what, 1, memory_order_relaxed))

/* Registers the on_end and on_cancel that count. Returns CONCUR_OK or why not: return it. */
int demo_track(concur_request *r);

/* Reads a number of the path. false: it is none or not in 0..max, and 400 with a sentence has been sent. */
bool demo_number(concur_request *r, const char *name, uint64_t max, uint64_t *out);

/* The query's number of that name, or otherwise when absent or malformed. */
int64_t demo_query_number(concur_request *r, const char *name, int64_t otherwise);

/* Blocks the thread, as a database driver would. */
void demo_block(unsigned ms);

/* As the library's, and counted when they say CONCUR_OK. */
int demo_after(concur_request *r, unsigned ms, concur_handler_fn timer, void *arg);
int demo_offload(concur_request *r, concur_work_fn work, concur_done_fn done, void *arg);
int demo_on_body(concur_request *r, concur_data_fn data, concur_done_fn end, void *arg);

/* A pull function and its state: bytes of a pattern of 64 characters. */
struct demo_pattern {
    uint64_t at, end;
    bool hesitate, hesitated; /* every second call says AGAIN and a timer resumes */
};
int demo_pattern_pull(concur_request *r, void *out, size_t *n, void *arg);

enum { DEMO_MS_MAX = 600000 };

/* A row of a table of routes. */
struct demo_route {
    const char *pattern;
    unsigned flags;
    concur_handler_fn handler;
};
void demo_routes_add(concur_server *server, bool is_unsafe);
void demo_test_add(concur_server *server);
void demo_async_add(concur_server *server);

#endif
