/* /dev/fuse: receive, send, its ioctls; and the descriptors around it: eventfd, flock, pidfd. */
#include "famfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* include/uapi/linux/fuse.h; DAXDEV_OPEN as fuse-famfs-abi.md has it. */
#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#define FUSE_DEV_IOC_DAXDEV_OPEN 0x4010e504UL

enum { SEGMENTS_MAX = 1023 };

/*
 * receive(fd, wakeFd, buffer, timeoutMs) → bytes of one request; 0: woken or timed out; -1: gone.
 * Reads first and polls only when there is nothing: under load one system call a request.
 */
static napi_value js_receive(napi_env env, napi_callback_info info) {
  napi_value args[4];
  int fd, wake, timeout;
  uint8_t *buffer;
  size_t length;
  if (!get_args(env, info, 4, args) || !get_int(env, args[0], &fd) ||
      !get_int(env, args[1], &wake) || !get_bytes(env, args[2], &buffer, &length) ||
      !get_int(env, args[3], &timeout))
    return NULL;
  for (;;) {
    ssize_t got = read(fd, buffer, length);
    if (got >= 0) return make_int(env, got);
    if (errno == ENODEV) return make_int(env, -1);
    /* ENOENT: the request was aborted between our wake-up and the read. */
    if (errno == EINTR || errno == ENOENT) continue;
    if (errno != EAGAIN) return throw_errno(env, "read of /dev/fuse", errno);
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
    int ready = poll(fds, wake < 0 ? 1 : 2, timeout);
    if (ready < 0 && errno != EINTR) return throw_errno(env, "poll of /dev/fuse", errno);
    if (ready == 0 || (wake >= 0 && fds[1].revents != 0)) return make_int(env, 0);
  }
}

static bool get_length(napi_env env, napi_value array, uint32_t *length) {
  bool is = false;
  return napi_is_array(env, array, &is) == napi_ok && is &&
         napi_get_array_length(env, array, length) == napi_ok;
}

/*
 * send(fd, head, handles, ranges): one writev of the head and of each handle's range; `ranges` has
 * an offset and a length for each. True when sent; false when the request was interrupted and is
 * gone.
 */
static napi_value js_send(napi_env env, napi_callback_info info) {
  napi_value args[4];
  struct iovec parts[SEGMENTS_MAX + 1];
  uint32_t count, numbers;
  int fd;
  size_t head_length;
  uint8_t *head;
  if (!get_args(env, info, 4, args) || !get_int(env, args[0], &fd) ||
      !get_bytes(env, args[1], &head, &head_length))
    return NULL;
  if (!get_length(env, args[2], &count) || count > SEGMENTS_MAX ||
      !get_length(env, args[3], &numbers) || numbers != 2 * count)
    return throw_code(env, "ARGUMENT", "send: expected arrays of handles and of two numbers each");
  parts[0].iov_base = head;
  parts[0].iov_len = head_length;
  for (uint32_t i = 0; i < count; i++) {
    napi_value handle = NULL, offset = NULL, length = NULL;
    uint64_t bytes;
    napi_get_element(env, args[2], i, &handle);
    napi_get_element(env, args[3], 2 * i, &offset);
    napi_get_element(env, args[3], 2 * i + 1, &length);
    if (!get_size(env, length, &bytes)) return NULL;
    parts[i + 1].iov_base = get_range(env, handle, offset, bytes, false);
    parts[i + 1].iov_len = bytes;
    if (parts[i + 1].iov_base == NULL) return NULL;
  }
  ssize_t sent;
  do sent = writev(fd, parts, (int)count + 1);
  while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EFAULT && count > 0)
    return throw_code(env, "MEMORY_ERROR", "the memory under the mapping failed (EFAULT)");
  if (sent < 0 && errno != ENOENT) return throw_errno(env, "write to /dev/fuse", errno);
  napi_value done;
  napi_get_boolean(env, sent >= 0, &done);
  return done;
}

/* cloneFrom(fd, source): this descriptor serves the source's connection too. */
static napi_value js_clone(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int fd, source;
  if (!get_args(env, info, 2, args) || !get_int(env, args[0], &fd) ||
      !get_int(env, args[1], &source))
    return NULL;
  uint32_t number = (uint32_t)source;
  if (ioctl(fd, FUSE_DEV_IOC_CLONE, &number) != 0)
    return throw_errno(env, "FUSE_DEV_IOC_CLONE", errno);
  return NULL;
}

/* openDaxdev(fd, daxFd, index): registers a dax device with a push or push2 kernel. */
static napi_value js_open_daxdev(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int fd, dax;
  uint64_t index;
  if (!get_args(env, info, 3, args) || !get_int(env, args[0], &fd) ||
      !get_int(env, args[1], &dax) || !get_size(env, args[2], &index))
    return NULL;
  struct {
    int32_t fd;
    uint32_t flags;
    uint64_t index;
  } map = {.fd = dax, .flags = 0, .index = index};
  if (ioctl(fd, FUSE_DEV_IOC_DAXDEV_OPEN, &map) < 0)
    return throw_errno(env, "FUSE_DEV_IOC_DAXDEV_OPEN", errno);
  return NULL;
}

/* eventfd() → fd, non-blocking, closed on exec. */
static napi_value js_eventfd(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd < 0 ? throw_errno(env, "eventfd", errno) : make_int(env, fd);
}

/* tryLock(fd) → whether flock(LOCK_EX | LOCK_NB) got it. */
static napi_value js_try_lock(napi_env env, napi_callback_info info) {
  napi_value args[1], got;
  int fd;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], &fd)) return NULL;
  int failed = flock(fd, LOCK_EX | LOCK_NB);
  if (failed && errno != EWOULDBLOCK) return throw_errno(env, "flock", errno);
  napi_get_boolean(env, !failed, &got);
  return got;
}

/* unlock(fd): drops the flock(2) of this open file; the descriptor stays. */
static napi_value js_unlock(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], &fd)) return NULL;
  return flock(fd, LOCK_UN) < 0 ? throw_errno(env, "flock", errno) : NULL;
}

/* fetchDescriptor(pid, fd) → a copy of another process's descriptor, closed on exec. */
static napi_value js_fetch_descriptor(napi_env env, napi_callback_info info) {
  napi_value args[2];
  int pid, number;
  if (!get_args(env, info, 2, args) || !get_int(env, args[0], &pid) ||
      !get_int(env, args[1], &number))
    return NULL;
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  if (process < 0) return throw_errno(env, "pidfd_open", errno);
  int fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
  int error = errno;
  close(process);
  return fd < 0 ? throw_errno(env, "pidfd_getfd", error) : make_int(env, fd);
}

/* prepare(fd): non-blocking and closed on exec, for a descriptor that was inherited. */
static napi_value js_prepare(napi_env env, napi_callback_info info) {
  napi_value args[1];
  int fd;
  if (!get_args(env, info, 1, args) || !get_int(env, args[0], &fd)) return NULL;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return throw_errno(env, "fcntl", errno);
  return NULL;
}

void init_fuse(napi_env env, napi_value exports) {
  define(env, exports, "receive", js_receive);
  define(env, exports, "send", js_send);
  define(env, exports, "cloneFrom", js_clone);
  define(env, exports, "openDaxdev", js_open_daxdev);
  define(env, exports, "eventfd", js_eventfd);
  define(env, exports, "tryLock", js_try_lock);
  define(env, exports, "unlock", js_unlock);
  define(env, exports, "fetchDescriptor", js_fetch_descriptor);
  define(env, exports, "prepare", js_prepare);
}
