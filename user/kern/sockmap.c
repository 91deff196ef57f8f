/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether sockets in a sockhash work on this kernel: redirection, and the wake-ups of epoll on both
 * sides. Stable kernels around commit 929e30f93125 lose wake-ups of sockets in a sockmap that has
 * no stream verdict (fixed by 04af4efde58a); such a kernel takes the plain road.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <linux/bpf.h>

#include "base/fd.h"
#include "kern/internal.h"

/* A lost wake-up shows as silence; a loaded machine is given this much time. */
#define WAIT_MS 2000

/* Small buffers, so that filling them is quick. */
#define BUFFER_BYTES 65536

struct probe {
	int map, prog;
	int sender, reader;
};

static void probe_free(struct probe *p)
{
	fd_close(&p->prog);
	fd_close(&p->map);
	fd_close(&p->sender);
	fd_close(&p->reader);
}

/* Messages of this size are redirected, all others go by TCP, as beyond the credit. */
#define REDIRECTED 8

/*
 * if (msg->size != REDIRECTED) return SK_PASS;
 * return bpf_msg_redirect_hash(msg, map, &(u32){1}, BPF_F_INGRESS);
 * By hand, so that the probe needs no object file of its own.
 */
static int load_program(int map)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W,
		 .dst_reg = 4,
		 .src_reg = 1,
		 .off = offsetof(struct sk_msg_md, size)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 4, .off = 7, .imm = REDIRECTED},
		{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4, .imm = 1},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 2,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = BPF_F_INGRESS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_msg_redirect_hash},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SK_MSG, "pf_probe", "GPL", insns, ARRAY_LEN(insns),
			     NULL);
}

static int small_buffers(int fd)
{
	const int size = BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		return -errno;
	return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ? -errno : 0;
}

static int make_pair(struct probe *p)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	__cleanup_fd int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	p->sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || p->sender < 0 || small_buffers(listener) < 0 ||
	    small_buffers(p->sender) < 0 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) < 0 ||
	    connect(p->sender, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		return -errno;
	p->reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return p->reader < 0 ? -errno : fd_set_nonblock(p->sender);
}

static int set_up(struct probe *p)
{
	const __u32 keys[] = {0, 1};

	p->map = bpf_map_create(BPF_MAP_TYPE_SOCKHASH, "pf_probe", sizeof(__u32), sizeof(__u64), 2,
				NULL);
	if (p->map < 0)
		return -errno;
	p->prog = load_program(p->map);
	if (p->prog < 0 || bpf_prog_attach(p->prog, p->map, BPF_SK_MSG_VERDICT, 0) < 0)
		return -errno;
	int r = make_pair(p);
	__u64 sender = (__u64)p->sender, reader = (__u64)p->reader;

	if (r < 0)
		return r;
	if (bpf_map_update_elem(p->map, &keys[0], &sender, BPF_ANY) < 0 ||
	    bpf_map_update_elem(p->map, &keys[1], &reader, BPF_ANY) < 0)
		return -errno;
	return 0;
}

/* Wait on a fresh, edge-triggered registration: what arrives later must wake us. */
static int watch(int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events | EPOLLET};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int r = -errno;

		fd_close(&ep);
		return r;
	}
	(void)epoll_wait(ep, &ev, 1, 0); /* what is true now is not a wake-up */
	return ep;
}

static int woken(int ep)
{
	struct epoll_event ev;
	int n = epoll_wait(ep, &ev, 1, WAIT_MS);

	return n < 0 ? -errno : n == 1 ? 0 : -ETIME;
}

static int try_redirect(const struct probe *p)
{
	char in[REDIRECTED] = "", out[REDIRECTED] = "pinfold";
	__cleanup_fd int ep = watch(p->reader, EPOLLIN);

	if (ep < 0)
		return ep;
	if (send(p->sender, out, sizeof(out), 0) != sizeof(out))
		return -errno;
	int r = woken(ep);

	if (r < 0)
		return r;
	if (recv(p->reader, in, sizeof(in), 0) != sizeof(in) || memcmp(in, out, sizeof(in)) != 0)
		return -EIO;
	return 0;
}

/* Fill the other direction until the kernel takes no more, empty it, and expect to hear of the
 * room. */
static int try_write_wakeup(int from, int to)
{
	static const char block[65536];
	static char sink[65536];

	while (send(from, block, sizeof(block), 0) > 0)
		;
	if (errno != EAGAIN)
		return -errno;
	__cleanup_fd int ep = watch(from, EPOLLOUT);

	if (ep < 0)
		return ep;
	while (recv(to, sink, sizeof(sink), 0) > 0)
		;
	return woken(ep);
}

int sockmap_try(char text[KERN_TEXT_MAX])
{
	struct probe p __cleanup(probe_free) = {-1, -1, -1, -1};
	const char *what = "a sockhash cannot be set up";
	int r = set_up(&p);

	if (r == 0) {
		what = "redirected bytes do not arrive, or do not wake their reader";
		r = try_redirect(&p);
	}
	if (r == 0) {
		what = "sockets in a sockhash lose their wake-ups";
		r = try_write_wakeup(p.reader, p.sender);
	}
	if (r < 0)
		(void)snprintf(text, KERN_TEXT_MAX, "%s (%s): statements go by plain TCP", what,
			       strerror(-r));
	return r;
}
