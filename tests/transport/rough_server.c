/* SPDX-License-Identifier: MIT
 *
 * What makes the demo a server with the transport of rough.h: its main file is compiled with this function in the place of
 * concur_server_new(). GET /test/transport tells what the transport did, in all processes.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include <concur/concur.h>

#include "server/server.h"
#include "transport/rough.h"

concur_server *rough_server_new(int engine, const char *config);

static struct rough_maker maker;
static struct cnc_transport_factory factory = { .ops = &rough_transport, .make = rough_make, .arg = &maker };

static int on_counts(concur_request *r, void *arg)
{
    char text[1024];
    rough_print(arg, text, sizeof text);
    return concur_reply_text(r, 200, text);
}

concur_server *rough_server_new(int engine, const char *config)
{
    const char *seed = getenv("CONCUR_TEST_SEED");
    concur_server *server = concur_server_new(engine, config);
    void *shared = mmap(NULL, sizeof *maker.counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!server || shared == MAP_FAILED)
        abort();
    maker.counts = shared;
    maker.seed = seed ? strtoull(seed, NULL, 10) : 1;
    server->factory = &factory;
    concur_server_route(server, "GET /test/transport", 0, on_counts, shared);
    return server;
}
