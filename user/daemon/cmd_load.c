/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `pinfold policy load`: who may load which policy into which session. What a session would be with
 * it is a draft, a session that is in no list; what becomes of that is in load.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hold.h"
#include "daemon/conn.h"
#include "daemon/mounts.h"

#define LOAD_EVERY_MS 1000

static int problem(struct start_error *e, int error, const char *text)
{
	e->error = error;
	(void)snprintf(e->text, sizeof(e->text), "%s", text);
	return -error;
}

int load_policy_error(const struct session *draft, const struct policy_err *err,
		      struct start_error *e)
{
	if (!err->text[0])
		return problem(e, ENOMEM, "pinfoldd is out of memory");
	e->file = strdup(draft->policy_file);
	e->line = err->line;
	e->column = err->column;
	return problem(e, EINVAL, err->text);
}

static void tell_refused(struct session *s, uid_t uid, const struct start_error *e)
{
	json_t *record = session_record(s, "policy-refused");

	if (record) {
		(void)json_object_set_new(record, "uid", json_integer(uid));
		(void)json_object_set_new(record, "error", json_string(e->text));
	}
	daemon_audit(s->d, record);
}

static void refuse(struct conn *c, const struct start_error *e)
{
	conn_error_at(c, &(struct ctl_error_reply){.error = e->error,
						   .message = e->text,
						   .file = e->file,
						   .line = e->line,
						   .column = e->column});
}

void load_refuse(struct session *s, struct conn *c, uid_t uid, const struct start_error *e)
{
	tell_refused(s, uid, e);
	if (c)
		refuse(c, e);
}

static struct session *draft_new(const struct session *s)
{
	struct session *draft = session_new(s->d);

	if (!draft)
		return NULL;
	list_del(&draft->node);
	memcpy(draft->id, s->id, sizeof(draft->id));
	draft->live = s;
	draft->state = s->state;
	draft->cg.id = s->cg.id;
	draft->init_pid = s->init_pid;
	draft->hold_slot = (s->hold_slot + 1) % HOLD_SLOTS;
	draft->owner.home = strdup(s->owner.home);
	if (!draft->owner.home) {
		session_free(draft);
		return NULL;
	}
	return draft;
}

/*
 * Who may: root; and who started the session as himself, as long as nobody but him has chosen its
 * policy. What he may load is what he might have run: see check_trust().
 */
static int check_caller(const struct conn *c, const struct session *s, struct start_error *e)
{
	if (c->uid == 0)
		return 0;
	if (s->owner.caller != c->uid || s->owner.uid != c->uid)
		return problem(e, EPERM,
			       "only who started the session as himself, or root, may "
			       "load a policy into it");
	return s->policy_by == c->uid ? 0
				      : problem(e, EPERM,
						"root has loaded the policy of this session: only "
						"root may load another");
}

/* What root has allowed with care is not exchanged for what a caller writes himself. */
static int check_trust(const struct session *s, const struct session *draft, struct start_error *e)
{
	if (draft->trusted || !s->trusted)
		return 0;
	return problem(e, EPERM,
		       "the session has a policy that root owns: only another one of " POLICIES_DIR
		       " may take its place, or start a new session");
}

static int check_state(const struct session *s, struct start_error *e)
{
	if (s->state < SESSION_RUNNING)
		return problem(e, EAGAIN, "the session has not started yet: try again");
	if (s->state > SESSION_RUNNING)
		return problem(e, ESRCH, "the session has ended");
	if (s->load)
		return problem(e, EBUSY,
			       "another policy is being loaded into the session: try "
			       "again");
	return 0;
}

/*
 * The daemon waits for the kernel several times in each, and its other sessions with it: a user has
 * one at a time, and not one after the other without a pause. Also of those that are refused.
 */
static int check_pace(const struct conn *c, struct session *s, struct start_error *e)
{
	uint64_t now = uv_now(s->d->loop);

	if (c->uid == 0)
		return 0;
	list_for_each (pos, &s->d->sessions) {
		const struct session *other = list_entry(pos, struct session, node);

		if (other->load_uid == c->uid &&
		    (other->load || now - other->load_ms < LOAD_EVERY_MS))
			return problem(e, EAGAIN,
				       "you may load one policy at a time, and one a second: try "
				       "again");
	}
	s->load_uid = c->uid;
	s->load_ms = now;
	return 0;
}

static int take_request(struct session *draft, struct conn *c, struct ctl_request *req,
			struct start_error *e)
{
	struct ctl_run run = {0};
	struct ctl_err err = {""};
	int r = ctl_load_decode(req, &run, &err);

	if (r < 0)
		return problem(e, -r, err.text);
	draft->owner.caller = draft->policy_by = c->uid;
	if (run.policy_file)
		draft->fds[CTL_RUN_POLICY] = TAKE_FD(req->fds[CTL_LOAD_POLICY]);
	r = owner_take_ids(&draft->owner, c);
	return r < 0 ? problem(e, -r, strerror(-r)) : policy_load(draft, &run, e);
}

static int check_change(const struct session *s, const struct session *draft, struct start_error *e)
{
	struct policy_err err = {0};
	int r = policy_check_change(s->policy, draft->policy, &err);

	if (r == 0)
		r = mounts_check_change(s->policy, draft->policy, &err);
	return r < 0 ? load_policy_error(draft, &err, e) : 0;
}

static int check_all(struct conn *c, struct session *s, struct session *draft,
		     struct ctl_request *req, struct start_error *e)
{
	int r = check_caller(c, s, e);

	if (r == 0)
		r = draft ? take_request(draft, c, req, e) : problem(e, ENOMEM, "no memory");
	if (r == 0)
		r = check_trust(s, draft, e);
	return r < 0 ? r : check_change(s, draft, e);
}

void cmd_policy_load(struct conn *c, struct session *s, struct ctl_request *req)
{
	struct start_error e = {0};
	int r = check_state(s, &e);

	if (r == 0)
		r = check_pace(c, s, &e);
	if (r < 0) { /* in great numbers, perhaps: not for the log */
		refuse(c, &e);
		return;
	}
	struct session *draft = draft_new(s);

	r = check_all(c, s, draft, req, &e);
	if (r == 0)
		load_begin(c, s, draft);
	else
		load_refuse(s, c, c->uid, &e);
	if (r < 0)
		session_free(draft);
	free(e.file);
}
