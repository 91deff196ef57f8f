/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checked policy: its end, its words, its errors, and what a caller's own file may not say.
 */
#include "policy/policy.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

int policy_error(struct policy_err *err, struct policy_mark mark, enum policy_code code,
		 const char *fmt, ...)
{
	va_list ap;

	err->line = mark.line;
	err->column = mark.column;
	err->code = (int)code;
	va_start(ap, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static void list_free(struct policy_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].text);
	free(list->items);
}

static void db_free(struct policy_db *db)
{
	list_free(&db->names);
	free(db->address.text);
	free(db->host);
	free(db->database.text);
	free(db->user.text);
	free(db->password.value.text);
	free(db->ca.text);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_dbs; i++)
		db_free(&p->dbs[i]);
	free(p->dbs);
	free(p->name.text);
	list_free(&p->read);
	list_free(&p->write);
	list_free(&p->deny);
	list_free(&p->exec);
	free(p);
}

bool policy_list_covers(const struct policy_list *list, const char *path)
{
	for (size_t i = 0; i < list->n; i++)
		if (path_in(path, list->items[i].text))
			return true;
	return false;
}

const char *policy_network_name(enum policy_network mode)
{
	switch (mode) {
	case POLICY_NET_NONE:
		return "none";
	case POLICY_NET_HOST_ONLY:
		return "host-only";
	case POLICY_NET_LIMITED:
		return "limited";
	case POLICY_NET_FULL:
		return "full";
	}
	return "?";
}

const char *policy_action_name(enum policy_action action)
{
	switch (action) {
	case POLICY_ACTION_RECORD:
		return "record";
	case POLICY_ACTION_FREEZE:
		return "freeze";
	case POLICY_ACTION_KILL:
		return "kill";
	}
	return "?";
}

const char *policy_unattended_name(enum policy_unattended unattended)
{
	switch (unattended) {
	case POLICY_UNATTENDED_NO_CONNECTIONS:
		return "no-connections";
	case POLICY_UNATTENDED_ALLOW:
		return "allow";
	case POLICY_UNATTENDED_STOP:
		return "stop";
	}
	return "?";
}

int policy_check_untrusted(const struct policy *p, struct policy_err *err)
{
	if (p->n_dbs == 0)
		return 0;
	/* The address is where the harm is: with it, the gate connects wherever the caller says. */
	(void)policy_error(err, p->dbs[0].address.mark, POLICY_E_UNTRUSTED,
			   "a database's address and credentials are taken only from policies that "
			   "root owns: put this policy into /etc/pinfold/policies.d");
	return -EPERM;
}

int policy_hash(const void *data, size_t len, uint8_t ret[POLICY_HASH_LEN])
{
	if (EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM; /* the only way that it fails with a digest that is built in */
	return 0;
}
