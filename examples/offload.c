/* SPDX-License-Identifier: MIT
 *
 * Offload: a long computation runs on a thread of the pool, and its result comes back to the request's home.
 *
 *     ./offload & curl http://127.0.0.1:8080/sum/100000000
 *
 * The handler returns at once. work() gets only its argument. done() runs at the request's home and may use the request. With
 * pool_threads = 0 work() runs in place: the answer is the same, but a loop serves no other request meanwhile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <concur/concur.h>

struct sum {
    uint64_t n, result;
};

static int work(void *arg)
{
    struct sum *sum = arg;
    for (uint64_t i = 1; i <= sum->n; i++)
        sum->result += i * i;
    return CONCUR_OK;
}

static int done(concur_request *r, int rc, void *arg)
{
    const struct sum *sum = arg;
    if (rc < 0)
        return rc; /* the work was dropped before it began: the reply has the status of this error */
    return concur_reply_printf(r, 200, NULL, "%" PRIu64 "\n", sum->result);
}

static int handler(concur_request *r, void *arg)
{
    (void)arg;
    struct sum *sum = concur_request_alloc(r, sizeof *sum); /* lives as long as the request */
    if (!sum)
        return CONCUR_E_NOMEM;
    char *end;
    const char *text = concur_request_get(r, CONCUR_IN_PARAM, "n");
    sum->n = strtoull(text, &end, 10);
    sum->result = 0;
    if (*end || sum->n > UINT64_C(10000000000))
        return concur_reply_text(r, 400, "n: a number of at most 10 billion\n");
    return concur_request_offload(r, work, done, sum);
}

int main(void)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    concur_server_set(server, NULL, "pool_threads", "2");
    concur_server_route(server, "GET /sum/{n}", 0, handler, NULL);
    int rc = concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "offload: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
