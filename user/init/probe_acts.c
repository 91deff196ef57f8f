/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forbidden acts. Those on files are aimed at the session's own /run/pinfold, which no policy can
 * open up; and whatever should succeed must leave no trace.
 */
#include "init/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DIR_RO "/run/pinfold"
#define FILE_RO DIR_RO "/hosts"
#define NEW DIR_RO "/.probe"

/* An address of the documentation range: nobody has it, no policy means it. */
#define NOWHERE "198.51.100.1"

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int open_for_write(void)
{
	__cleanup_fd int fd = open(FILE_RO, O_WRONLY | O_CLOEXEC);

	return result(fd);
}

static int create_file(void)
{
	__cleanup_fd int fd = open(NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = result(fd);

	if (r == 0)
		(void)unlink(NEW);
	return r;
}

static int make_dir(void)
{
	int r = result(mkdir(NEW, 0700));

	if (r == 0)
		(void)rmdir(NEW);
	return r;
}

static int rename_file(void)
{
	return result(rename(FILE_RO, FILE_RO)); /* onto itself: changes nothing */
}

static int remove_dir(void)
{
	return result(rmdir(DIR_RO "/empty")); /* nobody would miss it */
}

static int change_mode(void)
{
	return result(chmod(FILE_RO, 0644)); /* what it has */
}

static int write_sysctl(void)
{
	__cleanup_fd int fd = open("/proc/sys/kernel/hostname", O_WRONLY | O_CLOEXEC);

	return result(fd);
}

static int connect_to(int type)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	__cleanup_fd int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || inet_pton(AF_INET, NOWHERE, &to.sin_addr) != 1)
		return EINVAL;
	return result(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int tcp_connect(void)
{
	return connect_to(SOCK_STREAM);
}

static int udp_connect(void)
{
	return connect_to(SOCK_DGRAM);
}

static int udp_send(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || inet_pton(AF_INET, NOWHERE, &to.sin_addr) != 1)
		return EINVAL;
	return result(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
}

static int open_socket(int family, int type, int protocol)
{
	__cleanup_fd int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	return result(fd);
}

static int packet_socket(void)
{
	return open_socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
}

static int raw_socket(void)
{
	return open_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int use_bpf(void)
{
	union bpf_attr attr = {0};
	long r = syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr));

	return r < 0 ? errno : 0;
}

static int trace_init(void)
{
	int r = result(ptrace(PTRACE_SEIZE, 1, 0, 0));

	if (r == 0)
		(void)ptrace(PTRACE_DETACH, 1, 0, 0);
	return r;
}

static int signal_init(void)
{
	return result(kill(1, 0));
}

static int mount_over(void)
{
	int r = result(mount("probe", DIR_RO "/empty", "tmpfs", 0, NULL));

	if (r == 0)
		(void)umount2(DIR_RO "/empty", MNT_DETACH);
	return r;
}

static int new_user_namespace(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int new_mount_namespace(void)
{
	return result(unshare(CLONE_NEWNS));
}

static int enter_namespace(void)
{
	return result(syscall(SYS_setns, -1, 0));
}

static int detached_mount(void)
{
	__cleanup_fd int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */);

	return result(fd);
}

static int move_cgroup(void)
{
	__cleanup_fd int fd = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);

	return result(fd);
}

const struct probe_act probe_kernel_acts[] = {
	{"open a file for writing", open_for_write},
	{"create a file", create_file},
	{"make a directory", make_dir},
	{"rename a file", rename_file},
	{"remove a directory", remove_dir},
	{"change a file's mode", change_mode},
	{"write to /proc/sys", write_sysctl},
	{"connect by TCP", tcp_connect},
	{"connect by UDP", udp_connect},
	{"send by UDP", udp_send},
	{"open a packet socket", packet_socket},
	{"open a raw socket", raw_socket},
	{"call bpf()", use_bpf},
	{"trace pid 1", trace_init},
	{"mount", mount_over},
	{"make a user namespace", new_user_namespace},
	{"leave the cgroup", move_cgroup},
};
const size_t probe_n_kernel_acts = sizeof(probe_kernel_acts) / sizeof(probe_kernel_acts[0]);

const struct probe_act probe_command_acts[] = {
	{"open a file for writing", open_for_write},
	{"create a file", create_file},
	{"connect by TCP", tcp_connect},
	{"send by UDP", udp_send},
	{"open a packet socket", packet_socket},
	{"call bpf()", use_bpf},
	{"trace pid 1", trace_init},
	{"signal pid 1", signal_init},
	{"mount", mount_over},
	{"make a user namespace", new_user_namespace},
	{"make a mount namespace", new_mount_namespace},
	{"enter a namespace", enter_namespace},
	{"clone a mount", detached_mount},
};
const size_t probe_n_command_acts = sizeof(probe_command_acts) / sizeof(probe_command_acts[0]);
