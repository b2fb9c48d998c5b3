/* SPDX-License-Identifier: MIT
 *
 * A limit of descriptors that the program was started with: the server serves, or it ends and says how high the limit must be. While
 * it is too low for the clients that come nobody spins and nothing ends; when it is lifted all are answered.
 *
 * CONCUR_TEST_EVERY=1: each limit from 12 to 80.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e/client.h"
#include "e2e/starved.h"

enum { LIMITS_MAX = 80, CLIENTS = 80, CALM_MS = 1000 };

static unsigned needed(const struct run *r)
{
    const char *at = strstr(r->text, "(RLIMIT_NOFILE) is ");
    unsigned is, need;
    ck_assert_msg(at && sscanf(at, "(RLIMIT_NOFILE) is %u, and %u are needed", &is, &need) == 2, "%s: %s", r->demo.engine,
                  r->text);
    ck_assert_msg(need > is, "%s: %s", r->demo.engine, r->text);
    return need;
}

/* With the limit that is named it serves, at most a few names later. */
static unsigned start_with(struct run *r, const char *engine, unsigned limit)
{
    for (int tries = 0;; tries++) {
        const struct run_before before = { .what = RLIMIT_NOFILE, .limit = limit, .uid = -1, .err = -1 };
        run_spawn(r, engine, &before, "--set", "master=on", "--set", "start_timeout=4s", NULL);
        if (run_await_port(r))
            return limit;
        ck_assert_int_eq(run_end(r), 1);
        ck_assert_msg(tries < 3, "%s: with %u not yet: %s", engine, limit, r->text);
        limit = needed(r);
        ck_assert_uint_le(limit, LIMITS_MAX);
    }
}

/* Which of them were answered; one after the other may be closed, and may wait. */
static void crowd(const struct demo *d)
{
    static struct client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&c[i], d->port);
        (void)client_text(&c[i], "GET / HTTP/1.1\r\nHost: e2e\r\n\r\n");
    }
    demo_expect_calm(d, CALM_MS, "too few descriptors");
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
}

static void one_limit(const char *engine, unsigned limit)
{
    static struct run r;
    const unsigned served = start_with(&r, engine, limit);
    crowd(&r.demo);
    demo_limit(&r.demo, RLIMIT_NOFILE, 1000);
    for (int i = 0; i < 20; i++)
        expect_alive(r.demo.port, WAIT_MS);
    run_stop(&r);
    printf("%s: %u: serves with %u\n", engine, limit, served);
    for (const char *at = r.text; (at = strstr(at, " ended: ")) != NULL; at++)
        ck_assert_msg(strncmp(at, " ended: sick", 12) == 0, "%s: %u: %s", engine, served, r.text);
}

START_TEST(any_limit)
{
    static const unsigned some[] = { 12, 16, 24, 40, 64 };
    const char *engine = engine_name(_i);
    if (is_sanitized())
        one_limit(engine, 24);
    else if (is_every())
        for (unsigned n = 12; n <= LIMITS_MAX; n++)
            one_limit(engine, n);
    else
        for (size_t i = 0; i < COUNT(some); i++)
            one_limit(engine, some[i]);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "files", 300);
    tcase_add_loop_test(t, any_limit, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("files", add, argc, argv);
}
