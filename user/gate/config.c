/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up message of pinfoldd as a struct.
 */
#include "gate/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static bool name_ok(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 254 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* A member that must be a string: a copy of it. */
static int get_string(const json_t *o, const char *key, char **ret)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s)
		return -EINVAL;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int get_optional(const json_t *o, const char *key, char **ret)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	return get_string(o, key, ret);
}

static int get_number(const json_t *o, const char *key, json_int_t max, json_int_t *ret)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
		return -EINVAL;
	*ret = json_integer_value(v);
	return 0;
}

static int parse_address(const json_t *o, struct address *ret)
{
	const char *ip = json_string_value(json_object_get(o, "ip"));
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ret->sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->sa;
	json_int_t port;

	if (!ip || get_number(o, "port", UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	memset(&ret->sa, 0, sizeof(ret->sa));
	if (inet_pton(AF_INET, ip, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)port);
		ret->len = sizeof(*in4);
		return 0;
	}
	if (inet_pton(AF_INET6, ip, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		ret->len = sizeof(*in6);
		return 0;
	}
	return -EINVAL;
}

static int parse_addresses(const json_t *list, struct endpoint_config *e)
{
	size_t n = json_array_size(list);

	if (n == 0 || n > GATE_ADDRESSES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int r = parse_address(json_array_get(list, i), &e->addresses[i]);

		if (r < 0)
			return r;
	}
	e->n_addresses = n;
	return 0;
}

static const char *const tls_words[] = {
	[TLS_VERIFY_FULL] = "verify-full",
	[TLS_REQUIRE] = "require",
	[TLS_OFF] = "off",
};

const char *tls_mode_name(enum tls_mode mode)
{
	return tls_words[mode];
}

static int parse_tls(const json_t *o, enum tls_mode *ret)
{
	const char *s = json_string_value(json_object_get(o, "tls"));

	for (size_t i = 0; s && i < ARRAY_LEN(tls_words); i++) {
		if (strcmp(s, tls_words[i]) != 0)
			continue;
		*ret = (enum tls_mode)i;
		return 0;
	}
	return -EINVAL;
}

static int parse_endpoint(const json_t *o, size_t n_fds, struct endpoint_config *e,
			  const char **why)
{
	const char *type = json_string_value(json_object_get(o, "type"));
	json_int_t id, listener;

	*why = "endpoint: type is not postgres";
	if (!type || strcmp(type, "postgres") != 0)
		return -EINVAL;
	*why = "endpoint: id or listener missing or out of range";
	if (get_number(o, "id", UINT32_MAX, &id) < 0 ||
	    get_number(o, "listener", (json_int_t)n_fds - 1, &listener) < 0)
		return -EINVAL;
	e->id = (uint32_t)id;
	e->listener = (size_t)listener;
	*why = "endpoint: addresses missing or wrong";
	int r = parse_addresses(json_object_get(o, "addresses"), e);

	if (r < 0)
		return r;
	*why = "endpoint: tls is not verify-full, require or off";
	r = parse_tls(o, &e->tls);
	if (r < 0)
		return r;
	*why = "endpoint: name, host, database or user missing or wrong";
	r = get_string(o, "name", &e->name);
	if (r == 0 && !name_ok(e->name))
		r = -EINVAL;
	if (r == 0)
		r = get_string(o, "host", &e->host);
	if (r == 0)
		r = get_string(o, "database", &e->database);
	if (r == 0)
		r = get_string(o, "user", &e->user);
	if (r == 0)
		r = get_optional(o, "password", &e->password);
	if (r == 0)
		r = get_optional(o, "ca_pem", &e->ca_pem);
	return r;
}

static int parse_limits(const json_t *o, struct gate_config *c)
{
	json_int_t n;

	c->clients_max = GATE_CLIENTS_MAX;
	if (!json_object_get(o, "clients"))
		return 0;
	if (get_number(o, "clients", GATE_CLIENTS_MAX, &n) < 0 || n == 0)
		return -EINVAL;
	c->clients_max = (size_t)n;
	return 0;
}

static int parse_root(const json_t *root, size_t n_fds, struct gate_config *c, const char **why)
{
	const json_t *list = json_object_get(root, "endpoints");

	*why = "session missing or wrong";
	int r = get_string(root, "session", &c->session);

	if (r < 0 || !name_ok(c->session))
		return r < 0 ? r : -EINVAL;
	*why = "limits: clients out of range";
	r = parse_limits(json_object_get(root, "limits"), c);
	if (r < 0)
		return r;
	*why = "endpoints missing or too many";
	if (!json_is_array(list) || json_array_size(list) > GATE_ENDPOINTS_MAX)
		return -EINVAL;
	c->endpoints = calloc(json_array_size(list) + 1, sizeof(*c->endpoints));
	if (!c->endpoints)
		return -ENOMEM;
	c->n_endpoints = json_array_size(list);
	for (size_t i = 0; i < c->n_endpoints && r == 0; i++)
		r = parse_endpoint(json_array_get(list, i), n_fds, &c->endpoints[i], why);
	return r;
}

/* jansson frees the strings that it read; this makes it wipe them first. */
static void *wiping_malloc(size_t n)
{
	size_t *p = malloc(sizeof(max_align_t) + n);

	if (!p)
		return NULL;
	*p = n;
	return (char *)p + sizeof(max_align_t);
}

static void wiping_free(void *p)
{
	if (!p)
		return;
	size_t *head = (size_t *)(void *)((char *)p - sizeof(max_align_t));

	explicit_bzero(p, *head);
	free(head);
}

int config_parse(const char *text, size_t len, size_t n_fds, struct gate_config *ret,
		 const char **why)
{
	struct gate_config c = {0};

	json_set_alloc_funcs(wiping_malloc, wiping_free);
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	*why = "not a JSON object";
	int r = json_is_object(root) ? parse_root(root, n_fds, &c, why) : -EINVAL;

	json_decref(root);
	json_set_alloc_funcs(malloc, free);
	if (r < 0) {
		config_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void config_free(struct gate_config *c)
{
	for (size_t i = 0; i < c->n_endpoints; i++) {
		struct endpoint_config *e = &c->endpoints[i];

		free(e->name);
		free(e->host);
		free(e->database);
		free(e->user);
		wipe(e->password);
		free(e->ca_pem);
	}
	free(c->endpoints);
	free(c->session);
	memset(c, 0, sizeof(*c));
}
