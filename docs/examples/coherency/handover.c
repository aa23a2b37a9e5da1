/*
 * handover write FILE TEXT   stores TEXT, then the word that announces it
 * handover read FILE         waits for the word, prints the text
 *
 * The file's first line of 64 bytes is the announcement: the length of the text, 0 while there is
 * none. The text begins in the next line, so that no line has two writers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flush.h"

struct handover {
  volatile uint64_t length;
  char pad[LINE_BYTES - sizeof(uint64_t)];
  char text[];
};

static void give(struct handover *h, const char *text, size_t length) {
  memcpy(h->text, text, length);
  flush_after_write(h->text, length); /* the text is in memory before the word that says so */
  h->length = length;                 /* one aligned 8-byte store: seen whole or not at all */
  flush_after_write((const void *)&h->length, sizeof h->length);
}

/* The length of the text; one above `room` is not looked behind: another host wrote it. */
static size_t await(struct handover *h, size_t room) {
  for (;;) {
    invalidate_before_read((const void *)&h->length, sizeof h->length);
    size_t length = h->length;
    if (length > room) return length;
    if (length != 0) {
      invalidate_before_read(h->text, length); /* after the word: never a text older than it */
      return length;
    }
    usleep(1000);
  }
}

int main(int argc, char **argv) {
  struct stat info;
  int writes = argc == 4 && strcmp(argv[1], "write") == 0;
  if (!writes && !(argc == 3 && strcmp(argv[1], "read") == 0)) {
    fprintf(stderr, "usage: handover write FILE TEXT | handover read FILE\n");
    return 2;
  }
  int fd = open(argv[2], O_RDWR);
  if (fd < 0 || fstat(fd, &info) != 0) {
    perror(argv[2]);
    return 1;
  }
  struct handover *h = mmap(NULL, info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (h == MAP_FAILED) {
    perror("mmap");
    return 1;
  }
  size_t room = info.st_size - sizeof *h;
  if (writes && strlen(argv[3]) > room) {
    fprintf(stderr, "handover: the text has %zu bytes, the file has room for %zu\n",
            strlen(argv[3]), room);
    return 1;
  }
  if (writes) {
    give(h, argv[3], strlen(argv[3]));
  } else {
    size_t length = await(h, room);
    if (length > room) {
      fprintf(stderr, "handover: found a length of %zu, expected at most %zu\n", length, room);
      return 1;
    }
    fwrite(h->text, 1, length, stdout);
    putchar('\n');
  }
  return 0;
}
