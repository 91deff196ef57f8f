// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F80, F81, F84, N41: what only io_uring has (descriptors that are never installed, a polling
 * thread, other identities), and socket options by either road.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"
#include "uring.h"

/* Newer than the headers of the build host. */
#define OP_URING_CMD 46
#define SOCKET_CMD_SETSOCKOPT 3

static struct io_uring_sqe open_sqe(const char *path)
{
	return (struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
				     .fd = AT_FDCWD,
				     .addr = (uintptr_t)path,
				     .open_flags = O_WRONLY};
}

static void f80_direct_descriptors(struct ctx *c)
{
	struct io_uring_sqe sqe = open_sqe("file");
	struct uring u;
	int none[2] = {-1, -1};
	long r = uring_open(&u, 0);

	if (r >= 0)
		r = rc_of(syscall(SYS_io_uring_register, u.fd, IORING_REGISTER_FILES, none, 2));
	if (r < 0) {
		say(c, "open", r);
		return;
	}
	sqe.file_index = 1;
	say(c, "open", uring_run(&u, &sqe));
	sqe = (struct io_uring_sqe){.opcode = IORING_OP_WRITE,
				    .flags = IOSQE_FIXED_FILE,
				    .fd = 0,
				    .addr = (uintptr_t) "leak",
				    .len = 4};
	say(c, "write", uring_run(&u, &sqe)); /* EBADF: nothing was opened */
	close(u.fd);
}

static void f81_polling_thread(struct ctx *c)
{
	struct io_uring_sqe sqe = open_sqe("file");
	struct uring u;
	long r = uring_open(&u, IORING_SETUP_SQPOLL);

	if (r < 0) {
		say(c, "open", r);
		return;
	}
	r = uring_run(&u, &sqe);
	say(c, "open", r);
	if (r >= 0) {
		(void)!write((int)r, "leak", 4); /* judged by the photograph */
		close((int)r);
	}
	sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (uintptr_t) "file2"};
	say(c, "unlink", uring_run(&u, &sqe));
	close(u.fd);
}

/* Requests that run with credentials registered before. */
static void f84_personality(struct ctx *c)
{
	struct io_uring_sqe sqe = open_sqe("file");
	struct uring u;
	long r = uring_open(&u, 0);

	if (r >= 0 && !c->twin)
		r = rc_of(
			syscall(SYS_io_uring_register, u.fd, IORING_REGISTER_PERSONALITY, NULL, 0));
	if (r < 0) {
		say(c, "open", r);
		return;
	}
	if (!c->twin)
		sqe.personality = (uint16_t)r;
	r = uring_run(&u, &sqe);
	say(c, "open", r);
	if (r >= 0)
		(void)!write((int)r, "leak", 4); /* judged by the photograph */
	close(u.fd);
}

struct option {
	const char *sub;
	int family, level, name;
};

static long set_option(struct ctx *c, int fd, const struct option *o)
{
	static const int value[8] = {1};
	struct io_uring_sqe sqe = {.opcode = OP_URING_CMD,
				   .fd = fd,
				   .off = SOCKET_CMD_SETSOCKOPT,
				   .addr3 = (uintptr_t)value};

	if (c->way != WAY_URING)
		return rc_of(syscall(SYS_setsockopt, fd, o->level, o->name, value, sizeof(value)));
	/* level and optname lie where addr is, optlen where splice_fd_in is */
	sqe.addr = (uint32_t)o->level | (uint64_t)(uint32_t)o->name << 32;
	sqe.splice_fd_in = sizeof(value);
	return uring_once(&sqe);
}

static void n41_options(struct ctx *c)
{
	static const struct option options[] = {
		{"mark", AF_INET, SOL_SOCKET, SO_MARK},
		{"bind-to-device", AF_INET, SOL_SOCKET, SO_BINDTODEVICE},
		{"bind-to-ifindex", AF_INET, SOL_SOCKET, SO_BINDTOIFINDEX},
		{"attach-bpf", AF_INET, SOL_SOCKET, SO_ATTACH_BPF},
		{"reuseport-bpf", AF_INET, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF},
		{"transparent", AF_INET, SOL_IP, IP_TRANSPARENT},
		{"freebind", AF_INET, SOL_IP, IP_FREEBIND},
		{"ip-options", AF_INET, SOL_IP, IP_OPTIONS},
		{"repair", AF_INET, SOL_TCP, TCP_REPAIR},
		{"ulp", AF_INET, SOL_TCP, TCP_ULP},
		{"fastopen-connect", AF_INET, SOL_TCP, TCP_FASTOPEN_CONNECT},
		{"rthdr", AF_INET6, SOL_IPV6, IPV6_RTHDR},
		{"pktoptions", AF_INET6, SOL_IPV6, IPV6_2292PKTOPTIONS},
		{"transparent6", AF_INET6, SOL_IPV6, 75},
		{"freebind6", AF_INET6, SOL_IPV6, 78}};
	static const struct option harmless = {"keepalive", AF_INET, SOL_SOCKET, SO_KEEPALIVE};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option *o = c->twin ? &harmless : &options[i];
		int fd = socket(o->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		long r = set_option(c, fd, o);
		/* Without the opcode there is nothing to say of the option. */
		if (c->way == WAY_URING && (r == -EOPNOTSUPP || (c->twin && r == -EINVAL)))
			r = -ENOSYS;
		say(c, options[i].sub, past(r));
		close(fd);
	}
}

const struct row uring_rows[] = {{"F80", f80_direct_descriptors},
				 {"F81", f81_polling_thread},
				 {"F84", f84_personality},
				 {"N41", n41_options},
				 {0}};
