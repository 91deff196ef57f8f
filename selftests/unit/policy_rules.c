/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a policy to rules, and from what was found to entries of the kernel's map. The kernel's walk
 * is done here in its simplest form, to ask of a path what the entries say of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "policy/policy.h"

#define HEAD "pinfold: 1\nname: x\n"
#define R PF_R_READ
#define W PF_R_WRITE
#define X PF_R_EXEC

static const char *const homes[] = {"/root", "/home/u/"};
static const char *const mounts[] = {"/", "/sys", "/data", "/var/lib/docker/overlay"};
static const char *const own[] = {"/proc", "/tmp", "/run", "/dev"};
static const struct policy_host host = {homes, 2, mounts, 4, own, 4};

static void make(const char *text, struct policy_rules *rules)
{
	__cleanup_policy struct policy *p = NULL;
	struct policy_err err;

	if (policy_parse(text, strlen(text), &p, &err) < 0 ||
	    policy_rules(p, &host, rules, &err) < 0)
		fail_msg("%u:%u: %s", err.line, err.column, err.text);
}

static const struct policy_rule *at(const struct policy_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->n; i++)
		if (!strcmp(rules->v[i].path, path))
			return &rules->v[i];
	return NULL;
}

/* Everything exists but what is listed; inode numbers are positions in the list of rules. */
static struct policy_found *find(const struct policy_rules *rules, const char *const *missing)
{
	struct policy_found *found = calloc(rules->n, sizeof(*found));

	assert_non_null(found);
	for (size_t i = 0; i < rules->n; i++) {
		found[i] = (struct policy_found){.ino = 100 + i, .dev = 8};
		for (const char *const *m = missing; m && *m; m++) {
			size_t len = strlen(*m);

			if (!strncmp(rules->v[i].path, *m, len) &&
			    strchr("/", rules->v[i].path[len]))
				found[i] = (struct policy_found){.error = ENOENT};
		}
	}
	return found;
}

static const struct pf_rule *entry(const struct policy_entries *e, uint64_t ino, uint64_t name)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->v[i].key.ino == ino && e->v[i].key.name == name)
			return &e->v[i].value;
	return NULL;
}

struct world {
	struct policy_rules rules;
	struct policy_found *found;
	struct policy_entries entries;
};

static void make_world(const char *text, const char *const *missing, struct world *w)
{
	struct policy_err err;

	*w = (struct world){0};
	make(text, &w->rules);
	w->found = find(&w->rules, missing);
	if (policy_entries(&w->rules, w->found, &w->entries, &err) < 0)
		fail_msg("%u:%u: %s", err.line, err.column, err.text);
}

static void free_world(struct world *w)
{
	policy_rules_free(&w->rules);
	policy_entries_free(&w->entries);
	free(w->found);
}

/* What the nearest entry on the way from path to "/" gives, as the kernel would look for it. */
static uint32_t rights_of(const struct world *w, const char *path)
{
	char here[256];

	snprintf(here, sizeof(here), "%s", path);
	for (;;) {
		const struct policy_rule *rule = at(&w->rules, here);
		size_t i = rule ? (size_t)(rule - w->rules.v) : 0;
		const struct pf_rule *e = NULL;

		if (rule && w->found[i].error == 0)
			e = entry(&w->entries, w->found[i].ino, 0);
		if (e)
			return e->rights & (R | W | X);
		if (!here[1])
			return 0;
		char *slash = strrchr(here, '/'), name[256];

		snprintf(name, sizeof(name), "%s", slash + 1);
		slash[slash == here] = '\0';
		rule = at(&w->rules, here);
		i = rule ? (size_t)(rule - w->rules.v) : 0;
		if (rule && w->found[i].error == 0)
			e = entry(&w->entries, w->found[i].ino,
				  policy_name_hash(name, strlen(name)));
		if (e) {
			const struct pf_rule *dir = entry(&w->entries, w->found[i].ino, 0);

			/* without the flag on the directory the kernel would not look for names */
			assert_true(dir && dir->rights & PF_R_NAMES);
			return e->rights & (R | W | X);
		}
	}
}

struct expected {
	const char *path;
	uint32_t rights;
};

static void expect(const struct world *w, const struct expected *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t got = rights_of(w, list[i].path);

		if (got != list[i].rights)
			fail_msg("%s: %u, not %u", list[i].path, got, list[i].rights);
	}
}

static void test_defaults(void **state)
{
	static const struct expected list[] = {
		{"/", R | X},
		{"/usr/bin/true", R | X},
		{"/etc/passwd", R | X},
		{"/data/x", R | X},
		{"/etc/shadow", 0},
		{"/etc/pinfold/policies.d/x", 0},
		{"/var/log/pinfold/audit.jsonl", 0},
		{"/root/.ssh/id_rsa", 0},
		{"/root/.sshx", R | X},
		{"/home/u/.config/gcloud/x", 0},
		{"/home/u/.config/other", R | X},
		{"/home/other/.ssh", R | X}, /* no home that we were told of */
		{"/var/lib/docker/overlay/x", 0},
	};
	struct world w;

	(void)state;
	make_world(HEAD, NULL, &w);
	expect(&w, list, ARRAY_LEN(list));
	assert_null(at(&w.rules, "/tmp"));
	free_world(&w);
}

static void test_lists(void **state)
{
	static const struct expected list[] = {
		{"/workspace/a", R | W},
		{"/workspace/.git/hooks", 0},
		{"/workspace/.git/hooks/pre-commit", 0},
		{"/workspace/.git/config", R | W},
		{"/workspace/.git/hooks/in/ner", 0}, /* deny wins over what is named below it */
		{"/usr/bin/x", R | X},
		{"/etc/hosts", 0},
		{"/usr/local/w", R | W},
	};
	struct world w;

	(void)state;
	make_world(HEAD "files:\n  read: [/usr, /workspace/.git/hooks/in]\n"
			"  write: [/workspace, /usr/local/w]\n  deny: [/workspace/.git/hooks]\n",
		   NULL, &w);
	expect(&w, list, ARRAY_LEN(list));
	free_world(&w);
}

static void test_exec_list(void **state)
{
	static const struct expected list[] = {
		{"/usr/bin/x", R | X},	   {"/opt/x", R},
		{"/workspace/x", R | W},   {"/workspace/bin/x", R | W | X},
		{"/usr/lib/private/x", 0},
	};
	struct world w;

	(void)state;
	make_world(HEAD "files: {write: [/workspace], deny: [/usr/lib/private]}\n"
			"exec: {allow: [/usr, /workspace/bin]}\n",
		   NULL, &w);
	expect(&w, list, ARRAY_LEN(list));
	free_world(&w);
}

static void test_secret_that_is_named(void **state)
{
	static const struct expected list[] = {
		{"/root/.aws/config", R | X},
		{"/root/.aws/credentials", 0},
		{"/root/.ssh", 0},
	};
	struct world w;

	(void)state;
	make_world(HEAD "files: {read: [/, /root/.aws/config]}\n", NULL, &w);
	expect(&w, list, ARRAY_LEN(list));
	free_world(&w);
}

/* A denied path stays denied when a directory on the way is moved: each is sealed. */
/* Whatever else the policy says of it, and where a path below /run is shown in the session. */
static void test_password_files(void **state)
{
	struct world w;

	(void)state;
	make_world(HEAD "databases:\n"
			"- {name: a, type: postgres, address: a, database: d, user: u, tls: off,\n"
			"   password: {file: /srv/keys/a.pw}}\n"
			"- {name: b, type: postgres, address: b, database: d, user: u, tls: off,\n"
			"   password: {file: /run/keys/b.pw}}\n"
			"files: {read: [/, /srv/keys/a.pw, /run/keys], write: [/srv/keys]}\n",
		   NULL, &w);
	assert_int_equal(rights_of(&w, "/srv/keys/a.pw"), 0);
	assert_int_equal(rights_of(&w, "/srv/keys/b.pw"), R | W);
	assert_int_equal(rights_of(&w, "/run/keys/b.pw"), 0);
	assert_int_equal(rights_of(&w, "/run/keys/a.pw"), R | X);
	const struct policy_rule *keys = at(&w.rules, "/srv/keys");
	const struct pf_rule *named =
		entry(&w.entries, w.found[keys - w.rules.v].ino, policy_name_hash("a.pw", 4));

	assert_non_null(named); /* replaced by another file it stays denied */
	assert_int_equal(named->rights, 0);
	free_world(&w);
}

static void test_way_is_sealed(void **state)
{
	static const char *const sealed[] = {"/workspace", "/workspace/a", "/workspace/a/b",
					     "/workspace/a/b/c"};
	struct world w;

	(void)state;
	make_world(HEAD "files: {write: [/workspace], deny: [/workspace/a/b/c]}\n", NULL, &w);
	for (size_t i = 0; i < ARRAY_LEN(sealed); i++) {
		const struct policy_rule *rule = at(&w.rules, sealed[i]);

		assert_non_null(rule);
		const struct pf_rule *e = entry(&w.entries, w.found[rule - w.rules.v].ino, 0);

		assert_non_null(e);
		assert_true(e->rights & PF_R_SEALED);
	}
	free_world(&w);
}

static void test_missing_paths(void **state)
{
	static const char *const missing[] = {"/workspace/.git", "/root/.ssh", "/home/u/.config",
					      NULL};
	static const struct expected list[] = {
		{"/workspace/.git", 0}, /* the first missing name on the way */
		{"/workspace/.gitx", R | W}, {"/root/.ssh", 0},
		{"/home/u/.config", 0},	     {"/home/u/.local", R | X},
	};
	struct world w;

	(void)state;
	make_world(HEAD "files: {write: [/workspace], deny: [/workspace/.git/hooks]}\n", missing,
		   &w);
	expect(&w, list, ARRAY_LEN(list));
	free_world(&w);
	/* below a writable home, a built-in secret whose parent is missing does not block the
	 * parent */
	make_world(HEAD "files: {write: [/home/u]}\n", missing, &w);
	assert_int_equal(rights_of(&w, "/home/u/.config"), R | W);
	assert_int_equal(rights_of(&w, "/home/u/.ssh"), 0);
	free_world(&w);
}

static void test_missing_file_has_its_place(void **state)
{
	static const char *const missing[] = {"/workspace", NULL};
	__cleanup_policy_rules struct policy_rules rules = {0};
	struct policy_entries entries = {0};
	struct policy_err err;

	(void)state;
	make(HEAD "files:\n  write: [ /srv, /workspace ]\n", &rules);
	__cleanup_free struct policy_found *found = find(&rules, missing);

	assert_int_equal(policy_entries(&rules, found, &entries, &err), -EINVAL);
	assert_int_equal(err.code, POLICY_E_FILE);
	assert_int_equal(err.line, 4);
	assert_int_equal(err.column, 18);
	assert_string_equal(err.text, "cannot open /workspace: No such file or directory");
	assert_null(entries.v);
}

static struct policy_found *found_at(struct policy_rules *rules, struct policy_found *found,
				     const char *path)
{
	const struct policy_rule *rule = at(rules, path);

	assert_non_null(rule);
	return &found[rule - rules->v];
}

/* What is denied by name must have one name only. */
static void test_names_that_fold(void **state)
{
	__cleanup_policy_rules struct policy_rules rules = {0};
	__cleanup_policy_entries struct policy_entries entries = {0};
	struct policy_err err;

	(void)state;
	make(HEAD "files:\n  write: [ /srv/a ]\n  deny: [ /srv/a/.git ]\n", &rules);
	__cleanup_free struct policy_found *found = find(&rules, NULL);

	/* there is no rule by name in this one */
	found_at(&rules, found, "/srv/a/.git")->folds = true;
	assert_int_equal(policy_entries(&rules, found, &entries, &err), 0);
	policy_entries_free(&entries);
	found_at(&rules, found, "/srv/a")->folds = true;
	assert_int_equal(policy_entries(&rules, found, &entries, &err), -EINVAL);
	assert_int_equal(err.code, POLICY_E_FILE);
	assert_int_equal(err.line, 5);
	assert_non_null(strstr(err.text, "/srv/a/.git"));
	assert_non_null(strstr(err.text, "upper and lower case"));
}

/* A home that does not answer may do so later: a built-in secret in it stays denied then. */
static void test_no_answer(void **state)
{
	struct world w;
	struct policy_err err;

	(void)state;
	make_world(HEAD, NULL, &w);
	for (size_t i = 0; i < w.rules.n; i++)
		if (strncmp(w.rules.v[i].path, "/home/u", strlen("/home/u")) == 0)
			w.found[i] = (struct policy_found){.error = ETIMEDOUT};
	policy_entries_free(&w.entries);
	assert_int_equal(policy_entries(&w.rules, w.found, &w.entries, &err), 0);
	const struct pf_rule *e = entry(&w.entries, found_at(&w.rules, w.found, "/home")->ino,
					policy_name_hash("u", 1));

	assert_non_null(e);
	assert_int_equal(e->rights & (R | W | X), 0);
	free_world(&w);
}

/*
 * A directory on the way that could not be opened: built-in secrets behind it are denied by its
 * name, unless the session has no way in either; of others the policy's text is wrong when it is a
 * link, which was not followed.
 */
static void test_not_opened(void **state)
{
	static const struct {
		int error;
		bool denied;
	} cases[] = {{EACCES, false}, {EPERM, false}, {ELOOP, true},
		     {EAGAIN, true},  {EIO, true},    {ENODEV, true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct policy_err err;

		make_world(HEAD, NULL, &w);
		found_at(&w.rules, w.found, "/home/u/.config")->error = cases[i].error;
		policy_entries_free(&w.entries);
		assert_int_equal(policy_entries(&w.rules, w.found, &w.entries, &err), 0);
		const struct pf_rule *e =
			entry(&w.entries, found_at(&w.rules, w.found, "/home/u")->ino,
			      policy_name_hash(".config", strlen(".config")));

		assert_int_equal(e != NULL, cases[i].denied);
		free_world(&w);
	}
}

/* Also below a writable directory, where the link is perhaps the session's own. */
static void test_links(void **state)
{
	struct world w;
	struct policy_err err;

	(void)state;
	make_world(HEAD "files:\n  write: [/home/u]\n  deny: [/home/u/w/.git/hooks]\n", NULL, &w);
	found_at(&w.rules, w.found, "/home/u/.config")->error = ELOOP;
	policy_entries_free(&w.entries);
	assert_int_equal(policy_entries(&w.rules, w.found, &w.entries, &err), 0);
	assert_non_null(entry(&w.entries, found_at(&w.rules, w.found, "/home/u")->ino,
			      policy_name_hash(".config", strlen(".config"))));
	policy_entries_free(&w.entries);
	found_at(&w.rules, w.found, "/home/u/w/.git")->error = ELOOP;
	assert_int_equal(policy_entries(&w.rules, w.found, &w.entries, &err), -EINVAL);
	assert_int_equal(err.code, POLICY_E_FILE);
	assert_int_equal(err.line, 5);
	assert_non_null(strstr(err.text, "symbolic link in /home/u/w/.git"));
	free_world(&w);
}

/* Nothing is said of them but what the policy names, and nothing of the directories above that. */
static void test_own_file_systems(void **state)
{
	struct world w;

	(void)state;
	make_world(HEAD "files: {write: [/tmp, /tmp/a/b], deny: [/tmp/c, /run]}\n", NULL, &w);
	assert_null(at(&w.rules, "/tmp"));
	assert_null(at(&w.rules, "/tmp/a"));
	assert_null(at(&w.rules, "/proc"));
	assert_int_equal(at(&w.rules, "/tmp/a/b")->rights, R | W);
	assert_int_equal(at(&w.rules, "/tmp/c")->rights, 0);
	assert_int_equal(at(&w.rules, "/run")->rights, 0);
	free_world(&w);
}

/* /bin is a link to /usr/bin: one inode, two rules. */
static void test_one_inode_twice(void **state)
{
	struct world w;
	struct policy_err err;
	struct policy_entries merged;

	(void)state;
	make_world(HEAD "files: {read: [/bin], write: [/w], deny: [/usr/bin, /d]}\n", NULL, &w);
	size_t bin = (size_t)(at(&w.rules, "/bin") - w.rules.v);
	size_t usr = (size_t)(at(&w.rules, "/usr/bin") - w.rules.v);

	assert_int_equal(rights_of(&w, "/bin"), R | X);
	w.found[bin] = w.found[usr];
	assert_int_equal(policy_entries(&w.rules, w.found, &merged, &err), 0);
	assert_int_equal(entry(&merged, w.found[usr].ino, 0)->rights & (R | W | X), 0);
	policy_entries_free(&merged);
	/* readable here, writable there: not executable, as nothing writable is by default */
	w.found[bin] = w.found[at(&w.rules, "/w") - w.rules.v];
	assert_int_equal(policy_entries(&w.rules, w.found, &merged, &err), 0);
	assert_int_equal(entry(&merged, w.found[bin].ino, 0)->rights & (R | W | X), R | W);
	policy_entries_free(&merged);
	free_world(&w);
}

/* Roots of btrfs subvolumes, files of an overlay: one number, two inodes, and no merging. */
static void test_one_number_twice(void **state)
{
	struct world w;
	struct policy_err err;
	struct policy_entries e;
	size_t seen = 0;

	(void)state;
	make_world(HEAD "files: {read: [/], write: [/w]}\n", NULL, &w);
	size_t root = (size_t)(at(&w.rules, "/") - w.rules.v);
	size_t dir = (size_t)(at(&w.rules, "/w") - w.rules.v);

	w.found[dir] = w.found[root];
	w.found[dir].self = 1;
	assert_int_equal(policy_entries(&w.rules, w.found, &e, &err), 0);
	for (size_t i = 0; i < e.n; i++) {
		if (e.v[i].key.ino != w.found[root].ino || e.v[i].key.name != 0)
			continue;
		seen++;
		assert_int_equal(e.v[i].value.rights & (R | W), e.v[i].key.self ? R | W : R);
	}
	assert_int_equal(seen, 2);
	policy_entries_free(&e);
	free_world(&w);
}

static void test_entries_are_sorted_and_single(void **state)
{
	struct world a, b;
	uint8_t ha[POLICY_HASH_LEN], hb[POLICY_HASH_LEN];

	(void)state;
	make_world(HEAD "files: {write: [/a, /b]}\n", NULL, &a);
	make_world(HEAD "files: {write: [/a, /b]}\n", NULL, &b);
	for (size_t i = 1; i < a.entries.n; i++)
		assert_true(memcmp(&a.entries.v[i - 1].key, &a.entries.v[i].key,
				   sizeof(struct pf_rule_key)) != 0);
	assert_int_equal(policy_hash(a.entries.v, a.entries.n * sizeof(*a.entries.v), ha), 0);
	assert_int_equal(policy_hash(b.entries.v, b.entries.n * sizeof(*b.entries.v), hb), 0);
	assert_memory_equal(ha, hb, sizeof(ha));
	b.entries.v[0].value.rights ^= PF_R_WRITE;
	assert_int_equal(policy_hash(b.entries.v, b.entries.n * sizeof(*b.entries.v), hb), 0);
	assert_memory_not_equal(ha, hb, sizeof(ha));
	free_world(&a);
	free_world(&b);
}

static void test_name_hash(void **state)
{
	(void)state;
	/* published values of FNV-1a 64 */
	assert_true(policy_name_hash("", 0) == 0xcbf29ce484222325ULL);
	assert_true(policy_name_hash("a", 1) == 0xaf63dc4c8601ec8cULL);
	assert_true(policy_name_hash("foobar", 6) == 0x85944171f73967e8ULL);
}

static int rules_for_homes(size_t n, struct policy_rules *rules, struct policy_err *err)
{
	__cleanup_policy struct policy *p = NULL;
	__cleanup_free const char **many = calloc(n, sizeof(*many));
	struct policy_host h = {many, n, NULL, 0, own, ARRAY_LEN(own)};

	assert_non_null(many);
	for (size_t i = 0; i < n; i++)
		assert_true(asprintf((char **)&many[i], "/home/user%zu", i) > 0);
	assert_int_equal(policy_parse(HEAD, strlen(HEAD), &p, err), 0);
	int r = policy_rules(p, &h, rules, err);

	for (size_t i = 0; i < n; i++)
		free((char *)many[i]);
	return r;
}

static void test_many_homes(void **state)
{
	struct policy_rules rules;
	struct policy_err err;

	(void)state;
	assert_int_equal(rules_for_homes(POLICY_HOMES_MAX + 1, &rules, &err), 0);
	assert_int_equal(at(&rules, "/home/user31")->rights, R | X);
	assert_int_equal(at(&rules, "/home/user31/.ssh")->rights, 0);
	assert_int_equal(at(&rules, "/home/user32")->rights, 0);
	assert_null(at(&rules, "/home/user32/.ssh"));
	policy_rules_free(&rules);
	assert_int_equal(rules_for_homes(5000, &rules, &err), -EINVAL);
	assert_int_equal(err.code, POLICY_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_exec_list),
		cmocka_unit_test(test_secret_that_is_named),
		cmocka_unit_test(test_password_files),
		cmocka_unit_test(test_way_is_sealed),
		cmocka_unit_test(test_missing_paths),
		cmocka_unit_test(test_missing_file_has_its_place),
		cmocka_unit_test(test_names_that_fold),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_not_opened),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_own_file_systems),
		cmocka_unit_test(test_one_inode_twice),
		cmocka_unit_test(test_one_number_twice),
		cmocka_unit_test(test_entries_are_sorted_and_single),
		cmocka_unit_test(test_name_hash),
		cmocka_unit_test(test_many_homes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
