// SPDX-License-Identifier: Apache-2.0
/*
 * Rows P01-P05, P09-P20, I19, I26: namespaces, identities, and calls that belong to whoever runs
 * the machine. Every call is one that changes nothing when it succeeds, or is made in a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/io.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "attempt.h"

/* What the twin does where nothing like the row is allowed: an ordinary child. */
static long live(struct ctx *c)
{
	(void)c;
	return getpid() > 0 ? 0 : -ESRCH;
}

static bool ordinary(struct ctx *c, const char *sub)
{
	if (c->twin)
		say(c, sub, in_child(c, live));
	return c->twin;
}

/* --- namespaces --- */

static long unshare_in_child(unsigned long flags)
{
	pid_t pid = fork_again();

	if (pid == 0)
		_exit(syscall(SYS_unshare, flags) < 0 ? errno : 0);
	return pid < 0 ? -errno : child_result(pid);
}

static long clone_with(unsigned long flags)
{
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : child_result(pid);
}

static long clone3_with(uint64_t flags)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : child_result(pid);
}

static void p01_user_namespace(struct ctx *c)
{
	if (ordinary(c, "unshare"))
		return;
	say(c, "unshare", unshare_in_child(CLONE_NEWUSER));
	say(c, "clone", clone_with(CLONE_NEWUSER));
	say(c, "clone3", clone3_with(CLONE_NEWUSER));
	say(c, "with-mounts", unshare_in_child(CLONE_NEWUSER | CLONE_NEWNS));
}

static void p02_namespaces(struct ctx *c)
{
	static const struct {
		const char *sub;
		unsigned long flag;
	} spaces[] = {{"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
		      {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
		      {"time", CLONE_NEWTIME}};

	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		char sub[32];
		if (ordinary(c, spaces[i].sub))
			continue;
		say(c, spaces[i].sub, unshare_in_child(spaces[i].flag));
		(void)snprintf(sub, sizeof(sub), "clone3-%s", spaces[i].sub);
		say(c, sub, clone3_with(spaces[i].flag));
	}
}

static long enter_own(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : rc_of(syscall(SYS_setns, fd, 0));
}

static long enter_net(struct ctx *c)
{
	(void)c;
	return enter_own("/proc/self/ns/net");
}

static long enter_by_pidfd(struct ctx *c)
{
	int fd = (int)rc_of(syscall(SYS_pidfd_open, getppid(), 0));

	(void)c;
	return fd < 0 ? fd : rc_of(syscall(SYS_setns, fd, CLONE_NEWUTS));
}

static void p03_setns(struct ctx *c)
{
	if (ordinary(c, "net"))
		return;
	say(c, "net", in_child(c, enter_net));
	say(c, "pidfd", in_child(c, enter_by_pidfd));
}

/* --- identities --- */

static long become_other(struct ctx *c)
{
	uid_t uid = c->twin ? getuid() : 12345;

	return rc_of(syscall(SYS_setresuid, uid, uid, uid));
}

static long become_group(struct ctx *c)
{
	gid_t gid = c->twin ? getgid() : 12345;

	return rc_of(syscall(SYS_setresgid, gid, gid, gid));
}

static long change_groups(struct ctx *c)
{
	gid_t none = 12345;

	return c->twin ? rc_of(getgroups(0, NULL)) : rc_of(syscall(SYS_setgroups, 1, &none));
}

static long change_fsuid(struct ctx *c)
{
	if (c->twin)
		return 0;
	(void)syscall(SYS_setfsuid, 12345);
	return syscall(SYS_setfsuid, -1) == 12345 ? 0 : -EPERM;
}

static void p04_identity(struct ctx *c)
{
	say(c, "setresuid", in_child(c, become_other));
	say(c, "setresgid", in_child(c, become_group));
	say(c, "setgroups", in_child(c, change_groups));
	say(c, "setfsuid", in_child(c, change_fsuid));
}

static long set_caps(uint32_t bits, uint32_t inheritable)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = bits, .permitted = bits, .inheritable = inheritable}};

	return rc_of(syscall(SYS_capset, &head, data));
}

static long raise_caps(struct ctx *c)
{
	return c->twin ? set_caps(0, 0) : set_caps(1u << CAP_SYS_ADMIN, 0);
}

static long raise_ambient(struct ctx *c)
{
	(void)c;
	long r = set_caps(1u << CAP_CHOWN, 1u << CAP_CHOWN);
	return r < 0 ? r : rc_of(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
}

static long keep_caps(struct ctx *c)
{
	(void)c;
	return rc_of(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
}

static void p05_capabilities(struct ctx *c)
{
	say(c, "capset", in_child(c, raise_caps));
	if (c->twin)
		return;
	say(c, "ambient", in_child(c, raise_ambient));
	say(c, "securebits", in_child(c, keep_caps));
}

/* --- what belongs to the machine --- */

static void p09_keys(struct ctx *c)
{
	if (ordinary(c, "add"))
		return;
	long session = KEY_SPEC_USER_KEYRING;
	say(c, "add", past(rc_of(syscall(SYS_add_key, "user", "pft", "x", 1, session))));
	say(c, "request", past(rc_of(syscall(SYS_request_key, "user", "pft-none", NULL, session))));
	say(c, "keyctl", past(rc_of(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, session, 0))));
}

static void p10_modules(struct ctx *c)
{
	if (ordinary(c, "init"))
		return;
	int fd = open("file", O_RDONLY | O_CLOEXEC);
	say(c, "init", past(rc_of(syscall(SYS_init_module, "junk", 4, ""))));
	say(c, "finit", past(rc_of(syscall(SYS_finit_module, fd, "", 0))));
	say(c, "delete", past(rc_of(syscall(SYS_delete_module, "pft_none", O_NONBLOCK))));
	close(fd);
}

static void p11_kernels(struct ctx *c)
{
	if (ordinary(c, "kexec"))
		return;
	say(c, "kexec", past(rc_of(syscall(SYS_kexec_load, 0, 0, NULL, 0))));
	say(c, "kexec-file", past(rc_of(syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0))));
	say(c, "reboot",
	    past(rc_of(syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			       LINUX_REBOOT_CMD_CAD_OFF, NULL))));
}

static long all_ports(struct ctx *c)
{
	(void)c;
	return rc_of(iopl(3));
}

static long one_port(struct ctx *c)
{
	(void)c;
	return rc_of(ioperm(0x80, 1, 1));
}

static void p13_ports(struct ctx *c)
{
	if (ordinary(c, "iopl"))
		return;
	say(c, "iopl", in_child(c, all_ports));
	say(c, "ioperm", in_child(c, one_port));
}

static void p14_perf(struct ctx *c)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_CPU_CLOCK};

	if (ordinary(c, "self"))
		return;
	say(c, "self", rc_of(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0)));
	say(c, "cpu", rc_of(syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0)));
}

static void p15_userfaultfd(struct ctx *c)
{
	if (!ordinary(c, "user-mode"))
		say(c, "user-mode", rc_of(syscall(SYS_userfaultfd, O_CLOEXEC | 1)));
}

static void p17_clocks(struct ctx *c)
{
	struct timespec now;
	struct timex look = {0};

	if (ordinary(c, "clock-settime"))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	say(c, "clock-settime", rc_of(syscall(SYS_clock_settime, CLOCK_REALTIME, &now)));
	struct timeval tv = {now.tv_sec, now.tv_nsec / 1000};
	say(c, "settimeofday", rc_of(syscall(SYS_settimeofday, &tv, NULL)));
	look.modes = ADJ_FREQUENCY;
	say(c, "adjtimex", rc_of(syscall(SYS_adjtimex, &look)));
	say(c, "clock-adjtime", rc_of(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &look)));
}

static void p18_kernel_log(struct ctx *c)
{
	char line[64];

	if (ordinary(c, "read"))
		return;
	say(c, "read", rc_of(syscall(SYS_syslog, 3, line, sizeof(line))));
	say(c, "size", rc_of(syscall(SYS_syslog, 10, NULL, 0)));
}

static void p19_names(struct ctx *c)
{
	struct utsname u;

	if (ordinary(c, "hostname") || uname(&u) < 0)
		return;
	say(c, "hostname", rc_of(syscall(SYS_sethostname, u.nodename, strlen(u.nodename))));
	say(c, "domainname", rc_of(syscall(SYS_setdomainname, u.domainname, strlen(u.domainname))));
}

static long move_arguments(struct ctx *c)
{
	static char arguments[64];
	unsigned long at = (unsigned long)arguments;

	(void)c;
	return rc_of(prctl(PR_SET_MM, PR_SET_MM_ARG_START, at, 0, 0));
}

static void p20_prctl(struct ctx *c)
{
	if (!ordinary(c, "arguments"))
		say(c, "arguments", in_child(c, move_arguments));
}

/* --- who one says to be --- */

static void i19_credentials(struct ctx *c)
{
	struct ucred who = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0) {
		say_word(c, "uid", "no-pair");
		return;
	}
	if (!c->twin)
		who.uid = 12345;
	say(c, "uid", send_beside(pair[0], SCM_CREDENTIALS, &who, sizeof(who)));
	who.uid = getuid();
	who.pid = c->twin ? getpid() : getppid();
	say(c, "pid", send_beside(pair[0], SCM_CREDENTIALS, &who, sizeof(who)));
	close(pair[0]);
	close(pair[1]);
}

static void i26_visible(struct ctx *c)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", c->twin ? "self" : setting("holder"));
	say(c, "stat", rc_of(stat(path, &st)));
}

const struct row privilege_rows[] = {
	{"P01", p01_user_namespace}, {"P02", p02_namespaces},	{"P03", p03_setns},
	{"P04", p04_identity},	     {"P05", p05_capabilities}, {"P09", p09_keys},
	{"P10", p10_modules},	     {"P11", p11_kernels},	{"P13", p13_ports},
	{"P14", p14_perf},	     {"P15", p15_userfaultfd},	{"P17", p17_clocks},
	{"P18", p18_kernel_log},     {"P19", p19_names},	{"P20", p20_prctl},
	{"I19", i19_credentials},    {"I26", i26_visible},	{0}};
