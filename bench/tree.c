/* SPDX-License-Identifier: MIT
 *
 * What a process and its descendants have used:
 *
 *     tree PID [--memory]
 *
 * Prints how many they are, their processor time in microseconds, that of processes which have ended and were waited
 * for included, and with --memory what they hold. Exit status 1 if PID is not there.
 */
#include "tree.h"

/* While processes come and go, one of them may be counted twice or not at all: looked at until nothing has changed. */
enum { LOOKS = 20 };

int main(int argc, char **argv)
{
    static struct tree_process all[TREE_MAX];
    struct tree_sum sum = {0}, last;
    int n = 0, root = argc > 1 ? atoi(argv[1]) : 0;

    if (root <= 0) {
        fprintf(stderr, "usage: tree PID [--memory]\n");
        return EXIT_FAILURE;
    }
    for (int looks = 0; looks < LOOKS; looks++) {
        last = sum;
        n = tree_list(root, all);
        sum = tree_add(all, n);
        if (looks > 0 && sum.processes == last.processes && sum.reaped == last.reaped) {
            break;
        }
    }
    printf("processes=%ld threads=%ld cpu_us=%.0f", sum.processes, sum.threads, sum.cpu_us);
    if (argc > 2 && strcmp(argv[2], "--memory") == 0) {
        printf(" rss_bytes=%ld pss_bytes=%ld", tree_memory(all, n, "Rss:"), tree_memory(all, n, "Pss:"));
    }
    printf("\n");
    return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
