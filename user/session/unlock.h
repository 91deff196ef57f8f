/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The deliberate way to change what Pinfold guards, with pinfoldd or without.
 */
#ifndef SESSION_UNLOCK_H
#define SESSION_UNLOCK_H

#include "base/cleanup.h"

#define UNLOCK_TEXT_MAX 512

/*
 * Make this process an admin, and what it starts or becomes from now on. On failure why says what
 * is wrong and what to do.
 */
int unlock(char why[UNLOCK_TEXT_MAX]) __must_check;

#endif
