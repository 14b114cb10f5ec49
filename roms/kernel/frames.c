// Physical frames: a list of free ones, and how many owners each has.
#include "paging.h"
#include "print.h"

extern u8 kernel_end[];
static u8 *owners;
static u32 first_free, frames, free_count;

void frames_init(u32 top) {
  owners = kernel_end;
  frames = top / PAGE;
  memset(owners, 1, frames);
  const u32 first = ((u32)owners + frames + PAGE - 1) / PAGE;
  for (u32 i = frames; i-- > first;) owners[i] = 1, free_count--, frame_release(i * PAGE);
  free_count = frames > first ? frames - first : 0;
}

u32 frame_count(void) { return frames; }
u32 frames_free(void) { return free_count; }

u32 frame_alloc(void) {
  const u32 frame = first_free;
  if (!frame) return 0;
  first_free = *(u32 *)frame;
  owners[frame / PAGE] = 1;
  free_count--;
  return frame;
}

void frame_share(u32 frame) {
  if (++owners[frame / PAGE] == 0) panic("a frame with too many owners");
}

void frame_release(u32 frame) {
  if (frame / PAGE >= frames || owners[frame / PAGE] == 0) panic("a frame that is free is given back");
  if (--owners[frame / PAGE]) return;
  *(u32 *)frame = first_free;
  first_free = frame;
  free_count++;
}

int frame_is_shared(u32 frame) { return owners[frame / PAGE] > 1; }
