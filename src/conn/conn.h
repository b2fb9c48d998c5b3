/* SPDX-License-Identifier: MIT
 *
 * A connection: a descriptor with its transport, buffers and deadline, and the exchange that is under way on it (exchange.h). The
 * same connection is driven by events on a loop (driver.c) or by a thread that blocks (block.c); states.c holds its state table,
 * input.c reads, http1.c and queue.c write.
 */
#ifndef CNC_CONN_H
#define CNC_CONN_H

#include "conn/desk.h"
#include "conn/exchange.h"
#include "exec/pool.h"
#include "net/transport.h"

struct cnc_conn;
struct cnc_driver;
struct cnc_early_terms;

enum cnc_conn_state {
    CNC_CONN_IDLE,   /* between requests */
    CNC_CONN_HEAD,   /* a head has begun, or its body is read early */
    CNC_CONN_BUSY,   /* a request is being answered, or its body awaited */
    CNC_CONN_UPGRADED, /* another protocol has it (upgraded.c) */
    CNC_CONN_FLUSH,  /* last output on its way; no more reading */
    CNC_CONN_LINGER, /* write side shut, discarding input so that the peer gets what was sent */
    CNC_CONN_GREET,  /* new, and its transport still greets: no byte has passed. A plain connection is never in it */
    CNC_CONN_CLOSED, /* to be freed at the end of the turn */
    CNC_CONN_STATES
};

enum cnc_conn_event {
    CNC_CONN_ON_BYTES,       /* first bytes of a head */
    CNC_CONN_ON_HEAD,        /* head complete */
    CNC_CONN_ON_BAD,         /* the peer broke the protocol; conn->exchange.status says how */
    CNC_CONN_ON_REPLY_KEEP,  /* reply ended, the connection persists */
    CNC_CONN_ON_REPLY_CLOSE, /* reply ended, the connection does not */
    CNC_CONN_ON_READ,        /* the rest of a body, which nobody wanted, was read */
    CNC_CONN_ON_ABORT,       /* reply cut short */
    CNC_CONN_ON_UPGRADE,     /* the reply was a 101 */
    CNC_CONN_ON_FLUSHED,     /* all output is with the kernel */
    CNC_CONN_ON_GREETED,     /* the transport's greeting is over */
    CNC_CONN_ON_FINISHED,    /* the transport has said goodbye, and the write side is shut */
    CNC_CONN_ON_EOF,
    CNC_CONN_ON_ERROR,
    CNC_CONN_ON_DEADLINE,
    CNC_CONN_ON_DRAIN, /* the server stops */
    CNC_CONN_EVENTS
};

/* What is to be done after a step, in this order. */
enum {
    CNC_CONN_DO_LOSE = 1,  /* tell the request, if there is one, that its client is gone */
    CNC_CONN_DO_PAGE = 2,  /* answer with a page of exchange.status */
    CNC_CONN_DO_FINISH = 4, /* shut the write side */
    CNC_CONN_DO_STOP = 8   /* tell the protocol of an upgraded connection that the server stops */
};

/* Deadline classes: one queue each, all members with the same duration, so that the queue is sorted by itself. */
enum cnc_conn_class {
    CNC_CLASS_NONE, /* no deadline of the connection's own: a handler is at work, or others have their turn */
    CNC_CLASS_FRESH, /* accepted, and silent since */
    CNC_CLASS_HEAD, /* absolute, from the head's first byte */
    CNC_CLASS_KEEPALIVE,
    CNC_CLASS_BODY,  /* progress by rate */
    CNC_CLASS_WRITE, /* progress */
    CNC_CLASS_LINGER,
    CNC_CLASS_DRAIN, /* idle when the server began to stop */
    CNC_CLASS_UPGRADED, /* progress; not among those that are closed to make room */
    CNC_CLASSES
};

enum {
    CNC_CONN_LAST = 1,         /* close after this reply */
    CNC_CONN_READ_WRITES = 2,  /* the transport reads, or greets, no further before it can write */
    CNC_CONN_WRITE_READS = 4,  /* the transport writes no further before it can read */
    CNC_CONN_FINISHES = 8,     /* in LINGER: the transport's goodbye is not complete */
    CNC_CONN_LEASE = 16,       /* in a front: for life to a worker, with its first bytes unread */
    CNC_CONN_SERVED = 128,     /* at least one request was answered since the class was set */
    CNC_CONN_MUST_LINGER = 256,/* input may be unread: shut down and discard before closing */
    CNC_CONN_RESET = 512,      /* close with a reset, so that truncation is visible */
    CNC_CONN_DIRTY = 1024,     /* linked in the driver's list of connections to look at after this turn */
    CNC_CONN_EOF = 2048,       /* the peer shut its side: nothing more is read */
    CNC_CONN_WATCHED = 4096,   /* io is known to the loop */
    CNC_CONN_FRESH = 16384,    /* no byte of a request seen yet */
    CNC_CONN_READY = 65536,    /* a complete head, or a callback after an upgrade, waits for another home to take the connection */
    CNC_CONN_STOPPED = 262144, /* input was left that could be gone on with: output has to leave first, or others have
                                * their turn. No event comes for it */
    CNC_CONN_QUEUED = 524288,  /* in the driver's queue of those that go on with what is here */
    CNC_CONN_KEPT = 1048576,   /* with a loan: the front has given it away, and only wants to know of its end */
    CNC_CONN_COPIED = 2097152, /* a process that does not read may hold a copy: shut down before it is closed */
    CNC_CONN_SHUT = 8388608 /* its write side has been shut */
};

struct cnc_chunk; /* queued output */
struct cnc_input; /* buffered input and a half-parsed head */

/* The hot struct of a connection. INV: exchange.stream != NULL only in BUSY
 * and UPGRADED; and in CLOSED on its way from a driver that hands over to a thread, which tells an upgraded protocol. */
struct cnc_conn {
    struct cnc_io io;
    struct cnc_job job; /* its link is in one of the driver's class queues, or in the pool's queue */
    struct cnc_driver *drv;         /* that drives it; between two drivers, the one it left */
    struct cnc_input *in;           /* NULL when nothing is buffered */
    struct cnc_chunk *out;          /* first of the queue; NULL when nothing waits to be sent */
    int64_t deadline;               /* of its class; with CNC_CONN_READY: when the head was complete */
    struct cnc_conn *next; /* with DIRTY or QUEUED, of which there is never but one */
    const struct cnc_transport_ops *transport;
    void *ext;         /* the transport's state; NULL when plain */
    uint64_t loan;     /* in a worker, of a connection that a front has lent: the loan's number; 0: none */
    struct cnc_exchange exchange; /* the one under way, or the last one */
    uint64_t moved;    /* bytes read or written since the class's deadline was set */
    uint32_t unacked;  /* bytes the peer had not acknowledged when CNC_CLASS_WRITE was entered */
    uint32_t requests; /* begun on this connection */
    uint32_t flags;
    uint8_t state, class, mask;
};

/* Memory of an idle connection. Ten thousand of them are usual. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct cnc_conn) <= 296, "an idle connection has grown");

struct cnc_conn_limits {
    struct cnc_http_limits http;
    int64_t class_ms[CNC_CLASSES]; /* duration of each class */
    int64_t body_rate_min;         /* bytes a second; 0: any progress will do */
    size_t output_high, output_low, output_max;
    size_t pipeline_max;
    uint32_t linger_max;
    uint32_t requests_max; /* per connection; 0: no limit */
    uint32_t retry_after_s;
    bool half_close;
};

/* What the drivers need of the layers above; given at creation. */
struct cnc_conn_ops {
    /* A head is complete: creates the request and starts it; the carrier side of its stream is conn. The bytes of head
     * are only valid during the call. 0, or the status to refuse it with (503 when out of memory). */
    int (*request)(struct cnc_conn *, const struct cnc_http_head *, const char *bytes);
    /* Optional: instead, the whole connection leaves this driver (the thread engine's poller). */
    void (*handover)(struct cnc_driver *from, struct cnc_conn *);
    /* With handover: who gets the connection is in this process and has the same limits, so the parsed head goes along. */
    bool keeps_head;
    /* Optional, where handover is, and on the threads that get the connection: a head is complete, and its body is not. True: the
     * body is read within terms before a thread takes the request; a thread lets go of the connection. */
    bool (*early)(struct cnc_driver *, const struct cnc_conn *, const struct cnc_http_head *, const char *bytes,
                  struct cnc_early_terms *terms);
    /* Optional: true when a thread that waits for its peer is to wait no longer (the stop's deadline has passed). */
    bool (*gives_up)(struct cnc_driver *);
    /* Optional: how many ms a thread waits now for the first head of a connection, or for the rest of any. NULL: it reads the
     * first one with a wait, as any, and does not wait for the rest. */
    int64_t (*head_wait)(struct cnc_driver *);
    /* Optional: conn is between two requests, or within a head, and has nothing to send. True: it was taken away. */
    bool (*idle)(struct cnc_driver *, struct cnc_conn *);
    /* Optional: conn is about to be closed. */
    void (*gone)(struct cnc_driver *, struct cnc_conn *);
    /* Optional: false when the reply that begins should be the last of its connection, since others need the room. */
    bool (*may_keep)(struct cnc_driver *, struct cnc_conn *);
    /* The system has not enough of something, as the thread's last error says; what: what that costs. Any thread. */
    void (*runs_short)(struct cnc_driver *, const char *what);
    /* The home's loop is broken, and nothing of this driver is watched there any more: gives up what waits at this home. Where the
     * loop is not the process' own it is closed, so that there may be another one. */
    void (*lost_loop)(struct cnc_driver *);
    /* A connection was freed. */
    void (*closed)(struct cnc_driver *);
};

/* What a front wants to know of connections that it has lent. Called for each connection of a driver that has this, on the thread
 * that has conn. */
struct cnc_loan_ops {
    /* A request is under way from now on; or none is, and all that was replied has left. */
    void (*progress)(struct cnc_driver *, struct cnc_conn *, bool in_request);
    /* Output is about to be sent. */
    void (*sends)(struct cnc_driver *, struct cnc_conn *);
};

/* What the bytes of a connection mean. From idle to busy they are its protocol's. */
struct cnc_protocol {
    /* Bytes are here, or what was waited for has come: takes from *in what can be used now. What is left there is kept. */
    void (*input)(struct cnc_conn *, struct cnc_slice *in);
    /* The peer has shut its side, and input() has seen all that came before. */
    void (*ended)(struct cnc_conn *);
    /* Should more be read? */
    bool (*reads)(const struct cnc_conn *);
    /* How many bytes at most, while a request is under way or after an upgrade. */
    size_t (*most)(const struct cnc_conn *);
    /* No request exists, or none any more: the last reply is a page with this status. */
    void (*page)(struct cnc_conn *, int status);
    /* The request takes its body, which the peer holds back until it hears so. */
    void (*go_on)(struct cnc_conn *);
};

/* Drives connections at one home. */
struct cnc_driver {
    struct cnc_home *home;
    const struct cnc_conn_limits *limits;
    const struct cnc_conn_ops *ops;
    const struct cnc_protocol *protocol;
    const struct cnc_loan_ops *loan; /* NULL: nothing here is lent */
    /* Sends what is queued down to so many bytes, and waits for the peer meanwhile. CONCUR_OK, CONCUR_E_TIMEOUT or CONCUR_E_GONE.
     * NULL: nobody waits here. */
    int (*wait_for_room)(struct cnc_conn *, size_t down_to);
    void *owner;             /* the server, for ops */
    void *lender;            /* whoever takes connections from here, for ops->handover */
    const atomic_bool *draining; /* the server stops: replies say close */
    struct cnc_link classes[CNC_CLASSES];
    struct cnc_tick tick;
    struct cnc_conn *current; /* being driven right now: its replies may use the scratch buffer */
    bool borrowed;            /* current is not being driven: a reply that came later borrowed its place */
    size_t scratch_len;       /* of current's output in out of the desk */
    struct cnc_chunk *made;   /* being filled with a piece of a body, in no queue yet */
    size_t batch;             /* bytes for the connection whose piece that is, before they are sent */
    struct cnc_conn *dirty;
    struct cnc_conn *queue, **queue_end; /* of those that go on with what is here */
    unsigned queued;
    struct cnc_task turns;    /* gives each of them its turn */
    int64_t head_at;         /* when the next head to be dispatched was complete; 0: it was not handed over */
    unsigned count;          /* connections here */
    bool ticking;            /* tick is registered */
    bool turns_due;          /* turns is queued */
    uint64_t sent, received; /* bytes, over all connections */
    uint64_t sent_before, received_before; /* the same when a thread took its connection */
    uint64_t illegal;        /* (state, event) pairs outside the table, in release builds */
};

/* driver.c */
void cnc_driver_init(struct cnc_driver *drv, struct cnc_home *home, const struct cnc_conn_limits *limits,
                     const struct cnc_conn_ops *ops, void *owner, const atomic_bool *draining);
void cnc_driver_deinit(struct cnc_driver *drv);
/* Events on the home's loop. CONCUR_OK or an error when there is no loop to be had. */
int cnc_driver_need_loop(struct cnc_driver *drv);
/* Has nothing on the loop any more: neither peers nor deadlines move a connection on. */
void cnc_driver_stop_watching(struct cnc_driver *drv);
/* The home's loop is broken (a turn of it said so): stops watching and calls ops->lost_loop. */
void cnc_driver_lose_loop(struct cnc_driver *drv);
/* A new connection for fd, or NULL (fd stays the caller's). It belongs to no driver yet. One whose transport has a state begins
 * with a greeting. */
struct cnc_conn *cnc_conn_create(int fd, const struct cnc_transport_ops *transport, void *ext);
/* lease.c: the same with the transport of a listener; NULL: plain. */
struct cnc_conn *cnc_conn_create_with(int fd, const struct cnc_transport_factory *factory);
/* The same in a front, which only waits for its first bytes: whoever it gives the connection to makes the transport. */
struct cnc_conn *cnc_conn_create_lease(int fd, const struct cnc_transport_factory *factory);
/* What the last one was given. */
const struct cnc_transport_factory *cnc_conn_lease_factory(const struct cnc_conn *conn);
/* Takes conn into drv and looks at it: input that may have arrived is read at once. May free it. */
void cnc_driver_take(struct cnc_driver *drv, struct cnc_conn *conn);
/* Closes our copy of a connection that belongs to no driver, and frees it; drv only keeps the count. What others hold of the
 * connection goes on. */
void cnc_conn_forget(struct cnc_driver *drv, struct cnc_conn *conn);
/* The end of a connection that belongs to no driver: its peer sees it, whoever else has the descriptor. A process that the program
 * has forked has every one that was open then. Then as cnc_conn_forget(). */
void cnc_conn_end(struct cnc_driver *drv, struct cnc_conn *conn);
/* Answers a connection that waits with a complete head, and belongs to no driver, with an error page; closes it. */
void cnc_driver_refuse(struct cnc_driver *drv, struct cnc_conn *conn, int status);
/* Lets go of conn, which keeps its state and buffers. */
void cnc_driver_release(struct cnc_conn *conn);
/* The loop's deadlines and turns end for conn: a thread goes on with it. */
void cnc_driver_hold(struct cnc_conn *conn);
/* sweep.c */
/* The server stops: idle connections go after drain_idle. */
void cnc_driver_drain(struct cnc_driver *drv);
/* Answers requests whose bodies are read before a thread takes them with an error page. */
void cnc_driver_refuse_early(struct cnc_driver *drv, int status);
/* Gives up on every connection: requests are told reason, what is left is closed. */
void cnc_driver_cancel(struct cnc_driver *drv, int reason);
/* Closes the connection that has been idle longest; false when none has been idle for after_ms. */
bool cnc_driver_reap_idle(struct cnc_driver *drv, int64_t after_ms);
/* The same for connections that have not sent a byte yet. */
bool cnc_driver_reap_silent(struct cnc_driver *drv, int64_t after_ms);
/* Closes the connection that has lingered longest, though its peer has not closed; false when none lingers. */
bool cnc_driver_reap_lingering(struct cnc_driver *drv);

/* block.c: serves conn on the calling thread until nothing but waiting for the peer is left. True: conn is free of any
 * request and goes back to a poller; false: it is gone. is_wanted tells whether another connection waits for a thread. */
bool cnc_block_serve(struct cnc_driver *drv, struct cnc_conn *conn, bool (*is_wanted)(void *), void *arg);

/* Shared by the files of this folder. */
void cnc_driver_enter(struct cnc_driver *drv, struct cnc_conn *conn); /* queue.c: conn is the current one from now on */
void cnc_conn_unwatch(struct cnc_conn *conn);                      /* driver.c */
/* states.c: pure: sets the state, and returns CNC_CONN_DO_*. NULL: the pair is a bug. */
typedef unsigned cnc_states_fn(struct cnc_conn *);
extern cnc_states_fn *const cnc_states_table[CNC_CONN_STATES][CNC_CONN_EVENTS];
void cnc_conn_carry_out(struct cnc_conn *conn, unsigned todo); /* step.c: CNC_CONN_DO_* */
void cnc_conn_illegal(struct cnc_conn *conn);                  /* step.c */
void cnc_conn_touch(struct cnc_conn *conn);                        /* turns.c: look at conn after this turn */
/* turns.c: conn has input to go on with, for which no event comes: at its next turn, behind the others. */
void cnc_turns_queue(struct cnc_conn *conn);
void cnc_turns_unlist(struct cnc_conn *conn); /* turns.c: conn is not looked at, unless by an event */
void cnc_conn_finish(struct cnc_conn *conn);                       /* driver.c: flush, watch, deadline; may free */
void cnc_conn_lose(struct cnc_conn *conn, int reason);             /* step.c: tells the request */
void cnc_conn_read(struct cnc_conn *conn, bool wait);              /* input.c */
void cnc_conn_resume(struct cnc_conn *conn);                       /* input.c: goes on with buffered input */
bool cnc_conn_reads(const struct cnc_conn *conn);                  /* input.c: should more be read? */
void cnc_conn_free_input(struct cnc_conn *conn);                   /* input.c */
struct cnc_slice cnc_conn_input(const struct cnc_conn *conn);      /* input.c: bytes that were read and not consumed */
int cnc_conn_preload(struct cnc_conn *conn, const char *p, size_t n); /* input.c: as if they had been read; none were */
void cnc_conn_flush(struct cnc_conn *conn);                        /* queue.c */
int cnc_conn_put(struct cnc_conn *conn, const void *p, size_t n);  /* queue.c */
size_t cnc_conn_queued(const struct cnc_conn *conn);                /* queue.c: bytes waiting to be sent */
void cnc_conn_free_output(struct cnc_conn *conn);                  /* queue.c */
const char *cnc_conn_state_name(int state);                        /* states.c */
extern const struct cnc_carrier_ops cnc_conn_carrier;              /* http1.c */
extern const struct cnc_protocol cnc_http1;                        /* http1.c */
/* upgraded.c */
extern const struct cnc_protocol cnc_upgraded;
int cnc_upgraded_begin(struct cnc_stream *, struct cnc_http_reply *, struct cnc_stream *to); /* cnc_carrier_ops.upgrade */
/* After output has left: a callback that is due is called at the next turn, or by a thread. */
void cnc_upgraded_look(struct cnc_conn *conn);
/* Tells its protocol, which is still to be told, that the connection is gone; the caller sees to the rest. */
void cnc_upgraded_lose(struct cnc_conn *conn, int reason);
/* The same by a thread, for this reason. */
void cnc_upgraded_lose_later(struct cnc_conn *conn, int reason);

static inline const struct cnc_protocol *cnc_conn_protocol(const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_UPGRADED ? &cnc_upgraded : conn->drv->protocol;
}

/* wants.c: what a transport with a state of its own (conn->ext) adds. Plain connections do not come here. */
void cnc_wants_greet(struct cnc_conn *conn);                    /* goes on with the greeting */
void cnc_wants_after_read(struct cnc_conn *conn, ssize_t n);    /* notes what a read, or a write, waits for */
void cnc_wants_after_write(struct cnc_conn *conn, ssize_t n);
unsigned cnc_wants_translate(const struct cnc_conn *conn, unsigned ready); /* events of the descriptor: what they let go on */
bool cnc_conn_holds_bytes(const struct cnc_conn *conn);         /* input.c: bytes are to be read for which no event comes */
void cnc_conn_say_goodbye(struct cnc_conn *conn);               /* step.c: shuts the write side, as far as that goes now */

/* driver.c: has the peer taken anything since unacked was noted? A full socket buffer empties a good while before it takes
 * more from us. Notes it anew. */
bool cnc_conn_peer_takes(struct cnc_conn *conn);

/* A step of the connection's table, and what it asks for. */
static inline void cnc_conn_step(struct cnc_conn *conn, enum cnc_conn_event ev)
{
    cnc_states_fn *fn = cnc_states_table[conn->state][ev];
    if (CNC_UNLIKELY(!fn)) {
        cnc_conn_illegal(conn);
        return;
    }
    unsigned todo = fn(conn);
    if (CNC_UNLIKELY(todo))
        cnc_conn_carry_out(conn, todo);
}

/* CNC_EXCHANGE_DO_*, in this order. */
static inline void cnc_conn_carry_out_exchange(struct cnc_conn *conn, unsigned todo)
{
    struct cnc_stream *stream = conn->exchange.stream;
    if (todo & CNC_EXCHANGE_DO_LET_GO) {
        conn->exchange.stream = NULL;
        stream->carrier = NULL;
    }
    if (todo & CNC_EXCHANGE_DO_CONTINUE)
        conn->drv->protocol->go_on(conn);
    if ((todo & CNC_EXCHANGE_DO_TELL_END) && stream)
        stream->up->body_end(stream);
}

/* Steps of the exchange. Where its reply ends, the connection has a step of its own to take. */
static inline void cnc_conn_step_body(struct cnc_conn *conn, enum cnc_exchange_body_event ev)
{
    unsigned todo = cnc_exchange_step_body(&conn->exchange, ev);
    if (todo)
        cnc_conn_carry_out_exchange(conn, todo);
}

static inline void cnc_conn_step_reply(struct cnc_conn *conn, enum cnc_exchange_reply_event ev)
{
    unsigned todo = cnc_exchange_step_reply(&conn->exchange, ev);
    if (todo)
        cnc_conn_carry_out_exchange(conn, todo);
}

/* The library itself goes on with it, at its next turn. Only between two requests output has to leave first. */
static inline bool cnc_conn_waits_for_turn(const struct cnc_conn *conn)
{
    return (conn->flags & CNC_CONN_STOPPED) &&
           (conn->state == CNC_CONN_BUSY || conn->state == CNC_CONN_UPGRADED || (conn->state < CNC_CONN_BUSY && !conn->out));
}

/* True while buffered input can be made progress with, or its end. */
static inline bool cnc_conn_can_resume(const struct cnc_conn *conn)
{
    return conn->in || conn->state == CNC_CONN_BUSY || conn->state == CNC_CONN_UPGRADED || (conn->flags & CNC_CONN_EOF);
}

/* The same where bytes may be left in the transport. */
static inline bool cnc_conn_has_pending(const struct cnc_conn *conn)
{
    return CNC_UNLIKELY(conn->ext != NULL) && cnc_conn_holds_bytes(conn);
}

#endif
