// SPDX-License-Identifier: Apache-2.0
/*
 * Rows B01-B06, B09: Pinfold's own maps, programs, links and pins, by bpf(2) and through bpffs. The
 * plan names the objects: in a session Pinfold's, for the baseline stand-ins made by --bpf-objects.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"
#include "bpf_objects.h"

#define COMMANDS 48 /* kernels of the matrix have up to 38 */
#define DAEMON_FDS 64

long sys_bpf(int cmd, union bpf_attr *attr)
{
	return rc_of(syscall(SYS_bpf, cmd, attr, sizeof(*attr)));
}

/* Call try() for each id of a comma-separated list: the first success, else the last failure. */
static long each_id(const char *key, long (*try)(uint32_t id))
{
	const char *p = setting(key);
	long r = -ENOENT;

	while (p && *p && r < 0) {
		char *end;
		r = try((uint32_t)strtoul(p, &end, 10));
		p = *end == ',' ? end + 1 : NULL;
	}
	return r;
}

static long map_by_id(uint32_t id)
{
	union bpf_attr a = {.map_id = id};

	return sys_bpf(BPF_MAP_GET_FD_BY_ID, &a);
}

static long prog_by_id(uint32_t id)
{
	union bpf_attr a = {.prog_id = id};

	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &a);
}

static long link_by_id(uint32_t id)
{
	union bpf_attr a = {.link_id = id};

	return sys_bpf(BPF_LINK_GET_FD_BY_ID, &a);
}

static void b01_maps(struct ctx *c)
{
	static char key[512], value[65536];
	long fd = each_id("map-ids", map_by_id);
	union bpf_attr a = {
		.map_fd = (uint32_t)fd, .key = (uintptr_t)key, .value = (uintptr_t)value};

	say(c, "by-id", fd);
	say(c, "update", sys_bpf(BPF_MAP_UPDATE_ELEM, &a));
	a.value = 0;
	say(c, "delete", sys_bpf(BPF_MAP_DELETE_ELEM, &a));
}

static void b02_pins(struct ctx *c)
{
	char path[PATH_MAX];
	union bpf_attr a = {.pathname = (uintptr_t)path};

	(void)snprintf(path, sizeof(path), "%s", setting("map-pin"));
	say(c, "map", sys_bpf(BPF_OBJ_GET, &a));
	(void)snprintf(path, sizeof(path), "%s", setting("prog-pin"));
	say(c, "prog", sys_bpf(BPF_OBJ_GET, &a));
	(void)snprintf(path, sizeof(path), "%s", setting("link-pin"));
	say(c, "link", sys_bpf(BPF_OBJ_GET, &a));
}

static long steal_any(pid_t pid)
{
	long pidfd = rc_of(syscall(SYS_pidfd_open, pid, 0));
	long r = pidfd;

	for (int n = 3; pidfd >= 0 && n < DAEMON_FDS; n++) {
		r = rc_of(syscall(SYS_pidfd_getfd, (int)pidfd, n, 0));
		if (r >= 0 || r != -EBADF)
			break;
	}
	return r;
}

static long open_any(pid_t pid)
{
	char path[64], object[256];
	long r = -ENOENT;

	for (int n = 3; n < DAEMON_FDS && r == -ENOENT; n++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, n);
		/* A map's descriptor itself cannot be reopened; reading the link is already too
		 * much. */
		r = rc_of(readlink(path, object, sizeof(object)));
	}
	return r;
}

static void b03_from_daemon(struct ctx *c)
{
	const char *daemon = setting("daemon") ? setting("daemon") : setting("starter");
	pid_t pid = daemon ? (pid_t)strtol(daemon, NULL, 10) : 0;
	int sock = inherited_fd("B03");

	say(c, "pidfd-getfd", steal_any(pid));
	say(c, "proc-fd", open_any(pid));
	int fd = receive_fd(sock); /* inside a session nobody holds the other end */
	if (fd == -ECONNABORTED)
		say_word(c, "scm", "nofd");
	else
		say(c, "scm", fd);
}

static void b04_progs(struct ctx *c)
{
	char in[64] = {0};
	long fd = each_id("prog-ids", prog_by_id);
	long map = each_id("map-ids", map_by_id);
	union bpf_attr run = {.test = {.prog_fd = (uint32_t)fd,
				       .data_in = (uintptr_t)in,
				       .data_size_in = sizeof(in)}};
	union bpf_attr bind = {.prog_bind_map = {.prog_fd = (uint32_t)fd, .map_fd = (uint32_t)map}};
	int cgroup = open(setting("bpf-cgroup"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	union bpf_attr detach = {.target_fd = (uint32_t)cgroup,
				 .attach_bpf_fd = (uint32_t)fd,
				 .attach_type = BPF_CGROUP_INET_EGRESS};

	say(c, "by-id", fd);
	say(c, "test-run", sys_bpf(BPF_PROG_TEST_RUN, &run));
	say(c, "bind-map", sys_bpf(BPF_PROG_BIND_MAP, &bind));
	say(c, "detach", sys_bpf(BPF_PROG_DETACH, &detach));
}

static void b05_links(struct ctx *c)
{
	long fd = each_id("link-ids", link_by_id);
	long prog = each_id("prog-ids", prog_by_id);
	union bpf_attr update = {
		.link_update = {.link_fd = (uint32_t)fd, .new_prog_fd = (uint32_t)prog}};
	union bpf_attr detach = {.link_detach = {.link_fd = (uint32_t)fd}};

	say(c, "by-id", fd);
	say(c, "update", sys_bpf(BPF_LINK_UPDATE, &update));
	say(c, "detach", sys_bpf(BPF_LINK_DETACH, &detach));
}

static void b06_pin_removal(struct ctx *c)
{
	const char *dir = setting("pins");
	const char *pin = setting("link-pin");
	char moved[PATH_MAX];

	(void)snprintf(moved, sizeof(moved), "%s-gone", pin);
	long r = rc_of(rename(pin, moved));
	say(c, "rename", r);
	if (r >= 0)
		(void)rename(moved, pin);
	say(c, "unlink", rc_of(unlink(pin)));
	say(c, "plant", rc_of(mkdirat(AT_FDCWD, moved, 0700)));
	(void)snprintf(moved, sizeof(moved), "%s-gone", dir);
	r = rc_of(rename(dir, moved));
	say(c, "rename-dir", r);
	if (r >= 0)
		(void)rename(moved, dir);
	say(c, "umount", rc_of(umount2(setting("bpffs"), MNT_DETACH)));
}

/* Every command there is, and some more: refused before anybody looks at what it asks. */
static void b09_every_command(struct ctx *c)
{
	long worst = -EPERM;

	for (int cmd = 0; cmd < COMMANDS; cmd++) {
		union bpf_attr attr = {0};
		long r = past(sys_bpf(cmd, &attr));
		if (r >= 0)
			worst = r;
	}
	say(c, "commands", worst);
}

const struct row bpf_rows[] = {{"B01", b01_maps},	   {"B02", b02_pins},
			       {"B03", b03_from_daemon},   {"B04", b04_progs},
			       {"B05", b05_links},	   {"B06", b06_pin_removal},
			       {"B09", b09_every_command}, {0}};
