// Programs of every day: gzip, which computes and should cost the same everywhere, and tar, which asks the kernel.
#include "measure.h"

#define BUSYBOX "/bin/busybox"
#define PLAIN "/tmp/measure.plain"
#define FOLDER "/tmp/measure.d"
#define PLAIN_BYTES (512u << 10)
#define FILES 100
#define FILE_BYTES 4096u

long write_all(int file, const void *bytes, u32 count) {
  const u8 *at = bytes;
  for (u32 left = count; left;) {
    const long now = call3(SYS_write, file, (long)at, left);
    if (now <= 0) return -1;
    at += now, left -= (u32)now;
  }
  return (long)count;
}

int run_program(const char *const *arguments, const char *output) {
  static const char *const environment[] = {"PATH=/bin", NULL};
  int status = -1;
  const long child = call3(SYS_fork, 0, 0, 0);
  if (child == 0) {
    const long to = call3(SYS_open, (long)output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    call3(SYS_dup2, to, 1, 0);
    call3(SYS_execve, (long)arguments[0], (long)arguments, (long)environment);
    call3(SYS_exit, 127, 0, 0);
  }
  if (child < 0 || call3(SYS_waitpid, child, (long)&status, 0) != child) return -1;
  return status & 0x7f ? -1 : status >> 8 & 0xff;
}

/** Text of a kind: words from a small set, the same in every run. */
static void fill(u8 *to, u32 bytes, u32 seed) {
  static const char words[] = "the quick brown fox jumps over a lazy dog and then it goes on for ever ";
  for (u32 i = 0; i < bytes;) {
    seed = seed * 1664525 + 1013904223;
    for (u32 k = seed >> 26; k < sizeof words - 1 && i < bytes; k++) {
      to[i++] = (u8)words[k];
      if (words[k] == ' ') break;
    }
  }
}

static int make_file(const char *path, u32 bytes, u32 seed) {
  u8 *content = map_memory(bytes);
  fill(content, bytes, seed);
  const long file = call3(SYS_open, (long)path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const long done = file < 0 ? -1 : write_all((int)file, content, bytes);
  call3(SYS_close, file, 0, 0);
  call3(SYS_munmap, (long)content, (long)bytes, 0);
  return done == (long)bytes;
}

static const char *no_busybox(void) {
  const long file = call3(SYS_open, (long)BUSYBOX, O_RDONLY, 0);
  if (file < 0) return "no busybox";
  call3(SYS_close, file, 0, 0);
  return NULL;
}

static const char *run_gzip(const struct question *question, u32 count) {
  (void)question;
  static const char *const gzip[] = {BUSYBOX, "gzip", "-c", PLAIN, NULL};
  static const char *const test[] = {BUSYBOX, "gzip", "-t", PLAIN ".gz", NULL};
  const int made = make_file(PLAIN, PLAIN_BYTES, 1);
  u32 wrong = !made;
  mark_begin();
  for (u32 i = 0; i < count && made; i++) wrong += run_program(gzip, PLAIN ".gz") != 0;
  mark_end();
  wrong += run_program(test, "/dev/null") != 0;
  call3(SYS_unlink, (long)PLAIN, 0, 0);
  call3(SYS_unlink, (long)(PLAIN ".gz"), 0, 0);
  return wrong ? "gzip failed" : NULL;
}

static const char *run_tar(const struct question *question, u32 count) {
  (void)question;
  static const char *const tar[] = {BUSYBOX, "tar", "-c", "-f", PLAIN ".tar", FOLDER, NULL};
  char path[] = FOLDER "/f000";
  call3(SYS_mkdir, (long)FOLDER, 0700, 0);
  u32 wrong = 0;
  for (u32 i = 0; i < FILES; i++) {
    path[sizeof path - 3] = (char)('0' + i / 10);
    path[sizeof path - 2] = (char)('0' + i % 10);
    wrong += !make_file(path, FILE_BYTES, i);
  }
  mark_begin();
  for (u32 i = 0; i < count; i++) wrong += run_program(tar, "/dev/null") != 0;
  mark_end();
  return wrong ? "tar failed" : NULL;
}

const struct question file_questions[] = {
    {"linux-gzip", 2, PLAIN_BYTES, run_gzip, no_busybox},
    {"linux-tar", 4, FILES * FILE_BYTES, run_tar, no_busybox},
};
const u32 file_question_count = COUNT(file_questions);
