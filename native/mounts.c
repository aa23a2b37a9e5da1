/* Mounts by the mount API of Linux 5.2 and 5.12, with mount(2) where a kernel lacks it. */
#include "famfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> do not go together on all systems. */
extern int mount(const char *, const char *, const char *, unsigned long, const void *);
extern int umount2(const char *, int);
enum { DETACH = 2, NO_FOLLOW = 8 };
enum { NOSUID = 2, NODEV = 4, REMOUNT = 32, BIND = 4096, RDONLY = 1 };

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

/* The target as a descriptor, its last component never followed if it is a symbolic link. */
static int open_target(const char *target) {
  return open(target, O_PATH | O_NOFOLLOW | O_CLOEXEC | O_DIRECTORY);
}

static int attach(int mounted, const char *target) {
  int at = open_target(target);
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

static int mount_fuse_old(const fuse_mount_t *m) {
  char options[256], type[64];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s%s", m->fd,
           geteuid(), getegid(), m->allow_other ? ",allow_other" : "",
           m->default_permissions ? ",default_permissions" : "");
  snprintf(type, sizeof type, "fuse.%s", m->subtype);
  return mount(m->source, m->target, type, NOSUID | NODEV, options);
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
      napi_get_value_bool(env, args[4], &m.allow_other) != napi_ok ||
      napi_get_value_bool(env, args[5], &m.default_permissions) != napi_ok)
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

static int bind_old(const char *source, const char *target, bool read_only) {
  char path[64];
  int at = open_target(target);
  if (at < 0) return -1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", at);
  int failed = mount(source, path, NULL, BIND, NULL);
  unsigned long flags = BIND | REMOUNT | RDONLY | NOSUID | NODEV;
  if (!failed && read_only && mount(NULL, target, NULL, flags, NULL)) {
    int error = errno;
    umount2(target, DETACH | NO_FOLLOW);
    errno = error;
    failed = -1;
  }
  return failed ? close_keeping_errno(at) : close(at);
}

/* createFuseMount(fd, source, subtype, allowOther, defaultPermissions) → descriptor */
static napi_value js_create_fuse_mount(napi_env env, napi_callback_info info) {
  napi_value args[5];
  char source[256], subtype[32];
  fuse_mount_t m = {.source = source, .subtype = subtype};
  if (!get_args(env, info, 5, args) || !get_int(env, args[0], &m.fd) ||
      !get_string(env, args[1], source, sizeof source) ||
      !get_string(env, args[2], subtype, sizeof subtype) ||
      napi_get_value_bool(env, args[3], &m.allow_other) != napi_ok ||
      napi_get_value_bool(env, args[4], &m.default_permissions) != napi_ok)
    return NULL;
  int mounted = create_fuse(&m);
  return mounted < 0 ? throw_errno(env, "mount of FUSE", errno) : make_int(env, mounted);
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
      napi_get_value_bool(env, args[2], &read_only) != napi_ok)
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
      napi_get_value_bool(env, args[1], &detach) != napi_ok)
    return NULL;
  if (umount2(target, NO_FOLLOW | (detach ? DETACH : 0)))
    return throw_errno(env, "umount2", errno);
  return NULL;
}

void init_mounts(napi_env env, napi_value exports) {
  define(env, exports, "mountFuse", js_mount_fuse);
  define(env, exports, "createFuseMount", js_create_fuse_mount);
  define(env, exports, "attachMount", js_attach_mount);
  define(env, exports, "bindMount", js_bind_mount);
  define(env, exports, "unmount", js_unmount);
}
