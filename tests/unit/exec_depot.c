/* SPDX-License-Identifier: MIT
 *
 * Chunks: homes and their depot keep so many and no more, and what one home fills and another empties comes back.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "exec/depot.h"

enum { MANY = 500 };

START_TEST(what_is_kept_is_bounded)
{
    struct cnc_depot depot;
    struct cnc_chunks chunks = { 0 };
    void *all[MANY];
    cnc_depot_init(&depot);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            all[i] = cnc_chunk_get(&chunks, &depot);
            ck_assert_ptr_nonnull(all[i]);
            memset(all[i], i, CNC_CHUNK);
        }
        ck_assert_uint_eq(chunks.count + depot.chunks.count, 0);
        for (int i = 0; i < MANY; i++) {
            for (size_t at = 0; at < CNC_CHUNK; at += 4096)
                ck_assert_int_eq(((unsigned char *)all[i])[at], i & 255); /* nobody else has it */
            cnc_chunk_put(&chunks, &depot, all[i]);
            ck_assert_uint_le(chunks.count, CNC_CHUNKS_KEPT);
            ck_assert_uint_le(depot.chunks.count, CNC_CHUNKS_STORED);
        }
        ck_assert_uint_eq(depot.chunks.count, CNC_CHUNKS_STORED);
    }
    unsigned uses = cnc_depot_uses(&depot);
    cnc_chunks_free(&chunks);
    ck_assert_uint_eq(chunks.count, 0);
    cnc_chunk_put(&chunks, &depot, cnc_chunk_get(&chunks, &depot)); /* it was used: it stays */
    cnc_depot_rest(&depot, uses);
    ck_assert_uint_gt(depot.chunks.count, 0);
    cnc_depot_rest(&depot, cnc_depot_uses(&depot));
    ck_assert_uint_eq(depot.chunks.count, 0);
    cnc_chunks_free(&chunks);
    cnc_depot_deinit(&depot);
}
END_TEST

START_TEST(without_a_depot)
{
    struct cnc_chunks chunks = { 0 };
    void *all[MANY];
    for (int i = 0; i < MANY; i++)
        all[i] = cnc_chunk_get(&chunks, NULL);
    for (int i = 0; i < MANY; i++) {
        cnc_chunk_put(&chunks, NULL, all[i]);
        ck_assert_uint_le(chunks.count, CNC_CHUNKS_KEPT);
    }
    void *last = cnc_chunk_get(&chunks, NULL);
    ck_assert_ptr_eq(last, all[MANY - 1]); /* the one that is still in the cache */
    cnc_chunk_put(&chunks, NULL, last);
    cnc_chunks_free(&chunks);
}
END_TEST

#ifdef CNC_FAULTS
/* What is kept needs no memory. */
START_TEST(out_of_memory)
{
    struct cnc_chunks chunks = { 0 };
    void *one = cnc_chunk_get(&chunks, NULL);
    cnc_chunk_put(&chunks, NULL, one);
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, true);
    ck_assert_ptr_eq(cnc_chunk_get(&chunks, NULL), one);
    ck_assert_ptr_null(cnc_chunk_get(&chunks, NULL));
    cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
    cnc_chunk_put(&chunks, NULL, one);
    cnc_chunks_free(&chunks);
}
END_TEST
#endif

/* One thread fills, the other empties. */
enum { PASSED = 20000, RING = 16 };

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    void *ring[RING];
    unsigned head, tail;
    struct cnc_depot depot;
} lane = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *empty_them(void *arg)
{
    struct cnc_chunks chunks = { 0 };
    for (unsigned i = 0; i < PASSED; i++) {
        pthread_mutex_lock(&lane.mu);
        while (lane.head == lane.tail)
            pthread_cond_wait(&lane.changed, &lane.mu);
        unsigned *chunk = lane.ring[lane.tail++ % RING];
        pthread_cond_signal(&lane.changed);
        pthread_mutex_unlock(&lane.mu);
        ck_assert_uint_eq(*chunk, i);
        cnc_chunk_put(&chunks, &lane.depot, chunk);
    }
    cnc_chunks_free(&chunks);
    return arg;
}

START_TEST(from_thread_to_thread)
{
    pthread_t thread;
    struct cnc_chunks chunks = { 0 };
    cnc_depot_init(&lane.depot);
    ck_assert_int_eq(pthread_create(&thread, NULL, empty_them, NULL), 0);
    for (unsigned i = 0; i < PASSED; i++) {
        unsigned *chunk = cnc_chunk_get(&chunks, &lane.depot);
        ck_assert_ptr_nonnull(chunk);
        *chunk = i;
        pthread_mutex_lock(&lane.mu);
        while (lane.head - lane.tail == RING)
            pthread_cond_wait(&lane.changed, &lane.mu);
        lane.ring[lane.head++ % RING] = chunk;
        pthread_cond_signal(&lane.changed);
        pthread_mutex_unlock(&lane.mu);
    }
    pthread_join(thread, NULL);
    /* So many are about at most: those that pass, and what either side keeps. */
    ck_assert_uint_le(lane.depot.chunks.count + chunks.count, RING + 2 * CNC_CHUNKS_KEPT + 2);
    ck_assert_uint_ge(lane.depot.chunks.count + chunks.count, CNC_CHUNKS_MOVED);
    cnc_chunks_free(&chunks);
    cnc_depot_deinit(&lane.depot);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_depot");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_kept_is_bounded);
    tcase_add_test(tests, without_a_depot);
#ifdef CNC_FAULTS
    tcase_add_test(tests, out_of_memory);
#endif
    tcase_add_test(tests, from_thread_to_thread);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
