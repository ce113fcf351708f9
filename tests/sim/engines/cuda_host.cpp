// Runs a CUDA kernel on the CPU, thread by thread, with all its shuffles and barriers.
//
// Each thread of a block is a fiber with a stack of its own. It runs until it meets the others at a
// barrier, then the next one runs: in the order of their numbers, or backwards, so that a missing
// barrier shows as a difference between the two orders. Shared memory begins as NaN and ends in a
// border that nobody may touch. Compiled with -DKERNEL="file" and the kernel's own macros.

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define SHARED_POOL unsigned char* const pool = shared

constexpr int MOST_THREADS = 512, STACK = 512 * 1024, BORDER = 256;

static struct { unsigned x; } threadIdx, blockIdx, blockDim;
static unsigned char* shared;

struct Barrier { int waiting; long passed; };
static Barrier barriers[MOST_THREADS + 1];  // by the first thread of those who meet; the block's last
static bool started[MOST_THREADS], finished[MOST_THREADS], moved;
static jmp_buf scheduler, fibers[MOST_THREADS];  // changing stacks by longjmp needs no system call
static uint64_t sent[MOST_THREADS];

static void meet(Barrier& barrier, int count) {
  const long before = barrier.passed;
  if (++barrier.waiting == count) {
    barrier.waiting = 0;
    ++barrier.passed;
    moved = true;
  }
  const unsigned me = threadIdx.x;
  while (barrier.passed == before)
    if (!_setjmp(fibers[me])) _longjmp(scheduler, 1);
}

static void meet_lanes(uint32_t mask) {
  const unsigned warp = threadIdx.x / 32 * 32;
  if (!(mask >> (threadIdx.x - warp) & 1)) {
    fprintf(stderr, "thread %u is not in its own mask\n", threadIdx.x);
    __builtin_abort();
  }
  meet(barriers[warp + __builtin_ctz(mask)], __builtin_popcount(mask));
}

static void __syncwarp(uint32_t mask) { meet_lanes(mask); }
static void __syncthreads() { meet(barriers[MOST_THREADS], blockDim.x); }

template <class T>
static T __shfl_xor_sync(uint32_t mask, T x, int bits) {
  memcpy(&sent[threadIdx.x], &x, sizeof x);
  meet_lanes(mask);
  memcpy(&x, &sent[threadIdx.x ^ bits], sizeof x);
  meet_lanes(mask);
  return x;
}

// Declared here, as the C++ headers take as long to compile as the kernel itself.
extern "C" {
double exp(double), fma(double, double, double), fmin(double, double), log(double), sqrt(double);
double pow(double, double);
float fmaf(float, float, float), fminf(float, float), sinf(float), sqrtf(float);
double sin(double);
void sincos(double, double*, double*);
}
static float fma(float a, float b, float c) { return fmaf(a, b, c); }
static float fmin(float a, float b) { return fminf(a, b); }
static float sin(float x) { return sinf(x); }
static float sqrt(float x) { return sqrtf(x); }

template <class To, class From>
static To cast(From x) {
  static_assert(sizeof(To) == sizeof(From), "a cast of bits");
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}
static int __float_as_int(float x) { return cast<int>(x); }
static float __int_as_float(int x) { return cast<float>(x); }
static double __longlong_as_double(long long x) { return cast<double>(x); }
static float rsqrtf(float x) { return 1 / sqrtf(x); }
static double rsqrt(double x) { return 1 / sqrt(x); }
static void sincospi(double x, double* s, double* c) { sincos(3.14159265358979323846 * x, s, c); }
static int min(int a, int b) { return a < b ? a : b; }

#include KERNEL

template <int...>
struct Numbers;

template <class... A, int... I>
static void call(void (*kernel)(A...), void** arguments, Numbers<I...>*) {
  kernel(*(A*)arguments[I]...);
}
template <class... A>
static void call(void (*kernel)(A...), void** arguments) {
  call(kernel, arguments, (Numbers<__integer_pack(sizeof...(A))...>*)nullptr);
}

static void** passed_arguments;
static int passed_kernel;

static void run_fiber() {
  if (passed_kernel == 0) call(advance, passed_arguments);
  else call(normals_only, passed_arguments);
  finished[threadIdx.x] = moved = true;
  _longjmp(scheduler, 1);
}

// Runs thread i until it waits or ends.
static void resume(int i, unsigned char* stack) {
  threadIdx.x = i;
  if (_setjmp(scheduler)) return;
  if (started[i]) _longjmp(fibers[i], 1);
  started[i] = true;
  ucontext_t beginning;
  getcontext(&beginning);
  beginning.uc_stack.ss_sp = stack;
  beginning.uc_stack.ss_size = STACK;
  beginning.uc_link = nullptr;
  makecontext(&beginning, run_fiber, 0);
  setcontext(&beginning);
}

// 0, or 1 when threads wait for each other for ever, or 2 when the border was touched.
extern "C" int launch(int kernel, int blocks, int threads, size_t bytes, int backwards,
                      void** arguments) {
  static unsigned char* stacks = (unsigned char*)__builtin_malloc((size_t)MOST_THREADS * STACK);
  unsigned char* memory = (unsigned char*)__builtin_malloc(bytes + BORDER);
  shared = memory;
  passed_kernel = kernel;
  passed_arguments = arguments;
  blockDim.x = threads;
  int outcome = 0;
  for (int block = 0; block < blocks && !outcome; ++block) {
    memset(memory, 0xFF, bytes + BORDER);
    memset(barriers, 0, sizeof barriers);
    blockIdx.x = block;
    for (int i = 0; i < threads; ++i) started[i] = finished[i] = false;
    for (int left = threads; left && !outcome;) {
      moved = false;
      left = 0;
      for (int k = 0; k < threads; ++k) {
        const int i = backwards ? threads - 1 - k : k;
        if (finished[i]) continue;
        resume(i, stacks + (size_t)i * STACK);
        left += !finished[i];
      }
      if (left && !moved) outcome = 1;
    }
    for (int i = 0; i < BORDER; ++i)
      if (memory[bytes + i] != 0xFF) outcome = 2;
  }
  __builtin_free(memory);
  return outcome;
}
