/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a session: whatever brought it about, everything in its cgroup is killed, its gate
 * after a short grace, and when that is empty its maps, directories and record go, and the reason
 * is told.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/conn.h"
#include "daemon/session.h"

/* How often an ending session is looked at. */
#define EMPTY_EVERY_MS 5
/*
 * A gate that was asked to end is killed after this: more than the second that it gives to servers
 * which do not answer (GATE_END_MS). One that runs nothing ends at once.
 */
#define GATE_GRACE_MS 1500

/* What pinfold-init wrote: "exited 0", "signal 9", "hangup", "rules"; NULL: nothing. */
static char *read_end(const struct session *s)
{
	char text[64]; /* the longest is "exited 255" */
	int value;
	char *reason = NULL;
	ssize_t n = s->end_fd < 0 ? 0 : pread(s->end_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	if (sscanf(text, "exited %d", &value) == 1)
		return asprintf(&reason, "exited %d", value) < 0 ? NULL : reason;
	if (sscanf(text, "signal %d", &value) == 1)
		return asprintf(&reason, "killed by SIG%s", sigabbrev_np(value)) < 0 ? NULL
										     : reason;
	if (strcmp(text, "rules\n") == 0)
		return strdup("its pid 1 could not hold the rules of the policy that was loaded");
	return strdup("its terminal, or the pinfold that ran it, went away");
}

/* `pinfold panic` does not ask us: what it did to the kernel's map is what it leaves. */
static bool is_revoked(const struct session *s)
{
	struct pf_session k;

	return kern_session_get(s->d->kern, s->cg.id, &k) == 0 && !(k.flags & PF_SESSION_LIVE);
}

static void find_reason(struct session *s)
{
	if (s->reason)
		return;
	if (is_revoked(s))
		s->reason = strdup("all sessions were stopped (pinfold panic)");
	else if (cgroup_oom_killed(&s->cg))
		s->reason = strdup("out of memory: the limit of the policy was reached");
	if (!s->reason)
		s->reason = read_end(s);
	if (!s->reason)
		s->reason = strdup("its pid 1 was killed from outside");
}

static void set_number(json_t *o, const char *key, uint64_t value)
{
	if (o)
		(void)json_object_set_new(o, key, json_integer((json_int_t)value));
}

static void tell_end(struct session *s)
{
	json_t *record = session_record(s, "ended");
	uint64_t denied = 0;

	for (size_t i = 0; i < PF_CLASS_MAX; i++)
		denied += s->stats.denied[i];
	if (record)
		(void)json_object_set_new(record, "reason",
					  json_string(s->reason ? s->reason : "unknown"));
	set_number(record, "denied", denied);
	set_number(record, "events", s->stats.seq);
	set_number(record, "merged", s->stats.merged);
	set_number(record, "lost", s->stats.lost);
	set_number(record, "statements_allowed", s->counts.allowed);
	set_number(record, "statements_denied", s->counts.denied);
	daemon_audit(s->d, record);
}

static void clean_up(struct session *s)
{
	struct daemon *d = s->d;
	int r = 0;

	if (s->cg.id) {
		publish_drop_marks(s);
		r = kern_session_drop(d->kern, s->cg.id);
		if (r < 0 && r != -ENOENT)
			log_err("session=%s cannot leave the kernel's maps: %s", s->id,
				strerror(-r));
	}
	cgroup_close(&s->cg);
	r = cgroup_remove(d->slice, s->id);
	if (r < 0)
		log_err("session=%s cannot remove its cgroup: %s", s->id, strerror(-r));
	record_remove(s);
}

static void finish(struct session *s)
{
	siginfo_t si;

	alarm_free(&s->empty);
	if (s->init_pidfd >= 0) /* if it is our child */
		(void)waitid(P_PIDFD, (id_t)s->init_pidfd, &si, WEXITED | WNOHANG);
	ring_drain(s->d);
	session_read_stats(s);
	find_reason(s);
	load_free(s);
	gate_stop(s);
	clean_up(s);
	tell_end(s);
	session_set_state(s, SESSION_ENDED);
	conns_summaries(s);
}

/* Pid 1 is the last of its pid namespace, and may have been moved to another cgroup. */
static bool is_populated(const struct session *s)
{
	struct pollfd init = {.fd = s->init_pidfd, .events = POLLIN};

	return cgroup_populated(&s->cg) || (s->init_pidfd >= 0 && poll(&init, 1, 0) == 0);
}

static int kill_processes(struct session *s)
{
	bool grace = s->gate.pidfd >= 0 && uv_now(s->d->loop) < s->gate.grace_end_ms;

	return grace ? cgroup_kill_agent(&s->cg) : cgroup_kill(&s->cg);
}

/* Its last records come before the end of the gate's channel. */
static void check_empty(void *arg)
{
	struct session *s = arg;

	if (is_populated(s)) {
		(void)kill_processes(s); /* again, for what was born in between */
		return;
	}
	if (!s->gate.channel)
		finish(s);
}

void session_end(struct session *s)
{
	if (s->state >= SESSION_ENDING)
		return;
	session_set_state(s, SESSION_ENDING);
	alarm_free(&s->deadline);
	alarm_free(&s->time_limit);
	alarm_free(&s->gate.again);
	alarm_free(&s->why_again);
	resolve_stop(s);
	load_abort(s);
	watch_free(&s->init_death);
	channel_free(&s->init);
	/* Of a start that failed before pid 1 had them; whoever reads the other end waits. */
	close_aside(s->d, s->owner.caller, s->fds, CTL_FDS_MAX);
	find_reason(s); /* while memory.events is there */
	if (gate_ask_end(s))
		s->gate.grace_end_ms = uv_now(s->d->loop) + GATE_GRACE_MS;
	int r = kill_processes(s);

	/* With pid 1 goes all that somebody has moved to another cgroup. */
	if (s->init_pidfd >= 0 &&
	    syscall(SYS_pidfd_send_signal, s->init_pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		r = -errno;
	if (r < 0)
		log_err("session=%s cannot be killed: %s", s->id, strerror(-r));
	s->empty = alarm_new(s->d->loop, 0, EMPTY_EVERY_MS, check_empty, s);
	if (!s->empty)
		log_err("session=%s no memory to wait for its end; the next start cleans up",
			s->id);
}

void session_kill(struct session *s, const char *reason)
{
	if (s->state >= SESSION_ENDING)
		return;
	if (s->state < SESSION_RUNNING) {
		session_fail(s, ECANCELED, "the session was ended before it started: %s", reason);
		return;
	}
	free(s->reason);
	s->reason = strdup(reason);
	session_end(s);
}

static void init_died(void *arg)
{
	struct session *s = arg;
	siginfo_t si;

	(void)waitid(P_PIDFD, (id_t)s->init_pidfd, &si, WEXITED | WNOHANG); /* if it is our child */
	channel_drain(s->init); /* it may have said why */
	if (s->state < SESSION_RUNNING) {
		session_fail(s, ECHILD, "the session's pid 1 died during the start");
		return;
	}
	session_end(s);
}

int session_watch_init(struct session *s)
{
	s->init_death = watch_new(s->d->loop, s->init_pidfd, WATCH_READ, init_died, s);
	return s->init_death ? 0 : -ENOMEM;
}

static void time_is_up(void *arg)
{
	session_kill(arg, "time limit of the policy reached");
}

int session_arm_time_limit(struct session *s, uint64_t ms)
{
	if (ms == 0)
		return 0;
	s->time_limit = alarm_new(s->d->loop, ms, 0, time_is_up, s);
	return s->time_limit ? 0 : -ENOMEM;
}
