/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-probe: the forbidden acts that it attempts. Each is harmless should it succeed.
 */
#ifndef INIT_PROBE_H
#define INIT_PROBE_H

#include <stddef.h>

struct probe_act {
	const char *name;
	int (*attempt)(void); /* 0: it was allowed; else the positive errno it got */
};

/* What the kernel side must refuse even to root. */
extern const struct probe_act probe_kernel_acts[];
extern const size_t probe_n_kernel_acts;

/* What must be refused to the command's process as it is, filter and all. */
extern const struct probe_act probe_command_acts[];
extern const size_t probe_n_command_acts;

#endif
