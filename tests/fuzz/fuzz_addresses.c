/* SPDX-License-Identifier: MIT
 *
 * Listen addresses: whatever the text, parsing ends with an address or with a sentence about it; an accepted one is
 * printed as the system prints it, and the print is accepted and gives the same. What the system hands over as a peer's
 * address is printed within its room, whatever it holds.
 *
 * The first byte chooses: text, or bytes of a socket address.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <concur/error.h>

#include "net/address.h"

/* The text of an address, put together again in another way. */
static void print(const struct cnc_address *a, char *out, size_t n)
{
    char host[INET6_ADDRSTRLEN];
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addr;
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->addr;
    switch (a->kind) {
    case CNC_ADDRESS_IPV4:
        FUZZ_ENSURE(inet_ntop(AF_INET, &in->sin_addr, host, sizeof host));
        snprintf(out, n, "%s:%u", host, ntohs(in->sin_port));
        return;
    case CNC_ADDRESS_IPV6:
        FUZZ_ENSURE(inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host));
        snprintf(out, n, "[%s]:%u", host, ntohs(in6->sin6_port));
        return;
    case CNC_ADDRESS_UNIX:
        snprintf(out, n, "unix:%s", un->sun_path);
        for (const char *c = un->sun_path; *c; c++)
            FUZZ_ENSURE((unsigned char)*c >= 0x20 && *c != 0x7f);
        return;
    case CNC_ADDRESS_FD:
        snprintf(out, n, "fd:%d", a->fd);
        return;
    }
    FUZZ_ENSURE(a->kind == CNC_ADDRESS_FD);
}

/* With one byte less than it takes there is no text at all. */
static void expect_text(const struct cnc_address *a, const char *expected)
{
    char text[CNC_ADDRESS_TEXT_MAX];
    const struct sockaddr *sa = (const struct sockaddr *)&a->addr;
    size_t n = cnc_address_text(sa, a->addr_len, text, sizeof text);
    FUZZ_ENSURE(n == strlen(expected) && strcmp(text, expected) == 0);
    char *tight = malloc(n + 1);
    FUZZ_ENSURE(tight);
    FUZZ_ENSURE(cnc_address_text(sa, a->addr_len, tight, n + 1) == n && strcmp(tight, expected) == 0);
    FUZZ_ENSURE(cnc_address_text(sa, a->addr_len, tight, n) == 0 && tight[0] == '\0');
    free(tight);
}

static void expect_again(const struct cnc_address *a)
{
    char text[CNC_ADDRESS_TEXT_MAX + 32], err[CNC_ADDRESS_ERROR_MAX];
    struct cnc_address again;
    print(a, text, sizeof text);
    if (a->kind != CNC_ADDRESS_FD)
        expect_text(a, text);
    if (a->unix_mode >= 0)
        snprintf(text + strlen(text), sizeof text - strlen(text), " mode=%o", (unsigned)a->unix_mode);
    FUZZ_ENSURE(cnc_address_parse(&again, text, err, sizeof err) == CONCUR_OK);
    FUZZ_ENSURE(again.kind == a->kind && again.fd == a->fd && again.unix_mode == a->unix_mode && !again.any);
    FUZZ_ENSURE(again.addr_len == a->addr_len && memcmp(&again.addr, &a->addr, sizeof a->addr) == 0);
}

static void read_text(struct fuzz_input *in)
{
    char *text = fuzz_text(fuzz_take(in, in->n)), *err = malloc(CNC_ADDRESS_ERROR_MAX);
    struct cnc_address a;
    FUZZ_ENSURE(err);
    strcpy(err, "");
    int rc = cnc_address_parse(&a, text, err, CNC_ADDRESS_ERROR_MAX);
    FUZZ_ENSURE(rc == CONCUR_OK || rc == CONCUR_E_INVAL || rc == CONCUR_E_UNSUPPORTED);
    if (rc == CONCUR_OK) {
        FUZZ_ENSURE((a.kind == CNC_ADDRESS_FD) == (a.fd >= 0) && (a.kind == CNC_ADDRESS_FD) == (a.addr_len == 0));
        FUZZ_ENSURE(a.unix_mode < 0 || (a.kind == CNC_ADDRESS_UNIX && a.unix_mode <= 0777));
        FUZZ_ENSURE(!a.any || a.kind == CNC_ADDRESS_IPV6);
        expect_again(&a);
    } else {
        size_t n = strlen(text) < 100 ? strlen(text) : 100;
        FUZZ_ENSURE(err[0] == '"' && memcmp(err + 1, text, n) == 0); /* it names the text */
        FUZZ_ENSURE(strlen(err) > n + 5 && strlen(err) < CNC_ADDRESS_ERROR_MAX - 1);
    }
    free(err);
    free(text);
}

static void print_bytes(struct fuzz_input *in)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC };
    size_t room = fuzz_below(in, CNC_ADDRESS_TEXT_MAX + 1);
    sa_family_t family = families[fuzz_byte(in) % CNC_COUNT(families)];
    struct cnc_slice s = fuzz_take(in, sizeof(struct sockaddr_storage) - sizeof family);
    size_t len = s.n + sizeof family;
    char *bytes = malloc(len), *out = malloc(room ? room : 1);
    FUZZ_ENSURE(bytes && out);
    memcpy(bytes, &family, sizeof family);
    memcpy(bytes + sizeof family, s.p, s.n);
    const struct sockaddr *sa = (const struct sockaddr *)(const void *)bytes;
    size_t n = cnc_address_text(sa, (socklen_t)len, out, room);
    FUZZ_ENSURE(room == 0 ? n == 0 : n < room && strlen(out) == n);
    free(out);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    if (fuzz_byte(&in) % 4 == 3)
        print_bytes(&in);
    else
        read_text(&in);
    return 0;
}
