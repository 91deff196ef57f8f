// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F46, F55-F57, F63, F72, F86, F87, I23: what is denied inside of what is allowed, names that
 * do not exist yet, files of the kernel, and other spellings of a path.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"

static long open_and_close(struct ctx *c, int dir, const char *path, int flags)
{
	long fd = go_open(c, dir, path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return fd;
	close((int)fd);
	return 0;
}

static void f46_dev_fd(struct ctx *c)
{
	char path[64];
	int fd = open("file", O_RDONLY | O_CLOEXEC);

	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	say(c, "dev-fd", write_path(path, 0));
	int keep = dup(STDIN_FILENO);
	(void)dup2(fd, STDIN_FILENO);
	say(c, "dev-stdin", write_path("/dev/stdin", 0));
	(void)dup2(keep, STDIN_FILENO);
	close(keep);
	close(fd);
}

/* Opened, and nothing written: an open is what the hooks decide. */
static void try_opens(struct ctx *c, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *sub = strrchr(paths[i], '/') + 1;
		say(c, sub,
		    c->twin ? open_and_close(c, c->own, "file", O_WRONLY)
			    : open_and_close(c, AT_FDCWD, paths[i], O_WRONLY));
	}
}

static void f55_sysctl(struct ctx *c)
{
	static const char *const paths[] = {"/proc/sys/kernel/domainname",
					    "/proc/sys/kernel/core_pattern",
					    "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
					    "/proc/irq/default_smp_affinity"};

	try_opens(c, paths, sizeof(paths) / sizeof(paths[0]));
}

static void f56_sysfs(struct ctx *c)
{
	static const char *const paths[] = {"/sys/kernel/mm/ksm/run",
					    "/sys/kernel/uevent_helper",
					    "/sys/power/state",
					    "/sys/kernel/profiling",
					    "/sys/kernel/tracing/kprobe_events",
					    "/sys/kernel/debug/clear_warn_once",
					    "/sys/fs/cgroup/cgroup.max.depth"};

	try_opens(c, paths, sizeof(paths) / sizeof(paths[0]));
}

static void f57_proc_self(struct ctx *c)
{
	static const char *const paths[] = {
		"/proc/self/oom_score_adj", "/proc/self/coredump_filter", "/proc/self/uid_map",
		"/proc/self/setgroups",	    "/proc/self/timens_offsets",  "/proc/self/clear_refs",
		"/proc/self/autogroup",	    "/proc/self/make-it-fail"};

	if (c->twin)
		say(c, "comm", open_and_close(c, AT_FDCWD, "/proc/self/comm", O_WRONLY));
	else
		try_opens(c, paths, sizeof(paths) / sizeof(paths[0]));
}

static long dump_core(struct ctx *c)
{
	const struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY};

	if (fchdir(c->own) < 0)
		return -errno;
	(void)setrlimit(RLIMIT_CORE, &most); /* refused where it may not be raised */
	abort();
}

static void f63_core(struct ctx *c)
{
	struct stat st;

	if (c->twin) {
		say(c, "core", open_and_close(c, c->own, "core", O_WRONLY | O_CREAT));
		return;
	}
	(void)in_child(c, dump_core);
	say(c, "core", fstatat(c->own, "core", &st, 0) == 0 ? 0 : -EACCES);
}

static void f72_spellings(struct ctx *c)
{
	char path[PATH_MAX + 16] = "";
	size_t n;

	say(c, "dot", write_path("./file", 0));
	say(c, "dot-dot", write_path("dir/../file", 0));
	(void)snprintf(path, sizeof(path), "//%s///file", c->target_path);
	say(c, "slashes", write_path(path, 0));
	for (n = 0; n + strlen("./file") + 2 < PATH_MAX; n += 2)
		memcpy(path + n, "./", 2);
	memcpy(path + n, "file", sizeof("file"));
	say(c, "longest", write_path(path, 0));
	for (n = 0; n < 300; n += 7)
		memcpy(path + n, "dir/../", 7);
	memcpy(path + n, "file", sizeof("file"));
	say(c, "up-and-down", write_path(path, 0));
	say(c, "new-dots", write_path("...", O_CREAT));
	say(c, "new-spaces", write_path(" .. ", O_CREAT));
}

/* --- denied inside allowed: a work tree with rules on .git/hooks, .git/config and .envrc --- */

/* Enter the work tree with the rules, for the twin one without; and clean up what others left. */
static bool enter_tree(struct ctx *c)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s/allowed/%s.%s", setting("base"), c->fs, c->mode,
		       c->twin ? "free" : "repo");
	if (chdir(path) < 0) {
		say_word(c, "tree", "no-directory");
		return false;
	}
	return true;
}

/* Report and take away what came of it, so that the next try finds the name free. */
static void say_made(struct ctx *c, const char *sub, long r)
{
	say(c, sub, r);
	if (r >= 0 && unlink(".envrc") < 0)
		(void)rmdir(".envrc");
}

static void make_name(struct ctx *c)
{
	struct two_names n = {AT_FDCWD, "src/a", AT_FDCWD, ".envrc"};

	say_made(c, "name-creat", open_and_close(c, AT_FDCWD, ".envrc", O_WRONLY | O_CREAT));
	say_made(c, "name-mkdir", go_mkdir(c, AT_FDCWD, ".envrc", 0755));
	say_made(c, "name-symlink", go_symlink(c, "src", AT_FDCWD, ".envrc"));
	say_made(c, "name-link", go_link(c, &n, 0));
	say_made(c, "name-rename", go_rename(c, &n, 0));
	(void)write_path("src/a", O_CREAT);
	say_made(c, "name-mknod", rc_of(mknod(".envrc", S_IFIFO | 0600, 0)));
}

static void f86_deny_inside(struct ctx *c)
{
	struct two_names n = {AT_FDCWD, "src/b", AT_FDCWD, ".git/config"};

	if (!enter_tree(c))
		return;
	(void)write_path("src/a", O_CREAT);
	(void)write_path("src/b", O_CREAT);
	say(c, "new-hook", open_and_close(c, AT_FDCWD, ".git/hooks/x", O_WRONLY | O_CREAT));
	say(c, "old-hook", open_and_close(c, AT_FDCWD, ".git/hooks/pre-push", O_WRONLY));
	say(c, "config", open_and_close(c, AT_FDCWD, ".git/config", O_WRONLY | O_APPEND));
	(void)!symlink(".git", "way-in"); /* may be there already */
	say(c, "through-link", open_and_close(c, AT_FDCWD, "way-in/config", O_WRONLY));
	say(c, "replaced", go_rename(c, &n, 0));
	(void)write_path("src/b", O_CREAT);
	n.to = ".git/hooks/pre-push";
	say(c, "exchanged", go_rename(c, &n, RENAME_EXCHANGE));
	make_name(c);
	say(c, "unlinked", go_unlink(c, AT_FDCWD, ".git/config", 0));
	(void)write_path(".git/config", O_CREAT); /* for the modes and roads that follow */
}

static void move_there_and_back(struct ctx *c, const char *sub, const struct two_names *n,
				unsigned int flags)
{
	struct two_names back = {n->to_dir, n->to, n->from_dir, n->from};
	long r = go_rename(c, n, flags);

	say(c, sub, r);
	if (r >= 0)
		(void)go_rename(c, &back, flags);
}

/* The directory that holds the rules moved away, so that another can take its place. */
static void f87_tree_replaced(struct ctx *c)
{
	struct two_names n = {AT_FDCWD, ".git", AT_FDCWD, ".git.old"};

	if (!enter_tree(c))
		return;
	(void)mkdir("other", 0755);
	move_there_and_back(c, "rename", &n, 0);
	n.to = "other";
	move_there_and_back(c, "exchange", &n, RENAME_EXCHANGE);
	n.to = "src/moved";
	move_there_and_back(c, "deeper", &n, 0);
	n = (struct two_names){AT_FDCWD, ".git/hooks", AT_FDCWD, ".git/hooks.old"};
	move_there_and_back(c, "hooks", &n, 0);
	n = (struct two_names){AT_FDCWD, "other", AT_FDCWD, ".git"};
	move_there_and_back(c, "over", &n, RENAME_EXCHANGE);
	(void)rmdir("other");
}

/* --- reading --- */

static void i23_secrets(struct ctx *c)
{
	char dir[PATH_MAX], path[PATH_MAX + 16];
	struct two_names n = {AT_FDCWD, path, c->own, "stolen"};

	(void)snprintf(dir, sizeof(dir), "%s/%s/secret/%s", setting("base"),
		       strcmp(c->fs, "-") ? c->fs : "ov", c->mode);
	if (c->twin)
		(void)snprintf(dir, sizeof(dir), "%s", c->own_path);
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	say(c, "file", open_and_close(c, AT_FDCWD, path, O_RDONLY));
	say(c, "directory", open_and_close(c, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY));
	int fd = open(path, O_PATH | O_CLOEXEC);
	char again[64];
	(void)snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	say(c, "reopened", open_and_close(c, AT_FDCWD, again, O_RDONLY));
	close(fd);
	say(c, "link", go_link(c, &n, 0));
	(void)unlinkat(c->own, "stolen", 0);
	say(c, "rename", go_rename(c, &n, 0));
	n = (struct two_names){c->own, "stolen", AT_FDCWD, path};
	(void)go_rename(c, &n, 0); /* back, for the roads that follow */
}

const struct row file_deny_rows[] = {{"F46", f46_dev_fd},      {"F55", f55_sysctl},
				     {"F56", f56_sysfs},       {"F57", f57_proc_self},
				     {"F63", f63_core},	       {"F72", f72_spellings},
				     {"F86", f86_deny_inside}, {"F87", f87_tree_replaced},
				     {"I23", i23_secrets},     {0}};
