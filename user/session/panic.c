/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stopping every session, whoever else is alive: LIVE off in the kernel's map, cgroup.kill on the
 * slice, until nobody is left there.
 */
#include "session/panic.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "kern/kern.h"
#include "session/cgroup.h"

#define LOOK_EVERY_MS 5

void panic_free(struct panic *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].id);
		free(p->v[i].name);
	}
	free(p->v);
	*p = (struct panic){0};
}

/* Keep the first thing that went wrong; the rest is tried all the same. */
static int wrong(struct panic *p, int r, const char *what)
{
	if (!p->error[0])
		(void)snprintf(p->error, sizeof(p->error), "%s: %s", what, strerror(-r));
	return r;
}

/* The entry of a cgroup, made when it is new; NULL: no memory, told. */
static struct panic_session *entry(struct panic *p, uint64_t cgroup)
{
	struct panic_session *v;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].cgroup == cgroup)
			return &p->v[i];
	v = reallocarray(p->v, p->n + 1, sizeof(*v));
	if (!v) {
		(void)wrong(p, -ENOMEM, "not every session can be listed");
		return NULL;
	}
	p->v = v;
	v += p->n++;
	*v = (struct panic_session){.cgroup = cgroup, .uid = (uid_t)-1};
	return v;
}

static void on_revoked(void *arg, __u64 id, const struct pf_session *k)
{
	struct panic_session *s = entry(arg, id);

	if (!s || s->name)
		return;
	s->uid = k->uid;
	s->name = strndup(k->name, sizeof(k->name));
}

static void note(struct panic *p, const char *slice, const char *name)
{
	struct cgroup cg;
	struct panic_session *s;

	if (cgroup_open(slice, name, &cg) < 0)
		return; /* it went, or is no session's */
	size_t n = cgroup_processes(&cg);

	s = n > 0 ? entry(p, cg.id) : NULL;
	if (s && !s->id) {
		s->id = strdup(name);
		s->processes = n;
		if (!s->id)
			(void)wrong(p, -ENOMEM, "not every session can be listed");
	}
	if (s)
		s->left = n;
	cgroup_close(&cg);
}

/* Who has processes now. */
static void note_all(struct panic *p, const char *slice)
{
	__cleanup_dir DIR *dir = opendir(slice);

	for (size_t i = 0; i < p->n; i++)
		p->v[i].left = 0;
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			note(p, slice, e->d_name);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int revoke_all(struct panic *p)
{
	char why[KERN_TEXT_MAX] = "";
	int r = kern_revoke_all(on_revoked, p, why);

	if (r < 0 && !p->error[0])
		(void)snprintf(p->error, sizeof(p->error), "%s", why);
	return r;
}

/* A session that pinfoldd starts in between is met in the next round. */
static int kill_all(struct panic *p, const char *slice, const struct cgroup *all)
{
	uint64_t deadline = now_ms() + PANIC_MS;
	int result = 0;

	for (;;) {
		int r = revoke_all(p);

		if (r < 0)
			result = r;
		note_all(p, slice);
		if (!cgroup_populated(all))
			return result;
		r = cgroup_kill(all);
		if (r < 0)
			return wrong(p, r, "cgroup.kill of " PF_SLICE);
		if (now_ms() > deadline)
			return -EBUSY;
		(void)poll(NULL, 0, LOOK_EVERY_MS);
	}
}

int panic_stop(struct panic *p)
{
	__cleanup_free char *slice = NULL;
	struct cgroup all = CGROUP_INIT;
	int r = cgroup_slice_find(&slice);

	if (r == 0)
		all.dir = open(slice, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && all.dir < 0)
		r = -errno;
	if (r == -ENOENT) /* no session was ever made, or none can be seen from here */
		return revoke_all(p);
	if (r < 0)
		return wrong(p, r, PF_SLICE);
	r = kill_all(p, slice, &all);
	cgroup_close(&all);
	return r;
}
