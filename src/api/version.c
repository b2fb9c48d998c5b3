/* SPDX-License-Identifier: MIT */
#include <concur/concur.h>

const char *concur_version(void)
{
    return CONCUR_VERSION;
}
