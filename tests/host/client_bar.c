/* SPDX-License-Identifier: MIT */
/* A memory BAR by its own file in /sys, as drivers without a driver of the kernel map it.
 */
#include "client.h"
#include "scenarios.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define FUNCTION DEVICES BDF0
#define BAR_SIZE ((size_t)16 << 20)

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void set_command(uint16_t value)
{
	int fd = open(FUNCTION "/config", O_RDWR);

	CHECK(fd >= 0 && pwrite(fd, &value, sizeof(value), 4) == sizeof(value));
	close(fd);
}

static void *map_bar(int fd, int prot, size_t length, off_t offset)
{
	return mmap(NULL, length, prot, MAP_SHARED, fd, offset);
}

static bool is_refused(int fd, int prot, size_t length, off_t offset, int err)
{
	errno = 0;
	return map_bar(fd, prot, length, offset) == MAP_FAILED && errno == err;
}

static sigjmp_buf faulted;

static void on_bus_error(int sig)
{
	(void)sig;
	siglongjmp(faulted, 1);
}

static bool faults(const volatile unsigned char *p)
{
	struct sigaction sa = {.sa_handler = on_bus_error}, before;
	volatile bool fault = true;

	CHECK(!sigaction(SIGBUS, &sa, &before));
	if (!sigsetjmp(faulted, 1)) {
		(void)*p;
		fault = false;
	}
	CHECK(!sigaction(SIGBUS, &before, NULL));
	return fault;
}

static void check_mapping(int fd, int wc)
{
	const int rw = PROT_READ | PROT_WRITE;
	volatile unsigned char *a = map_bar(fd, rw, PAGE, 2 * PAGE);
	const volatile unsigned char *b = map_bar(wc, PROT_READ, BAR_SIZE, 0);

	CHECK(a != MAP_FAILED && b != MAP_FAILED);
	a[5] = 0x5a;
	CHECK(b[2 * PAGE + 5] == 0x5a);
	CHECK(is_refused(fd, rw, BAR_SIZE + PAGE, 0, EINVAL));
	CHECK(is_refused(fd, rw, PAGE, BAR_SIZE, EINVAL));
	CHECK(is_refused(wc, rw, PAGE, 0, EACCES));
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	/* While it does not decode it cannot be reached. */
	set_command(0);
	CHECK(faults(&b[0]));
	set_command(2);
	CHECK(!faults(&b[0]));
	munmap((void *)(uintptr_t)a, PAGE);
	munmap((void *)(uintptr_t)b, BAR_SIZE);
}

void scenario_map_resource(void)
{
	int fd = open(FUNCTION "/resource2", O_RDWR),
	    wc = open(FUNCTION "/resource2_wc", O_RDONLY);
	int registers = open(FUNCTION "/resource0", O_RDWR);
	struct device d;

	CHECK(fd >= 0 && wc >= 0 && registers >= 0);
	/* Who has it by VFIO has claimed it. */
	device_open(&d, CDEV0);
	CHECK(is_refused(fd, PROT_READ, PAGE, 0, EINVAL));
	device_close(&d);
	write_text("/sys/bus/pci/drivers/vfio-pci/unbind", BDF0);
	write_text(FUNCTION "/enable", "1");
	CHECK(is_refused(registers, PROT_READ, PAGE, 0, EINVAL));
	if (is_traced())
		CHECK(is_refused(fd, PROT_READ, PAGE, 0, EINVAL));
	else
		check_mapping(fd, wc);
	write_text("/sys/bus/pci/drivers/vfio-pci/bind", BDF0);
}

/* ---- msi_irqs ---------------------------------------------------------------------- */

static unsigned count_vectors(const char *kind)
{
	char path[300], text[16] = "";
	DIR *d = opendir(FUNCTION "/msi_irqs");
	struct dirent *e;
	unsigned n = 0;
	int fd;

	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), FUNCTION "/msi_irqs/%s", e->d_name);
		fd = open(path, O_RDONLY);
		CHECK(fd >= 0 && read(fd, text, sizeof(text)) > 0);
		CHECK(!strncmp(text, kind, strlen(kind)) && text[strlen(kind)] == '\n');
		close(fd);
		n++;
	}
	closedir(d);
	return n;
}

static void set_vectors(struct device *d, unsigned index, unsigned start, unsigned n)
{
	struct {
		struct vfio_irq_set set;
		int32_t fds[4];
	} s = {{.argsz = sizeof(s.set) + n * sizeof(int32_t),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
			 (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		.index = index,
		.start = start,
		.count = n}};

	for (unsigned i = 0; i < n; i++)
		CHECK((s.fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
	CHECK(!ioctl(d->fd, VFIO_DEVICE_SET_IRQS, &s));
}

void scenario_vectors(void)
{
	struct device d;

	device_open(&d, CDEV0);
	CHECK(access(FUNCTION "/msi_irqs", F_OK) && !count_vectors("none"));
	set_vectors(&d, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1);
	CHECK(count_vectors("msix") == 1);
	set_vectors(&d, VFIO_PCI_MSIX_IRQ_INDEX, 1, 1);
	CHECK(count_vectors("msix") == 2);
	set_vectors(&d, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0);
	CHECK(access(FUNCTION "/msi_irqs", F_OK) && errno == ENOENT);
	set_vectors(&d, VFIO_PCI_MSIX_IRQ_INDEX, 2, 1);
	CHECK(count_vectors("msix") == 1);
	device_close(&d);
	/* A close is noticed soon after. */
	while (!access(FUNCTION "/msi_irqs", F_OK))
		usleep(1000);
}
