// The fused engine of sim.reduction.plan on a GPU: many steps of many replicates in one launch.
//
// A replicate belongs to a team of TEAM lanes of a warp, or to all WARPS warps of a block. Inside,
// LANES neighbouring lanes share a micro-batch: each of them holds COUNTERS counters of four
// normals, and the same coordinates of w and of the gradient a; the team works on TEAM / LANES
// micro-batches at a time. In dimension 1 and 2 a counter holds four or two whole micro-batches.
// The lanes' copies of w never differ: every sum over lanes is a butterfly, the same for all.
//
// A step's micro-batches are cut into blocks (Law.blocks, Law.length) that do not depend on WARPS;
// blocks are summed up in order whichever warp did them. So neither the launches, nor the number
// of replicates, nor the number of warps changes a bit of the result. (Where a compiler could fuse
// either of two products with a sum, fma says which, so that every build does the same.)
//
// Macros: D, AXES, GAMMAS, RULE (Rule.number of analysis.spec.rule), MOMENTS (of the optimizer), REAL (float or double), FLAT,
// WAVE and UNEVEN (0 or 1: whether a last micro-batch may have a law of its own), LANES, COUNTERS, TEAM, WARPS, THREADS (of a block), RESIDENT (blocks for which
// registers must suffice). sim/engines/cuda/launch.py chooses them and documents the arguments.

enum { SGD, ADAPTIVE, NORMALIZED, FIXED, GLOBAL };

constexpr bool SMALL = D <= 2;
constexpr int STRIDE = SMALL ? D : (D + 3) / 4 * 4;
constexpr int COORDS = SMALL ? D : 4 * COUNTERS;                 // coordinates of a lane
constexpr int PADDED = SMALL ? D : 4 * COUNTERS * LANES;         // coordinates of a group of lanes
constexpr int GROUPS = TEAM / LANES;
constexpr int UNROLL = COORDS <= 16 ? COORDS : 4;
constexpr int FEW = COUNTERS <= 4 ? COUNTERS : 1;
constexpr int ROW = (5 + AXES + 3) / 4;                 // quads of a row
constexpr int PART = (3 + AXES + 3) / 4;                         // quads of a micro-batch's part
constexpr bool BY_NORM = RULE == ADAPTIVE || RULE == NORMALIZED || RULE == FIXED;
constexpr bool HELD = AXES * COORDS <= 16;                       // axes in registers

struct alignas(16) Quad { REAL x[4]; };
struct alignas(8) Column { Word threshold, alias; };
struct Law { int micro_batches, bits, columns, rows, length, blocks, last; };
struct Part { Quad q[PART]; };  // factor of a, of z, what is added along e_1, along each axis
enum { BENIGN, BACKWARD, DEVIATION, FIRST, CLEAN, ALONG };       // a row
enum { PULL, SPREAD, PUSH, AXIS };                               // a part
enum { CENTRE, CURVATURE, FLAT_DIRECTION, AXES_FROM };           // the problem's vectors

// The sum over the lanes whose numbers differ in the bits LOW … HIGH / 2: the same in all of them.
template <int LOW, int HIGH, class T>
__device__ __forceinline__ T summed(T x, Word team) {
#pragma unroll
  for (int bit = LOW; bit < HIGH; bit *= 2) x += __shfl_xor_sync(team, x, bit);
  return x;
}

// Everything a launch is given that stays as it is.
struct Problem {
  const Column* columns;   // the upper halves of the thresholds, the aliases
  const Word* lower;       // the lower halves
  const Quad* rows;
  const double* skews;     // [rows, 1 + GAMMAS]: along e_1, shapes
  const REAL* vectors;     // [3 + AXES, PADDED], in the order of the enumeration
};

// What a thread knows of its place and of the step it is in.
struct Walk {
  Problem of;
  Address at;
  Word team;               // the team's lanes, as shuffles want them
  int lane, place;         // within the group of LANES, within the team
  REAL a[COORDS], sum[COORDS], axis[HELD && AXES ? AXES : 1][COORDS];
  REAL least, clip, inverse_norm;
  int clean;
  Law last;                // with UNEVEN: the law of the micro-batch number `odd`
  Word odd;
  const double* odd_stretch;

  __device__ __forceinline__ int coordinate(int c) const {
    return SMALL ? c : 4 * (lane + LANES * (c / 4)) + c % 4;
  }
  __device__ __forceinline__ REAL vector(int which, int c) const {
    return of.vectors[which * PADDED + coordinate(c)];
  }

  // The row of the micro-batch number `odd`, among those of all laws.
  __device__ __forceinline__ Word odd_row() const {
    if (!last.bits) return last.rows;
    const Words x = philox(at, COMPOSITION, odd / 4), y = philox(at, REFINEMENT, odd / 4);
    const Word k = odd % 4;
    const Word word = k == 0 ? x.x[0] : k == 1 ? x.x[1] : k == 2 ? x.x[2] : x.x[3];
    const Word more = k == 0 ? y.x[0] : k == 1 ? y.x[1] : k == 2 ? y.x[2] : y.x[3];
    const Word column = word >> (32 - last.bits);
    const Column own = of.columns[last.columns + column];
    const Long u = (Long)(word << last.bits) << 32 | (Long)more << last.bits;
    const Long limit = (Long)own.threshold << 32 | of.lower[last.columns + column];
    return last.rows + (u < limit ? column : own.alias);
  }

  // The parts of the micro-batches 4·counter … + 3, of which the first `valid` exist; the others
  // are zero.
  __device__ __forceinline__ void compose(const Law& law, const double* stretch, Word counter,
                                          int valid, Part* part) {
    Word row[4] = {0, 0, 0, 0};
    if (law.bits) {
      const Words x = philox(at, COMPOSITION, counter);
      Word ties = 0;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const Word column = x.x[k] >> (32 - law.bits);
        const Column own = of.columns[law.columns + column];
        const Word u = (x.x[k] << law.bits) >> law.bits, limit = own.threshold >> law.bits;
        row[k] = u < limit ? column : own.alias;
        ties |= (Word)(u == limit) << k;
      }
      if (ties) {  // once in 2^(32 - bits) micro-batches
        const Words y = philox(at, REFINEMENT, counter);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          const Word column = x.x[k] >> (32 - law.bits);
          const Long u = (Long)(x.x[k] << law.bits) << 32 | (Long)y.x[k] << law.bits;
          const Long limit = (Long)of.columns[law.columns + column].threshold << 32
                             | of.lower[law.columns + column];
          if ((ties >> k & 1) && u < limit) row[k] = column;
        }
      }
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      row[k] += law.rows;
      if (UNEVEN && 4 * counter + k == odd) row[k] = odd_row();
    }
    REAL push[4] = {0, 0, 0, 0};
    if (GAMMAS) {
#pragma unroll 1
      for (int k = 0; k < min(valid, 4); ++k) {
        const Word mine = k == 0 ? row[0] : k == 1 ? row[1] : k == 2 ? row[2] : row[3];
        const double* skew = of.skews + (Long)mine * (1 + GAMMAS);
        const double* unit = UNEVEN && 4 * counter + k == odd ? odd_stretch : stretch;
        double x = skew[0];
#pragma unroll 1
        for (int i = 0; i < GAMMAS; ++i)
          x += unit[i] * gamma_variable(at, (4 * counter + k) * GAMMAS + i, skew[1 + i]);
#pragma unroll
        for (int other = 0; other < 4; ++other) push[other] = other == k ? (REAL)x : push[other];
      }
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      Part& p = part[k];
      p = Part();
      if (k < valid) {
        const Quad* from = of.rows + row[k] * ROW;
        const Quad q = from[0];
        p.q[0].x[PULL] = q.x[BENIGN] - q.x[BACKWARD] * inverse_norm;
        p.q[0].x[SPREAD] = q.x[DEVIATION];
        p.q[0].x[PUSH] = GAMMAS ? push[k] : q.x[FIRST];
        Quad next = from[1];
        clean += next.x[CLEAN % 4] != 0;
#pragma unroll
        for (int i = 0; i < AXES; ++i) {
          if ((ALONG + i) % 4 == 0) next = from[(ALONG + i) / 4];
          p.q[(AXIS + i) / 4].x[(AXIS + i) % 4] = next.x[(ALONG + i) % 4];
        }
      }
    }
  }

  // Adds a micro-batch by the rule; g holds its normals. `exists` matters to the smallest norm
  // alone: what does not exist is zero.
  __device__ __forceinline__ void add(REAL* g, const Part& p, bool exists) {
    REAL norm = 0;
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) {
      REAL x = PADDED == D || coordinate(c) < D ? p.q[0].x[SPREAD] * g[c] : 0;
      x = fma(p.q[0].x[PULL], a[c], x);
#pragma unroll
      for (int i = 0; i < AXES; ++i)
        x += p.q[(AXIS + i) / 4].x[(AXIS + i) % 4] * (HELD ? axis[i][c] : vector(AXES_FROM + i, c));
      if (c == 0) x += lane == 0 ? p.q[0].x[PUSH] : 0;
      norm += x * x;
      g[c] = x;
    }
    REAL weight = 1;
    if (BY_NORM) {
      norm = summed<1, LANES>(norm, team);
      if (RULE == FIXED) {
        if (norm > clip * clip) weight = clip * inverse_root(norm);
      } else {
        weight = norm == 0 ? 0 : inverse_root(norm);
      }
      if (RULE == ADAPTIVE && exists) least = fmin(least, norm);
    }
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) sum[c] += weight * g[c];
  }

  // The sum over the micro-batches begin … end - 1, into `sum`; begin is a multiple of 4.
  __device__ __forceinline__ void block(const Law& law, const double* stretch, int begin, int end,
                                        Part* tile) {
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) sum[c] = 0;
    if constexpr (LANES == 1) {
      // A lane has four micro-batches to itself, the ones that share a counter of compositions.
#pragma unroll 1
      for (int j = begin + 4 * place; j < end; j += 4 * TEAM) {
        Part part[4];
        compose(law, stretch, j / 4, end - j, part);
        REAL z[SMALL ? 4 * COORDS : COORDS];
        if (SMALL) {
#pragma unroll
          for (int q = 0; q < D; ++q) normals(at, j / 4 * D + q, z + 4 * q);
        }
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          if (j + k < end) {
            if (!SMALL) row_of_normals(j + k, z);
            add(SMALL ? z + k * D : z, part[k], true);
          }
        }
      }
    } else {
      // Each lane composes four micro-batches of a tile of 4·TEAM, then groups take them in turn.
#pragma unroll 1
      for (int first = begin; first < end; first += 4 * TEAM) {
        Part part[4];
        compose(law, stretch, first / 4 + place, end - first - 4 * place, part);
        __syncwarp(team);
#pragma unroll
        for (int k = 0; k < 4; ++k) tile[4 * place + k] = part[k];
        __syncwarp(team);
        const int count = min(4 * TEAM, end - first);
#pragma unroll 1
        for (int j = place / LANES; j - place / LANES < count; j += GROUPS) {
          REAL g[COORDS];
          row_of_normals(first + j, g);
          add(g, tile[j], j < count);
        }
      }
    }
  }

  __device__ __forceinline__ void row_of_normals(Word micro_batch, REAL* z) {
#pragma unroll FEW
    for (int q = 0; q < (SMALL ? 0 : COUNTERS); ++q)
      normals(at, micro_batch * (STRIDE / 4) + q * LANES + lane, z + 4 * q);
  }

  // Subtracts from x its component along the flat direction.
  __device__ __forceinline__ void flatten(REAL* x) const {
    REAL along = 0;
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) along += vector(FLAT_DIRECTION, c) * x[c];
    along = summed<1, LANES>(along, team);
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) x[c] -= vector(FLAT_DIRECTION, c) * along;
  }

  // ∇f at w, into `out`.
  __device__ __forceinline__ void slope(const REAL* w, REAL height, REAL frequency, REAL* out) {
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) out[c] = w[c] - vector(CENTRE, c);
    if (FLAT) flatten(out);
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) out[c] *= vector(CURVATURE, c);
    if (FLAT) flatten(out);
    if (WAVE) {
#pragma unroll UNROLL
      for (int c = 0; c < COORDS; ++c) out[c] += height * sin(frequency * w[c]);
    }
  }

  __device__ __forceinline__ double dot(const REAL* x, const REAL* y) const {
    double s = 0;
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) s += (double)x[c] * (double)y[c];
    return summed<1, LANES>(s, team);
  }
};
