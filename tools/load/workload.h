/* SPDX-License-Identifier: MIT
 *
 * A workload: which clients send which requests, how often, for how long, and the server's options for it. It is read from
 * a small file (workloads/NAME.conf; workloads/README.md describes the format) or made of one path.
 *
 * Functions that can fail return 0 or a negative errno, and then a sentence in `error` that names file and line.
 */
#ifndef TOOLS_WORKLOAD_H
#define TOOLS_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>

enum workload_kind {
    WORKLOAD_KEEPALIVE, /* one request at a time on a connection that stays */
    WORKLOAD_CLOSE,     /* a connection for each request */
    WORKLOAD_PIPELINE,  /* `depth` requests sent ahead on each connection */
    WORKLOAD_IDLE,      /* one request each, if there is one, then silence; asked to stay open */
    WORKLOAD_SLOW_SEND, /* sends `slow_bytes` of a request every `slow_ms` */
    WORKLOAD_SLOW_READ, /* reads `slow_bytes` of the answer every `slow_ms` */
    WORKLOAD_KINDS
};

struct workload_request {
    char *method, *target;
    char *headers; /* whole lines, each with its CRLF; "" for none */
    char *body;    /* NULL: none */
    size_t body_len;
    char *expect; /* text that stands in the answer's body; NULL: any body */
    int status;   /* the right one */
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
    size_t request_count; /* at least 1, but 0 is allowed for idle ones */
};

/* An option of the server, such as threads_max = 64. */
struct workload_setting {
    char *engine; /* NULL: every engine */
    char *option, *value;
};

/* How many calls can run at once on an engine, with the settings of this workload. */
struct workload_at_once {
    char *engine;
    unsigned count;
};

struct workload {
    char *name, *title;
    char *source; /* the file; NULL when made in memory */
    struct workload_group *groups;
    size_t group_count;
    unsigned duration_ms, warmup_ms, timeout_ms; /* timeout: of one request */

    /* For the runner; the load client does not look at these. */
    struct workload_setting *settings;
    size_t setting_count;
    unsigned kill_worker_every_ms; /* 0: never */
    double overload;               /* rate = this times the capacity: workload_theory(), or measured; 0: as groups say */
    double wait_ms;                /* a call waits that long; with at_once, arithmetic gives the most per second */
    struct workload_at_once *at_once;
    size_t at_once_count;
    bool needs_unsafe; /* asks for routes that only --unsafe has */
};

int workload_load(const char *path, struct workload **out, char *error, size_t error_len);
/* GET of the path, 200 expected, 64 connections, keep-alive, closed loop. */
int workload_from_path(const char *path, struct workload **out, char *error, size_t error_len);
/* Frees and sets to NULL. */
void workload_free(struct workload **w);

const char *workload_kind_name(enum workload_kind kind);
/* Whether the clients of this kind ask again and again, so that throughput means something. */
bool workload_kind_is_active(enum workload_kind kind);
/* Gives the active groups a constant rate, in proportion to their connections; 0: closed loop. */
void workload_set_rate(struct workload *w, double per_second);
/* Requests per second that the waiting calls allow: at once / wait. 0: the file does not say for this engine. */
double workload_theory(const struct workload *w, const char *engine);

#endif
