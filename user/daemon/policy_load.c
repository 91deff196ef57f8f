/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a policy: by name from the directory that root owns, or as a descriptor that the
 * caller opened. What only root may say is refused in the latter unless root is the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/text.h"
#include "daemon/session.h"

static int refuse(struct start_error *e, int error, const char *text)
{
	e->error = error;
	(void)snprintf(e->text, sizeof(e->text), "%s", text);
	return -error;
}

/* A policy that others may write is anybody's. */
static int check_owner(int fd, const char *path, struct start_error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(e, errno, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_mode & 022) {
		(void)snprintf(e->text, sizeof(e->text),
			       "%s must be a regular file that root owns and nobody else may write "
			       "(chown root, chmod 0644)",
			       path);
		e->error = EPERM;
		return -EPERM;
	}
	return 0;
}

static int read_named(struct session *s, const char *name, struct start_error *e)
{
	__cleanup_fd int fd = -1;

	if (!text_name_ok(name, POLICY_NAME_MAX))
		return refuse(e, EINVAL, "this cannot be the name of a policy");
	if (asprintf(&s->policy_file, POLICIES_DIR "/%s.yaml", name) < 0)
		return refuse(e, ENOMEM, "out of memory");
	fd = open(s->policy_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		(void)snprintf(e->text, sizeof(e->text), "no policy \"%s\": %s: %s", name,
			       s->policy_file, strerror(errno));
		e->error = errno;
		return -errno;
	}
	int r = check_owner(fd, s->policy_file, e);

	if (r == 0)
		r = fd_read_file(fd, POLICY_TEXT_MAX, &s->policy_text, NULL);
	s->trusted = true;
	return r < 0 && !e->error ? refuse(e, -r, strerror(-r)) : r;
}

static int read_passed(struct session *s, const char *path, struct start_error *e)
{
	int fd = s->fds[CTL_RUN_POLICY];
	struct stat st;

	s->policy_file = strdup(path);
	if (!s->policy_file)
		return refuse(e, ENOMEM, "out of memory");
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return refuse(e, EINVAL, "the policy is not a regular file");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return refuse(e, errno, strerror(errno));
	int r = fd_read_file(fd, POLICY_TEXT_MAX, &s->policy_text, NULL);

	s->trusted = s->owner.caller == 0;
	return r < 0 ? refuse(e, -r, strerror(-r)) : 0;
}

int policy_parse_text(struct session *s, struct policy_err *err)
{
	int r = policy_parse(s->policy_text, strlen(s->policy_text), &s->policy, err);

	if (r == 0 && !s->trusted)
		r = policy_check_untrusted(s->policy, err);
	return r;
}

int policy_load(struct session *s, const struct ctl_run *run, struct start_error *e)
{
	struct policy_err err = {0};
	int r = run->policy_file ? read_passed(s, run->policy_file, e)
				 : read_named(s, run->policy ? run->policy : "default", e);

	if (r < 0)
		return r;
	r = policy_parse_text(s, &err);
	if (r < 0) {
		e->file = strdup(s->policy_file);
		e->line = err.line;
		e->column = err.column;
		return refuse(e, -r, err.text);
	}
	s->policy_name = strdup(s->policy->name.text ? s->policy->name.text : s->policy_file);
	return s->policy_name ? 0 : refuse(e, ENOMEM, "out of memory");
}
