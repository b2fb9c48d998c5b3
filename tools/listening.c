/* SPDX-License-Identifier: MIT
 *
 * Which sockets of a tree accept connections: the inodes of its descriptors, looked up in the kernel's tables.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proctree.h"

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

/* "0100007F:1F90": words of the machine's byte order. What is bound to every address is reached on loopback. */
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
    in_port_t port = htons((uint16_t)strtoul(text + digits + 1, NULL, 16));
    bool is_any = (word[0] | word[1] | word[2] | word[3]) == 0;
    memset(out, 0, sizeof *out);
    if (words == 1) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        *in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
        in->sin_addr.s_addr = is_any ? htonl(INADDR_LOOPBACK) : word[0];
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;
        *in = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
        in->sin6_addr = in6addr_loopback;
        if (!is_any)
            memcpy(&in->sin6_addr, word, sizeof word);
    }
    return true;
}

static bool is_known(const struct sockaddr_storage *all, size_t count, const struct sockaddr_storage *one)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&all[i], one, sizeof *one) == 0)
            return true;
    return false;
}

static size_t search_table(const char *path, const struct inodes *s, struct sockaddr_storage *out, size_t count, size_t room)
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

size_t proctree_listening(const struct proctree *t, const char *proc, struct sockaddr_storage *out, size_t room)
{
    static const char *const tables[] = { "tcp", "tcp6" };
    char path[PATH_ROOM];
    size_t count = 0;
    struct inodes *s = calloc(1, sizeof *s);
    for (size_t i = 0; s && i < t->count; i++)
        add_sockets(s, proc, t->items[i].pid);
    for (size_t i = 0; s && t->count && i < sizeof tables / sizeof *tables; i++) {
        snprintf(path, sizeof path, "%s/%d/net/%s", proc, (int)t->items[0].pid, tables[i]);
        count = search_table(path, s, out, count, room);
    }
    free(s);
    return count;
}
