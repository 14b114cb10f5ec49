// The shell: the first program, which the kernel starts. Commands come from the command line of the loader (behind "--",
// separated by semicolons) and then from the console.
#include "system.h"

static u32 last_status;

static int starts(const char *line, const char *word, const char **rest) {
  const u32 length = strlen(word);
  if (memcmp(line, word, length) != 0 || (line[length] && line[length] != ' ')) return 0;
  const char *at = line + length;
  while (*at == ' ') at++;
  *rest = at;
  return 1;
}

static void help(void);

static void run(const char *line, int background) {
  const char *argument;
  for (u32 i = 0; i < program_count; i++) {
    if (!starts(line, programs[i].name, &argument)) continue;
    const s32 pid = fork();
    if (pid < 0) {
      say("no room for another program\n");
      return;
    }
    if (pid == 0) {
      set_name(programs[i].name);
      exit(programs[i].run(argument));
    }
    if (background) say("[%d]\n", pid);
    else
      for (s32 ended; (ended = wait(&last_status)) > 0 && ended != pid;) say("[%d] ended with %u\n", ended, last_status);
    return;
  }
  say("run what? There are:\n");
  for (u32 i = 0; i < program_count; i++) say("  %s\n", programs[i].about);
}

static void do_run(const char *argument) { run(argument, 0); }
static void do_start(const char *argument) { run(argument, 1); }
static void do_kill(const char *argument) {
  u32 status;
  if (kill(parse_number(argument, 0)) != 0) say("no such program\n");
  else wait(&status);
}
static void do_bench(const char *argument) {
  char words[160];
  const u32 length = strlen(argument) + 1;
  memcpy(words, argument, length < sizeof words ? length : sizeof words);
  words[sizeof words - 1] = 0;
  if (strcmp(words, "list") == 0) {
    call3(SYS_SHOW, SHOW_BENCHMARKS, 0, 0);
    return;
  }
  if (strcmp(words, "all") == 0) words[0] = 0;
  if (!measure(words)) say("no operation of that name; try: bench list\n");
}
static void do_echo(const char *argument) { say("%s\n", argument); }
static void do_sleep(const char *argument) { sleep(parse_number(argument, 1000)); }
static void do_exit(const char *argument) {
  call3(SYS_END, END_EXIT, parse_number(argument, 0), 0);
  sleep(200);
  say("no debug-exit device here; try: poweroff\n");
}
static void do_poweroff(const char *argument) {
  (void)argument;
  call3(SYS_END, END_POWER_OFF, 0, 0);
  sleep(200);
  say("no ACPI here\n");
}
static void do_reboot(const char *argument) { (void)argument, call3(SYS_END, END_REBOOT, 0, 0); }
static void do_help(const char *argument) { (void)argument, help(); }
#define SHOW(name, what) \
  static void do_##name(const char *argument) { (void)argument, call3(SYS_SHOW, what, 0, 0); }
SHOW(ps, SHOW_TASKS)
SHOW(cpu, SHOW_CPU)
SHOW(mem, SHOW_MEMORY)
SHOW(devices, SHOW_DEVICES)
SHOW(irqs, SHOW_INTERRUPTS)
SHOW(date, SHOW_DATE)
SHOW(testdev, SHOW_TEST_DEVICE)

static const struct { const char *name, *about; void (*run)(const char *argument); } commands[] = {
    {"help", "this", do_help},
    {"bench", "bench [NAME...]: measures; bench list: what", do_bench},
    {"run", "run PROGRAM [ARGUMENT]: a program of its own; run alone: which", do_run},
    {"start", "the same in the background", do_start},
    {"ps", "the programs that run", do_ps},
    {"kill", "kill PID: ends one", do_kill},
    {"cpuinfo", "the processor and its hypervisor", do_cpu},
    {"mem", "memory, and who changes page tables", do_mem},
    {"devices", "PCI functions, disks, network cards", do_devices},
    {"irqs", "interrupts by vector", do_irqs},
    {"date", "date, time since the start", do_date},
    {"testdev", "checks pc-testdev, as kvm-unit-tests use it", do_testdev},
    {"echo", "echo WORDS", do_echo},
    {"sleep", "sleep [MS]", do_sleep},
    {"reboot", "by the keyboard controller", do_reboot},
    {"poweroff", "by ACPI", do_poweroff},
    {"exit", "exit [CODE]: ends the machine through port F4h", do_exit},
};

static void help(void) {
  for (u32 i = 0; i < COUNT(commands); i++) say("  %-9s %s\n", commands[i].name, commands[i].about);
}

static void execute(char *line) {
  while (*line == ' ') line++;
  if (!*line) return;
  const char *argument;
  for (u32 i = 0; i < COUNT(commands); i++) {
    if (!starts(line, commands[i].name, &argument)) continue;
    commands[i].run(argument);
    return;
  }
  say("no command \"%s\"; try help\n", line);
}

void shell(void) {
  static char line[160], given[512];
  call3(SYS_COMMAND_LINE, (u32)given, sizeof given, 0);
  for (char *at = given; *at;) {
    char *command = at;
    while (*at && *at != ';') at++;
    if (*at) *at++ = 0;
    execute(command);
  }
  say("Type help for the commands.\n");
  for (;;) {
    say("> ");
    read_line(line, sizeof line);
    execute(line);
  }
}
