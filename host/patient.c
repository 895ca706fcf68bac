/* SPDX-License-Identifier: MIT */
/* See patient.h. The call is an ioctl that the real filter notifies as well. */
#include "host/patient.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/filter.h"
#include "host/launch.h"

#define PATIENT_BYTES      4096
#define PATIENT_TIMEOUT_MS 5000
#define PATIENT_CALL       _IO(';', 0xff)
#define PATIENT_VALUE      42

static int make_memory(struct patient *p)
{
	p->shared_fd = memfd_create("patient", MFD_CLOEXEC);
	if (p->shared_fd < 0 || ftruncate(p->shared_fd, PATIENT_BYTES))
		return -errno;
	p->private_memory = mmap(NULL, PATIENT_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p->shared_memory = mmap(NULL, PATIENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				p->shared_fd, 0);
	if (p->private_memory == MAP_FAILED || p->shared_memory == MAP_FAILED)
		return -ENOMEM;
	return 0;
}

static _Noreturn void be_patient(struct patient *p, int sock,
				 const struct sock_fprog *filter)
{
	bool killable;
	int listener;

	p->private_memory[0] = 1;
	listener = launch_install_filter(filter, &killable);
	launch_send_fd(sock, listener < 0 ? -errno : killable, listener);
	if (listener < 0)
		_exit(1);
	close(listener);
	_exit(ioctl(-1, PATIENT_CALL) == PATIENT_VALUE ? 0 : 1);
}

static int receive_call(struct patient *p)
{
	struct pollfd pfd = {.fd = p->listener, .events = POLLIN};
	/* Newer kernels may write a little more. */
	union {
		struct seccomp_notif req;
		char room[sizeof(struct seccomp_notif) + 256];
	} u;

	if (poll(&pfd, 1, PATIENT_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	memset(&u, 0, sizeof(u));
	if (ioctl(p->listener, SECCOMP_IOCTL_NOTIF_RECV, &u.req))
		return -errno;
	p->id = u.req.id;
	return 0;
}

static int start_child(struct patient *p, const struct sock_fprog *filter)
{
	int sock[2], report, err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return -errno;
	p->pid = fork();
	if (p->pid < 0) {
		err = -errno;
		close(sock[0]);
		close(sock[1]);
		return err;
	}
	if (!p->pid)
		be_patient(p, sock[1], filter);
	close(sock[1]);
	err = launch_receive_fd(sock[0], &report, &p->listener);
	close(sock[0]);
	if (err)
		return err;
	p->killable = report > 0;
	return report < 0 ? report : 0;
}

int patient_start(struct patient *p, const char **what)
{
	struct sock_fprog filter = {0};
	int err;

	*p = (struct patient){.listener = -1, .shared_fd = -1};
	*what = "memory files";
	err = make_memory(p);
	if (err)
		return err;
	*what = "seccomp filter";
	err = filter_create(&filter, false);
	if (err)
		return err;
	*what = "seccomp listener";
	err = start_child(p, &filter);
	free(filter.filter);
	if (!err)
		err = receive_call(p);
	return err;
}

int patient_answer(struct patient *p, int value)
{
	union {
		struct seccomp_notif_resp resp;
		char room[sizeof(struct seccomp_notif_resp) + 256];
	} u;
	int status;

	memset(&u, 0, sizeof(u));
	u.resp.id = p->id;
	u.resp.val = value;
	if (ioctl(p->listener, SECCOMP_IOCTL_NOTIF_SEND, &u.resp))
		return -errno;
	if (waitpid(p->pid, &status, 0) != p->pid)
		return -errno;
	p->pid = 0;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPROTO;
}

void patient_finish(struct patient *p)
{
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	if (p->listener >= 0)
		close(p->listener);
	if (p->shared_fd >= 0)
		close(p->shared_fd);
	if (p->private_memory && p->private_memory != MAP_FAILED)
		munmap(p->private_memory, PATIENT_BYTES);
	if (p->shared_memory && p->shared_memory != MAP_FAILED)
		munmap(p->shared_memory, PATIENT_BYTES);
}
