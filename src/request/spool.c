/* SPDX-License-Identifier: MIT */
#include "request/spool.h"

#include <stdio.h>

#include "base/error.h"
#include "base/sys.h"

/* A body on its way to its file. INV: while is_away, fd, buffer, len and error belong to the thread that writes, and the
 * request does not end. */
struct cnc_spool {
    struct cnc_op op;        /* in the request's ops while is_away */
    struct cnc_job job;      /* one write of the buffer */
    struct cnc_task back;    /* posted to home when the write is over */
    concur_request *r;
    struct cnc_home *home;   /* r's; referenced while is_away */
    const char *folder;      /* the set-up's */
    int fd;                  /* owned until the file is complete; -1: the first write opens it */
    char *buffer;            /* owned */
    size_t len, cap;         /* bytes */
    int error;               /* errno of the call that failed; 0: none has */
    bool is_away;            /* the job is queued or runs, or back is on its way */
    bool has_held;           /* the carrier holds a piece that was not taken */
};

/* ---- the file ---- */

/* Opens a file that vanishes when its descriptor is closed. O_TMPFILE gives it no name at all; if the file system does not have
 * that, the name is removed at once. */
static int open_file(const char *folder, uint64_t id)
{
    int fd = cnc_sys_open(folder, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    char path[1100];
    snprintf(path, sizeof path, "%s/concur-%016llx", folder, (unsigned long long)id);
    fd = cnc_sys_open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static int write_all(int fd, const char *p, size_t n)
{
    CNC_FAULT_ON_SPOOL();
    while (n) {
        ssize_t put = cnc_sys_write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int failed(concur_request *r, int error)
{
    cnc_request_failed(r, "cannot keep its body in %s: %s: 503", r->server->setup->spool_dir, strerror(error));
    return 503;
}

static int spool_no_memory(concur_request *r)
{
    cnc_request_failed(r, "has no memory for its body: 503");
    return 503;
}

/* ---- on a thread that may block, or a loop without a pool ---- */

static int begin_here(concur_request *r)
{
    r->body_fd = open_file(r->server->setup->spool_dir, r->id);
    if (r->body_fd < 0 || write_all(r->body_fd, r->body, r->body_len) < 0)
        return failed(r, errno);
    r->flags |= CNC_REQ_SPOOLED;
    cnc_free(r->body);
    r->body = NULL;
    r->body_cap = 0;
    return CONCUR_OK;
}

static int write_here(concur_request *r, const char *p, size_t n)
{
    int rc = r->flags & CNC_REQ_SPOOLED ? CONCUR_OK : begin_here(r);
    if (rc == CONCUR_OK && write_all(r->body_fd, p, n) < 0)
        rc = failed(r, errno);
    r->body_len += n;
    return rc;
}

/* ---- by the pool ---- */

/* On a thread for jobs of the library. The post cannot fail: the request waits for the write, so its home is open. */
static void run(struct cnc_job *job, struct cnc_home *here)
{
    struct cnc_spool *s = CNC_CONTAINER(job, struct cnc_spool, job);
    struct cnc_home *home = s->home;
    (void)here;
    if (s->fd < 0)
        s->fd = open_file(s->folder, s->r->id);
    if (s->fd < 0 || write_all(s->fd, s->buffer, s->len) < 0)
        s->error = errno;
    cnc_home_post(home, &s->back);
    cnc_home_unref(home);
}

/* At home, when no thread has the buffer any more. */
static void arrive(struct cnc_spool *s)
{
    s->is_away = false;
    s->len = 0;
    cnc_link_remove(&s->op.link);
}

/* The whole body is in its file: gives the file to the request. */
static void spool_settle(concur_request *r)
{
    r->body_fd = r->spool->fd;
    r->spool->fd = -1;
    cnc_spool_drop(r);
}

/* Asks the carrier for the piece that was not taken during the write. */
static void go_on(struct cnc_spool *s)
{
    concur_request *r = s->r;
    bool has_held = s->has_held;
    s->has_held = false;
    if (has_held && r->stream.carrier)
        r->stream.down->resume_body(&r->stream);
}

static void on_spool_back(struct cnc_task *task)
{
    struct cnc_spool *s = CNC_CONTAINER(task, struct cnc_spool, back);
    concur_request *r = s->r;
    bool goes_on = !r->gone && r->output < CNC_OUTPUT_END;
    arrive(s);
    if (goes_on && !s->error && (r->flags & CNC_REQ_BODY_DONE)) {
        spool_settle(r);
        cnc_request_release(r);
        cnc_request_run(r);
        return;
    }
    cnc_request_enter(r);
    cnc_request_release(r);
    if (goes_on && !s->error)
        go_on(s);
    cnc_request_leave(r, goes_on && s->error ? failed(r, s->error) : CONCUR_OK);
}

/* The request was given up: drops the write if no thread has begun it. Else on_spool_back() follows. */
static void cut(struct cnc_op *op)
{
    struct cnc_spool *s = CNC_CONTAINER(op, struct cnc_spool, op);
    concur_request *r = s->r;
    if (!cnc_pool_cancel_library(r->server->pool, &s->job))
        return;
    arrive(s);
    cnc_home_unref(s->home);
    cnc_request_release(r);
}

/* Has the buffer written. CONCUR_OK: it belongs to a thread until on_spool_back(); or a status. */
static int spool_send_away(struct cnc_spool *s)
{
    concur_request *r = s->r;
    s->is_away = true;
    cnc_link_append(&r->ops, &s->op.link);
    cnc_request_hold(r);
    cnc_home_ref(s->home);
    int rc = cnc_pool_submit_library(r->server->pool, &s->job);
    if (rc == CONCUR_OK)
        return CONCUR_OK;
    arrive(s);
    cnc_home_unref(s->home);
    r->refs--;
    cnc_request_failed(r, "cannot keep its body: no thread can write it: %s: 503",
                       rc == CONCUR_E_SYS ? cnc_error_text() : concur_strerror(rc));
    return 503;
}

/* The first buffer is the memory with what came so far, so that these bytes are not copied. */
static int begin(concur_request *r)
{
    struct cnc_spool *s = cnc_calloc(1, sizeof *s);
    if (!s)
        return spool_no_memory(r);
    *s = (struct cnc_spool){ .op.cut = cut, .job.run = run, .back.run = on_spool_back, .r = r, .home = r->home, .fd = -1,
                             .folder = r->server->setup->spool_dir,
                             .buffer = r->body, .len = r->body_len, .cap = r->body_cap };
    cnc_link_init(&s->op.link);
    cnc_link_init(&s->job.link);
    r->spool = s;
    r->body = NULL;
    r->body_cap = 0;
    r->flags |= CNC_REQ_SPOOLED;
    return CONCUR_OK;
}

/* Is there room for n more bytes in the buffer? An empty buffer whose size is not the right one for n is replaced; if there is
 * no memory for that, s->cap is 0. */
static bool spool_has_room(struct cnc_spool *s, size_t n)
{
    size_t cap = n > CNC_SPOOL_BUFFER ? n : CNC_SPOOL_BUFFER;
    if (s->len || s->cap == cap)
        return s->len + n <= s->cap;
    cnc_free(s->buffer);
    s->buffer = cnc_malloc(cap);
    s->cap = s->buffer ? cap : 0;
    return s->buffer != NULL;
}

static int spool_keep(struct cnc_spool *s)
{
    s->has_held = true;
    return CONCUR_AGAIN;
}

static int gather(concur_request *r, const char *p, size_t n)
{
    int rc = r->spool ? CONCUR_OK : begin(r);
    struct cnc_spool *s = r->spool;
    if (rc != CONCUR_OK)
        return rc;
    if (s->is_away)
        return spool_keep(s);
    if (!spool_has_room(s, n) && !s->len)
        return spool_no_memory(r);
    if (s->len + n > s->cap) {
        rc = spool_send_away(s);
        return rc == CONCUR_OK ? spool_keep(s) : rc;
    }
    memcpy(s->buffer + s->len, p, n);
    s->len += n;
    r->body_len += n;
    return s->len < CNC_SPOOL_BUFFER ? CONCUR_OK : spool_send_away(s);
}

/* ---- both ---- */

int cnc_spool_piece(concur_request *r, const char *p, size_t n)
{
    return r->server->pool && !r->home->blocking ? gather(r, p, n) : write_here(r, p, n);
}

int cnc_spool_end(concur_request *r)
{
    struct cnc_spool *s = r->spool;
    if (!s)
        return CONCUR_OK;
    int rc = s->len && !s->is_away ? spool_send_away(s) : CONCUR_OK;
    if (rc == CONCUR_OK && s->is_away)
        return CONCUR_AGAIN;
    if (rc == CONCUR_OK)
        spool_settle(r);
    return rc;
}

void cnc_spool_drop(concur_request *r)
{
    struct cnc_spool *s = r->spool;
    if (!s)
        return;
    CNC_ASSERT(!s->is_away);
    r->spool = NULL;
    cnc_sys_close(&s->fd);
    cnc_free(s->buffer);
    cnc_free(s);
}
