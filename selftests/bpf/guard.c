// SPDX-License-Identifier: Apache-2.0
/*
 * What another root process might do to Pinfold by accident: to its maps, programs, links, pins,
 * mounts and cgroups. Each attempt is made on stand-ins as well, which are nobody's business.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"

#define PATH_ROOM 160
#define ELSEWHERE GUARD_BPFFS "/pf-elsewhere"

/* Of no session. */
static const __u64 no_key = 0xfefefefefefefefe;

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static const char *under(const char *dir, const char *name)
{
	static char buf[4][PATH_ROOM];
	static unsigned next;
	char *p = buf[next++ % 4];

	(void)snprintf(p, PATH_ROOM, "%s/%s", dir, name);
	return p;
}

static int map_of(const struct guard_target *t)
{
	return bpf_map_get_fd_by_id(t->map);
}

static int prog_of(const struct guard_target *t)
{
	return bpf_prog_get_fd_by_id(t->prog);
}

static int link_of(const struct guard_target *t)
{
	return bpf_link_get_fd_by_id(t->link);
}

static int own_egress(void)
{
	return guard_own_prog(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, 1);
}

static int try_update(const struct guard_target *t)
{
	char value[64] = {0};
	__cleanup_fd int fd = map_of(t);
	int r = result(bpf_map_update_elem(fd, &no_key, value, BPF_ANY));

	if (r == 0)
		(void)bpf_map_delete_elem(fd, &no_key); /* whose guard is not to answer for this */
	return r;
}

static int try_update_pinned(const struct guard_target *t)
{
	char value[64] = {0};
	__cleanup_fd int fd = bpf_obj_get(under(t->dir, "maps/" GUARD_HASH));
	int r = result(bpf_map_update_elem(fd, &no_key, value, BPF_ANY));

	if (r == 0)
		(void)bpf_map_delete_elem(fd, &no_key); /* whose guard is not to answer for this */
	return r;
}

static int try_delete(const struct guard_target *t)
{
	__cleanup_fd int fd = map_of(t);

	return result(bpf_map_delete_elem(fd, &no_key));
}

static int try_take(const struct guard_target *t)
{
	char value[64];
	__cleanup_fd int fd = map_of(t);

	return result(bpf_map_lookup_and_delete_elem(fd, &no_key, value));
}

static int try_update_batch(const struct guard_target *t)
{
	char value[64] = {0};
	__u64 key = no_key;
	__u32 n = 1;
	__cleanup_fd int fd = map_of(t);
	int r = result(bpf_map_update_batch(fd, &key, value, &n, NULL));

	if (r == 0)
		(void)bpf_map_delete_elem(fd, &no_key);
	return r;
}

static int try_delete_batch(const struct guard_target *t)
{
	__u64 key = no_key;
	__u32 n = 1;
	__cleanup_fd int fd = map_of(t);

	return result(bpf_map_delete_batch(fd, &key, &n, NULL));
}

static int try_freeze(const struct guard_target *t)
{
	__cleanup_fd int fd = map_of(t);

	return result(bpf_map_freeze(fd));
}

static int pin_elsewhere(int fd)
{
	int r = result(bpf_obj_pin(fd, ELSEWHERE));

	if (r == 0)
		r = result(unlink(ELSEWHERE));
	return r;
}

static int try_pin_map(const struct guard_target *t)
{
	__cleanup_fd int fd = map_of(t);

	return pin_elsewhere(fd);
}

static int try_pin_prog(const struct guard_target *t)
{
	__cleanup_fd int fd = prog_of(t);

	return pin_elsewhere(fd);
}

static int try_pin_link(const struct guard_target *t)
{
	__cleanup_fd int fd = link_of(t);

	return pin_elsewhere(fd);
}

/* The verdict program of a sockhash: one replaces the other, and hangs on no link. */
static int try_replace_verdict(const struct guard_target *t)
{
	__cleanup_fd int fd = bpf_map_get_fd_by_id(t->sockhash);
	__cleanup_fd int prog = guard_own_prog(BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, 1);

	return result(bpf_prog_attach(prog, fd, BPF_SK_MSG_VERDICT, 0));
}

static int try_detach_verdict(const struct guard_target *t)
{
	__cleanup_fd int fd = bpf_map_get_fd_by_id(t->sockhash);
	__cleanup_fd int prog = bpf_prog_get_fd_by_id(t->verdict);

	return result(bpf_prog_detach2(prog, fd, BPF_SK_MSG_VERDICT));
}

static int try_cgroup_attach(const struct guard_target *t)
{
	__cleanup_fd int cgroup = open(t->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int prog = own_egress();
	int r = result(bpf_prog_attach(prog, cgroup, BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI));

	if (r == 0)
		(void)bpf_prog_detach2(prog, cgroup, BPF_CGROUP_INET_EGRESS);
	return r;
}

static int try_cgroup_detach(const struct guard_target *t)
{
	__cleanup_fd int cgroup = open(t->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int prog = prog_of(t);

	return result(bpf_prog_detach2(prog, cgroup, BPF_CGROUP_INET_EGRESS));
}

static int try_cgroup_link(const struct guard_target *t)
{
	__cleanup_fd int cgroup = open(under(t->cgroup, "empty"), O_RDONLY | O_DIRECTORY);
	__cleanup_fd int prog = own_egress();
	__cleanup_fd int link = bpf_link_create(prog, cgroup, BPF_CGROUP_INET_EGRESS, NULL);

	return result(link);
}

/* The target's program on a cgroup that is not its. */
static int try_use_prog(const struct guard_target *t)
{
	__cleanup_fd int cgroup = open(GUARD_CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int prog = prog_of(t);
	__cleanup_fd int link = bpf_link_create(prog, cgroup, BPF_CGROUP_INET_EGRESS, NULL);

	return result(link);
}

static int try_link_update(const struct guard_target *t)
{
	__cleanup_fd int link = link_of(t);
	__cleanup_fd int prog = own_egress();

	return result(bpf_link_update(link, prog, NULL));
}

static int try_link_detach(const struct guard_target *t)
{
	__cleanup_fd int link = link_of(t);

	return result(bpf_link_detach(link));
}

static int try_bind_map(const struct guard_target *t)
{
	__cleanup_fd int prog = prog_of(t);
	__cleanup_fd int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pf_other", 4, 4, 1, NULL);

	return result(bpf_prog_bind_map(prog, map, NULL));
}

static int try_test_run(const struct guard_target *t)
{
	char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
	__cleanup_fd int prog = prog_of(t);

	return result(bpf_prog_test_run_opts(prog, &opts));
}

/* A program that could write to the target's map. */
static int try_load_with_map(const struct guard_target *t)
{
	__cleanup_fd int map = map_of(t);
	const struct bpf_insn code[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	__cleanup_fd int prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "pf_other", "GPL", code,
					      ARRAY_LEN(code), NULL);

	return result(prog);
}

/* A program that would take the place of one of the target's functions, if it named one. */
static int try_extend(const struct guard_target *t)
{
	const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1},
					{.code = BPF_JMP | BPF_EXIT}};
	__cleanup_fd int target = prog_of(t);
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .attach_prog_fd = (__u32)target);
	__cleanup_fd int prog =
		bpf_prog_load(BPF_PROG_TYPE_EXT, "pf_other", "GPL", code, ARRAY_LEN(code), &opts);

	return result(prog);
}

/* Its program is handed each value, writable. */
static int try_iterate(const struct guard_target *t)
{
	const struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0},
					{.code = BPF_JMP | BPF_EXIT}};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_ITER,
		    .attach_btf_id =
			    (__u32)libbpf_find_vmlinux_btf_id("bpf_map_elem", BPF_TRACE_ITER));
	__cleanup_fd int map = map_of(t);
	union bpf_iter_link_info info = {.map = {.map_fd = (__u32)map}};
	LIBBPF_OPTS(bpf_link_create_opts, how, .iter_info = &info, .iter_info_len = sizeof(info));
	__cleanup_fd int prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "pf_other", "GPL", code,
					      ARRAY_LEN(code), &opts);

	if (prog < 0)
		return -errno;
	__cleanup_fd int link = bpf_link_create(prog, 0, BPF_TRACE_ITER, &how);

	return result(link);
}

/* The consumer's page of a ring: who writes there takes records away. */
static int try_map_ring(const struct guard_target *t)
{
	__cleanup_fd int fd = bpf_map_get_fd_by_id(t->ring);
	long page = sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, (size_t)page);
	return 0;
}

static int try_unlink(const struct guard_target *t)
{
	return result(unlink(under(t->dir, "maps/" GUARD_HASH)));
}

static int try_rename(const struct guard_target *t)
{
	const char *from = under(t->dir, "links/" GUARD_PROG), *to = under(t->dir, "links/moved");
	int r = result(rename(from, to));

	if (r == 0)
		r = result(rename(to, from));
	return r;
}

static int try_rename_dir(const struct guard_target *t)
{
	char moved[PATH_ROOM];

	(void)snprintf(moved, sizeof(moved), "%s-moved", t->dir);
	int r = result(rename(t->dir, moved));

	if (r == 0)
		r = result(rename(moved, t->dir));
	return r;
}

static int try_mkdir(const struct guard_target *t)
{
	const char *path = under(t->dir, "planted");
	int r = result(mkdir(path, 0700));

	if (r == 0)
		(void)rmdir(path);
	return r;
}

static int try_symlink(const struct guard_target *t)
{
	const char *path = under(t->dir, "maps/planted");
	int r = result(symlink("/", path));

	if (r == 0)
		(void)unlink(path);
	return r;
}

static int try_pin_into(const struct guard_target *t)
{
	const char *path = under(t->dir, "progs/planted");
	__cleanup_fd int prog = own_egress();
	int r = result(bpf_obj_pin(prog, path));

	if (r == 0)
		(void)unlink(path);
	return r;
}

static int try_link_pin(const struct guard_target *t)
{
	int r = result(link(under(t->dir, "links/" GUARD_PROG), under(t->dir, "links/second")));

	if (r == 0)
		(void)unlink(under(t->dir, "links/second"));
	return r;
}

static int try_chmod(const struct guard_target *t)
{
	return result(chmod(under(t->dir, "maps/" GUARD_HASH), 0600));
}

static int try_chown(const struct guard_target *t)
{
	return result(chown(under(t->dir, "maps"), 0, 0));
}

static int try_mount_over(const struct guard_target *t)
{
	int r = result(mount("none", t->bpffs, "tmpfs", 0, NULL));

	if (r == 0)
		r = result(umount2(t->bpffs, MNT_DETACH));
	return r;
}

static int try_remount(const struct guard_target *t)
{
	int r = result(mount("none", t->bpffs, NULL, MS_REMOUNT | MS_RDONLY, NULL));

	if (r == 0)
		r = result(mount("none", t->bpffs, NULL, MS_REMOUNT, NULL));
	return r;
}

static int try_move_mount(const struct guard_target *t)
{
	int r = result(mount(t->bpffs, "/mnt", NULL, MS_MOVE, NULL));

	if (r == 0)
		r = result(mount("/mnt", t->bpffs, NULL, MS_MOVE, NULL));
	return r;
}

static int try_umount(const struct guard_target *t)
{
	return result(umount2(t->bpffs, MNT_DETACH));
}

/* What it is mounted on. */
static int try_umount_parent(const struct guard_target *t)
{
	return result(umount2(t->parent, MNT_DETACH));
}

static int try_rmdir(const struct guard_target *t)
{
	return result(rmdir(under(t->cgroup, "empty")));
}

const struct guard_attempt guard_attempts[] = {
	{"update of a map", try_update, 0, false},
	{"update of a pinned map", try_update_pinned, 0, false},
	{"deletion from a map", try_delete, -ENOENT, false},
	{"lookup and deletion", try_take, -ENOENT, false},
	{"update of a batch", try_update_batch, 0, false},
	{"deletion of a batch", try_delete_batch, -ENOENT, false},
	{"lookup and deletion of a batch", guard_try_take_batch, -ENOENT, false},
	{"deletion, with common attributes", guard_try_common, -ENOENT, false},
	{"map pinned elsewhere", try_pin_map, 0, false},
	{"program pinned elsewhere", try_pin_prog, 0, false},
	{"link pinned elsewhere", try_pin_link, 0, false},
	{"verdict program of the sockhash detached", try_detach_verdict, 0, false},
	{"verdict program of the sockhash replaced", try_replace_verdict, 0, false},
	{"program attached to the cgroup", try_cgroup_attach, 0, false},
	{"program detached from the cgroup", try_cgroup_detach, -ENOENT, false},
	{"program linked below the cgroup", try_cgroup_link, 0, false},
	{"program linked to another cgroup", try_use_prog, 0, false},
	{"program attached to another cgroup", guard_try_attach, 0, false},
	{"program put into another link", guard_try_update_other, 0, false},
	{"program opened as a tracepoint", guard_try_tracepoint, -EINVAL, false},
	{"map bound to the program", try_bind_map, 0, false},
	{"map bound to another program", guard_try_bind, 0, false},
	{"map associated", guard_try_associate_map, -EINVAL, false},
	{"program associated", guard_try_associate_prog, -EINVAL, false},
	{"program run by hand", try_test_run, 0, false},
	{"program with the map loaded", try_load_with_map, 0, false},
	{"function of the program replaced", try_extend, -EINVAL, false},
	{"iterator over the map", try_iterate, 0, false},
	{"ring mapped to consume", try_map_ring, 0, false},
	{"rename of a pin", try_rename, 0, false},
	{"rename of the pins' folder", try_rename_dir, 0, false},
	{"folder among the pins", try_mkdir, 0, false},
	{"symlink among the pins", try_symlink, 0, false},
	{"pin among the pins", try_pin_into, 0, false},
	{"pin moved among the pins", guard_try_rename_into, 0, false},
	{"hard link of a pin", try_link_pin, 0, false},
	{"hard link among the pins", guard_try_link_into, 0, false},
	{"rmdir of a folder of pins", guard_try_rmdir_pins, -ENOTEMPTY, false},
	{"touch of a pin", guard_try_touch, 0, false},
	{"chmod of a pin", try_chmod, 0, false},
	{"chown of pins", try_chown, 0, false},
	{"mount over the bpffs", try_mount_over, 0, false},
	{"mount over the bpffs, the new way", guard_try_move_over, 0, false},
	{"mount over what it is mounted on", guard_try_mount_over_parent, 0, false},
	{"remount of the bpffs", try_remount, 0, false},
	{"move of the bpffs", try_move_mount, 0, false},
	{"move of the bpffs, the new way", guard_try_move_away, 0, false},
	{"rmdir of the slice", guard_try_rmdir_slice, -EBUSY, false},
	{"rmdir of a cgroup", try_rmdir, 0, false},
	{"update of a link", try_link_update, 0, false},
	{"detachment of a link", try_link_detach, 0, false},
	{"map frozen", try_freeze, 0, false},
	{"unlink of a pin", try_unlink, 0, false},
	{"umount of the bpffs", try_umount, 0, true},
	{"umount of what it is mounted on", try_umount_parent, 0, true},
};
const size_t n_guard_attempts = ARRAY_LEN(guard_attempts);
