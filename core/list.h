/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked list. A head and its entries are the same type; an empty
 * head points at itself; an entry that is on no list, initialised or removed, too.
 */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include "core/port.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_before(struct list *pos, struct list *entry)
{
	entry->prev = pos->prev;
	entry->next = pos;
	pos->prev->next = entry;
	pos->prev = entry;
}

static inline void list_append(struct list *head, struct list *entry)
{
	list_insert_before(head, entry);
}

/* Leaves @entry initialised, so that removing it twice is harmless. */
static inline void list_remove(struct list *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	list_init(entry);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)

#define list_for_each(it, head)                                                          \
	for (struct list *it = (head)->next; it != (head); it = it->next)

/* @it may be removed in the body. */
#define list_for_each_safe(it, head)                                                     \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);        \
	     it = it##_next, it##_next = it->next)

#endif
