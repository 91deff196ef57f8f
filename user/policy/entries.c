/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From rules and what was found at their paths to the entries of the kernel's map. The kernel takes
 * the nearest rule above a file, so a directory that is in the map only to be sealed or to carry
 * names has to have the rights that hold there anyway.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/yaml.h"

#define RIGHTS (PF_R_READ | PF_R_WRITE | PF_R_EXEC)

struct draft {
	struct policy_entry e;
	bool denies; /* wins over other entries of the same key */
};

struct builder {
	const struct policy_rules *rules;
	const struct policy_found *found;
	bool *carries; /* rule i has entries by name below it */
	struct draft *v;
	size_t n;
};

uint64_t policy_name_hash(const char *name, size_t len)
{
	uint64_t h = PF_FNV_OFFSET;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * PF_FNV_PRIME;
	return h ? h : 1;
}

static int path_cmp(const char *path, size_t len, const char *other)
{
	int r = strncmp(path, other, len);

	return r ? r : -(other[len] != '\0');
}

/* Index of the rule whose path is the first len bytes of path, or rules->n. */
static size_t rule_at(const struct policy_rules *rules, const char *path, size_t len)
{
	size_t lo = 0, hi = rules->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = path_cmp(path, len, rules->v[mid].path);

		if (c == 0)
			return mid;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return rules->n;
}

/* Length of the directory part of the first len bytes of path; "/" for what is right below it. */
static size_t parent_len(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash == path || !slash ? 1 : (size_t)(slash - path);
}

static void put(struct builder *b, const struct policy_found *at, uint64_t name,
		const struct pf_rule *value, bool denies)
{
	b->v[b->n++] = (struct draft){
		.e = {.key = {.ino = at->ino, .name = name, .dev = at->dev, .self = at->self},
		      .value = *value},
		.denies = denies,
	};
}

/* The kernel side knows names by their bytes, and there the same entry has others too. */
static int folds(const struct policy_rules *rules, const struct policy_rule *rule, size_t dir,
		 struct policy_err *err)
{
	return policy_error(
		err, rule->mark, POLICY_E_FILE,
		"cannot deny %s: names in %s are the same in upper and lower case, so a "
		"denied one could be spelt another way; deny that directory as a whole",
		policy_quote(rule->path).text, policy_quote(rules->v[dir].path).text);
}

/* Who can turn the link decides what the path means, and a name denied here would not hold there.
 */
static int led_astray(const struct policy_rules *rules, const struct policy_rule *rule, size_t dir,
		      struct policy_err *err)
{
	return policy_error(err, rule->mark, POLICY_E_FILE,
			    "cannot deny %s: there is a symbolic link in %s: name the real path",
			    policy_quote(rule->path).text, policy_quote(rules->v[dir].path).text);
}

/*
 * Deny by name: the entry of the path's last component in its parent or, where the parent is
 * missing too, the first missing component on the way.
 */
static int put_name(struct builder *b, const struct policy_rule *rule, struct policy_err *err)
{
	const struct pf_rule value = {.id = rule->id};
	size_t len = strlen(rule->path);
	bool built_in = rule->id == 0, linked = false;

	for (bool first = true; len > 1; first = false) {
		size_t up = parent_len(rule->path, len);
		size_t dir = rule_at(b->rules, rule->path, up);
		const char *name = rule->path + up + (up > 1);

		if (dir == b->rules->n)
			return 0; /* in an own file system: empty, and nobody else's */
		if (b->found[dir].error == 0) {
			/* made there later by the session itself, it is no secret of ours */
			if (built_in && !first && !linked && b->rules->v[dir].rights & PF_R_WRITE)
				return 0;
			if (b->found[dir].folds)
				return folds(b->rules, rule, dir, err);
			b->carries[dir] = true;
			put(b, &b->found[dir],
			    policy_name_hash(name, len - (size_t)(name - rule->path)), &value,
			    true);
			return 0;
		}
		/* who opened the paths has the session's rights: it cannot get in either */
		if (built_in && (b->found[dir].error == EACCES || b->found[dir].error == EPERM))
			return 0;
		linked = b->found[dir].error == ELOOP;
		if (linked && !built_in)
			return led_astray(b->rules, rule, dir, err);
		len = up;
	}
	return 0;
}

static void put_inode(struct builder *b, size_t i)
{
	const struct policy_rule *rule = &b->rules->v[i];
	struct pf_rule value = {.rights = rule->rights | PF_R_SEALED, .id = rule->id};

	if (b->found[i].error != 0)
		return;
	if (rule->step && !b->carries[i] && !(rule->rights & PF_R_WRITE))
		return;
	if (b->carries[i])
		value.rights |= PF_R_NAMES;
	put(b, &b->found[i], 0, &value, rule->rights == 0 && !rule->step);
}

static int by_key(const void *a, const void *b)
{
	const struct pf_rule_key *x = &((const struct draft *)a)->e.key;
	const struct pf_rule_key *y = &((const struct draft *)b)->e.key;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->self != y->self)
		return x->self < y->self ? -1 : 1;
	return (x->name > y->name) - (x->name < y->name);
}

static bool same_key(const struct draft *a, const struct draft *b)
{
	return by_key(a, b) == 0;
}

static void merge(struct draft *to, const struct draft *from, bool exec_listed)
{
	struct pf_rule *v = &to->e.value;
	uint32_t flags = (v->rights | from->e.value.rights) & ~RIGHTS;
	uint32_t rights = (v->rights | from->e.value.rights) & RIGHTS;

	if (rights & PF_R_WRITE && !exec_listed)
		rights &= ~PF_R_EXEC;
	if (from->denies && !to->denies)
		v->id = from->e.value.id;
	else if (v->id == 0 && from->denies == to->denies)
		v->id = from->e.value.id;
	to->denies = to->denies || from->denies;
	v->rights = flags | (to->denies ? 0 : rights);
}

static void sort_and_merge(struct builder *b)
{
	size_t n = 0;

	qsort(b->v, b->n, sizeof(*b->v), by_key);
	for (size_t i = 0; i < b->n; i++) {
		if (n > 0 && same_key(&b->v[n - 1], &b->v[i]))
			merge(&b->v[n - 1], &b->v[i], b->rules->exec_listed);
		else
			b->v[n++] = b->v[i];
	}
	b->n = n;
}

static int check_found(const struct policy_rules *rules, const struct policy_found *found,
		       struct policy_err *err)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct policy_rule *rule = &rules->v[i];

		if (found[i].error == 0 || !rule->must_exist)
			continue;
		const char *why = found[i].error == ELOOP
					  ? "there is a symbolic link in it: name the real path"
					  : strerrordesc_np(found[i].error);

		return policy_error(err, rule->mark, POLICY_E_FILE, "cannot open %s: %s",
				    policy_quote(rule->path).text, why ? why : "unknown error");
	}
	return 0;
}

static int take_entries(const struct builder *b, struct policy_entries *ret, struct policy_err *err)
{
	if (b->n > PF_MAX_RULES)
		return policy_error(err, (struct policy_mark){0}, POLICY_E_LIMIT,
				    "%zu rules, with the built-in ones, are too many: at most %d",
				    b->n, PF_MAX_RULES);
	struct policy_entry *v = calloc(b->n ? b->n : 1, sizeof(*v));

	if (!v)
		return policy_no_memory(err);
	for (size_t i = 0; i < b->n; i++)
		v[i] = b->v[i].e;
	*ret = (struct policy_entries){.v = v, .n = b->n};
	return 0;
}

int policy_entries(const struct policy_rules *rules, const struct policy_found *found,
		   struct policy_entries *ret, struct policy_err *err)
{
	int r = check_found(rules, found, err);

	if (r < 0)
		return r;
	__cleanup_free bool *carries = calloc(rules->n ? rules->n : 1, sizeof(*carries));
	/* at most one entry by inode and one by name for each rule */
	__cleanup_free struct draft *drafts = calloc(2 * rules->n + 1, sizeof(*drafts));

	if (!carries || !drafts)
		return policy_no_memory(err);
	struct builder b = {.rules = rules, .found = found, .carries = carries, .v = drafts};

	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].deny && r == 0)
			r = put_name(&b, &rules->v[i], err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rules->n; i++)
		put_inode(&b, i);
	sort_and_merge(&b);
	return take_entries(&b, ret, err);
}

void policy_entries_free(struct policy_entries *entries)
{
	free(entries->v);
	*entries = (struct policy_entries){0};
}
