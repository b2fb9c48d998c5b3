/* SPDX-License-Identifier: MIT
 *
 * The scoreboard, written and read by several processes; and by one that writes anything, anywhere.
 */
#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "proc/board.h"

static struct cnc_board *board;

static void set_up(void)
{
    board = cnc_board_create();
    ck_assert_ptr_nonnull(board);
}

static void tear_down(void)
{
    cnc_board_destroy(&board);
    ck_assert_ptr_null(board);
    cnc_board_destroy(&board);
}

static struct cnc_board_row *use(unsigned page, unsigned i)
{
    cnc_board_use(board, page, i);
    return cnc_board_row(board, page, i);
}

static struct cnc_board_sum sum(void)
{
    struct cnc_board_sum s;
    cnc_board_sum(board, &s);
    return s;
}

static void fill(struct cnc_board_row *row)
{
    row->requests = 10;
    row->accepted = 20;
    row->stalls = 30;
    row->connections = 4;
    row->threads = 5;
    row->threads_idle = 6;
    row->queued = 7;
    row->busy_since = 8;
}

START_TEST(sums_all_rows)
{
    struct cnc_board_sum s = sum();
    ck_assert_uint_eq(s.requests + s.accepted + s.stalls + s.connections + s.threads + s.threads_idle + s.queued, 0);
    fill(use(1, 0));
    fill(use(1, CNC_BOARD_SLOTS - 1));
    fill(use(2, 17));
    fill(use(0, 3));
    fill(cnc_board_row(board, 3, 1)); /* of no process yet */
    s = sum();
    ck_assert_uint_eq(s.requests, 40);
    ck_assert_uint_eq(s.accepted, 80);
    ck_assert_uint_eq(s.stalls, 120);
    ck_assert_uint_eq(s.connections, 16);
    ck_assert_uint_eq(s.threads, 20);
    ck_assert_uint_eq(s.threads_idle, 24);
    ck_assert_uint_eq(s.queued, 28);
}
END_TEST

/* The counts of a process that has ended stay; what it had does not. */
START_TEST(folds_the_dead)
{
    struct cnc_board_row *row = use(3, 9);
    for (unsigned i = 1; i <= 3; i++) {
        fill(row);
        cnc_board_set_idle(board, 3, 9, true);
        cnc_board_fold(board, 3, 9);
        struct cnc_board_sum s = sum();
        ck_assert_uint_eq(s.requests, 10 * i);
        ck_assert_uint_eq(s.accepted, 20 * i);
        ck_assert_uint_eq(s.stalls, 30 * i);
        ck_assert_uint_eq(s.connections + s.threads + s.threads_idle + s.queued, 0);
        ck_assert_int_eq(row->busy_since, 0);
        ck_assert(!cnc_board_is_idle(board, 3, 9));
    }
}
END_TEST

START_TEST(tells_who_is_idle)
{
    static const unsigned slots[] = { 0, 1, 63, 64, 65, CNC_BOARD_SLOTS - 1 };
    for (unsigned i = 0; i < CNC_COUNT(slots); i++) {
        ck_assert(!cnc_board_has_idle(board, 2));
        cnc_board_set_idle(board, 2, slots[i], true);
        cnc_board_set_idle(board, 2, slots[i], true);
        ck_assert(cnc_board_has_idle(board, 2));
        ck_assert(!cnc_board_has_idle(board, 3));
        for (unsigned k = 0; k < CNC_BOARD_SLOTS; k++)
            ck_assert(cnc_board_is_idle(board, 2, k) == (k == slots[i]));
        cnc_board_set_idle(board, 2, slots[i], false);
    }
}
END_TEST

static pid_t in_process(void (*fn)(unsigned), unsigned i)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        fn(i);
        _exit(0);
    }
    return pid;
}

static void must_end(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Its row, with plain stores, and its own bit. */
static void work(unsigned i)
{
    struct cnc_board_row *row = cnc_board_row(board, 1, i);
    for (unsigned n = 1; n <= 10000; n++) {
        atomic_store_explicit(&row->requests, n, memory_order_relaxed);
        cnc_board_set_idle(board, 1, i, n % 2);
    }
    cnc_board_set_idle(board, 1, i, true);
}

START_TEST(tells_who_does_not_take_a_connection)
{
    static const unsigned slots[] = { 0, 63, 64, CNC_BOARD_SLOTS - 1 };
    ck_assert_int_eq(cnc_board_take_look(board, 1), -1);
    for (unsigned i = 0; i < CNC_COUNT(slots); i++) {
        cnc_board_ask_look(board, 1, slots[i]);
        cnc_board_ask_look(board, 1, slots[i]);
    }
    for (unsigned i = 0; i < CNC_COUNT(slots); i++)
        ck_assert_int_eq(cnc_board_take_look(board, 1), (int)slots[i]);
    ck_assert_int_eq(cnc_board_take_look(board, 1), -1);
    ck_assert_int_eq(cnc_board_take_look(board, 0), -1);
}
END_TEST

START_TEST(processes_write_rows_of_their_own)
{
    enum { N = 8 };
    pid_t pids[N];
    for (unsigned i = 0; i < N; i++) {
        cnc_board_use(board, 1, i);
        pids[i] = in_process(work, i);
    }
    while (sum().requests < 10000)
        (void)cnc_board_has_idle(board, 1);
    for (unsigned i = 0; i < N; i++)
        must_end(pids[i]);
    ck_assert_uint_eq(sum().requests, 10000 * N);
    for (unsigned i = 0; i < N; i++) {
        ck_assert(cnc_board_is_idle(board, 1, i));
        cnc_board_fold(board, 1, i);
    }
    ck_assert_uint_eq(sum().requests, 10000 * N);
    ck_assert(!cnc_board_has_idle(board, 1));
}
END_TEST

/* From the board's first byte to its last row's end, over and over. */
static void scribble(unsigned rounds)
{
    char *from = (char *)board, *to = (char *)(cnc_board_row(board, CNC_BOARD_GENERATIONS - 1, CNC_BOARD_SLOTS - 1) + 1);
    static char noise[4096];
    for (unsigned i = 0; i < rounds; i++) {
        size_t n = (size_t)(to - from), at = 0;
        (void)!getrandom(noise, sizeof noise, 0);
        if (i == 0)
            memset(noise, 0xff, sizeof noise);
        for (; at < n; at += sizeof noise)
            memcpy(from + at, noise, n - at < sizeof noise ? n - at : sizeof noise);
    }
}

START_TEST(a_hostile_writer_leads_nobody_astray)
{
    pid_t pid = in_process(scribble, 50);
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        (void)sum();
        for (unsigned g = 0; g < CNC_BOARD_GENERATIONS; g++) {
            unsigned n = 0;
            (void)cnc_board_has_idle(board, g);
            for (unsigned i = 0; i < CNC_BOARD_SLOTS; i++)
                n += cnc_board_is_idle(board, g, i);
            ck_assert_uint_le(n, CNC_BOARD_SLOTS);
            cnc_board_use(board, g, g);
            cnc_board_fold(board, g, CNC_BOARD_SLOTS - 1 - g);
        }
    }
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(no_memory_is_told)
{
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, false);
    ck_assert_ptr_null(cnc_board_create());
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("proc_board");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, sums_all_rows);
    tcase_add_test(tests, folds_the_dead);
    tcase_add_test(tests, tells_who_is_idle);
    tcase_add_test(tests, tells_who_does_not_take_a_connection);
    tcase_add_test(tests, processes_write_rows_of_their_own);
    tcase_add_test(tests, a_hostile_writer_leads_nobody_astray);
#ifdef CNC_FAULTS
    tcase_add_test(tests, no_memory_is_told);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
