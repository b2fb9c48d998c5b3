/* SPDX-License-Identifier: MIT
 *
 * process-thread under load, while fronts and workers die, stop for a moment, have no descriptors and no threads, and clients
 * cut their requests anywhere; in an order that a seed gives. Afterwards the front's numbers are those of the workers.
 *
 * CONCUR_TEST_STORM_SECONDS, CONCUR_TEST_SEED: how long, and which order. The seed is printed.
 */
#ifndef E2E_STORM_H
#define E2E_STORM_H

int storm_seconds(int otherwise);
/* lend: as the option of that name. */
void storm_run(const char *lend, int seconds);

#endif
