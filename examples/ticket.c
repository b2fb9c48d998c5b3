/* SPDX-License-Identifier: MIT
 *
 * Tickets: a thread of the program answers a request.
 *
 *     ./ticket & curl http://127.0.0.1:8080/
 *
 * While there is a ticket the request is not freed, even if the client leaves. With the ticket any thread may post functions,
 * which run at the request's home. It must be released at last.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <concur/concur.h>

static int answer(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "from another thread\n");
}

static void *other_thread(void *arg)
{
    concur_ticket *ticket = arg;
    for (int i = 0; i < 10 && !concur_ticket_cancelled(ticket); i++)
        usleep(20000); /* in place of a slow call */
    concur_ticket_post(ticket, answer, NULL);
    concur_ticket_release(ticket);
    return NULL;
}

static int handler(concur_request *r, void *arg)
{
    (void)arg;
    concur_ticket *ticket = concur_request_defer(r);
    if (!ticket)
        return CONCUR_E_NOMEM;
    pthread_t thread;
    if (pthread_create(&thread, NULL, other_thread, ticket) != 0) {
        concur_ticket_release(ticket);
        return 503;
    }
    pthread_detach(thread);
    return CONCUR_OK;
}

int main(void)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    concur_server_listen(server, "127.0.0.1:8080");
    concur_server_route(server, "GET /", 0, handler, NULL);
    int rc = concur_server_run(server);
    if (rc < 0)
        fprintf(stderr, "ticket: %s\n%s", concur_strerror(rc), concur_server_error(server));
    concur_server_free(server);
    return rc < 0;
}
