/* SPDX-License-Identifier: MIT
 *
 * CONCUR_API marks every function of the public interface; all other symbols of the shared library are hidden.
 */
#ifndef CONCUR_EXPORT_H
#define CONCUR_EXPORT_H

#if defined(__GNUC__)
#define CONCUR_API __attribute__((visibility("default")))
#else
#define CONCUR_API
#endif

#endif
