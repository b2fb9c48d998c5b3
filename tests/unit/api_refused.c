/* SPDX-License-Identifier: MIT
 *
 * What this version does not have is refused by its name, in whichever layer it is asked for, and never served without.
 */
#include "live.h"

#include <poll.h>

#include <concur/request.h>

static int engines[8];
static int engine_count;

/* What a file, code and flags may ask for. */
static const struct {
    const char *section, *name, *value; /* section NULL: an address of the option listen */
    const char *file;
    const char *says[3]; /* what the error has to name */
} wishes[] = {
    { NULL, "listen", "127.0.0.1:0 tls=web", "listen = \"127.0.0.1:0 tls=web\"\n", { "tls=web", "TLS" } },
    { NULL,
      "listen",
      "unix:/tmp/concur-none tls=web",
      "listen = \"unix:/tmp/concur-none tls=web\"\n",
      { "tls=web", "TLS" } },
    { "tls web", "certificate", "web.pem", "tls \"web\" {\n    certificate = \"web.pem\"\n}\n", { "tls", "TLS" } },
    { "tls web", "min", "1.3", "tls \"web\" {\n}\n", { "tls", "TLS" } },
    { "upstream price",
      "server",
      "127.0.0.1:9000",
      "upstream \"price\" {\n    server = \"127.0.0.1:9000\"\n}\n",
      { "upstream", "other servers" } },
};

enum { WISHES = sizeof wishes / sizeof *wishes };
enum { CODE, OVERRIDE, FILE_, ENVIRONMENT, LAYERS };

static char path[32];

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/api_refused.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void tear_down(void)
{
    unlink(path);
}

static void write_file(const char *first, const char *second)
{
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%s%s", first, second);
    ck_assert_int_eq(fclose(f), 0);
}

static int hello(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "hello");
}

static int generation(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_printf(r, 200, NULL, "%d", concur_server_generation(concur_request_server(r)));
}

static void not_to_stderr(int level, const char *line, void *arg)
{
    (void)level, (void)line, (void)arg;
}

/* A server that asks for one of the wishes in one layer; NULL: the layer cannot say so. */
static concur_server *make(int engine, int layer, unsigned i)
{
    const char *section = wishes[i].section;
    write_file(wishes[i].file, "");
    if (layer == ENVIRONMENT && section)
        return NULL;
    concur_server *s = concur_server_new(engine, layer == FILE_ ? path : NULL);
    ck_assert_ptr_nonnull(s);
    concur_server_route(s, "GET /", 0, hello, NULL);
    concur_server_log(s, not_to_stderr, NULL);
    if (layer != FILE_ || section)
        ck_assert_int_eq(concur_server_listen(s, "127.0.0.1:0"), CONCUR_OK);
    if (layer == CODE)
        ck_assert_int_eq(concur_server_set(s, section, wishes[i].name, wishes[i].value), CONCUR_E_UNSUPPORTED);
    if (layer == OVERRIDE)
        ck_assert_int_eq(concur_server_override(s, section, wishes[i].name, wishes[i].value), CONCUR_E_UNSUPPORTED);
    if (layer == ENVIRONMENT)
        setenv("CONCUR_LISTEN", wishes[i].value, 1);
    return s;
}

static void expect_named(concur_server *s, unsigned i, const char *doing)
{
    for (int k = 0; wishes[i].says[k]; k++)
        ck_assert_msg(strstr(concur_server_error(s), wishes[i].says[k]), "%s: no '%s' in: %s", doing, wishes[i].says[k],
                      concur_server_error(s));
}

START_TEST(every_layer_is_refused)
{
    unsigned fds = live_descriptors();
    for (int layer = CODE; layer < LAYERS; layer++)
        for (unsigned i = 0; i < WISHES; i++) {
            concur_server *s = make(engines[_i], layer, i);
            if (!s)
                continue;
            ck_assert_msg(concur_server_check(s) == CONCUR_E_UNSUPPORTED, "check, layer %d, %s: %s", layer,
                          wishes[i].file, concur_server_error(s));
            expect_named(s, i, "check");
            ck_assert_int_eq(concur_server_start(s), CONCUR_E_UNSUPPORTED);
            ck_assert_int_eq(concur_server_run(s), CONCUR_E_UNSUPPORTED);
            expect_named(s, i, "run");
            concur_server_free(s);
            unsetenv("CONCUR_LISTEN");
        }
    ck_assert_uint_eq(live_descriptors(), fds);
}
END_TEST

/* ---- a reload ---- */

static char events[8192];

static int on_event(concur_server *server, int what, const char *detail, void *arg)
{
    (void)server, (void)what, (void)arg;
    size_t n = strlen(events);
    snprintf(events + n, sizeof events - n, "%s\n", detail);
    return CONCUR_OK;
}

static void wait_for_event(struct live *l, const char *text)
{
    for (int waited = 0; !strstr(events, text); waited += 10) {
        struct pollfd p = { .fd = concur_server_fd(l->server), .events = POLLIN };
        ck_assert_msg(waited < LIVE_PATIENCE_S * 1000, "%s: waited in vain for %s in: %s", l->name, text, events);
        (void)poll(&p, 1, 10);
        (void)concur_server_dispatch(l->server);
    }
}

static void expect_generation(const struct live *l, const char *number)
{
    char body[64] = "";
    ck_assert_int_eq(live_get(l, "/generation", body, sizeof body), 200);
    ck_assert_str_eq(body, number);
}

START_TEST(a_reload_is_refused_and_changes_nothing)
{
    static const char base[] = "keepalive_timeout = 5s\n";
    struct live l = { .name = concur_engine_name(engines[_i]) };
    char list[256];
    snprintf(list, sizeof list, "%slisten = \"127.0.0.1:0\"\n", base);
    write_file(list, "");
    l.server = concur_server_new(engines[_i], path);
    concur_server_route(l.server, "GET /generation", 0, generation, NULL);
    live_set(&l, "master", "on");
    live_set(&l, "workers", "1");
    ck_assert_int_eq(concur_server_hook(l.server, CONCUR_HOOK_EVENT, on_event, NULL), CONCUR_OK);
    live_start(&l);
    for (unsigned i = 0; i < WISHES; i++) {
        char text[128];
        events[0] = '\0';
        write_file(wishes[i].section ? list : base, wishes[i].file);
        ck_assert_int_eq(concur_server_reload(l.server), CONCUR_OK);
        wait_for_event(&l, "reload refused");
        for (int k = 0; wishes[i].says[k]; k++)
            ck_assert_msg(strstr(events, wishes[i].says[k]), "no '%s' in: %s", wishes[i].says[k], events);
        snprintf(text, sizeof text, "%s:", path); /* and where */
        ck_assert_msg(strstr(events, text), "no '%s' in: %s", text, events);
        expect_generation(&l, "1");
    }
    write_file(list, "");
    ck_assert_int_eq(concur_server_reload(l.server), CONCUR_OK);
    wait_for_event(&l, "generation 2 serves");
    live_end(&l, 1000);
}
END_TEST

int main(void)
{
    for (int e = 1; concur_engine_name(e); e++) {
        concur_server *s = concur_server_new(e, NULL);
        (void)concur_server_listen(s, "127.0.0.1:0");
        if (concur_server_check(s) == CONCUR_OK)
            engines[engine_count++] = e;
        concur_server_free(s);
    }
    if (engine_count == 0)
        return EXIT_FAILURE;
    Suite *suite = suite_create("api_refused");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 100);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, every_layer_is_refused, 0, engine_count);
    tcase_add_loop_test(all, a_reload_is_refused_and_changes_nothing, 0, engine_count);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
