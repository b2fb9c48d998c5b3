/* SPDX-License-Identifier: MIT
 *
 * From method and path to a route, without a server.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "server/router.h"

static int handler(concur_request *r, void *arg)
{
    (void)r, (void)arg;
    return CONCUR_OK;
}

static struct cnc_slice slice(const char *s)
{
    return (struct cnc_slice){ s, strlen(s) };
}

static void add(struct cnc_router *r, const char *pattern)
{
    ck_assert_msg(cnc_router_add(r, pattern, 0, handler, NULL) == CONCUR_OK, "%s: %s", pattern, cnc_error_text());
}

/* "pattern name=value name=value", "-404" or "-405". */
static const char *found(const struct cnc_router *r, const char *method, const char *path, unsigned skip)
{
    static char out[1024];
    struct cnc_match m;
    int rc = cnc_router_find(r, cnc_http_method_parse(method, strlen(method)), slice(method), slice(path), skip, &m);
    if (rc != CNC_ROUTE_FOUND)
        return rc == CNC_ROUTE_BAD_METHOD ? "-405" : "-404";
    size_t n = (size_t)snprintf(out, sizeof out, "%s", m.route->pattern);
    ck_assert_uint_eq(m.param_count, m.route->param_count);
    for (unsigned i = 0; i < m.param_count; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, " %s=%.*s", m.route->params[i], (int)m.params[i].n,
                              m.params[i].p);
    return out;
}

#define ROUTES 8

struct finding {
    const char *routes[ROUTES]; /* in the order they are added */
    const char *method, *path;
    unsigned skip;
    const char *expected;
};

static const struct finding findings[] = {
    /* literals */
    { { "GET /" }, "GET", "/", 0, "GET /" },
    { { "GET /" }, "GET", "/a", 0, "-404" },
    { { "GET /a" }, "GET", "/", 0, "-404" },
    { { "GET /a/b" }, "GET", "/a/b", 0, "GET /a/b" },
    { { "GET /a/b" }, "GET", "/a", 0, "-404" },
    { { "GET /a" }, "GET", "/a/b", 0, "-404" },
    { { "GET /a" }, "GET", "/A", 0, "-404" },
    { { "GET /a" }, "GET", "/a/", 0, "-404" },
    { { "GET /a/" }, "GET", "/a", 0, "-404" },
    { { "GET /a/" }, "GET", "/a/", 0, "GET /a/" },
    { { "GET /a", "GET /a/" }, "GET", "/a/", 0, "GET /a/" },
    { { "GET /ab", "GET /a", "GET /abc" }, "GET", "/ab", 0, "GET /ab" },
    { { "GET /b", "GET /a", "GET /c" }, "GET", "/c", 0, "GET /c" },
    { { "GET /caf\xc3\xa9" }, "GET", "/caf\xc3\xa9", 0, "GET /caf\xc3\xa9" },
    { { NULL }, "GET", "/", 0, "-404" },
    /* segments without text */
    { { "GET //" }, "GET", "//", 0, "GET //" },
    { { "GET /" }, "GET", "//", 0, "-404" },
    { { "GET /a//b" }, "GET", "/a//b", 0, "GET /a//b" },
    { { "GET /a/b" }, "GET", "/a//b", 0, "-404" },
    { { "GET /{x}" }, "GET", "/", 0, "-404" },
    { { "GET /a/{x}/b" }, "GET", "/a//b", 0, "-404" },
    { { "GET /a/*r" }, "GET", "/a//b", 0, "GET /a/*r r=/b" },
    /* parameters */
    { { "GET /{x}" }, "GET", "/a", 0, "GET /{x} x=a" },
    { { "GET /{x}" }, "GET", "/a/b", 0, "-404" },
    { { "GET /{x}/{y}" }, "GET", "/a/b", 0, "GET /{x}/{y} x=a y=b" },
    { { "GET /u/{id}/f" }, "GET", "/u/17/f", 0, "GET /u/{id}/f id=17" },
    { { "GET /{x}" }, "GET", "/{x}", 0, "GET /{x} x={x}" },
    { { "GET /{a-b_C9}" }, "GET", "/v", 0, "GET /{a-b_C9} a-b_C9=v" },
    { { "GET /{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}/{10}/{11}/{12}/{13}/{14}/{15}/*16" }, "GET",
      "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", 0,
      "GET /{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}/{10}/{11}/{12}/{13}/{14}/{15}/*16 1=a 2=b 3=c 4=d 5=e 6=f 7=g 8=h 9=i "
      "10=j 11=k 12=l 13=m 14=n 15=o 16=p/q" },
    /* two routes name one place differently: each keeps its own names */
    { { "GET /{x}/a", "GET /{y}/b" }, "GET", "/1/b", 0, "GET /{y}/b y=1" },
    { { "GET /{x}/a", "POST /{y}/a" }, "POST", "/1/a", 0, "POST /{y}/a y=1" },
    /* rest */
    { { "GET /s/*path" }, "GET", "/s/", 0, "GET /s/*path path=" },
    { { "GET /s/*path" }, "GET", "/s", 0, "-404" },
    { { "GET /s/*path" }, "GET", "/s/a", 0, "GET /s/*path path=a" },
    { { "GET /s/*path" }, "GET", "/s/a/b/", 0, "GET /s/*path path=a/b/" },
    { { "GET /*all" }, "GET", "/", 0, "GET /*all all=" },
    { { "GET /{x}/*rest" }, "GET", "/a/b/c", 0, "GET /{x}/*rest x=a rest=b/c" },
    /* the most literal wins, whatever was added first */
    { { "GET /*r", "GET /{x}", "GET /a" }, "GET", "/a", 0, "GET /a" },
    { { "GET /*r", "GET /{x}", "GET /a" }, "GET", "/b", 0, "GET /{x} x=b" },
    { { "GET /*r", "GET /{x}", "GET /a" }, "GET", "/b/c", 0, "GET /*r r=b/c" },
    { { "GET /{x}/b", "GET /a/{y}" }, "GET", "/a/b", 0, "GET /a/{y} y=b" },
    { { "GET /{x}/b/c", "GET /a/*r" }, "GET", "/a/b/c", 0, "GET /a/*r r=b/c" },
    { { "GET /a/{x}", "GET /a/b" }, "GET", "/a/b", 0, "GET /a/b" },
    /* back from where it does not go on */
    { { "GET /a/b/c", "GET /a/{x}/d" }, "GET", "/a/b/d", 0, "GET /a/{x}/d x=b" },
    { { "GET /a/b/c", "GET /{x}/b/d" }, "GET", "/a/b/d", 0, "GET /{x}/b/d x=a" },
    { { "GET /a/b/c", "GET /{x}/{y}/d", "GET /*r" }, "GET", "/a/b/d", 0, "GET /{x}/{y}/d x=a y=b" },
    { { "GET /a/b/c", "GET /{x}/{y}/d", "GET /*r" }, "GET", "/a/b/e", 0, "GET /*r r=a/b/e" },
    { { "GET /a/{x}/c", "GET /a/*r" }, "GET", "/a/b/d", 0, "GET /a/*r r=b/d" },
    { { "GET /a/*r", "GET /{x}/b" }, "GET", "/a", 0, "-404" },
    /* likewise where only the method does not fit */
    { { "POST /a", "GET /{x}" }, "GET", "/a", 0, "GET /{x} x=a" },
    { { "POST /a", "GET /*r" }, "GET", "/a", 0, "GET /*r r=a" },
    { { "POST /a", "PUT /{x}" }, "GET", "/a", 0, "-405" },
    /* order among equals */
    { { "GET /a", "GET /a" }, "GET", "/a", 1, "GET /a" },
    { { "/a", "GET /a" }, "GET", "/a", 0, "/a" },
    { { "GET /a", "/a" }, "GET", "/a", 0, "GET /a" },
    { { "GET /a", "/a" }, "GET", "/a", 1, "/a" },
    { { "GET /{x}", "GET /{y}" }, "GET", "/a", 0, "GET /{x} x=a" },
    { { "GET /{x}", "GET /{y}" }, "GET", "/a", 1, "GET /{y} y=a" },
    /* those that declined are skipped, in order of precedence */
    { { "GET /*r", "GET /{x}", "GET /a" }, "GET", "/a", 1, "GET /{x} x=a" },
    { { "GET /*r", "GET /{x}", "GET /a" }, "GET", "/a", 2, "GET /*r r=a" },
    { { "GET /*r", "GET /{x}", "GET /a" }, "GET", "/a", 3, "-405" }, /* the path exists; the caller knows why */
    { { "GET /*r", "POST /{x}", "GET /a" }, "GET", "/a", 1, "GET /*r r=a" },
    { { "GET /a/b", "GET /{x}/b", "GET /a/{y}" }, "GET", "/a/b", 1, "GET /a/{y} y=b" },
    { { "GET /a/b", "GET /{x}/b", "GET /a/{y}" }, "GET", "/a/b", 2, "GET /{x}/b x=a" },
    /* methods */
    { { "GET /a" }, "POST", "/a", 0, "-405" },
    { { "GET /a" }, "get", "/a", 0, "-405" },
    { { "GET /a" }, "HEAD", "/a", 0, "GET /a" },
    { { "GET /a", "HEAD /a" }, "HEAD", "/a", 0, "GET /a" },
    { { "HEAD /a", "GET /a" }, "HEAD", "/a", 0, "HEAD /a" },
    { { "HEAD /a" }, "GET", "/a", 0, "-405" },
    { { "POST /a" }, "HEAD", "/a", 0, "-405" },
    { { "GET,POST /a" }, "POST", "/a", 0, "GET,POST /a" },
    { { "GET,POST /a" }, "HEAD", "/a", 0, "GET,POST /a" },
    { { "GET,POST /a" }, "PUT", "/a", 0, "-405" },
    { { "/a" }, "BREW", "/a", 0, "/a" },
    { { "BREW /a" }, "BREW", "/a", 0, "BREW /a" },
    { { "GETS /a" }, "GET", "/a", 0, "-405" },
    { { "GET /a" }, "OPTIONS", "/a", 0, "-405" },
    { { "OPTIONS /a" }, "OPTIONS", "/a", 0, "OPTIONS /a" },
    /* paths that are none */
    { { "GET /a", "/*r" }, "OPTIONS", "*", 0, "-404" },
    { { "GET /a" }, "GET", "", 0, "-404" },
};

START_TEST(finds)
{
    const struct finding *f = &findings[_i];
    struct cnc_router r;
    cnc_router_init(&r);
    for (int i = 0; i < ROUTES && f->routes[i]; i++)
        add(&r, f->routes[i]);
    ck_assert_str_eq(found(&r, f->method, f->path, f->skip), f->expected);
    cnc_router_deinit(&r);
}
END_TEST

/* ---- Allow ---- */

static const struct {
    const char *routes[ROUTES], *path, *expected;
} allows[] = {
    { { "GET /a" }, "/a", "GET, HEAD, OPTIONS" },
    { { "POST /a" }, "/a", "POST, OPTIONS" },
    { { "GET /a", "POST /a" }, "/a", "GET, HEAD, POST, OPTIONS" },
    { { "GET /a", "GET /a" }, "/a", "GET, HEAD, OPTIONS" },
    { { "HEAD,GET /a" }, "/a", "HEAD, GET, OPTIONS" },
    { { "GET /a", "PUT /{x}", "BREW /*r" }, "/a", "GET, HEAD, PUT, BREW, OPTIONS" },
    { { "GET /a", "PUT /{x}", "BREW /*r" }, "/b", "PUT, BREW, OPTIONS" },
    { { "GET /a", "PUT /{x}", "BREW /*r" }, "/b/c", "BREW, OPTIONS" },
    { { "GETS /a", "GET /a" }, "/a", "GETS, GET, HEAD, OPTIONS" }, /* one name within another */
    { { "/a" }, "/a", "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" },
    { { "OPTIONS /a" }, "/a", "OPTIONS" },
    { { "GET /a" }, "/b", "" },
    { { "GET /a" }, "", "GET, HEAD, OPTIONS" },
    { { "GET /a", "DELETE /b/{x}" }, "", "GET, HEAD, DELETE, OPTIONS" },
    { { NULL }, "", "" },
    { { NULL }, "/", "" },
};

START_TEST(allow)
{
    struct cnc_router r;
    char out[512];
    cnc_router_init(&r);
    for (int i = 0; i < ROUTES && allows[_i].routes[i]; i++)
        add(&r, allows[_i].routes[i]);
    size_t n = cnc_router_allow(&r, slice(allows[_i].path), out, sizeof out);
    ck_assert_str_eq(out, allows[_i].expected);
    ck_assert_uint_eq(n, strlen(out));
    cnc_router_deinit(&r);
}
END_TEST

START_TEST(allow_stays_within_its_room)
{
    struct cnc_router r;
    cnc_router_init(&r);
    add(&r, "GET,POST,PUT,DELETE /a");
    for (size_t room = 1; room < 48; room++) {
        char *out = malloc(room); /* exactly: a sanitizer sees one byte more */
        size_t n = cnc_router_allow(&r, slice("/a"), out, room);
        ck_assert_uint_lt(n, room);
        ck_assert_uint_eq(n, strlen(out));
        free(out);
    }
    cnc_router_deinit(&r);
}
END_TEST

START_TEST(knows_methods_by_name)
{
    struct cnc_router r;
    cnc_router_init(&r);
    ck_assert(!cnc_router_knows(&r, slice("GET")));
    add(&r, "GET,BREW /a");
    add(&r, "/b");
    ck_assert(cnc_router_knows(&r, slice("GET")));
    ck_assert(cnc_router_knows(&r, slice("BREW")));
    ck_assert(!cnc_router_knows(&r, slice("BRE")));
    ck_assert(!cnc_router_knows(&r, slice("POST")));
    cnc_router_deinit(&r);
}
END_TEST

/* ---- patterns that are refused ---- */

static const char *const refused[] = {
    "", " ", "GET", "GET ", "a", "GET a", " /a", "GET  /a", "GET /a b", "G\tT /a", "GET, /a", ",GET /a", "GET,,POST /a",
    "GET,GET /a", "G@T /a", "GET /a\x01", "GET /a\x7f", "GET /a?b", "GET /a#b", "GET /a}", "GET /{a", "GET /a{b}",
    "GET /{a}b", "GET /{}", "GET /{a b}", "GET /{a.b}", "GET /{a/b}", "GET /{{a}}", "GET /*", "GET /*a/b", "GET /*a/",
    "GET /a*", "GET /*a*", "GET /*a b", "GET /{a}/{a}", "GET /{a}/*a", "GET /a/{b}/c/{b}",
    "A,B,C,D,E,F,G,H,I,J,K /a",
    "GET /{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}/{10}/{11}/{12}/{13}/{14}/{15}/{16}/{17}",
};

START_TEST(refuses)
{
    struct cnc_router r;
    cnc_router_init(&r);
    add(&r, "GET /ok");
    int rc = cnc_router_add(&r, refused[_i], 0, handler, NULL);
    ck_assert_msg(rc == CONCUR_E_INVAL, "\"%s\": %d", refused[_i], rc);
    ck_assert_msg(strstr(cnc_error_text(), refused[_i]), "%s", cnc_error_text());
    ck_assert_uint_eq(r.count, 1);
    /* What was there is there, and what was refused is not. */
    ck_assert_str_eq(found(&r, "GET", "/ok", 0), "GET /ok");
    ck_assert_str_eq(found(&r, "GET", "/a", 0), "-404");
    ck_assert_str_eq(found(&r, "GET", "/a/b", 0), "-404");
    add(&r, "GET /{after}");
    ck_assert_str_eq(found(&r, "GET", "/a", 0), "GET /{after} after=a");
    cnc_router_deinit(&r);
}
END_TEST

/* A name that begins like another one is another one. */
START_TEST(names_may_begin_alike)
{
    struct cnc_router r;
    cnc_router_init(&r);
    add(&r, "GET /{a}/{ab}/*abc");
    ck_assert_str_eq(found(&r, "GET", "/1/2/3", 0), "GET /{a}/{ab}/*abc a=1 ab=2 abc=3");
    cnc_router_deinit(&r);
}
END_TEST

START_TEST(a_thousand_routes)
{
    struct cnc_router r;
    char pattern[64], path[64], expected[128];
    cnc_router_init(&r);
    for (unsigned i = 0; i < 1000; i++) { /* in an order that is not the sorted one */
        unsigned k = i * 387 % 1000;
        snprintf(pattern, sizeof pattern, "GET /r%u/%s", k, k % 3 == 0 ? "{x}" : k % 3 == 1 ? "*x" : "x");
        add(&r, pattern);
    }
    ck_assert_uint_eq(r.count, 1000);
    for (unsigned k = 0; k < 1000; k++) {
        const char *kind = k % 3 == 0 ? "{x} x=x" : k % 3 == 1 ? "*x x=x" : "x";
        snprintf(path, sizeof path, "/r%u/x", k);
        snprintf(expected, sizeof expected, "GET /r%u/%s", k, kind);
        ck_assert_str_eq(found(&r, "GET", path, 0), expected);
        ck_assert_str_eq(found(&r, "PUT", path, 0), "-405");
        snprintf(path, sizeof path, "/r%u/x/y", k);
        snprintf(expected, sizeof expected, "GET /r%u/*x x=x/y", k);
        ck_assert_str_eq(found(&r, "GET", path, 0), k % 3 == 1 ? expected : "-404");
    }
    ck_assert_str_eq(found(&r, "GET", "/r1000/x", 0), "-404");
    ck_assert_str_eq(found(&r, "GET", "/r/x", 0), "-404");
    cnc_router_deinit(&r);
}
END_TEST

/* Every way to run out of memory leaves the router usable, and nothing behind. */
#ifdef CNC_FAULTS
#include "base/fault.h"
START_TEST(survives_lack_of_memory)
{
    for (unsigned nth = 1; nth < 40; nth++) {
        struct cnc_router r;
        cnc_router_init(&r);
        add(&r, "GET /a/b");
        cnc_fault_arm(CNC_FAULT_ALLOC, nth, false);
        int rc = cnc_router_add(&r, "GET /a/c/{d}/e/*f", 0, handler, NULL);
        bool hit = cnc_fault_count(CNC_FAULT_ALLOC) >= nth;
        cnc_fault_arm(CNC_FAULT_ALLOC, 0, false);
        ck_assert_int_eq(rc, hit ? CONCUR_E_NOMEM : CONCUR_OK);
        ck_assert_str_eq(found(&r, "GET", "/a/b", 0), "GET /a/b");
        ck_assert_str_eq(found(&r, "GET", "/a/c/1/e/2", 0), hit ? "-404" : "GET /a/c/{d}/e/*f d=1 f=2");
        cnc_router_deinit(&r);
    }
}
END_TEST
#endif

int main(void)
{
    Suite *s = suite_create("core_router");
    TCase *t = tcase_create("router");
    tcase_add_loop_test(t, finds, 0, (int)CNC_COUNT(findings));
    tcase_add_loop_test(t, allow, 0, (int)CNC_COUNT(allows));
    tcase_add_loop_test(t, refuses, 0, (int)CNC_COUNT(refused));
    tcase_add_test(t, allow_stays_within_its_room);
    tcase_add_test(t, knows_methods_by_name);
    tcase_add_test(t, names_may_begin_alike);
    tcase_add_test(t, a_thousand_routes);
#ifdef CNC_FAULTS
    tcase_add_test(t, survives_lack_of_memory);
#endif
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
