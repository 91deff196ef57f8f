/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin pin, for those who may not include the kernel contract.
 */
#include "session/unlock.h"

#include "kern/kern.h"

_Static_assert(UNLOCK_TEXT_MAX == KERN_TEXT_MAX, "one text");

int unlock(char why[UNLOCK_TEXT_MAX])
{
	return kern_enter(why);
}
