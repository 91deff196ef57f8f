// SPDX-License-Identifier: Apache-2.0
/*
 * Rows X01-X10, X20-X24: running programs that the rules do not let run. "prog" in the row's own
 * directory is a program that the session has written itself; the twin runs one that was installed.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"
#include "world.h"

#define LOADER "/lib64/ld-linux-x86-64.so.2"
#define LIBRARY "/lib/x86_64-linux-gnu/libm.so.6"
#define SPAWNS 6
/* What the dynamic loader ends with when it cannot map something. */
#define LOADER_FAILED 127

static const char *tool(void)
{
	return setting("tool");
}

/* The program under attack, which the row has just written; for the twin the installed one. */
static const char *program(struct ctx *c)
{
	static char path[PATH_MAX + 8];

	if (c->twin)
		return tool();
	(void)snprintf(path, sizeof(path), "%s/prog", c->own_path);
	return copy_file(tool(), path) < 0 ? "/nonexistent" : path;
}

/* Run a program with these arguments and environment, by a path or (path "") a descriptor. */
struct run {
	int dir;
	const char *path;
	const char *argv[4];
	const char *env[2];
};

static long run(struct ctx *c, const struct run *r)
{
	int status;
	int flags = *r->path ? 0 : AT_EMPTY_PATH;
	pid_t pid = fork_again();

	if (pid == 0) {
		leave_marker(c);
		if (flags || r->dir != AT_FDCWD)
			(void)syscall(SYS_execveat, r->dir, r->path, r->argv, r->env, flags);
		else
			(void)syscall(SYS_execve, r->path, r->argv, r->env);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (WIFSIGNALED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

static long run_path(struct ctx *c, const char *path)
{
	struct run r = {AT_FDCWD, path, {path, "--be-there"}, {NULL}};

	return run(c, &r);
}

static long run_fd(struct ctx *c, int fd)
{
	struct run r = {fd, "", {"prog", "--be-there"}, {NULL}};

	return fd < 0 ? fd : run(c, &r);
}

static void x01_execve(struct ctx *c)
{
	say(c, "written", run_path(c, program(c)));
	say(c, "denied", run_path(c, c->twin ? tool() : setting("denied-tool")));
}

static void x02_other_names(struct ctx *c)
{
	char path[2 * PATH_MAX];
	const char *prog = program(c);
	const char *last = strrchr(prog, '/');
	struct run relative = {AT_FDCWD, last + 1, {"prog", "--be-there"}, {NULL}};
	int fd = open(prog, O_RDONLY);

	(void)unlinkat(c->own, "symlink", 0);
	(void)!symlinkat(prog, c->own, "symlink"); /* the run of it tells */
	(void)snprintf(path, sizeof(path), "%s/symlink", c->own_path);
	say(c, "symlink", run_path(c, path));
	(void)snprintf(path, sizeof(path), "/proc/self/root%s", prog);
	say(c, "proc-root", run_path(c, path));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	say(c, "proc-fd", run_path(c, path));
	relative.dir = open(c->twin ? setting("tools") : c->own_path, O_PATH | O_CLOEXEC);
	say(c, "relative", run(c, &relative));
	close(relative.dir);
	close(fd);
	if (c->twin)
		return;
	(void)!linkat(AT_FDCWD, prog, c->own, "hardlink", 0);
	(void)snprintf(path, sizeof(path), "%s/hardlink", c->own_path);
	say(c, "hardlink", run_path(c, path));
}

static void x03_copies(struct ctx *c)
{
	char path[PATH_MAX + 16];

	if (c->twin) {
		say(c, "copy", run_path(c, tool()));
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/renamed", c->own_path);
	(void)rename(program(c), path);
	say(c, "copy", run_path(c, path));
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	(void)!write(fd, "more", 4); /* another content, the same program */
	close(fd);
	say(c, "appended", run_path(c, path));
}

static void x04_by_descriptor(struct ctx *c)
{
	const char *prog = program(c);
	int fd = open(prog, O_RDONLY | O_CLOEXEC);

	say(c, "rdonly", run_fd(c, fd));
	close(fd);
	fd = open(prog, O_PATH | O_CLOEXEC);
	say(c, "o-path", run_fd(c, fd));
	close(fd);
}

static void x05_memfd(struct ctx *c)
{
	char path[64];

	if (c->twin) {
		x04_by_descriptor(c);
		return;
	}
	int fd = memfd_create("prog", 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (copy_file(tool(), path) < 0) {
		say_word(c, "execveat", "no-directory");
		return;
	}
	say(c, "execveat", run_fd(c, fd));
	say(c, "proc-fd", run_path(c, path));
	close(fd);
}

static void x06_nameless(struct ctx *c)
{
	char path[64];

	if (c->twin) {
		x04_by_descriptor(c);
		return;
	}
	const char *prog = program(c);
	int fd = open(prog, O_RDONLY | O_CLOEXEC);
	(void)unlink(prog);
	say(c, "unlinked", run_fd(c, fd));
	close(fd);
	int tmp = openat(c->own, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
	if (tmp < 0) {
		say(c, "tmpfile", -errno);
		return;
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	long r = copy_file(tool(), path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	close(tmp); /* or the file is busy */
	say(c, "tmpfile", r < 0 ? r : run_fd(c, fd));
	close(fd);
}

static void say_loaded(struct ctx *c, const char *sub, long r)
{
	if (r == -LOADER_FAILED)
		say_word(c, sub, "refused");
	else
		say(c, sub, r);
}

/* The loader may run; what it is told to load may not. */
static void x07_loader(struct ctx *c)
{
	const char *prog = program(c);
	struct run r = {AT_FDCWD, LOADER, {LOADER, prog, "--be-there"}, {NULL}};

	say_loaded(c, "loader", run(c, &r));
}

static void x08_preload(struct ctx *c)
{
	char library[PATH_MAX + 16], variable[PATH_MAX + 64];
	struct run r = {AT_FDCWD, tool(), {"prog", "--be-mapped", "pf-mine.so"}, {variable, NULL}};

	(void)snprintf(library, sizeof(library), "%s/pf-mine.so", c->own_path);
	if (c->twin) {
		r.argv[2] = "libm.so.6";
		(void)snprintf(library, sizeof(library), "%s", LIBRARY);
	} else if (copy_file(LIBRARY, library) < 0) {
		say_word(c, "preload", "no-directory");
		return;
	}
	(void)snprintf(variable, sizeof(variable), "LD_PRELOAD=%s", library);
	say(c, "preload", run(c, &r));
	if (c->twin)
		return;
	(void)snprintf(library, sizeof(library), "%s/libc.so.6", c->own_path);
	(void)copy_file("/lib/x86_64-linux-gnu/libc.so.6", library);
	(void)snprintf(variable, sizeof(variable), "LD_LIBRARY_PATH=%s", c->own_path);
	r.argv[2] = c->own_path;
	say_loaded(c, "library-path", run(c, &r));
}

static void put_script(struct ctx *c, const char *name, const char *interpreter)
{
	int fd = openat(c->own, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	(void)dprintf(fd, "#!%s\nexit 0\n", interpreter);
	close(fd);
}

/* "script" and "nested" beside the victim's files lead to the row's own "prog" (driver/world.py).
 */
static void x10_scripts(struct ctx *c)
{
	struct place p = {.base = setting("base"), .mode = c->mode, .fs = "ov"};
	char dir[PATH_MAX], path[PATH_MAX + 16];

	world_path(&p, "victim", "X10.sys", dir);
	if (c->twin) {
		(void)snprintf(path, sizeof(path), "%s/plain", dir);
		say(c, "forbidden", run_path(c, path));
		return;
	}
	(void)program(c);
	(void)snprintf(path, sizeof(path), "%s/forbidden", dir);
	say(c, "forbidden", run_path(c, path));
	(void)snprintf(path, sizeof(path), "%s/nested", dir);
	say(c, "nested", run_path(c, path));
	put_script(c, "script", "/bin/sh");
	(void)snprintf(path, sizeof(path), "%s/script", c->own_path);
	say(c, "written", run_path(c, path));
}

static void x20_powers(struct ctx *c)
{
	struct run r = {AT_FDCWD, setting("setuid-tool"), {"prog", "--be-mighty"}, {NULL}};

	if (c->twin)
		r.argv[1] = "--be-there"; /* it may run, with no more powers than before */
	say(c, "setuid", run(c, &r));
	r.path = setting("filecap-tool");
	if (!c->twin) /* whom the kernel cannot give what the file promises, it lets not run it */
		say(c, "filecap", run(c, &r));
}

/* A program of 32 bits: its first system call ends it, or it ends itself with 0. */
static void x21_foreign_abi(struct ctx *c)
{
	int status;
	const char *path = c->twin ? tool() : setting("tool32");
	const char *argv[] = {path, "--be-there", NULL}, *env[] = {NULL};
	pid_t pid = fork_again();

	if (pid == 0) {
		(void)syscall(SYS_execve, path, argv, env);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		say(c, "i386", -ECHILD);
	else if (WIFSIGNALED(status))
		say_word(c, "i386", "refused");
	else
		say(c, "i386", -WEXITSTATUS(status));
}

static int write_in_clone(void *arg)
{
	(void)arg;
	return (int)-write_file();
}

static long write_sharing(char *stack_end, int flags)
{
	int tries = 0;
	pid_t pid;

	do
		pid = clone(write_in_clone, stack_end, CLONE_VM | SIGCHLD | flags, NULL);
	while (pid < 0 && once_more(errno, &tries));
	return pid < 0 ? -errno : child_result(pid);
}

/* Children that share the parent's memory. */
static void x22_shared_children(struct ctx *c)
{
	static char stack[65536] __attribute__((aligned(16)));

	say(c, "vfork", write_sharing(stack + sizeof(stack), CLONE_VFORK));
	say(c, "clone-vm", write_sharing(stack + sizeof(stack), 0));
}

/* Many at once: none of them may run. */
static void x23_spawns(struct ctx *c)
{
	const char *prog = program(c);
	char *argv[] = {(char *)prog, (char *)"--be-there", NULL};
	char *env[] = {NULL};
	pid_t pid[SPAWNS];
	long worst = c->twin ? 0 : -EACCES;

	for (int i = 0; i < SPAWNS; i++) {
		int r, tries = 0;

		do
			r = posix_spawn(&pid[i], prog, NULL, NULL, argv, env);
		while (once_more(r, &tries));
		pid[i] = r ? -r : pid[i];
	}
	for (int i = 0; i < SPAWNS; i++) {
		long r = child_result(pid[i]);
		if (c->twin ? r < 0 : r != -EACCES)
			worst = r;
	}
	say(c, "spawns", worst);
}

/* Names are no identity. */
static void x24_names(struct ctx *c)
{
	static const char *const names[] = {"pinfoldd", "pinfold-init", "systemd"};

	leave_marker(c);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)prctl(PR_SET_NAME, names[i]);
		say(c, names[i], write_file());
	}
}

const struct row exec_rows[] = {
	{"X01", x01_execve},	    {"X02", x02_other_names}, {"X03", x03_copies},
	{"X04", x04_by_descriptor}, {"X05", x05_memfd},	      {"X06", x06_nameless},
	{"X07", x07_loader},	    {"X08", x08_preload},     {"X10", x10_scripts},
	{"X20", x20_powers},	    {"X21", x21_foreign_abi}, {"X22", x22_shared_children},
	{"X23", x23_spawns},	    {"X24", x24_names},	      {0}};
