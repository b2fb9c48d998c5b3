/* SPDX-License-Identifier: MIT
 *
 * A reply made of every kind of piece, in any order: copied, borrowed, made in place; small, large, empty. The peer takes what
 * it likes of it. It gets every byte once and in order, borrowed memory is given back once, and chunks are used again.
 *
 * CONCUR_TEST_SEED: where the drawn runs begin.
 */
#include "conn_rig.h"

enum { BODY_MAX = 1 << 20 };

static struct rig rig;
static uint64_t seed;
static unsigned borrowed, given_back;
static bool fickle;

static unsigned below(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
}

static void seed_from(unsigned run)
{
    const char *text = getenv("CONCUR_TEST_SEED");
    seed = (text ? strtoull(text, NULL, 0) : UINT64_C(20261128)) * 1000 + run;
    for (int i = 0; i < 4; i++)
        below(2);
}

static ssize_t write_some(int fd, void *state, const struct iovec *iov, int count)
{
    struct iovec first = iov[0];
    switch (fickle ? below(3) : 2) {
    case 0:
        return -EAGAIN;
    case 1:
        first.iov_len = 1 + below((unsigned)first.iov_len);
        return cnc_transport_plain.write(fd, state, &first, 1);
    default:
        return cnc_transport_plain.write(fd, state, iov, count);
    }
}

/* A byte tells its place. */
static void fill(char *out, size_t n, size_t at)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (char)('!' + (at + i) % 89);
}

static void give_back(void *arg)
{
    given_back++;
    free(arg);
}

static size_t drawn_size(void)
{
    static const unsigned most[] = { 1, 100, 5000, 20000, 70000, 200000 };
    return 1 + below(most[below(CNC_COUNT(most))]);
}

static int put_copied(struct rig_request *q, size_t at, size_t n)
{
    char *bytes = malloc(n);
    fill(bytes, n, at);
    int rc = rig_data(q, bytes, n, false);
    memset(bytes, 0, n); /* nobody looks at it any more */
    free(bytes);
    return rc;
}

static int put_borrowed(struct rig_request *q, size_t at, size_t n)
{
    char *bytes = malloc(n);
    struct cnc_piece piece = { .p = bytes, .n = n, .free = give_back, .arg = bytes };
    fill(bytes, n, at);
    borrowed++;
    return q->stream.down->data(&q->stream, &piece, false);
}

/* *n: what there was room for. Sometimes the room is not used, and asked for anew. */
static int put_made(struct rig_request *q, size_t at, size_t *n)
{
    size_t room;
    char *bytes = q->stream.down->room(&q->stream, &room);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_ge(room, 65536);
    memset(bytes, 0, room);
    if (below(3) == 0) {
        bytes = q->stream.down->room(&q->stream, &room);
        ck_assert_ptr_nonnull(bytes);
    }
    if (*n > room)
        *n = room;
    fill(bytes, *n, at);
    struct cnc_piece piece = { .p = bytes, .n = *n };
    return q->stream.down->data(&q->stream, &piece, false);
}

static int put_any(struct rig_request *q, size_t at, size_t *n)
{
    switch (below(3)) {
    case 0:
        return put_copied(q, at, *n);
    case 1:
        return put_borrowed(q, at, *n);
    default:
        return put_made(q, at, n);
    }
}

/* The body behind the head, out of its chunks if it is in some. */
static size_t decode(const char *p, size_t len, bool chunked, char *out)
{
    size_t n = 0;
    if (!chunked) {
        memcpy(out, p, len);
        return len;
    }
    for (const char *end = p + len;;) {
        char *after;
        size_t size = strtoul(p, &after, 16);
        ck_assert(after > p && after[0] == '\r' && after[1] == '\n');
        p = after + 2;
        ck_assert_uint_le(size + 2, (size_t)(end - p));
        memcpy(out + n, p, size);
        n += size;
        ck_assert_mem_eq(p + size, "\r\n", 2);
        p += size + 2;
        if (size == 0) {
            ck_assert_ptr_eq(p, end);
            return n;
        }
    }
}

static void check_body(size_t total, bool chunked)
{
    static char body[BODY_MAX];
    const char *head_end = strstr(rig.got, "\r\n\r\n");
    ck_assert_ptr_nonnull(head_end);
    const size_t at = (size_t)(head_end + 4 - rig.got);
    ck_assert_uint_eq(decode(rig.got + at, rig.got_len - at, chunked, body), total);
    for (size_t i = 0; i < total; i++)
        if (body[i] != (char)('!' + i % 89))
            ck_abort_msg("byte %zu of %zu is wrong", i, total);
}

static bool has_end(size_t total, bool chunked)
{
    if (chunked)
        return rig.got_len >= 5 && memcmp(rig.got + rig.got_len - 5, "0\r\n\r\n", 5) == 0;
    const char *head_end = strstr(rig.got, "\r\n\r\n");
    return head_end && rig.got_len - (size_t)(head_end + 4 - rig.got) == total;
}

static struct rig_request *begin(bool chunked, size_t total)
{
    rig_init(&rig, false);
    rig.transport.write = write_some;
    rig_connect(&rig);
    rig_send(&rig, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    struct rig_request *q = rig_last(&rig);
    struct cnc_http_reply r = { .status = 200, .length = chunked ? -1 : (int64_t)total, .type = CNC_SLICE("a/b"),
                                .date = cnc_desk_date(rig.home), .method = q->method, .minor = 1, .keep_alive = true };
    struct cnc_piece none = { 0 };
    ck_assert_int_eq(q->stream.down->reply(&q->stream, &r, &none, false), CONCUR_OK);
    return q;
}

static void run_one(unsigned run)
{
    seed_from(run);
    const bool chunked = below(2);
    const size_t total = 1 + below(BODY_MAX / 2);
    size_t at = 0;
    fickle = below(2);
    borrowed = given_back = 0;
    struct rig_request *q = begin(chunked, total);
    for (int quiet = 0; quiet < 1000 && !has_end(total, chunked); quiet++) {
        for (unsigned pieces = below(8); pieces > 0 && at < total; pieces--) {
            size_t n = drawn_size();
            n = n < total - at ? n : total - at;
            int rc = put_any(q, at, &n);
            ck_assert_msg(rc == CONCUR_OK || rc == CONCUR_AGAIN, "run %u: %d", run, rc);
            at += n;
            if (at == total)
                (void)rig_data(q, "", 0, true);
            if (rc == CONCUR_AGAIN && below(4))
                break;
        }
        if (q->stream.carrier && below(4) == 0)
            q->stream.down->want_drain(&q->stream, below(2));
        cnc_home_turn(rig.home, 0);
        const size_t before = rig.got_len;
        rig_read(&rig);
        if (rig.got_len > before)
            quiet = 0;
    }
    ck_assert_msg(has_end(total, chunked), "run %u: %zu of %zu put, %zu bytes came", run, at, total, rig.got_len);
    check_body(total, chunked);
    ck_assert_uint_eq(borrowed, given_back);
    ck_assert_ptr_null(rig.conn->out);
    ck_assert_uint_le(cnc_desk_of(rig.home)->chunks.count, CNC_CHUNKS_KEPT);
    rig_deinit(&rig);
}

START_TEST(every_byte_once_and_in_order)
{
    for (unsigned run = 0; run < 300; run++)
        run_one(run);
}
END_TEST

/* Cut off in the middle: what was borrowed is given back all the same. */
START_TEST(a_queue_that_is_dropped)
{
    for (unsigned run = 0; run < 100; run++) {
        seed_from(1000 + run);
        fickle = true;
        borrowed = given_back = 0;
        struct rig_request *q = begin(true, 0);
        size_t at = 0;
        for (unsigned pieces = 1 + below(20); pieces > 0; pieces--) {
            size_t n = drawn_size();
            (void)put_any(q, at, &n);
            at += n;
        }
        if (below(2)) {
            close(rig.peer);
            rig.peer = -1;
            rig_turn(&rig);
        }
        rig_deinit(&rig);
        ck_assert_uint_eq(borrowed, given_back);
    }
}
END_TEST

/* One who takes nothing costs no more than a piece or two, however much there is to make. */
START_TEST(nothing_is_made_ahead)
{
    size_t made = 0;
    fickle = false;
    struct rig_request *q = begin(true, 0);
    for (int i = 0; i < 100; i++) {
        if (!q->stream.down->is_full(&q->stream)) {
            size_t n = 65536;
            int rc = put_made(q, made, &n);
            ck_assert(rc == CONCUR_OK || rc == CONCUR_AGAIN);
            made += n;
        } else {
            q->stream.down->want_drain(&q->stream, true);
        }
        cnc_home_turn(rig.home, 0);
    }
    ck_assert_uint_gt(made, 65536);
    ck_assert_uint_le(cnc_conn_queued(rig.conn), 2 * 65536);
    rig_deinit(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_queue");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, every_byte_once_and_in_order);
    tcase_add_test(tests, a_queue_that_is_dropped);
    tcase_add_test(tests, nothing_is_made_ahead);
    suite_add_tcase(suite, tests);
    return rig_run(suite);
}
