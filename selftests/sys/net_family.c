// SPDX-License-Identifier: Apache-2.0
/*
 * Rows N12-N24: protocols and address families. What is not TCP, UDP or AF_UNIX must fail when the
 * socket is made, whether the kernel knows the family or not. The twins show what stays allowed.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

#define PROTO_L2TP 115
#define PROTO_SMC 256
#define FAMILY_SMC 43
#define FAMILY_XDP 44
#define FAMILY_MCTP 45

struct kind {
	const char *name;
	int family, type, protocol;
};

/* Just make it; the twin makes a plain socket of an allowed family instead. */
static void try_kinds(struct ctx *c, const struct kind *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct kind *k = &kinds[i];
		long fd = c->twin ? go_socket(c, AF_INET, SOCK_STREAM, 0)
				  : go_socket(c, k->family, k->type, k->protocol);
		say(c, k->name, fd);
		if (fd >= 0)
			close((int)fd);
	}
}

#define TRY_KINDS(c, kinds) try_kinds(c, kinds, sizeof(kinds) / sizeof((kinds)[0]))

static int mptcp(const struct ctx *c)
{
	return c->twin ? 0 : IPPROTO_MPTCP;
}

static void n12_mptcp(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_STREAM);
	struct address to6 = peer(c, AF_INET6, SOCK_STREAM);

	say(c, "v4", dial(c, mptcp(c), &to));
	say(c, "v6", dial(c, mptcp(c), &to6));
}

static void n13_mptcp_fastopen(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_STREAM);

	if (c->twin) {
		say(c, "sendmsg", dial(c, 0, &to));
		return;
	}
	int fd = (int)go_socket(c, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	say(c, "sendmsg", fd < 0 ? fd : send_to(c, fd, &to, MSG_FASTOPEN));
}

/* A first connection to ourselves, which a second subflow could be added to. */
static void n14_mptcp_subflow(struct ctx *c)
{
	struct ctx home = *c;

	home.twin = true;
	struct address to = peer(&home, AF_INET, SOCK_STREAM);
	say(c, "first", dial(c, mptcp(c), &to));
}

static void n15_sctp(struct ctx *c)
{
	static const struct kind kinds[] = {{"stream", AF_INET, SOCK_STREAM, IPPROTO_SCTP},
					    {"seqpacket", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP},
					    {"stream6", AF_INET6, SOCK_STREAM, IPPROTO_SCTP}};
	TRY_KINDS(c, kinds);
}

static void n16_udplite(struct ctx *c)
{
	struct address to = peer(c, AF_INET, SOCK_DGRAM);
	int fd = (int)go_socket(c, AF_INET, SOCK_DGRAM, c->twin ? 0 : IPPROTO_UDPLITE);

	say(c, "sendmsg", fd < 0 ? fd : send_to(c, fd, &to, 0));
}

static void n17_dccp_l2tp_smc(struct ctx *c)
{
	static const struct kind kinds[] = {{"dccp", AF_INET, SOCK_DCCP, IPPROTO_DCCP},
					    {"l2tp", AF_INET, SOCK_DGRAM, PROTO_L2TP},
					    {"smc", AF_INET, SOCK_STREAM, PROTO_SMC},
					    {"af-smc", FAMILY_SMC, SOCK_STREAM, 0}};
	TRY_KINDS(c, kinds);
}

static void n18_raw(struct ctx *c)
{
	static const struct kind kinds[] = {{"icmp", AF_INET, SOCK_RAW, IPPROTO_ICMP},
					    {"tcp", AF_INET, SOCK_RAW, IPPROTO_TCP},
					    {"raw", AF_INET, SOCK_RAW, IPPROTO_RAW},
					    {"icmp6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}};
	TRY_KINDS(c, kinds);
}

static void n19_ping(struct ctx *c)
{
	static const struct kind kinds[] = {{"v4", AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
					    {"v6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6}};
	TRY_KINDS(c, kinds);
}

static void n20_packet(struct ctx *c)
{
	static const struct kind kinds[] = {
		{"raw", AF_PACKET, SOCK_RAW, 0},
		{"dgram", AF_PACKET, SOCK_DGRAM, 0},
		{"packet", AF_INET, SOCK_PACKET, 0},
	};
	TRY_KINDS(c, kinds);
}

static void n21_xdp(struct ctx *c)
{
	static const struct kind kinds[] = {{"raw", FAMILY_XDP, SOCK_RAW, 0}};

	TRY_KINDS(c, kinds);
}

/* RTM_NEWADDR on loopback by a ROUTE socket (reading by one is the twin). */
static long route_request(struct ctx *c)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg m;
		struct rtattr a;
		uint32_t ip;
	} q = {.h = {.nlmsg_len = sizeof(q),
		     .nlmsg_type = c->twin ? RTM_GETADDR : RTM_NEWADDR,
		     .nlmsg_flags =
			     NLM_F_REQUEST | (c->twin ? NLM_F_DUMP : NLM_F_ACK | NLM_F_CREATE)},
	       .m = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 1},
	       .a = {.rta_len = 8, .rta_type = IFA_LOCAL},
	       .ip = htonl(0x7f0000fe)};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[8192];
	} answer;
	int fd = (int)go_socket(c, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return fd;
	long r = rc_of(send(fd, &q, sizeof(q), 0));
	if (r >= 0)
		r = rc_of(recv(fd, &answer, sizeof(answer), 0));
	close(fd);
	return r >= 0 && answer.h.nlmsg_type == NLMSG_ERROR ? answer.e.error : r;
}

static void n22_netlink(struct ctx *c)
{
	static const struct kind kinds[] = {
		{"generic", AF_NETLINK, SOCK_RAW, NETLINK_GENERIC},
		{"netfilter", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER},
		{"xfrm", AF_NETLINK, SOCK_RAW, NETLINK_XFRM},
		{"uevent", AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT},
		{"audit", AF_NETLINK, SOCK_RAW, NETLINK_AUDIT},
		{"sock-diag", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG},
		{"crypto", AF_NETLINK, SOCK_RAW, NETLINK_CRYPTO}};

	TRY_KINDS(c, kinds);
}

/* Changing addresses takes CAP_NET_ADMIN: a row part of its own, for its baseline is root's. */
static void n22_route_write(struct ctx *c)
{
	say(c, "route", route_request(c));
}

static void n23_vsock(struct ctx *c)
{
	static const struct kind kinds[] = {{"stream", AF_VSOCK, SOCK_STREAM, 0},
					    {"dgram", AF_VSOCK, SOCK_DGRAM, 0},
					    {"seqpacket", AF_VSOCK, SOCK_SEQPACKET, 0}};
	TRY_KINDS(c, kinds);
}

static void n24_families(struct ctx *c)
{
	static const struct kind kinds[] = {{"alg", AF_ALG, SOCK_SEQPACKET, 0},
					    {"kcm", AF_KCM, SOCK_DGRAM, 0},
					    {"rds", AF_RDS, SOCK_SEQPACKET, 0},
					    {"tipc", AF_TIPC, SOCK_STREAM, 0},
					    {"can", AF_CAN, SOCK_RAW, 1},
					    {"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1},
					    {"nfc", AF_NFC, SOCK_SEQPACKET, 0},
					    {"qipcrtr", AF_QIPCRTR, SOCK_DGRAM, 0},
					    {"rxrpc", AF_RXRPC, SOCK_DGRAM, AF_INET},
					    {"x25", AF_X25, SOCK_SEQPACKET, 0},
					    {"phonet", AF_PHONET, SOCK_DGRAM, 0},
					    {"iucv", AF_IUCV, SOCK_STREAM, 0},
					    {"ax25", AF_AX25, SOCK_DGRAM, 0},
					    {"ipx", AF_IPX, SOCK_DGRAM, 0},
					    {"appletalk", AF_APPLETALK, SOCK_DGRAM, 0},
					    {"netrom", AF_NETROM, SOCK_SEQPACKET, 0},
					    {"rose", AF_ROSE, SOCK_SEQPACKET, 0},
					    {"key", AF_KEY, SOCK_RAW, 2},
					    {"pppox", AF_PPPOX, SOCK_STREAM, 0},
					    {"llc", AF_LLC, SOCK_STREAM, 0},
					    {"caif", AF_CAIF, SOCK_SEQPACKET, 0},
					    {"isdn", AF_ISDN, SOCK_RAW, 0},
					    {"ieee802154", AF_IEEE802154, SOCK_DGRAM, 0},
					    {"mctp", FAMILY_MCTP, SOCK_DGRAM, 0}};

	TRY_KINDS(c, kinds);
}

const struct row net_family_rows[] = {
	{"N12", n12_mptcp}, {"N13", n13_mptcp_fastopen}, {"N14", n14_mptcp_subflow},
	{"N15", n15_sctp},  {"N16", n16_udplite},	 {"N17", n17_dccp_l2tp_smc},
	{"N18", n18_raw},   {"N19", n19_ping},		 {"N20", n20_packet},
	{"N21", n21_xdp},   {"N22", n22_netlink},	 {"N22r", n22_route_write},
	{"N23", n23_vsock}, {"N24", n24_families},	 {0}};
