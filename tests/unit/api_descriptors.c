/* SPDX-License-Identifier: MIT
 *
 * A limit of descriptors that leaves only so many for a start: the server serves, or says how high the limit must be. Each test is
 * a process.
 */
#include "live.h"

#include <fcntl.h>
#include <sys/resource.h>

enum { FREE_MAX = 40, ENGINES = 6 };

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

/* Leaves n numbers that can be opened. Returns the limit. */
static unsigned leave_free(unsigned n)
{
    int fd = 0;
    for (unsigned left = n; left > 0; fd++)
        left -= fcntl(fd, F_GETFD) < 0;
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)fd;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return (unsigned)fd;
}

static struct live make(int engine)
{
    struct live l = live_new(engine);
    live_set(&l, "workers", "1");
    live_set(&l, "start_timeout", "3s");
    live_route(&l, "GET /", 0, hello, NULL);
    return l;
}

static void expect_number(const struct live *l, unsigned n, unsigned limit, const char *text)
{
    static const char words[] = "(RLIMIT_NOFILE) is ";
    const char *at = strstr(text, words);
    unsigned is = 0, need = 0;
    ck_assert_msg(at && sscanf(at + sizeof words - 1, "%u, and %u are needed", &is, &need) == 2, "%s, %u free: %s", l->name, n, text);
    ck_assert_msg(is == limit && need > limit, "%s, %u free: limit %u: %s", l->name, n, limit, text);
}

START_TEST(a_start_says_how_many_it_needs)
{
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    const unsigned held = live_descriptors();
    unsigned n = 0;
    for (bool serves = false; !serves; n++) {
        struct live l = make(_i + 1);
        const unsigned limit = leave_free(n);
        serves = concur_server_start(l.server) == CONCUR_OK;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        if (serves) {
            live_end(&l, LIVE_PATIENCE_S * 1000);
        } else {
            ck_assert_msg(n < FREE_MAX, "%s: not with %u: %s", l.name, n, concur_server_error(l.server));
            expect_number(&l, n, limit, concur_server_error(l.server));
            concur_server_free(l.server);
        }
        ck_assert_uint_eq(live_descriptors(), held);
    }
    ck_assert_uint_gt(n, 1);
    printf("%s: starts with %u free descriptors\n", concur_engine_name(_i + 1), n - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_descriptors");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 240);
    tcase_add_loop_test(all, a_start_says_how_many_it_needs, 0, ENGINES);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
