/* SPDX-License-Identifier: MIT
 *
 * The front with workers that the test plays: it reads what they are lent, says what they say, or does nothing at all.
 */
#include "serve/lend/front.h"

#include <sys/resource.h>
#include <time.h>

#include "net/passing.h"
#include "unit/conn_rig.h"

enum { WORKERS = 3, THREADS = 4, PLACES = 4096, CLIENTS_MAX = 512 };

static struct rig rig;
static struct cnc_front front;
static struct cnc_ledger ledger;
static atomic_uint open_count, queued;
static unsigned readies, told[8], shown[WORKERS];
static int links[WORKERS]; /* the workers' ends; -1: closed */
static int peers[CLIENTS_MAX], peer_count;

static void on_ready(struct cnc_front *f)
{
    (void)f;
    readies++;
}

static void on_show(struct cnc_front *f, unsigned slot, unsigned free)
{
    (void)f;
    shown[slot] = free;
}

static void on_tell(struct cnc_front *f, enum cnc_front_news news, unsigned slot, int64_t ms)
{
    (void)f, (void)slot, (void)ms;
    told[news]++;
}

static void on_closed(struct cnc_driver *drv)
{
    (void)drv;
    if (atomic_fetch_sub(&open_count, 1) == 0) /* an assertion that holds is written down: too slow for a million */
        ck_abort_msg("fewer than none");
}

static struct cnc_front_config defaults(void)
{
    return (struct cnc_front_config){ .workers_max = WORKERS, .workers = WORKERS, .threads_max = THREADS, .queue_max = 100,
                                      .queue_timeout_ms = 10000, .queued = &queued, .connections = &open_count,
                                      .ledger = &ledger, .ready = on_ready, .show = on_show, .tell = on_tell };
}

static void set_up_as(const struct cnc_front_config *cfg)
{
    rig_init(&rig, false);
    rig.ops.closed = on_closed;
    rig.ops.handover = cnc_front_handover;
    ck_assert(cnc_ledger_open(&ledger, PLACES));
    ck_assert_int_eq(cnc_front_open(&front, &rig.drv, cfg), CONCUR_OK);
    for (int i = 0; i < WORKERS; i++)
        links[i] = -1;
}

static void set_up(void)
{
    struct cnc_front_config cfg = defaults();
    set_up_as(&cfg);
}

static void tear_down(void)
{
    cnc_front_close(&front);
    for (int i = 0; i < WORKERS; i++)
        if (links[i] >= 0)
            close(links[i]);
    for (int i = 0; i < peer_count; i++)
        close(peers[i]);
    rig_deinit(&rig);
    cnc_ledger_close(&ledger);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
    ck_assert_uint_eq(atomic_load(&queued), 0);
}

/* ---- workers ---- */

static void attach(unsigned slot)
{
    int pair[2];
    ck_assert_int_eq(cnc_passing_pair(pair, 262144), CONCUR_OK);
    links[slot] = pair[1];
    ck_assert(cnc_front_attach(&front, slot, 100 + (int)slot, pair[0]));
}

static void say(unsigned slot, struct cnc_loan_note note, const char *bytes)
{
    struct iovec iov[2] = { { &note, sizeof note }, { (void *)(uintptr_t)bytes, strlen(bytes) } };
    if (!note.front)
        note.front = front.number;
    ck_assert_int_eq(cnc_passing_send(links[slot], iov, 2, -1, false), CONCUR_OK);
}

static void tell_counts(unsigned slot, uint32_t seen, uint32_t free)
{
    say(slot, (struct cnc_loan_note){ .what = CNC_LOAN_COUNTS, .seen = seen, .free = free }, "");
    rig_turn(&rig);
}

/* The next message to a worker; false: there is none. *fd is the test's. */
static bool read_note(unsigned slot, struct cnc_loan_note *note, int *fd)
{
    static char room[CNC_LOAN_ROOM];
    ssize_t n = cnc_passing_recv(links[slot], room, sizeof room, fd, false);
    if (n < (ssize_t)sizeof *note)
        return false;
    memcpy(note, room, sizeof *note);
    return true;
}

static void greet(unsigned slot, uint32_t free)
{
    struct cnc_loan_note note;
    int fd;
    attach(slot);
    ck_assert(read_note(slot, &note, &fd));
    ck_assert_uint_eq(note.what, CNC_LOAN_HELLO);
    ck_assert_uint_eq(note.front, front.number);
    tell_counts(slot, 0, free);
}

/* Takes the next loan as a worker would. */
static uint64_t take_loan(unsigned slot)
{
    struct cnc_loan_note note;
    int fd;
    ck_assert(read_note(slot, &note, &fd));
    ck_assert_uint_eq(note.what, CNC_LOAN_LEND);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(cnc_ledger_take(&ledger, note.id));
    return note.id;
}

static bool has_loan(unsigned slot)
{
    char c;
    return recv(links[slot], &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* ---- clients ---- */

static int connect_one(bool tcp)
{
    int fds[2];
    if (tcp)
        rig_pair_tcp(fds);
    else
        rig_pair(fds);
    struct cnc_conn *conn = cnc_conn_create(fds[0], &rig.transport, NULL);
    ck_assert_ptr_nonnull(conn);
    ck_assert_int_lt(peer_count, CLIENTS_MAX);
    peers[peer_count++] = fds[1];
    atomic_fetch_add(&open_count, 1);
    cnc_driver_take(&rig.drv, conn);
    return fds[1];
}

static int ask(void)
{
    static const char get[] = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
    int peer = connect_one(false);
    ck_assert_int_eq(send(peer, get, sizeof get - 1, MSG_NOSIGNAL), (ssize_t)sizeof get - 1);
    rig_turn(&rig);
    return peer;
}

/* What the peer can read now: a status, 0: nothing, -1: its connection was closed. */
static int status_of(int peer)
{
    char text[512];
    ssize_t n = recv(peer, text, sizeof text - 1, MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 || errno != EAGAIN ? -1 : 0;
    text[n] = '\0';
    return atoi(text + 9);
}

/* ---- the start ---- */

START_TEST(ready_when_all_have_greeted)
{
    attach(0);
    attach(1);
    cnc_front_begin(&front);
    rig_turn(&rig);
    ck_assert_uint_eq(readies, 0);
    tell_counts(0, 0, THREADS);
    ck_assert_uint_eq(readies, 0);
    tell_counts(1, 0, THREADS);
    ck_assert_uint_eq(readies, 1);
    greet(2, THREADS);
    ck_assert_uint_eq(readies, 1);
}
END_TEST

/* One that never greets keeps nobody waiting for longer than a second, nor does it get anything. */
START_TEST(ready_without_one_that_does_not_greet)
{
    attach(0);
    greet(1, THREADS);
    cnc_front_begin(&front);
    rig_pass(&rig, 999);
    ck_assert_uint_eq(readies, 0);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(readies, 1);
    ask();
    (void)take_loan(1);
    tell_counts(0, 0, THREADS);
    ask();
    ck_assert(has_loan(0));
}
END_TEST

START_TEST(ready_though_nobody_has_come)
{
    cnc_front_begin(&front);
    rig_turn(&rig);
    ck_assert_uint_eq(readies, 0);
    rig_pass(&rig, 1000);
    ck_assert_uint_eq(readies, 1);
    int peer = ask(); /* waits for a worker */
    ck_assert_uint_eq(atomic_load(&queued), 1);
    greet(0, THREADS);
    (void)take_loan(0);
    ck_assert_int_eq(status_of(peer), 0);
}
END_TEST

START_TEST(one_that_ends_is_not_waited_for)
{
    attach(0);
    greet(1, THREADS);
    cnc_front_begin(&front);
    close(links[0]);
    links[0] = -1;
    rig_turn(&rig);
    ck_assert_uint_eq(readies, 1);
    ck_assert_uint_eq(told[CNC_FRONT_UNLINKED], 1);
    cnc_front_bury(&front, 0, 100);
    ck_assert_uint_eq(readies, 1);
}
END_TEST

/* ---- numbers ---- */

START_TEST(what_another_front_was_told_counts_for_nothing)
{
    greet(0, THREADS);
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_COUNTS, .front = front.number + 1, .seen = 0, .free = 0, .others = 7 }, "");
    rig_turn(&rig);
    ck_assert_uint_eq(shown[0], THREADS);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
}
END_TEST

static void tell_others(uint32_t others)
{
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_COUNTS, .free = THREADS, .others = others }, "");
    rig_turn(&rig);
}

START_TEST(connections_of_a_front_before_count)
{
    attach(0);
    for (uint32_t n = 0; n < 4; n++) {
        static const uint32_t others[] = { 5, 3, 3, 1 };
        tell_others(others[n]);
        ck_assert_uint_eq(atomic_load(&open_count), others[n]);
    }
    cnc_front_bury(&front, 0, 100);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
    cnc_front_drain(&front); /* a stop, before another worker has come */
    ck_assert_uint_eq(atomic_load(&open_count), 0);
}
END_TEST

/* They only become fewer, and there are never more than any server has: a worker's nonsense is not believed. */
START_TEST(connections_that_cannot_be_do_not_count)
{
    attach(0);
    tell_others(UINT32_MAX);
    ck_assert_uint_eq(atomic_load(&open_count), 1000000);
    tell_others(2);
    static const uint32_t others[] = { 3, INT32_MAX, (uint32_t)INT32_MAX + 3, UINT32_MAX };
    for (size_t i = 0; i < CNC_COUNT(others); i++) {
        tell_others(others[i]);
        ck_assert_uint_eq(atomic_load(&open_count), 2);
    }
    tell_others(0);
    tell_others(1);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
}
END_TEST

/* ---- workers that die ---- */

/* However much it has said before its end: all of it is heard before anything is judged. */
START_TEST(the_dead_are_heard_to_the_end)
{
    enum { MANY = 200 };
    struct cnc_front_config cfg = defaults();
    cfg.threads_max = MANY;
    set_up_as(&cfg);
    uint64_t loans[MANY];
    greet(0, MANY);
    for (int i = 0; i < MANY; i++)
        (void)ask();
    for (int i = 0; i < MANY; i++)
        loans[i] = take_loan(0);
    for (uint32_t i = 0; i < MANY; i++)
        say(0, (struct cnc_loan_note){ .what = CNC_LOAN_RETURN, .id = loans[i], .requests = 1, .seen = MANY, .free = i + 1 }, "");
    close(links[0]);
    links[0] = -1;
    cnc_front_bury(&front, 0, 100);
    ck_assert_uint_eq(front.lost, 0);
    ck_assert_uint_eq(atomic_load(&open_count), MANY); /* each is idle here */
    tear_down();
}
END_TEST

/* What it had not looked at goes on; what it had begun is answered in its place, if that is known to be right. */
START_TEST(the_dead_leave_what_they_have_not_begun)
{
    static const char get[] = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
    int peers_now[2];
    greet(0, THREADS);
    for (int i = 0; i < 2; i++) {
        peers_now[i] = connect_one(true);
        ck_assert_int_eq(send(peers_now[i], get, sizeof get - 1, MSG_NOSIGNAL), (ssize_t)sizeof get - 1);
        for (int k = 0; k < 1000 && shown[0] != THREADS - 1u - (unsigned)i; k++)
            rig_turn(&rig);
    }
    (void)take_loan(0); /* the first: it has begun */
    greet(1, THREADS);
    cnc_front_bury(&front, 0, 100);
    rig_turn(&rig);
    ck_assert_int_eq(status_of(peers_now[0]), 502);
    ck_assert_int_eq(status_of(peers_now[1]), 0);
    (void)take_loan(1);
}
END_TEST

/* A note of a process that is not there any more: its slot is another one's. */
START_TEST(only_the_one_that_is_meant)
{
    greet(0, THREADS);
    cnc_front_bury(&front, 0, 99);
    cnc_front_retire(&front, 0, 99);
    ask();
    (void)take_loan(0);
}
END_TEST

/* ---- workers that do not read, or refuse ---- */

START_TEST(what_is_not_read_goes_to_another)
{
    struct cnc_loan_note note;
    int fd;
    greet(0, THREADS);
    ask();
    greet(1, THREADS);
    rig_pass(&rig, 99);
    ck_assert(!has_loan(1));
    rig_pass(&rig, 2);
    ck_assert_uint_eq(told[CNC_FRONT_STUCK], 1);
    (void)take_loan(1);
    ask(); /* and it gets nothing more */
    (void)take_loan(1);
    ck_assert(read_note(0, &note, &fd)); /* it wakes up: that one is gone */
    close(fd);
    ck_assert(!cnc_ledger_take(&ledger, note.id));
    ck_assert(!has_loan(0));
    tell_counts(0, 1, THREADS);
    ask();
    (void)take_loan(0);
}
END_TEST

/* A long handler is no stuck worker: it has taken the loan, though it has not said so. */
START_TEST(what_is_taken_stays)
{
    greet(0, THREADS);
    ask();
    uint64_t loan = take_loan(0);
    greet(1, THREADS);
    rig_pass(&rig, 5000);
    ck_assert(!has_loan(1));
    ck_assert_uint_eq(told[CNC_FRONT_STUCK], 0);
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_REFUSED, .id = loan, .seen = 1, .free = THREADS }, ""); /* after all */
    rig_turn(&rig);
    (void)take_loan(1);
}
END_TEST

START_TEST(what_is_refused_goes_to_another)
{
    greet(0, THREADS);
    greet(1, 1);
    int peer = ask();
    uint64_t loan = take_loan(0);
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_REFUSED, .id = loan, .seen = 1, .free = THREADS }, "");
    rig_turn(&rig);
    ck_assert_uint_eq(told[CNC_FRONT_REFUSED], 1);
    (void)take_loan(1);
    ask(); /* waits: the refuser is left out, the other one has no thread */
    ck_assert_uint_eq(atomic_load(&queued), 1);
    rig_pass(&rig, 99);
    ck_assert(!has_loan(0));
    rig_pass(&rig, 1);
    (void)take_loan(0);
    ck_assert_int_eq(status_of(peer), 0);
}
END_TEST

/* For want of a thread alone: that is no sickness, and its number says so now. */
START_TEST(one_that_is_busy_is_not_left_out)
{
    greet(0, 2);
    ask();
    uint64_t loan = take_loan(0);
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_REFUSED, .flags = CNC_LOAN_BUSY, .id = loan, .seen = 1, .free = 0 }, "");
    rig_turn(&rig);
    ck_assert_uint_eq(told[CNC_FRONT_REFUSED], 0);
    ck_assert_uint_eq(atomic_load(&queued), 1);
    tell_counts(0, 1, 1);
    (void)take_loan(0);
}
END_TEST

/* All there are refuse it: then it is told so, at once. */
START_TEST(refused_by_all)
{
    uint32_t seen[WORKERS] = { 0 };
    for (unsigned slot = 0; slot < WORKERS; slot++)
        greet(slot, THREADS);
    for (int round = 0; round < 3; round++) {
        int peer = ask();
        for (unsigned tries = 0; tries < WORKERS; tries++)
            for (unsigned slot = 0; slot < WORKERS; slot++)
                if (has_loan(slot)) {
                    uint64_t loan = take_loan(slot);
                    say(slot, (struct cnc_loan_note){ .what = CNC_LOAN_REFUSED, .id = loan, .seen = ++seen[slot],
                                                      .free = THREADS }, "");
                    rig_turn(&rig);
                }
        ck_assert_int_eq(status_of(peer), 503);
    }
}
END_TEST

/* ---- the queue ---- */

START_TEST(a_wait_is_told_of_and_has_an_end)
{
    greet(0, 0);
    int peer = ask();
    rig_pass(&rig, 999);
    ck_assert_uint_eq(told[CNC_FRONT_HELD], 0);
    rig_pass(&rig, 1);
    ck_assert_uint_eq(told[CNC_FRONT_HELD], 1);
    for (int i = 0; i < 80; i++)
        rig_pass(&rig, 100);
    ck_assert_uint_ge(told[CNC_FRONT_HELD], 8);
    ck_assert_uint_le(told[CNC_FRONT_HELD], 10);
    ck_assert_int_eq(status_of(peer), 0);
    rig_pass(&rig, 1000);
    ck_assert_int_eq(status_of(peer), 503);
}
END_TEST

/* The time in the queue counts on, though it was lent and came back in between. */
START_TEST(coming_back_is_no_new_wait)
{
    greet(0, 1);
    int first = ask();
    rig_pass(&rig, 50);
    int second = ask();
    rig_pass(&rig, 60); /* the worker has not read the first one: it waits again, before the second */
    ck_assert_uint_eq(atomic_load(&queued), 2);
    rig_pass(&rig, 9890);
    ck_assert_int_eq(status_of(first), 503);
    ck_assert_int_eq(status_of(second), 0);
    rig_pass(&rig, 50);
    ck_assert_int_eq(status_of(second), 503);
}
END_TEST

/* Whether a client that shuts its side has left: as the option says. */
START_TEST(half_closed_in_the_queue)
{
    rig.limits.half_close = _i;
    greet(0, 0);
    int peer = ask();
    ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
    rig_turn(&rig);
    ck_assert_uint_eq(atomic_load(&queued), (unsigned)_i);
    tell_counts(0, 0, 1);
    ck_assert_int_eq(has_loan(0), _i);
}
END_TEST

/* ---- when the system has no room ---- */

static int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* No further descriptor may be under way: those that wait do so without a spin, and go on when there is room. */
START_TEST(too_many_descriptors_under_way)
{
    enum { MANY = 30, FEW = 10 };
    struct cnc_front_config cfg = defaults();
    struct rlimit limit = { FEW, FEW };
    if (getuid() == 0)
        ck_assert_int_eq(setuid(65534), 0); /* a privileged process may have any number under way */
    cfg.threads_max = MANY;
    set_up_as(&cfg);
    greet(0, MANY);
    for (int i = 0; i < MANY; i++)
        (void)connect_one(false);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < MANY; i++) {
        static const char get[] = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
        ck_assert_int_eq(send(peers[i], get, sizeof get - 1, MSG_NOSIGNAL), (ssize_t)sizeof get - 1);
        rig_turn(&rig);
    }
    const unsigned waiting = atomic_load(&queued);
    ck_assert_uint_gt(waiting, 0);
    ck_assert_uint_lt(waiting, MANY);
    const int64_t begun = wall_ms();
    for (int i = 0; i < 3; i++)
        cnc_home_turn(rig.home, 60); /* each ends when the next try is due, in 20 ms, and not before */
    ck_assert_int_ge(wall_ms() - begun, 30);
    for (uint32_t seen = 0; seen < MANY;) {
        struct cnc_loan_note note;
        int fd;
        while (read_note(0, &note, &fd)) { /* there may be no descriptor for it: that is another story */
            if (fd >= 0)
                close(fd);
            (void)cnc_ledger_take(&ledger, note.id);
            seen++;
        }
        tell_counts(0, seen, MANY - seen);
        rig_pass(&rig, 20);
    }
    ck_assert_uint_eq(atomic_load(&queued), 0);
    tear_down();
}
END_TEST

/* ---- connections that stay ---- */

START_TEST(one_that_stays_counts_until_its_end)
{
    struct cnc_front_config cfg = defaults();
    cfg.for_life = true;
    set_up_as(&cfg);
    greet(0, THREADS);
    ask();
    uint64_t loan = take_loan(0);
    ck_assert_uint_eq(atomic_load(&open_count), 1);
    tell_counts(0, 1, THREADS - 1);
    ck_assert_uint_eq(atomic_load(&open_count), 1); /* the front's copy is closed, and it counts all the same */
    ck_assert(cnc_front_ask_room(&front));
    struct cnc_loan_note note;
    int fd;
    ck_assert(read_note(0, &note, &fd));
    ck_assert_uint_eq(note.what, CNC_LOAN_REAP);
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_GONE, .id = loan, .seen = 1, .free = THREADS }, "");
    rig_turn(&rig);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
    ck_assert(!cnc_front_ask_room(&front));
    tear_down();
}
END_TEST

/* One that was lent for a request, and then was upgraded. */
START_TEST(one_that_is_kept_counts_until_its_end)
{
    set_up();
    greet(0, THREADS);
    int peer = ask();
    uint64_t loan = take_loan(0);
    struct cnc_loan_note kept = { .what = CNC_LOAN_KEPT, .id = loan, .seen = 1, .free = THREADS };
    say(0, kept, "");
    say(0, kept, ""); /* nonsense, the second time */
    rig_turn(&rig);
    ck_assert_uint_eq(atomic_load(&open_count), 1);
    ck_assert_int_eq(status_of(peer), -1); /* the worker of this test has closed its copy, and the front has */
    ck_assert(cnc_front_ask_room(&front));
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_GONE, .id = loan, .seen = 1, .free = THREADS }, "");
    rig_turn(&rig);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
    ck_assert(!cnc_front_ask_room(&front));
    tear_down();
}
END_TEST

START_TEST(one_that_is_kept_ends_with_its_worker)
{
    set_up();
    greet(0, THREADS);
    ask();
    say(0, (struct cnc_loan_note){ .what = CNC_LOAN_KEPT, .id = take_loan(0), .seen = 1, .free = THREADS }, "");
    rig_turn(&rig);
    ck_assert_uint_eq(atomic_load(&open_count), 1);
    cnc_front_bury(&front, 0, 100);
    ck_assert_uint_eq(atomic_load(&open_count), 0);
    tear_down();
}
END_TEST

/* Who has none that is idle says so, and the next one is asked. */
START_TEST(all_are_asked_for_room)
{
    struct cnc_front_config cfg = defaults();
    cfg.for_life = true;
    set_up_as(&cfg);
    for (unsigned slot = 0; slot < WORKERS; slot++) {
        greet(slot, THREADS);
        ask();
        (void)take_loan(slot);
        tell_counts(slot, 1, THREADS);
    }
    ck_assert(cnc_front_ask_room(&front));
    for (unsigned slot = 0; slot < WORKERS; slot++) {
        struct cnc_loan_note note;
        int fd;
        ck_assert(read_note(slot, &note, &fd));
        ck_assert_uint_eq(note.what, CNC_LOAN_REAP);
        say(slot, (struct cnc_loan_note){ .what = CNC_LOAN_COUNTS, .flags = CNC_LOAN_NONE_IDLE, .seen = 1, .free = THREADS }, "");
        rig_turn(&rig);
    }
    for (unsigned slot = 0; slot < WORKERS; slot++)
        ck_assert(!has_loan(slot));
    cnc_front_drain(&front);
    ck_assert_uint_eq(atomic_load(&open_count), 0); /* a stop waits for none of them */
    tear_down();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn_front");
    TCase *t = tcase_create("front");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, ready_when_all_have_greeted);
    tcase_add_test(t, ready_without_one_that_does_not_greet);
    tcase_add_test(t, ready_though_nobody_has_come);
    tcase_add_test(t, one_that_ends_is_not_waited_for);
    tcase_add_test(t, what_another_front_was_told_counts_for_nothing);
    tcase_add_test(t, connections_of_a_front_before_count);
    tcase_add_test(t, connections_that_cannot_be_do_not_count);
    tcase_add_test(t, the_dead_leave_what_they_have_not_begun);
    tcase_add_test(t, only_the_one_that_is_meant);
    tcase_add_test(t, what_is_not_read_goes_to_another);
    tcase_add_test(t, what_is_taken_stays);
    tcase_add_test(t, what_is_refused_goes_to_another);
    tcase_add_test(t, one_that_is_busy_is_not_left_out);
    tcase_add_test(t, refused_by_all);
    tcase_add_test(t, a_wait_is_told_of_and_has_an_end);
    tcase_add_test(t, coming_back_is_no_new_wait);
    tcase_add_loop_test(t, half_closed_in_the_queue, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("other fronts");
    tcase_add_test(t, the_dead_are_heard_to_the_end);
    tcase_add_test(t, too_many_descriptors_under_way);
    tcase_add_test(t, one_that_stays_counts_until_its_end);
    tcase_add_test(t, one_that_is_kept_counts_until_its_end);
    tcase_add_test(t, one_that_is_kept_ends_with_its_worker);
    tcase_add_test(t, all_are_asked_for_room);
    suite_add_tcase(s, t);
    return rig_run(s);
}
