// SPDX-License-Identifier: Apache-2.0
/*
 * The program that the exec rows run (program.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "program.h"

/* Does this process have a mapping of a file of that name? */
static int has_mapped(const char *name)
{
	char line[4352]; /* a path, and the addresses in front of it */
	int r = EACCES;
	FILE *maps = fopen("/proc/self/maps", "re");

	if (!maps)
		return EIO;
	while (r && fgets(line, sizeof(line), maps))
		r = strstr(line, name) && strstr(line, "r-xp") ? 0 : EACCES;
	(void)fclose(maps);
	return r;
}

/* Has it any capability in effect? */
static int is_mighty(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &head, data) < 0)
		return errno;
	return data[0].effective || data[1].effective ? 0 : EPERM;
}

int program_main(char **argv)
{
	if (!strcmp(argv[0], "--be-there"))
		return 0;
	if (!strcmp(argv[0], "--be-mighty"))
		return is_mighty();
	if (!strcmp(argv[0], "--be-mapped") && argv[1])
		return has_mapped(argv[1]);
	return EINVAL;
}
