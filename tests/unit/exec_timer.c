/* SPDX-License-Identifier: MIT
 *
 * The heap against a model that is too simple to be wrong: a plain array, searched each time.
 */
#include "exec/timer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMERS = 300, STEPS = 20000 };

struct model {
    struct cnc_timer t[TIMERS];
    int64_t at[TIMERS]; /* INT64_MAX: not set */
};

static uint64_t seed_of_run;

static uint32_t chance(uint32_t n)
{
    seed_of_run = seed_of_run * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed_of_run >> 33) % n;
}

static int64_t model_next(const struct model *m)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < TIMERS; i++)
        if (m->at[i] < next)
            next = m->at[i];
    return next;
}

/* Each link is the one that its timer says points to it, and no timer comes before its parent. Returns how many there are. */
static unsigned check_siblings(struct cnc_timer *const *link, const struct cnc_timer *parent)
{
    unsigned n = 0;
    for (; *link; link = &(*link)->next) {
        const struct cnc_timer *t = *link;
        ck_assert_ptr_eq(t->back, link);
        ck_assert(!parent || parent->at < t->at || (parent->at == t->at && parent->turn < t->turn));
        n += 1 + check_siblings(&t->child, t);
    }
    return n;
}

static void check_heap(const struct cnc_timers *ts, const struct model *m)
{
    unsigned set = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        ck_assert_int_eq(cnc_timer_is_set(&m->t[i]), m->at[i] != INT64_MAX);
        set += cnc_timer_is_set(&m->t[i]);
    }
    ck_assert_uint_eq(ts->count, set);
    ck_assert_uint_eq(check_siblings(&ts->first, NULL), set);
    ck_assert(!ts->first || !ts->first->next);
}

static void take_due(struct cnc_timers *ts, struct model *m, int64_t now)
{
    int64_t before = INT64_MIN;
    struct cnc_timer *t;
    while ((t = cnc_timers_due(ts, now)) != NULL) {
        size_t i = (size_t)(t - m->t);
        ck_assert_int_eq(t->at, m->at[i]);
        ck_assert_int_le(t->at, now);
        ck_assert_int_ge(t->at, before);
        ck_assert_int_eq(t->at, model_next(m));
        before = t->at;
        m->at[i] = INT64_MAX;
    }
    ck_assert_int_gt(model_next(m), now);
}

START_TEST(the_heap_does_what_a_list_does)
{
    static struct model m;
    struct cnc_timers ts = { 0 };
    int64_t now = 0;
    memset(&m, 0, sizeof m);
    seed_of_run = 0x5eed0000u + (unsigned)_i;
    for (unsigned i = 0; i < TIMERS; i++)
        m.at[i] = INT64_MAX;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = chance(TIMERS);
        uint32_t what = chance(10);
        if (what < 6) {
            m.at[i] = now + chance(1000) - 100;
            cnc_timer_set(&ts, &m.t[i], m.at[i]);
        } else if (what < 9) {
            m.at[i] = INT64_MAX;
            cnc_timer_cancel(&ts, &m.t[i]);
        } else {
            now += chance(60);
            take_due(&ts, &m, now);
        }
        ck_assert_int_eq(cnc_timers_next(&ts), model_next(&m));
        if (step % 64 == 0)
            check_heap(&ts, &m);
    }
    take_due(&ts, &m, INT64_MAX - 1);
    check_heap(&ts, &m);
}
END_TEST

/* Of timers with the same time the first to be set runs first, whatever else is set, moved and cancelled meanwhile. */
START_TEST(equals_come_in_turn)
{
    static struct cnc_timer t[TIMERS];
    struct cnc_timers ts = { 0 };
    struct cnc_timer *due;
    uint64_t last = 0;
    seed_of_run = 0xe9a1 + (unsigned)_i;
    memset(t, 0, sizeof t);
    for (unsigned step = 0; step < 4 * TIMERS; step++) {
        unsigned i = chance(TIMERS);
        if (chance(4))
            cnc_timer_set(&ts, &t[i], 100 + chance(2) * chance(2) * 7);
        else
            cnc_timer_cancel(&ts, &t[i]);
    }
    for (int64_t before = 0; (due = cnc_timers_due(&ts, 1000)) != NULL; before = due->at, last = due->turn)
        ck_assert(due->at > before || (due->at == before && due->turn > last));
}
END_TEST

START_TEST(an_empty_heap)
{
    struct cnc_timers ts = { 0 };
    struct cnc_timer t = { 0 };
    ck_assert_int_eq(cnc_timers_next(&ts), INT64_MAX);
    ck_assert_ptr_null(cnc_timers_due(&ts, INT64_MAX));
    cnc_timer_cancel(&ts, &t);
    ck_assert(!cnc_timer_is_set(&t));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_timer");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, the_heap_does_what_a_list_does, 0, 4);
    tcase_add_test(tests, an_empty_heap);
    tcase_add_loop_test(tests, equals_come_in_turn, 0, 8);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
