"""Compiled pieces of the radial kernel: loops over micro-batches that stand in planes.

A plane is z[plane : plane + n]. Indices are unsigned, as in `sim.engines.cpu.rows`.
"""

import math

from sim.compiled.jit import inlined, scalar
from sim.random.draws import LAST_ATTEMPT, U64, counter, four_words, uniform
from sim.random.philox import CHI_SQUARE


@inlined
def combine(buffers, plane, n, slope):
    """Make a plane of normals a component of gradients, where that of ∇f is `slope`."""
    z, benign, deviation = buffers.z, buffers.benign, buffers.deviation
    for j in range(U64(n)):
        z[plane + j] = benign[j] * slope + deviation[j] * z[plane + j]


@inlined
def shift(z, plane, n, terms, factor):
    """Add factor·terms [n] to a plane."""
    for j in range(U64(n)):
        z[plane + j] += factor * terms[j]


@inlined
def square_of(square, z, plane, n, first):
    """Put the squares of a plane into square [n], or add them if not the first."""
    if first:
        for j in range(U64(n)):
            square[j] = z[plane + j] * z[plane + j]
    else:
        for j in range(U64(n)):
            square[j] += z[plane + j] * z[plane + j]


@inlined
def weighted(weight, z, plane, n):
    """Σ_j weight_j·z_j over a plane."""
    total = z.dtype.type(0)
    for j in range(U64(n)):
        total += weight[j] * z[plane + j]
    return total


@inlined
def chi_squares(buffers, place, block, step, radii):
    """Put the block's χ² of a radius into `square`.

    place: the radius, the plane of its normals, and its first byte.
    """
    k, plane, byte = place
    z, square = buffers.z, buffers.square
    narrow, twice = radii.narrow[k], radii.twice[k]
    doubts = 0
    for j in range(U64(block.size)):
        t = narrow * z[plane + j]
        v = z.dtype.type(1) + t
        square[j] = twice * v * v * v
        doubts += not certain(t, buffers.bytes[byte + j], radii.doubt[k])
    if doubts > 0:
        for j in range(U64(block.size)):
            normal, leading = z[plane + j], buffers.bytes[byte + j]
            if not certain(narrow * normal, leading, radii.doubt[k]):
                position = (U64(block.first) + j) * U64(radii.root.size) + U64(k)
                square[j] = chi_square(
                    radii.centre[k], normal, leading, step.address, position
                )


@scalar
def certain(t, byte, doubt):
    """Whether a χ² is taken at the first attempt whatever follows its byte."""
    power = t * t
    return (doubt * power * power <= byte) & (power <= 0.25)


@scalar
def chi_square(centre, z, byte, address, position):
    """One χ², by as many attempts as it takes; the first has its normal and byte."""
    value = 1.0
    for attempt in range(LAST_ATTEMPT):
        stream = U64(CHI_SQUARE) + (U64(attempt) << U64(8))
        w0, w1, w2, _ = four_words(address.key, counter(address, position, stream))
        u = uniform(w2)
        if attempt == 0:
            u = (float(byte) + u) / 256.0
        else:
            radius = math.sqrt(-2.0 * math.log(uniform(w0)))
            z = radius * math.cos(2.0 * math.pi * uniform(w1))
        v = (1 + z / math.sqrt(9 * centre)) ** 3
        if v > 0 and math.log1p(-u) < z * z / 2 + centre * (1 - v + math.log(v)):
            value = v
            break
    return 2 * centre * value


@inlined
def lengths(buffers, plane, n, radii, k):
    """Make z₂ of a plane and χ² cosines and ρ²/(N - 1), which add to the norms."""
    z, square, weight = buffers.z, buffers.square, buffers.weight
    cosine, part, deviation = buffers.cosine, buffers.part, buffers.deviation
    share, root = z.dtype.type(1) / radii.orthogonal[k], radii.root[k]
    for j in range(U64(n)):
        normal = z[plane + j]
        length = normal * normal + square[j]
        cosine[k, j] = normal / math.sqrt(length)
        part[k, j] = length * share
        spread = deviation[j] * root
        weight[j] += spread * spread * part[k, j]


@inlined
def pad(values, n, count, value):
    """Fill values[n:count] with a number."""
    for j in range(U64(n), U64(count)):
        values[j] = value


@scalar
def merge(first, second, cosine):
    """The square of the length of a sum, from the squares of two lengths."""
    between = math.sqrt(first) * math.sqrt(second) * cosine
    square = first + second + between + between
    return square - square if square < 0 else square
