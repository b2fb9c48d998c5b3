/* SPDX-License-Identifier: MIT
 *
 * Notes between two ends: whole, foreign, with and without a descriptor, and when nobody is there.
 */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "net/passing.h"
#include "proc/note.h"

static int pair[2];
static unsigned held; /* descriptors before the test */

static unsigned count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void set_up(void)
{
    held = count_descriptors();
    ck_assert_int_eq(cnc_passing_pair(pair, 65536), CONCUR_OK);
}

static void tear_down(void)
{
    cnc_sys_close(&pair[0]);
    cnc_sys_close(&pair[1]);
    ck_assert_uint_eq(count_descriptors(), held);
}

static struct cnc_note note_of(enum cnc_note_what what, unsigned slot, int64_t value, const char *text)
{
    struct cnc_note note = { .what = (uint32_t)what, .slot = slot, .value = value };
    strcpy(note.text, text);
    return note;
}

static void send_bytes(const void *p, size_t n, int fd)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
    ck_assert_int_eq(cnc_passing_send(pair[0], &iov, 1, fd, false), CONCUR_OK);
}

START_TEST(arrive_as_they_were_sent)
{
    struct cnc_note in, out = note_of(CNC_NOTE_EVENT, 17, INT64_MIN, "worker 3 has gone");
    memset(&in, 'x', sizeof in);
    ck_assert_int_eq(cnc_note_send(pair[0], &out, -1, false), CONCUR_OK);
    ck_assert_int_eq(cnc_note_tell(pair[0], CNC_NOTE_STOP, 1234), CONCUR_OK);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_OK);
    ck_assert_uint_eq(in.what, CNC_NOTE_EVENT);
    ck_assert_uint_eq(in.slot, 17);
    ck_assert(in.value == INT64_MIN);
    ck_assert_str_eq(in.text, out.text);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, true), CONCUR_OK);
    ck_assert_uint_eq(in.what, CNC_NOTE_STOP);
    ck_assert_uint_eq(in.slot, 0);
    ck_assert_int_eq(in.value, 1234);
    ck_assert_str_eq(in.text, "");
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_AGAIN);
}
END_TEST

START_TEST(the_longest_text_fits)
{
    struct cnc_note in, out = { .what = CNC_NOTE_LOG };
    memset(out.text, 'a', CNC_NOTE_TEXT_MAX);
    ck_assert_int_eq(cnc_note_send(pair[0], &out, -1, false), CONCUR_OK);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_OK);
    ck_assert_uint_eq(strlen(in.text), CNC_NOTE_TEXT_MAX);
    ck_assert_str_eq(in.text, out.text);
}
END_TEST

/* They count as nothing there, and what follows them is not disturbed. */
START_TEST(foreign_messages_are_dropped)
{
    static char bytes[8192];
    struct cnc_note in;
    for (unsigned i = 0; i < 200; i++) {
        size_t n = 1 + i * 37 % 3000; /* shorter than a head, as long as a note, longer than any */
        (void)!getrandom(bytes, n, 0);
        send_bytes(bytes, n, i % 2 ? 0 : -1);
        ck_assert_int_eq(cnc_note_tell(pair[0], CNC_NOTE_GO, i), CONCUR_OK);
        int rc = cnc_note_receive(pair[1], &in, NULL, false);
        ck_assert_int_eq(rc, n < offsetof(struct cnc_note, text) || n > sizeof in - 1 ? CONCUR_AGAIN : CONCUR_OK);
        if (rc == CONCUR_OK)
            ck_assert_uint_lt(strlen(in.text), sizeof in.text);
        ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_OK);
        ck_assert_int_eq(in.value, i);
    }
    send_bytes("", 0, -1); /* looks like the end, and is taken for it */
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_E_GONE);
}
END_TEST

static bool is_same(int a, int b)
{
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

START_TEST(descriptors_come_along)
{
    struct cnc_note in, out = note_of(CNC_NOTE_LINK, 5, 0, "");
    int extra[2], fd = 77;
    ck_assert_int_eq(pipe2(extra, O_CLOEXEC), 0);
    ck_assert_int_eq(cnc_note_send(pair[0], &out, extra[0], false), CONCUR_OK);
    ck_assert_int_eq(cnc_note_tell(pair[0], CNC_NOTE_GO, 0), CONCUR_OK);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, &fd, false), CONCUR_OK);
    ck_assert_int_ge(fd, 3);
    ck_assert(is_same(fd, extra[0]));
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, &fd, false), CONCUR_OK);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, &fd, false), CONCUR_AGAIN);
    ck_assert_int_eq(fd, -1);
    close(extra[0]);
    close(extra[1]);
}
END_TEST

/* tear_down() counts. */
START_TEST(descriptors_that_nobody_wants_are_closed)
{
    struct cnc_note in, out = note_of(CNC_NOTE_LINK, 5, 0, "");
    int fd;
    ck_assert_int_eq(cnc_note_send(pair[0], &out, 0, false), CONCUR_OK);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_OK);
    send_bytes("short", 5, 0);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, &fd, false), CONCUR_AGAIN);
    ck_assert_int_eq(fd, -1);
    static char longer[4096];
    send_bytes(longer, sizeof longer, 0);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, &fd, false), CONCUR_AGAIN);
    ck_assert_int_eq(fd, -1);
}
END_TEST

/* Several at once: no note has more than one, and none of them stays open. Who expects one is told that it is lost; to others
 * it is no note. */
START_TEST(too_many_descriptors_are_lost)
{
    struct cnc_note in, out = note_of(CNC_NOTE_LINK, 5, 0, "");
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = &out, .iov_len = offsetof(struct cnc_note, text) };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(8 * sizeof(int));
    memset(CMSG_DATA(c), 0, 8 * sizeof(int)); /* descriptor 0 */
    ck_assert_int_gt(sendmsg(pair[0], &m, MSG_NOSIGNAL), 0);
    ck_assert_int_gt(sendmsg(pair[0], &m, MSG_NOSIGNAL), 0);
    int fd;
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, &fd, false), CONCUR_OK);
    ck_assert_uint_eq(in.slot, 5);
    ck_assert_int_eq(fd, CNC_PASSING_LOST);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_AGAIN);
}
END_TEST

START_TEST(the_end_is_told)
{
    struct cnc_note in;
    ck_assert_int_eq(cnc_note_tell(pair[0], CNC_NOTE_GO, 7), CONCUR_OK);
    cnc_sys_close(&pair[0]);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, true), CONCUR_OK);
    ck_assert_int_eq(in.value, 7);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, true), CONCUR_E_GONE);
    ck_assert_int_eq(cnc_note_tell(pair[1], CNC_NOTE_GO, 7), CONCUR_E_GONE);
    ck_assert_int_eq(cnc_note_tell(-1, CNC_NOTE_GO, 7), CONCUR_E_GONE);
}
END_TEST

START_TEST(nobody_waits_for_room)
{
    struct cnc_note in, out = { .what = CNC_NOTE_LOG };
    unsigned sent = 0;
    memset(out.text, 'a', CNC_NOTE_TEXT_MAX);
    while (cnc_note_send(pair[0], &out, -1, false) == CONCUR_OK)
        ck_assert_uint_lt(++sent, 100000);
    ck_assert_int_eq(cnc_note_send(pair[0], &out, -1, false), CONCUR_AGAIN);
    ck_assert_int_eq(cnc_note_tell(pair[1], CNC_NOTE_STOP, 0), CONCUR_OK); /* the other way is free */
    for (; sent; sent--)
        ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_OK);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_AGAIN);
    ck_assert_int_eq(cnc_note_send(pair[0], &out, -1, false), CONCUR_OK);
}
END_TEST

static void on_alarm(int sig)
{
    (void)sig;
}

/* A signal in the middle of a wait is no message. */
START_TEST(signals_do_not_end_a_wait)
{
    struct sigaction sa = { .sa_handler = on_alarm };
    struct itimerval often = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 }, never = { 0 };
    struct cnc_note in;
    ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)poll(NULL, 0, 30);
        _exit(cnc_note_tell(pair[0], CNC_NOTE_GO, 3) == CONCUR_OK ? 0 : 1);
    }
    setitimer(ITIMER_REAL, &often, NULL);
    int rc = cnc_note_receive(pair[1], &in, NULL, true), status;
    setitimer(ITIMER_REAL, &never, NULL);
    ck_assert_int_eq(rc, CONCUR_OK);
    ck_assert_int_eq(in.value, 3);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

#ifdef CNC_FAULTS
START_TEST(failing_calls_are_the_end)
{
    struct cnc_note in;
    int none[2] = { -1, -1 };
    cnc_fault_arm(CNC_FAULT_WRITE, 1, false);
    ck_assert_int_eq(cnc_note_tell(pair[0], CNC_NOTE_GO, 0), CONCUR_AGAIN);
    in = (struct cnc_note){ .what = CNC_NOTE_READY, .text = "there" };
    cnc_fault_arm(CNC_FAULT_WRITE, 1, false);
    ck_assert_int_eq(cnc_note_deliver(pair[0], &in), CONCUR_OK);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_OK);
    ck_assert_str_eq(in.text, "there");
    cnc_fault_arm(CNC_FAULT_WRITE, 1, true); /* it has an end, whatever the system does */
    ck_assert_int_eq(cnc_note_deliver(pair[0], &in), CONCUR_AGAIN);
    cnc_fault_arm(CNC_FAULT_READ, 1, false);
    ck_assert_int_eq(cnc_note_receive(pair[1], &in, NULL, false), CONCUR_AGAIN);
    cnc_fault_arm(CNC_FAULT_OPEN, 1, false);
    ck_assert_int_eq(cnc_passing_pair(none, 65536), CONCUR_E_SYS);
    ck_assert_int_eq(none[0], -1);
    cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("proc_note");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, arrive_as_they_were_sent);
    tcase_add_test(tests, the_longest_text_fits);
    tcase_add_test(tests, foreign_messages_are_dropped);
    tcase_add_test(tests, descriptors_come_along);
    tcase_add_test(tests, descriptors_that_nobody_wants_are_closed);
    tcase_add_test(tests, too_many_descriptors_are_lost);
    tcase_add_test(tests, the_end_is_told);
    tcase_add_test(tests, nobody_waits_for_room);
    tcase_add_test(tests, signals_do_not_end_a_wait);
#ifdef CNC_FAULTS
    tcase_add_test(tests, failing_calls_are_the_end);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
