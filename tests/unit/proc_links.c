/* SPDX-License-Identifier: MIT
 *
 * The master, a front that may be busy elsewhere, and more workers than a link holds messages about: each is heard of in the
 * end, in the right order, and nobody is killed for it.
 */
#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "proc/child.h"
#include "proc/master.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WORKERS 300
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WORKERS 300
#endif
#endif
#ifndef WORKERS
#define WORKERS 400
#endif

enum { FRONT = 1, WORKER = 2, SLOTS = WORKERS + 1 };

static struct seen {
    atomic_bool listens;       /* the front reads what it is told */
    atomic_int front, fronts;
    atomic_int pids[SLOTS];    /* of the workers that serve */
    atomic_int linked[SLOTS];  /* process ids that the front has a link to; 0: none */
    atomic_uint served;        /* GO notes that workers have got */
    atomic_uint front_served;
    atomic_uint wrong;         /* notes in an order that cannot be */
    atomic_llong stop_at;
    atomic_bool is_up;
} *seen;

static struct cnc_board *board;
static pid_t master;
static int wake; /* an eventfd of the master's */

#define UNTIL(what)                                                       \
    do {                                                                  \
        int64_t late = cnc_clock_now(&cnc_clock_system) + 60000;          \
        while (!(what)) {                                                 \
            ck_assert_msg(cnc_clock_now(&cnc_clock_system) < late, "in vain: %s", #what); \
            (void)poll(NULL, 0, 2);                                       \
        }                                                                 \
    } while (0)

/* ---- children ---- */

static void hear_link(const struct cnc_note *note, int fd)
{
    atomic_int *linked = &seen->linked[note->slot];
    if (note->what == CNC_NOTE_LINK) {
        atomic_fetch_add(&seen->wrong, fd < 0 || atomic_load(linked) != 0);
        atomic_store(linked, (int)note->value);
    } else if (note->what == CNC_NOTE_DEAD && atomic_load(linked) == note->value) {
        atomic_store(linked, 0);
    }
    cnc_sys_close(&fd);
}

static int front_main(const struct cnc_child *child)
{
    struct cnc_note note;
    int fd;
    for (int i = 0; i < SLOTS; i++)
        atomic_store(&seen->linked[i], 0);
    atomic_store(&seen->front, (int)getpid());
    atomic_fetch_add(&seen->fronts, 1);
    (void)cnc_note_tell(child->link, CNC_NOTE_READY, 0);
    for (;;) {
        while (!atomic_load(&seen->listens))
            (void)poll(NULL, 0, 1);
        int rc = cnc_note_receive(child->link, &note, &fd, true);
        if (rc == CONCUR_E_GONE)
            cnc_child_orphaned();
        if (rc != CONCUR_OK)
            continue;
        if (note.what == CNC_NOTE_STOP)
            return 0;
        if (note.what == CNC_NOTE_GO)
            atomic_fetch_add(&seen->front_served, 1);
        else
            hear_link(&note, fd);
    }
}

static int worker_main(const struct cnc_child *child)
{
    struct cnc_note note;
    atomic_store(&seen->pids[child->number], (int)getpid());
    (void)cnc_note_tell(child->link, CNC_NOTE_READY, 0);
    for (;;) {
        int rc = cnc_note_receive(child->link, &note, NULL, true);
        if (rc == CONCUR_E_GONE)
            cnc_child_orphaned();
        if (rc == CONCUR_OK && note.what == CNC_NOTE_STOP)
            return 0;
        if (rc == CONCUR_OK && note.what == CNC_NOTE_GO)
            atomic_fetch_add(&seen->served, 1);
    }
}

static int child_main(void *arg, const struct cnc_child *child)
{
    (void)arg;
    return child->role == FRONT ? front_main(child) : worker_main(child);
}

/* ---- the master ---- */

static int before_fork(void *arg)
{
    (void)arg;
    return CONCUR_OK;
}

static int64_t stop_at(void *arg)
{
    (void)arg;
    return atomic_load(&seen->stop_at);
}

static bool reload_asked(void *arg)
{
    (void)arg;
    return false;
}

static void tell(void *arg, enum cnc_note_what what, int64_t value, const char *text)
{
    (void)arg, (void)value, (void)text;
    if (what == CNC_NOTE_READY)
        atomic_store(&seen->is_up, true);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void serves(void *arg, void *setup, unsigned generation)
{
    (void)arg, (void)setup, (void)generation;
}

static void dropped(void *arg, void *setup)
{
    (void)arg, (void)setup;
}

static const struct cnc_master_ops ops = {
    .child = child_main, .before_fork = before_fork, .stop_at = stop_at, .reload_asked = reload_asked,
    .tell = tell, .stopping = nothing, .serves = serves, .dropped = dropped,
};

static void set_up(void)
{
    seen = cnc_sys_map_shared(sizeof *seen);
    board = cnc_board_create();
    ck_assert(seen && board);
    atomic_store(&seen->stop_at, INT64_MAX);
    wake = cnc_sys_eventfd();
    master = fork();
    ck_assert_int_ge(master, 0);
    if (master)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct cnc_master_config cfg = {
        .ops = &ops, .clock = &cnc_clock_system, .board = board, .wake_fd = wake, .wake_copy = -1, .host = -1,
        .plan = { .start_ms = 60000, .drain_ms = 10000, .group_count = 2,
                  .groups = { { .name = "front", .role = FRONT, .count = 1, .most = 1, .is_required = true },
                              { .name = "worker", .role = WORKER, .count = WORKERS, .most = WORKERS, .is_required = true,
                                .has_successors = true, .link = CNC_LINK_EACH, .links_to = 0 } } },
    };
    _exit(-cnc_master_run(&cfg));
}

static void tear_down(void)
{
    int status;
    atomic_store(&seen->stop_at, cnc_clock_now(&cnc_clock_system) + 30000);
    cnc_sys_eventfd_raise(wake);
    ck_assert_int_eq(waitpid(master, &status, 0), master);
    ck_assert_int_eq(status, 0);
}

static unsigned unlinked(void)
{
    unsigned n = 0;
    for (int i = 0; i < WORKERS; i++)
        n += !atomic_load(&seen->pids[i]) || atomic_load(&seen->linked[i]) != atomic_load(&seen->pids[i]);
    return n;
}

/* ---- tests ---- */

START_TEST(a_front_that_is_busy_hears_of_all)
{
    UNTIL(atomic_load(&seen->is_up));
    ck_assert_uint_eq(unlinked(), WORKERS);
    atomic_store(&seen->listens, true);
    UNTIL(unlinked() == 0 && atomic_load(&seen->front_served));
    ck_assert_int_eq(atomic_load(&seen->fronts), 1); /* nobody has killed it meanwhile */
    ck_assert_uint_eq(atomic_load(&seen->front_served), 1);
    UNTIL(atomic_load(&seen->served) == WORKERS);
    ck_assert_uint_eq(atomic_load(&seen->wrong), 0);
}
END_TEST

/* While it does not listen workers die, and others come in their place. */
START_TEST(deaths_meanwhile_come_in_order)
{
    UNTIL(atomic_load(&seen->is_up));
    for (int round = 0; round < 2; round++) {
        atomic_store(&seen->listens, round);
        for (int i = round; i < WORKERS; i += 41) {
            const int pid = atomic_load(&seen->pids[i]);
            ck_assert_int_eq(kill(pid, SIGKILL), 0);
            UNTIL(atomic_load(&seen->pids[i]) != pid);
        }
    }
    UNTIL(unlinked() == 0);
    ck_assert_int_eq(atomic_load(&seen->fronts), 1);
    ck_assert_uint_eq(atomic_load(&seen->wrong), 0);
}
END_TEST

/* A front that dies while much is still to be told to it: the next one hears of everybody that is there. */
START_TEST(a_front_that_dies_unheard)
{
    UNTIL(atomic_load(&seen->is_up));
    ck_assert_int_eq(kill(atomic_load(&seen->front), SIGKILL), 0);
    UNTIL(atomic_load(&seen->fronts) == 2);
    atomic_store(&seen->listens, true);
    UNTIL(unlinked() == 0);
    UNTIL(atomic_load(&seen->front_served) == 1);
    ck_assert_uint_eq(atomic_load(&seen->wrong), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proc_links");
    TCase *t = tcase_create("links");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_front_that_is_busy_hears_of_all);
    tcase_add_test(t, deaths_meanwhile_come_in_order);
    tcase_add_test(t, a_front_that_dies_unheard);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
