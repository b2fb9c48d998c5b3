/* SPDX-License-Identifier: MIT
 *
 * What a front and its workers tell each other. The first byte chooses:
 *   - the model of lending (lending_model.h), whose order of events is drawn from the input;
 *   - a front whose workers say what the input says, sense or nonsense: its books stay in order, every connection comes to
 *     an end, and no descriptor stays open;
 *   - messages to a worker of prefork, any bytes with any number of descriptors: a connection or nothing.
 */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../unit/lending_model.h"
#include "net/passing.h"
#include "serve/heads.h"
#include "serve/lend/front_internal.h"

enum { SLOTS = 3, SLOT_THREADS = 4, LOAN_PLACES = 512, CLIENTS_MAX = 12, KNOWN_MAX = 8, STEPS_MAX = 400 };

static struct cnc_home *home;
static struct cnc_driver drv;
static struct cnc_conn_limits limits;
static struct cnc_conn_ops ops;
static atomic_bool draining;
static atomic_uint open_count;
static int64_t now_ms;

/* ---- what all have ---- */

static int64_t now(void *arg)
{
    (void)arg;
    return now_ms;
}

static int refuse_request(struct cnc_conn *conn, const struct cnc_http_head *head, const char *bytes)
{
    (void)conn, (void)head, (void)bytes;
    return 503;
}

static void on_closed(struct cnc_driver *d)
{
    (void)d;
    FUZZ_ENSURE(atomic_fetch_sub(&open_count, 1) > 0);
}

static void on_short(struct cnc_driver *d, const char *what)
{
    (void)d, (void)what;
}

static void open_home(void)
{
    static const struct cnc_clock clock = { now, now, NULL };
    now_ms = 100000;
    limits.http = (struct cnc_http_limits){ .line_max = 1000, .head_max = 2000, .fields_max = 8 };
    limits.output_high = limits.output_low = limits.output_max = limits.pipeline_max = limits.linger_max = 4096;
    for (size_t i = 0; i < CNC_COUNT(limits.class_ms); i++)
        limits.class_ms[i] = 1000;
    ops = (struct cnc_conn_ops){ .request = refuse_request, .closed = on_closed, .runs_short = on_short,
                                 .handover = cnc_front_handover };
    FUZZ_ENSURE(cnc_desk_create(&home, &clock, limits.http.fields_max, false) == CONCUR_OK);
    cnc_driver_init(&drv, home, &limits, &ops, NULL, &draining);
    FUZZ_ENSURE(cnc_driver_need_loop(&drv) == CONCUR_OK);
}

static void turn(void)
{
    for (int i = 0; i < 3; i++)
        FUZZ_ENSURE(cnc_home_turn(home, 0) >= 0);
}

/* With so many copies of a descriptor. */
static bool send_raw(int link, const void *p, size_t n, int fd, unsigned count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    int fds[3] = { fd, fd, fd };
    if (count) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(count * sizeof *fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof *fds);
        memcpy(CMSG_DATA(c), fds, count * sizeof *fds);
    }
    return sendmsg(link, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

/* ---- the model ---- */

static unsigned draw(void *input, unsigned n)
{
    return fuzz_below(input, n);
}

static void run_model(struct fuzz_input *in)
{
    static struct model m;
    model_open(&m, draw, in, 0);
    for (unsigned i = 0; i < STEPS_MAX && in->n; i++)
        step(&m);
    *in = (struct fuzz_input){ 0 };
    settle(&m);
    expect_agreement(&m);
    expect_end(&m);
    model_close(&m);
}

/* ---- a front ---- */

static struct cnc_front front;
static struct cnc_ledger ledger;
static int links[SLOTS];          /* the workers' ends; -1: closed */
static int clients[CLIENTS_MAX];  /* the clients' ends; -1: none */
static uint64_t known[KNOWN_MAX]; /* loans that were read */
static unsigned known_count;
static int64_t pids;
static atomic_uint queued;

static void on_tell(struct cnc_front *f, enum cnc_front_news news, unsigned slot, int64_t ms)
{
    FUZZ_ENSURE(news <= CNC_FRONT_HELD && slot < f->cfg.workers_max && ms >= 0);
}

static void on_show(struct cnc_front *f, unsigned slot, unsigned free)
{
    FUZZ_ENSURE(slot < f->cfg.workers_max && free <= f->cfg.threads_max);
}

static void on_ready(struct cnc_front *f)
{
    (void)f;
}

static void attach(unsigned slot)
{
    int pair[2];
    if (links[slot] >= 0)
        close(links[slot]);
    FUZZ_ENSURE(cnc_passing_pair(pair, 65536) == CONCUR_OK);
    links[slot] = pair[1];
    FUZZ_ENSURE(cnc_front_attach(&front, slot, ++pids, pair[0]));
}

static void ask_once(unsigned i)
{
    static const char get[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    int pair[2];
    if (clients[i] < 0) {
        FUZZ_ENSURE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        struct cnc_conn *conn = cnc_conn_create(pair[0], &cnc_transport_plain, NULL);
        FUZZ_ENSURE(conn);
        clients[i] = pair[1];
        atomic_fetch_add(&open_count, 1);
        cnc_driver_take(&drv, conn);
    }
    (void)!send(clients[i], get, sizeof get - 1, MSG_NOSIGNAL);
}

/* The next message to a worker, which may look at what it is lent. */
static void read_loan(unsigned slot, bool takes)
{
    static char room[CNC_LOAN_ROOM];
    struct cnc_loan_note note;
    int fds[2] = { -1, -1 };
    ssize_t n = links[slot] < 0 ? -1 : cnc_passing_recv_two(links[slot], room, sizeof room, fds);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (n < (ssize_t)sizeof note)
        return;
    memcpy(&note, room, sizeof note);
    FUZZ_ENSURE(note.what == CNC_LOAN_HELLO || note.what == CNC_LOAN_LEND || note.what == CNC_LOAN_REAP);
    if (note.what == CNC_LOAN_LEND && (!takes || cnc_ledger_take(&ledger, note.id)))
        known[known_count++ % KNOWN_MAX] = note.id;
}

static uint32_t small_or_any(struct fuzz_input *in)
{
    unsigned v = fuzz_byte(in);
    return v < 250 ? v % 20 : (uint32_t)fuzz_number(in, 4);
}

/* A note with sense in most of its fields. */
static void say(struct fuzz_input *in, unsigned slot)
{
    char message[sizeof(struct cnc_loan_note) + 64];
    unsigned whose = fuzz_byte(in);
    struct cnc_loan_note note = { .what = fuzz_byte(in) % 9, .flags = fuzz_byte(in) };
    note.id = whose < 200 ? known[whose % KNOWN_MAX] : fuzz_number(in, 8);
    note.front = whose % 16 == 15 ? (uint32_t)fuzz_number(in, 4) : front.number;
    note.seen = small_or_any(in);
    note.free = small_or_any(in);
    note.others = small_or_any(in);
    note.requests = small_or_any(in);
    struct cnc_slice bytes = fuzz_take(in, fuzz_byte(in) % 65);
    memcpy(message, &note, sizeof note);
    memcpy(message + sizeof note, bytes.p, bytes.n);
    if (links[slot] >= 0)
        (void)send_raw(links[slot], message, sizeof note + bytes.n, links[slot], whose % 32 == 7);
}

static void say_bytes(struct fuzz_input *in, unsigned slot)
{
    unsigned count = fuzz_byte(in) % 4;
    struct cnc_slice bytes = fuzz_take(in, 1 + fuzz_byte(in));
    char *copy = fuzz_copy(bytes.p, bytes.n);
    if (links[slot] >= 0 && bytes.n)
        (void)send_raw(links[slot], copy, bytes.n, links[slot], count);
    free(copy);
}

static void end_worker(unsigned slot, bool is_dead)
{
    if (links[slot] >= 0)
        close(links[slot]);
    links[slot] = -1;
    if (is_dead)
        cnc_front_bury(&front, slot, cnc_front_pid(&front, slot));
}

/* INV of front_internal.h, and of the book. */
static void expect_order(void)
{
    uint32_t lent = 0, unread = 0, chained = 0, spare = 0;
    for (uint32_t i = 0; i < front.loan_count; i++) {
        lent += front.loans[i].id != 0;
        unread += front.loans[i].id && front.loans[i].is_unread;
        FUZZ_ENSURE(!front.loans[i].id || front.loans[i].slot < SLOTS);
        FUZZ_ENSURE(!front.loans[i].id || front.loans[i].conn || front.loans[i].is_for_life);
    }
    for (uint32_t i = front.loan_free; i != front.loan_count; i = front.loans[i].slot)
        FUZZ_ENSURE(i < front.loan_count && !front.loans[i].id && ++spare <= front.loan_count);
    for (unsigned s = 0; s < SLOTS; s++) {
        const struct cnc_book_row *row = &front.book.rows[s];
        uint32_t last = CNC_NO_PLACE;
        FUZZ_ENSURE(row->free <= SLOT_THREADS && row->seen <= row->sent);
        if (!front.workers[s].pid)
            continue;
        for (uint32_t i = front.workers[s].unread_first; i != CNC_NO_PLACE; i = front.loans[i].next) {
            FUZZ_ENSURE(front.loans[i].is_unread && front.loans[i].slot == s && ++chained <= front.loan_count);
            FUZZ_ENSURE(last == CNC_NO_PLACE || front.loans[last].number < front.loans[i].number);
            last = i;
        }
        FUZZ_ENSURE(front.workers[s].unread_last == last);
    }
    FUZZ_ENSURE(front.lent == lent && unread == chained && spare + lent == front.loan_count);
    FUZZ_ENSURE(front.queue_len == atomic_load(&queued));
}

static void step_front(struct fuzz_input *in)
{
    unsigned op = fuzz_byte(in), slot = (op >> 4) % SLOTS, client = (op >> 4) % CLIENTS_MAX;
    switch (op % 16) {
    case 0:
    case 1:
    case 2:
        ask_once(client);
        break;
    case 3:
    case 4:
    case 5:
        read_loan(slot, op & 0x80);
        break;
    case 6:
    case 7:
    case 8:
        say(in, slot);
        break;
    case 9:
        say_bytes(in, slot);
        break;
    case 10:
        now_ms += fuzz_byte(in) * 2;
        break;
    case 11:
        end_worker(slot, op & 0x80);
        break;
    case 12:
        attach(slot);
        break;
    case 13:
        if (clients[client] >= 0)
            close(clients[client]);
        clients[client] = -1;
        break;
    case 14:
        (void)cnc_front_ask_room(&front);
        break;
    default:
        if (op & 0x80 && !front.drains)
            cnc_front_drain(&front);
        else
            cnc_front_retire(&front, slot, cnc_front_pid(&front, slot));
    }
}

static void open_front(unsigned how)
{
    struct cnc_front_config cfg = { .workers_max = SLOTS, .workers = SLOTS, .threads_max = SLOT_THREADS, .queue_max = 6,
                                    .queue_timeout_ms = 300, .for_life = how & 1, .queued = &queued,
                                    .connections = &open_count, .ledger = &ledger, .ready = on_ready, .show = on_show,
                                    .tell = on_tell };
    FUZZ_ENSURE(cnc_front_open(&front, &drv, &cfg) == CONCUR_OK);
    known_count = 0;
    for (unsigned i = 0; i < KNOWN_MAX; i++)
        known[i] = 0;
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        clients[i] = -1;
    for (unsigned i = 0; i < SLOTS; i++) {
        links[i] = -1;
        if (how & 2)
            attach(i);
    }
}

/* As at a stop. */
static void close_front(void)
{
    if (!front.drains)
        cnc_front_drain(&front);
    cnc_front_close(&front);
    drv.lender = NULL;
    for (unsigned i = 0; i < SLOTS; i++)
        if (links[i] >= 0)
            close(links[i]);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (clients[i] >= 0)
            close(clients[i]);
    cnc_driver_cancel(&drv, CONCUR_E_STOPPING);
    turn();
    FUZZ_ENSURE(drv.count == 0 && drv.illegal == 0);
    FUZZ_ENSURE(atomic_load(&open_count) == 0 && atomic_load(&queued) == 0);
}

static void run_front(struct fuzz_input *in, unsigned how)
{
    open_front(how);
    cnc_front_begin(&front);
    for (unsigned i = 0; i < STEPS_MAX && in->n; i++) {
        step_front(in);
        FUZZ_ENSURE(cnc_home_turn(home, 0) >= 0);
        expect_order();
    }
    turn();
    expect_order();
    close_front();
}

/* ---- heads ---- */

/* As serve/heads.c has it. */
struct head {
    int64_t at;
    uint32_t requests, last;
};

static void take_one(struct cnc_driver *d, int link, struct fuzz_input *in)
{
    static char room[CNC_HEADS_ROOM];
    concur_server *server = d->owner;
    unsigned count = fuzz_byte(in) % 4;
    struct cnc_slice bytes = fuzz_take(in, 1 + fuzz_byte(in));
    struct cnc_conn *conn;
    if (bytes.n == 0 || !send_raw(link, bytes.p, bytes.n, link, count))
        return;
    int rc = cnc_heads_take(d, room, &conn);
    FUZZ_ENSURE(rc == (bytes.n >= sizeof(struct head) && count > 0 && count < 3 ? CONCUR_OK : CONCUR_AGAIN));
    FUZZ_ENSURE((rc == CONCUR_OK) == (conn != NULL));
    if (!conn)
        return;
    struct head head;
    memcpy(&head, bytes.p, sizeof head);
    struct cnc_slice rest = { bytes.p + sizeof head, bytes.n - sizeof head };
    FUZZ_ENSURE(conn->deadline == head.at && conn->requests == head.requests);
    FUZZ_ENSURE(((conn->flags & CNC_CONN_LAST) != 0) == (head.last != 0));
    FUZZ_ENSURE(cnc_slice_equal(cnc_conn_input(conn), rest));
    atomic_fetch_add(&server->connections, 1);
    atomic_fetch_add(&open_count, 1);
    cnc_conn_forget(d, conn);
}

static void run_heads(struct fuzz_input *in)
{
    static concur_server server;
    int pair[2];
    FUZZ_ENSURE(cnc_passing_pair(pair, 65536) == CONCUR_OK);
    server.place.lend = pair[1];
    drv.owner = &server;
    while (in->n)
        take_one(&drv, pair[0], in);
    close(pair[0]);
    struct cnc_conn *conn;
    char byte;
    FUZZ_ENSURE(cnc_heads_take(&drv, &byte, &conn) == CONCUR_E_GONE && !conn);
    close(pair[1]);
    drv.owner = NULL;
    FUZZ_ENSURE(atomic_load(&open_count) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    if (!home) {
        open_home();
        FUZZ_ENSURE(cnc_ledger_open(&ledger, LOAN_PLACES));
    }
    const unsigned held = fuzz_descriptors(), how = fuzz_byte(&in);
    if (how % 4 == 0)
        run_model(&in);
    else if (how % 4 == 3)
        run_heads(&in);
    else
        run_front(&in, how >> 2);
    FUZZ_ENSURE(fuzz_descriptors() == held);
    return 0;
}
