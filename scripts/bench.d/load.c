// A closed-loop HTTP/1.1 load client for loopback: every keep-alive connection sends its next request when the answer to
// the one before is in.
//
//   load PORT CONNECTIONS SECONDS FIRST EXPECTED FILE
//
// FILE holds ready-made requests, each behind its length (32 bits, little-endian). The first to be sent has the number
// FIRST, and after the last comes the first again. An answer counts as an error unless its status is 2xx and its body holds
// EXPECTED. Prints one line of JSON. Answers need a Content-Length.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (64 * 1024)
#define PATIENCE 10.0 // seconds that the last answers have after the end

typedef struct {
  int socket;
  double sent_at;
  size_t received;
  size_t expected; // bytes of the whole answer, 0 while its header is not in
  size_t body_at;
  char buffer[BUFFER + 1];
} Connection;

static const char *requests;
static size_t *offsets, request_count, next_request;
static const char *expected_text;
static size_t answers, errors, latency_room = 1 << 16;
static float *latencies; // milliseconds
static char first_error[200];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(2);
}

static void read_requests(const char *path) {
  struct stat status;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status)) die(path);
  requests = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (requests == MAP_FAILED) die(path);
  offsets = malloc((size_t)status.st_size / 4 * sizeof *offsets);
  for (size_t at = 0; at < (size_t)status.st_size; at += 4 + *(const uint32_t *)(requests + at)) offsets[request_count++] = at;
}

static void open_connection(Connection *c, int port, int poll) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  int yes = 1;
  c->socket = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(c->socket, (struct sockaddr *)&address, sizeof address)) die("connect");
  setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  if (epoll_ctl(poll, EPOLL_CTL_ADD, c->socket, &event)) die("epoll_ctl");
}

// A request fits the socket's buffer, so blocking writes never block.
static void send_next(Connection *c) {
  const char *request = requests + offsets[next_request++ % request_count];
  size_t length = *(const uint32_t *)request;
  c->received = c->expected = 0;
  c->sent_at = now();
  if (write(c->socket, request + 4, length) != (ssize_t)length) die("write");
}

static void read_header(Connection *c) {
  char *end = memmem(c->buffer, c->received, "\r\n\r\n", 4);
  if (!end) return;
  *end = 0;
  char *length = strcasestr(c->buffer, "\r\ncontent-length:");
  if (!length) {
    fprintf(stderr, "an answer without Content-Length: %s\n", c->buffer);
    exit(2);
  }
  c->body_at = (size_t)(end + 4 - c->buffer);
  c->expected = c->body_at + strtoul(length + 17, NULL, 10);
}

static void count_answer(Connection *c) {
  const char *body = c->buffer + c->body_at;
  size_t length = c->expected - c->body_at;
  if (answers == latency_room) latencies = realloc(latencies, (latency_room *= 2) * sizeof *latencies);
  latencies[answers++] = (float)((now() - c->sent_at) * 1000);
  if (c->buffer[9] == '2' && memmem(body, length, expected_text, strlen(expected_text))) return;
  if (!errors++) {
    snprintf(first_error, sizeof first_error, "%.12s: %.*s", c->buffer, (int)(length < 150 ? length : 150), body);
    for (char *p = first_error; *p; p++) if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ') *p = '\'';
  }
}

// Whether the answer is whole now.
static int receive(Connection *c) {
  ssize_t length = read(c->socket, c->buffer + c->received, BUFFER - c->received);
  if (length <= 0) die("the server closed a connection");
  c->received += (size_t)length;
  c->buffer[c->received] = 0;
  if (!c->expected) read_header(c);
  return c->expected && c->received >= c->expected;
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double percentile(double share) { return answers ? latencies[(size_t)((double)(answers - 1) * share)] : 0; }

int main(int count, char **arguments) {
  if (count != 7) return 2;
  int port = atoi(arguments[1]), waiting = atoi(arguments[2]), poll = epoll_create1(0);
  double seconds = atof(arguments[3]);
  size_t first = next_request = strtoul(arguments[4], NULL, 10);
  expected_text = arguments[5];
  read_requests(arguments[6]);
  latencies = malloc(latency_room * sizeof *latencies);

  Connection *connections = calloc((size_t)waiting, sizeof *connections);
  for (int i = 0; i < waiting; i++) open_connection(&connections[i], port, poll);
  double start = now();
  for (int i = 0; i < waiting; i++) send_next(&connections[i]);
  while (waiting && now() < start + seconds + PATIENCE) {
    struct epoll_event events[64];
    int ready = epoll_wait(poll, events, 64, 1000);
    for (int i = 0; i < ready; i++) {
      Connection *c = events[i].data.ptr;
      if (!receive(c)) continue;
      count_answer(c);
      if (now() < start + seconds) send_next(c);
      else waiting--;
    }
  }
  double elapsed = now() - start;
  qsort(latencies, answers, sizeof *latencies, by_size);
  printf("{\"answers\": %zu, \"errors\": %zu, \"seconds\": %.4f, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"next\": %zu, \"first_error\": \"%s\"}\n",
         answers, errors + (size_t)waiting, elapsed, percentile(0.5), percentile(0.95), percentile(0.99), first + answers, first_error);
  return 0;
}
