/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of the session in its read-only /run/pinfold, and in place of those of /etc: names
 * are the endpoints of the policy and nothing else, since there is no name server to ask.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"

#define RUN_DIR "/run/pinfold"
#define CA_FILE RUN_DIR "/ca.pem"

static const char nsswitch[] = "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"
			       "hosts: files\nnetworks: files\nprotocols: files\nservices: files\n"
			       "ethers: files\nrpc: files\nnetgroup: files\n";
static const char resolv[] = "# No name server: /etc/hosts has every name that this session may "
			     "reach.\noptions attempts:1 timeout:1\n";

static int write_file(const char *path, const char *text)
{
	__cleanup_fd int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, text, strlen(text));
}

int make_parents(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/*
 * Where a symbolic link in /etc leads to (/run/systemd/resolve/stub-resolv.conf, say): in the
 * session's own empty /run, so the file is written there. Elsewhere: bind over the target.
 */
static int link_target(const char *path, char target[PATH_MAX])
{
	char link[PATH_MAX];
	ssize_t n = readlink(path, link, sizeof(link) - 1);

	if (n < 0)
		return -errno;
	link[n] = '\0';
	const char *rel = link;

	while (strncmp(rel, "../", 3) == 0)
		rel += 3;
	int len = snprintf(target, PATH_MAX, "%s%s",
			   link[0] == '/'		  ? ""
			   : strncmp(link, "../", 3) == 0 ? "/"
							  : "/etc/",
			   rel);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int replace_etc(const char *path, const char *ours, const char *text)
{
	char target[PATH_MAX];
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.st_mode)) {
		int r = link_target(path, target);

		if (r < 0)
			return r;
		if (stat(path, &st) < 0 && errno == ENOENT) {
			r = strncmp(target, "/run/", 5) == 0 ? make_parents(target) : 0;
			return r < 0 || strncmp(target, "/run/", 5) ? r : write_file(target, text);
		}
	}
	return mount(ours, path, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

int files_make(const struct setup *s, struct failure *f)
{
	const struct {
		const char *etc, *ours, *text;
	} files[] = {
		{"/etc/hosts", RUN_DIR "/hosts", s->hosts},
		{"/etc/resolv.conf", RUN_DIR "/resolv.conf", resolv},
		{"/etc/nsswitch.conf", RUN_DIR "/nsswitch.conf", nsswitch},
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int r = write_file(files[i].ours, files[i].text);

		if (r == 0)
			r = replace_etc(files[i].etc, files[i].ours, files[i].text);
		if (r < 0)
			return fail(f, -r, "cannot put the session's own %s in place: %s",
				    files[i].etc, strerror(-r));
	}
	return 0;
}

int files_write_ca(const char *pem, struct failure *f)
{
	int r = write_file(CA_FILE, pem);

	return r < 0 ? fail(f, -r, "cannot write " CA_FILE ": %s", strerror(-r)) : 0;
}
