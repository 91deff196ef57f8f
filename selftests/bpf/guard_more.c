// SPDX-License-Identifier: Apache-2.0
/*
 * More of guard.c's attempts: commands of bpf() that name Pinfold's objects in other places, and
 * the newer mount interface.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard.h"

/* Newer than the headers of the build. */
#define PROG_ASSOC_STRUCT_OPS 38
#define COMMON_ATTRS (1 << 16)
#define PATH_ROOM 160
#define LOOPBACK 1 /* its interface index, in each network namespace */

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

int guard_own_prog(enum bpf_prog_type type, enum bpf_attach_type attach, int value)
{
	const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = value},
					{.code = BPF_JMP | BPF_EXIT}};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);

	return bpf_prog_load(type, "pf_other", "GPL", code, ARRAY_LEN(code), &opts);
}

static int own_egress(void)
{
	return guard_own_prog(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, 1);
}

int guard_try_take_batch(const struct guard_target *t)
{
	char value[64];
	__u64 key, next;
	__u32 n = 1;
	__cleanup_fd int fd = bpf_map_get_fd_by_id(t->map);

	return result(bpf_map_lookup_and_delete_batch(fd, NULL, &next, &key, value, &n, NULL));
}

/* A command may say that more attributes follow, which older kernels do not know. */
int guard_try_common(const struct guard_target *t)
{
	__u64 key = 0xfefefefefefefefe, common[4] = {0};
	union bpf_attr attr = {0};
	__cleanup_fd int fd = bpf_map_get_fd_by_id(t->map);

	attr.map_fd = (__u32)fd;
	attr.key = (__u64)(unsigned long)&key;
	int r = result(syscall(SYS_bpf, BPF_MAP_DELETE_ELEM | COMMON_ATTRS, &attr, sizeof(attr),
			       common, sizeof(common)));

	return r == -EINVAL ? result(bpf_map_delete_elem(fd, &key)) : r;
}

int guard_try_tracepoint(const struct guard_target *t)
{
	__cleanup_fd int prog = bpf_prog_get_fd_by_id(t->prog);
	__cleanup_fd int link = bpf_raw_tracepoint_open(NULL, prog);

	return result(link);
}

/* The target's program, on a cgroup that is not its. */
int guard_try_attach(const struct guard_target *t)
{
	__cleanup_fd int cgroup = open(GUARD_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int prog = bpf_prog_get_fd_by_id(t->prog);
	int r = result(bpf_prog_attach(prog, cgroup, BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI));

	if (r == 0)
		(void)bpf_prog_detach2(prog, cgroup, BPF_CGROUP_INET_EGRESS);
	return r;
}

/* The same, by a link that is there. */
int guard_try_update_other(const struct guard_target *t)
{
	__cleanup_fd int cgroup = open(GUARD_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int prog = bpf_prog_get_fd_by_id(t->prog);
	__cleanup_fd int other = own_egress();
	__cleanup_fd int link = bpf_link_create(other, cgroup, BPF_CGROUP_INET_EGRESS, NULL);

	return link < 0 ? -ENOLINK : result(bpf_link_update(link, prog, NULL));
}

int guard_try_bind(const struct guard_target *t)
{
	__cleanup_fd int prog = own_egress();
	__cleanup_fd int map = bpf_map_get_fd_by_id(t->map);

	return result(bpf_prog_bind_map(prog, map, NULL));
}

static int associate(int map, int prog)
{
	union bpf_attr attr = {0};

	memcpy(&attr, (int[2]){map, prog}, 2 * sizeof(int));
	return result(syscall(SYS_bpf, PROG_ASSOC_STRUCT_OPS, &attr, sizeof(attr)));
}

int guard_try_associate_map(const struct guard_target *t)
{
	__cleanup_fd int prog = own_egress();
	__cleanup_fd int map = bpf_map_get_fd_by_id(t->map);

	return associate(map, prog);
}

int guard_try_associate_prog(const struct guard_target *t)
{
	__cleanup_fd int prog = bpf_prog_get_fd_by_id(t->prog);
	__cleanup_fd int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pf_other", 4, 4, 1, NULL);

	return associate(map, prog);
}

/* What lies elsewhere, by a name among the pins. */
static int bring(const struct guard_target *t, int (*how)(const char *from, const char *to))
{
	char from[PATH_ROOM], to[PATH_ROOM];
	__cleanup_fd int prog = own_egress();

	(void)snprintf(from, sizeof(from), "%s/pf-elsewhere", t->bpffs);
	(void)snprintf(to, sizeof(to), "%s/progs/planted", t->dir);
	if (bpf_obj_pin(prog, from) < 0)
		return -ENOLINK;
	int r = result(how(from, to));

	(void)unlink(from);
	if (r == 0)
		(void)unlink(to);
	return r;
}

int guard_try_rename_into(const struct guard_target *t)
{
	return bring(t, rename);
}

int guard_try_link_into(const struct guard_target *t)
{
	return bring(t, link);
}

int guard_try_rmdir_pins(const struct guard_target *t)
{
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof(path), "%s/maps", t->dir);
	return result(rmdir(path));
}

int guard_try_touch(const struct guard_target *t)
{
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof(path), "%s/maps/" GUARD_HASH, t->dir);
	return result(utimensat(AT_FDCWD, path, NULL, 0));
}

/* cgroups with others in them are not removed: -EBUSY. */
int guard_try_rmdir_slice(const struct guard_target *t)
{
	return result(rmdir(t->cgroup));
}

/* Hides the pins as well. */
int guard_try_mount_over_parent(const struct guard_target *t)
{
	int r = result(mount("none", t->parent, "tmpfs", 0, NULL));

	if (r == 0)
		r = result(umount2(t->parent, MNT_DETACH));
	return r;
}

static int move(int from, const char *to)
{
	return result(syscall(SYS_move_mount, from, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH));
}

static int new_mount(void)
{
	__cleanup_fd int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
}

int guard_try_move_over(const struct guard_target *t)
{
	__cleanup_fd int fd = new_mount();
	int r = fd < 0 ? -ENOLINK : move(fd, t->bpffs);

	if (r == 0)
		r = result(umount2(t->bpffs, MNT_DETACH));
	return r;
}

int guard_try_move_away(const struct guard_target *t)
{
	__cleanup_fd int fd = (int)syscall(SYS_open_tree, AT_FDCWD, t->bpffs, OPEN_TREE_CLOEXEC);
	int r = fd < 0 ? -ENOLINK : move(fd, "/mnt");

	if (r == 0)
		r = move(fd, t->bpffs);
	return r;
}

int guard_try_make_writable(const struct guard_target *t)
{
	__cleanup_fd int fs = (int)syscall(SYS_fspick, AT_FDCWD, t->bpffs, FSPICK_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return -ENOLINK;
	return result(mount("none", t->bpffs, NULL, MS_REMOUNT, NULL));
}

/* Where interfaces are meant a number is no descriptor. */
int guard_try_interface(const struct guard_target *t)
{
	__cleanup_fd int map = bpf_map_get_fd_by_id(t->map);
	__cleanup_fd int prog = guard_own_prog(BPF_PROG_TYPE_XDP, BPF_XDP, 2 /* XDP_PASS */);

	if (dup2(map, LOOPBACK) < 0)
		return -errno;
	__cleanup_fd int link = bpf_link_create(prog, LOOPBACK, BPF_XDP, NULL);

	return result(link);
}
