/*
 * Runs single 32- and 16-bit instructions on the machine's own CPU, at CPL 3, and reports what each did.
 *
 * Reads a batch (see format.ts) on stdin: memory regions with their first contents, LDT descriptors, then cases.
 * Each case is one instruction with the complete register, flag, segment and memory state before it. The signal
 * handler is the loop: it records the case that has just stopped, then rewrites the signal context with the next
 * case and returns into it, so one case costs one signal. A case stops by single step (EFLAGS.TF) or, where
 * TF would be visible or is suppressed (PUSHF, POPF, IRET, MOV SS, REP), at the INT3 bytes that fill the code region.
 *
 * Freestanding on purpose: the handler runs with whatever FS and GS the case had, so nothing may touch
 * thread-local storage. gcc -m32 -O2 -msse2 -ffreestanding -nostdlib -static -no-pie -fno-stack-protector.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

enum { NR_exit = 1, NR_read = 3, NR_write = 4, NR_munmap = 91, NR_mprotect = 125, NR_modify_ldt = 123,
       NR_sigreturn = 173, NR_sigaction = 174, NR_sigaltstack = 186, NR_mmap2 = 192 };

static int sys(int nr, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f) {
  u32 args[2] = { f, (u32)nr };
  int r;
  /* EBP is the sixth argument, so it is saved by hand. */
  __asm__ volatile("pushl %%ebp\n\tmovl 4(%%eax), %%ebp\n\txchgl %%eax, %%ebp\n\tmovl (%%ebp), %%ebp\n\tint $0x80\n\tpopl %%ebp"
                   : "=a"(r) : "0"(args), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
  return r;
}

void *memcpy(void *d, const void *s, u32 n) {
  void *r = d;
  __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
  return r;
}
void *memset(void *d, int v, u32 n) {
  void *r = d;
  __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory");
  return r;
}

static void die(const char *why) {
  u32 n = 0;
  while (why[n]) n++;
  sys(NR_write, 2, (u32)why, n, 0, 0, 0);
  sys(NR_exit, 2, 0, 0, 0, 0, 0);
}

/* ------------------------------------------------------------------ the batch */
#define MAGIC 0x4c43524f /* "ORCL" */
struct header { u32 magic, regionCount, descriptorCount, caseCount; };
enum { PROT_R = 1, PROT_W = 2, PROT_X = 4, REGION_CODE = 8 };
struct region { u32 address, size, prot, filled; }; /* `filled`: 1 = the first contents follow the header tables */
struct descriptor { u32 index, base, limit, bits; };  /* bits as struct user_desc */
struct user_desc { u32 entry, base, limit, bits; };

enum { CASE_INT3 = 1 };
struct test {
  u16 size; u8 codeLength, flags;
  u32 address, eip, regs[8], eflags;
  u16 selectors[6]; /* ES CS SS DS FS GS */
  u32 private[4];   /* the generator's own: form, masks */
  u8 patchCount, pad[3];
  u8 code[];        /* at least 16 bytes, padded to 4; then patches: u32 address, u32 length, bytes padded to 4 */
};
static u8 *patchesOf(struct test *t) {
  return t->code + (t->codeLength <= 16 ? 16 : (t->codeLength + 3) & ~3u);
}
struct result {
  u16 size; u8 vector, diffCount;
  u32 error, cr2, regs[8], eip, eflags;
  u16 selectors[6];
  u8 diffs[];       /* as patches */
};
#define NO_VECTOR 0xff

#define MAX_REGIONS 16
static struct region *regions;
static u32 regionCount;
static u8 *shadow[MAX_REGIONS];  /* what the region must hold if nothing writes it */
static u8 *pristine[MAX_REGIONS];

static u8 *input, *inputEnd, *cursor;
static u8 *output, *outputEnd;
static struct test *current;
static u32 remaining;

static u8 *map(u32 at, u32 size, u32 prot, int fixed) {
  /* MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE (| MAP_FIXED_NOREPLACE) */
  u32 r = sys(NR_mmap2, at, size, prot, 0x22 | 0x4000 | (fixed ? 0x100000 : 0), (u32)-1, 0);
  if (r > 0xfffff000u || (fixed && r != at)) die("oracle harness: mmap failed\n");
  return (u8 *)r;
}

/* ------------------------------------------------------------------ the signal frame */
struct sigcontext {
  u32 gs, fs, es, ds, edi, esi, ebp, esp, ebx, edx, ecx, eax, trapno, err, eip, cs, eflags, espAtSignal, ss;
  u32 fpstate, oldmask, cr2;
};
struct ucontext { u32 flags, link, stack[3]; struct sigcontext mc; };
struct ksigaction { u32 handler, flags, restorer; u32 mask[2]; };

static void flush(void) {
  u8 *p = output;
  extern u8 *outputBase;
  p = outputBase;
  while (p < output) {
    int n = sys(NR_write, 1, (u32)p, (u32)(output - p), 0, 0, 0);
    if (n <= 0) die("oracle harness: write failed\n");
    p += n;
  }
  output = outputBase;
}
u8 *outputBase;

static u8 *regionShadow(u32 address, u8 **first) {
  for (u32 i = 0; i < regionCount; i++) {
    u32 off = address - regions[i].address;
    if (off < regions[i].size && shadow[i]) {
      if (first) *first = pristine[i] + off;
      return shadow[i] + off;
    }
  }
  die("oracle harness: a patch lies outside the filled regions\n");
  return 0;
}

static void load(struct sigcontext *c) {
  if (remaining == 0) {
    flush();
    sys(NR_exit, 0, 0, 0, 0, 0, 0);
  }
  remaining--;
  current = (struct test *)cursor;
  cursor += current->size;
  u8 *p = patchesOf(current);
  for (u32 i = 0; i < current->patchCount; i++) {
    u32 at = *(u32 *)p, n = *(u32 *)(p + 4);
    memcpy((void *)at, p + 8, n);
    memcpy(regionShadow(at, 0), p + 8, n);
    p += 8 + ((n + 3) & ~3u);
  }
  memcpy((void *)current->address, current->code, current->codeLength);
  const u32 *r = current->regs;
  c->eax = r[0]; c->ecx = r[1]; c->edx = r[2]; c->ebx = r[3]; c->esp = r[4]; c->ebp = r[5]; c->esi = r[6]; c->edi = r[7];
  const u16 *s = current->selectors;
  c->es = s[0]; c->cs = s[1]; c->ss = s[2]; c->ds = s[3]; c->fs = s[4]; c->gs = s[5];
  c->eip = current->eip;
  c->eflags = (current->flags & CASE_INT3) ? current->eflags : current->eflags | 0x100;
  c->fpstate = 0;
}

typedef long long v2 __attribute__((vector_size(16)));

static void save(struct sigcontext *c) {
  struct result *o = (struct result *)output;
  u32 vector = c->trapno;
  o->error = c->err;
  o->cr2 = vector == 14 ? c->cr2 : 0;
  o->eip = c->eip;
  if (current->flags & CASE_INT3) {
    if (vector == 3) { vector = NO_VECTOR; o->eip--; }
  } else if (vector == 1) {
    vector = NO_VECTOR;
  }
  o->vector = (u8)vector;
  u32 *r = o->regs;
  r[0] = c->eax; r[1] = c->ecx; r[2] = c->edx; r[3] = c->ebx; r[4] = c->esp; r[5] = c->ebp; r[6] = c->esi; r[7] = c->edi;
  o->eflags = c->eflags;
  u16 *s = o->selectors;
  s[0] = (u16)c->es; s[1] = (u16)c->cs; s[2] = (u16)c->ss; s[3] = (u16)c->ds; s[4] = (u16)c->fs; s[5] = (u16)c->gs;
  u8 *d = o->diffs;
  u32 diffs = 0;
  for (u32 i = 0; i < regionCount; i++) {
    if (!shadow[i] || !(regions[i].prot & PROT_W)) continue;
    u8 *m = (u8 *)regions[i].address, *e = shadow[i];
    u32 size = regions[i].size;
    for (u32 at = 0; at < size; at += 64) {
      v2 *a = (v2 *)(m + at), *b = (v2 *)(e + at);
      v2 x = (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]);
      if (__builtin_expect((x[0] | x[1]) == 0, 1)) continue;
      for (u32 j = at; j < at + 64;) {
        if (m[j] == e[j]) { j++; continue; }
        /* One run of changed bytes; it may pass the 64-byte step. */
        u32 n = 1;
        while (j + n < size && n < 255 && m[j + n] != e[j + n]) n++;
        if (diffs == 255) die("oracle harness: too many differences\n");
        diffs++;
        *(u32 *)d = regions[i].address + j;
        *(u32 *)(d + 4) = n;
        memcpy(d + 8, m + j, n);
        memcpy(m + j, e + j, n);
        d += 8 + ((n + 3) & ~3u);
        j += n;
      }
    }
  }
  o->diffCount = (u8)diffs;
  if (d - output > 0xfff0) die("oracle harness: result too long\n");
  o->size = (u16)(d - output);
  output = d;
  if (outputEnd - output < 0x20000) flush();
  /* Take the patches and the code back. */
  u8 *p = patchesOf(current);
  for (u32 i = 0; i < current->patchCount; i++) {
    u32 at = *(u32 *)p, n = *(u32 *)(p + 4);
    u8 *first, *sh = regionShadow(at, &first);
    memcpy(sh, first, n);
    memcpy((void *)at, first, n);
    p += 8 + ((n + 3) & ~3u);
  }
  memset((void *)current->address, 0xcc, current->codeLength);
}

__attribute__((used)) void handle(struct ucontext *u) {
  if (current) save(&u->mc);
  load(&u->mc);
}

/* Handler entry: flags and segments are the test's, apart from CS, SS, DS and ES. AC, NT and ID must go. */
__asm__(
  ".text\n.globl onSignal\nonSignal:\n"
  "  cld\n  pushl $0x202\n  popfl\n"
  "  movl 12(%esp), %eax\n  pushl %eax\n  call handle\n  addl $4, %esp\n  ret\n"
  ".globl onReturn\nonReturn:\n  movl $173, %eax\n  int $0x80\n"
  ".globl _start\n_start:\n  andl $-16, %esp\n  call run\n  ud2\n");
extern void onSignal(void), onReturn(void);

static u8 altStack[65536] __attribute__((aligned(64)));

__attribute__((used)) void run(void) {
  /* The whole batch first: its size is the first word. */
  u32 size = 0, got = 0;
  while (got < 4) {
    int n = sys(NR_read, 0, (u32)&size + got, 4 - got, 0, 0, 0);
    if (n <= 0) die("oracle harness: no batch on stdin\n");
    got += n;
  }
  input = map(0, (size + 0xfff) & ~0xfffu, 3, 0);
  for (got = 0; got < size;) {
    int n = sys(NR_read, 0, (u32)input + got, size - got, 0, 0, 0);
    if (n <= 0) die("oracle harness: the batch is cut short\n");
    got += n;
  }
  inputEnd = input + size;
  struct header *h = (struct header *)input;
  if (h->magic != MAGIC || h->regionCount > MAX_REGIONS) die("oracle harness: not a batch\n");
  regions = (struct region *)(h + 1);
  regionCount = h->regionCount;
  struct descriptor *ds = (struct descriptor *)(regions + regionCount);
  cursor = (u8 *)(ds + h->descriptorCount);
  for (u32 i = 0; i < regionCount; i++) {
    struct region *r = &regions[i];
    u8 *m = map(r->address, r->size, 3, 1);
    if (r->prot & REGION_CODE) memset(m, 0xcc, r->size);
    if (r->filled) {
      memcpy(m, cursor, r->size);
      pristine[i] = cursor;
      shadow[i] = map(0, r->size, 3, 0);
      memcpy(shadow[i], cursor, r->size);
      cursor += r->size;
    }
    /* The code region stays writable here as in the tested machine. */
    if (sys(NR_mprotect, r->address, r->size, r->prot & 7, 0, 0, 0) != 0) die("oracle harness: mprotect failed\n");
    if (r->prot & PROT_R) for (u32 at = 0; at < r->size; at += 4096) (void)*(volatile u8 *)(r->address + at);
  }
  for (u32 i = 0; i < h->descriptorCount; i++) {
    struct user_desc d = { ds[i].index, ds[i].base, ds[i].limit, ds[i].bits };
    if (sys(NR_modify_ldt, 0x11, (u32)&d, sizeof d, 0, 0, 0) != 0) die("oracle harness: modify_ldt refused a descriptor\n");
  }
  remaining = h->caseCount;
  outputBase = output = map(0, 0x400000, 3, 0);
  outputEnd = output + 0x400000;
  u32 stack[3] = { (u32)altStack, 0, sizeof altStack };
  sys(NR_sigaltstack, (u32)stack, 0, 0, 0, 0, 0);
  static const u8 signals[] = { 4, 5, 7, 8, 11 }; /* ILL TRAP BUS FPE SEGV */
  for (u32 i = 0; i < sizeof signals; i++) {
    /* SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER */
    struct ksigaction a = { (u32)onSignal, 4 | 0x08000000 | 0x40000000 | 0x04000000, (u32)onReturn, { 0, 0 } };
    sys(NR_sigaction, signals[i], (u32)&a, 0, 8, 0, 0);
  }
  __asm__ volatile("ud2");
}
