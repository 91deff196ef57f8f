/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of ctl/ share. Private to ctl/.
 */
#ifndef CTL_MESSAGE_H
#define CTL_MESSAGE_H

#include "ctl/ctl.h"

/* Fill *err and return -EBADMSG. */
int ctl_bad(struct ctl_err *err, const char *fmt, ...) __printf_like(2, 3);

#endif
