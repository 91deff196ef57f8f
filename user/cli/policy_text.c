/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy on its way to the daemon: the name of one that is installed, or the text of a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/cli.h"

/* The text in memory that nobody changes any more. */
static int seal(const char *text, size_t len)
{
	__cleanup_fd int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : fd_write_all(fd, text, len);

	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int cli_open_policy(const char *policy, bool *ok)
{
	__cleanup_free char *text = NULL;
	size_t len;

	*ok = true;
	if (!strchr(policy, '/') && text_name_ok(policy, POLICY_NAME_MAX))
		return -1;
	int r = file_read(AT_FDCWD, policy, POLICY_TEXT_MAX, &text, &len);

	if (r == 0)
		r = seal(text, len);
	if (r >= 0)
		return r;
	*ok = false;
	if (r == -EFBIG)
		(void)cli_fail("policy %s: it has at most %u bytes", policy, POLICY_TEXT_MAX);
	else
		(void)cli_fail("policy %s: %s", policy, strerrordesc_np(-r));
	return -1;
}
