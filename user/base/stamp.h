/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points in time as text: RFC 3339 in UTC with nanoseconds. Thread-safe.
 */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H

#include <stdint.h>

/* 30 bytes and the NUL, and room for a year of more digits. */
struct stamp {
	char text[48];
};

/* Nanoseconds since 1970 (CLOCK_REALTIME). */
struct stamp stamp_of(uint64_t realtime_ns);
struct stamp stamp_now(void);

/* So many nanoseconds before now. */
struct stamp stamp_ago(uint64_t ns);

/* A reading of CLOCK_BOOTTIME, as the kernel side has it, by the realtime clock of now. */
struct stamp stamp_of_boottime(uint64_t boottime_ns);

#endif
