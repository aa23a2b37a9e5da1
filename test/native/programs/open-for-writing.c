/*
 * open-for-writing FILE: tries to open it for writing, over and over. Answers each line of standard
 * input with how often it was refused as read-only and how often not, as JSON; ends with the input.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { TRIES = 256 };

int main(int count, char **words) {
  if (count != 2) return 2;
  unsigned long refused = 0, opened = 0;
  for (;;) {
    for (int i = 0; i < TRIES; i++) {
      int fd = open(words[1], O_WRONLY | O_CLOEXEC);
      if (fd < 0) {
        refused += errno == EROFS;
        continue;
      }
      opened++;
      close(fd);
    }
    char line[64];
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (poll(&input, 1, 0) == 0) continue;
    if (read(0, line, sizeof line) <= 0) return 0;
    printf("{\"refused\": %lu, \"opened\": %lu}\n", refused, opened);
    fflush(stdout);
  }
}
