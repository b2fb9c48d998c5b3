/* SPDX-License-Identifier: MIT
 *
 * Sends exactly N requests and checks every reply, so that what a server spends on them can be counted exactly:
 *
 *     requests --port PORT --file REQUEST --count N [--batch B] [--connections C]
 *
 * Each of C connections sends B copies of the file in one write, then all replies are read, and so on. A connection
 * that the server closes after a reply is opened again. Exit status 1 if a reply is missing or is not 200.
 */
#include "client.h"

struct plan {
    int port;
    int count;
    int batch;
    int connections;
    const char *file;
    char *bytes; /* a batch */
    size_t one;  /* the length of one request */
};

struct link {
    int fd;
    int due; /* replies */
    struct client_in in;
};

static void read_file(struct plan *p)
{
    FILE *f = fopen(p->file, "rb");
    size_t batch = (size_t) p->batch;

    if (f == NULL || (p->bytes = malloc(batch * CLIENT_IN)) == NULL) {
        client_fail(p->file);
    }
    p->one = fread(p->bytes, 1, CLIENT_IN, f);
    fclose(f);
    for (size_t i = 1; i < batch; i++) {
        memcpy(p->bytes + i * p->one, p->bytes, p->one);
    }
}

static void send_batch(const struct plan *p, struct link *l, int n)
{
    if (l->fd < 0) {
        l->in.from = l->in.to = 0;
        l->fd = client_connect(p->port, 0);
    }
    if (l->fd < 0 || !client_send(l->fd, p->bytes, p->one * (size_t) n)) {
        client_fail("send");
    }
    l->due = n;
}

/* Returns how many of the replies due came and are 200. */
static int read_batch(struct link *l)
{
    int good = 0;
    bool closing = false;

    for (; l->due > 0 && !closing; l->due--) {
        int status = client_reply(l->fd, &l->in, &closing);

        if (status != 200) {
            fprintf(stderr, "reply: status %d\n", status);
            closing = true;
            break;
        }
        good++;
    }
    if (closing) {
        close(l->fd);
        l->fd = -1;
    }
    l->due = 0;
    return good;
}

static int run(const struct plan *p, struct link *links)
{
    int left = p->count, good = 0;

    for (int i = 0; i < p->connections; i++) {
        links[i].fd = -1;
    }
    while (left > 0) {
        for (int i = 0; i < p->connections && left > 0; i++) {
            int n = left < p->batch ? left : p->batch;

            send_batch(p, &links[i], n);
            left -= n;
        }
        for (int i = 0; i < p->connections; i++) {
            good += read_batch(&links[i]);
        }
    }
    return good;
}

static void parse(struct plan *p, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0) {
            p->port = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--file") == 0) {
            p->file = argv[i + 1];
        } else if (strcmp(argv[i], "--count") == 0) {
            p->count = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--batch") == 0) {
            p->batch = atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--connections") == 0) {
            p->connections = atoi(argv[i + 1]);
        }
    }
}

int main(int argc, char **argv)
{
    struct plan p = {.batch = 1, .connections = 1};
    struct link *links;
    int good;

    parse(&p, argc, argv);
    if (p.port <= 0 || p.file == NULL || p.count <= 0 || p.batch <= 0 || p.connections <= 0) {
        fprintf(stderr, "usage: requests --port PORT --file REQUEST --count N [--batch B] [--connections C]\n");
        return EXIT_FAILURE;
    }
    read_file(&p);
    links = calloc((size_t) p.connections, sizeof(*links));
    if (links == NULL) {
        client_fail("memory");
    }
    good = run(&p, links);
    printf("requests=%d good=%d\n", p.count, good);
    free(links);
    free(p.bytes);
    return good == p.count ? EXIT_SUCCESS : EXIT_FAILURE;
}
