// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network as the LSM sees it: which sockets may be made, whose they are, and where they may go
 * (N rows); and the last net, on packets. Destinations are judged again by the cgroup programs of
 * steer.bpf.c, which also see what never passes here (MSG_FASTOPEN).
 */
#include "lib/sock.bpf.h"

#define SOCK_STREAM_NR 1
#define SOCK_DGRAM_NR 2
#define SOCK_SEQPACKET_NR 5
#define NETLINK_ROUTE_NR 0
#define MSG_FASTOPEN_BIT 0x20000000u

static __always_inline int refuse(const struct pf_label *me, enum pf_hook hook,
				  enum pf_reason reason, __u16 family, __u32 what)
{
	struct pf_denial den;

	pf_denial_init(&den, me, PF_CLASS_NET, hook);
	den.family = family;
	den.rights = what;
	return pf_refuse(&den, reason, EPERM);
}

static __always_inline bool inet_ok(const struct pf_label *me, int type, int protocol)
{
	if (type == SOCK_STREAM_NR)
		return protocol == 0 || protocol == IPPROTO_TCP_NR;
	if (type != SOCK_DGRAM_NR || me->kind == PF_KIND_GATE)
		return false;
	return protocol == 0 || protocol == IPPROTO_UDP_NR;
}

static __always_inline bool family_ok(const struct pf_label *me, int family, int type, int protocol)
{
	switch (family) {
	case AF_UNIX:
		return true;
	case AF_INET:
	case AF_INET6:
		return inet_ok(me, type, protocol);
	case AF_NETLINK:
		return protocol == NETLINK_ROUTE_NR && me->kind != PF_KIND_GATE;
	}
	return false;
}

static __always_inline int decide_create(int family, int type, int protocol)
{
	struct pf_label me;

	if (!pf_confined(&me) || family_ok(&me, family, type, protocol))
		return 0;
	return refuse(&me, PF_HOOK_SOCKET_CREATE, PF_REASON_FAMILY, family, type << 16 | protocol);
}

SEC("lsm/socket_create")
int BPF_PROG(pf_socket_create, int family, int type, int protocol, int kern, int ret)
{
	return ret || kern ? ret : decide_create(family, type, protocol);
}

/* The label of a socket is its maker's; what a gate's first stage makes is the gate's. */
static __always_inline int label_socket(struct socket *sock, int family)
{
	struct pf_sock ps = {};
	struct sock *sk = sock->sk;

	if (!sk)
		return 0;
	if (!pf_who(&ps.label)) {
		if (!pf_is_admin())
			return 0;
		ps.label.kind = PF_KIND_ADMIN;
	}
	if (ps.label.kind == PF_KIND_GATE_BOOT)
		ps.label.kind = PF_KIND_GATE;
	if (bpf_sk_storage_get(&pf_socks, sk, &ps, BPF_SK_STORAGE_GET_F_CREATE))
		return 0;
	pf_count_error(PF_SITE_SOCK_STORAGE);
	refuse(&ps.label, PF_HOOK_SOCKET_CREATE, PF_REASON_STORAGE, family, 0);
	return -ENOMEM;
}

SEC("lsm/socket_post_create")
int BPF_PROG(pf_socket_post_create, struct socket *sock, int family, int type, int protocol,
	     int kern, int ret)
{
	return ret || kern ? ret : label_socket(sock, family);
}

/* Was the socket made in the caller's session, by the agent or by pid 1 for it? */
static __always_inline bool owns(const struct pf_label *me, struct sock *sk)
{
	struct pf_sock *ps = bpf_sk_storage_get(&pf_socks, sk, 0, 0);

	if (!ps)
		return false;
	if (me->kind == PF_KIND_GATE && ps->label.kind == PF_KIND_ADMIN)
		return true;
	if (ps->label.session != me->session)
		return false;
	return ps->label.kind == me->kind || ps->label.kind == PF_KIND_INIT;
}

/*
 * The confined caller's own socket; else *r is what the hook returns. A gate's unix sockets come
 * from pinfoldd and were made before anything could label them.
 */
static __always_inline struct sock *own_socket(struct pf_label *me, enum pf_hook hook,
					       struct socket *sock, int *r)
{
	struct sock *sk;

	*r = 0;
	if (!pf_confined(me))
		return NULL;
	sk = sock->sk;
	if (sk && owns(me, sk))
		return sk;
	if (sk && me->kind == PF_KIND_GATE && sk->__sk_common.skc_family == AF_UNIX)
		return NULL;
	*r = refuse(me, hook, PF_REASON_FOREIGN_SOCKET, sk ? sk->__sk_common.skc_family : 0, 0);
	return NULL;
}

/*
 * The destination in a kernel copy of a sockaddr. Returns its family, or -1 when it is too short or
 * unreadable.
 */
static __always_inline int read_dest(struct pf_dest *t, const void *addr, int len, __u8 proto)
{
	struct sockaddr_in6 sa = {};
	__u16 family;

	__builtin_memset(t, 0, sizeof(*t));
	t->proto = proto;
	if (len < (int)sizeof(family) || bpf_probe_read_kernel(&family, sizeof(family), addr))
		return -1;
	if (family == AF_INET && len >= (int)sizeof(struct sockaddr_in)) {
		if (bpf_probe_read_kernel(&sa, sizeof(struct sockaddr_in), addr))
			return -1;
		pf_dest_v4(t, ((struct sockaddr_in *)&sa)->sin_addr.s_addr, sa.sin6_port, proto);
	} else if (family == AF_INET6 && len >= 24) {
		if (bpf_probe_read_kernel(&sa, 24, addr))
			return -1;
		__builtin_memcpy(t->addr, &sa.sin6_addr, sizeof(t->addr));
		t->port = sa.sin6_port;
	}
	return family;
}

static __always_inline int decide_dest(const struct pf_label *me, enum pf_hook hook,
				       struct sock *sk, const struct pf_dest *t, __u16 family)
{
	struct pf_sock *ps = bpf_sk_storage_get(&pf_socks, sk, 0, 0);
	struct pf_endpoint *ep;
	enum pf_reason reason;

	if (me->kind == PF_KIND_GATE)
		reason = pf_gate_dest(me, t);
	else
		reason = pf_agent_dest(me, t, ps ? ps->steered : 0, &ep);
	return reason ? pf_refuse_dest(me, hook, t, family, reason) : 0;
}

static __always_inline int decide_connect(struct socket *sock, const void *addr, int len)
{
	enum pf_hook hook = PF_HOOK_SOCKET_CONNECT;
	struct pf_label me;
	struct pf_dest t;
	struct sock *sk;
	int r, family;

	sk = own_socket(&me, hook, sock, &r);
	if (!sk)
		return r;
	family = read_dest(&t, addr, len, sk->sk_protocol);
	if (family == AF_INET || family == AF_INET6)
		return decide_dest(&me, hook, sk, &t, family);
	if (family == AF_UNSPEC || family == sk->__sk_common.skc_family)
		return 0;
	return refuse(&me, hook, PF_REASON_FAMILY, family, 0);
}

SEC("lsm/socket_connect")
int BPF_PROG(pf_socket_connect, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	return ret ? ret : decide_connect(sock, address, addrlen);
}

static __always_inline int decide_bind(struct socket *sock, const void *addr, int len)
{
	enum pf_hook hook = PF_HOOK_SOCKET_BIND;
	struct pf_label me;
	struct pf_dest t;
	struct sock *sk;
	__u16 own;
	int r, family;

	sk = own_socket(&me, hook, sock, &r);
	if (!sk)
		return r;
	own = sk->__sk_common.skc_family;
	if (own != AF_INET && own != AF_INET6)
		return 0;
	family = read_dest(&t, addr, len, sk->sk_protocol);
	if (me.kind == PF_KIND_GATE)
		return pf_refuse_dest(&me, hook, &t, own, PF_REASON_FORBIDDEN);
	if ((family != AF_INET && family != AF_INET6) || !pf_is_loopback(t.addr32))
		return pf_refuse_dest(&me, hook, &t, own, PF_REASON_NOT_LOOPBACK);
	if (pf_is_gate_port(t.port))
		return pf_refuse_dest(&me, hook, &t, own, PF_REASON_GATE_PORT);
	return 0;
}

SEC("lsm/socket_bind")
int BPF_PROG(pf_socket_bind, struct socket *sock, struct sockaddr *address, int addrlen, int ret)
{
	return ret ? ret : decide_bind(sock, address, addrlen);
}

/* An unbound socket would be bound to every address by listen(). */
static __always_inline bool bound_to_loopback(struct sock *sk)
{
	__u32 a[4];

	if (sk->__sk_common.skc_family == AF_INET)
		return (bpf_ntohl(sk->__sk_common.skc_rcv_saddr) >> 24) == 127;
	a[0] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0];
	a[1] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1];
	a[2] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2];
	a[3] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3];
	return pf_is_loopback(a);
}

static __always_inline int decide_listen(struct socket *sock)
{
	struct pf_label me;
	struct sock *sk;
	__u16 family;
	int r;

	sk = own_socket(&me, PF_HOOK_SOCKET_LISTEN, sock, &r);
	if (!sk)
		return r;
	family = sk->__sk_common.skc_family;
	if ((family != AF_INET && family != AF_INET6) || bound_to_loopback(sk))
		return 0;
	return refuse(&me, PF_HOOK_SOCKET_LISTEN, PF_REASON_NOT_LOOPBACK, family, 0);
}

SEC("lsm/socket_listen")
int BPF_PROG(pf_socket_listen, struct socket *sock, int backlog, int ret)
{
	return ret ? ret : decide_listen(sock);
}

static __always_inline int decide_own(enum pf_hook hook, struct socket *sock)
{
	struct pf_label me;
	int r;

	own_socket(&me, hook, sock, &r);
	return r;
}

SEC("lsm/socket_accept")
int BPF_PROG(pf_socket_accept, struct socket *sock, struct socket *newsock, int ret)
{
	return ret ? ret : decide_own(PF_HOOK_SOCKET_ACCEPT, sock);
}

SEC("lsm/socket_recvmsg")
int BPF_PROG(pf_socket_recvmsg, struct socket *sock, struct msghdr *msg, int size, int flags,
	     int ret)
{
	return ret ? ret : decide_own(PF_HOOK_SOCKET_RECVMSG, sock);
}

static __always_inline int decide_send(struct socket *sock, struct msghdr *msg)
{
	enum pf_hook hook = PF_HOOK_SOCKET_SENDMSG;
	struct pf_label me;
	struct pf_dest t;
	struct sock *sk;
	int r, family;
	__u16 own;

	sk = own_socket(&me, hook, sock, &r);
	if (!sk)
		return r;
	own = sk->__sk_common.skc_family;
	if (own != AF_INET && own != AF_INET6)
		return 0;
	if (msg->msg_flags & MSG_FASTOPEN_BIT)
		return refuse(&me, hook, PF_REASON_FORBIDDEN, own, msg->msg_flags);
	if (!msg->msg_name || sk->sk_protocol == IPPROTO_TCP_NR)
		return 0;
	family = read_dest(&t, msg->msg_name, msg->msg_namelen, sk->sk_protocol);
	if (family != AF_INET && family != AF_INET6)
		return refuse(&me, hook, PF_REASON_FAMILY, family, 0);
	return decide_dest(&me, hook, sk, &t, family);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(pf_socket_sendmsg, struct socket *sock, struct msghdr *msg, int size, int ret)
{
	return ret ? ret : decide_send(sock, msg);
}

/* Options that send elsewhere, change who a socket is, or attach programs to it. */
static __always_inline bool option_forbidden(int level, int option)
{
	switch (level << 16 | option) {
	case 1 << 16 | 25:   /* SO_BINDTODEVICE */
	case 1 << 16 | 36:   /* SO_MARK */
	case 1 << 16 | 50:   /* SO_ATTACH_BPF */
	case 1 << 16 | 51:   /* SO_ATTACH_REUSEPORT_CBPF */
	case 1 << 16 | 52:   /* SO_ATTACH_REUSEPORT_EBPF */
	case 1 << 16 | 62:   /* SO_BINDTOIFINDEX */
	case 0 << 16 | 4:    /* IP_OPTIONS */
	case 0 << 16 | 15:   /* IP_FREEBIND */
	case 0 << 16 | 19:   /* IP_TRANSPARENT */
	case 6 << 16 | 19:   /* TCP_REPAIR */
	case 6 << 16 | 23:   /* TCP_FASTOPEN */
	case 6 << 16 | 30:   /* TCP_FASTOPEN_CONNECT */
	case 6 << 16 | 31:   /* TCP_ULP */
	case 17 << 16 | 100: /* UDP_ENCAP */
	case 41 << 16 | 6:   /* IPV6_2292PKTOPTIONS: a routing header, too */
	case 41 << 16 | 57:  /* IPV6_RTHDR */
	case 41 << 16 | 75:  /* IPV6_TRANSPARENT */
	case 41 << 16 | 78:  /* IPV6_FREEBIND */
		return true;
	}
	return false;
}

static __always_inline int decide_option(int level, int option)
{
	struct pf_label me;

	if (!option_forbidden(level, option) || !pf_agent(&me))
		return 0;
	return refuse(&me, PF_HOOK_SOCKET_SETSOCKOPT, PF_REASON_FORBIDDEN, 0, level << 16 | option);
}

SEC("lsm/socket_setsockopt")
int BPF_PROG(pf_socket_setsockopt, struct socket *sock, int level, int optname, int ret)
{
	return ret ? ret : decide_option(level, optname);
}

/* Is the other end of a unix socket the caller's own session, or, for a gate, pinfoldd? */
static __always_inline bool peer_ok(const struct pf_label *me, const struct pf_sock *peer)
{
	if (!peer)
		return false;
	if (me->kind == PF_KIND_GATE && peer->label.kind == PF_KIND_ADMIN)
		return true;
	return peer->label.session == me->session && peer->label.kind == me->kind;
}

static __always_inline int decide_unix_connect(struct sock *other, struct sock *newsk)
{
	enum pf_hook hook = PF_HOOK_UNIX_CONNECT;
	struct pf_sock *peer, ps = {};
	struct pf_label me;

	if (!pf_confined(&me))
		return 0;
	peer = bpf_sk_storage_get(&pf_socks, other, 0, 0);
	if (!peer_ok(&me, peer))
		return refuse(&me, hook, PF_REASON_FOREIGN_PEER, AF_UNIX, 0);
	ps.label = peer->label;
	if (bpf_sk_storage_get(&pf_socks, newsk, &ps, BPF_SK_STORAGE_GET_F_CREATE))
		return 0;
	pf_count_error(PF_SITE_SOCK_STORAGE);
	return refuse(&me, hook, PF_REASON_STORAGE, AF_UNIX, 0);
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(pf_unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk,
	     int ret)
{
	return ret ? ret : decide_unix_connect(other, newsk);
}

static __always_inline int decide_unix_send(struct socket *other)
{
	struct sock *sk = pf_null(other) ? NULL : other->sk;
	struct pf_label me;

	if (!pf_confined(&me))
		return 0;
	if (sk && peer_ok(&me, bpf_sk_storage_get(&pf_socks, sk, 0, 0)))
		return 0;
	return refuse(&me, PF_HOOK_UNIX_SEND, PF_REASON_FOREIGN_PEER, AF_UNIX, 0);
}

SEC("lsm/unix_may_send")
int BPF_PROG(pf_unix_may_send, struct socket *sock, struct socket *other, int ret)
{
	return ret ? ret : decide_unix_send(other);
}

/* Where a packet goes; false: it is neither IPv4 nor IPv6, or too short. */
static __always_inline bool packet_dest(struct __sk_buff *skb, struct pf_dest *t)
{
	__u32 ip;

	if (skb->protocol == bpf_htons(0x0800)) {
		if (bpf_skb_load_bytes(skb, 16, &ip, sizeof(ip)))
			return false;
		pf_dest_v4(t, ip, 0, 0);
		return true;
	}
	__builtin_memset(t, 0, sizeof(*t));
	if (skb->protocol != bpf_htons(0x86dd))
		return false;
	return !bpf_skb_load_bytes(skb, 24, t->addr, sizeof(t->addr));
}

/*
 * The last net: a packet of a socket in the slice leaves only when the socket has a label, and an
 * agent's only over loopback (its endpoints were steered there).
 */
static __always_inline int decide_packet(struct __sk_buff *skb)
{
	enum pf_reason reason = PF_REASON_DESTINATION;
	struct bpf_sock *sk = skb->sk;
	struct pf_sock *ps = NULL;
	struct pf_dest t = {};

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	if (sk)
		ps = bpf_sk_storage_get(&pf_socks, sk, 0, 0);
	if (!ps) {
		pf_count_error(PF_SITE_SOCK_STORAGE);
		return 0;
	}
	if (ps->label.kind == PF_KIND_GATE || ps->label.kind == PF_KIND_ADMIN)
		return 1;
	if (packet_dest(skb, &t) && pf_is_loopback(t.addr32))
		return 1;
	pf_refuse_dest(&ps->label, PF_HOOK_CG_EGRESS, &t, sk->family, reason);
	return 0;
}

SEC("cgroup_skb/egress")
int pf_egress(struct __sk_buff *skb)
{
	return decide_packet(skb);
}
