/* SPDX-License-Identifier: MIT */
#include "conn/desk.h"

#include <check.h>
#include <stdlib.h>

static int64_t hand_ms, hand_s, wall_reads;

static int64_t hand_now(void *arg)
{
    (void)arg;
    return hand_ms;
}

static int64_t hand_wall(void *arg)
{
    (void)arg;
    wall_reads++;
    return hand_s;
}

static const struct cnc_clock hand = { .now_ms = hand_now, .wall_s = hand_wall };

static struct cnc_home *make(const struct cnc_clock *clock, bool blocking)
{
    struct cnc_home *home = NULL;
    ck_assert_int_eq(cnc_desk_create(&home, clock, 8, blocking), CONCUR_OK);
    ck_assert(cnc_home_is_mine(home));
    return home;
}

START_TEST(blocks_are_kept_for_the_next)
{
    struct cnc_home *home = make(&cnc_clock_system, true);
    void *blocks[CNC_DESK_BLOCKS_KEPT + 8];
    void *a = cnc_desk_block_get(home);
    memset(a, 'x', CNC_DESK_BLOCK);
    ck_assert_uint_eq((uintptr_t)a % 16, 0);
    cnc_desk_block_put(home, a);
    ck_assert_ptr_eq(cnc_desk_block_get(home), a);
    cnc_desk_block_put(home, a);
    for (unsigned i = 0; i < CNC_COUNT(blocks); i++)
        ck_assert_ptr_nonnull(blocks[i] = cnc_desk_block_get(home));
    for (unsigned i = 0; i < CNC_COUNT(blocks); i++)
        cnc_desk_block_put(home, blocks[i]);
    ck_assert_uint_eq(cnc_desk_of(home)->blocks_kept, CNC_DESK_BLOCKS_KEPT);
    cnc_home_close(&home);
}
END_TEST

static void *put_elsewhere(void *block)
{
    struct cnc_home *there = make(&cnc_clock_system, true);
    cnc_desk_block_put(there, block);
    ck_assert_uint_eq(cnc_desk_of(there)->blocks_kept, 0);
    cnc_home_close(&there);
    return NULL;
}

START_TEST(a_block_travels_back_to_its_home)
{
    struct cnc_home *home = make(&cnc_clock_system, false);
    void *block = cnc_desk_block_get(home);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, put_elsewhere, block), 0);
    while (cnc_desk_of(home)->blocks_kept == 0)
        cnc_home_turn(home, -1);
    pthread_join(thread, NULL);
    ck_assert_ptr_eq(cnc_desk_block_get(home), block);
    /* A home that has closed wants nothing back. */
    struct cnc_home *closed = home;
    cnc_home_ref(closed);
    cnc_home_close(&home);
    ck_assert_int_eq(pthread_create(&thread, NULL, put_elsewhere, block), 0);
    pthread_join(thread, NULL);
    cnc_home_unref(closed);
}
END_TEST

START_TEST(the_date_is_made_once_a_second_at_most)
{
    hand_ms = 10000;
    hand_s = 784111777;
    wall_reads = 0;
    struct cnc_home *home = make(&hand, false);
    struct cnc_slice date = cnc_desk_date(home);
    ck_assert_uint_eq(date.n, 29);
    ck_assert_mem_eq(date.p, "Sun, 06 Nov 1994 08:49:37 GMT", 29);
    ck_assert_int_eq(wall_reads, 1);
    hand_s++;
    hand_ms += 200;
    cnc_home_turn(home, 0);
    ck_assert_mem_eq(cnc_desk_date(home).p, "Sun, 06 Nov 1994 08:49:37 GMT", 29);
    ck_assert_int_eq(wall_reads, 1);
    hand_ms += 800;
    cnc_home_turn(home, 0);
    ck_assert_mem_eq(cnc_desk_date(home).p, "Sun, 06 Nov 1994 08:49:38 GMT", 29);
    hand_s = 784111777 + 86400; /* the wall clock was set */
    hand_ms += 1000;
    cnc_home_turn(home, 0);
    ck_assert_mem_eq(cnc_desk_date(home).p, "Mon, 07 Nov 1994 08:49:37 GMT", 29);
    cnc_home_close(&home);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(a_desk_that_cannot_be_made_leaves_nothing)
{
    unsigned failed = 0;
    for (unsigned nth = 1;; nth++) {
        struct cnc_home *home = NULL;
        cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
        int rc = cnc_desk_create(&home, &cnc_clock_system, 8, false);
        if (rc == CONCUR_OK && cnc_desk_need_scratch(home) < 0)
            rc = CONCUR_E_NOMEM;
        cnc_home_close(&home);
        if (rc == CONCUR_OK)
            break;
        ck_assert_int_eq(rc, CONCUR_E_NOMEM);
        failed++;
    }
    ck_assert_uint_eq(failed, 7); /* home, fields, three of the loop, two scratch buffers */
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("conn_desk");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, blocks_are_kept_for_the_next);
    tcase_add_test(tests, a_block_travels_back_to_its_home);
    tcase_add_test(tests, the_date_is_made_once_a_second_at_most);
#ifdef CNC_FAULTS
    tcase_add_test(tests, a_desk_that_cannot_be_made_leaves_nothing);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
