/* SPDX-License-Identifier: MIT
 *
 * The load client: sends a workload to an HTTP/1.1 server, checks each answer, and counts and measures.
 *
 * It changes nothing for the whole process: no signal handler, no limit. Its threads block all signals. At a constant
 * rate latency counts from the time at which a request was due. So if the server does not answer for a while, all
 * requests that were due meanwhile have a long latency, also those that waited for a free connection.
 *
 * A request counts if it was due in the measured time. Afterwards no request is sent, and answers that are missing are
 * awaited up to their timeout.
 */
#ifndef TOOLS_LOAD_H
#define TOOLS_LOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "load/histogram.h"
#include "load/workload.h"

enum { LOAD_SLICE_MS = 100 };

/* The server. */
struct load_target {
    struct sockaddr_storage address;
    socklen_t address_len;
    char host[280]; /* as in the Host field: name:port */
    char path[2048]; /* "/" when the URL has none */
};

/* Each request has exactly one, except that CONNECT_FAILED counts attempts to connect. */
enum load_outcome {
    LOAD_GOOD,           /* the expected status and content */
    LOAD_WRONG,          /* the expected status, other content */
    LOAD_GARBLED,        /* not HTTP */
    LOAD_OTHER_1XX,      /* another status than expected; 502 and 503 are counted below */
    LOAD_OTHER_2XX,
    LOAD_OTHER_3XX,
    LOAD_OTHER_4XX,
    LOAD_OTHER_5XX,
    LOAD_BAD_GATEWAY,    /* 502 */
    LOAD_UNAVAILABLE,    /* 503 */
    LOAD_TIMEOUT,        /* no complete answer in timeout_ms after it was sent */
    LOAD_RESET,          /* the connection was reset */
    LOAD_CLOSED_EARLY,   /* the connection was closed before the answer's end */
    LOAD_CONNECT_FAILED, /* refused, or no connection in time */
    LOAD_OUTCOMES
};

struct load_counts {
    uint64_t of[LOAD_OUTCOMES];
    uint64_t without_retry_after; /* 503 answers without it */
    uint64_t sent;                /* requests that were due in the measured time and were sent */
    uint64_t unsent;              /* requests that were due in the measured time, but the connection was busy */
    uint64_t unfinished;          /* requests that were sent, but given up when the run was stopped */
    uint64_t connects;            /* connections made, warm-up included */
    uint64_t idle_closed;         /* idle connections that the server closed */
    uint64_t bytes_in, bytes_out; /* in the measured time */
    uint64_t came;                /* good answers that came in the measured time: the throughput */
};

struct load_part {
    const char *name; /* of the group, borrowed from the workload; NULL for the total */
    struct load_counts counts;
    struct histogram latency; /* of good answers, from the time at which the request was due; closed loop: was sent */
    struct histogram service; /* of good answers, from the time at which the request was sent */
    unsigned open;            /* connections that were open at the end of the measured time */
};

struct load_result {
    int64_t began_at, ended_at; /* the measured time, CLOCK_MONOTONIC, ns */
    double seconds;             /* its length; shorter if it was stopped */
    bool stopped;
    struct load_part total;
    struct load_part *groups; /* in the workload's order */
    size_t group_count;
    uint32_t *good_by_slice, *bad_by_slice; /* answers that came in each LOAD_SLICE_MS from began_at on */
    size_t slice_count;

    /* About the client itself, in the measured time. */
    unsigned threads;
    double cpu_user, cpu_system; /* seconds, all threads */
    double busiest;              /* fraction of the time in which its busiest thread ran */
    double starved;              /* fraction of the time in which that thread was ready, but no processor was free */
    struct histogram lateness;   /* constant rate: how late requests were sent although the connection was free */
    bool saturated;              /* the client was the bottleneck */
    char why[160];               /* then the reason; otherwise "" */
};

struct load_options {
    const struct workload *workload; /* borrowed until the result is freed */
    const struct load_target *target;
    unsigned threads;                   /* 0: 1; at most one for each connection is used */
    unsigned duration_ms, warmup_ms;    /* duration 0: both as the workload says */
    const volatile sig_atomic_t *stop;  /* optional; if it is not 0, the run ends with the results so far */
    /* Optional. Called about every 100 ms on the thread that called load_run. part: how much is done, 0 to 1, warm-up
     * included. If it does not return 0, the run ends as by `stop`. */
    int (*on_tick)(double part, void *arg);
    void *arg;
};

/* Parses http://HOST[:PORT][/PATH], and looks up the host. 0 or a negative errno. */
int load_target_parse(const char *url, struct load_target *out, char *error, size_t error_len);
/* Runs a load. Returns after warm-up, duration and the last answers. 0 or a negative errno; it is no error if the
 * server does not answer. */
int load_run(const struct load_options *o, struct load_result **out, char *error, size_t error_len);
/* Frees and sets to NULL. */
void load_result_free(struct load_result **r);

const char *load_outcome_name(enum load_outcome outcome);
/* The sum of all outcomes except GOOD. */
uint64_t load_failures(const struct load_counts *c);
/* How many descriptors the workload needs, so that a program can raise its limit. */
unsigned load_descriptors(const struct workload *w, unsigned threads);

#endif
