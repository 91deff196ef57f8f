// SPDX-License-Identifier: GPL-2.0-only
/*
 * The peer that hook costs are compared with: programs that do nothing on the hooks of an open, a
 * connect and an exec.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

SEC("lsm/file_open")
int BPF_PROG(empty_file_open, struct file *file, int ret)
{
	return ret;
}

SEC("lsm/socket_connect")
int BPF_PROG(empty_socket_connect, struct socket *sock, struct sockaddr *addr, int len, int ret)
{
	return ret;
}

SEC("lsm/bprm_check_security")
int BPF_PROG(empty_bprm_check, struct linux_binprm *bprm, int ret)
{
	return ret;
}
