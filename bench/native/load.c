// The load generator of the benchmark: one thread, epoll, one request in flight per connection.
//
// usage: load PORT CONNECTIONS SECONDS PRIME_SECONDS FIRST STRIDE REQUEST RESPONSE UPSTREAM_PID SERVER_PID...
//
// The files REQUEST (a whole HTTP request) and RESPONSE (a body) are templates. The byte 1 and three digits k begin a slot of 16 bytes,
// which stands for the number n * STRIDE + k of operation n, in 16 digits. The byte 2 stands for any byte, the byte 3 for the last digit
// of the connection's number. Every response is compared with the template. With an empty RESPONSE, every body of a response with status 200 is accepted.
//
// Opens the connections and sends requests for PRIME_SECONDS. Then prints a line, waits for a line on stdin, measures for SECONDS and
// prints one line of JSON. CPU times are those of each PID and its threads during the measurement, in nanoseconds.
//
// Seconds are CPU seconds of the server, so that a run on a busy machine has as many operations as on an idle one. A run takes at most four
// times as long.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { checkIntervalNs = 20000000 };
enum { slotDigits = 16, maxSlots = 4096, maxConnections = 4096, maxWatched = 64, drainSeconds = 15, firstBuffer = 65536, maxSlowness = 4 };

struct slot {
  int offset;
  int index;
};

struct template {
  char *bytes;
  int length;
  int slots;
  struct slot slot[maxSlots];
  int anys;
  int any[maxSlots];
  int connectionDigit; // offset; -1: none
};

struct connection {
  int fd;
  int isBusy;
  int length;
  int capacity;
  long long number;
  long long sentNs;
  char *bytes;
};

static struct template request, response;
static struct connection connections[maxConnections];
static struct sockaddr_in address;
static int poller, busy;
static long long next, stride, errors, operations, endNs;
static unsigned *latencies;
static long long latencyCount, latencyCapacity;
static char *scratch;
static char firstWrong[1024];
static int watched;
static clockid_t clocks[maxWatched]; // of the upstream, then of the server's processes

static long long clockNs(clockid_t clock) {
  struct timespec at;
  if (clock_gettime(clock, &at) != 0) return 0;
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static long long nowNs(void) {
  return clockNs(CLOCK_MONOTONIC);
}

static void load(const char *path, struct template *into) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  into->length = (int)ftell(file);
  rewind(file);
  into->bytes = malloc((size_t)into->length + 1);
  if (fread(into->bytes, 1, (size_t)into->length, file) != (size_t)into->length) exit(1);
  into->bytes[into->length] = 0;
  fclose(file);
  into->connectionDigit = -1;
  for (int at = 0; at < into->length; at += 1) {
    if (into->slots == maxSlots || into->anys == maxSlots) exit(1);
    if (into->bytes[at] == 2) into->any[into->anys++] = at;
    if (into->bytes[at] == 3) into->connectionDigit = at;
    if (into->bytes[at] != 1) continue;
    char digits[4] = {into->bytes[at + 1], into->bytes[at + 2], into->bytes[at + 3], 0};
    into->slot[into->slots++] = (struct slot){at, atoi(digits)};
    at += slotDigits - 1;
  }
}

static void fill(char *into, const struct template *from, long long number) {
  memcpy(into, from->bytes, (size_t)from->length);
  for (int at = 0; at < from->slots; at += 1) {
    char *end = into + from->slot[at].offset + slotDigits;
    long long rest = number * stride + from->slot[at].index;
    for (int digit = 0; digit < slotDigits; digit += 1, rest /= 10) *--end = (char)('0' + rest % 10);
  }
}

static void wrong(const char *what, const char *bytes, int length) {
  errors += 1;
  if (firstWrong[0] != 0) return;
  int at = snprintf(firstWrong, sizeof firstWrong, "%s: ", what);
  for (int index = 0; index < length && at < (int)sizeof firstWrong - 2; index += 1) {
    char byte = bytes[index];
    if (byte == '"' || byte == '\\') byte = '\'';
    firstWrong[at++] = byte >= 32 && byte < 127 ? byte : ' ';
  }
  firstWrong[at] = 0;
}

static void open_(struct connection *own) {
  int on = 1;
  own->length = own->isBusy = 0;
  for (int attempt = 0;; attempt += 1) {
    own->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(own->fd, (struct sockaddr *)&address, sizeof address) == 0) break;
    close(own->fd);
    if (attempt == 100) {
      perror("load: connect");
      exit(1);
    }
    usleep(10000);
  }
  setsockopt(own->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event added = {.events = EPOLLIN, .data.ptr = own};
  epoll_ctl(poller, EPOLL_CTL_ADD, own->fd, &added);
}

static void sendNext(struct connection *own) {
  own->number = next++;
  own->isBusy = 1;
  busy += 1;
  fill(scratch, &request, own->number);
  if (request.connectionDigit >= 0) scratch[request.connectionDigit] = (char)('0' + (own - connections) % 10);
  own->sentNs = nowNs();
  for (int sent = 0; sent < request.length;) {
    ssize_t count = write(own->fd, scratch + sent, (size_t)(request.length - sent));
    if (count < 0) return; // the read that follows reports the closed connection
    sent += (int)count;
  }
}

static void finish(struct connection *own) {
  long long at = nowNs();
  if (latencyCount == latencyCapacity) {
    latencyCapacity = latencyCapacity == 0 ? 1 << 16 : latencyCapacity * 2;
    latencies = realloc(latencies, (size_t)latencyCapacity * sizeof *latencies);
  }
  latencies[latencyCount++] = (unsigned)((at - own->sentNs) / 1000);
  operations += 1;
  busy -= 1;
  own->isBusy = 0;
  own->length = 0;
  if (at < endNs) sendNext(own);
}

static void lose(struct connection *own) {
  int wasBusy = own->isBusy;
  if (wasBusy) wrong("connection closed", own->bytes, own->length);
  close(own->fd);
  open_(own);
  if (!wasBusy) return;
  busy -= 1;
  operations += 1;
  if (nowNs() < endNs) sendNext(own);
}

/** Removes the frames of a chunked body. Returns its length, or -1 if it is incomplete. */
static int unchunk(char *body, char *end) {
  char *into = body, *from = body;
  for (;;) {
    char *line = memmem(from, (size_t)(end - from), "\r\n", 2);
    if (line == NULL) return -1;
    long size = strtol(from, NULL, 16);
    from = line + 2;
    if (end - from < size + 2) return -1;
    if (size == 0) return (int)(into - body);
    memmove(into, from, (size_t)size);
    into += size;
    from += size + 2;
  }
}

static void check(struct connection *own, char *body, int length) {
  if (memcmp(own->bytes + 9, "200", 3) != 0) return wrong("status", own->bytes, own->length);
  if (response.length == 0) return;
  if (length != response.length) return wrong("length", body, length);
  fill(scratch, &response, own->number);
  for (int at = 0; at < response.anys; at += 1) scratch[response.any[at]] = body[response.any[at]];
  if (memcmp(scratch, body, (size_t)length) != 0) wrong("content", body, length);
}

static void receive(struct connection *own) {
  if (own->capacity - own->length < firstBuffer / 2) {
    own->capacity = own->capacity == 0 ? firstBuffer : own->capacity * 2;
    own->bytes = realloc(own->bytes, (size_t)own->capacity + 1);
  }
  ssize_t count = recv(own->fd, own->bytes + own->length, (size_t)(own->capacity - own->length), MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return lose(own);
  own->length += (int)count;
  own->bytes[own->length] = 0;
  char *end = memmem(own->bytes, (size_t)own->length, "\r\n\r\n", 4);
  if (end == NULL) return;
  char *body = end + 4;
  *end = 0;
  char *header = strcasestr(own->bytes, "\ncontent-length:");
  int isChunked = header == NULL && strcasestr(own->bytes, "\ntransfer-encoding:") != NULL;
  int isClosing = strcasestr(own->bytes, "\nconnection: close") != NULL;
  *end = '\r';
  int length = header == NULL ? 0 : atoi(header + 16), received = own->length - (int)(body - own->bytes);
  if (isChunked) {
    // A chunked body is decoded once it is complete: it ends with an empty chunk.
    if (received < 5 || memcmp(own->bytes + own->length - 5, "0\r\n\r\n", 5) != 0) return;
    length = unchunk(body, own->bytes + own->length);
  } else if (received < length) {
    return;
  }
  check(own, body, length);
  if (isClosing) {
    close(own->fd);
    open_(own);
  }
  finish(own);
}

static long long serverNs(void) {
  long long sum = 0;
  for (int index = 1; index < watched; index += 1) sum += clockNs(clocks[index]);
  return sum;
}

static void runFor(double seconds, int count) {
  long long checkNs = nowNs(), serverEndNs = serverNs() + (long long)(seconds * 1e9);
  endNs = checkNs + (long long)(seconds * 1e9) * maxSlowness;
  for (int index = 0; index < count; index += 1) sendNext(&connections[index]);
  struct epoll_event ready[512];
  while (busy > 0) {
    int events = epoll_wait(poller, ready, 512, 1000);
    for (int index = 0; index < events; index += 1) receive(ready[index].data.ptr);
    if (nowNs() > checkNs) {
      if (serverNs() >= serverEndNs && nowNs() < endNs) endNs = nowNs();
      checkNs = nowNs() + checkIntervalNs;
    }
    if (nowNs() > endNs + drainSeconds * 1000000000LL) {
      errors += busy;
      snprintf(firstWrong, sizeof firstWrong, "%d requests without a response after %d s", busy, drainSeconds);
      return;
    }
  }
}

static int ascending(const void *left, const void *right) {
  unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;
  return (a > b) - (a < b);
}

static double quantileMs(double share) {
  if (latencyCount == 0) return 0;
  long long at = (long long)((double)latencyCount * share);
  return latencies[at < latencyCount ? at : latencyCount - 1] / 1000.0;
}

int main(int count, char **arguments) {
  watched = count - 9;
  if (watched < 2 || watched > maxWatched) return 2;
  for (int index = 0; index < watched; index += 1) {
    if (clock_getcpuclockid(atoi(arguments[9 + index]), &clocks[index]) != 0) return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int connectionCount = atoi(arguments[2]);
  if (connectionCount > maxConnections) return 2;
  double seconds = atof(arguments[3]), primeSeconds = atof(arguments[4]);
  next = atoll(arguments[5]);
  stride = atoll(arguments[6]);
  load(arguments[7], &request);
  load(arguments[8], &response);
  scratch = malloc((size_t)(request.length > response.length ? request.length : response.length) + 1);
  poller = epoll_create1(0);
  for (int index = 0; index < connectionCount; index += 1) open_(&connections[index]);
  runFor(primeSeconds, connectionCount);
  long long primeErrors = errors;
  if (primeErrors == 0) operations = errors = latencyCount = 0;
  puts("ready");
  fflush(stdout);
  if (getchar() == EOF) return 1;

  long long before[maxWatched], spent[maxWatched];
  for (int index = 0; index < watched; index += 1) before[index] = clockNs(clocks[index]);
  long long ownBefore = clockNs(CLOCK_PROCESS_CPUTIME_ID), startedNs = nowNs();
  runFor(seconds, connectionCount);
  long long elapsedNs = nowNs() - startedNs, own = clockNs(CLOCK_PROCESS_CPUTIME_ID) - ownBefore;
  for (int index = 0; index < watched; index += 1) spent[index] = clockNs(clocks[index]) - before[index];

  qsort(latencies, (size_t)latencyCount, sizeof *latencies, ascending);
  printf("{\"operations\":%lld,\"errors\":%lld,\"elapsedNs\":%lld,\"next\":%lld,\"loadNs\":%lld,\"p50Ms\":%.3f,\"p99Ms\":%.3f,"
         "\"wrong\":\"%s\",\"cpuNs\":[",
         operations, errors, elapsedNs, next, own, quantileMs(0.5), quantileMs(0.99), firstWrong);
  for (int index = 0; index < watched; index += 1) printf("%s%lld", index == 0 ? "" : ",", spent[index]);
  puts("]}");
  return 0;
}
