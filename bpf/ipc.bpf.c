// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a session to what lies outside it: signals, tracing, settings, mounts, namespaces, io_uring
 * identities, performance events. What a session may reach is its own tasks of the same kind.
 */
#include "lib/subject.bpf.h"

/* Of an access check that nobody asked for by name (ps reading /proc): no record. */
#define PTRACE_MODE_NOAUDIT_BIT 0x04u

static __always_inline int decide_forbidden(enum pf_hook hook, enum pf_class klass, __u32 what)
{
	struct pf_label me;

	if (!pf_confined(&me))
		return 0;
	return pf_refuse_plain(&me, klass, hook, PF_REASON_FORBIDDEN, what);
}

static __always_inline int decide_signal(struct task_struct *p, int sig)
{
	struct pf_label me;

	if (!pf_confined(&me) || pf_same(&me, p))
		return 0;
	return pf_refuse_plain(&me, PF_CLASS_IPC, PF_HOOK_KILL, PF_REASON_FOREIGN_TASK, sig);
}

SEC("lsm/task_kill")
int BPF_PROG(pf_task_kill, struct task_struct *p, struct kernel_siginfo *info, int sig,
	     const struct cred *cred, int ret)
{
	return ret ? ret : decide_signal(p, sig);
}

static __always_inline int decide_trace(struct task_struct *p, __u32 mode)
{
	struct pf_label me;

	if (!pf_confined(&me) || pf_same(&me, p))
		return 0;
	if (mode & PTRACE_MODE_NOAUDIT_BIT)
		return -EPERM;
	return pf_refuse_plain(&me, PF_CLASS_IPC, PF_HOOK_PTRACE, PF_REASON_FOREIGN_TASK, mode);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(pf_ptrace_access_check, struct task_struct *child, unsigned int mode, int ret)
{
	return ret ? ret : decide_trace(child, mode);
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(pf_ptrace_traceme, struct task_struct *parent, int ret)
{
	return ret ? ret : decide_trace(parent, 0);
}

/* Limits, scheduling and priorities: one record's hook stands for all of them. */
static __always_inline int decide_setting(struct task_struct *p)
{
	struct pf_label me;

	if (!pf_confined(&me) || pf_same(&me, p))
		return 0;
	return pf_refuse_plain(&me, PF_CLASS_IPC, PF_HOOK_TASK_SET, PF_REASON_FOREIGN_TASK, 0);
}

SEC("lsm/task_setrlimit")
int BPF_PROG(pf_task_setrlimit, struct task_struct *p, unsigned int resource,
	     struct rlimit *new_rlim, int ret)
{
	return ret ? ret : decide_setting(p);
}

SEC("lsm/task_setscheduler")
int BPF_PROG(pf_task_setscheduler, struct task_struct *p, int ret)
{
	return ret ? ret : decide_setting(p);
}

SEC("lsm/task_setnice")
int BPF_PROG(pf_task_setnice, struct task_struct *p, int nice, int ret)
{
	return ret ? ret : decide_setting(p);
}

SEC("lsm/task_setioprio")
int BPF_PROG(pf_task_setioprio, struct task_struct *p, int ioprio, int ret)
{
	return ret ? ret : decide_setting(p);
}

SEC("lsm/sb_mount")
int BPF_PROG(pf_sb_mount, const char *dev_name, const struct path *path, const char *type,
	     unsigned long flags, void *data, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_SB_MOUNT, PF_CLASS_FILE, flags);
}

SEC("lsm/move_mount")
int BPF_PROG(pf_move_mount, const struct path *from, const struct path *to, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_MOVE_MOUNT, PF_CLASS_FILE, 0);
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(pf_sb_pivotroot, const struct path *old_path, const struct path *new_path, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_PIVOTROOT, PF_CLASS_FILE, 0);
}

SEC("lsm/path_chroot")
int BPF_PROG(pf_path_chroot, const struct path *path, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_CHROOT, PF_CLASS_FILE, 0);
}

SEC("lsm/userns_create")
int BPF_PROG(pf_userns_create, const struct cred *cred, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_USERNS, PF_CLASS_IPC, 0);
}

SEC("lsm/uring_override_creds")
int BPF_PROG(pf_uring_override_creds, const struct cred *cred, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_URING, PF_CLASS_IPC, 0);
}

/* Two programs: 6.12 and later dropped an argument. */
SEC("lsm/perf_event_open")
int BPF_PROG(pf_perf_event_open, int type, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_PERF, PF_CLASS_IPC, type);
}

SEC("lsm/perf_event_open")
int BPF_PROG(pf_perf_event_open_attr, struct perf_event_attr *attr, int type, int ret)
{
	return ret ? ret : decide_forbidden(PF_HOOK_PERF, PF_CLASS_IPC, type);
}
