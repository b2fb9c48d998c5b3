/* SPDX-License-Identifier: MIT
 *
 * Replaces, removes and finds fields of the reply, and makes cookies and redirects.
 */
#include "request/reply_internal.h"

static bool is_field(const struct cnc_http_pair *field, struct cnc_slice name)
{
    if (field->name.n != name.n)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (cnc_lower(field->name.p[i]) != cnc_lower(name.p[i]))
            return false;
    return true;
}

static void drop_fields(concur_request *r, struct cnc_slice name)
{
    struct cnc_http_pairs *fields = &r->reply_fields;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->n; i++) {
        if (is_field(&fields->p[i], name))
            fields->size -= (uint32_t)cnc_http_pair_size(&fields->p[i]);
        else
            fields->p[kept++] = fields->p[i];
    }
    fields->n = kept;
}

static bool is_type(struct cnc_slice name)
{
    return cnc_equal_lower(name.p, name.n, "content-type", 12);
}

int concur_reply_set_header(concur_request *r, const char *name, const char *value)
{
    struct cnc_slice n = cnc_reply_slice(name);
    int rc = cnc_reply_check_field(r, name, value);
    if (rc < 0)
        return rc;
    if (!is_type(n)) /* Content-Type is kept apart, and adding one replaces it */
        drop_fields(r, n);
    return concur_reply_header(r, name, value);
}

int concur_reply_remove_header(concur_request *r, const char *name)
{
    struct cnc_slice n = cnc_reply_slice(name);
    int rc = cnc_reply_check_field(r, name, "");
    if (rc < 0)
        return rc;
    if (is_type(n))
        r->type.p = NULL;
    else
        drop_fields(r, n);
    return CONCUR_OK;
}

const char *concur_reply_get_header(concur_request *r, const char *name)
{
    struct cnc_slice name_of = cnc_reply_slice(name);
    if (!CNC_REQUEST_IS_MINE(r) || !name)
        return NULL;
    if (is_type(name_of))
        return r->type.p;
    for (uint32_t i = 0; i < r->reply_fields.n; i++)
        if (is_field(&r->reply_fields.p[i], name_of))
            return r->reply_fields.p[i].value.p;
    return NULL;
}

/* ---- cookies ---- */

#define COOKIE_FLAGS                                                                                                   \
    (CONCUR_COOKIE_SECURE | CONCUR_COOKIE_HTTP_ONLY | CONCUR_COOKIE_LAX | CONCUR_COOKIE_STRICT | CONCUR_COOKIE_CROSS_SITE)

/* RFC 6265 §4.1.1: cookie-octet. */
static bool is_cookie_octet(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

/* Cookie octets, which may be enclosed in a pair of double quotes. */
static bool is_cookie_value(struct cnc_slice v)
{
    if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
        v = (struct cnc_slice){ v.p + 1, v.n - 2 };
    for (size_t i = 0; i < v.n; i++)
        if (!is_cookie_octet((unsigned char)v.p[i]))
            return false;
    return true;
}

/* RFC 6265 §4.1.1: path-value; a client ignores one that does not begin with a slash (§5.2.4). */
static bool is_cookie_path(struct cnc_slice path)
{
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] < 0x20 || (unsigned char)path.p[i] >= 0x7f || path.p[i] == ';')
            return false;
    return path.n > 0 && path.p[0] == '/' && path.p[path.n - 1] != ' ';
}

/* RFC 6265 §4.1.1: a <subdomain> as in RFC 1034 §3.5; labels may also begin with a digit (RFC 1123 §2.1). */
static bool is_cookie_domain(struct cnc_slice domain)
{
    char before = '.';
    for (size_t i = 0; i < domain.n; before = domain.p[i++]) {
        char c = domain.p[i];
        bool at_edge = before == '.' || i + 1 == domain.n || domain.p[i + 1] == '.';
        if (!cnc_is_alpha(c) && !cnc_is_digit(c) && !(c == '-' && !at_edge) && !(c == '.' && before != '.'))
            return false;
    }
    return domain.n > 0 && domain.n <= 253 && before != '.';
}

/* What is wrong with a cookie; NULL: nothing. Also refuses what a client would silently ignore: a name with the prefix
 * __Secure- or __Host- that breaks the rules of its prefix, and SameSite=None without Secure (RFC 6265bis §4.1.2, §4.1.3). */
static const char *cookie_fault(struct cnc_slice name, struct cnc_slice value, const char *domain, const char *path,
                                int64_t max_age, int flags)
{
    int sites = flags & (CONCUR_COOKIE_LAX | CONCUR_COOKIE_STRICT | CONCUR_COOKIE_CROSS_SITE);
    bool is_secure = (flags & CONCUR_COOKIE_SECURE) != 0;
    if (!cnc_http_is_token(name.p, name.n))
        return "a cookie's name is not a token";
    if (!value.p || !is_cookie_value(value))
        return "a cookie's value has bytes that may not be in one";
    if (domain && !is_cookie_domain(cnc_reply_slice(domain)))
        return "a cookie's domain is none";
    if (path && !is_cookie_path(cnc_reply_slice(path)))
        return "a cookie's path must begin with a slash, and has bytes that may not be in one";
    if (max_age < -1 || (flags & ~COOKIE_FLAGS) || (sites & (sites - 1)))
        return "a cookie's age or flags are out of range";
    if ((flags & CONCUR_COOKIE_CROSS_SITE) && !is_secure)
        return "a cookie for other sites must be secure";
    if (name.n >= 9 && cnc_equal_lower(name.p, 9, "__secure-", 9) && !is_secure)
        return "a cookie __Secure- must be secure";
    if (name.n >= 7 && cnc_equal_lower(name.p, 7, "__host-", 7) &&
        (!is_secure || domain || !path || strcmp(path, "/") != 0))
        return "a cookie __Host- must be secure, for the path / and without a domain";
    return NULL;
}

struct cookie_text {
    char *p;
    size_t n; /* bytes so far; if p is NULL, they are only counted */
};

static void cookie_put(struct cookie_text *t, const char *text)
{
    size_t n = strlen(text);
    if (t->p)
        memcpy(t->p + t->n, text, n);
    t->n += n;
}

static void cookie_write(struct cookie_text *t, const char *name, const char *value, const char *domain, const char *path,
                         int64_t max_age, int flags)
{
    char digits[24] = "";
    cookie_put(t, name);
    cookie_put(t, "=");
    cookie_put(t, value);
    cookie_put(t, domain ? "; Domain=" : "");
    cookie_put(t, domain ? domain : "");
    cookie_put(t, path ? "; Path=" : "");
    cookie_put(t, path ? path : "");
    if (max_age >= 0)
        digits[cnc_decimal(digits, (uint64_t)max_age)] = '\0';
    cookie_put(t, max_age >= 0 ? "; Max-Age=" : "");
    cookie_put(t, digits);
    cookie_put(t, flags & CONCUR_COOKIE_SECURE ? "; Secure" : "");
    cookie_put(t, flags & CONCUR_COOKIE_HTTP_ONLY ? "; HttpOnly" : "");
    cookie_put(t, flags & CONCUR_COOKIE_LAX ? "; SameSite=Lax" : "");
    cookie_put(t, flags & CONCUR_COOKIE_STRICT ? "; SameSite=Strict" : "");
    cookie_put(t, flags & CONCUR_COOKIE_CROSS_SITE ? "; SameSite=None" : "");
}

int concur_reply_cookie(concur_request *r, const char *name, const char *value, const char *domain, const char *path,
                        int64_t max_age, int flags)
{
    struct cookie_text text = { NULL, 0 };
    int rc = cnc_reply_may_change(r);
    if (rc < 0)
        return rc;
    const char *fault = cookie_fault(cnc_reply_slice(name), cnc_reply_slice(value), domain, path, max_age, flags);
    if (fault)
        return r->reply_rc = cnc_reply_misuse(r, CONCUR_E_INVAL, fault);
    cookie_write(&text, name, value, domain, path, max_age, flags);
    text.p = cnc_arena_text(&r->arena, text.n);
    if (!text.p)
        return r->reply_rc = CONCUR_E_NOMEM;
    text.n = 0;
    cookie_write(&text, name, value, domain, path, max_age, flags);
    r->reply_rc = cnc_reply_put_field(r, CNC_SLICE("Set-Cookie"), (struct cnc_slice){ text.p, text.n });
    return r->reply_rc;
}

/* ---- redirects ---- */

static bool is_hex(char c)
{
    return cnc_is_digit(c) || (cnc_lower(c) >= 'a' && cnc_lower(c) <= 'f');
}

/* Has only characters of a URI reference (RFC 3986 §2, §4.1). The program must percent-encode all others. */
static bool is_reference(const char *p)
{
    static const char marks[] = "-._~:/?#[]@!$&'()*+,;=";
    const char *first = p;
    for (; *p; p++) {
        if (*p == '%' && (!is_hex(p[1]) || !is_hex(p[2])))
            return false;
        if (*p != '%' && !cnc_is_alpha(*p) && !cnc_is_digit(*p) && !strchr(marks, *p))
            return false;
    }
    return p != first;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

int concur_reply_redirect(concur_request *r, int status, const char *location)
{
    char body[CNC_HTTP_PAGE_MAX];
    int rc = cnc_reply_may_change(r);
    if (rc < 0)
        return rc;
    if (!is_redirect(status))
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "a redirect's status must be 301, 302, 303, 307 or 308");
    if (!location || !is_reference(location))
        return cnc_reply_misuse(r, CONCUR_E_INVAL, "a redirect's location is no URI reference");
    rc = concur_reply_set_header(r, "Location", location);
    if (rc < 0)
        return rc;
    size_t n = cnc_http_page(body, status);
    return concur_reply_bytes(r, status, CNC_HTTP_TEXT_TYPE, body, n, NULL, NULL);
}
