// SPDX-License-Identifier: Apache-2.0
/*
 * The same call by different roads: raw system call, C library, io_uring, 32-bit entry. A road that
 * a call does not have ends in the raw system call; rows.tsv lists only roads that differ.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attempt.h"
#include "uring.h"

long rc_of(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* --- 32-bit entry: arguments and strings must lie below 4 GiB --- */

static long int80(long nr, long a, long b, long c, long d)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int32_t)ret;
}

static void *low_page(void)
{
	static void *page;

	if (!page) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		if (page == MAP_FAILED)
			page = NULL;
	}
	return page;
}

static long low_string(const char *s)
{
	char *page = low_page();

	if (!page)
		return 0;
	(void)snprintf(page, 2048, "%s", s); /* paths of the tests are short */
	return (long)page;
}

#define I386_OPENAT 295
#define I386_TRUNCATE 92
#define I386_UNLINK 10
#define I386_CHMOD 15
#define I386_SOCKETCALL 102
#define SOCKETCALL_SOCKET 1
#define SOCKETCALL_CONNECT 3

static long socketcall(int call, long a, long b, long c)
{
	char *page = low_page();

	if (!page)
		return -ENOMEM;
	uint32_t args[3] = {(uint32_t)a, (uint32_t)b, (uint32_t)c};
	memcpy(page + 2048, args, sizeof(args));
	return int80(I386_SOCKETCALL, call, (long)(page + 2048), 0, 0);
}

/* --- files --- */

static long uring_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_OPENAT,
				   .fd = dirfd,
				   .addr = (uintptr_t)path,
				   .len = mode,
				   .open_flags = (unsigned int)flags};
	return uring_once(&sqe);
}

long go_open(struct ctx *c, int dirfd, const char *path, int flags, mode_t mode)
{
	switch (c->way) {
	case WAY_LIBC:
		return rc_of(openat(dirfd, path, flags, mode));
	case WAY_URING:
		return uring_openat(dirfd, path, flags, mode);
	case WAY_I386:
		return int80(I386_OPENAT, dirfd, low_string(path), flags, (long)mode);
	default:
		return rc_of(syscall(SYS_openat, dirfd, path, flags, mode));
	}
}

long go_openat2(struct ctx *c, int dirfd, const char *path, const struct open_how *how)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_OPENAT2,
					   .fd = dirfd,
					   .addr = (uintptr_t)path,
					   .len = sizeof(*how),
					   .addr2 = (uintptr_t)how};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_openat2, dirfd, path, how, sizeof(*how)));
}

long go_truncate(struct ctx *c, const char *path, off_t len)
{
	if (c->way == WAY_LIBC)
		return rc_of(truncate(path, len));
	if (c->way == WAY_I386)
		return int80(I386_TRUNCATE, low_string(path), len, 0, 0);
	return rc_of(syscall(SYS_truncate, path, len));
}

long go_ftruncate(struct ctx *c, int fd, off_t len)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = OP_FTRUNCATE, .fd = fd, .off = (uint64_t)len};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_ftruncate, fd, len));
}

long go_fallocate(struct ctx *c, int fd, int mode, off_t off, off_t len)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_FALLOCATE,
					   .fd = fd,
					   .off = (uint64_t)off,
					   .addr = (uint64_t)len,
					   .len = (uint32_t)mode};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_fallocate, fd, mode, off, len));
}

long go_write(struct ctx *c, int fd, const void *buf, size_t len)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_WRITE,
					   .fd = fd,
					   .addr = (uintptr_t)buf,
					   .len = (uint32_t)len};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_write, fd, buf, len));
}

long go_unlink(struct ctx *c, int dirfd, const char *path, int flags)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_UNLINKAT,
				   .fd = dirfd,
				   .addr = (uintptr_t)path,
				   .unlink_flags = (uint32_t)flags};
	switch (c->way) {
	case WAY_URING:
		return uring_once(&sqe);
	case WAY_LIBC:
		return rc_of(unlinkat(dirfd, path, flags));
	case WAY_I386:
		return int80(I386_UNLINK, low_string(path), 0, 0, 0);
	default:
		return rc_of(syscall(SYS_unlinkat, dirfd, path, flags));
	}
}

long go_mkdir(struct ctx *c, int dirfd, const char *path, mode_t mode)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_MKDIRAT,
					   .fd = dirfd,
					   .addr = (uintptr_t)path,
					   .len = mode};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_mkdirat, dirfd, path, mode));
}

long go_symlink(struct ctx *c, const char *to, int dirfd, const char *path)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_SYMLINKAT,
					   .fd = dirfd,
					   .addr = (uintptr_t)to,
					   .addr2 = (uintptr_t)path};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_symlinkat, to, dirfd, path));
}

long go_chmod(struct ctx *c, const char *path, mode_t mode)
{
	if (c->way == WAY_LIBC)
		return rc_of(chmod(path, mode));
	if (c->way == WAY_I386)
		return int80(I386_CHMOD, low_string(path), (long)mode, 0, 0);
	return rc_of(syscall(SYS_chmod, path, mode));
}

long go_link(struct ctx *c, const struct two_names *n, int flags)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_LINKAT,
					   .fd = n->from_dir,
					   .addr = (uintptr_t)n->from,
					   .len = (uint32_t)n->to_dir,
					   .addr2 = (uintptr_t)n->to,
					   .hardlink_flags = (uint32_t)flags};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_linkat, n->from_dir, n->from, n->to_dir, n->to, flags));
}

long go_rename(struct ctx *c, const struct two_names *n, unsigned int flags)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_RENAMEAT,
					   .fd = n->from_dir,
					   .addr = (uintptr_t)n->from,
					   .len = (uint32_t)n->to_dir,
					   .addr2 = (uintptr_t)n->to,
					   .rename_flags = flags};
		return uring_once(&sqe);
	}
	if (c->way == WAY_LIBC && !flags)
		return rc_of(renameat(n->from_dir, n->from, n->to_dir, n->to));
	return rc_of(syscall(SYS_renameat2, n->from_dir, n->from, n->to_dir, n->to, flags));
}

long go_setxattr(struct ctx *c, const char *path, const struct xattr *x)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_SETXATTR,
					   .addr = (uintptr_t)x->name,
					   .addr2 = (uintptr_t)x->value,
					   .addr3 = (uintptr_t)path,
					   .len = (uint32_t)x->size};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_setxattr, path, x->name, x->value, x->size, 0));
}

long go_fsetxattr(struct ctx *c, int fd, const struct xattr *x)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_FSETXATTR,
					   .fd = fd,
					   .addr = (uintptr_t)x->name,
					   .addr2 = (uintptr_t)x->value,
					   .len = (uint32_t)x->size};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_fsetxattr, fd, x->name, x->value, x->size, 0));
}

/* --- network --- */

long go_socket(struct ctx *c, int family, int type, int protocol)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_SOCKET,
					   .fd = family,
					   .off = (uint64_t)type,
					   .len = (uint32_t)protocol};
		return uring_once(&sqe);
	}
	if (c->way == WAY_I386)
		return socketcall(SOCKETCALL_SOCKET, family, type, protocol);
	return rc_of(syscall(SYS_socket, family, type, protocol));
}

long go_connect(struct ctx *c, int fd, const void *addr, socklen_t len)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {
			.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)addr, .off = len};
		return uring_once(&sqe);
	}
	if (c->way == WAY_I386) {
		char *page = low_page();
		if (!page || len > 1024)
			return -ENOMEM;
		memcpy(page + 1024, addr, len);
		return socketcall(SOCKETCALL_CONNECT, fd, (long)(page + 1024), len);
	}
	if (c->way == WAY_LIBC)
		return rc_of(connect(fd, addr, len));
	return rc_of(syscall(SYS_connect, fd, addr, len));
}

long go_bind(struct ctx *c, int fd, const void *addr, socklen_t len)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {
			.opcode = OP_BIND, .fd = fd, .addr = (uintptr_t)addr, .addr2 = len};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_bind, fd, addr, len));
}

long go_listen(struct ctx *c, int fd)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = OP_LISTEN, .fd = fd, .len = 8};
		return uring_once(&sqe);
	}
	return rc_of(syscall(SYS_listen, fd, 8));
}

long go_sendmsg(struct ctx *c, int fd, struct msghdr *m, int flags)
{
	if (c->way == WAY_URING) {
		struct io_uring_sqe sqe = {.opcode = IORING_OP_SENDMSG,
					   .fd = fd,
					   .addr = (uintptr_t)m,
					   .len = 1,
					   .msg_flags = (uint32_t)flags};
		return uring_once(&sqe);
	}
	if (c->way == WAY_LIBC)
		return rc_of(sendmsg(fd, m, flags));
	return rc_of(syscall(SYS_sendmsg, fd, m, flags));
}
