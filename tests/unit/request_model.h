/* SPDX-License-Identifier: MIT
 *
 * A program that does anything, at random: its handler and every callback call the whole interface, legally or not, and
 * return whatever they like. The model notes what was promised to it and fails when a promise is broken.
 */
#ifndef REQUEST_MODEL_H
#define REQUEST_MODEL_H

#include <sys/eventfd.h>

#include "request/request.h"
#include "live.h"

#define TOKENS 256  /* callbacks that a run may be promised */
#define TICKETS 8

enum kind { TIMER, OFFLOAD, POST, WAIT, FREE, CANCEL, END, BODY_END, STOP, NOTHING };

/* A callback that was promised. */
struct token {
    struct run *run;
    enum kind kind;
    atomic_uint fired;
    void *bytes; /* of FREE */
};

struct run {
    struct live_random random;
    uint64_t number; /* to name it in a failure */
    concur_request *r; /* until it has ended */
    pthread_t at; /* the thread under a callback */
    bool inside;
    bool ending;
    atomic_bool ended;
    unsigned handlers;
    unsigned begun;   /* replies that the library accepted */
    bool may_hang;    /* somebody said AGAIN, or waits for what never comes */
    bool page;        /* a callback returned something: the library may have answered */
    bool whole;       /* the reply's body is all there */
    bool wild;        /* pull promised another length than it gave */
    size_t accepted;  /* bytes of the body taken by the library */
    size_t lost;      /* of a write that waited for room in vain: some of them may have left before */
    int sticky;
    int end_rc;
    size_t body_got;
    bool body_asked, body_over, drain_due;
    unsigned token_count;
    struct token tokens[TOKENS];
    int ready_fd, quiet_fd;
    void (*leave)(struct run *); /* the client goes */
    atomic_bool left;
    /* tickets, and who may use them */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    concur_ticket *tickets[TICKETS];
    unsigned held; /* in tickets */
    bool quit;     /* tells a thread that pokes */
};

#define MUST(run, what)                                                                                                \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: run %llu: broken: %s\n", __FILE__, __LINE__,                                       \
                    (unsigned long long)(run)->number, #what);                                                         \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* The body's bytes can be told by their place. */
static inline char pattern(size_t i)
{
    return (char)('a' + i % 23);
}

/* A place for what the next call may promise; NULL: enough was promised. */
static inline struct token *take(struct run *run, enum kind kind)
{
    struct token *t = NULL;
    pthread_mutex_lock(&run->mu); /* whoever pokes takes some too */
    if (run->token_count < TOKENS) {
        t = &run->tokens[run->token_count++];
        t->run = run;
        t->kind = kind;
        t->bytes = NULL;
        atomic_store(&t->fired, 0);
    }
    pthread_mutex_unlock(&run->mu);
    return t;
}

/* The call returned rc: is the callback promised? */
static inline void settle(struct token *t, int rc, bool is_legal)
{
    MUST(t->run, rc == CONCUR_OK || rc < 0);
    MUST(t->run, rc < 0 || is_legal);
    if (rc < 0)
        t->kind = NOTHING;
}

static inline void enter(struct run *run, concur_request *r)
{
    MUST(run, !run->inside);
    MUST(run, !atomic_load(&run->ended));
    MUST(run, run->r == r);
    run->inside = true;
    run->at = pthread_self();
}

static inline void fire(struct token *t)
{
    MUST(t->run, atomic_fetch_add(&t->fired, 1) == 0);
    MUST(t->run, !t->run->ending || t->kind == END);
}

static void act(struct run *run, concur_request *r, unsigned most);

/* What a callback returns: mostly that all is well. */
static inline int verdict(struct run *run)
{
    static const int odd[] = { 200,
                               404,
                               500,
                               503,
                               99,
                               100,
                               150,
                               204,
                               304,
                               599,
                               600,
                               CONCUR_DECLINE,
                               CONCUR_AGAIN,
                               CONCUR_E_GONE,
                               CONCUR_E_FULL,
                               CONCUR_E_TIMEOUT,
                               CONCUR_E_LIMIT,
                               CONCUR_E_INVAL,
                               -1000 };
    if (live_below(&run->random, 12))
        return CONCUR_OK;
    run->page = true;
    return odd[live_below(&run->random, CNC_COUNT(odd))];
}

static inline int leave(struct run *run)
{
    int rc = verdict(run);
    run->inside = false;
    return rc;
}

static inline int on_any(concur_request *r, void *arg)
{
    struct token *t = arg;
    struct run *run = t->run;
    enter(run, r);
    fire(t);
    act(run, r, 4);
    return leave(run);
}

static inline int on_done(concur_request *r, int rc, void *arg)
{
    struct token *t = arg;
    MUST(t->run, t->kind != OFFLOAD || rc == 7 || rc == CONCUR_E_CANCELLED);
    MUST(t->run, t->kind != WAIT || (rc >= 1 && rc <= 3) || rc < 0);
    return on_any(r, arg);
}

static inline int work(void *arg)
{
    struct token *t = arg;
    MUST(t->run, atomic_load(&t->fired) == 0);
    return 7;
}

static inline void on_free(void *arg)
{
    struct token *t = arg;
    MUST(t->run, atomic_fetch_add(&t->fired, 1) == 0);
    free(t->bytes);
}

static inline int on_cancel(concur_request *r, int rc, void *arg)
{
    struct token *t = arg;
    struct run *run = t->run;
    enter(run, r);
    fire(t);
    MUST(run, rc < 0 && rc == concur_request_gone(r));
    act(run, r, 3);
    return leave(run);
}

static inline int on_stop(concur_request *r, void *arg)
{
    struct run *run = ((struct token *)arg)->run;
    MUST(run, concur_request_stopping(r) == CONCUR_E_STOPPING && concur_request_gone(r) == 0);
    return on_any(r, arg);
}

/* Here nothing may begin any more. */
static inline int on_end(concur_request *r, int rc, void *arg)
{
    struct token *t = arg;
    struct run *run = t->run;
    enter(run, r);
    run->ending = true;
    fire(t);
    run->end_rc = rc;
    MUST(run, rc <= 0);
    MUST(run, rc == 0 || rc == concur_request_gone(r));
    pthread_mutex_lock(&run->mu);
    MUST(run, run->held == 0);
    pthread_mutex_unlock(&run->mu);
    for (unsigned i = 0; i < run->token_count; i++) {
        const struct token *o = &run->tokens[i];
        unsigned fired = atomic_load(&o->fired);
        bool may_miss = o->kind == CANCEL || o->kind == END || o->kind == FREE || o->kind == STOP || o->kind == NOTHING;
        MUST(run, fired == 1 || (may_miss && fired == 0));
        MUST(run, o->kind != CANCEL || fired == 1 || rc == 0); /* given up, whoever did that */
    }
    act(run, r, 4);
    run->inside = false;
    bool is_last = true; /* they run in reverse order of registration */
    for (unsigned i = 0; i < run->token_count; i++)
        is_last = is_last && !(run->tokens[i].kind == END && atomic_load(&run->tokens[i].fired) == 0);
    if (is_last) {
        run->r = NULL;
        atomic_store(&run->ended, true); /* from here on the run is another's */
    }
    return 418;
}

static inline int on_data(concur_request *r, const void *data, size_t n, void *arg)
{
    struct run *run = ((struct token *)arg)->run;
    enter(run, r);
    MUST(run, n > 0 && !run->ending && !run->body_over);
    for (size_t i = 0; i < n; i++)
        MUST(run, ((const char *)data)[i] == pattern(run->body_got + i));
    act(run, r, 2);
    run->inside = false;
    if (live_below(&run->random, 4) == 0) {
        run->may_hang = true;
        return CONCUR_AGAIN;
    }
    if (live_below(&run->random, 30) == 0) {
        run->page = true;
        return live_below(&run->random, 2) ? CONCUR_E_INVAL : 17;
    }
    run->body_got += n;
    return CONCUR_OK;
}

static inline int on_body_end(concur_request *r, int rc, void *arg)
{
    struct token *t = arg;
    struct run *run = t->run;
    enter(run, r);
    fire(t);
    MUST(run, rc <= 0);
    run->body_over = true;
    act(run, r, 3);
    run->page = run->page || rc == CONCUR_E_LIMIT; /* body_max: 413, if there is no reply by now */
    return leave(run);
}

static inline int on_pull(concur_request *r, void *out, size_t *n, void *arg)
{
    struct run *run = arg;
    enter(run, r);
    MUST(run, *n > 0 && !run->ending && !run->whole);
    act(run, r, 2);
    run->inside = false;
    unsigned dice = live_below(&run->random, 16);
    if (dice < 4) {
        run->may_hang = true;
        return CONCUR_AGAIN;
    }
    if (dice == 4) {
        run->page = true;
        return CONCUR_E_UPSTREAM;
    }
    if (dice < 7) {
        *n = 0;
        run->whole = true;
        return CONCUR_OK;
    }
    size_t give = live_below(&run->random, *n < 3000 ? (unsigned)*n : 3000u) + 1;
    for (size_t i = 0; i < give; i++)
        ((char *)out)[i] = pattern(run->accepted + i);
    *n = give;
    run->accepted += give;
    return CONCUR_OK;
}

static inline int on_drain(concur_request *r, void *arg)
{
    struct run *run = arg;
    enter(run, r);
    MUST(run, run->drain_due && !run->ending);
    run->drain_due = false;
    act(run, r, 4);
    return leave(run);
}

/* ---- what it calls ---- */

static inline bool may_refuse(struct run *run, concur_request *r, int rc)
{
    return (rc == CONCUR_E_GONE && concur_request_gone(r)) || (run->sticky && rc == run->sticky) ||
           (rc == CONCUR_E_STATE && (run->begun || run->page || run->ending)) ||
           ((rc == CONCUR_E_GONE || rc == CONCUR_E_TIMEOUT) && (run->begun || run->page || r->home->blocking));
}

static inline void replied(struct run *run, concur_request *r, int rc)
{
    if (rc == CONCUR_OK) {
        MUST(run, run->begun == 0 && !run->ending && !run->sticky);
        run->begun++;
    } else {
        MUST(run, may_refuse(run, r, rc));
    }
}

static inline size_t some_bytes(struct run *run, char *out, size_t room)
{
    size_t n = live_below(&run->random, live_below(&run->random, 4) ? 200 : (unsigned)room);
    for (size_t i = 0; i < n; i++)
        out[i] = pattern(run->accepted + i);
    out[n] = '\0';
    return n;
}

static inline void call_header(struct run *run, concur_request *r)
{
    static const char *const bad[][2] = { { "Bad Name", "x" }, { "X-A", "a\r\nb" },       { "Content-Length", "5" },
                                          { "", "x" },         { "Connection", "close" }, { NULL, "x" },
                                          { "X-A", NULL } };
    unsigned dice = live_below(&run->random, 20);
    bool is_bad = dice < CNC_COUNT(bad);
    int rc = is_bad ? concur_reply_header(r, bad[dice][0], bad[dice][1]) : concur_reply_header(r, "X-Model", "1");
    if (rc == CONCUR_E_INVAL && !run->sticky) {
        MUST(run, is_bad);
        run->sticky = rc;
    } else {
        MUST(run, (rc == CONCUR_OK && !is_bad && !run->begun && !run->ending) || may_refuse(run, r, rc));
    }
}

static inline void call_whole(struct run *run, concur_request *r)
{
    char text[6001];
    size_t n = some_bytes(run, text, sizeof text - 1);
    int rc, status = live_below(&run->random, 4) ? 200 : live_below(&run->random, 2) ? 404 : 204;
    struct token *t = live_below(&run->random, 2) ? take(run, FREE) : NULL;
    if (t) {
        t->bytes = malloc(n + 1);
        memcpy(t->bytes, text, n + 1);
        rc = concur_reply_bytes(r, status, NULL, t->bytes, n, on_free, t);
        MUST(run, rc == CONCUR_OK || atomic_load(&t->fired) == 1);
    } else {
        rc = live_below(&run->random, 2) ? concur_reply_text(r, status, text)
                                         : concur_reply_printf(r, status, NULL, "%s", text);
    }
    replied(run, r, rc);
    if (rc == CONCUR_OK) {
        run->accepted = n;
        run->whole = true;
    }
}

static inline void call_pull(struct run *run, concur_request *r)
{
    bool known = live_below(&run->random, 3) == 0;
    int rc = concur_reply_pull(r, 200, "a/b", known ? (int64_t)live_below(&run->random, 4000) : -1, on_pull, run);
    replied(run, r, rc);
    run->wild = run->wild || (rc == CONCUR_OK && known);
}

static inline void call_push(struct run *run, concur_request *r)
{
    char bytes[20001];
    unsigned dice = live_below(&run->random, 8);
    int rc;
    if (dice < 2) {
        replied(run, r, concur_reply_begin(r, 200, "a/b"));
    } else if (dice < 7) {
        size_t n = some_bytes(run, bytes, sizeof bytes - 1);
        bool sends = run->begun == 1 && !run->whole && !r->gone;
        bool waits = r->home->blocking && r->stream.down == &cnc_conn_carrier; /* at the connection itself */
        rc = concur_reply_write(r, bytes, n);
        MUST(run, rc == CONCUR_OK || rc == CONCUR_AGAIN || may_refuse(run, r, rc) || rc == CONCUR_E_STATE);
        if (rc >= 0) {
            MUST(run, run->begun == 1 && !run->whole && !run->ending);
            run->accepted += n;
        } else if ((rc == CONCUR_E_GONE || rc == CONCUR_E_TIMEOUT) && sends && waits && !run->lost) {
            run->lost = n;
        }
    } else {
        rc = concur_reply_end(r);
        MUST(run, rc == CONCUR_OK || may_refuse(run, r, rc) || rc == CONCUR_E_STATE);
        if (rc == CONCUR_OK) {
            MUST(run, run->begun == 1 && !run->whole && !run->ending);
            run->whole = true;
        }
    }
}

static inline void call_drain(struct run *run, concur_request *r)
{
    bool ask = live_below(&run->random, 4) != 0;
    int rc = concur_reply_on_drain(r, ask ? on_drain : NULL, run);
    MUST(run, rc == CONCUR_OK || may_refuse(run, r, rc) || rc == CONCUR_E_STATE);
    if (rc == CONCUR_OK) {
        MUST(run, run->begun == 1 && !run->ending);
        run->drain_due = ask;
    }
}

static inline void call_defer(struct run *run, concur_request *r)
{
    pthread_mutex_lock(&run->mu);
    bool full = run->held == TICKETS; /* only home adds some */
    pthread_mutex_unlock(&run->mu);
    if (full)
        return;
    concur_ticket *t = concur_request_defer(r);
    MUST(run, !t || !run->ending);
    MUST(run, t || run->ending || concur_request_gone(r));
    if (!t)
        return;
    pthread_mutex_lock(&run->mu);
    run->tickets[run->held++] = t;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->mu);
}

/* One thing with a ticket: from home, or from any other thread. mu makes the model's notes, not the library, serial. */
static inline void poke(struct run *run, struct live_random *random)
{
    pthread_mutex_lock(&run->mu);
    if (run->held == 0) {
        pthread_mutex_unlock(&run->mu);
        return;
    }
    unsigned i = live_below(random, run->held);
    concur_ticket *t = run->tickets[i];
    int gone = concur_ticket_cancelled(t);
    MUST(run, gone <= 0);
    /* The token's place is taken first: the post may run before this call has returned. */
    bool posts = run->token_count < TOKENS && live_below(random, 3);
    if (posts) {
        struct token *token = &run->tokens[run->token_count++];
        token->run = run;
        token->kind = POST;
        token->bytes = NULL;
        atomic_store(&token->fired, 0);
        MUST(run, concur_ticket_post(t, on_any, token) == CONCUR_OK);
    } else {
        run->tickets[i] = run->tickets[--run->held];
    }
    pthread_mutex_unlock(&run->mu);
    if (!posts)
        concur_ticket_release(t);
}

static inline void call_pending(struct run *run, concur_request *r)
{
    static const enum kind kinds[] = { TIMER, TIMER, OFFLOAD, WAIT, CANCEL, END, BODY_END, STOP };
    enum kind kind = kinds[live_below(&run->random, CNC_COUNT(kinds))];
    unsigned ms = live_below(&run->random, r->home->blocking ? 3 : 60);
    bool legal = !run->ending && !concur_request_gone(r), quiet = false;
    struct token *t = take(run, kind);
    int rc;
    if (!t)
        return;
    switch (kind) {
    case TIMER:
        rc = concur_request_after(r, ms, on_any, t);
        break;
    case OFFLOAD:
        rc = concur_request_offload(r, work, on_done, t);
        break;
    case WAIT:
        quiet = live_below(&run->random, 2);
        ms += quiet && r->home->blocking; /* there only a deadline ends what nobody else does */
        run->may_hang = run->may_hang || (quiet && ms == 0);
        rc = concur_request_await(r, quiet ? run->quiet_fd : run->ready_fd, CONCUR_READ, ms, on_done, t);
        break;
    case CANCEL:
        rc = concur_request_on_cancel(r, on_cancel, t);
        break;
    case END:
        rc = concur_request_on_end(r, on_end, t);
        legal = !run->ending;
        break;
    case STOP:
        rc = concur_request_on_stop(r, on_stop, t);
        break;
    default:
        rc = concur_request_on_body(r, on_data, on_body_end, t);
        legal = legal && !run->body_asked;
        run->body_asked = run->body_asked || rc == CONCUR_OK;
    }
    settle(t, rc, legal);
}

static inline void call_small(struct run *run, concur_request *r)
{
    size_t len;
    int rc = CONCUR_OK;
    switch (live_below(&run->random, 10)) {
    case 0:
        rc = concur_request_deadline(r, r->home->blocking ? 1 + live_below(&run->random, 10)
                                                          : live_below(&run->random, 80));
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        rc = concur_request_resume(r);
        break;
    case 5:
        (void)concur_request_alloc(r, live_below(&run->random, 3000));
        break;
    case 6:
        (void)concur_request_body(r, &len);
        (void)concur_request_body_fd(r);
        break;
    case 7:
        rc = concur_reply_text(r, (int)live_below(&run->random, 200), "");
        MUST(run, rc < 0);
        return;
    case 8:
        MUST(run, concur_request_peer(r) && concur_request_id(r) && concur_request_path(r) && concur_request_method(r));
        MUST(run, concur_request_get(r, CONCUR_IN_HEADER, "host"));
        break;
    default:
        if (live_below(&run->random, 8) == 0)
            run->leave(run);
    }
    MUST(run, rc == CONCUR_OK || may_refuse(run, r, rc));
}

static void act(struct run *run, concur_request *r, unsigned most)
{
    for (unsigned n = live_below(&run->random, most + 1); n > 0; n--) {
        unsigned dice = live_below(&run->random, 32);
        if (dice < 3)
            call_header(run, r);
        else if (dice < 5)
            call_whole(run, r);
        else if (dice < 6)
            call_pull(run, r);
        else if (dice < 13)
            call_push(run, r);
        else if (dice < 14)
            call_drain(run, r);
        else if (dice < 16)
            call_defer(run, r);
        else if (dice < 17)
            poke(run, &run->random);
        else if (dice < 25)
            call_pending(run, r);
        else
            call_small(run, r);
    }
}

/* The handler of every route: a run may get here several times, by way of CONCUR_DECLINE. */
static inline int on_request(concur_request *r, void *arg)
{
    struct run *run = *(struct run **)arg;
    MUST(run, !run->inside);
    if (run->handlers++ == 0) {
        struct token *t = take(run, END);
        run->r = r;
        MUST(run, concur_request_on_end(r, on_end, t) == CONCUR_OK);
    }
    enter(run, r);
    act(run, r, 6);
    run->inside = false;
    if (live_below(&run->random, 8) == 0) {
        run->page = true; /* 404, in the end */
        return CONCUR_DECLINE;
    }
    return verdict(run);
}

#endif
