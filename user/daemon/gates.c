/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate of a session: started with its listeners and credentials, heard, and started anew when
 * it dies. While there is none, the session's databases are closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/log.h"
#include "daemon/session.h"
#include "session/spawn.h"

#define GATE_PATH PF_LIBEXECDIR "/pinfold-gate"

/* A gate that dies this often within a minute is not started again. */
#define DEATHS_MAX 5
#define DEATHS_WINDOW_MS 60000
#define AGAIN_MS 100

#define CA_FILE_MAX (1024 * 1024)

static json_t *endpoint(const struct session *s, size_t i, char why[TEXT_MAX])
{
	const struct policy_db *db = &s->policy->dbs[i];
	char *password = NULL;
	__cleanup_free char *ca = NULL;

	if (db->ca.text && trusted_file_read(db->ca.text, 022, CA_FILE_MAX, &ca, why) < 0)
		return NULL;
	if (secret_read(&db->password, &password, why) < 0)
		return NULL;
	json_t *e = json_pack(
		"{s:s, s:i, s:s, s:i, s:O, s:s, s:s?, s:s?, s:s, s:s, s:s?}", "name",
		db->names.items[0].text, "id", (int)i, "type", policy_db_type_name(db->type),
		"listener", (int)i, "addresses", json_array_get(s->addresses, i), "host", db->host,
		"database", db->database.text, "user", db->user.text, "password",
		password ? password : "", "tls", policy_tls_name(db->tls), "ca_pem", ca);

	secret_free(password);
	if (!e)
		(void)snprintf(why, TEXT_MAX, "out of memory");
	return e;
}

static json_t *config(const struct session *s, char why[TEXT_MAX])
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->policy->n_dbs; i++) {
		json_t *e = endpoint(s, i, why);

		if (!e || json_array_append_new(list, e) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:s, s:o, s:{}}", "session", s->id, "endpoints", list, "limits");
}

static void trouble(struct session *s, const char *text)
{
	if (s->state == SESSION_GATE)
		session_fail(s, EIO, "the gate did not start: %s", text);
	else
		daemon_event(s->d, "gate-failed", "session=%s %s", s->id, text);
}

static void on_listening(struct session *s, const int *fds, size_t nfds)
{
	char why[TEXT_MAX] = "";
	json_t *msg = config(s, why);
	int r;

	if (!msg) {
		trouble(s, why);
		return;
	}
	r = channel_send(s->gate.channel, msg, fds, nfds);
	if (r < 0)
		trouble(s, strerror(-r));
}

/* Before 6.2 the kernel side may fail to see the exec that makes a gate of its first stage. */
static bool is_labelled(const struct session *s)
{
	struct pf_label label;

	return s->gate.pidfd >= 0 && kern_task_label(s->d->kern, s->gate.pidfd, &label) == 0 &&
	       label.kind == PF_KIND_GATE && label.session == s->cg.id;
}

static void on_ready(struct session *s, const json_t *ready)
{
	const char *pem = json_string_value(json_object_get(ready, "ca_pem"));

	if (!is_labelled(s)) {
		(void)cgroup_kill_gate(&s->cg); /* its end is seen, and another one started */
		trouble(s, "the kernel does not know it as a gate");
		return;
	}
	free(s->gate.ca_pem);
	s->gate.ca_pem = pem ? strdup(pem) : NULL;
	s->gate.ready = true;
	if (s->state == SESSION_GATE) {
		session_gate_ready(s);
		return;
	}
	/* The session verifies its gate by this file; a new gate has a new authority. */
	int r = s->gate.ca_pem ? inside_replace(s, "ca.pem", s->gate.ca_pem) : 0;

	if (r == 0)
		r = record_write(s);
	daemon_event(s->d, "gate-restarted", "session=%s%s%s", s->id, r < 0 ? ": " : "",
		     r < 0 ? strerror(-r) : "");
}

void gate_count(struct session *s, const json_t *record)
{
	const char *type = json_string_value(json_object_get(record, "type"));
	const char *verdict = json_string_value(json_object_get(record, "verdict"));
	json_int_t number = json_integer_value(json_object_get(record, "gseq"));

	if (type && strcmp(type, "statement") == 0 && verdict) {
		if (strcmp(verdict, "allow") != 0)
			s->counts.denied++;
		else if (!json_is_false(json_object_get(record, "executed")))
			s->counts.allowed++;
	}
	if (number > 0)
		s->counts.gate_sent = (uint64_t)number;
}

static void tell_loss(struct session *s, uint64_t n)
{
	int r;

	if (n == 0)
		return;
	r = audit_lost(s->d->audit, json_pack("{s:s, s:s}", "session", s->id, "of", "gate"), n);
	if (r < 0)
		log_err("the audit log cannot be written: %s", strerror(-r));
}

/* Records that were under way when the daemon they were sent to died. */
static void count_missing(struct session *s, const json_t *msg)
{
	json_int_t number = json_integer_value(json_object_get(msg, "gseq"));

	if (number > 0 && (uint64_t)number > s->counts.gate_sent + 1)
		tell_loss(s, (uint64_t)number - s->counts.gate_sent - 1);
}

/* What the gate could not hold, told by a sum that only grows. */
static void count_lost(struct session *s, const json_t *msg, const char *key)
{
	json_int_t total = json_integer_value(json_object_get(msg, key));

	if (total <= 0 || (uint64_t)total <= s->counts.gate_lost)
		return;
	tell_loss(s, (uint64_t)total - s->counts.gate_lost);
	s->counts.gate_lost = (uint64_t)total;
}

/* What the gate decided goes on record; it may not speak for another session. */
static void on_record(struct session *s, json_t *msg, const char *type)
{
	count_missing(s, msg);
	if (json_object_set_new(msg, "session", json_string(s->id)) < 0)
		return;
	if (strcmp(type, "lost") == 0) {
		tell_loss(s, (uint64_t)json_integer_value(json_object_get(msg, "count")));
		s->counts.gate_lost = (uint64_t)json_integer_value(json_object_get(msg, "total"));
	} else {
		if (denial_is(msg))
			denials_add(s, msg);
		daemon_audit(s->d, json_incref(msg));
	}
	gate_count(s, msg);
	counts_write(s);
}

/* A gate that found its way back: all that it sent came here, or is lost. */
static void on_hello(struct session *s, const json_t *msg)
{
	json_int_t sent = json_integer_value(json_object_get(msg, "sent"));

	if (sent > 0 && (uint64_t)sent > s->counts.gate_sent) {
		tell_loss(s, (uint64_t)sent - s->counts.gate_sent);
		s->counts.gate_sent = (uint64_t)sent;
	}
	count_lost(s, msg, "lost");
	counts_write(s);
}

static void on_gate(void *arg, json_t *msg, int *fds, size_t nfds)
{
	struct session *s = arg;
	const char *type = json_string_value(json_object_get(msg, "type"));
	const json_t *v;

	if (json_object_get(msg, "listening"))
		on_listening(s, fds, nfds);
	else if ((v = json_object_get(msg, "ready")))
		on_ready(s, v);
	else if ((v = json_object_get(msg, "failed")))
		trouble(s, json_is_string(v) ? json_string_value(v) : "no reason given");
	else if (type && (strcmp(type, "statement") == 0 || strcmp(type, "conn") == 0 ||
			  strcmp(type, "lost") == 0))
		on_record(s, msg, type);
	else if (json_object_get(msg, "hello"))
		on_hello(s, msg);
	else
		log_warn("session=%s its gate said what was not understood", s->id);
}

static void on_gate_end(void *arg, int error)
{
	struct session *s = arg;

	if (error != -EPIPE)
		log_warn("session=%s channel of its gate: %s", s->id, strerror(-error));
	channel_free(&s->gate.channel);
}

static const struct channel_ops gate_ops = {.message = on_gate, .end = on_gate_end};

static void start_again(void *arg)
{
	struct session *s = arg;

	alarm_free(&s->gate.again);
	int r = gate_start(s);

	if (r < 0)
		daemon_event(s->d, "gate-failed", "session=%s cannot be started: %s", s->id,
			     strerror(-r));
}

static bool too_many_deaths(struct session *s)
{
	uint64_t now = uv_now(s->d->loop);

	if (s->gate.deaths == 0 || now - s->gate.first_death_ms > DEATHS_WINDOW_MS) {
		s->gate.deaths = 0;
		s->gate.first_death_ms = now;
	}
	return ++s->gate.deaths > DEATHS_MAX;
}

static void gate_died(void *arg)
{
	struct session *s = arg;
	siginfo_t si;

	(void)waitid(P_PIDFD, (id_t)s->gate.pidfd, &si, WEXITED | WNOHANG); /* if it is our child */
	channel_drain(s->gate.channel); /* its last records, or why */
	watch_free(&s->gate.death);
	fd_close(&s->gate.pidfd);
	s->gate.pid = -1;
	s->gate.ready = false;
	(void)cgroup_kill_gate(&s->cg); /* its parser, should it have been left behind */
	if (s->state == SESSION_GATE) {
		session_fail(s, EIO, "the gate died during the start");
		return;
	}
	if (!session_live(s))
		return;
	bool give_up = too_many_deaths(s);

	daemon_event(s->d, "gate-died", "session=%s its databases are closed%s", s->id,
		     give_up ? "; it died too often and is not started again" : "");
	if (!give_up)
		s->gate.again = alarm_new(s->d->loop, AGAIN_MS, 0, start_again, s);
}

int gate_watch(struct session *s, int pidfd)
{
	s->gate.pidfd = pidfd;
	s->gate.death = watch_new(s->d->loop, pidfd, WATCH_READ, gate_died, s);
	return s->gate.death ? 0 : -ENOMEM;
}

static int spawn_gate(struct session *s, int channel, struct spawned *sp)
{
	char path[64]; /* "/proc/", an int, "/ns/net" */

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)s->init_pid);
	__cleanup_fd int netns = open(path, O_RDONLY | O_CLOEXEC);

	if (netns < 0)
		return -errno;
	const struct spawn_plan plan = {
		.cgroup = s->cg.gate,
		.path = GATE_PATH,
		.std = {s->d->null_fd, s->d->null_fd, STDERR_FILENO},
		.fds = {channel},
		.n_fds = 1,
		.listeners = {netns, PF_GATE_PORT_FIRST, s->policy->n_dbs},
		.uid = s->d->gate_uid,
		.gid = s->d->gate_gid,
	};
	int r = spawn_stopped(&plan, sp);

	if (r == 0)
		r = kern_label_task(s->d->kern, sp->pidfd, s->cg.id, PF_KIND_GATE_BOOT);
	return r;
}

int gate_start(struct session *s)
{
	struct spawned sp = SPAWNED_INIT;
	int pair[2], r = channel_pair(pair);

	if (r < 0)
		return r;
	channel_free(&s->gate.channel);
	s->counts.gate_sent = s->counts.gate_lost = 0;
	counts_write(s);
	s->gate.channel = channel_new(s->d->loop, pair[0], &gate_ops, s);
	r = s->gate.channel ? spawn_gate(s, pair[1], &sp) : -ENOMEM;
	close(pair[1]);
	if (r == 0) {
		s->gate.pid = sp.pid;
		r = gate_watch(s, TAKE_FD(sp.pidfd));
	}
	if (r == 0)
		r = record_write(s);
	if (r == 0)
		r = spawn_go(&sp);
	spawned_close(&sp);
	return r;
}

void gate_reconnected(struct session *s, int sock, int pidfd)
{
	channel_free(&s->gate.channel);
	s->gate.channel = channel_new(s->d->loop, sock, &gate_ops, s);
	s->gate.ready = true;
	if (!s->gate.death && gate_watch(s, pidfd) < 0)
		log_err("session=%s no memory to watch its gate", s->id);
	else if (s->gate.pidfd != pidfd)
		close(pidfd);
	daemon_event(s->d, "gate-back", "session=%s", s->id);
}

bool gate_ask_end(struct session *s)
{
	return s->gate.pidfd >= 0 &&
	       syscall(SYS_pidfd_send_signal, s->gate.pidfd, SIGTERM, NULL, 0) == 0;
}

void gate_stop(struct session *s)
{
	alarm_free(&s->gate.again);
	channel_free(&s->gate.channel);
	watch_free(&s->gate.death);
	if (s->gate.pidfd >= 0) {
		siginfo_t si;

		(void)syscall(SYS_pidfd_send_signal, s->gate.pidfd, SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)s->gate.pidfd, &si, WEXITED | WNOHANG);
	}
	fd_close(&s->gate.pidfd);
}
