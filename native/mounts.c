/* Mounts by the mount API of Linux 5.2 and 5.12, with mount(2) where a kernel lacks it. */
#include "famfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> do not go together on all systems. */
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);
enum { DETACH = 2, NO_FOLLOW = 8 };
enum { NOSUID = 2, NODEV = 4, NOEXEC = 8, REMOUNT = 32, BIND = 4096, RDONLY = 1 };

static int set_string(int fs, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

static int set_number(int fs, const char *key, unsigned number, const char *format) {
  char text[16];
  snprintf(text, sizeof text, format, number);
  return set_string(fs, key, text);
}

static int set_flag(int fs, const char *key) {
  return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, key, NULL, 0);
}

static int close_keeping_errno(int fd) {
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* A directory as a descriptor, its last component never followed if it is a symbolic link. */
static int open_directory(const char *path) {
  return open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC | O_DIRECTORY);
}

static int attach(int mounted, const char *target) {
  int at = open_directory(target);
  if (at < 0) return -1;
  int failed = (int)syscall(SYS_move_mount, mounted, "", at, "",
                            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  return failed ? close_keeping_errno(at) : close(at);
}

typedef struct {
  int fd;
  const char *target, *source, *subtype;
  bool allow_other, default_permissions;
} fuse_mount_t;

/* A mount that is in no directory yet, as a descriptor; it goes with its last descriptor. */
static int create_fuse(const fuse_mount_t *m) {
  int fs = (int)syscall(SYS_fsopen, "fuse", FSOPEN_CLOEXEC);
  if (fs < 0) return -1;
  if (set_string(fs, "source", m->source) || set_string(fs, "subtype", m->subtype) ||
      set_number(fs, "fd", (unsigned)m->fd, "%u") || set_number(fs, "rootmode", 040000, "%o") ||
      set_number(fs, "user_id", geteuid(), "%u") || set_number(fs, "group_id", getegid(), "%u") ||
      (m->allow_other && set_flag(fs, "allow_other")) ||
      (m->default_permissions && set_flag(fs, "default_permissions")) ||
      syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
    return close_keeping_errno(fs);
  unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  int mounted = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
  close_keeping_errno(fs);
  return mounted;
}

static int mount_fuse_new(const fuse_mount_t *m) {
  int mounted = create_fuse(m);
  if (mounted < 0) return -1;
  return attach(mounted, m->target) ? close_keeping_errno(mounted) : close(mounted);
}

/* mount(2), at an open directory: a path could be made a symbolic link since it was opened. */
static int mount_at(const char *source, int at, const char *type, unsigned long flags,
                    const char *options) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", at);
  return mount(source, path, type, flags, options);
}

static int mount_fuse_old(const fuse_mount_t *m) {
  char options[256], type[64];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s%s", m->fd,
           geteuid(), getegid(), m->allow_other ? ",allow_other" : "",
           m->default_permissions ? ",default_permissions" : "");
  snprintf(type, sizeof type, "fuse.%s", m->subtype);
  int at = open_directory(m->target);
  if (at < 0) return -1;
  int failed = mount_at(m->source, at, type, NOSUID | NODEV, options);
  return failed ? close_keeping_errno(at) : close(at);
}

/* mountFuse(fd, target, source, subtype, allowOther, defaultPermissions) */
static napi_value js_mount_fuse(napi_env env, napi_callback_info info) {
  napi_value args[6];
  char target[PATH_MAX], source[256], subtype[32];
  fuse_mount_t m = {.target = target, .source = source, .subtype = subtype};
  if (!get_args(env, info, 6, args) || !get_int(env, args[0], &m.fd) ||
      !get_string(env, args[1], target, sizeof target) ||
      !get_string(env, args[2], source, sizeof source) ||
      !get_string(env, args[3], subtype, sizeof subtype) ||
      !get_bool(env, args[4], &m.allow_other) ||
      !get_bool(env, args[5], &m.default_permissions))
    return NULL;
  int failed = mount_fuse_new(&m);
  if (failed && errno == ENOSYS) failed = mount_fuse_old(&m);
  return failed ? throw_errno(env, "mount of FUSE", errno) : NULL;
}

/* The clone is made read-only before it is attached: there is no writable moment. */
static int bind_new(const char *source, const char *target, bool read_only) {
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
  if (tree < 0) return -1;
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
  if (read_only && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof attr))
    return close_keeping_errno(tree);
  return attach(tree, target) ? close_keeping_errno(tree) : close(tree);
}

static int bind_descriptor(int source, int target) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", source);
  return mount_at(path, target, NULL, BIND, NULL);
}

/*
 * mount(2) makes a bind mount writable and then read-only, but one of a read-only mount is
 * read-only from the start. So the writable moment is in a directory that only we can reach.
 */
static int bind_read_only_old(int source, int target) {
  char hidden[PATH_MAX];
  const char *folder = getenv("TMPDIR");
  struct statvfs now;
  snprintf(hidden, sizeof hidden, "%.4000s/famfs-bind-XXXXXX", folder ? folder : "/tmp");
  if (mkdtemp(hidden) == NULL) return -1;
  int at = open_directory(hidden);
  int failed = at < 0 || bind_descriptor(source, at);
  int mounted = !failed;
  /* A user namespace may not take away the flags that the mount came with. */
  failed = failed || statvfs(hidden, &now) ||
           mount(NULL, hidden, NULL,
                 BIND | REMOUNT | RDONLY | (now.f_flag & (NOSUID | NODEV | NOEXEC)), NULL);
  int tree = failed ? -1 : open_directory(hidden);
  failed = failed || tree < 0 || bind_descriptor(tree, target);
  int error = errno;
  if (tree >= 0) close(tree);
  if (at >= 0) close(at);
  if (mounted) umount2(hidden, DETACH | NO_FOLLOW);
  rmdir(hidden);
  errno = error;
  return failed ? -1 : 0;
}

static int bind_old(const char *source, const char *target, bool read_only) {
  int from = open_directory(source);
  if (from < 0) return -1;
  int at = open_directory(target);
  if (at < 0) return close_keeping_errno(from);
  int failed = read_only ? bind_read_only_old(from, at) : bind_descriptor(from, at);
  close_keeping_errno(at);
  return failed ? close_keeping_errno(from) : close(from);
}

/* createFuseMount(fd, source, subtype, allowOther, defaultPermissions) → descriptor */
static napi_value js_create_fuse_mount(napi_env env, napi_callback_info info) {
  napi_value args[5];
  char source[256], subtype[32];
  fuse_mount_t m = {.source = source, .subtype = subtype};
  if (!get_args(env, info, 5, args) || !get_int(env, args[0], &m.fd) ||
      !get_string(env, args[1], source, sizeof source) ||
      !get_string(env, args[2], subtype, sizeof subtype) ||
      !get_bool(env, args[3], &m.allow_other) ||
      !get_bool(env, args[4], &m.default_permissions))
    return NULL;
  int mounted = create_fuse(&m);
  return mounted < 0 ? throw_errno(env, "mount of FUSE", errno) : make_int(env, mounted);
}

/* fuseConnections() → descriptor of a mount of fusectl that is in no directory */
static napi_value js_fuse_connections(napi_env env, napi_callback_info info) {
  (void)info;
  int fs = (int)syscall(SYS_fsopen, "fusectl", FSOPEN_CLOEXEC);
  if (fs < 0) return throw_errno(env, "fsopen of fusectl", errno);
  int mounted = syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)
                    ? -1
                    : (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID);
  close_keeping_errno(fs);
  return mounted < 0 ? throw_errno(env, "mount of fusectl", errno) : make_int(env, mounted);
}

/* attachMount(mountFd, target): shows a mount that createFuseMount made. */
static napi_value js_attach_mount(napi_env env, napi_callback_info info) {
  napi_value args[2];
  char target[PATH_MAX];
  int mounted;
  if (!get_args(env, info, 2, args) || !get_int(env, args[0], &mounted) ||
      !get_string(env, args[1], target, sizeof target))
    return NULL;
  return attach(mounted, target) ? throw_errno(env, "move_mount", errno) : NULL;
}

/* bindMount(source, target, readOnly) */
static napi_value js_bind_mount(napi_env env, napi_callback_info info) {
  napi_value args[3];
  char source[PATH_MAX], target[PATH_MAX];
  bool read_only;
  if (!get_args(env, info, 3, args) || !get_string(env, args[0], source, sizeof source) ||
      !get_string(env, args[1], target, sizeof target) ||
      !get_bool(env, args[2], &read_only))
    return NULL;
  int failed = bind_new(source, target, read_only);
  if (failed && errno == ENOSYS) failed = bind_old(source, target, read_only);
  return failed ? throw_errno(env, "bind mount", errno) : NULL;
}

/* unmount(target, detach) */
static napi_value js_unmount(napi_env env, napi_callback_info info) {
  napi_value args[2];
  char target[PATH_MAX];
  bool detach;
  if (!get_args(env, info, 2, args) || !get_string(env, args[0], target, sizeof target) ||
      !get_bool(env, args[1], &detach))
    return NULL;
  if (umount2(target, NO_FOLLOW | (detach ? DETACH : 0)))
    return throw_errno(env, "umount2", errno);
  return NULL;
}

void init_mounts(napi_env env, napi_value exports) {
  define(env, exports, "mountFuse", js_mount_fuse);
  define(env, exports, "createFuseMount", js_create_fuse_mount);
  define(env, exports, "fuseConnections", js_fuse_connections);
  define(env, exports, "attachMount", js_attach_mount);
  define(env, exports, "bindMount", js_bind_mount);
  define(env, exports, "unmount", js_unmount);
}
