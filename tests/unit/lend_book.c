/* SPDX-License-Identifier: MIT
 *
 * The book and the outbox: rows of what happened and who is picked then; and the two against each other, a front and its
 * workers over links that lose nothing but are slow, with deaths, stops, refusals and new fronts at any moment.
 */
#include "serve/lend/book.h"

#include <stdio.h>

#include "serve/lend/ledger.h"
#include "serve/lend/outbox.h"
#include "unit/live.h"

enum { THREADS = 4 };

static struct cnc_book book;

static void set_up(void)
{
    ck_assert_int_eq(cnc_book_open(&book, 3, 2, THREADS), CONCUR_OK);
}

static void tear_down(void)
{
    cnc_book_close(&book);
}

static unsigned free_of(unsigned slot)
{
    return cnc_book_free(&book.rows[slot]);
}

static void greet(unsigned slot, unsigned free)
{
    cnc_book_link(&book, slot);
    ck_assert(cnc_book_told(&book, slot, 0, free));
}

static int pick(int64_t now)
{
    return cnc_book_pick(&book, false, 0, now);
}

/* ---- numbers ---- */

START_TEST(what_is_under_way_counts_until_it_is_seen)
{
    static const struct {
        uint32_t sent, seen, free; /* sent so far; then told */
        unsigned is;
    } rows[] = {
        { 0, 0, 4, 4 }, { 1, 0, 4, 3 }, { 2, 0, 4, 2 }, { 2, 1, 3, 2 }, { 2, 2, 3, 3 }, { 2, 2, 4, 4 },
        { 6, 2, 4, 0 }, { 9, 2, 4, 0 }, /* never below 0 */ { 9, 9, 0, 0 }, { 9, 9, 4, 4 }, { 9, 9, 1000, THREADS },
    };
    uint32_t sent = 0;
    greet(0, 4);
    for (size_t i = 0; i < CNC_COUNT(rows); i++) {
        for (; sent < rows[i].sent; sent++)
            ck_assert_uint_eq(cnc_book_sent(&book, 0, false), sent + 1);
        ck_assert(!cnc_book_told(&book, 0, rows[i].seen, rows[i].free));
        ck_assert_msg(free_of(0) == rows[i].is, "row %zu: %u", i, free_of(0));
    }
}
END_TEST

/* The counters of a link run over. */
START_TEST(counters_may_wrap)
{
    greet(0, 4);
    book.rows[0].sent = book.rows[0].seen = UINT32_MAX - 1;
    for (int i = 0; i < 3; i++)
        (void)cnc_book_sent(&book, 0, false);
    ck_assert_uint_eq(free_of(0), 1);
    (void)cnc_book_told(&book, 0, 0, 3); /* two of them */
    ck_assert_uint_eq(free_of(0), 2);
    (void)cnc_book_told(&book, 0, 1, 4);
    ck_assert_uint_eq(free_of(0), 4);
}
END_TEST

/* A worker that says it has read what was never sent, or less than before, is believed neither. */
START_TEST(nonsense_is_not_believed)
{
    greet(0, 4);
    (void)cnc_book_sent(&book, 0, false);
    (void)cnc_book_sent(&book, 0, false);
    (void)cnc_book_told(&book, 0, 1, 3);
    ck_assert_uint_eq(free_of(0), 2);
    (void)cnc_book_told(&book, 0, 3, 4);
    ck_assert_uint_eq(free_of(0), 3);
    (void)cnc_book_told(&book, 0, 0, 4);
    ck_assert_uint_eq(free_of(0), 3);
    (void)cnc_book_told(&book, 0, UINT32_MAX, UINT32_MAX);
    ck_assert_uint_eq(free_of(0), 3);
}
END_TEST

/* ---- who is picked ---- */

START_TEST(most_free_threads_first_and_equals_in_turn)
{
    ck_assert_int_eq(pick(0), CNC_BOOK_WAIT);
    greet(0, 2);
    greet(1, 4);
    greet(2, 3);
    static const int order[] = { 1, 2, 1, 2, 0, 1, 2, 0, 1 };
    for (size_t i = 0; i < CNC_COUNT(order); i++) {
        ck_assert_msg(pick(0) == order[i], "%zu: %d", i, pick(0));
        (void)cnc_book_sent(&book, (unsigned)order[i], false);
    }
    ck_assert_int_eq(pick(0), CNC_BOOK_WAIT);
}
END_TEST

START_TEST(for_life_it_is_the_fewest_and_threads_do_not_matter)
{
    greet(0, 0);
    greet(1, 4);
    greet(2, 1);
    for (int i = 0; i < 9; i++)
        (void)cnc_book_sent(&book, (unsigned)cnc_book_pick(&book, true, 0, 0), true);
    for (unsigned slot = 0; slot < 3; slot++)
        ck_assert_uint_eq(book.rows[slot].leases, 3);
    cnc_book_lease_ended(&book, 2);
    ck_assert_int_eq(cnc_book_pick(&book, true, 0, 0), 2);
    cnc_book_lease_ended(&book, 2);
    cnc_book_lease_ended(&book, 2);
    cnc_book_lease_ended(&book, 2); /* of a worker that tells nonsense */
    ck_assert_uint_eq(book.rows[2].leases, 0);
}
END_TEST

START_TEST(those_that_cannot_take_it_are_passed_over)
{
    static const unsigned flags[] = { CNC_BOOK_RETIRED, CNC_BOOK_CLOGGED };
    greet(0, 4);
    greet(1, 1);
    for (size_t i = 0; i < CNC_COUNT(flags); i++) {
        cnc_book_set(&book, 0, flags[i], true);
        ck_assert_int_eq(pick(0), 1);
        cnc_book_set(&book, 1, flags[i], true);
        ck_assert_int_eq(pick(0), CNC_BOOK_WAIT);
        cnc_book_set(&book, 0, flags[i], false);
        cnc_book_set(&book, 1, flags[i], false);
        ck_assert_int_eq(pick(0), 0);
    }
    cnc_book_unlink(&book, 0);
    ck_assert_int_eq(pick(0), 1);
    cnc_book_link(&book, 0); /* another one, which has not greeted */
    ck_assert_int_eq(pick(0), 1);
}
END_TEST

START_TEST(one_that_does_not_read_is_left_out_until_it_has_read_all)
{
    greet(0, 4);
    greet(1, 1);
    (void)cnc_book_sent(&book, 0, false);
    (void)cnc_book_sent(&book, 0, false);
    cnc_book_stuck(&book, 0);
    ck_assert_int_eq(pick(0), 1);
    (void)cnc_book_told(&book, 0, 1, 4); /* one of the two */
    ck_assert_int_eq(pick(0), 1);
    (void)cnc_book_told(&book, 0, 2, 4);
    ck_assert_int_eq(pick(0), 0);
}
END_TEST

/* ---- refusals ---- */

/* Who has refused is left out, twice as long each time; then it gets one at a time until it takes one. */
START_TEST(a_refuser_is_left_out_and_tried_again)
{
    int64_t now = 1000;
    greet(0, 4);
    greet(1, 2);
    for (int64_t out = 100; out <= 1000; out = out * 2 < 1000 || out == 1000 ? out * 2 : 1000) {
        ck_assert_int_eq(pick(now), 0);
        uint32_t n = cnc_book_sent(&book, 0, false);
        ck_assert_int_eq(pick(now), out == 100 ? 0 : 1); /* on trial: one at a time */
        (void)cnc_book_told(&book, 0, n, 4);
        cnc_book_refused(&book, 0, now);
        ck_assert_int_eq(pick(now), 1);
        ck_assert_int_eq(cnc_book_next(&book, now), now + out);
        ck_assert_int_eq(pick(now + out - 1), 1);
        now += out;
    }
    uint32_t n = cnc_book_sent(&book, 0, false);
    (void)cnc_book_told(&book, 0, n, 4);
    cnc_book_taken(&book, 0, n);
    ck_assert_int_eq(pick(now), 0);
    (void)cnc_book_sent(&book, 0, false);
    ck_assert_int_eq(pick(now), 0); /* as any other */
    ck_assert_int_eq(cnc_book_next(&book, now), INT64_MAX);
}
END_TEST

/* What was sent before the refusal came says nothing about what comes after it. */
START_TEST(only_what_was_sent_after_a_refusal_clears_it)
{
    greet(0, 4);
    greet(1, 1);
    uint32_t first = cnc_book_sent(&book, 0, false), second = cnc_book_sent(&book, 0, false);
    (void)cnc_book_told(&book, 0, second, 3);
    cnc_book_refused(&book, 0, 0);
    cnc_book_taken(&book, 0, first);
    ck_assert_int_eq(pick(0), 1);
    uint32_t third = cnc_book_sent(&book, 0, false);
    (void)cnc_book_told(&book, 0, third, 3);
    cnc_book_taken(&book, 0, third);
    ck_assert_int_eq(pick(0), 0);
}
END_TEST

/* Several refusals of what was sent at the same time are one. */
START_TEST(a_burst_of_refusals_counts_once)
{
    greet(0, 4);
    for (int i = 0; i < 4; i++)
        cnc_book_refused(&book, 0, 5);
    ck_assert_int_eq(cnc_book_next(&book, 5), 105);
}
END_TEST

/* While nobody is well there is nobody to wait for: each is tried, once. While somebody is, it is waited for. */
START_TEST(when_all_refuse_each_is_tried_once)
{
    greet(0, 4);
    cnc_book_refused(&book, 0, 10);
    ck_assert_int_eq(cnc_book_pick(&book, false, 0, 20), CNC_BOOK_WAIT); /* there should be two */
    greet(1, 4);
    cnc_book_refused(&book, 1, 0);
    ck_assert_int_eq(cnc_book_pick(&book, false, 0, 20), 1); /* the one left out for longest */
    (void)cnc_book_sent(&book, 1, false);
    ck_assert_int_eq(cnc_book_pick(&book, false, 1, 20), 0);
    (void)cnc_book_sent(&book, 0, false);
    ck_assert_int_eq(cnc_book_pick(&book, false, 1, 20), CNC_BOOK_WAIT); /* both have one on trial */
    ck_assert_int_eq(cnc_book_pick(&book, false, 2, 20), CNC_BOOK_NOBODY);
    greet(2, 0);
    ck_assert_int_eq(cnc_book_pick(&book, false, 2, 20), CNC_BOOK_WAIT);
    cnc_book_stuck(&book, 2); /* that one is no hope */
    (void)cnc_book_sent(&book, 2, false);
    ck_assert_int_eq(cnc_book_pick(&book, false, 2, 20), CNC_BOOK_NOBODY);
}
END_TEST

/* ---- the outbox ---- */

static struct cnc_loan_note end_of(uint64_t loan)
{
    return (struct cnc_loan_note){ .what = CNC_LOAN_GONE, .id = loan };
}

START_TEST(numbers_are_told_once_and_the_newest_only)
{
    struct cnc_outbox box = { 0 };
    struct cnc_outbox_note out;
    ck_assert(cnc_outbox_reserve(&box, 0));
    ck_assert(!cnc_outbox_next(&box, 4, &out)); /* there is no front yet */
    cnc_outbox_greet(&box, 7);
    ck_assert(cnc_outbox_next(&box, 4, &out));
    ck_assert_uint_eq(out.note.what, CNC_LOAN_COUNTS);
    ck_assert_uint_eq(out.note.front, 7);
    cnc_outbox_sent(&box, &out.note, true);
    ck_assert(!cnc_outbox_next(&box, 4, &out));
    ck_assert(cnc_outbox_next(&box, 3, &out));
    ck_assert(cnc_outbox_next(&box, 2, &out)); /* the first was never sent */
    ck_assert_uint_eq(out.note.free, 2);
    cnc_outbox_sent(&box, &out.note, true);
    ck_assert(!cnc_outbox_next(&box, 2, &out));
    cnc_outbox_ask(&box, CNC_LOAN_NONE_IDLE);
    ck_assert(cnc_outbox_next(&box, 2, &out));
    ck_assert_uint_eq(out.note.flags, CNC_LOAN_NONE_IDLE);
    cnc_outbox_sent(&box, &out.note, true);
    ck_assert(!cnc_outbox_next(&box, 2, &out));
    cnc_outbox_close(&box);
}
END_TEST

/* However many loans end while nothing can be sent, each end has its place, in order, and takes no memory then. */
START_TEST(each_end_has_its_place)
{
    enum { LOANS = 1000 };
    struct cnc_outbox box = { 0 };
    struct cnc_outbox_note out;
    ck_assert(cnc_outbox_reserve(&box, 0));
    cnc_outbox_greet(&box, 1);
    for (uint32_t i = 0; i < LOANS; i++) {
        ck_assert(cnc_outbox_reserve(&box, 0));
        cnc_outbox_read(&box, true);
    }
    const uint32_t cap = box.cap;
    for (uint32_t i = 0; i < LOANS; i++) {
        struct cnc_loan_note note = end_of(cnc_loan_number(1, i, i));
        ck_assert(cnc_outbox_end(&box, note.id));
        cnc_outbox_keep(&box, &note, NULL);
    }
    cnc_outbox_read(&box, false); /* and one that is refused */
    struct cnc_loan_note refused = { .what = CNC_LOAN_REFUSED, .id = cnc_loan_number(1, LOANS, LOANS) };
    cnc_outbox_keep(&box, &refused, NULL);
    ck_assert_uint_eq(box.cap, cap);
    for (uint32_t i = 0; i <= LOANS; i++) {
        ck_assert(cnc_outbox_next(&box, 4, &out));
        ck_assert_uint_eq(cnc_loan_place(out.note.id), i);
        ck_assert_uint_eq(out.note.seen, LOANS + 1);
        cnc_outbox_sent(&box, &out.note, true);
    }
    ck_assert(!cnc_outbox_next(&box, 4, &out));
    cnc_outbox_close(&box);
}
END_TEST

/* What ends after its front has been followed by another one is told to nobody, but counts as another's until then. */
START_TEST(a_new_front_is_told_of_its_own)
{
    struct cnc_outbox box = { 0 };
    struct cnc_outbox_note out;
    ck_assert(cnc_outbox_reserve(&box, 2));
    cnc_outbox_greet(&box, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert(cnc_outbox_reserve(&box, 0));
        cnc_outbox_read(&box, true);
    }
    struct cnc_loan_note kept = end_of(cnc_loan_number(1, 0, 0));
    ck_assert(cnc_outbox_end(&box, kept.id));
    cnc_outbox_keep(&box, &kept, NULL);
    cnc_outbox_greet(&box, 2);
    ck_assert(cnc_outbox_drop(&box, &out));
    ck_assert_uint_eq(out.note.id, kept.id);
    ck_assert(!cnc_outbox_drop(&box, &out));
    ck_assert(cnc_outbox_next(&box, 1, &out));
    ck_assert_uint_eq(out.note.what, CNC_LOAN_COUNTS);
    ck_assert_uint_eq(out.note.seen, 0);
    ck_assert_uint_eq(out.note.others, 2);
    cnc_outbox_sent(&box, &out.note, true);
    ck_assert(!cnc_outbox_end(&box, cnc_loan_number(1, 1, 1)));
    ck_assert(cnc_outbox_next(&box, 1, &out)); /* the number of others has changed */
    ck_assert_uint_eq(out.note.others, 1);
    cnc_outbox_close(&box);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = tcase_create("book");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, what_is_under_way_counts_until_it_is_seen);
    tcase_add_test(t, counters_may_wrap);
    tcase_add_test(t, nonsense_is_not_believed);
    tcase_add_test(t, most_free_threads_first_and_equals_in_turn);
    tcase_add_test(t, for_life_it_is_the_fewest_and_threads_do_not_matter);
    tcase_add_test(t, those_that_cannot_take_it_are_passed_over);
    tcase_add_test(t, one_that_does_not_read_is_left_out_until_it_has_read_all);
    tcase_add_test(t, a_refuser_is_left_out_and_tried_again);
    tcase_add_test(t, only_what_was_sent_after_a_refusal_clears_it);
    tcase_add_test(t, a_burst_of_refusals_counts_once);
    tcase_add_test(t, when_all_refuse_each_is_tried_once);
    suite_add_tcase(s, t);
    t = tcase_create("outbox");
    tcase_add_test(t, numbers_are_told_once_and_the_newest_only);
    tcase_add_test(t, each_end_has_its_place);
    tcase_add_test(t, a_new_front_is_told_of_its_own);
    suite_add_tcase(s, t);
}

int main(void)
{
    Suite *s = suite_create("conn_book");
    add(s);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
