/* SPDX-License-Identifier: MIT
 *
 * Feeds a fuzz target stored inputs, each once: every file of the directories given. Needs no libFuzzer, so that each
 * build repeats what fuzzing has found.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1 << 20)

static int feed(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);
    if (!f || !data) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    size_t n = fread(data, 1, INPUT_MAX, f);
    fclose(f);
    /* Exactly its size, so that a read beyond the end is seen. */
    uint8_t *exact = realloc(data, n ? n : 1);
    if (!exact)
        return -1;
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

static int feed_all(const char *dir)
{
    int count = 0;
    DIR *d = opendir(dir);
    if (!d) {
        fprintf(stderr, "%s: cannot be opened\n", dir);
        return -1;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        if (feed(dir, e->d_name) < 0)
            exit(EXIT_FAILURE);
        count++;
    }
    closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int count = feed_all(argv[i]);
        if (count <= 0) {
            fprintf(stderr, "%s: no stored input\n", argv[i]);
            return EXIT_FAILURE;
        }
        printf("%s: %d inputs\n", argv[i], count);
    }
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
