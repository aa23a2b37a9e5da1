/* What the parts of the addon share: errors, arguments, mappings, guarded copies. */
#ifndef FAMFS_H
#define FAMFS_H

#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mapped file or device. `base` is NULL once it is unmapped. */
typedef struct {
  uint8_t *base;
  size_t length;
  bool writable;
} mapping_t;

/* Throws {code: NAME, errno, syscall}; returns NULL for the caller to return. */
napi_value throw_errno(napi_env env, const char *syscall, int error);
napi_value throw_code(napi_env env, const char *code, const char *message);

/* Arguments of the call; throws EINVAL-like TypeErrors and returns false on a wrong kind. */
bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args);
bool get_size(napi_env env, napi_value value, uint64_t *size);
bool get_int(napi_env env, napi_value value, int *number);
bool get_bool(napi_env env, napi_value value, bool *flag);
bool get_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length);
bool get_string(napi_env env, napi_value value, char *text, size_t capacity);
bool get_mapping(napi_env env, napi_value value, mapping_t **mapping);

/* The mapping's bytes [offset, offset + length), to be stored to if `store`. Throws RANGE, CLOSED
   or READ_ONLY and returns NULL. */
uint8_t *get_range(napi_env env, napi_value handle, napi_value offset, uint64_t length, bool store);

napi_value make_int(napi_env env, int64_t value);

/* A handle for JavaScript, tagged so that nothing else passes for one. */
napi_value make_mapping(napi_env env, mapping_t *mapping, napi_finalize finalize);

/* Runs `access(context)`; false if the memory under it raised SIGBUS. */
bool guarded(void (*access)(void *context), void *context);

/* Each part adds its functions to `exports`. */
void define(napi_env env, napi_value exports, const char *name, napi_callback function);
void init_memory(napi_env env, napi_value exports);
void init_fuse(napi_env env, napi_value exports);
void init_mounts(napi_env env, napi_value exports);
void init_descriptors(napi_env env, napi_value exports);

#endif
