"""Recurrent text encoders: RNN, LSTM and GRU, of words or characters, from one end or both."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_sequence,
    pad_packed_sequence,
    unpack_sequence,
)
from tqdm import tqdm

from cmrlib.base import check_varies, check_view
from cmrlib.features._texts import check_texts

Array = NDArray[Any]

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LEVELS = ("word", "character")
POOLINGS = ("mean", "last")
_UNKNOWN, _EDGE = 0, 1  # ids of the unknown token and of what stands before and after a text
_MAX_NORM = 1.0  # of a gradient
_TOKENS = 2**16  # in a batch of transform


def tokenize(text: str, level: str) -> list[str]:
    """Return the tokens of a text in lower case.

    At level "word" they are runs of letters, digits and underscores, and every other sign alone;
    at level "character" all characters, any white space as one blank.
    """
    text = " ".join(text.lower().split())
    return list(text) if level == "character" else re.findall(r"\w+|[^\w\s]", text)


class RecurrentEncoder(TransformerMixin, BaseEstimator):
    """Texts as the states of a recurrent network that reads them token by token.

    Each token has a learnt vector x_t, and the network goes from state to state,
    h_t = cell(x_t, h_(t-1)), h_0 = 0. The vector of a text is the mean of its states, or the last
    one, h_T. With ``bidirectional``, a second network reads from the end; its states ←h_t are
    appended, [→h_t ; ←h_t], and the last ones are [→h_T ; ←h_1].

    The network learns from one of two tasks, and the vector of a text is the same in both:

    * ``fit(texts)``: **predict the next token**, the one after the last included, which is the
      end. The network from the end predicts the previous one. No labels, no pictures.
    * ``fit(texts, targets)``: **predict the features of the paired picture** by a linear map of
      the vector, with the loss 1 - cos(prediction, target).

    A part of the texts is set aside, and the network returns to the epoch at which its loss there
    was lowest.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}, default="lstm"
        h_t = tanh(W x_t + U h_(t-1) + b) [1]_, the LSTM [2]_ with a forget gate [3]_, or the
        GRU [4]_.
    level : {"word", "character"}, default="word"
        What a token is; see :func:`tokenize`.
    bidirectional : bool, default=False
        Read from both ends [5]_.
    pooling : {"mean", "last"}, default="mean"
        How the states become one vector. The last state has to do two things at once, to stand
        for the whole text and to say what comes next.
    n_embedding : int, default=32
        Dimension of the token vectors.
    n_hidden : int, default=64
        Dimension of the state, of each direction.
    dropout : float, default=0.3
        Share of the entries of token vectors, and of states before the last map, that are zeroed
        in training.
    unknown_rate : float, default=0.1
        Share of the tokens that are replaced by the unknown token in training, drawn anew each
        epoch. This is how the unknown token gets its vector.
    learning_rate : float, default=0.01
        Of Adam.
    batch_size : int, default=128
        Texts in a training batch.
    max_epochs : int, default=30
    patience : int, default=5
        Epochs without a lower validation loss before training stops.
    validation_size : float, default=0.1
        Share of the texts set aside.
    random_state : int, optional
        Seeds the initial weights, the validation part, the batches and what is dropped.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Number of each token of the training texts, those set aside left out. Any other token
        shares the number of "<unk>"; "<edge>" stands before and after a text, as a prediction
        only. At level "character" nearly no token is unknown.
    history_ : dict of str to list of float
        "train" and "validation" loss after each epoch: mean cross-entropy in nats a token, or
        mean 1 - cosine. The first is taken during the epoch, with dropout.
    best_epoch_ : int
        Where in ``history_`` the network was taken, from 0.
    network_ : torch.nn.Module
        With ``embedding``, ``recurrent`` and ``heads``.

    Raises
    ------
    TypeError, ValueError
        From ``fit`` and ``transform``: if a text is not a string or is empty, naming the item.

    Notes
    -----
    Texts of different lengths are packed, so there is no padding: the vector of a text depends
    on its own tokens alone. The bias of the forget gate starts at 1, so that the cell remembers
    unless it learns to forget; gradients longer than 1 are shortened to 1 [6]_. Targets are
    standardised with the means and standard deviations of the texts not set aside.

    References
    ----------
    .. [1] J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990).
    .. [2] S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).
    .. [3] F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction
       with LSTM", Neural Computation 12 (2000).
    .. [4] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", EMNLP (2014). As there, z = 1 keeps the state; as in
       torch, the reset gate acts after the matrix U, in the paper before it.
    .. [5] M. Schuster and K. K. Paliwal, "Bidirectional recurrent neural networks", IEEE
       Transactions on Signal Processing 45 (1997).
    .. [6] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML (2013).

    Examples
    --------
    >>> from cmrlib.features import RecurrentEncoder
    >>> texts = ["dog bites man", "man bites dog", "dog", "man sleeps"]
    >>> encoder = RecurrentEncoder("gru", n_hidden=8, max_epochs=3, random_state=0).fit(texts)
    >>> Z = encoder.transform(texts)
    >>> Z.shape, bool((Z[0] == Z[1]).all())
    ((4, 8), False)
    """

    def __init__(
        self,
        cell: str = "lstm",
        level: str = "word",
        bidirectional: bool = False,
        pooling: str = "mean",
        *,
        n_embedding: int = 32,
        n_hidden: int = 64,
        dropout: float = 0.3,
        unknown_rate: float = 0.1,
        learning_rate: float = 0.01,
        batch_size: int = 128,
        max_epochs: int = 30,
        patience: int = 5,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.level = level
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.n_embedding = n_embedding
        self.n_hidden = n_hidden
        self.dropout = dropout
        self.unknown_rate = unknown_rate
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, texts: Sequence[str], targets: ArrayLike | None = None) -> Self:
        """Learn from texts alone, or from texts and the features of their pictures.

        Parameters
        ----------
        texts : sequence of n str
        targets : array-like of shape (n, p), optional
            Row i belongs to text i. Without targets, the task is to predict the next token.

        Returns
        -------
        self
        """
        self._check_parameters()
        check_texts(texts)
        if len(texts) < 2:
            raise ValueError("fit needs at least 2 texts: one to learn from, one set aside.")
        Z = None if targets is None else _check_targets(targets, len(texts))
        rng = check_random_state(self.random_state)
        order = rng.permutation(len(texts))
        n_validation = min(max(1, round(self.validation_size * len(texts))), len(texts) - 1)
        held_out, rest = order[:n_validation], order[n_validation:]
        self._has_targets = Z is not None
        self.vocabulary_ = self._vocabulary(texts[i] for i in sorted(rest))
        ids = [self._ids(text) for text in texts]
        device = torch.device(self.device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(rng.randint(2**31))
            n_outputs = len(self.vocabulary_) if Z is None else Z.shape[1]
            self.network_ = _Network(self, len(self.vocabulary_), n_outputs).to(device)
            self._train(ids, None if Z is None else _standardise(Z, rest), rest, held_out, rng)
        return self

    def _check_parameters(self) -> None:
        choices = {"cell": tuple(CELLS), "level": LEVELS, "pooling": POOLINGS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )
        for name in ("n_embedding", "n_hidden", "batch_size", "max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(self.learning_rate, "learning_rate", Real, min_val=0)
        bounds = {"dropout": "left", "unknown_rate": "left", "validation_size": "neither"}
        for name, included in bounds.items():
            check_scalar(
                getattr(self, name), name, Real, min_val=0, max_val=1, include_boundaries=included
            )

    def _vocabulary(self, texts: Iterator[str]) -> dict[str, int]:
        vocabulary = {"<unk>": _UNKNOWN, "<edge>": _EDGE}  # neither is ever a token of a text
        for text in texts:
            for token in tokenize(text, self.level):
                vocabulary.setdefault(token, len(vocabulary))
        return vocabulary

    def _ids(self, text: str) -> Tensor:
        tokens = tokenize(text, self.level)
        return torch.tensor([self.vocabulary_.get(token, _UNKNOWN) for token in tokens])

    def _train(
        self,
        ids: list[Tensor],
        targets: Array | None,
        rest: Array,
        held_out: Array,
        rng: np.random.RandomState,
    ) -> None:
        network = self.network_
        goal = None if targets is None else torch.tensor(targets, device=self.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        n_batches = -(-len(rest) // self.batch_size)
        self.history_: dict[str, list[float]] = {"train": [], "validation": []}
        best = np.inf
        epochs = tqdm(range(self.max_epochs), desc="RecurrentEncoder", disable=not self.verbose)
        for epoch in epochs:
            network.train()
            seen = []
            for rows in np.array_split(rng.permutation(rest), n_batches):
                losses = self._losses([self._forget(ids[i]) for i in rows], goal, rows)
                optimizer.zero_grad()
                losses.mean().backward()
                nn.utils.clip_grad_norm_(network.parameters(), _MAX_NORM)
                optimizer.step()
                seen.append(losses.detach())
            network.eval()
            with torch.no_grad():
                held = [held_out[b] for b in _batches([ids[i] for i in held_out])]
                unseen = [self._losses([ids[i] for i in rows], goal, rows) for rows in held]
            train, validation = float(torch.cat(seen).mean()), float(torch.cat(unseen).mean())
            self.history_["train"].append(train)
            self.history_["validation"].append(validation)
            epochs.set_postfix(train=train, validation=validation)
            if not np.isfinite(validation):
                raise ValueError("the loss is not finite; lower learning_rate.")
            if validation < best:
                best, self.best_epoch_ = validation, epoch
                best_state = copy.deepcopy(network.state_dict())
            elif epoch - self.best_epoch_ >= self.patience:
                break
        network.load_state_dict(best_state)

    def _forget(self, ids: Tensor) -> Tensor:
        return ids.masked_fill(torch.rand(len(ids)) < self.unknown_rate, _UNKNOWN)

    def _losses(self, ids: list[Tensor], goal: Tensor | None, rows: Array) -> Tensor:
        """Return one loss a text if there is a goal, else one a token (and direction)."""
        if goal is None:
            return self._token_losses(ids)
        vectors = self.network_(self._pack(ids))[1]
        predicted = self.network_.heads[0](self.network_.dropout(vectors))
        return 1 - cosine_similarity(predicted, goal[rows], dim=1)

    def _token_losses(self, ids: list[Tensor]) -> Tensor:
        edge = torch.tensor([_EDGE])
        states = self.network_.dropout(self.network_(self._pack(ids))[0].data)
        wanted = [self._pack([torch.cat([text[1:], edge]) for text in ids])]  # the next token
        if self.bidirectional:
            wanted.append(self._pack([torch.cat([edge, text[:-1]]) for text in ids]))
        halves = zip(states.split(self.n_hidden, dim=1), self.network_.heads, wanted, strict=True)
        return torch.cat(
            [cross_entropy(head(half), w.data, reduction="none") for half, head, w in halves]
        )

    def _pack(self, ids: list[Tensor]) -> PackedSequence:
        packed: PackedSequence = pack_sequence(ids, enforce_sorted=False)
        return packed.to(self.device)  # type: ignore[arg-type]  # torch declares only one of its forms

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector a text, (n, d) with d = ``n_hidden``, twice that if bidirectional."""
        width = self.n_hidden * (1 + self.bidirectional)
        Z = np.empty((len(self._checked(texts)), width), dtype=np.float32)
        for rows, _, vectors in self._read(texts):
            Z[rows] = vectors.cpu().numpy()
        return Z

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the states at all tokens of each text, n arrays of shape (T_i, d).

        Row t is h_t, of t + 1 tokens; if bidirectional, [→h_t ; ←h_t], where ←h_t has read all
        tokens from the last to t.
        """
        found: list[Any] = [None] * len(self._checked(texts))
        for rows, states, _ in self._read(texts):
            for i, H in zip(rows, unpack_sequence(states), strict=True):
                found[i] = H.cpu().numpy()
        return found

    def _checked(self, texts: Sequence[str]) -> Sequence[str]:
        check_is_fitted(self, "network_")
        check_texts(texts)
        return texts

    @torch.no_grad()
    def _read(self, texts: Sequence[str]) -> Iterator[tuple[list[int], PackedSequence, Tensor]]:
        ids = [self._ids(text) for text in texts]
        for rows in _batches(ids):
            yield rows, *self.network_(self._pack([ids[i] for i in rows]))


class _Network(nn.Module):
    """Token vectors, recurrent cell, and a linear map to what is predicted."""

    def __init__(self, encoder: RecurrentEncoder, n_tokens: int, n_outputs: int) -> None:
        super().__init__()
        h, directions = encoder.n_hidden, 1 + encoder.bidirectional
        self.embedding = nn.Embedding(n_tokens, encoder.n_embedding)
        self.recurrent = CELLS[encoder.cell](
            encoder.n_embedding, h, bidirectional=encoder.bidirectional
        )
        widths = [directions * h] if encoder._has_targets else directions * [h]
        self.heads = nn.ModuleList(nn.Linear(width, n_outputs) for width in widths)
        self.dropout = nn.Dropout(encoder.dropout)
        self.pooling = encoder.pooling
        if encoder.cell == "lstm":
            for name, bias in self.recurrent.named_parameters():
                if "bias_ih" in name:
                    nn.init.ones_(bias.data[h : 2 * h])  # torch's order is i, f, g, o

    def forward(self, ids: PackedSequence) -> tuple[PackedSequence, Tensor]:
        """Return the states at all tokens, packed, and one vector a text."""
        vectors = ids._replace(data=self.dropout(self.embedding(ids.data)))
        states, last = self.recurrent(vectors)
        if self.pooling == "last":
            last = last[0] if isinstance(last, tuple) else last  # the LSTM's is (h, c)
            return states, torch.cat(list(last), dim=1)
        H, lengths = pad_packed_sequence(states, batch_first=True)  # 0 after the end of a text
        return states, H.sum(dim=1) / lengths[:, None].to(H.device)


def _check_targets(targets: ArrayLike, n: int) -> Array:
    Z = check_view(targets, "targets")
    if len(Z) != n:
        raise ValueError(f"there are {n} texts and {len(Z)} targets; row i belongs to text i.")
    check_varies(Z, "targets")
    return Z


def _standardise(Z: Array, rest: Array) -> NDArray[np.float32]:
    std = Z[rest].std(axis=0)
    std[std == 0] = 1
    return ((Z - Z[rest].mean(axis=0)) / std).astype(np.float32)


def _batches(ids: list[Tensor]) -> Iterator[list[int]]:
    """Yield the numbers of all texts, short ones first, in batches of limited size.

    A batch is packed by way of a rectangle as wide as its longest text, so that a long text
    among many short ones would cost much memory.
    """
    batch: list[int] = []
    for i in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        if batch and (len(batch) + 1) * len(ids[i]) > _TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
