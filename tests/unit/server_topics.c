/* SPDX-License-Identifier: MIT
 *
 * Topics without a server that runs: names, numbers, and what is refused.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <concur/concur.h>

START_TEST(names)
{
    static const char *const bad[] = { "", "1a", "a-b", "a b", "a23456789b123456789c123456789d123456789e123456789f123456789g1234" };
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL), *other = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_topic *a = concur_server_topic(s, "a");
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_eq(concur_server_topic(s, "a"), a);
    ck_assert_ptr_ne(concur_server_topic(other, "a"), a);
    ck_assert_ptr_nonnull(concur_server_counter(s, "a", NULL)); /* names apart from each other */
    ck_assert_str_eq(concur_server_error(s), "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_ptr_null(concur_server_topic(s, bad[i]));
    ck_assert_ptr_null(concur_server_topic(s, NULL));
    ck_assert_ptr_null(concur_server_topic(NULL, "a"));
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL); /* they stick */
    concur_server_free(other);
    concur_server_free(s);
}
END_TEST

START_TEST(at_most_64)
{
    char name[16];
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_ptr_nonnull(concur_server_topic(s, name));
    }
    ck_assert_ptr_null(concur_server_topic(s, "more"));
    ck_assert_ptr_nonnull(concur_server_topic(s, "t0"));
    concur_server_free(s);
}
END_TEST

START_TEST(numbers_are_shared)
{
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_topic *a = concur_server_topic(s, "a"), *b = concur_server_topic(s, "b");
    int status;
    ck_assert_int_eq(concur_topic_count(a), 0);
    ck_assert_int_eq(concur_topic_publish(a), 1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(concur_topic_publish(a) == 2 ? 0 : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(concur_topic_count(a), 2);
    ck_assert_int_eq(concur_topic_count(b), 0);
    ck_assert_int_eq(concur_topic_publish(NULL), 0);
    ck_assert_int_eq(concur_topic_count(NULL), 0);
    concur_server_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_topics");
    TCase *tc = tcase_create("topics");
    tcase_add_test(tc, names);
    tcase_add_test(tc, at_most_64);
    tcase_add_test(tc, numbers_are_shared);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
