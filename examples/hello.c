/* SPDX-License-Identifier: MIT */
#include <concur/concur.h>
static int hello(concur_request *r, void *arg) { (void)arg; return concur_reply_text(r, 200, "Hello, World!\n"); }
int main(void)
{
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL); /* CONCUR_ENGINE=thread changes it */
    concur_server_listen(server, "127.0.0.1:8080");
    concur_server_route(server, "GET /", 0, hello, NULL);
    int rc = concur_server_run(server);
    concur_server_free(server);
    return rc < 0;
}
