/* The addon's entry, and what its parts share: errors, arguments, and the SIGBUS guard. */
#include "famfs.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const napi_type_tag MAPPING_TAG = {0x66616d66732d6d61ULL, 0x7070696e672d7631ULL};

napi_value throw_code(napi_env env, const char *code, const char *message) {
  napi_throw_error(env, code, message);
  return NULL;
}

napi_value throw_errno(napi_env env, const char *syscall, int error) {
  char message[160];
  const char *name = strerrorname_np(error);
  if (name == NULL) name = "UNKNOWN";
  snprintf(message, sizeof message, "%s: %s, %s", name, strerror(error), syscall);
  return throw_code(env, name, message);
}

bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, args, NULL, NULL) == napi_ok && given >= count)
    return true;
  napi_throw_type_error(env, "ARGUMENT", "famfs addon: too few arguments");
  return false;
}

bool get_size(napi_env env, napi_value value, uint64_t *size) {
  double number;
  if (napi_get_value_double(env, value, &number) == napi_ok && number >= 0 &&
      number <= 9007199254740991.0 && (double)(uint64_t)number == number) {
    *size = (uint64_t)number;
    return true;
  }
  napi_throw_type_error(env, "RANGE", "famfs addon: expected an integer from 0 to 2^53 - 1");
  return false;
}

/* N-API's own conversion makes 0 of NaN, and descriptor 0 is one that exists. */
bool get_int(napi_env env, napi_value value, int *number) {
  double given;
  if (napi_get_value_double(env, value, &given) == napi_ok && given >= INT_MIN &&
      given <= INT_MAX && (double)(int)given == given) {
    *number = (int)given;
    return true;
  }
  napi_throw_type_error(env, "ARGUMENT", "famfs addon: expected an integer of 32 bits");
  return false;
}

bool get_bool(napi_env env, napi_value value, bool *flag) {
  if (napi_get_value_bool(env, value, flag) == napi_ok) return true;
  napi_throw_type_error(env, "ARGUMENT", "famfs addon: expected true or false");
  return false;
}

bool get_bytes(napi_env env, napi_value value, uint8_t **data, size_t *length) {
  napi_typedarray_type type;
  bool is = false;
  if (napi_is_typedarray(env, value, &is) == napi_ok && is &&
      napi_get_typedarray_info(env, value, &type, length, (void **)data, NULL, NULL) == napi_ok &&
      type == napi_uint8_array)
    return true;
  napi_throw_type_error(env, "ARGUMENT", "famfs addon: expected a Uint8Array");
  return false;
}

bool get_string(napi_env env, napi_value value, char *text, size_t capacity) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) == napi_ok && length < capacity &&
      napi_get_value_string_utf8(env, value, text, capacity, &length) == napi_ok &&
      strlen(text) == length)
    return true;
  napi_throw_type_error(env, "ARGUMENT", "famfs addon: expected a text without NUL, not too long");
  return false;
}

bool get_mapping(napi_env env, napi_value value, mapping_t **mapping) {
  napi_valuetype type;
  bool is = false;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external &&
      napi_check_object_type_tag(env, value, &MAPPING_TAG, &is) == napi_ok && is &&
      napi_get_value_external(env, value, (void **)mapping) == napi_ok)
    return true;
  napi_throw_type_error(env, "ARGUMENT", "famfs addon: expected a mapping");
  return false;
}

uint8_t *get_range(napi_env env, napi_value handle, napi_value offset, uint64_t length,
                   bool store) {
  mapping_t *mapping;
  uint64_t start;
  if (!get_mapping(env, handle, &mapping) || !get_size(env, offset, &start)) return NULL;
  if (mapping->base == NULL) return (uint8_t *)throw_code(env, "CLOSED", "the mapping is closed");
  if (start > mapping->length || length > mapping->length - start)
    return (uint8_t *)throw_code(env, "RANGE", "the range is outside the mapping");
  if (store && !mapping->writable)
    return (uint8_t *)throw_code(env, "READ_ONLY", "the mapping is for reading only");
  return mapping->base + start;
}

napi_value make_int(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

void define(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

/*
 * SIGBUS under a guarded access jumps back to `guarded`. The handler is the process's, installed
 * once; whether to jump is the thread's. Any other SIGBUS goes to who had the signal before us.
 */
static _Thread_local sigjmp_buf guard_jump;
static _Thread_local volatile sig_atomic_t guard_armed;
static struct sigaction previous;
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;

static void on_sigbus(int signal_number, siginfo_t *info, void *context) {
  if (guard_armed) {
    guard_armed = 0;
    siglongjmp(guard_jump, 1);
  }
  if ((previous.sa_flags & SA_SIGINFO) && previous.sa_sigaction != NULL) {
    previous.sa_sigaction(signal_number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal_number);
  } else {
    /* The access is repeated with the default action: a crash stays a crash. */
    signal(SIGBUS, SIG_DFL);
  }
}

static void install_guard(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
}

bool guarded(void (*access)(void *context), void *context) {
  pthread_once(&guard_once, install_guard);
  /* Mask not saved: SA_NODEFER leaves it alone, and saving it would cost a system call. */
  if (sigsetjmp(guard_jump, 0) != 0) return false;
  guard_armed = 1;
  access(context);
  guard_armed = 0;
  return true;
}

NAPI_MODULE_INIT() {
  init_memory(env, exports);
  init_fuse(env, exports);
  init_mounts(env, exports);
  init_descriptors(env, exports);
  return exports;
}

napi_value make_mapping(napi_env env, mapping_t *mapping, napi_finalize finalize) {
  napi_value handle;
  if (napi_create_external(env, mapping, finalize, NULL, &handle) != napi_ok) return NULL;
  napi_type_tag_object(env, handle, &MAPPING_TAG);
  return handle;
}
