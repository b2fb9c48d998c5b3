/* SPDX-License-Identifier: MIT
 *
 * Storms over process-thread, with both ways to lend: 60 s each, or CONCUR_TEST_STORM_SECONDS. The seed is printed.
 */
#include "e2e/harness.h"
#include "e2e/storm.h"

START_TEST(a_storm)
{
    storm_run(_i ? "connection" : "request", storm_seconds(60));
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "lending", 120 + (unsigned)storm_seconds(60));
    tcase_add_loop_test(t, a_storm, 0, 2);
}

int main(int argc, char **argv)
{
    return e2e_main("soak_lending", add, argc, argv);
}
