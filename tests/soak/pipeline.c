/* SPDX-License-Identifier: MIT
 *
 * The runs of e2e_pipeline with pauses of up to 20 s, a hundred for each engine, ten at a time.
 *
 * CONCUR_TEST_SEED (1): the first seed. CONCUR_SOAK_RUNS (100): how many. CONCUR_SOAK_PAUSE (20000): ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "e2e/flood.h"

enum { AT_ONCE = 10, BATCH_SECONDS = 300 };

static unsigned long long number_from(const char *name, unsigned long long otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static int runs(void)
{
    return (int)number_from("CONCUR_SOAK_RUNS", 100);
}

static int batches(void)
{
    return (runs() + AT_ONCE - 1) / AT_ONCE;
}

static void run_one(const char *engine, unsigned long long seed)
{
    struct demo demo;
    struct flood f;
    const int64_t began = now_ms();
    flood_draw(&f, seed, (unsigned)number_from("CONCUR_SOAK_PAUSE", 20000));
    demo_start(&demo, engine, "--threads", "2", "--set", "header_timeout=5m", "--set", "write_timeout=5m", "--set",
               "keepalive_timeout=5m", NULL); /* longer than any pause: the client is slow, and not given up */
    flood_run(&f, &demo, seed);
    printf("%s: seed %llu: %zu bytes taken, %zu answered in %lld ms, grew by %ld KiB\n", engine, seed, f.sent, f.answered,
           (long long)(now_ms() - began), f.grew_kib);
    fflush(stdout);
    demo_stop(&demo, WAIT_MS);
}

/* Each run has a process: a failed assertion ends that one alone. */
START_TEST(ten_at_once)
{
    const char *engine = engine_name(_i / batches());
    const int first = _i % batches() * AT_ONCE;
    const int count = runs() - first < AT_ONCE ? runs() - first : AT_ONCE;
    const unsigned long long seed = number_from("CONCUR_TEST_SEED", 1);
    for (int i = 0; i < count; i++) {
        fflush(NULL);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid)
            continue;
        run_one(engine, seed + (unsigned)(first + i));
        _exit(EXIT_SUCCESS);
    }
    int failed = 0, status;
    while (wait(&status) > 0)
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
    ck_assert_msg(failed == 0, "%s: %d of the seeds from %llu failed", engine, failed, seed + (unsigned)first);
}
END_TEST

static void add(Suite *s)
{
    TCase *t = e2e_case(s, "pipeline", BATCH_SECONDS);
    tcase_add_loop_test(t, ten_at_once, 0, engine_count() * batches());
}

int main(int argc, char **argv)
{
    return e2e_main_apart("soak_pipeline", add, argc, argv);
}
