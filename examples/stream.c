/* SPDX-License-Identifier: MIT
 *
 * Streaming: a reply of unknown length, pushed piece by piece, as fast as the client takes it.
 *
 *     ./stream & curl -N http://127.0.0.1:8080/count
 *
 * On a loop, concur_reply_write() returns CONCUR_AGAIN if the client is too slow, and on_drain is called when to go on. On a
 * thread it waits instead. The code is the same, and memory is bounded in both cases.
 */
#include <stdio.h>

#include <concur/concur.h>

enum { LINES = 1000000 };

struct count {
    int next;
};

static int go_on(concur_request *r, void *arg)
{
    struct count *count = arg;
    while (count->next < LINES) {
        char line[32];
        int n = snprintf(line, sizeof line, "%d\n", ++count->next);
        int rc = concur_reply_write(r, line, (size_t)n);
        if (rc == CONCUR_AGAIN)
            return concur_reply_on_drain(r, go_on, count);
        if (rc < 0)
            return rc; /* aborts the reply, which the client can see */
    }
    return concur_reply_end(r);
}

static int handler(concur_request *r, void *arg)
{
    (void)arg;
    struct count *count = concur_request_alloc(r, sizeof *count);
    if (!count)
        return CONCUR_E_NOMEM;
    count->next = 0;
    int rc = concur_reply_begin(r, 200, "text/plain");
    return rc < 0 ? rc : go_on(r, count);
}

int main(void)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    concur_server_route(server, "GET /count", 0, handler, NULL);
    int rc = concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "stream: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
