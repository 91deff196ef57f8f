/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements that the PostgreSQL classifier knows. Each function judges one kind of statement
 * and fills in what the gate has to know; the dispatch at the end is the allow-list.
 */
#include "sql/pg_stmt.h"

#include <errno.h>

#include "storage/lockdefs.h"
#include "sql/pg_names.h"
#include "sql/pg_settings.h"
#include "sql/result.h"

static int allow(struct pg_walk *w, enum sql_kind kind)
{
	w->result->verdict = SQL_ALLOW;
	w->result->kind = (uint8_t)kind;
	return 0;
}

/* Allowed under a name of the client's; NULL: none was given. */
static int allow_named(struct pg_walk *w, enum sql_kind kind, const char *name)
{
	if (result_copy(w->result->name, sizeof(w->result->name), name ? name : "") < 0)
		return pg_deny(w, -1, "P35", STATE_UNSUPPORTED, "a name of more than 63 bytes");
	return allow(w, kind);
}

/* Nothing but a SELECT may stand inside another statement. */
static int walk_inner(struct pg_walk *w, const Node *query)
{
	int r;

	if (IsA(query, SelectStmt))
		return pg_walk_tree(w, query);
	r = pg_deny_statement(w, query, true);
	/* Not a WITH clause: the row for the statement itself. */
	if (!strcmp(w->result->rule, "P25"))
		result_rule(w->result, "P24");
	return r;
}

/* A constant's text into buf (at least 32 bytes, for numbers) or where it stands; NULL: not one. */
static const char *const_text(const Node *node, char *buf, size_t size)
{
	const A_Const *c = (const A_Const *)node;

	if (!node || !IsA(node, A_Const) || c->isnull)
		return NULL;
	switch (nodeTag(&c->val.node)) {
	case T_String:
		return c->val.sval.sval;
	case T_Float:
		return c->val.fval.fval;
	case T_Boolean:
		return c->val.boolval.boolval ? "on" : "off";
	case T_Integer:
		return snprintf(buf, size, "%d", c->val.ival.ival) > 0 ? buf : NULL;
	default:
		return NULL;
	}
}

/* set_config(...) as pg_dump and drivers call it; the parts that may vary. */
struct config_call {
	const Node *name; /* constant, or the column pg_settings.name */
	const char *value;
	bool local;
};

static const Node *arg_at(const List *l, int i)
{
	return l && i < l->length ? l->elements[i].ptr_value : NULL;
}

/* SELECT set_config(NAME, 'value', BOOL) without anything else that runs. */
static bool match_config(const SelectStmt *s, struct config_call *ret)
{
	const ResTarget *target = (const ResTarget *)arg_at(s->targetList, 0);
	const FuncCall *f;
	const A_Const *local;
	char number[32];
	const char *name, *schema = NULL;

	if (!target || s->targetList->length != 1 || s->distinctClause || s->intoClause ||
	    s->groupClause || s->havingClause || s->windowClause || s->valuesLists ||
	    s->sortClause || s->limitOffset || s->limitCount || s->lockingClause || s->withClause ||
	    s->op != SETOP_NONE)
		return false;
	f = (const FuncCall *)target->val;
	if (target->indirection || !f || !IsA(f, FuncCall) || !f->args || f->args->length != 3 ||
	    f->agg_order || f->agg_filter || f->over || f->agg_star || f->agg_distinct ||
	    f->func_variadic)
		return false;
	name = strVal(arg_at(f->funcname, f->funcname->length - 1));
	if (f->funcname->length == 2)
		schema = strVal(arg_at(f->funcname, 0));
	if (f->funcname->length > 2 || strcmp(name, "set_config") != 0 ||
	    (schema && strcmp(schema, "pg_catalog") != 0))
		return false;
	local = (const A_Const *)arg_at(f->args, 2);
	ret->name = arg_at(f->args, 0);
	ret->value = const_text(arg_at(f->args, 1), number, sizeof(number));
	if (!ret->value || ret->value == number || !IsA(local, A_Const) || local->isnull ||
	    !IsA(&local->val.node, Boolean))
		return false;
	ret->local = local->val.boolval.boolval;
	return true;
}

static bool is_column_name(const Node *node)
{
	const ColumnRef *c = (const ColumnRef *)node;
	const Node *field;

	if (!node || !IsA(node, ColumnRef) || c->fields->length != 1)
		return false;
	field = arg_at(c->fields, 0);
	return IsA(field, String) && !strcmp(strVal(field), "name");
}

/* FROM pg_settings WHERE name = 'x', as pg_dump asks when a setting may not exist: 'x', or NULL. */
static const char *match_settings_row(const SelectStmt *s, char *buf, size_t size)
{
	const RangeVar *from = (const RangeVar *)arg_at(s->fromClause, 0);
	const A_Expr *where = (const A_Expr *)s->whereClause;

	if (!from || s->fromClause->length != 1 || !IsA(from, RangeVar) || from->alias ||
	    from->catalogname || strcmp(from->relname, "pg_settings") != 0 ||
	    (from->schemaname && strcmp(from->schemaname, "pg_catalog") != 0))
		return NULL;
	if (!where || !IsA(where, A_Expr) || where->kind != AEXPR_OP || where->name->length != 1 ||
	    strcmp(strVal(arg_at(where->name, 0)), "=") != 0 || !is_column_name(where->lexpr))
		return NULL;
	return const_text(where->rexpr, buf, size);
}

/* 1: it is set_config() in a form that is known, and was judged into *ret. 0: it is not. */
static int select_config(struct pg_walk *w, const SelectStmt *s, int *ret)
{
	struct config_call call;
	const char *name;
	char buf[32];

	if (!match_config(s, &call))
		return 0;
	if (!s->fromClause && !s->whereClause)
		name = const_text(call.name, buf, sizeof(buf));
	else
		name = is_column_name(call.name) ? match_settings_row(s, buf, sizeof(buf)) : NULL;
	if (!name)
		return 0;
	w->result->literal_independent = false;
	*ret = pg_setting_config(w->result, name, call.value);
	if (*ret == 0) {
		w->result->local = call.local;
		w->result->returns_row = true;
		*ret = allow(w, SQL_KIND_SET);
	}
	return 1;
}

static int on_select(struct pg_walk *w, const Node *node)
{
	int r;

	if (select_config(w, (const SelectStmt *)node, &r))
		return r;
	r = pg_walk_tree(w, node);
	return r < 0 ? r : allow(w, SQL_KIND_SELECT);
}

static int on_explain(struct pg_walk *w, const Node *node)
{
	static const char *const known[] = {"analyze", "verbose", "costs",   "settings", "buffers",
					    "wal",     "timing",  "summary", "format"};
	const ExplainStmt *s = (const ExplainStmt *)node;
	int r;

	for (int i = 0; s->options && i < s->options->length; i++) {
		const DefElem *d = (const DefElem *)arg_at(s->options, i);
		bool ok = false;

		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			ok |= !strcmp(d->defname, known[k]);
		if (!ok)
			return pg_deny(w, d->location, "P29", STATE_UNSUPPORTED,
				       "an option of EXPLAIN that is not known");
	}
	r = walk_inner(w, s->query);
	if (r == -EPERM && !IsA(s->query, SelectStmt))
		result_rule(w->result, "P28");
	return r < 0 ? r : allow(w, SQL_KIND_EXPLAIN);
}

static int check_copy_option(struct pg_walk *w, const DefElem *d)
{
	static const char *const known[] = {"format", "delimiter", "null",	  "header",
					    "quote",  "escape",	   "force_quote", "freeze"};
	const Node *arg = d->arg;

	if (!strcmp(d->defname, "encoding") && arg && IsA(arg, String) &&
	    (!strcasecmp(strVal(arg), "utf8") || !strcasecmp(strVal(arg), "utf-8")))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(d->defname, known[i]))
			return 0;
	return pg_deny(w, d->location, !strcmp(d->defname, "encoding") ? "P20" : "P31",
		       STATE_FORBIDDEN, "an option of COPY that is not allowed");
}

static int on_copy(struct pg_walk *w, const Node *node)
{
	const CopyStmt *s = (const CopyStmt *)node;
	int r = 0;

	if (s->is_program)
		return pg_deny(w, -1, "P31", STATE_FORBIDDEN,
			       "COPY PROGRAM runs programs on the server");
	if (s->is_from)
		return pg_deny(w, -1, "P31", STATE_READ_ONLY, "COPY FROM is a write");
	if (s->filename)
		return pg_deny(w, -1, "P31", STATE_FORBIDDEN,
			       "COPY TO a file writes on the server");
	for (int i = 0; r == 0 && s->options && i < s->options->length; i++)
		r = check_copy_option(w, (const DefElem *)arg_at(s->options, i));
	if (r == 0 && s->relation)
		r = pg_walk_tree(w, s->relation);
	/* A whole table is all its columns. */
	if (r == 0 && w->partly_secret)
		r = pg_deny(w, -1, "P69", STATE_FORBIDDEN, "this table holds credentials");
	if (r == 0 && s->attlist)
		r = pg_walk_tree(w, s->attlist);
	if (r == 0 && !s->relation)
		r = walk_inner(w, s->query);
	return r < 0 ? r : allow(w, SQL_KIND_COPY_OUT);
}

static int on_declare(struct pg_walk *w, const Node *node)
{
	const DeclareCursorStmt *s = (const DeclareCursorStmt *)node;
	const int known = CURSOR_OPT_BINARY | CURSOR_OPT_SCROLL | CURSOR_OPT_NO_SCROLL |
			  CURSOR_OPT_INSENSITIVE | CURSOR_OPT_ASENSITIVE | CURSOR_OPT_FAST_PLAN;
	int r;

	if (s->options & CURSOR_OPT_HOLD)
		return pg_deny(w, -1, "P17", STATE_UNSUPPORTED,
			       "DECLARE ... WITH HOLD outlives its transaction");
	if (s->options & ~known)
		return pg_deny(w, -1, "P17", STATE_UNSUPPORTED, "an option of DECLARE");
	r = walk_inner(w, s->query);
	return r < 0 ? r : allow_named(w, SQL_KIND_DECLARE, s->portalname);
}

static int on_fetch(struct pg_walk *w, const Node *node)
{
	return allow_named(w, SQL_KIND_FETCH, ((const FetchStmt *)node)->portalname);
}

static int on_close(struct pg_walk *w, const Node *node)
{
	return allow_named(w, SQL_KIND_CLOSE, ((const ClosePortalStmt *)node)->portalname);
}

static int on_prepare(struct pg_walk *w, const Node *node)
{
	const PrepareStmt *s = (const PrepareStmt *)node;
	int r = s->argtypes ? pg_walk_tree(w, s->argtypes) : 0;

	if (r == 0)
		r = walk_inner(w, s->query);
	return r < 0 ? r : allow_named(w, SQL_KIND_PREPARE, s->name);
}

static int on_execute(struct pg_walk *w, const Node *node)
{
	const ExecuteStmt *s = (const ExecuteStmt *)node;
	int r = s->params ? pg_walk_tree(w, s->params) : 0;

	return r < 0 ? r : allow_named(w, SQL_KIND_EXECUTE, s->name);
}

static int on_deallocate(struct pg_walk *w, const Node *node)
{
	return allow_named(w, SQL_KIND_DEALLOCATE, ((const DeallocateStmt *)node)->name);
}

static int on_show(struct pg_walk *w, const Node *node)
{
	return allow_named(w, SQL_KIND_SHOW, ((const VariableShowStmt *)node)->name);
}

static int on_discard(struct pg_walk *w, const Node *node)
{
	if (((const DiscardStmt *)node)->target != DISCARD_ALL)
		return pg_deny(w, -1, "P36", STATE_UNSUPPORTED, "only DISCARD ALL is supported");
	return allow(w, SQL_KIND_DISCARD_ALL);
}

static int on_lock(struct pg_walk *w, const Node *node)
{
	const LockStmt *s = (const LockStmt *)node;
	int r;

	if (s->mode != AccessShareLock)
		return pg_deny_statement(w, node, false);
	r = pg_walk_tree(w, s->relations);
	return r < 0 ? r : allow(w, SQL_KIND_LOCK_NOOP);
}

static uint8_t isolation_of(const char *text)
{
	static const char *const words[SQL_ISOLATION_COUNT] = {
		[SQL_READ_UNCOMMITTED] = "read uncommitted",
		[SQL_READ_COMMITTED] = "read committed",
		[SQL_REPEATABLE_READ] = "repeatable read",
		[SQL_SERIALIZABLE] = "serializable",
	};

	for (uint8_t i = SQL_READ_UNCOMMITTED; text && i < SQL_ISOLATION_COUNT; i++)
		if (!strcmp(words[i], text))
			return i;
	return SQL_ISOLATION_UNSET;
}

/* ISOLATION LEVEL, READ ONLY, DEFERRABLE; the grammar gives constants for all of them. */
static int transaction_modes(struct pg_walk *w, const List *modes)
{
	struct sql_tx *tx = &w->result->tx;
	char number[32];

	for (int i = 0; modes && i < modes->length; i++) {
		const DefElem *d = (const DefElem *)arg_at(modes, i);
		const char *value = const_text(d->arg, number, sizeof(number));
		bool yes = value && strcmp(value, "0") != 0;

		if (!strcmp(d->defname, "transaction_read_only")) {
			if (!yes)
				return pg_deny(w, d->location, "P32", STATE_READ_ONLY,
					       "READ WRITE: this database is for reading only");
			tx->read_only = true;
		} else if (!strcmp(d->defname, "transaction_isolation")) {
			tx->isolation = isolation_of(value);
			if (tx->isolation == SQL_ISOLATION_UNSET)
				return pg_deny(w, d->location, "P33", STATE_UNSUPPORTED,
					       "this isolation level");
		} else if (!strcmp(d->defname, "transaction_deferrable")) {
			tx->deferrable = yes;
		} else {
			return pg_deny(w, d->location, "P33", STATE_UNSUPPORTED,
				       "this transaction mode");
		}
	}
	return 0;
}

static int on_transaction(struct pg_walk *w, const Node *node)
{
	const TransactionStmt *s = (const TransactionStmt *)node;
	int r = transaction_modes(w, s->options);

	if (r < 0)
		return r;
	w->result->tx.chain = s->chain;
	switch (s->kind) {
	case TRANS_STMT_BEGIN:
	case TRANS_STMT_START:
		return allow(w, SQL_KIND_BEGIN);
	case TRANS_STMT_COMMIT:
		return allow(w, SQL_KIND_COMMIT);
	case TRANS_STMT_ROLLBACK:
		return allow(w, SQL_KIND_ROLLBACK);
	case TRANS_STMT_SAVEPOINT:
		return allow_named(w, SQL_KIND_SAVEPOINT, s->savepoint_name);
	case TRANS_STMT_RELEASE:
		return allow_named(w, SQL_KIND_RELEASE, s->savepoint_name);
	case TRANS_STMT_ROLLBACK_TO:
		return allow_named(w, SQL_KIND_ROLLBACK_TO, s->savepoint_name);
	case TRANS_STMT_PREPARE:
	case TRANS_STMT_COMMIT_PREPARED:
	case TRANS_STMT_ROLLBACK_PREPARED:
		break;
	}
	return pg_deny(w, -1, "P34", STATE_READ_ONLY, "two-phase commit is a write");
}

/* SET TRANSACTION and SET SESSION CHARACTERISTICS. */
static int set_multi(struct pg_walk *w, const VariableSetStmt *s)
{
	int r;

	if (!strcmp(s->name, "TRANSACTION SNAPSHOT"))
		return pg_deny(w, -1, "P58", STATE_UNSUPPORTED, "SET TRANSACTION SNAPSHOT");
	r = transaction_modes(w, s->args);
	if (r < 0)
		return r;
	if (!strcmp(s->name, "TRANSACTION"))
		return allow(w, SQL_KIND_SET_TRANSACTION);
	if (!strcmp(s->name, "SESSION CHARACTERISTICS"))
		return allow(w, SQL_KIND_SET_CHARACTERISTICS);
	return pg_deny(w, -1, "P35", STATE_UNSUPPORTED, "this form of SET");
}

static int set_value(struct pg_walk *w, const VariableSetStmt *s)
{
	char numbers[PG_VALUES_MAX][32];
	const char *values[PG_VALUES_MAX];
	int n = s->args ? s->args->length : 0;
	int r;

	if (n < 1 || n > PG_VALUES_MAX)
		return pg_deny(w, -1, "P35", STATE_FORBIDDEN, "a setting with this many values");
	for (int i = 0; i < n; i++) {
		values[i] = const_text(arg_at(s->args, i), numbers[i], sizeof(numbers[i]));
		if (!values[i])
			return pg_deny(w, -1, "P35", STATE_FORBIDDEN,
				       "a setting's value that is not a plain constant");
	}
	r = pg_setting_set(w->result, s->name, values, (size_t)n);
	if (r < 0)
		return r;
	w->result->local = s->is_local;
	return allow(w, SQL_KIND_SET);
}

static int on_set(struct pg_walk *w, const Node *node)
{
	const VariableSetStmt *s = (const VariableSetStmt *)node;
	int r;

	switch (s->kind) {
	case VAR_SET_VALUE:
		return set_value(w, s);
	case VAR_SET_MULTI:
		return set_multi(w, s);
	case VAR_SET_DEFAULT:
	case VAR_RESET:
		r = pg_setting_reset(w->result, s->name);
		if (r < 0)
			return r;
		w->result->local = s->is_local;
		return allow(w, SQL_KIND_RESET);
	case VAR_RESET_ALL:
		return allow(w, SQL_KIND_RESET_ALL);
	case VAR_SET_CURRENT:
		break;
	}
	return pg_deny(w, -1, "P35", STATE_UNSUPPORTED, "this form of SET");
}

/* literal_independent: the verdict rests on the kinds of nodes alone, whatever the constants are.
 */
static const struct {
	NodeTag tag;
	bool literal_independent;
	int (*judge)(struct pg_walk *w, const Node *node);
} known[] = {
	{T_SelectStmt, true, on_select},
	{T_ExplainStmt, true, on_explain},
	{T_CopyStmt, false, on_copy},
	{T_DeclareCursorStmt, true, on_declare},
	{T_FetchStmt, true, on_fetch},
	{T_ClosePortalStmt, true, on_close},
	{T_PrepareStmt, true, on_prepare},
	{T_ExecuteStmt, true, on_execute},
	{T_DeallocateStmt, true, on_deallocate},
	{T_VariableShowStmt, true, on_show},
	{T_VariableSetStmt, false, on_set},
	{T_DiscardStmt, true, on_discard},
	{T_TransactionStmt, true, on_transaction},
	{T_LockStmt, true, on_lock},
};

int pg_statement(struct pg_walk *w, const Node *stmt)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (known[i].tag != nodeTag(stmt))
			continue;
		w->result->literal_independent = known[i].literal_independent;
		return known[i].judge(w, stmt);
	}
	w->result->literal_independent = true;
	return pg_deny_statement(w, stmt, false);
}
