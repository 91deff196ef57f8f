/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes over a unix socket beside the bytes: descriptors and credentials.
 */
#ifndef SELFTESTS_SYS_BESIDE_H
#define SELFTESTS_SYS_BESIDE_H

#include <stddef.h>

/* Send one byte, and with it one descriptor or one struct ucred: 0 or -errno. */
int send_beside(int sock, int type, const void *data, size_t len);
int send_fd(int sock, int fd);

#endif
