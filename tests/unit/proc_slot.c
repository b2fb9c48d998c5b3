/* SPDX-License-Identifier: MIT
 *
 * The slot's table, pair by pair, against a second writing of it; and its times, with a clock that the test moves.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "proc/slot.h"

#define ILLEGAL (-1)
#define NEVER INT64_MAX

static const struct cnc_slot_times times = { .start_ms = 700, .drain_ms = 900, .early_max = 3, .early_window_ms = 5000 };

/* What each pair leads to. A slot that drains, or is replaced, is not wanted; any other is. Who is being killed here was
 * not ready before. */
static const int expected[CNC_SLOT_STATES][CNC_SLOT_EVENTS] = {
#define E CNC_SLOT_EMPTY
#define S CNC_SLOT_STARTING
#define R CNC_SLOT_READY
#define P CNC_SLOT_REPLACING
#define D CNC_SLOT_DRAIN
#define T CNC_SLOT_TERM
#define K CNC_SLOT_KILL
#define B CNC_SLOT_BACKOFF
#define G CNC_SLOT_GAVE_UP
#define X ILLEGAL
    /*      forked failed ready exit drain replace replaced unreplaced stuck deadline */
    [E] = { S,     B,     X,    X,   E,    X,      X,       X,         X,    E },
    [S] = { X,     X,     R,    B,   K,    X,      X,       X,         X,    K },
    [R] = { X,     X,     X,    B,   D,    P,      X,       X,         K,    X },
    [P] = { X,     X,     X,    E,   D,    X,      D,       R,         K,    X },
    [D] = { X,     X,     D,    E,   D,    X,      X,       X,         K,    T },
    [T] = { X,     X,     X,    E,   T,    X,      X,       X,         K,    K },
    [K] = { X,     X,     K,    B,   K,    X,      X,       X,         K,    X },
    [B] = { S,     B,     X,    X,   E,    X,      X,       X,         X,    B },
    [G] = { X,     X,     X,    X,   E,    X,      X,       X,         X,    X },
#undef E
#undef S
#undef R
#undef P
#undef D
#undef T
#undef K
#undef B
#undef G
#undef X
};

static struct cnc_slot slot;
static int64_t now;

static void enter(int state)
{
    cnc_slot_init(&slot);
    slot.state = (uint8_t)state;
    slot.wanted = state != CNC_SLOT_REPLACING && state != CNC_SLOT_DRAIN && state != CNC_SLOT_TERM;
}

/* What the master is to do, taken. */
static unsigned after(enum cnc_slot_event ev)
{
    cnc_slot_step(&slot, ev, &times, now);
    unsigned todo = slot.todo;
    slot.todo = 0;
    return todo;
}

static void is(int state, int64_t deadline)
{
    ck_assert_str_eq(cnc_slot_state_name(slot.state), cnc_slot_state_name(state));
    ck_assert_int_eq(slot.deadline, deadline);
}

START_TEST(legal_pairs_lead_where_they_should)
{
    for (int s = 0; s < CNC_SLOT_STATES; s++)
        for (int e = 0; e < CNC_SLOT_EVENTS; e++) {
            if (expected[s][e] == ILLEGAL)
                continue;
            enter(s);
            (void)after((enum cnc_slot_event)e);
            ck_assert_msg(slot.state == expected[s][e], "%s, event %d: %s", cnc_slot_state_name(s), e,
                          cnc_slot_state_name(slot.state));
            ck_assert_uint_eq(slot.illegal, 0);
        }
}
END_TEST

/* They assert; in builds without assertions they are counted, and change nothing. */
START_TEST(illegal_pairs_are_noticed)
{
    for (int s = 0; s < CNC_SLOT_STATES; s++)
        for (int e = 0; e < CNC_SLOT_EVENTS; e++) {
            int status;
            if (expected[s][e] != ILLEGAL)
                continue;
            enter(s);
            pid_t pid = fork();
            ck_assert_int_ge(pid, 0);
            if (pid == 0) {
                (void)!freopen("/dev/null", "w", stderr);
                signal(SIGABRT, SIG_DFL);
                (void)after((enum cnc_slot_event)e);
                _exit(slot.illegal == 1 && slot.state == s ? 0 : 1);
            }
            ck_assert_int_eq(waitpid(pid, &status, 0), pid);
#ifdef NDEBUG
            ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#else
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s, event %d", cnc_slot_state_name(s), e);
#endif
        }
}
END_TEST

START_TEST(a_life)
{
    now = 1000;
    cnc_slot_init(&slot);
    is(CNC_SLOT_EMPTY, NEVER);
    cnc_slot_want(&slot, now);
    is(CNC_SLOT_EMPTY, 1000);
    ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), CNC_SLOT_DO_FORK);
    is(CNC_SLOT_EMPTY, NEVER);
    ck_assert_uint_eq(after(CNC_SLOT_ON_FORKED), 0);
    is(CNC_SLOT_STARTING, 1700);
    ck_assert(cnc_slot_is_alive(&slot) && !cnc_slot_serves(&slot));
    now = 1100;
    ck_assert_uint_eq(after(CNC_SLOT_ON_READY), 0);
    is(CNC_SLOT_READY, NEVER);
    ck_assert(cnc_slot_is_alive(&slot) && cnc_slot_serves(&slot));
    cnc_slot_want(&slot, now); /* there is one */
    is(CNC_SLOT_READY, NEVER);
    ck_assert_uint_eq(after(CNC_SLOT_ON_REPLACE), 0);
    is(CNC_SLOT_REPLACING, NEVER);
    ck_assert(!slot.wanted && cnc_slot_serves(&slot));
    ck_assert_uint_eq(after(CNC_SLOT_ON_UNREPLACED), 0);
    ck_assert(slot.wanted);
    (void)after(CNC_SLOT_ON_REPLACE);
    ck_assert_uint_eq(after(CNC_SLOT_ON_REPLACED), CNC_SLOT_DO_STOP);
    is(CNC_SLOT_DRAIN, 2000);
    ck_assert(cnc_slot_is_alive(&slot) && !cnc_slot_serves(&slot));
    now = 2000;
    ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), CNC_SLOT_DO_TERM);
    is(CNC_SLOT_TERM, 3000);
    now = 3000;
    ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), CNC_SLOT_DO_KILL);
    is(CNC_SLOT_KILL, NEVER);
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
    is(CNC_SLOT_EMPTY, NEVER); /* nobody is wanted */
    ck_assert(!cnc_slot_is_alive(&slot));
}
END_TEST

/* A stop that comes forward is told again; one that is later is not. */
START_TEST(a_drain_only_gets_shorter)
{
    struct cnc_slot_times other = times;
    now = 0;
    enter(CNC_SLOT_READY);
    ck_assert_uint_eq(after(CNC_SLOT_ON_DRAIN), CNC_SLOT_DO_STOP);
    is(CNC_SLOT_DRAIN, 900);
    now = 300;
    ck_assert_uint_eq(after(CNC_SLOT_ON_DRAIN), 0);
    is(CNC_SLOT_DRAIN, 900);
    other.drain_ms = 100;
    cnc_slot_step(&slot, CNC_SLOT_ON_DRAIN, &other, now);
    ck_assert_uint_eq(slot.todo, CNC_SLOT_DO_STOP);
    is(CNC_SLOT_DRAIN, 400);
}
END_TEST

static void fork_it(void)
{
    ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), CNC_SLOT_DO_FORK);
    (void)after(CNC_SLOT_ON_FORKED);
}

static void fork_until_ready(void)
{
    fork_it();
    (void)after(CNC_SLOT_ON_READY);
}

/* 50 ms, then twice as long each time, up to four seconds. */
START_TEST(failing_forks_back_off)
{
    static const int64_t delays[] = { 50, 100, 200, 400, 800, 1600, 3200, 4000, 4000 };
    now = 100;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    for (size_t i = 0; i < CNC_COUNT(delays); i++) {
        ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), CNC_SLOT_DO_FORK);
        ck_assert_uint_eq(after(CNC_SLOT_ON_FORK_FAILED), 0);
        is(CNC_SLOT_BACKOFF, now + delays[i]);
        now = slot.deadline;
    }
    ck_assert_uint_eq(slot.early, 0); /* nobody died: never given up */
    fork_it();
    is(CNC_SLOT_STARTING, now + times.start_ms);
}
END_TEST

START_TEST(too_many_ends_before_ready_give_it_up)
{
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    fork_it();
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
    is(CNC_SLOT_BACKOFF, 50);
    now = 50;
    fork_it();
    now = 750; /* the second does not get ready in time */
    ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), CNC_SLOT_DO_KILL);
    is(CNC_SLOT_KILL, NEVER);
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
    is(CNC_SLOT_BACKOFF, 850);
    now = 850;
    fork_it();
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), CNC_SLOT_DO_TELL);
    is(CNC_SLOT_GAVE_UP, NEVER);
    ck_assert(slot.wanted);
    ck_assert_uint_eq(slot.early, 3);
    ck_assert_uint_eq(after(CNC_SLOT_ON_DRAIN), 0);
    is(CNC_SLOT_EMPTY, NEVER);
    ck_assert(!slot.wanted);
}
END_TEST

START_TEST(ends_count_within_the_window_only)
{
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    for (int i = 0; i < 10; i++) {
        now = slot.deadline + times.early_window_ms;
        fork_it();
        ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
        ck_assert_int_eq(slot.state, CNC_SLOT_BACKOFF);
    }
}
END_TEST

/* Who hangs until it is killed takes longer about it, and is a crash loop all the same. */
START_TEST(slow_ends_count_too)
{
    const struct cnc_slot_times slow = { .start_ms = 4000, .early_max = 5, .early_window_ms = 5000 };
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_ne(slot.state, CNC_SLOT_GAVE_UP);
        fork_it();
        now += slow.start_ms;
        (void)after(CNC_SLOT_ON_DEADLINE);
        cnc_slot_step(&slot, CNC_SLOT_ON_EXIT, &slow, now);
        now = slot.deadline;
    }
    ck_assert_int_eq(slot.state, CNC_SLOT_GAVE_UP);
}
END_TEST

START_TEST(ready_forgets_the_ends_before)
{
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    for (int i = 0; i < 10; i++) {
        fork_it();
        (void)after(CNC_SLOT_ON_EXIT);
        now = slot.deadline;
        fork_it();
        (void)after(CNC_SLOT_ON_EXIT);
        now = slot.deadline;
        fork_until_ready();
        now += 1;
        (void)after(CNC_SLOT_ON_EXIT);
        ck_assert_int_eq(slot.state, CNC_SLOT_BACKOFF);
        now = slot.deadline;
    }
}
END_TEST

static void end_after(int64_t ms, int64_t delay)
{
    fork_until_ready();
    now += ms;
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
    is(CNC_SLOT_BACKOFF, now + delay);
    now = slot.deadline;
}

/* However it ended. */
START_TEST(an_end_soon_after_ready_backs_off)
{
    static const int64_t delays[] = { 50, 100, 200, 400, 800, 1000, 1000 };
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < CNC_COUNT(delays); i++)
            end_after(i % 2 ? 4999 : 0, delays[i]);
        end_after(5000, 0); /* it has served */
        end_after(1, 1000); /* but not for long enough that the ends before are forgotten */
        end_after(10000, 0);
    }
    fork_until_ready();
    ck_assert_uint_eq(after(CNC_SLOT_ON_STUCK), CNC_SLOT_DO_KILL);
    (void)after(CNC_SLOT_ON_EXIT);
    is(CNC_SLOT_BACKOFF, now + 50);
}
END_TEST

START_TEST(who_has_done_its_share_is_followed_at_once)
{
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    end_after(0, 50);
    for (int i = 0; i < 20; i++) {
        slot.leaves = true;
        end_after(3, 0);
    }
    slot.leaves = false;
    end_after(0, 50);
}
END_TEST

/* It waits longer each time, and is never given up. */
START_TEST(want_of_room_gives_nothing_up)
{
    static const int64_t delays[] = { 50, 100, 200, 400, 800, 1600, 3200 };
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    for (size_t i = 0; i < 100; i++) {
        fork_it();
        slot.starved = true;
        ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
        is(CNC_SLOT_BACKOFF, now + (i < CNC_COUNT(delays) ? delays[i] : 4000));
        now = slot.deadline;
    }
    ck_assert_uint_eq(slot.early, 0);
    end_after(2000, 4000); /* it serves, and has no room again */
    slot.starved = false;
    end_after(2000, 1000);
    for (int i = 0; i < 2; i++) {
        fork_it();
        (void)after(CNC_SLOT_ON_EXIT);
        now = slot.deadline;
    }
    fork_it();
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), CNC_SLOT_DO_TELL);
    is(CNC_SLOT_GAVE_UP, NEVER);
}
END_TEST

/* It is killed, and comes back only if somebody still wants it. */
START_TEST(a_start_that_is_not_wanted_any_more)
{
    now = 0;
    cnc_slot_init(&slot);
    cnc_slot_want(&slot, now);
    fork_it();
    ck_assert_uint_eq(after(CNC_SLOT_ON_DRAIN), CNC_SLOT_DO_KILL);
    is(CNC_SLOT_KILL, NEVER);
    ck_assert_uint_eq(after(CNC_SLOT_ON_READY), 0); /* said before it died */
    is(CNC_SLOT_KILL, NEVER);
    ck_assert_uint_eq(after(CNC_SLOT_ON_EXIT), 0);
    is(CNC_SLOT_EMPTY, NEVER);
    cnc_slot_want(&slot, now);
    (void)after(CNC_SLOT_ON_DRAIN);
    is(CNC_SLOT_EMPTY, NEVER);
    cnc_slot_want(&slot, now);
    fork_it();
    (void)after(CNC_SLOT_ON_EXIT);
    slot.wanted = false; /* its successor's failure was enough */
    ck_assert_uint_eq(after(CNC_SLOT_ON_DEADLINE), 0);
    is(CNC_SLOT_EMPTY, NEVER);
}
END_TEST

START_TEST(states_have_names)
{
    ck_assert_str_eq(cnc_slot_state_name(-1), "?");
    ck_assert_str_eq(cnc_slot_state_name(CNC_SLOT_STATES), "?");
    for (int i = 0; i < CNC_SLOT_STATES; i++)
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(cnc_slot_state_name(i), cnc_slot_state_name(k));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("proc_slot");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, legal_pairs_lead_where_they_should);
    tcase_add_test(tests, illegal_pairs_are_noticed);
    tcase_add_test(tests, a_life);
    tcase_add_test(tests, a_drain_only_gets_shorter);
    tcase_add_test(tests, failing_forks_back_off);
    tcase_add_test(tests, too_many_ends_before_ready_give_it_up);
    tcase_add_test(tests, ends_count_within_the_window_only);
    tcase_add_test(tests, slow_ends_count_too);
    tcase_add_test(tests, ready_forgets_the_ends_before);
    tcase_add_test(tests, an_end_soon_after_ready_backs_off);
    tcase_add_test(tests, who_has_done_its_share_is_followed_at_once);
    tcase_add_test(tests, want_of_room_gives_nothing_up);
    tcase_add_test(tests, a_start_that_is_not_wanted_any_more);
    tcase_add_test(tests, states_have_names);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
