/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a checked request to a running command: resolver, cgroup, pinfold-init, marks, maps, gate,
 * go. Each step ends by waiting for a message; any of them may fail, and then nothing stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/conn.h"
#include "daemon/session.h"
#include "session/spawn.h"

#define INIT_PATH PF_LIBEXECDIR "/pinfold-init"
#define PROBE_PATH PF_LIBEXECDIR "/pinfold-probe"

static void fail_with(struct session *s, const struct ctl_error_reply *e)
{
	if (s->state >= SESSION_RUNNING)
		return;
	json_t *record = session_record(s, "failed");

	if (record)
		(void)json_object_set_new(record, "error", json_string(e->message));
	daemon_audit(s->d, record);
	if (s->reply)
		conn_error_at(s->reply, e);
	s->reply = NULL;
	free(s->reason);
	s->reason = strdup(e->message);
	session_end(s);
}

void session_fail(struct session *s, int error, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_with(s, &(struct ctl_error_reply){.error = error, .message = text});
}

void session_fail_policy(struct session *s, const struct policy_err *err)
{
	fail_with(s, &(struct ctl_error_reply){.error = EINVAL,
					       .message = err->text,
					       .file = s->policy_file,
					       .line = err->line,
					       .column = err->column});
}

static void too_late(void *arg)
{
	struct session *s = arg;

	session_fail(s, ETIMEDOUT, "the session did not start within %d seconds (it was %s)",
		     START_DEADLINE_MS / 1000,
		     s->state == SESSION_RESOLVING ? "looking up the names of its policy"
		     : s->state == SESSION_GATE	   ? "waiting for its gate"
						   : "waiting for its pid 1");
}

void session_start(struct session *s)
{
	s->deadline = alarm_new(s->d->loop, START_DEADLINE_MS, 0, too_late, s);
	session_set_state(s, SESSION_RESOLVING);
	int r = s->deadline ? resolve_start(s) : -ENOMEM;

	if (r < 0)
		session_fail(s, -r, "cannot look up the names of the policy: %s", strerror(-r));
}

static int publish_session(struct session *s)
{
	struct policy_err err = {0};
	int r = publish(s, &err);

	if (r < 0 && err.text[0])
		session_fail_policy(s, &err);
	else if (r < 0)
		session_fail(s, -r, "cannot tell the kernel about the session: %s", strerror(-r));
	return r;
}

static void send_init(struct session *s, json_t *msg, enum session_state next)
{
	int r = channel_send(s->init, msg, NULL, 0);

	if (r < 0)
		session_fail(s, -r, "cannot talk to the session's pid 1: %s", strerror(-r));
	else
		session_set_state(s, next);
}

static void send_go(struct session *s)
{
	send_init(s, json_pack("{s:{s:s?}}", "go", "ca_pem", s->gate.ca_pem), SESSION_STARTING);
}

void session_gate_ready(struct session *s)
{
	if (s->state == SESSION_GATE)
		send_go(s);
}

/* pinfold-init sees the session's files: which paths have rules depends on its mounts. */
static void on_ready(struct session *s, json_t *ready)
{
	struct policy_err err = {0};

	s->own = json_incref(json_object_get(ready, "own"));
	s->homes = json_incref(json_object_get(ready, "homes"));
	json_t *msg = setup_mark(s, &err);

	if (!msg && err.text[0])
		session_fail_policy(s, &err);
	else
		send_init(s, msg, SESSION_MARKING);
}

static void on_marked(struct session *s, const json_t *results)
{
	char why[TEXT_MAX];
	int r = publish_take_marks(s, results, why);

	if (r < 0) {
		session_fail(s, -r, "%s", why);
		return;
	}
	if (publish_session(s) < 0)
		return;
	if (s->policy->n_dbs == 0) {
		send_go(s);
		return;
	}
	session_set_state(s, SESSION_GATE);
	r = gate_start(s);
	if (r < 0)
		session_fail(s, -r, "cannot start the session's gate: %s", strerror(-r));
}

/* What was refused so far was the probe's; the command has its own count. */
static void on_probed(struct session *s)
{
	ring_drain(s->d);
	session_read_stats(s);
	s->probe_stats = s->stats;
	session_set_state(s, SESSION_EXEC);
	/* Once it is told, the session lives on without us: a later daemon must know. */
	int r = record_write(s);

	if (r == 0)
		r = why_write(s);
	if (r < 0)
		session_fail(s, -r, "cannot write the session's record: %s", strerror(-r));
	else
		send_init(s, json_pack("{s:{}}", "exec"), SESSION_EXEC);
}

static void on_started(struct session *s)
{
	json_t *record = session_record(s, "started");

	alarm_free(&s->deadline);
	session_set_state(s, SESSION_RUNNING);
	if (record) {
		(void)policy_identify(s, record);
		(void)json_object_set_new(record, "uid", json_integer(s->owner.uid));
		(void)json_object_set(record, "command", s->command);
	}
	daemon_audit(s->d, record);
	if (s->reply)
		conn_reply(s->reply, json_pack("{s:s}", "session", s->id), false);
	s->reply = NULL;
	if (session_arm_time_limit(s, s->policy->limits.time_ms) < 0)
		session_kill(s, "no memory for its time limit");
}

static void on_init(void *arg, json_t *msg, int *fds, size_t nfds)
{
	struct session *s = arg;
	json_t *v;

	(void)fds;
	(void)nfds;
	if ((v = json_object_get(msg, "ready")) && s->state == SESSION_BUILDING)
		on_ready(s, v);
	else if ((v = json_object_get(msg, "marked")) && s->state == SESSION_MARKING)
		on_marked(s, v);
	else if (json_object_get(msg, "probed") && s->state == SESSION_STARTING)
		on_probed(s);
	else if (json_object_get(msg, "started") && s->state == SESSION_EXEC)
		on_started(s);
	else if ((v = json_object_get(msg, "failed")) && json_is_string(v))
		session_fail(s, ECANCELED, "%s", json_string_value(v));
	else
		session_fail(s, EPROTO, "the session's pid 1 said what was not expected of it");
}

/* Its process tells of its end; the channel is of no use any more. */
static void on_init_end(void *arg, int error)
{
	struct session *s = arg;

	(void)error;
	channel_free(&s->init);
}

static const struct channel_ops init_ops = {.message = on_init, .end = on_init_end};

static int spawn_init(struct session *s, int channel, struct spawned *sp)
{
	__cleanup_fd int probe = open(PROBE_PATH, O_RDONLY | O_CLOEXEC);

	if (probe < 0)
		return -errno;
	const struct spawn_plan plan = {
		.cgroup = s->cg.agent,
		.clone_flags =
			CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET,
		.path = INIT_PATH,
		.std = {s->d->null_fd, s->d->null_fd, s->d->null_fd},
		.fds = {channel, s->fds[CTL_RUN_CHANNEL], s->fds[CTL_RUN_STDIN],
			s->fds[CTL_RUN_STDOUT], s->fds[CTL_RUN_STDERR], probe, s->end_fd},
		.n_fds = 7,
		.listeners.netns = -1,
	};
	int r = spawn_stopped(&plan, sp);

	if (r == 0)
		r = kern_label_task(s->d->kern, sp->pidfd, s->cg.id, PF_KIND_BOOT);
	return r;
}

static int start_init(struct session *s)
{
	struct spawned sp = SPAWNED_INIT;
	int pair[2], r = channel_pair(pair);

	if (r < 0)
		return r;
	s->init = channel_new(s->d->loop, pair[0], &init_ops, s);
	r = s->init ? spawn_init(s, pair[1], &sp) : -ENOMEM;
	close(pair[1]);
	if (r == 0) {
		s->init_pid = sp.pid;
		s->init_pidfd = TAKE_FD(sp.pidfd);
		r = session_watch_init(s);
	}
	if (r == 0)
		r = record_write(s);
	if (r == 0)
		r = spawn_go(&sp);
	spawned_close(&sp);
	return r;
}

/* Who removes the slice while it is empty takes the programs that are attached to it along. */
static int check_slice(const struct session *s)
{
	struct stat st;

	if (fstatat(s->cg.dir, "..", &st, 0) < 0)
		return -errno;
	return st.st_ino == s->d->slice_id ? 0 : -ESTALE;
}

static int build(struct session *s)
{
	const struct cgroup_limits limits = {
		.memory_bytes = s->policy->limits.memory_bytes,
		.processes = s->policy->limits.processes,
		.cpu_milli = s->policy->limits.cpu_milli,
	};
	int r = record_open_end(s, true);

	if (r == 0)
		r = counts_open(s);
	if (r == 0)
		r = record_write(s); /* before there is anything that it must clean up */
	if (r == 0)
		r = cgroup_make(s->d->slice, s->id, &limits, &s->cg);
	if (r == 0)
		r = check_slice(s);
	if (r == 0)
		r = kern_session_reserve(s->d->kern, s->cg.id, s->cg.agent_id, s->cg.gate_id);
	return r < 0 ? r : start_init(s);
}

void session_resolved(struct session *s)
{
	int r = build(s);

	if (r == -ESTALE || (r == -ENOENT && access(s->d->slice, F_OK) < 0)) {
		session_fail(s, -r,
			     "%s is not the cgroup that pinfoldd attached its programs to: restart "
			     "pinfoldd",
			     s->d->slice);
		return;
	}
	if (r < 0) {
		session_fail(s, -r, "cannot make the session: %s", strerror(-r));
		return;
	}
	send_init(s, setup_message(s), SESSION_BUILDING);
	close_aside(s->d, s->owner.caller, s->fds, CTL_FDS_MAX); /* pinfold-init has them */
}
