/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a policy: units, bounds, defaults.
 */
#include <errno.h>

#include "policy/schema.h"
#include "policy/value.h"

#define KI (1ull << 10)
#define MI (1ull << 20)
#define GI (1ull << 30)
#define TI (1ull << 40)
#define SECOND 1000ull
#define DAY (24 * 3600 * SECOND)

const struct policy_limits policy_default_limits = {
	.time_ms = 0,
	.cpu_milli = 2000,
	.memory_bytes = 2 * GI,
	.processes = 512,
	.files = 4096,
	.disk_bytes = GI,
};

static const struct value_unit time_units[] = {
	{"ms", 1}, {"s", SECOND}, {"m", 60 * SECOND}, {"h", 3600 * SECOND}, {"d", DAY}, {NULL, 0},
};

static const struct value_unit size_units[] = {
	{"Ki", KI}, {"Mi", MI}, {"Gi", GI}, {"Ti", TI}, {NULL, 0},
};

static int decode_time(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct value_measure m = {
		.what = "limits.time",
		.units = time_units,
		.allowed = "a number and one of ms, s, m, h, d, as in 90m; from 1s to 365d",
		.min = SECOND,
		.max = 365 * DAY,
	};

	return value_measure(n, &m, out, err);
}

static int decode_cpu(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct value_range range = {"limits.cpu", 10, 1024000};
	uint64_t v = 0;
	int r = value_milli(n, &range, &v, err);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)v;
	return r;
}

static int decode_memory(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct value_measure m = {
		.what = "limits.memory",
		.units = size_units,
		.allowed = "a number and one of Ki, Mi, Gi, Ti, as in 512Mi; from 16Mi to 64Ti",
		.min = 16 * MI,
		.max = 64 * TI,
	};

	return value_measure(n, &m, out, err);
}

static int decode_disk(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct value_measure m = {
		.what = "limits.disk",
		.units = size_units,
		.allowed = "a number and one of Ki, Mi, Gi, Ti, as in 512Mi; from 1Mi to 64Ti",
		.min = MI,
		.max = 64 * TI,
	};

	return value_measure(n, &m, out, err);
}

static int decode_count(const struct yaml_node *n, const struct value_range *range, uint32_t *out,
			struct policy_err *err)
{
	uint64_t v = 0;
	int r = value_number(n, range, &v, err);

	if (r == 0)
		*out = (uint32_t)v;
	return r;
}

static int decode_processes(const struct yaml_node *n, void *out, struct policy_err *err)
{
	return decode_count(n, &(struct value_range){"limits.processes", 4, 4194304}, out, err);
}

static int decode_nofile(const struct yaml_node *n, void *out, struct policy_err *err)
{
	return decode_count(n, &(struct value_range){"limits.files", 16, 1048576}, out, err);
}

int policy_decode_limits(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"time", offsetof(struct policy_limits, time_ms), false, decode_time},
		{"cpu", offsetof(struct policy_limits, cpu_milli), false, decode_cpu},
		{"memory", offsetof(struct policy_limits, memory_bytes), false, decode_memory},
		{"processes", offsetof(struct policy_limits, processes), false, decode_processes},
		{"files", offsetof(struct policy_limits, files), false, decode_nofile},
		{"disk", offsetof(struct policy_limits, disk_bytes), false, decode_disk},
		{NULL, 0, false, NULL},
	};

	((struct policy_limits *)out)->mark = n->mark;
	return schema_decode(n, &(struct schema){"limits", fields}, out, err);
}
