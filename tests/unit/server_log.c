/* SPDX-License-Identifier: MIT
 *
 * The log: one line a call, whatever a peer sent.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "net/passing.h"
#include "proc/note.h"
#include "server/log.h"

struct kept {
    int level;
    unsigned count;
    char line[2 * CNC_LOG_LINE_MAX];
};

static void keep(int level, const char *line, void *arg)
{
    struct kept *k = arg;
    k->level = level;
    k->count++;
    snprintf(k->line, sizeof k->line, "%s", line);
}

static const char *expected_of(unsigned char c)
{
    static char out[8];
    bool plain = c >= 0x20 && c < 0x7f && c != '\\';
    snprintf(out, sizeof out, plain ? "%c" : "\\x%02x", c);
    return out;
}

START_TEST(every_byte_alone_and_between)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k };
    char expected[32];
    for (unsigned c = 1; c < 256; c++) {
        cnc_log(&log, CONCUR_LOG_INFO, "%c", (char)c);
        ck_assert_str_eq(k.line, expected_of((unsigned char)c));
        cnc_log(&log, CONCUR_LOG_INFO, "a%cb", (char)c);
        snprintf(expected, sizeof expected, "a%sb", expected_of((unsigned char)c));
        ck_assert_str_eq(k.line, expected);
    }
    ck_assert_uint_eq(k.count, 510);
}
END_TEST

START_TEST(no_line_can_be_forged)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k };
    cnc_log(&log, CONCUR_LOG_WARN, "path \"%s\"", "/a\r\nconcur: error: forged\x1b[2J\\x0a");
    ck_assert_uint_eq(k.count, 1);
    ck_assert_int_eq(k.level, CONCUR_LOG_WARN);
    ck_assert_str_eq(k.line, "path \"/a\\x0d\\x0aconcur: error: forged\\x1b[2J\\x5cx0a\"");
}
END_TEST

/* Lines of every length around the limit, of bytes that grow and of bytes that do not. */
START_TEST(long_lines_are_cut_between_escapes)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k };
    char text[2 * CNC_LOG_LINE_MAX + 1];
    for (size_t n = 0; n < sizeof text; n += n < 200 ? 50 : 1) {
        for (int bad = 0; bad < 2; bad++) {
            memset(text, bad ? '\n' : 'a', n);
            text[n] = '\0';
            cnc_log(&log, CONCUR_LOG_ERROR, "%s", text);
            size_t len = strlen(k.line);
            ck_assert_uint_lt(len, CNC_LOG_LINE_MAX);
            ck_assert_uint_eq(strspn(k.line, bad ? "\\x0a" : "a"), len);
            ck_assert(!bad || len % 4 == 0);
            size_t whole = bad ? 4 * n : n;
            ck_assert(whole <= 1000 ? len == whole : len > 1000);
        }
    }
}
END_TEST

START_TEST(levels_reach_the_sink_as_they_are)
{
    struct kept k = { 0 };
    struct cnc_log log = { .fn = keep, .arg = &k, .to_stderr = true };
    for (int level = CONCUR_LOG_ERROR; level <= CONCUR_LOG_DEBUG; level++) {
        cnc_log(&log, level, "x");
        ck_assert_int_eq(k.level, level);
    }
    ck_assert_uint_eq(k.count, 4);
}
END_TEST

/* What stderr gets while fn runs. */
static void capture(char *out, size_t n, struct cnc_log *log)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    for (int level = CONCUR_LOG_ERROR; level <= CONCUR_LOG_DEBUG; level++)
        cnc_log(log, level, "line\n%d", level);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    out[fread(out, 1, n - 1, file)] = '\0';
    fclose(file);
}

START_TEST(without_a_sink_stderr_gets_what_is_grave_if_allowed)
{
    char out[512];
    struct cnc_log log = { .to_stderr = true };
    capture(out, sizeof out, &log);
    ck_assert_str_eq(out, "concur: error: line\\x0a1\nconcur: warning: line\\x0a2\n");
    log.to_stderr = false;
    capture(out, sizeof out, &log);
    ck_assert_str_eq(out, "");
    struct kept k = { 0 };
    log = (struct cnc_log){ .fn = keep, .arg = &k, .to_stderr = true };
    capture(out, sizeof out, &log);
    ck_assert_str_eq(out, "");
}
END_TEST

/* ---- a stderr that takes nothing ---- */

static int saved_stderr;

static void put_at_stderr(int fd)
{
    saved_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    alarm(20); /* a write that waits, waits for ever */
}

static void give_back_stderr(void)
{
    sigset_t pending;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert(!sigismember(&pending, SIGPIPE) && !sigismember(&pending, SIGXFSZ));
    ck_assert_int_eq(alarm(0) == 0, 0);
}

static void say(struct cnc_log *log, int n)
{
    for (int i = 0; i < n; i++)
        cnc_log(log, CONCUR_LOG_WARN, "line %d of some length, so that room runs out at some time", i);
}

/* Reads what there is. */
static size_t drain(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;
    while (n < size - 1 && (got = read(fd, out + n, size - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    return n;
}

/* The signal is blocked by the program or not, and pending before or not: it stays as it was. */
START_TEST(a_pipe_that_nobody_reads_any_more)
{
    struct cnc_log log = { .to_stderr = true };
    sigset_t set, pending;
    int fds[2], again[2];
    char out[4096];
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    ck_assert_int_eq(pipe(fds), 0);
    close(fds[0]);
    if (_i >= 1)
        sigprocmask(SIG_BLOCK, &set, NULL);
    put_at_stderr(fds[1]);
    if (_i == 2)
        raise(SIGPIPE);
    say(&log, 3);
    ck_assert_int_eq(sigpending(&pending), 0);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), _i == 2);
    if (_i == 2) {
        int sig;
        ck_assert_int_eq(sigwait(&set, &sig), 0);
    }
    ck_assert_uint_eq(log.lost, 3);
    ck_assert_int_eq(pipe2(again, O_NONBLOCK), 0);
    ck_assert_int_ge(dup2(again[1], STDERR_FILENO), 0);
    cnc_log(&log, CONCUR_LOG_ERROR, "back");
    give_back_stderr();
    (void)drain(again[0], out, sizeof out);
    ck_assert_str_eq(out, "concur: warning: 3 lines of the log were lost\nconcur: error: back\n");
    ck_assert_uint_eq(log.lost, 0);
}
END_TEST

/* A pipe and a socket, with descriptors to be had and without. The reader comes late, finds whole lines, and the number of the others. */
START_TEST(a_reader_that_does_not_read)
{
    static char out[400000];
    struct cnc_log log = { .to_stderr = true };
    struct rlimit usual, none;
    int fds[2];
    if (_i % 2)
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    else
        ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 3;
    put_at_stderr(fds[1]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, _i < 2 ? &usual : &none), 0);
    say(&log, 5000);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    unsigned lost = log.lost;
    ck_assert_uint_gt(lost, 1000);
    ck_assert_uint_lt(lost, 5000);
    int flags = fcntl(fds[1], F_GETFL);
    ck_assert_int_eq(flags & O_NONBLOCK, 0); /* whoever else writes there waits as before */
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    size_t n = drain(fds[0], out, sizeof out), lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += out[i] == '\n';
    bool torn = n && out[n - 1] != '\n';
    ck_assert_uint_eq(lines + lost, 5000);
    cnc_log(&log, CONCUR_LOG_ERROR, "back");
    give_back_stderr();
    char told[128];
    (void)drain(fds[0], out, sizeof out);
    snprintf(told, sizeof told, "%sconcur: warning: %u lines of the log were lost\nconcur: error: back\n", torn ? "\n" : "", lost);
    ck_assert_str_eq(out, told);
}
END_TEST

/* A limit of sizes in the middle of a line: what follows is on a line of its own. */
START_TEST(a_file_that_grows_no_more)
{
    char out[4096];
    struct cnc_log log = { .to_stderr = true };
    struct rlimit usual, small;
    FILE *file = tmpfile();
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &usual), 0);
    small = usual;
    small.rlim_cur = 100;
    put_at_stderr(fileno(file));
    int rc = setrlimit(RLIMIT_FSIZE, &small); /* Check writes to files as well: it is not asked meanwhile */
    say(&log, 4);
    rc |= setrlimit(RLIMIT_FSIZE, &usual);
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_eq(log.lost, 3);
    cnc_log(&log, CONCUR_LOG_ERROR, "back");
    give_back_stderr();
    rewind(file);
    out[fread(out, 1, sizeof out - 1, file)] = '\0';
    char *second = strchr(out, '\n') + 1;
    ck_assert_uint_eq((size_t)(strchr(second, '\n') - out), 100);
    ck_assert_str_eq(strchr(second, '\n') + 1, "concur: warning: 3 lines of the log were lost\nconcur: error: back\n");
    fclose(file);
}
END_TEST

START_TEST(nowhere_and_a_full_disk)
{
    struct cnc_log log = { .to_stderr = true };
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    put_at_stderr(full);
    say(&log, 2);
    ck_assert_uint_eq(log.lost, 2);
    close(STDERR_FILENO);
    say(&log, 1);
    ck_assert_uint_eq(log.lost, 3);
    ck_assert(!cnc_sys_is_open(STDERR_FILENO));
    give_back_stderr();
}
END_TEST

/* Another process has the function: the same of a link without room. */
START_TEST(a_link_without_room)
{
    struct kept k = { 0 };
    int fds[2], buffer = 4096;
    struct cnc_log log = { .fn = keep, .arg = &k };
    ck_assert_int_eq(cnc_passing_pair(fds, buffer), CONCUR_OK);
    log.up = fds[1];
    say(&log, 400);
    unsigned lost = log.lost, came = 0;
    struct cnc_note note;
    ck_assert_uint_gt(lost, 0);
    while (cnc_note_receive(fds[0], &note, NULL, false) == CONCUR_OK)
        came++;
    ck_assert_uint_eq(came + lost, 400);
    say(&log, 1);
    char told[64];
    snprintf(told, sizeof told, "%u lines of the log were lost", lost);
    ck_assert_int_eq(cnc_note_receive(fds[0], &note, NULL, false), CONCUR_OK);
    ck_assert_str_eq(note.text, told);
    ck_assert_int_eq(cnc_note_receive(fds[0], &note, NULL, false), CONCUR_OK);
    ck_assert_uint_eq(log.lost, 0);
    ck_assert_uint_eq(k.count, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("core_log");
    TCase *t = tcase_create("log");
    tcase_add_test(t, every_byte_alone_and_between);
    tcase_add_test(t, no_line_can_be_forged);
    tcase_add_test(t, long_lines_are_cut_between_escapes);
    tcase_add_test(t, levels_reach_the_sink_as_they_are);
    tcase_add_test(t, without_a_sink_stderr_gets_what_is_grave_if_allowed);
    tcase_add_loop_test(t, a_pipe_that_nobody_reads_any_more, 0, 3);
    tcase_add_loop_test(t, a_reader_that_does_not_read, 0, 4);
    tcase_add_test(t, a_file_that_grows_no_more);
    tcase_add_test(t, nowhere_and_a_full_disk);
    tcase_add_test(t, a_link_without_room);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
