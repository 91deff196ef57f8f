// SPDX-License-Identifier: Apache-2.0
/*
 * Known hazards that rows of the catalogue do not name: H01, rule inodes that the kernel has
 * evicted; H02, a label look-up that is preempted.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "attempt.h"

#define THREADS 8
#define DROPS 5

static long open_close(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/*
 * Outside, the caches are dropped. The rules must go on to hold and to allow, also the one on a
 * directory that lies on the overlay's lower layer alone, where only root may write.
 */
static void h01_dropped_caches(struct ctx *c)
{
	char answer[32];
	long file = c->twin ? 0 : -EACCES;
	long lower = file;

	for (int i = 0; i < DROPS; i++) {
		if (ask_outside(answer, sizeof(answer), "drop_caches") < 0) {
			say_word(c, "file", "no-driver");
			return;
		}
		long r = open_close(AT_FDCWD, "file");
		if (c->twin ? r < 0 : r >= 0)
			file = r;
		if (geteuid() != 0)
			continue;
		r = open_close(AT_FDCWD,
			       c->twin ? setting("lower-allowed") : setting("lower-victim"));
		if (c->twin ? r < 0 : r >= 0)
			lower = r;
	}
	say(c, "file", file);
	if (geteuid() == 0)
		say(c, "lower", lower);
}

struct opener {
	struct ctx *c;
	long tries, worst;
};

static void *open_many(void *arg)
{
	struct opener *o = arg;

	o->worst = o->c->twin ? 0 : -EACCES;
	for (long i = 0; i < o->tries; i++) {
		long r = open_close(AT_FDCWD, "file");
		if (o->c->twin ? r < 0 : r >= 0)
			o->worst = r;
	}
	return NULL;
}

/* More threads than processors, so that they are preempted everywhere. */
static void h02_preempted_look_up(struct ctx *c)
{
	const char *wanted = setting("open-tries");
	pthread_t thread[THREADS];
	struct opener o[THREADS];
	long worst = c->twin ? 0 : -EACCES;
	int n = 0;

	while (n < THREADS) {
		o[n] = (struct opener){.c = c, .tries = wanted ? strtol(wanted, NULL, 10) : 1000};
		if (thread_again(&thread[n], open_many, &o[n]) != 0)
			break;
		n++;
	}
	for (int i = 0; i < n; i++) {
		(void)pthread_join(thread[i], NULL);
		if (c->twin ? o[i].worst < 0 : o[i].worst >= 0)
			worst = o[i].worst;
	}
	say(c, "opens", n == THREADS ? worst : -EAGAIN);
}

const struct row hazard_rows[] = {{"H01", h01_dropped_caches}, {"H02", h02_preempted_look_up}, {0}};
