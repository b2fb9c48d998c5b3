/* SPDX-License-Identifier: MIT
 *
 * Which routes a prefix may cover, which paths it covers, which page a status gets; and what the set-up refuses.
 */
#include <check.h>
#include <stdlib.h>

#include <concur/concur.h>

#include "server/route_hooks.h"

static int before(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_OK;
}

static int after(concur_request *r, int status, void *arg)
{
    (void)r, (void)status, (void)arg;
    return CONCUR_OK;
}

static const struct {
    const char *prefix, *text; /* a pattern or a path */
    bool may_cover, covers;
} rows[] = {
    { "/", "/", true, true },
    { "/", "/a/b", true, true },
    { "/api", "/api", true, true },
    { "/api", "/api/", true, true },
    { "/api", "/api/x", true, true },
    { "/api/", "/api", true, true },
    { "/api", "/apis", false, false },
    { "/api", "/ap", false, false },
    { "/api", "/", false, false },
    { "/api", "/API", false, false },
    { "/api/v1", "/api", false, false },
    { "/api/v1", "/api/v1/x", true, true },
    { "/api/v1", "/api/v2", false, false },
    { "/api", "/{any}", true, false },
    { "/api", "/{any}/x", true, false },
    { "/api/v1", "/{any}", false, false },
    { "/api/v1", "/{any}/v1", true, false },
    { "/api/v1", "/{any}/v2", false, false },
    { "/api/v1", "/*rest", true, false },
    { "/api/v1", "/api/*rest", true, false },
    { "/api/v1", "/static/*rest", false, false },
    { "/api/v1", "/api/v1/*rest", true, true },
    { "/a//b", "/a//b/c", true, true },
    { "/a//b", "/a/b", false, false },
};

START_TEST(prefixes)
{
    struct cnc_route_hooks hooks = { 0 };
    ck_assert_int_eq(cnc_route_hooks_add(&hooks, rows[_i].prefix, before, NULL, NULL), CONCUR_OK);
    struct cnc_slice path = { rows[_i].text, strlen(rows[_i].text) };
    ck_assert_msg(cnc_route_hooks_may_cover(&hooks, rows[_i].text) == rows[_i].may_cover, "%s %s", rows[_i].prefix, rows[_i].text);
    ck_assert_msg(cnc_route_hook_covers(&hooks.items[0], path) == rows[_i].covers, "%s %s", rows[_i].prefix, rows[_i].text);
    cnc_route_hooks_deinit(&hooks);
}
END_TEST

START_TEST(a_pattern_may_have_methods)
{
    struct cnc_route_hooks hooks = { 0 };
    ck_assert(!cnc_route_hooks_may_cover(&hooks, "GET /api"));
    ck_assert_int_eq(cnc_route_hooks_add(&hooks, "/other", before, NULL, NULL), CONCUR_OK);
    ck_assert(!cnc_route_hooks_may_cover(&hooks, "GET /api"));
    ck_assert_int_eq(cnc_route_hooks_add(&hooks, "/api", before, NULL, NULL), CONCUR_OK);
    ck_assert(cnc_route_hooks_may_cover(&hooks, "GET,PUT /api/x"));
    ck_assert(!cnc_route_hook_covers(&hooks.items[1], CNC_SLICE("*")));
    cnc_route_hooks_deinit(&hooks);
}
END_TEST

START_TEST(pages)
{
    static const int given[] = { CONCUR_PAGE_5XX, 404, CONCUR_PAGE_ALL, 503 };
    static const struct {
        int status, found;
    } looks[] = { { 404, 404 }, { 403, 0 }, { 500, 5 }, { 503, 503 }, { 400, 0 }, { 599, 5 } };
    struct cnc_pages all = { 0 };
    int one, two;
    ck_assert_ptr_null(cnc_pages_find(&all, 404));
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(cnc_pages_add(&all, given[i], after, &one), CONCUR_OK);
    ck_assert_int_eq(cnc_pages_add(&all, 404, after, &two), CONCUR_OK);
    ck_assert_uint_eq(all.count, 4);
    for (size_t i = 0; i < 6; i++) {
        const struct cnc_page *page = cnc_pages_find(&all, looks[i].status);
        ck_assert_int_eq(page->status, looks[i].found);
        ck_assert(page->arg == (looks[i].found == 404 ? (void *)&two : (void *)&one));
    }
    cnc_pages_deinit(&all);
}
END_TEST

START_TEST(what_the_set_up_refuses)
{
    static const char *const bad[] = { "", "api", "/a/{b}", "/a/*", "/a?b", "/a#b", "/a/..", "/./b", "/a/../b" };
    ck_assert_int_eq(concur_server_before(NULL, "/", 0, before, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_after(NULL, "/", 0, after, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_page(NULL, 404, after, NULL), CONCUR_E_INVAL);
    concur_server *s = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    ck_assert_int_eq(concur_server_before(s, "/a/...", 0, before, NULL), CONCUR_OK);
    ck_assert_int_eq(concur_server_after(s, "/.well-known/", CONCUR_ROUTES_MAIN_ONLY, after, NULL), CONCUR_OK);
    ck_assert_int_eq(concur_server_page(s, 599, after, NULL), CONCUR_OK);
    ck_assert_int_eq(concur_server_page(s, CONCUR_PAGE_4XX, after, NULL), CONCUR_OK);
    ck_assert_str_eq(concur_server_error(s), "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(concur_server_before(s, bad[i], 0, before, NULL) == CONCUR_E_INVAL, "%s", bad[i]);
    ck_assert_int_eq(concur_server_before(s, NULL, 0, before, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_before(s, "/", 0, NULL, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_after(s, "/", 0, NULL, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_after(s, "/", 2, after, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_page(s, 399, after, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_page(s, 3, after, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_page(s, 404, NULL, NULL), CONCUR_E_INVAL);
    ck_assert_int_eq(concur_server_check(s), CONCUR_E_INVAL); /* they stick */
    concur_server_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("server_route_hooks");
    TCase *tc = tcase_create("hooks");
    tcase_add_loop_test(tc, prefixes, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(tc, a_pattern_may_have_methods);
    tcase_add_test(tc, pages);
    tcase_add_test(tc, what_the_set_up_refuses);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
