/* SPDX-License-Identifier: MIT
 *
 * Listening sockets on paths: only a socket that nobody serves makes way, and only the file that was made is removed. And
 * those that somebody else opened.
 */
#include "net/listener.h"

#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

static const struct cnc_listener_options usual = { .backlog = 8 };
static char folder[] = "/tmp/concur-listener-XXXXXX";
static char path[sizeof folder + 16], other[sizeof folder + 16];

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(other, sizeof other, "%s/other", folder);
}

static void tear_down(void)
{
    (void)unlink(path);
    (void)rmdir(path);
    (void)unlink(other);
    ck_assert_int_eq(rmdir(folder), 0);
}

static struct cnc_address address_of(const char *at, const char *words)
{
    struct cnc_address address;
    char text[128], why[CNC_ADDRESS_ERROR_MAX] = "";
    snprintf(text, sizeof text, "unix:%s%s", at, words);
    ck_assert_msg(cnc_address_parse(&address, text, why, sizeof why) == CONCUR_OK, "%s", why);
    return address;
}

/* A socket bound to at; listens: somebody serves it. */
static int bound(const char *at, int type, bool listens)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    memcpy(sun.sun_path, at, strlen(at) + 1);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
    if (listens)
        ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

static void leave_dead(const char *at)
{
    close(bound(at, SOCK_STREAM, true));
}

static struct stat look(const char *at)
{
    struct stat st;
    ck_assert_msg(lstat(at, &st) == 0, "%s is gone", at);
    return st;
}

static void expect_refused(void)
{
    struct cnc_address address = address_of(path, "");
    struct cnc_listener_file file;
    struct stat before = look(path);
    int fd = -1;
    ck_assert_int_eq(cnc_listener_open(&fd, &file, &address, &usual), CONCUR_E_LISTEN);
    ck_assert_msg(strstr(cnc_error_text(), path) != NULL, "%s", cnc_error_text());
    ck_assert_int_eq(fd, -1);
    struct stat after = look(path);
    ck_assert(after.st_ino == before.st_ino && after.st_mode == before.st_mode && after.st_size == before.st_size);
}

static int open_at(struct cnc_listener_file *file, const struct cnc_address *address)
{
    int fd = -1;
    ck_assert_msg(cnc_listener_open(&fd, file, address, &usual) == CONCUR_OK, "%s", cnc_error_text());
    return fd;
}

/* ---- what is in the way ---- */

START_TEST(a_file_stays)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "precious", 8), 8);
    close(fd);
    expect_refused();
    ck_assert_ptr_nonnull(strstr(cnc_error_text(), "not a socket"));
}
END_TEST

START_TEST(a_fifo_stays)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refused();
}
END_TEST

START_TEST(a_folder_stays)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused();
}
END_TEST

/* To nothing, to a file, to a socket that nobody serves: it is a link, whatever it leads to. */
START_TEST(a_link_stays)
{
    ck_assert_int_eq(symlink(other, path), 0);
    expect_refused();
    close(open(other, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    expect_refused();
    ck_assert_int_eq(unlink(other), 0);
    leave_dead(other);
    expect_refused();
    ck_assert(S_ISSOCK(look(other).st_mode));
}
END_TEST

START_TEST(a_socket_that_is_served_stays)
{
    int fd = bound(path, SOCK_STREAM, true), clients[4];
    expect_refused();
    for (int i = 0; i < 4; i++) { /* more than its queue takes */
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct cnc_address address = address_of(path, "");
        (void)connect(clients[i], (const struct sockaddr *)&address.addr, address.addr_len);
    }
    expect_refused();
    for (int i = 0; i < 4; i++)
        close(clients[i]);
    close(fd);
}
END_TEST

START_TEST(a_socket_of_another_kind_stays)
{
    int fd = bound(path, SOCK_DGRAM, false);
    expect_refused();
    close(fd);
}
END_TEST

START_TEST(a_dead_socket_makes_way)
{
    struct cnc_address address = address_of(path, " mode=0600");
    struct cnc_listener_file file;
    leave_dead(path);
    int fd = open_at(&file, &address);
    struct stat st = look(path);
    ck_assert(S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
    ck_assert(st.st_dev == file.device && st.st_ino == file.inode);
    cnc_listener_unlink(&address, &file);
    ck_assert_int_lt(access(path, F_OK), 0);
    close(fd);
}
END_TEST

/* ---- what is removed at the end ---- */

START_TEST(who_took_the_path_over_keeps_it)
{
    struct cnc_address address = address_of(path, "");
    struct cnc_listener_file mine, theirs;
    int fd = open_at(&mine, &address);
    ck_assert_int_eq(unlink(path), 0); /* as an administrator does, or a successor */
    int successor = open_at(&theirs, &address);
    cnc_listener_unlink(&address, &mine);
    ck_assert_uint_eq(look(path).st_ino, theirs.inode);
    cnc_listener_unlink(&address, &theirs);
    ck_assert_int_lt(access(path, F_OK), 0);
    cnc_listener_unlink(&address, &theirs); /* nothing is there any more */
    close(fd);
    close(successor);
}
END_TEST

START_TEST(a_file_that_took_the_path_over_stays)
{
    struct cnc_address address = address_of(path, "");
    struct cnc_listener_file file;
    int fd = open_at(&file, &address);
    ck_assert_int_eq(unlink(path), 0);
    close(open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    cnc_listener_unlink(&address, &file);
    ck_assert(S_ISREG(look(path).st_mode));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(other, path), 0);
    cnc_listener_unlink(&address, &file);
    ck_assert(S_ISLNK(look(path).st_mode));
    close(fd);
}
END_TEST

#ifdef CNC_FAULTS
#include "base/fault.h"

/* Whatever fails on the way: no descriptor, no file of ours is left, and a socket that is served is not touched. */
START_TEST(a_failure_leaves_nothing)
{
    struct cnc_address address = address_of(path, "");
    for (unsigned nth = 1; nth < 20; nth++) {
        struct cnc_listener_file file;
        int fd = -1;
        cnc_fault_arm(CNC_FAULT_OPEN, nth, false);
        int rc = cnc_listener_open(&fd, &file, &address, &usual);
        cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
        ck_assert_int_eq(rc == CONCUR_OK, fd >= 0);
        if (rc == CONCUR_OK && file.inode)
            cnc_listener_unlink(&address, &file);
        else if (rc == CONCUR_OK) /* nobody could tell which file it is: then it stays */
            ck_assert_int_eq(unlink(path), 0);
        ck_assert_msg(access(path, F_OK) < 0, "%u: the file is left", nth);
        if (fd >= 0)
            close(fd);
        fd = dup(0); /* the lowest: none is left open below */
        ck_assert_int_lt(fd, 20);
        close(fd);
    }
    int served = bound(path, SOCK_STREAM, true);
    for (unsigned nth = 1; nth < 20; nth++) {
        struct cnc_listener_file file;
        int fd = -1;
        cnc_fault_arm(CNC_FAULT_OPEN, nth, false);
        ck_assert_int_eq(cnc_listener_open(&fd, &file, &address, &usual), CONCUR_E_LISTEN);
        cnc_fault_arm(CNC_FAULT_OPEN, 0, false);
        ck_assert(S_ISSOCK(look(path).st_mode));
    }
    close(served);
}
END_TEST
#endif

/* ---- what somebody else opened ---- */

static void expect_not_adopted(int fd, const char *says)
{
    char text[32], why[CNC_ADDRESS_ERROR_MAX] = "", expected[200];
    struct cnc_address address;
    struct cnc_listener_file file;
    int got = -1;
    snprintf(text, sizeof text, "fd:%d", fd);
    ck_assert_int_eq(cnc_address_parse(&address, text, why, sizeof why), CONCUR_OK);
    ck_assert_int_eq(cnc_listener_open(&got, &file, &address, &usual), CONCUR_E_LISTEN);
    ck_assert_int_eq(got, -1);
    snprintf(expected, sizeof expected, "cannot listen on fd:%d: %s", fd, says);
    ck_assert_str_eq(cnc_error_text(), expected);
    ck_assert(fd > 900 || fcntl(fd, F_GETFD) >= 0); /* it stays who opened it's */
}

START_TEST(a_descriptor_that_cannot_be_served)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int pipes[2], pair[2], udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(pipe(pipes), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(bind(tcp, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(bind(udp, (struct sockaddr *)&at, sizeof at), 0);
    int packets = bound(path, SOCK_SEQPACKET, true);
    expect_not_adopted(987, "no such descriptor is open");
    expect_not_adopted(pipes[0], "not a socket");
    expect_not_adopted(udp, "it is not a stream socket");
    expect_not_adopted(packets, "it is not a stream socket");
    expect_not_adopted(tcp, "the socket does not listen");
    expect_not_adopted(pair[0], "the socket does not listen");
    int all[] = { pipes[0], pipes[1], pair[0], pair[1], udp, tcp, packets };
    for (size_t i = 0; i < CNC_COUNT(all); i++)
        close(all[i]);
}
END_TEST

START_TEST(a_descriptor_that_can_be_served)
{
    struct cnc_listener_file file;
    struct cnc_address address;
    char text[32], why[CNC_ADDRESS_ERROR_MAX] = "";
    int theirs = bound(path, SOCK_STREAM, true);
    snprintf(text, sizeof text, "fd:%d", theirs);
    ck_assert_int_eq(cnc_address_parse(&address, text, why, sizeof why), CONCUR_OK);
    int ours = open_at(&file, &address);
    ck_assert_int_ne(ours, theirs);
    close(ours);
    close(theirs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_listener");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, a_file_stays);
    tcase_add_test(all, a_fifo_stays);
    tcase_add_test(all, a_folder_stays);
    tcase_add_test(all, a_link_stays);
    tcase_add_test(all, a_socket_that_is_served_stays);
    tcase_add_test(all, a_socket_of_another_kind_stays);
    tcase_add_test(all, a_dead_socket_makes_way);
    tcase_add_test(all, who_took_the_path_over_keeps_it);
    tcase_add_test(all, a_file_that_took_the_path_over_stays);
    tcase_add_test(all, a_descriptor_that_cannot_be_served);
    tcase_add_test(all, a_descriptor_that_can_be_served);
#ifdef CNC_FAULTS
    tcase_add_test(all, a_failure_leaves_nothing);
#endif
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
