/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a policy's servers become addresses, in a child: the resolver of the C library may wait
 * for seconds, and answers from outside are not parsed in the daemon.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "daemon/hosts.h"
#include "daemon/session.h"

/* Addresses that are used of one name. */
#define ADDRESSES_MAX 8
#define CHILD_SECONDS 30

/* In the child: {"ips":[..]} or {"error":".."} */
static json_t *look_up(const char *host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char ip[INET6_ADDRSTRLEN];
	int r = getaddrinfo(host, NULL, &hints, &list);

	if (r != 0)
		return json_pack("{s:s}", "error", gai_strerror(r));
	json_t *ips = json_array();

	for (const struct addrinfo *i = list; i && json_array_size(ips) < ADDRESSES_MAX;
	     i = i->ai_next)
		if (getnameinfo(i->ai_addr, i->ai_addrlen, ip, sizeof(ip), NULL, 0,
				NI_NUMERICHOST) == 0)
			(void)json_array_append_new(ips, json_string(ip));
	freeaddrinfo(list);
	return json_pack("{s:o}", "ips", ips);
}

/*
 * What reads answers from outside has no rights, and nothing of the daemon's open but *sock, which
 * gets the first free number: not the lock either, which a new daemon would wait for.
 */
static int give_up_rights(const struct daemon *d, int *sock)
{
	if (*sock != 3 && dup2(*sock, 3) < 0)
		return -errno;
	*sock = 3;
	if (syscall(SYS_close_range, 4, ~0U, 0) < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(d->gate_gid, d->gate_gid, d->gate_gid) < 0 ||
	    setresuid(d->gate_uid, d->gate_uid, d->gate_uid) < 0)
		return -errno;
	return 0;
}

__attribute__((noreturn)) static void child(const struct session *s, int sock)
{
	json_t *out = json_array();

	if (give_up_rights(s->d, &sock) < 0)
		_exit(1);
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(CHILD_SECONDS);
	for (size_t i = 0; i < s->policy->n_dbs; i++)
		(void)json_array_append_new(out, look_up(s->policy->dbs[i].host));
	char *text = json_dumps(json_pack("{s:o}", "resolved", out), JSON_COMPACT);

	_exit(text && fd_send_msg(sock, text, strlen(text), NULL, 0) == 0 ? 0 : 1);
}

static void bad_address(struct session *s, const struct policy_db *db, const char *why)
{
	struct policy_err err = {.line = db->address.mark.line,
				 .column = db->address.mark.column,
				 .code = POLICY_E_VALUE};

	(void)snprintf(err.text, sizeof(err.text), "address of \"%s\": %s %s",
		       db->names.items[0].text, db->host, why);
	session_fail_policy(s, &err);
}

static int add_address(json_t *list, const char *ip, uint16_t port)
{
	return json_array_append_new(list, json_pack("{s:s, s:i}", "ip", ip, "port", port));
}

/* Keep what a gate may connect to. False when nothing is left: the session has failed. */
static bool take_answer(struct session *s, size_t i, const json_t *answer)
{
	const struct policy_db *db = &s->policy->dbs[i];
	const char *error = json_string_value(json_object_get(answer, "error"));
	const json_t *ips = json_object_get(answer, "ips");
	json_t *list = json_array(), *v;
	char why[TEXT_MAX] = "has no address";
	size_t j;

	json_array_foreach((json_t *)ips, j, v)
	{
		const char *ip = json_string_value(v);
		const char *objection = NULL;
		uint8_t addr[16];

		if (!ip || hosts_parse(ip, addr) < 0)
			continue;
		objection = hosts_objection(addr);
		if (!objection) {
			(void)add_address(list, ip, db->port);
			continue;
		}
		(void)snprintf(why, sizeof(why),
			       "resolves to %s, %s; a gate goes there only if the policy itself "
			       "has the address",
			       ip, objection);
	}
	if (error)
		(void)snprintf(why, sizeof(why), "cannot be resolved: %s", error);
	bool some = json_array_size(list) > 0;

	(void)json_array_append_new(s->addresses, list);
	if (!some)
		bad_address(s, db, why);
	return some;
}

static bool take_literal(struct session *s, const struct policy_db *db)
{
	json_t *list = json_array();

	if (add_address(list, db->host, db->port) < 0 ||
	    json_array_append_new(s->addresses, list) < 0) {
		session_fail(s, ENOMEM, "out of memory");
		return false;
	}
	return true;
}

static void take_all(struct session *s, const json_t *answers)
{
	for (size_t i = 0; i < s->policy->n_dbs; i++) {
		const struct policy_db *db = &s->policy->dbs[i];
		bool ok = hosts_is_address(db->host)
				  ? take_literal(s, db)
				  : take_answer(s, i, json_array_get(answers, i));

		if (!ok)
			return;
	}
	resolve_stop(s);
	session_resolved(s);
}

static void on_answer(void *arg, json_t *msg, int *fds, size_t nfds)
{
	(void)fds;
	(void)nfds;
	take_all(arg, json_object_get(msg, "resolved"));
}

static void on_end(void *arg, int error)
{
	struct session *s = arg;

	channel_free(&s->resolver);
	session_fail(s, -error, "the names of the policy could not be looked up in time");
}

static bool needs_child(const struct session *s)
{
	for (size_t i = 0; i < s->policy->n_dbs; i++)
		if (!hosts_is_address(s->policy->dbs[i].host))
			return true;
	return false;
}

int resolve_start(struct session *s)
{
	static const struct channel_ops ops = {.message = on_answer, .end = on_end};
	int pair[2];

	s->addresses = json_array();
	if (!s->addresses)
		return -ENOMEM;
	if (!needs_child(s)) {
		take_all(s, NULL);
		return 0;
	}
	int r = channel_pair(pair);

	if (r < 0)
		return r;
	pid_t pid = fork();

	if (pid == 0)
		child(s, pair[1]);
	close(pair[1]);
	s->resolver = channel_new(s->d->loop, pair[0], &ops, s);
	if (pid < 0 || !s->resolver)
		return pid < 0 ? -EAGAIN : -ENOMEM;
	s->resolver_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return s->resolver_pidfd < 0 ? -errno : 0;
}

void resolve_stop(struct session *s)
{
	siginfo_t si;

	channel_free(&s->resolver);
	if (s->resolver_pidfd < 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, s->resolver_pidfd, SIGKILL, NULL, 0);
	(void)waitid(P_PIDFD, (id_t)s->resolver_pidfd, &si,
		     WEXITED); /* killed: does not wait long */
	fd_close(&s->resolver_pidfd);
}
