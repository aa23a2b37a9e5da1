/* Cache lines: write back, invalidate, fence. One file per idea; see famfs.c for the N-API side. */
#ifndef FAMFS_CACHE_H
#define FAMFS_CACHE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a cache line on this CPU. */
size_t cache_line_bytes(void);

/* The instruction that write-back uses here: "clwb", "clflushopt", "clflush" or "dc cvac". */
const char *cache_write_back_name(void);

/* Both return the number of lines; the caller has checked the range and guards against SIGBUS.
   A write-back is only begun: it is complete after the next cache_fence. */
size_t cache_write_back(const uint8_t *start, size_t length);
size_t cache_invalidate(const uint8_t *start, size_t length);

/* Waits until what was stored and written back before is in memory. */
void cache_fence(void);

#endif
