/* SPDX-License-Identifier: MIT
 *
 * A connection: a descriptor with its transport, its buffers and a deadline, and the exchange that is under way on it
 * (exchange.h). It is driven by events on a loop (driver.c) or by a thread that blocks (block.c). states.c has its state table,
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
    CNC_CONN_HEAD,   /* a head has begun, or it is complete and its body is read early (early.h) */
    CNC_CONN_BUSY,   /* a request is under way, or the rest of its body is read and thrown away */
    CNC_CONN_UPGRADED, /* another protocol has it (upgraded.c) */
    CNC_CONN_FLUSH,  /* the last output is being sent; nothing more is read */
    CNC_CONN_LINGER, /* the write side is shut; input is thrown away, so that the peer gets what was sent */
    CNC_CONN_GREET,  /* new, and its transport's handshake is under way. A plain connection is never in this state */
    CNC_CONN_CLOSED, /* freed when the driver is done with it */
    CNC_CONN_STATES
};

enum cnc_conn_event {
    CNC_CONN_ON_BYTES,       /* first bytes of a head */
    CNC_CONN_ON_HEAD,        /* head complete */
    CNC_CONN_ON_BAD,         /* the peer broke the protocol, or its request is refused; conn->exchange.status says how */
    CNC_CONN_ON_REPLY_KEEP,  /* reply ended, the connection persists */
    CNC_CONN_ON_REPLY_CLOSE, /* reply ended, the connection does not */
    CNC_CONN_ON_READ,        /* the rest of a body that nobody wanted was read */
    CNC_CONN_ON_ABORT,       /* reply cut short */
    CNC_CONN_ON_UPGRADE,     /* the reply was a 101 */
    CNC_CONN_ON_FLUSHED,     /* the kernel has all output */
    CNC_CONN_ON_GREETED,     /* the transport's handshake is complete */
    CNC_CONN_ON_FINISHED,    /* the transport has sent its last message, and the write side is shut */
    CNC_CONN_ON_EOF,         /* the peer has shut its side */
    CNC_CONN_ON_ERROR,       /* a call failed, or memory ran out */
    CNC_CONN_ON_DEADLINE,
    CNC_CONN_ON_DRAIN, /* the server stops */
    CNC_CONN_EVENTS
};

/* What must be done after a step, in this order. */
enum {
    CNC_CONN_DO_LOSE = 1,  /* tell the request, if there is one, that its client is gone */
    CNC_CONN_DO_PAGE = 2,  /* answer with a page of exchange.status */
    CNC_CONN_DO_FINISH = 4, /* shut the write side */
    CNC_CONN_DO_STOP = 8   /* tell the protocol of an upgraded connection that the server stops */
};

/* Deadline classes. Each has a queue, whose members have the same duration, so that appending keeps it sorted by deadline. */
enum cnc_conn_class {
    CNC_CLASS_NONE, /* no deadline: a handler is at work, or the connection waits for its next turn */
    CNC_CLASS_FRESH, /* no byte of a request has come yet; the handshake included */
    CNC_CLASS_HEAD, /* from the head's first byte; progress does not extend it */
    CNC_CLASS_KEEPALIVE,
    CNC_CLASS_BODY,  /* extended if enough of the body has come (body_rate_min) */
    CNC_CLASS_WRITE, /* extended if the peer took something */
    CNC_CLASS_LINGER,
    CNC_CLASS_DRAIN, /* idle while the server stops */
    CNC_CLASS_UPGRADED, /* extended if a byte has passed; such connections are not closed to make room */
    CNC_CLASSES
};

enum {
    CNC_CONN_LAST = 1,         /* close after this reply */
    CNC_CONN_READ_WRITES = 2,  /* the transport must write before it can read, or go on with its handshake */
    CNC_CONN_WRITE_READS = 4,  /* the transport must read before it can write */
    CNC_CONN_FINISHES = 8,     /* in LINGER: the transport's last message is not sent yet */
    CNC_CONN_LEASE = 16,       /* in a front: a worker gets the connection for good, its first bytes unread (lease.c) */
    CNC_CONN_SERVED = 128,     /* a request was answered since the deadline was set */
    CNC_CONN_MUST_LINGER = 256,/* input may be unread: shut the write side and discard input before closing */
    CNC_CONN_RESET = 512,      /* close with a reset, so that truncation is visible */
    CNC_CONN_DIRTY = 1024,     /* in the driver's list of connections to look at at the end of this turn */
    CNC_CONN_EOF = 2048,       /* the peer shut its side: nothing more is read */
    CNC_CONN_WATCHED = 4096,   /* io is known to the loop */
    CNC_CONN_FRESH = 16384,    /* no byte of a request seen yet */
    CNC_CONN_READY = 65536,    /* to be handed over, or on its way: a head is complete, a callback after an upgrade is due, or a
                                * lease has its first bytes */
    CNC_CONN_STOPPED = 262144, /* there is work for which no event comes: input that was read but not used, since output must
                                * be sent first or other connections get a turn, or a callback after an upgrade */
    CNC_CONN_QUEUED = 524288,  /* in the driver's queue of connections that wait for their next turn */
    CNC_CONN_KEPT = 1048576,   /* with a loan: the front has given the connection away, and only needs to know when it ends */
    CNC_CONN_COPIED = 2097152, /* a worker that hangs, or a child of the program, may have a copy of the descriptor: it is shut
                                * down before it is closed */
    CNC_CONN_SHUT = 8388608 /* its write side has been shut */
};

struct cnc_chunk; /* queued output */
struct cnc_input; /* buffered input and a half-parsed head */

/* Every connection has one, idle or not, so it is kept small. INV: exchange.stream != NULL only in BUSY and UPGRADED, and in
 * CLOSED where an upgraded connection has ended on a poller: a thread then gets it and tells the protocol. */
struct cnc_conn {
    struct cnc_io io;
    struct cnc_job job; /* its link is in a class queue of the driver, or in a queue of connections that wait for a thread */
    struct cnc_driver *drv;         /* the driver that has it; between two drivers, the one that it left */
    struct cnc_input *in;           /* NULL when nothing is buffered */
    struct cnc_chunk *out;          /* first of the queue; NULL when nothing is queued */
    int64_t deadline;               /* of its class, in ms; in a hand-over: when the head was complete */
    struct cnc_conn *next; /* the next in the driver's list (DIRTY) or queue (QUEUED); never are both flags set */
    const struct cnc_transport_ops *transport;
    void *ext;         /* the transport's state; NULL: plain */
    uint64_t loan;     /* in a worker: the number of the loan by which the front passed the connection; 0: none */
    struct cnc_exchange exchange; /* the one under way, or the last one */
    uint64_t moved;    /* bytes of progress since the deadline was set: read (not in class WRITE) or written (not in BODY) */
    uint32_t unacked;  /* bytes that the peer had not acknowledged when cnc_conn_peer_takes() looked last */
    uint32_t requests; /* begun on this connection, in any process */
    uint32_t flags;
    uint8_t state, class, mask;
};

/* Memory of an idle connection. Ten thousand of them are usual. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct cnc_conn) <= 296, "an idle connection has grown");

struct cnc_conn_limits {
    struct cnc_http_limits http;
    int64_t class_ms[CNC_CLASSES]; /* duration of each class */
    int64_t body_rate_min;         /* bytes a second; 0: one byte in each term is enough */
    size_t output_high, output_low, output_max; /* bytes queued */
    size_t pipeline_max;           /* bytes kept of requests behind the one that is under way */
    uint32_t linger_max;           /* bytes thrown away for one exchange, or while the connection lingers */
    uint32_t requests_max; /* per connection; 0 or 1: it closes after its first reply */
    uint32_t retry_after_s;
    bool half_close;
};

/* What the drivers need from the layers above. A driver with handover() is called a poller: it runs no requests. */
struct cnc_conn_ops {
    /* A head is complete: creates the request and starts it, with conn as its carrier. head and bytes are only valid during the
     * call. 0, or the status with which the driver refuses the request (503: out of memory). */
    int (*request)(struct cnc_conn *, const struct cnc_http_head *, const char *bytes);
    /* Optional, called instead of request(): conn has left the driver, and is to go to a thread or another process. It has a
     * complete head, a callback that is due after an upgrade, or, as a lease, its first bytes. */
    void (*handover)(struct cnc_driver *from, struct cnc_conn *);
    /* With handover: the connection stays in this process and its limits hold there, so it keeps its parsed head. */
    bool keeps_head;
    /* Optional, for a poller and for the threads to which it hands over: a head is complete, and its body is not. True: the
     * body is to be read first, within terms. The poller reads it; a thread gives the connection back to the poller. */
    bool (*early)(struct cnc_driver *, const struct cnc_conn *, const struct cnc_http_head *, const char *bytes,
                  struct cnc_early_terms *terms);
    /* Optional: true when a thread must stop waiting for its peer, since the stop's deadline has passed. */
    bool (*gives_up)(struct cnc_driver *);
    /* Optional: how many ms a thread may now wait for the first head of a connection, or for the rest of any head. NULL: it
     * waits for the first head as for any other (SO_RCVTIMEO), and never for the rest of one. */
    int64_t (*head_wait)(struct cnc_driver *);
    /* Optional: conn is between two requests or within a head, and has nothing to send. True: the function took it away. */
    bool (*idle)(struct cnc_driver *, struct cnc_conn *);
    /* Optional: conn is about to be closed. */
    void (*gone)(struct cnc_driver *, struct cnc_conn *);
    /* Optional: may the connection stay open after the reply that begins? False, for example, when other clients wait. */
    bool (*may_keep)(struct cnc_driver *, struct cnc_conn *);
    /* The system lacks something, as the thread's last error says. what: what does not work therefore, for the log. Any
     * thread. */
    void (*runs_short)(struct cnc_driver *, const char *what);
    /* The home's loop is broken, and this driver has stopped watching there: gives up the requests that wait at this home. A
     * thread's private loop is closed, so that the thread may make another one. */
    void (*lost_loop)(struct cnc_driver *);
    /* Optional: a connection was freed. */
    void (*closed)(struct cnc_driver *);
};

/* Reports to a front about connections that it has lent. A driver that has this calls it for each of its connections, lent or
 * not, on the driver's thread. */
struct cnc_loan_ops {
    /* True: bytes have come, so a request may be under way. False: none is, and all replies have been sent. */
    void (*progress)(struct cnc_driver *, struct cnc_conn *, bool in_request);
    /* Output, if there is any, is about to be sent. */
    void (*sends)(struct cnc_driver *, struct cnc_conn *);
};

/* How the bytes of a connection are understood. In the states IDLE to BUSY its protocol is the driver's, in UPGRADED it is
 * cnc_upgraded, which has neither page nor go_on. */
struct cnc_protocol {
    /* Bytes are here, or what they waited for has happened: takes from *in what can be used now. The rest is kept. */
    void (*input)(struct cnc_conn *, struct cnc_slice *in);
    /* The peer has shut its side, and input() has seen all bytes that came before that. */
    void (*ended)(struct cnc_conn *);
    /* Should more be read? */
    bool (*reads)(const struct cnc_conn *);
    /* How many bytes at most, while a request is under way. */
    size_t (*most)(const struct cnc_conn *);
    /* Sends an error page with this status as the last reply; there is no request that could answer. */
    void (*page)(struct cnc_conn *, int status);
    /* Sends 100 Continue: the peer holds the request's body back until it gets that. */
    void (*go_on)(struct cnc_conn *);
};

/* Drives connections at one home. */
struct cnc_driver {
    struct cnc_home *home;
    const struct cnc_conn_limits *limits;
    const struct cnc_conn_ops *ops;
    const struct cnc_protocol *protocol;
    const struct cnc_loan_ops *loan; /* NULL: nothing here is lent */
    /* Sends output until at most down_to bytes are queued; waits while the peer takes none. CONCUR_OK, or CONCUR_E_TIMEOUT or
     * CONCUR_E_GONE: the connection has ended. NULL: nothing waits here. */
    int (*wait_for_room)(struct cnc_conn *, size_t down_to);
    void *owner;             /* the server, for ops */
    void *lender;            /* who takes connections from here; for ops->handover */
    const atomic_bool *draining; /* the server stops: replies say close */
    struct cnc_link classes[CNC_CLASSES];
    struct cnc_tick tick;
    struct cnc_conn *current; /* being driven now: its output goes to the scratch buffer */
    bool borrowed;            /* current is not being driven: it uses the scratch buffer for a reply that came later */
    size_t scratch_len;       /* bytes of current's output in the desk's scratch buffer `out` */
    struct cnc_chunk *made;   /* being filled with a piece of a body; in no queue yet */
    size_t batch;             /* of that piece's connection: how many bytes are queued before they are sent */
    struct cnc_conn *dirty;
    struct cnc_conn *queue, **queue_end; /* of connections that wait for their next turn */
    unsigned queued;
    struct cnc_task turns;    /* gives each of these its turn */
    int64_t head_at;         /* of a connection that was handed over: when its head was complete, ms; 0: of no other head */
    unsigned count;          /* connections here */
    bool ticking;            /* tick is registered */
    bool turns_due;          /* turns is queued */
    uint64_t sent, received; /* bytes, over all connections */
    uint64_t sent_before, received_before; /* the same, when the thread took its connection */
    uint64_t illegal;        /* (state, event) pairs outside the table, in release builds */
};

/* driver.c */
void cnc_driver_init(struct cnc_driver *drv, struct cnc_home *home, const struct cnc_conn_limits *limits,
                     const struct cnc_conn_ops *ops, void *owner, const atomic_bool *draining);
void cnc_driver_deinit(struct cnc_driver *drv);
/* Makes sure that the home has a loop, which watches this driver's descriptors and deadlines. CONCUR_OK, or an error: there is
 * no loop. */
int cnc_driver_need_loop(struct cnc_driver *drv);
/* Removes everything of this driver from the loop: no connection reacts to its peer or to a deadline any more. */
void cnc_driver_stop_watching(struct cnc_driver *drv);
/* The home's loop is broken (a turn of it said so): stops watching and calls ops->lost_loop. */
void cnc_driver_lose_loop(struct cnc_driver *drv);
/* A new connection for fd, which belongs to no driver yet. NULL: out of memory; fd stays the caller's. A transport with a state
 * (ext) begins with a handshake. */
struct cnc_conn *cnc_conn_create(int fd, const struct cnc_transport_ops *transport, void *ext);
/* lease.c: the same with the transport of a listener; NULL: plain. */
struct cnc_conn *cnc_conn_create_with(int fd, const struct cnc_transport_factory *factory);
/* The same in a front, which waits for the first bytes and reads none: the worker that gets the connection makes its
 * transport. */
struct cnc_conn *cnc_conn_create_lease(int fd, const struct cnc_transport_factory *factory);
/* The factory that cnc_conn_create_lease() was given. */
const struct cnc_transport_factory *cnc_conn_lease_factory(const struct cnc_conn *conn);
/* Takes conn into drv and looks at it: input that may have arrived is read at once. May free it. */
void cnc_driver_take(struct cnc_driver *drv, struct cnc_conn *conn);
/* Closes this process' descriptor of a connection that belongs to no driver, and frees it. Where another process has the
 * descriptor too, the connection goes on there. drv's home gets the buffers' memory, and drv->ops->closed is called. */
void cnc_conn_forget(struct cnc_driver *drv, struct cnc_conn *conn);
/* Ends a connection that belongs to no driver, so that its peer sees the end even if a process that the program has forked has
 * the descriptor too, or one that CNC_CONN_COPIED tells of. Then as cnc_conn_forget(). */
void cnc_conn_end(struct cnc_driver *drv, struct cnc_conn *conn);
/* Takes a connection that waits with a complete head and belongs to no driver; answers with an error page, then closes it. */
void cnc_driver_refuse(struct cnc_driver *drv, struct cnc_conn *conn, int status);
/* conn leaves its driver, and keeps its state and buffers. */
void cnc_driver_release(struct cnc_conn *conn);
/* A thread goes on with conn: it waits for no turn of the loop, and has no deadline. It stays with its driver. */
void cnc_driver_hold(struct cnc_conn *conn);
/* sweep.c */
/* The server stops: idle connections are closed after drain_idle, others after the reply under way; upgraded ones are told. */
void cnc_driver_drain(struct cnc_driver *drv);
/* Answers each request whose body is being read early (early.h) with an error page. */
void cnc_driver_refuse_early(struct cnc_driver *drv, int status);
/* Closes every connection; requests are told that it is gone, with this reason. */
void cnc_driver_cancel(struct cnc_driver *drv, int reason);
/* Closes the connection that has been idle longest. False: none has been idle for after_ms. */
bool cnc_driver_reap_idle(struct cnc_driver *drv, int64_t after_ms);
/* The same for connections on which no byte of a request has come yet. */
bool cnc_driver_reap_silent(struct cnc_driver *drv, int64_t after_ms);
/* Closes the connection that has lingered longest, although its peer has not closed it. False: none lingers. */
bool cnc_driver_reap_lingering(struct cnc_driver *drv);

/* block.c: serves conn on the calling thread until it would have to wait for the peer, longer than is worth a thread. True:
 * conn has left the driver, and no request is under way; the caller passes it on, to a poller say. False: conn is freed.
 * is_wanted(arg): does another connection need this thread? */
bool cnc_block_serve(struct cnc_driver *drv, struct cnc_conn *conn, bool (*is_wanted)(void *), void *arg);

/* Shared by the files of this folder; the layers above use a few of them. */
void cnc_driver_enter(struct cnc_driver *drv, struct cnc_conn *conn); /* queue.c: conn is the current one now */
void cnc_conn_unwatch(struct cnc_conn *conn);                      /* driver.c */
/* states.c. Pure: sets the state and flags, and returns CNC_CONN_DO_*. NULL: the pair is a bug. */
typedef unsigned cnc_states_fn(struct cnc_conn *);
extern cnc_states_fn *const cnc_states_table[CNC_CONN_STATES][CNC_CONN_EVENTS];
void cnc_conn_carry_out(struct cnc_conn *conn, unsigned todo); /* step.c: CNC_CONN_DO_* */
void cnc_conn_illegal(struct cnc_conn *conn);                  /* step.c */
void cnc_turns_mark(struct cnc_conn *conn); /* turns.c: conn, which is not the current one, is looked at at the end of this turn */
/* turns.c: conn has work to do for which no event comes. It waits for its next turn, behind the others that wait. */
void cnc_turns_queue(struct cnc_conn *conn);
void cnc_turns_unlist(struct cnc_conn *conn); /* turns.c: undoes both of these */
void cnc_conn_finish(struct cnc_conn *conn);                       /* driver.c: flush, watch, deadline; may free */
void cnc_conn_lose(struct cnc_conn *conn, int reason);             /* step.c: tells the request or new protocol */
void cnc_conn_read(struct cnc_conn *conn, bool wait);              /* input.c */
void cnc_conn_resume(struct cnc_conn *conn);                       /* input.c: goes on with buffered input */
bool cnc_conn_reads(const struct cnc_conn *conn);                  /* input.c: should more be read? */
void cnc_conn_free_input(struct cnc_conn *conn);                   /* input.c */
struct cnc_slice cnc_conn_input(const struct cnc_conn *conn);      /* input.c: bytes that were read and are not consumed */
int cnc_conn_preload(struct cnc_conn *conn, const char *p, size_t n); /* input.c: as if read; conn has no input yet */
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
/* To be called when output has been sent: if a callback is due, it is called at conn's next turn, or by a thread. */
void cnc_upgraded_look(struct cnc_conn *conn);
/* Tells the protocol that the connection is gone. Nobody has told it yet; the caller closes the connection. */
void cnc_upgraded_lose(struct cnc_conn *conn, int reason);
/* On a poller: notes the reason; a thread tells the protocol. */
void cnc_upgraded_lose_later(struct cnc_conn *conn, int reason);

static inline const struct cnc_protocol *cnc_conn_protocol(const struct cnc_conn *conn)
{
    return conn->state == CNC_CONN_UPGRADED ? &cnc_upgraded : conn->drv->protocol;
}

/* wants.c, but for the last two: for transports with a state of their own (conn->ext). */
void cnc_wants_greet(struct cnc_conn *conn);                    /* goes on with the handshake */
void cnc_wants_after_read(struct cnc_conn *conn, ssize_t n);    /* notes what the read, or write, that returned n waits for */
void cnc_wants_after_write(struct cnc_conn *conn, ssize_t n);
/* ready: events of the descriptor. Returns them with CNC_IO_READ if reading may go on, CNC_IO_WRITE if writing may. */
unsigned cnc_wants_translate(const struct cnc_conn *conn, unsigned ready);
/* input.c: does the transport hold bytes that should be read now? No event comes for them. */
bool cnc_conn_holds_bytes(const struct cnc_conn *conn);
/* step.c: sends the transport's last message and shuts the write side; if that cannot be done at once, sets FINISHES. */
void cnc_conn_say_goodbye(struct cnc_conn *conn);

/* driver.c: has the peer acknowledged anything since unacked was noted? Notes it anew. A full socket buffer takes nothing more
 * from us until it has emptied a good deal, so what we can write does not show that the peer is reading. */
bool cnc_conn_peer_takes(struct cnc_conn *conn);

/* Takes a step of the connection's table, and does what the step asks for. */
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

/* Does CNC_EXCHANGE_DO_*, in this order. */
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

/* Steps of the exchange. When its reply has ended, the caller must also take a step of the connection. */
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

/* conn is looked at before the turn ends. */
static inline void cnc_conn_touch(struct cnc_conn *conn)
{
    if (CNC_UNLIKELY(conn->drv->current != conn)) /* the current one is looked at in any case */
        cnc_turns_mark(conn);
}

/* True: conn waits for its next turn, not for its peer. Between two requests output must have been sent before that. */
static inline bool cnc_conn_waits_for_turn(const struct cnc_conn *conn)
{
    return (conn->flags & CNC_CONN_STOPPED) &&
           (conn->state == CNC_CONN_BUSY || conn->state == CNC_CONN_UPGRADED || (conn->state < CNC_CONN_BUSY && !conn->out));
}

/* Is there input, or its end, that cnc_conn_resume() may use? */
static inline bool cnc_conn_can_resume(const struct cnc_conn *conn)
{
    return conn->in || conn->state == CNC_CONN_BUSY || conn->state == CNC_CONN_UPGRADED || (conn->flags & CNC_CONN_EOF);
}

/* The same as cnc_conn_holds_bytes(), at no cost for a plain connection. */
static inline bool cnc_conn_has_pending(const struct cnc_conn *conn)
{
    return CNC_UNLIKELY(conn->ext != NULL) && cnc_conn_holds_bytes(conn);
}

#endif
