/* SPDX-License-Identifier: MIT
 *
 * What check_globals and check_exports must find, and what they must let pass.
 */

int cnc_planted_bss;
int cnc_log_level;             /* allowed */
_Thread_local int cnc_planted_tls; /* no global */
extern const char *const cnc_planted_names[];
const char *const cnc_planted_names[] = { "relocated", "but constant" };

int concur_planted(void);

int concur_planted(void)
{
    static int cnc_planted_local = 1;
    return cnc_planted_local++;
}
