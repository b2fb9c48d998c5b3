/* SPDX-License-Identifier: MIT
 *
 * A channel's creation and end, and the end of it at the connection, which takes it for a request.
 */
#include "conn/channel_internal.h"

/* Not inlined: gcc 12 would take each unref for a free, and warn of later uses. */
__attribute__((noinline)) void cnc_channel_unref(struct cnc_channel *ch)
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

void cnc_channel_ref(struct cnc_channel *ch)
{
    atomic_fetch_add(&ch->refs, 1);
}

static void settle_bytes(struct cnc_channel *ch, size_t n)
{
    pthread_mutex_lock(&ch->mu);
    ch->out_bytes -= n;
    pthread_cond_signal(&ch->room);
    pthread_mutex_unlock(&ch->mu);
}

/* The carrier has released the channel. Messages that come later are dropped. */
static void channel_let_go(struct cnc_channel *ch)
{
    cnc_desk_of(ch->here)->live--;
    cnc_channel_unref(ch);
}

/* Posts a message to the request's home. CONCUR_OK: run() is called there, and must drop the reference that is taken
 * here. */
static int post_up(struct cnc_channel *ch, struct cnc_task *task, void (*run)(struct cnc_task *))
{
    task->run = run;
    cnc_channel_ref(ch);
    int rc = cnc_home_post(ch->there, task);
    if (rc < 0)
        cnc_channel_unref(ch);
    return rc;
}

void cnc_channel_give_up(struct cnc_channel *ch, int reason)
{
    pthread_mutex_lock(&ch->mu);
    bool tells = !ch->gone && ch->there && !ch->finished;
    bool unheard = !ch->gone && !ch->there;
    if (!ch->gone)
        ch->gone = reason;
    pthread_cond_signal(&ch->room);
    pthread_mutex_unlock(&ch->mu);
    if (tells)
        (void)post_up(ch, &ch->gone_task, cnc_channel_run_gone);
    else if (unheard && ch->on_left)
        ch->on_left(ch->on_left_arg);
}

/* The carrier has sent a piece that lies in a message. */
static void on_channel_piece_sent(void *arg)
{
    struct cnc_down *d = arg;
    struct cnc_channel *ch = d->m.ch;
    cnc_message_put(&d->m, ch->here);
    cnc_channel_unref(ch);
}

/* If the message is a chunk, the carrier sends the piece from there without a copy. True: so it is, and
 * on_channel_piece_sent() frees d. */
static bool lend_piece(struct cnc_down *d)
{
    if (!d->m.is_chunk || d->piece.free || d->kind != CNC_DOWN_DATA)
        return false;
    d->piece.free = on_channel_piece_sent;
    d->piece.arg = d;
    return true;
}

static void pass_bytes_down(struct cnc_channel *ch, struct cnc_down *d, struct cnc_piece *piece)
{
    struct cnc_stream *lower = &ch->lower;
    size_t cost = d->m.cost;
    int rc;
    if (d->kind == CNC_DOWN_REPLY) {
        d->reply.date = cnc_desk_date(ch->here);
        rc = lower->down->reply(lower, &d->reply, piece, d->last);
    } else if (d->kind == CNC_DOWN_INTERIM) {
        rc = lower->down->interim(lower, &d->reply);
    } else {
        rc = lower->down->data(lower, piece, d->last);
    }
    if (rc == CONCUR_AGAIN) { /* these bytes count as under way until lower_drain() */
        ch->unsettled += cost;
        lower->down->want_drain(lower, false);
        return;
    }
    settle_bytes(ch, cost);
    if (rc >= 0)
        return;
    if (lower->carrier)
        lower->down->abort(lower);
    cnc_channel_give_up(ch, rc == CONCUR_E_NOMEM ? rc : CONCUR_E_GONE);
}

/* The request was told that the upgrade works. If it does not, the new protocol is told that its connection is gone. */
static void pass_upgrade_down(struct cnc_channel *ch, struct cnc_down *d)
{
    struct cnc_stream *lower = &ch->lower;
    int rc = CONCUR_E_GONE;
    settle_bytes(ch, d->m.cost);
    d->reply.date = cnc_desk_date(ch->here);
    if (lower->carrier)
        rc = lower->down->upgrade(lower, &d->reply, d->to);
    if (rc == CONCUR_OK)
        return;
    d->to->up->gone(d->to, rc);
    if (lower->carrier)
        lower->down->abort(lower);
}

/* From now on no piece is added to the message. */
static void close_message(struct cnc_down *d)
{
    struct cnc_channel *ch = d->m.ch;
    pthread_mutex_lock(&ch->mu);
    if (ch->last_down == d)
        ch->last_down = NULL;
    pthread_mutex_unlock(&ch->mu);
}

void cnc_channel_run_down(struct cnc_task *task)
{
    struct cnc_down *d = CNC_CONTAINER(task, struct cnc_down, m.task);
    struct cnc_channel *ch = d->m.ch;
    struct cnc_stream *lower = &ch->lower;
    if (d->kind == CNC_DOWN_DATA)
        close_message(d);
    bool had = lower->carrier != NULL, lent = had && lend_piece(d);
    struct cnc_piece piece = d->piece; /* a copy, since d may be freed when the carrier returns */
    if (lent)
        cnc_channel_ref(ch);
    if (d->kind == CNC_DOWN_UPGRADE)
        pass_upgrade_down(ch, d);
    else if (!had)
        settle_bytes(ch, d->m.cost);
    else if (d->kind <= CNC_DOWN_INTERIM)
        pass_bytes_down(ch, d, &piece);
    else if (d->kind == CNC_DOWN_WANT_BODY)
        lower->down->want_body(lower, d->hold);
    else if (d->kind == CNC_DOWN_RESUME_BODY && ch->body_held) {
        ch->body_held = false;
        lower->down->resume_body(lower);
    }
    cnc_piece_drop(&piece);
    if (!lent)
        cnc_message_put(&d->m, ch->here);
    if (had && !lower->carrier)
        channel_let_go(ch);
    cnc_channel_unref(ch);
}

void cnc_channel_run_abort(struct cnc_task *task)
{
    struct cnc_channel *ch = CNC_CONTAINER(task, struct cnc_channel, abort_task);
    if (ch->lower.carrier) {
        ch->lower.down->abort(&ch->lower);
        channel_let_go(ch);
    }
    cnc_channel_unref(ch);
}

/* Adds a small piece of the body to the last message, if the request has not read that yet. False: it needs a message
 * of its own; *waits: the last message is not read yet. */
static bool channel_join_last(struct cnc_channel *ch, const char *p, size_t n, bool *waits)
{
    pthread_mutex_lock(&ch->mu);
    struct cnc_up *u = ch->last_up;
    *waits = u != NULL;
    bool joins = u && u->m.is_chunk && sizeof *u + u->n + n <= CNC_CHUNK;
    if (joins) {
        memcpy(u->data + u->n, p, n);
        u->n += n;
    }
    pthread_mutex_unlock(&ch->mu);
    return joins;
}

static int channel_send_up(struct cnc_channel *ch, const char *p, size_t n)
{
    bool waits;
    if (channel_join_last(ch, p, n, &waits))
        return CONCUR_OK;
    struct cnc_up *u = cnc_message_get(ch, ch->here, sizeof *u + n, waits);
    if (!u)
        return CONCUR_E_NOMEM;
    u->n = n;
    memcpy(u->data, p, n);
    pthread_mutex_lock(&ch->mu);
    ch->in_bytes += u->m.cost;
    ch->last_up = u;
    pthread_mutex_unlock(&ch->mu);
    if (post_up(ch, &u->m.task, cnc_channel_run_up) == CONCUR_OK)
        return CONCUR_OK;
    pthread_mutex_lock(&ch->mu);
    ch->last_up = NULL;
    pthread_mutex_unlock(&ch->mu);
    cnc_message_put(&u->m, ch->here);
    return CONCUR_E_GONE;
}

/* Takes the whole piece even if it exceeds bytes_max, since it is at most as long as one read. */
static int lower_body(struct cnc_stream *lower, const char *p, size_t n)
{
    struct cnc_channel *ch = CNC_CONTAINER(lower, struct cnc_channel, lower);
    int rc = CONCUR_OK;
    pthread_mutex_lock(&ch->mu);
    ch->body_held = ch->in_bytes > ch->bytes_max;
    pthread_mutex_unlock(&ch->mu);
    if (ch->body_held)
        return CONCUR_AGAIN;
    for (size_t most = CNC_CHUNK - sizeof(struct cnc_up); n && rc == CONCUR_OK;) {
        size_t some = n < most ? n : most;
        rc = channel_send_up(ch, p, some);
        p += some;
        n -= some;
    }
    if (rc == CONCUR_OK)
        return CONCUR_OK;
    cnc_channel_give_up(ch, CONCUR_E_NOMEM);
    return CONCUR_E_GONE;
}

static void lower_body_end(struct cnc_stream *lower)
{
    struct cnc_channel *ch = CNC_CONTAINER(lower, struct cnc_channel, lower);
    (void)post_up(ch, &ch->end_task, cnc_channel_run_end);
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
    cnc_channel_give_up(ch, reason);
    channel_let_go(ch);
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
    cnc_desk_of(here)->live++;
    ch->here = here;
    ch->upper = stream;
    ch->bytes_max = bytes_max;
    ch->peer_len = stream->down->peer(stream, ch->peer, sizeof ch->peer);
    ch->lower.up = &lower_ops;
    stream->down->move(stream, &ch->lower);
    stream->down = &cnc_channel_carrier;
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
        cnc_channel_finish(ch);
    return !gone;
}
