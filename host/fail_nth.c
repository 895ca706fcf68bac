/* SPDX-License-Identifier: MIT */
/*
 * See fail_nth.h.
 *
 * A task is known by its number and the time it started, as numbers are used again. The
 * table has those that some open file is of, and those with a count; what is left of
 * ended ones goes when the next file is opened. `lock` guards all of it and is a leaf;
 * the two totals are also read without it.
 */
#include "host/fail_nth.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/list.h"
#include "core/port.h"
#include "host/call.h"
#include "host/host.h"
#include "host/process.h"
#include "host/view.h"
#include "port/fault_inject.h"
#include "uapi/vfile.h"

#define FILE_NAME "fail-nth"
/* More is not looked at: any number with any prefix, and a newline, is shorter. */
#define MAX_TEXT 66

struct task {
	struct list on_table;
	pid_t tid;
	unsigned long long start;
	unsigned left, writes, files;
};

struct fail_nth {
	pthread_mutex_t lock;
	struct list tasks;
	atomic_uint files, armed;
};

struct file {
	struct vfile f;
	struct fail_nth *table;
	struct task *task;
	_Atomic size_t pos; /* for read(2); writing does not move it */
};

/* ---- tasks ---------------------------------------------------------------------- */

/* When the thread started, in ticks since boot; 0: there is none. */
static unsigned long long start_of(pid_t tid)
{
	unsigned long long start = 0;
	char path[32], text[1024];
	const char *p;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	/* The second field is the name, in brackets, of any characters; we want the 22nd.
	 */
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		sscanf(p, "%llu", &start);
	return start;
}

static bool lives(const struct task *task)
{
	return start_of(task->tid) == task->start;
}

static struct task *find(struct fail_nth *t, pid_t tid, unsigned long long start)
{
	list_for_each (it, &t->tasks) {
		struct task *task = list_entry(it, struct task, on_table);

		if (task->tid == tid && task->start == start)
			return task;
	}
	return NULL;
}

static void set_left(struct fail_nth *t, struct task *task, unsigned left)
{
	t->armed += (left != 0) - (task->left != 0);
	task->left = left;
}

static void drop_if_idle(struct task *task)
{
	if (task->files || task->left)
		return;
	list_remove(&task->on_table);
	free(task);
}

static void drop_ended(struct fail_nth *t)
{
	list_for_each_safe (it, &t->tasks) {
		struct task *task = list_entry(it, struct task, on_table);

		if (task->files || lives(task))
			continue;
		set_left(t, task, 0);
		drop_if_idle(task);
	}
}

static struct task *add(struct fail_nth *t, pid_t tid, unsigned long long start)
{
	struct task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->tid = tid;
	task->start = start;
	list_append(&t->tasks, &task->on_table);
	return task;
}

/* ---- the file ------------------------------------------------------------------- */

static struct file *file_of(struct vfile *f)
{
	return container_of(f, struct file, f);
}

static ssize_t read_at(struct vfile *f, struct client *c, uint64_t va, size_t n,
		       uint64_t pos)
{
	struct file *file = file_of(f);
	char text[16];
	size_t len;
	int err;

	if (!lives(file->task))
		return -ESRCH;
	pthread_mutex_lock(&file->table->lock);
	len = (size_t)snprintf(text, sizeof(text), "%u\n", file->task->left);
	pthread_mutex_unlock(&file->table->lock);
	if ((int64_t)pos < 0)
		return -EINVAL;
	if (pos >= len || !n)
		return 0;
	n = n < len - pos ? n : len - pos;
	err = client_copy_out(c, va, text + pos, n);
	return err ? err : (ssize_t)n;
}

static ssize_t file_read(struct vfile *f, struct client *c, int fd, uint64_t va, size_t n)
{
	struct file *file = file_of(f);
	ssize_t done = read_at(f, c, va, n, file->pos);

	if (done > 0)
		file->pos += (size_t)done;
	return done;
}

/* A number as Linux reads it: in decimal, 0x or 0 before others; one newline may follow.
 */
static int parse(const char *text, unsigned *out)
{
	unsigned long long v;
	const char *digits;
	char *end;

	text += *text == '+';
	digits = text;
	if (digits[0] == '0' && (digits[1] | 0x20) == 'x')
		digits += 2;
	if (!strchr("0123456789abcdefABCDEF", *digits) || !*digits)
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno == ERANGE)
		return -ERANGE;
	end += *end == '\n';
	if (end == text || *end)
		return -EINVAL;
	if (v > UINT_MAX)
		return -ERANGE;
	*out = (unsigned)v;
	return 0;
}

static ssize_t file_write(struct vfile *f, struct client *c, uint64_t va, size_t n)
{
	struct file *file = file_of(f);
	char text[MAX_TEXT + 1];
	unsigned value = 0;
	size_t take = n < MAX_TEXT ? n : MAX_TEXT;
	int err = client_copy_in(c, text, va, take);

	if (err)
		return err;
	text[take] = '\0';
	err = parse(text, &value);
	if (err)
		return err;
	if (!lives(file->task))
		return -ESRCH;
	pthread_mutex_lock(&file->table->lock);
	set_left(file->table, file->task, value);
	file->task->writes++;
	pthread_mutex_unlock(&file->table->lock);
	return (ssize_t)n;
}

/* Where it is written makes no difference. */
static ssize_t file_pwrite(struct vfile *f, struct client *c, uint64_t va, size_t n,
			   uint64_t offset)
{
	return (int64_t)offset < 0 ? -EINVAL : file_write(f, c, va, n);
}

static void file_release(struct vfile *f)
{
	struct file *file = file_of(f);
	struct fail_nth *t = file->table;

	pthread_mutex_lock(&t->lock);
	t->files--;
	file->task->files--;
	drop_if_idle(file->task);
	pthread_mutex_unlock(&t->lock);
	free(file);
}

static const struct vfile_ops file_ops = {
	.name = FILE_NAME,
	.read = file_read,
	.write = file_write,
	.pread = read_at,
	.pwrite = file_pwrite,
	.release = file_release,
};

int fail_nth_open(struct fail_nth *t, pid_t tid, struct vfile **out)
{
	unsigned long long start = start_of(tid);
	struct file *file;
	struct task *task;

	if (!start)
		return -ENOENT;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	pthread_mutex_lock(&t->lock);
	drop_ended(t);
	task = find(t, tid, start);
	if (!task)
		task = add(t, tid, start);
	if (task) {
		task->files++;
		t->files++;
	}
	pthread_mutex_unlock(&t->lock);
	if (!task) {
		free(file);
		return -ENOMEM;
	}
	file->table = t;
	file->task = task;
	vfile_init(&file->f, &file_ops, -1, 0);
	*out = &file->f;
	return 0;
}

bool fail_nth_in_use(const struct fail_nth *t)
{
	return t && t->files;
}

/* ---- its name ------------------------------------------------------------------- */

/* The text after @prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) ? NULL : text + n;
}

static pid_t own_process(struct call *c)
{
	struct process *p;

	return call_process(c, &p) ? 0 : process_id(p);
}

/* A number and what follows it; 0: none. */
static pid_t number(const char **text)
{
	char *end;
	long n;

	if (**text < '1' || **text > '9')
		return 0;
	n = strtol(*text, &end, 10);
	*text = end;
	return n > INT_MAX ? 0 : (pid_t)n;
}

static bool is_thread_of(pid_t tgid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)tgid, (int)tid);
	return !access(path, F_OK);
}

static pid_t of_absolute(struct call *c, const char *path)
{
	const char *rest = after(path, "/proc/"), *p;
	pid_t process, thread;

	if (!rest)
		return 0;
	if ((p = after(rest, "thread-self"))) {
		process = thread = c->tid;
	} else if ((p = after(rest, "self"))) {
		process = thread = own_process(c);
	} else {
		p = rest;
		process = thread = number(&p);
	}
	rest = after(p, "/task/");
	if (rest) {
		p = rest;
		thread = number(&p);
		if (!is_thread_of(process, thread))
			return 0;
	}
	return strcmp(p, "/" FILE_NAME) ? 0 : thread;
}

pid_t fail_nth_of_path(struct call *c, const char *base, const char *path)
{
	size_t n = strlen(path), name = strlen(FILE_NAME);
	char full[2 * PATH_MAX];

	if (!c->host->fail_nth || n < name || strcmp(path + n - name, FILE_NAME))
		return 0;
	if (path[0] == '/')
		return of_absolute(c, path);
	snprintf(full, sizeof(full), "%s/%s", base, path);
	return of_absolute(c, full);
}

/* ---- counting ------------------------------------------------------------------- */

struct fail_nth_count fail_nth_begin(struct call *c)
{
	struct fail_nth *t = c->host->fail_nth;
	struct fail_nth_count n = {0};
	unsigned long long start;
	struct task *task;

	if (!t || !t->armed)
		return n;
	start = start_of(c->tid);
	pthread_mutex_lock(&t->lock);
	task = find(t, c->tid, start);
	if (task && task->left) {
		n.counts = true;
		n.writes = task->writes;
		port_fail_nth_of(PORT_FAIL_ALL, task->left);
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

void fail_nth_end(struct call *c, struct fail_nth_count n)
{
	struct fail_nth *t = c->host->fail_nth;
	unsigned left = (unsigned)port_fail_nth_left();
	struct task *task;

	if (!n.counts)
		return;
	port_fail_nth(0);
	pthread_mutex_lock(&t->lock);
	task = find(t, c->tid, start_of(c->tid));
	/* What was written meanwhile stands. */
	if (task && task->writes == n.writes) {
		set_left(t, task, left);
		drop_if_idle(task);
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- debugfs -------------------------------------------------------------------- */

/* What Linux has for each kind of point, and what is in it after boot. */
static const struct {
	const char *name, *text;
} knobs[] = {
	{"probability", "0\n"},
	{"interval", "1\n"},
	{"times", "1\n"},
	{"space", "0\n"},
	{"verbose", "2\n"},
	{"verbose_ratelimit_interval_ms", "0\n"},
	{"verbose_ratelimit_burst", "10\n"},
	{"task-filter", "N\n"},
};

static const struct {
	const char *kind, *name, *text;
} more_knobs[] = {
	{"failslab", "ignore-gfp-wait", "Y\n"},
	{"failslab", "cache-filter", "N\n"},
	{"fail_page_alloc", "ignore-gfp-wait", "Y\n"},
	{"fail_page_alloc", "ignore-gfp-highmem", "Y\n"},
	{"fail_page_alloc", "min-order", "1\n"},
};

static const char *const kinds[] = {"failslab", "fail_page_alloc", "fail_usercopy",
				    "fail_iommufd"};

static int add_knob(struct view *v, const char *kind, const char *name, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kind, name);
	return view_add_knob(v, path, text);
}

/*
 * They hold what is written to them, and that is all: our points are there without any
 * setup, and there is no failing by chance.
 */
static int add_knobs(struct view *v)
{
	int err = view_own_dir(v, "/sys/kernel/debug");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (size_t k = 0; !err && k < ARRAY_LEN(knobs); k++)
			err = add_knob(v, kinds[i], knobs[k].name, knobs[k].text);
	for (size_t i = 0; !err && i < ARRAY_LEN(more_knobs); i++)
		err = add_knob(v, more_knobs[i].kind, more_knobs[i].name,
			       more_knobs[i].text);
	return err;
}

int fail_nth_create(struct view *view, struct fail_nth **out)
{
	mode_t mask = umask(0);
	struct fail_nth *t;
	int err = add_knobs(view);

	umask(mask);
	if (err)
		return err;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	list_init(&t->tasks);
	*out = t;
	return 0;
}

void fail_nth_destroy(struct fail_nth *t)
{
	if (!t)
		return;
	list_for_each_safe (it, &t->tasks) {
		list_remove(it);
		free(list_entry(it, struct task, on_table));
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}
