/* SPDX-License-Identifier: MIT
 *
 * The model of lending (lending_model.h) under thousands of seeded orders.
 */
#include "unit/lending_model.h"
#include "unit/live.h"

enum { STEPS = 400, RUNS = 3000 };

static unsigned draw(void *random, unsigned n)
{
    return live_below(random, n);
}

START_TEST(whatever_the_order)
{
    const uint64_t seed = live_seed();
    unsigned ended = 0, lost = 0, revoked = 0, refused = 0, fronts = 0, deaths = 0;
    for (unsigned run = 0; run < (LIVE_SANITIZED ? RUNS / 20 : RUNS); run++) {
        static struct model m;
        struct live_random random = live_random_of(seed, run);
        model_open(&m, draw, &random, run);
        const unsigned steps = below(&m, STEPS);
        for (unsigned i = 0; i < steps; i++)
            step(&m);
        settle(&m);
        expect_agreement(&m); /* with jobs that hold their threads */
        expect_end(&m);
        ended += m.ended, lost += m.lost, revoked += m.revoked, refused += m.refused, fronts += m.fronts, deaths += m.deaths;
        model_close(&m);
    }
    printf("%u ended, %u lost with %u workers, %u taken back unread, %u refused, %u new fronts\n", ended, lost, deaths, revoked,
           refused, fronts);
    ck_assert(ended && lost && revoked && refused && fronts); /* else the orders say nothing */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("conn_lending_model");
    TCase *t = tcase_create("orders");
    tcase_set_timeout(t, 100);
    tcase_add_test(t, whatever_the_order);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
