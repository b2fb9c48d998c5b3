/* SPDX-License-Identifier: MIT
 *
 * What a worker leaks turns the run red where leaks are looked for: it ends in a way of its own, which must not skip the
 * look. In other builds the same run is green.
 */
#include <signal.h>

#include "e2e/client.h"
#include "e2e/harness.h"

#if defined(__SANITIZE_ADDRESS__)
#define LOOKS_FOR_LEAKS true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOOKS_FOR_LEAKS true
#endif
#endif
#ifndef LOOKS_FOR_LEAKS
#define LOOKS_FOR_LEAKS false
#endif

static struct demo demo;

static int run(const char *engine, const char *master, const char *target)
{
    demo_start(&demo, engine, "--unsafe", "--set", master, NULL);
    expect_get(demo.port, target, 200, NULL);
    demo_signal(&demo, SIGTERM);
    return demo_wait(&demo, WAIT_MS);
}

START_TEST(a_leak_is_told)
{
    const char *engine = engine_name(_i);
    static const char *const masters[] = { "master=off", "master=on" };
    for (size_t i = 0; i < COUNT(masters); i++) {
        ck_assert_int_eq(run(engine, masters[i], "/whoami"), 0);
        const int status = run(engine, masters[i], "/test/leak");
        ck_assert_msg((status != 0) == LOOKS_FOR_LEAKS, "%s, %s: exit status %d", engine, masters[i], status);
    }
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "leaks", 60);
    tcase_add_loop_test(t, a_leak_is_told, 0, engine_count());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("leaks", add, argc, argv);
}
