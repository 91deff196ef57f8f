/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a log file: what the writer must know before it goes on.
 */
#ifndef AUDIT_TAIL_H
#define AUDIT_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/*
 * Number of the last whole record. *ret_torn: bytes without a newline follow it. -ENODATA: there is
 * no whole line; -EINVAL: none of the last lines is a record.
 */
int tail_last_seq(int fd, uint64_t *ret_seq, bool *ret_torn) __must_check;

#endif
