/* SPDX-License-Identifier: MIT */
#include "net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/sys.h"

static int listener_refuse(int fd, const struct cnc_address *address, const char *what)
{
    char text[CNC_ADDRESS_TEXT_MAX], why[128];
    int err = errno;
    cnc_address_text((const struct sockaddr *)&address->addr, address->addr_len, text, sizeof text);
    cnc_sys_close(&fd);
    return cnc_error_set(CONCUR_E_LISTEN, "cannot listen on %s: %s: %s", text, what,
                         cnc_files_why(why, sizeof why, err, CNC_FILES_PROCESS));
}

static int set_flag(int fd, int level, int name, int value)
{
    return cnc_sys_setsockopt(fd, level, name, &value, sizeof value);
}

static int set_inherited(int fd, const struct cnc_address *address, const struct cnc_listener_options *options)
{
    struct timeval wait = { .tv_sec = options->receive_wait_ms / 1000,
                            .tv_usec = (options->receive_wait_ms % 1000) * 1000 };
    if (options->receive_wait_ms && cnc_sys_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
        return -1;
    if (address->kind == CNC_ADDRESS_UNIX || !options->nodelay)
        return 0;
    return set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static const char *listener_path_of(const struct cnc_address *address)
{
    return ((const struct sockaddr_un *)&address->addr)->sun_path;
}

/* Looks at the file at the address' path; symbolic links are not followed. False: there is none, or stat fails. */
static bool look_at_path(const struct cnc_address *address, struct stat *st)
{
    return cnc_sys_lstat(listener_path_of(address), st) == 0;
}

static bool is_socket(const struct stat *st, const struct cnc_listener_file *file)
{
    return S_ISSOCK(st->st_mode) && st->st_dev == file->device && st->st_ino == file->inode;
}

static bool is_something_else(const struct cnc_address *address)
{
    struct stat st;
    int err = errno;
    bool is_else = address->kind == CNC_ADDRESS_UNIX && look_at_path(address, &st) && !S_ISSOCK(st.st_mode);
    errno = err;
    return is_else;
}

static bool is_served(const struct cnc_address *address)
{
    int fd = cnc_sys_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK); /* else connect would wait for a full backlog */
    bool refused = fd >= 0 && cnc_sys_connect(fd, (const struct sockaddr *)&address->addr, address->addr_len) < 0 &&
                   errno == ECONNREFUSED;
    cnc_sys_close(&fd);
    return !refused;
}

/* Removes the socket file of a server that has died: a file that refuses connections. Other kinds of files refuse them
 * too, so it must be a socket, and the same file before and after the attempt to connect. */
static void remove_stale(const struct cnc_address *address)
{
    struct stat st;
    if (!look_at_path(address, &st) || !S_ISSOCK(st.st_mode) || is_served(address))
        return;
    struct cnc_listener_file dead = { st.st_dev, st.st_ino };
    cnc_listener_unlink(address, &dead);
}

static int bind_unix(int fd, struct cnc_listener_file *file, const struct cnc_address *address)
{
    struct stat st;
    remove_stale(address);
    if (cnc_sys_bind(fd, (const struct sockaddr *)&address->addr, address->addr_len) < 0)
        return -1;
    if (look_at_path(address, &st) && S_ISSOCK(st.st_mode))
        *file = (struct cnc_listener_file){ st.st_dev, st.st_ino };
    return address->unix_mode >= 0 ? chmod(listener_path_of(address), (mode_t)address->unix_mode) : 0;
}

static int bind_address(int fd, struct cnc_listener_file *file, const struct cnc_address *address)
{
    if (address->kind == CNC_ADDRESS_UNIX)
        return bind_unix(fd, file, address);
    if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0)
        return -1;
    if (address->kind == CNC_ADDRESS_IPV6 && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, !address->any) < 0)
        return -1;
    return cnc_sys_bind(fd, (const struct sockaddr *)&address->addr, address->addr_len);
}

/* On a machine without IPv6, "*" means 0.0.0.0. */
static struct cnc_address without_ipv6(const struct cnc_address *address)
{
    struct cnc_address v4 = *address;
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY) };
    sin.sin_port = ((const struct sockaddr_in6 *)&address->addr)->sin6_port;
    v4.kind = CNC_ADDRESS_IPV4;
    v4.any = false;
    memcpy(&v4.addr, &sin, sizeof sin);
    v4.addr_len = sizeof sin;
    return v4;
}

static int get_flag(int fd, int name, int *out)
{
    socklen_t len = sizeof *out;
    return getsockopt(fd, SOL_SOCKET, name, out, &len);
}

/* Why the descriptor cannot be served; NULL: it can. */
static const char *judge_descriptor(int fd)
{
    int type = 0, family = 0, listens = 0;
    if (get_flag(fd, SO_TYPE, &type) < 0)
        return errno == EBADF ? "no such descriptor is open" : errno == ENOTSOCK ? "not a socket" : strerror(errno);
    if (type != SOCK_STREAM) /* SOCK_SEQPACKET can listen too */
        return "it is not a stream socket";
    if (get_flag(fd, SO_DOMAIN, &family) < 0 || (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
        return "it is not a socket of IPv4, IPv6 or Unix";
    return get_flag(fd, SO_ACCEPTCONN, &listens) < 0 || !listens ? "the socket does not listen" : NULL;
}

/* Takes a copy of a descriptor that was opened outside the library. */
static int adopt(int *out, const struct cnc_address *address)
{
    char text[128];
    const char *why = judge_descriptor(address->fd);
    if (why)
        return cnc_error_set(CONCUR_E_LISTEN, "cannot listen on fd:%d: %s", address->fd, why);
    int fd = fcntl(address->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return cnc_error_set(CONCUR_E_SYS, "cannot listen on fd:%d: %s", address->fd,
                             cnc_files_why(text, sizeof text, errno, CNC_FILES_PROCESS));
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    *out = fd;
    return CONCUR_OK;
}

/* Binds a new socket, sets its options, and listens. On failure a socket file that it made is removed. */
static int open_bound(int fd, struct cnc_listener_file *file, const struct cnc_address *address,
                      const struct cnc_listener_options *options)
{
    const char *failed = NULL;
    if (bind_address(fd, file, address) < 0)
        failed = errno == EADDRINUSE && is_something_else(address) ? "something that is not a socket has this path" : "bind";
    else if (set_inherited(fd, address, options) < 0)
        failed = "setsockopt";
    else if (cnc_sys_listen(fd, options->backlog) < 0)
        failed = "listen";
    if (!failed)
        return CONCUR_OK;
    int err = errno;
    cnc_listener_unlink(address, file);
    errno = err;
    return listener_refuse(fd, address, failed);
}

int cnc_listener_open(int *out, struct cnc_listener_file *file, const struct cnc_address *address,
                      const struct cnc_listener_options *options)
{
    int fd = -1;
    *file = (struct cnc_listener_file){ 0 };
    if (address->kind == CNC_ADDRESS_FD) {
        int rc = adopt(&fd, address); /* its options are not changed: its owner sets them */
        *out = fd;
        return rc;
    }
    fd = cnc_sys_socket(address->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK);
    if (fd < 0 && errno == EAFNOSUPPORT && address->any) {
        struct cnc_address v4 = without_ipv6(address);
        return cnc_listener_open(out, file, &v4, options);
    }
    if (fd < 0)
        return listener_refuse(fd, address, "socket");
    int rc = open_bound(fd, file, address, options);
    if (rc == CONCUR_OK)
        *out = fd;
    return rc;
}

size_t cnc_listener_text(int fd, char *out, size_t n)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return 0;
    return cnc_address_text((struct sockaddr *)&ss, len, out, n);
}

void cnc_listener_unlink(const struct cnc_address *address, const struct cnc_listener_file *file)
{
    struct stat st;
    if (address->kind == CNC_ADDRESS_UNIX && file->inode && look_at_path(address, &st) && is_socket(&st, file))
        (void)unlink(listener_path_of(address));
}
