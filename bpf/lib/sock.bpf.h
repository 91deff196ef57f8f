/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets: whose they are, and which destinations a session has. Addresses are handled as IPv6,
 * IPv4 mapped, so that a v4-mapped client meets the same rules.
 */
#ifndef PINFOLD_SOCK_BPF_H
#define PINFOLD_SOCK_BPF_H

#include "lib/common.bpf.h"
#include "lib/maps.bpf.h"
#include "lib/event.bpf.h"
#include "lib/match.bpf.h"

#define IPPROTO_TCP_NR 6
#define IPPROTO_UDP_NR 17

#define GATE_ADDR bpf_htonl(0x7f000001)

/* An address and a port, both in network byte order. */
struct pf_dest {
	union {
		__u8 addr[16];
		__u32 addr32[4];
	};
	__u16 port;
	__u8 proto;
	__u8 pad;
};

static __always_inline void pf_dest_v4(struct pf_dest *t, __u32 ip, __u16 port, __u8 proto)
{
	t->addr32[0] = 0;
	t->addr32[1] = 0;
	t->addr32[2] = bpf_htonl(0xffff);
	t->addr32[3] = ip;
	t->port = port;
	t->proto = proto;
	t->pad = 0;
}

static __always_inline bool pf_is_mapped(const __u32 a[4])
{
	return a[0] == 0 && a[1] == 0 && a[2] == bpf_htonl(0xffff);
}

/* 127.0.0.0/8, mapped or not, or ::1. */
static __always_inline bool pf_is_loopback(const __u32 a[4])
{
	if (pf_is_mapped(a))
		return (bpf_ntohl(a[3]) >> 24) == 127;
	return a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] == bpf_htonl(1);
}

static __always_inline bool pf_is_gate_port(__u16 port)
{
	__u16 p = bpf_ntohs(port);

	return p >= PF_GATE_PORT_FIRST && p < PF_GATE_PORT_FIRST + PF_GATE_PORTS;
}

static __always_inline void pf_dest_key(struct pf_endpoint_key *key, __u64 session,
					const struct pf_dest *t)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->session = session;
	__builtin_memcpy(key->addr, t->addr, sizeof(key->addr));
	key->port = t->port;
	key->proto = t->proto;
}

/* May a session connect to anything, or send without a connection, now? PF_REASON_NONE: yes. */
static __always_inline enum pf_reason pf_connects(const struct pf_label *me)
{
	enum pf_reason why;
	struct pf_session *s = pf_live(me, &why);

	if (!s)
		return why;
	if (s->flags & PF_SESSION_UNATTENDED_ALLOW || !pf_lease_over())
		return PF_REASON_NONE;
	return PF_REASON_UNATTENDED;
}

/*
 * May the agent of a session send to t on a socket that was steered to the gate's port steered (0:
 * was not)? PF_REASON_NONE: yes, and *ret is the endpoint that it is to be steered to, or NULL:
 * loopback between its own processes, or a connect() that io_uring makes again with the address
 * that steering wrote into it.
 */
static __always_inline enum pf_reason pf_agent_dest(const struct pf_label *me,
						    const struct pf_dest *t, __u32 steered,
						    struct pf_endpoint **ret)
{
	enum pf_reason reason = pf_connects(me);
	struct pf_endpoint_key key;

	*ret = NULL;
	if (reason)
		return reason;
	pf_dest_key(&key, me->session, t);
	*ret = bpf_map_lookup_elem(&pf_endpoints, &key);
	if (*ret)
		return PF_REASON_NONE;
	if (!pf_is_loopback(t->addr32))
		return PF_REASON_DESTINATION;
	if (!pf_is_gate_port(t->port) || (t->port == steered && t->addr32[3] == GATE_ADDR))
		return PF_REASON_NONE;
	return PF_REASON_GATE_PORT;
}

/*
 * May the gate of a session send to t? Over TCP to its upstreams. The only UDP sockets it has are
 * the listeners that its first stage bound to loopback, and those answer there.
 */
static __always_inline enum pf_reason pf_gate_dest(const struct pf_label *me,
						   const struct pf_dest *t)
{
	enum pf_reason reason = pf_connects(me);
	struct pf_endpoint_key key;

	if (reason)
		return reason;
	if (t->proto == IPPROTO_UDP_NR && pf_is_loopback(t->addr32))
		return PF_REASON_NONE;
	pf_dest_key(&key, me->session, t);
	if (bpf_map_lookup_elem(&pf_upstreams, &key))
		return PF_REASON_NONE;
	return PF_REASON_DESTINATION;
}

static __always_inline int pf_refuse_dest(const struct pf_label *me, enum pf_hook hook,
					  const struct pf_dest *t, __u16 family,
					  enum pf_reason reason)
{
	struct pf_denial den;

	pf_denial_init(&den, me, PF_CLASS_NET, hook);
	__builtin_memcpy(den.addr, t->addr, sizeof(den.addr));
	den.port = bpf_ntohs(t->port);
	den.family = family;
	den.rights = t->proto;
	den.flags = PF_EV_INET;
	return pf_refuse(&den, reason, EPERM);
}

#endif
