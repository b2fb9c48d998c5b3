/* SPDX-License-Identifier: MIT
 *
 * What arrives on a link between processes of a server: notes that were sent as such arrive as they were; any other
 * message, with any number of descriptors, is taken for a note or dropped by its size alone, and leaves no descriptor
 * open.
 *
 * An input is a sequence of messages: a byte that says which kind, and what that takes.
 */
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <concur/error.h>

#include "net/passing.h"
#include "proc/note.h"

enum { HEAD = offsetof(struct cnc_note, text), FILES = 3, WAITING_MAX = 8 };

/* A message that was sent and not received. */
struct sent {
    struct cnc_note note; /* as it is to arrive */
    size_t n;
    unsigned files;
};

static int files[FILES]; /* each another one */
static int link_of[2];
static struct sent waiting[WAITING_MAX];
static unsigned waiting_count;

static void open_files(void)
{
    static const char *const paths[FILES] = { "/dev/null", "/dev/zero", "/proc/self/stat" };
    for (int i = 0; i < FILES; i++) {
        files[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
        FUZZ_ENSURE(files[i] >= 0);
    }
}

/* As the library cannot: with any number of descriptors. */
static bool send_raw(const void *p, size_t n, unsigned count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof files)];
    } control = { 0 };
    struct iovec iov = { (void *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (count) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(count * sizeof *files);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof *files);
        memcpy(CMSG_DATA(c), files, count * sizeof *files);
    }
    return sendmsg(link_of[0], &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

static void wait_for(const void *p, size_t n, unsigned count)
{
    struct sent *s = &waiting[waiting_count++];
    memset(s, 0, sizeof *s);
    memcpy(&s->note, p, n < sizeof s->note ? n : sizeof s->note);
    s->n = n;
    s->files = count;
}

static void put_bytes(struct fuzz_input *in)
{
    size_t n = 1 + fuzz_below(in, sizeof(struct cnc_note) + 64);
    unsigned count = fuzz_byte(in) % (FILES + 1);
    char *bytes = malloc(n);
    FUZZ_ENSURE(bytes);
    struct cnc_slice s = fuzz_take(in, n);
    memset(bytes, 'x', n);
    memcpy(bytes, s.p, s.n);
    if (send_raw(bytes, n, count))
        wait_for(bytes, n, count);
    free(bytes);
}

static void put_note(struct fuzz_input *in)
{
    struct cnc_note *note = malloc(sizeof *note);
    FUZZ_ENSURE(note);
    memset(note, 0, sizeof *note);
    note->what = (uint32_t)fuzz_number(in, 4);
    note->slot = (uint32_t)fuzz_number(in, 4);
    note->value = (int64_t)fuzz_number(in, 8);
    unsigned with_file = fuzz_byte(in) & 1;
    struct cnc_slice text = fuzz_take(in, fuzz_below(in, CNC_NOTE_TEXT_MAX + 1));
    memcpy(note->text, text.p, strnlen(text.p, text.n));
    if (cnc_note_send(link_of[0], note, with_file ? files[0] : -1, false) == CONCUR_OK)
        wait_for(note, HEAD + strlen(note->text), with_file);
    free(note);
}

static void tell(struct fuzz_input *in)
{
    struct cnc_note note = { .what = (uint32_t)fuzz_number(in, 4), .value = (int64_t)fuzz_number(in, 8) };
    if (cnc_note_tell(link_of[0], (enum cnc_note_what)note.what, note.value) == CONCUR_OK)
        wait_for(&note, HEAD, 0);
}

static void expect_file(int fd, unsigned count)
{
    struct stat is, was;
    if (count == 0 || count == FILES) { /* more than there is room for: none of them is kept */
        FUZZ_ENSURE(fd == (count ? CNC_PASSING_LOST : -1));
        return;
    }
    FUZZ_ENSURE(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    FUZZ_ENSURE(fstat(fd, &is) == 0 && fstat(files[count - 1], &was) == 0);
    FUZZ_ENSURE(is.st_dev == was.st_dev && is.st_ino == was.st_ino);
    close(fd);
}

/* The next message, which is the first that waits. */
static void receive(bool wants_file)
{
    struct cnc_note *got = malloc(sizeof *got);
    struct sent *s = &waiting[0];
    int fd = 7777;
    FUZZ_ENSURE(got);
    memset(got, 'y', sizeof *got);
    int rc = cnc_note_receive(link_of[1], got, wants_file ? &fd : NULL, false);
    if (waiting_count == 0) {
        FUZZ_ENSURE(rc == CONCUR_AGAIN && fd == (wants_file ? -1 : 7777));
        free(got);
        return;
    }
    bool is_note = s->n >= HEAD && s->n < sizeof *got && (wants_file || s->files < FILES);
    FUZZ_ENSURE(rc == (is_note ? CONCUR_OK : CONCUR_AGAIN));
    if (is_note) {
        size_t n = strnlen(s->note.text, s->n - HEAD);
        FUZZ_ENSURE(memcmp(got, &s->note, HEAD) == 0);
        FUZZ_ENSURE(memcmp(got->text, s->note.text, n) == 0 && got->text[n] == '\0');
    }
    if (is_note && wants_file)
        expect_file(fd, s->files);
    else if (wants_file)
        FUZZ_ENSURE(fd < 0);
    memmove(waiting, waiting + 1, --waiting_count * sizeof *waiting);
    free(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = { data, size };
    if (files[0] == 0)
        open_files();
    const unsigned held = fuzz_descriptors();
    FUZZ_ENSURE(cnc_passing_pair(link_of, 65536) == CONCUR_OK);
    waiting_count = 0;
    while (in.n) {
        unsigned op = fuzz_byte(&in);
        if (waiting_count == WAITING_MAX)
            receive(op & 0x80);
        switch (op % 8) {
        case 0:
        case 1:
        case 2:
            put_bytes(&in);
            break;
        case 3:
        case 4:
            put_note(&in);
            break;
        case 5:
            tell(&in);
            break;
        default:
            receive(op & 0x80);
        }
    }
    const bool leaves_some = size & 1; /* what nobody receives is the kernel's to close */
    while (waiting_count && !leaves_some)
        receive(waiting_count & 1);
    close(link_of[0]);
    struct cnc_note end;
    if (!leaves_some)
        FUZZ_ENSURE(cnc_note_receive(link_of[1], &end, NULL, true) == CONCUR_E_GONE);
    close(link_of[1]);
    FUZZ_ENSURE(fuzz_descriptors() == held);
    return 0;
}
