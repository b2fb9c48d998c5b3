/* SPDX-License-Identifier: MIT
 *
 * What an idle keep-alive connection costs, and whether a server that holds many of them still answers:
 *
 *     idle --port PORT --pid PID [--connections N] [--settle MS]
 *
 * Opens N connections, each with one request answered, waits MS, and reports how much the resident and the proportional
 * set of PID and its descendants have grown per connection (kernel memory is not in it). Then a new client must be
 * answered, and every tenth idle connection must wake and be answered. Exit status 1 if any is not. The server's
 * deadline for idle connections must be longer than the run, and its limit of connections higher than N.
 */
#include <poll.h>

#include "client.h"
#include "tree.h"

/* One source address has some 28,000 ports; more connections than this use the next one. */
enum { PER_SOURCE = 20000, EVERY = 10 };

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

struct memory {
    long rss;
    long pss;
};

static bool ask(int fd)
{
    static struct client_in in;
    bool closing = false;

    in.from = in.to = 0;
    return fd >= 0 && client_send(fd, request, sizeof(request) - 1) && client_reply(fd, &in, &closing) == 200 &&
           !closing;
}

static struct memory measure(int pid)
{
    static struct tree_process all[TREE_MAX];
    int n = tree_list(pid, all);

    if (n == 0) {
        client_fail("no such process");
    }
    return (struct memory){.rss = tree_memory(all, n, "Rss:"), .pss = tree_memory(all, n, "Pss:")};
}

static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

static double ask_new(int port)
{
    double from = client_now(), took;
    int fd = client_connect(port, 0);
    bool good = ask(fd);

    took = (client_now() - from) * 1e3;
    if (fd >= 0) {
        close(fd);
    }
    return good ? took : -1;
}

/* Returns how many were answered before the first that was not: whoever has no room for that one has none for more. */
static int open_all(int port, int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        fds[i] = client_connect(port, (unsigned long) (i / PER_SOURCE + 1));
        if (!ask(fds[i])) {
            return i;
        }
    }
    return n;
}

/* Returns how many of every tenth are answered; *worst is the longest wait in milliseconds. */
static int wake_some(const int *fds, int n, double *worst)
{
    int good = 0;

    for (int i = 0; i < n; i += EVERY) {
        double from = client_now(), took;

        good += ask(fds[i]);
        took = (client_now() - from) * 1e3;
        *worst = took > *worst ? took : *worst;
    }
    return good;
}

static int number(int argc, char **argv, const char *name, int otherwise)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) == 0) {
            return atoi(argv[i + 1]);
        }
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    int port = number(argc, argv, "--port", 0), pid = number(argc, argv, "--pid", 0);
    int n = number(argc, argv, "--connections", 10000), woken, opened, wanted;
    double worst = 0, fresh;
    struct memory before, after;
    int *fds;

    if (port <= 0 || pid <= 0 || n <= 0) {
        fprintf(stderr, "usage: idle --port PORT --pid PID [--connections N] [--settle MS]\n");
        return EXIT_FAILURE;
    }
    if (client_raise_files() < (unsigned long) n + 16) {
        fprintf(stderr, "idle: the hard limit of descriptors is too low for %d connections\n", n);
        return EXIT_FAILURE;
    }
    fds = calloc((size_t) n, sizeof(*fds));
    if (fds == NULL || ask_new(port) < 0) {
        client_fail("first request");
    }
    before = measure(pid);
    opened = open_all(port, fds, n);
    pause_ms(number(argc, argv, "--settle", 1000));
    after = measure(pid);
    fresh = ask_new(port);
    woken = wake_some(fds, opened, &worst);
    wanted = (n + EVERY - 1) / EVERY;
    printf("idle connections=%d answered=%d rss_bytes=%ld pss_bytes=%ld ", n, opened,
           (after.rss - before.rss) / (opened ? opened : 1), (after.pss - before.pss) / (opened ? opened : 1));
    printf("new_ms=%.2f woken=%d/%d worst_ms=%.2f\n", fresh, woken, wanted, worst);
    free(fds);
    return opened == n && woken == wanted && fresh >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
