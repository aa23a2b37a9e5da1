/* Mapped memory: map, guarded copies in and out, cache lines, single words. The steps are ordered
   by their caller: src/native/shared-memory.ts argues it. */
#include "famfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache.h"

/* One guarded access: what to do with `length` bytes at `at`, and with the caller's `bytes`. */
typedef struct {
  uint8_t *at;
  uint8_t *bytes;
  size_t length;
  uint64_t word;
} access_t;

static void unmap(mapping_t *mapping) {
  if (mapping->base != NULL) munmap(mapping->base, mapping->length);
  mapping->base = NULL;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  unmap(data);
  free(data);
}

static napi_value memory_error(napi_env env) {
  return throw_code(env, "MEMORY_ERROR", "the memory under the mapping failed (SIGBUS)");
}

/* map(fd, length, writable) → handle. The descriptor may be closed afterwards. */
static napi_value js_map(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd;
  uint64_t length;
  bool writable;
  if (!get_args(env, info, 3, args) || !get_int(env, args[0], &fd) ||
      !get_size(env, args[1], &length) || !get_bool(env, args[2], &writable))
    return NULL;
  int protection = PROT_READ | (writable ? PROT_WRITE : 0);
  void *base = mmap(NULL, length, protection, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return throw_errno(env, "mmap", errno);
  mapping_t *mapping = malloc(sizeof *mapping);
  if (mapping == NULL) {
    munmap(base, length);
    return throw_errno(env, "malloc", ENOMEM);
  }
  mapping->base = base;
  mapping->length = length;
  mapping->writable = writable;
  return make_mapping(env, mapping, finalize);
}

/* unmap(handle); again is fine. */
static napi_value js_unmap(napi_env env, napi_callback_info info) {
  napi_value args[1];
  mapping_t *mapping;
  if (get_args(env, info, 1, args) && get_mapping(env, args[0], &mapping)) unmap(mapping);
  return NULL;
}

static bool is_word(const access_t *access) {
  return access->length == sizeof(uint64_t) && (uintptr_t)access->at % sizeof(uint64_t) == 0;
}

/* An aligned word is what another host publishes: one load, where memcpy may take several. */
static void do_copy_out(void *context) {
  access_t *access = context;
  if (is_word(access)) {
    access->word = __atomic_load_n((uint64_t *)(void *)access->at, __ATOMIC_ACQUIRE);
    memcpy(access->bytes, &access->word, sizeof access->word);
  } else {
    memcpy(access->bytes, access->at, access->length);
  }
}

static void do_copy_in(void *context) {
  access_t *access = context;
  memcpy(access->at, access->bytes, access->length);
}

static void do_write_back(void *context) {
  access_t *access = context;
  access->word = cache_write_back(access->at, access->length);
}

static void do_write_back_fenced(void *context) {
  do_write_back(context);
  cache_fence();
}

static void do_invalidate(void *context) {
  access_t *access = context;
  access->word = cache_invalidate(access->at, access->length);
}

static void do_store(void *context) {
  access_t *access = context;
  __atomic_store_n((uint64_t *)(void *)access->at, access->word, __ATOMIC_RELEASE);
}

static void do_publish(void *context) {
  access_t *access = context;
  do_store(context);
  cache_write_back(access->at, sizeof(uint64_t));
  cache_fence();
}

static void do_load(void *context) {
  access_t *access = context;
  cache_invalidate(access->at, sizeof(uint64_t));
  access->word = __atomic_load_n((uint64_t *)(void *)access->at, __ATOMIC_ACQUIRE);
}

/* copyOut(handle, offset, into, invalidate): the lines are dropped before they are read. */
static napi_value js_copy_out(napi_env env, napi_callback_info info) {
  napi_value args[4];
  access_t access = {0};
  bool invalidate;
  if (!get_args(env, info, 4, args) || !get_bytes(env, args[2], &access.bytes, &access.length) ||
      !get_bool(env, args[3], &invalidate))
    return NULL;
  access.at = get_range(env, args[0], args[1], access.length, false);
  if (access.at == NULL || access.length == 0) return NULL;
  if (invalidate && !guarded(do_invalidate, &access)) return memory_error(env);
  return guarded(do_copy_out, &access) ? NULL : memory_error(env);
}

/* copyIn(handle, offset, bytes, writeBack): stores; then, if asked, into memory and fenced. */
static napi_value js_copy_in(napi_env env, napi_callback_info info) {
  napi_value args[4];
  access_t access = {0};
  bool write_back;
  if (!get_args(env, info, 4, args) || !get_bytes(env, args[2], &access.bytes, &access.length) ||
      !get_bool(env, args[3], &write_back))
    return NULL;
  access.at = get_range(env, args[0], args[1], access.length, true);
  if (access.at == NULL || access.length == 0) return NULL;
  if (!guarded(do_copy_in, &access)) return memory_error(env);
  return !write_back || guarded(do_write_back_fenced, &access) ? NULL : memory_error(env);
}

static napi_value lines(napi_env env, napi_callback_info info, void (*operation)(void *)) {
  napi_value args[3];
  access_t access = {0};
  uint64_t length;
  if (!get_args(env, info, 3, args) || !get_size(env, args[2], &length)) return NULL;
  access.length = length;
  access.at = get_range(env, args[0], args[1], length, false);
  if (access.at == NULL) return NULL;
  return guarded(operation, &access) ? make_int(env, (int64_t)access.word) : memory_error(env);
}

/* writeBack(handle, offset, length), complete at the next fence, and invalidate(…), fenced →
   number of cache lines. */
static napi_value js_write_back(napi_env env, napi_callback_info info) {
  return lines(env, info, do_write_back);
}

static napi_value js_invalidate(napi_env env, napi_callback_info info) {
  return lines(env, info, do_invalidate);
}

static bool aligned_word(napi_env env, napi_value *args, bool store, access_t *access) {
  access->at = get_range(env, args[0], args[1], sizeof(uint64_t), store);
  if (access->at == NULL) return false;
  if ((uintptr_t)access->at % sizeof(uint64_t) == 0) return true;
  throw_code(env, "RANGE", "a word must be at a multiple of 8 bytes");
  return false;
}

/* fence(): every write-back that was begun is in memory. */
static napi_value js_fence(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  cache_fence();
  return NULL;
}

static napi_value put_word(napi_env env, napi_callback_info info, void (*operation)(void *)) {
  napi_value args[3];
  access_t access = {0};
  bool lossless;
  if (!get_args(env, info, 3, args) || !aligned_word(env, args, true, &access)) return NULL;
  if (napi_get_value_bigint_uint64(env, args[2], &access.word, &lossless) != napi_ok || !lossless)
    return throw_code(env, "RANGE", "a word must be a bigint from 0 to 2^64 - 1");
  return guarded(operation, &access) ? NULL : memory_error(env);
}

/* store(handle, offset, word): one aligned 8-byte store, into this host's cache. */
static napi_value js_store(napi_env env, napi_callback_info info) {
  return put_word(env, info, do_store);
}

/* publish(handle, offset, word): as store, then written back and fenced. */
static napi_value js_publish(napi_env env, napi_callback_info info) {
  return put_word(env, info, do_publish);
}

/* load(handle, offset) → bigint: the line is dropped, then one aligned 8-byte load. */
static napi_value js_load(napi_env env, napi_callback_info info) {
  napi_value args[2], result;
  access_t access = {0};
  if (!get_args(env, info, 2, args) || !aligned_word(env, args, false, &access)) return NULL;
  if (!guarded(do_load, &access)) return memory_error(env);
  napi_create_bigint_uint64(env, access.word, &result);
  return result;
}

/* sync(handle, offset, length): msync(MS_SYNC) of the pages. */
static napi_value js_sync(napi_env env, napi_callback_info info) {
  napi_value args[3];
  uint64_t length;
  if (!get_args(env, info, 3, args) || !get_size(env, args[2], &length)) return NULL;
  uint8_t *at = get_range(env, args[0], args[1], length, false);
  if (at == NULL) return NULL;
  size_t ahead = (uintptr_t)at % (size_t)sysconf(_SC_PAGESIZE);
  if (msync(at - ahead, length + ahead, MS_SYNC) != 0) return throw_errno(env, "msync", errno);
  return NULL;
}

/* writeBackInstruction() → its name. */
static napi_value js_write_back_instruction(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result;
  napi_create_string_utf8(env, cache_write_back_name(), NAPI_AUTO_LENGTH, &result);
  return result;
}

void init_memory(napi_env env, napi_value exports) {
  define(env, exports, "map", js_map);
  define(env, exports, "unmap", js_unmap);
  define(env, exports, "copyOut", js_copy_out);
  define(env, exports, "copyIn", js_copy_in);
  define(env, exports, "writeBack", js_write_back);
  define(env, exports, "invalidate", js_invalidate);
  define(env, exports, "fence", js_fence);
  define(env, exports, "store", js_store);
  define(env, exports, "publish", js_publish);
  define(env, exports, "load", js_load);
  define(env, exports, "sync", js_sync);
  define(env, exports, "writeBackInstruction", js_write_back_instruction);
}
