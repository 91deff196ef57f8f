/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's records: into the log, and to their session.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/conn.h"
#include "daemon/session.h"

/* Records between two looks at everything else: an agent that is refused all the time keeps nobody
 * waiting. */
#define AT_ONCE 64

/* What was refused because nobody attended to the session is no violation of its. */
static uint64_t violations(const struct session *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < PF_CLASS_MAX; i++)
		n += s->stats.denied[i];
	return n - s->stats.unattended;
}

/* A daemon that comes later leaves it as it is, whatever was going on. */
static int quarantine(struct session *s)
{
	s->quarantined = true;
	record_update(s);
	return cgroup_freeze(&s->cg, true);
}

/* The policy says what happens when a session is refused too often. */
static void count_violation(struct session *s)
{
	const struct policy_violations *v = &s->policy->violations;

	if (s->state != SESSION_RUNNING || v->threshold == 0 || s->quarantined)
		return;
	session_read_stats(s);
	if (violations(s) < v->threshold || v->action == POLICY_ACTION_RECORD)
		return;
	if (v->action == POLICY_ACTION_KILL || quarantine(s) < 0) {
		session_kill(s, "too many denials: the threshold of the policy was reached");
		return;
	}
	daemon_audit(s->d, session_record(s, "frozen"));
}

/*
 * A daemon that died after it wrote a record and before the kernel knew leaves that record in the
 * ring, as the first one.
 */
static bool is_repeated(struct daemon *d, const json_t *record)
{
	bool found = false;
	size_t i;
	json_t *last;

	json_array_foreach(d->last_records, i, last)
	{
		const json_t *number = json_object_get(last, "kseq");

		if (number && json_equal(number, json_object_get(record, "kseq")) &&
		    strcmp(ctl_str(last, "session"), ctl_str(record, "session")) == 0)
			found = true;
	}
	json_decref(d->last_records);
	d->last_records = NULL;
	return found;
}

static int on_event(void *arg, const struct pf_event *ev)
{
	struct daemon *d = arg;
	struct session *s = session_by_cgroup(d, ev->session);

	json_t *record = denial_record(s, ev);
	bool probe = s && s->state == SESSION_STARTING;

	if (probe && record)
		(void)json_object_set_new(record, "type", json_string("probe"));
	if (is_repeated(d, record)) {
		json_decref(record);
		return 0;
	}
	if (s && !probe && record)
		denials_add(s, record);
	if (ev->session == 0)
		log_warn("%s (pid %u, uid %u) was refused a change of what is Pinfold's (%s%s%s): "
			 "%s",
			 ctl_str(record, "comm"), ev->pid, ev->uid, ctl_str(record, "hook"),
			 ev->name[0] ? " of " : "", ctl_str(record, "object"),
			 pf_reason_hint(ev->reason));
	daemon_audit(d, record);
	if (s && !probe && s->policy)
		count_violation(s);
	return 0;
}

static void drain(struct daemon *d, size_t max)
{
	int r = kern_ring_drain(d->kern, max, on_event, d);

	if (r < 0 && r != -EAGAIN)
		log_err("the kernel's records cannot be read: %s", strerror(-r));
}

void ring_drain(struct daemon *d)
{
	drain(d, KERN_RING_RECORDS);
}

/* It is readable again at once when there are more. */
static void readable(void *arg)
{
	drain(arg, AT_ONCE);
}

int ring_start(struct daemon *d)
{
	d->ring_watch = watch_new(d->loop, kern_ring_fd(d->kern), WATCH_READ, readable, d);
	return d->ring_watch ? 0 : -ENOMEM;
}
