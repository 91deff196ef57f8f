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

/* The text and the hash of it. */
static int read_text(struct session *s, int fd, struct start_error *e)
{
	uint8_t hash[POLICY_HASH_LEN];
	size_t len;
	int r = fd_read_file(fd, POLICY_TEXT_MAX, &s->policy_text, &len);

	if (r == 0)
		r = policy_hash(s->policy_text, len, hash);
	if (r < 0)
		return refuse(e, -r, strerror(-r));
	if (strlen(s->policy_text) != len)
		return refuse(e, EINVAL, "the policy has a NUL byte in it");
	(void)text_hex(s->policy_hash, hash, sizeof(hash));
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

	s->trusted = s->installed = true;
	return r < 0 ? r : read_text(s, fd, e);
}

/*
 * The caller's own text, in sealed memory: what other files give may change, block, or depend on
 * who reads them.
 */
static int check_sealed(int fd, struct start_error *e)
{
	const int wanted = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) < 0)
		return refuse(e, EINVAL, "the policy is not a sealed memfd (memfd_create(2))");
	if ((uint64_t)st.st_size > POLICY_TEXT_MAX)
		return refuse(e, EFBIG, "the policy is too long");
	return lseek(fd, 0, SEEK_SET) < 0 ? refuse(e, errno, strerror(errno)) : 0;
}

static int read_passed(struct session *s, const char *path, struct start_error *e)
{
	s->policy_file = strdup(path);
	if (!s->policy_file)
		return refuse(e, ENOMEM, "out of memory");
	int r = check_sealed(s->fds[CTL_RUN_POLICY], e);

	if (r < 0)
		return r;
	s->trusted = s->owner.caller == 0;
	return read_text(s, s->fds[CTL_RUN_POLICY], e);
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

int policy_identify(const struct session *s, json_t *o)
{
	json_t *id = json_pack("{s:s?, s:s?, s:b, s:b, s:s}", "policy", s->policy_name,
			       "policy_file", s->policy_file, "policy_installed", s->installed,
			       "policy_trusted", s->trusted, "policy_sha256", s->policy_hash);
	int r = id && o ? json_object_update(o, id) : -1;

	json_decref(id);
	return r < 0 ? -ENOMEM : 0;
}
