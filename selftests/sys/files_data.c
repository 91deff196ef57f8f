// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F07-F16: changing a file through a descriptor. A writable descriptor for a file out of
 * bounds cannot be opened inside, so these use one that came from elsewhere; where reading rights
 * are enough (file attributes) the row opens its own.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "attempt.h"
#include "uring.h"

/* The descriptor under attack; says so and returns -1 when it was not let through. */
static int victim_fd(struct ctx *c, int flags)
{
	int fd = foreign_file(c, flags);

	if (fd < 0)
		say_word(c, "descriptor", fd == -ECONNABORTED ? "nofd" : strerrorname_np(-fd));
	return fd;
}

static void f07_ftruncate(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);

	if (fd < 0)
		return;
	say(c, "shrink", go_ftruncate(c, fd, 100));
	say(c, "zero", go_ftruncate(c, fd, 0));
}

static void f08_fallocate(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);

	if (fd < 0)
		return;
	say(c, "plain", go_fallocate(c, fd, 0, 0, 65536));
	say(c, "punch", go_fallocate(c, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say(c, "zero", go_fallocate(c, fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
	say(c, "collapse", go_fallocate(c, fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	say(c, "insert", go_fallocate(c, fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
}

static void f09_write(struct ctx *c)
{
	struct iovec iov = {(void *)"leak", 4};
	int fd = victim_fd(c, O_RDWR);

	if (fd < 0)
		return;
	say(c, "write", go_write(c, fd, "leak", 4));
	if (c->way == WAY_URING)
		return;
	say(c, "pwrite", rc_of(syscall(SYS_pwrite64, fd, "leak", 4, 10)));
	say(c, "writev", rc_of(writev(fd, &iov, 1)));
	say(c, "pwritev2", rc_of(pwritev2(fd, &iov, 1, 20, RWF_DSYNC)));
	say(c, "pwritev2-append", rc_of(pwritev2(fd, &iov, 1, 0, RWF_APPEND)));
}

static void f10_map_shared(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);

	if (fd < 0)
		return;
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say(c, "map", map == MAP_FAILED ? -errno : 0);
	if (map != MAP_FAILED)
		memcpy(map, "leak", 4);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, fd, 4096);
	say(c, "map-validate", map == MAP_FAILED ? -errno : 0);
	if (map != MAP_FAILED)
		memcpy(map, "leak", 4);
}

static void f11_mprotect(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);

	if (fd < 0)
		return;
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		say(c, "mprotect", -errno);
		return;
	}
	long r = rc_of(mprotect(map, 4096, PROT_READ | PROT_WRITE));
	say(c, "mprotect", r);
	if (r >= 0)
		memcpy(map, "leak", 4);
}

static void f12_remap(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);

	if (fd < 0)
		return;
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		say(c, "remap-file-pages", -errno);
		say(c, "mremap", -errno);
		return;
	}
	long r = rc_of(syscall(SYS_remap_file_pages, map, 4096, 0, 1, 0));
	say(c, "remap-file-pages", r);
	if (r >= 0)
		memcpy(map, "leak", 4);
	char *moved = mremap(map, 4096, 8192, MREMAP_MAYMOVE);
	say(c, "mremap", moved == MAP_FAILED ? -errno : 0);
	if (moved != MAP_FAILED)
		memcpy(moved, "leak", 4);
}

static long splice_in(int fd, bool with_tee)
{
	int first[2], second[2] = {-1, -1};
	struct iovec iov = {(void *)"leak", 4};

	if (pipe2(first, O_CLOEXEC) < 0 || (with_tee && pipe2(second, O_CLOEXEC) < 0))
		return -errno;
	long r = rc_of(vmsplice(first[1], &iov, 1, 0));
	if (r >= 0 && with_tee)
		r = rc_of(tee(first[0], second[1], 4, 0));
	loff_t at = 40;
	if (r >= 0)
		r = rc_of(splice(with_tee ? second[0] : first[0], NULL, fd, &at, 4, 0));
	return r;
}

static void f13_copies(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);
	int from = openat(c->own, "file2", O_RDONLY | O_CLOEXEC);
	loff_t a = 0, b = 0;

	if (fd < 0)
		return;
	say(c, "copy-file-range", rc_of(copy_file_range(from, &a, fd, &b, 64, 0)));
	say(c, "sendfile", rc_of(sendfile(fd, from, NULL, 64)));
	say(c, "splice", splice_in(fd, false));
	say(c, "tee", splice_in(fd, true));
	close(from);
}

static void f14_clone(struct ctx *c)
{
	int fd = victim_fd(c, O_RDWR);
	int from = openat(c->own, "file2", O_RDONLY | O_CLOEXEC);
	struct file_clone_range range = {.src_fd = from, .src_length = 4096};
	_Alignas(8) char room[sizeof(struct file_dedupe_range) +
			      sizeof(struct file_dedupe_range_info)] = {0};
	struct file_dedupe_range *dedupe = (struct file_dedupe_range *)room;

	dedupe->src_length = 4096;
	dedupe->dest_count = 1;
	dedupe->info[0].dest_fd = fd;
	if (fd < 0)
		return;
	say(c, "ficlone", rc_of(ioctl(fd, FICLONE, from)));
	say(c, "ficlonerange", rc_of(ioctl(fd, FICLONERANGE, &range)));
	long r = rc_of(ioctl(from, FIDEDUPERANGE, dedupe));
	if (r >= 0 && dedupe->info[0].status < 0)
		r = dedupe->info[0].status;
	say(c, "fideduperange", r);
	close(from);
}

static void f15_flags(struct ctx *c)
{
	struct fsxattr x;
	int flags;
	int fd = open("file", O_RDONLY | O_CLOEXEC);

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
		say(c, "setflags", -errno);
	} else {
		flags ^= FS_NODUMP_FL;
		say(c, "setflags", rc_of(ioctl(fd, FS_IOC_SETFLAGS, &flags)));
	}
	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0) {
		say(c, "fssetxattr", -errno);
	} else {
		x.fsx_xflags ^= FS_XFLAG_NOATIME;
		say(c, "fssetxattr", rc_of(ioctl(fd, FS_IOC_FSSETXATTR, &x)));
	}
	close(fd);
}

/* Newer than the headers of the build host. */
#define NR_FILE_GETATTR 468
#define NR_FILE_SETATTR 469
struct file_attr_0 {
	uint64_t xflags;
	uint32_t extsize, nextents, projid, cowextsize;
};

static void f16_file_setattr(struct ctx *c)
{
	struct file_attr_0 attr = {0};

	long r = rc_of(syscall(NR_FILE_GETATTR, AT_FDCWD, "file", &attr, sizeof(attr), 0));
	if (r < 0) {
		say(c, "setattr", r);
		return;
	}
	attr.xflags ^= FS_XFLAG_NODUMP;
	say(c, "setattr",
	    rc_of(syscall(NR_FILE_SETATTR, AT_FDCWD, "file", &attr, sizeof(attr), 0)));
}

const struct row file_data_rows[] = {{"F07", f07_ftruncate},
				     {"F08", f08_fallocate},
				     {"F09", f09_write},
				     {"F10", f10_map_shared},
				     {"F11", f11_mprotect},
				     {"F12", f12_remap},
				     {"F13", f13_copies},
				     {"F14", f14_clone},
				     {"F15", f15_flags},
				     {"F16", f16_file_setattr},
				     {0}};
