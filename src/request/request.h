/* SPDX-License-Identifier: MIT
 *
 * A request, from its complete head to on_end. Its life is the table in machine.c; every call into the program happens
 * between cnc_request_enter() and cnc_request_leave(), and leave is the one place where a request changes state or dies.
 */
#ifndef CNC_REQUEST_H
#define CNC_REQUEST_H

#include "base/arena.h"
#include "server/server.h"

enum cnc_request_state {
    CNC_REQUEST_ROUTED,   /* no handler has run yet; a whole body may be on its way */
    CNC_REQUEST_QUEUED,   /* waits for a pool thread */
    CNC_REQUEST_RUNNING,  /* its handler is on the stack */
    CNC_REQUEST_WAITING,  /* something is pending, no reply begun */
    CNC_REQUEST_CALLBACK, /* another callback of it is on the stack */
    CNC_REQUEST_REPLYING, /* reply begun, nothing on the stack */
    CNC_REQUEST_DONE,     /* reply complete or given up; waits for its last reference */
    CNC_REQUEST_STATES
};

/* How far the reply is. */
enum cnc_output { CNC_OUTPUT_NONE, CNC_OUTPUT_BODY, CNC_OUTPUT_END, CNC_OUTPUT_ABORT };

enum {
    CNC_REQ_KEEP_ALIVE = 1,
    CNC_REQ_HAS_BODY = 2,
    CNC_REQ_BODY_WANTED = 4,  /* pieces come */
    CNC_REQ_BODY_PAUSED = 8,  /* on_body said AGAIN */
    CNC_REQ_BODY_DONE = 16,   /* complete, or no more will come */
    CNC_REQ_BODY_ENDED = 32,  /* the program's end function has run, or there is none */
    CNC_REQ_PULL_AGAIN = 64,  /* resume came before pull returned */
    CNC_REQ_PULLING = 128,    /* reply_pull under way */
    CNC_REQ_PULL_HELD = 256,  /* ... and pull said AGAIN */
    CNC_REQ_PUMP_DUE = 512,   /* the pump task is queued */
    CNC_REQ_DRAIN_ASKED = 1024, /* the carrier is to say when there is room, or the drain task is queued */
    CNC_REQ_PUSHING = 2048,   /* between begin and end; a reply without a body is complete meanwhile */
    CNC_REQ_NO_BODY_OUT = 4096, /* HEAD, 204, 205, 304 */
    CNC_REQ_GONE_DUE = 8192,  /* the gone task is queued */
    CNC_REQ_GONE_TOLD = 16384,
    CNC_REQ_ON_STACK = 32768,
    CNC_REQ_ANSWER = 65536,   /* given up, but the carrier is there: answer with the reason's status */
    CNC_REQ_SPOOLED = 131072,   /* the body goes to a file */
    CNC_REQ_ENDING = 262144,  /* on_end functions run */
    CNC_REQ_REWOUND = 524288, /* the spooled body is at offset 0 */
    CNC_REQ_DRAIN_DUE = 1048576, /* the drain task is queued */
    CNC_REQ_STOP_DUE = 2097152,  /* the stop task is queued */
    CNC_REQ_AFTER_DUE = 4194304,  /* hooks run before the head of a reply leaves */
    CNC_REQ_AFTER_RUNS = 8388608, /* ... and do */
    CNC_REQ_PAGE = 16777216,      /* a page is made: there may be a reply though the request was given up */
    CNC_REQ_HOOK_WAITS = 33554432, /* a hook decides later */
    CNC_REQ_PASS_DUE = 67108864,  /* ... and has decided: the pass task is queued */
    CNC_REQ_UPGRADE = 134217728   /* the client asks for another protocol, and names it in Upgrade */
};

/* Something pending that can be cut short: a timer, a wait, an offload. Linked in the request. */
struct cnc_op {
    struct cnc_link link;
    void (*cut)(struct cnc_op *); /* the request was given up: run its callback now, if that may be */
};

/* A function to be called when the request is given up, when it ends, or when a stop begins. */
struct cnc_hook {
    struct cnc_hook *next;
    union {
        concur_done_fn fn;
        concur_handler_fn stop;
    };
    void *arg;
};

struct concur_request {
    /* Not cleared: dispatch.c sets it, or whoever uses it first. */
    struct cnc_stream stream;
    concur_server *server;
    struct cnc_home *home;
    struct cnc_link link; /* in home's ring of requests, kept by the home's user */
    uint64_t id;
    struct cnc_link ops; /* of struct cnc_op: what is pending */
    int64_t deadline_at; /* INT64_MAX: none */
    struct cnc_timer deadline;
    struct cnc_task pump_task, gone_task, drain_task, stop_task, pass_task;
    concur_done_fn on_body_end; /* this and the next are set with on_data */
    void *on_body_arg;
    int64_t reply_left; /* with PULLING, as the next two: bytes promised and not sent; -1: unknown */
    concur_pull_fn pull;
    void *pull_arg;
    void *drain_arg;
    struct cnc_arena arena;
    void *block;

    /* the head: bytes with NULs in place, fields as offsets into it */
    char *head;
    struct cnc_http_field *fields;
    struct cnc_http_span method_text, target, query;
    int64_t content_length;
    struct cnc_slice path; /* decoded, NUL-terminated */
    char *texts;           /* room behind it for the parameters of one route */
    size_t texts_left;

    /* From here to match all is cleared. */
    uint32_t flags;
    uint32_t refs;        /* pending operations and tickets; at home only */
    int gone;             /* 0, or why it was given up; INV: not 0 where output is CNC_OUTPUT_ABORT */
    uint8_t state, output, method, minor;
    uint16_t field_count;
    unsigned skip;        /* routes that declined */
    unsigned hook_at;     /* the next hook before the handler (around.c) */
    int refused;          /* what is answered when the hooks have let it pass; 0: its handler runs */

    /* request body */
    char *body;            /* owned unless in the arena */
    size_t body_len, body_cap;
    int body_fd;
    struct cnc_spool *spool; /* owned: its way to the file, while threads write it; NULL otherwise */
    int body_rc;           /* what ended it */
    concur_data_fn on_data;
    const struct cnc_pairs *pairs[3]; /* query, form and cookies, parsed on demand */
    const char *peer, *id_text; /* made on demand */
    struct cnc_data *data;      /* of the program's, in the arena (data.c) */
    struct cnc_facts *facts;    /* in the arena, made on demand (facts.c); NULL: not yet */

    /* reply */
    int reply_rc;          /* the error that sticks */
    int status;            /* of the reply that has begun; 0: none has */
    int64_t sent;          /* bytes of its body that the carrier took */
    const char *why;       /* what was wrong with a call of the program's, for the log; static text, NULL: nothing */
    struct cnc_slice type; /* of the field Content-Type that the program added, in the arena; p NULL: none was */
    char *extra;           /* other field lines, in the arena */
    size_t extra_len, extra_cap;
    concur_handler_fn drain;

    /* pending */
    struct cnc_hook *cancels, *ends, *stops;
    struct concur_ticket *tickets; /* to tell them that the request was given up */
    unsigned waits;        /* descriptor waits */
    unsigned topic_waits;

    struct cnc_match match;
};

/* A part of the head, terminated in place: the byte behind it is there for that. */
static inline const char *cnc_request_text(concur_request *r, struct cnc_http_span span)
{
    r->head[span.at + span.len] = '\0';
    return r->head + span.at;
}

/* machine.c */
void cnc_request_queue(concur_request *r);         /* it goes to the pool */
void cnc_request_enter_handler(concur_request *r); /* before its route's handler is called */
void cnc_request_enter(concur_request *r);         /* before any other callback is */
/* rc: what the callback returned. May free r. */
void cnc_request_leave(concur_request *r, int rc);
static inline void cnc_request_hold(concur_request *r)
{
    r->refs++;
}
/* Within enter and leave. */
static inline void cnc_request_release(concur_request *r)
{
    CNC_ASSERT(r->refs > 0);
    r->refs--;
}
/* Gives the request up, later, at home: on_cancel functions run, pending operations are cut. answer: the carrier is still
 * there and gets the reason's status, if no reply has begun. */
void cnc_request_give_up(concur_request *r, int reason, bool answer);
/* Every request of a home, for the server's stop. */
void cnc_request_give_up_all(struct cnc_home *home, int reason);
/* The loop of a thread is broken: gives up every request of its home, whose waits end with that, and closes it. */
void cnc_request_lose_loop(struct cnc_home *home);
/* notices.c: a stop has begun, perhaps before the request came to its home: on_stop functions run, later, at home. */
void cnc_request_tell_stop(concur_request *r);
/* Every request of a home. */
void cnc_request_tell_stop_all(struct cnc_home *home, int unused);
int cnc_request_status_of(int rc); /* the status that a negative code stands for; 0: none is sent */
const char *cnc_request_state_name(int state);
const char *cnc_request_route_name(const concur_request *r);
/* A line in the log: the request and its route, then the text. */
void cnc_request_failed(concur_request *r, const char *fmt, ...) CNC_PRINTF(2, 3);
/* A callback returned what means nothing for it: a line, and 500 or an abort. Within that callback. */
void cnc_request_nonsense(concur_request *r, int rc);

/* dispatch.c */
/* Creates a request at home, on home's thread, and starts it: its handler may have run and its reply be complete when this
 * returns. Not within a call of a request that from is for. head and bytes are only read during the call. 0; else the status that
 * from is to answer with: there is no request, and *from->stream is not set. */
int cnc_request_begin(concur_server *server, struct cnc_home *home, const struct cnc_http_head *head, const char *bytes,
                      const struct cnc_carrier *from);
void cnc_request_run(concur_request *r);   /* not entered; calls the handler, here or on the pool; may free r */
void cnc_request_set_deadline(concur_request *r, int64_t ms); /* from now; 0: none */
extern const struct cnc_stream_ops cnc_request_stream_ops;

/* body.c */
int cnc_body_start(concur_request *r);     /* a whole body is wanted before the handler: CONCUR_AGAIN, or a status */
int cnc_body_piece(concur_request *r, const char *p, size_t n); /* entered */
int cnc_body_end(concur_request *r, int rc); /* entered; calls on_body's end, once, and returns what it returned */
void cnc_body_give_up(concur_request *r);  /* entered; no more will come */
void cnc_body_deinit(concur_request *r);
static inline bool cnc_body_is_pending(const concur_request *r)
{
    if (CNC_UNLIKELY(r->on_data != NULL))
        return !(r->flags & CNC_REQ_BODY_ENDED);
    return (r->flags & CNC_REQ_BODY_WANTED) && !(r->flags & CNC_REQ_BODY_DONE) && r->output < CNC_OUTPUT_END;
}

/* data.c */
void cnc_request_free_data(concur_request *r);

/* facts.c */
void cnc_facts_before_move(concur_request *r); /* the channel to another thread does not know everything */

/* reply.c */
/* A page of the library's own for a status, with fields that belong to it. */
void cnc_reply_page(concur_request *r, int status);
/* Cuts the reply short, unless it is complete, and gives the request up: nobody can get it any more. Within a callback. */
void cnc_reply_abort(concur_request *r, int reason);
/* The reply has begun, and a callback has returned: one without a body that waited for the request's is complete now. */
void cnc_reply_body_read(concur_request *r);
void cnc_reply_pump(concur_request *r);
void cnc_reply_drained(concur_request *r);
bool cnc_reply_is_pending(const concur_request *r);

/* carried.c: what the driver of a connection calls (conn.h). */
extern const struct cnc_conn_ops cnc_request_conn_ops;

/* async.c; the second in tickets.c */
void cnc_async_cut(concur_request *r);     /* cuts every pending operation short */
void cnc_async_warn_tickets(concur_request *r);

#define CNC_REQUEST_IS_MINE(r) cnc_home_is_mine((r)->home)

#endif
