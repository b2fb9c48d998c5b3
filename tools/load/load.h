/* SPDX-License-Identifier: MIT
 *
 * The load client: sends a workload to an HTTP/1.1 server, checks each answer, and counts and measures.
 *
 * It sets nothing process-wide: no signal handler, no limit; its threads have every signal blocked. At a constant rate
 * latency counts from the time at which the request should have been sent: a busy connection queues its requests. So if
 * the server stands still, every request that was due meanwhile shows it.
 *
 * A request belongs to the measured time by the time at which it was to be sent. After that time nothing new is sent,
 * and answers that are still due are waited for, up to their deadline.
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

/* Where to. */
struct load_target {
    struct sockaddr_storage address;
    socklen_t address_len;
    char host[280]; /* as in the Host field: name:port */
    char path[2048]; /* "/" when the URL has none */
};

/* Exactly one for each request, but that CONNECT_FAILED counts attempts at a connection. */
enum load_outcome {
    LOAD_GOOD,           /* the status and the content expected */
    LOAD_WRONG,          /* the status expected, other content */
    LOAD_GARBLED,        /* not HTTP */
    LOAD_OTHER_1XX,      /* another status than expected; 502 and 503 have their own */
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
    uint64_t without_retry_after; /* of the 503s */
    uint64_t sent;                /* requests of the measured time that were sent */
    uint64_t unsent;              /* should have been sent in the measured time, but the connection was not free */
    uint64_t unfinished;          /* sent, but given up when the run was stopped */
    uint64_t connects;            /* connections made, warm-up included */
    uint64_t idle_closed;         /* idle connections that the server closed */
    uint64_t bytes_in, bytes_out; /* in the measured time */
    uint64_t came;                /* good answers that came in the measured time, whenever due: the throughput */
};

struct load_part {
    const char *name; /* of the group, borrowed from the workload; NULL for the total */
    struct load_counts counts;
    struct histogram latency; /* good answers, from the intended time to send; closed loop: from sending */
    struct histogram service; /* good answers, from sending */
    unsigned open;            /* connections that were open at the end of the measured time */
};

struct load_result {
    int64_t began_at, ended_at; /* the measured time, CLOCK_MONOTONIC, ns */
    double seconds;             /* its length; shorter than asked for when stopped */
    bool stopped;
    struct load_part total;
    struct load_part *groups; /* in the workload's order */
    size_t group_count;
    uint32_t *good_by_slice, *bad_by_slice; /* answers by when they came, LOAD_SLICE_MS each, from began_at */
    size_t slice_count;

    /* The client about itself, in the measured time. */
    unsigned threads;
    double cpu_user, cpu_system; /* seconds, all threads */
    double busiest;              /* processor time of the busiest thread / time, 0 to 1 */
    double starved;              /* that thread: ready to run, but no processor free / time */
    struct histogram lateness;   /* constant rate: how much too late it sent although the connection was free */
    bool saturated;              /* the client itself was the bottleneck */
    char why[160];               /* then: in words; otherwise "" */
};

struct load_options {
    const struct workload *workload; /* borrowed until the result is freed */
    const struct load_target *target;
    unsigned threads;                   /* 0: 1; never more than connections */
    unsigned duration_ms, warmup_ms;    /* duration 0: both as the workload says */
    const volatile sig_atomic_t *stop;  /* NULL or: not 0 ends the run, with what it has */
    /* NULL or: called about every 100 ms in the thread that called load_run, with the part that is over (0 to 1, warm-up
     * included). Not 0 ends the run as `stop` does. */
    int (*on_tick)(double part, void *arg);
    void *arg;
};

/* Takes http://HOST[:PORT][/PATH]; looks the host up. 0 or a negative errno. */
int load_target_parse(const char *url, struct load_target *out, char *error, size_t error_len);
/* Blocks for warm-up, duration and the last answers. 0 or a negative errno; a server that answers nothing is no error. */
int load_run(const struct load_options *o, struct load_result **out, char *error, size_t error_len);
/* Frees and sets to NULL. */
void load_result_free(struct load_result **r);

const char *load_outcome_name(enum load_outcome outcome);
/* Everything that is not good. */
uint64_t load_failures(const struct load_counts *c);
/* Open descriptors that the workload needs, so that a program can raise its limit. */
unsigned load_descriptors(const struct workload *w, unsigned threads);

#endif
