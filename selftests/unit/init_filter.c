/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filter of a session, on this kernel: what it refuses, in what words, and that the
 * same call is another matter without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include "base/core.h"
#include "init/filter.h"
#include "init/init.h" /* has a fail() of its own */

#include <cmocka.h>

#define NUMBERS 1024
#define X32_BIT 0x40000000

/* In a child, behind the filter or not: 0, or the line of the first wrong answer. */
static int in_child(int (*body)(void), bool filtered)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct filter *flt = NULL;

		if (core_never() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    filter_make(&flt) < 0 || (filtered && filter_load(flt) < 0))
			_exit(255);
		int r = body();

		_exit(r == 0 ? 0 : 1 + r % 250);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The line, so that a failure says where. */
#define WANT(what)                                                                                 \
	do {                                                                                       \
		if (!(what))                                                                       \
			return __LINE__;                                                           \
	} while (0)

static rlim_t core_limit(void)
{
	struct rlimit now = {7, 7};

	return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_cur == now.rlim_max ? now.rlim_cur : 7;
}

static int none_is_refused(void)
{
	const struct rlimit none = {0, 0};

	WANT(core_limit() == 1);
	WANT(setrlimit(RLIMIT_CORE, &none) == 0);
	WANT(core_limit() == 1);
	WANT(syscall(SYS_setrlimit, RLIMIT_CORE, &none) == 0);
	WANT(core_limit() == 1);
	/* the kernel takes the low half of the number */
	WANT(syscall(SYS_prlimit64, 0, 1ul << 32 | RLIMIT_CORE, &none, NULL) == 0);
	WANT(syscall(SYS_setrlimit, 1ul << 32 | RLIMIT_CORE, &none) == 0);
	WANT(core_limit() == 1);
	return 0;
}

static int none_is_granted(void)
{
	const struct rlimit none = {0, 0};

	WANT(core_limit() == 1);
	WANT(syscall(SYS_setrlimit, 1ul << 32 | RLIMIT_CORE, &none) == 0);
	WANT(core_limit() == 0);
	return 0;
}

static int both_are_refused(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit old;

	WANT(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, &old) < 0 && errno == EPERM);
	WANT(core_limit() == 1);
	return 0;
}

static int other_limits_work(void)
{
	const struct rlimit files = {16, 16};
	struct rlimit old, now;

	WANT(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, &old) == 0 && old.rlim_cur != 16);
	WANT(syscall(SYS_setrlimit, RLIMIT_NPROC, &files) == 0);
	WANT(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 16 && now.rlim_max == 16);
	WANT(getrlimit(RLIMIT_NPROC, &now) == 0 && now.rlim_cur == 16);
	return 0;
}

static void core_limit_cannot_be_changed(void **state)
{
	(void)state;
	assert_int_equal(in_child(none_is_granted, false), 0);
	assert_int_equal(in_child(none_is_refused, true), 0);
	assert_int_equal(in_child(both_are_refused, true), 0);
	assert_int_equal(in_child(other_limits_work, true), 0);
}

#define SETDELEG 1040
#define HIGH (1ul << 32) /* the kernel takes the low half of a command */

/* A file of our own, since nobody else may have a lease on it. */
static int own_file(void)
{
	char path[] = "/tmp/pf-lease-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

static int leases_are_granted(void)
{
	int fd = own_file();

	WANT(fcntl(fd, F_SETLEASE, F_WRLCK) == 0 && fcntl(fd, F_GETLEASE) == F_WRLCK);
	WANT(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
	WANT(syscall(SYS_fcntl, fd, HIGH | F_SETLEASE, F_WRLCK) == 0);
	return 0;
}

static int leases_are_refused(void)
{
	int fd = own_file();

	WANT(fd >= 0);
	WANT(fcntl(fd, F_SETLEASE, F_WRLCK) < 0 && errno == EINVAL);
	WANT(syscall(SYS_fcntl, fd, HIGH | F_SETLEASE, F_WRLCK) < 0 && errno == EINVAL);
	WANT(syscall(SYS_fcntl, fd, SETDELEG, NULL) < 0 && errno == EINVAL);
	WANT(fcntl(fd, F_GETLEASE) == F_UNLCK);
	return 0;
}

static int other_commands_work(void)
{
	struct flock lock = {.l_type = F_WRLCK};
	int fd = own_file(), pipes[2];

	WANT(fd >= 0 && pipe(pipes) == 0);
	WANT(fcntl(fd, F_GETFL) >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
	WANT(fcntl(fd, F_OFD_SETLK, &lock) == 0);
	WANT(fcntl(fd, F_DUPFD_CLOEXEC, 3) > 2);
	WANT(fcntl(pipes[0], F_SETPIPE_SZ, 8192) == 8192 && fcntl(pipes[0], F_GETPIPE_SZ) == 8192);
	return 0;
}

static void nobody_has_a_lease(void **state)
{
	(void)state;
	assert_int_equal(in_child(leases_are_granted, false), 0);
	assert_int_equal(in_child(leases_are_refused, true), 0);
	assert_int_equal(in_child(other_commands_work, true), 0);
}

/* Numbers that the filter has a rule for; found once, before there is a filter. */
static bool has_rule[NUMBERS];

static void note(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr >= 0 && nr < NUMBERS)
			has_rule[nr] = true;
	}
}

/* uretprobe and uprobe: newer kernels let no filter see them, and end who calls them by hand. */
static const long past_filters[] = {335, 336};

static int find_rules(void **state)
{
	static const char *const by_argument[] = {"clone", "fcntl", "personality", "setrlimit",
						  "prlimit64"};

	(void)state;
	note(filter_allowed, filter_n_allowed);
	note(filter_refused, filter_n_refused);
	note(by_argument, ARRAY_LEN(by_argument));
	for (size_t i = 0; i < ARRAY_LEN(past_filters); i++)
		has_rule[past_filters[i]] = true;
	return 0;
}

static int unknown_do_not_exist(void)
{
	for (long nr = 0; nr < NUMBERS; nr++)
		WANT(has_rule[nr] || (syscall(nr, -1, -1, -1, -1, -1, -1) < 0 && errno == ENOSYS));
	return 0;
}

static int refused_are_not_permitted(void)
{
	for (size_t i = 0; i < filter_n_refused; i++) {
		int nr = seccomp_syscall_resolve_name(filter_refused[i]);

		WANT(nr < 0 || (syscall(nr, -1, -1, -1, -1, -1, -1) < 0 && errno == EPERM));
	}
	return 0;
}

static void what_has_no_rule_does_not_exist(void **state)
{
	(void)state;
	/* the filter has none for this one, and the kernel does */
	assert_false(has_rule[SYS_ustat]);
	errno = 0;
	(void)syscall(SYS_ustat, -1, NULL);
	assert_int_not_equal(errno, ENOSYS);
	assert_int_equal(in_child(unknown_do_not_exist, true), 0);
	assert_int_equal(in_child(refused_are_not_permitted, true), 0);
}

#ifdef __x86_64__
static long getpid_by_i386(void)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static int i386_answers(void)
{
	WANT(getpid_by_i386() == getpid());
	return 0;
}

static int foreign_do_not_exist(void)
{
	WANT(getpid_by_i386() == -ENOSYS);
	WANT(syscall(X32_BIT | SYS_getpid) < 0 && errno == ENOSYS);
	return 0;
}

static void foreign_system_calls_do_not_exist(void **state)
{
	(void)state;
	assert_int_equal(in_child(i386_answers, false), 0);
	assert_int_equal(in_child(foreign_do_not_exist, true), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_limit_cannot_be_changed),
		cmocka_unit_test(nobody_has_a_lease),
		cmocka_unit_test(what_has_no_rule_does_not_exist),
#ifdef __x86_64__
		cmocka_unit_test(foreign_system_calls_do_not_exist),
#endif
	};

	return cmocka_run_group_tests(tests, find_rules, NULL);
}
