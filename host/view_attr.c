/* SPDX-License-Identifier: MIT */
/* The life of attributes (see view_attr.h): removal against calls at work. */
#include "host/view_attr.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct view_live *view_live_create(const struct view_attr *attr, void *object)
{
	struct view_live *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->attr = attr;
	l->object = object;
	l->refs = 1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->idle, NULL);
	return l;
}

void view_live_get(struct view_live *l)
{
	atomic_fetch_add(&l->refs, 1);
}

void view_live_put(struct view_live *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int view_live_begin(struct view_live *l)
{
	int err = 0;

	pthread_mutex_lock(&l->lock);
	if (l->removed)
		err = -ENODEV;
	else
		l->at_work++;
	pthread_mutex_unlock(&l->lock);
	return err;
}

void view_live_end(struct view_live *l)
{
	pthread_mutex_lock(&l->lock);
	l->at_work--;
	if (l->left && pthread_equal(l->leaver, pthread_self()))
		l->left = false;
	pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
}

bool view_live_leave(struct view_live *l)
{
	bool first;

	pthread_mutex_lock(&l->lock);
	first = !l->removed;
	if (first) {
		l->removed = l->left = true;
		l->leaver = pthread_self();
	}
	pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
	return first;
}

void view_live_remove(struct view_live *l)
{
	pthread_mutex_lock(&l->lock);
	l->removed = true;
	while (l->at_work > l->left)
		pthread_cond_wait(&l->idle, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

size_t view_text_length(const char *text, size_t n)
{
	return n && text[n - 1] == '\n' ? n - 1 : n;
}
