/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file per live session, written before each step that must be undone should the daemon die in
 * it. Beside it lie <id>.end, into which pinfold-init writes how the command ended, and
 * <id>.counts.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/hold.h"
#include "base/log.h"
#include "daemon/session.h"

#define RECORD_VERSION 1
#define RECORD_MAX (4 * 1024 * 1024)

static char *path_of(const struct session *s, const char *ending)
{
	char *path;

	return asprintf(&path, SESSIONS_DIR "/%s.%s", s->id, ending) < 0 ? NULL : path;
}

static json_t *probe_counts(const struct session *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < PF_CLASS_MAX; i++)
		(void)json_array_append_new(list,
					    json_integer((json_int_t)s->probe_stats.denied[i]));
	return list;
}

/* Numbers of the policy's rules and their paths, so that denials can be explained later. */
static json_t *rule_list(const struct session *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->rules.n; i++)
		if (s->rules.v[i].id > 0)
			(void)json_array_append_new(list, json_pack("[I, s]",
								    (json_int_t)s->rules.v[i].id,
								    s->rules.v[i].path));
	return list;
}

json_t *record_policy(const struct session *s)
{
	return json_pack("{s:s?, s:s?, s:s?, s:s, s:b, s:b, s:I, s:I, s:o}", "policy_name",
			 s->policy_name, "policy_file", s->policy_file, "policy_text",
			 s->policy_text, "policy_sha256", s->policy_hash, "installed", s->installed,
			 "trusted", s->trusted, "policy_by", (json_int_t)s->policy_by, "hold_slot",
			 (json_int_t)s->hold_slot, "rules", rule_list(s));
}

static json_t *describe_session(const struct session *s)
{
	return json_pack(
		"{s:i, s:s, s:s?, s:b, s:O?, s:s?, s:I, s:I, s:s?, s:O?, s:o, s:b, s:b, s:o*}", "v",
		RECORD_VERSION, "id", s->id, "name", s->name, "running", s->state >= SESSION_EXEC,
		"command", s->command, "started", s->started, "init", (json_int_t)s->init_pid,
		"gate", (json_int_t)s->gate.pid, "ca_pem", s->gate.ca_pem, "addresses",
		s->addresses, "probe", probe_counts(s), "quarantined", s->quarantined, "thaw",
		s->thaw, "next", load_describe(s));
}

static json_t *describe(const struct session *s)
{
	json_t *o = describe_session(s), *policy = record_policy(s);
	json_t *owner = json_pack(
		"{s:I, s:I, s:I, s:I, s:s, s:s}", "uid", (json_int_t)s->owner.uid, "gid",
		(json_int_t)s->owner.gid, "caller", (json_int_t)s->owner.caller, "caller_pid",
		(json_int_t)s->owner.caller_pid, "user", s->owner.user, "home", s->owner.home);

	int r = o && policy ? json_object_update(o, policy) : -1;

	json_decref(policy);
	if (!owner || r < 0 || json_object_set_new(o, "owner", owner) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int record_write(const struct session *s)
{
	__cleanup_free char *path = path_of(s, "json"), *text = NULL;
	json_t *o = describe(s);

	if (o)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!path || !text)
		return -ENOMEM;
	return file_replace(AT_FDCWD, path, 0600, text, strlen(text));
}

void record_update(const struct session *s)
{
	int r = record_write(s);

	if (r < 0)
		log_err("session=%s cannot write its record: %s", s->id, strerror(-r));
}

void record_remove(const struct session *s)
{
	static const char *const endings[] = {"counts", "end", "json"};

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		__cleanup_free char *path = path_of(s, endings[i]);

		if (path)
			(void)unlink(path); /* what stays is found and removed by the next start */
	}
}

int record_open_end(struct session *s, bool make)
{
	__cleanup_free char *path = path_of(s, "end");
	int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT | O_EXCL : 0);

	if (!path)
		return -ENOMEM;
	s->end_fd = open(path, flags, 0600);
	return s->end_fd < 0 ? -errno : 0;
}

#define COUNTS_VERSION 1

int counts_open(struct session *s)
{
	__cleanup_free char *path = path_of(s, "counts");
	struct counts counts = {.version = COUNTS_VERSION};

	if (!path)
		return -ENOMEM;
	s->counts_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = s->counts_fd < 0 ? -1 : pread(s->counts_fd, &counts, sizeof(counts), 0);

	if (n < 0)
		return -errno;
	if ((n > 0 && n != sizeof(counts)) || counts.version != COUNTS_VERSION)
		return -EINVAL;
	s->counts = counts;
	return 0;
}

/* One write(2): a daemon that is killed leaves the counts before or after, nothing in between. */
void counts_write(const struct session *s)
{
	struct counts counts = s->counts;

	counts.log_seq = audit_seq(s->d->audit);
	if (s->counts_fd >= 0 && pwrite(s->counts_fd, &counts, sizeof(counts), 0) != sizeof(counts))
		log_warn("session=%s its counts cannot be kept: %s", s->id, strerror(errno));
}

static int take_rules(struct session *s, const json_t *list)
{
	size_t n = json_array_size(list), i;
	json_t *pair;

	s->rules.v = calloc(n + 1, sizeof(*s->rules.v));
	if (!s->rules.v)
		return -ENOMEM;
	json_array_foreach((json_t *)list, i, pair)
	{
		const char *path = json_string_value(json_array_get(pair, 1));
		struct policy_rule rule = {
			.path = path ? strdup(path) : NULL,
			.id = (uint32_t)json_integer_value(json_array_get(pair, 0)),
		};

		if (!rule.path)
			return path ? -ENOMEM : -EINVAL;
		s->rules.v[s->rules.n++] = rule;
	}
	return 0;
}

static char *copy(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? strdup(text) : NULL;
}

static int take_owner(struct session *s, const json_t *o)
{
	json_int_t uid, gid, caller, pid;

	if (json_unpack((json_t *)o, "{s:I, s:I, s:I, s:I}", "uid", &uid, "gid", &gid, "caller",
			&caller, "caller_pid", &pid) < 0)
		return -EINVAL;
	s->owner.uid = (uid_t)uid;
	s->owner.gid = (gid_t)gid;
	s->owner.caller = (uid_t)caller;
	s->owner.caller_pid = (pid_t)pid;
	s->owner.user = copy(o, "user");
	s->owner.home = copy(o, "home");
	return s->owner.user && s->owner.home ? 0 : -EINVAL;
}

int record_take_policy(struct session *s, const json_t *o)
{
	const json_t *by = json_object_get(o, "policy_by");

	s->policy_name = copy(o, "policy_name");
	s->policy_file = copy(o, "policy_file");
	s->policy_text = copy(o, "policy_text");
	s->trusted = json_is_true(json_object_get(o, "trusted"));
	s->installed = json_is_true(json_object_get(o, "installed"));
	(void)snprintf(s->policy_hash, sizeof(s->policy_hash), "%s", ctl_str(o, "policy_sha256"));
	/* Of an earlier version, which could not load another one: from the start. */
	s->policy_by = by ? (uid_t)json_integer_value(by) : s->owner.caller;
	s->hold_slot = (unsigned)json_integer_value(json_object_get(o, "hold_slot"));
	if (!s->policy_text || s->hold_slot >= HOLD_SLOTS)
		return -EINVAL;
	return take_rules(s, json_object_get(o, "rules"));
}

static int take_record(struct session *s, json_t *o, const char *id)
{
	const char *own = json_string_value(json_object_get(o, "id"));

	if (json_integer_value(json_object_get(o, "v")) != RECORD_VERSION || !own ||
	    strcmp(own, id) != 0 || strlen(id) != SESSION_ID_LEN)
		return -EINVAL;
	memcpy(s->id, id, SESSION_ID_LEN + 1);
	s->name = copy(o, "name");
	s->started = copy(o, "started");
	s->gate.ca_pem = copy(o, "ca_pem");
	s->command = json_incref(json_object_get(o, "command"));
	s->addresses = json_incref(json_object_get(o, "addresses"));
	s->init_pid = (pid_t)json_integer_value(json_object_get(o, "init"));
	s->gate.pid = (pid_t)json_integer_value(json_object_get(o, "gate"));
	s->state = json_is_true(json_object_get(o, "running")) ? SESSION_RUNNING : SESSION_BUILDING;
	const json_t *probe = json_object_get(o, "probe");

	for (size_t i = 0; i < PF_CLASS_MAX; i++)
		s->probe_stats.denied[i] = (__u64)json_integer_value(json_array_get(probe, i));
	s->quarantined = json_is_true(json_object_get(o, "quarantined"));
	s->thaw = json_is_true(json_object_get(o, "thaw"));
	s->next = json_incref(json_object_get(o, "next"));
	s->marks = KERN_MARKS_ALL;
	int r = take_owner(s, json_object_get(o, "owner"));

	return r < 0 ? r : record_take_policy(s, o);
}

int record_read(struct daemon *d, const char *id, struct session **ret)
{
	__cleanup_free char *path = NULL, *text = NULL;
	size_t len;

	if (asprintf(&path, SESSIONS_DIR "/%s.json", id) < 0)
		return -ENOMEM;
	int r = file_read(AT_FDCWD, path, RECORD_MAX, &text, &len);

	if (r < 0)
		return r;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	struct session *s = o ? session_new(d) : NULL;

	r = !o ? -EINVAL : s ? take_record(s, o, id) : -ENOMEM;
	json_decref(o);
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int record_each(struct daemon *d, void (*fn)(struct daemon *d, const char *id))
{
	__cleanup_dir DIR *dir = opendir(SESSIONS_DIR);

	if (!dir)
		return -errno;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char id[SESSION_ID_LEN + 1];

		if (strlen(e->d_name) != SESSION_ID_LEN + strlen(".json") ||
		    strcmp(e->d_name + SESSION_ID_LEN, ".json") != 0)
			continue;
		memcpy(id, e->d_name, SESSION_ID_LEN);
		id[SESSION_ID_LEN] = '\0';
		fn(d, id);
	}
	return 0;
}
