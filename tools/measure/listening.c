/* SPDX-License-Identifier: MIT
 *
 * Finds the sockets of a tree of processes that accept connections: the inodes of its descriptors are looked up among
 * the listening sockets of the kernel, which netlink reports. The table in /proc has every connection, and is slow if
 * there are many. It is used only if netlink does not work, or if `proc` is not /proc.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/proctree.h"

enum { PATH_ROOM = 512, LINE_ROOM = 512, INODES_MAX = 4096, LISTENING = 0x0a };

struct inodes {
    uint64_t items[INODES_MAX];
    size_t count;
};

static bool has_inode(const struct inodes *s, uint64_t inode)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i] == inode)
            return true;
    return false;
}

static void add_sockets(struct inodes *s, const char *proc, pid_t pid)
{
    char path[PATH_ROOM], link[64];
    snprintf(path, sizeof path, "%s/%d/fd", proc, (int)pid);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        uint64_t inode;
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (n <= 0)
            continue;
        link[n] = '\0';
        if (sscanf(link, "socket:[%" SCNu64 "]", &inode) == 1 && s->count < INODES_MAX && !has_inode(s, inode))
            s->items[s->count++] = inode;
    }
    if (dir)
        closedir(dir);
}

/* A socket that is bound to all addresses gets the address of loopback. */
static void set_address(struct sockaddr_storage *out, bool is_v4, const uint32_t word[4], in_port_t port)
{
    bool is_any = (word[0] | (is_v4 ? 0 : word[1] | word[2] | word[3])) == 0;
    memset(out, 0, sizeof *out);
    if (is_v4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        *in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
        in->sin_addr.s_addr = is_any ? htonl(INADDR_LOOPBACK) : word[0];
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;
        *in = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
        in->sin6_addr = in6addr_loopback;
        if (!is_any)
            memcpy(&in->sin6_addr, word, sizeof in->sin6_addr);
    }
}

/* Parses "0100007F:1F90", words in the machine's byte order. */
static bool parse_address(const char *text, struct sockaddr_storage *out)
{
    uint32_t word[4] = { 0 };
    size_t digits = strspn(text, "0123456789ABCDEF"), words = digits / 8;
    if ((words != 1 && words != 4) || digits % 8 != 0 || text[digits] != ':')
        return false;
    for (size_t i = 0; i < words; i++) {
        char hex[9] = "";
        memcpy(hex, text + i * 8, 8);
        word[i] = (uint32_t)strtoul(hex, NULL, 16);
    }
    set_address(out, words == 1, word, htons((uint16_t)strtoul(text + digits + 1, NULL, 16)));
    return true;
}

static bool is_known(const struct sockaddr_storage *all, size_t count, const struct sockaddr_storage *one)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&all[i], one, sizeof *one) == 0)
            return true;
    return false;
}

static size_t search_table(const char *path, const struct inodes *s, struct sockaddr_storage *out, size_t count,
                           size_t room)
{
    char line[LINE_ROOM], local[64];
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        unsigned state;
        uint64_t inode;
        if (sscanf(line, " %*u: %63s %*s %x %*s %*s %*s %*u %*u %" SCNu64, local, &state, &inode) == 3 &&
            state == LISTENING && has_inode(s, inode) && count < room && parse_address(local, &out[count]) &&
            !is_known(out, count, &out[count]))
            count++;
    }
    if (f)
        fclose(f);
    return count;
}

/* netlink */

struct found {
    const struct inodes *inodes;
    struct sockaddr_storage *out;
    size_t count, room;
};

static void take_socket(struct found *f, const struct inet_diag_msg *m)
{
    if (!has_inode(f->inodes, m->idiag_inode) || f->count == f->room)
        return;
    set_address(&f->out[f->count], m->idiag_family == AF_INET, m->id.idiag_src, m->id.idiag_sport);
    f->count += !is_known(f->out, f->count, &f->out[f->count]);
}

/* False: more of the answer follows. */
static bool take_messages(struct found *f, const char *bytes, size_t len, bool *is_good)
{
    const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;
    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        *is_good &= h->nlmsg_type != NLMSG_ERROR;
        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
            return true;
        take_socket(f, NLMSG_DATA(h));
    }
    return false;
}

static bool ask_kernel(struct found *f, int family)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 ask;
    } q = {
        .head = { .nlmsg_len = sizeof q, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
        .ask = { .sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1 << TCP_LISTEN }
    };
    union {
        struct nlmsghdr head;
        char bytes[16384];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    bool is_good = fd >= 0 && send(fd, &q, sizeof q, 0) == (ssize_t)sizeof q;
    for (bool is_done = !is_good; !is_done;) {
        ssize_t n = recv(fd, answer.bytes, sizeof answer.bytes, 0);
        is_good &= n > 0;
        is_done = n <= 0 || take_messages(f, answer.bytes, (size_t)n, &is_good);
    }
    if (fd >= 0)
        close(fd);
    return is_good;
}

static void read_tables(struct found *f, const char *proc, pid_t pid)
{
    static const char *const tables[] = { "tcp", "tcp6" };
    char path[PATH_ROOM];
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(path, sizeof path, "%s/%d/net/%s", proc, (int)pid, tables[i]);
        f->count = search_table(path, f->inodes, f->out, f->count, f->room);
    }
}

size_t proctree_listening(const struct proctree *t, const char *proc, struct sockaddr_storage *out, size_t room)
{
    struct inodes *s = calloc(1, sizeof *s);
    struct found f = { .inodes = s, .out = out, .room = room };
    for (size_t i = 0; s && i < t->count; i++)
        add_sockets(s, proc, t->items[i].pid);
    bool is_real = strcmp(proc, "/proc") == 0;
    if (s && t->count && !(is_real && ask_kernel(&f, AF_INET) && ask_kernel(&f, AF_INET6)))
        read_tables(&f, proc, t->items[0].pid);
    free(s);
    return f.count;
}
