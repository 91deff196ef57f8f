// SPDX-License-Identifier: Apache-2.0
/*
 * Rows X09, X14-X18: making memory executable that the session has written through a file, writing
 * past protections, and calls that loosen memory as a whole.
 */
#include <asm/ldt.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"

#define LIBRARY "/lib/x86_64-linux-gnu/libm.so.6"
#define PAGE 4096

static long map_result(void *map)
{
	return map == MAP_FAILED ? -errno : 0;
}

/* A library that the session has written; the twin loads an installed one. */
static void x09_dlopen(struct ctx *c)
{
	char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/pf-mine.so", c->own_path);
	if (c->twin) {
		(void)snprintf(path, sizeof(path), "%s", LIBRARY);
	} else if (copy_file(LIBRARY, path) < 0) {
		say_word(c, "dlopen", "no-directory");
		return;
	}
	say(c, "dlopen", dlopen(path, RTLD_NOW | RTLD_LOCAL) ? 0 : -EACCES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	say(c, "mmap", map_result(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0)));
	close(fd);
}

static long make_executable(int fd, int prot, int flags)
{
	char *map = mmap(NULL, PAGE, prot, flags, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	if (prot & PROT_WRITE)
		map[0] = (char)0xc3; /* ret */
	return rc_of(mprotect(map, PAGE, PROT_READ | PROT_EXEC));
}

static void x14_write_then_execute(struct ctx *c)
{
	int prot = PROT_READ | PROT_WRITE;

	if (c->twin) {
		int fd = open(setting("tool"), O_RDONLY | O_CLOEXEC);
		say(c, "private", make_executable(fd, PROT_READ, MAP_PRIVATE));
		close(fd);
		return;
	}
	int fd = openat(c->own, "file", O_RDWR | O_CLOEXEC);
	say(c, "shared", make_executable(fd, prot, MAP_SHARED));
	say(c, "private", make_executable(fd, prot, MAP_PRIVATE));
	say(c, "at-once", map_result(mmap(NULL, PAGE, prot | PROT_EXEC, MAP_PRIVATE, fd, 0)));
	close(fd);
	fd = memfd_create("code", MFD_CLOEXEC);
	(void)!ftruncate(fd, PAGE); /* mapping it works anyway */
	say(c, "memfd", make_executable(fd, prot, MAP_SHARED));
	close(fd);
}

static long open_mem(struct ctx *c, const char *path)
{
	int fd = open(path, (c->twin ? O_RDONLY : O_RDWR) | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void x15_proc_mem(struct ctx *c)
{
	char path[64];
	pid_t child = idle_child();

	say(c, "self", open_mem(c, "/proc/self/mem"));
	say(c, "thread-self", open_mem(c, "/proc/thread-self/mem"));
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", child);
	say(c, "child", open_mem(c, path));
	end_child(child);
}

static long set_personality(struct ctx *c)
{
	return past(rc_of(personality(c->twin ? 0xffffffff : READ_IMPLIES_EXEC)));
}

static long set_layout(struct ctx *c)
{
	return past(rc_of(personality(c->twin ? 0xffffffff : ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO)));
}

static void x17_personality(struct ctx *c)
{
	say(c, "read-implies-exec", in_child(c, set_personality));
	say(c, "page-zero", in_child(c, set_layout));
}

static void x18_segments(struct ctx *c)
{
	char table[16];

	if (!c->twin)
		say(c, "modify-ldt", rc_of(syscall(SYS_modify_ldt, 0, table, sizeof(table))));
	else
		say(c, "modify-ldt", rc_of(syscall(SYS_getpid)));
}

const struct row exec_memory_rows[] = {{"X09", x09_dlopen},   {"X14", x14_write_then_execute},
				       {"X15", x15_proc_mem}, {"X17", x17_personality},
				       {"X18", x18_segments}, {0}};
