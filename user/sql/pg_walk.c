/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over a raw PostgreSQL parse tree. The table of shapes is the allow-list: a node whose
 * tag is not in it is refused, and of those in it every field that can hold a node is visited.
 * Fields that only parse analysis fills in are absent from raw trees and from the table.
 */
#include "sql/pg_walk.h"

#include <errno.h>

#include "sql/pg_names.h"
#include "sql/result.h"

/* Of pg_subscription all but this column may be read, as in PostgreSQL itself. */
#define SECRET_RELATION "pg_subscription"
#define SECRET_COLUMN "subconninfo"

/* The most fields that any shape has. */
#define SHAPE_FIELDS 16

struct shape {
	bool allowed;
	int (*check)(struct pg_walk *w, const Node *node); /* or NULL */
	uint16_t fields[SHAPE_FIELDS]; /* offsets of Node or List pointers; 0 ends them */
};

void pg_walk_free(struct pg_walk *w)
{
	free(w->stack);
	w->stack = NULL;
	w->n = w->room = 0;
}

int pg_deny(struct pg_walk *w, int location, const char *rule, const char *state, const char *what)
{
	w->result->position = location >= 0 ? (uint32_t)location + 1 : 0;
	return result_deny(w->result, rule, state, "%s", what);
}

static int deny_name(struct pg_walk *w, int location, const char *rule, const char *name,
		     const char *why)
{
	w->result->position = location >= 0 ? (uint32_t)location + 1 : 0;
	return result_deny(w->result, rule, STATE_FORBIDDEN, "%s %s", name, why);
}

/* The statements that have a name of their own in refusals; others are told by their first words.
 */
static const struct {
	NodeTag tag;
	const char *rule;
	const char *state;
	const char *what;
} statements[] = {
	{T_InsertStmt, "P24", STATE_READ_ONLY, "INSERT is a write"},
	{T_UpdateStmt, "P24", STATE_READ_ONLY, "UPDATE is a write"},
	{T_DeleteStmt, "P24", STATE_READ_ONLY, "DELETE is a write"},
	{T_MergeStmt, "P24", STATE_READ_ONLY, "MERGE is a write"},
	{T_TruncateStmt, "P24", STATE_READ_ONLY, "TRUNCATE is a write"},
	{T_CreateTableAsStmt, "P24", STATE_READ_ONLY, "CREATE TABLE AS is a write"},
	{T_DropStmt, "P24", STATE_READ_ONLY, "DROP is a write"},
	{T_RefreshMatViewStmt, "P49", STATE_READ_ONLY, "REFRESH MATERIALIZED VIEW is a write"},
	{T_CommentStmt, "P49", STATE_READ_ONLY, "COMMENT is a write"},
	{T_SecLabelStmt, "P49", STATE_READ_ONLY, "SECURITY LABEL is a write"},
	{T_GrantStmt, "P49", STATE_READ_ONLY, "GRANT and REVOKE are writes"},
	{T_GrantRoleStmt, "P49", STATE_READ_ONLY, "GRANT and REVOKE are writes"},
	{T_ImportForeignSchemaStmt, "P49", STATE_READ_ONLY, "IMPORT FOREIGN SCHEMA is a write"},
	{T_CreateExtensionStmt, "P49", STATE_READ_ONLY, "CREATE EXTENSION is a write"},
	{T_CreatedbStmt, "P49", STATE_READ_ONLY, "CREATE DATABASE is a write"},
	{T_VacuumStmt, "P48", STATE_READ_ONLY, "VACUUM and ANALYZE are maintenance"},
	{T_ClusterStmt, "P48", STATE_READ_ONLY, "CLUSTER is maintenance"},
	{T_ReindexStmt, "P48", STATE_READ_ONLY, "REINDEX is maintenance"},
	{T_CheckPointStmt, "P48", STATE_READ_ONLY, "CHECKPOINT is maintenance"},
	{T_LoadStmt, "P48", STATE_FORBIDDEN, "LOAD runs code in the server"},
	{T_AlterSystemStmt, "P50", STATE_READ_ONLY, "ALTER SYSTEM administers the server"},
	{T_NotifyStmt, "P45", STATE_UNSUPPORTED, "NOTIFY reaches other sessions"},
	{T_ListenStmt, "P45", STATE_UNSUPPORTED, "LISTEN is not supported"},
	{T_UnlistenStmt, "P45", STATE_UNSUPPORTED, "UNLISTEN is not supported"},
	{T_LockStmt, "P47", STATE_READ_ONLY, "LOCK TABLE takes locks"},
	{T_DoStmt, "P39", STATE_READ_ONLY, "DO runs code that cannot be judged"},
	{T_CallStmt, "P39", STATE_READ_ONLY, "CALL runs code that cannot be judged"},
	{T_AlterRoleStmt, "P60", STATE_READ_ONLY, "ALTER ROLE is a write"},
	{T_AlterRoleSetStmt, "P60", STATE_READ_ONLY, "ALTER ROLE is a write"},
	{T_ExecuteStmt, "P28", STATE_UNSUPPORTED, "EXECUTE is not supported here"},
	{T_DeclareCursorStmt, "P28", STATE_UNSUPPORTED, "DECLARE is not supported here"},
	{T_SetToDefault, "P24", STATE_UNSUPPORTED, "DEFAULT belongs to writes"},
};

/* All other statements of the grammar: CREATE, ALTER, ... */
static int deny_unknown(struct pg_walk *w)
{
	char word[32];
	size_t n = 0;

	for (; w->first_word[n] && n + 1 < sizeof(word); n++)
		word[n] = (char)pg_toupper((unsigned char)w->first_word[n]);
	word[n] = '\0';
	w->result->position = 0;
	return result_deny(w->result, "P24", STATE_READ_ONLY,
			   "%s is not a statement that only reads", word);
}

int pg_deny_statement(struct pg_walk *w, const Node *node, bool nested)
{
	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		const char *rule = statements[i].rule;

		if (statements[i].tag != nodeTag(node))
			continue;
		if (nested && !strcmp(rule, "P24"))
			rule = "P25";
		return pg_deny(w, -1, rule, statements[i].state, statements[i].what);
	}
	if (nested)
		return pg_deny(w, -1, "P24", STATE_UNSUPPORTED,
			       "a construct that is not known to read only");
	return deny_unknown(w);
}

static int push(struct pg_walk *w, const Node *node, unsigned int depth)
{
	if (!node)
		return 0;
	if (depth > SQL_DEPTH_MAX)
		return pg_deny(w, -1, "P67", STATE_TOO_COMPLEX,
			       "the statement is nested too deeply");
	if (++w->nodes > SQL_NODES_MAX)
		return pg_deny(w, -1, "P67", STATE_TOO_COMPLEX, "the statement has too many parts");
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 64;
		struct pg_pending *p = realloc(w->stack, room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		w->stack = p;
		w->room = room;
	}
	w->stack[w->n++] = (struct pg_pending){.node = node, .depth = depth};
	return 0;
}

/* Lists add no depth of their own: the grammar nests them two deep at most. */
static int push_list(struct pg_walk *w, const List *list, unsigned int depth)
{
	for (int i = list->length; i > 0; i--) {
		int r = push(w, list->elements[i - 1].ptr_value, depth);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The i-th of a list of names, or NULL. */
static const char *name_at(const List *names, int i)
{
	const Node *n;

	if (!names || i >= names->length)
		return NULL;
	n = names->elements[i].ptr_value;
	return n && IsA(n, String) ? strVal(n) : NULL;
}

/* A name of one or two parts; *ret_schema is NULL when there is one. False for anything else. */
static bool split_name(const List *names, const char **ret_schema, const char **ret_name)
{
	if (!names || names->length < 1 || names->length > 2)
		return false;
	*ret_schema = names->length == 2 ? name_at(names, 0) : NULL;
	*ret_name = name_at(names, names->length - 1);
	return *ret_name && (names->length == 1 || *ret_schema);
}

static bool is_catalog(const char *schema)
{
	return !schema || !strcmp(schema, "pg_catalog");
}

static int check_function(struct pg_walk *w, const Node *node)
{
	const FuncCall *f = (const FuncCall *)node;
	const struct pg_refusal *refusal;
	const char *schema, *name;
	char full[2 * SQL_NAME_SIZE];

	if (!split_name(f->funcname, &schema, &name))
		return pg_deny(w, f->location, "P40", STATE_FORBIDDEN,
			       "a function name of this form is not known");
	if (pg_function_known(schema, name))
		return 0;
	refusal = pg_function_refusal(name);
	if (snprintf(full, sizeof(full), "%.63s%s%.63s()", schema ? schema : "", schema ? "." : "",
		     name) < 0)
		return -EINVAL;
	return deny_name(w, f->location, refusal->rule, full, refusal->why);
}

/* An operator as the grammar leaves it: one name, or OPERATOR(schema.name). */
static int check_operator(struct pg_walk *w, const List *names, int location)
{
	const char *schema, *name;

	if (split_name(names, &schema, &name) && is_catalog(schema) && pg_operator_known(name))
		return 0;
	name = names ? name_at(names, names->length - 1) : NULL;
	return deny_name(w, location, "P41", name ? name : "?",
			 "is not an operator that is known to read only");
}

static int check_expr(struct pg_walk *w, const Node *node)
{
	const A_Expr *e = (const A_Expr *)node;
	static const char *const between[] = {"BETWEEN", "NOT BETWEEN", "BETWEEN SYMMETRIC",
					      "NOT BETWEEN SYMMETRIC"};

	if (e->kind >= AEXPR_BETWEEN && e->kind <= AEXPR_NOT_BETWEEN_SYM) {
		const char *name = name_at(e->name, 0);

		for (size_t i = 0; name && i < ARRAY_LEN(between); i++)
			if (!strcmp(name, between[i]))
				return 0;
	}
	return check_operator(w, e->name, e->location);
}

static int check_sublink(struct pg_walk *w, const Node *node)
{
	const SubLink *s = (const SubLink *)node;

	return s->operName ? check_operator(w, s->operName, s->location) : 0;
}

static int check_sort(struct pg_walk *w, const Node *node)
{
	const SortBy *s = (const SortBy *)node;

	return s->useOp ? check_operator(w, s->useOp, s->location) : 0;
}

static int check_select(struct pg_walk *w, const Node *node)
{
	const SelectStmt *s = (const SelectStmt *)node;

	if (s->intoClause)
		return pg_deny(w, s->intoClause->rel ? s->intoClause->rel->location : -1, "P26",
			       STATE_READ_ONLY, "SELECT INTO is a write");
	if (s->lockingClause)
		return pg_deny(w, -1, "P27", STATE_READ_ONLY,
			       "SELECT FOR UPDATE or SHARE takes locks");
	return 0;
}

static int check_relation(struct pg_walk *w, const Node *node)
{
	const RangeVar *v = (const RangeVar *)node;

	if (v->catalogname)
		return pg_deny(w, v->location, "P69", STATE_UNSUPPORTED,
			       "a relation of another database");
	if (pg_relation_secret(v->schemaname, v->relname))
		return deny_name(w, v->location, "P69", v->relname,
				 "holds credentials or other sessions' statements");
	if (is_catalog(v->schemaname) && !strcmp(v->relname, SECRET_RELATION)) {
		w->partly_secret = true;
		/* Under another name, whole rows would not be recognised. */
		w->may_reach_secret |= v->alias != NULL;
	}
	return 0;
}

/* A name behind a dot. */
static int check_attribute(struct pg_walk *w, const char *name, int location)
{
	const struct pg_refusal *refusal;

	if (pg_attribute_known(name))
		return 0;
	refusal = pg_function_refusal(name);
	return deny_name(w, location, refusal->rule, name, refusal->why);
}

static int check_indirection(struct pg_walk *w, const Node *node)
{
	const A_Indirection *a = (const A_Indirection *)node;
	int r = 0;

	for (int i = 0; r == 0 && a->indirection && i < a->indirection->length; i++) {
		const char *name = name_at(a->indirection, i);

		r = name ? check_attribute(w, name, -1) : 0;
	}
	return r;
}

static int check_column(struct pg_walk *w, const Node *node)
{
	const ColumnRef *c = (const ColumnRef *)node;
	const char *last = c->fields ? name_at(c->fields, c->fields->length - 1) : NULL;

	/* A relation's name in place of a column is the whole row. */
	w->may_reach_secret |= last && !strcmp(last, SECRET_RELATION);
	return last && c->fields->length > 1 ? check_attribute(w, last, c->location) : 0;
}

static int check_star(struct pg_walk *w, const Node *node)
{
	(void)node; /* its tag says all */
	w->may_reach_secret = true;
	return 0;
}

static int check_string(struct pg_walk *w, const Node *node)
{
	w->may_reach_secret |= !strcmp(strVal(node), SECRET_COLUMN);
	return 0;
}

static int check_join(struct pg_walk *w, const Node *node)
{
	const JoinExpr *j = (const JoinExpr *)node;

	/* Whole rows by the join's name; comparing columns that are not named. */
	w->may_reach_secret |= j->alias || j->join_using_alias || j->isNatural;
	return 0;
}

static int check_type(struct pg_walk *w, const Node *node)
{
	const TypeName *t = (const TypeName *)node;

	if (t->setof || t->pct_type || !t->names)
		return pg_deny(w, t->location, "P24", STATE_UNSUPPORTED,
			       "a type of this form belongs to function definitions");
	return 0;
}

static int check_sample(struct pg_walk *w, const Node *node)
{
	const RangeTableSample *s = (const RangeTableSample *)node;
	const char *schema, *name;

	if (split_name(s->method, &schema, &name) && is_catalog(schema) &&
	    (!strcmp(name, "bernoulli") || !strcmp(name, "system")))
		return 0;
	return pg_deny(w, s->location, "P68", STATE_FORBIDDEN,
		       "a TABLESAMPLE method that is not built in");
}

/* Columns of a function's result, not of a table: a name, a type and a collation. */
static int check_column_def(struct pg_walk *w, const Node *node)
{
	const ColumnDef *c = (const ColumnDef *)node;

	if (c->raw_default || c->cooked_default || c->identitySequence || c->constraints ||
	    c->fdwoptions)
		return pg_deny(w, c->location, "P24", STATE_UNSUPPORTED,
			       "a column definition of this form belongs to tables");
	return 0;
}

#define AT(type, field) offsetof(type, field)

static const struct shape shapes[] = {
	/* Statements that read. */
	[T_SelectStmt] = {true,
			  check_select,
			  {AT(SelectStmt, distinctClause), AT(SelectStmt, targetList),
			   AT(SelectStmt, fromClause), AT(SelectStmt, whereClause),
			   AT(SelectStmt, groupClause), AT(SelectStmt, havingClause),
			   AT(SelectStmt, windowClause), AT(SelectStmt, valuesLists),
			   AT(SelectStmt, sortClause), AT(SelectStmt, limitOffset),
			   AT(SelectStmt, limitCount), AT(SelectStmt, withClause),
			   AT(SelectStmt, larg), AT(SelectStmt, rarg)}},
	[T_WithClause] = {true, NULL, {AT(WithClause, ctes)}},
	[T_CommonTableExpr] = {true,
			       NULL,
			       {AT(CommonTableExpr, aliascolnames), AT(CommonTableExpr, ctequery),
				AT(CommonTableExpr, search_clause),
				AT(CommonTableExpr, cycle_clause)}},
	[T_CTESearchClause] = {true, NULL, {AT(CTESearchClause, search_col_list)}},
	[T_CTECycleClause] = {true,
			      NULL,
			      {AT(CTECycleClause, cycle_col_list),
			       AT(CTECycleClause, cycle_mark_value),
			       AT(CTECycleClause, cycle_mark_default)}},
	/* What stands in FROM. */
	[T_RangeVar] = {true, check_relation, {AT(RangeVar, alias)}},
	[T_RangeSubselect] = {true,
			      NULL,
			      {AT(RangeSubselect, subquery), AT(RangeSubselect, alias)}},
	[T_RangeFunction] = {true,
			     NULL,
			     {AT(RangeFunction, functions), AT(RangeFunction, alias),
			      AT(RangeFunction, coldeflist)}},
	[T_RangeTableSample] = {true,
				check_sample,
				{AT(RangeTableSample, relation), AT(RangeTableSample, args),
				 AT(RangeTableSample, repeatable)}},
	[T_RangeTableFunc] = {true,
			      NULL,
			      {AT(RangeTableFunc, docexpr), AT(RangeTableFunc, rowexpr),
			       AT(RangeTableFunc, namespaces), AT(RangeTableFunc, columns),
			       AT(RangeTableFunc, alias)}},
	[T_RangeTableFuncCol] = {true,
				 NULL,
				 {AT(RangeTableFuncCol, typeName), AT(RangeTableFuncCol, colexpr),
				  AT(RangeTableFuncCol, coldefexpr)}},
	[T_JoinExpr] = {true,
			check_join,
			{AT(JoinExpr, larg), AT(JoinExpr, rarg), AT(JoinExpr, usingClause),
			 AT(JoinExpr, join_using_alias), AT(JoinExpr, quals), AT(JoinExpr, alias)}},
	[T_Alias] = {true, NULL, {AT(Alias, colnames)}},
	[T_ColumnDef] = {true,
			 check_column_def,
			 {AT(ColumnDef, typeName), AT(ColumnDef, collClause)}},
	/* Expressions. */
	[T_ResTarget] = {true, NULL, {AT(ResTarget, indirection), AT(ResTarget, val)}},
	[T_ColumnRef] = {true, check_column, {AT(ColumnRef, fields)}},
	[T_A_Star] = {true, check_star, {0}},
	[T_A_Const] = {true, NULL, {0}},
	[T_ParamRef] = {true, NULL, {0}},
	[T_A_Expr] = {true, check_expr, {AT(A_Expr, lexpr), AT(A_Expr, rexpr)}},
	[T_A_Indices] = {true, NULL, {AT(A_Indices, lidx), AT(A_Indices, uidx)}},
	[T_A_Indirection] = {true,
			     check_indirection,
			     {AT(A_Indirection, arg), AT(A_Indirection, indirection)}},
	[T_A_ArrayExpr] = {true, NULL, {AT(A_ArrayExpr, elements)}},
	[T_BoolExpr] = {true, NULL, {AT(BoolExpr, args)}},
	[T_NullTest] = {true, NULL, {AT(NullTest, arg)}},
	[T_BooleanTest] = {true, NULL, {AT(BooleanTest, arg)}},
	[T_SubLink] = {true, check_sublink, {AT(SubLink, testexpr), AT(SubLink, subselect)}},
	[T_CaseExpr] = {true,
			NULL,
			{AT(CaseExpr, arg), AT(CaseExpr, args), AT(CaseExpr, defresult)}},
	[T_CaseWhen] = {true, NULL, {AT(CaseWhen, expr), AT(CaseWhen, result)}},
	[T_CoalesceExpr] = {true, NULL, {AT(CoalesceExpr, args)}},
	[T_MinMaxExpr] = {true, NULL, {AT(MinMaxExpr, args)}},
	[T_RowExpr] = {true, NULL, {AT(RowExpr, args), AT(RowExpr, colnames)}},
	[T_GroupingFunc] = {true, NULL, {AT(GroupingFunc, args)}},
	[T_GroupingSet] = {true, NULL, {AT(GroupingSet, content)}},
	[T_SQLValueFunction] = {true, NULL, {0}},
	[T_XmlExpr] = {true,
		       NULL,
		       {AT(XmlExpr, named_args), AT(XmlExpr, arg_names), AT(XmlExpr, args)}},
	[T_XmlSerialize] = {true, NULL, {AT(XmlSerialize, expr), AT(XmlSerialize, typeName)}},
	[T_FuncCall] = {true,
			check_function,
			{AT(FuncCall, args), AT(FuncCall, agg_order), AT(FuncCall, agg_filter),
			 AT(FuncCall, over)}},
	[T_NamedArgExpr] = {true, NULL, {AT(NamedArgExpr, arg)}},
	[T_WindowDef] = {true,
			 NULL,
			 {AT(WindowDef, partitionClause), AT(WindowDef, orderClause),
			  AT(WindowDef, startOffset), AT(WindowDef, endOffset)}},
	[T_SortBy] = {true, check_sort, {AT(SortBy, node)}},
	[T_TypeCast] = {true, NULL, {AT(TypeCast, arg), AT(TypeCast, typeName)}},
	[T_CollateClause] = {true, NULL, {AT(CollateClause, arg)}},
	[T_TypeName] = {true, check_type, {AT(TypeName, typmods), AT(TypeName, arrayBounds)}},
	/* Names and array bounds in lists. */
	[T_String] = {true, check_string, {0}},
	[T_Integer] = {true, NULL, {0}},
};

static int visit(struct pg_walk *w, const struct pg_pending *at)
{
	const struct shape *shape;
	NodeTag tag = nodeTag(at->node);
	int r;

	if (tag == T_List)
		return push_list(w, (const List *)at->node, at->depth);
	if ((size_t)tag >= ARRAY_LEN(shapes) || !shapes[tag].allowed)
		return pg_deny_statement(w, at->node, true);
	shape = &shapes[tag];
	r = shape->check ? shape->check(w, at->node) : 0;
	for (size_t i = 0; r == 0 && i < SHAPE_FIELDS && shape->fields[i]; i++) {
		const char *field = (const char *)at->node + shape->fields[i];

		r = push(w, *(const Node *const *)(const void *)field, at->depth + 1);
	}
	return r;
}

int pg_walk_tree(struct pg_walk *w, const void *node)
{
	int r = push(w, node, 0);

	while (r == 0 && w->n > 0) {
		struct pg_pending at = w->stack[--w->n];

		r = visit(w, &at);
	}
	if (r == 0 && w->partly_secret && w->may_reach_secret)
		r = deny_name(
			w, -1, "P69", SECRET_RELATION,
			"holds credentials: name the columns to read, without " SECRET_COLUMN);
	w->n = 0;
	return r;
}
