// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F17-F24: mode, owner, times, extended attributes, ACLs. New values equal what the file's
 * owner may set, so that no capability is needed and only the rules can refuse.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "acl.h"
#include "attempt.h"

/* Newer than the headers of the build host. */
#define NR_FCHMODAT2 452
#define NR_SETXATTRAT 463
#define NR_REMOVEXATTRAT 466

static int read_only(const char *name)
{
	return open(name, O_RDONLY | O_CLOEXEC);
}

static int path_only(const char *name)
{
	return open(name, O_PATH | O_CLOEXEC);
}

static void f17_chmod(struct ctx *c)
{
	int fd = read_only("file");
	int path = path_only("file");

	say(c, "chmod", go_chmod(c, "file", 0666));
	say(c, "chmod-dir", go_chmod(c, "dir", 0777));
	if (c->way == WAY_I386)
		return;
	say(c, "fchmod", rc_of(syscall(SYS_fchmod, fd, 0640)));
	say(c, "fchmodat", rc_of(syscall(SYS_fchmodat, AT_FDCWD, "file", 0604)));
	say(c, "fchmodat2", rc_of(syscall(NR_FCHMODAT2, AT_FDCWD, "file", 0606, 0)));
	say(c, "fchmodat2-empty", rc_of(syscall(NR_FCHMODAT2, path, "", 0600, AT_EMPTY_PATH)));
	close(fd);
	close(path);
}

/* The twin sets the same modes without the bits in question. */
static mode_t special(const struct ctx *c, mode_t bits)
{
	return c->twin ? 0755 : 0755 | bits;
}

static void f18_setid(struct ctx *c)
{
	int fd = openat(c->own, "file", O_RDONLY | O_CLOEXEC);

	say(c, "chmod-suid", rc_of(fchmodat(c->own, "file", special(c, S_ISUID), 0)));
	say(c, "chmod-sgid", rc_of(fchmodat(c->own, "file2", special(c, S_ISGID), 0)));
	say(c, "fchmod-suid", rc_of(fchmod(fd, special(c, S_ISUID))));
	long made = go_open(c, c->own, "born", O_CREAT | O_WRONLY | O_EXCL, special(c, S_ISUID));
	say(c, "creat-suid", made);
	(void)unlinkat(c->own, "born", 0);
	made = go_open(c, c->own, "born", O_CREAT | O_WRONLY | O_EXCL, special(c, S_ISGID));
	say(c, "creat-sgid", made);
	(void)unlinkat(c->own, "born", 0);
	say(c, "mknod-suid", rc_of(mknodat(c->own, "node", S_IFREG | special(c, S_ISUID), 0)));
	(void)unlinkat(c->own, "node", 0);
	made = go_open(c, c->own, ".", O_TMPFILE | O_WRONLY, special(c, S_ISUID));
	say(c, "tmpfile-suid", made);
	close(fd);
}

static void f19_chown(struct ctx *c)
{
	uid_t u = geteuid();
	gid_t g = getegid();
	int fd = read_only("file");
	int path = path_only("file");

	say(c, "chown", rc_of(syscall(SYS_chown, "file", u, g)));
	say(c, "chown-group", rc_of(syscall(SYS_chown, "file", -1, g)));
	say(c, "lchown", rc_of(syscall(SYS_lchown, "file2", u, g)));
	say(c, "fchown", rc_of(syscall(SYS_fchown, fd, u, g)));
	say(c, "fchownat", rc_of(syscall(SYS_fchownat, AT_FDCWD, "dir", u, g, 0)));
	say(c, "fchownat-empty", rc_of(syscall(SYS_fchownat, path, "", u, g, AT_EMPTY_PATH)));
	close(fd);
	close(path);
}

static void f20_times(struct ctx *c)
{
	const struct timespec when[2] = {{1000000000, 1}, {1000000000, 1}};
	const struct timeval when_us[2] = {{1000000000, 1}, {1000000000, 1}};
	const struct utimbuf when_s = {1000000000, 1000000000};
	int fd = read_only("file");
	int path = path_only("file");

	say(c, "utimensat", rc_of(syscall(SYS_utimensat, AT_FDCWD, "file", when, 0)));
	say(c, "now", rc_of(syscall(SYS_utimensat, AT_FDCWD, "file", NULL, 0)));
	say(c, "fd", rc_of(syscall(SYS_utimensat, fd, NULL, when, 0)));
	say(c, "empty-path", rc_of(syscall(SYS_utimensat, path, "", when, AT_EMPTY_PATH)));
	say(c, "dir", rc_of(syscall(SYS_utimensat, AT_FDCWD, "dir", when, AT_SYMLINK_NOFOLLOW)));
	say(c, "utimes", rc_of(syscall(SYS_utimes, "file2", when_us)));
	say(c, "futimesat", rc_of(syscall(SYS_futimesat, AT_FDCWD, "file2", when_us)));
	say(c, "utime", rc_of(syscall(SYS_utime, "file2", &when_s)));
	close(fd);
	close(path);
}

struct xattr_args {
	uint64_t value;
	uint32_t size, flags;
};

static void try_setxattrat(struct ctx *c, const char *sub, int dirfd, const char *path, int flags)
{
	struct xattr_args args = {.value = (uintptr_t) "x", .size = 1};

	say(c, sub,
	    rc_of(syscall(NR_SETXATTRAT, dirfd, path, flags, "user.at", &args, sizeof(args))));
}

static void f21_setxattr(struct ctx *c)
{
	const struct xattr user = {"user.new", "x", 1};
	int fd = read_only("file");

	say(c, "setxattr", go_setxattr(c, "file", &user));
	say(c, "fsetxattr", go_fsetxattr(c, fd, &user));
	if (c->way == WAY_URING)
		return;
	say(c, "lsetxattr", rc_of(lsetxattr("file2", "user.l", "x", 1, 0)));
	try_setxattrat(c, "setxattrat", AT_FDCWD, "file", 0);
	try_setxattrat(c, "setxattrat-empty", fd, "", AT_EMPTY_PATH);
	say(c, "dir", rc_of(setxattr("dir", "user.new", "x", 1, 0)));
	close(fd);
}

/*
 * security.* and trusted.* are refused everywhere, so the target is a file inside the rules, and
 * the twin sets an attribute of another family on it.
 */
static void f21_privileged(struct ctx *c)
{
	int fd = openat(c->own, "file", O_RDONLY | O_CLOEXEC);
	const char *names[] = {"security.pf", "trusted.pf", "security.capability"};
	static const unsigned char no_caps[20] = {0, 0, 0, 2};

	for (size_t i = 0; i < 3; i++) {
		const struct xattr x = {c->twin ? "user.pf" : names[i], no_caps, sizeof(no_caps)};
		say(c, names[i], go_fsetxattr(c, fd, &x));
	}
	close(fd);
}

static void f22_removexattr(struct ctx *c)
{
	int fd = read_only("file2");

	say(c, "removexattr", rc_of(removexattr("file2", "user.pf")));
	(void)setxattr("file2", "user.pf", "1", 1, 0); /* for the next try, where that is allowed */
	say(c, "lremovexattr", rc_of(lremovexattr("file2", "user.pf")));
	(void)setxattr("file2", "user.pf", "1", 1, 0);
	say(c, "fremovexattr", rc_of(fremovexattr(fd, "user.pf")));
	(void)setxattr("file2", "user.pf", "1", 1, 0);
	say(c, "removexattrat", rc_of(syscall(NR_REMOVEXATTRAT, AT_FDCWD, "file2", 0, "user.pf")));
	close(fd);
}

static void f23_set_acl(struct ctx *c)
{
	struct acl_blob acl = acl_blob_make();
	int fd = read_only("file");

	acl.entry[1].perm = 6;
	acl.entry[3].perm = 6;
	say(c, "access", rc_of(setxattr("file", "system.posix_acl_access", &acl, sizeof(acl), 0)));
	say(c, "fd", rc_of(fsetxattr(fd, "system.posix_acl_access", &acl, sizeof(acl), 0)));
	say(c, "default", rc_of(setxattr("dir", "system.posix_acl_default", &acl, sizeof(acl), 0)));
	close(fd);
}

static void f24_remove_acl(struct ctx *c)
{
	say(c, "access", rc_of(removexattr("file2", "system.posix_acl_access")));
	/* An empty ACL that equals the mode is the other way to take one away. */
	say(c, "by-mode", rc_of(setxattr("file2", "system.posix_acl_access", "\2\0\0\0", 4, 0)));
}

const struct row file_meta_rows[] = {{"F17", f17_chmod},       {"F18", f18_setid},
				     {"F19", f19_chown},       {"F20", f20_times},
				     {"F21", f21_setxattr},    {"F21p", f21_privileged},
				     {"F22", f22_removexattr}, {"F23", f23_set_acl},
				     {"F24", f24_remove_acl},  {0}};
