/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and addresses of hosts, as values of a policy. Nothing is looked up.
 */
#include "policy/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* Labels of 1 to 63 letters, digits, "-" and "_", no dash at either end; the last no number. */
static bool is_host_name(const char *text, size_t len)
{
	const char *end = text + len;
	bool number = true;

	if (len == 0 || len > POLICY_HOST_MAX)
		return false;
	for (const char *p = text; p <= end;) {
		const char *dot = memchr(p, '.', (size_t)(end - p));
		size_t n = (size_t)((dot ? dot : end) - p);

		if (n < 1 || n > 63 || p[0] == '-' || p[n - 1] == '-')
			return false;
		number = true;
		for (size_t i = 0; i < n; i++) {
			if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", p[i]))
				return false;
			number = number && p[i] >= '0' && p[i] <= '9';
		}
		p += n + 1;
	}
	return !number;
}

enum value_host value_host_kind(const char *text, size_t len)
{
	char copy[POLICY_HOST_MAX + 1];
	unsigned char addr[sizeof(struct in6_addr)];

	if (len > POLICY_HOST_MAX || memchr(text, '\0', len))
		return VALUE_HOST_BAD;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (inet_pton(AF_INET, copy, addr) == 1)
		return VALUE_HOST_IP4;
	if (inet_pton(AF_INET6, copy, addr) == 1)
		return VALUE_HOST_IP6;
	return is_host_name(copy, len) ? VALUE_HOST_NAME : VALUE_HOST_BAD;
}

static bool ip4_refused(const uint8_t *a)
{
	return a[0] == 0 || a[0] >= 224 || (a[0] == 169 && a[1] == 254);
}

bool value_address_refused(const char *text)
{
	struct in6_addr a;
	uint8_t a4[4];

	if (inet_pton(AF_INET, text, a4) == 1)
		return ip4_refused(a4);
	if (inet_pton(AF_INET6, text, &a) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&a) || (IN6_IS_ADDR_V4COMPAT(&a) && !IN6_IS_ADDR_LOOPBACK(&a)))
		return ip4_refused(a.s6_addr + 12);
	return IN6_IS_ADDR_UNSPECIFIED(&a) || IN6_IS_ADDR_MULTICAST(&a) ||
	       IN6_IS_ADDR_LINKLOCAL(&a);
}

bool value_host_is_loopback(const char *text)
{
	static const char local[] = "localhost";
	struct in6_addr a;
	uint8_t a4[4];
	size_t len = strlen(text), n = sizeof(local) - 1;

	if (inet_pton(AF_INET, text, a4) == 1)
		return a4[0] == 127;
	if (inet_pton(AF_INET6, text, &a) == 1)
		return IN6_IS_ADDR_LOOPBACK(&a) ||
		       (IN6_IS_ADDR_V4MAPPED(&a) && a.s6_addr[12] == 127);
	return len >= n && !strcmp(text + len - n, local) && (len == n || text[len - n - 1] == '.');
}

/* Digits up to 65535, not 0. */
static bool port_ok(const char *s, uint16_t *ret)
{
	uint32_t v = 0;
	size_t n = strspn(s, "0123456789");

	if (n < 1 || n > 5 || s[n])
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint32_t)(s[i] - '0');
	*ret = (uint16_t)v;
	return v >= 1 && v <= UINT16_MAX;
}

/* Split at the colon before the port: the length of the host, its start moved past a bracket. */
static bool split_address(const char **host, size_t *len, const char **port)
{
	const char *s = *host;
	const char *end = s[0] == '[' ? strchr(s, ']') : strchr(s, ':');
	size_t open = s[0] == '[';

	if (open && !end)
		return false;
	*host = s + open;
	*len = end ? (size_t)(end - *host) : strlen(*host);
	const char *rest = *host + *len + open;

	*port = *rest ? rest + 1 : NULL;
	if (*rest && *rest != ':')
		return false;
	return (value_host_kind(*host, *len) == VALUE_HOST_IP6) == (open == 1);
}

int value_address(const struct yaml_node *n, char **host, uint16_t *port, struct policy_err *err)
{
	int r = value_scalar(n, "address", err);

	if (r < 0)
		return r;
	const char *name = n->text, *port_text = NULL;
	size_t len = 0;
	uint16_t number = 0;

	if (!split_address(&name, &len, &port_text) ||
	    value_host_kind(name, len) == VALUE_HOST_BAD ||
	    (port_text && !port_ok(port_text, &number)))
		return policy_error(
			err, n->mark, POLICY_E_VALUE,
			"bad address \"%s\": HOST, HOST:PORT or [IPV6]:PORT, host names "
			"in lower case, ports from 1 to 65535",
			policy_quote(n->text).text);
	char *copy = strndup(name, len);

	if (!copy)
		return policy_no_memory(err);
	if (value_address_refused(copy)) {
		free(copy);
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "address \"%s\" is unspecified, multicast or link-local: no "
				    "gate connects there",
				    policy_quote(n->text).text);
	}
	*host = copy;
	*port = number;
	return 0;
}
