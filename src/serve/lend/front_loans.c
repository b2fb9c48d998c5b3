/* SPDX-License-Identifier: MIT
 *
 * Connections that are lent: their places, sending them to a worker, getting them back, and what happens when a worker
 * dies, refuses them, or does not read them.
 */
#include <linux/tcp.h>
#include <netinet/in.h>

#include "base/error.h"
#include "base/sys.h"
#include "conn/early.h"
#include "net/passing.h"
#include "serve/lend/front_internal.h"

#define CLOSE_WAIT 8  /* tcpi_state: <netinet/tcp.h> names it, but cannot be included beside <linux/tcp.h> */
#define UNREAD_MS 100 /* if a worker has not read a loan for so long, its unread loans go to other workers */

/* ---- places ---- */

static bool make_places(struct cnc_front *f)
{
    uint32_t n = f->loan_count ? f->loan_count * 2 : 256;
    struct cnc_loan *grown = n <= CNC_LEDGER_PLACES ? cnc_realloc(f->loans, n * sizeof *grown) : NULL;
    if (!grown)
        return false;
    for (uint32_t i = f->loan_count; i < n; i++)
        grown[i] = (struct cnc_loan){ .slot = i + 1 };
    f->loans = grown;
    f->loan_free = f->loan_count;
    f->loan_count = n;
    return true;
}

void cnc_front_count(struct cnc_front *f, int change)
{
    if (change > 0)
        (void)atomic_fetch_add(f->cfg.connections, (unsigned)change);
    for (; change < 0; change++)
        f->drv->ops->closed(f->drv);
}

/* before: the place before it in the list; CNC_NO_PLACE: it is the first. */
static void unlink_unread(struct cnc_front_worker *w, uint32_t before, uint32_t place)
{
    struct cnc_loan *loans = w->front->loans;
    if (before == CNC_NO_PLACE)
        w->unread_first = loans[place].next;
    else
        loans[before].next = loans[place].next;
    if (w->unread_last == place)
        w->unread_last = before;
    loans[place].is_unread = false;
}

static void push_unread(struct cnc_front_worker *w, uint32_t place)
{
    struct cnc_front *f = w->front;
    if (w->unread_last == CNC_NO_PLACE)
        w->unread_first = place;
    else
        f->loans[w->unread_last].next = place;
    w->unread_last = place;
    cnc_front_wake_by(f, f->loans[place].sent_at + UNREAD_MS);
}

/* The connection is the worker's for life: closes the front's copy. */
static void loans_give_away(struct cnc_front *f, struct cnc_loan *loan)
{
    struct cnc_conn *conn = loan->conn;
    loan->conn = NULL;
    if (!f->drains)
        cnc_front_count(f, 1); /* cnc_conn_forget() takes one off, and the connection stays open */
    cnc_conn_forget(f->drv, conn);
}

/* The worker has read the first of its unread loans. Unless it has refused it, the loan will not be lent again. */
static void was_read(struct cnc_front_worker *w)
{
    struct cnc_front *f = w->front;
    struct cnc_loan *loan = &f->loans[w->unread_first];
    struct cnc_conn *conn = loan->conn;
    unlink_unread(w, CNC_NO_PLACE, w->unread_first);
    if (loan->is_refused)
        return;
    cnc_book_taken(&f->book, w->slot, loan->number);
    cnc_conn_free_input(conn);
    if (loan->is_for_life)
        loans_give_away(f, loan);
}

/* Frees the place. Returns the connection; NULL: the worker had it for life. */
static struct cnc_conn *end_loan(struct cnc_front *f, uint32_t place)
{
    struct cnc_loan *loan = &f->loans[place];
    struct cnc_conn *conn = loan->conn;
    CNC_ASSERT(!loan->is_unread);
    if (loan->is_for_life)
        cnc_book_lease_ended(&f->book, loan->slot);
    *loan = (struct cnc_loan){ .slot = f->loan_free };
    f->loan_free = place;
    f->lent--;
    return conn;
}

/* As the kernel counts them. The end of the peer's input counts as a byte there. */
static struct cnc_traffic look_at(int fd)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans)
        return (struct cnc_traffic){ 0 };
    unsigned ends = info.tcpi_state == CLOSE_WAIT;
    return (struct cnc_traffic){ .written = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes,
                                 .read = info.tcpi_bytes_received - ends - cnc_sys_inq(fd),
                                 .is_known = true };
}

/* ---- to a worker ---- */

/* For more bytes than a message can have. As send_loan(). */
static int send_in_file(int link, struct cnc_loan_note *note, struct cnc_slice bytes, int fd)
{
    int fds[2] = { fd, cnc_sys_memory_file("concur head") };
    struct iovec iov = { note, sizeof *note };
    int rc = CONCUR_OK;
    for (size_t at = 0; fds[1] >= 0 && at < bytes.n && rc == CONCUR_OK;) {
        ssize_t n = cnc_sys_write(fds[1], bytes.p + at, bytes.n - at);
        if (n < 0 && errno != EINTR)
            rc = CONCUR_E_NOMEM;
        at += n > 0 ? (size_t)n : 0;
    }
    note->flags |= CNC_LOAN_IN_FILE;
    note->in_file = (uint32_t)bytes.n;
    if (fds[1] < 0)
        rc = CONCUR_E_NOMEM;
    if (rc == CONCUR_OK)
        rc = cnc_passing_send_two(link, &iov, 1, fds);
    cnc_sys_close(&fds[1]);
    return rc;
}

/* As cnc_passing_send_two(); CONCUR_E_NOMEM: the file could not be made. */
static int send_loan(int link, struct cnc_loan_note *note, struct cnc_slice bytes, int fd)
{
    struct iovec iov[2] = { { note, sizeof *note }, { (void *)(uintptr_t)bytes.p, bytes.n } };
    int rc = bytes.n <= CNC_LOAN_BYTES ? cnc_passing_send(link, iov, 2, fd, false) : CONCUR_E_LIMIT;
    return rc == CONCUR_E_LIMIT ? send_in_file(link, note, bytes, fd) : rc;
}

/* CONCUR_OK; CONCUR_AGAIN: the worker's link is full; CONCUR_E_FULL: the system has no room, whatever the link;
 * CONCUR_E_GONE: nothing can be sent to the worker any more; CONCUR_E_NOMEM. */
static int lend_to(struct cnc_front_worker *w, struct cnc_conn *conn)
{
    struct cnc_front *f = w->front;
    int fd = cnc_io_fd(&conn->io);
    bool last = (conn->flags & CNC_CONN_LAST) || atomic_load_explicit(f->drv->draining, memory_order_relaxed);
    bool for_life = cnc_front_is_for_life(f, conn), lease = (conn->flags & CNC_CONN_LEASE) != 0;
    if (f->loan_free == f->loan_count && !make_places(f))
        return CONCUR_E_NOMEM;
    uint32_t place = f->loan_free;
    uint32_t continued = cnc_early_is_continued(conn) ? CNC_LOAN_CONTINUED : 0u;
    struct cnc_loan_note note = { .what = CNC_LOAN_LEND, .requests = conn->requests, .at = conn->deadline,
                                  .body_ms = (uint32_t)(cnc_early_asked_at(conn) - conn->deadline),
                                  .flags = continued | (last ? CNC_LOAN_LAST : 0u) | (for_life ? CNC_LOAN_FOR_LIFE : 0u) |
                                           (conn->flags & CNC_CONN_COPIED ? CNC_LOAN_COPIED : 0u) |
                                           (lease ? CNC_LOAN_LEASE : 0u),
                                  .listener = lease ? f->cfg.listener_of(f, cnc_conn_lease_factory(conn)) : 0u,
                                  .id = cnc_loan_number(f->number, ++f->uses, place) };
    struct cnc_traffic before = for_life ? (struct cnc_traffic){ 0 } : look_at(fd);
    cnc_ledger_lend(f->cfg.ledger, note.id);
    int rc = send_loan(cnc_io_fd(&w->io), &note, cnc_conn_input(conn), fd);
    if (rc != CONCUR_OK)
        return rc;
    f->loan_free = f->loans[place].slot;
    f->loans[place] = (struct cnc_loan){ .id = note.id, .conn = conn, .sent_at = cnc_home_now(f->drv->home),
                                         .before = before, .slot = w->slot, .next = CNC_NO_PLACE, .is_unread = true,
                                         .is_for_life = for_life, .number = cnc_book_sent(&f->book, w->slot, for_life) };
    f->lent++;
    push_unread(w, place);
    cnc_front_show(f, w->slot);
    return CONCUR_OK;
}

bool cnc_front_may_lend(const struct cnc_front *f, const struct cnc_conn *conn)
{
    int64_t now = cnc_home_now(f->drv->home);
    return now >= f->hold_until && cnc_book_pick(&f->book, cnc_front_is_for_life(f, conn), conn->exchange.tries, now) != CNC_BOOK_WAIT;
}

int cnc_front_lend(struct cnc_front *f, struct cnc_conn *conn)
{
    int64_t now = cnc_home_now(f->drv->home);
    while (now >= f->hold_until) {
        int slot = cnc_book_pick(&f->book, cnc_front_is_for_life(f, conn), conn->exchange.tries, now);
        if (slot < 0)
            return slot == CNC_BOOK_NOBODY ? CONCUR_E_FULL : CONCUR_AGAIN;
        struct cnc_front_worker *w = &f->workers[slot];
        int rc = lend_to(w, conn);
        if (rc == CONCUR_OK)
            return rc;
        if (rc == CONCUR_AGAIN) {
            cnc_book_set(&f->book, w->slot, CNC_BOOK_CLOGGED, true);
            cnc_front_watch(w);
        } else if (rc == CONCUR_E_GONE) {
            cnc_front_shut(w); /* it stops, or is dead; the master will report its end */
        } else if (rc == CONCUR_E_FULL) {
            f->hold_until = now + CNC_NO_ROOM_MS;
        } else {
            return rc;
        }
    }
    return CONCUR_AGAIN;
}

/* ---- from a worker ---- */

static void answer(struct cnc_front *f, struct cnc_conn *conn, int status)
{
    conn->state = CNC_CONN_IDLE;
    cnc_driver_refuse(f->drv, conn, status);
}

/* The worker has closed its descriptor. If the socket has unread input, a close would reset it, and the client could
 * lose the last reply. So the connection lingers then. */
static void loans_hang_up(struct cnc_front *f, struct cnc_conn *conn, uint32_t flags)
{
    if (!conn) {
        if (!f->drains)
            cnc_front_count(f, -1);
        return;
    }
    if (flags & CNC_LOAN_CUT)
        conn->flags |= CNC_CONN_RESET;
    if ((flags & CNC_LOAN_CUT) || cnc_sys_inq(cnc_io_fd(&conn->io)) == 0) {
        cnc_conn_end(f->drv, conn);
        return;
    }
    conn->flags = (conn->flags & CNC_CONN_COPIED) | CNC_CONN_MUST_LINGER | CNC_CONN_LAST;
    conn->state = CNC_CONN_FLUSH;
    cnc_driver_take(f->drv, conn);
}

static void take_idle(struct cnc_front *f, struct cnc_conn *conn)
{
    conn->flags &= CNC_CONN_COPIED;
    conn->state = CNC_CONN_IDLE;
    cnc_driver_take(f->drv, conn);
}

static void loans_take_back(struct cnc_front *f, struct cnc_conn *conn, const struct cnc_loan_note *note, const char *bytes, size_t n)
{
    if (!conn) {
        loans_hang_up(f, conn, 0); /* wrong, as it was lent for life: now nobody has it */
        return;
    }
    conn->requests = note->requests;
    if (note->flags & CNC_LOAN_COPIED)
        conn->flags |= CNC_CONN_COPIED;
    if (n && cnc_conn_preload(conn, bytes, n) < 0)
        cnc_conn_end(f->drv, conn);
    else
        take_idle(f, conn);
}

/* The worker keeps the connection. Without conn the message is wrong: it has it for life already. */
static void loans_keep(struct cnc_front *f, struct cnc_loan *loan)
{
    if (!loan->conn)
        return;
    loan->is_for_life = true;
    cnc_book_lease_began(&f->book, loan->slot);
    loans_give_away(f, loan);
}

static void refused(struct cnc_front_worker *w, struct cnc_conn *conn, uint32_t flags)
{
    struct cnc_front *f = w->front;
    if (!(flags & CNC_LOAN_BUSY)) {
        cnc_book_refused(&f->book, w->slot, cnc_home_now(f->drv->home));
        conn->exchange.tries++;
        f->cfg.tell(f, CNC_FRONT_REFUSED, w->slot, 0);
    }
    cnc_front_lend_again(f, conn);
}

void cnc_front_on_loan_note(struct cnc_front_worker *w, const struct cnc_loan_note *note, const char *bytes, size_t n)
{
    struct cnc_front *f = w->front;
    uint32_t place = cnc_loan_place(note->id);
    struct cnc_loan *loan = note->id && place < f->loan_count && f->loans[place].id == note->id &&
                            f->loans[place].slot == w->slot ? &f->loans[place] : NULL;
    bool is_refused = loan && loan->is_unread && note->what == CNC_LOAN_REFUSED;
    if (is_refused)
        loan->is_refused = true;
    while (w->unread_first != CNC_NO_PLACE && (int32_t)(f->book.rows[w->slot].seen - f->loans[w->unread_first].number) >= 0)
        was_read(w);
    if (!loan || loan->is_unread || (note->what == CNC_LOAN_REFUSED && !is_refused))
        return; /* the loan has ended before, or the message is wrong */
    if (note->what == CNC_LOAN_REFUSED)
        refused(w, end_loan(f, place), note->flags);
    else if (note->what == CNC_LOAN_RETURN)
        loans_take_back(f, end_loan(f, place), note, bytes, n);
    else if (note->what == CNC_LOAN_KEPT)
        loans_keep(f, loan);
    else if (note->what == CNC_LOAN_GONE)
        loans_hang_up(f, end_loan(f, place), note->flags);
}

/* ---- unread loans ---- */

bool cnc_front_revoke(struct cnc_front_worker *w)
{
    struct cnc_front *f = w->front;
    struct cnc_link back;
    uint32_t before = CNC_NO_PLACE, next;
    cnc_link_init(&back);
    for (uint32_t place = w->unread_first; place != CNC_NO_PLACE; place = next) {
        next = f->loans[place].next;
        if (!cnc_ledger_revoke(f->cfg.ledger, f->loans[place].id)) {
            before = place;
            continue;
        }
        unlink_unread(w, before, place);
        struct cnc_conn *conn = end_loan(f, place);
        conn->flags |= CNC_CONN_COPIED;
        cnc_link_append(&back, &conn->job.link);
        f->revoked++;
    }
    bool any = !cnc_link_alone(&back);
    while (!cnc_link_alone(&back))
        cnc_front_lend_again(f, CNC_CONTAINER(cnc_link_take_first(&back), struct cnc_conn, job.link));
    return any;
}

/* The first loan that the ledger does not show as taken; CNC_NO_PLACE: there is none. */
static uint32_t first_untaken(const struct cnc_front_worker *w)
{
    const struct cnc_front *f = w->front;
    uint32_t place = w->unread_first;
    while (place != CNC_NO_PLACE && cnc_ledger_is_taken(f->cfg.ledger, f->loans[place].id))
        place = f->loans[place].next;
    return place;
}

static void look_at_worker(struct cnc_front_worker *w, int64_t now)
{
    struct cnc_front *f = w->front;
    uint32_t place = first_untaken(w);
    if (place == CNC_NO_PLACE)
        return;
    int64_t until = f->loans[place].sent_at + UNREAD_MS;
    if (now < until) {
        cnc_front_wake_by(f, until);
        return;
    }
    cnc_book_stuck(&f->book, w->slot); /* first, so that the loans taken back do not go to the same worker again */
    if (cnc_front_revoke(w))
        f->cfg.tell(f, CNC_FRONT_STUCK, w->slot, 0);
    else
        cnc_book_set(&f->book, w->slot, CNC_BOOK_STUCK, false);
}

void cnc_front_look_at_unread(struct cnc_front *f, int64_t now)
{
    for (unsigned i = 0; i < f->cfg.workers_max; i++)
        if (f->workers[i].pid)
            look_at_worker(&f->workers[i], now);
}

/* ---- loans of a dead worker ---- */

static void forget_unread(struct cnc_front_worker *w)
{
    while (w->unread_first != CNC_NO_PLACE)
        unlink_unread(w, CNC_NO_PLACE, w->unread_first);
}

/* A connection without a request goes on here. If no byte of the reply was written, the client gets 502. Else the
 * connection is cut off. Wrong values in the ledger harm only connections of the worker that wrote them. */
static void judge(struct cnc_front *f, uint32_t place)
{
    struct cnc_ledger_entry row = cnc_ledger_read(f->cfg.ledger, f->loans[place].id);
    struct cnc_traffic before = f->loans[place].before;
    struct cnc_conn *conn = end_loan(f, place);
    cnc_conn_free_input(conn);
    conn->flags |= CNC_CONN_COPIED; /* children of the worker may live on */
    struct cnc_traffic now = look_at(cnc_io_fd(&conn->io));
    uint64_t written = now.written - before.written;
    if (row.told != CNC_LEDGER_UNKNOWN && row.whole > row.told >> 1 && written == row.whole)
        row.told = row.whole << 1; /* all of the last reply was sent, but the worker died before progress() */
    bool is_silent = now.is_known && before.is_known && row.told != CNC_LEDGER_UNKNOWN && written == row.told >> 1;
    bool is_idle = !(row.told & 1) && now.read - before.read == row.read;
    f->lost++;
    if (is_silent && !is_idle) {
        answer(f, conn, 502);
    } else if (is_silent) {
        take_idle(f, conn);
    } else {
        conn->flags |= CNC_CONN_RESET; /* so that the client sees that the reply is not complete */
        cnc_conn_end(f->drv, conn);
    }
}

void cnc_front_inherit(struct cnc_front_worker *w)
{
    struct cnc_front *f = w->front;
    forget_unread(w);
    for (uint32_t i = 0; i < f->loan_count; i++) {
        if (!f->loans[i].id || f->loans[i].slot != w->slot)
            continue;
        if (f->loans[i].conn)
            judge(f, i);
        else
            loans_hang_up(f, end_loan(f, i), 0);
    }
}

void cnc_front_give_up_loans(struct cnc_front *f)
{
    for (unsigned i = 0; i < f->cfg.workers_max; i++)
        if (f->workers[i].pid)
            forget_unread(&f->workers[i]);
    for (uint32_t i = 0; i < f->loan_count; i++) {
        struct cnc_conn *conn = f->loans[i].id ? end_loan(f, i) : NULL;
        if (conn)
            cnc_conn_forget(f->drv, conn);
    }
}
