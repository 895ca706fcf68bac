/* SPDX-License-Identifier: MIT */
/*
 * The port of steps.h. The two calls are coroutines of one thread: a change of turn costs
 * next to nothing, however busy the machine is. So locks are plain words, and nothing
 * here is atomic. Outside of steps_run() nobody waits and nothing is a step.
 *
 * A call that cannot go on passes the turn, and looks again when it gets it back. When
 * both have passed it often without a step between, they wait for each other.
 */
#include "tests/core/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "core/port.h"

#define STACK_BYTES (512u << 10)
#define PATIENCE    100 /* passes of the turn without a step */

enum lock_state {
	ALIVE = 0x11fe,
	DEAD = 0xdead,
};

struct lock {
	enum lock_state state;
	unsigned writers, readers;
};

/* A call and where it stands. */
struct side {
	struct steps_call *call;
	ucontext_t context;
	bool ended;
};

static struct steps {
	struct side sides[2];
	const struct steps_watch *watch;
	bool on;
	unsigned turn, passes;
	_Alignas(16) char stack[STACK_BYTES]; /* of the second */
} s;

static long allowed = -1, live;
static unsigned bugs;

void steps_fail_after(long n)
{
	allowed = n;
}

unsigned steps_bugs(void)
{
	return bugs;
}

long steps_live(void)
{
	return live;
}

/* ---- the turn ------------------------------------------------------------------- */

/* Returns when it is our turn again. */
static void give_turn(void)
{
	struct side *me = &s.sides[s.turn], *other = &s.sides[!s.turn];

	s.turn = !s.turn;
	swapcontext(&me->context, &other->context);
}

static void pass(void)
{
	if (!s.sides[!s.turn].ended)
		give_turn();
}

void steps_step(void)
{
	struct steps_call *call;

	if (!s.on)
		return;
	s.passes = 0;
	if (s.watch->step)
		s.watch->step(s.watch->arg);
	call = s.sides[s.turn].call;
	if (call->steps++ == call->gives_way_at)
		pass();
}

/* Something has to be waited for. There is no way out of it but to end the process. */
static void wait_for_other(void)
{
	if (!s.on || ++s.passes > PATIENCE) {
		fprintf(stderr, "nobody can go on\n");
		exit(1);
	}
	pass();
}

/* Never returns: it gives its turn away for good. */
static void second_side(void)
{
	struct side *me = &s.sides[1];

	me->call->run(me->call->arg);
	me->ended = true;
	give_turn();
}

static void begin_side(struct side *side, struct steps_call *call)
{
	call->steps = 0;
	side->call = call;
	side->ended = false;
}

void steps_run(struct steps_call *first, struct steps_call *second,
	       const struct steps_watch *watch)
{
	struct side *a = &s.sides[0], *b = &s.sides[1];

	begin_side(a, first);
	begin_side(b, second);
	getcontext(&b->context);
	b->context.uc_stack.ss_sp = s.stack;
	b->context.uc_stack.ss_size = sizeof(s.stack);
	makecontext(&b->context, second_side, 0);
	s.watch = watch;
	s.turn = s.passes = 0;
	s.on = true;
	first->run(first->arg);
	a->ended = true;
	pass();
	s.on = false;
}

/* ---- locks ---------------------------------------------------------------------- */

_Static_assert(sizeof(struct lock) <= sizeof(struct port_mutex), "it fits");
_Static_assert(sizeof(struct lock) <= sizeof(struct port_rwlock), "it fits");

static void check(bool good, const char *what)
{
	port_bug_on(!good, __FILE__, __LINE__, what);
}

static void lock_init(void *opaque)
{
	*(struct lock *)opaque = (struct lock){.state = ALIVE};
}

static void lock_finish(void *opaque)
{
	struct lock *l = opaque;

	check(l->state == ALIVE && !l->writers && !l->readers, "a free lock is finished");
	l->state = DEAD;
}

static void lock_for_writing(void *opaque)
{
	struct lock *l = opaque;

	steps_step();
	check(l->state == ALIVE, "a lock that is there is taken");
	while (l->writers || l->readers)
		wait_for_other();
	l->writers = 1;
}

static void unlock_for_writing(void *opaque)
{
	struct lock *l = opaque;

	check(l->state == ALIVE && l->writers, "a lock that is taken is given back");
	l->writers = 0;
	steps_step();
}

void port_mutex_init(struct port_mutex *m)
{
	lock_init(m->opaque);
}

void port_mutex_finish(struct port_mutex *m)
{
	lock_finish(m->opaque);
}

void port_mutex_lock(struct port_mutex *m)
{
	lock_for_writing(m->opaque);
}

void port_mutex_unlock(struct port_mutex *m)
{
	unlock_for_writing(m->opaque);
}

void port_rwlock_init(struct port_rwlock *l)
{
	lock_init(l->opaque);
}

void port_rwlock_finish(struct port_rwlock *l)
{
	lock_finish(l->opaque);
}

void port_rwlock_read_lock(struct port_rwlock *rw)
{
	struct lock *l = (void *)rw->opaque;

	steps_step();
	check(l->state == ALIVE, "a lock that is there is taken");
	while (l->writers)
		wait_for_other();
	l->readers++;
}

void port_rwlock_read_unlock(struct port_rwlock *rw)
{
	struct lock *l = (void *)rw->opaque;

	check(l->state == ALIVE && l->readers, "a lock that is taken is given back");
	l->readers--;
	steps_step();
}

void port_rwlock_write_lock(struct port_rwlock *l)
{
	lock_for_writing(l->opaque);
}

void port_rwlock_write_unlock(struct port_rwlock *l)
{
	unlock_for_writing(l->opaque);
}

/* ---- sections: those who hold them are the test's --------------------------------- */

void port_dma_enter(void)
{
}

void port_dma_leave(void)
{
}

void port_dma_quiesce(void)
{
}

void port_dma_burst_begin(void)
{
}

void port_dma_burst_end(void)
{
}

void port_dma_rest(void)
{
}

void port_rcu_synchronize(void)
{
	steps_step();
	if (s.on && s.watch->sections_end)
		s.watch->sections_end(s.watch->arg);
	steps_step();
}

void port_yield(void)
{
	if (!s.on || !s.watch->wait || !s.watch->wait(s.watch->arg))
		wait_for_other();
}

/* ---- memory --------------------------------------------------------------------- */

static void *allocate(size_t align, size_t n)
{
	void *p;

	if (!allowed)
		return NULL;
	p = aligned_alloc(align, (n + align - 1) / align * align);
	if (!p)
		return NULL;
	if (allowed > 0)
		allowed--;
	live++;
	return memset(p, 0, n);
}

void *port_alloc(size_t n)
{
	return allocate(_Alignof(max_align_t), n);
}

void port_free(void *p)
{
	live -= p != NULL;
	free(p);
}

void *port_alloc_page(void)
{
	return allocate(PORT_PAGE_SIZE, PORT_PAGE_SIZE);
}

void port_free_page(void *p)
{
	port_free(p);
}

void *port_alloc_page_pair(void)
{
	return allocate(PORT_PAGE_SIZE, 2 * PORT_PAGE_SIZE);
}

void port_free_page_pair(void *p)
{
	port_free(p);
}

void *port_alloc_node(size_t n)
{
	return allocate(512, n);
}

void port_free_node(void *p, size_t n)
{
	port_free(p);
}

int port_copy_guarded(void *dst, const void *src, size_t n)
{
	memmove(dst, src, n);
	return 0;
}

int port_fill_guarded(void *dst, int byte, size_t n)
{
	memset(dst, byte, n);
	return 0;
}

int port_load64_guarded(const void *src, uint64_t *value)
{
	*value = *(const uint64_t *)src;
	return 0;
}

int port_swap64_guarded(void *dst, uint64_t *expected, uint64_t desired)
{
	uint64_t *word = dst, was = *word;

	if (was == *expected)
		*word = desired;
	*expected = was;
	return 0;
}

void port_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
	bugs++;
}
