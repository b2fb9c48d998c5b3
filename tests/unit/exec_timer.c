/* SPDX-License-Identifier: MIT
 *
 * The heap against a model that is too simple to be wrong: a plain array, searched each time.
 */
#include "exec/timer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"

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

static void check_heap(const struct cnc_timers *ts, const struct model *m)
{
    unsigned set = 0;
    for (unsigned i = 0; i < TIMERS; i++) {
        ck_assert_int_eq(m->t[i].pos != 0, m->at[i] != INT64_MAX);
        set += m->t[i].pos != 0;
        if (m->t[i].pos)
            ck_assert_ptr_eq(ts->heap[m->t[i].pos - 1], &m->t[i]);
    }
    ck_assert_uint_eq(ts->count, set);
    for (uint32_t i = 1; i < ts->count; i++)
        ck_assert_int_le(ts->heap[(i - 1) / 2]->at, ts->heap[i]->at);
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
            ck_assert_int_eq(cnc_timer_set(&ts, &m.t[i], m.at[i]), CONCUR_OK);
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
    cnc_timers_deinit(&ts);
}
END_TEST

START_TEST(an_empty_heap)
{
    struct cnc_timers ts = { 0 };
    struct cnc_timer t = { 0 };
    ck_assert_int_eq(cnc_timers_next(&ts), INT64_MAX);
    ck_assert_ptr_null(cnc_timers_due(&ts, INT64_MAX));
    cnc_timer_cancel(&ts, &t);
    cnc_timers_deinit(&ts);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(without_memory_the_set_ones_still_move)
{
    enum { ROOM = 16 };
    struct cnc_timer t[ROOM + 1] = { 0 };
    struct cnc_timers ts = { 0 };
    for (unsigned i = 0; i < ROOM; i++)
        ck_assert_int_eq(cnc_timer_set(&ts, &t[i], i), CONCUR_OK);
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, true);
    ck_assert_int_eq(cnc_timer_set(&ts, &t[ROOM], 5), CONCUR_E_NOMEM);
    ck_assert_uint_eq(t[ROOM].pos, 0);
    ck_assert_int_eq(cnc_timer_set(&ts, &t[0], 100), CONCUR_OK);
    ck_assert_int_eq(cnc_timers_next(&ts), 1);
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    while (cnc_timers_due(&ts, 1000))
        ;
    cnc_timers_deinit(&ts);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("exec_timer");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, the_heap_does_what_a_list_does, 0, 4);
    tcase_add_test(tests, an_empty_heap);
#ifdef CNC_FAULTS
    tcase_add_test(tests, without_memory_the_set_ones_still_move);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
