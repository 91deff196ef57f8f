/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one system call costs, as the median of five rounds. Under `vmtest.sh -i` a nanosecond is
 * one instruction. Measures only; whether it runs inside a session, outside, or under Landlock is
 * up to the caller (--landlock DIR restricts this process to writes below DIR first).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"

#define ROUNDS 5
#define WARM_UP 200

struct job {
	const char *a, *b; /* FILE, or ADDRESS and PORT, or PROGRAM */
};

static int op_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd;
}

static int op_open_read(const struct job *j)
{
	return op_open(j->a, O_RDONLY);
}

static int op_open_write(const struct job *j)
{
	return op_open(j->a, O_RDWR);
}

/* The errno is what is wanted: a denial is the thing measured. */
static int op_open_denied(const struct job *j)
{
	return op_open(j->a, O_WRONLY) < 0 && (errno == EPERM || errno == EACCES) ? 0 : -1;
}

static int op_connect(const struct job *j)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(j->b))};
	__cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger reset = {.l_onoff = 1};

	if (inet_pton(AF_INET, j->a, &sin.sin_addr) != 1 || fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		return -1;
	return connect(fd, (struct sockaddr *)&sin, sizeof(sin));
}

static int op_exec(const struct job *j)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl(j->a, j->a, NULL);
		_exit(127);
	}
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static const struct mode {
	const char *name;
	int (*op)(const struct job *j);
	int args;
} modes[] = {
	{"open-read", op_open_read, 1},
	{"open-write", op_open_write, 1},
	{"open-denied", op_open_denied, 1},
	{"connect", op_connect, 2},
	{"exec", op_exec, 1},
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int measure(const struct mode *m, const struct job *j, unsigned int n)
{
	uint64_t round[ROUNDS];

	for (int i = 0; i < WARM_UP; i++)
		if (m->op(j) < 0) {
			fprintf(stderr, "syscost: %s %s: %s\n", m->name, j->a, strerror(errno));
			return 1;
		}
	for (int r = 0; r < ROUNDS; r++) {
		uint64_t start = now_ns();

		for (unsigned int i = 0; i < n; i++)
			if (m->op(j) < 0)
				return 1;
		round[r] = (now_ns() - start) / n;
	}
	qsort(round, ROUNDS, sizeof(round[0]), compare);
	printf("%llu\n", (unsigned long long)round[ROUNDS / 2]);
	return 0;
}

/* Handle reads, writes and execution; give reads and execution everywhere, writes below dir. */
static int restrict_to(const char *dir)
{
	const uint64_t all = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
			     LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	struct landlock_ruleset_attr attr = {.handled_access_fs = all};
	__cleanup_fd int set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	const struct {
		const char *path;
		uint64_t access;
	} rules[] = {{"/", all & ~LANDLOCK_ACCESS_FS_WRITE_FILE}, {dir, all}};

	if (set < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		__cleanup_fd int fd = open(rules[i].path, O_PATH | O_CLOEXEC);
		struct landlock_path_beneath_attr beneath = {.allowed_access = rules[i].access,
							     .parent_fd = fd};

		if (fd < 0 ||
		    syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0))
			return -errno;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, set, 0))
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--landlock") == 0) {
		int r = restrict_to(argv[2]);

		if (r < 0) {
			fprintf(stderr, "syscost: landlock: %s\n", strerror(-r));
			return 1;
		}
		argv += 2;
		argc -= 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const struct mode *m = &modes[i];

		if (argc < 3 + m->args || strcmp(argv[1], m->name) != 0)
			continue;
		struct job j = {.a = argv[3], .b = m->args > 1 ? argv[4] : NULL};

		return measure(m, &j, (unsigned int)atoi(argv[2]));
	}
	fputs("usage: syscost [--landlock DIR] open-read|open-write|open-denied N FILE | connect N "
	      "IP PORT | "
	      "exec N PROGRAM\n",
	      stderr);
	return 2;
}
