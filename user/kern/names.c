/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for the numbers of the contract. The words of hooks, reasons and classes stand in logs, so
 * they stay once released.
 */
#include <string.h>

#include "kern/kern.h"

static const char *const hooks[PF_HOOK_MAX] = {
	[PF_HOOK_NONE] = "none",
	[PF_HOOK_FILE_OPEN] = "file_open",
	[PF_HOOK_FILE_TRUNCATE] = "file_truncate",
	[PF_HOOK_FILE_IOCTL] = "file_ioctl",
	[PF_HOOK_FILE_RECEIVE] = "file_receive",
	[PF_HOOK_MMAP_FILE] = "mmap_file",
	[PF_HOOK_FILE_MPROTECT] = "file_mprotect",
	[PF_HOOK_PATH_MKNOD] = "path_mknod",
	[PF_HOOK_PATH_MKDIR] = "path_mkdir",
	[PF_HOOK_PATH_SYMLINK] = "path_symlink",
	[PF_HOOK_PATH_UNLINK] = "path_unlink",
	[PF_HOOK_PATH_RMDIR] = "path_rmdir",
	[PF_HOOK_PATH_RENAME] = "path_rename",
	[PF_HOOK_PATH_LINK] = "path_link",
	[PF_HOOK_PATH_TRUNCATE] = "path_truncate",
	[PF_HOOK_PATH_CHMOD] = "path_chmod",
	[PF_HOOK_PATH_CHOWN] = "path_chown",
	[PF_HOOK_INODE_SETATTR] = "inode_setattr",
	[PF_HOOK_INODE_CREATE] = "inode_create",
	[PF_HOOK_INODE_SETXATTR] = "inode_setxattr",
	[PF_HOOK_INODE_REMOVEXATTR] = "inode_removexattr",
	[PF_HOOK_INODE_SET_ACL] = "inode_set_acl",
	[PF_HOOK_INODE_REMOVE_ACL] = "inode_remove_acl",
	[PF_HOOK_INODE_FILE_SETATTR] = "inode_file_setattr",
	[PF_HOOK_SB_MOUNT] = "sb_mount",
	[PF_HOOK_SB_UMOUNT] = "sb_umount",
	[PF_HOOK_MOVE_MOUNT] = "move_mount",
	[PF_HOOK_BPRM_CHECK] = "bprm_check",
	[PF_HOOK_SOCKET_CREATE] = "socket_create",
	[PF_HOOK_SOCKET_CONNECT] = "socket_connect",
	[PF_HOOK_SOCKET_BIND] = "socket_bind",
	[PF_HOOK_SOCKET_LISTEN] = "socket_listen",
	[PF_HOOK_SOCKET_ACCEPT] = "socket_accept",
	[PF_HOOK_SOCKET_SENDMSG] = "socket_sendmsg",
	[PF_HOOK_SOCKET_RECVMSG] = "socket_recvmsg",
	[PF_HOOK_SOCKET_SETSOCKOPT] = "socket_setsockopt",
	[PF_HOOK_UNIX_CONNECT] = "unix_stream_connect",
	[PF_HOOK_UNIX_SEND] = "unix_may_send",
	[PF_HOOK_CG_CONNECT] = "cgroup_connect",
	[PF_HOOK_CG_SENDMSG] = "cgroup_sendmsg",
	[PF_HOOK_CG_BIND] = "cgroup_bind",
	[PF_HOOK_CG_EGRESS] = "cgroup_egress",
	[PF_HOOK_BPF] = "bpf",
	[PF_HOOK_PTRACE] = "ptrace",
	[PF_HOOK_KILL] = "task_kill",
	[PF_HOOK_TASK_ALLOC] = "task_alloc",
	[PF_HOOK_USERNS] = "userns_create",
	[PF_HOOK_CGROUP_WRITE] = "cgroup_write",
	[PF_HOOK_URING] = "uring",
	[PF_HOOK_FILE_FCNTL] = "file_fcntl",
	[PF_HOOK_PIVOTROOT] = "sb_pivotroot",
	[PF_HOOK_CHROOT] = "path_chroot",
	[PF_HOOK_PERF] = "perf_event_open",
	[PF_HOOK_CG_RECVMSG] = "cgroup_recvmsg",
	[PF_HOOK_TASK_SET] = "task_set",
};

static const struct {
	const char *name, *text, *hint;
} reasons[PF_REASON_MAX] = {
	[PF_REASON_NONE] = {"none", "", ""},
	[PF_REASON_NO_RULE] =
		{"no-rule", "no rule of the policy gives this right here",
		 "name the path under files.read, files.write or exec.allow of the policy"},
	[PF_REASON_RULE] =
		{"rule", "the nearest rule of the policy withholds this right",
		 "work below a path of files.write, or ask for the path to be added there"},
	[PF_REASON_TOO_DEEP] = {"too-deep", "more directories above it than a decision looks at",
				"use a path of fewer directories"},
	[PF_REASON_SEALED] = {"sealed",
			      "the root of a rule's tree may not be moved, removed or replaced",
			      "change what is inside it instead"},
	[PF_REASON_CROSS] = {"cross", "a link or rename between trees with different rules",
			     "copy the file instead"},
	[PF_REASON_DEVICE] = {"device", "device nodes are the session's own /dev only",
			      "use those in /dev"},
	[PF_REASON_SETID] = {"set-id", "set-user-ID and set-group-ID bits are never set",
			     "leave the bits out"},
	[PF_REASON_NO_SESSION] = {"no-session", "the session is unknown or has ended",
				  "start a new session"},
	[PF_REASON_NO_POLICY] = {"no-policy", "the session's rules are missing",
				 "start a new session"},
	[PF_REASON_FAMILY] = {"family", "sockets of this family, type or protocol are not allowed",
			      "use TCP to a database of the policy, or sockets inside the session"},
	[PF_REASON_DESTINATION] = {"destination", "no database of the policy has this address",
				   "connect to a database by its name in the policy"},
	[PF_REASON_FOREIGN_SOCKET] = {"foreign-socket", "the socket was not made in this session",
				      "make the socket inside the session"},
	[PF_REASON_FOREIGN_PEER] = {"foreign-peer", "the other end does not belong to this session",
				    ""},
	[PF_REASON_NOT_LOOPBACK] = {"not-loopback", "servers may listen on loopback only",
				    "bind to 127.0.0.1 or ::1"},
	[PF_REASON_GATE_PORT] = {"gate-port", "the port belongs to the session's gate",
				 "choose another port"},
	[PF_REASON_FOREIGN_TASK] = {"foreign-task", "the process is not one of this session's own",
				    ""},
	[PF_REASON_FORBIDDEN] = {"forbidden", "this operation is never allowed in a session", ""},
	[PF_REASON_STORAGE] = {"storage", "the kernel could not store a label",
			       "try again with more memory"},
	[PF_REASON_XATTR] = {"xattr", "security.* and trusted.* attributes are never set",
			     "use user.*"},
	[PF_REASON_PROC] = {"proc", "this file of /proc may not be written", ""},
	[PF_REASON_HARD_LINK] = {"hard-link",
				 "the file has another name, made before the session or outside",
				 "write a copy and rename it over the name"},
	[PF_REASON_GUARDED] = {"guarded", "it belongs to Pinfold, which guards itself",
			       "if it is meant, root does it with: pinfold unlock -- COMMAND"},
	[PF_REASON_UNATTENDED] =
		{"unattended", "nobody attended to the session: pinfoldd was dead, or hung",
		 "try again: now it is attended to; what goes on without pinfoldd, the "
		 "policy says (unattended)"},
};

static const char *const classes[PF_CLASS_MAX] = {
	[PF_CLASS_FILE] = "file", [PF_CLASS_NET] = "net",     [PF_CLASS_EXEC] = "exec",
	[PF_CLASS_IPC] = "ipc",	  [PF_CLASS_GUARD] = "guard",
};

static const char *const kinds[] = {
	[PF_KIND_NONE] = "none",	   [PF_KIND_AGENT] = "agent", [PF_KIND_INIT] = "init",
	[PF_KIND_GATE] = "gate",	   [PF_KIND_ADMIN] = "admin", [PF_KIND_BOOT] = "boot",
	[PF_KIND_GATE_BOOT] = "gate-boot",
};

static const char *const sites[PF_SITE_MAX] = {
	[PF_SITE_NONE] = "none",
	[PF_SITE_TASK_STORAGE] = "task label not stored",
	[PF_SITE_TASK_LOOKUP] = "task label found by cgroup",
	[PF_SITE_SOCK_STORAGE] = "socket label not stored",
	[PF_SITE_MARK] = "mark not stored",
	[PF_SITE_EVENT] = "audit ring full",
	[PF_SITE_NO_STATS] = "denial without counters",
	[PF_SITE_READ] = "kernel object not read",
	[PF_SITE_SOCKHASH] = "connection not in the sockhash",
};

static const char *word(const char *const *words, size_t n, __u32 i)
{
	return i < n && words[i] ? words[i] : "unknown";
}

const char *pf_hook_name(__u32 hook)
{
	return word(hooks, ARRAY_LEN(hooks), hook);
}

const char *pf_reason_name(__u32 reason)
{
	return reason < PF_REASON_MAX && reasons[reason].name ? reasons[reason].name : "unknown";
}

__u32 pf_reason_find(const char *name)
{
	__u32 i = 0;

	while (i < PF_REASON_MAX && (!reasons[i].name || strcmp(reasons[i].name, name) != 0))
		i++;
	return i;
}

const char *pf_reason_text(__u32 reason)
{
	return reason < PF_REASON_MAX && reasons[reason].text ? reasons[reason].text : "unknown";
}

const char *pf_reason_hint(__u32 reason)
{
	return reason < PF_REASON_MAX && reasons[reason].hint ? reasons[reason].hint : "";
}

const char *pf_class_name(__u32 klass)
{
	return word(classes, ARRAY_LEN(classes), klass);
}

const char *pf_kind_name(__u32 kind)
{
	return word(kinds, ARRAY_LEN(kinds), kind);
}

const char *pf_site_name(__u32 site)
{
	return word(sites, ARRAY_LEN(sites), site);
}
