/* SPDX-License-Identifier: MIT
 *
 * Shared by the files of concur-demo.
 *
 *   demo.c         the command line, start and stop
 *   demo_routes.c  the routes for people and load tools
 *   demo_test.c    the routes under /test/ for the end-to-end tests, which use every call; more of them are in
 *   demo_reply.c   for what a program may pass for a reply
 *   demo_abort.c   for replies that are aborted
 *   demo_stop.c    for waits for the server's stop
 *   demo_async.c   for replies that come later
 *   demo_shared.c  for what handlers share
 *   demo_around.c  for functions before and after handlers, and error pages
 *   demo_fields.c  for the fields of a reply
 *   demo_facts.c   for what the library tells about a request and its reply
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include <concur/concur.h>

/* How much was begun, and how much has ended, as /test/counts shows it. When the server is idle each pair is equal.
 * Handlers may run on several threads or in several processes, so these are counters of the library. */
#define DEMO_COUNTS(ROW)                                                                                  \
    ROW(requests, "Requests with an on_end")                                                              \
    ROW(ended, "Runs of that on_end")                                                                     \
    ROW(cancelled, "Runs of on_cancel")                                                                   \
    ROW(tickets, "Tickets taken")                                                                         \
    ROW(released, "Tickets released")                                                                     \
    ROW(posts, "Posts that said OK")                                                                      \
    ROW(posts_run, "Posted functions that ran")                                                           \
    ROW(offloads, "Offloads that said OK")                                                                \
    ROW(offloads_run, "Done functions that ran")                                                          \
    ROW(timers, "Timers and waits for descriptors")                                                       \
    ROW(timers_run, "Those that ran")                                                                     \
    ROW(buffers, "Bytes handed over with a free function")                                                \
    ROW(freed, "Runs of that free function")                                                              \
    ROW(bodies, "Bodies asked for")                                                                       \
    ROW(bodies_run, "Their end functions that ran")                                                       \
    ROW(locals_made, "What threads have made for themselves")                                             \
    ROW(locals_freed, "What threads have freed again")                                                    \
    ROW(gone_seen, "Handlers that learned in the middle of their work that nobody waits any more")        \
    ROW(misuse, "Calls that should have failed with CONCUR_E_STATE and did not")
#define DEMO_COUNTS_MEMBER(name, help) concur_counter *name;
struct demo_counts {
    DEMO_COUNTS(DEMO_COUNTS_MEMBER)
};
extern struct demo_counts demo_counts; /* written before any process is forked, read-only afterwards */

#define DEMO_COUNT(what) ((void)concur_counter_add(demo_counts.what, 1))

/* Registers the on_end and on_cancel functions that count. CONCUR_OK, or an error for the handler to return. */
int demo_track(concur_request *r);

/* Parses a number of the path. False: it is not a number from 0 to max, and a 400 was sent. */
bool demo_number(concur_request *r, const char *name, uint64_t max, uint64_t *out);

/* The number of this name in the query; otherwise: the result if it is missing or malformed. */
int64_t demo_query_number(concur_request *r, const char *name, int64_t otherwise);

/* Blocks the thread, as a database driver would. */
void demo_block(unsigned ms);

/* The library's functions; calls that return CONCUR_OK are counted. */
int demo_after(concur_request *r, unsigned ms, concur_handler_fn timer, void *arg);
int demo_offload(concur_request *r, concur_work_fn work, concur_done_fn done, void *arg);
int demo_on_body(concur_request *r, concur_data_fn data, concur_done_fn end, void *arg);
/* The handler of /whoami. */
int demo_whoami(concur_request *r, void *arg);

/* A pull function and its state: bytes of a pattern of 64 characters. */
struct demo_pattern {
    uint64_t at, end;
    bool hesitate, hesitated; /* every second call returns CONCUR_AGAIN, and a timer resumes */
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
/* With --unsafe: the file named by CONCUR_DEMO_START may have "refuse N" or "hang N", for workers of generation N and
 * later. */
void demo_test_hook(concur_server *server);
void demo_reply_add(concur_server *server);
void demo_abort_add(concur_server *server);
void demo_stop_add(concur_server *server);
void demo_async_add(concur_server *server);
void demo_shared_add(concur_server *server, bool is_unsafe);
void demo_facts_add(concur_server *server);
void demo_around_add(concur_server *server);
void demo_fields_add(concur_server *server);

#endif
