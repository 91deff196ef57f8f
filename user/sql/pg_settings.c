/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PostgreSQL settings that a client may change: a table with a check for each. What drivers,
 * psql and pg_dump set at start is here; what changes how text is read, how much memory a query
 * takes or whether it may write is not, or only to the value the gate has set already.
 */
#include "sql/pg_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/result.h"

/* A whole word of letters, digits and these. */
static bool only(const char *s, const char *more)
{
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9');

		if (!plain && !strchr(more, *s))
			return false;
	}
	return true;
}

/* Checks get the words their row allows; they may put another spelling in *canonical. */
typedef bool check_fn(const char *value, const char *words, const char **canonical);

/* One of words, which are separated by '|', in any case. The spelling of the list is taken. */
static bool check_word(const char *value, const char *words, const char **canonical)
{
	size_t n = strlen(value);

	(void)canonical;
	for (const char *w = words;; w++) {
		size_t len = strcspn(w, "|");

		if (len == n && n > 0 && !strncasecmp(w, value, n))
			return true;
		w += len;
		if (!*w)
			return false;
	}
}

static bool check_bool(const char *value, const char *words, const char **canonical)
{
	bool yes = check_word(value, "on|true|yes|1|t|y", canonical);

	if (!yes && !check_word(value, "off|false|no|0|f|n", canonical))
		return false;
	*canonical = yes ? "on" : "off";
	/* words, when given, is the one value that is allowed. */
	return !words || !strcmp(words, *canonical);
}

static bool check_utf8(const char *value, const char *words, const char **canonical)
{
	if (!check_word(value, words, canonical))
		return false;
	*canonical = "UTF8";
	return true;
}

/*
 * A small integer, a time, ...: the server judges the number. Timeouts among them: one that a
 * server or an account has is a default that PostgreSQL lets every client change, and a policy has
 * none.
 */
static bool check_number(const char *value, const char *words, const char **canonical)
{
	(void)words;
	(void)canonical;
	if (*value == '-')
		value++;
	return *value >= '0' && *value <= '9' && strlen(value) <= 16 && only(value, ". ");
}

/* A short text of letters, digits and the characters in words. */
static bool check_chars(const char *value, const char *words, const char **canonical)
{
	(void)canonical;
	return *value && strlen(value) <= 63 && only(value, words);
}

static bool check_application(const char *value, const char *words, const char **canonical)
{
	(void)words;
	(void)canonical;
	if (strlen(value) > 63)
		return false;
	for (; *value; value++)
		if (*value < 0x20 || *value > 0x7e)
			return false;
	return true;
}

static const struct setting {
	const char *name;
	check_fn *check;
	const char *words;
	const char *rule; /* of a refused value */
} settings[] = {
	{"application_name", check_application, NULL, "P35"},
	{"bytea_output", check_word, "hex|escape", "P35"},
	{"check_function_bodies", check_bool, NULL, "P35"},
	{"client_encoding", check_utf8, "utf8|utf-8|unicode", "P20"},
	{"client_min_messages", check_word,
	 "debug5|debug4|debug3|debug2|debug1|debug|log|notice|warning|error", "P35"},
	{"datestyle", check_chars, ", ", "P35"},
	{"default_transaction_deferrable", check_bool, NULL, "P35"},
	{"default_transaction_isolation", check_word,
	 "read uncommitted|read committed|repeatable read|serializable", "P35"},
	{"default_transaction_read_only", check_bool, "on", "P32"},
	{"extra_float_digits", check_number, NULL, "P35"},
	{"idle_in_transaction_session_timeout", check_number, NULL, "P35"},
	{"idle_session_timeout", check_number, NULL, "P35"},
	{"intervalstyle", check_word, "sql_standard|postgres|postgres_verbose|iso_8601", "P35"},
	{"jit", check_bool, NULL, "P35"},
	{"lock_timeout", check_number, NULL, "P35"},
	{"quote_all_identifiers", check_bool, NULL, "P35"},
	{"row_security", check_bool, NULL, "P35"},
	{"standard_conforming_strings", check_bool, "on", "P22"},
	{"statement_timeout", check_number, NULL, "P35"},
	{"synchronize_seqscans", check_bool, NULL, "P35"},
	/* A name of the tz database, an offset, or a POSIX rule; no dots, so no path out of the
	 * database. */
	{"timezone", check_chars, "_/+-:<>,", "P35"},
	{"transaction_read_only", check_bool, "on", "P32"},
	{"transaction_timeout", check_number, NULL, "P35"},
	{"xmloption", check_word, "content|document", "P35"},
};

/* Settings that are refused for a reason of their own. */
static const struct {
	const char *name;
	const char *rule;
} refused[] = {
	{"backslash_quote", "P23"},	  {"escape_string_warning", "P23"},
	{"transform_null_equals", "P23"}, {"role", "P37"},
	{"session_authorization", "P37"},
};

static const struct setting *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (!strcasecmp(settings[i].name, name))
			return &settings[i];
	return NULL;
}

static int deny_setting(struct sql_result *r, const char *name)
{
	const char *rule = "P35";

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (!strcasecmp(refused[i].name, name))
			rule = refused[i].rule;
	if (!strncasecmp(name, "plpgsql.", 8))
		rule = "P23";
	return result_deny(r, rule, STATE_FORBIDDEN, "the setting %.63s cannot be changed here",
			   name);
}

static int deny_value(struct sql_result *r, const struct setting *s, const char *value)
{
	bool write = !strcmp(s->rule, "P32");

	return result_deny(r, s->rule, write ? STATE_READ_ONLY : STATE_FORBIDDEN,
			   "%s cannot be set to \"%.63s\" here", s->name, value);
}

static int take(struct sql_result *r, const char *name, const char *value)
{
	if (result_copy(r->name, sizeof(r->name), name) < 0 ||
	    result_copy(r->value, sizeof(r->value), value) < 0)
		return result_deny(r, "P35", STATE_FORBIDDEN, "the value of %.63s is too long",
				   name);
	return 0;
}

static bool append(char *out, size_t size, const char *s, size_t n)
{
	size_t used = strlen(out);

	if (n >= size - used)
		return false;
	memcpy(out + used, s, n);
	out[used + n] = '\0';
	return true;
}

/* Before the items of a list, except the first. */
static bool append_comma(char *out, size_t size, size_t index)
{
	return index == 0 || append(out, size, ", ", 2);
}

/* As an identifier that is quoted whatever it holds. */
static bool append_quoted(char *out, size_t size, const char *name)
{
	bool ok = append(out, size, "\"", 1);

	for (; ok && *name; name++)
		ok = append(out, size, name, 1) && (*name != '"' || append(out, size, name, 1));
	return ok && append(out, size, "\"", 1);
}

/*
 * A search_path may not put anything before pg_catalog: overloads would take over the names of
 * built-in functions (P42). Where pg_catalog is not named, PostgreSQL looks there first.
 */
static bool fit_for_path(const char *name, size_t index)
{
	if (!*name || strlen(name) >= SQL_NAME_SIZE || !strncmp(name, "pg_temp", 7) ||
	    !strncmp(name, "pg_toast", 8))
		return false;
	return index == 0 || strcmp(name, "pg_catalog") != 0;
}

static int set_path(struct sql_result *r, const char *const *names, size_t n)
{
	char path[SQL_VALUE_SIZE] = "";

	/* SET search_path TO '' names one schema without a name: the empty path. */
	if (n == 1 && !names[0][0])
		n = 0;
	for (size_t i = 0; i < n; i++) {
		if (!fit_for_path(names[i], i))
			return result_deny(r, "P42", STATE_FORBIDDEN,
					   "search_path cannot have \"%.63s\" in this place",
					   names[i]);
		if (!append_comma(path, sizeof(path), i) ||
		    !append_quoted(path, sizeof(path), names[i]))
			return result_deny(r, "P35", STATE_FORBIDDEN,
					   "the search_path is too long");
	}
	return take(r, "search_path", path);
}

/* "view, foreign-table" of restrict_nonsystem_relation_kind: it only restricts. */
static int set_restrict(struct sql_result *r, const char *value)
{
	if (strlen(value) > 63 || !only(value, "-, "))
		return result_deny(r, "P35", STATE_FORBIDDEN,
				   "restrict_nonsystem_relation_kind cannot be set to this");
	return take(r, "restrict_nonsystem_relation_kind", value);
}

int pg_setting_set(struct sql_result *r, const char *name, const char *const *values, size_t n)
{
	const struct setting *s = find(name);
	char joined[SQL_VALUE_SIZE] = "";
	const char *canonical = joined;

	if (!strcasecmp(name, "search_path"))
		return set_path(r, values, n);
	for (size_t i = 0; i < n; i++)
		if (!append_comma(joined, sizeof(joined), i) ||
		    !append(joined, sizeof(joined), values[i], strlen(values[i])))
			return result_deny(r, "P35", STATE_FORBIDDEN, "the value is too long");
	if (!strcasecmp(name, "restrict_nonsystem_relation_kind"))
		return set_restrict(r, joined);
	if (!s)
		return deny_setting(r, name);
	if (!s->check(joined, s->words, &canonical))
		return deny_value(r, s, joined);
	return take(r, s->name, canonical);
}

/* One name of a list as set_config() reads it: quoted, or folded to lower case. Moves *in behind.
 */
static bool next_name(const char **in, char *out, size_t size)
{
	const char *p = *in + strspn(*in, " \t\n\r\f");
	bool quoted = *p == '"', closed = !quoted;
	size_t n = 0;

	for (p += quoted; *p && n + 1 < size; p++) {
		if (quoted && *p == '"' && *++p != '"') {
			closed = true;
			break;
		}
		/* Since 16 a vertical tab is white space too; here it ends nothing but the name. */
		if (!quoted && strchr(", \t\n\r\f\v\"", *p))
			break;
		out[n++] = (char)(!quoted && *p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	}
	out[n] = '\0';
	if (n == 0 || n + 1 >= size || !closed)
		return false;
	p += strspn(p, " \t\n\r\f");
	*in = p;
	return true;
}

static int config_path(struct sql_result *r, const char *value)
{
	char names[PG_VALUES_MAX][SQL_NAME_SIZE + 1];
	const char *list[PG_VALUES_MAX], *p = value;
	size_t n = 0;

	while (p[strspn(p, " \t\n\r\f")]) {
		if (n == PG_VALUES_MAX || !next_name(&p, names[n], sizeof(names[n])) ||
		    (*p && *p != ',') || (*p == ',' && !p[1]))
			return result_deny(r, "P35", STATE_FORBIDDEN,
					   "this is not a list of schemas");
		list[n] = names[n];
		n++;
		p += *p == ',';
	}
	return set_path(r, list, n);
}

int pg_setting_config(struct sql_result *r, const char *name, const char *value)
{
	if (!strcasecmp(name, "search_path"))
		return config_path(r, value);
	return pg_setting_set(r, name, &value, 1);
}

int pg_setting_reset(struct sql_result *r, const char *name)
{
	const struct setting *s = find(name);
	bool path = !strcasecmp(name, "search_path");

	if (!s && !path)
		return deny_setting(r, name);
	/* Its default is off, whatever BEGIN said. */
	if (s && !strcmp(s->name, "transaction_read_only"))
		return deny_value(r, s, "default");
	r->is_default = true;
	return take(r, path ? "search_path" : s->name, "");
}
