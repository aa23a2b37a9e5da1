/*
 * What an application does itself where hosts share memory without hardware coherency: after
 * writing, write the cache lines back; before reading what another host wrote, drop them.
 * x86-64 and arm64. See ../../coherency.md.
 */
#ifndef FAMFS_EXAMPLE_FLUSH_H
#define FAMFS_EXAMPLE_FLUSH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define LINE_BYTES 64
/* clflush is on every x86-64 processor; it writes a dirty line back and drops it. */
static inline void line_out(const char *p) { __asm__ volatile("clflush %0" : : "m"(*p) : "memory"); }
static inline void line_drop(const char *p) { line_out(p); }
static inline void fence(void) { __asm__ volatile("mfence" : : : "memory"); }
#elif defined(__aarch64__)
#define LINE_BYTES 64
static inline void line_out(const char *p) { __asm__ volatile("dc cvac, %0" : : "r"(p) : "memory"); }
static inline void line_drop(const char *p) { __asm__ volatile("dc civac, %0" : : "r"(p) : "memory"); }
static inline void fence(void) { __asm__ volatile("dsb sy" : : : "memory"); }
#else
#error "write the three lines for this processor"
#endif

/* After writing: when this returns, [at, at + length) is in memory for every host. */
static inline void flush_after_write(const void *at, size_t length) {
  const char *end = (const char *)at + length;
  for (const char *p = (const char *)((uintptr_t)at & ~(uintptr_t)(LINE_BYTES - 1)); p < end;
       p += LINE_BYTES)
    line_out(p);
  fence();
}

/* Before reading: what is loaded after this comes from memory, not from an old cache line. */
static inline void invalidate_before_read(const void *at, size_t length) {
  const char *end = (const char *)at + length;
  fence();
  for (const char *p = (const char *)((uintptr_t)at & ~(uintptr_t)(LINE_BYTES - 1)); p < end;
       p += LINE_BYTES)
    line_drop(p);
  fence();
}

#endif
