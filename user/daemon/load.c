/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another policy for a live session: old rules or new ones, never none, never some of each. The
 * agent stands still from before the first path is opened until the rules are in force, since what
 * it moves in between would have the rules of another place. A process in the session's mounts
 * opens the paths (user/init/marker.c) and hands them to pid 1; then a map of the new rules is
 * made, noted in the record, and put in force by one update of the kernel's entry of the session.
 * Until that update all is as it was, whatever fails or dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/hold.h"
#include "base/log.h"
#include "daemon/conn.h"
#include "daemon/mounts.h"
#include "session/spawn.h"

#define INIT_PATH PF_LIBEXECDIR "/pinfold-init"
#define LOAD_DEADLINE_MS 60000

struct load {
	struct session *s, *draft; /* draft: owned */
	struct conn *reply;	   /* NULL: answered, or the client went away */
	struct channel *channel;
	int agent_events, marks_dir, marks_events; /* of the cgroups */
	int pidfd;				   /* -1: not started, or reaped */
	struct watch *frozen, *death, *emptied;
	struct alarm *deadline;
	json_t *marked; /* what the process answered */
	json_t *next;	/* for the record, from when the kernel may be told */
	bool over;	/* has failed, or is being completed: it cannot be given up any more */
};

static void nobody_left(struct load *l);

/* The agent goes on, unless it stands still for another reason. */
static void thaw(struct session *s)
{
	int r = s->thaw && !s->quarantined ? cgroup_freeze(&s->cg, false) : 0;

	s->thaw = false;
	if (r < 0)
		log_err("session=%s cannot go on: %s", s->id, strerror(-r));
}

/* It has the policy that it had. */
static void go_on(struct session *s)
{
	if (!s->thaw)
		return;
	thaw(s);
	record_update(s);
}

static void reap(struct load *l)
{
	siginfo_t si;

	watch_free(&l->death);
	if (l->pidfd >= 0)
		(void)waitid(P_PIDFD, (id_t)l->pidfd, &si, WEXITED | WNOHANG);
	fd_close(&l->pidfd);
}

void load_free(struct session *s)
{
	struct load *l = s->load;

	if (!l)
		return;
	(void)cgroup_kill_marks(&s->cg); /* the next load sees to it, too */
	s->load = NULL;
	alarm_free(&l->deadline);
	watch_free(&l->frozen);
	watch_free(&l->emptied);
	channel_free(&l->channel);
	reap(l);
	fd_close(&l->agent_events);
	fd_close(&l->marks_events);
	fd_close(&l->marks_dir);
	cgroup_marks_remove(&s->cg);
	publish_drop_marks(l->draft);
	json_decref(l->marked);
	json_decref(l->next);
	session_free(l->draft);
	free(l);
	go_on(s);
}

/*
 * Frees l, now or when nobody opens paths for it any more: until then nobody else loads. The agent
 * does not wait for that, since who opens a path of a dead file system may be there for ever.
 */
static void fail(struct load *l, const struct start_error *e)
{
	load_refuse(l->s, l->reply, l->draft->owner.caller, e);
	l->reply = NULL;
	l->over = true;
	alarm_free(&l->deadline);
	channel_free(&l->channel);
	json_decref(l->marked);
	l->marked = NULL;
	if (cgroup_kill_marks(&l->s->cg) < 0 && l->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
	go_on(l->s);
	nobody_left(l);
}

__printf_like(3, 4) static void fail_with(struct load *l, int error, const char *fmt, ...)
{
	struct start_error e = {.error = error};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	fail(l, &e);
}

void load_abort(struct session *s)
{
	if (s->load && !s->load->over)
		fail_with(s->load, ECANCELED, "the session ended before it had the policy");
}

void load_forget_client(struct session *s, const struct conn *c)
{
	if (s->load && s->load->reply == c)
		s->load->reply = NULL; /* it goes on; the log tells how it ended */
}

json_t *load_describe(const struct session *s)
{
	return s->load ? json_incref(s->load->next) : NULL;
}

/* Numbers that no rule in force has: a denial is explained by the rule that it was for. */
static void number_rules(const struct policy_rules *old, struct policy_rules *new)
{
	uint32_t last = 0;

	for (size_t i = 0; i < old->n; i++)
		if (old->v[i].id > last)
			last = old->v[i].id;
	for (size_t i = 0; i < new->n; i++)
		if (new->v[i].id > 0)
			new->v[i].id += last;
}

/* The end of pid 1's socket for descriptors; a later daemon finds it there as well. */
static int open_hold(const struct session *s)
{
	int fd = (int)syscall(SYS_pidfd_getfd, s->init_pidfd, HOLD_FD_IN, 0);

	return fd < 0 ? -errno : fd;
}

static int drop_held(int hold, unsigned slot)
{
	const struct hold_msg msg = {.what = HOLD_DROP, .slot = (unsigned char)slot};

	return fd_send_msg(hold, &msg, sizeof(msg), NULL, 0);
}

static void drop_old(struct session *s, unsigned slot)
{
	__cleanup_fd int hold = open_hold(s);
	int r = hold < 0 ? hold : drop_held(hold, slot);

	if (r < 0 && r != -ESRCH) /* they are dropped before the next load */
		log_warn("session=%s its pid 1 still holds the old rules: %s", s->id, strerror(-r));
}

/* s gets what the draft has, and the draft what it had. */
static void take_policy(struct session *s, struct session *draft)
{
#define SWAP(field)                                                                                \
	do {                                                                                       \
		__typeof__(s->field) tmp_ = s->field;                                              \
		s->field = draft->field;                                                           \
		draft->field = tmp_;                                                               \
	} while (0)
	char hash[sizeof(s->policy_hash)];

	SWAP(policy_name);
	SWAP(policy_file);
	SWAP(policy_text);
	SWAP(trusted);
	SWAP(installed);
	SWAP(policy);
	SWAP(rules);
	SWAP(found);
	SWAP(policy_by);
	SWAP(hold_slot);
	memcpy(hash, s->policy_hash, sizeof(hash));
	memcpy(s->policy_hash, draft->policy_hash, sizeof(hash));
	memcpy(draft->policy_hash, hash, sizeof(hash));
#undef SWAP
}

static void tell_loaded(struct session *s, const char *old_hash)
{
	json_t *record = session_record(s, "policy-loaded");

	if (record) {
		(void)policy_identify(s, record);
		(void)json_object_set_new(record, "old_sha256", json_string(old_hash));
		(void)json_object_set_new(record, "uid", json_integer(s->policy_by));
	}
	daemon_audit(s->d, record);
}

static json_t *reply_body(const struct session *s, const char *old_hash)
{
	json_t *o = json_pack("{s:s, s:b, s:s}", "session", s->id, "changed",
			      strcmp(s->policy_hash, old_hash) != 0, "old_sha256", old_hash);

	(void)policy_identify(s, o);
	return o;
}

/*
 * The kernel has decided: from here on nothing fails. A record that stays as it is leads to as
 * much, since a later daemon asks the kernel.
 */
static void complete(struct load *l)
{
	struct session *s = l->s;

	take_policy(s, l->draft);
	policy_rules_free(&s->old_rules);
	s->old_rules = l->draft->rules;
	l->draft->rules = (struct policy_rules){0};
	tell_loaded(s, l->draft->policy_hash);
	json_decref(l->next);
	l->next = NULL;
	thaw(s);
	record_update(s);
	drop_old(s, l->draft->hold_slot);
	if (l->reply)
		conn_reply(l->reply, reply_body(s, l->draft->policy_hash), false);
	l->reply = NULL;
	load_free(s);
}

/* Note which rules would be in force, then put them in force. */
static int put_in_force(struct load *l, const struct kern_rule *rules, size_t n)
{
	struct session *s = l->s;
	uint32_t key;
	int r = kern_rules_make(s->d->kern, rules, n, &key);

	if (r < 0)
		return r;
	l->next = record_policy(l->draft);
	if (!l->next || json_object_set_new(l->next, "key", json_integer(key)) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = record_write(s);
	if (r == 0)
		r = kern_session_set_rules(s->d->kern, s->cg.id, key, rules, n,
					   publish_unattended(l->draft));
	if (r == 0)
		return 0;
	kern_rules_drop(s->d->kern, key);
	json_decref(l->next);
	l->next = NULL;
	record_update(s);
	return r;
}

static void fail_policy(struct load *l, const struct policy_err *err)
{
	struct start_error e = {0};

	(void)load_policy_error(l->draft, err, &e);
	fail(l, &e);
	free(e.file);
}

/* The process has opened the paths, and is dead. */
static void finish(struct load *l)
{
	__cleanup_free struct kern_rule *rules = NULL;
	struct policy_err err = {0};
	char why[TEXT_MAX];
	size_t n = 0;

	l->over = true;
	int r = publish_take_marks(l->draft, l->marked, why);

	if (r < 0) {
		fail_with(l, -r, "%s", why);
		return;
	}
	r = publish_rules(l->draft, &rules, &n, &err);
	if (r < 0 && err.text[0]) {
		fail_policy(l, &err);
		return;
	}
	if (r == 0 && audit_retry(l->s->d->audit) < 0) {
		fail_with(l, EIO,
			  "the audit log " AUDIT_FILE " cannot be written, so no policy is loaded; "
			  "the session goes on with its own");
		return;
	}
	if (r == 0)
		r = put_in_force(l, rules, n);
	if (r < 0)
		fail_with(l, -r, "cannot put the policy in force: %s", strerror(-r));
	else
		complete(l);
}

/* Takes what was opened when nobody opens any more. Frees l then. */
static void nobody_left(struct load *l)
{
	bool empty = cgroup_events_have(l->marks_events, "populated 0");

	if (l->death || !empty)
		return;
	reap(l);
	if (l->marked)
		finish(l);
	else if (l->over)
		load_free(l->s);
}

static void emptied(void *arg)
{
	nobody_left(arg);
}

/* Pid 1 by its number, which is another process' when it is dead. */
static bool is_alive(const struct session *s)
{
	return syscall(SYS_pidfd_send_signal, s->init_pidfd, 0, NULL, 0) == 0;
}

static void on_ready(struct load *l, json_t *ready)
{
	struct session *draft = l->draft;
	struct policy_err err = {0};
	json_t *groups = json_array();

	if (draft->own) {
		fail_with(l, EPROTO, "the process that opens the paths repeats itself");
		return;
	}
	draft->own = json_incref(json_object_get(ready, "own"));
	draft->homes = json_incref(json_object_get(ready, "homes"));
	json_t *msg = setup_mark(draft, &err);

	if (!msg && err.text[0]) {
		json_decref(groups);
		fail_policy(l, &err);
		return;
	}
	number_rules(&l->s->rules, &draft->rules);
	for (size_t i = 0; i < draft->owner.n_groups; i++)
		(void)json_array_append_new(groups, json_integer(draft->owner.groups[i]));
	json_t *caller = json_pack(
		"{s:{s:I, s:I, s:o}, s:i}", "caller", "uid", (json_int_t)draft->owner.uid, "gid",
		(json_int_t)draft->owner.gid, "groups", groups, "slot", (int)draft->hold_slot);
	int r = msg && caller && json_object_update(msg, caller) == 0 ? 0 : -ENOMEM;

	json_decref(caller);
	if (r == 0 && !is_alive(l->s))
		r = -ESRCH;
	if (r == 0)
		r = channel_send(l->channel, TAKE_PTR(msg), NULL, 0);
	json_decref(msg);
	if (r < 0)
		fail_with(l, -r, "cannot talk to the process that opens the paths: %s",
			  strerror(-r));
}

static void on_message(void *arg, json_t *msg, int *fds, size_t nfds)
{
	struct load *l = arg;
	json_t *v;

	(void)fds;
	(void)nfds;
	if ((v = json_object_get(msg, "ready")))
		on_ready(l, v);
	else if ((v = json_object_get(msg, "marked")) && l->draft->own && !l->marked)
		l->marked = json_incref(v);
	else if ((v = json_object_get(msg, "failed")) && json_is_string(v))
		fail_with(l, ECANCELED, "%s", json_string_value(v));
	else
		fail_with(l, EPROTO, "the process that opens the paths was not understood");
}

/* Its death is what counts. */
static void on_end(void *arg, int error)
{
	struct load *l = arg;

	(void)error;
	channel_free(&l->channel);
}

static const struct channel_ops ops = {.message = on_message, .end = on_end};

static void died(void *arg)
{
	struct load *l = arg;

	channel_drain(l->channel); /* its last words */
	reap(l);
	if (!l->marked && !l->over)
		fail_with(l, ECHILD, "the process that opens the paths of the policy died");
	else
		nobody_left(l);
}

static void too_late(void *arg)
{
	struct load *l = arg;

	fail_with(l, ETIMEDOUT,
		  l->frozen
			  ? "the processes of the session could not be stopped in time; it has its "
			    "old policy"
			  : "the paths of the policy could not be opened in time; the session "
			    "has its old policy");
}

static int spawn_marker(struct load *l, int channel, struct spawned *sp)
{
	struct session *s = l->s;
	char path[64]; /* "/proc/", an int, "/ns/mnt" */

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)s->init_pid);
	__cleanup_fd int mnt = open(path, O_RDONLY | O_CLOEXEC);

	if (mnt < 0)
		return -errno;
	if (!is_alive(s))
		return -ESRCH;
	__cleanup_fd int hold = open_hold(s);

	if (hold < 0)
		return hold;
	const struct spawn_plan plan = {
		.cgroup = l->marks_dir,
		.path = INIT_PATH,
		.arg = "marks",
		.std = {s->d->null_fd, s->d->null_fd, s->d->null_fd},
		.fds = {channel, mnt, hold},
		.n_fds = 3,
		.listeners.netns = -1,
	};

	return spawn_stopped(&plan, sp);
}

static int start_marker(struct load *l)
{
	struct daemon *d = l->s->d;
	struct spawned sp = SPAWNED_INIT;
	int pair[2], r = channel_pair(pair);

	if (r < 0)
		return r;
	l->channel = channel_new(d->loop, pair[0], &ops, l);
	r = l->channel ? spawn_marker(l, pair[1], &sp) : -ENOMEM;
	close(pair[1]);
	if (r == 0) {
		l->pidfd = TAKE_FD(sp.pidfd);
		l->death = watch_new(d->loop, l->pidfd, WATCH_READ, died, l);
		r = l->death ? kern_label_task(d->kern, l->pidfd, l->s->cg.id, PF_KIND_BOOT)
			     : -ENOMEM;
	}
	if (r == 0)
		r = spawn_go(&sp);
	spawned_close(&sp);
	return r;
}

/* Some of it has changed: does all of the agent's side stand still? */
static void frozen(void *arg)
{
	struct load *l = arg;

	if (!cgroup_events_have(l->agent_events, "frozen 1"))
		return;
	watch_free(&l->frozen);
	int r = start_marker(l);

	if (r < 0)
		fail_with(l, -r, "cannot open the paths of the policy: %s", strerror(-r));
}

/*
 * That it is to go on is in the record before it stands still, for a daemon that comes later. Who
 * stands still already does so for another reason, and stays.
 */
static int freeze(struct load *l)
{
	struct session *s = l->s;
	bool wanted;
	int r = cgroup_freeze_wanted(&s->cg, &wanted);

	if (r == 0 && !wanted) {
		s->thaw = true;
		r = record_write(s);
	}
	if (r == 0)
		r = cgroup_freeze(&s->cg, true);
	if (r == 0)
		r = l->agent_events = cgroup_events_open(s->cg.agent);
	if (r < 0)
		return r;
	l->frozen = watch_new(s->d->loop, l->agent_events, WATCH_URGENT, frozen, l);
	l->deadline = alarm_new(s->d->loop, LOAD_DEADLINE_MS, 0, too_late, l);
	return l->frozen && l->deadline ? 0 : -ENOMEM;
}

/* A place for who opens the paths, and nobody in it of an earlier load, or daemon. */
static int make_room(struct load *l)
{
	struct session *s = l->s;

	l->marks_dir = cgroup_marks_make(&s->cg);
	if (l->marks_dir < 0)
		return l->marks_dir;
	l->marks_events = cgroup_events_open(l->marks_dir);
	if (l->marks_events < 0)
		return l->marks_events;
	if (!cgroup_events_have(l->marks_events, "populated 0"))
		return -EBUSY; /* and load_free() kills it */
	publish_drop_marks(s);
	l->emptied = watch_new(s->d->loop, l->marks_events, WATCH_URGENT, emptied, l);
	return l->emptied ? 0 : -ENOMEM;
}

/* Pid 1 holds nothing of an earlier attempt. */
static int empty_slot(struct load *l)
{
	__cleanup_fd int hold = open_hold(l->s);

	return hold < 0 ? hold : drop_held(hold, l->draft->hold_slot);
}

static const char *why_not(int error)
{
	switch (error) {
	case EBUSY:
		return "what was begun for an earlier policy is being ended: try again";
	case EBADF:
	case ENOTSOCK:
		return "the session was started by an earlier version of Pinfold, which cannot do "
		       "this: start a new one";
	case EAGAIN:
		return "pid 1 of the session takes nothing more: it is frozen, or has no time";
	}
	return strerror(error);
}

void load_begin(struct conn *c, struct session *s, struct session *draft)
{
	struct start_error e = {.error = ENOMEM, .text = "pinfoldd is out of memory"};
	struct load *l = calloc(1, sizeof(*l));

	if (!l) {
		load_refuse(s, c, draft->owner.caller, &e);
		session_free(draft);
		return;
	}
	*l = (struct load){.s = s,
			   .draft = draft,
			   .reply = c,
			   .agent_events = -1,
			   .marks_dir = -1,
			   .marks_events = -1,
			   .pidfd = -1};
	s->load = l;
	int r = make_room(l);

	if (r == 0)
		r = empty_slot(l);
	if (r == 0)
		r = freeze(l);
	if (r == 0)
		return;
	e.error = -r;
	(void)snprintf(e.text, sizeof(e.text), "cannot load a policy: %s", why_not(-r));
	load_refuse(s, c, draft->owner.caller, &e);
	load_free(s);
}

static int settle_on(struct session *s, const json_t *next)
{
	char old_hash[sizeof(s->policy_hash)];

	memcpy(old_hash, s->policy_hash, sizeof(old_hash));
	session_free_policy(s);
	int r = record_take_policy(s, next);

	if (r == 0)
		tell_loaded(s, old_hash);
	return r;
}

int load_settle(struct session *s, uint32_t policy_in_force)
{
	json_t *next = s->next;
	int r = 0;

	if (!next && !s->thaw)
		return 0;
	(void)cgroup_kill_marks(&s->cg); /* the next load sees to it, too */
	s->next = NULL;
	if (next && (uint32_t)json_integer_value(json_object_get(next, "key")) == policy_in_force)
		r = settle_on(s, next);
	json_decref(next);
	if (r < 0)
		return r;
	thaw(s);
	record_update(s);
	return 0;
}
