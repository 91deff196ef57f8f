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
	r = policy_parse_text(s, &err);
	if (r == 0)
		r = kern_session_get(s->d->kern, s->cg.id, &k);
	if (r == 0)
		r = record_open_end(s, false);
	if (r < 0)
		return r;
	s->init_pidfd = open_labelled(s, s->init_pid, PF_KIND_INIT);
	if (s->init_pidfd < 0)
		return s->init_pidfd; /* it ended while nobody looked */
	r = session_watch_init(s);
	return r < 0 ? r : session_arm_time_limit(s, time_left(s));
}

/* Ended without a daemon: how is in its end file. */
static void bury(struct session *s, int error)
{
	if (s->end_fd < 0 && record_open_end(s, false) < 0)
		s->end_fd = -1;
	if (s->state != SESSION_RUNNING)
		s->reason = strdup("pinfoldd died while it started");
	else if (error != -ESRCH && error != -ENOENT)
		s->reason = strdup("it could not be taken over after a restart of pinfoldd");
	s->state = SESSION_RUNNING;
	session_end(s);
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
	s->state = SESSION_RUNNING;
	s->reason = strdup("a leftover without a record");
	session_end(s);
}

/* Cgroups without a record: killed and removed. */
static void sweep_cgroups(struct daemon *d)
{
	DIR *dir = opendir(d->slice);

	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (e->d_type == DT_DIR && strlen(e->d_name) == SESSION_ID_LEN)
			kill_leaked(d, e->d_name);
	if (dir)
		closedir(dir);
}

/* Entries of the kernel's maps whose cgroup is gone. */
static void sweep_maps(struct daemon *d)
{
	__cleanup_free __u64 *ids = calloc(PF_MAX_SESSIONS, sizeof(*ids));
	int n = ids ? kern_sessions(d->kern, ids, PF_MAX_SESSIONS) : -ENOMEM;

	for (int i = 0; i < n; i++)
		if (!session_by_cgroup(d, ids[i]) && kern_session_drop(d->kern, ids[i]) < 0)
			log_warn("a stale entry of the kernel's session map stays");
}

int adopt_all(struct daemon *d)
{
	int r = record_each(d, adopt_one);

	if (r < 0)
		return r;
	sweep_cgroups(d);
	sweep_maps(d);
	return 0;
}
