// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F01-F06, F42-F45: ways to open a file for writing, and truncation by path. The working
 * directory is the target.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"

/* Report an open; what could be opened is also written to, so that it shows outside. */
static void say_open(struct ctx *c, const char *sub, long fd)
{
	say(c, sub, fd);
	if (fd < 0)
		return;
	(void)!write((int)fd, "leak", 4); /* the photograph outside is the evidence */
	close((int)fd);
}

static void f01_create(struct ctx *c)
{
	say_open(c, "creat", go_open(c, AT_FDCWD, "new", O_CREAT | O_WRONLY, 0644));
	say_open(c, "excl", go_open(c, AT_FDCWD, "new2", O_CREAT | O_EXCL | O_RDWR, 0600));
	say_open(c, "at-dirfd", go_open(c, c->target, "dir/new3", O_CREAT | O_WRONLY, 0644));
}

static void f02_existing(struct ctx *c)
{
	say_open(c, "wronly", go_open(c, AT_FDCWD, "file", O_WRONLY, 0));
	say_open(c, "rdwr", go_open(c, AT_FDCWD, "file", O_RDWR, 0));
	say_open(c, "append", go_open(c, AT_FDCWD, "file", O_WRONLY | O_APPEND, 0));
	say_open(c, "creat-existing", go_open(c, AT_FDCWD, "file", O_WRONLY | O_CREAT, 0600));
	say_open(c, "mode3", go_open(c, AT_FDCWD, "file2", O_ACCMODE, 0));
}

static void f03_openat2(struct ctx *c)
{
	static const struct {
		const char *name;
		unsigned long long resolve;
	} how_to[] = {{"in-root", RESOLVE_IN_ROOT},
		      {"no-symlinks", RESOLVE_NO_SYMLINKS},
		      {"beneath", RESOLVE_BENEATH},
		      {"no-magiclinks", RESOLVE_NO_MAGICLINKS},
		      {"no-xdev", RESOLVE_NO_XDEV}};

	int dir = (int)rc_of(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	for (size_t i = 0; i < sizeof(how_to) / sizeof(how_to[0]); i++) {
		struct open_how how = {.flags = O_RDWR, .resolve = how_to[i].resolve};
		say_open(c, how_to[i].name, go_openat2(c, dir, "file", &how));
	}
	close(dir);
}

static void f04_legacy(struct ctx *c)
{
	say_open(c, "open", rc_of(syscall(SYS_open, "file", O_WRONLY, 0)));
	say_open(c, "open-creat", rc_of(syscall(SYS_open, "new", O_CREAT | O_RDWR, 0644)));
	say_open(c, "creat", rc_of(syscall(SYS_creat, "new2", 0644)));
}

static void f05_open_truncates(struct ctx *c)
{
	long fd = go_open(c, AT_FDCWD, "file", O_RDONLY | O_TRUNC, 0);

	say(c, "rdonly-trunc", fd);
	if (fd >= 0)
		close((int)fd);
	say_open(c, "wronly-trunc", go_open(c, AT_FDCWD, "file2", O_WRONLY | O_TRUNC, 0));
}

static void f06_truncate(struct ctx *c)
{
	say(c, "shrink", go_truncate(c, "file", 16));
	say(c, "zero", go_truncate(c, "full/inner", 0));
	say(c, "grow", go_truncate(c, "file2", 65536));
	say(c, "same", go_truncate(c, "file", 16));
}

static void f42_tmpfile(struct ctx *c)
{
	say_open(c, "tmpfile", go_open(c, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0600));
	say_open(c, "excl", go_open(c, AT_FDCWD, "dir", O_TMPFILE | O_EXCL | O_WRONLY, 0600));
}

static void f43_by_handle(struct ctx *c)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle = {.h.handle_bytes = MAX_HANDLE_SZ};
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, "file", &handle.h, &mount_id, 0) < 0) {
		say(c, "own-handle", -errno);
		return;
	}
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	say_open(c, "own-handle", rc_of(open_by_handle_at(dir, &handle.h, O_WRONLY)));
	close(dir);
}

static void f44_reopen(struct ctx *c)
{
	char link[64];
	int by_path = open("file", O_PATH | O_CLOEXEC);
	int for_read = open("file", O_RDONLY | O_CLOEXEC);

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", by_path);
	say_open(c, "o-path", go_open(c, AT_FDCWD, link, O_WRONLY, 0));
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", for_read);
	say_open(c, "rdonly", go_open(c, AT_FDCWD, link, O_RDWR, 0));
	(void)snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", for_read);
	say_open(c, "trunc", go_open(c, AT_FDCWD, link, O_RDONLY | O_TRUNC, 0));
	close(by_path);
	close(for_read);
}

static void try_map_files(struct ctx *c)
{
	char link[96];
	int fd = open("file", O_RDONLY | O_CLOEXEC);
	char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	(void)snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx", (unsigned long)map,
		       (unsigned long)map + 4096);
	say_open(c, "map-files", go_open(c, AT_FDCWD, link, O_WRONLY, 0));
}

static void f45_proc_roads(struct ctx *c)
{
	char path[PATH_MAX + 64];
	pid_t child = idle_child();

	(void)snprintf(path, sizeof(path), "/proc/self/root%s/file", c->target_path);
	say_open(c, "self-root", go_open(c, AT_FDCWD, path, O_WRONLY, 0));
	say_open(c, "self-cwd", go_open(c, AT_FDCWD, "/proc/self/cwd/file", O_WRONLY, 0));
	(void)snprintf(path, sizeof(path), "/proc/%d/root%s/file", child, c->target_path);
	say_open(c, "child-root", go_open(c, AT_FDCWD, path, O_WRONLY, 0));
	(void)snprintf(path, sizeof(path), "/proc/%d/cwd/file", child);
	say_open(c, "child-cwd", go_open(c, AT_FDCWD, path, O_WRONLY, 0));
	if (!c->twin) /* takes a capability that root has outside only */
		try_map_files(c);
	end_child(child);
}

const struct row file_open_rows[] = {{"F01", f01_create},
				     {"F02", f02_existing},
				     {"F03", f03_openat2},
				     {"F04", f04_legacy},
				     {"F05", f05_open_truncates},
				     {"F06", f06_truncate},
				     {"F42", f42_tmpfile},
				     {"F43", f43_by_handle},
				     {"F44", f44_reopen},
				     {"F45", f45_proc_roads},
				     {0}};
