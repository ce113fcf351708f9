"""The bias of any problem to first order, from gradients recorded at its minimum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Field = Callable[[Array], Array]


@dataclass(frozen=True)
class Recording:
    """Per-sample gradients of n mini-batches around a minimum of the benign loss.

    minimum [d]. gradients(w) are those of all samples at w [n, B, d], the same samples
    at every w; clean [n, B] says which samples are benign; benign_gradient(w) is ∇f
    [d], without noise.
    """

    minimum: Array
    gradients: Field
    clean: NDArray[np.bool_]
    benign_gradient: Field

    @property
    def noise_scale(self) -> float:
        """σ: the benign gradients' root mean square length, in the gradient's unit."""
        benign = self.gradients(self.minimum)[self.clean]
        return float(np.sqrt((benign**2).sum(1).mean()))


@dataclass(frozen=True)
class Prediction:
    """The bias ‖∇f‖ predicted at one micro-batch size, in units of the gradient.

    `standard_error` is that of `bias`, `square_error` that of its square; both are of
    the mean direction alone, and not of the derivative J. `contraction` is the smallest
    real part of J's eigenvalues: the formula holds where it is positive.
    """

    micro_batch_size: int
    bias: float
    standard_error: float
    square_error: float
    contraction: float


def predict_from_gradients(
    recording: Recording,
    direction: Field,
    micro_batch_sizes: Sequence[int],
    displacement: float,
) -> list[Prediction]:
    """Where a rule rests, to first order, for micro-batch sizes that divide B.

    direction: the rule, from micro-batch gradients [n, m, d] to [n, d]. At rest E ψ =
    0, ψ the direction of a step (claims/m_estimator_identity.py); one Newton step from
    the minimum w* gives ∇f = -(∇²f) J⁻¹ E ψ(w*), J the derivative of E ψ. E ψ is the
    mean over the mini-batches, less its regression on the mean benign gradient, whose
    expectation is 0 at w*; J comes from central differences over `displacement` with
    the same samples, ∇²f over a hundredth of it.
    """
    minimum = recording.minimum
    at_minimum = recording.gradients(minimum)
    batches, batch_size, d = at_minimum.shape

    def directions(gradients: Array, micro_batch_size: int) -> Array:
        m = batch_size // micro_batch_size
        means = gradients.reshape(batches, m, micro_batch_size, d).mean(2)
        return np.asarray(direction(means))

    jacobian = {b: np.zeros((d, d)) for b in micro_batch_sizes}
    for i, step in enumerate(displacement * np.eye(d)):
        ahead, behind = (
            recording.gradients(minimum + step),
            recording.gradients(minimum - step),
        )
        for b in micro_batch_sizes:
            change = directions(ahead, b) - directions(behind, b)
            jacobian[b][:, i] = change.mean(0) / (2 * displacement)
    hessian = _hessian(recording, displacement)
    benign = (at_minimum * recording.clean[..., None]).mean(1)
    control = np.column_stack([np.ones(batches), benign])
    return [
        _newton_step(
            b, directions(at_minimum, b), control, jacobian=jacobian[b], hessian=hessian
        )
        for b in micro_batch_sizes
    ]


def _hessian(recording: Recording, displacement: float) -> Array:
    """∇²f at the minimum [d, d], by central differences."""
    w, gradient = recording.minimum, recording.benign_gradient
    columns = [
        (gradient(w + step / 100) - gradient(w - step / 100)) * 50 / displacement
        for step in displacement * np.eye(w.size)
    ]
    return np.stack(columns, axis=1)


def _newton_step(
    micro_batch_size: int,
    psi: Array,
    control: Array,
    *,
    jacobian: Array,
    hessian: Array,
) -> Prediction:
    """The prediction from directions psi [n, d], regressed on `control` [n, 1 + d]."""
    batches, d = psi.shape
    fit = np.linalg.lstsq(control, psi, rcond=None)[0]
    residual = psi - control @ fit
    covariance = residual.T @ residual / (batches - d - 1) / batches
    turn = -hessian @ np.linalg.inv(jacobian)
    bias, error = turn @ fit[0], turn @ covariance @ turn.T
    square, spread = bias @ bias, bias @ error @ bias
    return Prediction(
        micro_batch_size=micro_batch_size,
        bias=max(square - np.trace(error), 0.0) ** 0.5,
        standard_error=np.sqrt(spread / square),
        square_error=np.sqrt(4 * spread + 2 * np.trace(error @ error)),
        contraction=np.linalg.eigvals(jacobian).real.min(),
    )
