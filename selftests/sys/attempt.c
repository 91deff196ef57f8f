// SPDX-License-Identifier: Apache-2.0
/*
 * attempt PLAN: runs the cases that a plan file lists, each in a child of its own, first against
 * the forbidden target and then against the twin, and prints a line per try:
 *
 *	R <row> <way> <fs> target|twin <sub> <result>
 *
 * The child's comm is "<row>.<way>.<fs>" ("+" in front for the twin), so that records in the audit
 * log can be told apart. attempt itself judges nothing: the driver outside does.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt.h"
#include "bpf_objects.h"
#include "program.h"
#include "world.h"

/* The first socket of a family loads a module; what takes longer than this hangs. */
#define CASE_SECONDS 150
#define SETTINGS_MAX 64

static const char *const way_names[WAY_MAX] = {"sys",  "libc",	  "thread", "uring",
					       "i386", "inherit", "scm"};

static const struct row *const tables[] = {
	file_open_rows, file_data_rows,	 file_meta_rows,   file_name_rows, file_link_rows,
	net_inet_rows,	net_family_rows, net_unix_rows,	   cgroup_rows,	   bpf_rows,
	hazard_rows,	exec_rows,	 exec_memory_rows, file_deny_rows, mount_rows,
	object_rows,	uring_rows,	 privilege_rows,   filter_rows,	   task_rows};

/* The plan's settings: constant once it is read. */
static struct {
	char *key;
	char *value;
} settings[SETTINGS_MAX];
static size_t n_settings;

const char *setting(const char *key)
{
	for (size_t i = 0; i < n_settings; i++) {
		if (!strcmp(settings[i].key, key))
			return settings[i].value;
	}
	return NULL;
}

bool confined(const struct ctx *c)
{
	return c->mode[0] != 'b';
}

const char *tag(const struct ctx *c)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "%s.%s.%s\n", c->row, way_names[c->way], c->mode);
	return text;
}

void say_word(const struct ctx *c, const char *sub, const char *word)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "R\t%s\t%s\t%s\t%s\t%s\t%s\n", c->row,
			 way_names[c->way], c->fs, c->twin ? "twin" : "target", sub, word);

	if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(3);
}

void say(const struct ctx *c, const char *sub, long rc)
{
	char word[32];

	if (rc >= 0) {
		say_word(c, sub, "ok");
		return;
	}
	const char *name = strerrorname_np((int)-rc);
	(void)snprintf(word, sizeof(word), "%s", name ? name : "E?");
	say_word(c, sub, word);
}

long past(long rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -ENOSYS ? rc : 0;
}

int ask_outside(char *answer, size_t size, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(line + 2, sizeof(line) - 4, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(line) - 4)
		return -EINVAL;
	memcpy(line, "?\t", 2);
	line[n + 2] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n + 3) != n + 3)
		return -EPIPE;

	size_t have = 0;
	while (have + 1 < size && read(STDIN_FILENO, answer + have, 1) == 1) {
		if (answer[have] == '\n') {
			answer[have] = 0;
			return 0;
		}
		have++;
	}
	return -EPIPE;
}

int inherited_fd(const char *row)
{
	static const char families[] = "FNCB";
	const char *family = strchr(families, row[0]); /* "F07" is 107, "N32" is 232 */

	return (int)(family - families + 1) * 100 + (int)strtol(row + 1, NULL, 10);
}

static const struct row *find_row(const char *id)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct row *r = tables[t]; r->id; r++) {
			if (!strcmp(r->id, id))
				return r;
		}
	}
	return NULL;
}

/* --- one case --- */

struct job {
	const struct row *row;
	struct ctx ctx;
};

static void *run_in_thread(void *arg)
{
	struct job *job = arg;

	job->row->run(&job->ctx);
	return NULL;
}

static void set_comm(const struct ctx *c, const char *mark)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "%s%.3s.%s.%s", mark, c->row, way_names[c->way], c->fs);
	(void)prctl(PR_SET_NAME, name); /* cannot fail for a readable string */
}

/*
 * io_uring's workers have a comm of their own, and so has a program that is executed. One denied
 * open under "@<case>" ties the case to its process id; the driver does not count that record.
 */
void leave_marker(const struct ctx *c)
{
	const char *path = setting("marker");

	if (c->twin || !confined(c) || !path)
		return;
	set_comm(c, "@");
	(void)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY, 0); /* meant to fail */
	set_comm(c, "");
}

static int enter_directories(struct ctx *c)
{
	struct place p = {.base = setting("base"), .mode = c->mode, .fs = c->fs};
	char name[64];

	if (!strcmp(c->fs, "-"))
		p.fs = "ov";
	(void)snprintf(name, sizeof(name), "%s.%s", c->row, way_names[c->way]);
	world_path(&p, "allowed", name, c->own_path);
	if (c->twin) {
		(void)snprintf(name, sizeof(name), "%s.%s+", c->row, way_names[c->way]);
		world_path(&p, "allowed", name, c->target_path);
	} else {
		world_path(&p, "victim", name, c->target_path);
	}
	c->own = open(c->own_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	c->target = open(c->target_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->own < 0 || c->target < 0 || chdir(c->target_path) < 0)
		return -errno;
	return 0;
}

static void run_case(struct job *job)
{
	struct ctx *c = &job->ctx;
	pthread_t thread;

	(void)alarm(CASE_SECONDS);
	(void)umask(0);
	int r = enter_directories(c);
	if (r < 0) {
		say_word(c, "-", "no-directory");
		return;
	}
	if (c->way == WAY_URING)
		leave_marker(c);
	set_comm(c, c->twin ? "+" : "");
	if (c->way != WAY_THREAD) {
		job->row->run(c);
		return;
	}
	if (thread_again(&thread, run_in_thread, job) != 0)
		say_word(c, "-", "no-thread");
	else
		(void)pthread_join(thread, NULL);
}

static void spawn_case(struct job *job)
{
	int status;
	pid_t pid = fork_again();

	if (pid == 0) {
		run_case(job);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		say_word(&job->ctx, "-", "no-process");
		return;
	}
	if (WIFSIGNALED(status)) {
		char word[32];
		(void)snprintf(word, sizeof(word), "SIG%s", sigabbrev_np(WTERMSIG(status)));
		say_word(&job->ctx, "-", word);
	}
}

/* --- the plan --- */

static int way_by_name(const char *name)
{
	for (int w = 0; w < WAY_MAX; w++) {
		if (!strcmp(way_names[w], name))
			return w;
	}
	return -1;
}

static int plan_case(const char *row, const char *way, const char *fs, bool with_twin)
{
	int w = way_by_name(way);
	struct job job = {.row = find_row(row)};

	if (!job.row || w < 0) {
		fprintf(stderr, "attempt: no row %s by %s\n", row, way);
		return -EINVAL;
	}
	job.ctx = (struct ctx){
		.row = job.row->id, .fs = fs, .mode = setting("mode"), .way = (enum way)w};
	spawn_case(&job);
	job.ctx.twin = true;
	if (with_twin)
		spawn_case(&job);
	return 0;
}

static int set(const char *key, const char *value)
{
	if (n_settings == SETTINGS_MAX)
		return -ENOSPC;
	settings[n_settings].key = strdup(key);
	settings[n_settings].value = strdup(value);
	n_settings++;
	return 0;
}

static int plan_line(const char *line)
{
	char word[16], a[64], b[512], d[16];
	int n = sscanf(line, "%15s %63s %511s %15s", word, a, b, d);

	if (n < 1 || !strcmp(word, "hold")) /* "hold" is for --holding */
		return 0;
	if (!strcmp(word, "set") && n == 3)
		return set(a, b);
	if ((!strcmp(word, "case") || !strcmp(word, "alone")) && n == 4)
		return plan_case(a, b, d, word[0] == 'c');
	fprintf(stderr, "attempt: bad line in the plan: %s", line);
	return -EINVAL;
}

static int run_plan(const char *path)
{
	char line[1024];
	int bad = 0;
	FILE *plan = fopen(path, "re");

	if (!plan) {
		perror(path);
		return -1;
	}
	while (fgets(line, sizeof(line), plan))
		bad |= plan_line(line) < 0;
	(void)fclose(plan);
	return bad ? -1 : 0;
}

static bool told_to_stop(void)
{
	struct pollfd p = {STDIN_FILENO, POLLIN, 0};

	return poll(&p, 1, 0) != 0; /* only the end of it ever comes */
}

static int run_loop(const char *path)
{
	int r = 0;

	while (!r && !told_to_stop()) {
		n_settings = 0;
		r = run_plan(path);
	}
	return r;
}

int main(int argc, char **argv)
{
	char starter[16];

	if (argc == 3 && !strcmp(argv[1], "--snapshot"))
		return world_snapshot(argv[2]) < 0;
	if (argc == 4 && !strcmp(argv[1], "--make"))
		return world_make(argv[2], argv[3]) < 0;
	if (argc == 4 && !strcmp(argv[1], "--bpf-objects"))
		return bpf_objects_make(argv[2], argv[3]) < 0;
	if (argc >= 2 && !strncmp(argv[1], "--be-", 5))
		return program_main(argv + 1);
	if (argc > 3 && !strcmp(argv[1], "--as-pid"))
		return world_as_pid(argv[2], argv + 3);
	if (argc > 3 && !strcmp(argv[1], "--holding"))
		return world_hold(argv[2], argv + 3);
	if (argc == 3 && !strcmp(argv[1], "--loop"))
		return run_loop(argv[2]) < 0;
	if (argc != 2) {
		fprintf(stderr, "usage: attempt PLAN\n");
		return 2;
	}
	(void)snprintf(starter, sizeof(starter), "%d", getppid());
	if (set("starter", starter) < 0 || run_plan(argv[1]) < 0)
		return 1;
	printf("E\tend\n");
	return 0;
}
