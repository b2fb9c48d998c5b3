/* SPDX-License-Identifier: MIT
 *
 * Writes down which function is called from where, for a program that was compiled with -finstrument-functions. It is
 * preloaded; scripts/call_trace reads what it writes: the file that CONCUR_TRACE names, shared by all processes of the
 * program. First the number of entries and the address at which the program was loaded, then the entries.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRIES = 1 << 20 };

struct trace {
    atomic_ullong count;
    uint64_t base, unused;
    struct {
        uint64_t function, called_from, thread;
    } entries[ENTRIES];
};

#define PLAIN __attribute__((no_instrument_function))

static struct trace *trace;

void __cyg_profile_func_enter(void *function, void *called_from) PLAIN;
void __cyg_profile_func_exit(void *function, void *called_from) PLAIN;

PLAIN static int note_base(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(uint64_t *)arg = info->dlpi_addr;
    return 1; /* the program comes first */
}

__attribute__((constructor)) PLAIN static void open_trace(void)
{
    const char *path = getenv("CONCUR_TRACE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof *trace) < 0)
        return;
    void *p = mmap(NULL, sizeof *trace, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return;
    trace = p;
    dl_iterate_phdr(note_base, &trace->base);
}

void __cyg_profile_func_enter(void *function, void *called_from)
{
    if (!trace)
        return;
    unsigned long long i = atomic_fetch_add(&trace->count, 1) % ENTRIES;
    trace->entries[i].function = (uint64_t)(uintptr_t)function;
    trace->entries[i].called_from = (uint64_t)(uintptr_t)called_from;
    trace->entries[i].thread = (uint64_t)syscall(SYS_gettid);
}

void __cyg_profile_func_exit(void *function, void *called_from)
{
    (void)function;
    (void)called_from;
}
