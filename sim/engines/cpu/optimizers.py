"""The compiled optimizers, held to `sim.optimizers`."""

import math

from sim.compiled.jit import inlined


@inlined
def optimized(moments, total, scale, iteration, course):
    """Let scale·total [d] go through the optimizer whose moments are [k, d].

    With k = 0 there is none. Else what it makes of the direction takes the place of the
    total. Returns the factor that the total has from then on.
    """
    if moments.shape[0] == 0:
        return scale
    if moments.shape[0] == 1:
        for i in range(total.size):
            moments[0, i] += course.gains[0] * (scale * total[i] - moments[0, i])
            total[i] = moments[0, i]
        return total.dtype.type(1)
    times = iteration + 1.0
    first = total.dtype.type(1 / (1 - course.decays[0] ** times))
    second = total.dtype.type(1 / (1 - course.decays[1] ** times))
    for i in range(total.size):
        u = scale * total[i]
        moments[0, i] += course.gains[0] * (u - moments[0, i])
        moments[1, i] += course.gains[1] * (u * u - moments[1, i])
        root = math.sqrt(second * moments[1, i])
        total[i] = first * moments[0, i] / (root + course.epsilon)
    return total.dtype.type(1)
