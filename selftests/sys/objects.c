// SPDX-License-Identifier: Apache-2.0
/*
 * Rows F58, F61, F64-F66, I13-I15: devices, memory and queues that live outside files, and calls
 * that make the kernel write or watch.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fanotify.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attempt.h"

static long open_for(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void f58_devices(struct ctx *c)
{
	static const char *const paths[] = {
		"/dev/mem",	"/dev/port",	     "/dev/kmsg",  "/dev/fuse",
		"/dev/net/tun", "/dev/loop-control", "/dev/loop0", "/dev/mapper/control",
		"/dev/vda",	"/dev/uinput",	     "/dev/kvm",   "/dev/cpu/0/msr"};
	char path[PATH_MAX];

	if (c->twin) {
		say(c, "null", open_for("/dev/null", O_RDWR));
		say(c, "inside", open_for("/dev/zero", O_RDWR));
		return;
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		say(c, strrchr(paths[i], '/') + 1, open_for(paths[i], O_RDWR));
	/* Made by root, in a directory that the session may write to. */
	(void)snprintf(path, sizeof(path), "%s/ov/allowed/%s.dev/kmsg", setting("base"), c->mode);
	say(c, "inside", open_for(path, O_RDWR));
	say(c, "inside-read", open_for(path, O_RDONLY));
}

static void f61_shared_memory(struct ctx *c)
{
	if (c->twin) {
		int fd = open("/dev/shm/pft-own", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		say(c, "dev-shm", fd < 0 ? -errno : 0);
		close(fd);
		(void)unlink("/dev/shm/pft-own");
		return;
	}
	say(c, "dev-shm", open_for("/dev/shm/pft", O_RDWR));
}

static void f64_accounting(struct ctx *c)
{
	if (c->twin) {
		say(c, "acct", write_file());
		return;
	}
	say(c, "acct", past(rc_of(syscall(SYS_acct, "file"))));
	say(c, "acct-off", past(rc_of(syscall(SYS_acct, NULL))));
	say(c, "swapon", past(rc_of(syscall(SYS_swapon, "file", 0))));
	say(c, "swapoff", past(rc_of(syscall(SYS_swapoff, "file"))));
	say(c, "quotactl", past(rc_of(syscall(SYS_quotactl, 0x80000200, "/dev/loop0", 0, NULL))));
}

/* The kernel takes 32 bits of a command. */
#define HIGH_BIT (1UL << 32)

static long lease(int fd, unsigned long command, long type)
{
	return rc_of(syscall(SYS_fcntl, fd, command, type));
}

/* Of a file of one's own, since nobody else may have one; the twin asks and locks. */
static void f66_leases(struct ctx *c)
{
	struct flock lock = {.l_type = F_RDLCK};
	int dir = c->own, fd;

	(void)unlinkat(dir, "leased", 0);
	fd = openat(dir, "leased", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		say(c, "file", -errno);
		return;
	}
	if (c->twin) {
		say(c, "ask", rc_of(fcntl(fd, F_GETLEASE)));
		say(c, "lock", rc_of(fcntl(fd, F_SETLK, &lock)));
		say(c, "duplicate", rc_of(fcntl(fd, F_DUPFD_CLOEXEC, 3)));
	} else {
		say(c, "read", lease(fd, F_SETLEASE, F_RDLCK));
		say(c, "write", lease(fd, F_SETLEASE, F_WRLCK));
		say(c, "high", lease(fd, F_SETLEASE | HIGH_BIT, F_RDLCK));
	}
	close(fd);
}

static void f65_fanotify(struct ctx *c)
{
	if (c->twin) {
		say(c, "permission", rc_of(syscall(SYS_inotify_init1, O_CLOEXEC)));
		return;
	}
	say(c, "permission",
	    rc_of(syscall(SYS_fanotify_init, FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY)));
	say(c, "notify", rc_of(syscall(SYS_fanotify_init, FAN_REPORT_FID | FAN_CLOEXEC, O_RDONLY)));
}

/* Objects of the host under one key, made by the driver; the twin makes its own. */
static void i13_system_v(struct ctx *c)
{
	int flags = c->twin ? IPC_CREAT | 0600 : 0;
	key_t key = (key_t)strtol(setting("ipc-key"), NULL, 10);
	int shm = shmget(key, 4096, flags);

	say(c, "shmget", rc_of(shm));
	void *at = shmat(shm, NULL, 0);
	say(c, "shmat", at == (void *)-1 ? -errno : 0);
	say(c, "semget", rc_of(semget(key, 1, flags)));
	int queue = msgget(key, flags);
	struct {
		long type;
		char text[4];
	} m = {1, "abc"};
	say(c, "msgget", rc_of(queue));
	say(c, "msgsnd", rc_of(msgsnd(queue, &m, sizeof(m.text), IPC_NOWAIT)));
}

static void i14_queues(struct ctx *c)
{
	int flags = O_RDWR | O_NONBLOCK | (c->twin ? O_CREAT : 0);
	mqd_t q = mq_open(c->twin ? "/pft-own" : "/pft", flags, 0600, NULL);

	say(c, "mq-open", q == (mqd_t)-1 ? -errno : 0);
	if (q != (mqd_t)-1)
		(void)mq_close(q);
	if (c->twin)
		(void)mq_unlink("/pft-own");
}

/* Type a letter into the terminal that this process has as its own. */
static long type_ahead(struct ctx *c)
{
	char name[64];
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0)
		return -errno;
	if (unlockpt(master) < 0 || ptsname_r(master, name, sizeof(name)) != 0 || setsid() < 0)
		return -ENXIO;
	int tty = open(name, O_RDWR | O_CLOEXEC);
	if (tty < 0)
		return -errno;
	if (c->twin)
		return write(tty, "x", 1) == 1 ? 0 : -errno;
	return rc_of(ioctl(tty, TIOCSTI, "x"));
}

static void i15_terminal(struct ctx *c)
{
	say(c, "tiocsti", in_child(c, type_ahead));
}

const struct row object_rows[] = {
	{"F58", f58_devices},  {"F61", f61_shared_memory}, {"F64", f64_accounting},
	{"F65", f65_fanotify}, {"F66", f66_leases},	   {"I13", i13_system_v},
	{"I14", i14_queues},   {"I15", i15_terminal},	   {0}};
