/* SPDX-License-Identifier: MIT
 *
 * What a server tells of its processes: who they are, what they are at, and which engine serves after a reload.
 */
#include "live.h"

#include <poll.h>

static char path[] = "/tmp/concur-status-XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* Asked as a program would: once for the length, then for the text. */
static const char *status(concur_server *s)
{
    static char text[65536];
    size_t len = 0;
    ck_assert_int_eq(concur_server_status(s, NULL, &len), CONCUR_E_LIMIT);
    size_t room = sizeof text;
    ck_assert_uint_lt(len, room);
    ck_assert_int_eq(concur_server_status(s, text, &room), CONCUR_OK);
    ck_assert_uint_eq(room, strlen(text));
    ck_assert(text[0] == '{' && text[room - 1] == '}');
    return text;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
        n++;
    return n;
}

/* Dispatching meanwhile, as a host does. */
static void until(struct live *l, const char *part, unsigned n)
{
    for (int waited = 0; count(status(l->server), part) != n; waited += 5) {
        struct pollfd p = { .fd = concur_server_fd(l->server), .events = POLLIN };
        ck_assert_msg(waited < LIVE_PATIENCE_S * 1000, "%s: not %u times %s in %s", l->name, n, part, status(l->server));
        (void)poll(&p, 1, 5);
        (void)concur_server_dispatch(l->server);
    }
}

static const struct {
    int engine;
    unsigned workers;
    const char *beside; /* a process of another kind; NULL: none */
} trees[] = { { CONCUR_ENGINE_PREFORK, 3, "\"kind\":\"heads\",\"number\":0," },
              { CONCUR_ENGINE_PROCESS_THREAD, 2, "\"kind\":\"front\",\"number\":0," },
              { CONCUR_ENGINE_PROCESS_EVENT, 2, NULL },
              { CONCUR_ENGINE_EVENT, 1, NULL } };

START_TEST(each_process_is_told)
{
    struct live l = live_new(trees[_i].engine);
    char workers[16], own_pid[32];
    snprintf(workers, sizeof workers, "%u", trees[_i].workers);
    live_set(&l, "workers", workers);
    live_set(&l, "master", "on");
    live_start(&l);
    until(&l, "\"kind\":\"worker\"", trees[_i].workers);
    until(&l, "\"state\":\"serving\"", trees[_i].workers + (trees[_i].beside != NULL));
    const char *text = status(l.server);
    ck_assert(!trees[_i].beside || strstr(text, trees[_i].beside));
    ck_assert_ptr_nonnull(strstr(text, "\"generation\":1"));
    snprintf(own_pid, sizeof own_pid, "\"pid\":%ld,\"state\"", (long)getpid());
    ck_assert_ptr_null(strstr(text, own_pid)); /* the host is none of them */
    live_end(&l, 2000);
}
END_TEST

START_TEST(without_a_master_there_are_none)
{
    struct live l = live_new(_i ? CONCUR_ENGINE_THREAD : CONCUR_ENGINE_EVENT_POOL);
    live_start(&l);
    ck_assert_ptr_null(strstr(status(l.server), "processes"));
    live_end(&l, 2000);
}
END_TEST

START_TEST(a_host_knows_the_engine_of_the_newest_generation)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    write_file("engine = process-event\nworkers = 2\nenvironment = off\nlisten = \"127.0.0.1:0\"\n");
    struct live l = { .server = concur_server_new(CONCUR_ENGINE_DEFAULT, path), .name = "reload" };
    live_start(&l);
    ck_assert_int_eq(concur_server_engine(l.server), CONCUR_ENGINE_PROCESS_EVENT);
    until(&l, "\"engine\":\"process-event\"", 1);
    write_file("engine = prefork\nworkers = 2\nenvironment = off\nlisten = \"127.0.0.1:0\"\n");
    ck_assert_int_eq(concur_server_reload(l.server), CONCUR_OK);
    until(&l, "\"engine\":\"prefork\"", 1);
    ck_assert_int_eq(concur_server_engine(l.server), CONCUR_ENGINE_PREFORK);
    ck_assert_ptr_nonnull(strstr(status(l.server), "\"generation\":2"));
    live_end(&l, 2000);
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_status");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 2 * LIVE_PATIENCE_S);
    tcase_add_loop_test(tests, each_process_is_told, 0, sizeof trees / sizeof *trees);
    tcase_add_loop_test(tests, without_a_master_there_are_none, 0, 2);
    tcase_add_test(tests, a_host_knows_the_engine_of_the_newest_generation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
