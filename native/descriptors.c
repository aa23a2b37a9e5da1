/* Descriptors from process to process: one SOCK_SEQPACKET message with SCM_RIGHTS. */
#include "famfs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 253 /* SCM_MAX_FD */, SEND_PATIENCE_S = 5 };

typedef union {
  char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
  struct cmsghdr align;
} control_t;

static napi_value fail_closing(napi_env env, int fd, const char *what, int error) {
  close(fd);
  return throw_errno(env, what, error);
}

static bool get_address(napi_env env, napi_value value, struct sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  return get_string(env, value, address->sun_path, sizeof address->sun_path);
}

/* listenDescriptors(path) → a listening socket, for its owner only from the first moment. */
static napi_value js_listen(napi_env env, napi_callback_info info) {
  napi_value args[1];
  struct sockaddr_un address;
  if (!get_args(env, info, 1, args) || !get_address(env, args[0], &address)) return NULL;
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(env, "socket", errno);
  /* Before bind: the file gets the mode of the socket's inode. */
  if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&address, sizeof address))
    return fail_closing(env, fd, "bind", errno);
  if (listen(fd, 1)) {
    int error = errno;
    unlink(address.sun_path);
    return fail_closing(env, fd, "listen", error);
  }
  return make_int(env, fd);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until `fd` can be read, or fails with ETIMEDOUT at `end`. */
static int await_input(int fd, int64_t end) {
  for (;;) {
    int64_t left = end - now_ms();
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
    if (ready > 0) return 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) errno = ETIMEDOUT;
    return -1;
  }
}

static bool is_own_user(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) && peer.uid == geteuid();
}

static size_t take_rights(struct msghdr *message, int *fds) {
  size_t count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds + count, CMSG_DATA(c), here * sizeof(int));
    count += here;
  }
  return count;
}

/*
 * receiveDescriptors(listenFd, buffer, timeoutMs) → {lengthBytes, fds}: one connection's one
 * message. ETIMEDOUT when none comes, ECONNRESET when the sender left without one, EMSGSIZE when
 * buffer or control data are too small for it, EPERM from another user.
 */
static napi_value js_receive(napi_env env, napi_callback_info info) {
  napi_value args[3];
  int listening, timeout;
  uint8_t *buffer;
  size_t length;
  if (!get_args(env, info, 3, args) || !get_int(env, args[0], &listening) ||
      !get_bytes(env, args[1], &buffer, &length) || !get_int(env, args[2], &timeout))
    return NULL;
  if (timeout < 0) return throw_code(env, "RANGE", "receiveDescriptors: the timeout is negative");
  int64_t end = now_ms() + timeout;
  if (await_input(listening, end)) return throw_errno(env, "poll", errno);
  int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return throw_errno(env, "accept4", errno);
  if (!is_own_user(fd)) return fail_closing(env, fd, "SO_PEERCRED", EPERM);
  if (await_input(fd, end)) return fail_closing(env, fd, "poll", errno);
  control_t control;
  struct iovec part = {.iov_base = buffer, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0) return fail_closing(env, fd, "recvmsg", errno);
  close(fd);
  int fds[DESCRIPTORS_MAX];
  size_t count = take_rights(&message, fds);
  int error = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? EMSGSIZE : got == 0 ? ECONNRESET : 0;
  if (error) {
    while (count > 0) close(fds[--count]);
    return throw_errno(env, "recvmsg", error);
  }
  napi_value result, list;
  napi_create_object(env, &result);
  napi_create_array_with_length(env, count, &list);
  for (size_t i = 0; i < count; i++)
    napi_set_element(env, list, (uint32_t)i, make_int(env, fds[i]));
  napi_set_named_property(env, result, "lengthBytes", make_int(env, got));
  napi_set_named_property(env, result, "fds", list);
  return result;
}

static bool get_descriptors(napi_env env, napi_value list, int *fds, uint32_t *count) {
  if (napi_get_array_length(env, list, count) != napi_ok || *count > DESCRIPTORS_MAX) {
    throw_code(env, "RANGE", "sendDescriptors: expected an array of at most 253 descriptors");
    return false;
  }
  for (uint32_t i = 0; i < *count; i++) {
    napi_value element;
    if (napi_get_element(env, list, i, &element) != napi_ok || !get_int(env, element, &fds[i]))
      return false;
  }
  return true;
}

/* sendDescriptors(path, bytes, fds): connects and sends one message; the descriptors are copied. */
static napi_value js_send(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct sockaddr_un address;
  uint8_t *bytes;
  size_t length;
  int fds[DESCRIPTORS_MAX];
  uint32_t count;
  if (!get_args(env, info, 3, args) || !get_address(env, args[0], &address) ||
      !get_bytes(env, args[1], &bytes, &length) || !get_descriptors(env, args[2], fds, &count))
    return NULL;
  if (length == 0) return throw_code(env, "RANGE", "sendDescriptors: the message is empty");
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(env, "socket", errno);
  /* Bounds connect, too, which waits while the backlog is full. */
  struct timeval patience = {.tv_sec = SEND_PATIENCE_S};
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) ||
      connect(fd, (struct sockaddr *)&address, sizeof address))
    return fail_closing(env, fd, "connect", errno);
  control_t control = {0};
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_closing(env, fd, "sendmsg", errno);
  close(fd);
  return NULL;
}

void init_descriptors(napi_env env, napi_value exports) {
  define(env, exports, "listenDescriptors", js_listen);
  define(env, exports, "receiveDescriptors", js_receive);
  define(env, exports, "sendDescriptors", js_send);
}
