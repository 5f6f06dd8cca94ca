"""Alternating minimisation: solve one block of variables at a time, and check each solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

Array = NDArray[np.float64]
State = SimpleNamespace
Objective = Callable[[State], Any]


@dataclass(frozen=True)
class Alternation:
    """An objective in blocks of variables, with a step for each block.

    Parameters
    ----------
    state : SimpleNamespace
        The data and the starting values of all blocks, by the names of the formula.
    updates : dict of str to callable
        In order: name of a block, and the function that maps the state to the block's new value.
    objective : callable
        Maps the state to a number that no update raises.
    """

    state: State
    updates: dict[str, Callable[[State], Array]]
    objective: Objective

    def run(
        self,
        max_iter: int,
        tol: float = 0.0,
        *,
        verbose: bool = False,
        after: Callable[[str, State], None] | None = None,
    ) -> list[float]:
        """Sweep over the blocks; return the objective before the first and after each sweep.

        Parameters
        ----------
        max_iter : int
            Number of sweeps.
        tol : float, default=0
            Stop when a sweep lowers the objective by less than this share of it.
        verbose : bool, default=False
            Show a progress bar.
        after : callable, optional
            Called with the name of a block and the state after each update.
        """
        history = [float(self.objective(self.state))]
        for _ in tqdm(range(max_iter), disable=not verbose, unit="sweep"):
            for name, update in self.updates.items():
                setattr(self.state, name, update(self.state))
                if after is not None:
                    after(name, self.state)
            history.append(float(self.objective(self.state)))
            if history[-2] - history[-1] < tol * abs(history[-2]):
                break
        return history

    def stationarity(
        self, published: Objective, max_iter: int = 3, skip: tuple[str, ...] = ()
    ) -> dict[str, float]:
        """Return the worst relative gradient of each block right after its update.

        Parameters
        ----------
        published : callable
            The objective as the paper prints it, in operations that torch tensors understand
            (``@``, ``.T``, ``**``, ``.sum()``). Written apart from the updates, it exposes any
            closed form that minimises something else.
        max_iter : int, default=3
            Number of sweeps.
        skip : tuple of str
            Blocks under constraints, discrete or orthogonal, for which a zero gradient is not the
            condition.
        """
        worst = {name: 0.0 for name in self.updates if name not in skip}

        def measure(name: str, state: State) -> None:
            if name in worst:
                worst[name] = max(worst[name], block_gradient(published, state, name))

        self.run(max_iter, after=measure)
        return worst


def block_gradient(objective: Objective, state: State, block: str) -> float:
    """Return ||gradient of the objective in one block||, relative to its value at block = 0.

    A block that minimises the objective, the other blocks fixed, has 0 here up to rounding. A wrong
    closed form has not, even if the objective goes down all the same.

    Parameters
    ----------
    objective : callable
        Maps the state to a number; called with every array turned into a torch tensor.
    state : SimpleNamespace
    block : str
        Name of an array of `state`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from cmrlib.hashing import block_gradient
    >>> s = SimpleNamespace(X=np.eye(3), V=np.ones((3, 1)), U=np.ones((1, 3)) / 3)
    >>> def objective(s):
    ...     return ((s.X - s.V @ s.U) ** 2).sum()
    >>> round(block_gradient(objective, s, "U"), 12)  # least squares: (VᵀV)⁻¹VᵀX
    0.0
    """
    import torch

    def gradient(value: Array) -> Array:
        moved = SimpleNamespace(
            **{
                name: torch.from_numpy(np.array(x)) if isinstance(x, np.ndarray) else x
                for name, x in {**vars(state), block: value}.items()
            }
        )
        variable = getattr(moved, block).requires_grad_()
        result: Array = torch.autograd.grad(objective(moved), variable)[0].numpy()
        return result

    value = np.asarray(getattr(state, block), dtype=np.float64)
    scale = np.linalg.norm(gradient(np.zeros_like(value)))
    size = np.linalg.norm(gradient(value))
    return float(size / scale) if scale > 0 else float(size)
