"""Teacher and student: soft committee machines of erf units (Saad and Solla 1995).

    φ(J, x) = Σ_k g(J_k·x),  g(u) = erf(u/√2),    x ~ N(0, I),    y = Σ_n g(B_n·x) + s·ζ
    f(J) = E(y - φ(J, x))²/2,    sample gradient of unit k: (φ - y) g'(J_k·x) x

with K student units, M <= K teacher units and B_n = norm·e_n. For jointly normal u, v,
E g(u) g(v) = (2/π) asin(E uv/√((1 + E u²)(1 + E v²))), so with Q_ik = J_i·J_k, R_in =
J_i·B_n, T = norm², s_i = 1 + Q_ii and t = 1 + T

    π f = Σ_ik asin(Q_ik/√(s_i s_k)) - 2 Σ_in asin(R_in/√(s_i t)) + M asin(T/t) + π s²/2
    π/2 ∂f/∂J_i = Σ_k (J_k - (Q_ik/s_i) J_i)/√(s_i s_k - Q_ik²)
                - Σ_n (B_n - (R_in/s_i) J_i)/√(s_i t - R_in²)

f is not convex: permutations of the units give equal minima, and a student whose units
are alike is near a saddle (the plateau of Saad and Solla); started exactly there it
stays. f* = s²/2.

L <= 2K/π + (K + M)√(2/(πe)): the Hessian is E ∇φ∇φᵀ + E (φ - y)∇²φ. For a unit vector
(v_1 … v_K) the first term is E(Σ_k g'(u_k) v_k·x)² <= (2/π) K Σ_k E(v_k·x)² as g' <=
√(2/π); in the second |φ - E[y|x]| <= K + M and |g''| <= √(2/(πe)). A bound, not the
exact constant.

A corrupted response is -magnitude·Σ_n g(B_n·x) + s·ζ.
"""

import math
from typing import Any, ClassVar

import numpy as np

from analysis.spec.learning import LearningModel
from sim.problems.problem import Problem
from sim.problems.special import erf
from sim.random.addresses import DrawsLike
from sim.random.philox import FEATURES, LABEL


class TwoLayer(Problem):
    """Teacher and student networks; w is J [K, N], row after row."""

    assumptions: ClassVar[dict[str, str]] = {
        "A1": "f >= f* = s²/2, reached where the student equals the teacher",
        "A2": "L <= 2K/π + (K + M)√(2/(πe)), a bound",
        "A3": "holds; a benign gradient has finite variance everywhere",
        "A4": "α = 1; a mislabelled sample pulls towards the negative teacher",
    }

    def __init__(self, model: LearningModel, xp: Any = np, dtype: Any = None) -> None:
        super().__init__(model, xp, dtype)
        self.about = p = model.parameters
        K, M = p.hidden, p.teacher
        self.smoothness = 2 * K / math.pi + (K + M) * math.sqrt(2 / (math.pi * math.e))
        self.minimum = p.noise**2 / 2
        self.teacher = self.array(p.teacher_norm * np.eye(M, p.inputs))
        optimum = np.zeros((K, p.inputs))  # students without a teacher are silent
        optimum[:M] = p.teacher_norm * np.eye(M, p.inputs)
        self.optimum = self.array(optimum.ravel())

    def _overlaps(self, w: Any) -> Any:
        """J [..., K, N], Q [..., K, K], R [..., K, M], s [..., K] and t."""
        xp, p = self.xp, self.about
        J = xp.reshape(w, (*w.shape[:-1], p.hidden, p.inputs))
        Q, R = J @ xp.matrix_transpose(J), J @ self.teacher.T
        return J, Q, R, 1 + xp.sum(J * J, axis=-1), 1 + p.teacher_norm**2

    def loss(self, w: Any) -> Any:
        """E(y - φ)²/2 by the overlaps."""
        xp, p = self.xp, self.about
        _, Q, R, s, t = self._overlaps(w)
        students = xp.sum(
            xp.asin(Q / xp.sqrt(s[..., None] * s[..., None, :])), axis=(-2, -1)
        )
        both = xp.sum(xp.asin(R / xp.sqrt(s[..., None] * t)), axis=(-2, -1))
        teachers = p.teacher * math.asin((t - 1) / t)
        return (students - 2 * both + teachers) / math.pi + self.minimum

    def gradient(self, w: Any) -> Any:
        """The derivative of f by the overlaps."""
        xp = self.xp
        J, Q, R, s, t = self._overlaps(w)
        q, T = s - 1, xp.asarray(t - 1, dtype=s.dtype)
        students = 1 / xp.sqrt(_determinant(Q, q[..., None], q[..., None, :], xp))
        both = 1 / xp.sqrt(_determinant(R, q[..., None], T, xp))
        own = (xp.sum(Q * students, axis=-1) - xp.sum(R * both, axis=-1)) / s
        found = students @ J - both @ self.teacher - own[..., None] * J
        return xp.reshape(found * (2 / math.pi), w.shape)

    def sample_sums(self, w: Any, wrong: Any, draws: DrawsLike) -> Any:
        """Sums of (φ - y) g'(J_k·x) x over micro-batches [R, m, K·N]."""
        xp, p, (R, m, b) = self.xp, self.about, wrong.shape
        N, K, B = p.inputs, p.hidden, m * b
        x = xp.reshape(draws.normals(FEATURES, B * N), (R, B, N))
        u = x @ xp.matrix_transpose(xp.reshape(w, (R, K, N)))
        signal = x[..., : p.teacher] * (p.teacher_norm / math.sqrt(2))
        signal = xp.sum(erf(signal, xp), axis=-1)
        flat = xp.reshape(wrong, (R, B))
        if self.corrupted:
            signal = xp.where(flat, -p.magnitude * signal, signal)
        error = xp.sum(erf(u / math.sqrt(2), xp), axis=-1) - signal
        if p.noise > 0:
            error = error - p.noise * draws.normals(LABEL, B)
        if not self.corrupted:
            error = error * xp.astype(~flat, self.dtype)
        slope = math.sqrt(2 / math.pi) * xp.exp(-u * u / 2)
        weight = xp.matrix_transpose(xp.reshape(error[..., None] * slope, (R, m, b, K)))
        return xp.reshape(weight @ xp.reshape(x, (R, m, b, N)), (R, m, K * N))


def _determinant(overlap: Any, q: Any, r: Any, xp: Any) -> Any:
    """(1 + q)(1 + r) - overlap² with overlap² <= q·r, >= 1 however large q, r are."""
    rest = q * r - overlap * overlap
    return 1 + q + r + xp.where(rest > 0, rest, xp.zeros_like(rest))
