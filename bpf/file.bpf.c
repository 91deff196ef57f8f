// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files: opening, making, removing, moving and changing them (F rows). Decided on the object of the
 * path, once; what the kernel then does on backing objects of an overlay passes.
 */
#include "lib/guard.bpf.h"
#include "lib/match.bpf.h"

#define RENAME_EXCHANGE_BIT 2u
#define RENAME_WHITEOUT_BIT 4u
#define ATTR_MODE_BIT 1u

/* Does text, which has room for all of word, begin with word? (memcmp() is not inlined.) */
static __always_inline bool begins(const char *text, const char *word, int len)
{
	int i;

	for (i = 0; i < len; i++) {
		if (text[i] != word[i])
			return false;
	}
	return true;
}

/* Files of /proc that may be written: a thread's own name, which pthread_setname_np() sets. */
static __always_inline bool proc_writable(struct dentry *d)
{
	char name[8] = {};

	if (bpf_probe_read_kernel_str(name, sizeof(name), (void *)pf_name_addr(d)) !=
	    sizeof("comm"))
		return false;
	return begins(name, "comm", 4);
}

/*
 * Which rights an open needs. Without branches: the verifier would follow all that comes after once
 * for every combination.
 */
static __always_inline __u32 wanted(const struct file *f)
{
	__u32 flags = f->f_flags, mode = f->f_mode;
	/* Access mode 3 asks for neither read nor write but is checked for both. */
	__u32 both = flags & flags >> 1 & 1;
	__u32 write = (mode / FMODE_WRITE_BIT | flags / O_TRUNC | both) & 1;
	__u32 exec = flags / FMODE_EXEC_BIT & 1;
	__u32 read = both | (~exec & (mode / FMODE_READ_BIT | ~write) & 1);

	_Static_assert(O_ACCMODE_BITS == 3, "bits 0 and 1");
	return read * PF_R_READ | write * PF_R_WRITE | exec * PF_R_EXEC;
}

/* Kinds of object that need more than a right. */
static __always_inline enum pf_reason odd_object(struct dentry *d, const struct inode *inode,
						 const struct pf_verdict *v, __u32 want,
						 __u32 flags)
{
	__u64 magic = d->d_sb->s_magic;
	__u32 type = inode->i_mode & S_IFMT;

	if ((type == S_IFCHR || type == S_IFBLK) && !(v->rights & PF_R_DEV))
		return PF_REASON_DEVICE;
	if (flags & O_TMPFILE_BIT && type == S_IFREG && inode->i_mode & (S_ISUID | S_ISGID))
		return PF_REASON_SETID;
	if (!(want & PF_R_WRITE))
		return PF_REASON_NONE;
	if (magic == CGROUP2_MAGIC || magic == CGROUP_MAGIC)
		return PF_REASON_FORBIDDEN;
	if ((magic == PROC_MAGIC || v->rights & PF_R_PROC) && !proc_writable(d))
		return PF_REASON_PROC;
	return PF_REASON_NONE;
}

static __always_inline int decide_agent_open(const struct pf_label *me, enum pf_hook hook,
					     const struct file *f)
{
	struct dentry *d = f->f_path.dentry;
	struct inode *inode = pf_inode(d);
	__u32 want = wanted(f);
	enum pf_reason odd;
	struct pf_verdict v;
	struct pf_law law;

	pf_law_now(me, &law);
	pf_judge_object(me, &law, d, &v);
	if ((v.rights & want) != want)
		return pf_refuse_entry(me, hook, d, &v, want);
	odd = inode ? odd_object(d, inode, &v, want, f->f_flags) : PF_REASON_NO_RULE;
	if (!odd)
		return 0;
	v.reason = odd;
	return pf_refuse_entry(me, hook, d, &v, want);
}

/* A gate reads what its uid may, and writes to no file; pipes and /dev/null are not files. */
static __always_inline int decide_gate_open(const struct pf_label *me, enum pf_hook hook,
					    const struct file *f)
{
	struct dentry *d = f->f_path.dentry;
	struct inode *inode = pf_inode(d);

	if (!(wanted(f) & PF_R_WRITE) || pf_is_placeless(d, d->d_sb))
		return 0;
	if (inode && (inode->i_mode & S_IFMT) == S_IFCHR && inode->i_rdev == (1 << 20 | 3))
		return 0;
	return pf_never(me, hook, d, PF_REASON_FORBIDDEN, PF_R_WRITE);
}

/* Code of ours in the session shows us the identity of a rule's path (policy.h, pf_marks). */
static __always_inline void leave_mark(const struct pf_label *me, const struct file *f)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct pf_mark_key key = {};
	struct pf_mark mark = {};
	struct inode *inode = f->f_inode;

	if (!inode)
		return;
	if ((f->f_flags & (O_NONBLOCK | O_NOCTTY)) != (O_NONBLOCK | O_NOCTTY))
		return;
	key.session = me->session;
	mark.ino = inode->i_ino;
	mark.dev = inode->i_sb->s_dev;
	mark.self = pf_self(inode);
	if (bpf_probe_read_kernel(key.number, sizeof(key.number), t->comm) ||
	    bpf_map_update_elem(&pf_marks, &key, &mark, BPF_ANY))
		pf_count_error(PF_SITE_MARK);
}

static __always_inline int decide_open(enum pf_hook hook, const struct file *f)
{
	struct pf_label me;

	if (!pf_who(&me))
		return 0;
	if (me.kind == PF_KIND_INIT)
		leave_mark(&me, f);
	if (pf_trusted(&me) || pf_kernel_internal())
		return 0;
	if (me.kind == PF_KIND_GATE)
		return decide_gate_open(&me, hook, f);
	return decide_agent_open(&me, hook, f);
}

SEC("lsm/file_open")
int BPF_PROG(pf_file_open, struct file *file, int ret)
{
	return ret ? ret : decide_open(PF_HOOK_FILE_OPEN, file);
}

/* A change of the object d itself. */
static __always_inline int decide_change(enum pf_hook hook, struct dentry *d)
{
	struct pf_label me;

	d = pf_untrusted(d);
	if (!pf_file_subject(&me))
		return pf_guard_pin(hook, d);
	if (me.kind == PF_KIND_GATE)
		return pf_is_placeless(d, d->d_sb)
			       ? 0
			       : pf_never(&me, hook, d, PF_REASON_FORBIDDEN, PF_R_WRITE);
	return pf_check(&me, hook, d, PF_R_WRITE);
}

/* A new, removed or replaced entry. */
static __always_inline int decide_entry(enum pf_hook hook, struct dentry *d)
{
	struct pf_label me;

	d = pf_untrusted(d);
	if (!pf_file_subject(&me))
		return hook == PF_HOOK_PATH_RMDIR ? pf_guard_rmdir(hook, d) : pf_guard_pin(hook, d);
	if (me.kind == PF_KIND_GATE || d->d_sb->s_magic == CGROUP2_MAGIC)
		return pf_never(&me, hook, d, PF_REASON_FORBIDDEN, PF_R_WRITE);
	return pf_check_entry(&me, hook, d);
}

SEC("lsm/file_truncate")
int BPF_PROG(pf_file_truncate, struct file *file, int ret)
{
	return ret ? ret : decide_change(PF_HOOK_FILE_TRUNCATE, file->f_path.dentry);
}

SEC("lsm/path_truncate")
int BPF_PROG(pf_path_truncate, const struct path *path, int ret)
{
	return ret ? ret : decide_change(PF_HOOK_PATH_TRUNCATE, path->dentry);
}

static __always_inline int decide_mknod(struct dentry *d, __u32 mode)
{
	__u32 type = mode & S_IFMT;
	enum pf_reason reason = 0;
	struct pf_label me;

	d = pf_untrusted(d);
	if (!pf_file_subject(&me))
		return pf_guard_pin(PF_HOOK_PATH_MKNOD, d);
	if (type == S_IFCHR || type == S_IFBLK)
		reason = PF_REASON_DEVICE;
	else if (mode & (S_ISUID | S_ISGID))
		reason = PF_REASON_SETID;
	if (reason)
		return pf_never(&me, PF_HOOK_PATH_MKNOD, d, reason, mode);
	return decide_entry(PF_HOOK_PATH_MKNOD, d);
}

SEC("lsm/path_mknod")
int BPF_PROG(pf_path_mknod, const struct path *dir, struct dentry *dentry, umode_t mode,
	     unsigned int dev, int ret)
{
	return ret ? ret : decide_mknod(dentry, mode);
}

SEC("lsm/path_mkdir")
int BPF_PROG(pf_path_mkdir, const struct path *dir, struct dentry *dentry, umode_t mode, int ret)
{
	return ret ? ret : decide_entry(PF_HOOK_PATH_MKDIR, dentry);
}

SEC("lsm/path_symlink")
int BPF_PROG(pf_path_symlink, const struct path *dir, struct dentry *dentry, const char *old,
	     int ret)
{
	return ret ? ret : decide_entry(PF_HOOK_PATH_SYMLINK, dentry);
}

SEC("lsm/path_unlink")
int BPF_PROG(pf_path_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : decide_entry(PF_HOOK_PATH_UNLINK, dentry);
}

SEC("lsm/path_rmdir")
int BPF_PROG(pf_path_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : decide_entry(PF_HOOK_PATH_RMDIR, dentry);
}

/*
 * Would something that cannot be read where it is become readable where it goes? (What is readable
 * could as well be copied.)
 */
static __always_inline bool gains(const struct pf_verdict *from, const struct pf_verdict *to)
{
	return to->rights & PF_R_READ && !(from->rights & PF_R_READ);
}

static __always_inline int decide_move(const struct pf_label *me, struct dentry *from,
				       struct dentry *to, __u32 flags)
{
	enum pf_hook hook = PF_HOOK_PATH_RENAME;
	struct pf_verdict v, w;
	struct pf_law law;

	if (flags & RENAME_WHITEOUT_BIT)
		return pf_never(me, hook, from, PF_REASON_FORBIDDEN, flags);
	pf_law_now(me, &law);
	pf_judge_entry(&law, from, &v);
	if (!(v.rights & PF_R_WRITE))
		return pf_refuse_entry(me, hook, from, &v, PF_R_WRITE);
	pf_judge_entry(&law, to, &w);
	if (!(w.rights & PF_R_WRITE))
		return pf_refuse_entry(me, hook, to, &w, PF_R_WRITE);
	if (gains(&v, &w) || (flags & RENAME_EXCHANGE_BIT && gains(&w, &v)))
		return pf_never(me, hook, to, PF_REASON_CROSS, flags);
	return 0;
}

static __always_inline int decide_rename(struct dentry *from, struct dentry *to, __u32 flags)
{
	struct pf_label me;

	from = pf_untrusted(from);
	to = pf_untrusted(to);
	if (!pf_file_subject(&me))
		return pf_guard_pins(PF_HOOK_PATH_RENAME, from, to);
	if (me.kind == PF_KIND_GATE || from->d_sb->s_magic == CGROUP2_MAGIC)
		return pf_never(&me, PF_HOOK_PATH_RENAME, from, PF_REASON_FORBIDDEN, flags);
	return decide_move(&me, from, to, flags);
}

SEC("lsm/path_rename")
int BPF_PROG(pf_path_rename, const struct path *old_dir, struct dentry *old_dentry,
	     const struct path *new_dir, struct dentry *new_dentry, unsigned int flags, int ret)
{
	return ret ? ret : decide_rename(old_dentry, new_dentry, flags);
}

static __always_inline int decide_link(struct dentry *from, struct dentry *to)
{
	enum pf_hook hook = PF_HOOK_PATH_LINK;
	struct pf_verdict v, w;
	struct pf_label me;
	struct pf_law law;

	from = pf_untrusted(from);
	to = pf_untrusted(to);
	if (!pf_file_subject(&me))
		return pf_guard_pins(hook, from, to);
	if (me.kind == PF_KIND_GATE)
		return pf_never(&me, hook, from, PF_REASON_FORBIDDEN, PF_R_WRITE);
	pf_law_now(&me, &law);
	pf_judge_object(&me, &law, from, &v);
	if (!(v.rights & PF_R_WRITE))
		return pf_refuse_entry(&me, hook, from, &v, PF_R_WRITE);
	pf_judge_entry(&law, to, &w);
	if (!(w.rights & PF_R_WRITE))
		return pf_refuse_entry(&me, hook, to, &w, PF_R_WRITE);
	if (gains(&v, &w))
		return pf_never(&me, hook, to, PF_REASON_CROSS, PF_R_READ);
	pf_note_link(&me, &law, from);
	return 0;
}

SEC("lsm/path_link")
int BPF_PROG(pf_path_link, struct dentry *old_dentry, const struct path *new_dir,
	     struct dentry *new_dentry, int ret)
{
	return ret ? ret : decide_link(old_dentry, new_dentry);
}

/* A directory's set-group-ID bit only hands a group down; on anything else it hands a power over.
 */
static __always_inline bool sets_id(struct dentry *d, __u32 mode)
{
	struct inode *inode = pf_inode(d);

	if (!(mode & (S_ISUID | S_ISGID)))
		return false;
	return !inode || (inode->i_mode & S_IFMT) != S_IFDIR || mode & S_ISUID;
}

static __always_inline int decide_chmod(enum pf_hook hook, struct dentry *d, __u32 mode)
{
	struct pf_label me;

	if (!pf_file_subject(&me))
		return pf_guard_pin(hook, d);
	if (sets_id(d, mode))
		return pf_never(&me, hook, d, PF_REASON_SETID, mode);
	return decide_change(hook, d);
}

SEC("lsm/path_chmod")
int BPF_PROG(pf_path_chmod, const struct path *path, umode_t mode, int ret)
{
	return ret ? ret : decide_chmod(PF_HOOK_PATH_CHMOD, path->dentry, mode);
}

SEC("lsm/path_chown")
int BPF_PROG(pf_path_chown, const struct path *path, __u64 uid, __u64 gid, int ret)
{
	return ret ? ret : decide_change(PF_HOOK_PATH_CHOWN, path->dentry);
}

/* Times, and everything above once more. Two programs: 6.6 put an argument in front. */
SEC("lsm/inode_setattr")
int BPF_PROG(pf_inode_setattr, struct dentry *dentry, struct iattr *attr, int ret)
{
	return ret ? ret : decide_change(PF_HOOK_INODE_SETATTR, dentry);
}

SEC("lsm/inode_setattr")
int BPF_PROG(pf_inode_setattr_idmap, void *idmap, struct dentry *dentry, struct iattr *attr,
	     int ret)
{
	return ret ? ret : decide_change(PF_HOOK_INODE_SETATTR, dentry);
}

static __always_inline int decide_xattr(enum pf_hook hook, struct dentry *d, const char *name)
{
	char head[10] = {};
	struct pf_label me;

	d = pf_untrusted(d);
	if (!pf_file_subject(&me))
		return 0;
	if (bpf_probe_read_kernel_str(head, sizeof(head), name) < 0)
		return pf_never(&me, hook, d, PF_REASON_XATTR, 0);
	if (begins(head, "security.", 9) || begins(head, "trusted.", 8))
		return pf_never(&me, hook, d, PF_REASON_XATTR, 0);
	return decide_change(hook, d);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(pf_inode_setxattr, void *idmap, struct dentry *dentry, const char *name,
	     const void *value, size_t size, int flags, int ret)
{
	return ret ? ret : decide_xattr(PF_HOOK_INODE_SETXATTR, dentry, name);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(pf_inode_removexattr, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return ret ? ret : decide_xattr(PF_HOOK_INODE_REMOVEXATTR, dentry, name);
}

SEC("lsm/inode_set_acl")
int BPF_PROG(pf_inode_set_acl, void *idmap, struct dentry *dentry, const char *name, void *acl,
	     int ret)
{
	return ret ? ret : decide_change(PF_HOOK_INODE_SET_ACL, dentry);
}

SEC("lsm/inode_remove_acl")
int BPF_PROG(pf_inode_remove_acl, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return ret ? ret : decide_change(PF_HOOK_INODE_REMOVE_ACL, dentry);
}

SEC("lsm/inode_file_setattr")
int BPF_PROG(pf_inode_file_setattr, struct dentry *dentry, void *fa, int ret)
{
	return ret ? ret : decide_change(PF_HOOK_INODE_FILE_SETATTR, dentry);
}

/*
 * ioctl commands on files and directories that change nothing. Terminal commands ('T') fail there
 * by themselves; isatty() relies on how.
 */
static __always_inline bool ioctl_reads(__u32 cmd)
{
	switch (cmd) {
	case 0x0001:	 /* FIBMAP */
	case 0x0002:	 /* FIGETBSZ */
	case 0x5450:	 /* FIONCLEX */
	case 0x5451:	 /* FIOCLEX */
	case 0x5452:	 /* FIOASYNC */
	case 0x5421:	 /* FIONBIO */
	case 0x541b:	 /* FIONREAD */
	case 0xc020660b: /* FS_IOC_FIEMAP */
	case 0x80086601: /* FS_IOC_GETFLAGS */
	case 0x80046601: /* FS_IOC32_GETFLAGS */
	case 0x80087601: /* FS_IOC_GETVERSION */
	case 0x801c581f: /* FS_IOC_FSGETXATTR */
		return true;
	}
	return (cmd >> 8 & 0xff) == 'T';
}

/*
 * Those that change the file they are called on, or what others are told to change of it. What a
 * filesystem knows besides may reach past all hooks: a btrfs snapshot is a copy of a whole tree,
 * denied files included. Commands that only hand out are judged like a change.
 */
static __always_inline bool ioctl_changes(__u32 cmd)
{
	switch (cmd) {
	case 0x40049409: /* FICLONE */
	case 0x4020940d: /* FICLONERANGE */
	case 0xc0189436: /* FIDEDUPERANGE */
	case 0x40086602: /* FS_IOC_SETFLAGS */
	case 0x40046602: /* FS_IOC32_SETFLAGS */
	case 0x401c5820: /* FS_IOC_FSSETXATTR */
	case 0x40305828: /* FS_IOC_RESVSP */
	case 0x40305829: /* FS_IOC_UNRESVSP */
	case 0x4030582a: /* FS_IOC_RESVSP64 */
	case 0x4030582b: /* FS_IOC_UNRESVSP64 */
	case 0x40305839: /* FS_IOC_ZERO_RANGE */
		return true;
	}
	return cmd >> 30 == 2; /* _IOC_READ alone */
}

/* Flags of a directory decide how the names in it compare; rules go by names. */
static __always_inline bool ioctl_folds_case(__u32 type, __u32 cmd)
{
	return type == S_IFDIR && (cmd == 0x40086602 || cmd == 0x40046602); /* FS_IOC_SETFLAGS */
}

#define TIOCSTI 0x5412u
#define TIOCLINUX 0x541cu

static __always_inline int decide_ioctl(const struct file *f, __u32 cmd)
{
	struct dentry *d = f->f_path.dentry;
	struct inode *inode = pf_inode(d);
	struct pf_label me;
	__u32 type;

	if (!pf_file_subject(&me))
		return 0;
	if (cmd == TIOCSTI || cmd == TIOCLINUX)
		return pf_never(&me, PF_HOOK_FILE_IOCTL, d, PF_REASON_FORBIDDEN, cmd);
	type = inode ? inode->i_mode & S_IFMT : 0;
	if ((type != S_IFREG && type != S_IFDIR) || ioctl_reads(cmd))
		return 0;
	if (ioctl_folds_case(type, cmd) ||
	    (!ioctl_changes(cmd) && d->d_sb->s_magic != PROC_MAGIC && !pf_is_placeless(d, d->d_sb)))
		return pf_never(&me, PF_HOOK_FILE_IOCTL, d, PF_REASON_FORBIDDEN, cmd);
	return decide_change(PF_HOOK_FILE_IOCTL, d);
}

SEC("lsm/file_ioctl")
int BPF_PROG(pf_file_ioctl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	return ret ? ret : decide_ioctl(file, cmd);
}

SEC("lsm/file_ioctl_compat")
int BPF_PROG(pf_file_ioctl_compat, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	return ret ? ret : decide_ioctl(file, cmd);
}

/* A socket that arrives must have been made in this session. */
static __always_inline int decide_received_socket(const struct pf_label *me, struct file *f)
{
	struct socket *sock = bpf_sock_from_file(f);
	struct pf_sock *ps = NULL;
	struct sock *sk;

	sk = sock ? sock->sk : NULL;
	if (sk)
		ps = bpf_sk_storage_get(&pf_socks, sk, 0, 0);
	if (ps && ps->label.session == me->session)
		return 0;
	return pf_never(me, PF_HOOK_FILE_RECEIVE, f->f_path.dentry, PF_REASON_FOREIGN_SOCKET, 0);
}

/* A ring carries the credentials and the label of the task that made it. */
static __always_inline bool is_uring(struct dentry *d)
{
	char name[11] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), (void *)pf_name_addr(d));
	return begins(name, "[io_uring]", 10);
}

static __always_inline int decide_receive(struct file *f)
{
	struct dentry *d = f->f_path.dentry;
	__u64 magic = d->d_sb->s_magic;
	struct pf_label me;

	if (!pf_agent(&me) || f->f_mode & FMODE_PATH_BIT)
		return 0;
	if (magic == SOCKFS_MAGIC)
		return decide_received_socket(&me, f);
	if (magic == ANON_INODE_MAGIC)
		return is_uring(d) ? pf_never(&me, PF_HOOK_FILE_RECEIVE, d, PF_REASON_FORBIDDEN, 0)
				   : 0;
	return decide_agent_open(&me, PF_HOOK_FILE_RECEIVE, f);
}

SEC("lsm/file_receive")
int BPF_PROG(pf_file_receive, struct file *file, int ret)
{
	return ret ? ret : decide_receive(file);
}
