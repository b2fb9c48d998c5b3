/* SPDX-License-Identifier: MIT */
#include "conn/channel.h"

#include "base/sys.h"

enum kind { REPLY, DATA, WANT_BODY, RESUME_BODY };

/* Lock order: mu is never held while a home's lock is wanted, nor the other way round. */
struct cnc_channel {
    atomic_uint refs;          /* each end, each message under way */
    struct cnc_stream lower;   /* the carrier's view: belongs to `here` */
    struct cnc_stream *upper;  /* the request's own: belongs to `there` once started */
    struct cnc_home *here;     /* the carrier's; referenced */
    struct cnc_home *there;    /* the request's; guarded by mu until started */
    size_t bytes_max;
    char peer[96];
    size_t peer_len;
    /* at there */
    struct cnc_tasks in;       /* body pieces that the request keeps waiting */
    bool in_paused, in_end;    /* in_end: body_end comes after them */
    bool in_refused;           /* the request wants no more of its body, nor to hear of its end */
    /* at here */
    size_t unsettled;          /* bytes with the carrier that it has not sent on */
    bool body_held;            /* the carrier was told to keep its piece */
    void (*on_left)(void *);   /* the carrier went before the request had a thread */
    void *on_left_arg;
    pthread_mutex_t mu;
    pthread_cond_t room;
    size_t out_bytes, in_bytes; /* under way; guarded by mu */
    int gone;                   /* reason; guarded by mu */
    bool finished;              /* the request has sent its last word; guarded by mu */
    /* messages that must not fail for want of memory; each is sent at most once */
    struct cnc_task gone_task, end_task, abort_task;
};

/* Down: from the request to the carrier. */
struct down {
    struct cnc_task task;
    struct cnc_channel *ch;
    enum kind kind;
    bool last, hold;
    struct cnc_http_reply reply; /* its slices lie in text */
    struct cnc_piece piece;
    char text[];
};

/* Up: from the carrier to the request: a piece of the body. */
struct up {
    struct cnc_task task;
    struct cnc_channel *ch;
    size_t n;
    char data[];
};

/* Out of line: inlined twice, gcc 12 takes a dropped count for a free and warns of what follows. */
__attribute__((noinline)) static void unref(struct cnc_channel *ch)
{
    if (atomic_fetch_sub(&ch->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&ch->mu);
    pthread_cond_destroy(&ch->room);
    cnc_home_unref(ch->here);
    if (ch->there)
        cnc_home_unref(ch->there);
    cnc_free(ch);
}

static void ref(struct cnc_channel *ch)
{
    atomic_fetch_add(&ch->refs, 1);
}

/* ---- at there: the request's end ---- */

static int post_down(struct cnc_channel *ch, struct down *d, void (*run)(struct cnc_task *))
{
    d->ch = ch;
    d->task.run = run;
    ref(ch);
    if (cnc_home_post(ch->here, &d->task) == CONCUR_OK)
        return CONCUR_OK;
    cnc_piece_drop(&d->piece);
    cnc_free(d);
    unref(ch);
    return CONCUR_E_GONE;
}

/* Waits until n more bytes may be under way. A piece larger than the bound goes alone. */
static int wait_for_room(struct cnc_channel *ch, size_t n)
{
    pthread_mutex_lock(&ch->mu);
    while (!ch->gone && ch->out_bytes > 0 && ch->out_bytes + n > ch->bytes_max)
        pthread_cond_wait(&ch->room, &ch->mu);
    int gone = ch->gone;
    if (!gone)
        ch->out_bytes += n;
    pthread_mutex_unlock(&ch->mu);
    return gone ? gone : CONCUR_OK;
}

static void run_down(struct cnc_task *task);

/* The request's last word: nothing comes up any more. */
static void finish(struct cnc_channel *ch)
{
    pthread_mutex_lock(&ch->mu);
    ch->finished = true;
    pthread_mutex_unlock(&ch->mu);
    ch->upper->carrier = NULL;
    ch->upper = NULL;
    for (struct cnc_task *t = ch->in.head, *next; t; t = next) {
        next = t->next;
        unref(ch);
        cnc_free(CNC_CONTAINER(t, struct up, task));
    }
    ch->in = (struct cnc_tasks){ 0 };
    unref(ch);
}

static char *put_text(char *at, struct cnc_slice *s)
{
    if (s->n)
        memcpy(at, s->p, s->n);
    s->p = at;
    return at + s->n;
}

static int send_down(struct cnc_channel *ch, enum kind kind, const struct cnc_http_reply *r, struct cnc_piece *piece,
                     bool last)
{
    size_t text = r ? r->type.n + r->fields.n : 0;
    size_t copied = piece->free ? 0 : piece->n;
    struct down *d = piece->n > CNC_PIECE_MAX ? NULL : cnc_malloc(sizeof *d + text + copied);
    int rc = d ? wait_for_room(ch, piece->n) : CONCUR_E_NOMEM;
    if (rc < 0) {
        cnc_piece_drop(piece);
        cnc_free(d);
        return rc;
    }
    *d = (struct down){ .kind = kind, .last = last, .piece = *piece };
    char *at = d->text;
    if (r) {
        d->reply = *r;
        at = put_text(at, &d->reply.type);
        at = put_text(at, &d->reply.fields);
    }
    if (copied) {
        memcpy(at, piece->p, copied);
        d->piece.p = at;
    }
    *piece = (struct cnc_piece){ 0 };
    rc = post_down(ch, d, run_down);
    if (rc == CONCUR_OK && last)
        finish(ch);
    return rc;
}

static int channel_reply(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_piece *piece, bool last)
{
    cnc_http_reply_frame(r); /* the carrier decides anew; the request may look at it */
    return send_down(stream->carrier, REPLY, r, piece, last);
}

static int channel_data(struct cnc_stream *stream, struct cnc_piece *piece, bool last)
{
    return send_down(stream->carrier, DATA, NULL, piece, last);
}

static void give_up(struct cnc_channel *ch, int reason);

static void tell(struct cnc_channel *ch, enum kind kind, bool hold)
{
    struct down *d = cnc_malloc(sizeof *d);
    if (!d) {
        give_up(ch, CONCUR_E_NOMEM); /* else both sides would wait for ever */
        return;
    }
    *d = (struct down){ .kind = kind, .hold = hold };
    (void)post_down(ch, d, run_down);
}

static void run_abort(struct cnc_task *task);

static void channel_abort(struct cnc_stream *stream)
{
    struct cnc_channel *ch = stream->carrier;
    ch->abort_task.run = run_abort;
    ref(ch);
    if (cnc_home_post(ch->here, &ch->abort_task) < 0)
        unref(ch);
    finish(ch);
}

static void channel_want_body(struct cnc_stream *stream, bool hold)
{
    tell(stream->carrier, WANT_BODY, hold);
}

static void hand_up(struct cnc_channel *ch);

static void on_hand_up(struct cnc_task *task)
{
    struct down *d = CNC_CONTAINER(task, struct down, task);
    struct cnc_channel *ch = d->ch;
    cnc_free(d);
    if (ch->upper)
        hand_up(ch);
    unref(ch);
}

/* Later, never from within the request's call. */
static void later(struct cnc_channel *ch, void (*run)(struct cnc_task *))
{
    struct down *d = cnc_malloc(sizeof *d);
    if (!d) {
        give_up(ch, CONCUR_E_NOMEM);
        return;
    }
    *d = (struct down){ .ch = ch, .task.run = run };
    ref(ch);
    cnc_home_defer(ch->there, &d->task);
}

static void channel_resume_body(struct cnc_stream *stream)
{
    struct cnc_channel *ch = stream->carrier;
    ch->in_paused = false;
    later(ch, on_hand_up);
}

static bool channel_is_full(struct cnc_stream *stream)
{
    (void)stream;
    return false; /* writing waits instead */
}

static void on_drain(struct cnc_task *task)
{
    struct down *d = CNC_CONTAINER(task, struct down, task);
    struct cnc_channel *ch = d->ch;
    cnc_free(d);
    if (ch->upper)
        ch->upper->up->drain(ch->upper);
    unref(ch);
}

static void channel_want_drain(struct cnc_stream *stream)
{
    later(stream->carrier, on_drain);
}

static int channel_check(struct cnc_stream *stream)
{
    struct cnc_channel *ch = stream->carrier;
    pthread_mutex_lock(&ch->mu);
    int gone = ch->gone;
    pthread_mutex_unlock(&ch->mu);
    return gone;
}

/* Never asked: a request stays on the thread that runs it. */
static void channel_move(struct cnc_stream *stream, struct cnc_stream *to)
{
    (void)stream;
    (void)to;
    CNC_ASSERT(false && "a channel cannot be moved");
}

static size_t channel_peer(struct cnc_stream *stream, char *out, size_t n)
{
    struct cnc_channel *ch = stream->carrier;
    if (n <= ch->peer_len)
        return 0;
    memcpy(out, ch->peer, ch->peer_len + 1);
    return ch->peer_len;
}

static const struct cnc_carrier_ops channel_carrier = {
    .reply = channel_reply,
    .data = channel_data,
    .abort = channel_abort,
    .want_body = channel_want_body,
    .resume_body = channel_resume_body,
    .is_full = channel_is_full,
    .want_drain = channel_want_drain,
    .check = channel_check,
    .move = channel_move,
    .peer = channel_peer,
};

static void lost(struct cnc_channel *ch)
{
    struct cnc_stream *upper = ch->upper;
    pthread_mutex_lock(&ch->mu);
    int gone = ch->gone;
    pthread_mutex_unlock(&ch->mu);
    channel_abort(upper); /* the carrier may still be there, if it was we who gave up */
    upper->up->gone(upper, gone);
}

static struct up *pop_piece(struct cnc_channel *ch)
{
    struct up *u = CNC_CONTAINER(ch->in.head, struct up, task);
    ch->in.head = u->task.next;
    if (!ch->in.head)
        ch->in.last = NULL;
    return u;
}

static void put_piece_back(struct cnc_channel *ch, struct up *u)
{
    u->task.next = ch->in.head;
    if (!ch->in.head)
        ch->in.last = &u->task;
    ch->in.head = &u->task;
}

static void piece_taken(struct cnc_channel *ch, struct up *u)
{
    pthread_mutex_lock(&ch->mu);
    bool was_full = ch->in_bytes > ch->bytes_max;
    ch->in_bytes -= u->n;
    bool has_room = ch->in_bytes <= ch->bytes_max;
    pthread_mutex_unlock(&ch->mu);
    cnc_free(u);
    if (was_full && has_room)
        tell(ch, RESUME_BODY, false);
    unref(ch);
}

/* Gives body pieces to the request, in order, until it says stop; then the end. The caller holds a reference. */
static void hand_up(struct cnc_channel *ch)
{
    while (ch->in.head && !ch->in_paused) {
        struct up *u = pop_piece(ch); /* out of reach of finish(): the callback may end the reply and still read */
        if (ch->in_refused) {
            piece_taken(ch, u);
            continue;
        }
        ch->in_paused = true;         /* before the call, which may already take it back */
        int rc = ch->upper->up->body(ch->upper, u->data, u->n);
        if (!ch->upper) {
            cnc_free(u);
            unref(ch);
            return;
        }
        if (rc == CONCUR_AGAIN) {
            put_piece_back(ch, u);
            continue;
        }
        ch->in_paused = false;
        ch->in_refused = rc < 0;
        piece_taken(ch, u);
    }
    if (!ch->in.head && ch->in_end && !ch->in_refused) {
        ch->in_end = false;
        ch->upper->up->body_end(ch->upper);
    }
}

static void run_up(struct cnc_task *task)
{
    struct up *u = CNC_CONTAINER(task, struct up, task);
    struct cnc_channel *ch = u->ch;
    if (!ch->upper) {
        cnc_free(u);
        unref(ch);
        return;
    }
    task->next = NULL;
    if (ch->in.last)
        ch->in.last->next = task;
    else
        ch->in.head = task;
    ch->in.last = task;
    ref(ch); /* piece_taken() gives back the message's own */
    hand_up(ch);
    unref(ch);
}

static void run_end(struct cnc_task *task)
{
    struct cnc_channel *ch = CNC_CONTAINER(task, struct cnc_channel, end_task);
    if (ch->upper) {
        ch->in_end = true;
        hand_up(ch);
    }
    unref(ch);
}

static void run_gone(struct cnc_task *task)
{
    struct cnc_channel *ch = CNC_CONTAINER(task, struct cnc_channel, gone_task);
    if (ch->upper)
        lost(ch);
    unref(ch);
}

/* ---- at here: the carrier's end ---- */

static void settle_bytes(struct cnc_channel *ch, size_t n)
{
    pthread_mutex_lock(&ch->mu);
    ch->out_bytes -= n;
    pthread_cond_signal(&ch->room);
    pthread_mutex_unlock(&ch->mu);
}

/* The carrier has let go; messages still on their way down are dropped. */
static void let_go(struct cnc_channel *ch)
{
    ch->here->live--;
    unref(ch);
}

/* CONCUR_OK: task->run happens at there, and gives back the reference taken here. */
static int post_up(struct cnc_channel *ch, struct cnc_task *task, void (*run)(struct cnc_task *))
{
    task->run = run;
    ref(ch);
    int rc = cnc_home_post(ch->there, task);
    if (rc < 0)
        unref(ch);
    return rc;
}

/* Marks the channel dead and tells the request, if it has started and not finished. Once. */
static void give_up(struct cnc_channel *ch, int reason)
{
    pthread_mutex_lock(&ch->mu);
    bool tells = !ch->gone && ch->there && !ch->finished;
    bool unheard = !ch->gone && !ch->there;
    if (!ch->gone)
        ch->gone = reason;
    pthread_cond_signal(&ch->room);
    pthread_mutex_unlock(&ch->mu);
    if (tells)
        (void)post_up(ch, &ch->gone_task, run_gone);
    else if (unheard && ch->on_left)
        ch->on_left(ch->on_left_arg);
}

static void pass_bytes_down(struct cnc_channel *ch, struct down *d, size_t n)
{
    struct cnc_stream *lower = &ch->lower;
    d->reply.date = cnc_home_date(ch->here);
    int rc = d->kind == REPLY ? lower->down->reply(lower, &d->reply, &d->piece, d->last)
                              : lower->down->data(lower, &d->piece, d->last);
    if (rc == CONCUR_AGAIN) { /* the room is given back when the carrier has drained */
        ch->unsettled += n;
        lower->down->want_drain(lower);
        return;
    }
    settle_bytes(ch, n);
    if (rc < 0 && lower->carrier) {
        lower->down->abort(lower);
        give_up(ch, CONCUR_E_GONE);
    }
    if (!lower->carrier && rc < 0)
        give_up(ch, CONCUR_E_GONE);
}

static void run_down(struct cnc_task *task)
{
    struct down *d = CNC_CONTAINER(task, struct down, task);
    struct cnc_channel *ch = d->ch;
    struct cnc_stream *lower = &ch->lower;
    size_t n = d->piece.n;
    bool had = lower->carrier != NULL;
    if (!had)
        settle_bytes(ch, n);
    else if (d->kind == REPLY || d->kind == DATA)
        pass_bytes_down(ch, d, n);
    else if (d->kind == WANT_BODY)
        lower->down->want_body(lower, d->hold);
    else if (d->kind == RESUME_BODY && ch->body_held) {
        ch->body_held = false;
        lower->down->resume_body(lower);
    }
    cnc_piece_drop(&d->piece);
    cnc_free(d);
    if (had && !lower->carrier)
        let_go(ch);
    unref(ch);
}

static void run_abort(struct cnc_task *task)
{
    struct cnc_channel *ch = CNC_CONTAINER(task, struct cnc_channel, abort_task);
    if (ch->lower.carrier) {
        ch->lower.down->abort(&ch->lower);
        let_go(ch);
    }
    unref(ch);
}

static int lower_body(struct cnc_stream *lower, const char *p, size_t n)
{
    struct cnc_channel *ch = CNC_CONTAINER(lower, struct cnc_channel, lower);
    pthread_mutex_lock(&ch->mu);
    bool full = ch->in_bytes > ch->bytes_max;
    if (!full)
        ch->in_bytes += n;
    pthread_mutex_unlock(&ch->mu);
    if (full) {
        ch->body_held = true;
        return CONCUR_AGAIN;
    }
    struct up *u = cnc_malloc(sizeof *u + n);
    if (u) {
        u->ch = ch;
        u->n = n;
        memcpy(u->data, p, n);
        if (post_up(ch, &u->task, run_up) == CONCUR_OK)
            return CONCUR_OK;
        cnc_free(u);
    }
    give_up(ch, CONCUR_E_NOMEM);
    return CONCUR_E_GONE;
}

static void lower_body_end(struct cnc_stream *lower)
{
    struct cnc_channel *ch = CNC_CONTAINER(lower, struct cnc_channel, lower);
    (void)post_up(ch, &ch->end_task, run_end);
}

static void lower_drain(struct cnc_stream *lower)
{
    struct cnc_channel *ch = CNC_CONTAINER(lower, struct cnc_channel, lower);
    size_t n = ch->unsettled;
    ch->unsettled = 0;
    settle_bytes(ch, n);
}

static void lower_gone(struct cnc_stream *lower, int reason)
{
    struct cnc_channel *ch = CNC_CONTAINER(lower, struct cnc_channel, lower);
    give_up(ch, reason);
    let_go(ch);
}

static const struct cnc_stream_ops lower_ops = {
    .body = lower_body,
    .body_end = lower_body_end,
    .drain = lower_drain,
    .gone = lower_gone,
};

int cnc_channel_open(struct cnc_channel **out, struct cnc_stream *stream, struct cnc_home *here, size_t bytes_max)
{
    struct cnc_channel *ch = cnc_calloc(1, sizeof *ch);
    if (!ch)
        return CONCUR_E_NOMEM;
    atomic_init(&ch->refs, 2);
    pthread_mutex_init(&ch->mu, NULL);
    pthread_cond_init(&ch->room, NULL);
    cnc_home_ref(here);
    here->live++;
    ch->here = here;
    ch->upper = stream;
    ch->bytes_max = bytes_max;
    ch->peer_len = stream->down->peer(stream, ch->peer, sizeof ch->peer);
    ch->lower.up = &lower_ops;
    stream->down->move(stream, &ch->lower);
    stream->down = &channel_carrier;
    stream->carrier = ch;
    *out = ch;
    return CONCUR_OK;
}

void cnc_channel_on_left(struct cnc_channel *ch, void (*fn)(void *), void *arg)
{
    ch->on_left = fn;
    ch->on_left_arg = arg;
}

bool cnc_channel_start(struct cnc_channel *ch, struct cnc_home *there)
{
    cnc_home_ref(there);
    pthread_mutex_lock(&ch->mu);
    ch->there = there;
    bool gone = ch->gone != 0;
    pthread_mutex_unlock(&ch->mu);
    if (gone)
        finish(ch);
    return !gone;
}
