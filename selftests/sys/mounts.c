// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F47-F54: moving what a path leads to, by mounts and roots. Whatever a baseline mounts it
 * takes away again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "attempt.h"

/* <sys/mount.h> and <linux/mount.h> do not go together. */
#define DETACH 2 /* MNT_DETACH */

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

static long sys_mount(const char *from, const char *to, const char *type, unsigned long flags)
{
	return rc_of(syscall(SYS_mount, from, to, type, flags, NULL));
}

static void unmount(const char *path)
{
	(void)syscall(SYS_umount2, path, DETACH);
}

/* The twin of every mount: the same directory, used as it is. */
static bool is_twin(struct ctx *c, const char *sub)
{
	if (c->twin)
		say(c, sub, write_path("file", 0));
	return c->twin;
}

static void f47_bind(struct ctx *c)
{
	char path[PATH_MAX + 16];

	if (is_twin(c, "bind"))
		return;
	(void)snprintf(path, sizeof(path), "%s/dir/file", c->own_path);
	(void)write_path(path, O_CREAT);
	path[strlen(path) - strlen("/file")] = 0;
	long r = sys_mount(c->target_path, path, NULL, MS_BIND);
	say(c, "bind", r);
	if (r < 0)
		return;
	strcat(path, "/file");
	(void)write_path(path, 0);
	path[strlen(path) - strlen("/file")] = 0;
	unmount(path);
}

static void f48_detached_tree(struct ctx *c)
{
	if (is_twin(c, "open-tree"))
		return;
	int tree = (int)rc_of(syscall(SYS_open_tree, AT_FDCWD, c->target_path, OPEN_TREE_CLONE));
	say(c, "open-tree", tree);
	if (tree < 0)
		return;
	int fd = openat(tree, "file", O_WRONLY | O_CLOEXEC);
	(void)!write(fd, "leak", 4); /* judged by the photograph */
	close(fd);
	close(tree);
}

static void f49_attributes(struct ctx *c)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

	if (is_twin(c, "setattr"))
		return;
	say(c, "setattr",
	    past(rc_of(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof(attr)))));
	say(c, "move-mount",
	    past(rc_of(syscall(SYS_move_mount, c->target, "", AT_FDCWD, c->own_path,
			       MOVE_MOUNT_F_EMPTY_PATH))));
}

static void f50_fsopen(struct ctx *c)
{
	if (is_twin(c, "fsopen"))
		return;
	int fs = (int)rc_of(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
	say(c, "fsopen", fs);
	long r = rc_of(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	say(c, "fsconfig", past(r));
	say(c, "fsmount", past(rc_of(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0))));
	say(c, "fspick", past(rc_of(syscall(SYS_fspick, AT_FDCWD, "/", FSPICK_CLOEXEC))));
	if (fs >= 0)
		close(fs);
}

static void f51_cover(struct ctx *c)
{
	static const struct {
		const char *sub, *type, *path;
	} covers[] = {{"tmpfs", "tmpfs", NULL},
		      {"over-mnt", "tmpfs", "/mnt"},
		      {"proc", "proc", NULL},
		      {"sysfs", "sysfs", NULL},
		      {"devpts", "devpts", NULL}};

	for (size_t i = 0; i < sizeof(covers) / sizeof(covers[0]); i++) {
		const char *path = covers[i].path ? covers[i].path : c->own_path;
		if (is_twin(c, covers[i].sub))
			continue;
		long r = sys_mount("none", path, covers[i].type, 0);
		say(c, covers[i].sub, r);
		if (r >= 0)
			unmount(path);
	}
}

/* Types that name other files or a server: refused before anybody looks at their options. */
static void f52_types(struct ctx *c)
{
	static const char *const types[] = {"overlay", "fuse", "ext4"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!is_twin(c, types[i]))
			say(c, types[i], past(sys_mount("none", c->own_path, types[i], 0)));
}

static long change_root(struct ctx *c)
{
	if (fchdir(c->own) < 0)
		return -errno;
	return rc_of(syscall(SYS_chroot, "."));
}

static long pivot(struct ctx *c)
{
	return past(rc_of(syscall(SYS_pivot_root, c->own_path, c->own_path)));
}

static void f53_roots(struct ctx *c)
{
	if (is_twin(c, "chroot"))
		return;
	say(c, "chroot", in_child(c, change_root));
	say(c, "pivot-root", in_child(c, pivot));
}

/* A read-only mount lies over a file out of bounds (driver/world.py). */
static void f54_uncover(struct ctx *c)
{
	char path[PATH_MAX];

	if (is_twin(c, "umount"))
		return;
	(void)snprintf(path, sizeof(path), "%s/cover/%s", setting("base"), c->mode);
	say(c, "remount", sys_mount("none", path, NULL, MS_REMOUNT | MS_BIND));
	say(c, "umount", rc_of(syscall(SYS_umount2, path, DETACH)));
}

const struct row mount_rows[] = {
	{"F47", f47_bind},   {"F48", f48_detached_tree}, {"F49", f49_attributes},
	{"F50", f50_fsopen}, {"F51", f51_cover},	 {"F52", f52_types},
	{"F53", f53_roots},  {"F54", f54_uncover},	 {0}};
