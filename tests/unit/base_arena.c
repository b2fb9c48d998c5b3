/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <check.h>
#include <stdlib.h>

#include "base/fault.h"

static _Alignas(max_align_t) char first[256];

static struct cnc_arena make(size_t n, size_t max)
{
    struct cnc_arena a;
    cnc_arena_init(&a, first, n, max);
    return a;
}

static bool is_aligned(const void *p)
{
    return (uintptr_t)p % 16 == 0;
}

static bool in_first(const char *p, size_t n)
{
    return p >= first && p + n <= first + sizeof first;
}

START_TEST(the_first_block_is_used_up_to_its_last_byte)
{
    struct cnc_arena a = make(64, 0);
    char *p = cnc_arena_alloc(&a, 16), *q = cnc_arena_alloc(&a, 48);
    ck_assert_ptr_eq(p, first);
    ck_assert_ptr_eq(q, first + 16);
    ck_assert_ptr_null(cnc_arena_text(&a, 1));
    ck_assert_ptr_nonnull(cnc_arena_text(&a, 0));
    ck_assert_uint_eq(a.total, 0);
    cnc_arena_deinit(&a);
}
END_TEST

START_TEST(pieces_are_aligned_and_texts_are_packed)
{
    struct cnc_arena a = make(sizeof first, 65536);
    char *t = cnc_arena_text(&a, 3), *u = cnc_arena_text(&a, 4);
    ck_assert_ptr_eq(u, t + 3);
    for (size_t n = 0; n < 64; n++)
        ck_assert(is_aligned(cnc_arena_alloc(&a, n)));
    cnc_arena_deinit(&a);
}
END_TEST

/* Padding may be all that no longer fits. */
START_TEST(padding_counts)
{
    struct cnc_arena a = make(32, 65536);
    ck_assert(in_first(cnc_arena_text(&a, 1), 1));
    char *p = cnc_arena_alloc(&a, 17); /* 31 bytes are left, but 15 of them are padding */
    ck_assert_ptr_nonnull(p);
    ck_assert(!in_first(p, 17));
    memset(p, 'x', 17);
    cnc_arena_deinit(&a);
}
END_TEST

START_TEST(nothing_overlaps_and_nothing_moves)
{
    enum { N = 2000 };
    static struct {
        unsigned char *p;
        size_t n;
    } made[N];
    struct cnc_arena a = make(sizeof first, 64u << 20);
    uint32_t seed = 12345;
    for (unsigned i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = (seed >> 16) % (i % 100 == 0 ? 20000 : 90);
        made[i].p = seed & 0x100 ? cnc_arena_alloc(&a, n) : (void *)cnc_arena_text(&a, n);
        made[i].n = n;
        ck_assert_ptr_nonnull(made[i].p);
        memset(made[i].p, (int)(i & 0xff), n);
    }
    for (unsigned i = 0; i < N; i++)
        for (size_t k = 0; k < made[i].n; k++)
            ck_assert_uint_eq(made[i].p[k], i & 0xff);
    cnc_arena_deinit(&a);
}
END_TEST

START_TEST(the_maximum_is_kept)
{
    struct cnc_arena a = make(16, 20000);
    size_t got = 0;
    while (cnc_arena_text(&a, 1000)) {
        got += 1000;
        ck_assert_uint_le(a.total, a.max);
    }
    ck_assert_uint_ge(got, 18000);
    ck_assert_uint_le(got, 20000);
    ck_assert_ptr_null(cnc_arena_alloc(&a, 20001));
    ck_assert_ptr_null(cnc_arena_alloc(&a, SIZE_MAX));
    ck_assert_ptr_null(cnc_arena_text(&a, SIZE_MAX));
    ck_assert_ptr_null(cnc_arena_alloc(&a, SIZE_MAX - 8));
    cnc_arena_deinit(&a);
}
END_TEST

START_TEST(a_large_piece_leaves_the_block_at_hand_usable)
{
    struct cnc_arena a = make(sizeof first, 1 << 20);
    ck_assert(in_first(cnc_arena_text(&a, 100), 100));
    ck_assert(!in_first(cnc_arena_text(&a, 100000), 1));
    ck_assert(in_first(cnc_arena_text(&a, 100), 100));
    cnc_arena_deinit(&a);
    ck_assert_ptr_null(a.spilled);
}
END_TEST

START_TEST(copies_end_in_nul)
{
    struct cnc_arena a = make(sizeof first, 0);
    ck_assert_str_eq(cnc_arena_copy(&a, "abcdef", 3), "abc");
    ck_assert_str_eq(cnc_arena_copy(&a, NULL, 0), "");
    ck_assert_ptr_null(cnc_arena_copy(&a, first, sizeof first));
    cnc_arena_deinit(&a);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(without_memory_nothing_changes)
{
    struct cnc_arena a = make(16, 65536);
    cnc_fault_arm(CNC_FAULT_ALLOC, 1, false);
    ck_assert_ptr_null(cnc_arena_alloc(&a, 100));
    ck_assert_uint_eq(a.total, 0);
    ck_assert_ptr_nonnull(cnc_arena_alloc(&a, 100));
    cnc_arena_deinit(&a);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("base_arena");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, the_first_block_is_used_up_to_its_last_byte);
    tcase_add_test(tests, pieces_are_aligned_and_texts_are_packed);
    tcase_add_test(tests, padding_counts);
    tcase_add_test(tests, nothing_overlaps_and_nothing_moves);
    tcase_add_test(tests, the_maximum_is_kept);
    tcase_add_test(tests, a_large_piece_leaves_the_block_at_hand_usable);
    tcase_add_test(tests, copies_end_in_nul);
#ifdef CNC_FAULTS
    tcase_add_test(tests, without_memory_nothing_changes);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
