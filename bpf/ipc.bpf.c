// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a session to what lies outside it: signals, tracing, settings, mounts, namespaces, io_uring
 * identities, performance events. What a session may reach is its own tasks of the same kind.
 */
#include "lib/guard.bpf.h"

#define MS_RDONLY_BIT 1ul
#define MS_REMOUNT_BIT 32ul
#define MS_MOVE_BIT 8192ul
/* MS_REMOUNT, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED: nothing new is mounted. */
#define MS_CHANGE_BITS (MS_REMOUNT_BIT | 15ul << 17)

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

/* Back from read-only, which closes the way in; no hook sees fsconfig(2) make a mount that. */
static __always_inline bool makes_writable(__u32 flags)
{
	return (flags & (MS_REMOUNT_BIT | MS_RDONLY_BIT)) == MS_REMOUNT_BIT;
}

/* From a session: never. From outside: not where the pins are. */
static __always_inline int decide_mount(enum pf_hook hook, __u32 flags, const struct path *path)
{
	struct pf_label me;

	if (pf_confined(&me))
		return pf_refuse_plain(&me, PF_CLASS_FILE, hook, PF_REASON_FORBIDDEN, flags);
	if (makes_writable(flags))
		return 0;
	return pf_guard_mount(hook, (__u64)BPF_CORE_READ(path, mnt),
			      flags & MS_CHANGE_BITS ? 0 : (__u64)BPF_CORE_READ(path, dentry))
		       ? -EPERM
		       : 0;
}

/* mount(2) tells of a move only where to, and the name of what. */
static __always_inline int decide_old_mount(const char *dev_name, const struct path *path,
					    unsigned long flags)
{
	static const char bpffs[] = PF_BPFFS;
	char name[sizeof(bpffs) + 1] = {};
	int i, r = decide_mount(PF_HOOK_SB_MOUNT, flags, path);

	if (r || !(flags & MS_MOVE_BIT) ||
	    bpf_probe_read_kernel_str(name, sizeof(name), dev_name) != sizeof(bpffs))
		return r;
	for (i = 0; i < (int)sizeof(bpffs); i++)
		if (name[i] != bpffs[i])
			return 0;
	return pf_guard_move(PF_HOOK_SB_MOUNT, (__u64)BPF_CORE_READ(path, mnt)) ? -EPERM : 0;
}

SEC("lsm/sb_mount")
int BPF_PROG(pf_sb_mount, const char *dev_name, const struct path *path, const char *type,
	     unsigned long flags, void *data, int ret)
{
	return ret ? ret : decide_old_mount(dev_name, path, flags);
}

SEC("lsm/move_mount")
int BPF_PROG(pf_move_mount, const struct path *from, const struct path *to, int ret)
{
	int r;

	if (ret)
		return ret;
	r = decide_mount(PF_HOOK_MOVE_MOUNT, 0, from);
	return r ? r : decide_mount(PF_HOOK_MOVE_MOUNT, 0, to);
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
