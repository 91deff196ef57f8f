/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The databases of a policy.
 */
#include <errno.h>
#include <string.h>

#include "policy/schema.h"
#include "policy/value.h"

static const struct {
	const char *name;
	uint16_t port;
} db_types[] = {
	[POLICY_DB_POSTGRES] = {"postgres", 5432},
	[POLICY_DB_MYSQL] = {"mysql", 3306},
	[POLICY_DB_MSSQL] = {"mssql", 1433},
	[POLICY_DB_MONGODB] = {"mongodb", 27017},
};

const char *policy_db_type_name(enum policy_db_type type)
{
	return db_types[type].name;
}

uint16_t policy_db_type_port(enum policy_db_type type)
{
	return db_types[type].port;
}

static const char *const tls_words[] = {
	[POLICY_TLS_VERIFY_FULL] = "verify-full",
	[POLICY_TLS_REQUIRE] = "require",
	[POLICY_TLS_OFF] = "off",
	NULL,
};

const char *policy_tls_name(enum policy_tls tls)
{
	return tls_words[tls];
}

static int check_db_name(const struct yaml_node *n, bool first, struct policy_err *err)
{
	int r = value_scalar(n, "the name of a database", err);

	if (r < 0)
		return r;
	enum value_host kind = value_host_kind(n->text, strlen(n->text));

	if (kind == VALUE_HOST_BAD || (first && kind != VALUE_HOST_NAME))
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "bad name \"%s\" of a database: a host name in lower case%s",
				    policy_quote(n->text).text,
				    first ? "" : ", or an IP address without port or brackets");
	if (value_host_is_loopback(n->text) || value_address_refused(n->text))
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "\"%s\" cannot lead to a database: loopback, link-local and "
				    "multicast stay what they are in a session",
				    policy_quote(n->text).text);
	return 0;
}

static int decode_names(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy_list *names = out;
	const struct yaml_node *v = n->kind == YAML_LIST ? n->kids : n;
	size_t count = n->kind == YAML_LIST ? n->n_kids : 1;

	if (count == 0)
		return policy_error(err, n->mark, POLICY_E_MISSING,
				    "the name of a database is missing: a host name, or a list "
				    "that begins with one");
	if (count > POLICY_DB_NAMES_MAX)
		return policy_error(err, v[POLICY_DB_NAMES_MAX].mark, POLICY_E_LIMIT,
				    "too many names: at most %u for a database",
				    POLICY_DB_NAMES_MAX);
	names->given = true;
	names->mark = n->mark;
	names->items = calloc(count, sizeof(*names->items));
	if (!names->items)
		return policy_no_memory(err);
	for (size_t i = 0; i < count; i++) {
		int r = check_db_name(&v[i], i == 0, err);

		if (r == 0)
			r = value_text(&v[i], "the name of a database", POLICY_HOST_MAX,
				       &names->items[i], err);
		if (r < 0)
			return r;
		names->n++;
	}
	return 0;
}

static int decode_type(const struct yaml_node *n, void *out, struct policy_err *err)
{
	const char *words[ARRAY_LEN(db_types) + 1] = {NULL};
	int word = 0;

	for (size_t i = 0; i < ARRAY_LEN(db_types); i++)
		words[i] = db_types[i].name;
	int r = value_word(n, "type", words, &word, err);

	if (r < 0)
		return r;
	if (word != POLICY_DB_POSTGRES)
		return policy_error(err, n->mark, POLICY_E_UNAVAILABLE,
				    "type \"%s\" is not available yet: only postgres", words[word]);
	*(enum policy_db_type *)out = (enum policy_db_type)word;
	return 0;
}

static int decode_address(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy_db *db = out;
	int r = value_address(n, &db->host, &db->port, err);

	if (r < 0)
		return r;
	return value_text(n, "address", POLICY_SCALAR_MAX, &db->address, err);
}

static int decode_ident(const struct yaml_node *n, void *out, struct policy_err *err)
{
	return value_text(n, "the name of a database or user", POLICY_IDENT_MAX, out, err);
}

static int decode_tls(const struct yaml_node *n, void *out, struct policy_err *err)
{
	int word = 0;
	int r = value_word(n, "tls", tls_words, &word, err);

	if (r == 0)
		*(enum policy_tls *)out = (enum policy_tls)word;
	return r;
}

static int decode_file(const struct yaml_node *n, void *out, struct policy_err *err)
{
	return value_path(n, out, err);
}

static int secret_file(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy_secret *s = out;

	s->from = POLICY_SECRET_FILE;
	return value_path(n, &s->value, err);
}

/* Names of variables and of credentials: nothing that could be a path or an assignment. */
static int secret_word(const struct yaml_node *n, const char *what, struct policy_item *out,
		       struct policy_err *err)
{
	int r = value_text(n, what, 255, out, err);

	if (r < 0)
		return r;
	if (strpbrk(out->text, "/= ") || out->text[0] == '.')
		return policy_error(err, n->mark, POLICY_E_VALUE,
				    "bad value \"%s\" of %s: a name, not a path or a password",
				    policy_quote(out->text).text, what);
	return 0;
}

static int secret_env(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy_secret *s = out;

	s->from = POLICY_SECRET_ENV;
	return secret_word(n, "password.env", &s->value, err);
}

static int secret_systemd(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy_secret *s = out;

	s->from = POLICY_SECRET_SYSTEMD;
	return secret_word(n, "password.systemd", &s->value, err);
}

static int secret_vault(const struct yaml_node *n, void *out, struct policy_err *err)
{
	(void)out;
	return policy_error(err, n->mark, POLICY_E_UNAVAILABLE,
			    "passwords from a vault are not available yet: file, env or systemd");
}

static int decode_password(const struct yaml_node *n, void *out, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"file", 0, false, secret_file},
		{"env", 0, false, secret_env},
		{"systemd", 0, false, secret_systemd},
		{"vault", 0, false, secret_vault},
		{NULL, 0, false, NULL},
	};

	if (n->kind != YAML_MAP)
		return policy_error(err, n->mark, POLICY_E_TYPE,
				    "a password is not written here but where it is: "
				    "{ file: PATH }, { env: NAME } or { systemd: NAME }");
	if (n->n_kids != 2)
		return policy_error(err, n->kids ? n->kids[n->n_kids - 2].mark : n->mark,
				    POLICY_E_VALUE,
				    "password needs one of file, env, systemd: exactly one");
	return schema_decode(n, &(struct schema){"password", fields}, out, err);
}

static int decode_db(const struct yaml_node *n, struct policy_db *db, struct policy_err *err)
{
	static const struct schema_field fields[] = {
		{"name", offsetof(struct policy_db, names), true, decode_names},
		{"type", offsetof(struct policy_db, type), true, decode_type},
		{"address", 0, true, decode_address},
		{"database", offsetof(struct policy_db, database), true, decode_ident},
		{"user", offsetof(struct policy_db, user), true, decode_ident},
		{"password", offsetof(struct policy_db, password), false, decode_password},
		{"tls", offsetof(struct policy_db, tls), false, decode_tls},
		{"ca", offsetof(struct policy_db, ca), false, decode_file},
		{NULL, 0, false, NULL},
	};

	db->mark = n->mark;
	int r = schema_decode(n, &(struct schema){"a database", fields}, db, err);

	if (r < 0)
		return r;
	if (db->port == 0)
		db->port = policy_db_type_port(db->type);
	if (db->ca.text && db->tls != POLICY_TLS_VERIFY_FULL)
		return policy_error(err, db->ca.mark, POLICY_E_VALUE,
				    "ca has no meaning with \"tls: %s\": only verify-full looks "
				    "at certificates",
				    policy_tls_name(db->tls));
	return 0;
}

/* The databases before this one, and its own names before item. */
static int check_unique(const struct policy *p, const struct policy_item *item,
			struct policy_err *err)
{
	for (size_t d = 0; d < p->n_dbs; d++)
		for (size_t i = 0; i < p->dbs[d].names.n; i++) {
			const struct policy_item *other = &p->dbs[d].names.items[i];

			if (other == item)
				return 0;
			if (!strcmp(other->text, item->text))
				return policy_error(err, item->mark, POLICY_E_VALUE,
						    "name \"%s\" is taken: see line %u",
						    policy_quote(item->text).text,
						    other->mark.line);
		}
	return 0;
}

int policy_decode_databases(const struct yaml_node *n, void *out, struct policy_err *err)
{
	struct policy *p = out;

	if (n->kind != YAML_LIST)
		return policy_error(err, n->mark, POLICY_E_TYPE,
				    "databases must be a list: each begins with \"- name:\"");
	if (n->n_kids > POLICY_DATABASES_MAX)
		return policy_error(err, n->kids[POLICY_DATABASES_MAX].mark, POLICY_E_LIMIT,
				    "too many databases: at most %u", POLICY_DATABASES_MAX);
	p->dbs = calloc(n->n_kids ? n->n_kids : 1, sizeof(*p->dbs));
	if (!p->dbs)
		return policy_no_memory(err);
	for (size_t i = 0; i < n->n_kids; i++) {
		struct policy_db *db = &p->dbs[p->n_dbs++];
		int r = decode_db(&n->kids[i], db, err);

		for (size_t j = 0; r == 0 && j < db->names.n; j++)
			r = check_unique(p, &db->names.items[j], err);
		if (r < 0)
			return r;
	}
	return 0;
}
