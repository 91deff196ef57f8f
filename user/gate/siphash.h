/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SipHash-2-4 with a 128-bit result: a keyed hash for tables that an adversary fills.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), and the authors'
 * 128-bit variant.
 */
#ifndef GATE_SIPHASH_H
#define GATE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t a, b;
};

struct hash128 siphash128(const uint64_t key[2], const void *data, size_t len);

#endif
