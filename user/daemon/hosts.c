/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of endpoints.
 */
#include "daemon/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int hosts_parse(const char *text, uint8_t ret[16])
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), &v4, sizeof(v4));
		return 0;
	}
	return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}

bool hosts_is_address(const char *text)
{
	uint8_t addr[16];

	return hosts_parse(text, addr) == 0;
}

static const char *objection4(const uint8_t a[4])
{
	if (a[0] == 127)
		return "a loopback address";
	if (a[0] == 0)
		return "no address of a host";
	if (a[0] == 169 && a[1] == 254)
		return "a link-local address (cloud metadata is served there)";
	return a[0] >= 224 ? "a multicast or reserved address" : NULL;
}

/* The metadata services of clouds that are not on link-local addresses. */
static bool is_metadata(const uint8_t a[16])
{
	static const char *const known[] = {"fd00:ec2::254", "100.100.100.200", "168.63.129.16"};
	uint8_t addr[16];

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (hosts_parse(known[i], addr) == 0 && memcmp(addr, a, sizeof(addr)) == 0)
			return true;
	return false;
}

static const char *objection6(const uint8_t a[16])
{
	static const uint8_t zero[16];

	if (memcmp(a, zero, 15) == 0)
		return a[15] == 1 ? "a loopback address" : "no address of a host";
	if (a[0] == 0xfe && (a[1] & 0xc0) == 0x80)
		return "a link-local address";
	return a[0] == 0xff ? "a multicast address" : NULL;
}

static bool same_address(const struct sockaddr *sa, const uint8_t a[16])
{
	if (!sa)
		return false;
	if (sa->sa_family == AF_INET)
		return memcmp(a, mapped, sizeof(mapped)) == 0 &&
		       memcmp(a + 12, &((const struct sockaddr_in *)sa)->sin_addr, 4) == 0;
	return sa->sa_family == AF_INET6 &&
	       memcmp(a, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16) == 0;
}

/* Unknown counts as own. */
static bool is_own(const uint8_t a[16])
{
	struct ifaddrs *list;
	bool own = false;

	if (getifaddrs(&list) < 0)
		return true;
	for (const struct ifaddrs *i = list; i && !own; i = i->ifa_next)
		own = same_address(i->ifa_addr, a);
	freeifaddrs(list);
	return own;
}

const char *hosts_objection(const uint8_t addr[16])
{
	const char *why = memcmp(addr, mapped, sizeof(mapped)) == 0 ? objection4(addr + 12)
								    : objection6(addr);

	if (why)
		return why;
	if (is_metadata(addr))
		return "a cloud's metadata service";
	return is_own(addr) ? "an address of this machine" : NULL;
}
