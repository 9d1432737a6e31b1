// The provider of the benchmark: one thread, epoll, keep-alive. It derives every customer from the id in the path, so that it holds no
// state and costs a few microseconds of CPU per call.
//
// usage: upstream PORT
//
// GET  /customers/ID[?options.get_client_auth_token=true]   POST /customers (form)
// GET  /bench/calls      the number of calls since the last such request
// GET  /bench/delay/MS   delays the responses that follow
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { maxConnections = 8192, maxRequest = 16384, maxResponse = 4096, maxField = 256, idDigits = 16, tokenLifeSeconds = 900 };

struct connection {
  int length;        // bytes in `request`
  int pendingLength; // bytes in `response` that wait for their time; 0: none
  unsigned generation;
  char request[maxRequest];
  char response[maxResponse];
};

struct delayed {
  long long dueNs;
  int fd;
  unsigned generation;
};

static struct connection *connections[maxConnections];
static struct delayed queue[maxConnections]; // all delays are equal, so the queue is sorted by time
static unsigned queueHead, queueTail;
static long long delayNs;
static unsigned long calls;
static int poller;
static char expiry[32];
static time_t expirySecond;

static long long nowNs(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static const char *tokenExpiry(void) {
  time_t second = time(NULL);
  if (second != expirySecond) {
    struct tm parts;
    time_t end = second + tokenLifeSeconds;
    strftime(expiry, sizeof expiry, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &parts));
    expirySecond = second;
  }
  return expiry;
}

static int hex(char digit) {
  return digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10;
}

/** Decodes percent encoding up to one of `ends`. Returns the position after the value. */
static const char *decode(const char *from, const char *end, const char *ends, int isForm, char *into) {
  int length = 0;
  while (from < end && strchr(ends, *from) == NULL) {
    char byte = *from++;
    if (byte == '%' && end - from >= 2) {
      byte = (char)(hex(from[0]) * 16 + hex(from[1]));
      from += 2;
    } else if (byte == '+' && isForm) {
      byte = ' ';
    }
    if (length < maxField - 1) into[length++] = byte;
  }
  into[length] = 0;
  return from;
}

static void lastDigits(const char *id, char *into) {
  int length = (int)strlen(id);
  memcpy(into, length >= idDigits ? id + length - idDigits : "0000000000000000", idDigits);
  into[idDigits] = 0;
}

static int respond(char *into, const char *status, const char *body, int length) {
  return snprintf(into, maxResponse, "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%.*s", status,
                  length, length, body);
}

static int respondCustomer(char *into, const char *id, const char *reference, const char *countryCode, const char *number,
                           const char *email, const char *firstName, const char *lastName, int withToken) {
  static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0000\r\n\r\n";
  enum { headLength = sizeof head - 1 };
  char digits[idDigits + 1], token[128] = "";
  lastDigits(id, digits);
  if (withToken) {
    snprintf(token, sizeof token, ",\"juspay\":{\"client_auth_token\":\"tkn_%s\",\"client_auth_token_expiry\":\"%s\"}", digits,
             tokenExpiry());
  }
  int length = snprintf(into + headLength, maxResponse - headLength,
                        "{\"id\":\"cth_%s\",\"object\":\"customer\",\"object_reference_id\":\"%s\",\"mobile_country_code\":\"%s\","
                        "\"mobile_number\":\"%s\",\"email_address\":\"%s\",\"first_name\":\"%s\",\"last_name\":\"%s\","
                        "\"date_created\":\"2024-05-01T10:00:00Z\",\"last_updated\":\"2024-06-11T08:30:15Z\"%s}",
                        digits, reference, countryCode, number, email, firstName, lastName, token);
  memcpy(into, head, headLength);
  for (int rest = length, at = headLength - 5; rest > 0; rest /= 10) into[at--] = (char)('0' + rest % 10);
  return headLength + length;
}

static int answer(const char *target, const char *targetEnd, const char *body, const char *bodyEnd, int isPost, char *into) {
  char id[maxField], digits[idDigits + 1];
  if (!isPost && strncmp(target, "/customers/", 11) == 0) {
    calls += 1;
    const char *rest = decode(target + 11, targetEnd, "? ", 0, id);
    int withToken = strncmp(rest, "?options.get_client_auth_token=true", 35) == 0;
    char reference[64], email[64], firstName[32];
    lastDigits(id, digits);
    snprintf(reference, sizeof reference, "reference-%s", digits);
    snprintf(email, sizeof email, "asha.%s@customers.example", digits);
    snprintf(firstName, sizeof firstName, "Asha %s", digits);
    return respondCustomer(into, id, reference, "91", "9812345678", email, firstName, "Raghunathan", withToken);
  }
  if (isPost && strncmp(target, "/customers ", 11) == 0) {
    calls += 1;
    static const char *const names[] = {"object_reference_id", "mobile_country_code", "mobile_number", "email_address",
                                        "first_name",          "last_name",           "options.get_client_auth_token"};
    enum { fieldCount = sizeof names / sizeof *names };
    char fields[fieldCount][maxField], name[maxField], value[maxField];
    for (int field = 0; field < fieldCount; field += 1) fields[field][0] = 0;
    for (const char *at = body; at < bodyEnd;) {
      at = decode(at, bodyEnd, "=", 1, name) + 1;
      at = decode(at, bodyEnd, "&", 1, value) + 1;
      for (int field = 0; field < fieldCount; field += 1) {
        if (strcmp(name, names[field]) == 0) strcpy(fields[field], value);
      }
    }
    return respondCustomer(into, fields[0], fields[0], fields[1], fields[2], fields[3], fields[4], fields[5],
                           strcmp(fields[6], "true") == 0);
  }
  char text[64];
  if (strncmp(target, "/bench/calls", 12) == 0) {
    int length = snprintf(text, sizeof text, "{\"calls\":%lu}", calls);
    calls = 0;
    return respond(into, "200 OK", text, length);
  }
  if (strncmp(target, "/bench/delay/", 13) == 0) {
    delayNs = atoll(target + 13) * 1000000;
    return respond(into, "200 OK", "{}", 2);
  }
  return respond(into, "404 Not Found", "{}", 2);
}

static void drop(int fd) {
  connections[fd]->generation += 1;
  connections[fd]->length = 0;
  connections[fd]->pendingLength = 0;
  close(fd);
}

/** Answers the complete requests of the buffer. With a delay, one response at a time. */
static void serve(int fd) {
  struct connection *own = connections[fd];
  while (own->pendingLength == 0 && own->length > 0) {
    char *end = memmem(own->request, (size_t)own->length, "\r\n\r\n", 4);
    if (end == NULL) return;
    char *body = end + 4;
    *end = 0;
    int isPost = own->request[0] == 'P', bodyLength = 0;
    if (isPost) {
      char *header = strcasestr(own->request, "\ncontent-length:");
      if (header != NULL) bodyLength = atoi(header + 16);
    }
    *end = '\r';
    if (own->request + own->length - body < bodyLength) return;
    char *target = memchr(own->request, ' ', (size_t)(end - own->request));
    if (target == NULL) return drop(fd);
    int isControl = strncmp(target + 1, "/bench/", 7) == 0;
    int length = answer(target + 1, end, body, body + bodyLength, isPost, own->response);
    int used = (int)(body + bodyLength - own->request);
    own->length -= used;
    memmove(own->request, own->request + used, (size_t)own->length);
    if (delayNs > 0 && !isControl) {
      own->pendingLength = length;
      queue[queueTail++ % maxConnections] = (struct delayed){nowNs() + delayNs, fd, own->generation};
    } else if (write(fd, own->response, (size_t)length) != length) {
      return drop(fd);
    }
  }
}

static void receive(int fd) {
  struct connection *own = connections[fd];
  ssize_t count = read(fd, own->request + own->length, (size_t)(maxRequest - own->length));
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return drop(fd);
  own->length += (int)count;
  serve(fd);
}

static void sendDue(void) {
  while (queueHead != queueTail) {
    struct delayed *next = &queue[queueHead % maxConnections];
    if (next->dueNs > nowNs()) return;
    queueHead += 1;
    struct connection *own = connections[next->fd];
    if (own->generation != next->generation) continue;
    int length = own->pendingLength;
    own->pendingLength = 0;
    if (write(next->fd, own->response, (size_t)length) != length) drop(next->fd);
    else serve(next->fd);
  }
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0) {
    perror("upstream");
    return 1;
  }
  poller = epoll_create1(0);
  struct epoll_event added = {.events = EPOLLIN, .data.fd = listener}, ready[512];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &added);
  for (;;) {
    struct timespec wait = {0, 0};
    if (queueHead != queueTail) {
      long long leftNs = queue[queueHead % maxConnections].dueNs - nowNs();
      if (leftNs > 0) wait = (struct timespec){leftNs / 1000000000, leftNs % 1000000000};
    }
    int events = epoll_pwait2(poller, ready, 512, queueHead == queueTail ? NULL : &wait, NULL);
    for (int index = 0; index < events; index += 1) {
      int fd = ready[index].data.fd;
      if (fd != listener) {
        receive(fd);
        continue;
      }
      for (int client; (client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (client >= maxConnections) {
          close(client);
          continue;
        }
        if (connections[client] == NULL) connections[client] = calloc(1, sizeof(struct connection));
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        added.data.fd = client;
        epoll_ctl(poller, EPOLL_CTL_ADD, client, &added);
      }
    }
    sendDue();
  }
}
