/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points in time as text.
 */
#include "base/stamp.h"

#include <stdio.h>
#include <time.h>

#define NS_PER_S 1000000000u

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* fails for unknown clocks only */
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct stamp stamp_of(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_S);
	struct tm tm;
	struct stamp s;

	gmtime_r(&seconds, &tm);
	size_t n = strftime(s.text, sizeof(s.text), "%Y-%m-%dT%H:%M:%S", &tm);

	(void)snprintf(s.text + n, sizeof(s.text) - n, ".%09uZ",
		       (unsigned)(realtime_ns % NS_PER_S));
	return s;
}

struct stamp stamp_now(void)
{
	return stamp_of(read_clock(CLOCK_REALTIME));
}

struct stamp stamp_ago(uint64_t ns)
{
	return stamp_of(read_clock(CLOCK_REALTIME) - ns);
}

struct stamp stamp_of_boottime(uint64_t boottime_ns)
{
	return stamp_ago(read_clock(CLOCK_BOOTTIME) - boottime_ns);
}
