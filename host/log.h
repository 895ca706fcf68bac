/* SPDX-License-Identifier: MIT */
/*
 * --log: one line for each call that was served, after the fashion of strace. Lines are
 * written whole, whoever writes at the same time.
 */
#ifndef HOST_LOG_H
#define HOST_LOG_H

struct call;
struct log;
struct uapi_trace;

/* @path: NULL means standard error. */
int log_create(const char *path, struct log **out);
/* Takes NULL. */
void log_destroy(struct log *log);
/* The machine's sink: it lives as long as the log. */
struct uapi_trace *log_trace(struct log *log);

/* "[tid] <text> = <result>" */
void log_call(struct call *c, long result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
