/* SPDX-License-Identifier: MIT */
#include "proc/note.h"

#include "base/sys.h"
#include "net/passing.h"

#define HEAD offsetof(struct cnc_note, text)
#define NO_ROOM_MS 10 /* until a send is tried again for which there was no room */
#define DELIVER_MS 2000

/* A full link and a system without room are the same for callers: they may try again later. */
static int no_room(int rc)
{
    return rc == CONCUR_E_FULL ? CONCUR_AGAIN : rc;
}

int cnc_note_send(int link, const struct cnc_note *note, int fd, bool wait)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)note, .iov_len = HEAD + strlen(note->text) };
    return no_room(cnc_passing_send(link, &iov, 1, fd, wait));
}

int cnc_note_deliver(int link, const struct cnc_note *note)
{
    int rc = cnc_note_send(link, note, -1, true);
    for (int tries = DELIVER_MS / NO_ROOM_MS; rc == CONCUR_AGAIN && tries > 0; tries--) {
        (void)cnc_sys_poll(NULL, 0, NO_ROOM_MS);
        rc = cnc_note_send(link, note, -1, true);
    }
    return rc;
}

int cnc_note_tell(int link, enum cnc_note_what what, int64_t value)
{
    struct { /* struct cnc_note without its text, since a signal handler's stack may be small */
        uint32_t what, slot;
        int64_t value;
    } note = { .what = (uint32_t)what, .value = value };
    struct iovec iov = { .iov_base = &note, .iov_len = sizeof note };
    _Static_assert(sizeof note == HEAD, "the head of a note");
    return no_room(cnc_passing_send(link, &iov, 1, -1, false));
}

int cnc_note_receive(int link, struct cnc_note *out, int *fd, bool wait)
{
    int came = -1;
    ssize_t n = cnc_passing_recv(link, out, sizeof *out - 1, &came, wait);
    bool is_note = n >= (ssize_t)HEAD && (fd || came != CNC_PASSING_LOST);
    if (!is_note || !fd)
        cnc_sys_close(&came);
    if (fd)
        *fd = came;
    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EMSGSIZE))
        return CONCUR_E_GONE;
    if (!is_note)
        return CONCUR_AGAIN;
    ((char *)out)[n] = '\0';
    return CONCUR_OK;
}
