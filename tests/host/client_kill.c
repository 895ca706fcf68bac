/* SPDX-License-Identifier: MIT */
/*
 * A process is killed that has exported its device's memory, while another's engine
 * writes into it: the survivor's engine faults from then on, also when the device is
 * somebody else's, whose memory it must not reach; a fresh export works again.
 */
#include "client.h"
#include "scenarios.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define CDEV1  "/dev/vfio/devices/vfio1"
#define LENGTH (16 * PAGE)
#define ROUNDS 3
#define STALE  0xddddddddddddddddull
#define CANARY 0xcacacacacacacacaull

static void export_and_wait(int sock)
{
	struct device d;

	device_open(&d, CDEV0);
	send_fd(sock, device_export(&d, LENGTH));
	for (;;)
		pause();
}

static void map_buffer(struct device *d, int buf)
{
	struct iommu_ioas_map_file m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = d->ioas,
		.fd = buf,
		.length = LENGTH,
		.iova = FAR_IOVA,
	};

	CHECK(!ioctl(d->iommu, IOMMU_IOAS_MAP_FILE, &m));
}

struct engine {
	struct device d;
	_Atomic unsigned long arrived;
};

/* Until the engine faults. */
static void *write_always(void *arg)
{
	struct engine *e = arg;
	int err;

	while (!(err = device_fill(&e->d, FAR_IOVA, STALE, LENGTH)))
		e->arrived++;
	CHECK(err == -EIO);
	return NULL;
}

/* Every word of the exported memory is @value. */
static void check_memory(struct device *d, uint64_t value)
{
	uint64_t bar = region_offset(d->fd, VFIO_PCI_BAR2_REGION_INDEX, NULL, NULL);
	static uint64_t words[LENGTH / 8];

	CHECK(pread(d->fd, words, LENGTH, (off_t)bar) == (ssize_t)LENGTH);
	for (size_t i = 0; i < LENGTH / 8; i++)
		CHECK(words[i] == value);
}

static void put_canary(struct device *d)
{
	uint64_t bar = region_offset(d->fd, VFIO_PCI_BAR2_REGION_INDEX, NULL, NULL);
	static uint64_t words[LENGTH / 8];

	memset(words, 0xca, LENGTH);
	CHECK(pwrite(d->fd, words, LENGTH, (off_t)bar) == (ssize_t)LENGTH);
}

static void kill_one(struct engine *e)
{
	int sock[2], buf, status;
	struct device next;
	pthread_t t;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		export_and_wait(sock[1]);
	buf = receive_fd(sock[0]);
	device_open(&e->d, CDEV1);
	map_buffer(&e->d, buf);
	e->arrived = 0;
	CHECK(!pthread_create(&t, NULL, write_always, e));
	while (e->arrived < 5)
		sched_yield();
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	CHECK(!pthread_join(t, NULL));
	/* It may take a moment until the device is free. */
	while (!device_try_open(&next, CDEV0))
		sched_yield();
	put_canary(&next);
	for (int i = 0; i < 5; i++)
		CHECK(device_fill(&e->d, FAR_IOVA, STALE, LENGTH) == -EIO);
	check_memory(&next, CANARY);
	CHECK(!unmap(e->d.iommu, e->d.ioas, FAR_IOVA, LENGTH));
	close(buf);
	buf = device_export(&next, LENGTH);
	CHECK(buf >= 0);
	map_buffer(&e->d, buf);
	CHECK(!device_fill(&e->d, FAR_IOVA, STALE, LENGTH));
	check_memory(&next, STALE);
	close(buf);
	device_close(&next);
	device_close(&e->d);
	close(sock[0]);
	close(sock[1]);
}

void scenario_kill_exporter(void)
{
	static struct engine e;

	for (int i = 0; i < ROUNDS; i++)
		kill_one(&e);
}
