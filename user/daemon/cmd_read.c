/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that only look: ps, summary, why, logs, audit-tail, doctor, version.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "daemon/conn.h"
#include "session/cgroup.h"

/* Records of one reply: with AUDIT_LINE_MAX each they would not fit a message, so one by one when
 * they are long. */
#define RECORDS_BYTES (CTL_MSG_MAX / 2)
#define RECORDS_DEFAULT 20
#define RECORDS_MAX 100000

static json_t *statements(const struct session *s)
{
	return json_pack("{s:I, s:I}", "allow", (json_int_t)s->counts.allowed, "deny",
			 (json_int_t)s->counts.denied);
}

static uint64_t denied(const struct session *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < PF_CLASS_MAX; i++)
		n += s->stats.denied[i];
	return n;
}

static json_t *by_class(const struct session *s)
{
	json_t *o = json_object();

	for (__u32 i = 0; o && i < PF_CLASS_MAX; i++)
		(void)json_object_set_new(o, pf_class_name(i),
					  json_integer((json_int_t)s->stats.denied[i]));
	return o;
}

json_t *summary_body(struct session *s)
{
	session_read_stats(s);
	return json_pack("{s:s, s:I, s:o, s:o, s:I, s:s*}", "session", s->id, "denied",
			 (json_int_t)denied(s), "by_class", by_class(s), "statements",
			 statements(s), "lost", (json_int_t)s->stats.lost, "reason", s->reason);
}

/*
 * The client asks when its command has ended, which it knows before the daemon does: as soon as
 * pid 1 has written the end, the answer waits until all is counted.
 */
static bool about_to_end(const struct session *s)
{
	char byte;

	if (s->state == SESSION_ENDING)
		return true;
	return s->state == SESSION_RUNNING && s->end_fd >= 0 && pread(s->end_fd, &byte, 1, 0) == 1;
}

/* "ended": the client saw pid 1 close its channel without a word, and may know before we do. */
void cmd_summary(struct conn *c, struct session *s, const json_t *args)
{
	bool ended = json_is_true(json_object_get(args, "ended")) && s->state != SESSION_ENDED;

	ring_drain(s->d);
	if (ended || about_to_end(s)) {
		list_del(&c->waiting);
		list_add_tail(&s->summaries, &c->waiting);
		return;
	}
	conn_reply(c, summary_body(s), false);
}

static json_t *describe(struct session *s)
{
	session_read_stats(s);
	json_t *o = json_pack("{s:s, s:s*, s:s?, s:I, s:I, s:s?, s:s, s:O?, s:I, s:o, s:s*, s:s*}",
			      "id", s->id, "name", s->name, "user", s->owner.user, "uid",
			      (json_int_t)s->owner.uid, "pid", (json_int_t)s->init_pid, "started",
			      s->started, "state", session_state_name(s), "command", s->command,
			      "denied", (json_int_t)denied(s), "statements", statements(s),
			      "reason", s->reason, "unattended",
			      s->policy ? policy_unattended_name(s->policy->unattended) : NULL);

	(void)policy_identify(s, o);
	return o;
}

static bool is_shown(const struct conn *c, const struct session *s, bool all)
{
	if (c->uid != 0 && s->owner.uid != c->uid && s->owner.caller != c->uid)
		return false;
	return all || s->state != SESSION_ENDED;
}

void cmd_ps(struct conn *c, const json_t *args)
{
	bool all = json_is_true(json_object_get(args, "all"));
	json_t *list = json_array();

	ring_drain(c->d);
	list_for_each (pos, &c->d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		if (is_shown(c, s, all))
			(void)json_array_append_new(list, describe(s));
	}
	conn_reply(c, json_pack("{s:o}", "sessions", list), false);
}

void cmd_why(struct conn *c, struct session *s)
{
	ring_drain(s->d);
	conn_reply(c, denials_body(s), false);
}

static bool is_session(void *arg, const char *id)
{
	const struct session *s = arg;

	return strcmp(id, s->id) == 0;
}

static void send_records(struct conn *c, json_t *records, bool follow)
{
	size_t i, bytes = 0;
	json_t *part = json_array(), *record;

	json_array_foreach(records, i, record)
	{
		size_t size = json_dumpb(record, NULL, 0, JSON_COMPACT);

		if (bytes + size > RECORDS_BYTES && json_array_size(part) > 0) {
			conn_reply(c, json_pack("{s:o}", "records", part), true);
			part = json_array();
			bytes = 0;
		}
		(void)json_array_append(part, record);
		bytes += size;
	}
	conn_reply(c, json_pack("{s:o}", "records", part), follow);
}

void cmd_records(struct conn *c, struct session *s, const json_t *args)
{
	json_int_t lines = json_integer_value(json_object_get(args, "lines"));
	bool follow = json_is_true(json_object_get(args, "follow"));
	const struct audit_filter of_session = {.session = is_session, .arg = s};
	json_t *records = NULL;
	int r;

	if (c->uid != 0 && conns_queued(c->d, c->uid) >= USER_QUEUE_MAX) {
		conn_error(c, EBUSY, "uid %u has not read the answers to what it asked before",
			   (unsigned)c->uid);
		return;
	}
	ring_drain(c->d);
	if (lines <= 0)
		lines = RECORDS_DEFAULT;
	r = audit_tail(AUDIT_FILE, lines > RECORDS_MAX ? RECORDS_MAX : (size_t)lines,
		       s ? &of_session : NULL, &records);
	if (r < 0) {
		conn_error(c, -r, AUDIT_FILE ": %s", strerror(-r));
		return;
	}
	free(c->follow_session);
	c->follow_session = s ? strdup(s->id) : NULL;
	c->following = follow && (!s || c->follow_session);
	send_records(c, records, c->following);
	json_decref(records);
}

static json_t *check(const char *name, bool ok, const char *value, const char *advice)
{
	return json_pack("{s:s, s:b, s:s, s:s*}", "name", name, "ok", ok, "value", value, "advice",
			 advice);
}

static void add_kernel_checks(const struct daemon *d, json_t *list)
{
	for (size_t i = 0; i < KERN_CHECKS; i++) {
		const struct kern_check *k = &d->report.checks[i];
		bool ok = k->state != KERN_MISSING;
		const char *value = k->state == KERN_OK ? "yes" : ok ? "in part" : "no";

		(void)json_array_append_new(list,
					    check(k->name, ok, k->text[0] && ok ? k->text : value,
						  ok ? NULL : k->text));
	}
}

static void add_daemon_checks(const struct daemon *d, json_t *list)
{
	bool limits = d->controllers == CGROUP_ALL;
	int error = audit_error(d->audit);
	char road[96]; /* two numbers of at most 20 digits and 40 bytes of text */
	char lease[LAPSE_MAX + 64];
	uint64_t fast = 0, plain = 0;

	list_for_each (pos, &d->sessions) {
		const struct session *s = list_entry(pos, struct session, node);

		fast += s->stats.redirected;
		plain += s->stats.tcp_msgs;
	}
	(void)snprintf(road, sizeof(road), "%llu messages handed over, %llu by TCP",
		       (unsigned long long)fast, (unsigned long long)plain);
	(void)json_array_append_new(
		list, check("audit log", error == 0, error ? strerror(-error) : "written",
			    error ? "no session starts until it can be written again" : NULL));
	(void)json_array_append_new(
		list, check("limits", limits, limits ? "memory, pids, cpu" : "not all controllers",
			    limits ? NULL
				   : "enable the controllers memory, pids and cpu in the root "
				     "cgroup's cgroup.subtree_control"));
	(void)json_array_append_new(list, check("gate connections", true, road, NULL));
	(void)snprintf(lease, sizeof(lease), "%u s%s%s", d->lease_s,
		       d->lapse[0] ? "; nobody attended to sessions " : "", d->lapse);
	(void)json_array_append_new(list, check("lease", true, lease, NULL));
}

void cmd_doctor(struct conn *c)
{
	json_t *list = json_array();
	json_int_t live = 0;

	list_for_each (pos, &c->d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		session_read_stats(s);
		live += session_live(s);
	}
	add_kernel_checks(c->d, list);
	add_daemon_checks(c->d, list);
	conn_reply(c,
		   json_pack("{s:o, s:I, s:s}", "checks", list, "sessions", live, "version",
			     PF_VERSION),
		   false);
}

void cmd_version(struct conn *c)
{
	conn_reply(c, json_pack("{s:s, s:i}", "version", PF_VERSION, "abi", PF_ABI_VERSION), false);
}
