/* SPDX-License-Identifier: MIT */
/*
 * Pages of a vIOMMU's hardware that clients map, by mmap of the iommufd.
 *
 * They are pages of the iommufd's placeholder, at offsets from VFILE_MARK on, so that
 * mapping them is seen (ctx_mmap) and then done natively. The memory file grows when the
 * first are wanted. Offsets begin a page above the mark, as Linux's begin at a page.
 *
 * ctx.maps is in order of offsets, under ctx.lock.
 *
 * On Linux a mapping uses the vIOMMU. We do not see when it ends, so DESTROY looks
 * whether the process that asks has the pages mapped, in its /proc/PID/maps. Mappings of
 * other processes do not count; they keep the pages, not the vIOMMU.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "iommufd/viommu.h"

#define FIRST_OFFSET (VFILE_MARK + PORT_PAGE_SIZE)

struct viommu_map {
	struct list on_viommu, on_ctx;
	uint64_t offset, length; /* in the file */
	void *host;
};

static struct viommu_map *map_of(struct list *on_ctx)
{
	return list_entry(on_ctx, struct viommu_map, on_ctx);
}

/* Under ctx.lock: the first gap. */
static int place(struct iommufd_ctx *ctx, struct viommu_map *m)
{
	struct list *pos = &ctx->maps;
	uint64_t at = FIRST_OFFSET;

	list_for_each (it, &ctx->maps) {
		if (map_of(it)->offset - at >= m->length) {
			pos = it;
			break;
		}
		at = map_of(it)->offset + map_of(it)->length;
	}
	if (m->length > VFILE_STORAGE_BYTES - at)
		return -ENOMEM;
	m->offset = at;
	list_insert_before(pos, &m->on_ctx);
	return 0;
}

static void map_free(struct iommufd_ctx *ctx, struct viommu_map *m)
{
	if (m->host != MAP_FAILED) {
		munmap(m->host, m->length);
		/* The next to have them finds zeros. */
		fallocate(ctx->file.storage_fd,
			  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)m->offset,
			  (off_t)m->length);
	}
	pthread_mutex_lock(&ctx->lock);
	list_remove(&m->on_ctx);
	pthread_mutex_unlock(&ctx->lock);
	port_free(m);
}

int iommufd_viommu_mmap(struct iommufd_viommu *v, uint64_t length, void **host,
			uint64_t *offset)
{
	struct iommufd_ctx *ctx = v->ctx;
	struct viommu_map *m;
	int err;

	if (!length || length % PORT_PAGE_SIZE)
		return -EINVAL;
	m = port_alloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->length = length;
	m->host = MAP_FAILED;
	list_init(&m->on_ctx);
	pthread_mutex_lock(&ctx->lock);
	err = place(ctx, m);
	pthread_mutex_unlock(&ctx->lock);
	if (!err && ftruncate(ctx->file.storage_fd, (off_t)VFILE_STORAGE_BYTES))
		err = -errno;
	if (!err)
		m->host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED,
			       ctx->file.storage_fd, (off_t)m->offset);
	if (!err && m->host == MAP_FAILED)
		err = -errno;
	if (err) {
		map_free(ctx, m);
		return err;
	}
	list_append(&v->maps, &m->on_viommu);
	*host = m->host;
	*offset = m->offset;
	return 0;
}

void viommu_unmap_all(struct iommufd_viommu *v)
{
	list_for_each_safe (it, &v->maps) {
		list_remove(it);
		map_free(v->ctx, list_entry(it, struct viommu_map, on_viommu));
	}
}

bool viommu_map_is(struct iommufd_ctx *ctx, uint64_t offset, uint64_t length)
{
	bool found = false;

	pthread_mutex_lock(&ctx->lock);
	list_for_each (it, &ctx->maps)
		found |= map_of(it)->offset == offset && map_of(it)->length == length;
	pthread_mutex_unlock(&ctx->lock);
	return found;
}

/* ---- who has them mapped? -------------------------------------------------------------
 */

struct mapping {
	uint64_t start, end, offset, ino;
	unsigned major, minor;
};

static bool is_of(const struct iommufd_viommu *v, const struct mapping *x)
{
	list_for_each (it, &v->maps) {
		struct viommu_map *m = list_entry(it, struct viommu_map, on_viommu);

		if (x->offset < m->offset + m->length &&
		    m->offset < x->offset + (x->end - x->start) &&
		    x->start != (uintptr_t)m->host)
			return true;
	}
	return false;
}

bool viommu_mapped_by(struct iommufd_viommu *v, int pid)
{
	bool found = false;
	char path[32], line[512];
	struct mapping x;
	struct stat st;
	FILE *maps;

	if (list_empty(&v->maps) || !pid || fstat(v->ctx->file.storage_fd, &st))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps))
		found = sscanf(line,
			       "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64,
			       &x.start, &x.end, &x.offset, &x.major, &x.minor,
			       &x.ino) == 6 &&
			x.ino == st.st_ino && x.major == major(st.st_dev) &&
			x.minor == minor(st.st_dev) && is_of(v, &x);
	fclose(maps);
	return found;
}
