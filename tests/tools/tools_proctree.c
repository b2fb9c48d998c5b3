/* SPDX-License-Identifier: MIT
 *
 * The tree of processes: one that is written into a folder, with numbers that are known, and the test's own children.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure/proctree.h"

static char folder[64];

static void put(const char *path, const char *text)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    for (char *p = whole + strlen(folder) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(whole, 0700);
    }
    FILE *f = fopen(whole, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void link_to(const char *path, const char *target)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    ck_assert_int_eq(symlink(target, whole), 0);
}

/* 10 (a name with a parenthesis) has 20 and 30; 20 has the zombie 40; 50 is none of theirs. */
static void make_tree(bool with_lists)
{
    strcpy(folder, "/tmp/proctree.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    put("stat", "cpu 100 20 80 700 40 5 30 25 0 0\ncpu0 1 2 3\n");
    put("10/stat", "10 (odd) S) S 1 10 10 0 -1 4 5 77 6 7 150 50 300 100 20 0 2 0 5 0 0\n");
    put("20/stat", "20 (w) R 10 10 10 0 -1 4 0 0 0 0 10 20 0 0 20 0 1 0 5 0 0\n");
    put("30/stat", "30 (w) S 10 10 10 0 -1 4 0 0 0 0 1 2 0 0 20 0 3 0 5 0 0\n");
    put("40/stat", "40 (w) Z 20 10 10 0 -1 4 0 0 0 0 1 2 0 0 20 0 1 0 5 0 0\n");
    put("50/stat", "50 (other) S 1 10 10 0 -1 4 0 0 0 0 1 2 0 0 20 0 1 0 5 0 0\n");
    put("10/task/10/status", "Name:\tx\nThreads:\t2\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n");
    put("10/task/10/schedstat", "111000000 250000000 9\n");
    put("20/task/20/schedstat", "111000000 500000000 9\n");
    put("10/task/11/status", "voluntary_ctxt_switches:\t30\nnonvoluntary_ctxt_switches:\t4\n");
    put("20/task/20/status", "voluntary_ctxt_switches:\t100\nnonvoluntary_ctxt_switches:\t1\n");
    put("30/task/30/status", "Name:\tx\n");
    put("10/smaps_rollup", "0-1 ---p [rollup]\nRss: 900 kB\nPss: 400 kB\nPss_Dirty: 3 kB\nPss_Anon: 90 kB\n");
    put("20/smaps_rollup", "0-1 ---p [rollup]\nPss:    60 kB\nPss_Anon:   6 kB\n");
    if (!with_lists)
        return;
    put("10/task/10/children", "20 ");
    put("10/task/11/children", "30 ");
    put("20/task/20/children", "40 ");
    put("30/task/30/children", "");
}

static void check_tree(bool with_lists)
{
    struct proctree t;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    make_tree(with_lists);
    ck_assert_int_eq(proctree_read(&t, folder, 10, PROCTREE_SWITCHES | PROCTREE_MEMORY), 0);
    struct process sum = proctree_sum(&t);
    ck_assert_uint_eq(t.count, 3);
    ck_assert(proctree_has(&t, 10) && proctree_has(&t, 20) && proctree_has(&t, 30) && !proctree_has(&t, 50));
    ck_assert_uint_eq(proctree_leaves(&t), 2);
    ck_assert(!t.items[0].is_leaf);
    ck_assert_uint_eq(sum.threads, 6);
    ck_assert_double_eq_tol(sum.user, 461 * tick, 1e-9);
    ck_assert_double_eq_tol(sum.system, 172 * tick, 1e-9);
    ck_assert_double_eq_tol(sum.cpu, 233 * tick, 1e-9);
    ck_assert_double_eq_tol(sum.buried, 400 * tick, 1e-9);
    ck_assert_double_eq_tol(sum.waited, 0.75, 1e-9);
    ck_assert_uint_eq(sum.buried_faults, 77);
    ck_assert_uint_eq(sum.voluntary, 137);
    ck_assert_uint_eq(sum.involuntary, 7);
    ck_assert_uint_eq(sum.pss, 460);
    ck_assert_uint_eq(sum.pss_anonymous, 96);
    proctree_free(&t);
}

START_TEST(a_tree_in_a_folder)
{
    check_tree(_i);
}
END_TEST

START_TEST(what_is_not_asked_for_is_not_read)
{
    struct proctree t;
    make_tree(true);
    ck_assert_int_eq(proctree_read(&t, folder, 10, 0), 0);
    struct process sum = proctree_sum(&t);
    ck_assert_uint_eq(sum.voluntary + sum.pss, 0);
    proctree_free(&t);
    ck_assert_int_eq(proctree_read(&t, folder, 99, 0), 0);
    ck_assert_uint_eq(t.count, 0);
    proctree_free(&t);
}
END_TEST

START_TEST(the_machine)
{
    double busy, all, tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    make_tree(true);
    ck_assert(proctree_machine(folder, &busy, &all));
    ck_assert_double_eq_tol(busy, 260 * tick, 1e-9);
    ck_assert_double_eq_tol(all, 1000 * tick, 1e-9);
    ck_assert(!proctree_machine("/nowhere", &busy, &all));
}
END_TEST

static void check_v4(const struct sockaddr_storage *a, const char *name, int port)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)a;
    char text[64] = "";
    ck_assert_int_eq(a->ss_family, AF_INET);
    ck_assert_str_eq(inet_ntop(AF_INET, &in->sin_addr, text, sizeof text), name);
    ck_assert_int_eq(ntohs(in->sin_port), port);
}

/* Listening: 100 on 10.0.0.1:80, 101 and 102 on every address and port 8080, 103 on [::]:9. 104 is connected, 105 is
 * somebody else's. */
START_TEST(listening_sockets_by_their_inodes)
{
    struct sockaddr_storage found[8];
    struct proctree t;
    bool is_little = htons(1) != 1;
    make_tree(true);
    put("10/fd/.keep", "");
    put("20/fd/.keep", "");
    link_to("10/fd/3", "socket:[100]");
    link_to("10/fd/4", "socket:[101]");
    link_to("10/fd/5", "socket:[104]");
    link_to("20/fd/3", "socket:[102]");
    link_to("20/fd/4", "socket:[103]");
    link_to("20/fd/5", "/dev/null");
    put("10/net/tcp", is_little ? "  sl  local_address rem_address   st\n"
                                  "   0: 0100000A:0050 00000000:0000 0A 0:0 00:0 0 0 0 100 1 0\n"
                                  "   1: 00000000:1F90 00000000:0000 0A 0:0 00:0 0 0 0 101 1 0\n"
                                  "   2: 00000000:1F90 00000000:0000 0A 0:0 00:0 0 0 0 102 1 0\n"
                                  "   3: 0100007F:1F91 0100007F:1111 01 0:0 00:0 0 0 0 104 1 0\n"
                                  "   4: 0100007F:1F92 00000000:0000 0A 0:0 00:0 0 0 0 105 1 0\n"
                                : "");
    put("10/net/tcp6", "  sl\n   0: 00000000000000000000000000000000:0009 0:0 0A 0:0 00:0 0 0 0 103 1 0\n");
    ck_assert_int_eq(proctree_read(&t, folder, 10, 0), 0);
    size_t n = proctree_listening(&t, folder, found, 8);
    ck_assert_uint_eq(n, is_little ? 3 : 1);
    if (is_little) {
        check_v4(&found[0], "10.0.0.1", 80);
        check_v4(&found[1], "127.0.0.1", 8080);
    }
    const struct sockaddr_in6 *last = (const struct sockaddr_in6 *)&found[n - 1];
    ck_assert_int_eq(last->sin6_family, AF_INET6);
    ck_assert_mem_eq(&last->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
    ck_assert_int_eq(ntohs(last->sin6_port), 9);
    ck_assert_uint_eq(proctree_listening(&t, folder, found, 1), 1);
    proctree_free(&t);
}
END_TEST

/* Of the test's own. */

static void *sit(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static _Noreturn void child(int ready)
{
    pthread_t thread;
    struct timespec t = { 0 };
    pthread_create(&thread, NULL, sit, NULL);
    while (t.tv_nsec < 50000000 && t.tv_sec == 0) /* of processor time */
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    (void)!write(ready, "x", 1);
    for (;;)
        pause();
}

START_TEST(children_of_our_own)
{
    int ready[2], listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_storage found[4];
    struct proctree t;
    char byte;
    socklen_t len = sizeof any;
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof any), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&any, &len), 0);
    ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        child(ready[1]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(proctree_read(&t, "/proc", getpid(), PROCTREE_SWITCHES | PROCTREE_MEMORY), 0);
    ck_assert(proctree_has(&t, getpid()) && proctree_has(&t, pid));
    const struct process *p = &t.items[t.count - 1];
    ck_assert_int_eq(p->pid, pid);
    ck_assert_int_eq(p->parent, getpid());
    ck_assert_uint_ge(p->threads, 2); /* a sanitizer may have one of its own */
    ck_assert_double_ge(p->cpu, 0.05);
    ck_assert_uint_gt(p->voluntary, 0);
    ck_assert_uint_gt(p->pss, 0);
    ck_assert_uint_eq(proctree_listening(&t, "/proc", found, 4), 1);
    check_v4(&found[0], "127.0.0.1", ntohs(any.sin_port));
    proctree_free(&t);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(proctree_read(&t, "/proc", getpid(), 0), 0);
    ck_assert(!proctree_has(&t, pid)); /* a zombie is none */
    proctree_free(&t);
    waitpid(pid, NULL, 0);
}
END_TEST

static void clean(void)
{
    char command[128];
    if (!folder[0])
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

int main(void)
{
    Suite *s = suite_create("proctree");
    TCase *t = tcase_create("proctree");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, NULL, clean);
    tcase_add_loop_test(t, a_tree_in_a_folder, 0, 2);
    tcase_add_test(t, what_is_not_asked_for_is_not_read);
    tcase_add_test(t, the_machine);
    tcase_add_test(t, listening_sockets_by_their_inodes);
    tcase_add_test(t, children_of_our_own);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
