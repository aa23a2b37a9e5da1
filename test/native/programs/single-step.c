/*
 * single-step write-back|invalidate|fence OFFSET LENGTH: runs the call of cache.c over a range of its own
 * memory one instruction at a time, by the CPU's trap flag, and prints each cache instruction with
 * the offset that it was for, and each fence, in the order in which they ran; last what the call
 * returned. x86-64.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "../../../native/cache.h"

enum { MEMORY = 8192, SEEN_MAX = 1024, CLFLUSH, CLFLUSHOPT, CLWB, SFENCE, MFENCE };

static const char *const NAMES[] = {
    [CLFLUSH] = "clflush", [CLFLUSHOPT] = "clflushopt", [CLWB] = "clwb",
    [SFENCE] = "sfence",   [MFENCE] = "mfence"};

static _Alignas(4096) uint8_t memory[MEMORY];
static struct {
  int kind;
  long offset;
} seen[SEEN_MAX];
static volatile int count;

/* The registers by their numbers in an instruction. */
static const int REGISTERS[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

/* What is to run next. Intel SDM: 0F AE /7, with 66 for the opt kind, 66 /6 for clwb; F0 and F8 in
 * register form are the fences. */
static void on_trap(int signal_number, siginfo_t *info, void *context) {
  (void)signal_number;
  (void)info;
  const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)registers[REG_RIP];
  bool prefix = *code == 0x66;
  if (prefix) code++;
  int extension = (*code & 0xf0) == 0x40 ? *code++ & 15 : 0;
  if (code[0] != 0x0f || code[1] != 0xae || count == SEEN_MAX) return;
  int mode = code[2] >> 6, which = code[2] >> 3 & 7, base = code[2] & 7;
  if (which < 6) return;
  int at = count++;
  if (mode == 3) {
    seen[at].kind = which == 7 ? SFENCE : MFENCE;
    return;
  }
  seen[at].kind = which == 6 ? CLWB : prefix ? CLFLUSHOPT : CLFLUSH;
  int32_t displacement = 0;
  if (mode == 1) displacement = (int8_t)code[3];
  if (mode == 2) memcpy(&displacement, code + 3, sizeof displacement);
  /* Base 4 is an index byte and, without displacement, 5 an absolute address: not decoded. */
  if (base == 4 || (mode == 0 && base == 5)) abort();
  uint8_t *address = (uint8_t *)registers[REGISTERS[base | (extension & 1) << 3]] + displacement;
  seen[at].offset = address - memory;
}

static inline void trap_flag(bool on) {
  unsigned long flags = __builtin_ia32_readeflags_u64();
  __builtin_ia32_writeeflags_u64(on ? flags | 0x100 : flags & ~0x100UL);
}

static size_t fence(const uint8_t *start, size_t length) {
  (void)start;
  (void)length;
  cache_fence();
  return 0;
}

int main(int words, char **word) {
  if (words != 4) return 2;
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  size_t (*call)(const uint8_t *, size_t) =
      strcmp(word[1], "invalidate") == 0 ? cache_invalidate
      : strcmp(word[1], "fence") == 0    ? fence
                                         : cache_write_back;
  const uint8_t *start = memory + strtoul(word[2], NULL, 10);
  size_t length = strtoul(word[3], NULL, 10);
  trap_flag(true);
  size_t lines = call(start, length);
  trap_flag(false);
  for (int i = 0; i < count; i++) {
    fputs(NAMES[seen[i].kind], stdout);
    if (seen[i].kind < SFENCE) printf(" %ld", seen[i].offset);
    fputs(", ", stdout);
  }
  printf("%zu lines\n", lines);
  return 0;
}
