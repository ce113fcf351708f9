// Momentum and Adam after the rule, as in sim/optimizers.py. Every lane holds the moments of its own
// coordinates; like w they do not differ between lanes that have the same.

struct Optimizer {
  static constexpr int SQUARE = MOMENTS == 2 ? 1 : 0;
  double decay[2];
  REAL gain[2], epsilon;                                  // gain: 1 - decay
  REAL moment[MOMENTS ? MOMENTS : 1][COORDS], unbias[2];  // unbias: 1/(1 - decay^steps)

  // Called in each step, with its number counted from 1.
  __device__ __forceinline__ void begin(double steps) {
    if (MOMENTS == 2) {
      unbias[0] = (REAL)(1 / (1 - pow(decay[0], steps)));
      unbias[1] = (REAL)(1 / (1 - pow(decay[1], steps)));
    }
  }

  // What takes the place of the coordinate u of the direction.
  __device__ __forceinline__ REAL optimized(REAL u, int c) {
    if (MOMENTS == 0) return u;
    moment[0][c] += gain[0] * (u - moment[0][c]);
    if (MOMENTS == 1) return moment[0][c];
    moment[SQUARE][c] += gain[1] * (u * u - moment[SQUARE][c]);
    return unbias[0] * moment[0][c] / (sqrt(unbias[1] * moment[SQUARE][c]) + epsilon);
  }
};
