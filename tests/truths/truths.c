/* SPDX-License-Identifier: MIT
 *
 * Planted truths: a server with one fault that is known, for those who are to find it. README.md says what they must say.
 *
 *   GET /plain   "plain\n", always right: the control
 *   GET /x       "right\n", with the fault that a flag has planted; without a flag none
 *
 * Every option of the library is a flag, --NAME VALUE. It says on stdout where it listens.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <concur/concur.h>

enum { CARELESS_MS = 20, CPU_US = 5000, LEAK_BYTES = 1024, CRASH_EVERY = 1000 };

static concur_counter *requests; /* for /x, of all processes and of those that came before them */
static const char *wrong_engine; /* set before the server runs */

static int answer(concur_request *r)
{
    return concur_reply_text(r, 200, "right\n");
}

static int plain(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "plain\n");
}

static int right(concur_request *r, void *arg)
{
    (void)arg;
    return answer(r);
}

static int careless(concur_request *r, void *arg)
{
    struct timespec left = { 0, CARELESS_MS * 1000000L };
    (void)arg;
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
    return answer(r);
}

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int burn(concur_request *r, void *arg)
{
    const int64_t end = cpu_us() + CPU_US;
    volatile uint64_t hash = 1;
    (void)arg;
    while (cpu_us() < end)
        for (int i = 0; i < 20000; i++) /* to look at the clock is a system call, and this is to be user time */
            hash = (hash ^ (hash >> 31)) * UINT64_C(0xff51afd7ed558ccd);
    return answer(r);
}

/* It can be reached, so no tool that looks for lost memory finds it. */
struct leaked {
    struct leaked *next;
    char bytes[LEAK_BYTES - sizeof(struct leaked *)];
};
static _Atomic(struct leaked *) all_leaked;

static int leak(concur_request *r, void *arg)
{
    struct leaked *l = malloc(sizeof *l);
    (void)arg;
    if (!l)
        return CONCUR_E_NOMEM;
    memset(l->bytes, 'x', sizeof l->bytes);
    l->next = atomic_load(&all_leaked);
    while (!atomic_compare_exchange_weak(&all_leaked, &l->next, l))
        continue;
    return answer(r);
}

static int crash(concur_request *r, void *arg)
{
    (void)arg;
    if (concur_counter_add(requests, 1) % CRASH_EVERY == 0)
        abort();
    return answer(r);
}

static int wrong(concur_request *r, void *arg)
{
    (void)arg;
    const char *engine = concur_engine_name(concur_server_engine(concur_request_server(r)));
    return strcmp(engine, wrong_engine) == 0 ? concur_reply_text(r, 200, "wrong\n") : answer(r);
}

/* What a program does that was written for one process. */
static int count_static(concur_request *r, void *arg)
{
    static atomic_int hits;
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d\n", atomic_fetch_add(&hits, 1) + 1);
}

static const struct truth {
    const char *flag;
    concur_handler_fn handler;
    const char *what;
} truths[] = {
    { "--careless", careless, "blocks for 20 ms, and nobody said that it does" },
    { "--cpu", burn, "takes 5 ms of processor time" },
    { "--leak", leak, "keeps 1 KB a request" },
    { "--crash", crash, "crashes at every 1000th request" },
    { "--wrong", wrong, "answers wrongly on one engine: --wrong ENGINE" },
    { "--static", count_static, "answers how many requests it has had, from a static variable" },
};

enum { TRUTHS = sizeof truths / sizeof *truths };

static int usage(void)
{
    fputs("usage: truths [FLAG] [--NAME VALUE ...]\n", stderr);
    for (int i = 0; i < TRUTHS; i++)
        fprintf(stderr, "  %-10s GET /x %s\n", truths[i].flag, truths[i].what);
    return 2;
}

static const struct truth *find(const char *flag)
{
    for (int i = 0; i < TRUTHS; i++)
        if (strcmp(flag, truths[i].flag) == 0)
            return &truths[i];
    return NULL;
}

struct command {
    concur_handler_fn handler; /* of /x */
    bool check;
};

/* One flag with its value; options go to the server at once. false: not a command line. */
static bool take_flag(struct command *c, concur_server *server, char ***at)
{
    const char *flag = *(*at)++;
    const struct truth *truth = find(flag);
    if (truth)
        c->handler = truth->handler;
    if (strcmp(flag, "--check") == 0)
        c->check = true;
    else if (!truth || truth->handler == wrong) {
        const char *value = *(*at)++;
        if (!value || strncmp(flag, "--", 2) != 0)
            return false;
        if (!truth)
            concur_server_override(server, NULL, flag + 2, value);
        else
            wrong_engine = value;
    }
    return true;
}

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    char address[128] = "";
    (void)what, (void)arg;
    if (strcmp(detail, "ready") != 0)
        return CONCUR_OK;
    concur_server_address(server, 0, address, sizeof address);
    printf("listening on %s engine=%s pid=%ld\n", address, concur_engine_name(concur_server_engine(server)),
           (long)getpid());
    fflush(stdout);
    return CONCUR_OK;
}

/* A crash is wanted, the core of it is not. */
static void keep_no_core(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
}

int main(int argc, char **argv)
{
    struct command c = { .handler = right };
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    for (char **at = argv + (argc > 0); *at;) {
        if (take_flag(&c, server, &at))
            continue;
        concur_server_free(server);
        return usage();
    }
    keep_no_core();
    requests = concur_server_counter(server, "requests", "Requests for /x");
    concur_server_hook(server, CONCUR_HOOK_EVENT, on_event, NULL);
    concur_server_route(server, "GET /plain", 0, plain, NULL);
    concur_server_route(server, "GET /x", 0, c.handler, NULL);
    int rc = c.check ? concur_server_check(server) : concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "truths: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
