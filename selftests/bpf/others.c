// SPDX-License-Identifier: Apache-2.0
/*
 * Attempts that are not about a tree of files: special files, code, the network, other tasks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "slice.h"

/* More than both directions of two loopback sockets hold. */
#define FLOOD_MAX (64u << 20)

int outside_pid;

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static struct sockaddr_in v4(const char *ip, int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	(void)inet_pton(AF_INET, ip, &sa.sin_addr);
	return sa;
}

static struct sockaddr_in6 v6(const char *ip, int port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	(void)inet_pton(AF_INET6, ip, &sa.sin6_addr);
	return sa;
}

/* Send a line and wait for its echo; the address that the socket claims to talk to must be the
 * asked one. */
static int echo(int fd, const void *asked, socklen_t len)
{
	struct timeval limit = {.tv_sec = 10};
	struct sockaddr_storage peer;
	socklen_t got = sizeof(peer);
	char buf[16] = {0};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	for (int i = 0; i < 16; i++) {
		if (send(fd, "0123456789abcdef", 16, 0) != 16)
			return -errno;
		if (recv(fd, buf, 16, MSG_WAITALL) != 16)
			return -errno;
		if (memcmp(buf, "0123456789abcdef", 16) != 0)
			return -EBADMSG;
	}
	if (getpeername(fd, (struct sockaddr *)&peer, &got) < 0)
		return -errno;
	return got == len && memcmp(&peer, asked, len) == 0 ? 0 : -EDESTADDRREQ;
}

static int try_db(const char *unused)
{
	struct sockaddr_in sa = v4(DB_ADDR, DB_PORT);
	__cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return echo(fd, &sa, sizeof(sa));
}

static int try_db_mapped(const char *unused)
{
	struct sockaddr_in6 sa = v6("::ffff:" DB_ADDR, DB_PORT);
	__cleanup_fd int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return echo(fd, &sa, sizeof(sa));
}

static int try_udp_connected(const char *unused)
{
	struct sockaddr_in sa = v4(DB_ADDR, UDP_PORT);
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return echo(fd, &sa, sizeof(sa));
}

/*
 * Send to a gate that does not read (its echo is stuck, because nobody reads that): it must come to
 * a stop after about the credit and what TCP takes.
 */
static int try_flood(const char *unused)
{
	static const char chunk[16384];
	struct sockaddr_in sa = v4(DB_ADDR, DB_PORT);
	struct pollfd p = {.events = POLLOUT};
	size_t sent = 0;
	__cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	p.fd = fd;
	while (sent < FLOOD_MAX && poll(&p, 1, 1000) > 0) {
		ssize_t n = send(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			return -errno;
		sent += n > 0 ? (size_t)n : 0;
	}
	return sent < FLOOD_MAX ? 0 : -EFBIG;
}

/* sendto() to an endpoint; the answer must come from the address that was asked. */
static int udp_ask(int family, const void *sa, socklen_t len)
{
	struct timeval limit = {.tv_sec = 10};
	struct sockaddr_storage from;
	socklen_t got = sizeof(from);
	char buf[8];
	__cleanup_fd int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (sendto(fd, "query", 5, 0, sa, len) < 0)
		return -errno;
	if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &got) != 5)
		return -errno;
	return got == len && memcmp(&from, sa, len) == 0 ? 0 : -EDESTADDRREQ;
}

static int try_udp_sendto(const char *unused)
{
	struct sockaddr_in sa = v4(DB_ADDR, UDP_PORT);

	(void)unused;
	return udp_ask(AF_INET, &sa, sizeof(sa));
}

static int try_udp_mapped(const char *unused)
{
	struct sockaddr_in6 sa = v6("::ffff:" DB_ADDR, UDP_PORT);

	(void)unused;
	return udp_ask(AF_INET6, &sa, sizeof(sa));
}

/* Non-blocking, so that the baseline learns nothing but that it may. */
static int go(int family, int type, const void *sa, socklen_t len)
{
	__cleanup_fd int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (connect(fd, sa, len) < 0 && errno != EINPROGRESS && errno != ECONNREFUSED &&
	    errno != ENETUNREACH && errno != EHOSTUNREACH)
		return -errno;
	return 0;
}

static int try_other(const char *unused)
{
	struct sockaddr_in sa = v4(OTHER_ADDR, 443);

	(void)unused;
	return go(AF_INET, SOCK_STREAM, &sa, sizeof(sa));
}

static int try_db_other_port(const char *unused)
{
	struct sockaddr_in sa = v4(DB_ADDR, DB_PORT + 1);

	(void)unused;
	return go(AF_INET, SOCK_STREAM, &sa, sizeof(sa));
}

static int try_other_mapped(const char *unused)
{
	struct sockaddr_in6 sa = v6("::ffff:" OTHER_ADDR, 443);

	(void)unused;
	return go(AF_INET6, SOCK_STREAM, &sa, sizeof(sa));
}

static int try_other_v6(const char *unused)
{
	struct sockaddr_in6 sa = v6("2001:db8::1", 443);

	(void)unused;
	return go(AF_INET6, SOCK_STREAM, &sa, sizeof(sa));
}

static int try_gate_directly(const char *unused)
{
	struct sockaddr_in sa = v4("127.0.0.1", GATE_TCP_PORT);

	(void)unused;
	return go(AF_INET, SOCK_STREAM, &sa, sizeof(sa));
}

static int send_to(const char *ip, int flags, int type)
{
	struct sockaddr_in sa = v4(ip, 53);
	__cleanup_fd int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ssize_t n = sendto(fd, "x", 1, flags, (struct sockaddr *)&sa, sizeof(sa));

	if (n < 0 && errno != ENETUNREACH && errno != ECONNREFUSED && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static int try_udp_other(const char *unused)
{
	(void)unused;
	return send_to(OTHER_ADDR, 0, SOCK_DGRAM);
}

static int try_fastopen(const char *unused)
{
	(void)unused;
	return send_to(OTHER_ADDR, MSG_FASTOPEN, SOCK_STREAM);
}

static int bind_listen(const char *ip, int port)
{
	struct sockaddr_in sa = v4(ip, port);
	__cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return result(listen(fd, 1));
}

static int try_bind_any(const char *unused)
{
	(void)unused;
	return bind_listen("0.0.0.0", 0);
}

static int try_bind_gate_port(const char *unused)
{
	(void)unused;
	return bind_listen("127.0.0.1", GATE_TCP_PORT + 9);
}

static int try_listen_unbound(const char *unused)
{
	__cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	return result(listen(fd, 1));
}

/* A server and a client of the agent's own, over loopback. */
static int try_own_loopback(const char *unused)
{
	struct sockaddr_in sa = v4("127.0.0.1", 0);
	socklen_t len = sizeof(sa);
	char c;
	__cleanup_fd int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	__cleanup_fd int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	__cleanup_fd int conn = -1;

	(void)unused;
	if (bind(server, (struct sockaddr *)&sa, len) < 0 || listen(server, 1) < 0 ||
	    getsockname(server, (struct sockaddr *)&sa, &len) < 0 ||
	    connect(client, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	conn = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	if (conn < 0 || send(client, "x", 1, 0) != 1 || recv(conn, &c, 1, 0) != 1)
		return -errno;
	return 0;
}

static int make_socket(int family, int type, int protocol)
{
	__cleanup_fd int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	return result(fd);
}

static int try_packet(const char *unused)
{
	(void)unused;
	return make_socket(AF_PACKET, SOCK_RAW, 0);
}

static int try_raw(const char *unused)
{
	(void)unused;
	return make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int try_mptcp(const char *unused)
{
	(void)unused;
	return make_socket(AF_INET, SOCK_STREAM, 262);
}

static int try_netlink_route(const char *unused)
{
	(void)unused;
	return make_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int try_netlink_other(const char *unused)
{
	(void)unused;
	return make_socket(AF_NETLINK, SOCK_RAW, 16);
}

static int try_unix_outside(const char *unused)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	__cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	memcpy(sa.sun_path + 1, OUTSIDE_UNIX, sizeof(OUTSIDE_UNIX) - 1);
	return result(connect(fd, (struct sockaddr *)&sa,
			      offsetof(struct sockaddr_un, sun_path) + sizeof(OUTSIDE_UNIX)));
}

static int try_unix_pair(const char *unused)
{
	int sv[2];
	char c;

	(void)unused;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	int r = write(sv[0], "x", 1) == 1 && read(sv[1], &c, 1) == 1 ? 0 : -errno;

	close(sv[0]);
	close(sv[1]);
	return r;
}

static int try_kill_outside(const char *unused)
{
	(void)unused;
	return result(kill(outside_pid, 0));
}

static int try_kill_child(const char *unused)
{
	pid_t pid = fork();
	int status;

	(void)unused;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	if (kill(pid, SIGKILL) < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) ? 0 : -ECHILD;
}

static int try_trace_outside(const char *unused)
{
	(void)unused;
	if (ptrace(PTRACE_SEIZE, outside_pid, 0, 0) < 0)
		return -errno;
	(void)ptrace(PTRACE_INTERRUPT, outside_pid, 0, 0);
	(void)waitpid(outside_pid, NULL, __WALL);
	return result(ptrace(PTRACE_DETACH, outside_pid, 0, 0));
}

static int try_bpf(const char *unused)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	__cleanup_fd int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));

	(void)unused;
	return result(fd);
}

static int try_userns(const char *unused)
{
	int status;
	pid_t pid = fork();

	(void)unused;
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return -WEXITSTATUS(status);
}

static int try_memfd_reopen(const char *unused)
{
	char path[64];
	__cleanup_fd int fd = memfd_create("own", MFD_CLOEXEC);

	(void)unused;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	__cleanup_fd int again = open(path, O_RDWR | O_CLOEXEC);

	return again < 0 || ftruncate(again, 10) < 0 ? -errno : 0;
}

static int try_memfd_exec(const char *unused)
{
	__cleanup_fd int fd = memfd_create("code", MFD_CLOEXEC);
	void *p;

	(void)unused;
	if (ftruncate(fd, 4096) < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4096);
	return 0;
}

static int try_anonymous_exec(const char *unused)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	(void)unused;
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0)
		return -errno;
	munmap(p, 4096);
	return 0;
}

static int try_pipe_reopen(const char *unused)
{
	char path[64];
	int p[2];

	(void)unused;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p[1]);
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = result(fd);

	if (fd >= 0)
		close(fd);
	close(p[0]);
	close(p[1]);
	return r;
}

static int open_write(const char *path)
{
	__cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return result(fd);
}

static int try_proc_comm(const char *unused)
{
	(void)unused;
	return open_write("/proc/self/comm");
}

static int try_proc_oom(const char *unused)
{
	(void)unused;
	return open_write("/proc/self/oom_score_adj");
}

static int try_dev_null(const char *unused)
{
	(void)unused;
	return open_write("/dev/null");
}

static int try_cgroup_move(const char *unused)
{
	(void)unused;
	return open_write("/sys/fs/cgroup/cgroup.procs");
}

static int try_run(const char *unused)
{
	int status;
	pid_t pid = fork();

	(void)unused;
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(errno);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return -WEXITSTATUS(status);
}

const struct attempt other_attempts[] = {
	{"connect to the database, 16 round trips", try_db, true, false},
	{"the same by a v4-mapped address", try_db_mapped, true, false},
	{"a gate that does not read stops the sender", try_flood, true, false},
	{"UDP endpoint, connected", try_udp_connected, true, false},
	{"UDP endpoint, sendto", try_udp_sendto, true, false},
	{"UDP endpoint, sendto v4-mapped", try_udp_mapped, true, false},
	{"connect elsewhere", try_other, false, true},
	{"connect to another port of the database", try_db_other_port, false, true},
	{"connect elsewhere, v4-mapped", try_other_mapped, false, true},
	{"connect elsewhere, IPv6", try_other_v6, false, true},
	{"connect to the gate's port", try_gate_directly, false, true},
	{"UDP elsewhere", try_udp_other, false, true},
	{"MSG_FASTOPEN elsewhere", try_fastopen, false, true},
	{"bind to 0.0.0.0", try_bind_any, false, true},
	{"bind to a port of the gate", try_bind_gate_port, false, true},
	{"listen without bind", try_listen_unbound, false, true},
	{"own server on loopback", try_own_loopback, true, true},
	{"AF_PACKET", try_packet, false, true},
	{"raw ICMP", try_raw, false, true},
	{"MPTCP", try_mptcp, false, true},
	{"netlink ROUTE", try_netlink_route, true, true},
	{"netlink GENERIC", try_netlink_other, false, true},
	{"unix socket of a process outside", try_unix_outside, false, true},
	{"socketpair", try_unix_pair, true, true},
	{"signal a process outside", try_kill_outside, false, true},
	{"signal an own child", try_kill_child, true, true},
	{"trace a process outside", try_trace_outside, false, true},
	{"bpf()", try_bpf, false, true},
	{"new user namespace", try_userns, false, true},
	{"reopen an own memfd", try_memfd_reopen, true, true},
	{"executable mapping of a memfd", try_memfd_exec, false, true},
	{"executable memory without a file", try_anonymous_exec, true, true},
	{"reopen an own pipe", try_pipe_reopen, true, true},
	{"/proc/self/comm for writing", try_proc_comm, true, true},
	{"/proc/self/oom_score_adj for writing", try_proc_oom, false, true},
	{"/dev/null for writing", try_dev_null, true, true},
	{"cgroup.procs for writing", try_cgroup_move, false, true},
	{"run /bin/true", try_run, true, true},
};
const size_t n_other_attempts = ARRAY_LEN(other_attempts);
