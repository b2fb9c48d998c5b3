/* SPDX-License-Identifier: MIT
 *
 * The table of requests (table_cases.c) on every engine.
 */
#include "e2e/harness.h"
#include "e2e/table.h"

static void add(Suite *s)
{
    table_add(s, NULL, NULL);
}

int main(int argc, char **argv)
{
    return e2e_main("table", add, argc, argv);
}
