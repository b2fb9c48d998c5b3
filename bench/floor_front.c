/* SPDX-License-Identifier: MIT
 *
 * Processes of blocking threads behind a front. The front accepts, reads whole heads in an epoll loop, and lends the
 * connection, descriptor and bytes in one message, to the one of `--workers N` (2) processes that has most of its
 * `--threads N` (32) free. A thread answers, stays for STAY_MS for further requests unless somebody waits for a thread,
 * and gives the connection back: the front, which has kept its descriptor, watches it again or closes it.
 */
#include <sys/mman.h>

#include "floor_block.h"
#include "floor_loop.h"
#include "floor_procs.h"

enum { STAY_MS = 10, WORKERS_MAX = 64, NOTES = 16 };

/* Known to the front only; a worker gives its address back as it came. */
struct client {
    struct floor_conn conn; /* first */
    struct client *next;    /* in the line of those that wait for a thread */
    bool is_watched;
};

/* What a message begins with, in both directions; bytes of a head follow. */
struct note {
    struct client *client;
    bool is_over; /* from a worker: to be closed */
};

struct front {
    int ep;
    int listener;
    int workers;
    int threads;
    atomic_int *waiting; /* shared with the workers: how many clients stand in the line */
    struct client *head;
    struct client **tail;
    int free[WORKERS_MAX];                 /* threads of each worker */
    struct floor_conn channel[WORKERS_MAX]; /* the front's end to each worker */
    int worker_end[WORKERS_MAX];
};

/* Room for several returns in one system call. */
static struct {
    struct note notes[NOTES];
    char bytes[NOTES][FLOOR_IN];
    struct iovec parts[NOTES][2];
    struct mmsghdr messages[NOTES];
} inbox;

/* A worker. */

/* Receives a loan; the bytes of the head come to s->in. Returns their number. */
static ssize_t borrow(int channel, struct note *note, int *fd, struct floor_scratch *s)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec parts[] = {{note, sizeof(*note)}, {s->in, FLOOR_IN}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(channel, &m, MSG_CMSG_CLOEXEC);

    if (n == 0) {
        _exit(0); /* the front has ended */
    }
    if (n < (ssize_t) sizeof(*note) || m.msg_controllen == 0) {
        return -1;
    }
    memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*fd));
    return n - (ssize_t) sizeof(*note);
}

struct worker {
    int channel;
    const atomic_int *waiting;
};

static void *run(void *arg)
{
    const struct worker *w = arg;
    struct floor_scratch s;
    struct note note;
    int fd;

    for (;;) {
        ssize_t have = borrow(w->channel, &note, &fd, &s);

        if (have >= 0) {
            struct iovec parts[] = {{&note, sizeof(note)}, {s.in, 0}};
            struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};

            have = floor_stay(fd, &s, (size_t) have, w->waiting);
            close(fd);
            note.is_over = have < 0;
            parts[1].iov_len = have > 0 ? (size_t) have : 0;
            sendmsg(w->channel, &m, MSG_NOSIGNAL);
        }
    }
    return NULL;
}

/* The front. */

static void stand_in_line(struct front *f, struct client *c)
{
    c->next = NULL;
    *f->tail = c;
    f->tail = &c->next;
    atomic_fetch_add_explicit(f->waiting, 1, memory_order_relaxed);
}

/* Lends to the worker with most free threads. False if none is free or the channel is full; then one will come back. */
static bool lend(struct front *f, struct client *c, char *bytes, size_t n)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct note note = {.client = c};
    struct iovec parts[] = {{&note, sizeof(note)}, {bytes, n}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    int best = 0;

    for (int i = 1; i < f->workers; i++) {
        best = f->free[i] > f->free[best] ? i : best;
    }
    if (f->free[best] == 0) {
        return false;
    }
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &c->conn.fd, sizeof(int));
    if (sendmsg(f->channel[best].fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        return false;
    }
    f->free[best]--;
    return true;
}

static void end(struct client *c)
{
    floor_conn_close(&c->conn);
    free(c);
}

static void watch(struct front *f, struct client *c)
{
    floor_watch(f->ep, c->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, &c->conn, EPOLLIN | EPOLLONESHOT);
    c->is_watched = true;
}

/* Reads what a client has sent, and lends it when its head is whole. */
static void read_client(struct front *f, struct client *c, struct floor_scratch *s)
{
    size_t have = c->conn.in_len;
    bool closing = false;
    ssize_t head, n;

    if (have > 0) {
        memcpy(s->in, c->conn.in, have);
    }
    n = recv(c->conn.fd, s->in + have, FLOOR_IN - have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        watch(f, c);
        return;
    }
    head = n > 0 ? floor_head(s->in, have + (size_t) n, &closing) : -1;
    if (head > 0 && f->head == NULL && lend(f, c, s->in, have + (size_t) n)) {
        floor_keep(&c->conn, NULL, 0);
    } else if (head < 0 || !floor_keep(&c->conn, s->in, have + (size_t) n)) {
        end(c);
    } else if (head > 0) {
        stand_in_line(f, c);
    } else {
        watch(f, c);
    }
}

static void serve_line(struct front *f)
{
    while (f->head != NULL) {
        struct client *c = f->head;

        if (!lend(f, c, c->conn.in, c->conn.in_len)) {
            return;
        }
        f->head = c->next;
        if (f->head == NULL) {
            f->tail = &f->head;
        }
        atomic_fetch_sub_explicit(f->waiting, 1, memory_order_relaxed);
        floor_keep(&c->conn, NULL, 0);
    }
}

static void open_inbox(void)
{
    for (int i = 0; i < NOTES; i++) {
        inbox.parts[i][0] = (struct iovec){&inbox.notes[i], sizeof(struct note)};
        inbox.parts[i][1] = (struct iovec){inbox.bytes[i], FLOOR_IN};
        inbox.messages[i].msg_hdr = (struct msghdr){.msg_iov = inbox.parts[i], .msg_iovlen = 2};
    }
}

/* Takes back what a worker returns, as many as have come. */
static void take_back(struct front *f, int worker)
{
    int n = recvmmsg(f->channel[worker].fd, inbox.messages, NOTES, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++) {
        struct client *c = inbox.notes[i].client;
        size_t len = inbox.messages[i].msg_len;

        if (len < sizeof(struct note)) {
            _exit(EXIT_FAILURE); /* the worker has ended */
        }
        f->free[worker]++;
        if (inbox.notes[i].is_over || !floor_keep(&c->conn, inbox.bytes[i], len - sizeof(struct note))) {
            end(c);
        } else {
            watch(f, c);
        }
    }
    serve_line(f);
}

static void accept_clients(struct front *f, struct floor_scratch *s)
{
    for (int i = 0; i < FLOOR_ACCEPTS; i++) {
        struct client *c = floor_accept(f->listener, 0, sizeof(struct client));

        if (c == NULL) {
            return;
        }
        read_client(f, c, s);
    }
}

static void run_front(struct front *f)
{
    static struct floor_scratch scratch;
    struct epoll_event events[FLOOR_EVENTS];
    struct floor_conn listener = {.fd = f->listener};

    f->ep = floor_epoll_open();
    f->tail = &f->head;
    open_inbox();
    floor_watch(f->ep, EPOLL_CTL_ADD, &listener, EPOLLIN);
    for (int i = 0; i < f->workers; i++) {
        close(f->worker_end[i]);
        f->free[i] = f->threads;
        floor_watch(f->ep, EPOLL_CTL_ADD, &f->channel[i], EPOLLIN);
    }
    for (;;) {
        int n = epoll_wait(f->ep, events, FLOOR_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            struct floor_conn *c = events[i].data.ptr;

            if (c == &listener) {
                accept_clients(f, &scratch);
            } else if (c >= f->channel && c < f->channel + f->workers) {
                take_back(f, (int) (c - f->channel));
            } else {
                read_client(f, (struct client *) c, &scratch);
            }
        }
    }
}

/* Process 0 is the front. */
static void work(int index, void *arg)
{
    struct front *f = arg;
    struct worker w = {.waiting = f->waiting};

    if (index == 0) {
        run_front(f);
    }
    w.channel = f->worker_end[index - 1];
    close(f->listener);
    for (int i = 0; i < f->workers; i++) {
        close(f->channel[i].fd);
        if (i != index - 1) {
            close(f->worker_end[i]);
        }
    }
    floor_threads(f->threads, run, &w);
    floor_idle();
}

int main(int argc, char **argv)
{
    static struct front f;
    struct timeval stay = {.tv_usec = STAY_MS * 1000L};

    f.workers = floor_flag(argc, argv, "--workers", 2);
    f.threads = floor_flag(argc, argv, "--threads", 32);
    if (f.workers < 1 || f.workers > WORKERS_MAX || f.threads < 1) {
        fprintf(stderr, "floor_front: 1 to %d workers, 1 thread or more\n", WORKERS_MAX);
        return EXIT_FAILURE;
    }
    f.listener = floor_listen(argc, argv, SOCK_NONBLOCK);
    f.waiting = mmap(NULL, sizeof(*f.waiting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* What is accepted inherits the limit, but not O_NONBLOCK. */
    if (f.waiting == MAP_FAILED || setsockopt(f.listener, SOL_SOCKET, SO_RCVTIMEO, &stay, sizeof(stay)) < 0) {
        floor_fail("set-up");
    }
    for (int i = 0; i < f.workers; i++) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
            floor_fail("socketpair");
        }
        f.channel[i].fd = ends[0];
        f.worker_end[i] = ends[1];
    }
    floor_processes(f.workers + 1, work, &f);
    floor_ready(f.listener, "floor-front");
    return floor_processes_wait();
}
