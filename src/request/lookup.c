/* SPDX-License-Identifier: MIT
 *
 * Values that the client sent, by name. The head was copied as it came. When the program asks for a text of it, a NUL replaces
 * the delimiter behind that text.
 */
#include "base/sys.h"
#include "request/request.h"

struct cnc_pair {
    const char *name, *value;
};

/* Decoded pairs of a query, a form or cookies. */
struct cnc_pairs {
    size_t count;
    struct cnc_pair list[];
};

const char *concur_request_method(concur_request *r)
{
    return CNC_REQUEST_IS_MINE(r) ? cnc_request_text(r, r->method_text) : NULL;
}

const char *concur_request_path(concur_request *r)
{
    return CNC_REQUEST_IS_MINE(r) ? r->path.p : NULL;
}

const char *concur_request_peer(concur_request *r)
{
    char text[CNC_ADDRESS_TEXT_MAX];
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    if (!r->peer) {
        size_t n = r->stream.carrier ? r->stream.down->peer(&r->stream, text, sizeof text) : 0;
        r->peer = cnc_arena_copy(&r->arena, text, n);
    }
    return r->peer ? r->peer : "";
}

const char *concur_request_id(concur_request *r)
{
    static const char hex[] = "0123456789abcdef";
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    if (!r->id_text) {
        char text[16];
        for (int i = 0; i < 16; i++)
            text[i] = hex[(r->id >> (60 - 4 * i)) & 15];
        r->id_text = cnc_arena_copy(&r->arena, text, sizeof text);
    }
    return r->id_text ? r->id_text : "";
}

concur_server *concur_request_server(concur_request *r)
{
    return r->server;
}

void *concur_request_alloc(concur_request *r, size_t n)
{
    return CNC_REQUEST_IS_MINE(r) ? cnc_arena_alloc(&r->arena, n) : NULL;
}

/* ---- fields ---- */

static const char *field_at(concur_request *r, size_t i, const char **name)
{
    if (i >= r->field_count)
        return NULL;
    const struct cnc_http_field *f = &r->fields[i];
    if (name)
        *name = cnc_request_text(r, (struct cnc_http_span){ f->name, f->name_len });
    return cnc_request_text(r, (struct cnc_http_span){ f->value, f->value_len });
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cnc_lower(a[i]) != cnc_lower(b[i]))
            return false;
    return true;
}

/* The index of the nth field of that name, counted from 0; field_count: there is none. */
static size_t field_find(const concur_request *r, const char *name, size_t nth)
{
    size_t n = strlen(name), i;
    for (i = 0; i < r->field_count; i++)
        if (r->fields[i].name_len == n && same_name(r->head + r->fields[i].name, name, n) && nth-- == 0)
            break;
    return i;
}

static const char *field_get(concur_request *r, const char *name)
{
    return field_at(r, field_find(r, name, 0), NULL);
}

/* ---- parameters ---- */

/* A parameter is a slice of the path until the program asks for it. Then it is copied once, with a NUL, and the copy never
 * moves. It goes to r->texts, or to the arena if the parameters of routes that declined have used that room up. */
static const char *param_text(concur_request *r, struct cnc_slice *param)
{
    bool is_slice = param->p >= r->path.p && param->p <= r->path.p + r->path.n;
    char *text = r->texts;
    if (!is_slice)
        return param->p;
    if (param->n >= r->texts_left) {
        text = cnc_arena_copy(&r->arena, param->p, param->n);
    } else {
        memcpy(text, param->p, param->n);
        text[param->n] = '\0';
        r->texts += param->n + 1;
        r->texts_left -= param->n + 1;
    }
    param->p = text ? text : param->p;
    return text;
}

static const char *param_at(concur_request *r, size_t i, const char **name)
{
    if (!r->match.route || i >= r->match.param_count)
        return NULL;
    if (name)
        *name = r->match.route->params[i];
    return param_text(r, &r->match.params[i]);
}

static const char *param_get(concur_request *r, const char *name)
{
    for (size_t i = 0; r->match.route && i < r->match.param_count; i++)
        if (strcmp(r->match.route->params[i], name) == 0)
            return param_at(r, i, NULL);
    return NULL;
}

/* ---- pairs ---- */

static size_t count_char(const char *p, size_t n, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += p[i] == c;
    return count;
}

/* CONCUR_OK, CONCUR_E_NOMEM, or CONCUR_E_INVAL: a bad escape or a NUL. */
static int decode(concur_request *r, const char **out, const char *p, size_t n)
{
    char *text = cnc_arena_text(&r->arena, n + 1);
    *out = text;
    if (!text)
        return CONCUR_E_NOMEM;
    return cnc_http_form_decode(text, p, n) < 0 ? CONCUR_E_INVAL : CONCUR_OK;
}

static int decode_pair(concur_request *r, struct cnc_pair *pair, const char *p, const char *stop)
{
    const char *eq = memchr(p, '=', (size_t)(stop - p));
    const char *name_end = eq ? eq : stop, *value = eq ? eq + 1 : stop;
    int rc = decode(r, &pair->name, p, (size_t)(name_end - p));
    return rc == CONCUR_OK ? decode(r, &pair->value, value, (size_t)(stop - value)) : rc;
}

/* Parses application/x-www-form-urlencoded. A pair that cannot be decoded is left out. NULL: there is not enough memory for all
 * pairs. */
static struct cnc_pairs *parse_form(concur_request *r, const char *p, size_t n)
{
    size_t max = count_char(p, n, '&') + 1;
    struct cnc_pairs *pairs = cnc_arena_alloc(&r->arena, sizeof *pairs + max * sizeof pairs->list[0]);
    const char *end = p + n;
    if (!pairs)
        return NULL;
    pairs->count = 0;
    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        const char *stop = amp ? amp : end;
        int rc = stop > p ? decode_pair(r, &pairs->list[pairs->count], p, stop) : CONCUR_E_INVAL;
        if (rc == CONCUR_E_NOMEM)
            return NULL;
        pairs->count += rc == CONCUR_OK;
        p = stop + 1;
    }
    return pairs;
}

static bool is_form(concur_request *r)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const char *got = field_get(r, "content-type");
    size_t n = sizeof type - 1;
    return got && strlen(got) >= n && same_name(got, type, n) && (got[n] == '\0' || got[n] == ';' || got[n] == ' ');
}

/* The pairs of all Cookie fields, not decoded (RFC 6265 §4.2.1). NULL: there is not enough memory for all of them. */
static struct cnc_pairs *parse_cookies(concur_request *r)
{
    size_t max = 0, n = 0;
    for (size_t i = 0; i < r->field_count; i++)
        if (r->fields[i].id == CNC_HTTP_NAME_COOKIE)
            max += 1 + count_char(r->head + r->fields[i].value, r->fields[i].value_len, ';');
    struct cnc_pairs *pairs = cnc_arena_alloc(&r->arena, sizeof *pairs + max * sizeof pairs->list[0]);
    if (!pairs)
        return NULL;
    for (size_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].id != CNC_HTTP_NAME_COOKIE)
            continue;
        const char *p = r->head + r->fields[i].value, *end = p + r->fields[i].value_len;
        while (p < end) {
            const char *semi = memchr(p, ';', (size_t)(end - p));
            const char *stop = semi ? semi : end;
            while (p < stop && *p == ' ')
                p++;
            const char *eq = memchr(p, '=', (size_t)(stop - p));
            if (eq && eq > p) {
                struct cnc_pair pair = { cnc_arena_copy(&r->arena, p, (size_t)(eq - p)),
                                         cnc_arena_copy(&r->arena, eq + 1, (size_t)(stop - eq - 1)) };
                if (!pair.name || !pair.value)
                    return NULL;
                pairs->list[n++] = pair;
            }
            p = stop + 1;
        }
    }
    pairs->count = n;
    return pairs;
}

/* Takes the place of pairs for which there was no memory, so that they are not parsed again. */
static const struct cnc_pairs lookup_lost = { 0 };

/* Gives no pairs at all rather than some: the program might take some for all. */
static const struct cnc_pairs *no_memory_for(concur_request *r, const char *what)
{
    cnc_request_failed(r, "needs more memory for its %s than there is, or than request_memory allows: no value is found", what);
    return &lookup_lost;
}

static const struct cnc_pairs *lookup_parse(concur_request *r, int where)
{
    static const char *const names[] = { [CONCUR_IN_QUERY] = "query", [CONCUR_IN_FORM] = "form",
                                         [CONCUR_IN_COOKIE] = "cookies" };
    const struct cnc_pairs *pairs;
    if (where == CONCUR_IN_QUERY)
        pairs = parse_form(r, r->head + r->query.at, r->query.len);
    else if (where == CONCUR_IN_COOKIE)
        pairs = parse_cookies(r);
    else if (r->body && r->body_len && !r->on_data && is_form(r))
        pairs = parse_form(r, r->body, r->body_len);
    else
        return NULL;
    return pairs ? pairs : no_memory_for(r, names[where]);
}

static const struct cnc_pairs *pairs_of(concur_request *r, int where)
{
    const struct cnc_pairs **slot = &r->pairs[where == CONCUR_IN_QUERY ? 0 : where == CONCUR_IN_FORM ? 1 : 2];
    if (!*slot)
        *slot = lookup_parse(r, where);
    return *slot;
}

/* The value of the nth pair of that name; NULL: there is none. */
static const char *pairs_find(const struct cnc_pairs *pairs, const char *name, size_t nth)
{
    for (size_t i = 0; pairs && i < pairs->count; i++)
        if (strcmp(pairs->list[i].name, name) == 0 && nth-- == 0)
            return pairs->list[i].value;
    return NULL;
}

const char *concur_request_get(concur_request *r, int where, const char *name)
{
    return concur_request_nth(r, where, name, 0);
}

const char *concur_request_nth(concur_request *r, int where, const char *name, size_t i)
{
    if (!CNC_REQUEST_IS_MINE(r) || !name)
        return NULL;
    if (where == CONCUR_IN_HEADER)
        return field_at(r, field_find(r, name, i), NULL);
    if (where == CONCUR_IN_PARAM)
        return i == 0 ? param_get(r, name) : NULL;
    if (where < CONCUR_IN_PARAM || where > CONCUR_IN_COOKIE)
        return NULL;
    return pairs_find(pairs_of(r, where), name, i);
}

static int count_fields(const concur_request *r, const char *name)
{
    int n = 0;
    if (!name)
        return r->field_count;
    while (field_find(r, name, (size_t)n) < r->field_count)
        n++;
    return n;
}

static int count_params(const concur_request *r, const char *name)
{
    int n = 0;
    for (size_t i = 0; r->match.route && i < r->match.param_count; i++)
        n += !name || strcmp(r->match.route->params[i], name) == 0;
    return n;
}

static int count_pairs(concur_request *r, int where, const char *name)
{
    const struct cnc_pairs *pairs = pairs_of(r, where);
    int n = 0;
    if (pairs == &lookup_lost)
        return CONCUR_E_NOMEM;
    if (!pairs && (r->flags & CNC_REQ_SPOOLED) && is_form(r))
        return CONCUR_E_LIMIT;
    for (size_t i = 0; pairs && i < pairs->count; i++)
        n += !name || strcmp(pairs->list[i].name, name) == 0;
    return n;
}

int concur_request_count(concur_request *r, int where, const char *name)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return CONCUR_E_HOME;
    if (where < CONCUR_IN_PARAM || where > CONCUR_IN_COOKIE)
        return CONCUR_E_INVAL;
    if (where == CONCUR_IN_HEADER)
        return count_fields(r, name);
    return where == CONCUR_IN_PARAM ? count_params(r, name) : count_pairs(r, where, name);
}

const char *concur_request_at(concur_request *r, int where, size_t i, const char **name)
{
    if (!CNC_REQUEST_IS_MINE(r))
        return NULL;
    if (where == CONCUR_IN_HEADER)
        return field_at(r, i, name);
    if (where == CONCUR_IN_PARAM)
        return param_at(r, i, name);
    if (where < CONCUR_IN_PARAM || where > CONCUR_IN_COOKIE)
        return NULL;
    const struct cnc_pairs *pairs = pairs_of(r, where);
    if (!pairs || i >= pairs->count)
        return NULL;
    if (name)
        *name = pairs->list[i].name;
    return pairs->list[i].value;
}
