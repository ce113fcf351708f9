#ifdef __CUDACC__
#define SHARED_POOL extern __shared__ __align__(16) unsigned char pool[]
#endif

// Steps begin … end - 1 of every replicate that has not hit: see sim/engines/cuda/launch.py.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) advance(
    const Law* __restrict__ laws, const Column* __restrict__ columns,
    const Word* __restrict__ lower, const Quad* __restrict__ rows,
    const double* __restrict__ skews, const double* __restrict__ stretch,
    const REAL* __restrict__ vectors, const long long* __restrict__ iteration_edges,
    const double* __restrict__ gradient_edges, const int* __restrict__ phase, Word key0, Word key1,
    Word first_replicate, int replicates, REAL step, REAL clip, int average, REAL height,
    REAL frequency, double decay1, double decay2, REAL gain1, REAL gain2, REAL epsilon,
    double radius, int needs_norm, int most_blocks, int iteration_count,
    int gradient_count, int record, long long begin, long long end, REAL* __restrict__ state_w,
    double* __restrict__ state_sums, long long* __restrict__ state_hit,
    double* __restrict__ state_last, REAL* __restrict__ state_moments) {
  SHARED_POOL;
  const int thread = threadIdx.x, warp = WARPS == 1 ? 0 : thread / 32;
  const int r = WARPS == 1 ? blockIdx.x * (THREADS / TEAM) + thread / TEAM : blockIdx.x;
  if (r >= replicates) return;

  Walk on;
  on.of = Problem{columns, lower, rows, skews, vectors};
  on.place = thread % TEAM;
  on.lane = thread % LANES;
  on.team = TEAM == 32 ? 0xFFFFFFFFu : ((1u << TEAM % 32) - 1) << (thread % 32 - on.place);
  on.clip = clip;
  REAL* const moments = state_moments + (Long)r * MOMENTS * D;  // [MOMENTS, D] of this replicate
  const bool writes = warp == 0 && on.place < LANES;
  Part* tile = (Part*)pool + 4 * (thread - on.place);
  REAL* partial = (REAL*)((Part*)pool + (LANES == 1 ? 0 : 4 * THREADS));
  REAL* leasts = partial + 2 * most_blocks * COORDS * 32;
  int* cleans = (int*)(leasts + 2 * WARPS);

  // Below it a gradient has no direction: 1/norm times any dragger stays finite.
  const double vanishing = sizeof(REAL) == 4 ? 1e-20 : 1e-200;
  REAL w[COORDS], total[COORDS];
  Optimizer optimizer;
  optimizer.decay[0] = decay1;
  optimizer.decay[1] = decay2;
  optimizer.gain[0] = gain1;
  optimizer.gain[1] = gain2;
  optimizer.epsilon = epsilon;
#pragma unroll UNROLL
  for (int c = 0; c < COORDS; ++c) {
    const int i = on.coordinate(c);
    w[c] = PADDED == D || i < D ? state_w[(Long)r * D + i] : 0;
    for (int k = 0; k < MOMENTS; ++k)
      optimizer.moment[k][c] = PADDED == D || i < D ? moments[(Long)k * D + i] : 0;
  }
#pragma unroll
  for (int i = 0; i < (HELD ? AXES : 0); ++i) {
#pragma unroll
    for (int c = 0; c < COORDS; ++c) on.axis[i][c] = on.vector(AXES_FROM + i, c);
  }
  const bool stopped = state_hit[r] >= 0;
  if (WARPS > 1) __syncthreads();  // all have read before one of them writes
  if (stopped) return;

  int edge = 0, micro_batches = 0;
  double rho = 0;
  long long t = begin;
  for (; t < end; ++t) {
    REAL next[COORDS];
    on.slope(w, height, frequency, next);
    const double square = needs_norm || record ? on.dot(next, next) : 0, norm = sqrt(square);
    if (norm <= radius) break;
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) on.a[c] = next[c];
    if (record && writes) {
      double* sums = state_sums + (Long)r * (D + 2);
#pragma unroll UNROLL
      for (int c = 0; c < COORDS; ++c) {
        const int i = on.coordinate(c);
        if (PADDED == D || i < D) sums[i] += next[c];
      }
      if (on.lane == 0) {
        sums[D] += square;
        sums[D + 1] += norm;
      }
    }
    on.inverse_norm = norm > vanishing ? (REAL)(1 / norm) : 0;

    while (edge < iteration_count && iteration_edges[edge] <= t) ++edge;
    int above = 0;
    while (above < gradient_count && gradient_edges[above] <= norm) ++above;
    const int chosen = phase[edge * (gradient_count + 1) + above];
    const Law law = laws[chosen];
    on.at = Address{key0, key1, (Word)t, first_replicate + r, (Word)(t >> 32) << 16};
    on.least = __int_as_float(0x7F800000);
    on.clean = 0;
    micro_batches = law.micro_batches;
    if (UNEVEN) {
      const int other = law.last < 0 ? chosen : law.last;
      on.odd = law.last < 0 ? 0xFFFFFFFFu : (Word)micro_batches - 1;
      on.last = laws[other];
      on.odd_stretch = stretch + other * GAMMAS;
    }

    const int parity = (int)(t & 1) * most_blocks;  // so that one barrier per step suffices
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) total[c] = 0;
#pragma unroll 1
    for (int v = warp; v < law.blocks; v += WARPS) {
      const int from = v * law.length;
      on.block(law, stretch + chosen * GAMMAS, from, min(from + law.length, micro_batches), tile);
#pragma unroll UNROLL
      for (int c = 0; c < COORDS; ++c) {
        if (WARPS == 1) total[c] += on.sum[c];
        else partial[((parity + v) * COORDS + c) * 32 + thread % 32] = on.sum[c];
      }
    }
    if (RULE == ADAPTIVE) {
#pragma unroll
      for (int bit = LANES; bit < TEAM; bit *= 2)
        on.least = fmin(on.least, __shfl_xor_sync(on.team, on.least, bit));
      if (WARPS > 1 && on.place == 0) leasts[(t & 1) * WARPS + warp] = on.least;
    }
    if (WARPS > 1) {
      __syncthreads();
#pragma unroll 1
      for (int v = 0; v < law.blocks; ++v) {
#pragma unroll UNROLL
        for (int c = 0; c < COORDS; ++c)
          total[c] += partial[((parity + v) * COORDS + c) * 32 + thread % 32];
      }
      if (RULE == ADAPTIVE) {
        for (int v = 0; v < WARPS; ++v) on.least = fmin(on.least, leasts[(t & 1) * WARPS + v]);
      }
    }
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) total[c] = summed<LANES, TEAM>(total[c], on.team);

    REAL factor = average ? 1 / (REAL)micro_batches : 1;
    if (RULE == ADAPTIVE) {
      rho = sqrt(on.least);
      factor *= (REAL)rho;
    } else if (RULE == GLOBAL) {
      REAL square_of_mean = 0;
#pragma unroll UNROLL
      for (int c = 0; c < COORDS; ++c) {
        const REAL mean = total[c] / micro_batches;
        square_of_mean += mean * mean;
      }
      square_of_mean = summed<1, LANES>(square_of_mean, on.team);
      if (square_of_mean > clip * clip) factor *= clip * inverse_root(square_of_mean);
    }
    optimizer.begin((double)t + 1);
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) {
      total[c] *= factor;
      w[c] -= step * optimizer.optimized(total[c], c);
    }
  }

  const bool moved = t > begin;
  int clean = summed<1, TEAM>(on.clean, on.team);
  if (WARPS > 1 && moved) {
    if (on.place == 0) cleans[warp] = clean;
    __syncthreads();
    clean = 0;
    for (int v = 0; v < WARPS; ++v) clean += cleans[v];
  }
  if (moved) {
    const double size = on.dot(total, total), slope = on.dot(on.a, on.a);
    const double cosine = on.dot(total, on.a);
    if (RULE == NORMALIZED) rho = 1;
    if (RULE == FIXED || RULE == GLOBAL) rho = clip;
    if (RULE == SGD) rho = __longlong_as_double(0x7FF8000000000000LL);
    if (writes && on.lane == 0) {
      state_last[3 * (Long)r] = rho;
      state_last[3 * (Long)r + 1] = (double)clean / micro_batches;
      state_last[3 * (Long)r + 2] = size == 0 || slope == 0 ? 0 : cosine / (sqrt(size) * sqrt(slope));
    }
  }
  if (writes) {
#pragma unroll UNROLL
    for (int c = 0; c < COORDS; ++c) {
      const int i = on.coordinate(c);
      if (PADDED == D || i < D) {
        state_w[(Long)r * D + i] = w[c];
        for (int k = 0; k < MOMENTS; ++k) moments[(Long)k * D + i] = optimizer.moment[k][c];
      }
    }
    if (on.lane == 0 && t < end) state_hit[r] = t;
  }
}
