/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords that a policy owned by root names. They are read when a gate starts, sent to it, and
 * wiped; they are never in a log, an error, or a record.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "daemon/session.h"

#define SECRET_MAX 4096

int trusted_file_read(const char *path, mode_t forbidden, size_t max, char **ret,
		      char why[TEXT_MAX])
{
	__cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = -errno;

		(void)snprintf(why, TEXT_MAX, "%s: %s", path, strerror(-r));
		return r;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_mode & forbidden) {
		(void)snprintf(why, TEXT_MAX,
			       "%s must be a regular file that root owns and others cannot %s",
			       path, forbidden & 044 ? "read (chmod 0600)" : "write (chmod 0644)");
		return -EPERM;
	}
	int r = fd_read_file(fd, max, ret, NULL);

	if (r < 0)
		(void)snprintf(why, TEXT_MAX, "%s: %s", path, strerror(-r));
	return r;
}

/* Files come from editors and echo: one newline at the end is not part of it. */
static void cut_newline(char *text)
{
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
}

static int read_credential(const char *name, char **ret, char why[TEXT_MAX])
{
	__cleanup_free char *path = NULL;
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (!dir) {
		(void)snprintf(why, TEXT_MAX,
			       "systemd credential %s: pinfoldd has no $CREDENTIALS_DIRECTORY "
			       "(LoadCredential= in its unit)",
			       name);
		return -ENOENT;
	}
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	return trusted_file_read(path, 022, SECRET_MAX, ret, why);
}

static int read_variable(const char *name, char **ret, char why[TEXT_MAX])
{
	const char *value = getenv(name);

	if (!value) {
		(void)snprintf(why, TEXT_MAX, "variable %s is not in pinfoldd's environment", name);
		return -ENOENT;
	}
	*ret = strdup(value);
	return *ret ? 0 : -ENOMEM;
}

int secret_read(const struct policy_secret *secret, char **ret, char why[TEXT_MAX])
{
	int r = -EINVAL;

	switch (secret->from) {
	case POLICY_SECRET_NONE:
		return 0;
	case POLICY_SECRET_FILE:
		r = trusted_file_read(secret->value.text, 077, SECRET_MAX, ret, why);
		break;
	case POLICY_SECRET_ENV:
		return read_variable(secret->value.text, ret, why);
	case POLICY_SECRET_SYSTEMD:
		r = read_credential(secret->value.text, ret, why);
		break;
	}
	if (r == 0)
		cut_newline(*ret);
	return r;
}

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}
