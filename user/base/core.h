/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core dumps: memory of Pinfold's processes and of sessions must not reach the disk or a program.
 */
#ifndef BASE_CORE_H
#define BASE_CORE_H

#include "base/cleanup.h"

/*
 * From here on this process leaves no core and cannot be traced by others of its uid, until it
 * executes a program; and neither it nor what it starts, whatever they execute, has a core written
 * to a file or piped to a program (core_pattern(5)). Lifting that takes CAP_SYS_RESOURCE.
 * 0 or -errno.
 */
int core_never(void) __must_check;

#endif
