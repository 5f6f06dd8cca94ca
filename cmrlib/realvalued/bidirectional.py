"""Deep and bidirectional representation learning: the likelihood of matched and unmatched pairs."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from numbers import Integral, Real

import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn
from torch.nn import functional

from cmrlib.realvalued._model import Batch, ShapedDeepModel, partner_retrieval
from cmrlib.realvalued.encoders import encoder_pair
from cmrlib.realvalued.losses import cosine_matrix

DIRECTIONS = ("image->text", "text->image")

_HALVINGS = 30  # of the interval that holds the threshold; ends at the rounding of single precision


def pair_loss(S: Tensor, counted: Tensor, threshold: float | Tensor, scale: float) -> Tensor:
    """Return minus the log-likelihood of what is matched and what is not, per query.

    A query and a candidate of cosine s match with probability P = σ(scale · (s - threshold)). The
    loss is -(1/n) Σ_i [log P_ii + Σ_{j≠i} log(1 - P_ij)] over the counted pairs.

    Parameters
    ----------
    S : Tensor of shape (n, n)
        Cosines of queries (rows) and candidates (columns), the matched pairs on the diagonal.
    counted : Tensor of bool, shape (n, n)
        Which pairs enter.
    threshold : float or Tensor
        The cosine of an even chance.
    scale : float
    """
    Z = scale * (S - threshold)
    matched = torch.eye(len(S), dtype=torch.bool, device=S.device)
    surprise = functional.softplus(torch.where(matched, -Z, Z))
    return (surprise * counted).sum(dim=1).mean()


@torch.no_grad()
def likeliest_threshold(S: Tensor, counted: Tensor, scale: float) -> Tensor:
    """Return the threshold of maximum likelihood, at which Σ P_ij is the number of matched pairs.

    The sum falls as the threshold rises, so halving an interval finds the one root. By the envelope
    theorem the loss at this threshold has the same gradient in S as if the threshold were constant.

    Parameters
    ----------
    S, counted, scale
        As in :func:`pair_loss`; at least one counted pair of each row is unmatched.
    """
    cosines, n_matched = S[counted], counted.diagonal().sum()
    low, high = S.new_tensor(-1.0), S.new_tensor(1 + log(len(cosines)) / scale)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        too_low = (scale * (cosines - middle)).sigmoid().sum() > n_matched
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return (low + high) / 2


def draw_pairs(n: int, n_unmatched: int | None, device: torch.device | str = "cpu") -> Tensor:
    """Return which pairs of a batch count: every matched pair, and unmatched ones of each query.

    Parameters
    ----------
    n : int
        Pairs in the batch.
    n_unmatched : int or None
        Unmatched candidates drawn for each query; None counts all.
    device : device, default="cpu"

    Returns
    -------
    Tensor of bool, shape (n, n)
    """
    if n_unmatched is None:
        return torch.ones(n, n, dtype=torch.bool, device=device)
    lots = torch.rand(n, n, device=device).fill_diagonal_(2)  # the matched pair always wins
    chosen = lots.topk(min(n_unmatched + 1, n), dim=1).indices
    return torch.zeros(n, n, dtype=torch.bool, device=device).scatter_(1, chosen, True)


class DBRLM(ShapedDeepModel):
    """Deep and bidirectional representation learning model (He et al., 2016).

    Two convolutional networks map pictures and word sequences to a common space, in which pairs are
    compared by cosine s_ij. Both directions of search, matched and unmatched pairs are learnt from
    at once, by maximum likelihood [1]_.

    How the likelihood is made of the cosines is reconstructed; the paper's abstract, which names
    all parts above, is what it is built on. Here a pair matches with probability
    P_ij = σ(a (s_ij - c)), and the loss is, with U_i the unmatched candidates of query i,

    -(1/2n) Σ_i [log P_ii + Σ_{j∈U_i} log(1 - P_ij)] for images as queries, and the same for texts.

    With the default, U_i holds all others of the batch, and the two directions are the same sum;
    with candidates drawn for each query they are not. The threshold c is the one of maximum
    likelihood for the pairs of a batch, found anew in each step: at any other the networks first
    learn to move *all* cosines, and may end with codes that do not differ.

    Parameters
    ----------
    n_components : int, default=64
        Dimension of the common space.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers of networks that read features; () is a linear map.
    scale : float, default=10
        a, how fast the probability rises with the cosine. Small values look for what is alike in
        many pairs, large ones for the partner.
    threshold : float, optional
        c, the cosine of an even chance. None takes the one of maximum likelihood.
    n_unmatched : int, optional
        Unmatched candidates drawn for each query of a batch. None takes all others. 0 leaves the
        matched pairs alone, whose likelihood is best if all codes are the same; it needs a
        `threshold`.
    direction : {"both", "image->text", "text->image"}
        Which side asks.
    dropout : float, default=0.5
        Share of hidden units switched off in training, in networks that read features.
    image_shape : (channels, height, width), optional
        Rows of `image` are pictures of this shape, to be read by convolutions.
    text_shape : (length, width), optional
        Rows of `text` are sentences of `length` word vectors; zeros are padding.
    learning_rate, weight_decay : float
        Of Adam.
    batch_size : int, default=256
        Pairs in a batch, at least 2.
    max_epochs : int, default=60
    patience : int, default=10
        Epochs without a better validation score before training stops.
    validation_size : float, default=0.1
        Share of the training pairs set aside.
    random_state : int, optional
        Seeds the weights, the validation part, the batches and the unmatched candidates.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    history_ : dict of str to list of float
        By epoch: "image->text" and "text->image", the loss of each direction with its weight, as
        far as it is used; "validation", the mean reciprocal rank of the partner on the part set
        aside.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a shape does not hold the features, there are too few pairs, or
        ``n_unmatched=0`` comes without a threshold.

    Notes
    -----
    What the paper's abstract does not state is chosen here: the logistic function, its scale and
    threshold, how many unmatched pairs there are, the layers of the networks (three convolutions of
    3 x 3, and windows of one to three words with the maximum over the sentence), Adam for plain
    gradient descent, and early stopping. The other natural reading, a softmax over the candidates
    of a query, is :class:`DualEncoder`.

    References
    ----------
    .. [1] Y. He, S. Xiang, C. Kang, J. Wang, C. Pan, "Cross-modal retrieval via deep and
       bidirectional representation learning", IEEE Transactions on Multimedia 18(7) (2016).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.realvalued import DBRLM
    >>> train, test = make_hidden_signal(400, random_state=0).split(0.25, random_state=0)
    >>> model = DBRLM(16, hidden=(64,), random_state=0).fit(train.image, train.text)
    >>> model.similarity(test.image, test.text).shape
    (100, 100)
    """

    def __init__(
        self,
        n_components: int = 64,
        hidden: tuple[int, ...] = (512,),
        *,
        scale: float = 10.0,
        threshold: float | None = None,
        n_unmatched: int | None = None,
        direction: str = "both",
        dropout: float = 0.5,
        image_shape: Sequence[int] | None = None,
        text_shape: Sequence[int] | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        max_epochs: int = 60,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.scale = scale
        self.threshold = threshold
        self.n_unmatched = n_unmatched
        self.direction = direction
        self.dropout = dropout
        self.image_shape = image_shape
        self.text_shape = text_shape
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_scalar(self.n_components, "n_components", Integral, min_val=1)
        check_scalar(self.batch_size, "batch_size", Integral, min_val=2)
        check_scalar(self.scale, "scale", Real, min_val=0, include_boundaries="neither")
        check_scalar(self.dropout, "dropout", Real, min_val=0, max_val=1, include_boundaries="left")
        if self.n_unmatched is not None:
            check_scalar(self.n_unmatched, "n_unmatched", Integral, min_val=0)
        if self.n_unmatched == 0 and self.threshold is None:
            raise ValueError(
                "n_unmatched=0 leaves no threshold of maximum likelihood; give a threshold."
            )
        if self.direction not in ("both", *DIRECTIONS):
            raise ValueError(
                f"direction must be 'both', 'image->text' or 'text->image', got {self.direction!r}."
            )

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        return encoder_pair(
            p,
            q,
            self.n_components,
            hidden=self.hidden,
            dropout=self.dropout,
            image_shape=self.image_shape,
            text_shape=self.text_shape,
        )

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        S = cosine_matrix(self._code(batch.X, "image"), self._code(batch.Y, "text"))
        by_direction = dict(zip(DIRECTIONS, (S, S.T), strict=True))
        if self.direction != "both":
            return {self.direction: self._one_direction(by_direction[self.direction])}
        return {name: self._one_direction(T) / 2 for name, T in by_direction.items()}

    def _one_direction(self, S: Tensor) -> Tensor:
        counted = draw_pairs(len(S), self.n_unmatched, S.device)
        threshold: float | Tensor | None = self.threshold
        if threshold is None:
            threshold = likeliest_threshold(S, counted, self.scale)
        return pair_loss(S, counted, threshold, self.scale)

    def _scores(self, batch: Batch) -> dict[str, float]:
        F, G = self._code(batch.X, "image"), self._code(batch.Y, "text")
        return {"validation": partner_retrieval(F, G)}
