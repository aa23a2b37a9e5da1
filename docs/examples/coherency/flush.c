/* flush.h as a shared library, for languages that have no instructions for cache lines. */
#include "flush.h"

void famfs_flush_after_write(const void *at, size_t length) { flush_after_write(at, length); }
void famfs_invalidate_before_read(const void *at, size_t length) {
  invalidate_before_read(at, length);
}
