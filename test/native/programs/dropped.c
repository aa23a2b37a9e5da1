/*
 * How not to do it: an asm statement with a result that nobody uses and no `volatile`. From -O1 on
 * the compiler drops it with its loop. A published flush has such a fault, and writes nothing back.
 */
#include "../../../native/cache.h"

#if defined(__x86_64__)
#define WRITE_BACK "clwb (%1)"
#else
#define WRITE_BACK "dc cvac, %1"
#endif

size_t cache_write_back(const uint8_t *start, size_t length) {
  for (const uint8_t *p = start; p < start + length; p += 64) {
    int unused;
    __asm__(WRITE_BACK : "=r"(unused) : "r"(p));
  }
  return length / 64;
}
