/* SPDX-License-Identifier: MIT
 *
 * The ledger: one loan is had by one side, whoever comes first; and a row is read and written by those alone whom it belongs to.
 */
#include "serve/lend/ledger.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"

enum { PLACES = 8 };

static struct cnc_ledger ledger;

static void set_up(void)
{
    ck_assert(cnc_ledger_open(&ledger, PLACES));
}

static void tear_down(void)
{
    cnc_ledger_close(&ledger);
}

START_TEST(numbers_hold_what_went_in)
{
    static const uint32_t fronts[] = { 1, 2, 0xffff }, places[] = { 0, 1, 7, CNC_LEDGER_PLACES - 1 };
    for (size_t f = 0; f < CNC_COUNT(fronts); f++)
        for (size_t p = 0; p < CNC_COUNT(places); p++) {
            uint64_t loan = cnc_loan_number(fronts[f], 0xdeadbeef, places[p]);
            ck_assert_uint_ne(loan, 0);
            ck_assert_uint_eq(loan & CNC_LEDGER_PHASES, 0);
            ck_assert_uint_eq(cnc_loan_front(loan), fronts[f]);
            ck_assert_uint_eq(cnc_loan_place(loan), places[p]);
            ck_assert_uint_ne(loan, cnc_loan_number(fronts[f], 0xdeadbeef + 1, places[p]));
        }
}
END_TEST

/* Each front has a number of its own, and is never 0. */
START_TEST(fronts_are_counted)
{
    ck_assert_uint_eq(cnc_ledger_add_front(&ledger), 1);
    ck_assert_uint_eq(cnc_ledger_add_front(&ledger), 2);
    atomic_store(&ledger.pages->fronts, 0xfffe);
    ck_assert_uint_eq(cnc_ledger_add_front(&ledger), 0xffff);
    ck_assert_uint_eq(cnc_ledger_add_front(&ledger), 1);
}
END_TEST

START_TEST(taken_or_revoked)
{
    uint64_t loan = cnc_loan_number(1, 1, 3);
    cnc_ledger_lend(&ledger, loan);
    ck_assert(!cnc_ledger_is_taken(&ledger, loan));
    ck_assert_ptr_null(cnc_ledger_own(&ledger, loan));
    ck_assert(cnc_ledger_take(&ledger, loan));
    ck_assert(!cnc_ledger_take(&ledger, loan));
    ck_assert(!cnc_ledger_revoke(&ledger, loan));
    ck_assert(cnc_ledger_is_taken(&ledger, loan));
    loan = cnc_loan_number(1, 2, 3); /* the place is used again */
    cnc_ledger_lend(&ledger, loan);
    ck_assert(cnc_ledger_revoke(&ledger, loan));
    ck_assert(!cnc_ledger_take(&ledger, loan));
    ck_assert_ptr_null(cnc_ledger_own(&ledger, loan));
}
END_TEST

/* A worker of a front that has died still serves a loan; the next front has used the same place since. */
START_TEST(a_row_is_anothers_by_now)
{
    uint64_t old = cnc_loan_number(1, 1, 3), same = cnc_loan_number(3, 1, 3), next = cnc_loan_number(2, 1, 3);
    struct cnc_ledger_row *row;
    cnc_ledger_lend(&ledger, old);
    ck_assert(cnc_ledger_take(&ledger, old));
    cnc_ledger_lend(&ledger, next); /* fronts that follow each other have different rows */
    ck_assert(cnc_ledger_take(&ledger, next));
    row = cnc_ledger_own(&ledger, old);
    ck_assert_ptr_nonnull(row);
    atomic_store(&row->told, 77);
    ck_assert_uint_eq(cnc_ledger_read(&ledger, next).told, 1);
    ck_assert_uint_eq(cnc_ledger_read(&ledger, old).told, 77);
    cnc_ledger_lend(&ledger, same); /* the one after has the same row */
    ck_assert_ptr_null(cnc_ledger_own(&ledger, old));
    ck_assert_uint_eq(cnc_ledger_read(&ledger, old).told, CNC_LEDGER_UNKNOWN);
    ck_assert(!cnc_ledger_take(&ledger, old));
    ck_assert(!cnc_ledger_revoke(&ledger, old));
    ck_assert_uint_eq(cnc_ledger_read(&ledger, same).told, 1);
    ck_assert(cnc_ledger_take(&ledger, same));
}
END_TEST

/* There are more loans than rows: then nothing is known of them, and nothing is taken back. */
START_TEST(a_loan_without_a_row)
{
    uint64_t loan = cnc_loan_number(1, 1, PLACES);
    cnc_ledger_lend(&ledger, loan);
    ck_assert(cnc_ledger_take(&ledger, loan));
    ck_assert(!cnc_ledger_revoke(&ledger, loan));
    ck_assert_ptr_null(cnc_ledger_own(&ledger, loan));
    ck_assert_uint_eq(cnc_ledger_read(&ledger, loan).told, CNC_LEDGER_UNKNOWN);
}
END_TEST

/* Both sides at once, many times: one of them has it, always. */
enum { RACES = 20000 };
static pthread_barrier_t start;
static bool was_taken[RACES];

static uint64_t loan_of(unsigned i)
{
    return cnc_loan_number(1, i, i % PLACES);
}

static void *take_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < RACES; i++) {
        pthread_barrier_wait(&start);
        was_taken[i] = cnc_ledger_take(&ledger, loan_of(i));
        pthread_barrier_wait(&start);
    }
    return NULL;
}

START_TEST(one_side_has_it)
{
    pthread_t thread;
    unsigned taken = 0;
    pthread_barrier_init(&start, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_all, NULL), 0);
    for (unsigned i = 0; i < RACES; i++) {
        cnc_ledger_lend(&ledger, loan_of(i));
        pthread_barrier_wait(&start);
        bool revoked = cnc_ledger_revoke(&ledger, loan_of(i));
        pthread_barrier_wait(&start);
        ck_assert_msg(revoked != was_taken[i], "race %u", i);
        taken += was_taken[i];
    }
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&start);
    printf("%u of %d taken\n", taken, RACES);
}
END_TEST

START_TEST(without_memory_there_is_none)
{
#ifdef CNC_FAULTS
    struct cnc_ledger none;
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, true);
    ck_assert(!cnc_ledger_open(&none, PLACES));
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    ck_assert_uint_eq(cnc_ledger_add_front(&none), 1);
    cnc_ledger_lend(&none, cnc_loan_number(1, 1, 0));
    ck_assert(cnc_ledger_take(&none, cnc_loan_number(1, 1, 0)));
    cnc_ledger_close(&none);
#endif
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn_ledger");
    TCase *t = tcase_create("ledger");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, numbers_hold_what_went_in);
    tcase_add_test(t, fronts_are_counted);
    tcase_add_test(t, taken_or_revoked);
    tcase_add_test(t, a_row_is_anothers_by_now);
    tcase_add_test(t, a_loan_without_a_row);
    tcase_add_test(t, one_side_has_it);
    tcase_add_test(t, without_memory_there_is_none);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
