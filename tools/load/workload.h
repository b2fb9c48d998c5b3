/* SPDX-License-Identifier: MIT
 *
 * A workload: which clients send which requests, how often, for how long, and the server's options for it. It is read
 * from a small file (workloads/NAME.conf; workloads/README.md describes the format) or made from one path.
 *
 * Functions that can fail return 0 or a negative errno; then `error` has a sentence with file and line.
 */
#ifndef TOOLS_WORKLOAD_H
#define TOOLS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>

enum workload_kind {
    WORKLOAD_KEEPALIVE, /* one request at a time on a connection that persists */
    WORKLOAD_CLOSE,     /* a new connection for each request */
    WORKLOAD_PIPELINE,  /* `depth` requests under way on each connection */
    WORKLOAD_IDLE,      /* at most one request each, with keep-alive, then idle */
    WORKLOAD_SLOW_SEND, /* sends `slow_bytes` of a request every `slow_ms` */
    WORKLOAD_SLOW_READ, /* reads `slow_bytes` of the answer every `slow_ms` */
    WORKLOAD_KINDS
};

struct workload_request {
    char *method, *target;
    char *headers; /* whole lines, each with its CRLF; "" for none */
    char *body;    /* NULL: none */
    size_t body_len;
    char *expect; /* text that the answer's body must contain; NULL: any body is good */
    int status;   /* the expected status */
    unsigned weight;
};

/* Clients of one kind. */
struct workload_group {
    char *name;
    enum workload_kind kind;
    unsigned connections;
    unsigned depth; /* 1 unless pipelined */
    double rate;    /* requests per second of the whole group; 0: closed loop */
    unsigned slow_bytes, slow_ms;
    struct workload_request *requests;
    size_t request_count; /* at least 1; 0 is allowed for IDLE */
};

/* An option of the server, such as threads_max = 64. */
struct workload_setting {
    char *engine; /* NULL: every engine */
    char *option, *value;
};

/* How many handlers can run at the same time on an engine, with the settings of this workload. */
struct workload_at_once {
    char *engine;
    unsigned count;
};

struct workload {
    char *name, *title;
    char *source; /* the file; NULL: it was made from a path */
    struct workload_group *groups;
    size_t group_count;
    unsigned duration_ms, warmup_ms, timeout_ms; /* timeout: of one request */

    /* For measure/runner.c; the load client does not use these. */
    struct workload_setting *settings;
    size_t setting_count;
    unsigned kill_worker_every_ms; /* 0: never */
    double overload;               /* rate = this * the capacity (workload_theory(), or measured); 0: as groups say */
    double wait_ms;                /* how long a handler waits; with at_once it gives the highest possible rate */
    struct workload_at_once *at_once;
    size_t at_once_count;
    bool needs_unsafe; /* uses routes that exist only with --unsafe */
};

int workload_load(const char *path, struct workload **out, char *error, size_t error_len);
/* GET of the path, 200 expected, 64 connections, keep-alive, closed loop. */
int workload_from_path(const char *path, struct workload **out, char *error, size_t error_len);
/* Frees and sets to NULL. */
void workload_free(struct workload **w);

const char *workload_kind_name(enum workload_kind kind);
/* Do clients of this kind send requests all the time, so that throughput is meaningful? */
bool workload_kind_is_active(enum workload_kind kind);
/* Gives the active groups a constant rate, in proportion to their connections; 0: closed loop. */
void workload_set_rate(struct workload *w, double per_second);
/* The highest possible rate: at_once / wait_ms. 0: the file does not give it for this engine. */
double workload_theory(const struct workload *w, const char *engine);

#endif
