/* SPDX-License-Identifier: MIT
 *
 * Replies: a handler does what the input says, on a loop whose clock stands still, and what the client gets is read by a
 * strict client of its own. Whatever the program hands over, the bytes are a valid reply, and the one that was accepted; a
 * reply that was cut short looks like it; and after it the connection takes another request, unless it was told to close.
 *
 * An input is: the request (1 byte), what is done before the reply (a count; each what it is, a name and a value), the status (2
 * bytes), the type, the way to reply, and what that takes.
 */
#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "request/request.h"
#include "strict_reply.h"

enum { FIELDS_MAX = 24, BODY_MAX = 1 << 17, WIRE_MAX = 1 << 19, INTERIMS_MAX = FIELDS_MAX * 1024 };

/* What the program said and the library accepted. */
struct said {
    struct fuzz_input in;
    bool is_head, is_stuck, is_begun, is_cut, is_page;
    int minor, status, returned;
    const char *names[FIELDS_MAX], *values[FIELDS_MAX]; /* owned */
    unsigned field_count;
    const char *type;       /* of the call; NULL: none */
    const char *field_type; /* within values; NULL: no such field */
    char *texts[4 + FIELDS_MAX * 2]; /* owned: all of them */
    unsigned text_count;
    char interims[INTERIMS_MAX]; /* the bytes that the client must get before the reply */
    size_t interims_len;
    char body[BODY_MAX];
    size_t body_len;
    unsigned given, freed;  /* bytes with a free function */
    unsigned pulls;
    int64_t announced;
    bool fails;
};

static struct {
    concur_server *server;
    struct cnc_home *home;
    struct cnc_driver drv;
    int64_t now;
    int fd;
    char wire[WIRE_MAX];
    size_t wire_len;
    bool is_end;
} world;

static struct said said;

/* ---- the program ---- */

static const char *keep_text(struct cnc_slice s)
{
    FUZZ_ENSURE(said.text_count < CNC_COUNT(said.texts));
    return said.texts[said.text_count++] = fuzz_text(s);
}

static bool is_reserved(const char *name)
{
    static const char *const reserved[] = { "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "TE",
                                            "Keep-Alive", "Upgrade",        "Proxy-Connection",  "Date" };
    for (size_t i = 0; i < CNC_COUNT(reserved); i++)
        if (strcasecmp(reserved[i], name) == 0)
            return true;
    return false;
}

static void note_field(const char *name, const char *value)
{
    if (strcasecmp(name, "Content-Type") == 0) {
        said.field_type = value;
        return;
    }
    said.names[said.field_count] = name;
    said.values[said.field_count++] = value;
}

static void note_removal(const char *name)
{
    unsigned kept = 0;
    if (strcasecmp(name, "Content-Type") == 0)
        said.field_type = NULL;
    for (unsigned i = 0; i < said.field_count; i++) {
        said.names[kept] = said.names[i];
        said.values[kept] = said.values[i];
        kept += strcasecmp(said.names[i], name) != 0;
    }
    said.field_count = kept;
}

/* After the first call that is wrong, all are refused. */
static bool is_taken(int rc, bool is_good)
{
    said.is_stuck = said.is_stuck || !is_good;
    FUZZ_ENSURE(rc == (said.is_stuck ? CONCUR_E_INVAL : CONCUR_OK));
    return rc == CONCUR_OK;
}

static void replace_field(concur_request *r, const char *name, const char *value, bool is_good)
{
    if (!is_taken(concur_reply_set_header(r, name, value), is_good))
        return;
    note_removal(name);
    note_field(name, value);
    const char *now = concur_reply_get_header(r, name);
    FUZZ_ENSURE(now && strcmp(now, value) == 0);
}

static void remove_field(concur_request *r, const char *name, bool is_good)
{
    if (!is_taken(concur_reply_remove_header(r, name), is_good))
        return;
    note_removal(name);
    FUZZ_ENSURE(!concur_reply_get_header(r, name));
}

/* A wrong one is refused and changes nothing. */
static void send_interim(concur_request *r, const char *name, const char *value, bool is_good)
{
    const char *const values[] = { value, value };
    unsigned how = fuzz_byte(&said.in), n = how % 3;
    int status = 100 + (int)(how / 3), rc = concur_reply_interim(r, status, name, values, n);
    is_good = (is_good || n == 0) && status >= 102 && !said.is_stuck;
    FUZZ_ENSURE(rc == (is_good ? CONCUR_OK : CONCUR_E_INVAL));
    if (!is_good || said.minor == 0)
        return;
    char *out = said.interims + said.interims_len;
    size_t len = (size_t)sprintf(out, "HTTP/1.1 %d %s\r\n", status, cnc_http_reason(status));
    for (unsigned i = 0; i < n; i++)
        len += (size_t)sprintf(out + len, "%s: %s\r\n", name, value);
    said.interims_len += len + (size_t)sprintf(out + len, "\r\n");
}

static void do_before_reply(concur_request *r)
{
    static const char *const usual[] = { "Content-Type", "Set-Cookie", "X-A", "Content-Length", "Allow", "Date" };
    enum { ADD, REPLACE, REMOVE, INTERIM };
    unsigned kind = fuzz_byte(&said.in), which = kind % 64, what = kind / 64;
    const char *name = which < CNC_COUNT(usual) ? usual[which] : keep_text(fuzz_take(&said.in, which % 32));
    const char *value = keep_text(fuzz_take(&said.in, fuzz_byte(&said.in)));
    bool is_name = strict_is_token(name, strlen(name)) && !is_reserved(name);
    bool is_good = is_name && strict_is_value(value, strlen(value));
    if (what == ADD && is_taken(concur_reply_header(r, name, value), is_good))
        note_field(name, value);
    else if (what == REPLACE)
        replace_field(r, name, value, is_good);
    else if (what == REMOVE)
        remove_field(r, name, is_name);
    else if (what == INTERIM)
        send_interim(r, name, value, is_good);
}

/* Bytes of the body, in its place; without a NUL. The first come from the input. */
static const char *make_piece(size_t *n)
{
    size_t want = fuzz_number(&said.in, 2) % 24000, room = BODY_MAX - 1 - said.body_len;
    char *p = said.body + said.body_len;
    struct cnc_slice first = fuzz_take(&said.in, want < 40 ? want : 40);
    *n = want < room ? want : room;
    for (size_t i = 0; i < *n; i++)
        p[i] = i < first.n && first.p[i] ? first.p[i] : (char)('a' + i % 23);
    p[*n] = '\0';
    return p;
}

static void on_free(void *arg)
{
    FUZZ_ENSURE(arg == &said);
    said.freed++;
}

static int on_pull(concur_request *r, void *out, size_t *n, void *arg)
{
    (void)r, (void)arg;
    size_t len = 0, room = *n;
    if (said.pulls == 0 && said.fails) {
        said.is_cut = true;
        return CONCUR_E_INVAL;
    }
    if (said.pulls > 0) {
        said.pulls--;
        const char *p = make_piece(&len);
        len = len < room ? len : room;
        memcpy(out, p, len);
    }
    bool is_last = len == 0;
    said.body_len += len;
    *n = len;
    if (said.announced >= 0 && (is_last ? said.body_len != (uint64_t)said.announced : said.body_len > (uint64_t)said.announced))
        said.is_cut = true; /* as the library will find */
    return CONCUR_OK;
}

/* What the library is to say to the call that begins the reply. */
static void expect_begun(int rc, bool is_good)
{
    bool has_status = said.status >= 200 && said.status <= 599;
    is_good = is_good && has_status && !said.is_stuck;
    FUZZ_ENSURE(is_good ? rc >= 0 : rc == CONCUR_E_INVAL);
    said.is_begun = is_good;
    said.returned = is_good ? CONCUR_OK : rc;
}

static void push(concur_request *r, bool is_good)
{
    expect_begun(concur_reply_begin(r, said.status, said.type), is_good);
    for (unsigned left = fuzz_byte(&said.in) % 6; said.is_begun && left > 0; left--) {
        size_t n;
        const char *p = make_piece(&n);
        int rc = concur_reply_write(r, p, n);
        FUZZ_ENSURE(rc >= 0 || said.is_head);
        said.body_len += n;
    }
    said.fails = said.is_begun && fuzz_byte(&said.in) % 8 == 7;
    if (said.is_begun && !said.fails) {
        int rc = concur_reply_end(r);
        FUZZ_ENSURE(rc == CONCUR_OK || (said.is_head && rc == CONCUR_E_GONE));
    }
    said.is_cut = said.fails && cnc_http_has_content(said.status) && !said.is_head; /* else it ended with its head */
}

static void pull(concur_request *r, bool is_good)
{
    said.pulls = fuzz_byte(&said.in) % 6;
    unsigned how = fuzz_byte(&said.in);
    said.announced = how % 4 == 0 ? -1 : (int64_t)(fuzz_number(&said.in, 2) % 24000);
    said.fails = how & 0x80;
    expect_begun(concur_reply_pull(r, said.status, said.type, said.announced, on_pull, NULL), is_good);
}

static void whole(concur_request *r, unsigned way, bool is_good)
{
    static const char usual[] = "text/plain; charset=utf-8";
    size_t n;
    const char *p = make_piece(&n), *type = said.type;
    if (way == 0) {
        said.type = usual;
        expect_begun(concur_reply_text(r, said.status, p), true);
    } else if (way == 1) {
        said.type = type ? type : usual;
        expect_begun(concur_reply_printf(r, said.status, type, "%s", p), is_good);
    } else {
        said.given = way == 2;
        expect_begun(concur_reply_bytes(r, said.status, type, p, n, said.given ? on_free : NULL, &said), is_good);
    }
    said.body_len += n;
}

static int handler(concur_request *r, void *arg)
{
    (void)arg;
    for (unsigned left = fuzz_byte(&said.in) % FIELDS_MAX; left > 0; left--)
        do_before_reply(r);
    said.status = (int)(fuzz_number(&said.in, 2) % 700);
    unsigned type = fuzz_byte(&said.in), way = fuzz_byte(&said.in) % 8;
    if (type % 4)
        said.type = keep_text(fuzz_take(&said.in, type % 64));
    bool is_good = strict_is_value(said.type ? said.type : "", said.type ? strlen(said.type) : 0);
    said.announced = -1;
    if (way < 4)
        whole(r, way, is_good);
    else if (way == 4)
        push(r, is_good);
    else if (way == 5)
        pull(r, is_good);
    else
        said.returned = way == 6 && said.status >= 200 && said.status <= 599 ? said.status : CONCUR_OK;
    said.is_page = !said.is_begun;
    if (said.is_begun)
        FUZZ_ENSURE(concur_reply_text(r, 200, "a second one") < 0 && concur_reply_header(r, "A", "b") < 0);
    return said.returned;
}

static int after(concur_request *r, void *arg)
{
    (void)arg;
    return concur_reply_text(r, 200, "after");
}

/* ---- the client ---- */

static int64_t now(void *arg)
{
    (void)arg;
    return world.now;
}

static int64_t wall(void *arg)
{
    (void)arg;
    return 784111777;
}

static void say_nothing(int level, const char *line, void *arg)
{
    (void)level, (void)arg;
    FUZZ_ENSURE(!strchr(line, '\n') && !strchr(line, '\r'));
}

static void open_world(void)
{
    static const struct cnc_clock clock = { now, wall, NULL };
    struct cnc_setup *setup;
    world.now = 1000;
    world.server = concur_server_new(CONCUR_ENGINE_EVENT, NULL);
    FUZZ_ENSURE(world.server && concur_server_set(world.server, NULL, "environment", "off") == CONCUR_OK);
    FUZZ_ENSURE(concur_server_log(world.server, say_nothing, NULL) == CONCUR_OK);
    FUZZ_ENSURE(concur_server_route(world.server, "/after", 0, after, NULL) == CONCUR_OK);
    FUZZ_ENSURE(concur_server_route(world.server, "/*all", 0, handler, NULL) == CONCUR_OK);
    struct cnc_options *options = cnc_options_copy(world.server->options, CNC_LAYERS_SAID);
    FUZZ_ENSURE(cnc_setup_create(&setup, options, &world.server->routes) == CONCUR_OK);
    cnc_server_adopt(world.server, setup);
    world.server->clock = &clock;
    FUZZ_ENSURE(cnc_desk_create(&world.home, &clock, setup->limits.http.fields_max, false) == CONCUR_OK);
    cnc_driver_init(&world.drv, world.home, &setup->limits, &cnc_request_conn_ops, world.server, &world.server->draining);
    FUZZ_ENSURE(cnc_driver_need_loop(&world.drv) == CONCUR_OK);
}

static void ask(const char *method, const char *path, int minor, const char *fields)
{
    char text[200];
    int n = snprintf(text, sizeof text, "%s %s HTTP/1.%d\r\nHost: t\r\n%s\r\n", method, path, minor, fields);
    world.wire_len = 0;
    FUZZ_ENSURE(send(world.fd, text, (size_t)n, MSG_NOSIGNAL) == n);
}

/* Until nothing more happens. */
static void receive(void)
{
    for (unsigned idle = 0; idle < 4 && !world.is_end; idle++) {
        FUZZ_ENSURE(cnc_home_turn(world.home, 0) >= 0);
        ssize_t n;
        while ((n = recv(world.fd, world.wire + world.wire_len, WIRE_MAX - world.wire_len, MSG_DONTWAIT)) > 0) {
            world.wire_len += (size_t)n;
            FUZZ_ENSURE(world.wire_len < WIRE_MAX);
            idle = 0;
        }
        world.is_end = n == 0 || errno == ECONNRESET;
    }
}

static enum strict_verdict parse(struct strict_reply *out, bool is_head, int minor)
{
    struct strict_input in = { world.wire, world.wire_len, is_head, minor, world.is_end };
    enum strict_verdict v = strict_reply_parse(out, &in);
    if (v == STRICT_BAD)
        fprintf(stderr, "%s: %.*s\n", out->why, (int)world.wire_len, world.wire);
    FUZZ_ENSURE(v != STRICT_BAD);
    FUZZ_ENSURE(v == STRICT_CUT || out->len == world.wire_len); /* and nothing behind it */
    return v;
}

/* Is this field one that the library adds of itself? */
static bool is_ours(const struct strict_field *f)
{
    static const char *const ours[] = { "Date", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection" };
    for (size_t i = 0; i < CNC_COUNT(ours); i++)
        if (strict_is_name(f, ours[i]))
            return true;
    return said.is_page && (strict_is_name(f, "Allow") || strict_is_name(f, "Retry-After"));
}

static void expect_fields(const struct strict_reply *reply)
{
    const char *type = said.field_type ? said.field_type : cnc_http_has_content(said.status) ? said.type : NULL;
    unsigned n = 0, dates = 0, types = 0;
    for (unsigned i = 0; i < reply->field_count; i++) {
        const struct strict_field *f = &reply->fields[i];
        dates += strict_is_name(f, "Date");
        if (strict_is_name(f, "Content-Type") && !said.is_page) {
            types++;
            FUZZ_ENSURE(type && strict_value_is(f, type));
        }
        if (is_ours(f))
            continue;
        FUZZ_ENSURE(!said.is_page && n < said.field_count);
        FUZZ_ENSURE(strict_value_is(f, said.values[n]) && f->name_len == strlen(said.names[n]));
        FUZZ_ENSURE(memcmp(f->name, said.names[n], f->name_len) == 0);
        n++;
    }
    FUZZ_ENSURE(dates == 1);
    FUZZ_ENSURE(said.is_page || (n == said.field_count && types == (type && *type ? 1 : 0)));
}

static void expect_page(const struct strict_reply *reply)
{
    int status = said.returned < 0 ? cnc_request_status_of(said.returned) : said.returned ? said.returned : 500;
    char page[100];
    size_t n = (size_t)snprintf(page, sizeof page, "%d %s\n", status, cnc_http_reason(status));
    FUZZ_ENSURE(reply->status == status);
    if (!said.is_head && cnc_http_has_content(status) && *cnc_http_reason(status))
        FUZZ_ENSURE(reply->body_len == n && memcmp(reply->body, page, n) == 0);
}

static void expect_said(const struct strict_reply *reply, enum strict_verdict v)
{
    FUZZ_ENSURE(reply->status == said.status);
    bool has_body = !said.is_head && cnc_http_has_content(said.status);
    FUZZ_ENSURE(reply->body_len <= (has_body ? said.body_len : 0) && memcmp(reply->body, said.body, reply->body_len) == 0);
    if (said.is_cut) /* its end is missing, unless nothing tells where that is, or more than was announced came behind it */
        FUZZ_ENSURE(v == STRICT_CUT || !has_body || (!reply->is_chunked && reply->length <= said.body_len));
    else
        FUZZ_ENSURE(v == STRICT_WHOLE && reply->body_len == (has_body ? said.body_len : 0));
}

/* The connection goes on, or has ended, as the reply says. */
static void expect_rest(const struct strict_reply *reply, enum strict_verdict v)
{
    struct strict_reply second;
    if (v != STRICT_WHOLE || reply->closes || said.is_cut) {
        FUZZ_ENSURE(world.is_end);
        return;
    }
    FUZZ_ENSURE(!world.is_end);
    ask("GET", "/after", 1, "");
    receive();
    FUZZ_ENSURE(parse(&second, false, 1) == STRICT_WHOLE && !second.closes && second.status == 200);
    FUZZ_ENSURE(second.body_len == 5 && memcmp(second.body, "after", 5) == 0);
    free(second.body);
}

/* They come first, whatever the reply is. */
static void expect_interims(void)
{
    FUZZ_ENSURE(world.wire_len >= said.interims_len && memcmp(world.wire, said.interims, said.interims_len) == 0);
    world.wire_len -= said.interims_len;
    memmove(world.wire, world.wire + said.interims_len, world.wire_len);
}

static void expect_reply(void)
{
    struct strict_reply reply;
    expect_interims();
    enum strict_verdict v = parse(&reply, said.is_head, said.minor);
    if (reply.head_len) {
        expect_fields(&reply);
        if (said.is_page)
            expect_page(&reply);
        else
            expect_said(&reply, v);
    } else {
        FUZZ_ENSURE(said.is_cut);
    }
    expect_rest(&reply, v);
    free(reply.body);
}

static void close_all(void)
{
    close(world.fd);
    for (int i = 0; i < 100 && (world.drv.count || cnc_desk_of(world.home)->live); i++) {
        world.now += 10000;
        (void)cnc_home_turn(world.home, 0);
    }
    FUZZ_ENSURE(world.drv.count == 0 && cnc_desk_of(world.home)->live == 0 && world.drv.illegal == 0);
    FUZZ_ENSURE(said.freed == said.given);
    while (said.text_count)
        free(said.texts[--said.text_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PATCH", "BREW" };
    static const char *const connections[] = { "", "Connection: close\r\n", "Connection: keep-alive\r\n", "" };
    int pair[2];
    if (!world.server)
        open_world();
    memset(&said, 0, offsetof(struct said, interims));
    said.interims_len = 0;
    said.body_len = said.given = said.freed = said.pulls = 0;
    said.fails = false;
    said.in = (struct fuzz_input){ data, size };
    unsigned how = fuzz_byte(&said.in);
    said.is_head = how % 8 == 1;
    said.minor = how & 0x20 ? 0 : 1;
    FUZZ_ENSURE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    world.fd = pair[0];
    world.is_end = false;
    struct cnc_conn *conn = cnc_conn_create(pair[1], &cnc_transport_plain, NULL);
    FUZZ_ENSURE(conn);
    cnc_driver_take(&world.drv, conn);
    ask(methods[how % 8], "/x", said.minor, connections[how >> 3 & 3]);
    receive();
    expect_reply();
    close_all();
    return 0;
}
