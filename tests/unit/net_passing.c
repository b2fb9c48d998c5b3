/* SPDX-License-Identifier: MIT
 *
 * Messages over a pair of sockets: borders, descriptors, and every way in which one cannot pass.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "net/passing.h"

#define LARGE (160 * 1024)

static int pair[2];

static void set_up(void)
{
    ck_assert_int_eq(cnc_passing_pair(pair, 262144), CONCUR_OK);
}

static void tear_down(void)
{
    cnc_sys_close(&pair[0]);
    cnc_sys_close(&pair[1]);
}

static int put(const char *bytes, size_t n, int fd)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
    return cnc_passing_send(pair[0], &iov, 1, fd, false);
}

static void pipe_ends(int fds[2])
{
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
}

START_TEST(borders_are_kept)
{
    char room[64];
    int fd = 7;
    struct iovec iov[2] = { { .iov_base = "one", .iov_len = 3 }, { .iov_base = "two", .iov_len = 3 } };
    ck_assert_int_eq(cnc_passing_send(pair[0], iov, 2, -1, false), CONCUR_OK);
    ck_assert_int_eq(put("three", 5, -1), CONCUR_OK);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), 6);
    ck_assert_int_eq(memcmp(room, "onetwo", 6), 0);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, true), 5);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), -EAGAIN);
    ck_assert(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(pair[1], F_GETFD) & FD_CLOEXEC);
}
END_TEST

/* The copy is another descriptor of the same thing, and does not survive exec. */
START_TEST(a_descriptor_comes_along)
{
    char room[8], c = 0;
    int fds[2], fd = -1;
    pipe_ends(fds);
    ck_assert_int_eq(put("x", 1, fds[1]), CONCUR_OK);
    ck_assert_int_ge(fcntl(fds[1], F_GETFD), 0); /* still the sender's */
    close(fds[1]);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), 1);
    ck_assert_int_ge(fd, 0);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert_int_eq(write(fd, "!", 1), 1);
    ck_assert_int_eq(read(fds[0], &c, 1), 1);
    ck_assert_int_eq(c, '!');
    close(fd);
    ck_assert_int_eq(read(fds[0], &c, 1), 0); /* nobody kept another copy */
    close(fds[0]);
}
END_TEST

START_TEST(a_large_message_passes_whole)
{
    static char bytes[LARGE], room[LARGE + 1];
    int fd = -1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    ck_assert_int_eq(put(bytes, sizeof bytes, -1), CONCUR_OK);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), LARGE);
    ck_assert_int_eq(memcmp(bytes, room, sizeof bytes), 0);
}
END_TEST

START_TEST(one_that_is_too_large_says_so)
{
    size_t n = 64u << 20;
    char *bytes = calloc(1, n);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_int_eq(put(bytes, n, -1), CONCUR_E_LIMIT);
    free(bytes);
    ck_assert_int_eq(put("x", 1, -1), CONCUR_OK); /* the link itself is well */
}
END_TEST

/* Who does not read makes the other wait, and loses nothing. */
START_TEST(a_full_link_takes_no_more)
{
    static char bytes[1000], room[1000];
    unsigned sent = 0, got = 0;
    int fd = -1, rc;
    while ((rc = put(bytes, sizeof bytes, -1)) == CONCUR_OK)
        sent++;
    ck_assert_int_eq(rc, CONCUR_AGAIN);
    ck_assert_uint_gt(sent, 10);
    while (cnc_passing_recv(pair[1], room, sizeof room, &fd, false) == (ssize_t)sizeof bytes)
        got++;
    ck_assert_uint_eq(got, sent);
    ck_assert_int_eq(put(bytes, sizeof bytes, -1), CONCUR_OK);
}
END_TEST

START_TEST(the_end)
{
    char room[8];
    int fd = -1;
    ck_assert_int_eq(put("x", 1, -1), CONCUR_OK);
    cnc_sys_close(&pair[0]);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), 1); /* what was said before */
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), 0);
    struct iovec iov = { .iov_base = "y", .iov_len = 1 };
    ck_assert_int_eq(cnc_passing_send(pair[1], &iov, 1, -1, false), CONCUR_E_GONE);
}
END_TEST

/* Half a message is none; what came along does not stay open. */
START_TEST(a_message_that_does_not_fit_is_lost)
{
    char room[4], c;
    int fds[2], fd = 3;
    pipe_ends(fds);
    ck_assert_int_eq(put("12345", 5, fds[1]), CONCUR_OK);
    close(fds[1]);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), -EMSGSIZE);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(read(fds[0], &c, 1), 0);
    close(fds[0]);
}
END_TEST

START_TEST(without_room_for_a_descriptor_the_bytes_come_alone)
{
    struct rlimit before, none;
    char room[8], c;
    int fds[2], fd = -1;
    pipe_ends(fds);
    ck_assert_int_eq(put("x", 1, fds[1]), CONCUR_OK);
    close(fds[1]);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), 1);
    ck_assert_int_eq(fd, CNC_PASSING_LOST);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(read(fds[0], &c, 1), 0);
    close(fds[0]);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(calls_that_fail)
{
    int fds[2] = { -1, -1 }, fd = -1;
    char room[8];
    cnc_fault_arm(CNC_FAULT_OPEN, 1, false);
    ck_assert_int_eq(cnc_passing_pair(fds, 4096), CONCUR_E_SYS);
    cnc_fault_arm(CNC_FAULT_OPEN, 2, true); /* the size of the buffers is a wish */
    ck_assert_int_eq(cnc_passing_pair(fds, 4096), CONCUR_OK);
    cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
    cnc_sys_close(&fds[0]);
    cnc_sys_close(&fds[1]);
    cnc_fault_arm(CNC_FAULT_WRITE, 1, false);
    ck_assert_int_eq(put("x", 1, -1), CONCUR_E_FULL);
    ck_assert_int_eq(put("xy", 2, -1), CONCUR_OK);
    cnc_fault_arm(CNC_FAULT_READ, 1, false); /* no room for a moment: the message stays */
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, false), -EAGAIN);
    ck_assert_int_eq(fd, -1);
    cnc_fault_arm(CNC_FAULT_READ, 1, false);
    ck_assert_int_eq(cnc_passing_recv(pair[1], room, sizeof room, &fd, true), 2);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("net_passing");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, borders_are_kept);
    tcase_add_test(tests, a_descriptor_comes_along);
    tcase_add_test(tests, a_large_message_passes_whole);
    tcase_add_test(tests, one_that_is_too_large_says_so);
    tcase_add_test(tests, a_full_link_takes_no_more);
    tcase_add_test(tests, the_end);
    tcase_add_test(tests, a_message_that_does_not_fit_is_lost);
    tcase_add_test(tests, without_room_for_a_descriptor_the_bytes_come_alone);
#ifdef CNC_FAULTS
    tcase_add_test(tests, calls_that_fail);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
