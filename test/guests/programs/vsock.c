// vsock connect PORT: a pipe to a port of the host (stdin to it, then what comes back to stdout).
// vsock echo PORT: listens, gives one caller back what it sends, and says how much that was.
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[65536];

static long copy(int from, int to) {
  long total = 0;
  ssize_t count;
  while ((count = read(from, buffer, sizeof buffer)) > 0) {
    for (ssize_t done = 0, more; done < count; done += more)
      if ((more = write(to, buffer + done, count - done)) <= 0) return -1;
    total += count;
  }
  return count < 0 ? -1 : total;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int s = socket(AF_VSOCK, SOCK_STREAM, 0);
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = strtoul(argv[2], 0, 0)};
  if (s < 0) return perror("socket"), 1;
  if (strcmp(argv[1], "connect") == 0) {
    address.svm_cid = VMADDR_CID_HOST;
    if (connect(s, (struct sockaddr *)&address, sizeof address)) return perror("connect"), 1;
    if (copy(0, s) < 0) return perror("send"), 1;
    shutdown(s, SHUT_WR);
    if (copy(s, 1) < 0) return perror("receive"), 1;
    return 0;
  }
  address.svm_cid = VMADDR_CID_ANY;
  if (bind(s, (struct sockaddr *)&address, sizeof address) || listen(s, 1)) return perror("listen"), 1;
  printf("vsock: listening\n");
  fflush(stdout);
  int caller = accept(s, 0, 0);
  if (caller < 0) return perror("accept"), 1;
  printf("vsock: echoed %ld\n", copy(caller, caller));
  return 0;
}
