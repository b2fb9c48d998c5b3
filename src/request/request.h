/* SPDX-License-Identifier: MIT
 *
 * A request, from its complete head to on_end. machine.c has its state table. Every call into the program happens between
 * cnc_request_enter() or cnc_request_enter_handler() and cnc_request_leave(). A request is freed in leave only. All of it
 * belongs to its home's thread; only tickets may be used by other threads.
 */
#ifndef CNC_REQUEST_H
#define CNC_REQUEST_H

#include "base/arena.h"
#include "server/server.h"

enum cnc_request_state {
    CNC_REQUEST_ROUTED,   /* no handler has run yet; a whole body may be on its way */
    CNC_REQUEST_QUEUED,   /* waits for a pool thread */
    CNC_REQUEST_RUNNING,  /* its handler, or a hook before it, is on the stack */
    CNC_REQUEST_WAITING,  /* something is pending, no reply begun */
    CNC_REQUEST_CALLBACK, /* another callback of it is on the stack */
    CNC_REQUEST_REPLYING, /* reply begun, nothing on the stack */
    CNC_REQUEST_DONE,     /* reply complete or given up; waits for its last reference */
    CNC_REQUEST_STATES
};

/* How far the reply is. BODY: it has begun; END: it is complete; ABORT: it was cut short, or cannot be sent any more. */
enum cnc_output { CNC_OUTPUT_NONE, CNC_OUTPUT_BODY, CNC_OUTPUT_END, CNC_OUTPUT_ABORT };

enum {
    CNC_REQ_KEEP_ALIVE = 1,
    CNC_REQ_HAS_BODY = 2,
    CNC_REQ_BODY_WANTED = 4,  /* the carrier was asked for the body */
    CNC_REQ_BODY_PAUSED = 8,  /* on_data is being called, or returned CONCUR_AGAIN */
    CNC_REQ_BODY_DONE = 16,   /* complete, or no more will come */
    CNC_REQ_BODY_ENDED = 32,  /* the program's end function has run, or there is none */
    CNC_REQ_PULL_AGAIN = 64,  /* concur_request_resume() was called before pull returned */
    CNC_REQ_PULLING = 128,    /* the body comes from concur_reply_pull(), and is not complete */
    CNC_REQ_PULL_HELD = 256,  /* with PULLING: pull returned CONCUR_AGAIN and was not resumed yet */
    CNC_REQ_PUMP_DUE = 512,   /* the pump task is queued */
    CNC_REQ_DRAIN_ASKED = 1024, /* the carrier was asked to report room, or the drain task is queued */
    CNC_REQ_PUSHING = 2048,   /* between concur_reply_begin() and _end(). If the reply has no body, output may be END already */
    CNC_REQ_NO_BODY_OUT = 4096, /* the reply has no body: HEAD, 204, 205, 304 */
    CNC_REQ_GONE_DUE = 8192,  /* the gone task is queued */
    CNC_REQ_ON_STACK = 32768, /* entered: between cnc_request_enter() or _enter_handler() and cnc_request_leave() */
    CNC_REQ_ANSWER = 65536,   /* given up while the carrier is still there: answer with the status of the reason */
    CNC_REQ_SPOOLED = 131072,   /* the body goes to a file */
    CNC_REQ_ENDING = 262144,  /* on_end functions run */
    CNC_REQ_REWOUND = 524288, /* the spooled body is at offset 0 */
    CNC_REQ_DRAIN_DUE = 1048576, /* the drain task is queued */
    CNC_REQ_STOP_DUE = 2097152,  /* the stop task is queued */
    CNC_REQ_AFTER_DUE = 4194304,  /* functions of concur_server_after() must run before the head of the reply is sent */
    CNC_REQ_AFTER_RUNS = 8388608, /* one of them is running */
    CNC_REQ_PAGE = 16777216,      /* an error page is being made: a reply is allowed even if the request was given up */
    CNC_REQ_HOOK_WAITS = 33554432, /* a function of concur_server_before() runs or returned CONCUR_AGAIN; concur_request_pass()
                                    * is allowed */
    CNC_REQ_PASS_DUE = 67108864,  /* concur_request_pass() was called: the pass task is queued */
    CNC_REQ_UPGRADE = 134217728   /* the client asks for another protocol, and names it in Upgrade */
};

/* Something pending that can be cut short: a timer, a wait for a descriptor or a topic, an offload, a write to the body's
 * file. */
struct cnc_op {
    struct cnc_link link;         /* in the request's ops */
    void (*cut)(struct cnc_op *); /* called when the request was given up: ends the operation now, unless it is under way */
};

/* A function that the program registered for one moment: the request is given up, the request ends, or a stop begins. */
struct cnc_hook {
    struct cnc_hook *next;
    union {
        concur_done_fn fn;
        concur_handler_fn stop;
    };
    void *arg;
};

/* At the start of a block of its home's desk; the arena has the rest of the block. */
struct concur_request {
    /* The members up to flags are not cleared: dispatch.c sets them, or whoever uses them first. */
    struct cnc_stream stream;
    concur_server *server;
    struct cnc_home *home;
    struct cnc_link link; /* in the ring of requests of home's desk */
    uint64_t id;
    struct cnc_link ops; /* of struct cnc_op: what is pending */
    int64_t deadline_at; /* monotonic ms; INT64_MAX: none */
    struct cnc_timer deadline;
    struct cnc_task pump_task, gone_task, drain_task, stop_task, pass_task;
    concur_done_fn on_body_end; /* this and the next are valid once on_data is set */
    void *on_body_arg;
    int64_t reply_left; /* bytes promised and not sent; -1: unknown. This and the next two are valid once PULLING was set */
    concur_pull_fn pull;
    void *pull_arg;
    void *drain_arg;
    struct cnc_arena arena;

    /* The head. fields and spans are offsets into it. NULs are written into it behind the texts that somebody asked for. */
    char *head;
    struct cnc_http_field *fields;
    struct cnc_http_span method_text, target, query;
    int64_t content_length;
    struct cnc_slice path; /* decoded, NUL-terminated */
    char *texts;           /* room behind the path for the texts of the route's parameters; enough for one route */
    size_t texts_left;     /* bytes */

    /* create() in dispatch.c clears the members from here up to match. */
    uint32_t flags;
    uint32_t refs;        /* the request does not end before this is 0: pending operations, tickets, queued tasks */
    int gone;             /* 0, or why it was given up; INV: not 0 where output is CNC_OUTPUT_ABORT */
    uint8_t state, output, method, minor;
    uint16_t field_count;
    unsigned skip;        /* how many routes have declined */
    unsigned hook_at;     /* index of the next hook to look at before the handler (around.c) */
    int refused;          /* the status that is answered once the hooks have let the request pass; 0: its handler runs */

    /* request body */
    char *body;            /* owned; NULL: none in memory */
    size_t body_len, body_cap;
    int body_fd;             /* owned; the file of a spooled body, -1: there is none yet */
    struct cnc_spool *spool; /* owned; not NULL from the first piece that the pool's threads are to write until the body is in
                              * its file (spool.c) */
    concur_data_fn on_data;  /* the program's function for pieces of the body; NULL: it has not asked for pieces */
    const struct cnc_pairs *pairs[3]; /* query, form and cookies, parsed on demand */
    const char *peer, *id_text; /* made on demand */
    struct cnc_data *data;      /* what the program keeps with the request, in the arena (data.c) */
    struct cnc_facts *facts;    /* in the arena, made on demand (facts.c); NULL: not yet */

    /* reply */
    int reply_rc;          /* the first error of a call for the reply; later calls return it. 0: none */
    int status;            /* of the reply that has begun; 0: none has */
    int64_t sent;          /* bytes of its body that the carrier took */
    const char *why;       /* what was wrong with a call by the program, for the log; static text. NULL: nothing */
    struct cnc_slice type; /* the Content-Type that the program added, in the arena; p NULL: it added none */
    struct cnc_http_pairs reply_fields; /* the other fields of the reply; array and NUL-terminated texts are in the arena */
    uint32_t reply_fields_cap;
    concur_handler_fn drain;

    /* pending */
    struct cnc_hook *cancels, *ends, *stops;
    struct concur_ticket *tickets; /* those that are not released; they learn here that the request was given up */
    unsigned waits;        /* how many waits for descriptors are pending */
    unsigned topic_waits;  /* the same for topics */

    struct cnc_match match;
};

/* A part of the head as text. Writes a NUL over the byte behind it, which is a delimiter or room kept for this. */
static inline const char *cnc_request_text(concur_request *r, struct cnc_http_span span)
{
    r->head[span.at + span.len] = '\0';
    return r->head + span.at;
}

/* machine.c */
/* "Entered" means in all comments: between enter and leave. */
void cnc_request_queue(concur_request *r);         /* before it goes to the pool; not entered afterwards */
void cnc_request_enter_handler(concur_request *r); /* before its route's handler, or a hook before that, is called */
void cnc_request_enter(concur_request *r);         /* before any other callback is called */
/* After a callback. rc: what it returned. May free r. */
void cnc_request_leave(concur_request *r, int rc);
/* Takes a reference, which keeps the request from ending. At home. */
static inline void cnc_request_hold(concur_request *r)
{
    r->refs++;
}
/* Entered: leave frees the request if this was the last reference. */
static inline void cnc_request_release(concur_request *r)
{
    CNC_ASSERT(r->refs > 0);
    r->refs--;
}
/* At home. Notes that the request is given up; only the first reason counts. The rest follows in a task at home: on_cancel
 * functions run and pending operations are cut. answer: the carrier is still there, and gets the reason's status if no reply
 * has begun. */
void cnc_request_give_up(concur_request *r, int reason, bool answer);
/* The same for every request of a home, with answer. On the home's thread. */
void cnc_request_give_up_all(struct cnc_home *home, int reason);
/* The loop of a thread is broken: gives up every request of its home, which ends their waits, and closes the loop. */
void cnc_request_lose_loop(struct cnc_home *home);
/* notices.c: if a stop has begun, the request's on_stop functions run in a later task at home. Called when the request comes to
 * a new home, since the stop may have begun before. */
void cnc_request_tell_stop(concur_request *r);
/* A stop has begun: the same for every request of a home. */
void cnc_request_tell_stop_all(struct cnc_home *home, int unused);
int cnc_request_status_of(int rc); /* the status for a negative code; 0: no reply is sent */
const char *cnc_request_state_name(int state);
const char *cnc_request_route_name(const concur_request *r);
/* Logs a line (cnc_failure()): the request and its route, then the text, then r->why if it is set. */
void cnc_request_failed(concur_request *r, const char *fmt, ...) CNC_PRINTF(2, 3);
/* Entered. A callback returned a value that has no meaning there: logs a line, and answers 500 or aborts the reply. */
void cnc_request_nonsense(concur_request *r, int rc);

/* dispatch.c */
/* Creates a request at home and starts it. When this returns, its handler may have run, its reply may be complete, and the
 * request may be freed. head and bytes are only read during the call. Returns 0, or the status that the carrier must answer
 * with: then there is no request, and *from->stream is not set.
 * On home's thread, but not within a callback of another request that `from` works for: callbacks must not nest. */
int cnc_request_begin(concur_server *server, struct cnc_home *home, const struct cnc_http_head *head, const char *bytes,
                      const struct cnc_carrier *from);
/* Calls the handler of the route, or hands the request to the pool if the route blocks. Entered only after hooks before the
 * handler; not entered afterwards. May free r. */
void cnc_request_run(concur_request *r);
void cnc_request_set_deadline(concur_request *r, int64_t ms); /* ms from now; 0: no deadline */
extern const struct cnc_stream_ops cnc_request_stream_ops;

/* body.c */
int cnc_body_start(concur_request *r);     /* asks for the body, which must be whole before the handler runs: CONCUR_AGAIN */
/* Entered. The next piece. CONCUR_OK: taken, or nobody wants it; CONCUR_AGAIN: offer it again after resume_body(); else an
 * error or a status: no more of the body is wanted. */
int cnc_body_piece(concur_request *r, const char *p, size_t n);
int cnc_body_end(concur_request *r, int rc); /* entered; calls the end function of on_body, once, and returns its result */
void cnc_body_give_up(concur_request *r);  /* entered; the request was given up, and no more of the body will come */
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
/* Before a channel becomes the carrier: asks for the local address while the carrier still knows it. A channel does not. */
void cnc_facts_before_move(concur_request *r);

/* reply.c */
/* Entered. Replies with a page for a status, that of the program or the library's own, and with the fields that belong to the
 * page. If there cannot be a reply any more, aborts. */
void cnc_reply_page(concur_request *r, int status);
/* Entered. Cuts the reply short and gives the request up, unless the reply is complete. */
void cnc_reply_abort(concur_request *r, int reason);
/* Entered, after a callback while a reply is under way: if the reply has no body and waited only until the request's body was
 * read, it is complete now. */
void cnc_reply_body_read(concur_request *r);
/* Calls the pull function, in a later task at home. */
void cnc_reply_pump(concur_request *r);
/* The carrier has room again. At home, perhaps called by the carrier: so the program is called in a later task. */
void cnc_reply_drained(concur_request *r);
/* A pull or a drain function will still be called. */
bool cnc_reply_is_pending(const concur_request *r);

/* carried.c: the functions that the driver of a connection calls (conn.h). */
extern const struct cnc_conn_ops cnc_request_conn_ops;

/* async.c; the second in tickets.c */
void cnc_async_cut(concur_request *r);     /* entered; the request was given up: cuts every pending operation short */
void cnc_async_warn_tickets(concur_request *r); /* the request was given up: concur_ticket_cancelled() returns the reason now */

#define CNC_REQUEST_IS_MINE(r) cnc_home_is_mine((r)->home)

#endif
