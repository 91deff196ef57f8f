// SPDX-License-Identifier: Apache-2.0
/*
 * What a session may do as long as it is live and attended: the agent tries it whenever the tester
 * asks, who meanwhile takes the lease away, or the session's permissions.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "kern/kern.h"
#include "slice.h"

enum { READ, MAKE, RUN, CONNECT, SEND, LOOPBACK, OPEN, N_LIVE };

static const char *const names[N_LIVE] = {
	[READ] = "read a file",
	[MAKE] = "make a file",
	[RUN] = "run a program",
	[CONNECT] = "connect to a database",
	[SEND] = "send without a connection",
	[LOOPBACK] = "connect to an own server on loopback",
	[OPEN] = "use a connection that is open",
};

#define ALL ((1u << N_LIVE) - 1)
#define FILES (1u << READ | 1u << MAKE | 1u << RUN)

/* ---- the agent ---- */

static int try_open(const char *path, int flags)
{
	__cleanup_fd int fd = open(path, flags | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : 0;
}

static int try_other(const char *name)
{
	for (size_t i = 0; i < n_other_attempts; i++)
		if (strcmp(other_attempts[i].name, name) == 0)
			return other_attempts[i].fn(NULL);
	return -ENOENT;
}

static int open_database(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(DB_PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)inet_pton(AF_INET, DB_ADDR, &sa.sin_addr);
	must(fd, "socket");
	must(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), "the connection that stays");
	return fd;
}

static int try_echo(int fd)
{
	char c = 'x';

	return send(fd, &c, 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1 ? -errno : 0;
}

int live_agent(int out, int in)
{
	__cleanup_fd int database = open_database();
	char c;

	while (fd_read_full(in, &c, 1) == 1) {
		const int r[N_LIVE] = {
			[READ] = try_open("/dev/shm/pf-slice/" TREE_READ "/dir/file", O_RDONLY),
			[MAKE] = try_open("/dev/shm/pf-slice/" TREE_WORK "/live",
					  O_CREAT | O_WRONLY),
			[RUN] = try_other("run /bin/true"),
			[CONNECT] = try_other("connect to the database, 16 round trips"),
			[SEND] = try_other("UDP endpoint, sendto"),
			[LOOPBACK] = try_other("own server on loopback"),
			[OPEN] = try_echo(database),
		};

		must(fd_write_all(out, r, sizeof(r)), "report");
	}
	return 0;
}

/* ---- the tester ---- */

struct peer {
	int in, out;
};

/* Have the agent try all: may is a bit for each that must work; the others must be denied. */
static void expect(const struct peer *agent, const char *when, unsigned may)
{
	int r[N_LIVE];

	must(fd_write_all(agent->out, "t", 1), "ask");
	must(fd_read_full(agent->in, r, sizeof(r)) == sizeof(r) ? 0 : -EPIPE, "agent");
	for (int i = 0; i < N_LIVE; i++)
		check(may & 1u << i ? r[i] == 0 : r[i] == -EPERM || r[i] == -EACCES, when, names[i],
		      r[i]);
}

static int lease_map(void)
{
	int fd = bpf_obj_get(PF_PIN_DIR "/maps/pf_lease");

	must(fd < 0 ? -errno : 0, "pf_lease");
	return fd;
}

static struct pf_lease lease_read(void)
{
	const __u32 zero = 0;
	struct pf_lease lease;
	__cleanup_fd int fd = lease_map();

	must(bpf_map_lookup_elem(fd, &zero, &lease), "pf_lease");
	return lease;
}

static void lease_write(__u64 until_ns)
{
	const __u32 zero = 0;
	const struct pf_lease lease = {.until_ns = until_ns};
	__cleanup_fd int fd = lease_map();

	must(bpf_map_update_elem(fd, &zero, &lease, BPF_ANY), "pf_lease");
}

static __u64 now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000u + (__u64)ts.tv_nsec;
}

static __u64 renew(struct kern *k)
{
	__u64 over = 0;

	must(kern_lease_renew(k, LEASE_NS, &over), "renew");
	return over;
}

/* Adopts what is pinned, as a pinfoldd does that starts; the lease that this leaves. */
static struct pf_lease after_start(const char *slice)
{
	struct kern *k = NULL;
	char err[KERN_TEXT_MAX] = "";
	int r = kern_open(&k, slice, err);

	check(r == 0, "kern_open, again", err, r);
	kern_close(k);
	return lease_read();
}

void live_check_start(struct kern *k, const char *slice)
{
	check(lease_read().until_ns == 0, "lease", "at first there is none", 0);
	check(after_start(slice).until_ns == 0, "lease", "a start makes none", 0);
	check(renew(k) == 0, "lease", "was never over", 0);
	lease_write(now_ns() + LEASE_NS / 1000);
	const __u64 given = after_start(slice).until_ns;

	check(given > now_ns() + LEASE_NS / 1000, "lease", "a start has more time", 0);
	check(after_start(slice).until_ns == given, "lease", "one after it has no more", 0);
	check(renew(k) == 0, "lease", "was not over during a start", 0);
	check(after_start(slice).until_ns != given, "lease", "the next start has time again", 0);
	lease_write(1);
	check(after_start(slice).until_ns == 1, "lease", "a start does not bring it back", 0);
	check(renew(k) > 0, "lease", "was over", 0);
	check(renew(k) == 0, "lease", "was over once", 0);
}

static void set(struct kern *k, __u64 id, __u32 unattended)
{
	struct pf_session s;

	must(kern_session_set_unattended(k, id, unattended), "unattended");
	must(kern_session_get(k, id, &s), "session");
	check((s.flags & PF_SESSION_UNATTENDED) == unattended && s.flags & PF_SESSION_LIVE,
	      "unattended", "the rule is the one asked for", 0);
}

void live_check(struct kern *k, __u64 id, int in, int out)
{
	const struct peer agent = {.in = in, .out = out};

	expect(&agent, "attended", ALL);
	lease_write(1);
	expect(&agent, "lease over, no connections", FILES | 1u << OPEN);
	lease_write(0);
	expect(&agent, "lease never given, no connections", FILES | 1u << OPEN);
	set(k, id, PF_SESSION_UNATTENDED_ALLOW);
	expect(&agent, "lease over, allow", ALL);
	set(k, id, PF_SESSION_UNATTENDED_STOP);
	expect(&agent, "lease over, stop", 1u << OPEN);
	(void)renew(k);
	expect(&agent, "attended again, stop", ALL);
	set(k, id, 0);
	expect(&agent, "attended again, no connections", ALL);
}

void live_check_revoked(int in, int out)
{
	const struct peer agent = {.in = in, .out = out};

	expect(&agent, "revoked", 1u << OPEN);
}
