/* SPDX-License-Identifier: MIT */
/*
 * Placeholders: who is behind a descriptor, and when its last close is noticed, in this
 * process and in others, whatever was done to the descriptor meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "machine/files.h"

struct test_file {
	struct vfile base;
	int released;
};

static void release(struct vfile *f)
{
	((struct test_file *)(void *)f)->released++;
}

static const struct vfile_ops ops = {.name = "test", .release = release};

static struct files *files;

static int setup(void **state)
{
	return files_create(&files);
}

static int teardown(void **state)
{
	int left = files_destroy(files);

	files = NULL;
	return left;
}

static void init(struct test_file *t, int storage)
{
	*t = (struct test_file){0};
	vfile_init(&t->base, &ops, storage, 4096);
}

/* Open, and leave the descriptor as the only holder. */
static int open_only(struct test_file *t, int flags)
{
	int fd = files_open(files, &t->base, flags);

	assert_true(fd >= 0);
	vfile_put(&t->base);
	assert_int_equal(t->released, 0);
	return fd;
}

static void expect_alive(struct test_file *t, int fd)
{
	struct vfile *f;

	files_reap(files);
	assert_int_equal(t->released, 0);
	f = files_lookup(files, fd);
	assert_ptr_equal(f, &t->base);
	vfile_put(f);
}

static void expect_gone(struct test_file *t)
{
	files_reap(files);
	assert_int_equal(t->released, 1);
	assert_int_equal(files_count(files), 0);
}

static void test_dup_and_close(void **state)
{
	struct test_file t;
	int fd, copy;

	init(&t, -1);
	fd = open_only(&t, O_RDWR | O_CLOEXEC);
	copy = dup(fd);
	expect_alive(&t, copy);
	close(fd);
	expect_alive(&t, copy);
	close(copy);
	expect_gone(&t);
}

static void test_foreign_files(void **state)
{
	int fd = memfd_create("other", MFD_CLOEXEC);

	assert_null(files_lookup(files, fd));
	assert_null(files_lookup(files, 0));
	assert_null(files_lookup(files, -1));
	close(fd);
}

/* Access mode decides what the client sees, and must not decide what we notice. */
static void test_modes(void **state)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE,
				    O_RDWR | O_NONBLOCK};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct test_file t;
		int fd;

		init(&t, -1);
		fd = open_only(&t, modes[i]);
		assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), modes[i]);
		expect_alive(&t, fd);
		close(fd);
		expect_gone(&t);
	}
}

static void test_sealed(void **state)
{
	struct test_file t;
	struct stat st;
	int fd;

	init(&t, -1);
	fd = open_only(&t, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4096);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
	expect_gone(&t);
}

/* Two opens of one file (a device): each is itself, and ends by itself. */
static void test_shared_storage(void **state)
{
	struct test_file a, b;
	struct vfile *f;
	int fd_a, fd_b;
	int storage = memfd_create("bar", MFD_CLOEXEC);

	assert_int_equal(ftruncate(storage, (off_t)VFILE_STORAGE_BYTES), 0);
	init(&a, storage);
	init(&b, storage);
	fd_a = open_only(&a, O_RDWR);
	fd_b = open_only(&b, O_RDWR);
	f = files_lookup(files, fd_a);
	assert_ptr_equal(f, &a.base);
	vfile_put(f);
	f = files_lookup(files, fd_b);
	assert_ptr_equal(f, &b.base);
	vfile_put(f);
	close(fd_a);
	files_reap(files);
	assert_int_equal(a.released, 1);
	expect_alive(&b, fd_b);
	close(fd_b);
	expect_gone(&b);
	close(storage);
}

/* In Linux a mapping of the device keeps it open, so it does here. */
static void test_mapping_holds(void **state)
{
	int storage = memfd_create("bar", MFD_CLOEXEC);
	struct test_file t;
	void *p;
	int fd;

	assert_int_equal(ftruncate(storage, (off_t)VFILE_STORAGE_BYTES), 0);
	init(&t, storage);
	fd = open_only(&t, O_RDWR);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 (off_t)VFILE_REGION(2));
	assert_ptr_not_equal(p, MAP_FAILED);
	close(fd);
	files_reap(files);
	assert_int_equal(t.released, 0);
	munmap(p, 4096);
	expect_gone(&t);
	close(storage);
}

/* A description the client makes for itself ends nothing, now or later. */
static void test_reopened(void **state)
{
	struct test_file t;
	char path[32];
	int fd, own;

	init(&t, -1);
	fd = open_only(&t, O_RDWR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY);
	assert_true(own >= 0);
	close(own);
	expect_alive(&t, fd);
	expect_alive(&t, fd);
	close(fd);
	expect_gone(&t);
}

static void test_event_fd(void **state)
{
	struct pollfd p = {.fd = files_event_fd(files), .events = POLLIN};
	struct test_file t;
	int fd;

	init(&t, -1);
	fd = open_only(&t, O_RDWR);
	assert_int_equal(poll(&p, 1, 0), 0);
	close(fd);
	assert_int_equal(poll(&p, 1, 0), 1);
	expect_gone(&t);
}

static void send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

/* In flight, the file has no descriptor anywhere, and is still open. */
static void test_in_flight(void **state)
{
	struct test_file t;
	int sock[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sock), 0);
	init(&t, -1);
	fd = open_only(&t, O_RDWR);
	send_fd(sock[0], fd);
	close(fd);
	files_reap(files);
	assert_int_equal(t.released, 0);
	close(sock[0]);
	close(sock[1]);
	expect_gone(&t);
}

static void test_fork_and_kill(void **state)
{
	struct test_file t;
	int fd, status;
	pid_t pid;

	init(&t, -1);
	fd = open_only(&t, O_RDWR);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	close(fd);
	files_reap(files);
	assert_int_equal(t.released, 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	expect_gone(&t);
}

static void *close_fds(void *arg)
{
	int *fds = arg;

	for (int i = 0; i < 200; i++)
		close(fds[i]);
	return NULL;
}

/* Closes race with reaps on another CPU: after the closer is done, one reap sees all. */
static void test_racing_closes(void **state)
{
	static struct test_file t[200];
	pthread_t thread;
	int fds[200];

	for (int i = 0; i < 200; i++) {
		init(&t[i], -1);
		fds[i] = open_only(&t[i], O_RDWR);
	}
	pthread_create(&thread, NULL, close_fds, fds);
	for (int i = 0; i < 50; i++)
		files_reap(files);
	pthread_join(thread, NULL);
	files_reap(files);
	for (int i = 0; i < 200; i++)
		assert_int_equal(t[i].released, 1);
	assert_int_equal(files_count(files), 0);
}

static void test_destroy_counts(void **state)
{
	struct files *mine;
	struct test_file t;
	int fd;

	assert_int_equal(files_create(&mine), 0);
	init(&t, -1);
	fd = files_open(mine, &t.base, O_RDWR);
	vfile_put(&t.base);
	assert_int_equal(files_destroy(mine), 1);
	assert_int_equal(t.released, 1);
	close(fd);
}

/* ---- queues ----------------------------------------------------------------------- */

static int told;

static void ready(struct vfile *f)
{
	told++;
}

static const struct vfile_ops queue_ops = {
	.name = "queue", .ready = ready, .release = release};

static void test_queue(void **state)
{
	struct pollfd p = {.fd = files_event_fd(files), .events = POLLIN};
	struct test_file q = {0}, other;
	struct vfile *f;
	int fd, copy;
	char byte;

	init(&other, -1);
	vfile_init(&q.base, &queue_ops, -1, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q.base.ends), 0);
	fd = files_open(files, &q.base, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(q.base.ends[1], -1);
	assert_int_equal(files_open(files, &q.base, O_RDWR), -EBUSY);
	vfile_put(&q.base);
	assert_int_equal(files_count(files), 1);
	f = files_lookup(files, fd);
	assert_ptr_equal(f, &q.base);
	vfile_put(f);
	/* What the client does is told, once. */
	files_reap(files);
	told = 0;
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	files_reap(files);
	assert_int_equal(told, 1);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(send(q.base.ends[0], "y", 1, 0), 1);
	files_reap(files);
	told = 0;
	assert_int_equal(read(fd, &byte, 1), 1);
	files_reap(files);
	assert_int_equal(told, 1);
	/* Its last close, with others around. */
	copy = dup(fd);
	close(fd);
	assert_false(files_reap(files));
	assert_int_equal(q.released, 0);
	fd = files_open(files, &other.base, O_RDWR);
	vfile_put(&other.base);
	close(copy);
	assert_false(files_reap(files));
	assert_int_equal(q.released, 1);
	assert_int_equal(other.released, 0);
	close(q.base.ends[0]);
	close(fd);
	while (files_reap(files) && !other.released)
		;
	assert_int_equal(other.released, 1);
	assert_int_equal(files_count(files), 0);
	/* Other sockets are none of ours. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q.base.ends), 0);
	assert_null(files_lookup(files, q.base.ends[0]));
	close(q.base.ends[0]);
	close(q.base.ends[1]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_dup_and_close),
		T(test_foreign_files),
		T(test_modes),
		T(test_sealed),
		T(test_shared_storage),
		T(test_mapping_holds),
		T(test_reopened),
		T(test_event_fd),
		T(test_in_flight),
		T(test_fork_and_kill),
		T(test_racing_closes),
		T(test_queue),
		cmocka_unit_test(test_destroy_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
