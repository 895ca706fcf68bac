/* SPDX-License-Identifier: MIT */
/*
 * Windows over clients' memory, and the sources that pin pieces of them (memory.h).
 *
 * A window is shared by all pins of one file or of one 1 TiB of an address space, and
 * counted by them: the first pin adds it to the SPA space, the last unpin removes it.
 * Pinning maps nothing page by page: a file is mapped once, lazily.
 *
 * A source remembers what each of its pins holds, so that unpin needs no lookup and
 * cannot fail. `pages` serialises the calls on one source; `mem->lock` guards the table
 * of windows and their counts, and the lists of sources and of their pins, so that pins
 * can be counted. It is taken below pages.lock and is held over phys_remove(), which
 * waits for DMA sections, so no DMA section may take it.
 */
#include "machine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/machine.h"
#include "port/fault_inject.h"
#include "uapi/client.h"

#define CHUNK_SHIFT 40
#define CHUNK_BYTES ((uint64_t)1 << CHUNK_SHIFT)

enum window_kind {
	WINDOW_FILE,
	WINDOW_SPACE,
};

struct window {
	struct phys_window phys;
	struct list on_memory;
	enum window_kind kind;
	unsigned pins;
	/* WINDOW_FILE: which file, and our mapping of it. */
	dev_t dev;
	ino_t ino;
	bool writable;
	/* WINDOW_SPACE: which TiB of which address space. */
	struct memory_space *space;
	uint64_t chunk;
};

struct memory {
	struct machine *machine;
	pthread_mutex_t lock;
	struct list windows;
	struct list sources;
};

/* A part of a window. */
struct piece {
	struct window *window;
	uint64_t offset, length;
};

/* What one pin of a source holds. */
struct pin {
	struct list on_source;
	uint64_t offset, length;
	struct piece *pieces;
	size_t n;
};

struct source {
	struct mem_source base;
	struct memory *mem;
	struct list on_memory;
	struct list pins;
	int fd;                     /* file sources */
	struct memory_space *space; /* user sources */
};

int memory_create(struct machine *m, struct memory **out)
{
	struct memory *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return -ENOMEM;
	mem->machine = m;
	pthread_mutex_init(&mem->lock, NULL);
	list_init(&mem->windows);
	list_init(&mem->sources);
	*out = mem;
	return 0;
}

void memory_destroy(struct memory *mem)
{
	if (!mem)
		return;
	PORT_BUG_ON(!list_empty(&mem->windows) || !list_empty(&mem->sources));
	pthread_mutex_destroy(&mem->lock);
	free(mem);
}

void memory_space_get(struct memory_space *s)
{
	s->refs++;
}

void memory_space_put(struct memory_space *s)
{
	if (s && --s->refs == 0)
		s->ops->put(s);
}

int memory_space_vma(struct machine *m, struct memory_space *space, uint64_t va,
		     struct client_vma *out)
{
	struct memory_vma vma = {.fd = -1};
	int err = space->ops->vma(space, va, &vma);

	if (err)
		return err;
	if (vma.fd >= 0)
		close(vma.fd);
	*out = (struct client_vma){
		.last = vma.last,
		.readable = vma.readable,
		.writable = vma.writable,
		.offset = vma.file_offset,
	};
	if (vma.device)
		out->file = files_find(m->files, vma.dev, vma.ino);
	return 0;
}

/* ---- windows ------------------------------------------------------------------ */

static uint64_t space_va(const struct window *w, uint64_t offset)
{
	return w->chunk << CHUNK_SHIFT | offset;
}

static int space_read(struct phys_window *pw, uint64_t offset, void *dst, size_t n)
{
	struct window *w = container_of(pw, struct window, phys);

	return w->space->ops->read(w->space, space_va(w, offset), dst, n);
}

static int space_write(struct phys_window *pw, uint64_t offset, const void *src, size_t n)
{
	struct window *w = container_of(pw, struct window, phys);

	return w->space->ops->write(w->space, space_va(w, offset), src, n);
}

static const struct phys_window_ops space_ops = {
	.read = space_read,
	.write = space_write,
};

static void window_free(struct window *w)
{
	if (w->kind == WINDOW_FILE && w->phys.host)
		munmap(w->phys.host, w->phys.length);
	if (w->kind == WINDOW_SPACE)
		memory_space_put(w->space);
	port_free(w);
}

static int window_add(struct memory *mem, struct window *w)
{
	int err = phys_add(mem->machine->phys, &w->phys);

	if (err) {
		window_free(w);
		return err;
	}
	w->pins = 1;
	list_append(&mem->windows, &w->on_memory);
	return 0;
}

static void window_repin(struct memory *mem, struct window *w)
{
	pthread_mutex_lock(&mem->lock);
	w->pins++;
	pthread_mutex_unlock(&mem->lock);
}

static void window_unpin(struct memory *mem, struct window *w)
{
	pthread_mutex_lock(&mem->lock);
	if (--w->pins) {
		pthread_mutex_unlock(&mem->lock);
		return;
	}
	list_remove(&w->on_memory);
	phys_remove(mem->machine->phys, &w->phys);
	pthread_mutex_unlock(&mem->lock);
	window_free(w);
}

/* A mapping of the whole file, writable if it can be had. */
static void *map_file(int fd, uint64_t length, bool *writable)
{
	char path[32];
	void *p;
	int rw;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* A client may hold a read-only descriptor; Linux pins the pages all the same. */
	rw = open(path, O_RDWR | O_CLOEXEC);
	*writable = true;
	p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		 rw < 0 ? fd : rw, 0);
	if (p == MAP_FAILED) {
		*writable = false;
		p = mmap(NULL, length, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	}
	if (rw >= 0)
		close(rw);
	return p;
}

static struct window *find_file_window(struct memory *mem, const struct stat *st,
				       uint64_t end)
{
	list_for_each (it, &mem->windows) {
		struct window *w = list_entry(it, struct window, on_memory);

		if (w->kind == WINDOW_FILE && w->dev == st->st_dev &&
		    w->ino == st->st_ino && end <= w->phys.length)
			return w;
	}
	return NULL;
}

/* Pin the window of the file up to @end; a file that has grown gets a second one. */
static int pin_file_window(struct memory *mem, int fd, uint64_t end, struct window **out)
{
	struct window *w;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return -errno;
	pthread_mutex_lock(&mem->lock);
	w = find_file_window(mem, &st, end);
	if (w) {
		w->pins++;
		goto out;
	}
	w = port_alloc(sizeof(*w));
	if (!w) {
		err = -ENOMEM;
		goto out;
	}
	w->kind = WINDOW_FILE;
	w->dev = st.st_dev;
	w->ino = st.st_ino;
	w->phys.kind = PHYS_RAM;
	w->phys.length =
		((uint64_t)st.st_size + PORT_PAGE_SIZE - 1) & ~(PORT_PAGE_SIZE - 1);
	w->phys.host = map_file(fd, w->phys.length, &w->writable);
	if (w->phys.host == MAP_FAILED) {
		port_free(w);
		err = -ENOMEM;
		goto out;
	}
	err = window_add(mem, w);
out:
	pthread_mutex_unlock(&mem->lock);
	*out = err ? NULL : w;
	return err;
}

static int pin_space_window(struct memory *mem, struct memory_space *space, uint64_t va,
			    struct window **out)
{
	uint64_t chunk = va >> CHUNK_SHIFT;
	struct window *w = NULL;
	int err = 0;

	pthread_mutex_lock(&mem->lock);
	list_for_each (it, &mem->windows) {
		struct window *old = list_entry(it, struct window, on_memory);

		if (old->kind == WINDOW_SPACE && old->space == space &&
		    old->chunk == chunk) {
			old->pins++;
			w = old;
			goto out;
		}
	}
	w = port_alloc(sizeof(*w));
	if (!w) {
		err = -ENOMEM;
		goto out;
	}
	w->kind = WINDOW_SPACE;
	w->space = space;
	memory_space_get(space);
	w->chunk = chunk;
	w->phys.kind = PHYS_RAM;
	w->phys.length = CHUNK_BYTES;
	/* The first TiB of our own space would be direct at NULL, which means remote. */
	if (space->own)
		w->phys.host = (void *)(uintptr_t)(chunk << CHUNK_SHIFT);
	if (!w->phys.host)
		w->phys.ops = &space_ops;
	err = window_add(mem, w);
out:
	pthread_mutex_unlock(&mem->lock);
	*out = err ? NULL : w;
	return err;
}

/* ---- sources ------------------------------------------------------------------ */

static struct pin *pin_create(struct source *s, uint64_t offset, uint64_t length)
{
	struct pin *p = port_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->offset = offset;
	p->length = length;
	pthread_mutex_lock(&s->mem->lock);
	list_append(&s->pins, &p->on_source);
	pthread_mutex_unlock(&s->mem->lock);
	return p;
}

static void pin_destroy(struct source *s, struct pin *p)
{
	pthread_mutex_lock(&s->mem->lock);
	list_remove(&p->on_source);
	pthread_mutex_unlock(&s->mem->lock);
	for (size_t i = 0; i < p->n; i++)
		window_unpin(s->mem, p->pieces[i].window);
	free(p->pieces);
	port_free(p);
}

static int piece_add(struct source *s, struct pin *p, const struct piece *piece)
{
	struct piece *v;
	int err = 0;

	pthread_mutex_lock(&s->mem->lock);
	v = port_fail_now(PORT_FAIL_ALLOC) ? NULL
					   : realloc(p->pieces, (p->n + 1) * sizeof(*v));
	if (v) {
		v[p->n++] = *piece;
		p->pieces = v;
	} else {
		err = -ENOMEM;
	}
	pthread_mutex_unlock(&s->mem->lock);
	return err;
}

/* Let the pin own one count of @w, and describe [offset, + length) of it. */
static int pin_add(struct source *s, struct pin *p, struct window *w, uint64_t offset,
		   uint64_t length, struct run_list *runs)
{
	struct piece piece = {.window = w, .offset = offset, .length = length};
	struct run run = {.spa = w->phys.base + offset, .length = length};
	bool same = p->n && p->pieces[p->n - 1].window == w;
	int err = piece_add(s, p, &piece);

	if (err) {
		window_unpin(s->mem, w);
		return err;
	}
	return run_list_add(runs, run, same);
}

/* The first of them most often is the whole. */
static const struct pin *pin_covering(const struct source *s, uint64_t offset,
				      uint64_t length)
{
	list_for_each (it, &s->pins) {
		const struct pin *p = list_entry(it, struct pin, on_source);

		if (p->offset <= offset && offset - p->offset <= p->length &&
		    length <= p->length - (offset - p->offset))
			return p;
	}
	return NULL;
}

static void source_unpin(struct mem_source *base, uint64_t offset, uint64_t length)
{
	struct source *s = container_of(base, struct source, base);

	list_for_each (it, &s->pins) {
		struct pin *p = list_entry(it, struct pin, on_source);

		if (p->offset == offset && p->length == length) {
			pin_destroy(s, p);
			return;
		}
	}
	PORT_BUG_ON(true);
}

static void source_destroy(struct mem_source *base)
{
	struct source *s = container_of(base, struct source, base);

	PORT_BUG_ON(!list_empty(&s->pins));
	pthread_mutex_lock(&s->mem->lock);
	list_remove(&s->on_memory);
	pthread_mutex_unlock(&s->mem->lock);
	if (s->fd >= 0)
		close(s->fd);
	memory_space_put(s->space);
	port_free(s);
}

static int source_create(struct memory *mem, const struct mem_source_ops *ops,
			 uint64_t address, struct source **out)
{
	struct source *s = port_alloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->base.ops = ops;
	s->base.address = address;
	s->mem = mem;
	s->fd = -1;
	list_init(&s->pins);
	pthread_mutex_lock(&mem->lock);
	list_append(&mem->sources, &s->on_memory);
	pthread_mutex_unlock(&mem->lock);
	*out = s;
	return 0;
}

static bool pin_holds(const struct pin *p, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct piece *piece = &p->pieces[i];
		uint64_t start = piece->window->phys.base + piece->offset;

		if (start <= last && start + piece->length - 1 >= first)
			return true;
	}
	return false;
}

static bool source_holds(const struct source *s, uint64_t first, uint64_t last)
{
	list_for_each (it, &s->pins)
		if (pin_holds(list_entry(it, struct pin, on_source), first, last))
			return true;
	return false;
}

unsigned memory_count_pins(struct memory *mem, uint64_t spa,
			   const struct mem_source *except)
{
	uint64_t first = spa & ~(PORT_PAGE_SIZE - 1);
	unsigned n = 0;

	pthread_mutex_lock(&mem->lock);
	list_for_each (it, &mem->sources) {
		struct source *s = list_entry(it, struct source, on_memory);

		n += &s->base != except &&
		     source_holds(s, first, first + PORT_PAGE_SIZE - 1);
	}
	pthread_mutex_unlock(&mem->lock);
	return n;
}

/*
 * Pin a part of what is pinned already: the same memory, whatever is at its address now.
 * 1: no pin of the source covers it all.
 */
static int pin_part(struct source *s, uint64_t offset, uint64_t length,
		    struct run_list *runs)
{
	const struct pin *whole = pin_covering(s, offset, length);
	uint64_t skip;
	struct pin *p;
	int err = 0;

	if (!whole)
		return 1;
	p = pin_create(s, offset, length);
	if (!p)
		return -ENOMEM;
	skip = offset - whole->offset;
	for (size_t i = 0; !err && length && i < whole->n; i++) {
		const struct piece *piece = &whole->pieces[i];
		uint64_t part;

		if (skip >= piece->length) {
			skip -= piece->length;
			continue;
		}
		part = min_u64(length, piece->length - skip);
		window_repin(s->mem, piece->window);
		err = pin_add(s, p, piece->window, piece->offset + skip, part, runs);
		length -= part;
		skip = 0;
	}
	if (err)
		pin_destroy(s, p);
	return err;
}

static bool is_placeholder(struct memory *mem, int fd)
{
	struct vfile *f = files_lookup(mem->machine->files, fd);

	vfile_put(f);
	return f != NULL;
}

/* Is it a file whose pages Linux would pin for us? */
static bool is_memory_file(int fd)
{
	struct statfs sfs;

	return !fstatfs(fd, &sfs) &&
	       (sfs.f_type == TMPFS_MAGIC || sfs.f_type == HUGETLBFS_MAGIC);
}

static int file_pin(struct mem_source *base, uint64_t offset, uint64_t length,
		    bool writable, struct run_list *runs)
{
	struct source *s = container_of(base, struct source, base);
	uint64_t start = base->address + offset, last;
	struct window *w;
	struct stat st;
	struct pin *p;
	int err = pin_part(s, offset, length, runs);

	if (err <= 0)
		return err;
	if (fstat(s->fd, &st) || !S_ISREG(st.st_mode) || !is_memory_file(s->fd))
		return -EINVAL;
	/* Whole pages are pinned, and none of them may reach beyond the file's end. */
	last = (start + (length - 1)) | (PORT_PAGE_SIZE - 1);
	if (last < start || last >= (uint64_t)st.st_size)
		return -EINVAL;
	p = pin_create(s, offset, length);
	if (!p)
		return -ENOMEM;
	err = pin_file_window(s->mem, s->fd, start + length, &w);
	if (!err)
		err = pin_add(s, p, w, start, length, runs);
	if (err)
		pin_destroy(s, p);
	return err;
}

static const struct mem_source_ops file_source_ops = {
	.pin = file_pin,
	.unpin = source_unpin,
	.destroy = source_destroy,
};

int memory_file_source(struct memory *mem, int fd, uint64_t start,
		       struct mem_source **out)
{
	struct source *s;
	int err = source_create(mem, &file_source_ops, start, &s);

	if (err)
		return err;
	s->base.is_file = true;
	*out = &s->base;
	/*
	 * One of our own files has no memory to pin. To hold on to it all the same could
	 * be to hold on to ourselves: an IOAS that maps the fd of its own /dev/iommu.
	 */
	if (is_placeholder(mem, fd))
		return 0;
	s->fd = port_fail_now(PORT_FAIL_FD) ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0) {
		source_destroy(&s->base);
		return -ENOMEM;
	}
	return 0;
}

/* The piece [va, ...] of one VMA: pins its window, answers how far it reached. */
static int user_pin_piece(struct source *s, struct pin *p, uint64_t va, uint64_t last,
			  bool writable, struct run_list *runs, uint64_t *reached)
{
	struct memory_vma vma = {.fd = -1};
	struct window *w;
	uint64_t offset;
	int err;

	err = s->space->ops->vma(s->space, va, &vma);
	if (err)
		return err;
	last = min_u64(last, vma.last);
	if (vma.device || !vma.readable || (writable && !vma.writable)) {
		err = -EFAULT;
	} else if (vma.fd >= 0) {
		struct stat st;

		offset = vma.file_offset;
		/* Beyond the file's end a CPU access would be SIGBUS: EFAULT to a pin. */
		if (fstat(vma.fd, &st) || offset + (last - va) >= (uint64_t)st.st_size)
			err = -EFAULT;
		else
			err = pin_file_window(s->mem, vma.fd, offset + (last - va) + 1,
					      &w);
	} else {
		last = min_u64(last, va | (CHUNK_BYTES - 1));
		offset = va & (CHUNK_BYTES - 1);
		err = pin_space_window(s->mem, s->space, va, &w);
	}
	if (vma.fd >= 0)
		close(vma.fd);
	if (err)
		return err;
	*reached = last;
	return pin_add(s, p, w, offset, last - va + 1, runs);
}

static int user_pin(struct mem_source *base, uint64_t offset, uint64_t length,
		    bool writable, struct run_list *runs)
{
	struct source *s = container_of(base, struct source, base);
	uint64_t va = base->address + offset, last = va + length - 1;
	struct pin *p;
	int err;

	if (last < va)
		return -EFAULT;
	err = pin_part(s, offset, length, runs);
	if (err <= 0)
		return err;
	p = pin_create(s, offset, length);
	if (!p)
		return -ENOMEM;
	for (;;) {
		uint64_t reached;

		err = user_pin_piece(s, p, va, last, writable, runs, &reached);
		if (err) {
			pin_destroy(s, p);
			return err;
		}
		if (reached == last)
			return 0;
		va = reached + 1;
	}
}

static const struct mem_source_ops user_source_ops = {
	.pin = user_pin,
	.unpin = source_unpin,
	.destroy = source_destroy,
};

int memory_user_source(struct memory *mem, struct memory_space *space, uint64_t va,
		       struct mem_source **out)
{
	struct source *s;
	int err = source_create(mem, &user_source_ops, va, &s);

	if (err)
		return err;
	memory_space_get(space);
	s->space = space;
	*out = &s->base;
	return 0;
}
