/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that a session may make; everything else is ENOSYS, so that programs fall back
 * as on an older kernel. Which calls exist is for libseccomp to know: a name unknown to it stays
 * out.
 */
#ifndef INIT_FILTER_H
#define INIT_FILTER_H

#include <stddef.h>

extern const char *const filter_allowed[];
extern const size_t filter_n_allowed;

/* Known, and refused with EPERM: a program shall see "not permitted", not "too old". */
extern const char *const filter_refused[];
extern const size_t filter_n_refused;

#endif
