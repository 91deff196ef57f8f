/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session objects: made, found, freed. What moves them is in start.c, end.c and gates.c.
 */
#include "daemon/session.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"

/* 32 letters, so that five random bits make one without bias. */
static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

static int make_id(struct daemon *d, char id[SESSION_ID_LEN + 1])
{
	unsigned char random[SESSION_ID_LEN];

	do {
		if (getrandom(random, sizeof(random), 0) != sizeof(random))
			return -EIO;
		for (size_t i = 0; i < SESSION_ID_LEN; i++)
			id[i] = letters[random[i] % 32];
		id[SESSION_ID_LEN] = '\0';
	} while (session_find(d, id));
	return 0;
}

struct session *session_new(struct daemon *d)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->d = d;
	s->cg = CGROUP_INIT;
	s->init_pidfd = s->end_fd = s->counts_fd = s->resolver_pidfd = s->gate.pidfd = -1;
	s->init_pid = s->gate.pid = -1;
	for (size_t i = 0; i < CTL_FDS_MAX; i++)
		s->fds[i] = -1;
	list_init(&s->node);
	list_init(&s->summaries);
	s->denials = json_array();
	if (!s->denials || make_id(d, s->id) < 0) {
		session_free(s);
		return NULL;
	}
	list_add_tail(&d->sessions, &s->node);
	return s;
}

void session_free_policy(struct session *s)
{
	policy_rules_free(&s->rules);
	policy_free(s->policy);
	free(s->found);
	free(s->policy_text);
	free(s->policy_name);
	free(s->policy_file);
	s->policy = NULL;
	s->found = NULL;
	s->policy_text = s->policy_name = s->policy_file = NULL;
}

static void free_start(struct session *s)
{
	close_aside(s->d, s->owner.caller, s->fds, CTL_FDS_MAX);
	json_decref(s->request);
	json_decref(s->own);
	json_decref(s->homes);
	json_decref(s->addresses);
	json_decref(s->next);
	session_free_policy(s);
	policy_rules_free(&s->old_rules);
	free(s->gate.ca_pem);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	list_del(&s->node);
	load_free(s);
	gate_stop(s);
	resolve_stop(s);
	channel_free(&s->init);
	watch_free(&s->init_death);
	alarm_free(&s->deadline);
	alarm_free(&s->time_limit);
	alarm_free(&s->empty);
	alarm_free(&s->why_again);
	fd_close(&s->init_pidfd);
	fd_close(&s->end_fd);
	fd_close(&s->counts_fd);
	cgroup_close(&s->cg);
	free_start(s);
	json_decref(s->command);
	json_decref(s->denials);
	free(s->owner.groups);
	free(s->owner.user);
	free(s->owner.home);
	free(s->name);
	free(s->started);
	free(s->reason);
	free(s);
}

bool session_live(const struct session *s)
{
	return s->state < SESSION_ENDING;
}

/* A name may have been used before: the newest has it. */
struct session *session_find(struct daemon *d, const char *id_or_name)
{
	struct session *found = NULL;

	list_for_each (pos, &d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		if (strcmp(s->id, id_or_name) == 0)
			return s;
		if (s->name && strcmp(s->name, id_or_name) == 0)
			found = s;
	}
	return found;
}

struct session *session_by_cgroup(struct daemon *d, uint64_t id)
{
	list_for_each (pos, &d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		if (s->cg.id == id && s->state != SESSION_ENDED)
			return s;
	}
	return NULL;
}

struct session *session_newest(struct daemon *d, uid_t uid)
{
	struct session *found = NULL;

	list_for_each (pos, &d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		if (s->owner.uid == uid || s->owner.caller == uid)
			found = s;
	}
	return found;
}

/* Forget the oldest that ended, so that a machine that starts many keeps few. */
static void trim(struct daemon *d)
{
	if (d->n_ended <= SESSIONS_KEPT)
		return;
	list_for_each_safe (pos, tmp, &d->sessions) {
		struct session *s = list_entry(pos, struct session, node);

		if (s->state != SESSION_ENDED)
			continue;
		session_free(s);
		d->n_ended--;
		return;
	}
}

void session_set_state(struct session *s, enum session_state state)
{
	s->state = state;
	if (state != SESSION_ENDED)
		return;
	s->d->n_ended++;
	trim(s->d);
}

const char *session_state_name(const struct session *s)
{
	switch (s->state) {
	case SESSION_RESOLVING:
	case SESSION_BUILDING:
	case SESSION_MARKING:
	case SESSION_GATE:
	case SESSION_STARTING:
	case SESSION_EXEC:
		return "starting";
	case SESSION_RUNNING:
		return s->quarantined ? "quarantined" : "running";
	case SESSION_ENDING:
		return "ending";
	case SESSION_ENDED:
		return "ended";
	}
	return "unknown";
}

void session_read_stats(struct session *s)
{
	if (s->state == SESSION_ENDED || s->cg.id == 0)
		return;
	int r = kern_stats(s->d->kern, s->cg.id, &s->stats);

	if (r < 0)
		return; /* not published yet: nothing was denied */
	for (size_t i = 0; i < PF_CLASS_MAX; i++)
		s->stats.denied[i] -= s->probe_stats.denied[i];
}

json_t *session_record(const struct session *s, const char *event)
{
	return json_pack("{s:s, s:s, s:s, s:s*}", "type", "session", "session", s->id, "event",
			 event, "name", s->name);
}
