// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F25-F33: making and removing names, device nodes, symbolic links.
 */
#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attempt.h"

#define RACE_PATIENCE 50

static void f25_unlink(struct ctx *c)
{
	say(c, "unlinkat", go_unlink(c, AT_FDCWD, "file", 0));
	if (c->way == WAY_I386)
		return;
	say(c, "at-dirfd", go_unlink(c, c->target, "full/inner", 0));
	say(c, "unlink", rc_of(syscall(SYS_unlink, "file2")));
}

static void f26_rmdir(struct ctx *c)
{
	say(c, "removedir", go_unlink(c, AT_FDCWD, "dir", AT_REMOVEDIR));
	(void)unlink("full/inner"); /* refused as well, where the row is */
	say(c, "rmdir", rc_of(syscall(SYS_rmdir, "full")));
}

static void f27_mkdir(struct ctx *c)
{
	say(c, "mkdirat", go_mkdir(c, AT_FDCWD, "newdir", 0755));
	say(c, "in-dir", go_mkdir(c, c->target, "dir/newdir", 0700));
	if (c->way != WAY_URING)
		say(c, "mkdir", rc_of(syscall(SYS_mkdir, "newdir2", 0755)));
}

static void f28_mknod(struct ctx *c)
{
	say(c, "fifo", rc_of(syscall(SYS_mknodat, AT_FDCWD, "fifo", S_IFIFO | 0644, 0)));
	say(c, "socket", rc_of(syscall(SYS_mknodat, AT_FDCWD, "socket", S_IFSOCK | 0644, 0)));
	say(c, "regular", rc_of(syscall(SYS_mknodat, AT_FDCWD, "regular", S_IFREG | 0644, 0)));
	say(c, "mknod", rc_of(syscall(SYS_mknod, "fifo2", S_IFIFO | 0644, 0)));
}

/* Inside the rules; the twin makes a pipe there instead. */
static void f29_device(struct ctx *c)
{
	mode_t chr = c->twin ? S_IFIFO : S_IFCHR;
	mode_t blk = c->twin ? S_IFIFO : S_IFBLK;

	say(c, "char", rc_of(mknodat(c->own, "null", chr | 0666, makedev(1, 3))));
	(void)unlinkat(c->own, "null", 0);
	say(c, "block", rc_of(mknodat(c->own, "loop", blk | 0666, makedev(7, 0))));
	(void)unlinkat(c->own, "loop", 0);
}

/* Inside the rules too: a whiteout is a device node that needs no capability. */
static void f30_whiteout(struct ctx *c)
{
	struct two_names n = {c->own, "born", c->own, "moved"};
	mode_t chr = c->twin ? S_IFIFO : S_IFCHR;

	say(c, "mknod", rc_of(mknodat(c->own, "white", chr | 0666, makedev(0, 0))));
	(void)unlinkat(c->own, "white", 0);
	close(openat(c->own, "born", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	say(c, "rename", go_rename(c, &n, c->twin ? 0 : RENAME_WHITEOUT));
	(void)unlinkat(c->own, "moved2", 0); /* left by the row's other run */
	n = (struct two_names){c->own, "xfile", c->own, "moved2"};
	close(openat(c->own, "xfile", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	say(c, "rename-noreplace",
	    go_rename(c, &n, RENAME_NOREPLACE | (c->twin ? 0 : RENAME_WHITEOUT)));
}

static void f31_symlink(struct ctx *c)
{
	say(c, "symlinkat", go_symlink(c, "file", AT_FDCWD, "sym"));
	say(c, "at-dirfd", go_symlink(c, "/etc/passwd", c->target, "dir/sym"));
	if (c->way != WAY_URING)
		say(c, "symlink", rc_of(syscall(SYS_symlink, "file", "sym2")));
}

static void f32_through_symlink(struct ctx *c)
{
	char to[PATH_MAX + 16];

	(void)unlinkat(c->own, "way-out", 0);
	(void)snprintf(to, sizeof(to), "%s/file", c->target_path);
	if (symlinkat(to, c->own, "way-out") < 0) {
		say_word(c, "write", "no-symlink");
		return;
	}
	long fd = go_open(c, c->own, "way-out", O_WRONLY, 0);
	say(c, "write", fd);
	if (fd >= 0)
		(void)!write((int)fd, "leak", 4); /* evidence for the photograph */
	(void)unlinkat(c->own, "way-out", 0);
	if (symlinkat(c->target_path, c->own, "way-out") < 0)
		return;
	say(c, "create", go_open(c, c->own, "way-out/new", O_CREAT | O_WRONLY, 0644));
	say(c, "truncate", rc_of(syscall(SYS_truncate, to, 0)));
}

/* --- F33: one thread exchanges a link and a file, the other opens what is there --- */

struct race {
	struct ctx *c;
	atomic_bool stop;
};

static void *exchange_forever(void *arg)
{
	struct race *race = arg;

	while (!atomic_load(&race->stop))
		(void)syscall(SYS_renameat2, race->c->own, "a", race->c->own, "b", RENAME_EXCHANGE);
	return NULL;
}

static int prepare_race(struct ctx *c)
{
	char to[PATH_MAX + 16];

	(void)unlinkat(c->own, "a", 0);
	(void)unlinkat(c->own, "b", 0);
	(void)snprintf(to, sizeof(to), "%s/file", c->target_path);
	if (symlinkat(to, c->own, "a") < 0)
		return -errno;
	int fd = openat(c->own, "b", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void f33_swap_race(struct ctx *c)
{
	const char *wanted = setting("race-tries");
	long tries = wanted ? strtol(wanted, NULL, 10) : 1000;
	struct race race = {.c = c};
	struct stat victim, st;
	long leaks = 0, inside = 0;
	pthread_t thread;

	int r = prepare_race(c);
	if (r < 0 || stat("file", &victim) < 0 ||
	    thread_again(&thread, exchange_forever, &race) != 0) {
		say_word(c, "leaks", "no-race");
		return;
	}
	/* Longer where the other thread got no turn: without both sides it was no race. */
	for (long i = 0; i < tries || (!inside && i < tries * RACE_PATIENCE); i++) {
		int fd = openat(c->own, "a", O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && st.st_ino == victim.st_ino &&
		    st.st_dev == victim.st_dev && write(fd, "leak", 4) == 4)
			leaks++;
		else
			inside++;
		close(fd);
	}
	atomic_store(&race.stop, true);
	(void)pthread_join(thread, NULL);
	say(c, "leaks", leaks ? 0 : -EACCES);
	say_word(c, "own-side", inside ? "own" : "never"); /* both sides of the race were seen */
}

const struct row file_name_rows[] = {{"F25", f25_unlink},    {"F26", f26_rmdir},
				     {"F27", f27_mkdir},     {"F28", f28_mknod},
				     {"F29", f29_device},    {"F30", f30_whiteout},
				     {"F31", f31_symlink},   {"F32", f32_through_symlink},
				     {"F33", f33_swap_race}, {0}};
