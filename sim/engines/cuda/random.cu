// Random numbers by address, as in sim/random/philox.py, and normals from them.

typedef unsigned int Word;
typedef unsigned long long Long;

enum { NORMALS, COMPOSITION, REFINEMENT, GAMMA };  // streams of sim/random/philox.py

struct Words { Word x[4]; };
struct Address { Word key0, key1, low, replicate, high; };       // of a step's random numbers

__device__ __forceinline__ Words philox(const Address& at, Word stream, Word position) {
  Word c0 = position, c1 = at.low, c2 = at.replicate, c3 = stream | at.high;
  Word k0 = at.key0, k1 = at.key1;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const Long p = (Long)0xD2511F53u * c0, q = (Long)0xCD9E8D57u * c2;
    c0 = (Word)(q >> 32) ^ c1 ^ k0;
    c2 = (Word)(p >> 32) ^ c3 ^ k1;
    c1 = (Word)q;
    c3 = (Word)p;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return Words{{c0, c1, c2, c3}};
}

// Strictly between 0 and 1 in double; in float the largest words give 1.
__device__ __forceinline__ void uniform(Word x, float& u) { u = fmaf((float)x, 0x1p-32f, 0x1p-33f); }
__device__ __forceinline__ void uniform(Word x, double& u) { u = ((double)x + 0.5) * 0x1p-32; }

// The logarithm of a positive normal float, by Cephes' polynomial.
__device__ __forceinline__ float ln(float u) {
  const int h = __float_as_int(u) - 0x3F3504F3;
  const float f = __int_as_float((h & 0x7FFFFF) + 0x3F3504F3) - 1.0f, z = f * f;
  float p = 7.0376836292e-2f;
  p = fmaf(p, f, -1.1514610310e-1f);
  p = fmaf(p, f, 1.1676998740e-1f);
  p = fmaf(p, f, -1.2420140846e-1f);
  p = fmaf(p, f, 1.4249322787e-1f);
  p = fmaf(p, f, -1.6668057665e-1f);
  p = fmaf(p, f, 2.0000714765e-1f);
  p = fmaf(p, f, -2.4999993993e-1f);
  p = fmaf(p, f, 3.3333331174e-1f);
  return fmaf((float)(h >> 23), 0.69314718f, f + fmaf(f * z, p, -0.5f * z));
}

__device__ __forceinline__ float inverse_root(float x) { return rsqrtf(x); }
__device__ __forceinline__ double inverse_root(double x) { return rsqrt(x); }

__device__ __forceinline__ float root(float x) {  // within two units in the last place
#ifdef __CUDA_ARCH__
  float r;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
#else
  return sqrtf(x);
#endif
}

__device__ __forceinline__ void normal_pair(Word x, Word y, float& first, float& second) {
  float u;
  uniform(x, u);
  const float r = root(-2.0f * ln(u));
  // The angle's quadrant is (y + 2^29) >> 30, what is left of it a signed number of 30 bits.
  const Word h = y + 0x20000000u;
  const float s = fmaf((float)(int)(y << 2), 3.657295198168e-10f, 7.314590396336e-10f), z = s * s;
  const float sine = fmaf(s * z, fmaf(z, fmaf(z, -1.9515295891e-4f, 8.3321608736e-3f),
                                      -1.6666654611e-1f), s);
  const float cosine = fmaf(z * z, fmaf(z, fmaf(z, 2.443315711809948e-5f, -1.388731625493765e-3f),
                                        4.166664568298827e-2f), fmaf(-0.5f, z, 1.0f));
  const bool odd = h & 0x40000000u;
  const float c = odd ? sine : cosine, d = odd ? cosine : sine;
  first = r * __int_as_float(__float_as_int(c) ^ ((h + 0x40000000u) & 0x80000000u));
  second = r * __int_as_float(__float_as_int(d) ^ (h & 0x80000000u));
}
__device__ __forceinline__ void normal_pair(Word x, Word y, double& first, double& second) {
  double u, s, c;
  uniform(x, u);
  const double r = sqrt(-2.0 * log(u));
  sincospi(((double)y + 0.5) * 0x1p-31, &s, &c);
  first = r * c;
  second = r * s;
}

__device__ __forceinline__ void normals(const Address& at, Word position, REAL* z) {
  const Words x = philox(at, NORMALS, position);
  normal_pair(x.x[0], x.x[1], z[0], z[1]);
  normal_pair(x.x[2], x.x[3], z[2], z[3]);
}

// Γ(shape) by Marsaglia and Tsang (2000); shapes below 1 by a power of a uniform number. In double
// whatever REAL is: acceptance compares differences of large numbers.
__device__ __forceinline__ double gamma_variable(const Address& at, Word position, double shape) {
  if (!(shape > 0)) return 0;
  const double k = shape < 1 ? shape + 1 : shape, centre = k - 1.0 / 3;
  const double width = 1 / sqrt(9 * centre);
  double v = 1, last = 1;
#pragma unroll 1
  for (Word attempt = 0; attempt < 256; ++attempt) {
    const Words word = philox(at, GAMMA | attempt << 8, position);
    double z, other, u;
    normal_pair(word.x[0], word.x[1], z, other);
    uniform(word.x[2], u);
    uniform(word.x[3], last);
    const double root = 1 + width * z;
    v = attempt < 255 ? root * root * root : 1;
    if (attempt == 255 || (v > 0 && log(u) < fma(centre, 1 - v + log(v), z * z / 2))) break;
  }
  return centre * v * (shape < 1 ? exp(log(last) / shape) : 1);
}

// The rate that no engine can exceed: `count` counters of four normals for each thread, summed up
// in registers into out [threads].
extern "C" __global__ void normals_only(Word key0, Word key1, Word count, REAL* out) {
  const Word thread = blockIdx.x * blockDim.x + threadIdx.x;
  const Address at = {key0, key1, 0, thread, 0};
  REAL sum = 0;
#pragma unroll 2
  for (Word i = 0; i < count; ++i) {
    REAL z[4];
    normals(at, i, z);
    sum += (z[0] + z[1]) + (z[2] + z[3]);
  }
  out[thread] = sum;
}
