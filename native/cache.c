/*
 * Cache lines of memory that other hosts read and write without coherence.
 *
 * Every instruction is a volatile asm with a memory clobber: the compiler may neither drop it nor
 * move a load or store across it, at any optimisation level.
 */
#include "cache.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { CLFLUSH, CLFLUSHOPT, CLWB };

static int flush_kind = -1;

static int detect(void) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  int kind = CLFLUSH;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    if (b & (1u << 23)) kind = CLFLUSHOPT;
    if (b & (1u << 24)) kind = CLWB;
  }
  __atomic_store_n(&flush_kind, kind, __ATOMIC_RELAXED);
  return kind;
}

static int kind(void) {
  int known = __atomic_load_n(&flush_kind, __ATOMIC_RELAXED);
  return known < 0 ? detect() : known;
}

size_t cache_line_bytes(void) { return 64; }

const char *cache_write_back_name(void) {
  static const char *const names[] = {"clflush", "clflushopt", "clwb"};
  return names[kind()];
}

static void clwb(const uint8_t *p) { __asm__ volatile("clwb %0" : : "m"(*p) : "memory"); }
static void clflushopt(const uint8_t *p) {
  __asm__ volatile("clflushopt %0" : : "m"(*p) : "memory");
}
static void clflush(const uint8_t *p) { __asm__ volatile("clflush %0" : : "m"(*p) : "memory"); }
static void store_fence(void) { __asm__ volatile("sfence" : : : "memory"); }
static void full_fence(void) { __asm__ volatile("mfence" : : : "memory"); }

static void write_back_line(const uint8_t *p) {
  int k = kind();
  if (k == CLWB) clwb(p);
  else if (k == CLFLUSHOPT) clflushopt(p);
  else clflush(p);
}

static void invalidate_line(const uint8_t *p) {
  if (kind() == CLFLUSH) clflush(p);
  else clflushopt(p);
}

#elif defined(__aarch64__)

size_t cache_line_bytes(void) {
  uint64_t ctr;
  __asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
  return (size_t)4 << ((ctr >> 16) & 15);
}

const char *cache_write_back_name(void) { return "dc cvac"; }

static void store_fence(void) { __asm__ volatile("dsb sy" : : : "memory"); }
static void full_fence(void) { __asm__ volatile("dsb sy" : : : "memory"); }
static void write_back_line(const uint8_t *p) {
  __asm__ volatile("dc cvac, %0" : : "r"(p) : "memory");
}
static void invalidate_line(const uint8_t *p) {
  __asm__ volatile("dc civac, %0" : : "r"(p) : "memory");
}

#else
#error "famfs: cache control is known for x86-64 and arm64 only"
#endif

static size_t each_line(const uint8_t *start, size_t length, void (*operation)(const uint8_t *)) {
  size_t line = cache_line_bytes();
  const uint8_t *first = start - (uintptr_t)start % line;
  size_t count = 0;
  if (length == 0) return 0;
  for (const uint8_t *p = first; p < start + length; p += line, count++) operation(p);
  return count;
}

size_t cache_write_back(const uint8_t *start, size_t length) {
  return each_line(start, length, write_back_line);
}

/* clwb and clflushopt are ordered by sfence only: after it, what they wrote back is in memory. */
void cache_fence(void) { store_fence(); }

/* The fence before: our own stores are out. After: no later load is served from a dropped line. */
size_t cache_invalidate(const uint8_t *start, size_t length) {
  full_fence();
  size_t count = each_line(start, length, invalidate_line);
  full_fence();
  return count;
}
