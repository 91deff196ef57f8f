/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an earlier daemon left. A session that runs is taken over; one that was being made or ended
 * is killed and cleaned up; so are cgroups and map entries that nobody has a record of.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/session.h"

/* Records at the end of the log among which the last one of each kind is, when a daemon was killed
 * between writing and counting it: what it had to say besides came to less than this. */
#define LAST_RECORDS 16
/* Denials that are looked through for `why`. */
#define RESTORED_MAX 4096

/* A pidfd of pid if the kernel knows it as kind of this session, so no reused number is taken. */
static int open_labelled(const struct session *s, pid_t pid, enum pf_kind kind)
{
	struct pf_label label;
	__cleanup_fd int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (fd < 0 || kern_task_label(s->d->kern, fd, &label) < 0)
		return -ESRCH;
	if (label.kind != kind || label.session != s->cg.id)
		return -ESRCH;
	return TAKE_FD(fd);
}

/* What is left of the time limit; at least a moment, so that it ends in the usual way. */
static uint64_t time_left(const struct session *s)
{
	uint64_t limit = s->policy->limits.time_ms;
	struct tm tm = {0};

	if (limit == 0 || !s->started || !strptime(s->started, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return limit;
	time_t began = timegm(&tm), now = time(NULL);
	uint64_t used = now > began ? (uint64_t)(now - began) * 1000 : 0;

	return used < limit ? limit - used : 1;
}

static void take_gate(struct session *s)
{
	int fd = open_labelled(s, s->gate.pid, PF_KIND_GATE);

	if (s->policy->n_dbs == 0) {
		fd_cleanup(&fd);
		return;
	}
	int r = fd < 0 ? gate_start(s) : gate_watch(s, fd); /* it connects by itself */

	if (r < 0)
		daemon_event(s->d, "gate-failed", "session=%s %s", s->id, strerror(-r));
}

static int take_over(struct session *s)
{
	struct policy_err err = {0};
	struct pf_session k;
	int r = cgroup_open(s->d->slice, s->id, &s->cg);

	if (r < 0)
		return r;
	if (s->state != SESSION_RUNNING)
		return -ECANCELED;
	r = kern_session_get(s->d->kern, s->cg.id, &k);
	if (r == 0 && s->quarantined) /* the daemon may have died just before it */
		r = cgroup_freeze(&s->cg, true);
	if (r == 0)
		r = load_settle(s, k.policy);
	if (r == 0)
		r = policy_parse_text(s, &err);
	if (r == 0)
		r = kern_session_set_unattended(s->d->kern, s->cg.id, publish_unattended(s));
	if (r == 0)
		r = record_open_end(s, false);
	if (r == 0)
		r = counts_open(s);
	if (r < 0)
		return r;
	s->init_pidfd = open_labelled(s, s->init_pid, PF_KIND_INIT);
	if (s->init_pidfd < 0)
		return s->init_pidfd; /* it ended while nobody looked */
	r = session_watch_init(s);
	return r < 0 ? r : session_arm_time_limit(s, time_left(s));
}

/* Ended without a daemon: how is in its end file. Its gate may have been left behind. */
static void bury(struct session *s, int error)
{
	int gate = open_labelled(s, s->gate.pid, PF_KIND_GATE);

	if (gate >= 0 && gate_watch(s, gate) < 0)
		log_err("session=%s no memory to watch its gate", s->id);
	if (s->end_fd < 0 && record_open_end(s, false) < 0)
		s->end_fd = -1;
	if (s->state != SESSION_RUNNING)
		s->reason = strdup("pinfoldd died while it started");
	else if (error != -ESRCH && error != -ENOENT)
		s->reason = strdup("it could not be taken over after a restart of pinfoldd");
	s->state = SESSION_RUNNING;
	session_end(s);
}

/* What was written last is perhaps not counted: the daemon died in between. */
static void count_last(struct session *s)
{
	size_t i;
	json_t *record;

	json_array_foreach(s->d->last_records, i, record)
	{
		const char *id = json_string_value(json_object_get(record, "session"));
		json_int_t seq = json_integer_value(json_object_get(record, "seq"));

		if (id && strcmp(id, s->id) == 0 && json_object_get(record, "gseq") &&
		    (uint64_t)seq > s->counts.log_seq)
			gate_count(s, record);
	}
	counts_write(s);
}

static void adopt_one(struct daemon *d, const char *id)
{
	struct session *s = NULL;
	int r = record_read(d, id, &s);

	if (r < 0) {
		daemon_event(d, "record-unreadable", "session=%s %s", id, strerror(-r));
		return;
	}
	r = take_over(s);
	if (r < 0) {
		bury(s, r);
		return;
	}
	count_last(s);
	take_gate(s);
	daemon_audit(d, session_record(s, "adopted"));
}

static void kill_leaked(struct daemon *d, const char *name)
{
	struct cgroup cg;

	if (session_find(d, name) || cgroup_open(d->slice, name, &cg) < 0)
		return;
	struct session *s = session_new(d);

	if (!s) {
		cgroup_close(&cg);
		return;
	}
	memcpy(s->id, name, SESSION_ID_LEN + 1);
	s->cg = cg;
	s->marks = KERN_MARKS_ALL;
	s->state = SESSION_RUNNING;
	s->reason = strdup("a leftover without a record");
	session_end(s);
}

/* Cgroups without a record: killed and removed. */
static void sweep_cgroups(struct daemon *d)
{
	__cleanup_dir DIR *dir = opendir(d->slice);

	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (e->d_type == DT_DIR && strlen(e->d_name) == SESSION_ID_LEN)
			kill_leaked(d, e->d_name);
}

/* Entries of the kernel's maps whose cgroup is gone, and rules that nobody has. */
static void sweep_maps(struct daemon *d)
{
	__cleanup_free __u64 *ids = calloc(PF_MAX_SESSIONS, sizeof(*ids));
	int n = ids ? kern_sessions(d->kern, ids, PF_MAX_SESSIONS) : -ENOMEM;

	for (int i = 0; i < n; i++) {
		if (session_by_cgroup(d, ids[i]))
			continue;
		kern_marks_drop(d->kern, ids[i], KERN_MARKS_ALL);
		if (kern_session_drop(d->kern, ids[i]) < 0)
			log_warn("a stale entry of the kernel's session map stays");
	}
	kern_rules_sweep(d->kern);
}

/* A session that the daemon has, or NULL. */
static struct session *session_of(struct daemon *d, const json_t *record)
{
	const char *id = json_string_value(json_object_get(record, "session"));

	return id ? session_find(d, id) : NULL;
}

static bool is_live(void *arg, const char *id)
{
	const struct session *s = session_find(arg, id);

	return s && session_live(s);
}

static bool is_denial(void *arg, const json_t *record)
{
	return session_of(arg, record) && denial_is(record);
}

/* `why` goes on with what the log has of it. */
static int restore_denials(struct daemon *d)
{
	const struct audit_filter denials = {.session = is_live, .record = is_denial, .arg = d};
	json_t *records = NULL, *record;
	size_t i;
	int r = audit_tail(AUDIT_FILE, RESTORED_MAX, &denials, &records);

	if (r < 0)
		return r;
	json_array_foreach(records, i, record)
	{
		denials_add(session_of(d, record), record);
	}
	json_decref(records);
	return 0;
}

int adopt_all(struct daemon *d)
{
	uv_update_time(d->loop); /* loading took a while, and deadlines count from now */
	int r = audit_tail(AUDIT_FILE, LAST_RECORDS, NULL, &d->last_records);

	if (r == 0)
		r = record_each(d, adopt_one);
	if (r == 0)
		r = restore_denials(d);
	if (r < 0)
		return r;
	sweep_cgroups(d);
	sweep_maps(d);
	return 0;
}
