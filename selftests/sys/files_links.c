// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F34-F41: the same file under another name, by link or rename, across the border of what is
 * allowed; and the border itself.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"

/* Write through a name that the row has made: the photograph shows where it went. */
static void write_through(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, "leak", 4); /* judged by the content outside */
	close(fd);
}

static void try_link(struct ctx *c, const char *sub, const struct two_names *n, int flags)
{
	(void)unlinkat(n->to_dir, n->to, 0);
	long r = go_link(c, n, flags);
	say(c, sub, r);
	if (r >= 0)
		write_through(n->to_dir, n->to);
}

static void f34_link(struct ctx *c)
{
	struct two_names n = {AT_FDCWD, "file", c->own, "linked"};

	try_link(c, "linkat", &n, 0);
	n = (struct two_names){c->target, "full/inner", c->own, "linked2"};
	try_link(c, "inner", &n, 0);
	n = (struct two_names){c->own, "file", c->target, "planted"};
	try_link(c, "outwards", &n, 0);
}

static void f35_link_descriptor(struct ctx *c)
{
	int path = open("file", O_PATH | O_CLOEXEC);
	int fd = open("file", O_RDONLY | O_CLOEXEC);
	struct two_names n = {path, "", c->own, "linked"};

	try_link(c, "o-path", &n, AT_EMPTY_PATH);
	n.from_dir = fd;
	n.to = "linked2";
	try_link(c, "rdonly", &n, AT_EMPTY_PATH);
	close(path);
	close(fd);
}

static void f36_link_proc(struct ctx *c)
{
	char from[64];
	int fd = open("file", O_RDONLY | O_CLOEXEC);
	struct two_names n = {AT_FDCWD, from, c->own, "linked"};

	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	try_link(c, "rdonly", &n, AT_SYMLINK_FOLLOW);
	int tmp = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (tmp < 0) {
		say(c, "tmpfile", -errno);
	} else {
		(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", tmp);
		n.to = "linked2";
		try_link(c, "tmpfile", &n, AT_SYMLINK_FOLLOW);
		close(tmp);
	}
	close(fd);
}

/* "hard" was made outside, before the session: another name of a file out of bounds. */
static void f37_old_hard_link(struct ctx *c)
{
	long fd = go_open(c, c->own, c->twin ? "file" : "hard", O_WRONLY, 0);

	say(c, "write", fd);
	if (fd >= 0) {
		(void)!write((int)fd, "leak", 4); /* judged by the content outside */
		close((int)fd);
	}
}

static void f38_rename_in(struct ctx *c)
{
	struct two_names n = {AT_FDCWD, "file", c->own, c->twin ? "moved" : "stolen"};

	say(c, "file", go_rename(c, &n, 0));
	write_through(c->own, "stolen");
	n = (struct two_names){c->target, "full", c->own, c->twin ? "moved-dir" : "stolen-dir"};
	say(c, "dir", go_rename(c, &n, RENAME_NOREPLACE));
	write_through(c->own, "stolen-dir/inner");
}

static void f39_rename_out(struct ctx *c)
{
	int from = c->twin ? c->target : c->own; /* its own side may be gone by now */
	struct two_names n = {from, "file", AT_FDCWD, "planted"};

	say(c, "new", go_rename(c, &n, 0));
	n = (struct two_names){from, "file2", AT_FDCWD, "file"};
	say(c, "replace", go_rename(c, &n, 0));
	n = (struct two_names){from, "dir", AT_FDCWD, "planted-dir"};
	say(c, "dir", go_rename(c, &n, 0));
}

static void f40_exchange(struct ctx *c)
{
	struct two_names in = {AT_FDCWD, "file", c->own, "file"};
	struct two_names out = {c->own, "dir", AT_FDCWD, "full"};

	say(c, "in", go_rename(c, &in, RENAME_EXCHANGE));
	write_through(c->own, "file");
	say(c, "out", go_rename(c, &out, RENAME_EXCHANGE));
}

/* Rename there, and back where that worked, so that the next mode finds it in place. */
static void move_and_back(struct ctx *c, const char *sub, const char *from, const char *to)
{
	struct two_names n = {AT_FDCWD, from, AT_FDCWD, to};
	long r = go_rename(c, &n, 0);

	say(c, sub, r);
	if (r >= 0)
		(void)rename(to, from); /* a failure shows as failing rows that follow */
}

/*
 * The border itself. <fs>/sealed/<mode> lies out of bounds but holds roots of rules: "empty" and
 * "above/root". <fs>/allowed/<mode>.nested lies within and has the root "inner" of a rule of its
 * own. The twin moves ordinary directories inside the rules.
 */
static void f41_rule_root(struct ctx *c)
{
	char sealed[PATH_MAX], nested[PATH_MAX];

	if (c->twin) {
		move_and_back(c, "rename", "dir", "dir.gone");
		move_and_back(c, "ancestor", "full", "full.gone");
		move_and_back(c, "nested", "full", "full.gone");
		say(c, "rmdir", go_unlink(c, AT_FDCWD, "dir", AT_REMOVEDIR));
		return;
	}
	(void)snprintf(sealed, sizeof(sealed), "%s/%s/sealed/%s", setting("base"), c->fs, c->mode);
	(void)snprintf(nested, sizeof(nested), "%s/%s/allowed/%s.nested", setting("base"), c->fs,
		       c->mode);
	if (chdir(nested) < 0) {
		say_word(c, "nested", "no-sealed");
		return;
	}
	move_and_back(c, "nested", "inner", "inner.gone");
	if (chdir(sealed) < 0) {
		say_word(c, "rename", "no-sealed");
		return;
	}
	move_and_back(c, "rename", "empty", "empty.gone");
	move_and_back(c, "ancestor", "above", "above.gone");
	long r = go_unlink(c, AT_FDCWD, "empty", AT_REMOVEDIR);
	say(c, "rmdir", r);
	if (r >= 0)
		(void)mkdir("empty", 0755); /* for the modes that follow */
}

const struct row file_link_rows[] = {
	{"F34", f34_link},	    {"F35", f35_link_descriptor}, {"F36", f36_link_proc},
	{"F37", f37_old_hard_link}, {"F38", f38_rename_in},	  {"F39", f39_rename_out},
	{"F40", f40_exchange},	    {"F41", f41_rule_root},	  {0}};
