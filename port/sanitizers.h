/* SPDX-License-Identifier: MIT */
/* Which sanitizer this build runs under, for gcc and clang alike. */
#ifndef PORT_SANITIZERS_H
#define PORT_SANITIZERS_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PORT_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define PORT_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__) && !defined(PORT_TSAN)
#define PORT_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(PORT_ASAN)
#define PORT_ASAN 1
#endif

#ifndef PORT_TSAN
#define PORT_TSAN 0
#endif
#ifndef PORT_ASAN
#define PORT_ASAN 0
#endif

#if PORT_TSAN
/* The sanitizer's runtime has these; its own header is not installed everywhere. */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#endif

#endif
