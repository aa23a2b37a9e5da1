/*
 * refuse-calls NAME… -- COMMAND…: runs the command, and all that it starts, on a kernel that does
 * not know these system calls: each fails with ENOSYS, as on a kernel from before them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FAILED = 125 };

static const struct {
  const char *name;
  int number;
} KNOWN[] = {
    {"fsopen", SYS_fsopen}, {"open_tree", SYS_open_tree}, {"mount_setattr", SYS_mount_setattr}};

static int number_of(const char *name) {
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
    if (strcmp(name, KNOWN[i].name) == 0) return KNOWN[i].number;
  return -1;
}

static int refuse(int number) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0)) return -1;
  /* Any argument does: the filter must answer before the kernel looks at one. */
  return syscall(number, -1, -1, -1, -1, -1) == -1 && errno == ENOSYS ? 0 : -1;
}

int main(int count, char **words) {
  int at = 1;
  for (; at < count && strcmp(words[at], "--") != 0; at++) {
    int number = number_of(words[at]);
    if (number >= 0 && refuse(number) == 0) continue;
    fprintf(stderr, "refuse-calls: %s cannot be refused\n", words[at]);
    return FAILED;
  }
  if (at + 1 >= count) return FAILED;
  execvp(words[at + 1], words + at + 1);
  perror("refuse-calls");
  return FAILED;
}
