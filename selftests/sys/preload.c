// SPDX-License-Identifier: Apache-2.0
/*
 * A library for LD_PRELOAD that leaves the name of each program that loads it in the file that
 * PF_PRELOAD_LOG names, before the program's first instruction.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void)
{
	const char *path = getenv("PF_PRELOAD_LOG");
	char program[256]; /* longer names are cut: it is a report for people and a test */
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int fd = path && n > 0 ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	program[n] = '\n';
	if (write(fd, program, (size_t)n + 1) < 0)
		_exit(99);
	close(fd);
}
