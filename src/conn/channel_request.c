/* SPDX-License-Identifier: MIT
 *
 * The end of a channel at the request, which takes it for its carrier.
 */
#include "conn/channel_internal.h"

/* Waits until n more bytes may be under way, and counts them. A message over bytes_max waits until no other is under
 * way. */
static int channel_request_wait_for_room(struct cnc_channel *ch, size_t n)
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

void cnc_channel_finish(struct cnc_channel *ch)
{
    pthread_mutex_lock(&ch->mu);
    ch->finished = true;
    pthread_mutex_unlock(&ch->mu);
    ch->upper->carrier = NULL;
    ch->upper = NULL;
    for (struct cnc_task *t = ch->in.head, *next; t; t = next) {
        next = t->next;
        cnc_message_put(CNC_CONTAINER(t, struct cnc_message, task), ch->there);
        cnc_channel_unref(ch);
    }
    ch->in = (struct cnc_tasks){ 0 };
    if (ch->made)
        cnc_message_put(&ch->made->m, ch->there);
    ch->made = NULL;
    cnc_channel_unref(ch);
}

static char *put_text(char *at, struct cnc_slice *s)
{
    if (s->n)
        memcpy(at, s->p, s->n);
    s->p = at;
    return at + s->n;
}

/* The bytes that channel_request_put_pairs() writes. */
static size_t channel_request_pairs_size(const struct cnc_http_pairs *pairs)
{
    size_t n = pairs->n * sizeof *pairs->p;
    for (uint32_t i = 0; i < pairs->n; i++)
        n += pairs->p[i].name.n + pairs->p[i].value.n;
    return n;
}

static char *channel_request_put_pairs(char *at, struct cnc_http_pairs *pairs)
{
    struct cnc_http_pair *copy = (struct cnc_http_pair *)(void *)at;
    if (pairs->n)
        memcpy(copy, pairs->p, pairs->n * sizeof *copy);
    pairs->p = copy;
    at += pairs->n * sizeof *copy;
    for (uint32_t i = 0; i < pairs->n; i++)
        at = put_text(put_text(at, &copy[i].name), &copy[i].value);
    return at;
}

/* Adds a small piece to the last message, if the carrier's home has not read that yet. False: it needs a message of its
 * own; *waits: the last message is not read yet. */
static bool channel_request_join_last(struct cnc_channel *ch, const struct cnc_piece *piece, bool *waits)
{
    pthread_mutex_lock(&ch->mu);
    struct cnc_down *d = ch->last_down;
    *waits = d != NULL;
    bool joins = d && !ch->gone && d->m.is_chunk && sizeof *d + d->piece.n + piece->n <= CNC_CHUNK;
    if (joins) {
        memcpy(d->text + d->piece.n, piece->p, piece->n);
        d->piece.n += piece->n;
    }
    pthread_mutex_unlock(&ch->mu);
    return joins;
}

/* The message in which the piece lies, or a new one of n bytes. NULL: out of memory, or the piece is too large. */
static struct cnc_down *message_for(struct cnc_channel *ch, const struct cnc_piece *piece, size_t n, bool is_joined)
{
    struct cnc_down *d = ch->made;
    if (!d || piece->p != d->text)
        return piece->n > CNC_PIECE_MAX ? NULL : cnc_message_get(ch, ch->there, n, is_joined);
    ch->made = NULL;
    return d;
}

/* From now on small pieces are added to d. NULL: to no message that was sent so far. */
static void set_last(struct cnc_channel *ch, struct cnc_down *d)
{
    pthread_mutex_lock(&ch->mu);
    ch->last_down = d;
    pthread_mutex_unlock(&ch->mu);
}

static int post_down(struct cnc_channel *ch, struct cnc_down *d)
{
    d->m.task.run = cnc_channel_run_down;
    cnc_channel_ref(ch);
    if (cnc_home_post(ch->here, &d->m.task) == CONCUR_OK)
        return CONCUR_OK;
    set_last(ch, NULL);
    cnc_piece_drop(&d->piece);
    cnc_message_put(&d->m, ch->there);
    cnc_channel_unref(ch);
    return CONCUR_E_GONE;
}

static int send_down(struct cnc_channel *ch, enum cnc_down_kind kind, const struct cnc_http_reply *r, struct cnc_piece *piece,
                     struct cnc_stream *to, bool last, bool is_joined)
{
    size_t text = r ? channel_request_pairs_size(&r->fields) + r->type.n : 0;
    size_t copied = piece->free ? 0 : piece->n;
    struct cnc_down *d = message_for(ch, piece, sizeof *d + text + copied, is_joined);
    size_t cost = d ? d->m.cost + (piece->free ? piece->n : 0) : 0;
    int rc = d ? channel_request_wait_for_room(ch, cost) : CONCUR_E_NOMEM;
    if (rc < 0) {
        cnc_piece_drop(piece);
        if (d)
            cnc_message_put(&d->m, ch->there);
        return rc;
    }
    *d = (struct cnc_down){ .m = d->m, .kind = kind, .last = last, .piece = *piece, .to = to };
    d->m.cost = cost;
    char *at = d->text;
    if (r) {
        d->reply = *r;
        at = channel_request_put_pairs(at, &d->reply.fields); /* first: the array must be aligned */
        at = put_text(at, &d->reply.type);
    }
    if (copied && piece->p != at)
        memcpy(at, piece->p, copied);
    if (copied)
        d->piece.p = at;
    *piece = (struct cnc_piece){ 0 };
    set_last(ch, kind == CNC_DOWN_DATA && copied && !last ? d : NULL);
    rc = post_down(ch, d);
    if (rc == CONCUR_OK && last)
        cnc_channel_finish(ch);
    return rc;
}

static char *channel_room(struct cnc_stream *stream, size_t *n)
{
    struct cnc_channel *ch = stream->carrier;
    if (!ch->made)
        ch->made = cnc_message_get(ch, ch->there, CNC_CHUNK, true);
    *n = CNC_CHUNK - sizeof *ch->made;
    return ch->made ? ch->made->text : NULL;
}

static int channel_reply(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_piece *piece, bool last)
{
    cnc_http_reply_frame(r); /* for the request, which may look at it; the carrier does it again */
    return send_down(stream->carrier, CNC_DOWN_REPLY, r, piece, NULL, last, false);
}

static int channel_data(struct cnc_stream *stream, struct cnc_piece *piece, bool last)
{
    bool waits = false;
    if (!last && !piece->free && piece->n && channel_request_join_last(stream->carrier, piece, &waits))
        return CONCUR_OK;
    return send_down(stream->carrier, CNC_DOWN_DATA, NULL, piece, NULL, last, waits);
}

static int channel_interim(struct cnc_stream *stream, const struct cnc_http_reply *r)
{
    struct cnc_piece none = { 0 };
    return send_down(stream->carrier, CNC_DOWN_INTERIM, r, &none, NULL, false, false);
}

/* The protocol goes to the connection's home, and the request is over. */
static int channel_upgrade(struct cnc_stream *stream, struct cnc_http_reply *r, struct cnc_stream *to)
{
    struct cnc_channel *ch = stream->carrier;
    struct cnc_piece none = { 0 };
    return send_down(ch, CNC_DOWN_UPGRADE, r, &none, to, true, false);
}

static void channel_request_tell(struct cnc_channel *ch, enum cnc_down_kind kind, bool hold)
{
    struct cnc_down *d = cnc_message_get(ch, ch->there, sizeof *d, false);
    if (!d) {
        cnc_channel_give_up(ch, CONCUR_E_NOMEM); /* else both sides would wait for ever */
        return;
    }
    *d = (struct cnc_down){ .m = d->m, .kind = kind, .hold = hold };
    (void)post_down(ch, d);
}

static void channel_abort(struct cnc_stream *stream)
{
    struct cnc_channel *ch = stream->carrier;
    ch->abort_task.run = cnc_channel_run_abort;
    cnc_channel_ref(ch);
    if (cnc_home_post(ch->here, &ch->abort_task) < 0)
        cnc_channel_unref(ch);
    cnc_channel_finish(ch);
}

static void channel_want_body(struct cnc_stream *stream, bool hold)
{
    channel_request_tell(stream->carrier, CNC_DOWN_WANT_BODY, hold);
}

static void hand_up(struct cnc_channel *ch);

static void on_channel_request_hand_up(struct cnc_task *task)
{
    struct cnc_message *m = CNC_CONTAINER(task, struct cnc_message, task);
    struct cnc_channel *ch = m->ch;
    cnc_message_put(m, ch->there);
    if (ch->upper)
        hand_up(ch);
    cnc_channel_unref(ch);
}

/* Has run() called in a later task: a call of the request must not be answered with a callback. */
static void later(struct cnc_channel *ch, void (*run)(struct cnc_task *))
{
    struct cnc_message *m = cnc_message_get(ch, ch->there, sizeof *m, false);
    if (!m) {
        cnc_channel_give_up(ch, CONCUR_E_NOMEM);
        return;
    }
    m->task.run = run;
    cnc_channel_ref(ch);
    cnc_home_defer(ch->there, &m->task);
}

static void channel_resume_body(struct cnc_stream *stream)
{
    struct cnc_channel *ch = stream->carrier;
    ch->in_paused = false;
    later(ch, on_channel_request_hand_up);
}

static bool channel_is_full(struct cnc_stream *stream)
{
    (void)stream;
    return false; /* a write waits for room instead */
}

static bool channel_is_over(struct cnc_stream *stream, size_t n)
{
    (void)stream;
    (void)n;
    return false; /* as in channel_is_full() */
}

static void on_channel_request_drain(struct cnc_task *task)
{
    struct cnc_message *m = CNC_CONTAINER(task, struct cnc_message, task);
    struct cnc_channel *ch = m->ch;
    cnc_message_put(m, ch->there);
    if (ch->upper)
        ch->upper->up->drain(ch->upper);
    cnc_channel_unref(ch);
}

static void channel_want_drain(struct cnc_stream *stream, bool whole)
{
    (void)whole;
    later(stream->carrier, on_channel_request_drain);
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

const struct cnc_carrier_ops cnc_channel_carrier = {
    .room = channel_room,
    .reply = channel_reply,
    .data = channel_data,
    .interim = channel_interim,
    .abort = channel_abort,
    .want_body = channel_want_body,
    .resume_body = channel_resume_body,
    .is_full = channel_is_full,
    .is_over = channel_is_over,
    .want_drain = channel_want_drain,
    .upgrade = channel_upgrade,
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
    channel_abort(upper); /* if this side gave up, the carrier is still there */
    upper->up->gone(upper, gone);
}

static struct cnc_up *pop_piece(struct cnc_channel *ch)
{
    struct cnc_up *u = CNC_CONTAINER(ch->in.head, struct cnc_up, m.task);
    ch->in.head = u->m.task.next;
    if (!ch->in.head)
        ch->in.last = NULL;
    return u;
}

static void put_piece_back(struct cnc_channel *ch, struct cnc_up *u)
{
    u->m.task.next = ch->in.head;
    if (!ch->in.head)
        ch->in.last = &u->m.task;
    ch->in.head = &u->m.task;
}

static void piece_taken(struct cnc_channel *ch, struct cnc_up *u)
{
    pthread_mutex_lock(&ch->mu);
    bool was_full = ch->in_bytes > ch->bytes_max;
    ch->in_bytes -= u->m.cost;
    bool has_room = ch->in_bytes <= ch->bytes_max;
    pthread_mutex_unlock(&ch->mu);
    cnc_message_put(&u->m, ch->there);
    if (was_full && has_room)
        channel_request_tell(ch, CNC_DOWN_RESUME_BODY, false);
    cnc_channel_unref(ch);
}

/* Gives the request pieces of its body, in order, until it takes none; after the last one its end. The caller has a
 * reference. */
static void hand_up(struct cnc_channel *ch)
{
    while (ch->in.head && !ch->in_paused) {
        struct cnc_up *u = pop_piece(ch); /* before the call, which may end the reply and so free the pieces in the list */
        if (ch->in_refused) {
            piece_taken(ch, u);
            continue;
        }
        ch->in_paused = true;         /* before the call, which may already resume */
        int rc = ch->upper->up->body(ch->upper, u->data, u->n);
        if (!ch->upper) {
            cnc_message_put(&u->m, ch->there);
            cnc_channel_unref(ch);
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

void cnc_channel_run_up(struct cnc_task *task)
{
    struct cnc_up *u = CNC_CONTAINER(task, struct cnc_up, m.task);
    struct cnc_channel *ch = u->m.ch;
    pthread_mutex_lock(&ch->mu);
    if (ch->last_up == u)
        ch->last_up = NULL; /* from now on no piece is added to it */
    pthread_mutex_unlock(&ch->mu);
    if (!ch->upper) {
        cnc_message_put(&u->m, ch->there);
        cnc_channel_unref(ch);
        return;
    }
    task->next = NULL;
    if (ch->in.last)
        ch->in.last->next = task;
    else
        ch->in.head = task;
    ch->in.last = task;
    cnc_channel_ref(ch); /* piece_taken() drops the message's reference */
    hand_up(ch);
    cnc_channel_unref(ch);
}

void cnc_channel_run_end(struct cnc_task *task)
{
    struct cnc_channel *ch = CNC_CONTAINER(task, struct cnc_channel, end_task);
    if (ch->upper) {
        ch->in_end = true;
        hand_up(ch);
    }
    cnc_channel_unref(ch);
}

void cnc_channel_run_gone(struct cnc_task *task)
{
    struct cnc_channel *ch = CNC_CONTAINER(task, struct cnc_channel, gone_task);
    if (ch->upper)
        lost(ch);
    cnc_channel_unref(ch);
}
