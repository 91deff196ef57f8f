// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the agent's socket to its gate: destinations are judged by the socket's label and rewritten
 * to the gate's port, the agent is shown the address that it asked for, and requests go past the
 * TCP stack within a credit.
 */
#include "lib/sock.bpf.h"

/* What the cgroup hooks return: let the call go on, or EPERM. */
#define GO 1
#define STOP 0

static __always_inline struct pf_sock *label_of(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return sk ? bpf_sk_storage_get(&pf_socks, sk, 0, 0) : NULL;
}

static __always_inline void dest_of_6(const struct bpf_sock_addr *ctx, struct pf_dest *t)
{
	t->addr32[0] = ctx->user_ip6[0];
	t->addr32[1] = ctx->user_ip6[1];
	t->addr32[2] = ctx->user_ip6[2];
	t->addr32[3] = ctx->user_ip6[3];
	t->port = ctx->user_port;
	t->proto = ctx->protocol;
	t->pad = 0;
}

/*
 * Judge a destination for the socket ps. GO with *port set to the gate's port when it must be
 * steered; the address asked for is then kept with the socket.
 */
static __always_inline int judge(enum pf_hook hook, struct pf_sock *ps, const struct pf_dest *t,
				 __u16 family, __u16 *port)
{
	struct pf_endpoint *ep = NULL;
	struct pf_label me;
	enum pf_reason reason;

	*port = 0;
	if (!ps) {
		pf_count_error(PF_SITE_SOCK_STORAGE);
		return STOP;
	}
	me = ps->label;
	if (me.kind == PF_KIND_ADMIN)
		return GO;
	if (me.kind == PF_KIND_GATE)
		reason = pf_gate_dest(&me, t);
	else
		reason = pf_agent_dest(&me, t, ps->steered, &ep);
	if (reason) {
		pf_refuse_dest(&me, hook, t, family, reason);
		return STOP;
	}
	if (!ep)
		return GO;
	__builtin_memcpy(ps->asked_addr, t->addr, sizeof(ps->asked_addr));
	ps->asked_port = t->port;
	ps->steered = ep->gate_port;
	*port = ep->gate_port;
	return GO;
}

static __always_inline int steer4(struct bpf_sock_addr *ctx, enum pf_hook hook)
{
	struct pf_sock *ps = label_of(ctx);
	struct pf_dest t;
	__u16 port;

	pf_dest_v4(&t, ctx->user_ip4, ctx->user_port, ctx->protocol);
	if (judge(hook, ps, &t, AF_INET, &port) == STOP)
		return STOP;
	if (port) {
		ctx->user_ip4 = GATE_ADDR;
		ctx->user_port = port;
	}
	return GO;
}

static __always_inline int steer6(struct bpf_sock_addr *ctx, enum pf_hook hook)
{
	struct pf_sock *ps = label_of(ctx);
	struct pf_dest t;
	__u16 port;

	dest_of_6(ctx, &t);
	if (judge(hook, ps, &t, AF_INET6, &port) == STOP)
		return STOP;
	if (port) {
		ctx->user_ip6[0] = 0;
		ctx->user_ip6[1] = 0;
		ctx->user_ip6[2] = bpf_htonl(0xffff);
		ctx->user_ip6[3] = GATE_ADDR;
		ctx->user_port = port;
	}
	return GO;
}

SEC("cgroup/connect4")
int pf_connect4(struct bpf_sock_addr *ctx)
{
	return steer4(ctx, PF_HOOK_CG_CONNECT);
}

SEC("cgroup/connect6")
int pf_connect6(struct bpf_sock_addr *ctx)
{
	return steer6(ctx, PF_HOOK_CG_CONNECT);
}

SEC("cgroup/sendmsg4")
int pf_sendmsg4(struct bpf_sock_addr *ctx)
{
	return steer4(ctx, PF_HOOK_CG_SENDMSG);
}

SEC("cgroup/sendmsg6")
int pf_sendmsg6(struct bpf_sock_addr *ctx)
{
	return steer6(ctx, PF_HOOK_CG_SENDMSG);
}

/* Does the address in ctx stand for the gate that this socket was steered to? */
static __always_inline bool is_steered(struct bpf_sock_addr *ctx, const struct pf_sock *ps)
{
	return ps && ps->steered && ctx->user_port == ps->steered;
}

static __always_inline int show4(struct bpf_sock_addr *ctx)
{
	struct pf_sock *ps = label_of(ctx);
	__u32 asked[4];

	if (!is_steered(ctx, ps) || ctx->user_ip4 != GATE_ADDR)
		return GO;
	__builtin_memcpy(asked, ps->asked_addr, sizeof(asked));
	ctx->user_ip4 = asked[3];
	ctx->user_port = ps->asked_port;
	return GO;
}

static __always_inline int show6(struct bpf_sock_addr *ctx)
{
	struct pf_sock *ps = label_of(ctx);
	__u32 asked[4];

	if (!is_steered(ctx, ps) || ctx->user_ip6[3] != GATE_ADDR)
		return GO;
	__builtin_memcpy(asked, ps->asked_addr, sizeof(asked));
	ctx->user_ip6[0] = asked[0];
	ctx->user_ip6[1] = asked[1];
	ctx->user_ip6[2] = asked[2];
	ctx->user_ip6[3] = asked[3];
	ctx->user_port = ps->asked_port;
	return GO;
}

SEC("cgroup/recvmsg4")
int pf_recvmsg4(struct bpf_sock_addr *ctx)
{
	return show4(ctx);
}

SEC("cgroup/recvmsg6")
int pf_recvmsg6(struct bpf_sock_addr *ctx)
{
	return show6(ctx);
}

SEC("cgroup/getpeername4")
int pf_getpeername4(struct bpf_sock_addr *ctx)
{
	return show4(ctx);
}

SEC("cgroup/getpeername6")
int pf_getpeername6(struct bpf_sock_addr *ctx)
{
	return show6(ctx);
}

/* Everybody in the slice binds to loopback, and only the gate to the gate's ports. */
static __always_inline int decide_bind(struct pf_sock *ps, const struct pf_dest *t, __u16 family)
{
	struct pf_label me;

	if (!ps) {
		pf_count_error(PF_SITE_SOCK_STORAGE);
		return STOP;
	}
	me = ps->label;
	if (!pf_is_loopback(t->addr32)) {
		pf_refuse_dest(&me, PF_HOOK_CG_BIND, t, family, PF_REASON_NOT_LOOPBACK);
		return STOP;
	}
	if (pf_is_gate_port(t->port) == (me.kind == PF_KIND_GATE))
		return GO;
	pf_refuse_dest(&me, PF_HOOK_CG_BIND, t, family, PF_REASON_GATE_PORT);
	return STOP;
}

SEC("cgroup/bind4")
int pf_bind4(struct bpf_sock_addr *ctx)
{
	struct pf_dest t;

	pf_dest_v4(&t, ctx->user_ip4, ctx->user_port, ctx->protocol);
	return decide_bind(label_of(ctx), &t, AF_INET);
}

SEC("cgroup/bind6")
int pf_bind6(struct bpf_sock_addr *ctx)
{
	struct pf_dest t;

	dest_of_6(ctx, &t);
	return decide_bind(label_of(ctx), &t, AF_INET6);
}

static __always_inline bool fast_road(const struct pf_label *me)
{
	enum pf_reason why;
	struct pf_session *s = pf_live(me, &why);

	return s && s->flags & PF_SESSION_FASTROAD;
}

/*
 * A context field by itself: clang otherwise chooses between two addresses and loads once, which
 * the verifier refuses ("dereference of modified ctx ptr").
 */
#define CTX(field) (*(volatile typeof(field) *)&(field))

static __always_inline void join(struct bpf_sock_ops *ops, struct pf_pair *pair)
{
	pair->netns = bpf_get_netns_cookie(ops);
	if (bpf_sock_hash_update(ops, &pf_sockhash, pair, BPF_ANY))
		pf_count_error(PF_SITE_SOCKHASH);
}

/* The agent's end: only what connect was steered. */
static __always_inline void join_agent(struct bpf_sock_ops *ops, const struct pf_sock *ps)
{
	__u32 port = bpf_ntohl(ops->remote_port);
	struct pf_pair pair = {};

	if (!ps->steered || port != bpf_ntohs(ps->steered))
		return;
	pair.agent_ip = CTX(ops->local_ip4);
	if (ops->family != AF_INET)
		pair.agent_ip = CTX(ops->local_ip6[3]);
	pair.agent_port = ops->local_port;
	pair.gate_port = port;
	join(ops, &pair);
}

/* The gate's end: only what its listeners accepted. */
static __always_inline void join_gate(struct bpf_sock_ops *ops)
{
	struct pf_pair pair = {};

	if (!pf_is_gate_port(bpf_htons(ops->local_port)))
		return;
	pair.agent_ip = CTX(ops->remote_ip4);
	if (ops->family != AF_INET)
		pair.agent_ip = CTX(ops->remote_ip6[3]);
	pair.agent_port = bpf_ntohl(ops->remote_port);
	pair.gate_port = ops->local_port;
	pair.side = 1;
	join(ops, &pair);
}

SEC("sockops")
int pf_sockops(struct bpf_sock_ops *ops)
{
	bool active = ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB;
	struct bpf_sock *sk;
	struct pf_sock *ps;

	if (!active && ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return 1;
	sk = ops->sk;
	ps = sk ? bpf_sk_storage_get(&pf_socks, sk, 0, 0) : NULL;
	if (!ps || !fast_road(&ps->label))
		return 1;
	if (active && ps->label.kind == PF_KIND_AGENT)
		join_agent(ops, ps);
	if (!active && ps->label.kind == PF_KIND_GATE)
		join_gate(ops);
	return 1;
}

static __always_inline void count_message(const struct pf_label *me, bool handed)
{
	__u64 session = me->session;
	struct pf_stats *st = bpf_map_lookup_elem(&pf_stats, &session);

	if (st && handed)
		__sync_fetch_and_add(&st->redirected, 1);
	else if (st)
		__sync_fetch_and_add(&st->tcp_msgs, 1);
}

/*
 * Is there credit for n more bytes? Redirection has no flow control: a gate that reads nothing gets
 * PF_REDIRECT_CREDIT bytes and then TCP, for good, so that bytes cannot overtake each other.
 */
static __always_inline bool take_credit(struct pf_sock *ps, const struct tcp_sock *tp, __u32 n)
{
	__u32 heard = tp->rcv_nxt;

	if (ps->heard != heard) {
		ps->heard = heard;
		ps->credit = 0;
	}
	if (n > PF_REDIRECT_CREDIT || ps->credit > PF_REDIRECT_CREDIT - n)
		return false;
	ps->credit += n;
	return true;
}

static __always_inline bool hand_over(struct sk_msg_md *msg, struct pf_sock *ps,
				      const struct tcp_sock *tp)
{
	struct pf_pair pair = {.side = 1};

	if (ps->plain || !take_credit(ps, tp, msg->size))
		return false;
	pair.netns = bpf_get_netns_cookie(msg);
	pair.agent_ip = CTX(msg->local_ip4);
	if (msg->family != AF_INET)
		pair.agent_ip = CTX(msg->local_ip6[3]);
	pair.agent_port = msg->local_port;
	pair.gate_port = bpf_ntohl(msg->remote_port);
	return bpf_msg_redirect_hash(msg, &pf_sockhash, &pair, BPF_F_INGRESS) == SK_PASS;
}

SEC("sk_msg")
int pf_msg(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct tcp_sock *tp;
	struct pf_sock *ps;
	bool handed;

	ps = sk ? bpf_sk_storage_get(&pf_socks, sk, 0, 0) : NULL;
	tp = sk ? bpf_skc_to_tcp_sock(sk) : NULL;
	if (!ps || !tp || ps->label.kind != PF_KIND_AGENT)
		return SK_PASS;
	handed = hand_over(msg, ps, tp);
	if (!handed)
		ps->plain = 1;
	count_message(&ps->label, handed);
	return SK_PASS;
}
