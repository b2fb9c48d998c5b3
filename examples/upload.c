/* SPDX-License-Identifier: MIT
 *
 * Uploads whose progress others watch, also from other processes: it is in shared memory, and a topic wakes the watchers.
 *     ./upload --folder /tmp --engine process-event & curl -N http://127.0.0.1:8080/progress &
 *     curl -T video.mp4 --limit-rate 1M http://127.0.0.1:8080/files/
 *   PUT /files/{name}   written as it comes; 201 when the file is whole; 400: a bad name; 413: over 1 GiB
 *   GET /progress       server-sent events: the latest uploads and each change, and how many clients watch
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "run.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
enum { KEPT = 32, NAME_SIZE = 64, EVENT_SIZE = 256 };

struct progress {
    uint64_t id, change;     /* number of the upload, and of its last change; 0: none */
    int64_t received, total; /* bytes; total is -1 if the client did not say */
    const char *state;       /* static text: it has the same address in every process */
    char name[NAME_SIZE];
};

/* An upload overwrites the row of the one KEPT before it, so nothing must be cleaned up when a worker dies. */
struct board {
    uint64_t last_id, change;
    struct progress uploads[KEPT];
};

struct upload {
    struct progress progress;
    char path[32]; /* of the file until it is complete */
    int fd;
};
struct watcher { int64_t watchers; uint64_t change; }; /* what was sent to it last */

static concur_shared *shared; /* all are set before any fork, then only read */
static concur_counter *watchers;
static concur_topic *news;

static void publish(struct progress *p)
{
    struct board *b = concur_shared_lock(shared, NULL);
    p->id = p->id ? p->id : ++b->last_id;
    p->change = ++b->change;
    if (b->uploads[p->id % KEPT].id <= p->id)
        b->uploads[p->id % KEPT] = *p;
    concur_shared_unlock(shared);
    concur_topic_publish(news);
}

/* Runs exactly once, whatever happens, so it cleans up. */
static int on_upload_end(concur_request *r, int rc, void *arg)
{
    struct upload *u = arg;
    bool is_whole = close(u->fd) == 0 && rc == CONCUR_OK && rename(u->path, u->progress.name) == 0;
    if (!is_whole)
        unlink(u->path);
    u->progress.state = is_whole ? "done" : "failed";
    publish(&u->progress);
    return is_whole ? concur_reply_text(r, 201, "stored\n") : rc < 0 ? rc : CONCUR_E_SYS;
}

static int on_upload_data(concur_request *r, const void *data, size_t n, void *arg)
{
    struct upload *u = arg;
    (void)r;
    if (write(u->fd, data, n) != (ssize_t)n)
        return CONCUR_E_SYS; /* for example a full disk */
    u->progress.received += (int64_t)n;
    publish(&u->progress);
    return CONCUR_OK;
}

static int put_file(concur_request *r, void *arg)
{
    const char *name = concur_request_get(r, CONCUR_IN_PARAM, "name");
    const char *length = concur_request_get(r, CONCUR_IN_HEADER, "Content-Length");
    struct upload *u = concur_request_alloc(r, sizeof *u);
    (void)arg;
    if (!u)
        return CONCUR_E_NOMEM;
    if (*name == '.' || strlen(name) >= NAME_SIZE || name[strspn(name, NAME_CHARS)])
        return concur_reply_text(r, 400, "a name has at most 63 of " NAME_CHARS " and does not begin with a dot\n");
    *u = (struct upload){ .progress = { .total = length ? strtoll(length, NULL, 10) : -1, .state = "receiving" } };
    memcpy(u->progress.name, name, strlen(name));
    snprintf(u->path, sizeof u->path, ".upload-%s", concur_request_id(r));
    if ((u->fd = open(u->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) < 0)
        return CONCUR_E_SYS;
    publish(&u->progress);
    int rc = concur_request_on_body(r, on_upload_data, on_upload_end, u);
    return rc < 0 ? on_upload_end(r, rc, u) : rc;
}

/* Writes what has changed, then waits for more. The topic's number is read first, so that no change is missed. */
static int on_news(concur_request *r, void *arg)
{
    struct watcher *w = arg;
    char text[(KEPT + 1) * EVENT_SIZE];
    const int64_t count = concur_topic_count(news), watching = concur_counter_get(watchers);
    struct board now = *(struct board *)concur_shared_lock(shared, NULL);
    concur_shared_unlock(shared);
    int n = watching == w->watchers ? 0 : snprintf(text, EVENT_SIZE, "event: watchers\ndata: %" PRId64 "\n\n", watching);
    for (const struct progress *p = now.uploads; p < now.uploads + KEPT; p++)
        if (p->change > w->change)
            n += snprintf(text + n, EVENT_SIZE, "data: {\"id\":%" PRIu64 ",\"name\":\"%s\",\"state\":\"%s\","
                          "\"received\":%" PRId64 ",\"total\":%" PRId64 "}\n\n",
                          p->id, p->name, p->state, p->received, p->total);
    *w = (struct watcher){ watching, now.change };
    int rc = concur_reply_write(r, text, (size_t)n);
    if (concur_request_stopping(r)) { /* called by concur_request_on_stop(): the wait for news must end too */
        concur_reply_write(r, "event: bye\ndata: the server stops\n\n", 35);
        concur_topic_publish(news);
        return concur_reply_end(r);
    }
    return rc == CONCUR_AGAIN ? concur_reply_on_drain(r, on_news, w)
           : rc < 0           ? rc : concur_request_on_publish(r, news, count, on_news, w);
}
static void leave(void *counter) { concur_counter_add(counter, -1), concur_topic_publish(news); }
static int get_progress(concur_request *r, void *arg)
{
    struct watcher *w = concur_request_alloc(r, sizeof *w);
    (void)arg;
    if (!w || concur_request_set_data(r, &watchers, watchers, leave) < 0) /* leave() runs when the request ends */
        return CONCUR_E_NOMEM;
    *w = (struct watcher){ 0, 0 };
    concur_counter_add(watchers, 1);
    concur_topic_publish(news);
    concur_reply_header(r, "Cache-Control", "no-store");
    concur_request_on_stop(r, on_news, w);
    concur_reply_begin(r, 200, "text/event-stream"); /* the next write returns an error of these calls */
    return on_news(r, w);
}

int main(int argc, char **argv)
{
    if (chdir(run_flag(argc, argv, "--folder", ".")) < 0)
        return perror("upload: --folder"), 1;
    concur_server *server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    shared = concur_server_shared(server, "uploads", sizeof(struct board));
    watchers = concur_server_counter(server, "watchers", NULL);
    news = concur_server_topic(server, "news");
    concur_server_route(server, "PUT /files/{name}", CONCUR_ROUTE_STREAM, put_file, NULL);
    concur_server_route(server, "GET /progress", 0, get_progress, NULL);
    concur_server_set(server, "route PUT /files/{name}", "body_max", "1g");
    concur_server_set(server, NULL, "half_close", "cancel"); /* a watcher that leaves is noticed at once */
    return run(server, argc, argv, "--folder");
}
